/* SPDX-License-Identifier: MIT */
#include "sort.h"

#include <string.h>

#define DIGIT_BITS 11U
#define DIGITS (1U << DIGIT_BITS)

typedef struct keyed {
    uint64_t key;
    const ri_datom *d;
} keyed;

/* Stable LSD radix sort on the bits that differ. `other` has room for count items; the result is in items. */
static void radix_sort(keyed *items, keyed *other, size_t count)
{
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        low = items[i].key < low ? items[i].key : low;
        high = items[i].key > high ? items[i].key : high;
        sorted = sorted && (i == 0 || items[i - 1].key <= items[i].key);
    }
    if (sorted) {
        return;
    }
    unsigned width = ri_bit_width(high - low);
    keyed *from = items;
    keyed *to = other;
    for (unsigned shift = 0; shift < width; shift += DIGIT_BITS) {
        uint32_t starts[DIGITS] = { 0 };
        for (size_t i = 0; i < count; i++) {
            starts[(from[i].key - low) >> shift & (DIGITS - 1)]++;
        }
        uint32_t sum = 0;
        for (unsigned digit = 0; digit < DIGITS; digit++) {
            uint32_t here = starts[digit];
            starts[digit] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) {
            to[starts[(from[i].key - low) >> shift & (DIGITS - 1)]++] = from[i];
        }
        keyed *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) {
        memcpy(items, from, count * sizeof *items);
    }
}

/* Stable merge sort by value, for what a 64-bit key cannot decide. */
static void value_sort(keyed *items, keyed *other, size_t count)
{
    if (count <= 12) {
        for (size_t i = 1; i < count; i++) {
            keyed item = items[i];
            size_t at = i;
            for (; at > 0 && ri_value_cmp(&items[at - 1].d->v, &item.d->v) > 0; at--) {
                items[at] = items[at - 1];
            }
            items[at] = item;
        }
        return;
    }
    size_t half = count / 2;
    value_sort(items, other, half);
    value_sort(items + half, other, count - half);
    if (ri_value_cmp(&items[half - 1].d->v, &items[half].d->v) <= 0) {
        return;
    }
    memcpy(other, items, half * sizeof *items);
    size_t left = 0;
    size_t right = half;
    for (size_t at = 0; left < half; at++) {
        bool take_left = right == count || ri_value_cmp(&other[left].d->v, &items[right].d->v) <= 0;
        items[at] = take_left ? other[left++] : items[right++];
    }
}

/* The first 8 bytes as a number that sorts as they do: enough to order most texts. */
static uint64_t bytes_key(const ri_value *v)
{
    uint8_t head[8] = { 0 };
    memcpy(head, v->as.p, v->len < 8 ? v->len : 8);
    return ri_load_be64(head);
}

static bool sorts_by_bytes(uint8_t type)
{
    return type == RI_STRING || type == RI_KEYWORD || type == RI_SYMBOL || type == RI_UUID || type == RI_BYTES;
}

/* Sorts one attribute's datoms by value, equal values keeping their (e) order. */
static void sort_by_value(keyed *items, keyed *other, size_t count)
{
    uint8_t type = items[0].d->v.type;
    bool words = ri_type_is_word(type);
    bool keyable = words || sorts_by_bytes(type);
    for (size_t i = 0; i < count && keyable; i++) {
        const ri_value *v = &items[i].d->v;
        keyable = v->type == type;
        items[i].key = words ? ri_word_to_key(type, v->as.u) : keyable ? bytes_key(v) : 0;
    }
    if (!keyable) {
        value_sort(items, other, count);
        return;
    }
    radix_sort(items, other, count);
    for (size_t from = 0; !words && from < count;) {
        size_t to = from + 1;
        while (to < count && items[to].key == items[from].key) {
            to++;
        }
        if (to - from > 1) {
            value_sort(items + from, other, to - from);
        }
        from = to;
    }
}

/* Stable counting pass by attribute. */
static void group_by_attribute(const ri_block *block, keyed *items, keyed *other)
{
    for (size_t i = 0; i < block->count; i++) {
        items[i] = (keyed){ block->datoms[i].a, &block->datoms[i] };
    }
    radix_sort(items, other, block->count);
}

static void sort_avet(const ri_schema *schema, keyed *items, keyed *other, size_t count, ri_sorted *out)
{
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && items[to].d->a == items[from].d->a) {
            to++;
        }
        const ri_attr *attr = ri_schema_attr_by_id(schema, items[from].d->a);
        if (attr != NULL && ri_attr_in_order(attr, RI_AVET)) {
            sort_by_value(items + from, other, to - from);
            for (size_t i = from; i < to; i++) {
                out->d[out->count++] = items[i].d;
            }
        }
        from = to;
    }
}

static void sort_vaet(const ri_schema *schema, keyed *items, keyed *other, size_t count, ri_sorted *out)
{
    size_t refs = 0;
    for (size_t i = 0; i < count; i++) {
        const ri_attr *attr = ri_schema_attr_by_id(schema, items[i].d->a);
        if (items[i].d->v.type == RI_REF && attr != NULL && ri_attr_in_order(attr, RI_VAET)) {
            items[refs++] = (keyed){ items[i].d->v.as.u, items[i].d };
        }
    }
    radix_sort(items, other, refs);
    for (size_t i = 0; i < refs; i++) {
        out->d[out->count++] = items[i].d;
    }
}

int ri_block_sorted(const ri_block *block, const ri_schema *schema, ri_order order, ri_sorted *out, rille_err *err)
{
    size_t count = block->count;
    *out = (ri_sorted){ ri_alloc_array(count, sizeof *out->d), 0 };
    keyed *items = ri_alloc_array(count, sizeof *items);
    keyed *other = ri_alloc_array(count, sizeof *other);
    int rc = 0;
    if (out->d == NULL || items == NULL || other == NULL) {
        ri_free(out->d);
        *out = (ri_sorted){ NULL, 0 };
        rc = ri_fail_nomem(err);
    } else if (order == RI_EAVT) {
        for (size_t i = 0; i < count; i++) {
            out->d[i] = &block->datoms[i];
        }
        out->count = count;
    } else {
        group_by_attribute(block, items, other);
        if (order == RI_AVET) {
            sort_avet(schema, items, other, count, out);
        } else if (order == RI_VAET) {
            sort_vaet(schema, items, other, count, out);
        } else {
            for (size_t i = 0; i < count; i++) {
                out->d[i] = items[i].d;
            }
            out->count = count;
        }
    }
    ri_free(items);
    ri_free(other);
    return rc;
}
