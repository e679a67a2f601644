/* SPDX-License-Identifier: MIT
 *
 * Sets of texts that begin alike, against a sorted array: common beginnings of every length up to beyond what a stub knows
 * of its value, values that end within or with it, all types that are compared byte by byte, other attributes and types
 * beside them; put in one by one, in many small merges or few large ones, in order or not. After each merge every cut
 * about every datom finds its place.
 */
#include "test_data_values.h"

#include "../src/core/db/schema.h"
#include "../src/core/db/set.h"

enum { DATOMS_MAX = 1400, BATCH_MAX = 700, COMMON_MAX = 72 };

typedef struct model {
    test_rng rng;
    ri_arena arena;
    ri_set_node *set;
    ri_datom *sorted[DATOMS_MAX]; /* what is in the set */
    uint32_t count;
} model;

/* ---- values ---- */

static uint8_t *bytes_new(model *m, size_t len)
{
    uint8_t *p = ri_arena_alloc(&m->arena, len + 1);
    REQUIRE(p != NULL);
    return p;
}

/* A few kinds of bytes, the least and greatest among them. */
static uint8_t random_byte(model *m, ri_type type)
{
    static const uint8_t any[] = { 0, 1, 'a', 'b', 0x7f, 0x80, 0xff };
    bool text = type == RI_STRING || type == RI_KEYWORD || type == RI_SYMBOL;
    return text ? (uint8_t)('a' + test_random_below(&m->rng, 4)) : any[test_random_below(&m->rng, sizeof any)];
}

/* The common beginning, or most of it, and then some bytes; now and then a long value. */
static ri_value random_value(model *m, ri_type type, const uint8_t *common, size_t common_len)
{
    bool is_long = (type == RI_STRING || type == RI_BYTES) && test_random_below(&m->rng, 8) == 0;
    size_t cut = test_random_below(&m->rng, 6) == 0 ? test_random_below(&m->rng, common_len + 1) : common_len;
    size_t tail = test_random_below(&m->rng, 13);
    size_t len = is_long ? RI_VALUE_INLINE_MAX + 1 + tail : type == RI_UUID ? 16 : cut + tail;
    uint8_t *p = bytes_new(m, len);
    for (size_t i = 0; i < len; i++) {
        p[i] = i < cut ? common[i] : i < cut + 12 ? random_byte(m, type) : (uint8_t)'m';
    }
    ri_value v = ri_bytes_value(type, p, len);
    REQUIRE_RC(ri_value_shorten(&m->arena, &v, &test_err), 0);
    return v;
}

static const ri_type types[] = { RI_STRING, RI_BYTES, RI_KEYWORD, RI_SYMBOL, RI_UUID, RI_FLOATS };

static ri_datom random_datom(model *m, ri_type type, const uint8_t *common, size_t common_len)
{
    static const uint32_t attrs[] = { 99, 101, 2046, 2047, 5000 };
    ri_datom d = { .e = RI_EID_USER + test_random_below(&m->rng, 5), .a = 100, .t = 1, .added = true };
    d.v = random_value(m, type, common, common_len);
    if (test_random_below(&m->rng, 10) == 0) {
        d.a = attrs[test_random_below(&m->rng, sizeof attrs / sizeof *attrs)];
    }
    if (test_random_below(&m->rng, 20) == 0) {
        d.v = test_value(&m->rng, &m->arena, 0);
    }
    return d;
}

/* ---- the set and its model ---- */

static uint32_t place(const model *m, const ri_bound *bound)
{
    uint32_t low = 0;
    uint32_t high = m->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (ri_datom_cmp_bound(RI_AVET, m->sorted[mid], bound) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void put(model *m, ri_datom *batch, uint32_t count)
{
    static ri_set_key keys[BATCH_MAX];
    static ri_set_key other[BATCH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        ri_bound bound = { batch[i], 3, false };
        uint32_t at = place(m, &bound);
        keys[i] = (ri_set_key){ ri_set_prefix(RI_AVET, &batch[i]), ri_item_new(&batch[i]) };
        if (at == m->count || ri_datom_cmp(RI_AVET, m->sorted[at], &batch[i]) != 0) {
            memmove(m->sorted + at + 1, m->sorted + at, (m->count - at) * sizeof *m->sorted);
            m->sorted[at] = &batch[i];
            m->count++;
        }
    }
    bool distinct = ri_set_sort(RI_AVET, keys, other, count);
    ri_set_node *next = ri_set_merge(m->set, RI_AVET, keys, count, distinct);
    REQUIRE(next != NULL);
    ri_set_release(m->set);
    m->set = next;
}

/* ---- checks ---- */

static void check_leaf(const ri_set_node *leaf)
{
    const ri_datom *first = ri_item_datom(ri_set_items(leaf)[0]);
    const ri_datom *last = ri_item_datom(ri_set_items(leaf)[leaf->count - 1]);
    const uint64_t *prefixes = ri_set_prefixes(leaf);
    bool alike = first->a == last->a && first->a < 2047;
    CHECK_EQ_INT(leaf->common_len, alike ? ri_value_shared(&first->v, &last->v) : 0);
    CHECK(leaf->prefix == ri_set_prefix(RI_AVET, first));
    for (uint32_t i = 0; i < leaf->count; i++) {
        const ri_datom *d = ri_item_datom(ri_set_items(leaf)[i]);
        CHECK(prefixes[i] == ri_set_leaf_prefix(leaf, ri_set_prefix(RI_AVET, d), d));
        CHECK(i == 0 || prefixes[i - 1] <= prefixes[i]);
    }
}

static void check_items(const model *m)
{
    ri_bound all = { { 0 }, 0, false };
    ri_set_cut cut = ri_set_cut_of(RI_AVET, &all);
    ri_set_cursor cursor;
    uint32_t at = 0;
    for (ri_set_seek(&cursor, m->set, &cut); !ri_set_at_end(&cursor); ri_set_next(&cursor)) {
        REQUIRE(at < m->count);
        CHECK_EQ_INT(ri_datom_cmp(RI_AVET, ri_item_datom(ri_set_item(&cursor)), m->sorted[at]), 0);
        if (ri_set_slot(&cursor) == 0) {
            check_leaf(ri_set_leaf(&cursor));
        }
        at++;
    }
    CHECK_EQ_INT(at, m->count);
}

/* In front of and behind every datom that begins like d, by rank, by searches of each leaf from any slot, and whole. */
static void check_cuts(model *m, const ri_datom *d)
{
    for (uint8_t parts = 0; parts <= 3; parts++) {
        for (unsigned after = 0; after < 2; after++) {
            ri_bound bound = { *d, parts, after != 0 };
            ri_set_cut cut = ri_set_cut_of(RI_AVET, &bound);
            uint32_t expected = place(m, &bound);
            CHECK_EQ_INT(ri_set_rank(m->set, &cut), expected);
            ri_set_cursor cursor;
            ri_set_seek(&cursor, m->set, &cut);
            CHECK(ri_set_at_end(&cursor) == (expected == m->count));
            if (ri_set_at_end(&cursor) || expected == m->count) {
                continue;
            }
            CHECK_EQ_INT(ri_datom_cmp(RI_AVET, ri_item_datom(ri_set_item(&cursor)), m->sorted[expected]), 0);
            uint32_t slot = ri_set_slot(&cursor);
            uint32_t from = (uint32_t)test_random_below(&m->rng, slot + 1);
            CHECK_EQ_INT(ri_set_gallop(ri_set_leaf(&cursor), from, &cut), slot);
            CHECK_EQ_INT(ri_set_search(ri_set_leaf(&cursor), from, &cut), slot);
        }
    }
    ri_item item;
    ri_bound bound = { *d, 3, false };
    uint32_t at = place(m, &bound);
    bool known = at < m->count && ri_datom_cmp(RI_AVET, m->sorted[at], d) == 0;
    CHECK_EQ_INT(ri_set_find(m->set, RI_AVET, d, &item), known);
}

/* What lies between two datoms as a set of its own, and more merged into that. */
static void check_part(model *m, const ri_datom *one, const ri_datom *two)
{
    bool swap = ri_datom_cmp(RI_AVET, one, two) > 0;
    ri_bound low = { swap ? *two : *one, 3, false };
    ri_bound high = { swap ? *one : *two, 3, true };
    ri_set_cut from = ri_set_cut_of(RI_AVET, &low);
    ri_set_cut to = ri_set_cut_of(RI_AVET, &high);
    uint32_t count = place(m, &high) - place(m, &low);
    model part = { .rng = m->rng };
    int rc = ri_set_part(m->set, &from, &to, 64, &part.set, &test_err);
    CHECK_RC(rc, count > 64 ? RILLE_DONE : 0);
    if (rc != 0 || count == 0) {
        CHECK(part.set == NULL);
        return;
    }
    memcpy(part.sorted, m->sorted + place(m, &low), count * sizeof *m->sorted);
    part.count = count;
    ri_datom more[2] = { low.d, high.d };
    put(&part, more, 2);
    check_items(&part);
    check_cuts(&part, one);
    ri_set_release(part.set);
}

static void fill(ri_type type, size_t common_len, bool rising)
{
    static ri_datom datoms[DATOMS_MAX];
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    m->rng = (test_rng){ test_rng_new().state ^ (type * 100 + common_len * 2 + rising) };
    uint8_t common[COMMON_MAX];
    for (size_t i = 0; i < common_len; i++) {
        common[i] = random_byte(m, type);
    }
    uint32_t total = test_random_below(&m->rng, 8) == 0 ? DATOMS_MAX : 150;
    for (uint32_t i = 0; i < total; i++) {
        datoms[i] = random_datom(m, type, common, common_len);
        for (uint32_t at = i; rising && at > 0 && ri_datom_cmp(RI_AVET, &datoms[at - 1], &datoms[at]) > 0; at--) {
            ri_datom d = datoms[at];
            datoms[at] = datoms[at - 1];
            datoms[at - 1] = d;
        }
    }
    for (uint32_t at = 0; at < total;) {
        uint32_t some = 1 + (uint32_t)test_random_below(&m->rng, (uint64_t)1 << test_random_below(&m->rng, 10));
        some = some < total - at ? some : total - at;
        put(m, datoms + at, some);
        at += some;
        check_items(m);
        for (unsigned i = 0; i < 6; i++) {
            ri_datom d = random_datom(m, type, common, common_len);
            check_cuts(m, &datoms[test_random_below(&m->rng, total)]);
            check_cuts(m, &d);
            check_part(m, &datoms[test_random_below(&m->rng, total)], &d);
        }
    }
    for (uint32_t i = 0; i < total; i++) {
        check_cuts(m, &datoms[i]);
    }
    ri_set_release(m->set);
    ri_arena_deinit(&m->arena);
    free(m);
}

TEST(set__finds_texts_that_begin_alike)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (size_t common_len = 0; common_len <= COMMON_MAX;
             common_len += common_len < 12 || common_len > 58 ? 1 : 7) {
            fill(types[i], common_len, false);
            fill(types[i], common_len, true);
        }
    }
}

/* So a search looks at one datom, not at all that begin alike. */
TEST(set__tells_texts_apart_behind_what_they_have_in_common)
{
    enum { COUNT = 9000 };
    static char text[COUNT][48];
    static ri_datom datoms[COUNT];
    static ri_set_key keys[COUNT];
    static ri_set_key other[COUNT];
    static const char *const formats[] = { "u%08u", "https://example.com/people/%07u", "%09u.jpeg" };
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        for (unsigned i = 0; i < COUNT; i++) {
            int len = snprintf(text[i], sizeof text[i], formats[f], i);
            datoms[i] = (ri_datom){ .e = RI_EID_USER + i, .a = 100, .t = 1, .added = true };
            datoms[i].v = ri_bytes_value(RI_STRING, text[i], (size_t)len);
            keys[i] = (ri_set_key){ ri_set_prefix(RI_AVET, &datoms[i]), ri_item_new(&datoms[i]) };
        }
        ri_set_node *set = NULL;
        for (unsigned at = 0, some = 1; at < COUNT; at += some) {
            some = some < COUNT - at ? some : COUNT - at;
            bool distinct = ri_set_sort(RI_AVET, keys + at, other, some);
            ri_set_node *next = ri_set_merge(set, RI_AVET, keys + at, some, distinct);
            REQUIRE(next != NULL);
            ri_set_release(set);
            set = next;
            some = some * 2 % 997;
        }
        ri_bound all = { { 0 }, 0, false };
        ri_set_cut cut = ri_set_cut_of(RI_AVET, &all);
        ri_set_cursor cursor;
        unsigned ties = 0;
        for (ri_set_seek(&cursor, set, &cut); !ri_set_at_end(&cursor); ri_set_next(&cursor)) {
            const uint64_t *prefixes = ri_set_prefixes(ri_set_leaf(&cursor));
            uint32_t slot = ri_set_slot(&cursor);
            ties += slot > 0 && prefixes[slot - 1] == prefixes[slot];
        }
        CHECK_EQ_INT(ties, 0);
        ri_set_release(set);
    }
}

TEST_MAIN(set__finds_texts_that_begin_alike, set__tells_texts_apart_behind_what_they_have_in_common)
