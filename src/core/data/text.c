/* SPDX-License-Identifier: MIT
 *
 * Text that means something: UTF-8, names, instants and UUIDs; and how far one word is from another.
 *
 * Instants are proleptic Gregorian. Years from 0000 to 9999 have four digits; others a sign and up to nine, so that
 * every int64 of milliseconds has a text that reads back.
 */
#include "../base/bytes.h"
#include "chars.h"
#include "value.h"

#define MS_PER_DAY INT64_C(86400000)
#define DAYS_PER_ERA INT64_C(146097) /* 400 years */
#define DAYS_TO_1970 INT64_C(719468) /* from 0000-03-01 */
#define YEAR_DIGITS_MAX 9
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* The length of the one character at p, or 0. RFC 3629: no overlong forms, no surrogates, up to U+10FFFF. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    uint8_t first = p[0];
    if (first < 0xc2 || first > 0xf4 || left < 2) {
        return 0;
    }
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    size_t len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t ri_utf8_span(const uint8_t *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        while (len - i >= 8) {
            uint64_t word;
            memcpy(&word, p + i, 8);
            if ((word & HIGH_BITS) != 0) {
                break;
            }
            i += 8;
        }
        while (i < len && p[i] < 0x80) {
            i++;
        }
        /* a run of non-ASCII stays here: going back to whole words for each character would cost more */
        while (i < len && p[i] >= 0x80) {
            size_t step = utf8_char(p + i, len - i);
            if (step == 0) {
                return i;
            }
            i += step;
        }
    }
    return i;
}

bool ri_utf8_valid(const uint8_t *p, size_t len)
{
    return ri_utf8_span(p, len) == len;
}

size_t ri_utf8_put(uint8_t out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static bool is_digit(uint8_t c)
{
    return (ri_char_class[c] & RI_CHAR_DIGIT) != 0;
}

static bool is_text(const uint8_t *p, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(p, text, len) == 0;
}

/* What a symbol may not look like: a number, a keyword, a dispatch, a quotation, a constant or a byte order mark. */
static bool symbol_start_valid(const uint8_t *p, size_t len)
{
    if (p[0] == ':' || p[0] == '#' || p[0] == '\'') {
        return false;
    }
    size_t sign_len = p[0] == '+' || p[0] == '-' ? 1 : 0;
    size_t point_len = len > sign_len && p[sign_len] == '.' ? 1 : 0;
    if (len > sign_len + point_len && is_digit(p[sign_len + point_len])) {
        return false;
    }
    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        return false;
    }
    return !is_text(p, len, "nil") && !is_text(p, len, "true") && !is_text(p, len, "false");
}

bool ri_name_valid(ri_type type, const uint8_t *p, size_t len)
{
    if (len == 0 || len > RI_VALUE_INLINE_MAX) {
        return false;
    }
    if (type == RI_SYMBOL && (!symbol_start_valid(p, len) || is_text(p, len, "/"))) {
        return is_text(p, len, "/");
    }
    if (p[0] == '/' || p[0] == ':' || p[len - 1] == '/') {
        return false;
    }
    unsigned all = RI_CHAR_NAME;
    unsigned any = 0;
    unsigned slash_count = 0;
    unsigned colon_pairs = 0;
    uint8_t before = 0;
    for (size_t i = 0; i < len; i++) {
        all &= ri_char_class[p[i]];
        any |= ri_char_class[p[i]];
        slash_count += p[i] == '/';
        colon_pairs += p[i] == ':' && before == ':';
        before = p[i];
    }
    return all != 0 && slash_count <= 1 && colon_pairs == 0 && ((any & RI_CHAR_HIGH) == 0 || ri_utf8_valid(p, len));
}

/* ---- instants ---- */

/* Days since 1970-01-01. Years begin in March here, so that the leap day is the last one of its year. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t z = days + DAYS_TO_1970;
    int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = z - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* March is 0 */
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

typedef struct scan {
    const char *p;
    const char *end;
} scan;

static bool take(scan *s, char c)
{
    if (s->p == s->end || *s->p != c) {
        return false;
    }
    s->p++;
    return true;
}

/* Exactly `count` digits of a number from low to high. */
static bool take_number(scan *s, int count, int64_t low, int64_t high, int64_t *out)
{
    int64_t x = 0;
    for (int i = 0; i < count; i++) {
        if (s->p == s->end || !is_digit((uint8_t)*s->p)) {
            return false;
        }
        x = x * 10 + (*s->p++ - '0');
    }
    *out = x;
    return x >= low && x <= high;
}

static bool take_year(scan *s, int64_t *year)
{
    bool negative = take(s, '-');
    bool expanded = negative || take(s, '+');
    int count = 0;
    while (s->end - s->p > count && is_digit((uint8_t)s->p[count])) {
        count++;
    }
    if (count < 4 || count > (expanded ? YEAR_DIGITS_MAX : 4) || !take_number(s, count, 0, INT32_MAX, year)) {
        return false;
    }
    *year = negative ? -*year : *year;
    return true;
}

/* After the seconds: ".123456"; digits after the third are dropped. */
static bool take_fraction(scan *s, int64_t *ms)
{
    if (!take(s, '.')) {
        return true;
    }
    int64_t unit = 100;
    const char *start = s->p;
    for (; s->p < s->end && is_digit((uint8_t)*s->p); s->p++) {
        *ms += (*s->p - '0') * unit;
        unit /= 10;
    }
    return s->p > start;
}

/* "Z", "+02:00" or nothing: what must be subtracted. */
static bool take_zone(scan *s, int64_t *offset_ms)
{
    *offset_ms = 0;
    if (s->p == s->end || take(s, 'Z') || take(s, 'z')) {
        return s->p == s->end;
    }
    bool east = take(s, '+');
    int64_t hour;
    int64_t minute;
    if ((!east && !take(s, '-')) || !take_number(s, 2, 0, 23, &hour) || !take(s, ':') ||
        !take_number(s, 2, 0, 59, &minute)) {
        return false;
    }
    *offset_ms = (hour * 60 + minute) * (east ? 60000 : -60000);
    return s->p == s->end;
}

static bool take_time(scan *s, int64_t *ms)
{
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t offset_ms;
    if (!take_number(s, 2, 0, 23, &hour)) {
        return false;
    }
    if (take(s, ':')) {
        if (!take_number(s, 2, 0, 59, &minute)) {
            return false;
        }
        if (take(s, ':') && (!take_number(s, 2, 0, minute == 59 ? 60 : 59, &second) || !take_fraction(s, ms))) {
            return false;
        }
    }
    if (!take_zone(s, &offset_ms)) {
        return false;
    }
    *ms += ((hour * 60 + minute) * 60 + second) * 1000 - offset_ms;
    return true;
}

bool ri_instant_parse(const char *text, size_t len, int64_t *ms)
{
    scan s = { text, text + len };
    int64_t year;
    int64_t month = 1;
    int64_t day = 1;
    int64_t rest = 0; /* of the day; a little outside of it after the zone is applied */
    *ms = 0;
    if (!take_year(&s, &year)) {
        return false;
    }
    if (take(&s, '-')) {
        if (!take_number(&s, 2, 1, 12, &month)) {
            return false;
        }
        if (take(&s, '-') && !take_number(&s, 2, 1, days_in_month(year, month), &day)) {
            return false;
        }
    }
    if (s.p < s.end && ((!take(&s, 'T') && !take(&s, 't')) || !take_time(&s, &rest))) {
        return false;
    }
    int64_t days = days_of_date(year, month, day);
    if (days < 0) { /* so that the product alone never leaves int64 where the sum does not */
        days++;
        rest -= MS_PER_DAY;
    }
    if (days > INT64_MAX / MS_PER_DAY || days < INT64_MIN / MS_PER_DAY) {
        return false;
    }
    int64_t base = days * MS_PER_DAY;
    if (rest > 0 ? base > INT64_MAX - rest : base < INT64_MIN - rest) {
        return false;
    }
    *ms = base + rest;
    return true;
}

static char *put_number(char *p, int64_t x, int digit_count)
{
    for (int i = digit_count - 1; i >= 0; i--) {
        p[i] = (char)('0' + x % 10);
        x /= 10;
    }
    return p + digit_count;
}

size_t ri_instant_format(char out[40], int64_t ms)
{
    int64_t days = ms / MS_PER_DAY - (ms % MS_PER_DAY < 0 ? 1 : 0);
    int64_t rest = ms % MS_PER_DAY + (ms % MS_PER_DAY < 0 ? MS_PER_DAY : 0);
    int64_t year;
    int64_t month;
    int64_t day;
    date_of_days(days, &year, &month, &day);
    char *p = out;
    int year_digits = 4;
    if (year < 0 || year > 9999) {
        *p++ = year < 0 ? '-' : '+';
        year = year < 0 ? -year : year;
        for (int64_t limit = 10000; year >= limit; limit *= 10) {
            year_digits++;
        }
    }
    p = put_number(p, year, year_digits);
    *p++ = '-';
    p = put_number(p, month, 2);
    *p++ = '-';
    p = put_number(p, day, 2);
    *p++ = 'T';
    p = put_number(p, rest / 3600000, 2);
    *p++ = ':';
    p = put_number(p, rest / 60000 % 60, 2);
    *p++ = ':';
    p = put_number(p, rest / 1000 % 60, 2);
    *p++ = '.';
    p = put_number(p, rest % 1000, 3);
    memcpy(p, "Z", sizeof "Z");
    return (size_t)(p - out) + 1;
}

/* ---- uuids ---- */

#define UUID_TEXT_LEN 36U

static bool uuid_dash_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool ri_uuid_parse(const char *text, size_t len, uint8_t out[16])
{
    memset(out, 0, 16);
    size_t nibble = 0;
    bool valid = len == UUID_TEXT_LEN;
    for (size_t i = 0; valid && i < UUID_TEXT_LEN; i++) {
        int digit = ri_hex_digit(text[i]);
        if (uuid_dash_at(i)) {
            valid = text[i] == '-';
        } else if (digit < 0) {
            valid = false;
        } else {
            out[nibble / 2] = (uint8_t)(out[nibble / 2] << 4 | digit);
            nibble++;
        }
    }
    if (!valid) {
        memset(out, 0, 16);
    }
    return valid;
}

void ri_uuid_format(char out[37], const uint8_t uuid[16])
{
    static const char digits[] = "0123456789abcdef";
    size_t nibble = 0;
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        if (uuid_dash_at(i)) {
            out[i] = '-';
        } else {
            out[i] = digits[uuid[nibble / 2] >> (nibble % 2 == 0 ? 4 : 0) & 15];
            nibble++;
        }
    }
    out[UUID_TEXT_LEN] = '\0';
}
