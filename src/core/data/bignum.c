/* SPDX-License-Identifier: MIT
 *
 * Numbers by their exact mathematical value: comparison and hash across the four kinds, integers and decimals from
 * text.
 *
 * The idea: two longs, two doubles and a long with a double compare in a few instructions, without a rounding cast.
 * Every other pair is brought to decimal digits, which is exact for all four kinds (a double is m * 2^e, and 2^-e is
 * 5^e / 10^e), and these compare as text.
 *
 * Cost: O(digits), at most 767 of them for a double; nothing is allocated but the result of a parse.
 */
#include "decimal.h"

#include "../base/hash.h"

#define TWO_63 9223372036854775808.0
#define EXPONENT_MAX INT64_C(100000000)
#define LIMB UINT64_C(1000000000)
#define LIMB_DIGITS 9
#define LIMB_COUNT_MAX (RI_DOUBLE_DIGITS_MAX / LIMB_DIGITS + 1)
#define HASH_LONG UINT64_C(0x2545f4914f6cdd1d)
#define HASH_DOUBLE UINT64_C(0x9fb21c651e98df25)
#define HASH_TEXT UINT64_C(0xd6e8feb86659fd93)

/* ---- digits ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digit_run(const char *text, size_t len)
{
    size_t count = 0;
    while (count < len && is_digit(text[count])) {
        count++;
    }
    return count;
}

static void trim(ri_decimal *d)
{
    for (int i = 0; i < 2 && (i == 0 || d->len[0] == 0); i++) {
        while (d->len[i] > 0 && d->piece[i][0] == '0') {
            d->piece[i]++;
            d->len[i]--;
            d->point--;
        }
    }
    for (int i = 1; i >= 0 && (i == 1 || d->len[1] == 0); i--) {
        while (d->len[i] > 0 && d->piece[i][d->len[i] - 1] == '0') {
            d->len[i]--;
        }
    }
    if (ri_decimal_digit_count(d) == 0) {
        d->point = 0;
        d->negative = false;
    }
}

static bool scan_exponent(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    size_t sign_len = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    int64_t x = 0;
    for (size_t i = sign_len; i < len; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        x = x < EXPONENT_MAX ? x * 10 + (text[i] - '0') : x;
    }
    *out = negative ? -x : x;
    return len > sign_len;
}

bool ri_decimal_scan(const char *text, size_t len, ri_decimal *out)
{
    *out = (ri_decimal){ { text, text }, { 0, 0 }, 0, len > 0 && text[0] == '-' };
    size_t pos = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    size_t whole = digit_run(text + pos, len - pos);
    if (whole == 0) {
        return false;
    }
    out->piece[0] = text + pos;
    out->len[0] = whole;
    pos += whole;
    if (pos < len && text[pos] == '.') {
        size_t fraction = digit_run(text + pos + 1, len - pos - 1);
        if (fraction == 0) {
            return false;
        }
        out->piece[1] = text + pos + 1;
        out->len[1] = fraction;
        pos += 1 + fraction;
    }
    int64_t exponent = 0;
    if (pos < len && (text[pos] == 'e' || text[pos] == 'E')) {
        if (!scan_exponent(text + pos + 1, len - pos - 1, &exponent)) {
            return false;
        }
        pos = len;
    }
    out->point = (int64_t)whole + exponent;
    trim(out);
    return pos == len;
}

void ri_decimal_of_long(char digits[24], int64_t i, ri_decimal *out)
{
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    size_t at = 24;
    for (; u != 0; u /= 10) {
        digits[--at] = (char)('0' + u % 10);
    }
    *out = (ri_decimal){ { digits + at, digits }, { 24 - at, 0 }, (int64_t)(24 - at), i < 0 };
    trim(out);
}

/* limbs in base 10^9, least first */
static size_t multiply(uint32_t *limbs, size_t count, uint64_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t x = limbs[i] * factor + carry;
        limbs[i] = (uint32_t)(x % LIMB);
        carry = x / LIMB;
    }
    for (; carry != 0; carry /= LIMB) {
        limbs[count++] = (uint32_t)(carry % LIMB);
    }
    return count;
}

void ri_decimal_of_scaled(char digits[RI_DOUBLE_DIGITS_MAX], uint64_t m, int exponent, ri_decimal *out)
{
    uint32_t limbs[LIMB_COUNT_MAX + 3];
    size_t count = 0;
    for (; exponent < 0 && m != 0 && (m & 1) == 0; exponent++) {
        m >>= 1;
    }
    for (; m != 0; m /= LIMB) {
        limbs[count++] = (uint32_t)(m % LIMB);
    }
    int fives = exponent < 0 ? -exponent : 0; /* m / 2^k = m * 5^k / 10^k */
    for (int left = exponent; left > 0; left -= 29) {
        count = multiply(limbs, count, UINT64_C(1) << (left < 29 ? left : 29));
    }
    for (int left = fives; left > 0; left -= 13) {
        uint64_t factor = 1;
        for (int i = left < 13 ? left : 13; i > 0; i--) {
            factor *= 5;
        }
        count = multiply(limbs, count, factor);
    }
    RI_ASSERT(count <= RI_DOUBLE_DIGITS_MAX / LIMB_DIGITS);
    for (size_t i = 0; i < count; i++) {
        uint32_t limb = limbs[count - 1 - i];
        for (int place = LIMB_DIGITS - 1; place >= 0; place--) {
            digits[i * LIMB_DIGITS + (size_t)place] = (char)('0' + limb % 10);
            limb /= 10;
        }
    }
    size_t len = count * LIMB_DIGITS;
    *out = (ri_decimal){ { digits, digits }, { len, 0 }, (int64_t)len - fives, false };
    trim(out);
}

void ri_decimal_of_double(char digits[RI_DOUBLE_DIGITS_MAX], double d, ri_decimal *out)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    int biased = (int)(bits >> 52 & 0x7ff);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    ri_decimal_of_scaled(digits, biased == 0 ? fraction : fraction | UINT64_C(1) << 52,
                         (biased == 0 ? 1 : biased) - 1075, out);
    out->negative = d < 0;
}

static int cmp_digits(const ri_decimal *a, const ri_decimal *b)
{
    size_t count_a = ri_decimal_digit_count(a);
    size_t count_b = ri_decimal_digit_count(b);
    size_t shared = count_a < count_b ? count_a : count_b;
    int piece_a = 0;
    int piece_b = 0;
    size_t at_a = 0;
    size_t at_b = 0;
    while (shared > 0) {
        piece_a = at_a == a->len[piece_a] ? (at_a = 0, 1) : piece_a;
        piece_b = at_b == b->len[piece_b] ? (at_b = 0, 1) : piece_b;
        size_t left_a = a->len[piece_a] - at_a;
        size_t left_b = b->len[piece_b] - at_b;
        size_t run = left_a < left_b ? left_a : left_b;
        run = run < shared ? run : shared;
        int order = memcmp(a->piece[piece_a] + at_a, b->piece[piece_b] + at_b, run);
        if (order != 0) {
            return order;
        }
        at_a += run;
        at_b += run;
        shared -= run;
    }
    return (count_a > count_b) - (count_a < count_b);
}

static int sign_of(const ri_decimal *d)
{
    return ri_decimal_digit_count(d) == 0 ? 0 : d->negative ? -1 : 1;
}

int ri_decimal_cmp(const ri_decimal *a, const ri_decimal *b)
{
    int sign = sign_of(a);
    if (sign != sign_of(b)) {
        return sign - sign_of(b);
    }
    int order = a->point != b->point ? (a->point < b->point ? -1 : 1) : cmp_digits(a, b);
    return sign < 0 ? (order < 0) - (order > 0) : order;
}

/* ---- comparison and hash ---- */

/* d's whole part is exact in int64 here, and what is left of d decides when the whole parts are equal. */
static int cmp_long_double(int64_t i, double d)
{
    if (d >= TWO_63) {
        return -1;
    }
    if (d < -TWO_63) {
        return 1;
    }
    int64_t whole = (int64_t)d;
    if (i != whole) {
        return i < whole ? -1 : 1;
    }
    double rest = d - (double)whole;
    return (rest < 0) - (rest > 0);
}

static bool is_infinite(const ri_value *v)
{
    return v->type == RI_DOUBLE && v->as.d - v->as.d != 0;
}

static void to_decimal(char digits[RI_DOUBLE_DIGITS_MAX], const ri_value *v, ri_decimal *out)
{
    if (v->type == RI_LONG) {
        ri_decimal_of_long(digits, v->as.i, out);
    } else if (v->type == RI_DOUBLE) {
        ri_decimal_of_double(digits, v->as.d, out);
    } else {
        (void)ri_decimal_scan((const char *)v->as.p, v->len, out);
    }
}

int ri_number_cmp(const ri_value *a, const ri_value *b)
{
    if (a->type == RI_LONG && b->type == RI_LONG) {
        return (a->as.i > b->as.i) - (a->as.i < b->as.i);
    }
    if (a->type == RI_DOUBLE && b->type == RI_DOUBLE) {
        return (a->as.d > b->as.d) - (a->as.d < b->as.d);
    }
    if (a->type == RI_LONG && b->type == RI_DOUBLE) {
        return cmp_long_double(a->as.i, b->as.d);
    }
    if (a->type == RI_DOUBLE && b->type == RI_LONG) {
        return -cmp_long_double(b->as.i, a->as.d);
    }
    if (is_infinite(a)) {
        return a->as.d < 0 ? -1 : 1;
    }
    if (is_infinite(b)) {
        return b->as.d < 0 ? 1 : -1;
    }
    char digits_a[RI_DOUBLE_DIGITS_MAX];
    char digits_b[RI_DOUBLE_DIGITS_MAX];
    ri_decimal decimal_a;
    ri_decimal decimal_b;
    to_decimal(digits_a, a, &decimal_a);
    to_decimal(digits_b, b, &decimal_b);
    return ri_decimal_cmp(&decimal_a, &decimal_b);
}

/* The digits as int64, when the number is whole and fits. */
static bool decimal_to_long(const ri_decimal *d, int64_t *out)
{
    if (d->point > 19 || d->point < (int64_t)ri_decimal_digit_count(d)) {
        return false;
    }
    uint64_t u = 0;
    for (size_t i = 0; i < (size_t)d->point; i++) { /* at most 19 digits: below 2^64 */
        size_t in_second = i - d->len[0];
        char c = i < d->len[0] ? d->piece[0][i] : in_second < d->len[1] ? d->piece[1][in_second] : '0';
        u = u * 10 + (uint64_t)(c - '0');
    }
    uint64_t limit = (UINT64_C(1) << 63) - (d->negative ? 0 : 1);
    if (u > limit) {
        return false;
    }
    *out = (int64_t)(d->negative ? 0 - u : u);
    return true;
}

static uint64_t hash_double(double d)
{
    if (d >= -TWO_63 && d < TWO_63 && d == (double)(int64_t)d) {
        return ri_keyed_word((uint64_t)(int64_t)d + HASH_LONG);
    }
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return ri_keyed_word(bits + HASH_DOUBLE);
}

uint64_t ri_number_hash(const ri_value *v)
{
    if (v->type == RI_LONG) {
        return ri_keyed_word(v->as.u + HASH_LONG);
    }
    if (v->type == RI_DOUBLE) {
        return hash_double(v->as.d);
    }
    ri_decimal decimal;
    int64_t i;
    (void)ri_decimal_scan((const char *)v->as.p, v->len, &decimal);
    if (decimal_to_long(&decimal, &i)) {
        return ri_keyed_word((uint64_t)i + HASH_LONG);
    }
    double d;
    if (ri_double_parse((const char *)v->as.p, v->len, &d, NULL) == 0) {
        ri_value as_double = ri_double(d);
        if (ri_number_cmp(v, &as_double) == 0) {
            return hash_double(d);
        }
    }
    return ri_keyed_bytes(v->as.p, v->len, HASH_TEXT);
}

/* ---- parsing ---- */

static int fail_number(rille_err *err, const char *what, const char *text, size_t len, const char *expected)
{
    return ri_fail(err, RILLE_TYPE, "%s \"%.*s%s\" is not valid, expected the form %s", what,
                   (int)(len < 40 ? len : 40), text, len > 40 ? "..." : "", expected);
}

static int fail_size(rille_err *err, const char *what)
{
    return ri_fail(err, RILLE_LIMIT, "%s has more than %u digits", what, RI_DIGITS_MAX);
}

/* The digits without exponent, canonical: the text of both big types. */
static int write_canonical(ri_arena *arena, const ri_decimal *d, ri_type type, ri_value *out, rille_err *err)
{
    size_t count = ri_decimal_digit_count(d);
    if (d->point > RI_DIGITS_MAX || d->point < -(int64_t)RI_DIGITS_MAX || count > RI_DIGITS_MAX) {
        return fail_size(err, ri_type_name((uint8_t)type));
    }
    size_t whole = d->point > 0 ? (size_t)d->point : 0;  /* digits before the point; none is written as 0 */
    size_t zeros = d->point < 0 ? (size_t)-d->point : 0; /* right after the point */
    size_t fraction = count > whole ? zeros + count - whole : 0;
    if ((whole == 0 ? 1 : whole) + fraction > RI_DIGITS_MAX) {
        return fail_size(err, ri_type_name((uint8_t)type));
    }
    char *text = ri_arena_alloc(arena, whole + fraction + 3);
    if (text == NULL) {
        return ri_fail_nomem(err);
    }
    char *p = text;
    if (d->negative) {
        *p++ = '-';
    }
    if (whole == 0) {
        *p++ = '0';
    }
    for (size_t i = 0; i < whole + fraction; i++) {
        size_t at = i < whole ? i : i - zeros; /* of the digits; zeros > 0 only when whole == 0 */
        size_t second = at - d->len[0];
        if (i == whole) {
            *p++ = '.';
        }
        if (at >= count || (i >= whole && i - whole < zeros)) {
            *p++ = '0';
        } else {
            *p++ = at < d->len[0] ? d->piece[0][at] : d->piece[1][second];
        }
    }
    *out = ri_bytes_value(type, text, (size_t)(p - text));
    return 0;
}

int ri_integer_parse(ri_arena *arena, const char *digits, size_t len, ri_value *out, rille_err *err)
{
    *out = ri_nil();
    size_t sign_len = len > 0 && digits[0] == '-' ? 1 : 0;
    if (len == sign_len || digit_run(digits + sign_len, len - sign_len) != len - sign_len) {
        return fail_number(err, "integer", digits, len, "-123");
    }
    ri_decimal decimal;
    (void)ri_decimal_scan(digits, len, &decimal);
    int64_t i;
    if (decimal_to_long(&decimal, &i)) {
        *out = ri_long(i);
        return 0;
    }
    return write_canonical(arena, &decimal, RI_BIGINT, out, err);
}

int ri_decimal_parse(ri_arena *arena, const char *text, size_t len, ri_value *out, rille_err *err)
{
    *out = ri_nil();
    ri_decimal decimal;
    if (!ri_decimal_scan(text, len, &decimal)) {
        return fail_number(err, "decimal", text, len, "-12.5 or 1.25e3");
    }
    return write_canonical(arena, &decimal, RI_BIGDEC, out, err);
}
