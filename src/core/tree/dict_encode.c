/* SPDX-License-Identifier: MIT
 *
 * The dictionary of a group: distinct values by hashing (or, when they come sorted, by comparing neighbours), then
 * sorted, then codes renumbered. Values are the same when their bytes are: tuples (1) and (1.0) are two entries though
 * they compare equal; among such entries the bytes decide, so that a set of values has one dictionary.
 *
 * Cost: one comparison a row while they come sorted; else one hash, too, and d log d comparisons for d distinct values,
 * mostly of 8-byte prefixes.
 */
#include "encoder.h"

#define INSERTION_MAX 12U

/* Bytes of which the first 8 are the same, as are their lengths. */
static inline bool same_rest(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    if (len <= 8) {
        return true;
    }
    return len <= 16 ? ri_load_u64(a + len - 8) == ri_load_u64(b + len - 8) : memcmp(a + 8, b + 8, len - 8) == 0;
}

static inline bool same_bytes(const ri_dict_entry *entry, const ri_value *v, uint64_t prefix)
{
    return entry->len == v->len && entry->prefix == prefix && same_rest(entry->p, v->as.p, v->len);
}

static inline uint16_t add_entry(ri_dict_encoder *dict, const ri_value *v, uint64_t prefix)
{
    uint16_t code = (uint16_t)dict->count++;
    dict->entries[code] = (ri_dict_entry){ prefix, v->as.p, v->len, code };
    return code;
}

static inline uint32_t hash_bytes(const uint8_t *p, uint32_t len, uint64_t prefix)
{
    if (len <= 16) { /* most names: two overlapping words, no call */
        const uint64_t *k = ri_secret_get();
        uint64_t last = len > 8 ? ri_load_u64(p + len - 8) : 0;
        return (uint32_t)ri_fold(ri_fold(prefix ^ k[0], last ^ k[1]) ^ len ^ k[2], k[3]);
    }
    return (uint32_t)ri_keyed_bytes(p, len, 0);
}

static uint16_t find_entry(ri_dict_encoder *dict, const ri_value *v)
{
    uint64_t prefix = ri_load_prefix(v->as.p, v->len);
    uint32_t slot = hash_bytes(v->as.p, v->len, prefix);
    for (;; slot++) {
        uint32_t found = ri_slots_get(&dict->slots, slot);
        if (found == RI_SLOT_FREE) {
            uint16_t code = add_entry(dict, v, prefix);
            ri_slots_set(&dict->slots, slot, code);
            return code;
        }
        if (same_bytes(&dict->entries[found], v, prefix)) {
            return (uint16_t)found;
        }
    }
}

/* Texts that occur again are mostly the same bytes in memory: then nothing is compared. */
static inline uint16_t find_text(ri_dict_encoder *dict, const ri_value *v)
{
    uintptr_t bits = (uintptr_t)v->as.p;
    ri_dict_place *place = &dict->places[(bits >> 3 ^ bits >> 9) & (RI_DICT_PLACES - 1U)];
    if (place->p != v->as.p || place->len != v->len || v->len == 0) {
        *place = (ri_dict_place){ v->as.p, v->len, find_entry(dict, v) };
    }
    return place->code;
}

/* Into the slots, an entry that none of them has. */
static void place_entry(ri_dict_encoder *dict, uint16_t code)
{
    const ri_dict_entry *entry = &dict->entries[code];
    uint32_t slot = hash_bytes(entry->p, entry->len, entry->prefix);
    while (ri_slots_get(&dict->slots, slot) != RI_SLOT_FREE) {
        slot++;
    }
    ri_slots_set(&dict->slots, slot, code);
}

static int cmp_bytes(const ri_dict_entry *a, const ri_dict_entry *b)
{
    uint32_t shared = a->len < b->len ? a->len : b->len;
    int order = shared == 0 ? 0 : memcmp(a->p, b->p, shared);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int cmp_entries(uint8_t type, const ri_dict_entry *a, const ri_dict_entry *b)
{
    if (ri_type_is_bytewise(type)) {
        return a->prefix != b->prefix ? (a->prefix < b->prefix ? -1 : 1) : cmp_bytes(a, b);
    }
    ri_value x = ri_bytes_value((ri_type)type, a->p, a->len);
    ri_value y = ri_bytes_value((ri_type)type, b->p, b->len);
    int order = ri_value_cmp(&x, &y);
    return order != 0 ? order : cmp_bytes(a, b);
}

static void sort_few(uint8_t type, ri_dict_entry *entries, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        ri_dict_entry entry = entries[i];
        uint32_t k = i;
        for (; k > 0 && cmp_entries(type, &entries[k - 1], &entry) > 0; k--) {
            entries[k] = entries[k - 1];
        }
        entries[k] = entry;
    }
}

static void merge_runs(uint8_t type, const ri_dict_entry *in, uint32_t middle, uint32_t n, ri_dict_entry *out)
{
    uint32_t i = 0;
    uint32_t k = middle;
    while (i < middle && k < n) {
        *out++ = cmp_entries(type, &in[i], &in[k]) <= 0 ? in[i++] : in[k++];
    }
    memcpy(out, in + i, (middle - i) * sizeof *in);
    memcpy(out + (middle - i), in + k, (n - k) * sizeof *in);
}

/* Bottom-up merge sort between the two arrays; the result is the one returned. */
static const ri_dict_entry *sort_entries(ri_dict_encoder *dict)
{
    ri_dict_entry *from = dict->entries;
    ri_dict_entry *to = dict->sorted;
    uint32_t n = dict->count;
    bool sorted = true;
    for (uint32_t i = 1; i < n && sorted; i++) {
        sorted = cmp_entries(dict->type, &from[i - 1], &from[i]) < 0;
    }
    if (sorted) {
        return from;
    }
    for (uint32_t i = 0; i < n; i += INSERTION_MAX) {
        sort_few(dict->type, from + i, n - i < INSERTION_MAX ? n - i : INSERTION_MAX);
    }
    for (uint32_t width = INSERTION_MAX; width < n; width *= 2) {
        for (uint32_t i = 0; i < n; i += 2 * width) {
            uint32_t both = n - i < 2 * width ? n - i : 2 * width;
            merge_runs(dict->type, from + i, both < width ? both : width, both, to + i);
        }
        ri_dict_entry *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static int put_dict(const ri_dict_entry *entries, uint32_t count, uint64_t *numbers, ri_buf *out, rille_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += entries[i].len;
        numbers[i] = total;
    }
    if (total > RI_NODE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT,
                       "values of %llu bytes do not fit into one node (the maximum is %zu bytes): use smaller values",
                       (unsigned long long)total, (size_t)RI_NODE_BYTES_MAX);
    }
    ri_buf_put_varint(out, count);
    ri_col_write(out, numbers, count);
    uint8_t *p = ri_buf_reserve(out, (size_t)total);
    if (p != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            ri_copy_short(p, entries[i].p, entries[i].len);
            p += entries[i].len;
        }
        out->len += (size_t)total;
    }
    return RILLE_OK;
}

/* Rows whose values do not fall, from the first on; codes go to numbers. `sorted`: that is known of all. */
static uint32_t take_sorted(ri_dict_encoder *dict, const ri_datom *rows, const uint16_t *index, uint32_t n, bool sorted,
                            uint64_t *numbers)
{
    const ri_value *first = &rows[index[0]].v;
    ri_dict_entry *last = &dict->entries[add_entry(dict, first, ri_load_prefix(first->as.p, first->len))];
    bool bytewise = ri_type_is_bytewise(dict->type);
    numbers[0] = 0;
    for (uint32_t i = 1; i < n; i++) {
        const ri_value *v = &rows[index[i]].v;
        uint64_t prefix = ri_load_prefix(v->as.p, v->len);
        if (!same_bytes(last, v, prefix)) {
            ri_dict_entry entry = { prefix, v->as.p, v->len, 0 };
            bool rises = sorted || prefix > last->prefix || (prefix == last->prefix && cmp_bytes(last, &entry) < 0);
            if (!rises || (!sorted && !bytewise)) {
                return i;
            }
            last = &dict->entries[add_entry(dict, v, prefix)];
        }
        numbers[i] = last->code;
    }
    return n;
}

/* Codes as found go to numbers. True: that is the order of the values, too. */
static bool find_codes(ri_dict_encoder *dict, const ri_datom *rows, const uint16_t *index, uint32_t n, bool sorted,
                       uint64_t *numbers)
{
    dict->count = 0;
    uint32_t i = take_sorted(dict, rows, index, n, sorted, numbers);
    if (i == n) {
        return true;
    }
    ri_slots_clear(&dict->slots);
    memset(dict->places, 0, sizeof dict->places);
    for (uint16_t code = 0; code < dict->count; code++) {
        place_entry(dict, code);
    }
    for (; i < n; i++) {
        numbers[i] = find_text(dict, &rows[index[i]].v);
    }
    return false;
}

int ri_dict_encode(ri_dict_encoder *dict, const ri_datom *rows, const uint16_t *index, uint32_t n, bool sorted,
                   uint64_t *numbers, ri_buf *out, rille_err *err)
{
    dict->type = rows[index[0]].v.type;
    const ri_dict_entry *entries = dict->entries;
    if (!find_codes(dict, rows, index, n, sorted, numbers)) {
        entries = sort_entries(dict);
        for (uint32_t i = 0; i < dict->count; i++) {
            dict->code_of[entries[i].code] = (uint16_t)i;
        }
        for (uint32_t i = 0; i < n; i++) {
            numbers[i] = dict->code_of[numbers[i]];
        }
    }
    ri_col_write(out, numbers, n);
    return put_dict(entries, dict->count, numbers, out, err);
}
