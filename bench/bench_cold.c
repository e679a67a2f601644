/* SPDX-License-Identifier: MIT
 *
 * One cold operation on databases in a bucket, for bench/cold/run, which counts what a proxy sees of it.
 *
 *     bench_cold OPERATION HOW ENDPOINT PEOPLE ORDERS
 *
 * HOW: "rille", or "single", a reader that has one request at a time under way, for one object or node. PEOPLE and ORDERS
 * are BUCKET/PREFIX; bench/cold/people.lua makes them. Credentials come from the environment. Prints the milliseconds
 * from the first connection to the last row, and the number of rows.
 */
#include "../src/core/store/backends.h"
#include "bench.h"
#include "rille/rille.h"

#define WAIT_MS 1000
#define COMMITS 21

/* ---- the reader of one at a time ---- */

static int single_get(rille_backend *inner, rille_get *get, rille_err *err)
{
    int rc;
    while ((rc = inner->ops->get_many(inner->self, get, 1, err)) == RILLE_NEED) {
        inner->ops->wait(inner->self, WAIT_MS);
    }
    return rc;
}

static int single_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = single_get(self, &gets[i], err);
        if (rc != RILLE_OK) {
            return rc;
        }
    }
    return RILLE_OK;
}

static int single_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                            rille_err *err)
{
    rille_backend *inner = self;
    int rc;
    while ((rc = inner->ops->head_read(inner->self, branch, known, out, err)) == RILLE_NEED) {
        inner->ops->wait(inner->self, WAIT_MS);
    }
    return rc;
}

static int single_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    (void)self, (void)puts, (void)count, (void)err;
    return RILLE_READONLY;
}

static int single_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    (void)self, (void)swap, (void)revision, (void)err;
    return RILLE_READONLY;
}

static void single_close(void *self)
{
    rille_backend *inner = self;
    inner->ops->close(inner->self);
    free(inner);
}

static const rille_backend_ops single_ops = {
    .get_many = single_get_many,
    .put_many = single_put_many,
    .head_read = single_head_read,
    .head_swap = single_head_swap,
    .close = single_close,
};

static int connect_single(const char *endpoint, const char *place, rille_conn **out, rille_err *err)
{
#if RILLE_WITH_CURL
    rille_setting params[] = { { "endpoint", endpoint } };
    ri_remote remote = { .scheme = "s3", .place = place, .shown = place, .params = params, .param_count = 1 };
    rille_backend *inner = calloc(1, sizeof *inner);
    if (inner == NULL) {
        return RILLE_NOMEM;
    }
    bench_must(ri_backend_s3_open(&remote, inner, err), err);
    rille_backend backend = { &single_ops, inner, RILLE_BACKEND_READONLY };
    return rille_connect_backend(&backend, place, NULL, out, err);
#else
    (void)endpoint, (void)single_ops;
    return rille_connect(place, NULL, out, err); /* says what this build lacks */
#endif
}

/* ---- operations ---- */

typedef struct world {
    const char *how;
    const char *endpoint;
    const char *people;
    const char *orders;
} world;

static rille_conn *connect_to(const world *w, const char *place)
{
    rille_err err = { 0 };
    rille_conn *conn;
    char url[1024];
    if (strcmp(w->how, "single") == 0) {
        bench_must(connect_single(w->endpoint, place, &conn, &err), &err);
        return conn;
    }
    (void)snprintf(url, sizeof url, "s3://%s?endpoint=%s", place, w->endpoint);
    bench_must(rille_connect(url, NULL, &conn, &err), &err);
    return conn;
}

static rille_db *value_of(rille_conn *conn)
{
    rille_err err = { 0 };
    rille_db *db;
    bench_must(rille_conn_db(conn, &db, &err), &err);
    return db;
}

static size_t run_query(const char *text, rille_db *first, rille_db *second)
{
    rille_err err = { 0 };
    rille_query *query;
    rille_result *result;
    rille_input inputs[] = { { .db = first }, { .db = second } };
    bench_must(rille_prepare(text, strlen(text), &query, &err), &err);
    bench_must(rille_run(query, inputs, second != NULL ? 2 : 1, &result, &err), &err);
    size_t rows = rille_result_rows(result);
    rille_result_close(result);
    rille_query_close(query);
    return rows;
}

static size_t query_people(const world *w, const char *text)
{
    rille_conn *conn = connect_to(w, w->people);
    rille_db *db = value_of(conn);
    size_t rows = run_query(text, db, NULL);
    rille_db_release(db);
    rille_close(conn);
    return rows;
}

static size_t op_point(const world *w)
{
    return query_people(w, "[:find ?v :where [?e :uid \"u00004711\"] [?e :name ?v]]");
}

static size_t op_q2(const world *w)
{
    return query_people(w, "[:find ?e ?a :where [?e :name \"Ivan\"] [?e :age ?a]]");
}

static size_t op_join(const world *w)
{
    rille_conn *orders = connect_to(w, w->orders);
    rille_conn *people = connect_to(w, w->people);
    rille_db *first = value_of(orders);
    rille_db *second = value_of(people);
    size_t rows = run_query("[:find ?o ?n :in $ $people :where [?o :order/day 7] [?o :order/uid ?u]"
                            " [$people ?p :uid ?u] [$people ?p :name ?n]]",
                            first, second);
    rille_db_release(second);
    rille_db_release(first);
    rille_close(people);
    rille_close(orders);
    return rows;
}

/* All datoms of an order. */
static size_t op_scan(const world *w)
{
    rille_conn *conn = connect_to(w, w->people);
    rille_db *db = value_of(conn);
    rille_err err = { 0 };
    rille_steps *steps;
    size_t rows = 0;
    int rc;
    bench_must(rille_start_datoms(db, "eavt", NULL, 0, &steps, &err), &err);
    while ((rc = rille_step(steps, 0, &err)) != RILLE_DONE) {
        rows += rc == RILLE_ROWS ? rille_steps_rows(steps) : 0;
        bench_must(rc == RILLE_NEED ? rille_fetch(steps, &err) : rc < 0 ? rc : 0, &err);
    }
    rille_steps_close(steps);
    rille_db_release(db);
    rille_close(conn);
    return rows;
}

static size_t commits(const world *w, unsigned count)
{
    rille_conn *conn = connect_to(w, w->orders);
    rille_err err = { 0 };
    char text[128];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "[{:order/day 100 :order/uid \"u%08u\"}]", i);
        bench_must(rille_transact(conn, text, strlen(text), NULL, &err), &err);
    }
    rille_close(conn);
    return count;
}

static size_t op_commit(const world *w)
{
    return commits(w, 1);
}

static size_t op_commits(const world *w)
{
    return commits(w, COMMITS);
}

static const struct operation {
    const char *name;
    size_t (*run)(const world *w);
} operations[] = { { "point", op_point }, { "q2", op_q2 },         { "join", op_join },
                   { "scan", op_scan },   { "commit", op_commit }, { "commits", op_commits } };

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 6 && i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, argv[1]) == 0) {
            world w = { argv[2], argv[3], argv[4], argv[5] };
            double begun = bench_now();
            size_t rows = operations[i].run(&w);
            printf("%.3f %zu\n", (bench_now() - begun) * 1e3, rows);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: bench_cold point|q2|join|scan|commit|commits rille|single ENDPOINT PEOPLE ORDERS\n");
    return 2;
}
