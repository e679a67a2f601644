/* SPDX-License-Identifier: MIT */
#include "../src/core/store/cache.h"
#include "test_store_support.h"
#include "test_threads.h"

typedef struct thing {
    ri_object object;
    uint64_t number;
    atomic_llong *alive;
} thing;

static atomic_llong alive;

static void destroy_thing(ri_object *object)
{
    (void)atomic_fetch_sub(((thing *)object)->alive, 1);
    free(object);
}

static void addr_of(uint64_t number, uint8_t addr[RI_HASH_SIZE])
{
    ri_blake2b(addr, &number, sizeof number);
}

static ri_object *new_thing(uint64_t number, size_t mem_bytes)
{
    thing *t = malloc(sizeof *t);
    if (t == NULL) {
        abort();
    }
    *t = (thing){ .object = { .mem_bytes = mem_bytes, .destroy = destroy_thing }, .number = number, .alive = &alive };
    ri_refs_init(&t->object.refs);
    (void)atomic_fetch_add(&alive, 1);
    return &t->object;
}

static void put(ri_cache *cache, uint64_t number, size_t mem_bytes)
{
    uint8_t addr[RI_HASH_SIZE];
    addr_of(number, addr);
    ri_object *object = new_thing(number, mem_bytes);
    ri_cache_put(cache, addr, object);
    ri_object_release(object);
}

/* True when it is there; checks that it is the right one. */
static bool get(ri_cache *cache, uint64_t number)
{
    uint8_t addr[RI_HASH_SIZE];
    addr_of(number, addr);
    ri_object *object = ri_cache_get(cache, addr);
    if (object != NULL) {
        CHECK(((thing *)object)->number == number);
        ri_object_release(object);
    }
    return object != NULL;
}

static ri_cache *new_cache(size_t bytes_max)
{
    ri_cache *cache;
    REQUIRE_RC(ri_cache_new(bytes_max, &cache, &test_err), RILLE_OK);
    return cache;
}

TEST(cache__gives_what_was_put)
{
    ri_cache *cache = new_cache(1 << 20);
    CHECK(!get(cache, 1));
    put(cache, 1, 100);
    put(cache, 2, 100);
    CHECK(get(cache, 1) && get(cache, 2) && !get(cache, 3));
    uint64_t hits;
    uint64_t misses;
    uint64_t bytes;
    ri_cache_stats(cache, &hits, &misses, &bytes);
    CHECK_EQ_INT(hits, 2);
    CHECK_EQ_INT(misses, 2);
    CHECK(bytes > 200 && bytes < 1000);
    ri_cache_release(cache);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST(cache__keeps_the_first_of_one_address)
{
    ri_cache *cache = new_cache(1 << 20);
    uint8_t addr[RI_HASH_SIZE];
    addr_of(1, addr);
    ri_object *one = new_thing(1, 100);
    ri_object *two = new_thing(1, 100);
    ri_cache_put(cache, addr, one);
    ri_cache_put(cache, addr, two);
    ri_object *got = ri_cache_get(cache, addr);
    CHECK(got == one);
    ri_object_release(got);
    ri_object_release(one);
    ri_object_release(two);
    CHECK_EQ_INT(atomic_load(&alive), 1);
    ri_cache_release(cache);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST(cache__stays_within_its_bytes)
{
    test_rng rng = test_rng_new();
    for (size_t bytes_max = 1000; bytes_max < 100000000; bytes_max *= 10) {
        ri_cache *cache = new_cache(bytes_max);
        uint64_t bytes = 0;
        for (uint64_t i = 0; i < 3000; i++) {
            uint64_t counts[2];
            put(cache, test_random_below(&rng, 5000), (size_t)test_random_below(&rng, bytes_max / 20));
            (void)get(cache, test_random_below(&rng, 5000));
            ri_cache_stats(cache, &counts[0], &counts[1], &bytes);
            CHECK(bytes <= bytes_max);
        }
        CHECK(bytes > bytes_max / 2);
        put(cache, 1000000, bytes_max); /* what is too big for it is not kept, and pushes nothing out */
        CHECK(!get(cache, 1000000));
        uint64_t hits;
        uint64_t misses;
        uint64_t after;
        ri_cache_stats(cache, &hits, &misses, &after);
        CHECK_EQ_INT(after, bytes);
        ri_cache_release(cache);
        CHECK_EQ_INT(atomic_load(&alive), 0);
    }
}

/* Everything that is in it is what was put under that name; a list of the newest objects is the model. */
TEST(cache__agrees_with_a_model)
{
    enum { NAMES = 500 };
    test_rng rng = test_rng_new();
    ri_cache *cache = new_cache(200 * 1000);
    bool was_put[NAMES] = { false };
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t number = test_random_below(&rng, NAMES);
        if (test_random_below(&rng, 2) == 0) {
            put(cache, number, 1000);
            was_put[number] = true;
            CHECK(get(cache, number)); /* the newest is there */
        } else {
            CHECK(!get(cache, number) || was_put[number]);
        }
    }
    ri_cache_release(cache);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST(cache__keeps_its_branches_through_a_long_scan)
{
    ri_cache *cache = new_cache(1 << 20);
    for (uint64_t i = 0; i < 100; i++) {
        put(cache, i, 1000);
    }
    uint64_t lost = 0;
    for (uint64_t i = 0; i < 20000; i++) { /* each leaf once, each branch now and then */
        put(cache, 1000 + i, 1000);
        uint64_t branch = i % 100;
        if (!get(cache, branch)) {
            lost++;
            put(cache, branch, 1000);
        }
    }
    CHECK(lost < 20);
    ri_cache_release(cache);
}

TEST(cache__outlives_nothing_that_is_in_use)
{
    ri_cache *cache = new_cache(1000);
    uint8_t addr[RI_HASH_SIZE];
    put(cache, 1, 300);
    addr_of(1, addr);
    ri_object *held = ri_cache_get(cache, addr);
    REQUIRE(held != NULL);
    for (uint64_t i = 2; i < 100; i++) {
        put(cache, i, 300);
    }
    CHECK(((thing *)held)->number == 1);
    ri_cache_release(cache);
    CHECK_EQ_INT(atomic_load(&alive), 1);
    ri_object_release(held);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

static int new_and_free(void)
{
    ri_cache *cache;
    int rc = ri_cache_new(20 << 20, &cache, NULL);
    if (rc == RILLE_OK) {
        put(cache, 1, 10);
        put(cache, 2, 10);
        ri_cache_release(cache);
    }
    return rc;
}

TEST(cache__copes_without_memory)
{
    TEST_FAULT_SWEEP(new_and_free());
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

/* ---- threads ---- */

static void *use_cache(void *argument)
{
    ri_cache *cache = argument;
    test_rng rng = { (uint64_t)(uintptr_t)&rng };
    for (int i = 0; i < 20000; i++) {
        uint64_t number = test_random_below(&rng, 300);
        if (!get(cache, number)) {
            put(cache, number, 5000);
        }
    }
    return NULL;
}

TEST(cache__is_used_by_many_threads)
{
    test_thread threads[4];
    ri_cache *cache = new_cache(1 << 20);
    for (size_t i = 0; i < 4; i++) {
        REQUIRE(test_thread_start(&threads[i], use_cache, cache));
    }
    for (size_t i = 0; i < 4; i++) {
        test_thread_join(&threads[i]);
    }
    uint64_t hits;
    uint64_t misses;
    uint64_t bytes;
    ri_cache_stats(cache, &hits, &misses, &bytes);
    CHECK_EQ_INT(hits + misses, 80000);
    CHECK(bytes <= 1 << 20);
    ri_cache_release(cache);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST_MAIN(cache__gives_what_was_put, cache__keeps_the_first_of_one_address, cache__stays_within_its_bytes,
          cache__agrees_with_a_model, cache__keeps_its_branches_through_a_long_scan,
          cache__outlives_nothing_that_is_in_use, cache__copes_without_memory, cache__is_used_by_many_threads)
