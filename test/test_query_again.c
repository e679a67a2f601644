/* SPDX-License-Identifier: MIT
 *
 * Operations that run again: whatever a prepared query was run for before, and however far those runs came, it answers
 * as a new one. (The other tests run each of their queries again, too: test_query_world.h.)
 */
#include "rille/rille.h"

#include "test_query_world.h"

#define PEOPLE 60U

static const char schema[] =
    "[{:db/ident :u :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}"
    " {:db/ident :d :db/valueType :db.type/double :db/cardinality :db.cardinality/one}"
    " {:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/many}"
    " {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :k :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}"
    " {:db/ident :b :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}"
    " {:db/ident :b1 :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/unique :db.unique/value}"
    " {:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/one}]";

/* In one transaction; each refers to one before it. */
static void put_people(world *w, int at, unsigned from, unsigned to)
{
    static char text[65536];
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = from; i < to; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "{:db/id \"e%u\" :u \"u%u\" :n %u :d %u.5 :s [\"s%u\" \"t%u\"] :k :k%u", i, i, i % 13,
                                i % 7, i % 5, i % 3, i % 4);
        unsigned other = i / 2 < from && from == 1 ? 0 : i / 2;
        len += (size_t)snprintf(text + len, sizeof text - len,
                                i / 2 < from ? " :r [[:u \"u%u\"]] :b [:u \"u%u\"]" : " :r [\"e%u\"] :b \"e%u\"", other,
                                other);
        if (i % 2 == 0 && i / 2 >= from) {
            len += (size_t)snprintf(text + len, sizeof text - len, " :b1 \"e%u\"", i / 2);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, " :text \"%.*d\"}", i % 10 == 0 ? 1100 : 5, (int)i);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_transact(w, at, text);
}

/* ---- any order of runs ---- */

/* kinds of inputs after $: c, t and r as for world_add_table, else the kind of value that is likely */
static const struct {
    const char *text;
    const char *kinds;
} queries[] = {
    { "[:find ?n . :in $ ?u :where [?e :u ?u] [?e :n ?n]]", "u" },
    { "[:find ?u :in $ ?n :where [?e :n ?n] [?e :u ?u]]", "n" },
    { "[:find ?n ?k :in $ ?u :where [?e :u ?u] [?e :n ?n] [?e :k ?k] :limit 1]", "u" },
    { "[:find ?u ?v :in $ ?a ?v :where [?e ?a ?v] [?e :u ?u]]", "kn" },
    { "[:find ?u :in $ ?low ?high :where [?e :n ?n] [(>= ?n ?low)] [(< ?n ?high)] [?e :u ?u]]", "nn" },
    { "[:find ?u ?n :in $ ?low :where [?e :u ?u] [?e :n ?n] [(> ?n ?low)] :order-by ?n ?u :limit 4]", "n" },
    { "[:find (max ?n) (min ?n) :in $ ?low :where [?e :n ?n] [(> ?n ?low)]]", "n" },
    { "[:find ?s (count ?e) (sum ?n) :in $ ?k :where [?e :s ?s] [?e :n ?n] [?e :k ?k]]", "k" },
    { "[:find ?u ?o :in $ [?n ...] :where [?e :n ?n] [?e :u ?u] [?o :r ?e]]", "c" },
    { "[:find ?u :in $ ?s :where [?e :u ?u] (not [?e :s ?s])]", "s" },
    { "[:find ?u ?x :in $ ?s ?x :where [?e :u ?u] (or-join [?e ?s ?x] [?e :s ?s] [?e :n ?x])]", "sn" },
    { "[:find ?u ?t :in $ ?x :where [?e :u ?u] [?e :n ?n] [(+ ?n ?x) ?t] [(str ?u ?x) ?z] [(< ?z \"u3\")]]", "n" },
    { "[:find ?u ?g :in $ ?x :where [?e :u ?u] [(get-else $ ?e :d ?x) ?g]]", "d" },
    { "[:find ?u :in $ ?e :where [?e :u ?u]]", "u" },
    { "[:find ?u ?v :in $ ?r :where [?e :r ?r] [?e :u ?u] [?r :u ?v]]", "u" },
    { "[:find ?a ?b :in $ ?k :where [?e :k ?k] [?f :k ?k] [?e :u ?a] [?f :u ?b] [?e :n ?n] [?f :n ?n]]", "k" },
    { "[:find ?d ?x :in $ ?x :where [_ :d ?d] [(= ?d ?x)]]", "d" },
    { "[:find ?x ?y :in $ [[?x ?y]] :where [?e :n ?x] [?e :u ?y]]", "r" },
    { "[:find ?x ?u :in $ [?x ?y] :where [?e :n ?x] [?e :d ?y] [?e :u ?u]]", "t" },
    { "[:find ?n ?s :in $ ?e :where [?e :n ?n] [?e :s ?s]]", "l" },
    { "[:find ?u ?n :in $ ?r ?n :where [?e :r ?r] [?e :n ?n] [?e :u ?u]]", "ln" },
    { "[:find ?u :in $ ?e ?f :where [?e :r ?f] [?f :u ?u]]", "ll" },
    { "[:find ?n ?k ?d :in $ ?u :where [?e :k ?k] [?e :u ?u] [?e :d ?d] [?e :n ?n]]", "u" },
    { "[:find ?n :in $ ?e ?k :where [?e :k ?k] [?e :n ?n]]", "lk" },
    { "[:find ?f ?m :in $ ?u ?s :where [?e :u ?u] [?e :s ?s] [?e :b ?f] [?f :n ?m]]", "us" },
    { "[:find ?m ?v :in $ ?u :where [?e :u ?u] [?e :b ?f] [?f :b ?g] [?g :u ?v] [?g :n ?m]]", "u" },
    { "[:find [?n ?t] :in $ ?u :where [?e :u ?u] [?e :n ?n] [?e :text ?t]]", "u" },
    { "[:find ?e :in $ ?f ?n :where [?e :b1 ?f] [?e :n ?n]]", "ln" },
    { "[:find ?x ?u :in $ ?p :where [(identity ?p) [?x ?y]] [_ :u ?y] [_ :u ?u] [(= ?u ?y)]]", "l" },
};
#define QUERIES (sizeof queries / sizeof *queries)
static const char *const values[] = { "\"u3\"",        "\"u40\"", "\"none\"", "0",      "5",      "12",
                                      "1000000000000", "2.5",     "3.0",      "\"s1\"", "\"t2\"", ":k1",
                                      ":k3",           ":n",      ":u",       ":s",     "\"k\"",  "[:u \"u7\"]",
                                      "true",          "300.5",   "1024N",    "2.50M" };
static const char *const words[] = { "\"u3\"", "\"u40\"", "\"none\"", "\"s1\"", "\"t2\"" };
static const char *const longs[] = { "0", "5", "12", "-3", "1000000000000" };
static const char *const doubles[] = { "2.5", "3.0", "300.5" };
static const char *const keywords[] = { ":k1", ":k3", ":n", ":u", ":s" };
static const char *const lookups[] = { "[:u \"u3\"]",   "[:u \"u7\"]", "[:u \"u40\"]",
                                       "[:u \"none\"]", "[:n 5]",      "[1 2 3]" };
static const char *const lists[] = { "[]", "[3]", "[3 4 5]", "[\"u1\" 4 2.0]", "[[:u \"u4\"] 3]", "[1 2 3 4 5 6 7 8]" };
static const char *const relations[] = { "[]", "[[1 \"u1\"]]", "[[1 \"u1\"] [2 \"u2\"] [3 5]]",
                                         "[[\"a\" \"b\"] [4 \"u4\"]]" };
static const char *const tuples[] = { "[1 1.5]", "[2 2.5]", "[\"a\" 3]", "[[1 2] 4]" };
#define PICK(rng, array) ((array)[test_random_below((rng), sizeof(array) / sizeof *(array))])

typedef struct prepared {
    rille_query *query;
    rille_op *op; /* rests, or NULL */
} prepared;

/* How many runs were of an operation that rested: all, with a limit of memory, with a tuple. */
typedef struct tally {
    unsigned all;
    unsigned limited;
    unsigned tuples;
} tally;

static const char *pick_value(test_rng *rng, char kind)
{
    if (test_random_below(rng, 8) == 0) {
        return PICK(rng, values);
    }
    return kind == 'n'   ? PICK(rng, longs)
           : kind == 'l' ? PICK(rng, lookups)
           : kind == 'd' ? PICK(rng, doubles)
           : kind == 'k' ? PICK(rng, keywords)
                         : PICK(rng, words);
}

static void add_inputs(world *w, test_rng *rng, size_t query)
{
    world_inputs_clear(w);
    world_add_db(w, test_random_below(rng, 8) == 0 ? 2 : (int)test_random_below(rng, 2));
    for (const char *kind = queries[query].kinds; *kind != '\0'; kind++) {
        if (*kind == 'c' || *kind == 't' || *kind == 'r') {
            world_add_table(w, *kind,
                            *kind == 'c'   ? PICK(rng, lists)
                            : *kind == 'r' ? PICK(rng, relations)
                                           : PICK(rng, tuples));
        } else {
            world_add_table(w, 's', pick_value(rng, *kind));
        }
    }
}

/* The one that rests, if it fits, or a new one. */
static int begin(world *w, prepared *p, rille_op **op, tally *again, rille_err *err)
{
    bool fits = false;
    *op = p->op;
    p->op = NULL;
    if (*op != NULL) {
        ri_op_again(*op, p->query, w->inputs, w->input_count, &w->options, &fits);
        if (fits) {
            again->all++;
            again->limited += w->options.memory_bytes != 0;
            for (size_t i = 0; i < w->input_count; i++) {
                const ri_table *t = w->inputs[i].kind == RI_INPUT_TABLE ? w->inputs[i].table : NULL;
                again->tuples +=
                    t != NULL && t->count == 1 && t->col_count == 1 && ri_column_get(&t->cols[0], 0).type == RI_TUPLE;
            }
            return 0;
        }
        ri_op_release(*op);
        *op = NULL;
    }
    return ri_op_new(p->query, w->inputs, w->input_count, &w->options, op, err);
}

static void end(prepared *p, rille_op *op)
{
    if (op != NULL && p->op == NULL && ri_op_rest(op)) {
        p->op = op;
    } else {
        ri_op_release(op);
    }
}

/* At most so many steps; the answer as text, when it came to the end. */
static int steps(rille_op *op, unsigned max, char **text, rille_err *err)
{
    ri_table table;
    REQUIRE_RC(ri_table_init(&table, op->query->find_count, false, &test_err), 0);
    int rc = 0;
    while (rc == 0 && max-- > 0) {
        rc = ri_op_step(op, 0, err);
        if (rc == RILLE_NEED) {
            rc = ri_io_fetch(ri_op_io(op), err);
        } else if (rc == RILLE_ROWS) {
            rc = world_collect(op, &table, err);
        } else if (rc == RILLE_AGAIN) {
            rc = 0;
        }
    }
    *text = rc == RILLE_DONE ? world_text(&table, true) : NULL;
    ri_table_deinit(&table);
    return rc;
}

/* The whole answer of an operation against that of a new one. */
static void compare(world *w, const char *query, int rc, const char *text, const rille_err *err)
{
    ri_table table;
    rille_err expected_err = { 0 };
    world_again_clear(w);
    w->pause = PAUSE_NEVER;
    int expected = world_run(w, query, &table, &expected_err);
    world_again_clear(w);
    if (expected == RILLE_LIMIT && rc == RILLE_DONE) {
        return; /* an earlier run has left what this one needs */
    }
    CHECK_EQ_INT(rc == RILLE_DONE ? 0 : rc, expected);
    if (expected != 0) {
        CHECK_EQ_STR(err->message, expected_err.message);
        return;
    }
    char *answer = world_text(&table, true);
    if (text == NULL || strcmp(text, answer) != 0) {
        (void)fprintf(stderr, "%s\n", query);
        CHECK_EQ_STR(text != NULL ? text : "(no answer)", answer);
    }
    free(answer);
    ri_table_deinit(&table);
}

static void run_one(world *w, test_rng *rng, prepared *all, tally *again)
{
    size_t i = test_random_below(rng, QUERIES);
    rille_op *op = NULL;
    rille_err err = { 0 };
    char *text = NULL;
    w->pause = test_random_below(rng, 2) == 0 ? PAUSE_RANDOM_UNITS : PAUSE_NEVER;
    w->options.interrupt = w->pause == PAUSE_NEVER ? NULL : world_interrupt;
    w->options.context = w;
    w->options.memory_bytes = test_random_below(rng, 3) > 0    ? 0
                              : test_random_below(rng, 2) == 0 ? 16 * 1024 * 1024
                                                               : 100000 + test_random_below(rng, 400000);
    add_inputs(w, rng, i);
    int rc = begin(w, &all[i], &op, again, &err);
    if (rc == 0 && test_random_below(rng, 4) == 0) { /* left alone somewhere, or cancelled */
        (void)steps(op, (unsigned)test_random_below(rng, 6), &text, &err);
        free(text);
        if (test_random_below(rng, 2) == 0) {
            ri_op_cancel(op);
        }
        end(&all[i], op);
        return;
    }
    if (rc == 0 && test_random_below(rng, 4) == 0) { /* another run of it meanwhile */
        rille_op *other = NULL;
        char *other_text = NULL;
        int first = steps(op, (unsigned)test_random_below(rng, 4), &text, &err);
        if (first == 0) {
            int other_rc = begin(w, &all[i], &other, again, &err);
            other_rc = other_rc == 0 ? steps(other, UINT32_MAX, &other_text, &err) : other_rc;
            compare(w, queries[i].text, other_rc, other_text, &err);
            end(&all[i], other);
            free(other_text);
        }
        free(text);
        text = NULL;
        ri_op_release(op);
        return;
    }
    rc = rc == 0 ? steps(op, UINT32_MAX, &text, &err) : rc;
    compare(w, queries[i].text, rc, text, &err);
    end(&all[i], op);
    free(text);
}

/* Three databases: two values of one, and one with another schema; they grow, and so does a schema. */
TEST(again__answers_as_a_new_query)
{
    const char *rounds = getenv("RILLE_AGAIN_ROUNDS");
    unsigned count = rounds != NULL ? (unsigned)atoi(rounds) : 3000;
    world w;
    prepared all[QUERIES] = { { NULL, NULL } };
    tally again = { 0 };
    test_rng rng = test_rng_new();
    world_init(&w);
    w.rng = test_rng_new();
    for (int at = 0; at < 3; at++) {
        world_open(&w, at, "");
        world_transact(&w, at, at == 2 ? "[{:db/ident :other :db/valueType :db.type/long}]" : "[]");
        world_transact(&w, at, schema);
        world_transact(&w, at, "[{:u \"u0\"}]");
        put_people(&w, at, 1, at == 1 ? 5 : PEOPLE);
    }
    world_flush(&w, 0);
    ri_db_release(w.db[1]);
    w.db[1] = ri_db_retain(w.db[0]);
    for (size_t i = 0; i < QUERIES; i++) {
        REQUIRE_RC(ri_query_parse(queries[i].text, strlen(queries[i].text), &all[i].query, &test_err), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        if (i % 500 == 499) {
            put_people(&w, 0, PEOPLE + i / 500 * 20, PEOPLE + i / 500 * 20 + 20);
        }
        if (i == count / 2) {
            world_transact(&w, 0, "[{:db/ident :added :db/valueType :db.type/long} {:db/id :n :db/index false}]");
        }
        run_one(&w, &rng, all, &again);
    }
    CHECK(again.all > count / 5);
    CHECK(again.limited > count / 25);
    CHECK(again.tuples > count / 100);
    for (size_t i = 0; i < QUERIES; i++) {
        ri_op_release(all[i].op);
        ri_query_release(all[i].query);
    }
    world_deinit(&w);
}

/* ---- constants ---- */

/* A text that is so long that datoms hold a stub of it. */
static const char *long_text(char fill)
{
    static char text[RI_VALUE_INLINE_MAX + 200];
    memset(text, fill, sizeof text - 1);
    return text;
}

/* Each query has such a text, and runs again and again on one value of the database, one after the other. */
TEST(again__reads_long_constants_again)
{
    static const char *const forms[] = {
        "[:find ?n . :where [?e :s \"%s\"] [?e :n ?n]]",
        "[:find ?n . :where [?e :n ?n] [?e ?a \"%s\"]]",
        "[:find ?n . :where [?e :k :k] [?e :n ?n] [?e :s \"%s\"]]",
        "[:find ?n . :where [?e :n ?n] (or [?e :s \"%s\"] [?e :u \"none\"])]",
        "[:find ?n . :where [?e :n ?n] (not (not [?e :s \"%s\"]))]",
        "[:find ?n . :where [?e :n ?n] [?e :s ?s] [(= ?s \"%s\")]]",
    };
    enum { FORMS = sizeof forms / sizeof *forms, TEXTS = 3 };
    static char text[2 * RI_VALUE_INLINE_MAX];
    prepared all[FORMS][TEXTS] = { { { NULL, NULL } } };
    world w;
    tally again = { 0 };
    world_init(&w);
    world_open(&w, 0, "");
    world_transact(&w, 0, schema);
    for (int i = 0; i < TEXTS; i++) {
        (void)snprintf(text, sizeof text, "[{:n %d :k :k :s [\"%s\" \"short\"]}]", i, long_text((char)('a' + i)));
        world_transact(&w, 0, text);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FORMS * TEXTS; i++) {
            prepared *p = &all[i / TEXTS][i % TEXTS];
            rille_op *op = NULL;
            char *answer = NULL;
            char expected[8];
            (void)snprintf(text, sizeof text, forms[i / TEXTS], long_text((char)('a' + i % TEXTS)));
            if (p->query == NULL) {
                REQUIRE_RC(ri_query_parse(text, strlen(text), &p->query, &test_err), 0);
            }
            world_inputs_clear(&w);
            world_add_db(&w, 0);
            REQUIRE_RC(begin(&w, p, &op, &again, &test_err), 0);
            CHECK_RC(steps(op, UINT32_MAX, &answer, &test_err), RILLE_DONE);
            (void)snprintf(expected, sizeof expected, "[%d]", i % TEXTS);
            CHECK_EQ_STR(answer, expected);
            free(answer);
            end(p, op);
        }
    }
    CHECK(again.all > 0);
    for (int i = 0; i < FORMS * TEXTS; i++) {
        ri_op_release(all[i / TEXTS][i % TEXTS].op);
        ri_query_release(all[i / TEXTS][i % TEXTS].query);
    }
    world_deinit(&w);
}

/* ---- the plan ---- */

/* The first pattern that the plan reads, of [?e :d ?x] [?e :n ?y]. */
static const char *first_read(const rille_op *op)
{
    const ri_stage *stage = op->stages;
    const ri_stage *first = NULL;
    for (; stage != NULL; stage = stage->older) {
        first = stage->clause != NULL ? stage : first;
    }
    return first->clause->terms[RI_POS_A].v.as.p[0] == 'd' ? ":d" : ":n";
}

TEST(again__plans_anew_when_counts_have_changed)
{
    static const char text[] = "[:find (count ?e) . :where [?e :d ?x] [?e :n ?y]]";
    world w;
    prepared p = { NULL, NULL };
    tally again = { 0 };
    world_init(&w);
    world_open(&w, 0, "");
    world_transact(&w, 0, schema);
    world_transact(&w, 0, "[{:d 1.0 :n 1} {:d 2.0} {:n 1} {:n 2} {:n 3}]");
    REQUIRE_RC(ri_query_parse(text, sizeof text - 1, &p.query, &test_err), 0);
    static const unsigned more[] = { 0, 10, 40, 10, 200 };
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++) {
        rille_op *op = NULL;
        char *answer = NULL;
        for (unsigned n = 0; n < more[i]; n++) {
            world_transact(&w, 0, "[{:d 3.0}]");
        }
        world_inputs_clear(&w);
        world_add_db(&w, 0);
        REQUIRE_RC(begin(&w, &p, &op, &again, &test_err), 0);
        CHECK_RC(steps(op, UINT32_MAX, &answer, &test_err), RILLE_DONE);
        CHECK_EQ_STR(answer, "[1]");
        CHECK_EQ_STR(first_read(op), i < 2 ? ":d" : ":n"); /* 12 datoms of :d are few enough, 52 are not */
        free(answer);
        end(&p, op);
        CHECK(p.op != NULL);
    }
    CHECK_EQ_INT(again.all, 4);
    ri_op_release(p.op);
    ri_query_release(p.query);
    world_deinit(&w);
}

static bool count_unit(void *context)
{
    ++*(unsigned *)context;
    return false;
}

/* Mostly one; if the lookups do not tell, counting, the two patterns, the input and :find. */
TEST(again__takes_few_units_to_look_up_a_value)
{
    static const char text[] = "[:find ?n :in $ ?u :where [?e :u ?u] [?e :n ?n]]";
    world w;
    prepared p = { NULL, NULL };
    tally again = { 0 };
    world_init(&w);
    world_open(&w, 0, "");
    world_transact(&w, 0, schema);
    world_transact(&w, 0, "[{:u \"u0\" :n 0}]");
    put_people(&w, 0, 1, PEOPLE);
    REQUIRE_RC(ri_query_parse(text, sizeof text - 1, &p.query, &test_err), 0);
    for (unsigned i = 0; i < 2 * PEOPLE; i++) {
        char name[16];
        char expected[16];
        rille_op *op = NULL;
        char *answer = NULL;
        unsigned units = 0;
        if (i == PEOPLE) {
            world_flush(&w, 0);
        }
        (void)snprintf(name, sizeof name, "\"u%u\"", i % PEOPLE);
        (void)snprintf(expected, sizeof expected, "[%u]", i % PEOPLE % 13);
        world_inputs_clear(&w);
        world_add_db(&w, 0);
        world_add_table(&w, 's', name);
        REQUIRE_RC(begin(&w, &p, &op, &again, &test_err), 0);
        op->options.interrupt = count_unit;
        op->options.context = &units;
        CHECK_RC(steps(op, UINT32_MAX, &answer, &test_err), RILLE_DONE);
        CHECK_EQ_STR(answer, expected);
        CHECK(i == 0 || units <= 8);
        free(answer);
        end(&p, op);
    }
    CHECK_EQ_INT(again.all, 2 * PEOPLE - 1);
    CHECK(!ri_op_rest(p.op)); /* it does already: a run that never began */
    ri_op_release(p.op);
    ri_query_release(p.query);
    world_deinit(&w);
}

/* Runs it for one value, and gives the answer. */
static char *run_for(world *w, prepared *p, const char *input, unsigned *units)
{
    tally again = { 0 };
    rille_op *op = NULL;
    char *answer = NULL;
    world_inputs_clear(w);
    world_add_db(w, 0);
    world_add_table(w, 's', input);
    REQUIRE_RC(begin(w, p, &op, &again, &test_err), 0);
    *units = 0;
    op->options.interrupt = count_unit;
    op->options.context = units;
    CHECK_RC(steps(op, UINT32_MAX, &answer, &test_err), RILLE_DONE);
    end(p, op);
    return answer;
}

/* With u = "u7". looks_up: a second run is one unit, which has neither counts nor stages. */
static const struct {
    const char *text;
    const char *answer;
    bool looks_up;
} points[] = {
    { "[:find ?n :in $ ?u :where [?e :u ?u] [?e :n ?n]]", "[7]", true },
    { "[:find ?n ?k :in $ ?u :where [?e :s \"s2\"] [?e :n ?n] [?e :u ?u] [?e :k ?k]]", "[7 :k3]", true },
    { "[:find ?n :in $ ?u :where [?e :s \"s3\"] [?e :n ?n] [?e :u ?u]]", "", true },
    { "[:find ?x :in $ ?u :where [?e :u ?u] [?e :n] [?e :d ?x]]", "[0.5]", true },
    { "[:find ?v :in $ ?u :where [?e :u ?u] [?e :b ?f] [?f :u ?v]]", "[\"u3\"]", true },
    { "[:find ?v :in $ ?u :where [?f :u ?u] [?e :b1 ?f] [?e :u ?v]]", "[\"u14\"]", true },
    { "[:find ?v :in $ ?u :where [?f :u ?u] [?e :b1 ?f] [?e :b ?f] [?e :u ?v]]", "[\"u14\"]", true },
    { "[:find ?v :in $ ?u :where [?f :u ?u] [?e :b1 ?f] [?f :b ?e] [?e :u ?v]]", "", true },
    { "[:find ?s :in $ ?u :where [?e :u ?u] [?e :s ?s]]", "[\"s2\"] [\"t1\"]", false },
    { "[:find (count ?f) :in $ ?u :where [?e :u ?u] [?e :n ?n] [?f :n ?n]]", "[5]", false },
    { "[:find ?n :in $ ?u :where [?e :u ?u] [?e :n ?n] :limit 0]", "", false },
    { "[:find ?n :in $ ?u :where [?e :u ?u] [?e :n ?n] :offset 1]", "", false },
    { "[:find ?a :in $ ?u :where [?e :u ?u] [?e ?a 7]]", NULL, false },
    { "[:find ?x :in $ ?u :where [?e :u ?u] [?e :n ?n ?x]]", NULL, false },
    { "[:find ?n :in $ ?u :where [?e :u ?u] [?e :n ?n] [?e :d ?n]]", "", false },
};

TEST(again__looks_up_what_has_one_match)
{
    world w;
    world_init(&w);
    world_open(&w, 0, "");
    world_transact(&w, 0, schema);
    world_transact(&w, 0, "[{:u \"u0\"}]");
    put_people(&w, 0, 1, PEOPLE);
    for (int state = 0; state < 4; state++) { /* unflushed, flushed; changed after it, flushed again */
        if (state % 2 == 1) {
            world_flush(&w, 0);
        } else if (state == 2) {
            world_transact(&w, 0, "[[:db/retract [:u \"u7\"] :n 7] [:db/add [:u \"u9\"] :n 0]]");
        }
        for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
            prepared p = { NULL, NULL };
            unsigned units;
            REQUIRE_RC(ri_query_parse(points[i].text, strlen(points[i].text), &p.query, &test_err), 0);
            char *first = run_for(&w, &p, "\"u7\"", &units);
            char *second = run_for(&w, &p, "\"u7\"", &units);
            char *none = run_for(&w, &p, "\"none\"", &units);
            CHECK_EQ_STR(second, first);
            CHECK_EQ_STR(none, "");
            if (state < 2 && points[i].answer != NULL) {
                CHECK_EQ_STR(first, points[i].answer);
            }
            CHECK_EQ_INT(units == 1, points[i].looks_up);
            free(first);
            free(second);
            free(none);
            ri_op_release(p.op);
            ri_query_release(p.query);
        }
    }
    world_deinit(&w);
}

/* ---- from C ---- */

static world *the_world;

/* Prepares, and runs for some values, one after the other. */
static int run_often(const char *text, unsigned runs, bool count, long long *first, long long *last)
{
    rille_query *query = NULL;
    int rc = rille_prepare(text, strlen(text), &query, &test_err);
    for (unsigned i = 0; rc == 0 && i < runs; i++) {
        char uid[8];
        (void)snprintf(uid, sizeof uid, "u%u", i % PEOPLE);
        rille_value v = rille_string(uid);
        rille_input in[] = { { .db = the_world->db[0] }, { .values = &v, .value_count = 1 } };
        rille_result *result = NULL;
        long long before = atomic_load(&test_state.allocations);
        rc = rille_run(query, in, 2, &result, &test_err);
        *last = atomic_load(&test_state.allocations) - before;
        *first = i == 0 ? *last : *first;
        if (rc == 0 && count) {
            CHECK_EQ_INT(rille_result_rows(result), 1);
            CHECK_EQ_INT(rille_result_get(result, 0, 0).u.i, i % PEOPLE % 13);
        }
        rille_result_close(result);
    }
    rille_query_close(query);
    return rc;
}

static const char point[] = "[:find ?n . :in $ ?u :where [?e :u ?u] [?e :n ?n]]";

static int run_thrice(void)
{
    long long first;
    long long last;
    return run_often(point, 3, false, &first, &last);
}

TEST(again__needs_no_memory_for_another_run)
{
    long long first = 0;
    long long last = 0;
    world w;
    world_init(&w);
    the_world = &w;
    world_open(&w, 0, "");
    world_transact(&w, 0, schema);
    world_transact(&w, 0, "[{:u \"u0\" :n 0}]");
    put_people(&w, 0, 1, PEOPLE);
    world_flush(&w, 0);
    CHECK_RC(run_often(point, 2 * PEOPLE, true, &first, &last), 0);
    CHECK(last * 3 <= first); /* little but the result */
    TEST_FAULT_SWEEP(run_thrice());
    world_deinit(&w);
}

TEST_MAIN(again__looks_up_what_has_one_match, again__reads_long_constants_again, again__answers_as_a_new_query,
          again__plans_anew_when_counts_have_changed, again__takes_few_units_to_look_up_a_value,
          again__needs_no_memory_for_another_run)
