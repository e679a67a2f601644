/* SPDX-License-Identifier: MIT
 *
 * The scan: all datoms in a range cut by constants. The usual first stage of a chain; with an input of several rows,
 * each row is joined with the whole range (a cross product without memory). Where predicates compare the pattern's value
 * with columns of the input, each row has a range of its own.
 *
 * A batch collects matches from as many leaves as it takes to fill it. Cost: a few instructions a row of the range for
 * the check on packed codes, the columns of matches alone.
 */
#include "exec.h"

typedef struct scan_stage {
    ri_stage stage;
    ri_emit emit;
    ri_run run;
    ri_bound from;
    ri_bound to;
    ri_arena arena; /* of the cuts of the row that is being joined */
    ri_batch *in;
    uint32_t in_row; /* the row that is being joined */
    uint32_t pos;    /* in the run */
    bool has_run;
    bool scanning; /* the range was begun for it */
    ri_scan scan;  /* at the end: RI_ZEROED_WITH_SCAN */
} scan_stage;

/* Takes rows from the run until it or the batch ends. */
static int take(scan_stage *self, rille_err *err)
{
    ri_emit *emit = &self->emit;
    uint32_t end = ri_run_count(&self->run);
    if (self->run.leaf != NULL) {
        uint32_t row = self->run.from + self->pos;
        RI_TRY(ri_emit_range(&self->stage, emit, self->run.leaf, &row, self->run.to, self->in_row, self->in, err));
        self->pos = row - self->run.from;
    } else {
        uint32_t room = RI_BATCH_ROWS - emit->count;
        uint32_t n = end - self->pos < room ? end - self->pos : room;
        uint32_t *in_rows = self->stage.op->scratch_in;
        for (uint32_t i = 0; i < n; i++) {
            in_rows[i] = self->in_row;
        }
        RI_TRY(ri_emit_datoms(&self->stage, emit, self->run.rows + self->pos, in_rows, n, self->in, err));
        self->pos += n;
    }
    self->has_run = self->pos < end;
    return 0;
}

/* The range of a row of the input, where values of it are ends, or the attribute. RILLE_DONE: it is empty. */
static int cut_for_row(scan_stage *self, rille_err *err)
{
    const ri_matcher *m = &self->emit.m;
    const ri_attr *attr = m->pattern->attr;
    ri_order order;
    if (m->by_attr) {
        ri_value a = ri_vec_get(&self->in->cols[m->bound[RI_POS_A]], self->in_row);
        uint64_t id = ri_entity_of(&a);
        self->from = ri_bound_a((uint32_t)id, false);
        self->to = ri_bound_a((uint32_t)id, true);
        return id != 0 && id <= UINT32_MAX ? 0 : RILLE_DONE;
    }
    if (m->range_ends == 0) {
        return 0;
    }
    ri_cuts cuts = m->range->cuts;
    ri_arena_reset(&self->arena);
    for (unsigned i = 0; i < m->range->end_count; i++) {
        const ri_range_end *end = &m->range->ends[i];
        if ((m->range_ends >> i & 1) != 0) {
            ri_value v = ri_vec_get(&self->in->cols[end->var], self->in_row);
            RI_TRY(ri_cuts_narrow(&cuts, attr, (ri_relation)end->relation, &v, &self->arena, err));
        }
    }
    if (cuts.empty) {
        return RILLE_DONE;
    }
    ri_cuts_bounds(&cuts, attr, &order, &self->from, &self->to);
    return 0;
}

/* Goes on to a run with rows left. RILLE_DONE: the range is at its end for this row of the input. */
static int next_run(scan_stage *self, rille_err *err)
{
    if (!self->scanning) {
        RI_TRY(cut_for_row(self, err));
        ri_scan_set(&self->scan, &self->from, &self->to);
        self->scanning = true;
        self->has_run = false;
    }
    if (!self->has_run) {
        RI_TRY(ri_scan_next(&self->scan, &self->run, &self->stage.op->io, err));
        self->pos = 0;
        self->has_run = true;
    }
    return 0;
}

static int give(scan_stage *self, bool last, ri_batch **out, rille_err *err)
{
    RI_TRY(ri_emit_finish(&self->stage, &self->emit, self->in, err));
    self->stage.out.last = last;
    *out = &self->stage.out;
    return 0;
}

/* The range is at its end for this row of the input. */
static int end_row(scan_stage *self, ri_batch **out, rille_err *err)
{
    self->scanning = false;
    self->in_row++;
    if (self->in_row < self->in->count) {
        return 0;
    }
    int rc = self->emit.count > 0 ? give(self, self->in->last, out, err) : 0;
    self->in = NULL;
    return rc;
}

/* Unit: one run, or what is left of it. */
static int scan_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    scan_stage *self = (scan_stage *)stage;
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        self->in_row = 0;
        self->scanning = false;
        ri_emit_start(&self->emit);
    } else if (self->emit.count == RI_BATCH_ROWS) { /* given by the last unit */
        ri_emit_start(&self->emit);
    }
    int rc = next_run(self, err);
    if (rc == RILLE_DONE) {
        return end_row(self, out, err);
    }
    RI_TRY(rc);
    RI_TRY(take(self, err));
    if (self->emit.count == RI_BATCH_ROWS) {
        return give(self, false, out, err);
    }
    return !self->has_run && ri_scan_at_end(&self->scan) ? end_row(self, out, err) : 0;
}

static void scan_reset(ri_stage *stage)
{
    scan_stage *self = (scan_stage *)stage;
    ri_emit_start(&self->emit);
    self->in = NULL;
    self->scanning = false;
    self->has_run = false;
}

static void scan_rest(ri_stage *stage)
{
    scan_stage *self = (scan_stage *)stage;
    ri_scan_deinit(&self->scan);
    ri_arena_reset(&self->arena);
}

/* The range by constants, and the order that has it. */
static ri_order set_bounds(scan_stage *self)
{
    const ri_matcher *m = &self->emit.m;
    ri_order order = RI_EAVT;
    bool filter_v = false;
    ri_pattern_range(m->pattern, &order, &self->from, &self->to, &filter_v);
    if (m->range != NULL) {
        ri_cuts_bounds(&m->range->cuts, m->pattern->attr, &order, &self->from, &self->to);
    }
    return m->by_attr ? RI_AEVT : order;
}

static void begin_scan(scan_stage *self)
{
    ri_scan_init(&self->scan, self->emit.m.pattern->db, set_bounds(self));
    ri_scan_expect(&self->scan, ri_op_takes_all(self->stage.op) ? RI_AHEAD_ALL : RI_AHEAD_MOVES, NULL);
}

static void scan_renew(ri_stage *stage)
{
    begin_scan((scan_stage *)stage);
}

static void scan_destroy(ri_stage *stage)
{
    scan_stage *self = (scan_stage *)stage;
    ri_emit_deinit(&self->emit);
    ri_scan_deinit(&self->scan);
    ri_arena_deinit(&self->arena);
}

ri_stage *ri_scan_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m)
{
    static const char *const labels[] = { "scan eavt", "scan aevt", "scan avet", "scan vaet" };
    ri_order order;
    ri_bound from;
    ri_bound to;
    ri_matcher matcher = *m;
    ri_pattern_range(m->pattern, &order, &from, &to, &matcher.filter_v);
    scan_stage *self = ri_stage_new_part(op, scope, sizeof *self, RI_ZEROED_WITH_SCAN(scan_stage), input, NULL);
    if (self == NULL) {
        return NULL;
    }
    if (!ri_emit_init(&self->emit, &matcher, &op->plan_arena)) {
        op->stages = self->stage.older;
        return NULL;
    }
    self->arena.meter = op->meter;
    self->stage.range = m->range;
    self->stage.range_ends = m->range_ends;
    order = set_bounds(self);
    self->stage.label = m->by_attr ? "scan aevt by a" : labels[order];
    begin_scan(self);
    self->stage.work = scan_work;
    self->stage.reset = scan_reset;
    self->stage.rest = scan_rest;
    self->stage.renew = scan_renew;
    self->stage.destroy = scan_destroy;
    return &self->stage;
}
