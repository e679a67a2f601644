/* SPDX-License-Identifier: MIT
 *
 * Are rows distinct without a set? Yes when (1) each row of the chain's end stands for different bindings of all
 * variables, and (2) the variables of :find (and :with) determine all others.
 *
 * (1) holds for conjunctions of database patterns whose blanks are determined: a datom is unique by (e, a, v), by (e,
 * a) where the cardinality is one, by (a, v) where values are unique. (2) is the closure of the same dependencies, and
 * of functions.
 */
#include "exec.h"

static bool given(const ri_pattern *p, unsigned pos)
{
    return p->has[pos] || p->var[pos] != RI_NO_VAR;
}

/* No two datoms of the pattern give the same bindings. */
static bool unique_bindings(const ri_pattern *p)
{
    if (!given(p, RI_POS_A)) {
        return false;
    }
    bool e = given(p, RI_POS_E) || (p->attr != NULL && p->attr->unique != RI_UNIQUE_NO && given(p, RI_POS_V));
    bool either =
        ri_pattern_either(p) && p->var[RI_POS_V] != RI_NO_VAR && ri_varset_has(&p->scope->named, p->var[RI_POS_V]);
    bool v = given(p, RI_POS_V) || (p->attr != NULL && !p->attr->many && given(p, RI_POS_E));
    return p->nothing || (e && v && !either); /* a name may be met as itself and as what it names */
}

static bool known(const ri_pattern *p, unsigned pos, const ri_varset *vars)
{
    return p->has[pos] || (p->var[pos] != RI_NO_VAR && ri_varset_has(vars, p->var[pos]));
}

/* What the datom determines the variable knows, unless that goes by one of several names. */
static void add_position(const ri_pattern *p, unsigned pos, ri_varset *vars)
{
    if (!ri_pattern_names(p, pos) || !ri_varset_has(&p->scope->named, p->var[pos])) {
        ri_varset_add(vars, p->var[pos]);
    }
}

static void add_pattern(const ri_pattern *p, ri_varset *vars)
{
    bool e = known(p, RI_POS_E, vars);
    bool v = known(p, RI_POS_V, vars);
    if (e && p->attr != NULL && !p->attr->many) {
        add_position(p, RI_POS_V, vars);
        add_position(p, RI_POS_T, vars);
    }
    if (v && p->attr != NULL && p->attr->unique != RI_UNIQUE_NO) {
        add_position(p, RI_POS_E, vars);
        add_position(p, RI_POS_T, vars);
    }
    if (e && v && known(p, RI_POS_A, vars)) {
        add_position(p, RI_POS_T, vars);
    }
    ri_varset_add(vars, p->var[RI_POS_ADDED]);
}

static void add_function(const ri_scope *scope, const ri_clause *clause, ri_varset *vars)
{
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        if (var != RI_NO_VAR && !ri_varset_has(vars, var)) {
            return;
        }
    }
    ri_clause_provides(clause, vars);
}

/* (1) for one clause; its variables are added to *all. */
static bool clause_unique(rille_op *op, const ri_clause *clause, ri_varset *all)
{
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN: {
        ri_pattern *p = NULL;
        if (op->sources[clause->source].db == NULL || ri_pattern_resolve(op, &op->scope, clause, &p, NULL) != 0) {
            return false;
        }
        ri_clause_vars(clause, all);
        return unique_bindings(p);
    }
    case RI_CLAUSE_FUNC:
        ri_clause_provides(clause, all);
        return clause->binding.kind == RI_BIND_SCALAR || clause->binding.kind == RI_BIND_TUPLE;
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_NOT:
        return true;
    case RI_CLAUSE_OR:
    case RI_CLAUSE_AND:
    case RI_CLAUSE_RULE:
        return false;
    }
    return false;
}

/* (2), one round over all clauses. */
static void close_once(rille_op *op, ri_varset *vars)
{
    for (uint16_t i = 0; i < op->query->where_count; i++) {
        const ri_clause *clause = &op->query->where[i];
        ri_pattern *p = NULL;
        if (clause->kind == RI_CLAUSE_FUNC) {
            add_function(&op->scope, clause, vars);
        } else if (clause->kind == RI_CLAUSE_PATTERN && ri_pattern_resolve(op, &op->scope, clause, &p, NULL) == 0) {
            add_pattern(p, vars);
        }
    }
}

bool ri_plan_distinct(rille_op *op, const ri_varset *vars)
{
    ri_varset all = { { 0 } };
    ri_varset closed = *vars;
    if (!op->in_distinct) {
        return false;
    }
    for (uint16_t i = 0; i < op->in_col_count; i++) {
        ri_varset_add(&all, op->in_cols[i].var);
    }
    for (uint16_t i = 0; i < op->query->where_count; i++) {
        if (!clause_unique(op, &op->query->where[i], &all)) {
            return false;
        }
    }
    ri_varset_union(&closed, &op->scope.is_fixed);
    for (uint16_t i = 0; i < op->query->where_count && !ri_varset_within(&all, &closed); i++) {
        close_once(op, &closed);
    }
    return ri_varset_within(&all, &closed);
}
