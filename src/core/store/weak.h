/* SPDX-License-Identifier: MIT
 *
 * Weak places: a place says where an object is as long as the object lives, and does not keep it alive. Branches know their
 * children by them, and a base its roots, so that a descent needs no cache.
 *
 *      place of a branch               object
 *      word: object ---------------->  refs ...
 *            ^----------------------   home
 *
 * (W1) An object that a place says has that place as its home, and is said by no other one.
 * (W2) `home` changes only under its lock, or when the object has no references left.
 * (W3) An object that is destroyed is first forgotten by its place; a place that goes is first cleared.
 *
 * Both words have a lock in their lowest bit. That of a place is held while a reference is taken, so that what it says is
 * not freed meanwhile; whoever finds it locked does without (the cache knows the object, too). Order: home, then place.
 *
 * Places and objects are shareable. Cost: ri_weak_get has three atomic operations and reads no memory but the place and the
 * first line of the object.
 */
#ifndef RI_WEAK_H
#define RI_WEAK_H

#include "object.h"

/* All zero: it says nothing. */
typedef struct ri_weak {
    atomic_uintptr_t word;
} ri_weak;
#define RI_WEAK_LOCKED ((uintptr_t)1)

/* The object, a reference of the caller's, or NULL. */
static inline ri_object *ri_weak_get(ri_weak *place)
{
    uintptr_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    if (word == 0 || (word & RI_WEAK_LOCKED) != 0 ||
        !atomic_compare_exchange_strong_explicit(&place->word, &word, word | RI_WEAK_LOCKED, memory_order_acquire,
                                                 memory_order_relaxed)) {
        return NULL;
    }
    ri_object *object = (ri_object *)word;
    bool lives = ri_refs_take_live(&object->refs);
    atomic_store_explicit(&place->word, word, memory_order_release);
    if (!lives) {
        return NULL;
    }
    ri_object_use(object);
    return object;
}

/* Makes a place that says nothing say the object, of which the caller has a reference. Another place that did no longer
 * does. */
void ri_weak_set(ri_weak *place, ri_object *object);
/* Before the memory of a place goes, when nobody reads it any more. */
void ri_weak_clear(ri_weak *place);
/* Before the memory of an object goes that has no references left. */
void ri_weak_forget(ri_object *object);

#endif
