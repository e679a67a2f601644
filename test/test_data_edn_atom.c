/* SPDX-License-Identifier: MIT
 *
 * Strings, characters, names and numbers.
 */
#include "test_data_edn.h"

static void fails(const char *text, const char *message)
{
    test_edn_fails(text, strlen(text), RILLE_SYNTAX, message);
}

TEST(edn_atom__reads_strings)
{
    test_edn_is("\"\"", "\"\"");
    test_edn_is("\"a\\n\\t\\r\\b\\f\\\\\\\"z\"", "\"a\\n\\t\\r\\b\\f\\\\\\\"z\"");
    test_edn_is("\"\\u0041\\u00e9\\u4E2D\\ud83d\\ude00\"", "\"A\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\"");
    test_edn_is("\"two\nlines\"", "\"two\\nlines\"");
    test_edn_is("\"\\u0000\x01\x7f\"", "\"\\u0000\\u0001\\u007f\"");
    test_edn_is("\"\xc3\xa9 \xf0\x9f\x98\x80\"", "\"\xc3\xa9 \xf0\x9f\x98\x80\"");
    fails("\"\\ud83d\"", "1:2: \\ud83d is half of a surrogate pair, expected both halves");
    fails("\"\\ude00\\ud83d\"", "1:2: \\ude00 is half of a surrogate pair, expected both halves");
    fails("\"\\ud83d\\u0041\"", "1:2: \\ud83d is half of a surrogate pair, expected both halves");
    fails("\"a\\u12g4\"", "1:3: \\u is not followed by four hexadecimal digits");
    fails("\"\\u12\"34\"", "1:2: \\u is not followed by four hexadecimal digits");
    fails("\"ab\\q\"", "1:4: unknown escape in a string, expected one of \\n \\t \\r \\b \\f \\\\ \\\" \\uXXXX");
    fails("[\n \"abc\xff\"]", "2:6: byte 0xff in a string is not valid UTF-8");
    fails("\"\xed\xa0\x80\"", "1:2: byte 0xed in a string is not valid UTF-8");
    fails("\"\\", "1:1: unterminated string: expected \" before the end of the text");
}

/* Quotes, escapes and non-ASCII at every distance from the start and the end: the words of the scan. */
TEST(edn_atom__scans_strings_of_every_length)
{
    for (size_t len = 0; len < 40; len++) {
        for (size_t at = 0; at <= len; at++) {
            for (int kind = 0; kind < 4; kind++) {
                static const char *const inner[] = { "", "\\\"", "\xc3\xa9", "\\\\" };
                char text[64];
                size_t inner_len = strlen(inner[kind]);
                text[0] = '"';
                memset(text + 1, 'x', len);
                memcpy(text + 1 + at, inner[kind], inner_len);
                memset(text + 1 + at + inner_len, 'y', len - at);
                text[1 + len + inner_len] = '"';
                text[2 + len + inner_len] = '\0';
                test_edn_is(text, text);
            }
        }
    }
}

TEST(edn_atom__reads_characters)
{
    test_edn_is("[\\a \\newline \\space \\tab \\return \\formfeed \\backspace]",
                "[\\a \\newline \\space \\tab \\return \\formfeed \\backspace]");
    test_edn_is("[\\u0041 \\u000a \\u0001 \\u \\n \\\\ \\\" \\[ \\] \\; \\, \\#]",
                "[\\A \\newline \\u0001 \\u \\n \\\\ \\\" \\[ \\] \\; \\, \\#]");
    test_edn_is("[\\\xc3\xa9 \\\xf0\x9f\x98\x80 \\u4e2d]", "[\\\xc3\xa9 \\\xf0\x9f\x98\x80 \\\xe4\xb8\xad]");
    fails("\\foo", "1:1: unknown character \\foo, expected one such as \\a, \\newline or \\u0041");
    fails("\\u00zz", "1:1: unknown character \\u00zz, expected one such as \\a, \\newline or \\u0041");
    fails("\\ud800", "1:1: \\ud800 is half of a surrogate pair, not a character");
    fails("\\ a", "1:1: expected a character after \\, such as \\a, \\newline or \\u0041");
    fails("\\", "1:1: expected a character after \\, such as \\a, \\newline or \\u0041");
    fails("\\(a", "1:1: \\( is followed by other characters, expected white space after it");
    fails("\\\xc3", "1:2: a character is not valid UTF-8");
}

TEST(edn_atom__reads_names)
{
    const char *names =
        "[a :a a/b :a/b :a.b/c ?x $src % / + - . ... <= * ! & = _ -> x' a#b a:b :1 nil true false nilx]";
    test_edn_is(names, names);
    test_edn_is("[:\xc3\xa9/\xe4\xb8\xad \xc3\xa9]", "[:\xc3\xa9/\xe4\xb8\xad \xc3\xa9]");
    fails("::a", "1:1: ::a is not a valid keyword, expected one such as :a or :a/b");
    fails(":a::b", "1:1: :a::b is not a valid keyword, expected one such as :a or :a/b");
    fails(":/", "1:1: :/ is not a valid keyword, expected one such as :a or :a/b");
    fails(":a/", "1:1: :a/ is not a valid keyword, expected one such as :a or :a/b");
    fails(":a/b/c", "1:1: :a/b/c is not a valid keyword, expected one such as :a or :a/b");
    fails("[: a]", "1:2: missing name after the colon, expected a keyword such as :a or :a/b");
    fails("a/", "1:1: a/ is not a valid symbol, expected one such as a or a/b");
    fails("/a", "1:1: /a is not a valid symbol, expected one such as a or a/b");
    fails(".5", "1:1: .5 is not a valid symbol, expected one such as a or a/b");
    fails("'a", "1:1: 'a is not a valid symbol: a string needs double quotes, as in \"a\"");
    fails("ab\xff", "1:3: byte 0xff in a symbol is not valid UTF-8");
    fails(":ab\xc3", "1:4: byte 0xc3 in a keyword is not valid UTF-8");
    char many[RI_VALUE_INLINE_MAX + 3];
    memset(many, 'a', sizeof many);
    many[0] = ':';
    many[sizeof many - 1] = '\0';
    test_edn_fails(many, strlen(many), RILLE_LIMIT, "1:1: keyword is too long: 1025 bytes (the maximum is 1024)");
}

TEST(edn_atom__reads_integers)
{
    test_edn_is("[0 -0 +0 7 +7 -7 12N]", "[0 0 0 7 7 -7 12]");
    test_edn_is("[9223372036854775807 -9223372036854775808]", "[9223372036854775807 -9223372036854775808]");
    test_edn_is("[9223372036854775808 -9223372036854775809N]", "[9223372036854775808N -9223372036854775809N]");
    test_edn_is("[999999999999999999 1000000000000000000 -1000000000000000000]",
                "[999999999999999999 1000000000000000000 -1000000000000000000]");
    fails("007", "1:1: number 007 has a leading zero: leave it out");
    fails("-01", "1:1: number -01 has a leading zero: leave it out");
    fails("00", "1:1: number 00 has a leading zero: leave it out");
    fails("1/2", "1:1: 1/2 is not a number, expected one such as 12, -1.5, 1e10, 12N or 1.5M");
    fails("12ab", "1:1: 12ab is not a number, expected one such as 12, -1.5, 1e10, 12N or 1.5M");
    fails("0x1F", "1:1: 0x1F is not a number, expected one such as 12, -1.5, 1e10, 12N or 1.5M");
    char digits[RI_DIGITS_MAX + 2];
    memset(digits, '9', sizeof digits);
    digits[sizeof digits - 1] = '\0';
    test_edn_fails(digits, strlen(digits), RILLE_LIMIT, "1:1: bigint has more than 4096 digits");
}

TEST(edn_atom__reads_floats_and_decimals)
{
    test_edn_is("[1.5 -0.5 +2.25 1e3 1E-3 1.5e+10]", "[1.5 -0.5 2.25 1000.0 0.001 15000000000.0]");
    test_edn_is("[-0.0 0.1 1e300 5e-324 1e-400]", "[0.0 0.1 1e300 5e-324 0.0]");
    test_edn_is("[1.50M 1M -0.0M 1e3M +2.5M]", "[1.5M 1M 0M 1000M 2.5M]");
    test_edn_is("[##Inf ##-Inf ##NaN]", "[##Inf ##-Inf ##NaN]");
    fails("[ 1e400]", "1:3: float \"1e400\" is too large for a double (the maximum is 1.8e308)");
    fails("1.", "1:1: float \"1.\" is not valid, expected a form such as -1.5 or 1.5e10");
    fails("1.2.3", "1:1: float \"1.2.3\" is not valid, expected a form such as -1.5 or 1.5e10");
    fails("00.5", "1:1: number 00.5 has a leading zero: leave it out");
    fails("1.5N", "1:1: 1.5N is not a number, expected one such as 12, -1.5, 1e10, 12N or 1.5M");
    fails("##Foo", "1:1: unknown ##Foo, expected ##Inf, ##-Inf or ##NaN");
    test_edn_fails("1e5000M", 7, RILLE_LIMIT, "1:1: bigdec has more than 4096 digits");
}

TEST_MAIN(edn_atom__reads_strings, edn_atom__scans_strings_of_every_length, edn_atom__reads_characters,
          edn_atom__reads_names, edn_atom__reads_integers, edn_atom__reads_floats_and_decimals)
