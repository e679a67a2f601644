/* SPDX-License-Identifier: MIT */
#include "base.h"

#include "schema.h"

#include <string.h>

enum { FLAG_HISTORY = 1, FLAG_READ = 2, FLAG_TAG = 4 };
enum { HINT_UPPER = 1 };

#define REGIONS_MAX 2U
#define PACKS_MAX (RI_ORDER_COUNT + REGIONS_MAX)

ri_base *ri_base_retain(ri_base *base)
{
    if (base != NULL) {
        ri_refs_take(&base->refs);
    }
    return base;
}

void ri_base_release(ri_base *base)
{
    if (base != NULL && ri_refs_drop(&base->refs)) {
        for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
            ri_weak_clear(&base->root[o]);
        }
        ri_free(base->segments);
        ri_free(base->schema_bytes);
        ri_free(base);
    }
}

static ri_base *base_new(void)
{
    ri_base *base = ri_alloc_zero(sizeof *base);
    if (base != NULL) {
        ri_refs_init(&base->refs);
        for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
            base->tree[o].order = (uint8_t)o;
        }
    }
    return base;
}

int ri_base_new_empty(const uint8_t db_id[16], bool keep_history, bool read_flexible, ri_base **out, rille_err *err)
{
    *out = NULL;
    ri_base *base = base_new();
    ri_schema *schema = NULL;
    ri_buf bytes = { 0 };
    int rc = base == NULL ? ri_fail_nomem(err) : ri_schema_bootstrap(read_flexible, &schema, err);
    if (rc == 0) {
        memcpy(base->db_id, db_id, 16);
        base->format = RI_FORMAT_VERSION;
        base->keep_history = keep_history;
        base->read_flexible = read_flexible;
        base->next_e = RI_EID_USER;
        base->next_attr = RI_EID_ATTR;
        ri_schema_write(schema, &bytes);
        base->schema_bytes = ri_buf_take(&bytes, &base->schema_len);
        rc = base->schema_bytes == NULL ? ri_fail_nomem(err) : 0;
    }
    ri_buf_deinit(&bytes);
    ri_schema_release(schema);
    if (rc != 0) {
        ri_base_release(base);
        return rc;
    }
    *out = base;
    return 0;
}

/* ---- writing ---- */

/* Index + 1 of a pack in the table, adding it; 0 for no pack. */
static unsigned pack_index(uint8_t packs[PACKS_MAX][RI_HASH_SIZE], unsigned *count, const uint8_t *pack)
{
    if (ri_addr_is_zero(pack)) {
        return 0;
    }
    for (unsigned i = 0; i < *count; i++) {
        if (memcmp(packs[i], pack, RI_HASH_SIZE) == 0) {
            return i + 1;
        }
    }
    memcpy(packs[*count], pack, RI_HASH_SIZE);
    *count += 1;
    return *count;
}

static void write_tree(const ri_tree *tree, unsigned pack, ri_buf *out)
{
    ri_buf_put_varint(out, tree->height);
    if (tree->height > 0) {
        ri_buf_put_varint(out, tree->count);
        ri_buf_put(out, tree->root.addr, RI_HASH_SIZE);
        ri_buf_put_varint(out, pack);
        ri_buf_put_varint(out, tree->root.offset);
        ri_buf_put_varint(out, tree->root.len);
    }
}

static void write_segments(const ri_base *base, ri_buf *out)
{
    ri_buf_put_varint(out, base->segment_count);
    for (uint32_t i = 0; i < base->segment_count; i++) {
        ri_buf_put(out, base->segments[i].addr, RI_HASH_SIZE);
        ri_buf_put_varint(out, base->segments[i].t_last);
        ri_buf_put_varint(out, base->segments[i].packed ? 1 : 0);
    }
}

static void write_blob_addr(const uint8_t addr[RI_HASH_SIZE], ri_buf *out)
{
    bool is_there = !ri_addr_is_zero(addr);
    ri_buf_put_u8(out, is_there ? 1 : 0);
    ri_buf_put(out, addr, is_there ? RI_HASH_SIZE : 0);
}

static void write_hints(const ri_base *base, ri_buf *out)
{
    uint8_t upper[RI_VARINT_SIZE_MAX];
    size_t len = base->upper_len == 0 ? 0 : ri_put_varint(upper, base->upper_len);
    ri_buf_put_varint(out, len > 0 ? 1 : 0);
    if (len > 0) {
        ri_buf_put_varint(out, HINT_UPPER);
        ri_buf_put_block(out, upper, len);
    }
}

void ri_base_write(const ri_base *base, bool retained, ri_buf *out)
{
    uint8_t packs[PACKS_MAX][RI_HASH_SIZE];
    unsigned index[PACKS_MAX];
    unsigned pack_count = 0;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        index[o] = base->tree[o].height == 0 ? 0 : pack_index(packs, &pack_count, base->tree[o].root.pack);
    }
    for (uint32_t i = 0; i < base->region_count; i++) {
        index[RI_ORDER_COUNT + i] = pack_index(packs, &pack_count, base->regions[i].pack);
    }
    ri_buf_put_u8(out, RI_FORMAT_VERSION);
    ri_buf_put_u8(out, (uint8_t)((base->keep_history ? FLAG_HISTORY : 0) | (base->read_flexible ? FLAG_READ : 0) |
                                 (base->is_tag ? FLAG_TAG : 0)));
    ri_buf_put(out, base->db_id, 16);
    ri_buf_put_varint(out, base->t);
    ri_buf_put_varint(out, ri_zigzag(base->instant));
    ri_buf_put(out, base->commit, RI_HASH_SIZE);
    ri_buf_put_varint(out, base->next_e);
    ri_buf_put_varint(out, base->next_attr);
    ri_buf_put_varint(out, base->epoch);
    ri_buf_put_varint(out, pack_count);
    ri_buf_put(out, packs, (size_t)pack_count * RI_HASH_SIZE);
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        write_tree(&base->tree[o], index[o], out);
    }
    ri_buf_put_varint(out, base->region_count);
    for (uint32_t i = 0; i < base->region_count; i++) {
        ri_buf_put_varint(out, index[RI_ORDER_COUNT + i]);
        ri_buf_put_varint(out, base->regions[i].offset);
        ri_buf_put_varint(out, base->regions[i].len);
    }
    if (retained) {
        ri_buf_put_varint(out, 0);
    } else {
        write_segments(base, out);
    }
    if (!ri_addr_is_zero(base->schema_addr)) {
        write_blob_addr(base->schema_addr, out);
    } else {
        ri_buf_put_u8(out, 0);
        ri_buf_put_block(out, base->schema_bytes, base->schema_len);
    }
    if (retained) {
        ri_buf_put_u8(out, 0);
    } else {
        write_blob_addr(base->attempts_addr, out);
    }
    write_hints(base, out);
}

/* ---- reading ---- */

static void read_hash(ri_reader *in, uint8_t out[RI_HASH_SIZE])
{
    const uint8_t *p = ri_read_bytes(in, RI_HASH_SIZE);
    if (p != NULL) {
        memcpy(out, p, RI_HASH_SIZE);
    }
}

static void read_pack(ri_reader *in, const uint8_t *packs, uint64_t pack_count, uint8_t out[RI_HASH_SIZE])
{
    uint64_t index = ri_read_varint_max(in, pack_count);
    if (!in->bad && index > 0) {
        memcpy(out, packs + (index - 1) * RI_HASH_SIZE, RI_HASH_SIZE);
    }
}

static void read_trees(ri_reader *in, ri_base *base)
{
    uint64_t pack_count = ri_read_varint_max(in, PACKS_MAX);
    const uint8_t *packs = ri_read_bytes(in, (size_t)pack_count * RI_HASH_SIZE);
    for (unsigned o = 0; o < RI_ORDER_COUNT && !in->bad; o++) {
        ri_tree *tree = &base->tree[o];
        tree->height = (uint8_t)ri_read_varint_max(in, RI_TREE_HEIGHT_MAX);
        if (tree->height > 0) {
            tree->count = ri_read_varint(in);
            read_hash(in, tree->root.addr);
            read_pack(in, packs, pack_count, tree->root.pack);
            tree->root.offset = ri_read_varint(in);
            tree->root.len = (uint32_t)ri_read_varint_max(in, UINT32_MAX);
        }
    }
    base->region_count = (uint32_t)ri_read_varint_max(in, REGIONS_MAX);
    for (uint32_t i = 0; i < base->region_count && !in->bad; i++) {
        read_pack(in, packs, pack_count, base->regions[i].pack);
        base->regions[i].offset = ri_read_varint(in);
        base->regions[i].len = ri_read_varint(in);
    }
}

static int read_segments(ri_reader *in, ri_base *base, rille_err *err)
{
    uint64_t count = ri_read_varint_max(in, RI_SEGMENTS_MAX);
    if (in->bad || count * RI_HASH_SIZE > ri_reader_left(in)) {
        in->bad = true;
        return 0;
    }
    base->segments = ri_alloc_array((size_t)count, sizeof *base->segments);
    if (base->segments == NULL) {
        return ri_fail_nomem(err);
    }
    base->segment_count = (uint32_t)count;
    for (uint32_t i = 0; i < base->segment_count; i++) {
        read_hash(in, base->segments[i].addr);
        base->segments[i].t_last = ri_read_varint(in);
        base->segments[i].packed = ri_read_varint_max(in, base->format > 1 ? 1 : 0) == 1;
    }
    return 0;
}

static int read_schema(ri_reader *in, ri_base *base, rille_err *err)
{
    uint8_t where = ri_read_u8(in);
    if (where == 1) {
        read_hash(in, base->schema_addr);
        return 0;
    }
    base->schema_len = (size_t)ri_read_varint_max(in, RI_SCHEMA_INLINE_MAX);
    const uint8_t *bytes = ri_read_bytes(in, base->schema_len);
    if (in->bad || where != 0) {
        in->bad = true;
        return 0;
    }
    base->schema_bytes = ri_alloc(base->schema_len);
    if (base->schema_bytes == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(base->schema_bytes, bytes, base->schema_len);
    return 0;
}

static bool read_upper(const uint8_t *bytes, size_t len, ri_base *base)
{
    ri_reader in = ri_reader_of(bytes, len);
    base->upper_len = base->region_count == 0 ? 0 : ri_read_varint_max(&in, base->regions[0].len);
    return base->upper_len > 0 && !in.bad && ri_reader_left(&in) == 0;
}

/* What format 2 has behind the schema. */
static void read_additions(ri_reader *in, ri_base *base)
{
    uint8_t has_attempts = ri_read_u8(in);
    if (has_attempts == 1) {
        read_hash(in, base->attempts_addr);
    }
    in->bad = has_attempts > 1 || in->bad;
    uint64_t hints = ri_read_varint_max(in, ri_reader_left(in));
    for (uint64_t i = 0; i < hints && !in->bad; i++) {
        uint64_t key = ri_read_varint(in);
        size_t len = (size_t)ri_read_varint_max(in, ri_reader_left(in));
        const uint8_t *bytes = ri_read_bytes(in, len);
        if (key == HINT_UPPER && bytes != NULL) {
            in->bad = !read_upper(bytes, len, base);
        }
    }
}

static int read_version(ri_reader *in, ri_base *base, rille_err *err)
{
    base->format = ri_read_u8(in);
    uint8_t flags = ri_read_u8(in);
    uint8_t known = base->format == 1 ? FLAG_HISTORY | FLAG_READ : FLAG_HISTORY | FLAG_READ | FLAG_TAG;
    if (!in->bad && (base->format == 0 || base->format > RI_FORMAT_VERSION || (flags & ~known) != 0)) {
        return ri_fail(err, RILLE_FORMAT,
                       "the database has format version %u%s, but this version of rille supports %u: use a newer "
                       "version of rille",
                       base->format, base->format == RI_FORMAT_VERSION ? " with additions" : "", RI_FORMAT_VERSION);
    }
    base->keep_history = (flags & FLAG_HISTORY) != 0;
    base->read_flexible = (flags & FLAG_READ) != 0;
    base->is_tag = (flags & FLAG_TAG) != 0;
    return 0;
}

static int read_body(ri_reader *in, ri_base *base, rille_err *err)
{
    RI_TRY(read_version(in, base, err));
    const uint8_t *id = ri_read_bytes(in, 16);
    if (id != NULL) {
        memcpy(base->db_id, id, 16);
    }
    base->t = ri_read_varint_max(in, RI_EID_MAX);
    base->instant = ri_unzigzag(ri_read_varint(in));
    read_hash(in, base->commit);
    base->next_e = ri_read_varint_max(in, RI_EID_MAX);
    base->next_attr = ri_read_varint_max(in, RI_EID_USER);
    base->epoch = base->format > 1 ? ri_read_varint(in) : 0;
    read_trees(in, base);
    RI_TRY(read_segments(in, base, err));
    RI_TRY(read_schema(in, base, err));
    if (base->format > 1) {
        read_additions(in, base);
    }
    bool is_empty = base->instant == 0 && ri_addr_is_zero(base->commit);
    if (in->bad || ri_reader_left(in) != 0 || (base->t == 0 && !is_empty)) {
        return ri_fail(err, RILLE_CORRUPT,
                       "the base record of the branch head is corrupt: restore the head from a backup");
    }
    return 0;
}

int ri_base_read(const uint8_t *body, size_t len, ri_base **out, rille_err *err)
{
    *out = NULL;
    ri_base *base = base_new();
    if (base == NULL) {
        return ri_fail_nomem(err);
    }
    ri_reader in = ri_reader_of(body, len);
    int rc = read_body(&in, base, err);
    if (rc != 0) {
        ri_base_release(base);
        return rc;
    }
    *out = base;
    return 0;
}

int ri_base_copy(const ri_base *base, const struct ri_segment *segments, uint32_t count, ri_base **out, rille_err *err)
{
    ri_buf body = { 0 };
    *out = NULL;
    ri_base_write(base, false, &body);
    int rc = body.failed ? ri_fail_nomem(err) : ri_base_read(body.p, body.len, out, err);
    ri_buf_deinit(&body);
    if (rc != 0 || count == 0) {
        return rc;
    }
    struct ri_segment *all = ri_alloc_array((size_t)base->segment_count + count, sizeof *all);
    if (all == NULL) {
        ri_base_release(*out);
        *out = NULL;
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < base->segment_count + count; i++) {
        all[i] = i < base->segment_count ? base->segments[i] : segments[i - base->segment_count];
    }
    ri_free((*out)->segments);
    (*out)->segments = all;
    (*out)->segment_count += count;
    return 0;
}
