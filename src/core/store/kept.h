/* SPDX-License-Identifier: MIT
 *
 * A store and its tier (tier.h), if it has one: for those who open stores and read heads.
 */
#ifndef RI_KEPT_H
#define RI_KEPT_H

#include "store.h"

/* Puts a tier before a store that nobody else has yet. `source` is the store's URL; NULL: heads are not kept. Once. */
int ri_store_add_tier(ri_store *store, const ri_store_options *options, const char *source, rille_err *err);
/* What the tier has of a head, however old, and since when (ri_clock_ms); its revision is one that no head has. Nothing is
 * asked of the backend. RILLE_NOTFOUND, without a message: it has none. */
int ri_store_head_kept(ri_store *store, const char *branch, rille_head *out, int64_t *read_ms);
/* Has the tier, if there is one, keep it; NULL: it has none any more. */
void ri_store_keep_head(ri_store *store, const char *branch, const uint8_t *bytes, size_t len, int64_t read_ms);
bool ri_store_has_tier(const ri_store *store);
/* While something checks the storage itself (count 1, then -1), nothing is read from the tier. */
void ri_store_pass_tier(ri_store *store, int count);

#endif
