/* SPDX-License-Identifier: MIT
 *
 * Which rules are recursive with which, what must not rest on its own negation, and predicates made on demand.
 */
#include "rules.h"

/* ---- groups ---- */

int ri_rule_find(const rille_op *op, const char *name)
{
    const ri_rule_branch *first = ri_rules_find(&op->rules, name);
    return first == NULL ? -1 : op->ruleset->numbers[first - op->rules.branches];
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

/* Which rules call which: n rows of bits. */
typedef struct call_matrix {
    uint64_t *bits;
    uint16_t n;
    uint16_t row_words;
} call_matrix;

static uint64_t *calls_of(const call_matrix *calls, uint16_t rule)
{
    return calls->bits + (size_t)rule * calls->row_words;
}

static bool has_call(const call_matrix *calls, uint16_t from, uint16_t to)
{
    return (calls_of(calls, from)[to / 64] >> (to % 64) & 1) != 0;
}

/* Marks what a clause calls in a row of the matrix. */
static void mark_calls(const rille_op *op, const ri_clause *clause, uint64_t *row)
{
    if (clause->kind == RI_CLAUSE_RULE) {
        int rule = ri_rule_find(op, clause->name);
        if (rule >= 0) {
            row[rule / 64] |= UINT64_C(1) << (rule % 64);
        }
        return;
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        mark_calls(op, &clause->body[i], row);
    }
}

/* Adds calls by other rules. Cost: n^3 / 64 for n rules. */
static int close_calls(rille_op *op, const call_matrix *calls, rille_err *err)
{
    for (uint16_t k = 0; k < calls->n; k++) {
        RI_TRY(ri_check(op, err));
        const uint64_t *more = calls_of(calls, k);
        for (uint16_t i = 0; i < calls->n; i++) {
            uint64_t *row = calls_of(calls, i);
            for (uint16_t w = 0; w < calls->row_words && has_call(calls, i, k); w++) {
                row[w] |= more[w];
            }
        }
    }
    return 0;
}

static void set_groups(ri_ruleset *set, const call_matrix *calls)
{
    for (uint16_t i = 0; i < calls->n; i++) {
        set->recursive[i] = has_call(calls, i, i);
        set->group_of[i] = i;
        for (uint16_t j = 0; j < i; j++) {
            if (has_call(calls, i, j) && has_call(calls, j, i)) {
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

static int check_negation(rille_op *op, rille_err *err)
{
    for (size_t i = 0; i < op->rules.branch_count; i++) {
        RI_TRY(ri_check(op, err));
        const ri_rule_branch *branch = &op->rules.branches[i];
        int rule = ri_rule_find(op, branch->name);
        for (uint16_t c = 0; c < branch->body_count; c++) {
            RI_TRY(refuse_negation(op, &branch->body[c], false, op->ruleset->group_of[rule], branch->name, err));
        }
    }
    return 0;
}

static int find_groups(rille_op *op, ri_ruleset *set, rille_err *err)
{
    call_matrix calls = { .n = set->rule_count, .row_words = (uint16_t)(set->rule_count / 64 + 1) };
    size_t words = (size_t)calls.n * calls.row_words;
    calls.bits = ri_arena_array(&op->plan_arena, words, sizeof *calls.bits);
    if (calls.bits == NULL) {
        return ri_fail_nomem(err);
    }
    memset(calls.bits, 0, words * sizeof *calls.bits);
    for (size_t i = 0; i < op->rules.branch_count; i++) {
        RI_TRY(ri_check(op, err));
        const ri_rule_branch *branch = &op->rules.branches[i];
        uint64_t *row = calls_of(&calls, (uint16_t)ri_rule_find(op, branch->name));
        for (uint16_t c = 0; c < branch->body_count; c++) {
            mark_calls(op, &branch->body[c], row);
        }
    }
    RI_TRY(close_calls(op, &calls, err));
    set_groups(set, &calls);
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
    set->group_of = ri_arena_array(arena, count, sizeof *set->group_of);
    set->recursive = ri_arena_array(arena, count, sizeof *set->recursive);
    set->groups = ri_arena_array(arena, count, sizeof *set->groups);
    set->numbers = ri_arena_array(arena, count, sizeof *set->numbers);
    if (set->group_of == NULL || set->recursive == NULL || set->groups == NULL || set->numbers == NULL) {
        return ri_fail_nomem(err);
    }
    memset(set->groups, 0, count * sizeof *set->groups);
    op->ruleset = set;
    *out = set;
    for (size_t i = 0; i < count; i++) {
        const ri_rule_branch *branch = &op->rules.branches[i];
        if (ri_rules_find(&op->rules, branch->name) == branch) {
            set->numbers[i] = set->rule_count++;
        }
    }
    RI_TRY(find_groups(op, set, err));
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
        for (size_t i = 0; i < pred->page_cap; i++) {
            ri_meter_give(meter, pred->pages[i] != NULL ? RI_RULE_PAGE_WORDS * sizeof(uint64_t) : 0);
            ri_free(pred->pages[i]);
        }
        ri_meter_give(meter, pred->page_cap * sizeof *pred->pages);
        ri_free(pred->pages); /* tables are the operation's, the rest is the arena's */
    }
}
