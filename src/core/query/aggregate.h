/* SPDX-License-Identifier: MIT
 *
 * Private to aggregate*.c: the state of an aggregate, see aggregate.c.
 */
#ifndef RI_AGGREGATE_H
#define RI_AGGREGATE_H

#include "function.h"

typedef enum ri_agg_kind {
    AGG_COUNT,
    AGG_COUNT_DISTINCT,
    AGG_DISTINCT,
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_MEDIAN,
    AGG_VARIANCE,
    AGG_STDDEV,
    AGG_KIND_COUNT
} ri_agg_kind;

/* Doubles from here on have a sum of their own in larger units, so that no order of rows overflows on the way. */
#define AGG_HUGE 0x1p900
#define AGG_HUGE_UNIT 0x1p200

typedef struct ri_total {
    uint64_t low; /* the sum of longs: two's complement of 128 bits */
    uint64_t high;
    double sum; /* the sum of doubles is sum + rest, and that of huge ones, in units of AGG_HUGE_UNIT */
    double rest;
    double infinite; /* the sum of infinities, which stay apart: they would spoil the rest */
    double huge_sum;
    double huge_rest;
    bool has_double;
    bool has_infinite;
} ri_total;

typedef struct ri_moments {
    double mean;
    double squares;
} ri_moments;

typedef struct ri_heap {
    ri_value *values;
    size_t count;
    size_t cap;
} ri_heap;

struct ri_agg {
    ri_agg_kind kind;
    size_t n; /* of (min n ?x); 0: none */
    size_t group_count;
    size_t cap; /* of the arrays below that this kind has */
    int64_t *counts;
    ri_total *totals;
    ri_moments *moments;
    ri_value *best;
    ri_heap *heaps;
    ri_arena arena; /* bytes of best and heaps, also of those that were replaced: see compact */
    size_t live_bytes;
    bool has_table;
    ri_table table; /* group, value */
    bool has_index;
    ri_table_index index; /* by group */
};

/* Is a nearer to what is asked for (the smallest, the largest) than b? */
bool ri_agg_better(const ri_agg *agg, const ri_value *a, const ri_value *b);
/* "sum" */
const char *ri_agg_name(const ri_agg *agg);

#endif
