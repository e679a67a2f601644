/* SPDX-License-Identifier: MIT
 *
 * Differences of trees against those of sorted arrays, and how little is read for them.
 */
#include "test_tree_store.h"

/* A copy of rows with some dropped, some given another t, and some new ones. */
static ri_datom *variant(test_rng *rng, ri_arena *arena, ri_order order, const data_shape *shape, const ri_datom *rows,
                         uint32_t n, uint32_t changes, uint32_t *count)
{
    ri_datom *out = ri_arena_array(arena, n + changes, sizeof *out);
    REQUIRE(out != NULL);
    uint32_t k = 0;
    uint32_t start = n == 0 ? 0 : (uint32_t)test_random_below(rng, n);
    uint32_t end = start + (uint32_t)test_random_below(rng, changes + 1U); /* a stretch that goes */
    for (uint32_t i = 0; i < n; i++) {
        if (i < start || i >= end) {
            out[k++] = rows[i];
        }
    }
    data_shape refs = *shape;
    refs.refs_only = order == RI_VAET;
    for (uint32_t i = 0; i < changes; i++) {
        if (k > 0 && test_random_below(rng, 2) == 0) {
            out[test_random_below(rng, k)].t += 1;
        } else {
            out[k++] = data_datom(rng, arena, &refs);
        }
    }
    *count = data_sort(order, out, k);
    return out;
}

typedef struct expected {
    const ri_datom *d;
    bool in_b;
} expected;

static expected *naive(ri_arena *arena, ri_order order, const ri_datom *a, uint32_t n, const ri_datom *b, uint32_t m,
                       uint32_t *count)
{
    expected *out = ri_arena_array(arena, n + m, sizeof *out);
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t k = 0;
    while (i < n || j < m) {
        int side = i == n ? 1 : j == m ? -1 : ri_datom_cmp(order, &a[i], &b[j]);
        if (side == 0 && data_same(&a[i], &b[j])) {
            i++;
            j++;
            continue;
        }
        if (side <= 0) {
            out[k++] = (expected){ &a[i++], false };
        }
        if (side >= 0) {
            out[k++] = (expected){ &b[j++], true };
        }
    }
    *count = k;
    return out;
}

static void check_diff(ri_store *store_a, const ri_tree *a, ri_store *store_b, const ri_tree *b, const expected *e,
                       uint32_t count)
{
    ri_diff *diff;
    ri_io io = { 0 };
    REQUIRE_RC(ri_diff_new(store_a, a, store_b, b, &diff, &test_err), RILLE_OK);
    int rc;
    for (uint32_t i = 0; i <= count; i++) {
        ri_datom d;
        bool in_b;
        DATA_DRIVE(&io, rc, ri_diff_next(diff, &io, &d, &in_b, &test_err));
        REQUIRE(rc == (i < count ? RILLE_OK : RILLE_DONE));
        if (i < count) {
            REQUIRE(in_b == e[i].in_b && data_same(&d, e[i].d));
        }
        if (i % 50 == 0) {
            ri_io_clear(&io);
        }
    }
    ri_diff_release(diff);
    ri_io_deinit(&io);
}

static void check_pairs(const char *url_a, const char *url_b, int rounds)
{
    test_rng rng = test_rng_new();
    for (int round = 0; round < rounds; round++) {
        ri_arena arena = { 0 };
        ri_order order = (ri_order)(round % RI_ORDER_COUNT);
        const ri_limits *limits = round % 2 == 0 ? &data_limits_small : &data_limits_tiny;
        data_shape shape = data_any_shape(&rng);
        uint32_t n;
        uint32_t m;
        uint32_t count;
        ri_datom *a = data_rows(&rng, &arena, order, &shape, (uint32_t)test_random_below(&rng, 3000), &n);
        uint32_t changes = (uint32_t)test_random_below(&rng, 1U << test_random_below(&rng, 10));
        ri_datom *b = variant(&rng, &arena, order, &shape, a, n, changes, &m);
        expected *e = naive(&arena, order, a, n, b, m, &count);
        ri_store *store_a = data_store(url_a);
        ri_store *store_b = data_store(url_b);
        ri_tree tree_a;
        ri_tree tree_b;
        REQUIRE_RC(data_build(store_a, order, limits, a, n, &tree_a, &test_err), RILLE_OK);
        REQUIRE_RC(data_build(store_b, order, limits, b, m, &tree_b, &test_err), RILLE_OK);
        check_diff(store_a, &tree_a, store_b, &tree_b, e, count);
        data_store_drop(store_a);
        data_store_drop(store_b);
        ri_arena_deinit(&arena);
    }
}

TEST(diff__reports_what_differs_in_order)
{
    check_pairs("mem:diff-a", "mem:diff-b", 210);
}

TEST(diff__goes_on_after_each_node_that_was_asked_for)
{
    check_pairs("deferred:mem:diff-c", "deferred:mem:diff-d", 35);
}

TEST(diff__reads_only_what_differs)
{
    enum { N = 300000 };
    ri_arena arena = { 0 };
    ri_datom *rows = ri_arena_array(&arena, N, sizeof *rows);
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = (ri_datom){ .e = 1000 + i / 5 * 2, .t = 9, .v = ri_long((int64_t)i), .a = 10 + i % 5, .added = true };
    }
    ri_store *store = data_store("mem:diff-little");
    ri_tree a;
    ri_tree b;
    REQUIRE_RC(data_build(store, RI_EAVT, &ri_limits_standard, rows, N, &a, &test_err), RILLE_OK);
    ri_datom old = rows[N / 2];
    rows[N / 2].t = 10;
    REQUIRE_RC(data_build(store, RI_EAVT, &ri_limits_standard, rows, N, &b, &test_err), RILLE_OK);
    expected e[2] = { { &old, false }, { &rows[N / 2], true } };
    ri_store_stats before;
    ri_store_stats after;
    ri_store_read_stats(store, &before);
    check_diff(store, &a, store, &b, e, 2);
    ri_store_read_stats(store, &after);
    CHECK(after.get_ranges - before.get_ranges <= 6);
    check_diff(store, &a, store, &a, e, 0);
    data_store_drop(store);
    ri_arena_deinit(&arena);
}

TEST_MAIN(diff__reports_what_differs_in_order, diff__goes_on_after_each_node_that_was_asked_for,
          diff__reads_only_what_differs)
