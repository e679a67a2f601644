/* SPDX-License-Identifier: MIT
 *
 * What the files of the store share and nobody else sees.
 */
#ifndef RI_STORE_INSIDE_H
#define RI_STORE_INSIDE_H

#include "cache.h"
#include "entry.h"
#include "packs.h"
#include "store.h"
#include "task.h"
#include "tier.h"

/* Internally locked. `backend` and `url` never change after opening. */
struct ri_store {
    ri_refs refs;
    rille_backend backend;
    char *url; /* without credentials */
    ri_cache *cache;
    ri_tier *tier; /* NULL: none */
    ri_packs packs;
    ri_unpackers unpackers;
    ri_mutex backend_lock; /* around the slots of a backend that is not RILLE_BACKEND_THREADS */
    size_t cache_bytes_max;
    struct {
        atomic_uint_fast64_t gets;
        atomic_uint_fast64_t get_ranges;
        atomic_uint_fast64_t get_bytes;
        atomic_uint_fast64_t puts;
        atomic_uint_fast64_t put_bytes;
        atomic_uint_fast64_t head_reads;
        atomic_uint_fast64_t head_swaps;
        /* for rille_counters, where the backend does not count */
        atomic_uint_fast64_t calls;
        atomic_uint_fast64_t other_calls; /* of them neither gets nor puts */
        atomic_uint_fast64_t head_bytes_read;
        atomic_uint_fast64_t head_bytes_written;
        atomic_uint_fast64_t call_us;
    } counts;
    bool backend_counts; /* never changes */
};

static inline void ri_store_count(atomic_uint_fast64_t *place, uint64_t more)
{
    (void)atomic_fetch_add_explicit(place, more, memory_order_relaxed);
}

static inline bool ri_store_has(const ri_store *store, uint32_t capability)
{
    return (store->backend.capabilities & capability) != 0;
}

/* Around a slot. */
static inline void ri_store_enter(ri_store *store)
{
    if (!ri_store_has(store, RILLE_BACKEND_THREADS)) {
        ri_mutex_lock(&store->backend_lock);
    }
}

static inline void ri_store_leave(ri_store *store)
{
    if (!ri_store_has(store, RILLE_BACKEND_THREADS)) {
        ri_mutex_unlock(&store->backend_lock);
    }
}

/* A call of a slot that was answered after `us` microseconds; one that failed may have no gets. (counts.c) */
void ri_store_count_call(const ri_slot_call *call, const ri_answer *answer, uint64_t us);

/* The call outlives what made it. False: no memory, as in the next one. */
bool ri_call_copy(ri_arena *arena, const ri_slot_call *from, ri_slot_call *to);
bool ri_answer_copy(const ri_answer *from, ri_answer *to);
/* Two runs may differ: others may have committed meanwhile. What a head is known to be is no part of the call. */
uint64_t ri_call_hash(const ri_slot_call *call);
bool ri_shared_is_over(ri_shared *shared);
bool ri_shared_take(ri_shared *shared, ri_answer *out);
/* One that is unknown is asked for again. */
void ri_shared_give(ri_shared *shared, const ri_answer *answer);

/* A call of a slot, counted, locked where the backend needs it. If it waits, it is asked until it no longer answers
 * RILLE_NEED. Gives answer->rc; after RILLE_NEED the answer holds nothing. */
int ri_store_call_now(const ri_slot_call *call, bool waits, ri_answer *answer);
int ri_store_get_now(ri_store *store, rille_get *gets, size_t count, bool waits, rille_err *err);
/* The same for a task: what was answered before, or RILLE_NEED. (task.c) */
int ri_task_call(ri_task *task, const ri_slot_call *call, ri_answer *out, rille_err *err);
/* Either, by what is running. */
int ri_store_get_many(ri_store *store, rille_get *gets, size_t count, rille_err *err);
int ri_store_put_many(ri_store *store, const rille_put *puts, size_t count, rille_err *err);
int ri_store_swap_head(ri_store *store, const rille_head_swap *swap, rille_revision *revision, rille_err *err);
int ri_store_list(ri_store *store, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err);
/* "<what> cannot be read", why (errnum, or 0) and what to do. Gives rc. */
int ri_store_fail_read(const ri_store *store, const char *what, int rc, int errnum, rille_err *err);

/* What is read for a task that is running is noted and pinned in it, whichever io the code has. */
static inline ri_io *ri_io_of_task(ri_io *io)
{
    ri_task *task = io != NULL ? ri_task_running() : NULL;
    return task != NULL ? &task->io : io;
}

/* io.c */
#define RI_KEY_SIZE RI_HASH_SIZE
/* The cache's name of a decoded object: the address and what it was decoded to. Bytes that are both a valid blob and a
 * valid node must not be taken for each other. */
void ri_object_key(uint8_t key[RI_KEY_SIZE], const uint8_t addr[RI_HASH_SIZE], ri_decode_fn decode);
/* A reference of the caller's, or NULL. */
ri_object *ri_io_pinned(const ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE]);
/* Takes a reference of its own. */
int ri_io_pin(ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE], ri_object *object, rille_err *err);
/* Pins what was read for wants that are in the list no more; takes the bytes of gets. */
int ri_io_take_answers(ri_io *io, const ri_want *wants, rille_get *gets, size_t count, uint64_t us, rille_err *err);
/* Wants that were served are none any more. */
void ri_io_drop_supplied(ri_io *io);
/* RILLE_NEED, or RILLE_NOMEM. The same want twice is one. */
int ri_io_want(ri_io *io, ri_store *store, const ri_noderef *ref, ri_decode_fn decode, bool ahead, rille_err *err);

/* A want with the address zero is a region of a pack: ref has pack, offset, len. Its pin is a marker. */
void ri_region_key(uint8_t key[RI_KEY_SIZE], const ri_noderef *region, ri_decode_fn decode);
void ri_want_key(uint8_t key[RI_KEY_SIZE], const ri_want *want);

/* read.c: objects[i] of wants[i] (all of this store, RI_IO_WANTS_MAX at most), references of the caller's. On failure
 * those that could be read are there, the others NULL, and the result is that of the first that failed. What was asked for
 * ahead may be NULL without that being a failure. */
typedef struct ri_reading {
    ri_io *io;         /* whose counts grow; NULL: none */
    bool slices;       /* io gets large ones as arrivals, and they are NULL, too */
    bool polls;        /* without waiting: RILLE_NEED, and nothing was read yet */
    bool returns;      /* what comes damaged the first time is NULL: who misses it asks for it again */
    uint64_t begun_us; /* since when it is waited for; 0: it begins */
    rille_get *gets;   /* room for the wants; NULL: there is one */
} ri_reading;
int ri_store_read_wants(ri_store *store, const ri_want *wants, size_t count, const ri_reading *how, ri_object **objects,
                        rille_err *err);
/* The second half of it: the wants were read elsewhere, into gets, whose bytes it takes. */
int ri_store_finish_wants(ri_store *store, const ri_want *wants, rille_get *gets, size_t count, int errnum,
                          const ri_reading *how, ri_object **objects, rille_err *err);
/* An answer to `gets`, or what a host supplied for one (rounds == 0), is counted. (counts.c) */
void ri_io_spend(ri_io *io, const ri_store *store, const rille_get *gets, size_t count, unsigned rounds, uint64_t us);
/* The object in the stored bytes of a want. */
int ri_store_decode_want(ri_store *store, const ri_want *want, const uint8_t *bytes, size_t len, ri_object **out,
                         rille_err *err);
rille_get ri_store_request(const ri_want *want);
/* kept.c: stored bytes of a want that were good, for the tier; what the tier had of it was not; it may have some. */
void ri_store_keep(const ri_want *want, const uint8_t *bytes, size_t len);
void ri_store_forget(const ri_want *want);
/* The object of what the tier has of it. RILLE_NOTFOUND, without a message: nothing good. RILLE_AGAIN: it is large, and an
 * arrival in `later` (which may be NULL) now. */
int ri_store_read_kept(const ri_want *want, ri_io *later, ri_object **out, rille_err *err);
bool ri_store_has_kept(const ri_want *want);

/* ---- arrivals (arrival.c) ---- */

typedef struct ri_arrival {
    ri_want want;
    uint8_t *bytes; /* stored; the entry borrows from them */
    size_t len;
    ri_entry entry;
    bool begun;
    uint8_t *node;
    ri_blob *blob;
    uint8_t *out;  /* the bytes of one of them */
    void *context; /* of zstd */
    size_t read;   /* of what is stored */
    size_t unpacked;
    size_t hashed;
    ri_hasher hasher;
    bool from_tier;
} ri_arrival;

/* What came for a want is damaged. 0: for the first time, and that is kept in mind; RILLE_CORRUPT: not. */
int ri_io_doubt(ri_io *io, const ri_want *want, rille_err *err);
/* Are the stored bytes a whole entry that is worth slices? */
bool ri_arrival_is_large(const ri_want *want, const uint8_t *bytes, size_t len);
/* Takes the bytes of such an entry, also on failure. */
int ri_io_arrive(ri_io *io, const ri_want *want, uint8_t *bytes, size_t len, bool from_tier, rille_err *err);
/* Borrowed; NULL: none. */
ri_arrival *ri_io_arrival(const ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE]);
void ri_io_drop_arrival(ri_io *io, ri_arrival *arrival);
void ri_io_drop_arrivals(ri_io *io);
/* A slice: RILLE_AGAIN until the bytes are all there and have their address. Without a message: RILLE_CORRUPT,
 * RILLE_NOMEM. */
int ri_arrival_step(ri_store *store, ri_arrival *a);
/* What one costs, in units of a task. */
size_t ri_arrival_work(const ri_arrival *a);

#endif
