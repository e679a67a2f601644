/* SPDX-License-Identifier: MIT
 *
 * Which rules are recursive with which, what must not rest on its own negation, and predicates made on demand.
 */
#include "rules.h"

/* ---- groups ---- */

int ri_rule_find(const rille_op *op, const char *name)
{
    for (uint16_t i = 0; i < op->ruleset->rule_count; i++) {
        if (strcmp(op->ruleset->names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

bool ri_calls_group(const rille_op *op, const ri_clause *clause, uint16_t group)
{
    if (clause->kind == RI_CLAUSE_RULE) {
        int rule = ri_rule_find(op, clause->name);
        return rule >= 0 && op->ruleset->recursive[rule] && op->ruleset->group_of[rule] == group;
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        if (ri_calls_group(op, &clause->body[i], group)) {
            return true;
        }
    }
    return false;
}

/* Marks what a clause calls in a row of the matrix. */
static void mark_calls(const rille_op *op, const ri_clause *clause, bool *row)
{
    if (clause->kind == RI_CLAUSE_RULE) {
        int rule = ri_rule_find(op, clause->name);
        if (rule >= 0) {
            row[rule] = true;
        }
        return;
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        mark_calls(op, &clause->body[i], row);
    }
}

/* reach[i * n + j]: i calls j, by others too. */
static void close_reach(bool *reach, uint16_t n)
{
    for (uint16_t k = 0; k < n; k++) {
        for (uint16_t i = 0; i < n; i++) {
            if (!reach[(size_t)i * n + k]) {
                continue;
            }
            for (uint16_t j = 0; j < n; j++) {
                reach[(size_t)i * n + j] |= reach[(size_t)k * n + j];
            }
        }
    }
}

static void set_groups(ri_ruleset *set, const bool *reach)
{
    uint16_t n = set->rule_count;
    for (uint16_t i = 0; i < n; i++) {
        set->recursive[i] = reach[(size_t)i * n + i];
        set->group_of[i] = i;
        for (uint16_t j = 0; j < i; j++) {
            if (reach[(size_t)i * n + j] && reach[(size_t)j * n + i]) {
                set->group_of[i] = set->group_of[j];
                break;
            }
        }
    }
}

static int refuse_negation(const rille_op *op, const ri_clause *clause, bool negated, uint16_t group, const char *name,
                           rille_err *err)
{
    if (clause->kind == RI_CLAUSE_RULE && negated && ri_calls_group(op, clause, group)) {
        (void)ri_fail(err, RILLE_QUERY,
                      "it calls rule %s inside a not, and that rule depends on it in turn: recursion through not is "
                      "not allowed",
                      clause->name);
        ri_origin origin = ri_origin_of_rule(&op->rules, name);
        ri_err_at(err, &origin, clause->offset, clause->number);
        return RILLE_QUERY;
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        RI_TRY(refuse_negation(op, &clause->body[i], negated || clause->kind == RI_CLAUSE_NOT, group, name, err));
    }
    return 0;
}

static int check_negation(const rille_op *op, rille_err *err)
{
    for (size_t i = 0; i < op->rules.branch_count; i++) {
        const ri_rule_branch *branch = &op->rules.branches[i];
        int rule = ri_rule_find(op, branch->name);
        for (uint16_t c = 0; c < branch->body_count; c++) {
            RI_TRY(refuse_negation(op, &branch->body[c], false, op->ruleset->group_of[rule], branch->name, err));
        }
    }
    return 0;
}

int ri_ruleset_new(rille_op *op, ri_ruleset **out, rille_err *err)
{
    *out = NULL;
    if (op->rules.branch_count == 0) {
        return 0;
    }
    ri_arena *arena = &op->plan_arena;
    size_t count = op->rules.branch_count;
    ri_ruleset *set = ri_arena_alloc(arena, sizeof *set);
    if (set == NULL || count >= UINT16_MAX) {
        return ri_fail_nomem(err);
    }
    memset(set, 0, sizeof *set);
    set->names = ri_arena_array(arena, count, sizeof *set->names);
    set->group_of = ri_arena_array(arena, count, sizeof *set->group_of);
    set->recursive = ri_arena_array(arena, count, sizeof *set->recursive);
    set->groups = ri_arena_array(arena, count, sizeof *set->groups);
    if (set->names == NULL || set->group_of == NULL || set->recursive == NULL || set->groups == NULL) {
        return ri_fail_nomem(err);
    }
    memset(set->groups, 0, count * sizeof *set->groups);
    op->ruleset = set;
    *out = set;
    for (size_t i = 0; i < count; i++) {
        if (ri_rule_find(op, op->rules.branches[i].name) < 0) {
            set->names[set->rule_count++] = op->rules.branches[i].name;
        }
    }
    size_t cells = (size_t)set->rule_count * set->rule_count;
    bool *reach = ri_arena_alloc(arena, cells);
    if (reach == NULL) {
        return ri_fail_nomem(err);
    }
    memset(reach, 0, cells);
    for (size_t i = 0; i < count; i++) {
        const ri_rule_branch *branch = &op->rules.branches[i];
        bool *row = reach + (size_t)ri_rule_find(op, branch->name) * set->rule_count;
        for (uint16_t c = 0; c < branch->body_count; c++) {
            mark_calls(op, &branch->body[c], row);
        }
    }
    close_reach(reach, set->rule_count);
    set_groups(set, reach);
    return check_negation(op, err);
}

/* ---- predicates ---- */

int ri_pred_get(rille_op *op, const ri_scope *scope, const ri_clause *call, uint64_t mask, ri_pred **out,
                rille_err *err)
{
    const char *name = call->name;
    uint16_t source = ri_scope_source(scope, call->source);
    uint64_t names = ri_call_names(scope, call);
    *out = NULL;
    int rule = op->ruleset != NULL ? ri_rule_find(op, name) : -1;
    if (rule < 0) {
        return ri_fail(err, RILLE_QUERY, "unknown rule %s", name);
    }
    for (ri_pred *pred = op->ruleset->preds; pred != NULL; pred = pred->next) {
        if (pred->mask == mask && pred->source == source && pred->names == names && strcmp(pred->name, name) == 0) {
            *out = pred;
            return 0;
        }
    }
    const ri_rule_branch *branch = op->rules.branches;
    while (strcmp(branch->name, name) != 0) {
        branch++;
    }
    ri_pred *pred = ri_arena_alloc(&op->plan_arena, sizeof *pred);
    if (pred == NULL) {
        return ri_fail_nomem(err);
    }
    if (branch->param_count > RI_RULE_ARITY_MAX) {
        return ri_fail(err, RILLE_LIMIT, "rule %s has too many arguments: %u (the maximum is %u)", name,
                       branch->param_count, RI_RULE_ARITY_MAX);
    }
    *pred = (ri_pred){ .name = branch->name,
                       .mask = mask,
                       .arity = branch->param_count,
                       .source = source,
                       .names = names,
                       .group = op->ruleset->group_of[rule] };
    for (uint16_t i = 0; i < pred->arity; i++) {
        pred->bound_count = (uint16_t)(pred->bound_count + ri_mask_has(mask, i));
    }
    RI_TRY(ri_op_table(op, pred->arity, true, &pred->answers, err));
    pred->answers->exact = true;
    ri_ruleset *set = op->ruleset;
    if (set->preds_last != NULL) {
        set->preds_last->next = pred;
    } else {
        set->preds = pred;
    }
    set->preds_last = pred;
    *out = pred;
    return 0;
}

void ri_ruleset_release(ri_ruleset *ruleset, ri_meter *meter)
{
    for (ri_pred *pred = ruleset != NULL ? ruleset->preds : NULL; pred != NULL; pred = pred->next) {
        ri_meter_give(meter, pred->visited_words * sizeof *pred->visited);
        ri_free(pred->visited); /* tables are the operation's, the rest is the arena's */
    }
}
