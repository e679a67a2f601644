/* SPDX-License-Identifier: MIT
 *
 * Verifying a whole tree: everything the builder promises, node by node, so that what is wrong is named.
 *
 * One walk in order. Per node: its bytes give its address, rows are sorted (N6), and it is the encoding of its own rows
 * (which holds what the encoder promises of modes, groups and dictionaries). Between nodes: the first separator is
 * zero, each other one is the shortest between the last datom before it and the first behind it; counts add up; chunks
 * close where the rule says and nowhere else.
 *
 * Cost: reads, decodes and encodes every node once. Memory: the path.
 */
#include "chunk.h"

typedef struct check {
    ri_store *store;
    ri_order order;
    const ri_limits *limits;
    rille_err *err;
    ri_io io;
    ri_encoder *encoder;
    ri_buf bytes;
    ri_datom *rows;
    ri_datom *last_rows; /* one: the last datom seen; its value is in `last_bytes` */
    ri_arena last_bytes;
    uint64_t last_key_bytes;                      /* of the leaf before */
    uint32_t last_counts[RI_TREE_HEIGHT_MAX + 1]; /* rows of the node before, by level */
    uint64_t seen;                                /* datoms */
    ri_check_report *report;
    ri_node_set *seen_nodes; /* NULL: nobody asks */
    ri_check_visit *visit;   /* NULL: likewise */
    void *context;
} check;

static int wrong(const check *c, const ri_noderef *ref, unsigned level, const char *what)
{
    char addr[2 * RI_HASH_SIZE + 1];
    ri_hex(addr, ref->addr, RI_HASH_SIZE);
    return ri_fail(c->err, RILLE_CORRUPT, "node %s of tree %s, level %u: %s", addr, ri_order_name(c->order), level,
                   what);
}

static int get_node(check *c, const ri_noderef *ref, unsigned level, uint64_t datoms, ri_node **out)
{
    int rc;
    while ((rc = ri_tree_node(c->store, c->order, ref, level, datoms, &c->io, out, c->err)) == RILLE_NEED) {
        RI_TRY(ri_io_fetch(&c->io, c->err));
    }
    ri_io_clear(&c->io);
    return rc;
}

/* The node by itself. Its rows are in c->rows afterwards. */
static int check_bytes(check *c, const ri_noderef *ref, const ri_node *node)
{
    uint8_t addr[RI_HASH_SIZE];
    ri_blake2b(addr, node->bytes, node->len);
    if (memcmp(addr, ref->addr, RI_HASH_SIZE) != 0) {
        return wrong(c, ref, node->level, "its bytes do not match its address");
    }
    int rc = ri_node_check(node, c->err);
    if (rc != RILLE_OK) {
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, ref->addr, RI_HASH_SIZE);
        ri_err_prefix(c->err, "node %s of tree %s", hex, ri_order_name(c->order));
        return rc;
    }
    ri_node_datoms(node, 0, node->count, c->rows);
    uint64_t *counts = NULL;
    uint8_t *addrs = NULL;
    if (node->level > 0) {
        counts = ri_alloc_array(node->count, sizeof *counts + RI_HASH_SIZE);
        if (counts == NULL) {
            return ri_fail_nomem(c->err);
        }
        addrs = (uint8_t *)(counts + node->count);
        for (uint32_t i = 0; i < node->count; i++) {
            counts[i] = node->counts[i + 1] - node->counts[i];
            memcpy(addrs + (size_t)i * RI_HASH_SIZE, node->children[i].addr, RI_HASH_SIZE);
        }
    }
    ri_buf_clear(&c->bytes);
    rc = ri_node_encode(c->encoder, c->order, node->level, c->rows, node->count, counts, addrs, &c->bytes, c->err);
    ri_free(counts);
    if (rc == RILLE_OK && (c->bytes.len != node->len || memcmp(c->bytes.p, node->bytes, node->len) != 0)) {
        return wrong(c, ref, node->level, "it does not have the canonical encoding of its rows");
    }
    return rc;
}

static int check_leaf(check *c, const ri_noderef *ref, const ri_node *leaf, const ri_datom *separator)
{
    const ri_datom *rows = c->rows;
    if (c->seen == 0) {
        ri_datom zero = ri_separator_zero(c->order);
        if (!ri_separator_same(separator, &zero)) {
            return wrong(c, ref, 0, "the first separator of its level is not zero");
        }
    } else {
        const ri_datom *last = c->last_rows;
        if (ri_datom_cmp(c->order, last, &rows[0]) >= 0) {
            return wrong(c, ref, 0, "its first datom is not greater than the last one of the previous leaf");
        }
        ri_datom shortest = ri_separator(c->order, last, &rows[0]);
        if (!ri_separator_same(separator, &shortest)) {
            return wrong(c, ref, 0, "its separator is not the shortest one");
        }
        if (!ri_leaf_closes(c->limits, c->order, c->last_counts[0], c->last_key_bytes, &rows[0])) {
            return wrong(c, ref, 0, "the previous leaf should not end there");
        }
    }
    uint64_t key_bytes = 0;
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (i > 0 && ri_leaf_closes(c->limits, c->order, i, key_bytes, &rows[i])) {
            return wrong(c, ref, 0, "it continues where it should end");
        }
        key_bytes += ri_row_key_bytes(&rows[i]);
    }
    c->last_key_bytes = key_bytes;
    c->seen += leaf->count;
    c->report->leaves++;
    c->report->datoms += leaf->count;
    for (uint32_t i = 0; c->visit != NULL && i < leaf->count; i++) {
        RI_TRY(c->visit(c->context, &rows[i], c->err));
    }
    ri_arena_reset(&c->last_bytes);
    *c->last_rows = rows[leaf->count - 1];
    return ri_value_copy(&c->last_bytes, &rows[leaf->count - 1].v, &c->last_rows->v) ? RILLE_OK : ri_fail_nomem(c->err);
}

static int check_branch(check *c, const ri_noderef *ref, const ri_node *node, const ri_datom *separator)
{
    if (!ri_separator_same(separator, &c->rows[0])) {
        return wrong(c, ref, node->level, "its first separator differs from its parent's");
    }
    if (c->last_counts[node->level] > 0 &&
        !ri_branch_closes(c->limits, c->order, c->last_counts[node->level], &c->rows[0])) {
        return wrong(c, ref, node->level, "the previous branch should not end there");
    }
    for (uint32_t i = 1; i < node->count; i++) {
        if (ri_branch_closes(c->limits, c->order, i, &c->rows[i])) {
            return wrong(c, ref, node->level, "it continues where it should end");
        }
    }
    return RILLE_OK;
}

/* NULL set: nothing is noted. */
static int note_node(ri_node_set *set, const uint8_t addr[RI_HASH_SIZE], bool *added, rille_err *err)
{
    *added = true;
    if (set == NULL) {
        return RILLE_OK;
    }
    ri_bytemap_slot *slot = ri_bytemap_put(&set->map, addr, RI_HASH_SIZE, added);
    const void *copy = slot != NULL && *added ? ri_arena_copy(&set->bytes, addr, RI_HASH_SIZE) : NULL;
    if (slot == NULL || (*added && copy == NULL)) {
        ri_bytemap_deinit(&set->map); /* it must not keep what it borrowed */
        return ri_fail_nomem(err);
    }
    if (*added) {
        slot->key = copy;
    }
    return RILLE_OK;
}

static int check_node(check *c, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *separator);

static int check_children(check *c, const ri_node *node)
{
    for (uint32_t i = 0; i < node->count; i++) {
        ri_datom separator;
        ri_node_datom(node, i, &separator);
        RI_TRY(check_node(c, &node->children[i], node->level - 1U, node->counts[i + 1] - node->counts[i], &separator));
    }
    return RILLE_OK;
}

static int check_node(check *c, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *separator)
{
    ri_node *node;
    bool added;
    RI_TRY(note_node(c->seen_nodes, ref->addr, &added, c->err));
    RI_TRY(get_node(c, ref, level, datoms, &node));
    c->report->nodes++;
    c->report->bytes += node->len;
    int rc = check_bytes(c, ref, node);
    if (rc == RILLE_OK) {
        rc = level == 0 ? check_leaf(c, ref, node, separator) : check_branch(c, ref, node, separator);
    }
    if (rc == RILLE_OK) {
        c->last_counts[level] = node->count;
        rc = level == 0 ? RILLE_OK : check_children(c, node);
    }
    ri_node_release(node);
    return rc;
}

/* ---- what was seen ---- */

void ri_node_set_deinit(ri_node_set *set)
{
    ri_bytemap_deinit(&set->map);
    ri_arena_deinit(&set->bytes);
}

/* Level by level, as ri_tree_node checks it: what its parent says of a node must be so. */
static int check_unseen(check *c, const ri_noderef *ref, unsigned level, uint64_t datoms)
{
    ri_node *node;
    bool added;
    RI_TRY(note_node(c->seen_nodes, ref->addr, &added, c->err));
    if (!added) {
        return RILLE_OK;
    }
    RI_TRY(get_node(c, ref, level, datoms, &node));
    c->report->nodes++;
    c->report->bytes += node->len;
    int rc = RILLE_OK;
    for (uint32_t i = 0; level > 0 && rc == RILLE_OK && i < node->count; i++) {
        rc = check_unseen(c, &node->children[i], level - 1U, node->counts[i + 1] - node->counts[i]);
    }
    ri_node_release(node);
    return rc;
}

int ri_tree_check_unseen(ri_store *store, const ri_tree *tree, ri_node_set *seen, ri_check_report *report,
                         rille_err *err)
{
    if (tree->count == 0) {
        return RILLE_OK;
    }
    RI_TRY(ri_tree_check_height(tree, err));
    check c = { .store = store, .order = (ri_order)tree->order, .err = err, .report = report, .seen_nodes = seen };
    int rc = check_unseen(&c, &tree->root, tree->height - 1U, tree->count);
    ri_io_deinit(&c.io);
    return rc;
}

/* ---- a whole tree ---- */

static int check_tree(ri_store *store, const ri_tree *tree, const ri_limits *limits, check c, ri_check_report *report,
                      rille_err *err)
{
    *report = (ri_check_report){ 0 };
    if (tree->count == 0) {
        return RILLE_OK;
    }
    RI_TRY(ri_tree_check_height(tree, err));
    c.store = store;
    c.order = (ri_order)tree->order;
    c.limits = limits;
    c.err = err;
    c.report = report;
    c.encoder = ri_encoder_new();
    c.rows = ri_alloc_array(RI_NODE_ROWS_MAX + 1, sizeof *c.rows);
    int rc;
    if (c.encoder == NULL || c.rows == NULL) {
        rc = ri_fail_nomem(err);
    } else {
        ri_datom zero = ri_separator_zero(c.order);
        c.last_rows = c.rows + RI_NODE_ROWS_MAX;
        rc = check_node(&c, &tree->root, tree->height - 1U, tree->count, &zero);
    }
    if (rc == RILLE_OK && tree->height > 1 && c.last_counts[tree->height - 1] == 1) {
        rc = wrong(&c, &tree->root, tree->height - 1U, "the root has a single child");
    }
    ri_encoder_free(c.encoder);
    ri_free(c.rows);
    ri_buf_deinit(&c.bytes);
    ri_arena_deinit(&c.last_bytes);
    ri_io_deinit(&c.io);
    return rc;
}

int ri_tree_check_limits(ri_store *store, const ri_tree *tree, const ri_limits *limits, ri_check_report *report,
                         rille_err *err)
{
    return check_tree(store, tree, limits, (check){ .visit = NULL }, report, err);
}

int ri_tree_check_noting(ri_store *store, const ri_tree *tree, ri_node_set *seen, ri_check_visit *visit, void *context,
                         ri_check_report *report, rille_err *err)
{
    check c = { .seen_nodes = seen, .visit = visit, .context = context };
    return check_tree(store, tree, &ri_limits_standard, c, report, err);
}

int ri_tree_check(ri_store *store, const ri_tree *tree, ri_check_report *report, rille_err *err)
{
    return check_tree(store, tree, &ri_limits_standard, (check){ .visit = NULL }, report, err);
}
