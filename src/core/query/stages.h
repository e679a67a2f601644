/* SPDX-License-Identifier: MIT
 *
 * The executor, private: joins with tables, functions, not, or.
 */
#ifndef RI_STAGES_H
#define RI_STAGES_H

#include "functions.h"
#include "stage.h"

/* ---- hash join with a table ---- */

typedef struct ri_join_out {
    uint16_t col;
    ri_var var;
} ri_join_out;
typedef struct ri_join_key {
    uint16_t col;
    ri_var var; /* RI_NO_VAR: a constant */
    ri_value value;
} ri_join_key;
typedef struct ri_join_spec {
    const ri_table *table;    /* given, or NULL: made of `build` */
    ri_stage *build;          /* a chain whose batches fill the table */
    const ri_var *build_vars; /* the table's columns */
    uint16_t build_count;
    const ri_join_key *keys;
    uint16_t key_count;
    const ri_join_out *outs;
    uint16_t out_count;
    const ri_join_out *same; /* table columns that must be equal: col and (as var) the other column */
    uint16_t same_count;
    const uint32_t *row_limit; /* rows from this one on do not count; NULL: none */
} ri_join_spec;
/* The join of a clause's terms with the columns of a table: constants and bound variables are keys, others come out
 * where they are live. Arrays in the plan's arena. */
int ri_join_terms(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_table *table,
                  const ri_varset *bound, const ri_varset *live, ri_join_spec *spec, rille_err *err);
ri_stage *ri_join_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_join_spec *spec,
                            const char *label);

/* ---- predicates and functions ---- */

/* A PRED or FUNC clause: a built-in, a look-up (get-else, get-some, missing?) or a function of the host. bound: before
 * it; live: needed after it. RILLE_QUERY: unknown name. */
int ri_call_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                      const ri_varset *bound, const ri_varset *live, ri_stage **out, rille_err *err);

/* Where the results of a function go (op_bind.c). */
typedef enum ri_dest_kind { RI_DEST_NONE, RI_DEST_NEW, RI_DEST_EQUAL, RI_DEST_CONST } ri_dest_kind;
typedef struct ri_dest {
    uint8_t kind;   /* ri_dest_kind */
    ri_var var;     /* NEW, EQUAL */
    ri_value value; /* CONST */
} ri_dest;
typedef struct ri_results {
    const ri_clause *clause;
    ri_dest *dests;
    ri_value *values; /* of the tuple at hand */
    uint32_t *sel;
    uint32_t row;     /* next row of the results */
    ri_reader reader; /* COLL, RELATION: what is left of the row's elements */
    bool in_row;
} ri_results;
int ri_results_init(ri_results *results, rille_op *op, const ri_scope *scope, const ri_clause *clause,
                    const ri_varset *bound, const ri_varset *live, rille_err *err);
void ri_results_start(ri_results *results);
/* Rows of `result` (one a row of `in`) into stage->out; stage->out.count may come out 0. *more: call again for the
 * rest. */
int ri_results_next(ri_results *results, ri_stage *stage, const ri_batch *in, const ri_vec *result, bool *more,
                    rille_err *err);
/* Remembers where the stubs among some rows came from, when that makes a difference. */
int ri_note_stubs(rille_op *op, uint16_t source, const ri_vec *vec, uint32_t from, uint32_t to, rille_err *err);
/* How many bytes a value has when it is whole, with the stubs inside of a tuple. */
uint64_t ri_whole_len(rille_op *op, const ri_value *v);
/* The whole value of a stub of that database, in the arena. */
int ri_whole(rille_op *op, const rille_db *db, ri_value *v, ri_arena *arena, rille_err *err);
/* Puts whole values in place of stubs in rows of a column, also inside of tuples (RILLE_NEED until all blobs are at
 * hand): *out is `in` itself or the copy, whose arrays are in `lasting`. */
int ri_unstub(rille_op *op, const ri_vec *in, uint32_t rows, ri_arena *arena, ri_arena *lasting, ri_vec *copy,
              const ri_vec **out, rille_err *err);
/* What goes with the results changes with the constants: for another run. */
void ri_results_renew(ri_results *results, const ri_scope *scope);

/* ---- names (op_names.c) ---- */

typedef enum ri_name_kind {
    RI_NAME_ENTITY,     /* ident, lookup ref; a lookup ref that cannot be one is an error */
    RI_NAME_EITHER,     /* the same, but also what it is; strings are only that */
    RI_NAME_ATTR,       /* name of an attribute */
    RI_NAME_GIVEN_ATTR, /* the same, from an input: an unknown name is an error */
} ri_name_kind;
typedef struct ri_name_spec {
    ri_var var;
    ri_var to; /* the hidden column, ri_hidden_var */
    uint8_t kind;
} ri_name_spec;
/* The hidden column of a position of the pattern that comes next. */
static inline ri_var ri_hidden_var(const ri_scope *scope, unsigned pos)
{
    return (ri_var)(scope->var_count + 1U + pos);
}
ri_stage *ri_names_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_pattern *pattern,
                             const ri_name_spec *specs, uint16_t spec_count);

/* ---- not, or ---- */

ri_stage *ri_not_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, ri_feed *feed, ri_stage *body);
typedef struct ri_or_branch {
    ri_feed *feed;
    ri_stage *body;
} ri_or_branch;
/* made: the columns that every branch gives anew. */
ri_stage *ri_or_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_or_branch *branches,
                          uint16_t branch_count, const ri_varset *made);

#endif
