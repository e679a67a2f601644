/* SPDX-License-Identifier: MIT
 *
 * Finding texts within texts, against the naive search; and that the work is linear, counted in looks of the meter.
 */
#include "harness.h"

#include "../src/core/query/search.h"

static const uint8_t *naive(const uint8_t *needle, size_t len, const uint8_t *p, const uint8_t *end)
{
    for (; (size_t)(end - p) >= len; p++) {
        if (len == 0 || memcmp(p, needle, len) == 0) {
            return p;
        }
    }
    return NULL;
}

static void check_find(const uint8_t *needle, size_t len, const uint8_t *text, size_t text_len)
{
    ri_needle n;
    REQUIRE(ri_needle_init(&n, needle, len, NULL));
    CHECK(ri_needle_find(&n, text, text + text_len, NULL) == naive(needle, len, text, text + text_len));
}

/* Letters of a small alphabet, or a repeated piece with a few changes: what needles with long periods look like. */
static void random_text(test_rng *rng, uint8_t *out, size_t len)
{
    size_t letters = 1 + (size_t)test_random_below(rng, 3);
    size_t period = 1 + (size_t)test_random_below(rng, 40);
    bool repeats = test_random_below(rng, 2) == 0;
    for (size_t i = 0; i < len; i++) {
        out[i] = repeats && i >= period ? out[i - period] : (uint8_t)('a' + test_random_below(rng, letters));
        if (repeats && test_random_below(rng, 200) == 0) {
            out[i] = (uint8_t)('a' + test_random_below(rng, 3));
        }
    }
}

TEST(search__agrees_with_the_naive_one)
{
    static uint8_t text[600];
    static uint8_t other[600];
    test_rng rng = test_rng_new();
    for (unsigned round = 0; round < 20000; round++) {
        size_t text_len = (size_t)test_random_below(&rng, sizeof text + 1);
        size_t len = (size_t)test_random_below(&rng, test_random_below(&rng, 2) == 0 ? 24 : 200);
        random_text(&rng, text, text_len);
        const uint8_t *needle = other;
        random_text(&rng, other, len);
        if (len <= text_len && test_random_below(&rng, 2) == 0) { /* one that is there, or nearly */
            memcpy(other, text + test_random_below(&rng, text_len - len + 1), len);
            if (len > 0 && test_random_below(&rng, 3) == 0) {
                other[test_random_below(&rng, len)] ^= 1;
            }
        }
        check_find(needle, len, text, text_len);
    }
}

/* Every needle of two letters up to 18 of them, which is around the limit of short ones, in one text of them all. */
TEST(search__finds_all_needles_of_two_letters)
{
    static uint8_t text[4096];
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)('a' + test_random_below(&rng, 2));
    }
    for (size_t len = 14; len <= 18; len++) {
        for (unsigned bits = 0; bits < 1U << len; bits += 7) {
            uint8_t needle[18];
            for (size_t i = 0; i < len; i++) {
                needle[i] = (uint8_t)('a' + (bits >> i & 1));
            }
            check_find(needle, len, text, 500);
        }
    }
}

#define MIB ((size_t)1024 * 1024)

/* How often the meter looks, for a needle that is only told apart at its end, its start or its middle. */
static uint64_t looks_of(size_t text_len, size_t len, size_t odd_at)
{
    ri_meter meter;
    uint8_t *text = ri_alloc(text_len);
    uint8_t *needle = ri_alloc(len);
    REQUIRE(text != NULL && needle != NULL);
    memset(text, 'a', text_len);
    memset(needle, 'a', len);
    needle[odd_at] = 'b';
    ri_meter_init(&meter, 0, 0);
    ri_needle n;
    REQUIRE(ri_needle_init(&n, needle, len, &meter));
    CHECK(ri_needle_find(&n, text, text + text_len, &meter) == NULL);
    ri_free(text);
    ri_free(needle);
    return meter.looks;
}

TEST(search__is_linear_where_the_naive_one_is_quadratic)
{
    for (size_t len = 8; len <= MIB / 2; len *= 4) {
        size_t places[] = { len - 1, 0, len / 2 };
        for (unsigned i = 0; i < 3; i++) {
            uint64_t one = looks_of(MIB, len, places[i]);
            uint64_t four = looks_of(4 * MIB, len, places[i]);
            CHECK(one <= 24);
            CHECK(four <= 4 * one + 24);
        }
    }
}

TEST(search__looks_at_the_meter_in_time)
{
    /* With 8 MiB there are at least so many looks, so that none of them is more than a MiB away from the next. */
    CHECK(looks_of(8 * MIB, 9, 8) >= 8);
    CHECK(looks_of(8 * MIB, 40, 0) >= 8);
    CHECK(looks_of(8 * MIB, 4 * MIB, 4 * MIB - 1) >= 8);
}

TEST(search__stops_when_the_meter_refuses)
{
    uint8_t *text = ri_alloc(2 * MIB);
    REQUIRE(text != NULL);
    memset(text, 'a', 2 * MIB);
    for (size_t len = 8; len <= MIB / 2; len *= 4) {
        uint8_t *needle = text + MIB;
        needle[len - 1] = 'b';
        ri_meter meter;
        ri_needle n;
        ri_meter_init(&meter, 0, 0);
        CHECK(ri_needle_init(&n, needle, len, NULL));
        atomic_store(&meter.cancelled, true);
        CHECK(ri_needle_find(&n, text, text + MIB, &meter) == NULL);
        CHECK_RC(ri_meter_error(&meter, &test_err), RILLE_CANCELLED);
        CHECK_EQ_INT(meter.looks, 1);
        if (len > 16) {
            CHECK(!ri_needle_init(&n, needle, len, &meter));
            CHECK(ri_needle_find(&n, text, text + MIB, NULL) == NULL);
        }
        needle[len - 1] = 'a';
    }
    ri_free(text);
}

TEST_MAIN(search__agrees_with_the_naive_one, search__finds_all_needles_of_two_letters,
          search__is_linear_where_the_naive_one_is_quadratic, search__looks_at_the_meter_in_time,
          search__stops_when_the_meter_refuses)
