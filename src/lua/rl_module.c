/* SPDX-License-Identifier: MIT
 *
 * rille.core: what the Lua files of rille are built on. Its functions and classes are documented by lua/rille/types.lua
 * and docs/lua-api.md; programs use `require "rille"`.
 */
#include "rl.h"
#include "rl_task.h"

#include <string.h>

#include <signal.h>
#include <unistd.h>

static const char state_key = 0;
static const char module_key = 0;

rl_state *rl_state_of(lua_State *L)
{
    rl_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    rl_state *state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return state;
}

/* isatty(fd) */
static int core_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* clock_us(): monotonic */
static int core_clock_us(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)ri_clock_us());
    return 1;
}

/* end_on_interrupt(): Ctrl-C ends the process at once, as it does other programs. Lua's own handler waits for Lua code to
 * run, which is late in a long call of C or in a write that blocks. For the command rille alone: nothing else here
 * touches a signal. */
static int core_end_on_interrupt(lua_State *L)
{
    (void)L;
    (void)signal(SIGINT, SIG_DFL);
    return 0;
}

/* codes() --> {NOTFOUND = meaning, ...} */
static int core_codes(lua_State *L)
{
    lua_newtable(L);
#define X(name, value, meaning)  \
    lua_pushliteral(L, meaning); \
    lua_setfield(L, -2, #name);
    RILLE_CODES(X)
#undef X
    return 1;
}

#ifndef RL_EDN_ONLY
static void register_classes(lua_State *L, rl_state *state)
{
    static const struct {
        const char *name;
        const rl_class *class;
    } classes[] = {
        { "conn", &rl_class_conn },
        { "db", &rl_class_db },
        { "scan", &rl_class_scan },
        { "query", &rl_class_query },
        { "op", &rl_class_op },
        { "result", &rl_class_result },
        { "names", &rl_class_names },
        { "commit", &rl_class_commit },
        { "functions", &rl_class_functions },
        { "task", &rl_class_task },
        { "store", &rl_class_store },
        { "inbox", &rl_class_inbox },
        { "warming", &rl_class_warming },
        { "long_values", &rl_class_long_values },
    };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        rl_class_register(L, state, classes[i].class);
        lua_setfield(L, -2, classes[i].name);
    }
    lua_setfield(L, -2, "methods");
}
#endif

RILLE_API int luaopen_rille_core(lua_State *L);

int luaopen_rille_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "isatty", core_isatty },
        { "clock_us", core_clock_us },
        { "end_on_interrupt", core_end_on_interrupt },
        { "codes", core_codes },
        { NULL, NULL },
    };
    /* Opened again in one state (some test runners forget modules): metatables must stay what handles have. */
    rl_rawgetp(L, LUA_REGISTRYINDEX, &module_key);
    if (lua_istable(L, -1)) {
        return 1;
    }
    lua_pop(L, 1);
    const size_t guess_bytes = RL_ATTR_GUESSES * sizeof(uint32_t);
    rl_state *state = rl_newuserdata(L, sizeof *state + guess_bytes);
    *state = (rl_state){ .attr_guesses = (uint32_t *)(void *)(state + 1) };
    memset(state->attr_guesses, 0, guess_bytes);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    lua_newtable(L);
    rl_setfuncs(L, functions);
    rl_error_functions(L);
    rl_number_register(L, state);
    rl_value_register(L, state);
    rl_form_register(L, state);
    rl_value_functions(L);
    rl_edn_functions(L);
#ifndef RL_EDN_ONLY
    register_classes(L, state);
    rl_tx_register(L, state);
    rl_conn_functions(L);
    rl_query_functions(L);
    rl_op_functions(L);
    rl_pause_functions(L);
    rl_task_functions(L);
    rl_host_functions(L);
    rl_warm_functions(L);
    rl_scan_functions(L);
#endif
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushliteral(L, RILLE_VERSION);
    lua_setfield(L, -2, "version");
    lua_newtable(L);
    lua_setfield(L, -2, "functions");
    lua_pushvalue(L, -1);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
    return 1;
}
