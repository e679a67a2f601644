/* SPDX-License-Identifier: MIT
 *
 * Doubles to text and back, against libc's correctly rounded strtod and "%.*e".
 */
#include "../src/core/data/value.h"
#include "harness.h"

#include <math.h>

#define RUNS 200000
#define FRACTION_PLACES 1100
#define MODEL_SIZE 1450

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void check_parse(const char *text)
{
    double d;
    double expected = strtod(text, NULL);
    rille_err err;
    int rc = ri_double_parse(text, strlen(text), &d, &err);
    if (isinf(expected)) {
        CHECK_EQ_INT(rc, RILLE_TYPE);
        return;
    }
    if (rc != 0 || bits_of(d) != bits_of(expected == 0 ? 0.0 : expected)) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%s read as %.17g, expected %.17g\n", text, d, expected);
    }
}

/* How many significant digits the shortest text needs: the smallest precision at which libc's text, or a neighbour of
 * its last digit, reads back. */
static int digits_needed(double d)
{
    for (int precision = 0; precision < 17; precision++) {
        char text[40];
        (void)snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            return precision + 1;
        }
    }
    return 17;
}

static int digits_used(const char *text)
{
    char digits[40];
    int count = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0')) {
            digits[count++] = *text;
        }
    }
    while (count > 0 && digits[count - 1] == '0') {
        count--;
    }
    return count;
}

static void check_format(double d)
{
    char text[32];
    size_t len = ri_double_format(text, d);
    CHECK(len < sizeof text && strlen(text) == len);
    double back;
    rille_err err;
    int rc = ri_double_parse(text, len, &back, &err);
    bool round_trip = rc == 0 && back == d && strtod(text, NULL) == d && strpbrk(text, ".e") != NULL;
    if (!round_trip || digits_used(text) > digits_needed(d)) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%.17g was written as %s, which is not the shortest that reads back\n", d, text);
    }
}

TEST(double__reads_every_text_as_libc_does)
{
    static const char *const texts[] = { "0.0",
                                         "-0.0",
                                         "1.0",
                                         "0.1",
                                         "123456.789",
                                         "1e22",
                                         "1e23",
                                         "9007199254740993.0",
                                         "9007199254740992.99999999999999999999999999",
                                         "9007199254740993.00000000000000000000000000001",
                                         "1.7976931348623157e308",
                                         "1.7976931348623158e308",
                                         "1.797693134862315807e308",
                                         "1.797693134862315808e308",
                                         "1.8e308",
                                         "1e400",
                                         "1e-400",
                                         "4.9e-324",
                                         "2.4703282292062327e-324",
                                         "2.4703282292062328e-324",
                                         "2.2250738585072011e-308",
                                         "2.2250738585072014e-308",
                                         "0.000000000000000000000000000000000000000000000000000000000000000001",
                                         "100000000000000000000000000000000000000000000000000000000000000000.5",
                                         "6929495644600919.5e0",
                                         "3.7455744005952583e15",
                                         "0.500000000000000166533453693773481063544750213623046875",
                                         "1e99999999999999999999",
                                         "1e-99999999999999999999",
                                         "0e99999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_parse(texts[i]);
    }
}

TEST(double__reads_random_texts_as_libc_does)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < RUNS; i++) {
        char text[80];
        uint64_t a = test_random(&rng) >> test_random_below(&rng, 64);
        uint64_t b = test_random(&rng) >> test_random_below(&rng, 64);
        int exponent = (int)test_random_below(&rng, 700) - 360;
        if (i % 2 == 0) {
            (void)snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)a, (unsigned long long)b, exponent);
        } else if (i % 4 == 1) {
            (void)snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)a, (unsigned long long)(b % 100000));
        } else { /* close to the points between doubles */
            (void)snprintf(text, sizeof text, "%.*e", 16 + (int)test_random_below(&rng, 30),
                           of_bits(test_random(&rng) & ~(UINT64_C(1) << 62)));
        }
        if (strpbrk(text, "nN") == NULL) {
            check_parse(text);
        }
    }
}

/* (a + b) / 2 of two texts of equal length; their last digit must be 0, so that the half is exact. */
static void halve_sum(const char *a, const char *b, char *out)
{
    size_t len = strlen(a);
    int sum[MODEL_SIZE];
    int carry = 0;
    for (size_t i = len; i-- > 0;) {
        sum[i] = a[i] == '.' ? 0 : (a[i] - '0') + (b[i] - '0') + carry;
        carry = a[i] == '.' ? carry : sum[i] / 10;
        sum[i] %= 10;
    }
    int rest = carry;
    for (size_t i = 0; i < len; i++) {
        if (a[i] == '.') {
            out[i] = '.';
        } else {
            out[i] = (char)('0' + (rest * 10 + sum[i]) / 2);
            rest = (rest * 10 + sum[i]) % 2;
        }
    }
    out[len] = '\0';
}

TEST(double__reads_halfway_points_to_even)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 3000; i++) {
        static char low_text[MODEL_SIZE];
        static char high_text[MODEL_SIZE];
        static char half_text[MODEL_SIZE];
        uint64_t bits = test_random(&rng) & ~(UINT64_C(1) << 63);
        double low = of_bits(i % 4 == 0 ? bits & ((UINT64_C(1) << 52) - 1) : bits);
        if (!isfinite(low) || low > 1e300) {
            continue;
        }
        (void)snprintf(low_text, sizeof low_text, "%0*.*f", MODEL_SIZE - 1, FRACTION_PLACES, low);
        (void)snprintf(high_text, sizeof high_text, "%0*.*f", MODEL_SIZE - 1, FRACTION_PLACES,
                       of_bits(bits_of(low) + 1));
        halve_sum(low_text, high_text, half_text);
        check_parse(half_text);
        half_text[MODEL_SIZE - 2] = '1'; /* just above */
        check_parse(half_text);
    }
    check_parse("1.00000000000000011102230246251565404236316680908203125");
    check_parse("1.00000000000000033306690738754696212708950042724609375");
    check_parse("9007199254740993");
    check_parse("9007199254740995");
    check_parse("36028797018963971.0");
}

TEST(double__refuses_what_is_no_float)
{
    static const char *const wrong[] = {
        "", "-", ".", "1.", ".5", "1e", "e5", "1.5e", "nan", "inf", "0x10", "1_0", "1 "
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double d = 7;
        CHECK_RC(ri_double_parse(wrong[i], strlen(wrong[i]), &d, &test_err), RILLE_TYPE);
        CHECK(d == 0);
    }
}

TEST(double__writes_the_shortest_text)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < RUNS; i++) {
        double d = of_bits(test_random(&rng));
        if (i % 3 == 1) {
            d = (double)(int64_t)test_random(&rng) / (double)(UINT64_C(1) << test_random_below(&rng, 60));
        } else if (i % 3 == 2) {
            d = (double)test_random_below(&rng, 10000000) / 1000;
        }
        if (isfinite(d)) {
            check_format(d == 0 ? 0.0 : d);
        }
    }
    for (double d = of_bits(1); isfinite(d); d *= 2) { /* powers of two: the lower neighbour is closer */
        check_format(d);
        check_format(of_bits(bits_of(d) - 1));
        check_format(of_bits(bits_of(d) + 1));
    }
}

static void check_text(double d, const char *expected)
{
    char text[32];
    (void)ri_double_format(text, d);
    CHECK_EQ_STR(text, expected);
}

TEST(double__lays_out_numbers_for_people)
{
    check_text(0, "0.0");
    check_text(1, "1.0");
    check_text(-1.5, "-1.5");
    check_text(0.1, "0.1");
    check_text(100, "100.0");
    check_text(1e20, "100000000000000000000.0");
    check_text(1e21, "1e21");
    check_text(1.5e300, "1.5e300");
    check_text(0.000001, "0.000001");
    check_text(0.0000001, "1e-7");
    check_text(1.25e-9, "1.25e-9");
    check_text(5e-324, "5e-324");
    check_text(1.7976931348623157e308, "1.7976931348623157e308");
    check_text(9007199254740993.0, "9007199254740992.0");
    check_text(3.141592653589793, "3.141592653589793");
    check_text(INFINITY, "##Inf");
    check_text(-INFINITY, "##-Inf");
    check_text(NAN, "##NaN");
}

TEST_MAIN(double__reads_every_text_as_libc_does, double__reads_random_texts_as_libc_does,
          double__reads_halfway_points_to_even, double__refuses_what_is_no_float, double__writes_the_shortest_text,
          double__lays_out_numbers_for_people)
