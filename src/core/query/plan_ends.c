/* SPDX-License-Identifier: MIT
 *
 * Queries that need only the rows of the smallest or the greatest values of an attribute: :order-by ?v with a limit, min
 * and max of ?v. Where an index has these values in order, they are read from its end until there are enough (op_ends.c).
 *
 * Rows that are never looked at must not make a difference, so this is left alone where a clause can fail, and where
 * rows may turn out to be equal when all are in.
 */
#include "types.h"

#include "../base/hash.h"

#define ROWS_READ_MIN 64U /* that a plan reads which begins at an end */
#define SURE 4.0 /* as many times more rows are read, since the number that pass the other clauses is a guess */

static int64_t option_or(int64_t option, int64_t otherwise)
{
    return option >= 0 ? option : otherwise;
}

/* :order-by ?v ... :limit k */
static bool ends_of_order(const rille_op *op, ri_ends *ends)
{
    const rille_query *query = op->query;
    int64_t limit = option_or(op->options.limit, query->limit);
    int64_t offset = option_or(op->options.offset, query->offset);
    for (uint16_t i = 0; i < query->find_count; i++) {
        if (query->find[i].agg != NULL) {
            return false;
        }
    }
    if (query->order_count == 0 || limit <= 0 || limit > UINT32_MAX || offset > UINT32_MAX) {
        return false;
    }
    *ends = (ri_ends){ .var = query->find[query->order_by[0].elem].var, .count = 1 };
    ends->high[0] = query->order_by[0].desc;
    ends->need[0] = (uint64_t)limit + (uint64_t)(offset > 0 ? offset : 0);
    return true;
}

/* Nothing but (min ?v), (max ?v), (min n ?v), (max n ?v). */
static bool ends_of_aggregates(const rille_op *op, ri_ends *ends)
{
    const rille_query *query = op->query;
    uint64_t need[2] = { 0, 0 };
    for (uint16_t i = 0; i < query->find_count; i++) {
        const ri_find_elem *elem = &query->find[i];
        bool max = elem->agg != NULL && strcmp(elem->agg, "max") == 0;
        bool min = elem->agg != NULL && strcmp(elem->agg, "min") == 0;
        ri_value n = elem->arg_var == RI_NO_VAR ? elem->arg : op->scope.fixed[elem->arg_var];
        if ((!max && !min) || elem->var != query->find[0].var) {
            return false;
        }
        if (n.type != RI_NIL && (n.type != RI_LONG || n.as.i < 1)) {
            return false; /* told where the aggregate is made */
        }
        uint64_t count = n.type == RI_NIL ? 1 : (uint64_t)n.as.i;
        need[max] = count > need[max] ? count : need[max];
    }
    *ends = (ri_ends){ .var = query->find[0].var };
    for (unsigned high = 0; high < 2; high++) {
        if (need[high] > 0) {
            ends->high[ends->count] = high == 1;
            ends->need[ends->count++] = need[high];
        }
    }
    return ends->count > 0;
}

/* May the rows that are not read be left out? */
static bool may_stop(const rille_op *op)
{
    const rille_query *query = op->query;
    for (uint16_t i = 0; i < query->where_count; i++) {
        if (ri_clause_may_fail(op, &op->scope, &query->where[i])) {
            return false;
        }
    }
    for (uint16_t i = 0; i < query->find_count + query->with_count; i++) {
        ri_var var = i < query->find_count ? query->find[i].var : query->with[i - query->find_count];
        if (ri_var_loose(op, &op->scope, var)) {
            return false;
        }
    }
    return true;
}

/* The pattern that gives the values, from an index that has them in the order of results. */
static const ri_clause *first_clause(rille_op *op, ri_var var, const ri_pattern **pattern)
{
    for (uint16_t i = 0; i < op->query->where_count; i++) {
        const ri_clause *clause = &op->query->where[i];
        ri_pattern *p = NULL;
        if (clause->kind != RI_CLAUSE_PATTERN || op->sources[clause->source].db == NULL ||
            ri_pattern_resolve(op, &op->scope, clause, &p, NULL) != 0) {
            continue;
        }
        bool ordered = !p->nothing && p->attr != NULL && p->attr->avet && p->attr->type != RI_REF &&
                       p->attr->type != RI_NIL && p->attr->type != RI_TUPLE;
        if (ordered && p->var[RI_POS_V] == var && !p->has[RI_POS_E] && p->var[RI_POS_E] != var) {
            *pattern = p;
            return clause;
        }
    }
    return NULL;
}

static double sum(const double *est, uint16_t count)
{
    double rows = 0;
    for (uint16_t i = 0; i < count; i++) {
        rows += est[i];
    }
    return rows;
}

/* Rows that the plan with ends is expected to make before it stops. */
static double rows_until_enough(const ri_ends *ends, const double *est, uint16_t count)
{
    double final = est[count - 1];
    double share = 0;
    for (unsigned i = 0; i < ends->count; i++) {
        share += final > 0 ? SURE * (double)ends->need[i] / final : 1;
    }
    return ROWS_READ_MIN + sum(est, count) * (share < 1 ? share : 1);
}

int ri_plan_query_order(rille_op *op, ri_plan_input *in, uint16_t *order, double *est, rille_err *err)
{
    static const ri_ends none = { .count = 0 };
    const ri_pattern *pattern = NULL;
    ri_ends *ends = ri_arena_alloc(&op->plan_arena, sizeof *ends);
    uint16_t *other = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *other);
    double *other_est = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *other_est);
    if (ends == NULL || other == NULL || other_est == NULL) {
        return ri_fail_nomem(err);
    }
    *ends = none;
    RI_TRY(ri_plan_order(op, in, order, est, err));
    if (!in->one_row || (!ends_of_order(op, ends) && !ends_of_aggregates(op, ends)) ||
        ri_varset_has(&in->scope->is_fixed, ends->var) || !may_stop(op)) {
        return 0;
    }
    ri_plan_input from_end = *in;
    from_end.first = first_clause(op, ends->var, &pattern);
    from_end.ends = ends;
    if (from_end.first == NULL || (pattern->range != NULL && pattern->range->cuts.empty)) {
        return 0;
    }
    RI_TRY(ri_plan_order(op, &from_end, other, other_est, err));
    bool cheaper = op->options.order_seed != 0 /* in tests: by chance */
                       ? ri_mix64(op->options.order_seed) % 2 == 0
                       : rows_until_enough(ends, other_est, in->count) * 2 < sum(est, in->count);
    if (cheaper) {
        *in = from_end;
        memcpy(order, other, in->count * sizeof *order);
        memcpy(est, other_est, in->count * sizeof *est);
    }
    return 0;
}
