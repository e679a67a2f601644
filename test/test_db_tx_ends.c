/* SPDX-License-Identifier: MIT
 *
 * The ends of what is counted: ids of entities, attributes and transactions, and instants. Each counter is set to its
 * last values. Nothing that a transaction says may use one up, and at its end there is an error, never a number twice.
 */
#include "test_db_world.h"

#include "../src/core/db/block.h"

/* An empty database that counts on from there. */
static world world_at(bool read_flexible, uint64_t t, int64_t instant, uint64_t next_e, uint64_t next_attr)
{
    static const uint8_t id[16] = { 1 };
    world w = { .clock = 1000 };
    ri_store_options options = { .create = true };
    ri_base *base = NULL;
    REQUIRE_RC(ri_store_open("mem:", &options, &w.store, &test_err), 0);
    REQUIRE_RC(ri_base_new_empty(id, true, read_flexible, &base, &test_err), 0);
    base->t = t;
    base->instant = instant;
    base->next_e = next_e;
    base->next_attr = next_attr;
    REQUIRE_RC(ri_db_of_base(w.store, "main", base, NULL, &w.db, &test_err), 0);
    ri_base_release(base);
    return w;
}

static world fresh(void)
{
    world w = world_open(false);
    GIVES("[{:db/ident :k :db/valueType :db.type/long} {:db/ident :r :db/valueType :db.type/ref}"
          " {:db/ident :u :db/valueType :db.type/long :db/unique :db.unique/identity}]",
          NULL);
    return w;
}

/* Every way to say an id in a transaction. */
static const char *const sayings[] = {
    "[{:db/id %llu :k 1}]",      "[[:db/add %llu :k 1]]",
    "[{:u 1 :r %llu}]",          "[[:db/add \"x\" :r %llu]]",
    "[{:u 1 :_r %llu}]",         "[{:u 1 :r {:db/id %llu :k 1}}]",
    "[[:db/cas %llu :k nil 1]]", "[[:db/cas 1048576 :r nil %llu]]",
};

TEST(ends__a_chosen_id_leaves_ids_to_assign)
{
    static const uint64_t good[] = { RI_EID_USER, RI_EID_USER + 7, RI_EID_CHOSEN_END - 3, RI_EID_CHOSEN_END - 1 };
    static const uint64_t bad[] = { RI_EID_CHOSEN_END, RI_EID_CHOSEN_END + 1, RI_TX_BASE - 2, RI_TX_BASE - 1 };
    char text[200];
    for (size_t i = 0; i < sizeof sayings / sizeof *sayings; i++) {
        world w = fresh();
        for (size_t j = 0; j < 4; j++) {
            (void)snprintf(text, sizeof text, sayings[i], (unsigned long long)bad[j]);
            REFUSES(text, RILLE_LIMIT, "is too large for a new entity: choose an id below 549755813888");
        }
        for (size_t j = 0; j < 4; j++) {
            (void)snprintf(text, sizeof text, sayings[i], (unsigned long long)good[j]);
            GIVES(text, NULL);
            GIVES("[{:k 1}]", NULL);
            GIVES("[[:db/retract 1048576 :r] [:db/retract 1048576 :k]]", NULL);
            (void)snprintf(text, sizeof text, "[[:db/retract %llu :k]]", (unsigned long long)good[j]);
            GIVES(text, NULL);
        }
        CHECK(w.db->next_e > RI_EID_CHOSEN_END && w.db->next_e < RI_EID_CHOSEN_END + 10);
        world_close(&w);
    }
}

TEST(ends__ids_that_were_assigned_can_be_said)
{
    world w = fresh();
    GIVES("[{:db/id 549755813887 :k 1} {:k 2}]", "[e549754765311 :k 1 +] [e549754765312 :k 2 +]");
    GIVES("[[:db/add 549755813888 :k 3]]", "[e549754765312 :k 2 -] [e549754765312 :k 3 +]"); /* 2^39, assigned by now */
    REFUSES("[[:db/add 549755813889 :k 3]]", RILLE_LIMIT, "too large for a new entity");
    GIVES("[[:db/retract 549755813889 :k 3]]", ""); /* names no entity, and makes none */
    GIVES("[{:k 4}]", "[e549754765313 :k 4 +]");
    world_close(&w);
}

TEST(ends__entities)
{
    world w = world_at(true, 0, 0, RI_TX_BASE - 2, RI_EID_ATTR);
    GIVES("[{:k 1}]", NULL);
    GIVES("[{:db/id \"x\" :k 2}]", NULL);
    CHECK_EQ_INT(w.db->next_e, RI_TX_BASE);
    REFUSES("[{:k 3}]", RILLE_LIMIT, "no more entity ids");
    REFUSES("[{:k 3}]", RILLE_LIMIT, "no more entity ids"); /* and nothing moved */
    GIVES("[[:db/add 1099511627775 :k 4]]", NULL);
    GIVES("[{:db/id 5000000 :k 4}]", NULL); /* smaller ids are free still */
    GIVES("[{:new/attribute 4 :db/id 5000000}]", NULL);
    world_close(&w);
}

TEST(ends__attributes)
{
    world w = world_at(true, 0, 0, RI_EID_USER, RI_EID_USER - 2);
    GIVES("[{:db/id 1048576 :a 1}]", NULL);
    GIVES("[{:db/ident :b :db/valueType :db.type/long}]", NULL);
    CHECK_EQ_INT(w.db->next_attr, RI_EID_USER);
    REFUSES("[{:db/id 1048576 :c 1}]", RILLE_LIMIT, "at most");
    REFUSES("[{:db/ident :c :db/valueType :db.type/long}]", RILLE_LIMIT, "at most");
    GIVES("[{:a 1 :b 2}]", NULL);
    GIVES("[{:db/ident :red}]", NULL); /* an entity with a name, and no attribute */
    CHECK(ri_schema_ident(w.db->schema, "red", 3) >= RI_EID_USER);
    world_close(&w);
}

TEST(ends__names_do_not_use_up_attributes)
{
    world w = world_at(true, 0, 0, RI_EID_USER, RI_EID_NAMED_END - 1);
    GIVES("[{:db/ident :red}]", NULL);
    GIVES("[{:db/ident :blue}]", NULL);
    CHECK_EQ_INT(ri_schema_ident(w.db->schema, "red", 3), RI_EID_NAMED_END - 1);
    CHECK_EQ_INT(ri_schema_ident(w.db->schema, "blue", 4), RI_EID_USER);
    GIVES("[{:red 1}]", NULL);
    REFUSES("[{:blue 1}]", RILLE_SCHEMA, ":blue is the ident of entity 1048576");
    GIVES("[{:green 1} {:db/ident :grey :db/index true}]", NULL); /* attributes have the rest */
    CHECK_EQ_INT(w.db->next_attr, RI_EID_NAMED_END + 2);
    world_close(&w);
}

TEST(ends__transactions)
{
    world w = world_at(true, RI_EID_MAX - 1, 0, RI_EID_USER, RI_EID_ATTR);
    GIVES("[{:k 1 :db/doc \"x\"} [:db/add \"datomic.tx\" :db/doc \"last\"]]", NULL);
    CHECK_EQ_INT(w.db->t, RI_EID_MAX);
    REFUSES("[{:k 2}]", RILLE_LIMIT, "no more transaction ids");
    world_close(&w);
}

#define GIVEN "[{:db/id \"datomic.tx\" :db/txInstant #inst \"%s\"}]"
#define AT_2026 INT64_C(1767225600000) /* 2026-01-01 */

static void give(world *w, const char *instant, int rc)
{
    char text[200];
    (void)snprintf(text, sizeof text, GIVEN, instant);
    CHECK_RC(world_try(w, text, NULL, &test_err), rc);
}

TEST(ends__an_instant_may_be_a_minute_ahead_of_the_clock)
{
    world w = world_at(true, 0, 0, RI_EID_USER, RI_EID_ATTR);
    w.clock = AT_2026 - 1; /* each look at it adds 1 */
    give(&w, "2206-01-01", RILLE_TX_SYNTAX);
    CHECK(strstr(test_err.message, "more than a minute after the clock, 2026-01-01") != NULL);
    w.clock = AT_2026 - 1;
    give(&w, "2026-01-01T00:01:00.001Z", RILLE_TX_SYNTAX);
    w.clock = AT_2026 - 1;
    give(&w, "2026-01-01T00:01:00.000Z", 0);
    CHECK_EQ_INT(w.db->instant, AT_2026 + 60000);
    give(&w, "2026-01-01T00:02:00.001Z", RILLE_TX_SYNTAX); /* the last transaction is ahead of the clock now */
    CHECK(strstr(test_err.message, "more than a minute after the last transaction, 2026-01-01T00:01") != NULL);
    give(&w, "2026-01-01T00:02:00.000Z", 0);
    give(&w, "2026-01-01T00:01:59.999Z", RILLE_TX_SYNTAX);
    give(&w, "2026-01-01T00:02:00.000Z", 0);
    GIVES("[{:k 1}]", NULL);
    CHECK_EQ_INT(w.db->instant, AT_2026 + 120001);
    world_close(&w);
}

TEST(ends__instants_do_not_repeat)
{
    world w = world_at(true, 0, INT64_MAX - 2, RI_EID_USER, RI_EID_ATTR);
    GIVES("[{:k 1}]", NULL);
    CHECK_EQ_INT(w.db->instant, INT64_MAX - 1);
    GIVES("[{:k 1}]", NULL);
    CHECK_EQ_INT(w.db->instant, INT64_MAX);
    REFUSES("[{:k 1}]", RILLE_LIMIT, "the largest instant there is");
    give(&w, "2026-01-01", RILLE_LIMIT);
    world_close(&w);
    w = world_at(true, 0, 0, RI_EID_USER, RI_EID_ATTR);
    w.clock = INT64_MAX - 1;
    GIVES("[{:k 1}]", NULL);
    w.clock = INT64_MAX - 1; /* looking at it adds 1 */
    REFUSES("[{:k 1}]", RILLE_LIMIT, "the largest instant there is");
    world_close(&w);
}

TEST(ends__the_instant_of_an_earlier_transaction_stays)
{
    world w = world_at(true, 0, 0, RI_EID_USER, RI_EID_ATTR);
    w.clock = AT_2026;
    GIVES("[{:k 1}]", NULL);
    GIVES("[{:k 2}]", NULL);
    GIVES("[[:db/add 1099511627777 :db/txInstant #inst \"2026-01-01T00:00:00.001Z\"]]", "");
    REFUSES("[[:db/add 1099511627777 :db/txInstant #inst \"2026-01-01\"]]", RILLE_TX_SYNTAX, "can only be added");
    REFUSES("[[:db/retract 1099511627777 :db/txInstant]]", RILLE_TX_SYNTAX, "can only be added");
    REFUSES("[[:db/retract \"datomic.tx\" :db/txInstant]]", RILLE_TX_SYNTAX, "can only be added");
    REFUSES("[[:db/add 1099511627778 :k 1] {:db/id 5000000 :db/txInstant #inst \"2026-01-01\"}]", RILLE_TX_SYNTAX,
            "can only be added");
    world_close(&w);
}

/* ---- from storage ---- */

static int replay(world *w, uint64_t t, uint64_t e, ri_value v)
{
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL && RI_GROW(&block->datoms, &block->memory->heap_cap, 1));
    block->t = t;
    block->datoms[0] = (ri_datom){ .e = e, .t = t, .v = v, .a = 100, .added = true };
    block->count = 1;
    rille_db *copy;
    REQUIRE_RC(ri_db_fork(w->db, &copy, &test_err), 0);
    int rc = ri_db_replay(copy, block, &test_err);
    ri_db_release(copy);
    ri_block_release(block);
    return rc;
}

TEST(ends__stored_transactions_move_no_counter_too_far)
{
    world w = fresh();
    uint64_t next = w.db->t + 1;
    ri_value one = ri_long(1);
    CHECK_RC(replay(&w, next, RI_EID_USER, one), 0);
    CHECK_RC(replay(&w, next, RI_TX_BASE - 1, one), 0); /* an earlier version accepted it */
    CHECK_RC(replay(&w, next, next, one), 0);
    CHECK_RC(replay(&w, next + 1, RI_EID_USER, one), RILLE_CORRUPT); /* one was left out */
    CHECK_RC(replay(&w, RI_EID_MAX, RI_EID_USER, one), RILLE_CORRUPT);
    CHECK_RC(replay(&w, next - 1, RI_EID_USER, one), RILLE_CORRUPT);
    CHECK_RC(replay(&w, next, next + 1, one), RILLE_CORRUPT); /* of a transaction to come */
    CHECK_RC(replay(&w, next, RI_EID_MAX, one), RILLE_CORRUPT);
    world_close(&w);
}

TEST_MAIN(ends__a_chosen_id_leaves_ids_to_assign, ends__ids_that_were_assigned_can_be_said, ends__entities,
          ends__attributes, ends__names_do_not_use_up_attributes, ends__transactions,
          ends__an_instant_may_be_a_minute_ahead_of_the_clock, ends__instants_do_not_repeat,
          ends__the_instant_of_an_earlier_transaction_stays, ends__stored_transactions_move_no_counter_too_far)
