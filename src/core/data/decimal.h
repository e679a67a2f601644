/* SPDX-License-Identifier: MIT
 *
 * Numbers of any size as digits: 0.D1 D2 D3 ... * 10^point, without zeros at either end. Private to bignum.c and
 * double.c.
 */
#ifndef RI_DECIMAL_H
#define RI_DECIMAL_H

#include "value.h"

/* Digits of the exact value of any double, and of the point halfway to its neighbours. */
#define RI_DOUBLE_DIGITS_MAX 800

/* The digits lie in two pieces, since a text may have its point between them; they are borrowed. Zero: no digits. */
typedef struct ri_decimal {
    const char *piece[2];
    size_t len[2];
    int64_t point;
    bool negative;
} ri_decimal;

static inline size_t ri_decimal_digit_count(const ri_decimal *d)
{
    return d->len[0] + d->len[1];
}

/* [+-]? digits ("." digits)? ([eE] [+-]? digits)? and nothing else. Exponents saturate far beyond every limit. */
bool ri_decimal_scan(const char *text, size_t len, ri_decimal *out);
/* m * 2^exponent, exactly; m < 2^56, -1100 <= exponent <= 1000. */
void ri_decimal_of_scaled(char digits[RI_DOUBLE_DIGITS_MAX], uint64_t m, int exponent, ri_decimal *out);
/* Finite d. */
void ri_decimal_of_double(char digits[RI_DOUBLE_DIGITS_MAX], double d, ri_decimal *out);
void ri_decimal_of_long(char digits[24], int64_t i, ri_decimal *out);
int ri_decimal_cmp(const ri_decimal *a, const ri_decimal *b);

#endif
