/* SPDX-License-Identifier: MIT
 *
 * UTF-8 against a slow model, names, instants against a day-by-day calendar, UUIDs.
 */
#include "../src/core/data/value.h"
#include "harness.h"

/* The definition itself: decode the bits, then ask whether encoding them gives the same bytes. */
static size_t model_span(const uint8_t *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t size = p[i] < 0x80 ? 1 : p[i] >= 0xf0 ? 4 : p[i] >= 0xe0 ? 3 : 2;
        if (len - i < size) {
            return i;
        }
        uint32_t c = size == 1 ? p[i] : p[i] & (0x7fU >> size);
        for (size_t j = 1; j < size; j++) {
            c = c << 6 | (p[i + j] & 0x3fU);
        }
        uint8_t again[4];
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || ri_utf8_put(again, c) != size ||
            memcmp(again, p + i, size) != 0) {
            return i;
        }
        i += size;
    }
    return i;
}

TEST(text__utf8_agrees_with_the_model)
{
    test_rng rng = test_rng_new();
    for (int run = 0; run < 200000; run++) {
        uint8_t bytes[40];
        size_t len = 0;
        while (len < 30 && test_random_below(&rng, 12) != 0) {
            static const uint32_t edges[] = { 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff };
            uint32_t c = test_random_below(&rng, 3) == 0 ? edges[test_random_below(&rng, 9)]
                                                         : (uint32_t)('a' + test_random_below(&rng, 20));
            len += ri_utf8_put(bytes + len, c);
        }
        if (run % 2 == 1 && len > 0) {
            bytes[test_random_below(&rng, len)] = (uint8_t)test_random(&rng);
        }
        if (run % 4 == 3 && len > 0) {
            len--;
        }
        CHECK_EQ_INT(ri_utf8_span(bytes, len), model_span(bytes, len));
        CHECK(ri_utf8_valid(bytes, len) == (model_span(bytes, len) == len));
    }
    for (uint32_t first = 0; first < 256; first++) {
        for (uint32_t second = 0; second < 256; second++) {
            uint8_t bytes[4] = { (uint8_t)first, (uint8_t)second, 0x80, 0xbf };
            for (size_t len = 1; len <= 4; len++) {
                CHECK_EQ_INT(ri_utf8_span(bytes, len), model_span(bytes, len));
            }
        }
    }
}

static bool keyword(const char *text)
{
    return ri_name_valid(RI_KEYWORD, (const uint8_t *)text, strlen(text));
}

static bool symbol(const char *text)
{
    return ri_name_valid(RI_SYMBOL, (const uint8_t *)text, strlen(text));
}

TEST(text__names_follow_edn)
{
    static const char *const both[] = { "a",  "a/b", "a.b/c", "+",  "-",  "*",    "a:b", "?x", "$",   "%",
                                        "<=", "_",   "a#",    "a'", "->", "-a/b", ".",   "..", "a/1", "\xc3\xa9" };
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        CHECK(keyword(both[i]) && symbol(both[i]));
    }
    static const char *const neither[] = { "",    "a b", "a/b/c", "a/",  "/a",   ":a", "a::b",
                                           "a,b", "(a",  "a\"",   "a\n", "\xff", "a;" };
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++) {
        CHECK(!keyword(neither[i]) && !symbol(neither[i]));
    }
    static const char *const keywords_only[] = { "1", "nil", "true", "false", "-1", "#a" };
    for (size_t i = 0; i < sizeof keywords_only / sizeof *keywords_only; i++) {
        CHECK(keyword(keywords_only[i]) && !symbol(keywords_only[i]));
    }
    CHECK(symbol("/") && !keyword("/"));
    CHECK(!symbol(".5") && !symbol("-.5") && !symbol("+5"));
    char many[RI_VALUE_INLINE_MAX + 2];
    memset(many, 'a', sizeof many);
    CHECK(ri_name_valid(RI_KEYWORD, (const uint8_t *)many, RI_VALUE_INLINE_MAX));
    CHECK(!ri_name_valid(RI_KEYWORD, (const uint8_t *)many, RI_VALUE_INLINE_MAX + 1));
}

static void check_instant(const char *text, int64_t expected)
{
    int64_t ms;
    if (!ri_instant_parse(text, strlen(text), &ms) || ms != expected) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%s read as %lld, expected %lld\n", text, (long long)ms, (long long)expected);
    }
}

TEST(text__instants_read_from_any_prefix)
{
    check_instant("1970", 0);
    check_instant("1970-01", 0);
    check_instant("1970-01-01", 0);
    check_instant("1970-01-01T00", 0);
    check_instant("1970-01-01T00:00Z", 0);
    check_instant("1970-01-01T00:00:00", 0);
    check_instant("1970-01-01T00:00:00.5", 500);
    check_instant("1970-01-01T00:00:00.123456789Z", 123);
    check_instant("1970-01-01T01:00:00+01:00", 0);
    check_instant("1969-12-31T23:59:59.999-00:00", -1);
    check_instant("2026-11-22T10:00:00.000-00:00", INT64_C(1795341600000));
    check_instant("2000-02-29T12:30:15Z", INT64_C(951827415000));
    check_instant("0000-03-01", INT64_C(-62162035200000));
    check_instant("9999-12-31T23:59:59.999Z", INT64_C(253402300799999));
    check_instant("2016-12-31T23:59:60Z", INT64_C(1483228800000));
    static const char *const wrong[] = { "",
                                         "197",
                                         "19700",
                                         "1970-",
                                         "1970-1",
                                         "1970-13",
                                         "1970-00",
                                         "1970-02-30",
                                         "1900-02-29",
                                         "1970-01-01T",
                                         "1970-01-01T24",
                                         "1970-01-01T00:60",
                                         "1970-01-01T00:00:61",
                                         "1970-01-01T00:00:00.",
                                         "1970-01-01T00:00:00X",
                                         "1970-01-01T00:00:00Zx",
                                         "1970-01-01 00:00",
                                         "1970-01-01T00:00+1:00",
                                         "1970-01-01T00:00+24:00",
                                         "x",
                                         "-123",
                                         "+9999999999",
                                         "+999999999" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = 7;
        CHECK(!ri_instant_parse(wrong[i], strlen(wrong[i]), &ms));
        CHECK_EQ_INT(ms, 0);
    }
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

TEST(text__instants_follow_the_calendar_day_by_day)
{
    static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t ms = INT64_C(-62167219200000); /* 0000-01-01 */
    for (int year = 0; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            int days = lengths[month - 1] + (month == 2 && leap(year));
            for (int day = 1; day <= days; day++, ms += 86400000) {
                if (year > 1000 && year < 9000 && (year < 1890 || year > 2110) && day != days) {
                    continue;
                }
                char text[32];
                char shown[40];
                (void)snprintf(text, sizeof text, "%04d-%02d-%02d", year % 10000, month, day);
                check_instant(text, ms);
                (void)ri_instant_format(shown, ms);
                REQUIRE(strncmp(shown, text, 10) == 0);
            }
        }
    }
}

TEST(text__every_instant_round_trips)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 100000; i++) {
        int64_t ms = i == 0   ? INT64_MIN
                     : i == 1 ? INT64_MAX
                              : (int64_t)test_random(&rng) >> test_random_below(&rng, 64);
        char text[40];
        int64_t back;
        size_t len = ri_instant_format(text, ms);
        CHECK(len < sizeof text && strlen(text) == len);
        CHECK(ri_instant_parse(text, len, &back));
        CHECK_EQ_INT(back, ms);
        for (size_t cut = 0; cut < len; cut++) { /* a prefix never crashes */
            (void)ri_instant_parse(text, cut, &back);
        }
    }
    int64_t ms;
    const char *beyond = "+292278994-08-17T07:12:55.808Z";
    CHECK(!ri_instant_parse(beyond, strlen(beyond), &ms));
    beyond = "-292275055-05-16T16:47:04.191Z";
    CHECK(!ri_instant_parse(beyond, strlen(beyond), &ms));
}

TEST(text__uuids_round_trip)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 1000; i++) {
        uint8_t uuid[16];
        uint8_t back[16];
        char text[37];
        for (int k = 0; k < 16; k++) {
            uuid[k] = (uint8_t)test_random(&rng);
        }
        ri_uuid_format(text, uuid);
        CHECK_EQ_INT(strlen(text), 36);
        CHECK(ri_uuid_parse(text, 36, back));
        CHECK_EQ_MEM(uuid, 16, back, 16);
        CHECK(!ri_uuid_parse(text, 35, back));
        text[test_random_below(&rng, 36)] = 'g';
        CHECK(!ri_uuid_parse(text, 36, back));
    }
    uint8_t out[16];
    static const uint8_t expected[16] = { 0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3,
                                          0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00 };
    CHECK(ri_uuid_parse("123E4567-e89b-12d3-a456-426614174000", 36, out));
    CHECK_EQ_MEM(out, 16, expected, 16);
}

TEST_MAIN(text__utf8_agrees_with_the_model, text__names_follow_edn, text__instants_read_from_any_prefix,
          text__instants_follow_the_calendar_day_by_day, text__every_instant_round_trips, text__uuids_round_trip)
