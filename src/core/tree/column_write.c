/* SPDX-License-Identifier: MIT
 *
 * Writing integer columns: one pass that looks, then the smallest mode. column.c has the bytes.
 *
 * THE CHOICE IS PART OF THE FORMAT (addresses depend on it):
 *   1. of CONST (all equal), STRIDE (constant difference modulo 2^64) and FOR the first that is possible;
 *   2. then DELTA (nondecreasing, n >= 64) and RLE (2 * runs <= n): the smaller one of them (DELTA on a tie), when
 *      8 * its bytes <= 7 * bytes of 1. They read slower, so they must save something.
 * The base of FOR is the minimum; its width is the bits of maximum - minimum, 64 when over 56. A base is written in the
 * signed form when that is shorter.
 *
 * Cost: about 2 ns a number; nothing is allocated but room in the buffer.
 */
#include "../base/err.h"
#include "column.h"

#define SIGN_BIT (UINT64_C(1) << 63)
#define HEAD_SIGNED 8U
#define WIDTH_MAX 56U
#define HEADER_BYTES_MAX 32U
#define DELTA_ROWS_MIN (2 * RI_DELTA_BLOCK)

/* Of a stride no more is known than its numbers and runs. */
typedef struct col_facts {
    uint64_t min;
    uint64_t max;
    uint64_t step;      /* of a stride */
    uint64_t delta_max; /* within blocks; only when nondecreasing */
    uint32_t runs;
    bool stride; /* all the same, or at an even distance */
    bool nondecreasing;
} col_facts;

/* Of numbers that are neither all the same nor at an even distance. While they do not fall, ends and extremes are one. */
static col_facts look_closely(const uint64_t *numbers, uint32_t n)
{
    uint64_t previous = numbers[0];
    uint64_t delta_max = 0;
    uint32_t runs = 1;
    uint32_t i = 1;
    for (; i < n && numbers[i] >= previous; i++) {
        uint64_t delta = numbers[i] - previous;
        previous = numbers[i];
        runs += delta != 0;
        delta = i % RI_DELTA_BLOCK != 0 ? delta : 0;
        delta_max = delta > delta_max ? delta : delta_max;
    }
    col_facts facts = { .min = numbers[0], .max = previous, .delta_max = delta_max, .nondecreasing = i == n };
    for (; i < n; i++) {
        uint64_t x = numbers[i];
        facts.min = x < facts.min ? x : facts.min;
        facts.max = x > facts.max ? x : facts.max;
        runs += x != previous;
        previous = x;
    }
    facts.runs = runs;
    return facts;
}

static col_facts look(const uint64_t *numbers, uint32_t n)
{
    const uint64_t step = n > 1 ? numbers[1] - numbers[0] : 0;
    uint32_t i = 1;
    while (i < n && numbers[i] - numbers[i - 1] == step) {
        i++;
    }
    if (i < n) {
        return look_closely(numbers, n);
    }
    return (col_facts){ .min = numbers[0], .step = step, .runs = step == 0 ? 1 : n, .stride = true };
}

static unsigned width_of(uint64_t range)
{
    unsigned width = ri_bit_width(range);
    return width > WIDTH_MAX ? 64 : width;
}

static size_t packed_bytes(uint32_t n, unsigned width)
{
    return (size_t)(((uint64_t)n * width + 7) / 8);
}

static uint64_t signed_base(uint64_t base)
{
    return ri_zigzag((int64_t)(base ^ SIGN_BIT));
}

static size_t base_bytes(uint64_t base)
{
    size_t plain = ri_varint_size(base);
    size_t other = ri_varint_size(signed_base(base));
    return other < plain ? other : plain;
}

static size_t flat_bytes(const col_facts *facts, uint64_t first, uint32_t n)
{
    if (facts->runs == 1) {
        return 1 + base_bytes(first);
    }
    if (facts->stride) {
        return 1 + base_bytes(first) + ri_varint_size(ri_zigzag((int64_t)facts->step));
    }
    return 1 + base_bytes(facts->min) + 1 + packed_bytes(n, width_of(facts->max - facts->min));
}

/* The writers below have room: ri_col_write reserved it. */
static uint8_t *put_head(uint8_t *p, ri_col_mode mode, uint64_t base)
{
    uint64_t other = signed_base(base);
    bool is_signed = ri_varint_size(other) < ri_varint_size(base);
    *p++ = (uint8_t)((unsigned)mode | (is_signed ? HEAD_SIGNED : 0U));
    return p + ri_put_varint(p, is_signed ? other : base);
}

/* Packs numbers[i] - base; LSB first. */
static uint8_t *put_packed(uint8_t *p, const uint64_t *numbers, uint32_t n, uint64_t base, unsigned width)
{
    uint64_t word = 0;
    unsigned fill = 0;
    *p++ = (uint8_t)width;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = numbers[i] - base;
        word |= x << fill;
        fill += width;
        if (fill >= 64) {
            ri_store_u64(p, word);
            p += 8;
            fill -= 64;
            word = fill == 0 ? 0 : x >> (width - fill);
        }
    }
    for (unsigned shift = 0; shift < fill; shift += 8) {
        *p++ = (uint8_t)(word >> shift);
    }
    return p;
}

static uint8_t *put_flat(uint8_t *p, const uint64_t *numbers, uint32_t n, const col_facts *facts)
{
    if (facts->runs == 1) {
        return put_head(p, RI_COL_CONST, numbers[0]);
    }
    if (facts->stride) {
        p = put_head(p, RI_COL_STRIDE, numbers[0]);
        return p + ri_put_varint(p, ri_zigzag((int64_t)facts->step));
    }
    p = put_head(p, RI_COL_FOR, facts->min);
    return put_packed(p, numbers, n, facts->min, width_of(facts->max - facts->min));
}

/* The numbers' differences over themselves, heads of blocks to `heads`. */
static uint32_t split_deltas(const uint64_t *numbers, uint32_t n, uint64_t *deltas, uint64_t *heads)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i % RI_DELTA_BLOCK == 0) {
            heads[blocks++] = numbers[i];
            deltas[i] = 0;
        } else {
            deltas[i] = numbers[i] - numbers[i - 1];
        }
    }
    return blocks;
}

static uint8_t *put_delta(uint8_t *p, const uint64_t *numbers, uint32_t n, unsigned width, uint64_t *scratch)
{
    uint64_t *heads = scratch + n;
    uint32_t blocks = split_deltas(numbers, n, scratch, heads);
    col_facts facts = look(heads, blocks);
    *p++ = RI_COL_DELTA;
    p = put_flat(p, heads, blocks, &facts);
    return put_packed(p, scratch, n, 0, width);
}

static size_t delta_bytes(const uint64_t *numbers, uint32_t n, const col_facts *facts, uint64_t *scratch)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < n; i += RI_DELTA_BLOCK) {
        scratch[blocks++] = numbers[i];
    }
    col_facts heads = look(scratch, blocks);
    return 1 + flat_bytes(&heads, scratch[0], blocks) + 1 + packed_bytes(n, width_of(facts->delta_max));
}

/* Run values to scratch[0..runs), ends of all runs but the last behind them. */
static void split_runs(const uint64_t *numbers, uint32_t n, uint32_t runs, uint64_t *scratch)
{
    uint64_t *values = scratch;
    uint64_t *ends = scratch + runs;
    uint32_t run = 0;
    values[0] = numbers[0];
    for (uint32_t i = 1; i < n; i++) {
        if (numbers[i] != numbers[i - 1]) {
            ends[run++] = i;
            values[run] = numbers[i];
        }
    }
}

static uint8_t *put_best(uint8_t *p, const uint64_t *numbers, uint32_t n, const col_facts *facts, uint64_t *scratch)
{
    size_t flat = flat_bytes(facts, numbers[0], n);
    size_t delta = SIZE_MAX / 8;
    size_t rle = SIZE_MAX / 8;
    col_facts values = { 0 };
    col_facts ends = { 0 };
    if (facts->nondecreasing && n >= DELTA_ROWS_MIN) {
        delta = delta_bytes(numbers, n, facts, scratch);
    }
    if (facts->runs <= n / 2) {
        split_runs(numbers, n, facts->runs, scratch);
        values = look(scratch, facts->runs);
        ends = look(scratch + facts->runs, facts->runs - 1);
        rle = 1 + ri_varint_size(facts->runs) + flat_bytes(&values, scratch[0], facts->runs) +
              flat_bytes(&ends, scratch[facts->runs], facts->runs - 1);
    }
    size_t best = delta <= rle ? delta : rle;
    if (8 * best > 7 * flat) {
        return put_flat(p, numbers, n, facts);
    }
    if (delta <= rle) {
        return put_delta(p, numbers, n, width_of(facts->delta_max), scratch);
    }
    *p++ = RI_COL_RLE;
    p += ri_put_varint(p, facts->runs);
    p = put_flat(p, scratch, facts->runs, &values);
    return put_flat(p, scratch + facts->runs, facts->runs - 1, &ends);
}

/* One or two numbers are CONST or STRIDE: a small transaction has no others. */
uint8_t *ri_col_put_few(uint8_t *p, uint64_t first, uint64_t last)
{
    uint64_t step = last - first;
    p = put_head(p, step == 0 ? RI_COL_CONST : RI_COL_STRIDE, first);
    return step == 0 ? p : p + ri_put_varint(p, ri_zigzag((int64_t)step));
}

static void write_few(ri_buf *out, uint64_t first, uint64_t last)
{
    uint8_t *p = ri_buf_reserve(out, RI_COL_FEW_BYTES);
    if (p != NULL) {
        out->len += (size_t)(ri_col_put_few(p, first, last) - p);
    }
}

void ri_col_write_same(ri_buf *out, uint64_t number)
{
    write_few(out, number, number);
}

void ri_col_write(ri_buf *out, const uint64_t *numbers, uint32_t n)
{
    RI_ASSERT(n > 0);
    if (n <= 2) {
        write_few(out, numbers[0], numbers[n - 1]);
        return;
    }
    /* the largest output, then scratch for the numbers of nested columns, aligned */
    size_t output_max = (size_t)n * 8 + 3 * HEADER_BYTES_MAX;
    size_t scratch_count = (size_t)n + n / RI_DELTA_BLOCK + 1;
    uint8_t *p = ri_buf_reserve(out, output_max + (scratch_count + 1) * sizeof(uint64_t));
    if (p == NULL) {
        return;
    }
    col_facts facts = look(numbers, n);
    uint8_t *end;
    if (facts.runs == 1 || facts.stride) {
        end = put_flat(p, numbers, n, &facts);
    } else {
        uint8_t *area = p + output_max;
        area += (sizeof(uint64_t) - (uintptr_t)area % sizeof(uint64_t)) % sizeof(uint64_t);
        end = put_best(p, numbers, n, &facts, (uint64_t *)(void *)area);
    }
    out->len += (size_t)(end - p);
}
