/* SPDX-License-Identifier: MIT
 *
 * Ranges of an index that predicates cut out: the answer is that of the predicate alone, for each type of attribute,
 * each relation and each constant, whether the constant is written, an input, a column or an argument of a rule.
 */
#include "test_query_world.h"

#include <inttypes.h>

#define LONG_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* as much as a stub has */
#define VALUES_MAX 32

typedef struct kind {
    const char *attr;
    const char *type; /* as in :db.type/ */
    const char *more;
    const char *values; /* EDN; * stands for 1,100 bytes more */
    const char *others; /* constants that no value equals */
} kind;

/* On one side of each border of the order there is a value, on the other a constant. */
static const kind kinds[] = {
    { ":n", "long", "", "-9223372036854775808 -7 -1 0 1 2 3 9007199254740993 9223372036854775807",
      "-9223372036854775809N -7.5 -0.0 0.5 2.0 2.5M 3.0M 4N 9007199254740992.0 9223372036854775808N 1e300 ##Inf "
      "##-Inf" },
    { ":d", "double", "", "-1e300 -1.5 -0.0 5e-324 0.5 1.0 2.0 9007199254740992.0 1e300 ##Inf ##-Inf",
      "-2 0 1 2 3N 0.5M 0.50000000000000000000001M 9007199254740993 1e301 1e-400M 99999999999999999999N" },
    { ":b", "bigint", ":db/index true", "-99999999999999999999N -5N 0N 7N 99999999999999999999N 100000000000000000000N",
      "-5 0 0.5 7.0 7.5M 1e20 99999999999999999999.5M ##Inf ##-Inf" },
    { ":m", "bigdec", ":db/index true", "-1.5M 0M 0.1M 0.10000000000000000000001M 2M 99999999999999999999.5M",
      "-2 0 0.1 0.5 2N 2.0 1e20 100000000000000000000N ##Inf" },
    { ":s", "string", ":db/index true",
      "\"\" \"a\" \"ab\" \"b\" \"\xc3\xa9\" \"a*\" \"" LONG_A "\" \"" LONG_A "a\" \"" LONG_A "*\" \"" LONG_A
      "b*\" \"" LONG_A "bb*\" \"\xf4\x8f\xbf\xbf\"",
      "\"aa\" \"b*\" \"" LONG_A "b\" \"" LONG_A "*b\" \"" LONG_A "a*\" \"" LONG_A "c*\"" },
    { ":u", "string", ":db/unique :db.unique/value", "\"k1\" \"k10\" \"k11\" \"k2\" \"k20\"", "\"k\" \"k1z\" \"l\"" },
    { ":by", "bytes", ":db/index true", "#bytes \"\" #bytes \"AA==\" #bytes \"/w==\" #bytes \"//8=\"",
      "#bytes \"/wA=\"" },
    { ":k", "keyword", ":db/index true", ":a :a/b :b :c/d", ":a/c :aa :z" },
    { ":i", "instant", "", "#inst \"1969-01-01\" #inst \"1970-01-01\" #inst \"2026-11-01\"", "#inst \"2026-01-01\"" },
    { ":id", "uuid", ":db/index true",
      "#uuid \"00000000-0000-0000-0000-000000000001\" #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
      "#uuid \"10000000-0000-0000-0000-000000000001\"" },
    { ":t", "boolean", "", "true false", "" },
    { ":sy", "symbol", ":db/index true", "a a/b b", "aa c" },
    { ":tp", "tuple", ":db/index true", "[1] [1 2] [1 [2]] [1 \"a\"] [1 \"" LONG_A "a\"] [:k 1.5]",
      "[0] [1.0 3] [1 \"" LONG_A "\"] [:k]" },
    { ":many", "long", ":db/cardinality :db.cardinality/many", "1 5 6 9", "0 2 7.5" },
    { ":plain", "string", "", "\"a\" \"b\" \"bc\"", "\"bb\"" }, /* in no index by value */
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const char *const relations[] = { "<", ">", "<=", ">=", "=", "starts-with?" };
#define RELATIONS (sizeof relations / sizeof *relations)

/* ---- the data ---- */

typedef struct values {
    ri_value items[VALUES_MAX];
    const char *texts[VALUES_MAX]; /* the same as EDN */
    unsigned count;
} values;

static ri_arena arena;

/* With each * written out. */
static const char *written_out(const char *text)
{
    char *out = ri_arena_alloc(&arena, strlen(text) + 16U * 1100U);
    size_t len = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '*') {
            out[len++] = *p;
            continue;
        }
        for (unsigned i = 0; i < 1100; i++) {
            out[len++] = 'x';
        }
    }
    out[len] = '\0';
    return out;
}

static void read_tuple(const ri_form *form, ri_value *out)
{
    ri_buf bytes = { 0 };
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        const ri_form *item = &form->u.seq.items[i];
        ri_value element = item->u.v;
        if (item->kind == RI_FORM_VECTOR) {
            read_tuple(item, &element);
        } else if (item->kind == RI_FORM_DOUBLE) {
            element = ri_double(item->u.v.as.d);
        }
        ri_value_write(&bytes, &element);
    }
    *out = ri_bytes_value(RI_TUPLE, ri_arena_copy(&arena, bytes.p, bytes.len), bytes.len);
    ri_buf_deinit(&bytes);
}

static void read_values(const char *list, values *out)
{
    ri_buf text = { 0 };
    ri_form form;
    ri_buf_put_text(&text, "[");
    ri_buf_put_text(&text, written_out(list));
    ri_buf_put_text(&text, "]");
    REQUIRE_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &form, &test_err), 0);
    for (uint32_t i = 0; i < form.u.seq.count; i++) {
        const ri_form *item = &form.u.seq.items[i];
        ri_buf one = { 0 };
        if (item->kind == RI_FORM_DOUBLE) {
            out->items[out->count] = ri_double(item->u.v.as.d);
        } else if (item->kind == RI_FORM_VECTOR) {
            read_tuple(item, &out->items[out->count]);
        } else {
            REQUIRE(ri_value_copy(&arena, &item->u.v, &out->items[out->count]));
        }
        ri_edn_write_value(&one, &out->items[out->count]);
        ri_buf_put_u8(&one, 0);
        out->texts[out->count++] = (const char *)ri_arena_copy(&arena, one.p, one.len);
        ri_buf_deinit(&one);
    }
    ri_buf_deinit(&text);
}

/* Values of all attributes in the order of others, so that an index has them in another one. */
static void make_data(world *w, world_mode mode, values *stored)
{
    ri_buf schema = { 0 };
    ri_buf data[2] = { { 0 }, { 0 } };
    ri_buf_put_text(&schema, "[");
    ri_buf_put_text(&data[0], "[");
    ri_buf_put_text(&data[1], "[");
    for (size_t i = 0; i < KINDS; i++) {
        ri_buf_put_text(&schema, "{:db/ident ");
        ri_buf_put_text(&schema, kinds[i].attr);
        ri_buf_put_text(&schema, " :db/valueType :db.type/");
        ri_buf_put_text(&schema, kinds[i].type);
        ri_buf_put_text(&schema, " ");
        ri_buf_put_text(&schema, kinds[i].more);
        ri_buf_put_text(&schema, "}");
        read_values(kinds[i].values, &stored[i]);
        for (unsigned v = 0; v < stored[i].count; v++) {
            ri_buf *to = &data[(i + v) % 2];
            ri_buf_put_text(to, "{");
            ri_buf_put_text(to, kinds[i].attr);
            ri_buf_put_text(to, " ");
            ri_buf_put_text(to, stored[i].texts[stored[i].count - 1 - v]);
            ri_buf_put_text(to, "}");
        }
    }
    ri_buf_put_text(&schema, "]");
    ri_buf_put_text(&data[0], "]");
    ri_buf_put_text(&data[1], "]");
    ri_buf_put_u8(&schema, 0);
    ri_buf_put_u8(&data[0], 0);
    ri_buf_put_u8(&data[1], 0);
    const char *texts[] = { (const char *)schema.p, (const char *)data[0].p, (const char *)data[1].p };
    world_make(w, 0, mode, texts, 3);
    ri_buf_deinit(&schema);
    ri_buf_deinit(&data[0]);
    ri_buf_deinit(&data[1]);
}

/* ---- what is expected ---- */

typedef struct expected {
    ri_table rows; /* a set */
    int rc;        /* RILLE_TYPE: the predicate refuses some value */
    const char *query;
} expected;

/* Adds the values for which all predicates hold. */
static void expect_values(const values *stored, const char *const *names, const ri_value *constants, const bool *first,
                          unsigned count, expected *out)
{
    REQUIRE_RC(ri_table_init(&out->rows, 1, true, &test_err), 0);
    for (unsigned v = 0; v < stored->count && out->rc == 0; v++) {
        bool keeps = true;
        for (unsigned i = 0; i < count && keeps && out->rc == 0; i++) {
            ri_arg args[2] = { { NULL, stored->items[v] }, { NULL, constants[i] } };
            ri_arg turned[2] = { args[1], args[0] };
            const ri_fn_call call = { first[i] ? args : turned, 2, 1, &arena };
            uint8_t keep = 0;
            out->rc = ri_builtin_find(names[i])->filter(&call, &keep, &test_err);
            keeps = keep != 0;
        }
        if (keeps && out->rc == 0) {
            REQUIRE_RC(ri_table_add_row(&out->rows, &stored->items[v], NULL, &test_err), 0);
        }
    }
}

static bool check_rows(void *context, int rc, const ri_table *got, rille_err *err)
{
    expected *e = context;
    bool right = rc == e->rc;
    if (rc == 0 && right) {
        right = got->count == e->rows.count;
        for (uint32_t r = 0; right && r < got->count; r++) {
            ri_value row = ri_column_get(&got->cols[0], r);
            bool added = false;
            REQUIRE_RC(ri_table_add_row(&e->rows, &row, &added, &test_err), 0);
            right = !added;
        }
    }
    if (!right) {
        char *shown = rc == 0 ? world_text(got, true) : strdup(err->message);
        char *wanted = world_text(&e->rows, true);
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%.300s\n    returned %s %.300s\n    expected %s %.300s\n", e->query, rille_code_name(rc),
                      shown, rille_code_name(e->rc), wanted);
        free(shown);
        free(wanted);
    }
    return right;
}

static void run_and_check(world *w, expected *e, bool pauses)
{
    ri_table got;
    rille_err err = { 0 };
    int rc = world_run(w, e->query, &got, &err);
    if (check_rows(e, rc, &got, &err) && pauses) {
        world_paused(w, e->query, check_rows, e);
    }
    ri_table_deinit(&got);
}

/* ---- one predicate ---- */

enum { BY_CONSTANT, BY_INPUT, BY_COLUMN, BY_RULE, WAYS };

static void put_query(ri_buf *out, const kind *k, const char *name, bool first, const char *constant, int way)
{
    char predicate[64];
    char pattern[64];
    char head[256];
    (void)snprintf(pattern, sizeof pattern, "[_ %s ?v]", k->attr);
    (void)snprintf(predicate, sizeof predicate, first ? "[(%s ?v ?c)]" : "[(%s ?c ?v)]", name);
    switch (way) {
    case BY_CONSTANT:
        (void)snprintf(head, sizeof head, "[:find ?v :where %s [(%s %s", pattern, name, first ? "?v " : "");
        ri_buf_put_text(out, head);
        ri_buf_put_text(out, constant);
        ri_buf_put_text(out, first ? ")]]" : " ?v)]]");
        break;
    case BY_INPUT:
    case BY_COLUMN:
        (void)snprintf(head, sizeof head, "[:find ?v :in $ %s :where %s %s]", way == BY_INPUT ? "?c" : "[?c ...]",
                       pattern, predicate);
        ri_buf_put_text(out, head);
        break;
    default:
        ri_buf_put_text(out, "[:find ?v :in $ ?c % :where (r ?v ?c)]");
        break;
    }
    ri_buf_put_u8(out, 0);
}

static void add_column(world *w, const ri_value *v, unsigned rows)
{
    size_t at = w->input_count++;
    w->inputs[at] = (ri_input){ .kind = RI_INPUT_TABLE, .table = &w->tables[at] };
    REQUIRE_RC(ri_table_init(&w->tables[at], 1, false, &test_err), 0);
    for (unsigned i = 0; i < rows; i++) {
        REQUIRE_RC(ri_table_add_row(&w->tables[at], v, NULL, &test_err), 0);
    }
}

/* Has an index the values in the order of the predicate, which cannot fail? */
static bool cuts(const kind *k, const values *stored, const char *name, bool first, const ri_value *constant)
{
    uint8_t type = stored->items[0].type;
    bool same = constant->type == type || (ri_type_is_number(constant->type) && ri_type_is_number(type));
    if (strcmp(k->attr, ":plain") == 0) {
        return false;
    }
    return name[0] == '=' || (same && (name[0] != 's' || first));
}

/* How many values an index cannot tell from those that match: long texts are in it by their first bytes. */
static uint64_t may_match(const values *stored, const expected *e, const ri_value *constant)
{
    uint64_t count = e->rows.count;
    for (unsigned i = 0; i < stored->count; i++) {
        const ri_value *v = &stored->items[i];
        bool text = v->type == constant->type && (v->type == RI_STRING || v->type == RI_BYTES);
        count += text && v->len >= RI_STUB_PREFIX && constant->len >= RI_STUB_PREFIX &&
                 memcmp(v->as.p, constant->as.p, RI_STUB_PREFIX) == 0;
    }
    return count;
}

/* The plan shows this range, and no more is read of it than this. */
static void check_reads(world *w, const char *text, uint64_t reads_max, const char *shown)
{
    rille_query *query = NULL;
    ri_buf plan = { 0 };
    uint64_t reads = 0;
    bool cut = false;
    rille_op *op = world_run_op(w, text, &query);
    for (const ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        if (stage->clause != NULL && stage->clause->kind == RI_CLAUSE_PATTERN) {
            reads += stage->rows;
            cut = stage->range != NULL;
        }
    }
    CHECK_RC(ri_op_explain(op, &plan), 0);
    ri_buf_put_u8(&plan, 0);
    if (!cut || reads > reads_max || strstr((const char *)plan.p, shown) == NULL) {
        test_failed_at(__FILE__, __LINE__);
        (void)fprintf(stderr, "%.300s\n    read %" PRIu64 " values, may match: %" PRIu64 "\n%.600s", text, reads,
                      reads_max, (const char *)plan.p);
    }
    ri_buf_deinit(&plan);
    ri_op_release(op);
    ri_query_release(query);
}

static void check_one(world *w, const kind *k, const values *stored, const char *name, bool first,
                      const ri_value *constant, const char *text)
{
    for (int way = 0; way < WAYS; way++) {
        ri_buf query = { 0 };
        expected e = { .rc = 0 };
        if (way == BY_CONSTANT && constant->type == RI_SYMBOL) {
            continue; /* no query can write it */
        }
        char rules[320];
        put_query(&query, k, name, first, text, way);
        e.query = (const char *)query.p;
        expect_values(stored, &name, constant, &first, 1, &e);
        world_add_db(w, 0);
        if (way != BY_CONSTANT) {
            add_column(w, constant, way == BY_COLUMN ? 2 : 1); /* of one row it would be a constant */
        }
        if (way == BY_RULE) {
            (void)snprintf(rules, sizeof rules,
                           first ? "[[(r ?v ?c) [_ %s ?v] [(%s ?v ?c)]]]" : "[[(r ?v ?c) [_ %s ?v] [(%s ?c ?v)]]]",
                           k->attr, name);
            world_add_rules(w, rules);
        }
        run_and_check(w, &e, way == BY_COLUMN && name[0] == '<');
        if (e.rc == 0 && cuts(k, stored, name, first, constant)) {
            check_reads(w, e.query, (way == BY_COLUMN ? 2U : 1U) * may_match(stored, &e, constant), "  in [(");
        }
        world_inputs_clear(w);
        ri_table_deinit(&e.rows);
        ri_buf_deinit(&query);
    }
}

static void check_kind(world *w, size_t at, const values *stored)
{
    for (size_t r = 0; r < RELATIONS; r++) {
        for (unsigned side = 0; side < 2; side++) {
            values constants = { .count = 0 };
            read_values(kinds[at].others, &constants);
            for (unsigned i = 0; i < constants.count; i++) {
                check_one(w, &kinds[at], stored, relations[r], side == 0, &constants.items[i], constants.texts[i]);
            }
            for (unsigned i = 0; i < stored->count; i++) {
                check_one(w, &kinds[at], stored, relations[r], side == 0, &stored->items[i], stored->texts[i]);
            }
            static const char *const strange[] = { "\"x\"", "1", ":kw", "true" };
            for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
                values one = { .count = 0 };
                read_values(strange[i], &one);
                check_one(w, &kinds[at], stored, relations[r], side == 0, &one.items[0], one.texts[0]);
            }
        }
    }
}

TEST(range__has_what_the_predicate_keeps_for_each_type_and_constant)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        static values stored[KINDS];
        world w;
        world_init(&w);
        memset(stored, 0, sizeof stored);
        make_data(&w, mode, stored);
        for (size_t i = 0; i < KINDS; i++) {
            if (mode < WORLD_BOTH || i % 3 == mode % 3U) {
                check_kind(&w, i, &stored[i]);
            }
        }
        world_deinit(&w);
        ri_arena_deinit(&arena);
    }
}

/* ---- two predicates ---- */

#define BETWEEN "[_ %s ?v] [(<= ?lo ?v)] [(< ?v ?hi)]"

typedef struct two {
    const char *query; /* %s: an attribute */
    const char *rules;
    unsigned rows; /* of the input */
} two;

static const two twos[] = {
    { "[:find ?v :in $ [?lo ?hi] :where " BETWEEN "]", NULL, 1 },
    { "[:find ?v :in $ [[?lo ?hi]] :where " BETWEEN "]", NULL, 1 },
    { "[:find ?v :in $ [[?lo ?hi]] :where " BETWEEN "]", NULL, 2 },
    { "[:find ?v :in $ [?lo ?hi] :where (or-join [?v ?lo ?hi] (and " BETWEEN "))]", NULL, 1 },
    { "[:find ?v :in $ [?lo ?hi] % :where (r ?v ?lo ?hi)]", "[[(r ?v ?lo ?hi) " BETWEEN "]]", 1 },
    { "[:find ?v :in $ [[?lo ?hi]] % :where (r ?v ?lo ?hi)]", "[[(r ?v ?lo ?hi) " BETWEEN "]]", 2 },
    { "[:find ?v :in $ [?lo ?hi] % :where (s ?hi ?v ?lo)]",
      "[[(s ?a ?b ?c) (r ?b ?c ?a)] [(r ?v ?lo ?hi) " BETWEEN "]]", 1 },
};

static void check_between(world *w, const kind *k, const values *stored, const ri_value *limits)
{
    static const char *const names[] = { ">=", "<" };
    static const bool first[] = { true, true };
    for (size_t i = 0; i < sizeof twos / sizeof *twos; i++) {
        char query[160];
        char rules[160];
        expected e = { .query = query };
        (void)snprintf(query, sizeof query, twos[i].query, k->attr);
        expect_values(stored, names, limits, first, 2, &e);
        world_add_db(w, 0);
        ri_table *table = &w->tables[w->input_count];
        w->inputs[w->input_count++] = (ri_input){ .kind = RI_INPUT_TABLE, .table = table };
        REQUIRE_RC(ri_table_init(table, 2, false, &test_err), 0);
        for (unsigned row = 0; row < twos[i].rows; row++) {
            REQUIRE_RC(ri_table_add_row(table, limits, NULL, &test_err), 0);
        }
        if (twos[i].rules != NULL) {
            (void)snprintf(rules, sizeof rules, twos[i].rules, k->attr);
            world_add_rules(w, rules);
        }
        uint64_t reads = may_match(stored, &e, &limits[0]) + may_match(stored, &e, &limits[1]) - e.rows.count;
        run_and_check(w, &e, false);
        check_reads(w, query, reads * twos[i].rows, "  in [(<= ?lo ?v)] [(< ?v ?hi)]");
        world_inputs_clear(w);
        ri_table_deinit(&e.rows);
    }
}

TEST(range__is_cut_at_both_ends_by_inputs_and_in_rules)
{
    static values stored[KINDS];
    test_rng rng = test_rng_new();
    world w;
    world_init(&w);
    memset(stored, 0, sizeof stored);
    make_data(&w, WORLD_BOTH, stored);
    for (size_t k = 0; k < KINDS; k++) {
        values all = { .count = 0 };
        read_values(kinds[k].values, &all);
        read_values(kinds[k].others, &all);
        for (unsigned i = 0; i < 3 * all.count; i++) {
            ri_value limits[2] = { all.items[i % all.count], all.items[test_random_below(&rng, all.count)] };
            if (cuts(&kinds[k], &stored[k], "<", true, &limits[0]) &&
                cuts(&kinds[k], &stored[k], "<", true, &limits[1])) {
                check_between(&w, &kinds[k], &stored[k], limits);
            }
        }
    }
    world_deinit(&w);
    ri_arena_deinit(&arena);
}

/* ---- several predicates, other clauses ---- */

#define PEOPLE_SCHEMA                                                                 \
    "[{:db/ident :name :db/valueType :db.type/string :db/unique :db.unique/identity}" \
    " {:db/ident :age :db/valueType :db.type/long}"                                   \
    " {:db/ident :any :db/valueType :db.type/long :db/index true}"                    \
    " {:db/ident :boss :db/valueType :db.type/ref}]"

#define PEOPLE_BEFORE                                                                        \
    "[{:db/id \"a\" :name \"Ann\" :age 70} {:db/id \"b\" :name \"Bob\" :age 45 :boss \"a\"}" \
    " {:db/id \"c\" :name \"Cid\" :age 45 :boss \"a\"}]"

static const char *const people[] = {
    PEOPLE_SCHEMA,
    PEOPLE_BEFORE,
    "[{:name \"Dan\" :age 12 :boss [:name \"Bob\"]} {:name \"Eve\" :age 0}]",
};

TEST(range__takes_in_all_predicates_of_a_conjunction)
{
    for (world_mode mode = WORLD_NOVELTY; mode < WORLD_MODES; mode++) {
        world w;
        world_init(&w);
        world_make(&w, 0, mode, people, 3);
        world_add_db(&w, 0);
#define Q(body) "[:find ?n :where [?p :age ?a] [?p :name ?n] " body "]"
        EXPECT(&w, Q("[(> ?a 12)] [(< ?a 70)] [(>= ?a 45)] [(<= ?a 46)]"), "[\"Bob\"] [\"Cid\"]");
        EXPECT(&w, Q("[(> ?a 45)] [(< ?a 45)]"), "");
        EXPECT(&w, Q("[(>= ?a 45)] [(<= ?a 45)]"), "[\"Bob\"] [\"Cid\"]");
        EXPECT(&w, Q("[(> 70 ?a 0)]"), "[\"Bob\"] [\"Cid\"] [\"Dan\"]");
        EXPECT(&w, Q("[(< 0 ?a 45.5 50)]"), "[\"Bob\"] [\"Cid\"] [\"Dan\"]");
        EXPECT(&w, Q("[(= 12 ?a 12.0)]"), "[\"Dan\"]");
        EXPECT(&w, Q("[(= ?a 12)] [(= ?a 13)]"), "");
        EXPECT(&w, Q("[(= ?a \"12\")]"), "");
        EXPECT(&w, Q("[(< ?a ?a)]"), "");
        EXPECT(&w, Q("[(starts-with? ?n \"\")] [(> ?a 60)]"), "[\"Ann\"]");
        EXPECT(&w, Q("(not [(> ?a 12)])"), "[\"Dan\"] [\"Eve\"]");
        EXPECT(&w, Q("(or [(> ?a 60)] [(< ?a 12)])"), "[\"Ann\"] [\"Eve\"]");
        EXPECT(&w, "[:find ?n :where [?p :name ?n] (not [?p :age ?a] [(> ?a 12)])]", "[\"Dan\"] [\"Eve\"]");
        EXPECT(&w, "[:find ?n :where [?p :name ?n] (not-join [?n] [_ :name ?m] [(> ?m ?n)])]", "[\"Eve\"]");
        EXPECT(&w, "[:find ?n ?m :where [?p :name ?n] [?p :age ?a] [?q :age ?b] [?q :name ?m] [(< ?a ?b 50)]]",
               "[\"Dan\" \"Bob\"] [\"Dan\" \"Cid\"] [\"Eve\" \"Bob\"] [\"Eve\" \"Cid\"] [\"Eve\" \"Dan\"]");
        EXPECT(&w, "[:find ?n :where [?p :boss ?b] [?a :name \"Ann\"] [(= ?b ?a)] [?p :name ?n]]",
               "[\"Bob\"] [\"Cid\"]");
        EXPECT(&w, "[:find ?b :where [_ :boss ?b] [(= ?b -1)]]", "");
        EXPECT(&w, "[:find ?b :where [_ :boss ?b] [(= ?b \"Ann\")]]", "");
#undef Q
        world_deinit(&w);
    }
}

/* A predicate that can fail sees all rows that it would see without an index, and guards stay guards. */
TEST(range__hides_no_error_and_makes_none)
{
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_BOTH, people, 3);
    world_add_db(&w, 0);
    EXPECT_ERROR(&w, "[:find ?a :where [_ :age ?a] [(< 100 ?a \"x\")]]", RILLE_TYPE, "cannot order");
    EXPECT_ERROR(&w, "[:find ?a :where [_ :age ?a] [(< ?a \"x\")]]", RILLE_TYPE, "cannot order");
    EXPECT_ERROR(&w, "[:find ?a :where [_ :age ?a] [(starts-with? ?a \"x\")]]", RILLE_TYPE, "starts-with?");
    EXPECT(&w, "[:find ?a :where [_ :age ?a] [(> ?a 100)] [(< ?a \"x\")]]", "");
    EXPECT(&w, "[:find ?q :where [_ :age ?a] [(> ?a 0)] [(quot 140 ?a) ?q]]", "[11] [2] [3]");
    EXPECT_ERROR(&w, "[:find ?q :where [_ :age ?a] [(> ?a -1)] [(quot 140 ?a) ?q]]", RILLE_FUNCTION, "zero");
    world_deinit(&w);
}

/* ---- the plan ---- */

/* Is this text in the plan, once it ran? */
static bool plan_has(world *w, const char *text, const char *part)
{
    rille_query *query = NULL;
    ri_buf buf = { 0 };
    rille_op *op = world_run_op(w, text, &query);
    CHECK_RC(ri_op_explain(op, &buf), 0);
    ri_buf_put_u8(&buf, 0);
    bool found = strstr((const char *)buf.p, part) != NULL;
    if (!found) {
        (void)fprintf(stderr, "%s: no \"%s\" in\n%s", text, part, (const char *)buf.p);
    }
    ri_buf_deinit(&buf);
    ri_op_release(op);
    ri_query_release(query);
    return found;
}

TEST(range__reads_the_rows_of_the_range_alone)
{
    world w;
    world_init(&w);
    world_make(&w, 0, WORLD_TREES, people, 3);
    world_add_db(&w, 0);
    CHECK(plan_has(&w, "[:find ?p ?a :where [?p :age ?a] [(> ?a 12)] [(< ?a 70)]]",
                   "scan avet  [?p :age ?a]  in [(> ?a 12)] [(< ?a 70)]  rows ~2, 2"));
    CHECK(plan_has(&w, "[:find ?p ?n :where [?p :name ?n] [(starts-with? ?n \"A\")]]",
                   "scan avet  [?p :name ?n]  in [(starts-with? ?n \"A\")]  rows ~1, 1"));
    CHECK(plan_has(&w, "[:find ?p :where [?p :boss ?b] [(= ?b 7)]]", "scan vaet  [?p :boss ?b]  in [(= ?b 7)]"));
    CHECK(plan_has(&w, "[:find ?q :where [?p :name \"Dan\"] [?p :age ?a] [?q :age ?b] [(< ?b ?a)]]",
                   "scan avet  [?q :age ?b]  in [(< ?b ?a)]  rows ~1, 1"));
    CHECK(plan_has(&w, "[:find ?a :where [?p :age ?a] [(> ?a 60)] [(< ?a 50)]]", "nothing matches"));
    world_add_table(&w, 's', "40");
    CHECK(plan_has(&w, "[:find ?a :in $ ?min :where [?p :age ?a] [(> ?a ?min)]]",
                   "scan avet  [?p :age ?a]  in [(> ?a ?min)]  rows ~3, 3"));
    world_add_rules(&w, "[[(older ?p ?min) [?p :age ?a] [(> ?a ?min)]]]");
    CHECK(plan_has(&w, "[:find ?p :in $ ?min % :where (older ?p ?min)]", "in [(> ?a ?min)]"));
    world_deinit(&w);
}

TEST_MAIN(range__has_what_the_predicate_keeps_for_each_type_and_constant,
          range__is_cut_at_both_ends_by_inputs_and_in_rules, range__takes_in_all_predicates_of_a_conjunction,
          range__hides_no_error_and_makes_none, range__reads_the_rows_of_the_range_alone)
