/* SPDX-License-Identifier: MIT
 *
 * Merges against building from scratch: after any changes the root must be the same, bit for bit (DESIGN I5).
 */
#include "test_tree_store.h"

#define ROUNDS 6

typedef struct state {
    ri_store *store;
    ri_arena arena;
    ri_tree tree;
    ri_datom *rows;
    uint32_t n;
    ri_order order;
    const ri_limits *limits;
    data_shape shape;
    ri_io io;
    test_rng rng;
} state;

/* The rows after the changes; changes are sorted, rows too. */
static ri_datom *apply(state *s, const ri_change *changes, size_t count, uint32_t *n)
{
    ri_datom *out = ri_arena_array(&s->arena, s->n + count, sizeof *out);
    REQUIRE(out != NULL);
    uint32_t k = 0;
    uint32_t i = 0;
    for (size_t c = 0; c <= count; c++) {
        while (i < s->n && (c == count || ri_datom_cmp(s->order, &s->rows[i], ri_change_datom(changes[c])) < 0)) {
            out[k++] = s->rows[i++];
        }
        if (c == count) {
            break;
        }
        if (i < s->n && ri_datom_cmp(s->order, &s->rows[i], ri_change_datom(changes[c])) == 0) {
            i++;
        }
        if (ri_change_puts(changes[c])) {
            out[k++] = *ri_change_datom(changes[c]);
        }
    }
    *n = k;
    return out;
}

static bool same_root(const ri_tree *a, const ri_tree *b)
{
    return a->count == b->count && a->height == b->height && memcmp(a->root.addr, b->root.addr, RI_HASH_SIZE) == 0;
}

/* Some rows, some new datoms; sometimes only a stretch of the tree, sometimes all of a stretch. */
static ri_change *draw_changes(state *s, size_t *count)
{
    uint32_t most = 1 + (uint32_t)test_random_below(&s->rng, 1U << test_random_below(&s->rng, 11));
    uint32_t start = s->n == 0 ? 0 : (uint32_t)test_random_below(&s->rng, s->n);
    bool stretch = test_random_below(&s->rng, 3) == 0;
    unsigned put_of_4 = (unsigned)test_random_below(&s->rng, 5);
    ri_datom *drawn = ri_arena_array(&s->arena, most, sizeof *drawn);
    ri_change *changes = ri_arena_array(&s->arena, most, sizeof *changes);
    REQUIRE(drawn != NULL && changes != NULL);
    data_shape shape = s->shape;
    shape.refs_only = s->order == RI_VAET;
    for (uint32_t i = 0; i < most; i++) {
        if (s->n > 0 && stretch) {
            drawn[i] = s->rows[(start + i) % s->n];
        } else if (s->n > 0 && test_random_below(&s->rng, 2) == 0) {
            drawn[i] = s->rows[test_random_below(&s->rng, s->n)];
        } else {
            drawn[i] = data_datom(&s->rng, &s->arena, &shape);
        }
        if (s->order != RI_LOG && s->order != RI_RET && test_random_below(&s->rng, 2) == 0) {
            drawn[i].t += 7;
        }
    }
    uint32_t n = data_sort(s->order, drawn, most);
    for (uint32_t i = 0; i < n; i++) {
        changes[i] = ri_change_of(&drawn[i], test_random_below(&s->rng, 4) < put_of_4);
    }
    *count = n;
    return changes;
}

static void check_merge(state *s)
{
    size_t count;
    ri_change *changes = draw_changes(s, &count);
    uint32_t n;
    ri_datom *rows = apply(s, changes, count, &n);
    ri_tree expected = { 0 };
    REQUIRE_RC(data_build(NULL, s->order, s->limits, rows, n, &expected, &test_err), RILLE_OK);
    ri_writer *writer;
    ri_tree tree;
    int rc;
    REQUIRE_RC(ri_writer_new(s->store, &writer, &test_err), RILLE_OK);
    DATA_DRIVE(&s->io, rc,
               ri_tree_merge_limits(s->store, &s->tree, changes, count, s->limits, writer, &s->io, &tree, &test_err));
    REQUIRE_RC(rc, RILLE_OK);
    if (!same_root(&tree, &expected)) {
        (void)fprintf(stderr, "%s: %u rows, %zu changes -> %u rows\n", ri_order_name(s->order), s->n, count, n);
    }
    REQUIRE(same_root(&tree, &expected));
    REQUIRE_RC(data_commit(s->store, writer, &tree, &test_err), RILLE_OK);
    ri_writer_release(writer);
    ri_io_clear(&s->io);
    ri_check_report report;
    REQUIRE_RC(ri_tree_check_limits(s->store, &tree, s->limits, &report, &test_err), RILLE_OK);
    CHECK_EQ_INT(report.datoms, n);
    s->tree = tree;
    s->rows = rows;
    s->n = n;
}

static void check_program(const char *url, ri_order order, const ri_limits *limits, uint32_t n, uint64_t seed)
{
    state s = { .order = order, .limits = limits, .rng = { seed } };
    s.store = data_store(url);
    s.shape = data_any_shape(&s.rng);
    s.rows = data_rows(&s.rng, &s.arena, order, &s.shape, n, &s.n);
    REQUIRE_RC(data_build(s.store, order, limits, s.rows, s.n, &s.tree, &test_err), RILLE_OK);
    for (int i = 0; i < ROUNDS; i++) {
        check_merge(&s);
    }
    ri_io_deinit(&s.io);
    data_store_drop(s.store);
    ri_arena_deinit(&s.arena);
}

static int rounds(int wanted)
{
    const char *text = getenv("RILLE_ROUNDS");
    return text != NULL ? atoi(text) : wanted;
}

TEST(merge__gives_what_building_anew_gives)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < rounds(210); i++) {
        uint32_t n = (uint32_t)test_random_below(&rng, 1U << test_random_below(&rng, 13));
        check_program("mem:merge", (ri_order)(i % RI_ORDER_COUNT), i % 2 == 0 ? &data_limits_small : &data_limits_tiny,
                      n, test_random(&rng));
    }
}

TEST(merge__gives_the_same_when_each_node_must_be_asked_for)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 28; i++) {
        uint32_t n = (uint32_t)test_random_below(&rng, 2000);
        check_program("deferred:mem:merge-deferred", (ri_order)(i % RI_ORDER_COUNT),
                      i % 2 == 0 ? &data_limits_small : &data_limits_tiny, n, test_random(&rng));
    }
}

TEST(merge__gives_the_same_in_trees_of_the_standard_size)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < RI_ORDER_COUNT; i++) {
        check_program("mem:merge-standard", (ri_order)i, &ri_limits_standard, 40000, test_random(&rng));
    }
}

/* Each datom's insertion into a large tree writes a path, not the tree. */
TEST(merge__writes_only_what_changed)
{
    enum { N = 300000 };
    ri_arena arena = { 0 };
    ri_datom *rows = ri_arena_array(&arena, N, sizeof *rows);
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = (ri_datom){ .e = 1000 + i / 5 * 2, .t = 9, .v = ri_long((int64_t)i), .a = 10 + i % 5, .added = true };
    }
    ri_store *store = data_store("mem:merge-little");
    ri_tree tree;
    REQUIRE_RC(data_build(store, RI_EAVT, &ri_limits_standard, rows, N, &tree, &test_err), RILLE_OK);
    ri_datom d = { .e = 1000 + N / 5 + 1, .t = 10, .v = ri_long(-1), .a = 10, .added = true };
    ri_change change = ri_change_of(&d, true);
    ri_writer *writer;
    ri_io io = { 0 };
    ri_tree out;
    ri_store_stats before;
    ri_store_stats after;
    ri_store_read_stats(store, &before);
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    REQUIRE_RC(ri_tree_merge(store, &tree, &change, 1, writer, &io, &out, &test_err), RILLE_OK);
    ri_store_read_stats(store, &after);
    CHECK(ri_writer_bytes(writer) < 40000);
    CHECK(after.get_ranges - before.get_ranges <= 3);
    CHECK_EQ_INT(out.count, N + 1);
    ri_writer_release(writer);
    ri_io_deinit(&io);
    data_store_drop(store);
    ri_arena_deinit(&arena);
}

TEST_MAIN(merge__gives_what_building_anew_gives, merge__gives_the_same_when_each_node_must_be_asked_for,
          merge__gives_the_same_in_trees_of_the_standard_size, merge__writes_only_what_changed)
