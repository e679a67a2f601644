/* SPDX-License-Identifier: MIT
 *
 * The results of aggregates, one group at a time; where values are to be sorted, a slice at a time.
 */
#include "aggregate.h"

#include <math.h>

#define SORT_UNITS 16U /* of work for one value, beside its bytes */
#define SLICE_ROWS 2048U
#define SLICE_WORK ((size_t)64 * 1024)

/* 2^64 * high + low, rounded. */
static double total_double(const ri_total *t)
{
    if (t->has_infinite) {
        return t->infinite;
    }
    uint64_t low = t->low;
    uint64_t high = t->high;
    bool negative = high >> 63 != 0;
    if (negative) {
        high = ~high + (low == 0);
        low = 0 - low;
    }
    double d = (double)high * 18446744073709551616.0 + (double)low;
    double sum = (negative ? -d : d) + t->sum + t->rest;
    double huge = t->huge_sum + t->huge_rest;
    return huge == 0 ? sum : (huge + sum / AGG_HUGE_UNIT) * AGG_HUGE_UNIT;
}

/* Infinite only where one of the values was. */
static int double_result(const ri_agg *agg, double d, bool has_infinite, ri_value *out, rille_err *err)
{
    if (isnan(d) || (isinf(d) && !has_infinite)) {
        return ri_fail(err, RILLE_LIMIT, "aggregate %s overflows a double", ri_agg_name(agg));
    }
    *out = ri_double(d);
    return 0;
}

static int sum_result(const ri_agg *agg, const ri_total *t, ri_value *out, rille_err *err)
{
    if (t->has_double) {
        return double_result(agg, total_double(t), t->has_infinite, out, err);
    }
    if (t->high != (t->low >> 63 != 0 ? UINT64_MAX : 0)) {
        return ri_fail(err, RILLE_LIMIT, "aggregate sum overflows a long: sum doubles with [(double ?x) ?y]");
    }
    *out = ri_word(RI_LONG, t->low);
    return 0;
}

/* ---- the values of a group, sorted ---- */

/* Is the table that of one group, so that its rows need no index? */
static bool is_single(const ri_agg *agg)
{
    return agg->group_count == 1;
}

static ri_value sorted_value(const ri_agg *agg, const ri_heap *heap, uint32_t row)
{
    return heap != NULL ? *ri_heap_at(heap, row) : ri_plain(ri_column_get(&agg->table.cols[1], row));
}

static int cmp_rows(const void *context, uint32_t a, uint32_t b)
{
    const ri_agg *agg = context;
    ri_value va = sorted_value(agg, agg->result.heap, a);
    ri_value vb = sorted_value(agg, agg->result.heap, b);
    (void)ri_meter_work(agg->arena.meter, va.len < vb.len ? va.len : vb.len);
    int order = ri_query_cmp(&va, &vb);
    return agg->result.heap != NULL && agg->kind == AGG_MAX ? -order : order;
}

static int begin(ri_agg *agg, uint32_t group, rille_err *err)
{
    static const uint16_t key_cols[] = { 0 };
    ri_agg_result_state *state = &agg->result;
    ri_agg_group *of = ri_agg_group_at(agg, group);
    state->heap = agg->n > 0 ? &of->u.heap : NULL;
    if (state->heap == NULL && !is_single(agg)) {
        if (!agg->has_index) {
            RI_TRY(ri_table_index_init(&agg->index, &agg->table, agg->arena.meter, key_cols, 1, NULL, 0, err));
            agg->has_index = true;
        }
        RI_TRY(ri_table_index_update(&agg->index, err));
        if (!ri_table_index_is_complete(&agg->index)) {
            return 0;
        }
    }
    uint32_t count = (uint32_t)(state->heap != NULL ? state->heap->count : (size_t)of->count);
    uint8_t type = state->heap != NULL ? (uint8_t)RI_MIXED : agg->table.cols[1].type;
    bool exact = ri_sort_key_kind(type) == RI_KEY_EXACT;
    ri_sorter_deinit(&state->sorter);
    RI_TRY(ri_sorter_init(&state->sorter, agg->arena.meter, count, exact ? NULL : cmp_rows, agg, err));
    state->row = 0;
    if (state->heap == NULL && !is_single(agg)) {
        uint64_t word = group;
        ri_vec key = { &word, NULL, NULL, RI_LONG };
        const ri_vec *keys[] = { &key };
        state->row = ri_table_index_find(&agg->index, keys, 0);
    }
    state->phase = AGG_PUSH;
    return 0;
}

/* Hands some rows to the sorter. */
static int push(ri_agg *agg, rille_err *err)
{
    ri_agg_result_state *state = &agg->result;
    ri_sorter *sorter = &state->sorter;
    bool by_index = state->heap == NULL && !is_single(agg);
    uint32_t n = 0;
    bool keyed = state->heap == NULL && ri_sort_key_kind(agg->table.cols[1].type) != RI_KEY_NONE;
    for (; n < SLICE_ROWS && sorter->count < sorter->cap; n++) {
        uint64_t key = 0;
        if (keyed) {
            ri_value v = sorted_value(agg, NULL, state->row);
            key = ri_sort_key(&v);
        }
        ri_sorter_push(sorter, key, state->row);
        state->row = by_index ? ri_table_index_next(&agg->index, state->row) : state->row + 1;
    }
    state->phase = sorter->count == sorter->cap ? AGG_SORT : AGG_PUSH;
    return ri_work(agg->arena.meter, (size_t)n * SORT_UNITS, err);
}

/* ---- results of values ---- */

static int median_result(const ri_agg *agg, ri_value *out, rille_err *err)
{
    const uint32_t *rows = ri_sorter_rows(&agg->result.sorter);
    uint32_t count = agg->result.sorter.count;
    ri_value b = sorted_value(agg, NULL, rows[count / 2]);
    if (count % 2 == 1) {
        *out = b;
        return 0;
    }
    ri_value a = sorted_value(agg, NULL, rows[count / 2 - 1]);
    double half_a = (a.type == RI_DOUBLE ? a.as.d : (double)a.as.i) / 2;
    double half_b = (b.type == RI_DOUBLE ? b.as.d : (double)b.as.i) / 2;
    return double_result(agg, half_a + half_b, true, out, err);
}

static int too_long(const ri_agg *agg, rille_err *err)
{
    return ri_fail(err, RILLE_LIMIT, "aggregate %s: the resulting tuple is too long (the maximum is %u bytes)",
                   ri_agg_name(agg), RI_VALUE_BYTES_MAX);
}

/* The sorted values one after the other, some of them: measured, or written to where they were measured for. */
static int tuple_some(ri_agg *agg, rille_err *err)
{
    ri_agg_result_state *state = &agg->result;
    const uint32_t *rows = ri_sorter_rows(&state->sorter);
    bool writes = state->phase == AGG_WRITE;
    size_t units = 0;
    while (state->at < state->sorter.count && units < SLICE_WORK) {
        ri_value v = sorted_value(agg, state->heap, rows[state->at++]);
        state->value.len = 0;
        ri_value_write(&state->value, &v);
        if (state->value.failed) {
            return ri_fail_nomem(err);
        }
        agg->has_stubs = agg->has_stubs || ri_type_is_stub(v.type);
        if (writes) {
            memcpy(state->tuple + state->len, state->value.p, state->value.len);
        }
        state->len += state->value.len;
        units += SORT_UNITS + state->value.len;
        if (state->len > RI_VALUE_BYTES_MAX) {
            return too_long(agg, err);
        }
    }
    return ri_work(agg->arena.meter, units, err);
}

static int tuple_result(ri_agg *agg, ri_arena *arena, ri_value *out, bool *done, rille_err *err)
{
    ri_agg_result_state *state = &agg->result;
    RI_TRY(tuple_some(agg, err));
    if (state->at < state->sorter.count) {
        return 0;
    }
    if (state->phase == AGG_MEASURE) {
        state->tuple = ri_arena_alloc(arena, state->len);
        state->phase = AGG_WRITE;
        state->at = 0;
        state->len = 0;
        return state->tuple != NULL ? 0 : ri_fail_nomem(err);
    }
    *out = ri_bytes_value(RI_TUPLE, state->tuple, state->len);
    *done = true;
    return 0;
}

/* A slice of the way to a median or a tuple of values. */
static int sorted_result(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, bool *done, rille_err *err)
{
    ri_agg_result_state *state = &agg->result;
    int rc;
    switch (state->phase) {
    case AGG_BEGIN:
        return begin(agg, group, err);
    case AGG_PUSH:
        return push(agg, err);
    case AGG_SORT:
        rc = ri_sorter_work(&state->sorter, err);
        if (rc != RILLE_DONE) {
            return rc;
        }
        state->phase = AGG_MEASURE;
        state->at = 0;
        state->len = 0;
        if (agg->kind == AGG_MEDIAN) {
            *done = true;
            return median_result(agg, out, err);
        }
        return 0;
    case AGG_MEASURE:
    case AGG_WRITE:
        return tuple_result(agg, arena, out, done, err);
    }
    return 0;
}

bool ri_agg_has_stubs(const ri_agg *agg)
{
    return agg->has_stubs;
}

int ri_agg_result(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, bool *done, rille_err *err)
{
    const ri_agg_group *of = ri_agg_group_at(agg, group);
    *out = ri_nil();
    *done = true;
    switch (agg->kind) {
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT:
        *out = ri_long(of->count);
        return 0;
    case AGG_SUM:
        return sum_result(agg, &of->u.total, out, err);
    case AGG_AVG:
        return double_result(agg, total_double(&of->u.total) / (double)of->count, of->u.total.has_infinite, out, err);
    case AGG_VARIANCE:
        return double_result(agg, of->u.moments.squares / (double)of->count, false, out, err);
    case AGG_STDDEV:
        return double_result(agg, sqrt(of->u.moments.squares / (double)of->count), false, out, err);
    case AGG_MIN:
    case AGG_MAX:
        if (agg->n == 0) {
            return ri_value_copy(arena, &of->u.best, out) ? 0 : ri_fail_nomem(err);
        }
        break;
    case AGG_MEDIAN:
    case AGG_DISTINCT:
    case AGG_KIND_COUNT:
        break;
    }
    *done = false;
    RI_TRY(sorted_result(agg, group, arena, out, done, err));
    if (*done) {
        agg->result.phase = AGG_BEGIN;
        ri_sorter_deinit(&agg->result.sorter);
    }
    return 0;
}
