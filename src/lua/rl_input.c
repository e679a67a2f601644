/* SPDX-License-Identifier: MIT
 *
 * Inputs of a query, from Lua to the engine: databases, results of other queries, rules, and Lua data as tables of
 * columns. What an input must be is said by its place in :in. Rows go over in batches, read raw, their bytes copied
 * once.
 */
#include "rl_op.h"

#include <string.h>

#define CELLS_BYTES_MAX ((size_t)1024 * 1024) /* of values that are not in their table yet */

typedef struct reader {
    lua_State *L;
    const rl_state *state;
    rl_op *op;
    rille_err *err;
    size_t number; /* of the input, from 1 */
    const char *name;
} reader;

static int wrong(const reader *r, int index, const char *expected)
{
    return ri_fail(r->err, RILLE_INPUT, "input %zu (%s): expected %s, got %s%s", r->number, r->name, expected,
                   RL_GOT(r->L, index));
}

/* The bytes of the value are in batch_arena until its rows are in the table. */
static int read_cell(const reader *r, int index, ri_value *out)
{
    int rc = lua_isnil(r->L, index) ? ri_fail(r->err, RILLE_INPUT, "expected a value, got nil")
                                    : rl_read_value(r->L, r->state, index, &r->op->batch_arena, out, r->err);
    if (rc == 0 && out->type == RI_NIL) {
        rc = ri_fail(r->err, RILLE_INPUT, "expected a value, got null");
    }
    return rc;
}

/* ---- Lua data as tables ---- */

/* What a row of Lua data is: the value itself (a list of values), or an array of `width` values. */
typedef struct shape {
    uint16_t width;
    bool is_list;
} shape;

static int read_row(const reader *r, int row, const shape *form, ri_vec *cols, uint32_t at)
{
    lua_State *L = r->L;
    ri_value v;
    if (form->is_list) {
        RI_TRY(read_cell(r, row, &v));
        ri_vec_set(&cols[0], at, &v);
        return 0;
    }
    if (!lua_istable(L, row)) {
        return ri_fail(r->err, RILLE_INPUT, "expected a row, got %s%s", RL_GOT(L, row));
    }
    size_t width;
    RI_TRY(rl_array(L, row, NULL, &width, RILLE_INPUT, r->err));
    if (width != form->width) {
        return ri_fail(r->err, RILLE_INPUT, "expected %u values, got %zu", (unsigned)form->width, width);
    }
    for (uint16_t c = 0; c < form->width; c++) {
        lua_rawgeti(L, row, c + 1);
        int rc = read_cell(r, lua_gettop(L), &v);
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(r->err, "column %u", (unsigned)c + 1);
            return rc;
        }
        ri_vec_set(&cols[c], at, &v);
    }
    return 0;
}

static int make_columns(rl_op *op, uint16_t width, ri_vec **cols, const ri_vec ***places, rille_err *err)
{
    *cols = ri_arena_array(&op->arena, width, sizeof **cols);
    *places = ri_arena_array(&op->arena, width, sizeof **places);
    if (*cols == NULL || *places == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t c = 0; c < width; c++) {
        if (!ri_vec_init(&(*cols)[c], &op->arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        (*places)[c] = &(*cols)[c];
    }
    return 0;
}

static int new_table(const reader *r, uint16_t width, ri_table **out)
{
    ri_table *table = &r->op->tables[r->op->table_count];
    RI_TRY(ri_table_init(table, width, false, r->err));
    r->op->table_count++;
    ri_table_set_meter(table, &r->op->meter);
    *out = table;
    return 0;
}

/* Rows of the Lua array at `index`. */
static int read_table(const reader *r, int index, const shape *form, ri_table **out)
{
    lua_State *L = r->L;
    ri_vec *cols;
    const ri_vec **places;
    size_t count;
    /* What rille.csv gives has the names of its columns beside its rows. */
    if (rl_array(L, index, form->is_list ? NULL : "columns", &count, RILLE_INPUT, r->err) != 0) {
        ri_err_prefix(r->err, "input %zu (%s)", r->number, r->name);
        return RILLE_INPUT;
    }
    RI_TRY(new_table(r, form->width, out));
    RI_TRY(make_columns(r->op, form->width, &cols, &places, r->err));
    uint32_t filled = 0;
    for (size_t i = 1; i <= count; i++) {
        uint32_t added;
        lua_rawgeti(L, index, (int)i);
        int rc = read_row(r, lua_gettop(L), form, cols, filled);
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(r->err, "input %zu (%s), row %zu", r->number, r->name, i);
            return rc;
        }
        filled++;
        if (filled == RI_BATCH_ROWS || i == count || r->op->batch_arena.total_bytes > CELLS_BYTES_MAX) {
            RI_TRY(ri_table_add(*out, places, filled, &added, r->err));
            ri_arena_reset(&r->op->batch_arena);
            filled = 0;
        }
    }
    return 0;
}

/* Width of rows: the names in `columns`, or the first row. 0: there is none. */
static size_t width_of(lua_State *L, int index)
{
    size_t width = 0;
    lua_pushliteral(L, "columns");
    lua_rawget(L, index);
    if (lua_istable(L, -1)) {
        width = rl_rawlen(L, -1);
    }
    lua_pop(L, 1);
    if (width == 0) {
        lua_rawgeti(L, index, 1);
        width = lua_istable(L, -1) ? rl_rawlen(L, -1) : 0;
        lua_pop(L, 1);
    }
    return width;
}

static int read_rows(const reader *r, int index, uint16_t width_if_empty, ri_table **out)
{
    size_t width = width_of(r->L, index);
    if (width > UINT16_MAX / 2) {
        return ri_fail(r->err, RILLE_INPUT, "input %zu (%s): too many columns: %zu", r->number, r->name, width);
    }
    shape rows = { (uint16_t)(width == 0 ? width_if_empty : width), false };
    return read_table(r, index, &rows, out);
}

/* ---- one input ---- */

/* The result at `index`; NULL: it is something else. */
static int result_at(const reader *r, int index, rl_result **out)
{
    rl_box *box = rl_box_test(r->L, index, &rl_class_result);
    *out = box == NULL ? NULL : box->handle;
    return box == NULL || *out != NULL
               ? 0
               : ri_fail(r->err, RILLE_MISUSE, "input %zu (%s): the result is closed", r->number, r->name);
}

static void use_result(const reader *r, rl_result *result, ri_input *out)
{
    ri_refs_take(&result->refs);
    r->op->results[r->op->result_count++] = result;
    *out = (ri_input){ .kind = RI_INPUT_TABLE, .table = &result->table };
}

/* How wide patterns on this source are at least: for a source without rows. */
static uint16_t pattern_width(const rille_query *query, uint16_t source)
{
    for (uint16_t i = 0; i < query->where_count; i++) {
        const ri_clause *clause = &query->where[i];
        if (clause->kind == RI_CLAUSE_PATTERN && clause->source == source) {
            return clause->term_count;
        }
    }
    return 1;
}

static int read_source(const reader *r, int index, const ri_in *in, ri_input *out)
{
    rl_box *db = rl_box_test(r->L, index, &rl_class_db);
    rl_result *result;
    ri_table *table;
    RI_TRY(result_at(r, index, &result));
    if (db != NULL) {
        if (db->handle == NULL) {
            return ri_fail(r->err, RILLE_MISUSE, "input %zu (%s): the database is closed", r->number, r->name);
        }
        r->op->dbs[r->op->db_count++] = ri_db_retain(db->handle);
        *out = (ri_input){ .kind = RI_INPUT_DB, .db = db->handle };
        return 0;
    }
    if (result != NULL) {
        use_result(r, result, out);
        return 0;
    }
    if (!lua_istable(r->L, index)) {
        return wrong(r, index, "a database value (conn:db()) or rows {{...}, {...}}");
    }
    RI_TRY(read_rows(r, index, pattern_width(r->op->query, in->source), &table));
    *out = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
    return 0;
}

static int read_rules(const reader *r, int index, ri_input *out)
{
    ri_form *form = ri_arena_alloc(&r->op->arena, sizeof *form);
    if (form == NULL) {
        return ri_fail_nomem(r->err);
    }
    ri_text text = { NULL, 0 };
    if (lua_type(r->L, index) == LUA_TSTRING) {
        text.p = lua_tolstring(r->L, index, &text.len);
        int rc = ri_edn_read(&r->op->arena, text.p, text.len, form, r->err);
        if (rc != 0) {
            ri_err_prefix(r->err, "input %zu (rules)", r->number);
            return rc;
        }
    } else if (lua_istable(r->L, index)) {
        RI_TRY(rl_read_form(r->L, r->state, index, &r->op->arena, form, r->err));
    } else {
        return wrong(r, index, "rules, as text or from rille.rules");
    }
    *out = (ri_input){ .kind = RI_INPUT_RULES, .rules = form, .rules_text = text };
    return 0;
}

static int read_scalar(const reader *r, int index, ri_input *out)
{
    ri_value v;
    if (lua_isnil(r->L, index)) {
        return wrong(r, index, "a value");
    }
    int rc = read_cell(r, index, &v);
    if (rc != 0) {
        ri_err_prefix(r->err, "input %zu (%s)", r->number, r->name);
        return rc;
    }
    *out = (ri_input){ .kind = RI_INPUT_VALUE };
    if (!ri_value_copy(&r->op->arena, &v, &out->value)) {
        return ri_fail_nomem(r->err);
    }
    ri_arena_reset(&r->op->batch_arena);
    return 0;
}

/* One row, given without the outer list. */
static int read_single_row(const reader *r, int index, uint16_t width, ri_table **out)
{
    shape row = { width, false };
    lua_State *L = r->L;
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    int rc = read_table(r, lua_gettop(L), &row, out);
    lua_pop(L, 1);
    return rc;
}

static int read_binding(const reader *r, int index, const ri_binding *binding, ri_input *out)
{
    ri_table *table = NULL;
    rl_result *result;
    const shape list = { 1, true };
    bool is_table = lua_istable(r->L, index) != 0;
    RI_TRY(result_at(r, index, &result));
    if (result != NULL && binding->kind != RI_BIND_SCALAR) {
        use_result(r, result, out);
        return 0;
    }
    switch ((ri_binding_kind)binding->kind) {
    case RI_BIND_SCALAR:
        return read_scalar(r, index, out);
    case RI_BIND_COLL:
        RI_TRY(is_table ? read_table(r, index, &list, &table) : wrong(r, index, "a list of values"));
        break;
    case RI_BIND_TUPLE:
        RI_TRY(is_table ? read_single_row(r, index, binding->var_count, &table) : wrong(r, index, "a row of values"));
        break;
    case RI_BIND_RELATION:
        RI_TRY(is_table ? read_rows(r, index, binding->var_count, &table) : wrong(r, index, "rows {{...}, {...}}"));
        break;
    }
    *out = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
    return 0;
}

static const char *name_of(const rille_query *query, const ri_in *in)
{
    if (in->kind == RI_IN_SOURCE) {
        return query->source_names[in->source];
    }
    if (in->kind == RI_IN_RULES) {
        return "%";
    }
    ri_var var = in->binding.var_count > 0 ? in->binding.vars[0] : RI_NO_VAR;
    return var == RI_NO_VAR ? "_" : query->var_names[var];
}

static int read_input(reader *r, int index, const ri_in *in, ri_input *out)
{
    r->name = name_of(r->op->query, in);
    switch ((ri_in_kind)in->kind) {
    case RI_IN_SOURCE:
        return read_source(r, index, in, out);
    case RI_IN_RULES:
        return read_rules(r, index, out);
    case RI_IN_BINDING:
        return read_binding(r, index, &in->binding, out);
    }
    return ri_fail(r->err, RILLE_INTERNAL, "input %zu has an unknown kind", r->number);
}

int rl_op_begin(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count, const ri_op_options *options,
                rille_err *err)
{
    const rille_query *query = op->query;
    RI_TRY(ri_inputs_check_count(query, count, err));
    op->inputs = ri_arena_array(&op->arena, count + 1, sizeof *op->inputs);
    op->tables = ri_arena_array(&op->arena, count + 1, sizeof *op->tables);
    op->results = ri_arena_array(&op->arena, count + 1, sizeof *op->results);
    op->dbs = ri_arena_array(&op->arena, count + 1, sizeof *op->dbs);
    if (op->inputs == NULL || op->tables == NULL || op->results == NULL || op->dbs == NULL) {
        return ri_fail_nomem(err);
    }
    reader r = { .L = L, .state = state, .op = op, .err = err };
    for (size_t i = 0; i < count; i++) {
        r.number = i + 1;
        RI_TRY(read_input(&r, first + (int)i, &query->in[i], &op->inputs[i]));
    }
    if (op->op != NULL) {
        bool fits = false;
        ri_op_again(op->op, op->query, op->inputs, count, options, &fits);
        if (fits) {
            return 0;
        }
        ri_op_release(op->op);
        op->op = NULL;
    }
    return ri_op_new(op->query, op->inputs, count, options, &op->op, err);
}
