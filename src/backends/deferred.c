/* SPDX-License-Identifier: MIT
 *
 * deferred:URL - any backend as if it lay far away: each call is answered with RILLE_NEED first, and with the answer
 * when the same call comes again. "The same" is checked by a hash over slot and arguments, so that a caller who changes
 * them between the two is found out: he gets RILLE_NEED for ever.
 */
#include "../core/base/bytes.h"
#include "../core/base/err.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "../core/store/backends.h"

#include <string.h>

#define BEGUN_MAX 64 /* calls under way; further ones push out older ones, which then begin again */

/* Internally locked. */
typedef struct deferred {
    rille_backend inner;
    ri_mutex lock;
    uint64_t begun[BEGUN_MAX]; /* 0: free */
    size_t next;
} deferred;

enum deferred_slot {
    SLOT_GET = 1,
    SLOT_PUT,
    SLOT_HEAD_READ,
    SLOT_HEAD_SWAP,
    SLOT_HEAD_DELETE,
    SLOT_HEAD_LIST,
    SLOT_LIST,
    SLOT_DELETE,
    SLOT_DROP,
    SLOT_AGES
};

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return ri_hash64(text, strlen(text), seed);
}

static uint64_t hash_id(const rille_object_id *id, uint64_t seed)
{
    return ri_hash64(id->id, RILLE_ID_SIZE, seed + id->kind);
}

static uint64_t hash_puts(const rille_put *puts, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = hash_id(&puts[i].object, seed) + puts[i].len;
    }
    return ri_mix64(seed + count);
}

/* Was this call begun? Then it is no more. */
static bool take_begun(deferred *self, uint64_t call)
{
    bool found = false;
    for (size_t i = 0; i < BEGUN_MAX && !found; i++) {
        found = self->begun[i] == call;
        self->begun[i] = found ? 0 : self->begun[i];
    }
    return found;
}

/* True when this call was begun before: it may be done now. */
static bool is_due(deferred *self, uint64_t call)
{
    call |= 1;
    ri_mutex_lock(&self->lock);
    bool due = take_begun(self, call);
    if (!due) {
        self->begun[self->next] = call;
        self->next = (self->next + 1) % BEGUN_MAX;
    }
    ri_mutex_unlock(&self->lock);
    return due;
}

static uint64_t hash_gets(const rille_get *gets, size_t count)
{
    uint64_t call = SLOT_GET;
    for (size_t i = 0; i < count; i++) {
        uint64_t range[2] = { gets[i].offset, gets[i].len };
        call = ri_hash64(range, sizeof range, hash_id(&gets[i].object, call));
    }
    return call;
}

static uint64_t hash_ids(const rille_object_id *ids, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = hash_id(&ids[i], seed);
    }
    return seed;
}

static uint64_t hash_list(rille_object_kind kind)
{
    return ri_mix64(SLOT_LIST * 256 + (uint64_t)kind);
}

static uint64_t hash_swap(const rille_head_swap *swap)
{
    uint64_t call = hash_text(swap->branch, SLOT_HEAD_SWAP);
    call = ri_hash64(swap->expected.bytes, sizeof swap->expected.bytes, call);
    call = ri_hash64(swap->cell, swap->cell_len, call + swap->kept_len);
    return hash_puts(swap->puts, swap->put_count, call);
}

static uint64_t hash_want(const rille_want *want)
{
    switch (want->op) {
    case RILLE_WANT_GET:
        return hash_gets(want->gets, want->count);
    case RILLE_WANT_PUT:
        return hash_puts(want->puts, want->count, SLOT_PUT);
    case RILLE_WANT_HEAD_READ:
        return hash_text(want->branch, SLOT_HEAD_READ);
    case RILLE_WANT_HEAD_SWAP:
        return hash_swap(want->swap);
    case RILLE_WANT_HEAD_DELETE:
        return hash_text(want->branch, SLOT_HEAD_DELETE);
    case RILLE_WANT_HEAD_LIST:
        return ri_mix64(SLOT_HEAD_LIST);
    case RILLE_WANT_LIST:
        return hash_list(want->kind);
    case RILLE_WANT_DELETE:
        return hash_ids(want->ids, want->count, SLOT_DELETE);
    case RILLE_WANT_DROP:
        return ri_mix64(SLOT_DROP);
    }
    return 0;
}

static void deferred_cancel(void *self, const rille_want *want)
{
    deferred *d = self;
    ri_mutex_lock(&d->lock);
    (void)take_begun(d, hash_want(want) | 1);
    ri_mutex_unlock(&d->lock);
}

static int deferred_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_gets(gets, count)) ? d->inner.ops->get_many(d->inner.self, gets, count, err) : RILLE_NEED;
}

static int deferred_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_puts(puts, count, SLOT_PUT)) ? d->inner.ops->put_many(d->inner.self, puts, count, err)
                                                       : RILLE_NEED;
}

static int deferred_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                              rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_text(branch, SLOT_HEAD_READ))
               ? d->inner.ops->head_read(d->inner.self, branch, known, out, err)
               : RILLE_NEED;
}

static int deferred_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_swap(swap)) ? d->inner.ops->head_swap(d->inner.self, swap, revision, err) : RILLE_NEED;
}

static int deferred_head_delete(void *self, const char *branch, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_text(branch, SLOT_HEAD_DELETE)) ? d->inner.ops->head_delete(d->inner.self, branch, err)
                                                          : RILLE_NEED;
}

static int deferred_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_mix64(SLOT_HEAD_LIST)) ? d->inner.ops->head_list(d->inner.self, names, count, err) : RILLE_NEED;
}

static int deferred_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_list(kind)) ? d->inner.ops->list(d->inner.self, kind, ids, count, err) : RILLE_NEED;
}

static int deferred_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err)
{
    deferred *d = self;
    for (size_t i = 0; i < count; i++) {
        ages_ms[i] = -1;
    }
    if (d->inner.ops->ages == NULL) {
        return RILLE_OK;
    }
    return is_due(d, hash_ids(ids, count, SLOT_AGES)) ? d->inner.ops->ages(d->inner.self, ids, count, ages_ms, err)
                                                      : RILLE_NEED;
}

static int deferred_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, hash_ids(ids, count, SLOT_DELETE)) ? d->inner.ops->delete_many(d->inner.self, ids, count, err)
                                                        : RILLE_NEED;
}

static int deferred_drop(void *self, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_mix64(SLOT_DROP)) ? d->inner.ops->drop(d->inner.self, err) : RILLE_NEED;
}

static void deferred_close(void *self)
{
    deferred *d = self;
    d->inner.ops->close(d->inner.self);
    ri_mutex_deinit(&d->lock);
    ri_free(d);
}

static uint64_t deferred_size_bytes(void *self)
{
    deferred *d = self;
    return d->inner.ops->size_bytes(d->inner.self);
}

static const rille_backend_ops deferred_ops = {
    .get_many = deferred_get_many,
    .put_many = deferred_put_many,
    .head_read = deferred_head_read,
    .head_swap = deferred_head_swap,
    .head_delete = deferred_head_delete,
    .head_list = deferred_head_list,
    .list = deferred_list,
    .ages = deferred_ages,
    .delete_many = deferred_delete_many,
    .drop = deferred_drop,
    .close = deferred_close,
    .size_bytes = deferred_size_bytes,
    .cancel = deferred_cancel,
};

int ri_backend_deferred_wrap(const rille_backend *inner, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    deferred *d = ri_alloc_zero(sizeof *d);
    if (d == NULL) {
        inner->ops->close(inner->self);
        return ri_fail_nomem(err);
    }
    d->inner = *inner;
    ri_mutex_init(&d->lock);
    *out = (rille_backend){ &deferred_ops, d, inner->capabilities | RILLE_BACKEND_DEFERRED };
    return RILLE_OK;
}
