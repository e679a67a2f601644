/* SPDX-License-Identifier: MIT
 *
 * A head cut at every byte, or with sectors that were never written: exactly the transactions whose frames are whole
 * are visible, and the others leave no trace. Flipped bits are not taken for such an end.
 */
#include "harness.h"

#include "../src/core/db/conn.h"

#include <unistd.h>

enum { BASE = 60, TAIL = 12, FLUSH_EVERY = 37, SECTOR = 512, HEAD_MAX = 65536 };

static char dir[32];
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
    static uint8_t bytes[HEAD_MAX];
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    char text[4096];
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    transact(conn, "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                   " {:db/ident :n/text :db/valueType :db.type/string}"
                   " {:db/ident :n/more :db/valueType :db.type/string}"
                   " {:db/ident :n/last :db/valueType :db.type/string}]");
    for (int key = 1; key <= BASE + TAIL; key++) {
        int width = key < BASE + TAIL ? key % 100 + 1 : 900; /* the last spans sectors */
        (void)snprintf(text, sizeof text, "[{:n/key %d :n/text \"%0*d\" :n/more \"%0*d\" :n/last \"%0*d\"}]", key,
                       width, key, width, key, width, key);
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

static void make(size_t lens[TAIL])
{
    (void)snprintf(dir, sizeof dir, "/tmp/rille_torn_XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "file:%s/db", dir);
    (void)snprintf(head_path, sizeof head_path, "%s/db/heads/main", dir);
    fill(lens);
}

static void drop(void)
{
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    (void)rmdir(dir);
}

TEST(torn__a_head_cut_at_every_byte_shows_the_whole_transactions)
{
    static uint8_t bytes[HEAD_MAX];
    size_t lens[TAIL];
    make(lens);
    size_t len = read_head(bytes, sizeof bytes);
    for (size_t cut = lens[0] - 1; cut <= len; cut++) {
        int whole = 0;
        while (whole < TAIL && lens[whole] <= cut) {
            whole++;
        }
        write_head(bytes, cut);
        check_keys(BASE + whole);
    }
    drop();
}

TEST(torn__sectors_that_were_not_written_hide_the_last_transaction_only)
{
    static uint8_t bytes[HEAD_MAX];
    static uint8_t torn[HEAD_MAX];
    size_t lens[TAIL];
    make(lens);
    size_t len = read_head(bytes, sizeof bytes);
    size_t last = lens[TAIL - 2]; /* where the last frame begins */
    CHECK(len - last > 4 * SECTOR);
    for (size_t from = last; from < len; from = (from + SECTOR) / SECTOR * SECTOR) {
        memcpy(torn, bytes, from);
        memset(torn + from, 0, len - from);
        write_head(torn, len);
        check_keys(BASE + TAIL - 1);
    }
    drop();
}

TEST(torn__a_flipped_bit_is_damage_whatever_the_head_ends_in)
{
    static uint8_t bytes[HEAD_MAX];
    size_t lens[TAIL];
    make(lens);
    ri_conn_options options = { 0 };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    transact(conn, "[{:db/ident :n/bytes :db/valueType :db.type/bytes}]");
    size_t last = read_head(bytes, sizeof bytes); /* where the last frame begins: its end is zeros */
    transact(conn, "[{:n/bytes #bytes \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]");
    ri_conn_release(conn);
    size_t len = read_head(bytes, sizeof bytes);
    CHECK(len > last && bytes[len - 1] == 0 && bytes[len - 30] == 0);
    for (size_t at = 0; at < last; at++) {
        bytes[at] ^= (uint8_t)(1U << at % 8);
        write_head(bytes, len);
        CHECK_RC(ri_conn_open(url, &options, &conn, &test_err), RILLE_CORRUPT);
        bytes[at] ^= (uint8_t)(1U << at % 8);
    }
    write_head(bytes, len);
    check_keys(BASE + TAIL);
    drop();
}

TEST_MAIN(torn__a_head_cut_at_every_byte_shows_the_whole_transactions,
          torn__sectors_that_were_not_written_hide_the_last_transaction_only,
          torn__a_flipped_bit_is_damage_whatever_the_head_ends_in)
