/* SPDX-License-Identifier: MIT
 *
 * For tests of queries: databases from EDN, and answers as text: rows as EDN, sorted, one blank between them.
 */
#ifndef RILLE_TEST_QUERY_WORLD_H
#define RILLE_TEST_QUERY_WORLD_H

#include "../src/core/db/conn.h"
#include "../src/core/query/exec.h"
#include "../src/core/query/functions.h"
#include "../src/core/query/query.h"

#include "harness.h"

#define WORLD_DBS_MAX 4
#define WORLD_INPUTS_MAX 8

/* Where queries pause: which units of work are interrupted, and whether reads at random have to wait. */
typedef enum world_pause { PAUSE_NEVER, PAUSE_EVERY_UNIT, PAUSE_ONE_UNIT, PAUSE_RANDOM_UNITS } world_pause;

typedef struct world {
    rille_conn *conn[WORLD_DBS_MAX];
    rille_db *db[WORLD_DBS_MAX];
    ri_arena arena; /* of inputs */
    ri_input inputs[WORLD_INPUTS_MAX];
    ri_table tables[WORLD_INPUTS_MAX];
    ri_form rules[WORLD_INPUTS_MAX];
    size_t input_count;
    uint64_t budget_us; /* 0: run to the end at once */
    unsigned steps;     /* of the last query */
    unsigned units;     /* of work that they began */
    ri_op_options options;
    world_pause pause;
    unsigned pause_at;    /* PAUSE_ONE_UNIT */
    unsigned pause_units; /* begun since the query began */
    unsigned pauses;      /* of the last query */
    bool defers;          /* reads, at random */
    bool no_pauses;       /* EXPECT: the query only as it is */
    uint64_t work_max;    /* that a query may do between two looks at the budget; 0: any */
    test_rng rng;
    char *again_text; /* the query that ran last; its operation, which rests, runs it again */
    rille_query *again_query;
    rille_op *again;
} world;

static inline void world_again_clear(world *w)
{
    ri_op_release(w->again);
    ri_query_release(w->again_query);
    free(w->again_text);
    w->again = NULL;
    w->again_query = NULL;
    w->again_text = NULL;
}

static inline void world_inputs_clear(world *w)
{
    for (size_t i = 0; i < w->input_count; i++) {
        if (w->inputs[i].kind == RI_INPUT_TABLE) {
            ri_table_deinit(&w->tables[i]);
        }
    }
    ri_arena_deinit(&w->arena);
    w->input_count = 0;
}

/* A unit, or the last one of a full unit and what each stage of a chain adds to a batch on its way to the end. */
#define WORLD_WORK_MAX (4U * RI_UNIT_WORK)

static inline void world_init(world *w)
{
    memset(w, 0, sizeof *w);
    w->options = (ri_op_options){ .limit = -1, .offset = -1 };
    w->work_max = WORLD_WORK_MAX;
}

static inline void world_url(char *out, size_t size, const char *prefix, int at)
{
    (void)snprintf(out, size, "%smem:query_world_%d", prefix, at);
}

static inline void world_close(world *w, int at)
{
    ri_db_release(w->db[at]);
    ri_conn_release(w->conn[at]);
    w->db[at] = NULL;
    w->conn[at] = NULL;
}

static inline void world_deinit(world *w)
{
    char url[64];
    world_again_clear(w);
    world_inputs_clear(w);
    for (int i = 0; i < WORLD_DBS_MAX; i++) {
        bool open = w->conn[i] != NULL;
        world_close(w, i);
        world_url(url, sizeof url, "", i);
        if (open) {
            CHECK_RC(ri_database_drop(url, &test_err), 0);
        }
    }
}

static inline void world_open(world *w, int at, const char *prefix)
{
    char url[64];
    ri_conn_options options = { .create = true };
    world_url(url, sizeof url, prefix, at);
    world_close(w, at);
    REQUIRE_RC(ri_conn_open(url, &options, &w->conn[at], &test_err), 0);
    REQUIRE_RC(ri_conn_db(w->conn[at], &w->db[at], &test_err), 0);
}

static inline void world_transact(world *w, int at, const char *text)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(w->conn[at], text, strlen(text), &report, &test_err), 0);
    ri_db_release(w->db[at]);
    w->db[at] = ri_db_retain(report.after);
    ri_report_deinit(&report);
}

/* Moves the tail into the trees. */
static inline void world_flush(world *w, int at)
{
    REQUIRE_RC(ri_conn_flush(w->conn[at], &test_err), 0);
    ri_db_release(w->db[at]);
    w->db[at] = NULL;
    REQUIRE_RC(ri_conn_db(w->conn[at], &w->db[at], &test_err), 0);
}

/* How a database lies there. */
typedef enum world_mode { WORLD_NOVELTY, WORLD_TREES, WORLD_BOTH, WORLD_DEFERRED, WORLD_MODES } world_mode;

/* A database of some transactions, the last ones maybe not in the trees, maybe seen through a slow store with an empty
 * cache. */
static inline void world_make(world *w, int at, world_mode mode, const char *const *texts, size_t count)
{
    world_open(w, at, "");
    for (size_t i = 0; i < count; i++) {
        world_transact(w, at, texts[i]);
        bool last = i + 1 == count;
        if ((mode == WORLD_TREES && last) || (mode >= WORLD_BOTH && i == count / 2)) {
            world_flush(w, at);
        }
    }
    if (mode == WORLD_DEFERRED) {
        world_open(w, at, "deferred:");
    }
}

static inline void world_add_db(world *w, int at)
{
    w->inputs[w->input_count++] = (ri_input){ .kind = RI_INPUT_DB, .db = w->db[at] };
}

/* What reads would sooner or later make, and keep for the next ones. */
static inline void world_make_sets(const world *w)
{
    for (size_t i = 0; i < w->input_count; i++) {
        for (int o = 0; o < RI_NOVELTY_ORDERS && w->inputs[i].kind == RI_INPUT_DB; o++) {
            const ri_set_node *set;
            REQUIRE_RC(ri_novelty_set(&w->inputs[i].db->novelty, (ri_order)o, &set, &test_err), 0);
        }
    }
}

static inline ri_value world_value(world *w, const ri_form *form)
{
    if (form->kind == RI_FORM_VALUE) {
        return form->u.v;
    }
    ri_buf buf = { 0 };
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        ri_value v = world_value(w, &form->u.seq.items[i]);
        ri_value_write(&buf, &v);
    }
    ri_value tuple = ri_bytes_value(RI_TUPLE, ri_arena_copy(&w->arena, buf.p, buf.len), buf.len);
    ri_buf_deinit(&buf);
    return tuple;
}

/* kind 's': one value; 'c': a list of values; 't': one row; 'r': rows. From EDN. */
static inline void world_add_table(world *w, char kind, const char *text)
{
    ri_form form;
    REQUIRE_RC(ri_edn_read(&w->arena, text, strlen(text), &form, &test_err), 0);
    size_t at = w->input_count++;
    w->inputs[at] = (ri_input){ .kind = RI_INPUT_TABLE, .table = &w->tables[at] };
    uint32_t rows = kind == 's' || kind == 't' ? 1 : form.u.seq.count;
    uint32_t cols = kind == 's' || kind == 'c' ? 1 : kind == 't' ? form.u.seq.count : 0;
    if (kind == 'r' && rows > 0) {
        cols = form.u.seq.items[0].u.seq.count;
    }
    REQUIRE_RC(ri_table_init(&w->tables[at], (uint16_t)cols, false, &test_err), 0);
    for (uint32_t r = 0; r < rows; r++) {
        ri_value row[16];
        for (uint32_t c = 0; c < cols; c++) {
            const ri_form *cell = kind == 's'   ? &form
                                  : kind == 'c' ? &form.u.seq.items[r]
                                  : kind == 't' ? &form.u.seq.items[c]
                                                : &form.u.seq.items[r].u.seq.items[c];
            row[c] = world_value(w, cell);
        }
        REQUIRE_RC(ri_table_add_row(&w->tables[at], row, NULL, &test_err), 0);
    }
}

static inline void world_add_rules(world *w, const char *text)
{
    size_t at = w->input_count++;
    REQUIRE_RC(ri_edn_read(&w->arena, text, strlen(text), &w->rules[at], &test_err), 0);
    w->inputs[at] = (ri_input){ .kind = RI_INPUT_RULES, .rules = &w->rules[at], .rules_text = { text, strlen(text) } };
}

/* ---- answers ---- */

static inline int world_cmp_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rows of a table as text; the caller frees with free(). */
static inline char *world_text(const ri_table *table, bool sorted)
{
    char **lines = calloc(table->count + 1U, sizeof *lines);
    size_t total = 1;
    for (uint32_t r = 0; r < table->count; r++) {
        ri_buf buf = { 0 };
        for (uint16_t c = 0; c < table->col_count; c++) {
            ri_value v = ri_column_get(&table->cols[c], r);
            ri_buf_put_text(&buf, c == 0 ? "[" : " ");
            ri_edn_write_value(&buf, &v);
        }
        ri_buf_put_text(&buf, "]");
        lines[r] = calloc(buf.len + 1, 1);
        memcpy(lines[r], buf.p, buf.len);
        total += buf.len + 1;
        ri_buf_deinit(&buf);
    }
    if (sorted) {
        qsort(lines, table->count, sizeof *lines, world_cmp_lines);
    }
    char *text = calloc(total, 1);
    for (uint32_t r = 0; r < table->count; r++) {
        strcat(text, r == 0 ? "" : " ");
        strcat(text, lines[r]);
        free(lines[r]);
    }
    free(lines);
    return text;
}

static inline bool world_interrupt(void *context)
{
    world *w = context;
    bool pauses = false;
    switch (w->pause) {
    case PAUSE_NEVER:
        break;
    case PAUSE_EVERY_UNIT:
        pauses = true;
        break;
    case PAUSE_ONE_UNIT:
        pauses = w->pause_units == w->pause_at;
        break;
    case PAUSE_RANDOM_UNITS:
        pauses = test_random_below(&w->rng, 3) == 0;
        break;
    }
    w->pause_units++;
    w->pauses += pauses;
    return pauses;
}

static inline bool world_defer(void *context)
{
    world *w = context;
    bool defers = test_random_below(&w->rng, 2) == 0;
    w->pauses += defers;
    return defers;
}

static inline int world_collect(rille_op *op, ri_table *out, rille_err *err)
{
    const ri_vec *cols[64];
    uint32_t count = 0;
    const ri_vec *rows = ri_op_rows(op, &count);
    for (uint16_t i = 0; i < out->col_count; i++) {
        cols[i] = &rows[i];
    }
    return ri_table_add(out, cols, count, NULL, err);
}

/* A run of the query: of the operation that ran it before, where that can, else of a new one. */
static inline int world_begin(world *w, const char *text, rille_query **query, rille_op **op, rille_err *err)
{
    *op = NULL;
    if (w->again_text != NULL && strcmp(w->again_text, text) == 0) {
        bool fits = false;
        *query = ri_query_retain(w->again_query);
        ri_op_again(w->again, *query, w->inputs, w->input_count, &w->options, &fits);
        *op = fits ? w->again : NULL;
        w->again = fits ? NULL : w->again;
        world_again_clear(w);
        if (fits) {
            return 0;
        }
        ri_query_release(*query);
    }
    RI_TRY(ri_query_parse(text, strlen(text), query, err));
    return ri_op_new(*query, w->inputs, w->input_count, &w->options, op, err);
}

static inline void world_end(world *w, const char *text, rille_query *query, rille_op *op)
{
    world_again_clear(w);
    if (op != NULL && ri_op_rest(op)) {
        w->again = op;
        w->again_query = query;
        w->again_text = strdup(text);
        return;
    }
    ri_op_release(op);
    ri_query_release(query);
}

/* Runs the query on the inputs, step by step. */
static inline int world_run(world *w, const char *text, ri_table *out, rille_err *err)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    memset(out, 0, sizeof *out);
    w->steps = 0;
    w->units = 0;
    w->pause_units = 0;
    w->pauses = 0;
    w->options.interrupt = w->pause != PAUSE_NEVER ? world_interrupt : NULL;
    w->options.context = w;
    int rc = world_begin(w, text, &query, &op, err);
    if (op != NULL) {
        ri_op_io(op)->defer = w->defers ? world_defer : NULL;
        ri_op_io(op)->defer_context = w;
    }
    if (rc == 0) {
        rc = ri_table_init(out, query->find_count, false, err);
    }
    while (rc == 0) {
        w->steps++;
        rc = ri_op_step(op, w->budget_us, err);
        w->units += op->units;
        if (rc == RILLE_NEED) {
            rc = ri_io_fetch(ri_op_io(op), err);
        } else if (rc == RILLE_ROWS) {
            rc = world_collect(op, out, err);
        } else if (rc == RILLE_AGAIN) {
            rc = 0;
        }
    }
    if (op != NULL && w->work_max != 0 && op->stretch_max > w->work_max) {
        CHECK_EQ_STR(text, "a query that looks at its budget in time");
        CHECK_EQ_INT(op->stretch_max, w->work_max);
    }
    if (getenv("RILLE_EXPLAIN") != NULL && op != NULL) {
        ri_buf buf = { 0 };
        (void)ri_op_explain(op, &buf);
        (void)fprintf(stderr, "%s\n%.*s\n", text, (int)buf.len, (const char *)buf.p);
        ri_buf_deinit(&buf);
    }
    world_end(w, text, query, op);
    if (rc != RILLE_DONE) {
        ri_table_deinit(out);
        memset(out, 0, sizeof *out);
    }
    return rc == RILLE_DONE ? 0 : rc;
}

/* Runs a query to its end, and gives its operation, which still has its stages. */
static inline rille_op *world_run_op(world *w, const char *text, rille_query **query)
{
    rille_op *op = NULL;
    int rc;
    REQUIRE_RC(ri_query_parse(text, strlen(text), query, &test_err), 0);
    REQUIRE_RC(ri_op_new(*query, w->inputs, w->input_count, &w->options, &op, &test_err), 0);
    while ((rc = ri_op_step(op, 0, &test_err)) == RILLE_ROWS || rc == RILLE_NEED) {
        CHECK_RC(rc == RILLE_NEED ? ri_io_fetch(ri_op_io(op), &test_err) : 0, 0);
    }
    CHECK_RC(rc, RILLE_DONE);
    return op;
}

/* Rows of all stages together, in an uninterrupted run; *from_end: the plan reads an index from its end. */
static inline uint64_t world_rows(world *w, const char *text, bool *from_end)
{
    rille_query *query = NULL;
    uint64_t rows = 0;
    *from_end = false;
    rille_op *op = world_run_op(w, text, &query);
    for (const ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        rows += stage->rows;
        *from_end = *from_end || strstr(stage->label, " end") != NULL;
    }
    ri_op_release(op);
    ri_query_release(query);
    return rows;
}

#define WORLD_PAUSE_AT_EACH_MAX 40U /* queries of more units are not interrupted at each one in turn */

/* Runs a query in all ways to pause, until check (of the rows, or of the error when rc is not 0) is false. */
static inline void world_paused(world *w, const char *query, bool (*check)(void *, int, const ri_table *, rille_err *),
                                void *context)
{
    unsigned units = w->units;
    unsigned each = units <= WORLD_PAUSE_AT_EACH_MAX ? units : 0;
    bool goes_on = true;
    if (w->rng.state == 0) {
        w->rng = test_rng_new();
    }
    for (unsigned i = 0; i < each + 4 && goes_on; i++) {
        ri_table table;
        rille_err err = { 0 };
        w->pause = i == 0 ? PAUSE_EVERY_UNIT : i < 4 ? PAUSE_RANDOM_UNITS : PAUSE_ONE_UNIT;
        w->pause_at = i < 4 ? 0 : i - 4;
        w->defers = i == 2 || i == 3;
        int rc = world_run(w, query, &table, &err);
        goes_on = check(context, rc, &table, &err);
        if (rc == 0) {
            ri_table_deinit(&table);
        }
    }
    w->pause = PAUSE_NEVER;
    w->defers = false;
}

/* The inputs stay: query again, or world_inputs_clear. */
typedef struct world_expected {
    const char *query;
    const char *text; /* rows, or a part of the message */
    int code;
    bool sorted;
    const char *file;
    int line;
} world_expected;

static inline bool world_check(void *context, int rc, const ri_table *table, rille_err *err)
{
    const world_expected *expected = context;
    if (rc != expected->code || (rc != 0 && strstr(err->message, expected->text) == NULL)) {
        test_failed_at(expected->file, expected->line);
        (void)fprintf(stderr, "%s\n    returned %s (%s), expected %s with \"%s\"\n", expected->query,
                      rille_code_name(rc), err->message, rille_code_name(expected->code), expected->text);
        return false;
    }
    if (rc != 0) {
        return true;
    }
    char *text = world_text(table, expected->sorted);
    bool same = test_check_str(text, expected->text, expected->file, expected->line, expected->query);
    free(text);
    return same;
}

static inline void world_expect(world *w, world_expected expected)
{
    ri_table table;
    rille_err err = { 0 };
    int rc = world_run(w, expected.query, &table, &err);
    bool fine = world_check(&expected, rc, &table, &err);
    if (rc == 0) {
        ri_table_deinit(&table);
    }
    if (fine && !w->no_pauses) {
        world_paused(w, expected.query, world_check, &expected);
    }
}

/* The answer, uninterrupted and with pauses everywhere. */
#define EXPECT(w, query, expected) \
    world_expect((w), (world_expected){ (query), (expected), 0, true, __FILE__, __LINE__ })
#define EXPECT_ORDERED(w, query, expected) \
    world_expect((w), (world_expected){ (query), (expected), 0, false, __FILE__, __LINE__ })
#define EXPECT_ERROR(w, query, code, part) \
    world_expect((w), (world_expected){ (query), (part), (code), false, __FILE__, __LINE__ })

#endif
