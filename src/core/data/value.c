/* SPDX-License-Identifier: MIT
 *
 * The order of values, their hash, and the word keys that columns hold.
 *
 * Invariants:
 * (N1) ri_value_cmp is a total order on valid values; it looks at nothing but the two values.
 * (N2) cmp(a, b) == 0 implies hash(a) == hash(b). Numbers: what is a whole number of int64 hashes as that; what else
 *      is exactly a double hashes as that; only the rest hashes its text (ri_number_hash).
 * (N3) For word types but numbers of different types: cmp(a, b) is the comparison of ri_word_to_key.
 *
 * Cost: words O(1) without a call; bytes one memcmp; tuples element by element.
 */
#include "value.h"

#include "../base/hash.h"

#define SIGN_BIT (UINT64_C(1) << 63)
#define CLASS_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Types of one class are compared with each other; see "Order" in value.h. */
static const uint8_t class_of_type[RI_TYPE_COUNT] = {
    [RI_NIL] = 0,     [RI_BOOL] = 1,       [RI_LONG] = 2,    [RI_DOUBLE] = 2, [RI_BIGINT] = 2,  [RI_BIGDEC] = 2,
    [RI_INSTANT] = 3, [RI_UUID] = 4,       [RI_KEYWORD] = 5, [RI_SYMBOL] = 6, [RI_STRING] = 7,  [RI_STRING_BLOB] = 7,
    [RI_BYTES] = 8,   [RI_BYTES_BLOB] = 8, [RI_REF] = 9,     [RI_TUPLE] = 10, [RI_FLOATS] = 11,
};

unsigned ri_type_class(uint8_t type)
{
    return class_of_type[type];
}

static int cmp_values(const ri_value *a, const ri_value *b, unsigned depth);

static int cmp_bytes(const ri_value *a, const ri_value *b)
{
    uint32_t shared = a->len < b->len ? a->len : b->len;
    int order = shared == 0 ? 0 : memcmp(a->as.p, b->as.p, shared);
    return order != 0 ? order : ri_cmp_u64(a->len, b->len);
}

static int cmp_stubs(const ri_value *a, const ri_value *b)
{
    int order = memcmp(a->as.p, b->as.p, RI_STUB_PREFIX);
    if (order == 0) {
        order = ri_cmp_u64(ri_stub_len(a), ri_stub_len(b));
    }
    return order != 0 ? order : memcmp(ri_stub_addr(a), ri_stub_addr(b), RI_HASH_SIZE);
}

/* A whole text never equals a stub: with equal prefixes, and when it ends within the prefix, it comes first. */
static int cmp_whole_to_stub(const ri_value *whole, const ri_value *stub)
{
    uint32_t shared = whole->len < RI_STUB_PREFIX ? whole->len : RI_STUB_PREFIX;
    int order = shared == 0 ? 0 : memcmp(whole->as.p, stub->as.p, shared);
    return order != 0 ? order : -1;
}

/* The next element of a tuple that was checked when it was read; false at the end. */
static bool next_element(ri_reader *r, ri_value *out)
{
    if (r->bad || r->p == r->end) {
        return false;
    }
    uint8_t type = ri_read_u8(r);
    if (ri_type_is_word(type)) {
        *out = ri_word((ri_type)type, ri_key_to_word(type, ri_read_u64(r)));
    } else {
        size_t len = (size_t)ri_read_varint_max(r, RI_VALUE_BYTES_MAX);
        *out = (ri_value){ { .p = ri_read_bytes(r, len) }, (uint32_t)len, type };
    }
    return !r->bad && type < RI_TYPE_COUNT;
}

static int cmp_tuples(const ri_value *a, const ri_value *b, unsigned depth)
{
    if (depth == RI_TUPLE_DEPTH_MAX) {
        return cmp_bytes(a, b); /* only for values that ri_value_valid refuses */
    }
    ri_reader ra = ri_reader_of(a->as.p, a->len);
    ri_reader rb = ri_reader_of(b->as.p, b->len);
    for (;;) {
        ri_value va;
        ri_value vb;
        bool more_a = next_element(&ra, &va);
        bool more_b = next_element(&rb, &vb);
        if (!more_a || !more_b) {
            return (int)more_a - (int)more_b;
        }
        int order = cmp_values(&va, &vb, depth + 1);
        if (order != 0) {
            return order;
        }
    }
}

static int cmp_same_type(const ri_value *a, const ri_value *b, unsigned depth)
{
    switch ((ri_type)a->type) {
    case RI_NIL:
    case RI_TYPE_COUNT:
        return 0;
    case RI_BOOL:
    case RI_REF:
        return ri_cmp_u64(a->as.u, b->as.u);
    case RI_LONG:
    case RI_INSTANT:
        return ri_cmp_i64(a->as.i, b->as.i);
    case RI_DOUBLE:
        return (a->as.d > b->as.d) - (a->as.d < b->as.d);
    case RI_BIGINT:
    case RI_BIGDEC:
        return ri_number_cmp(a, b);
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
    case RI_BYTES:
    case RI_FLOATS:
        return cmp_bytes(a, b);
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
        return cmp_stubs(a, b);
    case RI_TUPLE:
        return cmp_tuples(a, b, depth);
    }
    return 0;
}

static int cmp_values(const ri_value *a, const ri_value *b, unsigned depth)
{
    if (a->type == b->type) {
        return cmp_same_type(a, b, depth);
    }
    int class_a = class_of_type[a->type];
    int class_b = class_of_type[b->type];
    if (class_a != class_b) {
        return class_a - class_b;
    }
    if (ri_type_is_number(a->type)) {
        return ri_number_cmp(a, b);
    }
    /* the two types of a class of texts: the smaller one is whole */
    return a->type < b->type ? cmp_whole_to_stub(a, b) : -cmp_whole_to_stub(b, a);
}

int ri_value_cmp(const ri_value *a, const ri_value *b)
{
    return cmp_values(a, b, 0);
}

static uint64_t hash_value(const ri_value *v, unsigned depth)
{
    if (ri_type_is_number(v->type)) {
        return ri_number_hash(v);
    }
    uint64_t seed = v->type * CLASS_FACTOR;
    if (ri_type_is_word(v->type)) {
        return ri_keyed_word(v->as.u + seed);
    }
    if (v->type != RI_TUPLE || depth == RI_TUPLE_DEPTH_MAX) {
        return ri_keyed_bytes(v->as.p, v->len, seed);
    }
    ri_reader r = ri_reader_of(v->as.p, v->len);
    ri_value element;
    uint64_t h = ri_keyed_word(seed); /* the secret is in a tuple of nothing but empty tuples, too */
    while (next_element(&r, &element)) {
        h = ri_mix64(h * 31 + hash_value(&element, depth + 1)); /* 31: order counts, as the mixer alone is symmetric */
    }
    return h;
}

uint64_t ri_value_hash(const ri_value *v)
{
    return hash_value(v, 0);
}

uint64_t ri_key_to_word(uint8_t type, uint64_t key)
{
    if (type == RI_LONG || type == RI_INSTANT) {
        return key ^ SIGN_BIT;
    }
    if (type == RI_DOUBLE) {
        return key ^ (((key >> 63) - 1) | SIGN_BIT);
    }
    return key;
}

bool ri_value_copy(ri_arena *arena, const ri_value *v, ri_value *out)
{
    ri_value copy = *v;
    if (!ri_type_is_word(v->type)) {
        copy.as.p = ri_arena_copy(arena, v->as.p, v->len);
        if (copy.as.p == NULL) {
            *out = ri_nil();
            return false;
        }
    }
    *out = copy;
    return true;
}

static const char *const type_names[RI_TYPE_COUNT] = {
    [RI_NIL] = "nil",         [RI_BOOL] = "boolean",     [RI_LONG] = "long",       [RI_DOUBLE] = "double",
    [RI_BIGINT] = "bigint",   [RI_BIGDEC] = "bigdec",    [RI_INSTANT] = "instant", [RI_UUID] = "uuid",
    [RI_KEYWORD] = "keyword", [RI_SYMBOL] = "symbol",    [RI_STRING] = "string",   [RI_STRING_BLOB] = "string",
    [RI_BYTES] = "bytes",     [RI_BYTES_BLOB] = "bytes", [RI_REF] = "ref",         [RI_TUPLE] = "tuple",
    [RI_FLOATS] = "floats",
};

const char *ri_type_name(uint8_t type)
{
    return type < RI_TYPE_COUNT ? type_names[type] : "unknown";
}

int ri_type_by_name(const char *name, size_t len)
{
    for (int type = RI_BOOL; type < RI_TYPE_COUNT; type++) {
        if (strlen(type_names[type]) == len && memcmp(type_names[type], name, len) == 0) {
            return type;
        }
    }
    return -1;
}
