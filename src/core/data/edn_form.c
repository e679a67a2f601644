/* SPDX-License-Identifier: MIT
 *
 * Forms: equality for duplicates in sets and maps, names, positions in the text, base64.
 *
 * Two forms are duplicates when they are of one kind and type and say the same: 1 and 1.0 are not, [1] and (1) are not,
 * #{1 2} and #{2 1} are. Sets and maps that are elements or keys themselves are compared by their 64-bit hash, which
 * does not depend on the order of their elements: exact comparison would cost the square of their size.
 *
 * That hash is made when their other one says that they may be equal: a collection that lies, however deep, in a set or
 * in a key keeps 32 bits of hash from when it closed (ri_edn_hash), made of those of its items. So each item is looked
 * at once a collection, not once for each collection around it.
 *
 * Cost: up to 8 keys are compared pair by pair, more go through a hash table whose memory the reader keeps.
 */
#include "edn_private.h"

#include "../base/hash.h"

#define PAIRWISE_MAX 8
#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)

bool ri_form_is_symbol(const ri_form *form, const char *name)
{
    size_t len = strlen(name);
    return ri_form_is(form, RI_SYMBOL) && form->u.v.len == len && memcmp(form->u.v.as.p, name, len) == 0;
}

bool ri_form_is_keyword(const ri_form *form, const char *name)
{
    size_t len = strlen(name);
    return ri_form_is(form, RI_KEYWORD) && form->u.v.len == len && memcmp(form->u.v.as.p, name, len) == 0;
}

void ri_edn_position(const char *text, size_t len, size_t offset, unsigned *line, unsigned *column)
{
    size_t line_start = 0;
    *line = 1;
    for (size_t i = 0; i < offset && i < len; i++) {
        if (text[i] == '\n') {
            *line += 1;
            line_start = i + 1;
        }
    }
    *column = (unsigned)((offset < len ? offset : len) - line_start + 1);
}

/* ---- duplicates ---- */

typedef uint64_t (*item_hash)(const ri_form *form, uint64_t seed);

/* Nobody can prepare texts whose keys collide. */
static uint64_t seed_of(const ri_edn_reader *reader)
{
    return ri_keyed_word((uint64_t)(uintptr_t)reader->text);
}

static uint64_t hash_atom(const ri_form *form, uint64_t seed)
{
    uint64_t h = ri_mix64(seed + form->kind);
    const ri_value *v = &form->u.v;
    return ri_type_is_word(v->type) ? ri_keyed_word(h ^ v->as.u ^ (uint64_t)v->type << 56)
                                    : ri_keyed_bytes(v->as.p, v->len, h + v->type);
}

static uint64_t hash_seq(const ri_form *form, uint64_t seed, item_hash of_item)
{
    uint64_t h = ri_mix64(seed + form->kind);
    const ri_form *items = form->u.seq.items;
    uint32_t count = form->u.seq.count;
    if (form->kind == RI_FORM_SET || form->kind == RI_FORM_MAP) {
        uint64_t sum = count;
        uint32_t step = form->kind == RI_FORM_MAP ? 2 : 1;
        for (uint32_t i = 0; i < count; i += step) {
            uint64_t item = of_item(&items[i], seed);
            sum += step == 1 ? item : ri_mix64(item * HASH_FACTOR + of_item(&items[i + 1], seed));
        }
        return ri_mix64(h + sum);
    }
    for (uint32_t i = 0; i < count; i++) {
        h = ri_mix64(h * HASH_FACTOR + of_item(&items[i], seed));
    }
    return ri_mix64(h + count);
}

/* Recursion is as deep as the form: RI_EDN_DEPTH_MAX. */
static uint64_t hash_deep(const ri_form *form, uint64_t seed)
{
    return form->kind <= RI_FORM_DOUBLE ? hash_atom(form, seed) : hash_seq(form, seed, hash_deep);
}

static uint64_t hash_kept(const ri_form *form, uint64_t seed)
{
    return form->kind <= RI_FORM_DOUBLE ? hash_atom(form, seed) : ri_mix64(form->u.seq.hash);
}

uint32_t ri_edn_hash(const ri_edn_reader *reader, const ri_form *form)
{
    return (uint32_t)(hash_seq(form, seed_of(reader), hash_kept) >> 32);
}

/* Of two forms whose hash was kept. */
static bool same_form(const ri_form *a, const ri_form *b, uint64_t seed)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind <= RI_FORM_DOUBLE) {
        const ri_value *va = &a->u.v;
        const ri_value *vb = &b->u.v;
        if (va->type != vb->type || va->len != vb->len) {
            return false;
        }
        return ri_type_is_word(va->type) ? va->as.u == vb->as.u
                                         : va->len == 0 || memcmp(va->as.p, vb->as.p, va->len) == 0;
    }
    if (a->u.seq.count != b->u.seq.count || a->u.seq.hash != b->u.seq.hash) {
        return false;
    }
    if (a->kind == RI_FORM_SET || a->kind == RI_FORM_MAP) {
        return hash_deep(a, seed) == hash_deep(b, seed);
    }
    for (uint32_t i = 0; i < a->u.seq.count; i++) {
        if (!same_form(&a->u.seq.items[i], &b->u.seq.items[i], seed)) {
            return false;
        }
    }
    return true;
}

static size_t find_pairwise(const ri_form *items, size_t count, size_t step, uint64_t seed)
{
    for (size_t i = step; i < count; i += step) {
        for (size_t j = 0; j < i; j += step) {
            if (same_form(&items[i], &items[j], seed)) {
                return i;
            }
        }
    }
    return count;
}

size_t ri_edn_find_duplicate(ri_edn_reader *reader, const ri_form *items, size_t count, size_t step)
{
    uint64_t seed = seed_of(reader);
    if (count <= PAIRWISE_MAX * step) {
        return find_pairwise(items, count, step, seed);
    }
    size_t cap = 32;
    while (cap < count / step * 2) {
        cap *= 2;
    }
    if (!RI_GROW(&reader->slots, &reader->slot_cap, cap)) {
        return SIZE_MAX;
    }
    memset(reader->slots, 0, cap * sizeof *reader->slots);
    for (size_t i = 0; i < count; i += step) {
        size_t at = (size_t)hash_kept(&items[i], seed) & (cap - 1);
        for (; reader->slots[at] != 0; at = (at + 1) & (cap - 1)) {
            if (same_form(&items[reader->slots[at] - 1], &items[i], seed)) {
                return i;
            }
        }
        reader->slots[at] = (uint32_t)i + 1;
    }
    return count;
}

/* ---- base64 (RFC 4648, section 4) ---- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0') + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : UINT32_MAX;
}

size_t ri_base64_decode(uint8_t *out, const uint8_t *text, size_t len)
{
    size_t out_len = 0;
    for (size_t i = 0; i < len; i += 4) {
        size_t pad = 0;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            uint8_t c = i + j < len ? text[i + j] : 0;
            bool padding = c == '=' && i + 4 == len && j >= 2;
            uint32_t digit = padding ? 0 : base64_value(c);
            if (digit == UINT32_MAX || (!padding && pad > 0)) {
                return SIZE_MAX;
            }
            pad += padding;
            bits = bits << 6 | digit;
        }
        if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0)) {
            return SIZE_MAX; /* bits that are not kept: another text would say the same */
        }
        for (size_t j = 0; j < 3 - pad; j++) {
            out[out_len++] = (uint8_t)(bits >> (16 - 8 * j));
        }
    }
    return out_len;
}

void ri_base64_write(ri_buf *out, const uint8_t *bytes, size_t len)
{
    uint8_t *p = ri_buf_reserve(out, (len + 2) / 3 * 4);
    if (p == NULL) {
        return;
    }
    uint8_t *start = p;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        *p++ = (uint8_t)base64_digits[bits >> 18];
        *p++ = (uint8_t)base64_digits[bits >> 12 & 63];
        *p++ = left > 1 ? (uint8_t)base64_digits[bits >> 6 & 63] : '=';
        *p++ = left > 2 ? (uint8_t)base64_digits[bits & 63] : '=';
    }
    out->len += (size_t)(p - start);
}
