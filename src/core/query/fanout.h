/* SPDX-License-Identifier: MIT
 *
 * The fan-out of clauses, private to plan_fanout.c, plan_route.c and plan_rows.c.
 */
#ifndef RI_FANOUT_H
#define RI_FANOUT_H

#include "links.h"

/* A rule that is being estimated. */
typedef struct ri_frame {
    const ri_rule_branch *first;
    uint64_t mask;    /* of the arguments that are bound */
    ri_fanout fanout; /* as far as it is known */
    const struct ri_frame *outer;
    unsigned depth;
} ri_frame;

/* A body, and which of its clauses have run; the bodies around it. */
typedef struct ri_context {
    rille_op *op;
    const ri_plan_input *in;
    const ri_clause *clauses;
    uint16_t count;
    const bool *done; /* NULL: none */
    const struct ri_context *outer;
    const ri_frame *rules;           /* that this is inside of */
    const struct ri_context *caller; /* of the outermost body of a rule: where it is called, */
    const ri_clause *call;           /* by which call, */
    const ri_rule_branch *branch;    /* and which branch it is */
} ri_context;

/* The scope that a call gives a branch; NULL: nobody has asked for it. */
const ri_scope *ri_branch_scope(const ri_context *c, const ri_clause *call, const ri_rule_branch *branch);

/* From where a bound variable comes: a place, or a route to it from special rows, where links matter. False: that is not
 * known. (plan_route.c) */
bool ri_route_of(const ri_context *c, ri_var var, ri_route *out);

#endif
