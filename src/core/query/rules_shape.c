/* SPDX-License-Identifier: MIT
 *
 * Branches of a rule, and the kind of recursion they make: tail recursion, the closure of a step, or any other.
 */
#include "rules_plan.h"

/* ---- branches, with ors around recursive calls multiplied out ---- */

static int add_body(ri_pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count,
                    rille_err *err);

/* One body for each branch of clauses[at], an or. */
static int expand(ri_pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count,
                  uint16_t at, rille_err *err)
{
    const ri_clause *clause = &clauses[at];
    for (uint16_t b = 0; b < clause->body_count; b++) {
        const ri_clause *chosen = &clause->body[b];
        bool is_and = chosen->kind == RI_CLAUSE_AND;
        uint16_t more = is_and ? chosen->body_count : 1;
        ri_clause *copy = ri_arena_array(&plan->op->plan_arena, (size_t)count + more, sizeof *copy);
        if (copy == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(copy, clauses, at * sizeof *copy);
        memcpy(copy + at, is_and ? chosen->body : chosen, more * sizeof *copy);
        memcpy(copy + at + more, clauses + at + 1, (size_t)(count - at - 1) * sizeof *copy);
        RI_TRY(add_body(plan, branch, copy, (uint16_t)(count - 1 + more), err));
    }
    return 0;
}

static int add_body(ri_pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count,
                    rille_err *err)
{
    rille_op *op = plan->op;
    for (uint16_t i = 0; i < count; i++) {
        if (clauses[i].kind == RI_CLAUSE_OR && ri_calls_group(op, &clauses[i], plan->pred->group)) {
            return expand(plan, branch, clauses, count, i, err);
        }
    }
    if (++plan->body_count > RI_RULE_EXPAND_MAX) {
        return ri_fail(err, RILLE_LIMIT,
                       "rule %s: the ors around its recursive calls expand to more than %u branches: split the rule",
                       branch->name, RI_RULE_EXPAND_MAX);
    }
    ri_rule_body *b = ri_arena_alloc(&op->plan_arena, sizeof *b);
    ri_clause *copy = ri_arena_array(&op->plan_arena, count + 1U, sizeof *copy);
    uint16_t *order = ri_arena_array(&op->plan_arena, count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, count + 1U, sizeof *est);
    const ri_scope *scope = ri_scope_rule(op, branch, plan->pred->source, plan->pred->names);
    if (b == NULL || copy == NULL || order == NULL || est == NULL || scope == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(copy, clauses, count * sizeof *copy);
    *b = (ri_rule_body){ NULL, branch, scope, copy, count, order, est, -1 };
    *plan->end = b;
    plan->end = &b->next;
    return 0;
}

int ri_rule_bodies(ri_pred_plan *plan, rille_err *err)
{
    const ri_rules *rules = &plan->op->rules;
    plan->end = &plan->bodies;
    for (size_t i = 0; i < rules->branch_count; i++) {
        const ri_rule_branch *branch = &rules->branches[i];
        if (strcmp(branch->name, plan->pred->name) == 0) {
            RI_TRY(add_body(plan, branch, branch->body, branch->body_count, err));
        }
    }
    return 0;
}

/* ---- tail recursion ---- */

/* Does a pattern of the body bind the variable to ids, never to what could be a name? */
static bool holds_ids(const ri_pred_plan *plan, const ri_rule_body *b, ri_var var)
{
    const rille_op *op = plan->op;
    for (uint16_t i = 0; i < b->count; i++) {
        const ri_clause *clause = &b->clauses[i];
        uint16_t source = ri_scope_source(b->scope, clause->source);
        if (clause->kind != RI_CLAUSE_PATTERN || source >= op->source_count || op->sources[source].db == NULL) {
            continue;
        }
        for (uint16_t pos = 0; pos < clause->term_count && pos <= RI_POS_T; pos++) {
            const ri_attr *attr = NULL;
            const ri_value *name = pos == RI_POS_V ? ri_term_const(b->scope, &clause->terms[RI_POS_A]) : NULL;
            if (name != NULL) {
                (void)ri_name_attr(op, op->sources[source].db, name, false, &attr, NULL);
            }
            bool ids = pos == RI_POS_E || pos == RI_POS_T || (attr != NULL && attr->type == RI_REF);
            if (ids && ri_term_var(b->scope, &clause->terms[pos]) == var) {
                return true;
            }
        }
    }
    return false;
}

/* Names or not, as the predicate has its arguments: ids stand for both. */
static bool has_own_names(const ri_pred_plan *plan, const ri_rule_body *b, const ri_clause *call)
{
    uint64_t names = ri_call_names(b->scope, call);
    bool same = (names & ~plan->pred->names) == 0;
    for (uint16_t i = 0; i < call->term_count && same; i++) {
        bool lost = ri_mask_has(plan->pred->names & ~names, i);
        same = !lost || holds_ids(plan, b, ri_term_var(b->scope, &call->terms[i]));
    }
    return same;
}

static bool is_own_call(const ri_pred_plan *plan, const ri_rule_body *b, const ri_clause *clause)
{
    return clause->kind == RI_CLAUSE_RULE && ri_calls_group(plan->op, clause, plan->pred->group) &&
           strcmp(clause->name, plan->pred->name) == 0 &&
           ri_scope_source(b->scope, clause->source) == plan->pred->source && has_own_names(plan, b, clause);
}

/* Free arguments are passed through and used nowhere else; bound ones are known without the call. */
static bool is_tail_call(const ri_pred_plan *plan, const ri_rule_body *b, uint16_t at)
{
    const ri_clause *call = &b->clauses[at];
    const ri_rule_branch *branch = b->branch;
    ri_varset others = { { 0 } };
    ri_varset known = { { 0 } };
    for (uint16_t i = 0; i < branch->param_count; i++) {
        if (ri_mask_has(plan->pred->mask, i)) {
            ri_varset_add(&known, branch->params[i]);
        }
    }
    others = known;
    for (uint16_t i = 0; i < b->count; i++) {
        if (i != at) {
            ri_clause_vars(&b->clauses[i], &others);
            ri_clause_provides(&b->clauses[i], &known);
        }
    }
    for (uint16_t i = 0; i < call->term_count; i++) {
        ri_var var = ri_term_var(b->scope, &call->terms[i]);
        if (ri_mask_has(plan->pred->mask, i)) {
            if (ri_term_const(b->scope, &call->terms[i]) == NULL && (var == RI_NO_VAR || !ri_varset_has(&known, var))) {
                return false;
            }
            continue;
        }
        if (var == RI_NO_VAR || var != branch->params[i] || ri_varset_has(&others, var)) {
            return false;
        }
        ri_varset_add(&others, var); /* the same variable twice is more than passing through */
    }
    return true;
}

bool ri_find_tail_calls(const ri_pred_plan *plan)
{
    bool any = false;
    if (plan->pred->mask == 0) {
        return false;
    }
    for (ri_rule_body *b = plan->bodies; b != NULL; b = b->next) {
        b->tail_call = -1;
        for (uint16_t i = 0; i < b->count; i++) {
            if (!ri_calls_group(plan->op, &b->clauses[i], plan->pred->group)) {
                continue;
            }
            if (b->tail_call >= 0 || !is_own_call(plan, b, &b->clauses[i]) || !is_tail_call(plan, b, i)) {
                return false;
            }
            b->tail_call = i;
            any = true;
        }
    }
    return any;
}

/* Do two patterns say the same when variables are renamed? renamed[v of a] = v of b, RI_NO_VAR where not known yet. */
static bool same_pattern(const ri_clause *a, const ri_clause *b, ri_var *renamed)
{
    bool same = a->kind == RI_CLAUSE_PATTERN && b->kind == RI_CLAUSE_PATTERN && a->source == b->source &&
                a->term_count == b->term_count;
    for (uint16_t i = 0; same && i < a->term_count; i++) {
        const ri_term *x = &a->terms[i];
        const ri_term *y = &b->terms[i];
        same = x->kind == y->kind;
        if (same && x->kind == RI_TERM_CONST) {
            same = x->v.type == y->v.type && ri_value_eq(&x->v, &y->v);
        } else if (same && x->kind == RI_TERM_VAR) {
            bool taken = false;
            for (uint16_t v = 0; v < RI_QUERY_VARS_MAX && renamed[x->var] == RI_NO_VAR; v++) {
                taken = taken || renamed[v] == y->var;
            }
            if (renamed[x->var] == RI_NO_VAR && !taken) {
                renamed[x->var] = y->var;
            }
            same = renamed[x->var] == y->var;
        }
    }
    return same;
}

/* Does a body say step(from, to), where base says it of its own parameters? The clause `skip` is left out. What base
 * knows only inside must be known only inside here, too: another parameter in its place would be a condition more. */
static bool says_step(const ri_rule_body *base, const ri_rule_body *b, uint16_t skip, ri_var from, ri_var to)
{
    ri_var renamed[RI_QUERY_VARS_MAX];
    if (b->count != base->count + 1 || from == to) {
        return false;
    }
    for (uint16_t v = 0; v < RI_QUERY_VARS_MAX; v++) {
        renamed[v] = RI_NO_VAR;
    }
    renamed[base->branch->params[0]] = from;
    renamed[base->branch->params[1]] = to;
    for (uint16_t i = 0, j = 0; i < base->count; i++, j++) {
        j = j == skip ? (uint16_t)(j + 1) : j;
        if (!same_pattern(&base->clauses[i], &b->clauses[j], renamed)) {
            return false;
        }
    }
    const ri_var *params = base->branch->params;
    bool inside = true;
    for (uint16_t v = 0; v < RI_QUERY_VARS_MAX; v++) {
        bool outer = renamed[v] == b->branch->params[0] || renamed[v] == b->branch->params[1];
        inside = inside && (v == params[0] || v == params[1] || !outer);
    }
    return inside;
}

static bool calls(const ri_pred_plan *plan, const ri_rule_body *b, uint16_t at, ri_var from, ri_var to)
{
    const ri_clause *clause = &b->clauses[at];
    return is_own_call(plan, b, clause) && clause->term_count == 2 &&
           ri_term_var(b->scope, &clause->terms[0]) == from && ri_term_var(b->scope, &clause->terms[1]) == to;
}

/* r(x, y) by way of z: step(x, z) r(z, y), or r(x, z) step(z, y), or r(x, z) r(z, y). */
static bool says_more_steps(const ri_pred_plan *plan, const ri_rule_body *base, const ri_rule_body *b)
{
    ri_var x = b->branch->params[0];
    ri_var y = b->branch->params[1];
    for (uint16_t at = 0; at < b->count; at++) {
        if (!is_own_call(plan, b, &b->clauses[at])) {
            continue;
        }
        ri_var first = ri_term_var(b->scope, &b->clauses[at].terms[0]);
        ri_var second = ri_term_var(b->scope, &b->clauses[at].terms[1]);
        bool right = calls(plan, b, at, first, y) && first != RI_NO_VAR && first != x && first != y;
        bool left = calls(plan, b, at, x, second) && second != RI_NO_VAR && second != x && second != y;
        if ((right && says_step(base, b, at, x, first)) || (left && says_step(base, b, at, second, y)) ||
            (left && b->count == 2 && calls(plan, b, (uint16_t)(1 - at), second, y))) {
            return true;
        }
    }
    return false;
}

ri_rule_body *ri_closure_step(const ri_pred_plan *plan)
{
    ri_rule_body *base = NULL;
    if (plan->pred->arity != 2 || plan->pred->bound_count != 1) {
        return NULL;
    }
    for (ri_rule_body *b = plan->bodies; b != NULL; b = b->next) {
        bool recursive = false;
        for (uint16_t i = 0; i < b->count; i++) {
            recursive = recursive || ri_calls_group(plan->op, &b->clauses[i], plan->pred->group);
        }
        if (!recursive && base != NULL) {
            return NULL;
        }
        base = recursive ? base : b;
    }
    bool any = false;
    for (ri_rule_body *b = plan->bodies; b != NULL && base != NULL; b = b->next) {
        if (b != base && !says_more_steps(plan, base, b)) {
            return NULL;
        }
        any = any || b != base;
    }
    return any ? base : NULL;
}
