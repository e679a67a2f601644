/* SPDX-License-Identifier: MIT
 *
 * Rules against answers worked out by hand, and closures of random graphs, written in all the usual ways, against a
 * matrix.
 */
#include "test_query_world.h"

static const char *const family[] = {
    "[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique "
    ":db.unique/identity}"
    " {:db/ident :parent :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]",
    "[{:db/id \"a\" :name \"a\" :age 1} {:db/id \"b\" :name \"b\" :age 2 :parent \"a\"} {:db/id \"c\" :name \"c\" "
    ":parent \"a\"}"
    " {:db/id \"d\" :name \"d\" :parent [\"b\" \"c\"]} {:db/id \"e\" :name \"e\" :age 5 :parent \"d\"}]",
    "[{:name \"f\" :parent {:name \"x\"}}]",
};

typedef void (*cases)(world *w);

static void in_all_modes(cases run)
{
    for (int mode = 0; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        world_make(&w, 0, (world_mode)mode, family, 3);
        for (int small = 0; small < 2; small++) {
            w.budget_us = (uint64_t)small;
            run(&w);
            world_inputs_clear(&w);
        }
        world_deinit(&w);
    }
}

static void with_rules(world *w, const char *rules)
{
    world_inputs_clear(w);
    world_add_db(w, 0);
    world_add_rules(w, rules);
}

static void family_cases(world *w)
{
    static const char *const forms[] = {
        "[[(anc ?x ?y) [?x :parent ?y]] [(anc ?x ?y) [?x :parent ?z] (anc ?z ?y)]]",
        "[[(anc ?x ?y) [?x :parent ?y]] [(anc ?x ?y) (anc ?x ?z) [?z :parent ?y]]]",
        "[[(anc ?x ?y) [?x :parent ?y]] [(anc ?x ?y) (anc ?x ?z) (anc ?z ?y)]]",
        "[[(anc ?x ?y) (or-join [?x ?y] [?x :parent ?y] (and [?x :parent ?z] (anc ?z ?y)))]]",
        "[[(anc ?x ?y) (or-join [?x ?y] [?x :parent ?y] (and (anc ?x ?z) [?z :parent ?y]))]]",
        "[[(par ?x ?y) [?x :parent ?y]] [(anc ?x ?y) (par ?x ?y)] [(anc ?x ?y) (par ?x ?z) (anc ?z ?y)]]",
        "[[(anc ?a ?b) [?a :parent ?b]] [(anc ?a ?b) (anc2 ?a ?b)] [(anc2 ?u ?v) [?u :parent ?w] (anc ?w ?v)]]",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        with_rules(w, forms[i]);
        EXPECT(w, "[:find ?n :in $ % :where [?e :name \"e\"] (anc ?e ?x) [?x :name ?n]]",
               "[\"a\"] [\"b\"] [\"c\"] [\"d\"]");
        EXPECT(w, "[:find ?n :in $ % :where (anc ?e ?x) [?e :name ?n] [?x :name \"a\"]]",
               "[\"b\"] [\"c\"] [\"d\"] [\"e\"]");
        EXPECT(w, "[:find ?n ?m :in $ % :where (anc ?e ?x) [?x :name ?n] [?e :name ?m]]",
               "[\"a\" \"b\"] [\"a\" \"c\"] [\"a\" \"d\"] [\"a\" \"e\"] [\"b\" \"d\"] [\"b\" \"e\"] [\"c\" \"d\"] "
               "[\"c\" \"e\"] "
               "[\"d\" \"e\"] [\"x\" \"f\"]");
        EXPECT(w, "[:find ?n :in $ % :where [?e :name \"e\"] [?x :name ?n] (anc ?e ?x) (not [?x :age 1])]",
               "[\"b\"] [\"c\"] [\"d\"]");
        EXPECT(w, "[:find ?n :in $ % :where [?e :name ?n] (not (anc ?e _))]", "[\"a\"] [\"x\"]");
        EXPECT(w,
               "[:find ?n :in $ % :where [?e :name ?n] (or-join [?e] [?e :age 1] (and (anc ?e ?x) [?x :name \"x\"]))]",
               "[\"a\"] [\"f\"]");
        EXPECT(w, "[:find ?n ?m :in $ % :where [?e :age 5] (anc ?e ?x) (anc ?x ?y) [?x :name ?n] [?y :name ?m]]",
               "[\"b\" \"a\"] [\"c\" \"a\"] [\"d\" \"a\"] [\"d\" \"b\"] [\"d\" \"c\"]");
        EXPECT(w, "[:find ?n :in $ % :where (anc ?e ?e) [?e :name ?n]]", "");
    }
}

TEST(rules__close_a_relation_however_they_are_written)
{
    in_all_modes(family_cases);
}

static void other_cases(world *w)
{
    with_rules(w, "[[(sg ?x ?y) [?x :parent ?p] [?y :parent ?p] [(!= ?x ?y)]]"
                  " [(sg ?x ?y) [?x :parent ?p] [?y :parent ?q] (sg ?p ?q)]]");
    EXPECT(w, "[:find ?n ?m :in $ % :where (sg ?x ?y) [?x :name ?n] [?y :name ?m]]",
           "[\"b\" \"c\"] [\"c\" \"b\"] [\"d\" \"d\"] [\"e\" \"e\"]");
    EXPECT(w, "[:find ?m :in $ % :where [?x :name \"d\"] (sg ?x ?y) [?y :name ?m]]", "[\"d\"]");
    with_rules(
        w, "[[(even ?x) [?x :name \"a\"]] [(even ?x) [?x :parent ?y] (odd ?y)] [(odd ?x) [?x :parent ?y] (even ?y)]]");
    EXPECT(w, "[:find ?n :in $ % :where (even ?x) [?x :name ?n]]", "[\"a\"] [\"d\"]");
    EXPECT(w, "[:find ?n :in $ % :where [?x :name ?n] (odd ?x)]", "[\"b\"] [\"c\"] [\"e\"]");
    with_rules(w,
               "[[(old ?x ?min) [?x :age ?a] [(>= ?a ?min)]] [(named ?x ?n) [?x :name ?n]] [(one ?x) (named ?x \"b\")]"
               " [(root ?x) [?x :name] (not [?x :parent])] [(far ?x) [?x :name] (not (root ?x))]]");
    EXPECT(w, "[:find ?n :in $ % :where (old ?x 2) [?x :name ?n]]", "[\"b\"] [\"e\"]");
    EXPECT(w, "[:find ?a :in $ % :where (one ?x) [?x :age ?a]]", "[2]");
    EXPECT(w, "[:find ?n :in $ % :where (far ?x) (named ?x ?n)]", "[\"b\"] [\"c\"] [\"d\"] [\"e\"] [\"f\"]");
    EXPECT(w, "[:find ?n :in $ % :where (root ?x) (named ?x ?n)]", "[\"a\"] [\"x\"]");
    EXPECT(w, "[:find ?x :in $ % :where (named ?x ?x)]", "");
    with_rules(w, "[[(upto ?n ?m) [(ground 0) ?m] [(>= ?n 0)]] [(upto ?n ?m) (upto ?n ?k) [(< ?k ?n)] [(inc ?k) ?m]]]");
    EXPECT(w, "[:find ?m :in $ % :where (upto 5 ?m)]", "[0] [1] [2] [3] [4] [5]");
    with_rules(w, "[[(down ?n ?m) [(identity ?n) ?m]] [(down ?n ?m) [(> ?n 0)] [(dec ?n) ?k] (down ?k ?m)]]");
    EXPECT(w, "[:find ?m :in $ % :where (down 4 ?m)]", "[0] [1] [2] [3] [4]");
    EXPECT(w, "[:find ?n ?m :in $ % :where [(ground [1 2]) [?n ...]] (down ?n ?m)]", "[1 0] [1 1] [2 0] [2 1] [2 2]");
}

TEST(rules__recur_mutually_negate_and_compute)
{
    in_all_modes(other_cases);
}

/* Two steps as one: branches that look like "step, then on" but say more are no closure of it. */
TEST(rules__close_no_step_that_knows_the_other_end)
{
    static const char *const steps[] = {
        "[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique "
        ":db.unique/identity}"
        " {:db/ident :e :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}"
        " {:db/ident :f :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]",
        "[{:db/id \"a\" :name \"a\" :e \"m\"} {:db/id \"m\" :name \"m\" :f \"b\"}"
        " {:db/id \"b\" :name \"b\" :e \"n\"} {:db/id \"n\" :name \"n\" :f \"c\"} {:db/id \"c\" :name \"c\"}]",
    };
    static const struct {
        const char *branch;
        const char *from_a;
        const char *to_c;
    } forms[] = {
        { "[?x :e ?w] [?w :f ?z] (r ?z ?y)", "[2]", "[2]" },
        { "(r ?x ?z) [?z :e ?w] [?w :f ?y]", "[2]", "[2]" },
        { "[?x :e ?y] [?y :f ?z] (r ?z ?y)", "[1]", "[1]" },
        { "(r ?x ?z) [?z :e ?x] [?x :f ?y]", "[1]", "[1]" },
    };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, steps, 2);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char rules[256];
        (void)snprintf(rules, sizeof rules, "[[(r ?x ?y) [?x :e ?m] [?m :f ?y]] [(r ?x ?y) %s]]", forms[i].branch);
        with_rules(&w, rules);
        EXPECT(&w, "[:find (count ?x) :in $ % :where [?a :name \"a\"] (r ?a ?x)]", forms[i].from_a);
        EXPECT(&w, "[:find (count ?x) :in $ % :where [?c :name \"c\"] (r ?x ?c)]", forms[i].to_c);
    }
    world_deinit(&w);
}

/* Each is bound in turn, and nothing but the calls tells which. */
static void parameter_cases(world *w)
{
    with_rules(w, "[[(same ?x ?x) [_ :age ?x]]"
                  " [(three ?x ?y ?x) [?e :age ?x] [?e :name ?y]]"
                  " [(is ?x ?x) [(>= ?x 2)]] [(must [?x] ?x) [?e :age ?x]]"
                  " [(or-age ?x ?unused) [?e :age ?x]] [(or-age ?x ?y) [?e :age ?y] [(identity 100) ?x]]"
                  " [(none ?x ?u) [?x :parent ?y] (not [?y :age])] [(none ?x ?u) [?x :parent ?y] (none ?y ?u)]"
                  " [(tail ?x ?u ?y) [?x :parent ?y]] [(tail ?x ?u ?y) [?x :parent ?z] (tail ?z ?u ?y)]"
                  " [(loop ?x ?x) [?x :name]] [(loop ?x ?y) [?x :parent ?z] (loop ?z ?y)]"
                  " [(left ?x ?x) [?x :name]] [(left ?x ?y) (left ?x ?z) [?z :parent ?y]]"
                  " [(all ?x ?y) [?e :age ?x]] [(all ?x ?x) [(> ?x 3)]]]");
    EXPECT(w, "[:find ?a ?b :in $ % :where (same ?a ?b)]", "[1 1] [2 2] [5 5]");
    EXPECT(w, "[:find ?a :in $ % :where (same ?a ?a)]", "[1] [2] [5]");
    EXPECT(w, "[:find ?a :in $ % :where (same ?a 2)]", "[2]");
    EXPECT(w, "[:find ?a :in $ % :where (same 2 ?a)]", "[2]");
    EXPECT(w, "[:find ?a :in $ % :where (same 2 3) [?e :age ?a]]", "");
    EXPECT(w, "[:find ?a ?b :in $ % :where [?e :age ?a] [(+ ?a 3) ?b] (same ?a ?b)]", "");
    EXPECT(w, "[:find ?a ?b :in $ % :where [?e :age ?a] [(ground [1 5 7]) [?b ...]] (same ?a ?b)]", "[1 1] [5 5]");
    EXPECT(w, "[:find ?a ?n ?b :in $ % :where (three ?a ?n ?b)]", "[1 \"a\" 1] [2 \"b\" 2] [5 \"e\" 5]");
    EXPECT(w, "[:find ?n :in $ % :where (three _ ?n 2)]", "[\"b\"]");
    EXPECT(w, "[:find ?b :in $ % :where [?e :age ?a] (is ?a ?b)]", "[2] [5]");
    EXPECT(w, "[:find ?b :in $ % :where [?e :age ?a] (is ?b ?a)]", "[2] [5]");
    EXPECT(w, "[:find ?b :in $ % :where (is ?b 3)]", "[3]");
    EXPECT(w, "[:find ?b :in $ % :where (is _ 3) [?e :age ?b]]", "[1] [2] [5]");
    EXPECT(w, "[:find ?b :in $ % :where [?e :age ?a] (must ?a ?b)]", "[1] [2] [5]");
    EXPECT(w, "[:find ?x :in $ % :where (or-age ?x 5)]", "[100] [1] [2] [5]");
    EXPECT(w, "[:find ?x :in $ % :where (or-age ?x 7)]", "[1] [2] [5]");
    EXPECT(w, "[:find ?n ?u :in $ % :where [(ground [:k \"s\"]) [?u ...]] (none ?x ?u) [?x :name ?n]]",
           "[\"d\" \"s\"] [\"d\" :k] [\"e\" \"s\"] [\"e\" :k] [\"f\" \"s\"] [\"f\" :k]");
    EXPECT(w, "[:find ?m :in $ % :where [?e :name \"e\"] (tail ?e 1 ?y) [?y :name ?m]]",
           "[\"a\"] [\"b\"] [\"c\"] [\"d\"]");
    EXPECT(w, "[:find ?n :in $ % :where (tail ?x 1 ?y) [?y :age 1] [?x :name ?n]]", "[\"b\"] [\"c\"] [\"d\"] [\"e\"]");
    EXPECT(w, "[:find ?m :in $ % :where [?e :name \"d\"] (loop ?e ?y) [?y :name ?m]]",
           "[\"a\"] [\"b\"] [\"c\"] [\"d\"]");
    EXPECT(w, "[:find ?m :in $ % :where [?e :name \"d\"] (loop ?y ?e) [?y :name ?m]]", "[\"d\"] [\"e\"]");
    EXPECT(w, "[:find ?m :in $ % :where [?e :name \"d\"] (left ?e ?y) [?y :name ?m]]",
           "[\"a\"] [\"b\"] [\"c\"] [\"d\"]");
    EXPECT(w, "[:find (count ?m) :in $ % :where (left ?x ?y) [?x :name ?m] [?y :name]]", "[7]");
    EXPECT(w, "[:find ?x ?y :in $ % :where [(ground [4 5]) [?y ...]] [(ground [4 5]) [?x ...]] (all ?x ?y)]",
           "[4 4] [5 4] [5 5]");
    /* a parameter that nothing binds */
    EXPECT_ERROR(w, "[:find ?x :in $ % :where (or-age ?x ?y)]", RILLE_QUERY, "(or-age ?x ?y) needs variable ?y");
    EXPECT_ERROR(w, "[:find ?x :in $ % :where (or-age ?x _)]", RILLE_QUERY, "argument 2 must not be _");
    EXPECT_ERROR(w, "[:find ?x :in $ % :where (is ?x ?y)]", RILLE_QUERY, "(is ?x ?y) needs variable ?x");
    EXPECT_ERROR(w, "[:find ?x :in $ % :where (must ?x 5)]", RILLE_QUERY, "(must ?x 5) needs variable ?x");
}

TEST(rules__take_unused_and_repeated_parameters)
{
    in_all_modes(parameter_cases);
}

TEST(rules__refuse_what_rests_on_its_own_negation)
{
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, family, 3);
    with_rules(&w, "[[(p ?x) [?x :name] (not (q ?x))] [(q ?x) [?x :name] (p ?x)]]");
    EXPECT_ERROR(&w, "[:find ?x :in $ % :where (p ?x)]", RILLE_QUERY, "recursion through not");
    world_deinit(&w);
}

/* Rules of one ring, each of which calls the next; `last` is the body of the last one. */
static void put_ring(ri_buf *out, unsigned count, const char *last)
{
    char rule[96];
    ri_buf_clear(out);
    ri_buf_put_text(out, "[[(r0 ?x) [?x :parent _]]");
    for (unsigned i = 0; i + 1 < count; i++) {
        (void)snprintf(rule, sizeof rule, " [(r%u ?x) [?x :name] (r%u ?x)]", i, i + 1);
        ri_buf_put_text(out, rule);
    }
    (void)snprintf(rule, sizeof rule, " [(r%u ?x) %s]]", count - 1, last);
    ri_buf_put(out, rule, strlen(rule) + 1);
}

TEST(rules__are_many_of_one_group)
{
    world w;
    ri_buf rules = { 0 };
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, family, 3);
    for (unsigned count = 60; count < 140; count += 3) {
        put_ring(&rules, count, "[?x :name] (r0 ?x)");
        with_rules(&w, (const char *)rules.p);
        EXPECT(&w, "[:find ?n :in $ % :where (r7 ?x) [?x :name ?n]]", "[\"b\"] [\"c\"] [\"d\"] [\"e\"] [\"f\"]");
        put_ring(&rules, count, "[?x :name] (not (r0 ?x))");
        with_rules(&w, (const char *)rules.p);
        EXPECT_ERROR(&w, "[:find ?x :in $ % :where (r7 ?x)]", RILLE_QUERY, "recursion through not");
        put_ring(&rules, count, "[?x :name] (not [?x :parent _])"); /* no ring */
        with_rules(&w, (const char *)rules.p);
        EXPECT(&w, "[:find ?n :in $ % :where (r7 ?x) [?x :name ?n]]", "[\"a\"] [\"x\"]");
    }
    ri_buf_deinit(&rules);
    world_deinit(&w);
}

TEST(rules__run_on_the_source_they_are_called_with)
{
    static const char *const other[] = {
        "[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique "
        ":db.unique/identity}"
        " {:db/ident :parent :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]",
        "[{:db/id \"e\" :name \"e\" :parent \"z\"} {:db/id \"z\" :name \"z\"}]",
    };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, family, 3);
    world_make(&w, 1, WORLD_DEFERRED, other, 2);
    world_add_db(&w, 0);
    world_add_db(&w, 1);
    world_add_rules(&w, "[[(anc ?n ?m) [?x :name ?n] [?x :parent ?y] [?y :name ?m]]"
                        " [(anc ?n ?m) [?x :name ?n] [?x :parent ?y] [?y :name ?k] (anc ?k ?m)]]");
    EXPECT(&w, "[:find ?m :in $ $b % :where (anc \"e\" ?m)]", "[\"a\"] [\"b\"] [\"c\"] [\"d\"]");
    EXPECT(&w, "[:find ?m :in $ $b % :where ($b anc \"e\" ?m)]", "[\"z\"]");
    EXPECT(&w, "[:find ?m :in $a $b % :where ($b anc \"e\" ?m)]", "[\"z\"]");
    EXPECT(&w, "[:find ?m :in $ $b % :where (or ($b anc \"e\" ?m) (anc \"d\" ?m))]", "[\"a\"] [\"b\"] [\"c\"] [\"z\"]");
    world_deinit(&w);
}

/* ---- random graphs ---- */

#define NODES 40

typedef struct graph {
    bool edge[NODES][NODES];
    bool path[NODES][NODES];
} graph;

static void make_graph(test_rng *rng, graph *g, unsigned edges)
{
    memset(g, 0, sizeof *g);
    for (unsigned i = 0; i < edges; i++) {
        uint64_t from = test_random_below(rng, NODES);
        uint64_t to = test_random_below(rng, NODES);
        g->edge[from][to] = true;
    }
    memcpy(g->path, g->edge, sizeof g->path);
    for (unsigned k = 0; k < NODES; k++) {
        for (unsigned i = 0; i < NODES; i++) {
            for (unsigned j = 0; j < NODES; j++) {
                g->path[i][j] |= g->path[i][k] && g->path[k][j];
            }
        }
    }
}

static void store_graph(world *w, const graph *g, world_mode mode)
{
    static char text[2][1 << 16];
    size_t len[2] = { 0, 0 };
    const char *texts[4] = { family[0], text[0], text[1] };
    for (int half = 0; half < 2; half++) {
        len[half] = (size_t)snprintf(text[half], sizeof text[half], "[");
        for (unsigned i = (unsigned)half; i < NODES; i += 2) {
            len[half] += (size_t)snprintf(text[half] + len[half], sizeof text[half] - len[half],
                                          "{:db/id \"n%u\" :name \"%u\" :age %u}", i, i, i);
            for (unsigned j = 0; j < NODES; j++) {
                bool same_half = j % 2 == (unsigned)half;
                if (g->edge[i][j] && same_half) {
                    len[half] += (size_t)snprintf(text[half] + len[half], sizeof text[half] - len[half],
                                                  "[:db/add \"n%u\" :parent \"n%u\"]", i, j);
                }
            }
        }
        for (unsigned i = 0; half == 1 && i < NODES; i++) {
            for (unsigned j = 0; j < NODES; j++) {
                if (g->edge[i][j] && i % 2 != j % 2) {
                    char from[32];
                    char to[32];
                    (void)snprintf(from, sizeof from, i % 2 == 1 ? "\"n%u\"" : "[:name \"%u\"]", i);
                    (void)snprintf(to, sizeof to, j % 2 == 1 ? "\"n%u\"" : "[:name \"%u\"]", j);
                    len[half] += (size_t)snprintf(text[half] + len[half], sizeof text[half] - len[half],
                                                  "[:db/add %s :parent %s]", from, to);
                }
            }
        }
        (void)snprintf(text[half] + len[half], sizeof text[half] - len[half], "]");
    }
    world_make(w, 0, mode, texts, 3);
}

/* The pairs the rows name, as a matrix; false when a pair comes twice. */
static bool read_pairs(const ri_table *table, bool got[NODES][NODES])
{
    memset(got, 0, sizeof(bool) * NODES * NODES);
    for (uint32_t r = 0; r < table->count; r++) {
        ri_value a = ri_column_get(&table->cols[0], r);
        ri_value b = ri_column_get(&table->cols[1], r);
        if (a.as.u >= NODES || b.as.u >= NODES || got[a.as.u][b.as.u]) {
            return false;
        }
        got[a.as.u][b.as.u] = true;
    }
    return true;
}

static void check_closure(world *w, const graph *g, const char *rules, int from, int to)
{
    char text[256];
    char a[32];
    char b[32];
    ri_table table;
    bool got[NODES][NODES];
    with_rules(w, rules);
    (void)snprintf(a, sizeof a, from >= 0 ? "[?x :age %d]" : " ", from);
    (void)snprintf(b, sizeof b, to >= 0 ? "[?y :age %d]" : " ", to);
    (void)snprintf(text, sizeof text, "[:find ?a ?b :in $ %% :where %s %s (tc ?x ?y) [?x :age ?a] [?y :age ?b]]", a, b);
    REQUIRE_RC(world_run(w, text, &table, &test_err), 0);
    CHECK(read_pairs(&table, got));
    ri_table_deinit(&table);
    unsigned wrong = 0;
    for (int i = 0; i < NODES; i++) {
        for (int j = 0; j < NODES; j++) {
            bool wanted = g->path[i][j] && (from < 0 || from == i) && (to < 0 || to == j);
            wrong += wanted != got[i][j];
        }
    }
    if (wrong > 0) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%u pairs wrong from %d to %d: %s\n", wrong, from, to, rules);
    }
}

TEST(rules__give_the_closure_of_random_graphs)
{
    static const char *const forms[] = {
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) [?x :parent ?z] (tc ?z ?y)]]",
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) (tc ?x ?z) [?z :parent ?y]]]",
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) (tc ?x ?z) (tc ?z ?y)]]",
        "[[(tc ?x ?y) (or-join [?x ?y] [?x :parent ?y] (and (tc ?x ?z) (or [?z :parent ?y] (tc ?z ?y))))]]",
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) [?x :parent ?z] (ct ?z ?y)] [(ct ?x ?y) (tc ?x ?y)]]",
        ("[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) [?z :parent ?y] (tc ?x ?z)] [(tc ?u ?v) [?u :parent ?z] (tc ?z "
         "?v)]]"),
    };
    test_rng rng = test_rng_new();
    for (unsigned round = 0; round < 12; round++) {
        graph g;
        world w;
        world_init(&w);
        make_graph(&rng, &g, 10 + (unsigned)test_random_below(&rng, 90));
        store_graph(&w, &g, (world_mode)(round % WORLD_MODES));
        w.budget_us = round % 3 == 0 ? 1 : 0;
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            int from = (int)test_random_below(&rng, NODES);
            int to = (int)test_random_below(&rng, NODES);
            check_closure(&w, &g, forms[i], -1, -1);
            check_closure(&w, &g, forms[i], from, -1);
            check_closure(&w, &g, forms[i], -1, to);
            check_closure(&w, &g, forms[i], from, to);
        }
        world_deinit(&w);
    }
}

/* ---- a graph of many batches ---- */

enum { BIG = 5000, BIG_EDGES = 14000 };
static unsigned big_edges[BIG_EDGES][2];

static void make_big(test_rng *rng, world *w, world_mode mode)
{
    enum { SIZE = 1 << 20 };
    char *text = calloc(SIZE, 1);
    const char *texts[2] = { family[0], text };
    size_t len = (size_t)snprintf(text, SIZE, "[");
    for (unsigned i = 0; i < BIG; i++) {
        len += (size_t)snprintf(text + len, SIZE - len, "{:db/id \"n%u\" :age %u}", i, i);
    }
    for (unsigned i = 0; i < BIG_EDGES; i++) {
        big_edges[i][0] = (unsigned)test_random_below(rng, BIG);
        big_edges[i][1] = (unsigned)test_random_below(rng, i % 3 == 0 ? BIG : 50);
        len += (size_t)snprintf(text + len, SIZE - len, "[:db/add \"n%u\" :parent \"n%u\"]", big_edges[i][0],
                                big_edges[i][1]);
    }
    (void)snprintf(text + len, SIZE - len, "]");
    world_make(w, 0, mode, texts, 2);
    free(text);
}

static uint32_t count_reached(unsigned from, bool back)
{
    static bool reached[BIG];
    uint32_t count = 0;
    memset(reached, 0, sizeof reached);
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < BIG_EDGES; i++) {
            unsigned a = big_edges[i][back ? 1 : 0];
            unsigned b = big_edges[i][back ? 0 : 1];
            if ((a == from || reached[a]) && !reached[b]) {
                reached[b] = true;
                again = true;
                count++;
            }
        }
    }
    return count;
}

static uint32_t count_rows(world *w, const char *text)
{
    ri_table table;
    REQUIRE_RC(world_run(w, text, &table, &test_err), 0);
    uint32_t count = table.count;
    ri_table_deinit(&table);
    return count;
}

static void check_big(world *w, unsigned from, bool back)
{
    char text[160];
    (void)snprintf(text, sizeof text, "[:find ?%c :in $ %% :where [?%c :age %u] (tc ?x ?y)]", back ? 'x' : 'y',
                   back ? 'y' : 'x', from);
    CHECK_EQ_INT(count_rows(w, text), count_reached(from, back));
    (void)snprintf(text, sizeof text,
                   "[:find ?x ?y :in $ %% :where [(ground [%u 4007 %u]) [?a ...]] [?%c :age ?a] (tc ?x ?y)]", from,
                   100 + from, back ? 'y' : 'x');
    CHECK_EQ_INT(count_rows(w, text),
                 count_reached(from, back) + count_reached(100 + from, back) + count_reached(4007, back));
}

TEST(rules__close_a_graph_of_many_batches)
{
    static const char *const forms[] = {
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) [?x :parent ?z] (tc ?z ?y)]]",
        "[[(tc ?x ?y) [?x :parent ?y]] [(tc ?x ?y) (tc ?x ?z) [?z :parent ?y]]]",
        "[[(tc ?x ?y) (tc ?x ?z) (tc ?z ?y)] [(tc ?a ?b) [?a :parent ?b]]]",
        "[[(tc ?x ?y) (step ?x ?y)] [(tc ?x ?y) (step ?x ?z) (tc ?z ?y)] [(step ?x ?y) [?x :parent ?y]]]",
        "[[(tc ?x ?y) (step ?x ?y)] [(tc ?x ?y) (tc ?x ?z) (step ?z ?y)] [(step ?x ?y) [?x :parent ?y]]]",
    };
    test_rng rng = test_rng_new();
    world w;
    world_init(&w);
    make_big(&rng, &w, WORLD_TREES);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        with_rules(&w, forms[i]);
        check_big(&w, (unsigned)test_random_below(&rng, 40), false);
        check_big(&w, (unsigned)test_random_below(&rng, 40), true);
    }
    world_deinit(&w);
}

static const char *fault_rules;

static int closure_quietly(world *w)
{
    ri_table table;
    rille_err err = { 0 };
    int rc = world_run(w, "[:find ?n :in $ % :where [?e :name \"e\"] (anc ?e ?x) [?x :name ?n]]", &table, &err);
    if (rc == 0) {
        ri_table_deinit(&table);
    }
    return rc;
}

TEST(rules__survive_every_failing_allocation)
{
    static const char *const forms[] = {
        "[[(anc ?x ?y) [?x :parent ?y]] [(anc ?x ?y) [?x :parent ?z] (anc ?z ?y)]]",
        "[[(anc ?x ?y) (or-join [?x ?y] [?x :parent ?y] (and (anc ?x ?z) (anc ?z ?y)))]]",
    };
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_BOTH, family, 3);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        fault_rules = forms[i];
        with_rules(&w, fault_rules);
        world_make_sets(&w);
        CHECK_RC(closure_quietly(&w), 0);
        TEST_FAULT_SWEEP(closure_quietly(&w));
    }
    world_deinit(&w);
}

TEST_MAIN(rules__close_a_relation_however_they_are_written, rules__recur_mutually_negate_and_compute,
          rules__close_no_step_that_knows_the_other_end, rules__take_unused_and_repeated_parameters,
          rules__refuse_what_rests_on_its_own_negation, rules__are_many_of_one_group,
          rules__run_on_the_source_they_are_called_with, rules__give_the_closure_of_random_graphs,
          rules__close_a_graph_of_many_batches, rules__survive_every_failing_allocation)
