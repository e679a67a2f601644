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

static bool sorts_by_bytes(uint8_t type)
{
    return type == RI_STRING || type == RI_KEYWORD || type == RI_SYMBOL || type == RI_UUID || type == RI_BYTES;
}

/* Room for the datoms of one attribute. */
typedef struct sort_room {
    keyed *items;
    keyed *other;
    size_t items_cap;
    size_t other_cap;
} sort_room;

static bool take_room(sort_room *room, size_t count)
{
    return RI_GROW(&room->items, &room->items_cap, count) && RI_GROW(&room->other, &room->other_cap, count);
}

static bool is_sorted(const ri_change *changes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (ri_value_cmp(&ri_change_datom(changes[i - 1])->v, &ri_change_datom(changes[i])->v) > 0) {
            return false;
        }
    }
    return true;
}

/* Bytes that all have one length, of at most 8: those of one key are equal. */
static bool is_decided(const keyed *items, size_t count)
{
    uint32_t len = items[0].d->v.len;
    for (size_t i = 1; i < count; i++) {
        if (items[i].d->v.len != len) {
            return false;
        }
    }
    return len <= 8;
}

/* Items of equal keys, in the order of their values. */
static void sort_ties(keyed *items, keyed *other, size_t count)
{
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && items[to].key == items[from].key) {
            to++;
        }
        if (to - from > 1 && !is_decided(items + from, to - from)) {
            value_sort(items + from, other, to - from);
        }
        from = to;
    }
}

/* Sorts one attribute's datoms by value, equal values keeping their (e) order. */
static bool sort_by_value(ri_change *changes, size_t count, sort_room *room)
{
    if (is_sorted(changes, count)) {
        return true;
    }
    if (!take_room(room, count)) {
        return false;
    }
    keyed *items = room->items;
    uint8_t type = ri_change_datom(changes[0])->v.type;
    bool words = ri_type_is_word(type);
    bool keyable = words || sorts_by_bytes(type);
    for (size_t i = 0; i < count; i++) {
        const ri_datom *d = ri_change_datom(changes[i]);
        keyable = keyable && d->v.type == type;
        items[i] = (keyed){ !keyable ? 0
                            : words  ? ri_word_to_key(type, d->v.as.u)
                                     : ri_load_prefix(d->v.as.p, d->v.len),
                            d };
    }
    if (keyable) {
        radix_sort(items, room->other, count);
    }
    if (!keyable) {
        value_sort(items, room->other, count);
    } else if (!words) {
        sort_ties(items, room->other, count);
    }
    for (size_t i = 0; i < count; i++) {
        changes[i] = ri_change_of(items[i].d, items[i].d->added);
    }
    return true;
}

/* One stable pass by a digit of the attribute; the block's datoms if from is NULL. */
static void scatter(const ri_block *block, const ri_change *from, uint32_t low, unsigned shift, ri_change *to)
{
    uint32_t starts[DIGITS] = { 0 };
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = from != NULL ? ri_change_datom(from[i]) : &block->datoms[i];
        starts[(d->a - low) >> shift & (DIGITS - 1)]++;
    }
    uint32_t sum = 0;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        uint32_t here = starts[digit];
        starts[digit] = sum;
        sum += here;
    }
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = from != NULL ? ri_change_datom(from[i]) : &block->datoms[i];
        to[starts[(d->a - low) >> shift & (DIGITS - 1)]++] = ri_change_of(d, d->added);
    }
}

/* All datoms by attribute, those of one in (e v) order. */
static bool group_by_attribute(const ri_block *block, size_t more, ri_change **out)
{
    uint32_t low = UINT32_MAX;
    uint32_t high = 0;
    for (size_t i = 0; i < block->count; i++) {
        low = block->datoms[i].a < low ? block->datoms[i].a : low;
        high = block->datoms[i].a > high ? block->datoms[i].a : high;
    }
    unsigned width = block->count == 0 ? 0 : ri_bit_width(high - low);
    ri_change *other = width > DIGIT_BITS ? ri_alloc_array(block->count + more, sizeof *other) : NULL;
    if (width > DIGIT_BITS && other == NULL) {
        return false;
    }
    scatter(block, NULL, low, 0, *out);
    for (unsigned shift = DIGIT_BITS; shift < width; shift += DIGIT_BITS) {
        ri_change *from = *out;
        scatter(block, from, low, shift, other);
        *out = other;
        other = from;
    }
    ri_free(other);
    return true;
}

/* Of all datoms by attribute, those that belong here. */
static bool sort_avet(const ri_schema *schema, size_t count, ri_sorted *out, sort_room *room)
{
    for (size_t from = 0; from < count;) {
        uint32_t a = ri_change_datom(out->changes[from])->a;
        size_t to = from + 1;
        while (to < count && ri_change_datom(out->changes[to])->a == a) {
            to++;
        }
        const ri_attr *attr = ri_schema_attr_by_id(schema, a);
        if (attr != NULL && ri_attr_in_order(attr, RI_AVET)) {
            if (!sort_by_value(out->changes + from, to - from, room)) {
                return false;
            }
            memmove(out->changes + out->count, out->changes + from, (to - from) * sizeof *out->changes);
            out->count += to - from;
        }
        from = to;
    }
    return true;
}

static bool sort_vaet(const ri_schema *schema, size_t count, ri_sorted *out, sort_room *room)
{
    size_t refs = 0;
    for (size_t i = 0; i < count; i++) {
        const ri_datom *d = ri_change_datom(out->changes[i]);
        const ri_attr *attr = ri_schema_attr_by_id(schema, d->a);
        if (d->v.type == RI_REF && attr != NULL && ri_attr_in_order(attr, RI_VAET)) {
            out->changes[refs++] = out->changes[i];
        }
    }
    if (!take_room(room, refs)) {
        return false;
    }
    for (size_t i = 0; i < refs; i++) {
        const ri_datom *d = ri_change_datom(out->changes[i]);
        room->items[i] = (keyed){ d->v.as.u, d };
    }
    radix_sort(room->items, room->other, refs);
    for (size_t i = 0; i < refs; i++) {
        out->changes[i] = ri_change_of(room->items[i].d, room->items[i].d->added);
    }
    out->count = refs;
    return true;
}

int ri_block_sorted(const ri_block *block, const ri_schema *schema, ri_order order, size_t more, ri_sorted *out,
                    rille_err *err)
{
    size_t count = block->count;
    sort_room room = { 0 };
    *out = (ri_sorted){ ri_alloc_array(count + more, sizeof *out->changes), 0 };
    bool good = out->changes != NULL;
    if (good && order == RI_EAVT) {
        for (size_t i = 0; i < count; i++) {
            out->changes[i] = ri_change_of(&block->datoms[i], block->datoms[i].added);
        }
        out->count = count;
    } else if (good) {
        good = group_by_attribute(block, more, &out->changes);
        if (good && order == RI_AEVT) {
            out->count = count;
        } else if (good) {
            good = order == RI_AVET ? sort_avet(schema, count, out, &room) : sort_vaet(schema, count, out, &room);
        }
    }
    ri_free(room.items);
    ri_free(room.other);
    if (!good) {
        ri_free(out->changes);
        *out = (ri_sorted){ NULL, 0 };
        return ri_fail_nomem(err);
    }
    return 0;
}
