/* SPDX-License-Identifier: MIT
 *
 * What a clause says, wherever it is written: the variables that it shares with others, whether it only filters, and an
 * order of clauses. Where two seem equally good, that decides, so that a query has one plan in whatever order it is
 * written.
 */
#include "exec.h"

void ri_outer_vars(const ri_clause *clause, ri_varset *out)
{
    if (clause->kind != RI_CLAUSE_NOT && clause->kind != RI_CLAUSE_OR) {
        ri_clause_vars(clause, out);
        return;
    }
    for (uint16_t i = 0; i < clause->join_count; i++) {
        ri_varset_add(out, clause->join_vars[i]);
    }
}

bool ri_clause_filters(const ri_clause *clause)
{
    return clause->kind == RI_CLAUSE_PRED || clause->kind == RI_CLAUSE_NOT ||
           (clause->kind == RI_CLAUSE_FUNC &&
            (clause->binding.kind == RI_BIND_SCALAR || clause->binding.kind == RI_BIND_TUPLE));
}

static int cmp_numbers(double a, double b)
{
    return (a > b) - (a < b);
}

static int cmp_vars(const ri_scope *scope, const ri_var *a, uint16_t a_count, const ri_var *b, uint16_t b_count)
{
    int c = cmp_numbers(a_count, b_count);
    for (uint16_t i = 0; c == 0 && i < a_count; i++) {
        bool blank = a[i] == RI_NO_VAR || b[i] == RI_NO_VAR;
        c = blank ? (a[i] == RI_NO_VAR) - (b[i] == RI_NO_VAR) : strcmp(scope->var_names[a[i]], scope->var_names[b[i]]);
    }
    return c;
}

static int cmp_terms(const ri_scope *scope, const ri_term *a, const ri_term *b)
{
    if (a->kind != b->kind) {
        return cmp_numbers(a->kind, b->kind);
    }
    switch ((ri_term_kind)a->kind) {
    case RI_TERM_VAR:
        return cmp_vars(scope, &a->var, 1, &b->var, 1);
    case RI_TERM_CONST:
        return a->v.type != b->v.type ? cmp_numbers(a->v.type, b->v.type) : ri_value_cmp(&a->v, &b->v);
    case RI_TERM_SOURCE:
        return cmp_numbers(a->source, b->source);
    case RI_TERM_BLANK:
        break;
    }
    return 0;
}

int ri_clause_cmp(const ri_scope *scope, const ri_clause *a, const ri_clause *b)
{
    int c = cmp_numbers(a->kind, b->kind);
    c = c != 0 ? c : cmp_numbers(a->source, b->source);
    c = c != 0 || a->name == NULL || b->name == NULL ? c : strcmp(a->name, b->name);
    c = c != 0 ? c : cmp_numbers(a->term_count, b->term_count);
    for (uint16_t i = 0; c == 0 && i < a->term_count; i++) {
        c = cmp_terms(scope, &a->terms[i], &b->terms[i]);
    }
    c = c != 0 ? c : cmp_vars(scope, a->binding.vars, a->binding.var_count, b->binding.vars, b->binding.var_count);
    c = c != 0 ? c : cmp_numbers(a->body_count, b->body_count);
    for (uint16_t i = 0; c == 0 && i < a->body_count; i++) {
        c = ri_clause_cmp(scope, &a->body[i], &b->body[i]);
    }
    return c;
}
