/* SPDX-License-Identifier: MIT */
#include "../src/core/store/url.h"
#include "test_store_support.h"

static void check_place(const char *text, ri_scheme scheme, const char *place, const char *shown)
{
    ri_url url;
    REQUIRE_RC(ri_url_parse(text, &url, &test_err), RILLE_OK);
    CHECK_EQ_INT(url.scheme, scheme);
    CHECK_EQ_STR(url.place, place);
    CHECK_EQ_STR(url.shown, shown);
    ri_url_deinit(&url);
}

TEST(url__takes_local_places_as_they_are)
{
    check_place("mem:x", RI_SCHEME_MEM, "x", "mem:x");
    check_place("mem:", RI_SCHEME_MEM, "", "mem:");
    check_place("file:catalog", RI_SCHEME_FILE, "catalog", "file:catalog");
    check_place("file:/a b/100%/x?y#z", RI_SCHEME_FILE, "/a b/100%/x?y#z", "file:/a b/100%/x?y#z");
    check_place("file:///a/b", RI_SCHEME_FILE, "/a/b", "file:/a/b");
    check_place("lmdb:../up", RI_SCHEME_LMDB, "../up", "lmdb:../up");
    check_place("deferred:file:a", RI_SCHEME_DEFERRED, "file:a", "deferred:...");
}

TEST(url__decodes_remote_places_and_parameters)
{
    ri_url url;
    REQUIRE_RC(ri_url_parse("s3://bucket/pre%20fix?region=eu-1&endpoint=http%3A%2F%2Fx", &url, &test_err), RILLE_OK);
    CHECK_EQ_STR(url.place, "bucket/pre fix");
    CHECK_EQ_STR(ri_url_param(&url, "region"), "eu-1");
    CHECK_EQ_STR(ri_url_param(&url, "endpoint"), "http://x");
    CHECK(ri_url_param(&url, "none") == NULL);
    ri_url_deinit(&url);
}

TEST(url__never_shows_passwords)
{
    check_place("https://user:p%40ss@host/path?token=secret", RI_SCHEME_HTTPS, "host/path", "https://host/path");
    check_place("postgresql://u:a@b@host/db", RI_SCHEME_POSTGRESQL, "host/db", "postgresql://host/db");
    static const char *const bad[] = {
        "https://user:secret@host/%zz", "s3:secret@x", "secret", "secret://x", "s3://b?secret", "https://h/x?a=%secret"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ri_url url;
        CHECK_RC(ri_url_parse(bad[i], &url, &test_err), RILLE_SYNTAX);
        CHECK(i == 3 || strstr(test_err.message, "secret") == NULL);
        CHECK(url.place == NULL && url.shown == NULL);
    }
    ri_url none;
    CHECK_RC(ri_url_parse(NULL, &none, &test_err), RILLE_MISUSE);
}

TEST(url__says_what_it_does_not_understand)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        { "", "missing scheme" },       { "catalog", "missing scheme" },     { "ftp:x", "unknown scheme \"ftp:\"" },
        { "ftp:x", "file:DIR" },        { "file:", "not followed by" },      { "file://host/x", "file:///DIR" },
        { "s3:x", "followed by //" },   { "s3://b?x", "key=value" },         { "s3://b?=x", "key=value" },
        { "s3://b/%", "%25" },          { "s3://b/%00", "hexadecimal" },     { "MEM:x", "(did you mean mem:?)" },
        { "fiel:x", "unknown scheme" }, { "fle:x", "(did you mean file:?)" }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_url url;
        CHECK_RC(ri_url_parse(cases[i].text, &url, &test_err), RILLE_SYNTAX);
        if (strstr(test_err.message, cases[i].says) == NULL) {
            CHECK_EQ_STR(test_err.message, cases[i].says);
        }
    }
    char many[400] = "s3://b?";
    for (size_t i = 0; i <= RI_URL_PARAMS_MAX; i++) {
        strcat(many, "k=v&");
    }
    ri_url url;
    CHECK_RC(ri_url_parse(many, &url, &test_err), RILLE_SYNTAX);
}

/* What is planned is not offered: an unknown scheme gets the list of what this build can open. */
TEST(url__lists_what_this_build_supports)
{
    static const char *const bad[] = { "ftp:x", "catalog", "nosuch://x" };
    static const char *const planned[] = { "sqlite:", "postgresql:", "idb:", "deferred:", "faulty:" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ri_url url;
        CHECK_RC(ri_url_parse(bad[i], &url, &test_err), RILLE_SYNTAX);
        CHECK(strstr(test_err.message, "mem:NAME, file:DIR") != NULL);
        CHECK((strstr(test_err.message, "lmdb:") != NULL) == (RILLE_WITH_LMDB != 0));
        CHECK((strstr(test_err.message, "s3://BUCKET/PREFIX, https://HOST/PATH") != NULL) == (RILLE_WITH_CURL != 0));
        for (size_t j = 0; j < sizeof planned / sizeof *planned; j++) {
            CHECK(strstr(test_err.message, planned[j]) == NULL);
        }
    }
}

TEST(url__shows_any_text_without_secrets)
{
    static const char *const cases[][2] = {
        { "mem:x", "mem:x" },
        { "file:/a@b/c?d#e", "file:/a@b/c?d#e" },
        { "lmdb:u:p@h", "lmdb:u:p@h" },
        { "s3://key:secret@bucket/a?token=secret", "s3://bucket/a" },
        { "s3://bucket/a@b?secret", "s3://bucket/a@b" },
        { "https://h/p#secret", "https://h/p" },
        { "https://u:se@cret@h:80/p", "https://h:80/p" },
        { "postgresql://u:secret@h", "postgresql://h" },
        { "s3:key:secret@bucket", "s3:bucket" },
        { "nosuch://u:secret@h/p?q=secret", "nosuch://h/p" },
        { "deferred:s3://u:secret@h/p?secret", "deferred:s3://h/p" },
        { "deferred:faulty:plan;https://u:secret@h/?secret", "deferred:faulty:plan;https://h/" },
        { "deferred:deferred:file:a?b", "deferred:deferred:file:a?b" },
        { "//u:secret@h/p", "//u:h/p" },
        { "", "" },
        { ":", ":" },
        { "s3://", "s3://" },
        { "s3://@", "s3://" },
        { "s3://?", "s3://" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_buf shown = { 0 };
        ri_url_show(&shown, cases[i][0]);
        ri_buf_put_u8(&shown, 0);
        CHECK_EQ_STR((const char *)shown.p, cases[i][1]);
        ri_buf_deinit(&shown);
    }
}

static int parse_and_free(void)
{
    ri_url url;
    int rc = ri_url_parse("s3://user:pw@bucket/pre%20fix?region=eu&endpoint=x", &url, NULL);
    if (rc == RILLE_OK) {
        ri_url_deinit(&url);
    }
    return rc;
}

TEST(url__copes_without_memory)
{
    TEST_FAULT_SWEEP(parse_and_free());
}

TEST_MAIN(url__takes_local_places_as_they_are, url__decodes_remote_places_and_parameters, url__never_shows_passwords,
          url__says_what_it_does_not_understand, url__lists_what_this_build_supports,
          url__shows_any_text_without_secrets, url__copes_without_memory)
