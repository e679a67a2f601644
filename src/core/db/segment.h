/* SPDX-License-Identifier: MIT
 *
 * Segments: transactions that left the tail of a head for a blob, to be read in bulk. And the attempts of the
 * transactions in the trees.
 *
 * SEGMENT: varint number of transactions; for each: varint t - that of the one before (the first: t - 2^40), u8 flags (1
 * begins a flush, 2 has more parents), varint number of datoms, if it has more parents u8 their number and their ids,
 * u64 attempt, commit id; then all datoms as LOG leaves (block.h).
 * A segment of format 1 is a sequence of TX1 frames.
 *
 * ATTEMPTS: varint number; for each, oldest first: varint t - that of the one before (the first: t - 2^40), u64 attempt.
 */
#ifndef RI_SEGMENT_H
#define RI_SEGMENT_H

#include "block.h"

/* Appends a segment of `count` blocks, oldest first, in steps of a leaf: RILLE_AGAIN until it is written. */
typedef struct ri_segment_writer {
    bool begun;
    size_t left; /* datoms */
    size_t block;
    size_t row; /* of the block */
} ri_segment_writer;
int ri_segment_write_step(ri_segment_writer *writer, ri_block *const *blocks, size_t count, ri_encoder **encoder,
                          ri_buf *out, rille_err *err);
/* Decodes a segment: *blocks, oldest first (ri_blocks_release). Commit ids are believed, as the segment's address is;
 * verify checks them. Transactions up to `after` are known: their blocks have no datoms. The blocks
 * keep the blob: values stay where they are in it. */
int ri_segment_read(ri_blob *blob, uint64_t after, ri_block ***blocks, size_t *count, rille_err *err);
/* The same in steps, of a leaf or some hundred headers: RILLE_AGAIN until it gives the blocks. */
typedef struct ri_segment_reader ri_segment_reader;
int ri_segment_reader_new(ri_blob *blob, uint64_t after, ri_segment_reader **out, rille_err *err);
int ri_segment_read_step(ri_segment_reader *reader, ri_block ***blocks, size_t *count, rille_err *err);
void ri_segment_reader_release(ri_segment_reader *reader);

#define RI_ATTEMPTS_MAX 4096U
/* Appends what `before` (empty: nothing) says, and the blocks' attempts: of the last RI_ATTEMPTS_MAX transactions. */
int ri_attempts_write(const uint8_t *before, size_t len, ri_block *const *blocks, size_t count, ri_buf *out,
                      rille_err *err);
/* The transaction of an attempt, or 0. *t_last: the newest one of any attempt; RILLE_CORRUPT also when they are out of
 * order. */
int ri_attempts_find(const uint8_t *bytes, size_t len, uint64_t attempt, uint64_t *t, uint64_t *t_last, rille_err *err);

#endif
