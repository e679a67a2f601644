/* SPDX-License-Identifier: MIT
 *
 * Stores whose storage is code of the program that only the program may call, such as functions written in Lua.
 *
 * The engine never calls that code. Each slot of such a store answers RILLE_NEED, so that every call becomes something
 * that an operation wants; whoever drives the operation asks ri_io_hosted and ri_task_hosted what it is, runs the code
 * where it may wait, raise errors or leave for another coroutine, and hands in the outcome. So the code of the program
 * runs between two steps, where nothing of the engine's is locked or half done. A call that blocks in C cannot be
 * answered: it fails (RILLE_UNSUPPORTED), and waits for nothing.
 *
 * (H1) A host's store is known by its number, which is never used again.
 * (H2) When a store is released its number goes into the inbox, and nothing else happens: that may be in a collector.
 */
#ifndef RI_HOST_H
#define RI_HOST_H

#include "task.h"

/* Numbers of stores that were released. Counted: those who open stores and the stores themselves hold it. Internally locked. */
typedef struct ri_host_inbox ri_host_inbox;
ri_host_inbox *ri_host_inbox_new(void); /* NULL: no memory */
void ri_host_inbox_release(ri_host_inbox *inbox);
/* The next one, or 0. */
uint64_t ri_host_inbox_take(ri_host_inbox *inbox);

typedef struct ri_host_options {
    const char *url; /* what may be a secret in it is not kept (ri_url_show) */
    uint64_t number; /* (H1); not 0 */
    uint32_t capabilities;
    size_t cache_bytes;
} ri_host_options;
int ri_host_open(ri_host_inbox *inbox, const ri_host_options *options, ri_store **out, rille_err *err);
/* 0: it is not such a store. */
uint64_t ri_host_number(const ri_store *store);

/* ---- what is wanted ---- */

#define RI_HOST_WANTS_MAX 128U /* of one call of a backend that is written in Lua */
/* Up to RI_HOST_WANTS_MAX wants of the first host's store that has some: their places in io->wants. 0: there are none. */
size_t ri_io_hosted(const ri_io *io, size_t places[RI_HOST_WANTS_MAX]);
/* Is there something that only others can fetch? */
bool ri_io_has_others(const ri_io *io);
/* Hands in what the program has read for such places, in gets that were made by ri_io_request, with rc and bytes; takes
 * the bytes. It took `us` microseconds. RILLE_MISUSE: those are not wanted any more. */
int ri_io_answer(ri_io *io, const size_t *places, rille_get *gets, size_t count, uint64_t us, rille_err *err);
/* The call that a task waits for, if it is one of a host's store, or NULL. ri_task_answer hands in its answer. */
const ri_slot_call *ri_task_hosted(const ri_task *task);
int ri_task_answer(ri_task *task, ri_answer *answer, rille_err *err);

#endif
