/* SPDX-License-Identifier: MIT
 *
 * The public operations, and a backend of the program's own: blocking, in steps, and where the host does everything by
 * itself.
 */
#include "harness.h"

#include "own_backend.h"
#include "rille/rille.h"

static const char schema[] = "[{:db/ident :p/name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :p/age :db/valueType :db.type/long}]";

static uint64_t lookup(rille_db *db, const char *name)
{
    rille_value value = rille_string(name);
    uint64_t e = 0;
    CHECK_RC(rille_db_lookup(db, "p/name", &value, &e, &test_err), 0);
    return e;
}

/* ---- hosts ---- */

/* A backend that never answers: its host does. */
static rille_backend far_place;

static int far_get(void *self, rille_get *gets, size_t count, rille_err *err)
{
    (void)self, (void)gets, (void)count, (void)err;
    return RILLE_NEED;
}

static int far_put(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    (void)self, (void)puts, (void)count, (void)err;
    return RILLE_NEED;
}

static int far_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    (void)self, (void)branch, (void)known, (void)out, (void)err;
    return RILLE_NEED;
}

static int far_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    (void)self, (void)swap, (void)revision, (void)err;
    return RILLE_NEED;
}

/* What is no outcome of a want is refused, and changes nothing. */
static void supply_wrong(rille_steps *steps, size_t i, const rille_want *want)
{
    size_t wants = rille_steps_wants(steps);
    for (int rc = RILLE_OK; rc <= RILLE_UNKNOWN + 1; rc++) {
        bool swaps = want->op == RILLE_WANT_HEAD_SWAP && (rc == RILLE_CONFLICT || rc == RILLE_UNKNOWN);
        bool unchanged = want->op == RILLE_WANT_HEAD_READ && want->known != NULL && rc == RILLE_DONE;
        bool empty = want->op != RILLE_WANT_GET && want->op != RILLE_WANT_HEAD_READ && want->op != RILLE_WANT_LIST &&
                     want->op != RILLE_WANT_HEAD_LIST;
        rille_outcome outcome = { .rc = rc, .len = 5, .count = 3 };
        if (!swaps && !unchanged && !(empty && rc == RILLE_OK)) {
            CHECK_RC(rille_supply(steps, i, &outcome, &test_err), RILLE_MISUSE);
            CHECK_EQ_INT(rille_steps_wants(steps), wants);
        }
    }
}

/* An index that the last step did not name. */
static void want_beyond(rille_steps *steps)
{
    rille_want want;
    size_t wants = rille_steps_wants(steps);
    CHECK_RC(rille_steps_want(steps, wants, &want, &test_err), RILLE_MISUSE);
    CHECK(strstr(test_err.message, wants == 1 ? "needs 1 outcome, numbered from 0" : "outcomes, ") != NULL);
}

/* Does one want by the place that the far backend stands for. */
static void do_want(rille_steps *steps, size_t i)
{
    rille_want want;
    rille_outcome outcome = { 0 };
    rille_head head = { 0 };
    rille_get get = { 0 };
    char *names = NULL;
    rille_object_id *ids = NULL;
    const rille_backend_ops *ops = far_place.ops;
    REQUIRE_RC(rille_steps_want(steps, i, &want, &test_err), 0);
    CHECK_EQ_STR(want.store, "far");
    want_beyond(steps);
    supply_wrong(steps, i, &want);
    switch (want.op) {
    case RILLE_WANT_GET:
        get = (rille_get){ .object = want.object, .offset = want.offset, .len = want.len };
        outcome.rc = ops->get_many(far_place.self, &get, 1, &test_err);
        outcome.rc = outcome.rc == 0 ? get.rc : outcome.rc;
        outcome.bytes = get.bytes;
        outcome.len = get.bytes_len;
        break;
    case RILLE_WANT_PUT:
        outcome.rc = ops->put_many(far_place.self, want.puts, want.count, &test_err);
        break;
    case RILLE_WANT_HEAD_READ:
        outcome.rc = ops->head_read(far_place.self, want.branch, want.known, &head, &test_err);
        outcome.bytes = head.bytes;
        outcome.len = head.len;
        outcome.revision = head.revision;
        break;
    case RILLE_WANT_HEAD_SWAP:
        outcome.rc = ops->head_swap(far_place.self, want.swap, &outcome.revision, &test_err);
        break;
    case RILLE_WANT_HEAD_LIST:
        outcome.rc = ops->head_list(far_place.self, &names, &outcome.count, &test_err);
        outcome.names = names;
        break;
    case RILLE_WANT_LIST:
        outcome.rc = ops->list(far_place.self, want.kind, &ids, &outcome.count, &test_err);
        outcome.ids = ids;
        break;
    case RILLE_WANT_DELETE:
    case RILLE_WANT_HEAD_DELETE:
    case RILLE_WANT_DROP:
        outcome.rc = RILLE_UNSUPPORTED;
        break;
    }
    bool lists = want.op == RILLE_WANT_LIST || want.op == RILLE_WANT_HEAD_LIST;
    if (!lists) { /* what the want does not speak of is not looked at */
        outcome.names = "surplus";
        outcome.count = 1;
    }
    outcome.bytes = outcome.bytes != NULL ? outcome.bytes : "surplus";
    CHECK_RC(rille_supply(steps, i, &outcome, &test_err), 0);
    rille_free(head.bytes);
    rille_free(get.bytes);
    rille_free(names);
    rille_free(ids);
}

static bool is_host; /* wants are done by do_want */
static unsigned needs;

/* The code that it ends with. */
static int finish(rille_steps *steps)
{
    for (int i = 0; i < 1000; i++) {
        int rc = rille_step(steps, 1, &test_err);
        if (rc == RILLE_DONE || rc < 0) {
            CHECK_RC(rille_step(steps, 1, &test_err), rc); /* and says so again */
            return rc;
        }
        if (rc == RILLE_NEED) {
            needs++;
            CHECK(rille_steps_wants(steps) > 0);
            for (size_t w = 0; is_host && w < rille_steps_wants(steps);) {
                size_t before = rille_steps_wants(steps);
                do_want(steps, w);
                w += rille_steps_wants(steps) == before ? 1 : 0; /* a call that was answered is gone */
            }
            if (!is_host) {
                CHECK_RC(rille_fetch(steps, &test_err), 0);
            }
        }
    }
    CHECK(false);
    return 0;
}

static rille_db *db_of(rille_steps *steps)
{
    CHECK_RC(finish(steps), RILLE_DONE);
    rille_db *db = rille_steps_db(steps);
    rille_steps_close(steps);
    REQUIRE(db != NULL);
    return db;
}

static void transact(rille_conn *conn, const char *text, int expected)
{
    rille_steps *steps;
    REQUIRE_RC(rille_start_transact(conn, text, strlen(text), &steps, &test_err), 0);
    CHECK_RC(finish(steps), expected);
    CHECK(expected != RILLE_DONE || rille_steps_commit(steps).tx > 0);
    rille_steps_close(steps);
}

/* Every operation once. */
static void use(rille_conn *conn)
{
    rille_steps *steps;
    transact(conn, schema, RILLE_DONE);
    transact(conn, "[{:p/name \"Ada\" :p/age 36}]", RILLE_DONE);
    REQUIRE_RC(rille_start_db(conn, &steps, &test_err), 0);
    rille_db *ada = db_of(steps);
    REQUIRE_RC(rille_start_flush(conn, &steps, &test_err), 0);
    CHECK_RC(finish(steps), RILLE_DONE);
    rille_steps_close(steps);
    transact(conn, "[{:p/name \"Bob\" :p/age 17}]", RILLE_DONE);
    transact(conn, "[[:db/cas [:p/name \"Bob\"] :p/age 1 2]]", RILLE_TX_CAS);
    REQUIRE_RC(rille_start_db(conn, &steps, &test_err), 0);
    rille_db *bob = db_of(steps);
    REQUIRE_RC(rille_start_as_of(bob, rille_db_tx(ada), &steps, &test_err), 0);
    rille_db *past = db_of(steps);
    CHECK_EQ_INT(rille_db_tx(past), rille_db_tx(ada));
    REQUIRE_RC(rille_start_as_of_instant(bob, rille_db_instant(bob), &steps, &test_err), 0);
    rille_db *same = db_of(steps);
    CHECK_EQ_INT(rille_db_tx(same), rille_db_tx(bob));
    REQUIRE_RC(rille_start_with(past, "[{:p/name \"Eve\"}]", 17, &steps, &test_err), 0);
    rille_db *with = db_of(steps);
    if (!is_host) { /* a lookup blocks */
        CHECK(lookup(ada, "Ada") != 0 && lookup(ada, "Bob") == 0 && lookup(bob, "Bob") != 0);
        CHECK(lookup(past, "Bob") == 0 && lookup(with, "Eve") != 0);
    }
    REQUIRE_RC(rille_start_verify(conn, &steps, &test_err), 0);
    CHECK_RC(finish(steps), RILLE_DONE);
    rille_steps_close(steps);
    rille_db_release(ada);
    rille_db_release(bob);
    rille_db_release(past);
    rille_db_release(same);
    rille_db_release(with);
}

static rille_conn *connect_in_steps(const char *url, int expected, bool create)
{
    rille_steps *steps;
    rille_options options = { .create = create, .branch = "main" };
    REQUIRE_RC(rille_start_connect(url, &options, &steps, &test_err), 0);
    CHECK_RC(finish(steps), expected);
    rille_conn *conn = rille_steps_conn(steps);
    CHECK((conn != NULL) == (expected == RILLE_DONE));
    rille_steps_close(steps);
    return conn;
}

TEST(start__gives_what_blocking_calls_give)
{
    static const char *const urls[] = { "mem:", "deferred:mem:", "deferred:deferred:mem:" };
    is_host = false;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        needs = 0;
        CHECK(connect_in_steps(urls[i], RILLE_NOTFOUND, false) == NULL);
        rille_conn *conn = connect_in_steps(urls[i], RILLE_DONE, true);
        REQUIRE(conn != NULL);
        use(conn);
        CHECK((needs > 10) == (i > 0));
        rille_close(conn);
    }
}

TEST(start__is_left_closed_and_cancelled)
{
    rille_conn *conn = connect_in_steps("deferred:mem:", RILLE_DONE, true);
    rille_steps *steps;
    rille_steps *left;
    REQUIRE(conn != NULL);
    transact(conn, schema, RILLE_DONE);
    REQUIRE_RC(rille_start_transact(conn, "[{:p/name \"left\"}]", 18, &left, &test_err), 0);
    CHECK_RC(rille_step(left, 0, &test_err), RILLE_NEED); /* it swaps the head */
    transact(conn, "[{:p/name \"first\"}]", RILLE_DONE);  /* it is in nobody's way */
    CHECK_RC(finish(left), RILLE_DONE);
    rille_steps_close(left);
    for (int at = 0; at < 4; at++) {
        REQUIRE_RC(rille_start_transact(conn, "[{:p/name \"x\"}]", 15, &steps, &test_err), 0);
        for (int i = 0; i < at && rille_step(steps, 0, &test_err) == RILLE_NEED; i++) {
            CHECK_RC(at > 1 ? rille_fetch(steps, &test_err) : 0, 0);
        }
        if (at == 1) {
            rille_steps_cancel(steps);
            CHECK_RC(rille_step(steps, 0, &test_err), RILLE_CANCELLED);
        }
        rille_steps_close(steps);
    }
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    CHECK(lookup(db, "left") != 0 && lookup(db, "first") != 0);
    rille_db_release(db);
    rille_close(conn);
}

/* A commit in steps of a value that is stored apart, while the n-th allocation fails. `insists`: goes on after a fetch
 * that failed. */
static int transact_without_memory(rille_conn *conn, bool insists, long long n)
{
    rille_steps *steps;
    char text[5100];
    int len = snprintf(text, sizeof text, "[{:p/name \"%05000lld\"}]", n);
    REQUIRE_RC(rille_start_transact(conn, text, (size_t)len, &steps, &test_err), 0);
    (void)test_fault_begin(n, true);
    int rc = RILLE_NEED;
    for (int i = 0; i < 100 && (rc == RILLE_NEED || rc == RILLE_AGAIN); i++) {
        rc = rille_step(steps, 0, &test_err);
        int fetched = rc == RILLE_NEED ? rille_fetch(steps, &test_err) : 0;
        rc = fetched != 0 && !insists ? fetched : rc;
    }
    rille_steps_close(steps);
    atomic_store(&test_state.fail_from, -1);
    return rc;
}

static uint64_t newest(rille_conn *conn)
{
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    uint64_t tx = rille_db_tx(db);
    rille_db_release(db);
    return tx;
}

/* Each time in a new database, so that the same allocation is the n-th. */
TEST(start__commits_once_or_not_at_all_when_memory_is_short)
{
    static const char *const urls[] = { "mem:", "deferred:mem:" };
    for (int i = 0; i < 4; i++) {
        bool failed = true;
        for (long long n = 0; failed; n++) {
            rille_conn *conn = connect_in_steps(urls[i / 2], RILLE_DONE, true);
            REQUIRE(conn != NULL);
            transact(conn, schema, RILLE_DONE);
            uint64_t tx = newest(conn);
            int rc = transact_without_memory(conn, i % 2 == 1, n);
            failed = atomic_load(&test_state.faults) > 0;
            CHECK(rc == RILLE_DONE || (failed && rc == RILLE_NOMEM));
            CHECK_EQ_INT(newest(conn), tx + (rc == RILLE_DONE ? 1 : 0));
            rille_close(conn);
        }
    }
}

TEST(backend__of_the_program_holds_a_database)
{
    rille_backend backend;
    rille_conn *conn = NULL;
    rille_options options = { .create = true };
    is_host = false;
    REQUIRE_RC(own_open("own", true, &backend, &test_err), 0);
    CHECK_RC(rille_connect_backend(&backend, "own:", NULL, &conn, &test_err), RILLE_NOTFOUND); /* closes it */
    CHECK(strstr(test_err.message, "own:") != NULL);
    REQUIRE_RC(own_open("own", false, &backend, &test_err), 0);
    REQUIRE_RC(rille_connect_backend(&backend, "own:", &options, &conn, &test_err), 0);
    use(conn);
    rille_close(conn);
    REQUIRE_RC(own_open("own", false, &backend, &test_err), 0);
    REQUIRE_RC(rille_connect_backend(&backend, "own:", NULL, &conn, &test_err), 0);
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    rille_close(conn);
    CHECK(lookup(db, "Ada") != 0 && lookup(db, "Bob") != 0);
    rille_db_release(db);
    REQUIRE_RC(own_open("own", false, &backend, &test_err), 0);
    CHECK_RC(backend.ops->drop(backend.self, &test_err), 0);
    backend.ops->close(backend.self);
}

TEST(backend__that_lacks_a_function_is_refused)
{
    rille_backend backend;
    rille_conn *conn = NULL;
    REQUIRE_RC(own_open("own", true, &backend, &test_err), 0);
    rille_backend_ops ops = *backend.ops;
    ops.head_swap = NULL;
    rille_backend lacking = { &ops, backend.self, 0 };
    CHECK_RC(rille_connect_backend(&lacking, NULL, NULL, &conn, &test_err), RILLE_MISUSE);
    CHECK_RC(rille_connect_backend(NULL, NULL, NULL, &conn, &test_err), RILLE_MISUSE);
    CHECK_RC(backend.ops->drop(backend.self, &test_err), 0);
    backend.ops->close(backend.self);
}

/* The database is made on the near handle; then the far one, whose calls are all done by the host, goes on. */
TEST(host__does_everything_by_itself)
{
    rille_options options = { .create = true };
    rille_conn *conn = NULL;
    REQUIRE_RC(own_open("far", true, &far_place, &test_err), 0);
    rille_backend_ops ops = *far_place.ops;
    ops.get_many = far_get;
    ops.put_many = far_put;
    ops.head_read = far_read;
    ops.head_swap = far_swap;
    rille_backend near_handle;
    REQUIRE_RC(own_open("far", false, &near_handle, &test_err), 0);
    REQUIRE_RC(rille_connect_backend(&near_handle, "near", &options, &conn, &test_err), 0);
    rille_close(conn);
    rille_backend far_handle = { &ops, NULL, RILLE_BACKEND_DEFERRED };
    REQUIRE_RC(own_open("far", false, &near_handle, &test_err), 0);
    far_handle.self = near_handle.self;
    is_host = true;
    rille_steps *steps;
    REQUIRE_RC(rille_start_connect_backend(&far_handle, "far", NULL, &steps, &test_err), 0);
    CHECK_RC(finish(steps), RILLE_DONE);
    conn = rille_steps_conn(steps);
    rille_steps_close(steps);
    REQUIRE(conn != NULL);
    use(conn);
    rille_close(conn);
    is_host = false;
    CHECK_RC(far_place.ops->drop(far_place.self, &test_err), 0);
    far_place.ops->close(far_place.self);
}

/* Queries, too, fail in the step after the failure was supplied, and in each later one. */
TEST(host__cannot_get_what_a_query_needs)
{
    static const char text[] = "[:find ?e ?a ?v :where [?e ?a ?v]]";
    rille_options options = { .create = true };
    rille_outcome failure = { .rc = RILLE_PERMISSION, .message = "no cable" };
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    REQUIRE_RC(rille_connect("deferred:mem:no-cable", &options, &conn, &test_err), 0);
    CHECK_RC(rille_flush(conn, &test_err), 0);
    rille_close(conn);
    REQUIRE_RC(rille_connect("deferred:mem:no-cable", NULL, &conn, &test_err), 0);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(rille_prepare(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(rille_start(query, &(rille_input){ .db = db }, 1, &steps, &test_err), 0);
    CHECK_RC(rille_step(steps, 0, &test_err), RILLE_NEED);
    CHECK_RC(rille_supply(steps, rille_steps_wants(steps), &failure, &test_err), RILLE_MISUSE);
    CHECK_RC(rille_supply(steps, 0, &failure, &test_err), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RC(rille_step(steps, 0, &test_err), RILLE_PERMISSION);
        CHECK(strstr(test_err.message, "no cable") != NULL);
    }
    rille_steps_close(steps);
    rille_query_close(query);
    rille_db_release(db);
    rille_close(conn);
    CHECK_RC(rille_drop("deferred:mem:no-cable", &test_err), 0);
}

/* ---- several at once ---- */

/* A backend that answers after its wait was called twice: each call counts from when it was begun. */
enum { BEGUN_MAX = 64 };
static struct {
    rille_backend inner;
    uint64_t tick;
    uint64_t calls;
    uint64_t waits;
    uint64_t begun[BEGUN_MAX];
    uint64_t at[BEGUN_MAX];
} slow;

static bool slow_is_due(uint64_t call)
{
    size_t place = BEGUN_MAX;
    slow.calls++;
    for (size_t i = 0; i < BEGUN_MAX; i++) {
        if (slow.begun[i] == call) {
            if (slow.tick < slow.at[i] + 2) {
                return false;
            }
            slow.begun[i] = 0;
            return true;
        }
        place = slow.begun[i] == 0 ? i : place;
    }
    REQUIRE(place < BEGUN_MAX);
    slow.begun[place] = call;
    slow.at[place] = slow.tick;
    return false;
}

static uint64_t hash_of(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        seed = (seed ^ p[i]) * UINT64_C(1099511628211);
    }
    return seed | 1;
}

static int slow_get(void *self, rille_get *gets, size_t count, rille_err *err)
{
    uint64_t call = 3;
    for (size_t i = 0; i < count; i++) {
        call = hash_of(&gets[i].object, sizeof gets[i].object, call + gets[i].offset);
    }
    return slow_is_due(call) ? slow.inner.ops->get_many(self, gets, count, err) : RILLE_NEED;
}

static int slow_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    return slow_is_due(5) ? slow.inner.ops->head_read(self, branch, known, out, err) : RILLE_NEED;
}

static int slow_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    return slow_is_due(hash_of(swap->cell, swap->cell_len, 7)) ? slow.inner.ops->head_swap(self, swap, revision, err)
                                                               : RILLE_NEED;
}

static void slow_wait(void *self, uint64_t timeout_ms)
{
    (void)self;
    CHECK(timeout_ms > 0);
    slow.tick++;
    slow.waits++;
}

TEST(wait__is_for_several_operations_at_once)
{
    enum { COUNT = 6 };
    rille_options options = { .create = true };
    rille_conn *conn = NULL;
    rille_steps *steps[COUNT];
    REQUIRE_RC(own_open("slow", true, &slow.inner, &test_err), 0);
    rille_backend_ops ops = *slow.inner.ops;
    ops.get_many = slow_get;
    ops.head_read = slow_read;
    ops.head_swap = slow_swap;
    ops.wait = slow_wait;
    rille_backend backend = { &ops, slow.inner.self, RILLE_BACKEND_DEFERRED };
    is_host = false;
    REQUIRE_RC(rille_connect_backend(&backend, "slow", &options, &conn, &test_err), 0); /* blocking calls wait, too */
    CHECK_RC(rille_transact(conn, schema, sizeof schema - 1, NULL, &test_err), 0);
    CHECK(slow.waits > 0 && slow.calls < 4 * slow.waits + 4);
    for (int i = 0; i < COUNT; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "[{:p/name \"%d\"}]", i);
        REQUIRE_RC(i % 2 == 0 ? rille_start_transact(conn, text, strlen(text), &steps[i], &test_err)
                              : rille_start_db(conn, &steps[i], &test_err),
                   0);
    }
    int left = COUNT;
    for (int turns = 0; left > 0 && turns < 1000; turns++) {
        for (int i = 0; i < left; i++) {
            int rc = rille_step(steps[i], 0, &test_err);
            if (rc == RILLE_DONE || rc < 0) {
                CHECK_RC(rc, RILLE_DONE);
                rille_steps_close(steps[i]);
                steps[i--] = steps[--left];
            }
        }
        CHECK_RC(left > 0 ? rille_wait(steps, (size_t)left, 60000, &test_err) : 0, 0);
    }
    CHECK_EQ_INT(left, 0);
    rille_db *db = NULL;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    CHECK(lookup(db, "0") != 0 && lookup(db, "2") != 0 && lookup(db, "4") != 0);
    rille_db_release(db);
    REQUIRE_RC(rille_start_db(conn, &steps[0], &test_err), 0);
    CHECK_RC(rille_step(steps[0], 0, &test_err), RILLE_NEED);
    CHECK_RC(rille_poll(steps[0], &test_err), RILLE_NEED);
    CHECK_RC(rille_wait(steps, 1, 0, &test_err), RILLE_AGAIN);
    rille_steps_close(steps[0]); /* with a call under way */
    rille_close(conn);
    REQUIRE_RC(own_open("slow", false, &backend, &test_err), 0);
    CHECK_RC(backend.ops->drop(backend.self, &test_err), 0);
    backend.ops->close(backend.self);
}

TEST_MAIN(wait__is_for_several_operations_at_once, start__gives_what_blocking_calls_give,
          start__is_left_closed_and_cancelled, start__commits_once_or_not_at_all_when_memory_is_short,
          backend__of_the_program_holds_a_database, backend__that_lacks_a_function_is_refused,
          host__does_everything_by_itself, host__cannot_get_what_a_query_needs)
