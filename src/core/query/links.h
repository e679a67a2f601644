/* SPDX-License-Identifier: MIT
 *
 * What joins give, by samples. A LINK is a pair of places at which two clauses have the same variable: a position of a
 * pattern, or a column of an input. Its size is the number of pairs of rows that are equal there. It comes of a sample:
 * rows of one place at even distances, whose matches at the other place an index counts exactly.
 *
 *   [?a :knows ?b] [?b :knows ?c]      16 datoms of the first, and for the ?b of each: how many has the second?
 *
 * So values count as often as the join meets them: a hub that half of all refs name is half of the sample. Where both
 * places can be counted, both are sampled. A sample that misses what is rare and heavy is too small, so the greater
 * result holds, unless a single row of its sample makes most of it.
 *
 * Rows of one place are not always like all others: so a link may begin with a ROUTE (below), and samples what comes out
 * of it.
 *
 * The planner asks for a link while it compares orders (plan_fanout.c); links are sampled where they may decide
 * (plan_decide.c). Cost of a link: at most 2 * 16 descents for rows and twice as many for counts.
 */
#ifndef RI_LINKS_H
#define RI_LINKS_H

#include "exec.h"

typedef struct ri_place {
    ri_pattern *pattern;     /* NULL: */
    const ri_clause *clause; /* a pattern on rows, or a call that has a constant. NULL: an input */
    const ri_scope *scope;   /* of the clause */
    uint16_t at;             /* position; of its terms; index into in_cols */
} ri_place;

/* Where the values of a variable come from: the rows of a place, or, one pattern after the other, what each gives for
 * the value that it is entered with at its other position:
 *
 *   :in [?i ...]   [?a :id ?i] [?b :knows ?a]      the column ?i, then E of the first pattern, then E of the second
 */
#define RI_ROUTE_MAX 3U
typedef struct ri_route {
    ri_place places[RI_ROUTE_MAX];
    unsigned count;
} ri_route;

typedef struct ri_link {
    ri_route from; /* `to` alone: `size` is the number of distinct values there; of rows, where the value is constant */
    ri_place to;   /* of a pattern */
    double rows;   /* of the route */
    double size;
    double planned;  /* what the plan was made for */
    uint64_t datoms; /* that its patterns could meet when it was sampled */
    unsigned runs;   /* since then, on other values of the database */
    bool known;
    bool begun; /* the unit in which it is sampled */
} ri_link;

static inline bool ri_place_eq(ri_place a, ri_place b)
{
    return a.pattern == b.pattern && a.clause == b.clause && a.scope == b.scope && a.at == b.at;
}
/* Does it have a value at most once? */
bool ri_place_is_key(ri_place place);
double ri_place_rows(rille_op *op, ri_place place);

/* Does it begin with rows that are not like the others: those of an input, of a constant or of a range? */
bool ri_place_is_special(ri_place place);
/* Can an index count what a pattern gives for a value at a place? */
bool ri_place_can_count(ri_place place);

/* The link of a route and a place; of two places, in either order. NULL: it is not known, or nobody samples it; then it
 * is noted for ri_links_sample, when op->links_noted says so. */
const ri_link *ri_link_find(rille_op *op, const ri_route *from, ri_place to);
/* Samples all links that are not known. A unit of work each. RILLE_NEED, RILLE_AGAIN: call again. */
int ri_links_sample(rille_op *op, rille_err *err);
/* Forgets those that other inputs may have changed. */
void ri_links_renew(rille_op *op);
/* Forgets those that other data may have changed: where there is more or less of it, by an eighth, or after 16 runs on
 * changed values. Once in a run, when patterns are counted. */
void ri_links_age(rille_op *op);

/* Rows that come of one row of the input. in: what is bound is in `bound`; done: which of its clauses have run. */
typedef struct ri_fanout {
    double rows;
    double rows_max; /* whatever the links that are not known are */
    double reads;    /* that a stage reads once, however many rows come in */
} ri_fanout;
ri_fanout ri_plan_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                         const bool *done);

typedef struct ri_rows_count {
    const ri_clause *clause;
    const ri_table *table;
    uint64_t mask; /* of the columns that are bound */
    double rows;
} ri_rows_count;
/* Has a row the constants of a pattern on rows? */
bool ri_row_matches(const ri_scope *scope, const ri_clause *clause, const ri_table *table, uint32_t row);
/* Rows of a relation that match a pattern's constants and each row of what is bound. (plan_rows.c) */
double ri_rows_fanout(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_varset *bound);

typedef struct ri_rule_count {
    const ri_rule_branch *first;
    uint64_t names; /* of the arguments: which may be names, */
    uint64_t mask;  /* and which are bound */
    uint16_t source;
    ri_fanout fanout;
} ri_rule_count;

/* Notes the links that decide about the plan of the query. (plan_decide.c) */
int ri_plan_decide(rille_op *op, rille_err *err);
/* The same again, when these are known; *more: there are links to be sampled, or a walk to be made (walk.h). */
int ri_plan_decide_more(rille_op *op, bool *more, rille_err *err);

#endif
