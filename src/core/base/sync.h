/* SPDX-License-Identifier: MIT
 *
 * Locks, threads and counts. With RILLE_SINGLE_THREAD (WASM) locks are nothing, and there are no threads.
 *
 * FORK. A child has the locks of its parent's threads, but not the threads. So those that rille starts itself take locks
 * only between ri_work_begin and ri_work_end, and a fork waits until none of them is there.
 */
#ifndef RI_SYNC_H
#define RI_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef RILLE_SINGLE_THREAD
#define RI_THREAD_LOCAL
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
typedef ri_mutex ri_cond;
typedef ri_mutex ri_thread;
#else
#include <pthread.h>
#define RI_THREAD_LOCAL _Thread_local
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
typedef pthread_cond_t ri_cond;
typedef pthread_t ri_thread;
#endif

/* Something that is waited for under a lock. */
void ri_cond_init(ri_cond *cond);
void ri_cond_deinit(ri_cond *cond);
void ri_cond_broadcast(ri_cond *cond);
/* Returns when it was broadcast, at the latest after so many microseconds, or earlier: look again. */
void ri_cond_wait(ri_cond *cond, ri_mutex *lock, uint64_t us_max);

/* A thread on which no signal of the host's is delivered; it must be joined. False: there are none, or not another one. */
bool ri_thread_start(ri_thread *thread, void *(*run)(void *), void *context);
void ri_thread_join(ri_thread *thread);
void ri_work_begin(void);
void ri_work_end(void);
/* The process; a forked child is another one. */
int64_t ri_process(void);

typedef atomic_uint ri_refs;

static inline void ri_refs_init(ri_refs *refs)
{
    atomic_init(refs, 1);
}
static inline void ri_refs_take(ri_refs *refs)
{
    (void)atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* Where a reference is not known to be held by anybody. False: the last one is gone. */
static inline bool ri_refs_take_live(ri_refs *refs)
{
    unsigned count = atomic_load_explicit(refs, memory_order_relaxed);
    while (count > 0) {
        if (atomic_compare_exchange_weak_explicit(refs, &count, count + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
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

/* Between two looks at what is locked for some nanoseconds. *spins: 0 at first. */
void ri_spin(unsigned *spins);

/* Monotonic microseconds, for budgets and statistics only. */
uint64_t ri_clock_us(void);
/* Milliseconds since 1970, UTC: the instant of a transaction. */
int64_t ri_clock_ms(void);

#endif
