/* SPDX-License-Identifier: MIT
 *
 * Questions about a tree that one descent answers, without a cursor: is a datom there, how many lie before a cut.
 *
 * Cost: one search and one cache probe a level; the nodes are released on the way down.
 */
#include "chunk.h"

#include <assert.h>

int ri_tree_check_height(const ri_tree *tree, rille_err *err)
{
    if (tree->height == 0 || tree->height > RI_TREE_HEIGHT_MAX || tree->order >= RI_ORDER_COUNT) {
        return ri_fail(err, RILLE_CORRUPT,
                       "the record of a tree has order %u and height %u, but the height must be 1 to %d", tree->order,
                       tree->height, RI_TREE_HEIGHT_MAX);
    }
    return RILLE_OK;
}

int ri_tree_node(ri_store *store, ri_order order, const ri_noderef *ref, unsigned level, uint64_t datoms, ri_io *io,
                 ri_node **out, rille_err *err)
{
    ri_object *object;
    *out = NULL;
    RI_TRY(ri_store_get(store, ref, ri_node_decode, io, &object, err));
    ri_node *node = (ri_node *)(void *)object;
    uint64_t found = node->level == 0 ? node->count : node->counts[node->count];
    if (node->order != order || node->level != level || found != datoms) {
        char addr[2 * RI_HASH_SIZE + 1];
        ri_hex(addr, ref->addr, RI_HASH_SIZE);
        int rc = ri_fail(err, RILLE_CORRUPT,
                         "node %s is of tree %s, level %u, with %llu datoms, but the reference to it has tree %s, "
                         "level %u, %llu datoms",
                         addr, ri_order_name((ri_order)node->order), node->level, (unsigned long long)found,
                         ri_order_name(order), level, (unsigned long long)datoms);
        ri_node_release(node);
        return rc;
    }
    *out = node;
    return RILLE_OK;
}

/* ---- order between nodes ---- */

static int fail_order(const ri_node *node, const char *what, rille_err *err)
{
    return ri_fail(err, RILLE_CORRUPT,
                   "a node of tree %s, level %u, is out of order: it %s; restore the database from a backup",
                   ri_order_name((ri_order)node->order), node->level, what);
}

int ri_tree_check_place(const ri_node *node, const ri_datom *separator, const ri_datom *next, rille_err *err)
{
    ri_order order = (ri_order)node->order;
    ri_datom first;
    ri_node_datom(node, 0, &first);
    int above = ri_datom_cmp(order, &first, separator);
    if (above < 0 || (above > 0 && node->level > 0)) {
        return fail_order(node, "does not begin where its branch says", err);
    }
    if (next == NULL) {
        return RILLE_OK;
    }
    ri_datom last;
    ri_node_datom(node, node->count - 1, &last);
    return ri_datom_cmp(order, &last, next) < 0 ? RILLE_OK
                                                : fail_order(node, "does not end where the next one begins", err);
}

int ri_tree_check_last(ri_node *const *path, const uint32_t *slot, unsigned height, unsigned level,
                       const ri_node *child, rille_err *err)
{
    if (slot[level] + 1 < path[level]->count) {
        return RILLE_OK; /* ri_tree_child has looked */
    }
    while (level < height && slot[level] + 1 == path[level]->count) {
        level++;
    }
    if (level == height) {
        return RILLE_OK;
    }
    ri_datom next;
    ri_datom last;
    ri_node_datom(path[level], slot[level] + 1, &next);
    ri_node_datom(child, child->count - 1, &last);
    return ri_datom_cmp((ri_order)child->order, &last, &next) < 0
               ? RILLE_OK
               : fail_order(child, "does not end where the next one begins", err);
}

static int check_child(const ri_node *parent, uint32_t slot, const ri_node *child, rille_err *err)
{
    ri_datom separator;
    ri_datom next;
    bool is_last = slot + 1 == parent->count;
    ri_node_datom(parent, slot, &separator);
    if (!is_last) {
        ri_node_datom(parent, slot + 1, &next);
    }
    return ri_tree_check_place(child, &separator, is_last ? NULL : &next, err);
}

#define NODE_BYTES 896U /* the node, the attributes of its groups, parts of its columns */

/* What a search of a leaf reads comes while a reference is taken. */
static inline void look_ahead(const ri_weak *place)
{
    uintptr_t leaf = atomic_load_explicit(&place->word, memory_order_relaxed);
    for (uintptr_t offset = 0; leaf != 0 && offset < NODE_BYTES; offset += 64) {
        RI_PREFETCH((const void *)(leaf + offset));
    }
}

/* What a place says was found good when it was set. */
static inline ri_node *known_child(const ri_node *parent, uint32_t slot)
{
    ri_weak *place = &parent->places[slot];
    if (parent->level == 1) {
        look_ahead(place);
    }
    return (ri_node *)(void *)ri_weak_get(place);
}

static int find_child(ri_store *store, const ri_node *parent, uint32_t slot, ri_io *io, ri_node **out, rille_err *err)
{
    RI_TRY(ri_tree_node(store, (ri_order)parent->order, &parent->children[slot], parent->level - 1U,
                        parent->counts[slot + 1] - parent->counts[slot], io, out, err));
    int rc = check_child(parent, slot, *out, err);
    if (rc != RILLE_OK) {
        ri_node_release(*out);
        *out = NULL;
        return rc;
    }
    ri_weak_set(&parent->places[slot], &(*out)->object);
    return RILLE_OK;
}

int ri_tree_child(ri_store *store, const ri_node *parent, uint32_t slot, ri_io *io, ri_node **out, rille_err *err)
{
    *out = ri_io_asks(io) ? NULL : known_child(parent, slot);
    return *out != NULL ? RILLE_OK : find_child(store, parent, slot, io, out, err);
}

int ri_tree_child_ahead(ri_store *store, const ri_node *parent, uint32_t slot, ri_io *io, ri_node **out)
{
    ri_object *object = NULL;
    *out = ri_io_asks(io) ? NULL : known_child(parent, slot);
    int rc = *out == NULL ? ri_store_ahead(store, &parent->children[slot], ri_node_decode, io, &object) : RILLE_OK;
    ri_node *node = (ri_node *)(void *)object;
    if (node != NULL && (node->order != parent->order || node->level + 1U != parent->level)) {
        ri_node_release(node); /* who reads it is told */
        node = NULL;
    }
    *out = *out != NULL ? *out : node;
    return rc;
}

/* ---- one descent ---- */

/* A descent to one leaf: from a node, a reference, to its child; after a failure there is none. */
typedef struct descent {
    ri_store *store;
    ri_io *io;
    bool asks;
    bool last; /* there is nothing right of the node */
    ri_node *node;
} descent;

static int step_down(descent *d, uint32_t slot, rille_err *err)
{
    ri_node *child = d->asks ? NULL : known_child(d->node, slot);
    int rc = child != NULL ? RILLE_OK : find_child(d->store, d->node, slot, d->io, &child, err);
    d->last = d->last && slot + 1 == d->node->count;
    ri_node_release(d->node);
    d->node = rc == RILLE_OK ? child : NULL;
    return rc;
}

static int find_root(descent *d, const ri_tree *tree, ri_weak *place, rille_err *err)
{
    RI_TRY(ri_tree_check_height(tree, err));
    d->asks = ri_io_asks(d->io);
    d->last = true;
    d->node = place == NULL || d->asks ? NULL : (ri_node *)(void *)ri_weak_get(place);
    if (d->node == NULL) {
        RI_TRY(ri_tree_root(d->store, tree, d->io, &d->node, err));
        if (place != NULL) {
            ri_weak_set(place, &d->node->object);
        }
    }
    return RILLE_OK;
}

/* To the leaf of the cut. */
static int find_leaf(descent *d, const ri_tree *tree, ri_weak *root, const ri_bound *bound, rille_err *err)
{
    RI_TRY(find_root(d, tree, root, err));
    while (d->node->level > 0) {
        RI_TRY(step_down(d, ri_node_child(d->node, bound), err));
    }
    return RILLE_OK;
}

int ri_tree_rank(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *bound, ri_io *io, uint64_t *out,
                 rille_err *err)
{
    *out = 0;
    if (tree->count == 0 || bound->parts == 0) {
        *out = bound->parts == 0 && bound->after ? tree->count : 0;
        return RILLE_OK;
    }
    uint64_t before = 0;
    descent d = { .store = store, .io = io };
    RI_TRY(find_root(&d, tree, root, err));
    while (d.node->level > 0) {
        uint32_t slot = ri_node_child(d.node, bound);
        before += d.node->counts[slot];
        RI_TRY(step_down(&d, slot, err));
    }
    *out = before + ri_node_search(d.node, 0, bound);
    ri_node_release(d.node);
    return RILLE_OK;
}

/* The child that has a datom, by the number of datoms of the node before it. */
static uint32_t child_at(const ri_node *branch, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = branch->count;
    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;
        if (branch->counts[mid] <= number) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

int ri_tree_at(ri_store *store, const ri_tree *tree, ri_weak *root, uint64_t rank, ri_io *io, ri_node **leaf,
               uint32_t *row, rille_err *err)
{
    descent d = { .store = store, .io = io };
    *leaf = NULL;
    *row = 0;
    RI_TRY(find_root(&d, tree, root, err));
    while (d.node->level > 0) {
        uint32_t slot = child_at(d.node, rank);
        rank -= d.node->counts[slot];
        RI_TRY(step_down(&d, slot, err));
    }
    assert(rank < d.node->count);
    *leaf = d.node;
    *row = (uint32_t)rank;
    return RILLE_OK;
}

int ri_tree_range(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *from, const ri_bound *to,
                  ri_io *io, uint64_t *first, uint64_t *count, rille_err *err)
{
    uint64_t end = 0;
    *count = 0;
    int rc = ri_tree_rank(store, tree, root, from, io, first, err);
    if (rc != RILLE_OK && rc != RILLE_NEED) {
        return rc;
    }
    int rc_to =
        ri_tree_rank(store, tree, root, to, io, &end, err); /* asked for in any case: both are fetched at once */
    if (rc != RILLE_OK || rc_to != RILLE_OK) {
        return rc_to < 0 || rc == RILLE_OK ? rc_to : rc;
    }
    *count = end > *first ? end - *first : 0;
    return RILLE_OK;
}

int ri_tree_count(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *from, const ri_bound *to,
                  ri_io *io, uint64_t *out, rille_err *err)
{
    uint64_t first;
    return ri_tree_range(store, tree, root, from, to, io, &first, out, err);
}

int ri_tree_equal(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *prefix, ri_io *io,
                  ri_node **leaf, uint32_t *first, uint32_t *end, bool *more, rille_err *err)
{
    descent d = { .store = store, .io = io };
    *leaf = NULL;
    if (tree->count == 0) {
        return RILLE_DONE;
    }
    RI_TRY(find_leaf(&d, tree, root, prefix, err));
    ri_node_equal(d.node, prefix, first, end);
    *more = *end == d.node->count && !d.last;
    *leaf = d.node;
    return RILLE_OK;
}

int ri_tree_get(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_datom *datom, ri_io *io, bool *found,
                ri_datom *out, ri_node **leaf, rille_err *err)
{
    *found = false;
    *leaf = NULL;
    if (tree->count == 0) {
        return RILLE_OK;
    }
    ri_order order = (ri_order)tree->order;
    /* a separator may equal the datom: the cut behind it lies in the leaf that it would be in */
    ri_bound bound = { .d = *datom, .parts = (uint8_t)ri_order_parts(order), .after = true };
    descent d = { .store = store, .io = io };
    RI_TRY(find_leaf(&d, tree, root, &bound, err));
    bound.after = false;
    uint32_t row = ri_node_search(d.node, 0, &bound);
    if (row < d.node->count) {
        ri_node_datom(d.node, row, out);
        if (ri_datom_cmp(order, out, datom) == 0) {
            *found = true;
            *leaf = d.node;
            return RILLE_OK;
        }
    }
    *out = (ri_datom){ 0 };
    ri_node_release(d.node);
    return RILLE_OK;
}
