/* SPDX-License-Identifier: MIT
 *
 * Collects the nodes and blobs of one commit.
 *
 * Packs: leaves are appended to the open pack as they come; a pack that reached its target is put at once. Branches
 * wait, because their locator blocks name places that are known only later; the seal appends them, children before
 * parents, as one region at the end of the last pack: first those right above leaves, then the upper levels, which are
 * the roots and all branches above branches. Rows: every node is an object of its own, put in batches. The last pack,
 * the last rows and the last blobs go with the head.
 *
 * (N1) A node is in `nodes` once; `pack` is the ordinal of its pack, ids of packs up to pack_count are known.
 * (N2) After the seal no branch waits and the open pack is closed.
 * (N3) Once a call failed, the writer only fails.
 */
#include "../base/mem.h"
#include "task.h"
#include "writer_own.h"
#include "writers.h"

/* Pending rows and blobs beyond this are put without waiting for the head. */
#define PENDING_BYTES_MAX ((size_t)8 << 20)

static int check_writable(const ri_store *store, rille_err *err)
{
    return ri_store_has(store, RILLE_BACKEND_READONLY)
               ? ri_fail(err, RILLE_READONLY, "%s: this storage is read-only: write to its directory or bucket",
                         ri_store_url(store))
               : RILLE_OK;
}

int ri_writer_new(ri_store *store, ri_writer **out, rille_err *err)
{
    *out = NULL;
    RI_TRY(check_writable(store, err));
    ri_writer *writer = ri_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return ri_fail_nomem(err);
    }
    ri_refs_init(&writer->refs);
    writer->store = ri_store_retain(store);
    writer->rows = ri_store_has(store, RILLE_BACKEND_ROWS);
    writer->packer.plain = ri_store_has(store, RILLE_BACKEND_PLAIN);
    writer->pack_bytes_max = RI_PACK_BYTES_TARGET;
    writer->pending_bytes_max = PENDING_BYTES_MAX;
    *out = writer;
    return RILLE_OK;
}

ri_writer *ri_writer_retain(ri_writer *writer)
{
    ri_refs_take(&writer->refs);
    return writer;
}

void ri_writer_release(ri_writer *writer)
{
    if (writer == NULL || !ri_refs_drop(&writer->refs)) {
        return;
    }
    ri_store_release(writer->store);
    ri_packer_deinit(&writer->packer);
    ri_map64_deinit(&writer->by_addr);
    ri_buf_deinit(&writer->pack);
    ri_buf_deinit(&writer->branch_bytes);
    ri_buf_deinit(&writer->pending_bytes);
    while (writer->full_count > 0) {
        ri_buf_deinit(&writer->full[--writer->full_count].bytes);
    }
    ri_free(writer->full);
    ri_free(writer->nodes);
    ri_free(writer->packs);
    ri_free(writer->branches);
    ri_free(writer->branch_children);
    ri_free(writer->pending);
    ri_free(writer->puts);
    ri_free(writer);
}

static int failed(ri_writer *writer, int rc)
{
    writer->failed_rc = rc;
    return rc;
}

static int check_open(const ri_writer *writer, rille_err *err)
{
    if (writer->failed_rc != RILLE_OK) {
        return ri_fail(err, writer->failed_rc, "%s: an earlier write of this commit failed", writer->store->url);
    }
    return RILLE_OK;
}

/* ---- what was written ---- */

ri_written_node *ri_writer_find(const ri_writer *writer, const uint8_t addr[RI_HASH_SIZE])
{
    const uint64_t *head = ri_map64_get(&writer->by_addr, ri_load_u64(addr));
    for (uint64_t number = head == NULL ? 0 : *head; number != 0;) {
        ri_written_node *node = &writer->nodes[number - 1];
        if (memcmp(node->addr, addr, RI_HASH_SIZE) == 0) {
            return node;
        }
        number = node->next;
    }
    return NULL;
}

static int add_node(ri_writer *writer, const uint8_t addr[RI_HASH_SIZE], uint64_t offset, uint32_t len, rille_err *err)
{
    bool added;
    uint64_t *head = NULL;
    if (!RI_GROW(&writer->nodes, &writer->node_cap, writer->node_count + 1) ||
        (head = ri_map64_put(&writer->by_addr, ri_load_u64(addr), &added)) == NULL) {
        return ri_fail_nomem(err);
    }
    ri_written_node *node = &writer->nodes[writer->node_count++];
    *node = (ri_written_node){ .offset = offset, .len = len, .pack = (uint32_t)writer->pack_count, .next = *head };
    memcpy(node->addr, addr, RI_HASH_SIZE);
    *head = writer->node_count;
    return RILLE_OK;
}

void ri_writer_resolve(const ri_writer *writer, ri_noderef *ref)
{
    if (writer->rows) {
        return;
    }
    const ri_written_node *node = ri_writer_find(writer, ref->addr);
    if (node != NULL && node->len > 0 && node->pack < writer->pack_count) {
        memcpy(ref->pack, writer->packs[node->pack].id, RI_HASH_SIZE);
        ref->offset = node->offset;
        ref->len = node->len;
    }
}

/* ---- rows and blobs ---- */

/* The pending objects, in writer->puts, with room for `extra` more. The array stays: the second run of a swap, which asks
 * for its answer, needs no memory. */
static int list_puts(ri_writer *writer, size_t extra, rille_err *err)
{
    if (!RI_GROW(&writer->puts, &writer->put_cap, writer->pending_count + extra + 1)) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < writer->pending_count; i++) {
        const ri_pending_object *object = &writer->pending[i];
        writer->puts[i] = (rille_put){ object->object, writer->pending_bytes.p + object->offset, object->len };
    }
    return 0;
}

static void forget_pending(ri_writer *writer)
{
    writer->put_bytes += writer->pending_bytes.len;
    writer->pending_count = 0;
    ri_buf_clear(&writer->pending_bytes);
    if (writer->pending_bytes.cap > 2 * PENDING_BYTES_MAX) {
        ri_buf_deinit(&writer->pending_bytes);
    }
}

static int put_pending(ri_writer *writer, rille_err *err)
{
    RI_TRY(list_puts(writer, 0, err));
    int rc = ri_store_put_many(writer->store, writer->puts, writer->pending_count, err);
    if (rc == RILLE_OK) {
        forget_pending(writer);
    }
    return rc;
}

static int add_pending(ri_writer *writer, rille_object_kind kind, const uint8_t id[RI_HASH_SIZE], const ri_entry *entry,
                       rille_err *err)
{
    if (!RI_GROW(&writer->pending, &writer->pending_cap, writer->pending_count + 1)) {
        return ri_fail_nomem(err);
    }
    ri_pending_object *object = &writer->pending[writer->pending_count];
    object->object.kind = (uint8_t)kind;
    object->offset = writer->pending_bytes.len;
    memcpy(object->object.id, id, RI_HASH_SIZE);
    ri_entry_put_header(&writer->pending_bytes, entry);
    ri_buf_put(&writer->pending_bytes, entry->stored, entry->stored_len);
    if (writer->pending_bytes.failed) {
        return ri_fail_nomem(err);
    }
    object->len = writer->pending_bytes.len - object->offset;
    writer->pending_count++;
    bool waits = writer->pending_bytes.len < writer->pending_bytes_max || ri_task_running() != NULL;
    return waits ? RILLE_OK : put_pending(writer, err);
}

/* ---- packs ---- */

static void fill_pack_rows(const ri_writer *writer, ri_pack_row *rows)
{
    size_t count = 0;
    for (size_t i = writer->pack_first_node; i < writer->node_count; i++) {
        const ri_written_node *node = &writer->nodes[i];
        if (node->pack == writer->pack_count && node->len > 0) {
            memcpy(rows[count].addr, node->addr, RI_HASH_SIZE);
            rows[count].offset = node->offset;
            rows[count].len = node->len;
            count++;
        }
    }
    RI_ASSERT(count == writer->pack_node_count);
}

/* Footer and id: the open pack becomes number pack_count. */
static int close_pack(ri_writer *writer, rille_err *err)
{
    ri_pack_row *rows = ri_alloc_array(writer->pack_node_count, sizeof *rows);
    if (rows == NULL || !RI_GROW(&writer->packs, &writer->pack_cap, writer->pack_count + 1)) {
        ri_free(rows);
        return ri_fail_nomem(err);
    }
    fill_pack_rows(writer, rows);
    ri_pack_finish(&writer->pack, rows, writer->pack_node_count, writer->branch_offset, writer->branch_len);
    ri_free(rows);
    if (writer->pack.failed) {
        return ri_fail_nomem(err);
    }
    ri_blake2b(writer->packs[writer->pack_count].id, writer->pack.p, writer->pack.len);
    writer->pack_count++;
    writer->pack_node_count = 0;
    return RILLE_OK;
}

static rille_put last_pack(const ri_writer *writer)
{
    rille_put put = { { .kind = RILLE_OBJECT_PACK }, writer->pack.p, writer->pack.len };
    memcpy(put.object.id, writer->packs[writer->pack_count - 1].id, RI_HASH_SIZE);
    return put;
}

/* The pack that was closed last is still to be put. */
static int keep_pack(ri_writer *writer, rille_err *err)
{
    if (!RI_GROW(&writer->full, &writer->full_cap, writer->full_count + 1)) {
        return ri_fail_nomem(err);
    }
    struct ri_full_pack *full = &writer->full[writer->full_count++];
    *full = (struct ri_full_pack){ .bytes = writer->pack };
    memcpy(full->id, writer->packs[writer->pack_count - 1].id, RI_HASH_SIZE);
    writer->pack = (ri_buf){ 0 };
    return RILLE_OK;
}

/* Closes the open pack and puts it, so that the next can be begun. */
static int put_pack(ri_writer *writer, rille_err *err)
{
    RI_TRY(close_pack(writer, err));
    if (ri_task_running() != NULL) {
        RI_TRY(keep_pack(writer, err));
    } else {
        rille_put put = last_pack(writer);
        RI_TRY(ri_store_put_many(writer->store, &put, 1, err));
        writer->put_bytes += writer->pack.len;
    }
    writer->pack_first_node = writer->node_count;
    ri_buf_clear(&writer->pack);
    return RILLE_OK;
}

static rille_put full_pack(const struct ri_full_pack *full)
{
    rille_put put = { { .kind = RILLE_OBJECT_PACK }, full->bytes.p, full->bytes.len };
    memcpy(put.object.id, full->id, RI_HASH_SIZE);
    return put;
}

int ri_writer_put_full(ri_writer *writer, rille_err *err)
{
    if (writer->full_count > 0) {
        struct ri_full_pack *last = &writer->full[writer->full_count - 1];
        rille_put put = full_pack(last);
        RI_TRY(ri_store_put_many(writer->store, &put, 1, err));
        writer->put_bytes += last->bytes.len;
        ri_buf_deinit(&last->bytes);
        writer->full_count--;
        return RILLE_AGAIN;
    }
    if (writer->pending_bytes.len >= writer->pending_bytes_max) {
        RI_TRY(put_pending(writer, err));
        return RILLE_AGAIN;
    }
    return RILLE_OK;
}

/* Room for `more` bytes and their row in the open pack, which is begun if there is none. */
static int reach_pack(ri_writer *writer, size_t more, rille_err *err)
{
    size_t rows_len = (writer->pack_node_count + 1) * RI_PACK_ROW_SIZE + RI_PACK_TRAILER_SIZE;
    if (writer->pack_node_count > 0 && writer->pack.len + rows_len + more > writer->pack_bytes_max) {
        RI_TRY(put_pack(writer, err));
    }
    if (writer->pack.len == 0) {
        ri_pack_begin(&writer->pack);
    }
    return RILLE_OK;
}

static int add_leaf(ri_writer *writer, const ri_entry *entry, const uint8_t addr[RI_HASH_SIZE], rille_err *err)
{
    RI_TRY(reach_pack(writer, RI_ENTRY_HEADER_MAX + entry->stored_len, err));
    uint64_t offset = writer->pack.len;
    ri_entry_put_header(&writer->pack, entry);
    ri_buf_put(&writer->pack, entry->stored, entry->stored_len);
    if (writer->pack.failed) {
        return ri_fail_nomem(err);
    }
    writer->pack_node_count++;
    return add_node(writer, addr, offset, (uint32_t)(writer->pack.len - offset), err);
}

static int add_branch(ri_writer *writer, const ri_entry *entry, unsigned level, const uint8_t addr[RI_HASH_SIZE],
                      const ri_noderef *children, size_t child_count, rille_err *err)
{
    if (!RI_GROW(&writer->branches, &writer->branch_cap, writer->branch_count + 1) ||
        !RI_GROW(&writer->branch_children, &writer->branch_child_cap, writer->branch_child_count + child_count)) {
        return ri_fail_nomem(err);
    }
    ri_waiting_branch *branch = &writer->branches[writer->branch_count];
    *branch = (ri_waiting_branch){ .node = writer->node_count,
                                   .bytes = writer->branch_bytes.len,
                                   .stored_len = entry->stored_len,
                                   .raw_len = entry->raw_len,
                                   .children = writer->branch_child_count,
                                   .child_count = child_count,
                                   .level = level,
                                   .codec = entry->codec };
    ri_buf_put(&writer->branch_bytes, entry->stored, entry->stored_len);
    if (writer->branch_bytes.failed) {
        return ri_fail_nomem(err);
    }
    if (child_count > 0) {
        memcpy(writer->branch_children + writer->branch_child_count, children, child_count * sizeof *children);
    }
    RI_TRY(add_node(writer, addr, writer->branch_count, 0, err));
    writer->branch_child_count += child_count;
    writer->branch_count++;
    return RILLE_OK;
}

/* ---- nodes and blobs ---- */

static int write_node(ri_writer *writer, unsigned level, const uint8_t *bytes, size_t len, const ri_noderef *children,
                      size_t child_count, const uint8_t addr[RI_HASH_SIZE], rille_err *err)
{
    ri_entry entry;
    RI_TRY(ri_packer_pack(&writer->packer, bytes, len, &entry, err));
    if (writer->rows) {
        RI_TRY(add_node(writer, addr, 0, 0, err));
        return add_pending(writer, RILLE_OBJECT_NODE, addr, &entry, err);
    }
    return level == 0 ? add_leaf(writer, &entry, addr, err)
                      : add_branch(writer, &entry, level, addr, children, child_count, err);
}

int ri_writer_put_node(ri_writer *writer, unsigned level, const uint8_t *bytes, size_t len, const ri_noderef *children,
                       size_t child_count, ri_noderef *out, rille_err *err)
{
    *out = (ri_noderef){ 0 };
    RI_TRY(check_open(writer, err));
    if (writer->sealed) {
        return ri_fail(err, RILLE_MISUSE, "%s: a node was added after the writer was sealed", writer->store->url);
    }
    if (len > RI_NODE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "%s: a node is too long: %zu bytes (the maximum is %zu)", writer->store->url,
                       len, RI_NODE_BYTES_MAX);
    }
    uint8_t addr[RI_HASH_SIZE];
    ri_blake2b(addr, bytes, len);
    if (ri_writer_find(writer, addr) == NULL) {
        int rc = write_node(writer, level, bytes, len, children, child_count, addr, err);
        if (rc != RILLE_OK) {
            return failed(writer, rc);
        }
    }
    memcpy(out->addr, addr, RI_HASH_SIZE);
    ri_writer_resolve(writer, out);
    return RILLE_OK;
}

bool ri_writer_next_kept(const ri_writer *writer, unsigned level_min, ri_kept_cursor *at, ri_noderef *out)
{
    for (; at->branch < writer->branch_count; at->branch++, at->child = 0) {
        const ri_waiting_branch *branch = &writer->branches[at->branch];
        while (branch->level > level_min && at->child < branch->child_count) {
            const ri_noderef *child = &writer->branch_children[branch->children + at->child++];
            if (ri_writer_find(writer, child->addr) == NULL) {
                *out = *child;
                return true;
            }
        }
    }
    return false;
}

#define HASH_SLICE ((size_t)128 * 1024)

static void hash_slice(struct ri_blob_put *blob, const uint8_t *bytes, size_t len)
{
    size_t some = len - blob->hashed < HASH_SLICE ? len - blob->hashed : HASH_SLICE;
    if (blob->hashed == 0) {
        ri_hasher_begin(&blob->hasher);
    }
    ri_hasher_add(&blob->hasher, bytes + blob->hashed, some);
    blob->hashed += some;
}

int ri_writer_put_blob_step(ri_writer *writer, const uint8_t *bytes, size_t len, uint8_t addr[RI_HASH_SIZE],
                            rille_err *err)
{
    struct ri_blob_put *blob = &writer->blob;
    ri_entry entry;
    memset(addr, 0, RI_HASH_SIZE);
    RI_TRY(check_open(writer, err));
    if (len > RI_BLOB_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "%s: a value is too long: %zu bytes (the maximum is %zu)", writer->store->url,
                       len, RI_BLOB_BYTES_MAX);
    }
    if (blob->hashed < len || len == 0) {
        hash_slice(blob, bytes, len);
        if (len > HASH_SLICE) {
            return RILLE_AGAIN;
        }
    }
    int rc = ri_packer_pack_slice(&writer->packer, bytes, len, &blob->packed, &entry, err);
    if (rc == RILLE_AGAIN) {
        return rc;
    }
    uint8_t hash[RI_HASH_SIZE];
    ri_hasher_end(&blob->hasher, hash);
    rc = rc == RILLE_OK ? add_pending(writer, RILLE_OBJECT_BLOB, hash, &entry, err) : rc;
    *blob = (struct ri_blob_put){ 0 };
    if (rc != RILLE_OK) {
        return failed(writer, rc);
    }
    memcpy(addr, hash, RI_HASH_SIZE);
    return RILLE_OK;
}

int ri_writer_put_blob(ri_writer *writer, const uint8_t *bytes, size_t len, uint8_t addr[RI_HASH_SIZE], rille_err *err)
{
    int rc;
    do {
        rc = ri_writer_put_blob_step(writer, bytes, len, addr, err);
    } while (rc == RILLE_AGAIN);
    return rc;
}

/* ---- the seal ---- */

static int seal_packs(ri_writer *writer, rille_err *err)
{
    int rc = RILLE_OK;
    if (writer->branch_count > 0) {
        rc = reach_pack(writer, writer->branch_bytes.len + writer->branch_child_count * 8, err);
        writer->pack_first_node = 0; /* waiting branches have small numbers */
        rc = rc == RILLE_OK ? ri_writer_place_branches(writer, err) : rc;
    }
    if (rc == RILLE_OK && writer->pack_node_count > 0) {
        rc = close_pack(writer, err);
        writer->pack_pending = rc == RILLE_OK;
    }
    return rc;
}

int ri_writer_seal(ri_writer *writer, rille_err *err)
{
    RI_TRY(check_open(writer, err));
    if (writer->sealed) {
        return RILLE_OK;
    }
    int rc = writer->rows ? RILLE_OK : seal_packs(writer, err);
    if (rc != RILLE_OK) {
        return failed(writer, rc);
    }
    writer->sealed = true;
    writer->branch_count = 0;
    writer->branch_child_count = 0;
    ri_buf_deinit(&writer->branch_bytes);
    return RILLE_OK;
}

/* All packs were put. */
static void forget_pack(ri_writer *writer)
{
    while (writer->full_count > 0) {
        ri_buf *full = &writer->full[--writer->full_count].bytes;
        writer->put_bytes += full->len;
        ri_buf_deinit(full);
    }
    writer->put_bytes += writer->pack_pending ? writer->pack.len : 0;
    writer->pack_pending = false;
    ri_buf_deinit(&writer->pack);
}

int ri_writer_store(ri_writer *writer, rille_err *err)
{
    RI_TRY(ri_writer_seal(writer, err));
    RI_TRY(ri_writer_put_full(writer, err));
    if (writer->pack_pending) {
        rille_put put = last_pack(writer);
        RI_TRY(ri_store_put_many(writer->store, &put, 1, err));
        forget_pack(writer);
        return RILLE_AGAIN;
    }
    return writer->pending_count > 0 ? put_pending(writer, err) : RILLE_OK;
}

void ri_writer_branch_region(const ri_writer *writer, uint8_t pack[RI_HASH_SIZE], uint64_t *offset, uint64_t *len,
                             uint64_t *upper_len)
{
    memset(pack, 0, RI_HASH_SIZE);
    *offset = *len = *upper_len = 0;
    if (writer->sealed && writer->branch_len > 0) {
        memcpy(pack, writer->packs[writer->pack_count - 1].id, RI_HASH_SIZE);
        *offset = writer->branch_offset;
        *len = writer->branch_len;
        *upper_len = writer->upper_len;
    }
}

uint64_t ri_writer_bytes(const ri_writer *writer)
{
    uint64_t full_bytes = 0;
    for (size_t i = 0; i < writer->full_count; i++) {
        full_bytes += writer->full[i].bytes.len;
    }
    return writer->put_bytes + full_bytes + writer->pack.len + writer->branch_bytes.len + writer->pending_bytes.len;
}

/* ---- with the head ---- */

static size_t count_puts(const ri_writer *writer)
{
    return writer->pending_count + writer->full_count + (writer->pack_pending ? 1 : 0);
}

/* Lists what it still holds, with room for `extra` more. */
static int list_all(ri_writer *writer, size_t extra, rille_err *err)
{
    RI_TRY(list_puts(writer, writer->full_count + 1 + extra, err));
    rille_put *put = writer->puts + writer->pending_count;
    for (size_t i = 0; i < writer->full_count; i++) {
        *put++ = full_pack(&writer->full[i]);
    }
    if (writer->pack_pending) {
        *put = last_pack(writer);
    }
    return 0;
}

/* Seals them all. The list of the first one gets the others' things, too. */
static int list_of_all(ri_writer *const *writers, size_t count, size_t *put_count, rille_err *err)
{
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        RI_TRY(ri_writer_seal(writers[i], err));
        others += i > 0 ? count_puts(writers[i]) : 0;
    }
    RI_TRY(list_all(writers[0], others, err));
    *put_count = count_puts(writers[0]);
    for (size_t i = 1; i < count; i++) {
        RI_TRY(list_all(writers[i], 0, err));
        for (size_t k = 0; k < count_puts(writers[i]); k++) {
            writers[0]->puts[(*put_count)++] = writers[i]->puts[k];
        }
    }
    return 0;
}

int ri_store_head_swap_all(ri_store *store, const rille_head_swap *swap, ri_writer *const *writers, size_t count,
                           rille_revision *revision, rille_err *err)
{
    *revision = (rille_revision){ 0 };
    RI_TRY(check_writable(store, err));
    if (count == 0) {
        return ri_store_swap_head(store, swap, revision, err);
    }
    rille_head_swap whole = *swap;
    RI_TRY(list_of_all(writers, count, &whole.put_count, err));
    whole.puts = writers[0]->puts;
    int rc = ri_store_swap_head(store, &whole, revision, err);
    for (size_t i = 0; i < count && rc == RILLE_OK; i++) { /* a lost race keeps all for the next attempt */
        forget_pack(writers[i]);
        forget_pending(writers[i]);
    }
    return rc;
}

int ri_store_head_swap(ri_store *store, const rille_head_swap *swap, ri_writer *writer, rille_revision *revision,
                       rille_err *err)
{
    return ri_store_head_swap_all(store, swap, &writer, writer != NULL ? 1 : 0, revision, err);
}
