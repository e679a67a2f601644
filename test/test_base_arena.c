/* SPDX-License-Identifier: MIT */
#include "../src/core/base/arena.h"

#include "../src/core/base/err.h"
#include "harness.h"

TEST(arena__blocks_are_aligned_and_apart)
{
    enum { COUNT = 3000 };
    static uint8_t *blocks[COUNT];
    static size_t sizes[COUNT];
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = (size_t)test_random_below(&rng, i % 100 == 0 ? 300000 : 200);
        blocks[i] = ri_arena_alloc(&arena, sizes[i]);
        REQUIRE(blocks[i] != NULL);
        CHECK((uintptr_t)blocks[i] % 8 == 0);
        memset(blocks[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            REQUIRE(blocks[i][k] == i % 251);
        }
    }
    ri_arena_deinit(&arena);
    CHECK(arena.chunks == NULL && arena.total_bytes == 0);
}

TEST(arena__reset_forgets_and_can_be_used_again)
{
    ri_arena arena = { 0 };
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 10000; i++) {
            uint64_t *p = ri_arena_alloc(&arena, sizeof *p);
            REQUIRE(p != NULL);
            *p = (uint64_t)i;
        }
        ri_arena_reset(&arena);
    }
    CHECK(arena.total_bytes <= 10000 * sizeof(uint64_t) * 4); /* one chunk, not five rounds of them */
    ri_arena_deinit(&arena);
    ri_arena_reset(&arena); /* an empty one, too */
    ri_arena_deinit(&arena);
}

TEST(arena__copies_are_their_own)
{
    ri_arena arena = { 0 };
    char text[] = "hello";
    char *copy = ri_arena_text(&arena, text, 4);
    uint8_t *bytes = ri_arena_copy(&arena, text, 5);
    CHECK(ri_arena_copy(&arena, NULL, 0) != NULL);
    memset(text, 'x', 5);
    CHECK_EQ_STR(copy, "hell");
    CHECK_EQ_MEM(bytes, 5, "hello", 5);
    ri_arena_deinit(&arena);
}

TEST(arena__sizes_that_overflow_are_refused)
{
    ri_arena arena = { 0 };
    CHECK(ri_arena_alloc(&arena, 1) != NULL);
    CHECK(ri_arena_alloc(&arena, SIZE_MAX) == NULL);
    CHECK(ri_arena_alloc(&arena, SIZE_MAX - 7) == NULL);
    CHECK(ri_arena_alloc(&arena, SIZE_MAX / 2 + 1) == NULL);
    CHECK(ri_arena_array(&arena, SIZE_MAX / 2, 3) == NULL);
    CHECK(ri_arena_text(&arena, "", SIZE_MAX) == NULL);
    CHECK(ri_arena_alloc(&arena, 1) != NULL);
    ri_arena_deinit(&arena);
}

static int fill(size_t count)
{
    ri_arena arena = { 0 };
    int rc = RILLE_OK;
    for (size_t i = 0; i < count && rc == RILLE_OK; i++) {
        if (ri_arena_array(&arena, i, 3) == NULL) {
            rc = ri_fail_nomem(NULL);
        }
        if (i % 100 == 99) {
            ri_arena_reset(&arena);
        }
    }
    ri_arena_deinit(&arena);
    return rc;
}

TEST(arena__out_of_memory_leaks_nothing)
{
    TEST_FAULT_SWEEP(fill(350));
}

TEST_MAIN(arena__blocks_are_aligned_and_apart, arena__reset_forgets_and_can_be_used_again, arena__copies_are_their_own,
          arena__sizes_that_overflow_are_refused, arena__out_of_memory_leaks_nothing)
