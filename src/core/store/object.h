/* SPDX-License-Identifier: MIT
 *
 * What the store gives out: decoded nodes and blobs, shared by counting.
 */
#ifndef RI_OBJECT_H
#define RI_OBJECT_H

#include "../base/sync.h"

#include <stddef.h>

/* A decoded thing in the cache, first member of what is decoded. Immutable after publication, but for refs, uses and home. */
typedef struct ri_object {
    ri_refs refs;
    atomic_uchar uses; /* since it came into the cache, or since the cache looked last: at most RI_USES_MAX */
    size_t mem_bytes;
    void (*destroy)(struct ri_object *self);
    atomic_uintptr_t home; /* the place that says it (weak.h) */
} ri_object;

#define RI_USES_MAX 3U
/* For the cache, which keeps what is used. */
static inline void ri_object_use(ri_object *object)
{
    unsigned char uses = atomic_load_explicit(&object->uses, memory_order_relaxed);
    if (uses < RI_USES_MAX) {
        atomic_store_explicit(&object->uses, (unsigned char)(uses + 1), memory_order_relaxed);
    }
}

static inline void ri_object_take(ri_object *object)
{
    ri_refs_take(&object->refs);
}
static inline void ri_object_release(ri_object *object)
{
    if (object != NULL && ri_refs_drop(&object->refs)) {
        object->destroy(object);
    }
}

#endif
