/* SPDX-License-Identifier: MIT */
#include "../src/core/base/map.h"

#include "../src/core/base/arena.h"
#include "../src/core/base/err.h"
#include "harness.h"

enum { KEY_COUNT = 1500 };

/* The model: a plain list, searched from the front. */
typedef struct model {
    uint64_t keys[KEY_COUNT];
    uint64_t values[KEY_COUNT];
    size_t count;
} model;

static uint64_t *model_find(model *m, uint64_t key)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->keys[i] == key) {
            return &m->values[i];
        }
    }
    return NULL;
}

/* Dense, strided and wild numbers, 0 and the greatest among them. */
static uint64_t some_key(test_rng *rng)
{
    uint64_t n = test_random_below(rng, KEY_COUNT / 3);
    switch (test_random_below(rng, 3)) {
    case 0:
        return n;
    case 1:
        return n << 32;
    default:
        return 0 - n;
    }
}

TEST(map64__agrees_with_a_list)
{
    static model m;
    test_rng rng = test_rng_new();
    ri_map64 map = { 0 };
    CHECK(ri_map64_get(&map, 0) == NULL);
    for (int i = 0; i < 4000; i++) {
        uint64_t key = some_key(&rng);
        uint64_t *known = model_find(&m, key);
        uint64_t *got = ri_map64_get(&map, key);
        REQUIRE((known == NULL) == (got == NULL));
        CHECK(known == NULL || *known == *got);
        bool added = known != NULL;
        uint64_t *place = ri_map64_put(&map, key, &added);
        REQUIRE(place != NULL);
        CHECK(added == (known == NULL));
        CHECK(!added || *place == 0);
        if (known == NULL) {
            REQUIRE(m.count < KEY_COUNT);
            m.keys[m.count] = key;
            known = &m.values[m.count++];
        }
        *place = *known = test_random(&rng);
    }
    CHECK_EQ_INT(map.count, m.count);
    for (size_t i = 0; i < m.count; i++) {
        uint64_t *got = ri_map64_get(&map, m.keys[i]);
        CHECK(got != NULL && *got == m.values[i]);
    }
    ri_map64_deinit(&map);
}

static int fill64(uint64_t count)
{
    ri_map64 map = { 0 };
    int rc = RILLE_OK;
    for (uint64_t i = 0; i < count && rc == RILLE_OK; i++) {
        bool added;
        uint64_t *place = ri_map64_put(&map, i * 7, &added);
        if (place == NULL) {
            rc = ri_fail_nomem(NULL);
            CHECK_EQ_INT(map.count, i); /* what was there stays */
            CHECK(i == 0 || *ri_map64_get(&map, (i - 1) * 7) == i - 1);
        } else {
            *place = i;
        }
    }
    ri_map64_deinit(&map);
    return rc;
}

TEST(map64__out_of_memory_keeps_what_is_there)
{
    TEST_FAULT_SWEEP(fill64(1000));
}

TEST(bytemap__tells_keys_apart_by_bytes_and_length)
{
    ri_arena arena = { 0 };
    ri_bytemap map = { 0 };
    CHECK(ri_bytemap_get(&map, "a", 1) == NULL);
    for (uint64_t i = 0; i < 5000; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)(i % 2500));
        bool added = false;
        ri_bytemap_slot *slot = ri_bytemap_put(&map, text, (size_t)len, &added);
        REQUIRE(slot != NULL);
        CHECK(added == (i < 2500));
        if (added) {
            slot->key = ri_arena_copy(&arena, text, (size_t)len);
            slot->value = i;
        }
        CHECK_EQ_INT(slot->value, i % 2500);
        CHECK_EQ_INT(slot->len, len);
    }
    CHECK_EQ_INT(map.count, 2500);
    uint64_t *value = ri_bytemap_get(&map, "2499", 4);
    CHECK(value != NULL && *value == 2499);
    CHECK(ri_bytemap_get(&map, "2500", 4) == NULL);
    CHECK(ri_bytemap_get(&map, "2499", 5) == NULL);
    CHECK(ri_bytemap_get(&map, "a\0b", 3) == NULL);
    ri_bytemap_deinit(&map);
    ri_arena_deinit(&arena);
}

TEST(bytemap__empty_key_is_a_key)
{
    ri_bytemap map = { 0 };
    CHECK(ri_bytemap_get(&map, "", 0) == NULL);
    bool added = false;
    ri_bytemap_slot *slot = ri_bytemap_put(&map, NULL, 0, &added);
    REQUIRE(slot != NULL);
    CHECK(added);
    slot->value = 9;
    uint64_t *value = ri_bytemap_get(&map, "", 0);
    CHECK(value != NULL && *value == 9);
    (void)ri_bytemap_put(&map, "", 0, &added);
    CHECK(!added);
    ri_bytemap_deinit(&map);
}

static int fill_bytes(size_t count)
{
    static const uint8_t text[600];
    ri_bytemap map = { 0 };
    int rc = RILLE_OK;
    for (size_t len = 0; len < count && rc == RILLE_OK; len++) {
        bool added;
        if (ri_bytemap_put(&map, text, len, &added) == NULL) {
            rc = ri_fail_nomem(NULL);
        }
    }
    ri_bytemap_deinit(&map);
    return rc;
}

TEST(bytemap__out_of_memory_leaks_nothing)
{
    TEST_FAULT_SWEEP(fill_bytes(600));
}

TEST_MAIN(map64__agrees_with_a_list, map64__out_of_memory_keeps_what_is_there,
          bytemap__tells_keys_apart_by_bytes_and_length, bytemap__empty_key_is_a_key,
          bytemap__out_of_memory_leaks_nothing)
