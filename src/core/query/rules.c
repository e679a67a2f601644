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
    const ri_column *cols = self->table->cols;
    for (uint16_t i = 0; i < self->same_count; i++) {
        if (!ri_column_eq(&cols[self->same[i].col], row, &cols[self->same[i].var], row)) {
            return false;
        }
    }
    for (uint16_t i = 0; i < self->const_count; i++) {
        ri_value v = ri_column_get(&cols[self->consts[i].col], row);
        if (!ri_same_value(&v, &self->consts[i].value)) {
            return false;
        }
    }
    return true;
}

#define SORT_ROWS_MIN (RI_BATCH_ROWS + 1U) /* fewer are one batch, which the probe sorts */
#define SORT_SLICE_ROWS 4096U
#define SORT_ROW_UNITS 16U /* of work */
#define CELL_UNITS 8U

/* The column by which the rows to come are sorted, so that each batch falls into few leaves; NULL: they are not. */
static const ri_column *sort_column(const ri_table_feed *self)
{
    for (uint16_t i = 0; i < self->col_count && self->to - self->from >= SORT_ROWS_MIN; i++) {
        const ri_column *col = &self->table->cols[self->cols[i].col];
        if (self->cols[i].var == self->sort_var && (col->type == RI_REF || col->type == RI_LONG)) {
            return col;
        }
    }
    return NULL;
}

static int feed_start(ri_table_feed *self, uint32_t from, uint32_t to, rille_err *err)
{
    ri_sorter_deinit(&self->sorter);
    self->from = from;
    self->to = to;
    self->order = NULL;
    self->order_from = from;
    self->sorted_by = sort_column(self);
    return self->sorted_by == NULL ? 0
                                   : ri_sorter_init(&self->sorter, self->stage.op->meter, to - from, NULL, NULL, err);
}

/* A slice of sorting. */
static int sort_some(ri_table_feed *self, rille_err *err)
{
    ri_sorter *sorter = &self->sorter;
    uint32_t n = 0;
    for (; sorter->count < sorter->cap && n < SORT_SLICE_ROWS; n++) {
        ri_value v = ri_column_get(self->sorted_by, self->from + sorter->count);
        ri_sorter_push(sorter, v.as.u, self->from + sorter->count);
    }
    if (n > 0) {
        return ri_work(sorter->meter, (size_t)n * SORT_ROW_UNITS, err);
    }
    int rc = ri_sorter_work(sorter, err);
    if (rc == RILLE_DONE) {
        ri_sorter_trim(sorter);
        self->order = ri_sorter_rows(sorter);
        self->sorted_by = NULL;
    }
    return rc == RILLE_DONE ? 0 : rc;
}

static void table_feed_destroy(ri_stage *stage)
{
    ri_sorter_deinit(&((ri_table_feed *)stage)->sorter);
}

/* Unit: a slice of sorting, or so many rows of the table that they may fill a batch. */
static int table_feed_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ri_table_feed *self = (ri_table_feed *)stage;
    uint32_t n = 0;
    bool checks = self->same_count > 0 || self->const_count > 0;
    if (self->sorted_by != NULL) {
        return sort_some(self, err);
    }
    uint32_t end = self->to - self->from < RI_BATCH_ROWS ? self->to : self->from + RI_BATCH_ROWS;
    if (self->from == end) {
        return RILLE_DONE;
    }
    for (; self->from < end; self->from++) {
        self->rows[n] = self->order != NULL ? self->order[self->from - self->order_from] : self->from;
        n += !checks || row_holds(self, self->rows[n]);
    }
    RI_TRY(ri_work(stage->op->meter, (size_t)(n + 1U) * (self->col_count + 1U) * CELL_UNITS, err));
    if (n == 0) {
        return 0;
    }
    for (uint16_t i = 0; i < self->col_count; i++) {
        ri_vec *buf = ri_stage_buf(stage, self->cols[i].var);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_column_gather(&self->table->cols[self->cols[i].col], self->rows, n, buf);
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

static int gather_seed(ri_rule_task *task, const ri_batch *batch, uint16_t col, uint16_t at, rille_err *err)
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
    ri_column_gather(&task->pred->demand->cols[col], rows, batch->count, buf);
    task->cols[at] = buf;
    return 0;
}

static int sink_answers(ri_rule_task *task, const ri_batch *batch, rille_err *err)
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

static int sink_context(ri_rule_task *task, const ri_batch *batch, rille_err *err)
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

/* The word of the bitmap that has the bit of an entity, made when there is none. NULL: out of its range, or no memory
 * (then it is left as it is). */
static uint64_t *visited_word(ri_pred *pred, ri_meter *meter, uint64_t e)
{
    uint64_t word = (e - RI_EID_USER) / 64;
    size_t page = (size_t)(word / RI_RULE_PAGE_WORDS);
    size_t bytes = RI_RULE_PAGE_WORDS * sizeof(uint64_t);
    if (e < RI_EID_USER || e - RI_EID_USER >= RI_RULE_VISITED_MAX) {
        return NULL;
    }
    if (page >= pred->page_cap) {
        size_t old = pred->page_cap;
        if (!RI_GROW_COUNTED(meter, &pred->pages, &pred->page_cap, page + 1)) {
            return NULL;
        }
        memset(pred->pages + old, 0, (pred->page_cap - old) * sizeof *pred->pages);
    }
    if (pred->pages[page] == NULL && ri_meter_take(meter, bytes)) {
        pred->pages[page] = ri_alloc_zero(bytes);
        if (pred->pages[page] == NULL) {
            ri_meter_give(meter, bytes);
        }
    }
    return pred->pages[page] != NULL ? &pred->pages[page][word % RI_RULE_PAGE_WORDS] : NULL;
}

/* Rows that go to entities not reached yet. Most edges of a graph lead to where one has been: a bit is cheaper than a
 * set. */
static const ri_batch *unvisited(ri_rule_task *task, const ri_batch *batch, ri_batch *few)
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
        uint64_t *word = visited_word(pred, task->last->op->meter, e);
        if (word == NULL) {
            n++;
            continue;
        }
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
    *few = (ri_batch){ .cols = task->few_cols, .count = n, .var_count = batch->var_count };
    return few;
}

/* New contexts are answers; so is a context that is back where it began. */
static int sink_closure(ri_rule_task *task, const ri_batch *batch, rille_err *err)
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
    const ri_vec *answer[2];
    for (uint16_t i = 0; i < 2; i++) {
        ri_vec *buf = &task->new_cols[i];
        if (buf->words == NULL && !ri_vec_init(buf, &task->last->op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        ri_column_copy(&contexts->cols[i], before, contexts->count - before, buf);
        answer[i == 0 ? asked : 1 - asked] = buf;
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

static int sink_prefix(ri_rule_task *task, const ri_batch *batch, rille_err *err)
{
    for (uint16_t i = 0; i < task->prefix_count; i++) {
        task->cols[i] = &batch->cols[task->prefix_vars[i]];
    }
    RI_TRY(ri_table_add(task->prefix, task->cols, batch->count, NULL, err));
    RI_TRY(
        ri_call_args(task->last->op, task->scope, task->call, task->callee->mask, batch, task->cols, task->bufs, err));
    return ri_pred_demand(task->callee, task->cols, batch->count, err);
}

static int sink(ri_rule_task *task, const ri_batch *batch, rille_err *err)
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

#define SINK_ROWS 256U

/* The rows of a batch that the sink takes at once. */
static int part_of_batch(ri_rule_task *task, ri_batch *part, rille_err *err)
{
    const ri_batch *batch = task->batch;
    uint32_t cols = batch->var_count + 1U;
    if (task->part_cols == NULL) {
        task->part_cols = ri_arena_array(&task->last->op->plan_arena, cols, sizeof *task->part_cols);
    }
    if (task->part_cols == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < cols; i++) {
        const ri_vec *col = &batch->cols[i];
        task->part_cols[i] = col->words != NULL ? ri_vec_from(col, task->sunk) : *col;
    }
    uint32_t left = batch->count - task->sunk;
    *part = (ri_batch){ .cols = task->part_cols,
                        .count = left < SINK_ROWS ? left : SINK_ROWS,
                        .var_count = batch->var_count };
    return 0;
}

/* Unit: so many rows of the batch as take their time. */
static int sink_batch(ri_rule_task *task, rille_err *err)
{
    rille_op *op = task->last->op;
    while (task->sunk < task->batch->count) {
        ri_batch part;
        if (task->begun || ri_unit_is_full(op)) {
            RI_TRY(ri_begin_unit(op, &task->begun, err));
            task->begun = false;
        }
        RI_TRY(part_of_batch(task, &part, err));
        RI_TRY(sink(task, &part, err));
        task->sunk += part.count;
    }
    task->batch = NULL;
    return 0;
}

static int task_run(ri_rule_task *task, rille_err *err)
{
    if (!task->active) {
        ri_stage_reset_chain(task->last);
        RI_TRY(feed_start(task->feed, task->done, task->table->count, err));
        task->active = true;
    }
    int rc = 0;
    while (rc == 0) {
        if (task->batch != NULL) {
            RI_TRY(sink_batch(task, err));
        }
        rc = ri_stage_next(task->last, &task->batch, err);
        task->sunk = 0;
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
            for (ri_rule_task *task = pred->group == group ? pred->tasks : NULL; task != NULL; task = task->next) {
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
        if (ri_unit_is_full(stage->op)) {
            return 0;
        }
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
