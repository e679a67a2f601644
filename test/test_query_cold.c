/* SPDX-License-Identifier: MIT
 *
 * Cold reads of a far store, counted: how many round trips each operator makes, and what they bring. The answers are
 * those of a store that answers at once, in steps as well as blocking, and also where the cache holds next to nothing.
 */
#include "test_far.h"

#include "harness.h"
#include "rille/rille.h"

enum { SMALL = 1500, LARGE = 40000, CACHE_TINY = 1 << 14, DOC_LEN = 300 };

static const char schema[] = "[{:db/ident :uid :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :num :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :name :db/valueType :db.type/string :db/index true}"
                             " {:db/ident :age :db/valueType :db.type/long}"
                             " {:db/ident :next :db/valueType :db.type/long}"
                             " {:db/ident :friend :db/valueType :db.type/string}"
                             " {:db/ident :tag :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
                             " {:db/ident :boss :db/valueType :db.type/ref}"
                             " {:db/ident :text :db/valueType :db.type/string}]";

static void transact(rille_conn *conn, const char *text, size_t len)
{
    REQUIRE_RC(rille_transact(conn, text, len, NULL, &test_err), 0);
}

static unsigned mixed(unsigned i, unsigned count)
{
    return (unsigned)(i * 7919ULL % count); /* a permutation: count is not a multiple of 7919 */
}

static void fill(const char *name, unsigned count)
{
    static const char *const names[] = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" };
    rille_backend backend;
    rille_conn *conn = NULL;
    rille_options options = { .create = true, .manual_flush = true };
    char *text = malloc((size_t)count * (DOC_LEN + 300) + 10);
    size_t len = 0;
    REQUIRE(text != NULL);
    REQUIRE_RC(own_open(name, true, &backend, &test_err), 0);
    REQUIRE_RC(rille_connect_backend(&backend, name, &options, &conn, &test_err), 0);
    transact(conn, schema, sizeof schema - 1);
    text[len++] = '[';
    for (unsigned i = 0; i < count; i++) {
        unsigned num = mixed(i, count);
        len += (size_t)sprintf(text + len,
                               "{:db/id \"p%u\" :uid \"u%06u\" :num %u :name \"%s\" :age %u :next %u :friend \"u%06u\" "
                               ":tag [%u %u] :text \"%*u\"",
                               i, i, num, names[mixed(i, 61) % 8], i % 90, mixed(i + 5, count), mixed(i + 9, count),
                               mixed(i + 5, count), i % 7, DOC_LEN, num * 2654435761U);
        len += (size_t)sprintf(text + len, i % 3 == 0 ? "}" : " :boss \"p%u\"}", i / 2);
    }
    text[len++] = ']';
    transact(conn, text, len);
    REQUIRE_RC(rille_flush(conn, &test_err), 0);
    transact(conn, "[{:uid \"u000003\" :age 91}]", 26); /* something that is not flushed */
    rille_close(conn);
    free(text);
}

/* ---- operations ---- */

typedef enum kind { QUERY, DATOMS, SEEK, RANGE, COUNT, ENTID, AS_OF, VERIFY } kind;

typedef struct operation {
    const char *name;
    kind kind;
    const char *text;                  /* a query; or an index, or an attribute */
    const char *attribute;             /* of an index; may be NULL */
    unsigned rounds_small, rounds_max; /* of SMALL and LARGE people, the opening included */
    unsigned requests_max;
    unsigned kib_max; /* of LARGE people */
} operation;

#define FEW "[?e :num ?n] [(< ?n 40)] "

static const operation operations[] = {
    { "point", QUERY, "[:find ?v :where [?e :uid \"u000123\"] [?e :name ?v]]", NULL, 5, 5, 6, 90 },
    { "lookup ref", QUERY, "[:find ?v :where [[:uid \"u000123\"] :name ?v]]", NULL, 5, 5, 6, 90 },
    { "many lookups", QUERY, "[:find ?u ?v :in $ [?u ...] :where [?e :uid ?u] [?e :name ?v]]", NULL, 5, 6, 10, 160 },
    { "scan", QUERY, "[:find ?e ?a :where [?e :age ?a]]", NULL, 5, 5, 6, 130 },
    { "scan of text", QUERY, "[:find ?e ?t :where [?e :text ?t]]", NULL, 5, 6, 9, 450 },
    { "whole scan", QUERY, "[:find ?e ?a ?v :where [?e ?a ?v]]", NULL, 5, 5, 9, 1300 },
    { "limit", QUERY, "[:find ?e ?t :where [?e :text ?t] :limit 10]", NULL, 5, 5, 7, 130 },
    { "range", QUERY, "[:find ?e ?n :where [?e :num ?n] [(>= ?n 300)] [(< ?n 700)]]", NULL, 5, 5, 7, 90 },
    { "from the end", QUERY, "[:find ?n ?e :where [?e :num ?n] :order-by ?n :desc :limit 10]", NULL, 5, 5, 7, 90 },
    { "probe e, dense", QUERY, "[:find ?e ?a :where [?e :name \"Ivan\"] [?e :age ?a]]", NULL, 5, 7, 10, 150 },
    { "probe e, sparse", QUERY, "[:find ?e ?t :where " FEW "[?e :text ?t]]", NULL, 6, 8, 60, 180 },
    { "probe eavt", QUERY, "[:find ?e ?a ?v :where " FEW "[?e ?a ?v]]", NULL, 7, 8, 90, 420 },
    { "probe e, v", QUERY, "[:find ?e ?m :where " FEW "[?e :next ?m] [?e :tag ?m]]", NULL, 6, 8, 16, 450 },
    { "probe ref", QUERY, "[:find ?e ?x :where " FEW "[?x :boss ?e]]", NULL, 7, 8, 12, 180 },
    { "probe word", QUERY, "[:find ?e ?f :where " FEW "[?e :next ?m] [?f :num ?m]]", NULL, 6, 8, 12, 260 },
    { "probe text", QUERY, "[:find ?e ?f :where " FEW "[?e :friend ?u] [?f :uid ?u]]", NULL, 6, 8, 13, 400 },
    { "hash join", QUERY, "[:find (count ?e) . :where [?e :age ?a] [?f :next ?a]]", NULL, 5, 7, 12, 330 },
    { "or", QUERY, "[:find ?e ?a :where (or [?e :name \"Ivan\"] [?e :name \"Oleg\"]) [?e :age ?a]]", NULL, 5, 8, 11,
      160 },
    { "not", QUERY, "[:find ?e :where " FEW "(not [?e :boss _])]", NULL, 6, 7, 10, 120 },
    { "rule", QUERY, "[:find ?x :in $ % :where [?e :uid \"u001400\"] (up ?e ?x)]", NULL, 7, 8, 10, 120 },
    { "datoms", DATOMS, "aevt", ":age", 5, 5, 6, 110 },
    { "all datoms", DATOMS, "eavt", NULL, 5, 7, 9, 1300 },
    { "seek", SEEK, "avet", ":num", 5, 6, 8, 520 },
    { "index range", RANGE, ":num", NULL, 5, 5, 6, 90 },
    { "count", COUNT, "aevt", ":text", 4, 5, 6, 90 },
    { "count of an index", COUNT, "avet", NULL, 4, 5, 7, 160 },
    { "entid", ENTID, ":num", NULL, 4, 5, 6, 90 },
    { "as of", AS_OF, NULL, NULL, 5, 6, 7, 90 },
    { "verify", VERIFY, NULL, NULL, 11, 28, 34, 4000 },
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static const char rules[] = "[[(up ?e ?x) [?e :boss ?x]] [(up ?e ?x) [?e :boss ?y] (up ?y ?x)]]";

static int start(const operation *o, rille_conn *conn, rille_db *db, rille_query **query, rille_steps **out)
{
    enum { UIDS = 40 };
    rille_value uids[UIDS];
    char texts[UIDS][16];
    rille_input inputs[2] = { { .db = db }, { 0 } };
    rille_value number = { .type = RILLE_TYPE_LONG, .u = { .i = 300 } };
    rille_value end = { .type = RILLE_TYPE_LONG, .u = { .i = 900 } };
    rille_value attribute = o->attribute != NULL ? rille_keyword(o->attribute + 1) : number;
    size_t components = o->attribute != NULL ? 1 : 0;
    switch (o->kind) {
    case QUERY:
        for (unsigned i = 0; i < UIDS; i++) {
            (void)snprintf(texts[i], sizeof texts[i], "u%06u", mixed(i, SMALL));
            uids[i] = rille_string(texts[i]);
        }
        inputs[1].values = strstr(o->text, "[?u ...]") != NULL ? uids : NULL;
        inputs[1].value_count = inputs[1].values != NULL ? UIDS : 0;
        inputs[1].rules = strstr(o->text, "%") != NULL ? rules : NULL;
        inputs[1].rules_len = inputs[1].rules != NULL ? sizeof rules - 1 : 0;
        REQUIRE_RC(rille_prepare(o->text, strlen(o->text), query, &test_err), 0);
        return rille_start(*query, inputs, strstr(o->text, ":in") != NULL ? 2 : 1, out, &test_err);
    case DATOMS:
        return rille_start_datoms(db, o->text, &attribute, components, out, &test_err);
    case SEEK:
        return rille_start_seek_datoms(db, o->text, &attribute, components, out, &test_err);
    case RANGE:
        return rille_start_index_range(db, o->text + 1, &number, &end, out, &test_err);
    case COUNT:
        return rille_start_count(db, o->text, &attribute, components, out, &test_err);
    case ENTID:
        return rille_start_entid(db, o->text + 1, &number, out, &test_err);
    case AS_OF:
        return rille_start_as_of(db, rille_db_tx(db) - 2, out, &test_err);
    case VERIFY:
        break;
    }
    return rille_start_verify(conn, out, &test_err);
}

typedef struct outcome {
    uint64_t rows;
    uint64_t hash; /* in any order */
    far_counts counts;
} outcome;

static uint64_t hash_of(rille_value v)
{
    bool bytes = v.type == RILLE_TYPE_STRING || v.type == RILLE_TYPE_KEYWORD || v.type == RILLE_TYPE_BYTES;
    return bytes ? far_hash(v.u.bytes, v.len, 99) : far_hash(&v.u.i, sizeof v.u.i, 98);
}

static void add_rows(const rille_steps *steps, outcome *o)
{
    size_t count = rille_steps_rows(steps);
    for (size_t row = 0; row < count; row++) {
        uint64_t hash = 1;
        for (size_t col = 0; col < 5; col++) {
            hash = hash * 1000003 + hash_of(rille_steps_get(steps, row, col));
        }
        o->hash += hash;
    }
    o->rows += count;
}

/* On a new connection: with its opening. step_us 0: as the blocking calls do it. */
static outcome run(const char *place, const operation *op, bool near, size_t cache_bytes, uint64_t step_us)
{
    outcome o = { 0 };
    far_store far;
    rille_backend backend;
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    rille_options options = { .cache_bytes = cache_bytes };
    int rc = RILLE_AGAIN;
    if (far_open(place, near, &far, &backend, &test_err) != 0 ||
        rille_connect_backend(&backend, place, &options, &conn, &test_err) != 0 ||
        rille_conn_db(conn, &db, &test_err) != 0 || start(op, conn, db, &query, &steps) != 0) {
        printf("  %s: %s\n", op->name, test_err.message);
        CHECK(false);
        rc = RILLE_DONE;
    }
    for (unsigned i = 0; i < 5000000 && rc != RILLE_DONE && rc >= 0; i++) {
        rc = rille_step(steps, step_us, &test_err);
        if (rc == RILLE_ROWS) {
            add_rows(steps, &o);
        } else if (rc == RILLE_NEED) {
            rc = rille_fetch(steps, &test_err);
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    o.hash += rille_steps_number(steps);
    rille_db *past = rille_steps_db(steps);
    o.hash += past != NULL ? rille_db_tx(past) : 0;
    rille_db_release(past);
    rille_steps_close(steps);
    rille_query_close(query);
    rille_db_release(db);
    rille_close(conn);
    o.counts = far.counts;
    far_done(&far);
    return o;
}

static void check_operation(const char *place, const operation *op, bool large)
{
    unsigned rounds_max = large ? op->rounds_max : op->rounds_small;
    outcome near = run(place, op, true, 0, 0);
    outcome far = run(place, op, false, 0, 0);
    outcome steps = run(place, op, false, 0, 1);
    outcome tiny = run(place, op, false, CACHE_TINY, 0);
    const far_counts *c = &far.counts;
    printf("  %-20s %7llu rows: %2u rounds, %3u requests, %4u ranges, %4u KiB (tiny cache: %u rounds, %u KiB)\n",
           op->name, (unsigned long long)near.rows, c->rounds, c->requests, c->ranges,
           (unsigned)(c->request_bytes >> 10), tiny.counts.rounds, (unsigned)(tiny.counts.request_bytes >> 10));
    CHECK(near.rows == far.rows && near.hash == far.hash);
    CHECK(near.rows == steps.rows && near.hash == steps.hash);
    CHECK(near.rows == tiny.rows && near.hash == tiny.hash);
    CHECK_EQ_INT(steps.counts.rounds, c->rounds);
    CHECK_EQ_INT(steps.counts.ranges, c->ranges);
    CHECK(c->rounds <= rounds_max);
    CHECK(!large || c->requests <= op->requests_max);
    CHECK(!large || c->request_bytes >> 10 <= op->kib_max);
    CHECK_EQ_INT(c->again, 0); /* nothing twice, where the cache has room */
    CHECK(tiny.counts.rounds <= 3 * c->rounds + 8);
    CHECK(tiny.counts.bytes <= 3 * c->bytes + 300000);
}

static void check_all(const char *place, unsigned count, bool large)
{
    fill(place, count);
    for (size_t i = 0; i < OPERATIONS; i++) {
        check_operation(place, &operations[i], large);
    }
    rille_backend backend;
    REQUIRE_RC(own_open(place, false, &backend, &test_err), 0);
    (void)backend.ops->drop(backend.self, &test_err);
    backend.ops->close(backend.self);
}

TEST(cold__reads_of_a_small_database_are_few_rounds)
{
    check_all("small", SMALL, false);
}

TEST(cold__reads_of_a_large_database_are_few_rounds)
{
    check_all("large", LARGE, true);
}

TEST_MAIN(cold__reads_of_a_small_database_are_few_rounds, cold__reads_of_a_large_database_are_few_rounds)
