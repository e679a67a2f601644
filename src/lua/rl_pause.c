/* SPDX-License-Identifier: MIT
 *
 * For tests: queries and operations of this Lua state pause where a test wants them to. Units of work are interrupted, and reads have
 * to wait as if the store were far away. What a query answers must not depend on it.
 */
#include "rl_op.h"
#include "rl_task.h"

#include "../core/query/exec.h"

#include <string.h>

/* splitmix64 */
static bool chance(rl_pauses *pauses, unsigned one_in)
{
    pauses->seed += UINT64_C(0x9e3779b97f4a7c15);
    return ri_mix64(pauses->seed) % one_in == 0;
}

static bool interrupt(void *context)
{
    rl_pauses *pauses = &((rl_state *)context)->pauses;
    bool pause = pauses->units == RL_PAUSE_EACH || (pauses->units == RL_PAUSE_RANDOM && chance(pauses, 3));
    pauses->unit_count += pause;
    return pause;
}

static bool defer(void *context)
{
    rl_pauses *pauses = &((rl_state *)context)->pauses;
    bool pause = pauses->reads == RL_PAUSE_EACH || chance(pauses, 2);
    pauses->read_count += pause;
    return pause;
}

void rl_pause_options(rl_state *state, ri_op_options *options)
{
    options->interrupt = state->pauses.units != RL_PAUSE_NEVER ? interrupt : NULL;
}

void rl_pause_reads(rl_state *state, rl_op *op)
{
    state->pauses.query_count += state->pauses.units != RL_PAUSE_NEVER || state->pauses.reads;
    if (state->pauses.reads != RL_PAUSE_NEVER) {
        op->blob_io.defer = defer;
        op->blob_io.defer_context = state;
        ri_op_io(op->op)->defer = defer;
        ri_op_io(op->op)->defer_context = state;
    }
}

void rl_pause_task(rl_state *state, rl_task *t)
{
    if (state->pauses.units != RL_PAUSE_NEVER) {
        t->task.interrupt = interrupt;
        t->task.interrupt_context = state;
    }
    if (state->pauses.reads != RL_PAUSE_NEVER) {
        t->task.io.defer = defer;
        t->task.io.defer_context = state;
    }
}

/* pauses(units, reads, seed) --> units, reads, queries: from now on "each" unit of work is interrupted, or "random"
 * ones, or (nil) none; with `reads` true, random reads have to wait, with "each" all. Returns how many paused so far, in how many
 * queries. */
static int core_pauses(lua_State *L)
{
    static const char *const modes[] = { "never", "each", "random", NULL };
    rl_pauses *pauses = &rl_state_of(L)->pauses;
    lua_pushnumber(L, (lua_Number)pauses->unit_count);
    lua_pushnumber(L, (lua_Number)pauses->read_count);
    lua_pushnumber(L, (lua_Number)pauses->query_count);
    pauses->units = (uint8_t)luaL_checkoption(L, 1, "never", modes);
    const char *reads = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    pauses->reads = strcmp(reads, "each") == 0 ? RL_PAUSE_EACH : lua_toboolean(L, 2) ? RL_PAUSE_RANDOM : RL_PAUSE_NEVER;
    pauses->seed = (uint64_t)luaL_optnumber(L, 3, 1);
    return 3;
}

void rl_pause_functions(lua_State *L)
{
    lua_pushcfunction(L, core_pauses);
    lua_setfield(L, -2, "pauses");
}
