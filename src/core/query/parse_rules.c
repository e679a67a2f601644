/* SPDX-License-Identifier: MIT
 *
 * Rules: a vector of definitions, [(name ?a ?b) clause...] or [(name [?must] ?b) clause...]. Several definitions of one
 * name are its branches. Each definition has variables of its own.
 *
 * A variable that is written at several places of a head is one parameter for each, and clauses that are not written
 * make them equal: [(same ?a ?a) ...] is [(same ?a ?b) [(identity ?a) ?b] [(identity ?b) ?a] ...]. They
 * come first: no call in the body sees arguments that differ.
 */
#include "bind.h"
#include "functions.h"
#include "parse.h"

#define RULES_MAX 1024U

static int fail_definition(const ri_parser *parser, const ri_form *form)
{
    char show[RI_SHOW_SIZE];
    if (form->kind == RI_FORM_LIST) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is not a rule: rules are a vector of vectors, [[(name ?a ?b) clause ...] ...]",
                             ri_form_show(show, form));
    }
    return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is not a rule: expected [(name ?a ?b) clause ...]",
                         ri_form_show(show, form));
}

/* A variable that is there already gets another number, under the same name. */
static int parse_param(ri_parser *parser, const ri_form *form, uint16_t at, ri_rule_branch *out)
{
    RI_TRY(ri_parse_var(parser, form, &out->params[at]));
    out->same[at] = 0;
    while (out->params[out->same[at]] != out->params[at]) {
        out->same[at]++;
    }
    if (out->same[at] == at) {
        return 0;
    }
    if (parser->var_count == RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, form, "too many variables (the maximum is %d): split the rule",
                             RI_QUERY_VARS_MAX);
    }
    parser->var_names[parser->var_count] = parser->var_names[out->params[at]];
    out->params[at] = parser->var_count++;
    return 0;
}

/* [(identity ?from) ?to] */
static int make_equal(const ri_parser *parser, ri_var from, ri_var to, ri_clause *out)
{
    ri_term *term = ri_arena_array(parser->arena, 1, sizeof *term);
    ri_var *var = ri_arena_array(parser->arena, 1, sizeof *var);
    if (term == NULL || var == NULL) {
        return ri_fail_nomem(parser->err);
    }
    *term = (ri_term){ .kind = RI_TERM_VAR, .var = from, .offset = UINT32_MAX };
    *var = to;
    *out = (ri_clause){ .kind = RI_CLAUSE_FUNC,
                        .implicit = true,
                        .source = RI_SOURCE_DEFAULT,
                        .offset = UINT32_MAX,
                        .terms = term,
                        .term_count = 1,
                        .name = "identity",
                        .binding = { var, 1, RI_BIND_SCALAR } };
    return 0;
}

/* Puts the clauses that make parameters of one name equal before the others. */
static int equal_params(const ri_parser *parser, ri_rule_branch *branch)
{
    uint16_t more = 0;
    for (uint16_t i = 0; i < branch->param_count; i++) {
        more = (uint16_t)(more + (branch->same[i] != i ? 2 : 0));
    }
    if (more == 0) {
        return 0;
    }
    ri_clause *body = ri_arena_array(parser->arena, (size_t)branch->body_count + more, sizeof *body);
    if (body == NULL) {
        return ri_fail_nomem(parser->err);
    }
    memcpy(body + more, branch->body, branch->body_count * sizeof *body);
    uint16_t at = 0;
    for (uint16_t i = 0; i < branch->param_count; i++) {
        ri_var first = branch->params[branch->same[i]];
        if (branch->same[i] != i) {
            RI_TRY(make_equal(parser, first, branch->params[i], &body[at++]));
            RI_TRY(make_equal(parser, branch->params[i], first, &body[at++]));
        }
    }
    branch->body = body;
    branch->body_count = (uint16_t)(branch->body_count + more);
    return 0;
}

/* head: (name ?a ?b) or (name [?a] ?b) */
static int parse_head(ri_parser *parser, const ri_form *head, ri_rule_branch *out)
{
    ri_items items = ri_items_rest(ri_form_items(head), 1);
    ri_items required = { NULL, 0 };
    if (items.count > 0 && items.p[0].kind == RI_FORM_VECTOR) {
        required = ri_form_items(&items.p[0]);
        items = ri_items_rest(items, 1);
    }
    uint32_t total = required.count + items.count;
    if (total == 0 || total > RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_SYNTAX, head, "expected 1 to %d parameters", RI_QUERY_VARS_MAX);
    }
    out->params = ri_arena_array(parser->arena, total, sizeof *out->params);
    out->same = ri_arena_array(parser->arena, total, sizeof *out->same);
    if (out->params == NULL || out->same == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < total; i++) {
        const ri_form *form = i < required.count ? &required.p[i] : &items.p[i - required.count];
        RI_TRY(parse_param(parser, form, (uint16_t)i, out));
    }
    out->required_count = (uint16_t)required.count;
    out->param_count = (uint16_t)total;
    return 0;
}

static int parse_branch(ri_parser *parser, const ri_form *form, ri_rule_branch *out)
{
    parser->origin.rule = NULL;
    parser->clause = 0;
    *out = (ri_rule_branch){ .offset = form->offset };
    if (form->kind != RI_FORM_VECTOR || form->u.seq.count == 0) {
        return fail_definition(parser, form);
    }
    const ri_form *head = &form->u.seq.items[0];
    if (head->kind != RI_FORM_LIST || head->u.seq.count == 0 || !ri_form_is(&head->u.seq.items[0], RI_SYMBOL) ||
        ri_form_is_var(&head->u.seq.items[0]) || ri_form_is_source(&head->u.seq.items[0])) {
        return fail_definition(parser, form);
    }
    RI_TRY(ri_parse_name(parser, &head->u.seq.items[0], &out->name));
    static const char *const taken[] = { "not", "not-join", "or", "or-join", "and" };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(out->name, taken[i]) == 0) {
            return ri_parse_fail(parser, RILLE_QUERY, head, "%s is reserved and cannot be a rule name", out->name);
        }
    }
    parser->origin.rule = out->name;
    ri_frame frame;
    frame.count = 0;
    parser->frame = &frame;
    const char *names[RI_QUERY_VARS_MAX];
    parser->var_names = names;
    parser->var_count = 0;
    parser->clause_count = 0;
    RI_TRY(parse_head(parser, head, out));
    ri_items body = ri_items_rest(ri_form_items(form), 1);
    if (body.count == 0) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "the rule needs at least one clause after its head");
    }
    RI_TRY(ri_parse_body(parser, body, RI_SOURCE_DEFAULT, 1, &out->body, &out->body_count));
    RI_TRY(equal_params(parser, out));
    out->var_names = ri_arena_copy(parser->arena, names, parser->var_count * sizeof *names);
    if (out->var_names == NULL) {
        return ri_fail_nomem(parser->err);
    }
    out->var_count = parser->var_count;
    return 0;
}

size_t ri_rules_from(const ri_rules *rules, const char *name)
{
    size_t low = 0;
    size_t high = rules->branch_count;
    while (low < high) { /* the first that is not before the name */
        size_t middle = low + (high - low) / 2;
        if (strcmp(rules->branches[rules->by_name[middle]].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const ri_rule_branch *ri_rules_at(const ri_rules *rules, const char *name, size_t at)
{
    const ri_rule_branch *branch = at < rules->branch_count ? &rules->branches[rules->by_name[at]] : NULL;
    return branch != NULL && strcmp(branch->name, name) == 0 ? branch : NULL;
}

const ri_rule_branch *ri_rules_find(const ri_rules *rules, const char *name)
{
    return ri_rules_at(rules, name, ri_rules_from(rules, name));
}

/* Insertion: RULES_MAX is small, and rules of one name mostly stand together. */
static void sort_names(ri_rules *rules)
{
    for (uint32_t i = 0; i < rules->branch_count; i++) {
        size_t at = i;
        while (at > 0 && strcmp(rules->branches[rules->by_name[at - 1]].name, rules->branches[i].name) > 0) {
            rules->by_name[at] = rules->by_name[at - 1];
            at--;
        }
        rules->by_name[at] = i;
    }
}

int ri_rules_parse_form(const ri_form *form, ri_text text, const rille_query *query, ri_arena *arena, ri_rules *out,
                        rille_err *err)
{
    *out = (ri_rules){ 0 };
    ri_parser parser = { .arena = arena, .origin = { text, NULL, true }, .has_rules = true, .err = err };
    const char *only_default[] = { "$" };
    parser.source_names = query != NULL ? query->source_names : only_default;
    parser.source_count = query != NULL ? query->source_count : 1;
    if (!ri_form_is_seq(form)) {
        char show[RI_SHOW_SIZE];
        return ri_parse_fail(&parser, RILLE_SYNTAX, form,
                             "%s is not a vector of rules: expected [[(name ?a ?b) clause ...] ...]",
                             ri_form_show(show, form));
    }
    ri_items items = ri_form_items(form);
    if (items.count > RULES_MAX) {
        return ri_parse_fail(&parser, RILLE_LIMIT, form, "too many rules: %u (the maximum is %u)", items.count,
                             RULES_MAX);
    }
    ri_rules rules = { ri_arena_array(arena, items.count, sizeof *rules.branches), items.count,
                       ri_arena_array(arena, items.count, sizeof *rules.by_name), text };
    if (rules.branches == NULL || rules.by_name == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        RI_TRY(parse_branch(&parser, &items.p[i], &rules.branches[i]));
    }
    sort_names(&rules);
    RI_TRY(ri_bind_rules(&rules, query, arena, err));
    *out = rules;
    return 0;
}
