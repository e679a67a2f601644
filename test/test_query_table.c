/* SPDX-License-Identifier: MIT
 *
 * Columns of batches, tables and their indexes, against arrays of values and nested loops.
 */
#include "harness.h"

#include "../src/core/query/table.h"

#define COLS 3U
#define ROWS_MAX 3000U

/* Text whose bytes lie wherever; the same number gives the same text. */
static const char *const texts[] = { "", "a", "b", "ab", "a longer text than eight bytes", "abc" };

/* Two long texts that begin alike, and the stubs that stand for them. */
#define LONG_LEN 1500U
static uint8_t long_texts[2][LONG_LEN];
static uint8_t long_stubs[2][RI_STUB_SIZE];

static ri_value long_text(unsigned which, bool stub)
{
    if (long_texts[0][0] == 0) {
        for (unsigned i = 0; i < 2; i++) {
            memset(long_texts[i], 'x', LONG_LEN);
            long_texts[i][LONG_LEN - 1] = (uint8_t)('a' + i);
            ri_stub_write(long_stubs[i], long_texts[i], LONG_LEN);
        }
    }
    return stub ? ri_bytes_value(RI_STRING_BLOB, long_stubs[which], RI_STUB_SIZE)
                : ri_bytes_value(RI_STRING, long_texts[which], LONG_LEN);
}

static ri_value whole(ri_value v)
{
    bool second = v.type == RI_STRING_BLOB && memcmp(v.as.p, long_stubs[1], RI_STUB_SIZE) == 0;
    return v.type == RI_STRING_BLOB ? long_text(second, false) : v;
}

/* Few different values, so that rows repeat; numbers of several types are often equal. */
static ri_value random_value(test_rng *rng, unsigned kinds)
{
    int64_t i = (int64_t)test_random_below(rng, 7) - 3;
    switch (test_random_below(rng, kinds)) {
    case 0:
        return ri_long(i);
    case 1:
        return ri_ref((uint64_t)(i + 3));
    case 2:
        return ri_double((double)i / 2);
    case 3: {
        const char *text = texts[test_random_below(rng, sizeof texts / sizeof *texts)];
        return ri_bytes_value(RI_STRING, text, strlen(text));
    }
    case 4:
        return ri_bytes_value(RI_KEYWORD, "a", 1);
    case 5:
        return ri_word(RI_BOOL, (uint64_t)i & 1);
    case 6:
        return long_text((unsigned)i & 1, test_random_below(rng, 2) == 0);
    default:
        return ri_nil();
    }
}

static bool same(const ri_value *a, const ri_value *b)
{
    ri_value pa = whole(ri_plain(*a));
    ri_value pb = whole(ri_plain(*b));
    return ri_value_eq(&pa, &pb);
}

static bool same_row(const ri_value *a, const ri_value *b, unsigned cols)
{
    for (unsigned c = 0; c < cols; c++) {
        if (!same(&a[c], &b[c])) {
            return false;
        }
    }
    return true;
}

/* The naive table. */
typedef struct model {
    ri_value rows[ROWS_MAX][COLS];
    uint32_t count;
    bool is_set;
} model;

static void model_add(model *m, const ri_value *row)
{
    for (uint32_t i = 0; m->is_set && i < m->count; i++) {
        if (same_row(m->rows[i], row, COLS)) {
            return;
        }
    }
    memcpy(m->rows[m->count++], row, sizeof m->rows[0]);
}

static void check_table(const ri_table *table, const model *m)
{
    REQUIRE(table->count == m->count);
    for (uint32_t r = 0; r < m->count; r++) {
        for (unsigned c = 0; c < COLS; c++) {
            ri_value v = ri_column_get(&table->cols[c], r);
            CHECK(v.type == m->rows[r][c].type && same(&v, &m->rows[r][c]));
        }
    }
}

/* Adds a batch of `count` random rows to both; the batch's bytes are gone afterwards. */
static int add_batch(ri_table *table, model *m, test_rng *rng, uint32_t count, unsigned kinds)
{
    ri_arena arena = { 0 };
    ri_vec vecs[COLS];
    const ri_vec *cols[COLS];
    int rc = 0;
    for (unsigned c = 0; c < COLS; c++) {
        cols[c] = &vecs[c];
        if (!ri_vec_init(&vecs[c], &arena, count)) {
            rc = RILLE_NOMEM;
            goto done;
        }
    }
    uint32_t before = m->count;
    for (uint32_t r = 0; r < count; r++) {
        ri_value row[COLS];
        for (unsigned c = 0; c < COLS; c++) {
            row[c] = random_value(rng, c == 0 ? 1 : kinds);
            ri_value copy;
            if (!ri_value_copy(&arena, &row[c], &copy)) {
                rc = RILLE_NOMEM;
                goto done;
            }
            ri_vec_set(&vecs[c], r, &copy);
        }
        model_add(m, row);
    }
    uint32_t added = 0;
    rc = ri_table_add(table, cols, count, &added, &test_err);
    if (rc == 0) {
        CHECK_EQ_INT(added, m->count - before);
    }
done:
    ri_arena_deinit(&arena);
    return rc;
}

static void random_table(bool is_set, unsigned kinds)
{
    static model m;
    test_rng rng = test_rng_new();
    rng.state += kinds * 2 + is_set;
    for (int round = 0; round < 10; round++) {
        ri_table table;
        REQUIRE_RC(ri_table_init(&table, COLS, is_set, &test_err), RILLE_OK);
        m.count = 0;
        m.is_set = is_set;
        while (m.count + 700 < ROWS_MAX && test_random_below(&rng, 8) != 0) {
            REQUIRE_RC(add_batch(&table, &m, &rng, (uint32_t)test_random_below(&rng, 700), kinds), RILLE_OK);
        }
        check_table(&table, &m);
        CHECK(ri_table_bytes(&table) >= (size_t)m.count * COLS * 8);
        ri_table_clear(&table);
        m.count = 0;
        REQUIRE_RC(add_batch(&table, &m, &rng, 300, kinds), RILLE_OK);
        check_table(&table, &m);
        ri_table_deinit(&table);
    }
}

TEST(table__keeps_the_rows_that_were_added)
{
    for (unsigned kinds = 1; kinds <= 8; kinds++) {
        random_table(false, kinds);
    }
}

TEST(table__set_keeps_each_row_once)
{
    for (unsigned kinds = 1; kinds <= 8; kinds++) {
        random_table(true, kinds);
    }
}

TEST(table__set_sees_one_number_in_every_type)
{
    ri_value one[] = { ri_long(1), ri_double(1.0), ri_ref(1), ri_bytes_value(RI_BIGDEC, "1", 1) };
    ri_table table;
    bool added;
    REQUIRE_RC(ri_table_init(&table, 1, true, &test_err), RILLE_OK);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        CHECK_RC(ri_table_add_row(&table, &one[i], &added, &test_err), RILLE_OK);
        CHECK(added == (i == 0));
    }
    CHECK_EQ_INT(table.count, 1);
    ri_table_deinit(&table);
}

TEST(table__hash_of_a_long_is_that_of_every_equal_number)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    ri_vec vec;
    REQUIRE(ri_vec_init(&vec, &arena, 1));
    for (int i = 0; i < 1000; i++) {
        ri_value v = ri_long((int64_t)(test_random(&rng) >> test_random_below(&rng, 64)));
        ri_vec_set(&vec, 0, &v);
        CHECK(ri_vec_hash(&vec, 0) == ri_value_hash(&v));
        const ri_vec *cols[] = { &vec };
        uint64_t hash;
        ri_vec_hash_rows(cols, 1, 0, 1, &hash);
        CHECK(hash == ri_value_hash(&v));
    }
    ri_arena_deinit(&arena);
}

TEST(table__without_columns_counts_rows)
{
    ri_table table;
    uint32_t added;
    REQUIRE_RC(ri_table_init(&table, 0, false, &test_err), RILLE_OK);
    CHECK_RC(ri_table_add(&table, NULL, 1000, &added, &test_err), RILLE_OK);
    CHECK_EQ_INT(added, 1000);
    CHECK_EQ_INT(table.count, 1000);
    ri_table_deinit(&table);
    REQUIRE_RC(ri_table_init(&table, 0, true, &test_err), RILLE_OK);
    CHECK_RC(ri_table_add(&table, NULL, 1000, &added, &test_err), RILLE_OK);
    CHECK_RC(ri_table_add(&table, NULL, 1000, NULL, &test_err), RILLE_OK);
    CHECK_EQ_INT(added, 1);
    CHECK_EQ_INT(table.count, 1);
    ri_table_deinit(&table);
}

TEST(table__takes_rows_of_many_columns)
{
    enum { WIDE = 100 };
    ri_value row[WIDE];
    for (int c = 0; c < WIDE; c++) {
        row[c] = c % 2 == 0 ? ri_long(c) : ri_bytes_value(RI_STRING, "text", 4);
    }
    ri_table table;
    bool added;
    REQUIRE_RC(ri_table_init(&table, WIDE, true, &test_err), RILLE_OK);
    CHECK_RC(ri_table_add_row(&table, row, &added, &test_err), RILLE_OK);
    CHECK(added);
    CHECK_RC(ri_table_add_row(&table, row, &added, &test_err), RILLE_OK);
    CHECK(!added);
    uint16_t key[WIDE];
    for (uint16_t c = 0; c < WIDE; c++) {
        key[c] = c;
    }
    ri_table_index index;
    REQUIRE_RC(ri_table_index_init(&index, &table, NULL, key, WIDE, NULL, 0, &test_err), RILLE_OK);
    REQUIRE_RC(ri_table_index_complete(&index, &test_err), RILLE_OK);
    const ri_vec *keys[WIDE];
    for (int c = 0; c < WIDE; c++) {
        keys[c] = ri_column_block(&table.cols[c], 0);
    }
    CHECK_EQ_INT(ri_table_index_find(&index, keys, 0), 0);
    ri_table_index_deinit(&index);
    ri_table_deinit(&table);
}

/* All matches of row r of `probe` in the index, against a loop from the newest row down. */
static void check_probe(const ri_table_index *index, const model *m, const ri_vec *const *keys, uint32_t r,
                        const uint16_t *key_cols, uint16_t key_count, uint32_t first)
{
    uint32_t found = ri_table_index_find(index, keys, r);
    CHECK_EQ_INT(found, first);
    for (uint32_t row = m->count; row-- > 0;) {
        bool equal = true;
        for (uint16_t k = 0; k < key_count; k++) {
            ri_value v = ri_vec_get(keys[k], r);
            equal = equal && same(&v, &m->rows[row][key_cols[k]]);
        }
        if (equal) {
            REQUIRE(found == row);
            found = ri_table_index_next(index, found);
        }
    }
    CHECK_EQ_INT(found, UINT32_MAX);
}

static void random_index(unsigned kinds, const uint16_t *key_cols, uint16_t key_count)
{
    static model m;
    static model probes;
    test_rng rng = test_rng_new();
    rng.state += kinds * 2 + key_count;
    ri_table table;
    ri_table probe;
    ri_table_index index;
    m = (model){ .count = 0 };
    probes = (model){ .count = 0 };
    REQUIRE_RC(ri_table_init(&table, COLS, false, &test_err), RILLE_OK);
    REQUIRE_RC(ri_table_init(&probe, COLS, false, &test_err), RILLE_OK);
    REQUIRE_RC(ri_table_index_init(&index, &table, NULL, key_cols, key_count, NULL, 0, &test_err), RILLE_OK);
    REQUIRE_RC(add_batch(&probe, &probes, &rng, 300, kinds), RILLE_OK);
    for (int round = 0; round < 4; round++) {
        const ri_vec *keys[COLS];
        uint32_t first[300];
        for (uint16_t k = 0; k < key_count; k++) {
            keys[k] = ri_column_block(&probe.cols[key_cols[k]], 0);
        }
        for (uint32_t from = 0; from < 300;) {
            from += ri_table_index_find_rows(&index, keys, from, 300 - from, first);
        }
        for (uint32_t r = 0; r < 300; r++) {
            check_probe(&index, &m, keys, r, key_cols, key_count, first[r]);
        }
        REQUIRE_RC(add_batch(&table, &m, &rng, (uint32_t)test_random_below(&rng, 400), kinds), RILLE_OK);
        REQUIRE_RC(ri_table_index_complete(&index, &test_err), RILLE_OK);
    }
    ri_table_index_deinit(&index);
    ri_table_deinit(&probe);
    ri_table_deinit(&table);
}

TEST(table_index__finds_all_rows_with_equal_keys_newest_first)
{
    static const uint16_t key_cols[] = { 1, 2, 0 };
    for (unsigned kinds = 1; kinds <= 8; kinds++) {
        random_index(kinds, key_cols, 1);
        random_index(kinds, key_cols, 2);
        random_index(kinds, key_cols, 3);
    }
    random_index(3, key_cols, 0);
}

TEST(vec__gather_and_append_copy_rows)
{
    test_rng rng = test_rng_new();
    for (int round = 0; round < 200; round++) {
        enum { N = 40 };
        ri_arena arena = { 0 };
        ri_value values[N];
        ri_vec in;
        ri_vec out;
        REQUIRE(ri_vec_init(&in, &arena, N) && ri_vec_init(&out, &arena, 2 * N));
        unsigned kinds = 1 + (unsigned)test_random_below(&rng, 8);
        for (uint32_t i = 0; i < N; i++) {
            values[i] = random_value(&rng, kinds);
            ri_vec_set(&in, i, &values[i]);
        }
        uint32_t rows[N];
        uint32_t count = (uint32_t)test_random_below(&rng, N + 1);
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = (uint32_t)test_random_below(&rng, N);
        }
        ri_vec_gather(&in, rows, count, &out);
        ri_vec_append(&in, NULL, N, &out, count);
        for (uint32_t i = 0; i < count + N; i++) {
            ri_value v = ri_vec_get(&out, i);
            const ri_value *expected = &values[i < count ? rows[i] : i - count];
            CHECK(v.type == expected->type && same(&v, expected));
        }
        ri_vec_fill(&out, N, &values[0]);
        CHECK(ri_vec_eq(&out, N - 1, &in, 0));
        ri_arena_deinit(&arena);
    }
}

static int fill_and_index(void)
{
    static model m;
    test_rng rng = { 1 };
    ri_table table;
    ri_table_index index;
    static const uint16_t key_cols[] = { 1 };
    m = (model){ .count = 0, .is_set = true };
    RI_TRY(ri_table_init(&table, COLS, true, NULL));
    int rc = add_batch(&table, &m, &rng, 600, 6);
    if (rc == 0) {
        rc = ri_table_index_init(&index, &table, NULL, key_cols, 1, NULL, 0, NULL);
        if (rc == 0) {
            rc = ri_table_index_complete(&index, NULL);
            ri_table_index_deinit(&index);
        }
    }
    ri_table_deinit(&table);
    return rc;
}

TEST(table__frees_all_when_memory_runs_out)
{
    TEST_FAULT_SWEEP(fill_and_index());
}

TEST(index__leaves_rows_out_whose_columns_differ)
{
    static const uint16_t key_cols[] = { 0 };
    static const uint16_t same[] = { 2, 1 };
    ri_table table;
    ri_table_index index;
    REQUIRE_RC(ri_table_init(&table, 3, false, &test_err), RILLE_OK);
    REQUIRE_RC(ri_table_index_init(&index, &table, NULL, key_cols, 1, same, 1, &test_err), RILLE_OK);
    for (int64_t i = 0; i < 1000; i++) {
        ri_value row[3] = { ri_long(i % 10), ri_long(i % 7), ri_double((double)(i % 3)) };
        REQUIRE_RC(ri_table_add_row(&table, row, NULL, &test_err), RILLE_OK);
        if (i % 100 == 0) {
            REQUIRE_RC(ri_table_index_complete(&index, &test_err), RILLE_OK);
        }
    }
    REQUIRE_RC(ri_table_index_complete(&index, &test_err), RILLE_OK);
    uint64_t word = 4;
    ri_vec key = { &word, NULL, NULL, RI_LONG };
    const ri_vec *keys[] = { &key };
    uint32_t found = 0;
    uint32_t row = ri_table_index_find(&index, keys, 0);
    for (; row != UINT32_MAX; row = ri_table_index_next(&index, row)) {
        CHECK(row % 10 == 4 && row % 7 == row % 3);
        found++;
    }
    uint32_t expected = 0;
    for (uint32_t i = 4; i < 1000; i += 10) {
        expected += i % 7 == i % 3;
    }
    CHECK_EQ_INT(found, expected);
    ri_table_index_deinit(&index);
    ri_table_deinit(&table);
}

TEST_MAIN(table__keeps_the_rows_that_were_added, table__set_keeps_each_row_once,
          table__set_sees_one_number_in_every_type, table__hash_of_a_long_is_that_of_every_equal_number,
          table__without_columns_counts_rows, table__takes_rows_of_many_columns,
          table_index__finds_all_rows_with_equal_keys_newest_first, vec__gather_and_append_copy_rows,
          table__frees_all_when_memory_runs_out, index__leaves_rows_out_whose_columns_differ)
