/* SPDX-License-Identifier: MIT
 *
 * Transaction blocks: what one commit adds, in memory and as bytes; and frames, the checksummed envelopes in a head
 * cell.
 *
 * FRAME: u32 length of the body, u8 kind, u32 low half of ri_hash64(the 5 bytes before, seed 0), u64 ri_hash64(body,
 * seed = kind), body; all LE. A cell is a BASE frame and then TX frames. The last one may be torn by a crash: the cell
 * ends inside it, or sectors of it were never written and read as zero (docs/format.md has the exact rule). It was not
 * acknowledged and is ignored. Any other damage is RILLE_CORRUPT: nothing acknowledged is dropped silently.
 *
 * COMMIT ID = BLAKE2b-256("rille commit 1" 0, u8 number of parents, their ids, u64 t, then the datoms in (e a v added)
 * order, each as u64 e, u32 a, u8 added, ri_value_write(v)); all integers LE.
 *
 * TX BODY: u64 t, u8 parent count, parents' ids, commit id, varint number of datoms, then the datoms as LOG leaves
 * (ri_node_encode) of at most 1,024 rows, each preceded by a varint length; values over RI_VALUE_INLINE_MAX are stubs.
 */
#ifndef RI_BLOCK_H
#define RI_BLOCK_H

#include "../base/hash.h"
#include "../base/sync.h"
#include "../data/datom.h"
#include "../store/store.h"

typedef enum ri_frame_kind { RI_FRAME_BASE = 1, RI_FRAME_TX = 2 } ri_frame_kind;

#define RI_FRAME_HEADER 17U
#define RI_PARENTS_MAX 16U

typedef struct ri_block {
    ri_refs refs;
    struct ri_block *prev; /* the block before, back to the base; NULL: the base itself */
    ri_arena arena;        /* owns the datoms' values */
    ri_datom *datoms;      /* sorted by (e a v added), t set; retractions have added == false */
    size_t count;
    size_t heap_cap; /* > 0: datoms is a heap block of its own, else it lies in the arena */
    uint64_t t;
    int64_t instant;
    uint8_t commit[RI_HASH_SIZE];
    uint8_t parents[RI_PARENTS_MAX][RI_HASH_SIZE];
    uint8_t parent_count;
    size_t frame_len; /* of its frame, when it was written or read */
    struct ri_block_blob {
        uint8_t addr[RI_HASH_SIZE];
        ri_blob *blob;
    } * blobs; /* contents of long values that are not stored: of with() */
    size_t blob_count;
} ri_block;

ri_block *ri_block_new(void); /* NULL: no memory */
ri_block *ri_block_retain(ri_block *block);
void ri_block_release(ri_block *block); /* iterative along prev */
/* The :db/txInstant among its datoms. */
int64_t ri_block_find_instant(const ri_block *block, int64_t fallback);
/* Computes block->commit. */
void ri_block_commit_id(ri_block *block);
/* The same for a block that follows the commit `parent`; NULL: the first one. */
void ri_block_chain(ri_block *block, const uint8_t *parent);
/* Appends the frame. */
int ri_block_write(ri_block *block, ri_buf *out, rille_err *err);
/* Decodes a TX body; checks the commit id against the content. prev is NULL. */
int ri_block_read(const uint8_t *body, size_t len, ri_block **out, rille_err *err);

void ri_frame_write(ri_buf *out, ri_frame_kind kind, const uint8_t *body, size_t len);
/* The next frame at *pos; moves *pos behind it. RILLE_DONE: end, or the rest is torn (then *pos stays). RILLE_CORRUPT.
 */
int ri_frame_next(const uint8_t *cell, size_t len, size_t *pos, ri_frame_kind *kind, const uint8_t **body,
                  size_t *body_len, rille_err *err);

#endif
