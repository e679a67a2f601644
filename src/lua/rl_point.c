/* SPDX-License-Identifier: MIT
 *
 * db:datoms where its components leave at most one datom: the entity and an attribute of cardinality one, a unique value,
 * or a whole key. It is looked up at once, and given by a closure that holds it. What takes more than that, such as long
 * values, is left to a scan.
 */
#include "rl_task.h"

#include <string.h>

typedef struct point {
    ri_datom d;
    uint8_t bytes[RI_VALUE_INLINE_MAX]; /* of its value */
    size_t read_bytes;                  /* by which the cache of nodes has grown */
} point;

static bool is_point(ri_order order, const ri_bound *key, const ri_attr *attr)
{
    if (key->parts < 2 || attr == NULL || order == RI_VAET) {
        return false;
    }
    return key->parts == 3 || (order == RI_AVET ? attr->unique != RI_UNIQUE_NO : !attr->many);
}

/* RILLE_DONE: there is none. RILLE_AGAIN: it takes a scan. */
static int look_up(const rille_db *db, ri_order order, const ri_bound *key, point *out, rille_err *err)
{
    ri_io io = { 0 };
    ri_object *hold;
    int rc = ri_db_only(db, order, key, &io, &out->d, &hold, err);
    while (rc == RILLE_NEED) {
        rc = rl_fetch(db, &io, &out->read_bytes, err);
        rc = rc == 0 ? ri_db_only(db, order, key, &io, &out->d, &hold, err) : rc;
    }
    ri_value *v = &out->d.v;
    if (rc == 0 && (ri_type_is_stub(v->type) || v->type == RI_TUPLE)) {
        rc = RILLE_AGAIN;
    } else if (rc == 0 && !ri_type_is_word(v->type)) {
        rc = v->len <= sizeof out->bytes ? 0 : RILLE_AGAIN;
        memcpy(out->bytes, v->as.p, rc == 0 ? v->len : 0);
        v->as.p = out->bytes;
    }
    ri_object_release(hold);
    ri_io_deinit(&io);
    return rc;
}

static int no_step(lua_State *L)
{
    (void)L;
    return 0;
}

/* Upvalues: e (nil: it was given), the name of the attribute, v, t. */
static int point_step(lua_State *L)
{
    if (lua_isnil(L, lua_upvalueindex(1))) {
        return 0;
    }
    for (int i = 1; i <= 4; i++) {
        lua_pushvalue(L, lua_upvalueindex(i));
    }
    lua_pushboolean(L, 1);
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(1));
    return 5;
}

/* The string at `index` if it is that name, else another one. */
static void push_name(lua_State *L, int index, const ri_attr *attr)
{
    size_t len = 0;
    const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
    if (name != NULL && len == attr->ident_len && memcmp(name, attr->ident, len) == 0) {
        lua_pushvalue(L, index);
    } else {
        lua_pushlstring(L, attr->ident, attr->ident_len);
    }
}

int rl_push_point(lua_State *L, const rl_state *state, ri_order order)
{
    luaL_checkstack(L, 40, "not enough memory"); /* so that nothing raises before the arena is freed */
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    ri_arena arena = { 0 };
    const ri_attr *attr;
    ri_bound key;
    point found;
    rille_err err;
    ri_task *outer;
    found.read_bytes = 0;
    rl_task_enter(NULL, &outer);
    int rc = rl_read_parts(L, state, db, order, &arena, &key, &attr, &err);
    if (rc == 0) {
        rc = is_point(order, &key, attr) ? look_up(db, order, &key, &found, &err) : RILLE_AGAIN;
    }
    ri_task_return(outer);
    ri_arena_deinit(&arena);
    if (rc == 0 && found.d.v.type == RI_LONG && !rl_int64_fits(state, found.d.v.as.i)) {
        rc = RILLE_AGAIN; /* raised when it is taken */
    }
    if (rc != 0) {
        rl_let_go(box);
        if (rc == RILLE_DONE) {
            lua_pushcfunction(L, no_step);
        }
        return rc == RILLE_AGAIN ? 0 : rc == RILLE_DONE ? 1 : rl_fail(L, &err);
    }
    rl_push_id(L, found.d.e);
    push_name(L, order == RI_EAVT ? 4 : 3, attr);
    rl_push_value(L, &found.d.v);
    rl_push_id(L, found.d.t);
    rl_let_go(box);
    lua_pushcclosure(L, point_step, 4);
    if (found.read_bytes > 0) {
        rl_note_bytes(L, found.read_bytes);
    }
    return 1;
}
