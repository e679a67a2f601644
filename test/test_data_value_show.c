/* SPDX-License-Identifier: MIT */
#include "test_data_values.h"

static void check_shown(ri_value v, const char *expected)
{
    char out[80];
    CHECK_EQ_STR(ri_value_show(out, sizeof out, &v), expected);
}

TEST(value_show__gives_edn)
{
    check_shown(ri_nil(), "nil");
    check_shown(ri_word(RI_BOOL, 1), "true");
    check_shown(ri_long(-5), "-5");
    check_shown(ri_double(1.5), "1.5");
    check_shown(ri_ref(17), "17");
    check_shown(ri_bytes_value(RI_KEYWORD, "a/b", 3), ":a/b");
    check_shown(ri_bytes_value(RI_STRING, "say \"x\"", 7), "\"say \\\"x\\\"\"");
    check_shown(ri_bytes_value(RI_BYTES, "\1\2\3", 3), "#bytes \"AQID\"");
    check_shown(ri_word(RI_INSTANT, 0), "#inst \"1970-01-01T00:00:00.000Z\"");
}

TEST(value_show__cuts_long_values)
{
    static char text[100000];
    char out[80];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i + 2 <= sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    ri_value v = ri_bytes_value(RI_STRING, text, sizeof text);
    (void)ri_value_show(out, sizeof out, &v);
    CHECK(strlen(out) <= 60 && strcmp(out + strlen(out) - 3, "...") == 0);
    CHECK(ri_utf8_valid((const uint8_t *)out, strlen(out)));
    v.len = 49; /* cut within a character */
    (void)ri_value_show(out, sizeof out, &v);
    CHECK(ri_utf8_valid((const uint8_t *)out, strlen(out)));
    v = ri_bytes_value(RI_BYTES, text, sizeof text);
    CHECK(strlen(ri_value_show(out, sizeof out, &v)) <= 60);
}

TEST(value_show__takes_every_value)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 20000; i++) {
        ri_arena arena = { 0 };
        char out[80];
        ri_value v = test_value(&rng, &arena, 0);
        memset(out, 'z', sizeof out);
        size_t len = strlen(ri_value_show(out, sizeof out, &v));
        CHECK(len > 0 && len <= 60);
        ri_arena_deinit(&arena);
    }
}

static int show_string(void)
{
    char out[80];
    ri_value v = ri_bytes_value(RI_STRING, "text", 4);
    (void)ri_value_show(out, sizeof out, &v);
    CHECK(strcmp(out, "\"text\"") == 0 || strcmp(out, "...") == 0);
    return RILLE_OK;
}

TEST(value_show__survives_lack_of_memory)
{
    TEST_FAULT_SWEEP(show_string());
}

TEST_MAIN(value_show__gives_edn, value_show__cuts_long_values, value_show__takes_every_value,
          value_show__survives_lack_of_memory)
