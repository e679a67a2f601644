/* SPDX-License-Identifier: MIT
 *
 * Databases whose hashes are right and whose order is wrong, as somebody may have made them: rows, leaves and branches
 * changed places, separators, counts, attributes and types are others. Every call ends, with a right answer or with
 * RILLE_CORRUPT; none ends in RILLE_INTERNAL. One that hangs is killed by an alarm.
 *
 * The trees have leaves of 7 rows and branches of 3 children, so that they are high.
 *
 * RILLE_DAMAGE_ROUNDS: how many databases of each tree and kind of damage (6).
 */
#include "test_query_damage.h"
#include "rille/rille.h"

#include <unistd.h>

enum { ENTITIES = 60, ALARM_S = 120 };

static const char url[] = "mem:query_damage";

/* ---- what is asked ---- */

static const struct {
    const char *text;
    bool scans; /* reads all of a range: misses nothing without a word */
} queries[] = {
    { "[:find ?e ?v :where [?e :n/long ?v]]", true },
    { "[:find ?e ?t :where [?e :n/text ?t]]", true },
    { "[:find ?e ?a ?v :where [?e ?a ?v]]", true },
    { "[:find ?e ?f :where [?f :n/ref ?e]]", true },
    { "[:find ?e ?v :where [?e :n/long ?v] [(> ?v 10)]]", true },
    { "[:find ?e ?v ?t :where [?e :n/long ?v] [?e :n/text ?t]]", false },
    { "[:find ?e ?t :where [?e :n/ref ?f] [?f :n/text ?t]]", false },
    { "[:find ?e ?f :where [?f :n/long ?v] [(< ?v 9)] [?e :n/ref ?f]]", false },
    { "[:find ?e ?v :where [(ground [3 1 4 1 5 9 26 53]) [?v ...]] [?e :n/long ?v]]", false },
    { "[:find ?e ?t :where [(ground [\"t1\" \"t4\" \"t7\" \"t40\"]) [?t ...]] [?e :n/text ?t]]", false },
    { "[:find ?e ?a ?v :where [?e :n/long ?n] [(< ?n 20)] [?e ?a ?v]]", false },
    { "[:find ?e ?t :where [?e :n/tags ?t] [?f :n/text ?t]]", false },
    { "[:find ?e :where [?e :n/long ?v] (not [?e :n/tags \"t1\"])]", false },
    { "[:find (count ?e) . :where [?e :n/tags]]", false },
};

enum { QUERY_COUNT = sizeof queries / sizeof *queries };

typedef struct answer {
    int rc;
    size_t rows;
    uint64_t sum; /* of the rows' hashes */
} answer;

static uint64_t hash_value(const rille_value *v, uint64_t seed)
{
    uint64_t word = v->type == RILLE_TYPE_DOUBLE ? (uint64_t)(v->u.d * 1000) : (uint64_t)v->u.i;
    return v->len > 0 ? ri_hash64(v->u.bytes, v->len, seed) : ri_hash64((const uint8_t *)&word, sizeof word, seed);
}

static answer ask(rille_db *db, const char *text)
{
    rille_query *query;
    rille_result *result = NULL;
    rille_input input = { .db = db };
    answer out = { 0, 0, 0 };
    REQUIRE_RC(rille_prepare(text, strlen(text), &query, &test_err), 0);
    out.rc = rille_run(query, &input, 1, &result, &test_err);
    out.rows = out.rc == 0 ? rille_result_rows(result) : 0;
    for (size_t row = 0; row < out.rows; row++) {
        uint64_t h = 0;
        for (size_t column = 0; column < rille_result_columns(result); column++) {
            rille_value v = rille_result_get(result, row, column);
            h = hash_value(&v, h);
        }
        out.sum += h;
    }
    rille_result_close(result);
    rille_query_close(query);
    return out;
}

static answer right[QUERY_COUNT];

/* exact: only the order was changed, so that a scan gives all rows or finds out. */
static void check_queries(rille_db *db, bool exact)
{
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        answer found = ask(db, queries[i].text);
        bool good =
            found.rc == RILLE_CORRUPT ||
            (found.rc == 0 ? !exact || (queries[i].scans ? found.rows == right[i].rows && found.sum == right[i].sum
                                                         : found.rows <= right[i].rows)
                           : !exact && found.rc != RILLE_INTERNAL);
        CHECK(good);
        if (!good) {
            printf("  %s: %s, %zu of %zu rows; %s\n", queries[i].text, rille_code_name(found.rc), found.rows,
                   right[i].rows, test_err.message);
        }
    }
}

static bool allowed(int rc, bool exact)
{
    return rc == 0 || rc == RILLE_DONE || rc == RILLE_CORRUPT || (!exact && rc != RILLE_INTERNAL);
}

/* Every datom of an order, from a cut on, and backwards: they come in order. */
static void check_order(const rille_db *db, ri_order order, const ri_datom *from, bool exact)
{
    ri_cursor cursor;
    ri_io io = { 0 };
    ri_bound cut = { .d = *from, .parts = (uint8_t)ri_order_parts(order) };
    ri_bound all = ri_bound_all(false);
    for (int way = 0; way < 3; way++) {
        ri_datom last = { 0 };
        ri_node *held = NULL;
        ri_cursor_init(&cursor, db->store, &db->base->tree[order]);
        int rc = way == 2 ? ri_cursor_seek_back(&cursor, &cut, &io, &test_err)
                          : ri_cursor_seek(&cursor, way == 0 ? &all : &cut, &io, &test_err);
        for (uint64_t n = 0; rc == 0; n++) {
            ri_datom d;
            ri_node *leaf = cursor.path[0];
            ri_node_datom(leaf, ri_cursor_row(&cursor), &d);
            int c = n == 0 ? (way == 2 ? 1 : -1) : ri_datom_cmp(order, &last, &d);
            CHECK(way == 2 ? c > 0 : c < 0);
            REQUIRE(n <= 2 * db->base->tree[order].count);
            ri_object_take(&leaf->object);
            ri_node_release(held);
            held = leaf;
            last = d;
            rc = way == 2 ? ri_cursor_prev(&cursor, &io, &test_err) : ri_cursor_next(&cursor, &io, &test_err);
        }
        CHECK(allowed(rc, exact));
        ri_node_release(held);
        ri_cursor_deinit(&cursor);
    }
    ri_io_deinit(&io);
}

static void check_diff(const rille_db *db, const rille_db *intact, ri_order order, bool exact)
{
    ri_diff *diff;
    ri_io io = { 0 };
    ri_datom d;
    bool in_b;
    int rc =
        ri_diff_new(db->store, &db->base->tree[order], intact->store, &intact->base->tree[order], &diff, &test_err);
    while (rc == 0) {
        rc = ri_diff_next(diff, &io, &d, &in_b, &test_err);
    }
    CHECK(allowed(rc, exact));
    ri_diff_release(diff);
    ri_io_deinit(&io);
}

static int transact(rille_conn *conn, const char *text)
{
    ri_report report;
    int rc = ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err);
    ri_report_deinit(&report);
    return rc;
}

/* A form for each entity, with its number in all three places. */
static void transact_all(rille_conn *conn, const char *form)
{
    char text[8192];
    int len = snprintf(text, sizeof text, "[");
    for (int i = 0; i < ENTITIES; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, form, i, i, i * 7 % ENTITIES);
    }
    (void)snprintf(text + len, sizeof text - (size_t)len, "]");
    int rc = transact(conn, text);
    CHECK(rc != RILLE_INTERNAL && rc != RILLE_NOMEM);
}

/* Changes of every leaf of the current trees, so that a flush reads all their rows; and facts that end twice. */
static void change_everything(rille_conn *conn)
{
    transact_all(conn, "{:n/long %d :n/text \"w%d\" :n/ref [:n/long %d]} ");
    for (int i = 0; i < 3; i++) {
        transact_all(conn, i == 1 ? "[:db/add [:n/long %d] :n/double %d.5] ; %d\n"
                                  : "[:db/retract [:n/long %d] :n/double %d.5] ; %d\n");
    }
}

static void check_writes(rille_conn *conn, bool exact)
{
    static const char *const texts[] = {
        "[{:n/long 5 :n/text \"new\"} {:n/long 1000 :n/tags [\"a\" \"t1\"]}]",
        "[[:db/retract [:n/long 7] :n/text \"t7\"] [:db/retractEntity [:n/long 20]]]",
        "[[:db/add [:n/long 9] :n/double 0.25] [:db/add \"x\" :n/long 2000] [:db/add \"x\" :n/ref [:n/long 30]]]",
    };
    rille_err none;
    ri_verify_report report;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int rc = transact(conn, texts[i]);
        /* A lookup may miss what lies elsewhere. */
        CHECK(rc != RILLE_INTERNAL && rc != RILLE_NOMEM);
    }
    change_everything(conn);
    int rc = ri_conn_flush(conn, &test_err);
    CHECK(allowed(rc, exact));
    if (!allowed(rc, exact)) {
        printf("  flush: %s\n", test_err.message);
    }
    rc = ri_conn_verify(conn, &report, &none);
    CHECK(rc == 0 || rc == RILLE_CORRUPT);
}

static void check_past(rille_db *db, bool exact)
{
    for (uint64_t t = 0; t < 8; t += 3) {
        rille_db *past = NULL;
        int rc = ri_db_as_of_t(db, RI_TX_BASE + t, &past, &test_err);
        CHECK(allowed(rc, exact) || rc == RILLE_NOTFOUND);
        for (size_t i = 0; rc == 0 && i < QUERY_COUNT; i += 3) {
            answer found = ask(past, queries[i].text);
            CHECK(allowed(found.rc, false));
        }
        ri_db_release(past);
    }
}

/* row NULL: queries only. */
static void check_all(const char *branch, const rille_db *intact, ri_order order, const ri_datom *row, bool exact)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    ri_conn_options options = { .branch = branch };
    int rc = ri_conn_open(url, &options, &conn, &test_err);
    CHECK(allowed(rc, exact));
    if (rc != 0) {
        return;
    }
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    (void)alarm(ALARM_S);
    check_queries(db, exact);
    if (row != NULL) {
        check_order(db, order, row, exact);
        check_diff(db, intact, order, exact);
        check_past(db, exact);
        check_writes(conn, exact);
    }
    (void)alarm(0);
    ri_db_release(db);
    ri_conn_release(conn);
}

/* ---- the database ---- */

static void fill(rille_conn *conn)
{
    char text[4096];
    REQUIRE_RC(transact(conn, "[{:db/ident :n/long :db/valueType :db.type/long :db/unique :db.unique/identity}"
                              " {:db/ident :n/text :db/valueType :db.type/string :db/index true}"
                              " {:db/ident :n/tags :db/valueType :db.type/string"
                              "  :db/cardinality :db.cardinality/many}"
                              " {:db/ident :n/ref :db/valueType :db.type/ref}"
                              " {:db/ident :n/double :db/valueType :db.type/double}]"),
               0);
    for (int i = 0; i < ENTITIES; i++) {
        (void)snprintf(text, sizeof text,
                       "[{:db/id \"x\" :n/long %d :n/text \"t%d\" :n/tags [\"t%d\" \"t%d\" \"u%d\"] :n/double %d.5}"
                       " %s%d%s]",
                       i, i % 50, i % 7, i % 11, i, i, i == 0 ? ";" : "[:db/add \"x\" :n/ref [:n/long ", i / 2,
                       i == 0 ? "\n" : "]]");
        REQUIRE_RC(transact(conn, text), 0);
    }
    for (int i = 0; i < ENTITIES; i += 5) {
        (void)snprintf(text, sizeof text, "[[:db/retract [:n/long %d] :n/tags \"u%d\"] {:n/long %d :n/text \"t%d\"}]",
                       i, i, i, i + 1);
        REQUIRE_RC(transact(conn, text), 0);
    }
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
}

typedef struct scene {
    rille_conn *conn;
    rille_db *db;
    test_rng rng;
    unsigned made;
} scene;

static maker the_maker;

static void open_scene(scene *s)
{
    ri_conn_options options = { .create = true };
    *s = (scene){ .rng = test_rng_new() };
    REQUIRE_RC(ri_conn_open(url, &options, &s->conn, &test_err), 0);
    fill(s->conn);
    REQUIRE_RC(ri_conn_db(s->conn, &s->db, &test_err), 0);
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        right[i] = ask(s->db, queries[i].text);
        CHECK_RC(right[i].rc, 0);
        CHECK(right[i].rows > 0);
    }
    the_maker = (maker){ .rng = &s->rng, .encoder = ri_encoder_new() };
}

static void close_scene(scene *s)
{
    printf("  %u databases\n", s->made);
    ri_encoder_free(the_maker.encoder);
    ri_db_release(s->db);
    ri_conn_release(s->conn);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
}

static void damage_one(scene *s, unsigned order, damage kind, bool queries_only)
{
    maker *m = &the_maker;
    char branch[32];
    m->order = (ri_order)order;
    (void)snprintf(branch, sizeof branch, "b%u", s->made++);
    make_branch(m, s->conn, s->db, kind, branch);
    bool exact = kind < ATTRIBUTE || kind > TRANSACTION;
    check_all(branch, s->db, m->order, queries_only ? NULL : &m->rows[below(m, m->row_count)], exact);
    ri_arena_deinit(&m->bytes);
}

static void damage_all(damage from, damage to, unsigned rounds_default)
{
    scene s;
    const char *env = getenv("RILLE_DAMAGE_ROUNDS");
    unsigned long rounds = env != NULL ? strtoul(env, NULL, 10) : rounds_default;
    open_scene(&s);
    for (unsigned order = 0; order < RI_ORDER_COUNT; order++) {
        for (unsigned kind = from; kind <= to; kind++) {
            for (unsigned long round = 0; round < rounds; round++) {
                damage_one(&s, order, (damage)kind, false);
            }
        }
    }
    close_scene(&s);
}

/* At each node of a level. */
static void damage_each(damage kind, unsigned level)
{
    scene s;
    open_scene(&s);
    the_maker.level = level;
    for (unsigned order = 0; order < RI_ORDER_COUNT; order++) {
        the_maker.at = 0;
        do {
            damage_one(&s, order, kind, the_maker.at % 6 != 0);
        } while (++the_maker.at < the_maker.at_count);
    }
    close_scene(&s);
}

TEST(damage__small_trees_without_damage_give_right_answers)
{
    damage_all(NO_DAMAGE, NO_DAMAGE, 1);
}

TEST(damage__to_the_order_is_found_or_harmless)
{
    damage_all(SWAP_ROWS, COUNT, 6);
}

TEST(damage__to_datoms_ends_every_call)
{
    damage_all(ATTRIBUTE, TRANSACTION, 6);
}

TEST(damage__that_leads_back_ends_every_call)
{
    damage_each(LEADS_BACK, 1);
    damage_each(LEADS_BACK, 2);
}

TEST(damage__that_points_ahead_ends_every_call)
{
    damage_each(POINTS_AHEAD, 1);
    damage_each(POINTS_AHEAD, 2);
}

TEST_MAIN(damage__small_trees_without_damage_give_right_answers, damage__to_the_order_is_found_or_harmless,
          damage__to_datoms_ends_every_call, damage__that_leads_back_ends_every_call,
          damage__that_points_ahead_ends_every_call)
