/* SPDX-License-Identifier: MIT
 *
 * The storage interface: the functions that a backend must provide.
 *
 * A backend stores two kinds of things. OBJECTS are immutable bytes under a 32-byte id and a kind. An id is never
 * reused for other bytes, so objects can be cached forever and written twice without harm. HEADS are small mutable
 * records, one per branch, which only change by compare-and-swap.
 *
 * ASYNCHRONOUS SHAPE. Every slot may return RILLE_NEED: "begun, not done yet; call again with the same arguments".
 * A backend that can answer at once never does. Several calls may be under way at once, also with the same arguments, from
 * several operations: if you keep the answer to a call that was begun, make sure that a head or a list is not older than the
 * call that gets it. One that will not be asked for again is cancelled (`cancel`). The slots of one handle are called by one
 * thread at a time unless the capability RILLE_BACKEND_THREADS is set.
 */
#ifndef RILLE_BACKEND_H
#define RILLE_BACKEND_H

#include "alloc.h"
#include "codes.h"
#include "counters.h"
#include "rille_err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RILLE_ID_SIZE 32

typedef enum rille_object_kind {
    RILLE_OBJECT_PACK = 'p', /* many nodes; id = BLAKE2b-256 of the bytes */
    RILLE_OBJECT_NODE = 'n', /* one stored node (backends with RILLE_BACKEND_ROWS); id = the node's address */
    RILLE_OBJECT_BLOB = 'b'  /* long value, segment, base record; id = BLAKE2b-256 of the uncompressed content */
} rille_object_kind;

typedef struct rille_object_id {
    uint8_t kind; /* rille_object_kind */
    uint8_t id[RILLE_ID_SIZE];
} rille_object_id;

/* Something that only one kind of storage knows, such as credentials: both 0-terminated. */
typedef struct rille_setting {
    const char *key;
    const char *value;
} rille_setting;

/* One range to read. len == 0 means: from offset to the end. */
typedef struct rille_get {
    rille_object_id object;
    uint64_t offset;
    uint64_t len;
    uint8_t *bytes;   /* out: rille_alloc'ed, the caller frees; exactly the range asked for */
    size_t bytes_len; /* out */
    int rc; /* out, of this range alone: 0, RILLE_NOTFOUND, RILLE_IO, RILLE_CORRUPT (range past the end) ... */
    /* Out, only by backends with the slot `counters`, also when the call fails: what was sent and received for this range,
     * counted as there. Of ranges that are read together, one has it all; one that needed no request has 0. */
    uint32_t requests;
    uint64_t received_bytes;
} rille_get;

typedef struct rille_put {
    rille_object_id object;
    const uint8_t *bytes; /* borrowed for the call */
    size_t len;
} rille_put;

/* Identifies one state of a head. Only its backend reads it; all zero: "there is no head". */
typedef struct rille_revision {
    uint8_t bytes[32];
} rille_revision;

typedef struct rille_head {
    uint8_t *bytes; /* rille_alloc'ed, the caller frees */
    size_t len;
    rille_revision revision;
} rille_head;

/* Sets the head of `branch` to `cell` if it is still `expected`. The first kept_len bytes of the cell are the same as
 * before, so a backend that can append writes only the rest; kept_len == 0 replaces the cell. `puts` become durable
 * before the head does: all or nothing is visible. */
typedef struct rille_head_swap {
    const char *branch;
    rille_revision expected;
    const uint8_t *cell;
    size_t cell_len;
    size_t kept_len;
    const rille_put *puts;
    size_t put_count;
    bool durable; /* false: a power failure may lose it, or all of the head; a killed process may not */
} rille_head_swap;

/* A call of a slot, with its arguments. */
typedef enum rille_want_op {
    RILLE_WANT_GET,       /* object, offset, len (0: to the end) -> bytes */
    RILLE_WANT_PUT,       /* puts, count */
    RILLE_WANT_HEAD_READ, /* branch, known -> bytes, revision; RILLE_DONE if it is still the known one */
    RILLE_WANT_HEAD_SWAP, /* swap -> revision, or RILLE_CONFLICT */
    RILLE_WANT_HEAD_DELETE,
    RILLE_WANT_HEAD_LIST, /* -> names, count */
    RILLE_WANT_LIST,      /* kind -> ids, count */
    RILLE_WANT_DELETE,    /* ids, count */
    RILLE_WANT_DROP
} rille_want_op;
typedef struct rille_want {
    rille_want_op op;
    const char *store; /* its URL */
    rille_object_id object;
    uint64_t offset;
    uint64_t len;
    const rille_get *gets; /* of `cancel`: the call's ranges; object, offset and len are those of the first one */
    const char *branch;
    const rille_revision *known; /* may be NULL */
    const rille_head_swap *swap;
    const rille_put *puts;
    const rille_object_id *ids;
    size_t count; /* of gets, puts or ids */
    rille_object_kind kind;
} rille_want;

enum {
    RILLE_BACKEND_ROWS = 1, /* keeps a row per node; without it nodes come in packs */
    RILLE_BACKEND_READONLY = 2,
    RILLE_BACKEND_DEFERRED = 4, /* may return RILLE_NEED */
    RILLE_BACKEND_TRUSTED = 8,  /* bytes never left this process: addresses need no check */
    RILLE_BACKEND_THREADS = 16, /* slots may be called by several threads at once */
    RILLE_BACKEND_PLAIN = 32    /* do not compress */
};

typedef struct rille_backend_ops {
    /* Reads count ranges. 0 when each has its rc (a missing object is a result, not a failure of the call). */
    int (*get_many)(void *self, rille_get *gets, size_t count, rille_err *err);
    /* Writes objects durably. Writing an object that already exists is not an error. */
    int (*put_many)(void *self, const rille_put *puts, size_t count, rille_err *err);
    /* RILLE_NOTFOUND if the branch has no head. RILLE_DONE, and no bytes, if it is still that of *known (may be NULL). */
    int (*head_read)(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err);
    /* 0, or RILLE_CONFLICT if the head is not the expected one: then nothing changed (puts may have been kept).
     * `swap->expected` all zero: create; RILLE_CONFLICT if it exists. `revision` names the new state.
     * RILLE_UNKNOWN: it is not known whether the head changed, or still will (a lost reply). rille then asks for the same
     * swap again, never for another one against the same revision, and finds out from the head who committed first. */
    int (*head_swap)(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err);
    /* The other slots may be NULL, but for `close`. Then what needs them is RILLE_UNSUPPORTED: dropping a database, listing
     * and deleting branches, collection; and a node whose place is not known cannot be looked for (`list`). */
    int (*head_delete)(void *self, const char *branch, rille_err *err);
    /* Names of all heads, each 0-terminated, one after the other in a rille_alloc'ed block. */
    int (*head_list)(void *self, char **names, size_t *count, rille_err *err);
    /* Ids of all objects of a kind, rille_alloc'ed. */
    int (*list)(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err);
    int (*delete_many)(void *self, const rille_object_id *ids, size_t count, rille_err *err);
    /* Removes the whole database. The handle can only be closed afterwards. */
    int (*drop)(void *self, rille_err *err);
    void (*close)(void *self);
    /* Bytes in storage as far as the backend knows; 0: unknown. */
    uint64_t (*size_bytes)(void *self);
    /* NULL: not known. How many milliseconds ago each object was first written, by the storage's clock; -1: it
     * does not exist, or its age is not known. Collection leaves young objects alone. Returns 0. */
    int (*ages)(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err);
    /* NULL: calls that were begun are asked for again at once. Returns when one of them may be answered, or after
     * timeout_ms. May be called while another thread is in a slot. */
    void (*wait)(void *self, uint64_t timeout_ms);
    /* NULL: calls that were begun are left alone. This call was begun (RILLE_NEED) and will not be asked for again: its operation
     * was cancelled or closed, or has the answer from elsewhere. Comes once, and for no call that was answered. A swap of a
     * head that is cancelled may happen or not, but never in part. */
    void (*cancel)(void *self, const rille_want *call);
    /* NULL, or RILLE_UNSUPPORTED each time: the backend does not count, and rille counts a request for each range that is
     * read, each object that is written and each other call. Otherwise fills `out` and returns 0. */
    int (*counters)(void *self, rille_counters *out);
} rille_backend_ops;

/* A backend handle: ops and self, and what it can do. */
typedef struct rille_backend {
    const rille_backend_ops *ops;
    void *self;
    uint32_t capabilities;
} rille_backend;

#ifdef __cplusplus
}
#endif

#endif
