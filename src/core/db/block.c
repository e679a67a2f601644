/* SPDX-License-Identifier: MIT */
#include "block.h"

#include "schema.h"

#include <string.h>

#define SMALL_FRAME 512U
#define SECTOR 512U /* the least that any storage writes at once */
#define FRAMES_TRIED_MAX 16U

/* ---- parents of a merge ---- */

uint8_t (*ri_block_merged(ri_block *block, uint8_t count))[RI_HASH_SIZE]
{
    block->merged = ri_arena_array(&block->memory->arena, count, RI_HASH_SIZE);
    block->merged_count = block->merged == NULL ? 0 : count;
    return block->merged;
}

/* ---- frames ---- */

static uint32_t header_check(const uint8_t header[5])
{
    return (uint32_t)ri_hash64(header, 5, 0);
}

/* The place of a header; the body follows. */
static size_t begin_frame(ri_buf *out)
{
    static const uint8_t header[RI_FRAME_HEADER] = { 0 };
    ri_buf_put(out, header, sizeof header);
    return out->len;
}

/* Writes the header: the body is all that lies behind it. */
static void end_frame(ri_buf *out, ri_frame_kind kind, size_t start)
{
    if (out->failed) {
        return;
    }
    const uint8_t *body = out->p + start;
    uint8_t *header = out->p + start - RI_FRAME_HEADER;
    ri_store_u32(header, (uint32_t)(out->len - start));
    header[4] = (uint8_t)kind;
    ri_store_u32(header + 5, header_check(header));
    ri_store_u64(header + 9, ri_hash64(body, out->len - start, (uint64_t)kind));
}

void ri_frame_write(ri_buf *out, ri_frame_kind kind, const uint8_t *body, size_t len)
{
    size_t start = begin_frame(out);
    ri_buf_put(out, body, len);
    end_frame(out, kind, start);
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
    return ri_load_u32(p + 5) == header_check(p) && p[4] >= RI_FRAME_BASE && p[4] <= RI_FRAME_TX;
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

enum { FLAG_CLAIM = 1 };

static void write_header(const ri_block *block, ri_buf *out)
{
    ri_buf_put_u64(out, block->t);
    ri_buf_put_u8(out, block->claims_flush ? FLAG_CLAIM : 0);
    ri_buf_put_u64(out, block->attempt);
    ri_buf_put_u8(out, block->merged_count);
    ri_buf_put(out, block->merged, (size_t)block->merged_count * RI_HASH_SIZE);
    ri_buf_put(out, block->commit, RI_HASH_SIZE);
    ri_buf_put_varint(out, block->count);
}

int ri_block_write_step(ri_block_writer *writer, const ri_block *block, ri_encoder **encoder, ri_buf *out,
                        rille_err *err)
{
    if (writer->start == 0) {
        (void)ri_buf_reserve(out, SMALL_FRAME);
        writer->start = begin_frame(out);
        write_header(block, out);
    }
    size_t left = block->count - writer->at;
    size_t rows = left < RI_BLOCK_ROWS ? left : RI_BLOCK_ROWS;
    RI_TRY(rows > 0 ? ri_block_write_leaf(block->datoms + writer->at, rows, encoder, out, err) : 0);
    writer->at += rows;
    if (rows < left) {
        return RILLE_AGAIN;
    }
    size_t len = out->len - writer->start;
    if (len > UINT32_MAX) {
        return ri_fail(err, RILLE_LIMIT, "the transaction is too large: %zu bytes (split it into several)", len);
    }
    end_frame(out, RI_FRAME_TX, writer->start);
    return out->failed ? ri_fail_nomem(err) : 0;
}

int ri_block_write(const ri_block *block, ri_buf *out, rille_err *err)
{
    ri_block_writer writer = { 0 };
    ri_encoder *encoder = NULL;
    int rc;
    do {
        rc = ri_block_write_step(&writer, block, &encoder, out, err);
    } while (rc == RILLE_AGAIN);
    ri_encoder_free(encoder);
    return rc;
}

int ri_block_read_merged(ri_block *block, ri_reader *in, unsigned count, rille_err *err)
{
    const uint8_t *ids = ri_read_bytes(in, (size_t)count * RI_HASH_SIZE);
    bool good = count <= RI_MERGED_MAX;
    for (unsigned i = 1; i < count && good && !in->bad; i++) {
        good = memcmp(ids + (size_t)(i - 1) * RI_HASH_SIZE, ids + (size_t)i * RI_HASH_SIZE, RI_HASH_SIZE) < 0;
    }
    if (!good) {
        return ri_fail(err, RILLE_CORRUPT, "the parents of transaction %llu are too many or out of order",
                       (unsigned long long)block->t);
    }
    if (count > 0 && !in->bad) {
        if (ri_block_merged(block, (uint8_t)count) == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(block->merged, ids, (size_t)count * RI_HASH_SIZE);
    }
    return 0;
}

/* Format 1 lists the commit before it; it had no merges. */
static int read_parents_1(const ri_block *block, const uint8_t *parent, ri_reader *in, rille_err *err)
{
    unsigned count = ri_read_u8(in);
    const uint8_t *first = ri_read_bytes(in, count == 0 ? 0 : RI_HASH_SIZE);
    bool follows =
        count == (parent != NULL ? 1U : 0U) && (count == 0 || in->bad || memcmp(first, parent, RI_HASH_SIZE) == 0);
    return follows ? 0
                   : ri_fail(err, RILLE_CORRUPT, "transaction %llu does not follow the transaction before it",
                             (unsigned long long)block->t);
}

static int read_parents_2(ri_block *block, ri_reader *in, rille_err *err)
{
    uint8_t flags = ri_read_u8(in);
    block->claims_flush = (flags & FLAG_CLAIM) != 0;
    block->attempt = ri_read_u64(in);
    if ((flags & ~FLAG_CLAIM) != 0) {
        return ri_fail(err, RILLE_FORMAT, "transaction %llu was written by a newer version of rille: use that version",
                       (unsigned long long)block->t);
    }
    return ri_block_read_merged(block, in, ri_read_u8(in), err);
}

static int read_body(ri_block *block, bool is_1, const uint8_t *parent, ri_reader *in, rille_err *err)
{
    block->t = ri_read_u64(in);
    RI_TRY(is_1 ? read_parents_1(block, parent, in, err) : read_parents_2(block, in, err));
    const uint8_t *commit = ri_read_bytes(in, RI_HASH_SIZE);
    uint64_t count = ri_read_varint(in);
    if (in->bad) {
        return ri_fail(err, RILLE_CORRUPT, "the header of a transaction block is corrupt");
    }
    if (block->t < RI_TX_BASE || block->t > RI_EID_MAX || count == 0) {
        return ri_fail(err, RILLE_CORRUPT, "transaction block %llu claims an impossible number of datoms: %llu",
                       (unsigned long long)block->t, (unsigned long long)count);
    }
    RI_TRY(ri_block_read_leaves(block, in, count, err));
    memcpy(block->commit, commit, RI_HASH_SIZE);
    if (!ri_block_has_commit(block, parent, is_1 ? 1 : 2)) {
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

bool ri_block_peek(ri_frame_kind kind, const uint8_t *body, size_t len, uint64_t *t, const uint8_t **commit)
{
    ri_reader in = ri_reader_of(body, len);
    *t = ri_read_u64(&in);
    (void)ri_read_bytes(&in, kind == RI_FRAME_TX1 ? 0 : 9);
    (void)ri_read_bytes(&in, (size_t)ri_read_u8(&in) * RI_HASH_SIZE);
    *commit = ri_read_bytes(&in, RI_HASH_SIZE);
    return !in.bad;
}

int ri_block_read(ri_frame_kind kind, const uint8_t *body, size_t len, const uint8_t *parent, ri_block **out,
                  rille_err *err)
{
    *out = NULL;
    ri_block *block = ri_block_new();
    if (block == NULL) {
        return ri_fail_nomem(err);
    }
    ri_reader in = ri_reader_of(body, len);
    int rc = read_body(block, kind == RI_FRAME_TX1, parent, &in, err);
    if (rc != 0) {
        ri_block_release(block);
        return rc;
    }
    block->instant = ri_block_find_instant(block, 0);
    *out = block;
    return 0;
}
