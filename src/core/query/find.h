/* SPDX-License-Identifier: MIT
 *
 * Private to find*.c: the end of the chain.
 */
#ifndef RI_FIND_H
#define RI_FIND_H

#include "exec.h"
#include "sort.h"

/*
 *   PULL <-> TAKE -> GIVE                            rows that come are rows of the result
 *   PULL <-> TAKE -> FORMS -> GROUPS -> SORT -> NEXT <-> GIVE       else, of these, those that the query needs
 *              CUT <-> TAKE or GROUPS                the best rows alone are kept
 */
typedef enum find_phase {
    FIND_PULL,   /* the next batch of the chain */
    FIND_TAKE,   /* the batch at hand into the set, the groups, the result */
    FIND_FORMS,  /* equal numbers get one form */
    FIND_GROUPS, /* the groups become rows of the result */
    FIND_CUT,    /* all but the best rows of the result are dropped */
    FIND_SORT,   /* the rows of the result */
    FIND_NEXT,   /* the next rows of the result into the slices */
    FIND_GIVE,   /* what is in the slices */
    FIND_DONE
} find_phase;

/* Where FIND_FORMS is: find_forms.c. */
typedef enum forms_step { FORMS_LOOK, FORMS_PUSH, FORMS_SORT, FORMS_MARK, FORMS_ADD, FORMS_GROUP } forms_step;
typedef struct find_forms {
    forms_step step;
    uint16_t col;
    uint32_t at;         /* row */
    uint8_t number;      /* FORMS_LOOK: the type of the first number */
    uint32_t **simplest; /* by column: for each row, the row that has its value in the simplest form; NULL: its own */
    bool differ;
    ri_table *made;
} find_forms;

struct ri_find {
    rille_op *op;
    find_phase phase;
    uint16_t elem_count;
    uint16_t col_count;  /* elements and :with */
    ri_var *vars;        /* of the columns */
    const ri_vec **cols; /* projected, of the batch at hand */
    ri_vec *slices;      /* what is new */
    ri_vec *consts;      /* fixed variables */
    ri_vec *copies;      /* rows of tables, results of aggregates */
    ri_vec *wholes;      /* with whole values in place of stubs */
    ri_vec *given;       /* what op->rows points to */
    ri_vec *parts;       /* of the columns */
    ri_vec *kept;        /* of the columns, rows that may be among the best */
    uint32_t incoming;   /* rows of the batch at hand */
    uint32_t taken;      /* of them */
    bool last;           /* the batch at hand is the last one */
    uint64_t taken_rows; /* of all batches so far: distinct ones */
    ri_table *set;       /* NULL: rows are distinct anyway */
    ri_table *result;    /* ordered: all rows, or the best */
    bool mixed;          /* rows of the set may be equal but in form: of those, one is taken when all are in */
    find_forms forms;
    bool *plain; /* by column: entity ids are given as the numbers that may be among them */
    ri_vec *plains;
    bool aggregates;
    ri_agg **aggs; /* by element; NULL: a variable */
    ri_table *groups;
    ri_table_index group_index;
    const ri_vec **group_cols;
    uint16_t group_col_count;
    uint32_t group_count;
    uint32_t *group_of;
    uint32_t at;         /* next result row, or group, to give */
    bool grouping;       /* results of groups are being made */
    uint32_t group_row;  /* of the groups from `at` on, done so far */
    uint16_t group_elem; /* of the group at hand, elements that are done */
    uint32_t result_count;
    ri_sorter sorter;  /* of the rows of the result, or of a column */
    bool sorting;      /* the sorter is in use */
    uint16_t order_at; /* the column of the order whose keys it has */
    uint32_t keyed;    /* rows that have them */
    uint32_t best;     /* so many rows of the result are kept, the first in order; 0: all */
    bool full;         /* there are so many: rows that are not before the last of them are dropped */
    ri_table *other;   /* to which the best are copied */
    find_phase after_cut;
    uint32_t count;     /* rows in slices */
    bool begun;         /* a unit of work was begun and is not done */
    uint32_t part;      /* of them, are being given; 0: none yet */
    uint16_t unstubbed; /* elements of the part that are done */
    int64_t offset_left;
    int64_t limit_left;   /* -1: none */
    ri_arena arena;       /* bytes of the slices, where they are results of aggregates */
    ri_arena whole_arena; /* bytes of the part that is given, where they are those of stubs */
};

#define RI_FIND_PART_BYTES ((size_t)1024 * 1024) /* of rows that are made whole and given at once */
#define RI_FIND_CELL_UNITS 8U                    /* of work for a value of a row */

/* A column of its own, made when it is first used. NULL: no memory. */
ri_vec *ri_find_buf(ri_find *find, ri_vec *bufs, uint16_t col);
/* Rows [from, from + n) of a table into find->slices. */
int ri_find_slice(ri_find *find, const ri_table *table, uint32_t from, uint32_t n, rille_err *err);

/* ---- aggregates (find_groups.c) ---- */

int ri_find_new_aggregates(ri_find *find, rille_err *err);
/* Takes find->slices in. */
int ri_find_aggregate(ri_find *find, rille_err *err);
/* Results of groups from find->at on into find->slices and find->count: as many as make a batch. RILLE_DONE: they are
 * there; 0: a unit is done. */
int ri_find_group_results(ri_find *find, rille_err *err);

/* ---- order (find_order.c) ---- */

/* Decides whether the best rows alone are kept. */
void ri_find_choose_best(ri_find *find);
/* Of the batch at hand, the rows that may be among the best. */
int ri_find_drop_worse(ri_find *find, rille_err *err);
/* Must the result be cut before more rows come? */
bool ri_find_must_cut(const ri_find *find);
/* A slice of cutting, of sorting the result: 0, or RILLE_DONE. */
int ri_find_cut(ri_find *find, rille_err *err);
int ri_find_sort(ri_find *find, rille_err *err);

/* ---- forms (find_forms.c) ---- */

/* A slice of: equal numbers of a column get one form, the simplest of them. 0, or RILLE_DONE. */
int ri_find_unite_forms(ri_find *find, rille_err *err);

#endif
