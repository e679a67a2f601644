/* SPDX-License-Identifier: MIT
 *
 * The probe: an index nested loop on whole batches, which is also the star merge. The keys of a batch are sorted
 * (mostly they are already: a scan of AEVT gives ascending entities), then merged with the runs of one range scan:
 * inside a leaf by galloping in the packed column, between leaves by skipping.
 *
 *   keys     3   3   7        40                 90
 *   leaf     1 2 3 5 7 8 | 10 .. 20 | 30 .. 45 | 80 ...
 *            found: 3 3 7 ; then skip to the leaf of 40; then to that of 90
 *
 * Rows come out in the order of the keys, so sorted stays sorted.
 *
 * Invariants: (P1) pairs that are collected belong to the run at hand: they are flushed before the scan moves; (P2)
 * rows [pos, end) of the run are not looked at yet, and no key before `key` has a match there; (P3) a key whose matches
 * reached the end of a run may go on in the next one, which is then read without a skip.
 */
#include "probe.h"

/* A run is unpacked when at least one key in so many rows falls into it; where a look-up decodes a block, when three
 * do. */
#define DENSE 48U
#define DENSE_KEYS_OF_BLOCKS 3U
#define RUNS_A_UNIT 16U

static int begin_batch(ri_probe_stage *self, rille_err *err)
{
    RI_TRY(ri_probe_keys(self, err));
    if (self->access == RI_ACCESS_EV) {
        ri_arena_reset(&self->arena);
    }
    ri_emit_start(&self->emit);
    self->pair_count = 0;
    self->has_run = false;
    self->goes_on = true; /* the scan is set to the first key: no skip */
    self->emitting = false;
    self->key = self->key_end = 0;
    if (self->key_count > 0) {
        ri_probe_begin_key(self, 0);
        self->first = ri_probe_bound(self, 0, false);
        /* Where the keys go through leaf after leaf, the scan may ask for leaves of later batches. */
        self->wide = self->key_count > 1 && self->access == RI_ACCESS_E && (self->walks || self->close);
        self->last = self->wide ? ri_bound_a(self->emit.m.pattern->attr->id, true)
                                : ri_probe_bound(self, self->key_count - 1, true);
        ri_scan_set(&self->scan, &self->first, &self->last);
    }
    return 0;
}

/* ---- finding a key in a run ---- */

/* First row from pos on that is not before the key, and the end of the rows that have it. */
static void locate_by_bounds(const ri_probe_stage *self, uint32_t end, uint32_t *low, uint32_t *high)
{
    ri_bound before = ri_probe_bound(self, self->key, false);
    ri_bound after = ri_probe_bound(self, self->key, true);
    if (self->run.leaf != NULL) {
        *low = ri_node_gallop(self->run.leaf, self->pos, &before);
        *high = *low < end ? ri_node_gallop(self->run.leaf, *low, &after) : end;
        *low = *low < end ? *low : end;
        *high = *high < end ? *high : end;
        return;
    }
    uint32_t i = self->pos;
    while (i < end && ri_datom_cmp_bound((ri_order)self->scan.order, self->run.rows[i], &before) < 0) {
        i++;
    }
    *low = i;
    while (i < end && ri_datom_cmp_bound((ri_order)self->scan.order, self->run.rows[i], &after) < 0) {
        i++;
    }
    *high = i;
}

/* In a nondecreasing column whose number 0 is row `shift` of the leaf. */
static void locate_in_column(const ri_probe_stage *self, const ri_col *col, uint32_t shift, uint32_t end, uint32_t *low,
                             uint32_t *high)
{
    uint64_t key = self->keys[self->key];
    uint32_t at = ri_col_gallop(col, self->pos - shift, end - shift, key);
    *low = at + shift;
    *high = *low;
    if (*low < end && ri_col_get(col, at) == key) {
        *high = self->single ? *low + 1 : ri_col_upper(col, at, end - shift, key) + shift;
    }
}

/* VAET: do rows that refer to the key match by that alone? Not when they may have another attribute. */
static bool ids_decide(const ri_node *leaf, const ri_attr *attr)
{
    return attr == NULL || (leaf->group_count == 1 && leaf->groups[0].a == attr->id);
}

static void locate(const ri_probe_stage *self, uint32_t end, uint32_t *low, uint32_t *high)
{
    const ri_node *leaf = self->run.leaf;
    const ri_pattern *p = self->emit.m.pattern;
    if (leaf != NULL &&
        (self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV || self->access == RI_ACCESS_E_ANY)) {
        locate_in_column(self, &leaf->col[RI_COLUMN_E], 0, end, low, high);
        return;
    }
    if (leaf != NULL && self->access == RI_ACCESS_V_REF && ids_decide(leaf, p->attr)) {
        locate_in_column(self, &leaf->col[RI_COLUMN_V], 0, end, low, high);
        return;
    }
    if (leaf != NULL && self->access == RI_ACCESS_V_WORD) {
        const ri_group *group = self->pos < end ? ri_rows_group(leaf, self->pos, end - 1) : NULL;
        if (group != NULL && group->type == p->attr->type) {
            locate_in_column(self, &group->values, group->start, end, low, high);
            return;
        }
    }
    locate_by_bounds(self, end, low, high);
}

/* ---- dense runs ---- */

/* The key column of a run whose keys are plain numbers in order, or NULL. *shift: the row of its number 0. */
static const ri_col *key_column(const ri_probe_stage *self, uint32_t *shift)
{
    const ri_node *leaf = self->run.leaf;
    const ri_pattern *p = self->emit.m.pattern;
    *shift = 0;
    switch ((ri_access)self->access) {
    case RI_ACCESS_E:
    case RI_ACCESS_E_ANY:
        return &leaf->col[RI_COLUMN_E];
    case RI_ACCESS_V_REF:
        return ids_decide(leaf, p->attr) ? &leaf->col[RI_COLUMN_V] : NULL;
    case RI_ACCESS_V_WORD: {
        const ri_group *group = ri_rows_group(leaf, self->run.from, self->run.to - 1);
        *shift = group != NULL ? group->start : 0;
        return group != NULL && group->type == p->attr->type ? &group->values : NULL;
    }
    case RI_ACCESS_NONE:
    case RI_ACCESS_SCAN:
    case RI_ACCESS_EV:
    case RI_ACCESS_V_BYTES:
    case RI_ACCESS_HASH:
        break;
    }
    return NULL;
}

/* A run in which many keys are to be found is unpacked and merged, instead of searched key by key. */
static int choose_dense(ri_probe_stage *self, rille_err *err)
{
    uint32_t shift = 0;
    const ri_col *col = self->run.leaf != NULL ? key_column(self, &shift) : NULL;
    self->dense = false;
    self->stride = false;
    if (col == NULL) {
        return 0;
    }
    uint64_t last = ri_col_get(col, self->run.to - 1 - shift);
    uint32_t rows = self->run.to - self->run.from;
    self->run_last = last;
    self->run_span = last - ri_col_get(col, self->run.from - shift) + 1;
    if (self->single && col->mode == RI_COL_STRIDE && col->step == 1) {
        self->stride = true;
        self->stride_base = col->base - shift;
        return 0;
    }
    uint32_t keys_min = col->mode > RI_COL_FOR ? DENSE_KEYS_OF_BLOCKS : rows / DENSE;
    uint32_t reach = self->key + keys_min; /* this key must still lie in the run */
    if (reach >= self->key_count || self->keys[reach] > last) {
        return 0;
    }
    if (self->values == NULL) {
        self->values = ri_arena_array(&self->stage.op->plan_arena, RI_NODE_ROWS_MAX, sizeof *self->values);
        if (self->values == NULL) {
            return ri_fail_nomem(err);
        }
    }
    ri_col_unpack(col, self->run.from - shift, self->run.to - shift, self->values + self->run.from);
    self->dense = true;
    return 0;
}

/* Merges keys and the unpacked column until the run, the keys or the room end, or a key has more matches than fit. */
static void merge_dense(ri_probe_stage *self)
{
    const uint64_t *values = self->values;
    const uint64_t *keys = self->keys;
    uint32_t end = self->run.to;
    uint32_t pos = self->pos;
    uint32_t key = self->key;
    uint32_t n = self->pair_count;
    uint32_t max = RI_BATCH_ROWS - self->emit.count;
    while (key < self->key_count && n < max) {
        uint64_t wanted = keys[key];
        while (pos < end && values[pos] < wanted) {
            pos++;
        }
        if (pos == end) {
            break;
        }
        if (values[pos] > wanted) {
            key++;
            continue;
        }
        uint32_t high = pos + 1;
        while (high < end && values[high] == wanted) {
            high++;
        }
        if (high - pos > max - n || (high == end && !self->single)) {
            break; /* the slow way knows what to do */
        }
        for (uint32_t row = pos; row < high; row++) {
            self->pair_rows[n] = row;
            self->pair_in[n] = self->key_rows[key];
            n++;
        }
        key++;
    }
    self->pos = pos;
    self->pair_count = n;
    self->key = key;
    if (key < self->key_count) {
        ri_probe_begin_key(self, key);
    }
}

/* A run without gaps: the row is the key minus a number. */
static void merge_stride(ri_probe_stage *self)
{
    const uint64_t *keys = self->keys;
    uint64_t first = self->stride_base + self->pos;
    uint64_t count = self->run.to - self->pos;
    uint32_t key = self->key;
    uint32_t n = self->pair_count;
    uint32_t room = RI_BATCH_ROWS - self->emit.count - n;
    uint32_t stop = self->key_count - key < room ? self->key_count : key + room;
    for (; key < stop; key++) {
        uint64_t offset = keys[key] - first;
        if (offset >= count && keys[key] >= first) {
            break;
        }
        self->pair_rows[n] = self->pos + (uint32_t)offset;
        self->pair_in[n] = self->key_rows[key];
        n += offset < count;
    }
    self->pair_count = n;
    self->key = key;
    if (key < self->key_count) {
        ri_probe_begin_key(self, key);
        if (keys[key] >= first + count) {
            self->pos = self->run.to;
        }
    }
}

/* ---- pairs ---- */

static int flush(ri_probe_stage *self, rille_err *err)
{
    uint32_t n = self->pair_count;
    self->pair_count = 0;
    if (n == 0) {
        return 0;
    }
    if (self->run.leaf != NULL) {
        return ri_emit_leaf(&self->stage, &self->emit, self->run.leaf, self->pair_rows, self->pair_in, n, self->in,
                            err);
    }
    const ri_datom *datoms[64];
    for (uint32_t at = 0; at < n;) {
        uint32_t part = n - at < 64 ? n - at : 64;
        for (uint32_t i = 0; i < part; i++) {
            datoms[i] = self->run.rows[self->pair_rows[at + i]];
        }
        RI_TRY(ri_emit_datoms(&self->stage, &self->emit, datoms, self->pair_in + at, part, self->in, err));
        at += part;
    }
    return 0;
}

/* RI_ACCESS_EV: of the matches [low, high) of the entity, those with the value of an input row. */
static int narrow(ri_probe_stage *self, uint32_t in_row, rille_err *err)
{
    const ri_pattern *p = self->emit.m.pattern;
    ri_value given = ri_vec_get(&self->in->cols[self->emit.m.bound[RI_POS_V]], in_row);
    ri_value v = given;
    bool fits = true;
    if (p->attr->type == RI_REF) {
        v = ri_ref(ri_entity_of(&given));
    } else {
        RI_TRY(ri_attr_fit(p->attr, &given, &self->arena, &v, &fits, err));
    }
    self->match = self->match_end = self->low;
    if (!fits) {
        return 0;
    }
    bool slow = true;
    uint64_t key = 0;
    const ri_group *group = NULL;
    if (self->run.leaf != NULL) {
        group = ri_rows_group(self->run.leaf, self->low, self->high - 1);
        if (group != NULL && !ri_group_key(group, &v, &key, &slow)) {
            return 0;
        }
    }
    if (group != NULL && !slow) {
        uint32_t start = group->start;
        self->match = ri_col_lower(&group->values, self->low - start, self->high - start, key) + start;
        bool found = self->match < self->high && ri_col_get(&group->values, self->match - start) == key;
        self->match_end = self->match + found;
        return 0;
    }
    for (uint32_t i = self->low; i < self->high; i++) {
        ri_value stored = self->run.leaf != NULL ? ri_node_value(self->run.leaf, i) : self->run.rows[i]->v;
        if (ri_same_value(&v, &stored)) {
            self->match = i;
            self->match_end = i + 1;
            break;
        }
    }
    return 0;
}

static int begin_match(ri_probe_stage *self, rille_err *err)
{
    self->match = self->low;
    self->match_end = self->high;
    return self->access == RI_ACCESS_EV ? narrow(self, self->key_rows[self->key_at], err) : 0;
}

/* Collects pairs of the key at hand until they or the room end. */
static int collect(ri_probe_stage *self, rille_err *err)
{
    uint32_t room = RI_BATCH_ROWS - self->emit.count - self->pair_count;
    for (;;) {
        uint32_t n = self->match_end - self->match;
        uint32_t in_row = self->key_rows[self->key_at];
        n = n < room ? n : room;
        for (uint32_t i = 0; i < n; i++) {
            self->pair_rows[self->pair_count + i] = self->match + i;
            self->pair_in[self->pair_count + i] = in_row;
        }
        self->pair_count += n;
        self->match += n;
        room -= n;
        if (self->match < self->match_end) {
            return 0;
        }
        if (++self->key_at == self->key_end) {
            self->emitting = false;
            return 0;
        }
        RI_TRY(begin_match(self, err));
    }
}

static uint32_t run_end(const ri_probe_stage *self)
{
    return self->run.leaf != NULL ? self->run.to : self->run.row_count;
}

/* The run has nothing more for the keys. Is it likely that the one behind it has? Then there is no need to seek that. */
static void leave_run(ri_probe_stage *self)
{
    self->has_run = false;
    if (self->key < self->key_count) {
        self->walks = (self->dense || self->stride) && self->keys[self->key] - self->run_last <= self->run_span;
        self->goes_on = self->walks;
    }
}

/* Looks the key up in the run, or leaves the run when it has nothing for it. */
static int seek_key(ri_probe_stage *self, rille_err *err)
{
    uint32_t end = run_end(self);
    locate(self, end, &self->low, &self->high);
    self->pos = self->low;
    if (self->low < self->high) {
        self->pos = self->high;
        self->emitting = true;
        self->key_at = self->key;
        return begin_match(self, err);
    }
    if (self->low == end) {
        leave_run(self);
        return 0;
    }
    self->key = self->key_end;
    if (self->key < self->key_count) {
        ri_probe_begin_key(self, self->key);
    }
    return 0;
}

/* All matches of the key in this run are collected. */
static void leave_key(ri_probe_stage *self)
{
    bool at_end = self->pos == run_end(self);
    if (at_end && !self->single) {
        self->has_run = false;
        self->goes_on = true;
        return;
    }
    self->key = self->key_end;
    if (self->key < self->key_count) {
        ri_probe_begin_key(self, self->key);
    }
    if (at_end) {
        leave_run(self);
    }
}

static int next_run(ri_probe_stage *self, rille_err *err)
{
    RI_TRY(flush(self, err)); /* (P1) */
    if (!self->goes_on) {
        self->skip = ri_probe_bound(self, self->key, false);
        ri_scan_skip(&self->scan, &self->skip);
    }
    if (self->far) {
        ri_probe_expect(self);
    }
    int rc = ri_scan_next(&self->scan, &self->run, &self->stage.op->io, err);
    if (rc == RILLE_DONE) {
        self->key = self->key_count;
        return 0;
    }
    RI_TRY(rc == RILLE_NEED ? ri_probe_ask(self, err) : rc);
    self->has_run = true;
    self->goes_on = false;
    self->pos = self->run.leaf != NULL ? self->run.from : 0;
    return choose_dense(self, err);
}

/* What the run at hand has for the keys, until the batch is full. */
static int use_run(ri_probe_stage *self, rille_err *err)
{
    while (self->has_run && self->key < self->key_count) {
        if (self->emit.count + self->pair_count == RI_BATCH_ROWS) {
            RI_TRY(flush(self, err));
            if (self->emit.count == RI_BATCH_ROWS) {
                return 0;
            }
        }
        if (self->emitting) {
            RI_TRY(collect(self, err));
            if (!self->emitting) {
                leave_key(self);
            }
            continue;
        }
        if (self->stride) {
            merge_stride(self);
        } else if (self->dense) {
            merge_dense(self);
        }
        if (self->key < self->key_count && self->emit.count + self->pair_count < RI_BATCH_ROWS) {
            RI_TRY(seek_key(self, err));
        }
    }
    return 0;
}

/* Unit: some runs, until the batch is full or the keys are at their end. */
static int probe_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    ri_probe_stage *self = (ri_probe_stage *)stage;
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        RI_TRY(begin_batch(self, err));
    } else if (self->emit.count == RI_BATCH_ROWS) { /* given by the last unit */
        ri_emit_start(&self->emit);
    }
    for (unsigned runs = 0; runs < RUNS_A_UNIT && self->key < self->key_count; runs++) {
        if (!self->has_run) {
            RI_TRY(next_run(self, err));
        }
        RI_TRY(use_run(self, err));
        if (self->emit.count == RI_BATCH_ROWS) {
            break;
        }
    }
    bool ends = self->key == self->key_count;
    if (ends) {
        RI_TRY(flush(self, err));
    }
    if (self->emit.count == RI_BATCH_ROWS || (ends && self->emit.count > 0)) {
        RI_TRY(ri_emit_finish(stage, &self->emit, self->in, err));
        stage->out.last = ends && self->in->last;
        *out = &stage->out;
    }
    self->in = ends ? NULL : self->in;
    return 0;
}

static void probe_reset(ri_stage *stage)
{
    ri_probe_stage *self = (ri_probe_stage *)stage;
    ri_emit_start(&self->emit);
    self->in = NULL;
    self->pair_count = 0;
    self->walks = false;
    self->close = false;
}

static void probe_rest(ri_stage *stage)
{
    ri_probe_stage *self = (ri_probe_stage *)stage;
    ri_scan_deinit(&self->scan);
    ri_arena_reset(&self->arena);
}

static void probe_renew(ri_stage *stage)
{
    ri_probe_stage *self = (ri_probe_stage *)stage;
    ri_scan_init(&self->scan, self->emit.m.pattern->db, (ri_order)self->scan.order);
    self->far = ri_db_is_far(self->emit.m.pattern->db);
}

static void probe_destroy(ri_stage *stage)
{
    ri_probe_stage *self = (ri_probe_stage *)stage;
    ri_emit_deinit(&self->emit);
    ri_scan_deinit(&self->scan);
    ri_arena_deinit(&self->arena);
}

static bool probe_alloc(ri_probe_stage *self, ri_arena *arena)
{
    self->keys = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->keys);
    self->key_rows = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->key_rows);
    self->keys_other = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->keys_other);
    self->rows_other = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->rows_other);
    self->pair_rows = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->pair_rows);
    self->pair_in = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->pair_in);
    bool bytes = self->access == RI_ACCESS_V_BYTES;
    self->bytes = bytes ? ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->bytes) : NULL;
    return self->keys != NULL && self->key_rows != NULL && self->keys_other != NULL && self->rows_other != NULL &&
           self->pair_rows != NULL && self->pair_in != NULL && (self->bytes != NULL || !bytes);
}

ri_stage *ri_probe_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m,
                             ri_access access)
{
    const char *label = "probe aevt by e";
    ri_order order = RI_AEVT;
    const ri_attr *attr = m->pattern->attr;
    bool single = attr != NULL && !attr->many;
    if (access == RI_ACCESS_E_ANY) {
        label = "probe eavt by e";
        order = RI_EAVT;
        single = false;
    } else if (access == RI_ACCESS_V_REF) {
        label = "probe vaet by v";
        order = RI_VAET;
        single = false;
    } else if (access == RI_ACCESS_V_WORD || access == RI_ACCESS_V_BYTES) {
        label = "probe avet by v";
        order = RI_AVET;
        single = attr->unique != RI_UNIQUE_NO;
    } else if (access == RI_ACCESS_EV) {
        label = "probe aevt by e, v";
    }
    ri_probe_stage *self =
        ri_stage_new_part(op, scope, sizeof *self, RI_ZEROED_WITH_SCAN(ri_probe_stage), input, label);
    if (self == NULL) {
        return NULL;
    }
    self->access = (uint8_t)access;
    self->single = single;
    self->arena.meter = op->meter;
    if (!ri_emit_init(&self->emit, m, &op->plan_arena) || !probe_alloc(self, &op->plan_arena)) {
        op->stages = self->stage.older;
        return NULL;
    }
    ri_scan_init(&self->scan, m->pattern->db, order);
    self->far = ri_db_is_far(m->pattern->db);
    self->stage.work = probe_work;
    self->stage.ahead = ri_probe_ahead;
    self->stage.reset = probe_reset;
    self->stage.rest = probe_rest;
    self->stage.renew = probe_renew;
    self->stage.destroy = probe_destroy;
    return &self->stage;
}

ri_var ri_first_probe_var(const ri_stage *last)
{
    ri_var var = RI_NO_VAR;
    for (const ri_stage *stage = last; stage != NULL; stage = stage->input) {
        if (stage->work == probe_work) {
            var = ri_probe_var((const ri_probe_stage *)stage);
        }
    }
    return var;
}
