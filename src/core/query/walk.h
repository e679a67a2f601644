/* SPDX-License-Identifier: MIT
 *
 * Walks: an order of the query's clauses is tried on a few rows before it becomes the plan.
 *
 * A link (links.h) tells what two clauses give together. Orders multiply links, as if what one clause leaves had nothing to
 * do with what the next one finds. Where a variable is in three clauses, that can be wrong by any factor: of the rows
 * after [?a :knows ?c] most have a hub as ?c, so [?b :knows ?c] gives most of them thousands, although few values of ?c
 * have as many.
 *
 * A walk goes along an order with at most 64 rows: counts exactly what each clause gives for them, and takes on 64 of
 * those, at even distances. It MEASURES how many rows a set of clauses leaves, whatever their order. All orders are
 * compared again with that, and the one that seems best then is walked, too, until it is one that was, or WALKS_MAX were.
 * Of those that were walked, the cheapest becomes the plan.
 *
 * A walk ends early where a clause cannot be counted (a rule, `or`, rows as a source, a join by hashing, names of entities as
 * values). What follows is estimated by links.
 *
 * Cost: at most 64 counts and 64 datoms for each clause (128 for the first), but no more than there are rows.
 */
#ifndef RI_WALK_H
#define RI_WALK_H

#include "links.h"

#define RI_WALK_CLAUSES_MAX 16U /* of a query: orders of more are not walked */

typedef struct ri_walk ri_walk;

/* Forgets all walks. */
void ri_walks_forget(rille_op *op);
/* Rows that a set of clauses of the query (a bit each) leaves; negative: not measured. */
double ri_walk_rows(const rille_op *op, uint64_t set);
/* A walk along an order is to be made. False: there was one, there were enough, or there cannot be one. */
bool ri_walk_begin(rille_op *op, const ri_plan_input *in, const uint16_t *order);
/* Makes it. A unit of work for each clause. RILLE_NEED, RILLE_AGAIN: call again. */
int ri_walk_go(rille_op *op, rille_err *err);
/* The order that was walked as number i; NULL: there were no more. */
const uint16_t *ri_walk_order(const rille_op *op, unsigned i);

#endif
