/* SPDX-License-Identifier: MIT */
#include "block.h"

#include "../tree/node.h"
#include "schema.h"

#include <string.h>

#define ROWS_A_LEAF 1024U
#define SECTOR 512U /* the least that any storage writes at once */
#define FRAMES_TRIED_MAX 16U
#define BLOCK_LEAF_BYTES_MAX (16U * 1024U * 1024U)

static const char commit_tag[] = "rille commit 1";

ri_block *ri_block_retain(ri_block *block)
{
    if (block != NULL) {
        ri_refs_take(&block->refs);
    }
    return block;
}

void ri_block_release(ri_block *block)
{
    while (block != NULL && ri_refs_drop(&block->refs)) {
        ri_block *prev = block->prev;
        if (block->heap_cap > 0) {
            ri_free(block->datoms);
        }
        for (size_t i = 0; i < block->blob_count; i++) {
            ri_object_release(&block->blobs[i].blob->object);
        }
        ri_arena_deinit(&block->arena);
        ri_free(block);
        block = prev;
    }
}

ri_block *ri_block_new(void)
{
    ri_block *block = ri_alloc_zero(sizeof *block);
    if (block != NULL) {
        ri_refs_init(&block->refs);
    }
    return block;
}

/* ---- commit id ---- */

void ri_block_commit_id(ri_block *block)
{
    ri_blake2b_state state;
    ri_blake2b_init(&state);
    uint8_t chunk[512];
    size_t used = sizeof commit_tag;
    memcpy(chunk, commit_tag, sizeof commit_tag);
    chunk[used++] = block->parent_count;
    ri_blake2b_update(&state, chunk, used);
    ri_blake2b_update(&state, block->parents, (size_t)block->parent_count * RI_HASH_SIZE);
    ri_store_u64(chunk, block->t);
    ri_blake2b_update(&state, chunk, 8);
    used = 0;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (used > sizeof chunk - 40) {
            ri_blake2b_update(&state, chunk, used);
            used = 0;
        }
        ri_store_u64(chunk + used, d->e);
        ri_store_u32(chunk + used + 8, d->a);
        chunk[used + 12] = d->added ? 1 : 0;
        chunk[used + 13] = d->v.type;
        used += 14;
        if (ri_type_is_word(d->v.type)) {
            ri_store_u64(chunk + used, ri_word_to_key(d->v.type, d->v.as.u));
            used += 8;
        } else {
            used += ri_put_varint(chunk + used, d->v.len);
            ri_blake2b_update(&state, chunk, used);
            used = 0;
            ri_blake2b_update(&state, d->v.as.p, d->v.len);
        }
    }
    ri_blake2b_update(&state, chunk, used);
    ri_blake2b_final(&state, block->commit);
}

void ri_block_chain(ri_block *block, const uint8_t *parent)
{
    block->parent_count = parent != NULL ? 1 : 0;
    if (parent != NULL) {
        memcpy(block->parents[0], parent, RI_HASH_SIZE);
    }
    ri_block_commit_id(block);
}

/* ---- frames ---- */

static uint32_t header_check(const uint8_t header[5])
{
    return (uint32_t)ri_hash64(header, 5, 0);
}

void ri_frame_write(ri_buf *out, ri_frame_kind kind, const uint8_t *body, size_t len)
{
    uint8_t header[5];
    ri_store_u32(header, (uint32_t)len);
    header[4] = (uint8_t)kind;
    ri_buf_put(out, header, sizeof header);
    ri_buf_put_u32(out, header_check(header));
    ri_buf_put_u64(out, ri_hash64(body, len, (uint64_t)kind));
    ri_buf_put(out, body, len);
}

/* What a power failure left unwritten reads as zero: from a sector, or from pos if all that was appended there is
 * missing, to the end of the cell. Gives where it begins; len or more: nowhere. */
static size_t unwritten_from(const uint8_t *cell, size_t pos, size_t len)
{
    size_t at = len;
    while (at > pos && cell[at - 1] == 0) {
        at--;
    }
    return at == pos ? pos : (at + SECTOR - 1) / SECTOR * SECTOR;
}

static bool is_zero(const uint8_t *cell, size_t from, size_t to)
{
    while (from < to && cell[from] == 0) {
        from++;
    }
    return from == to;
}

/* Storage may write the sectors of one append in any order: true when one of those that [pos, end) lies in is zero,
 * from pos on and up to len. */
static bool has_hole(const uint8_t *cell, size_t pos, size_t end, size_t len)
{
    for (size_t next; pos < end; pos = next) {
        next = (pos / SECTOR + 1) * SECTOR;
        next = next < len ? next : len;
        if (is_zero(cell, pos, next)) {
            return true;
        }
    }
    return false;
}

/* A frame whose header is good: its body's length. */
static bool read_header(const uint8_t *p, uint32_t *size)
{
    *size = ri_load_u32(p);
    return ri_load_u32(p + 5) == header_check(p) && (p[4] == RI_FRAME_BASE || p[4] == RI_FRAME_TX);
}

static bool body_matches(const uint8_t *p, uint32_t size)
{
    return ri_load_u64(p + 9) == ri_hash64(p + RI_FRAME_HEADER, size, p[4]);
}

/* True when a whole frame begins behind pos, or when so many seem to that it is not worth the time to say no. */
static bool has_frame_behind(const uint8_t *cell, size_t pos, size_t len)
{
    unsigned tried = 0;
    for (size_t at = pos + 1; len - at >= RI_FRAME_HEADER; at++) {
        uint32_t size;
        if (read_header(cell + at, &size) && len - at - RI_FRAME_HEADER >= size &&
            (++tried > FRAMES_TRIED_MAX || body_matches(cell + at, size))) {
            return true;
        }
    }
    return false;
}

/* Of a frame that does not match: whether it is the end of an append that a crash cut short, which was never
 * acknowledged. Such a frame is the last one: what is behind it was acknowledged after it, if it is not all zeros, which
 * take the place of an append that failed. */
static bool is_torn(const uint8_t *cell, size_t pos, size_t len, const uint32_t *body_len)
{
    size_t end = pos + RI_FRAME_HEADER + (body_len == NULL ? 0 : *body_len);
    if (unwritten_from(cell, pos, len) < end) {
        return true;
    }
    return has_hole(cell, pos, end, len) &&
           (body_len == NULL ? !has_frame_behind(cell, pos, len) : is_zero(cell, end, len));
}

int ri_frame_next(const uint8_t *cell, size_t len, size_t *pos, ri_frame_kind *kind, const uint8_t **body,
                  size_t *body_len, rille_err *err)
{
    size_t left = len - *pos;
    const uint8_t *p = cell + *pos;
    uint32_t size;
    if (left < RI_FRAME_HEADER) {
        return RILLE_DONE;
    }
    bool header_good = read_header(p, &size);
    if (header_good && left - RI_FRAME_HEADER < size) {
        return RILLE_DONE;
    }
    if (!header_good || !body_matches(p, size)) {
        return is_torn(cell, *pos, len, header_good ? &size : NULL)
                   ? RILLE_DONE
                   : ri_fail(err, RILLE_CORRUPT,
                             "the branch head is corrupt at byte %zu of %zu: restore it from a backup", *pos, len);
    }
    *kind = (ri_frame_kind)p[4];
    *body = p + RI_FRAME_HEADER;
    *body_len = size;
    *pos += RI_FRAME_HEADER + size;
    return 0;
}

/* ---- TX body ---- */

static int write_leaves(const ri_block *block, ri_buf *body, rille_err *err)
{
    ri_encoder *encoder = ri_encoder_new();
    if (encoder == NULL) {
        return ri_fail_nomem(err);
    }
    ri_buf leaf = { 0 };
    int rc = 0;
    for (size_t from = 0; from < block->count && rc == 0; from += ROWS_A_LEAF) {
        size_t rows = block->count - from < ROWS_A_LEAF ? block->count - from : ROWS_A_LEAF;
        ri_buf_clear(&leaf);
        rc = ri_node_encode(encoder, RI_LOG, 0, block->datoms + from, (uint32_t)rows, NULL, NULL, &leaf, err);
        ri_buf_put_block(body, leaf.p, leaf.len);
    }
    ri_buf_deinit(&leaf);
    ri_encoder_free(encoder);
    return rc;
}

int ri_block_write(ri_block *block, ri_buf *out, rille_err *err)
{
    ri_buf body = { 0 };
    ri_buf_put_u64(&body, block->t);
    ri_buf_put_u8(&body, block->parent_count);
    ri_buf_put(&body, block->parents, (size_t)block->parent_count * RI_HASH_SIZE);
    ri_buf_put(&body, block->commit, RI_HASH_SIZE);
    ri_buf_put_varint(&body, block->count);
    int rc = write_leaves(block, &body, err);
    if (rc == 0 && body.len > UINT32_MAX) {
        rc = ri_fail(err, RILLE_LIMIT, "the transaction is too large: %zu bytes (split it into several)", body.len);
    }
    size_t before = out->len;
    if (rc == 0) {
        ri_frame_write(out, RI_FRAME_TX, body.p, body.len);
        block->frame_len = out->len - before;
        if (body.failed || out->failed) {
            rc = ri_fail_nomem(err);
        }
    }
    ri_buf_deinit(&body);
    return rc;
}

/* Appends the rows of one LOG leaf to the block's datoms. */
static int read_leaf(ri_block *block, const uint8_t *bytes, size_t len, uint64_t left, rille_err *err)
{
    uint8_t *copy = ri_alloc_zero(len + RI_NODE_PADDING);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(copy, bytes, len);
    ri_noderef self = { 0 };
    ri_decode_input input = { copy, len, NULL, 0, &self };
    ri_object *object = NULL;
    RI_TRY(ri_node_decode(&input, &object, err));
    const ri_node *node = (const ri_node *)(const void *)object;
    int rc = 0;
    if (node->order != RI_LOG || node->level != 0 || node->count > left) {
        rc = ri_fail(err, RILLE_CORRUPT, "transaction block %llu contains a leaf of another tree",
                     (unsigned long long)block->t);
    }
    if (rc == 0 && !RI_GROW(&block->datoms, &block->heap_cap, block->count + node->count)) {
        rc = ri_fail_nomem(err);
    }
    for (uint32_t row = 0; rc == 0 && row < node->count; row++) {
        ri_datom *d = &block->datoms[block->count];
        ri_node_datom(node, row, d);
        if (!ri_value_copy(&block->arena, &d->v, &d->v)) {
            rc = ri_fail_nomem(err);
        } else if (d->t != block->t || (block->count > 0 && ri_datom_cmp(RI_LOG, d - 1, d) >= 0)) {
            rc = ri_fail(err, RILLE_CORRUPT, "transaction block %llu is out of order at datom %zu",
                         (unsigned long long)block->t, block->count);
        }
        block->count++;
    }
    ri_object_release(object);
    return rc;
}

static int read_body(ri_block *block, ri_reader *in, rille_err *err)
{
    block->t = ri_read_u64(in);
    block->parent_count = ri_read_u8(in);
    if (block->parent_count > RI_PARENTS_MAX) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block has %u parents, but the maximum is %u",
                       block->parent_count, RI_PARENTS_MAX);
    }
    const uint8_t *parents = ri_read_bytes(in, (size_t)block->parent_count * RI_HASH_SIZE);
    const uint8_t *commit = ri_read_bytes(in, RI_HASH_SIZE);
    uint64_t count = ri_read_varint(in);
    if (in->bad) {
        return ri_fail(err, RILLE_CORRUPT, "the header of a transaction block is corrupt");
    }
    if (block->t < RI_TX_BASE || block->t > RI_EID_MAX || count == 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu claims an impossible number of datoms: %llu",
                       (unsigned long long)block->t, (unsigned long long)count);
    }
    memcpy(block->parents, parents, (size_t)block->parent_count * RI_HASH_SIZE);
    while (block->count < count) {
        size_t len = (size_t)ri_read_varint_max(in, BLOCK_LEAF_BYTES_MAX);
        const uint8_t *bytes = ri_read_bytes(in, len);
        if (in->bad || len == 0) {
            return ri_fail(err, RILLE_CORRUPT, "transaction block %llu ends early", (unsigned long long)block->t);
        }
        RI_TRY(read_leaf(block, bytes, len, count - block->count, err));
    }
    if (ri_reader_left(in) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu has %zu unexpected bytes at its end",
                       (unsigned long long)block->t, ri_reader_left(in));
    }
    ri_block_commit_id(block);
    if (memcmp(block->commit, commit, RI_HASH_SIZE) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu does not match its commit id",
                       (unsigned long long)block->t);
    }
    return 0;
}

int64_t ri_block_find_instant(const ri_block *block, int64_t fallback)
{
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (d->e == block->t && d->a == RI_A_TX_INSTANT && d->added && d->v.type == RI_INSTANT) {
            return d->v.as.i;
        }
    }
    return fallback;
}

int ri_block_read(const uint8_t *body, size_t len, ri_block **out, rille_err *err)
{
    *out = NULL;
    ri_block *block = ri_block_new();
    if (block == NULL) {
        return ri_fail_nomem(err);
    }
    ri_reader in = ri_reader_of(body, len);
    int rc = read_body(block, &in, err);
    if (rc != 0) {
        ri_block_release(block);
        return rc;
    }
    block->instant = ri_block_find_instant(block, 0);
    block->frame_len = len + RI_FRAME_HEADER;
    *out = block;
    return 0;
}
