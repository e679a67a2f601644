/* SPDX-License-Identifier: MIT
 *
 * The scan of an attribute by value from one end, or from one and then from the other, until :find has the rows that it
 * needs: for :order-by with a limit, and for min and max.
 *
 *   AVET   low |- - - - - - - - - - - - - - - -| window 3 | window 2 | w1 | high      (from the high end)
 *
 * The range is read in WINDOWS: cuts between values, so that equal values are never in two. Inside of a window rows come
 * in ascending order; whoever orders them orders all. When all batches of a window were given, all rows that came of it
 * have reached :find (X1): if these are enough, all others are further from the end. Otherwise the next window follows,
 * which is larger.
 *
 * A window ends where a leaf of the base has a value so many rows away. Where the novelty has many more in it, the cut is
 * looked for by counting: 64 counts at most.
 */
#include "exec.h"

#include <math.h>

#define WINDOW_ROWS_MIN 16U
#define WINDOW_GROWTH 4U
#define WINDOW_EXCESS 32U /* rows more than wanted that are read rather than looked for */

typedef struct ends_stage {
    ri_stage stage;
    ri_emit emit;
    ri_cursor cursor; /* of the base, to find cuts */
    ri_run run;
    ri_arena arena; /* of the cuts */
    ri_batch *in;
    ri_ends ends;
    unsigned end;   /* which of them is being read */
    uint64_t taken; /* by :find when its first window began */
    uint64_t rows;  /* of the next window, about */
    ri_cuts left;   /* what was not read yet */
    ri_cuts window;
    uint32_t pos; /* in the run */
    bool has_run;
    bool scanning; /* a window was begun */
    bool pulled;
    bool spent;   /* nothing is left */
    ri_scan scan; /* at the end: RI_ZEROED_WITH_SCAN */
} ends_stage;

static void bounds_of(const ends_stage *self, const ri_cuts *cuts, ri_bound *from, ri_bound *to)
{
    ri_order order;
    ri_cuts_bounds(cuts, self->emit.m.pattern->attr, &order, from, to);
}

/* ---- windows ---- */

/* A cut before (from the low end: after) the value that is self->rows away in the leaf of the base at the end; not set:
 * the base has none there. */
static int cut_by_leaf(ends_stage *self, bool high, ri_cut *cut, rille_err *err)
{
    ri_bound from;
    ri_bound to;
    ri_datom d;
    ri_io *io = &self->stage.op->io;
    cut->set = false;
    bounds_of(self, &self->left, &from, &to);
    int rc = high ? ri_cursor_seek_back(&self->cursor, &to, io, err) : ri_cursor_seek(&self->cursor, &from, io, err);
    if (rc != 0) {
        return rc == RILLE_DONE ? 0 : rc;
    }
    const ri_node *leaf = ri_cursor_leaf(&self->cursor);
    uint32_t row = ri_cursor_row(&self->cursor);
    uint32_t room = high ? row : leaf->count - 1 - row;
    uint32_t away = self->rows - 1 < room ? (uint32_t)self->rows - 1 : room;
    ri_node_datom(leaf, high ? row - away : row + away, &d);
    bool inside = high ? ri_datom_cmp_bound(RI_AVET, &d, &from) > 0 : ri_datom_cmp_bound(RI_AVET, &d, &to) < 0;
    if (inside && !ri_value_copy(&self->arena, &d.v, &cut->v)) {
        return ri_fail_nomem(err);
    }
    cut->after = !high;
    cut->set = inside;
    return 0;
}

/* What lies between the end and a cut. */
static ri_cuts cuts_to(const ends_stage *self, bool high, const ri_cut *cut)
{
    ri_cuts cuts = self->left;
    ri_cuts_meet(&cuts, cut, high);
    return cuts;
}

static int count_to(ends_stage *self, bool high, const ri_cut *cut, uint64_t *count, rille_err *err)
{
    ri_bound from;
    ri_bound to;
    ri_cuts cuts = cuts_to(self, high, cut);
    bounds_of(self, &cuts, &from, &to);
    *count = 0;
    return cuts.empty ? 0 : ri_db_count(self->emit.m.pattern->db, RI_AVET, &from, &to, &self->stage.op->io, count, err);
}

/* The keys of all values of a word type. */
static void key_range(uint8_t type, uint64_t *low, uint64_t *high)
{
    ri_value lowest = ri_double((double)-INFINITY);
    ri_value highest = ri_double((double)INFINITY);
    bool is_double = type == RI_DOUBLE;
    *low = is_double ? ri_word_to_key(type, lowest.as.u) : 0;
    *high = is_double ? ri_word_to_key(type, highest.as.u) : type == RI_BOOL ? 1 : UINT64_MAX;
}

/* The cut nearest to the end that has at least self->rows, by halving the values of a word type. */
static int cut_by_counts(ends_stage *self, bool high, ri_cut *cut, rille_err *err)
{
    uint8_t type = self->emit.m.pattern->attr->type;
    uint64_t near; /* has fewer, or is the end itself */
    uint64_t far;  /* has enough */
    key_range(type, high ? &far : &near, high ? &near : &far);
    while (near != far) {
        uint64_t middle = high ? far + (near - far) / 2 + (near - far) % 2 : near + (far - near) / 2;
        ri_cut tried = { ri_word((ri_type)type, ri_key_to_word(type, middle)), !high, true };
        uint64_t count = 0;
        RI_TRY(count_to(self, high, &tried, &count, err));
        if (count >= self->rows) {
            far = middle;
            *cut = tried;
        } else {
            near = high ? middle - 1 : middle + 1;
        }
    }
    return 0;
}

static int begin_window(ends_stage *self, rille_err *err)
{
    bool high = self->ends.high[self->end];
    const ri_attr *attr = self->emit.m.pattern->attr;
    ri_cut cut;
    ri_bound from;
    ri_bound to;
    uint64_t count = 0;
    RI_TRY(cut_by_leaf(self, high, &cut, err));
    RI_TRY(count_to(self, high, &cut, &count, err));
    if (count / WINDOW_GROWTH > self->rows + WINDOW_EXCESS && ri_type_is_word(attr->type)) {
        RI_TRY(cut_by_counts(self, high, &cut, err));
    }
    self->window = cuts_to(self, high, &cut);
    ri_cuts_meet(&self->left, &cut, !high);
    self->spent = !cut.set || self->left.empty;
    bounds_of(self, &self->window, &from, &to);
    ri_scan_set(&self->scan, &from, &to);
    self->scanning = true;
    self->has_run = false;
    self->rows *= WINDOW_GROWTH;
    return 0;
}

static void begin_end(ends_stage *self)
{
    uint64_t need = self->ends.need[self->end];
    self->rows = need < WINDOW_ROWS_MIN ? WINDOW_ROWS_MIN : need;
    self->taken = ri_find_taken(self->stage.op->find);
}

/* RILLE_DONE: :find has enough, or all. */
static int next_window(ends_stage *self, rille_err *err)
{
    if (!self->spent && ri_find_taken(self->stage.op->find) - self->taken >= self->ends.need[self->end]) {
        self->end++;
        if (self->end < self->ends.count) {
            begin_end(self);
        }
    }
    if (self->spent || self->end == self->ends.count) {
        return RILLE_DONE;
    }
    return begin_window(self, err);
}

/* ---- the stage ---- */

/* Takes rows from the run until it or the batch ends. */
static int take(ends_stage *self, rille_err *err)
{
    ri_emit *emit = &self->emit;
    uint32_t end = ri_run_count(&self->run);
    if (self->run.leaf != NULL) {
        uint32_t row = self->run.from + self->pos;
        RI_TRY(ri_emit_range(&self->stage, emit, self->run.leaf, &row, self->run.to, 0, self->in, err));
        self->pos = row - self->run.from;
    } else {
        uint32_t room = RI_BATCH_ROWS - emit->count;
        uint32_t n = end - self->pos < room ? end - self->pos : room;
        uint32_t *in_rows = self->stage.op->scratch_in;
        memset(in_rows, 0, n * sizeof *in_rows);
        RI_TRY(ri_emit_datoms(&self->stage, emit, self->run.rows + self->pos, in_rows, n, self->in, err));
        self->pos += n;
    }
    self->has_run = self->pos < end;
    return 0;
}

static int give(ends_stage *self, ri_batch **out, rille_err *err)
{
    RI_TRY(ri_emit_finish(&self->stage, &self->emit, self->in, err));
    *out = &self->stage.out;
    return 0;
}

/* Unit: one run, or what is left of it. A batch never has rows of two windows. */
static int ends_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ends_stage *self = (ends_stage *)stage;
    if (!self->pulled) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        self->pulled = true;
        begin_end(self);
    }
    if (!self->scanning) {
        RI_TRY(next_window(self, err));
        ri_emit_start(&self->emit);
    } else if (self->emit.count == RI_BATCH_ROWS) { /* given by the last unit */
        ri_emit_start(&self->emit);
    }
    if (!self->has_run) {
        int rc = ri_scan_next(&self->scan, &self->run, &stage->op->io, err);
        if (rc == RILLE_DONE) {
            self->scanning = false;
            return self->emit.count > 0 ? give(self, out, err) : 0;
        }
        RI_TRY(rc);
        self->pos = 0;
        self->has_run = true;
    }
    RI_TRY(take(self, err));
    return self->emit.count == RI_BATCH_ROWS ? give(self, out, err) : 0;
}

static void ends_reset(ri_stage *stage)
{
    ends_stage *self = (ends_stage *)stage;
    ri_emit_start(&self->emit);
    self->in = NULL;
    self->end = 0;
    self->pulled = false;
    self->scanning = false;
    self->has_run = false;
    self->spent = false;
}

static void ends_rest(ri_stage *stage)
{
    ends_stage *self = (ends_stage *)stage;
    ri_scan_deinit(&self->scan);
    ri_cursor_deinit(&self->cursor);
    ri_arena_reset(&self->arena);
}

static void ends_renew(ri_stage *stage)
{
    ends_stage *self = (ends_stage *)stage;
    const ri_matcher *m = &self->emit.m;
    const rille_db *db = m->pattern->db;
    self->left = m->range != NULL ? m->range->cuts : (ri_cuts){ .empty = false };
    ri_scan_init(&self->scan, db, RI_AVET);
    ri_cursor_init(&self->cursor, db->store, &db->base->tree[RI_AVET]);
}

static void ends_destroy(ri_stage *stage)
{
    ends_stage *self = (ends_stage *)stage;
    ri_emit_deinit(&self->emit);
    ri_scan_deinit(&self->scan);
    ri_cursor_deinit(&self->cursor);
    ri_arena_deinit(&self->arena);
}

ri_stage *ri_ends_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m,
                            const ri_ends *ends)
{
    const char *label = ends->count > 1 ? "scan avet from both ends"
                        : ends->high[0] ? "scan avet from the high end"
                                        : "scan avet from the low end";
    ends_stage *self = ri_stage_new_part(op, scope, sizeof *self, RI_ZEROED_WITH_SCAN(ends_stage), input, label);
    if (self == NULL) {
        return NULL;
    }
    if (!ri_emit_init(&self->emit, m, &op->plan_arena)) {
        op->stages = self->stage.older;
        return NULL;
    }
    self->arena.meter = op->meter;
    self->ends = *ends;
    self->stage.range = m->range;
    ends_renew(&self->stage);
    self->stage.work = ends_work;
    self->stage.reset = ends_reset;
    self->stage.rest = ends_rest;
    self->stage.renew = ends_renew;
    self->stage.destroy = ends_destroy;
    return &self->stage;
}
