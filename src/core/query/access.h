/* SPDX-License-Identifier: MIT
 *
 * The executor, private: stages that read databases, and how rows of leaves become columns.
 */
#ifndef RI_ACCESS_H
#define RI_ACCESS_H

#include "stage.h"

/* What rows of a range must satisfy beyond lying in it, and what they give. */
typedef struct ri_matcher {
    const ri_pattern *pattern;
    ri_var out[RI_POS_COUNT];     /* columns to make; RI_NO_VAR: not needed */
    ri_var bound[RI_POS_COUNT];   /* variables of the input that must equal */
    const struct ri_range *range; /* a scan reads it alone; NULL: none */
    unsigned range_ends;          /* those of its ends that the input has */
    bool by_attr;                 /* a scan reads the attribute that each row of the input has */
    bool filter_v;                /* the constant value is not implied by the range */
    bool slow;                    /* some check needs the whole datom */
} ri_matcher;

/* How a pattern is reached. */
typedef enum ri_access {
    RI_ACCESS_NONE,    /* cannot match */
    RI_ACCESS_SCAN,    /* a range by constants alone */
    RI_ACCESS_E,       /* AEVT by e */
    RI_ACCESS_EV,      /* AEVT by e, then v */
    RI_ACCESS_V_REF,   /* VAET by v */
    RI_ACCESS_V_WORD,  /* AVET by v, word types */
    RI_ACCESS_V_BYTES, /* AVET by v, types of bytes */
    RI_ACCESS_E_ANY,   /* EAVT by e, attribute unknown */
    RI_ACCESS_HASH     /* hash join with a scan */
} ri_access;

/* The order and cuts of a scan by constants; filter_v as in ri_matcher. */
void ri_pattern_range(const ri_pattern *pattern, ri_order *order, ri_bound *from, ri_bound *to, bool *filter_v);

/* The group of the rows low..high, when it is one and lies together; else NULL. */
const ri_group *ri_rows_group(const ri_node *leaf, uint32_t low, uint32_t high);
/* The word key or code of a constant in a group; false: no row has it. *slow: only a comparison of values can tell. */
bool ri_group_key(const ri_group *group, const ri_value *v, uint64_t *key, bool *slow);

/* Rows of leaves, checked and turned into columns. */
typedef struct ri_emit {
    ri_matcher m;
    ri_object **pins; /* leaves that the columns borrow from */
    size_t pin_count;
    size_t pin_cap;
    uint32_t count;    /* rows in the batch */
    uint32_t *in_rows; /* the input row of each; RI_BATCH_ROWS */
} ri_emit;
/* False: no memory. */
bool ri_emit_init(ri_emit *emit, const ri_matcher *m, ri_arena *arena);
void ri_emit_start(ri_emit *emit); /* a new batch: drops pins */
void ri_emit_deinit(ri_emit *emit);
/* Appends rows[0..n) (nondecreasing for scans) of a leaf; row i goes with in_rows[i] of `in`. Those that fail a check
 * are left out. n <= RI_BATCH_ROWS - emit->count. rows and in_rows are overwritten. */
int ri_emit_leaf(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *rows, uint32_t *in_rows, uint32_t n,
                 const ri_batch *in, rille_err *err);
int ri_emit_datoms(ri_stage *stage, ri_emit *emit, const ri_datom *const *datoms, const uint32_t *in_rows, uint32_t n,
                   const ri_batch *in, rille_err *err);
/* Puts the columns and the carried ones of `in` into stage->out. */
int ri_emit_finish(ri_stage *stage, ri_emit *emit, const ri_batch *in, rille_err *err);

/* Numbers equal to key in [from, to) of a column, at most max of them: rows[] = their index + shift; *next: where to go
 * on. (packed.c) */
uint32_t ri_packed_find(rille_op *op, const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t shift,
                        uint32_t *rows, uint32_t max, uint32_t *next);
/* As ri_emit_leaf, for rows [*pos, to) that all go with one row of the input; stops when the batch is full. */
int ri_emit_range(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *pos, uint32_t to, uint32_t in_row,
                  const ri_batch *in, rille_err *err);

/* input may have any number of rows: each is joined with the whole range. */
ri_stage *ri_scan_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m);
ri_stage *ri_probe_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m,
                             ri_access access);

/* From which ends of an attribute's values rows are read, and how many of them :find needs from each. */
typedef struct ri_ends {
    ri_var var; /* the values */
    unsigned count;
    bool high[2];
    uint64_t need[2];
} ri_ends;
/* The scan that stops when :find has these rows; input: one row. */
ri_stage *ri_ends_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m,
                            const ri_ends *ends);

/* The key variable of the probe nearest to the start of a chain, or RI_NO_VAR. */
ri_var ri_first_probe_var(const ri_stage *last);
/* Sorts keys, taking rows along; the arrays may be swapped with the other two. (order.c) */
void ri_sort_words(ri_meter *meter, uint64_t **keys, uint32_t **rows, uint64_t **keys_other, uint32_t **rows_other,
                   uint32_t n);
/* Sorts row numbers by a comparison; equal ones stay in order. The arrays may be swapped. (order.c) */
typedef int ri_cmp_rows(const void *context, uint32_t a, uint32_t b);
int ri_sort_rows(ri_meter *meter, uint32_t **rows, uint32_t **other, uint32_t n, ri_cmp_rows *cmp, const void *context,
                 rille_err *err);

#endif
