/* SPDX-License-Identifier: MIT
 *
 * Queries to columns: the people of the DataScript benchmark (20,000 of 5 attributes), joins by value and across two
 * databases, and the closure of a graph like that of packages and what they depend on (65,000 nodes, 280,000 edges).
 *
 * A run parses nothing: the AST is prepared. It plans, runs, and reads each batch's columns. Times are medians of
 * processor time. Below q1 to q4 stands their floor (floor_people.h).
 *
 *     bench_query [part of a name [runs]]
 */
#include "../src/core/db/conn.h"
#include "../src/core/query/query.h"

#include "floor_people.h"

#define PEOPLE 20000U
#define PACKAGES 65000U
#define EDGES 280000U
#define ITEMS 20000U

typedef struct text {
    char *p;
    size_t len;
    size_t cap;
} text;

static void put(text *t, const char *part)
{
    size_t len = strlen(part);
    if (t->len + len + 1 > t->cap) {
        t->cap = (t->cap + len) * 2 + 4096;
        t->p = realloc(t->p, t->cap);
        if (t->p == NULL) {
            exit(1);
        }
    }
    memcpy(t->p + t->len, part, len + 1);
    t->len += len;
}

static rille_conn *open_empty(const char *schema)
{
    rille_err err = { 0 };
    rille_conn *conn = NULL;
    ri_conn_options options = { .create = true, .no_history = true };
    bench_must(ri_conn_open("mem:", &options, &conn, &err), &err);
    ri_report report;
    bench_must(ri_conn_transact_edn(conn, schema, strlen(schema), &report, &err), &err);
    ri_report_deinit(&report);
    return conn;
}

static void transact(rille_conn *conn, text *t)
{
    rille_err err = { 0 };
    ri_report report;
    put(t, "]");
    bench_must(ri_conn_transact_edn(conn, t->p, t->len, &report, &err), &err);
    ri_report_deinit(&report);
    t->len = 0;
    put(t, "[");
}

static rille_db *finish(rille_conn *conn, text *t)
{
    rille_err err = { 0 };
    rille_db *db = NULL;
    transact(conn, t);
    free(t->p);
    bench_must(ri_conn_flush(conn, &err), &err);
    bench_must(ri_conn_db(conn, &db, &err), &err);
    ri_conn_release(conn);
    return db;
}

#define ATTR(name, type, more) \
    "{:db/ident " name " :db/valueType :db.type/" type " :db/cardinality :db.cardinality/" more "}"

static rille_db *make_people(void)
{
    rille_conn *conn =
        open_empty("[" ATTR(":name", "string", "one") ATTR(":last-name", "string", "one") ATTR(":sex", "keyword", "one")
                       ATTR(":age", "long", "one") ATTR(":salary", "long", "one") ATTR(":follows", "ref", "many") "]");
    text t = { 0 };
    char line[256];
    put(&t, "[");
    for (unsigned i = 0; i < PEOPLE; i++) {
        (void)snprintf(line, sizeof line, "{:name \"%s\" :last-name \"%s\" :sex :%s :age %u :salary %u}",
                       bench_names[bench_random(i, 0) % 8], bench_last_names[bench_random(i, 1) % 6],
                       bench_sexes[bench_random(i, 2) % 2], (unsigned)(bench_random(i, 3) % 100),
                       (unsigned)(bench_random(i, 4) % 100000));
        put(&t, line);
    }
    return finish(conn, &t);
}

static rille_db *make_items(unsigned which)
{
    rille_conn *conn = open_empty(which == 0 ? "[" ATTR(":sku", "string", "one") ATTR(":title", "string", "one") "]"
                                             : "[" ATTR(":stock/sku", "string", "one") ATTR(":qty", "long", "one") "]");
    text t = { 0 };
    char line[256];
    put(&t, "[");
    for (unsigned i = 0; i < ITEMS; i++) {
        unsigned sku = which == 0 ? i : (unsigned)((uint64_t)i * 7919 % (ITEMS * 2));
        (void)snprintf(line, sizeof line,
                       which == 0 ? "{:sku \"SKU-%06u\" :title \"title %u\"}" : "{:stock/sku \"SKU-%06u\" :qty %u}",
                       sku, i % 1000);
        put(&t, line);
    }
    return finish(conn, &t);
}

static rille_db *make_packages(void)
{
    rille_conn *conn = open_empty("[{:db/ident :pkg :db/valueType :db.type/long :db/cardinality :db.cardinality/one "
                                  ":db/unique :db.unique/identity}" ATTR(":dep", "ref", "many") "]");
    text t = { 0 };
    char line[128];
    put(&t, "[");
    for (unsigned i = 0; i < PACKAGES; i++) {
        (void)snprintf(line, sizeof line, "{:db/id \"p%u\" :pkg %u}", i, i);
        put(&t, line);
    }
    for (unsigned i = 0; i < EDGES; i++) { /* most dependencies are on few packages */
        uint64_t from = bench_random(i, 5) % PACKAGES;
        uint64_t to = bench_random(i, 6) % (i % 2 == 0 ? PACKAGES : PACKAGES / 50);
        (void)snprintf(line, sizeof line, "[:db/add \"p%u\" :dep \"p%u\"]", (unsigned)from, (unsigned)to);
        put(&t, line);
    }
    return finish(conn, &t);
}

typedef struct result {
    uint64_t rows;
    uint64_t sum; /* of all words: the columns were read */
} result;

static result run_once(rille_query *query, const ri_input *inputs, size_t count)
{
    rille_err err = { 0 };
    rille_op *op = NULL;
    result r = { 0, 0 };
    bench_must(ri_op_new(query, inputs, count, NULL, &op, &err), &err);
    for (;;) {
        int rc = ri_op_step(op, 0, &err);
        if (rc == RILLE_ROWS) {
            uint32_t rows = 0;
            const ri_vec *cols = ri_op_rows(op, &rows);
            for (uint16_t c = 0; c < query->find_count; c++) {
                for (uint32_t i = 0; i < rows; i++) {
                    r.sum += cols[c].words[i];
                }
            }
            r.rows += rows;
        } else if (rc == RILLE_NEED) {
            bench_must(ri_io_fetch(ri_op_io(op), &err), &err);
        } else if (rc == RILLE_DONE) {
            break;
        } else {
            bench_must(rc, &err);
        }
    }
    if (getenv("RILLE_EXPLAIN") != NULL) {
        ri_buf buf = { 0 };
        (void)ri_op_explain(op, &buf);
        (void)printf("%.*s", (int)buf.len, (const char *)buf.p);
        ri_buf_deinit(&buf);
    }
    ri_op_release(op);
    return r;
}

/* Processor time: what others do on the machine does not count. */
static double cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *wanted;
static unsigned runs_wanted;

static void bench(const char *name, const char *query_text, const ri_input *inputs, size_t count, unsigned runs)
{
    rille_err err = { 0 };
    rille_query *query = NULL;
    bench_series series = { .count = 0 };
    if (wanted != NULL && strstr(name, wanted) == NULL) {
        return;
    }
    bench_must(ri_query_parse(query_text, strlen(query_text), &query, &err), &err);
    result r = run_once(query, inputs, count);
    runs = runs_wanted != 0 ? runs_wanted : runs;
    for (unsigned i = 0; i < runs && getenv("RILLE_EXPLAIN") == NULL; i++) {
        double start = cpu_now();
        r = run_once(query, inputs, count);
        bench_add(&series, cpu_now() - start);
    }
    double median = bench_quantile(&series, 0.5);
    (void)printf("%-28s %10.4f ms  (min %.4f)  %8llu rows\n", name, median * 1e3, bench_quantile(&series, 0) * 1e3,
                 (unsigned long long)r.rows);
    ri_query_release(query);
}

static void bench_floor(floor_people *f, int q)
{
    enum { RUNS = 500 };
    bench_series series = { .count = 0 };
    uint64_t sum = 0;
    uint32_t rows = 0;
    if (wanted != NULL) {
        return;
    }
    for (int run = 0; run < RUNS; run++) {
        double start = cpu_now();
        rows = floor_query(f, q);
        for (uint32_t i = 0; i < rows; i++) {
            sum += f->out[0][i] + f->out[1][i] + f->out[2][i];
        }
        bench_add(&series, cpu_now() - start);
    }
    double median = bench_quantile(&series, 0.5);
    (void)printf("  floor: loops over arrays   %10.4f ms  (min %.4f)  %8u rows%s\n", median * 1e3,
                 bench_quantile(&series, 0) * 1e3, rows, sum == 0 ? " (empty)" : "");
}

static void bench_people(void)
{
    rille_db *db = make_people();
    floor_people f = floor_make(PEOPLE);
    ri_input in[] = { { .kind = RI_INPUT_DB, .db = db } };
    bench("q1", "[:find ?e :where [?e :name \"Ivan\"]]", in, 1, 500);
    bench_floor(&f, 1);
    bench("q2", "[:find ?e ?a :where [?e :name \"Ivan\"] [?e :age ?a]]", in, 1, 500);
    bench_floor(&f, 2);
    bench("q3", "[:find ?e ?a :where [?e :name \"Ivan\"] [?e :age ?a] [?e :sex :male]]", in, 1, 500);
    bench_floor(&f, 3);
    bench("q4", "[:find ?e ?l ?a :where [?e :name \"Ivan\"] [?e :last-name ?l] [?e :age ?a] [?e :sex :male]]", in, 1,
          500);
    bench_floor(&f, 4);
    floor_free(&f);
    bench("q-ages (set)", "[:find ?a :where [?e :name \"Ivan\"] [?e :age ?a]]", in, 1, 500);
    bench("q5 value join",
          "[:find ?e1 ?e2 :where [?e1 :name \"Ivan\"] [?e1 :last-name \"Petrov\"] [?e1 :age ?a] [?e2 :age ?a]]", in, 1,
          20);
    bench("qpred", "[:find ?e ?s :where [?e :salary ?s] [(> ?s 50000)]]", in, 1, 100);
    bench("qpred narrow", "[:find ?e ?s :where [?e :salary ?s] [(> ?s 99000)]]", in, 1, 100);
    bench("not", "[:find ?e :where [?e :name \"Ivan\"] (not [?e :sex :male])]", in, 1, 100);
    bench("or", "[:find ?e :where (or [?e :name \"Ivan\"] [?e :age 30])]", in, 1, 100);
    bench("count by sex", "[:find ?s (count ?e) :where [?e :sex ?s]]", in, 1, 100);
    bench("avg salary by name", "[:find ?n (avg ?s) :with ?e :where [?e :name ?n] [?e :salary ?s]]", in, 1, 100);
    bench("one entity", "[:find ?n :where [1048576 :name ?n]]", in, 1, 500);
    ri_db_release(db);
}

static void bench_items(void)
{
    rille_db *a = make_items(0);
    rille_db *b = make_items(1);
    ri_input in[] = { { .kind = RI_INPUT_DB, .db = a }, { .kind = RI_INPUT_DB, .db = b } };
    bench("two databases",
          "[:find ?t ?q :in $a $b :where [$a ?p :sku ?s] [$a ?p :title ?t] [$b ?i :stock/sku ?s] [$b ?i :qty ?q]]", in,
          2, 20);
    ri_db_release(a);
    ri_db_release(b);
}

static void bench_rules(void)
{
    static const char *const forms[] = {
        "[[(needs ?a ?b) [?a :dep ?b]] [(needs ?a ?b) [?a :dep ?c] (needs ?c ?b)]]",
        "[[(needs ?a ?b) [?a :dep ?b]] [(needs ?a ?b) (needs ?a ?c) [?c :dep ?b]]]",
    };
    static const char *const names[] = { "closure, right", "closure, left" };
    static const char *const back[] = { "closure back, right", "closure back, left" };
    rille_db *db = make_packages();
    for (int i = 0; i < 2; i++) {
        rille_err err = { 0 };
        ri_arena arena = { 0 };
        ri_form rules;
        bench_must(ri_edn_read(&arena, forms[i], strlen(forms[i]), &rules, &err), &err);
        ri_input in[] = { { .kind = RI_INPUT_DB, .db = db }, { .kind = RI_INPUT_RULES, .rules = &rules } };
        bench(names[i], "[:find ?b :in $ % :where [?a :pkg 64000] (needs ?a ?b)]", in, 2, 10);
        bench(back[i], "[:find ?a :in $ % :where [?b :pkg 100] (needs ?a ?b)]", in, 2, 10);
        ri_arena_deinit(&arena);
    }
    ri_input in[] = { { .kind = RI_INPUT_DB, .db = db } };
    bench("two hops", "[:find ?c :where [?a :pkg 64000] [?a :dep ?b] [?b :dep ?c]]", in, 1, 100);
    ri_db_release(db);
}

int main(int argc, char **argv)
{
    wanted = argc > 1 ? argv[1] : NULL;
    runs_wanted = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    bench_machine("bench_query: planned and run to columns, AST prepared");
    bench_people();
    bench_items();
    bench_rules();
    return 0;
}
