/* SPDX-License-Identifier: MIT
 *
 * conn:transact and db:with: from Lua data or EDN text to a report.
 *
 * A transaction is filled against one value of the database; when another writer was first it is filled again against
 * the next one, from the same Lua tables, which stay on the stack meanwhile. Everything owned sits in a box (`commit`),
 * so that any error of Lua frees it. The box is used again for the next transaction: a userdata with a finalizer costs
 * about as much as a small transaction.
 */
#include "rl_tx.h"
#include "rl_task.h"

#include <string.h>

typedef struct commit {
    rl_state *state;
    bool is_busy; /* a transaction uses it, or was left by an error of Lua */
    ri_tx *tx;
    ri_tx *idle;      /* memory for the next one, or NULL */
    ri_arena edn;     /* of EDN text */
    ri_arena scratch; /* while it is filled */
    ri_report report;
    bool has_report;
    ri_commit *kept; /* it was filled, and paused, or its swap of the head is under way */
    unsigned tries;
    ri_begin begin;       /* of the next try */
    ri_edn_reader reader; /* of EDN text, in a task; likewise the next ones */
    ri_form form;
    bool has_form;
    size_t edn_items; /* that are filled */
    rl_filled filled;
} commit;

/* The transaction is filled again from the same data. */
static void drop_tx(commit *c)
{
    ri_tx_release(c->tx);
    c->tx = NULL;
    c->edn_items = 0;
    c->filled = (rl_filled){ 0 };
}

/* Memory of the transaction serves the next one, if it is not much. */
static void end_tx(commit *c)
{
    if (c->tx != NULL && c->idle == NULL && ri_tx_recycle(c->tx)) {
        c->idle = c->tx;
    } else {
        ri_tx_release(c->tx);
    }
    c->tx = NULL;
}

static void clear_commit(commit *c)
{
    if (c->has_report) {
        ri_report_deinit(&c->report);
    }
    ri_commit_release(c->kept);
    end_tx(c);
    ri_edn_deinit(&c->reader);
    ri_arena_deinit(&c->edn);
    ri_arena_deinit(&c->scratch);
    *c = (commit){ .state = c->state, .is_busy = c->is_busy, .tries = c->tries, .idle = c->idle };
}

static void release_commit(void *handle)
{
    commit *c = handle;
    clear_commit(c);
    ri_tx_release(c->idle);
    ri_free(c);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_commit = { "transaction", release_commit, no_methods, NULL };

/* ---- filling ---- */

typedef struct source {
    int index;           /* Lua table, or 0 */
    int meta_index;      /* 0: none */
    const ri_form *form; /* EDN, or NULL */
} source;

static int fill_from(lua_State *L, const source *from, commit *c, rille_err *err)
{
    rl_filled filled = { 0 };
    if (from->form != NULL) {
        RI_TRY(ri_tx_fill_edn(c->tx, from->form, err));
    }
    int rc = rl_tx_fill(L, c->state, from->index, from->meta_index, &c->scratch, c->tx, &filled, err);
    ri_arena_deinit(&c->scratch);
    return rc;
}

static int not_data(lua_State *L, rille_err *err)
{
    return ri_fail(err, RILLE_MISUSE, "transaction data must be a list of maps and operations, or EDN text, got %s%s",
                   RL_GOT(L, 2));
}

/* Data at 2 (text or table), meta at 3. */
static int read_source(lua_State *L, commit *c, ri_form *form, source *out, rille_err *err)
{
    memset(out, 0, sizeof *out);
    out->meta_index = lua_istable(L, 3) ? 3 : 0;
    if (lua_type(L, 2) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, 2, &len);
        RI_TRY(ri_edn_read(&c->edn, text, len, form, err));
        out->form = form;
        return 0;
    }
    if (!lua_istable(L, 2)) {
        return not_data(L, err);
    }
    out->index = 2;
    return 0;
}

/* ---- filling in a task ---- */

#define EDN_PORTION 8192U
#define EDN_WORK ((size_t)4 * EDN_PORTION)

/* The text at 2, which every run is given. RILLE_NEED: paused. */
static int read_text(lua_State *L, commit *c, ri_task *task, rille_err *err)
{
    size_t len;
    const char *text = lua_tolstring(L, 2, &len);
    if (c->reader.text == NULL) {
        ri_edn_init(&c->reader, &c->edn, text, len, false);
        c->reader.portion = EDN_PORTION;
    }
    while (!c->has_form) {
        int rc = ri_edn_read_on(&c->reader, &c->form, err);
        c->has_form = rc == 0;
        if (rc < 0) {
            return rc;
        }
        if (ri_task_spend(task, EDN_WORK)) {
            return RILLE_NEED;
        }
    }
    return 0;
}

static int fill_text(commit *c, ri_task *task, rille_err *err)
{
    int rc = RILLE_AGAIN;
    while (rc == RILLE_AGAIN) {
        rc = ri_tx_fill_edn_step(c->tx, &c->form, &c->edn_items, err);
        if (rc == RILLE_AGAIN && ri_task_spend(task, ri_tx_fill_work(c->tx))) {
            return RILLE_NEED;
        }
    }
    return rc;
}

/* Begins or goes on. A table is read item by item: what was read is not read again, unless the transaction begins again.
 */
static int fill_in_task(lua_State *L, commit *c, ri_task *task, rille_err *err)
{
    bool is_text = lua_type(L, 2) == LUA_TSTRING;
    c->filled.task = task;
    RI_TRY(is_text ? fill_text(c, task, err) : 0);
    int meta = lua_istable(L, 3) ? 3 : 0;
    int rc = rl_tx_fill(L, c->state, is_text ? 0 : 2, meta, &c->scratch, c->tx, &c->filled, err);
    ri_arena_deinit(&c->scratch);
    return rc;
}

static int check_data(lua_State *L, commit *c, ri_task *task, rille_err *err)
{
    return lua_type(L, 2) == LUA_TSTRING ? read_text(L, c, task, err) : lua_istable(L, 2) ? 0 : not_data(L, err);
}

static commit *new_commit(lua_State *L)
{
    commit *c = ri_alloc_zero(sizeof *c);
    if (c == NULL) {
        (void)rl_error(L, "out of memory");
    }
    c->state = rl_own_state(L);
    return c;
}

/* The one that is kept, or, where it is busy, another one, which is kept from now on. */
static commit *push_commit(lua_State *L)
{
    const rl_state *state = rl_own_state(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->ref_commit);
    rl_box *box = lua_touserdata(L, -1);
    commit *c = box != NULL ? box->handle : NULL; /* while a state is closed, it may have been collected */
    if (c == NULL || c->is_busy) {
        lua_pop(L, 1);
        box = rl_box_push(L, &rl_class_commit);
        c = new_commit(L);
        box->handle = c;
        lua_pushvalue(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, state->ref_commit);
    }
    c->is_busy = true;
    return c;
}

/* ---- reports ---- */

static void push_tempids(lua_State *L, const ri_tx_result *result)
{
    lua_createtable(L, 0, (int)result->tempid_count);
    for (size_t i = 0; i < result->tempid_count; i++) {
        const struct ri_tempid *tempid = &result->tempids[i];
        if (tempid->name != NULL) {
            lua_pushlstring(L, tempid->name, tempid->name_len);
        } else {
            rl_push_int64(L, tempid->number);
        }
        rl_push_id(L, tempid->e);
        lua_rawset(L, -3);
    }
}

/* Pushes a box and hands it the reference. */
static rl_box *push_db(lua_State *L, const rl_state *state, rille_db **db)
{
    rl_box *box = rl_box_push_ref(L, &rl_class_db, state->ref_db);
    box->handle = *db;
    *db = NULL;
    return box;
}

static void push_report(lua_State *L, commit *c)
{
    ri_report *report = &c->report;
    char hex[2 * RI_HASH_SIZE + 1];
    const rl_state *state = c->state;
    lua_createtable(L, 0, 8);
    push_db(L, state, &report->before);
    lua_setfield(L, -2, "db_before");
    push_db(L, state, &report->after)->block = ri_block_retain(report->tx.block);
    lua_setfield(L, -2, "db_after");
    rl_push_id(L, report->tx.block->t);
    lua_setfield(L, -2, "tx");
    rl_push_instant(L, state, report->tx.block->instant);
    lua_setfield(L, -2, "instant");
    ri_hex(hex, report->tx.block->commit, RI_HASH_SIZE);
    lua_pushlstring(L, hex, 2 * RI_HASH_SIZE);
    lua_setfield(L, -2, "commit");
    push_tempids(L, &report->tx);
    lua_setfield(L, -2, "tempids");
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->ref_report);
    (void)lua_setmetatable(L, -2);
}

/* ---- the two doors ---- */

/* A datom and its items in the sets of the novelty, most of which are half full. */
#define NOVELTY_DATOM_BYTES (sizeof(ri_datom) + 100U)

/* Pushes what the function gives. is_alone: nothing but the report holds the new value. What a connection has seen is
 * its own, whatever is collected. */
static int push_outcome(lua_State *L, commit *c, bool is_alone, int rc, const rille_err *err)
{
    if (rc == 0) {
        const ri_block *block = c->report.tx.block;
        size_t bytes = block->memory->arena.total_bytes + (is_alone ? block->count * NOVELTY_DATOM_BYTES : 0);
        c->has_report = true;
        push_report(L, c);
        rl_note_bytes_in(L, c->state, bytes);
    }
    clear_commit(c);
    c->tries = 0;
    c->is_busy = false;
    return rc != 0 ? rl_fail(L, err) : 1;
}

static int try_commit(lua_State *L, rille_conn *conn, const source *from, commit *c, rille_err *err)
{
    end_tx(c);
    RI_TRY(ri_conn_begin_again(conn, &c->idle, &c->begin, err));
    c->tx = c->idle;
    c->idle = NULL;
    int rc = ri_conn_doubt(c->tx, fill_from(L, from, c, err));
    rc = rc == 0 ? ri_conn_commit(conn, c->tx, &c->report, err) : rc;
    c->begin = ri_conn_begin_next(c->tx);
    return rc;
}

/* The task's commit, which goes from one run to the next. */
static commit *task_commit(lua_State *L, rl_task *task)
{
    if (task->kept == NULL) {
        task->release = release_commit;
        task->kept = new_commit(L);
    }
    return task->kept;
}

/* Fills the transaction, which is Lua's part: outside of the task, but in its time. */
static int fill_some(lua_State *L, rille_conn *conn, commit *c, ri_task *task, rille_err *err)
{
    ri_task *outer = ri_task_enter(NULL);
    int rc = check_data(L, c, task, err);
    (void)ri_task_leave(NULL, outer, 0, NULL);
    if (rc == 0 && c->tx == NULL) {
        rc = ri_conn_begin_again(conn, &c->tx, &c->begin, err);
    }
    if (rc == 0) {
        outer = ri_task_enter(NULL);
        rc = ri_conn_doubt(c->tx, fill_in_task(L, c, task, err));
        (void)ri_task_leave(NULL, outer, 0, NULL);
    }
    return rc;
}

/* One run of a commit in a task. A conflict ends a piece: the next one begins anew. */
static int commit_in_task(lua_State *L, rille_conn *conn, commit *c, rille_err *err)
{
    ri_task *task = ri_task_running();
    ri_task_insist(ri_commit_looks(c->tries));
    int rc = c->kept == NULL ? fill_some(L, conn, c, task, err) : 0;
    if (rc == 0) {
        rc = ri_conn_commit_step(conn, c->tx, &c->kept, &c->report, err);
        c->has_report = rc == 0;
    }
    if (rc != RILLE_CONFLICT) {
        return rc;
    }
    c->begin = ri_conn_begin_next(c->tx);
    drop_tx(c);
    return ++c->tries < RI_COMMIT_TRIES_MAX ? RILLE_AGAIN : ri_conn_busy(conn, err);
}

/* What a run in a task gives: that it goes on, or the outcome. */
static int end_run(lua_State *L, rl_box *held, commit *c, bool is_alone, int rc, const rille_err *err)
{
    rl_let_go(held);
    return rc == RILLE_NEED || rc == RILLE_AGAIN ? rl_fail(L, err) : push_outcome(L, c, is_alone, rc, err);
}

static int transact_in_task(lua_State *L, rl_task *task)
{
    commit *c = task_commit(L, task);
    rl_box *box = rl_hold(L, 1, &rl_class_conn);
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = commit_in_task(L, box->handle, c, &err);
    bool is_committed = rc == 0;
    rc = rl_task_leave(task, outer, rc, &err);
    if (is_committed && rc == RILLE_CANCELLED) {
        rc = 0; /* too late */
    }
    return end_run(L, box, c, false, rc, &err);
}

/* _transact(data, meta) --> report */
int rl_conn_transact(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    lua_settop(L, 3);
    if (task != NULL) {
        return transact_in_task(L, task);
    }
    commit *c = push_commit(L);
    rl_box *box = rl_hold(L, 1, &rl_class_conn);
    rille_conn *conn = box->handle;
    rille_err err;
    source from;
    ri_form form;
    int rc = read_source(L, c, &form, &from, &err);
    if (rc == 0) {
        rc = RILLE_CONFLICT;
        for (int i = 0; rc == RILLE_CONFLICT && i < RI_COMMIT_TRIES_MAX; i++) {
            rc = try_commit(L, conn, &from, c, &err);
        }
        if (rc == RILLE_CONFLICT) {
            rc = ri_conn_busy(conn, &err);
        }
    }
    rl_let_go(box);
    return push_outcome(L, c, false, rc, &err);
}

static int with_some(lua_State *L, rille_db *db, commit *c, rille_err *err)
{
    ri_task *task = ri_task_running();
    ri_task *outer = ri_task_enter(NULL);
    int rc = check_data(L, c, task, err);
    if (rc == 0 && c->tx == NULL) {
        rc = ri_tx_new(db, &c->tx, err);
    }
    if (rc == 0) {
        rc = fill_in_task(L, c, task, err);
    }
    (void)ri_task_leave(NULL, outer, 0, NULL);
    RI_TRY(rc);
    rc = ri_db_with(c->tx, &c->report, err);
    c->has_report = rc == 0;
    return rc;
}

static int with_in_task(lua_State *L, rl_task *task)
{
    commit *c = task_commit(L, task);
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = with_some(L, box->handle, c, &err);
    rc = rl_task_leave(task, outer, rc, &err);
    return end_run(L, box, c, true, rc, &err);
}

/* _with(data) --> report; nothing is stored */
int rl_db_with(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    lua_settop(L, 3);
    if (task != NULL) {
        return with_in_task(L, task);
    }
    commit *c = push_commit(L);
    rille_db *db = rl_check(L, 1, &rl_class_db);
    rille_err err;
    source from;
    ri_form form;
    int rc = read_source(L, c, &form, &from, &err);
    if (rc == 0) {
        rc = ri_tx_new(db, &c->tx, &err);
    }
    if (rc == 0) {
        rc = fill_from(L, &from, c, &err);
    }
    if (rc == 0) {
        rc = ri_db_with(c->tx, &c->report, &err);
        c->has_report = rc == 0;
    }
    return push_outcome(L, c, true, rc, &err);
}
