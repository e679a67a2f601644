/* SPDX-License-Identifier: MIT
 *
 * What the tests of the EDN reader and writer share.
 */
#ifndef RILLE_TEST_DATA_EDN_H
#define RILLE_TEST_DATA_EDN_H

#include "../src/core/data/edn.h"
#include "harness.h"

/* Reads one form and gives its text again (to be freed with ri_buf_deinit), 0-terminated. */
static inline ri_buf test_edn_rewrite(const char *text, size_t len)
{
    ri_arena arena = { 0 };
    ri_buf out = { 0 };
    ri_form form;
    REQUIRE_RC(ri_edn_read(&arena, text, len, &form, &test_err), RILLE_OK);
    ri_edn_write(&out, &form);
    ri_buf_put_u8(&out, 0);
    CHECK(!out.failed);
    ri_arena_deinit(&arena);
    return out;
}

/* The text reads, and writes as `expected`, which reads and writes as itself. */
static inline void test_edn_is(const char *text, const char *expected)
{
    ri_buf out = test_edn_rewrite(text, strlen(text));
    CHECK_EQ_STR((const char *)out.p, expected);
    ri_buf again = test_edn_rewrite((const char *)out.p, out.len - 1);
    CHECK_EQ_STR((const char *)again.p, expected);
    ri_buf_deinit(&out);
    ri_buf_deinit(&again);
}

static inline void test_edn_fails(const char *text, size_t len, int code, const char *message)
{
    for (int borrow = 0; borrow < 2; borrow++) {
        ri_arena arena = { 0 };
        ri_edn_reader reader;
        ri_form form;
        rille_err err = { 0 };
        int rc;
        ri_edn_init(&reader, &arena, text, len, borrow != 0);
        while ((rc = ri_edn_next(&reader, &form, &err)) == RILLE_OK) {
        }
        CHECK_EQ_INT(rc, code);
        CHECK_EQ_INT(err.code, code);
        CHECK_EQ_STR(err.message, message);
        ri_edn_deinit(&reader);
        ri_arena_deinit(&arena);
    }
}

#endif
