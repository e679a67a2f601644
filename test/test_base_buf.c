/* SPDX-License-Identifier: MIT */
#include "../src/core/base/buf.h"

#include "../src/core/base/err.h"
#include "../src/core/base/mem.h"
#include "harness.h"

/* Writes every kind of item `count` times. */
static void put_all(ri_buf *buf, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ri_buf_put_u8(buf, (uint8_t)i);
        ri_buf_put_u32(buf, (uint32_t)i * 77777U);
        ri_buf_put_u64(buf, (uint64_t)i << 40);
        ri_buf_put_varint(buf, (uint64_t)i * i * i);
        ri_buf_put_block(buf, "abc", i % 4);
        ri_buf_put_text(buf, "t");
    }
}

TEST(buf__gives_back_what_was_put)
{
    ri_buf buf = { 0 };
    put_all(&buf, 1000);
    REQUIRE(!buf.failed);
    ri_reader r = ri_reader_of(buf.p, buf.len);
    for (size_t i = 0; i < 1000; i++) {
        CHECK_EQ_INT(ri_read_u8(&r), (uint8_t)i);
        const uint8_t *word = ri_read_bytes(&r, 4);
        CHECK_EQ_INT(word == NULL ? 0 : ri_load_u32(word), (uint32_t)i * 77777U);
        CHECK_EQ_INT(ri_read_u64(&r), (uint64_t)i << 40);
        CHECK_EQ_INT(ri_read_varint(&r), i * i * i);
        uint64_t len = ri_read_varint_max(&r, 3);
        CHECK_EQ_INT(len, i % 4);
        const uint8_t *block = ri_read_bytes(&r, (size_t)len);
        CHECK_EQ_MEM(block, (size_t)len, "abc", i % 4);
        CHECK_EQ_INT(ri_read_u8(&r), 't');
    }
    CHECK(!r.bad);
    CHECK_EQ_INT(ri_reader_left(&r), 0);
    ri_buf_deinit(&buf);
    CHECK(buf.p == NULL && buf.len == 0 && buf.cap == 0);
}

TEST(buf__take_hands_over_and_empties)
{
    ri_buf buf = { 0 };
    ri_buf_put_text(&buf, "hello");
    size_t len = 0;
    uint8_t *bytes = ri_buf_take(&buf, &len);
    CHECK_EQ_MEM(bytes, len, "hello", 5);
    CHECK(buf.p == NULL && buf.cap == 0);
    ri_free(bytes);
    bytes = ri_buf_take(&buf, &len); /* an empty buffer gives a block of no bytes, which is not a failure */
    CHECK(bytes != NULL && len == 0);
    ri_free(bytes);
}

TEST(buf__clear_keeps_the_room)
{
    ri_buf buf = { 0 };
    ri_buf_put_text(&buf, "hello");
    size_t cap = buf.cap;
    ri_buf_clear(&buf);
    CHECK_EQ_INT(buf.len, 0);
    CHECK_EQ_INT(buf.cap, cap);
    ri_buf_deinit(&buf);
}

TEST(buf__refuses_a_length_that_overflows)
{
    ri_buf buf = { 0 };
    ri_buf_put_text(&buf, "hello");
    CHECK(ri_buf_reserve(&buf, SIZE_MAX - 2) == NULL);
    CHECK(buf.failed);
    ri_buf_put_text(&buf, "lost");
    CHECK_EQ_INT(buf.len, 5);
    size_t len = 1;
    CHECK(ri_buf_take(&buf, &len) == NULL && len == 0);
    ri_buf_deinit(&buf);
}

static int encode(size_t count)
{
    ri_buf buf = { 0 };
    put_all(&buf, count);
    size_t len = 0;
    uint8_t *bytes = ri_buf_take(&buf, &len);
    ri_buf_deinit(&buf);
    if (bytes == NULL) {
        return ri_fail_nomem(NULL);
    }
    ri_free(bytes);
    return RILLE_OK;
}

TEST(buf__failure_is_sticky_and_leaks_nothing)
{
    TEST_FAULT_SWEEP(encode(300));
}

TEST(buf__makes_a_block_of_what_was_put)
{
    static const uint8_t bytes[20000] = { 7 };
    for (size_t len = 0; len <= sizeof bytes; len = len * 3 + 1) {
        ri_buf put = { 0 };
        ri_buf made = { 0 };
        ri_buf_put_text(&put, "before");
        ri_buf_put_block(&put, bytes, len);
        ri_buf_put_text(&made, "before");
        ri_buf_put(&made, bytes, len);
        ri_buf_make_block(&made, 6);
        CHECK_EQ_MEM(made.p, made.len, put.p, put.len);
        ri_buf_deinit(&put);
        ri_buf_deinit(&made);
    }
}

TEST_MAIN(buf__gives_back_what_was_put, buf__take_hands_over_and_empties, buf__clear_keeps_the_room,
          buf__makes_a_block_of_what_was_put, buf__refuses_a_length_that_overflows,
          buf__failure_is_sticky_and_leaks_nothing)
