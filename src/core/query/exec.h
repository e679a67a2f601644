/* SPDX-License-Identifier: MIT
 *
 * The executor's private header: stages, scopes, patterns, and the operation itself.
 *
 * A query becomes a chain of STAGES, each of which pulls batches from its input and gives batches on. A stage returns 0
 * with a batch, RILLE_DONE, RILLE_NEED, RILLE_AGAIN, RILLE_CALL or an error. Whatever it was doing is kept in the
 * stage, never on the C stack: after NEED, AGAIN and CALL the whole chain is called again from its end and each stage
 * goes on where it was.
 *
 * Invariants:
 * (X1) A batch and its bytes are valid until its stage is asked for the next one; a stage asks its input for the next
 * batch only after all that came of the last one was delivered. So words may be shared and bytes borrowed along the
 * chain. (X2) cols[var_count] of every batch is the ORIGIN: in the chains inside not, or and tail-recursive rules, the
 * number of the row that was fed in; elsewhere absent. (X3) A variable that an input of one row gives is FIXED: it is a
 * constant of its scope and never a column. (X4) An entity id is REF or LONG, which are equal; a stage that takes one
 * accepts both (and idents, by the schema of its database).
 */
#ifndef RI_EXEC_H
#define RI_EXEC_H

#include "bind.h"
#include "functions.h"
#include "query.h"

#include <stdatomic.h>

/* ---- sets of variables ---- */

static inline void ri_varset_remove(ri_varset *set, ri_var var)
{
    if (var < RI_QUERY_VARS_MAX) {
        set->words[var / 64] &= ~(UINT64_C(1) << (var % 64));
    }
}
static inline bool ri_varset_meets(const ri_varset *a, const ri_varset *b)
{
    uint64_t common = 0;
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        common |= a->words[i] & b->words[i];
    }
    return common != 0;
}

/* ---- scopes ---- */

typedef struct ri_scope {
    struct ri_scope *next; /* of all rules' scopes of the operation */
    const void *owner;     /* the rule branch it was made for */
    const char **var_names;
    const ri_value *fixed; /* by variable; used where is_fixed says so; NULL: none is */
    ri_varset is_fixed;
    uint16_t var_count;
    uint16_t source; /* inside rules: what the default source stands for */
    uint16_t source_default;
    bool walked;           /* all patterns of the branch are counted */
} ri_scope;

static inline uint16_t ri_scope_source(const ri_scope *scope, uint16_t source)
{
    return source == scope->source_default ? scope->source : source;
}
/* The scope of a rule branch on a source. NULL: no memory. */
const ri_scope *ri_scope_rule(rille_op *op, const ri_rule_branch *branch, uint16_t source);
/* The constant that a term is, or NULL. */
const ri_value *ri_term_const(const ri_scope *scope, const ri_term *term);
/* The variable that a term is, when it is no constant; else RI_NO_VAR. */
ri_var ri_term_var(const ri_scope *scope, const ri_term *term);

/* ---- sources ---- */

typedef struct ri_source {
    rille_db *db;          /* NULL: a relation */
    const ri_table *table; /* NULL: a database */
} ri_source;

/* ---- patterns ---- */

enum { RI_POS_E, RI_POS_A, RI_POS_V, RI_POS_T, RI_POS_ADDED, RI_POS_COUNT };

/* A pattern clause on a database, its constants resolved. */
typedef struct ri_pattern {
    const ri_term *terms;      /* of the clause: what a pattern is known by */
    uint16_t term_count;
    const ri_scope *scope;
    rille_db *db;
    uint16_t source;
    ri_var var[RI_POS_COUNT]; /* RI_NO_VAR: blank or constant */
    bool has[RI_POS_COUNT];   /* constant */
    const ri_attr *attr;      /* when has[A] */
    uint64_t e;
    uint64_t t;
    ri_value v;
    bool v_is_ref; /* v is surely a ref (ident or lookup ref) */
    bool nothing;  /* matches no datom at all */
    bool counted;
    uint64_t attr_count;     /* datoms of the attribute (of the database when it is unknown) */
    uint64_t const_count;    /* datoms that match the constants: exact, or a guess where no index tells */
    struct ri_pattern *next; /* of all patterns of the operation */
} ri_pattern;

int ri_pattern_resolve(rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_pattern **out, rille_err *err);
/* The entity a value names in a database: a number, a ref, an ident; 0: none. */
uint64_t ri_entity_of(const rille_db *db, const ri_value *v);
/* The value as one of the attribute, so that equal ones are equal; !*fits: none of its values can equal. Bytes go to
 * the arena. */
int ri_attr_fit(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, bool *fits, rille_err *err);

/* ---- stages ---- */

typedef struct ri_stage ri_stage;
struct ri_stage {
    int (*next)(ri_stage *stage, ri_batch **out, rille_err *err);
    void (*reset)(
        ri_stage *stage); /* forget what was in progress; keep what does not depend on the input. May be NULL */
    void (*destroy)(ri_stage *stage); /* may be NULL */
    rille_op *op;
    ri_stage *input;
    ri_stage *older; /* of all stages */
    const ri_scope *scope;
    ri_batch out;
    ri_vec *bufs;  /* own columns, by variable; made when first used */
    ri_var *carry; /* variables passed on from the input that somebody still needs */
    uint16_t carry_count;
    /* for explain */
    const ri_clause *clause;
    const char *label;
    const char *detail;
    double est_rows;
    uint64_t rows;
    unsigned depth;
};

/* Allocates a stage of `size` bytes (ri_stage first), zeroed, in the operation's arena. */
void *ri_stage_new(rille_op *op, const ri_scope *scope, size_t size, ri_stage *input, const char *label);
/* The stage's own column for a variable; NULL: no memory. */
ri_vec *ri_stage_buf(ri_stage *stage, ri_var var);
/* Sets the carried columns of stage->out: rows sel[0..count) of `in`, or all as they are (shared) when sel is NULL. */
int ri_stage_carry(ri_stage *stage, const ri_batch *in, const uint32_t *sel, uint32_t count, rille_err *err);
/* Pulls from the input. */
static inline int ri_stage_pull(ri_stage *stage, ri_batch **out, rille_err *err)
{
    return stage->input->next(stage->input, out, err);
}
/* Resets a chain from its end to its start. */
void ri_stage_reset_chain(ri_stage *last);
/* Once a unit of work: RILLE_AGAIN when the budget is used up (never for the first unit of a step), RILLE_TIMEOUT,
 * RILLE_CANCELLED, RILLE_LIMIT. Call it only where the state is consistent. */
int ri_tick(rille_op *op, rille_err *err);

/* Gives its one batch, then RILLE_DONE. The origin is the row number. (not, or) */
typedef struct ri_feed {
    ri_stage stage;
    const ri_batch *batch; /* set by who feeds; taken to NULL when given */
} ri_feed;
ri_feed *ri_feed_new(rille_op *op, const ri_scope *scope, const ri_varset *vars);

/* ---- access to databases ---- */

/* What rows of a range must satisfy beyond lying in it, and what they give. */
typedef struct ri_matcher {
    const ri_pattern *pattern;
    ri_var out[RI_POS_COUNT];   /* columns to make; RI_NO_VAR: not needed */
    ri_var bound[RI_POS_COUNT]; /* variables of the input that must equal */
    bool filter_v;              /* the constant value is not implied by the range */
    bool slow;                  /* some check needs the whole datom */
} ri_matcher;

/* How a pattern is reached. */
typedef enum ri_access {
    RI_ACCESS_NONE,    /* cannot match */
    RI_ACCESS_SCAN,    /* a range by constants alone */
    RI_ACCESS_E,       /* AEVT by e */
    RI_ACCESS_EV,      /* AEVT by e, then v */
    RI_ACCESS_V_REF,   /* VAET by v */
    RI_ACCESS_V_WORD,  /* AVET by v, word types */
    RI_ACCESS_V_BYTES, /* AVET by v, types of bytes */
    RI_ACCESS_E_ANY,   /* EAVT by e, attribute unknown */
    RI_ACCESS_HASH     /* hash join with a scan */
} ri_access;

/* The order and cuts of a scan by constants; filter_v as in ri_matcher. */
void ri_pattern_range(const ri_pattern *pattern, ri_order *order, ri_bound *from, ri_bound *to, bool *filter_v);

/* Does a value of the input equal a value of a datom? */
bool ri_value_matches(const ri_pattern *p, const ri_value *given, const ri_value *stored);
/* The group of the rows low..high, when it is one and lies together; else NULL. */
const ri_group *ri_rows_group(const ri_node *leaf, uint32_t low, uint32_t high);
/* The word key or code of a constant in a group; false: no row has it. *slow: only a comparison of values can tell. */
bool ri_group_key(const ri_group *group, const ri_value *v, uint64_t *key, bool *slow);

/* Rows of leaves, checked and turned into columns. */
typedef struct ri_emit {
    ri_matcher m;
    ri_object **pins; /* leaves that the columns borrow from */
    size_t pin_count;
    size_t pin_cap;
    uint32_t count;                  /* rows in the batch */
    uint32_t in_rows[RI_BATCH_ROWS]; /* the input row of each */
} ri_emit;
void ri_emit_start(ri_emit *emit); /* a new batch: drops pins */
void ri_emit_deinit(ri_emit *emit);
/* Appends rows[0..n) (nondecreasing for scans) of a leaf; row i goes with in_rows[i] of `in`. Those that fail a check
 * are left out. n <= RI_BATCH_ROWS - emit->count. rows and in_rows are overwritten. */
int ri_emit_leaf(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *rows, uint32_t *in_rows, uint32_t n,
                 const ri_batch *in, rille_err *err);
int ri_emit_datoms(ri_stage *stage, ri_emit *emit, const ri_datom *const *datoms, const uint32_t *in_rows, uint32_t n,
                   const ri_batch *in, rille_err *err);
/* Puts the columns and the carried ones of `in` into stage->out. */
int ri_emit_finish(ri_stage *stage, ri_emit *emit, const ri_batch *in, rille_err *err);

/* Numbers equal to key in [from, to) of a column, at most max of them: rows[] = their index + shift; *next: where to go on. (packed.c) */
uint32_t ri_packed_find(rille_op *op, const ri_col *col, uint32_t from, uint32_t to, uint64_t key, uint32_t shift,
                        uint32_t *rows, uint32_t max, uint32_t *next);
/* As ri_emit_leaf, for rows [*pos, to) that all go with one row of the input; stops when the batch is full. */
int ri_emit_range(ri_stage *stage, ri_emit *emit, const ri_node *leaf, uint32_t *pos, uint32_t to, uint32_t in_row,
                  const ri_batch *in, rille_err *err);

/* input may have any number of rows: each is joined with the whole range. */
ri_stage *ri_scan_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m);
ri_stage *ri_probe_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_matcher *m,
                             ri_access access);

/* ---- hash join with a table ---- */

typedef struct ri_join_out {
    uint16_t col;
    ri_var var;
} ri_join_out;
typedef struct ri_join_key {
    uint16_t col;
    ri_var var; /* RI_NO_VAR: a constant */
    ri_value value;
} ri_join_key;
typedef struct ri_join_spec {
    const ri_table *table;    /* given, or NULL: made of `build` */
    ri_stage *build;          /* a chain whose batches fill the table */
    const ri_var *build_vars; /* the table's columns */
    uint16_t build_count;
    const ri_join_key *keys;
    uint16_t key_count;
    const ri_join_out *outs;
    uint16_t out_count;
    const ri_join_out *same; /* table columns that must be equal: col and (as var) the other column */
    uint16_t same_count;
    const uint32_t *row_limit; /* rows from this one on do not count; NULL: none */
} ri_join_spec;
ri_stage *ri_join_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_join_spec *spec,
                            const char *label);

/* ---- predicates and functions ---- */

/* A PRED or FUNC clause: a built-in, a look-up (get-else, get-some, missing?) or a function of the host. bound: before it; live: needed after it.
 * RILLE_QUERY: unknown name. */
int ri_call_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                      const ri_varset *bound, const ri_varset *live, ri_stage **out, rille_err *err);

/* Where the results of a function go (op_bind.c). */
typedef enum ri_dest_kind { RI_DEST_NONE, RI_DEST_NEW, RI_DEST_EQUAL, RI_DEST_CONST, RI_DEST_TWICE } ri_dest_kind;
typedef struct ri_dest {
    uint8_t kind;   /* ri_dest_kind */
    ri_var var;     /* NEW, EQUAL */
    uint16_t twin;  /* TWICE: the place in the binding that this one must equal */
    ri_value value; /* CONST */
} ri_dest;
typedef struct ri_results {
    const ri_clause *clause;
    ri_dest *dests;
    ri_value *values;    /* of the tuple at hand */
    uint32_t *sel;
    uint32_t row;        /* next row of the results */
    ri_reader reader;    /* COLL, RELATION: what is left of the row's elements */
    bool in_row;
} ri_results;
int ri_results_init(ri_results *results, rille_op *op, const ri_scope *scope, const ri_clause *clause,
                    const ri_varset *bound, const ri_varset *live, rille_err *err);
void ri_results_start(ri_results *results);
/* Rows of `result` (one a row of `in`) into stage->out; stage->out.count may come out 0. *more: call again for the rest. */
int ri_results_next(ri_results *results, ri_stage *stage, const ri_batch *in, const ri_vec *result, bool *more,
                    rille_err *err);
/* Puts whole values in place of stubs in rows of a column (RILLE_NEED until all blobs are at hand): *out is `in` itself
 * or the copy. */
bool ri_vec_has_stubs(const ri_vec *vec, uint32_t rows);
/* Remembers where the stubs among some rows came from. */
int ri_note_stubs(rille_op *op, uint16_t source, const ri_vec *vec, uint32_t from, uint32_t to, rille_err *err);
int ri_unstub(rille_op *op, const ri_vec *in, uint32_t rows, ri_arena *arena, ri_vec *copy, const ri_vec **out,
              rille_err *err);

/* ---- not, or ---- */

ri_stage *ri_not_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, ri_feed *feed, ri_stage *body);
typedef struct ri_or_branch {
    ri_feed *feed;
    ri_stage *body;
} ri_or_branch;
/* made: the columns that every branch gives anew. */
ri_stage *ri_or_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_or_branch *branches,
                          uint16_t branch_count, const ri_varset *made);

/* ---- rules ---- */

typedef struct ri_ruleset ri_ruleset;
int ri_ruleset_new(rille_op *op, ri_ruleset **out, rille_err *err);
void ri_ruleset_release(ri_ruleset *ruleset); /* tables; the rest is the arena's */
/* Index of a rule name, or -1. */
int ri_rule_find(const rille_op *op, const char *name);
/* A call as two stages: demand and fixpoint, then a join with the answers. */
int ri_rule_stages(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                   const ri_varset *bound, const ri_varset *live, bool origin, ri_stage **out, rille_err *err);
/* Plans the bodies of all predicates reached so far. */
int ri_ruleset_plan(rille_op *op, rille_err *err);

/* ---- planning ---- */

typedef struct ri_plan_input {
    const ri_scope *scope;
    const ri_clause *clauses;
    uint16_t count;
    ri_varset bound; /* columns of the first stage */
    ri_varset live;  /* needed after the last clause */
    double rows;   /* estimate of what comes in */
    bool one_row; /* what comes in is exactly one row */
    bool once;     /* the chain runs once (else: again and again, for fed batches) */
    bool origin;
    unsigned depth;
} ri_plan_input;

/* Order: order[i] = index of the clause to run i-th; est[i] rows after it. Arrays of `count`. */
int ri_plan_order(rille_op *op, const ri_plan_input *in, uint16_t *order, double *est, rille_err *err);
/* Appends stages for clauses order[from..to) to *last. bound is updated; live: after order[to - 1]. */
int ri_plan_stages(rille_op *op, const ri_plan_input *in, const uint16_t *order, const double *est, uint16_t from,
                   uint16_t to, ri_varset *bound, ri_stage **last, rille_err *err);
/* Both. */
int ri_plan_body(rille_op *op, const ri_plan_input *in, ri_stage **last, rille_err *err);
/* Variables a clause mentions that matter outside it / that it needs bound before / could clauses run with those bound.
 */
void ri_clause_uses(const ri_scope *scope, const ri_clause *clause, ri_varset *out);
bool ri_body_ready(const rille_op *op, const ri_scope *scope, const ri_clause *clauses, uint16_t count, ri_varset bound);
/* Rows that come of one row of the input. in: what is bound is in `bound`. */
double ri_plan_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                      double rows);
/* Gives nothing / gives one row without columns, once. */
ri_stage *ri_none_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input);
ri_stage *ri_unit_stage_new(rille_op *op, const ri_scope *scope);
/* Resolves and counts every pattern that the query can reach. RILLE_NEED: call again. */
int ri_plan_count(rille_op *op, rille_err *err);
/* Are the rows of `vars` distinct without looking? */
bool ri_plan_distinct(rille_op *op, const ri_varset *vars);
void ri_stage_set_carry(ri_stage *stage, const ri_varset *bound, const ri_varset *live, bool origin);

/* ---- inputs ---- */

typedef struct ri_in_column {
    const ri_table *table;
    uint16_t col;
    ri_var var;
    uint16_t input;
} ri_in_column;
int ri_inputs_bind(rille_op *op, const ri_input *inputs, size_t count, rille_err *err);
ri_stage *ri_input_stage_new(rille_op *op);

/* ---- the end of the chain ---- */

typedef struct ri_find ri_find;
int ri_find_new(rille_op *op, ri_find **out, rille_err *err);
void ri_find_release(ri_find *find);
/* RILLE_ROWS: op->rows, op->row_count. */
int ri_find_next(ri_find *find, rille_err *err);
void ri_find_live(const rille_op *op, ri_varset *live);

/* ---- the operation ---- */

typedef enum ri_op_state { RI_OP_COUNT, RI_OP_PLAN, RI_OP_RUN, RI_OP_ENDED } ri_op_state;

struct rille_op {
    ri_arena arena;      /* inputs, patterns: live as long as the operation */
    ri_arena plan_arena; /* stages */
    rille_query *query;
    ri_op_options options;
    ri_source *sources;
    uint16_t source_count;
    ri_scope scope; /* of the query */
    ri_rules rules;
    ri_in_column *in_cols; /* of inputs with more or less than one row */
    uint16_t in_col_count;
    double in_rows;
    bool in_distinct; /* the relation of the inputs is a set, and all its columns are variables */
    bool empty;       /* two inputs of one row contradict */
    ri_pattern *patterns;
    ri_scope *scopes; /* derived ones */
    ri_io io;
    ri_stage *stages; /* all, newest first */
    ri_stage *last;
    ri_ruleset *ruleset; /* NULL: no rules */
    ri_find *find;
    ri_store *store;         /* of all databases, when it is one */
    ri_bytemap stub_sources; /* else: address of a blob -> index of the source it came from */
    ri_table **tables; /* counted for the memory limit */
    size_t table_count;
    size_t table_cap;
    ri_call call;
    bool call_pending;
    const ri_vec *rows;
    uint32_t row_count;
    uint64_t deadline_us;   /* 0: none */
    uint64_t timeout_at_us; /* 0: none */
    uint64_t plan_us;
    uint32_t ticks;
    uint32_t ticks_all;
    uint8_t state; /* ri_op_state */
    int failed;    /* the error that ended it */
    rille_err error;
    atomic_bool cancelled;
    uint64_t scratch_words[RI_NODE_ROWS_MAX];
    uint32_t scratch_lens[RI_NODE_ROWS_MAX];
    uint8_t scratch_types[RI_NODE_ROWS_MAX];
    uint32_t scratch_rows[RI_BATCH_ROWS];
    uint32_t scratch_in[RI_BATCH_ROWS];
};

/* A table that is counted for the memory limit and freed with the plan. */
int ri_op_table(rille_op *op, uint16_t col_count, bool is_set, ri_table **out, rille_err *err);

#endif
