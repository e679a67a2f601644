/* SPDX-License-Identifier: MIT
 *
 * Rules before they run: recursive groups, predicates on demand, and the cutting of bodies into tasks.
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
        return ri_fail(err, RILLE_QUERY, "rule %s is defined by a not over rule %s, which depends on it in turn: a rule "
                                         "cannot rest on its own negation",
                       name, clause->name);
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

int ri_pred_get(rille_op *op, const char *name, uint64_t mask, uint16_t source, ri_pred **out, rille_err *err)
{
    *out = NULL;
    int rule = op->ruleset != NULL ? ri_rule_find(op, name) : -1;
    if (rule < 0) {
        return ri_fail(err, RILLE_QUERY, "rule %s is not among the rules given as %%", name);
    }
    for (ri_pred *pred = op->ruleset->preds; pred != NULL; pred = pred->next) {
        if (pred->mask == mask && pred->source == source && strcmp(pred->name, name) == 0) {
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
        return ri_fail(err, RILLE_LIMIT, "rule %s has %u arguments; at most %u", name, branch->param_count,
                       RI_RULE_ARITY_MAX);
    }
    *pred = (ri_pred){ .name = branch->name, .mask = mask, .arity = branch->param_count, .source = source,
                       .group = op->ruleset->group_of[rule] };
    for (uint16_t i = 0; i < pred->arity; i++) {
        pred->bound_count = (uint16_t)(pred->bound_count + ri_mask_has(mask, i));
    }
    RI_TRY(ri_op_table(op, pred->arity, true, &pred->answers, err));
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

void ri_ruleset_release(ri_ruleset *ruleset)
{
    (void)ruleset; /* tables are the operation's, the rest is the arena's */
}

/* ---- branches, with ors around recursive calls multiplied out ---- */

typedef struct body {
    struct body *next;
    const ri_rule_branch *branch;
    const ri_scope *scope;
    ri_clause *clauses;
    uint16_t count;
    uint16_t *order;
    double *est;
    int tail_call;      /* index in clauses; -1: no recursive call */
} body;

typedef struct pred_plan {
    rille_op *op;
    ri_pred *pred;
    body *bodies;
    body **end;
    uint32_t body_count;
} pred_plan;

static int add_body(pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count,
                    rille_err *err);

/* One body for each branch of clauses[at], an or. */
static int expand(pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count, uint16_t at,
                  rille_err *err)
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

static int add_body(pred_plan *plan, const ri_rule_branch *branch, const ri_clause *clauses, uint16_t count,
                    rille_err *err)
{
    rille_op *op = plan->op;
    for (uint16_t i = 0; i < count; i++) {
        if (clauses[i].kind == RI_CLAUSE_OR && ri_calls_group(op, &clauses[i], plan->pred->group)) {
            return expand(plan, branch, clauses, count, i, err);
        }
    }
    if (++plan->body_count > RI_RULE_EXPAND_MAX) {
        return ri_fail(err, RILLE_LIMIT, "rule %s has ors around recursive calls that give over %u branches: split it",
                       branch->name, RI_RULE_EXPAND_MAX);
    }
    body *b = ri_arena_alloc(&op->plan_arena, sizeof *b);
    ri_clause *copy = ri_arena_array(&op->plan_arena, count + 1U, sizeof *copy);
    uint16_t *order = ri_arena_array(&op->plan_arena, count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, count + 1U, sizeof *est);
    const ri_scope *scope = ri_scope_rule(op, branch, plan->pred->source);
    if (b == NULL || copy == NULL || order == NULL || est == NULL || scope == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(copy, clauses, count * sizeof *copy);
    *b = (body){ NULL, branch, scope, copy, count, order, est, -1 };
    *plan->end = b;
    plan->end = &b->next;
    return 0;
}

/* ---- tail recursion ---- */

static bool is_own_call(const pred_plan *plan, const body *b, const ri_clause *clause)
{
    return clause->kind == RI_CLAUSE_RULE && ri_calls_group(plan->op, clause, plan->pred->group) &&
           strcmp(clause->name, plan->pred->name) == 0 &&
           ri_scope_source(b->scope, clause->source) == plan->pred->source;
}

/* Free arguments are passed through and used nowhere else; bound ones are known without the call. */
static bool is_tail_call(const pred_plan *plan, const body *b, uint16_t at)
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

static bool distinct_params(const ri_rule_branch *branch)
{
    ri_varset seen = { { 0 } };
    for (uint16_t i = 0; i < branch->param_count; i++) {
        if (ri_varset_has(&seen, branch->params[i])) {
            return false;
        }
        ri_varset_add(&seen, branch->params[i]);
    }
    return true;
}

/* Is every recursive call of the predicate a tail call? Then where they are is noted. */
static bool find_tail_calls(const pred_plan *plan)
{
    bool any = false;
    if (plan->pred->mask == 0) {
        return false;
    }
    for (body *b = plan->bodies; b != NULL; b = b->next) {
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
        if (!distinct_params(b->branch)) {
            return false;
        }
    }
    return any;
}

/* ---- tasks ---- */

static ri_task *new_task(const pred_plan *plan, const body *b, const ri_table *table, ri_table_feed *feed, rille_err *err)
{
    ri_arena *arena = &plan->op->plan_arena;
    ri_task *task = ri_arena_alloc(arena, sizeof *task);
    size_t cols = b->scope->var_count + 2U * RI_RULE_ARITY_MAX + 1U;
    const ri_vec **pointers = ri_arena_array(arena, cols, sizeof *pointers);
    ri_vec *bufs = ri_arena_array(arena, cols, sizeof *bufs);
    if (task == NULL || pointers == NULL || bufs == NULL) {
        (void)ri_fail_nomem(err);
        return NULL;
    }
    memset(bufs, 0, cols * sizeof *bufs);
    *task = (ri_task){ .pred = plan->pred, .table = table, .feed = feed, .scope = b->scope, .cols = pointers,
                       .bufs = bufs, .params = b->branch->params, .sink = RI_SINK_ANSWERS };
    return task;
}

static void add_task(ri_pred *pred, ri_task *task)
{
    ri_task **end = &pred->tasks;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = task;
}

/* Demand (with tail: the second half of a context) as columns of the head's bound parameters. */
static ri_table_feed *demand_feed(const pred_plan *plan, const body *b, ri_varset *bound)
{
    rille_op *op = plan->op;
    const ri_pred *pred = plan->pred;
    ri_table_feed *feed = ri_table_feed_new(op, b->scope, pred->demand);
    ri_join_out *cols = ri_arena_array(&op->plan_arena, 2U * pred->arity + 1U, sizeof *cols);
    if (feed == NULL || cols == NULL) {
        return NULL;
    }
    ri_join_out *same = cols + pred->arity;
    feed->cols = cols;
    feed->same = same;
    feed->origin = pred->tail;
    uint16_t at = pred->tail ? pred->bound_count : 0;
    for (uint16_t i = 0; i < pred->arity; i++) {
        if (!ri_mask_has(pred->mask, i)) {
            continue;
        }
        ri_var var = b->branch->params[i];
        if (ri_varset_has(bound, var)) {
            uint16_t first = 0;
            while (cols[first].var != var) {
                first++;
            }
            same[feed->same_count++] = (ri_join_out){ at, cols[first].col };
        } else {
            cols[feed->col_count++] = (ri_join_out){ at, var };
            ri_varset_add(bound, var);
        }
        at++;
    }
    return feed;
}

static ri_plan_input body_input(const pred_plan *plan, const body *b)
{
    ri_plan_input in = { .scope = b->scope,
                         .clauses = b->clauses,
                         .count = b->count,
                         .rows = plan->pred->mask == 0 ? 1 : 100,
                         .one_row = plan->pred->mask == 0,
                         .origin = plan->pred->tail,
                         .depth = 1 };
    for (uint16_t i = 0; i < b->branch->param_count; i++) {
        bool bound = ri_mask_has(plan->pred->mask, i);
        if (bound) {
            ri_varset_add(&in.bound, b->branch->params[i]);
        }
        if (!bound || !plan->pred->tail) {
            ri_varset_add(&in.live, b->branch->params[i]);
        }
    }
    return in;
}

/* Moves the tail call behind everything else. */
static void call_last(body *b)
{
    uint16_t n = 0;
    for (uint16_t i = 0; i < b->count; i++) {
        if (b->order[i] != b->tail_call) {
            b->est[n] = b->est[i];
            b->order[n++] = b->order[i];
        }
    }
    b->order[n] = (uint16_t)b->tail_call;
    b->est[n] = n > 0 ? b->est[n - 1] : 1;
}

static int tail_body(pred_plan *plan, body *b, rille_err *err)
{
    rille_op *op = plan->op;
    ri_plan_input in = body_input(plan, b);
    uint16_t to = b->count;
    ri_varset bound = { { 0 } };
    ri_table_feed *feed = demand_feed(plan, b, &bound);
    ri_task *task = feed != NULL ? new_task(plan, b, plan->pred->demand, feed, err) : NULL;
    if (task == NULL) {
        return ri_fail_nomem(err);
    }
    if (b->tail_call >= 0) {
        in.live = (ri_varset){ { 0 } };
        task->sink = RI_SINK_CONTEXT;
        task->call = &b->clauses[b->tail_call];
        call_last(b);
        to--;
    }
    task->last = &feed->stage;
    RI_TRY(ri_plan_stages(op, &in, b->order, b->est, 0, to, &bound, &task->last, err));
    add_task(plan->pred, task);
    return 0;
}

/* ---- bodies cut at recursive calls ---- */

typedef struct cut {
    ri_table *prefix;
    ri_var *vars;
    uint16_t count;
    ri_pred *callee;
    const ri_clause *call;
    ri_task *before;     /* the task that feeds prefixes to the answers */
} cut;

static int make_cut(pred_plan *plan, const body *b, uint16_t at, const ri_varset *bound, cut *out, rille_err *err)
{
    rille_op *op = plan->op;
    const ri_clause *call = &b->clauses[b->order[at]];
    *out = (cut){ .call = call };
    out->vars = ri_arena_array(&op->plan_arena, b->scope->var_count + 1U, sizeof *out->vars);
    if (out->vars == NULL) {
        return ri_fail_nomem(err);
    }
    for (ri_var var = 0; var < b->scope->var_count; var++) {
        if (ri_varset_has(bound, var)) {
            out->vars[out->count++] = var;
        }
    }
    RI_TRY(ri_op_table(op, out->count, true, &out->prefix, err));
    return ri_pred_get(op, call->name, ri_call_mask(b->scope, call, bound), ri_scope_source(b->scope, call->source),
                       &out->callee, err);
}

static void sink_to_cut(ri_task *task, const cut *c)
{
    task->sink = RI_SINK_PREFIX;
    task->call = c->call;
    task->callee = c->callee;
    task->prefix = c->prefix;
    task->prefix_vars = c->vars;
    task->prefix_count = c->count;
}

/* New prefixes against all answers. */
static int prefix_side(pred_plan *plan, const body *b, const cut *c, const ri_varset *bound, const ri_varset *live,
                       ri_task **out, rille_err *err)
{
    rille_op *op = plan->op;
    ri_table_feed *feed = ri_table_feed_new(op, b->scope, c->prefix);
    ri_join_out *cols = ri_arena_array(&op->plan_arena, c->count + 1U, sizeof *cols);
    if (feed == NULL || cols == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = 0; i < c->count; i++) {
        cols[i] = (ri_join_out){ i, c->vars[i] };
    }
    feed->cols = cols;
    feed->col_count = c->count;
    ri_join_spec spec;
    RI_TRY(ri_call_join(op, b->scope, c->call, c->callee, live, &spec, err));
    ri_task *task = new_task(plan, b, c->prefix, feed, err);
    ri_stage *join = ri_join_stage_new(op, b->scope, &feed->stage, &spec, "answers of rule");
    if (task == NULL || join == NULL) {
        return ri_fail_nomem(err);
    }
    join->clause = c->call;
    ri_stage_set_carry(join, bound, live, false);
    task->last = join;
    *out = task;
    return 0;
}

/* Arguments of the call as columns of the answers, for the feed; keys of the join with the prefixes. */
static int answer_columns(pred_plan *plan, const body *b, const cut *c, const ri_varset *live, ri_table_feed *feed,
                          ri_join_spec *spec, ri_varset *given, rille_err *err)
{
    ri_arena *arena = &plan->op->plan_arena;
    uint16_t n = c->call->term_count;
    ri_join_out *cols = ri_arena_array(arena, 2U * n + 1U, sizeof *cols);
    ri_join_key *consts = ri_arena_array(arena, 2U * n + 1U, sizeof *consts);
    if (cols == NULL || consts == NULL) {
        return ri_fail_nomem(err);
    }
    ri_join_out *same = cols + n;
    ri_join_key *keys = consts + n;
    for (uint16_t i = 0; i < n; i++) {
        const ri_value *value = ri_term_const(b->scope, &c->call->terms[i]);
        ri_var var = ri_term_var(b->scope, &c->call->terms[i]);
        if (value != NULL) {
            consts[feed->const_count++] = (ri_join_key){ i, RI_NO_VAR, *value };
            continue;
        }
        uint16_t first = 0;
        while (first < i && (var == RI_NO_VAR || ri_term_var(b->scope, &c->call->terms[first]) != var)) {
            first++;
        }
        if (var == RI_NO_VAR) {
            continue;
        }
        if (first < i) {
            same[feed->same_count++] = (ri_join_out){ i, first };
            continue;
        }
        bool bound = ri_mask_has(c->callee->mask, i);
        if (bound || ri_varset_has(live, var)) {
            cols[feed->col_count++] = (ri_join_out){ i, var };
            ri_varset_add(given, var);
        }
        for (uint16_t s = 0; bound && s < c->count; s++) {
            if (c->vars[s] == var) {
                keys[spec->key_count++] = (ri_join_key){ s, var, ri_nil() };
            }
        }
    }
    feed->cols = cols;
    feed->same = same;
    feed->consts = consts;
    spec->keys = keys;
    return 0;
}

/* New answers against the prefixes that have met the older ones. */
static int answer_side(pred_plan *plan, const body *b, const cut *c, const ri_varset *live, ri_task **out, rille_err *err)
{
    rille_op *op = plan->op;
    ri_table_feed *feed = ri_table_feed_new(op, b->scope, c->callee->answers);
    ri_join_out *outs = ri_arena_array(&op->plan_arena, c->count + 1U, sizeof *outs);
    if (feed == NULL || outs == NULL) {
        return ri_fail_nomem(err);
    }
    ri_join_spec spec = { .table = c->prefix, .outs = outs, .row_limit = &c->before->done };
    ri_varset given = { { 0 } };
    RI_TRY(answer_columns(plan, b, c, live, feed, &spec, &given, err));
    for (uint16_t i = 0; i < c->count; i++) {
        if (!ri_varset_has(&given, c->vars[i]) && ri_varset_has(live, c->vars[i])) {
            outs[spec.out_count++] = (ri_join_out){ i, c->vars[i] };
        }
    }
    ri_task *task = new_task(plan, b, c->callee->answers, feed, err);
    ri_stage *join = ri_join_stage_new(op, b->scope, &feed->stage, &spec, "prefixes of rule");
    if (task == NULL || join == NULL) {
        return ri_fail_nomem(err);
    }
    join->clause = c->call;
    ri_stage_set_carry(join, &given, live, false);
    task->last = join;
    *out = task;
    return 0;
}

static uint16_t next_call(const pred_plan *plan, const body *b, uint16_t from)
{
    uint16_t at = from;
    while (at < b->count && !ri_calls_group(plan->op, &b->clauses[b->order[at]], plan->pred->group)) {
        at++;
    }
    return at;
}

/* Live after order[at]. */
static ri_varset live_after(const ri_plan_input *in, const uint16_t *order, uint16_t at)
{
    ri_varset live = in->live;
    for (uint16_t i = (uint16_t)(at + 1); i < in->count; i++) {
        ri_clause_vars(&in->clauses[order[i]], &live);
    }
    return live;
}

static int general_body(pred_plan *plan, body *b, rille_err *err)
{
    ri_plan_input in = body_input(plan, b);
    ri_varset bound = { { 0 } };
    ri_table_feed *feed = demand_feed(plan, b, &bound);
    ri_task *tasks[2] = { feed != NULL ? new_task(plan, b, plan->pred->demand, feed, err) : NULL, NULL };
    if (tasks[0] == NULL) {
        return ri_fail_nomem(err);
    }
    tasks[0]->last = &feed->stage;
    uint16_t at = 0;
    for (;;) {
        uint16_t to = next_call(plan, b, at);
        ri_varset after = bound;
        for (unsigned i = 0; i < 2 && tasks[i] != NULL; i++) {
            after = bound;
            RI_TRY(ri_plan_stages(plan->op, &in, b->order, b->est, at, to, &after, &tasks[i]->last, err));
            add_task(plan->pred, tasks[i]);
        }
        bound = after;
        if (to == b->count) {
            return 0;
        }
        cut c;
        ri_varset live = live_after(&in, b->order, to);
        RI_TRY(make_cut(plan, b, to, &bound, &c, err));
        for (unsigned i = 0; i < 2 && tasks[i] != NULL; i++) {
            sink_to_cut(tasks[i], &c);
        }
        RI_TRY(prefix_side(plan, b, &c, &bound, &live, &tasks[0], err));
        c.before = tasks[0];
        RI_TRY(answer_side(plan, b, &c, &live, &tasks[1], err));
        ri_clause_provides(c.call, &bound);
        ri_varset_intersect(&bound, &live);
        at = (uint16_t)(to + 1);
    }
}

/* ---- planning ---- */

static int plan_pred(rille_op *op, ri_pred *pred, rille_err *err)
{
    pred_plan plan = { .op = op, .pred = pred };
    plan.end = &plan.bodies;
    for (size_t i = 0; i < op->rules.branch_count; i++) {
        const ri_rule_branch *branch = &op->rules.branches[i];
        if (strcmp(branch->name, pred->name) == 0) {
            RI_TRY(add_body(&plan, branch, branch->body, branch->body_count, err));
        }
    }
    pred->tail = find_tail_calls(&plan);
    uint16_t cols = (uint16_t)(pred->tail ? 2 * pred->bound_count : pred->bound_count);
    RI_TRY(ri_op_table(op, cols, true, &pred->demand, err));
    for (body *b = plan.bodies; b != NULL; b = b->next) {
        ri_plan_input in = body_input(&plan, b);
        RI_TRY(ri_plan_order(op, &in, b->order, b->est, err));
        RI_TRY(pred->tail ? tail_body(&plan, b, err) : general_body(&plan, b, err));
    }
    pred->planned = true;
    return 0;
}

int ri_ruleset_plan(rille_op *op, rille_err *err)
{
    if (op->ruleset == NULL) {
        return 0;
    }
    for (ri_pred *pred = op->ruleset->preds; pred != NULL; pred = pred->next) { /* grows at its end */
        if (!pred->planned) {
            RI_TRY(plan_pred(op, pred, err));
        }
    }
    return 0;
}
