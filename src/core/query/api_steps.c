/* SPDX-License-Identifier: MIT
 *
 * The public operations besides queries: each is a function of the engine that is run in a task (task.h) until it ends.
 */
#include "api_own.h"

#include "../db/warm.h"
#include "../store/kept.h"

#include <string.h>

/* ---- beginning ---- */

int ri_api_start(rille_conn *conn, rille_db *db, int (*run)(rille_steps *, rille_err *), rille_steps **out,
                 rille_err *err)
{
    rille_steps *s = ri_alloc_zero(sizeof *s);
    *out = s;
    if (s == NULL) {
        return ri_fail_nomem(err);
    }
    s->run = run;
    s->conn = ri_conn_retain(conn);
    s->db = ri_db_retain(db);
    return 0;
}

/* The name of the branch becomes its own. Gives the operation out. */
static int with_branch(rille_steps *s, rille_steps **out, rille_err *err)
{
    const char *branch = s->options.branch;
    if (branch != NULL && strlen(branch) >= sizeof s->branch) {
        rille_steps_close(s);
        return ri_fail(err, RILLE_MISUSE, "the branch name is longer than %zu bytes", sizeof s->branch - 1);
    }
    if (branch != NULL) {
        memcpy(s->branch, branch, strlen(branch) + 1);
        s->options.branch = s->branch;
    }
    *out = s;
    return 0;
}

int ri_api_check_settings(const char *function, const rille_setting *settings, size_t count, rille_err *err)
{
    bool missing = settings == NULL && count > 0;
    for (size_t i = 0; i < count && !missing; i++) {
        missing = settings[i].key == NULL || settings[i].value == NULL;
    }
    return missing ? ri_fail(err, RILLE_MISUSE, "%s: a setting of the storage, its key or its value is NULL", function)
                   : 0;
}

int ri_api_check_options(const char *function, const rille_options *options, rille_err *err)
{
    return options != NULL ? ri_api_check_settings(function, options->settings, options->setting_count, err) : 0;
}

/* The database is opened by the first step. */
static bool keep_settings(rille_steps *s)
{
    size_t count = s->options.setting_count;
    rille_setting *settings = ri_arena_array(&s->arena, count + 1, sizeof *settings);
    for (size_t i = 0; settings != NULL && i < count; i++) {
        const rille_setting *given = &s->options.settings[i];
        settings[i].key = ri_arena_text(&s->arena, given->key, strlen(given->key));
        settings[i].value = ri_arena_text(&s->arena, given->value, strlen(given->value));
        settings = settings[i].key != NULL && settings[i].value != NULL ? settings : NULL;
    }
    s->options.settings = settings;
    return settings != NULL;
}

int rille_start_connect(const char *url, const rille_options *options, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(url, "the URL");
    rille_steps *s = NULL;
    RI_TRY(ri_api_check_options(__func__, options, err));
    RI_TRY(ri_api_start(NULL, NULL, ri_run_connect, &s, err));
    size_t len = strlen(url) + 1;
    s->options = ri_api_options(options);
    s->url = ri_alloc(len);
    const char *tier = s->options.tier;
    s->options.tier = tier != NULL ? ri_arena_text(&s->arena, tier, strlen(tier)) : NULL;
    if (s->url == NULL || (tier != NULL && s->options.tier == NULL) || !keep_settings(s)) {
        rille_steps_close(s);
        return ri_fail_nomem(err);
    }
    memcpy(s->url, url, len);
    return with_branch(s, out, err);
}

int rille_start_connect_backend(const rille_backend *backend, const char *name, const rille_options *options,
                                rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    RI_TRY(ri_api_check_backend(__func__, backend, err));
    rille_steps *s = NULL;
    rille_backend known = *backend;
    known.capabilities &= RI_BACKEND_CAPABILITIES;
    int rc = ri_api_start(NULL, NULL, ri_run_connect_backend, &s, err);
    if (rc != 0) {
        backend->ops->close(backend->self);
        return rc;
    }
    s->options = ri_api_options(options);
    RI_TRY(with_branch(s, out, err)); /* RILLE_MISUSE: the backend stays open */
    rc = ri_store_open_backend(&known, name != NULL ? name : "backend", s->options.cache_bytes, &s->store, err);
    if (rc == 0 && s->options.tier != NULL) {
        ri_store_options tier = { .tier = s->options.tier, .tier_bytes_max = s->options.tier_bytes_max };
        rc = ri_store_add_tier(s->store, &tier, NULL, err);
    }
    if (rc != 0) {
        rille_steps_close(s);
        *out = NULL;
    }
    return rc;
}

static int start_conn(const char *function, rille_conn *conn, int (*run)(rille_steps *, rille_err *), rille_steps **out,
                      rille_err *err)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (out == NULL || conn == NULL) {
        return ri_fail(err, RILLE_MISUSE, "%s: %s is NULL", function, out == NULL ? "out" : "the connection");
    }
    return ri_api_start(conn, NULL, run, out, err);
}

int rille_start_db(rille_conn *conn, rille_steps **out, rille_err *err)
{
    return start_conn(__func__, conn, ri_run_db, out, err);
}

int rille_start_flush(rille_conn *conn, rille_steps **out, rille_err *err)
{
    return start_conn(__func__, conn, ri_run_flush, out, err);
}

int rille_start_verify(rille_conn *conn, rille_steps **out, rille_err *err)
{
    return start_conn(__func__, conn, ri_run_verify, out, err);
}

/* Of text, the first portion of which is read at once. */
static int start_edn(rille_conn *conn, rille_db *db, int (*run)(rille_steps *, rille_err *), const char *edn,
                     size_t len, rille_steps **out, rille_err *err)
{
    rille_steps *s = NULL;
    RI_TRY(ri_api_start(conn, db, run, &s, err));
    const char *text = ri_arena_copy(&s->arena, edn, len);
    int rc = text == NULL ? ri_fail_nomem(err) : RILLE_AGAIN;
    if (text != NULL) {
        ri_edn_init(&s->reader, &s->arena, text, len, true);
        s->reader.portion = RI_STEPS_EDN_PORTION;
        rc = ri_edn_read_on(&s->reader, &s->form, err);
        s->has_form = rc == 0;
    }
    if (rc < 0) {
        rille_steps_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int rille_start_transact(rille_conn *conn, const char *edn, size_t len, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(conn, "the connection");
    RI_TRY(ri_api_check_text(__func__, "the text", edn, len, err));
    return start_edn(conn, NULL, ri_run_transact, edn, len, out, err);
}

int rille_start_with(rille_db *db, const char *edn, size_t len, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    RI_TRY(ri_api_check_text(__func__, "the text", edn, len, err));
    return start_edn(NULL, db, ri_run_with, edn, len, out, err);
}

int rille_start_as_of(rille_db *db, uint64_t tx, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    RI_TRY(ri_api_start(NULL, db, ri_run_as_of, out, err));
    (*out)->tx = tx;
    return 0;
}

int rille_start_as_of_instant(rille_db *db, int64_t instant_ms, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    RI_TRY(ri_api_start(NULL, db, ri_run_as_of_instant, out, err));
    (*out)->instant_ms = instant_ms;
    return 0;
}

/* ---- stepping ---- */

static int end(rille_steps *s, int rc, rille_err *err)
{
    s->has_ended = true;
    s->rc = rc == 0 ? RILLE_DONE : rc;
    if (rc < 0 && err != NULL) {
        s->err = *err;
    }
    ri_task_forget(&s->task);
    return s->rc;
}

static int step_task(rille_steps *s, rille_err *err)
{
    rille_err own = { 0 };
    if (!s->has_ended) {
        ri_api_range_drop(s->range);
        ri_task *outer = ri_task_enter(&s->task);
        int given = s->run(s, &own);
        int rc = ri_task_leave(&s->task, outer, given, &own);
        if (rc == RILLE_CANCELLED && given == 0 && s->run == ri_run_transact) {
            rc = 0; /* too late */
        }
        if (rc != RILLE_ROWS) {
            ri_api_range_drop(s->range);
        }
        if (rc != 0) {
            ri_conn_release(s->out_conn);
            ri_db_release(s->out_db);
            s->out_conn = NULL;
            s->out_db = NULL;
        }
        if (rc == RILLE_ROWS) {
            ri_task_forget(&s->task);
        }
        if (rc == RILLE_NEED || rc == RILLE_AGAIN || rc == RILLE_ROWS) {
            return rc;
        }
        (void)end(s, rc, &own);
    }
    if (s->rc >= 0 && !ri_task_empty_trash(&s->task)) {
        return ri_fail(err, RILLE_AGAIN, "the budget is exhausted");
    }
    if (s->rc < 0 && err != NULL) {
        *err = s->err;
    }
    return s->rc;
}

int rille_step(rille_steps *steps, uint64_t budget_us, rille_err *err)
{
    NEED_GIVEN(steps, "the operation");
    if (steps->op == NULL) {
        ri_task_set_budget(&steps->task, budget_us);
        return step_task(steps, err);
    }
    if (steps->task.failure.code != 0) { /* of the host, which supplied it */
        if (err != NULL) {
            *err = steps->task.failure;
        }
        return steps->task.failure.code;
    }
    int rc = ri_op_step(steps->op, budget_us, err);
    return rc != RILLE_CALL
               ? rc
               : ri_fail(err, RILLE_QUERY,
                         "the query calls a function that is not built in, and the C API cannot register one");
}

int rille_fetch(rille_steps *steps, rille_err *err)
{
    NEED_GIVEN(steps, "the operation");
    return steps->op != NULL ? ri_io_fetch(ri_op_io(steps->op), err) : ri_task_fetch(&steps->task, err);
}

int rille_poll(rille_steps *steps, rille_err *err)
{
    NEED_GIVEN(steps, "the operation");
    return steps->op != NULL ? ri_io_poll(ri_op_io(steps->op), err) : ri_task_poll(&steps->task, err);
}

/* The store that it waits for. */
static ri_store *store_of(rille_steps *s)
{
    const ri_io *io = s->op != NULL ? ri_op_io(s->op) : &s->task.io;
    return s->task.waits ? s->task.call.store : io->want_count > 0 ? io->wants[0].store : NULL;
}

#define WAIT_SLICE_MS 5 /* for each of several */

int rille_wait(rille_steps *const *steps, size_t count, uint64_t timeout_ms, rille_err *err)
{
    uint64_t end_us = ri_clock_us() + (timeout_ms < UINT32_MAX ? timeout_ms * 1000 : (uint64_t)UINT32_MAX * 1000);
    NEED_GIVEN(steps, "the array of operations");
    for (size_t i = 0; i < count; i++) {
        NEED_GIVEN(steps[i], "an operation");
    }
    for (size_t next = 0;; next++) {
        for (size_t i = 0; i < count; i++) {
            int rc = rille_poll(steps[i], err);
            if (rc != RILLE_NEED) {
                return rc;
            }
        }
        uint64_t now_us = ri_clock_us();
        if (count == 0 || now_us >= end_us) {
            return RILLE_AGAIN;
        }
        uint64_t left_ms = (end_us - now_us + 999) / 1000;
        ri_store *store = store_of(steps[next % count]);
        if (store != NULL) {
            ri_store_wait(store, count > 1 && left_ms > WAIT_SLICE_MS ? WAIT_SLICE_MS : left_ms);
        }
    }
}

void rille_steps_cancel(rille_steps *steps)
{
    if (steps != NULL && steps->op != NULL) {
        ri_op_cancel(steps->op);
    } else if (steps != NULL) {
        ri_task_cancel(&steps->task);
    }
}

void rille_steps_close(rille_steps *steps)
{
    if (steps != NULL) {
        ri_api_run_end(steps->query_run);
        ri_commit_release(steps->kept);
        ri_tx_release(steps->filled);
        ri_flush_run_release(steps->flush);
        ri_verify_run_release(steps->verify);
        ri_warm_release(steps->warm);
        ri_api_range_free(steps->range);
        ri_edn_deinit(&steps->reader);
        ri_arena_deinit(&steps->arena);
        ri_conn_release(steps->out_conn);
        ri_db_release(steps->out_db);
        ri_db_release(steps->db);
        ri_conn_release(steps->conn);
        ri_task_deinit(&steps->task);
        ri_store_release(steps->store);
        ri_free(steps->url);
        ri_free(steps);
    }
}

/* ---- results ---- */

rille_conn *rille_steps_conn(rille_steps *steps)
{
    return steps != NULL ? ri_conn_retain(steps->out_conn) : NULL;
}

rille_db *rille_steps_db(rille_steps *steps)
{
    return steps != NULL ? ri_db_retain(steps->out_db) : NULL;
}

rille_commit rille_steps_commit(const rille_steps *steps)
{
    return steps != NULL ? steps->out_commit : (rille_commit){ 0 };
}

/* ---- wants ---- */

static const ri_io *io_of(const rille_steps *steps)
{
    return steps->op != NULL ? ri_op_io(steps->op) : &steps->task.io;
}

size_t rille_steps_wants(const rille_steps *steps)
{
    return steps == NULL ? 0 : steps->op != NULL ? ri_op_io(steps->op)->want_count : ri_task_wants(&steps->task);
}

static int check_index(const rille_steps *steps, size_t index, const char *function, rille_err *err)
{
    size_t count = rille_steps_wants(steps);
    if (index < count) {
        return 0;
    }
    return ri_fail(err, RILLE_MISUSE, "%s: index %zu, but the last step needs %zu outcome%s, numbered from 0", function,
                   index, count, count == 1 ? "" : "s");
}

int rille_steps_want(const rille_steps *steps, size_t index, rille_want *out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = (rille_want){ 0 };
    NEED_GIVEN(steps, "the operation");
    RI_TRY(check_index(steps, index, __func__, err));
    const ri_io *io = io_of(steps);
    if (index < io->want_count) {
        rille_get get = ri_io_request(io, index);
        *out = (rille_want){ .op = RILLE_WANT_GET, .object = get.object, .offset = get.offset, .len = get.len };
        out->store = io->wants[index].store != NULL ? ri_store_url(io->wants[index].store) : "";
        return 0;
    }
    *out = ri_slot_want(&steps->task.call);
    return 0;
}

/* Is it an outcome of that call, whatever the host means by it? */
static bool is_outcome(const ri_slot_call *call, const rille_outcome *out)
{
    if (out->rc != 0) {
        bool unchanged = call->slot == RI_CALL_HEAD_READ && out->rc == RILLE_DONE && call->known != NULL;
        bool swapped = call->slot == RI_CALL_HEAD_SWAP && (out->rc == RILLE_CONFLICT || out->rc == RILLE_UNKNOWN);
        return out->rc < 0 || unchanged || swapped;
    }
    return call->slot == RI_CALL_HEAD_READ || call->slot == RI_CALL_GET ? out->bytes != NULL
           : call->slot == RI_CALL_LIST                                 ? out->count == 0 || out->ids != NULL
           : call->slot == RI_CALL_HEAD_LIST                            ? out->count == 0 || out->names != NULL
                                                                        : true;
}

static bool copy_block(void *place, const void *bytes, size_t len)
{
    void *copy = ri_alloc(len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    memcpy(place, &copy, sizeof copy);
    return copy != NULL;
}

static bool copy_names(const rille_outcome *from, ri_answer *to)
{
    size_t len = 0;
    for (size_t i = 0; i < from->count; i++) {
        len += strlen(from->names + len) + 1;
    }
    to->count = from->count;
    return copy_block(&to->names, from->names, len);
}

static bool copy_get(const ri_slot_call *call, const rille_outcome *from, ri_answer *to)
{
    to->gets = ri_alloc_zero(sizeof *to->gets);
    if (to->gets == NULL) {
        return false;
    }
    to->count = 1;
    to->gets[0] = call->gets[0];
    to->gets[0].bytes_len = from->len;
    return copy_block(&to->gets[0].bytes, from->bytes, from->len);
}

/* What the call gives, and nothing else that the host may have filled in. */
static bool copy_outcome(const ri_slot_call *call, const rille_outcome *from, ri_answer *to)
{
    to->rc = from->rc;
    if (from->rc != 0) {
        return true;
    }
    switch (call->slot) {
    case RI_CALL_GET:
        return copy_get(call, from, to);
    case RI_CALL_HEAD_READ:
        to->head.revision = from->revision;
        to->head.len = from->len;
        return copy_block(&to->head.bytes, from->bytes, from->len);
    case RI_CALL_HEAD_SWAP:
        to->head.revision = from->revision;
        return true;
    case RI_CALL_HEAD_LIST:
        return copy_names(from, to);
    case RI_CALL_LIST:
        to->count = from->count;
        return copy_block(&to->ids, from->ids, from->count * sizeof *from->ids);
    case RI_CALL_PUT:
    case RI_CALL_HEAD_DELETE:
    case RI_CALL_DELETE:
    case RI_CALL_DROP:
        return true;
    }
    return true;
}

/* Of a node or blob. A failure is the next step's. */
static int supply_range(rille_steps *steps, size_t index, const rille_outcome *outcome, const char *message,
                        rille_err *err)
{
    ri_io *io = steps->op != NULL ? ri_op_io(steps->op) : &steps->task.io;
    if (outcome->rc == 0) {
        return ri_io_supply(io, index, outcome->bytes, outcome->len, err);
    }
    (void)ri_fail(&steps->task.failure, outcome->rc, "%s", message);
    return 0;
}

int rille_supply(rille_steps *steps, size_t index, const rille_outcome *outcome, rille_err *err)
{
    static const ri_slot_call range = { .slot = RI_CALL_GET };
    NEED_GIVEN(steps, "the operation");
    NEED_GIVEN(outcome, "the outcome");
    const char *message = outcome->message != NULL ? outcome->message : "the host could not get what is wanted";
    RI_TRY(check_index(steps, index, __func__, err));
    bool is_range = index < io_of(steps)->want_count;
    const ri_slot_call *call = is_range ? &range : &steps->task.call;
    if (!is_outcome(call, outcome)) {
        return ri_fail(err, RILLE_MISUSE, "%s: code %d, or what comes with it, does not answer want %zu", __func__,
                       outcome->rc, index);
    }
    if (is_range) {
        return supply_range(steps, index, outcome, message, err);
    }
    ri_answer answer = { 0 };
    if (!copy_outcome(call, outcome, &answer)) {
        ri_answer_deinit(&answer);
        return ri_fail_nomem(err);
    }
    if (outcome->rc < 0) {
        (void)ri_fail(&answer.err, outcome->rc, "%s", message);
    }
    return ri_task_supply(&steps->task, &answer, err);
}
