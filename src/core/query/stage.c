/* SPDX-License-Identifier: MIT
 *
 * What all stages share: memory, columns passed on, the budget, the feed of a sub-chain.
 */
#include "stage.h"

#include "exec.h"

#include <assert.h>

void *ri_stage_new(rille_op *op, const ri_scope *scope, size_t size, ri_stage *input, const char *label)
{
    return ri_stage_new_part(op, scope, size, size, input, label);
}

void *ri_stage_new_part(rille_op *op, const ri_scope *scope, size_t size, size_t zeroed, ri_stage *input,
                        const char *label)
{
    ri_stage *stage = ri_arena_alloc(&op->plan_arena, size);
    uint32_t cols = scope->var_count + 1U + RI_POS_COUNT; /* variables, origin, hidden ones */
    ri_vec *vecs = ri_arena_array(&op->plan_arena, 2U * cols, sizeof *vecs);
    if (stage == NULL || vecs == NULL) {
        return NULL;
    }
    memset(stage, 0, zeroed);
    memset(vecs, 0, 2U * cols * sizeof *vecs);
    stage->op = op;
    stage->scope = scope;
    stage->input = input;
    stage->label = label;
    stage->out.cols = vecs;
    stage->out.var_count = scope->var_count;
    stage->bufs = vecs + cols;
    stage->depth = input != NULL ? input->depth : 0;
    stage->older = op->stages;
    op->stages = stage;
    return stage;
}

ri_vec *ri_stage_buf(ri_stage *stage, ri_var var)
{
    ri_vec *buf = &stage->bufs[var];
    if (buf->words == NULL && !ri_vec_init(buf, &stage->op->plan_arena, RI_BATCH_ROWS)) {
        return NULL;
    }
    return buf;
}

void ri_stage_set_carry(ri_stage *stage, const ri_varset *bound, const ri_varset *live, bool origin)
{
    uint16_t var_count = stage->scope->var_count;
    stage->carry = ri_arena_array(&stage->op->plan_arena, var_count + 1U, sizeof *stage->carry);
    if (stage->carry == NULL) {
        return; /* seen by ri_stage_carry */
    }
    for (ri_var var = 0; var < var_count; var++) {
        if (ri_varset_has(bound, var) && ri_varset_has(live, var)) {
            stage->carry[stage->carry_count++] = var;
        }
    }
    if (origin) {
        stage->carry[stage->carry_count++] = var_count;
    }
}

int ri_stage_carry(ri_stage *stage, const ri_batch *in, const uint32_t *sel, uint32_t count, rille_err *err)
{
    if (stage->carry == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = 0; i < stage->carry_count; i++) {
        ri_var var = stage->carry[i];
        if (sel == NULL) {
            stage->out.cols[var] = in->cols[var];
            continue;
        }
        ri_vec *buf = ri_stage_buf(stage, var);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_vec_gather(&in->cols[var], sel, count, buf);
        stage->out.cols[var] = *buf;
    }
    stage->out.count = count;
    stage->rows += count;
    return 0;
}

void ri_stage_renew(ri_stage *stage)
{
    (void)stage;
}

void ri_stage_reset_chain(ri_stage *last)
{
    for (ri_stage *stage = last; stage != NULL; stage = stage->input) {
        stage->begun = false;
#ifndef NDEBUG
        stage->given = NULL;
#endif
        if (stage->reset != NULL) {
            stage->reset(stage);
        }
    }
}

#define AHEAD_CALLS_MAX 4U /* what it brings may be gone from a small cache by the time it is needed */

int ri_stage_ahead_chain(ri_stage *last)
{
    for (ri_stage *stage = last; stage != NULL; stage = stage->input) {
        if (stage->ahead != NULL && stage->ahead_count < AHEAD_CALLS_MAX) {
            stage->ahead_count++;
            RI_TRY(stage->ahead(stage));
        }
    }
    return 0;
}

int ri_stage_wait(ri_stage *stage, rille_err *err)
{
    if (stage->ahead != NULL && stage->ahead_count < AHEAD_CALLS_MAX) {
        stage->ahead_count++;
        int rc = stage->ahead(stage);
        return rc != 0 ? ri_fail_nomem(err) : RILLE_NEED;
    }
    return RILLE_NEED;
}

int ri_check(rille_op *op, rille_err *err)
{
    return ri_meter_check(op->meter, err);
}

/* ---- units of work ---- */

bool ri_unit_is_full(const rille_op *op)
{
    return op->meter->done - op->stretch_start >= RI_UNIT_WORK;
}

/* The budget is looked at, or its user has returned. */
void ri_begin_stretch(rille_op *op)
{
    uint64_t work = op->meter->done - op->stretch_start;
    op->stretch_max = work > op->stretch_max ? work : op->stretch_max;
    op->stretch_start = op->meter->done;
}

#define SMALL_UNIT (RI_UNIT_WORK / 64)
#define SMALL_UNITS_MAX 16U

/* With a budget of some size, a few small units pass between two readings of the clock, which cost more than they do. */
static bool is_late(rille_op *op)
{
    if (op->patient && op->meter->done - op->clocked_work < SMALL_UNIT &&
        op->units - op->clocked_units < SMALL_UNITS_MAX) {
        return false;
    }
    op->clocked_work = op->meter->done;
    op->clocked_units = op->units;
    return ri_clock_us() > op->deadline_us;
}

int ri_begin_unit(rille_op *op, bool *begun, rille_err *err)
{
    if (*begun) {
        return 0;
    }
    RI_TRY(ri_check(op, err));
    ri_io_relieve(&op->io); /* of what earlier units read */
    if (op->pauses.trash.first != NULL) {
        (void)ri_trash_empty(&op->pauses.trash, RI_UNIT_WORK);
    }
    *begun = true;
    op->units++;
    ri_begin_stretch(op);
    if (op->options.interrupt != NULL && op->options.interrupt(op->options.context)) {
        return RILLE_AGAIN;
    }
    return op->units > 1 && op->deadline_us != 0 && is_late(op) ? RILLE_AGAIN : 0;
}

#ifndef NDEBUG
static uint64_t batch_hash(const ri_batch *batch)
{
    uint64_t hash = batch->count;
    for (uint16_t i = 0; i <= batch->var_count; i++) {
        const ri_vec *col = &batch->cols[i];
        for (uint32_t row = 0; col->words != NULL && row < batch->count; row++) {
            hash = ri_mix64(hash ^ col->words[row]) + (col->type == RI_MIXED ? col->types[row] : col->type);
        }
    }
    return hash;
}
#endif

int ri_stage_next(ri_stage *stage, ri_batch **out, rille_err *err)
{
    *out = NULL;
    for (;;) {
#ifndef NDEBUG
        assert(stage->given == NULL || batch_hash(stage->given) == stage->given_hash); /* (X1) */
#endif
        RI_TRY(ri_begin_unit(stage->op, &stage->begun, err));
#ifndef NDEBUG
        stage->given = NULL;
#endif
        int rc = stage->work(stage, out, err);
        if (ri_is_pause(rc)) {
            return rc;
        }
        stage->begun = false;
        if (rc == 0 && *out == NULL) {
            continue;
        }
#ifndef NDEBUG
        if (rc == 0) {
            assert((*out)->count > 0 && (*out)->count <= RI_BATCH_ROWS);
            stage->given = *out;
            stage->given_hash = batch_hash(*out);
        }
#endif
        return rc;
    }
}

int ri_op_table(rille_op *op, uint16_t col_count, bool is_set, ri_table **out, rille_err *err)
{
    *out = NULL;
    if (!RI_GROW(&op->tables, &op->table_cap, op->table_count + 1)) {
        return ri_fail_nomem(err);
    }
    ri_table *table = ri_alloc_zero(sizeof *table);
    if (table == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = ri_table_init(table, col_count, is_set, err);
    if (rc != 0) {
        ri_free(table);
        return rc;
    }
    ri_table_set_meter(table, op->meter);
    op->tables[op->table_count++] = table;
    *out = table;
    return 0;
}

/* ---- scopes ---- */

static ri_scope *derived_scope(rille_op *op, const void *owner, uint16_t source, uint64_t names, bool *made)
{
    for (ri_scope *scope = op->scopes; scope != NULL; scope = scope->next) {
        if (scope->owner == owner && scope->source == source && scope->names == names) {
            *made = false;
            return scope;
        }
    }
    ri_scope *scope = ri_arena_alloc(&op->arena, sizeof *scope);
    if (scope != NULL) {
        *scope = (ri_scope){ 0 };
        scope->owner = owner;
        scope->source = source;
        scope->names = names;
        scope->next = op->scopes;
        op->scopes = scope;
    }
    *made = true;
    return scope;
}

const ri_scope *ri_scope_rule(rille_op *op, const ri_rule_branch *branch, uint16_t source, uint64_t names)
{
    bool made = false;
    ri_scope *scope = derived_scope(op, branch, source, names, &made);
    if (scope != NULL && made) {
        scope->var_names = branch->var_names;
        scope->var_count = branch->var_count;
        scope->source_default = op->scope.source_default;
        for (uint16_t i = 0; i < branch->param_count && i < 64; i++) {
            if ((names >> i & 1) != 0) {
                ri_varset_add(&scope->named, branch->params[i]);
            }
        }
        scope->uncounted = op->uncounted;
        op->uncounted = scope;
    }
    return scope;
}

/* ---- the feed ---- */

static int feed_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ri_feed *self = (ri_feed *)stage;
    if (self->batch == NULL) {
        return RILLE_DONE;
    }
    const ri_batch *batch = self->batch;
    ri_vec *origin = ri_stage_buf(stage, stage->scope->var_count);
    if (origin == NULL) {
        return ri_fail_nomem(err);
    }
    origin->type = RI_LONG;
    for (uint32_t i = 0; i < batch->count; i++) {
        origin->words[i] = i;
    }
    RI_TRY(ri_stage_carry(stage, batch, NULL, batch->count, err));
    stage->out.cols[stage->scope->var_count] = *origin;
    self->batch = NULL;
    *out = &stage->out;
    return 0;
}

static void feed_reset(ri_stage *stage)
{
    ((ri_feed *)stage)->batch = NULL;
}

ri_feed *ri_feed_new(rille_op *op, const ri_scope *scope, const ri_varset *vars)
{
    ri_feed *self = ri_stage_new(op, scope, sizeof *self, NULL, "rows of");
    if (self != NULL) {
        self->stage.work = feed_work;
        self->stage.reset = feed_reset;
        self->stage.renew = ri_stage_renew;
        ri_stage_set_carry(&self->stage, vars, vars, false);
    }
    return self;
}
