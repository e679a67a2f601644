/* SPDX-License-Identifier: MIT
 *
 * Rules at run time: demand, fixpoints, and the call as a stage. rules.h has the idea.
 */
#include "rules.h"

/* ---- calls ---- */

uint64_t ri_call_mask(const ri_scope *scope, const ri_clause *call, const ri_varset *bound)
{
    uint64_t mask = 0;
    for (uint16_t i = 0; i < call->term_count && i < RI_RULE_ARITY_MAX; i++) {
        ri_var var = ri_term_var(scope, &call->terms[i]);
        if (ri_term_const(scope, &call->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var))) {
            mask |= UINT64_C(1) << i;
        }
    }
    return mask;
}

int ri_call_args(rille_op *op, const ri_scope *scope, const ri_clause *call, uint64_t mask, const ri_batch *batch,
                 const ri_vec **cols, ri_vec *bufs, rille_err *err)
{
    uint16_t n = 0;
    for (uint16_t i = 0; i < call->term_count; i++) {
        if (!ri_mask_has(mask, i)) {
            continue;
        }
        const ri_value *value = ri_term_const(scope, &call->terms[i]);
        if (value == NULL) {
            cols[n++] = &batch->cols[call->terms[i].var];
            continue;
        }
        if (bufs[n].words == NULL) {
            if (!ri_vec_init(&bufs[n], &op->plan_arena, RI_BATCH_ROWS)) {
                return ri_fail_nomem(err);
            }
            ri_vec_fill(&bufs[n], RI_BATCH_ROWS, value);
        }
        cols[n] = &bufs[n];
        n++;
    }
    return 0;
}

int ri_call_join(rille_op *op, const ri_scope *scope, const ri_clause *call, const ri_pred *pred, const ri_varset *live,
                 ri_join_spec *spec, rille_err *err)
{
    ri_arena *arena = &op->plan_arena;
    ri_join_key *keys = ri_arena_array(arena, call->term_count + 1U, sizeof *keys);
    ri_join_out *outs = ri_arena_array(arena, call->term_count + 1U, sizeof *outs);
    ri_join_out *same = ri_arena_array(arena, call->term_count + 1U, sizeof *same);
    if (keys == NULL || outs == NULL || same == NULL) {
        return ri_fail_nomem(err);
    }
    *spec = (ri_join_spec){ .table = pred->answers, .keys = keys, .outs = outs, .same = same };
    for (uint16_t i = 0; i < call->term_count; i++) {
        const ri_value *value = ri_term_const(scope, &call->terms[i]);
        ri_var var = ri_term_var(scope, &call->terms[i]);
        if (ri_mask_has(pred->mask, i)) {
            keys[spec->key_count++] = (ri_join_key){ i, value != NULL ? RI_NO_VAR : var, value != NULL ? *value : ri_nil() };
            continue;
        }
        bool twice = false;
        for (uint16_t j = 0; j < i && var != RI_NO_VAR && !twice; j++) {
            if (!ri_mask_has(pred->mask, j) && ri_term_var(scope, &call->terms[j]) == var) {
                same[spec->same_count++] = (ri_join_out){ i, j };
                twice = true;
            }
        }
        if (!twice && var != RI_NO_VAR && ri_varset_has(live, var)) {
            outs[spec->out_count++] = (ri_join_out){ i, var };
        }
    }
    return 0;
}

/* ---- predicates ---- */

int ri_pred_demand(ri_pred *pred, const ri_vec *const *cols, uint32_t count, rille_err *err)
{
    const ri_vec *twice[2 * RI_RULE_ARITY_MAX];
    if (pred->bound_count == 0) {
        count = count > 0 ? 1 : 0;
    }
    if (!pred->tail) {
        return ri_table_add(pred->demand, cols, count, NULL, err);
    }
    for (uint16_t i = 0; i < pred->bound_count; i++) {
        twice[i] = cols[i];
        twice[pred->bound_count + i] = cols[i];
    }
    return ri_table_add(pred->demand, twice, count, NULL, err);
}

/* ---- the feed of a table ---- */

static bool row_holds(const ri_table_feed *self, uint32_t row)
{
    const ri_vec *cols = self->table->cols;
    for (uint16_t i = 0; i < self->same_count; i++) {
        if (!ri_vec_eq(&cols[self->same[i].col], row, &cols[self->same[i].var], row)) {
            return false;
        }
    }
    for (uint16_t i = 0; i < self->const_count; i++) {
        ri_value a = ri_plain(ri_vec_get(&cols[self->consts[i].col], row));
        ri_value b = ri_plain(self->consts[i].value);
        if (!ri_value_eq(&a, &b)) {
            return false;
        }
    }
    return true;
}

static int table_feed_next(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ri_table_feed *self = (ri_table_feed *)stage;
    uint32_t n = 0;
    bool checks = self->same_count > 0 || self->const_count > 0;
    RI_TRY(ri_tick(stage->op, err));
    while (self->from < self->to && n < RI_BATCH_ROWS) {
        self->rows[n] = self->from++;
        n += !checks || row_holds(self, self->rows[n]);
    }
    if (n == 0) {
        return RILLE_DONE;
    }
    for (uint16_t i = 0; i < self->col_count; i++) {
        ri_vec *buf = ri_stage_buf(stage, self->cols[i].var);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_vec_gather(&self->table->cols[self->cols[i].col], self->rows, n, buf);
        stage->out.cols[self->cols[i].var] = *buf;
    }
    if (self->origin) {
        ri_vec *buf = ri_stage_buf(stage, stage->scope->var_count);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        buf->type = RI_LONG;
        for (uint32_t i = 0; i < n; i++) {
            buf->words[i] = self->rows[i];
        }
        stage->out.cols[stage->scope->var_count] = *buf;
    }
    stage->out.count = n;
    stage->rows += n;
    *out = &stage->out;
    return 0;
}

ri_table_feed *ri_table_feed_new(rille_op *op, const ri_scope *scope, const ri_table *table)
{
    uint32_t *rows = ri_arena_array(&op->plan_arena, RI_BATCH_ROWS, sizeof *rows);
    ri_table_feed *self = rows != NULL ? ri_stage_new(op, scope, sizeof *self, NULL, "new rows") : NULL;
    if (self != NULL) {
        self->table = table;
        self->rows = rows;
        self->stage.next = table_feed_next;
    }
    return self;
}

/* ---- sinks ---- */

static int gather_seed(ri_task *task, const ri_batch *batch, uint16_t col, uint16_t at, rille_err *err)
{
    rille_op *op = task->last->op;
    ri_vec *buf = &task->bufs[at];
    if (buf->words == NULL && !ri_vec_init(buf, &op->plan_arena, RI_BATCH_ROWS)) {
        return ri_fail_nomem(err);
    }
    const uint64_t *origin = batch->cols[batch->var_count].words;
    uint32_t *rows = op->scratch_rows;
    for (uint32_t i = 0; i < batch->count; i++) {
        rows[i] = (uint32_t)origin[i];
    }
    ri_vec_gather(&task->pred->demand->cols[col], rows, batch->count, buf);
    task->cols[at] = buf;
    return 0;
}

static int sink_answers(ri_task *task, const ri_batch *batch, rille_err *err)
{
    ri_pred *pred = task->pred;
    uint16_t seed = 0;
    for (uint16_t i = 0; i < pred->arity; i++) {
        task->cols[i] = &batch->cols[task->params[i]];
        if (pred->tail && ri_mask_has(pred->mask, i)) {
            RI_TRY(gather_seed(task, batch, seed++, i, err));
        }
    }
    return ri_table_add(pred->answers, task->cols, batch->count, NULL, err);
}

static int sink_context(ri_task *task, const ri_batch *batch, rille_err *err)
{
    ri_pred *pred = task->pred;
    uint16_t n = pred->bound_count;
    for (uint16_t i = 0; i < n; i++) {
        RI_TRY(gather_seed(task, batch, i, i, err));
    }
    RI_TRY(ri_call_args(task->last->op, task->scope, task->call, pred->mask, batch, task->cols + n, task->bufs + n, err));
    return ri_table_add(pred->demand, task->cols, batch->count, NULL, err);
}

static int sink_prefix(ri_task *task, const ri_batch *batch, rille_err *err)
{
    for (uint16_t i = 0; i < task->prefix_count; i++) {
        task->cols[i] = &batch->cols[task->prefix_vars[i]];
    }
    RI_TRY(ri_table_add(task->prefix, task->cols, batch->count, NULL, err));
    RI_TRY(ri_call_args(task->last->op, task->scope, task->call, task->callee->mask, batch, task->cols, task->bufs, err));
    return ri_pred_demand(task->callee, task->cols, batch->count, err);
}

static int sink(ri_task *task, const ri_batch *batch, rille_err *err)
{
    switch (task->sink) {
    case RI_SINK_ANSWERS:
        return sink_answers(task, batch, err);
    case RI_SINK_CONTEXT:
        return sink_context(task, batch, err);
    case RI_SINK_PREFIX:
        return sink_prefix(task, batch, err);
    }
    return 0;
}

/* ---- fixpoints ---- */

static int task_run(ri_task *task, rille_err *err)
{
    if (!task->active) {
        ri_stage_reset_chain(task->last);
        task->feed->from = task->done;
        task->feed->to = task->table->count;
        task->active = true;
    }
    ri_batch *batch = NULL;
    int rc;
    while ((rc = task->last->next(task->last, &batch, err)) == 0) {
        RI_TRY(sink(task, batch, err));
    }
    if (rc != RILLE_DONE) {
        return rc;
    }
    task->done = task->feed->to;
    task->active = false;
    return 0;
}

int ri_group_run(rille_op *op, uint16_t group, rille_err *err)
{
    ri_group_state *state = &op->ruleset->groups[group];
    if (state->current != NULL) {
        RI_TRY(task_run(state->current, err)); /* (R2) */
        state->current = NULL;
    }
    for (bool again = true; again;) {
        again = false;
        for (ri_pred *pred = op->ruleset->preds; pred != NULL; pred = pred->next) {
            for (ri_task *task = pred->group == group ? pred->tasks : NULL; task != NULL; task = task->next) {
                if (task->done < task->table->count) {
                    again = true;
                    state->current = task;
                    RI_TRY(task_run(task, err));
                    state->current = NULL;
                }
            }
        }
    }
    return 0;
}

/* ---- the call as a stage ---- */

typedef struct demand_stage {
    ri_stage stage;
    ri_pred *pred;
    ri_batch *in;
    const ri_vec **cols;
    ri_vec *bufs;
} demand_stage;

static int demand_next(ri_stage *stage, ri_batch **out, rille_err *err)
{
    demand_stage *self = (demand_stage *)stage;
    if (self->in == NULL) {
        ri_batch *in = NULL;
        RI_TRY(ri_stage_pull(stage, &in, err));
        RI_TRY(ri_call_args(stage->op, stage->scope, stage->clause, self->pred->mask, in, self->cols, self->bufs, err));
        RI_TRY(ri_pred_demand(self->pred, self->cols, in->count, err));
        self->in = in;
    }
    RI_TRY(ri_group_run(stage->op, self->pred->group, err));
    *out = self->in;
    stage->rows += self->in->count;
    self->in = NULL;
    return 0;
}

static void demand_reset(ri_stage *stage)
{
    ((demand_stage *)stage)->in = NULL;
}

int ri_rule_stages(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause, const ri_varset *bound,
                   const ri_varset *live, bool origin, ri_stage **out, rille_err *err)
{
    *out = NULL;
    ri_pred *pred = NULL;
    uint64_t mask = ri_call_mask(scope, clause, bound);
    RI_TRY(ri_pred_get(op, clause->name, mask, ri_scope_source(scope, clause->source), &pred, err));
    demand_stage *self = ri_stage_new(op, scope, sizeof *self, input, "ask rule");
    const ri_vec **cols = ri_arena_array(&op->plan_arena, clause->term_count + 1U, sizeof *cols);
    ri_vec *bufs = ri_arena_array(&op->plan_arena, clause->term_count + 1U, sizeof *bufs);
    if (self == NULL || cols == NULL || bufs == NULL) {
        return ri_fail_nomem(err);
    }
    memset(bufs, 0, (clause->term_count + 1U) * sizeof *bufs);
    self->pred = pred;
    self->cols = cols;
    self->bufs = bufs;
    self->stage.clause = clause;
    self->stage.next = demand_next;
    self->stage.reset = demand_reset;
    ri_join_spec spec;
    RI_TRY(ri_call_join(op, scope, clause, pred, live, &spec, err));
    *out = ri_join_stage_new(op, scope, &self->stage, &spec, "answers of rule");
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    ri_stage_set_carry(*out, bound, live, origin);
    return 0;
}
