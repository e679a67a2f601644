/* SPDX-License-Identifier: MIT
 *
 * A running query as Lua holds it: shared by rl_input.c (what goes in), rl_op.c (steps) and rl_result.c (what comes
 * out).
 */
#ifndef RL_OP_H
#define RL_OP_H

#include "rl.h"

#include "../core/query/functions.h"

/* A table of the inputs, and how far its rows, which Lua has, are read. */
typedef struct rl_rows {
    size_t input; /* its number, from 1 */
    ri_table *table;
    ri_vec *cols; /* of the batch that is filled */
    const ri_vec **places;
    size_t count; /* rows, when the operation began */
    size_t keys;  /* of the Lua table that were counted: there must be no more than rows */
    size_t next;  /* row */
    uint32_t filled;
    uint16_t width;
    bool is_list;  /* rows are the values themselves, else arrays of `width` values */
    bool has_keys; /* all are counted */
} rl_rows;
#define RL_KEYS_SLICE 1024U
#define RL_ROWS_SLICE 64U

typedef struct rl_op {
    ri_kept kept;       /* between two runs of a query, which keeps it then */
    rille_query *query; /* retained */
    rille_op *op;       /* NULL until the inputs are read, where there was no earlier run */
    ri_meter meter;     /* of the inputs, of op, and of the result while it grows */
    ri_arena arena;     /* inputs */
    ri_input *inputs;
    ri_table *tables; /* made of Lua data */
    rl_rows *lists;   /* of each of these */
    size_t list;      /* that is being read */
    size_t input_count;
    ri_op_options options; /* while it reads */
    bool reads;            /* rows of inputs are left: there is no op yet, or only that of an earlier run */
    bool cancelled;        /* meanwhile */
    rl_result **results;   /* of other queries, retained */
    rille_db **dbs;        /* retained: whole values of stubs are read from their stores */
    size_t table_count;
    size_t result_count;
    size_t db_count;

    /* The batch at hand. */
    const ri_vec *rows;
    uint32_t count;
    uint32_t next;
    bool unresolved; /* it may have stubs still */
    bool done;

    /* Stubs of the batch made whole. */
    ri_io blob_io;
    bool blob_need;    /* blob_io has the wants that the last step spoke of */
    size_t store_skip; /* stores that do not have the blob asked for last */
    ri_vec *whole;     /* find_count columns */
    ri_arena batch_arena;

    rl_result *result;   /* of a run that was interrupted by a call, or NULL */
    uint32_t boxed_runs; /* so many runs in a box come next (rl_run.c) */
    uint32_t called;     /* rows of the pending call that have their result */
    size_t read_bytes;   /* by which the caches of the databases have grown since it was last noted */
    rille_err failure;   /* of a Lua function or of the host, said again by every step; code 0: none */
} rl_op;

/* The code of a failure, with its message in *err: that of the meter when it is the cause. */
static inline int rl_op_failed(const rl_op *op, int rc, rille_err *err)
{
    int stopped = ri_meter_error(&op->meter, err);
    return stopped != 0 ? stopped : rc;
}
/* Reads the inputs at stack indices [first, first + count) and makes op->op. */
int rl_op_begin(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count, const ri_op_options *options,
                rille_err *err);
/* The same in slices: RILLE_AGAIN when there are more than a few rows. Then rl_op_keep_inputs, with the box of op at `box`,
 * and rl_op_read before anything else: RILLE_AGAIN until op->op is made. (rl_read.c) */
int rl_op_begin_part(lua_State *L, const rl_state *state, rl_op *op, int first, size_t count,
                     const ri_op_options *options, rille_err *err);
void rl_op_keep_inputs(lua_State *L, int box, int first, size_t count);
int rl_op_read(lua_State *L, rl_state *state, rl_op *op, int box, uint64_t budget_us, rille_err *err);
/* A slice of what is left of the inputs. `inputs`: the stack index of the first one, or of a table of them. `key`: of a
 * key, nil at first. RILLE_AGAIN: there are more. */
int rl_op_read_slice(lua_State *L, const rl_state *state, rl_op *op, int inputs, bool is_table, int key,
                     rille_err *err);
int rl_op_make(rl_op *op, const ri_op_options *options, rille_err *err);
/* RILLE_ROWS (op->rows has no stubs), RILLE_NEED, RILLE_AGAIN, RILLE_CALL, RILLE_DONE or an error. RILLE_MISUSE while
 * rows of a call have no answer: the engine would take what is not there for it. */
int rl_op_step(rl_op *op, uint64_t budget_us, rille_err *err);
/* Rows of the batch at hand that can be taken. */
static inline uint32_t rl_op_left(const rl_op *op)
{
    return op->unresolved ? 0 : op->count - op->next;
}
/* Rows of the batch that nobody took yet go to op->result. */
int rl_op_take_batch(rl_op *op, rille_err *err);
/* Fetches what a step needed. Blocks. */
int rl_op_fetch(rl_op *op, rille_err *err);
/* Does it need something of a store that may not answer at once; of a backend that is written in Lua? */
bool rl_op_is_far(rl_op *op);
bool rl_op_is_hosted(rl_op *op);
/* The io that has the wants. */
ri_io *rl_op_io(rl_op *op);
/* Steps until there are rows, the end, or a call; RILLE_AGAIN when the clock (ri_clock_us) is at ends_us, but after one
 * step at least. It fetches what is needed, or without `fetches` gives RILLE_NEED. */
int rl_op_advance(rl_op *op, bool fetches, uint64_t ends_us, rille_err *err);
/* Is the blob of a stub not here yet? It is wanted now. */
bool rl_op_lacks(rl_op *op, const ri_value *stub);
/* An argument of a call, whole. */
int rl_op_whole(rl_op *op, const ri_value *stub, ri_value *out, rille_err *err);
/* Tells the collector what the operation holds now. */
void rl_op_note(lua_State *L, rl_box *box);
/* A new operation pauses where tests want it (rl_pause.c): before it is made, and after. */
void rl_pause_options(rl_state *state, ri_op_options *options);
void rl_pause_reads(rl_state *state, rl_op *op);
/* An operation for a run of the query: the one that it keeps, or a new one. NULL: no memory. */
rl_op *rl_op_take(rille_query *query, size_t memory_bytes, uint64_t timeout_ms);
/* The one that it keeps, for a run without limits; NULL: there is none. */
rl_op *rl_op_take_kept(rille_query *query);
/* Methods: explain() --> text; explain_data() --> table. (rl_explain.c) */
int rl_op_explain(lua_State *L);
int rl_op_explain_data(lua_State *L);
/* Of an op that is in no box any more: kept by its query for the next run, or freed. */
void rl_op_release(void *handle);

/* Is there a function of this name? Asked without Lua; the context is the rl_state, which outlives every operation. */
bool rl_has_function(void *context, const char *name);

/* _run of queries (rl_run.c). */
int rl_query_run(lua_State *L);

/* Makes an empty result for the query; NULL: no memory. */
rl_result *rl_result_new(rille_query *query, rille_err *err);
/* The box of a result is on top: pushes what a finished query gives (the result itself, a list, a row or a value). */
int rl_push_outcome(lua_State *L, rl_box *box);
void rl_push_column_name(lua_State *L, const rille_query *query, uint16_t column);
/* Row methods of ops. */
int rl_op_next(lua_State *L);
int rl_op_iterate(lua_State *L);

/* ---- calls of Lua functions (rl_call.c) ---- */

int rl_call_begin(lua_State *L);
int rl_call_lacks(lua_State *L);
int rl_call_args(lua_State *L);
int rl_call_give(lua_State *L);
int rl_call_fail(lua_State *L);

#endif
