/* SPDX-License-Identifier: MIT
 *
 * Where nodes are, how they are decoded, and what one operation wants and holds of them (store.h: SANS-I/O).
 *
 * Threads: an ri_io is one thread at a time.
 */
#ifndef RI_IO_H
#define RI_IO_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/hash.h"
#include "object.h"
#include "rille/backend.h"

typedef struct ri_store ri_store;

/* Where to find a node: address, and a hint. pack all zero: no locator (row backends, or not known). */
typedef struct ri_noderef {
    uint8_t addr[RI_HASH_SIZE];
    uint8_t pack[RI_HASH_SIZE];
    uint64_t offset;
    uint32_t len; /* stored length */
} ri_noderef;

bool ri_addr_is_zero(const uint8_t addr[RI_HASH_SIZE]);

/* Makes an object of verified, uncompressed bytes. `bytes` is owned by the decoder from the call on, also when it fails
 * (ri_free), unless it is borrowed: then it must outlive the object. RI_NODE_PADDING readable bytes follow. `locators`
 * (borrowed, may be empty) is a branch's unhashed locator block, still unchecked; `self` is where the node was found. */
#define RI_NODE_PADDING 16U
typedef struct ri_decode_input {
    uint8_t *bytes;
    size_t len;
    const uint8_t *locators;
    size_t locators_len;
    const ri_noderef *self;
    bool borrowed;
} ri_decode_input;
typedef int (*ri_decode_fn)(const ri_decode_input *input, ri_object **out, rille_err *err);

/* Uncompressed bytes of one node, and of one blob. */
#define RI_NODE_BYTES_MAX ((size_t)4 << 20)
#define RI_BLOB_BYTES_MAX (((size_t)64 << 20) + ((size_t)64 << 10))

/* Fills the locators of a branch's children, whose addresses are in their places already, from its locator block. They
 * are hints: of a damaged block nothing is taken (all children keep none), and that is no failure. Always 0. */
int ri_locators_read(const uint8_t *block, size_t len, const ri_noderef *self, size_t child_count, ri_noderef *places);

/* ---- one operation's reading ---- */

typedef struct ri_want {
    ri_store *store;
    ri_noderef ref;
    ri_decode_fn decode; /* NULL: a blob */
    bool ahead;          /* it will be needed perhaps: that it cannot be read is no failure yet */
} ri_want;

/* What an operation has asked of one store so far. A host that supplies the bytes makes one request a range. */
typedef struct ri_spent {
    const ri_store *store;
    uint64_t rounds; /* reads that the operation had to wait for */
    uint64_t requests;
    uint64_t received_bytes;
    uint64_t wait_us; /* from the begin of a read to its end */
} ri_spent;

typedef struct ri_io {
    ri_want *wants;
    size_t want_count, want_cap;
    uint64_t want_bytes;   /* as stored, where that is known */
    size_t supplied_count; /* wants that ri_io_supply served: gone when the operation runs again */
    ri_store *begun;       /* retained: it is reading the first begun_count wants (ri_io_poll); NULL: none */
    size_t begun_count;
    uint64_t begun_us;
    ri_spent *spent; /* an item a store; dropped with wants and pins */
    size_t spent_count, spent_cap;
    struct ri_pin {
        uint8_t addr[RI_HASH_SIZE];
        ri_object *object;
    } * pins; /* a hash table: object NULL is a free place */
    size_t pin_count, pin_cap;
    size_t pin_bytes;             /* of the objects */
    struct ri_arrival **arrivals; /* large objects that came, and are not checked yet; `at_once`: no more of them */
    size_t arrival_count, arrival_cap;
    bool at_once;
    ri_buf doubts;   /* keys of what came damaged once, and is read again */
    rille_get *gets; /* room for a call, and for what it gives */
    size_t get_cap;
    ri_object **objects;
    size_t object_cap;
    uint64_t fetch_count; /* round trips that ri_io_fetch made */
    /* For tests, NULL otherwise: asked before each read of what is not pinned; true makes it a want (RILLE_NEED). */
    bool (*defer)(void *context);
    void *defer_context;
} ri_io; /* all zero is a fresh io */

/* Must all that is read be asked for here, known or not? */
bool ri_io_asks(const ri_io *io);

#define RI_IO_WANTS_MAX 1024U /* of one call of get_many; more wants are kept for the next one */
/* What is asked for ahead ends where there are so many wants, or so many stored bytes are wanted. */
#define RI_IO_AHEAD_BYTES ((uint64_t)4 << 20)
bool ri_io_is_full(const ri_io *io);

void ri_io_deinit(ri_io *io);
void ri_io_clear(ri_io *io); /* drops wants, pins and counts */
ri_spent ri_io_spent(const ri_io *io, const ri_store *store);
void ri_io_take_spent(ri_io *io, ri_io *from); /* adds its counts, which are 0 then */
void ri_io_abandon(ri_io *io);                 /* what ri_io_poll began is not asked for again: the backend is told */
void ri_io_unpin(ri_io *io);                   /* drops pins: what was not used yet may have to be asked for again */
#define RI_IO_PIN_BYTES ((size_t)16 << 20) /* an operation unpins between two steps of work when it holds more ... */
void ri_io_relieve(ri_io *io);             /* ... by this call; in the middle of one it could read the same for ever */
/* Fetches all wants, decodes and pins them: blocking, or without waiting (RILLE_NEED while something is under way). */
int ri_io_fetch(ri_io *io, rille_err *err);
int ri_io_poll(ri_io *io, rille_err *err);
/* What the running task, if there is one, has pinned is pinned in this io, too, beyond the task's piece. */
int ri_io_keep(ri_io *io, rille_err *err);
/* Repeats a call until what it needs is there: rc becomes the call's result, or that of a failed fetch. */
#define RI_FETCHING(rc, io, call, err)      \
    while (((rc) = (call)) == RILLE_NEED) { \
        (rc) = ri_io_fetch((io), (err));    \
        if ((rc) != 0) {                    \
            break;                          \
        }                                   \
    }
/* Hands in the stored bytes of want `index`. Indexes hold until the operation is called again. When the bytes are not the
 * right ones, as the next steps find out of large ones, the want stays, and ri_io_fetch goes by the packs' footers. */
int ri_io_supply(ri_io *io, size_t index, const uint8_t *bytes, size_t len, rille_err *err);
/* The object and range of a want, for hosts that fetch themselves. */
rille_get ri_io_request(const ri_io *io, size_t index);

#endif
