/* SPDX-License-Identifier: MIT
 *
 * The novelty's sets against a sorted array: random blocks, random cuts, old values stay as they were.
 */
#include "harness.h"

#include "../src/core/db/novelty.h"

#define FACTS 600U
#define STEPS 300U

/* The model: for each possible (e, a, v) what the novelty says. */
typedef struct fact {
    uint64_t e;
    int64_t v;
    bool in_base;
    bool live;
    bool known; /* the novelty has an item */
    uint64_t t;
} fact;

static ri_schema *test_schema(void)
{
    ri_schema *schema = NULL;
    REQUIRE_RC(ri_schema_bootstrap(false, &schema, &test_err), 0);
    return schema;
}

static ri_datom datom_of(const fact *f, uint64_t t, bool added)
{
    return (
        ri_datom){ .e = f->e, .a = RI_A_TX_INSTANT, .t = t, .v = ri_word(RI_INSTANT, (uint64_t)f->v), .added = added };
}

static int cmp_datoms(const void *a, const void *b)
{
    return ri_datom_cmp(RI_EAVT, a, b);
}

/* A block that flips random facts. */
static ri_block *random_block(test_rng *rng, fact *facts, uint64_t t)
{
    ri_block *block = ri_block_new();
    size_t count = 1 + test_random_below(rng, 20);
    block->datoms = ri_arena_array(&block->arena, count, sizeof *block->datoms);
    block->t = t;
    for (size_t i = 0; i < count; i++) {
        fact *f = &facts[test_random_below(rng, FACTS)];
        if (f->t == t) {
            continue; /* once a transaction */
        }
        f->live = !f->live;
        f->known = true;
        f->t = t;
        block->datoms[block->count++] = datom_of(f, t, f->live);
    }
    qsort(block->datoms, block->count, sizeof *block->datoms, cmp_datoms);
    return block;
}

static void check_against(const ri_novelty *novelty, const fact *facts, test_rng *rng)
{
    const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET };
    ri_order order = orders[test_random_below(rng, 3)];
    const fact *pivot = &facts[test_random_below(rng, FACTS)];
    ri_bound cut = { datom_of(pivot, 0, true), (uint8_t)test_random_below(rng, 4), test_random_below(rng, 2) != 0 };
    size_t expected = 0;
    int64_t rank = 0;
    for (size_t i = 0; i < FACTS; i++) {
        ri_datom d = datom_of(&facts[i], 0, true);
        bool before = ri_datom_cmp_bound(order, &d, &cut) < 0;
        expected += facts[i].known && !before ? 1 : 0;
        rank += before ? (int64_t)facts[i].live - (int64_t)facts[i].in_base : 0;
    }
    ri_set_cursor cursor;
    size_t found = 0;
    ri_datom last = { 0 };
    for (ri_set_seek(&cursor, novelty, order, &cut); !ri_set_at_end(&cursor); ri_set_next(&cursor)) {
        const ri_datom *d = ri_item_datom(ri_set_item(&cursor));
        CHECK(found == 0 || ri_datom_cmp(order, &last, d) < 0);
        last = *d;
        found++;
    }
    CHECK_EQ_INT(found, expected);
    CHECK_EQ_INT(ri_set_rank(novelty, order, &cut), rank);
    ri_item item;
    ri_datom key = datom_of(pivot, 0, true);
    CHECK_EQ_INT(ri_set_find(novelty, &key, &item), pivot->known);
    CHECK(!pivot->known || ri_item_datom(item)->added == pivot->live);
}

TEST(novelty__agrees_with_a_sorted_array)
{
    test_rng rng = test_rng_new();
    static fact facts[FACTS];
    static fact old_facts[FACTS];
    ri_schema *schema = test_schema();
    ri_novelty novelty = { 0 };
    ri_novelty old = { 0 };
    for (size_t i = 0; i < FACTS; i++) {
        bool in_base = test_random_below(&rng, 2) != 0;
        facts[i] = (fact){ RI_EID_USER + i / 4, (int64_t)(i % 4), in_base, in_base, false, 0 };
    }
    memcpy(old_facts, facts, sizeof facts);
    for (uint64_t step = 1; step <= STEPS; step++) {
        ri_novelty next;
        ri_novelty_copy(&novelty, &next);
        ri_block *block = random_block(&rng, facts, RI_TX_BASE + step);
        CHECK_RC(ri_novelty_add(&next, block, schema, &test_err), 0);
        ri_block_release(block);
        ri_novelty_deinit(&novelty);
        novelty = next;
        check_against(&novelty, facts, &rng);
        check_against(&old, old_facts, &rng);
        if (step % 50 == 0) {
            ri_novelty_deinit(&old);
            ri_novelty_copy(&novelty, &old);
            memcpy(old_facts, facts, sizeof facts);
        }
    }
    ri_novelty_deinit(&novelty);
    ri_novelty_deinit(&old);
    ri_schema_release(schema);
}

static int add_three_blocks(ri_schema *schema, rille_err *err)
{
    ri_novelty novelty = { 0 };
    int rc = 0;
    for (uint64_t t = 1; t <= 3 && rc == 0; t++) {
        ri_block *block = ri_block_new();
        if (block == NULL) {
            rc = RILLE_NOMEM;
            break;
        }
        block->t = RI_TX_BASE + t;
        block->datoms = ri_arena_array(&block->arena, 100, sizeof *block->datoms);
        for (size_t i = 0; block->datoms != NULL && i < 100; i++) {
            fact f = { .e = RI_EID_USER + i, .v = (int64_t)t };
            block->datoms[block->count++] = datom_of(&f, block->t, true);
        }
        ri_novelty next;
        ri_novelty_copy(&novelty, &next);
        rc = block->datoms == NULL ? ri_fail_nomem(err) : ri_novelty_add(&next, block, schema, err);
        ri_novelty_deinit(&novelty);
        novelty = next;
        ri_block_release(block);
    }
    ri_novelty_deinit(&novelty);
    return rc;
}

TEST(novelty__survives_every_failing_allocation)
{
    ri_schema *schema = test_schema();
    TEST_FAULT_SWEEP(add_three_blocks(schema, &test_err));
    ri_schema_release(schema);
}

TEST_MAIN(novelty__agrees_with_a_sorted_array, novelty__survives_every_failing_allocation)
