/* SPDX-License-Identifier: MIT
 *
 * Blocks as memory: small transactions that follow each other share it, and it lives as long as any of their blocks.
 */
#include "harness.h"

#include "../src/core/db/conn_own.h"

#define URL "mem:block_memory"

enum { BLOCKS = 200, DATOMS_MAX = 40, TEXT_MAX = 300 };

/* What a datom of a block is to say. */
static ri_datom datom_of(unsigned block, size_t i, char text[TEXT_MAX])
{
    size_t len = (block * 7919U + i * 104729U) % TEXT_MAX;
    memset(text, (int)('a' + (block + i) % 26), len);
    return (
        ri_datom){ .e = block, .a = (uint32_t)i, .t = block, .v = ri_bytes_value(RI_STRING, text, len), .added = true };
}

/* Adds datoms one at a time, as a transaction does. */
static int fill(ri_block *block, unsigned number, size_t count)
{
    char text[TEXT_MAX];
    block->t = number;
    for (size_t i = 0; i < count; i++) {
        ri_datom d = datom_of(number, i, text);
        if (!ri_block_reserve(block, i + 1) || !ri_value_copy(&block->memory->arena, &d.v, &d.v)) {
            return RILLE_NOMEM;
        }
        block->datoms[block->count++] = d;
    }
    return 0;
}

static void check(const ri_block *block, unsigned number, size_t count)
{
    char text[TEXT_MAX];
    REQUIRE(block->count == count && block->t == number);
    for (size_t i = 0; i < count; i++) {
        ri_datom d = datom_of(number, i, text);
        CHECK(ri_datom_cmp(RI_LOG, &block->datoms[i], &d) == 0);
    }
}

/* Blocks of all sizes, more or fewer datoms than were expected; released in any order, some only as views. */
TEST(block__lives_as_long_as_it_is_held)
{
    test_rng rng = test_rng_new();
    ri_block *blocks[BLOCKS];
    size_t counts[BLOCKS];
    ri_block_memory *shared = NULL;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t expected = (size_t)test_random_below(&rng, 20);
        counts[i] = (size_t)test_random_below(&rng, i % 4 == 0 ? DATOMS_MAX : 4);
        blocks[i] = ri_block_new_for(expected, &shared);
        REQUIRE(blocks[i] != NULL);
        REQUIRE_RC(fill(blocks[i], i, counts[i]), 0);
        if (i % 3 == 0) {
            ri_block *view = ri_block_view(blocks[i]);
            REQUIRE(view != NULL);
            ri_block_release(blocks[i]);
            blocks[i] = view;
        }
    }
    ri_block_memory_release(shared);
    for (unsigned left = BLOCKS; left > 0; left--) {
        unsigned gone = (unsigned)test_random_below(&rng, left);
        check(blocks[gone], (unsigned)blocks[gone]->t, counts[gone]);
        ri_block_release(blocks[gone]);
        blocks[gone] = blocks[left - 1];
        counts[gone] = counts[left - 1];
    }
}

static int make_some(void)
{
    ri_block *blocks[DATOMS_MAX] = { NULL };
    ri_block_memory *shared = NULL;
    int rc = 0;
    for (unsigned i = 0; i < DATOMS_MAX && rc == 0; i++) {
        blocks[i] = ri_block_new_for(i % 20, &shared);
        rc = blocks[i] == NULL ? RILLE_NOMEM : fill(blocks[i], i, i);
    }
    for (unsigned i = 0; i < DATOMS_MAX; i++) {
        ri_block_release(blocks[i]);
    }
    ri_block_memory_release(shared);
    return rc;
}

TEST(block__is_whole_or_not_there_without_memory)
{
    TEST_FAULT_SWEEP(make_some());
}

/* ---- transactions ---- */

static rille_conn *open_new(void)
{
    static const char schema[] = "[{:db/ident :n :db/valueType :db.type/long}"
                                 " {:db/ident :s :db/valueType :db.type/string}]";
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    ri_report report;
    REQUIRE_RC(ri_conn_open(URL, &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    return conn;
}

static void close_and_drop(rille_conn *conn)
{
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop(URL, &test_err), 0);
}

static void transact(rille_conn *conn, const char *edn)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, edn, strlen(edn), &report, &test_err), 0);
    ri_report_deinit(&report);
}

/* Allocations that stay, of many transactions: a block that is one of its own takes 100 bytes more. */
TEST(transactions__that_are_small_share_memory)
{
#ifdef RI_ARENA_MALLOC
    return; /* there each has its own, to be watched */
#endif
    enum { COUNT = 1000, A_PIECE = 10 };
    rille_conn *conn = open_new();
    transact(conn, "[{:n 1}]");
    long long before = atomic_load(&test_state.live_blocks);
    for (int i = 0; i < COUNT; i++) {
        char edn[64];
        (void)snprintf(edn, sizeof edn, "[{:n %d}]", i);
        transact(conn, edn);
    }
    CHECK(atomic_load(&test_state.live_blocks) - before < COUNT / A_PIECE);
    close_and_drop(conn);
}

/* A transaction that failed leaves nothing in what it shares with those before and after it. */
TEST(transactions__that_fail_leave_the_others_alone)
{
    rille_conn *conn = open_new();
    for (int i = 0; i < BLOCKS; i++) {
        char edn[512];
        ri_report report;
        (void)snprintf(
            edn, sizeof edn, "[{:n %d :s \"%.*s\"}]", i, i,
            "--------------------------------------------------"
            "--------------------------------------------------------------------------------------------------"
            "----------------------------------------------------");
        transact(conn, edn);
        (void)snprintf(edn, sizeof edn, "[{:n %d} [:db/cas 1 :n 1 2]]", i);
        CHECK_RC(ri_conn_transact_edn(conn, edn, strlen(edn), &report, &test_err), RILLE_TX_CAS);
    }
    rille_db *db = ri_conn_seen_db(conn);
    const ri_block *block = db->novelty.last;
    for (int i = BLOCKS; i-- > 0; block = block->prev) {
        REQUIRE(block->count == 3);
        CHECK_EQ_INT(block->datoms[0].v.as.i, i);
        CHECK_EQ_INT(block->datoms[1].v.len, i);
        CHECK(i == 0 || (block->datoms[1].v.as.p[0] == '-' && block->datoms[1].v.as.p[i - 1] == '-'));
    }
    ri_db_release(db);
    close_and_drop(conn);
}

TEST_MAIN(block__lives_as_long_as_it_is_held, block__is_whole_or_not_there_without_memory,
          transactions__that_are_small_share_memory, transactions__that_fail_leave_the_others_alone)
