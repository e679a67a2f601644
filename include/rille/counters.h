/* SPDX-License-Identifier: MIT
 *
 * What storage was asked for, and what that took: counted by a backend (backend.h), shown by rille_conn_stats and
 * conn:stats().
 */
#ifndef RILLE_COUNTERS_H
#define RILLE_COUNTERS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Since the backend was opened. None ever gets smaller but tier_bytes. A backend leaves those that it does not know 0. */
typedef struct rille_counters {
    uint64_t requests;       /* sent, those that were sent again, hedges and redirects included */
    uint64_t retries;        /* of them: sent again, because no answer or a passing failure came */
    uint64_t hedges;         /* of them: a second copy of a read that was slow */
    uint64_t received_bytes; /* of the answers' bodies, also of answers that were of no use */
    uint64_t sent_bytes;     /* of the requests' bodies */
    uint64_t rounds;         /* times when something was waited for: what is under way at once is one round */
    uint64_t wait_us;        /* how long they took together, in microseconds */
    uint64_t tier_hits;      /* objects or ranges that a nearer tier had (a cache of the storage) */
    uint64_t tier_misses;    /* that it did not have */
    uint64_t tier_evictions; /* objects that it dropped for others */
    uint64_t tier_bytes;     /* that it holds now */
} rille_counters;

/* Of a connection, since its storage was opened. */
typedef struct rille_stats {
    uint64_t reads;         /* calls that read ranges of objects */
    uint64_t read_ranges;   /* in them */
    uint64_t read_bytes;    /* in those */
    uint64_t writes;        /* objects */
    uint64_t written_bytes; /* of them */
    uint64_t head_reads;    /* branch heads */
    uint64_t head_swaps;
    uint64_t cache_hits; /* nodes and blobs that were in memory */
    uint64_t cache_misses;
    uint64_t cache_bytes; /* in memory now */
    uint64_t cache_bytes_max;
    uint64_t size_bytes; /* in storage, as far as it is known; 0: it is not */
    int64_t
        head_age_ms; /* how long ago the newest value that the connection knows was the newest one; -1: the clock was
                          * set back since */
    rille_counters storage;
} rille_stats;

#ifdef __cplusplus
}
#endif

#endif
