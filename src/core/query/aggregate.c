/* SPDX-License-Identifier: MIT
 *
 * Aggregates: the state of one aggregate over all groups, as arrays by group number that grow with the groups.
 *
 *     count                  a number
 *     sum avg                an exact 128-bit sum of longs, and a compensated sum of doubles (Neumaier)
 *     variance stddev        count, mean and sum of squares of differences (Welford); of the whole population
 *     min max                the value so far; with n: a heap of the n best, the worst of them on top
 *     count-distinct         a set of (group, value), and a number
 *     distinct median        a table of (group, value), a set for distinct; read through an index by group
 *
 * Sums of longs are exact and do not depend on the order of rows: only a result that leaves int64 is an error.
 *
 * Cost: O(1) a row; min and max with n O(log n); distinct and median sort a group when its result is asked for.
 */
#include "aggregate.h"

#include <math.h>

#define ROW_UNITS 8U /* of work for a value, beside its bytes */
#define SIFT_UNITS 64U
#define COMPACT_BYTES ((size_t)1024 * 1024)
#define COMPACT_SHARE 4U

static const ri_agg_def defs[AGG_KIND_COUNT] = {
    [AGG_COUNT] = { "count", false },
    [AGG_COUNT_DISTINCT] = { "count-distinct", false },
    [AGG_DISTINCT] = { "distinct", false },
    [AGG_SUM] = { "sum", false },
    [AGG_AVG] = { "avg", false },
    [AGG_MIN] = { "min", true },
    [AGG_MAX] = { "max", true },
    [AGG_MEDIAN] = { "median", false },
    [AGG_VARIANCE] = { "variance", false },
    [AGG_STDDEV] = { "stddev", false },
};

const ri_agg_def *ri_agg_find(const char *name)
{
    for (size_t i = 0; i < AGG_KIND_COUNT; i++) {
        if (strcmp(defs[i].name, name) == 0) {
            return &defs[i];
        }
    }
    return NULL;
}

void ri_agg_suggest(ri_suggest *suggest)
{
    for (size_t i = 0; i < AGG_KIND_COUNT; i++) {
        ri_suggest_offer(suggest, defs[i].name, strlen(defs[i].name));
    }
}

const char *ri_agg_name(const ri_agg *agg)
{
    return defs[agg->kind].name;
}

int ri_agg_new(const ri_agg_def *def, const ri_value *n, ri_meter *meter, ri_agg **out, rille_err *err)
{
    *out = NULL;
    ri_agg *agg = ri_alloc_zero(sizeof *agg);
    if (agg == NULL) {
        return ri_fail_nomem(err);
    }
    agg->kind = (ri_agg_kind)(def - defs);
    agg->arena.meter = meter;
    agg->n = n != NULL && n->type == RI_LONG && n->as.i > 0 ? (size_t)n->as.i : 0;
    if (agg->kind == AGG_COUNT_DISTINCT || agg->kind == AGG_DISTINCT || agg->kind == AGG_MEDIAN) {
        int rc = ri_table_init(&agg->table, 2, agg->kind != AGG_MEDIAN, err);
        if (rc != 0) {
            ri_free(agg);
            return rc;
        }
        ri_table_set_meter(&agg->table, meter);
        agg->has_table = true;
    }
    *out = agg;
    return 0;
}

/* Of all arrays by group. */
static size_t group_bytes(const ri_agg *agg)
{
    switch (agg->kind) {
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT:
        return sizeof *agg->counts;
    case AGG_SUM:
        return sizeof *agg->totals;
    case AGG_AVG:
        return sizeof *agg->totals + sizeof *agg->counts;
    case AGG_MIN:
    case AGG_MAX:
        return agg->n > 0 ? sizeof *agg->heaps : sizeof *agg->best + sizeof *agg->counts;
    case AGG_VARIANCE:
    case AGG_STDDEV:
        return sizeof *agg->moments + sizeof *agg->counts;
    case AGG_DISTINCT:
    case AGG_MEDIAN:
    case AGG_KIND_COUNT:
        break;
    }
    return 0;
}

void ri_agg_free(ri_agg *agg)
{
    if (agg == NULL) {
        return;
    }
    ri_meter_give(agg->arena.meter, agg->cap * group_bytes(agg));
    for (size_t i = 0; agg->heaps != NULL && i < agg->group_count; i++) {
        ri_meter_give(agg->arena.meter, agg->heaps[i].cap * sizeof *agg->heaps[i].values);
        ri_free(agg->heaps[i].values);
    }
    ri_free(agg->counts);
    ri_free(agg->totals);
    ri_free(agg->moments);
    ri_free(agg->best);
    ri_free(agg->heaps);
    ri_arena_deinit(&agg->arena);
    if (agg->has_index) {
        ri_table_index_deinit(&agg->index);
    }
    if (agg->has_table) {
        ri_table_deinit(&agg->table);
    }
    ri_free(agg);
}

/* ---- room for groups ---- */

/* One array of all groups, the new ones zero. */
static bool grow_array(void *place, size_t old_count, size_t cap, size_t item_size)
{
    void *array;
    memcpy(&array, place, sizeof array);
    size_t bytes;
    if (!ri_mul_size(cap, item_size, &bytes)) {
        return false;
    }
    array = ri_realloc(array, bytes);
    if (array == NULL) {
        return false;
    }
    memset((uint8_t *)array + old_count * item_size, 0, (cap - old_count) * item_size);
    memcpy(place, &array, sizeof array);
    return true;
}

static bool grow_kind(ri_agg *agg, size_t cap)
{
    size_t old = agg->cap;
    switch (agg->kind) {
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT:
        return grow_array(&agg->counts, old, cap, sizeof *agg->counts);
    case AGG_SUM:
        return grow_array(&agg->totals, old, cap, sizeof *agg->totals);
    case AGG_AVG:
        return grow_array(&agg->totals, old, cap, sizeof *agg->totals) &&
               grow_array(&agg->counts, old, cap, sizeof *agg->counts);
    case AGG_MIN:
    case AGG_MAX:
        if (agg->n > 0) {
            return grow_array(&agg->heaps, old, cap, sizeof *agg->heaps);
        }
        return grow_array(&agg->best, old, cap, sizeof *agg->best) &&
               grow_array(&agg->counts, old, cap, sizeof *agg->counts);
    case AGG_VARIANCE:
    case AGG_STDDEV:
        return grow_array(&agg->moments, old, cap, sizeof *agg->moments) &&
               grow_array(&agg->counts, old, cap, sizeof *agg->counts);
    case AGG_DISTINCT:
    case AGG_MEDIAN:
    case AGG_KIND_COUNT:
        return true;
    }
    return false;
}

static int reserve_groups(ri_agg *agg, size_t group_count, rille_err *err)
{
    if (group_count > agg->cap) {
        size_t cap = agg->cap < 16 ? 16 : agg->cap;
        while (cap < group_count) {
            cap *= 2;
        }
        if (!ri_meter_take(agg->arena.meter, cap * group_bytes(agg)) || !grow_kind(agg, cap)) {
            return ri_fail_nomem(err);
        }
        ri_meter_give(agg->arena.meter, agg->cap * group_bytes(agg));
        agg->cap = cap;
    }
    agg->group_count = group_count > agg->group_count ? group_count : agg->group_count;
    return 0;
}

/* ---- adding ---- */

static int fail_number(const ri_agg *agg, const ri_value *v, rille_err *err)
{
    char show[96];
    if (ri_type_is_number(v->type)) {
        return ri_fail(err, RILLE_TYPE,
                       "aggregate %s expects longs or doubles, got %s (a %s): convert it with [(double ?x) ?y]",
                       ri_agg_name(agg), ri_value_show(show, sizeof show, v), ri_type_name(v->type));
    }
    return ri_fail(err, RILLE_TYPE, "aggregate %s expects numbers, got %s (%s %s)", ri_agg_name(agg),
                   ri_value_show(show, sizeof show, v), ri_type_article(v->type), ri_type_name(v->type));
}

static inline uint32_t group_of(const uint32_t *groups, uint32_t row)
{
    return groups == NULL ? 0 : groups[row];
}

static inline void add_long(ri_total *t, uint64_t word)
{
    t->low += word;
    t->high += (t->low < word) + (word >> 63 != 0 ? UINT64_MAX : 0); /* carry, and the sign's upper half */
}

/* Neumaier's step: sum + rest grows by d. */
static void add_part(double *total, double *rest, double d)
{
    double sum = *total + d;
    *rest += fabs(*total) >= fabs(d) ? (*total - sum) + d : (d - sum) + *total;
    *total = sum;
}

static void add_double(ri_total *t, double d)
{
    if (isinf(d)) {
        t->infinite += d;
        t->has_infinite = true;
        t->has_double = true;
        return;
    }
    t->has_double = true;
    if (fabs(d) >= AGG_HUGE) {
        add_part(&t->huge_sum, &t->huge_rest, d / AGG_HUGE_UNIT);
    } else {
        add_part(&t->sum, &t->rest, d);
    }
}

static int add_totals(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    for (uint32_t i = 0; agg->counts != NULL && i < rows; i++) {
        agg->counts[group_of(groups, i)]++;
    }
    if (ri_is_integer(vec->type)) {
        for (uint32_t i = 0; i < rows; i++) {
            add_long(&agg->totals[group_of(groups, i)], vec->words[i]);
        }
        return 0;
    }
    for (uint32_t i = 0; i < rows; i++) {
        ri_value v = ri_vec_get(vec, i);
        ri_total *t = &agg->totals[group_of(groups, i)];
        if (ri_is_integer(v.type)) {
            add_long(t, v.as.u);
        } else if (v.type == RI_DOUBLE) {
            add_double(t, v.as.d);
        } else {
            return fail_number(agg, &v, err);
        }
    }
    return 0;
}

static int add_moments(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    for (uint32_t i = 0; i < rows; i++) {
        ri_value v = ri_vec_get(vec, i);
        if (!ri_is_integer(v.type) && v.type != RI_DOUBLE) {
            return fail_number(agg, &v, err);
        }
        uint32_t g = group_of(groups, i);
        double x = v.type == RI_DOUBLE ? v.as.d : (double)v.as.i;
        double delta = x - agg->moments[g].mean;
        agg->moments[g].mean += delta / (double)++agg->counts[g];
        agg->moments[g].squares += delta * (x - agg->moments[g].mean);
    }
    return 0;
}

/* Is a nearer to what is asked for (the smallest, the largest) than b? */
bool ri_agg_better(const ri_agg *agg, const ri_value *a, const ri_value *b)
{
    int order = ri_query_cmp(a, b);
    return agg->kind == AGG_MIN ? order < 0 : order > 0;
}

static bool copy_values(ri_arena *arena, ri_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!ri_meter_work(arena->meter, values[i].len + ROW_UNITS) || !ri_value_copy(arena, &values[i], &values[i])) {
            return false;
        }
    }
    return true;
}

/* Drops the bytes of values that were replaced, when they are most of the arena: amortised O(1) for each byte. */
static int compact(ri_agg *agg, rille_err *err)
{
    if (agg->arena.total_bytes < COMPACT_BYTES || agg->arena.total_bytes / COMPACT_SHARE < agg->live_bytes) {
        return 0;
    }
    ri_arena fresh = { .meter = agg->arena.meter };
    bool ok = agg->best == NULL || copy_values(&fresh, agg->best, agg->group_count);
    for (size_t i = 0; ok && agg->heaps != NULL && i < agg->group_count; i++) {
        ok = copy_values(&fresh, agg->heaps[i].values, agg->heaps[i].count);
    }
    if (!ok) { /* some values are in `fresh`: from now on the aggregate can only be freed */
        ri_arena_deinit(&fresh);
        return ri_fail_nomem(err);
    }
    ri_arena_deinit(&agg->arena);
    agg->arena = fresh;
    return 0;
}

/* Puts a value in the place of another. */
static int keep_value(ri_agg *agg, const ri_value *v, ri_value *place, rille_err *err)
{
    uint32_t old_len = place->len;
    if (!ri_value_copy(&agg->arena, v, place)) {
        return ri_fail_nomem(err);
    }
    agg->live_bytes = agg->live_bytes - old_len + place->len;
    return ri_type_is_word(v->type) ? 0 : compact(agg, err);
}

static int add_best(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    bool is_min = agg->kind == AGG_MIN;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t g = group_of(groups, i);
        ri_value *best = &agg->best[g];
        ri_value v = ri_vec_get(vec, i);
        RI_TRY(ri_work(agg->arena.meter, v.len, err));
        if (agg->counts[g] != 0) {
            bool both_long = ri_is_integer(v.type) && ri_is_integer(best->type);
            if (both_long ? (is_min ? v.as.i >= best->as.i : v.as.i <= best->as.i) : !ri_agg_better(agg, &v, best)) {
                continue;
            }
        }
        agg->counts[g] = 1;
        RI_TRY(keep_value(agg, &v, best, err));
    }
    return 0;
}

/* The worst of the best is on top: the first to leave. */
static void sift_down(const ri_agg *agg, ri_heap *h)
{
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count) {
            return;
        }
        if (child + 1 < h->count && ri_agg_better(agg, &h->values[child], &h->values[child + 1])) {
            child++;
        }
        if (!ri_agg_better(agg, &h->values[at], &h->values[child])) {
            return;
        }
        ri_value swap = h->values[at];
        h->values[at] = h->values[child];
        h->values[child] = swap;
        at = child;
    }
}

static void sift_up(const ri_agg *agg, ri_heap *h, size_t at)
{
    while (at > 0 && ri_agg_better(agg, &h->values[(at - 1) / 2], &h->values[at])) {
        ri_value swap = h->values[at];
        h->values[at] = h->values[(at - 1) / 2];
        h->values[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

static int add_heaps(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    for (uint32_t i = 0; i < rows; i++) {
        ri_heap *h = &agg->heaps[group_of(groups, i)];
        ri_value v = ri_plain(ri_vec_get(vec, i)); /* in a tuple an entity id is a number */
        RI_TRY(ri_work(agg->arena.meter, v.len + SIFT_UNITS, err));
        if (h->count == agg->n) {
            if (ri_agg_better(agg, &v, &h->values[0])) {
                RI_TRY(keep_value(agg, &v, &h->values[0], err));
                sift_down(agg, h);
            }
            continue;
        }
        if (!RI_GROW_COUNTED(agg->arena.meter, &h->values, &h->cap, h->count + 1)) {
            return ri_fail_nomem(err);
        }
        h->values[h->count] = ri_nil();
        RI_TRY(keep_value(agg, &v, &h->values[h->count], err));
        h->count++;
        sift_up(agg, h, h->count - 1);
    }
    return 0;
}

#define PIECE 256U

/* Rows (group, value) into the table, piece by piece. */
static int add_rows(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    uint64_t words[PIECE];
    for (uint32_t from = 0; from < rows; from += PIECE) {
        uint32_t count = rows - from < PIECE ? rows - from : PIECE;
        for (uint32_t i = 0; i < count; i++) {
            words[i] = group_of(groups, from + i);
        }
        ri_vec group = { words, NULL, NULL, RI_LONG };
        ri_vec part = *vec;
        part.words += from;
        part.lens = part.lens == NULL ? NULL : part.lens + from;
        part.types = part.types == NULL ? NULL : part.types + from;
        const ri_vec *cols[] = { &group, &part };
        uint32_t before = agg->table.count;
        RI_TRY(ri_table_add(&agg->table, cols, count, NULL, err));
        for (uint32_t row = before; agg->counts != NULL && row < agg->table.count; row++) {
            agg->counts[agg->table.cols[0].words[row]]++;
        }
    }
    return 0;
}

static int check_numbers(const ri_agg *agg, const ri_vec *vec, uint32_t rows, rille_err *err)
{
    for (uint32_t i = 0; !ri_is_integer(vec->type) && i < rows; i++) {
        ri_value v = ri_vec_get(vec, i);
        if (!ri_is_integer(v.type) && v.type != RI_DOUBLE) {
            return fail_number(agg, &v, err);
        }
    }
    return 0;
}

int ri_agg_add(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, uint32_t group_count,
               rille_err *err)
{
    RI_TRY(reserve_groups(agg, group_count, err));
    RI_TRY(ri_work(agg->arena.meter, (size_t)rows * ROW_UNITS, err));
    switch (agg->kind) {
    case AGG_COUNT:
        for (uint32_t i = 0; i < rows; i++) {
            agg->counts[group_of(groups, i)]++;
        }
        return 0;
    case AGG_SUM:
    case AGG_AVG:
        return add_totals(agg, vec, groups, rows, err);
    case AGG_MIN:
    case AGG_MAX:
        return agg->n > 0 ? add_heaps(agg, vec, groups, rows, err) : add_best(agg, vec, groups, rows, err);
    case AGG_VARIANCE:
    case AGG_STDDEV:
        return add_moments(agg, vec, groups, rows, err);
    case AGG_MEDIAN:
        RI_TRY(check_numbers(agg, vec, rows, err));
        return add_rows(agg, vec, groups, rows, err);
    case AGG_COUNT_DISTINCT:
    case AGG_DISTINCT:
        return add_rows(agg, vec, groups, rows, err);
    case AGG_KIND_COUNT:
        break;
    }
    return 0;
}
