/* SPDX-License-Identifier: MIT
 *
 * The executor's private header: planning, inputs, the end of the chain, and the operation itself; with it all the
 * others.
 *
 * A query becomes a chain of STAGES, each of which pulls batches from its input and gives batches on. A stage works in
 * UNITS (stage.h). Whatever it was doing is kept in the stage, never on the C stack: after NEED, AGAIN and CALL the
 * whole chain is called again from its end, and each stage goes on with the unit that it had begun.
 *
 * Invariants:
 * (X1) A batch and its bytes are valid until its stage is asked for the next one; a stage asks its input for the next
 * batch only after all that came of the last one was delivered. So words may be shared and bytes borrowed along the
 * chain. (X2) cols[var_count] of every batch is the ORIGIN: in the chains inside not, or and tail-recursive rules, the
 * number of the row that was fed in; elsewhere absent. (X3) A variable that an input of one row gives is FIXED: it is a
 * constant of its scope and never a column. (X4) An entity id is REF or LONG, which are equal; a stage that takes one
 * accepts both. (X5) Hidden columns (ri_hidden_var) are made by a stage of names for the stage that follows it.
 * (X6) A budget interrupts a query only between two units, in ri_begin_unit; a unit that was begun is never counted
 * again, so that every step does at least one unit, and a query takes at most as many steps as units. But where a unit is
 * the first to read a value, it may wait for a set as for a node (RILLE_NEED), until that is made (`pauses`). (X7) A unit does
 * about RI_UNIT_WORK at most, as the meter counts it, or handles one value: what may be more is done in several.
 */
#ifndef RI_EXEC_H
#define RI_EXEC_H

#include "../store/task.h"
#include "access.h"
#include "range.h"
#include "stages.h"

/* ---- rules ---- */

typedef struct ri_ruleset ri_ruleset;
int ri_ruleset_new(rille_op *op, ri_ruleset **out, rille_err *err);
void ri_ruleset_release(ri_ruleset *ruleset, ri_meter *meter); /* tables; the rest is the arena's */
/* Index of a rule name, or -1. */
int ri_rule_find(const rille_op *op, const char *name);
/* A call as two stages: demand and fixpoint, then a join with the answers. */
int ri_rule_stages(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                   const ri_varset *bound, const ri_varset *live, bool origin, ri_stage **out, rille_err *err);
/* Plans the bodies of all predicates reached so far. */
int ri_ruleset_plan(rille_op *op, rille_err *err);

/* ---- planning (plan_order.c, plan_cost.c, plan_fanout.c, plan.c) ---- */

typedef struct ri_plan_input {
    const ri_scope *scope;
    const ri_clause *clauses;
    uint16_t count;
    ri_varset bound; /* columns of the first stage */
    ri_varset live;  /* needed after the last clause */
    ri_varset given; /* of `bound`: what is bound in every plan */
    double rows;     /* estimate of what comes in */
    bool one_row;    /* what comes in is exactly one row */
    bool origin;
    bool whole; /* the body of the query itself */
    unsigned depth;
    const ri_clause *first; /* the clause to begin with, whatever it costs; NULL: any */
    const ri_ends *ends;    /* from which its values are read; NULL: all are */
} ri_plan_input;

/* What is bound: columns, and variables that are constants. */
ri_varset ri_known_vars(const ri_scope *scope, const ri_varset *bound);
/* Adds the variables of a clause that matter outside it. */
void ri_outer_vars(const ri_clause *clause, ri_varset *out);
/* Does it give at most one row for each? */
bool ri_clause_filters(const ri_clause *clause);
/* Compares clauses by what they say. (plan_ties.c) */
int ri_clause_cmp(const ri_scope *scope, const ri_clause *a, const ri_clause *b);
/* Order: order[i] = index of the clause to run i-th; est[i] rows after it. Arrays of `count`. */
int ri_plan_order(rille_op *op, const ri_plan_input *in, uint16_t *order, double *est, rille_err *err);
/* What an order costs, in rows that its stages read and give. */
typedef struct ri_plan_cost {
    double rows;
    double rows_max;  /* whatever the links that are not known are (links.h) */
    double start_min; /* the least that another clause gives at the start; negative: none can come first */
    bool choices;     /* after the first clause, several could come next that give more than one row each */
} ri_plan_cost;
/* The same from one clause after the other, as ri_plan_order does it first: without comparing starts. */
int ri_plan_order_cost(rille_op *op, const ri_plan_input *in, ri_plan_cost *cost, rille_err *err);
/* Is a clause that can fail written after this one? */
bool ri_fails_after(rille_op *op, const ri_plan_input *in, uint16_t clause);
/* Appends stages for clauses order[from..to) to *last. bound is updated; live: after order[to - 1]. */
int ri_plan_stages(rille_op *op, const ri_plan_input *in, const uint16_t *order, const double *est, uint16_t from,
                   uint16_t to, ri_varset *bound, ri_stage **last, rille_err *err);
/* The body of the query itself. */
ri_plan_input ri_plan_query_input(rille_op *op);
/* Both. */
int ri_plan_body(rille_op *op, const ri_plan_input *in, ri_stage **last, rille_err *err);
/* Orders the body of the query, which may begin with a scan from an end (plan_ends.c): then in->first and in->ends are
 * set. Arrays as for ri_plan_order. */
int ri_plan_query_order(rille_op *op, ri_plan_input *in, uint16_t *order, double *est, rille_err *err);
/* Appends a stage for numbers of several forms among the variables that are bound now and were not before. */
int ri_plan_forms(rille_op *op, const ri_plan_input *in, const ri_varset *before, const ri_varset *after,
                  ri_stage **last, rille_err *err);
/* Gives nothing / gives one row without columns, once. */
ri_stage *ri_none_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input);
ri_stage *ri_unit_stage_new(rille_op *op, const ri_scope *scope);
/* Resolves and counts every pattern that the query can reach. RILLE_NEED: call again. */
int ri_plan_count(rille_op *op, rille_err *err);
/* Counts what is not counted yet, of the patterns that are known. */
int ri_plan_count_again(rille_op *op, rille_err *err);
/* Does it cost far storage less to read all that the pattern has than to look for so many rows? (plan_far.c) */
bool ri_far_scan_pays(const ri_pattern *p, double rows);
bool ri_far_samples_cost_more(const rille_op *op, const ri_plan_cost *cost); /* than the best order saves */
/* Are the rows of `vars` distinct without looking? */
bool ri_plan_distinct(rille_op *op, const ri_varset *vars);
void ri_stage_set_carry(ri_stage *stage, const ri_varset *bound, const ri_varset *live, bool origin);

/* ---- inputs ---- */

typedef struct ri_in_column {
    const ri_table *table;
    uint16_t col;
    ri_var var;
    uint16_t input;
    uint32_t types; /* ri_types of its values */
} ri_in_column;
int ri_inputs_bind(rille_op *op, const ri_input *inputs, size_t count, rille_err *err);
/* The same for another run. False: a plan for the inputs that there were before is no plan for these. */
bool ri_inputs_bind_again(rille_op *op, const ri_input *inputs, size_t count);
ri_stage *ri_input_stage_new(rille_op *op);

/* ---- the end of the chain ---- */

typedef struct ri_find ri_find;
int ri_find_new(rille_op *op, ri_find **out, rille_err *err);
void ri_find_release(ri_find *find);
/* Gives back what belongs to the run; false: it cannot run again. */
bool ri_find_rest(ri_find *find);
void ri_find_renew(ri_find *find);
/* RILLE_ROWS: op->rows, op->row_count. */
int ri_find_next(ri_find *find, rille_err *err);
/* How many rows it has taken in: distinct ones. */
uint64_t ri_find_taken(const ri_find *find);
void ri_find_live(const rille_op *op, ri_varset *live);

/* ---- the operation ---- */

typedef enum ri_op_state {
    RI_OP_LOOK,
    RI_OP_COUNT,
    RI_OP_RANGES,
    RI_OP_SAMPLE,
    RI_OP_PLAN,
    RI_OP_RUN,
    RI_OP_ENDED
} ri_op_state;

struct rille_op {
    ri_meter *meter; /* counts all that the operation holds but nodes and blobs, which are the cache's; or meter_own */
    ri_meter meter_own;
    ri_arena arena;      /* patterns and what else lives as long as the operation */
    ri_arena plan_arena; /* stages: as long as the plan */
    ri_arena find_arena; /* :find: as long as the run */
    ri_arena values;     /* of inputs, in the form that patterns want: likewise */
    rille_query *query;
    ri_op_options options;
    ri_source *sources;
    uint16_t source_count;
    ri_scope scope;               /* of the query */
    ri_value *fixed;              /* its fixed variables */
    uint8_t *fixed_types;         /* their types as given */
    struct ri_var_info *var_info; /* types.h: of the variables of the query, then of each branch of the rules */
    uint32_t *branch_vars;        /* where those of a branch begin */
    bool *rule_fails;             /* by branch: has its rule a call that can fail? */
    ri_rules rules;
    ri_in_column *in_cols; /* of inputs with more or less than one row */
    uint16_t in_col_count;
    double in_rows;
    double planned_rows; /* in_rows, when the plan was made */
    size_t plan_bytes;   /* ri_plan_bytes at that time */
    bool in_distinct;    /* the relation of the inputs is a set, and all its columns are variables */
    bool empty;          /* an input has no rows */
    ri_pattern *patterns;
    ri_scope *scopes;      /* derived ones */
    ri_scope *uncounted;   /* those whose patterns are not all counted yet */
    struct ri_link *links; /* links.h; NULL: none were asked for */
    uint32_t link_count;
    struct ri_walk *walk;              /* walk.h; NULL: none was made */
    struct ri_rows_count *rows_counts; /* NULL: none */
    uint32_t rows_count_count;
    struct ri_rule_count *rule_counts; /* likewise: of calls of rules */
    uint32_t rule_count_count;
    bool links_noted;     /* what is asked for is noted */
    bool routed;          /* links matter, so routes to places are looked for */
    uint32_t link_rounds; /* of orders that asked for links */
    bool walked;          /* no more orders are walked: the plan is one of those that were */
    bool decided;         /* which links matter */
    ri_io io;
    ri_task pauses;   /* inside of units of work, where the first read of a value makes a set */
    ri_stage *stages; /* all, newest first */
    ri_stage *last;
    ri_ruleset *ruleset; /* NULL: no rules */
    ri_find *find;
    struct ri_lookups *lookups; /* the same as the plan; NULL: there are none */
    const rille_db *blob_db;    /* has the long values of all databases, when one has */
    bool stubs_inside;          /* of tuples that aggregates made */
    ri_bytemap stub_sources;    /* else: address of a blob -> index of the source it came from */
    ri_table **tables;          /* counted for the memory limit */
    size_t table_count;
    size_t table_cap;
    ri_call call;
    bool call_pending;
    const ri_vec *rows;
    uint32_t row_count;
    uint64_t deadline_us;   /* 0: none */
    uint32_t fanouts_left;  /* see ri_plan_fanout */
    uint64_t order_state;   /* of options.order_seed */
    uint32_t units;         /* begun in this step */
    uint32_t clocked_units; /* and when the clock was read last */
    uint64_t clocked_work;  /* what the meter had counted then */
    bool patient;           /* the budget is so large that it need not be read for each unit */
    uint64_t stretch_start; /* what the meter had counted when the budget was looked at last */
    uint64_t stretch_max;   /* the most work between two looks */
    bool ranged;            /* the ranges of patterns were found */
    bool begun;             /* the unit of work before the first stage runs */
    bool again;             /* it has a plan from an earlier run, that may fit */
    uint8_t state;          /* ri_op_state */
    ri_spent *planned;      /* what the io had spent when the plan was made: a spent a source; NULL: not yet */
    int failed;             /* the error that ended it */
    rille_err error;
    bool placed; /* the error says where it is: ri_fail_in */
    uint64_t scratch_words[RI_NODE_ROWS_MAX];
    uint32_t scratch_lens[RI_NODE_ROWS_MAX];
    uint8_t scratch_types[RI_NODE_ROWS_MAX];
    uint32_t scratch_rows[RI_BATCH_ROWS];
    uint32_t scratch_in[RI_BATCH_ROWS];
};

/* Puts the position of the clause before the message of an error, where none is yet; the scope is that of the clause.
 * Passes rc on. (origin.c) */
int ri_fail_in(rille_op *op, const ri_scope *scope, const ri_clause *clause, int rc, rille_err *err);
/* The plan is made: what is read from now on is for the rows. (explain.c) */
int ri_op_note_planned(rille_op *op, rille_err *err);

/* Ends a stretch of work without a look at the budget, and begins another. */
void ri_begin_stretch(rille_op *op);
/* A table that is counted for the memory limit and freed with the plan. */
int ri_op_table(rille_op *op, uint16_t col_count, bool is_set, ri_table **out, rille_err *err);

#endif
