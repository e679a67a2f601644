/* SPDX-License-Identifier: MIT
 *
 * The results of aggregates, one group at a time.
 */
#include "aggregate.h"

#include <math.h>

#define SORT_UNITS 16U /* of work for one value, beside its bytes */

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

/* Sorts by merging, bottom up, and can be stopped by the meter. */
static int sort_values(ri_meter *meter, ri_value *values, size_t n, rille_err *err)
{
    size_t bytes = n * sizeof *values;
    ri_value *from = values;
    ri_value *to = ri_meter_take(meter, bytes) ? ri_alloc(bytes) : NULL;
    ri_value *made = to;
    bool ok = to != NULL;
    for (size_t width = 1; width < n && ok; width *= 2) {
        for (size_t low = 0; low < n && ok; low += 2 * width) {
            size_t i = low;
            size_t mid = n - low < width ? n : low + width;
            size_t j = mid;
            size_t high = n - mid < width ? n : mid + width;
            for (size_t k = low; k < high && ok; k++) {
                bool left = i < mid && (j >= high || ri_query_cmp(&from[i], &from[j]) <= 0);
                to[k] = left ? from[i++] : from[j++];
                ok = ri_meter_work(meter, SORT_UNITS + to[k].len);
            }
        }
        ri_value *swap = from;
        from = to;
        to = swap;
    }
    if (ok && from != values) {
        memcpy(values, from, bytes);
    }
    if (made != NULL) {
        ri_meter_give(meter, bytes);
        ri_free(made);
    }
    return ok ? 0 : ri_fail_nomem(err); /* or what the meter says: run.c */
}

/* The values of one group from the table, sorted. */
static int group_values(ri_agg *agg, uint32_t group, ri_heap *out, rille_err *err)
{
    static const uint16_t key_cols[] = { 0 };
    ri_meter *meter = agg->arena.meter;
    if (!agg->has_index) {
        RI_TRY(ri_table_index_init(&agg->index, &agg->table, key_cols, 1, err));
        agg->has_index = true;
    }
    RI_TRY(ri_table_index_update(&agg->index, err));
    uint64_t word = group;
    ri_vec key = { &word, NULL, NULL, RI_LONG };
    const ri_vec *keys[] = { &key };
    uint32_t row = ri_table_index_find(&agg->index, keys, 0);
    for (; row != UINT32_MAX; row = ri_table_index_next(&agg->index, keys, 0, row)) {
        if (!RI_GROW_COUNTED(meter, &out->values, &out->cap, out->count + 1) || !ri_meter_work(meter, SORT_UNITS)) {
            return ri_fail_nomem(err);
        }
        out->values[out->count++] = ri_plain(ri_vec_get(&agg->table.cols[1], row));
    }
    return out->count > 1 ? sort_values(meter, out->values, out->count, err) : 0;
}

static int tuple_of(const ri_agg *agg, const ri_value *values, size_t count, ri_arena *arena, ri_value *out,
                    rille_err *err)
{
    ri_buf buf = { .meter = agg->arena.meter };
    int rc = 0;
    for (size_t i = 0; i < count && buf.len <= RI_VALUE_BYTES_MAX && !buf.failed; i++) {
        ri_value_write(&buf, &values[i]);
    }
    ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
    if (buf.len > RI_VALUE_BYTES_MAX) {
        rc = ri_fail(err, RILLE_LIMIT, "aggregate %s: the resulting tuple is too long (the maximum is %u bytes)",
                     ri_agg_name(agg), RI_VALUE_BYTES_MAX);
    } else if (buf.failed || !ri_value_copy(arena, &tuple, out)) {
        rc = ri_fail_nomem(err);
    }
    ri_buf_deinit(&buf);
    return rc;
}

static int table_result(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, rille_err *err)
{
    ri_heap found = { 0 };
    int rc = group_values(agg, group, &found, err);
    const ri_value *values = found.values;
    size_t count = found.count;
    if (rc == 0 && agg->kind == AGG_DISTINCT) {
        rc = tuple_of(agg, values, count, arena, out, err);
    } else if (rc != 0) {
        count = 0;
    } else if (count % 2 == 1) {
        *out = values[count / 2];
    } else if (count > 0) {
        const ri_value *a = &values[count / 2 - 1];
        const ri_value *b = &values[count / 2];
        double half_a = (a->type == RI_DOUBLE ? a->as.d : (double)a->as.i) / 2;
        double half_b = (b->type == RI_DOUBLE ? b->as.d : (double)b->as.i) / 2;
        rc = double_result(agg, half_a + half_b, true, out, err);
    }
    ri_meter_give(agg->arena.meter, found.cap * sizeof *values);
    ri_free(found.values);
    return rc;
}

static void reverse(ri_heap *h)
{
    for (size_t i = 0; i < h->count / 2; i++) {
        ri_value swap = h->values[i];
        h->values[i] = h->values[h->count - 1 - i];
        h->values[h->count - 1 - i] = swap;
    }
}

/* Best first. */
static int heap_result(ri_agg *agg, ri_heap *h, ri_arena *arena, ri_value *out, rille_err *err)
{
    if (h->count > 1) {
        RI_TRY(sort_values(agg->arena.meter, h->values, h->count, err));
    }
    if (agg->kind == AGG_MAX) {
        reverse(h);
    }
    int rc = tuple_of(agg, h->values, h->count, arena, out, err);
    reverse(h); /* worst first is a heap again: rows may follow */
    return rc;
}

int ri_agg_result(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, rille_err *err)
{
    *out = ri_nil();
    switch (agg->kind) {
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT:
        *out = ri_long(agg->counts[group]);
        return 0;
    case AGG_SUM:
        return sum_result(agg, &agg->totals[group], out, err);
    case AGG_AVG:
        return double_result(agg, total_double(&agg->totals[group]) / (double)agg->counts[group],
                             agg->totals[group].has_infinite, out, err);
    case AGG_MIN:
    case AGG_MAX:
        if (agg->n > 0) {
            return heap_result(agg, &agg->heaps[group], arena, out, err);
        }
        return ri_value_copy(arena, &agg->best[group], out) ? 0 : ri_fail_nomem(err);
    case AGG_VARIANCE:
        return double_result(agg, agg->moments[group].squares / (double)agg->counts[group], false, out, err);
    case AGG_STDDEV:
        return double_result(agg, sqrt(agg->moments[group].squares / (double)agg->counts[group]), false, out, err);
    case AGG_MEDIAN:
    case AGG_DISTINCT:
        return table_result(agg, group, arena, out, err);
    case AGG_KIND_COUNT:
        break;
    }
    return 0;
}
