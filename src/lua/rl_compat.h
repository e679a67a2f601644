/* SPDX-License-Identifier: MIT
 *
 * What Lua 5.1, 5.2 and 5.3 lack of the API of 5.4, in the few forms that are used here. The module of ABI 5.1 is made
 * with the headers of PUC Lua 5.1 and also loads in LuaJIT, whose own headers define some of these: hence the guards.
 */
#ifndef RL_COMPAT_H
#define RL_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

/* May the collector take a step? LUA_GCISRUNNING is 9 wherever it is known; Lua 5.1 answers -1. */
static inline int rl_gc_running(lua_State *L)
{
    return lua_gc(L, 9, 0) != 0;
}

#if LUA_VERSION_NUM < 502

static inline size_t rl_rawlen(lua_State *L, int index)
{
    return lua_objlen(L, index);
}

static inline int rl_absindex(lua_State *L, int index)
{
    return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

static inline void rl_rawgetp(lua_State *L, int index, const void *key)
{
    int at = rl_absindex(L, index);
    lua_pushlightuserdata(L, (void *)key);
    lua_rawget(L, at);
}

static inline void rl_rawsetp(lua_State *L, int index, const void *key)
{
    int at = rl_absindex(L, index);
    lua_pushlightuserdata(L, (void *)key);
    lua_insert(L, -2);
    lua_rawset(L, at);
}

static inline void rl_setfuncs(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name != NULL; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static inline void *rl_newuserdata(lua_State *L, size_t size)
{
    return lua_newuserdata(L, size);
}

/* Pushes a global, raw: some programs make reading of unknown globals an error. */
static inline void rl_raw_global(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, LUA_GLOBALSINDEX);
}

#else

#define rl_rawlen(L, index) ((size_t)lua_rawlen((L), (index)))
#define rl_absindex(L, index) lua_absindex((L), (index))
#define rl_rawgetp(L, index, key) ((void)lua_rawgetp((L), (index), (key)))
#define rl_rawsetp(L, index, key) lua_rawsetp((L), (index), (key))
#define rl_setfuncs(L, functions) luaL_setfuncs((L), (functions), 0)

static inline void *rl_newuserdata(lua_State *L, size_t size)
{
#if LUA_VERSION_NUM >= 504
    return lua_newuserdatauv(L, size, 0);
#else
    return lua_newuserdata(L, size);
#endif
}

static inline void rl_raw_global(lua_State *L, const char *name)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

#endif

#endif
