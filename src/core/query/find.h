/* SPDX-License-Identifier: MIT
 *
 * Private to find.c and find_order.c: the end of the chain.
 */
#ifndef RI_FIND_H
#define RI_FIND_H

#include "exec.h"

typedef enum find_phase { FIND_PULL, FIND_GIVE, FIND_NEXT_RESULTS, FIND_DONE } find_phase;

struct ri_find {
    rille_op *op;
    find_phase phase;
    uint16_t elem_count;
    uint16_t col_count;       /* elements and :with */
    ri_var *vars;             /* of the columns */
    const ri_vec **cols;      /* projected, of the batch at hand */
    ri_vec *slices;           /* what is new */
    ri_vec *consts;           /* fixed variables */
    ri_vec *copies;           /* results of aggregates */
    ri_vec *wholes;           /* with whole values in place of stubs */
    ri_vec *given;            /* what op->rows points to */
    ri_table *set;            /* NULL: rows are distinct anyway */
    ri_table *result;         /* ordered: all rows */
    bool mixed;               /* rows of the set may be equal but in form: of those, one is taken when all are in */
    const ri_vec *sorted_col; /* NULL: rows are sorted by :order-by */
    bool *plain;              /* by column: entity ids are given as the numbers that may be among them */
    ri_vec *plains;
    bool aggregates;
    ri_agg **aggs; /* by element; NULL: a variable */
    ri_table *groups;
    ri_table_index group_index;
    const ri_vec **group_cols;
    uint16_t group_col_count;
    uint32_t group_count;
    uint32_t *group_of;
    uint32_t at; /* next result row to give */
    uint32_t result_count;
    uint32_t *order;    /* sorted rows of result */
    size_t order_bytes; /* of it, and of its double while it is made */
    uint32_t count;     /* rows in slices */
    uint64_t taken;     /* rows of all batches so far: distinct ones */
    bool begun;         /* a unit of work was begun and is not done */
    uint32_t part;      /* of them, are being given; 0: none yet */
    uint16_t unstubbed; /* elements of the part that are done */
    int64_t offset_left;
    int64_t limit_left;   /* -1: none */
    ri_arena arena;       /* bytes of the slices, where they are results of aggregates */
    ri_arena whole_arena; /* bytes of the part that is given, where they are those of stubs */
};

/* Takes find->slices in. */
int ri_find_aggregate(ri_find *find, rille_err *err);
/* Row numbers of the result, or of the column sorted_col, into find->order. */
int ri_find_sort(ri_find *find, uint32_t n, rille_err *err);
/* All rows are in, and some may be equal but in form: equal numbers of a column get one form, the simplest of them. */
int ri_find_collapse(ri_find *find, rille_err *err);

#endif
