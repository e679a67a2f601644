/* SPDX-License-Identifier: MIT
 *
 * Packs: many stored entries in one object, written once. Integers are little-endian.
 *
 *     offset  size
 *     0       8      "RILLPACK"
 *     8       4      format version, 1
 *     12      4      0
 *     16      8      offset of the footer
 *     24             entries (entry.h), one after the other: leaves as they came, branches last
 *     footer  44*n   per node, sorted by address: address 32, offset u64, len u32
 *     +0      8      offset of the branch region (0: none)
 *     +8      8      its length
 *     +16     8      length of the footer, from its offset to the end of the pack
 *     +24     8      "RILLPEND"
 *
 * The id of a pack is the BLAKE2b-256 of all its bytes.
 */
#ifndef RI_PACK_H
#define RI_PACK_H

#include "store.h"

#define RI_PACK_VERSION 1U
#define RI_PACK_HEADER_SIZE 24U
#define RI_PACK_ROW_SIZE 44U
#define RI_PACK_TRAILER_SIZE 32U
#define RI_PACK_BYTES_TARGET ((size_t)64 << 20)

/* One row of a footer. */
typedef struct ri_pack_row {
    uint8_t addr[RI_HASH_SIZE];
    uint64_t offset;
    uint32_t len;
} ri_pack_row;

void ri_pack_begin(ri_buf *buf);
/* Puts the footer and completes the header; sorts the rows. Check buf->failed afterwards. */
void ri_pack_finish(ri_buf *buf, ri_pack_row *rows, size_t count, uint64_t branch_offset, uint64_t branch_len);

/* The offset of the footer, from the first RI_PACK_HEADER_SIZE bytes. 0, RILLE_CORRUPT, RILLE_FORMAT; no message. */
int ri_pack_read_header(const uint8_t *bytes, size_t len, uint64_t *footer_offset);

/* A checked footer; borrows the bytes. */
typedef struct ri_pack_footer {
    const uint8_t *rows;
    size_t count;
    uint64_t branch_offset;
    uint64_t branch_len;
} ri_pack_footer;
/* `bytes`: from footer_offset to the end. Rows must be sorted and lie between header and footer. No message. */
int ri_pack_read_footer(const uint8_t *bytes, size_t len, uint64_t footer_offset, ri_pack_footer *out);
/* O(log n). */
bool ri_pack_find(const ri_pack_footer *footer, const uint8_t addr[RI_HASH_SIZE], uint64_t *offset, uint32_t *len);

#endif
