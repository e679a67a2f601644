/* SPDX-License-Identifier: MIT
 *
 * Verify: trees that are well encoded, node by node, but wrong as trees, are found out.
 */
#include "test_tree_store.h"

enum { LEAVES = 3, ROWS = 10 };

/* A tree of three leaves under one branch, made by hand. */
typedef struct hand {
    ri_datom rows[LEAVES][ROWS];
    uint32_t row_count[LEAVES];
    ri_datom separators[LEAVES];
    uint64_t counts[LEAVES];
    uint64_t tree_count;
} hand;

/* Leaves of ten rows, the limit; so that each is where the chunker would put it. */
static const ri_limits limits_of_ten = { 10, 10, 0, 1000000, 2, 10, 0 };

static hand good(void)
{
    hand h = { .tree_count = LEAVES * ROWS };
    for (uint32_t i = 0; i < LEAVES * ROWS; i++) {
        ri_datom *d = &h.rows[i / ROWS][i % ROWS];
        *d = (ri_datom){ .e = 100 + i * 2, .t = 5, .v = ri_long((int64_t)i), .a = 9, .added = true };
    }
    for (uint32_t i = 0; i < LEAVES; i++) {
        h.row_count[i] = ROWS;
        h.counts[i] = ROWS;
        h.separators[i] = ri_separator_zero(RI_EAVT);
        h.separators[i].e = i == 0 ? 0 : h.rows[i][0].e;
    }
    return h;
}

static int check_hand(const hand *h)
{
    ri_store *store = data_store("mem:check-hand");
    ri_writer *writer;
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_noderef refs[LEAVES];
    uint8_t addrs[LEAVES * RI_HASH_SIZE];
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    for (uint32_t i = 0; i < LEAVES; i++) {
        ri_buf_clear(&buf);
        REQUIRE_RC(ri_node_encode(enc, RI_EAVT, 0, h->rows[i], h->row_count[i], NULL, NULL, &buf, &test_err), RILLE_OK);
        REQUIRE_RC(ri_writer_put_node(writer, 0, buf.p, buf.len, NULL, 0, &refs[i], &test_err), RILLE_OK);
        memcpy(addrs + i * RI_HASH_SIZE, refs[i].addr, RI_HASH_SIZE);
    }
    ri_buf_clear(&buf);
    REQUIRE_RC(ri_node_encode(enc, RI_EAVT, 1, h->separators, LEAVES, h->counts, addrs, &buf, &test_err), RILLE_OK);
    ri_tree tree = { .count = h->tree_count, .order = RI_EAVT, .height = 2 };
    REQUIRE_RC(ri_writer_put_node(writer, 1, buf.p, buf.len, refs, LEAVES, &tree.root, &test_err), RILLE_OK);
    REQUIRE_RC(data_commit(store, writer, &tree, &test_err), RILLE_OK);
    ri_check_report report;
    int rc = ri_tree_check_limits(store, &tree, &limits_of_ten, &report, &test_err);
    ri_writer_release(writer);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
    (void)ri_store_drop(store, NULL); /* test_err is what the check said */
    ri_store_release(store);
    return rc;
}

static bool says(const char *part)
{
    return strstr(test_err.message, part) != NULL;
}

TEST(check__accepts_a_good_tree)
{
    hand h = good();
    CHECK_RC(check_hand(&h), RILLE_OK);
}

TEST(check__finds_wrong_counts)
{
    hand h = good();
    h.counts[1] = 11;
    h.counts[2] = 9;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("datoms, but"));
    h = good();
    h.tree_count = 29;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("datoms, but"));
}

TEST(check__finds_wrong_separators)
{
    hand h = good();
    h.separators[1].e--;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("separator"));
    h = good();
    h.separators[0].e = 1;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("separator"));
    h = good();
    h.separators[2].a = 9;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("separator"));
}

TEST(check__finds_wrong_order)
{
    hand h = good();
    h.rows[1][3].e = h.rows[1][2].e - 1;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("the order of rows"));
    h = good();
    h.rows[0][9].e = h.rows[1][1].e;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("not greater"));
}

TEST(check__finds_chunks_that_close_elsewhere)
{
    hand h = good();
    h.row_count[1] = 9;
    h.counts[1] = 9;
    h.tree_count = 29;
    CHECK_RC(check_hand(&h), RILLE_CORRUPT);
    CHECK(says("should"));
    h = good(); /* of other limits */
    ri_limits other = limits_of_ten;
    other.leaf_max = 9;
    CHECK(ri_leaf_closes(&other, RI_EAVT, 9, 0, &h.rows[0][9]));
    CHECK(!ri_leaf_closes(&limits_of_ten, RI_EAVT, 9, 0, &h.rows[0][9]));
}

TEST(check__refuses_a_record_of_no_tree)
{
    ri_store *store = data_store("mem:check-record");
    ri_tree tree = { .count = 5, .order = RI_EAVT, .height = 99 };
    ri_check_report report;
    CHECK_RC(ri_tree_check(store, &tree, &report, &test_err), RILLE_CORRUPT);
    ri_cursor cursor;
    ri_bound bound = { .parts = 0 };
    ri_io io = { 0 };
    ri_cursor_init(&cursor, store, &tree);
    CHECK_RC(ri_cursor_seek(&cursor, &bound, &io, &test_err), RILLE_CORRUPT);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
    data_store_drop(store);
}

TEST_MAIN(check__accepts_a_good_tree, check__finds_wrong_counts, check__finds_wrong_separators,
          check__finds_wrong_order, check__finds_chunks_that_close_elsewhere, check__refuses_a_record_of_no_tree)
