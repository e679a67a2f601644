/* SPDX-License-Identifier: MIT
 *
 * What the tests of careless calls share: a small database, a query of it, its result and its steps.
 */
#ifndef TEST_QUERY_CALLS_H
#define TEST_QUERY_CALLS_H

#include "harness.h"

#include "rille/backend.h"
#include "rille/rille.h"

#include <limits.h>

typedef struct world {
    rille_conn *conn;
    rille_db *db;
    rille_query *query;
    rille_result *result;
    rille_steps *steps;
    rille_value min;
    rille_input inputs[2];
    uint64_t e; /* of Ada */
} world;

static const char schema[] = "[{:db/ident :p/name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :p/age :db/valueType :db.type/long}]";
static const char data[] = "[{:p/name \"Ada\" :p/age 36} {:p/name \"Bob\" :p/age 17} {:p/name \"Cyd\" :p/age 52}]";
static const char adults[] = "[:find ?n ?a :in $ ?min :where [?p :p/age ?a] [(>= ?a ?min)] [?p :p/name ?n]]";

static inline void world_init(world *w, const char *url)
{
    rille_options options = { .create = true };
    memset(w, 0, sizeof *w);
    REQUIRE_RC(rille_connect(url, &options, &w->conn, &test_err), 0);
    REQUIRE_RC(rille_transact(w->conn, schema, sizeof schema - 1, NULL, &test_err), 0);
    REQUIRE_RC(rille_transact(w->conn, data, sizeof data - 1, NULL, &test_err), 0);
    REQUIRE_RC(rille_conn_db(w->conn, &w->db, &test_err), 0);
    REQUIRE_RC(rille_prepare(adults, sizeof adults - 1, &w->query, &test_err), 0);
    w->min = rille_long(18);
    w->inputs[0].db = w->db;
    w->inputs[1].values = &w->min;
    w->inputs[1].value_count = 1;
    REQUIRE_RC(rille_run(w->query, w->inputs, 2, &w->result, &test_err), 0);
    REQUIRE_RC(rille_start(w->query, w->inputs, 2, &w->steps, &test_err), 0);
}

static inline void world_deinit(world *w)
{
    rille_steps_close(w->steps);
    rille_result_close(w->result);
    rille_query_close(w->query);
    rille_db_release(w->db);
    rille_close(w->conn);
}

static char junk; /* where outputs point before a call */
#define JUNK ((void *)&junk)

/* ---- NULL for each pointer in turn ---- */

#define ALL UINT_MAX /* every pointer is NULL */
#define GIVE(i, pointer) (null == (i) || null == ALL ? NULL : (pointer))

/* An output is untouched when its address is NULL, else NULL after a failure. */
static inline void check_out(const void *out, bool given, int rc)
{
    CHECK(!given ? out == JUNK : rc == 0 || out == NULL);
}

typedef struct attempt {
    const char *names;
    int (*call)(world *w, unsigned null, rille_err *err);
    unsigned pointer_count; /* those that must be given, from 1 */
    int expected;           /* if one of them is NULL */
} attempt;

static inline void check_attempt(world *w, const attempt *a, unsigned null)
{
    int expected = null == 0 ? 0 : a->expected;
    rille_err err = { 0 };
    int rc = a->call(w, null, &err);
    if (rc != expected || (rc != 0 && (err.code != rc || strstr(err.message, a->names) == NULL))) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%s with pointer %d NULL gave %s (%s)\n", a->names, (int)null, rille_code_name(rc),
                      err.message);
    }
    CHECK_EQ_INT(a->call(w, null, NULL), expected); /* no rille_err is wanted */
}

static inline void check_attempts(world *w, const attempt *attempts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned null = 0; null <= attempts[i].pointer_count; null++) {
            check_attempt(w, &attempts[i], null);
        }
        if (attempts[i].pointer_count > 0) {
            check_attempt(w, &attempts[i], ALL);
        }
    }
}

#endif
