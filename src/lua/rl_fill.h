/* SPDX-License-Identifier: MIT
 *
 * One walk over transaction data of Lua: shared by rl_fill.c (maps and values) and rl_fill_op.c (operations).
 */
#ifndef RL_FILL_H
#define RL_FILL_H

#include "rl.h"

#define FILL_DEPTH_MAX 64U
#define FILL_SLOTS 64U /* a power of two */

typedef enum fill_key { FILL_FREE = 0, FILL_ATTR, FILL_REVERSE, FILL_ID } fill_key;

/* Keys of maps are few and come again and again as the same string: found by their address. Addresses stay good while
 * the caller's tables are on the stack. */
typedef struct fill_slot {
    const void *address;
    const ri_attr *attr;
    fill_key kind;
} fill_slot;

typedef struct fill {
    lua_State *L;
    const rl_state *state;
    ri_tx *tx;
    rille_err *err;
    int id_keys; /* stack index of "db/id", then ":db/id", then the keyword */
    fill_slot slots[FILL_SLOTS];
} fill;

/* Indexes are absolute. */

/* What stands for an entity: an id, a tempid, an ident, a lookup ref. `string_is_ident`: no tempid. */
int fill_entity(fill *f, int index, bool string_is_ident, ri_ent *out);
/* The attribute named at `index`. */
int fill_attr(fill *f, int index, const ri_attr **out);
/* e attr value, for any form of value: nested maps, lists. */
int fill_add(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth);
/* The entity that a value of a ref attribute names; a map makes one. */
int fill_ref(fill *f, const ri_attr *attr, int index, unsigned depth, ri_ent *out);
/* {"db/add", ...} */
int fill_operation(fill *f, int index);

#endif
