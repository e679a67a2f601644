/* SPDX-License-Identifier: MIT
 *
 * Finding a number in a packed column without unpacking it.
 *
 * One load holds 57 / width numbers. XOR with the key in every field makes equal fields zero; a zero field is one where
 * adding all-ones to its lower bits does not reach its top bit, and whose top bit is not set either (fields cannot
 * carry into each other, since the top bit is left out of the addition). One bit a match is left, and matches are few.
 *
 * Cost: about 10 instructions a load plus 4 a match.
 */
#include "exec.h"

#define LOAD_BITS 57U /* of 64, after the shift to a bit */
#define WIDTH_MAX 28U

static inline uint32_t lowest_bit(uint64_t x)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(x);
#else
    uint32_t n = 0;
    for (; (x & 1) == 0; x >>= 1) {
        n++;
    }
    return n;
#endif
}

typedef struct fields {
    uint64_t key; /* in every field */
    uint64_t low; /* all bits of every field but the top one */
    uint64_t top;
    uint32_t count; /* in a load */
    uint32_t by;    /* bit / width == bit * by >> 16 */
} fields;

static fields make_fields(uint32_t width, uint64_t key)
{
    fields f = { 0, 0, 0, LOAD_BITS / width, 65536 / width + 1 };
    for (uint32_t i = 0; i < f.count; i++) {
        f.key |= key << (i * width);
        f.top |= UINT64_C(1) << (i * width + width - 1);
        f.low |= ((UINT64_C(1) << (width - 1)) - 1) << (i * width);
    }
    return f;
}

static uint32_t find_fields(const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t shift, uint32_t *rows,
                            uint32_t max, uint32_t *next)
{
    fields f = make_fields(col->width, key - col->base);
    uint32_t n = 0;
    uint32_t i = from;
    while (i < to && n + f.count <= max) {
        uint64_t bit = (uint64_t)i * col->width;
        uint64_t x = (ri_load_u64(col->bits + (bit >> 3)) >> (bit & 7)) ^ f.key;
        uint64_t hits = ~(((x & f.low) + f.low) | x) & f.top;
        for (; hits != 0; hits &= hits - 1) {
            rows[n++] = i + (lowest_bit(hits) * f.by >> 16) + shift;
        }
        i += f.count;
    }
    while (n > 0 && rows[n - 1] >= to + shift) { /* fields behind the end */
        n--;
    }
    for (; i < to && n < max; i++) {
        rows[n] = i + shift;
        n += ri_col_get(col, i) == key;
    }
    *next = i < to ? i : to;
    return n;
}

/* CONST and STRIDE, and what has to be unpacked. */
static uint32_t find_others(rille_op *op, const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t shift,
                            uint32_t *rows, uint32_t max, uint32_t *next)
{
    uint32_t n = 0;
    to = to - from < max ? to : from + max;
    ri_col_unpack(col, from, to, op->scratch_words);
    for (uint32_t i = from; i < to; i++) {
        rows[n] = i + shift;
        n += op->scratch_words[i - from] == key;
    }
    *next = to;
    return n;
}

uint32_t ri_packed_find(rille_op *op, const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t shift,
                        uint32_t *rows, uint32_t max, uint32_t *next)
{
    if (col->mode != RI_COL_FOR || col->width == 0 || col->width > WIDTH_MAX) {
        return find_others(op, col, from, to, key, shift, rows, max, next);
    }
    if (key < col->base || (key - col->base) >> col->width != 0) {
        *next = to;
        return 0;
    }
    return find_fields(col, from, to, key, shift, rows, max, next);
}
