/* SPDX-License-Identifier: MIT
 *
 * Which clauses can fail on some row. Those run only where everything that is written before them holds
 * (plan_order.c); all others may run anywhere.
 *
 * A built-in cannot fail where its arguments have the types that it takes. What is not in the list can fail: arithmetic
 * overflows, functions of the host do as they like, and a new built-in is safe until it is entered here. A rule can
 * fail when a call in its bodies can, or in those of a rule that it calls.
 */
#include "types.h"

/* What keeps a function from failing. */
typedef enum need {
    NEED_NEVER,   /* nothing does */
    NEED_NOTHING, /* it takes whatever comes */
    NEED_NUMBERS,
    NEED_PLAIN, /* longs and doubles */
    NEED_INTEGERS,
    NEED_STRINGS,
    NEED_ORDER, /* all numbers, or all of one other type */
    NEED_COUNTABLE,
} need;

#define BOOLS RI_TYPES_ONE(RI_BOOL)
#define LONGS RI_TYPES_ONE(RI_LONG)
/* Of a function that may give a double, any number is expected: docs/query.md, "Equal numbers of several types". */
#define NUMBERS RI_TYPES_NUMBER
#define STRINGS RI_TYPES_ONE(RI_STRING)
#define TUPLES RI_TYPES_ONE(RI_TUPLE)

typedef struct function_row {
    const char *name;
    need needs;
    ri_types gives;
} function_row;

static const function_row functions[] = {
    { "=", NEED_NOTHING, BOOLS },
    { "==", NEED_NOTHING, BOOLS },
    { "!=", NEED_NOTHING, BOOLS },
    { "not=", NEED_NOTHING, BOOLS },
    { "<", NEED_ORDER, BOOLS },
    { ">", NEED_ORDER, BOOLS },
    { "<=", NEED_ORDER, BOOLS },
    { ">=", NEED_ORDER, BOOLS },
    { "compare", NEED_NOTHING, LONGS },
    { "+", NEED_NEVER, NUMBERS },
    { "-", NEED_NEVER, NUMBERS },
    { "*", NEED_NEVER, NUMBERS },
    { "/", NEED_NEVER, NUMBERS },
    { "quot", NEED_NEVER, NUMBERS },
    { "rem", NEED_NEVER, NUMBERS },
    { "mod", NEED_NEVER, NUMBERS },
    { "inc", NEED_NEVER, NUMBERS },
    { "dec", NEED_NEVER, NUMBERS },
    { "abs", NEED_NEVER, NUMBERS },
    { "min", NEED_PLAIN, NUMBERS },
    { "max", NEED_PLAIN, NUMBERS },
    { "long", NEED_INTEGERS, LONGS },
    { "double", NEED_PLAIN, NUMBERS },
    { "pos?", NEED_NUMBERS, BOOLS },
    { "neg?", NEED_NUMBERS, BOOLS },
    { "zero?", NEED_NUMBERS, BOOLS },
    { "even?", NEED_INTEGERS, BOOLS },
    { "odd?", NEED_INTEGERS, BOOLS },
    { "str", NEED_NEVER, STRINGS },
    { "subs", NEED_NEVER, STRINGS },
    { "upper-case", NEED_STRINGS, STRINGS },
    { "lower-case", NEED_STRINGS, STRINGS },
    { "trim", NEED_STRINGS, STRINGS },
    { "split", NEED_NEVER, TUPLES },
    { "join", NEED_NEVER, STRINGS },
    { "starts-with?", NEED_STRINGS, BOOLS },
    { "ends-with?", NEED_STRINGS, BOOLS },
    { "includes?", NEED_STRINGS, BOOLS },
    { "blank?", NEED_STRINGS, BOOLS },
    { "parse-long", NEED_STRINGS, LONGS },
    { "parse-double", NEED_STRINGS, NUMBERS },
    { "parse-instant", NEED_STRINGS, RI_TYPES_ONE(RI_INSTANT) },
    { "identity", NEED_NOTHING, RI_TYPES_ALL },
    { "ground", NEED_NOTHING, RI_TYPES_ALL },
    { "tuple", NEED_NEVER, TUPLES },
    { "count", NEED_COUNTABLE, LONGS },
    { "empty?", NEED_COUNTABLE, BOOLS },
    { "contains?", NEED_NEVER, BOOLS },
    { "nil?", NEED_NOTHING, BOOLS },
    { "some?", NEED_NOTHING, BOOLS },
    { "true?", NEED_NOTHING, BOOLS },
    { "false?", NEED_NOTHING, BOOLS },
    { "not", NEED_NOTHING, BOOLS },
    { "missing?", NEED_NOTHING, BOOLS },
    { "get-else", NEED_NOTHING, RI_TYPES_ALL },
    { "get-some", NEED_NOTHING, TUPLES },
};

static const function_row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}

ri_types ri_call_types(const ri_clause *clause)
{
    const function_row *row = find_row(clause->name);
    return row != NULL && clause->binding.kind == RI_BIND_SCALAR ? row->gives : RI_TYPES_ALL;
}

/* ---- calls ---- */

static ri_types types_of_term(const rille_op *op, const ri_scope *scope, const ri_term *term)
{
    const ri_value *value = ri_term_const(scope, term);
    if (value != NULL) {
        return RI_TYPES_ONE(value->type);
    }
    return term->kind == RI_TERM_VAR ? ri_var_types(op, scope, term->var) : RI_TYPES_ALL;
}

/* Types that the orders < and > compare with each other. */
static bool one_order(ri_types types)
{
    bool one_type = types != 0 && (types & (types - 1)) == 0 && types != RI_TYPES_ONE(RI_NIL);
    return one_type || ri_types_within(types, RI_TYPES_NUMBER) || ri_types_within(types, RI_TYPES_STRING) ||
           ri_types_within(types, RI_TYPES_ONE(RI_BYTES) | RI_TYPES_ONE(RI_BYTES_BLOB));
}

static bool satisfied(need needs, ri_types types)
{
    switch (needs) {
    case NEED_NEVER:
        return false;
    case NEED_NOTHING:
        return true;
    case NEED_NUMBERS:
        return ri_types_within(types, RI_TYPES_NUMBER);
    case NEED_PLAIN:
        return ri_types_within(types, RI_TYPES_PLAIN);
    case NEED_INTEGERS:
        return ri_types_within(types, RI_TYPES_INTEGER);
    case NEED_STRINGS:
        return ri_types_within(types, RI_TYPES_STRING);
    case NEED_ORDER:
        return one_order(types);
    case NEED_COUNTABLE:
        return ri_types_within(types, RI_TYPES_STRING | RI_TYPES_ONE(RI_BYTES) | RI_TYPES_ONE(RI_BYTES_BLOB) | TUPLES |
                                          RI_TYPES_ONE(RI_FLOATS));
    }
    return false;
}

static bool is_tuple(const ri_value *v)
{
    return v->type == RI_TUPLE;
}

/* A constant collection fits its binding, whatever the row. */
static bool fits_binding(const ri_value *v, const ri_binding *binding)
{
    ri_reader reader = ri_reader_of(v->as.p, is_tuple(v) ? v->len : 0);
    bool fits = is_tuple(v);
    while (fits && binding->kind == RI_BIND_RELATION && ri_reader_left(&reader) > 0) {
        ri_value element = ri_value_read(&reader);
        ri_reader inner = ri_reader_of(element.as.p, is_tuple(&element) ? element.len : 0);
        uint16_t width = 0;
        while (width < binding->var_count && ri_reader_left(&inner) > 0 && !inner.bad) {
            (void)ri_value_read(&inner);
            width++;
        }
        fits = !reader.bad && width == binding->var_count;
    }
    return fits;
}

static bool binding_may_fail(const ri_scope *scope, const ri_clause *clause)
{
    ri_binding_kind kind = (ri_binding_kind)clause->binding.kind;
    if (clause->kind != RI_CLAUSE_FUNC || kind == RI_BIND_SCALAR || strcmp(clause->name, "get-some") == 0) {
        return false;
    }
    const ri_value *value = clause->term_count > 0 ? ri_term_const(scope, &clause->terms[0]) : NULL;
    bool ground = strcmp(clause->name, "ground") == 0 && value != NULL;
    return !ground || kind == RI_BIND_TUPLE || !fits_binding(value, &clause->binding);
}

/* A lookup ref as the entity is an error where its attribute is not unique. */
static bool may_be_wrong_name(const rille_op *op, const ri_scope *scope, const ri_term *term)
{
    bool named =
        ri_term_const(scope, term) != NULL || (term->kind == RI_TERM_VAR && ri_varset_has(&scope->named, term->var));
    return named && (types_of_term(op, scope, term) & TUPLES) != 0;
}

static bool call_may_fail(const rille_op *op, const ri_scope *scope, const ri_clause *clause)
{
    const function_row *row = find_row(clause->name);
    ri_types types = 0;
    if (row == NULL || binding_may_fail(scope, clause)) {
        return true;
    }
    bool looks_up = ri_builtin_find(clause->name) == NULL;
    for (uint16_t i = 0; i < clause->term_count; i++) {
        types |= clause->terms[i].kind != RI_TERM_SOURCE ? types_of_term(op, scope, &clause->terms[i]) : 0;
        if (looks_up && may_be_wrong_name(op, scope, &clause->terms[i])) {
            return true;
        }
    }
    return !satisfied(row->needs, types);
}

/* ---- patterns, rules ---- */

static bool is_input(const rille_op *op, const ri_scope *scope, ri_var var)
{
    bool found = false;
    for (uint16_t i = 0; scope == &op->scope && i < op->in_col_count; i++) {
        found = found || op->in_cols[i].var == var;
    }
    return found;
}

/* Variables that hold names: an unknown one is an error. Constants were resolved before the query runs. */
static bool pattern_may_fail(const rille_op *op, const ri_scope *scope, const ri_clause *clause)
{
    uint16_t source = ri_scope_source(scope, clause->source);
    const rille_db *db = source < op->source_count ? op->sources[source].db : NULL;
    for (uint16_t i = 0; db != NULL && i < clause->term_count && i <= RI_POS_T; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        bool names_attr = i == RI_POS_A && var != RI_NO_VAR && !db->schema->read_flexible &&
                          (ri_varset_has(&scope->named, var) || is_input(op, scope, var));
        if (names_attr || (var != RI_NO_VAR && may_be_wrong_name(op, scope, &clause->terms[i]))) {
            return true;
        }
    }
    return false;
}

static bool body_may_fail(const rille_op *op, const ri_scope *scope, const ri_clause *body, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        if (ri_clause_may_fail(op, scope, &body[i])) {
            return true;
        }
    }
    return false;
}

static size_t rule_index(const rille_op *op, const char *name)
{
    return (size_t)(ri_rules_find(&op->rules, name) - op->rules.branches);
}

bool ri_clause_may_fail(const rille_op *op, const ri_scope *scope, const ri_clause *clause)
{
    switch ((ri_clause_kind)clause->kind) {
    case RI_CLAUSE_PATTERN:
        return pattern_may_fail(op, scope, clause);
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_FUNC:
        return call_may_fail(op, scope, clause);
    case RI_CLAUSE_RULE:
        return op->rule_fails[rule_index(op, clause->name)];
    case RI_CLAUSE_NOT:
    case RI_CLAUSE_OR:
    case RI_CLAUSE_AND:
        return body_may_fail(op, scope, clause->body, clause->body_count);
    }
    return true;
}

int ri_plan_failures(rille_op *op, rille_err *err)
{
    size_t count = op->rules.branch_count;
    op->rule_fails = ri_arena_array(&op->arena, count + 1U, sizeof *op->rule_fails);
    if (op->rule_fails == NULL) {
        return ri_fail_nomem(err);
    }
    memset(op->rule_fails, 0, (count + 1U) * sizeof *op->rule_fails);
    for (bool grown = true; grown;) { /* a rule fails at most once, so this ends */
        grown = false;
        for (const ri_scope *scope = op->scopes; scope != NULL; scope = scope->next) {
            const ri_rule_branch *branch = scope->owner;
            bool *fails = &op->rule_fails[rule_index(op, branch->name)];
            if (!*fails && body_may_fail(op, scope, branch->body, branch->body_count)) {
                *fails = true;
                grown = true;
            }
        }
        RI_TRY(ri_check(op, err));
    }
    return 0;
}
