/* SPDX-License-Identifier: MIT
 *
 * Datoms, counts and entities in steps: the same from storage that answers at once and from storage that answers later, in
 * order, with long values, cancelled and closed at each step.
 */
#include "harness.h"

#include "rille/rille.h"

enum { PEOPLE = 2500, LONG = 3000, DIGEST_START = 5381, STEPS_MAX = 20000 };

static const char schema[] = "[{:db/ident :name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :age :db/valueType :db.type/long :db/index true}"
                             " {:db/ident :text :db/valueType :db.type/string}"
                             " {:db/ident :key :db/valueType :db.type/string :db/unique :db.unique/value}"
                             " {:db/ident :boss :db/valueType :db.type/ref}]";

static char long_text[LONG + 1];

static void transact(rille_conn *conn, const char *edn)
{
    REQUIRE_RC(rille_transact(conn, edn, strlen(edn), NULL, &test_err), 0);
}

static void add_people(rille_conn *conn, int from, int end)
{
    static char text[PEOPLE * 100];
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (int i = from; i < end; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{:name \"n%05d\" :age %d :boss %d}", i, i % 70,
                                1048576 + i / 3);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    transact(conn, text);
}

/* In the trees and, some, not yet; one entity has values that are stored elsewhere. */
static void fill(const char *url)
{
    static char text[3 * LONG];
    rille_options options = { .create = true, .manual_flush = true };
    rille_conn *conn;
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    transact(conn, schema);
    add_people(conn, 0, PEOPLE - 100);
    memset(long_text, 'x', LONG);
    (void)snprintf(text, sizeof text, "[{:name \"long\" :text \"%s\" :key \"%s\"}]", long_text, long_text);
    transact(conn, text);
    REQUIRE_RC(rille_flush(conn, &test_err), 0);
    add_people(conn, PEOPLE - 100, PEOPLE);
    rille_close(conn);
}

static rille_db *open_db(const char *url)
{
    rille_conn *conn;
    rille_db *db;
    REQUIRE_RC(rille_connect(url, NULL, &conn, &test_err), 0);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    rille_close(conn);
    return db;
}

typedef struct found {
    uint64_t count;
    uint64_t digest;
    size_t long_values;
    size_t rounds;
    size_t steps;
} found;

static void add_value(found *f, const rille_value *v)
{
    bool is_word = v->type <= RILLE_TYPE_DOUBLE || v->type == RILLE_TYPE_INSTANT || v->type == RILLE_TYPE_REF;
    const unsigned char *bytes = is_word ? (const unsigned char *)&v->u : v->u.bytes;
    size_t len = is_word ? sizeof v->u.i : v->len;
    for (size_t i = 0; i < len; i++) {
        f->digest = f->digest * 33 + bytes[i];
    }
}

static void add_rows(const rille_steps *steps, found *f)
{
    for (size_t row = 0; row < rille_steps_rows(steps); row++) {
        rille_value v[6];
        for (size_t c = 0; c < 6; c++) {
            v[c] = rille_steps_get(steps, row, c);
        }
        CHECK_EQ_INT(v[0].type, RILLE_TYPE_REF);
        CHECK_EQ_INT(v[1].type, RILLE_TYPE_KEYWORD);
        CHECK(v[3].type == RILLE_TYPE_REF && v[4].type == RILLE_TYPE_BOOLEAN && v[4].u.i == 1);
        CHECK_EQ_INT(v[5].type, RILLE_TYPE_NIL);
        for (size_t c = 0; c < 3; c++) {
            add_value(f, &v[c]);
        }
        if (v[2].type == RILLE_TYPE_STRING && v[2].len == LONG) {
            CHECK_EQ_MEM(v[2].u.bytes, LONG, long_text, LONG);
            f->long_values++;
        }
        f->count++;
    }
    CHECK_EQ_INT(rille_steps_get(steps, rille_steps_rows(steps), 0).type, RILLE_TYPE_NIL);
}

/* Steps it, at most `max` steps. Gives what the last one gave. */
static int run(rille_steps *steps, size_t max, found *f)
{
    int rc = RILLE_AGAIN;
    *f = (found){ .digest = DIGEST_START };
    while ((rc == RILLE_AGAIN || rc == RILLE_NEED || rc == RILLE_ROWS) && f->steps++ < max) {
        rc = rille_step(steps, 0, &test_err);
        if (rc == RILLE_ROWS) {
            add_rows(steps, f);
        } else {
            CHECK_EQ_INT(rille_steps_rows(steps), 0);
        }
        if (rc == RILLE_NEED) {
            f->rounds++;
            REQUIRE_RC(rille_fetch(steps, &test_err), 0);
        }
    }
    return rc;
}

typedef struct range {
    const char *index;
    rille_value components[3];
    size_t count;
    uint64_t expected; /* 0: not checked here */
} range;

#define TEXT(s)                                                         \
    {                                                                   \
        .u.bytes = (s), .len = sizeof(s) - 1, .type = RILLE_TYPE_STRING \
    }
#define KEYWORD(s)                                                       \
    {                                                                    \
        .u.bytes = (s), .len = sizeof(s) - 1, .type = RILLE_TYPE_KEYWORD \
    }
#define THE_ONE                           \
    {                                     \
        .u.i = -7, .type = RILLE_TYPE_REF \
    }
#define NUMBER(n)                           \
    {                                       \
        .u.i = (n), .type = RILLE_TYPE_LONG \
    }

/* THE_ONE stands for the entity named n00007. */
static const range ranges[] = {
    { "eavt", { NUMBER(0) }, 0, 0 },
    { "aevt", { NUMBER(0) }, 0, 0 },
    { "avet", { NUMBER(0) }, 0, 0 },
    { "vaet", { NUMBER(0) }, 0, 0 },
    { "eavt", { THE_ONE }, 1, 3 },
    { "eavt", { THE_ONE, KEYWORD("age") }, 2, 1 },
    { "eavt", { THE_ONE, KEYWORD("age"), NUMBER(7) }, 3, 1 },
    { "aevt", { KEYWORD("name") }, 1, PEOPLE + 1 },
    { "aevt", { KEYWORD("text") }, 1, 1 },
    { "avet", { KEYWORD("age") }, 1, PEOPLE },
    { "avet", { KEYWORD("age"), NUMBER(7) }, 2, PEOPLE / 70 + 1 },
    { "avet", { KEYWORD("name"), TEXT("n00007"), THE_ONE }, 3, 1 },
    { "vaet", { NUMBER(1048577) }, 1, 3 },
    { "vaet", { NUMBER(1048577), KEYWORD("boss") }, 2, 3 },
    { "eavt", { NUMBER(99999999) }, 1, 0 },
};
enum { RANGES = sizeof ranges / sizeof *ranges };

static range range_of(rille_db *db, size_t number)
{
    rille_value name = rille_string("n00007");
    range r = ranges[number];
    for (size_t i = 0; i < 3; i++) {
        if (r.components[i].type == RILLE_TYPE_REF) {
            uint64_t e;
            REQUIRE_RC(rille_db_lookup(db, "name", &name, &e, &test_err), 0);
            r.components[i].u.i = (int64_t)e;
        }
    }
    return r;
}

static found read_all(rille_db *db, const range *r)
{
    rille_steps *steps;
    found f;
    REQUIRE_RC(rille_start_datoms(db, r->index, r->components, r->count, &steps, &test_err), 0);
    CHECK_RC(run(steps, STEPS_MAX, &f), RILLE_DONE);
    CHECK_RC(rille_step(steps, 0, &test_err), RILLE_DONE);
    CHECK_EQ_INT(rille_steps_number(steps), 0);
    rille_steps_close(steps);
    return f;
}

static uint64_t count_all(rille_db *db, const range *r)
{
    rille_steps *steps;
    found f;
    REQUIRE_RC(rille_start_count(db, r->index, r->components, r->count, &steps, &test_err), 0);
    CHECK_EQ_INT(rille_steps_number(steps), 0);
    CHECK_RC(run(steps, STEPS_MAX, &f), RILLE_DONE);
    uint64_t count = rille_steps_number(steps);
    rille_steps_close(steps);
    return count;
}

TEST(datoms__are_the_same_wherever_they_come_from)
{
    fill("mem:datoms");
    rille_db *near = open_db("mem:datoms");
    rille_db *far = open_db("deferred:mem:datoms");
    size_t rounds = 0;
    size_t long_values = 0;
    for (size_t i = 0; i < RANGES; i++) {
        range r = range_of(near, i);
        found a = read_all(near, &r);
        found b = read_all(far, &r);
        CHECK_EQ_INT(a.count, b.count);
        CHECK(a.digest == b.digest);
        CHECK(r.expected == 0 || a.count == r.expected);
        CHECK_EQ_INT(count_all(near, &r), a.count);
        CHECK_EQ_INT(count_all(far, &r), a.count);
        CHECK_EQ_INT(a.rounds, 0);
        rounds += b.rounds;
        long_values += a.long_values;
    }
    CHECK(rounds > 5);
    CHECK_EQ_INT(long_values, 6); /* text in two indexes and by itself, key in three */
    rille_db_release(near);
    rille_db_release(far);
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

TEST(datoms__seek_goes_on_to_the_end)
{
    static const range all = { "eavt", { NUMBER(0) }, 0, 0 };
    rille_value first = rille_long(1048576);
    rille_steps *steps;
    found f;
    fill("mem:datoms");
    rille_db *db = open_db("mem:datoms");
    uint64_t schema_count = 0;
    for (int id = 1; id < 200; id++) {
        range r = { "eavt", { NUMBER(id) }, 1, 0 };
        schema_count += count_all(db, &r);
    }
    REQUIRE_RC(rille_start_seek_datoms(db, "eavt", &first, 1, &steps, &test_err), 0);
    CHECK_RC(run(steps, STEPS_MAX, &f), RILLE_DONE);
    CHECK_EQ_INT(f.count + schema_count, count_all(db, &all));
    rille_steps_close(steps);
    rille_db_release(db);
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

/* Ages from `from` on, without `to`; out of AGES, an open end. */
enum { AGES = 70, NO_AGE = -99 };

static void check_ages(rille_db *db, int from, int to)
{
    rille_value ends[] = { rille_long(from), rille_long(to) };
    rille_steps *steps;
    found f = { .digest = DIGEST_START };
    uint64_t expected = 0;
    int last = -1;
    int rc = 0;
    for (int i = 0; i < PEOPLE; i++) {
        expected += (from == NO_AGE || i % AGES >= from) && (to == NO_AGE || i % AGES < to);
    }
    REQUIRE_RC(rille_start_index_range(db, "age", from == NO_AGE ? NULL : &ends[0], to == NO_AGE ? NULL : &ends[1],
                                       &steps, &test_err),
               0);
    for (int i = 0; rc != RILLE_DONE && i < STEPS_MAX; i++) {
        rc = rille_step(steps, 0, &test_err);
        REQUIRE(rc >= 0);
        for (size_t row = 0; rc == RILLE_ROWS && row < rille_steps_rows(steps); row++) {
            int age = (int)rille_steps_get(steps, row, 2).u.i;
            CHECK(age >= last && (from == NO_AGE || age >= from) && (to == NO_AGE || age < to));
            last = age;
        }
        add_rows(steps, &f);
        REQUIRE_RC(rille_fetch(steps, &test_err), 0);
    }
    CHECK_EQ_INT(rc, RILLE_DONE);
    CHECK_EQ_INT(f.count, expected);
    rille_steps_close(steps);
}

TEST(index_range__has_the_first_end_and_not_the_other)
{
    static const int ends[] = { NO_AGE, -1, 0, 1, 35, AGES - 1, AGES, AGES + 1 };
    enum { ENDS = sizeof ends / sizeof *ends };
    static const char *const urls[] = { "mem:datoms", "deferred:mem:datoms" };
    fill("mem:datoms");
    for (size_t u = 0; u < 2; u++) {
        rille_db *db = open_db(urls[u]);
        for (size_t i = 0; i < ENDS * ENDS; i++) {
            check_ages(db, ends[i / ENDS], ends[i % ENDS]);
        }
        rille_db_release(db);
    }
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

static found read_keys(rille_db *db, const char *from, const char *to)
{
    rille_value ends[] = { rille_string(from), rille_string(to) };
    rille_steps *steps;
    found f;
    REQUIRE_RC(rille_start_index_range(db, "key", &ends[0], &ends[1], &steps, &test_err), 0);
    CHECK_RC(run(steps, STEPS_MAX, &f), RILLE_DONE);
    rille_steps_close(steps);
    return f;
}

TEST(index_range__has_ends_that_are_long_values)
{
    static char after[LONG + 2];
    fill("mem:datoms");
    memcpy(after, long_text, LONG);
    after[LONG] = 'x';
    rille_db *db = open_db("deferred:mem:datoms");
    CHECK_EQ_INT(read_keys(db, long_text, after).long_values, 1);
    CHECK_EQ_INT(read_keys(db, long_text + 1, after).count, 1);
    CHECK_EQ_INT(read_keys(db, "a", long_text).count, 0);
    CHECK_EQ_INT(read_keys(db, after, "y").count, 0);
    rille_db_release(db);
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

/* At each step in turn. */
TEST(datoms__can_be_cancelled_and_closed_at_each_step)
{
    static const range all = { "aevt", { NUMBER(0) }, 0, 0 };
    fill("mem:datoms");
    rille_db *db = open_db("deferred:mem:datoms");
    found whole = read_all(db, &all);
    CHECK(whole.steps > 10);
    for (size_t max = 0; max < whole.steps - 1; max++) {
        rille_steps *steps;
        found f;
        REQUIRE_RC(rille_start_datoms(db, "aevt", NULL, 0, &steps, &test_err), 0);
        int rc = run(steps, max, &f); /* nodes that are in the cache by now need no round */
        if (max % 2 == 0 && rc != RILLE_DONE) {
            rille_steps_cancel(steps);
            CHECK_RC(rille_step(steps, 0, &test_err), RILLE_CANCELLED);
            CHECK_EQ_INT(rille_steps_rows(steps), 0);
        }
        rille_steps_close(steps);
    }
    rille_db_release(db);
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

static void check_entity(rille_db *db, const char *attribute, const char *value, bool exists)
{
    rille_value v = rille_string(value);
    rille_steps *steps;
    found f;
    uint64_t e = 1;
    REQUIRE_RC(rille_start_entid(db, attribute, &v, &steps, &test_err), 0);
    CHECK_RC(run(steps, STEPS_MAX, &f), RILLE_DONE);
    CHECK_RC(rille_db_lookup(db, attribute, &v, &e, &test_err), 0);
    CHECK_EQ_INT(rille_steps_number(steps), e);
    CHECK_EQ_INT(e != 0, exists);
    rille_steps_close(steps);
}

TEST(entid__finds_short_and_long_values)
{
    fill("mem:datoms");
    static const char *const urls[] = { "mem:datoms", "deferred:mem:datoms" };
    for (size_t i = 0; i < 2; i++) {
        rille_db *db = open_db(urls[i]);
        check_entity(db, "name", "n00003", true);
        check_entity(db, "name", "n02499", true);
        check_entity(db, "name", "nobody", false);
        check_entity(db, "key", long_text, true);
        check_entity(db, "key", long_text + 1, false);
        rille_db_release(db);
    }
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

TEST(datoms__names_what_is_wrong)
{
    static const struct {
        range r;
        int rc;
        const char *message;
    } cases[] = {
        { { "tave", { NUMBER(0) }, 0, 0 }, RILLE_MISUSE, "unknown index" },
        { { "eavt", { NUMBER(1) }, 4, 0 }, RILLE_MISUSE, "too many components: 4" },
        { { "eavt", { TEXT("x") }, 1, 0 }, RILLE_TYPE, "component 1 of the eavt index: expected an entity id" },
        { { "eavt", { NUMBER(-1) }, 1, 0 }, RILLE_TYPE, "expected an entity id" },
        { { "aevt", { TEXT("name") }, 1, 0 }, RILLE_TYPE, "expected an attribute as a keyword" },
        { { "aevt", { { .type = RILLE_TYPE_KEYWORD } }, 1, 0 }, RILLE_TYPE, "expected an attribute as a keyword" },
        { { "aevt", { KEYWORD("nmae") }, 1, 0 }, RILLE_ATTRIBUTE, ":nmae" },
        { { "avet", { KEYWORD("text") }, 1, 0 }, RILLE_ATTRIBUTE, "not in the avet index" },
        { { "vaet", { NUMBER(1), KEYWORD("age") }, 2, 0 }, RILLE_ATTRIBUTE, "not a ref" },
        { { "avet", { KEYWORD("age"), TEXT("x") }, 2, 0 }, RILLE_TYPE, "component 2 of the avet index" },
    };
    fill("mem:datoms");
    rille_db *db = open_db("mem:datoms");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const range *r = &cases[i].r;
        rille_err err = { 0 };
        rille_steps *steps = NULL;
        CHECK_RC(rille_start_datoms(db, r->index, r->components, r->count, &steps, &err), cases[i].rc);
        CHECK(steps == NULL && strstr(err.message, cases[i].message) != NULL);
        CHECK_RC(rille_start_count(db, r->index, r->components, r->count, &steps, NULL), cases[i].rc);
    }
    rille_value v = rille_long(1);
    rille_steps *steps = NULL;
    CHECK_RC(rille_start_entid(db, "age", &v, &steps, &test_err), RILLE_MISUSE);
    CHECK_RC(rille_start_entid(db, "none", &v, &steps, NULL), RILLE_ATTRIBUTE);
    CHECK_RC(rille_start_entid(db, "name", &v, &steps, NULL), RILLE_TYPE);
    static const struct {
        const char *attribute;
        int rc;
        const char *message;
    } bad[] = { { "text", RILLE_ATTRIBUTE, "not in the avet index" },
                { "nmae", RILLE_ATTRIBUTE, ":nmae" },
                { "name", RILLE_TYPE, "the start of the range" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rille_err err = { 0 };
        CHECK_RC(rille_start_index_range(db, bad[i].attribute, &v, NULL, &steps, &err), bad[i].rc);
        CHECK(steps == NULL && strstr(err.message, bad[i].message) != NULL);
    }
    rille_db_release(db);
    CHECK_RC(rille_drop("mem:datoms", &test_err), 0);
}

TEST_MAIN(datoms__are_the_same_wherever_they_come_from, datoms__seek_goes_on_to_the_end,
          index_range__has_the_first_end_and_not_the_other, index_range__has_ends_that_are_long_values,
          datoms__can_be_cancelled_and_closed_at_each_step, entid__finds_short_and_long_values,
          datoms__names_what_is_wrong)
