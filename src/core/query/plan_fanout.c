/* SPDX-License-Identifier: MIT
 *
 * How many rows come of one row: the fan-out of a clause after others.
 *
 * It is known where the schema says so: an attribute of cardinality one gives at most one row by entity, a unique one by
 * value. Elsewhere a pattern is linked to where the variable came from (links.h, plan_route.c). Where nothing is known of
 * that, each value of the variable counts once. What no link tells is a guess. A rule has the answers of its bodies.
 */
#include "fanout.h"

#include <math.h>

#define GUESS_CONST_SHARE 0.1   /* of an attribute that another one names */
#define GUESS_MANY_VALUES 4.0   /* of a cardinality-many attribute, an entity */
#define GUESS_ENTITY_DATOMS 8.0 /* an entity */
#define GUESS_CHECK 0.3         /* rows that stay when both ends are bound */
#define GUESS_FILTER 0.35
#define GUESS_COLLECTION 8.0
#define GUESS_RULE_BOUND 25.0 /* answers of a rule for one row of bound arguments */
#define GUESS_RULE_FREE 1e7
#define RULES_DEPTH_MAX 3U    /* rules inside of rules: more are guessed */
#define RULE_ROUNDS 6U        /* of a recursion */
#define RULE_COUNTS_MAX 64U   /* that are kept */
#define RULE_FANOUTS_MAX 128U /* clauses looked at for a rule */
#define FANOUTS_MAX 512U      /* and for a clause */

static ri_fanout exactly(double rows)
{
    return (ri_fanout){ rows, rows, 0 };
}

/* ---- patterns ---- */

/* At a place that has a value at most once. */
static double key_fanout(const ri_pattern *p, unsigned pos, const ri_place *from)
{
    double share = (double)p->const_count / (double)p->attr_count;
    bool entities = pos == RI_POS_E && from != NULL && from->at == RI_POS_E && ri_place_is_key(*from) && !p->assumed &&
                    !from->pattern->assumed;
    double of = entities ? (double)from->pattern->attr_count : 0;
    return of > (double)p->attr_count ? share * (double)p->attr_count / of : share < 1 ? share : 1;
}

static double guess(const ri_pattern *p, unsigned pos)
{
    double some = (double)p->const_count;
    if (pos == RI_POS_V) {
        return p->has[RI_POS_E] ? GUESS_CHECK : pow(some, 0.25);
    }
    double values = p->attr == NULL ? GUESS_ENTITY_DATOMS : GUESS_MANY_VALUES;
    return (values < (double)p->attr_count ? values : (double)p->attr_count) * some / (double)p->attr_count;
}

/* Does the schema tell all about the fan-out at a key? Not where some values of what gives the rows are more likely than
 * others to have the constant that is asked for. */
static bool known_by_schema(const ri_pattern *p, bool given, ri_place from)
{
    if (!given || from.pattern == NULL || !p->has[RI_POS_V]) {
        return true;
    }
    return from.at == RI_POS_E && !from.pattern->has[RI_POS_V];
}

/* By one bound position. */
static ri_fanout place_fanout(const ri_context *c, ri_pattern *p, unsigned pos)
{
    ri_place to = { .pattern = p, .at = (uint16_t)pos };
    ri_route route;
    bool given = ri_route_of(c, p->var[pos], &route);
    ri_place from = route.places[route.count - 1];
    bool key = ri_place_is_key(to);
    double share = key ? key_fanout(p, pos, given && from.pattern != NULL ? &from : NULL) : 0;
    if (key && known_by_schema(p, given, from)) {
        return exactly(share);
    }
    double rows = ri_place_rows(c->op, to);
    if (!given && ((pos == RI_POS_V && p->attr == NULL) || ri_varset_has(&c->in->scope->named, p->var[pos]))) {
        return (ri_fanout){ guess(p, pos), rows, 0 };
    }
    const ri_route own = { { to }, 1 };
    const ri_link *link = ri_link_find(c->op, given ? &route : &own, to);
    if (link == NULL) {
        return (ri_fanout){ key ? share : guess(p, pos), key ? 1 : rows, 0 };
    }
    double each = !given ? link->size : route.count > 1 ? link->rows : ri_place_rows(c->op, from);
    double fanout = given ? link->size : rows;
    fanout = each > 1 ? fanout / each : fanout;
    if (given && key && ri_place_is_key(from) && rows < each) {
        double most = rows / each; /* both have a value once: there are no more matches than rows of the fewer */
        fanout = fanout < most ? fanout : most;
    }
    return exactly(fanout < rows ? fanout : rows);
}

static ri_fanout pattern_fanout(const ri_context *c, ri_pattern *p, const ri_varset *bound)
{
    double all = (double)p->attr_count;
    double some = (double)p->const_count;
    bool e = p->var[RI_POS_E] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_E]);
    bool v = p->var[RI_POS_V] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_V]);
    if (p->nothing || all == 0) {
        return exactly(0);
    }
    if (e && v) {
        ri_fanout by_e = place_fanout(c, p, RI_POS_E);
        ri_fanout by_v = place_fanout(c, p, RI_POS_V);
        double both = by_e.rows * by_v.rows / (some > 1 ? some : 1);
        double fewer = by_e.rows < by_v.rows ? by_e.rows : by_v.rows;
        double fewer_max = by_e.rows_max < by_v.rows_max ? by_e.rows_max : by_v.rows_max;
        fewer = fewer < 1 ? fewer : 1;
        return (ri_fanout){ both < fewer ? both : fewer, fewer_max < 1 ? fewer_max : 1, 0 };
    }
    if (e) {
        return place_fanout(c, p, RI_POS_E);
    }
    if (v && p->attr != NULL && (p->attr->type == RI_REF || p->attr->avet || p->has[RI_POS_E])) {
        return place_fanout(c, p, RI_POS_V);
    }
    ri_fanout fanout = exactly(ri_range_rows(p, bound));
    bool indexed = p->has[RI_POS_E] || (p->has[RI_POS_V] && (p->v_is_ref || (p->attr != NULL && p->attr->avet)));
    bool ranged = p->range != NULL && p->range->clause_count > 0;
    fanout.reads = indexed || ranged ? 0 : all;
    if (v) {
        double reads = fanout.reads;
        fanout = place_fanout(c, p, RI_POS_V);
        fanout.reads = reads; /* into a hash table */
    } else if (p->var[RI_POS_A] != RI_NO_VAR && ri_varset_has(bound, p->var[RI_POS_A])) {
        fanout.rows *= GUESS_CONST_SHARE;
        fanout.rows_max = fanout.rows;
    }
    return fanout;
}

/* ---- other clauses ---- */

static ri_fanout clause_fanout(const ri_context *c, const ri_clause *clause, const ri_varset *bound);

/* A conjunction: its fan-outs one after the other, the smallest first. */
static ri_fanout body_fanout(const ri_context *outer, const ri_clause *clauses, uint16_t count, ri_varset bound)
{
    ri_fanout fanout = exactly(1);
    bool done[RI_QUERY_DEPTH_MAX] = { false };
    uint16_t n = count < RI_QUERY_DEPTH_MAX ? count : RI_QUERY_DEPTH_MAX;
    ri_context c = { .op = outer->op,
                     .in = outer->in,
                     .clauses = clauses,
                     .count = n,
                     .done = done,
                     .outer = outer,
                     .rules = outer->rules };
    for (uint16_t step = 0; step < n; step++) {
        uint16_t best = n;
        ri_fanout best_fanout = exactly(0);
        for (uint16_t i = 0; i < n; i++) {
            ri_fanout f = done[i] ? exactly(0) : clause_fanout(&c, &clauses[i], &bound);
            if (!done[i] && (best == n || f.rows < best_fanout.rows)) {
                best = i;
                best_fanout = f;
            }
        }
        done[best] = true;
        fanout.rows *= best_fanout.rows;
        fanout.rows_max *= best_fanout.rows_max;
        fanout.reads += best_fanout.reads;
        ri_clause_provides(&clauses[best], &bound);
    }
    return fanout;
}

static ri_fanout or_fanout(const ri_context *c, const ri_clause *clause, const ri_varset *bound)
{
    ri_fanout sum = exactly(0);
    for (uint16_t i = 0; i < clause->body_count; i++) {
        const ri_clause *branch = &clause->body[i];
        bool is_and = branch->kind == RI_CLAUSE_AND;
        ri_fanout f = body_fanout(c, is_and ? branch->body : branch, is_and ? branch->body_count : 1, *bound);
        sum.rows += f.rows;
        sum.rows_max += f.rows_max;
        sum.reads += f.reads;
    }
    return sum;
}

/* ---- rules ---- */

/* A call that leads back to a rule that is being estimated has the answers that were found so far. */
static const ri_frame *find_frame(const ri_context *c, const ri_rule_branch *first, uint64_t mask)
{
    const ri_frame *f = c->rules;
    while (f != NULL && (f->first != first || f->mask != mask)) {
        f = f->outer;
    }
    return f;
}

/* One branch, with as many answers of the rules around it as their frames say; *most gets the datoms it can meet. */
static ri_fanout branch_fanout(const ri_context *c, const ri_clause *call, const ri_rule_branch *branch,
                               const ri_scope *scope, const ri_frame *f, double *most)
{
    const ri_plan_input in = { .scope = scope };
    const ri_context inside = {
        .op = c->op, .in = &in, .rules = f, .caller = c->op->routed ? c : NULL, .call = call, .branch = branch
    };
    ri_varset bound = { { 0 } };
    for (uint16_t i = 0; i < branch->param_count && i < 64; i++) {
        if ((f->mask >> i & 1) != 0) {
            ri_varset_add(&bound, branch->params[i]);
        }
    }
    for (uint16_t i = 0; i < branch->body_count; i++) {
        ri_pattern *p = NULL;
        const ri_clause *clause = &branch->body[i];
        uint16_t source = ri_scope_source(scope, clause->source);
        if (clause->kind == RI_CLAUSE_PATTERN && source < c->op->source_count && c->op->sources[source].db != NULL &&
            ri_pattern_resolve(c->op, scope, clause, &p, NULL) == 0) {
            *most += (double)p->const_count;
        }
    }
    return body_fanout(&inside, branch->body, branch->body_count, bound);
}

/* The answers of all branches. */
static ri_fanout branches_fanout(const ri_context *c, const ri_clause *clause, const ri_frame *f, double *most)
{
    const ri_rules *rules = &c->op->rules;
    ri_fanout sum = exactly(0);
    *most = 0;
    const ri_rule_branch *branch;
    for (size_t i = ri_rules_from(rules, clause->name); (branch = ri_rules_at(rules, clause->name, i)) != NULL; i++) {
        const ri_scope *scope = ri_branch_scope(c, clause, branch);
        if (scope != NULL) {
            ri_fanout one = branch_fanout(c, clause, branch, scope, f, most);
            sum.rows += one.rows;
            sum.rows_max += one.rows_max;
            sum.reads += one.reads;
        }
    }
    return sum;
}

static uint64_t bound_args(const ri_scope *scope, const ri_clause *call, const ri_varset *bound)
{
    uint64_t mask = 0;
    for (uint16_t i = 0; i < call->term_count && i < 64; i++) {
        ri_var var = ri_term_var(scope, &call->terms[i]);
        bool known = ri_term_const(scope, &call->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var));
        mask |= (uint64_t)known << i;
    }
    return mask;
}

/* A recursive rule has the answers of its other branches, and more by each round; as many entities as its patterns have
 * datoms. */
static ri_fanout count_rounds(const ri_context *c, const ri_clause *clause, ri_frame *f)
{
    for (unsigned round = 0; round < RULE_ROUNDS; round++) {
        double most;
        double before = f->fanout.rows;
        f->fanout = branches_fanout(c, clause, f, &most);
        double max = f->mask == 0 ? most * most : most;
        f->fanout.rows = f->fanout.rows < max ? f->fanout.rows : max;
        f->fanout.rows_max = f->fanout.rows_max < max ? f->fanout.rows_max : max;
        if (f->fanout.rows <= before) {
            break;
        }
    }
    return f->fanout;
}

/* What was estimated for such a call: it is the same for all, as long as nothing depends on their arguments. */
static ri_rule_count *find_count(const ri_context *c, const ri_rule_count *call)
{
    rille_op *op = c->op;
    for (uint32_t i = 0; i < op->rule_count_count; i++) {
        ri_rule_count *known = &op->rule_counts[i];
        if (known->first == call->first && known->names == call->names && known->mask == call->mask &&
            known->source == call->source) {
            return known;
        }
    }
    return NULL;
}

static void keep_count(const ri_context *c, const ri_rule_count *call)
{
    rille_op *op = c->op;
    if (op->rule_counts == NULL) {
        op->rule_counts = ri_arena_array(&op->arena, RULE_COUNTS_MAX, sizeof *op->rule_counts); /* or count again */
    }
    if (op->rule_counts != NULL && op->rule_count_count < RULE_COUNTS_MAX) {
        op->rule_counts[op->rule_count_count++] = *call;
    }
}

/* A call that is not inside of an estimate. */
static ri_fanout count_call(const ri_context *c, const ri_clause *clause, ri_frame *f)
{
    ri_rule_count call = { .first = f->first,
                           .names = ri_call_names(c->in->scope, clause),
                           .mask = f->mask,
                           .source = ri_scope_source(c->in->scope, clause->source) };
    const ri_rule_count *known = c->op->routed ? NULL : find_count(c, &call);
    if (known != NULL) {
        return known->fanout;
    }
    uint32_t left = c->op->fanouts_left;
    c->op->fanouts_left = RULE_FANOUTS_MAX; /* wherever it is called */
    call.fanout = count_rounds(c, clause, f);
    c->op->fanouts_left = left;
    if (!c->op->routed) {
        keep_count(c, &call);
    }
    return call.fanout;
}

/* Answers for one row of bound arguments. */
static ri_fanout rule_fanout(const ri_context *c, const ri_clause *clause, const ri_varset *bound)
{
    ri_frame f = { .first = ri_rules_find(&c->op->rules, clause->name),
                   .mask = bound_args(c->in->scope, clause, bound),
                   .outer = c->rules,
                   .depth = c->rules != NULL ? c->rules->depth + 1 : 1 };
    const ri_frame *inside = find_frame(c, f.first, f.mask);
    bool check = clause->term_count > 0 && f.mask == (UINT64_C(2) << (clause->term_count - 1)) - 1;
    if (inside != NULL) {
        return inside->fanout;
    }
    if (f.depth > RULES_DEPTH_MAX || (f.depth > 1 && c->op->fanouts_left == 0)) {
        return exactly(check ? GUESS_CHECK : f.mask == 0 ? GUESS_RULE_FREE : GUESS_RULE_BOUND);
    }
    ri_fanout fanout = f.depth == 1 ? count_call(c, clause, &f) : count_rounds(c, clause, &f);
    if (check && fanout.rows > 1) {
        fanout.rows = fanout.rows_max = 1;
    }
    return fanout;
}

/* ---- clauses ---- */

static ri_fanout source_fanout(const ri_context *c, const ri_clause *clause, const ri_varset *bound)
{
    uint16_t source;
    ri_pattern *p = NULL;
    rille_op *op = c->op;
    if (ri_pattern_source(op, c->in->scope, clause, &source, NULL) != 0) {
        return exactly(1); /* told when its stage is made */
    }
    if (op->sources[source].db == NULL) {
        return exactly(ri_rows_fanout(op, c->in->scope, clause, bound));
    }
    int rc = ri_pattern_resolve(op, c->in->scope, clause, &p, NULL);
    return rc == 0 ? pattern_fanout(c, p, bound) : exactly(1);
}

static ri_fanout clause_fanout(const ri_context *c, const ri_clause *clause, const ri_varset *bound)
{
    rille_op *op = c->op;
    bool nested = clause->kind == RI_CLAUSE_OR || clause->kind == RI_CLAUSE_AND;
    if (op->fanouts_left == 0 && nested) {
        return exactly(GUESS_COLLECTION);
    }
    op->fanouts_left -= op->fanouts_left > 0;
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN:
        return source_fanout(c, clause, bound);
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_NOT:
        return exactly(GUESS_FILTER);
    case RI_CLAUSE_FUNC:
        return exactly(
            clause->binding.kind == RI_BIND_SCALAR || clause->binding.kind == RI_BIND_TUPLE ? 1 : GUESS_COLLECTION);
    case RI_CLAUSE_OR:
        return or_fanout(c, clause, bound);
    case RI_CLAUSE_AND:
        return body_fanout(c, clause->body, clause->body_count, *bound);
    case RI_CLAUSE_RULE:
        return rule_fanout(c, clause, bound);
    }
    return exactly(1);
}

/* Bodies inside of bodies are ordered again for each step of the outer ones, so there is an end to looking inside. */
ri_fanout ri_plan_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                         const bool *done)
{
    ri_context c = { .op = op, .in = in, .clauses = in->clauses, .count = in->count, .done = done };
    op->fanouts_left = FANOUTS_MAX;
    return clause_fanout(&c, clause, bound);
}
