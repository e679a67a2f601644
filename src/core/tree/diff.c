/* SPDX-License-Identifier: MIT
 *
 * What differs between two trees: both are walked in step, and what has one address on both sides is skipped unread.
 *
 * Each side stands at a subtree not opened yet, of which the separator is known (a lower bound of its datoms), or at a
 * row of an open leaf. The next step is
 *   both at subtrees      of one address: skip them; else open the higher one, of one level the one that begins earlier
 *   subtree and row       a row below the separator is only there; else open the subtree
 *   rows                  compare them
 * Trees that share most of their content share most of their nodes (content-defined chunks), so that a few changed
 * datoms cost a few paths, whatever the size.
 *
 * Invariants: (F1) nodes at levels >= open are held; (F2) the datom last reported stays borrowed until the next call:
 * a side moves on only then.
 */
#include "chunk.h"

#define PREFETCH_MAX 64U

typedef struct side {
    ri_store *store;
    ri_tree tree;
    ri_node *path[RI_TREE_HEIGHT_MAX + 1];
    uint32_t slot[RI_TREE_HEIGHT_MAX + 1];
    ri_datom row;  /* open == 0: the datom in slot[0] */
    unsigned open; /* the lowest open level; tree.height: not even the root is */
    bool done;
    bool reported; /* its row was given out: move on first */
} side;

struct ri_diff {
    side a;
    side b;
    ri_order order;
    bool b_follows; /* the row of a was reported, that of b is next: they differ in more than the key */
};

static void init_side(side *s, ri_store *store, const ri_tree *tree)
{
    *s = (side){ .store = ri_store_retain(store), .tree = *tree, .open = tree->height, .done = tree->count == 0 };
}

static void deinit_side(side *s)
{
    for (unsigned i = 0; i < RI_TREE_HEIGHT_MAX + 1; i++) {
        ri_node_release(s->path[i]);
    }
    ri_store_release(s->store);
}

int ri_diff_new(ri_store *store_a, const ri_tree *a, ri_store *store_b, const ri_tree *b, ri_diff **out, rille_err *err)
{
    *out = NULL;
    if (a->order != b->order) {
        return ri_fail(err, RILLE_INTERNAL, "trees of the orders %u and %u cannot be compared", a->order, b->order);
    }
    if (a->count > 0) {
        RI_TRY(ri_tree_check_height(a, err));
    }
    if (b->count > 0) {
        RI_TRY(ri_tree_check_height(b, err));
    }
    ri_diff *diff = ri_alloc(sizeof *diff);
    if (diff == NULL) {
        return ri_fail_nomem(err);
    }
    *diff = (ri_diff){ .order = (ri_order)a->order };
    init_side(&diff->a, store_a, a);
    init_side(&diff->b, store_b, b);
    *out = diff;
    return RILLE_OK;
}

void ri_diff_release(ri_diff *diff)
{
    if (diff != NULL) {
        deinit_side(&diff->a);
        deinit_side(&diff->b);
        ri_free(diff);
    }
}

/* ---- one side ---- */

/* The subtree at hand, or the open leaf. */
static const ri_noderef *ref_at(const side *s)
{
    unsigned parent = s->open == 0 ? 1 : s->open;
    return parent == s->tree.height ? &s->tree.root : &s->path[parent]->children[s->slot[parent]];
}

/* All datoms of the subtree at hand are not below it. */
static ri_datom separator_at(const side *s, ri_order order)
{
    ri_datom separator = ri_separator_zero(order);
    if (s->open < s->tree.height) {
        ri_node_datom(s->path[s->open], s->slot[s->open], &separator);
    }
    return separator;
}

/* To what follows the subtree at hand. */
static void skip_subtree(side *s)
{
    while (s->open < s->tree.height && s->slot[s->open] + 1 >= s->path[s->open]->count) {
        ri_node_release(s->path[s->open]);
        s->path[s->open++] = NULL;
    }
    if (s->open == s->tree.height) {
        s->done = true;
    } else {
        s->slot[s->open]++;
    }
}

static void skip_leaf(side *s)
{
    ri_node_release(s->path[0]);
    s->path[0] = NULL;
    s->open = 1;
    skip_subtree(s);
}

static void next_row(side *s)
{
    s->reported = false;
    if (++s->slot[0] < s->path[0]->count) {
        ri_node_datom(s->path[0], s->slot[0], &s->row);
    } else {
        skip_leaf(s);
    }
}

static bool is_child(const ri_node *node, const ri_noderef *ref)
{
    for (uint32_t i = 0; node != NULL && i < node->count; i++) {
        if (memcmp(node->children[i].addr, ref->addr, RI_HASH_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* Asks for the next siblings that the other side's parent does not have. */
static int ask_siblings(const side *s, const side *other, ri_io *io)
{
    const ri_node *parent = s->path[s->open];
    unsigned asked = 0;
    for (uint32_t i = s->slot[s->open] + 1; i < parent->count && asked < PREFETCH_MAX; i++) {
        if (!is_child(other->open <= s->open && other->tree.height > s->open ? other->path[s->open] : NULL,
                      &parent->children[i])) {
            int rc = ri_store_prefetch(s->store, &parent->children[i], ri_node_decode, io);
            if (rc < 0) {
                return rc;
            }
            asked++;
        }
    }
    return RILLE_NEED;
}

static int open_subtree(side *s, const side *other, ri_io *io, rille_err *err)
{
    unsigned level = s->open - 1;
    ri_node *node;
    int rc = s->open == s->tree.height ? ri_tree_root(s->store, &s->tree, io, &node, err)
                                       : ri_tree_child(s->store, s->path[s->open], s->slot[s->open], io, &node, err);
    if (rc == RILLE_NEED && s->open < s->tree.height) {
        return ask_siblings(s, other, io);
    }
    if (rc == RILLE_OK && s->open < s->tree.height) {
        rc = ri_tree_check_last(s->path, s->slot, s->tree.height, s->open, node, err);
        if (rc != RILLE_OK) {
            ri_node_release(node);
        }
    }
    if (rc != RILLE_OK) {
        return rc;
    }
    s->path[level] = node;
    s->slot[level] = 0;
    s->open = level;
    if (level == 0) {
        ri_node_datom(node, 0, &s->row);
    }
    return RILLE_OK;
}

/* ---- both ---- */

static bool same_address(const side *a, const side *b)
{
    return memcmp(ref_at(a)->addr, ref_at(b)->addr, RI_HASH_SIZE) == 0;
}

/* Both at subtrees. */
static int step_subtrees(ri_diff *diff, ri_io *io, rille_err *err)
{
    side *a = &diff->a;
    side *b = &diff->b;
    if (a->open == b->open && same_address(a, b)) {
        skip_subtree(a);
        skip_subtree(b);
        return RILLE_OK;
    }
    if (a->open != b->open) {
        return a->open > b->open ? open_subtree(a, b, io, err) : open_subtree(b, a, io, err);
    }
    ri_datom begin_a = separator_at(a, diff->order);
    ri_datom begin_b = separator_at(b, diff->order);
    int order = ri_datom_cmp(diff->order, &begin_a, &begin_b);
    if (order != 0) {
        return order < 0 ? open_subtree(a, b, io, err) : open_subtree(b, a, io, err);
    }
    int rc_a = open_subtree(a, b, io, err);
    if (rc_a < 0) {
        return rc_a;
    }
    int rc_b = open_subtree(b, a, io, err); /* asked for together */
    return rc_b != RILLE_OK ? rc_b : rc_a;
}

/* s at a subtree, t at a row: opens it, skips both, or says that the row is only in t (*only). */
static int step_mixed(ri_diff *diff, side *s, side *t, ri_io *io, bool *only, rille_err *err)
{
    if (t->slot[0] == 0 && s->open == 1 && same_address(s, t)) {
        skip_subtree(s);
        skip_leaf(t);
        return RILLE_OK;
    }
    ri_datom begin = separator_at(s, diff->order);
    *only = ri_datom_cmp(diff->order, &t->row, &begin) < 0;
    return *only ? RILLE_OK : open_subtree(s, t, io, err);
}

static bool same_value(const ri_value *a, const ri_value *b)
{
    if (a->type != b->type || ri_type_is_word(a->type)) {
        return a->type == b->type && a->as.u == b->as.u;
    }
    return a->len == b->len && (a->len == 0 || memcmp(a->as.p, b->as.p, a->len) == 0);
}

static int report(side *s, ri_datom *d, bool is_b, bool *in_b)
{
    *d = s->row;
    *in_b = is_b;
    s->reported = true;
    return RILLE_ROWS;
}

/* Both at rows. RILLE_ROWS: reported. */
static int step_rows(ri_diff *diff, ri_datom *d, bool *in_b)
{
    side *a = &diff->a;
    side *b = &diff->b;
    int order = ri_datom_cmp(diff->order, &a->row, &b->row);
    if (order != 0) {
        return order < 0 ? report(a, d, false, in_b) : report(b, d, true, in_b);
    }
    if (a->row.t != b->row.t || !same_value(&a->row.v, &b->row.v)) {
        diff->b_follows = true;
        return report(a, d, false, in_b);
    }
    next_row(a);
    next_row(b);
    return RILLE_OK;
}

/* One step. RILLE_ROWS: reported. */
static int step(ri_diff *diff, ri_io *io, ri_datom *d, bool *in_b, rille_err *err)
{
    side *a = &diff->a;
    side *b = &diff->b;
    if (a->done || b->done) {
        side *s = a->done ? b : a;
        return s->open > 0 ? open_subtree(s, a->done ? a : b, io, err) : report(s, d, a->done, in_b);
    }
    if (a->open > 0 && b->open > 0) {
        return step_subtrees(diff, io, err);
    }
    if (a->open == 0 && b->open == 0) {
        return step_rows(diff, d, in_b);
    }
    bool only = false;
    side *t = a->open == 0 ? a : b;
    int rc = step_mixed(diff, a->open == 0 ? b : a, t, io, &only, err);
    return rc == RILLE_OK && only ? report(t, d, t == b, in_b) : rc;
}

int ri_diff_next(ri_diff *diff, ri_io *io, ri_datom *d, bool *in_b, rille_err *err)
{
    *d = (ri_datom){ 0 };
    *in_b = false;
    if (diff->a.reported) {
        next_row(&diff->a);
        if (diff->b_follows) {
            diff->b_follows = false;
            (void)report(&diff->b, d, true, in_b);
            return RILLE_OK;
        }
    }
    if (diff->b.reported) {
        next_row(&diff->b);
    }
    while (!diff->a.done || !diff->b.done) {
        int rc = step(diff, io, d, in_b, err);
        if (rc != RILLE_OK) {
            return rc == RILLE_ROWS ? RILLE_OK : rc;
        }
    }
    return RILLE_DONE;
}
