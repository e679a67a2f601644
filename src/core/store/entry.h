/* SPDX-License-Identifier: MIT
 *
 * Stored entries: how one node or blob lies in a pack, in a row or in a file of its own.
 *
 *     u8      codec         0 raw, 1 zstd
 *     varint  raw_len       bytes after decompression
 *     varint  stored_len    raw: equal to raw_len
 *     varint  locators_len  0 for leaves, blobs and rows
 *     bytes   stored
 *     bytes   locators      not covered by the address
 *
 * and the locator block of a branch:
 *
 *     varint  pack_count
 *     32 * n  ids of packs
 *     per child, in order:
 *       varint  k           0 no locator; 1 the pack the branch itself lies in; 2 + i the i-th of the table
 *       only if k > 0:
 *       varint  zigzag(offset - base); base: the end of the last child before it that has a
 *                           locator, when that has the same k, else 0
 *       varint  len
 */
#ifndef RI_ENTRY_H
#define RI_ENTRY_H

#include "store.h"

typedef enum ri_codec { RI_CODEC_RAW = 0, RI_CODEC_ZSTD = 1 } ri_codec;

typedef struct ri_entry {
    uint8_t codec;
    const uint8_t *stored;
    size_t stored_len;
    size_t raw_len;
    const uint8_t *locators;
    size_t locators_len;
} ri_entry; /* borrows */

#define RI_ENTRY_HEADER_MAX (1 + 3 * RI_VARINT_SIZE_MAX)

/* Takes one entry off the reader; false when the bytes are no entry, or one of more than raw_len_max. */
bool ri_entry_read(ri_reader *reader, size_t raw_len_max, ri_entry *out);
/* Puts the header; the caller puts stored bytes and locators behind it. */
void ri_entry_put_header(ri_buf *buf, const ri_entry *entry);

/* Compressors are costly to make; one writer keeps one. Not locked. */
typedef struct ri_packer {
    void *context; /* of zstd; NULL until first used */
    ri_buf scratch;
    bool plain;
} ri_packer;
void ri_packer_deinit(ri_packer *packer);
/* Compresses when that pays. out borrows from the packer or from `bytes` until the next call. */
int ri_packer_pack(ri_packer *packer, const uint8_t *bytes, size_t len, ri_entry *out, rille_err *err);
/* The same in slices: *at, 0 at first, moves on; RILLE_AGAIN until it is len. Nothing else is packed meanwhile. */
int ri_packer_pack_slice(ri_packer *packer, const uint8_t *bytes, size_t len, size_t *at, ri_entry *out,
                         rille_err *err);

#define RI_UNPACKERS_MAX 8
/* Decompressors, a few kept for reuse. Internally locked. */
typedef struct ri_unpackers {
    ri_mutex lock;
    void *contexts[RI_UNPACKERS_MAX];
    size_t count;
} ri_unpackers;
void ri_unpackers_init(ri_unpackers *unpackers);
void ri_unpackers_deinit(ri_unpackers *unpackers);
/* Writes exactly entry->raw_len bytes. RILLE_CORRUPT without a message (the caller knows the address), RILLE_NOMEM. */
int ri_unpack(ri_unpackers *unpackers, const ri_entry *entry, uint8_t *out);

/* Puts the locator block. A child with len 0 has no locator; one whose pack is zero lies in the pack of the branch. */
void ri_locators_put(ri_buf *buf, const ri_noderef *children, size_t child_count);

#endif
