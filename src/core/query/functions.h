/* SPDX-License-Identifier: MIT
 *
 * Built-in predicates and functions of query text, on whole batches; and aggregates. Nothing else can be called from
 * text but functions that the host registered.
 */
#ifndef RI_FUNCTIONS_H
#define RI_FUNCTIONS_H

#include "batch.h"

#include "../data/suggest.h"

/* An argument: a column of the batch, or one value for all rows. */
typedef struct ri_arg {
    const ri_vec *vec; /* NULL: constant */
    ri_value value;
} ri_arg;

/* One call on the rows of a batch. */
typedef struct ri_fn_call {
    const ri_arg *args;
    unsigned count;
    uint32_t rows;
    ri_arena *arena; /* for the bytes of results; its meter counts the work */
} ri_fn_call;

typedef struct ri_builtin {
    const char *name;
    int8_t arity_min;
    int8_t arity_max;    /* -1: any */
    bool predicate_only; /* it has a filter and no map; where its result is bound, that is keep[i] as a boolean */
    /* Predicates: keep[i] = 1 for rows that hold. NULL for plain functions (then: keep rows whose result is not false
     * and not nil). */
    int (*filter)(const ri_fn_call *in, uint8_t *keep, rille_err *err);
    /* Functions: a result a row (RI_NIL drops the row), bytes in the arena. NULL for those that are predicates only.
     * Both look at the meter at least once in RI_METER_UNITS bytes that they read or write. */
    int (*map)(const ri_fn_call *in, ri_vec *out, rille_err *err);
} ri_builtin;

/* Comparison: = == not= != < > <= >= (chains), compare. Numbers: + - * / quot rem mod inc dec abs min max long double,
 * even? odd? pos? neg? zero?. Any value: identity ground untuple tuple, nil? some? true? false? not, keyword name
 * namespace; tuples: count empty? contains? get nth. Strings: str subs upper-case lower-case trim split join count
 * empty?, starts-with? ends-with? includes? blank?; text as values:
 * parse-long parse-double parse-instant. NULL: unknown. Functions see whole strings, never stubs. < > <= >=
 * and arithmetic refuse what they cannot do with RILLE_TYPE. A filter sets every keep[i] to 0 or 1. A function's result
 * may borrow from its arguments. Either filter or map is there, never both. */
const ri_builtin *ri_builtin_find(const char *name);
/* Offers the names of all built-ins, and of the look-ups of the executor. */
void ri_builtin_suggest(ri_suggest *suggest);

/* ---- aggregates ---- */

typedef struct ri_agg ri_agg; /* the state of one aggregate over all groups */
typedef struct ri_agg_def {
    const char *name;
    bool takes_n; /* (min n ?x) allowed: gives a TUPLE of values */
} ri_agg_def;
/* count count-distinct distinct sum min max avg median variance stddev; NULL: unknown. */
const ri_agg_def *ri_agg_find(const char *name);
/* Offers the names of all aggregates. */
void ri_agg_suggest(ri_suggest *suggest);
/* The meter, which may be NULL, counts what the aggregate holds and does. */
int ri_agg_new(const ri_agg_def *def, const ri_value *n, ri_meter *meter, ri_agg **out, rille_err *err);
void ri_agg_free(ri_agg *agg);
/* Rows i of vec belong to group groups[i]; group numbers only grow by one at a time. RILLE_TYPE: e.g. the sum of a
 * string. Sums of longs are exact: past int64 they are an error (RILLE_LIMIT), with doubles they are doubles. After a
 * failure the aggregate can only be freed. */
int ri_agg_add(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, uint32_t group_count,
               rille_err *err);
/* groups == NULL: all rows belong to group 0. */
/* The result of one group, which has rows; bytes in the arena. *done: it is there, else call again with the same group
 * and arena, which is not reset meanwhile: a call does no more than a slice of the work. */
int ri_agg_result(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, bool *done, rille_err *err);
/* Are there stubs of long values in tuples that it gave? */
bool ri_agg_has_stubs(const ri_agg *agg);

#endif
