/* SPDX-License-Identifier: MIT
 *
 * What a store has its tier keep.
 */
#include "kept.h"

#include "../base/mem.h"
#include "inside.h"

void ri_store_keep(const ri_want *want, const uint8_t *bytes, size_t len)
{
    if (want->store->tier != NULL) {
        rille_get range = ri_store_request(want);
        ri_tier_put(want->store->tier, &range, bytes, len);
    }
}

void ri_store_forget(const ri_want *want)
{
    rille_get range = ri_store_request(want);
    ri_tier_drop(want->store->tier, &range);
}

int ri_store_read_kept(const ri_want *want, ri_io *later, ri_object **out, rille_err *err)
{
    uint8_t *bytes;
    size_t len;
    rille_get range = ri_store_request(want);
    *out = NULL;
    if (!ri_tier_get(want->store->tier, &range, &bytes, &len)) {
        return RILLE_NOTFOUND;
    }
    if (later != NULL && ri_arrival_is_large(want, bytes, len)) {
        RI_TRY(ri_io_arrive(later, want, bytes, len, true, err));
        return RILLE_AGAIN;
    }
    int rc = ri_store_decode_want(want->store, want, bytes, len, out, NULL);
    ri_free(bytes);
    if (rc == RILLE_NOMEM) {
        return ri_fail_nomem(err);
    }
    if (rc != RILLE_OK) {
        ri_store_forget(want);
    }
    return rc == RILLE_OK ? rc : RILLE_NOTFOUND;
}

bool ri_store_has_kept(const ri_want *want)
{
    rille_get range = ri_store_request(want);
    return want->store->tier != NULL && ri_tier_has(want->store->tier, &range);
}

void ri_store_keep_head(ri_store *store, const char *branch, const uint8_t *bytes, size_t len, int64_t read_ms)
{
    if (store->tier != NULL && bytes != NULL) {
        ri_tier_put_head(store->tier, branch, bytes, len, read_ms);
    } else if (store->tier != NULL) {
        ri_tier_drop_head(store->tier, branch);
    }
}

bool ri_store_has_tier(const ri_store *store)
{
    return store->tier != NULL;
}

void ri_store_pass_tier(ri_store *store, int count)
{
    if (store->tier != NULL) {
        ri_tier_pause(store->tier, count);
    }
}
