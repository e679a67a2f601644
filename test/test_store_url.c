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
    } cases[] = { { "", "no scheme" },          { "catalog", "no scheme" },      { "ftp:x", "\"ftp:\" is not known" },
                  { "ftp:x", "file:DIR" },      { "file:", "not followed by" },  { "file://host/x", "file:///DIR" },
                  { "s3:x", "followed by //" }, { "s3://b?x", "key=value" },     { "s3://b?=x", "key=value" },
                  { "s3://b/%", "%25" },        { "s3://b/%00", "hexadecimal" }, { "MEM:x", "not known" } };
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
          url__says_what_it_does_not_understand, url__copes_without_memory)
