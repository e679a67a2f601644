/* SPDX-License-Identifier: MIT
 *
 * Resolving against a naive model: random transactions over a random history, item by item through the C interface. The
 * model is a list of facts, and loops over loops; it must agree on what fails, on every datom, and on the whole value
 * after it.
 */
#include "test_db_model.h"

#include "../src/core/db/conn.h"

/* ---- random transactions ---- */

static name random_entity(const model *m, test_rng *rng)
{
    uint64_t dice = test_random_below(rng, 20);
    if (dice < 8) {
        return (name){ ENT_TEMP, (int64_t)test_random_below(rng, TEMP_COUNT), 0 };
    }
    if (dice < 17) {
        uint64_t count = (uint64_t)m->next_e - RI_EID_USER;
        uint64_t back = test_random_below(rng, 12);
        if (test_random_below(rng, 50) == 0) { /* one of the user's choice */
            return (name){ ENT_ID, m->next_e + (int64_t)back, 0 };
        }
        return (name){ ENT_ID, (int64_t)(RI_EID_USER + (count > back ? count - 1 - back : 0)), 0 };
    }
    if (dice < 19) {
        int lookup_attrs[3] = { 4, 5, 10 };
        return (name){ ENT_LOOKUP, (int64_t)test_random_below(rng, 4), lookup_attrs[test_random_below(rng, 3)] };
    }
    return (name){ ENT_SELF, 0, 0 };
}

static name random_value(const model *m, test_rng *rng, int attr)
{
    if (attrs[attr].kind == KIND_REF) {
        return random_entity(m, rng);
    }
    return (name){ ENT_ID, (int64_t)test_random_below(rng, attrs[attr].kind == KIND_TEXT ? WORD_COUNT : 6), 0 };
}

static item random_item(const model *m, test_rng *rng)
{
    static const int kinds[12] = {
        DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_RETRACT, DO_RETRACT_ALL, DO_RETRACT_ENTITY,
        DO_CAS
    };
    item it = { .what = kinds[test_random_below(rng, 12)], .e = random_entity(m, rng) };
    it.attr = (int)test_random_below(rng, ATTR_COUNT);
    if (it.what == DO_CAS) {
        static const int cas_attrs[4] = { 0, 1, 2, 5 };
        it.attr = cas_attrs[test_random_below(rng, 4)];
        it.none = test_random_below(rng, 2) == 0;
        it.old_v = random_value(m, rng, it.attr).n;
    }
    it.v = random_value(m, rng, it.attr);
    if ((it.what == DO_RETRACT || it.what == DO_RETRACT_ALL) && m->fact_count > 0 && test_random_below(rng, 4) != 0) {
        fact f = m->facts[test_random_below(rng, m->fact_count)];
        it.e = (name){ ENT_ID, f.e, 0 };
        it.attr = f.attr;
        it.v = (name){ ENT_ID, f.v, 0 };
    }
    return it;
}

static void see_temp(model *m, name e)
{
    if (e.kind == ENT_TEMP && m->temp_seen[e.n] == 0) {
        m->temp_seen[e.n] = ++m->temp_seen_count;
    }
}

static void see_temps(model *m)
{
    memset(m->temp_seen, 0, sizeof m->temp_seen);
    m->temp_seen_count = 0;
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        see_temp(m, it->e);
        if ((it->what == DO_ADD || it->what == DO_RETRACT) && attrs[it->attr].kind == KIND_REF) {
            see_temp(m, it->v);
        }
    }
}

/* ---- the engine ---- */

static ri_value engine_value(int attr, int64_t v)
{
    if (attrs[attr].kind == KIND_TEXT) {
        return ri_bytes_value(RI_STRING, words[v], strlen(words[v]));
    }
    return attrs[attr].kind == KIND_REF ? ri_ref((uint64_t)v) : ri_long(v);
}

static const ri_attr *engine_attr(const world *w, int attr)
{
    return ri_schema_attr(w->db->schema, attrs[attr].ident, strlen(attrs[attr].ident));
}

static int engine_entity(world *w, ri_tx *tx, name e, ri_ent *out)
{
    switch (e.kind) {
    case ENT_ID:
        *out = (ri_ent){ RI_ENT_ID, { .id = (uint64_t)e.n } };
        return 0;
    case ENT_SELF:
        *out = (ri_ent){ RI_ENT_TX, { 0 } };
        return 0;
    case ENT_TEMP:
        return ri_tx_temp_number(tx, -1 - e.n, out, &test_err);
    default:
        break;
    }
    ri_value v = engine_value(e.attr, e.n);
    return ri_tx_lookup(tx, engine_attr(w, e.attr), &v, out, &test_err);
}

static int engine_item(world *w, ri_tx *tx, const item *it)
{
    ri_ent e;
    RI_TRY(engine_entity(w, tx, it->e, &e));
    const ri_attr *attr = engine_attr(w, it->attr);
    if (it->what == DO_RETRACT_ENTITY) {
        return ri_tx_retract_entity(tx, e, &test_err);
    }
    if (it->what == DO_RETRACT_ALL) {
        return ri_tx_retract(tx, e, attr, NULL, &test_err);
    }
    ri_value v = engine_value(it->attr, it->v.n);
    if (it->what == DO_CAS) {
        ri_value old_v = engine_value(it->attr, it->old_v);
        return ri_tx_cas(tx, e, attr, it->none ? NULL : &old_v, &v, &test_err);
    }
    if (attrs[it->attr].kind == KIND_REF) {
        ri_ent target;
        RI_TRY(engine_entity(w, tx, it->v, &target));
        return it->what == DO_ADD ? ri_tx_add_ref(tx, e, attr, target, &test_err)
                                  : ri_tx_retract_ref(tx, e, attr, target, &test_err);
    }
    return it->what == DO_ADD ? ri_tx_add(tx, e, attr, &v, it->e.n % 2 == 0, &test_err)
                              : ri_tx_retract(tx, e, attr, &v, &test_err);
}

static int engine_resolve(world *w, const model *m, ri_tx **tx, ri_tx_result *result)
{
    *result = (ri_tx_result){ 0 };
    REQUIRE_RC(ri_tx_new(w->db, tx, &test_err), 0);
    for (size_t i = 0; i < m->item_count; i++) {
        RI_TRY(engine_item(w, *tx, &m->items[i]));
    }
    return world_resolve(w, *tx, result, &test_err);
}

/* A datom as a fact; false: the instant. */
static bool fact_of(const world *w, const ri_datom *d, fact *out)
{
    const ri_attr *attr = ri_schema_attr_by_id(w->db->schema, d->a);
    if (attr == NULL || d->a < RI_EID_ATTR || d->e < RI_EID_USER) {
        return false;
    }
    *out = (fact){ (int64_t)d->e, (int)(d->a - RI_EID_ATTR), 0 };
    if (d->v.type == RI_REF || d->v.type == RI_LONG) {
        out->v = d->v.as.i;
        return true;
    }
    for (int64_t i = 0; i < WORD_COUNT; i++) {
        bool whole =
            d->v.type == RI_STRING && d->v.len == strlen(words[i]) && memcmp(d->v.as.p, words[i], d->v.len) == 0;
        if (whole || (d->v.type == RI_STRING_BLOB && ri_stub_len(&d->v) == strlen(words[i]))) {
            out->v = i;
            return true;
        }
    }
    return false;
}

/* ---- agreeing ---- */

static void check_block(const world *w, const model *m, const ri_tx_result *result)
{
    size_t facts = 0;
    for (size_t i = 0; i < result->block->count; i++) {
        const ri_datom *d = &result->block->datoms[i];
        CHECK(d->t == result->block->t);
        CHECK(i == 0 || ri_datom_cmp(RI_LOG, d - 1, d) < 0);
        fact f;
        if (fact_of(w, d, &f)) {
            facts++;
            CHECK(d->added ? list_has(m->wanted, m->wanted_count, f) : list_has(m->removed, m->removed_count, f));
        }
    }
    CHECK_EQ_INT(facts, m->wanted_count + m->removed_count);
}

static void check_whole(const world *w, const model *m)
{
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    ri_io io = { 0 };
    ri_scan scan;
    ri_run run;
    size_t facts = 0;
    ri_scan_init(&scan, w->db, RI_EAVT);
    ri_scan_set(&scan, &from, &to);
    while (ri_scan_next(&scan, &run, &io, &test_err) == 0) {
        for (uint32_t i = 0; i < ri_run_count(&run); i++) {
            ri_datom d;
            fact f;
            if (run.leaf != NULL) {
                ri_node_datom(run.leaf, run.from + i, &d);
            } else {
                d = *run.rows[i];
            }
            if (fact_of(w, &d, &f)) {
                facts++;
                CHECK(list_has(m->facts, m->fact_count, f));
            }
        }
    }
    CHECK_EQ_INT(facts, m->fact_count);
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
}

/* The same items in another order: the same number of datoms, or another failure. */
static void check_shuffled(world *w, model *m, test_rng *rng, bool good, size_t datom_count)
{
    item kept[ITEM_COUNT_MAX];
    memcpy(kept, m->items, sizeof kept);
    for (size_t i = m->item_count; i > 1; i--) {
        size_t j = (size_t)test_random_below(rng, i);
        item swap = m->items[i - 1];
        m->items[i - 1] = m->items[j];
        m->items[j] = swap;
    }
    ri_tx *tx = NULL;
    ri_tx_result result;
    int rc = engine_resolve(w, m, &tx, &result);
    CHECK_EQ_INT(rc == 0, good);
    if (rc == 0 && good) {
        CHECK_EQ_INT(result.block->count, datom_count);
    }
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    memcpy(m->items, kept, sizeof kept);
}

static void show_items(const model *m)
{
    static const char *const kinds[] = { "id", "temp", "lookup", "tx" };
    static const char *const verbs[] = { "add", "retract", "retract-all", "retract-entity", "cas" };
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        (void)fprintf(stderr, "    %s %s %lld(%s) :%s %s %lld(%s) old %lld%s\n", verbs[it->what], kinds[it->e.kind],
                      (long long)it->e.n, attrs[it->e.attr].ident, attrs[it->attr].ident, kinds[it->v.kind],
                      (long long)it->v.n, attrs[it->v.attr].ident, (long long)it->old_v, it->none ? " none" : "");
    }
}

static bool one_step(world *w, model *m, test_rng *rng)
{
    m->item_count = 1 + (size_t)test_random_below(rng, ITEM_COUNT_MAX);
    for (size_t i = 0; i < m->item_count; i++) {
        m->items[i] = random_item(m, rng);
    }
    see_temps(m);
    m->t = (int64_t)(w->db->t < RI_TX_BASE ? RI_TX_BASE : w->db->t) + 1;
    int64_t next_e = m->next_e;
    bool expected = model_resolve(m);
    ri_tx *tx = NULL;
    ri_tx_result result;
    int rc = engine_resolve(w, m, &tx, &result);
    if (!test_check(expected == (rc == 0), __FILE__, __LINE__, expected ? test_err.message : "the model refuses it")) {
        show_items(m);
    }
    if (expected && rc == 0) {
        check_block(w, m, &result);
        check_shuffled(w, m, rng, true, result.block->count);
        CHECK_EQ_INT(result.next_e, m->next_e);
        REQUIRE_RC(world_push(w, &result, &test_err), 0);
        model_commit(m);
    } else {
        check_shuffled(w, m, rng, false, 0);
        m->next_e = next_e;
    }
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    return expected;
}

TEST(tx__agrees_with_a_list_of_facts)
{
    test_rng rng = test_rng_new();
    make_words();
    size_t good = 0;
    for (int round = 0; round < 20; round++) {
        world w = world_open(false);
        REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
        static model m;
        m = (model){ .next_e = (int64_t)RI_EID_USER };
        for (int step = 0; step < 500; step++) {
            good += one_step(&w, &m, &rng) ? 1 : 0;
            if (step % 50 == 0) {
                check_whole(&w, &m);
            }
        }
        check_whole(&w, &m);
        world_close(&w);
    }
    CHECK(good > 2000); /* neither all fail nor all succeed */
    CHECK(good < 9000);
}

/* ---- bulk ---- */

/* Items of entities in an order that jumps about. */
TEST(tx__sorts_what_comes_in_any_order)
{
    world w = world_open(false);
    make_words();
    REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
    test_rng rng = test_rng_new();
    size_t counts[5] = { 3, 40, 300, 5000, 40000 };
    for (size_t c = 0; c < 5; c++) {
        ri_tx *tx;
        ri_tx_result result;
        REQUIRE_RC(ri_tx_new(w.db, &tx, &test_err), 0);
        for (size_t i = 0; i < counts[c]; i++) {
            ri_ent e;
            ri_value v = ri_long((int64_t)(test_random_below(&rng, 100)));
            CHECK_RC(ri_tx_temp_number(tx, -1 - (int64_t)test_random_below(&rng, counts[c] / 3), &e, &test_err), 0);
            CHECK_RC(ri_tx_add(tx, e, engine_attr(&w, 1), &v, false, &test_err), 0);
        }
        REQUIRE_RC(world_resolve(&w, tx, &result, &test_err), 0);
        for (size_t i = 1; i < result.block->count; i++) {
            CHECK(ri_datom_cmp(RI_LOG, &result.block->datoms[i - 1], &result.block->datoms[i]) < 0);
        }
        CHECK_EQ_INT(result.next_e - w.db->next_e, result.tempid_count);
        ri_tx_result_deinit(&result);
        ri_tx_release(tx);
    }
    world_close(&w);
}

/* A result can be had again from the same transaction. */
TEST(tx__resolves_again_to_the_same)
{
    world w = world_open(false);
    REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
    ri_tx *tx;
    ri_ent e;
    ri_ent f;
    ri_value v = ri_bytes_value(RI_STRING, "k", 1);
    REQUIRE_RC(ri_tx_new(w.db, &tx, &test_err), 0);
    CHECK_RC(ri_tx_temp_named(tx, "e", 1, &e, &test_err), 0);
    CHECK_RC(ri_tx_temp_named(tx, "f", 1, &f, &test_err), 0);
    CHECK_RC(ri_tx_add(tx, e, engine_attr(&w, 4), &v, true, &test_err), 0);
    CHECK_RC(ri_tx_add(tx, f, engine_attr(&w, 4), &v, true, &test_err), 0);
    CHECK_RC(ri_tx_add_ref(tx, f, engine_attr(&w, 6), e, &test_err), 0);
    ri_tx_result first;
    ri_tx_result second;
    w.clock = 5000;
    REQUIRE_RC(world_resolve(&w, tx, &first, &test_err), 0);
    w.clock = 5000;
    REQUIRE_RC(world_resolve(&w, tx, &second, &test_err), 0);
    CHECK_EQ_MEM(first.block->commit, RI_HASH_SIZE, second.block->commit, RI_HASH_SIZE);
    CHECK_EQ_INT(second.tempid_count, 2);
    CHECK_EQ_INT(second.tempids[0].e, second.tempids[1].e);
    CHECK_EQ_INT(second.block->instant, 5001);
    ri_tx_result_deinit(&first);
    ri_tx_result_deinit(&second);
    ri_tx_release(tx);
    world_close(&w);
}

/* ---- storage that answers later ---- */

#define FAR_COUNT 6000

static int far_text(char *out, size_t size, uint64_t i)
{
    return snprintf(out, size, "key %llu", (unsigned long long)(i * 7919 % FAR_COUNT));
}

static void far_load(rille_conn *conn)
{
    ri_report report;
    ri_tx *tx;
    REQUIRE_RC(ri_conn_transact_edn(conn, schema_text, strlen(schema_text), &report, &test_err), 0);
    ri_report_deinit(&report);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    const rille_db *db = ri_tx_db(tx);
    for (uint64_t i = 0; i < FAR_COUNT; i++) {
        char text[32];
        ri_ent e;
        ri_value key = ri_bytes_value(RI_STRING, text, (size_t)far_text(text, sizeof text, i));
        ri_value one = ri_long((int64_t)i);
        CHECK_RC(ri_tx_temp_fresh(tx, &e, &test_err), 0);
        CHECK_RC(ri_tx_add(tx, e, ri_schema_attr(db->schema, "m/key", 5), &key, true, &test_err), 0);
        CHECK_RC(ri_tx_add(tx, e, ri_schema_attr(db->schema, "m/one", 5), &one, true, &test_err), 0);
    }
    REQUIRE_RC(ri_conn_commit(conn, tx, &report, &test_err), 0);
    ri_report_deinit(&report);
    ri_tx_release(tx);
    REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
}

/* Upserts, lookup refs and retracted entities all over the place; returns the rounds of fetching. */
static uint64_t far_transaction(const char *url, uint8_t commit[RI_HASH_SIZE])
{
    ri_conn_options options = { .create = false };
    rille_conn *conn;
    ri_tx *tx;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    const rille_db *db = ri_tx_db(tx);
    const ri_attr *key_attr = ri_schema_attr(db->schema, "m/key", 5);
    const ri_attr *one_attr = ri_schema_attr(db->schema, "m/one", 5);
    for (uint64_t i = 0; i < 60; i++) {
        char text[32];
        ri_ent e;
        ri_value key = ri_bytes_value(RI_STRING, text, (size_t)far_text(text, sizeof text, i * 97));
        ri_value one = ri_long(-1);
        if (i % 3 == 0) {
            CHECK_RC(ri_tx_lookup(tx, key_attr, &key, &e, &test_err), 0);
        } else {
            CHECK_RC(ri_tx_temp_fresh(tx, &e, &test_err), 0);
            CHECK_RC(ri_tx_add(tx, e, key_attr, &key, true, &test_err), 0);
        }
        CHECK_RC(ri_tx_add(tx, e, one_attr, &one, false, &test_err), 0);
    }
    for (uint64_t i = 0; i < 20; i++) {
        ri_ent e = { RI_ENT_ID, { .id = RI_EID_USER + 5 + i * 291 } };
        CHECK_RC(ri_tx_retract_entity(tx, e, &test_err), 0);
    }
    ri_io io = { 0 };
    ri_tx_result result;
    int rc;
    while ((rc = ri_tx_resolve(tx, 1000, &io, &result, &test_err)) == RILLE_NEED) {
        CHECK(io.want_count > 0);
        REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
    }
    CHECK_EQ_INT(rc, 0);
    if (rc == 0) {
        CHECK_EQ_INT(result.block->count, 60 * 2 + 20 * 2 + 1);
        memcpy(commit, result.block->commit, RI_HASH_SIZE);
    }
    uint64_t rounds = io.fetch_count;
    ri_io_deinit(&io);
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    ri_conn_release(conn);
    return rounds;
}

TEST(tx__asks_for_all_it_needs_at_once)
{
    ri_conn_options options = { .create = true };
    rille_conn *conn;
    REQUIRE_RC(ri_conn_open("mem:tx-far", &options, &conn, &test_err), 0);
    far_load(conn);
    uint8_t near_commit[RI_HASH_SIZE] = { 0 };
    uint8_t far_commit[RI_HASH_SIZE] = { 1 };
    CHECK_EQ_INT(far_transaction("mem:tx-far", near_commit), 0);
    uint64_t rounds = far_transaction("deferred:mem:tx-far", far_commit);
    CHECK(rounds >= 2 && rounds <= 8); /* a few a phase, however many entities */
    CHECK_EQ_MEM(near_commit, RI_HASH_SIZE, far_commit, RI_HASH_SIZE);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:tx-far", &test_err), 0);
}

/* A reader that replays the blocks gives out the same ids as the writer that made them. */
TEST(tx__counters_follow_from_the_blocks)
{
    ri_conn_options options = { .create = true };
    rille_conn *first;
    rille_conn *second;
    ri_report report;
    rille_db *db;
    static const char *const texts[] = { schema_text, "[{:m/one 1} [:db/add 1048580 :m/refs 3000000] {:db/ident :x/y}]",
                                         "[{:db/ident :m/late :db/valueType :db.type/long} [:db/add 1048580 :m/one 1]]",
                                         "[[:db/retract 1048580 :m/refs 3000000] [:db/retract 9000000 :m/one]]" };
    REQUIRE_RC(ri_conn_open("mem:tx-counters", &options, &first, &test_err), 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        REQUIRE_RC(ri_conn_transact_edn(first, texts[i], strlen(texts[i]), &report, &test_err), 0);
        REQUIRE_RC(ri_conn_open("mem:tx-counters", &options, &second, &test_err), 0);
        REQUIRE_RC(ri_conn_db(second, &db, &test_err), 0);
        CHECK_EQ_INT(db->next_e, report.after->next_e);
        CHECK_EQ_INT(db->next_attr, report.after->next_attr);
        ri_report_deinit(&report);
        ri_db_release(db);
        ri_conn_release(second);
    }
    ri_conn_release(first);
    CHECK_RC(ri_database_drop("mem:tx-counters", &test_err), 0);
}

TEST_MAIN(tx__agrees_with_a_list_of_facts, tx__sorts_what_comes_in_any_order, tx__resolves_again_to_the_same,
          tx__asks_for_all_it_needs_at_once, tx__counters_follow_from_the_blocks)
