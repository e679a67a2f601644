/* SPDX-License-Identifier: MIT */
#include "segment.h"

#include "schema.h"

#include <string.h>

enum { FLAG_CLAIM = 1, FLAG_MERGED = 2 };

#define HEADERS_SLICE 512U
#define TX_BYTES_MIN (3U + 8U + RI_HASH_SIZE) /* of what a segment says of one transaction */

/* ---- segments ---- */

static void write_header(const ri_block *block, uint64_t before, ri_buf *out)
{
    ri_buf_put_varint(out, block->t - before);
    ri_buf_put_u8(out, (uint8_t)((block->claims_flush ? FLAG_CLAIM : 0) | (block->merged_count > 0 ? FLAG_MERGED : 0)));
    ri_buf_put_varint(out, block->count);
    if (block->merged_count > 0) {
        ri_buf_put_u8(out, block->merged_count);
        ri_buf_put(out, block->merged, (size_t)block->merged_count * RI_HASH_SIZE);
    }
    ri_buf_put_u64(out, block->attempt);
    ri_buf_put(out, block->commit, RI_HASH_SIZE);
}

static size_t write_headers(ri_block *const *blocks, size_t count, ri_buf *out)
{
    size_t datom_count = 0;
    uint64_t before = RI_TX_BASE;
    ri_buf_put_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        write_header(blocks[i], before, out);
        before = blocks[i]->t;
        datom_count += blocks[i]->count;
    }
    return datom_count;
}

/* The next rows of a leaf, of as many blocks as it takes. */
static size_t take_rows(ri_segment_writer *w, ri_block *const *blocks, ri_datom *rows)
{
    size_t count = 0;
    while (count < RI_BLOCK_ROWS && w->left > 0) {
        const ri_block *block = blocks[w->block];
        size_t some = block->count - w->row;
        some = some < RI_BLOCK_ROWS - count ? some : RI_BLOCK_ROWS - count;
        memcpy(rows + count, block->datoms + w->row, some * sizeof *rows);
        count += some;
        w->row += some;
        w->left -= some;
        if (w->row == block->count) {
            w->block++;
            w->row = 0;
        }
    }
    return count;
}

int ri_segment_write_step(ri_segment_writer *w, ri_block *const *blocks, size_t count, ri_encoder **encoder,
                          ri_buf *out, rille_err *err)
{
    if (!w->begun) {
        w->left = write_headers(blocks, count, out);
        w->begun = true;
    }
    ri_datom *rows = ri_alloc_array(RI_BLOCK_ROWS, sizeof *rows);
    if (rows == NULL) {
        return ri_fail_nomem(err);
    }
    size_t row_count = take_rows(w, blocks, rows);
    int rc = ri_block_write_leaf(rows, row_count, encoder, out, err);
    ri_free(rows);
    return rc != 0 ? rc : w->left > 0 ? RILLE_AGAIN : out->failed ? ri_fail_nomem(err) : 0;
}

static int damaged(rille_err *err)
{
    return ri_fail(err, RILLE_CORRUPT, "a segment of the branch head is corrupt: restore it from a backup");
}

static int read_header(ri_block *block, uint64_t before, ri_reader *in, rille_err *err)
{
    block->t = before + ri_read_varint_max(in, RI_EID_MAX - before);
    uint8_t flags = ri_read_u8(in);
    block->claims_flush = (flags & FLAG_CLAIM) != 0;
    block->count = (size_t)ri_read_varint_max(in, UINT32_MAX);
    unsigned merged = (flags & FLAG_MERGED) != 0 ? ri_read_u8(in) : 0;
    RI_TRY(merged > 0 ? ri_block_read_merged(block, in, merged, err) : 0);
    block->attempt = ri_read_u64(in);
    const uint8_t *commit = ri_read_bytes(in, RI_HASH_SIZE);
    if (in->bad || block->count == 0 || (flags & ~(FLAG_CLAIM | FLAG_MERGED)) != 0 ||
        ((flags & FLAG_MERGED) != 0) != (merged > 0)) {
        return damaged(err);
    }
    memcpy(block->commit, commit, RI_HASH_SIZE);
    return 0;
}

/* Reading: headers first, which say how many datoms follow, then leaves; the first block has all datoms, until they are
 * shared out. */
struct ri_segment_reader {
    ri_block **blocks;
    size_t count;
    uint64_t after;
    ri_reader in; /* of the blob, which the blocks hold */
    size_t headers;
    uint64_t t; /* of the header before */
    uint64_t datom_count;
    uint64_t known_count; /* of these, in transactions up to `after` */
    bool reads_datoms;
    size_t first_count;
    uint64_t first_t;
    ri_block_leaves leaves;
};

void ri_segment_reader_release(ri_segment_reader *r)
{
    if (r != NULL) {
        if (r->blocks != NULL) {
            ri_blocks_release(r->blocks, r->count);
        }
        ri_free(r);
    }
}

int ri_segment_reader_new(ri_blob *blob, uint64_t after, ri_segment_reader **out, rille_err *err)
{
    ri_reader in = ri_reader_of(blob->bytes, blob->len);
    size_t all = (size_t)ri_read_varint_max(&in, blob->len / TX_BYTES_MIN);
    *out = NULL;
    if (in.bad || all == 0) {
        return damaged(err);
    }
    ri_segment_reader *r = ri_alloc_zero(sizeof *r);
    if (r == NULL || (r->blocks = ri_blocks_new(all)) == NULL) {
        ri_free(r);
        return ri_fail_nomem(err);
    }
    r->blocks[0]->memory->bytes = blob;
    ri_object_take(&blob->object);
    r->count = all;
    r->after = after;
    r->in = in;
    r->t = RI_TX_BASE;
    *out = r;
    return 0;
}

static int read_headers(ri_segment_reader *r, rille_err *err)
{
    for (size_t i = 0; i < HEADERS_SLICE && r->headers < r->count; i++) {
        ri_block *block = r->blocks[r->headers];
        RI_TRY(read_header(block, r->t, &r->in, err));
        r->t = block->t;
        r->datom_count += block->count;
        r->known_count += block->t <= r->after ? block->count : 0;
        r->headers++;
    }
    return RILLE_AGAIN;
}

static int begin_datoms(ri_segment_reader *r, rille_err *err)
{
    ri_block *first = r->blocks[0];
    r->first_t = first->t;
    r->first_count = first->count;
    r->reads_datoms = true;
    first->t = 0;
    first->count = 0;
    RI_TRY(ri_block_leaves_begin(first, &r->leaves, r->datom_count, r->known_count, err));
    return RILLE_AGAIN;
}

int ri_segment_read_step(ri_segment_reader *r, ri_block ***out, size_t *count, rille_err *err)
{
    *out = NULL;
    *count = 0;
    if (!r->reads_datoms) {
        return r->headers < r->count ? read_headers(r, err) : begin_datoms(r, err);
    }
    ri_block *first = r->blocks[0];
    RI_TRY(ri_block_leaves_step(first, &r->leaves, &r->in, err));
    first->t = r->first_t;
    first->count = r->first_count;
    if (!ri_blocks_share(r->blocks, r->count, r->after, r->leaves.skipped)) {
        return damaged(err);
    }
    *out = r->blocks;
    *count = r->count;
    r->blocks = NULL;
    return 0;
}

int ri_segment_read(ri_blob *blob, uint64_t after, ri_block ***out, size_t *count, rille_err *err)
{
    ri_segment_reader *r;
    *out = NULL;
    *count = 0;
    RI_TRY(ri_segment_reader_new(blob, after, &r, err));
    int rc;
    do {
        rc = ri_segment_read_step(r, out, count, err);
    } while (rc == RILLE_AGAIN);
    ri_segment_reader_release(r);
    return rc;
}

/* ---- attempts ---- */

typedef struct attempts {
    ri_reader in;
    uint64_t left;
    uint64_t t;
    uint64_t attempt;
} attempts;

static void attempts_start(attempts *a, const uint8_t *bytes, size_t len)
{
    *a = (attempts){ .in = ri_reader_of(bytes, len), .t = RI_TX_BASE };
    if (len > 0) {
        a->left = ri_read_varint_max(&a->in, RI_ATTEMPTS_MAX);
    }
}

static bool attempts_next(attempts *a)
{
    if (a->left == 0 || a->in.bad) {
        return false;
    }
    a->left--;
    uint64_t before = a->t;
    a->t += ri_read_varint_max(&a->in, RI_EID_MAX - a->t);
    a->attempt = ri_read_u64(&a->in);
    a->in.bad = a->in.bad || a->t == before || a->attempt == 0;
    return !a->in.bad;
}

static int attempts_end(const attempts *a, rille_err *err)
{
    return a->in.bad || ri_reader_left(&a->in) != 0
               ? ri_fail(err, RILLE_CORRUPT, "the list of attempts of the branch head is corrupt")
               : 0;
}

static void put_attempt(ri_buf *out, uint64_t *before, uint64_t t, uint64_t attempt)
{
    ri_buf_put_varint(out, t - *before);
    ri_buf_put_u64(out, attempt);
    *before = t;
}

int ri_attempts_write(const uint8_t *before, size_t len, ri_block *const *blocks, size_t count, ri_buf *out,
                      rille_err *err)
{
    attempts old;
    attempts_start(&old, before, len);
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known += blocks[i]->attempt != 0 ? 1 : 0;
    }
    uint64_t all = old.left + known;
    uint64_t skip = all > RI_ATTEMPTS_MAX ? all - RI_ATTEMPTS_MAX : 0;
    uint64_t t = RI_TX_BASE;
    ri_buf_put_varint(out, all - skip);
    while (attempts_next(&old)) {
        if (skip > 0) {
            skip--;
        } else {
            put_attempt(out, &t, old.t, old.attempt);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (blocks[i]->attempt != 0 && skip > 0) {
            skip--;
        } else if (blocks[i]->attempt != 0) {
            put_attempt(out, &t, blocks[i]->t, blocks[i]->attempt);
        }
    }
    return attempts_end(&old, err);
}

int ri_attempts_find(const uint8_t *bytes, size_t len, uint64_t attempt, uint64_t *t, uint64_t *t_last, rille_err *err)
{
    attempts a;
    attempts_start(&a, bytes, len);
    *t = 0;
    while (attempts_next(&a)) {
        if (a.attempt == attempt) {
            *t = a.t;
        }
    }
    *t_last = a.t;
    return attempts_end(&a, err);
}
