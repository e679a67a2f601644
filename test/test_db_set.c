/* SPDX-License-Identifier: MIT
 *
 * Sorting keys of sets: every number of keys about the borders between the ways to sort, keys that are nearly in order
 * in every part of their bits, few distinct ones, rising runs one through the other, in all orders.
 */
#include "harness.h"

#include "../src/core/db/schema.h"
#include "../src/core/db/set.h"

enum { KEYS_MAX = 4200 };

static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };

/* A datom whose parts are taken from few or many values, and rise or not. */
static ri_datom make_datom(test_rng *rng, ri_order order, unsigned shape, size_t i)
{
    ri_datom d = { .added = true, .t = i + 1 };
    uint64_t run = i / (1 + shape % 7 * 5);
    uint64_t rising = (run << shape % 40) + test_random_below(rng, (uint64_t)1 << shape % 23);
    d.e = RI_EID_USER + (shape % 3 == 0 ? test_random_below(rng, 30 + shape * 97) : rising % (1U << 30));
    d.a = 100 + (uint32_t)test_random_below(rng, 1 + shape % 5 * 3000);
    d.v = order == RI_VAET ? ri_ref(RI_EID_USER + test_random_below(rng, 1 + shape * 1000))
          : shape % 2 == 0 ? ri_long((int64_t)rising - 5000)
                           : ri_ref(d.e + shape % 4);
    return d;
}

static int compare(ri_order order, const ri_set_key *a, const ri_set_key *b)
{
    return ri_datom_cmp(order, ri_item_datom(a->item), ri_item_datom(b->item));
}

static void check_sorted(ri_order order, const ri_datom *datoms, size_t count, unsigned shape)
{
    static ri_set_key keys[KEYS_MAX];
    static ri_set_key other[KEYS_MAX];
    static bool seen[KEYS_MAX];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < count; i++) {
        keys[i] = (ri_set_key){ ri_set_prefix(order, &datoms[i]), ri_item_new(&datoms[i]) };
    }
    bool distinct = ri_set_sort(order, keys, other, count);
    bool equal = false;
    for (size_t i = 0; i < count; i++) {
        seen[ri_item_datom(keys[i].item) - datoms] = true;
        int c = i == 0 ? -1 : compare(order, &keys[i - 1], &keys[i]);
        bool stable = i == 0 || ri_item_datom(keys[i - 1].item) < ri_item_datom(keys[i].item);
        equal = equal || c == 0;
        if (c > 0 || (c == 0 && !stable)) {
            printf("  order %d, shape %u, %zu keys: wrong at %zu\n", order, shape, count, i);
            CHECK(c < 0);
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(seen[i]);
    }
    CHECK(distinct == !equal);
}

TEST(set__sorts_keys_of_every_shape)
{
    test_rng rng = test_rng_new();
    static ri_datom datoms[KEYS_MAX];
    static const size_t counts[] = { 0, 1, 2, 13, 100, 254, 255, 256, 257, 290, 291, 292, 293, 700 };
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        for (unsigned shape = 0; shape < 120; shape++) {
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                for (size_t i = 0; i < counts[c]; i++) {
                    datoms[i] = make_datom(&rng, orders[o], shape, i);
                }
                check_sorted(orders[o], datoms, counts[c], shape);
            }
        }
    }
}

/* Two blocks: in the first one the upper part of the keys rises and the lower part does not; the second one begins with
 * the upper part again where the first one did, and rises by the lower part. So the keys are in order by all of their
 * bits but for one step down, and after that step by the low bits alone. */
static void make_blocks(test_rng *rng, unsigned split, size_t second, size_t count, ri_datom *datoms)
{
    uint64_t low = 0;
    for (size_t i = 0; i < count; i++) {
        bool first = i < count - second;
        uint64_t high = first ? i : i - (count - second);
        low = first ? 100 + test_random_below(rng, 900) : low + test_random_below(rng, 3);
        datoms[i] = (ri_datom){ .e = RI_EID_USER * 16 + high, .a = (uint32_t)low, .t = i + 1, .added = true };
        if (split > 0) { /* both in the entity */
            datoms[i].e = RI_EID_USER * 16 + (high << split) + low;
            datoms[i].a = 100;
        }
        datoms[i].v = ri_ref(datoms[i].e);
    }
}

TEST(set__sorts_blocks_that_are_nearly_in_order)
{
    test_rng rng = test_rng_new();
    static ri_datom datoms[KEYS_MAX];
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        for (unsigned split = 0; split <= 24; split = split == 0 ? 10 : split + 1) {
            for (size_t second = 0; second < 40; second++) {
                make_blocks(&rng, split, second, 300, datoms);
                check_sorted(orders[o], datoms, 300, split);
            }
        }
    }
}

/* Each run rises, mostly by a step, by `ties` not at all; they may have the same keys, or follow each other. */
static void make_runs(test_rng *rng, unsigned run_count, unsigned ties, uint64_t apart, size_t count, ri_datom *datoms)
{
    uint64_t at[16];
    for (unsigned run = 0; run < run_count; run++) {
        at[run] = (run_count - run) * apart;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned run = (unsigned)test_random_below(rng, run_count);
        at[run] += test_random_below(rng, 4) < ties ? 0 : 1 + test_random_below(rng, 3);
        datoms[i] = (ri_datom){ .e = RI_EID_USER + at[run], .a = 100, .t = i + 1, .added = true };
        datoms[i].v = ri_ref(datoms[i].e);
    }
}

TEST(set__sorts_runs_that_come_one_through_the_other)
{
    test_rng rng = test_rng_new();
    static ri_datom datoms[KEYS_MAX];
    static const size_t counts[] = { 255, 256, 257, 600, 4095, 4096, 4097, KEYS_MAX };
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (unsigned runs = 1; runs <= 12; runs++) {
            for (unsigned ties = 0; ties < 3; ties++) {
                ri_order order = orders[test_random_below(&rng, sizeof orders / sizeof *orders)];
                uint64_t apart = test_random_below(&rng, 2) == 0 ? 10000 : test_random_below(&rng, 50);
                make_runs(&rng, runs, ties, apart, counts[c], datoms);
                check_sorted(order, datoms, counts[c], runs);
            }
        }
    }
}

TEST_MAIN(set__sorts_runs_that_come_one_through_the_other, set__sorts_keys_of_every_shape,
          set__sorts_blocks_that_are_nearly_in_order)
