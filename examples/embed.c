/* SPDX-License-Identifier: MIT
 *
 * rille in a C program, without Lua: a database in a directory, a transaction, a query with an input, the past.
 *
 *     cc -std=c11 embed.c $(pkg-config --cflags --libs rille) -o embed && ./embed
 *
 * It is C++ as well: c++ -std=c++17 -x c++ embed.c ...
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rille/rille.h"

#define URL "file:games"

static const char schema[] = "[{:db/ident :player/name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :player/score :db/valueType :db.type/long}]";

static const char query_text[] = "[:find ?name ?score"
                                 " :in $ ?min"
                                 " :where [?p :player/score ?score] [(>= ?score ?min)] [?p :player/name ?name]"
                                 " :order-by [?score :desc]]";

/* Shows the players with at least `min` points, as the database value knows them. */
static int show(const char *title, rille_query *query, rille_db *db, int64_t min, rille_err *err)
{
    rille_value limit = rille_long(min);
    rille_input inputs[2];
    rille_result *result;
    memset(inputs, 0, sizeof inputs);
    inputs[0].db = db;
    inputs[1].values = &limit;
    inputs[1].value_count = 1;
    int rc = rille_run(query, inputs, 2, &result, err);
    if (rc != 0) {
        return rc;
    }
    printf("%s\n", title);
    for (size_t row = 0; row < rille_result_rows(result); row++) {
        rille_value name = rille_result_get(result, row, 0);
        rille_value score = rille_result_get(result, row, 1);
        printf("  %-10.*s %6" PRId64 "\n", (int)name.len, (const char *)name.u.bytes, score.u.i);
    }
    rille_result_close(result);
    return 0;
}

/* Commits EDN text; *tx becomes the id of the transaction. */
static int transact(rille_conn *conn, const char *edn, uint64_t *tx, rille_err *err)
{
    rille_commit commit;
    int rc = rille_transact(conn, edn, strlen(edn), &commit, err);
    if (rc == 0) {
        *tx = commit.tx;
    }
    return rc;
}

static int play(rille_conn *conn, rille_query *query, rille_err *err)
{
    rille_db *now = NULL;
    rille_db *before = NULL;
    uint64_t tx = 0;
    uint64_t first = 0;
    int rc = transact(conn, schema, &tx, err);
    if (rc == 0) {
        rc = transact(conn, "[{:player/name \"Ada\" :player/score 90} {:player/name \"Bo\" :player/score 70}]", &first,
                      err);
    }
    if (rc == 0) { /* the name identifies: this changes Bo, and makes Cy */
        rc = transact(conn, "[{:player/name \"Bo\" :player/score 120} {:player/name \"Cy\" :player/score 30}]", &tx,
                      err);
    }
    if (rc == 0) {
        rc = rille_conn_db(conn, &now, err);
    }
    if (rc == 0) {
        rc = rille_db_as_of(now, first, &before, err);
    }
    if (rc == 0) {
        rc = show("now", query, now, 50, err);
    }
    if (rc == 0) {
        rc = show("one transaction ago", query, before, 50, err);
    }
    rille_db_release(before);
    rille_db_release(now);
    return rc;
}

int main(void)
{
    rille_options options;
    rille_conn *conn = NULL;
    rille_query *query = NULL;
    rille_err err;
    int rc;
    memset(&options, 0, sizeof options);
    options.create = true;
    rc = rille_connect(URL, &options, &conn, &err);
    if (rc == 0) {
        rc = rille_prepare(query_text, strlen(query_text), &query, &err);
    }
    if (rc == 0) {
        rc = play(conn, query, &err);
    }
    rille_query_close(query);
    rille_close(conn);
    if (rc != 0) {
        fprintf(stderr, "embed: %s (%s)\n", err.message, rille_code_name(rc));
        return 1;
    }
    return 0;
}
