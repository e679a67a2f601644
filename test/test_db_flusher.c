/* SPDX-License-Identifier: MIT
 *
 * Flushes that begin by themselves: what they cost a commit, who does them, and what is left when they fail or die.
 */
#include "test_db_forge.h"
#include "test_store_support.h"

#include "../src/core/db/conn_own.h"
#include "../src/core/db/flush.h"
#include "../src/core/store/task.h"

#include <sys/wait.h>

enum { LIMIT = 2000, FACTS = 100 };

static const char schema_text[] = "[{:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                  " {:db/ident :n :db/valueType :db.type/string}]";

static rille_conn *open_at(const char *url, ri_flush_mode mode, uint32_t limit)
{
    ri_conn_options options = { .create = true, .flush = mode, .novelty_min = limit };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

static rille_conn *open_with(const char *url, ri_flush_mode mode)
{
    return open_at(url, mode, LIMIT);
}

/* Entities first .. first + count, two facts each. */
static int try_commit(rille_conn *conn, int first, int count, ri_report *report, rille_err *err)
{
    ri_buf text = { 0 };
    char item[140];
    ri_buf_put_text(&text, "[");
    for (int i = 0; i < count; i++) {
        (void)snprintf(item, sizeof item, "{:k %d :n \"name %040d\"}", first + i, (first + i) * 7 % 1000);
        ri_buf_put_text(&text, item);
    }
    ri_buf_put_text(&text, "]");
    int rc = ri_conn_transact_edn(conn, (const char *)text.p, text.len, report, err);
    ri_buf_deinit(&text);
    return rc;
}

static void commit(rille_conn *conn, int first, int count)
{
    ri_report report;
    REQUIRE_RC(try_commit(conn, first, count, &report, &test_err), 0);
    ri_report_deinit(&report);
}

/* :k has every number below `count`, the trees are good, and this much is not flushed. */
static uint64_t check_all(const char *url, int count)
{
    rille_conn *conn = open_with(url, RI_FLUSH_MANUAL);
    rille_db *db = ri_conn_seen_db(conn);
    const ri_attr *attr = ri_schema_attr(db->schema, "k", 1);
    ri_bound from = ri_bound_a(attr->id, false);
    ri_bound to = ri_bound_a(attr->id, true);
    uint64_t found = 0;
    ri_io io = { 0 };
    ri_verify_report report;
    int rc;
    RI_FETCHING(rc, &io, ri_db_count(db, RI_AVET, &from, &to, &io, &found, &test_err), &test_err)
    CHECK_RC(rc, 0);
    CHECK_EQ_INT(found, count);
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    uint64_t left = db->novelty.datom_count;
    ri_io_deinit(&io);
    ri_db_release(db);
    ri_conn_release(conn);
    return left;
}

/* Commits until one claims; gives how many datoms were not flushed then, and the next number of an entity. */
static uint64_t commit_until_claim(rille_conn *conn, int *next)
{
    for (int i = 0; i < 200; i++) {
        ri_report report;
        REQUIRE_RC(try_commit(conn, *next, FACTS, &report, &test_err), 0);
        bool claimed = report.tx.block->claims_flush;
        uint64_t count = report.before->novelty.datom_count + report.tx.block->count;
        *next += FACTS;
        ri_report_deinit(&report);
        if (claimed) {
            return count;
        }
    }
    return 0;
}

static uint64_t base_of(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    uint64_t t = db->base->t;
    ri_db_release(db);
    return t;
}

/* ---- what a commit pays ---- */

static _Thread_local uint64_t allocated;

static void *count_alloc(void *context, void *block, size_t size)
{
    allocated += size;
    return test_alloc(context, block, size);
}

/* Bytes that the committing thread allocates for a commit, at most and on average. */
static void measure(const char *url, uint64_t *most, uint64_t *mean)
{
    enum { COMMITS = 300, LIMIT_HERE = 20000 };
    rille_conn *conn = open_at(url, RI_FLUSH_AUTO, LIMIT_HERE);
    transact(conn, schema_text);
    *most = *mean = 0;
    for (int i = 0; i < COMMITS; i++) {
        uint64_t before = allocated;
        commit(conn, i * FACTS, FACTS);
        uint64_t own = allocated - before;
        *most = own > *most ? own : *most;
        *mean += own / COMMITS;
    }
    ri_conn_release(conn);
    CHECK(check_all(url, COMMITS * FACTS) < LIMIT_HERE + LIMIT_HERE / 2); /* there were flushes */
    CHECK_RC(ri_database_drop(url, &test_err), 0);
}

/* A spill takes three times as much as the mean, a flush fifty times. */
TEST(flusher__costs_a_commit_little)
{
    uint64_t most;
    uint64_t mean;
    rille_set_alloc_hook(count_alloc, NULL);
    measure("mem:flusher", &most, &mean);
    rille_set_alloc_hook(test_alloc, NULL);
    printf("  bytes that a commit allocates: mean %llu, most %llu\n", (unsigned long long)mean,
           (unsigned long long)most);
#ifdef RILLE_SINGLE_THREAD /* arrays of all changes, and a writer's buffer that doubles, are allocated at once */
    CHECK(most < 3500000);
#else
    CHECK(most < 5 * mean);
#endif
}

/* Without a thread, commits take a flush further: each by no more than three times its share of the steps. */
static void measure_slices(const char *url, int facts, int commits)
{
    rille_conn *conn = open_with(url, RI_FLUSH_SLICED);
    uint64_t most = 0;
    int flushes = 0;
    uint64_t from = 0; /* steps before the flush */
    transact(conn, schema_text);
    for (int i = 0; i < commits; i++) {
        uint64_t before = conn->flusher.steps;
        uint64_t base_t = base_of(conn);
        commit(conn, i * facts, facts);
        uint64_t own = conn->flusher.steps - before;
        most = own > most ? own : most;
        if (base_of(conn) != base_t) {
            uint64_t shares = (conn->flusher.steps - from) * (2 * (uint64_t)facts + 1); /* LIMIT of them */
            if (flushes++ > 0) { /* the first one's price was guessed */
                CHECK(most * LIMIT <= 3 * shares + LIMIT);
            }
            from = conn->flusher.steps;
            most = 0;
        }
    }
    ri_conn_release(conn);
    CHECK(flushes > 3);
    CHECK(check_all(url, commits * facts) < LIMIT);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
}

TEST(flusher__spreads_the_price_without_threads)
{
    measure_slices("mem:slices", FACTS, 150);
    measure_slices("mem:slices", 7, 1500);
    measure_slices("deferred:mem:slices", FACTS, 60);
}

/* No step is long, however much is to be flushed, and whatever it does to the trees. */
TEST(flusher__takes_short_steps)
{
    enum { ENTITIES = 20000, BYTES_MAX = 200000 };
    rille_conn *conn = open_at("mem:steps", RI_FLUSH_MANUAL, 1000000);
    transact(conn, schema_text);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ENTITIES; i += 500) {
            commit(conn, i, 500);
            char text[100];
            (void)snprintf(text, sizeof text, "[{:k %d :n \"%d\"}]", i, round); /* retracts */
            transact(conn, text);
        }
        rille_db *db = ri_conn_seen_db(conn);
        ri_writer *writer;
        ri_flush *flush;
        REQUIRE_RC(ri_writer_new(db->store, &writer, &test_err), 0);
        REQUIRE_RC(ri_flush_new(db, NULL, writer, &flush, &test_err), 0);
        uint64_t written = 0;
        int steps = 0;
        int rc = RILLE_AGAIN;
        for (; rc == RILLE_AGAIN; steps++) {
            rc = ri_flush_step(flush, &test_err);
            CHECK(ri_writer_bytes(writer) - written <= BYTES_MAX);
            written = ri_writer_bytes(writer);
        }
        CHECK_RC(rc, 0);
        CHECK(steps > (int)(7 * db->novelty.datom_count / 4096));
        ri_flush_release(flush);
        ri_writer_release(writer);
        ri_db_release(db);
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    }
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:steps", &test_err), 0);
}

/* A task waits for its own calls only: its commit flushes itself at the limit, and it ends what others began. */
TEST(flusher__is_part_of_a_task)
{
    rille_conn *conn = open_with("deferred:mem:task", RI_FLUSH_AUTO);
    transact(conn, schema_text);
    int next = 0;
    for (int i = 0; i < 30; i++) {
        ri_task task = { 0 };
        ri_tx *tx = NULL;
        ri_report report = { 0 };
        ri_arena arena = { 0 };
        ri_form form;
        ri_commit *kept = NULL;
        ri_buf text = { 0 };
        char item[60];
        ri_buf_put_text(&text, "[");
        for (int k = 0; k < FACTS; k++) {
            (void)snprintf(item, sizeof item, "{:k %d :n \"t\"}", next++);
            ri_buf_put_text(&text, item);
        }
        ri_buf_put_text(&text, "]");
        REQUIRE_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &form, &test_err), 0);
        REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
        REQUIRE_RC(ri_tx_fill_edn(tx, &form, &test_err), 0);
        int rc = RILLE_NEED;
        for (int steps = 0; rc == RILLE_NEED && steps < 500; steps++) {
            ri_task *outer = ri_task_enter(&task);
            rc = ri_conn_commit_step(conn, tx, &kept, &report, &test_err);
            rc = ri_task_leave(&task, outer, rc, &test_err);
            if (rc == RILLE_NEED) {
                CHECK_RC(ri_task_fetch(&task, &test_err), 0);
            }
        }
        REQUIRE_RC(rc, 0);
        CHECK(!report.tx.block->claims_flush && report.after->novelty.datom_count <= LIMIT);
        ri_report_deinit(&report);
        ri_tx_release(tx);
        ri_arena_deinit(&arena);
        ri_buf_deinit(&text);
        ri_task_deinit(&task);
    }
    (void)commit_until_claim(conn, &next);
    ri_task task = { 0 };
    ri_flush_run *run = NULL;
    int rc = RILLE_NEED;
    for (int steps = 0; (rc == RILLE_NEED || rc == RILLE_AGAIN) && steps < 5000; steps++) {
        ri_task *outer = ri_task_enter(&task);
        rc = ri_task_leave(&task, outer, ri_conn_flush_step(conn, &run, &test_err), &test_err);
        if (rc == RILLE_NEED) {
            CHECK_RC(ri_task_fetch(&task, &test_err), 0);
        }
    }
    CHECK_RC(rc, 0);
    ri_flush_run_release(run);
    ri_task_deinit(&task);
    ri_conn_release(conn);
    CHECK_EQ_INT(check_all("deferred:mem:task", next), 0);
    CHECK_RC(ri_database_drop("deferred:mem:task", &test_err), 0);
}

/* A commit on a value whose base was changed by a flush is no conflict. */
TEST(flusher__does_not_make_a_transaction_begin_again)
{
    rille_conn *conn = open_with("mem:again", RI_FLUSH_MANUAL);
    transact(conn, schema_text);
    ri_tx *tx;
    ri_report report;
    ri_arena arena = { 0 };
    ri_form form;
    REQUIRE_RC(ri_edn_read(&arena, "[{:k 1}]", 8, &form, &test_err), 0);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    REQUIRE_RC(ri_tx_fill_edn(tx, &form, &test_err), 0);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    CHECK_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
    ri_report_deinit(&report);
    ri_tx_release(tx);
    ri_arena_deinit(&arena);
    ri_conn_release(conn);
    (void)check_all("mem:again", 1);
    CHECK_RC(ri_database_drop("mem:again", &test_err), 0);
}

/* ---- how much is left ---- */

static void flush_never(const char *url, int commits)
{
    rille_conn *conn = open_with(url, RI_FLUSH_MANUAL);
    transact(conn, schema_text);
    for (int i = 0; i < commits; i++) {
        ri_report report;
        REQUIRE_RC(try_commit(conn, i * FACTS, FACTS, &report, &test_err), 0);
        CHECK(!report.tx.block->claims_flush);
        CHECK(report.after->novelty.datom_count <= 3 * LIMIT);
        ri_report_deinit(&report);
    }
    ri_conn_release(conn);
}

/* At the most that a head may have, a commit flushes by itself. */
TEST(flusher__leaves_it_to_the_host)
{
    flush_never("mem:manual", 25);
    CHECK(check_all("mem:manual", 25 * FACTS) > 2 * LIMIT);
    CHECK_RC(ri_database_drop("mem:manual", &test_err), 0);
    flush_never("mem:manual", 40);
    CHECK(check_all("mem:manual", 40 * FACTS) < 3 * LIMIT);
    CHECK_RC(ri_database_drop("mem:manual", &test_err), 0);
}

/* ---- claims ---- */

/* A flush that fails fails no commit. Others leave it to who claimed until half a limit more was committed; also those
 * that open the head after a spill. Then one of them claims. */
TEST(flusher__takes_over_what_is_not_done)
{
    rille_conn *keeper = open_with("mem:claims", RI_FLUSH_MANUAL);
    transact(keeper, schema_text);
    rille_conn *failing = open_with("faulty:io/put/0;mem:claims", RI_FLUSH_AUTO);
    int next = 0;
    uint64_t first = commit_until_claim(failing, &next);
    CHECK(first >= LIMIT && first < LIMIT + 4 * FACTS);
    rille_conn *other = open_with("faulty:;mem:claims", RI_FLUSH_AUTO);
    rille_db *db = newest(other);
    CHECK(db->base->t == 0 && db->base->segment_count > 0);
    ri_db_release(db);
    uint64_t second = commit_until_claim(other, &next);
    CHECK(second >= first + LIMIT / 2 && second < first + LIMIT / 2 + 4 * FACTS);
    ri_conn_release(failing);
    ri_conn_release(other); /* ends it */
    CHECK(check_all("mem:claims", next) < LIMIT);
    ri_conn_release(keeper);
    CHECK_RC(ri_database_drop("mem:claims", &test_err), 0);
}

#ifndef __SANITIZE_THREAD__ /* which does not follow forks */

/* In a directory, with the schema and nothing else. */
static void make_database(const test_dir *dir, char *url, size_t size)
{
    (void)snprintf(url, size, "file:%s/db", dir->path);
    rille_conn *conn = open_with(url, RI_FLUSH_AUTO);
    transact(conn, schema_text);
    ri_conn_release(conn);
}

/* Whoever commits, and however little, there is never more than a flush behind: closing waits for it. */
TEST(flusher__is_not_left_to_nobody)
{
    enum { PROGRAMS = 60 };
    test_dir dir = test_dir_new();
    char url[300];
    make_database(&dir, url, sizeof url);
    rille_conn *conn;
    for (int i = 0; i < PROGRAMS; i++) {
        conn = open_with(url, RI_FLUSH_AUTO);
        rille_db *db = ri_conn_seen_db(conn);
        CHECK(db->novelty.datom_count < LIMIT);
        ri_db_release(db);
        commit(conn, i * FACTS, FACTS);
        ri_conn_release(conn);
    }
    CHECK(check_all(url, PROGRAMS * FACTS) < LIMIT);
    test_dir_remove(dir.path);
}

/* Processes that claim and die at once: nothing is lost, and in sum they get the flushes done. */
TEST(flusher__survives_who_claims)
{
    enum { ROUNDS = 40 };
    test_dir dir = test_dir_new();
    char url[300];
    make_database(&dir, url, sizeof url);
    rille_conn *conn;
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = fork();
        if (child == 0) {
            ri_report report;
            conn = open_with(url, RI_FLUSH_AUTO);
            _exit(try_commit(conn, i * FACTS, FACTS, &report, NULL) == 0 ? 0 : 1); /* whatever its thread does */
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    for (int i = 0; i < LIMIT / FACTS; i++) {
        conn = open_with(url, RI_FLUSH_AUTO);
        commit(conn, (ROUNDS + i) * FACTS, FACTS);
        ri_conn_release(conn);
    }
    CHECK(check_all(url, ROUNDS * FACTS + LIMIT) < LIMIT + LIMIT / 2 + 4 * FACTS);
    test_dir_remove(dir.path);
}

/* Several processes at full speed: all is there, and the flushes are fewer than if each did all. */
TEST(flusher__is_shared_by_processes)
{
    enum { PROCESSES = 4, COMMITS = 60 };
    test_dir dir = test_dir_new();
    char url[300];
    pid_t pids[PROCESSES];
    (void)snprintf(url, sizeof url, "file:%s/db", dir.path);
    rille_conn *conn = open_with(url, RI_FLUSH_AUTO);
    transact(conn, schema_text);
    ri_conn_release(conn);
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            conn = open_with(url, RI_FLUSH_AUTO);
            int rc = 0;
            for (int i = 0; rc == 0 && i < COMMITS; i++) {
                ri_report report;
                rc = try_commit(conn, (p * COMMITS + i) * FACTS, FACTS, &report, NULL);
                ri_report_deinit(&report);
            }
            ri_conn_release(conn);
            _exit(rc == 0 ? 0 : 1);
        }
        REQUIRE(pids[p] > 0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status = -1;
        CHECK(waitpid(pids[p], &status, 0) == pids[p] && status == 0);
    }
    CHECK(check_all(url, PROCESSES * COMMITS * FACTS) <= 3 * LIMIT);
    test_dir_remove(dir.path);
}

/* ---- fork ---- */

/* A child that is forked while a flush is under way can use the connection: commit, flush, close. */
TEST(flusher__stays_with_its_process)
{
    test_dir dir = test_dir_new();
    char url[300];
    (void)snprintf(url, sizeof url, "file:%s/db", dir.path);
    rille_conn *conn = open_with(url, RI_FLUSH_AUTO);
    transact(conn, schema_text);
    int next = 0;
    for (int i = 0; i < 6; i++) {
        CHECK(commit_until_claim(conn, &next) > 0);
        pid_t child = fork();
        if (child == 0) {
            rille_err err;
            ri_report report;
            int rc = try_commit(conn, next, FACTS, &report, &err);
            rc = rc == 0 ? ri_conn_flush(conn, &err) : rc;
            ri_report_deinit(&report);
            ri_conn_release(conn);
            _exit(rc == 0 ? 0 : 1);
        }
        next += FACTS;
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    ri_conn_release(conn);
    CHECK(check_all(url, next) < LIMIT);
    test_dir_remove(dir.path);
}

#endif

#ifdef __SANITIZE_THREAD__
TEST_MAIN(flusher__is_part_of_a_task, flusher__takes_short_steps, flusher__costs_a_commit_little,
          flusher__spreads_the_price_without_threads, flusher__does_not_make_a_transaction_begin_again,
          flusher__leaves_it_to_the_host, flusher__takes_over_what_is_not_done)
#else
TEST_MAIN(flusher__is_part_of_a_task, flusher__takes_short_steps, flusher__spreads_the_price_without_threads,
          flusher__costs_a_commit_little, flusher__spreads_the_price_without_threads,
          flusher__does_not_make_a_transaction_begin_again, flusher__is_not_left_to_nobody,
          flusher__leaves_it_to_the_host, flusher__takes_over_what_is_not_done, flusher__survives_who_claims,
          flusher__is_shared_by_processes, flusher__stays_with_its_process)
#endif
