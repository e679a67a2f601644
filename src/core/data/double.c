/* SPDX-License-Identifier: MIT
 *
 * Doubles from text, correctly rounded, and their shortest text.
 *
 * The idea: powers of ten as 128 bits times a power of two, never too large and too small by less than 4 units of the
 * last place, are made from two small tables. A product with them is an interval of 10 units out of 2^128; only when
 * the place where the rounding turns lies within that interval (about once in 2^60, or for exact ties) is the exact
 * decimal expansion asked (decimal.h). So both directions are exact without long arithmetic in practice.
 * Before that come the cases that double arithmetic itself does exactly: up to 15 digits and powers up to 10^22
 * (Clinger, How to read floating point numbers accurately, 1990).
 *
 * Cost: 10-60 ns; some microseconds for ties and for texts of many digits.
 */
#include "decimal.h"

#define POWER_MIN (-351)
#define POWER_STEP 27
#define SLACK 16U /* more than any product here is too small by, in units of its 128th bit */
#define MANTISSA_BITS 52
#define IMPLICIT (UINT64_C(1) << MANTISSA_BITS)
#define BITS_INFINITE (UINT64_C(0x7ff) << MANTISSA_BITS)
#define EXACT_MAX (UINT64_C(1) << 53)
#define DIGITS_U64 19 /* that always fit in 64 bits */
#define POINT_MAX 310 /* beyond: not finite */
#define POINT_MIN (-330)

typedef struct wide {
    uint64_t hi;
    uint64_t lo;
} wide;

/* The top 128 bits of 10^(27 i - 351), rounded down. */
static const wide coarse[] = {
    { UINT64_C(0x8049a4ac0c5811ae), UINT64_C(0x205b896d777d6278) }, /* 10^-351 */
    { UINT64_C(0xcf42894a5dce35ea), UINT64_C(0x52064cac828675b9) }, /* 10^-324 */
    { UINT64_C(0xa76c582338ed2621), UINT64_C(0xaf2af2b80af6f24e) }, /* 10^-297 */
    { UINT64_C(0x873e4f75e2224e68), UINT64_C(0x5a7744a6e804a291) }, /* 10^-270 */
    { UINT64_C(0xda7f5bf590966848), UINT64_C(0xaf39a475506a899e) }, /* 10^-243 */
    { UINT64_C(0xb080392cc4349dec), UINT64_C(0xbd8d794d96aacfb3) }, /* 10^-216 */
    { UINT64_C(0x8e938662882af53e), UINT64_C(0x547eb47b7282ee9c) }, /* 10^-189 */
    { UINT64_C(0xe65829b3046b0afa), UINT64_C(0x0cb4a5a3112a5112) }, /* 10^-162 */
    { UINT64_C(0xba121a4650e4ddeb), UINT64_C(0x92f34d62616ce413) }, /* 10^-135 */
    { UINT64_C(0x964e858c91ba2655), UINT64_C(0x3a6a07f8d510f86f) }, /* 10^-108 */
    { UINT64_C(0xf2d56790ab41c2a2), UINT64_C(0xfae27299423fb9c3) }, /* 10^-81 */
    { UINT64_C(0xc428d05aa4751e4c), UINT64_C(0xaa97e14c3c26b886) }, /* 10^-54 */
    { UINT64_C(0x9e74d1b791e07e48), UINT64_C(0x775ea264cf55347d) }, /* 10^-27 */
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000) }, /* 10^0 */
    { UINT64_C(0xcecb8f27f4200f3a), UINT64_C(0x0000000000000000) }, /* 10^27 */
    { UINT64_C(0xa70c3c40a64e6c51), UINT64_C(0x999090b65f67d924) }, /* 10^54 */
    { UINT64_C(0x86f0ac99b4e8dafd), UINT64_C(0x69a028bb3ded71a3) }, /* 10^81 */
    { UINT64_C(0xda01ee641a708de9), UINT64_C(0xe80e6f4820cc9495) }, /* 10^108 */
    { UINT64_C(0xb01ae745b101e9e4), UINT64_C(0x5ec05dcff72e7f8f) }, /* 10^135 */
    { UINT64_C(0x8e41ade9fbebc27d), UINT64_C(0x14588f13be847307) }, /* 10^162 */
    { UINT64_C(0xe5d3ef282a242e81), UINT64_C(0x8f1668c8a86da5fa) }, /* 10^189 */
    { UINT64_C(0xb9a74a0637ce2ee1), UINT64_C(0x6d953e2bd7173692) }, /* 10^216 */
    { UINT64_C(0x95f83d0a1fb69cd9), UINT64_C(0x4abdaf101564f98e) }, /* 10^243 */
    { UINT64_C(0xf24a01a73cf2dccf), UINT64_C(0xbc633b39673c8cec) }, /* 10^270 */
    { UINT64_C(0xc3b8358109e84f07), UINT64_C(0x0a862f80ec4700c8) }, /* 10^297 */
    { UINT64_C(0x9e19db92b4e31ba9), UINT64_C(0x6c07a2c26a8346d1) }, /* 10^324 */
};

/* 5^0 to 5^26, shifted up to 64 bits. */
static const uint64_t fine[POWER_STEP] = {
    UINT64_C(0x8000000000000000), UINT64_C(0xa000000000000000), UINT64_C(0xc800000000000000),
    UINT64_C(0xfa00000000000000), UINT64_C(0x9c40000000000000), UINT64_C(0xc350000000000000),
    UINT64_C(0xf424000000000000), UINT64_C(0x9896800000000000), UINT64_C(0xbebc200000000000),
    UINT64_C(0xee6b280000000000), UINT64_C(0x9502f90000000000), UINT64_C(0xba43b74000000000),
    UINT64_C(0xe8d4a51000000000), UINT64_C(0x9184e72a00000000), UINT64_C(0xb5e620f480000000),
    UINT64_C(0xe35fa931a0000000), UINT64_C(0x8e1bc9bf04000000), UINT64_C(0xb1a2bc2ec5000000),
    UINT64_C(0xde0b6b3a76400000), UINT64_C(0x8ac7230489e80000), UINT64_C(0xad78ebc5ac620000),
    UINT64_C(0xd8d726b7177a8000), UINT64_C(0x878678326eac9000), UINT64_C(0xa968163f0a57b400),
    UINT64_C(0xd3c21bcecceda100), UINT64_C(0x84595161401484a0), UINT64_C(0xa56fa5b99019a5c8),
};

static const double exact_powers[23] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static wide multiply(uint64_t a, uint64_t b)
{
    uint64_t a_lo = a & UINT32_MAX;
    uint64_t a_hi = a >> 32;
    uint64_t b_lo = b & UINT32_MAX;
    uint64_t b_hi = b >> 32;
    uint64_t low = a_lo * b_lo;
    uint64_t middle = a_hi * b_lo + (low >> 32);
    uint64_t cross = a_lo * b_hi + (middle & UINT32_MAX);
    return (wide){ a_hi * b_hi + (middle >> 32) + (cross >> 32), cross << 32 | (low & UINT32_MAX) };
}

/* The top 128 of the 192 bits of a * b, shifted up so that the highest bit is set; *shift says whether it was not. */
static wide multiply_top(wide a, uint64_t b, int *shift)
{
    wide high = multiply(a.hi, b);
    uint64_t carried = multiply(a.lo, b).hi;
    high.lo += carried;
    high.hi += high.lo < carried;
    *shift = high.hi >> 63 == 0;
    return *shift != 0 ? (wide){ high.hi << 1 | high.lo >> 63, high.lo << 1 } : high;
}

/* floor(log2(10^q)) for |q| <= 351: the factor is log2(10) * 2^16, and q * 16 is kept positive before the shift. */
static int log2_of_power(int q)
{
    return (int)(((int64_t)q * 217706 + (INT64_C(2048) << 16)) >> 16) - 2048;
}

/* w * 10^q as P * 2^*exponent with P <= truth < P + 10; w > 0, -351 <= q <= 350. */
static wide scale(uint64_t w, int q, int *exponent)
{
    int step = (q - POWER_MIN) / POWER_STEP;
    int shift;
    int width = (int)ri_bit_width(w);
    wide power = multiply_top(coarse[step], fine[q - POWER_MIN - step * POWER_STEP], &shift);
    wide product = multiply_top(power, w << (64 - width), &shift);
    *exponent = log2_of_power(q) - 127 + width - shift;
    return product;
}

static double from_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static uint64_t to_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

/* ---- reading ---- */

/* The bits of w * 10^q rounded to the nearest double. False: the approximation cannot tell; *bits is then one of the
 * two nearest, or somewhere close below. */
static bool round_scaled(uint64_t w, int q, uint64_t *bits)
{
    int exponent;
    wide p = scale(w, q, &exponent);
    int leading = exponent + 127; /* the truth is 1.xxx * 2^leading */
    if (leading > 1023) {
        *bits = BITS_INFINITE;
        return true;
    }
    int drop = 11 + (leading < -1022 ? -1022 - leading : 0);
    if (drop > 63) {
        *bits = 0;
        return false;
    }
    uint64_t mantissa = p.hi >> drop;
    uint64_t rest = p.hi & ((UINT64_C(1) << drop) - 1);
    uint64_t half = UINT64_C(1) << (drop - 1);
    *bits = leading < -1022 ? mantissa : ((uint64_t)(leading + 1023) << MANTISSA_BITS) + (mantissa - IMPLICIT);
    if ((rest == half && p.lo == 0) || (rest == half - 1 && p.lo >= UINT64_MAX - SLACK)) {
        return false;
    }
    *bits += rest >= half; /* a carry out of the mantissa makes the next exponent, as it should */
    return true;
}

/* The exact value of the double of these bits, or of the point halfway to the next one. */
static void expand(char digits[RI_DOUBLE_DIGITS_MAX], uint64_t bits, bool halfway, ri_decimal *out)
{
    int biased = (int)(bits >> MANTISSA_BITS);
    uint64_t m = (bits & (IMPLICIT - 1)) | (biased == 0 ? 0 : IMPLICIT);
    ri_decimal_of_scaled(digits, 2 * m + (halfway ? 1 : 0), (biased == 0 ? 1 : biased) - 1076, out);
}

static int cmp_to_bits(const ri_decimal *magnitude, uint64_t bits, bool halfway)
{
    char digits[RI_DOUBLE_DIGITS_MAX];
    ri_decimal exact;
    expand(digits, bits, halfway, &exact);
    return ri_decimal_cmp(magnitude, &exact);
}

/* From any start: walks to the double at or below the number, then asks on which side of the halfway point it lies. */
static uint64_t round_exactly(const ri_decimal *magnitude, uint64_t bits)
{
    while (bits > 0 && (bits > BITS_INFINITE || cmp_to_bits(magnitude, bits, false) < 0)) {
        bits--;
    }
    while (bits < BITS_INFINITE && cmp_to_bits(magnitude, bits + 1, false) >= 0) {
        bits++;
    }
    int side = bits == BITS_INFINITE ? 0 : cmp_to_bits(magnitude, bits, true);
    return bits + (side > 0 || (side == 0 && (bits & 1) != 0) ? 1 : 0);
}

/* Texts of more digits than 64 bits hold, or of far exponents. */
static uint64_t round_decimal(ri_decimal magnitude)
{
    size_t count = ri_decimal_digit_count(&magnitude);
    magnitude.negative = false;
    if (count == 0 || magnitude.point < POINT_MIN) {
        return 0;
    }
    if (magnitude.point > POINT_MAX) {
        return BITS_INFINITE;
    }
    uint64_t w = 0;
    size_t used = count < DIGITS_U64 ? count : DIGITS_U64;
    for (size_t i = 0; i < used; i++) {
        char c = i < magnitude.len[0] ? magnitude.piece[0][i] : magnitude.piece[1][i - magnitude.len[0]];
        w = w * 10 + (uint64_t)(c - '0');
    }
    uint64_t bits;
    uint64_t above;
    int q = (int)(magnitude.point - (int64_t)used);
    bool certain = round_scaled(w, q, &bits);
    if (certain && (count == used || (round_scaled(w + 1, q, &above) && above == bits))) {
        return bits;
    }
    return round_exactly(&magnitude, bits);
}

/* At most 19 digits, a point, no exponent: what nearly every float looks like. */
static bool parse_plain(const char *p, const char *end, uint64_t *bits)
{
    uint64_t w = 0;
    const char *start = p;
    const char *point = NULL;
    for (; p < end; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit <= 9) {
            w = w * 10 + digit;
        } else if (*p == '.' && point == NULL && p > start) {
            point = p;
        } else {
            return false;
        }
    }
    size_t fraction = point == NULL ? 0 : (size_t)(end - point - 1);
    if (end - start > DIGITS_U64 + 1 || point == NULL || fraction == 0) {
        return false;
    }
    if (w <= EXACT_MAX) { /* both sides of the division are exact: fraction <= 19 */
        *bits = to_bits((double)w / exact_powers[fraction]);
        return true;
    }
    return round_scaled(w, -(int)fraction, bits);
}

int ri_double_parse(const char *text, size_t len, double *out, rille_err *err)
{
    *out = 0;
    bool negative = len > 0 && text[0] == '-';
    size_t sign_len = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    uint64_t bits;
    if (!parse_plain(text + sign_len, text + len, &bits)) {
        ri_decimal decimal;
        if (!ri_decimal_scan(text, len, &decimal)) {
            return ri_fail(err, RILLE_TYPE, "float \"%.*s\" is not valid, expected a form such as -1.5 or 1.5e10",
                           (int)(len < 40 ? len : 40), text);
        }
        bits = round_decimal(decimal);
    }
    if (bits >= BITS_INFINITE) {
        return ri_fail(err, RILLE_TYPE, "float \"%.*s\" is too large for a double (the maximum is 1.8e308)",
                       (int)(len < 40 ? len : 40), text);
    }
    *out = from_bits(bits | (negative && bits != 0 ? UINT64_C(1) << 63 : 0));
    return 0;
}

/* ---- writing ---- */

/* Digits and exponent: digits * 10^exponent, no trailing zero. */
typedef struct shortest {
    uint64_t digits;
    int exponent;
} shortest;

/* m * 2^e * 10^q as a whole number, and whether a half or more is left. False when the approximation cannot tell the
 * whole part for certain. */
static bool scale_whole(uint64_t m, int e, int q, uint64_t *whole, bool *half)
{
    int exponent;
    wide p = scale(m, q, &exponent);
    int drop = -(exponent + e) - 64; /* bits of p.hi that are behind the point: 17 or 18 digits are in front of it */
    RI_ASSERT(drop >= 1 && drop <= 63);
    uint64_t rest = p.hi & ((UINT64_C(1) << drop) - 1);
    *whole = p.hi >> drop;
    *half = rest >> (drop - 1) != 0;
    bool may_be_whole = rest == 0 && p.lo == 0;
    bool may_reach_next = rest == (UINT64_C(1) << drop) - 1 && p.lo >= UINT64_MAX - SLACK;
    return !may_be_whole && !may_reach_next;
}

/* The shortest decimal between the points halfway to the neighbours, and of these the closest to m * 2^e: all three are
 * scaled to 17 or 18 digits, then digits are dropped while a number is left between. False when the approximation
 * cannot tell. */
static bool shorten(uint64_t m, int e, shortest *out)
{
    bool lower_is_closer = m == IMPLICIT && e > -1074;
    int leading = (int)ri_bit_width(m) - 1 + e;
    int tens = (int)((((int64_t)leading * 78913 + (INT64_C(2048) << 18)) >> 18) - 2048); /* log10(2) * 2^18 */
    int q = 16 - tens;
    uint64_t low;
    uint64_t value;
    uint64_t high;
    bool half;
    if (!scale_whole(4 * m - (lower_is_closer ? 1 : 2), e - 2, q, &low, &half) ||
        !scale_whole(4 * m + 2, e - 2, q, &high, &half)) {
        return false;
    }
    (void)scale_whole(4 * m, e - 2, q, &value, &half);
    uint64_t power = 1;
    int dropped = 0;
    low++;
    while ((low + 9) / 10 <= high / 10) {
        low = (low + 9) / 10;
        high /= 10;
        power *= 10;
        dropped++;
    }
    uint64_t digits = value / power;
    if (power == 1 ? half : value % power >= power / 2) {
        digits++;
    }
    digits = digits < low ? low : digits > high ? high : digits;
    *out = (shortest){ digits, dropped - q };
    return true;
}

static uint64_t exact_bits(uint64_t digits, int exponent)
{
    uint64_t bits;
    if (!round_scaled(digits, exponent, &bits)) {
        char text[24];
        ri_decimal decimal;
        ri_decimal_of_long(text, (int64_t)digits, &decimal);
        decimal.point += exponent;
        bits = round_exactly(&decimal, bits);
    }
    return bits;
}

/* Asks each length from 1 on, the exact digits cut and the next number above, whether it reads back. */
static void shorten_exactly(uint64_t bits, shortest *out)
{
    char text[RI_DOUBLE_DIGITS_MAX];
    ri_decimal exact;
    expand(text, bits, false, &exact);
    uint64_t cut = 0;
    for (size_t len = 1; len <= 17; len++) {
        cut = cut * 10 + (uint64_t)(len <= exact.len[0] ? exact.piece[0][len - 1] - '0' : 0);
        bool up_is_closer = len < exact.len[0] && exact.piece[0][len] >= '5';
        int exponent = (int)exact.point - (int)len;
        bool cut_fits = exact_bits(cut, exponent) == bits;
        bool up_fits = exact_bits(cut + 1, exponent) == bits;
        *out = (shortest){ cut + (up_fits && (up_is_closer || !cut_fits) ? 1 : 0), exponent };
        if (cut_fits || up_fits) {
            return;
        }
    }
}

/* Few digits, as people write them: found by double arithmetic that is exact. */
static bool shorten_plain(double d, shortest *out)
{
    for (int places = 0; places <= 4; places++) {
        double scaled = d * exact_powers[places];
        if (scaled >= 1e15) {
            return false;
        }
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if ((double)digits / exact_powers[places] == d) {
            *out = (shortest){ digits, -places };
            return true;
        }
    }
    return false;
}

static size_t put_zeros(char *out, int count)
{
    for (int i = 0; i < count; i++) {
        out[i] = '0';
    }
    return count > 0 ? (size_t)count : 0;
}

/* 0.DIGITS * 10^point: plain from 0.000001 to below 10^21, with an exponent otherwise. */
static size_t lay_out(char *out, const char *digits, int count, int point)
{
    size_t len = 0;
    if (point <= -6 || point > 21) {
        out[len++] = digits[0];
        if (count > 1) {
            out[len++] = '.';
            memcpy(out + len, digits + 1, (size_t)count - 1);
            len += (size_t)count - 1;
        }
        out[len++] = 'e';
        int exponent = point - 1;
        if (exponent < 0) {
            out[len++] = '-';
            exponent = -exponent;
        }
        for (int unit = exponent >= 100 ? 100 : exponent >= 10 ? 10 : 1; unit > 0; unit /= 10) {
            out[len++] = (char)('0' + exponent / unit % 10);
        }
        return len;
    }
    int whole = point < 0 ? 0 : point < count ? point : count;
    if (point <= 0) {
        out[len++] = '0';
    }
    memcpy(out + len, digits, (size_t)whole);
    len += (size_t)whole;
    len += put_zeros(out + len, point - count);
    out[len++] = '.';
    len += put_zeros(out + len, -point);
    memcpy(out + len, digits + whole, (size_t)(count - whole));
    len += (size_t)(count - whole);
    if (count == whole) {
        out[len++] = '0';
    }
    return len;
}

size_t ri_double_format(char out[32], double d)
{
    if (d != d || d - d != 0) {
        const char *name = d != d ? "##NaN" : d < 0 ? "##-Inf" : "##Inf";
        memcpy(out, name, strlen(name) + 1);
        return strlen(name);
    }
    size_t len = 0;
    if (d < 0) {
        out[len++] = '-';
        d = -d;
    }
    shortest s;
    if (!shorten_plain(d, &s)) {
        uint64_t bits = to_bits(d);
        int biased = (int)(bits >> MANTISSA_BITS);
        uint64_t m = (bits & (IMPLICIT - 1)) | (biased == 0 ? 0 : IMPLICIT);
        if (!shorten(m, (biased == 0 ? 1 : biased) - 1075, &s)) {
            shorten_exactly(bits, &s);
        }
    }
    char digits[20];
    int count = 1;
    for (uint64_t rest = s.digits / 10; rest != 0; rest /= 10) {
        count++;
    }
    for (int i = count - 1; i >= 0; i--) { /* to the front: clang 14 loses stores before a memcpy from a moving place */
        digits[i] = (char)('0' + s.digits % 10);
        s.digits /= 10;
    }
    len += lay_out(out + len, digits, count, count + s.exponent);
    out[len] = '\0';
    return len;
}
