/* SPDX-License-Identifier: MIT
 *
 * Random values of every type, often equal, often at a boundary of their type.
 */
#ifndef RILLE_TEST_DATA_VALUES_H
#define RILLE_TEST_DATA_VALUES_H

#include "../src/core/data/value.h"
#include "harness.h"

static inline int test_sign(int x)
{
    return (x > 0) - (x < 0);
}

static inline ri_value test_value_of_text(ri_arena *arena, ri_type type, const char *text)
{
    char *copy = ri_arena_text(arena, text, strlen(text));
    REQUIRE(copy != NULL);
    return ri_bytes_value(type, copy, strlen(text));
}

static inline double test_double(test_rng *rng)
{
    static const double edges[] = { 0,
                                    1,
                                    -1,
                                    0.5,
                                    9007199254740991.0,
                                    9007199254740992.0,
                                    9223372036854775808.0,
                                    -9223372036854775808.0,
                                    18446744073709551616.0,
                                    1e300,
                                    -1e300,
                                    5e-324,
                                    -5e-324,
                                    1e30 };
    if (test_random_below(rng, 3) != 0) {
        return edges[test_random_below(rng, sizeof edges / sizeof *edges)];
    }
    uint64_t bits = test_random(rng);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d == d ? d : 2;
}

static inline int64_t test_long(test_rng *rng)
{
    static const int64_t edges[] = { 0,
                                     1,
                                     -1,
                                     2,
                                     INT64_MAX,
                                     INT64_MIN,
                                     INT64_MAX - 1,
                                     9007199254740991,
                                     9007199254740992,
                                     9007199254740993,
                                     -9007199254740993 };
    return test_random_below(rng, 2) == 0 ? edges[test_random_below(rng, sizeof edges / sizeof *edges)]
                                          : (int64_t)test_random(rng) >> test_random_below(rng, 64);
}

static inline ri_value test_number_text(test_rng *rng, ri_arena *arena, ri_type type)
{
    static const char *const whole[] = { "9223372036854775808", "-9223372036854775809", "18446744073709551616",
                                         "1000000000000000000000000000000",
                                         "100000000000000000000000000000000000000000000000000000000000000000000" };
    static const char *const decimals[] = { "0",
                                            "1",
                                            "-1",
                                            "0.5",
                                            "-0.5",
                                            "2",
                                            "0.1",
                                            "1.5",
                                            "9007199254740993",
                                            "0.1000000000000000055511151231257827021181583404541015625",
                                            "9223372036854775808",
                                            "9223372036854775807.5",
                                            "1000000000000000000000000000000" };
    return type == RI_BIGINT
               ? test_value_of_text(arena, type, whole[test_random_below(rng, sizeof whole / sizeof *whole)])
               : test_value_of_text(arena, type, decimals[test_random_below(rng, sizeof decimals / sizeof *decimals)]);
}

/* Few different letters and lengths, so that prefixes are shared; around the prefix of a stub, too. */
static inline ri_value test_letters(test_rng *rng, ri_arena *arena, ri_type type)
{
    size_t len = test_random_below(rng, 4);
    if (test_random_below(rng, 4) == 0) {
        len = 62 + test_random_below(rng, 5);
    }
    if (type == RI_KEYWORD || type == RI_SYMBOL) {
        len++;
    }
    uint8_t *p = ri_arena_alloc(arena, len + 1);
    REQUIRE(p != NULL);
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)('a' + (len > 60 ? test_random_below(rng, 40) / 39 : test_random_below(rng, 2)));
    }
    return ri_bytes_value(type, p, len);
}

static inline ri_value test_stub(test_rng *rng, ri_arena *arena, ri_type type)
{
    static uint8_t bytes[RI_VALUE_INLINE_MAX + 8];
    memset(bytes, 'a', sizeof bytes);
    bytes[test_random_below(rng, 3) * 63] = (uint8_t)('a' + test_random_below(rng, 2));
    uint8_t *stub = ri_arena_alloc(arena, RI_STUB_SIZE);
    REQUIRE(stub != NULL);
    ri_stub_write(stub, bytes, RI_VALUE_INLINE_MAX + 1 + test_random_below(rng, 3));
    return ri_bytes_value(type, stub, RI_STUB_SIZE);
}

static inline ri_value test_floats(test_rng *rng, ri_arena *arena)
{
    uint32_t count = (uint32_t)test_random_below(rng, 4);
    uint8_t *p = ri_arena_alloc(arena, 4 * (size_t)count + 1);
    REQUIRE(p != NULL);
    for (uint32_t i = 0; i < count; i++) {
        ri_store_u32(p + 4 * i, (uint32_t)test_random(rng) & 0xbfffffffU); /* no infinity, no NaN */
    }
    return ri_bytes_value(RI_FLOATS, p, 4 * (size_t)count);
}

static inline ri_value test_value(test_rng *rng, ri_arena *arena, unsigned depth)
{
    ri_type type = (ri_type)test_random_below(rng, RI_TYPE_COUNT);
    switch (type) {
    case RI_NIL:
    case RI_TYPE_COUNT:
        return ri_nil();
    case RI_BOOL:
        return ri_word(type, test_random(rng) & 1);
    case RI_LONG:
    case RI_INSTANT:
        return ri_word(type, (uint64_t)test_long(rng));
    case RI_DOUBLE:
        return ri_double(test_double(rng));
    case RI_REF:
        return ri_ref(test_random(rng) >> (11 + test_random_below(rng, 53)));
    case RI_BIGINT:
    case RI_BIGDEC:
        return test_number_text(rng, arena, type);
    case RI_UUID: {
        ri_value v = test_value_of_text(arena, type, "0123456789abcdef");
        return v;
    }
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
    case RI_BYTES:
        return test_letters(rng, arena, type);
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
        return test_stub(rng, arena, type);
    case RI_FLOATS:
        return test_floats(rng, arena);
    case RI_TUPLE: {
        ri_buf bytes = { 0 };
        for (uint64_t left = depth == RI_TUPLE_DEPTH_MAX ? 0 : test_random_below(rng, 4); left > 0; left--) {
            ri_value element = test_value(rng, arena, depth + 1);
            ri_value_write(&bytes, &element);
        }
        ri_value borrowed = ri_bytes_value(RI_TUPLE, bytes.p, bytes.len);
        ri_value copy;
        REQUIRE(ri_value_copy(arena, &borrowed, &copy));
        ri_buf_deinit(&bytes);
        return copy;
    }
    }
    return ri_nil();
}

#endif
