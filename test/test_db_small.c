/* SPDX-License-Identifier: MIT
 *
 * Small transactions: what they allocate, and that the memory of one serves the next one, whatever came before it.
 */
#include "test_db_forge.h"

#include <stdio.h>

enum { WARM = 50, COUNTED = 50, ALLOCATIONS_MAX = 5 };

static const char schema_text[] = "[{:db/ident :n :db/valueType :db.type/long}"
                                  " {:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                  " {:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/many}]";

#ifndef RI_ARENA_MALLOC /* where each piece of memory is a block of its own */
static void put_number(rille_conn *conn, int number)
{
    char text[40];
    (void)snprintf(text, sizeof text, "[{:n %d}]", number);
    transact(conn, text);
}

TEST(small__a_transaction_of_one_datom_allocates_little)
{
    rille_conn *conn = open_new("mem:small");
    transact(conn, schema_text);
    for (int i = 0; i < WARM; i++) {
        put_number(conn, i);
    }
    long long before = atomic_load(&test_state.allocations);
    for (int i = 0; i < COUNTED; i++) {
        put_number(conn, i);
    }
    CHECK(atomic_load(&test_state.allocations) - before <= COUNTED * ALLOCATIONS_MAX);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:small", &test_err), 0);
}
#else
TEST(small__a_transaction_of_one_datom_allocates_little)
{
    CHECK(COUNTED > 0);
}
#endif

/* Of all kinds, good and bad: small, large, with names, upserts, retractions, sorted items, errors in each phase. */
static const char *const mixed[] = {
    "[{:n 1}]",
    "[{:db/id \"a\" :n 1 :s [\"x\" \"y\"]} {:db/id \"b\" :k 7} [:db/add \"a\" :s \"z\"]]",
    "[{:k 7 :n 2} {:k 8 :s \"w\"}]",
    "[[:db/retractEntity [:k 8]]]",
    "[[:db/add \"c\" :n 1] [:db/add \"c\" :n 2]]",
    "[{:unknown 1}]",
    "[[:db/add [:k 99] :n 1]]",
    "[[:db.fn/cas [:k 7] :n 2 3] {:db/id -1 :k 9}]",
    "[[:db.fn/cas [:k 7] :n 5 6]]",
    "[{:db/ident :later :db/valueType :db.type/string}]",
    "[[:db/retract [:k 7] :n 3] {:n 4} {:n 5} {:n 6} {:n 7} {:n 8} {:n 9} {:n 10} {:n 11} {:n 12} {:n 13} {:n 14} {:n "
    "15}"
    " {:n 16} {:n 17} {:n 18} {:n 19} {:n 20} {:n 21} {:n 22} {:n 23} {:n 24} {:s \"a\"} {:s \"b\"} {:s \"c\"}]",
    "[",
    "[]",
};
enum { MIXED = sizeof mixed / sizeof *mixed };

/* What came of a transaction, but for when it was made. */
typedef struct outcome {
    int rc;
    size_t count;
    uint64_t sum;
    rille_err err;
} outcome;

static outcome try_one(rille_conn *conn, unsigned which)
{
    outcome out = { 0 };
    ri_report report;
    out.rc = ri_conn_transact_edn(conn, mixed[which], strlen(mixed[which]), &report, &out.err);
    out.count = out.rc == 0 ? report.tx.block->count : 0;
    for (size_t i = 0; i < out.count; i++) {
        const ri_datom *d = &report.tx.block->datoms[i];
        uint64_t v = d->a == RI_A_TX_INSTANT ? 0 : ri_value_hash(&d->v);
        out.sum = (out.sum ^ d->e ^ v) * 31 + d->a * 2 + d->added + d->t;
    }
    ri_report_deinit(&report);
    return out;
}

static const char urls[2][9] = { "mem:long", "mem:anew" }; /* of equal length: messages name them */

TEST(small__the_memory_of_one_serves_any_other_one)
{
    enum { TRANSACTIONS = 600 };
    test_rng rng = test_rng_new();
    rille_conn *conns[2] = { open_new(urls[0]), open_new(urls[1]) };
    transact(conns[0], schema_text);
    transact(conns[1], schema_text);
    for (int i = 0; i < TRANSACTIONS; i++) {
        unsigned which = (unsigned)test_random_below(&rng, MIXED);
        rille_conn *fresh = open_new(urls[1]); /* which has no such memory; the other one keeps the database */
        outcome a = try_one(conns[0], which);
        outcome b = try_one(fresh, which);
        CHECK(a.rc == b.rc && a.count == b.count && a.sum == b.sum);
        if (a.rc != 0) {
            CHECK_EQ_STR(a.err.message + strlen(urls[0]), b.err.message + strlen(urls[1]));
        }
        ri_conn_release(fresh);
    }
    for (int i = 0; i < 2; i++) {
        ri_conn_release(conns[i]);
        CHECK_RC(ri_database_drop(urls[i], &test_err), 0);
    }
}

/* Each allocation of a transaction fails in turn: the next one finds the memory as if it had not been. */
static void try_without_memory(rille_conn *conn, rille_conn *other, unsigned which)
{
    outcome a = { 0 };
    long long n = 0;
    do {
        (void)test_fault_begin(n++, true);
        a = try_one(conn, which);
        atomic_store(&test_state.fail_from, -1);
    } while (a.rc != 0 && atomic_load(&test_state.faults) > 0);
    outcome b = try_one(other, which);
    CHECK(a.rc == b.rc && a.count == b.count && a.sum == b.sum);
    if (a.rc != 0) {
        CHECK_EQ_STR(a.err.message + strlen(urls[0]), b.err.message + strlen(urls[1]));
    }
}

TEST(small__memory_that_ran_out_serves_the_next_one)
{
    enum { ROUNDS = 4 };
    rille_conn *conns[2] = { open_new(urls[0]), open_new(urls[1]) };
    transact(conns[0], schema_text);
    transact(conns[1], schema_text);
    for (unsigned i = 0; i < ROUNDS * MIXED; i++) {
        try_without_memory(conns[0], conns[1], i * 5 % MIXED);
    }
    for (int i = 0; i < 2; i++) {
        ri_conn_release(conns[i]);
        CHECK_RC(ri_database_drop(urls[i], &test_err), 0);
    }
}

TEST_MAIN(small__a_transaction_of_one_datom_allocates_little, small__the_memory_of_one_serves_any_other_one,
          small__memory_that_ran_out_serves_the_next_one)
