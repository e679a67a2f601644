/* SPDX-License-Identifier: MIT
 *
 * How the opener finds the backends. Each is one file in src/backends/ and is seen by nobody else.
 */
#ifndef RI_BACKENDS_H
#define RI_BACKENDS_H

#include "rille/backend.h"

/* While a slot is called: who asks, as a number that is the same each time he asks for this answer, and nobody else's
 * meanwhile. Heads and lists depend on when they were asked for, so callers must not share an answer. */
uint64_t ri_store_caller(void);

/* `place` is the URL without its scheme. create: make it if it is missing, else RILLE_NOTFOUND. */
int ri_backend_memory_open(const char *place, bool create, rille_backend *out, rille_err *err);
/* A capability of a handle: its open made the place, so that whatever is in it is younger. */
#define RI_BACKEND_MADE (1U << 31)
int ri_backend_file_open(const char *place, bool create, rille_backend *out, rille_err *err);
int ri_backend_lmdb_open(const char *place, bool create, rille_backend *out, rille_err *err);
/* A database of another machine: a URL taken apart, and what the host gives besides it. All borrowed for the call. */
typedef struct ri_remote {
    const char *scheme;
    const char *place;           /* host and path, or bucket and prefix, decoded */
    const char *shown;           /* for messages: without secrets */
    bool has_user;               /* the URL has one, or a password */
    const rille_setting *params; /* of the URL */
    size_t param_count;
    const rille_setting *settings;
    size_t setting_count;
} ri_remote;
/* http: and https:, read-only. Nothing is read yet. */
int ri_backend_http_open(const ri_remote *remote, rille_backend *out, rille_err *err);
int ri_backend_s3_open(const ri_remote *remote, rille_backend *out, rille_err *err);

/* Answers every call with RILLE_NEED first. Takes the inner handle. */
int ri_backend_deferred_wrap(const rille_backend *inner, rille_backend *out, rille_err *err);

/* Fails, truncates, flips or delays the n-th call of a slot. Takes the inner handle. */
typedef enum ri_fault {
    RI_FAULT_NONE = 0,
    RI_FAULT_IO,       /* the call fails with RILLE_IO, nothing done */
    RI_FAULT_FULL,     /* the call fails with RILLE_FULL, nothing done */
    RI_FAULT_AFTER,    /* the call is done, then reported as RILLE_IO (a lost reply) */
    RI_FAULT_TRUNCATE, /* a read gives the first half */
    RI_FAULT_FLIP,     /* a read gives one flipped bit */
    RI_FAULT_MISSING,  /* a read gives RILLE_NOTFOUND */
    RI_FAULT_DELAY,    /* RILLE_NEED three times, then the answer */
    RI_FAULT_LOST,     /* a swap is done, then reported as RILLE_UNKNOWN */
    RI_FAULT_UNSENT    /* a swap is not done, and reported as RILLE_UNKNOWN */
} ri_fault;
enum { RI_SLOT_GET = 1, RI_SLOT_PUT = 2, RI_SLOT_HEAD_READ = 4, RI_SLOT_HEAD_SWAP = 8, RI_SLOT_ALL = 15 };
typedef struct ri_fault_plan {
    ri_fault fault;
    unsigned slots; /* RI_SLOT_*: which calls count */
    uint64_t at;    /* the call (from 0) that is hit; calls counts on */
    uint64_t calls; /* so far */
    uint64_t hits;  /* so far */
    uint64_t bit;   /* FLIP: which bit, modulo the length */
} ri_fault_plan;
/* `plan` stays the caller's, is read and counted on every call, and outlives the handle. */
int ri_backend_faulty_wrap(const rille_backend *inner, ri_fault_plan *plan, rille_backend *out, rille_err *err);
/* The same with a plan of its own, from text: FAULT/SLOT/AT such as "io/put/3". FAULT: io, full, after, trunc, flip,
 * missing, delay, lost, unsent; SLOT: get, put, head_read, head_swap or
 * all. Empty: no fault. */
int ri_backend_faulty_wrap_text(const rille_backend *inner, const char *plan, size_t plan_len, rille_backend *out,
                                rille_err *err);

#endif
