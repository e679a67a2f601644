/* SPDX-License-Identifier: MIT
 *
 * Queries: [:find ... :keys ... :with ... :in ... :where ... :order-by ... :limit n :offset n], or the same as a map.
 *
 * The idea: first cut the form into sections, whatever their order; then parse them in the order in which they need
 * each other: :in names the sources that patterns use, :order-by refers to :find.
 */
#include "bind.h"
#include "functions.h"
#include "parse_sections.h"

/* ---- :in ---- */

static int add_source(ri_parser *parser, const ri_form *form, ri_in *out)
{
    for (uint16_t i = 0; i < parser->source_count; i++) {
        if (strncmp(parser->source_names[i], (const char *)form->u.v.as.p, form->u.v.len) == 0 &&
            parser->source_names[i][form->u.v.len] == '\0') {
            return ri_parse_fail(parser, RILLE_QUERY, form, "duplicate source %s in :in", parser->source_names[i]);
        }
    }
    RI_TRY(ri_parse_name(parser, form, &parser->source_names[parser->source_count]));
    out->kind = RI_IN_SOURCE;
    out->source = parser->source_count++;
    return 0;
}

static int refuse_bound(const ri_parser *parser, const ri_form *form, const ri_binding *binding, ri_varset *bound)
{
    for (uint16_t i = 0; i < binding->var_count; i++) {
        if (ri_varset_has(bound, binding->vars[i])) {
            return ri_parse_fail(parser, RILLE_QUERY, form, "duplicate variable %s in :in",
                                 parser->var_names[binding->vars[i]]);
        }
        ri_varset_add(bound, binding->vars[i]);
    }
    return 0;
}

static int parse_in(ri_parser *parser, ri_items items, rille_query *query)
{
    ri_varset bound = { { 0 } };
    if (items.count >= UINT16_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "too many inputs in :in (the maximum is %d)",
                             UINT16_MAX - 1);
    }
    query->in = ri_arena_array(parser->arena, items.count, sizeof *query->in);
    parser->source_names = ri_arena_array(parser->arena, items.count + 1U, sizeof *parser->source_names);
    if (query->in == NULL || parser->source_names == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        const ri_form *form = &items.p[i];
        ri_in *in = &query->in[i];
        *in = (ri_in){ .kind = RI_IN_BINDING };
        if (ri_form_is_symbol(form, "%")) {
            if (parser->has_rules) {
                return ri_parse_fail(parser, RILLE_QUERY, form, "duplicate %% in :in: put all rules into one vector");
            }
            in->kind = RI_IN_RULES;
            parser->has_rules = true;
        } else if (ri_form_is_source(form)) {
            RI_TRY(add_source(parser, form, in));
        } else {
            RI_TRY(ri_parse_binding(parser, form, &in->binding));
            RI_TRY(refuse_bound(parser, form, &in->binding, &bound));
        }
    }
    query->in_count = (uint16_t)items.count;
    return 0;
}

static int default_in(ri_parser *parser, rille_query *query)
{
    query->in = ri_arena_alloc(parser->arena, sizeof *query->in);
    parser->source_names = ri_arena_alloc(parser->arena, sizeof *parser->source_names);
    if (query->in == NULL || parser->source_names == NULL) {
        return ri_fail_nomem(parser->err);
    }
    query->in[0] = (ri_in){ .kind = RI_IN_SOURCE };
    query->in_count = 1;
    parser->source_names[0] = "$";
    parser->source_count = 1;
    return 0;
}

/* ---- :find ---- */

static int parse_aggregate(ri_parser *parser, const ri_form *form, ri_find_elem *out)
{
    char show[RI_SHOW_SIZE];
    ri_items items = ri_form_items(form);
    if (items.count < 2 || !ri_form_is(&items.p[0], RI_SYMBOL)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is not an aggregate: expected one such as (count ?x) or (min 3 ?x)",
                             ri_form_show(show, form));
    }
    RI_TRY(ri_parse_name(parser, &items.p[0], &out->agg));
    if (strcmp(out->agg, "pull") == 0) {
        return ri_parse_fail(parser, RILLE_QUERY, form,
                             "pull is not supported yet: find the values with patterns, such as [?e :attr ?v]");
    }
    const ri_agg_def *def = ri_agg_find(out->agg);
    if (def == NULL) {
        char hint[RI_SUGGESTION_SIZE];
        ri_suggest suggest = ri_suggest_for(out->agg, strlen(out->agg));
        ri_agg_suggest(&suggest);
        return ri_parse_fail(
            parser, RILLE_QUERY, form,
            "unknown aggregate %s%s; the aggregates are count, count-distinct, distinct, sum, min, max, avg, median, "
            "variance and stddev",
            out->agg, ri_suggest_show(&suggest, "", hint));
    }
    if (items.count == 3 && def->takes_n && ri_form_is_var(&items.p[1])) {
        RI_TRY(ri_parse_var(parser, &items.p[1], &out->arg_var));
    } else if (items.count == 3 && def->takes_n) {
        if (!ri_form_is(&items.p[1], RI_LONG) || items.p[1].u.v.as.i < 1 || items.p[1].u.v.as.i > INT32_MAX) {
            return ri_parse_fail(parser, RILLE_QUERY, &items.p[1],
                                 "found %s, but the first argument of %s must be a count of 1 or more, or an input",
                                 ri_form_show(show, &items.p[1]), out->agg);
        }
        out->arg = items.p[1].u.v;
    } else if (items.count != 2) {
        return ri_parse_fail(parser, RILLE_QUERY, form, "aggregate %s takes %s, not %u arguments", out->agg,
                             def->takes_n ? "a variable, or a number and a variable" : "one variable", items.count - 1);
    }
    return ri_parse_var(parser, &items.p[items.count - 1], &out->var);
}

static int fail_find(const ri_parser *parser, const ri_form *form)
{
    char show[RI_SHOW_SIZE];
    const char *name = NULL;
    RI_TRY(ri_check_colon(parser, form));
    if (ri_form_is(form, RI_SYMBOL) && memchr(".?_$", form->u.v.as.p[0], 4) == NULL) {
        RI_TRY(ri_parse_name(parser, form, &name));
        if (ri_agg_find(name) != NULL) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form,
                                 "expected a variable such as ?%s or an aggregate such as (%s ?x), got symbol %s", name,
                                 name, name);
        }
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "expected a variable such as ?%s, got symbol %s",
                             ri_form_show(show, form), show);
    }
    return ri_parse_fail(parser, RILLE_SYNTAX, form,
                         "expected a variable such as ?x or an aggregate such as (count ?x), got %s; the whole of "
                         ":find can also be [?x ...], [?x ?y] or ?x .",
                         ri_form_show(show, form));
}

static int parse_find(ri_parser *parser, ri_items items, rille_query *query)
{
    query->find_kind = RI_FIND_REL;
    if (items.count == 1 && items.p[0].kind == RI_FORM_VECTOR) {
        items = ri_form_items(&items.p[0]);
        query->find_kind = RI_FIND_TUPLE;
        if (items.count == 2 && ri_form_is_symbol(&items.p[1], "...")) {
            query->find_kind = RI_FIND_COLL;
            items.count = 1;
        }
    } else if (items.count == 2 && ri_form_is_symbol(&items.p[1], ".")) {
        query->find_kind = RI_FIND_SCALAR;
        items.count = 1;
    }
    if (items.count == 0 || items.count > RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_SYNTAX, items.p, ":find needs 1 to %d elements", RI_QUERY_VARS_MAX);
    }
    query->find = ri_arena_array(parser->arena, items.count, sizeof *query->find);
    if (query->find == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        ri_find_elem *elem = &query->find[i];
        *elem = (ri_find_elem){ .arg_var = RI_NO_VAR, .offset = items.p[i].offset };
        if (items.p[i].kind == RI_FORM_LIST) {
            RI_TRY(parse_aggregate(parser, &items.p[i], elem));
        } else if (ri_form_is_var(&items.p[i])) {
            RI_TRY(ri_parse_var(parser, &items.p[i], &elem->var));
        } else {
            return fail_find(parser, &items.p[i]);
        }
    }
    query->find_count = (uint16_t)items.count;
    return 0;
}

static int parse_keys(const ri_parser *parser, const ri_form *at, ri_items items, rille_query *query)
{
    char show[RI_SHOW_SIZE];
    if (query->keys != NULL) {
        return ri_parse_fail(parser, RILLE_SYNTAX, at,
                             "duplicate column names: use only one of :keys, :strs and :syms");
    }
    if (query->find_kind == RI_FIND_COLL || query->find_kind == RI_FIND_SCALAR) {
        return ri_parse_fail(parser, RILLE_QUERY, at,
                             "%s needs columns, but :find returns single values: use :find ?x ?y or :find [?x ?y]",
                             ri_form_show(show, at));
    }
    if (items.count != query->find_count) {
        return ri_parse_fail(parser, RILLE_QUERY, at, "%s has %u name%s, but :find has %u element%s",
                             ri_form_show(show, at), items.count, items.count == 1 ? "" : "s", query->find_count,
                             query->find_count == 1 ? "" : "s");
    }
    query->keys = ri_arena_array(parser->arena, items.count, sizeof *query->keys);
    if (query->keys == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        const ri_form *form = &items.p[i];
        if (!ri_form_is(form, RI_SYMBOL) && !ri_form_is(form, RI_KEYWORD) && !ri_form_is(form, RI_STRING)) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is not a column name: expected a symbol such as name",
                                 ri_form_show(show, form));
        }
        if (!ri_name_valid(RI_SYMBOL, form->u.v.as.p, form->u.v.len)) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form, "%s is not a column name: it must be valid as a symbol",
                                 ri_form_show(show, form));
        }
        RI_TRY(ri_parse_name(parser, form, &query->keys[i]));
    }
    return 0;
}

/* ---- :order-by, :limit, :offset ---- */

static bool same_elem(const ri_find_elem *a, const ri_find_elem *b)
{
    bool same_agg = (a->agg == NULL) == (b->agg == NULL) && (a->agg == NULL || strcmp(a->agg, b->agg) == 0);
    return same_agg && a->var == b->var && a->arg_var == b->arg_var && a->arg.type == b->arg.type &&
           a->arg.as.u == b->arg.as.u;
}

/* The place in :find of ?x or (count ?x). */
static int find_elem(ri_parser *parser, const ri_form *form, const rille_query *query, uint16_t *out)
{
    char show[RI_SHOW_SIZE];
    ri_find_elem elem = { .arg_var = RI_NO_VAR };
    if (form->kind == RI_FORM_LIST) {
        RI_TRY(parse_aggregate(parser, form, &elem));
    } else {
        RI_TRY(ri_parse_var(parser, form, &elem.var));
    }
    for (uint16_t i = 0; i < query->find_count; i++) {
        if (same_elem(&query->find[i], &elem)) {
            *out = i;
            return 0;
        }
    }
    return ri_parse_fail(parser, RILLE_QUERY, form, "cannot order by %s, which is not in :find: add it there",
                         ri_form_show(show, form));
}

static bool take_direction(const ri_form *form, bool *desc)
{
    *desc = ri_form_is_keyword(form, "desc");
    return *desc || ri_form_is_keyword(form, "asc");
}

/* The direction as a symbol or a string, which cannot be ordered by; or NULL. */
static const char *direction_word(const ri_form *form)
{
    static const char *const words[] = { "asc", "desc" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        if ((ri_form_is(form, RI_SYMBOL) || ri_form_is(form, RI_STRING)) && form->u.v.len == len &&
            memcmp(form->u.v.as.p, words[i], len) == 0) {
            return words[i];
        }
    }
    return NULL;
}

static int add_order(ri_parser *parser, ri_items items, rille_query *query, uint32_t *used)
{
    ri_order_by *order = &query->order_by[query->order_count];
    *order = (ri_order_by){ 0 };
    const char *word = direction_word(&items.p[0]);
    if (word != NULL) {
        return ri_parse_fail(parser, RILLE_SYNTAX, &items.p[0],
                             ":order-by expects ?x :asc or ?x :desc: write %s as a keyword", word);
    }
    RI_TRY(find_elem(parser, &items.p[0], query, &order->elem));
    *used = items.count > 1 && take_direction(&items.p[1], &order->desc) ? 2 : 1;
    query->order_count++;
    return 0;
}

/* [?x :desc ?y], ?x :desc ?y, [[?x :desc] [?y]] */
static int parse_order(ri_parser *parser, ri_items items, rille_query *query)
{
    char show[RI_SHOW_SIZE];
    if (items.count == 1 && items.p[0].kind == RI_FORM_VECTOR) {
        items = ri_form_items(&items.p[0]);
    }
    if (items.count > 2 * RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, ":order-by has too many items (the maximum is %d)",
                             2 * RI_QUERY_VARS_MAX);
    }
    query->order_by = ri_arena_array(parser->arena, items.count, sizeof *query->order_by);
    if (query->order_by == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t used; items.count > 0; items = ri_items_rest(items, used)) {
        if (items.p[0].kind == RI_FORM_VECTOR && items.p[0].u.seq.count > 0) {
            uint32_t inner;
            RI_TRY(add_order(parser, ri_form_items(&items.p[0]), query, &inner));
            if (inner != items.p[0].u.seq.count) {
                return ri_parse_fail(parser, RILLE_SYNTAX, &items.p[0],
                                     "unknown order %s: expected [?x :asc] or [?x :desc]",
                                     ri_form_show(show, &items.p[0]));
            }
            used = 1;
        } else {
            RI_TRY(add_order(parser, items, query, &used));
        }
    }
    return 0;
}

static int parse_count(const ri_parser *parser, const ri_form *at, ri_items items, int64_t *out)
{
    char show[RI_SHOW_SIZE];
    if (items.count == 1 && ri_form_is(&items.p[0], RI_NIL)) {
        return 0;
    }
    if (items.count != 1) {
        return ri_parse_fail(parser, RILLE_SYNTAX, at, "%s expects one non-negative integer, got %u values",
                             ri_form_show(show, at), items.count);
    }
    if (!ri_form_is(&items.p[0], RI_LONG) || items.p[0].u.v.as.i < 0) {
        char got[RI_SHOW_SIZE];
        return ri_parse_fail(parser, RILLE_SYNTAX, &items.p[0], "%s expects a non-negative integer, got %s%s",
                             ri_form_show(show, at), ri_form_show(got, &items.p[0]),
                             ri_form_is_var(&items.p[0]) ? ": pass a varying number as an option instead" : "");
    }
    *out = items.p[0].u.v.as.i;
    return 0;
}

/* ---- the whole ---- */

static int parse_sections(ri_parser *parser, const ri_sections *s, rille_query *query)
{
    RI_TRY(s->at[RI_SECTION_IN] != NULL ? parse_in(parser, s->items[RI_SECTION_IN], query) : default_in(parser, query));
    parser->section = ":find";
    RI_TRY(parse_find(parser, s->items[RI_SECTION_FIND], query));
    for (int i = RI_SECTION_KEYS; i <= RI_SECTION_SYMS; i++) {
        if (s->at[i] != NULL) {
            RI_TRY(parse_keys(parser, s->at[i], s->items[i], query));
        }
    }
    parser->section = ":with";
    RI_TRY(ri_parse_vars(parser, s->items[RI_SECTION_WITH], ":with", &query->with, &query->with_count));
    uint16_t source = RI_SOURCE_DEFAULT;
    for (uint16_t i = 0; i < parser->source_count; i++) {
        if (strcmp(parser->source_names[i], "$") == 0) {
            source = i;
        }
    }
    parser->section = NULL;
    RI_TRY(ri_parse_body(parser, s->items[RI_SECTION_WHERE], source, 1, &query->where, &query->where_count));
    parser->section = ":order-by";
    RI_TRY(parse_order(parser, s->items[RI_SECTION_ORDER], query));
    parser->section = NULL;
    if (s->at[RI_SECTION_LIMIT] != NULL) {
        RI_TRY(parse_count(parser, s->at[RI_SECTION_LIMIT], s->items[RI_SECTION_LIMIT], &query->limit));
    }
    if (s->at[RI_SECTION_OFFSET] != NULL) {
        RI_TRY(parse_count(parser, s->at[RI_SECTION_OFFSET], s->items[RI_SECTION_OFFSET], &query->offset));
    }
    return 0;
}

static int parse_form(rille_query *query, const ri_form *form, rille_err *err)
{
    ri_frame frame;
    frame.count = 0;
    ri_parser parser = { .arena = &query->arena, .origin = ri_origin_of_query(query), .err = err };
    parser.frame = &frame;
    const char *names[RI_QUERY_VARS_MAX];
    parser.var_names = names;
    ri_sections s = { .at = { NULL } };
    RI_TRY(ri_cut_sections(&parser, form, &s));
    RI_TRY(parse_sections(&parser, &s, query));
    query->var_names = ri_arena_copy(&query->arena, names, parser.var_count * sizeof *names);
    if (query->var_names == NULL) {
        return ri_fail_nomem(err);
    }
    query->var_count = parser.var_count;
    query->source_names = parser.source_names;
    query->source_count = parser.source_count;
    return ri_bind_query(query, err);
}

static rille_query *new_query(void)
{
    rille_query *query = ri_alloc_zero(sizeof *query);
    if (query != NULL) {
        ri_refs_init(&query->refs);
        atomic_init(&query->kept, NULL);
        query->limit = -1;
    }
    return query;
}

int ri_query_from_form(const ri_form *form, rille_query **out, rille_err *err)
{
    *out = NULL;
    rille_query *query = new_query();
    if (query == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = parse_form(query, form, err);
    if (rc != 0) {
        ri_query_release(query);
        return rc;
    }
    *out = query;
    return 0;
}

/* Text whose first form is not a query: SELECT ..., or :find ... without brackets. The reader only saw that more comes
 * after that form, and said so; this says what is wrong. */
static int fail_text(const rille_query *query, int rc, rille_err *err)
{
    ri_arena forms = { 0 };
    ri_edn_reader reader;
    ri_form first;
    rille_err ignored;
    ri_edn_init(&reader, &forms, query->text, query->text_len, false);
    if (rc == RILLE_SYNTAX && ri_edn_next(&reader, &first, &ignored) == 0 && !ri_form_is_seq(&first) &&
        first.kind != RI_FORM_MAP) {
        ri_parser parser = { .origin = ri_origin_of_query(query), .err = err };
        rc = ri_fail_not_query(&parser, &first);
    }
    ri_edn_deinit(&reader);
    ri_arena_deinit(&forms);
    return rc;
}

int ri_query_parse(const char *text, size_t len, rille_query **out, rille_err *err)
{
    *out = NULL;
    rille_query *query = new_query();
    if (query == NULL) {
        return ri_fail_nomem(err);
    }
    ri_arena forms = { 0 };
    ri_form form;
    int rc = 0;
    query->text = ri_arena_text(&query->arena, text, len);
    query->text_len = len;
    if (query->text == NULL) {
        rc = ri_fail_nomem(err);
    }
    if (rc == 0) {
        rc = ri_edn_read(&forms, text, len, &form, err);
        rc = rc == 0 ? 0 : fail_text(query, rc, err);
    }
    if (rc == 0) {
        rc = parse_form(query, &form, err);
    }
    ri_arena_deinit(&forms);
    if (rc != 0) {
        ri_query_release(query);
        return rc;
    }
    *out = query;
    return 0;
}

rille_query *ri_query_retain(rille_query *query)
{
    ri_refs_take(&query->refs);
    return query;
}

void ri_query_release(rille_query *query)
{
    if (query != NULL && ri_refs_drop(&query->refs)) {
        ri_kept *kept = atomic_load_explicit(&query->kept, memory_order_relaxed);
        if (kept != NULL) {
            kept->release(kept);
        }
        ri_arena_deinit(&query->arena);
        ri_free(query);
    }
}

ri_kept *ri_query_take_kept(rille_query *query, void (*kind)(ri_kept *kept))
{
    ri_kept *kept = atomic_exchange_explicit(&query->kept, NULL, memory_order_acquire);
    if (kept != NULL && kept->release != kind) {
        ri_query_keep(query, kept);
        kept = NULL;
    }
    return kept;
}

void ri_query_keep(rille_query *query, ri_kept *kept)
{
    ri_kept *none = NULL;
    if (!atomic_compare_exchange_strong_explicit(&query->kept, &none, kept, memory_order_release,
                                                 memory_order_relaxed)) {
        kept->release(kept);
    }
}
