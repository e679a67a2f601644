/* SPDX-License-Identifier: MIT
 *
 * Runs of prepared queries. Their operations are kept by the query between two runs (again.c).
 *
 * IN ONE CALL. A run from beginning to end needs no box where the query keeps an operation that has a plan, and its
 * inputs are databases and plain values: nothing raises between the moment the operation is taken and the moment it is
 * kept again.
 *
 * What takes longer than NOW_US, or calls a function of Lua, is left to an operation in a box, and so are the next runs.
 */
#include "rl_op.h"

#include <string.h>

#define NOW_US 5000
#define BOXED_RUNS 16U   /* before another try */
#define SHORT_BYTES 256U /* of a value that is given without a result */

/* What belongs to one run. */
static void drop_inputs(rl_op *op)
{
    for (size_t i = 0; i < op->table_count; i++) {
        ri_table_deinit(&op->tables[i]);
    }
    for (size_t i = 0; i < op->result_count; i++) {
        rl_result_release(op->results[i]);
    }
    for (size_t i = 0; i < op->db_count; i++) {
        ri_db_release(op->dbs[i]);
    }
    op->table_count = op->result_count = op->db_count = 0;
    if (op->result != NULL) {
        rl_result_release(op->result);
        op->result = NULL;
    }
}

static void free_op(ri_kept *kept)
{
    rl_op *op = (rl_op *)kept;
    ri_op_release(op->op);
    drop_inputs(op);
    ri_io_deinit(&op->blob_io);
    ri_arena_deinit(&op->batch_arena);
    ri_arena_deinit(&op->arena);
    ri_free(op);
}

static bool rest(rl_op *op)
{
    if (op->op == NULL || op->reads || !ri_op_rest(op->op)) {
        return false;
    }
    drop_inputs(op);
    ri_io_clear(&op->blob_io);
    op->blob_io.defer = NULL;
    ri_arena_reset(&op->batch_arena);
    ri_arena_reset(&op->arena);
    op->rows = op->whole = NULL;
    op->count = op->next = op->called = 0;
    op->unresolved = op->done = op->blob_need = false;
    op->store_skip = op->read_bytes = 0;
    op->failure.code = 0;
    return true;
}

void rl_op_release(void *handle)
{
    rl_op *op = handle;
    rille_query *query = op->query;
    op->query = NULL;
    if (rest(op)) {
        ri_query_keep(query, &op->kept);
    } else {
        free_op(&op->kept);
    }
    ri_query_release(query);
}

rl_op *rl_op_take_kept(rille_query *query)
{
    rl_op *op = (rl_op *)ri_query_take_kept(query, free_op);
    if (op != NULL && op->boxed_runs > 0) {
        op->boxed_runs--;
        ri_query_keep(query, &op->kept);
        return NULL;
    }
    if (op != NULL) {
        ri_meter_again(&op->meter, 0, 0);
        op->query = ri_query_retain(query);
    }
    return op;
}

rl_op *rl_op_take(rille_query *query, size_t memory_bytes, uint64_t timeout_ms)
{
    rl_op *op = (rl_op *)ri_query_take_kept(query, free_op);
    if (op != NULL) {
        ri_meter_again(&op->meter, memory_bytes, timeout_ms);
    } else {
        op = ri_alloc_zero(sizeof *op);
        if (op == NULL) {
            return NULL;
        }
        op->kept.release = free_op;
        ri_meter_init(&op->meter, memory_bytes, timeout_ms);
        op->arena.meter = &op->meter;
        op->batch_arena.meter = &op->meter;
    }
    op->query = ri_query_retain(query);
    return op;
}

/* ---- in one call ---- */

static bool is_plain(lua_State *L, const rille_query *query, int top)
{
    bool plain = top - 1 == query->in_count;
    for (int i = 0; plain && i < query->in_count; i++) {
        const ri_in *in = &query->in[i];
        int type = lua_type(L, i + 2);
        if (in->kind == RI_IN_SOURCE) {
            const rl_box *db = rl_box_test(L, i + 2, &rl_class_db);
            plain = db != NULL && db->handle != NULL;
        } else {
            plain = in->kind == RI_IN_BINDING && in->binding.kind == RI_BIND_SCALAR &&
                    (type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN);
        }
    }
    return plain;
}

/* What `find ?x .` gives, out of its batch. */
typedef struct single {
    ri_value v;
    uint8_t bytes[SHORT_BYTES];
    bool found;
} single;

/* False: it is too long. */
static bool take_single(single *out, const rl_op *op)
{
    if (out->found) {
        return true;
    }
    out->v = ri_vec_get(&op->rows[0], op->next);
    out->found = true;
    if (!ri_type_is_word(out->v.type)) {
        if (out->v.len > sizeof out->bytes) {
            return false;
        }
        memcpy(out->bytes, out->v.as.p, out->v.len);
        out->v.as.p = out->bytes;
    }
    return true;
}

/* To the end: RILLE_DONE. Anything else: not here. */
static int run(rl_op *op, single *one, rille_err *err)
{
    bool is_single = op->query->find_kind == RI_FIND_SCALAR;
    for (;;) {
        int rc = rl_op_step(op, NOW_US, err);
        if (rc == RILLE_NEED) {
            rc = rl_op_is_far(op) ? RILLE_AGAIN : rl_op_fetch(op, err);
        } else if (rc == RILLE_ROWS && op->count > 0 && is_single) {
            rc = take_single(one, op) ? 0 : RILLE_AGAIN;
        } else if (rc == RILLE_ROWS) {
            rc = op->count > 0 ? rl_op_take_batch(op, err) : 0;
        }
        if (rc != 0) {
            return rc;
        }
    }
}

/* Of the operation that the query keeps, if it has one. */
static int run_kept(lua_State *L, rl_state *state, rille_query *query, single *one, rl_result **result,
                    size_t *read_bytes)
{
    rille_err err;
    ri_op_options options = { .limit = -1, .offset = -1, .has_function = rl_has_function, .context = state };
    rl_op *op = rl_op_take_kept(query);
    if (op == NULL) {
        return RILLE_AGAIN;
    }
    options.meter = &op->meter;
    int rc = rl_op_begin(L, state, op, 2, query->in_count, &options, &err);
    rc = rc == 0 ? run(op, one, &err) : rc;
    if (rc == RILLE_DONE && query->find_kind != RI_FIND_SCALAR && op->result == NULL) {
        op->result = rl_result_new(query, &err);
        rc = op->result == NULL ? RILLE_NOMEM : rc;
    }
    if (rc == RILLE_DONE) {
        *read_bytes = op->read_bytes;
        *result = op->result;
        op->result = NULL;
    }
    op->boxed_runs = rc == RILLE_AGAIN || rc == RILLE_CALL ? BOXED_RUNS : 0;
    rl_op_release(op);
    return rc;
}

/* _run(inputs ...) --> true and what the query gives; or nothing, where an operation has to do it */
int rl_query_run(lua_State *L)
{
    rl_state *state = rl_own_state(L);
    int top = lua_gettop(L);
    rille_query *query = rl_check(L, 1, &rl_class_query);
    rl_box *box = NULL;
    rl_result *result = NULL;
    single one = { .found = false };
    size_t read_bytes = 0;
    if (state->pauses.units != RL_PAUSE_NEVER || state->pauses.reads || !is_plain(L, query, top)) {
        return 0;
    }
    luaL_checkstack(L, 20, "too many inputs");
    if (query->find_kind != RI_FIND_SCALAR) {
        box = rl_box_push(L, &rl_class_result); /* a finalizer may close what was checked */
        query = rl_check(L, 1, &rl_class_query);
        if (!is_plain(L, query, top)) {
            return 0;
        }
    }
    if (run_kept(L, state, query, &one, &result, &read_bytes) != RILLE_DONE) {
        return 0;
    }
    lua_pushboolean(L, 1);
    if (box != NULL) {
        ri_table_set_meter(&result->table, NULL);
        box->handle = result;
        lua_insert(L, -2);
        (void)rl_push_outcome(L, box);
    } else if (one.found) {
        rl_check_fits(L, NULL, &one.v);
        rl_push_value(L, &one.v);
    } else {
        lua_pushnil(L);
    }
    if (read_bytes > 0) {
        rl_note_bytes(L, read_bytes);
    }
    return 2;
}
