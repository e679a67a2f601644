/* SPDX-License-Identifier: MIT
 *
 * Arrivals: large objects whose stored bytes are there, and are unpacked and hashed a slice at a time. An operation's io
 * has them, between what it wanted and what it has pinned, so a run that pauses goes on with them.
 *
 * zstd gives a slice at a time. Where it cannot, as with a frame of another program whose window is too large, all is
 * unpacked at once: whether the bytes are good does not depend on slices.
 */
#include "../base/hash.h"
#include "../base/mem.h"
#include "inside.h"

#include <zstd.h>

#define SLICE ((size_t)64 * 1024)
#define LARGE (2 * SLICE)
#define WINDOW_LOG_MIN 10 /* of zstd */

bool ri_arrival_is_large(const ri_want *want, const uint8_t *bytes, size_t len)
{
    ri_entry entry;
    ri_reader reader = ri_reader_of(bytes, len);
    size_t raw_len_max = want->decode != NULL ? RI_NODE_BYTES_MAX : RI_BLOB_BYTES_MAX;
    return !ri_addr_is_zero(want->ref.addr) && ri_entry_read(&reader, raw_len_max, &entry) &&
           ri_reader_left(&reader) == 0 && entry.raw_len > LARGE;
}

static void free_arrival(ri_arrival *a)
{
    (void)ZSTD_freeDCtx(a->context);
    ri_free(a->blob);
    ri_free(a->node);
    ri_free(a->bytes);
    ri_free(a);
}

int ri_io_arrive(ri_io *io, const ri_want *want, uint8_t *bytes, size_t len, bool from_tier, rille_err *err)
{
    ri_arrival *a = ri_alloc_zero(sizeof *a);
    if (a == NULL || !RI_GROW(&io->arrivals, &io->arrival_cap, io->arrival_count + 1)) {
        ri_free(a);
        ri_free(bytes);
        return ri_fail_nomem(err);
    }
    ri_reader reader = ri_reader_of(bytes, len);
    bool good = ri_entry_read(&reader, SIZE_MAX / 2, &a->entry);
    RI_ASSERT(good);
    (void)good;
    a->want = *want;
    a->bytes = bytes;
    a->len = len;
    a->from_tier = from_tier;
    io->arrivals[io->arrival_count++] = a;
    return RILLE_OK;
}

ri_arrival *ri_io_arrival(const ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE])
{
    for (size_t i = 0; i < io->arrival_count; i++) {
        uint8_t own[RI_KEY_SIZE];
        ri_want_key(own, &io->arrivals[i]->want);
        if (io->arrivals[i]->want.store == store && memcmp(own, key, RI_KEY_SIZE) == 0) {
            return io->arrivals[i];
        }
    }
    return NULL;
}

void ri_io_drop_arrival(ri_io *io, ri_arrival *arrival)
{
    for (size_t i = 0; i < io->arrival_count; i++) {
        if (io->arrivals[i] == arrival) {
            io->arrivals[i] = io->arrivals[--io->arrival_count];
            free_arrival(arrival);
            return;
        }
    }
}

void ri_io_drop_arrivals(ri_io *io)
{
    while (io->arrival_count > 0) {
        free_arrival(io->arrivals[--io->arrival_count]);
    }
}

/* ---- slices ---- */

/* A context of zstd that reserves no larger window than what is unpacked: any frame may ask for 128 MiB. */
static ZSTD_DCtx *new_context(size_t raw_len)
{
    int log = WINDOW_LOG_MIN;
    while ((raw_len - 1) >> log != 0) {
        log++;
    }
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context != NULL) {
        (void)ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, log);
    }
    return context;
}

static bool begin(ri_arrival *a)
{
    a->begun = true;
    ri_hasher_begin(&a->hasher);
    if (a->want.decode == NULL) {
        a->blob = ri_blob_new(a->entry.raw_len);
        a->out = a->blob != NULL ? a->blob->bytes : NULL;
    } else {
        a->out = a->node = ri_alloc(a->entry.raw_len + RI_NODE_PADDING);
    }
    if (a->entry.codec == RI_CODEC_ZSTD) {
        a->context = new_context(a->entry.raw_len);
    }
    return a->out != NULL && (a->entry.codec != RI_CODEC_ZSTD || a->context != NULL);
}

/* Up to `end` bytes. False: zstd cannot, in slices. */
static bool unpack_to(ri_arrival *a, size_t end)
{
    ZSTD_inBuffer in = { a->entry.stored, a->entry.stored_len, a->read };
    ZSTD_outBuffer out = { a->out, end, a->unpacked };
    bool all = end == a->entry.raw_len;
    size_t left = 1;
    while (out.pos < end || (all && left > 0)) {
        size_t before = in.pos + out.pos;
        left = ZSTD_decompressStream(a->context, &out, &in);
        if (ZSTD_isError(left) || (in.pos + out.pos == before && left > 0)) {
            return false;
        }
        if (left == 0 && in.pos == in.size) {
            break;
        }
    }
    a->read = in.pos;
    a->unpacked = out.pos;
    return out.pos == end && (!all || in.pos == in.size);
}

static int unpack_slice(ri_store *store, ri_arrival *a)
{
    size_t left = a->entry.raw_len - a->unpacked;
    size_t end = a->unpacked + (left < SLICE ? left : SLICE);
    if (a->entry.codec == RI_CODEC_RAW) {
        memcpy(a->out + a->unpacked, a->entry.stored + a->unpacked, end - a->unpacked);
        a->unpacked = end;
        return RILLE_OK;
    }
    if (unpack_to(a, end)) {
        return RILLE_OK;
    }
    a->unpacked = a->entry.raw_len;
    return ri_unpack(&store->unpackers, &a->entry, a->out);
}

size_t ri_arrival_work(const ri_arrival *a)
{
    return ri_store_has(a->want.store, RILLE_BACKEND_TRUSTED) ? SLICE / 4 : SLICE;
}

int ri_arrival_step(ri_store *store, ri_arrival *a)
{
    if (!a->begun && !begin(a)) {
        return RILLE_NOMEM;
    }
    bool trusted = ri_store_has(store, RILLE_BACKEND_TRUSTED);
    if (a->unpacked < a->entry.raw_len) {
        RI_TRY(unpack_slice(store, a));
    }
    if (trusted) {
        return a->unpacked < a->entry.raw_len ? RILLE_AGAIN : RILLE_OK;
    }
    size_t left = a->unpacked - a->hashed;
    size_t some = left < SLICE ? left : SLICE;
    ri_hasher_add(&a->hasher, a->out + a->hashed, some);
    a->hashed += some;
    if (a->hashed < a->entry.raw_len) {
        return RILLE_AGAIN;
    }
    uint8_t hash[RI_HASH_SIZE];
    ri_hasher_end(&a->hasher, hash);
    return memcmp(hash, a->want.ref.addr, RI_HASH_SIZE) == 0 ? RILLE_OK : RILLE_CORRUPT;
}
