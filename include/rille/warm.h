/* SPDX-License-Identifier: MIT
 *
 * Reading a part of a database into the cache, before it is asked for.
 */
#ifndef RILLE_WARM_H
#define RILLE_WARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to read; all zero: everything. The limits are of what is read, not of what is in the cache already; the cache has its
 * own: no more than three quarters of it is filled. */
typedef struct rille_warm {
    const char *const *attributes;  /* their datoms by entity, and by value where they are indexed */
    size_t attribute_count;         /* 0: all, in all indexes */
    const struct rille_value *from; /* with one attribute: only values from this one on, by value; NULL: all */
    const struct rille_value *to;   /* ... up to but not including this one */
    uint64_t nodes_max;             /* 0: no limit */
    uint64_t bytes_max;             /* as they are in storage; 0: no limit */
} rille_warm;

typedef struct rille_warmed {
    uint64_t nodes;        /* that were read */
    uint64_t bytes;        /* of these, in storage */
    uint64_t cached_nodes; /* that were in the cache before */
    bool complete;         /* all of it is in the cache now */
} rille_warmed;

#ifdef __cplusplus
}
#endif

#endif
