/* SPDX-License-Identifier: MIT
 *
 * Novelties against a plain model: which of some hundred possible facts hold, in arrays. Random programs push blocks on
 * any earlier value, go back to a prefix of its blocks, drop values; each value that is alive answers like its array,
 * in all four orders, in random ranges, as views and as rows, with and without a base.
 */
#include "test_data_values.h"
#include "test_threads.h"
#include "test_tree_store.h"

#include "../src/core/db/head.h"

#define FACTS_MAX 2000U
#define VALUES 6U
#define ATTRS 6U
#define LINKED_MAX 600U

static const uint32_t attr_ids[ATTRS] = { 100, 101, 102, 103, 5000, 5001 };
static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };

/* What holds at one value. */
typedef struct state {
    uint64_t t[FACTS_MAX]; /* 0: it does not hold; 1: since the base */
} state;

typedef struct value {
    rille_db *db;
    state *facts;
} value;

/* A block that is in a chain, and what holds after it. */
typedef struct linked {
    ri_block *block;
    state *facts;
} linked;

typedef struct model {
    test_rng rng;
    ri_arena arena;
    ri_store *store;
    ri_schema *schema;
    ri_base *base;
    ri_datom facts[FACTS_MAX]; /* sorted by (e a v), distinct */
    uint32_t fact_count;
    uint32_t sorted[RI_NOVELTY_ORDERS][FACTS_MAX]; /* those that belong to an order, in it */
    uint32_t sorted_count[RI_NOVELTY_ORDERS];
    value values[VALUES];
    linked linked[LINKED_MAX];
    uint32_t linked_count;
    state in_base;
    uint64_t t;
    unsigned prefixes; /* that were looked up, and how many with one fact or none took a scan: some leaves are small */
    unsigned vague;
} model;

/* ---- schema and facts ---- */

static const uint64_t attr_types[ATTRS] = { RI_A_TYPE_LONG,   RI_A_TYPE_STRING, RI_A_TYPE_REF,
                                            RI_A_TYPE_BIGDEC, RI_A_TYPE_STRING, RI_A_TYPE_LONG };

static ri_schema *make_schema(void)
{
    ri_schema *start = NULL;
    ri_schema *schema = NULL;
    static const char *const names[ATTRS] = { "m/long", "m/text", "m/ref", "m/big", "m/far", "m/farther" };
    ri_datom d[ATTRS * 4];
    size_t n = 0;
    REQUIRE_RC(ri_schema_bootstrap(false, &start, &test_err), 0);
    for (size_t i = 0; i < ATTRS; i++) {
        ri_value ident = ri_bytes_value(RI_KEYWORD, names[i], strlen(names[i]));
        uint64_t e = attr_ids[i];
        d[n++] = (ri_datom){ .e = e, .a = RI_A_IDENT, .v = ident, .added = true };
        d[n++] = (ri_datom){ .e = e, .a = RI_A_VALUE_TYPE, .v = ri_ref(attr_types[i]), .added = true };
        d[n++] = (ri_datom){ .e = e, .a = RI_A_CARDINALITY, .v = ri_ref(RI_A_CARD_MANY), .added = true };
        d[n++] = (ri_datom){ .e = e, .a = RI_A_INDEX, .v = ri_word(RI_BOOL, i != 4), .added = true };
    }
    REQUIRE_RC(ri_schema_apply(start, d, n, &schema, NULL, &test_err), 0);
    ri_schema_release(start);
    return schema;
}

static ri_value random_value(model *m, uint32_t attr)
{
    switch (attr_types[attr]) {
    case RI_A_TYPE_LONG:
        return ri_long(test_random_below(&m->rng, 2) != 0 ? (int64_t)test_random_below(&m->rng, 40)
                                                          : test_long(&m->rng));
    case RI_A_TYPE_REF:
        return ri_ref(RI_EID_USER + test_random_below(&m->rng, 60));
    case RI_A_TYPE_BIGDEC:
        return test_number_text(&m->rng, &m->arena, RI_BIGDEC);
    default:
        return test_letters(&m->rng, &m->arena, RI_STRING);
    }
}

static int cmp_eavt(const void *a, const void *b)
{
    return ri_datom_cmp(RI_EAVT, a, b);
}

static void make_facts(model *m, uint32_t wanted)
{
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t attr = (uint32_t)test_random_below(&m->rng, ATTRS);
        m->facts[i] = (ri_datom){ .e = RI_EID_USER + test_random_below(&m->rng, 60),
                                  .a = attr_ids[attr],
                                  .v = random_value(m, attr),
                                  .added = true };
    }
    qsort(m->facts, wanted, sizeof *m->facts, cmp_eavt);
    for (uint32_t i = 0; i < wanted; i++) {
        if (m->fact_count == 0 || cmp_eavt(&m->facts[m->fact_count - 1], &m->facts[i]) != 0) {
            m->facts[m->fact_count++] = m->facts[i];
        }
    }
}

static void sort_facts(model *m)
{
    for (unsigned o = 0; o < RI_NOVELTY_ORDERS; o++) {
        uint32_t *sorted = m->sorted[o];
        uint32_t n = 0;
        for (uint32_t i = 0; i < m->fact_count; i++) {
            if (!ri_attr_in_order(ri_schema_attr_by_id(m->schema, m->facts[i].a), orders[o])) {
                continue;
            }
            uint32_t at = n++;
            for (; at > 0 && ri_datom_cmp(orders[o], &m->facts[sorted[at - 1]], &m->facts[i]) > 0; at--) {
                sorted[at] = sorted[at - 1];
            }
            sorted[at] = i;
        }
        m->sorted_count[o] = n;
    }
}

/* ---- values ---- */

static void build_base(model *m, unsigned share)
{
    static const uint8_t id[16] = { 1 };
    REQUIRE_RC(ri_base_new_empty(id, true, false, &m->base, &test_err), 0);
    m->base->next_attr = 6000;
    for (uint32_t i = 0; i < m->fact_count; i++) {
        m->in_base.t[i] = test_random_below(&m->rng, 100) < share ? 1 : 0;
    }
    for (unsigned o = 0; o < RI_NOVELTY_ORDERS && share > 0; o++) {
        static ri_datom rows[FACTS_MAX];
        uint32_t n = 0;
        for (uint32_t i = 0; i < m->sorted_count[o]; i++) {
            uint32_t fact = m->sorted[o][i];
            rows[n] = m->facts[fact];
            rows[n].t = 1;
            n += m->in_base.t[fact] != 0;
        }
        const ri_limits *limits = test_random_below(&m->rng, 2) != 0 ? &data_limits_small : &ri_limits_standard;
        if (n > 0) {
            REQUIRE_RC(data_build(m->store, orders[o], limits, rows, n, &m->base->tree[o], &test_err), 0);
        }
    }
}

static void open_model(model *m, uint64_t seed, uint32_t facts, unsigned base_share)
{
    m->rng = (test_rng){ test_rng_new().state ^ seed };
    m->store = data_store("mem:novelty");
    m->schema = make_schema();
    make_facts(m, facts);
    sort_facts(m);
    build_base(m, base_share);
    m->t = RI_TX_BASE;
    for (unsigned i = 0; i < VALUES; i++) {
        REQUIRE_RC(ri_db_of_base(m->store, "main", m->base, m->schema, &m->values[i].db, &test_err), 0);
        m->values[i].facts = malloc(sizeof(state));
        REQUIRE(m->values[i].facts != NULL);
        *m->values[i].facts = m->in_base;
    }
}

static void forget_linked(model *m, uint32_t at)
{
    ri_block_release(m->linked[at].block);
    free(m->linked[at].facts);
    m->linked[at] = m->linked[--m->linked_count];
}

static void close_model(model *m)
{
    for (unsigned i = 0; i < VALUES; i++) {
        ri_db_release(m->values[i].db);
        free(m->values[i].facts);
    }
    while (m->linked_count > 0) {
        forget_linked(m, m->linked_count - 1);
    }
    ri_base_release(m->base);
    ri_schema_release(m->schema);
    data_store_drop(m->store);
    ri_arena_deinit(&m->arena);
    free(m);
}

static void set_value(value *v, rille_db *db, const state *facts)
{
    state copy = *facts; /* may be its own */
    ri_db_release(v->db);
    v->db = db;
    *v->facts = copy;
}

/* A block that flips facts: few anywhere, or a stretch of them, or many. */
static ri_block *random_block(model *m, state *facts)
{
    ri_block *block = ri_block_new();
    uint32_t size = (uint32_t)(UINT64_C(1) << test_random_below(&m->rng, 11));
    size = size < m->fact_count ? size : m->fact_count;
    bool stretch = test_random_below(&m->rng, 2) != 0;
    uint32_t start = (uint32_t)test_random_below(&m->rng, m->fact_count);
    REQUIRE(block != NULL);
    block->datoms = ri_arena_array(&block->memory->arena, size, sizeof *block->datoms);
    REQUIRE(block->datoms != NULL);
    block->t = ++m->t;
    static bool seen[FACTS_MAX];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t fact = stretch ? (start + i) % m->fact_count : (uint32_t)test_random_below(&m->rng, m->fact_count);
        if (seen[fact]) {
            continue;
        }
        seen[fact] = true;
        ri_datom *d = &block->datoms[block->count++];
        *d = m->facts[fact];
        d->t = block->t;
        d->added = facts->t[fact] == 0;
        facts->t[fact] = d->added ? block->t : 0;
    }
    qsort(block->datoms, block->count, sizeof *block->datoms, cmp_eavt);
    return block;
}

static void push_on(model *m, const value *from, value *to)
{
    state facts = *from->facts;
    rille_db *next = NULL;
    ri_block *block = random_block(m, &facts);
    REQUIRE_RC(ri_db_push(from->db, block, m->schema, 1, 1, &next, &test_err), 0);
    if (m->linked_count == LINKED_MAX) {
        forget_linked(m, (uint32_t)test_random_below(&m->rng, LINKED_MAX));
    }
    linked *l = &m->linked[m->linked_count++];
    *l = (linked){ block, malloc(sizeof facts) };
    REQUIRE(l->facts != NULL);
    *l->facts = facts;
    set_value(to, next, &facts);
}

/* The value after some block, made from the blocks alone: as of the past. */
static void go_back(model *m, value *to)
{
    const linked *l = &m->linked[test_random_below(&m->rng, m->linked_count)];
    ri_block *chain[LINKED_MAX * 4];
    size_t n = 0;
    for (ri_block *b = l->block; b != NULL && n < LINKED_MAX * 4; b = b->prev) {
        chain[n++] = b;
    }
    rille_db *past = NULL;
    REQUIRE_RC(ri_db_of_base(m->store, "main", m->base, m->schema, &past, &test_err), 0);
    while (n > 0) {
        ri_novelty_add(&past->novelty, chain[--n], m->schema);
    }
    set_value(to, past, l->facts);
}

/* ---- checks ---- */

/* Up to two components of facts that exist, and values besides them. */
static ri_bound random_bound(model *m, ri_order order)
{
    ri_bound bound = { m->facts[test_random_below(&m->rng, m->fact_count)], (uint8_t)test_random_below(&m->rng, 4),
                       test_random_below(&m->rng, 2) != 0 };
    if (test_random_below(&m->rng, 4) == 0 && order != RI_VAET) {
        bound.d.v = test_value(&m->rng, &m->arena, 0);
    }
    if (test_random_below(&m->rng, 8) == 0) {
        bound.d.e = test_random_below(&m->rng, 2) != 0 ? UINT64_MAX : 0;
    }
    if (order == RI_VAET && bound.d.v.type != RI_REF) {
        bound.d.v = ri_ref(RI_EID_USER + test_random_below(&m->rng, 61));
    }
    return bound;
}

static void read_run(const ri_run *run, uint32_t i, ri_datom *d)
{
    if (run->leaf != NULL) {
        ri_node_datom(run->leaf, run->from + i, d);
    } else {
        *d = *run->rows[i];
    }
}

/* The next fact of the order, from `at` on, that holds and lies between the cuts; sorted_count: none. */
static uint32_t next_fact(const model *m, const state *facts, unsigned o, uint32_t at, const ri_bound *from,
                          const ri_bound *to)
{
    for (; at < m->sorted_count[o]; at++) {
        const ri_datom *d = &m->facts[m->sorted[o][at]];
        if (facts->t[m->sorted[o][at]] != 0 && ri_datom_cmp_bound(orders[o], d, from) > 0 &&
            ri_datom_cmp_bound(orders[o], d, to) < 0) {
            break;
        }
    }
    return at;
}

static void check_scan(model *m, const value *v, unsigned o, ri_scan_views views, bool skips)
{
    ri_bound from = random_bound(m, orders[o]);
    ri_bound to = random_bound(m, orders[o]);
    ri_scan scan;
    ri_run run;
    ri_io io = { 0 };
    int rc;
    uint32_t at = next_fact(m, v->facts, o, 0, &from, &to);
    ri_scan_init(&scan, v->db, orders[o]);
    scan.views = (uint8_t)views;
    ri_scan_set(&scan, &from, &to);
    for (;;) {
        DATA_DRIVE(&io, rc, ri_scan_next(&scan, &run, &io, &test_err));
        if (rc != 0) {
            break;
        }
        CHECK(ri_run_count(&run) > 0);
        for (uint32_t i = 0; i < ri_run_count(&run) && at < m->sorted_count[o]; i++) {
            ri_datom d;
            read_run(&run, i, &d);
            uint32_t fact = m->sorted[o][at];
            CHECK_EQ_INT(ri_datom_cmp(orders[o], &d, &m->facts[fact]), 0);
            CHECK_EQ_INT(d.t, v->facts->t[fact]);
            CHECK(d.added);
            at = next_fact(m, v->facts, o, at + 1, &from, &to);
            REQUIRE(at < m->sorted_count[o] || i + 1 == ri_run_count(&run));
        }
        if (skips && at < m->sorted_count[o]) {
            uint64_t ahead = at + test_random_below(&m->rng, 40);
            from = (ri_bound){ m->facts[m->sorted[o][ahead < m->sorted_count[o] ? ahead : at]], 3,
                               test_random_below(&m->rng, 2) != 0 };
            at = next_fact(m, v->facts, o, at, &from, &to);
            ri_scan_skip(&scan, &from);
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    CHECK_EQ_INT(at, m->sorted_count[o]);
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
}

static void check_single(model *m, const value *v, unsigned o)
{
    ri_bound from = random_bound(m, orders[o]);
    ri_bound to = random_bound(m, orders[o]);
    ri_io io = { 0 };
    ri_datom d;
    ri_object *hold = NULL;
    uint64_t count = 0;
    uint64_t expected = 0;
    bool found = false;
    int rc;
    uint32_t first = next_fact(m, v->facts, o, 0, &from, &to);
    DATA_DRIVE(&io, rc, ri_db_first(v->db, orders[o], &from, &to, &io, &d, &hold, &test_err));
    CHECK_RC(rc, first == m->sorted_count[o] ? RILLE_DONE : 0);
    CHECK(rc != 0 || ri_datom_cmp(orders[o], &d, &m->facts[m->sorted[o][first]]) == 0);
    ri_object_release(hold);
    for (uint32_t at = first; at < m->sorted_count[o]; at = next_fact(m, v->facts, o, at + 1, &from, &to)) {
        expected++;
    }
    DATA_DRIVE(&io, rc, ri_db_count(v->db, orders[o], &from, &to, &io, &count, &test_err));
    CHECK_EQ_INT(count, expected);
    uint32_t fact = (uint32_t)test_random_below(&m->rng, m->fact_count);
    const ri_datom *key = &m->facts[fact];
    uint64_t t = 0;
    DATA_DRIVE(&io, rc, ri_db_has(v->db, key->e, key->a, &key->v, &io, &found, &t, &test_err));
    CHECK_EQ_INT(found, v->facts->t[fact] != 0);
    CHECK(!found || t == v->facts->t[fact]);
    ri_io_deinit(&io);
}

/* A prefix gives its only datom, nothing, or that it takes a scan: which it may where there is more than one, or where
 * rows end with a leaf (of some hundreds each), or items are many. */
static void check_only(model *m, const value *v, unsigned o)
{
    ri_bound from = random_bound(m, orders[o]);
    ri_bound to;
    ri_scan scan;
    ri_run run;
    ri_io io = { 0 };
    ri_datom d;
    ri_object *hold = NULL;
    int rc;
    from.parts = (uint8_t)(1 + test_random_below(&m->rng, 3));
    from.after = false;
    to = from;
    to.after = true;
    uint32_t first = next_fact(m, v->facts, o, 0, &from, &to);
    uint32_t second = first == m->sorted_count[o] ? first : next_fact(m, v->facts, o, first + 1, &from, &to);
    DATA_DRIVE(&io, rc, ri_db_only(v->db, orders[o], &from, &io, &d, &hold, &test_err));
    if (rc == 0) {
        REQUIRE(first < m->sorted_count[o]);
        CHECK_EQ_INT(second, m->sorted_count[o]);
        CHECK_EQ_INT(ri_datom_cmp(orders[o], &d, &m->facts[m->sorted[o][first]]), 0);
        CHECK_EQ_INT(d.t, v->facts->t[m->sorted[o][first]]);
        CHECK(d.added);
    } else if (rc == RILLE_DONE) {
        CHECK_EQ_INT(first, m->sorted_count[o]);
    } else {
        CHECK_RC(rc, RILLE_AGAIN);
        m->vague += second == m->sorted_count[o];
    }
    m->prefixes++;
    CHECK(rc == 0 || hold == NULL);
    ri_object_release(hold);
    ri_scan_init(&scan, v->db, orders[o]); /* the same range, whose cuts the scan takes for one prefix */
    ri_scan_set(&scan, &from, &to);
    uint64_t seen = 0;
    uint64_t expected = 0;
    for (;;) {
        DATA_DRIVE(&io, rc, ri_scan_next(&scan, &run, &io, &test_err));
        if (rc != 0) {
            break;
        }
        seen += ri_run_count(&run);
    }
    CHECK_RC(rc, RILLE_DONE);
    ri_scan_deinit(&scan);
    for (uint32_t at = first; at < m->sorted_count[o]; at = next_fact(m, v->facts, o, at + 1, &from, &to)) {
        expected++;
    }
    CHECK_EQ_INT(seen, expected);
    ri_io_deinit(&io);
}

static void check_value(model *m, const value *v)
{
    unsigned o = (unsigned)test_random_below(&m->rng, RI_NOVELTY_ORDERS);
    ri_scan_views views = (ri_scan_views)test_random_below(&m->rng, 3);
    if (m->sorted_count[o] > 0) {
        check_scan(m, v, o, views, false);
        check_scan(m, v, o, views, true);
        check_single(m, v, o);
        check_only(m, v, o);
    }
}

static void run_program(uint64_t seed, uint32_t facts, unsigned base_share, unsigned steps)
{
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    open_model(m, seed, facts, base_share);
    for (unsigned step = 0; step < steps; step++) {
        value *to = &m->values[test_random_below(&m->rng, VALUES)];
        const value *from = test_random_below(&m->rng, 3) != 0 ? to : &m->values[test_random_below(&m->rng, VALUES)];
        if (m->linked_count > 0 && test_random_below(&m->rng, 8) == 0) {
            go_back(m, to);
        } else {
            push_on(m, from, to);
        }
        check_value(m, &m->values[test_random_below(&m->rng, VALUES)]);
        check_value(m, to);
    }
    CHECK(m->vague * 4 < m->prefixes);
    close_model(m);
}

static unsigned steps_of_tests(void)
{
    const char *text = getenv("RILLE_TEST_NOVELTY_STEPS");
    return text == NULL ? 120 : (unsigned)strtoul(text, NULL, 10);
}

TEST(novelty__agrees_with_plain_arrays_without_a_base)
{
    run_program(1, 40, 0, steps_of_tests());
    run_program(2, FACTS_MAX, 0, steps_of_tests());
}

TEST(novelty__agrees_with_plain_arrays_on_a_base)
{
    run_program(3, 60, 50, steps_of_tests());
    run_program(4, FACTS_MAX, 20, steps_of_tests());
    run_program(5, FACTS_MAX, 90, steps_of_tests());
}

/* ---- growing sets ---- */

static ri_block *block_of(uint64_t t, uint64_t first_e, size_t count)
{
    ri_block *block = ri_block_new();
    if (block == NULL) {
        return NULL;
    }
    block->t = RI_TX_BASE + t;
    block->datoms = ri_arena_array(&block->memory->arena, count, sizeof *block->datoms);
    for (size_t i = 0; block->datoms != NULL && i < count; i++) {
        block->datoms[block->count++] = (ri_datom){ .e = RI_EID_USER + first_e + i,
                                                    .a = RI_A_TX_INSTANT,
                                                    .t = block->t,
                                                    .v = ri_word(RI_INSTANT, t),
                                                    .added = true };
    }
    return block;
}

static uint32_t leaves_of(const ri_set_node *node, uint32_t *items)
{
    if (node->level == 0) {
        *items += node->count;
        return 1;
    }
    uint32_t leaves = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        leaves += leaves_of(ri_set_children(node)[i].node, items);
    }
    return leaves;
}

/* Entities one after the other, and for each its transaction far behind: both places grow at their end. */
TEST(novelty__leaves_of_growing_data_are_full)
{
    ri_schema *schema = make_schema();
    ri_novelty novelty = { .last = NULL };
    const ri_set_node *set = NULL;
    for (uint64_t t = 0; t < 6000; t++) {
        ri_block *block = block_of(t, t, 1);
        REQUIRE(block != NULL && block->count == 1);
        block->datoms[0].e = t % 2 == 0 ? RI_EID_USER + t : block->t;
        ri_novelty_add(&novelty, block, schema);
        ri_block_release(block);
        CHECK_RC(ri_novelty_set(&novelty, RI_EAVT, &set, &test_err), 0);
    }
    uint32_t items = 0;
    uint32_t leaves = leaves_of(set, &items);
    CHECK_EQ_INT(items, 6000);
    CHECK(leaves <= 6000 / (RI_SET_LEAF * 3 / 4) + 2);
    ri_novelty_deinit(&novelty);
    ri_schema_release(schema);
}

/* Of 4,000 values that were each read only the last one's sets, and some of strides, may be left. */
TEST(novelty__sets_of_values_that_are_gone_are_freed)
{
    ri_schema *schema = make_schema();
    ri_novelty novelty = { .last = NULL };
    long long before = 0;
    for (uint64_t t = 0; t < 4000; t++) {
        ri_novelty next;
        ri_block *block = block_of(t, t * 7 % 4000, 1);
        const ri_set_node *set = NULL;
        REQUIRE(block != NULL && block->count == 1);
        ri_novelty_copy(&novelty, &next);
        ri_novelty_add(&next, block, schema);
        ri_block_release(block);
        ri_novelty_deinit(&novelty);
        novelty = next;
        CHECK_RC(ri_novelty_set(&novelty, RI_EAVT, &set, &test_err), 0);
        CHECK_RC(ri_novelty_set(&novelty, RI_AVET, &set, &test_err), 0);
        if (t == 1999) {
            before = atomic_load(&test_state.live_blocks);
        }
    }
    /* a block and its arena for each, and nodes of two sets */
    CHECK(atomic_load(&test_state.live_blocks) - before <= 2 * 2000 + 200);
    novelty.datom_count = 0;
    ri_novelty_deinit(&novelty);
    ri_schema_release(schema);
}

/* An attribute leaves AVET after its values were retracted: the retractions stay there. */
TEST(novelty__a_block_keeps_to_the_schema_of_its_time)
{
    ri_schema *indexed = make_schema();
    ri_schema *plain = NULL;
    ri_datom drop = { .e = 101, .a = RI_A_INDEX, .v = ri_word(RI_BOOL, 1), .added = false };
    REQUIRE_RC(ri_schema_apply(indexed, &drop, 1, &plain, NULL, &test_err), 0);
    CHECK(!ri_attr_in_order(ri_schema_attr_by_id(plain, 101), RI_AVET));
    ri_novelty novelty = { .last = NULL };
    for (uint64_t t = 1; t <= 2; t++) {
        ri_block *block = block_of(t, t, 1);
        REQUIRE(block != NULL && block->count == 1);
        block->datoms[0].a = 101;
        block->datoms[0].v = ri_bytes_value(RI_STRING, "text", 4);
        block->datoms[0].added = false;
        ri_novelty_add(&novelty, block, t == 1 ? indexed : plain);
        ri_block_release(block);
    }
    const ri_set_node *set = NULL;
    CHECK_RC(ri_novelty_set(&novelty, RI_AVET, &set, &test_err), 0);
    CHECK_EQ_INT(set->count, 1);
    CHECK_EQ_INT(set->delta, -1);
    ri_novelty_deinit(&novelty);
    ri_schema_release(plain);
    ri_schema_release(indexed);
}

/* ---- threads ---- */

#define THREADS 2
#define PUSHES 120

typedef struct shared {
    ri_schema *schema;
    ri_novelty values[PUSHES]; /* of one chain, ready before the threads start */
    atomic_int failures;
} shared;

/* Each thread reads each value, in another order. */
static void *read_values(void *context)
{
    shared *all = context;
    for (unsigned i = 0; i < PUSHES; i++) {
        const ri_novelty *novelty = &all->values[i * 7 % PUSHES];
        for (unsigned o = 0; o < 3; o++) {
            const ri_set_node *set = NULL;
            ri_bound end = ri_bound_all(true);
            ri_set_cut cut = ri_set_cut_of(orders[o], &end);
            int rc = ri_novelty_set(novelty, orders[o], &set, NULL);
            bool good = rc == 0 && ri_set_rank(set, &cut) == (int64_t)novelty->datom_count;
            ri_set_cursor cursor;
            ri_bound start = ri_bound_all(false);
            cut = ri_set_cut_of(orders[o], &start);
            uint64_t rows = 0;
            for (ri_set_seek(&cursor, set, &cut); good && !ri_set_at_end(&cursor);) {
                const ri_set_node *leaf = ri_set_leaf(&cursor);
                const ri_node *view = ri_set_view(leaf, orders[o], leaf->count);
                rows += view == NULL ? 0 : view->count;
                ri_set_move(&cursor, leaf->count);
            }
            if (!good || rows != novelty->datom_count) {
                atomic_fetch_add(&all->failures, 1);
            }
        }
    }
    return NULL;
}

TEST(novelty__threads_share_sets_and_views)
{
    shared *all = calloc(1, sizeof *all);
    REQUIRE(all != NULL);
    all->schema = make_schema();
    for (unsigned i = 0; i < PUSHES; i++) {
        ri_block *block = block_of(i, i * 20 % 57, 20 + i);
        REQUIRE(block != NULL && block->count == 20 + i);
        if (i > 0) {
            ri_novelty_copy(&all->values[i - 1], &all->values[i]);
        }
        ri_novelty_add(&all->values[i], block, all->schema);
        ri_block_release(block);
    }
    test_thread threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        REQUIRE(test_thread_start(&threads[i], read_values, all));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        test_thread_join(&threads[i]);
    }
    CHECK_EQ_INT(atomic_load(&all->failures), 0);
    for (unsigned i = 0; i < PUSHES; i++) {
        ri_novelty_deinit(&all->values[i]);
    }
    ri_schema_release(all->schema);
    free(all);
}

/* ---- lack of memory ---- */

static int use_three_blocks(ri_schema *schema, rille_err *err)
{
    ri_novelty novelty = { .last = NULL };
    int rc = 0;
    for (uint64_t t = 1; t <= 3 && rc == 0; t++) {
        ri_block *block = block_of(t, t * 100, 300);
        if (block == NULL || block->datoms == NULL) {
            ri_block_release(block);
            rc = ri_fail_nomem(err);
            break;
        }
        ri_novelty next;
        ri_novelty_copy(&novelty, &next);
        ri_novelty_add(&next, block, schema);
        ri_novelty_deinit(&novelty);
        novelty = next;
        ri_block_release(block);
        for (unsigned o = 0; o < RI_NOVELTY_ORDERS && rc == 0; o++) {
            const ri_set_node *set = NULL;
            rc = ri_novelty_set(&novelty, orders[o], &set, err);
            if (rc == 0 && set->level == 0) {
                (void)ri_set_view(set, orders[o], set->count); /* without memory there is none */
            }
        }
    }
    ri_novelty_deinit(&novelty);
    return rc;
}

TEST(novelty__survives_every_failing_allocation)
{
    ri_schema *schema = make_schema();
    TEST_FAULT_SWEEP(use_three_blocks(schema, &test_err));
    ri_schema_release(schema);
}

TEST_MAIN(novelty__agrees_with_plain_arrays_without_a_base, novelty__agrees_with_plain_arrays_on_a_base,
          novelty__leaves_of_growing_data_are_full, novelty__sets_of_values_that_are_gone_are_freed,
          novelty__a_block_keeps_to_the_schema_of_its_time, novelty__threads_share_sets_and_views,
          novelty__survives_every_failing_allocation)
