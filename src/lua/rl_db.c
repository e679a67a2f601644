/* SPDX-License-Identifier: MIT
 *
 * Database values: what can be asked of one without a query. Ranges of datoms are in rl_datoms.c.
 */
#include "rl_task.h"

#include <stdio.h>
#include <string.h>

#define DB_ALONE_BYTES 65536U

static void release_db(void *handle)
{
    ri_db_release(handle);
}

void rl_db_push(lua_State *L, rille_db **db)
{
    rl_box *box = rl_box_push(L, &rl_class_db);
    box->handle = *db;
    *db = NULL;
}

static bool parse_hex(const char *text, size_t len, uint8_t out[RI_HASH_SIZE])
{
    if (len != 2 * RI_HASH_SIZE) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return false;
        }
        out[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return true;
}

/* A point in time as a program gives it. */
typedef struct point {
    enum { POINT_T, POINT_INSTANT, POINT_COMMIT } kind;
    int64_t number; /* transaction id, or instant */
    uint8_t commit[RI_HASH_SIZE];
} point;

#define POINTS "expected an instant such as 2026-11-22T10:00:00Z (UTC), a transaction id or a commit id"

/* A transaction id, an instant, ISO text of one, or a commit id in hex, at 2. */
static void check_point(lua_State *L, const rl_state *state, point *out)
{
    const rl_value *value = rl_value_test(L, state, 2);
    *out = (point){ .kind = POINT_INSTANT };
    if (value != NULL && value->v.type == RI_INSTANT) {
        out->number = value->v.as.i;
        return;
    }
    if (lua_type(L, 2) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, 2, &len);
        if (parse_hex(text, len, out->commit)) {
            out->kind = POINT_COMMIT;
        } else if (!ri_instant_parse(text, len, &out->number)) {
            (void)rl_error(L, "\"%s\" is not a point in time: " POINTS, text);
        }
        return;
    }
    out->kind = POINT_T;
    if (!rl_read_int64(L, state, 2, &out->number) || out->number < 0) {
        bool number = lua_type(L, 2) == LUA_TNUMBER;
        lua_pushvalue(L, 2);
        (void)rl_error(L, "%s%s is not a point in time: " POINTS, number ? "" : rl_article(L, 2),
                       number ? lua_tostring(L, -1) : rl_typename(L, 2));
    }
}

static int as_of_point(rille_db *db, const point *p, rille_db **out, rille_err *err)
{
    return p->kind == POINT_COMMIT    ? ri_db_as_of_commit(db, p->commit, out, err)
           : p->kind == POINT_INSTANT ? ri_db_as_of_instant(db, p->number, out, err)
                                      : ri_db_as_of_t(db, (uint64_t)p->number, out, err);
}

/* as_of(point) */
static int db_as_of(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    lua_settop(L, 2);
    (void)rl_box_check(L, 1, &rl_class_db); /* without arguments, the new box would be the first one */
    rl_box *box = rl_box_push(L, &rl_class_db);
    point p;
    check_point(L, rl_own_state(L), &p);
    rille_db *db = rl_check(L, 1, &rl_class_db);
    rille_db *past = NULL;
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = as_of_point(db, &p, &past, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        ri_db_release(past);
        return rl_fail(L, &err);
    }
    box->handle = past;
    lua_pushvalue(L, 3);
    return 1;
}

/* _settles(point) --> is what the database was then the same in every later value of the branch? It is not if a
 * transaction with that id or at that instant may still come. Of a commit as_of says whether there is one. */
static int db_settles(lua_State *L)
{
    point p;
    lua_settop(L, 2);
    check_point(L, rl_own_state(L), &p);
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    bool settled = p.kind == POINT_COMMIT    ? true
                   : p.kind == POINT_INSTANT ? p.number < db->instant
                                             : (uint64_t)p.number <= db->t;
    rl_let_go(box);
    lua_pushboolean(L, settled);
    return 1;
}

static void push_instant(lua_State *L, int64_t ms)
{
    ri_value v = ri_word(RI_INSTANT, (uint64_t)ms);
    rl_push_value(L, &v);
}

static void push_commit(lua_State *L, const uint8_t commit[RI_HASH_SIZE])
{
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, commit, RI_HASH_SIZE);
    lua_pushlstring(L, hex, 2 * RI_HASH_SIZE);
}

static int db_basis(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    lua_createtable(L, 0, 4);
    rl_push_id(L, db->t);
    lua_setfield(L, -2, "t");
    push_instant(L, db->instant);
    lua_setfield(L, -2, "instant");
    push_commit(L, db->commit);
    lua_setfield(L, -2, "commit");
    lua_pushstring(L, db->branch);
    lua_setfield(L, -2, "branch");
    rl_let_go(box);
    return 1;
}

static void push_attr(lua_State *L, const ri_attr *attr)
{
    static const char *const uniques[] = { NULL, "value", "identity" };
    lua_createtable(L, 0, 8);
    rl_push_id(L, attr->id);
    lua_setfield(L, -2, "id");
    lua_pushstring(L, attr->type == RI_NIL ? "any" : ri_type_name(attr->type));
    lua_setfield(L, -2, "type");
    lua_pushstring(L, attr->many ? "many" : "one");
    lua_setfield(L, -2, "cardinality");
    if (attr->unique != RI_UNIQUE_NO) {
        lua_pushstring(L, uniques[attr->unique]);
        lua_setfield(L, -2, "unique");
    }
    lua_pushboolean(L, attr->index);
    lua_setfield(L, -2, "index");
    lua_pushboolean(L, attr->component);
    lua_setfield(L, -2, "component");
    lua_pushboolean(L, attr->no_history);
    lua_setfield(L, -2, "no_history");
}

/* _alone(): its connection was closed at once, what that held is this value's now */
static int db_alone(lua_State *L)
{
    (void)rl_check(L, 1, &rl_class_db);
    rl_note_box(L, lua_touserdata(L, 1), DB_ALONE_BYTES);
    return 0;
}

/* schema() --> {["person/name"] = {id=, type=, cardinality=, unique=, index=, component=, no_history=}, ...} */
static int db_schema(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    lua_newtable(L);
    for (size_t i = 0; i < db->schema->attr_count; i++) {
        const ri_attr *attr = &db->schema->attrs[i];
        if (attr->id >= RI_EID_ATTR) {
            lua_pushlstring(L, attr->ident, attr->ident_len);
            push_attr(L, attr);
            lua_rawset(L, -3);
        }
    }
    rl_let_go(box);
    return 1;
}

/* entid(entity) --> id */
static int db_entid(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    if (lua_isnone(L, 2)) {
        return rl_error(L, "entid: expected an ident or a lookup ref {attribute, value}");
    }
    luaL_checkstack(L, 40, "not enough memory"); /* so that nothing below raises: the arena needs no box */
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    ri_arena arena = { 0 };
    uint64_t e;
    rille_err err;
    ri_task *outer;
    const rl_state *state = rl_own_state(L);
    rl_task_enter(task, &outer);
    int rc = rl_read_entity(L, state, 2, box->handle, &arena, &e, &err);
    rc = rl_task_leave(task, outer, rc, &err);
    ri_arena_deinit(&arena);
    rl_let_go(box);
    if (rc != 0) {
        return rl_fail(L, &err);
    }
    rl_push_id(L, e);
    return 1;
}

/* ident(e) --> "person/name" or nil */
static int db_ident(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    int64_t e;
    const char *ident = NULL;
    if (rl_read_int64(L, rl_state_of(L), 2, &e) && e > 0) {
        ident = ri_schema_ident_of(db->schema, (uint64_t)e);
    }
    if (ident == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushstring(L, ident);
    }
    rl_let_go(box);
    return 1;
}

/* Equal: the same commit of the same database. */
static int db_eq(lua_State *L)
{
    const rl_box *a = rl_box_test(L, 1, &rl_class_db);
    const rl_box *b = rl_box_test(L, 2, &rl_class_db);
    bool same = a == b;
    if (!same && a != NULL && b != NULL && a->handle != NULL && b->handle != NULL) {
        const rille_db *x = a->handle;
        const rille_db *y = b->handle;
        same = x->t == y->t && memcmp(x->commit, y->commit, RI_HASH_SIZE) == 0 &&
               memcmp(x->base->db_id, y->base->db_id, sizeof x->base->db_id) == 0;
    }
    lua_pushboolean(L, same);
    return 1;
}

/* url(): where it is stored, without what may be a secret */
static int db_url(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    lua_pushstring(L, ri_store_url(db->store));
    rl_let_go(box);
    return 1;
}

/* "rille database file:goods t=1099511627777" */
static int db_tostring(lua_State *L)
{
    rl_box *box = rl_box_test(L, 1, &rl_class_db);
    if (box != NULL && box->handle == NULL) {
        lua_pushliteral(L, "rille database (closed)");
        return 1;
    }
    box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    char t[32];
    (void)snprintf(t, sizeof t, "%llu", (unsigned long long)db->t);
    lua_pushfstring(L, "rille database %s t=%s", ri_store_url(db->store), t);
    rl_let_go(box);
    return 1;
}

static const luaL_Reg methods[] = {
    { "_settles", db_settles }, { "as_of", db_as_of },       { "basis", db_basis },
    { "schema", db_schema },    { "entid", db_entid },       { "ident", db_ident },
    { "_with", rl_db_with },    { "_datoms", rl_db_datoms }, { "datoms", rl_db_datoms_or_raise },
    { "_count", rl_db_count },  { "_alone", db_alone },      { "_seek", rl_db_seek },
    { "_range", rl_db_range },  { "url", db_url },           { NULL, NULL },
};

static const luaL_Reg meta[] = {
    { "__eq", db_eq },
    { "__tostring", db_tostring },
    { NULL, NULL },
};

const rl_class rl_class_db = { "database", release_db, methods, meta };
