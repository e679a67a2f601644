/* SPDX-License-Identifier: MIT
 *
 * Sorting keys of sets: every number of keys about the border between the two ways to sort, keys that are nearly in order
 * in every part of their bits, few distinct ones, in all orders.
 */
#include "harness.h"

#include "../src/core/db/schema.h"
#include "../src/core/db/set.h"

enum { KEYS_MAX = 700 };

static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };

/* Two blocks of new entities, whose ids rise: a long one, and behind it a short one. */
static uint64_t id_in_block(unsigned shape, size_t i, size_t count)
{
    size_t second = count - count % (2 + shape % 11);
    uint64_t start = ri_mix64(shape * 31 + (i < second ? 0 : 1)) % 500;
    return start + (i < second ? i : i - second) / 2 * (1 + shape % 3);
}

/* A datom whose parts are taken from few or many values, and rise or not. */
static ri_datom make_datom(test_rng *rng, ri_order order, unsigned shape, size_t i, size_t count)
{
    ri_datom d = { .added = true, .t = i + 1 };
    uint64_t run = i / (1 + shape % 7 * 5);
    uint64_t rising = (run << shape % 40) + test_random_below(rng, (uint64_t)1 << shape % 23);
    d.e = RI_EID_USER + (shape % 3 == 0 ? test_random_below(rng, 30 + shape * 97) : rising % (1U << 30));
    d.a = 100 + (uint32_t)test_random_below(rng, 1 + shape % 5 * 3000);
    d.v = order == RI_VAET ? ri_ref(RI_EID_USER + test_random_below(rng, 1 + shape * 1000))
          : shape % 2 == 0 ? ri_long((int64_t)rising - 5000)
                           : ri_ref(d.e + shape % 4);
    if (shape % 4 == 3) {
        d.e = RI_EID_USER + id_in_block(shape, i, count);
        d.a = 100 + i % 2;
        d.v = ri_ref(d.e);
    }
    return d;
}

static int compare(ri_order order, const ri_set_key *a, const ri_set_key *b)
{
    return ri_datom_cmp(order, ri_item_datom(a->item), ri_item_datom(b->item));
}

static void check_sorted(ri_order order, unsigned shape, size_t count, test_rng *rng)
{
    static ri_datom datoms[KEYS_MAX];
    static ri_set_key keys[KEYS_MAX];
    static ri_set_key other[KEYS_MAX];
    static bool seen[KEYS_MAX];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < count; i++) {
        datoms[i] = make_datom(rng, order, shape, i, count);
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
    static const size_t counts[] = { 0, 1, 2, 13, 100, 254, 255, 256, 257, 290, 291, 292, 293, KEYS_MAX };
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        for (unsigned shape = 0; shape < 120; shape++) {
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                check_sorted(orders[o], shape, counts[c], &rng);
            }
        }
    }
}

TEST_MAIN(set__sorts_keys_of_every_shape)
