/* SPDX-License-Identifier: MIT
 *
 * Rules, private: what planning a predicate works with (rules_shape.c finds what kind of recursion it is, rules_plan.c
 * makes tasks).
 */
#ifndef RI_RULES_PLAN_H
#define RI_RULES_PLAN_H

#include "rules.h"

typedef struct ri_rule_body {
    struct ri_rule_body *next;
    const ri_rule_branch *branch;
    const ri_scope *scope;
    ri_clause *clauses;
    uint16_t count;
    uint16_t *order;
    double *est;
    int tail_call; /* index in clauses; -1: no recursive call */
} ri_rule_body;

typedef struct ri_pred_plan {
    rille_op *op;
    ri_pred *pred;
    ri_rule_body *bodies;
    ri_rule_body **end;
    const ri_rule_body *step; /* of a closure; NULL: it is none */
    uint32_t body_count;
} ri_pred_plan;

/* Fills plan->bodies with the branches of the predicate's rule, ors around recursive calls multiplied out. */
int ri_rule_bodies(ri_pred_plan *plan, rille_err *err);
/* Is every recursive call of the predicate a tail call? Then where they are is noted. */
bool ri_find_tail_calls(const ri_pred_plan *plan);
/* Is the predicate the closure of one relation, its step? Then contexts go from step to step, and every new one is an
 * answer, whichever way the recursion was written. The body of the step, or NULL. */
ri_rule_body *ri_closure_step(const ri_pred_plan *plan);

#endif
