/* SPDX-License-Identifier: MIT
 *
 * Values between Lua and the engine. Booleans, numbers and strings are Lua's own; the others are userdata, interned by
 * content in one weak table a type (registry, under the address of intern_keys[type]), so that equal ones are
 * the same object: a look-up of an interned string in a table, about 60 ns. Instants that every Lua has a number for are
 * found by that.
 */
#include "rl.h"

#include <string.h>

/* Form kinds that are no values of the engine get types of their own above RI_TYPE_COUNT. */
#define INTERN_CHAR RI_TYPE_COUNT
#define INTERN_DOUBLE (RI_TYPE_COUNT + 1)
#define INTERN_COUNT (RI_TYPE_COUNT + 2)

static const char intern_keys[INTERN_COUNT] = { 0 };
static const char value_key = 0;

/* ---- from Lua ---- */

const rl_value *rl_value_test(lua_State *L, const rl_state *state, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
        return NULL;
    }
    bool same = lua_topointer(L, -1) == state->value_meta;
    lua_pop(L, 1);
    return same ? lua_touserdata(L, index) : NULL;
}

static int read_string(lua_State *L, int index, ri_value *out, rille_err *err)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    if (len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "string is too long: %zu bytes (the maximum is %u)", len, RI_VALUE_BYTES_MAX);
    }
    size_t good = ri_utf8_span((const uint8_t *)text, len);
    if (good != len) {
        return ri_fail(err, RILLE_TYPE,
                       "a string is not valid UTF-8 (byte %zu is 0x%02x): use rille.bytes(s) for arbitrary bytes",
                       good + 1, (unsigned)(uint8_t)text[good]);
    }
    *out = ri_bytes_value(RI_STRING, text, len);
    return 0;
}

/* An array as a tuple: elements one after the other in the arena. */
static int read_tuple(lua_State *L, const rl_state *state, int index, unsigned depth, ri_buf *buf, rille_err *err);

static int read_any(lua_State *L, const rl_state *state, int index, unsigned depth, ri_buf *tuple, ri_value *out,
                    rille_err *err)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        *out = ri_word(RI_BOOL, lua_toboolean(L, index) ? 1 : 0);
        return 0;
    case LUA_TSTRING:
        return read_string(L, index, out, err);
    case LUA_TNUMBER:
    case RL_TYPE_CDATA:
        return rl_read_number(L, state, index, out, err);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            *out = ri_nil();
            return 0;
        }
        break;
    case LUA_TUSERDATA: {
        const rl_value *boxed = rl_value_test(L, state, index);
        if (boxed != NULL && boxed->form_kind == RI_FORM_VALUE) {
            *out = boxed->v;
            return 0;
        }
        if (boxed != NULL) {
            return ri_fail(err, RILLE_TYPE, "an EDN character is not a value");
        }
        break;
    }
    case LUA_TTABLE: {
        size_t start = tuple->len;
        RI_TRY(read_tuple(L, state, index, depth, tuple, err));
        *out = ri_bytes_value(RI_TUPLE, NULL, tuple->len - start);
        return 0;
    }
    }
    return ri_fail(err, RILLE_TYPE, "%s%s is not a value", RL_GOT(L, index));
}

static int read_tuple(lua_State *L, const rl_state *state, int index, unsigned depth, ri_buf *buf, rille_err *err)
{
    if (depth >= RI_TUPLE_DEPTH_MAX || !lua_checkstack(L, 8)) {
        return ri_fail(err, RILLE_LIMIT, "tuples are nested too deeply (the maximum depth is %d)", RI_TUPLE_DEPTH_MAX);
    }
    size_t count;
    index = rl_absindex(L, index);
    RI_TRY(rl_array(L, index, NULL, &count, RILLE_TYPE, err));
    for (size_t i = 1; i <= count; i++) {
        ri_value element;
        ri_buf inner = { 0 };
        lua_rawgeti(L, index, (int)i);
        int rc = read_any(L, state, -1, depth + 1, &inner, &element, err);
        if (rc == 0) {
            if (element.type == RI_TUPLE && element.as.p == NULL) {
                element.as.p = inner.p;
            }
            ri_value_write(buf, &element);
        }
        ri_buf_deinit(&inner);
        lua_pop(L, 1);
        if (rc != 0) {
            return rc;
        }
    }
    return buf->failed ? ri_fail_nomem(err) : 0;
}

int rl_read_value(lua_State *L, const rl_state *state, int index, ri_arena *arena, ri_value *out, rille_err *err)
{
    ri_buf tuple = { 0 };
    ri_value v = ri_nil();
    *out = v;
    if (lua_type(L, index) == LUA_TSTRING) {
        return read_string(L, index, out, err);
    }
    int rc = read_any(L, state, index, 0, &tuple, &v, err);
    if (rc == 0 && v.type == RI_TUPLE && v.as.p == NULL) {
        v.as.p = ri_arena_copy(arena, tuple.p, tuple.len);
        rc = v.as.p == NULL ? ri_fail_nomem(err) : 0;
    }
    ri_buf_deinit(&tuple);
    if (rc == 0) {
        *out = v;
    }
    return rc;
}

/* ---- to Lua ---- */

/* Stack: table, key, box. A finalizer that ran while the box was made may have interned the same value: then that is
 * the one. */
static void keep_one(lua_State *L)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, -4);
    if (!lua_isnil(L, -1)) {
        lua_replace(L, -2);
        return;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
}

static bool is_exact(int64_t i)
{
    return i <= RL_EXACT_MAX && i >= -RL_EXACT_MAX;
}

/* A number that every Lua has. */
static void push_exact(lua_State *L, int64_t i)
{
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)i);
#else
    lua_pushnumber(L, (lua_Number)i);
#endif
}

void rl_push_instant(lua_State *L, const rl_state *state, int64_t ms)
{
    ri_value v = ri_word(RI_INSTANT, (uint64_t)ms);
    if (!is_exact(ms)) {
        rl_push_boxed(L, &v, RI_FORM_VALUE);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->ref_instants);
    push_exact(L, ms);
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) { /* table, nil */
        lua_pop(L, 1);
        push_exact(L, ms);
        rl_value *box = rl_newuserdata(L, sizeof *box);
        *box = (rl_value){ NULL, v, RI_FORM_VALUE };
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->ref_value);
        (void)lua_setmetatable(L, -2);
        keep_one(L);
        lua_replace(L, -2); /* table, number, box -> table, box */
    }
    lua_replace(L, -2);
}

void rl_push_boxed(lua_State *L, const ri_value *v, uint8_t form_kind)
{
    int intern = form_kind == RI_FORM_CHAR ? INTERN_CHAR : form_kind == RI_FORM_DOUBLE ? INTERN_DOUBLE : v->type;
    bool is_word = ri_type_is_word(v->type);
    size_t len = is_word ? sizeof v->as.u : v->len;
    luaL_checkstack(L, 6, "too many values");
    rl_rawgetp(L, LUA_REGISTRYINDEX, &intern_keys[intern]);
    if (v->type == RI_INSTANT && is_exact(v->as.i)) {
        push_exact(L, v->as.i);
    } else {
        lua_pushlstring(L, is_word ? (const char *)&v->as.u : (const char *)v->as.p, len);
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) { /* table, key, nil */
        lua_pop(L, 1);
        rl_value *box = rl_newuserdata(L, sizeof *box + (is_word ? 0 : len));
        box->guard = NULL;
        box->v = *v;
        box->form_kind = form_kind;
        if (!is_word) {
            memcpy(box + 1, v->as.p, len);
            box->v.as.p = (const uint8_t *)(box + 1);
        }
        rl_rawgetp(L, LUA_REGISTRYINDEX, &value_key);
        (void)lua_setmetatable(L, -2);
        keep_one(L);
    }
    lua_replace(L, -3); /* table, key, box -> box, key */
    lua_pop(L, 1);
}

void rl_push_id(lua_State *L, uint64_t id)
{
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)id);
#else
    lua_pushnumber(L, (lua_Number)id);
#endif
}

static void push_tuple(lua_State *L, const ri_value *v)
{
    ri_reader r = ri_reader_of(v->as.p, v->len);
    luaL_checkstack(L, 4, "tuples are nested too deeply");
    lua_newtable(L);
    for (int i = 1; ri_reader_left(&r) > 0 && !r.bad; i++) {
        ri_value element = ri_value_read(&r);
        if (element.type == RI_NIL) {
            lua_pushlightuserdata(L, NULL);
        } else {
            rl_push_value(L, &element);
        }
        lua_rawseti(L, -2, i);
    }
}

static void push_floats(lua_State *L, const ri_value *v)
{
    uint32_t count = v->len / 4;
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = ri_load_u32(v->as.p + (size_t)i * 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        lua_pushnumber(L, (lua_Number)f);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void rl_push_value(lua_State *L, const ri_value *v)
{
    switch ((ri_type)v->type) {
    case RI_NIL:
    case RI_TYPE_COUNT:
        lua_pushnil(L);
        return;
    case RI_BOOL:
        lua_pushboolean(L, v->as.u != 0);
        return;
    case RI_LONG:
        rl_push_int64(L, v->as.i);
        return;
    case RI_DOUBLE:
        lua_pushnumber(L, (lua_Number)v->as.d);
        return;
    case RI_REF:
        rl_push_id(L, v->as.u);
        return;
    case RI_STRING:
        lua_pushlstring(L, (const char *)v->as.p, v->len);
        return;
    case RI_TUPLE:
        push_tuple(L, v);
        return;
    case RI_FLOATS:
        push_floats(L, v);
        return;
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
    case RI_BIGINT:
    case RI_BIGDEC:
    case RI_INSTANT:
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_BYTES:
        rl_push_boxed(L, v, RI_FORM_VALUE);
        return;
    }
}

void rl_value_register(lua_State *L, rl_state *state)
{
    for (size_t i = 0; i < INTERN_COUNT; i++) {
        lua_newtable(L);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        (void)lua_setmetatable(L, -2);
        rl_rawsetp(L, LUA_REGISTRYINDEX, &intern_keys[i]);
    }
    rl_rawgetp(L, LUA_REGISTRYINDEX, &intern_keys[RI_INSTANT]);
    state->ref_instants = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    rl_value_metamethods(L);
    state->value_meta = lua_topointer(L, -1);
    lua_pushvalue(L, -1);
    state->ref_value = luaL_ref(L, LUA_REGISTRYINDEX);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &value_key);
}
