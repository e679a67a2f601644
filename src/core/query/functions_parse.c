/* SPDX-License-Identifier: MIT
 *
 * Values from text, for data that comes as text alone, such as a CSV file: parse-long parse-double parse-instant.
 *
 * Text that is none gives nil, so that its row is left out; what is not a string is an error. Nothing is trimmed.
 *
 *     long       sign? digit+      within 64 bits
 *     double     sign? (digit+ ("." digit*)? | "." digit+) (("e" | "E") sign? digit+)?      finite
 *     instant    what may follow #inst in EDN: 2026, 2026-11, 2026-11-22, 2026-11-22T10:00:00.000-00:00
 *
 * Texts of over TEXT_MAX bytes are none of these. Cost: O(length).
 */
#include "function.h"

#define TEXT_MAX RI_DIGITS_MAX

static size_t skip_digits(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    return at;
}

static size_t skip_sign(const char *text, size_t len, size_t at)
{
    return at < len && (text[at] == '-' || text[at] == '+') ? at + 1 : at;
}

static bool parse_long(const char *text, size_t len, ri_value *out)
{
    size_t at = skip_sign(text, len, 0);
    bool negative = at > 0 && text[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t sum = 0;
    if (at == len || skip_digits(text, len, at) < len) {
        return false;
    }
    for (; at < len; at++) {
        uint64_t digit = (uint64_t)(text[at] - '0');
        if (sum > (limit - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *out = ri_word(RI_LONG, negative ? 0 - sum : sum);
    return true;
}

/* Digits from *at on; *at moves behind them. Returns how many. */
static size_t take_digits(const char *text, size_t len, size_t *at)
{
    size_t start = *at;
    *at = skip_digits(text, len, start);
    return *at - start;
}

/* Where the digits before the point end, and those after it; false: it is no double. */
static bool scan_double(const char *text, size_t len, size_t *whole_end, size_t *fraction_end)
{
    size_t at = skip_sign(text, len, 0);
    size_t digits = take_digits(text, len, &at);
    *whole_end = at;
    if (at < len && text[at] == '.') {
        at++;
        digits += take_digits(text, len, &at);
    }
    *fraction_end = at;
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        at = skip_sign(text, len, at + 1);
        digits = take_digits(text, len, &at) == 0 ? 0 : digits;
    }
    return digits > 0 && at == len;
}

/* EDN wants digits on both sides of a point: a zero is written where there are none. */
static bool parse_double(const char *text, size_t len, ri_value *out)
{
    char edn[TEXT_MAX + 4];
    size_t whole_end;
    size_t fraction_end;
    double d;
    if (!scan_double(text, len, &whole_end, &fraction_end)) {
        return false;
    }
    size_t at = whole_end;
    memcpy(edn, text, at);
    edn[at++] = '0'; /* changes nothing after a sign; after digits it is taken back */
    at -= whole_end > skip_sign(text, len, 0) ? 1 : 0;
    memcpy(edn + at, text + whole_end, fraction_end - whole_end);
    at += fraction_end - whole_end;
    if (fraction_end == whole_end + 1) {
        edn[at++] = '0';
    }
    memcpy(edn + at, text + fraction_end, len - fraction_end);
    at += len - fraction_end;
    if (ri_double_parse(edn, at, &d, NULL) != 0) {
        return false;
    }
    *out = ri_double(d);
    return true;
}

static bool parse_instant(const char *text, size_t len, ri_value *out)
{
    int64_t ms;
    if (!ri_instant_parse(text, len, &ms)) {
        return false;
    }
    ri_value v = { { .i = ms }, 0, RI_INSTANT };
    *out = v;
    return true;
}

static int parse_rows(const char *name, bool (*parse)(const char *, size_t, ri_value *), const ri_fn_call *in,
                      ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value text = ri_arg_get(&in->args[0], i);
        ri_value v;
        if (text.type != RI_STRING) {
            return ri_fail_arg(err, name, "a string", &text);
        }
        RI_TRY(ri_fn_work(in, RI_ROW_UNITS + (text.len < TEXT_MAX ? text.len : 0), err));
        if (text.len > TEXT_MAX || !parse((const char *)text.as.p, text.len, &v)) {
            v = ri_nil();
        }
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static int map_long(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    return parse_rows("parse-long", parse_long, in, out, err);
}

static int map_double(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    return parse_rows("parse-double", parse_double, in, out, err);
}

static int map_instant(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    return parse_rows("parse-instant", parse_instant, in, out, err);
}

const ri_builtin ri_parse_functions[] = {
    { "parse-long", 1, 1, false, NULL, map_long },
    { "parse-double", 1, 1, false, NULL, map_double },
    { "parse-instant", 1, 1, false, NULL, map_instant },
    { NULL, 0, 0, false, NULL, NULL },
};
