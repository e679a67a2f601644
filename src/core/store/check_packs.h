/* SPDX-License-Identifier: MIT
 *
 * Packs against their names, in steps (check_packs.c).
 */
#ifndef RI_CHECK_PACKS_H
#define RI_CHECK_PACKS_H

#include "store.h"

/* Reads every pack: its hash is its name, its header and footer are good. RILLE_CORRUPT names it. *check: NULL at first;
 * it keeps what is done where a task lacks something (RILLE_NEED). */
typedef struct ri_pack_check ri_pack_check;
int ri_store_check_packs(ri_store *store, ri_pack_check **check, rille_err *err);
void ri_pack_check_release(ri_pack_check *check);

#endif
