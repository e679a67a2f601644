/* SPDX-License-Identifier: MIT
 *
 * The public C functions of rille.h, each a thin coat over what the layers offer.
 */
#include "rille/rille.h"

#include "../db/conn.h"
#include "query.h"

#include <string.h>

struct rille_result {
    ri_table table;
};

const char *rille_version(void)
{
    return RILLE_VERSION;
}

/* ---- values ---- */

rille_value rille_long(int64_t i)
{
    return (rille_value){ { .i = i }, 0, RILLE_TYPE_LONG };
}

rille_value rille_double(double d)
{
    return (rille_value){ { .d = d }, 0, RILLE_TYPE_DOUBLE };
}

rille_value rille_string(const char *text)
{
    return (rille_value){ { .bytes = text }, strlen(text), RILLE_TYPE_STRING };
}

rille_value rille_keyword(const char *text_without_colon)
{
    return (rille_value){ { .bytes = text_without_colon }, strlen(text_without_colon), RILLE_TYPE_KEYWORD };
}

/* A value from outside, checked. */
static int value_in(const rille_value *in, ri_value *out, rille_err *err)
{
    if (in->len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "value is too long: %zu bytes (the maximum is %u)", in->len,
                       RI_VALUE_BYTES_MAX);
    }
    if (ri_type_is_word((uint8_t)in->type)) {
        *out = ri_word((ri_type)in->type, (uint64_t)in->u.i);
        if (in->type == RILLE_TYPE_DOUBLE) {
            out->as.d = in->u.d == 0 ? 0.0 : in->u.d;
        }
    } else {
        *out = ri_bytes_value((ri_type)in->type, in->u.bytes, in->len);
    }
    return ri_value_valid(out) ? 0 : ri_fail(err, RILLE_TYPE, "value is not a valid %s", ri_type_name(out->type));
}

static rille_value value_out(const ri_value *v)
{
    rille_value out = { { .i = v->as.i }, v->len, (rille_type)v->type };
    if (v->type == RI_DOUBLE) {
        out.u.d = v->as.d;
    } else if (!ri_type_is_word(v->type)) {
        out.u.bytes = v->as.p;
    }
    return out;
}

/* ---- connections ---- */

int rille_connect(const char *url, const rille_options *options, rille_conn **out, rille_err *err)
{
    ri_conn_options inner = { 0 };
    if (options != NULL) {
        inner.branch = options->branch;
        inner.cache_bytes = options->cache_bytes;
        inner.create = options->create;
        inner.must_create = options->must_create;
        inner.no_history = options->no_history;
        inner.read_flexible = options->read_flexible;
        inner.durability = options->not_durable ? RI_DURABLE_NONE : RI_DURABLE_COMMIT;
    }
    return ri_conn_open(url, &inner, out, err);
}

void rille_close(rille_conn *conn)
{
    ri_conn_release(conn);
}

int rille_drop(const char *url, rille_err *err)
{
    return ri_database_drop(url, err);
}

int rille_transact(rille_conn *conn, const char *edn, size_t len, rille_commit *out, rille_err *err)
{
    ri_report report;
    if (out != NULL) {
        *out = (rille_commit){ 0 };
    }
    RI_TRY(ri_conn_transact_edn(conn, edn, len, &report, err));
    if (out != NULL) {
        const ri_block *block = report.tx.block;
        *out = (rille_commit){ .tx = block->t, .instant_ms = block->instant, .datom_count = block->count };
        memcpy(out->id, block->commit, sizeof out->id);
    }
    ri_report_deinit(&report);
    return 0;
}

/* ---- database values ---- */

int rille_conn_db(rille_conn *conn, rille_db **out, rille_err *err)
{
    return ri_conn_db(conn, out, err);
}

rille_db *rille_db_retain(rille_db *db)
{
    return ri_db_retain(db);
}

void rille_db_release(rille_db *db)
{
    ri_db_release(db);
}

int rille_db_as_of(rille_db *db, uint64_t tx, rille_db **out, rille_err *err)
{
    return ri_db_as_of_t(db, tx, out, err);
}

int rille_db_as_of_instant(rille_db *db, int64_t instant_ms, rille_db **out, rille_err *err)
{
    return ri_db_as_of_instant(db, instant_ms, out, err);
}

int rille_db_with(rille_db *db, const char *edn, size_t len, rille_db **out, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx = NULL;
    ri_report report = { 0 };
    *out = NULL;
    int rc = ri_edn_read(&arena, edn, len, &form, err);
    if (rc == 0) {
        rc = ri_tx_new(db, &tx, err);
    }
    if (rc == 0) {
        rc = ri_tx_fill_edn(tx, &form, err);
    }
    if (rc == 0) {
        rc = ri_db_with(tx, &report, err);
    }
    if (rc == 0) {
        *out = ri_db_retain(report.after);
        ri_report_deinit(&report);
    }
    ri_tx_release(tx);
    ri_arena_deinit(&arena);
    return rc;
}

uint64_t rille_db_tx(const rille_db *db)
{
    return db->t;
}

int64_t rille_db_instant(const rille_db *db)
{
    return db->instant;
}

int rille_db_lookup(rille_db *db, const char *attribute, const rille_value *value, uint64_t *e, rille_err *err)
{
    const ri_attr *attr = ri_schema_attr(db->schema, attribute, strlen(attribute));
    ri_value given;
    ri_value v;
    ri_arena arena = { 0 };
    ri_io io = { 0 };
    *e = 0;
    if (attr == NULL) {
        return ri_schema_unknown(db->schema, NULL, attribute, strlen(attribute), err);
    }
    if (attr->unique == RI_UNIQUE_NO) {
        return ri_fail(err, RILLE_MISUSE,
                       "attribute :%s is not unique: rille_db_lookup needs a unique attribute; use a query instead",
                       attribute);
    }
    int rc = value_in(value, &given, err);
    if (rc == 0) {
        rc = ri_attr_convert(attr, &given, true, &arena, &v, err);
    }
    while (rc == 0 && (rc = ri_db_lookup(db, attr, &v, &io, e, err)) == RILLE_NEED) {
        rc = ri_io_fetch(&io, err);
    }
    ri_io_deinit(&io);
    ri_arena_deinit(&arena);
    return rc;
}

/* ---- queries ---- */

int rille_prepare(const char *text, size_t len, rille_query **out, rille_err *err)
{
    return ri_query_parse(text, len, out, err);
}

void rille_query_close(rille_query *query)
{
    ri_query_release(query);
}

/* The engine's form of the inputs; tables and rules live in what is passed. */
typedef struct inputs {
    ri_input *items;
    ri_table *tables;
    ri_form *rules;
    size_t count;
    size_t table_count;
    ri_arena arena;
} inputs;

static void inputs_deinit(inputs *in)
{
    for (size_t i = 0; i < in->table_count; i++) {
        ri_table_deinit(&in->tables[i]);
    }
    ri_arena_deinit(&in->arena);
}

static int input_values(inputs *in, const rille_input *from, ri_input *to, rille_err *err)
{
    ri_table *table = &in->tables[in->table_count];
    RI_TRY(ri_table_init(table, 1, false, err));
    in->table_count++;
    for (size_t i = 0; i < from->value_count; i++) {
        ri_value v;
        bool added;
        RI_TRY(value_in(&from->values[i], &v, err));
        RI_TRY(ri_table_add_row(table, &v, &added, err));
    }
    *to = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
    return 0;
}

static int inputs_init(inputs *in, const rille_input *from, size_t count, rille_err *err)
{
    in->items = ri_arena_array(&in->arena, count, sizeof *in->items);
    in->tables = ri_arena_array(&in->arena, count, sizeof *in->tables);
    in->rules = ri_arena_array(&in->arena, count, sizeof *in->rules);
    if (in->items == NULL || in->tables == NULL || in->rules == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (from[i].db != NULL) {
            in->items[i] = (ri_input){ .kind = RI_INPUT_DB, .db = from[i].db };
        } else if (from[i].rules != NULL) {
            RI_TRY(ri_edn_read(&in->arena, from[i].rules, from[i].rules_len, &in->rules[i], err));
            in->items[i] = (ri_input){ .kind = RI_INPUT_RULES, .rules = &in->rules[i] };
        } else {
            RI_TRY(input_values(in, &from[i], &in->items[i], err));
        }
        in->count++;
    }
    return 0;
}

int rille_run(rille_query *query, const rille_input *from, size_t input_count, rille_result **out, rille_err *err)
{
    *out = NULL;
    ri_op_options options = { .limit = -1, .offset = -1 };
    inputs in = { 0 };
    rille_result *result = ri_alloc_zero(sizeof *result);
    int rc = result == NULL ? ri_fail_nomem(err) : inputs_init(&in, from, input_count, err);
    if (rc == 0) {
        rc = ri_query_run(query, in.items, in.count, &options, &result->table, err);
    }
    inputs_deinit(&in);
    if (rc != 0) {
        ri_free(result);
        return rc;
    }
    *out = result;
    return 0;
}

/* ---- stepping ---- */

struct rille_steps {
    rille_op *op;
    inputs in;
    size_t column_count;
};

int rille_start(rille_query *query, const rille_input *from, size_t input_count, rille_steps **out, rille_err *err)
{
    *out = NULL;
    ri_op_options options = { .limit = -1, .offset = -1 };
    rille_steps *steps = ri_alloc_zero(sizeof *steps);
    if (steps == NULL) {
        return ri_fail_nomem(err);
    }
    steps->column_count = query->find_count;
    int rc = inputs_init(&steps->in, from, input_count, err);
    if (rc == 0) {
        rc = ri_op_new(query, steps->in.items, steps->in.count, &options, &steps->op, err);
    }
    if (rc != 0) {
        rille_steps_close(steps);
        return rc;
    }
    *out = steps;
    return 0;
}

int rille_step(rille_steps *steps, uint64_t budget_us, rille_err *err)
{
    int rc = ri_op_step(steps->op, budget_us, err);
    return rc != RILLE_CALL
               ? rc
               : ri_fail(err, RILLE_QUERY,
                         "the query calls a function that is not built in, and the C API cannot register one");
}

int rille_fetch(rille_steps *steps, rille_err *err)
{
    return ri_io_fetch(ri_op_io(steps->op), err);
}

size_t rille_steps_rows(const rille_steps *steps)
{
    uint32_t count = 0;
    return ri_op_rows(steps->op, &count) == NULL ? 0 : count;
}

rille_value rille_steps_get(const rille_steps *steps, size_t row, size_t column)
{
    uint32_t count = 0;
    const ri_vec *cols = ri_op_rows(steps->op, &count);
    RI_ASSERT(cols != NULL && row < count && column < steps->column_count);
    ri_value v = ri_vec_get(&cols[column], (uint32_t)row);
    return value_out(&v);
}

void rille_steps_close(rille_steps *steps)
{
    if (steps != NULL) {
        ri_op_release(steps->op);
        inputs_deinit(&steps->in);
        ri_free(steps);
    }
}

/* ---- results ---- */

size_t rille_result_rows(const rille_result *result)
{
    return result->table.count;
}

size_t rille_result_columns(const rille_result *result)
{
    return result->table.col_count;
}

rille_value rille_result_get(const rille_result *result, size_t row, size_t column)
{
    RI_ASSERT(row < result->table.count && column < result->table.col_count);
    ri_value v = ri_vec_get(&result->table.cols[column], (uint32_t)row);
    return value_out(&v);
}

void rille_result_close(rille_result *result)
{
    if (result != NULL) {
        ri_table_deinit(&result->table);
        ri_free(result);
    }
}
