/* SPDX-License-Identifier: MIT
 *
 * Private to aggregate*.c: the state of an aggregate, see aggregate.c.
 */
#ifndef RI_AGGREGATE_H
#define RI_AGGREGATE_H

#include "function.h"
#include "sort.h"

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

/* The best values so far, in blocks; the first one grows until it is whole. */
#define AGG_HEAP_BLOCK 1024U
typedef struct ri_heap {
    ri_value **blocks;
    size_t block_cap;
    size_t cap; /* values that there is room for */
    size_t count;
} ri_heap;

static inline ri_value *ri_heap_at(const ri_heap *heap, size_t i)
{
    return &heap->blocks[i / AGG_HEAP_BLOCK][i % AGG_HEAP_BLOCK];
}

/* What is known of a group: which member of u, or none, says the kind. */
typedef struct ri_agg_group {
    int64_t count;
    union {
        ri_total total;
        ri_moments moments;
        ri_value best;
        ri_heap heap;
    } u;
} ri_agg_group;

/* The values of a group on their way to a result: rows of the table, or places of the heap, that are being sorted. */
typedef enum ri_agg_phase { AGG_BEGIN, AGG_PUSH, AGG_SORT, AGG_MEASURE, AGG_WRITE } ri_agg_phase;
typedef struct ri_agg_result_state {
    ri_agg_phase phase;
    const ri_heap *heap; /* NULL: the values are in the table */
    uint32_t row;        /* the next one to push */
    uint32_t at;         /* sorted rows that are measured, or written */
    ri_sorter sorter;
    size_t len; /* of the tuple */
    uint8_t *tuple;
    ri_buf value; /* of it */
} ri_agg_result_state;

#define AGG_BLOCK_GROUPS 1024U

struct ri_agg {
    ri_agg_kind kind;
    size_t n; /* of (min n ?x); 0: none */
    size_t group_count;
    size_t group_size; /* of a ri_agg_group, as far as this kind uses it */
    uint8_t **blocks;  /* of AGG_BLOCK_GROUPS groups */
    size_t block_count;
    size_t block_cap;
    ri_arena arena; /* bytes of best and of heaps */
    bool has_stubs; /* in a tuple that was made */
    bool has_table;
    ri_table table; /* group, value */
    bool has_index;
    ri_table_index index; /* by group */
    ri_agg_result_state result;
};

static inline ri_agg_group *ri_agg_group_at(const ri_agg *agg, uint32_t group)
{
    void *place = agg->blocks[group / AGG_BLOCK_GROUPS] + group % AGG_BLOCK_GROUPS * agg->group_size;
    return place;
}

/* Is a nearer to what is asked for (the smallest, the largest) than b? */
bool ri_agg_better(const ri_agg *agg, const ri_value *a, const ri_value *b);
/* "sum" */
const char *ri_agg_name(const ri_agg *agg);

#endif
