/* SPDX-License-Identifier: MIT
 *
 * Random datoms of every type, sorted arrays of them, and random cuts: what the tests of the tree share.
 */
#ifndef RILLE_TEST_TREE_DATA_H
#define RILLE_TEST_TREE_DATA_H

#include "../src/core/base/hash.h"
#include "../src/core/tree/node.h"

#include "harness.h"

/* How datoms are drawn: small ranges make many equal components. */
typedef struct data_shape {
    uint64_t e_max;
    uint32_t a_max;
    uint64_t t_max;
    uint64_t v_max; /* distinct values of a type, about */
    bool mixed;     /* an attribute has values of several types */
    bool refs_only;
} data_shape;

static inline uint8_t *data_bytes(ri_arena *arena, size_t len)
{
    uint8_t *p = ri_arena_alloc(arena, len);
    REQUIRE(p != NULL);
    return p;
}

static inline ri_value data_text(ri_type type, ri_arena *arena, uint64_t number)
{
    static const char *const words[] = { "", "a", "b", "ab", "aber", "\xc3\xa4", "\xc3\xb6l", "\xe2\x82\xac", "zebra" };
    uint8_t *p = data_bytes(arena, 80);
    int len = snprintf((char *)p, 80, "%s%.*s%llx", words[number % 9], (int)(number % 5), "-----",
                       (unsigned long long)(number / 9));
    if (type == RI_KEYWORD || type == RI_SYMBOL) {
        len = snprintf((char *)p, 80, "n%llu/x%llu", (unsigned long long)(number % 3), (unsigned long long)number);
    }
    return ri_bytes_value(type, p, (size_t)len);
}

static inline ri_value data_stub(ri_type type, ri_arena *arena, uint64_t number)
{
    uint8_t whole[RI_VALUE_INLINE_MAX + 40];
    memset(whole, 'a' + (int)(number % 3), sizeof whole);
    ri_store_u64(whole + 100, number);
    for (int i = 100; i < 108; i++) {
        whole[i] &= 0x7f;
    }
    uint8_t *p = data_bytes(arena, RI_STUB_SIZE);
    ri_stub_write(p, whole, sizeof whole - number % 4);
    return ri_bytes_value(type, p, RI_STUB_SIZE);
}

static inline ri_value data_tuple(ri_arena *arena, uint64_t number)
{
    ri_buf buf = { 0 };
    ri_value parts[3] = { ri_long((int64_t)(number % 7)), ri_double((double)(number % 7)),
                          data_text(RI_STRING, arena, number / 7) };
    ri_value_write(&buf, &parts[number % 2]); /* (3) and (3.0) are equal, their bytes are not */
    if (number % 3 == 0) {
        ri_value_write(&buf, &parts[2]);
    }
    REQUIRE(!buf.failed);
    ri_value v = ri_bytes_value(RI_TUPLE, ri_arena_copy(arena, buf.p, buf.len), buf.len);
    ri_buf_deinit(&buf);
    return v;
}

static inline ri_value data_digits(ri_type type, ri_arena *arena, uint64_t number)
{
    uint8_t *p = data_bytes(arena, 64);
    const char *format = type == RI_BIGDEC ? "%s%llu.5" : "%s%llu00000000000000000000";
    int len = snprintf((char *)p, 64, format, number % 2 == 0 ? "" : "-", (unsigned long long)(number / 2 + 1));
    return ri_bytes_value(type, p, (size_t)len);
}

/* The number-th value of a type; all are valid. */
static inline ri_value data_value(ri_arena *arena, ri_type type, uint64_t number)
{
    uint8_t *p;
    switch (type) {
    case RI_BOOL:
        return ri_word(RI_BOOL, number % 2);
    case RI_LONG:
        return ri_long(number % 10 == 0 ? (int64_t)(ri_mix64(number)) : (int64_t)number - 20);
    case RI_DOUBLE:
        return ri_double(((double)number - 40) / 2);
    case RI_INSTANT:
        return ri_word(RI_INSTANT, 1700000000000U + number * 1000);
    case RI_REF:
        return ri_ref(number);
    case RI_BIGINT:
    case RI_BIGDEC:
        return data_digits(type, arena, number);
    case RI_UUID:
        p = data_bytes(arena, 16);
        ri_store_be64(p, number);
        ri_store_be64(p + 8, ri_mix64(number));
        return ri_bytes_value(RI_UUID, p, 16);
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
        return data_text(type, arena, number);
    case RI_BYTES:
        p = data_bytes(arena, 8);
        ri_store_u64(p, ri_mix64(number));
        return ri_bytes_value(RI_BYTES, p, number % 9);
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
        return data_stub(type, arena, number);
    case RI_TUPLE:
        return data_tuple(arena, number);
    case RI_FLOATS:
        p = data_bytes(arena, 8);
        memset(p, 0, 8);
        p[number % 3] = (uint8_t)number;
        return ri_bytes_value(RI_FLOATS, p, number % 2 == 0 ? 8 : 4);
    case RI_NIL:
    case RI_TYPE_COUNT:
        break;
    }
    return ri_nil();
}

static inline ri_datom data_datom(test_rng *rng, ri_arena *arena, const data_shape *shape)
{
    ri_datom d = { 0 };
    d.e = test_random_below(rng, shape->e_max);
    d.a = (uint32_t)test_random_below(rng, shape->a_max) * 3;
    d.t = 1000000 + test_random_below(rng, shape->t_max);
    d.x = d.t + test_random_below(rng, shape->t_max);
    d.added = test_random_below(rng, 2) == 0;
    ri_type type = (ri_type)(1 + (shape->mixed ? test_random(rng) : d.a / 3) % (RI_TYPE_COUNT - 1));
    if (shape->refs_only) {
        type = RI_REF;
    }
    d.v = data_value(arena, type, test_random_below(rng, shape->v_max));
    return d;
}

static ri_order data_order; /* for qsort */

/* What the order takes for equal is sorted by the rest, so that every qsort gives one result. */
static int data_cmp(const void *a, const void *b)
{
    const ri_datom *x = a;
    const ri_datom *y = b;
    int order = ri_datom_cmp(data_order, x, y);
    if (order == 0) {
        order = (x->t > y->t) - (x->t < y->t);
    }
    if (order == 0) {
        order = x->v.type - y->v.type;
    }
    if (order == 0 && !ri_type_is_word(x->v.type)) {
        order = x->v.len != y->v.len ? (x->v.len > y->v.len) - (x->v.len < y->v.len)
                                     : memcmp(x->v.as.p, y->v.as.p, x->v.len);
    }
    return order;
}

/* Sorts and drops equal ones; what the order does not store becomes what a node gives back. Gives the count. */
static inline uint32_t data_sort(ri_order order, ri_datom *rows, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        rows[i].x = order == RI_RET ? rows[i].x : 0;
        rows[i].added = order == RI_LOG ? rows[i].added : true;
    }
    data_order = order;
    qsort(rows, n, sizeof *rows, data_cmp);
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (count == 0 || ri_datom_cmp(order, &rows[count - 1], &rows[i]) != 0) {
            rows[count++] = rows[i];
        }
    }
    return count;
}

/* n rows at most, sorted; from the arena. */
static inline ri_datom *data_rows(test_rng *rng, ri_arena *arena, ri_order order, const data_shape *shape, uint32_t n,
                                  uint32_t *count)
{
    ri_datom *rows = ri_arena_array(arena, n, sizeof *rows);
    REQUIRE(rows != NULL);
    data_shape refs = *shape;
    refs.refs_only = order == RI_VAET;
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = data_datom(rng, arena, &refs);
    }
    *count = data_sort(order, rows, n);
    return rows;
}

static inline data_shape data_any_shape(test_rng *rng)
{
    return (data_shape){ .e_max = 1 + test_random_below(rng, 1U << test_random_below(rng, 14)),
                         .a_max = 1 + (uint32_t)test_random_below(rng, test_random_below(rng, 4) == 0 ? 300 : 20),
                         .t_max = 1 + test_random_below(rng, 1U << test_random_below(rng, 12)),
                         .v_max = 1 + test_random_below(rng, 1U << test_random_below(rng, 14)),
                         .mixed = test_random_below(rng, 3) == 0 };
}

/* A cut: near a row or anywhere, of any number of parts. */
static inline ri_bound data_bound(test_rng *rng, ri_arena *arena, ri_order order, const data_shape *shape,
                                  const ri_datom *rows, uint32_t n)
{
    ri_bound bound = { .after = test_random_below(rng, 2) == 0 };
    bound.parts = (uint8_t)test_random_below(rng, ri_order_parts(order) + 1);
    ri_datom any = data_datom(rng, arena, shape);
    bound.d = n == 0 || test_random_below(rng, 4) == 0 ? any : rows[test_random_below(rng, n)];
    switch (test_random_below(rng, 8)) {
    case 0:
        bound.d.e = any.e;
        break;
    case 1:
        bound.d.a = any.a + (uint32_t)test_random_below(rng, 2);
        break;
    case 2:
        bound.d.v = any.v;
        break;
    case 3:
        bound.d.v = data_value(arena, (ri_type)(1 + test_random_below(rng, RI_TYPE_COUNT - 1)),
                               test_random_below(rng, shape->v_max));
        break;
    case 4:
        bound.d.v = ri_nil();
        break;
    case 5:
        bound.d.t = any.t;
        bound.d.x = any.x;
        break;
    default:
        break;
    }
    return bound;
}

/* Rows before the cut. */
static inline uint32_t data_rank(ri_order order, const ri_datom *rows, uint32_t n, const ri_bound *bound)
{
    uint32_t from = 0;
    while (from < n) {
        uint32_t middle = from + (n - from) / 2;
        if (ri_datom_cmp_bound(order, &rows[middle], bound) < 0) {
            from = middle + 1;
        } else {
            n = middle;
        }
    }
    return from;
}

static inline bool data_same_value(const ri_value *a, const ri_value *b)
{
    if (a->type != b->type || ri_type_is_word(a->type)) {
        return a->type == b->type && a->as.u == b->as.u;
    }
    return a->len == b->len && (a->len == 0 || memcmp(a->as.p, b->as.p, a->len) == 0);
}

/* Every field, and the very bytes. */
static inline bool data_same(const ri_datom *a, const ri_datom *b)
{
    return a->e == b->e && a->a == b->a && a->t == b->t && a->x == b->x && a->added == b->added &&
           data_same_value(&a->v, &b->v);
}

#endif
