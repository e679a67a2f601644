/* SPDX-License-Identifier: MIT
 *
 * Transaction blocks that no engine wrote: well-formed, with a good checksum and commit id, and still refused.
 */
#include "harness.h"

#include "../src/core/db/conn_own.h"

static rille_conn *open_new(void)
{
    static const char schema[] = "[{:db/ident :n :db/valueType :db.type/string}"
                                 " {:db/ident :r :db/valueType :db.type/ref}]";
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    ri_report report;
    REQUIRE_RC(ri_conn_open("mem:block", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    return conn;
}

/* Appends a block of these datoms to the head, chained as it should be; gives what the next reader says. */
static int append(rille_conn *conn, uint64_t t, ri_datom *datoms, size_t count)
{
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    block->t = t;
    block->datoms = datoms;
    block->count = count;
    ri_block_chain(block, db->commit);
    ri_buf cell = { 0 };
    ri_buf_put(&cell, conn->seen.cell->bytes, conn->seen.cell_len);
    REQUIRE_RC(ri_block_write(block, &cell, &test_err), 0);
    rille_head_swap swap = { .branch = "main",
                             .expected = conn->seen.revision,
                             .cell = cell.p,
                             .cell_len = cell.len,
                             .kept_len = conn->seen.cell_len };
    rille_revision revision;
    REQUIRE_RC(ri_store_head_swap(db->store, &swap, NULL, &revision, &test_err), 0);
    ri_buf_deinit(&cell);
    ri_block_release(block);
    ri_db_release(db);
    int rc = ri_conn_db(conn, &db, &test_err);
    ri_db_release(db);
    return rc;
}

static void refuses(uint64_t t, ri_datom *datoms, size_t count, const char *part)
{
    rille_conn *conn = open_new();
    CHECK_RC(append(conn, t, datoms, count), RILLE_CORRUPT);
    if (strstr(test_err.message, part) == NULL) {
        CHECK_EQ_STR(test_err.message, part);
    }
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:block", &test_err), 0);
}

TEST(block__needs_an_id_of_a_transaction_and_datoms)
{
    refuses(UINT64_MAX, NULL, 0, "claims an impossible number of datoms: 0");
    refuses(RI_TX_BASE + 2, NULL, 0, "claims an impossible number of datoms: 0");
    ri_datom low = { .e = RI_EID_USER, .a = 100, .t = 7, .v = ri_bytes_value(RI_STRING, "x", 1), .added = true };
    refuses(7, &low, 1, "transaction block 7 claims an impossible number of datoms: 1");
}

TEST(block__has_values_of_the_types_of_their_attributes)
{
    uint64_t t = RI_TX_BASE + 2;
    ri_datom text = { .e = RI_EID_USER, .a = 101, .t = t, .v = ri_bytes_value(RI_STRING, "x", 1), .added = true };
    ri_datom number = { .e = RI_EID_USER, .a = 100, .t = t, .v = ri_long(5), .added = true };
    ri_datom good = { .e = RI_EID_USER, .a = 100, .t = t, .v = ri_bytes_value(RI_STRING, "x", 1), .added = true };
    refuses(t, &text, 1, "has attribute :r, a ref, with a value of type string");
    refuses(t, &number, 1, "has attribute :n, a string, with a value of type long");
    rille_conn *conn = open_new();
    CHECK_RC(append(conn, t, &good, 1), 0);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:block", &test_err), 0);
}

/* docs/format.md, written a second time. Texts of every length, so that they end everywhere in what is hashed at once. */
static void digests(uint32_t len_min, uint32_t len_max)
{
    enum { COUNT = 300 };
    static uint8_t text[2 * 4096];
    ri_datom datoms[COUNT];
    ri_buf stream = { 0 };
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < COUNT; i++) {
        ri_datom *d = &datoms[i];
        *d = (ri_datom){ .e = RI_EID_USER + i, .a = i % 3, .added = i % 5 != 0, .v = ri_long(-(int64_t)i) };
        if (i % 4 != 3) {
            d->v = ri_bytes_value(RI_STRING, text, len_min + i % (len_max - len_min + 1));
        }
        ri_buf_put_u64(&stream, d->e);
        ri_buf_put_u32(&stream, d->a);
        ri_buf_put_u8(&stream, d->added);
        ri_value_write(&stream, &d->v);
    }
    uint8_t expected[RI_HASH_SIZE];
    uint8_t found[RI_HASH_SIZE];
    ri_blake2b(expected, stream.p, stream.len);
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    block->datoms = datoms;
    block->count = COUNT;
    ri_block_digest(block, found);
    CHECK(memcmp(found, expected, sizeof found) == 0);
    ri_block_release(block);
    ri_buf_deinit(&stream);
}

TEST(block__digest_is_of_the_documented_bytes)
{
    for (uint32_t len = 0; len <= RI_VALUE_INLINE_MAX; len++) {
        digests(len, len);
        digests(len / 2, len);
    }
    for (uint32_t len = 4000; len <= 4200; len++) { /* more than a datom can have */
        digests(len, len);
    }
}

/* Nobody may make a reader walk for ever: a limit that the datoms' number gives ends it. */
TEST(gather__ends_where_more_branches_cannot_be)
{
    rille_conn *conn = open_new();
    rille_db *db = NULL;
    ri_writer *writer = NULL;
    ri_io io = { 0 };
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(ri_writer_new(db->store, &writer, &test_err), 0);
    ri_noderef nothing = { 0 };
    CHECK_RC(ri_tree_gather(db->store, &nothing, 1, 0, writer, &io, &test_err), RILLE_CORRUPT);
    ri_io_deinit(&io);
    ri_writer_release(writer);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:block", &test_err), 0);
}

TEST_MAIN(block__needs_an_id_of_a_transaction_and_datoms, block__has_values_of_the_types_of_their_attributes,
          block__digest_is_of_the_documented_bytes, gather__ends_where_more_branches_cannot_be)
