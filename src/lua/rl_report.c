/* SPDX-License-Identifier: MIT
 *
 * Reports of transactions, as Lua reads them: their tx_data, which is made when it is first asked for.
 */
#include "rl_task.h"
#include "rl_tx.h"

#include <string.h>

static const char datom_key = 0; /* metatable of datoms */

static void push_datom(lua_State *L, rl_box *held, const rille_db *db, const ri_datom *d)
{
    const ri_attr *attr = ri_schema_attr_by_id(db->schema, d->a);
    lua_createtable(L, 5, 0);
    rl_push_id(L, d->e);
    lua_rawseti(L, -2, 1);
    if (attr != NULL) {
        lua_pushlstring(L, attr->ident, attr->ident_len);
    } else {
        rl_push_id(L, d->a);
    }
    lua_rawseti(L, -2, 2);
    rl_push_long_value(L, held, db, &d->v);
    lua_rawseti(L, -2, 3);
    rl_push_id(L, d->t);
    lua_rawseti(L, -2, 4);
    lua_pushboolean(L, d->added);
    lua_rawseti(L, -2, 5);
    rl_rawgetp(L, LUA_REGISTRYINDEX, &datom_key);
    (void)lua_setmetatable(L, -2);
}

/* Pushes a report's db_after, whose box has the transaction; NULL: it is none. */
static rl_box *push_after(lua_State *L, int report)
{
    lua_pushliteral(L, "db_after");
    lua_rawget(L, report);
    return rl_box_test(L, -1, &rl_class_db);
}

/* report_size(report) --> how many datoms it has, without making its tx_data */
static int core_report_size(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const rl_box *after = push_after(L, 1);
    if (after != NULL && after->block != NULL) {
        rl_push_id(L, after->block->count);
        return 1;
    }
    rl_raw_field(L, 1, "tx_data");
    rl_push_id(L, lua_istable(L, -1) ? rl_rawlen(L, -1) : 0);
    return 1;
}

static void keep_data(lua_State *L, rl_box *db, int table)
{
    lua_pushliteral(L, "tx_data");
    lua_pushvalue(L, table);
    lua_rawset(L, 1);
    if (db->holds == 0) { /* it is not needed any more, not even by a call that a finalizer interrupted */
        ri_block_release(db->block);
        db->block = NULL;
    }
}

/* __index of reports: tx_data is made when it is first asked for; a bulk load never is. */
static int report_index(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "tx_data") != 0) {
        return 0;
    }
    rl_box *db = push_after(L, 1);
    if (db == NULL || db->block == NULL) {
        return 0;
    }
    if (db->handle == NULL) {
        return rl_error(L, "tx_data is not available: db_after was closed before the first use of tx_data");
    }
    const ri_block *block = db->block;
    const rille_db *after = db->handle;
    db->holds++;
    lua_createtable(L, (int)block->count, 0);
    for (size_t i = 0; i < block->count; i++) {
        push_datom(L, db, after, &block->datoms[i]);
        lua_rawseti(L, 4, (int)i + 1);
    }
    rl_let_go(db);
    keep_data(L, db, 4);
    lua_settop(L, 4);
    return 1;
}

/* The long values of a block, by datom; NULL: it is none. */
typedef struct long_values {
    size_t count;
    ri_blob *at[];
} long_values;

static void release_long_values(void *handle)
{
    long_values *values = handle;
    for (size_t i = 0; i < values->count; i++) {
        ri_object_release(values->at[i] != NULL ? &values->at[i]->object : NULL);
    }
    ri_free(values);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_long_values = { "list of long values", release_long_values, no_methods, NULL };

static int read_long_values(const rille_db *db, const ri_block *block, long_values *out, rille_err *err)
{
    ri_io io = { 0 };
    bool lacks = false;
    int rc = 0;
    for (size_t i = 0; i < block->count && rc >= 0; i++) {
        if (ri_type_is_stub(block->datoms[i].v.type)) {
            RI_FETCHING(rc, &io, ri_db_blob(db, &block->datoms[i].v, &io, &out->at[i], err), err)
            lacks = lacks || rc == RILLE_NEED;
        }
    }
    ri_io_deinit(&io);
    return rc < 0 ? rc : lacks ? RILLE_NEED : 0;
}

/* report_data(report) --> its tx_data, as __index makes it, but in a task: nil, message, code */
static int core_report_data(lua_State *L)
{
    rl_task *task = rl_take_task(rl_state_of(L));
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    rl_box *db = push_after(L, 1);
    rl_box *box = rl_box_push(L, &rl_class_long_values);
    if (db == NULL || db->block == NULL || db->handle == NULL) {
        lua_settop(L, 1);
        lua_pushliteral(L, "tx_data");
        return report_index(L);
    }
    const ri_block *block = db->block;
    long_values *values = ri_alloc_zero(sizeof *values + block->count * sizeof *values->at);
    rille_err err;
    ri_task *outer;
    if (values == NULL) {
        return rl_error(L, "out of memory");
    }
    values->count = block->count;
    box->handle = values;
    db->holds++;
    rl_task_enter(task, &outer);
    int rc = read_long_values(db->handle, block, values, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        rl_let_go(db);
        return rl_fail(L, &err);
    }
    lua_createtable(L, (int)block->count, 0);
    for (size_t i = 0; i < block->count; i++) {
        ri_datom d = block->datoms[i];
        const ri_blob *blob = values->at[i];
        d.v = blob != NULL ? ri_stub_whole(&d.v, blob->bytes, blob->len) : d.v;
        push_datom(L, db, db->handle, &d);
        lua_rawseti(L, 4, (int)i + 1);
    }
    rl_let_go(db);
    keep_data(L, db, 4);
    lua_settop(L, 4);
    return 1;
}

/* report_meta() --> the metatable of reports */
static int core_report_meta(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, rl_state_of(L)->ref_report);
    return 1;
}

/* d.e, d.a, d.v, d.tx, d.added */
static int datom_index(lua_State *L)
{
    static const char *const names[] = { "e", "a", "v", "tx", "added" };
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    for (int i = 0; i < 5; i++) {
        if (strcmp(name, names[i]) == 0) {
            lua_rawgeti(L, 1, i + 1);
            return 1;
        }
    }
    return 0;
}
void rl_tx_register(lua_State *L, rl_state *state)
{
    rl_rawgetp(L, LUA_REGISTRYINDEX, &rl_class_db);
    state->ref_db = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, 0);
    state->ref_commit = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, core_report_size);
    lua_setfield(L, -2, "report_size");
    lua_pushcfunction(L, core_report_data);
    lua_setfield(L, -2, "report_data");
    lua_pushcfunction(L, core_report_meta);
    lua_setfield(L, -2, "report_meta");
    lua_newtable(L);
    lua_pushcfunction(L, report_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "rille.report");
    lua_setfield(L, -2, "__name");
    state->ref_report = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua_pushcfunction(L, datom_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "rille.datom");
    lua_setfield(L, -2, "__name");
    rl_rawsetp(L, LUA_REGISTRYINDEX, &datom_key);
}
