/* SPDX-License-Identifier: MIT
 *
 * What a query gives: a userdata over columns. Rows are Lua tables made when they are asked for; columns and iterators
 * make none. Shared by its box and by operations that read it as a source.
 */
#include "rl_op.h"

#include <string.h>

rl_result *rl_result_new(rille_query *query, rille_err *err)
{
    rl_result *result = ri_alloc_zero(sizeof *result);
    if (result == NULL) {
        (void)ri_fail_nomem(err);
        return NULL;
    }
    if (ri_table_init(&result->table, query->find_count, false, err) != 0) {
        ri_free(result);
        return NULL;
    }
    ri_refs_init(&result->refs);
    result->query = ri_query_retain(query);
    return result;
}

void rl_result_release(void *handle)
{
    rl_result *result = handle;
    if (ri_refs_drop(&result->refs)) {
        ri_table_deinit(&result->table);
        ri_query_release(result->query);
        ri_free(result);
    }
}

/* ---- rows ---- */

/* `held`, the box that is held meanwhile, is let go should the value not fit this Lua; NULL: none is. */
static void push_cell(lua_State *L, rl_box *held, ri_value v)
{
    rl_check_fits(L, held, &v);
    rl_push_value(L, &v);
}

static void push_row(lua_State *L, rl_box *held, const rl_result *result, uint32_t row)
{
    uint16_t width = result->table.col_count;
    bool keyed = result->query->keys != NULL;
    lua_createtable(L, keyed ? 0 : width, keyed ? width : 0);
    for (uint16_t c = 0; c < width; c++) {
        if (keyed) {
            lua_pushstring(L, result->query->keys[c]);
            push_cell(L, held, ri_column_get(&result->table.cols[c], row));
            lua_rawset(L, -3);
        } else {
            push_cell(L, held, ri_column_get(&result->table.cols[c], row));
            lua_rawseti(L, -2, c + 1);
        }
    }
}

static void push_column(lua_State *L, rl_box *held, const rl_result *result, uint16_t c)
{
    const ri_column *col = &result->table.cols[c];
    uint32_t count = result->table.count;
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        push_cell(L, held, ri_column_get(col, i));
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* result[i], or a method. Upvalue 1: the methods. */
static int result_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TNUMBER) {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
        return 1;
    }
    rl_box *box = rl_hold(L, 1, &rl_class_result);
    const rl_result *result = box->handle;
    lua_Number i = lua_tonumber(L, 2);
    if (i >= 1 && i <= (lua_Number)result->table.count && i == (lua_Number)(uint32_t)i) {
        push_row(L, box, result, (uint32_t)i - 1);
    } else {
        lua_pushnil(L);
    }
    rl_let_go(box);
    return 1;
}

static int result_len(lua_State *L)
{
    const rl_result *result = rl_check(L, 1, &rl_class_result);
    rl_push_id(L, result->table.count);
    return 1;
}

/* Column from a name; the width when there is none. */
static uint16_t find_column(lua_State *L, int arg, const rl_result *result)
{
    uint16_t c = 0;
    for (bool same = false; c < result->table.col_count; c++) {
        rl_push_column_name(L, result->query, c);
        same = lua_rawequal(L, -1, arg) != 0;
        lua_pop(L, 1);
        if (same) {
            break;
        }
    }
    return c;
}

/* "?name, ?qty" on the stack, for a message. */
static const char *push_column_names(lua_State *L, const rl_result *result)
{
    lua_pushliteral(L, "");
    for (uint16_t c = 0; c < result->table.col_count; c++) {
        lua_pushstring(L, c == 0 ? "" : ", ");
        rl_push_column_name(L, result->query, c);
        lua_concat(L, 3);
    }
    return lua_tostring(L, -1);
}

/* column(number or name) --> array */
static int result_column(lua_State *L)
{
    bool named = lua_type(L, 2) == LUA_TSTRING;
    int64_t number = 0;
    if (!named && !rl_read_int64(L, rl_state_of(L), 2, &number)) {
        return rl_error(L, "column: expected a column number or a column name, got %s%s", RL_GOT(L, 2));
    }
    rl_box *box = rl_hold(L, 1, &rl_class_result);
    const rl_result *result = box->handle;
    int width = result->table.col_count;
    if (named) {
        number = find_column(L, 2, result) + 1;
    }
    bool found = number >= 1 && number <= width;
    if (found) {
        push_column(L, box, result, (uint16_t)(number - 1));
    }
    const char *names = found ? NULL : push_column_names(L, result);
    rl_let_go(box);
    if (!found) {
        return named ? rl_error(L, "unknown column \"%s\"; the columns are: %s", lua_tostring(L, 2), names)
                     : rl_error(L, "unknown column %d: the result has %d (%s)", (int)number, width, names);
    }
    return 1;
}

static int result_columns(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_result);
    const rl_result *result = box->handle;
    lua_createtable(L, result->table.col_count, 0);
    for (uint16_t c = 0; c < result->table.col_count; c++) {
        rl_push_column_name(L, result->query, c);
        lua_rawseti(L, -2, c + 1);
    }
    rl_let_go(box);
    return 1;
}

static int result_to_table(lua_State *L)
{
    rl_box *box = rl_hold(L, 1, &rl_class_result);
    const rl_result *result = box->handle;
    lua_createtable(L, (int)result->table.count, 0);
    for (uint32_t i = 0; i < result->table.count; i++) {
        push_row(L, box, result, i);
        lua_rawseti(L, -2, (int)i + 1);
    }
    rl_let_go(box);
    return 1;
}

/* Upvalues: the box, a block with the next row's number. */
static int rows_step(lua_State *L)
{
    rl_box *box = lua_touserdata(L, lua_upvalueindex(1));
    uint32_t *next = lua_touserdata(L, lua_upvalueindex(2));
    const rl_result *result = box->handle;
    if (result == NULL) {
        return rl_error(L, "the result is closed");
    }
    if (*next >= result->table.count) {
        return 0;
    }
    uint32_t row = (*next)++;
    uint16_t width = result->table.col_count;
    luaL_checkstack(L, width + 4, "too many columns");
    box->holds++;
    for (uint16_t c = 0; c < width; c++) {
        push_cell(L, box, ri_column_get(&result->table.cols[c], row));
    }
    rl_let_go(box);
    return width;
}

static int result_rows(lua_State *L)
{
    (void)rl_check(L, 1, &rl_class_result);
    lua_settop(L, 1);
    uint32_t *next = rl_newuserdata(L, sizeof *next);
    *next = 0;
    lua_pushcclosure(L, rows_step, 2);
    return 1;
}

/* "rille result: 2 rows" */
static int result_tostring(lua_State *L)
{
    rl_box *box = rl_box_test(L, 1, &rl_class_result);
    if (box != NULL && box->handle == NULL) {
        lua_pushliteral(L, "rille result (closed)");
        return 1;
    }
    const rl_result *result = rl_check(L, 1, &rl_class_result);
    uint32_t count = result->table.count;
    lua_pushfstring(L, "rille result: %d row%s", (int)count, count == 1 ? "" : "s");
    return 1;
}

static const luaL_Reg methods[] = {
    { "column", result_column },
    { "columns", result_columns },
    { "to_table", result_to_table },
    { "rows", result_rows },
    { NULL, NULL },
};

static const luaL_Reg meta[] = {
    { "__index", result_index },
    { "__len", result_len },
    { "__tostring", result_tostring },
    { NULL, NULL },
};

const rl_class rl_class_result = { "result", rl_result_release, methods, meta };

/* ---- the shape that :find asks for ---- */

int rl_push_outcome(lua_State *L, rl_box *box)
{
    rl_result *result = box->handle;
    if (result->query->find_kind == RI_FIND_REL) {
        rl_note_box(L, box, sizeof *result + ri_table_bytes(&result->table));
        return 1;
    }
    if (result->query->find_kind == RI_FIND_COLL) {
        push_column(L, NULL, result, 0);
    } else if (result->table.count == 0) {
        lua_pushnil(L);
    } else if (result->query->find_kind == RI_FIND_TUPLE) {
        push_row(L, NULL, result, 0);
    } else {
        push_cell(L, NULL, ri_column_get(&result->table.cols[0], 0));
    }
    box->handle = NULL;
    rl_result_release(result);
    return 1;
}

/* ---- rows of a running operation ---- */

static int push_next(lua_State *L, rl_box *box)
{
    rl_op *op = box->handle;
    uint16_t width = op->query->find_count;
    uint32_t row = op->next++;
    luaL_checkstack(L, width + 4, "too many columns");
    box->holds++;
    for (uint16_t c = 0; c < width; c++) {
        push_cell(L, box, ri_vec_get(&op->rows[c], row));
    }
    rl_let_go(box);
    return width;
}

/* _next() --> the values of the next row of the batch, or nothing */
int rl_op_next(lua_State *L)
{
    const rl_op *op = rl_check(L, 1, &rl_class_op);
    return rl_op_left(op) > 0 ? push_next(L, lua_touserdata(L, 1)) : 0;
}

/* Upvalue 1: the box of the op. Closes it at the end. Upvalue 2: a function of Lua that does nothing, but for the hooks
 * that Lua calls then; a hook may raise an error, or close the op. */
static int iterate_step(lua_State *L)
{
    rl_box *box = lua_touserdata(L, lua_upvalueindex(1));
    rl_op *op;
    rille_err err;
    int rc;
    for (;;) {
        op = box->handle;
        if (op == NULL) {
            return 0;
        }
        if (rl_op_left(op) > 0) {
            return push_next(L, box);
        }
        if (box->holds > 0) {
            return rl_error(L, "the operation is already in use and cannot be used from a finalizer");
        }
        rc = 0;
        if (op->reads) {
            lua_pushvalue(L, lua_upvalueindex(1));
            rc = rl_op_read(L, rl_state_of(L), op, lua_gettop(L), RL_SLICE_US, &err);
            lua_pop(L, 1);
        }
        rc = rc == 0 ? rl_op_advance(op, true, ri_clock_us() + RL_SLICE_US, &err) : rc;
        if (rc != RILLE_ROWS && rc != RILLE_AGAIN) {
            break;
        }
        rl_op_note(L, box); /* finalizers may close it, or take its rows */
        if (rc == RILLE_AGAIN) {
            lua_pushvalue(L, lua_upvalueindex(2));
            lua_call(L, 0, 0);
        }
    }
    if (rc == RILLE_CALL) {
        rc = ri_fail(&err, RILLE_QUERY, "the query calls the Lua function %s", ri_op_call(op->op)->name);
    }
    RI_ASSERT(rc != RILLE_NEED); /* where there are backends written in Lua, rows are read by steps */
    size_t read_bytes = op->read_bytes;
    box->handle = NULL;
    rl_op_release(op);
    rl_note_released(L, box);
    rl_note_bytes(L, read_bytes);
    return rc < 0 ? rl_error(L, "%s", err.message) : 0;
}

/* _iterate(nothing) --> iterator over all rows; for queries that call no function of Lua */
int rl_op_iterate(lua_State *L)
{
    (void)rl_check(L, 1, &rl_class_op);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushcclosure(L, iterate_step, 2);
    return 1;
}
