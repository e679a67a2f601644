/* SPDX-License-Identifier: MIT
 *
 * A head cut at every byte, or with sectors that were never written: exactly the transactions whose frames are whole
 * are visible, and the others leave no trace. Flipped bits are not taken for such an end.
 */
#include "test_store_support.h"

#include "../src/core/db/block.h"
#include "../src/core/db/conn.h"

enum { BASE = 60, TAIL = 12, FLUSH_EVERY = 37, SECTOR = 512, HEAD_MAX = 65536 };

static test_dir dir;
static char url[256];
static char head_path[256];

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
    dir = test_dir_fast();
    (void)snprintf(url, sizeof url, "file:%s/db", dir.path);
    (void)snprintf(head_path, sizeof head_path, "%s/db/heads/main", dir.path);
    fill(lens);
}

static void drop(void)
{
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    test_dir_remove(dir.path);
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

/* The sectors that [from, len) lies in, of which those in `set` are zero in what comes out. */
static void zero_sectors(uint8_t *torn, const uint8_t *bytes, size_t from, size_t len, unsigned set)
{
    memcpy(torn, bytes, len);
    for (unsigned i = 0; from < len; i++) {
        size_t next = (from / SECTOR + 1) * SECTOR < len ? (from / SECTOR + 1) * SECTOR : len;
        if ((set >> i & 1U) != 0) {
            memset(torn + from, 0, next - from);
        }
        from = next;
    }
}

static unsigned count_sectors(size_t from, size_t len)
{
    return (unsigned)((len - 1) / SECTOR - from / SECTOR) + 1;
}

TEST(torn__any_sectors_of_the_last_append_may_be_missing)
{
    static uint8_t bytes[HEAD_MAX];
    static uint8_t torn[HEAD_MAX];
    size_t lens[TAIL];
    make(lens);
    size_t len = read_head(bytes, sizeof bytes);
    size_t last = lens[TAIL - 2];
    unsigned count = count_sectors(last, len);
    CHECK(count >= 5 && count <= 10);
    for (unsigned set = 1; set < 1U << count; set++) {
        zero_sectors(torn, bytes, last, len, set);
        write_head(torn, len);
        check_keys(BASE + TAIL - 1);
    }
    write_head(bytes, len);
    check_keys(BASE + TAIL);
    drop();
}

/* ---- frames of noise, wherever they begin in a sector ---- */

enum { CELL_MAX = 6 * SECTOR };

typedef struct cell {
    uint8_t bytes[CELL_MAX];
    size_t len;
    size_t starts[3]; /* where the last frames begin, and the end */
} cell;

/* A frame that ends at starts[0], one of body_len bytes that are not zero, and a small one if asked. */
static cell make_cell(size_t start, size_t body_len, bool followed)
{
    cell c = { .len = 0 };
    uint8_t body[CELL_MAX];
    ri_buf out = { 0 };
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (uint8_t)(1 + i * 131 % 255);
    }
    ri_frame_write(&out, RI_FRAME_BASE, body, start - RI_FRAME_HEADER);
    c.starts[0] = out.len;
    ri_frame_write(&out, RI_FRAME_TX, body, body_len);
    c.starts[1] = out.len;
    if (followed) {
        ri_frame_write(&out, RI_FRAME_TX, body, 40);
    }
    c.starts[2] = out.len;
    CHECK(!out.failed && out.len <= sizeof c.bytes);
    memcpy(c.bytes, out.p, out.len);
    c.len = out.len;
    ri_buf_deinit(&out);
    return c;
}

/* Reads to the end; *pos: behind the last whole frame. */
static int walk(const uint8_t *bytes, size_t len, size_t *pos)
{
    ri_frame_kind kind;
    const uint8_t *body;
    size_t body_len;
    int rc = 0;
    *pos = 0;
    while (rc == 0) {
        rc = ri_frame_next(bytes, len, pos, &kind, &body, &body_len, NULL);
    }
    return rc;
}

TEST(torn__a_hole_anywhere_in_the_last_frame_ends_the_head)
{
    static uint8_t torn[CELL_MAX];
    for (size_t start = SECTOR; start < 2 * SECTOR; start++) {
        cell c = make_cell(start, 1500, false);
        unsigned count = count_sectors(start, c.len);
        size_t pos;
        CHECK_RC(walk(c.bytes, c.len, &pos), RILLE_DONE);
        CHECK_EQ_INT(pos, c.len);
        for (unsigned set = 1; set < 1U << count; set++) {
            zero_sectors(torn, c.bytes, start, c.len, set);
            CHECK_RC(walk(torn, c.len, &pos), RILLE_DONE);
            CHECK_EQ_INT(pos, start);
            torn[c.len] = 0; /* as an append that failed is erased */
            CHECK_RC(walk(torn, c.len + 1, &pos), RILLE_DONE);
            CHECK_EQ_INT(pos, start);
        }
    }
}

TEST(torn__a_hole_before_a_whole_frame_is_damage)
{
    static uint8_t torn[CELL_MAX];
    for (size_t start = SECTOR; start < 2 * SECTOR; start++) {
        cell c = make_cell(start, 1500, true);
        unsigned count = count_sectors(start, c.starts[1]);
        size_t pos;
        for (unsigned set = 1; set < 1U << count; set++) {
            zero_sectors(torn, c.bytes, start, c.starts[1], set);
            memcpy(torn + c.starts[1], c.bytes + c.starts[1], c.len - c.starts[1]);
            CHECK_RC(walk(torn, c.len, &pos), RILLE_CORRUPT);
            CHECK_EQ_INT(pos, start);
        }
    }
}

TEST(torn__a_changed_byte_of_a_frame_before_another_is_damage)
{
    for (size_t start = SECTOR; start < 2 * SECTOR; start += 3) {
        cell c = make_cell(start, 700, true);
        size_t pos;
        for (size_t at = start; at < c.starts[1]; at++) {
            uint8_t was = c.bytes[at];
            static const uint8_t masks[] = { 0xff, 0x01, 0x80 };
            for (size_t i = 0; i <= sizeof masks; i++) {
                c.bytes[at] = i == sizeof masks ? 0 : was ^ masks[i];
                CHECK_RC(c.bytes[at] == was ? RILLE_CORRUPT : walk(c.bytes, c.len, &pos), RILLE_CORRUPT);
            }
            c.bytes[at] = was;
        }
    }
}

TEST(torn__a_changed_byte_of_the_last_frame_is_damage)
{
    for (size_t start = SECTOR; start < 2 * SECTOR; start += 3) {
        cell c = make_cell(start, 1500, false);
        size_t pos;
        for (size_t at = start; at < c.len; at++) {
            c.bytes[at] ^= 0x10;
            CHECK_RC(walk(c.bytes, c.len, &pos), RILLE_CORRUPT);
            c.bytes[at] ^= 0x10;
        }
    }
}

/* Zeros and headers that promise bodies: an answer comes soon, whatever it is. */
TEST(torn__a_head_of_many_headers_takes_no_time_to_refuse)
{
    enum { LEN = 1 << 22, STEP = 32 };
    static uint8_t bytes[LEN];
    size_t pos;
    for (size_t at = SECTOR; LEN - at > STEP; at += STEP) {
        ri_store_u32(bytes + at, (uint32_t)(LEN - at - RI_FRAME_HEADER));
        bytes[at + 4] = RI_FRAME_TX;
        ri_store_u32(bytes + at + 5, (uint32_t)ri_hash64(bytes + at, 5, 0));
    }
    CHECK_RC(walk(bytes, LEN, &pos), RILLE_CORRUPT);
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
          torn__any_sectors_of_the_last_append_may_be_missing, torn__a_hole_anywhere_in_the_last_frame_ends_the_head,
          torn__a_hole_before_a_whole_frame_is_damage, torn__a_changed_byte_of_a_frame_before_another_is_damage,
          torn__a_changed_byte_of_the_last_frame_is_damage, torn__a_head_of_many_headers_takes_no_time_to_refuse,
          torn__a_flipped_bit_is_damage_whatever_the_head_ends_in)
