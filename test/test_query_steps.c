/* SPDX-License-Identifier: MIT
 *
 * A step of a query ends soon after its budget, whatever the query is doing: sorting, building tables, aggregating,
 * joining, calling. Work is counted, not time: what the meter counts between two looks at the budget is the same on
 * every machine. A phase that did all of its work at once would do 5 to 100 times as much as is allowed here.
 *
 * The same queries, interrupted before each of their units, give the same rows; and with a limit, the same rows as
 * without one.
 */
#include "test_query_world.h"

enum { ROWS = 16000, CHUNK = 4000, ROW_BYTES = 200 };

static const char schema[] =
    "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/long} {:db/ident :d :db/valueType :db.type/double}"
    " {:db/ident :g :db/valueType :db.type/long} {:db/ident :s :db/valueType :db.type/string}"
    " {:db/ident :t :db/valueType :db.type/string} {:db/ident :up :db/valueType :db.type/ref}]";

static const char rules[] = "[[(above ?a ?b) [?a :up ?b]] [(above ?a ?b) [?a :up ?c] (above ?c ?b)]"
                            " [(pair ?e ?n) [?e :n ?n]] [(pair ?e ?n) [?e :g ?n]]]";

/* :id all different, :n, :s and :t, too, in no order, :d equal to some of :n, :g one of seven, :up chains of 100. */
static void make_rows(world *w)
{
    char *text = malloc((size_t)CHUNK * ROW_BYTES);
    REQUIRE(text != NULL);
    world_init(w);
    world_open(w, 0, "");
    world_transact(w, 0, schema);
    for (unsigned from = 0; from < ROWS; from += CHUNK) {
        size_t len = (size_t)sprintf(text, "[");
        for (unsigned i = from; i < from + CHUNK; i++) {
            unsigned n = (unsigned)((uint64_t)i * 7919 % ROWS);
            len += (size_t)sprintf(text + len,
                                   "{:db/id \"%u\" :id %u :n %u :d %u.0 :s \"name %05u\" :t \"name %05u\" :g %u", i, i,
                                   n, n / 2, n, (unsigned)((uint64_t)i * 104729 % ROWS), i % 7);
            len += i % 100 == 0 ? 0 : (size_t)sprintf(text + len, " :up \"%u\"", i - 1);
            len += (size_t)sprintf(text + len, "}");
        }
        (void)sprintf(text + len, "]");
        world_transact(w, 0, text);
    }
    free(text);
    world_flush(w, 0);
    world_add_db(w, 0);
}

/* Inputs of many rows: numbers with strings, and lookup refs. */
static void add_inputs(world *w)
{
    ri_value ident = ri_bytes_value(RI_KEYWORD, "id", 2);
    ri_table *rows = &w->tables[w->input_count];
    ri_table *names = &w->tables[w->input_count + 1];
    REQUIRE_RC(ri_table_init(rows, 2, false, &test_err), 0);
    REQUIRE_RC(ri_table_init(names, 1, false, &test_err), 0);
    for (unsigned i = 0; i < ROWS; i++) {
        char text[32];
        ri_buf buf = { 0 };
        ri_value row[2] = { ri_long(i), ri_bytes_value(RI_STRING, text, (size_t)sprintf(text, "name %05u", i)) };
        ri_value_write(&buf, &ident);
        ri_value_write(&buf, &row[0]);
        ri_value name = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        REQUIRE_RC(ri_table_add_row(rows, row, NULL, &test_err), 0);
        REQUIRE_RC(ri_table_add_row(names, &name, NULL, &test_err), 0);
        ri_buf_deinit(&buf);
    }
    w->inputs[w->input_count++] = (ri_input){ .kind = RI_INPUT_TABLE, .table = rows };
    w->inputs[w->input_count++] = (ri_input){ .kind = RI_INPUT_TABLE, .table = names };
}

static const char *const phases[] = {
    "[:find ?e ?n :where [?e :n ?n]]",
    "[:find ?e ?n :where [?e :n ?n] :order-by ?n]",
    "[:find ?e ?g ?n :where [?e :n ?n] [?e :g ?g] :order-by ?g :desc ?n]",
    "[:find ?e ?s :where [?e :s ?s] :order-by ?s]",
    "[:find ?s ?g ?e :where [?e :s ?s] [?e :g ?g] :order-by ?g ?s :desc]",
    "[:find ?e ?n :where [?e :n ?n] :order-by ?n :limit 10]",
    "[:find ?s ?g :where [?e :s ?s] [?e :g ?g] :order-by ?s :limit 5000 :offset 100]",
    "[:find ?n :where [_ :n ?n]]",
    "[:find ?s :where [_ :s ?s]]",
    "[:find (count ?n) (sum ?n) (avg ?n) (max ?n) (min ?n) (variance ?n) :with ?e :where [?e :n ?n]]",
    "[:find (count-distinct ?n) (count-distinct ?s) :with ?e :where [?e :n ?n] [?e :s ?s]]",
    "[:find (median ?n) . :with ?e :where [?e :n ?n]]",
    "[:find ?g (median ?n) :with ?e :where [?e :n ?n] [?e :g ?g]]",
    "[:find ?e (median ?n) (max ?s) :where [?e :n ?n] [?e :s ?s]]",
    "[:find (min 5000 ?n) (max 5000 ?s) :with ?e :where [?e :n ?n] [?e :s ?s]]",
    "[:find (distinct ?n) (distinct ?s) :with ?e :where [?e :n ?n] [?e :s ?s]]",
    "[:find ?e (max ?s) :where [?e :s ?s] :order-by (max ?s)]",
    "[:find ?e (max ?n) :where [?e :n ?n] :order-by (max ?n) :desc :limit 7]",
    "[:find ?n :where (or [_ :n ?n] [_ :d ?n])]",
    "[:find (sum ?n) . :where (or [_ :n ?n] [_ :d ?n])]",
    "[:find (count ?a) . :with ?b :where [?a :n ?x] [?b :g ?x]]",
    "[:find (count ?a) . :with ?b :where [?a :s ?x] [?b :t ?x]]",
    "[:find (count ?e) . :where [?e :n _] (not [?e :up _])]",
    "[:find (count ?e) . :where [?e :n _] (or [?e :g 3] [?e :g 4])]",
    "[:find (count ?u) . :where [?e :s ?s] [(upper-case ?s) ?v] [(str ?v \"-\" ?e) ?u]]",
    "[:find (count ?e) . :where [?e :n _] [(get-else $ ?e :up 0) ?u] [(!= ?u 0)]]",
    "[:find (count ?e) . :where [?e :n _] [(missing? $ ?e :up)]]",
};

static const char *const rule_phases[] = {
    "[:find (count ?b) . :in $ % :where [?a :id 99] (above ?a ?b)]",
    "[:find (count ?b) . :in $ % :where [?a :g 2] (above ?b ?a)]",
    "[:find (count ?n) . :in $ % :with ?e :where (pair ?e ?n)]",
    "[:find (count ?n) . :in $ % :with ?e :where [?e :id _] (pair ?e ?n)]",
};

static const char *const input_phases[] = {
    "[:find ?i ?s :in $ [[?i ?s]] [_ ...]]",
    "[:find (count ?e) . :in $ [[?i _]] [_ ...] :where [?e :id ?i]]",
    "[:find (count ?e) . :in $ [[_ ?s]] [_ ...] :where [?e :s ?s]]",
    "[:find (count ?e) . :in $ $r [_ ...] :where [?e :n ?i] [$r ?i _]]",
};

static const char *const name_phases[] = {
    "[:find (count ?e) . :in $ [?e ...] :where [?e :n ?n]]",
};

static bool same_rows(const ri_table *a, uint32_t from, const ri_table *b)
{
    for (uint16_t c = 0; c < b->col_count; c++) {
        for (uint32_t row = 0; row < b->count; row++) {
            ri_value x = ri_column_get(&a->cols[c], from + row);
            ri_value y = ri_column_get(&b->cols[c], row);
            if (x.type != y.type || !ri_value_eq(&x, &y)) {
                char show[2][96];
                CHECK_EQ_STR(ri_value_show(show[0], 96, &x), ri_value_show(show[1], 96, &y));
                return false;
            }
        }
    }
    return true;
}

/* Each query at once, counted (world_run checks it); then with a pause before each unit. */
static void check_phases(world *w, const char *const *queries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ri_table whole;
        ri_table paused;
        int failures = atomic_load(&test_state.failures);
        REQUIRE_RC(world_run(w, queries[i], &whole, &test_err), 0);
        unsigned units = w->units;
        world_again_clear(w); /* plans again, too */
        w->pause = PAUSE_EVERY_UNIT;
        REQUIRE_RC(world_run(w, queries[i], &paused, &test_err), 0);
        w->pause = PAUSE_NEVER;
        CHECK_EQ_INT(paused.count, whole.count);
        CHECK(paused.count != whole.count || same_rows(&whole, 0, &paused));
        CHECK(w->steps <= w->units + w->units && units <= w->units);
        if (atomic_load(&test_state.failures) != failures) {
            CHECK_EQ_STR(queries[i], "a query whose steps are bounded");
        }
        ri_table_deinit(&whole);
        ri_table_deinit(&paused);
    }
}

TEST(steps__do_a_bounded_amount_of_work)
{
    world w;
    make_rows(&w);
    check_phases(&w, phases, sizeof phases / sizeof *phases);
    world_add_rules(&w, rules);
    check_phases(&w, rule_phases, sizeof rule_phases / sizeof *rule_phases);
    w.input_count = 1;
    add_inputs(&w);
    check_phases(&w, input_phases, sizeof input_phases / sizeof *input_phases);
    w.inputs[1] = w.inputs[2]; /* the lookup refs */
    w.input_count = 2;
    check_phases(&w, name_phases, sizeof name_phases / sizeof *name_phases);
    ri_table_deinit(&w.tables[1]);
    ri_table_deinit(&w.tables[2]);
    w.input_count = 1;
    world_deinit(&w);
}

/* Orders with many ties and with none, of rows, of sets, of groups. */
static const char *const orders[] = {
    "[:find ?e ?g :where [?e :g ?g] :order-by ?g",
    "[:find ?g ?e ?n :where [?e :g ?g] [?e :n ?n] :order-by ?g :desc ?n",
    "[:find ?s ?g :where [?e :s ?s] [?e :g ?g] :order-by ?s :desc",
    "[:find ?g ?d :where [?e :g ?g] [?e :d ?d] :order-by ?d",
    "[:find ?d (count ?e) (max ?g) :where [?e :d ?d] [?e :g ?g] :order-by (max ?g) :desc",
};

TEST(steps__of_a_limit_give_what_the_whole_order_begins_with)
{
    static const unsigned limits[][2] = { { 1, 0 }, { 10, 3 }, { 1100, 0 }, { 5000, 700 }, { 20000, 0 }, { 3, 19000 } };
    world w;
    make_rows(&w);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        char query[256];
        ri_table all;
        (void)snprintf(query, sizeof query, "%s]", orders[i]);
        REQUIRE_RC(world_run(&w, query, &all, &test_err), 0);
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
            ri_table best;
            (void)snprintf(query, sizeof query, "%s :limit %u :offset %u]", orders[i], limits[k][0], limits[k][1]);
            w.pause = k % 2 == 0 ? PAUSE_NEVER : PAUSE_EVERY_UNIT;
            REQUIRE_RC(world_run(&w, query, &best, &test_err), 0);
            uint32_t left = all.count > limits[k][1] ? all.count - limits[k][1] : 0;
            CHECK_EQ_INT(best.count, left < limits[k][0] ? left : limits[k][0]);
            if (!same_rows(&all, limits[k][1], &best)) {
                CHECK_EQ_STR(query, "a query that gives the first rows");
            }
            ri_table_deinit(&best);
        }
        w.pause = PAUSE_NEVER;
        ri_table_deinit(&all);
    }
    world_deinit(&w);
}

static size_t peak_of(world *w, const char *query)
{
    ri_table out;
    ri_meter meter;
    ri_meter_init(&meter, 0, 0);
    w->options.meter = &meter;
    REQUIRE_RC(world_run(w, query, &out, &test_err), 0);
    w->options.meter = NULL;
    ri_table_deinit(&out);
    return meter.bytes_peak;
}

TEST(steps__of_a_limit_hold_few_rows)
{
    world w;
    make_rows(&w);
    size_t none = peak_of(&w, "[:find ?e ?n :where [?e :n ?n]]");
    size_t best = peak_of(&w, "[:find ?e ?n :where [?e :n ?n] :order-by ?n :limit 10]");
    size_t all = peak_of(&w, "[:find ?e ?n :where [?e :n ?n] :order-by ?n]");
    CHECK(best < none + 300000);
    CHECK(all > none + (size_t)ROWS * 40);
    world_deinit(&w);
}

TEST_MAIN(steps__do_a_bounded_amount_of_work, steps__of_a_limit_give_what_the_whole_order_begins_with,
          steps__of_a_limit_hold_few_rows)
