/* SPDX-License-Identifier: MIT
 *
 * Sorting numbers that carry row numbers: a radix sort, least significant byte first, that leaves out the bytes in
 * which no two numbers differ. Stable. Nothing is moved when they are in order already.
 *
 * Cost: O(n) for each byte that differs.
 */
#include "exec.h"

static bool in_order(const uint64_t *keys, uint32_t n, uint64_t *differ)
{
    uint64_t diff = 0;
    uint32_t falls = 0;
    for (uint32_t i = 1; i < n; i++) {
        diff |= keys[i] ^ keys[i - 1];
        falls += keys[i] < keys[i - 1];
    }
    *differ = diff;
    return falls == 0;
}

static void sort_byte(const uint64_t *keys, const uint32_t *rows, uint64_t *keys_out, uint32_t *rows_out, uint32_t n,
                      unsigned shift)
{
    uint32_t at[256] = { 0 };
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        at[keys[i] >> shift & 0xff]++;
    }
    for (unsigned b = 0; b < 256; b++) {
        uint32_t count = at[b];
        at[b] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = at[keys[i] >> shift & 0xff]++;
        keys_out[to] = keys[i];
        rows_out[to] = rows[i];
    }
}

void ri_sort_words(ri_meter *meter, uint64_t **keys, uint32_t **rows, uint64_t **keys_other, uint32_t **rows_other,
                   uint32_t n)
{
    uint64_t differ = 0;
    if (in_order(*keys, n, &differ)) {
        return;
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 0xff) == 0) {
            continue;
        }
        if (!ri_meter_work(meter, (size_t)n * sizeof **keys)) {
            return; /* nobody looks at what comes out */
        }
        sort_byte(*keys, *rows, *keys_other, *rows_other, n, shift);
        uint64_t *k = *keys;
        uint32_t *r = *rows;
        *keys = *keys_other;
        *rows = *rows_other;
        *keys_other = k;
        *rows_other = r;
    }
}

#define SORT_UNITS 16U /* of work for a comparison, beside the bytes compared */

static int merge(const uint32_t *in, uint32_t *out, uint64_t low, uint64_t mid, uint64_t high, ri_cmp_rows *cmp,
                 const void *context, ri_meter *meter, rille_err *err)
{
    uint64_t i = low;
    uint64_t j = mid;
    for (uint64_t k = low; k < high; k++) {
        bool left = i < mid && (j >= high || cmp(context, in[i], in[j]) <= 0);
        out[k] = left ? in[i++] : in[j++];
        RI_TRY(ri_work(meter, SORT_UNITS, err));
    }
    return 0;
}

/* Merge sort, stable. */
int ri_sort_rows(ri_meter *meter, uint32_t **rows, uint32_t **other, uint32_t n, ri_cmp_rows *cmp, const void *context,
                 rille_err *err)
{
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t low = 0; low < n; low += 2 * width) {
            uint64_t mid = low + width < n ? low + width : n;
            uint64_t high = mid + width < n ? mid + width : n;
            RI_TRY(merge(*rows, *other, low, mid, high, cmp, context, meter, err));
        }
        uint32_t *swap = *rows;
        *rows = *other;
        *other = swap;
    }
    return 0;
}
