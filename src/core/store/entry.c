/* SPDX-License-Identifier: MIT
 *
 * Stored entries and locator blocks (layouts: entry.h), and zstd. Whatever is read here may have been written by
 * anybody; a length is believed only after it was found plausible.
 */
#include "entry.h"

#include "../base/mem.h"

#include <zstd.h>

#define COMPRESSION_LEVEL 1
#define COMPRESS_LEN_MIN 48U
/* A zstd block of 4 bytes can stand for 128 KiB at most: a larger claim is a lie, found before memory is taken. */
#define EXPANSION_MAX 32768U

bool ri_entry_read(ri_reader *reader, size_t raw_len_max, ri_entry *out)
{
    *out = (ri_entry){ 0 };
    ri_entry entry = { 0 };
    entry.codec = ri_read_u8(reader);
    entry.raw_len = (size_t)ri_read_varint_max(reader, raw_len_max);
    entry.stored_len = (size_t)ri_read_varint_max(reader, SIZE_MAX);
    entry.locators_len = (size_t)ri_read_varint_max(reader, SIZE_MAX);
    entry.stored = ri_read_bytes(reader, entry.stored_len);
    entry.locators = ri_read_bytes(reader, entry.locators_len);
    bool fits = entry.codec == RI_CODEC_RAW
                    ? entry.stored_len == entry.raw_len
                    : entry.codec == RI_CODEC_ZSTD && entry.raw_len / EXPANSION_MAX <= entry.stored_len;
    if (reader->bad || !fits) {
        reader->bad = true;
        return false;
    }
    *out = entry;
    return true;
}

void ri_entry_put_header(ri_buf *buf, const ri_entry *entry)
{
    ri_buf_put_u8(buf, entry->codec);
    ri_buf_put_varint(buf, entry->raw_len);
    ri_buf_put_varint(buf, entry->stored_len);
    ri_buf_put_varint(buf, entry->locators_len);
}

void ri_packer_deinit(ri_packer *packer)
{
    (void)ZSTD_freeCCtx(packer->context);
    ri_buf_deinit(&packer->scratch);
    *packer = (ri_packer){ 0 };
}

/* Do some bytes occur much more often than others? Else no code of bytes can save a sixteenth: of evenly spread ones, two
 * are the same in 1 of 256 cases; where they are in 1.2 of 256, a code needs 7.7 bits a byte or more. (That pairs bound
 * the entropy: Renyi, On measures of entropy and information, 1961.) A sample decides; its stride is odd, so that it
 * meets all bytes of words. Packed columns of ids, codes and numbers are mostly even, and zstd would look in vain. */
static bool is_uneven(const uint8_t *bytes, size_t len)
{
    enum { SAMPLE = 512, SAMPLE_MIN = 64 };
    uint16_t counts[256] = { 0 };
    size_t stride = ((len + SAMPLE - 1) / SAMPLE) | 1U;
    uint32_t n = 0;
    uint32_t pairs = 0; /* ordered, of equal bytes */
    for (size_t i = 0; i < len && n < SAMPLE; i += stride, n++) {
        pairs += 2U * counts[bytes[i]]++;
    }
    return n < SAMPLE_MIN || pairs * UINT64_C(256) * 5 > (uint64_t)n * (n - 1) * 6;
}

/* What saves less than a quarter is not worth a decompression at each read: bytes that hardly repeat cost the most, 14
 * instructions each, as in segments of small transactions, half of which are commit ids. */
static bool is_worth(size_t packed_len, size_t len)
{
    return packed_len < len - len / 4;
}

int ri_packer_pack(ri_packer *packer, const uint8_t *bytes, size_t len, ri_entry *out, rille_err *err)
{
    *out = (ri_entry){ .codec = RI_CODEC_RAW, .stored = bytes, .stored_len = len, .raw_len = len };
    if (packer->plain || len < COMPRESS_LEN_MIN || !is_uneven(bytes, len)) {
        return RILLE_OK;
    }
    if (packer->context == NULL && (packer->context = ZSTD_createCCtx()) == NULL) {
        return ri_fail_nomem(err);
    }
    ri_buf_clear(&packer->scratch);
    size_t bound = ZSTD_compressBound(len);
    uint8_t *to = ri_buf_reserve(&packer->scratch, bound);
    if (to == NULL) {
        return ri_fail_nomem(err);
    }
    size_t packed_len = ZSTD_compressCCtx(packer->context, to, bound, bytes, len, COMPRESSION_LEVEL);
    if (!ZSTD_isError(packed_len) && is_worth(packed_len, len)) {
        out->codec = RI_CODEC_ZSTD;
        out->stored = to;
        out->stored_len = packed_len;
    }
    return RILLE_OK;
}

#define PACK_SLICE ((size_t)128 * 1024) /* a block of zstd */

/* Begins a frame that says how long it is, as ZSTD_compressCCtx does. */
static int begin_slices(ri_packer *packer, size_t len, rille_err *err)
{
    if (packer->context == NULL && (packer->context = ZSTD_createCCtx()) == NULL) {
        return ri_fail_nomem(err);
    }
    ri_buf_clear(&packer->scratch);
    bool good = !ZSTD_isError(ZSTD_CCtx_reset(packer->context, ZSTD_reset_session_and_parameters)) &&
                !ZSTD_isError(ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL)) &&
                !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(packer->context, len));
    return good ? RILLE_OK : ri_fail(err, RILLE_INTERNAL, "zstd cannot begin a frame of %zu bytes", len);
}

int ri_packer_pack_slice(ri_packer *packer, const uint8_t *bytes, size_t len, size_t *at, ri_entry *out, rille_err *err)
{
    if (packer->plain || len <= PACK_SLICE) {
        *at = len;
        return ri_packer_pack(packer, bytes, len, out, err);
    }
    RI_TRY(*at == 0 ? begin_slices(packer, len, err) : RILLE_OK);
    size_t some = len - *at < PACK_SLICE ? len - *at : PACK_SLICE;
    bool is_last = some == len - *at;
    size_t bound = ZSTD_compressBound(some) + PACK_SLICE; /* it may hold back a block, but no more */
    ZSTD_inBuffer in = { bytes + *at, some, 0 };
    size_t left;
    do {
        uint8_t *to = ri_buf_reserve(&packer->scratch, bound);
        if (to == NULL) {
            return ri_fail_nomem(err);
        }
        ZSTD_outBuffer packed = { to, bound, 0 };
        left = ZSTD_compressStream2(packer->context, &packed, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            return ri_fail_nomem(err);
        }
        packer->scratch.len += packed.pos;
    } while (in.pos < in.size || (is_last && left > 0));
    *at += some;
    if (!is_last) {
        return RILLE_AGAIN;
    }
    *out = (ri_entry){ .codec = RI_CODEC_RAW, .stored = bytes, .stored_len = len, .raw_len = len };
    if (is_worth(packer->scratch.len, len)) {
        out->codec = RI_CODEC_ZSTD;
        out->stored = packer->scratch.p;
        out->stored_len = packer->scratch.len;
    }
    return RILLE_OK;
}

void ri_unpackers_init(ri_unpackers *unpackers)
{
    unpackers->count = 0;
    ri_mutex_init(&unpackers->lock);
}

void ri_unpackers_deinit(ri_unpackers *unpackers)
{
    while (unpackers->count > 0) {
        (void)ZSTD_freeDCtx(unpackers->contexts[--unpackers->count]);
    }
    ri_mutex_deinit(&unpackers->lock);
}

static ZSTD_DCtx *take_context(ri_unpackers *unpackers)
{
    ZSTD_DCtx *context = NULL;
    ri_mutex_lock(&unpackers->lock);
    if (unpackers->count > 0) {
        context = unpackers->contexts[--unpackers->count];
    }
    ri_mutex_unlock(&unpackers->lock);
    return context != NULL ? context : ZSTD_createDCtx();
}

static void give_context(ri_unpackers *unpackers, ZSTD_DCtx *context)
{
    ri_mutex_lock(&unpackers->lock);
    if (unpackers->count < RI_UNPACKERS_MAX) {
        unpackers->contexts[unpackers->count++] = context;
        context = NULL;
    }
    ri_mutex_unlock(&unpackers->lock);
    (void)ZSTD_freeDCtx(context);
}

int ri_unpack(ri_unpackers *unpackers, const ri_entry *entry, uint8_t *out)
{
    if (entry->codec == RI_CODEC_RAW) {
        if (entry->raw_len > 0) {
            memcpy(out, entry->stored, entry->raw_len);
        }
        return RILLE_OK;
    }
    ZSTD_DCtx *context = take_context(unpackers);
    if (context == NULL) {
        return RILLE_NOMEM;
    }
    size_t len = ZSTD_decompressDCtx(context, out, entry->raw_len, entry->stored, entry->stored_len);
    give_context(unpackers, context);
    return !ZSTD_isError(len) && len == entry->raw_len ? RILLE_OK : RILLE_CORRUPT;
}

/* ---- locators ---- */

static bool has_locator(const ri_noderef *ref)
{
    return ref->len > 0;
}

/* The number of the child's pack, added to the table when it is new. Neighbours mostly share a pack. */
static size_t table_index(ri_buf *table, const ri_noderef *ref, size_t hint)
{
    size_t count = table->len / RI_HASH_SIZE;
    if (hint < count && memcmp(table->p + hint * RI_HASH_SIZE, ref->pack, RI_HASH_SIZE) == 0) {
        return hint;
    }
    for (size_t i = 0; i < count; i++) {
        if (memcmp(table->p + i * RI_HASH_SIZE, ref->pack, RI_HASH_SIZE) == 0) {
            return i;
        }
    }
    ri_buf_put(table, ref->pack, RI_HASH_SIZE);
    return count;
}

void ri_locators_put(ri_buf *buf, const ri_noderef *children, size_t child_count)
{
    ri_buf table = { 0 };
    ri_buf rows = { 0 };
    size_t last_k = 0;
    uint64_t last_end = 0;
    for (size_t i = 0; i < child_count; i++) {
        const ri_noderef *ref = &children[i];
        if (!has_locator(ref)) {
            ri_buf_put_varint(&rows, 0);
            continue;
        }
        size_t k = ri_addr_is_zero(ref->pack) ? 1 : 2 + table_index(&table, ref, last_k < 2 ? 0 : last_k - 2);
        uint64_t base = k == last_k ? last_end : 0;
        ri_buf_put_varint(&rows, k);
        ri_buf_put_varint(&rows, ri_zigzag((int64_t)(ref->offset - base)));
        ri_buf_put_varint(&rows, ref->len);
        last_k = k;
        last_end = ref->offset + ref->len;
    }
    ri_buf_put_varint(buf, table.len / RI_HASH_SIZE);
    ri_buf_put(buf, table.p, table.len);
    ri_buf_put(buf, rows.p, rows.len);
    buf->failed = buf->failed || table.failed || rows.failed;
    ri_buf_deinit(&table);
    ri_buf_deinit(&rows);
}

static bool read_children(ri_reader *reader, const ri_noderef *self, size_t child_count, ri_noderef *children)
{
    size_t pack_count = (size_t)ri_read_varint_max(reader, ri_reader_left(reader) / RI_HASH_SIZE);
    const uint8_t *table = ri_read_bytes(reader, pack_count * RI_HASH_SIZE);
    uint64_t last_k = 0;
    uint64_t last_end = 0;
    for (size_t i = 0; i < child_count && !reader->bad; i++) {
        ri_noderef *ref = &children[i];
        uint64_t k = ri_read_varint_max(reader, pack_count + 1);
        if (k == 0 || reader->bad) {
            continue;
        }
        uint64_t base = k == last_k ? last_end : 0;
        ref->offset = base + (uint64_t)ri_unzigzag(ri_read_varint(reader));
        ref->len = (uint32_t)ri_read_varint_max(reader, UINT32_MAX);
        memcpy(ref->pack, k == 1 ? self->pack : table + (k - 2) * RI_HASH_SIZE, RI_HASH_SIZE);
        last_k = k;
        last_end = ref->offset + ref->len;
    }
    return !reader->bad && ri_reader_left(reader) == 0;
}

static void forget_locators(ri_noderef *children, size_t child_count)
{
    for (size_t i = 0; i < child_count; i++) {
        memset(children[i].pack, 0, RI_HASH_SIZE);
        children[i].offset = 0;
        children[i].len = 0;
    }
}

int ri_locators_read(const uint8_t *block, size_t len, const ri_noderef *self, size_t child_count, ri_noderef *children)
{
    forget_locators(children, child_count);
    if (len == 0) {
        return RILLE_OK;
    }
    ri_reader reader = ri_reader_of(block, len);
    if (!read_children(&reader, self, child_count, children)) {
        forget_locators(children, child_count);
    }
    return RILLE_OK;
}
