/* SPDX-License-Identifier: MIT
 *
 * Rules, private: predicates, tasks, and the tables between them.
 *
 * A PREDICATE is a rule with a pattern of bound arguments (and of which of them may be names) on one source. Its demand table holds the bound arguments
 * that somebody asked for (the magic set), its answer table the rows found. A TASK is a chain of stages fed with the
 * new rows of one table (semi-naive: each row is fed once) whose results a sink adds to another table. A body is cut at
 * each call of its own recursive group:
 *
 *   demand -> clauses -> PREFIX table -> (join answers of the call) -> clauses -> answers
 *                        new prefixes x all answers, and new answers x old prefixes: two tasks
 *   what reaches a prefix table is also the demand of the called predicate
 *
 * TAIL RECURSION. Where every recursive branch ends in a call of its own predicate that passes the free arguments
 * through, demand becomes CONTEXT: rows (arguments asked for, arguments now). The recursive branch goes from context to
 * context and the others give answers to what was asked for: it costs what its answers cost.
 *
 * A CLOSURE (a step, and branches that say step after step in any of the usual ways) has one task: contexts go on by
 * the step, and each new one is an answer.
 *
 * Invariants: (R1) a table only grows while its group runs; a group has reached its fixpoint when no task has new rows;
 * (R2) a task that was interrupted goes on before any other task of its group; (R3) groups call only groups below
 * (negation too).
 */
#ifndef RI_RULES_H
#define RI_RULES_H

#include "exec.h"
#include "sort.h"

#define RI_RULE_ARITY_MAX 64U
#define RI_RULE_VISITED_MAX (UINT64_C(1) << 28) /* entities that a bitmap may stand for */
#define RI_RULE_PAGE_WORDS 512U                 /* of the bitmap */
#define RI_RULE_EXPAND_MAX 256U                 /* branches that ors around recursive calls may give */

typedef struct ri_pred ri_pred;
typedef struct ri_rule_task ri_rule_task;

/* The rows [from, to) of a table as batches. */
typedef struct ri_table_feed {
    ri_stage stage;
    const ri_table *table;
    const ri_join_out *cols; /* table column -> variable */
    uint16_t col_count;
    const ri_join_out *same; /* pairs of columns that must be equal */
    uint16_t same_count;
    const ri_join_key *consts;
    uint16_t const_count;
    uint32_t from;
    uint32_t to;
    uint32_t *rows;
    ri_var sort_var;            /* many rows are given in the order of this column: the chain probes by it */
    const ri_column *sorted_by; /* they are being sorted */
    ri_sorter sorter;
    const uint32_t *order; /* sorted rows, or NULL */
    uint32_t order_from;   /* the row that order[0] stands for in the count of `from` */
    bool origin;
} ri_table_feed;

typedef enum ri_sink { RI_SINK_ANSWERS, RI_SINK_CONTEXT, RI_SINK_CLOSURE, RI_SINK_PREFIX } ri_sink;

struct ri_rule_task {
    ri_rule_task *next;
    ri_pred *pred;
    const ri_table *table; /* what is fed */
    uint32_t done;         /* rows of it that were fed */
    ri_table_feed *feed;
    ri_stage *last;
    ri_sink sink;
    const ri_clause *call; /* CONTEXT: the tail call; PREFIX: the call that follows */
    const ri_scope *scope;
    const ri_var *params; /* ANSWERS */
    ri_table *prefix;     /* PREFIX */
    const ri_var *prefix_vars;
    uint16_t prefix_count;
    ri_pred *callee; /* PREFIX */
    const ri_vec **cols;
    ri_vec *bufs;
    ri_vec *few_cols;   /* CLOSURE: columns of the rows that go to new entities */
    ri_vec new_cols[2]; /* CLOSURE: contexts that are new */
    ri_batch *batch;    /* of the chain, on its way into the sink */
    ri_vec *part_cols;
    uint32_t sunk; /* rows of it that are there */
    bool begun;    /* a unit of sinking was begun and is not done */
    bool active;
};

struct ri_pred {
    ri_pred *next;
    const char *name;
    ri_table *answers;
    ri_table *demand; /* bound arguments; with tail: asked for, then now */
    ri_rule_task *tasks;
    uint64_t mask; /* bound arguments */
    uint16_t arity;
    uint16_t bound_count;
    uint16_t source;
    uint16_t group;
    uint64_t names;      /* bound arguments that may be names: see ri_call_names */
    uint32_t seed_count; /* with tail: how many rows were asked for */
    uint64_t **pages;    /* CLOSURE from one entity: a bit for each that was reached, from RI_EID_USER on */
    size_t page_cap;
    bool tail;
    bool planned;
};

typedef struct ri_group_state {
    ri_rule_task *current; /* (R2) */
} ri_group_state;

struct ri_ruleset {
    uint16_t *numbers;  /* of rules, by the first branch of each */
    uint16_t *group_of; /* by rule */
    bool *recursive;    /* by rule: reaches itself */
    uint16_t rule_count;
    ri_group_state *groups;
    ri_pred *preds;
    ri_pred *preds_last;
};

static inline bool ri_mask_has(uint64_t mask, uint16_t i)
{
    return (mask >> i & 1) != 0;
}

ri_table_feed *ri_table_feed_new(rille_op *op, const ri_scope *scope, const ri_table *table);
/* Which arguments of a call are bound. */
uint64_t ri_call_mask(const ri_scope *scope, const ri_clause *call, const ri_varset *bound);
/* The predicate that a call asks, with these arguments bound. */
int ri_pred_get(rille_op *op, const ri_scope *scope, const ri_clause *call, uint64_t mask, ri_pred **out,
                rille_err *err);
/* Does the clause (or one inside it) call a rule of this group? */
bool ri_calls_group(const rille_op *op, const ri_clause *clause, uint16_t group);
/* Adds rows (bound arguments in order) to what a predicate is asked for. */
int ri_pred_demand(ri_pred *pred, const ri_vec *const *cols, uint32_t count, rille_err *err);
/* Runs the tasks of a group to its fixpoint. */
int ri_group_run(rille_op *op, uint16_t group, rille_err *err);
/* Bound arguments of a call as columns: variables of the batch, or constants filled into bufs. */
int ri_call_args(rille_op *op, const ri_scope *scope, const ri_clause *call, uint64_t mask, const ri_batch *batch,
                 const ri_vec **cols, ri_vec *bufs, rille_err *err);

#endif
