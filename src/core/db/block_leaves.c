/* SPDX-License-Identifier: MIT
 *
 * The datoms of blocks as LOG leaves (block.h).
 */
#include "block.h"

#include <string.h>

#define BLOCK_LEAF_BYTES_MAX (16U * 1024U * 1024U)
#define ROWS_EXPECTED_MAX 4096U /* room made at once for as many as the header claims */

int ri_block_write_leaf(const ri_datom *datoms, size_t count, ri_encoder **encoder, ri_buf *out, rille_err *err)
{
    *encoder = *encoder != NULL ? *encoder : ri_encoder_new();
    if (*encoder == NULL) {
        return ri_fail_nomem(err);
    }
    size_t start = out->len;
    int rc = ri_node_encode(*encoder, RI_LOG, 0, datoms, (uint32_t)count, NULL, NULL, out, err);
    ri_buf_make_block(out, start);
    return rc;
}

/* Do the rows from `from` on follow those before, and are they all of the block's transaction, if it has one? */
static bool rows_follow(const ri_block *block, size_t from)
{
    const ri_datom *rows = block->datoms;
    bool good = from == 0 || ri_datom_cmp(RI_LOG, &rows[from - 1], &rows[from]) < 0; /* in a leaf they are in order */
    return good && (block->t == 0 || (rows[from].t == block->t && rows[block->count - 1].t == block->t));
}

/* The same bytes where the block keeps them, with padding. NULL: no memory. */
static uint8_t *keep_bytes(ri_block_memory *memory, const uint8_t *bytes, size_t len)
{
    if (memory->bytes != NULL) {
        return memory->bytes->bytes + (bytes - memory->bytes->bytes);
    }
    uint8_t *copy = ri_arena_alloc(&memory->arena, len + RI_NODE_PADDING);
    if (copy != NULL) {
        memcpy(copy, bytes, len);
        memset(copy + len, 0, RI_NODE_PADDING);
    }
    return copy;
}

/* Appends the rows of one LOG leaf to the block's datoms. Their values stay where they are, in the block's memory. */
static int read_leaf(ri_block *block, const uint8_t *bytes, size_t len, uint64_t left, rille_err *err)
{
    ri_block_memory *memory = block->memory;
    uint8_t *kept = keep_bytes(memory, bytes, len);
    if (kept == NULL) {
        return ri_fail_nomem(err);
    }
    ri_noderef self = { 0 };
    ri_decode_input input = { kept, len, NULL, 0, &self, true };
    size_t from = block->count;
    RI_TRY(ri_leaf_read(&input, left, &block->datoms, &memory->heap_cap, &block->count, err));
    return rows_follow(block, from) ? 0
                                    : ri_fail(err, RILLE_CORRUPT, "transaction block %llu is out of order at datom %zu",
                                              (unsigned long long)block->datoms[from].t, from);
}

/* How many rows a leaf says that it has. */
static uint64_t leaf_rows(const uint8_t *bytes, size_t len)
{
    ri_reader in = ri_reader_of(bytes, len);
    (void)ri_read_bytes(&in, RI_NODE_ROWS_AT);
    uint64_t rows = ri_read_varint(&in);
    return in.bad ? 0 : rows;
}

int ri_block_leaves_begin(ri_block *block, ri_block_leaves *leaves, uint64_t count, uint64_t skip, rille_err *err)
{
    *leaves = (ri_block_leaves){ .end = block->count + count, .skip = skip };
    uint64_t expected = count - (skip < count ? skip : count);
    expected = expected < ROWS_EXPECTED_MAX ? expected : ROWS_EXPECTED_MAX;
    return RI_GROW(&block->datoms, &block->memory->heap_cap, block->count + (size_t)expected) ? 0 : ri_fail_nomem(err);
}

int ri_block_leaves_step(ri_block *block, ri_block_leaves *leaves, ri_reader *in, rille_err *err)
{
    if (block->count < leaves->end) {
        size_t len = (size_t)ri_read_varint_max(in, BLOCK_LEAF_BYTES_MAX);
        const uint8_t *bytes = ri_read_bytes(in, len);
        if (in->bad || len == 0) {
            return ri_fail(err, RILLE_CORRUPT, "transaction block %llu ends early", (unsigned long long)block->t);
        }
        uint64_t rows = leaves->skip == leaves->skipped ? 0 : leaf_rows(bytes, len);
        if (rows > 0 && rows <= leaves->skip - leaves->skipped) {
            leaves->skipped += rows;
            leaves->end -= rows;
            return RILLE_AGAIN;
        }
        leaves->skip = leaves->skipped;
        RI_TRY(read_leaf(block, bytes, len, leaves->end - block->count, err));
        return RILLE_AGAIN;
    }
    if (ri_reader_left(in) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu has %zu unexpected bytes at its end",
                       (unsigned long long)block->t, ri_reader_left(in));
    }
    return 0;
}

int ri_block_read_leaves(ri_block *block, ri_reader *in, uint64_t count, rille_err *err)
{
    ri_block_leaves leaves;
    RI_TRY(ri_block_leaves_begin(block, &leaves, count, 0, err));
    int rc;
    do {
        rc = ri_block_leaves_step(block, &leaves, in, err);
    } while (rc == RILLE_AGAIN);
    return rc;
}
