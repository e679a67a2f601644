/* SPDX-License-Identifier: MIT
 *
 * Items that become datoms where they lie: the same transactions give the same commit id, or the same error, as where
 * they are resolved in a task, which never turns them; and a load's memory is counted.
 */
#include "test_db_world.h"

#include "../src/core/db/conn.h"
#include "../src/core/db/tx_inside.h"
#include "../src/core/store/task.h"

#include <stdarg.h>
#include <stdlib.h>

#define TEXT_MAX 200000U

static const char schema[] = "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :key :db/valueType :db.type/string :db/unique :db.unique/value}"
                             " {:db/ident :text :db/valueType :db.type/string}"
                             " {:db/ident :number :db/valueType :db.type/long :db/index true}"
                             " {:db/ident :many :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
                             " {:db/ident :a :db/valueType :db.type/long}"
                             " {:db/ident :b :db/valueType :db.type/long}"
                             " {:db/ident :to :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

typedef struct text {
    char bytes[TEXT_MAX];
    size_t len;
} text;

static void put(text *t, const char *format, ...) RI_PRINTF(2, 3);
static void put(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->bytes + t->len, TEXT_MAX - t->len, format, args);
    va_end(args);
    REQUIRE(t->len < TEXT_MAX);
}

static void put_many(text *t, test_rng *rng, unsigned i)
{
    put(t, " :many [");
    for (uint64_t left = test_random_below(rng, 5); left > 0; left--) {
        put(t, "%d ", (int)test_random_below(rng, 4));
    }
    put(t, "]");
    if (i > 0) {
        put(t, " :to [\"e%d\" \"e%d\"]", (int)test_random_below(rng, i), (int)test_random_below(rng, i));
    }
}

/* Values of an entity. `rough`: how often something is said twice, or of two entities, in a thousand. */
static void put_values(text *t, test_rng *rng, unsigned i, unsigned rough)
{
    bool again = test_random_below(rng, 1000) < rough;
    if (test_random_below(rng, 3) != 0) {
        put(t, " :number %d", (int)test_random_below(rng, again ? 2 : 100));
    }
    if (test_random_below(rng, 2) == 0) {
        put(t, " :key \"k%u\"", again ? 3 : i);
    }
    if (test_random_below(rng, 3) == 0) {
        put(t, " :id %u", again ? 7 : i + 100);
    }
    if (test_random_below(rng, 40) == 0) {
        put(t, " :text \"%01500u\"", i % 7);
    } else {
        put(t, " :text \"t%d\"", (int)test_random_below(rng, 9));
    }
    put_many(t, rng, i);
}

static void draw(text *t, test_rng *rng, unsigned entities, unsigned rough)
{
    t->len = 0;
    put(t, "[");
    for (unsigned i = 0; i < entities; i++) {
        unsigned times = test_random_below(rng, 1000) < rough ? 2 : 1;
        for (unsigned time = 0; time < times; time++) {
            put(t, "{:db/id \"e%u\"", i);
            put_values(t, rng, i, rough);
            put(t, "}\n");
        }
    }
    if (test_random_below(rng, 2) == 0) {
        put(t, "{:db/id \"datomic.tx\" :text \"why\" :many [5 1 1]}");
    }
    put(t, "]");
}

/* In a task or not. */
static int resolve(const world *w, const text *t, bool in_task, ri_tx_result *out, bool *turned, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx;
    ri_io io = { 0 };
    ri_task task = { 0 };
    REQUIRE_RC(ri_edn_read(&arena, t->bytes, t->len, &form, &test_err), 0);
    REQUIRE_RC(ri_tx_new(w->db, &tx, &test_err), 0);
    REQUIRE_RC(ri_tx_fill_edn(tx, &form, &test_err), 0);
    ri_task *outer = in_task ? ri_task_enter(&task) : NULL;
    int rc = ri_tx_resolve(tx, 5000, &io, out, err);
    if (in_task) {
        (void)ri_task_leave(&task, outer, 0, err);
    }
    *turned = tx->spent;
    out->tempids = NULL; /* they go with the transaction */
    out->blobs = NULL;
    ri_tx_release(tx);
    ri_task_deinit(&task);
    ri_io_deinit(&io);
    ri_arena_deinit(&arena);
    return rc;
}

static bool same_datoms(const ri_block *a, const ri_block *b)
{
    bool same = a->count == b->count && memcmp(a->commit, b->commit, RI_HASH_SIZE) == 0;
    for (size_t i = 0; i < a->count && same; i++) {
        const ri_datom *d = &a->datoms[i];
        same = ri_datom_cmp(RI_LOG, d, &b->datoms[i]) == 0 && d->x == 0 && d->v.type == b->datoms[i].v.type;
    }
    return same;
}

TEST(turn__gives_what_items_in_order_give)
{
    world w = world_open(false);
    test_rng rng = test_rng_new();
    static text t;
    int turned_count = 0;
    int refused_count = 0;
    ri_tx_result first;
    bool turned;
    t.len = 0;
    put(&t, "%s", schema);
    REQUIRE_RC(resolve(&w, &t, false, &first, &turned, &test_err), 0);
    REQUIRE_RC(world_push(&w, &first, &test_err), 0);
    ri_tx_result_deinit(&first);
    for (unsigned round = 0; round < 150; round++) {
        ri_tx_result a;
        ri_tx_result b;
        rille_err err_a = { 0 };
        rille_err err_b = { 0 };
        draw(&t, &rng, 40 + round, round % 3 == 0 ? 0 : round % 3 == 1 ? 2 : 20);
        int rc_a = resolve(&w, &t, false, &a, &turned, &err_a);
        turned_count += turned;
        int rc_b = resolve(&w, &t, true, &b, &turned, &err_b);
        CHECK(!turned);
        CHECK_EQ_INT(rc_a, rc_b);
        refused_count += rc_a != 0;
        if (rc_a == 0 && rc_b == 0) {
            CHECK(same_datoms(a.block, b.block));
            CHECK(a.next_e == b.next_e && a.blob_count == b.blob_count);
        } else {
            CHECK_EQ_STR(err_a.message, err_b.message);
        }
        ri_tx_result_deinit(&a);
        ri_tx_result_deinit(&b);
    }
    CHECK(turned_count > 40 && refused_count > 20);
    world_close(&w);
}

/* ---- unique values that rise ---- */

enum { RISING = 20, HELD = 500 };
enum { DISTINCT, AS_BEFORE, AS_FIRST, AS_HELD, FALLING, WAYS };

/* Entities whose values rise, but for that at `at`. */
static void draw_keys(text *t, bool identity, unsigned at, unsigned how)
{
    t->len = 0;
    put(t, "[");
    for (unsigned i = 0; i < RISING; i++) {
        unsigned number = 1000 + 10 * i;
        if (i == at && how != DISTINCT) {
            number = how == AS_BEFORE && i > 0 ? number - 10 : how == AS_HELD ? HELD : how == FALLING ? 999 : 1000;
        }
        put(t, identity ? "{:id %u :a 1}\n" : "{:key \"%u\" :a 1}\n", number);
    }
    put(t, "]");
}

static void check_keys(const world *w, bool identity, bool holds, unsigned at, unsigned how)
{
    static text t;
    draw_keys(&t, identity, at, how);
    bool repeats = (how == AS_BEFORE || how == AS_FIRST) && at > 0;
    bool held = how == AS_HELD && holds;
    for (unsigned in_task = 0; in_task < 2; in_task++) {
        ri_tx_result result;
        rille_err err = { 0 };
        bool turned;
        int rc = resolve(w, &t, in_task != 0, &result, &turned, &err);
        CHECK_EQ_INT(rc, !identity && (repeats || held) ? RILLE_TX_UNIQUE : 0);
        if (rc == 0) { /* two datoms each, one of an entity that has the value, and the instant */
            CHECK_EQ_INT(result.block->count, 2 * RISING + 1 - (repeats ? 2 : held ? 1 : 0));
            CHECK_EQ_INT(result.next_e - w->db->next_e, RISING - (repeats || held ? 1 : 0));
        }
        ri_tx_result_deinit(&result);
    }
}

TEST(keys__that_rise_are_judged_as_others)
{
    static const char *const before[] = { schema, "[[:db/add \"x\" :id 500] [:db/add \"x\" :key \"500\"]]" };
    static text t;
    world w = world_open(false);
    for (unsigned held = 0; held < 2; held++) {
        ri_tx_result result;
        bool turned;
        t.len = 0;
        put(&t, "%s", before[held]);
        REQUIRE_RC(resolve(&w, &t, false, &result, &turned, &test_err), 0);
        REQUIRE_RC(world_push(&w, &result, &test_err), 0);
        ri_tx_result_deinit(&result);
        for (unsigned at = 0; at < RISING; at++) {
            for (unsigned how = 0; how < WAYS; how++) {
                check_keys(&w, true, held != 0, at, how);
                check_keys(&w, false, held != 0, at, how);
            }
        }
    }
    world_close(&w);
}

/* ---- memory ---- */

static size_t live;
static size_t peak;

/* Sizes of blocks that were allocated while it is counted. */
static struct sized {
    void *block;
    size_t size;
} sizes[20000];

static struct sized *size_of(const void *block)
{
    size_t i = 0;
    while (i < sizeof sizes / sizeof *sizes && sizes[i].block != block) {
        i++;
    }
    return i < sizeof sizes / sizeof *sizes ? &sizes[i] : NULL;
}

static void *sized_alloc(void *context, void *block, size_t size)
{
    struct sized *own = block == NULL ? NULL : size_of(block);
    void *result = test_alloc(context, block, size);
    if (own != NULL) {
        live -= own->size;
        *own = (struct sized){ NULL, 0 };
    }
    if (result != NULL) {
        own = size_of(NULL);
        REQUIRE(own != NULL);
        *own = (struct sized){ result, size };
        live += size;
        peak = live > peak ? live : peak;
    }
    return result;
}

static void add(ri_tx *tx, ri_ent e, const char *ident, const ri_value *v)
{
    const ri_attr *attr;
    REQUIRE_RC(ri_tx_attr(tx, ident, strlen(ident), &attr, &test_err), 0);
    REQUIRE_RC(ri_tx_add(tx, e, attr, v, false, &test_err), 0);
}

/* A load, of values that are borrowed as those of Lua are. */
TEST(turn__a_load_takes_few_bytes_a_datom)
{
#ifdef RI_ARENA_MALLOC
    enum { ENTITIES = 5000, VALUES = 6, COUNTED = 0 }; /* each value is a block */
#else
    enum { ENTITIES = 50000, VALUES = 6, COUNTED = 1 };
#endif
    static char keys[ENTITIES][12];
    static const char *const texts[] = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor" };
    ri_conn_options options = { .create = true };
    rille_conn *conn;
    ri_report report;
    ri_tx *tx;
    rille_set_alloc_hook(COUNTED ? sized_alloc : test_alloc, NULL);
    REQUIRE_RC(ri_conn_open("mem:load", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    size_t before = live;
    peak = live;
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    for (size_t i = 0; i < ENTITIES; i++) {
        ri_ent e;
        int len = snprintf(keys[i], sizeof keys[i], "k%08zu", i * 7919 % ENTITIES);
        const char *name = texts[i % 7];
        REQUIRE_RC(ri_tx_begin_item(tx, false, &test_err), 0);
        REQUIRE_RC(ri_tx_temp_fresh(tx, &e, &test_err), 0);
        ri_value key = ri_bytes_value(RI_STRING, keys[i], (size_t)len);
        ri_value said = ri_bytes_value(RI_STRING, name, strlen(name));
        ri_value numbers[] = { ri_long((int64_t)i), ri_long((int64_t)(i % 100)), ri_long((int64_t)(i * i % 9973)) };
        add(tx, e, "key", &key);
        add(tx, e, "text", &said);
        add(tx, e, "number", &numbers[1]);
        add(tx, e, "many", &numbers[0]);
        add(tx, e, "a", &numbers[2]);
        add(tx, e, "b", &numbers[1]);
    }
    REQUIRE_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
    CHECK_EQ_INT(report.tx.block->count, ENTITIES * VALUES + 1);
    printf("  %.1f bytes a datom\n", (double)(peak - before) / (ENTITIES * VALUES));
    CHECK(peak - before <= (size_t)80 * ENTITIES * VALUES + (1U << 20)); /* and a megabyte for what is written */
    ri_tx_release(tx);
    ri_report_deinit(&report);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:load", &test_err), 0);
    rille_set_alloc_hook(test_alloc, NULL);
}

/* Of unique values, long ones, some of many, and of the transaction itself. */
static int load_without_memory(void)
{
    static text t;
    ri_conn_options options = { .create = true, .flush = RI_FLUSH_MANUAL };
    rille_conn *conn = NULL;
    ri_report report = { 0 };
    t.len = 0;
    put(&t, "[");
    for (unsigned i = 0; i < 100; i++) {
        put(&t, "{:db/id \"e%u\" :key \"k%u\" :number %u :many [3 1 3]}", i, i, i % 7);
    }
    put(&t, "{:db/id \"last\" :text \"%01500u\"} {:db/id \"datomic.tx\" :text \"why\"}]", 1U);
    int rc = ri_conn_open("mem:", &options, &conn, &test_err);
    rc = rc == 0 ? ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &test_err) : rc;
    ri_report_deinit(&report);
    rc = rc == 0 ? ri_conn_transact_edn(conn, t.bytes, t.len, &report, &test_err) : rc;
    ri_report_deinit(&report);
    ri_conn_release(conn);
    return rc;
}

TEST(turn__copes_without_memory)
{
    TEST_FAULT_SWEEP(load_without_memory());
}

TEST_MAIN(turn__gives_what_items_in_order_give, keys__that_rise_are_judged_as_others,
          turn__a_load_takes_few_bytes_a_datom, turn__copes_without_memory)
