/* SPDX-License-Identifier: MIT
 *
 * Joins on databases with all kinds of skew, and of inputs, rules and rows (test_query_joins.h).
 */
#include "test_query_joins.h"

typedef enum shape { CHAIN, STAR, CYCLE, TREE, SHAPES } shape;

static void add_clause(join *j, const char *format, unsigned a, const char *attr, unsigned b)
{
    (void)snprintf(j->clauses[j->count++], sizeof j->clauses[0], format, a, attr, b);
}

static void add_link(join *j, test_rng *rng, unsigned a, unsigned b)
{
    static const char *const refs[] = { "one", "one", "many" };
    bool back = test_random_below(rng, 3) == 0;
    add_clause(j, "[?v%u :%s ?v%u]", back ? b : a, refs[test_random_below(rng, 3)], back ? a : b);
}

/* A condition on a variable, or one more attribute of it. */
static void add_detail(join *j, test_rng *rng, unsigned a)
{
    unsigned n = (unsigned)test_random_below(rng, 7);
    switch (test_random_below(rng, 6)) {
    case 0:
        add_clause(j, "[?v%u :%s %u]", a, "n", n);
        break;
    case 1:
        add_clause(j, "[?v%u :%s %u]", a, "rare", n);
        break;
    case 2:
        add_clause(j, "[?v%u :%s \"s%u\"]", a, "s", n);
        break;
    case 3:
        add_clause(j, "[?v%u :%s %u]", a, "id", n * n);
        break;
    case 4:
        add_clause(j, "[?v%u :%s ?n%u]", a, "n", n % 3);
        break;
    default:
        add_clause(j, "[?v%u :%s ?i%u]", a, "id", 10 * a + n);
        break;
    }
}

static void make_join(join *j, test_rng *rng, shape how, unsigned patterns)
{
    unsigned links = patterns > 2 ? patterns / 2 : 1;
    *j = (join){ .count = 0 };
    for (unsigned i = 0; i < links; i++) {
        unsigned from = how == STAR ? 0 : how == TREE ? (unsigned)test_random_below(rng, i + 1) : i;
        add_link(j, rng, from, how == CYCLE && i > 1 && i + 1 == links ? 0 : i + 1);
    }
    while (j->count < patterns) {
        add_detail(j, rng, (unsigned)test_random_below(rng, how == CYCLE && links > 2 ? links : links + 1));
    }
}

static unsigned rounds(void)
{
    const char *text = getenv("RILLE_JOIN_ROUNDS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1;
}

TEST(joins__are_little_work_in_any_order)
{
    test_rng rng = test_rng_new();
    for (skew how = UNIFORM; how < SKEWS; how++) {
        for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
            world w;
            world_init(&w);
            make_graph(&w, mode, how, &rng);
            for (unsigned i = 0; i < rounds() * SHAPES; i++) {
                for (unsigned patterns = 2; patterns <= PATTERNS_MAX; patterns++) {
                    join j;
                    make_join(&j, &rng, (shape)(i % SHAPES), patterns);
                    check_join(&w, &j, &rng);
                }
            }
            world_deinit(&w);
        }
    }
}

/* Kinds of joins that were planned badly: of two patterns that leave as many rows, one is the better one, as others can
 * follow it; and two conditions on an entity leave no more of them than the rarer one. */
TEST(joins__of_two_equal_patterns_begin_with_that_which_others_follow)
{
    static const join joins[] = {
        { { "[?v2 :s \"s2\"]", "[?v1 :rare 0]", "[?v2 :many ?v1]", "[?v0 :many ?v1]" }, 4, NULL },
        { { "[?v2 :s \"s5\"]", "[?v1 :rare 0]", "[?v2 :many ?v1]", "[?v0 :many ?v1]" }, 4, NULL },
        { { "[?v0 :id 4]", "[?v2 :one ?v0]", "[?v2 :n ?n2]", "[?v1 :one ?v0]" }, 4, NULL },
        { { "[?v0 :id 0]", "[?v1 :one ?v0]", "[?v2 :n ?n2]", "[?v2 :one ?v0]" }, 4, NULL },
        { { "[?v1 :n 0]", "[?v0 :many ?v1]", "[?v1 :s \"s4\"]" }, 3, NULL },
        { { "[?v1 :n 1]", "[?v0 :many ?v1]", "[?v1 :s \"s8\"]" }, 3, NULL },
    };
    test_rng rng = { 20261130 };
    for (unsigned i = 0; i < SKEWS; i++) {
        world w;
        world_init(&w);
        make_graph(&w, WORLD_TREES, (skew)i, &rng);
        for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
            check_join(&w, &joins[j], &rng);
        }
        world_deinit(&w);
    }
}

/* ---- hubs ---- */

#define FANS 3000U

/* One entity that FANS others refer to, and FANS entities that one other refers to. */
static void make_hub(world *w, world_mode mode)
{
    static char text[FANS * 160];
    const char *texts[] = { "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                            " {:db/ident :n :db/valueType :db.type/long}"
                            " {:db/ident :one :db/valueType :db.type/ref}]",
                            "[{:id 0}]", text };
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = 1; i <= FANS; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "{:db/id \"e%u\" :id %u :one [:id 0] :n %u} {:id %u :one \"e%u\" :n %u}", i, i, i % 300,
                                FANS + i, i, i % 300);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_make(w, 0, mode, texts, 3);
    world_add_db(w, 0);
}

TEST(joins__with_a_hub_are_not_planned_as_those_with_others)
{
    static const join joins[] = {
        { { "[?v1 :id 0]", "[?v0 :one ?v1]", "[?v0 :n 7]" }, 3, NULL },
        { { "[?v1 :id 5]", "[?v0 :one ?v1]", "[?v0 :n 7]" }, 3, NULL },
        { { "[?v1 :id 0]", "[?v0 :one ?v1]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, NULL },
        { { "[?v1 :id 9]", "[?v0 :one ?v1]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, NULL },
        { { "[?v1 :id 7]", "[?v1 :one ?v0]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, NULL },
        { { "[?v1 :id 3007]", "[?v1 :one ?v0]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, NULL },
    };
    test_rng rng = test_rng_new();
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
        world w;
        world_init(&w);
        make_hub(&w, mode);
        for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
            check_join(&w, &joins[j], &rng);
        }
        world_deinit(&w);
    }
}

static const char *const hot_and_rare[] = { "[0 -1]", "[5 6]", "[7 0]", "[-1 8]", "[11 12 13 14 15 16 17 18]" };
#define HOT_AND_RARE (sizeof hot_and_rare / sizeof *hot_and_rare)

TEST(joins__are_planned_for_the_values_of_inputs)
{
    static const join joins[] = {
        { { "[?v1 :id ?i]", "[?v0 :one ?v1]", "[?v0 :n 7]" }, 3, "[?i ...]" },
        { { "[?v1 :id ?i]", "[?v0 :one ?v1]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, "[?i ...]" },
        { { "[?v1 :id ?i]", "[?v0 :one ?v1]", "[?v2 :one ?v1]", "[?v2 :n 7]" }, 4, "[?i ...]" },
        { { "[?v1 :id ?i]", "[?v1 :one ?v0]", "[?v2 :one ?v0]", "[?v2 :n 7]" }, 4, "[?i ...]" },
        { { "[?v1 :id ?i]", "[?v1 :one ?v0]", "[?v2 :one ?v0]", "[?v3 :one ?v2]", "[?v3 :n 7]" }, 5, "[?i ...]" },
    };
    test_rng rng = test_rng_new();
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
        world w;
        world_init(&w);
        make_hub(&w, mode);
        for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
            for (size_t i = 0; i < HOT_AND_RARE; i++) {
                world_inputs_clear(&w);
                world_add_db(&w, 0);
                world_add_table(&w, 'c', hot_and_rare[i]);
                check_join(&w, &joins[j], &rng);
            }
        }
        world_deinit(&w);
    }
}

static uint64_t run_rows(rille_op *op)
{
    int rc;
    while ((rc = ri_op_step(op, 0, &test_err)) == RILLE_ROWS) {
    }
    CHECK_RC(rc, RILLE_DONE);
    return rows_of(op);
}

/* A query that keeps its plan does not keep it for values that it is bad for. */
TEST(joins__are_planned_again_where_values_differ)
{
    static const char text[] = "[:find (count ?x) . :in $ [?i ...] :where [?h :id ?i] [?x :one ?h] [?x :n 7]]";
    world w;
    rille_query *query = NULL;
    rille_op *kept = NULL;
    world_init(&w);
    make_hub(&w, WORLD_TREES);
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    for (size_t i = 0; i < 3 * HOT_AND_RARE; i++) {
        rille_op *fresh = NULL;
        bool fits = false;
        world_inputs_clear(&w);
        world_add_db(&w, 0);
        world_add_table(&w, 'c', hot_and_rare[i * 7 % HOT_AND_RARE]);
        REQUIRE_RC(ri_op_new(query, w.inputs, w.input_count, &w.options, &fresh, &test_err), 0);
        uint64_t rows = run_rows(fresh);
        if (kept != NULL) {
            ri_op_again(kept, query, w.inputs, w.input_count, &w.options, &fits);
            CHECK(fits);
            CHECK(run_rows(kept) <= 2 * rows + FEW);
            ri_op_release(fresh);
        } else {
            kept = fresh;
        }
        CHECK(ri_op_rest(kept));
    }
    ri_op_release(kept);
    ri_query_release(query);
    world_deinit(&w);
}

/* ---- data that becomes skewed ---- */

/* Runs the kept operation and a new one: the same answer, about the same work. Returns how often it was planned. */
static unsigned run_beside(world *w, rille_query *query, rille_op *kept, uint64_t *rows)
{
    rille_op *fresh = NULL;
    bool fits = false;
    int64_t answers[2] = { 0, 0 };
    world_inputs_clear(w);
    world_add_db(w, 0);
    world_add_table(w, 's', "5");
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &w->options, &fresh, &test_err), 0);
    ri_op_again(kept, query, w->inputs, w->input_count, &w->options, &fits);
    CHECK(fits);
    rille_op *ops[2] = { kept, fresh };
    for (unsigned i = 0; i < 2; i++) {
        int rc;
        while ((rc = ri_op_step(ops[i], 0, &test_err)) == RILLE_ROWS) {
            uint32_t count;
            answers[i] = ri_vec_get(ri_op_rows(ops[i], &count), 0).as.i;
        }
        CHECK_RC(rc, RILLE_DONE);
    }
    CHECK_EQ_INT(answers[0], answers[1]);
    *rows = rows_of(kept);
    uint64_t best = rows_of(fresh);
    bool planned = !kept->again;
    CHECK(ri_op_rest(kept));
    ri_op_release(fresh);
    CHECK(*rows <= 2 * best + FEW || !planned);
    return planned;
}

/* FANS entities, each referred to by one; then as many more, which all refer to one of them, or those that there are do. */
static void add_pairs(world *w, bool first, bool moves)
{
    static char text[FANS * 160];
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = 1; i <= FANS; i++) {
        unsigned id = FANS * (first || moves ? 1 : 2) + i;
        if (first) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "{:db/id \"e%u\" :id %u :n %u} {:id %u :one \"e%u\" :n %u}", i, i, i % 300, id, i,
                                    i % 300);
        } else {
            len += (size_t)snprintf(text + len, sizeof text - len, "{:id %u :one [:id 5] :n %u}", id, i % 300);
        }
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_transact(w, 0, text);
}

TEST(joins__are_planned_again_when_data_becomes_skewed)
{
    static const char text[] = "[:find (count ?x) . :in $ ?i :where [?h :id ?i] [?x :one ?h] [?x :n 7]]";
    for (unsigned moves = 0; moves < 2; moves++) {
        world w;
        rille_query *query = NULL;
        rille_op *kept = NULL;
        uint64_t rows = 0;
        unsigned planned = 0;
        world_init(&w);
        world_open(&w, 0, "");
        world_transact(&w, 0,
                       "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                       " {:db/ident :n :db/valueType :db.type/long}"
                       " {:db/ident :one :db/valueType :db.type/ref}]");
        add_pairs(&w, true, false);
        world_add_db(&w, 0);
        world_add_table(&w, 's', "5");
        REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
        REQUIRE_RC(ri_op_new(query, w.inputs, w.input_count, &w.options, &kept, &test_err), 0);
        (void)run_rows(kept);
        CHECK(ri_op_rest(kept));
        for (unsigned i = 0; i < 20; i++) { /* small changes are no reason */
            world_transact(&w, 0, "[{:n 301}]");
            planned += run_beside(&w, query, kept, &rows);
        }
        CHECK_EQ_INT(planned, 0);
        add_pairs(&w, false, moves == 1);
        for (unsigned i = 0; i < 20; i++) {
            world_transact(&w, 0, "[{:n 301}]");
            planned += run_beside(&w, query, kept, &rows);
        }
        CHECK_EQ_INT(planned, 1);
        CHECK(rows < 200);
        ri_op_release(kept);
        ri_query_release(query);
        world_deinit(&w);
    }
}

/* ---- rules ---- */

static const char link_rules[] = "[[(fan ?a ?b) [?b :one ?a]] [(up ?a ?b) [?a :one ?b]]"
                                 " [(reach ?a ?b) [?a :one ?b]] [(reach ?a ?b) [?a :one ?x] (reach ?x ?b)]"
                                 " [(near ?a ?b) (up ?a ?b)] [(near ?a ?b) (fan ?a ?b)]"
                                 " [(lucky ?a) [?a :n 7]] [(busy ?a ?n) [?a :n ?n] [_ :one ?a]]]";

TEST(joins__with_rules_are_little_work_in_any_order)
{
    static const join joins[] = {
        { { "[?v1 :id 0]", "(fan ?v1 ?v0)", "[?v0 :n 7]" }, 3, "%" },
        { { "[?v1 :id 5]", "(fan ?v1 ?v0)", "[?v0 :n 7]" }, 3, "%" },
        { { "[?v1 :id 9]", "(up ?v0 ?v1)", "[?v2 :one ?v0]", "[?v2 :n 9]" }, 4, "%" },
        { { "[?v1 :id 3007]", "(reach ?v1 ?v0)", "[?v0 :n ?n]" }, 3, "%" },
        { { "[?v1 :id 0]", "(reach ?v0 ?v1)", "[?v0 :n 7]" }, 3, "%" },
        { { "[?v1 :id 9]", "(near ?v1 ?v0)", "[?v0 :n ?n]" }, 3, "%" },
        { { "(lucky ?v0)", "[?v0 :one ?v1]", "[?v2 :one ?v1]", "[?v2 :n 8]" }, 4, "%" },
        { { "(lucky ?v0)", "(up ?v0 ?v1)", "[?v1 :id ?i]" }, 3, "%" },
        { { "(busy ?v0 ?n)", "[?v0 :id 12]", "[?v1 :n ?n]" }, 3, "%" },
    };
    test_rng rng = test_rng_new();
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
        world w;
        world_init(&w);
        make_hub(&w, mode);
        world_add_rules(&w, link_rules);
        for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
            check_join(&w, &joins[j], &rng);
        }
        world_deinit(&w);
    }
}

/* ---- rows ---- */

TEST(joins__with_rows_are_little_work_in_any_order)
{
    static const join joins[] = {
        { { "[$r ?i ?k]", "[?v1 :id ?i]", "[?v0 :one ?v1]", "[?v0 :n 7]" }, 4, "$r" },
        { { "[$r ?i ?k]", "[?v0 :id ?i]", "[?v0 :one ?v1]", "[?v2 :one ?v1]", "[?v2 :n ?k]" }, 5, "$r" },
        { { "[$r ?i 3]", "[?v0 :id ?i]", "[?v0 :n ?n]" }, 3, "$r" },
        { { "[$r ?i ?k]", "[?v0 :n ?k]", "[?v0 :id 5]" }, 3, "$r" },
    };
    static const char *const rows[] = { "[[0 7] [-1 7] [-2 7]]", "[[5 3] [6 3] [7 3]]", NULL };
    test_rng rng = test_rng_new();
    static char many[64 * 1024];
    size_t len = (size_t)snprintf(many, sizeof many, "[");
    for (unsigned i = 0; i < 2000; i++) {
        len += (size_t)snprintf(many + len, sizeof many - len, "[%u %u]", i, i % 500 + i % 2);
    }
    (void)snprintf(many + len, sizeof many - len, "]");
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
        world w;
        world_init(&w);
        make_hub(&w, mode);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            world_inputs_clear(&w);
            world_add_db(&w, 0);
            world_add_table(&w, 'r', rows[r] != NULL ? rows[r] : many);
            for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
                check_join(&w, &joins[j], &rng);
            }
        }
        world_deinit(&w);
    }
}

TEST_MAIN(joins__are_little_work_in_any_order, joins__of_two_equal_patterns_begin_with_that_which_others_follow,
          joins__with_a_hub_are_not_planned_as_those_with_others, joins__are_planned_for_the_values_of_inputs,
          joins__are_planned_again_where_values_differ, joins__are_planned_again_when_data_becomes_skewed,
          joins__with_rules_are_little_work_in_any_order, joins__with_rows_are_little_work_in_any_order)
