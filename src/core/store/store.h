/* SPDX-License-Identifier: MIT
 *
 * The store: nodes, blobs and heads over a backend, with the node cache before it.
 *
 * Nodes and blobs are content-addressed: the address is the BLAKE2b-256 of the uncompressed bytes. Where a node lies
 * (its locator) is a hint beside the address: bytes are believed after their hash only (DESIGN I4). How nodes
 * are packed, compressed or cached never changes an address.
 *
 * SANS-I/O. Reading takes an ri_io: what one operation wants and holds. ri_store_get gives the decoded object when it
 * is in the cache, in the io's pins, or when the backend answers at once; else the address is added to io's wants and
 * RILLE_NEED is returned. Whoever drives the operation calls ri_io_fetch (or feeds bytes with ri_io_supply) and calls
 * the operation again. What was fetched stays pinned in the io until it is cleared, so a re-run always gets further.
 *
 * Threads: a store and its cache are internally locked. An ri_io is one thread at a time.
 */
#ifndef RI_STORE_H
#define RI_STORE_H

#include "../base/buf.h"
#include "io.h"

typedef struct ri_writer ri_writer;

/* ---- opening ---- */

typedef struct ri_store_options {
    size_t cache_bytes; /* 0: RI_CACHE_BYTES_DEFAULT */
    bool create;        /* make the place (directory, environment) if it is missing */
    const rille_setting *settings;
    size_t setting_count;
    const char *tier;        /* a cache that others share (tier.h): "mem:NAME", "file:DIR"; NULL: none */
    uint64_t tier_bytes_max; /* 0: RI_TIER_BYTES_DEFAULT */
} ri_store_options;
#define RI_CACHE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
/* Opens the store a URL names (docs/lua-api.md), or one behind deferred:URL (answers only when asked again) or faulty:URL
 * (tests). RILLE_SYNTAX, RILLE_NOTFOUND, RILLE_PERMISSION, RILLE_FOREIGN, RILLE_UNSUPPORTED. */
int ri_store_open(const char *url, const ri_store_options *options, ri_store **out, rille_err *err);
bool ri_backend_is_whole(const rille_backend *backend); /* all slots are there that must be */
/* What a backend of a host may say of itself. */
#define RI_BACKEND_CAPABILITIES                                                                     \
    (RILLE_BACKEND_ROWS | RILLE_BACKEND_READONLY | RILLE_BACKEND_DEFERRED | RILLE_BACKEND_TRUSTED | \
     RILLE_BACKEND_THREADS | RILLE_BACKEND_PLAIN)
/* Over a backend handle made elsewhere; the store closes it. `name` is for messages. */
int ri_store_open_backend(const rille_backend *backend, const char *name, size_t cache_bytes, ri_store **out,
                          rille_err *err);
ri_store *ri_store_retain(ri_store *store);
size_t ri_store_cache_bytes_max(const ri_store *store);
void ri_store_release(ri_store *store);
const char *ri_store_url(const ri_store *store);
uint32_t ri_store_capabilities(const ri_store *store);

typedef struct ri_store_stats {
    uint64_t gets;       /* calls of get_many */
    uint64_t get_ranges; /* ranges in them: "reads of storage" */
    uint64_t get_bytes;
    uint64_t puts;
    uint64_t put_bytes;
    uint64_t head_reads;
    uint64_t head_swaps;
    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t cache_bytes; /* now */
    uint64_t cache_bytes_max;
    rille_counters storage;
} ri_store_stats;
void ri_store_read_stats(ri_store *store, ri_store_stats *out);

/* ---- reading ---- */
/* *out is a reference of the caller's. RILLE_NEED, RILLE_CORRUPT (names the address), RILLE_NOTFOUND, RILLE_IO. */
int ri_store_get(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io, ri_object **out,
                 rille_err *err);
bool ri_store_has_cached(ri_store *store, const ri_noderef *ref, ri_decode_fn decode);
/* Notes that `ref` will be wanted soon: a deferred store adds it to the wants unless they are full (ri_io_is_full); a
 * direct one does nothing. Should it be missing or damaged, the read of the node itself will say so. */
int ri_store_prefetch(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io);
/* The same; if it is at hand already, *out is a reference to it. A store that answers at once says NULL. */
int ri_store_ahead(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io, ri_object **out);
/* A blob by its address: an ri_blob. */
typedef struct ri_blob {
    ri_object object;
    size_t len;
    uint8_t bytes[];
} ri_blob;
/* An ri_blob of len bytes, still to be filled, with RI_NODE_PADDING zero bytes behind; NULL: no memory. */
ri_blob *ri_blob_new(size_t len);
int ri_store_get_blob(ri_store *store, const uint8_t addr[RI_HASH_SIZE], ri_io *io, ri_blob **out, rille_err *err);

/* Reads a region of a pack (stored nodes one after the other) in one read and puts the nodes in the cache. A hint:
 * damage is ignored here and reported by the read of the node itself. */
int ri_store_warm(ri_store *store, const uint8_t pack[RI_HASH_SIZE], uint64_t offset, uint64_t len, ri_decode_fn decode,
                  ri_io *io);

/* ---- writing ---- */

/* Collects the nodes and blobs of one commit. Leaves go into packs as they come (a full pack is put at once),
 * branches last; a row backend gets rows in batches. Nodes already stored are not known to it: it writes what it is
 * given, once. */
int ri_writer_new(ri_store *store, ri_writer **out, rille_err *err);
void ri_writer_release(ri_writer *writer);
/* Writes a node. level 0 = leaf. `children` (level > 0): their refs, in order; those written by this writer before need
 * no locator. *out has the address; its locator is known after the seal (ri_writer_resolve). Equal bytes twice: stored
 * once. */
int ri_writer_put_node(ri_writer *writer, unsigned level, const uint8_t *bytes, size_t len, const ri_noderef *children,
                       size_t child_count, ri_noderef *out, rille_err *err);
/* The step: RILLE_AGAIN after each slice, until it is put; no other blob in between. */
int ri_writer_put_blob_step(ri_writer *writer, const uint8_t *bytes, size_t len, uint8_t addr[RI_HASH_SIZE],
                            rille_err *err);
int ri_writer_put_blob(ri_writer *writer, const uint8_t *bytes, size_t len, uint8_t addr[RI_HASH_SIZE], rille_err *err);
/* Walks the branches of level_min (1 or more) and above, below those written so far, that are kept from before: written
 * branches name them, the writer does not hold them. Start with a zero cursor; false at the end. Packs only. */
typedef struct ri_kept_cursor {
    size_t branch;
    size_t child;
} ri_kept_cursor;
bool ri_writer_next_kept(const ri_writer *writer, unsigned level_min, ri_kept_cursor *at, ri_noderef *out);
/* Finishes packs. After it only resolve, and blobs may still be put (for base records that name locators). */
int ri_writer_seal(ri_writer *writer, rille_err *err);
/* In a task, what is full waits for this call between two steps of work. Puts one thing; RILLE_AGAIN: ask once more. */
int ri_writer_put_full(ri_writer *writer, rille_err *err);
/* Puts what it still holds, so that little is left to be written with the head. After the seal. RILLE_AGAIN, too. */
int ri_writer_store(ri_writer *writer, rille_err *err);
void ri_writer_resolve(const ri_writer *writer, ri_noderef *ref);
/* The region of the last pack that holds all branches (len 0: none), and how much of it, at its end, the upper levels
 * take: branches above branches, and those that no other one names, which are roots. */
void ri_writer_branch_region(const ri_writer *writer, uint8_t pack[RI_HASH_SIZE], uint64_t *offset, uint64_t *len,
                             uint64_t *upper_len);
uint64_t ri_writer_bytes(const ri_writer *writer); /* to be stored so far */

/* ---- heads ---- */

int ri_store_head_read(ri_store *store, const char *branch, rille_head *out, rille_err *err); /* blocks */
/* RILLE_DONE, and no bytes, when it is still that of *known. */
int ri_store_head_poll(ri_store *store, const char *branch, const rille_revision *known, rille_head *out,
                       rille_err *err);
/* writer may be NULL. What it holds becomes durable with the head. 0 or RILLE_CONFLICT. */
int ri_store_head_swap(ri_store *store, const rille_head_swap *swap, ri_writer *writer, rille_revision *revision,
                       rille_err *err);
int ri_store_head_list(ri_store *store, char **names, size_t *count, rille_err *err);
/* Where a branch has no head and a database is to be found or made. RILLE_CORRUPT when no branch has one but there are
 * objects: a creation writes the first head before any of them, and a drop says what it does. */
int ri_store_check_heads(ri_store *store, rille_err *err);
int ri_store_head_delete(ri_store *store, const char *branch, rille_err *err);
int ri_store_drop(ri_store *store, rille_err *err);
uint64_t ri_store_size_bytes(ri_store *store);

#endif
