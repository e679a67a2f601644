/* SPDX-License-Identifier: MIT
 *
 * Queries, rules and clauses as EDN text. What is printed parses to the same AST: names, not numbers, so that a
 * variable inside a -join form keeps its name; sources only where they are not $.
 */
#include "ast.h"

#include <stdio.h>

typedef struct printer {
    ri_buf *out;
    const char *const *var_names;
    const char *const *source_names;
} printer;

static void put_clause(const printer *p, const ri_clause *clause);

static void put_var(const printer *p, ri_var var)
{
    ri_buf_put_text(p->out, var == RI_NO_VAR ? "_" : p->var_names[var]);
}

static void put_source(const printer *p, uint16_t source)
{
    ri_buf_put_text(p->out, source == RI_SOURCE_DEFAULT ? "$" : p->source_names[source]);
}

static bool is_default(const printer *p, uint16_t source)
{
    return source == RI_SOURCE_DEFAULT || strcmp(p->source_names[source], "$") == 0;
}

static void put_vars(const printer *p, const ri_var *vars, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        ri_buf_put_text(p->out, i == 0 ? "" : " ");
        put_var(p, vars[i]);
    }
}

static void put_term(const printer *p, const ri_term *term)
{
    switch ((ri_term_kind)term->kind) {
    case RI_TERM_BLANK:
        ri_buf_put_text(p->out, "_");
        break;
    case RI_TERM_VAR:
        put_var(p, term->var);
        break;
    case RI_TERM_CONST:
        ri_edn_write_value(p->out, &term->v);
        break;
    case RI_TERM_SOURCE:
        put_source(p, term->source);
        break;
    }
}

static void put_terms(const printer *p, const ri_clause *clause, bool space_first)
{
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_buf_put_text(p->out, i > 0 || space_first ? " " : "");
        put_term(p, &clause->terms[i]);
    }
}

static void put_binding(const printer *p, const ri_binding *binding)
{
    static const char *const before[] = { "", "[", "[", "[[" };
    static const char *const after[] = { "", " ...]", "]", "]]" };
    ri_buf_put_text(p->out, before[binding->kind]);
    put_vars(p, binding->vars, binding->var_count);
    ri_buf_put_text(p->out, after[binding->kind]);
}

static void put_body(const printer *p, const ri_clause *body, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        if (!body[i].implicit) {
            ri_buf_put_text(p->out, " ");
            put_clause(p, &body[i]);
        }
    }
}

/* [[?must] ?x], or [?x] when none is required. */
static void put_required(const printer *p, const ri_var *vars, uint16_t count, uint16_t required)
{
    if (required > 0) {
        ri_buf_put_text(p->out, "[");
        put_vars(p, vars, required);
        ri_buf_put_text(p->out, required < count ? "] " : "]");
    }
    put_vars(p, vars + required, (uint16_t)(count - required));
}

static void put_not_or_or(const printer *p, const ri_clause *clause)
{
    ri_buf_put_text(p->out, clause->kind == RI_CLAUSE_NOT ? "(not" : "(or");
    if (clause->explicit_join) {
        ri_buf_put_text(p->out, "-join [");
        put_required(p, clause->join_vars, clause->join_count, clause->required_count);
        ri_buf_put_text(p->out, "]");
    }
    put_body(p, clause->body, clause->body_count);
    ri_buf_put_text(p->out, ")");
}

static void put_call(const printer *p, const ri_clause *clause)
{
    ri_buf_put_text(p->out, "[(");
    ri_buf_put_text(p->out, clause->name);
    put_terms(p, clause, true);
    ri_buf_put_text(p->out, ")");
    if (clause->kind == RI_CLAUSE_FUNC) {
        ri_buf_put_text(p->out, " ");
        put_binding(p, &clause->binding);
    }
    ri_buf_put_text(p->out, "]");
}

static void put_clause(const printer *p, const ri_clause *clause)
{
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN:
    case RI_CLAUSE_RULE:
        ri_buf_put_text(p->out, clause->kind == RI_CLAUSE_RULE ? "(" : "[");
        if (!is_default(p, clause->source)) {
            put_source(p, clause->source);
            ri_buf_put_text(p->out, " ");
        }
        if (clause->kind == RI_CLAUSE_RULE) {
            ri_buf_put_text(p->out, clause->name);
        }
        put_terms(p, clause, clause->kind == RI_CLAUSE_RULE);
        ri_buf_put_text(p->out, clause->kind == RI_CLAUSE_RULE ? ")" : "]");
        break;
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_FUNC:
        put_call(p, clause);
        break;
    case RI_CLAUSE_NOT:
    case RI_CLAUSE_OR:
        put_not_or_or(p, clause);
        break;
    case RI_CLAUSE_AND:
        ri_buf_put_text(p->out, "(and");
        put_body(p, clause->body, clause->body_count);
        ri_buf_put_text(p->out, ")");
        break;
    }
}

void ri_print_clause(ri_buf *out, const ri_clause *clause, const char *const *var_names,
                     const char *const *source_names)
{
    printer p = { out, var_names, source_names };
    put_clause(&p, clause);
}

static void put_elem(const printer *p, const ri_find_elem *elem)
{
    if (elem->agg == NULL) {
        put_var(p, elem->var);
        return;
    }
    ri_buf_put_text(p->out, "(");
    ri_buf_put_text(p->out, elem->agg);
    ri_buf_put_text(p->out, " ");
    if (elem->arg_var != RI_NO_VAR) {
        put_var(p, elem->arg_var);
        ri_buf_put_text(p->out, " ");
    } else if (elem->arg.type != RI_NIL) {
        ri_edn_write_value(p->out, &elem->arg);
        ri_buf_put_text(p->out, " ");
    }
    put_var(p, elem->var);
    ri_buf_put_text(p->out, ")");
}

static void put_find(const printer *p, const rille_query *query)
{
    static const char *const before[] = { "", "[", "[", "" };
    static const char *const after[] = { "", " ...]", "]", " ." };
    ri_buf_put_text(p->out, "[:find ");
    ri_buf_put_text(p->out, before[query->find_kind]);
    for (uint16_t i = 0; i < query->find_count; i++) {
        ri_buf_put_text(p->out, i == 0 ? "" : " ");
        put_elem(p, &query->find[i]);
    }
    ri_buf_put_text(p->out, after[query->find_kind]);
    for (uint16_t i = 0; query->keys != NULL && i < query->find_count; i++) {
        ri_buf_put_text(p->out, i == 0 ? " :keys " : " ");
        ri_buf_put_text(p->out, query->keys[i]);
    }
    if (query->with_count > 0) {
        ri_buf_put_text(p->out, " :with ");
        put_vars(p, query->with, query->with_count);
    }
}

static void put_in(const printer *p, const ri_in *in)
{
    ri_buf_put_text(p->out, " ");
    switch ((ri_in_kind)in->kind) {
    case RI_IN_SOURCE:
        put_source(p, in->source);
        break;
    case RI_IN_RULES:
        ri_buf_put_text(p->out, "%");
        break;
    case RI_IN_BINDING:
        put_binding(p, &in->binding);
        break;
    }
}

void ri_query_show_inputs(const rille_query *query, char *out, size_t size)
{
    ri_buf buf = { 0 };
    printer p = { &buf, query->var_names, query->source_names };
    for (uint16_t i = 0; i < query->in_count && buf.len < size; i++) {
        put_in(&p, &query->in[i]);
    }
    size_t skip = buf.len > 0 ? 1 : 0; /* the blank in front */
    size_t len = buf.failed ? 0 : buf.len - skip;
    bool cut = len >= size;
    if (cut) {
        len = ri_utf8_span(buf.p + skip, size - 4);
    }
    if (len > 0) {
        memcpy(out, buf.p + skip, len);
    }
    memcpy(out + len, cut ? "..." : "", cut ? 4 : 1);
    ri_buf_deinit(&buf);
}

static void put_count(const printer *p, const char *name, int64_t count)
{
    char text[48];
    (void)snprintf(text, sizeof text, " %s %lld", name, (long long)count);
    ri_buf_put_text(p->out, text);
}

int ri_query_print(const rille_query *query, ri_buf *out)
{
    printer p = { out, query->var_names, query->source_names };
    put_find(&p, query);
    ri_buf_put_text(out, " :in");
    for (uint16_t i = 0; i < query->in_count; i++) {
        put_in(&p, &query->in[i]);
    }
    if (query->where_count > 0) {
        ri_buf_put_text(out, " :where");
        put_body(&p, query->where, query->where_count);
    }
    for (uint16_t i = 0; i < query->order_count; i++) {
        ri_buf_put_text(out, i == 0 ? " :order-by [" : " ");
        put_elem(&p, &query->find[query->order_by[i].elem]);
        ri_buf_put_text(out, query->order_by[i].desc ? " :desc" : "");
    }
    ri_buf_put_text(out, query->order_count > 0 ? "]" : "");
    if (query->limit >= 0) {
        put_count(&p, ":limit", query->limit);
    }
    if (query->offset > 0) {
        put_count(&p, ":offset", query->offset);
    }
    ri_buf_put_text(out, "]");
    return out->failed ? RILLE_NOMEM : 0;
}

int ri_rules_print(const ri_rules *rules, const rille_query *query, ri_buf *out)
{
    static const char *const only_default[] = { "$" };
    ri_buf_put_text(out, "[");
    for (size_t i = 0; i < rules->branch_count; i++) {
        const ri_rule_branch *branch = &rules->branches[i];
        printer p = { out, branch->var_names, query != NULL ? query->source_names : only_default };
        ri_buf_put_text(out, i == 0 ? "[(" : " [(");
        ri_buf_put_text(out, branch->name);
        ri_buf_put_text(out, " ");
        put_required(&p, branch->params, branch->param_count, branch->required_count);
        ri_buf_put_text(out, ")");
        put_body(&p, branch->body, branch->body_count);
        ri_buf_put_text(out, "]");
    }
    ri_buf_put_text(out, "]");
    return out->failed ? RILLE_NOMEM : 0;
}
