/* SPDX-License-Identifier: MIT
 *
 * The chunker: the one place where datoms become leaves, leaves become branches, and a root comes out. ri_builder feeds
 * it with datoms, ri_tree_merge with datoms and with old nodes that are taken over as they are.
 *
 *   levels[2]   [ item item            <- open branch: refs to closed level-1 branches
 *   levels[1]   [ item item item       <- open branch: refs to closed leaves
 *   rows        [ d d d d d            <- open leaf
 *
 * A boundary is decided when the first datom behind it is known, on all levels at once: the leaf closes before d; d and
 * the last datom of the leaf give the separator; then level 1 closes before it or not, and only if it does, level 2 is
 * asked ...
 *
 * Invariants:
 * (K1) Items of an open chunk have been decided to belong together: nothing is asked again.
 * (K2) levels[i] is empty for all i below the highest level that closed at the last boundary.
 * (K3) Separators in levels are copies; rows are borrowed until their leaf is written.
 */
#ifndef RI_CHUNK_H
#define RI_CHUNK_H

#include "encoder.h"
#include "tree.h"

/* The constants of the format (tree.h); tests use smaller ones to get high trees of few datoms. */
typedef struct ri_limits {
    uint32_t leaf_min;
    uint32_t leaf_max;
    uint32_t leaf_slope;
    uint32_t leaf_bytes_max;
    uint32_t branch_min;
    uint32_t branch_max;
    uint32_t branch_slope;
} ri_limits;
extern const ri_limits ri_limits_standard;

/* Does a leaf of n > 0 rows and key_bytes close before d? */
bool ri_leaf_closes(const ri_limits *limits, ri_order order, uint32_t n, uint64_t key_bytes, const ri_datom *d);
/* Does a branch of n > 0 children close before the child with this separator? */
bool ri_branch_closes(const ri_limits *limits, ri_order order, uint32_t n, const ri_datom *separator);
static inline void ri_prefetch_datom(const ri_datom *d)
{
    RI_PREFETCH(d);
    RI_PREFETCH((const char *)d + sizeof *d - 1); /* half of them lie in two lines */
}

/* Is b's value above a's, or the same and its e above? False where that takes a closer look. */
static inline bool ri_is_above_by_value(const ri_datom *a, const ri_datom *b)
{
    if (a->v.type != b->v.type) {
        return false;
    }
    if (a->v.type == RI_LONG || a->v.type == RI_INSTANT) {
        return a->v.as.i < b->v.as.i || (a->v.as.i == b->v.as.i && a->e < b->e);
    }
    bool same_text = a->v.type == RI_STRING && a->v.as.p == b->v.as.p && a->v.len == b->v.len;
    return same_text && a->e < b->e;
}

/* Is b above a? Mostly the first components say so, without a look at values. */
static inline bool ri_datom_is_above(ri_order order, const ri_datom *a, const ri_datom *b)
{
    bool is_above = false;
    switch (order) {
    case RI_EAVT:
        is_above = a->e < b->e || (a->e == b->e && a->a < b->a);
        break;
    case RI_LOG:
        is_above = a->t < b->t || (a->t == b->t && (a->e < b->e || (a->e == b->e && a->a < b->a)));
        break;
    case RI_AEVT:
        is_above = a->a < b->a || (a->a == b->a && a->e < b->e);
        break;
    case RI_AVET:
    case RI_META:
        is_above = a->a < b->a || (a->a == b->a && ri_is_above_by_value(a, b));
        break;
    case RI_VAET:
    case RI_RET:
    case RI_ORDER_COUNT:
        break;
    }
    return is_above || ri_datom_cmp(order, a, b) < 0;
}
/* What a row adds to key_bytes. */
static inline uint32_t ri_row_key_bytes(const ri_datom *d)
{
    return 16U + d->v.len;
}

/* The first separator of a level. */
ri_datom ri_separator_zero(ri_order order);
/* The shortest cut above last and not above next; borrows from next. */
ri_datom ri_separator(ri_order order, const ri_datom *last, const ri_datom *next);
bool ri_separator_same(const ri_datom *a, const ri_datom *b);

typedef struct ri_origin {
    ri_noderef ref;             /* the old node whose items the chunk began with */
    uint8_t last[RI_HASH_SIZE]; /* branches: address of its last child */
    uint32_t count;             /* its items; 0: none */
} ri_origin;

typedef struct ri_level {
    ri_datom *separators;
    ri_noderef *refs;
    uint64_t *counts;
    size_t separators_cap;
    size_t refs_cap;
    size_t counts_cap;
    uint32_t n;
    bool last_is_old; /* the last item is a node that was stored before */
    ri_origin origin;
    ri_arena bytes; /* of separators */
} ri_level;

/* A text that rows of the open leaf have, and its hash. The same text mostly is the same bytes in memory. */
#define RI_CHUNK_TEXTS 32U /* a power of two */
typedef struct ri_hashed_text {
    const uint8_t *p;
    uint32_t len;
    uint64_t hash;
} ri_hashed_text;

typedef struct ri_chunker {
    ri_order order;
    ri_limits limits;
    ri_writer *writer; /* NULL: nothing is written, addresses only */
    ri_encoder *encoder;
    ri_datom *rows;
    uint32_t n;
    uint64_t key_bytes;
    ri_datom separator; /* of the open leaf */
    ri_arena separator_bytes;
    ri_origin origin;
    ri_hashed_text texts[RI_CHUNK_TEXTS]; /* by their addresses; forgotten with the leaf, whose rows they are of (K3) */
    ri_level levels[RI_TREE_HEIGHT_MAX + 2];
    uint8_t *addrs; /* scratch */
    size_t addrs_cap;
    ri_buf bytes; /* scratch */
} ri_chunker;

/* On failure there is nothing to deinit. */
int ri_chunker_init(ri_chunker *chunker, ri_order order, const ri_limits *limits, ri_writer *writer, rille_err *err);
void ri_chunker_deinit(ri_chunker *chunker);

/* A row into the open leaf, without asking whether it closes. */
static inline void ri_chunker_push(ri_chunker *chunker, const ri_datom *d)
{
    chunker->rows[chunker->n++] = *d;
    chunker->key_bytes += ri_row_key_bytes(d);
}
/* Writes the open leaf, then begins the next one, whose separator is given: closes what closes above. */
int ri_chunker_close_leaf(ri_chunker *chunker, const ri_datom *separator, rille_err *err);
/* Begins a leaf with that separator: the open leaf must be empty. */
int ri_chunker_begin(ri_chunker *chunker, const ri_datom *separator, rille_err *err);
/* A row: closes the leaf before it when that is due. *closed may be NULL. */
int ri_chunker_add(ri_chunker *chunker, const ri_datom *d, bool *closed, rille_err *err);
/* Rows of sorted changes, as far as they are put in, up to the first one behind a leaf that closes. */
int ri_chunker_add_changes(ri_chunker *chunker, const ri_change *changes, size_t count, size_t *added, bool *closed,
                           rille_err *err);
int ri_changes_out_of_order(ri_order order, rille_err *err);
/* An item into levels[level], level >= 1. old: it is a node that was stored before. */
int ri_chunker_put(ri_chunker *chunker, unsigned level, const ri_datom *separator, const ri_noderef *ref,
                   uint64_t count, bool old, rille_err *err);
/* Closes all. *root_is_old: the root is a node that was stored before (and may have one child). */
int ri_chunker_finish(ri_chunker *chunker, ri_tree *out, bool *root_is_old, rille_err *err);

/* The public functions with limits of their own. */
int ri_builder_new_limits(ri_order order, const ri_limits *limits, ri_writer *writer, ri_builder **out, rille_err *err);
int ri_tree_merge_limits(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count,
                         const ri_limits *limits, ri_writer *writer, ri_io *io, ri_tree *out, rille_err *err);
int ri_tree_check_limits(ri_store *store, const ri_tree *tree, const ri_limits *limits, ri_check_report *report,
                         rille_err *err);

/* A reference of the caller's to the node of a ref, which must be of this order and level and have this many datoms, as
 * its parent says. RILLE_NEED, RILLE_CORRUPT ... */
int ri_tree_node(ri_store *store, ri_order order, const ri_noderef *ref, unsigned level, uint64_t datoms, ri_io *io,
                 ri_node **out, rille_err *err);
static inline int ri_tree_root(ri_store *store, const ri_tree *tree, ri_io *io, ri_node **out, rille_err *err)
{
    return ri_tree_node(store, (ri_order)tree->order, &tree->root, tree->height - 1U, tree->count, io, out, err);
}
/* The child in a slot, which must lie between its separators, as far as this branch has them. */
int ri_tree_child(ri_store *store, const ri_node *parent, uint32_t slot, ri_io *io, ri_node **out, rille_err *err);
/* The child in a slot, if it is at hand (a reference); otherwise NULL, and it is asked for ahead. On a store that answers at
 * once: NULL. */
int ri_tree_child_ahead(ri_store *store, const ri_node *parent, uint32_t slot, ri_io *io, ri_node **out);
/* A move that was to lead to path and slot lacks a node, which was asked for: asks for what follows. RILLE_NEED. */
int ri_window_ask(ri_cursor *cursor, ri_node *const *path, const uint32_t *slot, const ri_bound *until, bool forward,
                  ri_io *io);
/* Does a node begin at its separator and end before the next one (NULL: not known)? RILLE_CORRUPT. */
int ri_tree_check_place(const ri_node *node, const ri_datom *separator, const ri_datom *next, rille_err *err);
/* Of the child in slot[level] of path[level]: where it is the last one, a node further up says where it is to end. */
int ri_tree_check_last(ri_node *const *path, const uint32_t *slot, unsigned height, unsigned level,
                       const ri_node *child, rille_err *err);
/* RILLE_NEED: the io has what a merge will read. */
int ri_merge_ask_ahead(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, ri_io *io,
                       rille_err *err);
/* Can a tree be of this height? RILLE_CORRUPT. */
int ri_tree_check_height(const ri_tree *tree, rille_err *err);

#endif
