/* SPDX-License-Identifier: MIT
 *
 * The operation: made, stepped, fed, ended.
 *
 *   LOOK   only when an operation runs again: the lookups that a point query is (lookups.c)
 *   COUNT  resolve and count the patterns (may need storage; what is known already is kept)
 *   RANGES find and count the ranges that predicates cut out (may need storage, too)
 *   SAMPLE find and sample the links between clauses that decide about the plan (may need storage, too)
 *   PLAN   build the chain (from memory alone)
 *   RUN    pull batches through :find
 *   ENDED  done, or failed: the same answer for ever
 *
 * An operation that runs again (again.c) has patterns and a plan: it counts only what may have changed, and renews the
 * chain where the counts are much as they were.
 */
#include "again.h"
#include "lookups.h"
#include "types.h"
#include "walk.h"

#define PATIENT_US 1000U

static void drop_plan(rille_op *op)
{
    ri_find_release(op->find);
    op->find = NULL;
    ri_lookups_drop(op->lookups);
    op->lookups = NULL;
    ri_ruleset_release(op->ruleset, op->meter);
    op->ruleset = NULL;
    for (ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        if (stage->destroy != NULL) {
            stage->destroy(stage);
        }
    }
    op->stages = NULL;
    op->last = NULL;
    ri_op_drop_tables(op);
}

void ri_op_drop_tables(rille_op *op)
{
    for (size_t i = 0; i < op->table_count; i++) {
        ri_table_deinit(op->tables[i]);
        ri_free(op->tables[i]);
    }
    op->table_count = 0;
}

void ri_op_release(rille_op *op)
{
    if (op == NULL) {
        return;
    }
    drop_plan(op);
    ri_free(op->tables);
    ri_io_deinit(&op->io);
    ri_task_deinit(&op->pauses);
    ri_bytemap_deinit(&op->stub_sources);
    for (uint16_t i = 0; i < op->source_count; i++) {
        ri_db_release(op->sources[i].db);
        ri_schema_release(op->sources[i].schema);
    }
    ri_query_release(op->query);
    ri_arena_deinit(&op->plan_arena);
    ri_arena_deinit(&op->find_arena);
    ri_arena_deinit(&op->values);
    ri_arena_deinit(&op->arena);
    ri_free(op);
}

static uint16_t default_source(const rille_query *query)
{
    for (uint16_t i = 0; i < query->source_count; i++) {
        if (strcmp(query->source_names[i], "$") == 0) {
            return i;
        }
    }
    return RI_SOURCE_DEFAULT;
}

int ri_op_new(rille_query *query, const ri_input *inputs, size_t input_count, const ri_op_options *options,
              rille_op **out, rille_err *err)
{
    *out = NULL;
    rille_op *op = ri_alloc(sizeof *op);
    if (op == NULL) {
        return ri_fail_nomem(err);
    }
    memset(op, 0, offsetof(rille_op, scratch_words));
    op->query = ri_query_retain(query);
    op->options = options != NULL ? *options : (ri_op_options){ .limit = -1, .offset = -1 };
    op->scope.var_names = query->var_names;
    op->scope.var_count = query->var_count;
    op->scope.source = default_source(query);
    op->scope.source_default = RI_SOURCE_DEFAULT;
    ri_meter_init(&op->meter_own, op->options.memory_bytes, op->options.timeout_ms);
    op->meter = op->options.meter != NULL ? op->options.meter : &op->meter_own;
    op->arena.meter = op->meter;
    op->plan_arena.meter = op->meter;
    op->find_arena.meter = op->meter;
    op->values.meter = op->meter;
    int rc = ri_inputs_bind(op, inputs, input_count, err);
    if (rc != 0) {
        int stopped = ri_meter_error(op->meter, err);
        ri_op_release(op);
        return stopped != 0 ? stopped : rc;
    }
    op->state = RI_OP_COUNT;
    op->pauses.pauses_only = true;
    *out = op;
    return 0;
}

ri_plan_input ri_plan_query_input(rille_op *op)
{
    ri_plan_input in = { .scope = &op->scope,
                         .clauses = op->query->where,
                         .count = op->query->where_count,
                         .rows = op->in_rows,
                         .one_row = op->in_col_count == 0,
                         .whole = true };
    for (uint16_t i = 0; i < op->in_col_count; i++) {
        ri_varset_add(&in.bound, op->in_cols[i].var);
    }
    in.given = in.bound;
    ri_find_live(op, &in.live);
    return in;
}

static int make_plan(rille_op *op, rille_err *err)
{
    op->order_state = op->options.order_seed;
    op->rule_count_count = 0; /* links are known now */
    RI_TRY(ri_ruleset_new(op, &op->ruleset, err));
    ri_stage *last = ri_input_stage_new(op);
    if (last == NULL) {
        return ri_fail_nomem(err);
    }
    ri_plan_input in = ri_plan_query_input(op);
    const ri_varset none = { { 0 } };
    RI_TRY(ri_plan_forms(op, &in, &none, &in.bound, &last, err));
    RI_TRY(ri_plan_body(op, &in, &last, err));
    RI_TRY(ri_ruleset_plan(op, err));
    op->last = last;
    ri_plan_note(op);
    RI_TRY(ri_find_new(op, &op->find, err));
    RI_TRY(ri_lookups_new(op, &op->lookups, err));
    op->plan_bytes = ri_plan_bytes(op);
    return 0;
}

/* Nothing that the new plan needs is in the old one. */
static int plan(rille_op *op, rille_err *err)
{
    if (op->again) {
        ri_plan_renew(op);
        if (op->find == NULL) {
            return ri_find_new(op, &op->find, err);
        }
        ri_find_renew(op->find);
        return 0;
    }
    drop_plan(op);
    ri_arena_reset(&op->plan_arena);
    ri_arena_reset(&op->find_arena);
    return make_plan(op, err);
}

/* Links of the plan that there is; where it does not fit, those that decide about a new one. */
static int sample(rille_op *op, rille_err *err)
{
    if (op->again) {
        RI_TRY(ri_links_sample(op, err));
        op->again = ri_plan_fits(op);
        op->decided = op->again;
    }
    if (!op->decided) {
        RI_TRY(ri_plan_decide(op, err));
        op->decided = true;
    }
    bool more = !op->again;
    while (more) {
        RI_TRY(ri_links_sample(op, err));
        RI_TRY(ri_walk_go(op, err));
        RI_TRY(ri_plan_decide_more(op, &more, err));
    }
    return 0;
}

/* RILLE_AGAIN: it is no point query, as far as this run goes. */
static int look_up(rille_op *op, rille_err *err)
{
    RI_TRY(ri_begin_unit(op, &op->begun, err));
    int rc = ri_lookups_next(op, err);
    if (rc == RILLE_AGAIN) {
        op->state = RI_OP_COUNT;
        return 0;
    }
    op->state = rc == RILLE_ROWS ? RI_OP_ENDED : RI_OP_LOOK;
    return rc;
}

static int step(rille_op *op, rille_err *err)
{
    if (op->state == RI_OP_LOOK) {
        int rc = look_up(op, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (op->state == RI_OP_COUNT) {
        RI_TRY(ri_begin_unit(op, &op->begun, err));
        RI_TRY(op->again ? ri_plan_count_again(op, err) : ri_plan_count(op, err));
        RI_TRY(op->again ? 0 : ri_plan_types(op, err));
        op->state = RI_OP_RANGES;
    }
    if (op->state == RI_OP_RANGES) {
        RI_TRY(ri_plan_ranges(op, err));
        ri_links_age(op);
        op->state = RI_OP_SAMPLE;
    }
    if (op->state == RI_OP_SAMPLE) {
        RI_TRY(sample(op, err));
        op->state = RI_OP_PLAN;
    }
    if (op->state == RI_OP_PLAN) {
        RI_TRY(plan(op, err));
        RI_TRY(ri_op_note_planned(op, err));
        op->state = RI_OP_RUN;
    }
    return ri_find_next(op->find, err);
}

/* An operation that ended says so again. */
static int ended(const rille_op *op, rille_err *err)
{
    if (op->failed != 0 && err != NULL) {
        *err = op->error;
    }
    return op->failed != 0 ? op->failed : RILLE_DONE;
}

/* With the same budget for what pauses by itself. */
static int step_with_pauses(rille_op *op, rille_err *err)
{
    op->pauses.ends_us = op->deadline_us;
    op->pauses.interrupt = op->options.interrupt;
    op->pauses.interrupt_context = op->options.context;
    ri_task *outer = ri_task_enter(&op->pauses);
    if (outer != NULL) {
        ri_task_return(outer); /* a part of another operation: it pauses with that */
    }
    int rc = step(op, err);
    ri_task_return(outer);
    if (rc == RILLE_DONE) {
        (void)ri_trash_empty(&op->pauses.trash, SIZE_MAX); /* the operation may be kept for a long time */
    }
    return rc == RILLE_NEED && op->pauses.paused ? RILLE_AGAIN : rc;
}

int ri_op_step(rille_op *op, uint64_t budget_us, rille_err *err)
{
    op->rows = NULL;
    op->row_count = 0;
    op->call_pending = false;
    if (op->state == RI_OP_ENDED) {
        return ended(op, err);
    }
    op->deadline_us = budget_us != 0 ? ri_clock_us() + budget_us : 0;
    op->patient = budget_us >= PATIENT_US;
    op->units = op->clocked_units = 0;
    op->clocked_work = op->meter->done;
    op->stretch_start = op->meter->done;            /* the host may have worked with it, too */
    int rc = ri_meter_check(op->meter, &op->error); /* a step that only needs storage does not look */
    rc = rc == 0 ? step_with_pauses(op, &op->error) : rc;
    ri_begin_stretch(op);
    int stopped = ri_meter_error(op->meter, &op->error); /* whatever was made of it */
    rc = stopped != 0 ? stopped : rc;
    if (rc < 0) {
        op->rows = NULL;
        op->row_count = 0;
        op->failed = rc;
        op->state = RI_OP_ENDED;
        ri_io_abandon(&op->io);
        ri_task_forget(&op->pauses);
        return ended(op, err);
    }
    if (rc == RILLE_DONE) {
        op->state = RI_OP_ENDED;
    }
    return rc;
}

ri_io *ri_op_io(rille_op *op)
{
    return &op->io;
}

const ri_vec *ri_op_rows(const rille_op *op, uint32_t *count)
{
    *count = op->row_count;
    return op->rows;
}

ri_call *ri_op_call(rille_op *op)
{
    return op->call_pending ? &op->call : NULL;
}

void ri_op_cancel(rille_op *op)
{
    atomic_store_explicit(&op->meter->cancelled, true, memory_order_relaxed);
}

/* ---- the blocking run ---- */

static int add_rows(const rille_op *op, ri_table *out, rille_err *err)
{
    const ri_vec *cols[RI_QUERY_VARS_MAX];
    uint32_t count = 0;
    const ri_vec *rows = ri_op_rows(op, &count);
    for (uint16_t i = 0; i < out->col_count && i < RI_QUERY_VARS_MAX; i++) {
        cols[i] = &rows[i];
    }
    return ri_table_add(out, cols, count, NULL, err);
}

int ri_op_collect(rille_op *op, ri_table *out, rille_err *err)
{
    memset(out, 0, sizeof *out);
    int rc = ri_table_init(out, op->query->find_count, false, err);
    while (rc == 0) {
        rc = ri_op_step(op, 0, err);
        if (rc == RILLE_NEED) {
            rc = ri_io_fetch(&op->io, err);
        } else if (rc == RILLE_ROWS) {
            rc = add_rows(op, out, err);
        } else if (rc == RILLE_AGAIN) {
            rc = 0;
        } else if (rc == RILLE_CALL) {
            rc = ri_fail(err, RILLE_QUERY, "function %s belongs to the host application: run this query in steps",
                         op->call.name);
        }
    }
    if (rc != RILLE_DONE) {
        ri_table_deinit(out);
        memset(out, 0, sizeof *out);
        return rc;
    }
    return 0;
}

int ri_query_run(rille_query *query, const ri_input *inputs, size_t input_count, const ri_op_options *options,
                 ri_table *out, rille_err *err)
{
    rille_op *op = NULL;
    memset(out, 0, sizeof *out);
    RI_TRY(ri_op_new(query, inputs, input_count, options, &op, err));
    int rc = ri_op_collect(op, out, err);
    ri_op_release(op);
    return rc;
}
