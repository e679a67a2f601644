/* SPDX-License-Identifier: MIT
 *
 * What the files of the public C functions share.
 */
#ifndef RI_API_OWN_H
#define RI_API_OWN_H

#include "rille/rille.h"

#include "../db/conn.h"
#include "../store/task.h"
#include "query.h"

/* A pointer that the caller must give. */
#define NEED_GIVEN(pointer, what)                                                  \
    do {                                                                           \
        if ((pointer) == NULL) {                                                   \
            return ri_fail(err, RILLE_MISUSE, "%s: %s is NULL", __func__, (what)); \
        }                                                                          \
    } while (0)

/* EDN text from outside. */
int ri_api_check_text(const char *function, const char *what, const char *text, size_t len, rille_err *err);
ri_conn_options ri_api_options(const rille_options *options);
/* RILLE_MISUSE: a setting of the storage is NULL. */
int ri_api_check_settings(const char *function, const rille_setting *settings, size_t count, rille_err *err);
int ri_api_check_options(const char *function, const rille_options *options, rille_err *err);
int ri_api_check_backend(const char *function, const rille_backend *backend, rille_err *err);
void ri_api_commit(const ri_block *block, rille_commit *out);

/* The engine's form of a query's inputs; tables and rules live in what is passed. */
typedef struct ri_api_inputs {
    ri_input *items;
    ri_table *tables;
    ri_form *rules;
    size_t count;
    size_t table_count;
    ri_arena arena;
} ri_api_inputs;

/* A run of a query, and between two of them what the query keeps (again.c). */
typedef struct ri_api_run {
    ri_kept kept;
    rille_query *query; /* retained during the run */
    rille_op *op;
    ri_api_inputs in;
} ri_api_run;
void ri_api_run_end(ri_api_run *run);

/* An operation: a query, or what a function runs in a task. */
struct rille_steps {
    rille_op *op; /* NULL: the latter */
    ri_api_run *query_run;
    size_t column_count;

    ri_task task;
    int (*run)(rille_steps *steps, rille_err *err);
    bool has_ended;
    int rc;           /* then */
    rille_err err;    /* likewise */
    rille_conn *conn; /* arguments */
    rille_db *db;
    char *url;
    ri_store *store;
    ri_conn_options options;
    char branch[64];
    uint64_t tx;
    int64_t instant_ms;
    ri_arena arena; /* of the form, and the text, which it borrows from */
    ri_edn_reader reader;
    ri_form form;
    bool has_form;
    ri_tx *filled; /* a transaction under way */
    size_t filled_items;
    ri_commit *kept;
    unsigned tries;
    ri_begin begin; /* of the next one */
    ri_verify_run *verify;
    ri_flush_run *flush;
    struct ri_warm *warm;
    struct ri_api_range *range;
    rille_conn *out_conn; /* results */
    rille_db *out_db;
    rille_commit out_commit;
    uint64_t out_number;
};

#define RI_STEPS_EDN_PORTION 8192U /* of a transaction's text, which is read at once */

/* ---- what is run (api_runs.c) ---- */

int ri_run_as_of(rille_steps *s, rille_err *err);
int ri_run_as_of_instant(rille_steps *s, rille_err *err);
int ri_run_connect(rille_steps *s, rille_err *err);
int ri_run_connect_backend(rille_steps *s, rille_err *err);
int ri_run_db(rille_steps *s, rille_err *err);
int ri_run_flush(rille_steps *s, rille_err *err);
int ri_run_transact(rille_steps *s, rille_err *err);
int ri_run_verify(rille_steps *s, rille_err *err);
int ri_run_with(rille_steps *s, rille_err *err);

/* An operation that runs a function; its arguments are retained. (api_steps.c) */
int ri_api_start(rille_conn *conn, rille_db *db, int (*run)(rille_steps *, rille_err *), rille_steps **out,
                 rille_err *err);

/* Values of callers. (api.c) */
int ri_api_value_in(const rille_value *in, ri_value *out, rille_err *err);
rille_value ri_api_value_out(const ri_value *v);
/* ... as datoms of an attribute have them: converted, and short. */
int ri_api_key(const ri_attr *attr, const rille_value *value, ri_arena *arena, ri_value *out, rille_err *err);
/* The attribute, which must be unique for `function`, and such a value of it. (api_datoms.c) */
int ri_api_unique(const rille_db *db, const char *function, const char *attribute, const rille_value *value,
                  ri_arena *arena, const ri_attr **attr, ri_value *out, rille_err *err);

/* Ranges of an index. (api_datoms.c) */
typedef struct ri_api_range ri_api_range;
void ri_api_range_free(ri_api_range *range);
void ri_api_range_drop(ri_api_range *range); /* its batch; NULL is allowed */
size_t ri_api_range_rows(const ri_api_range *range);
rille_value ri_api_range_get(const rille_steps *steps, size_t row, size_t column);

#endif
