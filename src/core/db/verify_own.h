/* SPDX-License-Identifier: MIT
 *
 * Inside a verification; for verify.c, verify_trees.c, verify_log.c and verify_run.c.
 */
#ifndef RI_VERIFY_OWN_H
#define RI_VERIFY_OWN_H

#include "conn.h"
#include "meta.h"

#include "../store/task.h"
#include "../tree/check.h"

/* What the facts of EAVT say of the other orders, and what these have. */
typedef struct ri_verify_facts {
    uint64_t count[RI_NOVELTY_ORDERS];
    uint64_t sum[RI_NOVELTY_ORDERS];   /* of facts with their transactions, as EAVT has them */
    uint64_t found[RI_NOVELTY_ORDERS]; /* the same, as the order itself has them */
    uint64_t hash_sum;                 /* of all facts */
    uint64_t e_max;                    /* of users' entities, as subject or referred to */
    uint64_t attr_max;                 /* of ids below them */
    ri_block *schema;                  /* facts that define it */
} ri_verify_facts;

/* Of the rows of LOG and RET. */
typedef struct ri_verify_log {
    ri_block *block;          /* the transaction at hand, without its datoms */
    ri_commit_check check[2]; /* of it, by the rules of formats 1 and 2 */
    ri_block *parents;        /* its rows of other parents */
    bool began;               /* the next two are at their places */
    ri_meta_walk commits;     /* META's rows beside the log's transactions */
    ri_meta_walk purged;      /* a row for each transaction that datoms were purged of */
    bool passes_purged;       /* ... of which the one at hand is done */
    uint8_t commit[RI_HASH_SIZE];
    bool has_commit;
    unsigned rule;     /* of its id: those of format 1 come first */
    uint64_t live;     /* assertions - retractions: must equal EAVT's count */
    uint64_t hash_sum; /* of their facts, likewise: no other facts have this sum but by an accident of 1 in 2^64 */
    uint64_t retractions;
    uint64_t asserted; /* sums of facts with their transactions */
    uint64_t retracted;
    uint64_t retired_since; /* the same of the rows of RET: when they were asserted, when they were retracted */
    uint64_t retired_until;
} ri_verify_log;

/* Of one branch. */
typedef struct ri_verify {
    ri_store *store; /* borrowed, as are the next two */
    const char *branch;
    ri_verify_report *report;
    rille_db *db;
    ri_io io;
    ri_node_set nodes; /* those that were checked */
    unsigned job;      /* the next */
    /* of a job */
    size_t at;       /* tree, or datom */
    ri_check *check; /* of the tree */
    ri_check_report tree;
    ri_cursor cursor; /* rows one by one */
    bool walks;       /* the cursor is open */
    uint32_t row;
    const ri_block *block; /* of the novelty */
    ri_commit_check commit;
    ri_base *past;  /* retained, whose trees are being checked */
    ri_order order; /* that is being walked */
    ri_verify_facts facts;
    ri_verify_log log;
} ri_verify;

int ri_verify_new(ri_store *store, const char *branch, ri_verify_report *report, ri_verify **out, rille_err *err);
void ri_verify_release(ri_verify *v);
/* To the end: 0. In a task it may lack something (RILLE_NEED): call again. (verify.c) */
int ri_verify_run_branch(ri_verify *v, rille_err *err);

/* ---- parts ---- */

/* Of the fact and its transaction, with the secret of this process: nobody can choose datoms for their sum. */
uint64_t ri_verify_hash(const ri_datom *d, uint64_t t);
/* All rows of a tree: 0 at the end; after RILLE_NEED the row is visited again. (verify_trees.c) */
typedef int ri_verify_visit(ri_verify *v, const ri_datom *d, rille_err *err);
int ri_verify_walk(ri_verify *v, ri_order order, ri_verify_visit *visit, rille_err *err);
/* Is a datom with this one's key in a tree, and of the same transaction? */
int ri_verify_expect(ri_verify *v, ri_order order, const ri_datom *d, rille_err *err);
/* The long value of rows[0], if it is one; where storage answers later, those of the following rows are asked for with
 * it. */
int ri_verify_long_value(ri_verify *v, const ri_datom *rows, size_t count, rille_err *err);
bool ri_verify_keep(ri_block *block, const ri_datom *d);

/* Jobs: 0 when they are done. */
int ri_verify_trees(ri_verify *v, rille_err *err); /* (verify_trees.c) */
int ri_verify_sums(ri_verify *v, rille_err *err);
int ri_verify_counts(ri_verify *v, rille_err *err);
int ri_verify_log_facts(ri_verify *v, rille_err *err); /* (verify_log.c) */
int ri_verify_log_totals(ri_verify *v, rille_err *err);
int ri_verify_log_retired(ri_verify *v, rille_err *err);

/* Visits of LOG and RET, and the end of LOG. */
ri_check_visit ri_verify_visit_log;
ri_check_visit ri_verify_visit_retired;
int ri_verify_log_begin(ri_verify *v, rille_err *err);
int ri_verify_log_end(ri_verify *v, rille_err *err);

#endif
