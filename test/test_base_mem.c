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

/* ---- in steps ---- */

enum { ITEMS = 430000 };

/* An array that only grows: what moves at once when it is full. */
static size_t grow_in_steps(ri_growth *growth, uint32_t **items, size_t *cap, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t copied = growth->next != NULL ? growth->copied : 0;
        uint32_t *before = *items;
        REQUIRE(RI_GROW_BY_ONE(growth, items, cap, i));
        size_t now = growth->next != NULL ? growth->copied : *items != before ? i : copied;
        size_t moved = now - copied;
        most = i * sizeof **items > 70000 && moved > most ? moved : most;
        (*items)[i] = (uint32_t)i;
    }
    return most;
}

TEST(mem__an_array_that_grows_in_steps_is_never_copied_at_once)
{
    ri_trash trash = { NULL };
    ri_growth growth = { 0 };
    uint32_t *items = NULL;
    size_t cap = 0;
    ri_mem_set_steps(&trash);
    CHECK(grow_in_steps(&growth, &items, &cap, ITEMS) <= 8);
    CHECK(growth.next != NULL); /* half way */
    for (uint32_t i = 0; i < ITEMS; i++) {
        CHECK(items[i] == i);
    }
    CHECK(trash.first != NULL);
    ri_mem_set_steps(NULL);
    for (size_t i = ITEMS; i < 2 * (size_t)ITEMS; i++) { /* it ends as it began */
        REQUIRE(RI_GROW_BY_ONE(&growth, &items, &cap, i));
        items[i] = (uint32_t)i;
    }
    for (uint32_t i = 0; i < 2 * ITEMS; i++) {
        CHECK(items[i] == i);
    }
    ri_free(items);
    ri_free(growth.next);
    CHECK(ri_trash_empty(&trash, SIZE_MAX));
}

/* What changes is copied again. */
TEST(mem__items_that_change_while_an_array_grows_are_kept)
{
    ri_trash trash = { NULL };
    ri_growth growth = { 0 };
    uint32_t *items = NULL;
    size_t cap = 0;
    ri_mem_set_steps(&trash);
    for (uint32_t round = 0, count = 0; count < ITEMS; round++) {
        for (uint32_t i = 0; i < 10 && count < ITEMS; i++, count++) {
            REQUIRE(RI_GROW_BY_ONE(&growth, &items, &cap, count));
            items[count] = count + round % 2;
        }
        if (round % 2 == 1) { /* taken back, as from a stack */
            count -= 5;
            growth.copied = growth.copied < count ? growth.copied : count;
        }
        for (uint32_t i = count - 5; i < count; i++) {
            items[i] = i;
            growth.copied = growth.copied < i ? growth.copied : i;
        }
    }
    ri_mem_set_steps(NULL);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i + 10 < ITEMS; i++) {
        wrong += items[i] != i && items[i] != i + 1;
    }
    CHECK_EQ_INT(wrong, 0);
    ri_free(items);
    ri_free(growth.next);
    CHECK(ri_trash_empty(&trash, SIZE_MAX));
}

static int grow_in_steps_to(size_t count)
{
    ri_trash trash = { NULL };
    ri_growth growth = { 0 };
    uint64_t *items = NULL;
    size_t cap = 0;
    int rc = RILLE_OK;
    ri_mem_set_steps(&trash);
    for (size_t i = 0; i < count && rc == RILLE_OK; i++) {
        if (RI_GROW_BY_ONE(&growth, &items, &cap, i)) {
            items[i] = i;
        } else {
            rc = RILLE_NOMEM;
        }
    }
    ri_mem_set_steps(NULL);
    ri_free(items);
    ri_free(growth.next);
    (void)ri_trash_empty(&trash, SIZE_MAX);
    return rc;
}

TEST(mem__growing_in_steps_copes_without_memory)
{
    TEST_FAULT_SWEEP(grow_in_steps_to(20000));
}

TEST(mem__large_blocks_are_freed_in_portions)
{
    enum { SIZE = 1000000, PORTION = 128 * 1024 };
    for (int own = 0; own < 2; own++) {
        ri_trash trash = { NULL };
        rille_set_alloc_hook(own ? NULL : test_alloc, NULL);
        ri_mem_set_steps(&trash);
        ri_free_sized(NULL, SIZE);
        ri_free_sized(ri_alloc(100), 100); /* at once */
        CHECK(trash.first == NULL);
        for (int i = 0; i < 3; i++) {
            ri_free_sized(ri_alloc(SIZE), SIZE);
        }
        int portions = 1;
        while (!ri_trash_empty(&trash, PORTION) && portions < 100) {
            portions++;
        }
        CHECK_EQ_INT(portions, own ? 3 * SIZE / PORTION + 1 : 3); /* a host's memory may not get smaller in place */
        ri_mem_set_steps(NULL);
        ri_free_sized(ri_alloc(SIZE), SIZE);
        CHECK(trash.first == NULL);
    }
    rille_set_alloc_hook(test_alloc, NULL);
}

#if defined(__linux__)
/* Does the kernel keep the memory at p in huge pages, if it can? */
static bool has_huge_pages(const void *p)
{
    char line[512];
    bool within = false;
    bool huge = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from;
        unsigned long long to;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            within = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (within && strncmp(line, "VmFlags:", 8) == 0) {
            huge = strstr(line, " hg") != NULL;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return huge;
}

TEST(mem__large_blocks_of_steps_have_no_huge_pages)
{
    enum { SIZE = 64 * 1024 * 1024 };
    ri_trash trash = { NULL };
    rille_set_alloc_hook(NULL, NULL);
    ri_mem_set_steps(&trash);
    uint8_t *p = ri_alloc(SIZE);
    REQUIRE(p != NULL);
    CHECK(!has_huge_pages(p + SIZE / 2));
    ri_mem_set_steps(NULL);
    ri_free(p);
    rille_set_alloc_hook(test_alloc, NULL);
}
#else
TEST(mem__large_blocks_of_steps_have_no_huge_pages)
{
}
#endif

TEST_MAIN(mem__size_zero_gives_a_block, mem__zero_is_zero, mem__products_that_overflow_are_refused,
          mem__grow_keeps_items_and_doubles, mem__grow_leaves_all_as_it_was_on_failure,
          mem__public_pair_passes_the_hook, mem__no_hook_is_the_heap,
          mem__an_array_that_grows_in_steps_is_never_copied_at_once,
          mem__items_that_change_while_an_array_grows_are_kept, mem__growing_in_steps_copes_without_memory,
          mem__large_blocks_are_freed_in_portions, mem__large_blocks_of_steps_have_no_huge_pages)
