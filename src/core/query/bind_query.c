/* SPDX-License-Identifier: MIT
 *
 * Binding whole queries and rules, and their calls.
 *
 * What a rule NEEDS bound at a call, and which of its parameters are attributes, follows from its bodies, which may call
 * rules: the smallest solution is found by repetition. Both only ever appear, so a branch is looked at again at most twice
 * for each parameter of the rules that it calls.
 */
#include "bind.h"
#include "functions.h"

#include <stdio.h>

#define BODY_UNITS 16U /* of work for two clauses of a body that may wait for each other */

/* The functions of bind.c run out of memory without a message. */
static int with_message(int rc, rille_err *err)
{
    return rc == RILLE_NOMEM ? ri_fail_nomem(err) : rc;
}

/* ---- queries ---- */

static ri_bind_scope scope_of_query(const rille_query *query, const ri_rules *rules, rille_err *err)
{
    return (ri_bind_scope){ .var_names = query->var_names,
                            .source_names = query->source_names,
                            .origin = ri_origin_of_query(query),
                            .rules = rules,
                            .err = err };
}

static ri_varset input_vars(const rille_query *query)
{
    ri_varset vars = { { 0 } };
    for (uint16_t i = 0; i < query->in_count; i++) {
        for (uint16_t j = 0; j < query->in[i].binding.var_count; j++) {
            ri_varset_add(&vars, query->in[i].binding.vars[j]);
        }
    }
    return vars;
}

/* A variable of :find or :with that nothing binds. */
static int check_result_var(const rille_query *query, const ri_varset *bound, ri_var var, uint32_t offset,
                            const char *where, rille_err *err)
{
    if (ri_varset_has(bound, var)) {
        return 0;
    }
    ri_varset used = { { 0 } };
    for (uint16_t i = 0; i < query->where_count; i++) {
        ri_clause_vars(&query->where[i], &used);
    }
    const char *problem = ri_varset_has(&used, var) ? "is used but never bound" : "is not used in any clause";
    char hint[RI_SUGGESTION_SIZE];
    ri_suggest suggest = ri_suggest_for(query->var_names[var] + 1, strlen(query->var_names[var]) - 1);
    ri_bind_suggest(&suggest, query->var_names, bound);
    (void)ri_fail(err, RILLE_QUERY, "variable %s of %s %s%s", query->var_names[var], where, problem,
                  ri_suggest_show(&suggest, "?", hint));
    ri_origin origin = ri_origin_of_query(query);
    ri_err_at(err, &origin, offset, 0);
    return RILLE_QUERY;
}

/* How many values (min ?n ?x) takes is known before the query runs: ?n is an input of one value. */
static int check_count_var(const rille_query *query, const ri_find_elem *elem, rille_err *err)
{
    bool found = elem->arg_var == RI_NO_VAR;
    for (uint16_t i = 0; i < query->in_count; i++) {
        const ri_binding *binding = &query->in[i].binding;
        bool one_row =
            query->in[i].kind == RI_IN_BINDING && (binding->kind == RI_BIND_SCALAR || binding->kind == RI_BIND_TUPLE);
        for (uint16_t j = 0; one_row && j < binding->var_count; j++) {
            found = found || binding->vars[j] == elem->arg_var;
        }
    }
    const char *format = "the count of aggregate %s must be a number or an input with one value, not %s";
    return found ? 0 : ri_fail(err, RILLE_QUERY, format, elem->agg, query->var_names[elem->arg_var]);
}

int ri_bind_query(rille_query *query, rille_err *err)
{
    ri_bind_scope scope = scope_of_query(query, NULL, err);
    ri_varset bound = input_vars(query);
    RI_TRY(with_message(ri_bind_joins(&scope, &query->arena, query->where, query->where_count, &bound), err));
    RI_TRY(with_message(ri_bind_check(&scope, query->where, query->where_count, &bound), err));
    for (uint16_t i = 0; i < query->where_count; i++) {
        ri_clause_provides(&query->where[i], &bound);
    }
    for (uint16_t i = 0; i < query->find_count; i++) {
        RI_TRY(check_result_var(query, &bound, query->find[i].var, query->find[i].offset, ":find", err));
        RI_TRY(check_count_var(query, &query->find[i], err));
    }
    for (uint16_t i = 0; i < query->with_count; i++) {
        RI_TRY(check_result_var(query, &bound, query->with[i], UINT32_MAX, ":with", err));
    }
    return 0;
}

/* ---- calls ---- */

static int unknown_rule(const ri_bind_scope *scope, const ri_clause *clause)
{
    char hint[RI_SUGGESTION_SIZE];
    char names[160] = "";
    size_t len = 0;
    const ri_rules *rules = scope->rules;
    ri_suggest suggest = ri_suggest_for(clause->name, strlen(clause->name));
    if (ri_builtin_find(clause->name) != NULL) {
        return ri_bind_fail(scope, clause, "unknown rule %s: to call the function, write [(%s ...)]", clause->name,
                            clause->name);
    }
    for (size_t i = 0; i < rules->branch_count; i++) {
        const char *name = rules->branches[rules->by_name[i]].name;
        bool again = i > 0 && strcmp(rules->branches[rules->by_name[i - 1]].name, name) == 0;
        ri_suggest_offer(&suggest, name, strlen(name));
        if (!again && len < sizeof names) {
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len == 0 ? "" : ", ", name);
        }
    }
    if (len >= sizeof names) { /* cut: where a name ends */
        char *comma = strrchr(names, ',');
        (void)snprintf(comma == NULL ? names : comma, 6, "%s", comma == NULL ? "..." : ", ...");
    }
    return ri_bind_fail(scope, clause, "unknown rule %s%s; %s%s", clause->name, ri_suggest_show(&suggest, "", hint),
                        len == 0 ? "no rules are given" : "rules given: ", names);
}

static int check_calls(const ri_bind_scope *scope, const ri_clause *body, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        const ri_clause *clause = &body[i];
        RI_TRY(check_calls(scope, clause->body, clause->body_count));
        if (clause->kind != RI_CLAUSE_RULE) {
            continue;
        }
        const ri_rule_branch *rule = ri_rules_find(scope->rules, clause->name);
        if (rule == NULL) {
            return unknown_rule(scope, clause);
        }
        if (rule->param_count != clause->term_count) {
            return ri_bind_fail(scope, clause, "the call of rule %s has %u argument%s, but the rule takes %u",
                                clause->name, clause->term_count, clause->term_count == 1 ? "" : "s",
                                rule->param_count);
        }
    }
    return 0;
}

int ri_bind_calls(const rille_query *query, const ri_rules *rules, rille_err *err)
{
    ri_bind_scope scope = scope_of_query(query, rules, err);
    ri_varset bound = input_vars(query);
    RI_TRY(check_calls(&scope, query->where, query->where_count));
    return with_message(ri_bind_check(&scope, query->where, query->where_count, &bound), err);
}

/* ---- rules ---- */

static ri_bind_scope scope_of_branch(const ri_rule_branch *branch, const rille_query *query, const ri_rules *rules,
                                     rille_err *err)
{
    static const char *const only_default[] = { "$" };
    return (ri_bind_scope){ .var_names = branch->var_names,
                            .source_names = query != NULL ? query->source_names : only_default,
                            .origin = ri_origin_of_rule(rules, branch->name),
                            .rules = rules,
                            .err = err };
}

static ri_varset params_of(const ri_rule_branch *branch, bool only_needed)
{
    ri_varset vars = { { 0 } };
    for (uint16_t i = 0; i < branch->param_count; i++) {
        if (!only_needed || branch->needs[i]) {
            ri_varset_add(&vars, branch->params[i]);
        }
    }
    return vars;
}

/* Branches of one name agree, and share one array of needs. */
static int join_branches(ri_rules *rules, ri_arena *arena, rille_err *err)
{
    for (size_t i = 0; i < rules->branch_count; i++) {
        ri_rule_branch *branch = &rules->branches[i];
        const ri_rule_branch *first = ri_rules_find(rules, branch->name);
        if (first != branch) {
            if (first->param_count != branch->param_count || first->required_count != branch->required_count) {
                (void)ri_fail(err, RILLE_QUERY,
                              "rule %s is defined with %u and with %u parameters (%u and %u of them in brackets): all "
                              "its definitions must agree",
                              branch->name, first->param_count, branch->param_count, first->required_count,
                              branch->required_count);
                ri_origin origin = { rules->text, NULL, true };
                ri_err_at(err, &origin, branch->offset, 0);
                return RILLE_QUERY;
            }
            branch->needs = first->needs;
            branch->attrs = first->attrs;
            branch->either = first->either;
            for (uint16_t p = 0; p < branch->param_count; p++) {
                branch->either[p] = branch->same[p] == branch->either[p] ? branch->either[p] : p;
            }
            continue;
        }
        branch->needs = ri_arena_array(arena, branch->param_count, sizeof *branch->needs);
        branch->attrs = ri_arena_array(arena, branch->param_count, sizeof *branch->attrs);
        branch->either = ri_arena_copy(arena, branch->same, branch->param_count * sizeof *branch->either);
        if (branch->needs == NULL || branch->attrs == NULL || branch->either == NULL) {
            return ri_fail_nomem(err);
        }
        for (uint16_t p = 0; p < branch->param_count; p++) {
            branch->attrs[p] = false;
            branch->needs[p] = p < branch->required_count;
        }
    }
    return 0;
}

/* Which branches call a rule. A rule is known by its first branch. */
typedef struct callers {
    size_t *first;    /* by rule: where its callers begin in `branches`; they end where those of the next begin */
    size_t *branches; /* one for each call */
    bool *stale;      /* by branch: what it calls has changed since it was looked at */
    size_t count;     /* of calls */
} callers;

/* Calls of a body are counted at first, then put in their places. */
static void note_calls(const ri_rules *rules, const ri_clause *body, uint16_t count, size_t caller, callers *out)
{
    for (uint16_t i = 0; i < count; i++) {
        note_calls(rules, body[i].body, body[i].body_count, caller, out);
        if (body[i].kind == RI_CLAUSE_RULE) {
            size_t *end = &out->first[ri_rules_find(rules, body[i].name) - rules->branches];
            if (out->branches == NULL) {
                ++*end;
                out->count++;
            } else {
                out->branches[--*end] = caller;
            }
        }
    }
}

static int callers_new(const ri_rules *rules, ri_arena *arena, callers *out)
{
    size_t n = rules->branch_count;
    *out = (callers){ .first = ri_arena_array(arena, n + 1, sizeof *out->first),
                      .stale = ri_arena_array(arena, n + 1, sizeof *out->stale) };
    if (out->first == NULL || out->stale == NULL) {
        return RILLE_NOMEM;
    }
    memset(out->first, 0, (n + 1) * sizeof *out->first);
    memset(out->stale, 1, n);
    for (size_t i = 0; i < n; i++) {
        note_calls(rules, rules->branches[i].body, rules->branches[i].body_count, i, out);
    }
    for (size_t i = 1; i <= n; i++) {
        out->first[i] += out->first[i - 1]; /* where they end; filling moves it to where they begin */
    }
    out->branches = ri_arena_array(arena, out->count + 1, sizeof *out->branches);
    for (size_t i = 0; i < n && out->branches != NULL; i++) {
        note_calls(rules, rules->branches[i].body, rules->branches[i].body_count, i, out);
    }
    return out->branches == NULL ? RILLE_NOMEM : 0;
}

/* What one branch needs, for all of its rule. */
static int needs_of(const ri_rules *rules, const ri_rule_branch *branch, bool *grown)
{
    ri_varset required = { { 0 } };
    ri_varset provided = { { 0 } };
    ri_varset attrs = { { 0 } };
    RI_TRY(ri_body_required(branch->body, branch->body_count, rules, NULL, &required));
    for (uint16_t c = 0; c < branch->body_count; c++) {
        ri_clause_provides(&branch->body[c], &provided);
        ri_clause_attrs(&branch->body[c], rules, &attrs);
    }
    *grown = false;
    for (uint16_t p = 0; p < branch->param_count; p++) {
        ri_var var = branch->params[p];
        if (!branch->needs[p] && (ri_varset_has(&required, var) || !ri_varset_has(&provided, var))) {
            branch->needs[p] = true;
            *grown = true;
        }
        if (!branch->attrs[p] && ri_varset_has(&attrs, var)) {
            branch->attrs[p] = true;
            *grown = true;
        }
    }
    return 0;
}

static size_t clause_count(const ri_clause *body, uint16_t count)
{
    size_t n = count;
    for (uint16_t i = 0; i < count; i++) {
        n += clause_count(body[i].body, body[i].body_count);
    }
    return n;
}

/* To order a body once, and the bodies inside. */
static int body_work(const ri_arena *arena, const ri_rule_branch *branch, rille_err *err)
{
    size_t n = clause_count(branch->body, branch->body_count);
    return ri_work(arena->meter, n * n * BODY_UNITS, err);
}

/* Until nothing changes; only callers of what has changed are looked at again. */
static int find_needs(ri_rules *rules, ri_arena *arena, rille_err *err)
{
    callers calls;
    RI_TRY(with_message(callers_new(rules, arena, &calls), err));
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = rules->branch_count; i-- > 0;) { /* rules mostly call those that stand after them */
            const ri_rule_branch *branch = &rules->branches[i];
            bool grown = false;
            if (!calls.stale[i]) {
                continue;
            }
            calls.stale[i] = false;
            RI_TRY(body_work(arena, branch, err));
            RI_TRY(with_message(needs_of(rules, branch, &grown), err));
            size_t rule = (size_t)(ri_rules_find(rules, branch->name) - rules->branches);
            for (size_t c = calls.first[rule]; grown && c < calls.first[rule + 1]; c++) {
                calls.stale[calls.branches[c]] = true;
            }
            changed = changed || grown;
        }
    }
    return 0;
}

int ri_bind_rules(ri_rules *rules, const rille_query *query, ri_arena *arena, rille_err *err)
{
    RI_TRY(join_branches(rules, arena, err));
    for (size_t i = 0; i < rules->branch_count; i++) {
        ri_rule_branch *branch = &rules->branches[i];
        ri_bind_scope scope = scope_of_branch(branch, query, rules, err);
        ri_varset params = params_of(branch, false);
        RI_TRY(body_work(arena, branch, err));
        RI_TRY(check_calls(&scope, branch->body, branch->body_count));
        RI_TRY(with_message(ri_bind_joins(&scope, arena, branch->body, branch->body_count, &params), err));
    }
    RI_TRY(find_needs(rules, arena, err));
    for (size_t i = 0; i < rules->branch_count; i++) {
        ri_rule_branch *branch = &rules->branches[i];
        ri_bind_scope scope = scope_of_branch(branch, query, rules, err);
        ri_varset needed = params_of(branch, true);
        RI_TRY(body_work(arena, branch, err));
        RI_TRY(with_message(ri_bind_check(&scope, branch->body, branch->body_count, &needed), err));
    }
    return 0;
}
