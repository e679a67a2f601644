/* SPDX-License-Identifier: MIT
 *
 * Errors as Lua sees them: nil, message, "CODE" for what the outside world gets wrong, and errors raised for misuse.
 *
 * What is raised names the line of the program that called rille, however many functions of rille lie between: the
 * files of rille are known by the name that Lua gave to the chunk of rille.lua ("@DIR/rille.lua", "@DIR/rille/run.lua").
 */
#include "rl.h"

#include "../core/data/suggest.h"

#include <string.h>

static const char own_key = 0; /* "@DIR/rille" */

/* A chunk of rille itself: "@DIR/rille.lua", or below "@DIR/rille/". */
static bool is_own(const char *source, const char *prefix, size_t prefix_len)
{
    return prefix_len > 0 && strncmp(source, prefix, prefix_len) == 0 &&
           (source[prefix_len] == '/' || source[prefix_len] == '\\' || strcmp(source + prefix_len, ".lua") == 0);
}

/* Pushes "file:line: " of the nearest line of Lua outside rille, or "". */
static void push_where(lua_State *L)
{
    lua_Debug ar;
    size_t prefix_len = 0;
    rl_rawgetp(L, LUA_REGISTRYINDEX, &own_key);
    const char *prefix = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &prefix_len) : "";
    lua_pop(L, 1); /* the registry keeps it */
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && !is_own(ar.source, prefix, prefix_len)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int rl_error(lua_State *L, const char *format, ...)
{
    va_list args;
    luaL_checkstack(L, 6, "not enough memory");
    push_where(L);
    va_start(args, format);
    (void)lua_pushvfstring(L, format, args);
    va_end(args);
    lua_concat(L, 2);
    for (;;) { /* lua_error does not return, but is not declared so */
        (void)lua_error(L);
    }
}

const char *rl_typename(lua_State *L, int index)
{
    const char *name = NULL;
    if (lua_type(L, index) == LUA_TUSERDATA && luaL_getmetafield(L, index, "__name") != 0) {
        name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL; /* the metatable keeps it */
        lua_pop(L, 1);
    }
    if (name != NULL && strncmp(name, "rille.", 6) == 0) {
        return strcmp(name, "rille.database") == 0 ? "database value" : name + 6;
    }
    return name != NULL ? name : luaL_typename(L, index);
}

const char *rl_article(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? "" : "a ";
}

int rl_fail(lua_State *L, const rille_err *err)
{
    if (err->code == RILLE_MISUSE) {
        return rl_error(L, "%s", err->message);
    }
    lua_pushnil(L);
    lua_pushstring(L, err->message);
    lua_pushstring(L, rille_code_name(err->code));
    return 3;
}

const char *rl_check_text(lua_State *L, int arg, const char *what, size_t *len)
{
    int type = lua_type(L, arg);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        const char *colon = strstr(what, ": ");
        const char *expected = colon == NULL ? what : colon + 2;
        const char *article = rl_article(L, arg);
        const char *name = rl_typename(L, arg);
        lua_pushlstring(L, what, (size_t)(expected - what)); /* whose call: "rille.kw: " */
        (void)rl_error(L, "%sexpected %s, got %s%s", lua_tostring(L, -1), expected, article, name);
    }
    return lua_tolstring(L, arg, len);
}

/* raise(message): at the line of the program that called rille */
static int core_raise(lua_State *L)
{
    return rl_error(L, "%s", luaL_checkstring(L, 1));
}

/* nearest(name, known): the key of `known` that was probably meant, or nil */
static int core_nearest(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    ri_suggest suggest = ri_suggest_for(name, len);
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            const char *known = lua_tolstring(L, -1, &len); /* the table keeps it */
            ri_suggest_offer(&suggest, known, len);
        }
    }
    if (suggest.best == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, suggest.best, suggest.best_len);
    }
    return 1;
}

/* own(): called by rille.lua, whose name says which files are rille's own */
static int core_own(lua_State *L)
{
    lua_Debug ar;
    if (lua_getstack(L, 1, &ar)) {
        lua_getinfo(L, "S", &ar);
        size_t len = strlen(ar.source);
        if (ar.source[0] == '@' && len > 4 && strcmp(ar.source + len - 4, ".lua") == 0) {
            lua_pushlstring(L, ar.source, len - 4);
            rl_rawsetp(L, LUA_REGISTRYINDEX, &own_key);
        }
    }
    return 0;
}

void rl_error_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "raise", core_raise },
        { "own", core_own },
        { "nearest", core_nearest },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
