/* SPDX-License-Identifier: MIT
 *
 * What a query did, as text and as data.
 */
#include "rl_op.h"

/* NULL: it has not begun. */
static rille_op *begun(rl_op *op, rille_err *err)
{
    if (op->reads) {
        (void)ri_fail(err, RILLE_MISUSE, "the query has not begun: step it at least once");
        return NULL;
    }
    ri_io_take_spent(ri_op_io(op->op), &op->blob_io);
    return op->op;
}

/* explain() --> text */
int rl_op_explain(lua_State *L)
{
    rl_temp *temp = rl_temp_push(L);
    rille_err err;
    const rille_op *op = begun(rl_check(L, 1, &rl_class_op), &err);
    if (op == NULL || (ri_op_explain(op, &temp->buf) != 0 && ri_fail_nomem(&err) != 0)) {
        return rl_fail(L, &err);
    }
    lua_pushlstring(L, (const char *)temp->buf.p, temp->buf.len);
    rl_temp_clear(temp);
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t count)
{
    rl_push_id(L, count);
    lua_setfield(L, -2, name);
}

static int push_stages(lua_State *L, const rille_op *op, ri_buf *text)
{
    size_t count = ri_op_stage_count(op);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        ri_explained stage;
        ri_buf_clear(text);
        if (ri_op_explain_stage(op, i, &stage, text) != 0) {
            return RILLE_NOMEM;
        }
        lua_newtable(L);
        set_text(L, "stage", stage.label);
        if (stage.clause != SIZE_MAX) {
            set_text(L, "clause", (const char *)text->p + stage.clause);
        }
        if (stage.range != SIZE_MAX) {
            set_text(L, "range", (const char *)text->p + stage.range);
        }
        if (stage.est_rows > 0) {
            lua_pushnumber(L, stage.est_rows);
            lua_setfield(L, -2, "estimated_rows");
        }
        set_count(L, "rows", stage.rows);
        set_count(L, "depth", stage.depth);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 0;
}

static void set_spent(lua_State *L, const ri_spent *spent)
{
    set_count(L, "requests", spent->requests);
    set_count(L, "received_bytes", spent->received_bytes);
    set_count(L, "waits", spent->rounds);
    set_count(L, "wait_us", spent->wait_us);
}

static void push_names(lua_State *L, const rille_op *op, size_t first)
{
    int n = 0;
    lua_newtable(L);
    for (size_t i = first; i < ri_op_source_count(op); i++) {
        if (ri_op_source_store(op, i) == ri_op_source_store(op, first)) {
            lua_pushstring(L, ri_op_source_name(op, i));
            lua_rawseti(L, -2, ++n);
        }
    }
}

static void push_sources(lua_State *L, const rille_op *op)
{
    int n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < ri_op_source_count(op); i++) {
        ri_spent all;
        ri_spent planning;
        if (!ri_op_source_spent(op, i, &all, &planning)) {
            continue;
        }
        lua_newtable(L);
        push_names(L, op, i);
        lua_setfield(L, -2, "names");
        set_text(L, "url", ri_store_url(all.store));
        set_spent(L, &all);
        lua_newtable(L);
        set_spent(L, &planning);
        lua_setfield(L, -2, "planning");
        lua_rawseti(L, -2, ++n);
    }
}

/* explain_data() --> { stages = ..., sources = ... } */
int rl_op_explain_data(lua_State *L)
{
    rl_temp *temp = rl_temp_push(L);
    rl_box *box = rl_hold(L, 1, &rl_class_op); /* a finalizer may close it */
    rille_err err;
    const rille_op *op = begun(box->handle, &err);
    int rc = op != NULL ? 0 : RILLE_MISUSE;
    lua_createtable(L, 0, 2);
    if (rc == 0 && push_stages(L, op, &temp->buf) != 0) {
        rc = ri_fail_nomem(&err);
    }
    if (rc != 0) {
        rl_let_go(box);
        return rl_fail(L, &err);
    }
    lua_setfield(L, -2, "stages");
    push_sources(L, op);
    lua_setfield(L, -2, "sources");
    rl_let_go(box);
    rl_temp_clear(temp);
    return 1;
}
