/* SPDX-License-Identifier: MIT
 *
 * From rows of leaves to columns of a batch.
 *
 * Rows are first thinned out by the checks of the matcher, on packed numbers where that is possible: a constant value
 * becomes a dictionary code (or a word key) once a leaf, and only codes are compared. What is left is unpacked column
 * by column. Bytes stay in their leaf, which the batch pins.
 */
#include "exec.h"

#define SPARSE 6U /* rows are read one by one where fewer than one in so many of a range is wanted */

bool ri_emit_init(ri_emit *emit, const ri_matcher *m, ri_arena *arena)
{
    emit->m = *m;
    emit->in_rows = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *emit->in_rows);
    return emit->in_rows != NULL;
}

void ri_emit_start(ri_emit *emit)
{
    for (size_t i = 0; i < emit->pin_count; i++) {
        ri_object_release(emit->pins[i]);
    }
    emit->pin_count = 0;
    emit->count = 0;
}

void ri_emit_deinit(ri_emit *emit)
{
    ri_emit_start(emit);
    ri_free(emit->pins);
    emit->pins = NULL;
    emit->pin_cap = 0;
}

static int pin(ri_emit *emit, const ri_node *leaf, rille_err *err)
{
    const ri_object *object = &leaf->object;
    if (emit->pin_count > 0 && emit->pins[emit->pin_count - 1] == object) {
        return 0;
    }
    if (!RI_GROW(&emit->pins, &emit->pin_cap, emit->pin_count + 1)) {
        return ri_fail_nomem(err);
    }
    ri_object *shared = (ri_object *)(uintptr_t)object; /* only its count changes */
    ri_object_take(shared);
    emit->pins[emit->pin_count++] = shared;
    return 0;
}

/* ---- checks on whole datoms ---- */

/* Does the constant value of a pattern equal that of a datom? */
static bool const_matches(const ri_pattern *p, const ri_value *stored)
{
    return p->v_entity != 0 && stored->type == RI_REF ? stored->as.u == p->v_entity : ri_same_value(&p->v, stored);
}

static ri_value position_value(const ri_datom *d, unsigned pos)
{
    switch (pos) {
    case RI_POS_E:
        return ri_ref(d->e);
    case RI_POS_A:
        return ri_ref(d->a);
    case RI_POS_V:
        return d->v;
    case RI_POS_T:
        return ri_ref(d->t);
    default:
        return ri_word(RI_BOOL, 1);
    }
}

/* Positions of one variable must be equal; when it is bound, each of them was compared. */
static bool same_variables(const ri_matcher *m, const ri_datom *d)
{
    const ri_pattern *p = m->pattern;
    for (unsigned i = 0; i < RI_POS_COUNT; i++) {
        for (unsigned j = i + 1; j < RI_POS_COUNT; j++) {
            if (p->var[i] != RI_NO_VAR && p->var[i] == p->var[j] && m->bound[i] == RI_NO_VAR) {
                ri_value a = position_value(d, i);
                ri_value b = position_value(d, j);
                if (!ri_same_value(&a, &b)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static bool datom_matches(const ri_matcher *m, const ri_datom *d, const ri_batch *in, uint32_t in_row)
{
    const ri_pattern *p = m->pattern;
    if (m->filter_v && !const_matches(p, &d->v)) {
        return false;
    }
    if (!m->slow) {
        return true;
    }
    if ((p->has[RI_POS_E] && d->e != p->e) || (p->has[RI_POS_A] && d->a != p->attr->id) ||
        (p->has[RI_POS_T] && d->t != p->t)) {
        return false;
    }
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        if (m->bound[pos] != RI_NO_VAR) {
            ri_value given = ri_vec_get(&in->cols[m->bound[pos]], in_row);
            ri_value stored = position_value(d, pos);
            if (!ri_same_value(&given, &stored)) {
                return false;
            }
        }
    }
    return same_variables(m, d);
}

/* ---- thinning ---- */

/* Where rows lie. Pairs of a probe may go back and forth inside the matches of one key. */
typedef struct extent {
    uint32_t low;
    uint32_t high;
    bool in_sequence; /* low, low + 1, ... high */
    bool dense;
} extent;

static extent extent_of(const uint32_t *rows, uint32_t n)
{
    uint32_t low = rows[0];
    uint32_t high = rows[0];
    uint32_t diff = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = rows[i] < low ? rows[i] : low;
        high = rows[i] > high ? rows[i] : high;
        diff |= rows[i] ^ (rows[0] + i);
    }
    return (extent){ low, high, diff == 0, (high - low) / SPARSE < n };
}

static uint32_t keep_key(rille_op *op, const ri_group *group, extent ext, uint64_t key, uint32_t *rows,
                         uint32_t *in_rows, uint32_t n)
{
    uint32_t kept = 0;
    if (ext.dense) {
        ri_col_unpack(&group->values, ext.low - group->start, ext.high + 1 - group->start, op->scratch_words);
        const uint64_t *words = op->scratch_words;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = rows[i];
            rows[kept] = row;
            in_rows[kept] = in_rows[i];
            kept += words[row - ext.low] == key;
        }
        return kept;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = rows[i];
        rows[kept] = row;
        in_rows[kept] = in_rows[i];
        kept += ri_col_get(&group->values, row - group->start) == key;
    }
    return kept;
}

const ri_group *ri_rows_group(const ri_node *leaf, uint32_t low, uint32_t high)
{
    if (leaf->group_count == 1) {
        return leaf->groups;
    }
    if (leaf->ranks != NULL) {
        return NULL;
    }
    const ri_group *group = ri_node_group(leaf, low);
    return high < group->start + group->count ? group : NULL;
}

/* The key or code of a constant in a group; false: no row has it. *slow: cannot tell. */
bool ri_group_key(const ri_group *group, const ri_value *v, uint64_t *key, bool *slow)
{
    *slow = false;
    if (!ri_type_is_word(group->type)) {
        bool found = false;
        *key = ri_dict_lower(group, v, &found);
        return found;
    }
    if (v->type == group->type) {
        *key = ri_word_to_key(group->type, v->as.u);
        return true;
    }
    *slow = true;
    return true;
}

static uint32_t thin(rille_op *op, const ri_matcher *m, const ri_node *leaf, uint32_t *rows, uint32_t *in_rows,
                     uint32_t n, const ri_batch *in)
{

    bool slow = m->slow;
    if (m->filter_v && !slow) {
        extent ext = extent_of(rows, n);
        const ri_group *group = ri_rows_group(leaf, ext.low, ext.high);
        uint64_t key = 0;
        if (group != NULL && !ri_group_key(group, &m->pattern->v, &key, &slow)) {
            return 0;
        }
        if (group != NULL && !slow) {
            return keep_key(op, group, ext, key, rows, in_rows, n);
        }
        slow = true;
    }
    if (!slow) {
        return n;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        ri_datom d;
        ri_node_datom(leaf, rows[i], &d);
        rows[kept] = rows[i];
        in_rows[kept] = in_rows[i];
        kept += datom_matches(m, &d, in, in_rows[i]);
    }
    return kept;
}

/* ---- columns ---- */

/* The type of rows [at, ...) is to be `type`. */
static void begin_type(ri_vec *vec, uint32_t at, uint8_t type, uint32_t n)
{
    if (at == 0) {
        vec->type = type;
    } else if (vec->type != type && vec->type != RI_MIXED) {
        memset(vec->types, vec->type, at);
        vec->type = RI_MIXED;
    }
    if (vec->type == RI_MIXED) {
        memset(vec->types + at, type, n);
    }
}

static void emit_ids(rille_op *op, const ri_col *col, const uint32_t *rows, uint32_t n, extent ext, ri_vec *out,
                     uint32_t at)
{
    begin_type(out, at, RI_REF, n);
    uint64_t *words = out->words + at;
    if (ext.in_sequence) {
        ri_col_unpack(col, ext.low, ext.high + 1, words);
    } else if (col->mode > RI_COL_STRIDE && ext.dense) {
        ri_col_unpack(col, ext.low, ext.high + 1, op->scratch_words);
        const uint64_t *from = op->scratch_words;
        for (uint32_t i = 0; i < n; i++) {
            words[i] = from[rows[i] - ext.low];
        }
    } else {
        for (uint32_t i = 0; i < n; i++) {
            words[i] = ri_col_get(col, rows[i]);
        }
    }
}

static void emit_one_group(rille_op *op, const ri_node *leaf, const ri_group *group, const uint32_t *rows, uint32_t n,
                           extent ext, ri_vec *out, uint32_t at)
{
    begin_type(out, at, group->type, n);
    bool bytes = !ri_type_is_word(group->type);
    if (ext.in_sequence) {
        ri_node_values(leaf, group, ext.low, ext.high + 1, out->words + at, out->lens + at);
        return;
    }
    if (ext.dense) {
        ri_node_values(leaf, group, ext.low, ext.high + 1, op->scratch_words, op->scratch_lens);
        for (uint32_t i = 0; i < n; i++) {
            out->words[at + i] = op->scratch_words[rows[i] - ext.low];
        }
        for (uint32_t i = 0; bytes && i < n; i++) {
            out->lens[at + i] = op->scratch_lens[rows[i] - ext.low];
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        ri_node_values(leaf, group, rows[i], rows[i] + 1, out->words + at + i, out->lens + at + i);
    }
}

static int emit_values(ri_stage *stage, ri_emit *emit, const ri_node *leaf, const uint32_t *rows, uint32_t n,
                       extent ext, ri_vec *out, rille_err *err)
{
    const ri_group *group = ri_rows_group(leaf, ext.low, ext.high);
    if (group == NULL || !ri_type_is_word(group->type)) {
        RI_TRY(pin(emit, leaf, err));
    }
    if (group != NULL) {
        emit_one_group(stage->op, leaf, group, rows, n, ext, out, emit->count);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        ri_value v = ri_node_value(leaf, rows[i]);
        ri_vec_set(out, emit->count + i, &v);
    }
    return 0;
}

static int emit_leaf_position(ri_stage *stage, ri_emit *emit, unsigned pos, const ri_node *leaf, const uint32_t *rows,
                              uint32_t n, extent ext, rille_err *err)
{
    ri_vec *out = ri_stage_buf(stage, emit->m.out[pos]);
    if (out == NULL) {
        return ri_fail_nomem(err);
    }
    switch (pos) {
    case RI_POS_E:
        emit_ids(stage->op, &leaf->col[RI_COLUMN_E], rows, n, ext, out, emit->count);
        return 0;
    case RI_POS_T:
        emit_ids(stage->op, &leaf->col[RI_COLUMN_T], rows, n, ext, out, emit->count);
        return 0;
    case RI_POS_V:
        return emit_values(stage, emit, leaf, rows, n, ext, out, err);
    case RI_POS_A:
        begin_type(out, emit->count, RI_REF, n);
        for (uint32_t i = 0; i < n; i++) {
            out->words[emit->count + i] = ri_node_group(leaf, rows[i])->a;
        }
        return 0;
    default:
        begin_type(out, emit->count, RI_BOOL, n);
        for (uint32_t i = 0; i < n; i++) {
            out->words[emit->count + i] = 1;
        }
        return 0;
    }
}

static int note_stubs(ri_stage *stage, const ri_emit *emit, uint32_t from, rille_err *err)
{
    ri_var var = emit->m.out[RI_POS_V];
    if (var == RI_NO_VAR) {
        return 0;
    }
    return ri_note_stubs(stage->op, emit->m.pattern->source, &stage->bufs[var], from, emit->count, err);
}

/* Rows that passed the checks. */
static int emit_rows(ri_stage *stage, ri_emit *emit, const ri_node *leaf, const uint32_t *rows, const uint32_t *in_rows,
                     uint32_t n, rille_err *err)
{
    if (n == 0) {
        return 0;
    }
    extent ext = extent_of(rows, n);
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        if (emit->m.out[pos] != RI_NO_VAR) {
            RI_TRY(emit_leaf_position(stage, emit, pos, leaf, rows, n, ext, err));
        }
    }
    memcpy(emit->in_rows + emit->count, in_rows, n * sizeof *in_rows);
    emit->count += n;
    return note_stubs(stage, emit, emit->count - n, err);
}

int ri_emit_leaf(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *rows, uint32_t *in_rows, uint32_t n,
                 const ri_batch *in, rille_err *err)
{
    if (n > 0) {
        n = thin(stage->op, &emit->m, leaf, rows, in_rows, n, in);
    }
    return emit_rows(stage, emit, leaf, rows, in_rows, n, err);
}

/* Is the range one that packed numbers alone decide? Then its group and the key are set (group NULL: no row matches).
 */
static bool by_key(const ri_matcher *m, const ri_node *leaf, uint32_t from, uint32_t to, const ri_group **group,
                   uint64_t *key)
{
    bool slow = false;
    if (!m->filter_v || m->slow) {
        return false;
    }
    *group = ri_rows_group(leaf, from, to - 1);
    if (*group == NULL) {
        return false;
    }
    if (!ri_group_key(*group, &m->pattern->v, key, &slow)) {
        *group = NULL;
    }
    return !slow;
}

int ri_emit_range(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *pos, uint32_t to, uint32_t in_row,
                  const ri_batch *in, rille_err *err)
{
    rille_op *op = stage->op;
    uint32_t *rows = op->scratch_rows;
    uint32_t *in_rows = op->scratch_in;
    uint32_t room = RI_BATCH_ROWS - emit->count;
    const ri_group *group = NULL;
    uint64_t key = 0;
    uint32_t n = 0;
    bool keyed = by_key(&emit->m, leaf, *pos, to, &group, &key);
    if (keyed && group == NULL) {
        *pos = to;
        return 0;
    }
    if (keyed) {
        uint32_t start = group->start;
        uint32_t next = 0;
        n = ri_packed_find(op, &group->values, *pos - start, to - start, key, start, rows, room, &next);
        *pos = next + start;
    } else {
        n = to - *pos < room ? to - *pos : room;
        for (uint32_t i = 0; i < n; i++) {
            rows[i] = *pos + i;
        }
        *pos += n;
    }
    for (uint32_t i = 0; i < n; i++) {
        in_rows[i] = in_row;
    }
    return keyed ? emit_rows(stage, emit, leaf, rows, in_rows, n, err)
                 : ri_emit_leaf(stage, emit, leaf, rows, in_rows, n, in, err);
}

int ri_emit_datoms(ri_stage *stage, ri_emit *emit, const ri_datom *const *datoms, const uint32_t *in_rows, uint32_t n,
                   const ri_batch *in, rille_err *err)
{
    uint32_t from = emit->count;
    for (uint32_t i = 0; i < n; i++) {
        if (!datom_matches(&emit->m, datoms[i], in, in_rows[i])) {
            continue;
        }
        for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
            if (emit->m.out[pos] == RI_NO_VAR) {
                continue;
            }
            ri_vec *out = ri_stage_buf(stage, emit->m.out[pos]);
            if (out == NULL) {
                return ri_fail_nomem(err);
            }
            ri_value v = position_value(datoms[i], pos);
            ri_vec_set(out, emit->count, &v);
        }
        emit->in_rows[emit->count++] = in_rows[i];
    }
    return note_stubs(stage, emit, from, err);
}

/* Are the rows 0 .. count - 1, each once? Then columns of the input can be shared. */
static bool is_identity(const uint32_t *rows, uint32_t count)
{
    uint32_t diff = 0;
    for (uint32_t i = 0; i < count; i++) {
        diff |= rows[i] ^ i;
    }
    return diff == 0;
}

int ri_emit_finish(ri_stage *stage, ri_emit *emit, const ri_batch *in, rille_err *err)
{
    bool same = emit->count == in->count && is_identity(emit->in_rows, emit->count);
    RI_TRY(ri_stage_carry(stage, in, same ? NULL : emit->in_rows, emit->count, err));
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        if (emit->m.out[pos] != RI_NO_VAR) {
            stage->out.cols[emit->m.out[pos]] = stage->bufs[emit->m.out[pos]];
        }
    }
    return 0;
}
