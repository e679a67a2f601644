/* SPDX-License-Identifier: MIT
 *
 * Writers that wait share a swap of the head: counted, with threads and with operations, whatever becomes of the swap and
 * whichever of them is closed.
 */
#include "harness.h"
#include "own_backend.h"
#include "test_threads.h"

#include "../src/core/db/bundle.h"
#include "rille/rille.h"

#ifndef RILLE_SINGLE_THREAD
#include <sched.h>
#endif

static const char schema[] = "[{:db/ident :n :db/valueType :db.type/long :db/unique :db.unique/value}"
                             " {:db/ident :s :db/valueType :db.type/string}]";

static uint64_t head_swaps(rille_conn *conn)
{
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    return stats.head_swaps;
}

static uint64_t head_reads(rille_conn *conn)
{
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    return stats.head_reads;
}

static void transact(rille_conn *conn, const char *text)
{
    REQUIRE_RC(rille_transact(conn, text, strlen(text), NULL, &test_err), 0);
}

/* How many entities have the number; *all, if not NULL: numbers there are. */
static uint64_t count_number(rille_conn *conn, int64_t n, uint64_t *all)
{
    rille_db *db = NULL;
    uint64_t count = 0;
    uint64_t own = 0;
    int rc;
    ri_io io = { 0 };
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    const ri_attr *attr = ri_schema_attr(db->schema, "n", 1);
    REQUIRE(attr != NULL);
    ri_bound from = ri_bound_a(attr->id, false);
    ri_bound to = ri_bound_a(attr->id, true);
    RI_FETCHING(rc, &io, ri_db_count(db, RI_AEVT, &from, &to, &io, &count, &test_err), &test_err)
    CHECK_RC(rc, 0);
    ri_value v = ri_long(n);
    uint64_t e = 0;
    RI_FETCHING(rc, &io, ri_db_lookup(db, attr, &v, &io, &e, &test_err), &test_err)
    CHECK_RC(rc, 0);
    own = e != 0 ? 1 : 0;
    ri_io_deinit(&io);
    ri_db_release(db);
    if (all != NULL) {
        *all = count;
    }
    return own;
}

static void verify(rille_conn *conn)
{
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
}

/* ---- threads ---- */

/* An own backend whose swap waits at a gate. */
static struct {
    rille_backend inner;
    rille_conn *conn;
    atomic_ullong open_at; /* when the value that is planned has this t; 0: at once */
    atomic_int swaps;
    atomic_int fail_swap; /* the number of one that fails, -1: none ... */
    int fail_rc;          /* ... with this; after it was done ... */
    bool fail_done;       /* ... if this */
} gate;

static int gated_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    uint64_t t = atomic_load(&gate.open_at);
#ifndef RILLE_SINGLE_THREAD
    for (bool shut = t != 0; shut;) {
        rille_db *db = ri_bundle_db(gate.conn);
        shut = db == NULL || db->t < t;
        ri_db_release(db);
        (void)sched_yield();
    }
#else
    (void)t;
#endif
    atomic_store(&gate.open_at, 0);
    int number = atomic_fetch_add(&gate.swaps, 1);
    if (number == atomic_load(&gate.fail_swap)) {
        int rc = gate.fail_done ? gate.inner.ops->head_swap(self, swap, revision, err) : 0;
        return rc != 0 ? rc : gate.fail_rc < 0 ? own_fail(err, gate.fail_rc, "as planned") : gate.fail_rc;
    }
    return gate.inner.ops->head_swap(self, swap, revision, err);
}

static void open_gated(void)
{
    static rille_backend_ops ops;
    rille_options options = { .create = true };
    memset(&gate, 0, sizeof gate);
    atomic_store(&gate.fail_swap, -1);
    REQUIRE_RC(own_open("bundle", true, &gate.inner, &test_err), 0);
    ops = *gate.inner.ops;
    ops.head_swap = gated_swap;
    ops.head_list = NULL;
    rille_backend backend = { &ops, gate.inner.self, 0 };
    REQUIRE_RC(rille_connect_backend(&backend, "own:bundle", &options, &gate.conn, &test_err), 0);
    transact(gate.conn, schema);
}

static void close_gated(void)
{
    verify(gate.conn);
    rille_backend place;
    REQUIRE_RC(own_open("bundle", false, &place, &test_err), 0);
    rille_close(gate.conn);
    (void)own_drop(place.self, NULL);
    own_close(place.self);
}

enum { WRITERS = 8 };

typedef struct writer {
    int64_t number;
    int rc;
    rille_commit commit;
} writer;

static void *write_one(void *context)
{
    writer *w = context;
    char text[64];
    rille_err err;
    int len = snprintf(text, sizeof text, "[{:n %lld}]", (long long)w->number);
    w->rc = rille_transact(gate.conn, text, (size_t)len, &w->commit, &err);
    return NULL;
}

/* One thread's swap waits until all others have planned theirs. */
static void write_all(writer *writers, int joining)
{
    test_thread first;
    test_thread threads[WRITERS];
    writer leader = { .number = 1000 };
    rille_db *db = ri_conn_seen_db(gate.conn);
    uint64_t t = db->t;
    ri_db_release(db);
    atomic_store(&gate.open_at, TEST_HAS_THREADS ? t + 1 + (uint64_t)joining : 0);
    REQUIRE(test_thread_start(&first, write_one, &leader));
#ifndef RILLE_SINGLE_THREAD
    for (uint64_t now = 0; now <= t;) { /* until it is sent */
        db = ri_bundle_db(gate.conn);
        now = db != NULL ? db->t : 0;
        ri_db_release(db);
        (void)sched_yield();
    }
#endif
    for (int i = 0; i < WRITERS; i++) {
        REQUIRE(test_thread_start(&threads[i], write_one, &writers[i]));
    }
    for (int i = 0; i < WRITERS; i++) {
        test_thread_join(&threads[i]);
    }
    test_thread_join(&first);
}

TEST(bundle__of_eight_threads_is_one_swap)
{
    writer writers[WRITERS];
    uint64_t all;
    open_gated();
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){ .number = i };
    }
    int swaps = atomic_load(&gate.swaps);
    write_all(writers, WRITERS);
    CHECK_EQ_INT(atomic_load(&gate.swaps) - swaps, TEST_HAS_THREADS ? 2 : 1 + WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        CHECK_RC(writers[i].rc, 0);
        CHECK_EQ_INT(count_number(gate.conn, i, &all), 1);
        for (int k = 0; k < i; k++) { /* each has its own report */
            CHECK(writers[i].commit.tx != writers[k].commit.tx);
            CHECK(memcmp(writers[i].commit.id, writers[k].commit.id, sizeof writers[i].commit.id) != 0);
        }
    }
    CHECK_EQ_INT(all, WRITERS + 1);
    close_gated();
}

/* Two want the same number: one is refused, when the other one is there. */
TEST(bundle__is_not_affected_by_a_member_that_is_refused)
{
    writer writers[WRITERS];
    int refused = 0;
    open_gated();
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){ .number = i / 2 * 2 };
    }
    int swaps = atomic_load(&gate.swaps);
    write_all(writers, WRITERS / 2);
    CHECK_EQ_INT(atomic_load(&gate.swaps) - swaps, TEST_HAS_THREADS ? 2 : 1 + WRITERS / 2);
    for (int i = 0; i < WRITERS; i++) {
        CHECK(writers[i].rc == 0 || writers[i].rc == RILLE_TX_UNIQUE);
        refused += writers[i].rc != 0 ? 1 : 0;
        CHECK_EQ_INT(count_number(gate.conn, writers[i].number, NULL), 1);
    }
    CHECK_EQ_INT(refused, WRITERS / 2);
    close_gated();
}

/* The swap of the first one, or of the others, goes wrong. */
TEST(bundle__whose_swap_fails_tells_each_member_the_truth)
{
    static const struct {
        int rc;
        bool done;
        bool acknowledged;
    } faults[] = { { RILLE_UNKNOWN, true, true },
                   { RILLE_UNKNOWN, false, true },
                   { RILLE_CONFLICT, true, true },
                   { RILLE_CONFLICT, false, true },
                   { RILLE_IO, false, false } };
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (int at = 0; at < 3; at++) {
            writer writers[WRITERS];
            open_gated();
            for (int i = 0; i < WRITERS; i++) {
                writers[i] = (writer){ .number = i };
            }
            gate.fail_rc = faults[f].rc;
            gate.fail_done = faults[f].done;
            atomic_store(&gate.fail_swap, atomic_load(&gate.swaps) + at);
            write_all(writers, WRITERS);
            for (int i = 0; i < WRITERS; i++) {
                CHECK_EQ_INT(count_number(gate.conn, i, NULL), writers[i].rc == 0 ? 1 : 0);
                CHECK(writers[i].rc == 0 || !faults[f].acknowledged);
            }
            close_gated();
        }
    }
}

/* ---- operations ---- */

typedef struct op {
    rille_steps *steps;
    int rc; /* RILLE_AGAIN at first */
    bool needs;
} op;

static void start_op(rille_conn *conn, op *o, int64_t n)
{
    char text[64];
    int len = snprintf(text, sizeof text, "[{:n %lld :s \"an operation\"}]", (long long)n);
    *o = (op){ .rc = RILLE_AGAIN };
    REQUIRE_RC(rille_start_transact(conn, text, (size_t)len, &o->steps, &test_err), 0);
}

typedef enum host { FETCHES, POLLS, POLLS_FIRST, SUPPLIES, HOSTS } host;

static unsigned shown; /* swaps that were among the wants */

static void supply(op *o)
{
    rille_want want;
    if (rille_steps_wants(o->steps) == 0) {
        return;
    }
    REQUIRE_RC(rille_steps_want(o->steps, 0, &want, &test_err), 0);
    shown += want.op == RILLE_WANT_HEAD_SWAP ? 1 : 0;
    CHECK_RC(rille_fetch(o->steps, &test_err), 0); /* as its own call would */
}

static void get(op *o, host h)
{
    if (h == FETCHES) {
        CHECK_RC(rille_fetch(o->steps, &test_err), 0);
    } else if (h == SUPPLIES) {
        supply(o);
    } else {
        int rc = rille_poll(o->steps, &test_err);
        CHECK(rc == 0 || rc == RILLE_NEED);
    }
}

/* One step of one that has not ended. */
static void step_op(op *o)
{
    if (o->steps != NULL && (o->rc == RILLE_AGAIN || o->rc == RILLE_NEED)) {
        o->rc = rille_step(o->steps, 0, &test_err);
        o->needs = o->rc == RILLE_NEED;
    }
}

static bool is_under_way(const op *o)
{
    return o->steps != NULL && (o->rc == RILLE_AGAIN || o->rc == RILLE_NEED);
}

/* Until all have ended. */
static void run_ops(op *ops, int count, host h)
{
    bool goes_on = true;
    for (int rounds = 0; goes_on && rounds < 2000; rounds++) {
        goes_on = false;
        for (int i = 0; i < count; i++) {
            if (is_under_way(&ops[i]) && ops[i].needs) {
                get(&ops[i], h);
                ops[i].needs = h == POLLS_FIRST;
            }
            if (h != POLLS_FIRST) {
                step_op(&ops[i]);
            }
            goes_on = goes_on || is_under_way(&ops[i]);
        }
        for (int i = 0; i < count && h == POLLS_FIRST; i++) {
            step_op(&ops[i]);
        }
    }
    CHECK(!goes_on);
}

static void close_ops(op *ops, int count)
{
    for (int i = 0; i < count; i++) {
        rille_steps_close(ops[i].steps);
        ops[i].steps = NULL;
    }
}

static rille_conn *open_ops(const char *url)
{
    rille_options options = { .create = true };
    rille_conn *conn = NULL;
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    transact(conn, schema);
    return conn;
}

/* The first one's swap is under way when the others come. */
static void begin_ops(rille_conn *conn, op *ops, int count)
{
    for (int i = 0; i < count; i++) {
        start_op(conn, &ops[i], i);
        step_op(&ops[i]);
    }
}

TEST(bundle__of_eight_operations_is_one_swap)
{
    for (host h = FETCHES; h < HOSTS; h++) {
        op ops[1 + WRITERS];
        uint64_t all;
        rille_conn *conn = open_ops("deferred:mem:");
        uint64_t swaps = head_swaps(conn);
        uint64_t reads = head_reads(conn);
        shown = 0;
        begin_ops(conn, ops, 1 + WRITERS);
        run_ops(ops, 1 + WRITERS, h);
        CHECK_EQ_INT(head_swaps(conn) - swaps, 2);
        CHECK_EQ_INT(head_reads(conn) - reads, 0);
        CHECK_EQ_INT(shown, h == SUPPLIES ? 2 : 0);
        for (int i = 0; i <= WRITERS; i++) {
            CHECK_RC(ops[i].rc, RILLE_DONE);
            CHECK_EQ_INT(count_number(conn, i, &all), 1);
        }
        CHECK_EQ_INT(all, 1 + WRITERS);
        close_ops(ops, 1 + WRITERS);
        verify(conn);
        rille_close(conn);
    }
}

/* One of them is cancelled or closed, at each point; the others are there once, and it is there at most once. */
static bool interrupt_at(const char *url, int point, int victim, bool cancels, host h)
{
    enum { COUNT = 4 };
    op ops[COUNT];
    uint64_t all;
    uint64_t expected = 0;
    rille_conn *conn = open_ops(url);
    bool was_under_way = false;
    begin_ops(conn, ops, COUNT);
    for (int i = 0; i < point; i++) {
        op *o = &ops[i / 2 % COUNT];
        if (is_under_way(o) && o->needs && i % 2 == 0) {
            get(o, h);
        } else if (i % 2 == 1) {
            step_op(o);
        }
    }
    was_under_way = is_under_way(&ops[victim]);
    if (cancels) {
        rille_steps_cancel(ops[victim].steps);
    } else {
        rille_steps_close(ops[victim].steps);
        ops[victim].steps = NULL;
    }
    run_ops(ops, COUNT, h);
    for (int i = 0; i < COUNT; i++) {
        uint64_t there = count_number(conn, i, &all);
        expected += there;
        if (i != victim) {
            CHECK_RC(ops[i].rc, RILLE_DONE);
            CHECK_EQ_INT(there, 1);
        } else if (ops[i].rc == RILLE_DONE) {
            CHECK_EQ_INT(there, 1);
        } else {
            CHECK(!cancels || ops[i].rc == RILLE_CANCELLED);
        }
    }
    CHECK_EQ_INT(all, expected);
    transact(conn, "[{:n 77}]"); /* nothing is left behind */
    close_ops(ops, COUNT);
    verify(conn);
    rille_close(conn);
    return was_under_way;
}

TEST(bundle__can_be_left_at_each_point)
{
    for (int point = 0; point < 40; point++) {
        for (int victim = 0; victim < 4; victim++) {
            for (int how = 0; how < 4; how++) {
                (void)interrupt_at("deferred:mem:", point, victim, how % 2 == 0, how < 2 ? FETCHES : POLLS);
            }
        }
    }
}

/* What was not sent is taken out. */
TEST(bundle__loses_what_is_closed_before_it_is_sent)
{
    op ops[3];
    uint64_t all;
    rille_conn *conn = open_ops("deferred:mem:");
    begin_ops(conn, ops, 3);
    rille_steps_close(ops[1].steps);
    ops[1].steps = NULL;
    run_ops(ops, 3, FETCHES);
    CHECK_EQ_INT(count_number(conn, 0, NULL), 1);
    CHECK_EQ_INT(count_number(conn, 1, NULL), 0);
    CHECK_EQ_INT(count_number(conn, 2, &all), 1);
    CHECK_EQ_INT(all, 2);
    close_ops(ops, 3);
    rille_close(conn);
}

/* Operations that are left alone, one with its swap under way, block neither a call nor another operation, of any host. */
TEST(bundle__that_is_left_alone_blocks_nobody)
{
    for (host h = FETCHES; h < POLLS_FIRST; h++) {
        op ops[4];
        rille_conn *conn = open_ops("deferred:mem:");
        begin_ops(conn, ops, 2);
        if (h == FETCHES) {
            transact(conn, "[{:n 50}]");
            CHECK_EQ_INT(count_number(conn, 50, NULL), 1);
        }
        start_op(conn, &ops[2], 60);
        run_ops(ops + 2, 1, h);
        CHECK_RC(ops[2].rc, RILLE_DONE);
        CHECK_EQ_INT(count_number(conn, 60, NULL), 1);
        run_ops(ops, 2, h); /* and they end well */
        CHECK_RC(ops[0].rc, RILLE_DONE);
        CHECK_RC(ops[1].rc, RILLE_DONE);
        CHECK_EQ_INT(count_number(conn, 0, NULL) + count_number(conn, 1, NULL), 2);
        close_ops(ops, 3);
        verify(conn);
        rille_close(conn);
    }
}

/* Each swap in turn is lost, not sent, or refused because another connection was first. */
TEST(bundle__of_operations_survives_each_fault)
{
    static const char *const faults[] = { "lost", "unsent", "io", "after" };
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (int at = 4; at < 14; at++) {
            for (host h = FETCHES; h < HOSTS; h++) {
                op ops[1 + WRITERS];
                char url[96];
                (void)snprintf(url, sizeof url, "faulty:%s/head_swap/%d;deferred:mem:", faults[f], at);
                rille_conn *conn = open_ops(url);
                begin_ops(conn, ops, 1 + WRITERS);
                run_ops(ops, 1 + WRITERS, h);
                for (int i = 0; i <= WRITERS; i++) {
                    uint64_t there = count_number(conn, i, NULL);
                    CHECK(ops[i].rc == RILLE_DONE || (f >= 2 && ops[i].rc == RILLE_IO));
                    CHECK(ops[i].rc != RILLE_DONE || there == 1);
                    CHECK(ops[i].rc == RILLE_DONE || f == 3 || there == 0);
                }
                close_ops(ops, 1 + WRITERS);
                for (int i = 0; i < 3; i++) { /* one may meet the fault */
                    (void)rille_transact(conn, "[{:s \"x\"}]", 10, NULL, NULL);
                }
                transact(conn, "[{:n 78}]");
                verify(conn);
                rille_close(conn);
            }
        }
    }
}

TEST(bundle__begins_again_when_another_connection_was_first)
{
    for (host h = FETCHES; h < HOSTS; h++) {
        op ops[1 + WRITERS];
        rille_options options = { 0 };
        rille_conn *other = NULL;
        rille_conn *conn = open_ops("deferred:mem:two");
        REQUIRE_RC(rille_connect("deferred:mem:two", &options, &other, &test_err), 0);
        transact(other, "[{:n 3}]"); /* one of the numbers is taken, too */
        begin_ops(conn, ops, 1 + WRITERS);
        run_ops(ops, 1 + WRITERS, h);
        for (int i = 0; i <= WRITERS; i++) {
            CHECK_RC(ops[i].rc, i == 3 ? RILLE_TX_UNIQUE : RILLE_DONE);
            CHECK_EQ_INT(count_number(other, i, NULL), 1);
        }
        close_ops(ops, 1 + WRITERS);
        verify(conn);
        rille_close(other);
        rille_close(conn);
        CHECK_RC(rille_drop("deferred:mem:two", &test_err), 0);
    }
}

/* ---- what is known need not be read ---- */

TEST(commit__to_far_storage_is_a_swap_and_nothing_else)
{
    rille_conn *conn = open_ops("deferred:mem:");
    uint64_t swaps = head_swaps(conn);
    uint64_t reads = head_reads(conn);
    for (int i = 0; i < 5; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "[{:n %d}]", i);
        transact(conn, text);
    }
    CHECK_EQ_INT(head_swaps(conn) - swaps, 5);
    CHECK_EQ_INT(head_reads(conn) - reads, 0);
    CHECK_EQ_INT(count_number(conn, 4, NULL), 1);
    rille_close(conn);
}

/* What is refused on an old value is looked at again on the newest one. */
TEST(commit__is_not_refused_because_of_what_was_known)
{
    rille_options options = { 0 };
    rille_conn *other = NULL;
    rille_conn *conn = open_ops("deferred:mem:known");
    REQUIRE_RC(rille_connect("deferred:mem:known", &options, &other, &test_err), 0);
    transact(conn, "[{:db/id \"a\" :n 1 :s \"x\"}]");
    transact(other, "[[:db.fn/cas [:n 1] :s \"x\" \"y\"]]"); /* does not know of :n 1 yet */
    transact(conn, "[[:db.fn/cas [:n 1] :s \"y\" \"z\"]]");  /* knows "x" */
    transact(other, "[[:db/retract [:n 1] :n 1] {:n 2}]");   /* knows "y" */
    transact(conn, "[{:n 1}]");                              /* knows that it is taken */
    transact(other, "[{:db/ident :late :db/valueType :db.type/long}]");
    transact(conn, "[{:late 5}]"); /* does not know the attribute */
    uint64_t reads = head_reads(conn);
    const char *text = "[{:n 2}]";
    CHECK_RC(rille_transact(conn, text, strlen(text), NULL, &test_err), RILLE_TX_UNIQUE);
    CHECK_EQ_INT(head_reads(conn) - reads, 1); /* one look before it says no */
    rille_close(other);
    verify(conn);
    rille_close(conn);
    CHECK_RC(rille_drop("deferred:mem:known", &test_err), 0);
}

/* Where the head is near, it is read first: a lost race costs more than that. */
TEST(commit__to_near_storage_reads_the_head_once)
{
    rille_conn *conn = open_ops("mem:");
    uint64_t swaps = head_swaps(conn);
    uint64_t reads = head_reads(conn);
    transact(conn, "[{:n 1}]");
    CHECK_EQ_INT(head_swaps(conn) - swaps, 1);
    CHECK_EQ_INT(head_reads(conn) - reads, 1);
    rille_close(conn);
}

/* ---- memory ---- */

/* Three operations, of which the later two share a swap. Gives the first failure. */
static int run_three(uint64_t *there)
{
    op ops[3] = { { 0 } };
    rille_options options = { .create = true };
    rille_conn *conn = NULL;
    rille_err err = { 0 };
    int rc = rille_connect("deferred:mem:", &options, &conn, &err);
    rc = rc == 0 ? rille_transact(conn, schema, strlen(schema), NULL, &err) : rc;
    for (int i = 0; i < 3 && rc == 0; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "[{:n %d}]", i);
        ops[i].rc = RILLE_AGAIN;
        rc = rille_start_transact(conn, text, strlen(text), &ops[i].steps, &err);
        if (rc == 0) {
            ops[i].rc = rille_step(ops[i].steps, 0, &err);
        }
    }
    for (int rounds = 0; rounds < 200; rounds++) {
        for (int i = 0; i < 3; i++) {
            if (is_under_way(&ops[i])) {
                if (ops[i].rc == RILLE_NEED) {
                    (void)rille_fetch(ops[i].steps, &err); /* fails for want of memory: then again */
                }
                ops[i].rc = rille_step(ops[i].steps, 0, &err);
            }
        }
    }
    long long from = atomic_exchange(&test_state.fail_from, -1);
    *there = 0;
    for (int i = 0; i < 3; i++) {
        if (ops[i].steps != NULL) {
            CHECK(ops[i].rc == RILLE_DONE || ops[i].rc == RILLE_NOMEM);

            uint64_t own = count_number(conn, i, NULL);
            CHECK(own == 1 || ops[i].rc != RILLE_DONE); /* never acknowledged and lost */
            CHECK(own == 0 || ops[i].rc == RILLE_DONE); /* never refused and there */

            *there += own;
            rc = rc == 0 && ops[i].rc != RILLE_DONE ? ops[i].rc : rc;
        }
    }
    if (conn != NULL) {
        transact(conn, schema); /* it goes on, whatever happened */
        verify(conn);
    }
    close_ops(ops, 3);
    rille_close(conn);
    atomic_store(&test_state.fail_from, from);
    return rc;
}

static int run_three_or_fail(void)
{
    uint64_t there;
    return run_three(&there);
}

TEST(bundle__copes_with_each_allocation_that_fails)
{
    TEST_FAULT_SWEEP(run_three_or_fail());
}

TEST_MAIN(bundle__of_eight_threads_is_one_swap, bundle__is_not_affected_by_a_member_that_is_refused,
          bundle__whose_swap_fails_tells_each_member_the_truth, bundle__of_eight_operations_is_one_swap,
          bundle__can_be_left_at_each_point, bundle__loses_what_is_closed_before_it_is_sent,
          bundle__that_is_left_alone_blocks_nobody, bundle__of_operations_survives_each_fault,
          bundle__begins_again_when_another_connection_was_first, commit__to_far_storage_is_a_swap_and_nothing_else,
          commit__is_not_refused_because_of_what_was_known, commit__to_near_storage_reads_the_head_once,
          bundle__copes_with_each_allocation_that_fails)
