/* SPDX-License-Identifier: MIT
 *
 * Walks along orders of clauses: joins that links alone plan badly; and that what interrupts or starves a walk changes
 * nothing.
 */
#include "../src/core/query/walk.h"

#include "test_query_joins.h"

/* What one pattern leaves of a variable decides how much the next one finds: most rows have a hub. Links of two patterns do
 * not tell; a walk along the order does. */
TEST(walks__find_what_three_patterns_on_one_variable_give)
{
    static const join joins[] = {
        { { "[?v1 :s \"s0\"]", "[?v0 :many ?v1]", "[?v2 :many ?v1]", "[?v2 :id ?i26]" }, 4, NULL },
        { { "[?v1 :n 6]", "[?v2 :one ?v1]", "[?v0 :one ?v1]", "[?v0 :n ?n2]" }, 4, NULL },
        { { "[?v0 :n 3]", "[?v0 :many ?v1]", "[?v2 :one ?v1]", "[?v2 :n ?n0]", "[?v2 :n ?n2]" }, 5, NULL },
        { { "[?v2 :rare 1]", "[?v2 :one ?v1]", "[?v0 :one ?v1]", "[?v0 :s \"s4\"]", "[?v0 :n 1]" }, 5, NULL },
        { { "[?v1 :n 1]", "[?v2 :many ?v1]", "[?v0 :one ?v1]", "[?v0 :s \"s5\"]" }, 4, NULL },
        { { "[?v2 :n 3]", "[?v2 :many ?v1]", "[?v0 :one ?v1]", "[?v0 :rare 0]", "[?v0 :n ?n2]" }, 5, NULL },
        { { "[?v0 :s \"s2\"]", "[?v1 :n 0]", "[?v1 :many ?v0]", "[?v1 :one ?v2]" }, 4, NULL },
    };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        test_rng rng = { seed };
        for (skew how = ZIPF; how < SKEWS; how++) {
            world w;
            world_init(&w);
            make_graph(&w, WORLD_TREES, how, &rng);
            for (size_t j = 0; j < sizeof joins / sizeof *joins; j++) {
                check_join(&w, &joins[j], &rng);
            }
            world_deinit(&w);
        }
    }
}

/* ---- interruptions ---- */

typedef struct stops {
    uint64_t asked;
    uint64_t at; /* interrupts that look */
} stops;

static bool stop_at(void *context)
{
    stops *s = context;
    return s->asked++ == s->at;
}

#define WALKED "[:find (count ?v0) . :in $ [?n ...] :where [?v1 :n ?n] [?v2 :many ?v1] [?v0 :one ?v1] [?v0 :s \"s5\"]]"

/* The plan, and the answer. */
static void run_walked(world *w, ri_buf *plan, int64_t *answer)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    int rc;
    REQUIRE_RC(ri_query_parse(WALKED, strlen(WALKED), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &w->options, &op, &test_err), 0);
    while ((rc = ri_op_step(op, 0, &test_err)) == RILLE_ROWS || rc == RILLE_AGAIN) {
        uint32_t count;
        *answer = rc == RILLE_ROWS ? ri_vec_get(ri_op_rows(op, &count), 0).as.i : *answer;
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK(ri_walk_order(op, 0) != NULL);
    CHECK_RC(ri_op_explain(op, plan), 0);
    ri_op_release(op);
    ri_query_release(query);
}

TEST(walks__give_the_same_plan_wherever_they_are_interrupted)
{
    world w;
    test_rng rng = test_rng_new();
    ri_buf plan = { 0 };
    int64_t answer = -1;
    stops s = { 0, UINT64_MAX };
    world_init(&w);
    make_graph(&w, WORLD_TREES, HUBS, &rng);
    world_add_table(&w, 'c', "[0 1 2 3 4 5 6 7]");
    w.options.interrupt = stop_at;
    w.options.context = &s;
    run_walked(&w, &plan, &answer);
    ri_buf_deinit(&plan); /* it read nodes, which the others find in the cache */
    plan = (ri_buf){ 0 };
    s.asked = 0;
    run_walked(&w, &plan, &answer);
    uint64_t looks = s.asked;
    CHECK(looks > 10);
    for (uint64_t at = 0; at < looks; at++) {
        ri_buf other = { 0 };
        int64_t again = -1;
        s = (stops){ 0, at };
        run_walked(&w, &other, &again);
        CHECK_EQ_INT(again, answer);
        CHECK(other.len == plan.len && memcmp(other.p, plan.p, plan.len) == 0);
        ri_buf_deinit(&other);
    }
    ri_buf_deinit(&plan);
    world_deinit(&w);
}

TEST_MAIN(walks__find_what_three_patterns_on_one_variable_give, walks__give_the_same_plan_wherever_they_are_interrupted)
