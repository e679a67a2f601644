/* SPDX-License-Identifier: MIT
 *
 * Power failures (test_power.h) at every point of flushes beside commits: claims, packs put by slices, the swap of the
 * head to the new base, and what is committed meanwhile; with one flush, and with two at once. And of what another
 * process does after the one that flushed was killed at any point. Whatever is in storage then, all that was
 * acknowledged is there, nothing needs repair, and a flush is done by who comes next.
 */
#if defined(__linux__)
#include "../src/core/db/conn_own.h"
#include "../src/core/db/flush.h"
#include "../src/core/store/writer_own.h"
#include "test_power_db.h"

enum { LIMIT = 36, PACK_BYTES = 400, COMMITS_MAX = 3 * LIMIT };

static rille_conn *open_with(const char *root, ri_flush_mode mode)
{
    ri_conn_options options = { .create = true, .flush = mode, .novelty_min = LIMIT };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url_of(root).text, &options, &conn, &test_err), 0);
    return conn;
}

/* Up to a mark of 0 nothing is promised, and up to n + 1 the keys 1 .. n. Others may have committed before. */
static void commit_next(rille_conn *conn, unsigned count, unsigned width)
{
    REQUIRE_RC(ri_conn_refresh(conn, &test_err), 0);
    if (!has_schema(conn)) {
        REQUIRE_RC(transact(conn, schema_text), 0);
    }
    uint64_t key = next_key(conn);
    REQUIRE_RC(commit_key(conn, key, count, width), 0);
    test_power_mark(key + 1);
}

static uint64_t base_of(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    uint64_t t = db->base->t;
    ri_db_release(db);
    return t;
}

/* ---- what must hold ---- */

static bool fails(const char *what, uint64_t mark)
{
    printf("  %s; promised: %llu: %s\n", what, (unsigned long long)mark, test_err.message);
    return false;
}

/* Somebody commits as before: the flush that was not done is done. */
static bool check_goes_on(const char *root, uint64_t mark)
{
    ri_verify_report report;
    rille_conn *conn = open_with(root, RI_FLUSH_SLICED);
    uint64_t base_t = base_of(conn);
    uint64_t key = next_key(conn);
    bool good = has_schema(conn) || transact(conn, schema_text) == 0;
    unsigned commits = 0;
    for (; good && commits < COMMITS_MAX && base_of(conn) == base_t; commits++) {
        good = commit_key(conn, key++, 1, 10) == 0;
    }
    ri_conn_release(conn);
    conn = open_with(root, RI_FLUSH_MANUAL);
    good = good && base_of(conn) > base_t && next_key(conn) == key && ri_conn_verify(conn, &report, &test_err) == 0;
    ri_conn_release(conn);
    return good || fails("does not go on", mark);
}

static bool check_state(const char *root, size_t point, void *context)
{
    uint64_t mark = test_power_marked(point, 0);
    ri_verify_report report;
    rille_conn *conn = NULL;
    (void)context;
    test_err.message[0] = '\0';
    int rc = open_conn(root, false, &conn);
    if (rc != 0) {
        return (rc == RILLE_NOTFOUND && mark == 0) || fails("cannot be opened", mark);
    }
    uint64_t keys = next_key(conn) - 1;
    /* One commit may be there that was not acknowledged, and one of a process that was killed. */
    uint64_t promised = mark > 0 ? mark - 1 : 0;
    bool good = keys >= promised && keys <= promised + 2 && ri_conn_verify(conn, &report, &test_err) == 0;
    ri_conn_release(conn);
    return good ? check_goes_on(root, mark) : fails("is not as it was", mark);
}

/* ---- flushes that begin by themselves ---- */

/* Commits claim, take the flush further, spill meanwhile, and install it. */
static void commit_in_slices(const char *root)
{
    rille_conn *conn = open_with(root, RI_FLUSH_SLICED);
    unsigned flushes = 0;
    for (unsigned i = 0; i < COMMITS_MAX && flushes < 2; i++) {
        uint64_t base_t = base_of(conn);
        bool spills = conn->flusher.busy && flushes == 0; /* the first commit during the first flush */
        commit_next(conn, spills ? 5 : 1, spills ? 8000 : 10);
        flushes += base_of(conn) != base_t;
    }
    CHECK_EQ_INT(flushes, 2);
    commit_next(conn, 1, 1500);
    ri_conn_release(conn);
}

static bool second_wins;

/* The first one claims, and commits no more until its claim has expired and the second one flushes, too. */
static void commit_in_slices_of_two(const char *root)
{
    rille_conn *conns[2] = { open_with(root, RI_FLUSH_SLICED), open_with(root, RI_FLUSH_SLICED) };
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 0; n < COMMITS_MAX && !conns[i]->flusher.busy; n++) {
            commit_next(conns[i], 1, 10);
        }
    }
    CHECK(conns[0]->flusher.busy && conns[1]->flusher.busy);
    for (int i = 0; i < 2; i++) {
        rille_conn *conn = conns[second_wins ? 1 - i : i];
        for (unsigned n = 0; n < COMMITS_MAX && conn->flusher.busy; n++) {
            commit_next(conn, 1, 10);
        }
        CHECK(!conn->flusher.busy && base_of(conn) > 0);
    }
    ri_conn_release(conns[0]);
    ri_conn_release(conns[1]);
}

/* ---- flushes step by step, with a pack for each leaf ---- */

typedef struct flush_run {
    rille_db *db;
    ri_writer *writer;
    ri_flush *flush; /* NULL: it is built */
    ri_base *base;
} flush_run;

static flush_run begin_run(rille_conn *conn)
{
    flush_run run = { 0 };
    REQUIRE_RC(ri_conn_refresh(conn, &test_err), 0);
    run.db = ri_conn_seen_db(conn);
    REQUIRE_RC(ri_writer_new(run.db->store, &run.writer, &test_err), 0);
    run.writer->pack_bytes_max = run.writer->pending_bytes_max = PACK_BYTES;
    REQUIRE_RC(ri_flush_new(run.db, NULL, run.writer, &run.flush, &test_err), 0);
    return run;
}

/* False: all its steps are done. */
static bool step_run(flush_run *run)
{
    if (run->flush == NULL) {
        return false;
    }
    int rc = ri_flush_step(run->flush, &test_err);
    if (rc != RILLE_AGAIN) {
        REQUIRE_RC(rc, 0);
        run->base = ri_flush_take_base(run->flush);
        ri_flush_release(run->flush);
        run->flush = NULL;
        do {
            rc = ri_writer_store(run->writer, &test_err);
        } while (rc == RILLE_AGAIN);
        REQUIRE_RC(rc, 0);
    }
    return true;
}

static void end_run(rille_conn *conn, flush_run *run)
{
    struct ri_bundle *bundle = NULL;
    CHECK_RC(ri_conn_install(conn, run->base, run->db->schema, run->writer, &bundle, &test_err), 0);
    ri_base_release(run->base);
    ri_writer_release(run->writer);
    ri_db_release(run->db);
}

/* Two flushes of different values, each of a connection, a step of either at a time; a third connection commits. */
static void flush_by_two(const char *root)
{
    rille_conn *conns[2] = { open_with(root, RI_FLUSH_MANUAL), open_with(root, RI_FLUSH_MANUAL) };
    rille_conn *writer = open_with(root, RI_FLUSH_MANUAL);
    commit_next(writer, 3, 200);
    for (unsigned round = 0; round < 2; round++) {
        commit_next(writer, 3, 200);
        flush_run runs[2] = { begin_run(conns[0]), { 0 } };
        commit_next(writer, 1, 10);
        runs[1] = begin_run(conns[1]);
        bool more = true;
        for (unsigned n = 0; more; n++) {
            more = step_run(&runs[0]);
            more = step_run(&runs[1]) || more;
            if (n % 8 == 5) {
                commit_next(writer, n == 13 ? 5 : 1, n == 13 ? 8000 : 10);
            }
        }
        int first = round == 0 ? 0 : 1;
        end_run(conns[first], &runs[first]);
        commit_next(writer, 1, 10);
        end_run(conns[1 - first], &runs[1 - first]);
        commit_next(writer, 1, 10);
    }
    CHECK(base_of(writer) > 0);
    ri_conn_release(conns[0]);
    ri_conn_release(conns[1]);
    ri_conn_release(writer);
}

/* ---- another process ---- */

static void go_on(const char *root, unsigned way, uint64_t mark)
{
    (void)mark;
    if (way == 1) { /* with a flush that another one is installed during */
        flush_by_two(root);
        return;
    }
    rille_conn *conn = open_with(root, way == 0 ? RI_FLUSH_SLICED : RI_FLUSH_MANUAL);
    uint64_t base_t = base_of(conn);
    if (way == 2) {
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    }
    for (unsigned n = 0; way == 0 && n < COMMITS_MAX && base_of(conn) == base_t; n++) {
        commit_next(conn, 1, 10);
    }
    CHECK(way != 0 || base_of(conn) > base_t);
    commit_next(conn, 1, 10);
    ri_conn_release(conn);
}

enum { WAYS = 3 };

static void fail_everywhere(const char *what, void (*history)(const char *root), size_t states_max)
{
    power_story story = { .what = what, .history = history, .check = check_state };
    power_fail_everywhere(&story, states_max);
}

static void kill_everywhere(const char *what, void (*history)(const char *root), size_t states_max, size_t step)
{
    power_story story = { what, history, go_on, WAYS, check_state, NULL, 0 };
    power_kill_everywhere(&story, states_max, step);
}

static bool choose(const char *name)
{
    test_dir dir = test_dir_fast();
    rille_conn *conn = NULL;
    scheme = name;
    int rc = open_conn(dir.path, true, &conn);
    ri_conn_release(conn);
    test_dir_remove(dir.path);
    return rc == 0;
}

/* Without a word where this build has no LMDB. */
static void fail_in(const char *name, size_t states_max)
{
    if (choose(name)) {
        printf("  %s\n", name);
        fail_everywhere("a flush in slices", commit_in_slices, states_max);
        second_wins = false;
        fail_everywhere("two at once, the first one ends first", commit_in_slices_of_two, states_max);
        second_wins = true;
        fail_everywhere("two at once, the second one ends first", commit_in_slices_of_two, states_max);
        fail_everywhere("two at once, step by step", flush_by_two, states_max);
    }
    scheme = "file:";
}

static void kill_in(const char *name, size_t states_max, size_t step)
{
    if (choose(name)) {
        printf("  %s\n", name);
        kill_everywhere("a flush in slices, killed, and another process", commit_in_slices, states_max, step);
        kill_everywhere("two at once, killed, and another process", commit_in_slices_of_two, states_max, step);
        kill_everywhere("two step by step, killed, and another process", flush_by_two, states_max, step);
    }
    scheme = "file:";
}

TEST(power__a_flush_beside_commits_loses_nothing_in_files)
{
    fail_in("file:", 3);
}

TEST(power__a_flush_beside_commits_loses_nothing_in_lmdb)
{
    fail_in("lmdb:", 1);
}

TEST(power__another_process_goes_on_with_a_flush_in_files)
{
    kill_in("file:", 1, 151);
}

TEST(power__another_process_goes_on_with_a_flush_in_lmdb)
{
    kill_in("lmdb:", 1, 701);
}

TEST_MAIN(power__a_flush_beside_commits_loses_nothing_in_files, power__a_flush_beside_commits_loses_nothing_in_lmdb,
          power__another_process_goes_on_with_a_flush_in_files, power__another_process_goes_on_with_a_flush_in_lmdb)
#else
#include "harness.h"

TEST(power__is_tested_on_linux)
{
}

TEST_MAIN(power__is_tested_on_linux)
#endif
