/* SPDX-License-Identifier: MIT */
#ifndef RILLE_ALLOC_H
#define RILLE_ALLOC_H

#include "api.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One function for all memory that rille allocates (zstd, libsodium, LMDB and the C library have their own):
 *
 *   block == NULL, size > 0   allocate; NULL if there is no memory
 *   block != NULL, size > 0   resize and keep the contents; NULL leaves the block unchanged
 *   block != NULL, size == 0  free; the result is ignored
 *
 * It must be safe to call from several threads. Set it before the first use of rille, or not at all; NULL means the
 * functions of the C library. */
typedef void *(*rille_alloc_hook)(void *context, void *block, size_t size);
RILLE_API void rille_set_alloc_hook(rille_alloc_hook hook, void *context);

/* Backends allocate the bytes that they return with these. */
RILLE_API void *rille_alloc(size_t size);
RILLE_API void rille_free(void *block);

#ifdef __cplusplus
}
#endif

#endif
