/* SPDX-License-Identifier: MIT */
#include "../src/core/base/err.h"

#include "harness.h"

#include <errno.h>

TEST(err__fail_returns_its_code_and_fills)
{
    rille_err err = { .sys = 5 };
    CHECK_EQ_INT(ri_fail(&err, RILLE_TYPE, "value %d of %s", 7, "x"), RILLE_TYPE);
    CHECK_EQ_INT(err.code, RILLE_TYPE);
    CHECK_EQ_INT(err.sys, 0);
    CHECK_EQ_STR(err.message, "value 7 of x");
}

TEST(err__everything_accepts_no_err)
{
    CHECK_EQ_INT(ri_fail(NULL, RILLE_TYPE, "x"), RILLE_TYPE);
    CHECK_EQ_INT(ri_fail_errno(NULL, ENOENT, "x"), RILLE_NOTFOUND);
    CHECK_EQ_INT(ri_fail_nomem(NULL), RILLE_NOMEM);
    ri_err_prefix(NULL, "x");
}

TEST(err__errno_chooses_the_code_and_gives_its_text)
{
    static const struct {
        int errnum;
        int code;
    } cases[] = {
        { EACCES, RILLE_PERMISSION }, { EROFS, RILLE_PERMISSION }, { ENOSPC, RILLE_FULL }, { ENOENT, RILLE_NOTFOUND },
        { EEXIST, RILLE_EXISTS },     { ENOMEM, RILLE_NOMEM },     { EIO, RILLE_IO },      { EBADF, RILLE_IO }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rille_err err = { 0 };
        CHECK_EQ_INT(ri_fail_errno(&err, cases[i].errnum, "%s", "data/p1"), cases[i].code);
        CHECK_EQ_INT(err.code, cases[i].code);
        CHECK_EQ_INT(err.sys, cases[i].errnum);
        CHECK(strncmp(err.message, "data/p1: ", 9) == 0);
        CHECK_EQ_STR(err.message + 9, strerror(cases[i].errnum));
    }
}

TEST(err__a_long_message_is_cut_not_overrun)
{
    char text[2 * RILLE_ERR_MESSAGE_SIZE];
    memset(text, 'm', sizeof text);
    text[sizeof text - 1] = '\0';
    rille_err err = { 0 };
    (void)ri_fail(&err, RILLE_IO, "%s", text);
    CHECK_EQ_INT(strlen(err.message), RILLE_ERR_MESSAGE_SIZE - 1);
    (void)ri_fail_errno(&err, EIO, "%s", text);
    CHECK_EQ_INT(strlen(err.message), RILLE_ERR_MESSAGE_SIZE - 1);
    ri_err_prefix(&err, "%s", text);
    CHECK(strlen(err.message) < RILLE_ERR_MESSAGE_SIZE);
    CHECK(strstr(err.message, ": m") != NULL);
}

TEST(err__prefix_keeps_code_and_message)
{
    rille_err err = { 0 };
    (void)ri_fail(&err, RILLE_CORRUPT, "bad leaf");
    ri_err_prefix(&err, "file:%s", "catalog");
    CHECK_EQ_STR(err.message, "file:catalog: bad leaf");
    CHECK_EQ_INT(err.code, RILLE_CORRUPT);
}

TEST(err__every_code_has_a_name_and_a_meaning)
{
#define X(name, value, meaning)                         \
    CHECK_EQ_STR(rille_code_name(RILLE_##name), #name); \
    CHECK_EQ_STR(rille_code_meaning(RILLE_##name), meaning);
    RILLE_CODES(X)
#undef X
    CHECK_EQ_STR(rille_code_name(RILLE_OK), "OK");
    CHECK_EQ_STR(rille_code_name(RILLE_NEED), "NEED");
    CHECK_EQ_STR(rille_code_name(-1000), "UNKNOWN");
    CHECK_EQ_STR(rille_code_meaning(-1000), "");
}

static int try_twice(int first, int second)
{
    RI_TRY(first);
    RI_TRY(second);
    return RILLE_OK;
}

TEST(err__try_passes_errors_and_outcomes)
{
    CHECK_EQ_INT(try_twice(0, 0), RILLE_OK);
    CHECK_EQ_INT(try_twice(RILLE_NEED, RILLE_IO), RILLE_NEED);
    CHECK_EQ_INT(try_twice(0, RILLE_IO), RILLE_IO);
}

TEST(err__appends_what_fits)
{
    rille_err err = { 0 };
    (void)ri_fail(&err, RILLE_NOTFOUND, "there is no database");
    ri_err_append(&err, "; create it");
    CHECK_EQ_STR(err.message, "there is no database; create it");
    for (int i = 0; i < 100; i++) {
        ri_err_append(&err, "; create it");
    }
    CHECK_EQ_INT(strlen(err.message), sizeof err.message - 1);
    ri_err_append(NULL, "x");
}

TEST_MAIN(err__appends_what_fits, err__fail_returns_its_code_and_fills, err__everything_accepts_no_err,
          err__errno_chooses_the_code_and_gives_its_text, err__a_long_message_is_cut_not_overrun,
          err__prefix_keeps_code_and_message, err__every_code_has_a_name_and_a_meaning,
          err__try_passes_errors_and_outcomes)
