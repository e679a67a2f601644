/* SPDX-License-Identifier: MIT */
#include "sync.h"

#include <time.h>
#include <unistd.h>

uint64_t ri_clock_us(void)
{
    struct timespec now;
#ifdef CLOCK_MONOTONIC
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
#else
    (void)timespec_get(&now, TIME_UTC);
#endif
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

int64_t ri_clock_ms(void)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ri_process(void)
{
    return (int64_t)getpid();
}

#ifdef RILLE_SINGLE_THREAD

void ri_spin(unsigned *spins)
{
    (void)spins;
}

void ri_cond_init(ri_cond *cond)
{
    (void)cond;
}

void ri_cond_deinit(ri_cond *cond)
{
    (void)cond;
}

void ri_cond_broadcast(ri_cond *cond)
{
    (void)cond;
}

void ri_cond_wait(ri_cond *cond, ri_mutex *lock, uint64_t us_max)
{
    (void)cond;
    (void)lock;
    (void)us_max;
}

bool ri_thread_start(ri_thread *thread, void *(*run)(void *), void *context)
{
    (void)thread;
    (void)run;
    (void)context;
    return false;
}

void ri_thread_join(ri_thread *thread)
{
    (void)thread;
}

void ri_work_begin(void)
{
}

void ri_work_end(void)
{
}

#else

#include <sched.h>

#define SPINS_MAX 64U

void ri_spin(unsigned *spins)
{
    if (++*spins == SPINS_MAX) {
        *spins = 0;
        (void)sched_yield();
    }
}
#include <signal.h>

void ri_cond_init(ri_cond *cond)
{
    (void)pthread_cond_init(cond, NULL);
}

void ri_cond_deinit(ri_cond *cond)
{
    (void)pthread_cond_destroy(cond);
}

void ri_cond_broadcast(ri_cond *cond)
{
    (void)pthread_cond_broadcast(cond);
}

void ri_cond_wait(ri_cond *cond, ri_mutex *lock, uint64_t us_max)
{
    enum { WAIT_US_MAX = 100000 }; /* should the clock be set back */
    struct timespec end;
    (void)timespec_get(&end, TIME_UTC);
    uint64_t ns = (uint64_t)end.tv_nsec + (us_max < WAIT_US_MAX ? us_max : WAIT_US_MAX) * 1000U;
    end.tv_sec += (time_t)(ns / 1000000000U);
    end.tv_nsec = (long)(ns % 1000000000U);
    (void)pthread_cond_timedwait(cond, lock, &end);
}

/* Held for reading by threads at work, for writing by who forks. */
static pthread_rwlock_t at_work = PTHREAD_RWLOCK_INITIALIZER;

static void before_fork(void)
{
    (void)pthread_rwlock_wrlock(&at_work);
}

static void after_fork(void)
{
    (void)pthread_rwlock_unlock(&at_work);
}

static void in_child(void)
{
    (void)pthread_rwlock_init(&at_work, NULL); /* who waited for it is not here */
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, in_child);
}

bool ri_thread_start(ri_thread *thread, void *(*run)(void *), void *context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t all;
    sigset_t old;
    (void)pthread_once(&once, watch_forks);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* a thread begins with its maker's */
    bool started = pthread_create(thread, NULL, run, context) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

void ri_thread_join(ri_thread *thread)
{
    (void)pthread_join(*thread, NULL);
}

void ri_work_begin(void)
{
    (void)pthread_rwlock_rdlock(&at_work);
}

void ri_work_end(void)
{
    (void)pthread_rwlock_unlock(&at_work);
}

#endif
