/* SPDX-License-Identifier: MIT
 *
 * A flush in a task on storage that answers later: it goes on after each round of reads and writes, and leaves the trees
 * that a flush leaves that waits.
 */
#include "test_db_forge.h"
#include "test_store_support.h"

#include "../src/core/db/conn_own.h"
#include "../src/core/db/flush.h"
#include "../src/core/store/task.h"

enum { ENTITIES = 6000, CHANGED = 300, STEPS_MAX = 20000 };

static const char schema_text[] = "[[:db/add :db/current-tx :db/txInstant #inst \"2020-01-01\"]"
                                  " {:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                  " {:db/ident :n :db/valueType :db.type/string}]";

static rille_conn *open_at(const char *url, size_t cache_bytes, ri_flush_mode mode)
{
    ri_conn_options options = { .create = true, .cache_bytes = cache_bytes, .flush = mode, .novelty_min = 2000 };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

/* Entities from, from + step ... below `end` get a name. */
static void name_all(rille_conn *conn, int from, int end, int step, const char *name)
{
    ri_buf text = { 0 };
    ri_buf_put_text(&text, "[[:db/add :db/current-tx :db/txInstant #inst \"2020-01-02\"]");
    for (int i = from; i < end; i += step) {
        char map[80];
        (void)snprintf(map, sizeof map, "{:k %d :n \"%s %d\"}", i, name, i);
        ri_buf_put_text(&text, map);
    }
    ri_buf_put_text(&text, "]");
    ri_buf_put(&text, "", 1);
    transact(conn, (const char *)text.p);
    ri_buf_deinit(&text);
}

/* A base, and changes in all of its leaves that are not flushed. */
static void fill(const char *url)
{
    rille_conn *conn = open_at(url, 0, RI_FLUSH_MANUAL);
    transact(conn, schema_text);
    name_all(conn, 0, ENTITIES, 1, "one");
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    name_all(conn, 0, ENTITIES, ENTITIES / CHANGED, "two");
    ri_conn_release(conn);
}

/* Flushes in steps. Adds to *rounds how often something was to be read or written. */
static int flush_in_steps(rille_conn *conn, uint64_t *rounds, rille_err *err)
{
    ri_task task = { 0 };
    ri_flush_run *run = NULL;
    int rc = RILLE_AGAIN;
    for (int steps = 0; (rc == RILLE_AGAIN || rc == RILLE_NEED) && steps < STEPS_MAX; steps++) {
        ri_task *outer = ri_task_enter(&task);
        rc = ri_task_leave(&task, outer, ri_conn_flush_step(conn, &run, err), err);
        if (rc == RILLE_NEED) {
            int fetched = ri_task_fetch(&task, err);
            rc = fetched != 0 ? fetched : rc;
            *rounds += 1;
        } else if (rc == RILLE_AGAIN) {
            ri_task_forget(&task);
        }
    }
    ri_flush_run_release(run);
    ri_task_deinit(&task);
    return rc;
}

static uint64_t allocated;

static void *count_alloc(void *context, void *block, size_t size)
{
    allocated += size;
    return test_alloc(context, block, size);
}

static void check_same_trees(const char *url, const char *other_url)
{
    rille_conn *conn[2] = { open_at(url, 0, RI_FLUSH_MANUAL), open_at(other_url, 0, RI_FLUSH_MANUAL) };
    rille_db *db[2] = { ri_conn_seen_db(conn[0]), ri_conn_seen_db(conn[1]) };
    ri_verify_report report;
    CHECK(db[0]->novelty.last == NULL && db[1]->novelty.last == NULL);
    for (int o = 0; o <= RI_RET; o++) {
        CHECK_EQ_MEM(db[0]->base->tree[o].root.addr, RI_HASH_SIZE, db[1]->base->tree[o].root.addr, RI_HASH_SIZE);
    }
    CHECK_RC(ri_conn_verify(conn[0], &report, &test_err), 0);
    for (int i = 0; i < 2; i++) {
        ri_db_release(db[i]);
        ri_conn_release(conn[i]);
    }
}

/* Bytes that are allocated count the work: a flush that began again in each round took six times as much. */
static void check_work(const char *plain, const char *deferred, size_t cache_bytes)
{
    uint64_t rounds = 0;
    uint64_t before;
    uint64_t blocking;
    test_text other = test_join(plain, "-blocking", "");
    fill(other.text);
    fill(plain);
    rille_conn *conn = open_at(other.text, cache_bytes, RI_FLUSH_MANUAL);
    rille_set_alloc_hook(count_alloc, NULL);
    before = allocated;
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    blocking = allocated - before;
    ri_store_stats waited;
    ri_store_read_stats(ri_conn_store(conn), &waited);
    ri_conn_release(conn);
    conn = open_at(deferred, cache_bytes, RI_FLUSH_MANUAL);
    before = allocated;
    CHECK_RC(flush_in_steps(conn, &rounds, &test_err), 0);
    uint64_t stepped = allocated - before;
    rille_set_alloc_hook(test_alloc, NULL);
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    printf("  %s, cache %zu: %llu rounds; reads %llu, blocking %llu; bytes allocated %llu, blocking %llu\n", deferred,
           cache_bytes, (unsigned long long)rounds, (unsigned long long)stats.get_ranges,
           (unsigned long long)waited.get_ranges, (unsigned long long)stepped, (unsigned long long)blocking);
    CHECK(rounds > 5);
    CHECK(stepped < 3 * blocking);
    CHECK(stats.get_ranges <= waited.get_ranges + 16);
    CHECK(stats.puts <= waited.puts);
    ri_conn_release(conn);
    check_same_trees(plain, other.text);
    CHECK_RC(ri_database_drop(other.text, &test_err), 0);
    CHECK_RC(ri_database_drop(plain, &test_err), 0);
}

TEST(flush_task__goes_on_after_each_round)
{
    test_dir dir = test_dir_fast();
    test_text file = test_join("file:", dir.path, "/db");
    test_text deferred = test_join("deferred:", file.text, "");
    check_work("mem:flush_task", "deferred:mem:flush_task", 0);
    check_work("mem:flush_task", "deferred:mem:flush_task", 1);
    check_work(file.text, deferred.text, 0);
    check_work(file.text, deferred.text, 1);
    test_dir_remove(dir.path);
}

/* Opening does not fail here; the flush does, and the next one ends it. */
static int flush_without_memory(const char *url)
{
    long long from = atomic_exchange(&test_state.fail_from, -1);
    rille_conn *conn = open_at(url, 1, RI_FLUSH_MANUAL);
    uint64_t rounds = 0;
    rille_err err = { 0 };
    atomic_store(&test_state.allocations, 0);
    atomic_store(&test_state.fail_from, from);
    int rc = flush_in_steps(conn, &rounds, &err);
    atomic_store(&test_state.fail_from, -1);
    ri_conn_release(conn);
    return rc;
}

TEST(flush_task__copes_without_memory)
{
    rille_conn *keeper = open_at("mem:flush_task", 0, RI_FLUSH_MANUAL);
    fill("mem:flush_task");
    fill("mem:flush_task-blocking");
    int failed = 0;
    for (long long n = 0;; n += 1 + n / 8) {
        test_fault_begin(n, false);
        int rc = flush_without_memory("deferred:mem:flush_task");
        CHECK(rc == 0 || rc == RILLE_NOMEM);
        if (rc == 0) {
            break;
        }
        failed++;
    }
    CHECK(failed > 30);
    ri_conn_release(keeper);
    keeper = open_at("mem:flush_task-blocking", 0, RI_FLUSH_MANUAL);
    CHECK_RC(ri_conn_flush(keeper, &test_err), 0);
    ri_conn_release(keeper);
    check_same_trees("mem:flush_task", "mem:flush_task-blocking");
    CHECK_RC(ri_database_drop("mem:flush_task", &test_err), 0);
    CHECK_RC(ri_database_drop("mem:flush_task-blocking", &test_err), 0);
}

/* Commits until the connection has begun a flush, which they take further. */
static void begin_sliced(rille_conn *conn)
{
    transact(conn, schema_text);
    for (int i = 0; i < 50 && conn->flusher.run == NULL; i++) {
        name_all(conn, i * 100, i * 100 + 100, 1, "one");
    }
    REQUIRE(conn->flusher.run != NULL);
}

/* A flush that commits outside of tasks have begun is not the task's: it does that work itself. */
TEST(flush_task__ends_what_commits_began)
{
    rille_conn *conn = open_at("deferred:mem:flush_task", 0, RI_FLUSH_SLICED);
    uint64_t rounds = 0;
    begin_sliced(conn);
    CHECK_RC(flush_in_steps(conn, &rounds, &test_err), 0);
    rille_db *db = ri_conn_seen_db(conn);
    CHECK(db->novelty.last == NULL);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:flush_task", &test_err), 0);
}

/* Nor can a connection that is closed in a task take it further. */
TEST(flush_task__drops_what_commits_began_when_it_closes)
{
    rille_conn *conn = open_at("deferred:mem:flush_task", 0, RI_FLUSH_SLICED);
    begin_sliced(conn);
    ri_task task = { 0 };
    ri_task *outer = ri_task_enter(&task);
    ri_conn_release(conn);
    (void)ri_task_leave(&task, outer, 0, NULL);
    ri_task_deinit(&task);
    CHECK_RC(ri_database_drop("mem:flush_task", &test_err), 0);
}

TEST_MAIN(flush_task__goes_on_after_each_round, flush_task__copes_without_memory, flush_task__ends_what_commits_began,
          flush_task__drops_what_commits_began_when_it_closes)
