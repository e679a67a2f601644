/* SPDX-License-Identifier: MIT
 *
 * Header and footer of packs (layout: pack.h).
 */
#include "pack.h"

#include <stdlib.h>

static const char magic_begin[8] = "RILLPACK";
static const char magic_end[8] = "RILLPEND";

void ri_pack_begin(ri_buf *buf)
{
    ri_buf_put(buf, magic_begin, sizeof magic_begin);
    ri_buf_put_u32(buf, RI_PACK_VERSION);
    ri_buf_put_u32(buf, 0);
    ri_buf_put_u64(buf, 0); /* the footer's offset, by ri_pack_finish */
}

static int compare_rows(const void *a, const void *b)
{
    const ri_pack_row *row_a = a;
    const ri_pack_row *row_b = b;
    return memcmp(row_a->addr, row_b->addr, RI_HASH_SIZE);
}

void ri_pack_finish(ri_buf *buf, ri_pack_row *rows, size_t count, uint64_t branch_offset, uint64_t branch_len)
{
    uint64_t footer_offset = buf->len;
    if (count > 1) {
        qsort(rows, count, sizeof *rows, compare_rows);
    }
    for (size_t i = 0; i < count; i++) {
        ri_buf_put(buf, rows[i].addr, RI_HASH_SIZE);
        ri_buf_put_u64(buf, rows[i].offset);
        ri_buf_put_u32(buf, rows[i].len);
    }
    ri_buf_put_u64(buf, branch_offset);
    ri_buf_put_u64(buf, branch_len);
    ri_buf_put_u64(buf, count * RI_PACK_ROW_SIZE + RI_PACK_TRAILER_SIZE);
    ri_buf_put(buf, magic_end, sizeof magic_end);
    if (!buf->failed) {
        ri_store_u64(buf->p + 16, footer_offset);
    }
}

int ri_pack_read_header(const uint8_t *bytes, size_t len, uint64_t *footer_offset)
{
    *footer_offset = 0;
    if (len < RI_PACK_HEADER_SIZE || memcmp(bytes, magic_begin, sizeof magic_begin) != 0) {
        return RILLE_CORRUPT;
    }
    if (ri_load_u32(bytes + 8) != RI_PACK_VERSION || ri_load_u32(bytes + 12) != 0) {
        return RILLE_FORMAT;
    }
    uint64_t offset = ri_load_u64(bytes + 16);
    if (offset < RI_PACK_HEADER_SIZE) {
        return RILLE_CORRUPT;
    }
    *footer_offset = offset;
    return RILLE_OK;
}

static bool row_is_good(const uint8_t *row, bool first, uint64_t footer_offset)
{
    uint64_t offset = ri_load_u64(row + RI_HASH_SIZE);
    uint32_t len = ri_load_u32(row + RI_HASH_SIZE + 8);
    return (first || memcmp(row - RI_PACK_ROW_SIZE, row, RI_HASH_SIZE) < 0) && offset >= RI_PACK_HEADER_SIZE &&
           offset < footer_offset && len > 0 && footer_offset - offset >= len;
}

int ri_pack_read_footer(const uint8_t *bytes, size_t len, uint64_t footer_offset, ri_pack_footer *out)
{
    *out = (ri_pack_footer){ 0 };
    if (len < RI_PACK_TRAILER_SIZE || (len - RI_PACK_TRAILER_SIZE) % RI_PACK_ROW_SIZE != 0) {
        return RILLE_CORRUPT;
    }
    size_t count = (len - RI_PACK_TRAILER_SIZE) / RI_PACK_ROW_SIZE;
    const uint8_t *trailer = bytes + count * RI_PACK_ROW_SIZE;
    uint64_t branch_offset = ri_load_u64(trailer);
    uint64_t branch_len = ri_load_u64(trailer + 8);
    if (ri_load_u64(trailer + 16) != len || memcmp(trailer + 24, magic_end, sizeof magic_end) != 0 ||
        branch_offset > footer_offset || footer_offset - branch_offset < branch_len) {
        return RILLE_CORRUPT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!row_is_good(bytes + i * RI_PACK_ROW_SIZE, i == 0, footer_offset)) {
            return RILLE_CORRUPT;
        }
    }
    *out = (ri_pack_footer){ bytes, count, branch_offset, branch_len };
    return RILLE_OK;
}

bool ri_pack_find(const ri_pack_footer *footer, const uint8_t addr[RI_HASH_SIZE], uint64_t *offset, uint32_t *len)
{
    size_t low = 0;
    size_t high = footer->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint8_t *row = footer->rows + middle * RI_PACK_ROW_SIZE;
        int order = memcmp(row, addr, RI_HASH_SIZE);
        if (order == 0) {
            *offset = ri_load_u64(row + RI_HASH_SIZE);
            *len = ri_load_u32(row + RI_HASH_SIZE + 8);
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
