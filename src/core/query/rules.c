/* SPDX-License-Identifier: MIT
 *
 * Rules at run time: demand, fixpoints, and the call as a stage. rules.h has the idea.
 */
#include "rules.h"
#include "types.h"

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
            ri_value form = *value;
            if (ri_param_one_form(op, call, i) && !ri_simplest(&form, &op->plan_arena)) {
                return ri_fail_nomem(err);
            }
            ri_vec_fill(&bufs[n], RI_BATCH_ROWS, &form);
        }
        cols[n] = &bufs[n];
        n++;
    }
    return 0;
}

/* ---- predicates ---- */

int ri_pred_demand(ri_pred *pred, const ri_vec *const *cols, uint32_t count, rille_err *err)
{
    const ri_vec *twice[2 * RI_RULE_ARITY_MAX];
    uint32_t added = 0;
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
    RI_TRY(ri_table_add(pred->demand, twice, count, &added, err));
    pred->seed_count += added;
    return 0;
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
        ri_value v = ri_vec_get(&cols[self->consts[i].col], row);
        if (!ri_same_value(&v, &self->consts[i].value)) {
            return false;
        }
    }
    return true;
}

#define SORT_ROWS_MIN (RI_BATCH_ROWS + 1U) /* fewer are one batch, which the probe sorts */

/* The rows to come, sorted by a column of numbers: then each batch falls into few leaves. */
static int sort_feed(ri_table_feed *self, const ri_vec *col, rille_err *err)
{
    ri_meter *meter = self->stage.op->meter;
    uint32_t n = self->to - self->from;
    size_t bytes = n * 2U * (sizeof(uint64_t) + sizeof(uint32_t));
    if (!ri_meter_take(meter, bytes)) {
        return ri_meter_error(meter, err);
    }
    uint64_t *keys[2] = { ri_alloc_array(n, sizeof *keys[0]), ri_alloc_array(n, sizeof *keys[0]) };
    uint32_t *rows[2] = { ri_alloc_array(n, sizeof *rows[0]), ri_alloc_array(n, sizeof *rows[0]) };
    int rc = 0;
    if (keys[0] == NULL || keys[1] == NULL || rows[0] == NULL || rows[1] == NULL) {
        rc = ri_fail_nomem(err);
    } else {
        memcpy(keys[0], col->words + self->from, n * sizeof *keys[0]);
        for (uint32_t i = 0; i < n; i++) {
            rows[0][i] = self->from + i;
        }
        ri_sort_words(meter, &keys[0], &rows[0], &keys[1], &rows[1], n);
        self->order = rows[0];
        self->order_from = self->from;
        rows[0] = NULL;
        bytes -= n * sizeof *self->order; /* kept; given back by drop_order */
    }
    ri_meter_give(meter, bytes);
    ri_free(keys[0]);
    ri_free(keys[1]);
    ri_free(rows[0]);
    ri_free(rows[1]);
    return rc;
}

static void drop_order(ri_table_feed *self)
{
    if (self->order != NULL) {
        ri_meter_give(self->stage.op->meter, (self->to - self->order_from) * sizeof *self->order);
        ri_free(self->order);
        self->order = NULL;
    }
}

static int feed_start(ri_table_feed *self, uint32_t from, uint32_t to, rille_err *err)
{
    drop_order(self);
    self->from = from;
    self->to = to;
    for (uint16_t i = 0; i < self->col_count && to - from >= SORT_ROWS_MIN; i++) {
        const ri_vec *col = &self->table->cols[self->cols[i].col];
        if (self->cols[i].var == self->sort_var && (col->type == RI_REF || col->type == RI_LONG)) {
            return sort_feed(self, col, err);
        }
    }
    return 0;
}

static void table_feed_destroy(ri_stage *stage)
{
    drop_order((ri_table_feed *)stage);
}

/* Unit: so many rows of the table that they may fill a batch. */
static int table_feed_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ri_table_feed *self = (ri_table_feed *)stage;
    uint32_t n = 0;
    bool checks = self->same_count > 0 || self->const_count > 0;
    uint32_t end = self->to - self->from < RI_BATCH_ROWS ? self->to : self->from + RI_BATCH_ROWS;
    if (self->from == end) {
        return RILLE_DONE;
    }
    for (; self->from < end; self->from++) {
        self->rows[n] = self->order != NULL ? self->order[self->from - self->order_from] : self->from;
        n += !checks || row_holds(self, self->rows[n]);
    }
    if (n == 0) {
        return 0;
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
        self->stage.work = table_feed_work;
        self->stage.destroy = table_feed_destroy;
        self->sort_var = RI_NO_VAR;
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
    RI_TRY(
        ri_call_args(task->last->op, task->scope, task->call, pred->mask, batch, task->cols + n, task->bufs + n, err));
    return ri_table_add(pred->demand, task->cols, batch->count, NULL, err);
}

/* Grows the bitmap so that it has a place for the entity. False: out of its range, or no memory (then it is left as it
 * is). */
static bool has_bit(ri_pred *pred, ri_meter *meter, uint64_t e)
{
    uint64_t bit = e - RI_EID_USER;
    if (e < RI_EID_USER || bit >= RI_RULE_VISITED_MAX) {
        return false;
    }
    size_t need = (size_t)(bit / 64 + 1);
    if (need > pred->visited_words) {
        size_t words = need > 2 * pred->visited_words ? need + 64 : 2 * pred->visited_words;
        uint64_t *grown = NULL;
        if (ri_meter_take(meter, words * sizeof *grown)) {
            grown = ri_realloc(pred->visited, words * sizeof *grown);
            ri_meter_give(meter, (grown != NULL ? pred->visited_words : words) * sizeof *grown);
        }
        if (grown == NULL) {
            return false;
        }
        memset(grown + pred->visited_words, 0, (words - pred->visited_words) * sizeof *grown);
        pred->visited = grown;
        pred->visited_words = words;
    }
    return true;
}

/* Rows that go to entities not reached yet. Most edges of a graph lead to where one has been: a bit is cheaper than a
 * set. */
static const ri_batch *unvisited(ri_task *task, const ri_batch *batch, ri_batch *few)
{
    ri_pred *pred = task->pred;
    ri_var var = task->params[ri_mask_has(pred->mask, 0) ? 1 : 0];
    const ri_vec *vec = &batch->cols[var];
    uint32_t *rows = task->last->op->scratch_rows;
    uint32_t n = 0;
    if (vec->type != RI_REF && vec->type != RI_LONG) {
        return batch;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        uint64_t e = vec->words[i];
        rows[n] = i;
        if (!has_bit(pred, task->last->op->meter, e)) {
            n++;
            continue;
        }
        uint64_t *word = &pred->visited[(e - RI_EID_USER) / 64];
        uint64_t bit = UINT64_C(1) << (e - RI_EID_USER) % 64;
        n += (*word & bit) == 0;
        *word |= bit;
    }
    ri_var made[2] = { var, batch->var_count };
    for (unsigned i = 0; i < 2; i++) {
        ri_vec *buf = &task->few_cols[made[i]];
        if (buf->words == NULL && !ri_vec_init(buf, &task->last->op->plan_arena, RI_BATCH_ROWS)) {
            return NULL;
        }
        ri_vec_gather(&batch->cols[made[i]], rows, n, buf);
    }
    *few = (ri_batch){ task->few_cols, n, batch->var_count };
    return few;
}

/* New contexts are answers; so is a context that is back where it began. */
static int sink_closure(ri_task *task, const ri_batch *batch, rille_err *err)
{
    ri_pred *pred = task->pred;
    const ri_table *contexts = pred->demand;
    uint32_t before = contexts->count;
    ri_batch few;
    batch = pred->seed_count == 1 ? unvisited(task, batch, &few) : batch;
    if (batch == NULL) {
        return ri_fail_nomem(err);
    }
    uint16_t asked = ri_mask_has(pred->mask, 0) ? 0 : 1;
    RI_TRY(gather_seed(task, batch, 0, 0, err));
    task->cols[1] = &batch->cols[task->params[1 - asked]];
    RI_TRY(ri_table_add(pred->demand, task->cols, batch->count, NULL, err));
    ri_vec slices[2];
    const ri_vec *answer[2];
    for (uint16_t i = 0; i < 2; i++) {
        const ri_vec *col = &contexts->cols[i];
        uint16_t to = i == 0 ? asked : (uint16_t)(1 - asked);
        slices[i] = (ri_vec){ col->words + before, col->lens == NULL ? NULL : col->lens + before,
                              col->types == NULL ? NULL : col->types + before, col->type };
        answer[to] = &slices[i];
    }
    RI_TRY(ri_table_add(pred->answers, answer, contexts->count - before, NULL, err));
    for (uint32_t row = 0; row < batch->count; row++) {
        if (ri_vec_eq(task->cols[0], row, task->cols[1], row)) {
            ri_value back = ri_vec_get(task->cols[0], row);
            ri_value both[2] = { back, back };
            RI_TRY(ri_table_add_row(pred->answers, both, NULL, err));
        }
    }
    return 0;
}

static int sink_prefix(ri_task *task, const ri_batch *batch, rille_err *err)
{
    for (uint16_t i = 0; i < task->prefix_count; i++) {
        task->cols[i] = &batch->cols[task->prefix_vars[i]];
    }
    RI_TRY(ri_table_add(task->prefix, task->cols, batch->count, NULL, err));
    RI_TRY(
        ri_call_args(task->last->op, task->scope, task->call, task->callee->mask, batch, task->cols, task->bufs, err));
    return ri_pred_demand(task->callee, task->cols, batch->count, err);
}

static int sink(ri_task *task, const ri_batch *batch, rille_err *err)
{
    switch (task->sink) {
    case RI_SINK_ANSWERS:
        return sink_answers(task, batch, err);
    case RI_SINK_CONTEXT:
        return sink_context(task, batch, err);
    case RI_SINK_CLOSURE:
        return sink_closure(task, batch, err);
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
        RI_TRY(feed_start(task->feed, task->done, task->table->count, err));
        task->active = true;
    }
    ri_batch *batch = NULL;
    int rc;
    while ((rc = ri_stage_next(task->last, &batch, err)) == 0) {
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

/* Unit: a batch, and the fixpoint for it, whose tasks work in units of their own. */
static int demand_work(ri_stage *stage, ri_batch **out, rille_err *err)
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

int ri_rule_stages(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                   const ri_varset *bound, const ri_varset *live, bool origin, ri_stage **out, rille_err *err)
{
    *out = NULL;
    ri_pred *pred = NULL;
    uint64_t mask = ri_call_mask(scope, clause, bound);
    RI_TRY(ri_pred_get(op, scope, clause, mask, &pred, err));
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
    self->stage.work = demand_work;
    self->stage.reset = demand_reset;
    ri_join_spec spec;
    RI_TRY(ri_join_terms(op, scope, clause, pred->answers, bound, live, &spec, err));
    *out = ri_join_stage_new(op, scope, &self->stage, &spec, "answers of rule");
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    ri_stage_set_carry(*out, bound, live, origin);
    return 0;
}
