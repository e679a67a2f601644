/* SPDX-License-Identifier: MIT
 *
 * What the planner knows of values before the query runs: the types that a variable may hold, where a number needs one
 * form, and which calls can fail.
 *
 * ONE FORM. Numbers are equal by value, whatever their types. Where a variable is bound at several places to numbers of
 * types that may differ, each place gives each number in its simplest form: a long, else a double that is exact, else a
 * bigint, else a bigdec. So it makes no difference which place comes first. Everywhere else values stay as they are.
 *
 * A class of variables is what rules pass to each other: a parameter and the arguments of all calls. Invariants:
 * (T1) What a variable holds has one of the types of its class. (T2) A class of which some variable has two places in
 * its scope, or a parameter a constant argument, is JOINED. In a joined class equal numbers have one form: all places
 * give the same type, or one_form is set. (T3) Variables of other classes are never compared: they are not the key of
 * any join.
 */
#ifndef RI_TYPES_H
#define RI_TYPES_H

#include "exec.h"

/* A set of types: bits 1 << ri_type. */
typedef uint32_t ri_types;
#define RI_TYPES_ALL ((UINT32_C(1) << RI_TYPE_COUNT) - 1)

#define RI_TYPES_ONE(TYPE) (UINT32_C(1) << (TYPE))
#define RI_TYPES_INTEGER (RI_TYPES_ONE(RI_LONG) | RI_TYPES_ONE(RI_REF))
#define RI_TYPES_PLAIN (RI_TYPES_INTEGER | RI_TYPES_ONE(RI_DOUBLE))
#define RI_TYPES_NUMBER (RI_TYPES_PLAIN | RI_TYPES_ONE(RI_BIGINT) | RI_TYPES_ONE(RI_BIGDEC))
#define RI_TYPES_STRING (RI_TYPES_ONE(RI_STRING) | RI_TYPES_ONE(RI_STRING_BLOB))
static inline bool ri_types_within(ri_types types, ri_types others)
{
    return (types & ~others) == 0;
}
/* Can equal values of these types differ in form? */
bool ri_types_mixed(ri_types types);

typedef struct ri_var_info {
    uint32_t parent; /* another variable of the class; the class is known by the one that is its own */
    ri_types types;  /* of the class, once all is known */
    uint8_t places;  /* in its scope where it is bound: 0, 1, or 2 for more */
    bool joined;
    bool one_form;
} ri_var_info;

/* Finds the types of all variables, brings fixed ones into their form, and finds which rules can fail. Every pattern is
 * resolved. */
int ri_plan_types(rille_op *op, rille_err *err);
/* The types of the values of a column. */
ri_types ri_column_types(const ri_table *table, uint16_t col);
/* Brings fixed variables into their form. */
int ri_plan_form_fixed(rille_op *op, rille_err *err);
ri_types ri_var_types(const rille_op *op, const ri_scope *scope, ri_var var);
bool ri_var_one_form(const rille_op *op, const ri_scope *scope, ri_var var);
/* The same for a parameter of the rule that is called. */
bool ri_param_one_form(const rille_op *op, const ri_clause *call, uint16_t param);
/* May it hold numbers that are equal but in form? */
bool ri_var_loose(const rille_op *op, const ri_scope *scope, ri_var var);

/* ---- which calls can fail (plan_total.c) ---- */

/* Can it fail on some row? A pattern can where names may be unknown. */
bool ri_clause_may_fail(const rille_op *op, const ri_scope *scope, const ri_clause *clause);
/* What a function gives; `term` types come from the scope. */
ri_types ri_call_types(const ri_clause *clause);
int ri_plan_failures(rille_op *op, rille_err *err);

/* ---- the form (op_form.c) ---- */

/* The simplest form of a number, or of the numbers in a tuple; bytes go to the arena, or are borrowed from v. False: no
 * memory. */
bool ri_simplest(ri_value *v, ri_arena *arena);
/* A stage that brings the columns of some variables into their form. */
ri_stage *ri_form_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_varset *vars,
                            const ri_varset *carried, bool origin);

#endif
