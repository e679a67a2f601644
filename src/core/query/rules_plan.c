/* SPDX-License-Identifier: MIT
 *
 * Bodies of rules, cut into tasks.
 */
#include "rules_plan.h"

/* ---- tasks ---- */

static ri_rule_task *new_task(const ri_pred_plan *plan, const ri_rule_body *b, const ri_table *table,
                              ri_table_feed *feed, rille_err *err)
{
    ri_arena *arena = &plan->op->plan_arena;
    ri_rule_task *task = ri_arena_alloc(arena, sizeof *task);
    size_t cols = b->scope->var_count + 2U * RI_RULE_ARITY_MAX + 1U;
    const ri_vec **pointers = ri_arena_array(arena, cols, sizeof *pointers);
    ri_vec *bufs = ri_arena_array(arena, 2 * cols, sizeof *bufs);
    if (task == NULL || pointers == NULL || bufs == NULL) {
        (void)ri_fail_nomem(err);
        return NULL;
    }
    memset(bufs, 0, 2 * cols * sizeof *bufs);
    *task = (ri_rule_task){ .pred = plan->pred,
                            .table = table,
                            .feed = feed,
                            .scope = b->scope,
                            .cols = pointers,
                            .bufs = bufs,
                            .few_cols = bufs + cols,
                            .params = b->branch->params,
                            .sink = RI_SINK_ANSWERS };
    return task;
}

static void add_task(ri_pred *pred, ri_rule_task *task)
{
    task->feed->sort_var = ri_first_probe_var(task->last);
    ri_rule_task **end = &pred->tasks;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = task;
}

/* Demand (with tail: the second half of a context) as columns of the head's bound parameters. */
static ri_table_feed *demand_feed(const ri_pred_plan *plan, const ri_rule_body *b, ri_varset *bound)
{
    rille_op *op = plan->op;
    const ri_pred *pred = plan->pred;
    ri_table_feed *feed = ri_table_feed_new(op, b->scope, pred->demand);
    ri_join_out *cols = ri_arena_array(&op->plan_arena, pred->arity + 1U, sizeof *cols);
    if (feed == NULL || cols == NULL) {
        return NULL;
    }
    feed->cols = cols;
    feed->origin = pred->tail;
    uint16_t at = pred->tail ? pred->bound_count : 0;
    for (uint16_t i = 0; i < pred->arity; i++) {
        if (!ri_mask_has(pred->mask, i)) {
            continue;
        }
        ri_var var = b->branch->params[i]; /* no parameter is there twice */
        cols[feed->col_count++] = (ri_join_out){ at++, var };
        ri_varset_add(bound, var);
    }
    return feed;
}

static ri_plan_input body_input(const ri_pred_plan *plan, const ri_rule_body *b)
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
        if (b->branch->needs[i]) {
            ri_varset_add(&in.given, b->branch->params[i]);
        }
        if (!bound || !plan->pred->tail) {
            ri_varset_add(&in.live, b->branch->params[i]);
        }
    }
    return in;
}

/* Moves the tail call behind everything else. */
static void call_last(ri_rule_body *b)
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

static int tail_body(ri_pred_plan *plan, ri_rule_body *b, rille_err *err)
{
    rille_op *op = plan->op;
    ri_plan_input in = body_input(plan, b);
    uint16_t to = b->count;
    ri_varset bound = { { 0 } };
    ri_table_feed *feed = demand_feed(plan, b, &bound);
    ri_rule_task *task = feed != NULL ? new_task(plan, b, plan->pred->demand, feed, err) : NULL;
    if (task == NULL) {
        return ri_fail_nomem(err);
    }
    if (plan->step != NULL) {
        task->sink = RI_SINK_CLOSURE;
    } else if (b->tail_call >= 0) {
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
    ri_rule_task *before; /* the task that feeds prefixes to the answers */
} cut;

static int make_cut(ri_pred_plan *plan, const ri_rule_body *b, uint16_t at, const ri_varset *bound, cut *out,
                    rille_err *err)
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
    out->prefix->exact = true;
    return ri_pred_get(op, b->scope, call, ri_call_mask(b->scope, call, bound), &out->callee, err);
}

static void sink_to_cut(ri_rule_task *task, const cut *c)
{
    task->sink = RI_SINK_PREFIX;
    task->call = c->call;
    task->callee = c->callee;
    task->prefix = c->prefix;
    task->prefix_vars = c->vars;
    task->prefix_count = c->count;
}

/* New prefixes against all answers. */
static int prefix_side(ri_pred_plan *plan, const ri_rule_body *b, const cut *c, const ri_varset *bound,
                       const ri_varset *live, ri_rule_task **out, rille_err *err)
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
    RI_TRY(ri_join_terms(op, b->scope, c->call, c->callee->answers, bound, live, &spec, err));
    ri_rule_task *task = new_task(plan, b, c->prefix, feed, err);
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
static int answer_columns(ri_pred_plan *plan, const ri_rule_body *b, const cut *c, const ri_varset *live,
                          ri_table_feed *feed, ri_join_spec *spec, ri_varset *given, rille_err *err)
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
static int answer_side(ri_pred_plan *plan, const ri_rule_body *b, const cut *c, const ri_varset *live,
                       ri_rule_task **out, rille_err *err)
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
    ri_rule_task *task = new_task(plan, b, c->callee->answers, feed, err);
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

static uint16_t next_call(const ri_pred_plan *plan, const ri_rule_body *b, uint16_t from)
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

static int general_body(ri_pred_plan *plan, ri_rule_body *b, rille_err *err)
{
    ri_plan_input in = body_input(plan, b);
    ri_varset bound = { { 0 } };
    ri_table_feed *feed = demand_feed(plan, b, &bound);
    ri_rule_task *tasks[2] = { feed != NULL ? new_task(plan, b, plan->pred->demand, feed, err) : NULL, NULL };
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

/* A call that can fail and is written after the recursive call sees only rows for which that has answers. */
static bool calls_can_wait(const ri_pred_plan *plan)
{
    for (ri_rule_body *b = plan->bodies; b != NULL; b = b->next) {
        ri_plan_input in = body_input(plan, b);
        if (b->tail_call >= 0 && ri_fails_after(plan->op, &in, (uint16_t)b->tail_call)) {
            return false;
        }
    }
    return true;
}

static int plan_pred(rille_op *op, ri_pred *pred, rille_err *err)
{
    ri_pred_plan plan = { .op = op, .pred = pred };
    RI_TRY(ri_rule_bodies(&plan, err));
    plan.step = ri_closure_step(&plan);
    pred->tail = plan.step != NULL || (ri_find_tail_calls(&plan) && calls_can_wait(&plan));
    uint16_t cols = (uint16_t)(pred->tail ? 2 * pred->bound_count : pred->bound_count);
    RI_TRY(ri_op_table(op, cols, true, &pred->demand, err));
    pred->demand->exact = true;
    for (ri_rule_body *b = plan.bodies; b != NULL; b = b->next) {
        if (plan.step != NULL && b != plan.step) {
            continue;
        }
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
