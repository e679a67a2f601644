/* SPDX-License-Identifier: MIT
 *
 * Reading before it is needed: nodes that will be wanted soon, and regions of packs.
 */
#include "inside.h"

int ri_store_ahead(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io, ri_object **out)
{
    *out = NULL;
    if (!ri_store_has(store, RILLE_BACKEND_DEFERRED) || io == NULL || ri_addr_is_zero(ref->addr)) {
        return RILLE_OK;
    }
    uint8_t key[RI_KEY_SIZE];
    ri_object_key(key, ref->addr, decode);
    *out = ri_cache_get(store->cache, key);
    if (*out == NULL) {
        *out = ri_io_pinned(io, store, key);
    }
    io = ri_io_of_task(io);
    if (*out == NULL) {
        *out = ri_io_pinned(io, store, key);
    }
    ri_want want = { store, *ref, decode, true };
    if (*out != NULL || ri_io_arrival(io, store, key) != NULL || ri_io_is_full(io) || ri_store_has_kept(&want)) {
        return RILLE_OK;
    }
    int rc = ri_io_want(io, store, ref, decode, true, NULL);
    return rc == RILLE_NEED ? RILLE_OK : rc;
}

int ri_store_prefetch(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io)
{
    ri_object *object;
    int rc = ri_store_ahead(store, ref, decode, io, &object);
    ri_object_release(object);
    return rc;
}

int ri_store_warm(ri_store *store, const uint8_t pack[RI_HASH_SIZE], uint64_t offset, uint64_t len, ri_decode_fn decode,
                  ri_io *io)
{
    if (ri_store_has(store, RILLE_BACKEND_ROWS) || len == 0 || len > store->cache_bytes_max || len > UINT32_MAX ||
        ri_addr_is_zero(pack)) {
        return RILLE_OK;
    }
    ri_want want = { store, { .offset = offset, .len = (uint32_t)len }, decode, false };
    memcpy(want.ref.pack, pack, RI_HASH_SIZE);
    io = ri_io_of_task(io);
    uint8_t key[RI_KEY_SIZE];
    ri_want_key(key, &want);
    ri_object *marker = io != NULL ? ri_io_pinned(io, store, key) : NULL;
    if (marker != NULL) {
        ri_object_release(marker);
        return RILLE_OK;
    }
    if (store->tier != NULL && ri_store_read_kept(&want, NULL, &marker, NULL) == RILLE_OK) {
        if (io != NULL) {
            (void)ri_io_pin(io, store, key, marker, NULL); /* without the pin it is read once more */
        }
        ri_object_release(marker);
        return RILLE_OK;
    }
    if (io != NULL && ri_store_has(store, RILLE_BACKEND_DEFERRED)) {
        return ri_io_want(io, store, &want.ref, decode, false, NULL);
    }
    (void)ri_store_read_wants(store, &want, 1, &(ri_reading){ .io = io }, &marker, NULL);
    ri_object_release(marker);
    return RILLE_OK;
}
