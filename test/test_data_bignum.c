/* SPDX-License-Identifier: MIT
 *
 * Numbers across the four kinds against a slow model: every number as one long text of digits, printed by libc.
 */
#include "../src/core/data/value.h"
#include "harness.h"

#include <math.h>

#define WHOLE_PLACES 400
#define FRACTION_PLACES 1100
#define MODEL_SIZE (WHOLE_PLACES + FRACTION_PLACES + 8)
#define NUMBER_COUNT 400

/* sign, then WHOLE_PLACES digits, then FRACTION_PLACES digits: texts of equal length, so magnitudes compare as text */
typedef struct model {
    int sign;
    char digits[MODEL_SIZE];
} model;

static void model_of_text(model *m, const char *text, size_t len)
{
    memset(m->digits, '0', WHOLE_PLACES + FRACTION_PLACES);
    m->digits[WHOLE_PLACES + FRACTION_PLACES] = '\0';
    bool negative = len > 0 && text[0] == '-';
    text += negative;
    len -= negative;
    const char *point = memchr(text, '.', len);
    size_t whole = point == NULL ? len : (size_t)(point - text);
    REQUIRE(whole <= WHOLE_PLACES && len - whole <= FRACTION_PLACES + 1);
    memcpy(m->digits + WHOLE_PLACES - whole, text, whole);
    if (point != NULL) {
        memcpy(m->digits + WHOLE_PLACES, point + 1, len - whole - 1);
    }
    bool zero = strspn(m->digits, "0") == WHOLE_PLACES + FRACTION_PLACES;
    m->sign = zero ? 0 : negative ? -1 : 1;
}

static void model_of(model *m, const ri_value *v)
{
    static char text[MODEL_SIZE];
    if (v->type == RI_LONG) {
        int len = snprintf(text, sizeof text, "%lld", (long long)v->as.i);
        model_of_text(m, text, (size_t)len);
    } else if (v->type == RI_DOUBLE) {
        int len = snprintf(text, sizeof text, "%.*f", FRACTION_PLACES, v->as.d);
        model_of_text(m, text, (size_t)len);
    } else {
        model_of_text(m, (const char *)v->as.p, v->len);
    }
}

static int model_cmp(const model *a, const model *b)
{
    if (a->sign != b->sign) {
        return a->sign < b->sign ? -1 : 1;
    }
    return strcmp(a->digits, b->digits) * (a->sign < 0 ? -1 : 1);
}

static int sign_of(int x)
{
    return (x > 0) - (x < 0);
}

/* The next smaller double. */
static double next_below(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    bits = d == 0 ? (UINT64_C(1) << 63) + 1 : d > 0 ? bits - 1 : bits + 1;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static double random_double(test_rng *rng)
{
    uint64_t bits = test_random(rng);
    switch (test_random_below(rng, 4)) {
    case 0:
        bits &= (UINT64_C(1) << 63) | ((UINT64_C(1) << 52) - 1); /* subnormal */
        break;
    case 1:
        return (double)((int64_t)test_random_below(rng, 200) - 100) / 8;
    case 2:
        bits = (bits & ~(UINT64_C(0x7ff) << 52)) | (1023 + test_random_below(rng, 70)) << 52;
        break;
    default:
        break;
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return isfinite(d) ? d : 1.5;
}

static const char *const boundary_texts[] = { "0",
                                              "9007199254740991",
                                              "9007199254740992",
                                              "9007199254740993",
                                              "9223372036854775807",
                                              "9223372036854775808",
                                              "-9223372036854775808",
                                              "-9223372036854775809",
                                              "18446744073709551616",
                                              "36893488147419103232",
                                              "0.1",
                                              "0.5",
                                              "-0.25",
                                              "0.1000000000000000055511151231257827021181583404541015625",
                                              "1.7976931348623157e308",
                                              "1.8e308",
                                              "4.9e-324",
                                              "5e-324",
                                              "9007199254740992.5",
                                              "9223372036854775807.5" };

/* One number, near a boundary as often as not. */
static ri_value random_number(test_rng *rng, ri_arena *arena)
{
    ri_value v;
    char text[64];
    const char *boundary = boundary_texts[test_random_below(rng, sizeof boundary_texts / sizeof *boundary_texts)];
    switch (test_random_below(rng, 8)) {
    case 0:
        return ri_double(random_double(rng));
    case 1:
        return ri_long((int64_t)test_random(rng) >> test_random_below(rng, 64));
    case 2:
        return ri_double(strtod(boundary, NULL) > 1e308 ? 1.7976931348623157e308 : strtod(boundary, NULL));
    case 3:
        return ri_double(next_below(strtod(boundary, NULL)));
    case 4: {
        int64_t base = test_random_below(rng, 2) == 0 ? INT64_C(1) << 53 : INT64_MAX - 2;
        return ri_long(base + (int64_t)test_random_below(rng, 3) - 1);
    }
    case 5:
        (void)snprintf(text, sizeof text, "%s%llu%llu", test_random_below(rng, 2) == 0 ? "-" : "",
                       (unsigned long long)test_random(rng), (unsigned long long)test_random(rng));
        REQUIRE_RC(ri_integer_parse(arena, text, strlen(text), &v, &test_err), RILLE_OK);
        return v;
    case 6:
        (void)snprintf(text, sizeof text, "%lld.%lluE%d", (long long)test_random(rng) >> test_random_below(rng, 64),
                       (unsigned long long)test_random_below(rng, 1000), (int)test_random_below(rng, 80) - 40);
        REQUIRE_RC(ri_decimal_parse(arena, text, strlen(text), &v, &test_err), RILLE_OK);
        return v;
    default:
        REQUIRE_RC(ri_decimal_parse(arena, boundary, strlen(boundary), &v, &test_err), RILLE_OK);
        return v;
    }
}

TEST(bignum__compares_as_the_model_does)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    ri_value *numbers = calloc(NUMBER_COUNT, sizeof *numbers);
    model *models = calloc(NUMBER_COUNT, sizeof *models);
    REQUIRE(numbers != NULL && models != NULL);
    for (int i = 0; i < NUMBER_COUNT; i++) {
        numbers[i] = random_number(&rng, &arena);
        CHECK(ri_value_valid(&numbers[i]));
        model_of(&models[i], &numbers[i]);
    }
    size_t equal_pairs = 0;
    for (int i = 0; i < NUMBER_COUNT; i++) {
        for (int j = 0; j < NUMBER_COUNT; j++) {
            int expected = sign_of(model_cmp(&models[i], &models[j]));
            CHECK_EQ_INT(sign_of(ri_number_cmp(&numbers[i], &numbers[j])), expected);
            CHECK_EQ_INT(sign_of(ri_value_cmp(&numbers[i], &numbers[j])), expected);
            if (expected == 0) {
                CHECK(ri_value_hash(&numbers[i]) == ri_value_hash(&numbers[j]));
                equal_pairs += i != j;
            }
        }
    }
    CHECK(equal_pairs > 10);
    free(numbers);
    free(models);
    ri_arena_deinit(&arena);
}

TEST(bignum__orders_infinities_outside_of_all)
{
    ri_arena arena = { 0 };
    ri_value big;
    REQUIRE_RC(ri_decimal_parse(&arena, "1e4000", 6, &big, &test_err), RILLE_OK);
    ri_value small;
    REQUIRE_RC(ri_decimal_parse(&arena, "-1e4000", 7, &small, &test_err), RILLE_OK);
    ri_value inf = ri_double(INFINITY);
    ri_value minus_inf = ri_double(-INFINITY);
    ri_value most = ri_long(INT64_MAX);
    CHECK(ri_number_cmp(&big, &inf) < 0 && ri_number_cmp(&inf, &big) > 0);
    CHECK(ri_number_cmp(&minus_inf, &small) < 0 && ri_number_cmp(&small, &minus_inf) > 0);
    CHECK(ri_number_cmp(&most, &inf) < 0 && ri_number_cmp(&minus_inf, &most) < 0);
    CHECK(ri_value_hash(&inf) != ri_value_hash(&minus_inf));
    ri_arena_deinit(&arena);
}

static void check_integer(const char *text, const char *expected)
{
    ri_arena arena = { 0 };
    ri_value v;
    REQUIRE_RC(ri_integer_parse(&arena, text, strlen(text), &v, &test_err), RILLE_OK);
    if (v.type == RI_LONG) {
        char shown[32];
        (void)snprintf(shown, sizeof shown, "%lld", (long long)v.as.i);
        CHECK_EQ_STR(shown, expected);
    } else {
        CHECK_EQ_INT(v.type, RI_BIGINT);
        CHECK_EQ_MEM(v.as.p, v.len, expected, strlen(expected));
    }
    CHECK(ri_value_valid(&v));
    ri_arena_deinit(&arena);
}

TEST(bignum__reads_integers)
{
    check_integer("0", "0");
    check_integer("-0", "0");
    check_integer("0012", "12");
    check_integer("9223372036854775807", "9223372036854775807");
    check_integer("-9223372036854775808", "-9223372036854775808");
    check_integer("9223372036854775808", "9223372036854775808");
    check_integer("-9223372036854775809", "-9223372036854775809");
    check_integer("1000000000000000000000000", "1000000000000000000000000");
    check_integer("-000100000000000000000001", "-100000000000000000001");
    ri_arena arena = { 0 };
    ri_value v;
    CHECK_RC(ri_integer_parse(&arena, "", 0, &v, &test_err), RILLE_TYPE);
    CHECK_RC(ri_integer_parse(&arena, "-", 1, &v, &test_err), RILLE_TYPE);
    CHECK_RC(ri_integer_parse(&arena, "1.5", 3, &v, &test_err), RILLE_TYPE);
    char digits[RI_DIGITS_MAX + 1];
    memset(digits, '7', sizeof digits);
    CHECK_RC(ri_integer_parse(&arena, digits, RI_DIGITS_MAX, &v, &test_err), RILLE_OK);
    CHECK_RC(ri_integer_parse(&arena, digits, sizeof digits, &v, &test_err), RILLE_LIMIT);
    CHECK_EQ_INT(v.type, RI_NIL);
    ri_arena_deinit(&arena);
}

static void check_decimal(const char *text, const char *expected)
{
    ri_arena arena = { 0 };
    ri_value v;
    REQUIRE_RC(ri_decimal_parse(&arena, text, strlen(text), &v, &test_err), RILLE_OK);
    CHECK_EQ_MEM(v.as.p, v.len, expected, strlen(expected));
    CHECK(ri_value_valid(&v));
    ri_arena_deinit(&arena);
}

TEST(bignum__reads_decimals)
{
    check_decimal("0", "0");
    check_decimal("-0.000", "0");
    check_decimal("1.50", "1.5");
    check_decimal("100", "100");
    check_decimal("1.0", "1");
    check_decimal("-12.5e1", "-125");
    check_decimal("1e3", "1000");
    check_decimal("1E-3", "0.001");
    check_decimal("120e-1", "12");
    check_decimal("0.012e1", "0.12");
    check_decimal("12.345e1", "123.45");
    check_decimal("12.345e2", "1234.5");
    check_decimal("12.345e+4", "123450");
    check_decimal("12.345e-4", "0.0012345");
    check_decimal("0e999999999999999999999", "0");
    ri_arena arena = { 0 };
    ri_value v;
    CHECK_RC(ri_decimal_parse(&arena, "1e99999999999999999999", 22, &v, &test_err), RILLE_LIMIT);
    CHECK_RC(ri_decimal_parse(&arena, "1e-5000", 7, &v, &test_err), RILLE_LIMIT);
    CHECK_RC(ri_decimal_parse(&arena, "1e4095", 6, &v, &test_err), RILLE_OK);
    CHECK(ri_value_valid(&v));
    CHECK_RC(ri_decimal_parse(&arena, "1e-4095", 7, &v, &test_err), RILLE_OK);
    CHECK(ri_value_valid(&v));
    CHECK_RC(ri_decimal_parse(&arena, "1e4096", 6, &v, &test_err), RILLE_LIMIT);
    CHECK_RC(ri_decimal_parse(&arena, "1e-4096", 7, &v, &test_err), RILLE_LIMIT);
    static const char *const wrong[] = { "", "-", ".5", "5.", "1e", "1e+", "1.2.3", "1x", "x", "1e5x" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_RC(ri_decimal_parse(&arena, wrong[i], strlen(wrong[i]), &v, &test_err), RILLE_TYPE);
    }
    ri_arena_deinit(&arena);
}

static int parse_both(void)
{
    ri_arena arena = { 0 };
    ri_value v;
    int rc = ri_integer_parse(&arena, "123456789012345678901234567890", 30, &v, NULL);
    if (rc == 0) {
        rc = ri_decimal_parse(&arena, "1.5e30", 6, &v, NULL);
    }
    ri_arena_deinit(&arena);
    return rc;
}

TEST(bignum__survives_lack_of_memory)
{
    TEST_FAULT_SWEEP(parse_both());
}

TEST_MAIN(bignum__compares_as_the_model_does, bignum__orders_infinities_outside_of_all, bignum__reads_integers,
          bignum__reads_decimals, bignum__survives_lack_of_memory)
