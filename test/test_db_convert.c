/* SPDX-License-Identifier: MIT
 *
 * ri_attr_convert: what a value becomes under an attribute, in EDN (strict) and in Lua.
 */
#include "../src/core/db/db.h"

#include "harness.h"

#define STRICT true
#define PLAIN false

static ri_value text(const char *s)
{
    return ri_bytes_value(RI_STRING, s, strlen(s));
}

/* The result as EDN text, or the name of the error's code. */
static void expect(uint8_t type, ri_value in, bool strict, const char *wanted, int line)
{
    ri_attr attr = { .ident = "a/b", .ident_len = 3, .type = type };
    ri_arena arena = { 0 };
    ri_value out;
    char shown[100];
    test_err = (rille_err){ 0 };
    int rc = ri_attr_convert(&attr, &in, strict, &arena, &out, &test_err);
    const char *got = rc == 0 ? ri_value_show(shown, sizeof shown, &out) : rille_code_name(rc);
    (void)test_check_str(got, wanted, __FILE__, line, ri_type_name(type));
    if (rc == 0) {
        bool stored_as = out.type == type || type == RI_NIL || (type == RI_BIGINT && out.type == RI_LONG);
        (void)test_check(stored_as && ri_value_valid(&out), __FILE__, line, "a valid value of the type");
    } else {
        (void)test_check(strstr(test_err.message, ":a/b") != NULL && out.type == RI_NIL, __FILE__, line,
                         test_err.message);
    }
    ri_arena_deinit(&arena);
}

#define BECOMES(type, in, strict, wanted) expect((type), (in), (strict), (wanted), __LINE__)

TEST(convert__edn_says_what_it_means)
{
    BECOMES(RI_LONG, ri_long(5), STRICT, "5");
    BECOMES(RI_LONG, ri_double(5), STRICT, "TYPE");
    BECOMES(RI_LONG, text("5"), STRICT, "TYPE");
    BECOMES(RI_DOUBLE, ri_long(5), STRICT, "5.0");
    BECOMES(RI_DOUBLE, ri_long(INT64_C(9007199254740993)), STRICT, "TYPE");
    BECOMES(RI_DOUBLE, ri_long(INT64_MAX), STRICT, "TYPE");
    BECOMES(RI_DOUBLE, ri_long(INT64_MIN), STRICT, "-9223372036854776000.0");
    BECOMES(RI_REF, ri_long(5), STRICT, "5");
    BECOMES(RI_REF, ri_long(0), STRICT, "TYPE");
    BECOMES(RI_REF, ri_long(INT64_C(1) << 53), STRICT, "TYPE");
    BECOMES(RI_BIGINT, ri_long(5), STRICT, "5");
    BECOMES(RI_BIGDEC, ri_long(5), STRICT, "TYPE");
    BECOMES(RI_INSTANT, ri_long(5), STRICT, "TYPE");
    BECOMES(RI_KEYWORD, text("a"), STRICT, "TYPE");
    BECOMES(RI_BYTES, text("a"), STRICT, "TYPE");
    BECOMES(RI_STRING, ri_bytes_value(RI_KEYWORD, "a", 1), STRICT, "TYPE");
    BECOMES(RI_BOOL, ri_word(RI_BOOL, 1), STRICT, "true");
    BECOMES(RI_BOOL, ri_long(1), STRICT, "TYPE");
}

TEST(convert__lua_values_become_what_the_attribute_wants)
{
    BECOMES(RI_LONG, ri_double(5), PLAIN, "5");
    BECOMES(RI_LONG, ri_double(5.5), PLAIN, "TYPE");
    BECOMES(RI_LONG, ri_double(1e300), PLAIN, "TYPE");
    BECOMES(RI_LONG, ri_double(-9007199254740992.0), PLAIN, "-9007199254740992");
    BECOMES(RI_LONG, text("5"), PLAIN, "TYPE");
    BECOMES(RI_REF, ri_double(7), PLAIN, "7");
    BECOMES(RI_REF, ri_double(-7), PLAIN, "TYPE");
    BECOMES(RI_INSTANT, ri_double(0), PLAIN, "#inst \"1970-01-01T00:00:00.000Z\"");
    BECOMES(RI_INSTANT, text("2026-11-22"), PLAIN, "#inst \"2026-11-22T00:00:00.000Z\"");
    BECOMES(RI_INSTANT, text("yesterday"), PLAIN, "TYPE");
    BECOMES(RI_INSTANT, ri_double(0.5), PLAIN, "TYPE");
    BECOMES(RI_KEYWORD, text(":a/b"), PLAIN, ":a/b");
    BECOMES(RI_KEYWORD, text("a/b"), PLAIN, ":a/b");
    BECOMES(RI_KEYWORD, text("a b"), PLAIN, "TYPE");
    BECOMES(RI_KEYWORD, text(""), PLAIN, "TYPE");
    BECOMES(RI_SYMBOL, text("?x"), PLAIN, "?x");
    BECOMES(RI_UUID, text("123e4567-e89b-12d3-a456-426614174000"), PLAIN,
            "#uuid \"123e4567-e89b-12d3-a456-426614174000\"");
    BECOMES(RI_UUID, text("123e"), PLAIN, "TYPE");
    BECOMES(RI_BIGINT, text("-123456789012345678901"), PLAIN, "-123456789012345678901N");
    BECOMES(RI_BIGINT, text("12"), PLAIN, "12");
    BECOMES(RI_BIGINT, text("-"), PLAIN, "TYPE");
    BECOMES(RI_BIGINT, ri_double(12), PLAIN, "12");
    BECOMES(RI_BIGDEC, text("1.50"), PLAIN, "1.5M");
    BECOMES(RI_BIGDEC, ri_double(0.25), PLAIN, "0.25M");
    BECOMES(RI_BIGDEC, ri_long(-3), PLAIN, "-3M");
    BECOMES(RI_BIGDEC, text("x"), PLAIN, "TYPE");
    BECOMES(RI_BOOL, text("true"), PLAIN, "TYPE");
}

TEST(convert__what_is_no_value_is_refused)
{
    static const double not_a_number[] = { 0.0 };
    ri_value nan = { { .d = 0 }, 0, RI_DOUBLE };
    nan.as.d = not_a_number[0] / not_a_number[0];
    ri_value minus_zero = { { .d = -0.0 }, 0, RI_DOUBLE };
    BECOMES(RI_DOUBLE, nan, STRICT, "TYPE");
    BECOMES(RI_NIL, nan, PLAIN, "TYPE");
    BECOMES(RI_LONG, nan, PLAIN, "TYPE");
    BECOMES(RI_DOUBLE, minus_zero, STRICT, "0.0");
    BECOMES(RI_STRING, text("\xff\xfe"), PLAIN, "TYPE");
    BECOMES(RI_NIL, text("\xff\xfe"), PLAIN, "TYPE");
    BECOMES(RI_NIL, text("any"), PLAIN, "\"any\"");
    BECOMES(RI_NIL, ri_long(3), STRICT, "3");
    BECOMES(RI_NIL, ri_ref(3), STRICT, "TYPE");
    BECOMES(RI_NIL, ri_nil(), STRICT, "TYPE");
    BECOMES(RI_STRING, ri_nil(), PLAIN, "TYPE");
    BECOMES(RI_KEYWORD, ri_bytes_value(RI_KEYWORD, "a b", 3), PLAIN, "TYPE");
    static const uint8_t byte[1] = { 0 };
    BECOMES(RI_BYTES, ri_bytes_value(RI_BYTES, byte, (size_t)RI_VALUE_BYTES_MAX + 1), PLAIN, "LIMIT");
}

TEST_MAIN(convert__edn_says_what_it_means, convert__lua_values_become_what_the_attribute_wants,
          convert__what_is_no_value_is_refused)
