/* SPDX-License-Identifier: MIT
 *
 * Power failures (test_power.h) at every point of a history, and of one that another process goes on with when the
 * first was killed at any point. Whatever is in storage then, the database is there with all that was acknowledged, or
 * it is not there as none is promised; in both cases it can be opened to write, and dropped.
 */
#if defined(__linux__)
#include "test_power_db.h"

/* What is promised at a point of the record: phase + PHASES * keys. */
typedef enum phase {
    NONE,     /* there is no database */
    MAKING,   /* or an empty one */
    LIVE,     /* one with so many keys or more */
    DROPPING, /* that, or none */
    REMAKING, /* that, or none, or a new one */
    PHASES
} phase;

static void promise(phase now, uint64_t keys)
{
    test_power_mark(now + PHASES * keys);
}

/* The next commit, acknowledged. */
static void commit_next(rille_conn *conn, unsigned count, unsigned width)
{
    if (!has_schema(conn)) {
        CHECK_RC(transact(conn, schema_text), 0);
    }
    uint64_t key = next_key(conn);
    CHECK_RC(commit_key(conn, key, count, width), 0);
    promise(LIVE, key);
}

static void drop_it(const char *root, uint64_t keys)
{
    promise(DROPPING, keys);
    test_err.message[0] = '\0';
    int rc = ri_database_drop(url_of(root).text, &test_err);
    CHECK(rc == 0 || rc == RILLE_NOTFOUND);
    promise(NONE, 0);
}

/* ---- what must hold ---- */

static bool fails(const char *what, uint64_t mark)
{
    printf("  %s; promised %llu, %llu keys: %s\n", what, (unsigned long long)(mark % PHASES),
           (unsigned long long)(mark / PHASES), test_err.message);
    return false;
}

static bool check_writable(const char *root, uint64_t mark)
{
    rille_conn *conn = NULL;
    ri_verify_report report;
    test_err.message[0] = '\0';
    if (open_conn(root, true, &conn) != 0) {
        return fails("cannot be opened to write", mark);
    }
    bool good = has_schema(conn) || transact(conn, schema_text) == 0;
    uint64_t key = next_key(conn);
    good = good && commit_key(conn, key, 1, 10) == 0;
    ri_conn_release(conn);
    if (!good || open_conn(root, false, &conn) != 0) {
        return fails("cannot be written to", mark);
    }
    good = next_key(conn) == key + 1 && ri_conn_verify(conn, &report, &test_err) == 0;
    ri_conn_release(conn);
    return good || fails("loses a new commit", mark);
}

static bool check_droppable(const char *root, uint64_t mark, bool there)
{
    rille_conn *conn = NULL;
    test_err.message[0] = '\0';
    int rc = ri_database_drop(url_of(root).text, &test_err);
    if (rc != 0 && (there || rc != RILLE_NOTFOUND)) {
        return fails("cannot be dropped", mark);
    }
    rc = open_conn(root, false, &conn);
    ri_conn_release(conn);
    return rc == RILLE_NOTFOUND || fails("is there after it was dropped", mark);
}

static bool check_state(const char *root, size_t point, void *context)
{
    unsigned *looks = context;
    rille_conn *conn = NULL;
    uint64_t mark = test_power_marked(point, MAKING);
    phase now = (phase)(mark % PHASES);
    test_err.message[0] = '\0';
    int rc = open_conn(root, false, &conn);
    if (rc != 0 && (rc != RILLE_NOTFOUND || now == LIVE)) {
        return fails("cannot be opened", mark);
    }
    if (rc == 0) {
        ri_verify_report report;
        uint64_t keys = next_key(conn) - 1;
        bool good =
            now != NONE && (keys >= mark / PHASES || now == REMAKING) && ri_conn_verify(conn, &report, &test_err) == 0;
        ri_conn_release(conn);
        if (!good) {
            return fails("is not as it was", mark);
        }
    }
    bool drop_first = (*looks)++ % 2 == 0;
    return (!drop_first || check_droppable(root, mark, rc == 0)) && check_writable(root, mark) &&
           check_droppable(root, mark, true);
}

/* ---- histories ---- */

/* A commit that finds no room when it is synced, nor for a new head: it is erased. */
static void fail_to_commit(rille_conn *conn)
{
    power.full = true;
    CHECK_RC(commit_key(conn, 1000, 1, 1000), RILLE_FULL);
    CHECK(power.no_files);
    power.no_files = false;
}

/* Small commits and large ones (more than a sector; a long value; a segment of its own), one that fails, and a flush. */
static void write_history(const char *root)
{
    rille_conn *conn = NULL;
    REQUIRE_RC(open_conn(root, true, &conn), 0);
    promise(LIVE, 0);
    commit_next(conn, 1, 10);
    commit_next(conn, 2, 700);
    commit_next(conn, 1, 1500);
    commit_next(conn, 1, 10);
    fail_to_commit(conn);
    commit_next(conn, 1, 10);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    commit_next(conn, 1, 900);
    commit_next(conn, 40, 900);
    commit_next(conn, 1, 10);
    ri_conn_release(conn);
}

/* A database is made, dropped and made again. */
static void make_and_drop(const char *root)
{
    for (int i = 0; i < 2; i++) {
        rille_conn *conn = NULL;
        promise(MAKING, 0);
        REQUIRE_RC(open_conn(root, true, &conn), 0);
        promise(LIVE, 0);
        commit_next(conn, 1, 1500);
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        commit_next(conn, 1, 10);
        ri_conn_release(conn);
        if (i == 0) {
            drop_it(root, 2);
        }
    }
}

/* What the second process does in a way of its own; `mark`: what was promised before. */
static void go_on(const char *root, unsigned way, uint64_t mark)
{
    rille_conn *conn = NULL;
    phase now = (phase)(mark % PHASES);
    if (way == 3) {
        drop_it(root, mark / PHASES);
        return;
    }
    if (way != 0 && (now == NONE || now == DROPPING)) {
        promise(now == NONE ? MAKING : REMAKING, mark / PHASES);
    }
    test_err.message[0] = '\0';
    int rc = open_conn(root, way != 0, &conn);
    CHECK(rc == 0 || (way == 0 && rc == RILLE_NOTFOUND && now != LIVE));
    if (rc != 0) {
        return;
    }
    if (way == 1) {
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    }
    commit_next(conn, 1, way == 0 ? 10 : way == 1 ? 1500 : 700);
    if (way == 2) {
        commit_next(conn, 40, 900);
    }
    ri_conn_release(conn);
}

static void fail_everywhere(const char *what, void (*history)(const char *root), size_t states_max)
{
    unsigned looks = 0;
    power_story story = { .what = what, .history = history, .check = check_state, .context = &looks };
    power_fail_everywhere(&story, states_max);
}

static void kill_everywhere(const char *what, void (*history)(const char *root), size_t states_max, size_t step)
{
    unsigned looks = 0;
    power_story story = { what, history, go_on, 4, check_state, &looks, MAKING };
    power_kill_everywhere(&story, states_max, step);
}

TEST(power__a_history_of_commits_loses_nothing)
{
    fail_everywhere("commits", write_history, 500);
}

TEST(power__a_second_writer_builds_on_nothing_that_may_be_lost)
{
    kill_everywhere("commits, a writer killed, and another one", write_history, 8, 1);
}

TEST(power__a_database_is_made_and_dropped_whole)
{
    fail_everywhere("making and dropping", make_and_drop, 500);
}

TEST(power__another_goes_on_making_and_dropping)
{
    kill_everywhere("making and dropping, a process killed, and another one", make_and_drop, 8, 1);
}

/* Without a word where this build has no LMDB. LMDB's own commits are in the record, too. */
static bool choose_lmdb(void)
{
    rille_conn *conn = NULL;
    test_dir dir = test_dir_fast();
    scheme = "lmdb:";
    int rc = open_conn(dir.path, true, &conn);
    ri_conn_release(conn);
    test_dir_remove(dir.path);
    return rc == 0;
}

TEST(power__lmdb_is_made_and_dropped_whole)
{
    if (choose_lmdb()) {
        fail_everywhere("lmdb: making and dropping", make_and_drop, 8);
    }
    scheme = "file:";
}

TEST(power__another_goes_on_making_and_dropping_lmdb)
{
    if (choose_lmdb()) {
        kill_everywhere("lmdb: making and dropping, a process killed, and another one", make_and_drop, 2, 11);
    }
    scheme = "file:";
}

TEST_MAIN(power__a_history_of_commits_loses_nothing, power__a_second_writer_builds_on_nothing_that_may_be_lost,
          power__a_database_is_made_and_dropped_whole, power__another_goes_on_making_and_dropping,
          power__lmdb_is_made_and_dropped_whole, power__another_goes_on_making_and_dropping_lmdb)
#else
#include "harness.h"

TEST(power__is_tested_on_linux)
{
}

TEST_MAIN(power__is_tested_on_linux)
#endif
