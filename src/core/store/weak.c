/* SPDX-License-Identifier: MIT */
#include "weak.h"

static ri_weak *lock_home(ri_object *object)
{
    unsigned spins = 0;
    for (;;) {
        uintptr_t home = atomic_load_explicit(&object->home, memory_order_relaxed) & ~RI_WEAK_LOCKED;
        if (atomic_compare_exchange_strong_explicit(&object->home, &home, home | RI_WEAK_LOCKED, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return (ri_weak *)home;
        }
        ri_spin(&spins);
    }
}

static void unlock_home(ri_object *object, ri_weak *home)
{
    atomic_store_explicit(&object->home, (uintptr_t)home, memory_order_release);
}

/* From the object to nothing. It is the last that is done to the place: its memory may go then. */
static void empty(ri_weak *place, const ri_object *object)
{
    unsigned spins = 0;
    uintptr_t word = (uintptr_t)object;
    while (
        !atomic_compare_exchange_strong_explicit(&place->word, &word, 0, memory_order_acq_rel, memory_order_relaxed)) {
        word = (uintptr_t)object;
        ri_spin(&spins);
    }
}

void ri_weak_set(ri_weak *place, ri_object *object)
{
    uintptr_t nothing = 0;
    if (atomic_load_explicit(&place->word, memory_order_relaxed) != 0) {
        return;
    }
    ri_weak *home = lock_home(object);
    if (home != place && atomic_compare_exchange_strong_explicit(&place->word, &nothing, (uintptr_t)object,
                                                                 memory_order_release, memory_order_relaxed)) {
        if (home != NULL) {
            empty(home, object);
        }
        home = place;
    }
    unlock_home(object, home);
}

void ri_weak_clear(ri_weak *place)
{
    unsigned spins = 0;
    while (atomic_load_explicit(&place->word, memory_order_acquire) != 0) {
        ri_object *object = ri_weak_get(place);
        if (object == NULL) { /* it is being destroyed, and will be forgotten */
            ri_spin(&spins);
            continue;
        }
        ri_weak *home = lock_home(object);
        if (home == place) {
            empty(place, object);
            home = NULL;
        }
        unlock_home(object, home);
        ri_object_release(object);
    }
}

void ri_weak_forget(ri_object *object)
{
    ri_weak *home = (ri_weak *)atomic_load_explicit(&object->home, memory_order_acquire);
    if (home != NULL) {
        empty(home, object);
    }
}
