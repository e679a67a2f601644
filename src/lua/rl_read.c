/* SPDX-License-Identifier: MIT
 *
 * Inputs of a query that are read in steps. The Lua tables that have the rows are kept, beside the operation, in a table
 * of the registry with weak keys: { input 1, ..., the key up to which those of the table at hand were counted }.
 */
#include "rl_op.h"

static const char inputs_key;

/* Pushes the table of all operations; makes it first. */
static void push_all(lua_State *L)
{
    rl_rawgetp(L, LUA_REGISTRYINDEX, &inputs_key);
    if (!lua_isnil(L, -1)) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &inputs_key);
}

void rl_op_keep_inputs(lua_State *L, int box, int first, size_t count)
{
    push_all(L);
    lua_pushvalue(L, box);
    lua_createtable(L, (int)count + 1, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushvalue(L, first + (int)i);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static void drop_inputs(lua_State *L, int box)
{
    push_all(L);
    lua_pushvalue(L, box);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Does the operation leave the rest to another step? */
static bool pauses(const rl_op *op, uint64_t ends_us)
{
    const ri_op_options *options = &op->options;
    return options->interrupt != NULL ? options->interrupt(options->context) : ends_us != 0 && ri_clock_us() >= ends_us;
}

static int read_all(lua_State *L, rl_state *state, rl_op *op, int inputs, uint64_t ends_us, rille_err *err)
{
    int rc = RILLE_AGAIN;
    lua_rawgeti(L, inputs, (int)op->input_count + 1);
    int key = lua_gettop(L);
    bool paused = false;
    while (rc == RILLE_AGAIN && !paused) {
        rc = op->cancelled ? ri_fail(err, RILLE_CANCELLED, "the query was cancelled") : ri_meter_check(&op->meter, err);
        rc = rc == 0 ? rl_op_read_slice(L, state, op, inputs, true, key, err) : rc;
        paused = rc == RILLE_AGAIN && pauses(op, ends_us);
    }
    lua_rawseti(L, inputs, (int)op->input_count + 1);
    return rc;
}

int rl_op_read(lua_State *L, rl_state *state, rl_op *op, int box, uint64_t budget_us, rille_err *err)
{
    uint64_t ends_us = budget_us == 0 ? 0 : ri_clock_us() + budget_us;
    rl_box *held = lua_touserdata(L, box);
    if (op->failure.code != 0) {
        *err = op->failure;
        return op->failure.code;
    }
    luaL_checkstack(L, 20, "too many inputs");
    held->holds++;
    push_all(L);
    lua_pushvalue(L, box);
    lua_rawget(L, -2);
    int rc = read_all(L, state, op, lua_gettop(L), ends_us, err);
    lua_pop(L, 2);
    if (rc == RILLE_AGAIN) {
        rl_let_go(held);
        return rc;
    }
    rc = rc == 0 ? rl_op_make(op, &op->options, err) : rc;
    if (rc == 0) {
        op->reads = false;
        rl_pause_reads(state, op);
    } else {
        (void)rl_op_failed(op, rc, err);
        op->failure = *err;
    }
    drop_inputs(L, box);
    rl_let_go(held);
    return rc;
}
