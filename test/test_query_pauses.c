/* SPDX-License-Identifier: MIT
 *
 * Operations besides queries pause: however often, and wherever, they give what they give at once; between two looks at
 * the budget they do little; and what is left, cancelled or closed there leaves nothing behind.
 */
#include "../src/core/db/commit_own.h"
#include "../src/core/db/flush_own.h"
#include "../src/core/query/api_own.h"
#include "harness.h"
#include "test_pauses.h"

#include <stdarg.h>

/* Of one unit: between two looks lies RI_TASK_WORK, and one unit. */
#define WORK_MAX RI_TASK_WORK
#define POINTS_MAX 30U /* of interruption, that are tried one by one */

static const char schema[] =
    "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/long :db/index true}"
    " {:db/ident :s :db/valueType :db.type/string}"
    " {:db/ident :many :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
    " {:db/ident :up :db/valueType :db.type/ref}"
    " {:db/ident :part :db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}]";

/* ---- texts ---- */

typedef void (*writer)(ri_buf *out, unsigned i, unsigned count);

static void put(ri_buf *out, const char *format, ...) RI_PRINTF(2, 3);
static void put(ri_buf *out, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ri_buf_put_text(out, text);
}

static void made(ri_buf *out, unsigned i, unsigned count)
{
    put(out, "{:id %u :n %u :s \"name %u\" :up 1 :many [%u %u]}", count + i, i * 7919 % 1000, i, i, i + 1);
}

static void upserted(ri_buf *out, unsigned i, unsigned count)
{
    put(out, "{:id %u :n %u :s \"again %u\" :up [:id %u]}", i * 7919 % count, i, i % 3, i);
}

static void tempids(ri_buf *out, unsigned i, unsigned count)
{
    unsigned k = i * 7919 % count;
    put(out, "{:db/id \"t%u\" :id %u :n %u :up \"t%u\"}", k, 3 * count + k, i, (k + 1) % count);
}

static void retracted(ri_buf *out, unsigned i, unsigned count)
{
    put(out, i % 2 == 0 ? "[:db/retractEntity [:id %u]]" : "[:db/retract [:id %u] :n]", i * 7919 % count);
}

static void first(ri_buf *out, unsigned i, unsigned count)
{
    put(out, "{:id %u :n %u :s \"first %u\" :part [{:n %u :part [{:n 5}]} {:n 6}]}", i, i, i % 10, count);
}

static void long_values(ri_buf *out, unsigned i, unsigned count)
{
    put(out, "{:id %u :s \"%0200u%0200u\"}", count + i, i, i);
}

static ri_buf text_of(writer write, unsigned count)
{
    ri_buf out = { 0 };
    ri_buf_put_text(&out, "[");
    for (unsigned i = 0; i < count; i++) {
        write(&out, i, count);
    }
    ri_buf_put_text(&out, "]");
    REQUIRE(!out.failed);
    return out;
}

/* ---- databases ---- */

static rille_conn *make(const char *url, writer write, unsigned count, uint32_t novelty_min)
{
    rille_conn *conn = NULL;
    ri_conn_options options = { .must_create = true, .flush = RI_FLUSH_MANUAL, .novelty_min = novelty_min };
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(rille_transact(conn, schema, strlen(schema), NULL, &test_err), 0);
    if (write != NULL) {
        ri_buf text = text_of(write, count);
        REQUIRE_RC(rille_transact(conn, (const char *)text.p, text.len, NULL, &test_err), 0);
        ri_buf_deinit(&text);
    }
    return conn;
}

/* Everything but when it was. */
static uint64_t contents(const rille_db *db)
{
    ri_scan scan;
    ri_io io = { 0 };
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    uint64_t hash = 1;
    int rc = 0;
    ri_scan_init(&scan, db, RI_EAVT);
    ri_scan_set(&scan, &from, &to);
    while (rc == 0 || rc == RILLE_NEED) {
        ri_run run;
        rc = ri_scan_next(&scan, &run, &io, &test_err);
        if (rc == RILLE_NEED) {
            REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
        }
        for (uint32_t i = 0; rc == 0 && i < ri_run_count(&run); i++) {
            ri_datom d;
            if (run.leaf != NULL) {
                ri_node_datom(run.leaf, run.from + i, &d);
            } else {
                d = *run.rows[i];
            }
            if (d.a != RI_A_TX_INSTANT) {
                hash = ri_mix64(hash + ri_mix64(d.e * 64 + d.a) + ri_mix64(d.t) + ri_value_hash(&d.v));
            }
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
    return hash;
}

static uint64_t contents_of(rille_conn *conn)
{
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    uint64_t hash = contents(db);
    rille_db_release(db);
    return hash;
}

/* ---- pauses ---- */

static void let_pause(rille_steps *steps, pauses *p)
{
    steps->task.interrupt = pauses_interrupt;
    steps->task.interrupt_context = p;
}

/* Steps until it paused as it is told to, or ended. */
static int step_on(rille_steps *steps)
{
    int rc = rille_step(steps, 0, &test_err);
    if (rc == RILLE_NEED) {
        CHECK(rille_steps_wants(steps) > 0);
        CHECK_RC(rille_fetch(steps, &test_err), 0);
    }
    return rc;
}

/* ---- transactions ---- */

typedef struct tx_case {
    const char *name;
    writer before;
    writer write;
    unsigned count;
    uint32_t novelty_min;
    unsigned units_min; /* that it takes */
} tx_case;

static const tx_case tx_cases[] = {
    { "made", NULL, made, 140, 0, 155 },
    { "upserted", first, upserted, 150, 0, 218 },
    { "tempids", NULL, tempids, 150, 0, 176 },
    { "retracted", first, retracted, 80, 0, 150 },
    { "long values", NULL, long_values, 100, 0, 100 },
    { "spilled", made, made, 400, 0, 400 },
    { "into the trees", first, upserted, 200, 300, 200 },
};
enum { TX_CASES = sizeof tx_cases / sizeof *tx_cases };

static const char *prefix = "";

static rille_conn *make_case(const tx_case *c)
{
    static unsigned number;
    char url[64];
    (void)snprintf(url, sizeof url, "%smem:query_pauses_%u", prefix, number++);
    return make(url, c->before, c->count, c->novelty_min);
}

static void drop_case(rille_conn *conn)
{
    char url[64];
    (void)snprintf(url, sizeof url, "%s", ri_conn_url(conn));
    rille_close(conn);
    REQUIRE_RC(rille_drop(url, &test_err), 0);
}

static rille_steps *start_case(const tx_case *c, rille_conn *conn, pauses *p)
{
    rille_steps *steps = NULL;
    ri_buf text = text_of(c->write, c->count);
    REQUIRE_RC(rille_start_transact(conn, (const char *)text.p, text.len, &steps, &test_err), 0);
    ri_buf_deinit(&text);
    let_pause(steps, p);
    return steps;
}

/* What the transaction gives when it pauses so. `other`, if given, is committed at the first pause. */
static uint64_t run_case(const tx_case *c, pauses *p, const char *other)
{
    rille_conn *conn = make_case(c);
    rille_steps *steps = start_case(c, conn, p);
    int rc = RILLE_AGAIN;
    for (int i = 0; i < 10000 && (rc == RILLE_AGAIN || rc == RILLE_NEED); i++) {
        rc = step_on(steps);
        if (rc == RILLE_AGAIN && other != NULL) {
            REQUIRE_RC(rille_transact(conn, other, strlen(other), NULL, &test_err), 0);
            other = NULL;
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK(steps->task.work_max <= WORK_MAX);
    rille_steps_close(steps);
    uint64_t hash = contents_of(conn);
    CHECK_RC(ri_conn_verify(conn, &(ri_verify_report){ 0 }, &test_err), 0);
    drop_case(conn);
    return hash;
}

static unsigned stride_of(unsigned units)
{
    return units / POINTS_MAX + 1;
}

static uint64_t at_once(const tx_case *c)
{
    rille_conn *conn = make_case(c);
    ri_buf text = text_of(c->write, c->count);
    REQUIRE_RC(rille_transact(conn, (const char *)text.p, text.len, NULL, &test_err), 0);
    ri_buf_deinit(&text);
    uint64_t contents = contents_of(conn);
    drop_case(conn);
    return contents;
}

TEST(pauses__change_nothing_of_a_transaction)
{
    for (size_t i = 0; i < TX_CASES; i++) {
        const tx_case *c = &tx_cases[i];
        uint64_t expected = at_once(c);
        pauses each = { .at = EACH };
        CHECK(run_case(c, &each, NULL) == expected);
        CHECK(each.count >= c->units_min);
        printf("  %s: %u pauses\n", c->name, each.count);
        for (unsigned at = 0; at < each.count; at += stride_of(each.count)) {
            pauses one = { .at = at };
            CHECK(run_case(c, &one, NULL) == expected);
            CHECK_EQ_INT(one.count, 1);
        }
    }
}

typedef struct flush_looks {
    rille_steps *steps;
    size_t done; /* datoms that the flush had gathered and turned into changes at the last look at the budget */
    size_t most; /* between two */
} flush_looks;

static bool look_at_flush(void *context)
{
    flush_looks *looks = context;
    const ri_flush *flush = looks->steps->kept == NULL ? NULL : looks->steps->kept->flush;
    size_t done = flush == NULL ? 0 : flush->sort.count + flush->change_count;
    looks->most = done > looks->done && done - looks->done > looks->most ? done - looks->done : looks->most;
    looks->done = done;
    return true;
}

/* A transaction that goes to the trees by itself comes there in portions, however many datoms it has. */
TEST(pauses__divide_each_phase_of_a_large_transaction)
{
    static const tx_case cases[] = { { "large", first, made, 4000, 3000, 4980 },
                                     { "large, tempids", made, tempids, 4000, 3000, 5220 },
                                     { "large, retracted", first, retracted, 1200, 600, 6680 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tx_case *c = &cases[i];
        uint64_t expected = at_once(c);
        pauses each = { .at = EACH };
        CHECK(run_case(c, &each, NULL) == expected);
        CHECK(each.count >= c->units_min);
        printf("  %s: %u pauses\n", c->name, each.count);
        rille_conn *conn = make_case(c);
        flush_looks looks = { .steps = start_case(c, conn, &each) };
        looks.steps->task.interrupt = look_at_flush;
        looks.steps->task.interrupt_context = &looks;
        while (step_on(looks.steps) == RILLE_AGAIN) {
        }
        CHECK_RC(step_on(looks.steps), RILLE_DONE);
        CHECK(looks.most > 0 && looks.most <= RI_FLUSH_PORTION);
        rille_steps_close(looks.steps);
        drop_case(conn);
    }
}

/* Wherever another commit comes first, it is as if it had come before. */
TEST(pauses__let_others_commit_first)
{
    static const char other[] = "[{:id 1000001 :n 1} {:id 1000002 :n 2}]";
    for (size_t i = 0; i < TX_CASES; i++) {
        const tx_case *c = &tx_cases[i];
        rille_conn *conn = make_case(c);
        ri_buf text = text_of(c->write, c->count);
        REQUIRE_RC(rille_transact(conn, other, strlen(other), NULL, &test_err), 0);
        REQUIRE_RC(rille_transact(conn, (const char *)text.p, text.len, NULL, &test_err), 0);
        ri_buf_deinit(&text);
        uint64_t after = contents_of(conn);
        drop_case(conn);
        pauses each = { .at = EACH };
        (void)run_case(c, &each, NULL);
        for (unsigned at = 0; at < each.count; at += 2 * stride_of(each.count)) {
            pauses one = { .at = at };
            CHECK(run_case(c, &one, other) == after);
        }
    }
}

/* At each pause in turn: cancelled, then closed; and closed. */
TEST(pauses__leave_nothing_behind)
{
    for (size_t i = 0; i < TX_CASES; i++) {
        const tx_case *c = &tx_cases[i];
        rille_conn *conn = make_case(c);
        uint64_t before = contents_of(conn);
        pauses all = { .at = EACH };
        (void)run_case(c, &all, NULL);
        drop_case(conn);
        conn = make_case(c);
        for (unsigned at = 0; at < all.count; at += stride_of(all.count)) {
            pauses one = { .at = at };
            rille_steps *steps = start_case(c, conn, &one);
            CHECK_RC(step_on(steps), RILLE_AGAIN);
            if (at % 2 == 0) {
                rille_steps_cancel(steps);
                CHECK_RC(step_on(steps), RILLE_CANCELLED);
            }
            rille_steps_close(steps);
        }
        CHECK(contents_of(conn) == before);
        drop_case(conn);
    }
}

/* Others commit at each pause: it is done nevertheless. */
TEST(pauses__do_not_starve_a_transaction)
{
    rille_conn *conn = make_case(&tx_cases[0]);
    pauses each = { .at = EACH };
    rille_steps *steps = start_case(&tx_cases[0], conn, &each);
    int rc = RILLE_AGAIN;
    for (int i = 0; i < 1000 && rc == RILLE_AGAIN; i++) {
        rc = step_on(steps);
        if (rc == RILLE_AGAIN) {
            REQUIRE_RC(rille_transact(conn, "[{:n 1}]", 8, NULL, &test_err), 0);
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK(steps->tries > 0 && steps->tries < 20);
    rille_steps_close(steps);
    drop_case(conn);
}

/* Where it pauses after each unit, with each allocation failing in turn. */
static int transact_without_memory(const tx_case *c)
{
    pauses each = { .at = EACH };
    rille_conn *conn = NULL;
    rille_steps *steps = NULL;
    ri_conn_options options = { .must_create = true, .flush = RI_FLUSH_MANUAL, .novelty_min = c->novelty_min / 16 };
    ri_buf text = { 0 };
    int rc = ri_conn_open("mem:", &options, &conn, &test_err);
    rc = rc == 0 ? rille_transact(conn, schema, strlen(schema), NULL, &test_err) : rc;
    ri_buf_put_text(&text, "[");
    for (unsigned i = 0; i < 8; i++) {
        c->write(&text, i, 8);
    }
    ri_buf_put_text(&text, "]");
    rc = rc == 0 && text.failed ? RILLE_NOMEM : rc;
    rc = rc == 0 ? rille_start_transact(conn, (const char *)text.p, text.len, &steps, &test_err) : rc;
    ri_buf_deinit(&text);
    for (int i = 0; i < 10000 && (rc == 0 || rc == RILLE_AGAIN); i++) {
        let_pause(steps, &each);
        rc = rille_step(steps, 0, &test_err);
    }
    rille_steps_close(steps);
    rille_close(conn);
    return rc == RILLE_DONE ? 0 : rc;
}

TEST(pauses__cope_without_memory)
{
    static const tx_case cases[] = { { "made", NULL, made, 0, 0, 0 },
                                     { "tempids", NULL, tempids, 0, 0, 0 },
                                     { "into the trees", NULL, made, 0, 320, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TEST_FAULT_SWEEP(transact_without_memory(&cases[i]));
    }
}

/* ---- opening, refreshing and the past ---- */

#define TAIL_TXS 130U
#define TAIL_ITEMS 40U
static unsigned tail_txs = TAIL_TXS; /* or 1, with all items */

typedef struct tail {
    rille_conn *conn;  /* wrote it */
    rille_conn *other; /* has seen the schema only */
    uint64_t contents;
    uint64_t tx;
} tail;

/* Transactions that are not flushed, in several segments; or of which the first half is. */
static tail make_tail(bool flushed)
{
    tail t = { 0 };
    tx_case c = { .name = "tail" };
    t.conn = make_case(&c);
    REQUIRE_RC(rille_connect(ri_conn_url(t.conn), NULL, &t.other, &test_err), 0);
    unsigned items = TAIL_TXS / tail_txs * TAIL_ITEMS;
    for (unsigned i = 0; i < tail_txs; i++) {
        ri_buf text = { 0 };
        ri_buf_put_text(&text, "[");
        for (unsigned k = 0; k < items; k++) {
            put(&text, "{:id %u :n %u :s \"%016llx%016llx\"}", i * items + k, k,
                (unsigned long long)ri_mix64(i * items + k), (unsigned long long)ri_mix64(k * 1000 + i));
        }
        ri_buf_put_text(&text, "]");
        REQUIRE_RC(rille_transact(t.conn, (const char *)text.p, text.len, NULL, &test_err), 0);
        ri_buf_deinit(&text);
        if (flushed && i == TAIL_TXS / 2) {
            REQUIRE_RC(rille_flush(t.conn, &test_err), 0);
        }
    }
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(t.conn, &db, &test_err), 0);
    t.contents = contents(db);
    t.tx = rille_db_tx(db);
    rille_db_release(db);
    return t;
}

static void drop_tail(tail *t)
{
    rille_close(t->other);
    drop_case(t->conn);
}

/* AS_OF: since the newest base; OLD_BASE: before it. */
typedef enum opening { CONNECT, REFRESH, AS_OF, OLD_BASE } opening;

static uint64_t point_of(const tail *t, opening how)
{
    return t->tx - (tail_txs == 1 ? 0 : how == OLD_BASE ? TAIL_TXS / 2 + 3 : 3);
}

static rille_steps *start_opening(const tail *t, opening how, rille_db *db, pauses *p)
{
    rille_steps *steps = NULL;
    switch (how) {
    case CONNECT:
        REQUIRE_RC(rille_start_connect(ri_conn_url(t->conn), NULL, &steps, &test_err), 0);
        break;
    case REFRESH:
        REQUIRE_RC(rille_start_db(t->other, &steps, &test_err), 0);
        break;
    case AS_OF:
    case OLD_BASE:
        REQUIRE_RC(rille_start_as_of(db, point_of(t, how), &steps, &test_err), 0);
        break;
    }
    let_pause(steps, p);
    return steps;
}

/* Its outcome. */
static uint64_t end_opening(rille_steps *steps, opening how)
{
    int rc = RILLE_AGAIN;
    for (int i = 0; i < 10000 && (rc == RILLE_AGAIN || rc == RILLE_NEED); i++) {
        rc = step_on(steps);
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK(steps->task.work_max <= WORK_MAX);
    rille_conn *conn = rille_steps_conn(steps);
    rille_db *db = conn != NULL ? ri_conn_seen_db(conn) : rille_steps_db(steps);
    REQUIRE(db != NULL && (conn != NULL) == (how == CONNECT));
    uint64_t hash = contents(db);
    rille_db_release(db);
    rille_close(conn);
    rille_steps_close(steps);
    return hash;
}

/* Each way of opening, interrupted nowhere, everywhere, at each point, and left, cancelled and closed there. */
static void check_opening(opening how, bool flushed, unsigned units_min)
{
    tail t = make_tail(flushed);
    rille_db *db = NULL;
    rille_db *past = NULL;
    REQUIRE_RC(rille_conn_db(t.conn, &db, &test_err), 0);
    REQUIRE_RC(rille_db_as_of(db, point_of(&t, how), &past, &test_err), 0);
    uint64_t expected = how == AS_OF || how == OLD_BASE ? contents(past) : t.contents;
    pauses each = { .at = EACH };
    CHECK(end_opening(start_opening(&t, how, db, &each), how) == expected);
    CHECK(each.count >= units_min);
    printf("  %d: %u pauses\n", (int)how, each.count);
    for (unsigned at = 0; at < each.count; at += stride_of(each.count)) {
        if (how == REFRESH) { /* it has seen all by now */
            drop_tail(&t);
            rille_db_release(db);
            rille_db_release(past);
            t = make_tail(flushed);
            db = past = NULL;
        }
        pauses one = { .at = at };
        rille_steps *steps = start_opening(&t, how, db, &one);
        CHECK_RC(step_on(steps), RILLE_AGAIN);
        if (at % 3 == 0) {
            CHECK(end_opening(steps, how) == expected);
            continue;
        }
        if (at % 3 == 1) {
            rille_steps_cancel(steps);
            CHECK_RC(step_on(steps), RILLE_CANCELLED);
        }
        rille_steps_close(steps);
    }
    rille_db_release(db);
    rille_db_release(past);
    drop_tail(&t);
}

TEST(pauses__change_nothing_of_opening)
{
    check_opening(CONNECT, false, 5);
    check_opening(CONNECT, true, 2);
    check_opening(REFRESH, false, 5);
    check_opening(REFRESH, true, 2);
    tail_txs = 1;
    check_opening(CONNECT, false, TAIL_TXS * TAIL_ITEMS * 3 / 1024); /* a leaf at a time */
    check_opening(REFRESH, false, TAIL_TXS * TAIL_ITEMS * 3 / 1024);
    tail_txs = TAIL_TXS;
}

TEST(pauses__change_nothing_of_the_past)
{
    check_opening(AS_OF, false, 2 * TAIL_TXS - 10); /* transactions are listed, then replayed */
    check_opening(AS_OF, true, TAIL_TXS - 10);
    check_opening(OLD_BASE, true, 5);
}

/* Where storage answers later, too. */
TEST(pauses__go_with_waiting)
{
    for (size_t i = 0; i < TX_CASES; i++) {
        uint64_t found[2];
        for (int far = 0; far < 2; far++) {
            pauses each = { .at = EACH };
            prefix = far ? "deferred:" : "";
            found[far] = run_case(&tx_cases[i], &each, NULL);
        }
        CHECK(found[0] == found[1]);
    }
    for (opening how = CONNECT; how <= OLD_BASE; how++) {
        uint64_t found[2];
        for (int far = 0; far < 2; far++) {
            rille_db *db = NULL;
            pauses each = { .at = EACH };
            prefix = far ? "deferred:" : "";
            tail t = make_tail(true);
            REQUIRE_RC(rille_conn_db(t.conn, &db, &test_err), 0);
            found[far] = end_opening(start_opening(&t, how, db, &each), how);
            rille_db_release(db);
            drop_tail(&t);
        }
        CHECK(found[0] == found[1]);
    }
    prefix = "";
}

TEST_MAIN(pauses__change_nothing_of_a_transaction, pauses__divide_each_phase_of_a_large_transaction,
          pauses__let_others_commit_first, pauses__leave_nothing_behind, pauses__do_not_starve_a_transaction,
          pauses__cope_without_memory, pauses__change_nothing_of_opening, pauses__change_nothing_of_the_past,
          pauses__go_with_waiting)
