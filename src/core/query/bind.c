/* SPDX-License-Identifier: MIT
 *
 * What clauses do to variables, and which are shared by a not or an or with the outside.
 *
 * The idea: what a clause PROVIDES does not depend on the order of clauses, so it comes first and decides what plain
 * nots and ors share with the outside; what a clause REQUIRES follows from that.
 *
 * Cost: every set is computed once a level of nesting; a body of n clauses is ordered in O(n^2) steps of a few words.
 */
#include "bind.h"

#include <stdarg.h>
#include <stdio.h>

ri_var ri_varset_first(const ri_varset *set)
{
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX; i++) {
        if (ri_varset_has(set, (ri_var)i)) {
            return (ri_var)i;
        }
    }
    return RI_NO_VAR;
}

static void add_terms(const ri_clause *clause, ri_varset *out)
{
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (clause->terms[i].kind == RI_TERM_VAR) {
            ri_varset_add(out, clause->terms[i].var);
        }
    }
}

static void add_vars(const ri_var *vars, uint16_t count, ri_varset *out)
{
    for (uint16_t i = 0; i < count; i++) {
        ri_varset_add(out, vars[i]);
    }
}

void ri_clause_vars(const ri_clause *clause, ri_varset *out)
{
    add_terms(clause, out);
    add_vars(clause->binding.vars, clause->binding.var_count, out);
    if (clause->explicit_join) {
        add_vars(clause->join_vars, clause->join_count, out);
        return;
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        ri_clause_vars(&clause->body[i], out);
    }
}

/* What all branches provide. */
static void or_provides(const ri_clause *clause, ri_varset *out)
{
    ri_varset common;
    memset(&common, 0xff, sizeof common);
    for (uint16_t i = 0; i < clause->body_count; i++) {
        ri_varset branch = { { 0 } };
        ri_clause_provides(&clause->body[i], &branch);
        ri_varset_intersect(&common, &branch);
    }
    if (clause->explicit_join) {
        ri_varset join = { { 0 } };
        add_vars(clause->join_vars, clause->join_count, &join);
        ri_varset_intersect(&common, &join);
    }
    ri_varset_union(out, &common);
}

void ri_clause_provides(const ri_clause *clause, ri_varset *out)
{
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN:
    case RI_CLAUSE_RULE:
        add_terms(clause, out);
        break;
    case RI_CLAUSE_FUNC:
        add_vars(clause->binding.vars, clause->binding.var_count, out);
        break;
    case RI_CLAUSE_AND:
        for (uint16_t i = 0; i < clause->body_count; i++) {
            ri_clause_provides(&clause->body[i], out);
        }
        break;
    case RI_CLAUSE_OR:
        or_provides(clause, out);
        break;
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_NOT:
        break;
    }
}

/* ---- required ---- */

/* Is another argument known that is the same variable in every head? Not where brackets say that each must be. */
static bool known_by_another(const ri_clause *call, const ri_rule_branch *branch, uint16_t at, const ri_varset *bound)
{
    for (uint16_t i = branch->required_count; at >= branch->required_count && i < branch->param_count; i++) {
        const ri_term *term = &call->terms[i];
        bool known =
            term->kind == RI_TERM_VAR ? bound != NULL && ri_varset_has(bound, term->var) : term->kind != RI_TERM_BLANK;
        if (i != at && branch->either[i] == branch->either[at] && known) {
            return true;
        }
    }
    return false;
}

static void rule_required(const ri_clause *clause, const ri_rules *rules, const ri_varset *bound, ri_varset *out)
{
    const ri_rule_branch *branch = rules == NULL ? NULL : ri_rules_find(rules, clause->name);
    if (branch == NULL || branch->param_count != clause->term_count) {
        return; /* told by check_calls */
    }
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (clause->terms[i].kind == RI_TERM_VAR && branch->needs[i] && !known_by_another(clause, branch, i, bound)) {
            ri_varset_add(out, clause->terms[i].var);
        }
    }
}

static int or_required(const ri_clause *clause, const ri_rules *rules, ri_varset *out)
{
    ri_varset provided = { { 0 } };
    ri_varset open = { { 0 } };
    or_provides(clause, &provided);
    add_vars(clause->join_vars, clause->join_count, &open);
    ri_varset_subtract(&open, &provided);
    add_vars(clause->join_vars, clause->required_count, &open);
    for (uint16_t i = 0; i < clause->body_count; i++) {
        RI_TRY(ri_clause_required(&clause->body[i], rules, &open));
    }
    ri_varset_union(out, &open);
    return 0;
}

int ri_clause_required_with(const ri_clause *clause, const ri_rules *rules, const ri_varset *bound, ri_varset *out)
{
    if (clause->kind == RI_CLAUSE_RULE) {
        rule_required(clause, rules, bound, out);
        return 0;
    }
    return ri_clause_required(clause, rules, out);
}

int ri_clause_required(const ri_clause *clause, const ri_rules *rules, ri_varset *out)
{
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN:
        return 0;
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_FUNC:
        add_terms(clause, out);
        return 0;
    case RI_CLAUSE_RULE:
        rule_required(clause, rules, NULL, out);
        return 0;
    case RI_CLAUSE_NOT:
        add_vars(clause->join_vars, clause->join_count, out);
        return 0;
    case RI_CLAUSE_OR:
        return or_required(clause, rules, out);
    case RI_CLAUSE_AND:
        return ri_body_required(clause->body, clause->body_count, rules, NULL, out);
    }
    return 0;
}

void ri_clause_attrs(const ri_clause *clause, const ri_rules *rules, ri_varset *out)
{
    const ri_rule_branch *branch =
        clause->kind == RI_CLAUSE_RULE && rules != NULL ? ri_rules_find(rules, clause->name) : NULL;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        bool attr =
            clause->kind == RI_CLAUSE_PATTERN ? i == 1 : branch != NULL && i < branch->param_count && branch->attrs[i];
        if (attr && clause->terms[i].kind == RI_TERM_VAR) {
            ri_varset_add(out, clause->terms[i].var);
        }
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        ri_clause_attrs(&clause->body[i], rules, out);
    }
}

/* A clause that waits for its turn. */
typedef struct waiting {
    const ri_clause *call; /* of a rule; NULL: it is none */
    const ri_rules *rules;
    ri_varset required;
    ri_varset provides;
    bool done;
} waiting;

static int waiting_new(const ri_clause *body, uint16_t count, const ri_rules *rules, waiting **out)
{
    waiting *list = ri_alloc_zero((count + 1U) * sizeof *list);
    int rc = list == NULL ? RILLE_NOMEM : 0;
    for (uint16_t i = 0; rc == 0 && i < count; i++) {
        ri_clause_provides(&body[i], &list[i].provides);
        list[i].call = body[i].kind == RI_CLAUSE_RULE ? &body[i] : NULL;
        list[i].rules = rules;
        rc = ri_clause_required(&body[i], rules, &list[i].required);
    }
    if (rc != 0) {
        ri_free(list);
        list = NULL;
    }
    *out = list;
    return rc;
}

static bool can_run(const waiting *clause, const ri_varset *bound)
{
    ri_varset required = { { 0 } };
    if (ri_varset_within(&clause->required, bound) || clause->call == NULL) {
        return ri_varset_within(&clause->required, bound);
    }
    rule_required(clause->call, clause->rules, bound, &required);
    return ri_varset_within(&required, bound);
}

/* Runs every clause that can run, until none can; the first that cannot, or `count`. */
static uint16_t run_all(waiting *list, uint16_t count, ri_varset *bound)
{
    uint16_t blocked = count;
    for (bool progress = true; progress;) {
        progress = false;
        blocked = count;
        for (uint16_t i = count; i-- > 0;) {
            if (!list[i].done && can_run(&list[i], bound)) {
                ri_varset_union(bound, &list[i].provides);
                list[i].done = true;
                progress = true;
            } else if (!list[i].done) {
                blocked = i;
            }
        }
    }
    return blocked;
}

/* What nobody who waits will bind, of what somebody waits for; when they all wait for each other: what the first one
 * waits for. */
static void missing(const waiting *list, uint16_t count, uint16_t blocked, const ri_varset *bound, ri_varset *out)
{
    ri_varset wanted = { { 0 } };
    ri_varset coming = *bound;
    for (uint16_t i = 0; i < count; i++) {
        if (!list[i].done) {
            ri_varset_union(&wanted, &list[i].required);
            ri_varset_union(&coming, &list[i].provides);
        }
    }
    ri_varset_subtract(&wanted, &coming);
    if (ri_varset_empty(&wanted)) {
        wanted = list[blocked].required;
        ri_varset_subtract(&wanted, bound);
    }
    *out = wanted;
}

int ri_body_required(const ri_clause *body, uint16_t count, const ri_rules *rules, const ri_varset *bound,
                     ri_varset *out)
{
    waiting *list;
    RI_TRY(waiting_new(body, count, rules, &list));
    ri_varset now = { { 0 } };
    if (bound != NULL) {
        now = *bound;
    }
    for (uint16_t blocked = run_all(list, count, &now); blocked < count; blocked = run_all(list, count, &now)) {
        ri_varset need;
        missing(list, count, blocked, &now, &need);
        ri_varset_union(out, &need);
        ri_varset_union(&now, &need);
    }
    ri_free(list);
    return 0;
}

/* ---- messages ---- */

/* The clause as text, shortened to what a message can hold. */
static void show_clause(const ri_bind_scope *scope, const ri_clause *clause, char out[80])
{
    ri_buf buf = { 0 };
    ri_print_clause(&buf, clause, scope->var_names, scope->source_names);
    size_t len = buf.failed ? 0 : buf.len;
    size_t keep = len < 72 ? len : ri_utf8_span(buf.p, 72);
    if (keep > 0) {
        memcpy(out, buf.p, keep);
    }
    memcpy(out + keep, len > keep ? "..." : "", len > keep ? 4 : 1);
    ri_buf_deinit(&buf);
}

int ri_bind_fail(const ri_bind_scope *scope, const ri_clause *clause, const char *format, ...)
{
    char message[RILLE_ERR_MESSAGE_SIZE - 80];
    va_list args;
    va_start(args, format);
    if (vsnprintf(message, sizeof message, format, args) < 0) {
        message[0] = '\0';
    }
    va_end(args);
    (void)ri_fail(scope->err, RILLE_QUERY, "%s", message);
    ri_err_at(scope->err, &scope->origin, clause->offset, clause->number);
    return RILLE_QUERY;
}

void ri_bind_suggest(ri_suggest *suggest, const char *const *var_names, const ri_varset *vars)
{
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX; i++) {
        if (ri_varset_has(vars, (ri_var)i)) {
            ri_suggest_offer(suggest, var_names[i] + 1, strlen(var_names[i]) - 1);
        }
    }
}

/* ---- joins of plain nots and ors ---- */

static int set_join(ri_arena *arena, ri_clause *clause, const ri_varset *vars)
{
    ri_var found[RI_QUERY_VARS_MAX];
    uint16_t count = 0;
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX; i++) {
        if (ri_varset_has(vars, (ri_var)i)) {
            found[count++] = (ri_var)i;
        }
    }
    clause->join_vars = ri_arena_copy(arena, found, count * sizeof *found);
    clause->join_count = count;
    return clause->join_vars == NULL ? RILLE_NOMEM : 0;
}

/* All branches of a plain or mention the same variables. */
static int check_branches(const ri_bind_scope *scope, const ri_clause *clause)
{
    ri_varset first = { { 0 } };
    ri_clause_vars(&clause->body[0], &first);
    for (uint16_t i = 1; i < clause->body_count; i++) {
        ri_varset other = { { 0 } };
        ri_clause_vars(&clause->body[i], &other);
        ri_varset less = first;
        ri_varset more = other;
        ri_varset_subtract(&less, &other);
        ri_varset_subtract(&more, &first);
        ri_varset_union(&less, &more);
        if (!ri_varset_empty(&less)) {
            char show[80];
            show_clause(scope, clause, show);
            return ri_bind_fail(
                scope, clause,
                "the branches of %s use different variables: %s is not in all of them; use (or-join [?x "
                "...] ...) and list the variables that the branches share with the rest of the query",
                show, scope->var_names[ri_varset_first(&less)]);
        }
    }
    return 0;
}

/* The clauses of a branch of or: of its and, or itself. */
static ri_clause *branch_body(ri_clause *branch, uint16_t *count)
{
    *count = branch->kind == RI_CLAUSE_AND ? branch->body_count : 1;
    return branch->kind == RI_CLAUSE_AND ? branch->body : branch;
}

/* What the inside of a not or or may rely on: the shared variables that can be bound outside. */
static ri_varset inside_of(const ri_clause *clause, const ri_varset *bindable)
{
    ri_varset inside = { { 0 } };
    add_vars(clause->join_vars, clause->join_count, &inside);
    ri_varset_intersect(&inside, bindable);
    return inside;
}

static int bind_join(const ri_bind_scope *scope, ri_arena *arena, ri_clause *clause, const ri_varset *bindable)
{
    if (!clause->explicit_join) {
        ri_varset shared = { { 0 } };
        ri_clause_vars(clause, &shared);
        ri_varset able = *bindable;
        ri_clause_provides(clause, &able);
        ri_varset_intersect(&shared, &able);
        if (clause->kind == RI_CLAUSE_NOT && ri_varset_empty(&shared)) {
            char show[80];
            show_clause(scope, clause, show);
            return ri_bind_fail(
                scope, clause, "%s shares no variable with the clauses around it: use a variable that they bind", show);
        }
        if (clause->kind == RI_CLAUSE_OR) {
            RI_TRY(check_branches(scope, clause));
        }
        RI_TRY(set_join(arena, clause, &shared));
    }
    ri_varset inside = inside_of(clause, bindable);
    if (clause->kind == RI_CLAUSE_NOT) {
        return ri_bind_joins(scope, arena, clause->body, clause->body_count, &inside);
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        uint16_t count;
        ri_clause *body = branch_body(&clause->body[i], &count);
        RI_TRY(ri_bind_joins(scope, arena, body, count, &inside));
    }
    return 0;
}

int ri_bind_joins(const ri_bind_scope *scope, ri_arena *arena, ri_clause *body, uint16_t count, const ri_varset *outer)
{
    ri_varset bindable = *outer;
    for (uint16_t i = 0; i < count; i++) {
        ri_clause_provides(&body[i], &bindable);
    }
    for (uint16_t i = 0; i < count; i++) {
        if (body[i].kind == RI_CLAUSE_NOT || body[i].kind == RI_CLAUSE_OR) {
            RI_TRY(bind_join(scope, arena, &body[i], &bindable));
        }
    }
    return 0;
}

/* ---- the check ---- */

static int fail_blocked(const ri_bind_scope *scope, const ri_clause *body, uint16_t count, const waiting *list,
                        uint16_t blocked, const ri_varset *bound)
{
    ri_varset need;
    missing(list, count, blocked, bound, &need);
    uint16_t at = blocked;
    for (uint16_t i = count; i-- > 0;) { /* the first clause that wants one of them */
        ri_varset wants = list[i].required;
        ri_varset_intersect(&wants, &need);
        at = !list[i].done && !ri_varset_empty(&wants) ? i : at;
    }
    ri_varset wants = list[at].required;
    ri_varset_intersect(&wants, &need);
    const char *name = scope->var_names[ri_varset_first(&wants)];
    bool comes = false;
    ri_varset coming = *bound;
    for (uint16_t i = 0; i < count; i++) {
        if (i != at) {
            ri_varset_union(&coming, &list[i].provides);
            comes = comes || ri_varset_has(&list[i].provides, ri_varset_first(&wants));
        }
    }
    char show[80];
    show_clause(scope, &body[at], show);
    if (comes) {
        return ri_bind_fail(scope, &body[at],
                            "%s needs variable %s, but the clauses that bind it need this clause first: bind it in a "
                            "pattern, or pass it as an input",
                            show, name);
    }
    char hint[RI_SUGGESTION_SIZE];
    ri_suggest suggest = ri_suggest_for(name + 1, strlen(name) - 1);
    ri_bind_suggest(&suggest, scope->var_names, &coming);
    return ri_bind_fail(scope, &body[at],
                        "%s needs variable %s, but no clause binds it%s: bind it in a pattern, or pass it as an input",
                        show, name, ri_suggest_show(&suggest, "?", hint));
}

static int check_inside(const ri_bind_scope *scope, const ri_clause *clause, const ri_varset *bindable)
{
    ri_varset inside = inside_of(clause, bindable);
    if (clause->kind == RI_CLAUSE_NOT) {
        return ri_bind_check(scope, clause->body, clause->body_count, &inside);
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        uint16_t count;
        const ri_clause *body = branch_body(&clause->body[i], &count);
        RI_TRY(ri_bind_check(scope, body, count, &inside));
    }
    return 0;
}

/* _ is no value: it cannot stand where a rule needs one. */
static int check_blanks(const ri_bind_scope *scope, const ri_clause *clause, const ri_varset *bindable)
{
    bool is_call = clause->kind == RI_CLAUSE_RULE && scope->rules != NULL;
    const ri_rule_branch *branch = is_call ? ri_rules_find(scope->rules, clause->name) : NULL;
    for (uint16_t i = 0; branch != NULL && i < clause->term_count && i < branch->param_count; i++) {
        if (clause->terms[i].kind == RI_TERM_BLANK && branch->needs[i] &&
            !known_by_another(clause, branch, i, bindable)) {
            char show[80];
            show_clause(scope, clause, show);
            return ri_bind_fail(
                scope, clause,
                "%s: argument %u must not be _: pass a value, or a variable that a pattern or an input binds", show,
                i + 1U);
        }
    }
    return 0;
}

int ri_bind_check(const ri_bind_scope *scope, const ri_clause *body, uint16_t count, const ri_varset *outer)
{
    ri_varset bindable = *outer;
    for (uint16_t i = 0; i < count; i++) {
        ri_clause_provides(&body[i], &bindable);
    }
    for (uint16_t i = 0; i < count; i++) {
        if (body[i].kind == RI_CLAUSE_NOT || body[i].kind == RI_CLAUSE_OR) {
            RI_TRY(check_inside(scope, &body[i], &bindable));
        }
        RI_TRY(check_blanks(scope, &body[i], &bindable));
    }
    waiting *list;
    RI_TRY(waiting_new(body, count, scope->rules, &list));
    ri_varset bound = *outer;
    uint16_t blocked = run_all(list, count, &bound);
    int rc = blocked < count ? fail_blocked(scope, body, count, list, blocked, &bound) : 0;
    ri_free(list);
    return rc;
}
