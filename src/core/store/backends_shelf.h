/* SPDX-License-Identifier: MIT
 *
 * Shelves: where a tier (tier.h) keeps pieces of bytes under keys. A shelf is a cache: what was put may be gone at any
 * time, and what it gives may be anything, since its owner checks it. It never fails: a miss stands for every failure.
 * Each kind is one or two files in src/backends/.
 */
#ifndef RI_BACKENDS_SHELF_H
#define RI_BACKENDS_SHELF_H

#include "rille/backend.h"

#define RI_SHELF_KEY_SIZE 32                       /* keys are hashes */
#define RI_SHELF_PIECE_MAX ((size_t)32 * 1024)     /* bytes of a piece */
#define RI_SHELF_BYTES_MIN ((uint64_t)1024 * 1024) /* what a shelf may have at least */

/* Internally locked. */
typedef struct ri_shelf_ops {
    /* True: *bytes (ri_alloc'ed, the caller frees) are what was put once under some key, or damaged. */
    bool (*get)(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], uint8_t **bytes, size_t *len);
    /* Is something there, as far as one can tell without reading it? */
    bool (*has)(void *self, const uint8_t key[RI_SHELF_KEY_SIZE]);
    void (*put)(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], const uint8_t *bytes, size_t len);
    void (*drop)(void *self, const uint8_t key[RI_SHELF_KEY_SIZE]);
    void (*empty)(void *self);
    /* Pieces that made room for others, since this handle was opened, and the bytes that all of it takes now. */
    void (*count)(void *self, uint64_t *evictions, uint64_t *bytes);
    void (*close)(void *self);
} ri_shelf_ops;

typedef struct ri_shelf {
    const ri_shelf_ops *ops;
    void *self;
} ri_shelf;

/* At most bytes_max bytes of memory (mem:NAME, shared in the process by name, or by nobody if the name is empty) or of a
 * file in a directory. RILLE_FOREIGN: the directory has a database, or is inside one. */
int ri_shelf_memory_open(const char *name, uint64_t bytes_max, ri_shelf *out, rille_err *err);
int ri_shelf_file_open(const char *dir, uint64_t bytes_max, ri_shelf *out, rille_err *err);

/* The same path for a directory wherever a process was started, also if it does not exist; the caller frees it. */
int ri_shelf_place(const char *dir, char **out, rille_err *err);

#endif
