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
 * COMMIT ID = BLAKE2b-256("rille commit 2" 0, u8 number of parents, their ids, u64 t, the digest); all integers LE.
 * DIGEST = BLAKE2b-256 of the datoms in (e a v added) order, each as u64 e, u32 a, u8 added, ri_value_write(v). So a log
 * from which datoms were purged still shows that its transactions follow each other, with the digest in their place.
 * Format 1 had "rille commit 1" 0 and the datoms themselves instead of the digest.
 *
 * TX BODY: u64 t, u8 flags (1: this writer has begun a flush), u64 attempt (random; of the try that committed it), u8
 * number of parents besides the commit before it on the branch, their ids (increasing), commit id, varint number of
 * datoms, then the datoms as LOG leaves (ri_node_encode) of at most 1,024 rows, each preceded by a varint length;
 * values over RI_VALUE_INLINE_MAX are stubs.
 * TX1 BODY, of format 1: u64 t, u8 parent count, parents' ids, commit id, number of datoms and leaves likewise.
 */
#ifndef RI_BLOCK_H
#define RI_BLOCK_H

#include "../base/hash.h"
#include "../base/sync.h"
#include "../data/datom.h"
#include "../tree/node.h"

typedef enum ri_frame_kind { RI_FRAME_BASE = 1, RI_FRAME_TX1 = 2, RI_FRAME_TX = 3 } ri_frame_kind;

#define RI_FRAME_HEADER 17U
#define RI_MERGED_MAX 15U   /* parents besides the commit before */
#define RI_NOVELTY_ORDERS 4 /* EAVT, AEVT, AVET, VAET */
#define RI_BLOCK_ROWS 1024U /* of each LOG leaf */

/* What holds the datoms of a block, or of several: of all blocks of a segment, or of small transactions that followed
 * each other. */
typedef struct ri_block_memory {
    _Alignas(uint64_t) ri_refs refs; /* one for each block that has it, and one for who puts more blocks into it */
    bool is_shared;              /* the blocks and their datoms lie in the arena; else they lie right behind this ... */
    ri_mutex lock;               /* of the blocks' sets and builds */
    struct ri_set_build *builds; /* of sets of the blocks (chain_set.c): owned by tasks, which hold the blocks */
    ri_arena arena;              /* of values, and of what else belongs to the blocks; begins right behind this */
    ri_blob *bytes;              /* in which values lie that are not in the arena; or NULL */
    size_t heap_cap;             /* > 0: ... and the datoms of the first one are a heap block of their own */
    size_t room;                 /* shared: in bytes, right behind this */
    size_t newest_cap;           /* shared: room for so many datoms in the newest block */
    struct ri_block_blob {
        uint8_t addr[RI_HASH_SIZE];
        ri_blob *blob;
    } * blobs; /* contents of long values that are not stored: of with() */
    size_t blob_count;
} ri_block_memory;

/* Tens of thousands of transactions have one each: 128 bytes. */
typedef struct ri_block {
    ri_refs refs;
    atomic_uchar set_orders; /* a bit for each order that `sets` has: changes under the memory's lock, too */
    uint8_t merged_count;
    bool claims_flush;
    bool only_adds : 1;        /* it is known to retract nothing */
    bool is_view : 1;          /* a heap block of its own */
    struct ri_set_node **sets; /* of the chain up to here, by order; under the memory's lock. NULL: none */
    struct ri_schema *schema;  /* after it; NULL: not in a chain yet */
    uint64_t chain_count;      /* datoms of the chain up to here */
    struct ri_block *prev;     /* the block before, back to the base; NULL: the base itself */
    ri_block_memory *memory;   /* a reference */
    ri_datom *datoms;          /* sorted by (e a v added), t set; retractions have added == false */
    size_t count;
    uint64_t t;
    int64_t instant;
    uint64_t attempt;                /* 0: not known */
    uint8_t (*merged)[RI_HASH_SIZE]; /* the parents besides the commit before it, in the arena */
    uint8_t commit[RI_HASH_SIZE];
} ri_block;

ri_block *ri_block_new(void); /* NULL: no memory */
/* The same for about so many datoms. Small ones that are made one after the other share memory, so that they lie side by
 * side: *shared, a reference, NULL at first. shared NULL: it has its own. */
ri_block *ri_block_new_for(size_t count, ri_block_memory **shared);
void ri_block_memory_release(ri_block_memory *memory); /* NULL allowed */
/* Room for so many datoms. False: no memory. */
bool ri_block_reserve(ri_block *block, size_t count);
ri_block *ri_block_retain(ri_block *block);
/* Blocks to be shared (below), the first of which has the memory of all. ri_blocks_release. NULL: no memory. */
ri_block **ri_blocks_new(size_t count);
/* The same transaction without a block before it; borrows the memory of `block`, which it holds. NULL: no memory. */
ri_block *ri_block_view(ri_block *block);
void ri_block_release(ri_block *block); /* iterative along prev */
/* As it was before a value got it. No value has it any more, and nobody else holds it. */
void ri_block_unlink(ri_block *block);
/* The blocks of a chain after transaction t, oldest first, and room for `more` behind them. Borrowed; ri_free. NULL: no
 * memory. One walk along the chain. */
ri_block **ri_block_list(ri_block *last, uint64_t t, size_t more, size_t *count);
/* Gives each of the blocks, oldest first with t and count set, its part of the datoms, all of which blocks[0] has, but
 * for the first `skipped` ones; those of blocks up to t `after` are dropped. False: they are not the blocks' datoms. */
bool ri_blocks_share(ri_block *const *blocks, size_t count, uint64_t after, uint64_t skipped);
void ri_blocks_release(ri_block **blocks, size_t count); /* and the array */
/* The :db/txInstant among its datoms. */
int64_t ri_block_find_instant(const ri_block *block, int64_t fallback);
/* Room for the other parents of a merge; NULL: no memory. Set them before ri_block_chain. */
uint8_t (*ri_block_merged(ri_block *block, uint8_t count))[RI_HASH_SIZE];
/* The same, filled from stored bytes. RILLE_CORRUPT when they are too many or out of order. */
int ri_block_read_merged(ri_block *block, ri_reader *in, unsigned count, rille_err *err);
/* Computes block->commit of a block that follows the commit `parent` (NULL: none). */
void ri_block_chain(ri_block *block, const uint8_t *parent);
void ri_block_digest(const ri_block *block, uint8_t out[RI_HASH_SIZE]);
/* The same from a digest that was made in parts. */
void ri_block_chain_by(ri_block *block, const uint8_t *parent, const uint8_t digest[RI_HASH_SIZE]);
/* Adds datoms, which follow each other, to a digest that is made in parts. */
void ri_digest_add(ri_hasher *digest, const ri_datom *datoms, size_t count);
/* Is block->commit, by the rule of that format, the commit id of a block that follows `parent` (NULL: none)? */
bool ri_block_has_commit(const ri_block *block, const uint8_t *parent, unsigned rule);
/* By the rule of which format it is; 0: of none. */
unsigned ri_block_commit_rule(const ri_block *block, const uint8_t *parent);
/* The same in parts, by one rule: begin, then all datoms (ri_digest_add to the hasher), then end. The block needs all but
 * its datoms. digest NULL: that of the datoms. */
typedef struct ri_commit_check {
    ri_hasher hasher;
    unsigned rule;
    bool has_parent;
    uint8_t parent[RI_HASH_SIZE];
} ri_commit_check;
void ri_commit_check_begin(ri_commit_check *check, const ri_block *block, const uint8_t *parent, unsigned rule);
bool ri_commit_check_end(const ri_commit_check *check, const ri_block *block, const uint8_t *digest);
/* Appends the frame. */
int ri_block_write(const ri_block *block, ri_buf *out, rille_err *err);
/* The same in steps of a leaf: RILLE_AGAIN until it is written. *encoder is used, and made before the first use. */
typedef struct ri_block_writer {
    size_t at;    /* datoms that are written */
    size_t start; /* of the body; 0: nothing is written */
} ri_block_writer;
int ri_block_write_step(ri_block_writer *writer, const ri_block *block, ri_encoder **encoder, ri_buf *out,
                        rille_err *err);
/* Decodes the body of a frame that follows the commit `parent` (NULL: none), and checks the commit id against it. prev
 * is NULL. */
int ri_block_read(ri_frame_kind kind, const uint8_t *body, size_t len, const uint8_t *parent, ri_block **out,
                  rille_err *err);
/* The t of a frame's body, and where its commit id begins. False: it is too short. */
bool ri_block_peek(ri_frame_kind kind, const uint8_t *body, size_t len, uint64_t *t, const uint8_t **commit);
/* Appends datoms, RI_BLOCK_ROWS at most, as a LOG leaf, as a block; and reads `count` of them into a block, which may
 * hold some already. t 0: of several transactions.
 * The bytes are copied, unless they are those of block->memory->bytes. */
int ri_block_write_leaf(const ri_datom *datoms, size_t count, ri_encoder **encoder, ri_buf *out, rille_err *err);
int ri_block_read_leaves(ri_block *block, ri_reader *in, uint64_t count, rille_err *err);
/* The same in steps of a leaf: RILLE_AGAIN until all are read. Whole leaves among the first `skip` datoms are passed over:
 * leaves->skipped. */
typedef struct ri_block_leaves {
    uint64_t end; /* of block->count */
    uint64_t skip;
    uint64_t skipped;
} ri_block_leaves;
int ri_block_leaves_begin(ri_block *block, ri_block_leaves *leaves, uint64_t count, uint64_t skip, rille_err *err);
int ri_block_leaves_step(ri_block *block, ri_block_leaves *leaves, ri_reader *in, rille_err *err);

void ri_frame_write(ri_buf *out, ri_frame_kind kind, const uint8_t *body, size_t len);
/* The next frame at *pos; moves *pos behind it. RILLE_DONE: end, or the rest is torn (then *pos stays). RILLE_CORRUPT.
 */
int ri_frame_next(const uint8_t *cell, size_t len, size_t *pos, ri_frame_kind *kind, const uint8_t **body,
                  size_t *body_len, rille_err *err);

#endif
