/* SPDX-License-Identifier: MIT */
#include "../src/core/base/sync.h"

#include "harness.h"
#include "test_threads.h"

enum { THREAD_COUNT = 4, ROUNDS = 20000 };

typedef struct shared {
    ri_mutex lock;
    uint64_t guarded; /* under lock */
    ri_refs refs;
    uint64_t payload; /* written by the holders before they let go, read by the last */
    atomic_uint last_count;
} shared;

static void *work(void *argument)
{
    shared *s = argument;
    for (int i = 0; i < ROUNDS; i++) {
        ri_mutex_lock(&s->lock);
        s->guarded++;
        ri_mutex_unlock(&s->lock);
        ri_refs_take(&s->refs);
        (void)ri_refs_drop(&s->refs);
    }
    ri_mutex_lock(&s->lock);
    s->payload++;
    ri_mutex_unlock(&s->lock);
    if (ri_refs_drop(&s->refs)) {
        (void)atomic_fetch_add(&s->last_count, 1);
        s->payload += 1000; /* nobody else is left: no lock */
    }
    return NULL;
}

TEST(sync__counts_and_locks_hold_between_threads)
{
    shared s = { .guarded = 0 };
    ri_mutex_init(&s.lock);
    ri_refs_init(&s.refs);
    test_thread threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) {
        ri_refs_take(&s.refs);
        REQUIRE(test_thread_start(&threads[i], work, &s));
    }
    if (ri_refs_drop(&s.refs)) {
        (void)atomic_fetch_add(&s.last_count, 1);
        s.payload += 1000;
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        test_thread_join(&threads[i]);
    }
    CHECK_EQ_INT(s.guarded, THREAD_COUNT * ROUNDS);
    CHECK_EQ_INT(atomic_load(&s.last_count), 1);
    CHECK_EQ_INT(s.payload, THREAD_COUNT + 1000);
    ri_mutex_deinit(&s.lock);
}

TEST(sync__unshared_means_one_holder)
{
    ri_refs refs;
    ri_refs_init(&refs);
    CHECK(ri_refs_unshared(&refs));
    ri_refs_take(&refs);
    CHECK(!ri_refs_unshared(&refs));
    CHECK(!ri_refs_drop(&refs));
    CHECK(ri_refs_unshared(&refs));
    CHECK(ri_refs_drop(&refs));
}

TEST(sync__static_mutex_works)
{
    ri_mutex lock = RI_MUTEX_INIT;
    ri_mutex_lock(&lock);
    ri_mutex_unlock(&lock);
    ri_mutex_deinit(&lock);
}

TEST(sync__clocks_run_forward)
{
    uint64_t before = ri_clock_us();
    CHECK(ri_clock_us() >= before);
    CHECK(ri_clock_ms() > INT64_C(1600000000000)); /* after 2020: milliseconds, not seconds */
}

TEST_MAIN(sync__counts_and_locks_hold_between_threads, sync__unshared_means_one_holder, sync__static_mutex_works,
          sync__clocks_run_forward)
