/* SPDX-License-Identifier: MIT
 *
 * deferred:URL - any backend as if it lay far away: each call is answered with RILLE_NEED first, and with the answer
 * when the same call comes again. "The same" is checked by a hash over slot and arguments, so that a caller who changes
 * them between the two is found out: he gets RILLE_NEED for ever.
 */
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "../core/store/backends.h"
#include "call_key.h"

#define BEGUN_MAX 64 /* calls under way; further ones push out older ones, which then begin again */

/* Internally locked. */
typedef struct deferred {
    rille_backend inner;
    ri_mutex lock;
    uint64_t begun[BEGUN_MAX]; /* 0: free */
    size_t next;
} deferred;

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

static void deferred_cancel(void *self, const rille_want *want)
{
    deferred *d = self;
    ri_mutex_lock(&d->lock);
    (void)take_begun(d, ri_key_want(want) | 1);
    ri_mutex_unlock(&d->lock);
}

static int deferred_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_gets(gets, count)) ? d->inner.ops->get_many(d->inner.self, gets, count, err) : RILLE_NEED;
}

static int deferred_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_puts(puts, count)) ? d->inner.ops->put_many(d->inner.self, puts, count, err) : RILLE_NEED;
}

static int deferred_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                              rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_head_read(branch, known)) ? d->inner.ops->head_read(d->inner.self, branch, known, out, err)
                                                      : RILLE_NEED;
}

static int deferred_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_head_swap(swap)) ? d->inner.ops->head_swap(d->inner.self, swap, revision, err) : RILLE_NEED;
}

static int deferred_head_delete(void *self, const char *branch, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_head_delete(branch)) ? d->inner.ops->head_delete(d->inner.self, branch, err) : RILLE_NEED;
}

static int deferred_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_bare(RILLE_WANT_HEAD_LIST)) ? d->inner.ops->head_list(d->inner.self, names, count, err)
                                                        : RILLE_NEED;
}

static int deferred_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_list(kind)) ? d->inner.ops->list(d->inner.self, kind, ids, count, err) : RILLE_NEED;
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
    return is_due(d, ri_key_ages(ids, count)) ? d->inner.ops->ages(d->inner.self, ids, count, ages_ms, err)
                                              : RILLE_NEED;
}

static int deferred_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_delete(ids, count)) ? d->inner.ops->delete_many(d->inner.self, ids, count, err)
                                                : RILLE_NEED;
}

static int deferred_drop(void *self, rille_err *err)
{
    deferred *d = self;
    return is_due(d, ri_key_bare(RILLE_WANT_DROP)) ? d->inner.ops->drop(d->inner.self, err) : RILLE_NEED;
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

static int deferred_counters(void *self, rille_counters *out)
{
    const deferred *d = self;
    return d->inner.ops->counters != NULL ? d->inner.ops->counters(d->inner.self, out) : RILLE_UNSUPPORTED;
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
    .counters = deferred_counters,
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
