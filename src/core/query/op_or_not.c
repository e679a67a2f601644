/* SPDX-License-Identifier: MIT
 *
 * not and or: a body is a chain of its own that starts with a feed. Each batch of the input is fed in, cut down to the
 * join variables and with its row numbers as origin (X2). For not, rows whose number comes out are dropped. For or,
 * what the branches give is put together again with the rest of the row it came from.
 *
 * The chains are built once and reset for each batch; what they collected in hash joins they keep.
 */
#include "exec.h"

typedef struct not_stage {
    ri_stage stage;
    ri_feed *feed;
    ri_stage *body;
    ri_batch *in;
    uint8_t *found;
    uint32_t *sel;
} not_stage;

/* The rows of the input that the body did not give. */
static int give_rest(not_stage *self, ri_batch **out, rille_err *err)
{
    const ri_batch *in = self->in;
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        self->sel[n] = i;
        n += self->found[i] == 0;
    }
    self->in = NULL;
    if (n > 0) {
        RI_TRY(ri_stage_carry(&self->stage, in, n == in->count ? NULL : self->sel, n, err));
        *out = &self->stage.out;
    }
    return 0;
}

/* Unit: a batch of the body. */
static int not_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    not_stage *self = (not_stage *)stage;
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        memset(self->found, 0, self->in->count);
        ri_stage_reset_chain(self->body);
        self->feed->batch = self->in;
    }
    ri_batch *got = NULL;
    int rc = ri_stage_next(self->body, &got, err);
    if (rc == RILLE_DONE) {
        return give_rest(self, out, err);
    }
    RI_TRY(rc);
    const uint64_t *origin = got->cols[got->var_count].words;
    for (uint32_t i = 0; i < got->count; i++) {
        self->found[origin[i]] = 1;
    }
    return 0;
}

static int not_ahead(ri_stage *stage)
{
    return ri_stage_ahead_chain(((not_stage *)stage)->body);
}

static void not_reset(ri_stage *stage)
{
    not_stage *self = (not_stage *)stage;
    self->in = NULL;
    ri_stage_reset_chain(self->body);
}

ri_stage *ri_not_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, ri_feed *feed, ri_stage *body)
{
    uint8_t *found = ri_arena_alloc(&op->plan_arena, RI_BATCH_ROWS);
    uint32_t *sel = ri_arena_array(&op->plan_arena, RI_BATCH_ROWS, sizeof *sel);
    not_stage *self = found != NULL && sel != NULL ? ri_stage_new(op, scope, sizeof *self, input, "not") : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->feed = feed;
    self->body = body;
    self->found = found;
    self->sel = sel;
    self->stage.work = not_work;
    self->stage.reset = not_reset;
    self->stage.ahead = not_ahead;
    self->stage.renew = ri_stage_renew;
    return &self->stage;
}

/* ---- or ---- */

typedef struct or_stage {
    ri_stage stage;
    ri_or_branch *branches;
    uint16_t branch_count;
    uint16_t branch; /* running */
    ri_var *made;    /* columns that the branches give */
    uint16_t made_count;
    ri_batch *in;
    uint32_t *sel;
    bool fed;
} or_stage;

static int or_give(or_stage *self, const ri_batch *got, rille_err *err)
{
    const uint64_t *origin = got->cols[got->var_count].words;
    for (uint32_t i = 0; i < got->count; i++) {
        self->sel[i] = (uint32_t)origin[i];
    }
    RI_TRY(ri_stage_carry(&self->stage, self->in, self->sel, got->count, err));
    for (uint16_t i = 0; i < self->made_count; i++) {
        self->stage.out.cols[self->made[i]] = got->cols[self->made[i]];
    }
    return 0;
}

/* Unit: a batch of a branch. */
static int or_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    or_stage *self = (or_stage *)stage;
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        self->branch = 0;
        self->fed = false;
    }
    if (self->branch == self->branch_count) {
        self->in = NULL;
        return 0;
    }
    const ri_or_branch *branch = &self->branches[self->branch];
    if (!self->fed) {
        ri_stage_reset_chain(branch->body);
        branch->feed->batch = self->in;
        self->fed = true;
    }
    ri_batch *got = NULL;
    int rc = ri_stage_next(branch->body, &got, err);
    if (rc == RILLE_DONE) {
        self->branch++;
        self->fed = false;
        return 0;
    }
    RI_TRY(rc);
    RI_TRY(or_give(self, got, err));
    *out = &stage->out;
    return 0;
}

static int or_ahead(ri_stage *stage)
{
    or_stage *self = (or_stage *)stage;
    for (uint16_t i = 0; i < self->branch_count; i++) {
        RI_TRY(ri_stage_ahead_chain(self->branches[i].body));
    }
    return 0;
}

static void or_reset(ri_stage *stage)
{
    or_stage *self = (or_stage *)stage;
    self->in = NULL;
    for (uint16_t i = 0; i < self->branch_count; i++) {
        ri_stage_reset_chain(self->branches[i].body);
    }
}

ri_stage *ri_or_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_or_branch *branches,
                          uint16_t branch_count, const ri_varset *made)
{
    ri_arena *arena = &op->plan_arena;
    uint32_t *sel = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *sel);
    ri_or_branch *copy = ri_arena_array(arena, branch_count + 1U, sizeof *copy);
    ri_var *vars = ri_arena_array(arena, scope->var_count + 1U, sizeof *vars);
    bool ok = sel != NULL && copy != NULL && vars != NULL;
    or_stage *self = ok ? ri_stage_new(op, scope, sizeof *self, input, "or") : NULL;
    if (self == NULL) {
        return NULL;
    }
    memcpy(copy, branches, branch_count * sizeof *copy);
    self->branches = copy;
    self->branch_count = branch_count;
    self->sel = sel;
    self->made = vars;
    for (ri_var var = 0; var < scope->var_count; var++) {
        if (ri_varset_has(made, var)) {
            vars[self->made_count++] = var;
        }
    }
    self->stage.work = or_work;
    self->stage.reset = or_reset;
    self->stage.ahead = or_ahead;
    self->stage.renew = ri_stage_renew;
    return &self->stage;
}
