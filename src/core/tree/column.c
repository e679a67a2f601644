/* SPDX-License-Identifier: MIT
 *
 * Reading and searching integer columns as they lie. column.h says what a column is; column_write.c makes them.
 *
 * Bytes of a column of n numbers (n is known from outside):
 *   head u8          bits 0-2 mode, bit 3: the base is stored as zigzag(base xor 2^63), bits 4-7 zero
 *   CONST            base varint
 *   STRIDE           base varint, zigzag(step) varint
 *   FOR              base varint, width u8 (0..56 or 64), ceil(n * width / 8) bytes
 *   DELTA            column of ceil(n / 32) heads, width u8, ceil(n * width / 8) bytes: number i minus number i - 1,
 *                    0 for the first of a block
 *   RLE              varint run count r (2..n), column of r values, column of the r - 1 ends of all runs but the last
 *
 * Searches are branch-free binary ones; the order of probes depends on the range only, so that no branch is
 * mispredicted. A search needs only that "number >= key" is monotone over the range, not that the numbers are sorted:
 * the group column of a leaf with mixed types relies on it. (STRIDE with a negative step is searched like FOR for its
 * sake.)
 */
#include "column.h"

#define SIGN_BIT (UINT64_C(1) << 63)
#define HEAD_SIGNED 8U
#define WIDTH_MAX 56U

static inline uint64_t mask_of(unsigned width)
{
    return width == 0 ? 0 : UINT64_MAX >> (64 - width);
}

/* ---- opening ---- */

static bool open_packed(ri_reader *in, uint32_t count, ri_col *out)
{
    unsigned width = ri_read_u8(in);
    if (width > WIDTH_MAX && width != 64) {
        return false;
    }
    out->width = (uint8_t)width;
    out->step = mask_of(width);
    out->bits = ri_read_bytes(in, (size_t)(((uint64_t)count * width + 7) / 8));
    return !in->bad;
}

static uint64_t read_base(ri_reader *in, unsigned head)
{
    uint64_t base = ri_read_varint(in);
    return (head & HEAD_SIGNED) != 0 ? (uint64_t)ri_unzigzag(base) ^ SIGN_BIT : base;
}

/* CONST, STRIDE and FOR. */
static bool open_flat(ri_reader *in, unsigned head, uint32_t count, ri_col *out)
{
    *out = (ri_col){ .count = count, .mode = (uint8_t)(head & 7U) };
    out->base = read_base(in, head);
    if (out->mode == RI_COL_STRIDE) {
        out->step = (uint64_t)ri_unzigzag(ri_read_varint(in));
    }
    if (out->mode == RI_COL_FOR && !open_packed(in, count, out)) {
        return false;
    }
    return !in->bad && out->mode <= RI_COL_FOR;
}

static bool open_nested(ri_reader *in, uint32_t count, ri_col *out)
{
    unsigned head = ri_read_u8(in);
    return head < 16 && open_flat(in, head, count, out);
}

/* C4: 0 < ends, strictly increasing, < count. */
static bool ends_valid(const ri_col *ends, uint32_t count)
{
    uint64_t block[RI_COL_CHUNK];
    uint64_t last = 0;
    for (uint32_t i = 0; i < ends->count; i += RI_COL_CHUNK) {
        uint32_t n = ends->count - i < RI_COL_CHUNK ? ends->count - i : RI_COL_CHUNK;
        ri_col_unpack(ends, i, i + n, block);
        for (uint32_t k = 0; k < n; k++) {
            if (block[k] <= last) {
                return false;
            }
            last = block[k];
        }
    }
    return last < count;
}

static bool open_rle(ri_reader *in, uint32_t count, ri_arena *arena, ri_col *out)
{
    uint64_t runs = ri_read_varint_max(in, count);
    if (in->bad || runs < 2) {
        in->bad = true;
        return false;
    }
    out->parts = ri_arena_array(arena, 2, sizeof *out->parts);
    return out->parts != NULL && open_nested(in, (uint32_t)runs, &out->parts[0]) &&
           open_nested(in, (uint32_t)runs - 1, &out->parts[1]) && ends_valid(&out->parts[1], count);
}

static bool open_delta(ri_reader *in, uint32_t count, ri_arena *arena, ri_col *out)
{
    out->parts = ri_arena_array(arena, 1, sizeof *out->parts);
    return out->parts != NULL && open_nested(in, (count + RI_DELTA_BLOCK - 1) / RI_DELTA_BLOCK, &out->parts[0]) &&
           open_packed(in, count, out);
}

static bool open_col(ri_reader *in, uint32_t count, ri_arena *arena, ri_col *out)
{
    unsigned head = ri_read_u8(in);
    unsigned mode = head & 7U;
    *out = (ri_col){ .count = count, .mode = (uint8_t)mode };
    if (in->bad || count == 0 || mode > RI_COL_RLE || (mode <= RI_COL_FOR ? head >= 16 : head != mode)) {
        in->bad = true;
        return false;
    }
    if (mode <= RI_COL_FOR) {
        return open_flat(in, head, count, out);
    }
    return mode == RI_COL_DELTA ? open_delta(in, count, arena, out) : open_rle(in, count, arena, out);
}

bool ri_col_open(ri_reader *in, uint32_t count, ri_arena *arena, ri_col *out)
{
    if (open_col(in, count, arena, out)) {
        return true;
    }
    bool no_memory = !in->bad && out->mode > RI_COL_FOR && out->parts == NULL;
    in->bad = !no_memory;
    return false;
}

/* ---- reading ---- */

/* The run that row i is in. */
static inline uint32_t run_of(const ri_col *col, uint32_t i)
{
    const ri_col *ends = &col->parts[1];
    return ri_col_lower(ends, 0, ends->count, (uint64_t)i + 1);
}

/* Where a run starts. */
static inline uint32_t run_start(const ri_col *col, uint32_t run)
{
    return run == 0 ? 0 : (uint32_t)ri_col_get(&col->parts[1], run - 1);
}

uint64_t ri_col_get_nested(const ri_col *col, uint32_t i)
{
    if (col->mode == RI_COL_RLE) {
        return ri_col_get(&col->parts[0], run_of(col, i));
    }
    uint32_t block = i / RI_DELTA_BLOCK;
    uint64_t x = ri_col_get(&col->parts[0], block);
    uint64_t bit = (uint64_t)block * RI_DELTA_BLOCK * col->width;
    for (uint32_t k = block * RI_DELTA_BLOCK; k < i; k++) {
        bit += col->width;
        x += (ri_load_u64(col->bits + (bit >> 3)) >> (bit & 7)) & col->step;
    }
    return x;
}

/* count numbers, a multiple of 8, of a constant width up to 16: eight numbers are exactly `width` bytes. */
static inline void unpack_eights(const uint8_t *p, unsigned width, uint64_t base, uint32_t count, uint64_t *out)
{
    const uint64_t mask = mask_of(width);
    const unsigned half = width <= 8 ? 8 : 4; /* numbers that one load gives */
    for (uint32_t i = 0; i < count; i += 8, p += width, out += 8) {
        for (unsigned k = 0; k < 8; k += half) {
            uint64_t x = ri_load_u64(p + (k * width >> 3)) >> (k * width & 7);
            for (unsigned j = 0; j < half; j++) {
                out[k + j] = base + ((x >> (j * width)) & mask);
            }
        }
    }
}

static inline void unpack_any(const ri_col *col, uint64_t base, uint32_t from, uint32_t to, uint64_t *out)
{
    const uint64_t mask = col->step;
    const unsigned width = col->width;
    const uint8_t *bits = col->bits;
    uint64_t bit = (uint64_t)from * width;
    for (uint32_t i = from; i < to; i++, bit += width) {
        *out++ = base + ((ri_load_u64(bits + (bit >> 3)) >> (bit & 7)) & mask);
    }
}

#define UNPACK_WIDTH(w)                        \
    case w:                                    \
        unpack_eights(p, w, base, count, out); \
        break;

static void unpack_whole_eights(const uint8_t *p, unsigned width, uint64_t base, uint32_t count, uint64_t *out)
{
    switch (width) {
        UNPACK_WIDTH(1)
        UNPACK_WIDTH(2)
        UNPACK_WIDTH(3)
        UNPACK_WIDTH(4)
        UNPACK_WIDTH(5)
        UNPACK_WIDTH(6)
        UNPACK_WIDTH(7)
        UNPACK_WIDTH(8)
        UNPACK_WIDTH(9)
        UNPACK_WIDTH(10)
        UNPACK_WIDTH(11)
        UNPACK_WIDTH(12)
        UNPACK_WIDTH(13)
        UNPACK_WIDTH(14)
        UNPACK_WIDTH(15)
        UNPACK_WIDTH(16)
    default:
        break;
    }
}

/* base + packed number; of FOR, and of DELTA with base 0. */
static void unpack_packed(const ri_col *col, uint64_t base, uint32_t from, uint32_t to, uint64_t *out)
{
    unsigned width = col->width;
    if (width == 32 || width == 64) { /* whole words: the loops that compilers vectorise */
        for (uint32_t i = from; i < to; i++) {
            *out++ =
                base + (width == 32 ? ri_load_u32(col->bits + (size_t)i * 4) : ri_load_u64(col->bits + (size_t)i * 8));
        }
        return;
    }
    if (width == 0 || width > 16 || to - from < 16) {
        unpack_any(col, base, from, to, out);
        return;
    }
    uint32_t first = (from + 7) & ~7U;
    uint32_t count = (to - first) & ~7U;
    unpack_any(col, base, from, first, out);
    unpack_whole_eights(col->bits + (size_t)first / 8 * width, width, base, count, out + (first - from));
    unpack_any(col, base, first + count, to, out + (first - from) + count);
}

/* Running sums over whole blocks, in place: out[0] is the first row of a block. */
static inline void sum_block(const ri_col *col, uint32_t start, uint32_t n, uint64_t *out)
{
    uint64_t x = ri_col_get(&col->parts[0], start / RI_DELTA_BLOCK);
    out[0] = x;
    for (uint32_t k = 1; k < n; k++) {
        x += out[k];
        out[k] = x;
    }
}

static void unpack_delta(const ri_col *col, uint32_t from, uint32_t to, uint64_t *out)
{
    uint32_t skip = from % RI_DELTA_BLOCK;
    if (skip > 0) { /* a part of a block */
        uint64_t block[RI_DELTA_BLOCK];
        uint32_t start = from - skip;
        uint32_t end = to - start < RI_DELTA_BLOCK ? to : start + RI_DELTA_BLOCK;
        unpack_packed(col, 0, start, end, block);
        sum_block(col, start, end - start, block);
        memcpy(out, block + skip, (end - from) * sizeof *out);
        out += end - from;
        from = end;
    }
    unpack_packed(col, 0, from, to, out);
    for (; from < to; from += RI_DELTA_BLOCK, out += RI_DELTA_BLOCK) {
        sum_block(col, from, to - from < RI_DELTA_BLOCK ? to - from : RI_DELTA_BLOCK, out);
    }
}

static void unpack_rle(const ri_col *col, uint32_t from, uint32_t to, uint64_t *out)
{
    const ri_col *ends = &col->parts[1];
    uint32_t run = from < to ? run_of(col, from) : 0;
    for (uint32_t i = from; i < to; run++) {
        uint64_t x = ri_col_get(&col->parts[0], run);
        uint32_t end = run < ends->count ? (uint32_t)ri_col_get(ends, run) : col->count;
        end = end < to ? end : to;
        for (; i < end; i++) {
            *out++ = x;
        }
    }
}

void ri_col_unpack(const ri_col *col, uint32_t from, uint32_t to, uint64_t *out)
{
    switch ((ri_col_mode)col->mode) {
    case RI_COL_CONST:
        for (uint32_t i = from; i < to; i++) {
            *out++ = col->base;
        }
        break;
    case RI_COL_STRIDE:
        for (uint32_t i = from; i < to; i++) {
            *out++ = col->base + i * col->step;
        }
        break;
    case RI_COL_FOR:
        unpack_packed(col, col->base, from, to, out);
        break;
    case RI_COL_DELTA:
        unpack_delta(col, from, to, out);
        break;
    case RI_COL_RLE:
        unpack_rle(col, from, to, out);
        break;
    }
}

bool ri_col_all_within(const ri_col *col, uint64_t min, uint64_t max)
{
    if (col->mode == RI_COL_FOR && col->base >= min && col->base <= max && col->step <= max - col->base) {
        return true;
    }
    if (col->mode == RI_COL_CONST) {
        return col->base >= min && col->base <= max;
    }
    if (col->mode == RI_COL_STRIDE && col->base >= min && col->base <= max &&
        (col->count == 1 || col->step <= (max - col->base) / (col->count - 1))) {
        return true; /* a negative step is a huge one here */
    }
    if (col->mode == RI_COL_RLE) {
        return ri_col_all_within(&col->parts[0], min, max);
    }
    uint64_t block[RI_COL_CHUNK];
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (uint32_t i = 0; i < col->count; i += RI_COL_CHUNK) {
        uint32_t n = col->count - i < RI_COL_CHUNK ? col->count - i : RI_COL_CHUNK;
        ri_col_unpack(col, i, i + n, block);
        for (uint32_t k = 0; k < n; k++) {
            low = block[k] < low ? block[k] : low;
            high = block[k] > high ? block[k] : high;
        }
    }
    return low >= min && high <= max;
}

/* ---- searching ---- */

/* Packed numbers >= key in [from, to): the first. Four parts a round: three loads that do not wait for each other. */
static uint32_t lower_packed(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    const uint8_t *bits = col->bits;
    const uint64_t mask = col->step;
    const uint64_t width = col->width;
    uint64_t pos = from;
    uint32_t n = to - from;
#define PACKED(i) ((ri_load_u64(bits + ((i)*width >> 3)) >> ((i)*width & 7)) & mask)
    while (n >= 4) {
        uint32_t quarter = n / 4;
        uint64_t probe = pos + quarter - 1;
        uint64_t x1 = PACKED(probe);
        uint64_t x2 = PACKED(probe + quarter);
        uint64_t x3 = PACKED(probe + 2 * quarter);
        pos += (uint64_t)((x1 < key) + (x2 < key) + (x3 < key)) * quarter;
        n -= 3 * quarter;
    }
    for (; n > 0; n--) {
        pos += PACKED(pos) < key;
    }
#undef PACKED
    return (uint32_t)pos;
}

static uint32_t lower_any(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (ri_col_get(col, middle) < key) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static uint32_t lower_stride(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    if (col->step >> 63 != 0) {
        return lower_any(col, from, to, key);
    }
    if (key <= col->base) {
        return from;
    }
    uint64_t i = col->step == 0 ? to : col->step == 1 ? key - col->base : (key - col->base - 1) / col->step + 1;
    return i <= from ? from : i >= to ? to : (uint32_t)i;
}

/* First number >= key: *first; and, if it lies in the same block, the first number > key: *end, else UINT32_MAX. */
static void equal_delta(const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t *first, uint32_t *end)
{
    const ri_col *heads = &col->parts[0];
    uint32_t block = ri_col_lower(heads, from / RI_DELTA_BLOCK, (to - 1) / RI_DELTA_BLOCK + 1, key);
    if (block <= from / RI_DELTA_BLOCK) {
        block = from / RI_DELTA_BLOCK + 1; /* `from` may lie behind the head of its block */
    }
    uint64_t numbers[RI_DELTA_BLOCK];
    uint32_t start = (block - 1) * RI_DELTA_BLOCK;
    uint32_t n = to - start < RI_DELTA_BLOCK ? to - start : RI_DELTA_BLOCK;
    unpack_packed(col, 0, start, start + n, numbers);
    uint64_t x = ri_col_get(heads, block - 1);
    uint32_t below = x < key;
    uint32_t upto = x <= key;
    for (uint32_t i = 1; i < n; i++) {
        x += numbers[i];
        below += x < key;
        upto += x <= key;
    }
    *first = start + below < from ? from : start + below;
    *end = upto < n && below < n ? (start + upto < *first ? *first : start + upto) : UINT32_MAX;
}

static uint32_t lower_delta(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    uint32_t first;
    uint32_t end;
    equal_delta(col, from, to, key, &first, &end);
    return first;
}

/* The runs beyond `to` need not be sorted with those before. */
static uint32_t lower_rle(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    uint32_t first = from == 0 ? 0 : run_of(col, from);
    uint32_t end = to == col->count ? col->parts[0].count : run_of(col, to - 1) + 1;
    uint32_t run = ri_col_lower(&col->parts[0], first, end, key);
    if (run == first) {
        return from;
    }
    uint32_t start = run == end ? to : run_start(col, run);
    return start < to ? start : to;
}

uint32_t ri_col_lower(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    if (from >= to) {
        return to;
    }
    switch ((ri_col_mode)col->mode) {
    case RI_COL_CONST:
        return col->base >= key ? from : to;
    case RI_COL_STRIDE:
        return lower_stride(col, from, to, key);
    case RI_COL_FOR:
        if (key <= col->base) {
            return from;
        }
        return key - col->base > col->step ? to : lower_packed(col, from, to, key - col->base);
    case RI_COL_DELTA:
        return lower_delta(col, from, to, key);
    case RI_COL_RLE:
        return lower_rle(col, from, to, key);
    }
    return to;
}

uint32_t ri_col_upper(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    return key == UINT64_MAX ? to : ri_col_lower(col, from, to, key + 1);
}

uint32_t ri_col_gallop(const ri_col *col, uint32_t from, uint32_t to, uint64_t key)
{
    if (col->mode != RI_COL_FOR || to - from < 8 || from >= to) {
        return ri_col_lower(col, from, to, key);
    }
    uint32_t step = 1;
    uint32_t low = from; /* numbers before it are < key */
    while (step < to - low && ri_col_get(col, low + step - 1) < key) {
        low += step;
        step *= 2;
    }
    uint32_t high = step < to - low ? low + step : to;
    return ri_col_lower(col, low, high, key);
}

static void equal_rle(const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t *first, uint32_t *end)
{
    uint32_t run_first = from == 0 ? 0 : run_of(col, from);
    uint32_t run_end = to == col->count ? col->parts[0].count : run_of(col, to - 1) + 1;
    uint32_t run = ri_col_lower(&col->parts[0], run_first, run_end, key);
    uint32_t start = run == run_first ? from : run == run_end ? to : run_start(col, run);
    *first = start < to ? start : to;
    *end = *first;
    if (run < run_end && ri_col_get(&col->parts[0], run) == key) {
        uint32_t stop = run + 1 < col->parts[0].count ? run_start(col, run + 1) : to;
        /* runs of one number may follow each other where an encoder did not make them */
        *end = stop >= to ? to : ri_col_get(&col->parts[0], run + 1) != key ? stop : ri_col_upper(col, *first, to, key);
    }
}

void ri_col_equal(const ri_col *col, uint32_t from, uint32_t to, uint64_t key, bool gallop, uint32_t *first,
                  uint32_t *end)
{
    *first = to;
    *end = to;
    if (from >= to) {
        return;
    }
    if (col->mode == RI_COL_RLE) {
        equal_rle(col, from, to, key, first, end);
        return;
    }
    if (col->mode == RI_COL_DELTA) {
        equal_delta(col, from, to, key, first, end);
        if (*end == UINT32_MAX) {
            *end = ri_col_upper(col, *first, to, key);
        }
        return;
    }
    *first = gallop ? ri_col_gallop(col, from, to, key) : ri_col_lower(col, from, to, key);
    *end = *first;
    if (*first < to && ri_col_get(col, *first) == key) {
        *end = key == UINT64_MAX ? to : ri_col_gallop(col, *first + 1, to, key + 1);
    }
}
