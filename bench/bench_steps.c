/* SPDX-License-Identifier: MIT
 *
 * The longest step of a query, phase by phase: 1,000,000 entities, a budget of 500 us for each step. A step may take
 * the budget and one unit of work more. Times are processor time of the thread, so that what others do on the machine
 * does not count; what the machine does to it (page faults, a cold cache) does.
 *
 *     bench_steps [part of a name [rows [budget in us]]]
 */
#include "../src/core/db/conn.h"
#include "../src/core/query/exec.h"

#include "bench.h"

#define ROWS 1000000U
#define BUDGET_US 500U
#define CHUNK 50000U

static const char *wanted;
static uint32_t row_count = ROWS;
static uint64_t budget_us = BUDGET_US;

/* ---- the database ---- */

#define ATTR(name, type, more) "{:db/ident " name " :db/valueType :db.type/" type more "}"

static void transact(rille_conn *conn, const char *text, size_t len)
{
    rille_err err = { 0 };
    ri_report report;
    bench_must(ri_conn_transact_edn(conn, text, len, &report, &err), &err);
    ri_report_deinit(&report);
}

/* :id all different, :n and :s in no order (:s a string), :g one of ten, :up a list of chains of 1,000. */
static rille_db *make_rows(void)
{
    static const char schema[] = "[" ATTR(":id", "long", " :db/unique :db.unique/identity") ATTR(":n", "long", "")
        ATTR(":s", "string", "") ATTR(":t", "string", "") ATTR(":g", "long", "") ATTR(":up", "ref", "") "]";
    rille_err err = { 0 };
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    ri_conn_options options = { .create = true, .no_history = true };
    size_t cap = (size_t)CHUNK * 200;
    char *text = malloc(cap);
    bench_must(text == NULL ? RILLE_NOMEM : ri_conn_open("mem:", &options, &conn, &err), &err);
    transact(conn, schema, strlen(schema));
    for (uint32_t from = 0; from < row_count; from += CHUNK) {
        size_t len = 0;
        len += (size_t)snprintf(text, cap, "[");
        for (uint32_t i = from; i < from + CHUNK && i < row_count; i++) {
            unsigned n = (unsigned)((uint64_t)i * 7919 % row_count);
            char up[32] = "";
            if (i % 1000 != 0 && i > from) {
                (void)snprintf(up, sizeof up, " :up \"%u\"", i - 1);
            }
            len += (size_t)snprintf(text + len, cap - len,
                                    "{:db/id \"%u\" :id %u :n %u :s \"name %06u\" :t \"name %06u\" :g %u%s}\n", i, i, n,
                                    n, (unsigned)((uint64_t)i * 104729 % row_count), i % 10, up);
        }
        len += (size_t)snprintf(text + len, cap - len, "]");
        transact(conn, text, len);
    }
    free(text);
    bench_must(ri_conn_flush(conn, &err), &err);
    bench_must(ri_conn_db(conn, &db, &err), &err);
    ri_conn_release(conn);
    return db;
}

/* ---- steps ---- */

static int timed_step(rille_op *op, bench_tally *t, rille_err *err)
{
    double start = bench_thread_now();
    int rc = ri_op_step(op, budget_us, err);
    double took = bench_thread_now() - start;
    if (getenv("RILLE_STEPS") != NULL && took * 1e6 > (double)budget_us + 500) {
        (void)printf("    step %llu: %.3f ms, then %s\n", (unsigned long long)t->steps, took * 1e3,
                     rille_code_name(rc));
    }
    bench_tally_add(t, took, budget_us);
    return rc;
}

/* The host's function: true for every row. */
static void answer(ri_call *call)
{
    const ri_value yes = ri_word(RI_BOOL, 1);
    for (uint32_t i = 0; i < call->rows; i++) {
        ri_vec_set(call->out, i, &yes);
    }
}

static bool has_function(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "host") == 0;
}

static void bench(const char *name, const char *query_text, const ri_input *inputs, size_t count)
{
    rille_err err = { 0 };
    rille_query *query = NULL;
    rille_op *op = NULL;
    ri_op_options options = { .limit = -1, .offset = -1, .has_function = has_function };
    bench_tally t = { 0 };
    uint64_t row_sum = 0;
    int rc = RILLE_AGAIN;
    if (wanted != NULL && strstr(name, wanted) == NULL) {
        return;
    }
    bench_must(ri_query_parse(query_text, strlen(query_text), &query, &err), &err);
    double start = bench_thread_now();
    bench_must(ri_op_new(query, inputs, count, &options, &op, &err), &err);
    double made = bench_thread_now() - start;
    while (rc != RILLE_DONE) {
        rc = timed_step(op, &t, &err);
        if (rc == RILLE_NEED) {
            bench_must(ri_io_fetch(ri_op_io(op), &err), &err);
        } else if (rc == RILLE_CALL) {
            answer(ri_op_call(op));
        } else if (rc == RILLE_ROWS) {
            uint32_t rows = 0;
            (void)ri_op_rows(op, &rows);
            row_sum += rows;
        } else if (rc < 0) {
            bench_must(rc, &err);
        }
    }
    if (getenv("RILLE_EXPLAIN") != NULL) {
        ri_buf buf = { 0 };
        (void)ri_op_explain(op, &buf);
        (void)printf("%.*s", (int)buf.len, (const char *)buf.p);
        ri_buf_deinit(&buf);
    }
    uint64_t work = op->stretch_max; /* the most between two looks at the budget, as the meter counts it */
    ri_op_release(op);
    ri_query_release(query);
    (void)printf("%-26s start %8.3f ms, longest step %8.3f ms, %5llu over, %7llu steps, %9.1f ms in all, %8llu rows, "
                 "work %7llu\n",
                 name, made * 1e3, t.longest * 1e3, (unsigned long long)t.over, (unsigned long long)t.steps,
                 t.total * 1e3, (unsigned long long)row_sum, (unsigned long long)work);
}

/* ---- phases ---- */

static void bench_rows(rille_db *db)
{
    static const struct {
        const char *name;
        const char *query;
    } cases[] = {
        { "scan", "[:find ?e ?n :where [?e :n ?n]]" },
        { "star", "[:find ?e ?n ?s ?g :where [?e :n ?n] [?e :s ?s] [?e :g ?g]]" },
        { "order by long", "[:find ?e ?n :where [?e :n ?n] :order-by ?n]" },
        { "order by long, desc", "[:find ?e ?g ?n :where [?e :n ?n] [?e :g ?g] :order-by ?g :desc ?n]" },
        { "order by string", "[:find ?e ?s :where [?e :s ?s] :order-by ?s]" },
        { "order by, limit 10", "[:find ?e ?n :where [?e :n ?n] :order-by ?n :limit 10]" },
        { "order by, limit 10000", "[:find ?e ?n :where [?e :n ?n] :order-by ?n :desc :limit 10000 :offset 100]" },
        { "order by set, limit 10", "[:find ?s ?g :where [?e :s ?s] [?e :g ?g] :order-by ?s :limit 10]" },
        { "distinct longs", "[:find ?n :where [_ :n ?n]]" },
        { "distinct strings", "[:find ?s :where [_ :s ?s]]" },
        { "count", "[:find (count ?e) . :where [?e :n _]]" },
        { "sum, avg, max, variance", "[:find (sum ?n) (avg ?n) (max ?n) (variance ?n) :with ?e :where [?e :n ?n]]" },
        { "count-distinct longs", "[:find (count-distinct ?n) . :with ?e :where [?e :n ?n]]" },
        { "count-distinct strings", "[:find (count-distinct ?s) . :with ?e :where [?e :s ?s]]" },
        { "median", "[:find (median ?n) . :with ?e :where [?e :n ?n]]" },
        { "median of 10 groups", "[:find ?g (median ?n) :with ?e :where [?e :n ?n] [?e :g ?g]]" },
        { "median of all groups", "[:find ?e (median ?n) :where [?e :n ?n]]" },
        { "min 100000", "[:find (min 100000 ?n) . :with ?e :where [?e :n ?n]]" },
        { "distinct of a group", "[:find (distinct ?n) . :with ?e :where [?e :n ?n]]" },
        { "max of groups, ordered", "[:find ?e (max ?n) :where [?e :n ?n] :order-by (max ?n)]" },
        { "join on longs", "[:find (count ?a) . :with ?b :where [?a :n ?x] [?b :g ?x]]" },
        { "join on strings", "[:find (count ?a) . :with ?b :where [?a :s ?x] [?b :t ?x]]" },
        { "not", "[:find (count ?e) . :where [?e :n _] (not [?e :up _])]" },
        { "or", "[:find (count ?e) . :where [?e :n _] (or [?e :g 3] [?e :g 4])]" },
        { "filter", "[:find (count ?e) . :where [?e :n ?n] [(even? ?n)]]" },
        { "functions", "[:find (count ?u) . :where [?e :s ?s] [(upper-case ?s) ?v] [(str ?v \"-\" ?e) ?u]]" },
        { "get-else", "[:find (count ?e) . :where [?e :n _] [(get-else $ ?e :up 0) ?u] [(!= ?u 0)]]" },
        { "missing?", "[:find (count ?e) . :where [?e :n _] [(missing? $ ?e :up)]]" },
        { "host function", "[:find (count ?e) . :where [?e :n ?n] [(host ?n)]]" },
        { "numbers of two types", "[:find ?n :where (or-join [?n] [_ :n ?n] (and [_ :g ?g] [(* ?g 1.0) ?n]))]" },
    };
    ri_input in[] = { { .kind = RI_INPUT_DB, .db = db } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench(cases[i].name, cases[i].query, in, 1);
    }
}

static void bench_rules(rille_db *db)
{
    static const char *const forms[] = {
        "[[(above ?a ?b) [?a :up ?b]] [(above ?a ?b) [?a :up ?c] (above ?c ?b)]]",
        "[[(pair ?e ?n) [?e :n ?n]] [(pair ?e ?n) [?e :g ?n]]]",
    };
    static const char *const queries[] = {
        "[:find (count ?b) . :in $ % :where [?a :id 999] (above ?a ?b)]",
        "[:find (count ?b) . :in $ % :where [?a :g 9] (above ?b ?a) [?a :id ?i] [(< ?i 5000)]]",
        "[:find (count ?n) . :in $ % :with ?e :where (pair ?e ?n)]",
        "[:find (count ?n) . :in $ % :with ?e :where [?e :id _] (pair ?e ?n)]",
    };
    static const char *const names[] = { "rule, one chain", "rule, chains", "rule, all rows", "rule, asked for all" };
    for (int i = 0; i < 4; i++) {
        rille_err err = { 0 };
        ri_arena arena = { 0 };
        ri_form rules;
        const char *form = forms[i / 2];
        bench_must(ri_edn_read(&arena, form, strlen(form), &rules, &err), &err);
        ri_input in[] = { { .kind = RI_INPUT_DB, .db = db }, { .kind = RI_INPUT_RULES, .rules = &rules } };
        bench(names[i], queries[i], in, 2);
        ri_arena_deinit(&arena);
    }
}

static void fill(ri_table *table, bool lookups)
{
    rille_err err = { 0 };
    ri_value ident = ri_bytes_value(RI_KEYWORD, "id", 2);
    bench_must(ri_table_init(table, lookups ? 1 : 2, false, &err), &err);
    for (uint32_t i = 0; i < row_count; i++) {
        char text[32];
        ri_buf buf = { 0 };
        ri_value number = ri_long((int64_t)i);
        ri_value row[2] = { number,
                            ri_bytes_value(RI_STRING, text, (size_t)snprintf(text, sizeof text, "name %06u", i)) };
        if (lookups) {
            ri_value_write(&buf, &ident);
            ri_value_write(&buf, &number);
            row[0] = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        }
        bench_must(ri_table_add_row(table, row, NULL, &err), &err);
        ri_buf_deinit(&buf);
    }
}

static void bench_inputs(rille_db *db)
{
    ri_table rows;
    ri_table names;
    fill(&rows, false);
    fill(&names, true);
    ri_input in[] = { { .kind = RI_INPUT_DB, .db = db }, { .kind = RI_INPUT_TABLE, .table = &rows } };
    ri_input named[] = { { .kind = RI_INPUT_DB, .db = db }, { .kind = RI_INPUT_TABLE, .table = &names } };
    bench("input rows", "[:find ?i ?s :in $ [[?i ?s]]]", in, 2);
    bench("input rows, joined", "[:find (count ?e) . :in $ [[?i ?s]] :where [?e :id ?i]]", in, 2);
    bench("input strings, joined", "[:find (count ?e) . :in $ [[_ ?s]] :where [?e :s ?s]]", in, 2);
    bench("source of rows", "[:find (count ?e) . :in $ $r :where [?e :n ?i] [$r ?i ?s]]", in, 2);
    bench("lookup refs", "[:find (count ?e) . :in $ [?e ...] :where [?e :n ?n]]", named, 2);
    ri_table_deinit(&rows);
    ri_table_deinit(&names);
}

int main(int argc, char **argv)
{
    wanted = argc > 1 && argv[1][0] != '\0' ? argv[1] : NULL;
    row_count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : ROWS;
    budget_us = argc > 3 ? strtoull(argv[3], NULL, 10) : BUDGET_US;
    bench_machine("bench_steps: the longest step of each phase");
    rille_db *db = make_rows();
    bench_rows(db);
    bench_rules(db);
    bench_inputs(db);
    ri_db_release(db);
    return 0;
}
