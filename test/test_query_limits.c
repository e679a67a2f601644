/* SPDX-License-Identifier: MIT
 *
 * Limits of memory and work within a batch: of every function on long values, and of whole queries that fetch, compute
 * and give more than they may hold at once. All is counted by the meter; nothing here looks at a clock.
 */
#include "test_query_world.h"

#include "../src/core/query/functions.h"

#define ARGS_MAX 8U
#define MIB ((size_t)1024 * 1024)

static int apply(const ri_builtin *f, const ri_arg *args, unsigned count, uint32_t rows, ri_arena *arena, ri_vec *out,
                 uint8_t *keep)
{
    const ri_fn_call in = { args, count, rows, arena };
    return f->filter != NULL ? f->filter(&in, keep, &test_err) : f->map(&in, out, &test_err);
}

/* ---- functions, within a row ---- */

#define BIG_ROWS 3U

/* How functions are called on long values: s a long string, c a short one, t a long tuple of strings, i a small number. "reads": it looks at all of its bytes, so that it must look at the meter. */
typedef struct big_call {
    const char *name;
    const char *args;
    bool reads;
} big_call;

static const big_call big_calls[] = {
    { "=", "ss", true },         { "==", "tt", true },        { "!=", "ss", true },        { "not=", "sss", true },
    { "<", "ss", true },         { ">", "ss", true },         { "<=", "ss", true },        { ">=", "ss", true },
    { "compare", "tt", true },   { "str", "s", true },        { "str", "ssss", true },     { "str", "sit", true },
    { "subs", "si", true },      { "subs", "sii", true },     { "upper-case", "s", true }, { "lower-case", "s", true },
    { "trim", "s", true },       { "split", "sc", true },     { "split", "ss", true },     { "join", "t", true },
    { "join", "ct", true },      { "includes?", "sc", true }, { "includes?", "ss", true }, { "blank?", "s", true },
    { "tuple", "ss", true },     { "tuple", "tt", true },     { "count", "s", true },      { "count", "t", true },
    { "contains?", "ts", true }, { "get", "ti", true },       { "nth", "tii", true },      { "identity", "s", false },
    { "ground", "t", false },    { "untuple", "t", false },   { "empty?", "s", false },    { "nil?", "s", false },
    { "some?", "s", false },     { "true?", "s", false },     { "false?", "s", false },    { "not", "s", false },
    { "name", "s", false },
};

static ri_value big_value(ri_arena *arena, char kind, size_t size)
{
    if (kind == 'i') {
        return ri_long((int64_t)(size / 8));
    }
    if (kind == 'c') {
        return ri_bytes_value(RI_STRING, "xy", 2);
    }
    if (kind == 't') {
        ri_buf buf = { 0 };
        ri_value element = ri_bytes_value(RI_STRING, "element", 7);
        while (buf.len < size) {
            ri_value_write(&buf, &element);
        }
        ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        REQUIRE(ri_value_copy(arena, &tuple, &tuple));
        ri_buf_deinit(&buf);
        return tuple;
    }
    uint8_t *text = ri_arena_alloc(arena, size);
    REQUIRE(text != NULL);
    memset(text, ' ', size);
    memcpy(text + size / 2, "xyz", 3);
    return ri_bytes_value(RI_STRING, text, size);
}

/* Calls on columns of long values, with the meter. */
static int run_big(const big_call *big, size_t size, ri_meter *meter)
{
    ri_arena values = { 0 };
    ri_arena arena = { .meter = meter };
    ri_arg args[ARGS_MAX];
    ri_vec vecs[ARGS_MAX];
    ri_vec out;
    uint8_t keep[BIG_ROWS];
    unsigned count = 0;
    for (; big->args[count] != '\0'; count++) {
        ri_value v = big_value(&values, big->args[count], size);
        REQUIRE(ri_vec_init(&vecs[count], &values, BIG_ROWS));
        ri_vec_fill(&vecs[count], BIG_ROWS, &v);
        args[count] = (ri_arg){ &vecs[count], ri_nil() };
    }
    REQUIRE(ri_vec_init(&out, &values, BIG_ROWS));
    int rc = apply(ri_builtin_find(big->name), args, count, BIG_ROWS, &arena, &out, keep);
    int stopped = ri_meter_error(meter, &test_err);
    ri_arena_deinit(&arena);
    ri_arena_deinit(&values);
    CHECK_EQ_INT(meter->bytes, 0);
    return stopped != 0 ? stopped : rc;
}

static bool check_big(const big_call *big)
{
    ri_meter meter;
    ri_meter_init(&meter, 0, 0);
    int failures = atomic_load(&test_state.failures);
    CHECK_RC(run_big(big, MIB, &meter), 0);
    size_t peak = meter.bytes_peak;
    uint64_t looks = meter.looks;
    if (big->reads) { /* once a row, at least */
        CHECK(looks >= (strchr(big->args, 'i') != NULL ? 1 : BIG_ROWS));
    }
    for (size_t share = 2; share <= 64 && peak > 64; share *= 4) { /* a limit that is too small is not crossed */
        ri_meter_init(&meter, peak / share, 0);
        CHECK_RC(run_big(big, MIB, &meter), RILLE_LIMIT);
        CHECK(meter.bytes_peak <= peak / share);
    }
    ri_meter_init(&meter, 0, 0);
    atomic_store(&meter.cancelled, true);
    if (big->reads) {
        CHECK_RC(run_big(big, MIB, &meter), RILLE_CANCELLED);
        CHECK(meter.looks <= 4); /* it stops, instead of asking again and again */
    }
    return atomic_load(&test_state.failures) == failures;
}

TEST(functions__keep_to_their_limits_within_a_row)
{
    for (size_t i = 0; i < sizeof big_calls / sizeof *big_calls; i++) {
        if (!check_big(&big_calls[i])) {
            CHECK_EQ_STR(big_calls[i].name, "a function that passes its limits");
        }
    }
}

/* Each row makes more than the one before it: the sum is refused before it is made, not after. */
TEST(functions__refuse_what_doubles_before_they_make_it)
{
    ri_meter meter;
    ri_arena arena = { .meter = &meter };
    ri_meter_init(&meter, 8 * MIB, 0);
    ri_value text = ri_bytes_value(RI_STRING, "0123456789abcdef", 16);
    int rc = 0;
    unsigned rounds = 0;
    for (; rc == 0 && rounds < 40; rounds++) {
        ri_arg args[2] = { { NULL, text }, { NULL, text } };
        ri_vec out;
        REQUIRE(ri_vec_init(&out, &arena, 1));
        rc = apply(ri_builtin_find("str"), args, 2, 1, &arena, &out, NULL);
        text = rc == 0 ? ri_vec_get(&out, 0) : text;
    }
    CHECK_RC(rc != 0 ? ri_meter_error(&meter, &test_err) : 0, RILLE_LIMIT);
    CHECK(rounds < 20 && meter.bytes_peak <= 8 * MIB);
    ri_arena_deinit(&arena);
}

/* Without a limit of memory a string is refused as soon as it is too long. */
TEST(functions__refuse_texts_that_are_too_long)
{
    static const char *const calls[] = { "str", "tuple" };
    for (unsigned c = 0; c < 2; c++) {
        ri_meter meter;
        ri_arena values = { 0 };
        ri_arena arena = { .meter = &meter };
        ri_meter_init(&meter, 0, 0);
        static ri_arg args[4000];
        ri_value text = big_value(&values, 's', MIB);
        for (unsigned i = 0; i < 4000; i++) {
            args[i] = (ri_arg){ NULL, text };
        }
        ri_vec out;
        REQUIRE(ri_vec_init(&out, &values, 1));
        CHECK_RC(apply(ri_builtin_find(calls[c]), args, 4000, 1, &arena, &out, NULL), RILLE_LIMIT);
        CHECK(meter.bytes_peak <= 200 * MIB);
        ri_arena_deinit(&arena);
        ri_arena_deinit(&values);
    }
}

/* ---- whole queries ---- */

enum { DOCS = 24 };

/* A database with DOCS texts of a MiB, on a store that answers when it is asked again. */
static void make_docs(world *w)
{
    size_t size = MIB + 64;
    char *text = malloc(size);
    REQUIRE(text != NULL);
    world_init(w);
    w->work_max = 0; /* a value is a unit, however long */
    const char *schema = "[{:db/ident :doc :db/valueType :db.type/string} {:db/ident :n :db/valueType :db.type/long}]";
    world_make(w, 0, WORLD_TREES, &schema, 1);
    for (unsigned i = 0; i < DOCS; i++) {
        int len = snprintf(text, size, "[{:n %u :doc \"%u ", i, i);
        memset(text + len, 'x', MIB);
        memcpy(text + len + MIB, "\"}]", 4);
        world_transact(w, 0, text);
    }
    free(text);
    world_flush(w, 0);
    world_open(w, 0, "deferred:");
    world_inputs_clear(w);
    world_add_db(w, 0);
}

typedef struct usage {
    uint32_t rows;
    size_t bytes_peak;
    size_t pins_peak;
} usage;

static usage measure(world *w, const char *text)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    usage used = { 0 };
    int rc;
    ri_meter meter;
    ri_meter_init(&meter, 0, 0);
    ri_op_options options = w->options;
    options.meter = &meter;
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &options, &op, &test_err), 0);
    while ((rc = ri_op_step(op, 0, &test_err)) != RILLE_DONE) {
        REQUIRE(rc == RILLE_NEED || rc == RILLE_ROWS);
        REQUIRE_RC(rc == RILLE_NEED ? ri_io_fetch(ri_op_io(op), &test_err) : 0, 0);
        uint32_t count = 0;
        (void)ri_op_rows(op, &count);
        used.rows += rc == RILLE_ROWS ? count : 0;
        size_t pins = ri_op_io(op)->pin_bytes;
        used.pins_peak = pins > used.pins_peak ? pins : used.pins_peak;
    }
    used.bytes_peak = meter.bytes_peak;
    ri_op_release(op);
    ri_query_release(query);
    CHECK_EQ_INT(meter.bytes, 0);
    return used;
}

/* What a query holds at once does not grow with the number of long values that pass through it. */
TEST(limits__hold_few_long_values_at_once)
{
    static const struct {
        const char *query;
        uint32_t rows;
    } cases[] = {
        { "[:find ?n :where [?e :doc ?t] [(includes? ?t \"x\")] [?e :n ?n]]", DOCS },
        { "[:find ?n ?c :where [?e :n ?n] [?e :doc ?t] [(count ?t) ?c]]", DOCS },
        { "[:find ?n ?c :where [?e :n ?n] [?e :doc ?t] [(str ?t ?t) ?u] [(upper-case ?u) ?v] [(count ?v) ?c]]", DOCS },
        { "[:find ?n ?x :where [?e :n ?n] [?e :doc ?t] [(split ?t \" \") [?x _]]]", DOCS },
        { "[:find ?n ?c :where [?e :n ?n] [(get-some $ ?e :doc) [_ ?t]] [(count ?t) ?c]]", DOCS },
        { "[:find ?t :where [_ :doc ?t]]", DOCS },
        { "[:find ?n ?t :where [?e :n ?n] [?e :doc ?t] :order-by ?n]", DOCS },
        { "[:find ?n (distinct ?t) :where [?e :n ?n] [?e :doc ?t]]", DOCS },
        { "[:find (max ?t) :where [_ :doc ?t]]", 1 },
    };
    world w;
    make_docs(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        usage used = measure(&w, cases[i].query);
        CHECK_EQ_INT(used.rows, cases[i].rows);
        if (used.bytes_peak > 12 * MIB || used.pins_peak > RI_IO_PIN_BYTES + 4 * MIB) {
            CHECK_EQ_STR(cases[i].query, "a query that holds too much");
            CHECK_EQ_INT(used.bytes_peak, used.pins_peak);
        }
    }
    world_deinit(&w);
}

/* With every limit between nothing and what it needs, a query fails with LIMIT and never holds more; or it succeeds. */
TEST(limits__are_never_crossed)
{
    static const char *const queries[] = {
        "[:find ?n ?c :where [?e :n ?n] [?e :doc ?t] [(str ?t ?n) ?u] [(count ?u) ?c] :order-by ?c]",
        "[:find (distinct ?u) :where [?e :n ?n] [?e :doc ?t] [(subs ?t 0 1000) ?u]]",
        "[:find ?n (min 3 ?u) :where [?e :n ?n] [?e :doc ?t] [(subs ?t 0 1000) ?s] [(split ?s \" \") [?u ...]]]",
        "[:find (median ?m) (count-distinct ?u) (max ?u) :where [_ :n ?n] [_ :n ?m] [(str ?n \"-\" ?m) ?u]]",
    };
    world w;
    make_docs(&w);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        size_t needed = measure(&w, queries[i]).bytes_peak;
        unsigned failed = 0;
        for (size_t limit = 4096; limit < 2 * needed; limit *= 2) {
            ri_table out;
            ri_meter meter;
            ri_meter_init(&meter, limit, 0);
            w.options.meter = &meter;
            int rc = world_run(&w, queries[i], &out, &test_err);
            ri_table_deinit(&out);
            CHECK(rc == 0 || rc == RILLE_LIMIT);
            CHECK(meter.bytes_peak <= limit);
            world_again_clear(&w); /* what rests is counted, too */
            CHECK_EQ_INT(meter.bytes, 0);
            failed += rc != 0;
        }
        CHECK(failed >= 3);
    }
    w.options.meter = NULL;
    world_deinit(&w);
}

/* Cancelled at one look after the other, a query ends with CANCELLED at that look. */
static uint64_t cancel_at; /* the look at which to cancel */
static ri_meter *cancelled_meter;

static bool cancel_in_time(void *context)
{
    (void)context;
    if (cancelled_meter->looks >= cancel_at) {
        atomic_store(&cancelled_meter->cancelled, true);
    }
    return false;
}

TEST(limits__stop_at_the_next_look)
{
    static const char *const query = "[:find ?c :where [?e :doc ?t] [(str ?t ?t) ?u] [(lower-case ?u) ?v] [(includes? "
                                     "?v \"xxxy\") ?b] [(count ?v) ?c]]";
    world w;
    make_docs(&w);
    for (cancel_at = 1; cancel_at < 200; cancel_at += 1 + cancel_at / 2) {
        rille_query *parsed = NULL;
        rille_op *op = NULL;
        ri_meter meter;
        ri_meter_init(&meter, 0, 0);
        cancelled_meter = &meter;
        ri_op_options options = w.options;
        options.meter = &meter;
        options.interrupt = cancel_in_time;
        REQUIRE_RC(ri_query_parse(query, strlen(query), &parsed, &test_err), 0);
        REQUIRE_RC(ri_op_new(parsed, w.inputs, w.input_count, &options, &op, &test_err), 0);
        int rc;
        while ((rc = ri_op_step(op, 0, &test_err)) == RILLE_NEED || rc == RILLE_ROWS) {
            REQUIRE_RC(rc == RILLE_NEED ? ri_io_fetch(ri_op_io(op), &test_err) : 0, 0);
        }
        CHECK_RC(rc, RILLE_CANCELLED);
        CHECK(meter.looks <= cancel_at + 40); /* at most a unit later: a slice of a MiB or two */
        ri_op_release(op);
        ri_query_release(parsed);
    }
    world_deinit(&w);
}

TEST_MAIN(functions__keep_to_their_limits_within_a_row, functions__refuse_what_doubles_before_they_make_it,
          functions__refuse_texts_that_are_too_long, limits__hold_few_long_values_at_once, limits__are_never_crossed,
          limits__stop_at_the_next_look)
