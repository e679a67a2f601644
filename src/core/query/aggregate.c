/* SPDX-License-Identifier: MIT
 *
 * Aggregates: the state of one aggregate over all groups, by group number, in blocks that do not move as groups come.
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
#define BYTES_FIRST 16U /* room for the bytes of a value that may be replaced */
#define ROOM_SIZE 8U    /* of the number that says how much room there is */

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

/* How much of a ri_agg_group a kind uses. */
static size_t group_size(const ri_agg *agg)
{
    size_t start = offsetof(ri_agg_group, u);
    switch (agg->kind) {
    case AGG_SUM:
    case AGG_AVG:
        return start + sizeof(ri_total);
    case AGG_MIN:
    case AGG_MAX:
        return start + (agg->n > 0 ? sizeof(ri_heap) : sizeof(ri_value));
    case AGG_VARIANCE:
    case AGG_STDDEV:
        return start + sizeof(ri_moments);
    case AGG_COUNT:
    case AGG_COUNT_DISTINCT:
    case AGG_DISTINCT:
    case AGG_MEDIAN:
    case AGG_KIND_COUNT:
        break;
    }
    return start;
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
    agg->result.value.meter = meter;
    agg->n = def->takes_n && n != NULL && n->type == RI_LONG && n->as.i > 0 ? (size_t)n->as.i : 0;
    agg->group_size = group_size(agg);
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

static void free_heap(ri_heap *heap, ri_meter *meter)
{
    for (size_t at = 0; at < heap->cap; at += AGG_HEAP_BLOCK) {
        ri_free(heap->blocks[at / AGG_HEAP_BLOCK]);
    }
    ri_free(heap->blocks);
    ri_meter_give(meter, heap->cap * sizeof **heap->blocks + heap->block_cap * sizeof *heap->blocks);
}

void ri_agg_free(ri_agg *agg)
{
    if (agg == NULL) {
        return;
    }
    ri_meter *meter = agg->arena.meter;
    for (uint32_t i = 0; agg->n > 0 && i < agg->group_count; i++) {
        free_heap(&ri_agg_group_at(agg, i)->u.heap, meter);
    }
    for (size_t i = 0; i < agg->block_count; i++) {
        ri_free(agg->blocks[i]);
    }
    ri_free(agg->blocks);
    ri_meter_give(meter, agg->block_count * AGG_BLOCK_GROUPS * agg->group_size + agg->block_cap * sizeof *agg->blocks);
    ri_sorter_deinit(&agg->result.sorter);
    ri_buf_deinit(&agg->result.value);
    ri_arena_deinit(&agg->arena);
    if (agg->has_index) {
        ri_table_index_deinit(&agg->index);
    }
    if (agg->has_table) {
        ri_table_deinit(&agg->table);
    }
    ri_free(agg);
}

static int reserve_groups(ri_agg *agg, size_t group_count, rille_err *err)
{
    ri_meter *meter = agg->arena.meter;
    size_t bytes = AGG_BLOCK_GROUPS * agg->group_size;
    while (agg->block_count * AGG_BLOCK_GROUPS < group_count) {
        if (!RI_GROW_COUNTED(meter, &agg->blocks, &agg->block_cap, agg->block_count + 1) ||
            !ri_meter_take(meter, bytes)) {
            return ri_fail_nomem(err);
        }
        uint8_t *block = ri_alloc_zero(bytes);
        if (block == NULL) {
            ri_meter_give(meter, bytes);
            return ri_fail_nomem(err);
        }
        agg->blocks[agg->block_count++] = block;
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

/* The group of a row. */
static inline ri_agg_group *group_at(const ri_agg *agg, const uint32_t *groups, uint32_t row)
{
    return ri_agg_group_at(agg, groups == NULL ? 0 : groups[row]);
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
    for (uint32_t i = 0; i < rows; i++) {
        ri_agg_group *group = group_at(agg, groups, i);
        uint8_t type = vec->type == RI_MIXED ? vec->types[i] : vec->type;
        group->count++;
        if (ri_is_integer(type)) {
            add_long(&group->u.total, vec->words[i]);
        } else {
            ri_value v = ri_vec_get(vec, i);
            RI_TRY(type == RI_DOUBLE ? 0 : fail_number(agg, &v, err));
            add_double(&group->u.total, v.as.d);
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
        ri_agg_group *group = group_at(agg, groups, i);
        ri_moments *moments = &group->u.moments;
        double x = v.type == RI_DOUBLE ? v.as.d : (double)v.as.i;
        double delta = x - moments->mean;
        moments->mean += delta / (double)++group->count;
        moments->squares += delta * (x - moments->mean);
    }
    return 0;
}

/* Is a nearer to what is asked for (the smallest, the largest) than b? */
bool ri_agg_better(const ri_agg *agg, const ri_value *a, const ri_value *b)
{
    int order = ri_query_cmp(a, b);
    return agg->kind == AGG_MIN ? order < 0 : order > 0;
}

/* Puts a value in the place of another. Its bytes go where those of the other were, if there is room: before them
 * stands how much. More room is at least twice as much, so that all that a place ever had is at most four times the
 * longest value that was there. */
static int keep_value(ri_agg *agg, const ri_value *v, ri_value *place, rille_err *err)
{
    uint32_t room = 0;
    uint8_t *bytes = NULL;
    if (ri_type_is_word(v->type)) {
        *place = *v;
        return 0;
    }
    if (!ri_type_is_word(place->type)) {
        memcpy(&bytes, &place->as.p, sizeof bytes); /* ours, so not constant */
        memcpy(&room, bytes - ROOM_SIZE, sizeof room);
    }
    if (bytes == NULL || room < v->len) {
        room = BYTES_FIRST;
        while (room < v->len) {
            room *= 2;
        }
        bytes = ri_arena_alloc(&agg->arena, ROOM_SIZE + room);
        if (bytes == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(bytes, &room, sizeof room);
        bytes += ROOM_SIZE;
    }
    if (v->len > 0) {
        memcpy(bytes, v->as.p, v->len);
    }
    *place = *v;
    place->as.p = bytes;
    return 0;
}

static int add_best(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    bool is_min = agg->kind == AGG_MIN;
    for (uint32_t i = 0; i < rows; i++) {
        ri_agg_group *group = group_at(agg, groups, i);
        ri_value *best = &group->u.best;
        ri_value v = ri_vec_get(vec, i);
        RI_TRY(ri_work(agg->arena.meter, v.len, err));
        if (group->count != 0) {
            bool both_long = ri_is_integer(v.type) && ri_is_integer(best->type);
            if (both_long ? (is_min ? v.as.i >= best->as.i : v.as.i <= best->as.i) : !ri_agg_better(agg, &v, best)) {
                continue;
            }
        }
        group->count = 1;
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
        if (child + 1 < h->count && ri_agg_better(agg, ri_heap_at(h, child), ri_heap_at(h, child + 1))) {
            child++;
        }
        if (!ri_agg_better(agg, ri_heap_at(h, at), ri_heap_at(h, child))) {
            return;
        }
        ri_value swap = *ri_heap_at(h, at);
        *ri_heap_at(h, at) = *ri_heap_at(h, child);
        *ri_heap_at(h, child) = swap;
        at = child;
    }
}

static void sift_up(const ri_agg *agg, ri_heap *h, size_t at)
{
    while (at > 0 && ri_agg_better(agg, ri_heap_at(h, (at - 1) / 2), ri_heap_at(h, at))) {
        ri_value swap = *ri_heap_at(h, at);
        *ri_heap_at(h, at) = *ri_heap_at(h, (at - 1) / 2);
        *ri_heap_at(h, (at - 1) / 2) = swap;
        at = (at - 1) / 2;
    }
}

/* A place at the end, with nil in it. */
static bool grow_heap(const ri_agg *agg, ri_heap *h)
{
    ri_meter *meter = agg->arena.meter;
    size_t block = h->count / AGG_HEAP_BLOCK;
    if (h->count == h->cap) {
        size_t cap = block == 0 ? h->cap : 0;
        if (cap == 0) {
            if (!RI_GROW_COUNTED(meter, &h->blocks, &h->block_cap, block + 1)) {
                return false;
            }
            h->blocks[block] = NULL;
        }
        if (!RI_GROW_COUNTED(meter, &h->blocks[block], &cap, block == 0 ? h->count + 1 : AGG_HEAP_BLOCK)) {
            return false;
        }
        h->cap = block * AGG_HEAP_BLOCK + cap;
    }
    *ri_heap_at(h, h->count++) = ri_nil();
    return true;
}

static int add_heaps(ri_agg *agg, const ri_vec *vec, const uint32_t *groups, uint32_t rows, rille_err *err)
{
    for (uint32_t i = 0; i < rows; i++) {
        ri_heap *h = &group_at(agg, groups, i)->u.heap;
        ri_value v = ri_plain(ri_vec_get(vec, i)); /* in a tuple an entity id is a number */
        RI_TRY(ri_work(agg->arena.meter, v.len + SIFT_UNITS, err));
        if (h->count == agg->n) {
            if (ri_agg_better(agg, &v, ri_heap_at(h, 0))) {
                RI_TRY(keep_value(agg, &v, ri_heap_at(h, 0), err));
                sift_down(agg, h);
            }
            continue;
        }
        if (!grow_heap(agg, h)) {
            return ri_fail_nomem(err);
        }
        RI_TRY(keep_value(agg, &v, ri_heap_at(h, h->count - 1), err));
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
            words[i] = groups == NULL ? 0 : groups[from + i];
        }
        ri_vec group = { words, NULL, NULL, RI_LONG };
        ri_vec part = *vec;
        part.words += from;
        part.lens = part.lens == NULL ? NULL : part.lens + from;
        part.types = part.types == NULL ? NULL : part.types + from;
        const ri_vec *cols[] = { &group, &part };
        uint32_t before = agg->table.count;
        RI_TRY(ri_table_add(&agg->table, cols, count, NULL, err));
        for (uint32_t row = before; row < agg->table.count; row++) {
            ri_agg_group_at(agg, (uint32_t)ri_column_get(&agg->table.cols[0], row).as.u)->count++;
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
            group_at(agg, groups, i)->count++;
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
