/* SPDX-License-Identifier: MIT
 *
 * The order of values is total, hashes agree with it, word keys sort as words do.
 */
#include "test_data_values.h"

#define VALUE_COUNT 700

static int cmp_for_qsort(const void *a, const void *b)
{
    return ri_value_cmp(a, b);
}

TEST(value__order_is_total)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    ri_value *values = calloc(VALUE_COUNT, sizeof *values);
    REQUIRE(values != NULL);
    for (int i = 0; i < VALUE_COUNT; i++) {
        values[i] = test_value(&rng, &arena, 0);
        CHECK(ri_value_valid(&values[i]));
    }
    qsort(values, VALUE_COUNT, sizeof *values, cmp_for_qsort);
    /* with every pair in the order of the sorted list, each triple is transitive */
    size_t equal_pairs = 0;
    for (int i = 0; i < VALUE_COUNT; i++) {
        CHECK_EQ_INT(ri_value_cmp(&values[i], &values[i]), 0);
        for (int j = i + 1; j < VALUE_COUNT; j++) {
            int forth = test_sign(ri_value_cmp(&values[i], &values[j]));
            CHECK(forth <= 0);
            CHECK(ri_value_prefix(&values[i]) <= ri_value_prefix(&values[j]));
            CHECK(ri_value_prefix(&values[j]) >> RI_VALUE_PREFIX_BITS == 0);
            CHECK_EQ_INT(test_sign(ri_value_cmp(&values[j], &values[i])), -forth);
            if (forth == 0) {
                equal_pairs++;
                CHECK(ri_value_prefix(&values[i]) == ri_value_prefix(&values[j]));
                CHECK(ri_value_hash(&values[i]) == ri_value_hash(&values[j]));
                CHECK(ri_value_eq(&values[i], &values[j]));
                /* equality is transitive: an equal neighbour between them is equal to both */
                CHECK_EQ_INT(ri_value_cmp(&values[i], &values[j - 1]), 0);
            }
        }
    }
    CHECK(equal_pairs > 500);
    free(values);
    ri_arena_deinit(&arena);
}

/* Behind what any two of them have in common, values of their class keep their order, and those between them begin so. */
TEST(value__prefixes_behind_a_common_beginning_keep_the_order)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    static ri_value values[VALUE_COUNT];
    size_t pairs = 0;
    for (int i = 0; i < VALUE_COUNT; i++) {
        do {
            values[i] = test_value(&rng, &arena, 0);
        } while (!ri_type_is_bytes(values[i].type));
    }
    qsort(values, VALUE_COUNT, sizeof *values, cmp_for_qsort);
    for (int pair = 0; pair < 20 * VALUE_COUNT; pair++) {
        size_t first = test_random_below(&rng, VALUE_COUNT);
        size_t last = first + test_random_below(&rng, pair % 2 == 0 ? 9 : VALUE_COUNT);
        last = last < VALUE_COUNT ? last : VALUE_COUNT - 1;
        uint32_t len = ri_value_shared(&values[first], &values[last]);
        if (len == 0) {
            continue;
        }
        uint64_t before = 0;
        pairs++;
        for (size_t i = 0; i < VALUE_COUNT; i++) {
            if (ri_type_class(values[i].type) == ri_type_class(values[first].type)) {
                uint64_t prefix = ri_value_prefix_behind(&values[i], values[first].as.p, len);
                bool same = i > 0 && ri_value_cmp(&values[i - 1], &values[i]) == 0;
                CHECK(before <= prefix);
                CHECK(before < prefix || same || !ri_prefix_is_whole(prefix));
                before = prefix;
            }
            CHECK(i < first || i > last || ri_value_shared(&values[i], &values[last]) >= len);
        }
    }
    CHECK(pairs > 1000);
    ri_arena_deinit(&arena);
}

TEST(value__types_come_in_the_documented_order)
{
    ri_arena arena = { 0 };
    uint8_t stub[RI_STUB_SIZE];
    static const uint8_t big[2000];
    ri_stub_write(stub, big, sizeof big);
    const ri_value values[] = {
        ri_nil(),
        ri_word(RI_BOOL, 0),
        ri_word(RI_BOOL, 1),
        ri_double(-1e300),
        test_value_of_text(&arena, RI_BIGINT, "-9223372036854775809"),
        ri_long(INT64_MIN),
        ri_long(-1),
        ri_double(-0.5),
        ri_long(0),
        ri_double(5e-324),
        test_value_of_text(&arena, RI_BIGDEC, "0.3"),
        ri_long(1),
        ri_long(9007199254740992),
        ri_long(9007199254740993),
        ri_double(9007199254740994.0),
        ri_long(INT64_MAX),
        ri_double(9223372036854775808.0),
        test_value_of_text(&arena, RI_BIGINT, "9223372036854775809"),
        ri_word(RI_INSTANT, (uint64_t)-5),
        ri_word(RI_INSTANT, 5),
        test_value_of_text(&arena, RI_UUID, "0123456789abcdef"),
        test_value_of_text(&arena, RI_KEYWORD, "a"),
        test_value_of_text(&arena, RI_KEYWORD, "a/b"),
        test_value_of_text(&arena, RI_KEYWORD, "b"),
        test_value_of_text(&arena, RI_SYMBOL, "a"),
        test_value_of_text(&arena, RI_STRING, ""),
        ri_bytes_value(RI_STRING_BLOB, stub, sizeof stub),
        test_value_of_text(&arena, RI_STRING, "a"),
        test_value_of_text(&arena, RI_STRING, "\xc3\xa9"),
        test_value_of_text(&arena, RI_BYTES, ""),
        ri_bytes_value(RI_BYTES_BLOB, stub, sizeof stub),
        ri_ref(0),
        ri_ref(7),
        test_value_of_text(&arena, RI_TUPLE, ""),
        test_value_of_text(&arena, RI_FLOATS, ""),
    };
    size_t count = sizeof values / sizeof *values;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            CHECK_EQ_INT(test_sign(ri_value_cmp(&values[i], &values[j])), i < j ? -1 : i > j);
        }
    }
    ri_arena_deinit(&arena);
}

TEST(value__equal_numbers_have_equal_hashes)
{
    ri_arena arena = { 0 };
    const ri_value ones[] = { ri_long(1), ri_double(1), test_value_of_text(&arena, RI_BIGDEC, "1") };
    const ri_value halves[] = { ri_double(0.5), test_value_of_text(&arena, RI_BIGDEC, "0.5") };
    const ri_value tops[] = { ri_double(18446744073709551616.0),
                              test_value_of_text(&arena, RI_BIGINT, "18446744073709551616"),
                              test_value_of_text(&arena, RI_BIGDEC, "18446744073709551616") };
    for (size_t i = 1; i < 3; i++) {
        CHECK(ri_value_eq(&ones[0], &ones[i]) && ri_value_hash(&ones[0]) == ri_value_hash(&ones[i]));
        CHECK(ri_value_eq(&tops[0], &tops[i]) && ri_value_hash(&tops[0]) == ri_value_hash(&tops[i]));
    }
    CHECK(ri_value_eq(&halves[0], &halves[1]) && ri_value_hash(&halves[0]) == ri_value_hash(&halves[1]));
    CHECK(ri_value_hash(&ones[0]) != ri_value_hash(&halves[0]));
    ri_value instant = ri_word(RI_INSTANT, 1);
    ri_value ref = ri_ref(1);
    CHECK(ri_value_hash(&ones[0]) != ri_value_hash(&ref) && ri_value_hash(&instant) != ri_value_hash(&ref));
    ri_arena_deinit(&arena);
}

TEST(value__tuples_compare_by_element)
{
    ri_buf a = { 0 };
    ri_buf b = { 0 };
    ri_value one = ri_long(1);
    ri_value one_as_double = ri_double(1);
    ri_value minus = ri_long(-1);
    ri_value_write(&a, &one);
    ri_value_write(&b, &one_as_double);
    ri_value va = ri_bytes_value(RI_TUPLE, a.p, a.len);
    ri_value vb = ri_bytes_value(RI_TUPLE, b.p, b.len);
    CHECK_EQ_INT(ri_value_cmp(&va, &vb), 0);
    CHECK(ri_value_hash(&va) == ri_value_hash(&vb));
    ri_value_write(&b, &minus);
    vb = ri_bytes_value(RI_TUPLE, b.p, b.len);
    CHECK(ri_value_cmp(&va, &vb) < 0); /* shorter first */
    ri_value_write(&a, &one);
    va = ri_bytes_value(RI_TUPLE, a.p, a.len);
    CHECK(ri_value_cmp(&va, &vb) > 0);
    ri_buf_deinit(&a);
    ri_buf_deinit(&b);
}

TEST(value__word_keys_sort_as_words_do)
{
    test_rng rng = test_rng_new();
    static const uint8_t types[] = { RI_BOOL, RI_LONG, RI_DOUBLE, RI_INSTANT, RI_REF };
    for (int i = 0; i < 50000; i++) {
        uint8_t type = types[(size_t)i % sizeof types];
        ri_value v[2];
        for (int k = 0; k < 2; k++) {
            v[k] = type == RI_DOUBLE ? ri_double(test_double(&rng)) : ri_word((ri_type)type, (uint64_t)test_long(&rng));
            v[k].as.u &= type == RI_BOOL ? 1 : type == RI_REF ? RI_EID_MAX : UINT64_MAX;
            CHECK(ri_key_to_word(type, ri_word_to_key(type, v[k].as.u)) == v[k].as.u);
        }
        uint64_t a = ri_word_to_key(type, v[0].as.u);
        uint64_t b = ri_word_to_key(type, v[1].as.u);
        CHECK_EQ_INT((a > b) - (a < b), test_sign(ri_value_cmp(&v[0], &v[1])));
    }
}

TEST(value__names_of_types_read_back)
{
    for (uint8_t type = RI_BOOL; type < RI_TYPE_COUNT; type++) {
        const char *name = ri_type_name(type);
        int found = ri_type_by_name(name, strlen(name));
        CHECK(found == type || (type == RI_STRING_BLOB && found == RI_STRING) ||
              (type == RI_BYTES_BLOB && found == RI_BYTES));
    }
    CHECK_EQ_INT(ri_type_by_name("nil", 3), -1);
    CHECK_EQ_INT(ri_type_by_name("lon", 3), -1);
    CHECK_EQ_STR(ri_type_name(200), "unknown");
}

static int copy_string(void)
{
    ri_arena arena = { 0 };
    ri_value v = ri_bytes_value(RI_STRING, "text", 4);
    ri_value out;
    int rc = ri_value_copy(&arena, &v, &out) ? RILLE_OK : RILLE_NOMEM;
    if (rc != 0) {
        CHECK_EQ_INT(out.type, RI_NIL);
    }
    ri_arena_deinit(&arena);
    return rc;
}

TEST(value__copies_survive_lack_of_memory)
{
    TEST_FAULT_SWEEP(copy_string());
}

TEST_MAIN(value__order_is_total, value__prefixes_behind_a_common_beginning_keep_the_order,
          value__types_come_in_the_documented_order, value__equal_numbers_have_equal_hashes,
          value__tuples_compare_by_element, value__word_keys_sort_as_words_do, value__names_of_types_read_back,
          value__copies_survive_lack_of_memory)
