/* SPDX-License-Identifier: MIT
 *
 * A far store whose reads are counted: the lists of own_backend.h, which answer when they are asked again, or at once.
 *
 *     rounds     calls of get_many and head_read: they follow one another
 *     ranges     in those calls
 *     requests   what is left of the ranges when those of one object with small gaps between them are joined
 *     bytes      of the ranges; of the requests, with the gaps
 */
#ifndef RILLE_TEST_FAR_H
#define RILLE_TEST_FAR_H

#include "own_backend.h"

#include <stdbool.h>
#include <stdlib.h>

#define FAR_GAP_BYTES (32U << 10)
#define FAR_PART_BYTES (512U << 10)
#define FAR_READS_MAX 100000U

typedef struct far_counts {
    unsigned rounds;
    unsigned ranges;
    unsigned requests;
    unsigned again; /* ranges that were read before */
    uint64_t bytes;
    uint64_t request_bytes;
} far_counts;

typedef struct far_store {
    rille_backend inner;
    bool near; /* answers at once */
    uint64_t asked;
    far_counts counts;
    uint64_t *seen; /* ranges that were read, by a hash; FAR_READS_MAX places */
} far_store;

static inline uint64_t far_hash(const void *bytes, size_t len, uint64_t hash)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 1099511628211U;
    }
    return hash;
}

/* Is this call asked for the second time? */
static inline bool far_is_due(far_store *far, uint64_t call)
{
    bool due = far->near || far->asked == (call | 1);
    far->asked = due ? 0 : call | 1;
    return due;
}

static inline uint64_t far_range_hash(const rille_get *get)
{
    uint64_t hash = far_hash(get->object.id, sizeof get->object.id, 14695981039346656037U + get->object.kind);
    return far_hash(&get->offset, sizeof get->offset, hash);
}

static inline int far_compare(const void *a, const void *b)
{
    const rille_get *x = a;
    const rille_get *y = b;
    int order = memcmp(x->object.id, y->object.id, sizeof x->object.id);
    return order != 0 ? order : x->offset < y->offset ? -1 : x->offset > y->offset;
}

static inline void far_note(far_store *far, const rille_get *get)
{
    uint64_t hash = far_range_hash(get) | 1;
    size_t at = hash % FAR_READS_MAX;
    while (far->seen[at] != 0 && far->seen[at] != hash) {
        at = (at + 1) % FAR_READS_MAX;
    }
    far->counts.again += far->seen[at] == hash;
    far->seen[at] = hash;
}

/* As a web server would be asked. */
static inline void far_count(far_store *far, const rille_get *gets, size_t count)
{
    rille_get *sorted = calloc(count + 1, sizeof *sorted);
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t gaps = 0;
    memcpy(sorted, gets, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, far_compare);
    for (size_t i = 0; i < count; i++) {
        const rille_get *get = &sorted[i];
        uint64_t get_end = get->offset + get->bytes_len;
        bool same = i > 0 && memcmp(sorted[i - 1].object.id, get->object.id, sizeof get->object.id) == 0;
        far_note(far, get);
        far->counts.bytes += get->bytes_len;
        uint64_t gap = same && get->offset > end ? get->offset - end : 0;
        if (same && gap <= FAR_GAP_BYTES && gaps + gap <= end - begin - gaps + get->bytes_len &&
            get_end - begin <= FAR_PART_BYTES) {
            far->counts.request_bytes += get_end > end ? get_end - end : 0;
            gaps += gap;
            end = get_end > end ? get_end : end;
        } else {
            far->counts.requests++;
            far->counts.request_bytes += get->bytes_len;
            begin = get->offset;
            end = get_end;
            gaps = 0;
        }
    }
    far->counts.rounds++;
    far->counts.ranges += (unsigned)count;
    free(sorted);
}

static inline int far_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    far_store *far = self;
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++) {
        hash = hash * 31 + far_range_hash(&gets[i]);
    }
    if (!far_is_due(far, hash)) {
        return RILLE_NEED;
    }
    int rc = far->inner.ops->get_many(far->inner.self, gets, count, err);
    far_count(far, gets, count);
    return rc;
}

static inline int far_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                                rille_err *err)
{
    far_store *far = self;
    if (!far_is_due(far, far_hash(branch, strlen(branch), 7))) {
        return RILLE_NEED;
    }
    far->counts.rounds++;
    far->counts.requests++;
    int rc = far->inner.ops->head_read(far->inner.self, branch, known, out, err);
    far->counts.request_bytes += out->len;
    return rc;
}

static inline int far_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    far_store *far = self;
    return far->inner.ops->put_many(far->inner.self, puts, count, err);
}

static inline int far_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    far_store *far = self;
    return far->inner.ops->head_swap(far->inner.self, swap, revision, err);
}

static inline void far_close(void *self)
{
    far_store *far = self;
    far->inner.ops->close(far->inner.self);
}

/* Over the lists of a name, which must be there. `far` outlives the handle. */
static inline int far_open(const char *name, bool near, far_store *far, rille_backend *out, rille_err *err)
{
    static const rille_backend_ops ops = {
        .get_many = far_get_many,
        .put_many = far_put_many,
        .head_read = far_head_read,
        .head_swap = far_head_swap,
        .close = far_close,
    };
    *far = (far_store){ .near = near, .seen = calloc(FAR_READS_MAX, sizeof(uint64_t)) };
    *out = (rille_backend){ &ops, far, near ? 0 : RILLE_BACKEND_DEFERRED };
    return far->seen == NULL ? RILLE_NOMEM : own_open(name, false, &far->inner, err);
}

static inline void far_done(far_store *far)
{
    free(far->seen);
    far->seen = NULL;
}

#endif
