/* SPDX-License-Identifier: MIT
 *
 * Building: the golden root, chunk sizes, separators, failures.
 */
#include "test_tree_store.h"

#include <limits.h>

/* A fixed set of datoms, whatever the seed. */
static ri_datom *fixed_rows(ri_arena *arena, ri_order order, uint32_t n, uint32_t *count)
{
    test_rng rng = { 42 };
    data_shape shape = { 3000, 40, 50, 2000, false, false };
    return data_rows(&rng, arena, order, &shape, n, count);
}

/* Changes when the format changes: then its version must, too. */
TEST(build__gives_the_golden_roots)
{
    static const char *const golden[RI_ORDER_COUNT] = {
        "c2bbe404f9291ec9453333ade46e8df7be659ff3f533c6f10985b166fd9cc5fc",
        "c67f2948678fe3c211c498e1378c14aaca6a1aa211bb3b10c13e64dad5ef166e",
        "90a76327edb94b5e6d6c2553f159809907cbe11263d2e36ad6fca5026d618c1d",
        "2aa7080e80a7c1785c9d2906813dc39fee494eb6a511cd378b49bba35f86880b",
        "36a5787c29323bccbd10ed06e3b7a4bb6ffe3bd63d99bcb52aa7f263ce87e2f5",
        "72ba0fa3aa582131c374527cefa653683841c7e1fb93fde8a1a8645637d49ebd",
        "6eaf7ec984cd6bea86e053c1f093f640c1df1ac9e8f13a5a99eb7c15199dd3a9",
    };
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        ri_arena arena = { 0 };
        uint32_t n;
        ri_datom *rows = fixed_rows(&arena, (ri_order)order, 50000, &n);
        ri_tree tree = { 0 };
        REQUIRE_RC(data_build(NULL, (ri_order)order, &ri_limits_standard, rows, n, &tree, &test_err), RILLE_OK);
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, tree.root.addr, RI_HASH_SIZE);
        CHECK_EQ_STR(hex, golden[order]);
        CHECK(tree.height >= 2);
        ri_arena_deinit(&arena);
    }
}

TEST(build__makes_leaves_of_the_announced_size)
{
    enum { N = 400000 };
    ri_arena arena = { 0 };
    ri_datom *rows = ri_arena_array(&arena, N, sizeof *rows);
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = (ri_datom){ .e = i, .t = 1, .v = ri_long((int64_t)i * 3), .a = 7, .added = true };
    }
    ri_store *store = data_store("mem:build-size");
    ri_tree tree;
    REQUIRE_RC(data_build(store, RI_AEVT, &ri_limits_standard, rows, N, &tree, &test_err), RILLE_OK);
    ri_check_report report;
    CHECK_RC(ri_tree_check(store, &tree, &report, &test_err), RILLE_OK);
    CHECK_EQ_INT(report.datoms, N);
    CHECK_EQ_INT(tree.count, N);
    uint64_t mean = N / report.leaves;
    CHECK(mean > 900 && mean < 1150);
    data_store_drop(store);
    ri_arena_deinit(&arena);
}

TEST(build__closes_leaves_of_large_values_early)
{
    enum { N = 2000, LEN = 1000 };
    ri_arena arena = { 0 };
    ri_datom *rows = ri_arena_array(&arena, N, sizeof *rows);
    for (uint32_t i = 0; i < N; i++) {
        uint8_t *p = data_bytes(&arena, LEN);
        memset(p, 'a' + (int)(i % 26), LEN);
        rows[i] = (ri_datom){ .e = i, .t = 1, .v = ri_bytes_value(RI_STRING, p, LEN), .a = 7, .added = true };
    }
    ri_store *store = data_store("mem:build-large");
    ri_tree tree;
    REQUIRE_RC(data_build(store, RI_EAVT, &ri_limits_standard, rows, N, &tree, &test_err), RILLE_OK);
    ri_check_report report;
    CHECK_RC(ri_tree_check(store, &tree, &report, &test_err), RILLE_OK);
    CHECK(report.leaves >= N * (LEN + 16) / (RI_LEAF_BYTES_MAX + LEN + 16));
    data_store_drop(store);
    ri_arena_deinit(&arena);
}

TEST(build__of_nothing_is_the_empty_tree)
{
    ri_tree tree = { .count = 1 };
    CHECK_RC(data_build(NULL, RI_EAVT, &ri_limits_standard, NULL, 0, &tree, &test_err), RILLE_OK);
    CHECK(tree.count == 0 && tree.height == 0 && ri_addr_is_zero(tree.root.addr));
    ri_store *store = data_store("mem:build-empty");
    ri_cursor cursor;
    ri_cursor_init(&cursor, store, &tree);
    ri_bound bound = { .parts = 0 };
    ri_io io = { 0 };
    CHECK_RC(ri_cursor_seek(&cursor, &bound, &io, &test_err), RILLE_DONE);
    CHECK_RC(ri_cursor_seek_back(&cursor, &bound, &io, &test_err), RILLE_DONE);
    CHECK_RC(ri_cursor_next(&cursor, &io, &test_err), RILLE_DONE);
    uint64_t count = 1;
    CHECK_RC(ri_tree_rank(store, &tree, NULL, &bound, &io, &count, &test_err), RILLE_OK);
    CHECK_EQ_INT(count, 0);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
    data_store_drop(store);
}

TEST(build__refuses_datoms_out_of_order)
{
    ri_builder *builder;
    REQUIRE_RC(ri_builder_new(RI_EAVT, NULL, &builder, &test_err), RILLE_OK);
    ri_datom d = { .e = 5, .v = ri_long(1), .a = 1, .added = true };
    CHECK_RC(ri_builder_add(builder, &d, &test_err), RILLE_OK);
    CHECK_RC(ri_builder_add(builder, &d, &test_err), RILLE_INTERNAL);
    d.e = 4;
    CHECK_RC(ri_builder_add(builder, &d, &test_err), RILLE_INTERNAL);
    ri_builder_release(builder);
}

static void check_separator(ri_order order, const ri_datom *last, const ri_datom *next)
{
    ri_datom s = ri_separator(order, last, next);
    ri_datom zero = ri_separator_zero(order);
    CHECK(ri_datom_cmp(order, last, &s) < 0);
    CHECK(ri_datom_cmp(order, &s, next) <= 0);
    CHECK(ri_datom_cmp(order, &zero, &s) < 0);
    CHECK(ri_value_valid(&s.v));
    if ((s.v.type == RI_STRING || s.v.type == RI_BYTES) && s.v.len > 0) { /* no character less would do */
        ri_datom shorter = s;
        do {
            shorter.v.len--;
        } while (s.v.type == RI_STRING && !ri_utf8_valid(shorter.v.as.p, shorter.v.len));
        shorter.a = s.a;
        if (order == RI_EAVT || order == RI_AEVT) {
            CHECK(ri_datom_cmp(order, last, &shorter) >= 0);
        }
    }
}

TEST(build__separates_by_the_shortest_cut)
{
    test_rng rng = test_rng_new();
    for (int round = 0; round < 140; round++) {
        ri_arena arena = { 0 };
        ri_order order = (ri_order)(round % RI_ORDER_COUNT);
        data_shape shape = data_any_shape(&rng);
        shape.e_max = round % 3 == 0 ? 2 : shape.e_max;
        shape.a_max = round % 3 == 0 ? 2 : shape.a_max;
        uint32_t n;
        ri_datom *rows = data_rows(&rng, &arena, order, &shape, 500, &n);
        for (uint32_t i = 1; i < n; i++) {
            check_separator(order, &rows[i - 1], &rows[i]);
            check_separator(order, &rows[test_random_below(&rng, i)], &rows[i]);
        }
        ri_arena_deinit(&arena);
    }
}

typedef struct sweep {
    ri_arena arena;
    ri_datom *rows;
    ri_change *changes;
    uint32_t n;
    uint32_t count;
} sweep;

/* All that the layer does, once. */
static int do_all(const sweep *s)
{
    ri_store *store = NULL;
    ri_store_options options = { .create = true, .cache_bytes = 1 << 20 };
    ri_tree tree = { 0 };
    ri_tree merged = { 0 };
    ri_writer *writer = NULL;
    ri_diff *diff = NULL;
    ri_io io = { 0 };
    ri_cursor cursor = { 0 };
    ri_bound bound = { .parts = 0 };
    ri_check_report report;
    int rc = ri_store_open("mem:build-sweep", &options, &store, NULL);
    if (rc == RILLE_OK) {
        rc = data_build(store, RI_EAVT, &data_limits_small, s->rows, s->n, &tree, NULL);
    }
    if (rc == RILLE_OK) {
        rc = ri_writer_new(store, &writer, NULL);
    }
    if (rc == RILLE_OK) {
        rc = ri_tree_merge_limits(store, &tree, s->changes, s->count, &data_limits_small, writer, &io, &merged, NULL);
    }
    if (rc == RILLE_OK) {
        rc = data_commit(store, writer, &merged, NULL);
    }
    if (rc == RILLE_OK) {
        rc = ri_tree_check_limits(store, &merged, &data_limits_small, &report, NULL);
    }
    ri_cursor_init(&cursor, store, &merged);
    if (rc == RILLE_OK) {
        rc = ri_cursor_seek(&cursor, &bound, &io, NULL);
    }
    while (rc == RILLE_OK) {
        rc = ri_cursor_next(&cursor, &io, NULL);
    }
    if (rc == RILLE_DONE) {
        rc = ri_diff_new(store, &tree, store, &merged, &diff, NULL);
    }
    while (rc == RILLE_OK) {
        ri_datom d;
        bool in_b;
        rc = ri_diff_next(diff, &io, &d, &in_b, NULL);
    }
    ri_diff_release(diff);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
    ri_writer_release(writer);
    atomic_store(&test_state.fail_from, -1); /* a memory store lives on, even when opening it failed: it must go */
    if (store != NULL || ri_store_open("mem:build-sweep", &options, &store, NULL) == RILLE_OK) {
        (void)ri_store_drop(store, NULL);
    }
    ri_store_release(store);
    return rc == RILLE_DONE ? RILLE_OK : rc;
}

TEST(build__and_all_else_cope_without_memory)
{
    sweep s = { 0 };
    test_rng rng = { 7 };
    data_shape shape = { 200, 17, 5, 100, false, false };
    s.rows = data_rows(&rng, &s.arena, RI_EAVT, &shape, 400, &s.n);
    ri_datom *new_rows = data_rows(&rng, &s.arena, RI_EAVT, &shape, 40, &s.count);
    s.changes = ri_arena_array(&s.arena, s.count, sizeof *s.changes);
    for (uint32_t i = 0; i < s.count; i++) {
        s.changes[i] = ri_change_of(&new_rows[i], i % 3 != 0);
    }
    TEST_FAULT_SWEEP(do_all(&s));
    ri_arena_deinit(&s.arena);
}

/* Rows are borrowed until their leaf is written: what lies in their memory later is another text. */
TEST(build__knows_a_text_no_longer_than_its_leaf)
{
    enum { N = 30000, TEXT = 8, ROWS_MAX = 12 };
    static char texts[2][ROWS_MAX + 1][TEXT]; /* of two leaves in turn */
    static char own[N][TEXT];
    ri_limits limits = ri_limits_standard;
    limits.leaf_min = 2;
    limits.leaf_max = ROWS_MAX;
    limits.leaf_slope = UINT32_MAX / ROWS_MAX;
    ri_chunker a;
    ri_chunker b;
    REQUIRE_RC(ri_chunker_init(&a, RI_EAVT, &limits, NULL, &test_err), 0);
    REQUIRE_RC(ri_chunker_init(&b, RI_EAVT, &limits, NULL, &test_err), 0);
    unsigned leaf = 0;
    unsigned row = 0;
    for (uint32_t i = 0; i < N; i++, row++) {
        char *text = texts[leaf % 2][row];
        bool closed;
        (void)snprintf(text, TEXT, "t%05u", (unsigned)(i * 7919 % 100003));
        memcpy(own[i], text, TEXT);
        ri_datom d = { .e = i, .a = 100, .t = 1, .v = ri_bytes_value(RI_STRING, text, 6), .added = true };
        REQUIRE_RC(ri_chunker_add(&a, &d, &closed, &test_err), 0);
        leaf += closed;
        row = closed ? UINT_MAX : row; /* the next one is row 0 of the other memory */
        d.v.as.p = (const uint8_t *)own[i];
        REQUIRE_RC(ri_chunker_add(&b, &d, NULL, &test_err), 0);
    }
    CHECK(leaf > 1000);
    ri_tree tree;
    ri_tree expected;
    bool old;
    REQUIRE_RC(ri_chunker_finish(&a, &tree, &old, &test_err), 0);
    REQUIRE_RC(ri_chunker_finish(&b, &expected, &old, &test_err), 0);
    CHECK(memcmp(tree.root.addr, expected.root.addr, RI_HASH_SIZE) == 0);
    ri_chunker_deinit(&a);
    ri_chunker_deinit(&b);
}

TEST_MAIN(build__knows_a_text_no_longer_than_its_leaf, build__gives_the_golden_roots,
          build__makes_leaves_of_the_announced_size, build__closes_leaves_of_large_values_early,
          build__of_nothing_is_the_empty_tree, build__refuses_datoms_out_of_order, build__separates_by_the_shortest_cut,
          build__and_all_else_cope_without_memory)
