/* SPDX-License-Identifier: MIT
 *
 * A store: its opening, its counts, its heads, and the one place where slots of the backend are called.
 */
#include "store.h"

#include "../base/mem.h"
#include "backends.h"
#include "inside.h"
#include "kept.h"
#include "url.h"

bool ri_addr_is_zero(const uint8_t addr[RI_HASH_SIZE])
{
    return (ri_load_u64(addr) | ri_load_u64(addr + 8) | ri_load_u64(addr + 16) | ri_load_u64(addr + 24)) == 0;
}

/* ---- opening ---- */

bool ri_backend_is_whole(const rille_backend *backend)
{
    const rille_backend_ops *ops = backend->ops;
    return ops->get_many != NULL && ops->put_many != NULL && ops->head_read != NULL && ops->head_swap != NULL &&
           ops->close != NULL;
}

int ri_store_add_tier(ri_store *store, const ri_store_options *options, const char *source, rille_err *err)
{
    RI_TRY(ri_tier_open(options->tier, options->tier_bytes_max, source, options->settings, options->setting_count,
                        &store->tier, err));
    store->backend.capabilities &= ~(uint32_t)RILLE_BACKEND_TRUSTED; /* not all comes from there */
    return RILLE_OK;
}

int ri_store_open_backend(const rille_backend *backend, const char *name, size_t cache_bytes, ri_store **out,
                          rille_err *err)
{
    *out = NULL;
    size_t name_len = strlen(name);
    ri_cache *cache = NULL;
    cache_bytes = cache_bytes == 0 ? RI_CACHE_BYTES_DEFAULT : cache_bytes;
    ri_store *store = ri_alloc_zero(sizeof *store);
    char *url = ri_alloc(name_len + 1);
    if (store == NULL || url == NULL || ri_cache_new(cache_bytes, &cache, err) != RILLE_OK) {
        ri_free(store);
        ri_free(url);
        backend->ops->close(backend->self);
        return ri_fail_nomem(err);
    }
    memcpy(url, name, name_len + 1);
    ri_refs_init(&store->refs);
    store->backend = *backend;
    store->url = url;
    store->cache = cache;
    store->cache_bytes_max = cache_bytes;
    rille_counters ignored = { 0 };
    store->backend_counts =
        backend->ops->counters != NULL && backend->ops->counters(backend->self, &ignored) == RILLE_OK;
    ri_packs_init(&store->packs);
    ri_unpackers_init(&store->unpackers);
    ri_mutex_init(&store->backend_lock);
    *out = store;
    return RILLE_OK;
}

#define WRAPPERS_MAX 8 /* deferred:deferred:... */

static int open_url(const char *text, const ri_store_options *options, unsigned depth, rille_backend *backend,
                    ri_buf *shown, rille_err *err);

/* deferred:URL, faulty:URL, faulty:PLAN;URL */
static int open_wrapped(const ri_url *url, const ri_store_options *options, unsigned depth, rille_backend *backend,
                        ri_buf *shown, rille_err *err)
{
    rille_backend inner;
    const char *place = url->place;
    const char *semicolon = url->scheme == RI_SCHEME_FAULTY ? strchr(place, ';') : NULL;
    const char *colon = strchr(place, ':');
    bool has_plan = semicolon != NULL && (colon == NULL || semicolon < colon);
    if (depth >= WRAPPERS_MAX) {
        return ri_fail(err, RILLE_SYNTAX, "store URL: more than %d wrappers", WRAPPERS_MAX);
    }
    ri_buf_put_text(shown, ri_scheme_name(url->scheme));
    ri_buf_put_text(shown, ":");
    RI_TRY(open_url(has_plan ? semicolon + 1 : place, options, depth + 1, &inner, shown, err));
    if (url->scheme == RI_SCHEME_DEFERRED) {
        return ri_backend_deferred_wrap(&inner, backend, err);
    }
    return ri_backend_faulty_wrap_text(&inner, place, has_plan ? (size_t)(semicolon - place) : 0, backend, err);
}

#if RILLE_WITH_CURL
static int open_remote(const ri_url *url, const ri_store_options *options, rille_backend *backend, rille_err *err)
{
    rille_setting params[RI_URL_PARAMS_MAX];
    ri_remote remote = { .scheme = ri_scheme_name(url->scheme),
                         .place = url->place,
                         .shown = url->shown,
                         .has_user = url->has_user,
                         .params = params,
                         .param_count = url->param_count,
                         .settings = options != NULL ? options->settings : NULL,
                         .setting_count = options != NULL ? options->setting_count : 0 };
    for (size_t i = 0; i < url->param_count; i++) {
        params[i] = (rille_setting){ url->params[i].key, url->params[i].value };
    }
    return url->scheme == RI_SCHEME_S3 ? ri_backend_s3_open(&remote, backend, err)
                                       : ri_backend_http_open(&remote, backend, err);
}
#endif

static int open_parsed(const ri_url *url, const ri_store_options *options, unsigned depth, rille_backend *backend,
                       ri_buf *shown, rille_err *err)
{
    if (url->scheme == RI_SCHEME_DEFERRED || url->scheme == RI_SCHEME_FAULTY) {
        return open_wrapped(url, options, depth, backend, shown, err);
    }
    bool create = options != NULL && options->create;
    ri_buf_put_text(shown, url->shown);
    if (options != NULL && options->setting_count > 0 && url->is_local) {
        return ri_fail(err, RILLE_MISUSE, "%s: %s: has no option \"%.40s\"", url->shown, ri_scheme_name(url->scheme),
                       options->settings[0].key);
    }
    switch (url->scheme) {
    case RI_SCHEME_MEM:
        return ri_backend_memory_open(url->place, create, backend, err);
    case RI_SCHEME_FILE:
        return ri_backend_file_open(url->place, create, backend, err);
    case RI_SCHEME_LMDB:
#if RILLE_WITH_LMDB
        return ri_backend_lmdb_open(url->place, create, backend, err);
#else
        break;
#endif
    case RI_SCHEME_HTTP:
    case RI_SCHEME_HTTPS:
    case RI_SCHEME_S3:
#if RILLE_WITH_CURL
        return open_remote(url, options, backend, err);
#endif
    case RI_SCHEME_SQLITE:
    case RI_SCHEME_POSTGRESQL:
    case RI_SCHEME_IDB:
    case RI_SCHEME_DEFERRED:
    case RI_SCHEME_FAULTY:
        break;
    }
    return ri_fail(err, RILLE_UNSUPPORTED, "%s: this build of rille does not support %s:; it supports %s", url->shown,
                   ri_scheme_name(url->scheme), ri_url_supported());
}

static int open_url(const char *text, const ri_store_options *options, unsigned depth, rille_backend *backend,
                    ri_buf *shown, rille_err *err)
{
    ri_url url;
    *backend = (rille_backend){ 0 };
    RI_TRY(ri_url_parse(text, &url, err));
    int rc = open_parsed(&url, options, depth, backend, shown, err);
    ri_url_deinit(&url);
    return rc;
}

static int open_store(const char *url, const ri_store_options *options, ri_store **out, rille_err *err)
{
    rille_backend backend;
    ri_buf shown = { 0 };
    *out = NULL;
    int rc = open_url(url, options, 0, &backend, &shown, err);
    if (rc == RILLE_OK) {
        ri_buf_put_u8(&shown, 0);
        if (shown.failed) {
            backend.ops->close(backend.self);
            rc = ri_fail_nomem(err);
        } else {
            rc = ri_store_open_backend(&backend, (const char *)shown.p, options != NULL ? options->cache_bytes : 0, out,
                                       err);
        }
    }
    ri_buf_deinit(&shown);
    if (rc == RILLE_OK && options != NULL && options->tier != NULL) {
        rc = ri_store_add_tier(*out, options, url, err);
        if (rc != RILLE_OK) {
            ri_store_release(*out);
            *out = NULL;
        }
    }
    return rc;
}

int ri_store_open(const char *url, const ri_store_options *options, ri_store **out, rille_err *err)
{
    ri_task *task = ri_task_running();
    if (task == NULL) {
        return open_store(url, options, out, err);
    }
    *out = NULL;
    if (task->opened == NULL) { /* once, however often the task runs */
        RI_TRY(open_store(url, options, &task->opened, err));
    }
    *out = ri_store_retain(task->opened);
    return RILLE_OK;
}

ri_store *ri_store_retain(ri_store *store)
{
    ri_refs_take(&store->refs);
    return store;
}

void ri_store_release(ri_store *store)
{
    if (store == NULL || !ri_refs_drop(&store->refs)) {
        return;
    }
    store->backend.ops->close(store->backend.self);
    ri_cache_release(store->cache);
    ri_tier_close(store->tier);
    ri_packs_deinit(&store->packs);
    ri_unpackers_deinit(&store->unpackers);
    ri_mutex_deinit(&store->backend_lock);
    ri_free(store->url);
    ri_free(store);
}

size_t ri_store_cache_bytes_max(const ri_store *store)
{
    return store->cache_bytes_max;
}

const char *ri_store_url(const ri_store *store)
{
    return store->url;
}

uint32_t ri_store_capabilities(const ri_store *store)
{
    return store->backend.capabilities;
}

/* ---- the slots ---- */

/* A slot that may be absent is. */
static int lacks_slot(const ri_slot_call *call, const char *verb, rille_err *err)
{
    return ri_fail(err, RILLE_UNSUPPORTED, "%s: the backend cannot %s", call->store->url, verb);
}

/* Of GET the answer has ranges of its own. */
static int call_slot(const ri_slot_call *call, ri_answer *answer)
{
    const rille_backend_ops *ops = call->store->backend.ops;
    void *self = call->store->backend.self;
    rille_err *err = &answer->err;
    switch (call->slot) {
    case RI_CALL_GET:
        return ops->get_many(self, answer->gets, call->count, err);
    case RI_CALL_PUT:
        return ops->put_many(self, call->puts, call->count, err);
    case RI_CALL_HEAD_READ:
        return ops->head_read(self, call->branch, call->known, &answer->head, err);
    case RI_CALL_HEAD_SWAP:
        return ops->head_swap(self, call->swap, &answer->head.revision, err);
    case RI_CALL_HEAD_DELETE:
        return ops->head_delete != NULL ? ops->head_delete(self, call->branch, err)
                                        : lacks_slot(call, "delete branches", err);
    case RI_CALL_HEAD_LIST:
        return ops->head_list != NULL ? ops->head_list(self, &answer->names, &answer->count, err)
                                      : lacks_slot(call, "list branches", err);
    case RI_CALL_LIST:
        return ops->list != NULL ? ops->list(self, call->kind, &answer->ids, &answer->count, err)
                                 : lacks_slot(call, "list objects", err);
    case RI_CALL_DELETE:
        return ops->delete_many != NULL ? ops->delete_many(self, call->ids, call->count, err)
                                        : lacks_slot(call, "delete objects", err);
    case RI_CALL_DROP:
        return ops->drop != NULL ? ops->drop(self, err) : lacks_slot(call, "drop databases", err);
    }
    return RILLE_INTERNAL;
}

/* Ranges of what failed have no bytes. */
static void drop_failed(rille_get *gets, size_t count, int rc)
{
    for (size_t i = 0; i < count; i++) {
        if (rc != RILLE_OK || gets[i].rc != RILLE_OK) {
            ri_free(gets[i].bytes);
            gets[i].bytes = NULL;
            gets[i].bytes_len = 0;
        }
    }
}

#define WAIT_MS 1000

static int read_kept(const ri_slot_call *call, ri_answer *answer)
{
    rille_head *head = &answer->head;
    ri_tier *tier = call->store->tier;
    memset(&head->revision, 0xff, sizeof head->revision);
    return tier != NULL && ri_tier_get_head(tier, call->branch, &head->bytes, &head->len, &answer->read_ms)
               ? RILLE_OK
               : RILLE_NOTFOUND;
}

static RI_THREAD_LOCAL const void *caller;

uint64_t ri_store_caller(void)
{
    return (uint64_t)(uintptr_t)caller;
}

/* Since when a call is waited for. Of what lies in this process's memory the clock would be a part: it takes no time. */
static uint64_t time_before(const ri_store *store)
{
    return ri_store_has(store, RILLE_BACKEND_TRUSTED) ? 0 : ri_clock_us();
}

static uint64_t time_since(uint64_t begin_us)
{
    return begin_us != 0 ? ri_clock_us() - begin_us : 0;
}

/* Asks a slot, and if it waits, until it no longer answers RILLE_NEED. */
static int ask(const ri_slot_call *call, bool waits, ri_answer *answer)
{
    const rille_backend *backend = &call->store->backend;
    uint64_t begin_us = time_before(call->store);
    if (call->is_kept) { /* asks nobody */
        return answer->rc = read_kept(call, answer);
    }
    for (;;) {
        ri_store_enter(call->store);
        caller = call->caller != NULL ? call->caller : answer;
        answer->rc = call_slot(call, answer);
        caller = NULL;
        ri_store_leave(call->store);
        if (answer->rc != RILLE_NEED) {
            break;
        }
        if (!waits) {
            ri_store_count(&call->store->counts.call_us, time_since(begin_us));
            return RILLE_NEED;
        }
        if (backend->ops->wait != NULL) {
            backend->ops->wait(backend->self, WAIT_MS);
        }
    }
    if (call->slot == RI_CALL_GET) {
        drop_failed(answer->gets, call->count, answer->rc);
    }
    ri_store_count_call(call, answer, time_since(begin_us));
    return answer->rc;
}

rille_want ri_slot_want(const ri_slot_call *call)
{
    static const rille_want_op ops[] = { [RI_CALL_GET] = RILLE_WANT_GET,
                                         [RI_CALL_PUT] = RILLE_WANT_PUT,
                                         [RI_CALL_HEAD_READ] = RILLE_WANT_HEAD_READ,
                                         [RI_CALL_HEAD_SWAP] = RILLE_WANT_HEAD_SWAP,
                                         [RI_CALL_HEAD_DELETE] = RILLE_WANT_HEAD_DELETE,
                                         [RI_CALL_HEAD_LIST] = RILLE_WANT_HEAD_LIST,
                                         [RI_CALL_LIST] = RILLE_WANT_LIST,
                                         [RI_CALL_DELETE] = RILLE_WANT_DELETE,
                                         [RI_CALL_DROP] = RILLE_WANT_DROP };
    rille_want want = { .op = ops[call->slot],
                        .store = ri_store_url(call->store),
                        .gets = call->gets,
                        .branch = call->swap != NULL ? call->swap->branch : call->branch,
                        .known = call->known,
                        .swap = call->swap,
                        .puts = call->puts,
                        .ids = call->ids,
                        .count = call->count,
                        .kind = call->kind };
    if (call->slot == RI_CALL_GET) {
        want.object = call->gets[0].object;
        want.offset = call->gets[0].offset;
        want.len = call->gets[0].len;
    }
    return want;
}

void ri_store_cancel(const ri_slot_call *call)
{
    const rille_backend *backend = &call->store->backend;
    if (backend->ops->cancel != NULL) {
        rille_want want = ri_slot_want(call);
        ri_store_enter(call->store);
        caller = call->caller;
        backend->ops->cancel(backend->self, &want);
        caller = NULL;
        ri_store_leave(call->store);
    }
}

void ri_store_wait(ri_store *store, uint64_t timeout_ms)
{
    if (store->backend.ops->wait != NULL) {
        store->backend.ops->wait(store->backend.self, timeout_ms);
    }
}

int ri_store_call_now(const ri_slot_call *call, bool waits, ri_answer *answer)
{
    *answer = (ri_answer){ 0 };
    if (call->slot == RI_CALL_GET) {
        answer->gets = ri_alloc_array(call->count + 1, sizeof *answer->gets);
        if (answer->gets == NULL) {
            answer->rc = ri_fail_nomem(&answer->err);
            return answer->rc;
        }
        memcpy(answer->gets, call->gets, call->count * sizeof *answer->gets);
        answer->count = call->count;
    }
    int rc = ask(call, waits, answer);
    if (rc == RILLE_NEED) {
        ri_answer_deinit(answer);
    }
    return rc;
}

/* What the answer holds is the caller's. */
static int call_store(const ri_slot_call *call, ri_answer *answer, rille_err *err)
{
    ri_task *task = ri_task_running();
    *answer = (ri_answer){ 0 };
    if (task != NULL) {
        return ri_task_call(task, call, answer, err);
    }
    int rc = ask(call, true, answer);
    if (rc < 0 && err != NULL) {
        *err = answer->err;
    }
    return rc;
}

int ri_store_get_now(ri_store *store, rille_get *gets, size_t count, bool waits, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_GET, .gets = gets, .count = count };
    ri_answer answer = { .gets = gets };
    int rc = ask(&call, waits, &answer);
    if (rc < 0 && err != NULL) {
        *err = answer.err;
    }
    return rc;
}

int ri_store_get_many(ri_store *store, rille_get *gets, size_t count, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_GET, .gets = gets, .count = count };
    ri_answer answer;
    if (ri_task_running() == NULL || !ri_store_has(store, RILLE_BACKEND_DEFERRED)) {
        return ri_store_get_now(store, gets, count, true, err);
    }
    int rc = call_store(&call, &answer, err);
    for (size_t i = 0; rc == RILLE_OK && i < count; i++) {
        gets[i] = answer.gets[i]; /* its bytes move */
        answer.gets[i].bytes = NULL;
    }
    ri_answer_deinit(&answer);
    return rc;
}

int ri_store_put_many(ri_store *store, const rille_put *puts, size_t count, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_PUT, .puts = puts, .count = count };
    ri_answer answer;
    return call_store(&call, &answer, err);
}

int ri_store_list(ri_store *store, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_LIST, .kind = kind };
    ri_answer answer;
    int rc = call_store(&call, &answer, err);
    *ids = answer.ids;
    *count = answer.count;
    return rc;
}

/* ---- heads ---- */

int ri_store_head_poll(ri_store *store, const char *branch, const rille_revision *known, rille_head *out,
                       rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_HEAD_READ, .branch = branch, .known = known };
    ri_answer answer;
    int rc = call_store(&call, &answer, err);
    *out = answer.head;
    return rc;
}

int ri_store_head_read(ri_store *store, const char *branch, rille_head *out, rille_err *err)
{
    return ri_store_head_poll(store, branch, NULL, out, err);
}

int ri_store_head_kept(ri_store *store, const char *branch, rille_head *out, int64_t *read_ms)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_HEAD_READ, .branch = branch, .is_kept = true };
    ri_answer answer;
    int rc = call_store(&call, &answer, NULL);
    *out = answer.head;
    *read_ms = answer.read_ms;
    return rc;
}

int ri_store_swap_head(ri_store *store, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_HEAD_SWAP, .swap = swap };
    ri_answer answer;
    int rc = call_store(&call, &answer, err);
    *revision = answer.head.revision;
    return rc;
}

int ri_store_head_list(ri_store *store, char **names, size_t *count, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_HEAD_LIST };
    ri_answer answer;
    int rc = call_store(&call, &answer, err);
    *names = answer.names;
    *count = answer.count;
    return rc;
}

int ri_store_head_delete(ri_store *store, const char *branch, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_HEAD_DELETE, .branch = branch };
    ri_answer answer;
    return call_store(&call, &answer, err);
}

int ri_store_drop(ri_store *store, rille_err *err)
{
    ri_slot_call call = { .store = store, .slot = RI_CALL_DROP };
    ri_answer answer;
    return call_store(&call, &answer, err);
}

uint64_t ri_store_size_bytes(ri_store *store)
{
    if (store->backend.ops->size_bytes == NULL) {
        return 0;
    }
    ri_store_enter(store);
    uint64_t size_bytes = store->backend.ops->size_bytes(store->backend.self);
    ri_store_leave(store);
    return size_bytes;
}

/* ---- heads that are gone ---- */

/* RILLE_DONE: there are some. A backend that cannot tell, or whose database is being dropped, has none. */
static int find_objects(ri_store *store, rille_object_kind kind)
{
    rille_object_id *ids = NULL;
    size_t count = 0;
    int rc = ri_store_list(store, kind, &ids, &count, NULL);
    ri_free(ids);
    return rc == RILLE_NEED ? rc : rc == RILLE_OK && count > 0 ? RILLE_DONE : 0;
}

/* Objects first: who sees those of a database that is just made sees its head too. */
int ri_store_check_heads(ri_store *store, rille_err *err)
{
    if (ri_store_has(store, RILLE_BACKEND_ROWS) || ri_store_has(store, RI_BACKEND_MADE)) {
        return RILLE_OK;
    }
    int rc = find_objects(store, RILLE_OBJECT_PACK);
    rc = rc == 0 ? find_objects(store, RILLE_OBJECT_BLOB) : rc;
    if (rc != RILLE_DONE) {
        return rc;
    }
    char *names = NULL;
    size_t count = 0;
    RI_TRY(ri_store_head_list(store, &names, &count, err));
    ri_free(names);
    if (count > 0) {
        return RILLE_OK;
    }
    return ri_fail(err, RILLE_CORRUPT,
                   "%s: the branch head is missing, although there are data files: restore heads/main from a backup, "
                   "or drop the database",
                   store->url);
}
