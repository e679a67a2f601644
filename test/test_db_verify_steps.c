/* SPDX-License-Identifier: MIT
 *
 * Verification in steps: however often, and wherever it pauses, it says what it says at once; between two looks at the
 * budget it does little; and what is left there leaves nothing behind.
 */
#include "test_db_forge.h"
#include "test_store_support.h"

#define POINTS_MAX 16U
#define ROUNDS 6U
#define ENTITIES 700U

/* A long value, which is the same in some rounds. */
static void add_long(ri_buf *out, unsigned id, unsigned round)
{
    ri_buf_put_text(out, " :long \"");
    for (unsigned i = 0; i < 1500; i++) {
        ri_buf_put_u8(out, (uint8_t)('a' + ri_mix64(i + id * 3571 + round / 2) % 26));
    }
    ri_buf_put_text(out, "\"");
}

static void add_round(rille_conn *conn, unsigned round, unsigned count)
{
    ri_buf text = { 0 };
    char item[160];
    ri_buf_put_text(&text, "[");
    for (unsigned i = 0; i < count; i++) {
        uint64_t word = ri_mix64(round * ENTITIES + i);
        (void)snprintf(item, sizeof item, "{:n \"%u\" :s \"%08x\" :up %u", i + round % 4 * 300, (unsigned)word,
                       1048577 + (unsigned)(word % 500));
        ri_buf_put_text(&text, item);
        if (i % 100 == 7) {
            add_long(&text, i, round);
        }
        ri_buf_put_text(&text, "}");
    }
    ri_buf_put_text(&text, "[:db/retract 1048577 :s \"no\"]]");
    REQUIRE(!text.failed);
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, (const char *)text.p, text.len, &report, &test_err), 0);
    ri_report_deinit(&report);
    ri_buf_deinit(&text);
}

/* Trees of several leaves, retained bases, retracted facts, long values, segments, and transactions in the cell. */
static void make(const char *url)
{
    rille_conn *conn = open_new(url);
    transact(conn, "[{:db/ident :n :db/valueType :db.type/string :db/unique :db.unique/identity}"
                   " {:db/ident :s :db/valueType :db.type/string :db/index true}"
                   " {:db/ident :long :db/valueType :db.type/string}"
                   " {:db/ident :up :db/valueType :db.type/ref}]");
    for (unsigned round = 0; round < ROUNDS; round++) {
        add_round(conn, round, round == 4 ? 2200 : ENTITIES);
        if (round % 2 == 0) {
            REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        }
    }
    add_round(conn, ROUNDS, 5);
    ri_conn_release(conn);
}

static rille_conn *reopen(const char *url, const char *prefix, size_t cache_bytes)
{
    char place[512];
    rille_conn *conn = NULL;
    ri_conn_options options = { .cache_bytes = cache_bytes };
    (void)snprintf(place, sizeof place, "%s%s", prefix, url);
    REQUIRE_RC(ri_conn_open(place, &options, &conn, &test_err), 0);
    return conn;
}

static void check_at_each_point(const char *url, const char *prefix)
{
    rille_conn *conn = reopen(url, prefix, 65536);
    ri_verify_report whole;
    REQUIRE_RC(ri_conn_verify(conn, &whole, &test_err), 0);
    CHECK(whole.nodes > 40 && whole.blobs > 20 && whole.transactions == ROUNDS + 3);
    verify_steps never = { .at = UINT32_MAX - 1 };
    CHECK_RC(verify_in_steps(conn, &never), 0);
    CHECK(memcmp(&never.report, &whole, sizeof whole) == 0);
    CHECK_EQ_INT(never.pauses, 0);
    verify_steps each = { .at = UINT32_MAX };
    CHECK_RC(verify_in_steps(conn, &each), 0);
    CHECK(memcmp(&each.report, &whole, sizeof whole) == 0);
    CHECK(each.units <= never.units); /* nothing is done twice */
    CHECK(each.pauses > 2 * whole.nodes);
    CHECK(each.work_max <= RI_TASK_WORK);
    printf("  %s%.9s: %u pauses, %u fetches\n", prefix, url, each.pauses, each.fetches);
    for (uint32_t at = 0; at < each.pauses; at += each.pauses / POINTS_MAX + 1) {
        verify_steps one = { .at = at };
        CHECK_RC(verify_in_steps(conn, &one), 0);
        CHECK(memcmp(&one.report, &whole, sizeof whole) == 0);
        CHECK_EQ_INT(one.pauses, 1);
        verify_steps left = { .at = at, .leaves = true };
        CHECK_RC(verify_in_steps(conn, &left), RILLE_AGAIN);
    }
    ri_conn_release(conn);
}

TEST(verify__pauses_anywhere)
{
    test_dir dir = test_dir_fast();
    test_text file = test_join("file:", dir.path, "/db");
    const char *urls[] = { "mem:verify-steps", file.text };
    for (size_t i = 0; i < 2; i++) {
        make(urls[i]);
        rille_conn *conn = reopen(urls[i], "", 0);
        check_at_each_point(urls[i], "");
        check_at_each_point(urls[i], "deferred:");
        ri_conn_release(conn);
        CHECK_RC(ri_database_drop(urls[i], &test_err), 0);
    }
    test_dir_remove(dir.path);
}

/* Each read has to wait in turn, with all others answered at once; nothing is left of what began before. */
TEST(verify__waits_at_any_read)
{
    static const char text[] = "[{:db/doc \"a\"} {:db/doc \"b\"}]";
    rille_conn *conn = open_new("mem:verify-waits");
    transact(conn, text);
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
    verify_steps never = { .at = UINT32_MAX - 1 };
    REQUIRE_RC(verify_in_steps(conn, &never), 0);
    uint32_t waited = 0;
    uint32_t reads = 1;
    for (uint32_t n = 1; n <= reads; n++) {
        verify_steps one = { .at = UINT32_MAX - 1, .waits = n };
        CHECK_RC(verify_in_steps(conn, &one), 0);
        CHECK(memcmp(&one.report, &never.report, sizeof one.report) == 0);
        waited += one.fetches;
        reads = n == 1 ? one.reads : reads;
    }
    CHECK(reads > 10 && waited > 10);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:verify-waits", &test_err), 0);
}

/* Each allocation fails in turn, where it pauses after each unit. */
static int verify_without_memory(void)
{
    static const char text[] = "[{:db/doc \"a\"} {:db/doc \"b\"}]";
    ri_conn_options options = { .create = true, .flush = RI_FLUSH_MANUAL };
    rille_conn *conn = NULL;
    verify_steps each = { .at = UINT32_MAX };
    ri_report report = { 0 };
    int rc = ri_conn_open("mem:", &options, &conn, &test_err);
    if (rc == 0) {
        rc = ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err);
        ri_report_deinit(&report);
    }
    rc = rc == 0 ? ri_conn_flush(conn, &test_err) : rc;
    rc = rc == 0 ? verify_in_steps(conn, &each) : rc;
    ri_conn_release(conn);
    return rc;
}

TEST(verify__copes_without_memory)
{
    TEST_FAULT_SWEEP(verify_without_memory());
}

TEST_MAIN(verify__pauses_anywhere, verify__waits_at_any_read, verify__copes_without_memory)
