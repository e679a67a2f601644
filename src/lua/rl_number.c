/* SPDX-License-Identifier: MIT
 *
 * Whole numbers between Lua and the engine, never rounded silently.
 *
 *   Lua 5.3 and 5.4   integers are int64
 *   LuaJIT            numbers up to 2^53, int64_t cdata beyond (and accepted everywhere)
 *   Lua 5.1 and 5.2   numbers up to 2^53; what lies beyond is an error (rille.bigint gives it to the engine)
 *
 * A float is accepted as a whole number when it is one, up to 2^53: beyond, the text of the program may have meant
 * another.
 */
#include "rl.h"

#include <string.h>

#if LUA_VERSION_NUM < 503
static const char int64_type_key = 0;
static const char int64_is_key = 0;
static const char uint64_type_key = 0;
#endif

void rl_number_register(lua_State *L, rl_state *state)
{
    state->has_ffi = false;
#if LUA_VERSION_NUM < 503
    rl_raw_global(L, "jit");
    bool is_jit = lua_istable(L, -1) != 0;
    lua_pop(L, 1);
    rl_raw_global(L, "require");
    if (!is_jit || !lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushliteral(L, "ffi");
    if (lua_pcall(L, 1, 1, 0) != 0) {
        lua_pop(L, 1);
        return;
    }
    lua_getfield(L, -1, "istype");
    rl_rawsetp(L, LUA_REGISTRYINDEX, &int64_is_key);
    lua_getfield(L, -1, "typeof");
    lua_pushvalue(L, -1);
    lua_pushliteral(L, "int64_t");
    lua_call(L, 1, 1);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &int64_type_key);
    lua_pushliteral(L, "uint64_t");
    lua_call(L, 1, 1);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &uint64_type_key);
    lua_pop(L, 1);
    state->has_ffi = true;
#else
    (void)L;
#endif
}

bool rl_int64_fits(const rl_state *state, int64_t i)
{
#if LUA_VERSION_NUM >= 503
    (void)state;
    (void)i;
    return true;
#else
    return state->has_ffi || (i <= RL_EXACT_MAX && i >= -RL_EXACT_MAX);
#endif
}

#if LUA_VERSION_NUM < 503
static int fail_unfit(lua_State *L, int64_t i)
{
    ri_value v = ri_long(i);
    char shown[96];
    return rl_error(L, "this Lua cannot represent the integer %s exactly: use LuaJIT or Lua 5.4 to read it",
                    ri_value_show(shown, sizeof shown, &v));
}

/* The first long of the value that has no number; 0: none. */
static int64_t find_unfit(const ri_value *v)
{
    if (v->type == RI_LONG && (v->as.i > RL_EXACT_MAX || v->as.i < -RL_EXACT_MAX)) {
        return v->as.i;
    }
    if (v->type == RI_TUPLE) {
        ri_reader r = ri_reader_of(v->as.p, v->len);
        while (ri_reader_left(&r) > 0 && !r.bad) {
            ri_value element = ri_value_read(&r);
            int64_t unfit = find_unfit(&element);
            if (unfit != 0) {
                return unfit;
            }
        }
    }
    return 0;
}
#endif

void rl_check_fits(lua_State *L, rl_box *held, const ri_value *v)
{
#if LUA_VERSION_NUM >= 503
    (void)L;
    (void)held;
    (void)v;
#else
    int64_t unfit = find_unfit(v);
    if (unfit != 0 && !rl_state_of(L)->has_ffi) {
        if (held != NULL) {
            rl_let_go(held);
        }
        (void)fail_unfit(L, unfit);
    }
#endif
}

void rl_push_int64(lua_State *L, int64_t i)
{
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)i);
#else
    if (i <= RL_EXACT_MAX && i >= -RL_EXACT_MAX) {
        lua_pushnumber(L, (lua_Number)i);
        return;
    }
    rl_rawgetp(L, LUA_REGISTRYINDEX, &int64_type_key);
    if (lua_isnil(L, -1)) {
        (void)fail_unfit(L, i);
    }
    lua_call(L, 0, 1);
    memcpy((void *)lua_topointer(L, -1), &i, sizeof i);
#endif
}

#if LUA_VERSION_NUM < 503
static bool cdata_is(lua_State *L, int index, const void *type_key)
{
    rl_rawgetp(L, LUA_REGISTRYINDEX, &int64_is_key);
    rl_rawgetp(L, LUA_REGISTRYINDEX, type_key);
    lua_pushvalue(L, index);
    bool is = lua_pcall(L, 2, 1, 0) == 0 && lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

/* LuaJIT's 64-bit integers. ffi.istype is C and cannot yield; the call is rare. */
static bool read_cdata(lua_State *L, const rl_state *state, int index, int64_t *out)
{
    if (lua_type(L, index) != RL_TYPE_CDATA || !state->has_ffi || !lua_checkstack(L, 8)) {
        return false;
    }
    index = rl_absindex(L, index);
    if (cdata_is(L, index, &int64_type_key)) {
        memcpy(out, lua_topointer(L, index), sizeof *out);
        return true;
    }
    if (cdata_is(L, index, &uint64_type_key)) {
        uint64_t u;
        memcpy(&u, lua_topointer(L, index), sizeof u);
        *out = (int64_t)u;
        return u <= INT64_MAX;
    }
    return false;
}
#endif

static bool float_to_int64(lua_Number n, int64_t *out)
{
    if (!(n >= -(lua_Number)RL_EXACT_MAX && n <= (lua_Number)RL_EXACT_MAX)) {
        return false;
    }
    *out = (int64_t)n;
    return (lua_Number)*out == n;
}

bool rl_read_int64(lua_State *L, const rl_state *state, int index, int64_t *out)
{
    if (lua_type(L, index) == LUA_TNUMBER) {
#if LUA_VERSION_NUM >= 503
        if (lua_isinteger(L, index)) {
            *out = (int64_t)lua_tointeger(L, index);
            return true;
        }
#endif
        return float_to_int64(lua_tonumber(L, index), out);
    }
#if LUA_VERSION_NUM < 503
    if (read_cdata(L, state, index, out)) {
        return true;
    }
#endif
    const rl_value *boxed = rl_value_test(L, state, index);
    if (boxed != NULL && boxed->v.type == RI_LONG && boxed->form_kind == RI_FORM_VALUE) { /* no character of EDN */
        *out = boxed->v.as.i;
        return true;
    }
    return false;
}

int rl_read_number(lua_State *L, const rl_state *state, int index, ri_value *out, rille_err *err)
{
    int64_t i;
    *out = ri_nil();
#if LUA_VERSION_NUM >= 503
    (void)state;
    if (lua_isinteger(L, index)) {
        *out = ri_long((int64_t)lua_tointeger(L, index));
        return 0;
    }
    (void)i;
#else
    if (rl_read_int64(L, state, index, &i)) {
        *out = ri_long(i);
        return 0;
    }
    if (lua_type(L, index) != LUA_TNUMBER) {
        return ri_fail(err, RILLE_TYPE,
                       "a cdata is not a value: only int64_t, and uint64_t up to 2^63-1, are supported");
    }
#endif
    lua_Number n = lua_tonumber(L, index);
    if (n != n) {
        return ri_fail(err, RILLE_TYPE, "NaN is not a value");
    }
    *out = ri_double((double)n);
    return 0;
}
