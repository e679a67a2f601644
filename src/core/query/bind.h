/* SPDX-License-Identifier: MIT
 *
 * What a clause does to variables: which it mentions, which must be bound before it can run, which it binds. And the
 * check that every clause of a query can run in some order.
 *
 * Invariants of a bound query:
 * (B1) join_vars of every NOT and OR are set; those of a plain or are the variables of its branches that are bound by
 *      all of them, or can be bound outside.
 * (B2) There is an order of each body in which every clause has its required variables bound: the planner may take any
 *      clause whose required variables are bound, and never gets stuck.
 */
#ifndef RI_BIND_H
#define RI_BIND_H

#include "ast.h"

#include "../data/suggest.h"

/* A set of variables of one scope. */
typedef struct ri_varset {
    uint64_t words[RI_QUERY_VARS_MAX / 64];
} ri_varset;

static inline void ri_varset_add(ri_varset *set, ri_var var)
{
    if (var < RI_QUERY_VARS_MAX) { /* RI_NO_VAR is not added */
        set->words[var / 64] |= UINT64_C(1) << (var % 64);
    }
}
static inline bool ri_varset_has(const ri_varset *set, ri_var var)
{
    return var < RI_QUERY_VARS_MAX && (set->words[var / 64] >> (var % 64) & 1) != 0;
}
static inline void ri_varset_union(ri_varset *set, const ri_varset *other)
{
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        set->words[i] |= other->words[i];
    }
}
static inline void ri_varset_intersect(ri_varset *set, const ri_varset *other)
{
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        set->words[i] &= other->words[i];
    }
}
static inline void ri_varset_subtract(ri_varset *set, const ri_varset *other)
{
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        set->words[i] &= ~other->words[i];
    }
}
static inline bool ri_varset_within(const ri_varset *set, const ri_varset *other)
{
    uint64_t rest = 0;
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        rest |= set->words[i] & ~other->words[i];
    }
    return rest == 0;
}
static inline bool ri_varset_empty(const ri_varset *set)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        any |= set->words[i];
    }
    return any == 0;
}
/* The smallest variable, or RI_NO_VAR. */
ri_var ri_varset_first(const ri_varset *set);

/* These ADD to *out. Visible from outside: the body of a -join form counts by its join_vars alone. */
void ri_clause_vars(const ri_clause *clause, ri_varset *out);
/* Bound by it when it ran, whatever was bound before. */
void ri_clause_provides(const ri_clause *clause, ri_varset *out);
/* Must be bound before it can run. `rules` say what calls need; NULL: calls need nothing. 0 or RILLE_NOMEM. */
int ri_clause_required(const ri_clause *clause, const ri_rules *rules, ri_varset *out);
/* The same when some variables are bound: of parameters that are the same variable, one is enough. */
int ri_clause_required_with(const ri_clause *clause, const ri_rules *rules, const ri_varset *bound, ri_varset *out);
/* Stand in attribute position: see ri_rule_branch.attrs. rules NULL: calls do not count. */
void ri_clause_attrs(const ri_clause *clause, const ri_rules *rules, ri_varset *out);
/* What must be bound from outside so that all clauses of a body can run in some order. `bound`: what is; NULL: nothing
 * that is known. */
int ri_body_required(const ri_clause *body, uint16_t count, const ri_rules *rules, const ri_varset *bound,
                     ri_varset *out);

/* Where a body was written, for messages. */
typedef struct ri_bind_scope {
    const char *const *var_names;
    const char *const *source_names;
    ri_origin origin;
    const ri_rules *rules; /* NULL: not known yet */
    rille_err *err;
} ri_bind_scope;

/* Offers the names of variables, without their ?. */
void ri_bind_suggest(ri_suggest *suggest, const char *const *var_names, const ri_varset *vars);
/* Fails with the position of a clause: RILLE_QUERY. */
int ri_bind_fail(const ri_bind_scope *scope, const ri_clause *clause, const char *format, ...) RI_PRINTF(3, 4);
/* Sets join_vars of all plain nots and ors inside. `outer`: what can be bound outside. RILLE_QUERY, RILLE_NOMEM. */
int ri_bind_joins(const ri_bind_scope *scope, ri_arena *arena, ri_clause *body, uint16_t count, const ri_varset *outer);
/* Checks (B2), inside too. `outer`: what is bound from outside. */
int ri_bind_check(const ri_bind_scope *scope, const ri_clause *body, uint16_t count, const ri_varset *outer);
/* Binds the query: :where, :find, :with. */
int ri_bind_query(rille_query *query, rille_err *err);
/* Binds all branches and finds what they need. `query` as in ri_rules_parse_form. */
int ri_bind_rules(ri_rules *rules, const rille_query *query, ri_arena *arena, rille_err *err);
/* The calls of a query against its rules: names, arity, and (B2) with what the rules need. To be called once the rules
 * are known. */
int ri_bind_calls(const rille_query *query, const ri_rules *rules, rille_err *err);

#endif
