/* SPDX-License-Identifier: MIT
 *
 * The first read of a value makes a set of what is not flushed yet. Where it pauses, the set is made in portions:
 * whatever reads first, however often and wherever it pauses, gives what it gives at once; little is done between two
 * looks at the budget; operations that read the same value make one set; and what is cancelled or closed leaves nothing.
 */
#include "../src/core/query/api_own.h"
#include "../src/core/query/exec.h"
#include "harness.h"
#include "test_pauses.h"

enum { PEOPLE = 2600, SMALL = 5, STEPS_MAX = 20000 }; /* four datoms each */

#define WORK_MAX RI_TASK_WORK

static const char url[] = "mem:first_reads";
static const char schema[] = "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :n :db/valueType :db.type/long :db/index true}"
                             " {:db/ident :tag :db/valueType :db.type/string :db/cardinality :db.cardinality/many}"
                             " {:db/ident :up :db/valueType :db.type/ref}]";

/* ---- databases ---- */

static void transact(rille_conn *conn, const char *edn, size_t len)
{
    REQUIRE_RC(rille_transact(conn, edn, len, NULL, &test_err), 0);
}

/* In transactions of so many. The second half changes and takes back some of the first. */
static rille_conn *make(unsigned together)
{
    rille_conn *conn = NULL;
    rille_options options = { .create = true, .manual_flush = true };
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    transact(conn, schema, strlen(schema));
    for (unsigned i = 0; i < PEOPLE; i += together) {
        ri_buf text = { 0 };
        ri_buf_put_text(&text, "[");
        for (unsigned k = i; k < i + together && k < PEOPLE; k++) {
            char item[160];
            (void)snprintf(item, sizeof item, "{:id %u :n %u :tag \"tag %u\" :up %u}", k * 7919U % PEOPLE, k % 700,
                           k % 300, 1048576 + k % 50);
            ri_buf_put_text(&text, item);
        }
        ri_buf_put_text(&text, "]");
        transact(conn, (const char *)text.p, text.len);
        ri_buf_deinit(&text);
    }
    static const char goes[] = "[[:db/retractEntity [:id 3]] {:id 5 :n 1000 :tag [\"a\" \"b\"]}]";
    static const char comes[] = "[{:id 3 :n 4}]";
    transact(conn, goes, strlen(goes));
    transact(conn, comes, strlen(comes));
    return conn;
}

static void drop(rille_conn *conn)
{
    rille_close(conn);
    REQUIRE_RC(rille_drop(url, &test_err), 0);
}

/* A value that nobody has read, and its connection. */
static rille_db *unread(rille_conn **conn)
{
    rille_db *db = NULL;
    REQUIRE_RC(rille_connect(url, NULL, conn, &test_err), 0);
    REQUIRE_RC(rille_conn_db(*conn, &db, &test_err), 0);
    return db;
}

/* ---- readers ---- */

typedef enum reader { DATOMS, SEEK, RANGE, COUNT, VAET, QUERY, JOIN, WITH, RETRACT, READERS } reader;

static const char *const reader_names[READERS] = { "datoms", "seek", "range", "count",  "vaet",
                                                   "query",  "join", "with",  "retract" };

static int start_query(rille_db *db, const char *text, rille_steps **out)
{
    rille_query *query = NULL;
    rille_input input = { .db = db };
    int rc = rille_prepare(text, strlen(text), &query, &test_err);
    rc = rc == 0 ? rille_start(query, &input, 1, out, &test_err) : rc;
    rille_query_close(query);
    return rc;
}

/* More than are looked up before a set is worth it. */
static int start_with(reader how, rille_db *db, rille_steps **out)
{
    ri_buf text = { 0 };
    ri_buf_put_text(&text, "[");
    for (unsigned i = 0; i < 24; i++) {
        char item[100];
        (void)snprintf(item, sizeof item,
                       how == WITH  ? "{:id %u :n 7 :tag \"new\" :up [:id 77]}"
                       : i % 2 == 0 ? "[:db/retractEntity [:id %u]]"
                                    : "[:db/retract [:id %u] :tag]",
                       i * 97 + 1);
        ri_buf_put_text(&text, item);
    }
    ri_buf_put_text(&text, "]");
    int rc = text.failed ? RILLE_NOMEM : rille_start_with(db, (const char *)text.p, text.len, out, &test_err);
    ri_buf_deinit(&text);
    return rc;
}

static int start(reader how, rille_db *db, rille_steps **out)
{
    const rille_value five = { .type = RILLE_TYPE_LONG, .u.i = 5 };
    const rille_value name = { .type = RILLE_TYPE_KEYWORD, .u.bytes = (const uint8_t *)"n", .len = 1 };
    *out = NULL;
    switch (how) {
    case DATOMS:
        return rille_start_datoms(db, "eavt", NULL, 0, out, &test_err);
    case SEEK:
        return rille_start_seek_datoms(db, "aevt", &name, 1, out, &test_err);
    case RANGE:
        return rille_start_index_range(db, "n", &five, NULL, out, &test_err);
    case COUNT:
        return rille_start_count(db, "aevt", &name, 1, out, &test_err);
    case VAET:
        return rille_start_datoms(db, "vaet", NULL, 0, out, &test_err);
    case QUERY:
        return start_query(db, "[:find ?e ?n :where [?e :n ?n] [(< ?n 9)]]", out);
    case JOIN:
        return start_query(db, "[:find ?id ?n :where [?e :id ?id] [?e :up ?u] [?u :n ?n] [?e :tag \"tag 7\"]]", out);
    case WITH:
    case RETRACT:
        return start_with(how, db, out);
    case READERS:
        break;
    }
    return RILLE_MISUSE;
}

static void let_pause(rille_steps *steps, pauses *p)
{
    if (steps->op != NULL) {
        steps->op->options.interrupt = pauses_interrupt;
        steps->op->options.context = p;
    } else {
        steps->task.interrupt = pauses_interrupt;
        steps->task.interrupt_context = p;
    }
}

static uint64_t work_of(const rille_steps *steps)
{
    return steps->op != NULL ? steps->op->pauses.work_max : steps->task.work_max;
}

/* The order of rows may depend on where it pauses, in queries. */
static void add_rows(const rille_steps *steps, uint64_t *hash)
{
    for (size_t row = 0; row < rille_steps_rows(steps); row++) {
        uint64_t own = 1;
        for (size_t column = 0; column < steps->column_count; column++) {
            rille_value v = rille_steps_get(steps, row, column);
            bool is_word = v.type == RILLE_TYPE_LONG || v.type == RILLE_TYPE_REF;
            own = ri_mix64(own + (is_word ? (uint64_t)v.u.i : v.len));
        }
        *hash += own;
    }
}

static int step(rille_steps *steps, uint64_t *hash)
{
    int rc = rille_step(steps, 0, &test_err);
    if (rc == RILLE_NEED) {
        CHECK(rille_steps_wants(steps) > 0);
        return rille_fetch(steps, &test_err);
    }
    if (rc == RILLE_ROWS) {
        add_rows(steps, hash);
    }
    return rc;
}

/* What it found, and where it committed. */
static uint64_t outcome(rille_steps *steps, uint64_t hash)
{
    rille_db *db = rille_steps_db(steps);
    uint64_t count = 0;
    if (db != NULL) {
        ri_io io = { 0 };
        ri_bound from = ri_bound_all(false);
        ri_bound to = ri_bound_all(true);
        CHECK_RC(ri_db_count(db, RI_EAVT, &from, &to, &io, &count, &test_err), 0);
        ri_io_deinit(&io);
        rille_db_release(db);
    }
    return hash + rille_steps_number(steps) * 31 + count;
}

static uint64_t run(reader how, rille_db *db, pauses *p)
{
    rille_steps *steps = NULL;
    uint64_t hash = 0;
    int rc = RILLE_AGAIN;
    REQUIRE_RC(start(how, db, &steps), 0);
    if (p != NULL) {
        let_pause(steps, p);
    }
    for (unsigned i = 0; i < STEPS_MAX && rc >= 0 && rc != RILLE_DONE; i++) {
        rc = step(steps, &hash);
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK(work_of(steps) <= WORK_MAX);
    hash = outcome(steps, hash);
    rille_steps_close(steps);
    return hash;
}

/* ---- tests ---- */

static uint64_t run_unread(reader how, pauses *p)
{
    rille_conn *conn;
    rille_db *db = unread(&conn);
    uint64_t hash = run(how, db, p);
    rille_db_release(db);
    rille_close(conn);
    return hash;
}

/* At this pause it is cancelled, or closed. */
static void leave(reader how, unsigned at)
{
    rille_conn *conn;
    rille_steps *steps = NULL;
    rille_db *db = unread(&conn);
    pauses one = { .at = at };
    uint64_t hash = 0;
    REQUIRE_RC(start(how, db, &steps), 0);
    let_pause(steps, &one);
    int rc = RILLE_AGAIN;
    for (unsigned i = 0; i < STEPS_MAX && one.count == 0 && rc >= 0; i++) {
        rc = step(steps, &hash);
    }
    CHECK_EQ_INT(one.count, 1);
    if (at % 2 == 0) {
        rille_steps_cancel(steps);
        CHECK_RC(step(steps, &hash), RILLE_CANCELLED);
    }
    rille_steps_close(steps);
    rille_db_release(db);
    rille_close(conn);
}

static void check_readers(unsigned together)
{
    rille_conn *conn = make(together);
    for (reader how = DATOMS; how < READERS; how++) {
        uint64_t expected = run_unread(how, NULL);
        pauses each = { .at = EACH };
        CHECK(run_unread(how, &each) == expected);
        CHECK(each.count >= 6);
        printf("  %s, %u together: %u pauses\n", reader_names[how], together, each.count);
        unsigned stride = each.count / 12 + 1;
        for (unsigned at = 0; at < each.count; at += stride) {
            pauses one = { .at = at };
            CHECK(run_unread(how, &one) == expected);
            leave(how, at);
        }
    }
    drop(conn);
}

TEST(first_read__pauses_in_one_large_transaction)
{
    check_readers(PEOPLE);
}

TEST(first_read__pauses_in_many_small_transactions)
{
    check_readers(SMALL);
}

/* Units that it takes `count` operations to read one value, a step each in turn. */
static unsigned units_of(reader how, unsigned count, uint64_t expected)
{
    enum { MOST = 8 };
    rille_conn *conn;
    rille_db *db = unread(&conn);
    rille_steps *steps[MOST] = { NULL };
    uint64_t hashes[MOST] = { 0 };
    int rc[MOST] = { 0 };
    pauses each = { .at = EACH };
    unsigned left = count;
    for (unsigned i = 0; i < count; i++) {
        REQUIRE_RC(start(how, db, &steps[i]), 0);
        let_pause(steps[i], &each);
    }
    for (unsigned round = 0; round < STEPS_MAX && left > 0; round++) {
        unsigned i = round % count;
        if (rc[i] != RILLE_DONE) {
            rc[i] = step(steps[i], &hashes[i]);
            REQUIRE(rc[i] >= 0);
            left -= rc[i] == RILLE_DONE;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK_RC(rc[i], RILLE_DONE);
        CHECK(outcome(steps[i], hashes[i]) == expected);
        rille_steps_close(steps[i]);
    }
    rille_db_release(db);
    rille_close(conn);
    return each.count;
}

/* Together they make each set once; what each does besides is what it does after another has made them. */
TEST(first_read__is_shared_by_operations)
{
    rille_conn *conn = make(PEOPLE);
    for (reader how = DATOMS; how < READERS; how++) {
        uint64_t expected = run_unread(how, NULL);
        rille_conn *own;
        rille_db *db = unread(&own);
        pauses first = { .at = EACH };
        pauses second = { .at = EACH };
        CHECK(run(how, db, &first) == expected);
        CHECK(run(how, db, &second) == expected);
        rille_db_release(db);
        rille_close(own);
        CHECK(first.count > second.count);
        unsigned units = units_of(how, 8, expected);
        unsigned most = first.count + 7 * (second.count + 3);
        printf("  %s: %u units, then %u; eight together %u\n", reader_names[how], first.count, second.count, units);
        CHECK(units <= most);
    }
    drop(conn);
}

/* The last of several operations to be closed frees what they have made, whichever goes on. */
TEST(first_read__goes_on_when_another_is_closed)
{
    rille_conn *conn = make(PEOPLE);
    rille_conn *own;
    rille_db *db = unread(&own);
    uint64_t expected = run(DATOMS, db, NULL);
    rille_db_release(db);
    rille_close(own);
    for (unsigned before = 1; before < 12; before++) {
        db = unread(&own);
        rille_steps *a = NULL;
        rille_steps *b = NULL;
        uint64_t hash = 0;
        pauses each = { .at = EACH };
        REQUIRE_RC(start(DATOMS, db, &a), 0);
        REQUIRE_RC(start(DATOMS, db, &b), 0);
        let_pause(a, &each);
        let_pause(b, &each);
        for (unsigned i = 0; i < before; i++) {
            CHECK_RC(step(a, &hash), RILLE_AGAIN);
        }
        CHECK_RC(step(b, &hash), RILLE_AGAIN);
        rille_steps_close(a);
        rille_db_release(db); /* it lives on in the operation */
        rille_close(own);
        int rc = RILLE_AGAIN;
        for (unsigned i = 0; i < STEPS_MAX && rc >= 0 && rc != RILLE_DONE; i++) {
            rc = step(b, &hash);
        }
        CHECK_RC(rc, RILLE_DONE);
        CHECK(outcome(b, hash) == expected);
        rille_steps_close(b);
    }
    drop(conn);
}

static reader reads_without_memory;

/* Pausing after each unit, with each allocation failing in turn. */
static int read_without_memory(void)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_steps *steps = NULL;
    pauses each = { .at = EACH };
    uint64_t hash = 0;
    int rc = rille_connect(url, NULL, &conn, &test_err);
    rc = rc == 0 ? rille_conn_db(conn, &db, &test_err) : rc;
    rc = rc == 0 ? start(reads_without_memory, db, &steps) : rc;
    for (unsigned i = 0; i < STEPS_MAX && rc >= 0 && rc != RILLE_DONE; i++) {
        let_pause(steps, &each);
        rc = step(steps, &hash);
    }
    rille_steps_close(steps);
    rille_db_release(db);
    rille_close(conn);
    return rc == RILLE_DONE ? 0 : rc;
}

TEST(first_read__copes_without_memory)
{
    static const reader readers[] = { COUNT, QUERY, WITH };
    rille_conn *conn = make(PEOPLE);
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        reads_without_memory = readers[i];
        TEST_FAULT_SWEEP(read_without_memory());
    }
    drop(conn);
}

TEST_MAIN(first_read__pauses_in_one_large_transaction, first_read__pauses_in_many_small_transactions,
          first_read__is_shared_by_operations, first_read__goes_on_when_another_is_closed,
          first_read__copes_without_memory)
