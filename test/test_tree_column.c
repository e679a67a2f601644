/* SPDX-License-Identifier: MIT
 *
 * Columns against plain arrays: every mode and width, every operation, damaged bytes.
 */
#include "../src/core/tree/column.h"

#include "harness.h"

#define ROWS_MAX 3000U

typedef struct packed {
    ri_buf bytes;
    ri_arena arena;
    ri_col col;
    size_t len;
} packed;

static void pack(packed *p, const uint64_t *numbers, uint32_t n)
{
    *p = (packed){ 0 };
    ri_col_write(&p->bytes, numbers, n);
    p->len = p->bytes.len;
    ri_buf_put(&p->bytes, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    REQUIRE(!p->bytes.failed);
    ri_reader r = ri_reader_of(p->bytes.p, p->len);
    REQUIRE(ri_col_open(&r, n, &p->arena, &p->col));
    CHECK(r.p == r.end);
}

static void unpack(packed *p)
{
    ri_buf_deinit(&p->bytes);
    ri_arena_deinit(&p->arena);
}

static uint32_t naive_lower(const uint64_t *numbers, uint32_t from, uint32_t to, uint64_t key)
{
    while (from < to && numbers[from] < key) {
        from++;
    }
    return from;
}

static void check_searches(const packed *p, const uint64_t *numbers, uint32_t n, test_rng *rng)
{
    for (int i = 0; i < 200; i++) {
        uint64_t key = numbers[test_random_below(rng, n)] + test_random_below(rng, 3) - 1;
        uint32_t to = (uint32_t)test_random_below(rng, n + 1U);
        uint32_t from = (uint32_t)test_random_below(rng, to + 1U);
        if (i % 2 == 0) {
            from = 0;
            to = n;
        }
        uint32_t lower = naive_lower(numbers, from, to, key);
        CHECK_EQ_INT(ri_col_lower(&p->col, from, to, key), lower);
        CHECK_EQ_INT(ri_col_gallop(&p->col, from, to, key), lower);
        uint32_t upper = key == UINT64_MAX ? to : naive_lower(numbers, from, to, key + 1);
        CHECK_EQ_INT(ri_col_upper(&p->col, from, to, key), upper);
        uint32_t first;
        uint32_t end;
        ri_col_equal(&p->col, from, to, key, i % 3 == 0, &first, &end);
        CHECK_EQ_INT(first, lower);
        CHECK_EQ_INT(end, upper);
    }
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void check_column(const uint64_t *numbers, uint32_t n, test_rng *rng)
{
    static uint64_t out[ROWS_MAX];
    packed p;
    pack(&p, numbers, n);
    ri_col_unpack(&p.col, 0, n, out);
    CHECK_EQ_MEM(out, n * sizeof *out, numbers, n * sizeof *out);
    uint64_t min = UINT64_MAX;
    uint64_t max = 0;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(ri_col_get(&p.col, i) == numbers[i]);
        min = numbers[i] < min ? numbers[i] : min;
        max = numbers[i] > max ? numbers[i] : max;
    }
    CHECK(ri_col_all_within(&p.col, min, max));
    CHECK(max == 0 || !ri_col_all_within(&p.col, min, max - 1));
    CHECK(min == UINT64_MAX || !ri_col_all_within(&p.col, min + 1, max));
    for (int i = 0; i < 20; i++) {
        uint32_t to = (uint32_t)test_random_below(rng, n + 1U);
        uint32_t from = (uint32_t)test_random_below(rng, to + 1U);
        ri_col_unpack(&p.col, from, to, out);
        CHECK_EQ_MEM(out, (to - from) * sizeof *out, numbers + from, (to - from) * sizeof *out);
    }
    bool sorted = true;
    for (uint32_t i = 1; i < n; i++) {
        sorted = sorted && numbers[i - 1] <= numbers[i];
    }
    if (sorted) {
        check_searches(&p, numbers, n, rng);
    }
    unpack(&p);
}

TEST(column__keeps_numbers_of_every_width)
{
    static uint64_t numbers[ROWS_MAX];
    test_rng rng = test_rng_new();
    for (unsigned width = 0; width <= 64; width++) {
        for (int round = 0; round < 12; round++) {
            uint32_t n = 1 + (uint32_t)test_random_below(&rng, round < 6 ? 40 : ROWS_MAX - 1);
            uint64_t base = test_random(&rng) >> test_random_below(&rng, 64);
            for (uint32_t i = 0; i < n; i++) {
                numbers[i] = base + (width == 0 ? 0 : test_random(&rng) >> (64 - width));
            }
            if (round % 2 == 0) {
                qsort(numbers, n, sizeof *numbers, cmp_u64);
            }
            check_column(numbers, n, &rng);
        }
    }
}

TEST(column__keeps_runs_and_slopes)
{
    static uint64_t numbers[ROWS_MAX];
    test_rng rng = test_rng_new();
    for (int round = 0; round < 600; round++) {
        uint32_t n = 1 + (uint32_t)test_random_below(&rng, ROWS_MAX - 1);
        uint64_t run_max = 1 + test_random_below(&rng, 30);
        uint64_t step_max = 1 + test_random_below(&rng, 1U << test_random_below(&rng, 20));
        bool even = test_random_below(&rng, 2) == 0;
        uint64_t x = test_random(&rng) >> (1 + test_random_below(&rng, 63));
        for (uint32_t i = 0; i < n;) {
            uint64_t run = even ? run_max : 1 + test_random_below(&rng, run_max);
            for (; run > 0 && i < n; run--) {
                numbers[i++] = x;
            }
            x += even ? step_max : test_random_below(&rng, step_max);
        }
        check_column(numbers, n, &rng);
    }
}

static unsigned mode_of(const uint64_t *numbers, uint32_t n, size_t *len)
{
    packed p;
    pack(&p, numbers, n);
    unsigned mode = p.col.mode;
    *len = p.len;
    unpack(&p);
    return mode;
}

TEST(column__is_searched_where_only_a_part_is_sorted)
{
    static uint64_t numbers[ROWS_MAX];
    test_rng rng = test_rng_new();
    for (int round = 0; round < 300; round++) {
        uint32_t n = 10 + (uint32_t)test_random_below(&rng, 500);
        uint64_t run_max = 1 + test_random_below(&rng, 8);
        uint64_t x = 100000;
        for (uint32_t i = 0; i < n;) {
            for (uint64_t run = 1 + test_random_below(&rng, run_max); run > 0 && i < n; run--) {
                numbers[i++] = x;
            }
            x = test_random_below(&rng, 20) == 0 ? test_random_below(&rng, 1000) : x + 1 + test_random_below(&rng, 5);
        }
        packed p;
        pack(&p, numbers, n);
        for (uint32_t from = 0; from < n;) {
            uint32_t to = from + 1;
            while (to < n && numbers[to] >= numbers[to - 1]) {
                to++;
            }
            uint64_t key = numbers[from + test_random_below(&rng, to - from)] + test_random_below(&rng, 2);
            CHECK_EQ_INT(ri_col_lower(&p.col, from, to, key), naive_lower(numbers, from, to, key));
            CHECK_EQ_INT(ri_col_gallop(&p.col, from, to, key), naive_lower(numbers, from, to, key));
            uint32_t first;
            uint32_t end;
            ri_col_equal(&p.col, from, to, key, false, &first, &end);
            CHECK_EQ_INT(first, naive_lower(numbers, from, to, key));
            CHECK_EQ_INT(end, naive_lower(numbers, from, to, key + 1));
            from = to;
        }
        unpack(&p);
    }
}

TEST(column__takes_the_smallest_mode)
{
    static uint64_t numbers[ROWS_MAX];
    size_t len;
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        numbers[i] = 7;
    }
    CHECK_EQ_INT(mode_of(numbers, 1000, &len), RI_COL_CONST);
    CHECK_EQ_INT(len, 2);
    numbers[0] = (UINT64_C(1) << 63) + 5; /* the key of the long 5 */
    CHECK_EQ_INT(mode_of(numbers, 1, &len), RI_COL_CONST);
    CHECK_EQ_INT(len, 2);
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        numbers[i] = 100000 - 3 * (uint64_t)i;
    }
    CHECK_EQ_INT(mode_of(numbers, 1000, &len), RI_COL_STRIDE);
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        numbers[i] = 1000 + (i + 2) / 5; /* entities of five datoms, the first one cut */
    }
    CHECK_EQ_INT(mode_of(numbers, 1024, &len), RI_COL_RLE);
    CHECK(len < 16);
    test_rng rng = test_rng_new();
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        numbers[i] = test_random_below(&rng, 1000);
    }
    CHECK_EQ_INT(mode_of(numbers, 1024, &len), RI_COL_FOR);
    for (uint32_t i = 1; i < ROWS_MAX; i++) {
        numbers[i] = numbers[i - 1] + 1 + test_random_below(&rng, 100);
    }
    CHECK_EQ_INT(mode_of(numbers, 1024, &len), RI_COL_DELTA);
}

/* Numbers that grow by a step have the same bytes, however many they are. */
TEST(column__of_one_or_two_numbers_is_written_as_a_longer_one)
{
    test_rng rng = test_rng_new();
    ri_buf few = { 0 };
    ri_buf more = { 0 };
    for (int round = 0; round < 20000; round++) {
        uint64_t first = test_random(&rng) >> test_random_below(&rng, 64);
        uint64_t step = test_random(&rng) >> test_random_below(&rng, 64);
        uint32_t n = 1 + (uint32_t)round % 2;
        first ^= round % 3 == 0 ? UINT64_C(1) << 63 : 0;
        step = n == 1 || round % 5 == 0 ? 0 : round % 7 == 0 ? 0 - step : step;
        uint64_t numbers[3] = { first, first + step, first + 2 * step };
        ri_buf_clear(&few);
        ri_buf_clear(&more);
        ri_col_write(&few, numbers, n);
        ri_col_write(&more, numbers, 3);
        CHECK_EQ_MEM(few.p, few.len, more.p, more.len);
        if (step == 0) {
            ri_buf_clear(&few);
            ri_col_write_same(&few, first);
            CHECK_EQ_MEM(few.p, few.len, more.p, more.len);
        }
    }
    ri_buf_deinit(&few);
    ri_buf_deinit(&more);
}

TEST(column__refuses_damaged_bytes)
{
    static uint64_t numbers[ROWS_MAX];
    static uint64_t out[ROWS_MAX];
    test_rng rng = test_rng_new();
    uint64_t sum = 0;
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 1 + (uint32_t)test_random_below(&rng, 700);
        uint64_t x = 0;
        unsigned kind = (unsigned)test_random_below(&rng, 3);
        for (uint32_t i = 0; i < n; i++) {
            x += kind == 0 ? test_random_below(&rng, 9) == 0 : test_random_below(&rng, 50);
            numbers[i] = kind == 1 ? test_random(&rng) >> 40 : x;
        }
        ri_buf buf = { 0 };
        ri_arena arena = { 0 };
        ri_col_write(&buf, numbers, n);
        size_t len = buf.len;
        for (int k = 0; k < 3; k++) {
            buf.p[test_random_below(&rng, len < 24 ? len : 24)] = (uint8_t)test_random(&rng);
        }
        len = test_random_below(&rng, 2) == 0 ? len : test_random_below(&rng, len);
        uint8_t *exact = malloc(len + 16); /* so that sanitizers see what is read beyond */
        memcpy(exact, buf.p, len);
        memset(exact + len, 0xee, 16);
        ri_reader r = ri_reader_of(exact, len);
        ri_col col;
        if (ri_col_open(&r, n, &arena, &col)) {
            ri_col_unpack(&col, 0, n, out);
            uint32_t from = (uint32_t)test_random_below(&rng, n);
            uint64_t key = test_random(&rng) >> test_random_below(&rng, 64);
            uint32_t at = ri_col_lower(&col, from, n, key);
            CHECK(at >= from && at <= n);
            at = ri_col_gallop(&col, from, n, key);
            CHECK(at >= from && at <= n);
            uint32_t first;
            uint32_t end;
            ri_col_equal(&col, from, n, key, false, &first, &end);
            CHECK(first >= from && first <= n && end >= from && end <= n);
            CHECK(ri_col_get(&col, from) == out[from]);
            sum += out[n - 1];
        }
        free(exact);
        ri_buf_deinit(&buf);
        ri_arena_deinit(&arena);
    }
    CHECK(sum != 1); /* used */
}

TEST_MAIN(column__keeps_numbers_of_every_width, column__keeps_runs_and_slopes,
          column__is_searched_where_only_a_part_is_sorted, column__takes_the_smallest_mode,
          column__of_one_or_two_numbers_is_written_as_a_longer_one, column__refuses_damaged_bytes)
