/* SPDX-License-Identifier: MIT
 *
 * Queries that read an attribute from an end of its values: the answer is that of a plan that reads everything, for each
 * type, each direction and each limit, and the rows read are as many as the limit needs.
 */
#include "../src/core/base/hash.h"
#include "test_query_world.h"

#define ENTITIES 700

static const char schema[] = "[{:db/ident :u :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :n :db/valueType :db.type/long}"
                             " {:db/ident :d :db/valueType :db.type/double}"
                             " {:db/ident :s :db/valueType :db.type/string :db/index true}"
                             " {:db/ident :b :db/valueType :db.type/bigint :db/index true}"
                             " {:db/ident :t :db/valueType :db.type/boolean}"
                             " {:db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
                             " {:db/ident :w :db/valueType :db.type/string}]";

/* In five transactions; the second half of the entities changes the first. */
static void make_data(world *w, world_mode mode)
{
    static char texts[6][200000];
    const char *given[7] = { schema };
    test_rng rng = test_rng_new();
    size_t len[6] = { 0 };
    for (unsigned part = 0; part < 6; part++) {
        len[part] = (size_t)snprintf(texts[part], sizeof texts[part], "[");
        given[part + 1] = texts[part];
    }
    for (unsigned i = 0; i < ENTITIES; i++) {
        unsigned part = i * 5 / ENTITIES;
        char prefix[80] = "";
        if (i % 50 == 0) { /* a long text that shares its start with others */
            memset(prefix, 'p', 70);
        }
        len[part] += (size_t)snprintf(
            texts[part] + len[part], sizeof texts[part] - len[part],
            "{:u %d :n %d :d %d.%d :s \"%s%u%.*s\" :b %s%dN :t %s :m [%d %d] :w \"w%d\"}",
            (int)(i * 7919 % 2003) - 1000, (int)test_random_below(&rng, 12) - 6, (int)test_random_below(&rng, 40) - 20,
            (int)(i % 10), prefix, (unsigned)test_random_below(&rng, 300), i % 100 == 0 ? 1200 : 0, "",
            i % 9 == 0 ? "99999999999999999999" : "", (int)test_random_below(&rng, 90), i % 3 == 0 ? "true" : "false",
            (int)test_random_below(&rng, 9), 20 + (int)test_random_below(&rng, 9), (int)test_random_below(&rng, 5));
    }
    for (unsigned i = 0; i < ENTITIES; i += 3) {
        len[5] += (size_t)snprintf(texts[5] + len[5], sizeof texts[5] - len[5], "{:u %d :n %d}",
                                   (int)(i * 7919 % 2003) - 1000, (int)test_random_below(&rng, 12) - 6);
    }
    for (unsigned part = 0; part < 6; part++) {
        (void)snprintf(texts[part] + len[part], sizeof texts[part] - len[part], "]");
    }
    world_make(w, 0, mode, given, 7);
}

/* Numbers for options.order_seed by which the plan begins at an end, or reads all. */
static uint64_t seed_of(bool from_end)
{
    uint64_t seed = 1;
    while ((ri_mix64(seed) % 2 == 0) != from_end) {
        seed++;
    }
    return seed;
}

/* Rows in their order. */
static void check_query(world *w, const char *query)
{
    ri_table table;
    rille_err err = { 0 };
    w->options.order_seed = seed_of(false);
    REQUIRE_RC(world_run(w, query, &table, &err), 0);
    char *expected = world_text(&table, false);
    ri_table_deinit(&table);
    w->options.order_seed = 0;
    EXPECT_ORDERED(w, query, expected);
    w->options.order_seed = seed_of(true);
    EXPECT_ORDERED(w, query, expected);
    w->options.order_seed = 0;
    free(expected);
}

static const char *const attrs[] = { "u", "n", "d", "s", "b", "t", "m" };
#define ATTRS (sizeof attrs / sizeof *attrs)
static const char *const more[] = { "", "[?e :w \"w1\"]", "[?e :m ?x] [(> ?x 22)]", "(not [?e :n 3])",
                                    "[(identity ?v) ?z] [?e :w ?y]" };
static const char *const windows[] = { ":limit 1", ":limit 3 :offset 2", ":limit 20", ":limit 150 :offset 10",
                                       ":limit 5000" };

TEST(ends__give_the_rows_of_a_plan_that_reads_all)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        char query[512];
        world_init(&w);
        make_data(&w, mode);
        world_add_db(&w, 0);
        unsigned number = 0;
        for (size_t a = 0; a < ATTRS; a++) {
            for (unsigned i = 0; i < sizeof more / sizeof *more * 10; i++, number++) {
                if (number * 7 % (2 * WORLD_MODES) != (unsigned)mode * 2) {
                    continue;
                }
                w.no_pauses = number % 3 != 0;
                (void)snprintf(query, sizeof query, "[:find ?v ?e :where [?e :%s ?v] %s :order-by ?v %s ?e %s]",
                               attrs[a], more[i / 10], i % 2 == 0 ? ":asc" : ":desc", windows[i / 2 % 5]);
                check_query(&w, query);
            }
        }
        world_deinit(&w);
    }
}

TEST(ends__give_min_and_max)
{
    static const char *const finds[] = { "(min ?v)",
                                         "(max ?v)",
                                         "(min ?v) (max ?v)",
                                         "(max 3 ?v)",
                                         "(min 2 ?v) (max 40 ?v) (max ?v)",
                                         "(min 5000 ?v) (max ?v)" };
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        char query[512];
        world_init(&w);
        make_data(&w, mode);
        world_add_db(&w, 0);
        for (size_t a = 0; a < ATTRS; a++) {
            for (size_t f = 0; f < sizeof finds / sizeof *finds; f++) {
                w.no_pauses = (a + f + mode) % 4 != 0;
                (void)snprintf(query, sizeof query, "[:find %s %s :where [?e :%s ?v] %s]", finds[f],
                               f % 2 == 0 ? ":with ?e" : "", attrs[a], more[(a + f + mode) % 4]);
                check_query(&w, query);
            }
        }
        check_query(&w, "[:find (min ?v) :where [_ :n ?v] [(> ?v 1000)]]");
        check_query(&w, "[:find (min ?v) (max ?v) :where [_ :n ?v] [(> ?v -3)] [(< ?v 4.5)]]");
        check_query(&w, "[:find (max ?v) :where [?e :d ?v] [?e :w \"none\"]]");
        world_deinit(&w);
    }
}

/* ---- how much is read ---- */

static bool reads_from_end(world *w, const char *text, uint64_t rows_max)
{
    bool from_end;
    uint64_t rows = world_rows(w, text, &from_end);
    bool fine = from_end == (rows_max != 0) && (rows_max == 0 || rows <= rows_max);
    if (!fine) {
        (void)fprintf(stderr, "%s: %llu rows, %s\n", text, (unsigned long long)rows, from_end ? "from an end" : "all");
    }
    return fine;
}

TEST(ends__read_as_many_rows_as_the_limit_needs)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        make_data(&w, mode);
        world_add_db(&w, 0);
        CHECK(reads_from_end(&w, "[:find ?e ?v :where [?e :u ?v] :order-by ?v :limit 5]", 40));
        CHECK(reads_from_end(&w, "[:find ?e ?v :where [?e :u ?v] :order-by ?v :desc :limit 5 :offset 3]", 40));
        CHECK(reads_from_end(&w, "[:find (max ?v) :where [_ :u ?v]]", 40));
        CHECK(reads_from_end(&w, "[:find (min ?v) (max ?v) :where [_ :u ?v]]", 80));
        CHECK(reads_from_end(&w, "[:find (max ?v) :where [_ :u ?v] [(< ?v 0)]]", 400));
        CHECK(reads_from_end(&w, "[:find ?v ?y :where [?e :u ?v] [?e :w ?y] :order-by ?v :limit 5]", 80));
        /* rows that are not read would make a difference, or all are needed */
        CHECK(reads_from_end(&w, "[:find ?v :where [_ :u ?v] :order-by ?v]", 0));
        CHECK(reads_from_end(&w, "[:find ?w (max ?v) :where [?e :u ?v] [?e :w ?w]]", 0));
        CHECK(reads_from_end(&w, "[:find (count ?e) (max ?v) :where [?e :u ?v]]", 0));
        CHECK(reads_from_end(&w, "[:find (max ?v) :where [_ :w ?v]]", 0));
        world_deinit(&w);
    }
}

/* A call that can fail sees all rows, so that it fails with a limit as it does without. */
TEST(ends__hide_no_error)
{
    world w;
    world_init(&w);
    make_data(&w, WORLD_BOTH);
    world_add_db(&w, 0);
    EXPECT_ERROR(&w, "[:find ?v :where [_ :n ?v] [(/ 1 ?v) ?x] :order-by ?v :desc :limit 2]", RILLE_FUNCTION, "zero");
    world_deinit(&w);
}

TEST_MAIN(ends__give_the_rows_of_a_plan_that_reads_all, ends__give_min_and_max,
          ends__read_as_many_rows_as_the_limit_needs, ends__hide_no_error)
