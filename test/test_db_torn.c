/* SPDX-License-Identifier: MIT
 *
 * A head cut at every byte: exactly the transactions whose frames are whole are visible, and the others leave no trace.
 */
#include "harness.h"

#include "../src/core/db/conn.h"

#include <unistd.h>

enum { BASE = 60, TAIL = 12, FLUSH_EVERY = 37 };

static char dir[] = "/tmp/rille_torn_XXXXXX";
static char url[64];
static char head_path[64];

static void transact(rille_conn *conn, const char *text)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err), 0);
    ri_report_deinit(&report);
}

static size_t read_head(uint8_t *bytes, size_t size)
{
    FILE *in = fopen(head_path, "rb");
    REQUIRE(in != NULL);
    size_t len = fread(bytes, 1, size, in);
    CHECK(fclose(in) == 0);
    return len;
}

static void write_head(const uint8_t *bytes, size_t len)
{
    FILE *out = fopen(head_path, "wb");
    REQUIRE(out != NULL);
    CHECK(fwrite(bytes, 1, len, out) == len);
    CHECK(fclose(out) == 0);
}

/* Commits keys 1..BASE with flushes, then TAIL more; lens[i]: the head's length after the i-th of these. */
static void fill(size_t lens[TAIL])
{
    static uint8_t bytes[65536];
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    char text[256];
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    transact(conn, "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                   " {:db/ident :n/text :db/valueType :db.type/string}]");
    for (int key = 1; key <= BASE + TAIL; key++) {
        (void)snprintf(text, sizeof text, "[{:n/key %d :n/text \"%0*d\"}]", key, key % 100 + 1, key);
        transact(conn, text);
        if (key % FLUSH_EVERY == 0 || key == BASE) {
            CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        }
        if (key > BASE) {
            lens[key - BASE - 1] = read_head(bytes, sizeof bytes);
        }
    }
    ri_conn_release(conn);
}

static void check_keys(int last)
{
    ri_conn_options options = { 0 };
    rille_conn *conn = NULL;
    ri_io io = { 0 };
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    rille_db *db = ri_conn_seen_db(conn);
    for (int key = BASE - 20; key <= BASE + TAIL; key++) {
        ri_value v = ri_long(key);
        uint64_t e = 0;
        CHECK_RC(ri_db_lookup(db, ri_schema_attr(db->schema, "n/key", 5), &v, &io, &e, &test_err), 0);
        CHECK_EQ_INT(e != 0, key <= last);
    }
    ri_io_deinit(&io);
    ri_db_release(db);
    ri_conn_release(conn);
}

TEST(torn__a_head_cut_at_every_byte_shows_the_whole_transactions)
{
    static uint8_t bytes[65536];
    size_t lens[TAIL];
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "file:%s/db", dir);
    (void)snprintf(head_path, sizeof head_path, "%s/db/heads/main", dir);
    fill(lens);
    size_t len = read_head(bytes, sizeof bytes);
    for (size_t cut = lens[0] - 1; cut <= len; cut++) {
        int whole = 0;
        while (whole < TAIL && lens[whole] <= cut) {
            whole++;
        }
        write_head(bytes, cut);
        check_keys(BASE + whole);
    }
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    (void)rmdir(dir);
}

TEST_MAIN(torn__a_head_cut_at_every_byte_shows_the_whole_transactions)
