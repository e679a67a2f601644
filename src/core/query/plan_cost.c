/* SPDX-License-Identifier: MIT
 *
 * How many rows patterns have: exact counts for what constants cut out. They come from the trees (two descents each) and
 * are kept by pattern.
 */
#include "exec.h"

#include <math.h>

#define GUESS_CONST_SHARE 0.1 /* of an attribute that has a given value, without an index */
#define ASSUMED_COUNT 1000U   /* of an attribute that need not be counted */

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
    int rc = ri_db_count(p->db, order, &from, &to, &op->io, &count, err);
    whole = count;
    if ((rc == 0 || rc == RILLE_NEED) && p->attr != NULL && !p->has[RI_POS_E] && p->has[RI_POS_V] && !filter_v) {
        from = ri_bound_a(p->attr->id, false);
        to = ri_bound_a(p->attr->id, true);
        int whole_rc = ri_db_count(p->db, RI_AEVT, &from, &to, &op->io, &whole, err); /* both come together */
        rc = whole_rc != 0 ? whole_rc : rc;
    }
    RI_TRY(rc);
    if (filter_v && count > 1) {
        count = (uint64_t)ceil((double)count * (p->share > 0 ? p->share : GUESS_CONST_SHARE));
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
