/* SPDX-License-Identifier: MIT */
#include "sort.h"

#include <string.h>

#define DIGIT_BITS 11U
#define DIGITS (1U << DIGIT_BITS)

typedef struct keyed {
    uint64_t key;
    ri_change change;
} keyed;

static inline const ri_value *value_of(const keyed *item)
{
    return &ri_change_datom(item->change)->v;
}

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
            for (; at > 0 && ri_value_cmp(value_of(&items[at - 1]), value_of(&item)) > 0; at--) {
                items[at] = items[at - 1];
            }
            items[at] = item;
        }
        return;
    }
    size_t half = count / 2;
    value_sort(items, other, half);
    value_sort(items + half, other, count - half);
    if (ri_value_cmp(value_of(&items[half - 1]), value_of(&items[half])) <= 0) {
        return;
    }
    memcpy(other, items, half * sizeof *items);
    size_t left = 0;
    size_t right = half;
    for (size_t at = 0; left < half; at++) {
        bool take_left = right == count || ri_value_cmp(value_of(&other[left]), value_of(&items[right])) <= 0;
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

/* Items of equal keys, in the order of their values. */
static void sort_ties(keyed *items, keyed *other, size_t count)
{
    for (size_t from = 0; from < count;) {
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

/* A text whose 8 bytes of key say all of it: zeros behind it are no part of it. */
static bool is_short(const ri_value *v)
{
    return v->len == 0 || (v->len <= 8 && v->as.p[v->len - 1] != 0);
}

/* What is known of one attribute's items. */
typedef struct key_facts {
    bool keyed;  /* keys are in the order of the values, as far as they differ ... */
    bool exact;  /* ... and where they are equal, so are the values */
    bool sorted; /* the values do not fall */
} key_facts;

/* Makes the items of datoms that lie in (e) order. */
static key_facts make_keys(const ri_change *changes, size_t count, keyed *items)
{
    enum { AHEAD = 8 };
    uint8_t type = ri_change_datom(changes[0])->v.type;
    bool words = ri_type_is_word(type);
    key_facts facts = { words || sorts_by_bytes(type), true, true };
    for (size_t i = 0; i < count; i++) {
        RI_PREFETCH(&ri_change_datom(changes[i + AHEAD < count ? i + AHEAD : i])->v);
        const ri_value *v = &ri_change_datom(changes[i])->v;
        facts.keyed = facts.keyed && v->type == type;
        facts.exact = facts.exact && (words || is_short(v));
        items[i] = (keyed){ !facts.keyed ? 0
                            : words      ? ri_word_to_key(type, v->as.u)
                                         : ri_load_prefix(v->as.p, v->len),
                            changes[i] };
        if (i > 0 && facts.sorted) {
            uint64_t before = items[i - 1].key;
            facts.sorted = facts.keyed && before != items[i].key ? before < items[i].key
                           : facts.keyed && facts.exact          ? true
                                                                 : ri_value_cmp(value_of(&items[i - 1]), v) <= 0;
        }
    }
    return facts;
}

/* Sorts one attribute's datoms by value, equal values keeping their (e) order. */
static bool sort_by_value(ri_change *changes, size_t count, sort_room *room)
{
    if (!take_room(room, count)) {
        return false;
    }
    keyed *items = room->items;
    key_facts facts = make_keys(changes, count, items);
    if (facts.sorted) {
        return true;
    }
    if (!facts.keyed) {
        value_sort(items, room->other, count);
    } else {
        radix_sort(items, room->other, count);
    }
    if (facts.keyed && !facts.exact) {
        sort_ties(items, room->other, count);
    }
    for (size_t i = 0; i < count; i++) {
        changes[i] = items[i].change;
    }
    return true;
}

/* ---- by attribute ---- */

#define LEFT_OUT UINT32_MAX

_Static_assert(DIGITS == RI_ATTR_COUNTS, "a digit each");

/* Counts to places. Where `schema` is given, a digit is an attribute, and those that do not belong are left out. */
static size_t make_places(uint32_t places[DIGITS], const ri_schema *schema, ri_order order)
{
    uint32_t sum = 0;
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        uint32_t here = places[digit];
        places[digit] = sum;
        if (here > 0 && schema != NULL && !ri_schema_in_order(schema, digit, order)) {
            places[digit] = LEFT_OUT;
        } else {
            sum += here;
        }
    }
    return sum;
}

/* Of few attributes, as mostly: one pass puts each datom in its place. */
static size_t group_few(const ri_block *block, const ri_schema *schema, ri_order order, uint32_t places[DIGITS],
                        ri_change *to)
{
    size_t count = make_places(places, schema, order);
    for (size_t i = 0; i < block->count && count > 0; i++) {
        const ri_datom *d = &block->datoms[i];
        if (places[d->a] != LEFT_OUT) {
            to[places[d->a]++] = ri_change_of(d, d->added);
        }
    }
    return count;
}

/* One stable pass by a digit of the attribute. */
static void scatter(const ri_change *from, size_t count, unsigned shift, ri_change *to)
{
    uint32_t places[DIGITS] = { 0 };
    for (size_t i = 0; i < count; i++) {
        places[ri_change_datom(from[i])->a >> shift & (DIGITS - 1)]++;
    }
    (void)make_places(places, NULL, RI_AEVT);
    for (size_t i = 0; i < count; i++) {
        to[places[ri_change_datom(from[i])->a >> shift & (DIGITS - 1)]++] = from[i];
    }
}

static bool group_many(const ri_block *block, const ri_schema *schema, uint32_t bits, ri_order order, size_t more,
                       ri_sorted *out)
{
    ri_change *other = ri_alloc_array(block->count + more, sizeof *other);
    if (other == NULL) {
        return false;
    }
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (ri_schema_in_order(schema, d->a, order)) {
            out->changes[out->count++] = ri_change_of(d, d->added);
        }
    }
    for (unsigned shift = 0; shift < 32 && bits >> shift > 0; shift += DIGIT_BITS) {
        ri_change *from = out->changes;
        scatter(from, out->count, shift, other);
        out->changes = other;
        other = from;
    }
    ri_free(other);
    return true;
}

static void count_attributes(const ri_block *block, ri_attr_counts *counts)
{
    if (!counts->known) {
        for (size_t i = 0; i < block->count; i++) {
            uint32_t a = block->datoms[i].a;
            counts->of[a & (DIGITS - 1)]++;
            counts->bits |= a;
        }
        counts->known = true;
    }
}

/* The datoms that belong to the order, by attribute, those of one in (e v) order. */
static bool group_by_attribute(const ri_block *block, const ri_schema *schema, ri_order order, size_t more,
                               ri_attr_counts *counts, ri_sorted *out)
{
    count_attributes(block, counts);
    if (counts->bits >= DIGITS) {
        return group_many(block, schema, counts->bits, order, more, out);
    }
    uint32_t places[DIGITS];
    memcpy(places, counts->of, sizeof places);
    out->count = group_few(block, schema, order, places, out->changes);
    return true;
}

/* ---- by value ---- */

static bool sort_avet(ri_sorted *out, sort_room *room)
{
    for (size_t from = 0; from < out->count;) {
        uint32_t a = ri_change_datom(out->changes[from])->a;
        size_t to = from + 1;
        while (to < out->count && ri_change_datom(out->changes[to])->a == a) {
            to++;
        }
        if (!sort_by_value(out->changes + from, to - from, room)) {
            return false;
        }
        from = to;
    }
    return true;
}

static bool sort_vaet(ri_sorted *out, sort_room *room)
{
    size_t refs = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (ri_change_datom(out->changes[i])->v.type == RI_REF) {
            out->changes[refs++] = out->changes[i];
        }
    }
    out->count = refs;
    if (!take_room(room, refs)) {
        return false;
    }
    for (size_t i = 0; i < refs; i++) {
        room->items[i] = (keyed){ ri_change_datom(out->changes[i])->v.as.u, out->changes[i] };
    }
    radix_sort(room->items, room->other, refs);
    for (size_t i = 0; i < refs; i++) {
        out->changes[i] = room->items[i].change;
    }
    return true;
}

int ri_block_sorted(const ri_block *block, const ri_schema *schema, ri_order order, size_t more, ri_attr_counts *counts,
                    ri_sorted *out, rille_err *err)
{
    size_t count = block->count;
    sort_room room = { 0 };
    *out = (ri_sorted){ ri_alloc_array(count + more, sizeof *out->changes), 0 };
    bool good = out->changes != NULL;
    if (good && order == RI_EAVT) {
        for (size_t i = 0; i < count; i++) { /* datoms that are known to be added are not looked at */
            out->changes[i] = ri_change_of(&block->datoms[i], block->only_adds || block->datoms[i].added);
        }
        out->count = count;
    } else if (good) {
        good = group_by_attribute(block, schema, order, more, counts, out);
        good = good && (order != RI_AVET || sort_avet(out, &room));
        good = good && (order != RI_VAET || sort_vaet(out, &room));
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

int ri_sorted_by_value(const ri_schema *schema, const ri_attr_counts *counts, ri_sorted *sorted, rille_err *err)
{
    sort_room room = { 0 };
    ri_change *from = sorted->changes;
    bool good = true;
    sorted->count = 0;
    for (uint32_t a = 0; a < RI_ATTR_COUNTS && good; from += counts->of[a++]) {
        size_t count = counts->of[a];
        if (count > 0 && ri_schema_in_order(schema, a, RI_AVET)) {
            ri_change *to = sorted->changes + sorted->count;
            memmove(to, from, count * sizeof *to);
            good = sort_by_value(to, count, &room);
            sorted->count += count;
        }
    }
    ri_free(room.items);
    ri_free(room.other);
    if (!good) {
        ri_free(sorted->changes);
        *sorted = (ri_sorted){ NULL, 0 };
        return ri_fail_nomem(err);
    }
    return 0;
}
