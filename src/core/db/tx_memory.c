/* SPDX-License-Identifier: MIT
 *
 * Memory of transactions. That of a small one serves the next one: to allocate it again would take as long as filling it.
 */
#include "tx_resolver.h"

int ri_tx_new(rille_db *db, ri_tx **out, rille_err *err)
{
    *out = NULL;
    ri_tx *tx = ri_alloc_zero(sizeof *tx);
    if (tx == NULL) {
        return ri_fail_nomem(err);
    }
    ri_tx_reuse(tx, db);
    *out = tx;
    return RILLE_OK;
}

static void free_items(ri_tx *tx)
{
    ri_free_sized(tx->items, tx->item_cap * sizeof *tx->items);
    ri_free(tx->item_growth.next);
    tx->items = NULL;
    tx->item_count = tx->item_cap = 0;
    tx->item_growth = (ri_growth){ 0 };
}

static void free_temps(ri_tx *tx)
{
    ri_free_sized(tx->temps, tx->temp_cap * sizeof *tx->temps);
    ri_free(tx->temp_growth.next);
    tx->temps = NULL;
    tx->temp_count = tx->temp_cap = 0;
    tx->temp_growth = (ri_growth){ 0 };
}

/* What few transactions have. */
static void deinit_rare(ri_tx *tx)
{
    ri_free(tx->unique);
    ri_free_sized(tx->names, tx->name_cap * sizeof *tx->names);
    ri_free(tx->name_growth.next);
    ri_free(tx->lookups);
    ri_free(tx->made);
    ri_slots_deinit(&tx->by_name, NULL);
    ri_bytemap_deinit(&tx->by_made);
}

void ri_tx_release(ri_tx *tx)
{
    if (tx == NULL) {
        return;
    }
    ri_tx_resolver_release(tx->resolver);
    ri_tx_resolver_free(tx->ended);
    free_items(tx);
    free_temps(tx);
    ri_free(tx->starts.at);
    deinit_rare(tx);
    ri_arena_deinit(&tx->arena);
    ri_arena_deinit(&tx->scratch);
    ri_block_memory_release(tx->blocks);
    ri_db_release(tx->db);
    ri_free(tx);
}

#define RECYCLED_MAX 256U     /* of items, their starts, tempids */
#define RECYCLED_BYTES 16384U /* of each arena */

bool ri_tx_recycle(ri_tx *tx)
{
#ifdef RI_ARENA_MALLOC
    (void)tx;
    return false; /* a use after the end is to be found */
#else
    if (tx->item_cap > RECYCLED_MAX || tx->starts.cap > RECYCLED_MAX || tx->temp_cap > RECYCLED_MAX ||
        tx->arena.total_bytes > RECYCLED_BYTES || tx->scratch.total_bytes > RECYCLED_BYTES) {
        return false;
    }
    ri_tx_resolver_release(tx->resolver);
    deinit_rare(tx);
    ri_arena_reset(&tx->arena);
    ri_arena_reset(&tx->scratch);
    ri_db_release(tx->db);
    *tx = (ri_tx){ .arena = tx->arena,
                   .scratch = tx->scratch,
                   .items = tx->items,
                   .item_cap = tx->item_cap,
                   .temps = tx->temps,
                   .temp_cap = tx->temp_cap,
                   .starts = { .at = tx->starts.at, .cap = tx->starts.cap },
                   .blocks = tx->blocks,
                   .ended = tx->ended };
    return true;
#endif
}

void ri_tx_reuse(ri_tx *tx, rille_db *db)
{
    tx->db = ri_db_retain(db);
    tx->schema = db->schema;
}

void ri_tx_set_guess(ri_tx *tx, bool is_guess)
{
    tx->is_guess = is_guess;
    tx->is_doubted = false;
}

bool ri_tx_is_guess(const ri_tx *tx)
{
    return tx->is_guess;
}

void ri_tx_set_doubted(ri_tx *tx)
{
    tx->is_doubted = true;
}

bool ri_tx_is_doubted(const ri_tx *tx)
{
    return tx->is_doubted;
}

void ri_tx_forget_items(ri_tx *tx)
{
    if (tx->item_cap <= RECYCLED_MAX && tx->starts.cap <= RECYCLED_MAX && tx->temp_cap <= RECYCLED_MAX) {
        return; /* a few bytes, which the next one may use */
    }
    free_items(tx);
    ri_free(tx->unique);
    tx->unique = NULL;
    tx->unique_count = tx->unique_cap = 0;
    ri_free(tx->starts.at);
    tx->starts = (tx_starts){ 0 };
    free_temps(tx);
}
