/* SPDX-License-Identifier: MIT
 *
 * The executor, private: what a stage is, and what all stages share.
 */
#ifndef RI_STAGE_H
#define RI_STAGE_H

#include "pattern.h"

typedef struct ri_stage ri_stage;
struct ri_stage {
    int (*next)(ri_stage *stage, ri_batch **out, rille_err *err);
    void (*reset)(
        ri_stage *stage); /* forget what was in progress; keep what does not depend on the input. May be NULL */
    void (*destroy)(ri_stage *stage);       /* may be NULL */
    size_t (*bytes)(const ri_stage *stage); /* beside the operation's arenas and tables; may be NULL */
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
/* The same without RILLE_AGAIN, where work cannot be interrupted (planning). */
int ri_check(rille_op *op, rille_err *err);

/* Gives its one batch, then RILLE_DONE. The origin is the row number. (not, or) */
typedef struct ri_feed {
    ri_stage stage;
    const ri_batch *batch; /* set by who feeds; taken to NULL when given */
} ri_feed;
ri_feed *ri_feed_new(rille_op *op, const ri_scope *scope, const ri_varset *vars);

#endif
