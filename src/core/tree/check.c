/* SPDX-License-Identifier: MIT
 *
 * Verifying a whole tree: everything the builder promises, node by node, so that what is wrong is named.
 *
 * One walk in order. Per node: its bytes give its address, rows are sorted (N6), and it is the encoding of its own rows
 * (which holds what the encoder promises of modes, groups and dictionaries). Between nodes: the first separator is
 * zero, each other one is the shortest between the last datom before it and the first behind it; counts add up; chunks
 * close where the rule says and nowhere else.
 *
 * The place of the walk is the path to the node at hand, and what was done of that node: so it can be left after any
 * stage of a node, after any portion of its bytes, and after any row that was visited.
 *
 *   path[2] (root)  [ . . S . . ]       S = slot[2]: path[1] is its child
 *   path[1]         [ . S . . . . ]
 *   path[0] (leaf)  [ v v v r r r ]     rows v were visited: row
 *
 * Cost: reads, decodes and encodes every node once. Memory: the path.
 */
#include "check.h"

#include "../store/task.h"

#define HASH_SLICE ((size_t)64 * 1024)
#define CHECK_WORK 8U /* for each row, as are the next */
#define ENCODE_WORK 16U
#define VISIT_WORK 32U
#define VISIT_ROWS 1024U

typedef enum stage { GET, HASH, PLACE, ENCODE, VISIT, CHILDREN, END } stage;

struct ri_check {
    ri_store *store;
    ri_tree tree;
    ri_order order;
    ri_limits limits;
    ri_check_options options;
    ri_check_report *report;
    ri_node *path[RI_TREE_HEIGHT_MAX]; /* by level */
    uint32_t slot[RI_TREE_HEIGHT_MAX];
    unsigned level; /* of the node at hand */
    stage stage;    /* what is next for it */
    size_t hashed;  /* of its bytes */
    ri_hasher hash;
    uint32_t row;   /* of the leaf: the next to be visited */
    ri_datom *rows; /* of the node; NULL: only_unseen */
    ri_encoder *encoder;
    ri_buf bytes;
    ri_datom *last_row; /* the last datom seen; its value is in `last_bytes` */
    ri_arena last_bytes;
    uint64_t last_key_bytes;                  /* of the leaf before */
    uint32_t last_counts[RI_TREE_HEIGHT_MAX]; /* rows of the node before, by level */
    uint64_t seen;                            /* datoms */
};

/* ---- the node at hand ---- */

static bool is_root(const ri_check *c)
{
    return c->level + 1U == c->tree.height;
}

static const ri_noderef *ref_of(const ri_check *c)
{
    return is_root(c) ? &c->tree.root : &c->path[c->level + 1]->children[c->slot[c->level + 1]];
}

static uint64_t datoms_of(const ri_check *c)
{
    if (is_root(c)) {
        return c->tree.count;
    }
    const uint64_t *counts = c->path[c->level + 1]->counts + c->slot[c->level + 1];
    return counts[1] - counts[0];
}

static ri_datom separator_of(const ri_check *c)
{
    ri_datom separator = ri_separator_zero(c->order);
    if (!is_root(c)) {
        ri_node_datom(c->path[c->level + 1], c->slot[c->level + 1], &separator);
    }
    return separator;
}

static int wrong(const ri_check *c, const char *what, rille_err *err)
{
    char addr[2 * RI_HASH_SIZE + 1];
    ri_hex(addr, ref_of(c)->addr, RI_HASH_SIZE);
    return ri_fail(err, RILLE_CORRUPT, "node %s of tree %s, level %u: %s", addr, ri_order_name(c->order), c->level,
                   what);
}

/* ---- getting it ---- */

static bool is_seen(const ri_node_set *set, const uint8_t addr[RI_HASH_SIZE])
{
    return set != NULL && ri_bytemap_get(&set->map, addr, RI_HASH_SIZE) != NULL;
}

/* NULL set: nothing is noted. */
static int note_node(ri_node_set *set, const uint8_t addr[RI_HASH_SIZE], rille_err *err)
{
    if (set == NULL) {
        return RILLE_OK;
    }
    bool added;
    ri_bytemap_slot *slot = ri_bytemap_put(&set->map, addr, RI_HASH_SIZE, &added);
    const void *copy = slot != NULL && added ? ri_arena_copy(&set->bytes, addr, RI_HASH_SIZE) : NULL;
    if (slot == NULL || (added && copy == NULL)) {
        ri_bytemap_deinit(&set->map); /* it must not keep what it borrowed */
        return ri_fail_nomem(err);
    }
    if (added) {
        slot->key = copy;
    }
    return RILLE_OK;
}

/* Where storage answers later, the node comes with those behind it. What was read ahead may have to go: this node is the only
 * one that is read now. */
static int ask_ahead(const ri_check *c, ri_io *io)
{
    ri_io_relieve(io);
    if (is_root(c)) {
        return RILLE_OK;
    }
    const ri_node *parent = c->path[c->level + 1];
    uint32_t max = ri_window_max(c->store, NULL);
    uint32_t asked = 1;
    for (uint32_t i = c->slot[c->level + 1] + 1; i < parent->count && asked < max && !ri_io_is_full(io); i++) {
        if (!c->options.only_unseen || !is_seen(c->options.seen, parent->children[i].addr)) {
            RI_TRY(ri_store_prefetch(c->store, &parent->children[i], ri_node_decode, io));
            asked++;
        }
    }
    return RILLE_OK;
}

static int get_node(ri_check *c, ri_io *io, rille_err *err)
{
    ri_node *node;
    int rc;
    if (c->options.only_unseen && is_seen(c->options.seen, ref_of(c)->addr)) {
        c->stage = END;
        return RILLE_OK;
    }
    while ((rc = ri_tree_node(c->store, c->order, ref_of(c), c->level, datoms_of(c), io, &node, err)) == RILLE_NEED) {
        RI_TRY(ask_ahead(c, io) != RILLE_OK ? ri_fail_nomem(err) : RILLE_OK);
        RI_TRY(ri_io_fetch(io, err));
    }
    RI_TRY(rc);
    rc = note_node(c->options.seen, ref_of(c)->addr, err);
    if (rc != RILLE_OK) {
        ri_node_release(node);
        return rc;
    }
    c->report->nodes++;
    c->report->bytes += node->len;
    c->path[c->level] = node;
    c->slot[c->level] = 0;
    c->hashed = 0;
    c->stage = c->options.only_unseen ? CHILDREN : HASH;
    ri_hasher_begin(&c->hash);
    return RILLE_OK;
}

/* ---- the node by itself ---- */

static int hash_slice(ri_check *c, rille_err *err)
{
    const ri_node *node = c->path[c->level];
    size_t len = node->len - c->hashed < HASH_SLICE ? node->len - c->hashed : HASH_SLICE;
    ri_hasher_add(&c->hash, node->bytes + c->hashed, len);
    c->hashed += len;
    if (c->hashed < node->len) {
        return RILLE_OK;
    }
    uint8_t addr[RI_HASH_SIZE];
    ri_hasher_end(&c->hash, addr);
    c->stage = PLACE;
    return memcmp(addr, ref_of(c)->addr, RI_HASH_SIZE) == 0 ? RILLE_OK
                                                            : wrong(c, "its bytes do not match its address", err);
}

/* It is the encoding of c->rows. */
static int check_encoding(ri_check *c, rille_err *err)
{
    const ri_node *node = c->path[c->level];
    uint64_t *counts = NULL;
    uint8_t *addrs = NULL;
    if (node->level > 0) {
        counts = ri_alloc_array(node->count, sizeof *counts + RI_HASH_SIZE);
        if (counts == NULL) {
            return ri_fail_nomem(err);
        }
        addrs = (uint8_t *)(counts + node->count);
        for (uint32_t i = 0; i < node->count; i++) {
            counts[i] = node->counts[i + 1] - node->counts[i];
            memcpy(addrs + (size_t)i * RI_HASH_SIZE, node->children[i].addr, RI_HASH_SIZE);
        }
    }
    ri_buf_clear(&c->bytes);
    int rc = ri_node_encode(c->encoder, c->order, node->level, c->rows, node->count, counts, addrs, &c->bytes, err);
    ri_free(counts);
    c->stage = node->level == 0 ? VISIT : CHILDREN;
    if (rc == RILLE_OK && (c->bytes.len != node->len || memcmp(c->bytes.p, node->bytes, node->len) != 0)) {
        return wrong(c, "it does not have the canonical encoding of its rows", err);
    }
    return rc;
}

/* ---- between nodes ---- */

/* The leaf begins where it should. */
static int check_begin(const ri_check *c, rille_err *err)
{
    const ri_datom *first = &c->rows[0];
    ri_datom separator = separator_of(c);
    if (c->seen == 0) {
        ri_datom zero = ri_separator_zero(c->order);
        return ri_separator_same(&separator, &zero) ? RILLE_OK
                                                    : wrong(c, "the first separator of its level is not zero", err);
    }
    const ri_datom *last = c->last_row;
    if (ri_datom_cmp(c->order, last, first) >= 0) {
        return wrong(c, "its first datom is not greater than the last one of the previous leaf", err);
    }
    ri_datom shortest = ri_separator(c->order, last, first);
    if (!ri_separator_same(&separator, &shortest)) {
        return wrong(c, "its separator is not the shortest one", err);
    }
    return ri_leaf_closes(&c->limits, c->order, c->last_counts[0], c->last_key_bytes, first)
               ? RILLE_OK
               : wrong(c, "the previous leaf should not end there", err);
}

static int check_leaf(ri_check *c, rille_err *err)
{
    const ri_node *leaf = c->path[0];
    uint64_t key_bytes = 0;
    RI_TRY(check_begin(c, err));
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (i > 0 && ri_leaf_closes(&c->limits, c->order, i, key_bytes, &c->rows[i])) {
            return wrong(c, "it continues where it should end", err);
        }
        key_bytes += ri_row_key_bytes(&c->rows[i]);
    }
    c->last_key_bytes = key_bytes;
    c->seen += leaf->count;
    c->report->leaves++;
    c->report->datoms += leaf->count;
    c->row = 0;
    return RILLE_OK;
}

static int check_branch(const ri_check *c, rille_err *err)
{
    const ri_node *node = c->path[c->level];
    ri_datom separator = separator_of(c);
    if (!ri_separator_same(&separator, &c->rows[0])) {
        return wrong(c, "its first separator differs from its parent's", err);
    }
    if (c->last_counts[c->level] > 0 &&
        !ri_branch_closes(&c->limits, c->order, c->last_counts[c->level], &c->rows[0])) {
        return wrong(c, "the previous branch should not end there", err);
    }
    for (uint32_t i = 1; i < node->count; i++) {
        if (ri_branch_closes(&c->limits, c->order, i, &c->rows[i])) {
            return wrong(c, "it continues where it should end", err);
        }
    }
    return RILLE_OK;
}

/* Its rows are in order, and it begins and ends where it should: so it is not too large to be encoded at once. Its rows
 * are in c->rows afterwards. */
static int check_place(ri_check *c, rille_err *err)
{
    const ri_node *node = c->path[c->level];
    int rc = ri_node_check(node, err);
    if (rc != RILLE_OK) {
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, ref_of(c)->addr, RI_HASH_SIZE);
        ri_err_prefix(err, "node %s of tree %s", hex, ri_order_name(c->order));
        return rc;
    }
    ri_node_datoms(node, 0, node->count, c->rows);
    RI_TRY(c->level == 0 ? check_leaf(c, err) : check_branch(c, err));
    c->last_counts[c->level] = node->count;
    c->stage = ENCODE;
    return RILLE_OK;
}

/* ---- the walk ---- */

static int visit_rows(ri_check *c, rille_err *err)
{
    uint32_t count = c->path[0]->count;
    uint32_t end = count - c->row < VISIT_ROWS ? count : c->row + VISIT_ROWS;
    if (c->options.visit != NULL) {
        RI_TRY(c->options.visit(c->options.context, c->rows, end, &c->row, err));
    }
    c->row = end;
    if (end < count) {
        return RILLE_OK;
    }
    ri_arena_reset(&c->last_bytes);
    *c->last_row = c->rows[count - 1];
    c->stage = END;
    return ri_value_copy(&c->last_bytes, &c->rows[count - 1].v, &c->last_row->v) ? RILLE_OK : ri_fail_nomem(err);
}

/* To the next child, or the node is done. */
static void go_down(ri_check *c)
{
    bool has_child = c->level > 0 && c->slot[c->level] < c->path[c->level]->count;
    c->stage = has_child ? GET : END;
    c->level -= has_child ? 1U : 0U;
}

/* Back to the parent. */
static void go_up(ri_check *c)
{
    ri_node_release(c->path[c->level]);
    c->path[c->level++] = NULL;
    if (c->level < c->tree.height) {
        c->slot[c->level]++;
        c->stage = CHILDREN;
    }
}

/* A stage of the node at hand. *work: what it was. */
static int step(ri_check *c, ri_io *io, size_t *work, rille_err *err)
{
    uint32_t count = c->path[c->level] == NULL ? 0 : c->path[c->level]->count;
    switch (c->stage) {
    case GET:
        RI_TRY(get_node(c, io, err));
        *work = c->path[c->level] == NULL ? 0 : HASH_SLICE / 4; /* it was decoded */
        return RILLE_OK;
    case HASH:
        *work = HASH_SLICE / 4;
        return hash_slice(c, err);
    case PLACE:
        *work = (size_t)count * CHECK_WORK;
        return check_place(c, err);
    case ENCODE:
        *work = (size_t)count * ENCODE_WORK;
        return check_encoding(c, err);
    case VISIT:
        *work = (size_t)VISIT_ROWS * VISIT_WORK;
        return visit_rows(c, err);
    case CHILDREN:
        go_down(c);
        return RILLE_OK;
    case END:
        go_up(c);
        ri_task_part();
        return RILLE_OK;
    }
    return RILLE_OK;
}

int ri_check_run(ri_check *c, ri_io *io, rille_err *err)
{
    while (c->level < c->tree.height) {
        size_t work = 0;
        RI_TRY(step(c, io, &work, err));
        if (work > 0 && ri_task_pause(work)) {
            return RILLE_NEED;
        }
    }
    if (c->tree.height > 1 && c->last_counts[c->tree.height - 1] == 1) {
        c->level = c->tree.height - 1U;
        return wrong(c, "the root has a single child", err);
    }
    return RILLE_OK;
}

/* ---- a whole tree ---- */

void ri_node_set_deinit(ri_node_set *set)
{
    ri_bytemap_deinit(&set->map);
    ri_arena_deinit(&set->bytes);
}

static bool make_room(ri_check *c)
{
    c->encoder = ri_encoder_new();
    c->rows = ri_alloc_array(RI_NODE_ROWS_MAX + 1, sizeof *c->rows);
    c->last_row = c->rows != NULL ? c->rows + RI_NODE_ROWS_MAX : NULL;
    return c->encoder != NULL && c->rows != NULL;
}

int ri_check_new(ri_store *store, const ri_tree *tree, const ri_check_options *options, ri_check_report *report,
                 ri_check **out, rille_err *err)
{
    *out = NULL;
    if (tree->count > 0) {
        RI_TRY(ri_tree_check_height(tree, err));
    }
    ri_check *c = ri_alloc_zero(sizeof *c);
    if (c == NULL) {
        return ri_fail_nomem(err);
    }
    c->store = store;
    c->tree = *tree;
    c->tree.height = tree->count > 0 ? tree->height : 0;
    c->order = (ri_order)tree->order;
    c->options = *options;
    c->limits = options->limits != NULL ? *options->limits : ri_limits_standard;
    c->report = report;
    c->level = c->tree.height > 0 ? c->tree.height - 1U : 0;
    if (tree->count > 0 && !options->only_unseen && !make_room(c)) {
        ri_check_release(c);
        return ri_fail_nomem(err);
    }
    *out = c;
    return RILLE_OK;
}

void ri_check_release(ri_check *c)
{
    if (c != NULL) {
        for (unsigned i = 0; i < RI_TREE_HEIGHT_MAX; i++) {
            ri_node_release(c->path[i]);
        }
        ri_encoder_free(c->encoder);
        ri_free(c->rows);
        ri_buf_deinit(&c->bytes);
        ri_arena_deinit(&c->last_bytes);
        ri_free(c);
    }
}

int ri_tree_check_limits(ri_store *store, const ri_tree *tree, const ri_limits *limits, ri_check_report *report,
                         rille_err *err)
{
    ri_check *check;
    ri_io io = { 0 };
    *report = (ri_check_report){ 0 };
    RI_TRY(ri_check_new(store, tree, &(ri_check_options){ .limits = limits }, report, &check, err));
    int rc = ri_check_run(check, &io, err);
    ri_check_release(check);
    ri_io_deinit(&io);
    return rc;
}

int ri_tree_check(ri_store *store, const ri_tree *tree, ri_check_report *report, rille_err *err)
{
    return ri_tree_check_limits(store, tree, NULL, report, err);
}
