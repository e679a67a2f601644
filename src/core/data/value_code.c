/* SPDX-License-Identifier: MIT
 *
 * Values as bytes: writing, reading with every check that a value promises, and stubs of long ones.
 *
 *   word types   type u8 | ri_word_to_key as u64 LE              (nil: key 0)
 *   others       type u8 | length varint | bytes
 *   stub         first 64 bytes | length u64 LE | BLAKE2b-256 of the whole
 *
 * Invariants:
 * (N1) One value has one encoding, and every encoding that ri_value_read takes is written back as the same bytes.
 * (N2) Tuples nest at most RI_TUPLE_DEPTH_MAX deep, so that whatever recurses into them is bounded.
 *
 * Cost: O(bytes); reading allocates nothing.
 */
#include "value.h"

#include "../base/hash.h"

#define NEGATIVE_ZERO (UINT64_C(1) << 63)

void ri_value_write(ri_buf *out, const ri_value *v)
{
    uint8_t *p = ri_buf_reserve(out, 1 + RI_VARINT_SIZE_MAX + (size_t)v->len);
    if (p == NULL) {
        return;
    }
    uint8_t *start = p;
    *p++ = v->type;
    if (ri_type_is_word(v->type)) {
        ri_store_u64(p, ri_word_to_key(v->type, v->as.u));
        p += 8;
    } else {
        p += ri_put_varint(p, v->len);
        if (v->len > 0) {
            memcpy(p, v->as.p, v->len);
            p += v->len;
        }
    }
    out->len += (size_t)(p - start);
}

static bool digits_valid(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
    }
    return len > 0;
}

/* "-"? digits, no leading 0, outside int64: at least 19 digits, and 19 only when they exceed the largest long. */
static bool bigint_valid(const uint8_t *p, size_t len)
{
    bool negative = len > 0 && p[0] == '-';
    const uint8_t *digits = p + (negative ? 1 : 0);
    size_t count = len - (negative ? 1 : 0);
    if (count < 19 || count > RI_DIGITS_MAX || digits[0] == '0' || !digits_valid(digits, count)) {
        return false;
    }
    return count > 19 || memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) > 0;
}

static bool bigdec_valid(const uint8_t *p, size_t len)
{
    bool negative = len > 0 && p[0] == '-';
    const uint8_t *digits = p + (negative ? 1 : 0);
    size_t count = len - (negative ? 1 : 0);
    if (count > RI_DIGITS_MAX + 1) {
        return false;
    }
    const uint8_t *point = count == 0 ? NULL : memchr(digits, '.', count);
    size_t whole = point == NULL ? count : (size_t)(point - digits);
    if (!digits_valid(digits, whole) || (digits[0] == '0' && whole > 1)) {
        return false;
    }
    if (point == NULL) {
        return count <= RI_DIGITS_MAX && !(negative && digits[0] == '0');
    }
    return digits_valid(point + 1, count - whole - 1) && digits[count - 1] != '0';
}

static bool floats_valid(const uint8_t *p, size_t len)
{
    if (len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < len; i += 4) {
        if ((ri_load_u32(p + i) & 0x7fffffffU) > 0x7f800000U) { /* a NaN */
            return false;
        }
    }
    return true;
}

static bool stub_valid(const ri_value *v)
{
    if (v->len != RI_STUB_SIZE || ri_stub_len(v) <= RI_VALUE_INLINE_MAX || ri_stub_len(v) > RI_VALUE_BYTES_MAX) {
        return false;
    }
    /* the prefix may end within a character */
    return v->type == RI_BYTES_BLOB || ri_utf8_span(v->as.p, RI_STUB_PREFIX) + 3 >= RI_STUB_PREFIX;
}

static bool word_valid(uint8_t type, uint64_t word)
{
    if (type == RI_DOUBLE) {
        double d;
        memcpy(&d, &word, sizeof d);
        return d == d && word != NEGATIVE_ZERO;
    }
    return type == RI_LONG || type == RI_INSTANT || word <= (type == RI_REF ? RI_EID_MAX : type == RI_BOOL ? 1U : 0U);
}

static ri_value read_value(ri_reader *r, unsigned depth);

static bool bytes_valid(const ri_value *v, unsigned depth)
{
    if (v->len > RI_VALUE_BYTES_MAX || (v->as.p == NULL && v->len > 0)) {
        return false;
    }
    switch ((ri_type)v->type) {
    case RI_BIGINT:
        return bigint_valid(v->as.p, v->len);
    case RI_BIGDEC:
        return bigdec_valid(v->as.p, v->len);
    case RI_UUID:
        return v->len == 16;
    case RI_KEYWORD:
    case RI_SYMBOL:
        return ri_name_valid((ri_type)v->type, v->as.p, v->len);
    case RI_STRING:
        return ri_utf8_valid(v->as.p, v->len);
    case RI_BYTES:
        return true;
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
        return stub_valid(v);
    case RI_FLOATS:
        return floats_valid(v->as.p, v->len);
    case RI_TUPLE: {
        ri_reader r = ri_reader_of(v->as.p, v->len);
        while (depth < RI_TUPLE_DEPTH_MAX && !r.bad && r.p != r.end) {
            (void)read_value(&r, depth + 1);
        }
        return depth < RI_TUPLE_DEPTH_MAX && !r.bad;
    }
    case RI_NIL:
    case RI_BOOL:
    case RI_LONG:
    case RI_DOUBLE:
    case RI_INSTANT:
    case RI_REF:
    case RI_TYPE_COUNT:
        break;
    }
    return false;
}

static ri_value read_value(ri_reader *r, unsigned depth)
{
    ri_value v = ri_nil();
    v.type = ri_read_u8(r);
    bool valid;
    if (ri_type_is_word(v.type)) {
        v.as.u = ri_key_to_word(v.type, ri_read_u64(r));
        valid = word_valid(v.type, v.as.u);
    } else {
        v.len = (uint32_t)ri_read_varint_max(r, RI_VALUE_BYTES_MAX);
        v.as.p = ri_read_bytes(r, v.len);
        valid = !r->bad && bytes_valid(&v, depth);
    }
    if (r->bad || !valid) {
        r->bad = true;
        return ri_nil();
    }
    return v;
}

ri_value ri_value_read(ri_reader *r)
{
    return read_value(r, 0);
}

bool ri_value_valid(const ri_value *v)
{
    return ri_type_is_word(v->type) ? word_valid(v->type, v->as.u) : bytes_valid(v, 0);
}

void ri_stub_write(uint8_t out[RI_STUB_SIZE], const uint8_t *bytes, size_t len)
{
    memset(out, 0, RI_STUB_PREFIX);
    memcpy(out, bytes, len < RI_STUB_PREFIX ? len : RI_STUB_PREFIX);
    ri_store_u64(out + RI_STUB_PREFIX, len);
    ri_blake2b(out + RI_STUB_PREFIX + 8, bytes, len);
}

int ri_value_shorten(ri_arena *arena, ri_value *v, rille_err *err)
{
    if ((v->type != RI_STRING && v->type != RI_BYTES) || v->len <= RI_VALUE_INLINE_MAX) {
        return 0;
    }
    uint8_t *stub = ri_arena_alloc(arena, RI_STUB_SIZE);
    if (stub == NULL) {
        return ri_fail_nomem(err);
    }
    ri_stub_write(stub, v->as.p, v->len);
    *v = ri_bytes_value(v->type == RI_STRING ? RI_STRING_BLOB : RI_BYTES_BLOB, stub, RI_STUB_SIZE);
    return 0;
}
