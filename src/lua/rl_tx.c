/* SPDX-License-Identifier: MIT
 *
 * conn:transact and db:with: from Lua data or EDN text to a report.
 *
 * A transaction is filled against one value of the database; when another writer was first it is filled again against
 * the next one, from the same Lua tables, which stay on the stack meanwhile. Everything owned sits in a box (`commit`),
 * so that any error of Lua frees it.
 */
#include "rl.h"

#include <string.h>

typedef struct commit {
    ri_tx *tx;
    ri_arena scratch; /* while it is filled */
    ri_report report;
    bool has_report;
} commit;

static void release_commit(void *handle)
{
    commit *c = handle;
    if (c->has_report) {
        ri_report_deinit(&c->report);
    }
    ri_tx_release(c->tx);
    ri_arena_deinit(&c->scratch);
    ri_free(c);
}

/* A block of datoms, for a report's tx_data. */
static void release_block(void *handle)
{
    ri_block_release(handle);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_commit = { "transaction", release_commit, no_methods, NULL };
const rl_class rl_class_block = { "block of datoms", release_block, no_methods, NULL };

static const char report_key = 0; /* metatable of reports */
static const char datom_key = 0;  /* metatable of datoms */
static const char blocks_key = 0; /* report -> box of its block, with weak keys; until tx_data is made of it */

/* ---- filling ---- */

typedef struct source {
    int index;           /* Lua table, or 0 */
    int meta_index;      /* 0: none */
    const ri_form *form; /* EDN, or NULL */
} source;

static int fill_from(lua_State *L, const source *from, commit *c, rille_err *err)
{
    if (from->form != NULL) {
        RI_TRY(ri_tx_fill_edn(c->tx, from->form, err));
    }
    int rc = rl_tx_fill(L, from->index, from->meta_index, &c->scratch, c->tx, err);
    ri_arena_deinit(&c->scratch);
    return rc;
}

/* Data at 2 (text or table), meta at 3. The EDN form goes to temp. */
static int read_source(lua_State *L, rl_temp *temp, ri_form *form, source *out, rille_err *err)
{
    memset(out, 0, sizeof *out);
    out->meta_index = lua_istable(L, 3) ? 3 : 0;
    if (lua_type(L, 2) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, 2, &len);
        RI_TRY(ri_edn_read(&temp->arena, text, len, form, err));
        out->form = form;
        return 0;
    }
    if (!lua_istable(L, 2)) {
        return ri_fail(err, RILLE_MISUSE,
                       "transaction data must be a list of maps and operations, or EDN text, got %s%s", RL_GOT(L, 2));
    }
    out->index = 2;
    return 0;
}

static commit *push_commit(lua_State *L)
{
    rl_box *box = rl_box_push(L, &rl_class_commit);
    commit *c = ri_alloc_zero(sizeof *c);
    if (c == NULL) {
        (void)rl_error(L, "out of memory");
    }
    box->handle = c;
    return c;
}

/* ---- reports ---- */

static void push_tempids(lua_State *L, const ri_tx_result *result)
{
    lua_createtable(L, 0, (int)result->tempid_count);
    for (size_t i = 0; i < result->tempid_count; i++) {
        const struct ri_tempid *tempid = &result->tempids[i];
        if (tempid->name != NULL) {
            lua_pushlstring(L, tempid->name, tempid->name_len);
        } else {
            rl_push_int64(L, tempid->number);
        }
        rl_push_id(L, tempid->e);
        lua_rawset(L, -3);
    }
}

static void push_report(lua_State *L, commit *c)
{
    ri_report *report = &c->report;
    char hex[2 * RI_HASH_SIZE + 1];
    ri_value instant = ri_word(RI_INSTANT, (uint64_t)report->tx.block->instant);
    lua_createtable(L, 0, 8);
    rl_db_push(L, &report->before);
    lua_setfield(L, -2, "db_before");
    rl_db_push(L, &report->after);
    lua_setfield(L, -2, "db_after");
    rl_push_id(L, report->tx.block->t);
    lua_setfield(L, -2, "tx");
    rl_push_value(L, &instant);
    lua_setfield(L, -2, "instant");
    ri_hex(hex, report->tx.block->commit, RI_HASH_SIZE);
    lua_pushlstring(L, hex, 2 * RI_HASH_SIZE);
    lua_setfield(L, -2, "commit");
    push_tempids(L, &report->tx);
    lua_setfield(L, -2, "tempids");
    rl_rawgetp(L, LUA_REGISTRYINDEX, &blocks_key);
    lua_pushvalue(L, -2);
    rl_box *box = rl_box_push(L, &rl_class_block);
    box->handle = ri_block_retain(report->tx.block);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    rl_rawgetp(L, LUA_REGISTRYINDEX, &report_key);
    (void)lua_setmetatable(L, -2);
}

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

/* Pushes the box of a report's block, or nil; NULL when there is none. */
static rl_box *push_block(lua_State *L, int report)
{
    rl_rawgetp(L, LUA_REGISTRYINDEX, &blocks_key);
    lua_pushvalue(L, report);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return rl_box_test(L, -1, &rl_class_block);
}

/* report_size(report) --> how many datoms it has, without making its tx_data */
static int core_report_size(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const rl_box *box = push_block(L, 1);
    if (box != NULL && box->handle != NULL) {
        rl_push_id(L, ((const ri_block *)box->handle)->count);
        return 1;
    }
    rl_raw_field(L, 1, "tx_data");
    rl_push_id(L, lua_istable(L, -1) ? rl_rawlen(L, -1) : 0);
    return 1;
}

/* __index of reports: tx_data is made when it is first asked for; a bulk load never is. */
static int report_index(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "tx_data") != 0) {
        return 0;
    }
    rl_box *box = push_block(L, 1);
    lua_pushliteral(L, "db_after");
    lua_rawget(L, 1);
    rl_box *db = rl_box_test(L, 4, &rl_class_db);
    if (box == NULL || box->handle == NULL || db == NULL) {
        return 0;
    }
    if (db->handle == NULL) {
        return rl_error(L, "tx_data is not available: db_after was closed before the first use of tx_data");
    }
    const ri_block *block = box->handle;
    const rille_db *after = db->handle;
    db->holds++;
    lua_createtable(L, (int)block->count, 0);
    for (size_t i = 0; i < block->count; i++) {
        push_datom(L, db, after, &block->datoms[i]);
        lua_rawseti(L, 5, (int)i + 1);
    }
    rl_let_go(db);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 5);
    lua_rawset(L, 1);
    rl_rawgetp(L, LUA_REGISTRYINDEX, &blocks_key); /* it is not needed any more */
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_settop(L, 5);
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

void rl_tx_register(lua_State *L)
{
    lua_pushcfunction(L, core_report_size);
    lua_setfield(L, -2, "report_size");
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    (void)lua_setmetatable(L, -2);
    rl_rawsetp(L, LUA_REGISTRYINDEX, &blocks_key);
    lua_newtable(L);
    lua_pushcfunction(L, report_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "rille.report");
    lua_setfield(L, -2, "__name");
    rl_rawsetp(L, LUA_REGISTRYINDEX, &report_key);
    lua_newtable(L);
    lua_pushcfunction(L, datom_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "rille.datom");
    lua_setfield(L, -2, "__name");
    rl_rawsetp(L, LUA_REGISTRYINDEX, &datom_key);
}

/* ---- the two doors ---- */

/* A datom and its items in the sets of the novelty, most of which are half full. */
#define NOVELTY_DATOM_BYTES (sizeof(ri_datom) + 100U)

/* is_alone: nothing but the report holds the new value. What a connection has seen is its own, whatever is collected. */
static int finish(lua_State *L, rl_temp *temp, commit *c, bool is_alone, int rc, const rille_err *err)
{
    if (rc == 0) {
        const ri_block *block = c->report.tx.block;
        size_t bytes = block->arena.total_bytes + (is_alone ? block->count * NOVELTY_DATOM_BYTES : 0);
        c->has_report = true;
        push_report(L, c);
        rl_note_bytes(L, bytes);
    }
    rl_temp_clear(temp);
    return rc != 0 ? rl_fail(L, err) : 1;
}

static int try_commit(lua_State *L, rille_conn *conn, const source *from, commit *c, rille_err *err)
{
    ri_tx_release(c->tx);
    c->tx = NULL;
    RI_TRY(ri_conn_begin(conn, &c->tx, err));
    RI_TRY(fill_from(L, from, c, err));
    return ri_conn_commit(conn, c->tx, &c->report, err);
}

/* _transact(data, meta) --> report */
int rl_conn_transact(lua_State *L)
{
    lua_settop(L, 3);
    rl_temp *temp = rl_temp_push(L);
    commit *c = push_commit(L);
    rl_box *box = rl_hold(L, 1, &rl_class_conn);
    rille_conn *conn = box->handle;
    rille_err err;
    source from;
    ri_form form;
    int rc = read_source(L, temp, &form, &from, &err);
    if (rc == 0) {
        rc = RILLE_CONFLICT;
        for (int i = 0; rc == RILLE_CONFLICT && i < RI_COMMIT_TRIES_MAX; i++) {
            rc = try_commit(L, conn, &from, c, &err);
        }
        if (rc == RILLE_CONFLICT) {
            rc = ri_conn_busy(conn, &err);
        }
    }
    rl_let_go(box);
    return finish(L, temp, c, false, rc, &err);
}

/* _with(data) --> report; nothing is stored */
int rl_db_with(lua_State *L)
{
    lua_settop(L, 3);
    rl_temp *temp = rl_temp_push(L);
    commit *c = push_commit(L);
    rille_db *db = rl_check(L, 1, &rl_class_db);
    rille_err err;
    source from;
    ri_form form;
    int rc = read_source(L, temp, &form, &from, &err);
    if (rc == 0) {
        rc = ri_tx_new(db, &c->tx, &err);
    }
    if (rc == 0) {
        rc = fill_from(L, &from, c, &err);
    }
    if (rc == 0) {
        rc = ri_db_with(c->tx, &c->report, &err);
    }
    return finish(L, temp, c, true, rc, &err);
}
