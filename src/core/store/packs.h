/* SPDX-License-Identifier: MIT
 *
 * The footers of a store's packs, read only when a locator leads nowhere (the pack was rewritten, the block was
 * damaged, the reference never had one). Internally locked.
 */
#ifndef RI_PACKS_H
#define RI_PACKS_H

#include "pack.h"

typedef struct ri_packs {
    ri_mutex lock;
    struct ri_packs_item *items; /* only grows; those that are gone stay, marked */
    size_t count;
    size_t cap;
} ri_packs;

void ri_packs_init(ri_packs *packs);
void ri_packs_deinit(ri_packs *packs);
/* Lists the store's packs and reads the footers that are not known yet. Damaged packs are passed over. Blocks. */
int ri_packs_refresh(ri_packs *packs, ri_store *store, rille_err *err);
/* Looks from pack number *from on; *from becomes the number after the one that has it. O(packs * log nodes). */
bool ri_packs_find(ri_packs *packs, const uint8_t addr[RI_HASH_SIZE], size_t *from, ri_noderef *out);

#endif
