/* SPDX-License-Identifier: MIT
 *
 * What a probe reads: keys that lie far apart take their own leaves, and not those between them.
 */
#include "../src/core/query/api_own.h"
#include "harness.h"

enum { FIRST_ID = 2000000, PEOPLE = 60000, KEYS = 12, BRANCHES = 8 };

static const char schema[] = "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :name :db/valueType :db.type/string}"
                             " {:db/ident :many :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
                             " {:db/ident :next :db/valueType :db.type/ref}]";

static void make(void)
{
    rille_conn *conn = NULL;
    rille_options options = { .create = true, .manual_flush = true };
    ri_buf text = { 0 };
    REQUIRE_RC(rille_connect("mem:sparse", &options, &conn, &test_err), 0);
    REQUIRE_RC(rille_transact(conn, schema, strlen(schema), NULL, &test_err), 0);
    ri_buf_put_text(&text, "[");
    for (unsigned i = 0; i < PEOPLE; i++) {
        char item[160];
        (void)snprintf(item, sizeof item, "{:db/id %u :id %u :name \"n%u\" :many [%u %u] :next %u}", i + FIRST_ID, i,
                       i * 7919U % 10007, i, i + 1, i + FIRST_ID + 1);
        ri_buf_put_text(&text, item);
    }
    ri_buf_put_text(&text, "]");
    REQUIRE_RC(rille_transact(conn, (const char *)text.p, text.len, NULL, &test_err), 0);
    REQUIRE_RC(rille_flush(conn, &test_err), 0);
    ri_buf_deinit(&text);
    rille_close(conn);
}

/* On a connection that knows nothing. Returns the number of rows; *reads: nodes. */
static size_t run(const char *text, const rille_value *keys, size_t count, size_t *reads)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    size_t rows = 0;
    int rc = RILLE_AGAIN;
    *reads = 0;
    REQUIRE_RC(rille_connect("deferred:mem:sparse", NULL, &conn, &test_err), 0);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(rille_prepare(text, strlen(text), &query, &test_err), 0);
    rille_input inputs[] = { { .db = db }, { .values = keys, .value_count = count } };
    REQUIRE_RC(rille_start(query, inputs, 2, &steps, &test_err), 0);
    while (rc != RILLE_DONE) {
        rc = rille_step(steps, 0, &test_err);
        REQUIRE(rc >= 0);
        rows += rc == RILLE_ROWS ? rille_steps_rows(steps) : 0;
        if (rc == RILLE_NEED) {
            *reads += rille_steps_wants(steps);
            REQUIRE_RC(rille_fetch(steps, &test_err), 0);
        }
    }
    rille_steps_close(steps);
    rille_query_close(query);
    rille_db_release(db);
    rille_close(conn);
    return rows;
}

/* Keys with that many others between each two. A key has a leaf in the tree of each pattern, or two where its datoms lie
 * at the end of the first. */
static void check(unsigned patterns, const char *text, unsigned first, unsigned gap, unsigned first_key)
{
    rille_value keys[KEYS];
    size_t reads;
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = rille_long((first + i * gap) % PEOPLE + first_key);
    }
    CHECK(run(text, keys, KEYS, &reads) >= KEYS - 1); /* nobody refers to the first person */
    if (reads > patterns * 2 * KEYS + BRANCHES) {
        printf("  every %uth from %u, %s: %zu reads\n", gap, first, text, reads);
        CHECK(false);
    }
}

TEST(sparse_keys__take_their_own_leaves)
{
    make();
    for (unsigned gap = 4099; gap < 5100; gap += 250) {
        for (unsigned first = 0; first < 4000; first += 977) {
            check(1, "[:find ?e ?v :in $ [?e ...] :where [?e :name ?v]]", first, gap, FIRST_ID);
            check(2, "[:find ?e ?v :in $ [?e ...] :where [?e :id ?i] [?e :name ?v]]", first, gap, FIRST_ID);
            check(1, "[:find ?e ?v :in $ [?e ...] :where [?e :many ?v]]", first, gap, FIRST_ID);
            check(1, "[:find ?e ?v :in $ [?v ...] :where [?e :next ?v]]", first, gap, FIRST_ID);
            check(2, "[:find ?e ?n :in $ [?i ...] :where [?e :id ?i] [?e :name ?n]]", first, gap, 0);
        }
    }
    CHECK_RC(rille_drop("mem:sparse", &test_err), 0);
}

TEST_MAIN(sparse_keys__take_their_own_leaves)
