/* SPDX-License-Identifier: MIT
 *
 * Ranges of an index that predicates cut out: [?p :age ?a] [(>= ?a 18)] [(< ?a 65)] reads AVET from 18 to 65.
 *
 * A range has every row that can satisfy the predicates, and maybe others: the predicates stay where they are and look
 * at each row again. So a range decides how much is read, never what the answer is.
 */
#ifndef RI_RANGE_H
#define RI_RANGE_H

#include "pattern.h"

#define RI_RANGE_PREDS_MAX 8U /* more than that do not narrow a range */

typedef enum ri_relation { RI_REL_EQ, RI_REL_LT, RI_REL_GT, RI_REL_LE, RI_REL_GE, RI_REL_PREFIX } ri_relation;

/* A place in the order of an attribute's values: before or after all that equal v. */
typedef struct ri_cut {
    ri_value v;
    bool after;
    bool set; /* false: at the end of the attribute */
} ri_cut;
typedef struct ri_cuts {
    ri_cut low;
    ri_cut high;
    bool empty; /* no value lies between them */
} ri_cuts;

/* The value of the pattern stands in a relation to a variable that may be bound before the pattern runs. */
typedef struct ri_range_end {
    const ri_clause *clause;
    ri_var var;
    uint8_t relation; /* ri_relation */
} ri_range_end;

struct ri_range {                                 /* of a pattern */
    ri_cuts cuts;                                 /* by constants */
    const ri_clause *clauses[RI_RANGE_PREDS_MAX]; /* what they come from */
    unsigned clause_count;
    ri_range_end ends[RI_RANGE_PREDS_MAX];
    unsigned end_count;
    uint64_t count; /* datoms between the cuts */
    bool counted;
    bool planned_empty; /* what the plan was made for */
};

/* Finds the ranges of all patterns that the query can reach, and counts them. RILLE_NEED: call again. The types of
 * variables are known. */
int ri_plan_ranges(rille_op *op, rille_err *err);

/* Narrows the cuts to where `value of the attribute` relation `v` can hold. Bytes go to the arena or are borrowed from
 * v. 0 or RILLE_NOMEM. */
int ri_cuts_narrow(ri_cuts *cuts, const ri_attr *attr, ri_relation relation, const ri_value *v, ri_arena *arena,
                   rille_err *err);
/* Narrows them by a cut, as the lower one or as the upper one. */
void ri_cuts_meet(ri_cuts *cuts, const ri_cut *cut, bool low);
/* The cuts as bounds of the order that has them. */
void ri_cuts_bounds(const ri_cuts *cuts, const ri_attr *attr, ri_order *order, ri_bound *from, ri_bound *to);
/* The ends whose variables are bound, a bit each. range NULL: none. */
unsigned ri_range_bound_ends(const ri_range *range, const ri_varset *bound);
/* Rows that a scan of the pattern is expected to read, once for each row of the input. */
double ri_range_rows(const ri_pattern *p, const ri_varset *bound);

#endif
