/* SPDX-License-Identifier: MIT
 *
 * The engine's own figures from C: bulk load, size and point look-ups beside LMDB (peer_lmdb.h, where it was built
 * with), durable commits beside the floor (append + fdatasync), a cold open, the memory of a scan.
 *
 *   bench_db [--people N] [--dir DIR] [--commits N]
 *       N people x 5 attributes + a unique key; 2,000,000 people are 12 M datoms
 *   bench_db --scan URL
 *       what the scan is measured by: one reader, nothing else in the process
 */
#include "bench.h"

#include "../src/core/db/conn.h"

#if RILLE_WITH_LMDB
#include "peer_lmdb.h"
#endif

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct settings {
    uint64_t people;
    size_t commits;
    const char *dir;
} settings;

static void die(const char *what, const rille_err *err)
{
    (void)fprintf(stderr, "bench_db: %s: %s\n", what, err->message);
    exit(1);
}

#define TRY(call)             \
    do {                      \
        if ((call) < 0) {     \
            die(#call, &err); \
        }                     \
    } while (0)

static const char schema[] = "[{:db/ident :uid :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :name :db/valueType :db.type/string}"
                             " {:db/ident :last-name :db/valueType :db.type/string}"
                             " {:db/ident :sex :db/valueType :db.type/keyword}"
                             " {:db/ident :age :db/valueType :db.type/long}"
                             " {:db/ident :salary :db/valueType :db.type/long}]";

static rille_conn *open_new(const char *url)
{
    rille_err err;
    rille_conn *conn;
    ri_report report;
    ri_conn_options options = { .create = true };
    (void)ri_database_drop(url, NULL);
    TRY(ri_conn_open(url, &options, &conn, &err));
    TRY(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &err));
    ri_report_deinit(&report);
    return conn;
}

static const ri_attr *attr_of(ri_tx *tx, const char *ident)
{
    rille_err err;
    const ri_attr *attr;
    TRY(ri_tx_attr(tx, ident, strlen(ident), &attr, &err));
    return attr;
}

static ri_value text(ri_type type, const char *s)
{
    return ri_bytes_value(type, s, strlen(s));
}

/* Adds people [from, to) of 5 attributes, 6 with a uid. */
static void fill(ri_tx *tx, uint64_t from, uint64_t to, bool uid)
{
    rille_err err;
    const ri_attr *a[6] = { attr_of(tx, "name"), attr_of(tx, "last-name"), attr_of(tx, "sex"),
                            attr_of(tx, "age"),  attr_of(tx, "salary"),    attr_of(tx, "uid") };
    for (uint64_t i = from; i < to; i++) {
        ri_value v[6] = { text(RI_STRING, bench_names[bench_random(i, 0) % 8]),
                          text(RI_STRING, bench_last_names[bench_random(i, 1) % 6]),
                          text(RI_KEYWORD, bench_sexes[bench_random(i, 2) % 2]),
                          ri_long((int64_t)(bench_random(i, 3) % 100)),
                          ri_long((int64_t)(bench_random(i, 4) % 100000)),
                          ri_long((int64_t)(i * 7919)) };
        ri_ent e;
        TRY(ri_tx_temp_fresh(tx, &e, &err));
        for (unsigned j = 0; j < (uid ? 6 : 5); j++) {
            TRY(ri_tx_add(tx, e, a[j], &v[j], false, &err));
        }
    }
}

/* Loads people in transactions of `step`; gives the seconds. */
static double load(rille_conn *conn, uint64_t people, uint64_t step, bool uid)
{
    rille_err err;
    double start = bench_now();
    for (uint64_t from = 0; from < people; from += step) {
        ri_tx *tx;
        ri_report report;
        TRY(ri_conn_begin(conn, &tx, &err));
        fill(tx, from, from + step < people ? from + step : people, uid);
        TRY(ri_conn_commit(conn, tx, &report, &err));
        ri_report_deinit(&report);
        ri_tx_release(tx);
    }
    return bench_now() - start;
}

static void bench_load(const char *name, const char *url)
{
    enum { PEOPLE = 100000 };
    bench_series rate = { .count = 0 };
    uint64_t bytes = 0;
    for (int run = 0; run < 5; run++) {
        rille_conn *conn = open_new(url);
        bench_add(&rate, PEOPLE * 5 / load(conn, PEOPLE, PEOPLE, false));
        bytes = ri_store_size_bytes(ri_conn_store(conn));
        ri_conn_release(conn);
        (void)ri_database_drop(url, NULL);
    }
    printf("load %-6s 100,000 people x 5: %.2f M datoms/s (min %.2f, max %.2f), %.2f bytes a datom stored\n", name,
           bench_quantile(&rate, 0.5) / 1e6, bench_quantile(&rate, 0) / 1e6, bench_quantile(&rate, 1) / 1e6,
           (double)bytes / (PEOPLE * 5.0));
}

#if RILLE_WITH_LMDB
static void bench_peer_load(const char *dir)
{
    enum { PEOPLE = 100000, RUNS = 3 };
    bench_series rate = { .count = 0 };
    uint64_t bytes = 0;
    for (int run = 0; run < RUNS; run++) {
        peer p;
        bench_add(&rate, PEOPLE * 5 / peer_load(&p, dir, PEOPLE, 5));
        bytes = peer_bytes(&p);
        peer_close(&p);
    }
    printf("  peer LMDB, 3 indexes of whole keys: %.2f M datoms/s (min %.2f, max %.2f), %.2f bytes a datom stored\n",
           bench_quantile(&rate, 0.5) / 1e6, bench_quantile(&rate, 0) / 1e6, bench_quantile(&rate, 1) / 1e6,
           (double)bytes / (PEOPLE * 5.0));
}

static void bench_peer_point(const char *dir, uint64_t people)
{
    enum { LOOKUPS = 200000 };
    peer p;
    MDB_txn *txn;
    MDB_cursor *cursor;
    bench_series rate = { .count = 0 };
    uint64_t found = 0;
    (void)peer_load(&p, dir, people, 6);
    peer_must(mdb_txn_begin(p.env, NULL, MDB_RDONLY, &txn));
    peer_must(mdb_cursor_open(txn, p.index[2], &cursor));
    for (int run = 0; run < 6; run++) {
        double start = bench_now();
        for (uint64_t i = 0; i < LOOKUPS; i++) {
            uint64_t person = bench_random(i, 7) % people;
            found += peer_lookup(cursor, person) == person ? 1 : 0;
        }
        if (run > 0) {
            bench_add(&rate, LOOKUPS / (bench_now() - start));
        }
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    peer_close(&p);
    printf("  peer LMDB, a seek in one read transaction: %.2f M/s (min %.2f, max %.2f); %llu of %d found\n",
           bench_quantile(&rate, 0.5) / 1e6, bench_quantile(&rate, 0) / 1e6, bench_quantile(&rate, 1) / 1e6,
           (unsigned long long)(found / 6), LOOKUPS);
}
#else
static void bench_peer_load(const char *dir)
{
    (void)dir;
}

static void bench_peer_point(const char *dir, uint64_t people)
{
    (void)dir;
    (void)people;
}
#endif

/* ---- commits ---- */

static double floor_append(int fd, size_t len)
{
    static uint8_t bytes[4096];
    double start = bench_now();
    if (write(fd, bytes, len) != (ssize_t)len || fdatasync(fd) != 0) {
        perror("floor");
        exit(1);
    }
    return bench_now() - start;
}

static double commit_one(rille_conn *conn, uint64_t i)
{
    rille_err err;
    ri_tx *tx;
    ri_report report;
    double start = bench_now();
    TRY(ri_conn_begin(conn, &tx, &err));
    fill(tx, i, i + 1, true);
    TRY(ri_conn_commit(conn, tx, &report, &err));
    ri_report_deinit(&report);
    ri_tx_release(tx);
    return bench_now() - start;
}

static void bench_commit(const settings *s, rille_conn *conn, uint64_t people)
{
    char path[512];
    bench_series commit = { .count = 0 };
    bench_series floor = { .count = 0 };
    (void)snprintf(path, sizeof path, "%s/floor", s->dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (size_t i = 0; i < s->commits; i++) {
        bench_add(&floor, floor_append(fd, 200));
        bench_add(&commit, commit_one(conn, people + i));
    }
    (void)close(fd);
    (void)unlink(path);
    double mine = bench_quantile(&commit, 0.5);
    double bare = bench_quantile(&floor, 0.5);
    printf(
        "commit file: 1 person, on %llu people: p50 %.0f us, p99 %.0f us; append + fdatasync p50 %.0f us, p99 %.0f us; "
        "ratio %.2f\n",
        (unsigned long long)people, mine * 1e6, bench_quantile(&commit, 0.99) * 1e6, bare * 1e6,
        bench_quantile(&floor, 0.99) * 1e6, mine / bare);
}

/* ---- reads ---- */

static uint64_t lookup(rille_db *db, const ri_attr *uid, uint64_t person, ri_io *io)
{
    rille_err err;
    uint64_t e = 0;
    ri_value v = ri_long((int64_t)(person * 7919));
    TRY(ri_db_lookup(db, uid, &v, io, &e, &err));
    return e;
}

static void bench_point(rille_conn *conn, uint64_t people)
{
    enum { LOOKUPS = 200000 };
    rille_err err;
    rille_db *db;
    ri_io io = { 0 };
    bench_series rate = { .count = 0 };
    TRY(ri_conn_db(conn, &db, &err));
    const ri_attr *uid = ri_schema_attr(db->schema, "uid", 3);
    uint64_t found = 0;
    for (int run = 0; run < 6; run++) {
        double start = bench_now();
        for (uint64_t i = 0; i < LOOKUPS; i++) {
            found += lookup(db, uid, bench_random(i, 7) % people, &io) != 0 ? 1 : 0;
        }
        if (run > 0) {
            bench_add(&rate, LOOKUPS / (bench_now() - start));
        }
    }
    printf("point look-up by unique key, %llu people, warm: %.2f M/s (min %.2f, max %.2f); %llu of %d found\n",
           (unsigned long long)people, bench_quantile(&rate, 0.5) / 1e6, bench_quantile(&rate, 0) / 1e6,
           bench_quantile(&rate, 1) / 1e6, (unsigned long long)(found / 6), LOOKUPS);
    ri_io_deinit(&io);
    ri_db_release(db);
}

static void bench_open(const char *url, uint64_t people)
{
    rille_err err;
    rille_conn *conn;
    rille_db *db;
    ri_io io = { 0 };
    ri_store_stats stats;
    ri_conn_options options = { 0 };
    double start = bench_now();
    TRY(ri_conn_open(url, &options, &conn, &err));
    db = ri_conn_seen_db(conn);
    uint64_t e = lookup(db, ri_schema_attr(db->schema, "uid", 3), people / 2, &io);
    ri_bound from = ri_bound_ea(e, ri_schema_attr(db->schema, "salary", 6)->id, false);
    ri_bound to = from;
    ri_datom d;
    ri_object *hold;
    to.after = true;
    TRY(ri_db_first(db, RI_EAVT, &from, &to, &io, &d, &hold, &err));
    double time = bench_now() - start;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    printf("open %llu datoms and answer uid -> salary: %llu reads of storage (%llu heads, %llu ranges, %llu KiB), %.2f "
           "ms\n",
           (unsigned long long)db->base->tree[RI_EAVT].count, (unsigned long long)(stats.head_reads + stats.get_ranges),
           (unsigned long long)stats.head_reads, (unsigned long long)stats.get_ranges,
           (unsigned long long)stats.get_bytes / 1024, time * 1e3);
    ri_object_release(hold);
    ri_io_deinit(&io);
    ri_db_release(db);
    ri_conn_release(conn);
}

/* Reads everything once. Alone in its process: the high-water mark of memory is the reader's own. */
static void scan_all(const char *url)
{
    rille_err err;
    rille_conn *conn;
    rille_db *db;
    ri_io io = { 0 };
    ri_conn_options options = { 0 };
    long before = bench_peak_kib();
    double start = bench_now();
    TRY(ri_conn_open(url, &options, &conn, &err));
    TRY(ri_conn_db(conn, &db, &err));
    ri_scan scan;
    ri_run run;
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    uint64_t rows = 0;
    uint64_t sum = 0;
    int rc;
    ri_scan_init(&scan, db, RI_EAVT);
    ri_scan_set(&scan, &from, &to);
    while ((rc = ri_scan_next(&scan, &run, &io, &err)) == 0) {
        for (uint32_t i = 0; run.leaf != NULL && i < ri_run_count(&run); i += 64) {
            sum += ri_node_e(run.leaf, run.from + i);
        }
        rows += ri_run_count(&run);
    }
    TRY(rc);
    double time = bench_now() - start;
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    printf("open and scan %llu datoms in a process of its own: %.1f ns a datom cold; memory %.1f MiB at most, %.1f "
           "before; cache budget %.0f MiB (checksum %llu)\n",
           (unsigned long long)rows, time * 1e9 / (double)rows, (double)bench_peak_kib() / 1024, (double)before / 1024,
           (double)stats.cache_bytes_max / 1048576, (unsigned long long)(sum & 0xffff));
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
    ri_db_release(db);
    ri_conn_release(conn);
}

static void bench_scan(const char *program, const char *url)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)execl(program, program, "--scan", url, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        (void)fprintf(stderr, "bench_db: %s --scan failed\n", program);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    settings s = { 20000, 300, "/tmp" };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--people") == 0) {
            s.people = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--commits") == 0) {
            s.commits = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--dir") == 0) {
            s.dir = argv[i + 1];
        } else if (strcmp(argv[i], "--scan") == 0) {
            scan_all(argv[i + 1]);
            return 0;
        }
    }
    char url[512];
    bench_machine("bench_db");
    (void)snprintf(url, sizeof url, "file:%s/rille_bench", s.dir);
    bench_load("mem:", "mem:bench_load");
    bench_load("file:", url);
    bench_peer_load(s.dir);
    rille_conn *conn = open_new(url);
    bench_commit(&s, conn, 0);
    double time = load(conn, s.people, 100000, true);
    printf("load file: %llu people x 6 in transactions of 100,000: %.2f M datoms/s\n", (unsigned long long)s.people,
           (double)s.people * 6 / time / 1e6);
    bench_commit(&s, conn, s.people);
    rille_err err;
    TRY(ri_conn_flush(conn, &err));
    bench_point(conn, s.people);
    bench_peer_point(s.dir, s.people);
    printf("size: %.2f bytes a datom\n", (double)ri_store_size_bytes(ri_conn_store(conn)) / ((double)s.people * 6));
    ri_conn_release(conn);
    bench_open(url, s.people);
    bench_scan(argv[0], url);
    (void)ri_database_drop(url, NULL);
    return 0;
}
