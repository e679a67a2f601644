/* SPDX-License-Identifier: MIT
 *
 * Sorting the datoms of one block for each tree. A block lies in (e a v) order; the other orders come from it by stable
 * passes: a counting pass by attribute gives (a e v); inside an attribute a radix sort by value gives (a v e). O(n) for
 * words, O(n log n) compares only among texts that share their first 8 bytes.
 */
#ifndef RI_SORT_H
#define RI_SORT_H

#include "db.h"

typedef struct ri_sorted {
    ri_change *changes; /* ri_free; put in when they are added, else taken out */
    size_t count;
} ri_sorted;

/* How many datoms of a block each attribute has; all zero: not counted yet. */
#define RI_ATTR_COUNTS 2048U
typedef struct ri_attr_counts {
    bool known;
    uint32_t bits;               /* of all ids */
    uint32_t of[RI_ATTR_COUNTS]; /* by the low bits of the id */
} ri_attr_counts;

/* The block's datoms that belong to `order` (EAVT, AEVT, AVET, VAET), in that order, and room behind them for `more`.
 * Memory: 8 bytes a datom, while it runs 32 more for each of the attribute that has most. The
 * counts are for all orders of a block. */
int ri_block_sorted(const ri_block *block, const ri_schema *schema, ri_order order, size_t more, ri_attr_counts *counts,
                    ri_sorted *out, rille_err *err);
/* From a block's datoms in the order of AEVT, all of whose attributes have ids below RI_ATTR_COUNTS, to those of AVET, in
 * their place: without another look at all of them. On failure there are none. */
int ri_sorted_by_value(const ri_schema *schema, const ri_attr_counts *counts, ri_sorted *sorted, rille_err *err);

#endif
