/* SPDX-License-Identifier: MIT
 *
 * What survives: a writer killed at any instant, two writers at full speed. Real processes, real stores.
 *
 * RILLE_KILL_ROUNDS sets the number of kills a backend (100).
 */
#include "harness.h"

#include "../src/core/db/conn.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECENT = 200 };

static const char schema_text[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                                  " {:db/ident :n/text :db/valueType :db.type/string}]";

static int transact(rille_conn *conn, const char *text, rille_err *err)
{
    ri_report report;
    int rc = ri_conn_transact_edn(conn, text, strlen(text), &report, err);
    if (rc == 0) {
        ri_report_deinit(&report);
    }
    return rc;
}

static rille_conn *open_conn(const char *url)
{
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

/* In a child: commits keys from `next` on, some of them long, with a flush now and then, and others beside the commits,
 * and writes each acknowledged key to the pipe. */
static void write_until_killed(const char *url, uint64_t next, int pipe_fd)
{
    rille_err err;
    rille_conn *conn = NULL;
    ri_conn_options options = { .novelty_min = 60 };
    if (ri_conn_open(url, &options, &conn, &err) != 0) {
        (void)fprintf(stderr, "child: %s\n", err.message);
        _exit(3);
    }
    static char text[8192];
    for (uint64_t key = next;; key++) {
        int pad = key % 11 == 0 ? 3000 : (int)(key % 200);
        int len = snprintf(text, sizeof text, "[{:n/key %llu :n/text \"%0*d\"}]", (unsigned long long)key, pad + 1, 7);
        ri_report report;
        int rc = ri_conn_transact_edn(conn, text, (size_t)len, &report, &err);
        if (rc == 0) {
            ri_report_deinit(&report);
            rc = key % 37 == 0 ? ri_conn_flush(conn, &err) : 0;
        }
        if (rc != 0) {
            (void)fprintf(stderr, "child: %s\n", err.message);
            _exit(4);
        }
        if (write(pipe_fd, &key, sizeof key) != (ssize_t)sizeof key) {
            _exit(5);
        }
    }
}

static bool has_key(rille_db *db, uint64_t key)
{
    ri_value v = ri_long((int64_t)key);
    ri_io io = { 0 };
    uint64_t e = 0;
    CHECK_RC(ri_db_lookup(db, ri_schema_attr(db->schema, "n/key", 5), &v, &io, &e, &test_err), 0);
    ri_io_deinit(&io);
    return e != 0;
}

/* Every key up to `acked` is there (of those before the last RECENT only when deep); at most one more is. Gives the
 * highest key. */
static uint64_t check_keys(const char *url, uint64_t acked, bool deep)
{
    rille_conn *conn = open_conn(url);
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    uint64_t first = deep || acked <= RECENT ? 1 : acked - RECENT;
    for (uint64_t key = first; key <= acked; key++) {
        bool there = has_key(db, key);
        CHECK(there);
        if (!there) {
            printf("  key %llu is lost; acknowledged %llu, basis %llu, base %llu, %llu in the tail\n",
                   (unsigned long long)key, (unsigned long long)acked, (unsigned long long)(db->t - RI_TX_BASE),
                   (unsigned long long)(db->base->t - RI_TX_BASE), (unsigned long long)db->novelty.datom_count);
        }
    }
    uint64_t last = acked + (has_key(db, acked + 1) ? 1 : 0);
    CHECK(!has_key(db, last + 1));
    if (deep) {
        ri_verify_report report;
        CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    }
    ri_db_release(db);
    ri_conn_release(conn);
    return last;
}

/* One child, killed after some microseconds; *acked moves to the last key it acknowledged. In half of the rounds the
 * time counts from its first commit, so that slow builds get that far, too. */
static void kill_round(const char *url, test_rng *rng, uint64_t nap_us_max, uint64_t last, uint64_t *acked)
{
    enum { FIRST_COMMIT_MS_MAX = 600000 };
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        write_until_killed(url, last + 1, fds[1]);
    }
    (void)close(fds[1]);
    if (test_random_below(rng, 2) == 0) {
        struct pollfd first = { .fd = fds[0], .events = POLLIN };
        CHECK(poll(&first, 1, FIRST_COMMIT_MS_MAX) == 1);
    }
    struct timespec nap = { 0, (long)(1000 + test_random_below(rng, nap_us_max)) * 1000 };
    (void)nanosleep(&nap, NULL);
    CHECK(kill(child, SIGKILL) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    uint64_t key;
    while (read(fds[0], &key, sizeof key) == (ssize_t)sizeof key) {
        *acked = key;
    }
    (void)close(fds[0]);
}

static void kill_loop(const char *scheme, uint64_t nap_us_max)
{
    char dir[] = "/tmp/rille_crash_XXXXXX";
    char url[128];
    test_rng rng = test_rng_new();
    const char *env = getenv("RILLE_KILL_ROUNDS");
    unsigned long rounds = env != NULL ? strtoul(env, NULL, 10) : 100;
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "%s:%s/db", scheme, dir);
    rille_conn *conn = open_conn(url);
    CHECK_RC(transact(conn, schema_text, &test_err), 0);
    ri_conn_release(conn);
    uint64_t last = 0;
    for (unsigned long round = 0; round < rounds; round++) {
        uint64_t acked = last;
        kill_round(url, &rng, nap_us_max, last, &acked);
        last = check_keys(url, acked, round % 20 == 19 || round + 1 == rounds);
    }
    printf("  %s: %lu kills, %llu commits\n", scheme, rounds, (unsigned long long)last);
    CHECK(last > rounds / 4); /* the writers did write */
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    (void)rmdir(dir);
}

TEST(crash__loses_no_acknowledged_commit_in_files)
{
    kill_loop("file", 30000);
}

TEST(crash__loses_no_acknowledged_commit_in_lmdb)
{
    kill_loop("lmdb", 80000);
}

/* ---- two writers ---- */

enum { WRITERS = 2, COMMITS = 250 };

static void write_keys(const char *url, uint64_t writer)
{
    rille_err err;
    rille_conn *conn = NULL;
    ri_conn_options options = { 0 };
    char text[128];
    if (ri_conn_open(url, &options, &conn, &err) != 0) {
        (void)fprintf(stderr, "writer: %s\n", err.message);
        _exit(3);
    }
    for (uint64_t i = 0; i < COMMITS; i++) {
        (void)snprintf(text, sizeof text, "[{:n/key %llu :n/text \"w%llu\"}]",
                       (unsigned long long)(i * WRITERS + writer + 1), (unsigned long long)writer);
        if (transact(conn, text, &err) != 0) {
            (void)fprintf(stderr, "writer: %s\n", err.message);
            _exit(4);
        }
    }
    ri_conn_release(conn);
    _exit(0);
}

static void race(const char *scheme)
{
    char dir[] = "/tmp/rille_race_XXXXXX";
    char url[128];
    pid_t children[WRITERS];
    REQUIRE(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "%s:%s/db", scheme, dir);
    rille_conn *conn = open_conn(url);
    CHECK_RC(transact(conn, schema_text, &test_err), 0);
    ri_conn_release(conn);
    for (uint64_t w = 0; w < WRITERS; w++) {
        children[w] = fork();
        REQUIRE(children[w] >= 0);
        if (children[w] == 0) {
            write_keys(url, w);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status = 0;
        CHECK(waitpid(children[w], &status, 0) == children[w]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK_EQ_INT(check_keys(url, WRITERS * COMMITS, true), WRITERS * COMMITS);
    conn = open_conn(url);
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    CHECK_EQ_INT(db->t, RI_TX_BASE + 1 + WRITERS * COMMITS); /* each commit has a t of its own, none was skipped */
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
    (void)rmdir(dir);
}

TEST(race__two_processes_lose_nothing_in_files)
{
    race("file");
}

TEST(race__two_processes_lose_nothing_in_lmdb)
{
    race("lmdb");
}

TEST_MAIN(crash__loses_no_acknowledged_commit_in_files, crash__loses_no_acknowledged_commit_in_lmdb,
          race__two_processes_lose_nothing_in_files, race__two_processes_lose_nothing_in_lmdb)
