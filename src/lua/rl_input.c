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

static int read_row(const reader *r, int row, const rl_rows *rows)
{
    lua_State *L = r->L;
    ri_value v;
    if (rows->is_list) {
        RI_TRY(read_cell(r, row, &v));
        ri_vec_set(&rows->cols[0], rows->filled, &v);
        return 0;
    }
    if (!lua_istable(L, row)) {
        return ri_fail(r->err, RILLE_INPUT, "expected a row, got %s%s", RL_GOT(L, row));
    }
    size_t width;
    RI_TRY(rl_array(L, row, NULL, &width, RILLE_INPUT, r->err));
    if (width != rows->width) {
        return ri_fail(r->err, RILLE_INPUT, "expected %u values, got %zu", (unsigned)rows->width, width);
    }
    for (uint16_t c = 0; c < rows->width; c++) {
        lua_rawgeti(L, row, c + 1);
        int rc = read_cell(r, lua_gettop(L), &v);
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(r->err, "column %u", (unsigned)c + 1);
            return rc;
        }
        ri_vec_set(&rows->cols[c], rows->filled, &v);
    }
    return 0;
}

static int make_columns(rl_op *op, rl_rows *rows, rille_err *err)
{
    rows->cols = ri_arena_array(&op->arena, rows->width, sizeof *rows->cols);
    rows->places = ri_arena_array(&op->arena, rows->width, sizeof *rows->places);
    if (rows->cols == NULL || rows->places == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t c = 0; c < rows->width; c++) {
        if (!ri_vec_init(&rows->cols[c], &op->arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        rows->places[c] = &rows->cols[c];
    }
    return 0;
}

/* A table for the rows of the Lua array at `index`, which are read later. */
static int begin_rows(const reader *r, int index, uint16_t width, bool is_list, rl_rows **out)
{
    rl_op *op = r->op;
    rl_rows *rows = &op->lists[op->table_count];
    ri_table *table = &op->tables[op->table_count];
    RI_TRY(ri_table_init(table, width, false, r->err));
    op->table_count++;
    ri_table_set_meter(table, &op->meter);
    *rows = (rl_rows){ .input = r->number, .table = table, .width = width, .is_list = is_list };
    rows->count = rl_rawlen(r->L, index);
    *out = rows;
    return make_columns(op, rows, r->err);
}

/* What rille.csv gives has the names of its columns beside its rows. */
static int check_keys(const reader *r, int index, const rl_rows *rows)
{
    size_t count;
    RI_TRY(rl_array(r->L, index, rows->is_list ? NULL : "columns", &count, RILLE_INPUT, r->err));
    return count == rows->count ? 0 : ri_fail(r->err, RILLE_INPUT, "the table was changed while it was being read");
}

/* The same in slices. At `key` is the key up to which they are counted, nil at first: it is moved on. */
static int count_keys(const reader *r, int index, int key, rl_rows *rows)
{
    lua_State *L = r->L;
    lua_pushvalue(L, key);
    if (!lua_isnil(L, key)) { /* else there is no next one */
        lua_pushvalue(L, key);
        lua_rawget(L, index);
        bool is_gone = lua_isnil(L, -1) != 0;
        lua_pop(L, 1);
        if (is_gone) {
            lua_pop(L, 1);
            return ri_fail(r->err, RILLE_INPUT, "the table was changed while it was being read");
        }
    }
    for (unsigned i = 0; i < RL_KEYS_SLICE; i++) {
        if (lua_next(L, index) == 0) {
            RI_TRY(rows->keys == rows->count ? 0 : check_keys(r, index, rows));
            rows->has_keys = true;
            lua_pushnil(L);
            lua_replace(L, key);
            return 0;
        }
        rows->keys++;
        lua_pop(L, 1);
    }
    lua_replace(L, key);
    return RILLE_AGAIN;
}

static int flush_rows(const reader *r, rl_rows *rows)
{
    uint32_t added;
    RI_TRY(rows->filled == 0 ? 0 : ri_table_add(rows->table, rows->places, rows->filled, &added, r->err));
    ri_arena_reset(&r->op->batch_arena);
    rows->filled = 0;
    return 0;
}

/* The next rows of the Lua array at `index`. */
static int read_slice(const reader *r, int index, rl_rows *rows)
{
    lua_State *L = r->L;
    size_t left = rows->count - rows->next;
    size_t end = rows->next + (left < RL_ROWS_SLICE ? left : RL_ROWS_SLICE);
    while (rows->next < end) {
        lua_rawgeti(L, index, (int)(rows->next + 1));
        int rc = read_row(r, lua_gettop(L), rows);
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(r->err, "input %zu (%s), row %zu", r->number, r->name, rows->next + 1);
            return rc;
        }
        rows->next++;
        rows->filled++;
        if (rows->filled == RI_BATCH_ROWS || r->op->batch_arena.total_bytes > CELLS_BYTES_MAX) {
            RI_TRY(flush_rows(r, rows));
        }
    }
    return flush_rows(r, rows);
}

/* One row, given without the outer list. */
static int read_single_row(const reader *r, int index, uint16_t width, ri_table **out)
{
    rl_rows *rows;
    RI_TRY(begin_rows(r, index, width, false, &rows));
    *out = rows->table;
    rows->count = rows->next = 1;
    rows->has_keys = true;
    int rc = read_row(r, index, rows);
    if (rc != 0) {
        ri_err_prefix(r->err, "input %zu (%s), row 1", r->number, r->name);
        return rc;
    }
    rows->filled = 1;
    return flush_rows(r, rows);
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
    rl_rows *rows;
    size_t width = width_of(r->L, index);
    if (width > UINT16_MAX / 2) {
        return ri_fail(r->err, RILLE_INPUT, "input %zu (%s): too many columns: %zu", r->number, r->name, width);
    }
    RI_TRY(begin_rows(r, index, (uint16_t)(width == 0 ? width_if_empty : width), false, &rows));
    *out = rows->table;
    return 0;
}

static int read_list(const reader *r, int index, ri_table **out)
{
    rl_rows *rows;
    RI_TRY(begin_rows(r, index, 1, true, &rows));
    *out = rows->table;
    return 0;
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

static int read_binding(const reader *r, int index, const ri_binding *binding, ri_input *out)
{
    ri_table *table = NULL;
    rl_result *result;
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
        RI_TRY(is_table ? read_list(r, index, &table) : wrong(r, index, "a list of values"));
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

/* ---- all inputs ---- */

static int read_inputs(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count, rille_err *err)
{
    const rille_query *query = op->query;
    RI_TRY(ri_inputs_check_count(query, count, err));
    op->inputs = ri_arena_array(&op->arena, count + 1, sizeof *op->inputs);
    op->tables = ri_arena_array(&op->arena, count + 1, sizeof *op->tables);
    op->lists = ri_arena_array(&op->arena, count + 1, sizeof *op->lists);
    op->results = ri_arena_array(&op->arena, count + 1, sizeof *op->results);
    op->dbs = ri_arena_array(&op->arena, count + 1, sizeof *op->dbs);
    if (op->inputs == NULL || op->tables == NULL || op->lists == NULL || op->results == NULL || op->dbs == NULL) {
        return ri_fail_nomem(err);
    }
    reader r = { .L = L, .state = state, .op = op, .err = err };
    for (size_t i = 0; i < count; i++) {
        r.number = i + 1;
        RI_TRY(read_input(&r, first + (int)i, &query->in[i], &op->inputs[i]));
    }
    op->input_count = count;
    op->list = 0;
    return 0;
}

/* All inputs are read. */
int rl_op_make(rl_op *op, const ri_op_options *options, rille_err *err)
{
    if (op->op != NULL) {
        bool fits = false;
        ri_op_again(op->op, op->query, op->inputs, op->input_count, options, &fits);
        if (fits) {
            return 0;
        }
        ri_op_release(op->op);
        op->op = NULL;
    }
    return ri_op_new(op->query, op->inputs, op->input_count, options, &op->op, err);
}

static bool is_read(const rl_rows *rows)
{
    return rows->has_keys && rows->next == rows->count;
}

int rl_op_read_slice(lua_State *L, const rl_state *state, rl_op *op, int inputs, bool is_table, int key, rille_err *err)
{
    while (op->list < op->table_count && is_read(&op->lists[op->list])) {
        op->list++;
    }
    if (op->list == op->table_count) {
        return 0;
    }
    rl_rows *rows = &op->lists[op->list];
    reader r = { .L = L, .state = state, .op = op, .err = err, .number = rows->input };
    r.name = name_of(op->query, &op->query->in[rows->input - 1]);
    if (is_table) {
        lua_rawgeti(L, inputs, (int)rows->input);
    } else {
        lua_pushvalue(L, inputs + (int)rows->input - 1);
    }
    int index = lua_gettop(L);
    int rc = rows->has_keys ? read_slice(&r, index, rows) : count_keys(&r, index, key, rows);
    lua_pop(L, 1);
    if (rc == RILLE_INPUT && !rows->has_keys) {
        ri_err_prefix(err, "input %zu (%s)", r.number, r.name);
    }
    return rc < 0 ? rc : RILLE_AGAIN;
}

/* slices_max 0: all. RILLE_AGAIN: there are more. */
static int begin(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count, unsigned slices_max,
                 rille_err *err)
{
    RI_TRY(read_inputs(L, state, op, first, count, err));
    lua_pushnil(L);
    int key = lua_gettop(L);
    int rc = RILLE_AGAIN;
    for (unsigned i = 0; rc == RILLE_AGAIN && (i < slices_max || slices_max == 0); i++) {
        rc = rl_op_read_slice(L, state, op, first, false, key, err);
    }
    lua_pop(L, 1);
    return rc;
}

int rl_op_begin(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count, const ri_op_options *options,
                rille_err *err)
{
    RI_TRY(begin(L, state, op, first, count, 0, err));
    return rl_op_make(op, options, err);
}

#define START_SLICES 8U

int rl_op_begin_part(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count,
                     const ri_op_options *options, rille_err *err)
{
    RI_TRY(begin(L, state, op, first, count, options->interrupt != NULL ? 1 : START_SLICES, err));
    return rl_op_make(op, options, err);
}
