/* SPDX-License-Identifier: MIT
 *
 * Orders of datoms against a list of components, cuts against the order, and the boundary hash against golden figures.
 */
#include "../src/core/data/datom.h"
#include "test_data_values.h"

#define DATOM_COUNT 250

static const char *const key_of_order[RI_ORDER_COUNT] = { "eav", "aev", "ave", "vae", "teavo", "eavtx", "ave" };

static int cmp_number(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int model_cmp(const char *key, size_t parts, const ri_datom *a, const ri_datom *b)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < parts; i++) {
        order = key[i] == 'e'   ? cmp_number(a->e, b->e)
                : key[i] == 'a' ? cmp_number(a->a, b->a)
                : key[i] == 'v' ? test_sign(ri_value_cmp(&a->v, &b->v))
                : key[i] == 't' ? cmp_number(a->t, b->t)
                : key[i] == 'x' ? cmp_number(a->x, b->x)
                                : a->added - b->added;
    }
    return order;
}

static ri_datom random_datom(test_rng *rng, ri_arena *arena)
{
    ri_datom d = { .e = test_random_below(rng, 3),
                   .t = test_random_below(rng, 3),
                   .x = test_random_below(rng, 2),
                   .a = (uint32_t)test_random_below(rng, 3),
                   .added = test_random_below(rng, 2) == 0 };
    d.v = test_random_below(rng, 2) == 0 ? ri_ref(test_random_below(rng, 3)) : test_value(rng, arena, 0);
    if (test_random_below(rng, 8) == 0) {
        d.e = RI_EID_MAX;
        d.a = UINT32_MAX;
    }
    return d;
}

TEST(datom__orders_and_cuts_agree_with_the_model)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    ri_datom *datoms = calloc(DATOM_COUNT, sizeof *datoms);
    REQUIRE(datoms != NULL);
    for (int i = 0; i < DATOM_COUNT; i++) {
        datoms[i] = random_datom(&rng, &arena);
    }
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        const char *key = key_of_order[order];
        CHECK_EQ_INT(ri_order_parts((ri_order)order), strlen(key));
        for (int i = 0; i < DATOM_COUNT; i++) {
            for (int j = 0; j < DATOM_COUNT; j++) {
                const ri_datom *a = &datoms[i];
                const ri_datom *b = &datoms[j];
                CHECK_EQ_INT(test_sign(ri_datom_cmp((ri_order)order, a, b)), model_cmp(key, strlen(key), a, b));
                uint8_t parts = (uint8_t)((i + j) % (int)(strlen(key) + 1));
                int expected = model_cmp(key, parts, a, b);
                ri_bound before = { *b, parts, false };
                ri_bound after = { *b, parts, true };
                CHECK_EQ_INT(test_sign(ri_datom_cmp_bound((ri_order)order, a, &before)), expected == 0 ? 1 : expected);
                CHECK_EQ_INT(test_sign(ri_datom_cmp_bound((ri_order)order, a, &after)), expected == 0 ? -1 : expected);
            }
        }
    }
    free(datoms);
    ri_arena_deinit(&arena);
}

TEST(datom__orders_have_names)
{
    static const char *const names[RI_ORDER_COUNT] = { "eavt", "aevt", "avet", "vaet", "log", "ret", "meta" };
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        CHECK_EQ_STR(ri_order_name((ri_order)order), names[order]);
    }
}

TEST(datom__hash_looks_at_the_key_alone)
{
    ri_datom d = { .e = 42, .t = 1000, .x = 0, .v = ri_long(7), .a = 3, .added = true };
    uint64_t eav = ri_datom_hash(RI_EAVT, &d);
    CHECK(eav == ri_datom_hash(RI_AEVT, &d) && eav == ri_datom_hash(RI_AVET, &d) && eav == ri_datom_hash(RI_META, &d));
    uint64_t log = ri_datom_hash(RI_LOG, &d);
    CHECK(log == ri_datom_hash(RI_RET, &d) && log != eav);
    ri_datom other = d;
    other.t = 1001;
    other.x = 5;
    other.added = false;
    CHECK(ri_datom_hash(RI_EAVT, &other) == eav && ri_datom_hash(RI_LOG, &other) != log);
    other = d;
    other.e = 43;
    CHECK(ri_datom_hash(RI_EAVT, &other) != eav);
    other = d;
    other.a = 4;
    CHECK(ri_datom_hash(RI_EAVT, &other) != eav);
    other = d;
    other.v = ri_word(RI_INSTANT, 7);
    CHECK(ri_datom_hash(RI_EAVT, &other) != eav);
}

/* Part of the stored format: these figures must never change. */
TEST(datom__hash_is_golden)
{
    ri_datom d = { .e = 42, .t = 1000, .v = ri_long(7), .a = 3, .added = true };
    CHECK(ri_datom_hash(RI_EAVT, &d) == UINT64_C(0x137e2c1fbd484687));
    CHECK(ri_datom_hash(RI_LOG, &d) == UINT64_C(0xa80f2f204f015dd4));
    d.v = ri_bytes_value(RI_STRING, "a text of 21 bytes ..", 21);
    CHECK(ri_datom_hash(RI_EAVT, &d) == UINT64_C(0xaa10ae0b928d6c6d));
    d.v = ri_double(-1.5);
    CHECK(ri_datom_hash(RI_EAVT, &d) == UINT64_C(0x78a3f1b0d87ec583));
}

/* A boundary is where the low bits of the hash are zero: they must be spread evenly for dense ids and small values. */
TEST(datom__hash_spreads_evenly)
{
    unsigned hits = 0;
    for (uint64_t i = 0; i < 1 << 20; i++) {
        ri_datom d = { .e = 1000 + i / 4, .a = 10 + (uint32_t)(i % 4), .v = ri_long((int64_t)(i % 100)) };
        hits += (ri_datom_hash(RI_EAVT, &d) & 1023) == 0;
    }
    CHECK(hits > 900 && hits < 1150); /* 1,024 expected, deviation 32 */
}

TEST_MAIN(datom__orders_and_cuts_agree_with_the_model, datom__orders_have_names, datom__hash_looks_at_the_key_alone,
          datom__hash_is_golden, datom__hash_spreads_evenly)
