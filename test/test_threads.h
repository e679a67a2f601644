/* SPDX-License-Identifier: MIT
 *
 * Threads of tests. A build without threads runs them one after the other.
 */
#ifndef RILLE_TEST_THREADS_H
#define RILLE_TEST_THREADS_H

#include <stdbool.h>

#ifdef RILLE_SINGLE_THREAD
enum { TEST_HAS_THREADS = 0 };
typedef char test_thread;

static inline bool test_thread_start(test_thread *thread, void *(*run)(void *), void *argument)
{
    *thread = 0;
    (void)run(argument);
    return true;
}

static inline void test_thread_join(const test_thread *thread)
{
    (void)thread;
}
#else
#include <pthread.h>

enum { TEST_HAS_THREADS = 1 };
typedef pthread_t test_thread;

static inline bool test_thread_start(test_thread *thread, void *(*run)(void *), void *argument)
{
    return pthread_create(thread, NULL, run, argument) == 0;
}

static inline void test_thread_join(const test_thread *thread)
{
    (void)pthread_join(*thread, NULL);
}
#endif

#endif
