/* SPDX-License-Identifier: MIT
 *
 * The public C functions of rille.h, each a thin coat over what the layers offer.
 *
 * This is the edge to programs in C: whatever they pass is checked here, and never reaches an assertion. A pointer that
 * is NULL, an index out of range or a length that cannot be one is a code, or nil where a function has no code to give.
 */
#include "api_own.h"

#include <string.h>

static const rille_value nil_value = { { .i = 0 }, 0, RILLE_TYPE_NIL };

struct rille_result {
    ri_table table;
};

/* EDN text from outside. A negative length that was cast is a large one: nothing of it is read. */
int ri_api_check_text(const char *function, const char *what, const char *text, size_t len, rille_err *err)
{
    if (text == NULL) {
        return ri_fail(err, RILLE_MISUSE, "%s: %s is NULL", function, what);
    }
    if (len > PTRDIFF_MAX || (uint64_t)len >= RI_EDN_TEXT_MAX) {
        return ri_fail(err, RILLE_LIMIT, "%s: %s is too long: %zu bytes (the maximum is %llu)", function, what, len,
                       (unsigned long long)RI_EDN_TEXT_MAX - 1);
    }
    return 0;
}

/* A value from outside, checked. */
int ri_api_value_in(const rille_value *in, ri_value *out, rille_err *err)
{
    unsigned type = (unsigned)in->type;
    if (type >= RI_TYPE_COUNT || ri_type_is_stub((uint8_t)type)) {
        return ri_fail(err, RILLE_TYPE, "%u is not a rille_type", type);
    }
    if (type == RI_NIL) {
        return ri_fail(err, RILLE_TYPE, "nil is not a value");
    }
    if (ri_type_is_word((uint8_t)type)) {
        *out = ri_word((ri_type)type, (uint64_t)in->u.i);
        if (type == RI_DOUBLE) {
            out->as.d = in->u.d == 0 ? 0.0 : in->u.d;
        }
    } else if (in->len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "%s is too long: %zu bytes (the maximum is %u)", ri_type_name((uint8_t)type),
                       in->len, RI_VALUE_BYTES_MAX);
    } else {
        *out = ri_bytes_value((ri_type)type, in->u.bytes, in->len);
    }
    return ri_value_valid(out) ? 0 : ri_fail(err, RILLE_TYPE, "value is not a valid %s", ri_type_name(out->type));
}

rille_value ri_api_value_out(const ri_value *v)
{
    rille_value out = { { .i = v->as.i }, v->len, (rille_type)v->type };
    if (v->type == RI_DOUBLE) {
        out.u.d = v->as.d;
    } else if (!ri_type_is_word(v->type)) {
        out.u.bytes = v->as.p;
    }
    return out;
}

int ri_api_key(const ri_attr *attr, const rille_value *value, ri_arena *arena, ri_value *out, rille_err *err)
{
    ri_value given;
    RI_TRY(ri_api_value_in(value, &given, err));
    RI_TRY(ri_attr_convert(attr, &given, true, arena, out, err));
    return ri_value_shorten(arena, out, err);
}

/* ---- connections ---- */

ri_conn_options ri_api_options(const rille_options *options)
{
    ri_conn_options inner = { 0 };
    if (options != NULL) {
        inner.branch = options->branch;
        inner.cache_bytes = options->cache_bytes;
        inner.settings = options->settings;
        inner.setting_count = options->setting_count;
        inner.create = options->create;
        inner.must_create = options->must_create;
        inner.no_history = options->no_history;
        inner.read_flexible = options->read_flexible;
        inner.durability = options->not_durable ? RI_DURABLE_NONE : RI_DURABLE_COMMIT;
        inner.flush = options->manual_flush ? RI_FLUSH_MANUAL : RI_FLUSH_AUTO;
        inner.tier = options->cache;
        inner.tier_bytes_max = options->cache_max_bytes;
        inner.max_staleness_ms = options->max_staleness_ms;
    }
    return inner;
}

static int with_remedy(int rc, rille_err *err)
{
    if (rc == RILLE_NOTFOUND) {
        ri_err_append(err, "; set create in rille_options to create it");
    }
    return rc;
}

int rille_connect(const char *url, const rille_options *options, rille_conn **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(url, "the URL");
    RI_TRY(ri_api_check_options(__func__, options, err));
    ri_conn_options inner = ri_api_options(options);
    return with_remedy(ri_conn_open(url, &inner, out, err), err);
}

int ri_api_check_backend(const char *function, const rille_backend *backend, rille_err *err)
{
    return backend != NULL && backend->ops != NULL && ri_backend_is_whole(backend)
               ? 0
               : ri_fail(err, RILLE_MISUSE,
                         "%s: the backend, or a function that it must have (get_many, put_many, head_read, head_swap, "
                         "close), is NULL",
                         function);
}

int rille_connect_backend(const rille_backend *backend, const char *name, const rille_options *options,
                          rille_conn **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    RI_TRY(ri_api_check_backend(__func__, backend, err));
    ri_conn_options inner = ri_api_options(options);
    rille_backend known = *backend;
    known.capabilities &= RI_BACKEND_CAPABILITIES;
    return with_remedy(ri_conn_open_backend(&known, name != NULL ? name : "backend", &inner, out, err), err);
}

void rille_close(rille_conn *conn)
{
    ri_conn_release(conn);
}

int rille_drop(const char *url, rille_err *err)
{
    NEED_GIVEN(url, "the URL");
    return ri_database_drop(url, err);
}

int rille_drop_with(const char *url, const rille_setting *settings, size_t count, rille_err *err)
{
    NEED_GIVEN(url, "the URL");
    RI_TRY(ri_api_check_settings(__func__, settings, count, err));
    return ri_database_drop_with(url, settings, count, err);
}

void ri_api_commit(const ri_block *block, rille_commit *out)
{
    *out = (rille_commit){ .tx = block->t, .instant_ms = block->instant, .datom_count = block->count };
    memcpy(out->id, block->commit, sizeof out->id);
}

int rille_transact(rille_conn *conn, const char *edn, size_t len, rille_commit *out, rille_err *err)
{
    ri_report report;
    if (out != NULL) {
        *out = (rille_commit){ 0 };
    }
    NEED_GIVEN(conn, "the connection");
    RI_TRY(ri_api_check_text(__func__, "the text", edn, len, err));
    RI_TRY(ri_conn_transact_edn(conn, edn, len, &report, err));
    if (out != NULL) {
        ri_api_commit(report.tx.block, out);
    }
    ri_report_deinit(&report);
    return 0;
}

int rille_flush(rille_conn *conn, rille_err *err)
{
    NEED_GIVEN(conn, "the connection");
    return ri_conn_flush(conn, err);
}

/* ---- database values ---- */

int rille_conn_db(rille_conn *conn, rille_db **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(conn, "the connection");
    return ri_conn_db(conn, out, err);
}

rille_db *rille_db_retain(rille_db *db)
{
    return db != NULL ? ri_db_retain(db) : NULL;
}

void rille_db_release(rille_db *db)
{
    ri_db_release(db);
}

int rille_db_as_of(rille_db *db, uint64_t tx, rille_db **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    return ri_db_as_of_t(db, tx, out, err);
}

int rille_db_as_of_instant(rille_db *db, int64_t instant_ms, rille_db **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    return ri_db_as_of_instant(db, instant_ms, out, err);
}

static int with_edn(rille_db *db, const char *edn, size_t len, rille_db **out, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx = NULL;
    ri_report report = { 0 };
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

int rille_db_with(rille_db *db, const char *edn, size_t len, rille_db **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    RI_TRY(ri_api_check_text(__func__, "the text", edn, len, err));
    return with_edn(db, edn, len, out, err);
}

uint64_t rille_db_tx(const rille_db *db)
{
    return db != NULL ? db->t : 0;
}

int64_t rille_db_instant(const rille_db *db)
{
    return db != NULL ? db->instant : 0;
}

int rille_db_lookup(rille_db *db, const char *attribute, const rille_value *value, uint64_t *e, rille_err *err)
{
    const ri_attr *attr;
    ri_value v;
    ri_arena arena = { 0 };
    ri_io io = { 0 };
    NEED_GIVEN(e, "e");
    *e = 0;
    NEED_GIVEN(db, "the database");
    NEED_GIVEN(attribute, "the attribute");
    NEED_GIVEN(value, "the value");
    int rc = ri_api_unique(db, __func__, attribute, value, &arena, &attr, &v, err);
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
    NEED_GIVEN(out, "out");
    *out = NULL;
    RI_TRY(ri_api_check_text(__func__, "the text", text, len, err));
    return ri_query_parse(text, len, out, err);
}

void rille_query_close(rille_query *query)
{
    ri_query_release(query);
}

#define INPUT_VALUES_MAX (1U << 31) /* as many as a table has rows */

typedef ri_api_inputs inputs;

/* Forgets all, but keeps some memory. */
static void inputs_reset(inputs *in)
{
    for (size_t i = 0; i < in->table_count; i++) {
        ri_table_deinit(&in->tables[i]);
    }
    in->table_count = 0;
    in->count = 0;
    ri_arena_reset(&in->arena);
}

/* The n-th input cannot be what :in has there. */
static int wrong_input(const rille_query *query, size_t at, const rille_input *from, const char *expected,
                       rille_err *err)
{
    const ri_in *in = &query->in[at];
    const char *name = in->kind == RI_IN_SOURCE ? query->source_names[in->source] : in->kind == RI_IN_RULES ? "%" : "";
    return ri_fail(err, RILLE_INPUT, "input %zu (%s%sof :in): expected %s, got %s", at + 1, name,
                   name[0] == '\0' ? "" : " ", expected,
                   from->db != NULL       ? "a database"
                   : from->rules != NULL  ? "rules"
                   : from->values != NULL ? "a list of values"
                                          : "an input with no field set");
}

/* Rows of as many values as the binding has places: one value for ?x and [?x ...]. */
static int input_values(inputs *in, const rille_query *query, size_t at, const rille_input *from, rille_err *err)
{
    const ri_binding *binding = &query->in[at].binding;
    bool is_row = binding->kind == RI_BIND_TUPLE || binding->kind == RI_BIND_RELATION;
    uint16_t columns = is_row && binding->var_count > 0 ? binding->var_count : 1;
    ri_table *table = &in->tables[in->table_count];
    if (from->values == NULL && from->value_count > 0) {
        return ri_fail(err, RILLE_MISUSE, "input %zu: values is NULL, but value_count is %zu", at + 1,
                       from->value_count);
    }
    if (from->value_count > INPUT_VALUES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "input %zu has %zu values; the maximum is %u", at + 1, from->value_count,
                       INPUT_VALUES_MAX);
    }
    if (columns > RI_QUERY_VARS_MAX) {
        return ri_fail(err, RILLE_LIMIT, "input %zu has rows of %u values; the maximum is %u", at + 1,
                       (unsigned)columns, RI_QUERY_VARS_MAX);
    }
    if (from->value_count % columns != 0) {
        return ri_fail(err, RILLE_INPUT, "input %zu has %zu values; expected %u for each row", at + 1,
                       from->value_count, (unsigned)columns);
    }
    RI_TRY(ri_table_init(table, columns, false, err));
    in->table_count++;
    for (size_t i = 0; i < from->value_count; i += columns) {
        ri_value row[RI_QUERY_VARS_MAX];
        bool added;
        for (uint16_t c = 0; c < columns; c++) {
            int rc = ri_api_value_in(&from->values[i + c], &row[c], err);
            if (rc != 0) {
                ri_err_prefix(err, "input %zu, value %zu", at + 1, i + c + 1);
                return rc;
            }
        }
        RI_TRY(ri_table_add_row(table, row, &added, err));
    }
    in->items[at] = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
    return 0;
}

static int input_rules(inputs *in, size_t at, const rille_input *from, rille_err *err)
{
    RI_TRY(ri_api_check_text("rules", "the text", from->rules, from->rules_len, err));
    RI_TRY(ri_edn_read(&in->arena, from->rules, from->rules_len, &in->rules[at], err));
    in->items[at] =
        (ri_input){ .kind = RI_INPUT_RULES, .rules = &in->rules[at], .rules_text = { from->rules, from->rules_len } };
    return 0;
}

/* One value for ?x. */
static int input_value(inputs *in, size_t at, const rille_value *from, rille_err *err)
{
    ri_value v;
    int rc = ri_api_value_in(from, &v, err);
    if (rc != 0) {
        ri_err_prefix(err, "input %zu, value 1", at + 1);
        return rc;
    }
    in->items[at] = (ri_input){ .kind = RI_INPUT_VALUE };
    return ri_value_copy(&in->arena, &v, &in->items[at].value) ? 0 : ri_fail_nomem(err);
}

static int input_one(inputs *in, const rille_query *query, size_t at, const rille_input *from, rille_err *err)
{
    if ((from->db != NULL) + (from->values != NULL) + (from->rules != NULL) > 1) {
        return ri_fail(err, RILLE_MISUSE, "input %zu: set only one of db, values and rules", at + 1);
    }
    switch ((ri_in_kind)query->in[at].kind) {
    case RI_IN_SOURCE:
        if (from->db == NULL) {
            return wrong_input(query, at, from, "a database", err);
        }
        in->items[at] = (ri_input){ .kind = RI_INPUT_DB, .db = from->db };
        return 0;
    case RI_IN_RULES:
        return from->rules == NULL ? wrong_input(query, at, from, "rules", err) : input_rules(in, at, from, err);
    case RI_IN_BINDING:
        if (from->db != NULL || from->rules != NULL) {
            return wrong_input(query, at, from, "values", err);
        }
        if (query->in[at].binding.kind == RI_BIND_SCALAR && from->values != NULL && from->value_count == 1) {
            return input_value(in, at, from->values, err);
        }
        return input_values(in, query, at, from, err);
    }
    return 0;
}

static int inputs_init(inputs *in, const rille_query *query, const rille_input *from, size_t count, rille_err *err)
{
    RI_TRY(ri_inputs_check_count(query, count, err));
    in->items = ri_arena_array(&in->arena, count, sizeof *in->items);
    in->tables = ri_arena_array(&in->arena, count, sizeof *in->tables);
    in->rules = ri_arena_array(&in->arena, count, sizeof *in->rules);
    if (in->items == NULL || in->tables == NULL || in->rules == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        RI_TRY(input_one(in, query, i, &from[i], err));
        in->count++;
    }
    return 0;
}

/* ---- runs ---- */

static void free_run(ri_kept *kept)
{
    ri_api_run *run = (ri_api_run *)kept;
    ri_op_release(run->op);
    inputs_reset(&run->in);
    ri_arena_deinit(&run->in.arena);
    ri_free(run);
}

void ri_api_run_end(ri_api_run *run)
{
    if (run == NULL) {
        return;
    }
    rille_query *query = run->query;
    if (run->op != NULL && ri_op_rest(run->op)) {
        inputs_reset(&run->in);
        run->query = NULL;
        ri_query_keep(query, &run->kept);
    } else {
        free_run(&run->kept);
    }
    ri_query_release(query);
}

static int start_op(ri_api_run *run, const rille_input *from, size_t input_count, rille_err *err)
{
    const ri_op_options options = { .limit = -1, .offset = -1 };
    RI_TRY(inputs_init(&run->in, run->query, from, input_count, err));
    if (run->op != NULL) {
        bool fits = false;
        ri_op_again(run->op, run->query, run->in.items, run->in.count, &options, &fits);
        if (fits) {
            return 0;
        }
        ri_op_release(run->op);
        run->op = NULL;
    }
    return ri_op_new(run->query, run->in.items, run->in.count, &options, &run->op, err);
}

static int begin_run(rille_query *query, const rille_input *from, size_t input_count, ri_api_run **out, rille_err *err)
{
    *out = NULL;
    ri_api_run *run = (ri_api_run *)ri_query_take_kept(query, free_run);
    if (run == NULL) {
        run = ri_alloc_zero(sizeof *run);
        if (run == NULL) {
            return ri_fail_nomem(err);
        }
        run->kept.release = free_run;
    }
    run->query = ri_query_retain(query);
    int rc = start_op(run, from, input_count, err);
    if (rc != 0) {
        free_run(&run->kept);
        ri_query_release(query);
        return rc;
    }
    *out = run;
    return 0;
}

static int check_run(const char *function, const rille_query *query, const rille_input *from, size_t count,
                     rille_err *err)
{
    bool given = query != NULL && (from != NULL || count == 0);
    return given ? 0
                 : ri_fail(err, RILLE_MISUSE, "%s: %s is NULL", function,
                           query == NULL ? "the query" : "the array of inputs");
}

int rille_run(rille_query *query, const rille_input *from, size_t input_count, rille_result **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    RI_TRY(check_run(__func__, query, from, input_count, err));
    ri_api_run *run = NULL;
    rille_result *result = ri_alloc_zero(sizeof *result);
    int rc = result == NULL ? ri_fail_nomem(err) : begin_run(query, from, input_count, &run, err);
    if (rc == 0) {
        rc = ri_op_collect(run->op, &result->table, err);
        ri_api_run_end(run);
    }
    if (rc != 0) {
        ri_free(result);
        return rc;
    }
    *out = result;
    return 0;
}

/* ---- stepping ---- */

int rille_start(rille_query *query, const rille_input *from, size_t input_count, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    RI_TRY(check_run(__func__, query, from, input_count, err));
    rille_steps *steps = ri_alloc_zero(sizeof *steps);
    int rc = steps == NULL ? ri_fail_nomem(err) : begin_run(query, from, input_count, &steps->query_run, err);
    if (rc != 0) {
        ri_free(steps);
        return rc;
    }
    steps->op = steps->query_run->op;
    steps->column_count = query->find_count;
    *out = steps;
    return 0;
}

size_t rille_steps_rows(const rille_steps *steps)
{
    uint32_t count = 0;
    if (steps != NULL && steps->range != NULL) {
        return ri_api_range_rows(steps->range);
    }
    return steps == NULL || steps->op == NULL || ri_op_rows(steps->op, &count) == NULL ? 0 : count;
}

rille_value rille_steps_get(const rille_steps *steps, size_t row, size_t column)
{
    uint32_t count = 0;
    if (steps != NULL && steps->range != NULL) {
        return ri_api_range_get(steps, row, column);
    }
    const ri_vec *cols = steps != NULL && steps->op != NULL ? ri_op_rows(steps->op, &count) : NULL;
    if (cols == NULL || row >= count || column >= steps->column_count) {
        return nil_value;
    }
    ri_value v = ri_vec_get(&cols[column], (uint32_t)row);
    return ri_api_value_out(&v);
}

/* ---- results ---- */

size_t rille_result_rows(const rille_result *result)
{
    return result != NULL ? result->table.count : 0;
}

size_t rille_result_columns(const rille_result *result)
{
    return result != NULL ? result->table.col_count : 0;
}

rille_value rille_result_get(const rille_result *result, size_t row, size_t column)
{
    if (result == NULL || row >= result->table.count || column >= result->table.col_count) {
        return nil_value;
    }
    ri_value v = ri_column_get(&result->table.cols[column], (uint32_t)row);
    return ri_api_value_out(&v);
}

void rille_result_close(rille_result *result)
{
    if (result != NULL) {
        ri_table_deinit(&result->table);
        ri_free(result);
    }
}
