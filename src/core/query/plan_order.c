/* SPDX-License-Identifier: MIT
 *
 * The order of clauses.
 *
 * Greedy: whatever only filters comes as soon as its variables are bound; else the clause that leaves the fewest rows,
 * among those that share a variable with what is bound (a cross product only when nothing else is left). By (B2) of
 * bind.h this never gets stuck.
 *
 * AS WRITTEN. A clause that can fail on some row (plan_total.c) waits for all clauses that are written before it: it
 * sees only rows that they leave. "Before" is the order in which the clauses would run as they are written, each as soon
 * as its variables are bound. That order itself is always allowed, so that nothing gets stuck by this either.
 *
 * ATTRIBUTES. In attribute position a name is as good as an id, elsewhere they differ. So that the answer does not
 * depend on the order, a pattern waits for the clauses that may give its attribute variable as a name.
 */
#include "types.h"

ri_varset ri_known_vars(const ri_scope *scope, const ri_varset *bound)
{
    ri_varset known = *bound;
    if (scope->fixed != NULL) {
        ri_varset_union(&known, &scope->is_fixed);
    }
    return known;
}

void ri_outer_vars(const ri_clause *clause, ri_varset *out)
{
    if (clause->kind != RI_CLAUSE_NOT && clause->kind != RI_CLAUSE_OR) {
        ri_clause_vars(clause, out);
        return;
    }
    for (uint16_t i = 0; i < clause->join_count; i++) {
        ri_varset_add(out, clause->join_vars[i]);
    }
}

bool ri_clause_filters(const ri_clause *clause)
{
    return clause->kind == RI_CLAUSE_PRED || clause->kind == RI_CLAUSE_NOT ||
           (clause->kind == RI_CLAUSE_FUNC &&
            (clause->binding.kind == RI_BIND_SCALAR || clause->binding.kind == RI_BIND_TUPLE));
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

/* ---- the choice ---- */

typedef struct choice {
    uint16_t clause;
    double fanout;
    bool connected;
    bool found;
} choice;

/* In tests, an order by chance or the order as written instead of the cheapest. */
static void consider_any(rille_op *op, const written *w, uint16_t i, choice *best)
{
    double fanout = w->rank[i];
    if (op->options.order_seed != RI_ORDER_AS_WRITTEN) {
        op->order_state = op->order_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        fanout = (double)(op->order_state >> 33);
    }
    if (!best->found || fanout < best->fanout) {
        *best = (choice){ i, fanout, true, true };
    }
}

static int cmp_names(const ri_scope *scope, ri_var a, ri_var b)
{
    return a == RI_NO_VAR || b == RI_NO_VAR ? (a == RI_NO_VAR) - (b == RI_NO_VAR)
                                            : strcmp(scope->var_names[a], scope->var_names[b]);
}

/* Of two clauses that seem equally good, does the first come first? Patterns are told apart by what they are, not by
 * where they are written, so that a query has one plan in whatever order it is written. */
static bool comes_before(rille_op *op, const ri_scope *scope, const ri_clause *a, const ri_clause *b)
{
    ri_pattern *p = NULL;
    ri_pattern *q = NULL;
    if (a->kind != RI_CLAUSE_PATTERN || b->kind != RI_CLAUSE_PATTERN || !asks_database(op, scope, a) ||
        !asks_database(op, scope, b) || ri_pattern_resolve(op, scope, a, &p, NULL) != 0 ||
        ri_pattern_resolve(op, scope, b, &q, NULL) != 0 || p->attr == NULL || q->attr == NULL) {
        return false;
    }
    if (p->attr_count != q->attr_count) {
        return p->attr_count < q->attr_count;
    }
    if (p->attr->id != q->attr->id) {
        return p->attr->id < q->attr->id;
    }
    int e = cmp_names(scope, p->var[RI_POS_E], q->var[RI_POS_E]);
    return e != 0 ? e < 0 : cmp_names(scope, p->var[RI_POS_V], q->var[RI_POS_V]) < 0;
}

/* Of a pattern, only the attribute is bound, or the transaction: no index leads from that to few datoms. */
static bool reads_widely(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_varset *bound)
{
    ri_pattern *p = NULL;
    if (clause->kind != RI_CLAUSE_PATTERN || !asks_database(op, scope, clause) ||
        ri_pattern_resolve(op, scope, clause, &p, NULL) != 0) {
        return false;
    }
    return p->attr == NULL && !p->has[RI_POS_E] && !ri_varset_has(bound, p->var[RI_POS_E]) &&
           !ri_varset_has(bound, p->var[RI_POS_V]);
}

static void consider(rille_op *op, const ri_plan_input *in, const written *w, uint16_t i, const ri_varset *bound,
                     double rows, choice *best)
{
    const ri_clause *clause = &in->clauses[i];
    ri_varset known = ri_known_vars(in->scope, bound);
    if (!ready(op, clause, &known)) {
        return;
    }
    if (op->options.order_seed != 0) {
        consider_any(op, w, i, best);
        return;
    }
    ri_varset vars = { { 0 } };
    ri_outer_vars(clause, &vars);
    double fanout = ri_plan_fanout(op, in, clause, bound, rows);
    bool connected = ri_varset_meets(&vars, bound) || rows <= 1 || fanout <= 1 || ri_varset_within(&vars, &known);
    connected = connected && (fanout <= 1 || !reads_widely(op, in->scope, clause, bound));
    if (ri_clause_filters(clause)) {
        fanout = clause->kind == RI_CLAUSE_PRED ? -2 : clause->kind == RI_CLAUSE_FUNC ? -1 : -0.5;
        connected = true;
    }
    bool better = !best->found || (connected && !best->connected);
    if (!better && connected == best->connected) {
        bool tie = fanout == best->fanout; /* of the same counts: to the bit */
        better = tie ? comes_before(op, in->scope, clause, &in->clauses[best->clause]) : fanout < best->fanout;
    }
    if (better) {
        *best = (choice){ i, fanout, connected, true };
    }
}

int ri_plan_order(rille_op *op, const ri_plan_input *in, uint16_t *order, double *est, rille_err *err)
{
    ri_varset bound = in->bound;
    double rows = in->rows;
    bool *done = ri_arena_alloc(&op->plan_arena, in->count);
    bool *waits = ri_arena_alloc(&op->plan_arena, in->count);
    if (done == NULL || waits == NULL) {
        return ri_fail_nomem(err);
    }
    memset(done, 0, in->count);
    written w;
    RI_TRY(find_written(op, in, &w, err));
    for (uint16_t at = 0; at < in->count; at++) {
        choice best = { 0, 0, false, false };
        RI_TRY(ri_check(op, err));
        find_waits(op, in, done, &bound, waits);
        uint16_t next = next_written(in, &w, done);
        if (in->first != NULL && at == 0) {
            best = (choice){ (uint16_t)(in->first - in->clauses), 0, true, true };
        }
        for (unsigned all = 0; all < 2 && !best.found; all++) { /* all: they wait for each other */
            for (uint16_t i = 0; i < in->count; i++) {
                if (!done[i] && waits[i] == (all == 1) && (!w.may_fail[i] || i == next)) {
                    consider(op, in, &w, i, &bound, rows, &best);
                }
            }
        }
        for (uint16_t i = 0; i < in->count && !best.found; i++) { /* against (B2): run it with what there is */
            if (!done[i] && in->clauses[i].kind != RI_CLAUSE_PRED && in->clauses[i].kind != RI_CLAUSE_FUNC) {
                best = (choice){ i, 1, true, true };
            }
        }
        if (!best.found) {
            return ri_fail(err, RILLE_QUERY,
                           "the clauses of the query cannot be ordered: a function waits for a "
                           "variable that nothing binds");
        }
        done[best.clause] = true;
        order[at] = best.clause;
        rows *= ri_plan_fanout(op, in, &in->clauses[best.clause], &bound, rows);
        est[at] = rows;
        ri_clause_provides(&in->clauses[best.clause], &bound);
    }
    return 0;
}
