/* SPDX-License-Identifier: MIT
 *
 * A tier: what was read from a store, kept nearby, so that the next process need not ask for it. It keeps the stored
 * bytes of nodes, of regions of packs and of blobs, under a hash of the range that was asked for, and what branch heads
 * were at some time. Ranges name objects by the hashes of their bytes, so stores that are copies of each other share them;
 * heads belong to the URL that they were read from.
 *
 * NOTHING IN IT IS BELIEVED. It lies in pieces on a shelf (backends_shelf.h):
 *
 * | offset | size | what                                                       |
 * |--------|------|------------------------------------------------------------|
 * | 0      | 8    | hash of all that follows                                   |
 * | 8      | 32   | key of the piece                                           |
 * | 40     | 8    | length of the whole                                        |
 * | 48     |      | bytes                                                      |
 *
 * A piece that is damaged, or of something else, is a miss, and so is all of it. The hash is of damage, not of malice: the
 * store compares what it unpacks with its address, and asks its backend when it does not match. Two things have no address.
 * The locators of a branch are hints; when one leads nowhere, the tier is emptied once (ri_tier_suspect). Heads are
 * believed: who can write to the cache can make a query see what he wants, as with the storage itself.
 *
 * Internally locked. Nothing here fails but opening.
 */
#ifndef RI_TIER_H
#define RI_TIER_H

#include "store.h"

typedef struct ri_tier ri_tier;

#define RI_TIER_BYTES_DEFAULT ((uint64_t)256 << 20)

/* RILLE_SYNTAX, RILLE_MISUSE (too few bytes), RILLE_UNSUPPORTED, RILLE_FOREIGN, RILLE_PERMISSION, RILLE_IO. `store` is the URL of
 * the store before which it is put; NULL: one that has none, whose heads are not kept. */
int ri_tier_open(const char *url, uint64_t bytes_max, const char *store, const rille_setting *settings, size_t count,
                 ri_tier **out, rille_err *err);
void ri_tier_close(ri_tier *tier);

/* True: *bytes (the caller frees) were put for this range, and are undamaged. */
bool ri_tier_get(ri_tier *tier, const rille_get *range, uint8_t **bytes, size_t *len);
bool ri_tier_has(ri_tier *tier, const rille_get *range); /* as far as one can tell without reading */
void ri_tier_put(ri_tier *tier, const rille_get *range, const uint8_t *bytes, size_t len);
void ri_tier_drop(ri_tier *tier, const rille_get *range);
/* What was read where a branch said was not there: its locators may have come from here. */
void ri_tier_suspect(ri_tier *tier);
/* While something reads the storage itself, nothing is found (count > 0), or is again (< 0). */
void ri_tier_pause(ri_tier *tier, int count);

/* What the head of a branch was when it was asked for, at read_ms. The caller frees the bytes. */
bool ri_tier_get_head(ri_tier *tier, const char *branch, uint8_t **bytes, size_t *len, int64_t *read_ms);
void ri_tier_put_head(ri_tier *tier, const char *branch, const uint8_t *bytes, size_t len, int64_t read_ms);
void ri_tier_drop_head(ri_tier *tier, const char *branch);

/* Fills what is counted of tiers. */
void ri_tier_count(ri_tier *tier, rille_counters *out);

#endif
