/* SPDX-License-Identifier: MIT
 *
 * What a flush sorts itself and what it takes from sets that readers made give the same trees. Random transactions go to
 * two databases; in one of them a random order is read now and then. Facts are asserted, retracted and asserted again
 * between flushes, which have several runs of keys.
 */
#include "harness.h"

#include "../src/core/db/conn_own.h"

#include <stdio.h>

enum { TRANSACTIONS = 150, FLUSHES = 3, ENTITIES = 6000, ITEMS_MAX = 120 };

static const char schema_text[] =
    "[{:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/string :db/index true}"
    " {:db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/many :db/index true}"
    " {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/id \"datomic.tx\" :db/txInstant #inst \"2001-01-01\"}]";

static rille_conn *make(void)
{
    ri_conn_options options = { .create = true, .flush = RI_FLUSH_MANUAL };
    rille_conn *conn;
    ri_report report;
    REQUIRE_RC(ri_conn_open("mem:", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema_text, strlen(schema_text), &report, &test_err), 0);
    ri_report_deinit(&report);
    return conn;
}

static void put_item(test_rng *rng, ri_buf *out)
{
    char item[120];
    unsigned k = (unsigned)test_random_below(rng, ENTITIES);
    unsigned value = (unsigned)test_random_below(rng, 3);
    switch (test_random_below(rng, 6)) {
    case 0:
        (void)snprintf(item, sizeof item, "[:db/add [:k %u] :m %u]", k, value);
        break;
    case 1:
        (void)snprintf(item, sizeof item, "[:db/retract [:k %u] :m %u]", k, value);
        break;
    case 2:
        (void)snprintf(item, sizeof item, "[:db/retract [:k %u] :n]", k);
        break;
    case 3:
        (void)snprintf(item, sizeof item, "[:db/add [:k %u] :r [:k %u]]", k, value);
        break;
    default:
        (void)snprintf(item, sizeof item, "{:k %u :n \"text %u\"}", k, value);
        break;
    }
    ri_buf_put_text(out, item);
}

static bool try_transact(rille_conn *conn, const ri_buf *text)
{
    ri_report report;
    rille_err err = { 0 };
    int rc = ri_conn_transact_edn(conn, (const char *)text->p, text->len, &report, &err);
    REQUIRE(rc == 0 || rc == RILLE_TX_CONFLICT);
    ri_report_deinit(&report);
    return rc == 0;
}

/* The same in both. What contradicts itself by chance is refused in both. The first one makes the entities. */
static void transact(test_rng *rng, unsigned number, rille_conn *a, rille_conn *b)
{
    ri_buf text = { 0 };
    char item[120];
    (void)snprintf(item, sizeof item, "[{:db/id \"datomic.tx\" :db/txInstant #inst \"2001-02-01T%02u:%02u:%02u\"}",
                   number / 3600, number / 60 % 60, number % 60);
    ri_buf_put_text(&text, item);
    for (unsigned k = 0; number == 0 && k < ENTITIES; k++) {
        (void)snprintf(item, sizeof item, "{:k %u :m %u}", k, k % 5);
        ri_buf_put_text(&text, item);
    }
    for (uint64_t i = number == 0 ? 0 : test_random_below(rng, ITEMS_MAX); i > 0; i--) {
        put_item(rng, &text);
    }
    ri_buf_put_text(&text, "]");
    REQUIRE(!text.failed);
    bool done = try_transact(a, &text);
    REQUIRE(done == try_transact(b, &text));
    ri_buf_deinit(&text);
}

static void read_some_order(test_rng *rng, rille_conn *conn)
{
    const ri_set_node *set;
    rille_db *db = ri_conn_seen_db(conn);
    REQUIRE_RC(ri_novelty_set(&db->novelty, (ri_order)test_random_below(rng, RI_NOVELTY_ORDERS), &set, &test_err), 0);
    ri_db_release(db);
}

/* Databases differ in their id, which the base that META names holds. */
static void same_trees(rille_conn *a, rille_conn *b)
{
    rille_db *left = ri_conn_seen_db(a);
    rille_db *right = ri_conn_seen_db(b);
    for (int o = 0; o < RI_ORDER_COUNT; o++) {
        const ri_tree *x = &left->base->tree[o];
        const ri_tree *y = &right->base->tree[o];
        REQUIRE(x->count == y->count && (o == RI_META || memcmp(x->root.addr, y->root.addr, RI_HASH_SIZE) == 0));
    }
    REQUIRE(left->novelty.datom_count == 0 && left->base->tree[RI_RET].count > 0);
    ri_db_release(left);
    ri_db_release(right);
}

TEST(flush_sort__sorting_gives_the_trees_that_sets_give)
{
    test_rng rng = test_rng_new();
    rille_conn *read = make();
    rille_conn *unread = make();
    uint64_t most = 0;
    for (unsigned number = 0; number < TRANSACTIONS * FLUSHES; number++) {
        transact(&rng, number, read, unread);
        if (test_random_below(&rng, 10) == 0) {
            read_some_order(&rng, read);
        }
        if (number % TRANSACTIONS == TRANSACTIONS - 1) {
            rille_db *db = ri_conn_seen_db(read);
            most = db->novelty.datom_count > most ? db->novelty.datom_count : most;
            ri_db_release(db);
            REQUIRE_RC(ri_conn_flush(read, &test_err), 0);
            REQUIRE_RC(ri_conn_flush(unread, &test_err), 0);
            same_trees(read, unread);
        }
    }
    REQUIRE(most > UINT64_C(8192)); /* more than two runs */
    ri_conn_release(read);
    ri_conn_release(unread);
}

TEST_MAIN(flush_sort__sorting_gives_the_trees_that_sets_give)
