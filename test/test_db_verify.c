/* SPDX-License-Identifier: MIT
 *
 * Verification against stores whose trees are sound each for itself and yet do not say the same; and what the retired
 * datoms are, whenever they are flushed.
 */
#include "test_db_forge.h"

static const char schema_text[] = "[{:db/ident :n :db/valueType :db.type/string}"
                                  " {:db/ident :p :db/valueType :db.type/tuple :db/cardinality :db.cardinality/many}]";

/* ---- forged trees ---- */

/* The datom of :n in EAVT; its value borrows from *hold. */
static ri_datom find_name(const rille_db *db, ri_object **hold)
{
    ri_datom d = { 0 };
    ri_io io = { 0 };
    uint32_t a = ri_schema_attr(db->schema, "n", 1)->id;
    ri_bound from = ri_bound_ea(RI_EID_USER, a, false);
    ri_bound to = ri_bound_ea(RI_EID_USER, a, true);
    REQUIRE_RC(ri_db_first(db, RI_EAVT, &from, &to, &io, &d, hold, &test_err), 0);
    ri_io_deinit(&io);
    return d;
}

static rille_conn *with_one_name(const char *url)
{
    rille_conn *conn = open_new(url);
    transact(conn, schema_text);
    transact(conn, "[{:n \"true\"}]");
    transact(conn, "[[:db/add 1048577 :n \"gone\"]]");
    transact(conn, "[[:db/retract 1048577 :n \"gone\"]]");
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    return conn;
}

TEST(verify__finds_a_fact_that_the_log_does_not_know)
{
    rille_conn *conn = with_one_name("mem:forged");
    rille_db *db = newest(conn);
    ri_object *hold;
    ri_datom old = find_name(db, &hold);
    ri_datom fake = old;
    fake.v = ri_bytes_value(RI_STRING, "fake", 4);
    ri_change changes[] = { ri_change_of(&fake, true), ri_change_of(&old, false) };
    forge(conn, (forgery[]){ { RI_EAVT, changes, 2 }, { RI_AEVT, changes, 2 } }, 2);
    expect_damage(conn, "is not in log");
    ri_object_release(hold);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:forged", &test_err), 0);
}

/* As many facts as the log leaves, each of them asserted once; but one of them was retracted later. */
TEST(verify__finds_a_fact_that_the_log_retracted)
{
    rille_conn *conn = with_one_name("mem:forged");
    rille_db *db = newest(conn);
    ri_object *hold;
    ri_datom old = find_name(db, &hold);
    ri_datom gone = { .e = RI_EID_USER + 1, .a = old.a, .t = RI_TX_BASE + 3, .added = true };
    gone.v = ri_bytes_value(RI_STRING, "gone", 4);
    ri_change changes[] = { ri_change_of(&old, false), ri_change_of(&gone, true) };
    forge(conn, (forgery[]){ { RI_EAVT, changes, 2 }, { RI_AEVT, changes, 2 } }, 2);
    expect_damage(conn, "not the facts in eavt");
    ri_object_release(hold);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:forged", &test_err), 0);
}

TEST(verify__finds_retired_datoms_that_never_were)
{
    rille_conn *conn = with_one_name("mem:forged");
    rille_db *db = newest(conn);
    CHECK_EQ_INT(db->base->tree[RI_RET].count, 1);
    ri_object *hold;
    ri_datom fake = find_name(db, &hold);
    fake.x = RI_TX_BASE + 4;
    ri_change more[] = { ri_change_of(&fake, true) };
    forge(conn, &(forgery){ RI_RET, more, 1 }, 1);
    expect_damage(conn, "the log retracts 1 facts, but ret contains 2");
    ri_datom gone = { .e = RI_EID_USER + 1, .a = fake.a, .t = RI_TX_BASE + 3, .x = RI_TX_BASE + 4, .added = true };
    gone.v = ri_bytes_value(RI_STRING, "gone", 4);
    ri_change other[] = { ri_change_of(&gone, false) };
    rille_db *now = newest(conn);
    ri_db_release(now);
    forge(conn, &(forgery){ RI_RET, other, 1 }, 1);
    expect_damage(conn, "is not in log");
    ri_object_release(hold);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:forged", &test_err), 0);
}

/* ---- retired datoms ---- */

/* The t of the only row of RET. */
static uint64_t only_retired(rille_conn *conn)
{
    rille_db *db = newest(conn);
    ri_cursor cursor;
    ri_io io = { 0 };
    ri_datom d = { 0 };
    ri_bound start = ri_bound_all(false);
    CHECK_EQ_INT(db->base->tree[RI_RET].count, 1);
    ri_cursor_init(&cursor, db->store, &db->base->tree[RI_RET]);
    REQUIRE_RC(ri_cursor_seek(&cursor, &start, &io, &test_err), 0);
    ri_node_datom(ri_cursor_leaf(&cursor), ri_cursor_row(&cursor), &d);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
    ri_db_release(db);
    return d.t;
}

/* A value is retracted by an equal one that is written otherwise: history keeps the one that was there. */
TEST(retired__is_what_was_asserted)
{
    for (int flushes = 0; flushes < 2; flushes++) {
        rille_conn *conn = open_new("mem:retired");
        transact(conn, schema_text);
        transact(conn, "[{:p [[1 2]]}]");
        if (flushes > 0) {
            REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        }
        transact(conn, "[[:db/retract 1048576 :p [1.0 2]]]");
        REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        CHECK_EQ_INT(only_retired(conn), RI_TX_BASE + 2);
        ri_verify_report report;
        CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
        ri_conn_release(conn);
        CHECK_RC(ri_database_drop("mem:retired", &test_err), 0);
    }
}

TEST(retired__does_not_depend_on_when_it_is_flushed)
{
    for (int early = 0; early < 2; early++) {
        rille_conn *conn = open_new("mem:retired");
        transact(conn, schema_text);
        transact(conn, "[{:n \"x\"}]");
        transact(conn, "[[:db/retract 1048576 :n \"x\"]]");
        if (early > 0) {
            REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        }
        transact(conn, "[{:db/ident :n :db/noHistory true}]");
        REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        CHECK_EQ_INT(only_retired(conn), RI_TX_BASE + 2);
        ri_conn_release(conn);
        CHECK_RC(ri_database_drop("mem:retired", &test_err), 0);
    }
}

/* Facts whose boundary hash is the same, made by going through it backwards: each keeps its own history. */
TEST(retired__tells_facts_apart_whose_hashes_are_equal)
{
    static const uint8_t bytes[2][16] = {
        { 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'C', 'C', 'C', 'C', 'C', 'C', 'C', 'C' },
        { 'B', 'B', 'B', 'B', 'B', 'B', 'B', 'B', 0x58, 0xe4, 0xef, 0x51, 0x77, 0x7d, 0x5f, 0x27 },
    };
    rille_conn *conn = open_new("mem:retired");
    transact(conn, "[{:db/ident :b :db/valueType :db.type/bytes :db/cardinality :db.cardinality/many}]");
    ri_value v[3]; /* both are asserted, then the first is retracted */
    uint64_t hash[2];
    for (int i = 0; i < 3; i++) {
        ri_tx *tx = NULL;
        ri_report report;
        const ri_attr *attr = NULL;
        ri_ent e = { RI_ENT_ID, { .id = RI_EID_USER } };
        REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
        REQUIRE_RC(ri_tx_attr(tx, "b", 1, &attr, &test_err), 0);
        v[i] = ri_bytes_value(RI_BYTES, bytes[i % 2], sizeof bytes[0]);
        ri_datom d = { .e = RI_EID_USER, .a = attr->id, .v = v[i] };
        hash[i % 2] = ri_datom_hash(RI_EAVT, &d);
        REQUIRE_RC(
            i < 2 ? ri_tx_add(tx, e, attr, &v[i], true, &test_err) : ri_tx_retract(tx, e, attr, &v[i], &test_err), 0);
        REQUIRE_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
        ri_report_deinit(&report);
        ri_tx_release(tx);
    }
    CHECK(hash[0] == hash[1]);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    CHECK_EQ_INT(only_retired(conn), RI_TX_BASE + 2);
    ri_verify_report verified;
    CHECK_RC(ri_conn_verify(conn, &verified, &test_err), 0);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:retired", &test_err), 0);
}

/* However small the cache is: with look-ups in other trees, most nodes would be read many times. */
TEST(verify__reads_each_node_about_once)
{
    enum { ROUNDS = 24, ENTITIES = 1000 };
    static char text[ENTITIES * 64];
    rille_conn *conn = open_new("mem:once");
    transact(conn, "[{:db/ident :n :db/valueType :db.type/string :db/unique :db.unique/identity}"
                   " {:db/ident :s :db/valueType :db.type/string :db/index true}"
                   " {:db/ident :r :db/valueType :db.type/ref}]");
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t len = (size_t)snprintf(text, sizeof text, "[");
        for (unsigned i = 0; i < ENTITIES; i++) {
            uint64_t word = ri_mix64(round * ENTITIES + i);
            len += (size_t)snprintf(text + len, sizeof text - len, "{:n \"%u\" :s \"%08x\" :r %u}",
                                    i + round % 20 * ENTITIES, (unsigned)word, 1048577 + (unsigned)(word % 5000));
        }
        (void)snprintf(text + len, sizeof text - len, "]");
        transact(conn, text);
    }
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
    ri_conn_release(conn);
    ri_conn_options options = { .cache_bytes = 65536 };
    REQUIRE_RC(ri_conn_open("mem:once", &options, &conn, &test_err), 0);
    ri_store_stats before;
    ri_store_stats after;
    ri_verify_report report;
    ri_store_read_stats(ri_conn_store(conn), &before);
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    ri_store_read_stats(ri_conn_store(conn), &after);
    CHECK(report.nodes > 200);
    CHECK(after.get_ranges - before.get_ranges <= report.nodes + report.nodes / 2);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:once", &test_err), 0);
}

TEST_MAIN(verify__reads_each_node_about_once, verify__finds_a_fact_that_the_log_does_not_know,
          verify__finds_a_fact_that_the_log_retracted, verify__finds_retired_datoms_that_never_were,
          retired__is_what_was_asserted, retired__does_not_depend_on_when_it_is_flushed,
          retired__tells_facts_apart_whose_hashes_are_equal)
