/* SPDX-License-Identifier: MIT
 *
 * db:warm. Lua makes a warming, adds ranges, one end after the other, and runs it: each a call that may run in a task.
 */
#include "rl_task.h"

#include "../core/db/warm.h"

typedef struct warming {
    ri_warm *warm;
    ri_arena arena; /* values of its ranges */
    ri_bound from;  /* of the range whose other end is still to come */
} warming;

static void release_warming(void *handle)
{
    warming *w = handle;
    ri_warm_release(w->warm);
    ri_arena_deinit(&w->arena);
    ri_free(w);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_warming = { "warming", release_warming, no_methods, NULL };

static uint64_t limit_at(lua_State *L, int index)
{
    lua_Number value = luaL_optnumber(L, index, 0);
    return value <= 0 ? 0 : value < 1e18 ? (uint64_t)value : UINT64_MAX;
}

/* warm_new(db, nodes_max, bytes_max) --> warming */
static int core_warm_new(lua_State *L)
{
    uint64_t nodes_max = limit_at(L, 2);
    uint64_t bytes_max = limit_at(L, 3);
    (void)rl_box_check(L, 1, &rl_class_db);
    rl_box *box = rl_box_push(L, &rl_class_warming);
    rille_db *db = rl_check(L, 1, &rl_class_db);
    rille_err err;
    warming *w = ri_alloc_zero(sizeof *w);
    if (w == NULL) {
        return rl_error(L, "out of memory");
    }
    if (ri_warm_new(db, nodes_max, bytes_max, &w->warm, &err) != 0) {
        ri_free(w);
        return rl_fail(L, &err);
    }
    box->handle = w;
    return 1;
}

/* warm_end(db, index, c1, c2, c3, warming, end, optional) --> true. end: "from"; "to" (without it), "through" (with all that
 * begins with it). optional: an attribute that is not in the index is left out. */
static int core_warm_end(lua_State *L)
{
    static const char *const ends[] = { "from", "to", "through", NULL };
    rl_task *task = rl_take_task(rl_state_of(L));
    const rl_state *state = rl_state_of(L);
    int end = luaL_checkoption(L, 7, NULL, ends);
    bool optional = lua_toboolean(L, 8) != 0;
    ri_order order = rl_check_order(L);
    lua_settop(L, 8);
    luaL_checkstack(L, 40, "not enough memory");
    rl_box *db = rl_hold(L, 1, &rl_class_db);
    rl_box *box = rl_hold(L, 6, &rl_class_warming);
    warming *w = box->handle;
    const ri_attr *attr;
    ri_bound bound;
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = rl_read_parts(L, state, db->handle, order, &w->arena, &bound, &attr, &err);
    if (rc == 0 && end == 0) {
        w->from = bound;
    } else if (rc == 0) {
        bound.after = end == 2;
        rc = ri_warm_add(w->warm, order, &w->from, &bound, &err);
    } else if (rc == RILLE_ATTRIBUTE && optional) {
        rc = 0;
    }
    rc = rl_task_leave(task, outer, rc, &err);
    rl_let_go(box);
    rl_let_go(db);
    if (rc != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int run_blocking(ri_warm *warm, rille_err *err)
{
    int rc;
    do {
        rc = ri_warm_step(warm, err);
        if (rc == RILLE_NEED) {
            rc = ri_warm_fetch(warm, err);
            rc = rc == 0 ? RILLE_AGAIN : rc;
        }
    } while (rc == RILLE_AGAIN);
    return rc;
}

static void set_number(lua_State *L, const char *name, uint64_t number)
{
    rl_push_id(L, number);
    lua_setfield(L, -2, name);
}

/* warm_run(warming) --> {nodes =, bytes =, cached_nodes =, complete =} */
static int core_warm_run(lua_State *L)
{
    rl_task *task = rl_take_task(rl_state_of(L));
    warming *w = rl_check_free(L, 1, &rl_class_warming);
    rille_err err;
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = task == NULL ? run_blocking(w->warm, &err) : ri_warm_step(w->warm, &err);
    ri_warm_report report = *ri_warm_report_of(w->warm);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_createtable(L, 0, 4);
    set_number(L, "nodes", report.nodes);
    set_number(L, "bytes", report.bytes);
    set_number(L, "cached_nodes", report.cached_nodes);
    lua_pushboolean(L, report.complete);
    lua_setfield(L, -2, "complete");
    return 1;
}

void rl_warm_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "warm_new", core_warm_new },
        { "warm_end", core_warm_end },
        { "warm_run", core_warm_run },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
