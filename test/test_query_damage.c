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
#include "harness.h"

#include "../src/core/db/conn.h"
#include "../src/core/db/head.h"
#include "../src/core/tree/chunk.h"
#include "rille/rille.h"

#include <unistd.h>

enum { ROWS_MAX = 3000, LEAF = 7, FANOUT = 3, NODES_MAX = 1000, LEVELS_MAX = 12, ALARM_S = 120 };

typedef enum damage {
    NO_DAMAGE,
    SWAP_ROWS,   /* within a leaf */
    SWAP_NODES,  /* two of a level: what refers to them */
    REPEAT_NODE, /* one in place of another */
    SEPARATOR,   /* another one's */
    COUNT,       /* of datoms */
    ATTRIBUTE,   /* of a row, or of a leaf */
    TYPE,        /* of a value */
    TRANSACTION, /* of a row */
    DAMAGE_KINDS
} damage;

static const char url[] = "mem:query_damage";

/* ---- a tree, to be written as it is not allowed ---- */

typedef struct tree_level {
    uint32_t count;
    ri_datom separators[NODES_MAX];
    uint64_t datoms[NODES_MAX];
    ri_noderef refs[NODES_MAX];
} tree_level;

typedef struct maker {
    ri_order order;
    ri_datom rows[ROWS_MAX];
    uint32_t row_count;
    ri_arena bytes;
    ri_writer *writer;
    ri_encoder *encoder;
    test_rng *rng;
} maker;

static uint32_t below(maker *m, uint32_t n)
{
    return (uint32_t)test_random_below(m->rng, n);
}

static void read_rows(maker *m, const rille_db *db)
{
    ri_cursor cursor;
    ri_io io = { 0 };
    ri_bound start = ri_bound_all(false);
    ri_cursor_init(&cursor, db->store, &db->base->tree[m->order]);
    m->row_count = 0;
    int rc = ri_cursor_seek(&cursor, &start, &io, &test_err);
    for (; rc == 0; rc = ri_cursor_next(&cursor, &io, &test_err)) {
        REQUIRE(m->row_count < ROWS_MAX);
        ri_datom *d = &m->rows[m->row_count++];
        ri_node_datom(ri_cursor_leaf(&cursor), ri_cursor_row(&cursor), d);
        REQUIRE(ri_value_copy(&m->bytes, &d->v, &d->v));
    }
    CHECK_RC(rc, RILLE_DONE);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
}

static void damage_leaf(maker *m, damage kind, ri_datom *rows, uint32_t n)
{
    uint32_t i = below(m, n);
    if (kind == SWAP_ROWS && n > 1) {
        uint32_t j = (i + 1 + below(m, n - 1)) % n;
        ri_datom other = rows[i];
        rows[i] = rows[j];
        rows[j] = other;
    }
    if (kind == ATTRIBUTE) {
        bool all = below(m, 2) == 0;
        uint32_t a = below(m, 3) == 0 ? 999U : RI_EID_ATTR + below(m, 6);
        for (uint32_t row = 0; row < n; row++) {
            rows[row].a = all || row == i ? a : rows[row].a;
        }
    }
    if (kind == TYPE && m->order != RI_VAET) {
        static const char text[] = "zz";
        bool all = below(m, 2) == 0;
        ri_value v = below(m, 2) == 0 ? ri_long(5) : ri_bytes_value(RI_STRING, text, 2);
        for (uint32_t row = 0; row < n; row++) {
            rows[row].v = all || row == i ? v : rows[row].v;
        }
    }
    if (kind == TRANSACTION) {
        rows[i].t = RI_TX_BASE + below(m, 1000);
    }
}

static void damage_level(maker *m, damage kind, tree_level *level)
{
    uint32_t i = below(m, level->count);
    uint32_t j = level->count > 1 ? (i + 1 + below(m, level->count - 1)) % level->count : i;
    ri_noderef ref = level->refs[i];
    uint64_t datoms = level->datoms[i];
    if (kind == SWAP_NODES || kind == REPEAT_NODE) {
        level->refs[i] = level->refs[j];
        level->datoms[i] = level->datoms[j];
        level->refs[j] = kind == SWAP_NODES ? ref : level->refs[j];
        level->datoms[j] = kind == SWAP_NODES ? datoms : level->datoms[j];
    }
    if (kind == SEPARATOR) {
        level->separators[i] = below(m, 2) == 0 ? level->separators[j] : m->rows[below(m, m->row_count)];
    }
    if (kind == COUNT) {
        level->datoms[i] += below(m, 2) == 0 ? 1 : UINT64_MAX;
    }
}

/* Are the rows that a node is made of such as the encoder takes? */
static void put_node(maker *m, unsigned level, const ri_datom *rows, uint32_t n, const uint64_t *datoms,
                     const ri_noderef *refs, ri_noderef *out)
{
    ri_buf bytes = { 0 };
    uint8_t addrs[FANOUT * RI_HASH_SIZE];
    for (uint32_t i = 0; level > 0 && i < n; i++) {
        memcpy(addrs + (size_t)i * RI_HASH_SIZE, refs[i].addr, RI_HASH_SIZE);
    }
    REQUIRE_RC(ri_node_encode(m->encoder, m->order, level, rows, n, level > 0 ? datoms : NULL, level > 0 ? addrs : NULL,
                              &bytes, &test_err),
               0);
    REQUIRE_RC(ri_writer_put_node(m->writer, level, bytes.p, bytes.len, refs, level > 0 ? n : 0, out, &test_err), 0);
    ri_buf_deinit(&bytes);
}

static void make_leaves(maker *m, damage kind, tree_level *level)
{
    uint32_t count = (m->row_count + LEAF - 1) / LEAF;
    uint32_t bad = below(m, count);
    REQUIRE(count <= NODES_MAX);
    level->count = count;
    for (uint32_t i = 0; i < count; i++) {
        ri_datom rows[LEAF];
        uint32_t n = i + 1 < count ? LEAF : m->row_count - i * LEAF;
        memcpy(rows, m->rows + i * LEAF, n * sizeof *rows);
        level->separators[i] =
            i == 0 ? ri_separator_zero(m->order) : ri_separator(m->order, &m->rows[i * LEAF - 1], &rows[0]);
        level->datoms[i] = n;
        if (i == bad) {
            damage_leaf(m, kind, rows, n);
        }
        put_node(m, 0, rows, n, NULL, NULL, &level->refs[i]);
    }
}

static void make_branches(maker *m, unsigned number, const tree_level *from, tree_level *to)
{
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i += FANOUT) {
        uint32_t n = from->count - i < FANOUT ? from->count - i : FANOUT;
        uint32_t at = to->count++;
        to->separators[at] = from->separators[i];
        to->datoms[at] = 0;
        for (uint32_t k = 0; k < n; k++) {
            to->datoms[at] += from->datoms[i + k];
        }
        put_node(m, number, from->separators + i, n, from->datoms + i, from->refs + i, &to->refs[at]);
    }
}

static ri_tree make_tree(maker *m, damage kind)
{
    static tree_level levels[2];
    unsigned height = 1;
    unsigned bad = 1 + below(m, 4); /* the branches of which level are damaged */
    tree_level *level = &levels[0];
    make_leaves(m, kind, level);
    while (level->count > 1) {
        tree_level *next = level == &levels[0] ? &levels[1] : &levels[0];
        if (height == bad || (level->count <= FANOUT && height < bad)) {
            damage_level(m, kind, level);
            bad = UINT32_MAX;
        }
        make_branches(m, height, level, next);
        level = next;
        height++;
    }
    ri_tree tree = { .root = level->refs[0], .count = level->datoms[0], .order = (uint8_t)m->order };
    tree.height = (uint8_t)height;
    return tree;
}

/* Branch `name`: the database's head with another tree in it. */
static void make_branch(maker *m, rille_conn *conn, rille_db *db, damage kind, const char *name)
{
    ri_store *store = ri_conn_store(conn);
    ri_buf body = { 0 };
    ri_buf cell = { 0 };
    rille_head old;
    rille_revision revision;
    rille_err none = { 0 };
    REQUIRE_RC(ri_writer_new(store, &m->writer, &test_err), 0);
    read_rows(m, db);
    ri_tree before = db->base->tree[m->order];
    db->base->tree[m->order] = make_tree(m, kind);
    REQUIRE_RC(ri_writer_seal(m->writer, &test_err), 0);
    ri_base_write(db->base, false, &body);
    ri_frame_write(&cell, RI_FRAME_BASE, body.p, body.len);
    db->base->tree[m->order] = before;
    (void)ri_store_head_read(store, name, &old, &none);
    rille_head_swap swap = { .branch = name, .expected = old.revision, .cell = cell.p, .cell_len = cell.len };
    REQUIRE_RC(ri_store_head_swap(store, &swap, m->writer, &revision, &test_err), 0);
    rille_free(old.bytes);
    ri_writer_release(m->writer);
    ri_buf_deinit(&body);
    ri_buf_deinit(&cell);
}

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
    check_order(db, order, row, exact);
    check_diff(db, intact, order, exact);
    check_past(db, exact);
    check_writes(conn, exact);
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
    for (int i = 0; i < 60; i++) {
        (void)snprintf(text, sizeof text,
                       "[{:db/id \"x\" :n/long %d :n/text \"t%d\" :n/tags [\"t%d\" \"t%d\" \"u%d\"] :n/double %d.5}"
                       " %s%d%s]",
                       i, i % 50, i % 7, i % 11, i, i, i == 0 ? ";" : "[:db/add \"x\" :n/ref [:n/long ", i / 2,
                       i == 0 ? "\n" : "]]");
        REQUIRE_RC(transact(conn, text), 0);
    }
    for (int i = 0; i < 60; i += 5) {
        (void)snprintf(text, sizeof text, "[[:db/retract [:n/long %d] :n/tags \"u%d\"] {:n/long %d :n/text \"t%d\"}]",
                       i, i, i, i + 1);
        REQUIRE_RC(transact(conn, text), 0);
    }
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
}

static void damage_all(damage from, damage to, unsigned rounds_default)
{
    static maker m;
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    ri_conn_options options = { .create = true };
    test_rng rng = test_rng_new();
    const char *env = getenv("RILLE_DAMAGE_ROUNDS");
    unsigned long rounds = env != NULL ? strtoul(env, NULL, 10) : rounds_default;
    char branch[32];
    unsigned made = 0;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    fill(conn);
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        right[i] = ask(db, queries[i].text);
        CHECK_RC(right[i].rc, 0);
        CHECK(right[i].rows > 0);
    }
    m.rng = &rng;
    m.encoder = ri_encoder_new();
    for (unsigned order = 0; order < RI_ORDER_COUNT; order++) {
        for (unsigned kind = from; kind <= to; kind++) {
            for (unsigned long round = 0; round < rounds; round++) {
                m.order = (ri_order)order;
                (void)snprintf(branch, sizeof branch, "b%u", made++);
                make_branch(&m, conn, db, (damage)kind, branch);
                bool exact = kind < ATTRIBUTE;
                check_all(branch, db, m.order, &m.rows[below(&m, m.row_count)], exact);
                ri_arena_deinit(&m.bytes);
            }
        }
    }
    printf("  %u databases\n", made);
    ri_encoder_free(m.encoder);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
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

TEST_MAIN(damage__small_trees_without_damage_give_right_answers, damage__to_the_order_is_found_or_harmless,
          damage__to_datoms_ends_every_call)
