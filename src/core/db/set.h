/* SPDX-License-Identifier: MIT
 *
 * Persistent sorted sets of datoms in memory: what a novelty is made of. A set is the root of a B+tree of immutable,
 * reference-counted nodes; merging new datoms into it makes a new root that shares all nodes that nothing falls into.
 *
 * An ITEM is a datom with a delta: +1 it is not in the base, 0 it hides an equal datom of the base (a new t, or a
 * retraction of what the base never had), -1 it retracts a datom of the base. Equality is by (e, a, v): in a merge with
 * the base an item hides the base's equal datom, and is itself shown when its datom is asserted. Sums of deltas give
 * exact counts.
 *
 * SEARCH goes by prefixes: 64 bits of each key, in order, side by side. Datoms are looked at only among equal prefixes.
 *
 *   eavt   e (53 bits) a (11)         avet   a (11) value (53, ri_value_prefix)
 *   aevt   a (11) e (53)              vaet   ref (53) a (11)
 *
 * Attributes from 2,047 on have one prefix: right, but slower.
 *
 * Texts of one attribute often begin alike. A leaf of AVET whose values all do has prefixes of its own: of what is behind
 * the beginning that its first and last value, and so all of them, have in COMMON.
 *
 *   u00001234, u00001240 ... u00001799      common u00001, prefixes 234, 240 ... 799
 *
 * A VIEW is a leaf's shown datoms once more as a packed node (../tree/node.h), like a leaf of the base. It is made when
 * about as many items of the leaf were asked for as it has, and lives as long as the leaf.
 *
 * An OVERLAY is the same for a stretch in which items lie between the rows of a leaf of the base: both merged. It is made
 * when scans have been given the stretch in many small pieces.
 *
 * Cost: a search 3 to 4 nodes of binary search; a merge of n datoms sorted before O(n) and the nodes they fall into,
 * at most RI_SET_LEAF * 16 bytes a leaf; a view 50 to 100 ns an item.
 * Threads: nodes are shared; count, view and `offered` are atomic, all else is written before the node is published.
 */
#ifndef RI_SET_H
#define RI_SET_H

#include "../base/sync.h"
#include "../tree/node.h"

#define RI_SET_LEAF 512U
#define RI_SET_INNER 32U
#define RI_SET_HEIGHT_MAX 16

typedef struct ri_item {
    uint64_t bits; /* pointer to the datom | 4: asserted | delta + 1 */
} ri_item;
#define RI_ITEM_SHOWN 4U
static inline const ri_datom *ri_item_datom(ri_item item)
{
    return (const ri_datom *)(uintptr_t)(item.bits & ~(uint64_t)7);
}
static inline int ri_item_delta(ri_item item)
{
    return (int)(item.bits & 3) - 1;
}
static inline bool ri_item_shown(ri_item item)
{
    return (item.bits & RI_ITEM_SHOWN) != 0;
}
static inline ri_item ri_item_of(const ri_datom *d, int delta)
{
    ri_item item = { (uint64_t)(uintptr_t)d | (d->added ? RI_ITEM_SHOWN : 0U) | (uint64_t)(delta + 1) };
    return item;
}

static inline ri_item ri_item_new(const ri_datom *d)
{
    return ri_item_of(d, d->added ? 1 : -1);
}

/* Behind a node lie `room` prefixes, then as many items (leaf) or children. */
typedef struct ri_set_node {
    ri_refs refs;
    uint32_t count; /* items, or children */
    uint32_t room;
    uint32_t shown;        /* leaf: items that are */
    uint32_t level;        /* 0: leaf */
    uint32_t common_len;   /* > 0: the leaf's prefixes are those behind its values' common beginning */
    const uint8_t *common; /* borrowed from a datom */
    uint64_t prefix;       /* of its first item, of the usual kind */
    int64_t delta;         /* of all items below */
    _Atomic(ri_node *) view;
    _Atomic(struct ri_overlay *) overlays;
    atomic_uint offered; /* leaf: items that scans were given */
} ri_set_node;

typedef struct ri_set_child {
    ri_set_node *node;
    const ri_datom *first; /* its first item's */
    int64_t before;        /* deltas of the children before it */
} ri_set_child;

static inline uint64_t *ri_set_prefixes(const ri_set_node *node)
{
    return (uint64_t *)(uintptr_t)(node + 1);
}
static inline ri_item *ri_set_items(const ri_set_node *leaf)
{
    return (ri_item *)(void *)(ri_set_prefixes(leaf) + leaf->room);
}
static inline ri_set_child *ri_set_children(const ri_set_node *node)
{
    return (ri_set_child *)(void *)(ri_set_prefixes(node) + node->room);
}
static inline ri_set_node *ri_set_retain(ri_set_node *node)
{
    if (node != NULL) {
        ri_refs_take(&node->refs);
    }
    return node;
}
void ri_set_release(ri_set_node *node);

/* ---- making ---- */

typedef struct ri_set_key {
    uint64_t prefix;
    ri_item item; /* as a new one */
} ri_set_key;
uint64_t ri_set_prefix(ri_order order, const ri_datom *d);
/* Chooses a new leaf's kind of prefix, for items from one datom to another. */
void ri_set_begin(ri_set_node *leaf, ri_order order, const ri_datom *first, const ri_datom *last);
/* A datom's prefix among those of a leaf, made from its usual one. */
uint64_t ri_set_leaf_prefix(const ri_set_node *leaf, uint64_t prefix, const ri_datom *d);
/* Stable: equal keys stay in the order of their time. `other` has room for as many. True: there are no equal keys. */
bool ri_set_sort(ri_order order, ri_set_key *keys, ri_set_key *other, size_t count);
/* The same a portion at a time (set_runs.c). */
#define RI_SET_RUN 4096U
#define RI_SET_DEALT 8U
typedef struct ri_set_runs {
    ri_set_key *from; /* the keys; no two for the same fact but in the order of their time */
    ri_set_key *to;   /* room for as many */
    uint8_t *run_of;  /* room for a number for each of them; or NULL: they are not dealt */
    size_t count;
    size_t cap;   /* of from, where it grows */
    size_t dealt; /* keys, to ... */
    size_t spread;
    unsigned run_count;            /* ... so many runs; 0: they are sorted in portions */
    size_t ends[RI_SET_DEALT];     /* of these runs */
    ri_set_key last[RI_SET_DEALT]; /* keys of them */
    size_t sorted;                 /* in portions */
    size_t width;                  /* of the runs that are merged, two at a time */
    size_t start;                  /* of the two */
    size_t left;
    size_t right;
    size_t taken; /* by who has them sorted */
} ri_set_runs;
/* Deals or sorts a portion, or moves so many keys. True: call again. The sorted keys are in `from`. */
bool ri_set_runs_sort(ri_set_runs *sort, ri_order order, size_t moves);
/* The set with sorted keys added, or NULL: no memory. `set` may be NULL (empty). distinct: no two keys are equal. Of
 * equal datoms the last one counts; a datom that says the same as the one before it is ignored. */
ri_set_node *ri_set_merge(const ri_set_node *set, ri_order order, const ri_set_key *keys, size_t count, bool distinct);

/* ---- reading ---- */

/* A cut, ready for comparing with prefixes: below `low` is before it, above `high` after it. */
typedef struct ri_set_cut {
    const ri_bound *bound; /* borrowed */
    uint64_t low;
    uint64_t high;
    uint8_t order;
    bool exact; /* between them all components that the bound has are equal */
} ri_set_cut;
ri_set_cut ri_set_cut_of(ri_order order, const ri_bound *bound);
/* Does a datom lie between two cuts? */
bool ri_set_between(const ri_set_cut *from, const ri_set_cut *to, const ri_datom *d);
/* The items of a set between two cuts as a set of their own; *out NULL: none. RILLE_DONE: there are more than `max` (at
 * most RI_SET_LEAF). */
int ri_set_part(const ri_set_node *set, const ri_set_cut *from, const ri_set_cut *to, uint32_t max, ri_set_node **out,
                rille_err *err);
/* First item of a leaf, from `from` on, that lies after the cut. */
uint32_t ri_set_search(const ri_set_node *leaf, uint32_t from, const ri_set_cut *cut);
/* The same, looking near `from` first. */
uint32_t ri_set_gallop(const ri_set_node *leaf, uint32_t from, const ri_set_cut *cut);

/* A position: an item of a leaf. Borrowed from the set. */
typedef struct ri_set_cursor {
    const ri_set_node *path[RI_SET_HEIGHT_MAX];
    uint32_t slot[RI_SET_HEIGHT_MAX];
    int depth; /* -1: past the end */
} ri_set_cursor;
void ri_set_seek(ri_set_cursor *cursor, const ri_set_node *set, const ri_set_cut *cut);
static inline bool ri_set_at_end(const ri_set_cursor *cursor)
{
    return cursor->depth < 0;
}
static inline const ri_set_node *ri_set_leaf(const ri_set_cursor *cursor)
{
    return cursor->path[cursor->depth];
}
static inline uint32_t ri_set_slot(const ri_set_cursor *cursor)
{
    return cursor->slot[cursor->depth];
}
static inline ri_item ri_set_item(const ri_set_cursor *cursor)
{
    return ri_set_items(ri_set_leaf(cursor))[ri_set_slot(cursor)];
}
/* To another slot of the leaf; its count: to the next leaf. */
void ri_set_move(ri_set_cursor *cursor, uint32_t slot);
static inline void ri_set_next(ri_set_cursor *cursor)
{
    ri_set_move(cursor, ri_set_slot(cursor) + 1);
}
/* The sum of deltas of items before the cut: what the set adds to a rank. */
int64_t ri_set_rank(const ri_set_node *set, const ri_set_cut *cut);
/* The item up to which the sum of deltas first exceeds a rank, where all deltas are +1; else one near it. NULL: the set
 * has no items. */
const ri_datom *ri_set_at(const ri_set_node *set, int64_t rank);
/* The item with d's (e, a, v), if any. */
bool ri_set_find(const ri_set_node *set, ri_order order, const ri_datom *d, ri_item *out);

/* ---- views ---- */

/* The leaf as a packed node, when it has one or it is worth making now that `items` more are asked for; else NULL, also
 * when there is no memory. Borrowed from the leaf. */
const ri_node *ri_set_view(const ri_set_node *leaf, ri_order order, uint32_t items);
/* Shown items before a slot: where the view's row of the next one is. */
uint32_t ri_set_row(const ri_set_node *leaf, uint32_t slot);
/* Sorted datoms as a packed node. NULL: no memory. */
ri_node *ri_set_pack(ri_order order, const ri_datom *rows, uint32_t count);

/* ---- overlays (overlay.c) ---- */

/* Where a leaf of the set and one of the base meet: the rows and items from the first to the last key of both. */
typedef struct ri_overlay {
    struct ri_overlay *next;    /* of the set's leaf, which owns it */
    uint8_t addr[RI_HASH_SIZE]; /* of the base's leaf */
    uint32_t row;
    uint32_t row_end;
    uint32_t slot;
    uint32_t slot_end;
    atomic_uint pieces; /* in which scans were given it */
    _Atomic(ri_node *) node;
} ri_overlay;

/* NULL: they do not meet, or so little that it is not worth it (unless `always`), or there is no memory. Items before
 * `slot` lie before the leaf's rows from some row on: where to look first. */
ri_overlay *ri_overlay_of(const ri_set_node *leaf, uint32_t slot, const ri_node *base, const uint8_t *addr,
                          ri_order order, bool always);
/* Both merged, as a packed node, when it has been made or is worth making now that one more piece is asked for; else
 * NULL. Borrowed from the set's leaf. */
const ri_node *ri_overlay_node(ri_overlay *overlay, const ri_set_node *leaf, const ri_node *base, ri_order order,
                               bool always);
void ri_overlays_free(ri_overlay *first);

#endif
