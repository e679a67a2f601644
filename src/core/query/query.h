/* SPDX-License-Identifier: MIT
 *
 * Running queries: inputs, the operation, its steps, its result.
 */
#ifndef RI_QUERY_H
#define RI_QUERY_H

#include "../db/db.h"
#include "ast.h"
#include "table.h"

typedef struct rille_op rille_op;

typedef enum ri_input_kind { RI_INPUT_DB, RI_INPUT_TABLE, RI_INPUT_VALUE, RI_INPUT_RULES } ri_input_kind;
/* One input of :in. A scalar is a value, or a table of 1 row and 1 column; a list is a table of 1 column, a tuple one of
 * 1 row; rows (Lua, CSV) as a source or relation: a table. */
typedef struct ri_input {
    ri_input_kind kind;
    rille_db *db;         /* borrowed until the op is made (which retains) */
    ri_table *table;      /* stays the caller's, must outlive the op */
    ri_value value;       /* so do its bytes */
    const ri_form *rules; /* borrowed until the op is made */
    ri_text rules_text;   /* what they were read from, borrowed likewise */
} ri_input;

#define RI_ORDER_AS_WRITTEN UINT64_MAX
typedef struct ri_op_options {
    uint64_t timeout_ms; /* 0: none */
    size_t memory_bytes; /* 0: none */
    ri_meter *meter;     /* begun by the host, which counts its inputs with it; it outlives the operation. NULL: the
                            operation has its own, with the two limits above */
    int64_t limit;       /* -1: as in the query */
    int64_t offset;      /* -1: as in the query */
    /* For tests: not 0: clauses run in any order that is allowed, chosen by this number, or in that as written. */
    uint64_t order_seed;
    /* Is this name a function of the host? Unknown ones are RILLE_QUERY. May be NULL. */
    bool (*has_function)(void *context, const char *name);
    /* For tests, may be NULL: asked at the beginning of each unit of work, true interrupts the step there. */
    bool (*interrupt)(void *context);
    void *context;
} ri_op_options;

/* Checks the inputs against :in (RILLE_INPUT names what is expected and what came), resolves idents, plans. Does not
 * read storage. */
int ri_op_new(rille_query *query, const ri_input *inputs, size_t input_count, const ri_op_options *options,
              rille_op **out, rille_err *err);
void ri_op_release(rille_op *op);

/* ---- running again (again.c) ---- */

/* Ends a run, however far it came: gives back the inputs, the databases, the query and all nodes, and keeps the plan and
 * its memory for another run. False: this operation cannot run again, release it. Nothing else may be done with one that
 * rests but ri_op_again and release. */
bool ri_op_rest(rille_op *op);
/* Begins another run of an operation that rests, with the same query. *fits: it did; else, and after an error, release
 * the operation and make a new one, which will say what is wrong. options: with the same meter (or none), which
 * ri_meter_again has begun anew. Does not read storage. */
void ri_op_again(rille_op *op, rille_query *query, const ri_input *inputs, size_t input_count,
                 const ri_op_options *options, bool *fits);
/* One step of at most about budget_us (0: no limit).
 * RILLE_ROWS: a batch of result rows is in ri_op_rows; RILLE_NEED: ri_op_io has wants; RILLE_AGAIN: the budget is used
 * up; RILLE_CALL: see ri_op_call; RILLE_DONE; or an error. */
int ri_op_step(rille_op *op, uint64_t budget_us, rille_err *err);
ri_io *ri_op_io(rille_op *op);
/* The rows of the last RILLE_ROWS: one column a find element, already distinct, aggregated, ordered, limited. Valid
 * until the next step. */
const ri_vec *ri_op_rows(const rille_op *op, uint32_t *count);
/* The pending call: function name, arguments (vec or constant) and row count. The host puts a result a row (ri_vec_set
 * into out from row 0; RI_NIL drops the row, and so does false where the clause is a predicate) and steps on. Bytes given must live until the op's next call or
 * release: allocate them in *arena. */
typedef struct ri_call {
    const char *name;
    const struct ri_arg *args;
    unsigned arg_count;
    uint32_t rows;
    ri_vec *out;
    ri_arena *arena;
} ri_call;
ri_call *ri_op_call(rille_op *op);
void ri_op_cancel(rille_op *op); /* from any thread: the next step gives RILLE_CANCELLED */

/* Runs to the end, fetching by itself, into a table of find_count columns. RILLE_CALL is an error here (RILLE_QUERY):
 * hosts with functions step. */
int ri_query_run(rille_query *query, const ri_input *inputs, size_t input_count, const ri_op_options *options,
                 ri_table *out, rille_err *err);
/* Steps and fetches to the end, into a table as ri_query_run makes it. */
int ri_op_collect(rille_op *op, ri_table *out, rille_err *err);
/* The plan as text, a line an operator: clause, access path, estimated rows, actual rows once it ran; then a line a
 * store: what it was asked for. Appends. */
int ri_op_explain(const rille_op *op, ri_buf *out);

/* The same as data. A stage of the plan, in the order in which rows pass; texts are appended to `text`, each with a 0. */
typedef struct ri_explained {
    const char *label;
    size_t clause; /* where in `text`; SIZE_MAX: it has none */
    size_t range;  /* the predicates that cut it; likewise */
    unsigned depth;
    double est_rows; /* 0: not estimated */
    uint64_t rows;
} ri_explained;
size_t ri_op_stage_count(const rille_op *op);
int ri_op_explain_stage(const rille_op *op, size_t index, ri_explained *out, ri_buf *text);
/* Sources in the order of :in. False: it is a relation, or has the store of an earlier one, whose counts are for both.
 * planning: what the plan took of that. */
size_t ri_op_source_count(const rille_op *op);
const char *ri_op_source_name(const rille_op *op, size_t index);
const ri_store *ri_op_source_store(const rille_op *op, size_t index); /* NULL: a relation */
bool ri_op_source_spent(const rille_op *op, size_t index, ri_spent *all, ri_spent *planning);

#endif
