/* SPDX-License-Identifier: MIT
 *
 * Prepared queries: parsed once, from text or from Lua data, run as often as wanted.
 */
#include "rl_op.h"

#include <math.h>
#include <string.h>

static void release_query(void *handle)
{
    ri_query_release(handle);
}

/* parse(text) --> query */
static int core_parse(lua_State *L)
{
    size_t len;
    const char *text = rl_check_text(L, 1, "the text of a query", &len);
    rl_box *box = rl_box_push(L, &rl_class_query);
    rille_query *query;
    rille_err err;
    if (ri_query_parse(text, len, &query, &err) != 0) {
        return rl_fail(L, &err);
    }
    box->handle = query;
    rl_note_box(L, box, query->arena.total_bytes);
    return 1;
}

/* parse_form(data) --> query, of EDN data as Lua has it */
static int core_parse_form(lua_State *L)
{
    luaL_checkany(L, 1);
    rl_box *box = rl_box_push(L, &rl_class_query);
    rl_temp *temp = rl_temp_push(L);
    rille_query *query;
    rille_err err;
    ri_form form;
    int rc = rl_read_form(L, rl_state_of(L), 1, &temp->arena, &form, &err);
    if (rc == 0) {
        rc = ri_query_from_form(&form, &query, &err);
    }
    rl_temp_clear(temp);
    if (rc != 0) {
        return rl_fail(L, &err);
    }
    box->handle = query;
    lua_pop(L, 1);
    rl_note_box(L, box, query->arena.total_bytes);
    return 1;
}

/* text() --> the query as EDN */
static int query_text(lua_State *L)
{
    rl_temp *temp = rl_temp_push(L);
    rille_query *query = rl_check(L, 1, &rl_class_query);
    rille_err err;
    int rc = ri_query_print(query, &temp->buf);
    if (rc != 0 || temp->buf.failed) {
        (void)ri_fail_nomem(&err);
        return rl_fail(L, &err);
    }
    lua_pushlstring(L, (const char *)temp->buf.p, temp->buf.len);
    rl_temp_clear(temp);
    return 1;
}

void rl_push_column_name(lua_State *L, const rille_query *query, uint16_t column)
{
    const ri_find_elem *elem = &query->find[column];
    const char *var = query->var_names[elem->var];
    if (query->keys != NULL) {
        lua_pushstring(L, query->keys[column]);
    } else if (elem->agg == NULL) {
        lua_pushstring(L, var[0] == '?' ? var + 1 : var);
    } else if (elem->arg_var != RI_NO_VAR) {
        lua_pushfstring(L, "(%s %s %s)", elem->agg, query->var_names[elem->arg_var], var);
    } else if (elem->arg.type == RI_LONG) {
        lua_pushfstring(L, "(%s %d %s)", elem->agg, (int)elem->arg.as.i, var);
    } else {
        lua_pushfstring(L, "(%s %s)", elem->agg, var);
    }
}

/* columns() --> names of the find elements */
static int query_columns(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_query);
    const rille_query *query = box->handle;
    lua_createtable(L, query->find_count, 0);
    for (uint16_t i = 0; i < query->find_count; i++) {
        rl_push_column_name(L, query, i);
        lua_rawseti(L, -2, i + 1);
    }
    rl_let_go(box);
    return 1;
}

static void push_input(lua_State *L, const rille_query *query, const ri_in *in)
{
    static const char *const bindings[] = { "scalar", "list", "row", "rows" };
    lua_createtable(L, 0, 2);
    if (in->kind == RI_IN_SOURCE) {
        lua_pushliteral(L, "source");
        lua_setfield(L, -2, "kind");
        lua_pushstring(L, query->source_names[in->source]);
    } else if (in->kind == RI_IN_RULES) {
        lua_pushliteral(L, "rules");
        lua_setfield(L, -2, "kind");
        lua_pushliteral(L, "%");
    } else {
        ri_var var = in->binding.var_count > 0 ? in->binding.vars[0] : RI_NO_VAR;
        lua_pushstring(L, bindings[in->binding.kind]);
        lua_setfield(L, -2, "kind");
        lua_pushstring(L, var == RI_NO_VAR ? "_" : query->var_names[var]);
    }
    lua_setfield(L, -2, "name");
}

/* inputs() --> {{kind = "source" | "rules" | "scalar" | "list" | "row" | "rows", name = "$"}, ...} */
static int query_inputs(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_query);
    const rille_query *query = box->handle;
    lua_createtable(L, query->in_count, 0);
    for (uint16_t i = 0; i < query->in_count; i++) {
        push_input(L, query, &query->in[i]);
        lua_rawseti(L, -2, i + 1);
    }
    rl_let_go(box);
    return 1;
}

/* _shape() --> "rows", "list", "row" or "value": what :find asks for */
static int query_shape(lua_State *L)
{
    const rille_query *query = rl_check(L, 1, &rl_class_query);
    const char *name = query->find_kind == RI_FIND_REL     ? "rows"
                       : query->find_kind == RI_FIND_COLL  ? "list"
                       : query->find_kind == RI_FIND_TUPLE ? "row"
                                                           : "value";
    lua_pushstring(L, name);
    return 1;
}

static int64_t option_number(lua_State *L, int arg, int64_t absent)
{
    lua_Number n = luaL_optnumber(L, arg, -1);
    return n >= 0 && n < 9e15 ? (int64_t)ceil((double)n) : absent; /* half a millisecond is not no limit */
}

/* _start(timeout_ms, memory_bytes, limit, offset, inputs ...) --> op */
static int query_start(lua_State *L)
{
    rl_state *state = rl_own_state(L);
    int top = lua_gettop(L);
    ri_op_options options = { 0 };
    options.timeout_ms = (uint64_t)option_number(L, 2, 0);
    options.memory_bytes = (size_t)option_number(L, 3, 0);
    options.limit = option_number(L, 4, -1);
    options.offset = option_number(L, 5, -1);
    options.has_function = rl_has_function;
    options.context = state;
    rl_pause_options(state, &options);
    luaL_checkstack(L, 20, "too many inputs");
    (void)rl_box_check(L, 1, &rl_class_query); /* without arguments, the new box would be the first one */
    rl_box *box = rl_box_push(L, &rl_class_op);
    rille_query *query = rl_check(L, 1, &rl_class_query);
    rl_op *op = rl_op_take(query, options.memory_bytes, options.timeout_ms);
    rille_err err;
    if (op == NULL) {
        (void)ri_fail_nomem(&err);
        return rl_fail(L, &err);
    }
    box->handle = op;
    options.meter = &op->meter;
    size_t count = top < 6 ? 0 : (size_t)(top - 5);
    int rc = rl_op_begin_part(L, state, op, 6, count, &options, &err);
    if (rc == RILLE_AGAIN) {
        op->reads = true;
        op->options = options;
        rl_op_keep_inputs(L, top + 1, 6, count);
        rl_op_note(L, box);
        return 1;
    }
    if (rc != 0) {
        (void)rl_op_failed(op, rc, &err);
        return rl_fail(L, &err);
    }
    rl_pause_reads(state, op);
    rl_op_note(L, box);
    return 1;
}

static const luaL_Reg methods[] = {
    { "text", query_text },
    { "columns", query_columns },
    { "inputs", query_inputs },
    { "_start", query_start },
    { "_shape", query_shape },
    { "_run", rl_query_run },
    { NULL, NULL },
};

const rl_class rl_class_query = { "query", release_query, methods, NULL };

void rl_query_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "parse", core_parse },
        { "parse_form", core_parse_form },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
