/* SPDX-License-Identifier: MIT */
#include "../src/core/base/mem.h"

#include "harness.h"

TEST(mem__size_zero_gives_a_block)
{
    void *a = ri_alloc(0);
    void *b = ri_alloc(0);
    CHECK(a != NULL && b != NULL && a != b);
    a = ri_realloc(a, 0);
    CHECK(a != NULL);
    ri_free(a);
    ri_free(b);
    ri_free(NULL);
}

TEST(mem__zero_is_zero)
{
    uint8_t *p = ri_alloc_zero(1000);
    REQUIRE(p != NULL);
    for (size_t i = 0; i < 1000; i++) {
        CHECK(p[i] == 0);
    }
    ri_free(p);
}

TEST(mem__products_that_overflow_are_refused)
{
    size_t out = 7;
    CHECK(!ri_mul_size(SIZE_MAX / 2, 3, &out));
    CHECK_EQ_INT(out, 7);
    CHECK(ri_mul_size(0, SIZE_MAX, &out) && out == 0);
    CHECK(ri_mul_size(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    CHECK(ri_alloc_array(SIZE_MAX / 4, 8) == NULL);
}

TEST(mem__grow_keeps_items_and_doubles)
{
    uint32_t *items = NULL;
    size_t cap = 0;
    size_t moves = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        size_t before = cap;
        REQUIRE(RI_GROW(&items, &cap, (size_t)i + 1));
        moves += cap != before;
        items[i] = i;
    }
    CHECK(moves < 16);
    for (uint32_t i = 0; i < 10000; i++) {
        CHECK_EQ_INT(items[i], i);
    }
    CHECK(!RI_GROW(&items, &cap, SIZE_MAX));
    CHECK(!RI_GROW(&items, &cap, SIZE_MAX / 4));
    CHECK_EQ_INT(items[9999], 9999);
    ri_free(items);
}

static int grow_to(size_t count)
{
    uint64_t *items = NULL;
    size_t cap = 0;
    int rc = RILLE_OK;
    for (size_t i = 0; i < count && rc == RILLE_OK; i++) {
        size_t before = cap;
        if (!RI_GROW(&items, &cap, i + 1)) {
            CHECK_EQ_INT(cap, before);
            rc = RILLE_NOMEM;
        } else {
            items[i] = i;
        }
    }
    ri_free(items);
    return rc;
}

TEST(mem__grow_leaves_all_as_it_was_on_failure)
{
    TEST_FAULT_SWEEP(grow_to(1000));
}

TEST(mem__public_pair_passes_the_hook)
{
    long long before = atomic_load(&test_state.live_blocks);
    void *p = rille_alloc(10);
    CHECK_EQ_INT(atomic_load(&test_state.live_blocks) - before, 1);
    rille_free(p);
    CHECK_EQ_INT(atomic_load(&test_state.live_blocks) - before, 0);
}

TEST(mem__no_hook_is_the_heap)
{
    rille_set_alloc_hook(NULL, NULL);
    char *p = ri_alloc(3);
    p = ri_realloc(p, 300);
    bool ok = p != NULL;
    ri_free(p);
    rille_set_alloc_hook(test_alloc, NULL);
    CHECK(ok);
}

TEST_MAIN(mem__size_zero_gives_a_block, mem__zero_is_zero, mem__products_that_overflow_are_refused,
          mem__grow_keeps_items_and_doubles, mem__grow_leaves_all_as_it_was_on_failure,
          mem__public_pair_passes_the_hook, mem__no_hook_is_the_heap)
