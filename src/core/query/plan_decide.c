/* SPDX-License-Identifier: MIT
 *
 * Which links are worth sampling (links.h): those that two orders may differ by.
 *
 * The body of the query is ordered by what is known, and each link that this asks for is noted. They are dropped where
 * they cannot matter: where the order is cheap whatever the links are, or no other order can be much cheaper; or where
 * storage is far away, and samples ask it for more than a better order could save (plan_far.c).
 *
 * Bodies inside of it, and those of rules, are planned for rows that come from outside, so there is nothing to sample
 * but their own patterns: how many rows each value has.
 */
#include "walk.h"

#define CHEAP_ROWS 256.0
#define MUCH_CHEAPER 3.0 /* as many times */
#define ROUNDS_MAX 4U    /* in which orders ask for links */
#define FEW_ROWS 64.0    /* of a pattern: no matter how many a value has */

/* Of a place with itself. */
static void note_link(rille_op *op, ri_place place)
{
    const ri_route own = { { place }, 1 };
    (void)ri_link_find(op, &own, place);
}

static bool links_matter(const rille_op *op, const ri_plan_cost *cost)
{
    if (ri_far_samples_cost_more(op, cost)) {
        return false;
    }
    bool other_start = cost->start_min >= 0 && cost->start_min * MUCH_CHEAPER < cost->rows_max;
    return cost->rows_max > CHEAP_ROWS && (cost->choices || other_start);
}

/* No index tells how many datoms have the value. */
static void note_share(rille_op *op, ri_pattern *p)
{
    bool indexed = p->attr == NULL || p->attr->avet || p->v_is_ref;
    ri_place place = { .pattern = p, .at = RI_POS_V };
    if (!p->nothing && p->has[RI_POS_V] && !p->has[RI_POS_E] && !indexed && (double)p->attr_count > FEW_ROWS) {
        note_link(op, place);
    }
}

static int decide_shares(rille_op *op, rille_err *err)
{
    for (uint16_t i = 0; i < op->query->where_count; i++) {
        const ri_clause *clause = &op->query->where[i];
        ri_pattern *p = NULL;
        if (clause->kind == RI_CLAUSE_PATTERN && op->sources[clause->source].db != NULL) {
            RI_TRY(ri_pattern_resolve(op, &op->scope, clause, &p, err));
            note_share(op, p);
        }
    }
    return 0;
}

static int decide_query(rille_op *op, rille_err *err)
{
    ri_plan_input in = ri_plan_query_input(op);
    ri_plan_cost cost;
    int rc = ri_plan_order_cost(op, &in, &cost, err);
    if (rc == 0 && !links_matter(op, &cost)) {
        op->link_count = 0;
        return 0;
    }
    op->link_count = 0;
    op->routed = true;
    uint16_t *order = ri_arena_array(&op->plan_arena, in.count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, in.count + 1U, sizeof *est);
    if (order == NULL || est == NULL) {
        return ri_fail_nomem(err);
    }
    rc = rc == 0 ? ri_plan_query_order(op, &in, order, est, err) : rc; /* asks for those of other orders */
    return rc == 0 ? decide_shares(op, err) : rc;
}

/* What is known now may make another order the best one, which asks for other links. When all are known, the best order is
 * walked. */
int ri_plan_decide_more(rille_op *op, bool *more, rille_err *err)
{
    uint32_t known = op->link_count;
    *more = false;
    if (!op->routed) {
        return 0;
    }
    ri_plan_input in = ri_plan_query_input(op);
    uint16_t *order = ri_arena_array(&op->plan_arena, in.count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, in.count + 1U, sizeof *est);
    if (order == NULL || est == NULL) {
        return ri_fail_nomem(err);
    }
    op->links_noted = op->link_rounds++ < ROUNDS_MAX;
    int rc = ri_plan_query_order(op, &in, order, est, err);
    op->links_noted = false;
    *more = op->link_count > known;
    if (rc == 0 && !*more) {
        *more = in.ends == NULL && in.count > 2 && ri_walk_begin(op, &in, order);
        op->walked = !*more;
    }
    return rc;
}

static void note_own(rille_op *op, ri_pattern *p)
{
    for (uint16_t pos = RI_POS_E; pos <= RI_POS_V; pos += RI_POS_V - RI_POS_E) {
        ri_place place = { .pattern = p, .at = pos };
        if (!p->nothing && p->attr != NULL && p->var[pos] != RI_NO_VAR && !ri_place_is_key(place) &&
            ri_place_rows(op, place) > FEW_ROWS) {
            note_link(op, place);
        }
    }
}

/* joined: the clauses are a conjunction, whose patterns may be planned for rows from outside. */
static int decide_inside(rille_op *op, const ri_scope *scope, const ri_clause *body, uint16_t count, bool joined,
                         rille_err *err)
{
    for (uint16_t i = 0; i < count; i++) {
        ri_pattern *p = NULL;
        uint16_t source = ri_scope_source(scope, body[i].source);
        if (body[i].kind != RI_CLAUSE_PATTERN) {
            RI_TRY(decide_inside(op, scope, body[i].body, body[i].body_count, body[i].kind != RI_CLAUSE_OR, err));
        } else if (joined && count > 1 && source < op->source_count && op->sources[source].db != NULL) {
            RI_TRY(ri_pattern_resolve(op, scope, &body[i], &p, err));
            note_own(op, p);
        }
    }
    return 0;
}

int ri_plan_decide(rille_op *op, rille_err *err)
{
    op->link_count = 0;
    op->routed = false;
    op->link_rounds = 0;
    op->walked = false;
    ri_walks_forget(op);
    op->rule_count_count = 0;
    if (op->options.order_seed != 0 || op->empty) {
        return 0; /* orders by chance */
    }
    op->links_noted = true;
    int rc = decide_query(op, err);
    rc = rc == 0 ? decide_inside(op, &op->scope, op->query->where, op->query->where_count, false, err) : rc;
    for (const ri_scope *scope = op->scopes; rc == 0 && scope != NULL; scope = scope->next) {
        const ri_rule_branch *branch = scope->owner;
        rc = decide_inside(op, scope, branch->body, branch->body_count, true, err);
    }
    op->links_noted = false;
    return rc;
}
