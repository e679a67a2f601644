/* SPDX-License-Identifier: MIT
 *
 * The longest step of each operation that is not a query, with a budget of 500 us for each step, where storage answers
 * at once. Like bench_steps: a step may take the budget and one unit of work more; times are processor time of the
 * thread. Each operation runs several times, and the smallest of the longest steps is shown, so that what the machine
 * does to one run (page faults, a cold cache) does not count.
 *
 *     bench_operations [part of a name [URL [runs [budget in us]]]]
 */
#include "rille/rille.h"

#include "bench.h"

#define BUDGET_US 500U
#define RUNS 3U
#define TAIL_DATOMS 63000U
#define HISTORY 100000U /* transactions of one datom */
#define ROWS 250000U    /* entities of four datoms */

static const char *wanted;
static const char *place = "mem:operations";
static unsigned runs = RUNS;
static uint64_t budget_us = BUDGET_US;

typedef struct text {
    char *p;
    size_t len;
    size_t cap;
} text;

/* Room for `more` bytes. */
static char *reach(text *t, size_t more)
{
    if (t->cap - t->len < more) {
        t->cap = 2 * t->cap + more;
        t->p = realloc(t->p, t->cap);
        if (t->p == NULL) {
            exit(1);
        }
    }
    return t->p + t->len;
}

#define ADD(t, ...) ((t)->len += (size_t)snprintf(reach((t), 256), 256, __VA_ARGS__))

#define ATTR(name, type, more) "{:db/ident " name " :db/valueType :db.type/" type more "}"
static const char schema[] = "[" ATTR(":id", "long", " :db/unique :db.unique/identity")
    ATTR(":n", "long", " :db/index true") ATTR(":s", "string", "") ATTR(":up", "ref", "") "]";

typedef enum shape { MADE, UPSERTED, TEMPIDS } shape;

/* Entities of four datoms each. */
static text rows(unsigned from, unsigned count, shape how)
{
    text t = { 0 };
    ADD(&t, "[");
    for (unsigned k = 0; k < count; k++) {
        unsigned i = how == MADE ? from + k : from + (unsigned)((uint64_t)k * 7919 % count);
        unsigned n = (unsigned)(bench_random(i, how) % 1000000);
        if (how == TEMPIDS) {
            ADD(&t, "{:db/id \"%u\" :id %u :n %u :s \"name %06u\" :up \"%u\"}\n", i, i, n, n,
                from + (unsigned)((uint64_t)(k + 1) * 7919 % count));
        } else {
            ADD(&t, "{:id %u :n %u :s \"name %06u\" :up 1}\n", i, n, n);
        }
    }
    ADD(&t, "]");
    return t;
}

/* ---- steps ---- */

static int timed_step(rille_steps *steps, bench_tally *t, rille_err *err)
{
    double start = bench_thread_now();
    int rc = rille_step(steps, budget_us, err);
    double took = bench_thread_now() - start;
    if (getenv("RILLE_STEPS") != NULL) {
        (void)printf("    step %llu: %.3f ms\n", (unsigned long long)t->steps, took * 1e3);
    }
    bench_tally_add(t, took, budget_us);
    return rc;
}

static bench_tally finish(rille_steps *steps)
{
    bench_tally t = { 0 };
    rille_err err = { 0 };
    int rc;
    while ((rc = timed_step(steps, &t, &err)) != RILLE_DONE) {
        if (rc == RILLE_NEED) {
            bench_must(rille_fetch(steps, &err), &err);
        } else if (rc < 0) {
            bench_must(rc, &err);
        }
    }
    return t;
}

/* Several runs of one operation. */
typedef struct summary {
    const char *name;
    double start; /* the smallest of the runs', as is the next */
    double longest;
    bench_tally last;
} summary;

static bool skips(const char *name)
{
    return wanted != NULL && strstr(name, wanted) == NULL;
}

static void count_run(summary *s, double start, bench_tally t)
{
    bool first = s->last.steps == 0;
    s->start = first || start < s->start ? start : s->start;
    s->longest = first || t.longest < s->longest ? t.longest : s->longest;
    s->last = t;
}

static void show(const summary *s)
{
    (void)printf("%-34s start %8.3f ms, longest step %8.3f ms, %5llu over, %7llu steps, %9.1f ms in all\n", s->name,
                 s->start * 1e3, s->longest * 1e3, (unsigned long long)s->last.over, (unsigned long long)s->last.steps,
                 s->last.total * 1e3);
    (void)fflush(stdout);
}

/* ---- operations ---- */

static rille_conn *open_place(const char *url)
{
    rille_err err = { 0 };
    rille_conn *conn = NULL;
    rille_options options = { .create = true };
    bench_must(rille_connect(url, &options, &conn, &err), &err);
    return conn;
}

static void transact(rille_conn *conn, const char *edn, size_t len)
{
    rille_err err = { 0 };
    bench_must(rille_transact(conn, edn, len, NULL, &err), &err);
}

static void drop_place(rille_conn *conn, const char *url)
{
    rille_err err = { 0 };
    rille_close(conn);
    bench_must(rille_drop(url, &err), &err);
}

static void timed_transact(rille_conn *conn, const text *t, summary *s)
{
    rille_err err = { 0 };
    rille_steps *steps = NULL;
    double start = bench_thread_now();
    bench_must(rille_start_transact(conn, t->p, t->len, &steps, &err), &err);
    start = bench_thread_now() - start;
    count_run(s, start, finish(steps));
    rille_steps_close(steps);
}

static void bench_transact(const char *name, unsigned count, shape how)
{
    summary s = { .name = name };
    for (unsigned run = 0; run < runs && !skips(name); run++) {
        rille_conn *conn = open_place(place);
        text first = rows(0, count, MADE);
        text t = rows(how == UPSERTED ? 0 : count, count, how);
        transact(conn, schema, strlen(schema));
        transact(conn, first.p, first.len);
        timed_transact(conn, &t, &s);
        free(first.p);
        free(t.p);
        drop_place(conn, place);
    }
    if (!skips(name)) {
        show(&s);
    }
}

static void bench_with(const char *name, unsigned count)
{
    summary s = { .name = name };
    for (unsigned run = 0; run < runs && !skips(name); run++) {
        rille_err err = { 0 };
        rille_conn *conn = open_place(place);
        rille_db *db = NULL;
        rille_steps *steps = NULL;
        text t = rows(0, count, MADE);
        transact(conn, schema, strlen(schema));
        bench_must(rille_conn_db(conn, &db, &err), &err);
        double start = bench_thread_now();
        bench_must(rille_start_with(db, t.p, t.len, &steps, &err), &err);
        start = bench_thread_now() - start;
        count_run(&s, start, finish(steps));
        rille_steps_close(steps);
        rille_db_release(db);
        free(t.p);
        drop_place(conn, place);
    }
    if (!skips(name)) {
        show(&s);
    }
}

/* 63,000 datoms that are not flushed, in so many transactions; then connecting, and db() of a connection that saw none
 * of them. */
static void bench_tail(const char *name, const char *refresh_name, unsigned tx_count)
{
    summary s = { .name = name };
    summary refresh = { .name = refresh_name };
    bool skipped = skips(name) && skips(refresh_name);
    for (unsigned run = 0; run < runs && !skipped; run++) {
        rille_err err = { 0 };
        rille_steps *steps = NULL;
        rille_conn *conn = open_place(place);
        transact(conn, schema, strlen(schema));
        rille_conn *other = open_place(place);
        for (unsigned i = 0; i < tx_count; i++) {
            unsigned each = TAIL_DATOMS / 4 / tx_count;
            text t = rows(i * each, each, MADE);
            transact(conn, t.p, t.len);
            free(t.p);
        }
        rille_options options = { 0 };
        double start = bench_thread_now();
        bench_must(rille_start_connect(place, &options, &steps, &err), &err);
        start = bench_thread_now() - start;
        count_run(&s, start, finish(steps));
        rille_steps_close(steps);
        bench_must(rille_start_db(other, &steps, &err), &err);
        count_run(&refresh, 0, finish(steps));
        rille_steps_close(steps);
        rille_close(other);
        drop_place(conn, place);
    }
    if (!skipped) {
        show(&s);
        show(&refresh);
    }
}

static void bench_history(const char *name, const char *tail_name)
{
    summary s = { .name = name };
    summary tail = { .name = tail_name };
    bool skipped = skips(name) && skips(tail_name);
    if (skipped) {
        return;
    }
    rille_err err = { 0 };
    rille_steps *steps = NULL;
    rille_conn *conn = open_place(place);
    rille_db *db = NULL;
    transact(conn, schema, strlen(schema));
    for (unsigned i = 0; i < HISTORY; i++) {
        text t = { 0 };
        ADD(&t, "[[:db/add %u :n %u]]", 2000000 + i % 1000, i);
        transact(conn, t.p, t.len);
        free(t.p);
    }
    bench_must(rille_conn_db(conn, &db, &err), &err);
    for (unsigned run = 0; run < 8 * runs; run++) {
        double start = bench_thread_now();
        uint64_t tx = rille_db_tx(db) - HISTORY / 8 * (run % 8) - 100;
        bench_must(rille_start_as_of(db, tx, &steps, &err), &err);
        start = bench_thread_now() - start;
        count_run(run % 8 == 0 ? &tail : &s, start, finish(steps));
        rille_steps_close(steps);
    }
    rille_db_release(db);
    drop_place(conn, place);
    show(&s);
    show(&tail);
}

static void bench_whole(const char *verify_name, const char *flush_name)
{
    summary s = { .name = verify_name };
    summary flush = { .name = flush_name };
    if (skips(verify_name) && skips(flush_name)) {
        return;
    }
    rille_err err = { 0 };
    rille_steps *steps = NULL;
    rille_conn *conn = open_place(place);
    transact(conn, schema, strlen(schema));
    for (unsigned from = 0; from < ROWS; from += 25000) {
        text t = rows(from, 25000, MADE);
        transact(conn, t.p, t.len);
        free(t.p);
    }
    for (unsigned run = 0; run < runs; run++) {
        text t = rows(ROWS + run * 1000, 1000, MADE);
        transact(conn, t.p, t.len);
        free(t.p);
        bench_must(rille_start_flush(conn, &steps, &err), &err);
        count_run(&flush, 0, finish(steps));
        rille_steps_close(steps);
        bench_must(rille_start_verify(conn, &steps, &err), &err);
        count_run(&s, 0, finish(steps));
        rille_steps_close(steps);
    }
    drop_place(conn, place);
    show(&s);
    show(&flush);
}

int main(int argc, char **argv)
{
    wanted = argc > 1 && argv[1][0] != '\0' ? argv[1] : NULL;
    place = argc > 2 ? argv[2] : place;
    runs = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : RUNS;
    budget_us = argc > 4 ? strtoull(argv[4], NULL, 10) : BUDGET_US;
    bench_machine("bench_operations: the longest step of each operation");
    bench_transact("transact 1,000 datoms", 250, MADE);
    bench_transact("transact 10,000 datoms", 2500, MADE);
    bench_transact("transact 10,000 datoms, upserts", 2500, UPSERTED);
    bench_transact("transact 10,000 datoms, tempids", 2500, TEMPIDS);
    bench_transact("transact 60,000 datoms", 15000, MADE);
    bench_transact("transact 100,000 datoms", 25000, MADE);
    bench_transact("transact 100,000 datoms, tempids", 25000, TEMPIDS);
    bench_transact("transact 1,000,000 datoms", 250000, MADE);
    bench_transact("transact 1,000,000 datoms, tempids", 250000, TEMPIDS);
    bench_with("with 10,000 datoms", 2500);
    bench_tail("connect, 630 transactions", "db, 630 transactions", 630);
    bench_tail("connect, 15,750 transactions", "db, 15,750 transactions", 15750);
    bench_tail("connect, one transaction", "db, one transaction", 1);
    bench_history("as_of, small transactions", "as_of, not flushed");
    bench_whole("verify, 1,000,000 datoms", "flush, 4,000 datoms");
    return 0;
}
