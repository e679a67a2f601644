/* SPDX-License-Identifier: MIT
 *
 * rille_test.alloc: makes Lua run out of memory at a moment of choice (spec/oom_spec.lua).
 *
 *   arm(n)     allocations that grow something fail after the next n, until disarm
 *   disarm()   --> true when one has failed
 *
 * What shrinks or is freed always works, as Lua expects. One state a process.
 */
#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>

typedef struct allocator {
    lua_Alloc f; /* the state's own */
    void *ud;
    long left; /* < 0: no limit */
    bool failed;
} allocator;

static allocator own = { NULL, NULL, -1, false };

static void *allocate(void *ud, void *p, size_t old_size, size_t new_size)
{
    (void)ud;
    if (new_size != 0 && (p == NULL || new_size > old_size)) {
        if (own.left == 0) {
            own.failed = true;
            return NULL;
        }
        if (own.left > 0) {
            own.left--;
        }
    }
    return own.f(own.ud, p, old_size, new_size);
}

static int arm(lua_State *L)
{
    own.left = (long)luaL_checkinteger(L, 1);
    own.failed = false;
    return 0;
}

static int disarm(lua_State *L)
{
    own.left = -1;
    lua_pushboolean(L, own.failed);
    return 1;
}

LUALIB_API int luaopen_rille_test_alloc(lua_State *L);

LUALIB_API int luaopen_rille_test_alloc(lua_State *L)
{
    if (own.f == NULL) {
        own.f = lua_getallocf(L, &own.ud);
        lua_setallocf(L, allocate, NULL);
    }
    lua_newtable(L);
    lua_pushcfunction(L, arm);
    lua_setfield(L, -2, "arm");
    lua_pushcfunction(L, disarm);
    lua_setfield(L, -2, "disarm");
    return 1;
}
