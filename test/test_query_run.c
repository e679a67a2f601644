/* SPDX-License-Identifier: MIT
 *
 * Queries against answers worked out by hand, on every way a database may lie: in memory only, in trees, half and half,
 * and in a store that answers late; run at once and in steps of a microsecond.
 */
#include "test_query_world.h"

static const char *const people[] = {
    "[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}"
    " {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}"
    " {:db/ident :sex :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}"
    " {:db/ident :score :db/valueType :db.type/double :db/cardinality :db.cardinality/one}"
    " {:db/ident :alias :db/valueType :db.type/string :db/cardinality :db.cardinality/many}"
    " {:db/ident :email :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique "
    ":db.unique/identity}"
    " {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :colour :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}"
    " {:db/ident :colour/red} {:db/ident :colour/blue}]",
    "[{:db/id \"ann\" :name \"Ann\" :age 30 :sex :female :score 1.5 :alias [\"annie\" \"a\"] :email \"ann@x\" :colour "
    ":colour/red}"
    " {:db/id \"bob\" :name \"Bob\" :age 99 :sex :male :score 2.0 :email \"bob@x\" :friend \"ann\" :alias \"wrong\"}"
    " {:db/id \"cid\" :name \"Cid\" :age 30 :sex :male :email \"cid@x\" :friend [\"ann\" \"bob\"] :colour "
    ":colour/blue}]",
    "[{:email \"dan@x\" :name \"Dan\" :age 50 :sex :male :friend [[:email \"dan@x\"]]}]",
    "[[:db/add [:email \"bob@x\"] :age 40] [:db/retract [:email \"bob@x\"] :alias \"wrong\"]"
    " [:db/add [:email \"dan@x\"] :friend [:email \"dan@x\"]]"
    " {:email \"eve@x\" :name \"Ann\" :age 20 :sex :female :friend [:email \"dan@x\"]}]",
};
#define PEOPLE_COUNT (sizeof people / sizeof *people)

/* Without a self reference to somebody who does not exist yet. */
static void make_people(world *w, int at, world_mode mode)
{
    const char *texts[PEOPLE_COUNT];
    memcpy(texts, people, sizeof people);
    texts[2] = "[{:email \"dan@x\" :name \"Dan\" :age 50 :sex :male}]";
    world_make(w, at, mode, texts, PEOPLE_COUNT);
}

typedef void (*cases)(world *w);

/* Runs the cases in all modes, at once and in small steps. */
static void in_all_modes(cases run)
{
    for (int mode = 0; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_people(&w, 0, (world_mode)mode);
        for (int small = 0; small < 2; small++) {
            w.budget_us = (uint64_t)small;
            world_add_db(&w, 0);
            run(&w);
            world_inputs_clear(&w);
        }
        world_deinit(&w);
    }
}

static void pattern_cases(world *w)
{
    EXPECT(w, "[:find ?n :where [?e :name ?n]]", "[\"Ann\"] [\"Bob\"] [\"Cid\"] [\"Dan\"]");
    EXPECT(w, "[:find ?m :where [_ :email ?m]]", "[\"ann@x\"] [\"bob@x\"] [\"cid@x\"] [\"dan@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :name \"Ann\"] [?e :email ?m]]", "[\"ann@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :age 30] [?e :email ?m]]", "[\"ann@x\"] [\"cid@x\"]");
    EXPECT(w, "[:find ?m :where [?e :age 30.0] [?e :email ?m]]", "[\"ann@x\"] [\"cid@x\"]");
    EXPECT(w, "[:find ?m :where [?e :score 2] [?e :email ?m]]", "[\"bob@x\"]");
    EXPECT(w, "[:find ?m :where [?e :age 99] [?e :email ?m]]", "");
    EXPECT(w, "[:find ?m :where [?e :age \"30\"] [?e :email ?m]]", "");
    EXPECT(w, "[:find ?m :where [?e :sex :male] [?e :age 30] [?e :email ?m]]", "[\"cid@x\"]");
    EXPECT(w, "[:find ?a ?x :where [?e :email \"ann@x\"] [?e :alias ?x] [?e :age ?a]]", "[30 \"a\"] [30 \"annie\"]");
    EXPECT(w, "[:find ?x :where [?e :email \"bob@x\"] [?e :alias ?x]]", "");
    EXPECT(w, "[:find ?n :where [[:email \"bob@x\"] :name ?n]]", "[\"Bob\"]");
    EXPECT(w, "[:find ?n :where [[:email \"nobody\"] :name ?n]]", "");
    EXPECT(w, "[:find ?v :where [[:email \"bob@x\"] :age ?v]]", "[40]");
    EXPECT(w, "[:find ?i :where [[:email \"bob@x\"] ?a \"Bob\"] [?a :db/ident ?i]]", "[:name]");
    EXPECT(w, "[:find ?m ?i :where [?e ?a 30] [?a :db/ident ?i] [?e :email ?m]]", "[\"ann@x\" :age] [\"cid@x\" :age]");
}

TEST(query__finds_patterns)
{
    in_all_modes(pattern_cases);
}

static void join_cases(world *w)
{
    EXPECT(w, "[:find ?n ?m :where [?e :friend ?f] [?e :email ?n] [?f :email ?m]]",
           "[\"bob@x\" \"ann@x\"] [\"cid@x\" \"ann@x\"] [\"cid@x\" \"bob@x\"] [\"dan@x\" \"dan@x\"] [\"eve@x\" "
           "\"dan@x\"]");
    EXPECT(w, "[:find ?m :where [?e :friend [:email \"ann@x\"]] [?e :email ?m]]", "[\"bob@x\"] [\"cid@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email \"ann@x\"] [?f :friend ?e] [?f :email ?m]]", "[\"bob@x\"] [\"cid@x\"]");
    EXPECT(w, "[:find ?m :where [?e :friend ?e] [?e :email ?m]]", "[\"dan@x\"]");
    EXPECT(w, "[:find ?m :where [?e :colour :colour/red] [?e :email ?m]]", "[\"ann@x\"]");
    EXPECT(w, "[:find ?m ?c :where [?e :colour ?x] [?x :db/ident ?c] [?e :email ?m]]",
           "[\"ann@x\" :colour/red] [\"cid@x\" :colour/blue]");
    EXPECT(w, "[:find ?m ?o :where [?e :age ?a] [?f :age ?a] [?e :email ?m] [?f :email ?o] [(< ?e ?f)]]",
           "[\"ann@x\" \"cid@x\"]");
    EXPECT(w, "[:find ?m ?o :where [?e :name ?n] [?f :name ?n] [?e :email ?m] [?f :email ?o] [(!= ?e ?f)]]",
           "[\"ann@x\" \"eve@x\"] [\"eve@x\" \"ann@x\"]");
    EXPECT(w, "[:find ?m :where [?e :friend ?f] [?f :friend ?g] [?e :friend ?g] [?e :email ?m]]",
           "[\"cid@x\"] [\"dan@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?n ?x :where [?e :name ?n] [?f :sex :female] [?f :email ?x] [?e :age 50]]",
           "[\"Dan\" \"ann@x\"] [\"Dan\" \"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :age ?a] [?e :score ?s] [?e :email ?m] [(> ?a ?s)]]", "[\"ann@x\"] [\"bob@x\"]");
}

TEST(query__joins_patterns)
{
    in_all_modes(join_cases);
}

static void function_cases(world *w)
{
    EXPECT(w, "[:find ?m :where [?e :age ?a] [(>= ?a 40)] [?e :email ?m]]", "[\"bob@x\"] [\"dan@x\"]");
    EXPECT(w, "[:find ?m ?b :where [?e :age ?a] [(+ ?a 1) ?b] [?e :email ?m] [(even? ?b)]]", "");
    EXPECT(w, "[:find ?m ?b :where [?e :age ?a] [(* ?a 2) ?b] [?e :email ?m] [(< ?b 70)]]",
           "[\"ann@x\" 60] [\"cid@x\" 60] [\"eve@x\" 40]");
    EXPECT(w, "[:find ?x :where [(ground [1 2 2 3]) [?x ...]]]", "[1] [2] [3]");
    EXPECT(w, "[:find ?x ?y :where [(ground [[1 :a] [2 :b]]) [[?x ?y]]]]", "[1 :a] [2 :b]");
    EXPECT(w, "[:find ?m :where [(ground [30 50]) [?a ...]] [?e :age ?a] [?e :email ?m]]",
           "[\"ann@x\"] [\"cid@x\"] [\"dan@x\"]");
    EXPECT(w, "[:find ?m ?s :where [?e :email ?m] [(get-else $ ?e :score 0.5) ?s]]",
           "[\"ann@x\" 1.5] [\"bob@x\" 2.0] [\"cid@x\" 0.5] [\"dan@x\" 0.5] [\"eve@x\" 0.5]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] [(missing? $ ?e :score)]]", "[\"cid@x\"] [\"dan@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m ?i ?v :where [?e :email ?m] [(get-some $ ?e :score :alias) [?a ?v]] [?a :db/ident ?i]]",
           "[\"ann@x\" :score 1.5] [\"bob@x\" :score 2.0]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] [(str \"x\" ?m) ?n] [(= ?n \"xann@x\")]]", "[\"ann@x\"]");
    EXPECT_ERROR(w, "[:find ?m :where [?e :email ?m] [(frobnicate ?m)]]", RILLE_QUERY, "frobnicate");
    EXPECT_ERROR(w, "[:find ?m :where [?e :emial ?m]]", RILLE_ATTRIBUTE, "emial");
}

TEST(query__calls_functions)
{
    in_all_modes(function_cases);
}

static void not_or_cases(world *w)
{
    EXPECT(w, "[:find ?m :where [?e :email ?m] (not [?e :sex :male])]", "[\"ann@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (not [?e :friend ?f] [?f :name \"Dan\"])]",
           "[\"ann@x\"] [\"bob@x\"] [\"cid@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (not-join [?e] [?f :friend ?e])]", "[\"cid@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] [?e :age ?a] (not [(> ?a 35)])]", "[\"ann@x\"] [\"cid@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (or [?e :age 20] [?e :name \"Bob\"])]", "[\"bob@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where (or [?e :age 20] [?e :name \"Bob\"]) [?e :email ?m]]", "[\"bob@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (or (and [?e :sex :male] [?e :age 30]) [?e :age 20])]",
           "[\"cid@x\"] [\"eve@x\"]");
    EXPECT(w,
           "[:find ?m ?x :where [?e :email ?m] (or-join [?e ?x] [?e :alias ?x] (and [?e :friend ?f] [?f :email ?x]))]",
           "[\"ann@x\" \"a\"] [\"ann@x\" \"annie\"] [\"bob@x\" \"ann@x\"] [\"cid@x\" \"ann@x\"] [\"cid@x\" \"bob@x\"] "
           "[\"dan@x\" \"dan@x\"] [\"eve@x\" \"dan@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] [?e :age ?a] (or [(< ?a 25)] [(> ?a 45)])]", "[\"dan@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (not (or [?e :age 30] [?e :age 50]))]", "[\"bob@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (or [?e :sex :female] (not [?e :friend _]))]",
           "[\"ann@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :where [?e :email ?m] (not [?e :sex :male] (not [?e :age 30]))]",
           "[\"ann@x\"] [\"cid@x\"] [\"eve@x\"]");
}

TEST(query__knows_not_and_or)
{
    in_all_modes(not_or_cases);
}

static void aggregate_cases(world *w)
{
    EXPECT(w, "[:find (count ?e) :where [?e :email _]]", "[5]");
    EXPECT(w, "[:find ?s (count ?e) (sum ?a) :where [?e :sex ?s] [?e :age ?a]]", "[:female 2 50] [:male 3 120]");
    EXPECT(w, "[:find (sum ?a) :where [?e :age ?a]]", "[140]");
    EXPECT(w, "[:find (sum ?a) :with ?e :where [?e :age ?a]]", "[170]");
    EXPECT(w, "[:find (min ?a) (max ?a) :where [?e :age ?a]]", "[20 50]");
    EXPECT(w, "[:find (count ?e) :where [?e :age 77]]", "");
    EXPECT(w, "[:find ?s (max ?a) :where [?e :sex ?s] [?e :age ?a] [?e :friend _]]", "[:female 20] [:male 50]");
    EXPECT_ORDERED(w, "[:find ?s (sum ?a) :with ?e :where [?e :sex ?s] [?e :age ?a] :order-by [[(sum ?a) :desc]]]",
                   "[:male 120] [:female 50]");
}

TEST(query__aggregates)
{
    in_all_modes(aggregate_cases);
}

static void order_cases(world *w)
{
    EXPECT_ORDERED(w, "[:find ?m ?a :where [?e :email ?m] [?e :age ?a] :order-by [?a [?m :desc]]]",
                   "[\"eve@x\" 20] [\"cid@x\" 30] [\"ann@x\" 30] [\"bob@x\" 40] [\"dan@x\" 50]");
    EXPECT_ORDERED(w, "[:find ?m ?a :where [?e :email ?m] [?e :age ?a] :order-by [[?a :desc]] :limit 2 :offset 1]",
                   "[\"bob@x\" 40] [\"ann@x\" 30]");
    EXPECT_ORDERED(w, "[:find ?a :where [?e :age ?a] :order-by [?a]]", "[20] [30] [40] [50]");
    EXPECT_ORDERED(w, "[:find ?a :where [?e :age ?a] :order-by [?a] :limit 0]", "");
    EXPECT_ORDERED(w, "[:find ?a :where [?e :age ?a] :order-by [?a] :offset 9]", "");
    w->options.limit = 1;
    w->options.offset = 2;
    EXPECT_ORDERED(w, "[:find ?a :where [?e :age ?a] :order-by [?a] :limit 4]", "[40]");
    w->options.limit = -1;
    w->options.offset = -1;
}

TEST(query__orders_and_limits)
{
    in_all_modes(order_cases);
}

static void input_cases(world *w)
{
    world_add_table(w, 's', "30");
    EXPECT(w, "[:find ?m ?a :in $ ?a :where [?e :age ?a] [?e :email ?m]]", "[\"ann@x\" 30] [\"cid@x\" 30]");
    EXPECT(w, "[:find ?a ?b :in $ ?a :where [(+ ?a 1) ?b]]", "[30 31]");
    EXPECT(w, "[:find ?m :in $ ?a :where [?e :email ?m] (not [?e :age ?a])]", "[\"bob@x\"] [\"dan@x\"] [\"eve@x\"]");
    EXPECT(w, "[:find ?m :in $ ?a :where [?e :email ?m] (not-join [?e] [?e :age ?a] [(> ?a 30)])]",
           "[\"ann@x\"] [\"cid@x\"] [\"eve@x\"]");
    EXPECT_ERROR(w, "[:find ?m :where [?e :email ?m]]", RILLE_INPUT, "2");
    EXPECT_ERROR(w, "[:find ?m :in ?a $ :where [?e :email ?m]]", RILLE_INPUT, "input 1");
    world_add_table(w, 'c', "[\"Ann\" \"Dan\" \"Zoe\" \"Ann\"]");
    EXPECT(w, "[:find ?n ?m ?a :in $ ?a [?n ...] :where [?e :name ?n] [?e :email ?m]]",
           "[\"Ann\" \"ann@x\" 30] [\"Ann\" \"eve@x\" 30] [\"Dan\" \"dan@x\" 30]");
    EXPECT(w, "[:find ?n :in $ ?a [?n ...]]", "[\"Ann\"] [\"Dan\"] [\"Zoe\"]");
    world_add_table(w, 'r', "[[\"ann@x\" 1] [\"bob@x\" 2] [\"who\" 3]]");
    EXPECT(w, "[:find ?n ?x :in $ _ [_ ...] [[?m ?x]] :where [?e :email ?m] [?e :name ?n]]", "[\"Ann\" 1] [\"Bob\" 2]");
    EXPECT(w, "[:find ?n ?x :in $ ?a [?n ...] [[?m ?x]] :where [?e :email ?m] [?e :name ?n]]", "[\"Ann\" 1]");
    EXPECT(w, "[:find ?n ?x :in $ _ [_ ...] $rows :where [$rows ?m ?x] [?e :email ?m] [?e :name ?n]]",
           "[\"Ann\" 1] [\"Bob\" 2]");
    EXPECT(w, "[:find ?m :in $ _ [_ ...] $rows :where [$rows ?m 2]]", "[\"bob@x\"]");
    EXPECT(w, "[:find ?n ?x :in $ _ [_ ...] $rows :where [?e :name ?n] [?e :email ?m] [$rows ?m ?x] [(< ?x 2)]]",
           "[\"Ann\" 1]");
}

TEST(query__takes_inputs)
{
    in_all_modes(input_cases);
}

TEST(query__takes_entities_of_all_kinds_as_inputs)
{
    world w;
    world_init(&w);
    make_people(&w, 0, WORLD_BOTH);
    world_add_db(&w, 0);
    world_add_table(&w, 'c', "[[:email \"ann@x\"] [:email \"nobody\"]]");
    world_add_table(&w, 's', "[:email \"bob@x\"]");
    world_add_table(&w, 'c', "[:colour/red :colour/green]");
    EXPECT(&w, "[:find ?n :in $ [_ ...] ?e [_ ...] :where [?e :name ?n]]", "[\"Bob\"]");
    EXPECT(&w, "[:find ?n :in $ [_ ...] _ [?c ...] :where [?e :colour ?c] [?e :name ?n]]", "[\"Ann\"]");
    EXPECT(&w, "[:find ?i :in $ [_ ...] _ [?c ...] :where [?c :db/ident ?i]]", "[:colour/red]");
    world_deinit(&w);
}

TEST(query__joins_databases_of_different_stores)
{
    static const char *const stock[] = {
        "[{:db/ident :stock/mail :db/valueType :db.type/string :db/cardinality :db.cardinality/one}"
        " {:db/ident :stock/qty :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]",
        "[{:stock/mail \"ann@x\" :stock/qty 7} {:stock/mail \"cid@x\" :stock/qty 3} {:stock/mail \"zed@x\" :stock/qty "
        "1}]",
        "[{:stock/mail \"dan@x\" :stock/qty 30}]",
    };
    for (int mode = 0; mode < WORLD_MODES * WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_people(&w, 0, (world_mode)(mode % WORLD_MODES));
        world_make(&w, 1, (world_mode)(mode / WORLD_MODES), stock, 3);
        world_add_db(&w, 0);
        world_add_db(&w, 1);
        w.budget_us = mode % 2 == 0 ? 0 : 1;
        EXPECT(&w,
               "[:find ?n ?q :in $a $b :where [$b ?s :stock/mail ?m] [$b ?s :stock/qty ?q] [$a ?e :email ?m] "
               "[$a ?e :name ?n]]",
               "[\"Ann\" 7] [\"Cid\" 3] [\"Dan\" 30]");
        EXPECT(&w,
               "[:find ?n ?m :in $a $b :where [$a ?e :age ?q] [$a ?e :name ?n] [$b ?s :stock/qty ?q] "
               "[$b ?s :stock/mail ?m]]",
               "[\"Ann\" \"dan@x\"] [\"Cid\" \"dan@x\"]");
        EXPECT(&w, "[:find ?m :in $a $b :where [$a ?e :email ?m] (not [$b _ :stock/mail ?m])]",
               "[\"bob@x\"] [\"eve@x\"]");
        world_deinit(&w);
    }
}

TEST(query__gives_long_values_whole)
{
    enum { LONG = 3000 };
    static char text[3 * LONG];
    static char expected[3 * LONG];
    static char letters[LONG + 1];
    memset(letters, 'x', LONG);
    for (int mode = 0; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_people(&w, 0, (world_mode)mode);
        (void)snprintf(text, sizeof text, "[{:name \"%s\" :age 1 :alias \"%s\"}]", letters, letters);
        world_open(&w, 0, mode == WORLD_DEFERRED ? "deferred:" : "");
        world_transact(&w, 0, text);
        if (mode != WORLD_NOVELTY) {
            world_flush(&w, 0);
        }
        world_add_db(&w, 0);
        (void)snprintf(expected, sizeof expected, "[1 \"%s\"]", letters);
        EXPECT(&w, "[:find ?a ?n :where [?e :age ?a] [?e :name ?n] [(< ?a 5)]]", expected);
        EXPECT(&w, "[:find ?c :where [?e :name ?n] [?e :age 1] [(count ?n) ?c]]", "[3000]");
        EXPECT(&w, "[:find ?a :where [?e :name ?n] [?e :alias ?n] [?e :age ?a]]", "[1]");
        (void)snprintf(text, sizeof text, "\"%s\"", letters);
        world_add_table(&w, 's', text);
        EXPECT(&w, "[:find ?a :in $ ?n :where [?e :name ?n] [?e :age ?a]]", "[1]");
        (void)snprintf(text, sizeof text, "[\"%s\" \"b\"]", letters);
        world_add_table(&w, 'c', text);
        EXPECT(&w, "[:find ?a :in $ _ [?n ...] :where [?e :name ?n] [?e :age ?a]]", "[1]");
        EXPECT(&w, "[:find ?a :in $ _ [?n ...] :where [?e :age ?a] [?e :alias ?n]]", "[1]");
        world_deinit(&w);
    }
}

/* Rounds of fetching that a query takes on a slow store with an empty cache. */
static uint64_t count_rounds(world *w, const char *text)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    int rc;
    world_open(w, 0, "deferred:");
    world_inputs_clear(w);
    world_add_db(w, 0);
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &w->options, &op, &test_err), 0);
    while ((rc = ri_op_step(op, 0, &test_err)) != RILLE_DONE) {
        REQUIRE(rc == RILLE_NEED || rc == RILLE_ROWS);
        REQUIRE_RC(rc == RILLE_NEED ? ri_io_fetch(ri_op_io(op), &test_err) : 0, 0);
    }
    uint64_t rounds = ri_op_io(op)->fetch_count;
    ri_op_release(op);
    ri_query_release(query);
    return rounds;
}

TEST(query__fetches_what_it_needs_together)
{
    enum { SIZE = 1 << 21, COUNT = 20000 };
    char *text = calloc(SIZE, 1);
    size_t len = (size_t)snprintf(text, SIZE, "[");
    for (unsigned i = 0; i < COUNT; i++) {
        len +=
            (size_t)snprintf(text + len, SIZE - len, "{:age %u :score %u.5 :name \"name %u\"}", i % 400, i, i % 1000);
    }
    (void)snprintf(text + len, SIZE - len, "]");
    world w;
    world_init(&w);
    const char *texts[2] = { people[0], text };
    world_make(&w, 0, WORLD_TREES, texts, 2);
    free(text);
    CHECK(count_rounds(&w, "[:find ?e ?n :where [?e :age 7] [?e :name ?n]]") <= 8);    /* 50 leaves, sparse */
    CHECK(count_rounds(&w, "[:find ?e ?n :where [?e :score ?s] [?e :name ?n]]") <= 8); /* all leaves */
    CHECK(count_rounds(&w, "[:find ?e ?n :where [?e :age 7] [(get-else $ ?e :name \"\") ?n]]") <= 8);
    world_deinit(&w);
}

TEST(query__stops_when_told)
{
    world w;
    ri_table table;
    world_init(&w);
    make_people(&w, 0, WORLD_TREES);
    world_add_db(&w, 0);
    rille_query *query = NULL;
    rille_op *op = NULL;
    const char *text = "[:find ?a ?b ?c :where [?a :age ?x] [?b :age ?y] [?c :age ?z]]";
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w.inputs, w.input_count, &w.options, &op, &test_err), 0);
    ri_op_cancel(op);
    CHECK_RC(ri_op_step(op, 0, &test_err), RILLE_CANCELLED);
    CHECK_RC(ri_op_step(op, 0, &test_err), RILLE_CANCELLED);
    ri_op_release(op);
    w.options.memory_bytes = 1000;
    CHECK_RC(world_run(&w,
                       "[:find ?a ?b ?c ?d ?f :where [?a :age ?x] [?b :age ?y] [?c :age ?z] [?d :age _] [?f :age _]]",
                       &table, &test_err),
             RILLE_LIMIT);
    w.options.memory_bytes = 0;
    CHECK_RC(ri_query_run(query, w.inputs, w.input_count, &w.options, &table, &test_err), 0);
    CHECK_EQ_INT(table.count, 125);
    ri_table_deinit(&table);
    ri_query_release(query);
    world_deinit(&w);
}

/* ---- functions of the host ---- */

static bool knows_double_it(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "double-it") == 0 || strcmp(name, "is-odd") == 0;
}

static void answer(ri_call *call)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        ri_value v = call->args[0].vec != NULL ? ri_vec_get(call->args[0].vec, i) : call->args[0].value;
        bool twice = strcmp(call->name, "double-it") == 0;
        ri_value result = twice ? ri_long(v.as.i * 2) : ri_word(RI_BOOL, (uint64_t)(v.as.i & 1));
        if (twice && v.as.i == 50) {
            result = ri_nil();
        }
        ri_vec_set(call->out, i, &result);
    }
}

TEST(query__hands_calls_to_the_host)
{
    world w;
    ri_table out;
    world_init(&w);
    make_people(&w, 0, WORLD_BOTH);
    world_transact(&w, 0, "[{:email \"fay@x\" :age 31}]");
    world_add_db(&w, 0);
    w.options.has_function = knows_double_it;
    rille_query *query = NULL;
    rille_op *op = NULL;
    const char *text = "[:find ?m ?b :where [?e :age ?a] [?e :email ?m] [(double-it ?a) ?b] (not [(is-odd ?a)])]";
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w.inputs, w.input_count, &w.options, &op, &test_err), 0);
    REQUIRE_RC(ri_table_init(&out, 2, false, &test_err), 0);
    unsigned calls = 0;
    int rc;
    while ((rc = ri_op_step(op, 1, &test_err)) != RILLE_DONE && rc >= 0) {
        if (rc == RILLE_CALL) {
            calls++;
            answer(ri_op_call(op));
        } else if (rc == RILLE_ROWS) {
            REQUIRE_RC(world_collect(op, &out, &test_err), 0);
        }
    }
    CHECK_EQ_INT(rc, RILLE_DONE);
    CHECK(calls >= 2);
    char *got = world_text(&out, true);
    CHECK_EQ_STR(got, "[\"ann@x\" 60] [\"bob@x\" 80] [\"cid@x\" 60] [\"eve@x\" 40]");
    free(got);
    ri_op_release(op);
    ri_table_deinit(&out);
    CHECK_RC(ri_query_run(query, w.inputs, w.input_count, &w.options, &out, &test_err), RILLE_QUERY);
    ri_query_release(query);
    world_deinit(&w);
}

/* ---- faults ---- */

static const char *fault_query;

static int run_quietly(world *w)
{
    ri_table table;
    rille_err err = { 0 };
    int rc = world_run(w, fault_query, &table, &err);
    world_again_clear(w);
    if (rc == 0) {
        ri_table_deinit(&table);
    }
    return rc;
}

TEST(query__survives_every_failing_allocation)
{
    static const char *const queries[] = {
        "[:find ?n ?m :where [?e :friend ?f] [?e :email ?n] [?f :email ?m]]",
        "[:find ?s (count ?e) :where [?e :sex ?s] [?e :alias _]]",
        "[:find ?m ?x :where [?e :email ?m] (or-join [?e ?x] [?e :alias ?x] (and [?e :friend ?f] [?f :email ?x]))]",
        "[:find ?m ?o :where [?e :name ?n] [?f :name ?n] [?e :email ?m] [?f :email ?o] (not [?e :age 30])]",
        "[:find ?m ?s :where [?e :email ?m] [(get-else $ ?e :score 0.5) ?s] [(str ?m ?s) ?t] [(< ?t \"b\")]]",
    };
    world w;
    world_init(&w);
    make_people(&w, 0, WORLD_BOTH);
    world_add_db(&w, 0);
    world_make_sets(&w);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        fault_query = queries[i];
        CHECK_RC(run_quietly(&w), 0); /* nodes go into the cache once */
        TEST_FAULT_SWEEP(run_quietly(&w));
    }
    world_deinit(&w);
}

TEST_MAIN(query__finds_patterns, query__joins_patterns, query__calls_functions, query__knows_not_and_or,
          query__aggregates, query__orders_and_limits, query__takes_inputs,
          query__takes_entities_of_all_kinds_as_inputs, query__joins_databases_of_different_stores,
          query__gives_long_values_whole, query__fetches_what_it_needs_together, query__stops_when_told,
          query__hands_calls_to_the_host, query__survives_every_failing_allocation)
