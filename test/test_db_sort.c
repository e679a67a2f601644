/* SPDX-License-Identifier: MIT
 *
 * Sorting the datoms of a block for each tree: against qsort with the order's own comparison, of few and many attributes,
 * values of each type that lie in order, in none, or mixed, and texts that share their first 8 bytes. Large transactions
 * among unflushed datoms.
 */
#include "harness.h"

#include "../src/core/db/conn_own.h"
#include "../src/core/db/sort.h"

static ri_order sort_order;

static int compare(const void *a, const void *b)
{
    return ri_datom_cmp(sort_order, a, b);
}

/* :text and :number and so on: indexed, all but one. */
static rille_conn *open_new(void)
{
    static const char schema[] = "[{:db/ident :text :db/valueType :db.type/string :db/index true}"
                                 " {:db/ident :number :db/valueType :db.type/long :db/index true}"
                                 " {:db/ident :plain :db/valueType :db.type/string}"
                                 " {:db/ident :to :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
                                 " {:db/ident :key :db/valueType :db.type/keyword :db/index true}"
                                 " {:db/ident :real :db/valueType :db.type/double :db/index true}]";
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    ri_report report;
    REQUIRE_RC(ri_conn_open("mem:sort", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    return conn;
}

static ri_value draw_text(test_rng *rng, ri_arena *arena, ri_type type, unsigned shape, size_t i)
{
    char text[40];
    int len = shape % 4 == 0   ? snprintf(text, sizeof text, "u%08zu", i)
              : shape % 4 == 1 ? snprintf(text, sizeof text, "%.*s", (int)test_random_below(rng, 9), "aaaaaaaa")
              : shape % 4 == 2 ? snprintf(text, sizeof text, "shared/prefix/%d", (int)test_random_below(rng, 50))
                               : snprintf(text, sizeof text, "%d", (int)test_random_below(rng, 100000));
    return ri_bytes_value(type, ri_arena_copy(arena, text, (size_t)len), (size_t)len);
}

static ri_value draw_value(test_rng *rng, ri_arena *arena, uint32_t a, unsigned shape, size_t i)
{
    switch (a % 7) {
    case 0:
        return draw_text(rng, arena, RI_STRING, shape, i);
    case 1:
        return ri_long((int64_t)test_random_below(rng, shape % 3 == 0 ? 100 : 1U << 30) - 50);
    case 2:
        return draw_text(rng, arena, RI_STRING, shape + 1, i);
    case 3:
        return ri_ref(RI_EID_USER + test_random_below(rng, 1 + shape * 100));
    case 4:
        return draw_text(rng, arena, RI_KEYWORD, shape, i);
    case 5:
        return ri_double((double)test_random_below(rng, 1000) / 8 - 60);
    default:
        return i % 2 == 0 ? ri_long((int64_t)i % 90) : ri_double((double)(i % 77) + 0.5); /* numbers of two types */
    }
}

static bool belongs(const ri_schema *schema, ri_order order, const ri_datom *d)
{
    const ri_attr *attr = ri_schema_attr_by_id(schema, d->a);
    return order == RI_EAVT || order == RI_AEVT ||
           (attr != NULL && ri_attr_in_order(attr, order) && (order != RI_VAET || d->v.type == RI_REF));
}

static void check_order(ri_block *block, const ri_schema *schema, ri_order order, size_t more, ri_attr_counts *counts)
{
    ri_sorted sorted;
    ri_datom *expected = malloc((block->count + 1) * sizeof *expected);
    REQUIRE(expected != NULL);
    size_t count = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (belongs(schema, order, &block->datoms[i])) {
            expected[count++] = block->datoms[i];
        }
    }
    sort_order = order;
    qsort(expected, count, sizeof *expected, compare);
    REQUIRE_RC(ri_block_sorted(block, schema, order, more, counts, &sorted, &test_err), 0);
    CHECK_EQ_INT(sorted.count, count);
    for (size_t i = 0; i < count && i < sorted.count; i++) {
        const ri_datom *d = ri_change_datom(sorted.changes[i]);
        if (ri_datom_cmp(order, d, &expected[i]) != 0 || ri_change_puts(sorted.changes[i]) != d->added) {
            CHECK_EQ_INT(i, -1);
            break;
        }
    }
    memset(sorted.changes + sorted.count, 0xff, more * sizeof *sorted.changes); /* there is room */
    ri_free(sorted.changes);
    free(expected);
}

/* AVET from AEVT. */
static void check_by_value(ri_block *block, const ri_schema *schema, ri_attr_counts *counts)
{
    ri_sorted expected;
    ri_sorted sorted;
    REQUIRE_RC(ri_block_sorted(block, schema, RI_AVET, 0, counts, &expected, &test_err), 0);
    REQUIRE_RC(ri_block_sorted(block, schema, RI_AEVT, 0, counts, &sorted, &test_err), 0);
    REQUIRE_RC(ri_sorted_by_value(schema, counts, &sorted, &test_err), 0);
    CHECK_EQ_INT(sorted.count, expected.count);
    CHECK(memcmp(sorted.changes, expected.changes, expected.count * sizeof *expected.changes) == 0);
    ri_free(expected.changes);
    ri_free(sorted.changes);
}

/* `spread`: how far attributes lie apart. */
static void check_block(const ri_schema *schema, unsigned shape, size_t count, uint32_t spread)
{
    ri_arena arena = { 0 };
    test_rng rng = { shape + count * 31 };
    ri_datom *datoms = ri_arena_array(&arena, count + 1, sizeof *datoms);
    REQUIRE(datoms != NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t a = 100 + (uint32_t)test_random_below(&rng, 7) * spread;
        datoms[i] = (ri_datom){ .e = RI_EID_USER + test_random_below(&rng, count), .a = a, .t = 9 };
        datoms[i].v = draw_value(&rng, &arena, (a - 100) / spread, shape, i);
        datoms[i].added = test_random_below(&rng, 8) != 0;
    }
    sort_order = RI_EAVT;
    qsort(datoms, count, sizeof *datoms, compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) { /* a fact once */
        if (kept == 0 || ri_datom_cmp(RI_EAVT, &datoms[kept - 1], &datoms[i]) != 0) {
            datoms[kept++] = datoms[i];
        }
    }
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    block->datoms = datoms;
    block->count = kept;
    ri_attr_counts counts = { 0 };
    for (ri_order order = RI_EAVT; order <= RI_VAET; order++) {
        check_order(block, schema, order, shape % 3 * 100, &counts);
    }
    if (counts.bits < RI_ATTR_COUNTS) {
        check_by_value(block, schema, &counts);
    }
    ri_block_release(block);
    ri_arena_deinit(&arena);
}

TEST(sort__gives_each_order)
{
    rille_conn *conn = open_new();
    rille_db *db;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    for (unsigned shape = 0; shape < 12; shape++) {
        for (size_t count = 0; count < 40; count++) {
            check_block(db->schema, shape, count, 1);
        }
        check_block(db->schema, shape, 3000, 1);
        check_block(db->schema, shape, 3000, 1000);    /* two digits of attributes */
        check_block(db->schema, shape, 3000, 1000000); /* three */
    }
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:sort", &test_err), 0);
}

/* ---- a large transaction among unflushed datoms ---- */

static void transact(rille_conn *conn, uint64_t first, uint64_t count, uint64_t step)
{
    ri_buf text = { 0 };
    char item[120];
    ri_report report;
    ri_buf_put_u8(&text, '[');
    for (uint64_t i = first; i < first + count * step; i += step) {
        int len = snprintf(item, sizeof item, "{:db/id %llu :text \"t%llu\" :number %llu :to %llu}",
                           (unsigned long long)(RI_EID_USER + i), (unsigned long long)(i * 7919 % 100003),
                           (unsigned long long)((i + count) % 97), (unsigned long long)(RI_EID_USER + first));
        ri_buf_put(&text, item, (size_t)len);
    }
    ri_buf_put_u8(&text, ']');
    REQUIRE_RC(ri_conn_transact_edn(conn, (const char *)text.p, text.len, &report, &test_err), 0);
    ri_report_deinit(&report);
    ri_buf_deinit(&text);
}

/* Every third entity is unflushed, and changes in the large transaction; small ones and a flush make as many datoms. */
TEST(sort__joins_a_large_transaction_with_unflushed_datoms)
{
    ri_tree trees[2][RI_ORDER_COUNT];
    for (unsigned large = 0; large < 2; large++) {
        rille_conn *conn = open_new();
        rille_db *db;
        transact(conn, 1, 1000, 3);
        uint64_t count = large ? 24000 : 12000;
        for (uint64_t first = 0; first < 24000; first += count) {
            transact(conn, first, count, 1);
        }
        if (!large) {
            REQUIRE_RC(ri_conn_flush(conn, &test_err), 0);
        }
        REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
        ri_verify_report report;
        CHECK_EQ_INT(db->novelty.datom_count, 0);
        CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
        memcpy(trees[large], db->base->tree, sizeof trees[large]);
        ri_db_release(db);
        ri_conn_release(conn);
        CHECK_RC(ri_database_drop("mem:sort", &test_err), 0);
    }
    for (ri_order order = RI_EAVT; order <= RI_VAET; order++) { /* a transaction more, with its instant */
        CHECK_EQ_INT(trees[0][order].count, trees[1][order].count + (order == RI_VAET ? 0 : 1));
    }
}

TEST_MAIN(sort__gives_each_order, sort__joins_a_large_transaction_with_unflushed_datoms)
