/* SPDX-License-Identifier: MIT
 *
 * Signatures against the examples of AWS's documentation ("Examples: Signature Calculations"), whose headers are those that
 * we sign.
 */
#include "harness.h"

#if RILLE_WITH_CURL
#include "../src/backends/s3_sign.h"

#define EXAMPLE_TIME_S INT64_C(1369353600) /* 2013-05-24 */

static char access_key[] = "AKIAIOSFODNN7EXAMPLE";
static char secret_key[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static char token[] = "the-token";

/* Is the line among the headers? */
static bool has(const ri_buf *headers, const char *line)
{
    for (size_t at = 0; at < headers->len; at += strlen((const char *)headers->p + at) + 1) {
        if (strcmp((const char *)headers->p + at, line) == 0) {
            return true;
        }
    }
    return false;
}

#define AUTHORIZATION(headers, signature)                                                                  \
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " \
    "SignedHeaders=" headers ", Signature=" signature

TEST(sign__gives_the_signatures_of_the_documentation)
{
    static const char *const cases[][2] = {
        { "https://examplebucket.s3.amazonaws.com/?lifecycle=",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
        { "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
        /* no path at all is the path / */
        { "https://examplebucket.s3.amazonaws.com?max-keys=2&prefix=J",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
    };
    ri_s3_keys keys = { access_key, secret_key, NULL };
    ri_s3_hash nothing = ri_s3_hash_of("", 0);
    CHECK_EQ_STR(nothing.hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_buf headers = { 0 };
        char line[400];
        ri_s3_sign(&keys, "us-east-1", "GET", cases[i][0], &nothing, EXAMPLE_TIME_S, &headers);
        (void)snprintf(line, sizeof line, AUTHORIZATION("host;x-amz-content-sha256;x-amz-date", "%s"), cases[i][1]);
        CHECK(!headers.failed);
        CHECK(has(&headers, line));
        CHECK(has(&headers, "x-amz-date: 20130524T000000Z"));
        ri_buf_deinit(&headers);
    }
}

/* Everything that is signed changes the signature, and nothing else does. */
TEST(sign__depends_on_each_thing_that_is_signed)
{
    ri_s3_keys keys[] = { { access_key, secret_key, NULL },
                          { access_key, secret_key, token },
                          { access_key, token, NULL } };
    static const char *const urls[] = { "https://a/x", "https://a/y", "https://b/x", "https://a/x?p=" };
    static const char *const methods[] = { "GET", "PUT" };
    static const char *const regions[] = { "us-east-1", "eu-west-1" };
    static const int64_t times_s[] = { EXAMPLE_TIME_S, EXAMPLE_TIME_S + 1, EXAMPLE_TIME_S + 86400 };
    static char seen[300][400];
    size_t count = 0;
    for (size_t i = 0; i < 3 * 4 * 2 * 2 * 3 * 2; i++) {
        size_t n = i;
        const ri_s3_keys *k = &keys[n % 3];
        const char *url = urls[(n /= 3) % 4];
        const char *method = methods[(n /= 4) % 2];
        const char *region = regions[(n /= 2) % 2];
        int64_t now_s = times_s[(n /= 2) % 3];
        ri_s3_hash payload = ri_s3_hash_of("a", n / 3 % 2);
        ri_buf headers = { 0 };
        ri_s3_sign(k, region, method, url, &payload, now_s, &headers);
        REQUIRE(!headers.failed);
        const char *signature = strstr((const char *)headers.p, "Signature=");
        REQUIRE(signature != NULL);
        for (size_t other = 0; other < count; other++) {
            CHECK(strcmp(seen[other], signature) != 0);
        }
        (void)snprintf(seen[count++], sizeof seen[0], "%s", signature);
        CHECK(has(&headers, "x-amz-security-token: the-token") == (k->session_token != NULL));
        ri_buf_deinit(&headers);
    }
}

TEST_MAIN(sign__gives_the_signatures_of_the_documentation, sign__depends_on_each_thing_that_is_signed)
#else
TEST(sign__is_not_in_this_build)
{
}

TEST_MAIN(sign__is_not_in_this_build)
#endif
