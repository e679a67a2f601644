/* SPDX-License-Identifier: MIT
 *
 * What a flush costs the commits of a game: 1,000 datoms a frame, 60 frames a second. Processor time of the committing
 * thread alone, so that what others do on the machine does not count.
 *
 *     bench_flush [frames [entities there before [url]]]
 *     bench_flush limits [url]    what is stored, and the time, if flushes are due after fewer or more datoms
 *
 *   none     no flush: for comparison
 *   auto     flushes begin automatically
 *   slices   the same without threads: each commit does a little of it
 *   commit   the commit that finds 65,536 datoms flushes them before it returns
 */
#include "../src/core/db/conn.h"

#include "bench.h"

#define FRAMES 600U
#define FACTS_A_FRAME 500U
#define LIMIT 65536U
#define FRAME_NS 16666667L

static void commit_text(rille_conn *conn, const char *text, size_t len)
{
    rille_err err = { 0 };
    ri_report report;
    bench_must(ri_conn_transact_edn(conn, text, len, &report, &err), &err);
    ri_report_deinit(&report);
}

static void commit_units(rille_conn *conn, uint64_t first, uint64_t count)
{
    size_t cap = (size_t)count * 80 + 100;
    char *text = malloc(cap);
    if (text == NULL) {
        exit(1);
    }
    size_t len = (size_t)snprintf(text, cap, "[");
    for (uint64_t i = first; i < first + count; i++) {
        len += (size_t)snprintf(text + len, cap - len, "{:unit/id %llu :unit/x %llu}", (unsigned long long)i,
                                (unsigned long long)(bench_random(i, 1) % 100000));
    }
    len += (size_t)snprintf(text + len, cap - len, "]");
    commit_text(conn, text, len);
    free(text);
}

static rille_conn *open_game(const char *url, ri_flush_mode mode, uint32_t limit, uint64_t before)
{
    static const char schema[] = "[{:db/ident :unit/id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                 " {:db/ident :unit/x :db/valueType :db.type/long}]";
    rille_err err = { 0 };
    rille_conn *conn = NULL;
    ri_conn_options options = { .create = true, .flush = mode, .novelty_min = limit };
    bench_must(ri_conn_open(url, &options, &conn, &err), &err);
    commit_text(conn, schema, sizeof schema - 1);
    for (uint64_t i = 0; i < before; i += 50000) {
        commit_units(conn, 1000000000 + i, 50000);
    }
    bench_must(ri_conn_flush(conn, &err), &err);
    return conn;
}

/* Frames at their times; a frame that is late is followed by the next one at once. */
static void play(const char *name, rille_conn *conn, ri_flush_mode mode, uint64_t frames)
{
    static bench_series series;
    bool flush = strcmp(name, "none") != 0;
    rille_err err = { 0 };
    uint64_t pending = 0;
    series.count = 0;
    struct timespec next;
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    double begin = bench_now();
    for (uint64_t frame = 0; frame < frames; frame++) {
        double start = bench_thread_now();
        commit_units(conn, frame * FACTS_A_FRAME, FACTS_A_FRAME);
        pending += 2 * FACTS_A_FRAME + 1;
        if (mode == RI_FLUSH_MANUAL && flush && pending >= LIMIT) {
            bench_must(ri_conn_flush(conn, &err), &err);
            pending = 0;
        }
        bench_add(&series, (bench_thread_now() - start) * 1e3);
        next.tv_nsec += FRAME_NS;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    double seconds = bench_now() - begin;
    double p50 = bench_quantile(&series, 0.5);
    double p99 = bench_quantile(&series, 0.99);
    printf("%-8s p50 %6.2f ms, p99 %6.2f, max %6.2f; %.1f frames/s\n", name, p50, p99, bench_quantile(&series, 1.0),
           (double)frames / seconds);
}

static void row(const char *name, const char *url, ri_flush_mode mode, uint64_t frames, uint64_t before)
{
    rille_err err = { 0 };
    rille_conn *conn = open_game(url, mode, 0, before);
    play(name, conn, mode, frames);
    ri_conn_release(conn);
    bench_must(ri_database_drop(url, &err), &err);
}

/* 4,000 transactions of 100 to 125 datoms: half of them new entities, half of them new values of old ones. */
static void limit_row(const char *url, uint32_t limit)
{
    enum { COMMITS = 4000, UNITS = 25 };
    rille_err err = { 0 };
    rille_conn *conn = open_game(url, RI_FLUSH_SLICED, limit, 0);
    uint64_t datoms = 0;
    double start = bench_thread_now();
    for (uint64_t i = 0; i < COMMITS; i++) {
        char text[4096];
        size_t len = (size_t)snprintf(text, sizeof text, "[");
        for (uint64_t k = 0; k < UNITS; k++) {
            uint64_t fresh = i * UNITS + k;
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "{:unit/id %llu :unit/x %llu}{:unit/id %llu :unit/x %llu}",
                                    (unsigned long long)fresh, (unsigned long long)(bench_random(fresh, 1) % 100000),
                                    (unsigned long long)(1000000 + bench_random(fresh, 2) % 100000 / UNITS * UNITS + k),
                                    (unsigned long long)(bench_random(fresh, 3) % 100000));
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "]");
        ri_report report;
        bench_must(ri_conn_transact_edn(conn, text, len, &report, &err), &err);
        datoms += report.tx.block->count;
        ri_report_deinit(&report);
    }
    double us = (bench_thread_now() - start) * 1e6;
    printf("%-8u %6.1f bytes a datom, %6.2f us\n", (unsigned)limit,
           (double)ri_store_size_bytes(ri_conn_store(conn)) / (double)datoms, us / (double)datoms);
    ri_conn_release(conn);
    bench_must(ri_database_drop(url, &err), &err);
}

static int limits(const char *url)
{
    bench_machine("flush: limits");
    for (uint32_t limit = 4096; limit <= 131072; limit *= 2) {
        limit_row(url, limit);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "limits") == 0) {
        return limits(argc > 2 ? argv[2] : "mem:bench_flush");
    }
    uint64_t frames = argc > 1 ? strtoull(argv[1], NULL, 10) : FRAMES;
    uint64_t before = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    const char *url = argc > 3 ? argv[3] : "mem:bench_flush";
    bench_machine("flush: 1,000 datoms a frame, 60 frames a second; processor time of a commit");
    for (int turn = 0; turn < 2; turn++) {
        row("none", url, RI_FLUSH_MANUAL, frames < 180 ? frames : 180, before);
        row("commit", url, RI_FLUSH_MANUAL, frames, before);
        row("auto", url, RI_FLUSH_AUTO, frames, before);
        row("slices", url, RI_FLUSH_SLICED, frames, before);
    }
    return 0;
}
