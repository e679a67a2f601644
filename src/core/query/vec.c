/* SPDX-License-Identifier: MIT
 *
 * Columns of batches: writing, gathering, hashing and comparing rows.
 *
 * Invariants:
 * (N1) eq(a, b) implies hash(a) == hash(b), across all number types and refs: the hash of a long's word below is
 *      that of ri_number_hash, computed without a call.
 *      A long text and its stub are equal (in their class, ri_value_cmp alone tells them apart), so the text hashes as
 *      its stub: where a value came from makes no difference to sets and joins.
 * (N2) A column whose type is a word type has no valid lens; one that is not RI_MIXED has no valid types.
 *
 * Cost: words a few instructions a row in loops without branches; bytes one memcmp or one hash of the bytes.
 */
#include "batch.h"

#include "../base/hash.h"

#define HASH_LONG UINT64_C(0x2545f4914f6cdd1d) /* (N1) */
#define HASH_ROW_FACTOR UINT64_C(0x9e3779b97f4a7c15)

bool ri_vec_init(ri_vec *vec, ri_arena *arena, uint32_t rows)
{
    *vec = (ri_vec){ 0 };
    uint64_t *words = ri_arena_array(arena, rows, sizeof *words);
    uint32_t *lens = ri_arena_array(arena, rows, sizeof *lens);
    uint8_t *types = ri_arena_array(arena, rows, sizeof *types);
    if (words == NULL || lens == NULL || types == NULL) {
        return false;
    }
    vec->words = words;
    vec->lens = lens;
    vec->types = types;
    vec->type = RI_NIL;
    return true;
}

bool ri_vec_has_stubs(const ri_vec *vec, uint32_t rows)
{
    if (vec->type != RI_MIXED) {
        return ri_type_is_stub(vec->type);
    }
    for (uint32_t i = 0; i < rows; i++) {
        if (ri_type_is_stub(vec->types[i])) {
            return true;
        }
    }
    return false;
}

static void make_mixed(ri_vec *vec, uint32_t rows)
{
    memset(vec->types, vec->type, rows);
    vec->type = RI_MIXED;
}

static inline uint64_t word_of(const ri_value *v)
{
    if (ri_type_is_word(v->type)) {
        return v->as.u;
    }
    ri_value word = { { .u = 0 }, 0, 0 }; /* pointers may be narrower than the word */
    word.as.p = v->as.p;
    return word.as.u;
}

void ri_vec_set(ri_vec *vec, uint32_t row, const ri_value *v)
{
    if (row == 0) {
        vec->type = v->type;
    } else if (vec->type != v->type && vec->type != RI_MIXED) {
        make_mixed(vec, row);
    }
    vec->words[row] = word_of(v);
    if (vec->type == RI_MIXED) {
        vec->types[row] = v->type;
    }
    if (!ri_type_is_word(v->type)) {
        vec->lens[row] = v->len;
    }
}

void ri_vec_fill(ri_vec *vec, uint32_t count, const ri_value *v)
{
    uint64_t word = word_of(v);
    vec->type = v->type;
    for (uint32_t i = 0; i < count; i++) {
        vec->words[i] = word;
    }
    if (!ri_type_is_word(v->type)) {
        for (uint32_t i = 0; i < count; i++) {
            vec->lens[i] = v->len;
        }
    }
}

static void append_types(const ri_vec *in, const uint32_t *rows, uint32_t count, ri_vec *out, uint32_t at)
{
    if (in->type != RI_MIXED) {
        memset(out->types + at, in->type, count);
    } else if (rows == NULL) {
        memcpy(out->types + at, in->types, count);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            out->types[at + i] = in->types[rows[i]];
        }
    }
}

void ri_vec_append(const ri_vec *in, const uint32_t *rows, uint32_t count, ri_vec *out, uint32_t at)
{
    if (count == 0) {
        return;
    }
    if (at == 0) {
        out->type = in->type;
    } else if (out->type != in->type && out->type != RI_MIXED) {
        make_mixed(out, at);
    }
    if (out->type == RI_MIXED) {
        append_types(in, rows, count, out, at);
    }
    bool has_lens = !ri_type_is_word(in->type);
    if (rows == NULL) {
        memcpy(out->words + at, in->words, count * sizeof *out->words);
        if (has_lens) {
            memcpy(out->lens + at, in->lens, count * sizeof *out->lens);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        out->words[at + i] = in->words[rows[i]];
    }
    if (has_lens) {
        for (uint32_t i = 0; i < count; i++) {
            out->lens[at + i] = in->lens[rows[i]];
        }
    }
}

void ri_vec_gather(const ri_vec *in, const uint32_t *rows, uint32_t count, ri_vec *out)
{
    if (count == 0) {
        out->type = in->type;
        return;
    }
    ri_vec_append(in, rows, count, out, 0);
}

static inline uint64_t hash_long(uint64_t word)
{
    return ri_keyed_word(word + HASH_LONG);
}

static inline bool is_integer(uint8_t type)
{
    return type == RI_LONG || type == RI_REF;
}

static inline bool is_long_text(const ri_value *v)
{
    return (v->type == RI_STRING || v->type == RI_BYTES) && v->len > RI_VALUE_INLINE_MAX;
}

uint64_t ri_vec_hash(const ri_vec *vec, uint32_t row)
{
    ri_value v = ri_vec_get(vec, row);
    uint8_t stub[RI_STUB_SIZE];
    if (is_integer(v.type)) {
        return hash_long(v.as.u);
    }
    if (is_long_text(&v)) {
        ri_stub_write(stub, v.as.p, v.len);
        v = ri_bytes_value(v.type == RI_STRING ? RI_STRING_BLOB : RI_BYTES_BLOB, stub, sizeof stub);
    }
    return ri_value_hash(&v);
}

/* One column's hashes join those of the columns before it, in order. */
static void hash_column(const ri_vec *vec, uint32_t from, uint32_t count, bool is_first, uint64_t *out)
{
    const uint64_t *words = vec->words + from;
    uint64_t k[4]; /* on the stack, so that it stays in registers */
    memcpy(k, ri_secret_get(), sizeof k);
    if (is_integer(vec->type) && is_first) {
        for (uint32_t i = 0; i < count; i++) {
            out[i] = ri_keyed_word_by(k, words[i] + HASH_LONG);
        }
    } else if (is_integer(vec->type)) {
        for (uint32_t i = 0; i < count; i++) {
            out[i] = (out[i] ^ ri_keyed_word_by(k, words[i] + HASH_LONG)) * HASH_ROW_FACTOR;
        }
    } else if (is_first) {
        for (uint32_t i = 0; i < count; i++) {
            out[i] = ri_vec_hash(vec, from + i);
        }
    } else {
        for (uint32_t i = 0; i < count; i++) {
            out[i] = (out[i] ^ ri_vec_hash(vec, from + i)) * HASH_ROW_FACTOR;
        }
    }
}

void ri_vec_hash_rows(const ri_vec *const *cols, uint16_t col_count, uint32_t from, uint32_t count, uint64_t *out)
{
    if (col_count == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    hash_column(cols[0], from, count, true, out);
    for (uint16_t c = 1; c < col_count; c++) {
        /* multiplied first, so that (1, 2) and (2, 1) differ */
        for (uint32_t i = 0; i < count; i++) {
            out[i] *= HASH_ROW_FACTOR;
        }
        hash_column(cols[c], from, count, false, out);
    }
}

/* Is it the stub of that text? */
static bool stands_for(const ri_value *stub, const ri_value *text)
{
    uint8_t made[RI_STUB_SIZE];
    if (text->type != (stub->type == RI_STRING_BLOB ? RI_STRING : RI_BYTES) || !is_long_text(text) ||
        ri_stub_len(stub) != text->len || memcmp(stub->as.p, text->as.p, RI_STUB_PREFIX) != 0) {
        return false;
    }
    ri_stub_write(made, text->as.p, text->len);
    return memcmp(made, stub->as.p, sizeof made) == 0;
}

bool ri_same_value(const ri_value *a, const ri_value *b)
{
    ri_value x = ri_plain(*a);
    ri_value y = ri_plain(*b);
    bool stub = ri_type_is_stub(x.type);
    if (stub != ri_type_is_stub(y.type)) {
        return stub ? stands_for(&x, &y) : stands_for(&y, &x);
    }
    return ri_value_eq(&x, &y);
}

static bool is_text(uint8_t type, uint8_t other)
{
    return type == other && (type == RI_STRING || type == RI_BYTES);
}

/* Texts and stubs, of which one at least is long: by the prefix, short ones first, then by length and hash. */
static int cmp_long_texts(const ri_value *a, const ri_value *b)
{
    bool long_a = ri_type_is_stub(a->type) || is_long_text(a);
    bool long_b = ri_type_is_stub(b->type) || is_long_text(b);
    uint32_t shared = RI_STUB_PREFIX;
    shared = !long_a && a->len < shared ? a->len : shared;
    shared = !long_b && b->len < shared ? b->len : shared;
    int order = shared > 0 ? memcmp(a->as.p, b->as.p, shared) : 0;
    if (order != 0 || !long_a || !long_b) {
        return order != 0 ? order : (int)long_a - (int)long_b;
    }
    uint64_t len_a = ri_type_is_stub(a->type) ? ri_stub_len(a) : a->len;
    uint64_t len_b = ri_type_is_stub(b->type) ? ri_stub_len(b) : b->len;
    if (len_a != len_b || (is_text(a->type, b->type) && memcmp(a->as.p, b->as.p, a->len) == 0)) {
        return ri_cmp_u64(len_a, len_b);
    }
    uint8_t stubs[2][RI_STUB_SIZE];
    const ri_value *given[2] = { a, b };
    for (unsigned i = 0; i < 2; i++) {
        if (ri_type_is_stub(given[i]->type)) {
            memcpy(stubs[i], given[i]->as.p, RI_STUB_SIZE);
        } else {
            ri_stub_write(stubs[i], given[i]->as.p, given[i]->len);
        }
    }
    return memcmp(stubs[0], stubs[1], RI_STUB_SIZE);
}

static bool same_class_text(const ri_value *a, const ri_value *b)
{
    bool string_a = a->type == RI_STRING || a->type == RI_STRING_BLOB;
    bool string_b = b->type == RI_STRING || b->type == RI_STRING_BLOB;
    bool bytes_a = a->type == RI_BYTES || a->type == RI_BYTES_BLOB;
    bool bytes_b = b->type == RI_BYTES || b->type == RI_BYTES_BLOB;
    return (string_a && string_b) || (bytes_a && bytes_b);
}

int ri_query_cmp(const ri_value *a, const ri_value *b)
{
    ri_value x = ri_plain(*a);
    ri_value y = ri_plain(*b);
    bool long_text = ri_type_is_stub(x.type) || ri_type_is_stub(y.type) || is_long_text(&x) || is_long_text(&y);
    return long_text && same_class_text(&x, &y) ? cmp_long_texts(&x, &y) : ri_value_cmp(&x, &y);
}

bool ri_vec_eq(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row)
{
    ri_value va = ri_plain(ri_vec_get(a, a_row));
    ri_value vb = ri_plain(ri_vec_get(b, b_row));
    if (va.type == vb.type && ri_type_is_word(va.type)) {
        return va.as.u == vb.as.u; /* doubles too: no NaN, no -0 */
    }
    if (va.type == vb.type && va.len != vb.len && va.type != RI_TUPLE) {
        return false;
    }
    return ri_same_value(&va, &vb);
}

int ri_vec_cmp_form(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row)
{
    ri_value va = ri_plain(ri_vec_get(a, a_row));
    ri_value vb = ri_plain(ri_vec_get(b, b_row));
    if (va.type != vb.type) {
        bool numbers = ri_type_is_number(va.type) && ri_type_is_number(vb.type);
        return numbers ? (int)va.type - (int)vb.type : 0;
    }
    uint32_t shared = va.len < vb.len ? va.len : vb.len; /* the numbers inside a tuple, by their types in its bytes */
    return va.type == RI_TUPLE && shared > 0 ? memcmp(va.as.p, vb.as.p, shared) : 0;
}

bool ri_vec_same_form(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row)
{
    return ri_vec_eq(a, a_row, b, b_row) && ri_vec_cmp_form(a, a_row, b, b_row) == 0;
}

int ri_vec_cmp(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row)
{
    ri_value va = ri_plain(ri_vec_get(a, a_row));
    ri_value vb = ri_plain(ri_vec_get(b, b_row));
    return ri_query_cmp(&va, &vb);
}
