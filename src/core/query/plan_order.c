/* SPDX-License-Identifier: MIT
 *
 * The order of clauses.
 *
 * Greedy: whatever only filters comes as soon as its variables are bound; else the clause that leaves the fewest rows,
 * among those that share a variable with what is bound (a cross product only when it is small, or nothing else is left). By (B2) of
 * bind.h this never gets stuck. Where that is much work, the same is done from each other clause that can come first,
 * and the cheapest order is taken.
 *
 * AS WRITTEN. A clause that can fail on some row (plan_total.c) waits for all clauses that are written before it: it
 * sees only rows that they leave. "Before" is the order in which the clauses would run as they are written, each as soon
 * as its variables are bound. That order itself is always allowed, so that nothing gets stuck by this either.
 *
 * ATTRIBUTES. In attribute position a name is as good as an id, elsewhere they differ. So that the answer does not
 * depend on the order, a pattern waits for the clauses that may give its attribute variable as a name.
 */
#include "types.h"
#include "walk.h"

#include <float.h>

#define STARTS_ROWS 64.0      /* an order that costs less is good enough */
#define CROSS_ROWS 64.0       /* a cross product that is sure to have no more is as good as a join; */
#define CROSS_ROWS_MAX 4096.0 /* one of no more as a join that gives so many times as many rows; */
#define CROSS_FACTOR 4.0
#define NEAR 1.25      /* scores that are as good as equal, when some are measured */
#define STARTS_MAX 16U /* more clauses are not tried as starts */

ri_varset ri_known_vars(const ri_scope *scope, const ri_varset *bound)
{
    ri_varset known = *bound;
    if (scope->fixed != NULL) {
        ri_varset_union(&known, &scope->is_fixed);
    }
    return known;
}

static bool ready(const rille_op *op, const ri_clause *clause, const ri_varset *known)
{
    ri_varset required = { { 0 } };
    ri_clause_required_with(clause, &op->rules, known, &required);
    if (clause->kind == RI_CLAUSE_NOT || clause->kind == RI_CLAUSE_PRED) {
        ri_outer_vars(clause, &required);
    }
    return ri_varset_within(&required, known);
}

/* ---- attributes ---- */

static bool asks_database(const rille_op *op, const ri_scope *scope, const ri_clause *clause)
{
    uint16_t source = ri_scope_source(scope, clause->source);
    return source < op->source_count && op->sources[source].db != NULL;
}

/* Variables in attribute position of a database, and arguments of rules that get there. */
static void attr_vars(const rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_varset *out)
{
    bool asks = clause->kind == RI_CLAUSE_PATTERN || clause->kind == RI_CLAUSE_RULE;
    if (asks && asks_database(op, scope, clause)) {
        ri_clause_attrs(clause, &op->rules, out);
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        attr_vars(op, scope, &clause->body[i], out);
    }
}

/* Variables that a clause may bind to something else than an id. */
static void gives_values(const rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_varset *out)
{
    if (clause->kind == RI_CLAUSE_PATTERN && asks_database(op, scope, clause)) {
        uint16_t source = ri_scope_source(scope, clause->source);
        const ri_value *name = clause->term_count > RI_POS_A ? ri_term_const(scope, &clause->terms[RI_POS_A]) : NULL;
        const ri_attr *attr = NULL;
        if (name != NULL) {
            (void)ri_name_attr(op, op->sources[source].db, name, false, &attr, NULL);
        }
        if (clause->term_count > RI_POS_V && (attr == NULL || attr->type != RI_REF)) {
            ri_varset_add(out, ri_term_var(scope, &clause->terms[RI_POS_V]));
        }
    } else if (clause->kind == RI_CLAUSE_OR || clause->kind == RI_CLAUSE_AND) {
        for (uint16_t i = 0; i < clause->body_count; i++) {
            gives_values(op, scope, &clause->body[i], out);
        }
    } else {
        ri_clause_provides(clause, out);
    }
}

/* Sets waits[i] for clauses that stand back for others: those that are not done may give one of their attributes. */
static void find_waits(rille_op *op, const ri_plan_input *in, const bool *done, const ri_varset *bound, bool *waits)
{
    ri_varset all = { { 0 } };
    memset(waits, 0, in->count);
    for (uint16_t i = 0; i < in->count; i++) {
        attr_vars(op, in->scope, &in->clauses[i], &all);
    }
    if (ri_varset_empty(&all)) {
        return;
    }
    for (uint16_t i = 0; i < in->count; i++) {
        ri_varset attrs = { { 0 } };
        if (done[i]) {
            continue;
        }
        attr_vars(op, in->scope, &in->clauses[i], &attrs);
        ri_varset_subtract(&attrs, bound);
        for (uint16_t j = 0; j < in->count && !waits[i] && !ri_varset_empty(&attrs); j++) {
            ri_varset values = { { 0 } };
            if (j != i && !done[j]) {
                gives_values(op, in->scope, &in->clauses[j], &values);
                ri_varset own = { { 0 } };
                attr_vars(op, in->scope, &in->clauses[j], &own);
                ri_varset_subtract(&values, &own);
            }
            waits[i] = ri_varset_meets(&attrs, &values);
        }
    }
}

/* ---- the order as written ---- */

typedef struct written {
    uint16_t *rank; /* by clause: its place in the order as written */
    bool *may_fail; /* by clause */
} written;

/* The first clause as written that can run, of those that stand back (or do not); `count`: there is none. */
static uint16_t first_ready(const rille_op *op, const ri_plan_input *in, const bool *done, const bool *waits,
                            bool waiting, const ri_varset *known)
{
    uint16_t i = 0;
    while (i < in->count && (done[i] || waits[i] != waiting || !ready(op, &in->clauses[i], known))) {
        i++;
    }
    return i;
}

/* What does not depend on the plan is known at the start: inputs, and what has to come from outside. */
static int find_written(rille_op *op, const ri_plan_input *in, written *out, rille_err *err)
{
    out->rank = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *out->rank);
    out->may_fail = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *out->may_fail);
    bool *done = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *done);
    bool *waits = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *waits);
    bool any_fails = false;
    if (out->rank == NULL || out->may_fail == NULL || done == NULL || waits == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = 0; i < in->count; i++) {
        out->rank[i] = i;
        out->may_fail[i] = ri_clause_may_fail(op, in->scope, &in->clauses[i]);
        any_fails = any_fails || out->may_fail[i];
    }
    if (!any_fails && op->options.order_seed == 0) {
        return 0; /* nobody asks for the order */
    }
    memset(done, 0, in->count + 1U);
    ri_varset known = ri_known_vars(in->scope, &in->given);
    ri_varset start = known; /* which may be enough: calls that wait for each other need only one of their variables */
    int rc = ri_body_required(in->clauses, in->count, &op->rules, &start, &known);
    if (rc != 0) {
        return ri_fail_nomem(err);
    }
    for (uint16_t at = 0; at < in->count; at++) {
        RI_TRY(ri_check(op, err));
        find_waits(op, in, done, &known, waits);
        uint16_t next = first_ready(op, in, done, waits, false, &known);
        next = next < in->count ? next : first_ready(op, in, done, waits, true, &known);
        for (uint16_t i = 0; next == in->count; i++) { /* against (B2) */
            next = done[i] ? next : i;
        }
        done[next] = true;
        out->rank[next] = at;
        ri_clause_provides(&in->clauses[next], &known);
    }
    return 0;
}

bool ri_fails_after(rille_op *op, const ri_plan_input *in, uint16_t clause)
{
    written w;
    bool found = find_written(op, in, &w, NULL) != 0; /* no memory: sure is sure */
    for (uint16_t i = 0; !found && i < in->count; i++) {
        found = w.may_fail[i] && w.rank[i] > w.rank[clause];
    }
    return found;
}

/* The next clause in the order as written: the only one of those that can fail which has nothing to wait for. */
static uint16_t next_written(const ri_plan_input *in, const written *w, const bool *done)
{
    uint16_t next = in->count;
    for (uint16_t i = 0; i < in->count; i++) {
        if (!done[i] && (next == in->count || w->rank[i] < w->rank[next])) {
            next = i;
        }
    }
    return next;
}

/* ---- by chance ---- */

typedef struct choice {
    uint16_t clause;
    double score;
    bool connected;
    bool found;
} choice;

/* In tests, an order by chance or the order as written instead of the cheapest. */
static void consider_any(rille_op *op, const written *w, uint16_t i, choice *best)
{
    double score = w->rank[i];
    if (op->options.order_seed != RI_ORDER_AS_WRITTEN) {
        op->order_state = op->order_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        score = (double)(op->order_state >> 33);
    }
    if (!best->found || score < best->score) {
        *best = (choice){ i, score, true, true };
    }
}

static ri_pattern *pattern_of(rille_op *op, const ri_scope *scope, const ri_clause *clause)
{
    ri_pattern *p = NULL;
    bool is = clause->kind == RI_CLAUSE_PATTERN && asks_database(op, scope, clause) &&
              ri_pattern_resolve(op, scope, clause, &p, NULL) == 0;
    return is ? p : NULL;
}

/* Of two clauses that seem equally good, does the first come first? So a query has one plan in whatever order it is
 * written. */
static bool comes_before(rille_op *op, const ri_scope *scope, const ri_clause *a, const ri_clause *b)
{
    const ri_pattern *p = pattern_of(op, scope, a);
    const ri_pattern *q = pattern_of(op, scope, b);
    if (p != NULL && q != NULL && p->attr_count != q->attr_count) {
        return p->attr_count < q->attr_count;
    }
    return ri_clause_cmp(scope, a, b) < 0;
}

/* ---- the choice ---- */

/* Of a pattern, only the attribute is bound, or the transaction: no index leads from that to few datoms. */
static bool reads_widely(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_varset *bound)
{
    const ri_pattern *p = pattern_of(op, scope, clause);
    return p != NULL && p->attr == NULL && !p->has[RI_POS_E] && !ri_varset_has(bound, p->var[RI_POS_E]) &&
           !ri_varset_has(bound, p->var[RI_POS_V]);
}

/* An order in the making. */
typedef struct ordering {
    rille_op *op;
    const ri_plan_input *in;
    const written *w;
    bool *done;
    bool *waits;
    choice *choices; /* by clause, those that can come next */
    ri_varset bound;
    double rows;
    double rows_max;
    uint64_t set;            /* of clauses that are done, where orders can be walked */
    const ri_clause *second; /* the clause to go on with after the first; NULL: any */
    unsigned several;        /* clauses that could come next and give more than one row each */
} ordering;

/* What a clause gives next, as a walk measured it, or else as links tell. */
static ri_fanout fanout_of(const ordering *o, uint16_t i)
{
    ri_fanout fanout = ri_plan_fanout(o->op, o->in, &o->in->clauses[i], &o->bound, o->done);
    bool walks = o->in->whole && i < RI_WALK_CLAUSES_MAX;
    double measured = walks ? ri_walk_rows(o->op, o->set | UINT64_C(1) << i) : -1;
    if (measured >= 0) {
        fanout.rows = o->rows > 0 ? measured / o->rows : 0;
        fanout.rows_max = fanout.rows;
    }
    return fanout;
}

/* What can follow a clause: patterns that leave no more rows than there are. */
typedef struct follower {
    double rows; /* the fewest that one leaves of a row */
    unsigned count;
} follower;

static follower follow(ordering *o, uint16_t clause)
{
    const ri_plan_input *in = o->in;
    const ri_varset bound = o->bound;
    const double before = o->rows;
    const uint64_t set = o->set;
    follower out = { 1, 0 };
    o->rows *= fanout_of(o, clause).rows;
    o->set |= clause < RI_WALK_CLAUSES_MAX ? UINT64_C(1) << clause : 0;
    ri_clause_provides(&in->clauses[clause], &o->bound);
    o->done[clause] = true;
    for (uint16_t i = 0; i < in->count; i++) {
        ri_varset vars = { { 0 } };
        ri_outer_vars(&in->clauses[i], &vars);
        ri_varset_subtract(&vars, &bound);
        if (!o->done[i] && in->clauses[i].kind == RI_CLAUSE_PATTERN && ri_varset_meets(&vars, &o->bound)) {
            double rows = fanout_of(o, i).rows;
            out.rows = rows < out.rows ? rows : out.rows;
            out.count += rows <= 1;
        }
    }
    o->done[clause] = false;
    o->bound = bound;
    o->rows = before;
    o->set = set;
    return out;
}

/* Of clauses that leave as many rows, the one is better after which others leave few, or after which more of them can
 * run that leave no more. All are compared, so that the same is asked for in whatever order the query is written. */
static void break_tie(ordering *o, choice *best)
{
    const ri_plan_input *in = o->in;
    const choice first = *best;
    bool walked = in->whole && ri_walk_order(o->op, 0) != NULL; /* measures differ from estimates of the same */
    const double near = first.score * (walked ? NEAR : 1);
    follower most = { -1, 0 };
    for (uint16_t i = 0; i < in->count; i++) {
        const choice *other = &o->choices[i];
        if (!other->found || other->score < first.score || other->score > near || other->connected != first.connected ||
            i == first.clause) {
            continue;
        }
        most = most.rows < 0 ? follow(o, first.clause) : most;
        follower f = follow(o, i);
        bool tie = f.rows == most.rows && f.count == most.count;
        if (tie ? comes_before(o->op, in->scope, &in->clauses[i], &in->clauses[best->clause])
                : f.rows < most.rows || (f.rows == most.rows && f.count > most.count)) {
            *best = *other;
            most = f;
        }
    }
}

static void consider(ordering *o, uint16_t i, choice *best)
{
    rille_op *op = o->op;
    const ri_scope *scope = o->in->scope;
    const ri_clause *clause = &o->in->clauses[i];
    ri_varset known = ri_known_vars(scope, &o->bound);
    if (!ready(op, clause, &known)) {
        return;
    }
    if (op->options.order_seed != 0) {
        consider_any(op, o->w, i, best);
        return;
    }
    ri_varset vars = { { 0 } };
    ri_outer_vars(clause, &vars);
    ri_fanout fanout = fanout_of(o, i);
    bool connected =
        ri_varset_meets(&vars, &o->bound) || o->rows <= 1 || fanout.rows <= 1 || ri_varset_within(&vars, &known);
    connected = connected || o->rows_max * fanout.rows_max <= CROSS_ROWS;
    bool wide = fanout.rows > 1 && reads_widely(op, scope, clause, &o->bound);
    connected = connected && !wide;
    double score = fanout.rows + fanout.reads / (o->rows > 1 ? o->rows : 1);
    if (ri_clause_filters(clause)) {
        score = clause->kind == RI_CLAUSE_PRED ? -2 : clause->kind == RI_CLAUSE_FUNC ? -1 : -0.5;
        connected = true;
    } else if (connected) {
        o->several += fanout.rows_max > 1;
    } else if (!wide && o->rows_max * fanout.rows_max <= CROSS_ROWS_MAX) {
        score *= CROSS_FACTOR;
        connected = true;
    }
    bool better = !best->found || (connected && !best->connected);
    if (!better && connected == best->connected) {
        bool tie = score == best->score; /* of the same counts: to the bit */
        better = tie ? comes_before(op, scope, clause, &o->in->clauses[best->clause]) : score < best->score;
    }
    o->choices[i] = (choice){ i, score, connected, true };
    if (better) {
        *best = o->choices[i];
    }
}

static int choose(ordering *o, choice *best, rille_err *err)
{
    const ri_plan_input *in = o->in;
    uint16_t next = next_written(in, o->w, o->done);
    o->several = 0;
    memset(o->choices, 0, in->count * sizeof *o->choices);
    for (unsigned all = 0; all < 2 && !best->found; all++) { /* all: they wait for each other */
        for (uint16_t i = 0; i < in->count; i++) {
            if (!o->done[i] && o->waits[i] == (all == 1) && (!o->w->may_fail[i] || i == next)) {
                consider(o, i, best);
            }
        }
    }
    if (best->found && best->score > 1 && o->op->options.order_seed == 0) {
        break_tie(o, best);
    }
    for (uint16_t i = 0; i < in->count && !best->found; i++) { /* against (B2): run it with what there is */
        if (!o->done[i] && in->clauses[i].kind != RI_CLAUSE_PRED && in->clauses[i].kind != RI_CLAUSE_FUNC) {
            *best = (choice){ i, 1, true, true };
        }
    }
    return best->found ? 0
                       : ri_fail(err, RILLE_QUERY,
                                 "the clauses of the query cannot be ordered: a function waits for a "
                                 "variable that nothing binds");
}

/* The cheapest next clause, again and again; `first`, if any, begins. `given`: an order that there is. */
static int order_from(ordering *o, const ri_clause *first, const uint16_t *given, uint16_t *order, double *est,
                      ri_plan_cost *cost, rille_err *err)
{
    const ri_plan_input *in = o->in;
    o->bound = in->bound;
    o->rows = o->rows_max = in->rows;
    o->set = 0;
    *cost = (ri_plan_cost){ .start_min = -1 };
    memset(o->done, 0, in->count);
    for (uint16_t at = 0; at < in->count; at++) {
        choice best = { 0, 0, false, false };
        RI_TRY(ri_check(o->op, err));
        find_waits(o->op, in, o->done, &o->bound, o->waits);
        if (given != NULL) {
            best = (choice){ given[at], 0, true, true };
        } else if (first != NULL && at == 0) {
            best = (choice){ (uint16_t)(first - in->clauses), 0, true, true };
        } else if (o->second != NULL && at == 1) {
            consider(o, (uint16_t)(o->second - in->clauses), &best);
            if (!best.found || !best.connected || o->waits[best.clause]) {
                cost->rows = DBL_MAX; /* it cannot come here */
                return 0;
            }
        } else {
            RI_TRY(choose(o, &best, err));
        }
        const ri_clause *clause = &in->clauses[best.clause];
        ri_fanout fanout = fanout_of(o, best.clause);
        cost->choices = cost->choices || (at > 0 && o->several > 1);
        cost->rows += o->rows * fanout.rows + fanout.reads;
        cost->rows_max += o->rows_max * fanout.rows_max + fanout.reads;
        o->rows *= fanout.rows;
        o->rows_max *= fanout.rows_max;
        o->done[best.clause] = true;
        o->set |= best.clause < RI_WALK_CLAUSES_MAX ? UINT64_C(1) << best.clause : 0;
        order[at] = best.clause;
        est[at] = o->rows;
        ri_clause_provides(clause, &o->bound);
    }
    return 0;
}

static int begin_ordering(rille_op *op, const ri_plan_input *in, written *w, ordering *out, rille_err *err)
{
    *out = (ordering){ .op = op, .in = in, .w = w };
    out->done = ri_arena_alloc(&op->plan_arena, in->count + 1U);
    out->waits = ri_arena_alloc(&op->plan_arena, in->count + 1U);
    out->choices = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *out->choices);
    if (out->done == NULL || out->waits == NULL || out->choices == NULL) {
        return ri_fail_nomem(err);
    }
    return find_written(op, in, w, err);
}

/* Which clauses may come first of all? Only those that read a source are tried. */
static void find_starts(ordering *o, bool *starts)
{
    const ri_plan_input *in = o->in;
    ri_varset known = ri_known_vars(in->scope, &in->bound);
    memset(o->done, 0, in->count);
    find_waits(o->op, in, o->done, &in->bound, o->waits);
    for (uint16_t i = 0; i < in->count; i++) {
        starts[i] = in->clauses[i].kind == RI_CLAUSE_PATTERN && !o->waits[i] && !o->w->may_fail[i] &&
                    ready(o->op, &in->clauses[i], &known);
    }
}

/* The best order so far. */
typedef struct winner {
    uint16_t *order;
    double *est;
    ri_plan_cost *cost;
} winner;

/* Of two that cost the same, that is better whose clause number `at` comes first; `natural` is the one that was there to
 * begin with. */
static int try_order(ordering *o, const ri_clause *first, const uint16_t *given, unsigned at, uint16_t natural,
                     winner *best, rille_err *err)
{
    const ri_plan_input *in = o->in;
    uint16_t other[STARTS_MAX];
    double other_est[STARTS_MAX];
    ri_plan_cost cost;
    RI_TRY(order_from(o, first, given, other, other_est, &cost, err));
    bool tie = given == NULL && cost.rows == best->cost->rows && best->order[at] != natural;
    if (cost.rows < best->cost->rows ||
        (tie && comes_before(o->op, in->scope, &in->clauses[other[at]], &in->clauses[best->order[at]]))) {
        *best->cost = cost;
        memcpy(best->order, other, in->count * sizeof *other);
        memcpy(best->est, other_est, in->count * sizeof *other_est);
    }
    return 0;
}

/* What is cheapest first may lead to what is dear: so other starts are tried, where it is worth it. */
static int compare_starts(ordering *o, winner *best, rille_err *err)
{
    const ri_plan_input *in = o->in;
    bool starts[STARTS_MAX];
    uint16_t natural = best->order[0];
    int rc = 0;
    find_starts(o, starts);
    for (uint16_t i = 0; i < in->count && rc == 0; i++) {
        rc = i != natural && starts[i] ? try_order(o, &in->clauses[i], NULL, 0, natural, best, err) : 0;
    }
    return rc;
}

/* The same holds for what is cheapest after the first clause. */
static int compare_seconds(ordering *o, winner *best, rille_err *err)
{
    const ri_plan_input *in = o->in;
    const ri_clause *first = &in->clauses[best->order[0]];
    uint16_t natural = best->order[1];
    int rc = 0;
    for (uint16_t i = 0; i < in->count && rc == 0; i++) {
        const ri_clause *second = &in->clauses[i];
        if (second != first && i != natural && second->kind == RI_CLAUSE_PATTERN && !o->w->may_fail[i]) {
            o->second = second;
            rc = try_order(o, first, NULL, 1, natural, best, err);
        }
    }
    o->second = NULL;
    return rc;
}

/* The cheapest of the orders that were walked. */
static int best_walk(ordering *o, winner *best, rille_err *err)
{
    const uint16_t *walked;
    best->cost->rows = DBL_MAX;
    for (unsigned i = 0; (walked = ri_walk_order(o->op, i)) != NULL; i++) {
        RI_TRY(try_order(o, NULL, walked, 0, 0, best, err));
    }
    return 0;
}

int ri_plan_order(rille_op *op, const ri_plan_input *in, uint16_t *order, double *est, rille_err *err)
{
    written w;
    ordering o;
    ri_plan_cost cost;
    winner best = { order, est, &cost };
    RI_TRY(begin_ordering(op, in, &w, &o, err));
    if (in->whole && in->first == NULL && op->walked && ri_walk_order(op, 0) != NULL) {
        return best_walk(&o, &best, err);
    }
    RI_TRY(order_from(&o, in->first, NULL, order, est, &cost, err));
    bool compares = in->first == NULL && op->options.order_seed == 0 && in->count > 1 && in->count <= STARTS_MAX &&
                    cost.rows > STARTS_ROWS;
    RI_TRY(compares ? compare_starts(&o, &best, err) : 0);
    return compares && in->whole && op->routed && in->count > 2 ? compare_seconds(&o, &best, err) : 0;
}

int ri_plan_order_cost(rille_op *op, const ri_plan_input *in, ri_plan_cost *cost, rille_err *err)
{
    written w;
    ordering o;
    uint16_t *order = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *est);
    bool *starts = ri_arena_alloc(&op->plan_arena, in->count + 1U);
    if (order == NULL || est == NULL || starts == NULL) {
        return ri_fail_nomem(err);
    }
    RI_TRY(begin_ordering(op, in, &w, &o, err));
    RI_TRY(order_from(&o, in->first, NULL, order, est, cost, err));
    find_starts(&o, starts);
    for (uint16_t i = 0; i < in->count; i++) {
        if (i == order[0] || !starts[i]) {
            continue;
        }
        ri_fanout fanout = ri_plan_fanout(op, in, &in->clauses[i], &in->bound, o.done);
        double rows = in->rows * fanout.rows + fanout.reads;
        cost->start_min = cost->start_min < 0 || rows < cost->start_min ? rows : cost->start_min;
    }
    return 0;
}
