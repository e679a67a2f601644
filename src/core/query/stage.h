/* SPDX-License-Identifier: MIT
 *
 * The executor, private: what a stage is, and what all stages share.
 */
#ifndef RI_STAGE_H
#define RI_STAGE_H

#include "pattern.h"

typedef struct ri_stage ri_stage;
struct ri_stage {
    /* Does one UNIT OF WORK: takes in one batch, walks one run of leaves, joins one batch... It returns 0 with *out set
     * (a batch of at least one row), 0 with *out NULL (a unit is done, but there is no batch yet), RILLE_DONE, an error,
     * or RILLE_NEED, RILLE_CALL or what its input returned: then the unit is not done, and the next call goes on with
     * it. Only ri_stage_next calls it. */
    int (*work)(ri_stage *stage, ri_batch **out, rille_err *err);
    void (*reset)(
        ri_stage *stage); /* forget what was in progress; keep what does not depend on the input. May be NULL */
    void (*rest)(
        ri_stage *stage); /* after reset, between two runs: gives back nodes and what was collected. May be NULL */
    void (*renew)(ri_stage *stage); /* begins another run, where constants and databases may be others; NULL: cannot */
    void (*destroy)(ri_stage *stage); /* also of a stage that rests; may be NULL */
    int (*ahead)(ri_stage *stage); /* its input lacks nodes: asks for some that it will need itself. 0; may be NULL */
    rille_op *op;
    ri_stage *input;
    ri_stage *older; /* of all stages */
    const ri_scope *scope;
    ri_batch out;
    ri_vec *bufs;  /* own columns, by variable; made when first used */
    ri_var *carry; /* variables passed on from the input that somebody still needs */
    uint16_t carry_count;
    uint8_t ahead_count; /* how often `ahead` was called */
    bool begun;          /* a unit of work was begun and is not done */
#ifndef NDEBUG
    const ri_batch *given; /* (X1) the batch that was given last, and a hash of it */
    uint64_t given_hash;
#endif
    /* for explain */
    const ri_clause *clause;
    const char *label;
    const struct ri_range *range; /* scans: of which predicates cut the range; NULL: none */
    unsigned range_ends;
    double est_rows;
    uint64_t rows;
    unsigned depth;
};

/* Allocates a stage of `size` bytes (ri_stage first), zeroed, in the operation's arena. */
void *ri_stage_new(rille_op *op, const ri_scope *scope, size_t size, ri_stage *input, const char *label);
/* The same, of which only the first bytes are zeroed: large arrays at the end need not be. */
void *ri_stage_new_part(rille_op *op, const ri_scope *scope, size_t size, size_t zeroed, ri_stage *input,
                        const char *label);
/* Of a struct that ends with a ri_scan: all but the scan's array. */
#define RI_ZEROED_WITH_SCAN(TYPE) (offsetof(TYPE, scan) + offsetof(ri_scan, rows))
/* The stage's own column for a variable; NULL: no memory. */
ri_vec *ri_stage_buf(ri_stage *stage, ri_var var);
/* Sets the carried columns of stage->out: rows sel[0..count) of `in`, or all as they are (shared) when sel is NULL. */
int ri_stage_carry(ri_stage *stage, const ri_batch *in, const uint32_t *sel, uint32_t count, rille_err *err);
/* The next batch of a stage: units of work until one gives it. The only place where a query is interrupted by its
 * budget is here, before a unit is begun (X6). 0 with a batch, RILLE_DONE, RILLE_NEED, RILLE_AGAIN, RILLE_CALL or an
 * error. */
int ri_stage_next(ri_stage *stage, ri_batch **out, rille_err *err);
/* Pulls from the input. */
int ri_stage_wait(ri_stage *stage, rille_err *err);
static inline int ri_stage_pull(ri_stage *stage, ri_batch **out, rille_err *err)
{
    int rc = ri_stage_next(stage->input, out, err);
    return rc == RILLE_NEED ? ri_stage_wait(stage, err) : rc;
}
/* For each stage of a chain that has an `ahead`. */
int ri_stage_ahead_chain(ri_stage *last);
/* Are all rows of the chain taken, and not only some, because of a limit? */
bool ri_op_takes_all(const rille_op *op);
/* For stages that have nothing to renew. */
void ri_stage_renew(ri_stage *stage);
/* Resets a chain from its end to its start. */
void ri_stage_reset_chain(ri_stage *last);
/* Begins a unit of work unless *begun; whoever does the work sets *begun to false at its end. RILLE_AGAIN when the
 * budget is used up (never for the first unit of a step): the unit counts as begun, so that the next step does it.
 * RILLE_TIMEOUT, RILLE_CANCELLED, RILLE_LIMIT. */
int ri_begin_unit(rille_op *op, bool *begun, rille_err *err);
#define RI_UNIT_WORK (96U * 1024U) /* as the meter counts it: a tenth of a millisecond, where the memory is fast */
/* Was as much work done since the budget was looked at last as is good for one unit? Then whoever can leave the rest to
 * another unit does. */
bool ri_unit_is_full(const rille_op *op);
/* The limits alone, inside of units that may take long. */
int ri_check(rille_op *op, rille_err *err);
/* Is this the outcome of a unit of work that is not done? */
static inline bool ri_is_pause(int rc)
{
    return rc == RILLE_NEED || rc == RILLE_AGAIN || rc == RILLE_CALL;
}

/* Gives its one batch, then RILLE_DONE. The origin is the row number. (not, or) */
typedef struct ri_feed {
    ri_stage stage;
    const ri_batch *batch; /* set by who feeds; taken to NULL when given */
} ri_feed;
ri_feed *ri_feed_new(rille_op *op, const ri_scope *scope, const ri_varset *vars);

#endif
