/* SPDX-License-Identifier: MIT
 *
 * EDN forms as Lua data, and back. Nothing is lost on the way:
 *
 *   vector   an array                          list, set   an array with the metatable of edn.list, edn.set
 *   map      a table with the metatable of edn.map, keys are what they are in EDN (keywords, strings ...)
 *   tagged   {tag = "my/tag", value = form} with the metatable of edn.tagged
 *   nil      rille.null (a light userdata)     char        a value of type "char"
 *   scalars  as everywhere (rl_value.c); as keys of maps, floats that are whole are boxed, since Lua would merge 1.0
 * with 1
 *
 * On the way to EDN a plain table is a vector when it has an element 1 or is empty, else a map; the entries of maps
 * come out in the order of their keys, so that equal data gives equal text.
 */
#include "rl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char list_key = 0;
static const char set_key = 0;
static const char map_key = 0;
static const char tagged_key = 0;

/* ---- to Lua ---- */

static void push_scalar(lua_State *L, const ri_form *form)
{
    if (form->kind == RI_FORM_CHAR) {
        ri_value v = ri_long(form->u.v.as.i);
        rl_push_boxed(L, &v, RI_FORM_CHAR);
    } else if (form->kind == RI_FORM_DOUBLE) {
        lua_pushnumber(L, (lua_Number)form->u.v.as.d);
    } else if (form->u.v.type == RI_NIL) {
        lua_pushlightuserdata(L, NULL);
    } else {
        rl_push_value(L, &form->u.v);
    }
}

/* Lua would turn 1.0 into 1 and refuses NaN. */
static void push_key(lua_State *L, const ri_form *form)
{
    bool is_double = form->kind == RI_FORM_DOUBLE || (form->kind == RI_FORM_VALUE && form->u.v.type == RI_DOUBLE);
    if (is_double && (isnan(form->u.v.as.d) || floor(form->u.v.as.d) == form->u.v.as.d)) {
        ri_value v = form->u.v;
        v.type = RI_DOUBLE;
        v.len = 0;
        rl_push_boxed(L, &v, RI_FORM_DOUBLE);
        return;
    }
    rl_push_form(L, form);
}

static void push_items(lua_State *L, const ri_form *form, const void *meta_key)
{
    uint32_t count = form->u.seq.count;
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        rl_push_form(L, &form->u.seq.items[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    if (meta_key != NULL) {
        rl_rawgetp(L, LUA_REGISTRYINDEX, meta_key);
        (void)lua_setmetatable(L, -2);
    }
}

static void push_map(lua_State *L, const ri_form *form)
{
    uint32_t count = form->u.seq.count;
    lua_createtable(L, 0, (int)(count / 2));
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        push_key(L, &form->u.seq.items[i]);
        rl_push_form(L, &form->u.seq.items[i + 1]);
        lua_rawset(L, -3);
    }
    rl_rawgetp(L, LUA_REGISTRYINDEX, &map_key);
    (void)lua_setmetatable(L, -2);
}

static void push_tagged(lua_State *L, const ri_form *form)
{
    const ri_value *tag = &form->u.seq.items[0].u.v;
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, (const char *)tag->as.p, tag->len);
    lua_setfield(L, -2, "tag");
    rl_push_form(L, &form->u.seq.items[1]);
    lua_setfield(L, -2, "value");
    rl_rawgetp(L, LUA_REGISTRYINDEX, &tagged_key);
    (void)lua_setmetatable(L, -2);
}

void rl_push_form(lua_State *L, const ri_form *form)
{
    luaL_checkstack(L, 10, "the EDN is nested too deeply");
    switch ((ri_form_kind)form->kind) {
    case RI_FORM_VALUE:
    case RI_FORM_CHAR:
    case RI_FORM_DOUBLE:
        push_scalar(L, form);
        return;
    case RI_FORM_LIST:
        push_items(L, form, &list_key);
        return;
    case RI_FORM_VECTOR:
        push_items(L, form, NULL);
        return;
    case RI_FORM_SET:
        push_items(L, form, &set_key);
        return;
    case RI_FORM_MAP:
        push_map(L, form);
        return;
    case RI_FORM_TAGGED:
        push_tagged(L, form);
        return;
    }
}

/* ---- from Lua ---- */

typedef struct reader {
    lua_State *L;
    const rl_state *state;
    ri_arena *arena;
    rille_err *err;
} reader;

static int read_form(reader *r, int index, unsigned depth, ri_form *out);

/* Scalars by their values and types, sequences element by element: for putting keys of maps in one order, and finding
 * what is there twice. */
static int form_cmp(const ri_form *a, const ri_form *b)
{
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->kind <= RI_FORM_DOUBLE) {
        int cmp = ri_value_cmp(&a->u.v, &b->u.v);
        return cmp != 0 ? cmp : (int)a->u.v.type - (int)b->u.v.type; /* 1 and 1.0 are two keys */
    }
    for (uint32_t i = 0; i < a->u.seq.count && i < b->u.seq.count; i++) {
        int cmp = form_cmp(&a->u.seq.items[i], &b->u.seq.items[i]);
        if (cmp != 0) {
            return cmp;
        }
    }
    return a->u.seq.count < b->u.seq.count ? -1 : a->u.seq.count > b->u.seq.count;
}

static int entry_cmp(const void *a, const void *b)
{
    return form_cmp(a, b);
}

static int read_map(reader *r, int index, unsigned depth, ri_form *out)
{
    lua_State *L = r->L;
    uint32_t count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        count++;
    }
    ri_form *items = ri_arena_array(r->arena, (size_t)count * 2 + 1, sizeof *items);
    if (items == NULL) {
        return ri_fail_nomem(r->err);
    }
    ri_form *next = items;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        /* A finalizer may have put in more since they were counted. */
        int rc = next < items + (size_t)count * 2
                     ? read_form(r, lua_gettop(L) - 1, depth, next)
                     : ri_fail(r->err, RILLE_TYPE, "a map was changed by a finalizer while it was read");
        if (rc == 0) {
            rc = read_form(r, lua_gettop(L), depth, next + 1);
        }
        if (rc != 0) {
            lua_pop(L, 2);
            return rc;
        }
        next += 2;
        lua_pop(L, 1);
    }
    count = (uint32_t)((size_t)(next - items) / 2);
    qsort(items, count, 2 * sizeof *items, entry_cmp);
    for (uint32_t i = 1; i < count; i++) {
        if (form_cmp(&items[2 * (size_t)i - 2], &items[2 * (size_t)i]) == 0) {
            return ri_fail(r->err, RILLE_TYPE,
                           "duplicate key: two keys of a map are the same in EDN (such as 5 and 5LL)");
        }
    }
    out->kind = RI_FORM_MAP;
    out->u.seq.items = items;
    out->u.seq.count = count * 2;
    return 0;
}

static int read_items(reader *r, int index, unsigned depth, ri_form_kind kind, ri_form *out)
{
    lua_State *L = r->L;
    size_t count;
    RI_TRY(rl_array(L, index, NULL, &count, RILLE_TYPE, r->err));
    ri_form *items = count < UINT32_MAX / 2 ? ri_arena_array(r->arena, count + 1, sizeof *items) : NULL;
    if (items == NULL) {
        return ri_fail_nomem(r->err);
    }
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        int rc = read_form(r, lua_gettop(L), depth, &items[i]);
        lua_pop(L, 1);
        RI_TRY(rc);
    }
    out->kind = (uint8_t)kind;
    out->u.seq.items = items;
    out->u.seq.count = (uint32_t)count;
    return 0;
}

/* In EDN each element of a set is there once. */
static int read_set(reader *r, int index, unsigned depth, ri_form *out)
{
    RI_TRY(read_items(r, index, depth, RI_FORM_SET, out));
    uint32_t count = out->u.seq.count;
    ri_form *sorted = ri_arena_array(r->arena, (size_t)count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return ri_fail_nomem(r->err);
    }
    memcpy(sorted, out->u.seq.items, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, entry_cmp);
    for (uint32_t i = 1; i < count; i++) {
        if (form_cmp(&sorted[i - 1], &sorted[i]) == 0) {
            return ri_fail(r->err, RILLE_TYPE, "duplicate element in a set");
        }
    }
    return 0;
}

static int read_tagged(reader *r, int index, unsigned depth, ri_form *out)
{
    lua_State *L = r->L;
    ri_form *items = ri_arena_array(r->arena, 2, sizeof *items);
    if (items == NULL) {
        return ri_fail_nomem(r->err);
    }
    items[0] = (ri_form){ .offset = UINT32_MAX };
    rl_raw_field(L, index, "tag");
    size_t len = 0;
    const char *tag = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
    bool good = ri_name_valid(RI_SYMBOL, (const uint8_t *)tag, len);
    items[0].u.v = ri_bytes_value(RI_SYMBOL, tag, len);
    lua_pop(L, 1); /* the table keeps it */
    if (!good) {
        return ri_fail(r->err, RILLE_TYPE, "the tag of a tagged value must be valid as a symbol");
    }
    rl_raw_field(L, index, "value");
    int rc = read_form(r, lua_gettop(L), depth, &items[1]);
    lua_pop(L, 1);
    RI_TRY(rc);
    out->kind = RI_FORM_TAGGED;
    out->u.seq.items = items;
    out->u.seq.count = 2;
    return 0;
}

static int read_table(reader *r, int index, unsigned depth, ri_form *out)
{
    lua_State *L = r->L;
    if (depth >= RI_EDN_DEPTH_MAX || !lua_checkstack(L, 10)) {
        return ri_fail(r->err, RILLE_LIMIT,
                       "the data is nested too deeply (the maximum depth is %d), or contains itself", RI_EDN_DEPTH_MAX);
    }
    const void *meta = NULL;
    if (lua_getmetatable(L, index)) {
        meta = lua_topointer(L, -1);
        lua_pop(L, 1);
    }
    if (meta == r->state->tagged_meta && meta != NULL) {
        return read_tagged(r, index, depth + 1, out);
    }
    if (meta == r->state->map_meta && meta != NULL) {
        return read_map(r, index, depth + 1, out);
    }
    if (meta == r->state->list_meta && meta != NULL) {
        return read_items(r, index, depth + 1, RI_FORM_LIST, out);
    }
    if (meta == r->state->set_meta && meta != NULL) {
        return read_set(r, index, depth + 1, out);
    }
    lua_rawgeti(L, index, 1);
    bool is_array = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!is_array) {
        lua_pushnil(L);
        is_array = lua_next(L, index) == 0;
        lua_pop(L, is_array ? 0 : 2);
    }
    return is_array ? read_items(r, index, depth + 1, RI_FORM_VECTOR, out) : read_map(r, index, depth + 1, out);
}

/* index is absolute */
static int read_form(reader *r, int index, unsigned depth, ri_form *out)
{
    lua_State *L = r->L;
    *out = (ri_form){ .offset = UINT32_MAX };
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        return read_table(r, index, depth, out);
    case LUA_TNUMBER: {
        double d = (double)lua_tonumber(L, index);
        if (isnan(d) || isinf(d)) {
            out->kind = RI_FORM_DOUBLE;
            out->u.v = ri_word(RI_DOUBLE, 0);
            out->u.v.as.d = d;
            return 0;
        }
        break;
    }
    case LUA_TUSERDATA: {
        const rl_value *value = rl_value_test(L, r->state, index);
        if (value != NULL) {
            bool is_plain = value->form_kind == RI_FORM_DOUBLE && isfinite(value->v.as.d);
            out->kind = is_plain ? RI_FORM_VALUE : value->form_kind;
            out->u.v = value->v;
            return 0;
        }
        break;
    }
    }
    return rl_read_value(L, r->state, index, r->arena, &out->u.v, r->err);
}

int rl_read_form(lua_State *L, const rl_state *state, int index, ri_arena *arena, ri_form *out, rille_err *err)
{
    reader r = { L, state, arena, err };
    return read_form(&r, rl_absindex(L, index), 0, out);
}

void rl_form_register(lua_State *L, rl_state *state)
{
    const void **places[] = { &state->list_meta, &state->set_meta, &state->map_meta, &state->tagged_meta };
    const void *const keys[] = { &list_key, &set_key, &map_key, &tagged_key };
    static const char *const names[] = { "list", "set", "map", "tagged" };
    lua_newtable(L);
    for (size_t i = 0; i < 4; i++) {
        lua_newtable(L);
        *places[i] = lua_topointer(L, -1);
        lua_pushvalue(L, -1);
        rl_rawsetp(L, LUA_REGISTRYINDEX, keys[i]);
        lua_setfield(L, -2, names[i]);
    }
    lua_setfield(L, -2, "form_meta");
}
