/* SPDX-License-Identifier: MIT
 *
 * Sorting in slices: row numbers by keys of 64 bits, and by a comparison where the keys of two rows are equal. A merge
 * sort, bottom up, which can be left after any comparison: what is sorted when a query's budget is used up, is sorted
 * when it goes on.
 *
 * Cost: n log n comparisons, of which each costs a few nanoseconds where keys decide; 24 bytes a row.
 */
#ifndef RI_SORT_H
#define RI_SORT_H

#include "table.h"

typedef int ri_cmp_rows(const void *context, uint32_t a, uint32_t b);

typedef struct ri_sorter {
    ri_meter *meter;
    ri_cmp_rows *cmp; /* NULL: rows with equal keys are equal */
    const void *context;
    uint64_t *keys[2];
    uint32_t *rows[2];
    uint32_t cap;
    uint32_t count;
    unsigned side;  /* of keys and rows: has the runs */
    uint64_t width; /* of a run */
    uint64_t low;   /* where the two runs begin that are being merged */
    uint64_t left;  /* next row of the one, of the other */
    uint64_t right;
} ri_sorter;

/* Room for `cap` rows. */
int ri_sorter_init(ri_sorter *sorter, ri_meter *meter, uint32_t cap, ri_cmp_rows *cmp, const void *context,
                   rille_err *err);
void ri_sorter_deinit(ri_sorter *sorter);
static inline void ri_sorter_push(ri_sorter *sorter, uint64_t key, uint32_t row)
{
    sorter->keys[0][sorter->count] = key;
    sorter->rows[0][sorter->count++] = row;
}
/* Sorts on for a slice, once all rows are in: 0, or RILLE_DONE when they are sorted. Equal ones stay in order. */
int ri_sorter_work(ri_sorter *sorter, rille_err *err);
/* Begins anew with the rows as they are now; the keys in keys[side] may be set to others first. */
void ri_sorter_again(ri_sorter *sorter);
/* Frees all but the sorted rows. */
void ri_sorter_trim(ri_sorter *sorter);
/* What was sorted. */
static inline const uint32_t *ri_sorter_rows(const ri_sorter *sorter)
{
    return sorter->rows[sorter->side];
}

/* What a key of values of one type says about their order. */
typedef enum ri_key_kind {
    RI_KEY_NONE,   /* nothing: it is 0 */
    RI_KEY_PREFIX, /* a smaller one is before a larger one */
    RI_KEY_EXACT   /* and equal ones are the same value */
} ri_key_kind;
ri_key_kind ri_sort_key_kind(uint8_t type);
/* The key of a value of a type that has one: its order is that of ri_query_cmp. */
uint64_t ri_sort_key(const ri_value *v);

#endif
