/* SPDX-License-Identifier: MIT
 *
 * Plans by the work that they do: rows that all stages give, which say on every machine the same.
 */
#include "test_query_world.h"

#define ENTITIES 3000

static const char schema[] = "[{:db/ident :u :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :w :db/valueType :db.type/string}"
                             " {:db/ident :n :db/valueType :db.type/long}"
                             " {:db/ident :r :db/valueType :db.type/ref}]";

static void make_data(world *w, world_mode mode)
{
    static char text[400000];
    const char *texts[] = { schema, "[{:u 0}]", text };
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = 1; i < ENTITIES; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{:u %u :w \"w%u\" :n %u%s}", i, i, i % 10,
                                i % 100 == 0 ? " :r [:u 0]" : "");
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_make(w, 0, mode, texts, 3);
    world_add_db(w, 0);
}

static uint64_t rows_of(world *w, const char *text)
{
    bool from_end;
    return world_rows(w, text, &from_end);
}

TEST(plan__reads_no_more_for_an_attribute_that_a_variable_has)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_data(&w, mode);
        world_add_table(&w, 's', "\"w77\"");
        world_add_table(&w, 'c', "[:n :u]");
        const char *query = "[:find ?a ?v :in $ ?w [?a ...] :where [?e :w ?w] [?e ?a ?v]]";
        EXPECT(&w, query, "[:n 7] [:u 77]");
        CHECK(rows_of(&w, query) < 20);
        world_inputs_clear(&w);
        world_add_db(&w, 0);
        query = "[:find ?v :where [?a :db/valueType :db.type/ref] [?e ?a ?v] [?e :w \"w200\"]]";
        CHECK(rows_of(&w, query) < 60);
        query = "[:find (count ?e) . :where [?a :db/ident :r] [?e ?a ?v]]";
        EXPECT(&w, query, "[29]");
        CHECK(rows_of(&w, query) < 80);
        query = "[:find ?i :where [?a :db/ident ?i] [_ ?a 77]]"; /* entity and number */
        EXPECT(&w, query, "[:u]");
        world_add_table(&w, 'c', "[:r :nothing]");
        EXPECT_ERROR(&w, "[:find ?e :in $ [?a ...] :where [?e ?a]]", RILLE_ATTRIBUTE, ":nothing");
        world_deinit(&w);
    }
}

TEST(plan__reads_what_is_missing_as_it_reads_not)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_data(&w, mode);
        EXPECT(&w, "[:find (count ?e) . :where [?e :n 0] [(missing? $ ?e :r)]]", "[270]");
        EXPECT(&w, "[:find (count ?e) . :where [?e :n 0] (not [?e :r _])]", "[270]");
        EXPECT(&w, "[:find (count ?v) . :where [?e :n 0] [?e :w ?v] [(missing? $ ?v :r)]]", "[299]");
        EXPECT_ERROR(&w, "[:find ?e :where [?e :n 0] [(missing? $ ?e :nothing)]]", RILLE_ATTRIBUTE, ":nothing");
        CHECK(rows_of(&w, "[:find ?e :where [?e :n 0] [(missing? $ ?e :r)]]") ==
              rows_of(&w, "[:find ?e :where [?e :n 0] (not [?e :r])]"));
        world_add_rules(&w, "[[(none ?e) [?e :n 0] [(missing? $ ?e :r)]]]");
        EXPECT(&w, "[:find (count ?e) . :in $ % :where (none ?e)]", "[270]");
        world_deinit(&w);
    }
}

/* ---- a join in any order ---- */

#define JOIN_ORDERS 20U
#define JOIN_CLAUSES 10U

static void make_graph(world *w, world_mode mode)
{
    static char text[400000];
    const char *texts[] = { "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                            " {:db/ident :team :db/valueType :db.type/ref}"
                            " {:db/ident :town :db/valueType :db.type/ref}"
                            " {:db/ident :knows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
                            " {:db/ident :name :db/valueType :db.type/string}]",
                            "[{:id 0} {:id 1} {:id 2} {:id 3} {:id 4} {:id 5} {:id 6} {:id 7} {:id 8} {:id 9}]", text };
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = 10; i < 2000; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "{:db/id \"e%u\" :id %u :team [:id %u] :town [:id %u] :knows [\"e%u\" \"e%u\"] "
                                ":name \"n%u\"}",
                                i, i, i % 5, 5 + i % 3, i < 20 ? 10 : i / 2, i < 20 ? 10 : i - 7, i % 50);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_make(w, 0, mode, texts, 3);
    world_add_db(w, 0);
}

TEST(plan__does_the_same_work_in_whatever_order_a_join_is_written)
{
    static const char *const clauses[JOIN_CLAUSES] = {
        "[?a :knows ?b]", "[?b :knows ?c]", "[?c :knows ?d]",    "[?d :team ?t]", "[?a :team ?t]",
        "[?t :id ?k]",    "[?b :town ?w]",  "[?d :name \"n7\"]", "[?a :name ?n]", "[?c :town ?w]",
    };
    test_rng rng = test_rng_new();
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_DEFERRED; mode++) {
        world w;
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        world_init(&w);
        make_graph(&w, mode);
        for (unsigned order = 0; order < JOIN_ORDERS; order++) {
            const char *shuffled[JOIN_CLAUSES];
            char query[512];
            size_t len = (size_t)snprintf(query, sizeof query, "[:find (count ?a) . :where");
            memcpy(shuffled, clauses, sizeof shuffled);
            for (unsigned i = JOIN_CLAUSES - 1; i > 0; i--) {
                unsigned j = (unsigned)test_random_below(&rng, i + 1);
                const char *other = shuffled[i];
                shuffled[i] = shuffled[j];
                shuffled[j] = other;
            }
            for (unsigned i = 0; i < JOIN_CLAUSES; i++) {
                len += (size_t)snprintf(query + len, sizeof query - len, " %s", shuffled[i]);
            }
            (void)snprintf(query + len, sizeof query - len, "]");
            uint64_t rows = rows_of(&w, query);
            least = rows < least ? rows : least;
            most = rows > most ? rows : most;
        }
        CHECK(most == least);
        world_deinit(&w);
    }
}

TEST_MAIN(plan__reads_no_more_for_an_attribute_that_a_variable_has, plan__reads_what_is_missing_as_it_reads_not,
          plan__does_the_same_work_in_whatever_order_a_join_is_written)
