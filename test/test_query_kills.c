/* SPDX-License-Identifier: MIT
 *
 * Processes that are killed (SIGKILL) before and after each call that changes storage, during commits, flushes in
 * slices and on threads, and operations in steps with other commits between their parts. Another process, which had the
 * database open all the time, finds all that was acknowledged and nothing else but one commit, goes on, and does the
 * flush.
 *
 * The same with a disk that is full, or fails, at each call that needs room: once, or until the first error that the
 * process is given. It is told so, and goes on with the same connections.
 *
 * RILLE_KILL_POINTS: how many kills or failures of each kind, spread evenly over its calls (20); "all": at each.
 */
#if defined(__linux__) && !defined(__SANITIZE_THREAD__) /* which does not follow forks */
#include "../src/core/db/conn_own.h"
#include "rille/rille.h"
#include "test_power_record.h"

#include <limits.h>
#include <sys/wait.h>

enum { LIMIT = 60, FACTS = 8, STEPS_MAX = 100000 };

static const char schema_text[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                                  " {:db/ident :n/text :db/valueType :db.type/string"
                                  "  :db/cardinality :db.cardinality/many}]";

static const char *prefix; /* of URLs that the killed process uses */
static const char *scheme;

static int open_url(const char *before, const char *root, ri_flush_mode mode, rille_conn **out)
{
    test_text url = test_join(before, scheme, root);
    url = test_join(url.text, "/db", "");
    ri_conn_options options = { .create = true, .flush = mode, .novelty_min = LIMIT };
    return ri_conn_open(url.text, &options, out, &test_err);
}

/* Key n, and texts of a width. */
static size_t commit_text(char *text, size_t size, uint64_t key, int width)
{
    int len = snprintf(text, size, "[{:n/key %llu :n/text [", (unsigned long long)key);
    for (int i = 0; i < FACTS - 2; i++) {
        len += snprintf(text + len, size - (size_t)len, "\"%d %0*llu\" ", i, width, (unsigned long long)key);
    }
    return (size_t)(len + snprintf(text + len, size - (size_t)len, "]}]"));
}

/* Every third spills: it is longer than a tail may be. Every fourth has long values. */
static int width_of(uint64_t key)
{
    return key % 3 == 0 ? 7000 : key % 4 == 0 ? 1500 : 20;
}

static int commit_key(rille_conn *conn, uint64_t key)
{
    static char text[64 * 1024];
    ri_report report;
    int rc = ri_conn_transact_edn(conn, text, commit_text(text, sizeof text, key, width_of(key)), &report, &test_err);
    ri_report_deinit(&report);
    return rc;
}

typedef enum trouble { DIES, IS_FULL, FAILS } trouble;

/* ---- the process that is killed; a result that is not 0 is a failure ---- */

typedef struct victim {
    const char *root;
    uint64_t next; /* key */
    int acks;      /* a pipe, to which acknowledged keys go */
} victim;

/* The next key may be there: its commit failed, perhaps when it was only to say so. */
static bool is_unsure;

static int unless_there(int rc)
{
    bool there = is_unsure && rc == RILLE_TX_UNIQUE;
    is_unsure = false;
    return there ? 0 : rc;
}

/* What failed because there was no room is done again when there is. An error that is not about that ends it. */
static bool may_repeat(int rc)
{
    bool may = power.fails_to != 0 && (rc == RILLE_FULL || rc == RILLE_IO) && test_err.message[0] != '\0';
    power.fails_to = may ? 0 : power.fails_to;
    is_unsure = is_unsure || may;
    return may;
}

/* Opens, commits, or whatever `call` does, once more where that may help. */
#define TWICE(rc, call)       \
    do {                      \
        (rc) = (call);        \
        if (may_repeat(rc)) { \
            (rc) = (call);    \
        }                     \
    } while (0)

static int open_twice(const char *root, ri_flush_mode mode, rille_conn **out)
{
    int rc;
    TWICE(rc, open_url(prefix, root, mode, out));
    return rc;
}

static int commit_twice(rille_conn *conn, uint64_t key)
{
    int rc;
    TWICE(rc, commit_key(conn, key));
    return unless_there(rc);
}

static int acknowledge(victim *v)
{
    ssize_t n = write(v->acks, &v->next, sizeof v->next);
    v->next++;
    return n == (ssize_t)sizeof v->next ? 0 : RILLE_IO;
}

static int commit_some(victim *v, rille_conn *conn, int count)
{
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = commit_twice(conn, v->next);
        rc = rc == 0 ? acknowledge(v) : rc;
    }
    return rc;
}

/* In `mode`, with enough commits for a flush where it makes them. */
static int commit_in(victim *v, ri_flush_mode mode, int count)
{
    rille_conn *conn;
    int rc = open_twice(v->root, mode, &conn);
    rc = rc == 0 ? commit_some(v, conn, count) : rc;
    ri_conn_release(conn);
    return rc;
}

static int run_commits(victim *v)
{
    return commit_in(v, RI_FLUSH_MANUAL, 6);
}

static int run_slices(victim *v)
{
    return commit_in(v, RI_FLUSH_SLICED, 14);
}

static int run_thread(victim *v)
{
    return commit_in(v, RI_FLUSH_AUTO, 14);
}

/* A commit that goes to the trees itself, and flushes. */
static int run_flushes(victim *v)
{
    rille_conn *conn;
    int rc = open_twice(v->root, RI_FLUSH_MANUAL, &conn);
    for (int i = 0; i < 2 && rc == 0; i++) {
        TWICE(rc, ri_conn_flush(conn, &test_err));
        rc = rc == 0 ? commit_some(v, conn, 2) : rc;
    }
    ri_conn_release(conn);
    return rc;
}

/* To its end, with a commit on another connection after each part, 20 at most; NULL: without. */
static int drive(victim *v, rille_steps *steps, rille_conn *other)
{
    int rc = RILLE_AGAIN;
    for (int n = 0; n < STEPS_MAX && (rc == RILLE_AGAIN || rc == RILLE_NEED); n++) {
        rc = rille_step(steps, 1, &test_err);
        int fetched = rc == RILLE_NEED ? rille_fetch(steps, &test_err) : 0;
        fetched = fetched == 0 && other != NULL && n < 20 ? commit_some(v, other, 1) : fetched;
        rc = fetched == 0 ? rc : fetched;
    }
    rille_steps_close(steps);
    return rc == RILLE_DONE ? 0 : rc == RILLE_AGAIN || rc == RILLE_NEED ? RILLE_TIMEOUT : rc;
}

static int run_stepped_flush(victim *v)
{
    rille_conn *conn = NULL;
    rille_conn *other = NULL;
    rille_steps *steps;
    int rc = open_twice(v->root, RI_FLUSH_MANUAL, &conn);
    rc = rc == 0 ? open_twice(v->root, RI_FLUSH_SLICED, &other) : rc;
    for (int tries = 0; rc == 0 && tries < 2; tries++) {
        rc = rille_start_flush(conn, &steps, &test_err);
        rc = rc == 0 ? drive(v, steps, other) : rc;
        if (!may_repeat(rc)) {
            break;
        }
        rc = 0;
    }
    ri_conn_release(conn);
    ri_conn_release(other);
    return rc;
}

static int run_stepped_commits(victim *v)
{
    static char text[64 * 1024];
    rille_conn *conn = NULL;
    rille_steps *steps;
    int rc = open_twice(v->root, RI_FLUSH_SLICED, &conn);
    for (int i = 0; i < 12 && rc == 0; i++) {
        size_t len = commit_text(text, sizeof text, v->next, width_of(v->next));
        rc = rille_start_transact(conn, text, len, &steps, &test_err);
        rc = rc == 0 ? drive(v, steps, NULL) : rc;
        bool again = may_repeat(rc);
        rc = again ? 0 : unless_there(rc);
        rc = rc == 0 && !again ? acknowledge(v) : rc;
    }
    ri_conn_release(conn);
    return rc;
}

/* ---- the other one ---- */

static bool has_key(rille_db *db, uint64_t key)
{
    rille_value value = { .type = RILLE_TYPE_LONG, .u.i = (int64_t)key };
    uint64_t e = 0;
    CHECK_RC(rille_db_lookup(db, "n/key", &value, &e, &test_err), 0);
    return e != 0;
}

/* The highest key; all up to `acked` are there, and one more at most. */
static uint64_t check_keys(rille_conn *conn, uint64_t acked)
{
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    uint64_t last = 0;
    while (has_key(db, last + 1)) {
        last++;
    }
    CHECK(last == acked || last == acked + 1);
    CHECK(!has_key(db, last + 2));
    ri_db_release(db);
    return last;
}

static uint64_t base_of(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    uint64_t t = db->base->t;
    ri_db_release(db);
    return t;
}

static void go_on(rille_conn *conn, const char *root, uint64_t acked)
{
    static const char text[] = "[{:db/doc \"another one\"}]";
    ri_verify_report report;
    ri_report done;
    uint64_t last = check_keys(conn, acked);
    /* A commit of LMDB's whose process died before it told the readers is there from the next commit on. */
    REQUIRE_RC(ri_conn_transact_edn(conn, text, sizeof text - 1, &done, &test_err), 0);
    ri_report_deinit(&done);
    CHECK(check_keys(conn, acked) >= last);
    last = check_keys(conn, acked);
    uint64_t base_t = base_of(conn);
    for (int i = 0; i < 3 * LIMIT / FACTS && base_of(conn) == base_t; i++) {
        REQUIRE_RC(commit_key(conn, ++last), 0);
    }
    CHECK(base_of(conn) > base_t);
    CHECK_EQ_INT(check_keys(conn, last), last);
    rille_conn *fresh;
    REQUIRE_RC(open_url("", root, RI_FLUSH_MANUAL, &fresh), 0);
    CHECK_EQ_INT(check_keys(fresh, last), last);
    CHECK_RC(ri_conn_verify(fresh, &report, &test_err), 0);
    ri_conn_release(fresh);
}

/* ---- kills ---- */

/* The child: begins when it is told to, and tells its calls at the end. */
static void live(int (*run)(victim *v), victim *v, int start, trouble what, unsigned long at)
{
    char byte;
    if (read(start, &byte, 1) != 1) {
        _exit(3);
    }
    power.killed = what == DIES ? at : 0;
    power.failure = what == FAILS ? EIO : ENOSPC;
    power.fails_from = at;
    power.fails_to = what == DIES ? 0 : what == IS_FULL ? ULONG_MAX : at;
    atomic_store(&power.passes, 0);
    atomic_store(&power.needing_room, 0);
    test_err.message[0] = '\0';
    int rc = run(v);
    if (what != DIES && rc == RILLE_IO &&
        strstr(test_err.message, "close all connections to it and reconnect") != NULL) {
        rc = run(v); /* with others; LMDB wants it so */
    }
    if (rc != 0) {
        (void)fprintf(stderr, "child: %s %s (%d at %lu)\n", rille_code_name(rc), test_err.message, (int)what, at);
        _exit(4);
    }
    uint64_t calls = UINT64_MAX - (what == DIES ? atomic_load(&power.passes) : atomic_load(&power.needing_room));
    _exit(write(v->acks, &calls, sizeof calls) == (ssize_t)sizeof calls ? 0 : 5);
}

static void make_database(const char *root)
{
    rille_conn *conn;
    ri_report report;
    REQUIRE_RC(open_url("", root, RI_FLUSH_MANUAL, &conn), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema_text, sizeof schema_text - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    for (uint64_t key = 1; key <= 2; key++) {
        REQUIRE_RC(commit_key(conn, key), 0);
    }
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
    REQUIRE_RC(commit_key(conn, 3), 0);
    ri_conn_release(conn);
}

/* One run, in trouble at call number `at`, or not at all when there are fewer. Gives how many there were; 0: killed. */
static unsigned long one_run(int (*run)(victim *v), trouble what, unsigned long at)
{
    test_dir dir = test_dir_fast();
    int acks[2];
    int start[2];
    make_database(dir.path);
    REQUIRE(pipe(acks) == 0 && pipe(start) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        victim v = { dir.path, 4, acks[1] };
        live(run, &v, start[0], what, at);
    }
    (void)close(acks[1]);
    (void)close(start[0]);
    rille_conn *conn; /* opened before the other one writes */
    REQUIRE_RC(open_url("", dir.path, RI_FLUSH_SLICED, &conn), 0);
    CHECK(write(start[1], "", 1) == 1);
    uint64_t acked = 3;
    uint64_t passes = 0;
    for (uint64_t number; read(acks[0], &number, sizeof number) == (ssize_t)sizeof number;) {
        passes = number > UINT64_MAX / 2 ? UINT64_MAX - number : 0;
        acked = passes == 0 ? number : acked;
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(passes > 0 ? status == 0 : what == DIES && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(acks[0]);
    (void)close(start[1]);
    int failures = atomic_load(&test_state.failures);
    go_on(conn, dir.path, acked);
    if (atomic_load(&test_state.failures) > failures) {
        printf("  trouble %d at %lu\n", (int)what, at);
    }
    ri_conn_release(conn);
    test_dir_remove(dir.path);
    return (unsigned long)passes;
}

static void trouble_everywhere(const char *title, int (*run)(victim *v), trouble what)
{
    static const char *const names[] = { "killed", "full disk", "failure" };
    const char *env = getenv("RILLE_KILL_POINTS");
    bool all = env != NULL && strcmp(env, "all") == 0;
    unsigned long points = env != NULL && !all ? strtoul(env, NULL, 10) : what == DIES ? 20 : 10;
    unsigned long calls = one_run(run, what, 0);
    unsigned long done = 0;
    REQUIRE(calls > 0);
    unsigned long step = all || points >= calls ? 1 : calls / points | 1; /* odd: before calls and after them */
    for (unsigned long at = 1; at <= calls; at += step) {
        unsigned long left = one_run(run, what, at);
        done += what != DIES || left == 0;
    }
    printf("  %s%s %s: %s at %lu of %lu calls\n", prefix, scheme, title, names[what], done, calls);
    CHECK(done > 0);
}

static void trouble_all(const char *name, trouble from, trouble to)
{
    test_dir dir = test_dir_fast();
    rille_conn *conn = NULL;
    scheme = name;
    int rc = open_url("", dir.path, RI_FLUSH_MANUAL, &conn); /* not every build has LMDB */
    ri_conn_release(conn);
    test_dir_remove(dir.path);
    for (int deferred = 0; deferred < 2 && rc == 0; deferred++) {
        prefix = deferred == 1 ? "deferred:" : "";
        for (unsigned what = from; what <= to; what++) {
            if (deferred == 0) {
                trouble_everywhere("commits", run_commits, (trouble)what);
                trouble_everywhere("flush in slices", run_slices, (trouble)what);
                trouble_everywhere("flush on a thread", run_thread, (trouble)what);
                trouble_everywhere("flush", run_flushes, (trouble)what);
            }
            trouble_everywhere("stepped flush, commits between its parts", run_stepped_flush, (trouble)what);
            trouble_everywhere("stepped commits", run_stepped_commits, (trouble)what);
        }
    }
}

TEST(kills__at_each_call_lose_nothing_in_files)
{
    trouble_all("file:", DIES, DIES);
}

TEST(kills__at_each_call_lose_nothing_in_lmdb)
{
    trouble_all("lmdb:", DIES, DIES);
}

TEST(failures__of_each_call_lose_nothing_in_files)
{
    trouble_all("file:", IS_FULL, FAILS);
}

TEST(failures__of_each_call_lose_nothing_in_lmdb)
{
    trouble_all("lmdb:", IS_FULL, FAILS);
}

TEST_MAIN(kills__at_each_call_lose_nothing_in_files, kills__at_each_call_lose_nothing_in_lmdb,
          failures__of_each_call_lose_nothing_in_files, failures__of_each_call_lose_nothing_in_lmdb)
#else
#include "harness.h"

TEST(kills__are_tested_on_linux)
{
}

TEST_MAIN(kills__are_tested_on_linux)
#endif
