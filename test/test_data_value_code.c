/* SPDX-License-Identifier: MIT
 *
 * Values as bytes: round trips, every truncation, random damage, and what must be refused.
 */
#include "../src/core/base/hash.h"
#include "test_data_values.h"

static bool reads(const uint8_t *p, size_t len)
{
    ri_reader r = ri_reader_of(p, len);
    ri_value v = ri_value_read(&r);
    return !r.bad && r.p == r.end && ri_value_valid(&v);
}

TEST(value_code__round_trips_and_refuses_every_truncation)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 5000; i++) {
        ri_arena arena = { 0 };
        ri_buf bytes = { 0 };
        ri_buf again = { 0 };
        ri_value v = test_value(&rng, &arena, 0);
        ri_value_write(&bytes, &v);
        ri_reader r = ri_reader_of(bytes.p, bytes.len);
        ri_value back = ri_value_read(&r);
        CHECK(!r.bad && r.p == r.end);
        CHECK(back.type == v.type && ri_value_cmp(&back, &v) == 0);
        ri_value_write(&again, &back);
        CHECK_EQ_MEM(bytes.p, bytes.len, again.p, again.len);
        for (size_t len = 0; len < bytes.len; len++) {
            uint8_t *exact = malloc(len + 1); /* a block of its own, for the sanitizer */
            REQUIRE(exact != NULL);
            uint8_t *at = exact + 1;
            memcpy(at, bytes.p, len);
            CHECK(!reads(at, len));
            free(exact);
        }
        ri_buf_deinit(&bytes);
        ri_buf_deinit(&again);
        ri_arena_deinit(&arena);
    }
}

TEST(value_code__damaged_bytes_are_refused_or_canonical)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 50000; i++) {
        ri_arena arena = { 0 };
        ri_buf bytes = { 0 };
        ri_buf again = { 0 };
        ri_value v = test_value(&rng, &arena, 0);
        ri_value_write(&bytes, &v);
        for (uint64_t hits = 1 + test_random_below(&rng, 3); hits > 0; hits--) {
            bytes.p[test_random_below(&rng, bytes.len)] ^= (uint8_t)(1U << test_random_below(&rng, 8));
        }
        ri_reader r = ri_reader_of(bytes.p, bytes.len);
        ri_value back = ri_value_read(&r);
        if (!r.bad) {
            CHECK(ri_value_valid(&back));
            ri_value_write(&again, &back);
            CHECK_EQ_MEM(bytes.p, (size_t)(r.p - bytes.p), again.p, again.len);
            (void)ri_value_cmp(&back, &v);
            (void)ri_value_hash(&back);
        } else {
            CHECK_EQ_INT(back.type, RI_NIL);
        }
        ri_buf_deinit(&bytes);
        ri_buf_deinit(&again);
        ri_arena_deinit(&arena);
    }
}

static bool valid_text(ri_type type, const char *text)
{
    ri_value v = ri_bytes_value(type, text, strlen(text));
    return ri_value_valid(&v);
}

TEST(value_code__refuses_what_is_not_canonical)
{
    static const char *const wrong_bigints[] = { "",
                                                 "-",
                                                 "1",
                                                 "9223372036854775807",
                                                 "-9223372036854775808",
                                                 "0000000000000000000001",
                                                 "+9223372036854775808",
                                                 "9223372036854775808.5",
                                                 "922337203685477580x" };
    for (size_t i = 0; i < sizeof wrong_bigints / sizeof *wrong_bigints; i++) {
        CHECK(!valid_text(RI_BIGINT, wrong_bigints[i]));
    }
    CHECK(valid_text(RI_BIGINT, "9223372036854775808") && valid_text(RI_BIGINT, "-9223372036854775809"));
    static const char *const wrong_decimals[] = { "",    "-",    "-0",   "00",  "01", "1.",  ".5",
                                                  "1.0", "1.50", "-0.0", "1e5", "+1", "1..2" };
    for (size_t i = 0; i < sizeof wrong_decimals / sizeof *wrong_decimals; i++) {
        CHECK(!valid_text(RI_BIGDEC, wrong_decimals[i]));
    }
    CHECK(valid_text(RI_BIGDEC, "0") && valid_text(RI_BIGDEC, "-0.5") && valid_text(RI_BIGDEC, "100"));
    CHECK(!valid_text(RI_STRING, "\xff") && valid_text(RI_STRING, "") && valid_text(RI_BYTES, "\xff"));
    CHECK(!valid_text(RI_UUID, "123456789012345") && valid_text(RI_UUID, "1234567890123456"));
    CHECK(!valid_text(RI_KEYWORD, "") && !valid_text(RI_KEYWORD, "a b") && !valid_text(RI_SYMBOL, "nil"));
    CHECK(!valid_text(RI_FLOATS, "abc") && !valid_text(RI_FLOATS, "\xff\xff\xff\x7f"));
    ri_value nan = ri_word(RI_DOUBLE, UINT64_C(0x7ff8) << 48);
    ri_value minus_zero = ri_word(RI_DOUBLE, UINT64_C(1) << 63);
    ri_value far_ref = ri_ref(RI_EID_MAX + 1);
    ri_value maybe = ri_word(RI_BOOL, 2);
    CHECK(!ri_value_valid(&nan) && !ri_value_valid(&minus_zero));
    CHECK(!ri_value_valid(&far_ref) && !ri_value_valid(&maybe));
}

TEST(value_code__bounds_the_nesting_of_tuples)
{
    ri_buf inner = { 0 };
    for (int depth = 1; depth <= RI_TUPLE_DEPTH_MAX + 2; depth++) {
        ri_value tuple = ri_bytes_value(RI_TUPLE, inner.p, inner.len);
        CHECK(ri_value_valid(&tuple) == (depth <= RI_TUPLE_DEPTH_MAX));
        CHECK_EQ_INT(ri_value_cmp(&tuple, &tuple), 0);
        ri_buf outer = { 0 };
        ri_value_write(&outer, &tuple);
        ri_buf_deinit(&inner);
        inner = outer;
    }
    ri_buf_deinit(&inner);
}

TEST(value_code__stubs_name_the_whole)
{
    static uint8_t bytes[3000];
    memset(bytes, 'x', sizeof bytes);
    uint8_t stub[RI_STUB_SIZE];
    ri_stub_write(stub, bytes, sizeof bytes);
    ri_value v = ri_bytes_value(RI_STRING_BLOB, stub, sizeof stub);
    CHECK(ri_value_valid(&v));
    CHECK_EQ_INT(ri_stub_len(&v), 3000);
    uint8_t hash[32];
    ri_blake2b(hash, bytes, sizeof bytes);
    CHECK_EQ_MEM(ri_stub_addr(&v), 32, hash, 32);
    memcpy(stub + 61, "\xe4\xb8\xad", 3);
    CHECK(ri_value_valid(&v));
    memcpy(stub + 62, "\xe4\xb8", 2); /* the prefix ends within a character */
    stub[61] = 'x';
    CHECK(ri_value_valid(&v));
    stub[10] = 0xff;
    CHECK(!ri_value_valid(&v));
    v.type = RI_BYTES_BLOB;
    CHECK(ri_value_valid(&v));
    ri_stub_write(stub, bytes, 100); /* what short texts never have */
    CHECK(!ri_value_valid(&v));
}

static int write_string(void)
{
    ri_buf out = { 0 };
    ri_value v = ri_bytes_value(RI_STRING, "text", 4);
    ri_value_write(&out, &v);
    int rc = out.failed ? RILLE_NOMEM : RILLE_OK;
    ri_buf_deinit(&out);
    return rc;
}

TEST(value_code__writing_survives_lack_of_memory)
{
    TEST_FAULT_SWEEP(write_string());
}

TEST_MAIN(value_code__round_trips_and_refuses_every_truncation, value_code__damaged_bytes_are_refused_or_canonical,
          value_code__refuses_what_is_not_canonical, value_code__bounds_the_nesting_of_tuples,
          value_code__stubs_name_the_whole, value_code__writing_survives_lack_of_memory)
