/* SPDX-License-Identifier: MIT
 *
 * Keys sorted a portion at a time come out as any stable sort gives them: of any number of rising sequences, each through
 * the others, of keys in no order, of equal ones; dealt to runs or not.
 */
#include "harness.h"

#include "../src/core/db/set.h"

enum { KEYS_MAX = 5 * RI_SET_RUN, SEQUENCES_MAX = 12, STEPS_MAX = 100000 };

static ri_datom datoms[KEYS_MAX];

/* A datom of one of the sequences; some say the same as the one before it in its sequence. */
static void make_datoms(test_rng *rng, size_t count, unsigned sequences, bool rising)
{
    uint64_t at[SEQUENCES_MAX] = { 0 };
    for (size_t i = 0; i < count; i++) {
        unsigned sequence = (unsigned)test_random_below(rng, sequences);
        at[sequence] = rising ? at[sequence] + test_random_below(rng, 3) : test_random_below(rng, count);
        datoms[i] = (ri_datom){
            .e = sequence * UINT64_C(1000000) + at[sequence], .a = 7, .t = i, .v = ri_long(1), .added = true
        };
    }
}

static int by_datom_and_time(const void *a, const void *b)
{
    const ri_datom *left = ri_item_datom(((const ri_set_key *)a)->item);
    const ri_datom *right = ri_item_datom(((const ri_set_key *)b)->item);
    int c = ri_datom_cmp(RI_EAVT, left, right);
    return c != 0 ? c : (left->t > right->t) - (left->t < right->t);
}

static void check_sort(size_t count, size_t moves, bool deals)
{
    ri_set_runs sort = { .count = count };
    sort.from = ri_alloc_array(count, sizeof *sort.from);
    sort.to = ri_alloc_array(count, sizeof *sort.to);
    uint8_t *run_of = ri_alloc(count);
    ri_set_key *expected = ri_alloc_array(count, sizeof *expected);
    REQUIRE(sort.from != NULL && sort.to != NULL && run_of != NULL && expected != NULL);
    for (size_t i = 0; i < count; i++) {
        sort.from[i] = (ri_set_key){ ri_set_prefix(RI_EAVT, &datoms[i]), ri_item_new(&datoms[i]) };
        expected[i] = sort.from[i];
    }
    sort.run_of = deals ? run_of : NULL;
    unsigned steps = 0;
    while (ri_set_runs_sort(&sort, RI_EAVT, moves)) {
        REQUIRE(++steps < STEPS_MAX);
    }
    qsort(expected, count, sizeof *expected, by_datom_and_time);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(ri_item_datom(sort.from[i].item) == ri_item_datom(expected[i].item));
    }
    ri_free(sort.from);
    ri_free(sort.to);
    ri_free(run_of);
    ri_free(expected);
}

static const size_t counts[] = {
    1, 2, 100, RI_SET_RUN - 1, RI_SET_RUN, RI_SET_RUN + 1, 2 * RI_SET_RUN, 3 * RI_SET_RUN + 17, KEYS_MAX
};

TEST(runs__of_any_number_are_sorted)
{
    test_rng rng = test_rng_new();
    for (unsigned sequences = 1; sequences <= SEQUENCES_MAX; sequences++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            make_datoms(&rng, counts[i], sequences, true);
            check_sort(counts[i], i % 2 == 0 ? 4 * (size_t)RI_SET_RUN : 700, true);
            check_sort(counts[i], 4 * (size_t)RI_SET_RUN, false);
        }
    }
}

/* Also where what was a few runs for long turns out to be none. */
TEST(runs__that_are_none_are_sorted)
{
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        make_datoms(&rng, counts[i], 3, false);
        check_sort(counts[i], 4 * (size_t)RI_SET_RUN, true);
    }
    make_datoms(&rng, KEYS_MAX, 1, true);
    for (size_t i = KEYS_MAX - 100; i < KEYS_MAX; i++) {
        datoms[i].e = KEYS_MAX - i;
    }
    check_sort(KEYS_MAX, 4 * (size_t)RI_SET_RUN, true);
}

TEST_MAIN(runs__of_any_number_are_sorted, runs__that_are_none_are_sorted)
