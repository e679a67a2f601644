/* SPDX-License-Identifier: MIT
 *
 * How many rows: exact counts for what constants cut out, guesses for what joins give.
 *
 * Counts come from the trees (two descents each) and are kept by pattern. A fan-out (rows that come of one row) is
 * known where the schema says so: an attribute of cardinality one gives at most one row by entity, a unique one by
 * value. Elsewhere it is a guess from the size of the attribute.
 */
#include "exec.h"

#include <math.h>

#define GUESS_CONST_SHARE 0.1   /* of an attribute that has a given value, without an index */
#define GUESS_MANY_VALUES 4.0   /* of a cardinality-many attribute, an entity */
#define GUESS_ENTITY_DATOMS 8.0 /* an entity */
#define GUESS_CHECK 0.3         /* rows that stay when both ends are bound */
#define GUESS_FILTER 0.35
#define GUESS_COLLECTION 8.0
#define GUESS_RULE_BOUND 25.0 /* answers of a rule for one row of bound arguments */
#define GUESS_RULE_FREE 1e7
#define ASSUMED_COUNT 1000U /* of an attribute that need not be counted */
#define FANOUTS_MAX 512U    /* clauses looked at for one */

/* ---- counting ---- */

/* At most one datom: a unique value, or an entity's value of an attribute that has one. */
static bool is_point(const ri_pattern *p)
{
    return p->attr != NULL &&
           ((p->has[RI_POS_V] && p->attr->unique != RI_UNIQUE_NO) || (p->has[RI_POS_E] && !p->attr->many));
}

static int count_pattern(rille_op *op, ri_pattern *p, rille_err *err)
{
    if (p->counted || p->nothing) {
        p->counted = true;
        return 0;
    }
    if (is_point(p)) {
        p->const_count = p->attr_count = 1;
        p->assumed = true;
        p->counted = true;
        return 0;
    }
    ri_order order = RI_EAVT;
    ri_bound from;
    ri_bound to;
    bool filter_v = false;
    uint64_t count = 0;
    uint64_t whole = 0;
    ri_pattern_range(p, &order, &from, &to, &filter_v);
    RI_TRY(ri_db_count(p->db, order, &from, &to, &op->io, &count, err));
    whole = count;
    if (p->attr != NULL && !p->has[RI_POS_E] && p->has[RI_POS_V] && !filter_v) {
        from = ri_bound_a(p->attr->id, false);
        to = ri_bound_a(p->attr->id, true);
        RI_TRY(ri_db_count(p->db, RI_AEVT, &from, &to, &op->io, &whole, err));
    }
    if (filter_v && count > 1) {
        count = (uint64_t)ceil((double)count * GUESS_CONST_SHARE);
    }
    p->const_count = count;
    p->attr_count = whole;
    p->counted = true;
    return 0;
}

/* Entities that a point gives: whatever the counts, it comes first. RILLE_NEED of a lookup ref is met again. */
static int point_entities(rille_op *op, const ri_scope *scope, const ri_clause *clauses, uint16_t count, ri_varset *out,
                          rille_err *err)
{
    for (uint16_t i = 0; i < count; i++) {
        ri_pattern *p = NULL;
        uint16_t source = ri_scope_source(scope, clauses[i].source);
        if (clauses[i].kind != RI_CLAUSE_PATTERN || source >= op->source_count || op->sources[source].db == NULL) {
            continue;
        }
        int rc = ri_pattern_resolve(op, scope, &clauses[i], &p, err);
        if (rc == 0 && !p->nothing && is_point(p)) {
            ri_varset_add(out, p->var[RI_POS_E]);
        }
        RI_TRY(rc == RILLE_NEED ? 0 : rc);
    }
    return 0;
}

/* An attribute of one value, of an entity that a point gives: it is read once, after the point, and need not be
 * counted. */
static void assume_count(ri_pattern *p, const ri_varset *entities)
{
    if (!p->counted && !p->nothing && p->attr != NULL && !p->attr->many && !p->has[RI_POS_V] &&
        ri_varset_has(entities, p->var[RI_POS_E])) {
        p->const_count = p->attr_count = ASSUMED_COUNT;
        p->assumed = true;
        p->counted = true;
    }
}

/* The branches of a rule are counted after the body that calls it, each once on a source: rules may call each other in
 * any way, and as deep as they like. */
static int count_rule(rille_op *op, const ri_scope *scope, const ri_clause *clause, rille_err *err)
{
    uint16_t source = ri_scope_source(scope, clause->source);
    uint64_t names = ri_call_names(scope, clause);
    const ri_rule_branch *first = ri_rules_find(&op->rules, clause->name);
    for (const ri_scope *known = op->scopes; known != NULL; known = known->next) {
        if (known->owner == first && known->source == source && known->names == names) {
            return 0;
        }
    }
    for (size_t i = 0; i < op->rules.branch_count; i++) {
        const ri_rule_branch *branch = &op->rules.branches[i];
        if (strcmp(branch->name, clause->name) == 0 && ri_scope_rule(op, branch, source, names) == NULL) {
            return ri_fail_nomem(err);
        }
    }
    return 0;
}

static int count_body(rille_op *op, const ri_scope *scope, const ri_clause *clauses, uint16_t count, bool *need,
                      rille_err *err);

static int count_clause(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_varset *entities,
                        bool *need, rille_err *err)
{
    if (clause->kind == RI_CLAUSE_RULE) {
        return count_rule(op, scope, clause, err);
    }
    if (clause->kind != RI_CLAUSE_PATTERN) {
        return count_body(op, scope, clause->body, clause->body_count, need, err);
    }
    uint16_t source;
    RI_TRY(ri_pattern_source(op, scope, clause, &source, err));
    if (op->sources[source].db == NULL) {
        return 0;
    }
    ri_pattern *p = NULL;
    int rc = ri_pattern_resolve(op, scope, clause, &p, err);
    if (rc == 0) {
        assume_count(p, entities);
        rc = count_pattern(op, p, err);
    }
    *need = *need || rc == RILLE_NEED;
    return rc == RILLE_NEED ? 0 : rc;
}

static int count_body(rille_op *op, const ri_scope *scope, const ri_clause *clauses, uint16_t count, bool *need,
                      rille_err *err)
{
    ri_varset entities = { { 0 } };
    RI_TRY(point_entities(op, scope, clauses, count, &entities, err));
    for (uint16_t i = 0; i < count; i++) {
        RI_TRY(count_clause(op, scope, &clauses[i], &entities, need, err));
    }
    return 0;
}

int ri_plan_count(rille_op *op, rille_err *err)
{
    bool need = false;
    RI_TRY(count_body(op, &op->scope, op->query->where, op->query->where_count, &need, err));
    ri_scope *left = NULL; /* those that lack something */
    for (ri_scope *scope = op->uncounted; scope != NULL; scope = op->uncounted) {
        const ri_rule_branch *branch = scope->owner;
        bool lacks = false;
        op->uncounted = scope->uncounted;
        RI_TRY(count_body(op, scope, branch->body, branch->body_count, &lacks, err));
        if (lacks) {
            scope->uncounted = left;
            left = scope;
        }
    }
    op->uncounted = left;
    return need || left != NULL ? RILLE_NEED : 0;
}

int ri_plan_count_again(rille_op *op, rille_err *err)
{
    bool need = false;
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        int rc = p->counted ? 0 : count_pattern(op, p, err);
        need = need || rc == RILLE_NEED;
        RI_TRY(rc == RILLE_NEED ? 0 : rc);
    }
    return need ? RILLE_NEED : 0;
}

/* ---- fan-outs ---- */

static double pattern_fanout(const ri_pattern *p, const ri_varset *bound)
{
    if (p->nothing) {
        return 0;
    }
    double all = (double)p->attr_count;
    double some = (double)p->const_count;
    double share = all > 0 ? some / all : 0;
    bool e = p->var[RI_POS_E] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_E]);
    bool v = p->var[RI_POS_V] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_V]);
    if (all == 0) {
        return 0;
    }
    if (e && p->attr == NULL) {
        return GUESS_ENTITY_DATOMS * (v ? GUESS_CHECK : 1);
    }
    if (e) {
        double values = p->attr->many ? GUESS_MANY_VALUES : 1;
        values = values < all ? values : all;
        return v ? GUESS_CHECK : p->has[RI_POS_V] && p->attr->many ? share * values : values * share;
    }
    if (v && p->attr != NULL && p->attr->unique != RI_UNIQUE_NO) {
        return some < 1 ? some : 1;
    }
    if (v) {
        return p->has[RI_POS_E] ? GUESS_CHECK : pow(some, 0.25);
    }
    bool a = p->var[RI_POS_A] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_A]);
    some = ri_range_rows(p, bound);
    return a ? some * GUESS_CONST_SHARE : some;
}

static double relation_fanout(const rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_table *table,
                              const ri_varset *bound)
{
    double rows = table->count;
    (void)op;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        if (ri_term_const(scope, &clause->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var))) {
            rows = pow(rows, 0.5);
        }
    }
    return rows;
}

static double rule_fanout(const ri_scope *scope, const ri_clause *clause, const ri_varset *bound)
{
    unsigned known = 0;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        known += ri_term_const(scope, &clause->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var));
    }
    return known == 0 ? GUESS_RULE_FREE : known == clause->term_count ? GUESS_CHECK : GUESS_RULE_BOUND;
}

static double clause_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                            double rows);

/* A conjunction: its fan-outs one after the other, the smallest first. */
static double body_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clauses, uint16_t count,
                          ri_varset bound, double rows)
{
    double fanout = 1;
    bool done[RI_QUERY_DEPTH_MAX] = { false };
    uint16_t n = count < RI_QUERY_DEPTH_MAX ? count : RI_QUERY_DEPTH_MAX;
    for (uint16_t step = 0; step < n; step++) {
        uint16_t best = n;
        double best_fanout = 0;
        for (uint16_t i = 0; i < n; i++) {
            double f = done[i] ? 0 : clause_fanout(op, in, &clauses[i], &bound, rows);
            if (!done[i] && (best == n || f < best_fanout)) {
                best = i;
                best_fanout = f;
            }
        }
        done[best] = true;
        fanout *= best_fanout;
        ri_clause_provides(&clauses[best], &bound);
    }
    return fanout;
}

static double or_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                        double rows)
{
    double sum = 0;
    for (uint16_t i = 0; i < clause->body_count; i++) {
        const ri_clause *branch = &clause->body[i];
        bool is_and = branch->kind == RI_CLAUSE_AND;
        sum += body_fanout(op, in, is_and ? branch->body : branch, is_and ? branch->body_count : 1, *bound, rows);
    }
    return sum;
}

static double clause_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                            double rows)
{
    bool nested = clause->kind == RI_CLAUSE_OR || clause->kind == RI_CLAUSE_AND;
    if (op->fanouts_left == 0 && nested) {
        return GUESS_COLLECTION;
    }
    op->fanouts_left -= op->fanouts_left > 0;
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN: {
        uint16_t source;
        if (ri_pattern_source(op, in->scope, clause, &source, NULL) != 0) {
            return 1; /* told when its stage is made */
        }
        if (op->sources[source].db == NULL) {
            return relation_fanout(op, in->scope, clause, op->sources[source].table, bound);
        }
        ri_pattern *p = NULL;
        int rc = ri_pattern_resolve(op, in->scope, clause, &p, NULL);
        return rc == 0 ? pattern_fanout(p, bound) : 1;
    }
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_NOT:
        return GUESS_FILTER;
    case RI_CLAUSE_FUNC:
        return clause->binding.kind == RI_BIND_SCALAR || clause->binding.kind == RI_BIND_TUPLE ? 1 : GUESS_COLLECTION;
    case RI_CLAUSE_OR:
        return or_fanout(op, in, clause, bound, rows);
    case RI_CLAUSE_AND:
        return body_fanout(op, in, clause->body, clause->body_count, *bound, rows);
    case RI_CLAUSE_RULE:
        return rule_fanout(in->scope, clause, bound);
    }
    return 1;
}

/* Bodies inside of bodies are ordered again for each step of the outer ones, so there is an end to looking inside. */
double ri_plan_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                      double rows)
{
    op->fanouts_left = FANOUTS_MAX;
    return clause_fanout(op, in, clause, bound, rows);
}
