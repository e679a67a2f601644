/* SPDX-License-Identifier: MIT
 *
 * Connections end to end: what is committed is there for every later reader, whichever way it got into the head.
 */
#include "harness.h"

#include "../src/core/db/conn_own.h"

#include <stdarg.h>
#include <unistd.h>

static rille_conn *open_conn(const char *url, bool create)
{
    ri_conn_options options = { .create = create };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

static void transact(rille_conn *conn, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err), 0);
    ri_report_deinit(&report);
}

static const char schema_text[] =
    "[{:db/ident :item/sku :db/valueType :db.type/string :db/unique :db.unique/identity}"
    " {:db/ident :item/qty :db/valueType :db.type/long}"
    " {:db/ident :item/tag :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}"
    " {:db/ident :item/next :db/valueType :db.type/ref}]";

static uint64_t find_sku(const rille_db *db, const char *sku)
{
    const ri_attr *attr = ri_schema_attr(db->schema, "item/sku", 8);
    REQUIRE(attr != NULL);
    ri_value v = ri_bytes_value(RI_STRING, sku, strlen(sku));
    ri_io io = { 0 };
    uint64_t e = 0;
    int rc;
    while ((rc = ri_db_lookup(db, attr, &v, &io, &e, &test_err)) == RILLE_NEED) {
        REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
    }
    CHECK_EQ_INT(rc, 0);
    ri_io_deinit(&io);
    return e;
}

/* The quantity of an item, -1 without one. */
static int64_t qty_of(const rille_db *db, const char *sku)
{
    uint64_t e = find_sku(db, sku);
    const ri_attr *attr = ri_schema_attr(db->schema, "item/qty", 8);
    ri_bound from = ri_bound_ea(e, attr->id, false);
    ri_bound to = ri_bound_ea(e, attr->id, true);
    ri_io io = { 0 };
    ri_datom d;
    ri_object *hold;
    int rc;
    while ((rc = ri_db_first(db, RI_EAVT, &from, &to, &io, &d, &hold, &test_err)) == RILLE_NEED) {
        REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
    }
    ri_object_release(hold);
    ri_io_deinit(&io);
    return rc == 0 ? d.v.as.i : -1;
}

static uint64_t count_all(const rille_db *db, ri_order order)
{
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    ri_io io = { 0 };
    uint64_t count = 0;
    uint64_t walked = 0;
    int rc;
    while ((rc = ri_db_count(db, order, &from, &to, &io, &count, &test_err)) == RILLE_NEED) {
        REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
    }
    CHECK_EQ_INT(rc, 0);
    ri_scan scan;
    ri_run run;
    ri_scan_init(&scan, db, order);
    ri_scan_set(&scan, &from, &to);
    for (;;) {
        rc = ri_scan_next(&scan, &run, &io, &test_err);
        if (rc == RILLE_NEED) {
            REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
        } else if (rc == 0) {
            walked += ri_run_count(&run);
        } else {
            break;
        }
    }
    CHECK_EQ_INT(rc, RILLE_DONE);
    CHECK_EQ_INT(walked, count); /* two ways to the same number */
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
    return count;
}

static rille_db *newest(rille_conn *conn)
{
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    return db;
}

static void verify(rille_conn *conn)
{
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
}

static void expect_qty(rille_conn *conn, const char *sku, int64_t qty)
{
    rille_db *db = newest(conn);
    CHECK_EQ_INT(qty_of(db, sku), qty);
    ri_db_release(db);
}

static void first_steps(const char *url)
{
    rille_conn *conn = open_conn(url, true);
    transact(conn, "%s", schema_text);
    transact(conn, "[{:item/sku \"a\" :item/qty 1 :item/tag [:x :y]} {:item/sku \"b\" :item/qty 2}]");
    rille_db *before = newest(conn);
    transact(conn, "[{:item/sku \"a\" :item/qty 7} [:db/retract [:item/sku \"b\"] :item/qty 2]]");
    expect_qty(conn, "a", 7);
    expect_qty(conn, "b", -1);
    CHECK_EQ_INT(qty_of(before, "a"), 1); /* a value never changes */
    CHECK_EQ_INT(qty_of(before, "b"), 2);
    verify(conn);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    expect_qty(conn, "a", 7);
    CHECK_EQ_INT(qty_of(before, "a"), 1);
    verify(conn);
    rille_conn *other = open_conn(url, false);
    expect_qty(other, "a", 7);
    transact(other, "[{:item/sku \"a\" :item/qty 8}]");
    expect_qty(conn, "a", 8);
    ri_conn_release(other);
    ri_db_release(before);
    ri_conn_release(conn);
}

TEST(conn__keeps_what_was_committed_in_memory)
{
    first_steps("mem:conn_first");
    CHECK_RC(ri_database_drop("mem:conn_first", &test_err), 0);
}

TEST(conn__works_when_every_read_is_deferred)
{
    first_steps("deferred:mem:conn_deferred");
    CHECK_RC(ri_database_drop("mem:conn_deferred", &test_err), 0);
}

static void in_directory(const char *scheme)
{
    char dir[] = "/tmp/rille_test_XXXXXX";
    char url[128];
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "%s:%s/db", scheme, dir);
    first_steps(url);
    rille_conn *conn = open_conn(url, false);
    expect_qty(conn, "a", 8);
    verify(conn);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    bool there = true;
    CHECK_RC(ri_database_exists(url, NULL, 0, &there, &test_err), 0);
    CHECK(!there);
    (void)rmdir(dir);
}

TEST(conn__keeps_what_was_committed_in_files)
{
    in_directory("file");
}

TEST(conn__keeps_what_was_committed_in_lmdb)
{
    in_directory("lmdb");
}

/* Enough small transactions to spill several times, with as-of values of every tenth. */
TEST(conn__spills_and_still_finds_the_past)
{
    enum { ROUNDS = 1500, STRIDE = 100 };
    uint64_t t[ROUNDS / STRIDE];
    rille_conn *conn = open_conn("mem:spill", true);
    transact(conn, "%s", schema_text);
    for (int i = 0; i < ROUNDS; i++) {
        transact(conn, "[{:item/sku \"sku-%d\" :item/qty %d} {:item/sku \"hot\" :item/qty %d}]", i, i, i);
        rille_db *db = newest(conn);
        if (i % STRIDE == 0) {
            t[i / STRIDE] = db->t;
        }
        ri_db_release(db);
        if (i == ROUNDS / 2) {
            CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        }
    }
    ri_conn_release(conn);
    conn = open_conn("mem:spill", false);
    rille_db *db = newest(conn);
    CHECK(db->base->segment_count > 0);
    CHECK_EQ_INT(qty_of(db, "hot"), ROUNDS - 1);
    for (int i = 0; i < ROUNDS; i += STRIDE) {
        rille_db *past = NULL;
        REQUIRE_RC(ri_db_as_of_t(db, t[i / STRIDE], &past, &test_err), 0);
        CHECK_EQ_INT(past->t, t[i / STRIDE]);
        CHECK_EQ_INT(qty_of(past, "hot"), i);
        CHECK_EQ_INT(count_all(past, RI_EAVT), count_all(past, RI_AEVT));
        rille_db *same = NULL;
        CHECK_RC(ri_db_as_of_commit(db, past->commit, &same, &test_err), 0);
        CHECK(same != NULL && same->t == past->t);
        ri_db_release(same);
        ri_db_release(past);
    }
    verify(conn);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:spill", &test_err), 0);
}

/* The same transactions, flushed at other times: the same trees, root for root (META apart, which lists the flushes).
 */
TEST(conn__gives_the_same_trees_whenever_it_flushes)
{
    enum { TRANSACTIONS = 60, ITEMS = 50 };
    uint8_t roots[2][RI_META][RI_HASH_SIZE];
    for (int way = 0; way < 2; way++) {
        rille_conn *conn = open_conn("mem:same", true);
        transact(conn, "[[:db/add :db/current-tx :db/txInstant #inst \"2026-01-01\"] %.*s", (int)sizeof schema_text - 2,
                 schema_text + 1);
        for (int n = 0; n < TRANSACTIONS; n++) {
            ri_buf text = { 0 };
            char item[160];
            (void)snprintf(item, sizeof item,
                           "[[:db/add :db/current-tx :db/txInstant #inst \"2026-02-01T00:%02d:00Z\"]", n);
            ri_buf_put_text(&text, item);
            for (int i = 0; i < ITEMS; i++) {
                (void)snprintf(item, sizeof item, "{:item/sku \"s%d\" :item/qty %d :item/tag :t%d}",
                               (n * 37 + i * 11) % 1500, (n * i) % 13, n % 7);
                ri_buf_put_text(&text, item);
            }
            ri_buf_put_text(&text, "]");
            ri_report report;
            REQUIRE_RC(ri_conn_transact_edn(conn, (const char *)text.p, text.len, &report, &test_err), 0);
            ri_report_deinit(&report);
            ri_buf_deinit(&text);
            if (way == 1 && n % 7 == 3) {
                CHECK_RC(ri_conn_flush(conn, &test_err), 0);
            }
        }
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        verify(conn);
        rille_db *db = newest(conn);
        CHECK_EQ_INT(count_all(db, RI_AEVT), count_all(db, RI_EAVT));
        CHECK_EQ_INT(db->novelty.datom_count, 0);
        for (int o = 0; o < RI_META; o++) {
            memcpy(roots[way][o], db->base->tree[o].root.addr, RI_HASH_SIZE);
        }
        ri_db_release(db);
        ri_conn_release(conn);
        CHECK_RC(ri_database_drop("mem:same", &test_err), 0);
    }
    for (int o = 0; o < RI_META; o++) {
        CHECK_EQ_MEM(roots[0][o], RI_HASH_SIZE, roots[1][o], RI_HASH_SIZE);
    }
}

/* A view of the past is a value like any other: it goes further back by t and by commit, its own included. */
TEST(conn__goes_back_from_the_past)
{
    enum { ROUNDS = 9 };
    uint8_t commits[ROUNDS][RI_HASH_SIZE];
    rille_conn *conn = open_conn("mem:back", true);
    transact(conn, "%s", schema_text);
    for (int i = 0; i < ROUNDS; i++) {
        transact(conn, "[{:item/sku \"hot\" :item/qty %d}]", i);
        rille_db *db = newest(conn);
        memcpy(commits[i], db->commit, RI_HASH_SIZE);
        ri_db_release(db);
        if (i % 4 == 3) {
            CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        }
    }
    rille_db *db = newest(conn);
    for (int i = 0; i < ROUNDS; i++) {
        rille_db *past = NULL;
        REQUIRE_RC(ri_db_as_of_commit(db, commits[i], &past, &test_err), 0);
        CHECK_EQ_MEM(past->commit, RI_HASH_SIZE, commits[i], RI_HASH_SIZE);
        for (int j = 0; j <= i; j++) {
            rille_db *further = NULL;
            REQUIRE_RC(ri_db_as_of_commit(past, commits[j], &further, &test_err), 0);
            CHECK_EQ_INT(qty_of(further, "hot"), j);
            ri_db_release(further);
        }
        ri_db_release(past);
    }
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:back", &test_err), 0);
}

/* Few datoms, but more bytes than a segment should have: they go to the trees. */
TEST(conn__flushes_what_is_too_long_to_spill)
{
    enum { COUNT = 9000, LEN = 1000 };
    static char bytes[LEN];
    rille_conn *conn = open_conn("mem:long", true);
    transact(conn, "%s", schema_text);
    test_rng rng = test_rng_new();
    ri_tx *tx = NULL;
    ri_report report;
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    const ri_attr *sku = NULL;
    REQUIRE_RC(ri_tx_attr(tx, "item/sku", 8, &sku, &test_err), 0);
    for (int i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < LEN; at++) {
            bytes[at] = (char)('0' + test_random_below(&rng, 75));
        }
        ri_value v = ri_bytes_value(RI_STRING, bytes, LEN);
        ri_ent e;
        REQUIRE_RC(ri_tx_temp_fresh(tx, &e, &test_err), 0);
        REQUIRE_RC(ri_tx_add(tx, e, sku, &v, true, &test_err), 0);
    }
    REQUIRE_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
    CHECK_EQ_INT(report.after->base->t, report.after->t);
    CHECK_EQ_INT(report.after->base->segment_count, 0);
    ri_report_deinit(&report);
    ri_tx_release(tx);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:long", &test_err), 0);
}

/* Time does not go back on a connection, even where an older head took the place of the newest. */
TEST(conn__says_when_the_head_went_back)
{
    rille_conn *conn = open_conn("mem:older", true);
    transact(conn, "%s", schema_text);
    rille_head older = { 0 };
    REQUIRE_RC(ri_store_head_read(ri_conn_store(conn), "main", &older, &test_err), 0);
    transact(conn, "[{:item/sku \"a\" :item/qty 1}]");
    rille_head_swap swap = {
        .branch = "main", .expected = conn->seen.revision, .cell = older.bytes, .cell_len = older.len
    };
    rille_revision revision;
    REQUIRE_RC(ri_store_head_swap(ri_conn_store(conn), &swap, NULL, &revision, &test_err), 0);
    rille_free(older.bytes);
    rille_db *db = NULL;
    CHECK_RC(ri_conn_db(conn, &db, &test_err), RILLE_IO);
    CHECK(strstr(test_err.message, "the branch head went back") != NULL);
    rille_conn *again = open_conn("mem:older", false);
    expect_qty(again, "a", -1);
    ri_conn_release(again);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:older", &test_err), 0);
}

/* What is asked for changes nothing: the ids that are given out next are the same in every process. */
TEST(conn__counts_ids_of_facts_only)
{
    rille_conn *conn = open_conn("mem:ids", true);
    transact(conn, "%s", schema_text);
    rille_db *before = newest(conn);
    ri_tx *tx = NULL;
    ri_report report;
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    const ri_attr *next = NULL;
    REQUIRE_RC(ri_tx_attr(tx, "item/next", 9, &next, &test_err), 0);
    ri_value far = ri_ref(RI_EID_USER + 1000);
    ri_ent e = { RI_ENT_ID, { .id = RI_EID_ATTR } };
    CHECK_RC(ri_tx_retract(tx, e, next, &far, &test_err), 0);
    REQUIRE_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
    CHECK_EQ_INT(report.after->next_e, before->next_e);
    ri_report_deinit(&report);
    ri_tx_release(tx);
    ri_db_release(before);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:ids", &test_err), 0);
}

TEST(conn__lets_the_second_of_two_writers_run_again)
{
    rille_conn *a = open_conn("mem:race", true);
    rille_conn *b = open_conn("mem:race", false);
    ri_tx *tx_a = NULL;
    ri_tx *tx_b = NULL;
    ri_report report;
    transact(a, "%s", schema_text);
    REQUIRE_RC(ri_conn_begin(a, &tx_a, &test_err), 0);
    REQUIRE_RC(ri_conn_begin(b, &tx_b, &test_err), 0);
    CHECK_RC(ri_conn_commit(a, tx_a, &report, &test_err), 0);
    ri_report_deinit(&report);
    CHECK_RC(ri_conn_commit(b, tx_b, &report, &test_err), RILLE_CONFLICT);
    ri_tx_release(tx_a);
    ri_tx_release(tx_b);
    REQUIRE_RC(ri_conn_begin(b, &tx_b, &test_err), 0);
    CHECK_RC(ri_conn_commit(b, tx_b, &report, &test_err), 0);
    ri_report_deinit(&report);
    ri_tx_release(tx_b);
    ri_conn_release(a);
    ri_conn_release(b);
    CHECK_RC(ri_database_drop("mem:race", &test_err), 0);
}

TEST(conn__says_when_there_is_no_database_or_one_already)
{
    rille_conn *conn = NULL;
    ri_conn_options plain = { 0 };
    ri_conn_options must = { .must_create = true };
    CHECK_RC(ri_conn_open("mem:nothing", &plain, &conn, &test_err), RILLE_NOTFOUND);
    CHECK_RC(ri_conn_open("mem:nothing", &must, &conn, &test_err), 0);
    rille_conn *second = NULL;
    CHECK_RC(ri_conn_open("mem:nothing", &must, &second, &test_err), RILLE_EXISTS);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:nothing", &test_err), 0);
}

TEST(conn__makes_no_new_database_where_the_head_is_gone)
{
    char dir[] = "/tmp/rille_test_XXXXXX";
    char url[64];
    char path[64];
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "file:%s/db", dir);
    (void)snprintf(path, sizeof path, "%s/db/heads/main", dir);
    first_steps(url);
    CHECK(unlink(path) == 0);
    for (int i = 0; i < 4; i++) {
        rille_conn *conn = NULL;
        ri_conn_options options = { .create = i % 2 == 1, .must_create = i % 2 == 1 };
        CHECK_RC(ri_conn_open(url, &options, &conn, &test_err), RILLE_CORRUPT);
        CHECK(strstr(test_err.message, url) != NULL && strstr(test_err.message, "restore heads/main") != NULL);
        path[strlen(path) - (i == 1 ? strlen("/main") : 0)] = '\0'; /* and with heads/ gone */
        CHECK(i != 1 || rmdir(path) == 0);
    }
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    first_steps(url);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    (void)rmdir(dir);
}

/* Spilled or not: the blocks of the value that was known are those of the next one, and nothing is missing. */
TEST(conn__goes_on_from_the_known_value_when_the_head_is_spilled)
{
    char text[9000];
    unsigned spills = 0;
    rille_conn *writer = open_conn("mem:follow", true);
    transact(writer, schema_text);
    rille_conn *reader = open_conn("mem:follow", false);
    rille_db *known = newest(reader);
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned commit = 0; commit <= i % 4; commit++) {
            size_t len = (size_t)snprintf(text, sizeof text, "[");
            for (unsigned k = 0; k < 30 + i; k++) {
                len += (size_t)snprintf(text + len, sizeof text - len, "{:item/sku \"%u-%u-%u-%u\" :item/qty %u}",
                                        i * 2654435761U, i, commit, k, k * i);
            }
            (void)snprintf(text + len, sizeof text - len, "]");
            ri_report report;
            REQUIRE_RC(ri_conn_transact_edn(writer, text, strlen(text), &report, &test_err), 0);
            ri_report_deinit(&report);
        }
        rille_db *next = newest(reader);
        rille_conn *other = open_conn("mem:follow", false);
        rille_db *whole = newest(other);
        const ri_block *b = next->novelty.last;
        while (b != NULL && b != known->novelty.last) {
            b = b->prev;
        }
        CHECK(b == known->novelty.last);
        spills += next->base->segment_count > known->base->segment_count ? 1 : 0;
        CHECK_EQ_INT(next->t, whole->t);
        CHECK(memcmp(next->commit, whole->commit, RI_HASH_SIZE) == 0);
        CHECK_EQ_INT(next->base->segment_count, whole->base->segment_count);
        CHECK_EQ_INT(next->novelty.datom_count, whole->novelty.datom_count);
        CHECK(next->next_e == whole->next_e && next->next_attr == whole->next_attr);
        CHECK_EQ_INT(count_all(next, RI_EAVT), count_all(whole, RI_EAVT));
        CHECK_EQ_INT(count_all(next, RI_AVET), count_all(whole, RI_AVET));
        ri_db_release(whole);
        ri_conn_release(other);
        ri_db_release(known);
        known = next;
    }
    CHECK(spills > 3);
    ri_db_release(known);
    ri_conn_release(reader);
    ri_conn_release(writer);
    CHECK_RC(ri_database_drop("mem:follow", &test_err), 0);
}

TEST_MAIN(conn__goes_on_from_the_known_value_when_the_head_is_spilled, conn__keeps_what_was_committed_in_memory,
          conn__works_when_every_read_is_deferred, conn__keeps_what_was_committed_in_files,
          conn__keeps_what_was_committed_in_lmdb, conn__spills_and_still_finds_the_past,
          conn__gives_the_same_trees_whenever_it_flushes, conn__goes_back_from_the_past,
          conn__flushes_what_is_too_long_to_spill, conn__counts_ids_of_facts_only, conn__says_when_the_head_went_back,
          conn__lets_the_second_of_two_writers_run_again, conn__says_when_there_is_no_database_or_one_already,
          conn__makes_no_new_database_where_the_head_is_gone)
