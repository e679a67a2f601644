/* SPDX-License-Identifier: MIT
 *
 * The inputs of :in: checked, and turned into sources, constants and the first stage of the chain.
 *
 * An input of one row fixes its variables: they become constants (X3). What is left, relations and lists, is crossed
 * into one relation by counting through the rows of all tables like an odometer, the first table fastest.
 */
#include "types.h"

#include <stdio.h>

#define COLUMNS_AGAIN_MAX 16U /* inputs with more columns are planned for again */

static const char *input_name(ri_input_kind kind)
{
    switch (kind) {
    case RI_INPUT_DB:
        return "a database";
    case RI_INPUT_TABLE:
        return "a value or rows";
    case RI_INPUT_VALUE:
        return "a value";
    case RI_INPUT_RULES:
        return "rules";
    }
    return "nothing";
}

/* As it is in :in: $, %, ?x. */
static const char *in_name(const rille_query *query, const ri_in *in)
{
    if (in->kind != RI_IN_BINDING) {
        return in->kind == RI_IN_RULES ? "%" : query->source_names[in->source];
    }
    bool named = in->binding.var_count > 0 && in->binding.vars[0] != RI_NO_VAR;
    return named ? query->var_names[in->binding.vars[0]] : "_";
}

static int wrong(const rille_op *op, size_t at, const char *expected, const ri_input *input, rille_err *err)
{
    const char *name = in_name(op->query, &op->query->in[at]);
    return ri_fail(err, RILLE_INPUT, "input %zu (%s of :in): expected %s, got %s", at + 1, name, expected,
                   input_name(input->kind));
}

/* ---- variables ---- */

static bool has_names(const ri_column *col, uint32_t rows)
{
    for (uint32_t i = 0; i < rows && !ri_type_is_word(col->type); i++) {
        ri_value v = ri_column_get(col, i);
        if (ri_may_name(&v)) {
            return true;
        }
    }
    return false;
}

static void fix(rille_op *op, ri_var var, ri_value v)
{
    op->fixed[var] = v;
    op->fixed_types[var] = v.type;
    ri_varset_add(&op->scope.is_fixed, var);
}

static int bind_table(rille_op *op, size_t at, const ri_input *input, rille_err *err)
{
    const ri_in *in = &op->query->in[at];
    if (input->kind == RI_INPUT_VALUE && in->binding.kind == RI_BIND_SCALAR) {
        if (in->binding.vars[0] != RI_NO_VAR) {
            fix(op, in->binding.vars[0], input->value);
        }
        return 0;
    }
    const ri_table *table = input->table;
    if (input->kind != RI_INPUT_TABLE || table == NULL) {
        return wrong(op, at, "a value or rows", input, err);
    }
    bool one_row = in->binding.kind == RI_BIND_SCALAR || in->binding.kind == RI_BIND_TUPLE;
    if (one_row && table->count != 1) {
        return ri_fail(err, RILLE_INPUT, "input %zu (%s of :in): expected %s, got %u rows", at + 1,
                       in_name(op->query, in), in->binding.kind == RI_BIND_SCALAR ? "one value" : "one row",
                       table->count);
    }
    if (in->binding.kind == RI_BIND_TUPLE && table->col_count != in->binding.var_count) {
        return ri_fail(err, RILLE_INPUT, "input %zu (%s of :in): expected a row of %u values, got one of %u", at + 1,
                       in_name(op->query, in), in->binding.var_count, table->col_count);
    }
    if (table->count > 0 && table->col_count < in->binding.var_count) {
        return ri_fail(err, RILLE_INPUT, "input %zu (%s of :in): expected rows of at least %u values, got rows of %u",
                       at + 1, in_name(op->query, in), in->binding.var_count, table->col_count);
    }
    op->empty = op->empty || table->count == 0; /* then its variables are columns without rows */
    bool wild = table->col_count > in->binding.var_count;
    for (uint16_t c = 0; c < in->binding.var_count; c++) {
        ri_var var = in->binding.vars[c];
        wild = wild || var == RI_NO_VAR;
        if (var == RI_NO_VAR) {
            continue;
        }
        if (table->count == 1) {
            fix(op, var, ri_column_get(&table->cols[c], 0));
        } else {
            op->in_cols[op->in_col_count++] = (ri_in_column){ table, c, var, (uint16_t)at, 0 };
            if (table->count > 0 && has_names(&table->cols[c], table->count)) {
                ri_varset_add(&op->scope.named, var);
            }
        }
    }
    if (table->count > 1) {
        op->in_rows *= table->count;
        op->in_distinct = op->in_distinct && table->is_set && !wild;
    }
    return 0;
}

/* ---- all inputs ---- */

static int bind_rules(rille_op *op, size_t at, const ri_input *input, rille_err *err)
{
    if (input->kind != RI_INPUT_RULES || input->rules == NULL) {
        return wrong(op, at, "rules", input, err);
    }
    ri_text text = input->rules_text;
    if (text.p != NULL) {
        text.p = ri_arena_text(&op->arena, text.p, text.len);
        if (text.p == NULL) {
            return ri_fail_nomem(err);
        }
    }
    RI_TRY(ri_rules_parse_form(input->rules, text, op->query, &op->arena, &op->rules, err));
    return ri_bind_calls(op->query, &op->rules, err);
}

static int bind_source(rille_op *op, size_t at, const ri_input *input, rille_err *err)
{
    uint16_t source = op->query->in[at].source;
    if (input->kind == RI_INPUT_DB && input->db != NULL) {
        op->sources[source].db = ri_db_retain(input->db);
        return 0;
    }
    if (input->kind == RI_INPUT_TABLE && input->table != NULL) {
        op->sources[source].table = input->table;
        return 0;
    }
    return wrong(op, at, "a database or rows", input, err);
}

static int bind_one(rille_op *op, size_t at, const ri_input *input, rille_err *err)
{
    switch ((ri_in_kind)op->query->in[at].kind) {
    case RI_IN_SOURCE:
        return bind_source(op, at, input, err);
    case RI_IN_RULES:
        return bind_rules(op, at, input, err);
    case RI_IN_BINDING:
        return bind_table(op, at, input, err);
    }
    return 0;
}

/* A database that has the long values of all, or NULL. */
static const rille_db *common_db(const rille_op *op)
{
    const rille_db *common = NULL;
    for (uint16_t i = 0; i < op->source_count; i++) {
        const rille_db *db = op->sources[i].db;
        if (db == NULL || db == common) {
            continue;
        }
        if (common != NULL && (common->store != db->store || common->speculative || db->speculative)) {
            return NULL;
        }
        common = db;
    }
    return common;
}

static size_t binding_columns(const rille_query *query)
{
    size_t sum = 0;
    for (uint16_t i = 0; i < query->in_count; i++) {
        sum += query->in[i].binding.var_count;
    }
    return sum;
}

int ri_inputs_check_count(const rille_query *query, size_t count, rille_err *err)
{
    if (count == query->in_count) {
        return 0;
    }
    char names[64];
    char given[32];
    ri_query_show_inputs(query, names, sizeof names);
    (void)snprintf(given, sizeof given, "%zu", count);
    return ri_fail(err, RILLE_INPUT, "the query takes %u input%s (%s), but %s %s given", (unsigned)query->in_count,
                   query->in_count == 1 ? "" : "s", query->in_count == 0 ? ":in is empty" : names,
                   count == 0 ? "none" : given, count < 2 ? "was" : "were");
}

static int bind_all(rille_op *op, const ri_input *inputs, size_t count, rille_err *err)
{
    op->in_rows = 1;
    op->in_distinct = true;
    op->empty = false;
    for (size_t i = 0; i < count; i++) {
        RI_TRY(bind_one(op, i, &inputs[i], err));
    }
    op->blob_db = common_db(op);
    return 0;
}

int ri_inputs_bind(rille_op *op, const ri_input *inputs, size_t count, rille_err *err)
{
    const rille_query *query = op->query;
    RI_TRY(ri_inputs_check_count(query, count, err));
    op->source_count = query->source_count;
    op->sources = ri_arena_array(&op->arena, query->source_count + 1U, sizeof *op->sources);
    op->in_cols = ri_arena_array(&op->arena, binding_columns(query) + 1U, sizeof *op->in_cols);
    op->fixed = ri_arena_array(&op->arena, query->var_count + 1U, sizeof *op->fixed);
    op->fixed_types = ri_arena_array(&op->arena, query->var_count + 1U, sizeof *op->fixed_types);
    if (op->sources == NULL || op->in_cols == NULL || op->fixed == NULL || op->fixed_types == NULL) {
        op->source_count = 0;
        return ri_fail_nomem(err);
    }
    memset(op->sources, 0, (query->source_count + 1U) * sizeof *op->sources);
    op->scope.fixed = op->fixed;
    return bind_all(op, inputs, count, err);
}

/* Is it the same kind of columns, and of constants? `before` and `fixed_types` are of the last run. */
static bool alike(const rille_op *op, const uint8_t *fixed_types, const ri_in_column *before, uint16_t before_count)
{
    bool same = op->in_col_count == before_count;
    for (ri_var var = 0; same && var < op->scope.var_count; var++) {
        same = !ri_varset_has(&op->scope.is_fixed, var) || op->fixed_types[var] == fixed_types[var];
    }
    for (uint16_t i = 0; same && i < before_count; i++) {
        const ri_in_column *col = &op->in_cols[i];
        same = col->var == before[i].var && col->input == before[i].input && col->col == before[i].col &&
               ri_column_types(col->table, col->col) == before[i].types;
    }
    return same;
}

bool ri_inputs_bind_again(rille_op *op, const ri_input *inputs, size_t count)
{
    uint8_t fixed_types[RI_QUERY_VARS_MAX];
    ri_in_column before[COLUMNS_AGAIN_MAX];
    ri_varset is_fixed = op->scope.is_fixed;
    ri_varset named = op->scope.named;
    uint16_t before_count = op->in_col_count;
    bool distinct = op->in_distinct;
    if (count != op->query->in_count || before_count > COLUMNS_AGAIN_MAX) {
        return false;
    }
    memcpy(fixed_types, op->fixed_types, op->scope.var_count);
    memcpy(before, op->in_cols, before_count * sizeof *before);
    op->scope.is_fixed = op->scope.named = (ri_varset){ { 0 } };
    op->in_col_count = 0;
    if (bind_all(op, inputs, count, NULL) != 0 || distinct != op->in_distinct ||
        memcmp(&is_fixed, &op->scope.is_fixed, sizeof is_fixed) != 0 ||
        memcmp(&named, &op->scope.named, sizeof named) != 0 || !alike(op, fixed_types, before, before_count)) {
        return false;
    }
    for (uint16_t i = 0; i < before_count; i++) {
        op->in_cols[i].types = before[i].types;
    }
    return true;
}

/* ---- the first stage ---- */

typedef struct input_stage {
    ri_stage stage;
    uint64_t at; /* next row of the product */
    uint64_t total;
    uint32_t *rows;
} input_stage;

/* How many rows of the product share one row of the input of in_cols[at]. */
static uint64_t stride_of(const rille_op *op, uint16_t at)
{
    uint64_t stride = 1;
    for (uint16_t i = 0; i < op->in_col_count && op->in_cols[i].input != op->in_cols[at].input; i++) {
        if (i == 0 || op->in_cols[i].input != op->in_cols[i - 1].input) {
            stride *= op->in_cols[i].table->count;
        }
    }
    return stride;
}

static int input_columns(input_stage *self, uint32_t n, rille_err *err)
{
    const rille_op *op = self->stage.op;
    for (uint16_t i = 0; i < op->in_col_count; i++) {
        const ri_in_column *col = &op->in_cols[i];
        ri_vec *buf = ri_stage_buf(&self->stage, col->var);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        uint64_t stride = stride_of(op, i);
        for (uint32_t r = 0; r < n; r++) {
            self->rows[r] = (uint32_t)((self->at + r) / stride % col->table->count);
        }
        ri_column_gather(&col->table->cols[col->col], self->rows, n, buf);
        self->stage.out.cols[col->var] = *buf;
    }
    return 0;
}

static int input_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    input_stage *self = (input_stage *)stage;
    if (self->at >= self->total) {
        return RILLE_DONE;
    }
    uint64_t left = self->total - self->at;
    uint32_t n = left < RI_BATCH_ROWS ? (uint32_t)left : RI_BATCH_ROWS;
    RI_TRY(input_columns(self, n, err));
    stage->out.count = n;
    stage->rows += n;
    self->at += n;
    stage->out.last = self->at == self->total;
    *out = &stage->out;
    return 0;
}

static void input_renew(ri_stage *stage)
{
    input_stage *self = (input_stage *)stage;
    const rille_op *op = stage->op;
    self->at = 0;
    self->total = op->empty ? 0 : 1;
    for (uint16_t i = 0; i < op->in_col_count && !op->empty; i++) {
        if (i > 0 && op->in_cols[i].input == op->in_cols[i - 1].input) {
            continue;
        }
        uint32_t count = op->in_cols[i].table->count;
        self->total = self->total > UINT64_MAX / count ? UINT64_MAX : self->total * count; /* nobody lives to see it */
    }
}

ri_stage *ri_input_stage_new(rille_op *op)
{
    uint32_t *rows = ri_arena_array(&op->plan_arena, RI_BATCH_ROWS, sizeof *rows);
    input_stage *self = rows != NULL ? ri_stage_new(op, &op->scope, sizeof *self, NULL, "inputs") : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->rows = rows;
    input_renew(&self->stage);
    self->stage.work = input_work;
    self->stage.renew = input_renew;
    self->stage.est_rows = op->in_rows;
    return &self->stage;
}
