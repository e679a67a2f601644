/* SPDX-License-Identifier: MIT
 *
 * The probe: an index nested loop on whole batches, which is also the star merge. The keys of a batch are sorted (mostly they are already: a
 * scan of AEVT gives ascending entities), then merged with the runs of one range scan: inside a leaf by galloping in the packed column, between
 * leaves by skipping.
 *
 *   keys     3   3   7        40                 90
 *   leaf     1 2 3 5 7 8 | 10 .. 20 | 30 .. 45 | 80 ...
 *            found: 3 3 7 ; then skip to the leaf of 40; then to that of 90
 *
 * Rows come out in the order of the keys, so sorted stays sorted.
 *
 * Invariants: (P1) pairs that are collected belong to the run at hand: they are flushed before the scan moves; (P2) rows [pos, end) of
 * the run are not looked at yet, and no key before `key` has a match there; (P3) a key whose matches reached the end of a run may go on in the
 * next one, which is then read without a skip.
 */
#include "exec.h"

#include <stdlib.h>

#define DENSE 24U /* a run is unpacked when at least one key in so many rows falls into it */

typedef struct bytes_key {
    ri_value v;
    uint32_t row;
} bytes_key;

typedef struct probe_stage {
    ri_stage stage;
    ri_emit emit;
    ri_scan scan;
    ri_run run;
    ri_bound first;
    ri_bound last;
    ri_bound skip;
    ri_batch *in;
    ri_arena arena;         /* fitted values of the batch at hand */
    uint64_t *keys;         /* sorted */
    uint32_t *key_rows;     /* the input row of each */
    uint64_t *keys_other;   /* for sorting */
    uint32_t *rows_other;
    bytes_key *bytes;       /* RI_ACCESS_V_BYTES */
    uint32_t *pair_rows;
    uint32_t *pair_in;
    uint32_t pair_count;
    uint32_t key_count;
    uint32_t key;           /* first of the group of equal keys at hand */
    uint32_t key_end;
    uint32_t key_at;        /* emitting: which of the group */
    uint32_t low, high;     /* emitting: the matches in the run */
    uint32_t match;         /* emitting: next match for key_at */
    uint32_t match_end;
    uint32_t pos;
    uint8_t access;         /* ri_access */
    bool single;            /* a key has at most one match */
    bool stride;            /* the key of a row is its number plus stride_base, and a key has at most one match */
    uint64_t stride_base;
    bool dense;             /* many keys fall into the run: `values` holds its key column */
    uint64_t *values;       /* by row of the leaf, from pos at the time on */
    bool has_run;
    bool goes_on;           /* (P3) */
    bool emitting;
} probe_stage;

/* ---- keys ---- */

static ri_var key_var(const probe_stage *self)
{
    bool by_e = self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV || self->access == RI_ACCESS_E_ANY;
    return self->emit.m.bound[by_e ? RI_POS_E : RI_POS_V];
}

static int word_key(const probe_stage *self, const ri_value *v, uint64_t *key, bool *usable, rille_err *err)
{
    const ri_pattern *p = self->emit.m.pattern;
    if (self->access != RI_ACCESS_V_WORD) {
        *key = ri_entity_of(p->db, v);
        *usable = *key != 0;
        return 0;
    }
    ri_value fitted;
    RI_TRY(ri_attr_fit(p->attr, v, NULL, &fitted, usable, err));
    *usable = *usable && fitted.type == p->attr->type;
    *key = *usable ? ri_word_to_key(fitted.type, fitted.as.u) : 0;
    return 0;
}

static int make_word_keys(probe_stage *self, rille_err *err)
{
    const ri_vec *vec = &self->in->cols[key_var(self)];
    uint32_t n = 0;
    bool ids = self->access != RI_ACCESS_V_WORD;
    if (ids && (vec->type == RI_REF || vec->type == RI_LONG)) {
        for (uint32_t i = 0; i < self->in->count; i++) {
            self->keys[n] = vec->words[i];
            self->key_rows[n] = i;
            n += vec->words[i] - 1 < RI_EID_MAX;
        }
    } else {
        for (uint32_t i = 0; i < self->in->count; i++) {
            ri_value v = ri_vec_get(vec, i);
            bool usable = false;
            RI_TRY(word_key(self, &v, &self->keys[n], &usable, err));
            self->key_rows[n] = i;
            n += usable;
        }
    }
    self->key_count = n;
    return 0;
}

static bool sorted(const uint64_t *keys, uint32_t n, uint64_t *differ)
{
    uint64_t diff = 0;
    uint32_t falls = 0;
    for (uint32_t i = 1; i < n; i++) {
        diff |= keys[i] ^ keys[i - 1];
        falls += keys[i] < keys[i - 1];
    }
    *differ = diff;
    return falls == 0;
}

static void swap_arrays(probe_stage *self)
{
    uint64_t *keys = self->keys;
    uint32_t *rows = self->key_rows;
    self->keys = self->keys_other;
    self->key_rows = self->rows_other;
    self->keys_other = keys;
    self->rows_other = rows;
}

/* Radix sort, least significant byte first, bytes in which no key differs left out. */
static void sort_word_keys(probe_stage *self)
{
    uint64_t differ = 0;
    if (sorted(self->keys, self->key_count, &differ)) {
        return;
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 0xff) == 0) {
            continue;
        }
        uint32_t counts[256] = { 0 };
        for (uint32_t i = 0; i < self->key_count; i++) {
            counts[self->keys[i] >> shift & 0xff]++;
        }
        uint32_t sum = 0;
        for (unsigned b = 0; b < 256; b++) {
            uint32_t c = counts[b];
            counts[b] = sum;
            sum += c;
        }
        for (uint32_t i = 0; i < self->key_count; i++) {
            uint32_t to = counts[self->keys[i] >> shift & 0xff]++;
            self->keys_other[to] = self->keys[i];
            self->rows_other[to] = self->key_rows[i];
        }
        swap_arrays(self);
    }
}

static int cmp_bytes_keys(const void *a, const void *b)
{
    const bytes_key *x = a;
    const bytes_key *y = b;
    int c = ri_value_cmp(&x->v, &y->v);
    return c != 0 ? c : x->row < y->row ? -1 : x->row > y->row;
}

static int make_bytes_keys(probe_stage *self, rille_err *err)
{
    const ri_vec *vec = &self->in->cols[key_var(self)];
    uint32_t n = 0;
    bool in_order = true;
    ri_arena_reset(&self->arena);
    for (uint32_t i = 0; i < self->in->count; i++) {
        ri_value v = ri_vec_get(vec, i);
        bool usable = false;
        RI_TRY(ri_attr_fit(self->emit.m.pattern->attr, &v, &self->arena, &self->bytes[n].v, &usable, err));
        self->bytes[n].row = i;
        in_order = in_order && (n == 0 || ri_value_cmp(&self->bytes[n - 1].v, &self->bytes[n].v) <= 0);
        n += usable;
    }
    self->key_count = n;
    if (!in_order) {
        qsort(self->bytes, n, sizeof *self->bytes, cmp_bytes_keys);
    }
    for (uint32_t i = 0; i < n; i++) {
        self->key_rows[i] = self->bytes[i].row;
    }
    return 0;
}

static ri_bound key_bound(const probe_stage *self, uint32_t key, bool after)
{
    const ri_attr *attr = self->emit.m.pattern->attr;
    uint64_t word = self->access == RI_ACCESS_V_BYTES ? 0 : self->keys[key];
    if (self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV) {
        return ri_bound_ea(word, attr->id, after);
    }
    if (self->access == RI_ACCESS_E_ANY) {
        return ri_bound_e(word, after);
    }
    if (self->access == RI_ACCESS_V_REF) {
        return attr != NULL ? ri_bound_va(word, attr->id, after) : ri_bound_v(word, after);
    }
    ri_value v = self->access == RI_ACCESS_V_BYTES ? self->bytes[key].v
                                                   : ri_word((ri_type)attr->type, ri_key_to_word(attr->type, word));
    return ri_bound_av(attr->id, &v, after);
}

static void begin_key(probe_stage *self, uint32_t key)
{
    self->key = key;
    uint32_t end = key + 1;
    if (self->access == RI_ACCESS_V_BYTES) {
        while (end < self->key_count && ri_value_eq(&self->bytes[end].v, &self->bytes[key].v)) {
            end++;
        }
    } else {
        while (end < self->key_count && self->keys[end] == self->keys[key]) {
            end++;
        }
    }
    self->key_end = end;
}

static int begin_batch(probe_stage *self, rille_err *err)
{
    if (self->access == RI_ACCESS_V_BYTES) {
        RI_TRY(make_bytes_keys(self, err));
    } else {
        RI_TRY(make_word_keys(self, err));
        sort_word_keys(self);
    }
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
        begin_key(self, 0);
        self->first = key_bound(self, 0, false);
        self->last = key_bound(self, self->key_count - 1, true);
        ri_scan_set(&self->scan, &self->first, &self->last);
    }
    return 0;
}

/* ---- finding a key in a run ---- */

/* First row from pos on that is not before the key, and the end of the rows that have it. */
static void locate_by_bounds(const probe_stage *self, uint32_t end, uint32_t *low, uint32_t *high)
{
    ri_bound before = key_bound(self, self->key, false);
    ri_bound after = key_bound(self, self->key, true);
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
static void locate_in_column(const probe_stage *self, const ri_col *col, uint32_t shift, uint32_t end, uint32_t *low,
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

static void locate(const probe_stage *self, uint32_t end, uint32_t *low, uint32_t *high)
{
    const ri_node *leaf = self->run.leaf;
    const ri_pattern *p = self->emit.m.pattern;
    if (leaf != NULL && (self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV || self->access == RI_ACCESS_E_ANY)) {
        locate_in_column(self, &leaf->col[RI_COLUMN_E], 0, end, low, high);
        return;
    }
    bool any_attr = p->attr == NULL || (leaf != NULL && leaf->group_count == 1 && leaf->groups[0].a == p->attr->id);
    if (leaf != NULL && self->access == RI_ACCESS_V_REF && any_attr) {
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
static const ri_col *key_column(const probe_stage *self, uint32_t *shift)
{
    const ri_node *leaf = self->run.leaf;
    const ri_pattern *p = self->emit.m.pattern;
    *shift = 0;
    switch ((ri_access)self->access) {
    case RI_ACCESS_E:
    case RI_ACCESS_E_ANY:
        return &leaf->col[RI_COLUMN_E];
    case RI_ACCESS_V_REF:
        return leaf->group_count == 1 ? &leaf->col[RI_COLUMN_V] : NULL;
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
static int choose_dense(probe_stage *self, rille_err *err)
{
    uint32_t shift = 0;
    const ri_col *col = self->run.leaf != NULL ? key_column(self, &shift) : NULL;
    self->dense = false;
    self->stride = false;
    if (col == NULL) {
        return 0;
    }
    if (self->single && col->mode == RI_COL_STRIDE && col->step == 1) {
        self->stride = true;
        self->stride_base = col->base - shift;
        return 0;
    }
    uint64_t last = ri_col_get(col, self->run.to - 1 - shift);
    uint32_t rows = self->run.to - self->run.from;
    uint32_t reach = self->key + rows / DENSE; /* this key must still lie in the run */
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
static void merge_dense(probe_stage *self)
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
        begin_key(self, key);
    }
}

/* A run without gaps: the row is the key minus a number. */
static void merge_stride(probe_stage *self)
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
        begin_key(self, key);
        if (keys[key] >= first + count) {
            self->pos = self->run.to;
        }
    }
}

/* ---- pairs ---- */

static int flush(probe_stage *self, rille_err *err)
{
    uint32_t n = self->pair_count;
    self->pair_count = 0;
    if (n == 0) {
        return 0;
    }
    if (self->run.leaf != NULL) {
        return ri_emit_leaf(&self->stage, &self->emit, self->run.leaf, self->pair_rows, self->pair_in, n, self->in, err);
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
static int narrow(probe_stage *self, uint32_t in_row, rille_err *err)
{
    const ri_pattern *p = self->emit.m.pattern;
    ri_value given = ri_vec_get(&self->in->cols[self->emit.m.bound[RI_POS_V]], in_row);
    ri_value v = given;
    bool fits = true;
    if (p->attr->type == RI_REF) {
        v = ri_ref(ri_entity_of(p->db, &given));
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
        if (ri_value_matches(p, &v, &stored)) {
            self->match = i;
            self->match_end = i + 1;
            break;
        }
    }
    return 0;
}

static int begin_match(probe_stage *self, rille_err *err)
{
    self->match = self->low;
    self->match_end = self->high;
    return self->access == RI_ACCESS_EV ? narrow(self, self->key_rows[self->key_at], err) : 0;
}

/* Collects pairs of the key at hand until they or the room end. */
static int collect(probe_stage *self, rille_err *err)
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

static uint32_t run_end(const probe_stage *self)
{
    return self->run.leaf != NULL ? self->run.to : self->run.row_count;
}

/* Looks the key up in the run, or leaves the run when it has nothing for it. */
static int seek_key(probe_stage *self, rille_err *err)
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
        self->has_run = false;
        self->goes_on = false;
        return 0;
    }
    self->key = self->key_end;
    if (self->key < self->key_count) {
        begin_key(self, self->key);
    }
    return 0;
}

/* All matches of the key in this run are collected. */
static void leave_key(probe_stage *self)
{
    bool at_end = self->pos == run_end(self);
    if (at_end && !self->single) {
        self->has_run = false;
        self->goes_on = true;
        return;
    }
    self->key = self->key_end;
    if (self->key < self->key_count) {
        begin_key(self, self->key);
    }
    if (at_end) {
        self->has_run = false;
        self->goes_on = false;
    }
}

static int next_run(probe_stage *self, rille_err *err)
{
    RI_TRY(flush(self, err)); /* (P1) */
    if (!self->goes_on) {
        self->skip = key_bound(self, self->key, false);
        ri_scan_skip(&self->scan, &self->skip);
    }
    int rc = ri_scan_next(&self->scan, &self->run, &self->stage.op->io, err);
    if (rc == RILLE_DONE) {
        self->key = self->key_count;
        return 0;
    }
    RI_TRY(rc);
    self->has_run = true;
    self->goes_on = false;
    self->pos = self->run.leaf != NULL ? self->run.from : 0;
    return choose_dense(self, err);
}

/* Until the batch is full or the keys are at their end. */
static int fill(probe_stage *self, rille_err *err)
{
    while (self->key < self->key_count) {
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
        } else if (!self->has_run) {
            RI_TRY(next_run(self, err));
        } else {
            if (self->stride) {
                merge_stride(self);
            } else if (self->dense) {
                merge_dense(self);
            }
            if (self->key < self->key_count && self->emit.count + self->pair_count < RI_BATCH_ROWS) {
                RI_TRY(seek_key(self, err));
            }
        }
    }
    return flush(self, err);
}

static int probe_next(ri_stage *stage, ri_batch **out, rille_err *err)
{
    probe_stage *self = (probe_stage *)stage;
    for (;;) {
        if (self->in == NULL) {
            RI_TRY(ri_tick(stage->op, err));
            RI_TRY(ri_stage_pull(stage, &self->in, err));
            RI_TRY(begin_batch(self, err));
        } else if (self->emit.count == RI_BATCH_ROWS) { /* delivered */
            RI_TRY(ri_tick(stage->op, err));
            ri_emit_start(&self->emit);
        }
        RI_TRY(fill(self, err));
        const ri_batch *in = self->in;
        if (self->key == self->key_count) {
            self->in = NULL;
        }
        if (self->emit.count > 0) {
            RI_TRY(ri_emit_finish(stage, &self->emit, in, err));
            *out = &stage->out;
            return 0;
        }
    }
}

static void probe_reset(ri_stage *stage)
{
    probe_stage *self = (probe_stage *)stage;
    ri_emit_start(&self->emit);
    self->in = NULL;
    self->pair_count = 0;
}

static void probe_destroy(ri_stage *stage)
{
    probe_stage *self = (probe_stage *)stage;
    ri_emit_deinit(&self->emit);
    ri_scan_deinit(&self->scan);
    ri_arena_deinit(&self->arena);
}

static bool probe_alloc(probe_stage *self, ri_arena *arena)
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
    probe_stage *self = ri_stage_new(op, scope, sizeof *self, input, label);
    if (self == NULL) {
        return NULL;
    }
    self->emit.m = *m;
    self->access = (uint8_t)access;
    self->single = single;
    if (!probe_alloc(self, &op->plan_arena)) {
        op->stages = self->stage.older;
        return NULL;
    }
    ri_scan_init(&self->scan, m->pattern->db, order);
    self->stage.next = probe_next;
    self->stage.reset = probe_reset;
    self->stage.destroy = probe_destroy;
    return &self->stage;
}
