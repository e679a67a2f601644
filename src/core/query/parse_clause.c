/* SPDX-License-Identifier: MIT
 *
 * The clauses of :where and of rules.
 *
 *     [$src? e a v tx added]            pattern          (not clause...)            (not-join [?x ...] clause...)
 *     [(pred arg...)]                   predicate        (or clause...)             (or-join [[?must ...] ?x ...] ...)
 *     [(fn arg...) binding]             function         (and clause...)            in or only
 *     ($src? rule arg...)               rule             ($src not ...) and so on   another default source
 *
 * Limits: RI_QUERY_CLAUSES_MAX clauses, RI_QUERY_DEPTH_MAX deep, so that everything after the parser may recurse.
 */
#include "functions.h"
#include "parse_sections.h"

#include <stdio.h>

#define TERMS_MAX 4096U

static int parse_clause(ri_parser *parser, const ri_form *form, uint16_t source, unsigned depth, bool in_or,
                        ri_clause *out);

static int fail_unknown(const ri_parser *parser, const ri_form *form)
{
    char show[RI_SHOW_SIZE];
    RI_TRY(ri_check_colon(parser, form));
    return ri_parse_fail(parser, RILLE_SYNTAX, form,
                         "%s is not a clause: expected [?e :attr ?v], [(predicate ?x)], [(function ?x) ?y], "
                         "(not ...), (or ...) or (rule ?x)",
                         ri_form_show(show, form));
}

static int parse_terms(ri_parser *parser, ri_items items, int position, ri_clause *out)
{
    if (items.count > TERMS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "the clause has too many terms: %u (the maximum is %u)",
                             items.count, TERMS_MAX);
    }
    out->terms = ri_arena_array(parser->arena, items.count, sizeof *out->terms);
    if (out->terms == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        RI_TRY(ri_parse_term(parser, &items.p[i], position < 0 ? position : (int)i, &out->terms[i]));
    }
    out->term_count = (uint16_t)items.count;
    return 0;
}

/* ---- patterns ---- */

typedef struct lookup_function {
    const char *name;
    int arity_min;
    int arity_max;
    bool is_predicate;
    const char *usage;
} lookup_function;

/* Those that read a database; the executor has them. */
static const lookup_function *find_lookup_function(const char *name)
{
    static const lookup_function functions[] = {
        { "get-else", 4, 4, false, "[(get-else $ ?e :attr default) ?v]" },
        { "get-some", 3, -1, false, "[(get-some $ ?e :attr1 :attr2) [?attr ?v]]" },
        { "missing?", 3, 3, true, "[(missing? $ ?e :attr)]" },
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}

static bool is_form_name(const ri_form *form)
{
    static const char *const names[] = { "not", "not-join", "or", "or-join", "and" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (ri_form_is_symbol(form, names[i])) {
            return true;
        }
    }
    return false;
}

/* [> ?x 5]: a call without its parentheses. The symbol cannot be a term. */
static int fail_call(const ri_parser *parser, const ri_form *form)
{
    char show[RI_SHOW_SIZE];
    char name[RI_SHOW_SIZE];
    const ri_form *first = &form->u.seq.items[0];
    ri_form call = *form;
    call.kind = RI_FORM_LIST;
    (void)ri_form_show(name, first);
    const ri_builtin *builtin = ri_builtin_find(name);
    const lookup_function *lookup = find_lookup_function(name);
    if (builtin == NULL && lookup == NULL) {
        return ri_parse_fail(parser, RILLE_SYNTAX, first,
                             "symbol %s is not a constant: write ?%s for a variable, or [%s] to call a function", name,
                             name, ri_form_show(show, &call));
    }
    if (builtin != NULL ? builtin->map == NULL : lookup->is_predicate) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is a predicate: write [%s], with parentheses", name,
                             ri_form_show(show, &call));
    }
    return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is a function: write [(%s argument ...) ?result]", name, name);
}

static bool is_plain_symbol(const ri_form *form)
{
    return ri_form_is(form, RI_SYMBOL) && !ri_form_is_blank(form) && !ri_form_is_source(form) &&
           form->u.v.as.p[0] != '?';
}

/* [?e :attr ?v] where an entity is expected: no constant begins with a variable. */
static bool is_clause_vector(const ri_form *form)
{
    return form->kind == RI_FORM_VECTOR && form->u.seq.count > 1 &&
           (ri_form_is_var(form->u.seq.items) || ri_form_is_blank(form->u.seq.items) ||
            ri_form_is_source(form->u.seq.items));
}

static int parse_pattern(ri_parser *parser, const ri_form *form, uint16_t source, ri_clause *out)
{
    char show[RI_SHOW_SIZE];
    char outer[RI_SHOW_SIZE];
    ri_items items = ri_form_items(form);
    if (items.count > 0 && is_form_name(&items.p[0])) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s needs parentheses: (%s ...)",
                             ri_form_show(show, &items.p[0]), show);
    }
    if (items.count > 1 && is_plain_symbol(&items.p[0])) {
        return fail_call(parser, form);
    }
    if (items.count > 0 && is_clause_vector(&items.p[0])) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is a vector of clauses, not a clause: remove the outer brackets, as in %s",
                             ri_form_show(outer, form), ri_form_show(show, &items.p[0]));
    }
    out->kind = RI_CLAUSE_PATTERN;
    out->source = source;
    if (items.count > 0 && ri_form_is_source(&items.p[0])) {
        RI_TRY(ri_parse_source(parser, &items.p[0], &out->source));
        items = ri_items_rest(items, 1);
    }
    if (items.count == 0) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is an empty clause: expected a pattern such as [?e :attr ?v]",
                             ri_form_show(show, form));
    }
    if (out->source == RI_SOURCE_DEFAULT && parser->origin.rule == NULL) {
        return ri_parse_fail(
            parser, RILLE_QUERY, form,
            "pattern %s needs a source, because :in has no $: begin it with a source of :in, such as [$src ...]",
            ri_form_show(show, form));
    }
    return parse_terms(parser, items, 0, out);
}

/* ---- predicates and functions ---- */

static int check_lookup_function(const ri_parser *parser, const ri_form *form, const lookup_function *fn,
                                 const ri_clause *clause)
{
    bool fits = clause->term_count >= fn->arity_min && (fn->arity_max < 0 || clause->term_count <= fn->arity_max) &&
                clause->kind == (fn->is_predicate ? RI_CLAUSE_PRED : RI_CLAUSE_FUNC) &&
                clause->terms[0].kind == RI_TERM_SOURCE && clause->terms[1].kind != RI_TERM_SOURCE;
    for (uint16_t i = 2; fits && i < clause->term_count; i++) {
        const ri_term *term = &clause->terms[i];
        bool is_attr = term->kind == RI_TERM_CONST && (term->v.type == RI_KEYWORD || term->v.type == RI_STRING);
        fits = is_attr || (i == 3 && fn->arity_max == 4 && term->kind != RI_TERM_SOURCE);
    }
    if (!fits) {
        char show[RI_SHOW_SIZE];
        return ri_parse_fail(parser, RILLE_QUERY, form, "wrong arguments in %s: use %s as in %s",
                             ri_form_show(show, form), fn->name, fn->usage);
    }
    uint16_t source = clause->terms[0].source;
    if (source == RI_SOURCE_DEFAULT && parser->origin.rule == NULL) {
        return ri_parse_fail(parser, RILLE_QUERY, form, "function %s needs a source that is in :in", fn->name);
    }
    return 0;
}

static int check_function(const ri_parser *parser, const ri_form *form, const ri_clause *clause)
{
    const lookup_function *lookup = find_lookup_function(clause->name);
    if (lookup != NULL) {
        return check_lookup_function(parser, form, lookup, clause);
    }
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (clause->terms[i].kind == RI_TERM_SOURCE) {
            return ri_parse_fail(parser, RILLE_QUERY, form,
                                 "function %s does not take a source; only get-else, get-some and missing? do",
                                 clause->name);
        }
    }
    const ri_builtin *builtin = ri_builtin_find(clause->name);
    if (builtin == NULL) {
        return 0; /* may be the host's */
    }
    int count = clause->term_count;
    if (count < builtin->arity_min || (builtin->arity_max >= 0 && count > builtin->arity_max)) {
        char expected[32];
        if (builtin->arity_max == builtin->arity_min) {
            (void)snprintf(expected, sizeof expected, "%d", builtin->arity_min);
        } else if (builtin->arity_max < 0) {
            (void)snprintf(expected, sizeof expected, "at least %d", builtin->arity_min);
        } else {
            (void)snprintf(expected, sizeof expected, "%d to %d", builtin->arity_min, builtin->arity_max);
        }
        return ri_parse_fail(parser, RILLE_QUERY, form, "function %s takes %s argument%s, not %d", clause->name,
                             expected, strcmp(expected, "1") == 0 ? "" : "s", count);
    }
    return 0;
}

static int parse_call(ri_parser *parser, const ri_form *form, ri_clause *out)
{
    char show[RI_SHOW_SIZE];
    ri_items items = ri_form_items(form);
    const ri_form *call = &items.p[0];
    if (call->u.seq.count == 0 || !ri_form_is(&call->u.seq.items[0], RI_SYMBOL)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, call, "%s is not a call: expected (function argument ...)",
                             ri_form_show(show, call));
    }
    if (is_form_name(&call->u.seq.items[0]) && !ri_form_is_symbol(&call->u.seq.items[0], "not")) {
        return ri_parse_fail(parser, RILLE_SYNTAX, call, "%s does not go in square brackets: write it without them",
                             ri_form_show(show, call));
    }
    if (items.count > 2) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s has more than one binding: expected [(function argument ...) binding]",
                             ri_form_show(show, form));
    }
    out->kind = items.count == 2 ? RI_CLAUSE_FUNC : RI_CLAUSE_PRED;
    RI_TRY(ri_parse_name(parser, &call->u.seq.items[0], &out->name));
    RI_TRY(parse_terms(parser, ri_items_rest(ri_form_items(call), 1), -1, out));
    if (items.count == 2) {
        RI_TRY(ri_parse_binding(parser, &items.p[1], &out->binding));
    }
    return check_function(parser, call, out);
}

/* ---- not, or, and, rules ---- */

int ri_parse_body(ri_parser *parser, ri_items items, uint16_t source, unsigned depth, ri_clause **out, uint16_t *count)
{
    if (depth > RI_QUERY_DEPTH_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "clauses are nested too deeply (the maximum depth is %d)",
                             RI_QUERY_DEPTH_MAX);
    }
    if (items.count > (uint32_t)(RI_QUERY_CLAUSES_MAX - parser->clause_count)) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "too many clauses (the maximum is %d): split the query",
                             RI_QUERY_CLAUSES_MAX);
    }
    parser->clause_count = (uint16_t)(parser->clause_count + items.count);
    ri_clause *clauses = ri_arena_array(parser->arena, items.count, sizeof *clauses);
    if (clauses == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        parser->clause = depth == 1 ? (uint16_t)(i + 1) : parser->clause;
        RI_TRY(parse_clause(parser, &items.p[i], source, depth, false, &clauses[i]));
    }
    parser->clause = depth == 1 ? 0 : parser->clause;
    *out = clauses;
    *count = (uint16_t)items.count;
    return 0;
}

/* The branches of or: single clauses, or ands. With `join`, each sees only these variables of the outside. */
static int parse_branches(ri_parser *parser, ri_items items, uint16_t source, unsigned depth, const ri_frame *join,
                          ri_clause *out)
{
    if (items.count > (uint32_t)(RI_QUERY_CLAUSES_MAX - parser->clause_count)) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "too many clauses (the maximum is %d): split the query",
                             RI_QUERY_CLAUSES_MAX);
    }
    parser->clause_count = (uint16_t)(parser->clause_count + items.count);
    out->body = ri_arena_array(parser->arena, items.count, sizeof *out->body);
    if (out->body == NULL) {
        return ri_fail_nomem(parser->err);
    }
    ri_frame *outside = parser->frame;
    for (uint32_t i = 0; i < items.count; i++) {
        ri_frame inside;
        if (join != NULL) {
            inside = *join;
            parser->frame = &inside;
        }
        int rc = parse_clause(parser, &items.p[i], source, depth + 1, true, &out->body[i]);
        parser->frame = outside;
        RI_TRY(rc);
    }
    out->body_count = (uint16_t)items.count;
    return 0;
}

/* [?x ?y], or [[?must] ?x] where `may_require`. */
static int parse_join_vars(ri_parser *parser, const ri_form *clause, const ri_form *form, bool may_require,
                           ri_clause *out)
{
    char show[RI_SHOW_SIZE];
    if (form == NULL || form->kind != RI_FORM_VECTOR || form->u.seq.count == 0) {
        return ri_parse_fail(parser, RILLE_SYNTAX, clause,
                             "%s must begin with a vector of its variables, such as [?x ?y]",
                             ri_form_show(show, clause));
    }
    ri_items items = ri_form_items(form);
    ri_items required = { NULL, 0 };
    if (may_require && items.p[0].kind == RI_FORM_VECTOR) {
        required = ri_form_items(&items.p[0]);
        items = ri_items_rest(items, 1);
    }
    if (required.count + items.count > RI_QUERY_VARS_MAX || required.count + items.count == 0) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "expected 1 to %d variables, got %s", RI_QUERY_VARS_MAX,
                             ri_form_show(show, form));
    }
    ri_form *all = ri_arena_array(parser->arena, required.count + items.count, sizeof *all);
    if (all == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < required.count + items.count; i++) {
        all[i] = i < required.count ? required.p[i] : items.p[i - required.count];
    }
    out->explicit_join = true;
    out->required_count = (uint16_t)required.count;
    return ri_parse_vars(parser, (ri_items){ all, required.count + items.count }, "a join", &out->join_vars,
                         &out->join_count);
}

static void frame_of(const ri_clause *clause, ri_frame *out)
{
    out->count = clause->join_count;
    memcpy(out->vars, clause->join_vars, clause->join_count * sizeof *out->vars);
}

/* items[0] is the name. */
static int parse_not_or_or(ri_parser *parser, const ri_form *form, ri_items items, uint16_t source, unsigned depth,
                           ri_clause *out)
{
    bool is_or = ri_form_is_symbol(&items.p[0], "or") || ri_form_is_symbol(&items.p[0], "or-join");
    bool joins = items.p[0].u.v.len > strlen("not");
    out->kind = is_or ? RI_CLAUSE_OR : RI_CLAUSE_NOT;
    out->source = source;
    ri_items body = ri_items_rest(items, 1);
    ri_frame inside;
    if (joins) {
        RI_TRY(parse_join_vars(parser, form, body.count > 0 ? &body.p[0] : NULL, is_or, out));
        frame_of(out, &inside);
        body = ri_items_rest(body, 1);
    }
    if (body.count == 0) {
        char show[RI_SHOW_SIZE];
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s needs at least one clause inside",
                             ri_form_show(show, form));
    }
    if (is_or) {
        return parse_branches(parser, body, source, depth, joins ? &inside : NULL, out);
    }
    ri_frame *outside = parser->frame;
    if (joins) {
        parser->frame = &inside;
    }
    int rc = ri_parse_body(parser, body, source, depth + 1, &out->body, &out->body_count);
    parser->frame = outside;
    return rc;
}

static int parse_rule_call(ri_parser *parser, const ri_form *form, ri_items items, uint16_t source, ri_clause *out)
{
    char show[RI_SHOW_SIZE];
    out->kind = RI_CLAUSE_RULE;
    out->source = source;
    RI_TRY(ri_parse_name(parser, &items.p[0], &out->name));
    if (!parser->has_rules) {
        if (ri_builtin_find(out->name) != NULL || find_lookup_function(out->name) != NULL) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is a function: write [%s]", out->name,
                                 ri_form_show(show, form));
        }
        return ri_parse_fail(parser, RILLE_QUERY, form,
                             "%s calls a rule, but :in has no %%: add %% to :in, or write [%s] to call a function",
                             ri_form_show(show, form), show);
    }
    if (items.count == 1) {
        return ri_parse_fail(parser, RILLE_QUERY, form, "rule %s is called without arguments: write (%s ?x ...)",
                             out->name, out->name);
    }
    return parse_terms(parser, ri_items_rest(items, 1), -2, out);
}

static int parse_list(ri_parser *parser, const ri_form *form, uint16_t source, unsigned depth, bool in_or,
                      ri_clause *out)
{
    ri_items items = ri_form_items(form);
    if (items.count > 0 && ri_form_is_source(&items.p[0])) {
        RI_TRY(ri_parse_source(parser, &items.p[0], &source));
        items = ri_items_rest(items, 1);
    }
    if (items.count == 0 || !ri_form_is(&items.p[0], RI_SYMBOL) || ri_form_is_var(&items.p[0]) ||
        ri_form_is_source(&items.p[0])) {
        return fail_unknown(parser, form);
    }
    if (ri_form_is_symbol(&items.p[0], "and")) {
        if (!in_or || items.count == 1) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form,
                                 "(and ...) is only allowed inside (or ...), with at least one clause: elsewhere, "
                                 "write its clauses without it");
        }
        out->kind = RI_CLAUSE_AND;
        out->source = source;
        return ri_parse_body(parser, ri_items_rest(items, 1), source, depth + 1, &out->body, &out->body_count);
    }
    return is_form_name(&items.p[0]) ? parse_not_or_or(parser, form, items, source, depth, out)
                                     : parse_rule_call(parser, form, items, source, out);
}

static int parse_clause(ri_parser *parser, const ri_form *form, uint16_t source, unsigned depth, bool in_or,
                        ri_clause *out)
{
    *out = (ri_clause){ .offset = form->offset, .number = parser->clause };
    if (depth > RI_QUERY_DEPTH_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, form, "clauses are nested too deeply (the maximum depth is %d)",
                             RI_QUERY_DEPTH_MAX);
    }
    if (form->kind == RI_FORM_LIST) {
        return parse_list(parser, form, source, depth, in_or, out);
    }
    if (form->kind != RI_FORM_VECTOR) {
        return fail_unknown(parser, form);
    }
    if (form->u.seq.count > 0 && form->u.seq.items[0].kind == RI_FORM_LIST) {
        return parse_call(parser, form, out);
    }
    return parse_pattern(parser, form, source, out);
}
