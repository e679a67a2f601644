/* SPDX-License-Identifier: MIT
 *
 * From where a variable comes: the clauses that have run, inputs, and in a rule, the arguments of its call.
 *
 * Of several places it is the one with the fewest rows. Where links matter and that place has rows like all others, a
 * route to one that has not is looked for, of as few patterns as possible.
 */
#include "fanout.h"

const ri_scope *ri_branch_scope(const ri_context *c, const ri_clause *call, const ri_rule_branch *branch)
{
    uint16_t source = ri_scope_source(c->in->scope, call->source);
    uint64_t names = ri_call_names(c->in->scope, call);
    const ri_scope *scope = c->op->scopes;
    while (scope != NULL && (scope->owner != branch || scope->source != source || scope->names != names)) {
        scope = scope->next;
    }
    return scope;
}

/* ---- places ---- */

/* A place that a variable comes from. */
typedef struct origin {
    ri_place place;
    const ri_context *c;     /* where its clause is; */
    const ri_clause *clause; /* NULL: none, or one inside of a rule that has run */
} origin;

typedef void (*visit)(void *self, const origin *from);

static void visit_pattern(const ri_context *c, const ri_pattern *p, ri_var var, const origin *as, visit f, void *self)
{
    for (uint16_t pos = RI_POS_E; pos <= RI_POS_V; pos += RI_POS_V - RI_POS_E) {
        if (p->var[pos] == var) {
            const origin from = { { .pattern = (ri_pattern *)p, .at = pos }, c, as->clause };
            f(self, &from);
        }
    }
}

/* The patterns that give a rule's answers: of a rule of one branch. */
static void visit_rule(const ri_context *c, const ri_clause *call, ri_var var, visit f, void *self)
{
    const ri_rules *rules = &c->op->rules;
    size_t first = ri_rules_from(rules, call->name);
    const ri_rule_branch *branch = ri_rules_at(rules, call->name, first);
    bool one = branch != NULL && ri_rules_at(rules, call->name, first + 1) == NULL;
    const ri_scope *scope = one ? ri_branch_scope(c, call, branch) : NULL;
    for (uint16_t i = 0; scope != NULL && i < branch->body_count; i++) {
        const ri_clause *clause = &branch->body[i];
        ri_pattern *p = NULL;
        uint16_t source = ri_scope_source(scope, clause->source);
        if (clause->kind != RI_CLAUSE_PATTERN || source >= c->op->source_count || c->op->sources[source].db == NULL ||
            ri_pattern_resolve(c->op, scope, clause, &p, NULL) != 0 || p->nothing) {
            continue;
        }
        for (uint16_t arg = 0; arg < call->term_count; arg++) {
            if (ri_term_var(c->in->scope, &call->terms[arg]) == var) {
                const origin inside = { .clause = NULL };
                visit_pattern(c, p, branch->params[arg], &inside, f, self);
            }
        }
    }
}

static void visit_clause(const ri_context *c, const ri_clause *clause, ri_var var, visit f, void *self)
{
    rille_op *op = c->op;
    uint16_t source = ri_scope_source(c->in->scope, clause->source);
    ri_pattern *p = NULL;
    const origin as = { .clause = clause };
    if (clause->kind == RI_CLAUSE_RULE) {
        visit_rule(c, clause, var, f, self);
    } else if (clause->kind == RI_CLAUSE_PATTERN && op->sources[source].db != NULL) {
        if (ri_pattern_resolve(op, c->in->scope, clause, &p, NULL) == 0 && !p->nothing) {
            visit_pattern(c, p, var, &as, f, self);
        }
    } else if (clause->kind == RI_CLAUSE_PATTERN) {
        for (uint16_t i = 0; i < clause->term_count; i++) {
            const origin from = { { .clause = clause, .scope = c->in->scope, .at = i }, c, clause };
            if (ri_term_var(c->in->scope, &clause->terms[i]) == var) {
                f(self, &from);
            }
        }
    }
}

static void visit_origins(const ri_context *c, ri_var var, visit f, void *self);

/* An argument of the call that a rule is in. */
static void visit_argument(const ri_context *c, ri_var var, visit f, void *self)
{
    for (uint16_t i = 0; i < c->branch->param_count && i < c->call->term_count; i++) {
        const ri_scope *scope = c->caller->in->scope;
        const ri_term *term = &c->call->terms[i];
        const ri_value *constant = ri_term_const(scope, term);
        if (c->branch->params[i] != var) {
            continue;
        }
        const origin from = { { .clause = c->call, .scope = scope, .at = i }, c, NULL };
        if (constant != NULL && !ri_may_name(constant)) {
            f(self, &from);
        } else if (constant == NULL && term->kind == RI_TERM_VAR) {
            visit_origins(c->caller, term->var, f, self);
        }
    }
}

static void visit_origins(const ri_context *c, ri_var var, visit f, void *self)
{
    const ri_context *last = c;
    if (var == RI_NO_VAR || ri_varset_has(&c->in->scope->named, var)) {
        return; /* names are not what an index has */
    }
    for (uint16_t i = 0; c->in->scope == &c->op->scope && i < c->op->in_col_count; i++) {
        const origin from = { { .at = i }, c, NULL };
        if (c->op->in_cols[i].var == var) {
            f(self, &from);
        }
    }
    for (const ri_context *at = c; at != NULL; at = at->outer) {
        for (uint16_t i = 0; at->done != NULL && i < at->count; i++) {
            if (at->done[i]) {
                visit_clause(at, &at->clauses[i], var, f, self);
            }
        }
        last = at;
    }
    if (last->caller != NULL) {
        visit_argument(last, var, f, self);
    }
}

/* Of two equally good ones, does the first come first in any order that the query may be written in? */
static bool comes_before(const origin *a, const origin *b)
{
    return a->clause != NULL && b->clause != NULL && a->c->in->scope == b->c->in->scope &&
           ri_clause_cmp(a->c->in->scope, a->clause, b->clause) < 0;
}

/* ---- the best place ---- */

typedef struct giver {
    origin from;
    double rows;
    bool every; /* it has each value once, without a condition: which are likely is not known from it */
    bool found;
} giver;

static void consider_place(void *self, const origin *from)
{
    giver *best = self;
    const ri_pattern *p = from->place.pattern;
    giver other = { *from, ri_place_rows(from->c->op, from->place),
                    ri_place_is_key(from->place) && !p->has[RI_POS_V] && p->range == NULL, true };
    bool fewer = other.every != best->every ? best->every : other.rows < best->rows;
    bool tie = other.every == best->every && other.rows == best->rows;
    if (!best->found || fewer || (tie && comes_before(from, &best->from))) {
        *best = other;
    }
}

/* ---- routes ---- */

/* A search for a route of so many patterns after its first place. */
typedef struct search {
    unsigned steps;
    const ri_pattern *except; /* which is in it already */
    ri_route route;           /* the best so far */
    origin end;
    bool found;
} search;

static void consider_route(void *self, const origin *from);

static bool special_route(const ri_context *c, ri_var var, unsigned steps, const ri_pattern *except, ri_route *out)
{
    search s = { .steps = steps, .except = except };
    visit_origins(c, var, consider_route, &s);
    *out = s.route;
    return s.found;
}

static void consider_route(void *self, const origin *from)
{
    search *s = self;
    const ri_pattern *p = from->place.pattern;
    ri_place in = { .pattern = from->place.pattern, .at = from->place.at == RI_POS_E ? RI_POS_V : RI_POS_E };
    ri_route route = { { from->place }, 1 };
    bool special = ri_place_is_special(from->place);
    if (s->steps > 0) {
        if (special || from->clause == NULL || p == s->except || !ri_place_can_count(in) ||
            !special_route(from->c, p->var[in.at], s->steps - 1, p, &route)) {
            return;
        }
        route.places[route.count++] = from->place;
    } else if (!special) {
        return;
    }
    double rows = ri_place_rows(from->c->op, route.places[0]);
    double least = s->found ? ri_place_rows(from->c->op, s->route.places[0]) : 0;
    if (!s->found || rows < least || (rows == least && comes_before(from, &s->end))) {
        s->route = route;
        s->end = *from;
        s->found = true;
    }
}

bool ri_route_of(const ri_context *c, ri_var var, ri_route *out)
{
    giver best = { .found = false };
    visit_origins(c, var, consider_place, &best);
    *out = (ri_route){ { best.from.place }, 1 };
    bool done = !best.found || !c->op->routed || ri_place_is_special(best.from.place);
    for (unsigned steps = 1; !done && steps < RI_ROUTE_MAX; steps++) {
        ri_route route;
        done = special_route(c, var, steps, NULL, &route);
        *out = done ? route : *out;
    }
    return best.found;
}
