/* SPDX-License-Identifier: MIT */
#include "host.h"

#include "../base/mem.h"
#include "../base/sync.h"
#include "inside.h"
#include "url.h"

typedef struct host {
    ri_host_inbox *inbox;
    struct host *next; /* in the inbox */
    uint64_t number;
    bool stuck; /* somebody waits for an answer, which only he could give */
} host;

struct ri_host_inbox {
    ri_refs refs;
    ri_mutex lock;
    host *first;
};

ri_host_inbox *ri_host_inbox_new(void)
{
    ri_host_inbox *inbox = ri_alloc_zero(sizeof *inbox);
    if (inbox != NULL) {
        ri_refs_init(&inbox->refs);
        ri_mutex_init(&inbox->lock);
    }
    return inbox;
}

/* Locked. The rest of what was taken is freed by the caller. */
static host *take(ri_host_inbox *inbox)
{
    ri_mutex_lock(&inbox->lock);
    host *first = inbox->first;
    inbox->first = first != NULL ? first->next : NULL;
    ri_mutex_unlock(&inbox->lock);
    return first;
}

uint64_t ri_host_inbox_take(ri_host_inbox *inbox)
{
    host *first = take(inbox);
    uint64_t number = first != NULL ? first->number : 0;
    ri_free(first);
    return number;
}

void ri_host_inbox_release(ri_host_inbox *inbox)
{
    if (inbox == NULL || !ri_refs_drop(&inbox->refs)) {
        return;
    }
    while (ri_host_inbox_take(inbox) != 0) {
    }
    ri_mutex_deinit(&inbox->lock);
    ri_free(inbox);
}

/* ---- slots ---- */

static int need(host *h, rille_err *err)
{
    if (!h->stuck) {
        return RILLE_NEED;
    }
    h->stuck = false;
    return ri_fail(err, RILLE_UNSUPPORTED,
                   "this call waits for storage inside rille, where a backend of the program cannot be called: use the "
                   "form of the call that is stepped");
}

static int host_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    (void)gets;
    (void)count;
    return need(self, err);
}

static int host_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    (void)puts;
    (void)count;
    return need(self, err);
}

static int host_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    (void)branch;
    (void)known;
    (void)out;
    return need(self, err);
}

static int host_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    (void)swap;
    (void)revision;
    return need(self, err);
}

static int host_head_delete(void *self, const char *branch, rille_err *err)
{
    (void)branch;
    return need(self, err);
}

static int host_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    (void)names;
    (void)count;
    return need(self, err);
}

static int host_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    (void)kind;
    (void)ids;
    (void)count;
    return need(self, err);
}

static int host_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    (void)ids;
    (void)count;
    return need(self, err);
}

static int host_drop(void *self, rille_err *err)
{
    return need(self, err);
}

/* Comes between two askings of who waits in C (ri_store_call_now). */
static void host_wait(void *self, uint64_t timeout_ms)
{
    host *h = self;
    (void)timeout_ms;
    h->stuck = true;
}

/* Into the inbox, which may be freed with it: by (H2) without allocating. */
static void host_close(void *self)
{
    host *h = self;
    ri_host_inbox *inbox = h->inbox;
    ri_mutex_lock(&inbox->lock);
    h->next = inbox->first;
    inbox->first = h;
    ri_mutex_unlock(&inbox->lock);
    ri_host_inbox_release(inbox);
}

/* The program says what it lacks when it is asked. */
static const rille_backend_ops host_ops = {
    .get_many = host_get_many,
    .put_many = host_put_many,
    .head_read = host_head_read,
    .head_swap = host_head_swap,
    .head_delete = host_head_delete,
    .head_list = host_head_list,
    .list = host_list,
    .delete_many = host_delete_many,
    .drop = host_drop,
    .close = host_close,
    .wait = host_wait,
};

int ri_host_open(ri_host_inbox *inbox, const ri_host_options *options, ri_store **out, rille_err *err)
{
    ri_buf shown = { 0 };
    *out = NULL;
    RI_ASSERT(options->number != 0);
    ri_url_show(&shown, options->url);
    ri_buf_put_u8(&shown, 0);
    host *h = ri_alloc_zero(sizeof *h);
    if (h == NULL || shown.failed) {
        ri_free(h);
        ri_buf_deinit(&shown);
        return ri_fail_nomem(err);
    }
    ri_refs_take(&inbox->refs);
    h->inbox = inbox;
    h->number = options->number;
    rille_backend backend = { &host_ops, h, options->capabilities | RILLE_BACKEND_DEFERRED };
    int rc = ri_store_open_backend(&backend, (const char *)shown.p, options->cache_bytes, out, err);
    ri_buf_deinit(&shown);
    return rc;
}

static host *host_of(const ri_store *store)
{
    return store != NULL && store->backend.ops == &host_ops ? store->backend.self : NULL;
}

uint64_t ri_host_number(const ri_store *store)
{
    const host *h = host_of(store);
    return h != NULL ? h->number : 0;
}

/* ---- what is wanted ---- */

size_t ri_io_hosted(const ri_io *io, size_t places[RI_HOST_WANTS_MAX])
{
    const ri_store *store = NULL;
    size_t count = 0;
    for (size_t i = 0; i < io->want_count && count < RI_HOST_WANTS_MAX; i++) {
        const ri_store *own = io->wants[i].store;
        bool hosted = count > 0 ? own == store : host_of(own) != NULL;
        if (hosted) {
            store = own;
            places[count++] = i;
        }
    }
    return count;
}

bool ri_io_has_others(const ri_io *io)
{
    bool found = false;
    for (size_t i = 0; i < io->want_count && !found; i++) {
        found = io->wants[i].store != NULL && host_of(io->wants[i].store) == NULL;
    }
    return found;
}

static bool are_wanted(const ri_io *io, const size_t *places, const rille_get *gets, size_t count)
{
    bool good = count > 0 && count <= RI_HOST_WANTS_MAX;
    for (size_t i = 0; good && i < count; i++) {
        good = places[i] < io->want_count && io->wants[places[i]].store != NULL &&
               io->wants[places[i]].store == io->wants[places[0]].store;
        rille_get wanted = good ? ri_io_request(io, places[i]) : (rille_get){ 0 };
        good = good && wanted.offset == gets[i].offset && wanted.len == gets[i].len &&
               memcmp(&wanted.object, &gets[i].object, sizeof wanted.object) == 0;
    }
    return good;
}

static void free_bytes(rille_get *gets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ri_free(gets[i].bytes);
        gets[i].bytes = NULL;
    }
}

int ri_io_answer(ri_io *io, const size_t *places, rille_get *gets, size_t count, uint64_t us, rille_err *err)
{
    ri_want batch[RI_HOST_WANTS_MAX];
    if (!are_wanted(io, places, gets, count)) {
        free_bytes(gets, count);
        return ri_fail(err, RILLE_MISUSE,
                       "the operation does not want these ranges any more: one coroutine at a time "
                       "may drive it");
    }
    for (size_t i = 0; i < count; i++) {
        ri_want *want = &io->wants[places[i]];
        batch[i] = *want;
        want->store = NULL;
        io->supplied_count++;
    }
    ri_task *outer = ri_task_enter(NULL);
    int rc = ri_io_take_answers(io, batch, gets, count, us, err);
    return ri_task_leave(NULL, outer, rc, err);
}

const ri_slot_call *ri_task_hosted(const ri_task *task)
{
    return task->waits && host_of(task->call.store) != NULL ? &task->call : NULL;
}

int ri_task_answer(ri_task *task, ri_answer *answer, rille_err *err)
{
    if (ri_task_hosted(task) == NULL) {
        ri_answer_deinit(answer);
        return ri_fail(err, RILLE_MISUSE,
                       "the operation does not want this any more: one coroutine at a time may drive it");
    }
    ri_store_count_call(&task->call, answer, 0);
    return ri_task_supply(task, answer, err);
}
