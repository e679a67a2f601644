/* SPDX-License-Identifier: MIT
 *
 * The datoms of blocks as LOG leaves (block.h).
 */
#include "block.h"

#include <string.h>

#define BLOCK_LEAF_BYTES_MAX (16U * 1024U * 1024U)
#define ROWS_EXPECTED_MAX 4096U /* room made at once for as many as the header claims */

int ri_block_write_leaf(const ri_datom *datoms, size_t count, ri_encoder **kept, ri_buf *out, rille_err *err)
{
    ri_encoder *encoder = kept != NULL && *kept != NULL ? *kept : ri_encoder_new();
    if (encoder == NULL) {
        return ri_fail_nomem(err);
    }
    size_t start = out->len;
    int rc = ri_node_encode(encoder, RI_LOG, 0, datoms, (uint32_t)count, NULL, NULL, out, err);
    ri_buf_make_block(out, start);
    if (kept != NULL) {
        *kept = encoder;
    } else {
        ri_encoder_free(encoder);
    }
    return rc;
}

/* The values stay where they are in the leaf's bytes, which are in the block's arena. */
static int append_rows(ri_block *block, const ri_node *node, rille_err *err)
{
    if (!RI_GROW(&block->datoms, &block->heap_cap, block->count + node->count)) {
        return ri_fail_nomem(err);
    }
    ri_datom *rows = block->datoms + block->count;
    ri_node_datoms(node, 0, node->count, rows);
    bool good = block->count == 0 || ri_datom_cmp(RI_LOG, rows - 1, rows) < 0; /* in the leaf they are in order */
    for (uint32_t i = 0; i < node->count && block->t != 0; i++) {
        good = good && rows[i].t == block->t;
    }
    if (!good) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu is out of order at datom %zu",
                       (unsigned long long)rows[0].t, block->count);
    }
    block->count += node->count;
    return 0;
}

/* Appends the rows of one LOG leaf to the block's datoms. */
static int read_leaf(ri_block *block, const uint8_t *bytes, size_t len, uint64_t left, rille_err *err)
{
    uint8_t *copy = ri_arena_alloc(&block->arena, len + RI_NODE_PADDING);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(copy, bytes, len);
    memset(copy + len, 0, RI_NODE_PADDING);
    ri_noderef self = { 0 };
    ri_decode_input input = { copy, len, NULL, 0, &self, true };
    ri_object *object = NULL;
    RI_TRY(ri_node_decode(&input, &object, err));
    const ri_node *node = (const ri_node *)(const void *)object;
    int rc = node->order != RI_LOG || node->level != 0 || node->count > left
                 ? ri_fail(err, RILLE_CORRUPT, "transaction block %llu contains a leaf of another tree",
                           (unsigned long long)block->t)
                 : append_rows(block, node, err);
    ri_object_release(object);
    return rc;
}

/* How many rows a leaf says that it has. */
static uint64_t leaf_rows(const uint8_t *bytes, size_t len)
{
    ri_reader in = ri_reader_of(bytes, len);
    (void)ri_read_bytes(&in, RI_NODE_ROWS_AT);
    uint64_t rows = ri_read_varint(&in);
    return in.bad ? 0 : rows;
}

int ri_block_read_leaves(ri_block *block, ri_reader *in, uint64_t count, uint64_t skip, uint64_t *skipped,
                         rille_err *err)
{
    uint64_t end = block->count + count;
    *skipped = 0;
    uint64_t expected = count - (skip < count ? skip : count);
    expected = expected < ROWS_EXPECTED_MAX ? expected : ROWS_EXPECTED_MAX;
    if (!RI_GROW(&block->datoms, &block->heap_cap, block->count + (size_t)expected)) {
        return ri_fail_nomem(err);
    }
    while (block->count < end) {
        size_t len = (size_t)ri_read_varint_max(in, BLOCK_LEAF_BYTES_MAX);
        const uint8_t *bytes = ri_read_bytes(in, len);
        if (in->bad || len == 0) {
            return ri_fail(err, RILLE_CORRUPT, "transaction block %llu ends early", (unsigned long long)block->t);
        }
        uint64_t rows = skip == *skipped ? 0 : leaf_rows(bytes, len);
        if (rows > 0 && rows <= skip - *skipped) {
            *skipped += rows;
            end -= rows;
            continue;
        }
        skip = *skipped;
        RI_TRY(read_leaf(block, bytes, len, end - block->count, err));
    }
    if (ri_reader_left(in) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu has %zu unexpected bytes at its end",
                       (unsigned long long)block->t, ri_reader_left(in));
    }
    return 0;
}
