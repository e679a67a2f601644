/* SPDX-License-Identifier: MIT
 *
 * Packs, stored entries and locator blocks from anybody. layer: store
 *
 * The input is a whole pack. It is served by a backend that has this pack alone; every node of its footer is read, by
 * its own locator and without one, its regions are warmed, and children are followed as far as locators lead.
 */
#include "../src/core/base/mem.h"
#include "../src/core/store/entry.h"
#include "../src/core/store/pack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define NODES_MAX 64
#define CHILDREN_MAX 32

typedef struct input {
    const uint8_t *bytes;
    size_t len;
} input;

/* ---- a backend with one pack ---- */

static int get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    const input *in = self;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        rille_get *get = &gets[i];
        get->bytes = NULL;
        get->bytes_len = 0;
        get->rc = RILLE_NOTFOUND;
        if (get->object.kind != RILLE_OBJECT_PACK) {
            continue;
        }
        get->rc = RILLE_CORRUPT;
        if (get->offset <= in->len && in->len - get->offset >= get->len) {
            size_t n = get->len == 0 ? in->len - (size_t)get->offset : (size_t)get->len;
            get->bytes = ri_alloc(n);
            get->bytes_len = get->bytes == NULL ? 0 : n;
            get->rc = get->bytes == NULL ? RILLE_NOMEM : RILLE_OK;
            if (get->bytes != NULL && n > 0) {
                memcpy(get->bytes, in->bytes + get->offset, n);
            }
        }
    }
    return RILLE_OK;
}

static int list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    (void)self;
    *ids = ri_alloc_zero(sizeof **ids);
    *count = *ids == NULL ? 0 : 1;
    if (*ids == NULL) {
        return ri_fail_nomem(err);
    }
    (*ids)->kind = (uint8_t)kind;
    (*ids)->id[0] = 1;
    return RILLE_OK;
}

static void close_nothing(void *self)
{
    (void)self;
}

static const rille_backend_ops ops = { .get_many = get_many, .list = list, .close = close_nothing };

/* ---- a node that has the first of its bytes as children ---- */

typedef struct node {
    ri_object object;
    size_t child_count;
    ri_noderef children[CHILDREN_MAX];
} node;

static void destroy_node(ri_object *object)
{
    ri_free(object);
}

static int decode_node(const ri_decode_input *in, ri_object **out, rille_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < RI_NODE_PADDING; i++) {
        RI_ASSERT(in->bytes[in->len + i] == 0);
    }
    node *n = ri_alloc_zero(sizeof *n);
    if (n == NULL) {
        ri_free(in->bytes);
        return ri_fail_nomem(err);
    }
    n->object.mem_bytes = sizeof *n;
    n->object.destroy = destroy_node;
    ri_refs_init(&n->object.refs);
    n->child_count = in->len / RI_HASH_SIZE < CHILDREN_MAX ? in->len / RI_HASH_SIZE : CHILDREN_MAX;
    for (size_t i = 0; i < n->child_count; i++) {
        memcpy(n->children[i].addr, in->bytes + i * RI_HASH_SIZE, RI_HASH_SIZE);
    }
    (void)ri_locators_read(in->locators, in->locators_len, in->self, n->child_count, n->children);
    ri_free(in->bytes);
    *out = &n->object;
    return RILLE_OK;
}

static void read_node(ri_store *store, const ri_noderef *ref, unsigned depth)
{
    ri_object *object;
    if (ri_store_get(store, ref, decode_node, NULL, &object, NULL) != RILLE_OK) {
        return;
    }
    const node *n = (const node *)object;
    for (size_t i = 0; i < n->child_count && depth > 0; i++) {
        read_node(store, &n->children[i], depth - 1);
    }
    ri_object_release(object);
}

static void read_footer(ri_store *store, const uint8_t *bytes, size_t len)
{
    uint64_t footer_offset;
    ri_pack_footer footer;
    if (ri_pack_read_header(bytes, len, &footer_offset) != RILLE_OK || footer_offset > len ||
        ri_pack_read_footer(bytes + footer_offset, len - (size_t)footer_offset, footer_offset, &footer) != RILLE_OK) {
        return;
    }
    for (size_t i = 0; i < footer.count && i < NODES_MAX; i++) {
        const uint8_t *row = footer.rows + i * RI_PACK_ROW_SIZE;
        ri_noderef ref = { .pack = { 1 },
                           .offset = ri_load_u64(row + RI_HASH_SIZE),
                           .len = ri_load_u32(row + RI_HASH_SIZE + 8) };
        memcpy(ref.addr, row, RI_HASH_SIZE);
        read_node(store, &ref, 1);
        ref.len = 0;
        read_node(store, &ref, 0);
    }
    uint8_t pack[RI_HASH_SIZE] = { 1 };
    (void)ri_store_warm(store, pack, footer.branch_offset, footer.branch_len, decode_node, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    input in = { bytes, len };
    rille_backend backend = { &ops, &in, 0 };
    ri_store *store;
    ri_noderef self = { .len = 1 };
    ri_noderef children[CHILDREN_MAX] = { { { 0 }, { 0 }, 0, 0 } };
    if (ri_store_open_backend(&backend, "fuzz:", 1 << 16, &store, NULL) != RILLE_OK) {
        return 0;
    }
    read_footer(store, bytes, len);
    uint8_t pack[RI_HASH_SIZE] = { 1 };
    (void)ri_store_warm(store, pack, RI_PACK_HEADER_SIZE, len, decode_node, NULL);
    (void)ri_store_warm(store, pack, 0, len, decode_node, NULL);
    (void)ri_locators_read(bytes, len, &self, len % CHILDREN_MAX, children);
    ri_noderef somewhere = { .addr = { 7 }, .pack = { 1 }, .offset = len / 2, .len = (uint32_t)(len / 4) };
    read_node(store, &somewhere, 1);
    ri_store_release(store);
    return 0;
}
