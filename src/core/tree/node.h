/* SPDX-License-Identifier: MIT
 *
 * One node of a tree: columnar, packed, immutable, searched as it lies. docs/format.md has the bytes.
 *
 * A LEAF holds the datoms of a key range, sorted in the tree's order. Rows are spread over columns:
 *   E, T   entity, transaction           G     group index (below)
 *   V      VAET only: the referred id    X     RET only: retiring transaction    OP    LOG only: 1 = added
 * A GROUP is the set of a leaf's rows with one attribute and one value type; groups are sorted by (attribute, type).
 * Its values are a column of their own: the word keys (ri_word_to_key) of word types, or, for types of bytes, codes
 * into the group's dictionary: the distinct values, sorted in value order, each whole and in place (a value's bytes can
 * be borrowed as long as the node is held; see docs/decisions/0001). The value of row i is number RANK(i) of its group,
 * RANK(i) = rows of the same group before i. Where groups lie as contiguous row ranges (always in AEVT and AVET with
 * one type per attribute) that is i - start; elsewhere ranks are computed once when the node is opened.
 *
 * A BRANCH holds its children's separators as the same columns (a separator is a datom cut short: what is not needed to
 * separate is 0 or nil; for children c0 < c1 < ..., every datom of c[i-1] is below separator i, which is not above any
 * datom of c[i]; the first separator of the leftmost branch of a level is all zero), and for each child its address and
 * the count of datoms below.
 *
 * Invariants, checked by ri_node_decode on hostile bytes: (N1) 1 <= count <= RI_NODE_ROWS_MAX; (N2) columns as in
 * column.h; (N3) group indexes below the group count, each group's column has as many values as it has rows; (N4)
 * groups strictly sorted; (N5) dictionary codes inside their dictionary, entries inside the node and valid values
 * (ri_value_valid), in order; (N6) rows strictly increasing in the order; (N7) level <= RI_TREE_HEIGHT_MAX. That a child
 * has what its branch says of it is checked when it is first reached from there (ri_tree_child).
 */
#ifndef RI_NODE_H
#define RI_NODE_H

#include "../data/datom.h"
#include "../store/store.h"
#include "../store/weak.h"
#include "column.h"

#define RI_NODE_ROWS_MAX 4096U
#define RI_NODE_ROWS_AT 3U /* where the bytes of a node say, as a varint, how many rows it has */
#define RI_TREE_HEIGHT_MAX 16

typedef struct ri_dict {
    ri_col ends; /* end offset of each entry in bytes; entry i starts where i-1 ends */
    const uint8_t *bytes;
    uint64_t
        *samples;  /* of large ones: the head of each RI_DICT_SAMPLE-th entry, behind what all begin with; or NULL */
    uint64_t lead; /* the first bytes of what all entries begin with, as ri_head_of */
    uint32_t count;
    uint32_t shared; /* bytes that all entries begin with; 0 for types that are not compared by their bytes */
} ri_dict;
#define RI_DICT_SAMPLE 32U

typedef struct ri_group {
    uint32_t a;
    uint32_t start; /* first row (contiguous nodes) */
    uint32_t count;
    uint8_t type;  /* ri_type; RI_NIL: no value (truncated separators) */
    ri_col values; /* word keys, or codes; count = rows of the group */
    ri_dict dict;  /* types of bytes only */
} ri_group;

enum { RI_COLUMN_E = 0, RI_COLUMN_T, RI_COLUMN_G, RI_COLUMN_V, RI_COLUMN_X, RI_COLUMN_OP, RI_COLUMN_COUNT };

/* What a search reads lies together: a node that is looked at by chance costs a cache miss for each of its lines. */
typedef struct ri_node {
    ri_object object; /* first: what the cache holds */
    uint32_t count;   /* rows; children of a branch */
    uint32_t group_count;
    uint8_t order; /* ri_order */
    uint8_t level; /* 0 = leaf */
    bool borrowed;
    uint32_t *attrs; /* of the groups */
    ri_group *groups;
    uint64_t *keys;   /* branches: what their rows are mostly told apart by (node_keys.c); or NULL */
    uint16_t *ranks;  /* NULL: groups are contiguous */
    uint64_t *counts; /* branches: counts[i] = datoms below children 0..i-1; count + 1 entries */
    ri_col col[RI_COLUMN_COUNT];
    ri_noderef *children; /* branches */
    ri_weak *places;      /* branches: child i, once it was found to lie between its separators */
    uint8_t *bytes;       /* the canonical bytes, owned (unless borrowed), padded */
    size_t len;
    ri_arena arena; /* groups, parts of columns: begins behind the node itself, in the same block */
} ri_node;

/* ri_decode_fn for the store. */
int ri_node_decode(const ri_decode_input *input, ri_object **out, rille_err *err);
static inline void ri_node_release(ri_node *node)
{
    ri_object_release(node == NULL ? NULL : &node->object);
}

/* N6 and sorted dictionaries once more, row by row: for verify. */
int ri_node_check(const ri_node *node, rille_err *err);

/* ---- reading rows ---- */

static inline uint64_t ri_node_e(const ri_node *node, uint32_t row)
{
    return ri_col_get(&node->col[RI_COLUMN_E], row);
}
static inline uint64_t ri_node_t(const ri_node *node, uint32_t row)
{
    return ri_col_get(&node->col[RI_COLUMN_T], row);
}
static inline const ri_group *ri_node_group(const ri_node *node, uint32_t row)
{
    return node->group_count == 1 ? node->groups : &node->groups[ri_col_get(&node->col[RI_COLUMN_G], row)];
}
/* The number of a row's value among those of its group. */
static inline uint32_t ri_node_rank(const ri_node *node, const ri_group *group, uint32_t row)
{
    return node->ranks == NULL ? row - group->start : node->ranks[row];
}
/* A value by its rank; borrowed. Not for VAET, where groups have no values. */
ri_value ri_group_value(const ri_group *group, uint32_t rank);
/* The value of a row; bytes are borrowed from the node. */
ri_value ri_node_value(const ri_node *node, uint32_t row);
/* The whole row; bytes are borrowed from the node. */
void ri_node_datom(const ri_node *node, uint32_t row, ri_datom *out);

/* Dictionary entry as a value of the group's type; borrowed. */
ri_value ri_dict_get(const ri_group *group, uint32_t code);
/* First code whose entry is >= v (dict.count if none); *found: equal. v's type need not be the group's. */
uint32_t ri_dict_lower(const ri_group *group, const ri_value *v, bool *found);

/* The end of the run of rows, from `row` on and not beyond `to`, that are of one group. */
uint32_t ri_node_run(const ri_node *node, uint32_t row, uint32_t to);
/* Rows [from, to) as datoms; bytes are borrowed from the node. The way to read many rows as such. */
void ri_node_datoms(const ri_node *node, uint32_t from, uint32_t to, ri_datom *out);

/* The bytes of a leaf as datoms, with all checks of ri_node_decode: for who reads a leaf of LOG once and does not search
 * it. Appends them to the *count ones in *datoms, a growing array; values are borrowed from the bytes, which stay the
 * caller's. RILLE_CORRUPT, also of a node that is no leaf of LOG or has more than rows_max rows. */
int ri_leaf_read(const ri_decode_input *input, uint64_t rows_max, ri_datom **datoms, size_t *cap, size_t *count,
                 rille_err *err);

/* Values of rows [from, to), which must all be of `group` and contiguous there (see ri_node_run): word types as words
 * (not keys) in words[]; types of bytes as pointers in words[] and lengths in lens[]. */
void ri_node_values(const ri_node *node, const ri_group *group, uint32_t from, uint32_t to, uint64_t *words,
                    uint32_t *lens);
/* The same for any rows and types: types[] too. */
void ri_node_values_mixed(const ri_node *node, uint32_t from, uint32_t to, uint8_t *types, uint64_t *words,
                          uint32_t *lens);

/* ---- searching ---- */

/* First row in [from, count) that lies after the cut (datoms before it are < bound). */
uint32_t ri_node_search(const ri_node *node, uint32_t from, const ri_bound *bound);
/* The same, looking near `from` first. */
uint32_t ri_node_gallop(const ri_node *node, uint32_t from, const ri_bound *bound);
/* The rows that agree with the bound in all its parts, [*first, *end); where they would be, if there are none. */
void ri_node_equal(const ri_node *node, const ri_bound *bound, uint32_t *first, uint32_t *end);
/* Branch: the child in which the first datom after the cut would be. */
uint32_t ri_node_child(const ri_node *node, const ri_bound *bound);

/* ---- encoding ---- */

/* The canonical bytes of a leaf, or of a branch's separators when child_counts is given (then addrs: child_count * 32
 * bytes). Rows must be sorted. n <= RI_NODE_ROWS_MAX. Scratch memory is kept in the encoder between calls. */
typedef struct ri_encoder ri_encoder;
ri_encoder *ri_encoder_new(void);
void ri_encoder_free(ri_encoder *encoder);
int ri_node_encode(ri_encoder *encoder, ri_order order, unsigned level, const ri_datom *rows, uint32_t n,
                   const uint64_t *child_counts, const uint8_t *addrs, ri_buf *out, rille_err *err);

#endif
