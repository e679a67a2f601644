/* SPDX-License-Identifier: MIT
 *
 * What a store counts.
 */
#include "inside.h"

/* ---- calls ---- */

static void count_puts(ri_store *store, const rille_put *puts, size_t count)
{
    ri_store_count(&store->counts.puts, count);
    for (size_t i = 0; i < count; i++) {
        ri_store_count(&store->counts.put_bytes, puts[i].len);
    }
}

void ri_store_count_call(const ri_slot_call *call, const ri_answer *answer, uint64_t us)
{
    ri_store *store = call->store;
    bool is_other = call->slot != RI_CALL_GET && call->slot != RI_CALL_PUT;
    ri_store_count(&store->counts.calls, 1);
    ri_store_count(&store->counts.call_us, us);
    ri_store_count(&store->counts.other_calls, is_other ? 1 : 0);
    if (call->slot == RI_CALL_GET) {
        ri_store_count(&store->counts.gets, 1);
        ri_store_count(&store->counts.get_ranges, call->count);
        for (size_t i = 0; answer->gets != NULL && i < call->count; i++) {
            ri_store_count(&store->counts.get_bytes, answer->gets[i].bytes_len);
        }
    } else if (call->slot == RI_CALL_PUT) {
        count_puts(store, call->puts, call->count);
    } else if (call->slot == RI_CALL_HEAD_READ) {
        ri_store_count(&store->counts.head_reads, 1);
        ri_store_count(&store->counts.head_bytes_read, answer->head.len);
    } else if (call->slot == RI_CALL_HEAD_SWAP) {
        ri_store_count(&store->counts.head_swaps, 1);
        ri_store_count(&store->counts.head_bytes_written, call->swap->cell_len - call->swap->kept_len);
        count_puts(store, call->swap->puts, call->swap->put_count);
    }
}

/* Without memory for it, nothing is counted. */
static ri_spent *spent_of(ri_io *io, const ri_store *store)
{
    for (size_t i = 0; i < io->spent_count; i++) {
        if (io->spent[i].store == store) {
            return &io->spent[i];
        }
    }
    if (!RI_GROW(&io->spent, &io->spent_cap, io->spent_count + 1)) {
        return NULL;
    }
    io->spent[io->spent_count] = (ri_spent){ .store = store };
    return &io->spent[io->spent_count++];
}

void ri_io_spend(ri_io *io, const ri_store *store, const rille_get *gets, size_t count, unsigned rounds, uint64_t us)
{
    ri_spent *spent = spent_of(io, store);
    for (size_t i = 0; spent != NULL && i < count; i++) {
        bool counts = store->backend_counts || rounds == 0;
        spent->requests += counts ? gets[i].requests : 1;
        spent->received_bytes += counts ? gets[i].received_bytes : gets[i].bytes_len;
    }
    if (spent != NULL) {
        spent->rounds += rounds;
        spent->wait_us += us;
    }
}

ri_spent ri_io_spent(const ri_io *io, const ri_store *store)
{
    for (size_t i = 0; i < io->spent_count; i++) {
        if (io->spent[i].store == store) {
            return io->spent[i];
        }
    }
    return (ri_spent){ .store = store };
}

void ri_io_take_spent(ri_io *io, ri_io *from)
{
    for (size_t i = 0; i < from->spent_count; i++) {
        const ri_spent *more = &from->spent[i];
        ri_spent *spent = spent_of(io, more->store);
        if (spent != NULL) {
            spent->rounds += more->rounds;
            spent->requests += more->requests;
            spent->received_bytes += more->received_bytes;
            spent->wait_us += more->wait_us;
        }
    }
    from->spent_count = 0;
}

/* ---- what was counted ---- */

static uint64_t read_count(atomic_uint_fast64_t *place)
{
    return atomic_load_explicit(place, memory_order_relaxed);
}

/* Where the backend does not count: a request for each range, each object and each other call. */
static void read_counters(ri_store *store, const ri_store_stats *stats, rille_counters *out)
{
    *out = (rille_counters){ 0 };
    if (store->backend_counts) {
        ri_store_enter(store);
        (void)store->backend.ops->counters(store->backend.self, out);
        ri_store_leave(store);
        return;
    }
    out->requests = stats->get_ranges + stats->puts + read_count(&store->counts.other_calls);
    out->received_bytes = stats->get_bytes + read_count(&store->counts.head_bytes_read);
    out->sent_bytes = stats->put_bytes + read_count(&store->counts.head_bytes_written);
    out->rounds = read_count(&store->counts.calls);
    out->wait_us = read_count(&store->counts.call_us);
}

void ri_store_read_stats(ri_store *store, ri_store_stats *out)
{
    *out = (ri_store_stats){
        .gets = read_count(&store->counts.gets),
        .get_ranges = read_count(&store->counts.get_ranges),
        .get_bytes = read_count(&store->counts.get_bytes),
        .puts = read_count(&store->counts.puts),
        .put_bytes = read_count(&store->counts.put_bytes),
        .head_reads = read_count(&store->counts.head_reads),
        .head_swaps = read_count(&store->counts.head_swaps),
        .cache_bytes_max = store->cache_bytes_max,
    };
    ri_cache_stats(store->cache, &out->cache_hits, &out->cache_misses, &out->cache_bytes);
    read_counters(store, out, &out->storage);
    if (store->tier != NULL) {
        ri_tier_count(store->tier, &out->storage);
    }
}
