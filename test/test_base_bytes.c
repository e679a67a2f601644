/* SPDX-License-Identifier: MIT */
#include "../src/core/base/bytes.h"

#include "harness.h"

#include <ctype.h>

/* Numbers of every bit width, with the edges of each. */
static uint64_t some_number(test_rng *rng)
{
    uint64_t x = test_random(rng) >> test_random_below(rng, 64);
    switch (test_random_below(rng, 4)) {
    case 0:
        return x & (0 - x);
    case 1:
        return (x & (0 - x)) - 1;
    default:
        return x;
    }
}

TEST(bytes__loads_undo_stores_at_any_alignment)
{
    test_rng rng = test_rng_new();
    uint8_t bytes[24];
    for (int i = 0; i < 10000; i++) {
        uint64_t x = some_number(&rng);
        uint8_t *p = bytes + i % 8;
        ri_store_u64(p, x);
        CHECK(ri_load_u64(p) == x);
        CHECK(ri_load_u32(p) == (uint32_t)x);
        ri_store_be64(p, x);
        CHECK(ri_load_be64(p) == x);
    }
}

TEST(bytes__are_little_endian_but_where_they_sort)
{
    uint8_t p[8];
    ri_store_u64(p, UINT64_C(0x0102030405060708));
    CHECK_EQ_MEM(p, 8, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    ri_store_be64(p, UINT64_C(0x0102030405060708));
    CHECK_EQ_MEM(p, 8, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
}

TEST(bytes__bit_width_is_that_of_a_loop)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 10000; i++) {
        uint64_t x = i == 0 ? 0 : some_number(&rng);
        unsigned width = 0;
        while (width < 64 && x >> width != 0) {
            width++;
        }
        CHECK_EQ_INT(ri_bit_width(x), width);
    }
}

TEST(bytes__zigzag_keeps_small_numbers_small)
{
    CHECK_EQ_INT(ri_zigzag(0), 0);
    CHECK_EQ_INT(ri_zigzag(-1), 1);
    CHECK_EQ_INT(ri_zigzag(1), 2);
    CHECK(ri_zigzag(INT64_MIN) == UINT64_MAX);
    test_rng rng = test_rng_new();
    for (int i = 0; i < 10000; i++) {
        uint64_t x = some_number(&rng);
        CHECK(ri_zigzag(ri_unzigzag(x)) == x);
    }
}

TEST(bytes__varint_survives_and_knows_its_size)
{
    test_rng rng = test_rng_new();
    for (int i = 0; i < 20000; i++) {
        uint64_t x = some_number(&rng);
        uint8_t bytes[RI_VARINT_SIZE_MAX];
        size_t len = ri_put_varint(bytes, x);
        CHECK_EQ_INT(len, ri_varint_size(x));
        ri_reader r = ri_reader_of(bytes, len);
        CHECK(ri_read_varint(&r) == x && !r.bad && ri_reader_left(&r) == 0);
        ri_reader cut = ri_reader_of(bytes, len - 1);
        CHECK(ri_read_varint(&cut) == 0 && cut.bad);
    }
    uint8_t bytes[RI_VARINT_SIZE_MAX];
    CHECK_EQ_INT(ri_put_varint(bytes, UINT64_MAX), RI_VARINT_SIZE_MAX);
}

static bool varint_is_bad(const char *bytes, size_t len)
{
    ri_reader r = ri_reader_of((const uint8_t *)bytes, len);
    return ri_read_varint(&r) == 0 && r.bad;
}

TEST(bytes__varint_has_one_form_only)
{
    CHECK(varint_is_bad("", 0));
    CHECK(varint_is_bad("\x80\x00", 2));                                  /* 0 in two bytes */
    CHECK(varint_is_bad("\x81\x80\x00", 3));                              /* 1 in three */
    CHECK(varint_is_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10)); /* above 2^64 - 1 */
    CHECK(varint_is_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
    ri_reader zero = ri_reader_of((const uint8_t *)"\0", 1);
    CHECK(ri_read_varint(&zero) == 0 && !zero.bad);
    ri_reader most = ri_reader_of((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    CHECK(ri_read_varint(&most) == UINT64_MAX && !most.bad);
}

TEST(bytes__varint_max_refuses_what_is_above)
{
    ri_reader ok = ri_reader_of((const uint8_t *)"\x05", 1);
    CHECK(ri_read_varint_max(&ok, 5) == 5 && !ok.bad);
    ri_reader over = ri_reader_of((const uint8_t *)"\x05", 1);
    CHECK(ri_read_varint_max(&over, 4) == 0 && over.bad);
}

TEST(bytes__a_reader_stays_within_its_bytes_and_stays_bad)
{
    uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    ri_reader r = ri_reader_of(bytes, 5);
    CHECK(ri_read_bytes(&r, 4) == bytes);
    CHECK(ri_read_bytes(&r, SIZE_MAX) == NULL && r.bad);
    CHECK_EQ_INT(ri_read_u8(&r), 0); /* one byte is left, but the reader is bad */
    CHECK(ri_read_bytes(&r, 0) == NULL);
    ri_reader all = ri_reader_of(bytes, 8);
    CHECK(ri_read_u64(&all) == UINT64_C(0x0807060504030201));
    CHECK(ri_read_bytes(&all, 0) == bytes + 8 && !all.bad);
    CHECK(ri_read_u64(&all) == 0 && all.bad);
}

TEST(bytes__knows_hexadecimal_digits)
{
    for (int c = 0; c < 256; c++) {
        char text[2] = { (char)c, '\0' };
        CHECK_EQ_INT(ri_hex_digit(text[0]), isxdigit(c) ? strtol(text, NULL, 16) : -1);
    }
}

TEST_MAIN(bytes__knows_hexadecimal_digits, bytes__loads_undo_stores_at_any_alignment,
          bytes__are_little_endian_but_where_they_sort, bytes__bit_width_is_that_of_a_loop,
          bytes__zigzag_keeps_small_numbers_small, bytes__varint_survives_and_knows_its_size,
          bytes__varint_has_one_form_only, bytes__varint_max_refuses_what_is_above,
          bytes__a_reader_stays_within_its_bytes_and_stays_bad)
