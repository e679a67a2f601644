/* SPDX-License-Identifier: MIT
 *
 * How many rows come of one row: the fan-out of a clause after others.
 *
 * It is known where the schema says so: an attribute of cardinality one gives at most one row by entity, a unique one by
 * value. Elsewhere a pattern is linked to the clause that gave the variable (links.h): of those, to the one that has the
 * fewest rows. Where nothing is known of that clause, each value of the variable counts once. What no link tells is a
 * guess.
 */
#include "links.h"

#include <math.h>

#define GUESS_CONST_SHARE 0.1   /* of an attribute that another one names */
#define GUESS_MANY_VALUES 4.0   /* of a cardinality-many attribute, an entity */
#define GUESS_ENTITY_DATOMS 8.0 /* an entity */
#define GUESS_CHECK 0.3         /* rows that stay when both ends are bound */
#define GUESS_FILTER 0.35
#define GUESS_COLLECTION 8.0
#define GUESS_RULE_BOUND 25.0 /* answers of a rule for one row of bound arguments */
#define GUESS_RULE_FREE 1e7
#define FANOUTS_MAX 512U /* clauses looked at for one */

/* A body, and which of its clauses have run; the bodies around it. */
typedef struct context {
    rille_op *op;
    const ri_plan_input *in;
    const ri_clause *clauses;
    uint16_t count;
    const bool *done; /* NULL: none */
    const struct context *outer;
} context;

static ri_fanout exactly(double rows)
{
    return (ri_fanout){ rows, rows, 0 };
}

/* ---- what gave a variable ---- */

/* The best place so far, and its clause. */
typedef struct giver {
    ri_place place;
    const ri_clause *clause; /* NULL: an input */
    double rows;
    bool every; /* it has each value once, without a condition: which are likely is not known from it */
    bool found;
} giver;

static void consider_place(const context *c, ri_place place, const ri_clause *clause, giver *best)
{
    const ri_pattern *p = place.pattern;
    bool every = ri_place_is_key(place) && !p->has[RI_POS_V] && p->range == NULL;
    giver other = { place, clause, ri_place_rows(c->op, place), every, true };
    bool tie = best->found && other.every == best->every && other.rows == best->rows;
    bool before =
        tie && clause != NULL && best->clause != NULL && ri_clause_cmp(c->in->scope, clause, best->clause) < 0;
    bool fewer = best->found && (every != best->every ? best->every : other.rows < best->rows);
    if (!best->found || fewer || before) {
        *best = other;
    }
}

static void places_in_body(const context *c, ri_var var, giver *best)
{
    for (uint16_t i = 0; c->done != NULL && i < c->count; i++) {
        const ri_clause *clause = &c->clauses[i];
        ri_pattern *p = NULL;
        if (!c->done[i] || clause->kind != RI_CLAUSE_PATTERN ||
            c->op->sources[ri_scope_source(c->in->scope, clause->source)].db == NULL ||
            ri_pattern_resolve(c->op, c->in->scope, clause, &p, NULL) != 0 || p->nothing) {
            continue;
        }
        for (uint16_t pos = RI_POS_E; pos <= RI_POS_V; pos += RI_POS_V - RI_POS_E) {
            if (p->var[pos] == var) {
                consider_place(c, (ri_place){ p, pos }, clause, best);
            }
        }
    }
}

/* The place that a bound variable comes from: of those that tell most, the one with the fewest rows. False: none is known. */
static bool place_of(const context *c, ri_var var, ri_place *out)
{
    giver best = { .found = false };
    if (ri_varset_has(&c->in->scope->named, var)) {
        return false; /* names are not what an index has */
    }
    for (uint16_t i = 0; c->in->scope == &c->op->scope && i < c->op->in_col_count; i++) {
        if (c->op->in_cols[i].var == var) {
            consider_place(c, (ri_place){ NULL, i }, NULL, &best);
        }
    }
    for (const context *at = c; at != NULL; at = at->outer) {
        places_in_body(at, var, &best);
    }
    *out = best.place;
    return best.found;
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
static ri_fanout place_fanout(const context *c, ri_pattern *p, unsigned pos)
{
    ri_place to = { p, (uint16_t)pos };
    ri_place from;
    bool given = place_of(c, p->var[pos], &from);
    bool key = ri_place_is_key(to);
    double share = key ? key_fanout(p, pos, given && from.pattern != NULL ? &from : NULL) : 0;
    if (key && known_by_schema(p, given, from)) {
        return exactly(share);
    }
    double rows = ri_place_rows(c->op, to);
    if (!given && ((pos == RI_POS_V && p->attr == NULL) || ri_varset_has(&c->in->scope->named, p->var[pos]))) {
        return (ri_fanout){ guess(p, pos), rows, 0 };
    }
    const ri_link *link = ri_link_find(c->op, given ? from : to, to);
    if (link == NULL) {
        return (ri_fanout){ key ? share : guess(p, pos), key ? 1 : rows, 0 };
    }
    double each = given ? ri_place_rows(c->op, from) : link->size;
    double fanout = given ? link->size : rows;
    fanout = each > 1 ? fanout / each : fanout;
    return exactly(fanout < rows ? fanout : rows);
}

static ri_fanout pattern_fanout(const context *c, ri_pattern *p, const ri_varset *bound)
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
    fanout.reads = indexed ? some : ranged ? fanout.rows : all;
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

static double relation_fanout(const ri_scope *scope, const ri_clause *clause, const ri_table *table,
                              const ri_varset *bound)
{
    double rows = table->count;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        if (ri_term_const(scope, &clause->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var))) {
            rows = pow(rows, 0.5);
        }
    }
    return rows;
}

static double rule_fanout(const ri_scope *scope, const ri_clause *clause, const ri_varset *bound)
{
    unsigned known = 0;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        known += ri_term_const(scope, &clause->terms[i]) != NULL || (var != RI_NO_VAR && ri_varset_has(bound, var));
    }
    return known == 0 ? GUESS_RULE_FREE : known == clause->term_count ? GUESS_CHECK : GUESS_RULE_BOUND;
}

static ri_fanout clause_fanout(const context *c, const ri_clause *clause, const ri_varset *bound);

/* A conjunction: its fan-outs one after the other, the smallest first. */
static ri_fanout body_fanout(const context *outer, const ri_clause *clauses, uint16_t count, ri_varset bound)
{
    ri_fanout fanout = exactly(1);
    bool done[RI_QUERY_DEPTH_MAX] = { false };
    uint16_t n = count < RI_QUERY_DEPTH_MAX ? count : RI_QUERY_DEPTH_MAX;
    context c = { outer->op, outer->in, clauses, n, done, outer };
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

static ri_fanout or_fanout(const context *c, const ri_clause *clause, const ri_varset *bound)
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

static ri_fanout source_fanout(const context *c, const ri_clause *clause, const ri_varset *bound)
{
    uint16_t source;
    ri_pattern *p = NULL;
    rille_op *op = c->op;
    if (ri_pattern_source(op, c->in->scope, clause, &source, NULL) != 0) {
        return exactly(1); /* told when its stage is made */
    }
    if (op->sources[source].db == NULL) {
        return exactly(relation_fanout(c->in->scope, clause, op->sources[source].table, bound));
    }
    int rc = ri_pattern_resolve(op, c->in->scope, clause, &p, NULL);
    return rc == 0 ? pattern_fanout(c, p, bound) : exactly(1);
}

static ri_fanout clause_fanout(const context *c, const ri_clause *clause, const ri_varset *bound)
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
        return exactly(rule_fanout(c->in->scope, clause, bound));
    }
    return exactly(1);
}

/* Bodies inside of bodies are ordered again for each step of the outer ones, so there is an end to looking inside. */
ri_fanout ri_plan_fanout(rille_op *op, const ri_plan_input *in, const ri_clause *clause, const ri_varset *bound,
                         const bool *done)
{
    context c = { op, in, in->clauses, in->count, done, NULL };
    op->fanouts_left = FANOUTS_MAX;
    return clause_fanout(&c, clause, bound);
}
