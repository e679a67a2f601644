/* SPDX-License-Identifier: MIT
 *
 * Backends that are written in Lua: their stores, and what operations want of them. lua/rille/backend.lua calls their
 * functions, between two steps.
 */
#include "rl_op.h"
#include "rl_task.h"

#include "../core/store/url.h"

#include <string.h>

static void release_store(void *handle)
{
    ri_store_release(handle);
}

static void release_inbox(void *handle)
{
    ri_host_inbox_release(handle);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_store = { "store", release_store, no_methods, NULL };
const rl_class rl_class_inbox = { "list of stores", release_inbox, no_methods, NULL };

/* host_inbox() --> where the numbers of stores go when they are released */
static int core_host_inbox(lua_State *L)
{
    rl_box *box = rl_box_push(L, &rl_class_inbox);
    box->handle = ri_host_inbox_new();
    return box->handle != NULL ? 1 : rl_error(L, "out of memory");
}

/* host_released(inbox) --> the number of a store that was released, or nil */
static int core_host_released(lua_State *L)
{
    uint64_t number = ri_host_inbox_take(rl_check(L, 1, &rl_class_inbox));
    if (number == 0) {
        lua_pushnil(L);
    } else {
        rl_push_id(L, number);
    }
    return 1;
}

/* host_shown(url) --> the URL without what may be a secret */
static int core_host_shown(lua_State *L)
{
    rl_temp *temp = rl_temp_push(L);
    ri_url_show(&temp->buf, luaL_checkstring(L, 1));
    if (temp->buf.failed) {
        return rl_error(L, "out of memory");
    }
    lua_pushlstring(L, (const char *)temp->buf.p, temp->buf.len);
    rl_temp_clear(temp);
    return 1;
}

static uint32_t flag(lua_State *L, const char *name, uint32_t value)
{
    lua_getfield(L, 4, name);
    uint32_t found = lua_toboolean(L, -1) ? value : 0;
    lua_pop(L, 1);
    return found;
}

/* host_store(inbox, url, number, {rows =, readonly =, plain =}, cache_bytes) --> store */
static int core_host_store(lua_State *L)
{
    lua_settop(L, 5);
    (void)rl_check(L, 1, &rl_class_inbox);
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_Number cache_bytes = luaL_optnumber(L, 5, 0);
    ri_host_options options = { .url = luaL_checkstring(L, 2),
                                .number = (uint64_t)luaL_checknumber(L, 3),
                                .capabilities = flag(L, "rows", RILLE_BACKEND_ROWS) |
                                                flag(L, "readonly", RILLE_BACKEND_READONLY) |
                                                flag(L, "plain", RILLE_BACKEND_PLAIN) };
    options.cache_bytes = cache_bytes > 0 && cache_bytes < (lua_Number)(SIZE_MAX / 2) ? (size_t)cache_bytes : 0;
    rl_box *box = rl_box_push(L, &rl_class_store);
    ri_store *store;
    rille_err err;
    if (ri_host_open(rl_check(L, 1, &rl_class_inbox), &options, &store, &err) != 0) {
        return rl_fail(L, &err);
    }
    box->handle = store;
    return 1;
}

static const ri_store *store_at(lua_State *L, int index)
{
    const rl_box *db = rl_box_test(L, index, &rl_class_db);
    if (db != NULL) {
        return db->handle != NULL ? ((const rille_db *)db->handle)->store : NULL;
    }
    const rl_box *conn = rl_box_test(L, index, &rl_class_conn);
    return conn != NULL && conn->handle != NULL ? ri_conn_store(conn->handle) : NULL;
}

/* far(database or connection) --> false; true: its storage may not answer at once; or the number of a host's store */
static int core_far(lua_State *L)
{
    const ri_store *store = store_at(L, 1);
    uint64_t number = ri_host_number(store);
    if (number != 0) {
        rl_push_id(L, number);
    } else {
        lua_pushboolean(L, store != NULL && (ri_store_capabilities(store) & RILLE_BACKEND_DEFERRED) != 0);
    }
    return 1;
}

/* ---- what operations want ---- */

/* What tells ranges apart: kind, id, offset, length. */
enum { TOKEN_SIZE = 1 + RILLE_ID_SIZE + 8 + 8 };

static void make_token(char token[TOKEN_SIZE], const rille_get *get)
{
    token[0] = (char)get->object.kind;
    memcpy(token + 1, get->object.id, RILLE_ID_SIZE);
    memcpy(token + 1 + RILLE_ID_SIZE, &get->offset, 8);
    memcpy(token + 9 + RILLE_ID_SIZE, &get->len, 8);
}

/* {op = "get", store =, gets = {{kind =, id =, offset =, length =}, ...}}, and tokens of the ranges */
static void push_gets(lua_State *L, const ri_io *io, const size_t *places, size_t count)
{
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "get");
    lua_setfield(L, -2, "op");
    lua_pushstring(L, ri_store_url(io->wants[places[0]].store));
    lua_setfield(L, -2, "store");
    lua_createtable(L, (int)count, 0);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        char token[TOKEN_SIZE];
        rille_get get = ri_io_request(io, places[i]);
        make_token(token, &get);
        rl_push_range(L, &get);
        lua_rawseti(L, -3, (int)i + 1);
        lua_pushlstring(L, token, sizeof token);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_insert(L, -2);
    lua_setfield(L, -3, "gets");
}

int rl_push_asked(lua_State *L, const ri_io *io, const ri_task *task)
{
    size_t places[RI_HOST_WANTS_MAX];
    size_t count = ri_io_hosted(io, places);
    const ri_slot_call *call = task != NULL ? ri_task_hosted(task) : NULL;
    if (count > 0) {
        rl_push_id(L, ri_host_number(io->wants[places[0]].store));
        push_gets(L, io, places, count);
        return 3;
    }
    if (call != NULL) {
        rl_push_id(L, ri_host_number(call->store));
        rl_push_call(L, call);
        return 2;
    }
    lua_pushnil(L);
    lua_pushboolean(L, ri_io_has_others(io) || (task != NULL && task->waits));
    return 2;
}

/* The result at the top of the stack: bytes, or false where there is no such object. */
static void take_result(lua_State *L, rille_get *get)
{
    size_t len = 0;
    const char *bytes = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    if (bytes == NULL) {
        get->rc = RILLE_NOTFOUND;
    } else if (get->len != 0 && len != get->len) {
        get->rc = RILLE_CORRUPT; /* the object ends before */
    } else {
        get->bytes = ri_alloc(len + 1);
        get->bytes_len = get->bytes != NULL ? len : 0;
        get->rc = get->bytes != NULL ? 0 : RILLE_NOMEM;
        if (get->bytes != NULL) {
            memcpy(get->bytes, bytes, len);
        }
    }
}

/* The token at the top of the stack. */
static bool is_token_of(lua_State *L, const rille_get *get)
{
    char token[TOKEN_SIZE];
    size_t len = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    make_token(token, get);
    return len == sizeof token && memcmp(text, token, sizeof token) == 0;
}

int rl_answer_gets(lua_State *L, ri_io *io, rille_err *err)
{
    size_t places[RI_HOST_WANTS_MAX];
    rille_get gets[RI_HOST_WANTS_MAX];
    size_t count = ri_io_hosted(io, places);
    bool wanted = rl_rawlen(L, 2) == count;
    for (size_t i = 0; i < count; i++) {
        gets[i] = ri_io_request(io, places[i]);
        lua_rawgeti(L, 2, (int)i + 1);
        wanted = wanted && is_token_of(L, &gets[i]);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < count && wanted; i++) {
        lua_rawgeti(L, 3, (int)i + 1);
        take_result(L, &gets[i]);
        lua_pop(L, 1);
    }
    lua_Number us = lua_tonumber(L, 4);
    return ri_io_answer(io, places, gets, wanted ? count : 0, us > 0 && us < 1e15 ? (uint64_t)us : 0, err);
}

void rl_answer_prepare(lua_State *L)
{
    lua_settop(L, 4);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_checkstack(L, LUA_MINSTACK, "not enough memory");
}

void rl_host_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "host_inbox", core_host_inbox },
        { "host_shown", core_host_shown },
        { "host_released", core_host_released },
        { "host_store", core_host_store },
        { "far", core_far },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
