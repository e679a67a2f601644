/* SPDX-License-Identifier: MIT
 *
 * Golden figures: the roots and commit ids of a fixed database, and databases that were stored by the first releases of
 * each format. A difference here means that the format changed: then it gets a new version number and docs/format.md a
 * line.
 *
 * RILLE_GOLDEN_WRITE=DIR makes the stored database of this format anew.
 */
#include "test_store_support.h"

#include "../src/core/db/conn.h"

static const char *const transactions[] = {
    ("[[:db/add :db/current-tx :db/txInstant #inst \"2026-01-01\"]"
     " {:db/ident :book/isbn :db/valueType :db.type/string :db/unique :db.unique/identity :db/doc \"the key\"}"
     " {:db/ident :book/title :db/valueType :db.type/string}"
     " {:db/ident :book/pages :db/valueType :db.type/long}"
     " {:db/ident :book/price :db/valueType :db.type/double}"
     " {:db/ident :book/tags :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}"
     " {:db/ident :book/next :db/valueType :db.type/ref}"
     " {:db/ident :book/id :db/valueType :db.type/uuid}"
     " {:db/ident :book/printed :db/valueType :db.type/instant}"
     " {:db/ident :book/sold :db/valueType :db.type/boolean}]"),
    ("[[:db/add :db/current-tx :db/txInstant #inst \"2026-01-02\"]"
     " {:db/id \"a\" :book/isbn \"978-1\" :book/title \"Eins\" :book/pages 100 :book/price 9.5 :book/tags [:old :rare]}"
     " {:db/id \"b\" :book/isbn \"978-2\" :book/title \"Zwei\" :book/pages -7 :book/next \"a\" :book/sold true"
     "  :book/id #uuid \"00112233-4455-6677-8899-aabbccddeeff\" :book/printed #inst \"1999-12-31T23:59:59.999Z\"}]"),
    ("[[:db/add :db/current-tx :db/txInstant #inst \"2026-01-03\"]"
     " {:book/isbn \"978-1\" :book/pages 101} [:db/retract [:book/isbn \"978-1\"] :book/tags :old]]"),
};

enum { GENERATED = 40, ITEMS = 60, SMALL = 400 };

static void transact(rille_conn *conn, const char *text, size_t len)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, len, &report, &test_err), 0);
    ri_report_deinit(&report);
}

/* The fixed transactions, then generated ones with enough datoms for branches; one long value. */
static void fill(rille_conn *conn)
{
    for (size_t i = 0; i < sizeof transactions / sizeof *transactions; i++) {
        transact(conn, transactions[i], strlen(transactions[i]));
    }
    for (int n = 0; n < GENERATED; n++) {
        ri_buf text = { 0 };
        char item[200];
        (void)snprintf(item, sizeof item, "[[:db/add :db/current-tx :db/txInstant #inst \"2026-02-01T00:%02d:00Z\"]",
                       n);
        ri_buf_put_text(&text, item);
        for (int i = 0; i < ITEMS; i++) {
            (void)snprintf(item, sizeof item,
                           "{:book/isbn \"g-%d\" :book/title \"T%d\" :book/pages %d :book/tags :t%d}",
                           (n * 41 + i * 7) % 1700, i * n % 19, (n * n + i) % 300, (i + n) % 5);
            ri_buf_put_text(&text, item);
        }
        if (n == 5) {
            ri_buf_put_text(&text, "{:book/isbn \"long\" :book/title \"");
            for (int i = 0; i < 3000; i++) {
                ri_buf_put_u8(&text, (uint8_t)('a' + i % 26));
            }
            ri_buf_put_text(&text, "\"}");
        }
        ri_buf_put_text(&text, "]");
        transact(conn, (const char *)text.p, text.len);
        ri_buf_deinit(&text);
        if (n == 20 || n == 30) {
            CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        }
    }
}

static void check_hex(const uint8_t *bytes, const char *expected, const char *what)
{
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, bytes, RI_HASH_SIZE);
    if (strcmp(hex, expected) != 0) {
        printf("  %s is %s\n", what, hex);
    }
    CHECK_EQ_STR(hex, expected);
}

static const char *const golden_roots[RI_META] = {
    "9bddcfe002e8b5f984d56f23f4bb5fc0c5cf830e0f02be2a7a2c0ba22610cc86",
    "a00c8b8b8660d0866a5bf713a88a466c6708ebba150e466807daef37f39c5940",
    "b52129f9b1d0f6e0fb7eea2ab0cd353762b9c00e983b1f37796654a78a36f7ae",
    "5cc2d398c1d8befa534d142be7c5ea073a30b90792017f3d3d75c5e16c1d4209",
    "3df8766da02c9bbdeb442a271951e842502e193e903a430b14520add4f34f855",
    "37d17878565141e2dd0b04a800a6601770c3bed002decf2ce36b83151dba91c1",
};
static const char golden_commit[] = "524bdccc39b62ac8e5dcd8c7caf4afc14bef131474e90efb47b2783cbf0d6dc0";
static const char golden_commit_2[] = "9bb022faef8aae10bc253f092692c1919287e87c6337e921ad02b9674d88f11c";
static const char golden_commit_1[] = "46e02cdb8b2aa7164eaa422931207b5e6d5cf4c0abb889fd1bb35cdeb65b6e59";

static void check_database(rille_conn *conn, const char *commit)
{
    rille_db *db = NULL;
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    check_hex(db->commit, commit, "commit");
    ri_db_release(db);
}

TEST(golden__roots_and_commit_ids_are_what_they_were)
{
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open("mem:", &options, &conn, &test_err), 0);
    fill(conn);
    check_database(conn, golden_commit);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    for (int o = 0; o < RI_META; o++) {
        check_hex(db->base->tree[o].root.addr, golden_roots[o], ri_order_name((ri_order)o));
    }
    ri_db_release(db);
    ri_conn_release(conn);
}

/* Many small transactions, so that the head has a segment, and some of them are in its cell. */
static void fill_segments(rille_conn *conn)
{
    for (int n = 0; n < SMALL; n++) {
        char text[200];
        int len = snprintf(text, sizeof text,
                           "[[:db/add :db/current-tx :db/txInstant #inst \"2026-03-01T%02d:%02d:00Z\"]"
                           " {:book/isbn \"g-%d\" :book/pages %d}]",
                           n / 60, n % 60, n, 1000 + n);
        transact(conn, text, (size_t)len);
    }
}

static rille_conn *open_url(const char *url)
{
    ri_conn_options options = { 0 };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

TEST(golden__a_stored_database_of_format_1_reads)
{
    rille_conn *conn = open_url("file:test/golden/v1");
    check_database(conn, golden_commit_1);
    ri_conn_release(conn);
}

static void check_format_2(const char *url, bool has_upper)
{
    rille_conn *conn = open_url(url);
    rille_db *db = ri_conn_seen_db(conn);
    CHECK_EQ_INT(db->base->upper_len > 0, has_upper);
    CHECK(db->base->segment_count > 0 && db->base->segments[0].packed);
    CHECK(db->novelty.last->t > db->base->segments[db->base->segment_count - 1].t_last);
    ri_db_release(db);
    check_database(conn, golden_commit_2);
    ri_conn_release(conn);
}

TEST(golden__a_stored_database_of_format_2_reads)
{
    const char *write_to = getenv("RILLE_GOLDEN_WRITE");
    rille_conn *conn = NULL;
    if (write_to != NULL) {
        char url[512];
        ri_conn_options create = { .must_create = true };
        (void)snprintf(url, sizeof url, "file:%s", write_to);
        REQUIRE_RC(ri_conn_open(url, &create, &conn, &test_err), 0);
        fill(conn);
        fill_segments(conn);
        ri_conn_release(conn);
    }
    check_format_2("file:test/golden/v2", false);      /* by the first release that wrote it */
    check_format_2("file:test/golden/v2-upper", true); /* its base says where the upper levels are */
}

static void check_pages(rille_db *db, const char *isbn, int64_t pages)
{
    ri_io io = { 0 };
    uint64_t e;
    ri_value v = ri_bytes_value(RI_STRING, isbn, strlen(isbn));
    const ri_attr *key = ri_schema_attr(db->schema, "book/isbn", 9);
    const ri_attr *attr = ri_schema_attr(db->schema, "book/pages", 10);
    REQUIRE(key != NULL && attr != NULL);
    REQUIRE_RC(ri_db_lookup(db, key, &v, &io, &e, &test_err), 0);
    ri_bound from = ri_bound_ea(e, attr->id, false);
    ri_bound to = ri_bound_ea(e, attr->id, true);
    ri_datom d;
    ri_object *hold;
    REQUIRE_RC(ri_db_first(db, RI_EAVT, &from, &to, &io, &d, &hold, &test_err), 0);
    CHECK_EQ_INT(d.v.as.i, pages);
    ri_object_release(hold);
    ri_io_deinit(&io);
}

/* The first write of any kind makes a head of format 2; what was there stays, and is found at every point in time. */
static void convert(bool by_flush, bool spills)
{
    test_dir dir = test_dir_new();
    char command[2 * sizeof dir.path];
    char url[sizeof dir.path + 16];
    (void)snprintf(command, sizeof command, "cp -R test/golden/v1/. %s/db", dir.path);
    (void)snprintf(url, sizeof url, "file:%s/db", dir.path);
    REQUIRE(system(command) == 0);
    rille_conn *conn = open_url(url);
    rille_db *before = ri_conn_seen_db(conn);
    CHECK_EQ_INT(before->base->format, 1);
    if (by_flush) {
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    }
    for (int i = 0; i < (spills ? SMALL : 1); i++) {
        static const char text[] = "[{:book/isbn \"978-1\" :book/pages 500}"
                                   " [:db/add :db/current-tx :db/doc \"after\"]]";
        transact(conn, text, sizeof text - 1);
    }
    ri_conn_release(conn);
    conn = open_url(url);
    rille_db *after = ri_conn_seen_db(conn);
    rille_db *then = NULL;
    CHECK_EQ_INT(after->base->format, 2);
    check_pages(after, "978-1", 500);
    CHECK_RC(ri_db_as_of_t(after, before->t, &then, &test_err), 0);
    check_pages(then, "978-1", 101);
    ri_db_release(then);
    CHECK_RC(ri_db_as_of_commit(after, before->commit, &then, &test_err), 0);
    CHECK_EQ_INT(then->t, before->t);
    check_pages(then, "978-1", 101);
    ri_db_release(then);
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    ri_db_release(before);
    ri_db_release(after);
    ri_conn_release(conn);
    test_dir_remove(dir.path);
}

TEST(golden__a_commit_converts_format_1)
{
    convert(false, false);
}

TEST(golden__a_spill_converts_format_1)
{
    convert(false, true);
}

TEST(golden__a_flush_converts_format_1)
{
    convert(true, false);
}

TEST_MAIN(golden__roots_and_commit_ids_are_what_they_were, golden__a_stored_database_of_format_1_reads,
          golden__a_stored_database_of_format_2_reads, golden__a_commit_converts_format_1,
          golden__a_spill_converts_format_1, golden__a_flush_converts_format_1)
