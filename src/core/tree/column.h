/* SPDX-License-Identifier: MIT
 *
 * Integer columns: how a node stores n unsigned 64-bit numbers, and how they are read and searched without decoding.
 *
 * mode    stored                                               get       lower bound
 * CONST   base                                                 O(1)      O(1)
 * STRIDE  base, step: base + i * step                          O(1)      O(1)
 * FOR     base, width: base + packed[i], bits LSB first        O(1)      O(log n)
 * DELTA   blocks of 32: absolute heads (a column), one         O(block)  O(log n + block)
 *         width for all deltas, packed; nondecreasing only
 * RLE     run values (a column) and run ends (a column)        O(log r)  O(log r)
 * Widths over 56 are stored as 64, so that one unaligned 8-byte load is always enough. The encoder takes the mode with
 * the fewest bytes, on a tie the first of this table (but DELTA and RLE only where they save at least 1/8: they read
 * slower): the same numbers always give the same bytes.
 *
 * Invariants, checked when a column is opened: (C1) count as announced; (C2) width <= 56 or 64; (C3) packed bytes
 * inside the node; (C4) run ends strictly increasing and below count (the end of the last run is not stored: it is
 * count); nested columns of RLE and DELTA are CONST, STRIDE or FOR. Overflow of base + x wraps: hostile numbers give
 * wrong values, never wrong memory.
 */
#ifndef RI_COLUMN_H
#define RI_COLUMN_H

#include "../base/arena.h"
#include "../base/buf.h"

typedef enum ri_col_mode { RI_COL_CONST = 0, RI_COL_STRIDE, RI_COL_FOR, RI_COL_DELTA, RI_COL_RLE } ri_col_mode;

#define RI_DELTA_BLOCK 32U /* rows; a multiple of 8 */
#define RI_COL_CHUNK 128U  /* how many numbers readers unpack at a time */

typedef struct ri_col {
    uint64_t base;
    uint64_t step;        /* STRIDE; FOR and DELTA: the mask of one packed number */
    const uint8_t *bits;  /* FOR, DELTA; at least 8 readable bytes follow */
    struct ri_col *parts; /* RLE: values, ends (one fewer); DELTA: heads */
    uint32_t count;
    uint8_t mode;
    uint8_t width;
} ri_col;

/* Appends the encoding of n > 0 numbers. */
void ri_col_write(ri_buf *out, const uint64_t *numbers, uint32_t n);
/* The same of numbers that are all `number`. */
void ri_col_write_same(ri_buf *out, uint64_t number);
/* Of one number, or two, where there is room for RI_COL_FEW_BYTES; gives where it ends. */
#define RI_COL_FEW_BYTES 21U
uint8_t *ri_col_put_few(uint8_t *p, uint64_t first, uint64_t last);
/* Opens a column of `count` numbers on borrowed bytes; nested parts go to the arena. False: damaged (then in->bad),
 * or no memory. */
bool ri_col_open(ri_reader *in, uint32_t count, ri_arena *arena, ri_col *out);

/* ri_col_get of RLE and DELTA. */
uint64_t ri_col_get_nested(const ri_col *col, uint32_t i);

/* ri_col_get of FOR. */
static inline uint64_t ri_col_packed(const ri_col *col, uint32_t i)
{
    uint64_t bit = (uint64_t)i * col->width;
    return col->base + ((ri_load_u64(col->bits + (bit >> 3)) >> (bit & 7)) & col->step);
}

static inline uint64_t ri_col_get(const ri_col *col, uint32_t i)
{
    if (col->mode == RI_COL_FOR) {
        return ri_col_packed(col, i);
    }
    return col->mode <= RI_COL_STRIDE ? col->base + i * col->step : ri_col_get_nested(col, i);
}

/* Numbers from..to-1 into out. Tight loops; the way to read many. */
void ri_col_unpack(const ri_col *col, uint32_t from, uint32_t to, uint64_t *out);
/* First i in [from, to) with number >= key, else to. The numbers in [from, to) must be nondecreasing. */
uint32_t ri_col_lower(const ri_col *col, uint32_t from, uint32_t to, uint64_t key);
/* First i in [from, to) with number > key, else to. */
uint32_t ri_col_upper(const ri_col *col, uint32_t from, uint32_t to, uint64_t key);
/* Like lower, but looks near `from` first (gallops): for forward merges. */
uint32_t ri_col_gallop(const ri_col *col, uint32_t from, uint32_t to, uint64_t key);

/* The numbers equal to key in [from, to), nondecreasing there: *first .. *end - 1, or an empty range where they would
 * be. */
void ri_col_equal(const ri_col *col, uint32_t from, uint32_t to, uint64_t key, bool gallop, uint32_t *first,
                  uint32_t *end);
/* Are all numbers in min..max? O(1) mostly, else O(n). */
bool ri_col_all_within(const ri_col *col, uint64_t min, uint64_t max);

#endif
