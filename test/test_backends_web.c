/* SPDX-License-Identifier: MIT
 *
 * What http: and s3: do without a server: opening, options, credentials, ETags and dates. The rest is in the step "servers".
 */
#include "../src/core/store/store.h"
#include "test_store_support.h"

#if RILLE_WITH_CURL
#include "../src/backends/s3_keys.h"
#include "../src/backends/web_objects.h"

#include <sys/stat.h>

static const rille_setting keys[] = { { "access_key", "a" }, { "secret_key", "the-secret" } };

/* Opening reads nothing. */
static int open_with(const char *url, const rille_setting *settings, size_t count)
{
    ri_store *store;
    ri_store_options options = { .settings = settings, .setting_count = count };
    int rc = ri_store_open(url, &options, &store, &test_err);
    CHECK((store != NULL) == (rc == RILLE_OK));
    ri_store_release(store);
    return rc;
}

TEST(web__opens_what_is_well_formed)
{
    static const char *const good[] = { "s3://bucket?region=r",
                                        "s3://bucket/?region=r",
                                        "s3://bucket/a/b c?region=r",
                                        "s3://bucket/x?endpoint=http://localhost:1",
                                        "s3://Bu.cket/x?endpoint=https%3A%2F%2Fhost&style=virtual&timeout_ms=1",
                                        "s3://bucket/x?region=r&fencing=none" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_RC(open_with(good[i], keys, 2), RILLE_OK);
        CHECK_RC(open_with(test_join("deferred:", good[i], "").text, keys, 2), RILLE_OK);
    }
    CHECK_RC(open_with("http://host", NULL, 0), RILLE_OK);
    CHECK_RC(open_with("https://host:1/a/b?timeout_ms=5", NULL, 0), RILLE_OK);
}

static void forget_environment(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",        "AWS_PROFILE",
        "AWS_REGION",        "AWS_DEFAULT_REGION",    "AWS_EC2_METADATA_DISABLED"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unsetenv(names[i]);
    }
}

TEST(web__says_what_is_wrong_with_a_url_or_an_option)
{
    forget_environment();
    (void)setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    static const rille_setting extra[] = { { "access_key", "a" }, { "secret_key", "the-secret" }, { "reigon", "x" } };
    static const rille_setting lines[] = { { "user", "a\r\nb" } };
    static const rille_setting both[] = { { "user", "a" }, { "bearer", "the-secret" } };
    static const rille_setting alone[] = { { "password", "the-secret" } };
    static const rille_setting half[] = { { "access_key", "a" } };
    static const rille_setting other_half[] = { { "secret_key", "the-secret" } };
    static const rille_setting token[] = { { "session_token", "the-secret" } };
    static const rille_setting empty[] = { { "access_key", "" }, { "secret_key", "the-secret" } };
    static const struct {
        const char *url;
        const rille_setting *settings;
        size_t count;
        int rc;
        const char *says;
    } cases[] = {
        { "s3:///x?region=r", keys, 2, RILLE_SYNTAX, "s3://BUCKET/PREFIX" },
        { "s3://b/x", keys, 2, RILLE_SYNTAX, "AWS_REGION" },
        { "s3://b/x?reigon=r", keys, 2, RILLE_SYNTAX, "timeout_ms, ca_file, region" },
        { "s3://b/x?region=r", extra, 3, RILLE_MISUSE, "access_key, secret_key" },
        { "s3://b/x?secret_key=the-secret", keys, 2, RILLE_SYNTAX, "as an option" },
        { "s3://u:the-secret@b/x?region=r", keys, 2, RILLE_SYNTAX, "as an option" },
        { "s3://b/x?region=r&style=odd", keys, 2, RILLE_MISUSE, "\"path\" or \"virtual\"" },
        { "s3://b/x?region=r&fencing=odd", keys, 2, RILLE_MISUSE, "\"auto\" or \"none\"" },
        { "s3://b/x?region=r&region=r2", keys, 2, RILLE_SYNTAX, "region twice" },
        { "s3://b/x?endpoint=host", keys, 2, RILLE_SYNTAX, "http:// or https://" },
        { "s3://b/x?region=r&timeout_ms=0", keys, 2, RILLE_MISUSE, "timeout_ms" },
        { "s3://b/x?region=r&timeout_ms=-1", keys, 2, RILLE_MISUSE, "timeout_ms" },
        { "s3://b/x?region=r&timeout_ms=1x", keys, 2, RILLE_MISUSE, "timeout_ms" },
        { "s3://b/x?region=r&timeout_ms=99999999999999999999", keys, 2, RILLE_MISUSE, "timeout_ms" },
        { "s3://b/x?region=r", half, 1, RILLE_PERMISSION, "the options have no secret_key" },
        { "s3://b/x?region=r", other_half, 1, RILLE_PERMISSION, "the options have no access_key" },
        { "s3://b/x?region=r", token, 1, RILLE_PERMISSION, "the options have no access_key" },
        { "s3://b/x?region=r", empty, 2, RILLE_PERMISSION, "the options have no access_key" },
        { "http:///x", NULL, 0, RILLE_SYNTAX, "http://HOST/PATH" },
        { "https://u:the-secret@host/x", NULL, 0, RILLE_SYNTAX, "as an option" },
        { "https://host/x?bearer=the-secret", NULL, 0, RILLE_SYNTAX, "as an option" },
        { "https://host/x?region=r", NULL, 0, RILLE_SYNTAX, "unknown parameter" },
        { "https://host/x", lines, 1, RILLE_MISUSE, "line break" },
        { "https://host/x", both, 2, RILLE_MISUSE, "not both" },
        { "https://host/x", alone, 1, RILLE_MISUSE, "needs user" },
        { "mem:x", alone, 1, RILLE_MISUSE, "no option \"password\"" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_RC(open_with(cases[i].url, cases[i].settings, cases[i].count), cases[i].rc);
        CHECK(strstr(test_err.message, cases[i].says) != NULL);
        CHECK(strstr(test_err.message, "the-secret") == NULL);
    }
}

static int open_fault(void)
{
    rille_err err = { 0 };
    ri_store *store;
    ri_store_options options = { .settings = keys, .setting_count = 2 };
    int rc = ri_store_open("s3://bucket/x?region=r", &options, &store, &err);
    ri_store_release(store);
    rc = rc == RILLE_OK ? ri_store_open("http://host/x", NULL, &store, &err) : rc;
    ri_store_release(rc == RILLE_OK ? store : NULL);
    return rc;
}

TEST(web__opens_or_says_that_memory_is_out)
{
    CHECK_RC(open_fault(), RILLE_OK);
    TEST_FAULT_SWEEP(open_fault());
}

/* ---- credentials ---- */

static char *value_of(const char *text, const char *profile, bool config, const char *key)
{
    return ri_s3_profile_value(text, profile, config, key);
}

TEST(keys__are_found_in_the_section_of_their_profile)
{
    static const char text[] =
        "; a comment\n[default]\naws_access_key_id = one\r\n\n[ other ]\n  aws_access_key_id=two \n"
        "#aws_access_key_id = three\nregion=\n[profile more]\nregion = x y\nlast = end";
    static const struct {
        const char *profile;
        bool config;
        const char *key;
        const char *value;
    } cases[] = {
        { "default", false, "aws_access_key_id", "one" },
        { "default", true, "aws_access_key_id", "one" },
        { "other", false, "aws_access_key_id", "two" },
        { "other", true, "aws_access_key_id", NULL },
        { "other", false, "region", "" },
        { "more", true, "region", "x y" },
        { "more", true, "last", "end" },
        { "more", false, "region", NULL },
        { "default", false, "region", NULL },
        { "none", false, "region", NULL },
        { "", false, "region", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *value = value_of(text, cases[i].profile, cases[i].config, cases[i].key);
        CHECK((value == NULL) == (cases[i].value == NULL));
        if (value != NULL && cases[i].value != NULL) {
            CHECK_EQ_STR(value, cases[i].value);
        }
        rille_free(value);
    }
    static const char *const odd[] = { "", "[", "[]", "]", "[default", "=", "[default]\n=", "[default]\na", "\n\n\n" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        CHECK(value_of(odd[i], "default", true, "region") == NULL);
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void check_keys(const ri_web_options *options, const char *access, const char *token, const char *region)
{
    ri_s3_keys found;
    ri_s3_role role;
    char *where;
    REQUIRE_RC(ri_s3_keys_find(options, "s3://b", &found, &role, &where, &test_err), RILLE_OK);
    CHECK_EQ_STR(found.access_key, access);
    CHECK(found.secret_key != NULL);
    CHECK_EQ_STR(found.session_token != NULL ? found.session_token : "none", token);
    CHECK_EQ_STR(where != NULL ? where : "none", region);
    ri_s3_keys_deinit(&found);
    rille_free(where);
}

/* Options, then a profile that is named, then the environment, then the default profile. */
TEST(keys__come_from_the_first_place_that_has_them)
{
    test_dir dir = test_dir_fast();
    test_text credentials = test_join(dir.path, "/credentials", "");
    test_text config = test_join(dir.path, "/config", "");
    ri_s3_keys found;
    ri_s3_role role;
    char *where;
    forget_environment();
    (void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", credentials.text, 1);
    (void)setenv("AWS_CONFIG_FILE", config.text, 1);
    ri_web_options none = { 0 };
    CHECK_RC(ri_s3_keys_find(&none, "s3://b", &found, &role, &where, &test_err), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "AWS_ACCESS_KEY_ID") != NULL);
    write_text(credentials.text, "[default]\naws_access_key_id=file\naws_secret_access_key=s\naws_session_token=ft\n"
                                 "[p]\naws_access_key_id=p\naws_secret_access_key=s\n");
    write_text(config.text, "[default]\nregion=fr\n[profile p]\nregion=pr\n[profile q]\ncredential_process=x\n");
    check_keys(&none, "file", "ft", "fr");
    static char half[] = "half"; /* is not completed from elsewhere */
    ri_web_options other_half = { .secret_key = half };
    CHECK_RC(ri_s3_keys_find(&other_half, "s3://b", &found, &role, &where, &test_err), RILLE_PERMISSION);
    ri_s3_keys_deinit(&found);
    rille_free(where);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "half", 1); /* as AWS's programs do, without an id these are not keys */
    (void)setenv("AWS_SESSION_TOKEN", "half", 1);
    check_keys(&none, "file", "ft", "fr");
    forget_environment();
    (void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", credentials.text, 1);
    (void)setenv("AWS_CONFIG_FILE", config.text, 1);
    (void)setenv("AWS_PROFILE", "p", 1);
    check_keys(&none, "p", "none", "pr");
    (void)setenv("AWS_ACCESS_KEY_ID", "env", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    (void)setenv("AWS_REGION", "er", 1);
    check_keys(&none, "env", "none", "er");
    (void)setenv("AWS_SESSION_TOKEN", "et", 1);
    check_keys(&none, "env", "et", "er");
    static char p[] = "p";
    static char q[] = "q";
    static char missing[] = "missing";
    static char own[] = "own";
    ri_web_options options = { .profile = p };
    check_keys(&options, "p", "none", "er");
    options.profile = q;
    CHECK_RC(ri_s3_keys_find(&options, "s3://b", &found, &role, &where, &test_err), RILLE_UNSUPPORTED);
    CHECK(strstr(test_err.message, "credential_process") != NULL);
    ri_s3_keys_deinit(&found);
    rille_free(where);
    options.profile = missing;
    CHECK_RC(ri_s3_keys_find(&options, "s3://b", &found, &role, &where, &test_err), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "missing") != NULL);
    ri_s3_keys_deinit(&found);
    rille_free(where);
    options = (ri_web_options){ .access_key = own, .secret_key = own, .region = own };
    check_keys(&options, "own", "none", "own");
    forget_environment();
    test_dir_remove(dir.path);
}

/* ---- headers ---- */

TEST(etag__is_a_revision_and_back)
{
    static const struct {
        const char *etag;
        const char *sent; /* NULL: it is not relied on */
    } cases[] = {
        { "\"0123456789abcdef0123456789abcdef\"", "\"0123456789abcdef0123456789abcdef\"" },
        { "0123456789abcdef", "\"0123456789abcdef\"" },
        { "W/\"6a-1f\"", "W/\"6a-1f\"" },
        { "\"0123456789abcdef0123456789abcdef0\"", NULL },
        { "\"\"", NULL },
        { "", NULL },
        { "W/\"\"", NULL },
        { "\"a b\"", NULL },
        { "\"\xc3\xa4\"", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rille_revision revision;
        char sent[40];
        bool good = ri_web_etag_revision(cases[i].etag, &revision);
        CHECK(good == (cases[i].sent != NULL));
        if (good) {
            CHECK(ri_web_revision_etag(&revision, sent));
            CHECK_EQ_STR(sent, cases[i].sent);
        }
    }
}

TEST(date__is_read_as_seconds)
{
    CHECK_EQ_INT(ri_web_date_s("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    CHECK_EQ_INT(ri_web_date_s("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    CHECK_EQ_INT(ri_web_date_s("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
    CHECK_EQ_INT(ri_web_date_s("Fri, 01 Mar 2024 00:00:00 GMT"), 1709251200);
    CHECK_EQ_INT(ri_web_date_s("Mon, 30 Nov 2026 14:52:08 GMT"), 1796050328);
    static const char *const bad[] = { "", "x", "Sun, 06 Nov", "Sun, 06 ovD 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ_INT(ri_web_date_s(bad[i]), -1);
    }
}

TEST_MAIN(web__opens_what_is_well_formed, web__says_what_is_wrong_with_a_url_or_an_option,
          web__opens_or_says_that_memory_is_out, keys__are_found_in_the_section_of_their_profile,
          keys__come_from_the_first_place_that_has_them, etag__is_a_revision_and_back, date__is_read_as_seconds)
#else
TEST(web__is_said_to_be_missing)
{
    ri_store *store;
    CHECK_RC(ri_store_open("s3://x/y", NULL, &store, &test_err), RILLE_UNSUPPORTED);
    CHECK_RC(ri_store_open("http://x/y", NULL, &store, &test_err), RILLE_UNSUPPORTED);
}

TEST_MAIN(web__is_said_to_be_missing)
#endif
