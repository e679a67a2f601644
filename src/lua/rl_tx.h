/* SPDX-License-Identifier: MIT
 *
 * Filling transactions from Lua data (rl_fill.c), for rl_tx.c.
 */
#ifndef RL_TX_H
#define RL_TX_H

#include "rl.h"

#include "../core/store/task.h"

/* How far a list was read; all zero at first. */
typedef struct rl_filled {
    ri_task *task; /* whose time it takes; NULL: it does not pause */
    size_t items;
    size_t count;
    bool has_count;
} rl_filled;
/* Fills a transaction from the list at `index`, and from the map at `meta_index` (0: none) for the transaction itself.
 * Raw access only. Strings are borrowed: both stay on the stack until the transaction ends. With a task they are copied:
 * the program runs between two calls. RILLE_NEED: it paused; call again. scratch: for the call. */
int rl_tx_fill(lua_State *L, const rl_state *state, int index, int meta_index, ri_arena *scratch, ri_tx *tx,
               rl_filled *done, rille_err *err);

#endif
