/* SPDX-License-Identifier: MIT
 *
 * Queries at the edges of what a clause may be: too many terms, arguments that are no values, rules that nest deep.
 */
#include "../src/core/query/exec.h"

#include "test_query_world.h"

static const char *const tiny[] = {
    "[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}"
    " {:db/ident :next :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]",
    "[{:db/id \"a\" :n 1 :next \"b\"} {:db/id \"b\" :n 2}]",
};

static void with_db(world *w)
{
    world_init(w);
    world_make(w, 0, WORLD_TREES, tiny, 2);
    world_add_db(w, 0);
}

TEST(edges__a_pattern_has_five_terms_at_most)
{
    world w;
    with_db(&w);
    EXPECT(&w, "[:find ?v ?op :where [?e :n ?v ?t ?op]]", "[1 true] [2 true]");
    EXPECT_ERROR(&w, "[:find ?z :where [?e :n ?v ?t ?op ?z]]", RILLE_QUERY, "at most five terms (e a v tx added)");
    EXPECT_ERROR(&w, "[:find ?e :where [?e :n] (not [?e :n _ _ _ 1])]", RILLE_QUERY,
                 "at most five terms (e a v tx added)");
    EXPECT_ERROR(&w, "[:find ?e :where (or [?e :n] (and [?e :n 1] [?e :n _ _ _ _ 1]))]", RILLE_QUERY,
                 "at most five terms (e a v tx added)");
    world_add_rules(&w, "[[(r ?e) [?e :n _ _ _ 1]]]");
    EXPECT_ERROR(&w, "[:find ?e :in $ % :where (r ?e)]", RILLE_QUERY, "at most five terms (e a v tx added)");
    world_deinit(&w);
}

TEST(edges__a_blank_is_no_argument)
{
    world w;
    with_db(&w);
    world_add_rules(&w, "[[(s [?x] ?y) [?v :next ?y] [?v :n ?x]] [(t ?x ?y) [?v :next ?y] (not [?v :next ?x])]"
                        " [(inner ?y) (s _ ?y)]]");
    EXPECT_ERROR(&w, "[:find ?y :in $ % :where (s _ ?y)]", RILLE_QUERY, "argument 1");
    world_inputs_clear(&w);
    world_add_db(&w, 0);
    world_add_rules(&w, "[[(s [?x] ?y) [?v :next ?y] [?v :n ?x]] [(t ?x ?y) [?v :next ?y] (not [?v :next ?x])]]");
    EXPECT(&w, "[:find ?n :in $ % :where (s 1 ?y) [?y :n ?n]]", "[2]");
    EXPECT_ERROR(&w, "[:find ?y :in $ % :where (s _ ?y)]", RILLE_QUERY, "argument 1");
    EXPECT_ERROR(&w, "[:find ?y :in $ % :where (t _ ?y)]", RILLE_QUERY, "argument 1");
    EXPECT_ERROR(&w, "[:find ?y :in $ % :where [?y :n] (not (s _ ?y))]", RILLE_QUERY, "argument 1");
    EXPECT_ERROR(&w, "[:find ?y :in $ % :where (or [?y :n] (t _ ?y))]", RILLE_QUERY, "argument 1");
    world_deinit(&w);
}

/* count rules that call each other in a chain, then a body. The caller frees. */
static char *chain(unsigned count, const char *body)
{
    size_t size = count * 40U + strlen(body) + 64;
    char *text = calloc(size, 1);
    size_t len = (size_t)snprintf(text, size, "[");
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, size - len, "[(r%u ?x) (r%u ?x)] ", i, i + 1);
    }
    (void)snprintf(text + len, size - len, "[(r%u ?x) %s]]", count, body);
    return text;
}

TEST(edges__rules_nest_as_deep_as_they_like)
{
    world w;
    with_db(&w);
    char *rules = chain(900, "[?x :n 2]");
    world_add_rules(&w, rules);
    EXPECT(&w, "[:find ?n :in $ % :where (r0 ?x) [?x :n ?n]]", "[2]");
    EXPECT_ERROR(&w, "[:find ?x :in $a % :where (r0 ?x)]", RILLE_QUERY, "has no source");
    free(rules);
    world_deinit(&w);
}

/* Each rule calls each of the others: what a walk along all paths would not live to see the end of. */
TEST(edges__rules_that_all_call_each_other_are_counted_once)
{
    enum { COUNT = 40, SIZE = 1 << 20 };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_DEFERRED, tiny, 2);
    world_add_db(&w, 0);
    char *text = calloc(SIZE, 1);
    size_t len = (size_t)snprintf(text, SIZE, "[");
    for (unsigned i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(text + len, SIZE - len, "[(r%u ?x) [?x :n %u]] ", i, i);
        for (unsigned j = 0; j < COUNT; j++) {
            len += (size_t)snprintf(text + len, SIZE - len, "[(r%u ?x) (r%u ?x)] ", i, j);
            if (j % 24 == 23) { /* so that all of them are under the limit of rules */
                break;
            }
        }
    }
    (void)snprintf(text + len, SIZE - len, "]");
    world_add_rules(&w, text);
    EXPECT(&w, "[:find ?n :in $ % :where (r0 ?x) [?x :n ?n]]", "[1] [2]");
    free(text);
    world_deinit(&w);
}

TEST(edges__a_pattern_on_rows_has_many_constants)
{
    enum { COLS = 300, SIZE = 4096 };
    world w;
    ri_value row[COLS];
    char text[SIZE];
    with_db(&w);
    size_t len = (size_t)snprintf(text, SIZE, "[:find ?x :in $ $r :where [$r ?x");
    for (unsigned i = 0; i < COLS; i++) {
        row[i] = ri_long(i);
        len += i == 0 ? 0 : (size_t)snprintf(text + len, SIZE - len, " %u", i);
    }
    (void)snprintf(text + len, SIZE - len, "]]");
    ri_table *table = &w.tables[w.input_count];
    REQUIRE_RC(ri_table_init(table, COLS, false, &test_err), 0);
    REQUIRE_RC(ri_table_add_row(table, row, NULL, &test_err), 0);
    row[0] = ri_long(7);
    REQUIRE_RC(ri_table_add_row(table, row, NULL, &test_err), 0);
    row[COLS - 1] = ri_long(0);
    row[0] = ri_long(8);
    REQUIRE_RC(ri_table_add_row(table, row, NULL, &test_err), 0);
    w.inputs[w.input_count++] = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
    EXPECT(&w, text, "[0] [7]");
    world_deinit(&w);
}

TEST(edges__an_empty_input_gives_an_empty_answer)
{
    static const char *const queries[] = {
        "[:find ?y :in $ [?x ...] :where [(inc ?x) ?y]]",
        "[:find ?y :in $ [?x ...] :where [?e :n ?y] [(< ?y ?x)]]",
        "[:find ?e :in $ [?x ...] :where [?e :n] (not [?e :n ?x])]",
        "[:find ?x :in $ [?x ...] :where (or-join [[?x]] [?x :n 5])]",
        "[:find ?v :in $ [?e ...] :where [(get-else $ ?e :n 0) ?v]]",
        "[:find (count ?x) :in $ [?x ...]]",
    };
    world w;
    with_db(&w);
    world_add_table(&w, 'c', "[]");
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        EXPECT(&w, queries[i], "");
    }
    world_inputs_clear(&w);
    world_add_db(&w, 0);
    world_add_table(&w, 'r', "[]");
    world_add_table(&w, 'c', "[1 2 3]");
    EXPECT(&w, "[:find ?x ?z :in $ [[?x ?y]] [?z ...] :where [(< ?x ?z)] [(inc ?y) ?w]]", "");
    world_deinit(&w);
}

TEST(edges__batches_of_long_values_reuse_their_columns)
{
    enum { COUNT = 5000, LEN = 1100, SIZE = COUNT * (LEN + 40) };
    static const char schema[] =
        "[{:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/one}]";
    char *text = calloc(SIZE, 1);
    size_t len = (size_t)snprintf(text, SIZE, "[");
    for (unsigned i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(text + len, SIZE - len, "{:text \"%0*u\"}", LEN, i);
    }
    (void)snprintf(text + len, SIZE - len, "]");
    const char *texts[] = { schema, text };
    world w;
    rille_query *query = NULL;
    rille_op *op = NULL;
    const char *find = "[:find ?e ?t :where [?e :text ?t]]";
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, texts, 2);
    world_add_db(&w, 0);
    free(text);
    REQUIRE_RC(ri_query_parse(find, strlen(find), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w.inputs, w.input_count, &w.options, &op, &test_err), 0);
    size_t rows = 0;
    size_t bytes = 0;
    int rc;
    while ((rc = ri_op_step(op, 0, &test_err)) == RILLE_ROWS) {
        bytes = rows == 0 ? op->plan_arena.total_bytes : bytes;
        rows += op->row_count;
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK_EQ_INT(rows, COUNT);
    CHECK_EQ_INT(op->plan_arena.total_bytes, bytes);
    ri_op_release(op);
    ri_query_release(query);
    world_deinit(&w);
}

/* An operation of the query on the world's inputs. */
static rille_op *op_of(world *w, const char *text)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &w->options, &op, &test_err), 0);
    ri_query_release(query);
    return op;
}

TEST(edges__a_scan_that_finds_little_can_be_stopped_at_each_leaf)
{
    enum { COUNT = 20000, SIZE = COUNT * 20 };
    static const char schema[] = "[{:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/one}]";
    char *text = calloc(SIZE, 1);
    size_t len = (size_t)snprintf(text, SIZE, "[{:s \"hit\"}");
    for (unsigned i = 1; i < COUNT; i++) {
        len += (size_t)snprintf(text + len, SIZE - len, "{:s \"%u\"}", i);
    }
    (void)snprintf(text + len, SIZE - len, "]");
    const char *texts[] = { schema, text };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, texts, 2);
    world_add_db(&w, 0);
    free(text);
    rille_op *op = op_of(&w, "[:find ?e :where [?e :s \"hit\"]]");
    CHECK_RC(ri_op_step(op, 0, &test_err), RILLE_ROWS);
    CHECK(op->units >= 10);
    ri_op_release(op);
    world_deinit(&w);
}

/* Steps and units of a query in steps of one microsecond, and of one step without a budget. */
static void count_steps(world *w, const char *text, unsigned *steps, unsigned *units)
{
    ri_table table;
    w->budget_us = 1;
    REQUIRE_RC(world_run(w, text, &table, &test_err), 0);
    ri_table_deinit(&table);
    *steps = w->steps;
    w->budget_us = 0;
    REQUIRE_RC(world_run(w, text, &table, &test_err), 0);
    ri_table_deinit(&table);
    *units = w->units;
}

TEST(edges__every_step_makes_progress)
{
    enum { PATTERNS = 35 };
    static const char schema[] = "[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";
    const char *texts[] = { schema, "[{:n 1} {:n 2} {:n 3}]" };
    char text[2048];
    size_t len = (size_t)snprintf(text, sizeof text, "[:find ?e ?n :where");
    for (unsigned i = 0; i < PATTERNS; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, " [?e :n ?n]");
    }
    (void)snprintf(text + len, sizeof text - len, " :order-by ?n]");
    world w;
    unsigned steps = 0;
    unsigned units = 0;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, texts, 2);
    world_add_db(&w, 0);
    count_steps(&w, text, &steps, &units);
    CHECK(units >= PATTERNS);
    CHECK(steps <= units);
    world_deinit(&w);
}

/* Ors in ors, each of which is the worst clause of its body, so that it stays to the last. */
static void put_nest(char *text, size_t size, unsigned levels)
{
    size_t len = strlen(text);
    if (levels == 0) {
        (void)snprintf(text + len, size - len, "[?e :n ?x]");
        return;
    }
    (void)snprintf(text + len, size - len, "(or-join [?e ?x] (and [?e :n ?x] [?e :n 1] [?e :n] [?x :n] ");
    put_nest(text, size, levels - 1);
    len = strlen(text);
    (void)snprintf(text + len, size - len, ") (and [?e :n ?x] [?p :n] [?q :n] [?r :n]))");
}

TEST(edges__ors_in_ors_are_planned_in_no_time)
{
    enum { SIZE = 1 << 16 };
    char *text = calloc(SIZE, 1);
    world w;
    with_db(&w);
    (void)snprintf(text, SIZE, "[:find ?x :where [?e :n 2] ");
    put_nest(text, SIZE, 14);
    (void)strcat(text, "]");
    EXPECT(&w, text, "[2]");
    free(text);
    world_deinit(&w);
}

TEST(edges__the_memory_limit_counts_what_aggregates_and_sorting_take)
{
    enum { COUNT = 60000, SIZE = COUNT * 20 };
    static const char *const queries[] = {
        "[:find (median ?n) :with ?e :where [?e :n ?n]]",
        "[:find (count-distinct ?n) :with ?e :where [?e :n ?n]]",
        "[:find (min 60000 ?n) :with ?e :where [?e :n ?n]]",
        "[:find ?n (count ?e) :where [?e :n ?n]]",
    };
    char *text = calloc(SIZE, 1);
    size_t len = (size_t)snprintf(text, SIZE, "[");
    for (unsigned i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(text + len, SIZE - len, "{:n %u}", i);
    }
    (void)snprintf(text + len, SIZE - len, "]");
    const char *texts[] = { tiny[0], text };
    world w;
    ri_table out;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, texts, 2);
    world_add_db(&w, 0);
    free(text);
    w.options.memory_bytes = 500000;
    EXPECT(&w, "[:find (sum ?n) :with ?e :where [?e :n ?n]]", "[1799970000]");
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        int rc = world_run(&w, queries[i], &out, &test_err);
        CHECK_RC(rc, RILLE_LIMIT);
        ri_table_deinit(&out);
    }
    world_deinit(&w);
}

static const char *fault_query;

static int run_quietly(world *w)
{
    ri_table table;
    rille_err err = { 0 };
    int rc = world_run(w, fault_query, &table, &err);
    if (rc == 0) {
        ri_table_deinit(&table);
    }
    return rc;
}

TEST(edges__names_survive_every_failing_allocation)
{
    static const char *const queries[] = {
        "[:find ?c ?v :in $ % [?c ...] :where [?c :n ?v]]",
        "[:find ?c ?a :in $ % [?c ...] :where [?e ?a ?c]]",
        "[:find ?v :in $ % [?c ...] :where (r ?c ?x) [?x :n ?v]]",
        "[:find ?v :in $ % [?c ...] :where [(get-else $ ?c :n 0) ?v] [(ground [:n]) [?a ...]] [?c ?a ?v]]",
    };
    static const char *const names[] = {
        "[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique "
        ":db.unique/identity}"
        " {:db/ident :next :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]",
        "[{:db/id \"a\" :db/ident :x/a :n 1 :next \"b\"} {:db/id \"b\" :n 2 :next \"a\"}]",
    };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_DEFERRED, names, 2);
    world_add_db(&w, 0);
    world_add_rules(&w, "[[(r ?x ?y) [?x :next ?y]] [(r ?x ?y) [?x :next ?z] (r ?z ?y)]]");
    world_add_table(&w, 'c', "[:x/a [:n 2] :x/none]");
    EXPECT(&w, queries[0], "[:x/a 1] [[:n 2] 2]");
    EXPECT(&w, queries[2], "[1] [2]");
    world_make_sets(&w);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        fault_query = queries[i];
        CHECK_RC(run_quietly(&w), 0); /* nodes go into the cache once */
        TEST_FAULT_SWEEP(run_quietly(&w));
    }
    world_deinit(&w);
}

TEST(edges__in_rows_a_pair_is_a_pair)
{
    world w;
    with_db(&w);
    world_add_table(&w, 'r', "[[[:n 1] 5] [[:n 2] 6] [7 [:n 1]]]");
    EXPECT(&w, "[:find ?x :in $ $r :where [$r [:n 1] ?x]]", "[5]");
    EXPECT(&w, "[:find ?x :in $ $r :where [$r ?x [:n 1]]]", "[7]");
    world_deinit(&w);
}

TEST_MAIN(edges__a_pattern_has_five_terms_at_most, edges__a_blank_is_no_argument,
          edges__rules_nest_as_deep_as_they_like, edges__rules_that_all_call_each_other_are_counted_once,
          edges__a_pattern_on_rows_has_many_constants, edges__an_empty_input_gives_an_empty_answer,
          edges__batches_of_long_values_reuse_their_columns,
          edges__a_scan_that_finds_little_can_be_stopped_at_each_leaf, edges__every_step_makes_progress,
          edges__ors_in_ors_are_planned_in_no_time, edges__the_memory_limit_counts_what_aggregates_and_sorting_take,
          edges__names_survive_every_failing_allocation, edges__in_rows_a_pair_is_a_pair)
