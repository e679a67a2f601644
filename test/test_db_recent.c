/* SPDX-License-Identifier: MIT
 *
 * Heads that are not asked for: how old a value may be, what a tier may say, and that commits are right all the same.
 */
#include "../src/core/db/conn_own.h"
#include "../src/core/store/tier.h"
#include "test_store_support.h"

#define HOUR_MS 3600000U
#define TIER "mem:recent"

typedef struct fixture {
    test_dir dir;
    test_text url;
    ri_tier *tier; /* keeps it alive, and sees what is in it */
} fixture;

static rille_conn *open_with(const char *url, const char *tier, uint64_t staleness_ms, bool create)
{
    ri_conn_options options = {
        .create = create, .tier = tier, .tier_bytes_max = 4 << 20, .max_staleness_ms = staleness_ms
    };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

static void transact(rille_conn *conn, const char *text)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err), 0);
    ri_report_deinit(&report);
}

/* The number of transactions after the schema's. */
static int count_tx(rille_conn *conn)
{
    rille_db *db;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    int count = (int)(db->t - RI_TX_BASE);
    ri_db_release(db);
    return count;
}

static ri_store_stats stats_of(rille_conn *conn)
{
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    return stats;
}

static fixture new_fixture(void)
{
    fixture f = { .dir = test_dir_fast() };
    f.url = test_join("file:", f.dir.path, "/db");
    rille_conn *conn = open_with(f.url.text, NULL, 0, true);
    transact(conn, "[{:db/ident :a/b :db/valueType :db.type/long}]");
    ri_conn_release(conn);
    REQUIRE_RC(ri_tier_open(TIER, 4 << 20, f.url.text, NULL, 0, &f.tier, &test_err), RILLE_OK);
    return f;
}

static void end_fixture(const fixture *f)
{
    ri_tier_close(f->tier);
    test_dir_remove(f->dir.path);
}

/* ---- what a connection knows itself ---- */

TEST(recent__is_what_a_connection_has_read_not_long_ago)
{
    fixture f = new_fixture();
    rille_conn *writer = open_with(f.url.text, NULL, 0, false);
    rille_conn *reader = open_with(f.url.text, NULL, HOUR_MS, false);
    rille_conn *strict = open_with(f.url.text, NULL, 1, false);
    CHECK_EQ_INT(count_tx(reader), 1);
    transact(writer, "[{:a/b 1}]");
    CHECK_EQ_INT(count_tx(reader), 1);
    CHECK_EQ_INT(stats_of(reader).head_reads, 1);
    CHECK(ri_conn_age_ms(reader) >= 0 && ri_conn_age_ms(reader) < HOUR_MS);
    int64_t until = ri_clock_ms() + 2;
    while (ri_clock_ms() < until) {
    }
    CHECK_EQ_INT(count_tx(strict), 2);
    transact(reader, "[{:a/b 2}]"); /* asks, and then knows all */
    CHECK_EQ_INT(count_tx(reader), 3);
    CHECK_EQ_INT(count_tx(writer), 3);
    ri_conn_release(writer);
    ri_conn_release(reader);
    ri_conn_release(strict);
    end_fixture(&f);
}

/* ---- what a tier knows ---- */

TEST(recent__is_what_another_connection_has_read)
{
    fixture f = new_fixture();
    test_text far = test_join("deferred:", f.url.text, "");
    rille_conn *writer = open_with(f.url.text, NULL, 0, false);
    rille_conn *reader = open_with(far.text, TIER, 0, false);
    transact(writer, "[{:a/b 1}]");
    rille_conn *fresh = open_with(far.text, TIER, HOUR_MS, false);
    CHECK_EQ_INT(count_tx(fresh), 1); /* the reader has not asked since */
    CHECK_EQ_INT(stats_of(fresh).storage.requests, 0);
    CHECK(ri_conn_is_kept(fresh));
    CHECK(!ri_conn_is_kept(reader));
    CHECK_EQ_INT(count_tx(reader), 2);
    rille_conn *other = open_with(far.text, TIER, RI_STALENESS_ANY, false);
    CHECK_EQ_INT(count_tx(other), 2);
    CHECK_EQ_INT(stats_of(other).storage.requests, 0);
    CHECK_EQ_INT(count_tx(fresh), 1); /* what it knows is young enough */
    rille_conn *asks = open_with(far.text, TIER, 0, false);
    CHECK_EQ_INT(count_tx(asks), 2);
    CHECK(stats_of(asks).head_reads >= 1);
    ri_conn_release(writer);
    ri_conn_release(reader);
    ri_conn_release(fresh);
    ri_conn_release(other);
    ri_conn_release(asks);
    end_fixture(&f);
}

TEST(recent__is_what_was_committed_through_the_tier)
{
    fixture f = new_fixture();
    rille_conn *writer = open_with(f.url.text, TIER, 0, false);
    for (int i = 0; i < 5; i++) {
        transact(writer, "[{:a/b 1}]");
        rille_conn *reader = open_with(f.url.text, TIER, HOUR_MS, false);
        CHECK_EQ_INT(count_tx(reader), 2 + i);
        CHECK_EQ_INT(stats_of(reader).head_reads, 0);
        ri_conn_release(reader);
    }
    ri_conn_release(writer);
    end_fixture(&f);
}

/* Whatever the tier says of a head that cannot be so, the storage is asked. */
TEST(recent__is_no_head_that_is_old_or_damaged_or_from_the_future)
{
    fixture f = new_fixture();
    rille_conn *reader = open_with(f.url.text, TIER, 0, false);
    rille_conn *writer = open_with(f.url.text, NULL, 0, false);
    transact(writer, "[{:a/b 1}]");
    uint8_t *bytes;
    size_t len;
    int64_t read_ms;
    REQUIRE(ri_tier_get_head(f.tier, "main", &bytes, &len, &read_ms));
    const int64_t times[] = { read_ms - HOUR_MS, ri_clock_ms() + HOUR_MS, INT64_MIN, INT64_MAX };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ri_tier_put_head(f.tier, "main", bytes, len, times[i]);
        rille_conn *conn = open_with(f.url.text, TIER, HOUR_MS, false);
        CHECK_EQ_INT(count_tx(conn), 2);
        CHECK_EQ_INT(stats_of(conn).head_reads, 1);
        ri_conn_release(conn);
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        ri_tier_put_head(f.tier, "main", bytes, len, ri_clock_ms());
        rille_conn *conn = open_with(f.url.text, TIER, HOUR_MS, false);
        CHECK_EQ_INT(count_tx(conn), 2); /* a frame has a checksum */
        ri_conn_release(conn);
        bytes[i] ^= 1;
        ri_tier_put_head(f.tier, "main", bytes, i, ri_clock_ms());
        conn = open_with(f.url.text, TIER, HOUR_MS, false);
        CHECK(count_tx(conn) == 2 || ri_conn_is_kept(conn)); /* cut where a frame ends: an older head */
        ri_conn_release(conn);
    }
    rille_free(bytes);
    ri_conn_release(reader);
    ri_conn_release(writer);
    end_fixture(&f);
}

TEST(recent__never_goes_back)
{
    fixture f = new_fixture();
    rille_conn *old = open_with(f.url.text, TIER, 0, false);
    uint8_t *bytes;
    size_t len;
    int64_t read_ms;
    REQUIRE(ri_tier_get_head(f.tier, "main", &bytes, &len, &read_ms));
    rille_conn *conn = open_with(f.url.text, TIER, 1, false);
    transact(conn, "[{:a/b 1}]");
    for (int i = 0; i < 3; i++) { /* a slow reader reports what it asked for before */
        int64_t until = ri_clock_ms() + 2;
        while (ri_clock_ms() < until) {
        }
        ri_tier_put_head(f.tier, "main", bytes, len, ri_clock_ms());
        CHECK_EQ_INT(count_tx(conn), 2);
    }
    rille_free(bytes);
    ri_conn_release(old);
    ri_conn_release(conn);
    end_fixture(&f);
}

TEST(recent__is_not_of_a_database_that_was_dropped)
{
    fixture f = new_fixture();
    rille_conn *reader = open_with(f.url.text, TIER, 0, false);
    ri_conn_release(reader);
    REQUIRE_RC(ri_database_drop(f.url.text, &test_err), 0);
    ri_conn_options options = { .tier = TIER, .tier_bytes_max = 4 << 20 };
    rille_conn *conn;
    CHECK_RC(ri_conn_open(f.url.text, &options, &conn, &test_err), RILLE_NOTFOUND);
    conn = open_with(f.url.text, TIER, HOUR_MS, true);
    CHECK_EQ_INT(count_tx(conn), 0);
    ri_conn_release(conn);
    end_fixture(&f);
}

TEST(recent__is_not_enough_to_create_a_database)
{
    fixture f = new_fixture();
    rille_conn *conn = open_with(f.url.text, TIER, 0, false);
    ri_conn_release(conn);
    REQUIRE_RC(ri_database_drop(f.url.text, &test_err), 0);
    ri_conn_options options = {
        .must_create = true, .tier = TIER, .tier_bytes_max = 4 << 20, .max_staleness_ms = HOUR_MS
    };
    CHECK_RC(ri_conn_open(f.url.text, &options, &conn, &test_err), 0);
    ri_conn_release(conn);
    CHECK_RC(ri_conn_open(f.url.text, &options, &conn, &test_err), RILLE_EXISTS);
    end_fixture(&f);
}

/* ---- commits ---- */

TEST(recent__head_is_asked_for_before_a_commit)
{
    fixture f = new_fixture();
    rille_conn *reader = open_with(f.url.text, TIER, 0, false);
    rille_conn *writer = open_with(f.url.text, NULL, 0, false);
    rille_conn *conn = open_with(f.url.text, TIER, RI_STALENESS_ANY, false);
    CHECK(ri_conn_is_kept(conn));
    transact(writer, "[{:a/b 1}]");
    transact(conn, "[{:a/b 2}]");
    CHECK(!ri_conn_is_kept(conn));
    CHECK_EQ_INT(count_tx(conn), 3);
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
    CHECK_EQ_INT(count_tx(writer), 3);
    rille_conn *kept = open_with(f.url.text, TIER, RI_STALENESS_ANY, false);
    REQUIRE_RC(ri_conn_flush(kept, &test_err), 0); /* of a head that it has not asked for */
    transact(kept, "[{:a/b 3}]");
    CHECK_EQ_INT(count_tx(writer), 4);
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(kept, &report, &test_err), 0);
    ri_conn_release(kept);
    ri_conn_release(reader);
    ri_conn_release(writer);
    ri_conn_release(conn);
    end_fixture(&f);
}

static int open_and_read(const char *url)
{
    ri_conn_options options = { .tier = TIER, .tier_bytes_max = 4 << 20, .max_staleness_ms = HOUR_MS };
    rille_conn *conn;
    rille_db *db = NULL;
    int rc = ri_conn_open(url, &options, &conn, NULL);
    rc = rc == 0 ? ri_conn_db(conn, &db, NULL) : rc;
    ri_db_release(db);
    ri_conn_release(conn);
    return rc;
}

TEST(recent__copes_without_memory)
{
    fixture f = new_fixture();
    test_text far = test_join("deferred:", f.url.text, "");
    rille_conn *reader = open_with(f.url.text, TIER, 0, false);
    TEST_FAULT_SWEEP(open_and_read(far.text));
    ri_conn_release(reader);
    end_fixture(&f);
}

TEST_MAIN(recent__is_what_a_connection_has_read_not_long_ago, recent__is_what_another_connection_has_read,
          recent__is_what_was_committed_through_the_tier, recent__is_no_head_that_is_old_or_damaged_or_from_the_future,
          recent__never_goes_back, recent__is_not_of_a_database_that_was_dropped,
          recent__is_not_enough_to_create_a_database, recent__head_is_asked_for_before_a_commit,
          recent__copes_without_memory)
