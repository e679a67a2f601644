/* SPDX-License-Identifier: MIT
 *
 * Inputs and values as a careless C program passes them: each kind for each place of :in, and values of every type with
 * contents that cannot be.
 */
#include "test_query_calls.h"

#include <math.h>

/* ---- inputs ---- */

enum { NOTHING, DB, ONE, TWO, THREE, NONE_OF_THEM, RULES, DB_AND_VALUES, VALUES_NULL, TOO_MANY, INPUT_KINDS };

static void make_input(const world *w, int kind, rille_input *out)
{
    static rille_value values[3];
    for (int i = 0; i < 3; i++) {
        values[i] = rille_long(i + 1);
    }
    memset(out, 0, sizeof *out);
    if (kind == DB || kind == DB_AND_VALUES) {
        out->db = w->db;
    }
    if (kind == ONE || kind == TWO || kind == THREE || kind == NONE_OF_THEM || kind == DB_AND_VALUES) {
        out->values = values;
        out->value_count = kind == ONE ? 1 : kind == TWO ? 2 : kind == THREE ? 3 : 0;
    }
    if (kind == RULES) {
        out->rules = "[[(r ?p) [?p :p/age]]]";
        out->rules_len = strlen(out->rules);
    }
    if (kind == VALUES_NULL || kind == TOO_MANY) {
        static const rille_value one = { { .i = 1 }, 0, RILLE_TYPE_LONG };
        out->values = kind == TOO_MANY ? &one : NULL;
        out->value_count = kind == TOO_MANY ? SIZE_MAX - SIZE_MAX % 6 : 1;
    }
}

TEST(inputs__check_each_kind_of_input_against_in)
{
#define I RILLE_INPUT
#define M RILLE_MISUSE
#define L RILLE_LIMIT
    static const struct {
        const char *text;
        int expected[INPUT_KINDS];
    } rows[] = {
        /*                                          nothing db one two three none rules both NULL many */
        { "[:find ?p :in $ :where [?p :p/age]]", { I, 0, I, I, I, I, I, M, I, I } },
        { "[:find ?p :in $ :where [?p :p/age _] [?p :p/name]]", { I, 0, I, I, I, I, I, M, I, I } },
        { "[:find ?x :in ?x]", { I, I, 0, I, I, I, I, M, M, L } },
        { "[:find ?x :in [?x ...]]", { 0, I, 0, 0, 0, 0, I, M, M, L } },
        { "[:find ?x ?y :in [?x ?y]]", { I, I, I, 0, I, I, I, M, M, L } },
        { "[:find ?x ?y ?z :in [?x ?y ?z]]", { I, I, I, I, 0, I, I, M, M, L } },
        { "[:find ?x ?y :in [[?x ?y]]]", { 0, I, I, 0, I, 0, I, M, M, L } },
        { "[:find ?x :in [[?x _ _]]]", { 0, I, I, I, 0, 0, I, M, M, L } },
    };
#undef I
#undef M
#undef L
    world w;
    world_init(&w, "mem:");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rille_query *query = NULL;
        REQUIRE_RC(rille_prepare(rows[i].text, strlen(rows[i].text), &query, &test_err), 0);
        for (int kind = 0; kind < INPUT_KINDS; kind++) {
            rille_input input;
            rille_result *result = JUNK;
            rille_steps *steps = JUNK;
            make_input(&w, kind, &input);
            int rc = rille_run(query, &input, 1, &result, &test_err);
            if (rc != rows[i].expected[kind]) {
                test_failed_at(__FILE__, __LINE__);
                (void)fprintf(stderr, "%s with input kind %d gave %s (%s)\n", rows[i].text, kind, rille_code_name(rc),
                              rc < 0 ? test_err.message : "");
            }
            CHECK_RC(rille_start(query, &input, 1, &steps, &test_err), rows[i].expected[kind]);
            CHECK(rc == 0 || (result == NULL && steps == NULL));
            rille_result_close(rc == 0 ? result : NULL);
            rille_steps_close(rc == 0 ? steps : NULL);
        }
        rille_query_close(query);
    }
    world_deinit(&w);
}

TEST(inputs__check_rules_and_the_number_of_inputs)
{
    static const char text[] = "[:find ?p :in $ % :where (r ?p)]";
    static const size_t counts[] = { 0, 1, 3, 1000, SIZE_MAX };
    world w;
    rille_query *query = NULL;
    rille_result *result = NULL;
    rille_input inputs[2];
    world_init(&w, "mem:");
    REQUIRE_RC(rille_prepare(text, sizeof text - 1, &query, &test_err), 0);
    make_input(&w, DB, &inputs[0]);
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        make_input(&w, kind, &inputs[1]);
        int expected = kind == RULES ? 0 : kind == DB_AND_VALUES ? RILLE_MISUSE : RILLE_INPUT;
        CHECK_RC(rille_run(query, inputs, 2, &result, &test_err), expected);
        rille_result_close(result);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rille_steps *steps = JUNK;
        CHECK_RC(rille_run(query, inputs, counts[i], &result, &test_err), RILLE_INPUT);
        CHECK_RC(rille_run(query, NULL, counts[i], &result, &test_err), counts[i] == 0 ? RILLE_INPUT : RILLE_MISUSE);
        CHECK_RC(rille_start(query, inputs, counts[i], &steps, &test_err), RILLE_INPUT);
        CHECK(result == NULL && steps == NULL);
    }
    rille_query_close(query);
    world_deinit(&w);
}

TEST(inputs__read_rows_of_values)
{
    static const char text[] = "[:find ?x ?y :in [[?x ?y]] :order-by [?x]]";
    rille_query *query = NULL;
    rille_result *result = NULL;
    rille_value values[4] = { rille_long(1), rille_string("one"), rille_long(2), rille_string("two") };
    rille_input input = { .values = values, .value_count = 4 };
    REQUIRE_RC(rille_prepare(text, sizeof text - 1, &query, &test_err), 0);
    REQUIRE_RC(rille_run(query, &input, 1, &result, &test_err), 0);
    REQUIRE(rille_result_rows(result) == 2);
    rille_value two = rille_result_get(result, 1, 1);
    CHECK_EQ_INT(rille_result_get(result, 0, 0).u.i, 1);
    CHECK_EQ_MEM(two.u.bytes, two.len, "two", 3);
    rille_result_close(result);
    rille_query_close(query);
}

/* ---- values ---- */

static void try_value(world *w, rille_query *query, const rille_value *value, bool *passed)
{
    rille_input input = { .values = value, .value_count = 1 };
    rille_result *result = JUNK;
    uint64_t e = 0;
    int rc = rille_run(query, &input, 1, &result, &test_err);
    CHECK(rc == 0 || rc == RILLE_TYPE || rc == RILLE_LIMIT);
    if (rc == 0) {
        CHECK_EQ_INT(rille_result_get(result, 0, 0).type, value->type);
    }
    rille_result_close(rc == 0 ? result : NULL);
    int looked_up = rille_db_lookup(w->db, "p/name", value, &e, &test_err);
    CHECK(looked_up == 0 || looked_up == RILLE_TYPE || looked_up == RILLE_LIMIT);
    CHECK(looked_up < 0 || e == 0);
    *passed = rc == 0;
}

TEST(inputs__check_values_of_every_type)
{
    static const char text[] = "[:find ?x :in ?x]";
    static const unsigned char bytes[] = { 0xff, 0xfe, 0x00, 0x80, 0x0a, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0x7f, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07 };
    static const size_t lens[] = { 0, 1, 2, 4, 8, 15, 16, 17, sizeof bytes, SIZE_MAX };
    static const int64_t words[] = { INT64_MIN, -1, 0, 1, 2, INT64_C(1) << 53, INT64_MAX };
    world w;
    rille_query *query = NULL;
    bool passed;
    world_init(&w, "mem:");
    REQUIRE_RC(rille_prepare(text, sizeof text - 1, &query, &test_err), 0);
    for (int type = 0; type < 300; type++) {
        rille_value value = { { .i = 0 }, 0, (rille_type)type };
        bool is_word = type <= RILLE_TYPE_DOUBLE || type == RILLE_TYPE_INSTANT || type == RILLE_TYPE_REF;
        for (size_t i = 0; is_word && i < sizeof words / sizeof *words; i++) {
            value.u.i = words[i];
            try_value(&w, query, &value, &passed);
            CHECK(!passed || type != RILLE_TYPE_NIL);
        }
        for (size_t i = 0; !is_word && i < sizeof lens / sizeof *lens; i++) {
            value.u.bytes = i % 2 == 0 ? bytes : NULL;
            value.len = lens[i];
            try_value(&w, query, &value, &passed);
            CHECK(!passed || (type <= RILLE_TYPE_FLOATS && type != 11 && type != 13));
            value.u.bytes = lens[i] <= sizeof bytes ? bytes : NULL;
            try_value(&w, query, &value, &passed);
        }
    }
    rille_value nan = rille_double((double)NAN);
    try_value(&w, query, &nan, &passed);
    CHECK(!passed);
    rille_query_close(query);
    world_deinit(&w);
}

TEST_MAIN(inputs__check_each_kind_of_input_against_in, inputs__check_rules_and_the_number_of_inputs,
          inputs__read_rows_of_values, inputs__check_values_of_every_type)
