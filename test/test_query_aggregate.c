/* SPDX-License-Identifier: MIT
 *
 * Aggregates against a naive model: all rows kept, each group computed from scratch.
 */
#include "harness.h"

#include "../src/core/data/edn.h"
#include "../src/core/query/functions.h"

#include <math.h>

#define ROWS_MAX 2000U
#define GROUPS_MAX 300U

static const char *const agg_names[] = { "count", "count-distinct", "distinct", "sum",   "avg", "min",
                                         "max",   "median",         "variance", "stddev" };

typedef struct rows {
    ri_value values[ROWS_MAX];
    uint32_t groups[ROWS_MAX];
    uint32_t count;
    uint32_t group_count;
} rows;

static const char *const texts[] = { "", "a", "b", "ab", "some longer text" };

/* kinds: 1 longs, 2 doubles too, 3 refs too, 4 texts too */
static ri_value random_value(test_rng *rng, unsigned kinds)
{
    int64_t i = (int64_t)test_random_below(rng, 41) - 20;
    switch (test_random_below(rng, kinds)) {
    case 0:
        return ri_long(i);
    case 1:
        return ri_double((double)i / 4);
    case 2:
        return ri_ref((uint64_t)(i + 20));
    default:
        return ri_bytes_value(RI_STRING, texts[(i + 20) % 5], strlen(texts[(i + 20) % 5]));
    }
}

/* Adds batches; bytes of a batch are gone when it was added. */
static int feed(ri_agg *agg, const rows *all, uint32_t batch)
{
    for (uint32_t from = 0; from < all->count; from += batch) {
        uint32_t count = all->count - from < batch ? all->count - from : batch;
        ri_arena arena = { 0 };
        ri_vec vec;
        int rc = ri_vec_init(&vec, &arena, count) ? 0 : RILLE_NOMEM;
        uint32_t group_count = 0;
        for (uint32_t i = 0; rc == 0 && i < count; i++) {
            ri_value v;
            rc = ri_value_copy(&arena, &all->values[from + i], &v) ? 0 : RILLE_NOMEM;
            if (rc == 0) {
                ri_vec_set(&vec, i, &v);
            }
        }
        for (uint32_t i = 0; i < from + count; i++) {
            group_count = all->groups[i] >= group_count ? all->groups[i] + 1 : group_count;
        }
        if (rc == 0) {
            rc = ri_agg_add(agg, &vec, all->groups + from, count, group_count, &test_err);
        }
        ri_arena_deinit(&arena);
        RI_TRY(rc);
    }
    return 0;
}

static int cmp(const void *a, const void *b)
{
    ri_value va;
    ri_value vb;
    memcpy(&va, a, sizeof va);
    memcpy(&vb, b, sizeof vb);
    va = ri_plain(va);
    vb = ri_plain(vb);
    return ri_value_cmp(&va, &vb);
}

static double number(const ri_value *v)
{
    return v->type == RI_DOUBLE ? v->as.d : (double)v->as.i;
}

static ri_value tuple_of(ri_arena *arena, const ri_value *values, uint32_t count)
{
    ri_buf buf = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        ri_value v = ri_plain(values[i]);
        ri_value_write(&buf, &v);
    }
    ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
    REQUIRE(ri_value_copy(arena, &tuple, &tuple));
    ri_buf_deinit(&buf);
    return tuple;
}

/* The naive answer for the sorted values of one group. */
static ri_value naive(const char *name, const ri_value *sorted, uint32_t count, uint32_t n, ri_arena *arena)
{
    double sum = 0;
    bool any_double = false;
    ri_value distinct[ROWS_MAX];
    uint32_t distinct_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        any_double = any_double || sorted[i].type == RI_DOUBLE;
        sum += sorted[i].type == RI_STRING ? 0 : number(&sorted[i]);
        if (i == 0 || cmp(&sorted[i - 1], &sorted[i]) != 0) {
            distinct[distinct_count++] = sorted[i];
        }
    }
    double squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        double d = (sorted[i].type == RI_STRING ? 0 : number(&sorted[i])) - sum / count;
        squares += d * d;
    }
    if (strcmp(name, "count") == 0) {
        return ri_long(count);
    }
    if (strcmp(name, "count-distinct") == 0) {
        return ri_long(distinct_count);
    }
    if (strcmp(name, "distinct") == 0) {
        return tuple_of(arena, distinct, distinct_count);
    }
    if (strcmp(name, "sum") == 0) {
        return any_double ? ri_double(sum) : ri_long((int64_t)sum);
    }
    if (strcmp(name, "avg") == 0) {
        return ri_double(sum / count);
    }
    if (strcmp(name, "median") == 0) {
        return count % 2 == 1 ? sorted[count / 2]
                              : ri_double((number(&sorted[count / 2 - 1]) + number(&sorted[count / 2])) / 2);
    }
    if (strcmp(name, "variance") == 0 || strcmp(name, "stddev") == 0) {
        return ri_double(name[0] == 'v' ? squares / count : sqrt(squares / count));
    }
    bool is_min = strcmp(name, "min") == 0;
    if (n == 0) {
        return sorted[is_min ? 0 : count - 1];
    }
    uint32_t take = n < count ? n : count;
    ri_value best[ROWS_MAX];
    for (uint32_t i = 0; i < take; i++) {
        best[i] = sorted[is_min ? i : count - 1 - i];
    }
    return tuple_of(arena, best, take);
}

static bool same(const char *name, const ri_value *a, const ri_value *b)
{
    if (a->type == RI_DOUBLE && b->type == RI_DOUBLE && strcmp(name, "min") != 0 && strcmp(name, "max") != 0) {
        return fabs(a->as.d - b->as.d) <= 1e-9 * (1 + fabs(b->as.d));
    }
    ri_value pa = ri_plain(*a);
    ri_value pb = ri_plain(*b);
    return ri_value_cmp(&pa, &pb) == 0;
}

static int result_of(ri_agg *agg, uint32_t group, ri_arena *arena, ri_value *out, rille_err *err)
{
    bool done = false;
    while (!done) {
        RI_TRY(ri_agg_result(agg, group, arena, out, &done, err));
    }
    return 0;
}

static void check_groups(ri_agg *agg, const char *name, const rows *all, uint32_t n)
{
    ri_arena arena = { 0 };
    static ri_value group[ROWS_MAX];
    for (uint32_t g = 0; g < all->group_count; g++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < all->count; i++) {
            if (all->groups[i] == g) {
                group[count++] = all->values[i];
            }
        }
        qsort(group, count, sizeof *group, cmp);
        ri_value expected = naive(name, group, count, n, &arena);
        ri_value got;
        CHECK_RC(result_of(agg, g, &arena, &got, &test_err), RILLE_OK);
        CHECK(ri_value_valid(&got));
        if (!same(name, &got, &expected)) {
            char show[2][100];
            CHECK_EQ_STR(name, "an aggregate that is wrong");
            CHECK_EQ_STR(ri_value_show(show[0], 100, &got), ri_value_show(show[1], 100, &expected));
        }
    }
    ri_arena_deinit(&arena);
}

static void random_rows(test_rng *rng, unsigned kinds, rows *out)
{
    out->count = 1 + (uint32_t)test_random_below(rng, ROWS_MAX);
    out->group_count = 0;
    uint32_t groups = 1 + (uint32_t)test_random_below(rng, test_random_below(rng, 2) == 0 ? 4 : GROUPS_MAX);
    for (uint32_t i = 0; i < out->count; i++) {
        uint32_t g = (uint32_t)test_random_below(rng, groups);
        g = g > out->group_count ? out->group_count : g; /* numbers grow by one */
        out->groups[i] = g;
        out->group_count = g + 1 > out->group_count ? g + 1 : out->group_count;
        out->values[i] = random_value(rng, kinds);
    }
}

static ri_meter meter; /* of all aggregates but those of the fault test */

static ri_agg *new_agg(const char *name, uint32_t n)
{
    const ri_agg_def *def = ri_agg_find(name);
    REQUIRE(def != NULL);
    ri_agg *agg = NULL;
    ri_value number_of = ri_long(n);
    REQUIRE_RC(ri_agg_new(def, n > 0 ? &number_of : NULL, &meter, &agg, &test_err), RILLE_OK);
    return agg;
}

TEST(aggregate__agrees_with_the_naive_model)
{
    static rows all;
    test_rng rng = test_rng_new();
    for (int round = 0; round < 12; round++) {
        for (size_t a = 0; a < sizeof agg_names / sizeof *agg_names; a++) {
            const char *name = agg_names[a];
            bool any_type = a < 3 || strcmp(name, "min") == 0 || strcmp(name, "max") == 0;
            random_rows(&rng, 1 + (unsigned)test_random_below(&rng, any_type ? 4 : 3), &all);
            uint32_t n = ri_agg_find(name)->takes_n && round % 2 == 1 ? 1 + (uint32_t)test_random_below(&rng, 20) : 0;
            ri_agg *agg = new_agg(name, n);
            REQUIRE_RC(feed(agg, &all, 1 + (uint32_t)test_random_below(&rng, 1024)), RILLE_OK);
            check_groups(agg, name, &all, n);
            CHECK(meter.bytes > 0);
            uint32_t copies = all.count < ROWS_MAX / 2 ? all.count : 0; /* more rows after results were read */
            if (copies > 0) {
                REQUIRE_RC(feed(agg, &all, 1024), RILLE_OK);
                memcpy(all.values + copies, all.values, copies * sizeof *all.values);
                memcpy(all.groups + copies, all.groups, copies * sizeof *all.groups);
                all.count *= 2;
                check_groups(agg, name, &all, n);
            }
            ri_agg_free(agg);
            CHECK_EQ_INT(meter.bytes, 0);
        }
    }
}

static int sum_of(const ri_value *values, uint32_t count, ri_value *out)
{
    ri_agg *agg = new_agg("sum", 0);
    ri_arena arena = { 0 };
    ri_vec vec;
    REQUIRE(ri_vec_init(&vec, &arena, count));
    for (uint32_t i = 0; i < count; i++) {
        ri_vec_set(&vec, i, &values[i]);
    }
    int rc = ri_agg_add(agg, &vec, NULL, count, 1, &test_err);
    if (rc == 0) {
        rc = result_of(agg, 0, &arena, out, &test_err);
    }
    ri_arena_deinit(&arena);
    ri_agg_free(agg);
    return rc;
}

TEST(aggregate__sums_of_longs_are_exact_or_an_error)
{
    ri_value sum;
    ri_value up[] = { ri_long(INT64_MAX), ri_long(1) };
    CHECK_RC(sum_of(up, 2, &sum), RILLE_LIMIT);
    ri_value down[] = { ri_long(INT64_MIN), ri_long(-1) };
    CHECK_RC(sum_of(down, 2, &sum), RILLE_LIMIT);
    ri_value back[] = { ri_long(INT64_MAX), ri_long(INT64_MAX), ri_long(1), ri_long(INT64_MIN), ri_long(-7) };
    CHECK_RC(sum_of(back, 5, &sum), RILLE_OK);
    CHECK(sum.type == RI_LONG && sum.as.i == INT64_MAX - 7);
    ri_value low[] = { ri_long(INT64_MIN), ri_long(0) };
    CHECK_RC(sum_of(low, 2, &sum), RILLE_OK);
    CHECK(sum.as.i == INT64_MIN);
    ri_value mixed[] = { ri_long(INT64_MAX), ri_long(INT64_MAX), ri_double(0.5) };
    CHECK_RC(sum_of(mixed, 3, &sum), RILLE_OK);
    CHECK(sum.type == RI_DOUBLE && sum.as.d == 18446744073709551616.0);
    ri_value small[] = { ri_double(1e16), ri_double(1.0), ri_double(1.0), ri_double(-1e16) };
    CHECK_RC(sum_of(small, 4, &sum), RILLE_OK);
    CHECK(sum.as.d == 2.0);
    ri_value big[] = { ri_double(1e308), ri_double(1e308) };
    CHECK_RC(sum_of(big, 2, &sum), RILLE_LIMIT);
}

TEST(aggregate__refuses_what_is_no_number)
{
    static const char *const names[] = { "sum", "avg", "median", "variance", "stddev" };
    static const struct {
        ri_value v;
        const char *message;
    } wrong[] = {
        { { { .p = (const uint8_t *)"x" }, 1, RI_STRING }, "expects numbers, got \"x\" (a string)" },
        { { { .p = (const uint8_t *)"1.5" }, 3, RI_BIGDEC }, "expects longs or doubles, got 1.5M (a bigdec)" },
        { { { 0 }, 0, RI_NIL }, "expects numbers, got nil (a nil)" },
    };
    for (size_t a = 0; a < sizeof names / sizeof *names; a++) {
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            ri_agg *agg = new_agg(names[a], 0);
            ri_arena arena = { 0 };
            ri_vec vec;
            REQUIRE(ri_vec_init(&vec, &arena, 1));
            ri_vec_set(&vec, 0, &wrong[i].v);
            CHECK_RC(ri_agg_add(agg, &vec, NULL, 1, 1, &test_err), RILLE_TYPE);
            CHECK(strstr(test_err.message, wrong[i].message) != NULL);
            ri_arena_deinit(&arena);
            ri_agg_free(agg);
        }
    }
    CHECK(ri_agg_find("median-of-medians") == NULL);
    ri_agg_free(NULL);
}

static int run_all(void)
{
    static rows all;
    static const ri_value three = { { .i = 3 }, 0, RI_LONG };
    test_rng rng = { 3 };
    random_rows(&rng, 2, &all);
    all.count = all.count < 300 ? all.count : 300;
    for (size_t a = 0; a < sizeof agg_names / sizeof *agg_names; a++) {
        ri_agg *agg;
        RI_TRY(ri_agg_new(ri_agg_find(agg_names[a]), a % 2 == 0 ? &three : NULL, NULL, &agg, NULL));
        int rc = feed(agg, &all, 100);
        ri_arena arena = { 0 };
        ri_value v;
        if (rc == 0) {
            rc = result_of(agg, 0, &arena, &v, NULL);
        }
        ri_arena_deinit(&arena);
        ri_agg_free(agg);
        RI_TRY(rc);
    }
    return 0;
}

TEST(aggregate__frees_all_when_memory_runs_out)
{
    TEST_FAULT_SWEEP(run_all());
}

TEST_MAIN(aggregate__agrees_with_the_naive_model, aggregate__sums_of_longs_are_exact_or_an_error,
          aggregate__refuses_what_is_no_number, aggregate__frees_all_when_memory_runs_out)
