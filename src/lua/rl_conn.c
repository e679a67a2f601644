/* SPDX-License-Identifier: MIT
 *
 * Connections, and what is done with databases by URL. Options were checked by Lua; here they come one by one.
 */
#include "rl_task.h"

#include "rille/rille.h"

#include <string.h>

#define CONN_BYTES 65536U /* a connection without its cache */

static void release_conn(void *handle)
{
    ri_conn_release(handle);
}

/* The name of a branch, or nil, at arg. */
static const char *opt_branch(lua_State *L, int arg)
{
    size_t len;
    const char *name = lua_isnoneornil(L, arg) ? NULL : rl_check_text(L, arg, "a branch name", &len);
    if (name != NULL && strlen(name) != len) {
        (void)rl_error(L, "branch name must not contain a zero byte");
    }
    return name;
}

/* The URL at arg 1: a string without zero bytes. */
static const char *check_url(lua_State *L)
{
    size_t len;
    const char *url = rl_check_text(L, 1, "a URL", &len);
    if (strlen(url) != len) {
        (void)rl_error(L, "a URL must not contain a zero byte");
    }
    return url;
}

/* The texts of a table at that index, or none; they live as long as the table and what this pushes. */
static const rille_setting *opt_settings(lua_State *L, int index, size_t *count)
{
    *count = 0;
    if (lua_isnoneornil(L, index)) {
        return NULL;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        (*count)++;
    }
    rille_setting *settings = lua_newuserdata(L, (*count + 1) * sizeof *settings);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0 && i < *count; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            (void)rl_error(L, "settings of the storage must be strings");
        }
        settings[i++] = (rille_setting){ lua_tostring(L, -2), lua_tostring(L, -1) };
    }
    return settings;
}

/* A store at 1, of a backend that is written in Lua, in the place of a URL; or NULL. */
static ri_store *opt_store(lua_State *L)
{
    return rl_box_test(L, 1, &rl_class_store) != NULL ? rl_check(L, 1, &rl_class_store) : NULL;
}

/* A number of milliseconds or bytes that Lua has checked, at arg; nil: 0. */
static uint64_t opt_amount(lua_State *L, int arg)
{
    lua_Number amount = luaL_optnumber(L, arg, 0);
    return !(amount > 0) ? 0 : amount < 9e18 ? (uint64_t)amount : UINT64_MAX;
}

/* open(url, mode, branch, durability, keep_history, read_flexible, cache_bytes, flush, settings, cache, cache_max_bytes,
 *      max_staleness_ms) --> connection
 * mode: "create" (must not be there), "connect", "any" */
static int core_open(lua_State *L)
{
    static const char *const modes[] = { "create", "connect", "any", NULL };
    static const char *const durabilities[] = { "commit", "group", "none", NULL };
    static const char *const flushes[] = { "auto", "manual", NULL };
    rl_task *task = rl_take_task(rl_state_of(L));
    const char *url = opt_store(L) == NULL ? check_url(L) : NULL;
    ri_conn_options options = { 0 };
    int mode = luaL_checkoption(L, 2, "connect", modes);
    options.must_create = mode == 0;
    options.create = mode != 1;
    options.branch = opt_branch(L, 3);
    options.durability = (ri_durability)luaL_checkoption(L, 4, "commit", durabilities);
    options.no_history = !lua_isnoneornil(L, 5) && !lua_toboolean(L, 5);
    options.read_flexible = lua_toboolean(L, 6) != 0;
    lua_Number cache_bytes = luaL_optnumber(L, 7, 0);
    options.cache_bytes = cache_bytes > 0 && cache_bytes < (lua_Number)(SIZE_MAX / 2) ? (size_t)cache_bytes : 0;
    options.flush = (ri_flush_mode)luaL_checkoption(L, 8, "auto", flushes);
    lua_settop(L, 12);
    options.settings = opt_settings(L, 9, &options.setting_count);
    options.tier = lua_isnil(L, 10) ? NULL : luaL_checkstring(L, 10);
    options.tier_bytes_max = opt_amount(L, 11);
    options.max_staleness_ms = opt_amount(L, 12);
    rl_box *box = rl_box_push(L, &rl_class_conn);
    rille_conn *conn = NULL;
    rille_err err;
    ri_task *outer;
    ri_store *store = opt_store(L);
    rl_task_enter(task, &outer);
    int rc =
        store == NULL ? ri_conn_open(url, &options, &conn, &err) : ri_conn_open_store(store, &options, &conn, &err);
    rc = rl_task_leave(task, outer, rc, &err);
    if (rc != 0) {
        ri_conn_release(conn);
        return rl_fail(L, &err);
    }
    box->handle = conn;
    rl_note_box(L, box, CONN_BYTES);
    return 1;
}

/* exists(url, settings) */
static int core_exists(lua_State *L)
{
    rl_task *task = rl_take_task(rl_state_of(L));
    const char *url = opt_store(L) == NULL ? check_url(L) : NULL;
    size_t count;
    const rille_setting *settings = opt_settings(L, 2, &count);
    bool exists;
    rille_err err;
    ri_task *outer;
    ri_store *store = opt_store(L);
    rl_task_enter(task, &outer);
    int rc = store == NULL ? ri_database_exists(url, settings, count, &exists, &err)
                           : ri_store_has_database(store, &exists, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, exists);
    return 1;
}

/* drop(url, settings) --> true */
static int core_drop(lua_State *L)
{
    rl_task *task = rl_take_task(rl_state_of(L));
    const char *url = opt_store(L) == NULL ? check_url(L) : NULL;
    size_t count;
    const rille_setting *settings = opt_settings(L, 2, &count);
    rille_err err;
    ri_task *outer;
    ri_store *store = opt_store(L);
    rl_task_enter(task, &outer);
    int rc = store == NULL ? ri_database_drop_with(url, settings, count, &err) : ri_store_drop(store, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void release_names(void *handle)
{
    rille_free(handle);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_names = { "list of names", release_names, no_methods, NULL };

/* _branches() --> array of names */
static int conn_branches(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    (void)rl_box_check(L, 1, &rl_class_conn); /* without arguments, the new box would be the first one */
    rl_box *box = rl_box_push(L, &rl_class_names);
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    rille_err err;
    char *names = NULL;
    size_t count;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = ri_store_head_list(ri_conn_store(conn), &names, &count, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        rille_free(names);
        return rl_fail(L, &err);
    }
    box->handle = names;
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, names);
        lua_rawseti(L, -2, (int)i + 1);
        names += strlen(names) + 1;
    }
    return 1;
}

/* _seen() --> the newest value that the connection knows, without reading */
static int conn_seen(lua_State *L)
{
    (void)rl_box_check(L, 1, &rl_class_conn);
    rl_box *box = rl_box_push(L, &rl_class_db);
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    box->handle = ri_conn_seen_db(conn);
    return 1;
}

/* _is_kept() --> is that value what the cache had, without asking the storage? */
static int conn_is_kept(lua_State *L)
{
    lua_pushboolean(L, ri_conn_is_kept(rl_check(L, 1, &rl_class_conn)));
    return 1;
}

static int conn_db(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    (void)rl_box_check(L, 1, &rl_class_conn); /* without arguments, the new box would be the first one */
    rl_box *box = rl_box_push(L, &rl_class_db);
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    rille_err err;
    rille_db *db;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = ri_conn_db(conn, &db, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        ri_db_release(db);
        return rl_fail(L, &err);
    }
    box->handle = db;
    return 1;
}

static int conn_url(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_conn);
    lua_pushstring(L, ri_conn_url(box->handle));
    rl_let_go(box);
    return 1;
}

/* "rille connection file:goods branch=main" */
static int conn_tostring(lua_State *L)
{
    rl_box *box = rl_box_check(L, 1, &rl_class_conn);
    if (box->handle == NULL) {
        lua_pushliteral(L, "rille connection (closed)");
        return 1;
    }
    box = rl_hold(L, 1, &rl_class_conn);
    const rille_conn *conn = box->handle;
    lua_pushfstring(L, "rille connection %s branch=%s", ri_conn_url(conn), ri_conn_branch(conn));
    rl_let_go(box);
    return 1;
}

static void release_flush(void *run)
{
    ri_flush_run_release(run);
}

static int conn_flush(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc;
    if (task == NULL) {
        rc = ri_conn_flush(conn, &err);
    } else {
        ri_flush_run *run = task->kept;
        rc = ri_conn_flush_step(conn, &run, &err);
        task->kept = run;
        task->release = release_flush;
    }
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t count)
{
    rl_push_id(L, count);
    lua_setfield(L, -2, name);
}

/* stats() --> counters of the store since it was opened */
static int conn_stats(lua_State *L)
{
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    rille_stats stats;
    (void)rille_conn_stats(conn, &stats, NULL);
    lua_newtable(L);
    set_count(L, "reads", stats.reads);
    set_count(L, "read_ranges", stats.read_ranges);
    set_count(L, "read_bytes", stats.read_bytes);
    set_count(L, "writes", stats.writes);
    set_count(L, "written_bytes", stats.written_bytes);
    set_count(L, "head_reads", stats.head_reads);
    set_count(L, "head_swaps", stats.head_swaps);
    set_count(L, "cache_hits", stats.cache_hits);
    set_count(L, "cache_misses", stats.cache_misses);
    set_count(L, "cache_bytes", stats.cache_bytes);
    set_count(L, "cache_bytes_max", stats.cache_bytes_max);
    set_count(L, "size_bytes", stats.size_bytes);
    rl_push_int64(L, stats.head_age_ms);
    lua_setfield(L, -2, "head_age_ms");
    set_count(L, "requests", stats.storage.requests);
    set_count(L, "retries", stats.storage.retries);
    set_count(L, "hedges", stats.storage.hedges);
    set_count(L, "received_bytes", stats.storage.received_bytes);
    set_count(L, "sent_bytes", stats.storage.sent_bytes);
    set_count(L, "rounds", stats.storage.rounds);
    set_count(L, "wait_us", stats.storage.wait_us);
    set_count(L, "tier_hits", stats.storage.tier_hits);
    set_count(L, "tier_misses", stats.storage.tier_misses);
    set_count(L, "tier_evictions", stats.storage.tier_evictions);
    set_count(L, "tier_bytes", stats.storage.tier_bytes);
    return 1;
}

static void release_verify(void *run)
{
    ri_verify_run_release(run);
}

/* verify() --> what was checked */
static int conn_verify(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    rille_conn *conn = rl_check(L, 1, &rl_class_conn);
    ri_verify_report report = { 0 };
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc;
    if (task == NULL) {
        rc = ri_conn_verify(conn, &report, &err);
    } else {
        ri_verify_run *run = task->kept;
        rc = ri_conn_verify_step(conn, &run, &err);
        task->kept = run;
        task->release = release_verify;
        report = run != NULL ? *ri_verify_run_report(run) : report;
    }
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_newtable(L);
    set_count(L, "branches", report.branches);
    set_count(L, "nodes", report.nodes);
    set_count(L, "datoms", report.datoms);
    set_count(L, "transactions", report.transactions);
    set_count(L, "blobs", report.blobs);
    set_count(L, "bytes", report.bytes);
    return 1;
}

static const luaL_Reg methods[] = {
    { "_seen", conn_seen },  { "_is_kept", conn_is_kept },   { "db", conn_db },
    { "flush", conn_flush }, { "stats", conn_stats },        { "verify", conn_verify },
    { "url", conn_url },     { "_branches", conn_branches }, { "_transact", rl_conn_transact },
    { NULL, NULL },
};

static const luaL_Reg meta[] = { { "__tostring", conn_tostring }, { NULL, NULL } };

const rl_class rl_class_conn = { "connection", release_conn, methods, meta };

void rl_conn_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "open", core_open },
        { "exists", core_exists },
        { "drop", core_drop },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
