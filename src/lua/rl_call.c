/* SPDX-License-Identifier: MIT
 *
 * Calls of Lua functions by a running query: their arguments and results, row by row.
 */
#include "rl_op.h"

#include "../core/query/exec.h"

/* The operation, which must wait for a function, and no finalizer may be at it. */
static rl_op *check_calling(lua_State *L, ri_call **call)
{
    rl_op *op = rl_check_free(L, 1, &rl_class_op);
    *call = op->reads ? NULL : ri_op_call(op->op);
    if (*call == NULL) {
        (void)rl_error(L, "the query is not waiting for a function");
    }
    return op;
}

/* The same, and there is a row left. */
static rl_op *check_row_of_call(lua_State *L, ri_call **call)
{
    rl_op *op = check_calling(L, call);
    if (op->called >= (*call)->rows) {
        (void)rl_error(L, "all rows of the call already have their results");
    }
    return op;
}

/* _call() --> name, rows */
int rl_call_begin(lua_State *L)
{
    ri_call *call;
    rl_op *op = check_calling(L, &call);
    rl_box *box = rl_hold(L, 1, &rl_class_op);
    ri_arena_reset(&op->batch_arena);
    lua_pushstring(L, call->name);
    rl_push_id(L, call->rows);
    rl_let_go(box);
    return 2;
}

/* _lacks() --> true: storage must be read before _args can give the arguments of the next row without waiting */
int rl_call_lacks(lua_State *L)
{
    ri_call *call;
    rl_op *op = check_row_of_call(L, &call);
    bool lacks = false;
    if (!op->blob_need) {
        op->store_skip = 0;
    }
    for (unsigned i = 0; i < call->arg_count && !(lacks && op->db_count > 1); i++) {
        const ri_arg *arg = &call->args[i];
        ri_value v = arg->vec == NULL ? arg->value : ri_vec_get(arg->vec, op->called);
        lacks = (ri_type_is_stub(v.type) && rl_op_lacks(op, &v)) || lacks;
    }
    op->blob_need = lacks;
    lua_pushboolean(L, lacks);
    return 1;
}

/* _args() --> the arguments of the next row */
int rl_call_args(lua_State *L)
{
    ri_call *call;
    rl_op *op = check_row_of_call(L, &call);
    int top = lua_gettop(L);
    luaL_checkstack(L, (int)call->arg_count + 8, "too many arguments");
    rl_box *box = rl_hold(L, 1, &rl_class_op);
    for (unsigned i = 0; i < call->arg_count; i++) {
        const ri_arg *arg = &call->args[i];
        ri_value v = arg->vec == NULL ? arg->value : ri_vec_get(arg->vec, op->called);
        rille_err err;
        if (ri_type_is_stub(v.type)) {
            ri_value stub = v;
            if (rl_op_whole(op, &stub, &v, &err) != 0) {
                rl_let_go(box);
                return rl_error(L, "%s", err.message);
            }
        }
        rl_check_fits(L, box, &v);
        rl_push_value(L, &v);
    }
    rl_let_go(box);
    return lua_gettop(L) - top;
}

/* _give(value) --> true: the result of the next row */
int rl_call_give(lua_State *L)
{
    ri_call *call;
    rl_op *op = check_row_of_call(L, &call);
    rl_box *box = rl_hold(L, 1, &rl_class_op);
    ri_value v = ri_nil();
    rille_err err;
    int rc = ri_meter_check(&op->meter, &err); /* the function may have taken long */
    if (rc == 0 && !lua_isnoneornil(L, 2)) {
        ri_value given;
        rc = rl_read_value(L, rl_state_of(L), 2, call->arena, &given, &err);
        if (rc == 0 && !ri_value_copy(call->arena, &given, &v)) {
            rc = ri_fail_nomem(&err);
        }
    }
    if (rc == 0) {
        ri_vec_set(call->out, op->called++, &v);
    } else {
        if (rl_op_failed(op, 0, &err) == 0) {
            ri_err_prefix(&err, "function %s", call->name);
        }
        op->failure = err;
    }
    rl_let_go(box);
    if (rc != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* _fail(message): the function that was called raised an error. The operation may be closed: by the function. */
int rl_call_fail(lua_State *L)
{
    rl_op *op = rl_box_check(L, 1, &rl_class_op)->handle;
    if (op != NULL && op->failure.code == 0) {
        (void)ri_fail(&op->failure, RILLE_FUNCTION, "%s", luaL_checkstring(L, 2));
    }
    return 0;
}
