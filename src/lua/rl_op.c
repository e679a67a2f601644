/* SPDX-License-Identifier: MIT
 *
 * Stepping a query from Lua.
 *
 * The engine never waits: a step ends with rows, wants, a call of a Lua function, or because its budget is used up.
 * Blocking use (op:_run, iterators) loops here; hosts with an event loop call step, wanted and supply themselves. Long
 * strings and bytes come from the engine as stubs; a batch that has some is made whole before it is shown, with wants
 * of its own.
 */
#include "rl_op.h"
#include "rl_task.h"

#include "../core/query/exec.h"

#include <math.h>
#include <string.h>

/* ---- stubs ---- */

/* The blob of a stub, from the first database that has it. Wants go to blob_io; one that turned out not to have it is
 * skipped (rl_op_fetch counts), so with several one blob is asked for at a time. */
static int get_blob(rl_op *op, const ri_value *stub, ri_blob **blob, rille_err *err)
{
    int rc = ri_fail(err, RILLE_NOTFOUND, "no database of the query contains the bytes of this long value");
    for (size_t i = op->store_skip; i < op->db_count; i++) {
        rc = ri_db_blob(op->dbs[i], stub, &op->blob_io, blob, err);
        if (rc == 0) {
            op->store_skip = 0;
        }
        if (rc != RILLE_NOTFOUND) {
            return rc;
        }
    }
    return rc;
}

static int make_whole(rl_op *op, const ri_value *stub, ri_arena *arena, ri_value *out, rille_err *err)
{
    ri_blob *blob;
    RI_TRY(get_blob(op, stub, &blob, err));
    const uint8_t *bytes = ri_arena_copy(arena, blob->bytes, blob->len);
    *out = ri_stub_whole(stub, bytes, blob->len);
    ri_object_release(&blob->object);
    return bytes == NULL ? ri_fail_nomem(err) : 0;
}

static int resolve_column(rl_op *op, const ri_vec *col, ri_vec *out, rille_err *err)
{
    bool need = false;
    if (!ri_vec_init(out, &op->batch_arena, op->count)) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < op->count; i++) {
        ri_value v = ri_vec_get(col, i);
        if (ri_type_is_stub(v.type)) {
            ri_value stub = v;
            int rc = make_whole(op, &stub, &op->batch_arena, &v, err);
            need = need || rc == RILLE_NEED;
            if (rc < 0 || (rc == RILLE_NEED && op->db_count > 1)) {
                return rc;
            }
        }
        if (!need) {
            ri_vec_set(out, i, &v);
        }
    }
    return need ? RILLE_NEED : 0;
}

/* RILLE_ROWS when the batch has no stubs any more. */
static int make_batch_whole(rl_op *op, rille_err *err)
{
    uint16_t cols = op->query->find_count;
    bool any = false;
    for (uint16_t c = 0; c < cols; c++) {
        any = any || ri_vec_has_stubs(&op->rows[c], op->count);
    }
    op->unresolved = any;
    if (!any) {
        return RILLE_ROWS;
    }
    ri_arena_reset(&op->batch_arena);
    op->whole = ri_arena_array(&op->batch_arena, cols, sizeof *op->whole);
    if (op->whole == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t c = 0; c < cols; c++) {
        op->whole[c] = op->rows[c];
        if (ri_vec_has_stubs(&op->rows[c], op->count)) {
            int rc = resolve_column(op, &op->rows[c], &op->whole[c], err);
            op->blob_need = rc == RILLE_NEED;
            RI_TRY(rc);
        }
    }
    op->rows = op->whole;
    op->unresolved = false;
    ri_io_take_spent(ri_op_io(op->op), &op->blob_io);
    ri_io_clear(&op->blob_io);
    return RILLE_ROWS;
}

static int resolve_batch(rl_op *op, rille_err *err)
{
    int rc = ri_meter_check(&op->meter, err);
    rc = rc != 0 ? rc : rl_op_failed(op, make_batch_whole(op, err), err);
    if (rc < 0) {
        ri_io_abandon(&op->blob_io);
    }
    return rc;
}

/* ---- stepping ---- */

int rl_op_step(rl_op *op, uint64_t budget_us, rille_err *err)
{
    if (op->done) {
        return RILLE_DONE;
    }
    const ri_call *call = ri_op_call(op->op);
    if (op->failure.code != 0) {
        *err = op->failure;
        return op->failure.code;
    }
    if (call != NULL && op->called < call->rows) {
        return ri_fail(err, RILLE_MISUSE, "the operation is waiting for the result of function %s", call->name);
    }
    op->blob_need = false;
    if (op->unresolved) {
        return resolve_batch(op, err);
    }
    op->count = 0;
    op->next = 0;
    int rc = ri_op_step(op->op, budget_us, err);
    if (rc == RILLE_ROWS) {
        op->rows = ri_op_rows(op->op, &op->count);
        return resolve_batch(op, err);
    }
    if (rc == RILLE_CALL) {
        op->called = 0;
    }
    op->done = rc == RILLE_DONE;
    return rc;
}

ri_io *rl_op_io(rl_op *op)
{
    return op->blob_need || op->reads ? &op->blob_io : ri_op_io(op->op);
}

static size_t caches_bytes(const rl_op *op)
{
    size_t sum = 0;
    for (size_t i = 0; i < op->db_count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen = seen || op->dbs[j]->store == op->dbs[i]->store;
        }
        sum += seen ? 0 : rl_cache_bytes(op->dbs[i]);
    }
    return sum;
}

void rl_op_note(lua_State *L, rl_box *box)
{
    rl_op *op = box->handle;
    size_t sum = sizeof *op + sizeof *op->op + op->meter.bytes;
    size_t read_bytes = op->read_bytes;
    op->read_bytes = 0;
    rl_note_box(L, box, sum);
    if (read_bytes > 0) {
        rl_note_bytes(L, read_bytes);
    }
}

/* Until ends_us: then it stays under way, and the result is RILLE_AGAIN. */
static int poll_until(ri_io *io, uint64_t ends_us, rille_err *err)
{
    int rc;
    while ((rc = ri_io_poll(io, err)) == RILLE_NEED) {
        uint64_t now_us = ri_clock_us();
        if (now_us >= ends_us) {
            return RILLE_AGAIN;
        }
        ri_store_wait(io->begun, (ends_us - now_us) / 1000 + 1);
    }
    return rc;
}

/* What was read is noted; a blob that one store lacks may be in the next. */
static int end_fetch(rl_op *op, size_t before, int rc)
{
    size_t after = caches_bytes(op);
    op->read_bytes += after > before ? after - before : 0;
    if (rc == RILLE_NOTFOUND && op->blob_need && op->store_skip + 1 < op->db_count) {
        op->store_skip++;
        return 0;
    }
    return rc;
}

/* ends_us 0: blocks */
static int fetch(rl_op *op, uint64_t ends_us, rille_err *err)
{
    size_t before = caches_bytes(op);
    int rc = ends_us == 0 ? ri_io_fetch(rl_op_io(op), err) : poll_until(rl_op_io(op), ends_us, err);
    return end_fetch(op, before, rc);
}

bool rl_op_is_hosted(rl_op *op)
{
    size_t places[RI_HOST_WANTS_MAX];
    return ri_io_hosted(rl_op_io(op), places) > 0;
}

bool rl_op_is_far(rl_op *op)
{
    const ri_io *io = rl_op_io(op);
    bool far = false;
    for (size_t i = 0; i < io->want_count && !far; i++) {
        const ri_store *store = io->wants[i].store;
        far = store != NULL && (ri_store_capabilities(store) & RILLE_BACKEND_DEFERRED) != 0;
    }
    return far;
}

int rl_op_fetch(rl_op *op, rille_err *err)
{
    return fetch(op, 0, err);
}

int rl_op_advance(rl_op *op, bool fetches, uint64_t ends_us, rille_err *err)
{
    int rc;
    do {
        uint64_t now_us = ri_clock_us();
        rc = rl_op_step(op, now_us < ends_us ? ends_us - now_us : 1, err);
        if (rc == RILLE_NEED && fetches && !rl_op_is_hosted(op)) {
            RI_TRY(fetch(op, ends_us, err));
            rc = RILLE_AGAIN;
        } else if (rc == RILLE_ROWS && op->count == 0) {
            rc = RILLE_AGAIN;
        }
    } while (rc == RILLE_AGAIN && ri_clock_us() < ends_us);
    return rc;
}

bool rl_op_lacks(rl_op *op, const ri_value *stub)
{
    rille_err err;
    ri_blob *blob;
    int rc = get_blob(op, stub, &blob, &err);
    if (rc == 0) {
        ri_object_release(&blob->object);
    }
    return rc == RILLE_NEED;
}

int rl_op_whole(rl_op *op, const ri_value *stub, ri_value *out, rille_err *err)
{
    int rc;
    op->store_skip = 0;
    while ((rc = make_whole(op, stub, &op->batch_arena, out, err)) == RILLE_NEED) {
        op->blob_need = true;
        RI_TRY(rl_op_fetch(op, err));
    }
    op->blob_need = false;
    return rc;
}

/* ---- methods ---- */

static int push_outcome(lua_State *L, int rc, const rille_err *err)
{
    static const char *const names[] = { NULL, "done", "need", "again", "rows", "call" };
    if (rc < 0) {
        return rl_fail(L, err);
    }
    lua_pushstring(L, names[rc]);
    return 1;
}

/* What is left of a spent budget is less than a microsecond, and must not be taken for no limit. */
uint64_t rl_check_budget(lua_State *L)
{
    if (lua_isnoneornil(L, 2)) {
        return 0;
    }
    lua_Number budget = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : NAN;
    if (budget != budget) {
        (void)rl_error(L, "step: expected a budget in microseconds, got %s%s",
                       lua_type(L, 2) == LUA_TNUMBER ? "" : rl_article(L, 2),
                       lua_type(L, 2) == LUA_TNUMBER ? "NaN" : rl_typename(L, 2));
    }
    if (budget == 0 || budget >= 1e15) {
        return 0;
    }
    return budget <= 1 ? 1 : (uint64_t)ceil((double)budget);
}

/* What is left of a budget; 0: no limit. */
static uint64_t left_us(uint64_t budget_us, uint64_t start_us)
{
    uint64_t spent_us = ri_clock_us() - start_us;
    return budget_us == 0 ? 0 : spent_us < budget_us ? budget_us - spent_us : 1;
}

/* _step(budget_us) --> "rows", "need", "again", "call", "done" */
static int op_step(lua_State *L)
{
    uint64_t budget_us = rl_check_budget(L);
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    rille_err err;
    int rc = 0;
    if (op->reads) {
        uint64_t start_us = ri_clock_us();
        rc = rl_op_read(L, rl_own_state(L), op, 1, budget_us, &err);
        budget_us = left_us(budget_us, start_us);
    }
    rc = rc == 0 ? rl_op_step(op, budget_us, &err) : rc;
    if (rc >= 0) {
        rl_op_note(L, lua_touserdata(L, 1));
    }
    return push_outcome(L, rc, &err);
}

/* fetch() --> true: reads what the last step needed, blocking */
static int op_fetch(lua_State *L)
{
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    rille_err err;
    if (rl_op_fetch(op, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* poll() --> true: all is there; false: it is under way */
static int op_poll(lua_State *L)
{
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    rille_err err;
    int rc = ri_io_poll(rl_op_io(op), &err);
    if (rc < 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

/* _wait(): until something that was begun may be there, or Lua's hooks are to run */
static int op_wait(lua_State *L)
{
    const ri_io *io = rl_op_io(rl_check_free(L, 1, &rl_class_op));
    if (io->begun != NULL) {
        ri_store_wait(io->begun, RL_SLICE_US / 1000);
    }
    return 0;
}

/* wanted() --> {{op = "get", store =, kind =, id =, offset =, length =}, ...} */
static int op_wanted(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_op);
    rl_push_wants(L, rl_op_io(box->handle), NULL);
    rl_let_go(box);
    return 1;
}

/* supply(i, bytes, message, code) --> true: hands in what number i of wanted() asked for; the next step fails with a failure */
static int op_supply(lua_State *L)
{
    size_t len;
    if (lua_isnoneornil(L, 4)) {
        (void)rl_check_text(L, 3, "supply: a string of bytes", &len);
    }
    rl_supply_prepare(L);
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    return rl_supply(L, rl_op_io(op), NULL, &op->failure);
}

/* _asked(): rl_push_asked */
static int op_asked(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_op);
    int count = rl_push_asked(L, rl_op_io(box->handle), NULL);
    rl_let_go(box);
    return count;
}

/* _answer_gets(tokens, results) --> true */
static int op_answer_gets(lua_State *L)
{
    rille_err err;
    rl_answer_prepare(L);
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    size_t before = caches_bytes(op);
    if (end_fetch(op, before, rl_answer_gets(L, rl_op_io(op), &err)) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int op_cancel(lua_State *L)
{
    rl_op *op = rl_check(L, 1, &rl_class_op);
    if (op->reads) {
        op->cancelled = true;
    } else {
        ri_op_cancel(op->op);
    }
    return 0;
}

/* count() --> rows of the batch at hand */
static int op_count(lua_State *L)
{
    rl_op *op = rl_check(L, 1, &rl_class_op);
    rl_push_id(L, rl_op_left(op));
    return 1;
}

int rl_op_take_batch(rl_op *op, rille_err *err)
{
    if (op->result == NULL) {
        op->result = rl_result_new(op->query, err);
        if (op->result == NULL) {
            return RILLE_NOMEM;
        }
        ri_table_set_meter(&op->result->table, &op->meter);
    }
    const ri_vec **places = ri_arena_array(&op->result->table.arena, op->query->find_count, sizeof *places);
    uint32_t added;
    if (places == NULL) {
        return ri_fail_nomem(err);
    }
    ri_vec *cols = ri_arena_array(&op->result->table.arena, op->query->find_count, sizeof *cols);
    if (cols == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t c = 0; c < op->query->find_count; c++) {
        const ri_vec *rows = &op->rows[c];
        cols[c] = (ri_vec){ rows->words + op->next, rows->lens + op->next, rows->types + op->next, rows->type };
        places[c] = &cols[c];
    }
    uint32_t count = op->count - op->next;
    op->next = op->count;
    return ri_table_add(&op->result->table, places, count, &added, err);
}

/* _run(budget_us) --> "call", "again" after a slice of time, "need" if a budget was given, or what the query gives (and true before it: a value may be nil) */
static int op_run(lua_State *L)
{
    lua_settop(L, 2);
    uint64_t budget_us = rl_check_budget(L);
    bool fetches = budget_us == 0;
    rl_box *box = rl_box_push(L, &rl_class_result);
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    rille_err err;
    uint64_t ends_us = ri_clock_us() + (fetches ? RL_SLICE_US : budget_us);
    int rc = op->reads ? rl_op_read(L, rl_own_state(L), op, 1, fetches ? RL_SLICE_US : budget_us, &err) : 0;
    if (rc == 0) {
        rc = rl_op_left(op) > 0 ? RILLE_ROWS : rl_op_advance(op, fetches, ends_us, &err);
    }
    while (rc == RILLE_ROWS) {
        rc = rl_op_take_batch(op, &err);
        if (rc != 0) {
            (void)rl_op_failed(op, rc, &err);
            return rl_fail(L, &err);
        }
        rc = ri_clock_us() < ends_us ? rl_op_advance(op, fetches, ends_us, &err) : RILLE_AGAIN;
    }
    if (rc != RILLE_DONE) {
        return push_outcome(L, rc, &err);
    }
    if (op->result == NULL && (op->result = rl_result_new(op->query, &err)) == NULL) {
        return rl_fail(L, &err);
    }
    ri_table_set_meter(&op->result->table, NULL);
    box->handle = op->result;
    op->result = NULL;
    size_t read_bytes = op->read_bytes;
    op->read_bytes = 0;
    lua_pushboolean(L, 1);
    lua_insert(L, -2);
    int count = 1 + rl_push_outcome(L, box);
    rl_note_bytes(L, read_bytes);
    return count;
}

static const luaL_Reg methods[] = {
    { "fetch", op_fetch },
    { "poll", op_poll },
    { "_wait", op_wait },
    { "wanted", op_wanted },
    { "supply", op_supply },
    { "cancel", op_cancel },
    { "count", op_count },
    { "explain", rl_op_explain },
    { "explain_data", rl_op_explain_data },
    { "_step", op_step },
    { "_run", op_run },
    { "_call", rl_call_begin },
    { "_args", rl_call_args },
    { "_give", rl_call_give },
    { "_next", rl_op_next },
    { "_iterate", rl_op_iterate },
    { "_fail", rl_call_fail },
    { "_lacks", rl_call_lacks },
    { "_asked", op_asked },
    { "_answer_gets", op_answer_gets },
    { NULL, NULL },
};

const rl_class rl_class_op = { "operation", rl_op_release, methods, NULL };
