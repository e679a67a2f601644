/* SPDX-License-Identifier: MIT
 *
 * Operations of everything but queries (rl_task.c), and what they share with those of queries: wants (rl_wants.c).
 */
#ifndef RL_TASK_H
#define RL_TASK_H

#include "rl.h"

#include "../core/store/host.h"

typedef struct rl_task {
    ri_task task;
    int state;  /* of the last run: RILLE_NEED, RILLE_AGAIN, or 0: it ended */
    void *kept; /* what the function keeps from one run to the next */
    void (*release)(void *kept);
} rl_task;

/* The task that the function which begins now runs in, or NULL: it blocks. Comes first in the function, before Lua
 * allocates anything. */
rl_task *rl_take_task(rl_state *state);
/* Around what a function asks of the engine, without a call of Lua between them that allocates: finalizers must not run
 * in the task. leave gives rc; an outcome that is not 0 has a message, and what the engine gave is to be released. */
void rl_task_enter(rl_task *t, ri_task **outer);
int rl_task_leave(rl_task *t, ri_task *outer, int rc, rille_err *err);

/* Microseconds at 2; none, nil and 0: no limit. (rl_op.c) */
uint64_t rl_check_budget(lua_State *L);

extern const rl_class rl_class_task;
void rl_task_functions(lua_State *L);
void rl_scan_functions(lua_State *L); /* rl_datoms.c */
/* Its reads wait where tests want it (rl_pause.c). */
void rl_pause_task(rl_state *state, rl_task *t);

/* Pushes an array of what is wanted. call NULL: only what io wants. */
void rl_push_wants(lua_State *L, const ri_io *io, const ri_slot_call *call);
/* supply(i, outcome, message, code). prepare does what may allocate, and comes before the handle is taken out of its
 * box. task NULL: only io wants. Gives the number of results. */
void rl_supply_prepare(lua_State *L);
int rl_supply(lua_State *L, ri_io *io, ri_task *task, rille_err *failure);

/* {kind =, id =, offset =, length =}; what wanted() has of a call */
void rl_push_range(lua_State *L, const rille_get *get);
void rl_push_call(lua_State *L, const ri_slot_call *call);

/* _answer(nil, outcome, message, code) of a call of a host's store; after rl_supply_prepare. */
int rl_answer_call(lua_State *L, ri_task *task);

/* ---- backends that are written in Lua (rl_host.c) ---- */

extern const rl_class rl_class_store;
extern const rl_class rl_class_inbox;
void rl_host_functions(lua_State *L);
/* _asked() --> the number of a host's store, what is wanted of it, and tokens of the ranges; or nil, and whether anything
 * else is wanted */
int rl_push_asked(lua_State *L, const ri_io *io, const ri_task *task);
/* _answer_gets(tokens, results, us) hands in the bytes of ranges. prepare comes before the handle is taken. */
void rl_answer_prepare(lua_State *L);
int rl_answer_gets(lua_State *L, ri_io *io, rille_err *err);

/* ---- ranges of datoms (rl_datoms.c, rl_point.c) ---- */

int rl_db_datoms(lua_State *L);
int rl_db_datoms_or_raise(lua_State *L);
int rl_db_seek(lua_State *L);
int rl_db_range(lua_State *L);
int rl_db_count(lua_State *L);
ri_order rl_check_order(lua_State *L); /* at 2 */
extern const rl_class rl_class_warming;
void rl_warm_functions(lua_State *L); /* rl_warm.c */
/* Arguments 3.. are components of an index, from the left; a nil ends them. An attribute is never read as a number here:
 * rl_read_attr. *attr NULL: it is none of them. */
int rl_read_parts(lua_State *L, const rl_state *state, const rille_db *db, ri_order order, ri_arena *arena,
                  ri_bound *from, const ri_attr **attr, rille_err *err);
/* What datoms gives, where that is a datom at most: the number of results, or 0: it takes a scan. */
int rl_push_point(lua_State *L, const rl_state *state, ri_order order);

#endif
