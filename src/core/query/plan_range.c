/* SPDX-License-Identifier: MIT
 *
 * Which predicates cut a range for which pattern: those of the same conjunction that compare the pattern's value, of an
 * attribute that an index has in order, with constants or with other variables, and that cannot fail. One that can is
 * left alone, since it fails on rows that a range would leave out.
 *
 * Constants narrow the range at once, and what is left is counted: the order of clauses goes by that. What variables
 * say is known row by row (op_scan.c).
 */
#include "range.h"

#include "types.h"

#define GUESS_ENDS_BOUND 0.05 /* of the range: what a variable leaves of it */

/* ---- predicates ---- */

static bool relation_of(const ri_clause *clause, ri_relation *out)
{
    static const struct {
        const char *name;
        ri_relation relation;
    } relations[] = { { "=", RI_REL_EQ },
                      { "==", RI_REL_EQ },
                      { "<", RI_REL_LT },
                      { ">", RI_REL_GT },
                      { "<=", RI_REL_LE },
                      { ">=", RI_REL_GE },
                      { "starts-with?", RI_REL_PREFIX } };
    for (size_t i = 0; clause->kind == RI_CLAUSE_PRED && i < sizeof relations / sizeof *relations; i++) {
        if (strcmp(clause->name, relations[i].name) == 0) {
            *out = relations[i].relation;
            return clause->term_count >= 2;
        }
    }
    return false;
}

/* a RELATION b is b MIRROR a. */
static ri_relation mirror(ri_relation relation)
{
    switch (relation) {
    case RI_REL_LT:
        return RI_REL_GT;
    case RI_REL_GT:
        return RI_REL_LT;
    case RI_REL_LE:
        return RI_REL_GE;
    case RI_REL_GE:
        return RI_REL_LE;
    case RI_REL_EQ:
    case RI_REL_PREFIX:
        break;
    }
    return relation;
}

/* ---- ranges of patterns ---- */

/* Is the value of the pattern a variable, in an index by value? A ref is in one by equality. */
static bool may_range(const ri_pattern *p, ri_relation relation)
{
    if (p->nothing || p->attr == NULL || p->has[RI_POS_E] || p->var[RI_POS_V] == RI_NO_VAR) {
        return false;
    }
    return p->attr->type == RI_REF ? relation == RI_REL_EQ : p->attr->avet && p->attr->type != RI_NIL;
}

static int range_of(rille_op *op, ri_pattern *p, rille_err *err)
{
    if (p->range == NULL) {
        p->range = ri_arena_alloc(&op->arena, sizeof *p->range);
        if (p->range == NULL) {
            return ri_fail_nomem(err);
        }
        memset(p->range, 0, sizeof *p->range);
    }
    return 0;
}

/* The value of the pattern is in this relation to a term. */
static int add_end(rille_op *op, ri_pattern *p, const ri_clause *clause, ri_relation relation, const ri_term *other,
                   rille_err *err)
{
    const ri_value *value = ri_term_const(p->scope, other);
    ri_var var = ri_term_var(p->scope, other);
    if (value == NULL && (var == RI_NO_VAR || var == p->var[RI_POS_V])) {
        return 0;
    }
    RI_TRY(range_of(op, p, err));
    ri_range *range = p->range;
    if (value == NULL) {
        if (range->end_count < RI_RANGE_PREDS_MAX) {
            range->ends[range->end_count++] = (ri_range_end){ clause, var, (uint8_t)relation };
        }
        return 0;
    }
    if (range->clause_count == RI_RANGE_PREDS_MAX) {
        return 0;
    }
    if (range->clause_count == 0 || range->clauses[range->clause_count - 1] != clause) {
        range->clauses[range->clause_count++] = clause;
    }
    return ri_cuts_narrow(&range->cuts, p->attr, relation, value, &op->values, err);
}

/* In a chain like 1 < ?a < ?b each argument is related to all others. */
static int add_predicate(rille_op *op, ri_pattern *p, const ri_clause *clause, ri_relation relation, rille_err *err)
{
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (ri_term_var(p->scope, &clause->terms[i]) != p->var[RI_POS_V] || (relation == RI_REL_PREFIX && i > 0)) {
            continue;
        }
        for (uint16_t j = 0; j < clause->term_count; j++) {
            if (j != i) {
                ri_relation to = j < i ? mirror(relation) : relation;
                RI_TRY(add_end(op, p, clause, to, &clause->terms[j], err));
            }
        }
    }
    return 0;
}

static int find_in_body(rille_op *op, const ri_scope *scope, const ri_clause *clauses, uint16_t count, rille_err *err)
{
    for (uint16_t i = 0; i < count; i++) {
        ri_relation relation;
        RI_TRY(find_in_body(op, scope, clauses[i].body, clauses[i].body_count, err));
        if (!relation_of(&clauses[i], &relation) || ri_clause_may_fail(op, scope, &clauses[i])) {
            continue;
        }
        RI_TRY(ri_check(op, err));
        for (uint16_t j = 0; j < count; j++) {
            ri_pattern *p = NULL;
            uint16_t source = ri_scope_source(scope, clauses[j].source);
            if (clauses[j].kind != RI_CLAUSE_PATTERN || op->sources[source].db == NULL) {
                continue;
            }
            RI_TRY(ri_pattern_resolve(op, scope, &clauses[j], &p, err));
            if (may_range(p, relation)) {
                RI_TRY(add_predicate(op, p, &clauses[i], relation, err));
            }
        }
    }
    return 0;
}

/* ---- counting ---- */

static int count_range(rille_op *op, ri_pattern *p, rille_err *err)
{
    ri_range *range = p->range;
    ri_order order;
    ri_bound from;
    ri_bound to;
    if (range->counted) {
        return 0;
    }
    range->count = p->const_count;
    if (range->cuts.empty) {
        range->count = 0;
    } else if (range->clause_count > 0) {
        ri_cuts_bounds(&range->cuts, p->attr, &order, &from, &to);
        RI_TRY(ri_db_count(p->db, order, &from, &to, &op->io, &range->count, err));
    }
    range->counted = true;
    return 0;
}

int ri_plan_ranges(rille_op *op, rille_err *err)
{
    bool need = false;
    if (!op->ranged) {
        op->ranged = true;
        RI_TRY(find_in_body(op, &op->scope, op->query->where, op->query->where_count, err));
        for (const ri_scope *scope = op->scopes; scope != NULL; scope = scope->next) {
            const ri_rule_branch *branch = scope->owner;
            RI_TRY(find_in_body(op, scope, branch->body, branch->body_count, err));
        }
    }
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        int rc = p->range != NULL ? count_range(op, p, err) : 0;
        need = need || rc == RILLE_NEED;
        RI_TRY(rc == RILLE_NEED ? 0 : rc);
    }
    return need ? RILLE_NEED : 0;
}

double ri_range_rows(const ri_pattern *p, const ri_varset *bound)
{
    double rows = (double)p->const_count;
    if (p->range != NULL) {
        rows = (double)p->range->count;
        if (ri_range_bound_ends(p->range, bound) != 0) {
            rows = rows * GUESS_ENDS_BOUND < 1 && rows > 1 ? 1 : rows * GUESS_ENDS_BOUND;
        }
    }
    return rows;
}
