/* SPDX-License-Identifier: MIT
 *
 * The first bits of a value's place in the order: 4 bits for its class, 49 for the value.
 *
 * Numbers of all types share one scale, the keys of doubles without their 15 last bits. D(p) is the least double of
 * prefix p. A number's prefix is the greatest p with D(p) <= the number, which keeps the order between types: a long is
 * first rounded down to a double, a big number is parsed (rounded to the nearest) and corrected by one comparison.
 *
 * Bytes that begin alike have one prefix. Where all of a set of values do, what follows their common beginning tells them
 * apart: 7 bytes, and how many there were, 1 for none to 8 for 7, 9 for more. Of a long value only the stub's first
 * RI_STUB_PREFIX bytes are known; it comes after all whole ones that begin like these, as if bytes of 0xff followed.
 *
 * Cost: a few instructions, and one comparison of the common beginning; big numbers 0.1 us and more.
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

/* Bytes that are in order: those of a stub begin with some of its value's. */
static uint32_t known_len(const ri_value *v)
{
    return ri_type_is_stub(v->type) ? RI_STUB_PREFIX : v->len;
}

/* The first 7 bytes from `at` on, which is at most the known length, and what is known of how many there are. */
static uint64_t bytes_from(const ri_value *v, uint32_t at)
{
    bool is_stub = ri_type_is_stub(v->type);
    uint32_t left = known_len(v) - at;
    uint8_t word[8];
    memset(word, is_stub ? 0xff : 0, sizeof word);
    if (left > 0) {
        memcpy(word, v->as.p + at, left < 7 ? left : 7);
    }
    word[7] = (uint8_t)(is_stub || left > 7 ? 9 : left + 1);
    return ri_load_be64(word);
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
        return bytes_from(v, 0) >> (64 - VALUE_BITS);
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

uint32_t ri_value_shared(const ri_value *a, const ri_value *b)
{
    if (!ri_type_is_bytes(a->type) || ri_type_class(a->type) != ri_type_class(b->type)) {
        return 0;
    }
    uint32_t max = known_len(a) < known_len(b) ? known_len(a) : known_len(b);
    uint32_t len = 0;
    while (len < max && a->as.p[len] == b->as.p[len]) {
        len++;
    }
    return len;
}

uint64_t ri_value_prefix_behind(const ri_value *v, const uint8_t *common, uint32_t len)
{
    uint32_t known = known_len(v);
    int order = known == 0 ? 0 : memcmp(v->as.p, common, known < len ? known : len);
    if (order == 0 && known < len) {
        order = ri_type_is_stub(v->type) ? 1 : -1;
    }
    return order < 0 ? 0 : order > 0 ? UINT64_MAX : bytes_from(v, len);
}
