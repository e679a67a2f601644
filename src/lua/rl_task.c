/* SPDX-License-Identifier: MIT
 *
 * Operations of everything but queries: a function of this binding and its arguments, which a step runs in a task.
 *
 * The functions are the same that ordinary calls use. Each takes the task (rl_take_task) before it does anything, and
 * runs the engine in it; a run that lacks something gives what a failure would give, and op_run looks at the task.
 */
#include "rl_task.h"

#include <string.h>

static void release_task(void *handle)
{
    rl_task *t = handle;
    if (t->kept != NULL) {
        t->release(t->kept);
    }
    ri_task_deinit(&t->task);
    ri_free(t);
}

rl_task *rl_take_task(rl_state *state)
{
    rl_task *t = state->task;
    state->task = NULL;
    return t;
}

/* task() --> an operation without a function yet */
static int core_task(lua_State *L)
{
    rl_state *state = rl_state_of(L);
    rl_box *box = rl_box_push(L, &rl_class_task);
    rl_task *t = ri_alloc_zero(sizeof *t);
    if (t == NULL) {
        return rl_error(L, "out of memory");
    }
    box->handle = t;
    rl_pause_task(state, t);
    return 1;
}

/* Calls the function at 2 with the arguments behind it. The collector must not run between here and rl_take_task. */
static int call_in_task(lua_State *L, rl_task *t)
{
    rl_state *state = rl_state_of(L);
    luaL_checkstack(L, 2 * LUA_MINSTACK, "too many arguments");
    ri_task *outer = ri_task_running();
    state->task = t;
    int rc = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    state->task = NULL;
    ri_task_return(outer);
    return rc;
}

/* _run(budget_us, f, ...) --> "need", "again"; or "done" and what f gave */
static int task_run(lua_State *L)
{
    uint64_t budget_us = rl_check_budget(L);
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    lua_remove(L, 2);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    rl_box *box = rl_hold(L, 1, &rl_class_task);
    t->state = 0;
    ri_task_set_budget(&t->task, budget_us);
    int failed = call_in_task(L, t);
    int state = t->state;
    rl_let_go(box);
    if (failed != 0) {
        return lua_error(L);
    }
    lua_pushstring(L, state == RILLE_NEED ? "need" : state == RILLE_AGAIN ? "again" : "done");
    lua_replace(L, 1);
    return state == 0 ? lua_gettop(L) : (lua_settop(L, 1), 1);
}

void rl_task_enter(rl_task *t, ri_task **outer)
{
    *outer = ri_task_enter(t == NULL ? NULL : &t->task);
}

int rl_task_leave(rl_task *t, ri_task *outer, int rc, rille_err *err)
{
    rc = ri_task_leave(t == NULL ? NULL : &t->task, outer, rc, err);
    if (t != NULL) {
        t->state = rc == RILLE_NEED || rc == RILLE_AGAIN ? rc : 0;
        if (t->state == 0) {
            (void)ri_trash_empty(&t->task.trash, SIZE_MAX); /* it is closed when the collector finds it */
        }
    }
    return rc;
}

/* fetch() --> true */
static int task_fetch(lua_State *L)
{
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    rille_err err;
    if (ri_task_fetch(&t->task, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* poll() --> true: all is there; false: it is under way */
static int task_poll(lua_State *L)
{
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    rille_err err;
    int rc = ri_task_poll(&t->task, &err);
    if (rc < 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

/* _wait(): until something that was begun may be there, or Lua's hooks are to run */
static int task_wait(lua_State *L)
{
    const rl_task *t = rl_check_free(L, 1, &rl_class_task);
    ri_store *store = t->task.io.begun != NULL ? t->task.io.begun : t->task.waits ? t->task.call.store : NULL;
    if (store != NULL) {
        ri_store_wait(store, RL_SLICE_US / 1000);
    }
    return 0;
}

static int task_cancel(lua_State *L)
{
    rl_task *t = rl_check(L, 1, &rl_class_task);
    ri_task_cancel(&t->task);
    return 0;
}

/* wanted() --> {{op =, store =, ...}, ...} */
static int task_wanted(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_task);
    const rl_task *t = box->handle;
    rl_push_wants(L, &t->task.io, ri_task_wants(&t->task) > t->task.io.want_count ? &t->task.call : NULL);
    rl_let_go(box);
    return 1;
}

/* supply(i, outcome, message, code) --> true */
static int task_supply(lua_State *L)
{
    rl_supply_prepare(L);
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    return rl_supply(L, &t->task.io, &t->task, &t->task.failure);
}

/* _asked(): rl_push_asked */
static int task_asked(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_task);
    const rl_task *t = box->handle;
    int count = rl_push_asked(L, &t->task.io, &t->task);
    rl_let_go(box);
    return count;
}

/* _answer_gets(tokens, results) --> true */
static int task_answer_gets(lua_State *L)
{
    rille_err err;
    rl_answer_prepare(L);
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    if (rl_answer_gets(L, &t->task.io, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* _answer(nil, outcome, message, code) --> true */
static int task_answer(lua_State *L)
{
    rl_supply_prepare(L);
    rl_task *t = rl_check_free(L, 1, &rl_class_task);
    return rl_answer_call(L, &t->task);
}

/* _check(): raises when it is closed */
static int task_check(lua_State *L)
{
    (void)rl_check(L, 1, &rl_class_task);
    return 0;
}

static const luaL_Reg methods[] = {
    { "_run", task_run },
    { "fetch", task_fetch },
    { "poll", task_poll },
    { "_wait", task_wait },
    { "wanted", task_wanted },
    { "supply", task_supply },
    { "cancel", task_cancel },
    { "_check", task_check },
    { "_asked", task_asked },
    { "_answer", task_answer },
    { "_answer_gets", task_answer_gets },
    { NULL, NULL },
};

const rl_class rl_class_task = { "operation", release_task, methods, NULL };

void rl_task_functions(lua_State *L)
{
    lua_pushcfunction(L, core_task);
    lua_setfield(L, -2, "task");
}
