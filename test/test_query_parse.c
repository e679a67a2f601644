/* SPDX-License-Identifier: MIT
 *
 * Query text to the AST and back, and what the binder says of it. Most tests are tables: a query, and the message.
 */
#include "harness.h"

#include "../src/core/query/bind.h"

static rille_query *parse(const char *text)
{
    rille_query *query = NULL;
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), RILLE_OK);
    return query;
}

static char *print(const rille_query *query)
{
    ri_buf buf = { 0 };
    REQUIRE(ri_query_print(query, &buf) == 0);
    ri_buf_put_u8(&buf, 0);
    size_t len;
    return (char *)ri_buf_take(&buf, &len);
}

static void check_print(const char *text, const char *expected)
{
    rille_query *query = parse(text);
    char *printed = print(query);
    CHECK_EQ_STR(printed, expected);
    rille_query *again = parse(printed);
    char *printed_again = print(again);
    CHECK_EQ_STR(printed_again, printed);
    ri_free(printed_again);
    ri_free(printed);
    ri_query_release(again);
    ri_query_release(query);
}

static void check_fails(const char *text, int code, const char *message)
{
    rille_query *query = NULL;
    test_err = (rille_err){ 0 };
    int rc = ri_query_parse(text, strlen(text), &query, &test_err);
    CHECK(query == NULL);
    if (rc != code || strstr(test_err.message, message) == NULL) {
        CHECK_EQ_STR(text, "a query that fails");
        CHECK_EQ_STR(test_err.message, message);
        CHECK_EQ_INT(rc, code);
    }
    ri_query_release(query);
}

TEST(parse__takes_a_pattern_apart)
{
    rille_query *q = parse("[:find ?e ?n :where [?e :person/name ?n _ true] [[:a/b \"x\"] 3 [:c 4]] [?e]]");
    CHECK_EQ_INT(q->find_count, 2);
    CHECK_EQ_INT(q->find_kind, RI_FIND_REL);
    CHECK_EQ_INT(q->source_count, 1);
    CHECK_EQ_INT(q->in_count, 1);
    CHECK_EQ_INT(q->limit, -1);
    REQUIRE(q->where_count == 3);
    const ri_clause *c = &q->where[0];
    CHECK(c->kind == RI_CLAUSE_PATTERN && c->source == 0);
    REQUIRE(c->term_count == 5);
    CHECK(c->terms[0].kind == RI_TERM_VAR && c->terms[0].var == q->find[0].var);
    CHECK(c->terms[1].kind == RI_TERM_CONST && c->terms[1].v.type == RI_KEYWORD);
    CHECK_EQ_MEM(c->terms[1].v.as.p, c->terms[1].v.len, "person/name", 11);
    CHECK(c->terms[2].kind == RI_TERM_VAR && c->terms[2].var == q->find[1].var);
    CHECK(c->terms[3].kind == RI_TERM_BLANK);
    CHECK(c->terms[4].kind == RI_TERM_CONST && c->terms[4].v.type == RI_BOOL);
    const ri_term *pair = &q->where[1].terms[0]; /* a lookup ref or a tuple: the schema will say */
    REQUIRE(pair->kind == RI_TERM_CONST && pair->v.type == RI_TUPLE);
    ri_reader reader = ri_reader_of(pair->v.as.p, pair->v.len);
    ri_value first = ri_value_read(&reader);
    ri_value second = ri_value_read(&reader);
    CHECK(first.type == RI_KEYWORD && second.type == RI_STRING && ri_reader_left(&reader) == 0);
    CHECK_EQ_MEM(second.as.p, second.len, "x", 1);
    CHECK(q->where[1].terms[1].v.type == RI_LONG);
    CHECK(q->where[1].terms[2].kind == RI_TERM_CONST && q->where[1].terms[2].v.type == RI_TUPLE);
    CHECK_EQ_INT(q->where[2].term_count, 1);
    ri_query_release(q);
}

TEST(parse__prints_what_it_read)
{
    static const char *const same[] = {
        "[:find ?e :in $ :where [?e :a 1]]",
        "[:find ?x . :in $ :where [?x]]",
        "[:find [?x ...] :in $ :where [?x]]",
        "[:find [?x (count ?y)] :in $ :where [?x :a ?y]]",
        "[:find (min 3 ?x) (max ?x) (count-distinct ?y) :in $ :where [_ :a ?x] [_ :b ?y]]",
        "[:find ?x ?y :keys a ns/b :with ?z :in $ :where [?x ?y ?z]]",
        "[:find ?a :in $ $b % ?a [?c ...] [?d _ ?e] [[?f ?g]] :where [$b ?a _ ?c ?d true] (rule ?a _ 3) ($b r ?e ?f)]",
        "[:find ?x :in $a [[?x]] :where [$a ?x :a #inst \"2026-01-01T00:00:00.000Z\"]]",
        "[:find ?x :in ?x :where [(> ?x 1.5)]]",
        "[:find ?y :in ?x :where [(+ ?x 1) ?y] [(str \"a\\n\" :k ?x) _]]",
        "[:find ?x :in $ :where [?x :a] (not [?x :b 1] [?x :c ?z]) (not-join [?x] [?x :d ?z])]",
        "[:find ?x :in $ :where [?x :a ?y] (or [?x :b ?y] (and [?x :c ?y] [(> ?y 3)]))]",
        "[:find ?x ?y :in $ :where [?y :q] (or-join [[?y] ?x] [?x :b ?y] (and [?x :c ?z] [?z :d ?y]))]",
        "[:find ?x ?v :in $ :where [?x] [(get-else $ ?x :a/b \"none\") ?v] [(missing? $ ?x :c)]]",
        "[:find ?a ?v :in $ :where [?x :y] [(get-some $ ?x :a :b) [?a ?v]]]",
        "[:find ?x (sum ?y) :in $ :where [?x :a ?y] :order-by [(sum ?y) :desc ?x] :limit 10 :offset 5]",
        "[:find ?x :in :where [(ground [1 2 [3 \"a\"]]) [?x ...]]]",
        "[:find ?x ?y :in :where [(ground [[1 2] [3 4]]) [[?x ?y]]]]",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        check_print(same[i], same[i]);
    }
}

TEST(parse__reads_other_ways_to_say_the_same)
{
    check_print("{:find [?x] :where [[?x :a]] :limit 3 :order-by [[?x :desc]]}",
                "[:find ?x :in $ :where [?x :a] :order-by [?x :desc] :limit 3]");
    check_print("{:find [[?x ...]] :in [$ ?y] :where [[?x :a ?y]]}", "[:find [?x ...] :in $ ?y :where [?x :a ?y]]");
    check_print("{:find [?x .] :where [[?x :a]]}", "[:find ?x . :in $ :where [?x :a]]");
    check_print("[:where [?x :a] :order-by ?x :desc :find ?x :strs \"n\" :limit nil]",
                "[:find ?x :keys n :in $ :where [?x :a] :order-by [?x :desc]]");
    check_print("[:find ?x :where ($ not [?x :b]) [?x :a #{1}]]", "[:find ?x :in $ :where (not [?x :b]) [?x :a [1]]]");
    check_print("[:find ?x :in $ $b :where [?x] ($b or [?x :a] [$ ?x :b] (and [?x :c]))]",
                "[:find ?x :in $ $b :where [?x] (or [$b ?x :a] [?x :b] (and [$b ?x :c]))]");
    check_print("(:find ?x :where [?x] :order-by [?x :asc])", "[:find ?x :in $ :where [?x] :order-by [?x]]");
    check_print("[:find ?x :in ?x :where]", "[:find ?x :in ?x]");
}

TEST(parse__says_where_and_what_is_wrong)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        { "", RILLE_SYNTAX, "" },
        { "[:find ?x", RILLE_SYNTAX, "1:" },
        { "42", RILLE_SYNTAX, "1:1: 42 is not a query" },
        { "[]", RILLE_SYNTAX, "must begin with a section" },
        { "[:where [?x]]", RILLE_SYNTAX, ":find is missing or empty" },
        { "[:find :where [?x]]", RILLE_SYNTAX, ":find is missing or empty" },
        { "[:find ?x :were [?x]]", RILLE_SYNTAX,
          "1:11: unknown section :were (did you mean :where?); the sections of a query are :find" },
        { "[:find ?x :find ?x :where [?x]]", RILLE_SYNTAX, "1:11: duplicate section :find" },
        { "[:find x :where [?x]]", RILLE_SYNTAX, "1:8: expected a variable such as ?x, got symbol x" },
        { "[:find (foo ?x) :where [?x]]", RILLE_QUERY, "1:8: unknown aggregate foo; the aggregates are count" },
        { "[:find (sum 3 ?x) :where [?x]]", RILLE_QUERY, "1:8: aggregate sum takes one variable" },
        { "[:find (min 0 ?x) :where [?x]]", RILLE_QUERY,
          "1:13: found 0, but the first argument of min must be a count of 1 or more" },
        { "[:find (pull ?x [*]) :where [?x]]", RILLE_QUERY, "pull is not supported yet" },
        { "[:find ?x :keys a b :where [?x]]", RILLE_QUERY, ":keys has 2 names, but :find has 1 element" },
        { "[:find ?x . :keys a :where [?x]]", RILLE_QUERY, "single values" },
        { "[:find ?x\n :where\n  {?x 1}]", RILLE_SYNTAX, "3:3: {?x 1} is not a clause" },
        { "[:find ?x :where []]", RILLE_SYNTAX, "[] is an empty clause" },
        { "[:find ?x :where [?x foo]]", RILLE_SYNTAX, "1:22: symbol foo is not a constant: write ?foo" },
        { "[:find ?x :where [?x :a {}]]", RILLE_SYNTAX, "{} cannot be a constant in a query" },
        { "[:find ?x :where [?x :a] [(> ?x (+ 1 2))]]", RILLE_SYNTAX, "(+ 1 2) is nested" },
        { "[:find ?x :where [?x :a] [(> ?x _)]]", RILLE_SYNTAX, "_ cannot be an argument" },
        { "[:find ?x :where [?x :a] (> ?x 1)]", RILLE_SYNTAX, "> is a function: write [(> ?x 1)]" },
        { "[:find ?x :where (r ?x)]", RILLE_QUERY, "1:18: (r ?x) calls a rule, but :in has no %" },
        { "[:find ?x :in $ % :where (r)]", RILLE_QUERY, "rule r is called without arguments" },
        { "[:find ?x :in $ $b % :where ($ $b ?x)]", RILLE_SYNTAX, "1:29: ($ $b ?x) is not a clause" },
        { "[:find ?x :where [not [?x :a]]]", RILLE_SYNTAX, "not needs parentheses: (not ...)" },
        { "[:find ?x :where [?x :a] (not)]", RILLE_SYNTAX, "(not) needs at least one clause" },
        { "[:find ?x :where [?x :a] (not-join ?x [?x :b])]", RILLE_SYNTAX,
          "must begin with a vector of its variables" },
        { "[:find ?x :where [?x :a] (not-join [] [?x :b])]", RILLE_SYNTAX,
          "must begin with a vector of its variables" },
        { "[:find ?x :where (and [?x :a])]", RILLE_SYNTAX, "(and ...) is only allowed inside (or ...)" },
        { "[:find ?x :in $a :where [?x :a]]", RILLE_QUERY,
          "1:25: pattern [?x :a] needs a source, because :in has no $" },
        { "[:find ?x :where [$b ?x :a]]", RILLE_QUERY, "1:19: source $b is not in :in" },
        { "[:find ?x :in $ $ :where [?x]]", RILLE_QUERY, "duplicate source $ in :in" },
        { "[:find ?x :in $ % % :where [?x]]", RILLE_QUERY, "duplicate % in :in" },
        { "[:find ?x :in ?x ?x]", RILLE_QUERY, "duplicate variable ?x in :in" },
        { "[:find ?x :in $ [?x [?y]] :where [?x]]", RILLE_SYNTAX, "is nested in a binding" },
        { "[:find ?x :in $ foo :where [?x]]", RILLE_SYNTAX, "expected a variable such as ?x, got foo" },
        { "[:find ?x :where [?x :a] [(inc ?x 1) ?y]]", RILLE_QUERY, "1:27: function inc takes 1 argument, not 2" },
        { "[:find ?x :where [?x :a] [(subs ?x) ?y]]", RILLE_QUERY, "function subs takes 2 to 3 arguments, not 1" },
        { "[:find ?x :where [?x :a] [(+) ?y]]", RILLE_QUERY, "takes at least 1 argument" },
        { "[:find ?x :where [?x :a] [(get-else ?x :a 1) ?y]]", RILLE_QUERY, "as in [(get-else $ ?e" },
        { "[:find ?x :where [?x :a] [(missing? $ ?x :a) ?y]]", RILLE_QUERY, "as in [(missing? $ ?e" },
        { "[:find ?x :where [?x :a] [(foo $ ?x)]]", RILLE_QUERY, "function foo does not take a source" },
        { "[:find ?x :where [?x :a] [(inc ?x) ?y ?z]]", RILLE_SYNTAX, "more than one binding" },
        { "[:find ?x :where [?x :a] [(f ?x) []]]", RILLE_SYNTAX, "[] is not a binding" },
        { "[:find ?x :where [?x :a] [(f ?x) [?y ?y]]]", RILLE_QUERY, "duplicate variable ?y" },
        { "[:find ?x :where [?x :a] :order-by [?y]]", RILLE_QUERY, "cannot order by ?y, which is not in :find" },
        { "[:find ?x :where [?x :a] :limit -1]", RILLE_SYNTAX, "1:33: :limit expects a non-negative integer, got -1" },
        { "[:find ?x :where [?x :a] :limit ?n]", RILLE_SYNTAX, "got ?n: pass a varying number as an option instead" },
        { "[:find ?x :where [?x :a] :limit 1 2]", RILLE_SYNTAX,
          ":limit expects one non-negative integer, got 2 values" },
        { "[:find ?x :where [?x :a] :order-by ?x desc]", RILLE_SYNTAX,
          "1:39: :order-by expects ?x :asc or ?x :desc: write desc as a keyword" },
        { "[:find ?x :where [?x :a] :order-by [[?x \"desc\"]]]", RILLE_SYNTAX, "unknown order [?x \"desc\"]" },
        { "[:find ?x :where [?x :a] :order-by ?x :descending]", RILLE_SYNTAX, "did you mean :desc?" },
        { "[:find ?x :where ?x :p/a 5]", RILLE_SYNTAX,
          "1:21: attribute :p/a is not inside a clause: a pattern needs brackets, as in [?e :p/a ?v]" },
        { "SELECT * FROM people", RILLE_SYNTAX, "1:1: SELECT is not a query: expected [:find" },
        { ":find ?x :where [?x :a]", RILLE_SYNTAX, "1:1: :find is not a query" },
        { "[:find ?x :where [?x :a]] 5", RILLE_SYNTAX, "1:27: unexpected second value" },
        { "[find ?x :where [?x :a]]", RILLE_SYNTAX, "1:2: a section begins with a colon: write :find" },
        { "[:find ?x :where [[?x :a ?y] [?y :b]]]", RILLE_SYNTAX,
          "1:18: [[?x :a ?y] [?y :b]] is a vector of clauses, not a clause: remove the outer brackets, as in [?x :a "
          "?y]" },
        { "[:find ?x :where [?x :a ?y] [?y > 5]]", RILLE_SYNTAX,
          "1:33: > is not a constant: a function comes first in its call, as in [(> ?x ?y)]" },
        { "[:find ?x :where [?x :a ?y] [(?y >= 5)]]", RILLE_SYNTAX, "1:34: >= is not a constant" },
        { "[:find ?x :where [?x :a 'b']]", RILLE_SYNTAX, "'b' is not a valid symbol: a string needs double quotes" },
        { "[:find ?x :where [[:a ?y] :b ?x]]", RILLE_SYNTAX, "a lookup ref cannot contain a variable" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_fails(cases[i].text, cases[i].code, cases[i].message);
    }
}

TEST(bind__names_the_variable_that_nothing_binds)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "[:find ?x ?y :where [?x :a]]", "1:11: variable ?y of :find is not used in any clause" },
        { "[:find ?x :with ?y :where [?x :a]]", "variable ?y of :with is not used in any clause" },
        { "[:find ?x :where [?x :a] [(> ?y 1)]]", "1:26: [(> ?y 1)] needs variable ?y, but no clause binds it" },
        { "[:find ?y :where [(> ?y 1)]]", "[(> ?y 1)] needs variable ?y, but no clause binds it" },
        { "[:find ?z :where [?x :a] (not [?x :b ?z])]", "variable ?z of :find is used but never bound" },
        { "[:find ?x :where [(inc ?x) ?y] [(dec ?y) ?x]]",
          "[(inc ?x) ?y] needs variable ?x, but the clauses that bind it need this clause first" },
        { "[:find ?x :where [?x :a] (not [?y :b])]", "(not [?y :b]) shares no variable" },
        { "[:find ?x :where [?x :a] (not-join [?y] [?y :b])]", "needs variable ?y, but no clause binds it" },
        { "[:find ?x :where (or [?x :a] [?y :b])]", "use different variables" },
        { "[:find ?x :where [?x :a] (or [?x :b] (and [?x :c ?z]))]", "?z is not in all of them" },
        { "[:find ?x :where (or-join [?x] [?x :a] [(> ?x 3)])]", "[(> ?x 3)] needs variable ?x" },
        { "[:find ?x :where (or-join [?x ?y] [?x :a] [?x :b ?y])]", "needs variable ?y, but no clause binds it" },
        { "[:find ?x :where (or-join [[?y] ?x] [?x :a ?y])]", "needs variable ?y" },
        { "[:find ?x :where [?x :a ?y] (or-join [?x] (and [?x :b] [(> ?y 3)]))]", "[(> ?y 3)] needs variable ?y" },
        { "[:find ?x :where [?x :a] (not [?x :b ?y] [(> ?z ?y)])]", "[(> ?z ?y)] needs variable ?z" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_fails(cases[i].text, RILLE_QUERY, cases[i].message);
    }
}

TEST(bind__accepts_clauses_in_any_order)
{
    static const char *const good[] = {
        "[:find ?x :where [(> ?y 1)] [(inc ?z) ?y] [?x :a ?z]]",
        "[:find ?x :where (not [?x :b ?y] [(> ?y ?z)]) [?x :a ?z]]",
        "[:find ?x :where (or-join [[?y] ?x] [?x :b ?y]) [_ :a ?y]]",
        "[:find ?x :in $ % :where [(even? ?y)] (r ?x ?y)]",
        "[:find ?x :where (or [?x :a ?y] (and [(> ?y 3)] [?x :b])) [_ :c ?y]]",
        "[:find ?x :where [?x :a ?y] (or [(> ?y 3)] [(< ?y 1)])]",
        "[:find ?x :where [?x :a ?b] (or (not [?x :c ?b]) [?x :d ?b])]",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ri_query_release(parse(good[i]));
    }
}

static void check_join(const rille_query *q, const ri_clause *clause, const char *names)
{
    ri_buf buf = { 0 };
    for (uint16_t i = 0; i < clause->join_count; i++) {
        ri_buf_put_text(&buf, q->var_names[clause->join_vars[i]]);
    }
    ri_buf_put_u8(&buf, 0);
    CHECK_EQ_STR((char *)buf.p, names);
    ri_buf_deinit(&buf);
}

TEST(bind__finds_what_a_not_or_or_shares_with_the_outside)
{
    rille_query *q = parse("[:find ?e :where (not [?e :b ?x] [?x :c ?l]) (not [?e :d ?l]) [?e :a ?x]"
                           " (or [?e :e ?y] [?y :f ?e]) (or-join [?e] [?e :g ?x])]");
    check_join(q, &q->where[0], "?e?x");
    check_join(q, &q->where[1], "?e");
    check_join(q, &q->where[3], "?e?y");
    check_join(q, &q->where[4], "?e");
    const ri_clause *inner = &q->where[4].body[0];
    CHECK(inner->terms[0].var == q->where[2].terms[0].var);
    CHECK(inner->terms[2].var != q->where[2].terms[2].var);
    CHECK_EQ_STR(q->var_names[inner->terms[2].var], "?x");
    ri_varset vars = { { 0 } };
    ri_clause_vars(&q->where[4], &vars);
    CHECK(ri_varset_has(&vars, q->find[0].var) && !ri_varset_has(&vars, inner->terms[2].var));
    ri_varset required = { { 0 } };
    CHECK(ri_clause_required(&q->where[0], NULL, &required) == 0);
    CHECK(ri_varset_has(&required, q->find[0].var));
    ri_query_release(q);
}

TEST(parse__refuses_what_is_too_deep_or_too_much)
{
    ri_buf buf = { 0 };
    ri_buf_put_text(&buf, "[:find ?x :where [?x] ");
    for (int i = 0; i < 100; i++) {
        ri_buf_put_text(&buf, "(not [?x :a] ");
    }
    for (int i = 0; i < 100; i++) {
        ri_buf_put_text(&buf, ")");
    }
    ri_buf_put(&buf, "]", 2);
    check_fails((char *)buf.p, RILLE_LIMIT, "nested too deeply (the maximum depth is 32)");
    ri_buf_clear(&buf);
    ri_buf_put_text(&buf, "[:find ?x :where ");
    for (int i = 0; i < 1025; i++) {
        ri_buf_put_text(&buf, "[?x] ");
    }
    ri_buf_put(&buf, "]", 2);
    check_fails((char *)buf.p, RILLE_LIMIT, "too many clauses (the maximum is 1024)");
    ri_buf_clear(&buf);
    ri_buf_put_text(&buf, "[:find ?x :where ");
    for (int i = 0; i < 300; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "[?x%d] ", i);
        ri_buf_put_text(&buf, text);
    }
    ri_buf_put(&buf, "]", 2);
    check_fails((char *)buf.p, RILLE_LIMIT, "too many variables (the maximum is 256)");
    ri_buf_deinit(&buf);
}

/* ---- rules ---- */

static int read_rules(const char *text, const rille_query *query, ri_arena *arena, ri_rules *out)
{
    ri_form form;
    RI_TRY(ri_edn_read(arena, text, strlen(text), &form, &test_err));
    return ri_rules_parse_form(&form, (ri_text){ text, strlen(text) }, query, arena, out, &test_err);
}

TEST(rules__are_parsed_and_printed)
{
    rille_query *q = parse("[:find ?x :in $ $b % :where (anc 1 ?x)]");
    ri_arena arena = { 0 };
    ri_rules rules;
    const char *text = "[[(anc ?a ?b) [?a :p ?b]] [(anc ?a ?b) [?a :p ?t] (anc ?t ?b)] "
                       "[(big [?n]) [(> ?n 10)] [$b _ :size ?n]] [(r [?x] ?y) ($b anc ?x ?y) (not [?x :z])]]";
    REQUIRE_RC(read_rules(text, q, &arena, &rules), RILLE_OK);
    CHECK_EQ_INT(rules.branch_count, 4);
    CHECK(ri_rules_find(&rules, "anc") == &rules.branches[0]);
    CHECK(ri_rules_find(&rules, "r") == &rules.branches[3]);
    CHECK(ri_rules_find(&rules, "nope") == NULL);
    CHECK_EQ_INT(rules.branches[0].body[0].source, RI_SOURCE_DEFAULT);
    CHECK_EQ_INT(rules.branches[2].body[1].source, 1);
    CHECK_EQ_INT(rules.branches[2].required_count, 1);
    CHECK(!rules.branches[0].needs[0] && rules.branches[3].needs[0] && !rules.branches[3].needs[1]);
    ri_buf buf = { 0 };
    CHECK(ri_rules_print(&rules, q, &buf) == 0);
    ri_buf_put_u8(&buf, 0);
    CHECK_EQ_STR((char *)buf.p, text);
    CHECK_RC(ri_bind_calls(q, &rules, &test_err), RILLE_OK);
    ri_buf_deinit(&buf);
    ri_arena_deinit(&arena);
    ri_query_release(q);
}

TEST(rules__know_what_they_need)
{
    rille_query *q = parse("[:find ?x :in $ % :where (r ?x)]");
    ri_arena arena = { 0 };
    ri_rules rules;
    const char *text = "[[(r ?x) (s ?x 1)] [(s ?y ?z) (t ?y) [_ :a ?z]] [(t ?x) [(> ?x 3)]] [(t ?x) (not [?x :b])]"
                       " [(u ?x) [?x :c] (r ?x)]]";
    REQUIRE_RC(read_rules(text, NULL, &arena, &rules), RILLE_OK);
    CHECK(ri_rules_find(&rules, "t")->needs[0]);
    CHECK(ri_rules_find(&rules, "s")->needs[0]);
    CHECK(!ri_rules_find(&rules, "s")->needs[1]);
    CHECK(ri_rules_find(&rules, "r")->needs[0]);
    CHECK(!ri_rules_find(&rules, "u")->needs[0]);
    CHECK_RC(ri_bind_calls(q, &rules, &test_err), RILLE_QUERY);
    CHECK(strstr(test_err.message, "1:26: (r ?x) needs variable ?x") != NULL);
    ri_arena_deinit(&arena);
    ri_query_release(q);
}

TEST(rules__say_what_is_wrong)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        { "7", RILLE_SYNTAX, "rules 1:1: 7 is not a vector of rules" },
        { "[7]", RILLE_SYNTAX, "rules 1:2: 7 is not a rule" },
        { "[[(r)] ]", RILLE_SYNTAX, "rules 1:3: rule r: expected 1 to 256 parameters" },
        { "[[(r ?x)]]", RILLE_SYNTAX, "rule r: the rule needs at least one clause" },
        { "[[(or ?x) [?x]]]", RILLE_QUERY, "rules 1:3: or is reserved and cannot be a rule name" },
        { "[[(r ?x) [?x]] [(r ?x ?y) [?x :a ?y]]]", RILLE_QUERY,
          "rules 1:16: rule r is defined with 1 and with 2 parameters" },
        { "[[(r ?x) [?x :a ?y] (s ?y)]]", RILLE_QUERY, "rules 1:21: rule r: unknown rule s; rules given: r" },
        { "[[(r ?x) [?x :a ?y] (r ?y ?x)]]", RILLE_QUERY,
          "rules 1:21: rule r: the call of rule r has 2 arguments, but the rule takes 1" },
        { "[[(r ?x) [?x :a] [(> ?y 1)]]]", RILLE_QUERY, "rule r: [(> ?y 1)] needs variable ?y" },
        { "[[(r ?x) [$c ?x :a]]]", RILLE_QUERY, "rule r: source $c is not in :in" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_arena arena = { 0 };
        ri_rules rules;
        test_err = (rille_err){ 0 };
        int rc = read_rules(cases[i].text, NULL, &arena, &rules);
        CHECK(rules.branch_count == 0);
        if (rc != cases[i].code || strstr(test_err.message, cases[i].message) == NULL) {
            CHECK_EQ_STR(test_err.message, cases[i].message);
            CHECK_EQ_INT(rc, cases[i].code);
        }
        ri_arena_deinit(&arena);
    }
}

/* Each rule calls the one before it, and needs what that needs: so this is found out from the first to the last. */
static void put_chain(ri_buf *out, unsigned count)
{
    char clause[96];
    ri_buf_clear(out);
    ri_buf_put_text(out, "[[(r0 ?a ?b) [(+ ?a 1) ?b]]");
    for (unsigned i = 1; i < count; i++) {
        (void)snprintf(clause, sizeof clause, " [(r%u ?a ?b) (r%u ?a ?v0)", i, i - 1);
        ri_buf_put_text(out, clause);
        for (unsigned k = 1; k < 20; k++) {
            (void)snprintf(clause, sizeof clause, " [(+ ?v%u 1) ?v%u]", k - 1, k);
            ri_buf_put_text(out, clause);
        }
        ri_buf_put_text(out, " [(+ ?v19 1) ?b]]");
    }
    ri_buf_put(out, "]", 2);
}

/* The rules are bound: the result, and the units of work. */
static int bind_chain(unsigned count, bool cancelled, uint64_t *units)
{
    ri_buf text = { 0 };
    ri_meter meter;
    ri_arena arena = { .meter = &meter };
    ri_rules rules = { 0 };
    ri_meter_init(&meter, 0, 0);
    atomic_store(&meter.cancelled, cancelled);
    put_chain(&text, count);
    int rc = read_rules((const char *)text.p, NULL, &arena, &rules);
    for (size_t i = 0; rc == 0 && i < rules.branch_count; i++) {
        CHECK(rules.branches[i].needs[0] && !rules.branches[i].needs[1]);
    }
    *units = (meter.looks + 1) * RI_METER_UNITS - meter.units_left;
    ri_arena_deinit(&arena);
    ri_buf_deinit(&text);
    return rc;
}

TEST(rules__are_bound_in_time_that_grows_with_their_number)
{
    uint64_t some;
    uint64_t more;
    REQUIRE_RC(bind_chain(100, false, &some), 0);
    REQUIRE_RC(bind_chain(400, false, &more), 0);
    CHECK(more > 3 * some && more < 5 * some);
    CHECK_RC(bind_chain(400, true, &some), RILLE_CANCELLED);
}

TEST(query__can_be_made_of_a_form_that_goes_away)
{
    ri_arena arena = { 0 };
    ri_form form;
    const char *text = "[:find ?x :where [?x :a \"some text\"] [(str \"b\" ?x) ?y]]";
    REQUIRE_RC(ri_edn_read(&arena, text, strlen(text), &form, &test_err), RILLE_OK);
    rille_query *q = NULL;
    REQUIRE_RC(ri_query_from_form(&form, &q, &test_err), RILLE_OK);
    ri_arena_deinit(&arena);
    char *printed = print(q);
    CHECK_EQ_STR(printed, "[:find ?x :in $ :where [?x :a \"some text\"] [(str \"b\" ?x) ?y]]");
    ri_free(printed);
    rille_query *second = ri_query_retain(q);
    ri_query_release(q);
    ri_query_release(second);
    ri_query_release(NULL);
}

static int parse_all(void)
{
    const char *text = "[:find ?x (min 2 ?y) :in $ % ?z :where [?x :a ?y] (not [?x :b ?z]) [(ground [1 2]) [?l ...]]"
                       " (or-join [?x] (and [?x :c ?k] [(> ?k 1)]) (r ?x)) :order-by [?x]]";
    rille_query *q;
    RI_TRY(ri_query_parse(text, strlen(text), &q, NULL));
    ri_arena arena = { 0 };
    ri_rules rules;
    ri_form form;
    text = "[[(r ?x) [?x :a] (not [?x :b])]]";
    int rc = ri_edn_read(&arena, text, strlen(text), &form, NULL);
    if (rc == 0) {
        rc = ri_rules_parse_form(&form, (ri_text){ NULL, 0 }, q, &arena, &rules, NULL);
    }
    if (rc == 0) {
        rc = ri_bind_calls(q, &rules, NULL);
    }
    ri_arena_deinit(&arena);
    ri_query_release(q);
    return rc;
}

TEST(parse__frees_all_when_memory_runs_out)
{
    TEST_FAULT_SWEEP(parse_all());
}

TEST_MAIN(parse__takes_a_pattern_apart, parse__prints_what_it_read, parse__reads_other_ways_to_say_the_same,
          parse__says_where_and_what_is_wrong, bind__names_the_variable_that_nothing_binds,
          bind__accepts_clauses_in_any_order, bind__finds_what_a_not_or_or_shares_with_the_outside,
          parse__refuses_what_is_too_deep_or_too_much, rules__are_parsed_and_printed, rules__know_what_they_need,
          rules__say_what_is_wrong, rules__are_bound_in_time_that_grows_with_their_number,
          query__can_be_made_of_a_form_that_goes_away, parse__frees_all_when_memory_runs_out)
