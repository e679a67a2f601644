/* SPDX-License-Identifier: MIT
 *
 * Reads of short ranges of the novelty, which need no set: what they give, and when a set is made after all.
 */
#include "harness.h"

#include "../src/core/db/conn.h"

static ri_schema *make_schema(void)
{
    ri_schema *schema = NULL;
    REQUIRE_RC(ri_schema_bootstrap(false, &schema, &test_err), 0);
    return schema;
}

/* A transaction with the instant `t` of so many entities. */
static void add_entities(ri_novelty *novelty, ri_schema *schema, uint64_t t, uint64_t first_e, size_t count)
{
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    block->t = RI_TX_BASE + t;
    block->datoms = ri_arena_array(&block->memory->arena, count, sizeof *block->datoms);
    REQUIRE(block->datoms != NULL);
    for (size_t i = 0; i < count; i++) {
        block->datoms[block->count++] = (ri_datom){ .e = RI_EID_USER + first_e + i,
                                                    .a = RI_A_TX_INSTANT,
                                                    .t = block->t,
                                                    .v = ri_word(RI_INSTANT, t),
                                                    .added = true };
    }
    ri_novelty_add(novelty, block, schema);
    ri_block_release(block);
}

static bool has_set(const ri_novelty *novelty, ri_order order)
{
    return atomic_load(&((ri_novelty *)(uintptr_t)novelty)->set[order]) != NULL;
}

/* The items of a range, of which there are `count`. */
static void check_between(const ri_novelty *novelty, ri_order order, const ri_bound *from, const ri_bound *to,
                          int64_t count, const ri_set_node **out, ri_set_node **hold)
{
    ri_set_cut low = ri_set_cut_of(order, from);
    ri_set_cut high = ri_set_cut_of(order, to);
    CHECK_RC(ri_novelty_between(novelty, &low, &high, out, hold, &test_err), 0);
    CHECK_EQ_INT(ri_set_rank(*out, &high) - ri_set_rank(*out, &low), count);
}

static ri_bound fact(uint64_t e, uint64_t instant, bool after)
{
    ri_value v = ri_word(RI_INSTANT, instant);
    return ri_bound_eav(RI_EID_USER + e, RI_A_TX_INSTANT, &v, after);
}

/* `old` datoms in a set, then `added` more. */
static void check_reads(ri_schema *schema, ri_order order, uint64_t old, uint64_t added)
{
    ri_novelty novelty = { .last = NULL };
    const ri_set_node *before = NULL;
    const ri_set_node *set = NULL;
    ri_set_node *hold = NULL;
    if (old > 0) {
        add_entities(&novelty, schema, 1, 0, old);
        CHECK_RC(ri_novelty_set(&novelty, order, &before, &test_err), 0);
    }
    add_entities(&novelty, schema, 2, old, added);
    ri_bound from = fact(old / 2, 1, false);
    ri_bound to = fact(old / 2, 1, true);
    check_between(&novelty, order, &from, &to, old > 0 ? 1 : 0, &set, &hold);
    CHECK(set == before && hold == before); /* nothing new: the set of before */
    CHECK(!has_set(&novelty, order));
    ri_set_release(hold);
    uint64_t looked = added;
    from = fact(old, 2, false);
    to = fact(old, 2, true);
    while (!has_set(&novelty, order)) {
        check_between(&novelty, order, &from, &to, 1, &set, &hold);
        looked += added;
        ri_set_release(hold);
        REQUIRE(looked <= (RI_NOVELTY_WALKS + 3) * added + RI_NOVELTY_WALKED_MIN);
    }
    CHECK(looked >= RI_NOVELTY_WALKS * added);
    ri_novelty_deinit(&novelty);
}

/* What a commit added is looked through; only when that has cost more than a set, there is one. */
TEST(range__needs_no_set)
{
    static const uint64_t counts[][2] = { { 0, 2000 }, { 3000, 1 }, { 3000, 300 }, { 20000, 5000 } };
    static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET };
    ri_schema *schema = make_schema();
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            check_reads(schema, orders[o], counts[i][0], counts[i][1]);
        }
    }
    ri_schema_release(schema);
}

/* Values that are each read once: what is looked through stays short, and sets are rare. */
TEST(range__reads_of_growing_values_are_amortized)
{
    ri_schema *schema = make_schema();
    ri_novelty novelty = { .last = NULL };
    uint64_t walked = 0;
    uint64_t sets = 0;
    for (uint64_t t = 1; t <= 5000; t++) {
        const ri_set_node *set = NULL;
        ri_set_node *hold = NULL;
        add_entities(&novelty, schema, t, t, 1);
        ri_bound from = ri_bound_ea(RI_EID_USER + t / 2, RI_A_TX_INSTANT, false);
        ri_bound to = ri_bound_ea(RI_EID_USER + t / 2, RI_A_TX_INSTANT, true);
        check_between(&novelty, RI_EAVT, &from, &to, t > 1 ? 1 : 0, &set, &hold);
        bool made = has_set(&novelty, RI_EAVT);
        sets += made;
        walked += made ? 0 : atomic_load(&novelty.behind[RI_EAVT]);
        ri_set_release(hold);
    }
    CHECK(sets >= 20 && sets <= 300);
    CHECK(walked <= 5000 * 100);
    ri_novelty_deinit(&novelty);
    ri_schema_release(schema);
}

/* More new datoms in the range than are put together for it: the set is made. */
TEST(range__makes_the_set_when_it_is_long)
{
    ri_schema *schema = make_schema();
    for (unsigned count = 1; count < 130; count++) {
        ri_novelty novelty = { .last = NULL };
        const ri_set_node *set = NULL;
        ri_set_node *hold = NULL;
        add_entities(&novelty, schema, 1, 0, count);
        ri_bound from = ri_bound_all(false);
        ri_bound to = ri_bound_all(true);
        check_between(&novelty, RI_AEVT, &from, &to, count, &set, &hold);
        CHECK((hold == NULL) == (count > 64));
        ri_set_release(hold);
        ri_novelty_deinit(&novelty);
    }
    ri_schema_release(schema);
}

/* Old and new datoms of one value. */
static int read_both(ri_novelty *novelty, rille_err *err)
{
    ri_bound from = { .d = { .a = RI_A_TX_INSTANT, .v = ri_word(RI_INSTANT, 1) }, .parts = 2 };
    ri_bound to = from;
    to.after = true;
    ri_set_cut low = ri_set_cut_of(RI_AVET, &from);
    ri_set_cut high = ri_set_cut_of(RI_AVET, &to);
    const ri_set_node *set;
    ri_set_node *hold;
    int rc = ri_novelty_between(novelty, &low, &high, &set, &hold, err);
    if (rc == 0) {
        CHECK_EQ_INT(ri_set_rank(set, &high) - ri_set_rank(set, &low), 40);
        CHECK(hold != NULL);
    }
    ri_set_release(hold);
    atomic_store(&novelty->walked[RI_AVET], 0);
    return rc;
}

/* Nothing is left behind, also no set of everything. */
TEST(range__survives_every_failing_allocation)
{
    ri_schema *schema = make_schema();
    ri_novelty novelty = { .last = NULL };
    const ri_set_node *set = NULL;
    add_entities(&novelty, schema, 1, 0, 30);
    CHECK_RC(ri_novelty_set(&novelty, RI_AVET, &set, &test_err), 0);
    add_entities(&novelty, schema, 1, 100, 10);
    TEST_FAULT_SWEEP(read_both(&novelty, &test_err));
    CHECK(!has_set(&novelty, RI_AVET));
    ri_novelty_deinit(&novelty);
    ri_schema_release(schema);
}

/* ---- values ---- */

static void transact(rille_conn *conn, const char *text)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err), 0);
    ri_report_deinit(&report);
}

/* The single answers of a value ask for short ranges, also those that a transaction needs. */
TEST(range__look_ups_after_a_commit_make_no_set)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    ri_conn_options options = { .create = true };
    REQUIRE_RC(ri_conn_open("mem:short-ranges", &options, &conn, &test_err), 0);
    transact(conn, "[{:db/ident :u :db/valueType :db.type/string :db/unique :db.unique/identity}"
                   " {:db/ident :n :db/valueType :db.type/long} {:db/ident :r :db/valueType :db.type/ref}]");
    transact(conn, "[{:u \"a\" :n 1} {:u \"b\" :n 2 :r [:u \"a\"]}]");
    transact(conn, "[{:u \"b\" :n 3}]");
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    ri_io io = { 0 };
    uint64_t e;
    uint64_t count;
    bool found;
    uint64_t t;
    ri_value b = ri_bytes_value(RI_STRING, "b", 1);
    const ri_attr *u = ri_schema_attr(db->schema, "u", 1);
    const ri_attr *n = ri_schema_attr(db->schema, "n", 1);
    CHECK_RC(ri_db_lookup(db, u, &b, &io, &e, &test_err), 0);
    for (int64_t i = 1; i <= 3; i++) {
        ri_value v = ri_long(i);
        ri_bound from = ri_bound_eav(e, n->id, &v, false);
        ri_bound to = ri_bound_eav(e, n->id, &v, true);
        CHECK_RC(ri_db_has(db, e, n->id, &v, &io, &found, &t, &test_err), 0);
        CHECK(found == (i == 3));
        for (int o = RI_EAVT; o <= RI_AVET; o++) {
            ri_datom d;
            ri_object *hold;
            CHECK_RC(ri_db_first(db, (ri_order)o, &from, &to, &io, &d, &hold, &test_err), i == 3 ? 0 : RILLE_DONE);
            ri_object_release(hold);
            CHECK_RC(ri_db_count(db, (ri_order)o, &from, &to, &io, &count, &test_err), 0);
            CHECK_EQ_INT((int)count, i == 3 ? 1 : 0);
        }
    }
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        CHECK(!has_set(&db->novelty, (ri_order)o));
    }
    ri_io_deinit(&io);
    ri_db_release(db);
    ri_conn_release(conn);
    REQUIRE_RC(ri_database_drop("mem:short-ranges", &test_err), 0);
}

TEST_MAIN(range__needs_no_set, range__reads_of_growing_values_are_amortized, range__makes_the_set_when_it_is_long,
          range__survives_every_failing_allocation, range__look_ups_after_a_commit_make_no_set)
