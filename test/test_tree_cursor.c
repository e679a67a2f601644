/* SPDX-License-Identifier: MIT
 *
 * Cursors, ranks and look-ups against a sorted array, on a store that answers at once and on one that never does.
 */
#include "test_tree_store.h"

typedef struct world {
    ri_store *store;
    ri_arena arena;
    ri_tree tree;
    ri_weak root;
    ri_datom *rows;
    uint32_t n;
    data_shape shape;
    ri_io io;
    test_rng rng;
} world;

static void open_world(world *w, const char *url, ri_order order, const ri_limits *limits, uint32_t n, uint64_t seed)
{
    *w = (world){ .rng = { seed } };
    w->store = data_store(url);
    w->shape = data_any_shape(&w->rng);
    w->rows = data_rows(&w->rng, &w->arena, order, &w->shape, n, &w->n);
    REQUIRE_RC(data_build(w->store, order, limits, w->rows, w->n, &w->tree, &test_err), RILLE_OK);
    CHECK_EQ_INT(w->tree.count, w->n);
}

static void close_world(world *w)
{
    ri_io_deinit(&w->io);
    ri_weak_clear(&w->root);
    data_store_drop(w->store);
    ri_arena_deinit(&w->arena);
}

static void check_at(const world *w, const ri_cursor *cursor, int rc, int64_t at)
{
    if (at < 0 || at >= w->n) {
        REQUIRE(rc == RILLE_DONE && !cursor->valid);
        return;
    }
    REQUIRE(rc == RILLE_OK && cursor->valid);
    ri_datom d;
    ri_node_datom(ri_cursor_leaf(cursor), ri_cursor_row(cursor), &d);
    REQUIRE(data_same(&d, &w->rows[at]));
}

static void check_moves(world *w)
{
    ri_order order = (ri_order)w->tree.order;
    ri_cursor cursor;
    ri_cursor_init(&cursor, w->store, &w->tree);
    int64_t at = -1;
    int rc;
    for (int i = 0; i < 300; i++) {
        ri_bound bound = data_bound(&w->rng, &w->arena, order, &w->shape, w->rows, w->n);
        int64_t rank = data_rank(order, w->rows, w->n, &bound);
        switch (test_random_below(&w->rng, 6)) {
        case 0:
            DATA_DRIVE(&w->io, rc, ri_cursor_seek(&cursor, &bound, &w->io, &test_err));
            at = rank;
            break;
        case 1:
            if (cursor.valid && rank < at) {
                continue;
            }
            DATA_DRIVE(&w->io, rc, ri_cursor_seek_forward(&cursor, &bound, &w->io, &test_err));
            at = rank;
            break;
        case 2:
            DATA_DRIVE(&w->io, rc, ri_cursor_seek_back(&cursor, &bound, &w->io, &test_err));
            at = rank - 1;
            break;
        case 3:
            if (!cursor.valid) {
                continue;
            }
            DATA_DRIVE(&w->io, rc, ri_cursor_next(&cursor, &w->io, &test_err));
            at++;
            break;
        case 4:
            if (!cursor.valid) {
                continue;
            }
            DATA_DRIVE(&w->io, rc, ri_cursor_prev(&cursor, &w->io, &test_err));
            at--;
            break;
        default:
            if (!cursor.valid) {
                continue;
            }
            int64_t end = at - ri_cursor_row(&cursor);
            if (i % 2 == 0) {
                end += ri_cursor_leaf(&cursor)->count;
                DATA_DRIVE(&w->io, rc, ri_cursor_next_leaf(&cursor, &bound, &w->io, &test_err));
            } else {
                end--;
                DATA_DRIVE(&w->io, rc, ri_cursor_prev_leaf(&cursor, &bound, &w->io, &test_err));
            }
            at = end;
            break;
        }
        check_at(w, &cursor, rc, at);
        if (i % 30 == 0) {
            ri_io_clear(&w->io);
        }
    }
    ri_cursor_deinit(&cursor);
}

static void check_scans(world *w)
{
    ri_cursor cursor;
    ri_cursor_init(&cursor, w->store, &w->tree);
    ri_bound start = { .after = false };
    ri_bound end = { .after = true };
    int rc;
    DATA_DRIVE(&w->io, rc, ri_cursor_seek(&cursor, &start, &w->io, &test_err));
    for (int64_t at = 0; at <= w->n; at++) {
        check_at(w, &cursor, rc, at);
        DATA_DRIVE(&w->io, rc, ri_cursor_next(&cursor, &w->io, &test_err));
    }
    DATA_DRIVE(&w->io, rc, ri_cursor_seek_back(&cursor, &end, &w->io, &test_err));
    for (int64_t at = (int64_t)w->n - 1; at >= -1; at--) {
        check_at(w, &cursor, rc, at);
        DATA_DRIVE(&w->io, rc, ri_cursor_prev(&cursor, &w->io, &test_err));
    }
    ri_cursor_deinit(&cursor);
}

static void check_lookups(world *w)
{
    ri_order order = (ri_order)w->tree.order;
    int rc;
    for (int i = 0; i < 200; i++) {
        ri_bound from = data_bound(&w->rng, &w->arena, order, &w->shape, w->rows, w->n);
        ri_bound to = data_bound(&w->rng, &w->arena, order, &w->shape, w->rows, w->n);
        uint64_t a = data_rank(order, w->rows, w->n, &from);
        uint64_t b = data_rank(order, w->rows, w->n, &to);
        uint64_t got;
        DATA_DRIVE(&w->io, rc, ri_tree_rank(w->store, &w->tree, &w->root, &from, &w->io, &got, &test_err));
        CHECK(rc == RILLE_OK && got == a);
        DATA_DRIVE(&w->io, rc, ri_tree_count(w->store, &w->tree, &w->root, &from, &to, &w->io, &got, &test_err));
        CHECK(rc == RILLE_OK && got == (b > a ? b - a : 0));
        from.parts = (uint8_t)ri_order_parts(order);
        from.after = false;
        a = data_rank(order, w->rows, w->n, &from);
        bool expected = a < w->n && ri_datom_cmp(order, &w->rows[a], &from.d) == 0;
        bool found;
        ri_datom d;
        ri_node *leaf;
        DATA_DRIVE(&w->io, rc,
                   ri_tree_get(w->store, &w->tree, &w->root, &from.d, &w->io, &found, &d, &leaf, &test_err));
        CHECK(rc == RILLE_OK && found == expected && (leaf != NULL) == found);
        CHECK(!found || data_same(&d, &w->rows[a]));
        ri_node_release(leaf);
    }
}

static void check_all(const char *url, int rounds)
{
    test_rng rng = test_rng_new();
    for (int round = 0; round < rounds; round++) {
        world w;
        uint32_t n = (uint32_t)test_random_below(&rng, round % 8 == 0 ? 3 : 4000);
        open_world(&w, url, (ri_order)(round % RI_ORDER_COUNT), round % 2 == 0 ? &data_limits_small : &data_limits_tiny,
                   n, test_random(&rng));
        check_moves(&w);
        check_scans(&w);
        check_lookups(&w);
        close_world(&w);
    }
}

TEST(cursor__agrees_with_a_sorted_array)
{
    check_all("mem:cursor", 140);
}

TEST(cursor__agrees_when_each_node_must_be_asked_for)
{
    check_all("deferred:mem:cursor-deferred", 28);
}

TEST(cursor__agrees_in_trees_of_the_standard_size)
{
    test_rng rng = test_rng_new();
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        world w;
        open_world(&w, "mem:cursor-standard", (ri_order)order, &ri_limits_standard, 60000, test_random(&rng));
        check_moves(&w);
        check_scans(&w);
        check_lookups(&w);
        close_world(&w);
    }
}

static bool always(void *context)
{
    (void)context;
    return true;
}

/* Where tests interrupt every read, that a branch knows its children changes nothing. */
TEST(cursor__known_nodes_are_asked_for_where_all_must_be)
{
    world w;
    uint64_t rank;
    open_world(&w, "mem:asks", RI_EAVT, &data_limits_small, 500, 1);
    ri_bound bound = { .d = w.rows[w.n / 2], .parts = 3 };
    CHECK(w.tree.height > 2);
    for (int round = 0; round < 3; round++) {
        CHECK_RC(ri_tree_rank(w.store, &w.tree, &w.root, &bound, &w.io, &rank, &test_err), RILLE_OK);
        CHECK_EQ_INT(rank, w.n / 2);
        w.io.defer = always;
        for (unsigned level = 0; level < w.tree.height; level++) {
            CHECK_RC(ri_tree_rank(w.store, &w.tree, &w.root, &bound, &w.io, &rank, &test_err), RILLE_NEED);
            CHECK_EQ_INT(w.io.want_count, 1);
            CHECK_RC(ri_io_fetch(&w.io, &test_err), RILLE_OK);
        }
        CHECK_RC(ri_tree_rank(w.store, &w.tree, &w.root, &bound, &w.io, &rank, &test_err), RILLE_OK);
        CHECK_EQ_INT(rank, w.n / 2);
        w.io.defer = NULL;
        ri_io_clear(&w.io);
    }
    close_world(&w);
}

/* The cache is as small as may be: what a descent finds by places is never more than what somebody holds. */
TEST(cursor__known_nodes_are_not_kept)
{
    world w;
    uint64_t rank;
    ri_store_stats stats;
    open_world(&w, "mem:kept", RI_EAVT, &data_limits_small, 2000, 1);
    ri_store *reader; /* with a cache that holds nothing */
    ri_store_options options = { .cache_bytes = 1 };
    REQUIRE_RC(ri_store_open("mem:kept", &options, &reader, &test_err), RILLE_OK);
    CHECK_EQ_INT(ri_store_cache_bytes_max(reader), 1);
    uint64_t reads[2] = { 0, 0 };
    ri_weak root = { 0 };
    for (int round = 0; round < 2; round++) {
        ri_bound bound = { .d = w.rows[w.n / 2], .parts = 3 };
        CHECK_RC(ri_tree_rank(reader, &w.tree, &root, &bound, &w.io, &rank, &test_err), RILLE_OK);
        CHECK_EQ_INT(rank, w.n / 2);
        CHECK_EQ_INT(atomic_load(&root.word), 0); /* the root is gone already */
        ri_store_read_stats(reader, &stats);
        reads[round] = stats.get_ranges;
    }
    CHECK_EQ_INT(reads[1], 2 * reads[0]);
    ri_store_release(reader);
    close_world(&w);
}

TEST_MAIN(cursor__known_nodes_are_asked_for_where_all_must_be, cursor__known_nodes_are_not_kept,
          cursor__agrees_with_a_sorted_array, cursor__agrees_when_each_node_must_be_asked_for,
          cursor__agrees_in_trees_of_the_standard_size)
