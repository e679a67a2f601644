/* SPDX-License-Identifier: MIT
 *
 * Locks and counts. With RILLE_SINGLE_THREAD (WASM) locks are nothing.
 */
#ifndef RI_SYNC_H
#define RI_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef RILLE_SINGLE_THREAD
typedef struct ri_mutex {
    char unused;
} ri_mutex;
#define RI_MUTEX_INIT \
    {                 \
        0             \
    }
static inline void ri_mutex_init(ri_mutex *m)
{
    (void)m;
}
static inline void ri_mutex_deinit(ri_mutex *m)
{
    (void)m;
}
static inline void ri_mutex_lock(ri_mutex *m)
{
    (void)m;
}
static inline void ri_mutex_unlock(ri_mutex *m)
{
    (void)m;
}
#else
#include <pthread.h>
typedef pthread_mutex_t ri_mutex;
#define RI_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
static inline void ri_mutex_init(ri_mutex *m)
{
    (void)pthread_mutex_init(m, NULL);
}
static inline void ri_mutex_deinit(ri_mutex *m)
{
    (void)pthread_mutex_destroy(m);
}
static inline void ri_mutex_lock(ri_mutex *m)
{
    (void)pthread_mutex_lock(m);
}
static inline void ri_mutex_unlock(ri_mutex *m)
{
    (void)pthread_mutex_unlock(m);
}
#endif

typedef atomic_uint_fast32_t ri_refs;

static inline void ri_refs_init(ri_refs *refs)
{
    atomic_init(refs, 1);
}
static inline void ri_refs_take(ri_refs *refs)
{
    (void)atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True when the last reference went. One acq_rel instead of release and a fence: ThreadSanitizer knows no fences. */
static inline bool ri_refs_drop(ri_refs *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* Exactly one holder: what it holds may be changed in place. */
static inline bool ri_refs_unshared(ri_refs *refs)
{
    return atomic_load_explicit(refs, memory_order_acquire) == 1;
}

/* Monotonic microseconds, for budgets and statistics only. */
uint64_t ri_clock_us(void);
/* Milliseconds since 1970, UTC: the instant of a transaction. */
int64_t ri_clock_ms(void);

#endif
