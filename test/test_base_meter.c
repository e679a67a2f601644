/* SPDX-License-Identifier: MIT
 *
 * The meter: what it refuses, that refusals stay, and that arenas and buffers count each block they hold.
 */
#include "harness.h"

#include "../src/core/base/arena.h"
#include "../src/core/base/buf.h"

TEST(meter__refuses_the_block_that_would_cross_the_limit)
{
    ri_meter meter;
    ri_meter_init(&meter, 100, 0);
    CHECK(ri_meter_take(&meter, 60));
    CHECK(ri_meter_take(&meter, 40));
    ri_meter_give(&meter, 40);
    CHECK_RC(ri_meter_error(&meter, &test_err), 0);
    CHECK(!ri_meter_take(&meter, 41));
    CHECK_RC(ri_meter_error(&meter, &test_err), RILLE_LIMIT);
    CHECK(strstr(test_err.message, "100 bytes") != NULL);
    CHECK(!ri_meter_take(&meter, 1)); /* a refusal stays */
    CHECK(!ri_meter_work(&meter, 1));
    CHECK_RC(ri_meter_check(&meter, &test_err), RILLE_LIMIT);
    CHECK_EQ_INT(meter.bytes, 60);
    CHECK_EQ_INT(meter.bytes_peak, 100);
}

TEST(meter__looks_once_in_so_many_units)
{
    ri_meter meter;
    ri_meter_init(&meter, 0, 0);
    for (unsigned i = 0; i < 4 * RI_METER_UNITS / 64; i++) {
        CHECK(ri_meter_work(&meter, 64));
    }
    CHECK(meter.looks >= 3 && meter.looks <= 4);
    atomic_store(&meter.cancelled, true);
    uint64_t looks = meter.looks;
    for (unsigned i = 0; i < RI_METER_UNITS / 64 && ri_meter_work(&meter, 64); i++) {
    }
    CHECK_EQ_INT(meter.looks, looks + 1);
    CHECK(!ri_meter_work(&meter, 0));
    CHECK_RC(ri_meter_error(&meter, &test_err), RILLE_CANCELLED);
    CHECK(!ri_meter_take(&meter, 1));
}

TEST(meter__that_is_absent_allows_everything)
{
    CHECK(ri_meter_take(NULL, SIZE_MAX));
    ri_meter_give(NULL, SIZE_MAX);
    CHECK(ri_meter_work(NULL, SIZE_MAX));
    CHECK_RC(ri_work(NULL, SIZE_MAX, &test_err), 0);
    CHECK_RC(ri_meter_error(NULL, &test_err), 0);
}

TEST(meter__is_told_of_every_block_of_arenas_and_buffers)
{
    ri_meter meter;
    ri_meter_init(&meter, 1000000, 0);
    ri_arena arena = { .meter = &meter };
    ri_buf buf = { .meter = &meter };
    test_rng rng = test_rng_new();
    for (unsigned round = 0; round < 2000; round++) {
        size_t size = (size_t)test_random_below(&rng, 3000);
        switch (test_random_below(&rng, 12)) {
        case 0:
            ri_arena_reset(&arena);
            break;
        case 1:
            ri_arena_deinit(&arena);
            break;
        case 2:
            ri_buf_deinit(&buf);
            break;
        case 3: {
            size_t len;
            uint8_t *taken = ri_buf_take(&buf, &len);
            ri_free(taken);
            break;
        }
        case 4:
        case 5:
        case 6:
            if (ri_buf_reserve(&buf, size) != NULL) {
                buf.len += size;
            }
            break;
        default:
            (void)ri_arena_alloc(&arena, size);
        }
        CHECK_EQ_INT(meter.bytes, arena.total_bytes + buf.cap);
        CHECK(meter.bytes <= 1000000);
        if (meter.failed != 0) {
            meter.failed = 0;
            ri_arena_deinit(&arena);
            ri_buf_deinit(&buf);
        }
    }
    CHECK(meter.bytes_peak > 0);
    ri_arena_deinit(&arena);
    ri_buf_deinit(&buf);
    CHECK_EQ_INT(meter.bytes, 0);
}

TEST(meter__leaves_a_buffer_as_it_was_when_it_refuses)
{
    ri_meter meter;
    ri_meter_init(&meter, 64, 0);
    ri_buf buf = { .meter = &meter };
    ri_buf_put_text(&buf, "as it was");
    ri_buf_put(&buf, "0123456789012345678901234567890123456789", 40);
    CHECK(!buf.failed || buf.len == 9);
    for (unsigned i = 0; i < 20; i++) {
        ri_buf_put_text(&buf, "and more of it");
    }
    CHECK(buf.failed);
    CHECK_EQ_MEM(buf.p, 9, "as it was", 9);
    CHECK(meter.bytes <= 64);
    ri_buf_deinit(&buf);
    CHECK_EQ_INT(meter.bytes, 0);
}

TEST_MAIN(meter__refuses_the_block_that_would_cross_the_limit, meter__looks_once_in_so_many_units,
          meter__that_is_absent_allows_everything, meter__is_told_of_every_block_of_arenas_and_buffers,
          meter__leaves_a_buffer_as_it_was_when_it_refuses)
