/* SPDX-License-Identifier: MIT
 *
 * The footers of packs, as an index from address to place.
 */
#include "packs.h"

#include "../base/mem.h"
#include "inside.h"

#include <errno.h>
#include <stdio.h>

typedef struct ri_packs_item {
    uint8_t id[RI_HASH_SIZE];
    uint8_t *bytes; /* of the footer; NULL: damaged, never asked again */
    ri_pack_footer footer;
    bool gone;
} ri_packs_item;

void ri_packs_init(ri_packs *packs)
{
    *packs = (ri_packs){ 0 };
    ri_mutex_init(&packs->lock);
}

void ri_packs_deinit(ri_packs *packs)
{
    for (size_t i = 0; i < packs->count; i++) {
        ri_free(packs->items[i].bytes);
    }
    ri_free(packs->items);
    ri_mutex_deinit(&packs->lock);
}

/* One range; *bytes is the caller's. */
static int read_range(ri_store *store, const uint8_t *pack, uint64_t offset, uint64_t len, uint8_t **bytes,
                      size_t *bytes_len, rille_err *err)
{
    rille_get get = { .object = { .kind = RILLE_OBJECT_PACK }, .offset = offset, .len = len };
    memcpy(get.object.id, pack, RI_HASH_SIZE);
    *bytes = NULL;
    *bytes_len = 0;
    RI_TRY(ri_store_get_many(store, &get, 1, err));
    if (get.rc == RILLE_OK) {
        *bytes = get.bytes;
        *bytes_len = get.bytes_len;
    }
    return get.rc;
}

/* Fills item->bytes and item->footer. RILLE_CORRUPT and RILLE_NOTFOUND mean: pass it over. */
static int read_footer(ri_store *store, ri_packs_item *item, rille_err *err)
{
    uint8_t *bytes;
    size_t len;
    uint64_t footer_offset;
    RI_TRY(read_range(store, item->id, 0, RI_PACK_HEADER_SIZE, &bytes, &len, err));
    int rc = ri_pack_read_header(bytes, len, &footer_offset);
    ri_free(bytes);
    RI_TRY(rc);
    RI_TRY(read_range(store, item->id, footer_offset, 0, &bytes, &len, err));
    rc = ri_pack_read_footer(bytes, len, footer_offset, &item->footer);
    if (rc != RILLE_OK) {
        ri_free(bytes);
        return rc;
    }
    item->bytes = bytes;
    return RILLE_OK;
}

static ri_packs_item *find_item(ri_packs *packs, const uint8_t *id)
{
    for (size_t i = 0; i < packs->count; i++) {
        if (memcmp(packs->items[i].id, id, RI_HASH_SIZE) == 0) {
            return &packs->items[i];
        }
    }
    return NULL;
}

static int add_packs(ri_packs *packs, ri_store *store, const rille_object_id *ids, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (find_item(packs, ids[i].id) != NULL) {
            continue;
        }
        ri_packs_item item = { 0 };
        memcpy(item.id, ids[i].id, RI_HASH_SIZE);
        if (!RI_GROW(&packs->items, &packs->cap, packs->count + 1)) {
            return ri_fail_nomem(err);
        }
        errno = 0;
        int rc = read_footer(store, &item, err);
        int errnum = errno;
        if (rc == RILLE_NOMEM) {
            return ri_fail_nomem(err);
        }
        if (rc == RILLE_IO || rc == RILLE_PERMISSION) {
            char hex[2 * RI_HASH_SIZE + 1];
            char what[sizeof hex + 32];
            ri_hex(hex, item.id, RI_HASH_SIZE);
            (void)snprintf(what, sizeof what, "the footer of pack %s", hex);
            return ri_store_fail_read(store, what, rc, errnum, err);
        }
        packs->items[packs->count++] = item;
    }
    for (size_t i = 0; i < packs->count; i++) { /* not before all went well: else a pack would be lost to readers */
        packs->items[i].gone = true;
    }
    for (size_t i = 0; i < count; i++) {
        find_item(packs, ids[i].id)->gone = false;
    }
    return RILLE_OK;
}

int ri_packs_refresh(ri_packs *packs, ri_store *store, rille_err *err)
{
    rille_object_id *ids;
    size_t count;
    RI_TRY(ri_store_list(store, RILLE_OBJECT_PACK, &ids, &count, err));
    ri_mutex_lock(&packs->lock);
    int rc = add_packs(packs, store, ids, count, err);
    ri_mutex_unlock(&packs->lock);
    ri_free(ids);
    return rc;
}

bool ri_packs_find(ri_packs *packs, const uint8_t addr[RI_HASH_SIZE], size_t *from, ri_noderef *out)
{
    bool found = false;
    ri_mutex_lock(&packs->lock);
    for (size_t i = *from; i < packs->count && !found; i++) {
        const ri_packs_item *item = &packs->items[i];
        *from = i + 1;
        if (!item->gone && item->bytes != NULL && ri_pack_find(&item->footer, addr, &out->offset, &out->len)) {
            memcpy(out->addr, addr, RI_HASH_SIZE);
            memcpy(out->pack, item->id, RI_HASH_SIZE);
            found = true;
        }
    }
    ri_mutex_unlock(&packs->lock);
    return found;
}
