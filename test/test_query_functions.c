/* SPDX-License-Identifier: MIT
 *
 * Built-in functions: tables of calls as EDN text with their results, each tried with constants, with columns, and with
 * columns of mixed types; and comparisons of random values against the order of values.
 */
#include "harness.h"

#include "../src/core/data/edn.h"
#include "../src/core/query/functions.h"

#define ROWS 5U
#define ARGS_MAX 8U

typedef struct call {
    ri_arena arena;
    const ri_builtin *f;
    ri_value args[ARGS_MAX];
    unsigned count;
} call;

static int apply(const ri_builtin *f, const ri_arg *args, unsigned count, uint32_t rows, ri_arena *arena, ri_vec *out,
                 uint8_t *keep)
{
    const ri_fn_call frame = { args, count, rows, arena };
    return f->filter != NULL ? f->filter(&frame, keep, &test_err) : f->map(&frame, out, &test_err);
}

/* A vector becomes a tuple. */
static ri_value value_of(ri_arena *arena, const ri_form *form)
{
    if (form->kind == RI_FORM_VALUE) {
        return form->u.v;
    }
    ri_buf buf = { 0 };
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        ri_value v = value_of(arena, &form->u.seq.items[i]);
        ri_value_write(&buf, &v);
    }
    ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
    REQUIRE(ri_value_copy(arena, &tuple, &tuple));
    ri_buf_deinit(&buf);
    return tuple;
}

static void read_call(call *c, const char *text)
{
    ri_form form;
    *c = (call){ 0 };
    REQUIRE_RC(ri_edn_read(&c->arena, text, strlen(text), &form, &test_err), RILLE_OK);
    const ri_form *items = form.u.seq.items;
    char name[32] = { 0 };
    memcpy(name, items[0].u.v.as.p, items[0].u.v.len);
    c->f = ri_builtin_find(name);
    REQUIRE(c->f != NULL);
    c->count = form.u.seq.count - 1;
    REQUIRE(c->count <= ARGS_MAX && c->count >= (unsigned)c->f->arity_min);
    for (unsigned i = 0; i < c->count; i++) {
        c->args[i] = value_of(&c->arena, &items[i + 1]);
    }
}

/* Bit i of `columns`: argument i is a column; bit i of `mixed`: one of type RI_MIXED. */
static int run(call *c, unsigned columns, unsigned mixed, ri_vec *out, uint8_t *keep)
{
    ri_arg args[ARGS_MAX];
    ri_vec vecs[ARGS_MAX];
    for (unsigned i = 0; i < c->count; i++) {
        args[i] = (ri_arg){ NULL, c->args[i] };
        if ((columns >> i & 1) != 0) {
            REQUIRE(ri_vec_init(&vecs[i], &c->arena, ROWS));
            ri_vec_fill(&vecs[i], ROWS, &c->args[i]);
            if ((mixed >> i & 1) != 0) {
                memset(vecs[i].types, vecs[i].type, ROWS);
                vecs[i].type = RI_MIXED;
            }
            args[i].vec = &vecs[i];
        }
    }
    REQUIRE(ri_vec_init(out, &c->arena, ROWS));
    memset(keep, 7, ROWS);
    return apply(c->f, args, c->count, ROWS, &c->arena, out, keep);
}

static void check_result(const call *c, const ri_vec *out, const uint8_t *keep, const char *text, const char *expected)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        ri_buf buf = { 0 };
        if (c->f->filter != NULL) {
            CHECK(keep[row] <= 1);
            ri_buf_put_text(&buf, keep[row] == 1 ? "true" : "false");
        } else {
            ri_value v = ri_vec_get(out, row);
            CHECK(ri_value_valid(&v));
            ri_edn_write_value(&buf, &v);
        }
        ri_buf_put_u8(&buf, 0);
        if (strcmp((char *)buf.p, expected) != 0) {
            CHECK_EQ_STR(text, "a call that fails");
            CHECK_EQ_STR((char *)buf.p, expected);
        }
        ri_buf_deinit(&buf);
    }
}

/* expected: the result as EDN, or "!CODE text of the message". */
static void check_call(const char *text, const char *expected)
{
    call c;
    read_call(&c, text);
    unsigned all = (1U << c.count) - 1;
    for (unsigned columns = 0; columns <= all; columns++) {
        for (unsigned mixed = columns;; mixed = (mixed - 1) & columns) {
            ri_vec out;
            uint8_t keep[ROWS];
            test_err = (rille_err){ 0 };
            int rc = run(&c, columns, mixed, &out, keep);
            if (expected[0] == '!') {
                char got[RILLE_ERR_MESSAGE_SIZE + 32];
                (void)snprintf(got, sizeof got, "!%s %s", rille_code_name(rc), test_err.message);
                if (strncmp(got, expected, strlen(expected)) != 0) {
                    CHECK_EQ_STR(text, "a call that should fail otherwise");
                    CHECK_EQ_STR(got, expected);
                }
            } else {
                CHECK_RC(rc, RILLE_OK);
                check_result(&c, &out, keep, text, expected);
            }
            if (mixed == 0) {
                break;
            }
        }
    }
    ri_arena_deinit(&c.arena);
}

typedef struct example {
    const char *call;
    const char *expected;
} example;

static void check_all(const example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_call(examples[i].call, examples[i].expected);
    }
}
#define CHECK_ALL(examples) check_all((examples), sizeof(examples) / sizeof *(examples))

TEST(functions__compare_values)
{
    static const example examples[] = {
        { "(= 1 1)", "true" },
        { "(= 1 1.0 1)", "true" },
        { "(= 1 \"1\")", "false" },
        { "(= nil nil)", "true" },
        { "(= \"a\" \"a\")", "true" },
        { "(= :a a)", "false" },
        { "(= 1 1 2)", "false" },
        { "(= 5)", "true" },
        { "(== 2 2.0)", "true" },
        { "(!= 1 2)", "true" },
        { "(not= 1 1.0)", "false" },
        { "(not= 1 1 2)", "true" },
        { "(not= 1)", "false" },
        { "(< 1 2)", "true" },
        { "(< 1 10 9)", "false" },
        { "(< 1 5 10)", "true" },
        { "(< 9007199254740993 9007199254740992.0)", "false" },
        { "(> 9007199254740993 9007199254740992.0)", "true" },
        { "(< 1.5 2)", "true" },
        { "(<= 2 2.0)", "true" },
        { "(>= 2.5 2.5)", "true" },
        { "(> 2.5 2.5)", "false" },
        { "(< \"abc\" \"abd\")", "true" },
        { "(> \"b\" \"abd\")", "true" },
        { "(< :a :b)", "true" },
        { "(< [1 2] [1 3])", "true" },
        { "(< false true)", "true" },
        { "(< 1N 99999999999999999999)", "true" },
        { "(< #inst \"2020\" #inst \"2021\")", "true" },
        { "(< 1 \"a\")", "!TYPE < cannot order 1 and \"a\" (a long and a string)" },
        { "(>= nil 1)", "!TYPE" },
        { "(<= nil nil)", "!TYPE" },
        { "(< 1)", "true" },
        { "(compare 1 2)", "-1" },
        { "(compare \"b\" \"a\")", "1" },
        { "(compare 2 2.0)", "0" },
        { "(compare nil 2)", "-1" },
    };
    CHECK_ALL(examples);
}

TEST(functions__count_exactly)
{
    static const example examples[] = {
        { "(+ 1 2)", "3" },
        { "(+ 1 2 3.5 4)", "10.5" },
        { "(+ 1 2 3 4 5)", "15" },
        { "(+ 7)", "7" },
        { "(- 7)", "-7" },
        { "(- 7 2 1)", "4" },
        { "(* 7)", "7" },
        { "(* 3 4 5)", "60" },
        { "(* 0.5 4)", "2.0" },
        { "(/ 6 3)", "2" },
        { "(/ 7 2)", "3.5" },
        { "(/ 2)", "0.5" },
        { "(/ 1.0 4)", "0.25" },
        { "(quot -7 2)", "-3" },
        { "(rem -7 2)", "-1" },
        { "(mod -7 2)", "1" },
        { "(mod 7 -2)", "-1" },
        { "(mod -7.5 2)", "0.5" },
        { "(rem -7.5 2)", "-1.5" },
        { "(quot 7.5 2)", "3.0" },
        { "(rem 5 -1)", "0" },
        { "(quot 5 -1)", "-5" },
        { "(inc 1)", "2" },
        { "(dec 1.5)", "0.5" },
        { "(abs -4)", "4" },
        { "(abs -4.5)", "4.5" },
        { "(abs 4)", "4" },
        { "(min 3 1.5 2)", "1.5" },
        { "(max 3 1.5 2)", "3" },
        { "(max 4)", "4" },
        { "(min 1 1.0)", "1" },
        { "(long 3.9)", "3" },
        { "(long -3.9)", "-3" },
        { "(double 3)", "3.0" },
        { "(double 1.5M)", "1.5" },
        { "(double 99999999999999999999)", "100000000000000000000.0" },
        { "(+ 9223372036854775807 0)", "9223372036854775807" },
        { "(+ 9223372036854775807 1)", "!LIMIT (+ 9223372036854775807 1) overflows" },
        { "(+ -9223372036854775808 -1)", "!LIMIT" },
        { "(- -9223372036854775808 1)", "!LIMIT" },
        { "(- -9223372036854775808)", "!LIMIT" },
        { "(abs -9223372036854775808)", "!LIMIT" },
        { "(* 4611686018427387904 2)", "!LIMIT" },
        { "(* -4611686018427387904 2)", "-9223372036854775808" },
        { "(quot -9223372036854775808 -1)", "!LIMIT" },
        { "(rem -9223372036854775808 -1)", "0" },
        { "(/ -9223372036854775808 -1)", "!LIMIT" },
        { "(* 1e308 10)", "!LIMIT" },
        { "(/ 1 0)", "!FUNCTION (/ 1 0) divides by zero" },
        { "(/ 1.0 0)", "!FUNCTION" },
        { "(mod 1 0)", "!FUNCTION" },
        { "(quot 1 0.0)", "!FUNCTION" },
        { "(+ 1 \"a\")", "!TYPE function + expects numbers, got \"a\" (a string)" },
        { "(+ nil 1)", "!TYPE" },
        { "(+ 1.5M 1)", "!TYPE function + expects longs or doubles" },
        { "(inc :a)", "!TYPE" },
        { "(long 1e30)", "!TYPE" },
        { "(pos? 1)", "true" },
        { "(pos? 0.0)", "false" },
        { "(neg? -1.5M)", "true" },
        { "(zero? 0.0)", "true" },
        { "(even? 4)", "true" },
        { "(odd? -3)", "true" },
        { "(even? 1.5)", "!TYPE" },
    };
    CHECK_ALL(examples);
}

TEST(functions__work_on_strings)
{
    static const example examples[] = {
        { "(str \"a\" 1 :k nil 2.5 [1 \"b\"])", "\"a1:k2.5[1 \\\"b\\\"]\"" },
        { "(str \"\")", "\"\"" },
        { "(subs \"hallo\" 1)", "\"allo\"" },
        { "(subs \"hallo\" 1 3)", "\"al\"" },
        { "(subs \"h\xc3\xa4llo\" 1 2)", "\"\xc3\xa4\"" },
        { "(subs \"abc\" 3)", "\"\"" },
        { "(subs \"abc\" 4)", "!FUNCTION function subs: positions 4 to 4" },
        { "(subs \"abc\" 2 1)", "!FUNCTION" },
        { "(subs \"abc\" -1)", "!FUNCTION" },
        { "(subs \"abc\" :a)", "!TYPE" },
        { "(upper-case \"abc z{\")", "\"ABC Z{\"" },
        { "(lower-case \"ABC Z[\")", "\"abc z[\"" },
        { "(upper-case 5)", "!TYPE function upper-case expects a string, got 5 (a long)" },
        { "(trim \"  a b \\n\")", "\"a b\"" },
        { "(trim \"\")", "\"\"" },
        { "(split \"a,b,,c\" \",\")", "[\"a\" \"b\" \"\" \"c\"]" },
        { "(split \"abc\" \"--\")", "[\"abc\"]" },
        { "(split \"a--b\" \"--\")", "[\"a\" \"b\"]" },
        { "(split \"a\" \"\")", "!TYPE" },
        { "(join [1 \"a\" :b])", "\"1a:b\"" },
        { "(join \", \" [1 \"a\" :b])", "\"1, a, :b\"" },
        { "(join \", \" [])", "\"\"" },
        { "(starts-with? \"abc\" \"ab\")", "true" },
        { "(starts-with? \"abc\" \"abcd\")", "false" },
        { "(ends-with? \"abc\" \"bc\")", "true" },
        { "(ends-with? \"abc\" \"b\")", "false" },
        { "(includes? \"abcabd\" \"abd\")", "true" },
        { "(includes? \"abc\" \"\")", "true" },
        { "(includes? \"\" \"a\")", "false" },
        { "(includes? \"aab\" \"ab\")", "true" },
        { "(includes? :a \"a\")", "!TYPE" },
        { "(blank? \" \\t\")", "true" },
        { "(blank? \"\")", "true" },
        { "(blank? \" a\")", "false" },
        { "(count \"abc\")", "3" },
        { "(empty? \"\")", "true" },
    };
    CHECK_ALL(examples);
}

TEST(functions__map_cases_of_other_letters)
{
    static const char *const pairs[][2] = {
        { "\xc3\xa4\xc3\xb6\xc3\xbc", "\xc3\x84\xc3\x96\xc3\x9c" },
        { "\xce\xb1\xcf\x89", "\xce\x91\xce\xa9" },
        { "\xd0\xb6\xd1\x8f\xd1\x91", "\xd0\x96\xd0\xaf\xd0\x81" },
        { "\xc4\x8d\xc5\xbe\xc5\x82", "\xc4\x8c\xc5\xbd\xc5\x81" },
        { "\xe6\x97\xa5\xf0\x9f\x98\x80", "\xe6\x97\xa5\xf0\x9f\x98\x80" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        for (int up = 0; up < 2; up++) {
            ri_arena arena = { 0 };
            ri_vec out;
            const char *from = pairs[i][1 - up];
            ri_arg arg = { NULL, ri_bytes_value(RI_STRING, from, strlen(from)) };
            REQUIRE(ri_vec_init(&out, &arena, 1));
            const ri_builtin *f = ri_builtin_find(up ? "upper-case" : "lower-case");
            CHECK_RC(apply(f, &arg, 1, 1, &arena, &out, NULL), RILLE_OK);
            ri_value v = ri_vec_get(&out, 0);
            CHECK_EQ_MEM(v.as.p, v.len, pairs[i][up], strlen(pairs[i][up]));
            ri_arena_deinit(&arena);
        }
    }
}

TEST(functions__work_on_any_value)
{
    static const example examples[] = {
        { "(identity \"a\")", "\"a\"" },
        { "(ground 5)", "5" },
        { "(tuple 1 \"a\" [2])", "[1 \"a\" [2]]" },
        { "(untuple [1 2])", "[1 2]" },
        { "(count [1 [2 3] nil])", "3" },
        { "(count nil)", "0" },
        { "(count 5)", "!TYPE" },
        { "(empty? [])", "true" },
        { "(empty? [1])", "false" },
        { "(contains? [1 2.0 \"a\"] 2)", "true" },
        { "(contains? [1 2.0 \"a\"] \"b\")", "false" },
        { "(contains? 5 5)", "!TYPE" },
        { "(get [1 2 3] 1)", "2" },
        { "(nth [1 \"b\" 3] 1)", "\"b\"" },
        { "(get [1 2] 2)", "nil" },
        { "(get [1 2] -1 :none)", ":none" },
        { "(get \"a\" 0)", "!TYPE" },
        { "(nil? nil)", "true" },
        { "(nil? false)", "false" },
        { "(some? 1)", "true" },
        { "(true? true)", "true" },
        { "(true? 1)", "false" },
        { "(false? false)", "true" },
        { "(false? nil)", "false" },
        { "(not nil)", "true" },
        { "(not 0)", "false" },
        { "(keyword \"a\")", ":a" },
        { "(keyword \"a\" \"b\")", ":a/b" },
        { "(keyword :a/b)", ":a/b" },
        { "(keyword \"a b\")", "!TYPE" },
        { "(keyword 5)", "!TYPE" },
        { "(name :a/b)", "\"b\"" },
        { "(name :a)", "\"a\"" },
        { "(name \"a/b\")", "\"a/b\"" },
        { "(namespace :a/b)", "\"a\"" },
        { "(namespace :a)", "nil" },
        { "(namespace \"a\")", "!TYPE" },
    };
    CHECK_ALL(examples);
}

TEST(functions__take_entity_ids_as_numbers)
{
    ri_arena arena = { 0 };
    ri_vec ids;
    ri_vec out;
    REQUIRE(ri_vec_init(&ids, &arena, 2) && ri_vec_init(&out, &arena, 2));
    ri_value seven = ri_ref(7);
    ri_vec_fill(&ids, 2, &seven);
    ri_arg args[] = { { &ids, ri_nil() }, { NULL, ri_long(7) } };
    uint8_t keep[2];
    CHECK_RC(apply(ri_builtin_find("="), args, 2, 2, &arena, NULL, keep), RILLE_OK);
    CHECK(keep[0] == 1 && keep[1] == 1);
    CHECK_RC(apply(ri_builtin_find("+"), args, 2, 2, &arena, &out, NULL), RILLE_OK);
    CHECK(out.type == RI_LONG && out.words[1] == 14);
    args[1].value = ri_double(7.5);
    CHECK_RC(apply(ri_builtin_find("<"), args, 2, 2, &arena, NULL, keep), RILLE_OK);
    CHECK(keep[0] == 1);
    ri_arena_deinit(&arena);
}

/* ---- random columns ---- */

static ri_value random_value(test_rng *rng, unsigned kind)
{
    int64_t i = (int64_t)test_random_below(rng, 5) - 2;
    switch (kind) {
    case 0:
        return ri_long(i);
    case 1:
        return ri_double((double)i / 2);
    case 2:
        return ri_ref((uint64_t)(i + 2));
    default:
        return ri_bytes_value(RI_STRING, &"abab"[(i + 2) / 2], 2);
    }
}

TEST(functions__filter_random_columns_as_the_order_of_values_says)
{
    enum { N = 64 };
    static const char *const names[] = { "=", "!=", "<", ">", "<=", ">=" };
    test_rng rng = test_rng_new();
    for (int round = 0; round < 600; round++) {
        ri_arena arena = { 0 };
        ri_vec vecs[2];
        ri_arg args[2];
        unsigned relation = (unsigned)test_random_below(&rng, 6);
        unsigned kinds = relation < 2 ? 4 : 3;
        for (int a = 0; a < 2; a++) {
            unsigned kind = (unsigned)test_random_below(&rng, kinds + 1);
            REQUIRE(ri_vec_init(&vecs[a], &arena, N));
            for (uint32_t i = 0; i < N; i++) {
                ri_value v = random_value(&rng, kind < kinds ? kind : (unsigned)test_random_below(&rng, kinds));
                ri_vec_set(&vecs[a], i, &v);
            }
            args[a] = (ri_arg){ test_random_below(&rng, 3) == 0 ? NULL : &vecs[a], ri_vec_get(&vecs[a], 0) };
        }
        uint8_t keep[N];
        CHECK_RC(apply(ri_builtin_find(names[relation]), args, 2, N, &arena, NULL, keep), RILLE_OK);
        for (uint32_t i = 0; i < N; i++) {
            ri_value a = ri_plain(args[0].vec != NULL ? ri_vec_get(args[0].vec, i) : args[0].value);
            ri_value b = ri_plain(args[1].vec != NULL ? ri_vec_get(args[1].vec, i) : args[1].value);
            int order = ri_value_cmp(&a, &b);
            bool expected[] = { order == 0, order != 0, order<0, order> 0, order <= 0, order >= 0 };
            CHECK(keep[i] == expected[relation]);
        }
        ri_arena_deinit(&arena);
    }
}

TEST(functions__add_columns_of_longs)
{
    enum { N = 50 };
    test_rng rng = test_rng_new();
    for (int round = 0; round < 200; round++) {
        ri_arena arena = { 0 };
        ri_vec a;
        ri_vec b;
        ri_vec out;
        REQUIRE(ri_vec_init(&a, &arena, N) && ri_vec_init(&b, &arena, N) && ri_vec_init(&out, &arena, N));
        for (uint32_t i = 0; i < N; i++) {
            ri_value x = ri_long((int64_t)test_random_below(&rng, 1 << 20) - (1 << 19));
            ri_value y = ri_long((int64_t)test_random_below(&rng, 1 << 20) - (1 << 19));
            ri_vec_set(&a, i, &x);
            ri_vec_set(&b, i, &y);
        }
        bool with_const = round % 2 == 0;
        ri_arg args[] = { { &a, ri_nil() }, { with_const ? NULL : &b, ri_long(9) } };
        static const char *const names[] = { "+", "-", "*" };
        CHECK_RC(apply(ri_builtin_find(names[round % 3]), args, 2, N, &arena, &out, NULL), RILLE_OK);
        for (uint32_t i = 0; i < N; i++) {
            int64_t x = (int64_t)a.words[i];
            int64_t y = with_const ? 9 : (int64_t)b.words[i];
            int64_t expected[] = { x + y, x - y, x * y };
            CHECK_EQ_INT(out.words[i], expected[round % 3]);
        }
        ri_arena_deinit(&arena);
    }
}

TEST(functions__unknown_ones_are_not_found)
{
    CHECK(ri_builtin_find("system") == NULL);
    CHECK(ri_builtin_find("") == NULL);
}

static void check_suggests(const char *name, const char *expected)
{
    ri_suggest suggest = ri_suggest_for(name, strlen(name));
    ri_builtin_suggest(&suggest);
    CHECK_EQ_STR(suggest.best == NULL ? "" : suggest.best, expected);
}

TEST(functions__suggest_the_nearest_name)
{
    check_suggests("uper-case", "upper-case");
    check_suggests("lower", "lower-case");
    check_suggests("starts-whit?", "starts-with?");
    check_suggests("getelse", "get-else");
    check_suggests("f", ""); /* not "=" */
    check_suggests("", "");
    check_suggests("frobnicate", "");
}

TEST_MAIN(functions__compare_values, functions__count_exactly, functions__work_on_strings,
          functions__map_cases_of_other_letters, functions__work_on_any_value, functions__take_entity_ids_as_numbers,
          functions__filter_random_columns_as_the_order_of_values_says, functions__add_columns_of_longs,
          functions__unknown_ones_are_not_found, functions__suggest_the_nearest_name)
