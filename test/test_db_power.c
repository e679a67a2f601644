/* SPDX-License-Identifier: MIT
 *
 * Power failures (test_power.h) at every point of a history, and of one that another process goes on with when the
 * first was killed at any point. Whatever is in storage then, the database is there with all that was acknowledged, or
 * it is not there as none is promised; in both cases it can be opened to write, and dropped.
 */
#include "../src/core/db/conn.h"
#if defined(__linux__)
#include "test_power.h"

static const char *scheme = "file:";

static test_text url_of(const char *root)
{
    return test_join(scheme, root, "/db");
}

static int transact(rille_conn *conn, const char *text)
{
    ri_report report;
    int rc = ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err);
    if (rc == 0) {
        ri_report_deinit(&report);
    }
    return rc;
}

static int open_conn(const char *root, bool create, rille_conn **out)
{
    ri_conn_options options = { .create = create };
    return ri_conn_open(url_of(root).text, &options, out, &test_err);
}

static const char schema_text[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                                  " {:db/ident :n/text :db/valueType :db.type/string"
                                  "  :db/cardinality :db.cardinality/many}]";

/* A commit of one key with `count` texts of `width` characters. */
static int commit_key(rille_conn *conn, uint64_t key, unsigned count, unsigned width)
{
    static char text[64 * 1024];
    test_rng rng = { key };
    int len = snprintf(text, sizeof text, "[{:n/key %llu :n/text [", (unsigned long long)key);
    for (unsigned i = 0; i < count; i++) {
        text[len++] = '"';
        for (unsigned j = 0; j < width; j++) {
            text[len++] = (char)('a' + test_random_below(&rng, 26));
        }
        text[len++] = '"';
        text[len++] = ' ';
    }
    (void)snprintf(text + len, sizeof text - (size_t)len, "]}]");
    return transact(conn, text);
}

static bool has_key(rille_db *db, uint64_t key)
{
    const ri_attr *attr = ri_schema_attr(db->schema, "n/key", 5);
    ri_value v = ri_long((int64_t)key);
    ri_io io = { 0 };
    uint64_t e = 0;
    int rc = attr == NULL ? 0 : ri_db_lookup(db, attr, &v, &io, &e, &test_err);
    ri_io_deinit(&io);
    return rc == 0 && e != 0;
}

/* The first key that is not there. */
static uint64_t next_key(rille_conn *conn)
{
    uint64_t key = 1;
    rille_db *db = ri_conn_seen_db(conn);
    while (has_key(db, key)) {
        key++;
    }
    ri_db_release(db);
    return key;
}

static bool has_schema(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    bool found = ri_schema_attr(db->schema, "n/key", 5) != NULL;
    ri_db_release(db);
    return found;
}

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

/* ---- all states of one ---- */

enum { WAYS = 4 };

typedef struct trial {
    test_dir base;
    test_text first;
    test_text second;
    test_text state;
    unsigned looks;
    test_power power;
} trial;

static void trial_init(trial *t, size_t states_max)
{
    t->base = test_dir_fast();
    t->first = test_join(t->base.path, "/first", "");
    t->second = test_join(t->base.path, "/second", "");
    t->state = test_join(t->base.path, "/state", "");
    t->looks = 0;
    t->power = test_power_new(states_max, t->state.text);
    t->power.check = check_state;
    t->power.context = &t->looks;
    REQUIRE(mkdir(t->first.text, 0755) == 0);
}

static void trial_deinit(trial *t, const char *what)
{
    test_power_free(&t->power, what);
    test_dir_remove(t->base.path);
}

static void fail_everywhere(const char *what, void (*history)(const char *root), size_t states_max)
{
    trial t;
    trial_init(&t, states_max);
    test_power_begin(t.first.text);
    history(t.first.text);
    test_power_stop();
    for (size_t point = 0; point <= power.count; point++) {
        test_power_look(&t.power, point);
    }
    trial_deinit(&t, what);
}

/* The first process is killed at each point, or each `step`-th; the second goes on in one way by turns. With
 * RILLE_CRASH_STATES: at each point, in all ways. */
static void kill_everywhere(const char *what, void (*history)(const char *root), size_t states_max, size_t step)
{
    trial t;
    bool all_ways = getenv("RILLE_CRASH_STATES") != NULL;
    trial_init(&t, states_max);
    test_power_begin(t.first.text);
    history(t.first.text);
    test_power_stop();
    size_t all = power.count;
    power_op *record = malloc(all * sizeof *record);
    REQUIRE(record != NULL);
    memcpy(record, power.ops, all * sizeof *record);
    for (size_t point = 0; point <= all; point += all_ways ? 1 : step) {
        for (unsigned way = 0; way < (all_ways ? WAYS : 1U); way++) {
            memcpy(power.ops, record, point * sizeof *record);
            REQUIRE(mkdir(t.second.text, 0755) == 0);
            test_power_resume(point, t.second.text);
            go_on(t.second.text, all_ways ? way : (unsigned)(point / step) % WAYS, test_power_marked(point, MAKING));
            test_power_stop();
            for (size_t at = point + 1; at <= power.count; at++) {
                test_power_look(&t.power, at);
            }
            test_dir_remove(t.second.text);
        }
    }
    free(record);
    trial_deinit(&t, what);
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
