/* SPDX-License-Identifier: MIT
 *
 * faulty:PLAN;URL - any backend, of which one call goes wrong as planned. For tests: it shows what the layers above do
 * with a storage that fails, lies or is slow. Bytes that pass it are not trusted, and its slots are called by one
 * thread at a time, so that the calls can be counted.
 */
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/store/backends.h"

#include <stdlib.h>
#include <string.h>

#define DELAY_CALLS 3U
#define PLAN_TEXT_MAX 64U

/* One thread at a time. */
typedef struct faulty {
    rille_backend inner;
    ri_fault_plan *plan;
    ri_fault_plan own; /* of a plan from text */
} faulty;

/* Counts a call of `slot` and says what is to happen to it. */
static ri_fault next_fault(faulty *f, unsigned slot)
{
    ri_fault_plan *plan = f->plan;
    if (plan->fault == RI_FAULT_NONE || (plan->slots & slot) == 0) {
        return RI_FAULT_NONE;
    }
    uint64_t call = plan->calls++;
    uint64_t span = plan->fault == RI_FAULT_DELAY ? DELAY_CALLS : 1;
    if (call < plan->at || call - plan->at >= span) {
        return RI_FAULT_NONE;
    }
    plan->hits++;
    return plan->fault;
}

static int fail_planned(ri_fault fault, rille_err *err)
{
    return fault == RI_FAULT_FULL ? ri_fail(err, RILLE_FULL, "faulty: the storage is full, as planned")
                                  : ri_fail(err, RILLE_IO, "faulty: the call failed, as planned");
}

/* True when the call is not to be done at all; *rc is its result then. */
static bool fails_before(ri_fault fault, int *rc, rille_err *err)
{
    if (fault == RI_FAULT_DELAY) {
        *rc = RILLE_NEED;
        return true;
    }
    if (fault == RI_FAULT_IO || fault == RI_FAULT_FULL) {
        *rc = fail_planned(fault, err);
        return true;
    }
    return false;
}

static void spoil(const faulty *f, ri_fault fault, uint8_t *bytes, size_t *len)
{
    if (fault == RI_FAULT_TRUNCATE) {
        *len /= 2;
    } else if (fault == RI_FAULT_FLIP && *len > 0) {
        uint64_t bit = f->plan->bit % ((uint64_t)*len * 8);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

static void spoil_get(const faulty *f, ri_fault fault, rille_get *get)
{
    if (get->rc != RILLE_OK) {
        return;
    }
    if (fault == RI_FAULT_MISSING) {
        ri_free(get->bytes);
        get->bytes = NULL;
        get->bytes_len = 0;
        get->rc = RILLE_NOTFOUND;
        return;
    }
    spoil(f, fault, get->bytes, &get->bytes_len);
}

static void drop_gets(rille_get *gets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ri_free(gets[i].bytes);
        gets[i].bytes = NULL;
        gets[i].bytes_len = 0;
    }
}

static int faulty_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    faulty *f = self;
    ri_fault fault = next_fault(f, RI_SLOT_GET);
    int rc;
    if (fails_before(fault, &rc, err)) {
        return rc;
    }
    RI_TRY(f->inner.ops->get_many(f->inner.self, gets, count, err));
    if (fault == RI_FAULT_AFTER) {
        drop_gets(gets, count);
        return fail_planned(fault, err);
    }
    if (fault != RI_FAULT_NONE && count > 0) {
        spoil_get(f, fault, &gets[f->plan->bit % count]);
    }
    return RILLE_OK;
}

static int faulty_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    faulty *f = self;
    ri_fault fault = next_fault(f, RI_SLOT_PUT);
    int rc;
    if (fails_before(fault, &rc, err)) {
        return rc;
    }
    RI_TRY(f->inner.ops->put_many(f->inner.self, puts, count, err));
    return fault == RI_FAULT_AFTER ? fail_planned(fault, err) : RILLE_OK;
}

static int faulty_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                            rille_err *err)
{
    faulty *f = self;
    ri_fault fault = next_fault(f, RI_SLOT_HEAD_READ);
    int rc;
    if (fails_before(fault, &rc, err)) {
        return rc;
    }
    known = fault == RI_FAULT_NONE ? known : NULL; /* there must be bytes to be spoilt */
    RI_TRY(f->inner.ops->head_read(f->inner.self, branch, known, out, err));
    if (fault == RI_FAULT_AFTER || fault == RI_FAULT_MISSING) {
        ri_free(out->bytes);
        *out = (rille_head){ 0 };
        return fault == RI_FAULT_AFTER ? fail_planned(fault, err)
                                       : ri_fail(err, RILLE_NOTFOUND, "faulty: no branch \"%s\", as planned", branch);
    }
    spoil(f, fault, out->bytes, &out->len);
    return RILLE_OK;
}

static int faulty_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    faulty *f = self;
    ri_fault fault = next_fault(f, RI_SLOT_HEAD_SWAP);
    int rc;
    if (fails_before(fault, &rc, err)) {
        return rc;
    }
    if (fault == RI_FAULT_UNSENT) {
        return RILLE_UNKNOWN;
    }
    RI_TRY(f->inner.ops->head_swap(f->inner.self, swap, revision, err));
    if (fault == RI_FAULT_LOST) {
        *revision = (rille_revision){ { 0 } };
        return RILLE_UNKNOWN;
    }
    if (fault == RI_FAULT_AFTER) {
        *revision = (rille_revision){ { 0 } };
        return fail_planned(fault, err);
    }
    return RILLE_OK;
}

static int faulty_head_delete(void *self, const char *branch, rille_err *err)
{
    faulty *f = self;
    return f->inner.ops->head_delete(f->inner.self, branch, err);
}

static int faulty_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    faulty *f = self;
    return f->inner.ops->head_list(f->inner.self, names, count, err);
}

static int faulty_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    faulty *f = self;
    return f->inner.ops->list(f->inner.self, kind, ids, count, err);
}

static int faulty_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err)
{
    faulty *f = self;
    for (size_t i = 0; i < count; i++) {
        ages_ms[i] = -1;
    }
    return f->inner.ops->ages == NULL ? RILLE_OK : f->inner.ops->ages(f->inner.self, ids, count, ages_ms, err);
}

static int faulty_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    faulty *f = self;
    return f->inner.ops->delete_many(f->inner.self, ids, count, err);
}

static int faulty_drop(void *self, rille_err *err)
{
    faulty *f = self;
    return f->inner.ops->drop(f->inner.self, err);
}

static void faulty_close(void *self)
{
    faulty *f = self;
    f->inner.ops->close(f->inner.self);
    ri_free(f);
}

static uint64_t faulty_size_bytes(void *self)
{
    faulty *f = self;
    return f->inner.ops->size_bytes(f->inner.self);
}

static void faulty_cancel(void *self, const rille_want *call)
{
    const rille_backend *inner = &((faulty *)self)->inner;
    if (inner->ops->cancel != NULL) {
        inner->ops->cancel(inner->self, call);
    }
}

static int faulty_counters(void *self, rille_counters *out)
{
    const faulty *f = self;
    return f->inner.ops->counters != NULL ? f->inner.ops->counters(f->inner.self, out) : RILLE_UNSUPPORTED;
}

static const rille_backend_ops faulty_ops = {
    .get_many = faulty_get_many,
    .put_many = faulty_put_many,
    .head_read = faulty_head_read,
    .head_swap = faulty_head_swap,
    .head_delete = faulty_head_delete,
    .head_list = faulty_head_list,
    .list = faulty_list,
    .ages = faulty_ages,
    .delete_many = faulty_delete_many,
    .drop = faulty_drop,
    .close = faulty_close,
    .size_bytes = faulty_size_bytes,
    .cancel = faulty_cancel,
    .counters = faulty_counters,
};

static int wrap(const rille_backend *inner, ri_fault_plan *plan, const ri_fault_plan *own, rille_backend *out,
                rille_err *err)
{
    *out = (rille_backend){ 0 };
    faulty *f = ri_alloc_zero(sizeof *f);
    if (f == NULL) {
        inner->ops->close(inner->self);
        return ri_fail_nomem(err);
    }
    f->inner = *inner;
    if (own != NULL) {
        f->own = *own;
    }
    f->plan = plan != NULL ? plan : &f->own;
    uint32_t capabilities = inner->capabilities & ~(uint32_t)(RILLE_BACKEND_TRUSTED | RILLE_BACKEND_THREADS);
    if (f->plan->fault == RI_FAULT_DELAY) {
        capabilities |= RILLE_BACKEND_DEFERRED;
    }
    *out = (rille_backend){ &faulty_ops, f, capabilities };
    return RILLE_OK;
}

int ri_backend_faulty_wrap(const rille_backend *inner, ri_fault_plan *plan, rille_backend *out, rille_err *err)
{
    return wrap(inner, plan, NULL, out, err);
}

static const struct {
    const char *name;
    ri_fault fault;
} fault_names[] = { { "none", RI_FAULT_NONE },       { "io", RI_FAULT_IO },          { "full", RI_FAULT_FULL },
                    { "after", RI_FAULT_AFTER },     { "trunc", RI_FAULT_TRUNCATE }, { "flip", RI_FAULT_FLIP },
                    { "missing", RI_FAULT_MISSING }, { "delay", RI_FAULT_DELAY },    { "lost", RI_FAULT_LOST },
                    { "unsent", RI_FAULT_UNSENT } };

static const struct {
    const char *name;
    unsigned slots;
} slot_names[] = { { "get", RI_SLOT_GET },
                   { "put", RI_SLOT_PUT },
                   { "head_read", RI_SLOT_HEAD_READ },
                   { "head_swap", RI_SLOT_HEAD_SWAP },
                   { "all", RI_SLOT_ALL } };

static bool parse_plan(char *text, ri_fault_plan *plan)
{
    *plan = (ri_fault_plan){ 0 };
    char *slot = strchr(text, '/');
    char *at = slot == NULL ? NULL : strchr(slot + 1, '/');
    if (at == NULL) {
        return false;
    }
    *slot++ = '\0';
    *at++ = '\0';
    bool known = false;
    for (size_t i = 0; i < sizeof fault_names / sizeof *fault_names; i++) {
        if (strcmp(fault_names[i].name, text) == 0) {
            plan->fault = fault_names[i].fault;
            known = true;
        }
    }
    for (size_t i = 0; i < sizeof slot_names / sizeof *slot_names; i++) {
        if (strcmp(slot_names[i].name, slot) == 0) {
            plan->slots = slot_names[i].slots;
        }
    }
    char *end;
    plan->at = strtoull(at, &end, 10);
    return known && plan->slots != 0 && end != at && *end == '\0';
}

int ri_backend_faulty_wrap_text(const rille_backend *inner, const char *plan, size_t plan_len, rille_backend *out,
                                rille_err *err)
{
    ri_fault_plan own = { 0 };
    char text[PLAN_TEXT_MAX] = "";
    if (plan_len > 0) {
        if (plan_len < sizeof text) {
            memcpy(text, plan, plan_len);
        }
        if (!parse_plan(text, &own)) {
            inner->ops->close(inner->self);
            *out = (rille_backend){ 0 };
            return ri_fail(err, RILLE_SYNTAX,
                           "store URL: faulty: expects FAULT/SLOT/AT, such as io/put/3, before the semicolon");
        }
    }
    return wrap(inner, NULL, &own, out, err);
}
