/* SPDX-License-Identifier: MIT
 *
 * Persistent sorted sets of datoms: values made of a root's address and a count. Building, seeking, counting,
 * comparing.
 *
 * ONE CHUNKER builds every tree. Boundaries are content-defined: with n rows in the open chunk (n >= min), a boundary
 * falls before the next datom d when the upper 32 bits of ri_datom_hash(order, d) < (n - min + 1) * slope (saturating),
 * or n == max, or the chunk's key bytes (16 + value length a row) passed RI_LEAF_BYTES_MAX. leaves: min 256, max 4096,
 * slope 11438 (mean about 1,024); branches: min 64, max 1024, slope 183006 (mean about 256), hashing the separator of
 * the next child. So the tree is a function of the sequence of datoms (DESIGN I5), and after a change the chunker falls
 * back into step with the old boundaries.
 */
#ifndef RI_TREE_H
#define RI_TREE_H

#include "../base/map.h"
#include "node.h"

#define RI_LEAF_ROWS_MIN 256U
#define RI_LEAF_ROWS_MAX 4096U
#define RI_LEAF_SLOPE 11438U
#define RI_LEAF_BYTES_MAX 65536U
#define RI_BRANCH_MIN 64U
#define RI_BRANCH_MAX 1024U
#define RI_BRANCH_SLOPE 183006U

/* A tree value. Copy freely; holds nothing. count == 0: the empty tree (root all zero, height 0). */
typedef struct ri_tree {
    ri_noderef root;
    uint64_t count; /* datoms */
    uint8_t order;  /* ri_order */
    uint8_t height; /* levels; 1 = the root is a leaf */
} ri_tree;

/* ---- building (build.c) ---- */

typedef struct ri_builder ri_builder;
/* Builds one tree of `order` through `writer`. writer NULL: nothing is written, the root's address alone comes out. */
int ri_builder_new(ri_order order, ri_writer *writer, ri_builder **out, rille_err *err);
void ri_builder_release(ri_builder *builder);
/* Datoms in strictly increasing order; values are borrowed only until the chunk is written, at most RI_NODE_ROWS_MAX
 * rows later, or until ri_builder_finish: the caller keeps them alive that long. RILLE_INTERNAL when out of order. */
int ri_builder_add(ri_builder *builder, const ri_datom *d, rille_err *err);
int ri_builder_finish(ri_builder *builder, ri_tree *out, rille_err *err);

/* One change of a merge: a datom is put in, replacing an equal one, or taken out. */
typedef struct ri_change {
    uintptr_t bits; /* pointer to the datom | 1: put in */
} ri_change;
static inline ri_change ri_change_of(const ri_datom *d, bool put)
{
    ri_change change = { (uintptr_t)d | (put ? 1U : 0U) };
    return change;
}
static inline const ri_datom *ri_change_datom(ri_change change)
{
    return (const ri_datom *)(change.bits & ~(uintptr_t)1);
}
static inline bool ri_change_puts(ri_change change)
{
    return (change.bits & 1) != 0;
}

/* How many of sorted changes are below d. O(log of that). */
size_t ri_changes_below(ri_order order, const ri_change *changes, size_t count, const ri_datom *d);

/* The tree with sorted changes applied: only leaves that a change touches are rebuilt, and the chunker goes on until it
 * falls into step; all else is shared. Taking out what is not there changes nothing. May return RILLE_NEED (nothing
 * done; call again). */
int ri_tree_merge(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, ri_writer *writer,
                  ri_io *io, ri_tree *out, rille_err *err);

/* The same in steps, each of which writes about one leaf, and the branches that close with it. limits NULL: the
 * standard ones. Tree and limits are copied, changes borrowed until the release. */
typedef struct ri_merge ri_merge;
struct ri_limits;
int ri_merge_new(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count,
                 const struct ri_limits *limits, ri_writer *writer, ri_merge **out, rille_err *err);
void ri_merge_release(ri_merge *merge);
/* 0: *out is the tree. RILLE_AGAIN: there is more to do. RILLE_NEED: fetch, and call again; it begins anew, with the same
 * io. */
int ri_merge_step(ri_merge *merge, ri_io *io, ri_tree *out, rille_err *err);

/* Puts a branch and all branches below it, down to level_min (1 or more), into the writer once more, so that they lie
 * together in its pack (gather.c). branches_max: more of them cannot be (RILLE_CORRUPT). May return RILLE_NEED. */
int ri_tree_gather(ri_store *store, const ri_noderef *ref, unsigned level_min, uint64_t branches_max, ri_writer *writer,
                   ri_io *io, rille_err *err);

/* ---- cursor (cursor.c) ---- */

/* What a cursor asks for on a store that answers later, beyond the leaf that is not at hand (window.c). */
typedef enum ri_ahead {
    RI_AHEAD_MOVES = 0, /* the leaves that follow, when it goes on to the next one; more each time */
    RI_AHEAD_SEEKS,     /* the same, when it seeks, too */
    RI_AHEAD_ALL        /* as many as there may be: all up to `until` will be read */
} ri_ahead;

/* A pinned path to one leaf. Position: row in the leaf, 0 <= row < leaf->count when valid. One thread at a time.
 * On RILLE_NEED the cursor is unchanged; call again after the fetch. */
typedef struct ri_cursor {
    ri_store *store;
    ri_tree tree;
    ri_node *path[RI_TREE_HEIGHT_MAX + 1]; /* path[0] = the leaf, path[h-1] = the root; NULL: not open */
    uint32_t slot[RI_TREE_HEIGHT_MAX + 1]; /* slot[0] = the row; slot[i] = the child taken in path[i] */
    uint32_t equal_end; /* after ri_cursor_seek: rows [slot[0], equal_end) agree with the bound in all its parts */
    bool valid;
    bool moved;      /* since it asked for a window */
    uint8_t ahead;   /* ri_ahead */
    uint32_t window; /* leaves that a miss asks for; 0: none has yet */
} ri_cursor;

void ri_cursor_init(ri_cursor *cursor, ri_store *store, const ri_tree *tree); /* store and tree values outlive it */
void ri_cursor_deinit(ri_cursor *cursor);
/* To the first datom after the cut; RILLE_DONE (and not valid) when there is none. Nodes of the old path that are on
 * the new one are kept without asking the store: a seek near the last one is cheap. */
int ri_cursor_seek(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err);
/* The same, where leaves up to `until` (NULL: the end) may be asked for. */
int ri_cursor_seek_until(ri_cursor *cursor, const ri_bound *bound, const ri_bound *until, ri_io *io, rille_err *err);
/* The same for cuts not before the current position: stays in the leaf when it can, climbs only as far as needed. */
int ri_cursor_seek_forward(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err);
/* To the last datom before the cut; RILLE_DONE when there is none. */
int ri_cursor_seek_back(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err);
int ri_cursor_next(ri_cursor *cursor, ri_io *io, rille_err *err); /* RILLE_DONE: past the end, not valid */
int ri_cursor_prev(ri_cursor *cursor, ri_io *io, rille_err *err);
/* To row 0 of the next leaf / the last row of the previous one. When the leaf is not at hand, a window of leaves up to
 * `until` (NULL: the end) is asked for at once. */
int ri_cursor_next_leaf(ri_cursor *cursor, const ri_bound *until, ri_io *io, rille_err *err);
int ri_cursor_prev_leaf(ri_cursor *cursor, const ri_bound *until, ri_io *io, rille_err *err);

static inline const ri_node *ri_cursor_leaf(const ri_cursor *cursor)
{
    return cursor->path[0];
}
static inline uint32_t ri_cursor_row(const ri_cursor *cursor)
{
    return cursor->slot[0];
}

/* How many leaves may be asked for at once, so that what comes can be kept. leaf: one of them, or NULL. */
uint32_t ri_window_max(const ri_store *store, const ri_node *leaf);
/* Asks for the first node on the way to the cut that is not at hand. *leaf: where the leaf is stored; zero: not known. */
int ri_tree_ask(ri_store *store, const ri_tree *tree, const ri_bound *bound, ri_io *io, ri_noderef *leaf);
/* Asks for the branches above all leaves between two cuts, if they are few, as far as those above them are at hand. */
int ri_tree_ask_branches(ri_store *store, const ri_tree *tree, const ri_bound *from, const ri_bound *to, ri_io *io);

/* Descents to one leaf. `root` says where the root is, once it was read; NULL: nobody keeps that. */

/* Datoms before the cut. */
int ri_tree_rank(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *bound, ri_io *io, uint64_t *out,
                 rille_err *err);
/* The rank of the first datom between two cuts, and how many lie there: two descents. */
int ri_tree_range(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *from, const ri_bound *to,
                  ri_io *io, uint64_t *first, uint64_t *count, rille_err *err);
int ri_tree_count(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *from, const ri_bound *to,
                  ri_io *io, uint64_t *out, rille_err *err);
/* The rows that agree with a prefix (a cut before it) in the leaf where the first of them would be: [*first, *end) of
 * *leaf, a reference of the caller's. *more: the next leaf may begin with some. RILLE_DONE: the tree is empty. */
int ri_tree_equal(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_bound *prefix, ri_io *io,
                  ri_node **leaf, uint32_t *first, uint32_t *end, bool *more, rille_err *err);
/* The leaf of a datom by its rank, and its row there: one descent. rank < tree->count. *leaf: a reference. */
int ri_tree_at(ri_store *store, const ri_tree *tree, ri_weak *root, uint64_t rank, ri_io *io, ri_node **leaf,
               uint32_t *row, rille_err *err);
/* The datom equal to d in the order's key, if it is there: *found; *out borrows from *leaf, a reference of the caller's
 * (NULL if not found). */
int ri_tree_get(ri_store *store, const ri_tree *tree, ri_weak *root, const ri_datom *d, ri_io *io, bool *found,
                ri_datom *out, ri_node **leaf, rille_err *err);

/* ---- whole trees (diff.c, check.c) ---- */

/* Walks two trees of one order in step, skipping equal addresses, and reports each datom that is only in a (in_b false)
 * or only in b, in order; a datom whose t differs counts as both. Resumable: on RILLE_NEED call again with the same
 * state. */
typedef struct ri_diff ri_diff;
int ri_diff_new(ri_store *store_a, const ri_tree *a, ri_store *store_b, const ri_tree *b, ri_diff **out,
                rille_err *err);
void ri_diff_release(ri_diff *diff);
/* 0: *d (borrowed until the next call) and *in_b are set; RILLE_DONE at the end. */
int ri_diff_next(ri_diff *diff, ri_io *io, ri_datom *d, bool *in_b, rille_err *err);

/* Addresses of nodes that were looked at, so that what trees share is looked at once. */
typedef struct ri_node_set {
    ri_bytemap map;
    ri_arena bytes;
} ri_node_set; /* all zero is the empty set */
void ri_node_set_deinit(ri_node_set *set);

typedef struct ri_check_report {
    uint64_t nodes;
    uint64_t leaves;
    uint64_t datoms;
    uint64_t bytes; /* canonical, uncompressed */
} ri_check_report;
/* Reads every node, checks addresses, N1-N7, separators, counts, that boundaries are where the chunker would put them,
 * and that each node re-encodes to its own bytes. Blocks (fetches itself). RILLE_CORRUPT names the node. */
int ri_tree_check(ri_store *store, const ri_tree *tree, ri_check_report *report, rille_err *err);

#endif
