/* SPDX-License-Identifier: MIT
 *
 * The first bits of a value's place in the order: 4 bits for its class, 49 for the value.
 *
 * Numbers of all types share one scale, the keys of doubles without their 15 last bits. D(p) is the least double of
 * prefix p. A number's prefix is the greatest p with D(p) <= the number, which keeps the order between types: a long is
 * first rounded down to a double, a big number is parsed (rounded to the nearest) and corrected by one comparison.
 *
 * Cost: a few instructions; big numbers 0.1 us and more.
 */
#include "value.h"

#include "../base/hash.h"

#include <string.h>

#define VALUE_BITS 49U
#define VALUE_MAX ((UINT64_C(1) << VALUE_BITS) - 1)
#define DOUBLE_CUT (64U - VALUE_BITS)
#define EXACT_MAX (INT64_C(1) << 53)
#define ROUND_BITS 11U /* of an int64 that a double may lack */

static uint64_t of_double(double d)
{
    return ri_word_to_key(RI_DOUBLE, ri_double(d).as.u) >> DOUBLE_CUT;
}

static uint64_t of_long(int64_t i)
{
    if (i > EXACT_MAX || i < -EXACT_MAX) {
        i &= ~((INT64_C(1) << ROUND_BITS) - 1); /* down: two's complement */
    }
    return of_double((double)i);
}

static uint64_t of_big(const ri_value *v)
{
    bool negative = v->len > 0 && v->as.p[0] == '-';
    double d;
    if (ri_double_parse((const char *)v->as.p, v->len, &d, NULL) != 0 || d - d != 0) { /* beyond all finite ones */
        uint64_t bits = negative ? UINT64_C(0xfff0000000000000) : UINT64_C(0x7fefffffffffffff);
        return ri_word_to_key(RI_DOUBLE, bits) >> DOUBLE_CUT;
    }
    uint64_t p = of_double(d);
    ri_value least = ri_word(RI_DOUBLE, ri_key_to_word(RI_DOUBLE, p << DOUBLE_CUT));
    return ri_number_cmp(&least, v) > 0 ? p - 1 : p;
}

static uint64_t of_signed(int64_t i)
{
    int64_t half = INT64_C(1) << (VALUE_BITS - 1);
    return i < -half ? 0 : i >= half ? VALUE_MAX : (uint64_t)(i + half);
}

/* 6 bytes and a 0 bit. */
static uint64_t of_bytes(const ri_value *v)
{
    uint8_t head[8] = { 0 };
    if (v->len > 0) {
        memcpy(head, v->as.p, v->len < 6 ? v->len : 6);
    }
    return ri_load_be64(head) >> (64 - VALUE_BITS);
}

static uint64_t inside_class(const ri_value *v)
{
    switch ((ri_type)v->type) {
    case RI_LONG:
        return of_long(v->as.i);
    case RI_DOUBLE:
        return of_double(v->as.d);
    case RI_BIGINT:
    case RI_BIGDEC:
        return of_big(v);
    case RI_INSTANT:
        return of_signed(v->as.i);
    case RI_BOOL:
    case RI_REF:
        return v->as.u < VALUE_MAX ? v->as.u : VALUE_MAX;
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
    case RI_STRING_BLOB:
    case RI_BYTES:
    case RI_BYTES_BLOB:
    case RI_FLOATS:
        return of_bytes(v);
    case RI_NIL:
    case RI_TUPLE:
    case RI_TYPE_COUNT:
        break;
    }
    return 0;
}

uint64_t ri_value_prefix(const ri_value *v)
{
    return (uint64_t)ri_type_class(v->type) << VALUE_BITS | inside_class(v);
}
