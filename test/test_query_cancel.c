/* SPDX-License-Identifier: MIT
 *
 * Calls that a backend has begun: each is asked for until it is answered, or cancelled, once, wherever its operation is
 * interrupted. The backend counts; it answers a call when it is asked for the third time.
 */
#include "harness.h"

#include "own_backend.h"
#include "rille/rille.h"

enum { PEOPLE = 1200, BEGUN_MAX = 64, ASKED = 3, POINTS_MAX = 400, STEPS_MAX = 5000 };

/* ---- the backend ---- */

typedef struct call {
    uint64_t hash;
    unsigned asked;
} call;

static struct {
    rille_backend inner;
    call begun[BEGUN_MAX];
    size_t begun_count;
    uint64_t started;
    uint64_t finished;
    uint64_t cancelled;
    uint64_t unknown; /* cancelled, but not begun */
} counts;

static uint64_t hash(const void *bytes, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = (seed ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
    return seed;
}

static uint64_t hash_puts(const rille_put *puts, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = hash(puts[i].bytes, puts[i].len, hash(puts[i].object.id, RILLE_ID_SIZE, seed));
    }
    return seed;
}

static uint64_t hash_call(const rille_want *w)
{
    uint64_t sum = hash(&w->op, sizeof w->op, UINT64_C(0xcbf29ce484222325));
    for (size_t i = 0; w->op == RILLE_WANT_GET && i < w->count; i++) {
        sum = hash(w->gets[i].object.id, RILLE_ID_SIZE, sum);
        sum = hash(&w->gets[i].offset, sizeof w->gets[i].offset, hash(&w->gets[i].len, sizeof w->gets[i].len, sum));
    }
    sum = w->branch != NULL ? hash(w->branch, strlen(w->branch), sum) : sum;
    sum = w->known != NULL ? hash(w->known, sizeof *w->known, sum) : sum;
    sum = w->puts != NULL ? hash_puts(w->puts, w->count, sum) : sum;
    if (w->swap != NULL) {
        sum = hash(&w->swap->expected, sizeof w->swap->expected, sum);
        sum = hash_puts(w->swap->puts, w->swap->put_count, hash(w->swap->cell, w->swap->cell_len, sum));
    }
    return w->op == RILLE_WANT_LIST ? sum + w->kind : sum;
}

static call *find_call(uint64_t sum)
{
    size_t i = 0;
    while (i < counts.begun_count && counts.begun[i].hash != sum) {
        i++;
    }
    return &counts.begun[i];
}

static void end_call(call *c)
{
    *c = counts.begun[--counts.begun_count];
}

/* Is it time to answer? */
static bool is_due(rille_want want)
{
    uint64_t sum = hash_call(&want);
    call *c = find_call(sum);
    if (c == &counts.begun[counts.begun_count]) {
        REQUIRE(counts.begun_count < BEGUN_MAX - 1);
        *c = (call){ .hash = sum };
        counts.begun_count++;
        counts.started++;
    }
    if (++c->asked < ASKED) {
        return false;
    }
    end_call(c);
    counts.finished++;
    return true;
}

static void counting_cancel(void *self, const rille_want *want)
{
    call *c = find_call(hash_call(want));
    (void)self;
    if (c == &counts.begun[counts.begun_count]) {
        counts.unknown++;
        return;
    }
    end_call(c);
    counts.cancelled++;
}

#define INNER counts.inner.ops
#define ASK(...)                              \
    if (!is_due((rille_want){ __VA_ARGS__ })) \
    return RILLE_NEED

static int counting_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    ASK(.op = RILLE_WANT_GET, .gets = gets, .count = count);
    return INNER->get_many(self, gets, count, err);
}

static int counting_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    ASK(.op = RILLE_WANT_PUT, .puts = puts, .count = count);
    return INNER->put_many(self, puts, count, err);
}

static int counting_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                              rille_err *err)
{
    ASK(.op = RILLE_WANT_HEAD_READ, .branch = branch, .known = known);
    return INNER->head_read(self, branch, known, out, err);
}

static int counting_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    ASK(.op = RILLE_WANT_HEAD_SWAP, .branch = swap->branch, .swap = swap);
    return INNER->head_swap(self, swap, revision, err);
}

static int counting_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    ASK(.op = RILLE_WANT_HEAD_LIST);
    return INNER->head_list(self, names, count, err);
}

static int counting_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    ASK(.op = RILLE_WANT_LIST, .kind = kind);
    return INNER->list(self, kind, ids, count, err);
}

static rille_backend open_counting(bool can_cancel)
{
    static rille_backend_ops ops;
    rille_backend backend;
    REQUIRE_RC(own_open("cancel", true, &counts.inner, &test_err), 0);
    ops = (rille_backend_ops){ .get_many = counting_get_many,
                               .put_many = counting_put_many,
                               .head_read = counting_head_read,
                               .head_swap = counting_head_swap,
                               .head_list = counting_head_list,
                               .list = counting_list,
                               .close = INNER->close,
                               .cancel = can_cancel ? counting_cancel : NULL };
    backend = (rille_backend){ &ops, counts.inner.self, RILLE_BACKEND_DEFERRED };
    return backend;
}

/* ---- the database ---- */

static const char query_text[] = "[:find ?n ?a :where [?e :age ?a] [?e :name ?n] [(< ?a 9)]]";

typedef struct world {
    rille_backend backend;
    rille_conn *conn;
    rille_db *db;
    rille_query *query;
    uint64_t tx;
} world;

static void transact(rille_conn *conn, const char *text)
{
    REQUIRE_RC(rille_transact(conn, text, strlen(text), NULL, &test_err), 0);
}

static void add_people(rille_conn *conn, int from, int end)
{
    static char text[PEOPLE * 60];
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (int i = from; i < end; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{:name \"n%05d\" :age %d}", i, i % 70);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    transact(conn, text);
}

static const rille_options options = { .create = true, .manual_flush = true, .cache_bytes = 1 };

static void begin(world *w, bool can_cancel)
{
    memset(&counts, 0, sizeof counts);
    w->backend = open_counting(can_cancel);
    REQUIRE_RC(rille_connect_backend(&w->backend, "own:cancel", &options, &w->conn, &test_err), 0);
    transact(w->conn, "[{:db/ident :name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                      " {:db/ident :age :db/valueType :db.type/long :db/index true}]");
    add_people(w->conn, 0, 20);
    REQUIRE_RC(rille_conn_db(w->conn, &w->db, &test_err), 0);
    w->tx = rille_db_tx(w->db);
    rille_db_release(w->db);
    add_people(w->conn, 20, PEOPLE - 20);
    REQUIRE_RC(rille_flush(w->conn, &test_err), 0);
    add_people(w->conn, PEOPLE - 20, PEOPLE);
    REQUIRE_RC(rille_conn_db(w->conn, &w->db, &test_err), 0);
    REQUIRE_RC(rille_prepare(query_text, sizeof query_text - 1, &w->query, &test_err), 0);
}

static void end(world *w)
{
    rille_query_close(w->query);
    rille_db_release(w->db);
    rille_backend place;
    REQUIRE_RC(own_open("cancel", false, &place, &test_err), 0);
    rille_close(w->conn);
    (void)own_drop(place.self, NULL);
    own_close(place.self);
}

/* ---- operations ---- */

typedef int start(const world *w, rille_steps **out);

static int start_connect(const world *w, rille_steps **out)
{
    rille_backend again = w->backend;
    ((own_place *)again.self)->handles++;
    return rille_start_connect_backend(&again, "own:cancel", &options, out, &test_err);
}

static int start_db(const world *w, rille_steps **out)
{
    return rille_start_db(w->conn, out, &test_err);
}

static int start_transact(const world *w, rille_steps **out)
{
    static const char text[] = "[{:name \"n00007\" :age 8} {:name \"n01234\" :age 9}]";
    return rille_start_transact(w->conn, text, sizeof text - 1, out, &test_err);
}

static int start_flush(const world *w, rille_steps **out)
{
    static int changes;
    char text[64];
    (void)snprintf(text, sizeof text, "[{:name \"n%05d\" :age 99}]", changes++ % PEOPLE);
    transact(w->conn, text);
    return rille_start_flush(w->conn, out, &test_err);
}

static int start_verify(const world *w, rille_steps **out)
{
    return rille_start_verify(w->conn, out, &test_err);
}

static int start_as_of(const world *w, rille_steps **out)
{
    return rille_start_as_of(w->db, w->tx, out, &test_err);
}

static int start_datoms(const world *w, rille_steps **out)
{
    return rille_start_datoms(w->db, "aevt", NULL, 0, out, &test_err);
}

static int start_entid(const world *w, rille_steps **out)
{
    rille_value name = rille_string("n00900");
    return rille_start_entid(w->db, "name", &name, out, &test_err);
}

static int start_query(const world *w, rille_steps **out)
{
    rille_input input = { .db = w->db };
    return rille_start(w->query, &input, 1, out, &test_err);
}

/* ---- interruptions ---- */

typedef enum interruption { CLOSE, CANCEL_AND_CLOSE, CANCEL_AND_STEP, FETCH, SUPPLY, INTERRUPTIONS } interruption;

/* The first want, if it is a range: what the backend is reading comes from elsewhere. */
static void supply(rille_steps *steps)
{
    rille_want want;
    if (rille_steps_wants(steps) == 0) {
        return;
    }
    REQUIRE_RC(rille_steps_want(steps, 0, &want, &test_err), 0);
    if (want.op == RILLE_WANT_GET) {
        rille_get get = { .object = want.object, .offset = want.offset, .len = want.len };
        REQUIRE_RC(INNER->get_many(counts.inner.self, &get, 1, &test_err), 0);
        rille_outcome outcome = { .rc = get.rc, .bytes = get.bytes, .len = get.bytes_len };
        CHECK_RC(rille_supply(steps, 0, &outcome, &test_err), 0);
        rille_free(get.bytes);
    } else if (want.op == RILLE_WANT_PUT) {
        REQUIRE_RC(INNER->put_many(counts.inner.self, want.puts, want.count, &test_err), 0);
        rille_outcome outcome = { .rc = 0 };
        CHECK_RC(rille_supply(steps, 0, &outcome, &test_err), 0);
    }
}

/* Steps and polls, `points` times. False: it has ended before. */
static bool advance(rille_steps *steps, unsigned points)
{
    bool needs = false;
    for (unsigned i = 0; i < points; i++) {
        if (needs) {
            int rc = rille_poll(steps, &test_err);
            REQUIRE(rc == 0 || rc == RILLE_NEED);
            needs = rc == RILLE_NEED;
        } else {
            int rc = rille_step(steps, 0, &test_err);
            REQUIRE(rc >= 0);
            needs = rc == RILLE_NEED;
            if (rc == RILLE_DONE) {
                return false;
            }
        }
    }
    return true;
}

static void finish(rille_steps *steps)
{
    int rc = RILLE_AGAIN;
    for (int i = 0; rc != RILLE_DONE && i < STEPS_MAX; i++) {
        rc = rille_step(steps, 0, &test_err);
        REQUIRE(rc >= 0);
        REQUIRE_RC(rille_fetch(steps, &test_err), 0);
    }
    CHECK_EQ_INT(rc, RILLE_DONE);
}

/* may_be_late: what is committed is not cancelled any more. */
static void interrupt(rille_steps *steps, interruption how, bool can_cancel, bool may_be_late)
{
    int rc;
    switch (how) {
    case CLOSE:
        break;
    case CANCEL_AND_CLOSE:
        rille_steps_cancel(steps);
        break;
    case CANCEL_AND_STEP:
        rille_steps_cancel(steps);
        rc = rille_step(steps, 0, &test_err);
        CHECK(rc == RILLE_CANCELLED || (may_be_late && rc == RILLE_DONE));
        CHECK(!can_cancel || counts.begun_count == 0); /* told at once, not when it is closed */
        break;
    case FETCH:
        REQUIRE_RC(rille_fetch(steps, &test_err), 0);
        finish(steps);
        break;
    case SUPPLY:
        supply(steps);
        finish(steps);
        break;
    case INTERRUPTIONS:
        break;
    }
}

/* At each point, until the operation ends by itself. Gives the number of points. */
static unsigned interrupt_each(const world *w, start *f, interruption how, bool can_cancel)
{
    unsigned point = 0;
    for (bool goes_on = true; goes_on && point < POINTS_MAX; point++) {
        rille_steps *steps;
        REQUIRE_RC(f(w, &steps), 0);
        goes_on = advance(steps, point);
        if (goes_on) {
            interrupt(steps, how, can_cancel, f == start_transact);
        }
        rille_steps_close(steps);
        if (can_cancel) {
            CHECK_EQ_INT(counts.begun_count, 0);
            CHECK_EQ_INT(counts.started, counts.finished + counts.cancelled);
            CHECK_EQ_INT(counts.unknown, 0);
        }
        counts.begun_count = 0; /* left alone, where they cannot be cancelled */
    }
    CHECK(point < POINTS_MAX);
    return point;
}

static void check(start *f, unsigned points_min, interruption how, bool can_cancel)
{
    world w;
    begin(&w, can_cancel);
    CHECK(interrupt_each(&w, f, how, can_cancel) >= points_min);
    if (how != SUPPLY) { /* only ranges and objects are */
        CHECK((counts.cancelled > 0) == (can_cancel && how != FETCH));
    }
    end(&w);
}

static const struct {
    start *f;
    unsigned points_min;
} operations[] = {
    { start_connect, 5 }, { start_db, 4 },     { start_transact, 8 }, { start_flush, 4 }, { start_verify, 8 },
    { start_as_of, 5 },   { start_datoms, 8 }, { start_entid, 8 },    { start_query, 8 },
};

TEST(cancel__each_call_is_answered_or_cancelled)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        for (interruption how = CLOSE; how < INTERRUPTIONS; how++) {
            check(operations[i].f, operations[i].points_min, how, true);
        }
    }
}

TEST(cancel__a_backend_need_not_know_of_it)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        check(operations[i].f, operations[i].points_min, CLOSE, false);
        check(operations[i].f, operations[i].points_min, CANCEL_AND_STEP, false);
    }
}

TEST_MAIN(cancel__each_call_is_answered_or_cancelled, cancel__a_backend_need_not_know_of_it)
