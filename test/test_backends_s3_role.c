/* SPDX-License-Identifier: MIT
 *
 * Keys of roles: from the services of containers and instances, for their time, and never longer. One server plays the
 * service and the bucket: it knows which keys it gave when.
 */
#include "harness.h"

#if RILLE_WITH_CURL
#include "../src/backends/s3_keys.h"
#include "test_web_server.h"

#define SECRET "SECRET+key/of=role"
#define TOKEN "TOKEN=of/role=="
#define META "/meta/latest/meta-data/iam/security-credentials/"

enum counts { TOKENS, ROLES, KEYS, CONTAINERS, READS, EXPIRED, WRONG, GIVEN_S };
enum orders { MODE, LIFETIME_S, SKEW_S, HOLD, REFUSALS };
enum mode {
    GOOD,
    NO_TOKEN,
    NO_ROLE,
    ODD_ROLE,
    NO_KEYS,
    NOT_JSON,
    FAILED,
    OVER,
    BUSY,
    NO_SESSION,
    ODD_TOKEN,
    ODD_KEY,
    MOVED,
    HANGS,
    MODE_COUNT
};

static void date_of(char out[40], time_t s, const char *format)
{
    struct tm parts;
    (void)gmtime_r(&s, &parts);
    (void)strftime(out, 40, format, &parts);
}

static void give_keys(int fd, web_shared *shared)
{
    long mode = atomic_load(&shared->orders[MODE]);
    long number = atomic_fetch_add(&shared->counts[KEYS], 1) + 1;
    time_t now = time(NULL) + (time_t)atomic_load(&shared->orders[SKEW_S]);
    char until[40];
    char date[64] = "Date: ";
    char body[800];
    date_of(until, now + (time_t)(mode == OVER ? -1 : atomic_load(&shared->orders[LIFETIME_S])), "%Y-%m-%dT%H:%M:%SZ");
    date_of(date + 6, now, "%a, %d %b %Y %H:%M:%S GMT\r\n");
    (void)snprintf(body, sizeof body,
                   "{\"%s\" : \"%s\", \"x\": [{\"Token\": \"inner\"}, 1e5, null], \"AccessKeyId\": \"KEY%ld%s\",\n"
                   "\"SecretAccessKey\":\"SECRET+key\\/of=role\", \"%s\": \"" TOKEN "\", \"Expiration\": \"%s\"}\n",
                   mode == NO_KEYS ? "AccessKey" : "Code", mode == FAILED ? "AssumeRoleUnauthorizedAccess" : "Success",
                   number, mode == ODD_KEY ? "\\u000d\\u000aX: y" : "", mode == NO_SESSION ? "token" : "Token", until);
    atomic_store(&shared->counts[GIVEN_S], (long)time(NULL));
    web_answer(fd, "200 OK", date, mode == NO_KEYS ? "{}" : mode == NOT_JSON ? "<html>log in</html>" : body);
}

static void serve_bucket(int fd, const char *request, web_shared *shared)
{
    const char *key = strstr(request, "Credential=KEY");
    bool is_newest = key != NULL && strtol(key + 14, NULL, 10) == atomic_load(&shared->counts[KEYS]);
    long age_s = (long)time(NULL) - atomic_load(&shared->counts[GIVEN_S]);
    atomic_fetch_add(&shared->counts[READS], 1);
    if (strstr(request, "x-amz-security-token: " TOKEN "\r\n") == NULL) {
        atomic_fetch_add(&shared->counts[WRONG], 1);
    }
    if (is_newest && age_s > atomic_load(&shared->orders[LIFETIME_S])) {
        atomic_fetch_add(&shared->counts[EXPIRED], 1);
    }
    if (atomic_load(&shared->orders[REFUSALS]) > 0) {
        atomic_fetch_sub(&shared->orders[REFUSALS], 1);
        web_answer(fd, "400 Bad Request", "", "<Error><Code>ExpiredToken</Code></Error>");
        return;
    }
    web_answer(fd, "200 OK", "ETag: \"a\"\r\n", "head");
}

static void hold(const web_shared *shared)
{
    while (atomic_load(&shared->orders[HOLD]) != 0) {
        web_sleep_ms(2);
    }
}

static void serve_instance(int fd, const char *request, web_shared *shared)
{
    long mode = atomic_load(&shared->orders[MODE]);
    if (web_is(request, "PUT /meta/latest/api/token ")) {
        bool has_life = strstr(request, "X-aws-ec2-metadata-token-ttl-seconds: ") != NULL;
        atomic_fetch_add(&shared->counts[TOKENS], 1);
        hold(shared);
        web_answer(fd, mode == NO_TOKEN || !has_life ? "403 Forbidden" : "200 OK", "",
                   mode == ODD_TOKEN ? "a\r\nX: b\r\nc" : "a-token\n");
        return;
    }
    if (strstr(request, "X-aws-ec2-metadata-token: a-token\r\n") == NULL) {
        atomic_fetch_add(&shared->counts[WRONG], 1);
        web_answer(fd, "401 Unauthorized", "", "");
    } else if (web_is(request, "GET " META " ")) {
        atomic_fetch_add(&shared->counts[ROLES], 1);
        web_answer(fd, mode == NO_ROLE ? "404 Not Found" : "200 OK", "", mode == ODD_ROLE ? "../x" : "role-1\nrole-2");
    } else if (web_is(request, "GET " META "role-1 ")) {
        give_keys(fd, shared);
    } else {
        web_answer(fd, "404 Not Found", "", "");
    }
}

static void handle(int fd, const char *request, web_shared *shared)
{
    long mode = atomic_load(&shared->orders[MODE]);
    bool is_service = strstr(request, " /meta/") != NULL || strstr(request, " /container") != NULL;
    if (is_service && mode == HANGS) {
        web_hang(fd);
    } else if (is_service && mode == BUSY) {
        web_answer(fd, "503 Later", "", SECRET);
    } else if (is_service && mode == MOVED) {
        web_answer(fd, "302 Found", "Location: /elsewhere\r\n", "");
    } else if (web_is(request, "GET /container/id?x=1 ")) {
        bool allowed = strstr(request, "Authorization: Bearer pass\r\n") != NULL;
        atomic_fetch_add(&shared->counts[CONTAINERS], 1);
        if (allowed) {
            give_keys(fd, shared);
        } else {
            web_answer(fd, "401 Unauthorized", "", "");
        }
    } else if (is_service) {
        serve_instance(fd, request, shared);
    } else {
        serve_bucket(fd, request, shared);
    }
}

static void forget_environment(void)
{
    static const char *const names[] = { "AWS_ACCESS_KEY_ID",
                                         "AWS_SECRET_ACCESS_KEY",
                                         "AWS_SESSION_TOKEN",
                                         "AWS_PROFILE",
                                         "AWS_REGION",
                                         "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                         "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                         "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                         "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                         "AWS_EC2_METADATA_DISABLED",
                                         "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                         "AWS_WEB_IDENTITY_TOKEN_FILE",
                                         "http_proxy" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unsetenv(names[i]);
    }
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    (void)setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
}

static void start(web_server *s, bool container)
{
    char url[128];
    forget_environment();
    web_start(s, handle);
    atomic_store(&s->shared->orders[LIFETIME_S], 3600);
    (void)snprintf(url, sizeof url, "%s%s", s->url, container ? "/container/id?x=1" : "/meta/");
    (void)setenv(container ? "AWS_CONTAINER_CREDENTIALS_FULL_URI" : "AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
    if (container) {
        (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer pass", 1);
        (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
    }
}

static const rille_setting no_setting = { "style", "path" };

static int open_role(const web_server *s, rille_backend *b)
{
    return web_open("s3", s, "20000", &no_setting, 1, b);
}

static int read_once(const rille_backend *b)
{
    rille_head head = { 0 };
    int rc = web_read_head(b, &head);
    rille_free(head.bytes);
    return rc;
}

static long count(const web_server *s, int what)
{
    return atomic_load(&s->shared->counts[what]);
}

/* ---- the services ---- */

TEST(role__of_an_instance_is_asked_for_once_and_used)
{
    web_server s;
    rille_backend b;
    start(&s, false);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_EQ_INT(atomic_load(&s.shared->requests), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_RC(read_once(&b), RILLE_OK);
    }
    CHECK_EQ_INT(count(&s, TOKENS), 1);
    CHECK_EQ_INT(count(&s, ROLES), 1);
    CHECK_EQ_INT(count(&s, KEYS), 1);
    CHECK_EQ_INT(count(&s, READS), 5);
    CHECK_EQ_INT(count(&s, WRONG), 0);
    web_close(&b);
    web_stop(&s);
}

TEST(role__of_a_container_is_asked_for_with_its_token)
{
    web_server s;
    rille_backend b;
    start(&s, true);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_EQ_INT(count(&s, CONTAINERS), 1);
    CHECK_EQ_INT(count(&s, WRONG), 0);
    web_close(&b);
    char path[] = "/tmp/rille-token-XXXXXX";
    int fd = mkstemp(path);
    REQUIRE(fd >= 0 && write(fd, "Bearer old\n", 11) == 11);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1); /* before the variable */
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "401") != NULL && strstr(test_err.message, "old") == NULL);
    REQUIRE(ftruncate(fd, 0) == 0 && pwrite(fd, "Bearer pass\n", 12, 0) == 12);
    CHECK_RC(read_once(&b), RILLE_OK);
    web_close(&b);
    (void)close(fd);
    (void)unlink(path);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "TOKEN_FILE") != NULL);
    web_close(&b);
    web_stop(&s);
}

/* Each of the keys lasts 2 seconds: what reads for longer never waits too long, and never has old ones. */
TEST(role__is_renewed_before_its_keys_expire)
{
    web_server s;
    rille_backend b;
    start(&s, false);
    atomic_store(&s.shared->orders[LIFETIME_S], 2);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    uint64_t end = ri_clock_us() + 6000000;
    while (ri_clock_us() < end) {
        CHECK_RC(read_once(&b), RILLE_OK);
        web_sleep_ms(20);
    }
    CHECK(count(&s, KEYS) >= 3);
    CHECK_EQ_INT(count(&s, EXPIRED), 0);
    CHECK_EQ_INT(count(&s, WRONG), 0);
    web_sleep_ms(3000); /* nobody drives what is under way */
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_EQ_INT(count(&s, EXPIRED), 0);
    web_close(&b);
    web_stop(&s);
}

TEST(role__is_asked_for_again_where_a_server_calls_it_expired)
{
    web_server s;
    rille_backend b;
    start(&s, false);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_OK);
    atomic_store(&s.shared->orders[REFUSALS], 1);
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_EQ_INT(count(&s, KEYS), 2);
    atomic_store(&s.shared->orders[REFUSALS], 2);
    CHECK_RC(read_once(&b), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "expired") != NULL);
    CHECK_EQ_INT(count(&s, KEYS), 3);
    CHECK_RC(read_once(&b), RILLE_OK);
    web_close(&b);
    web_stop(&s);
}

/* The service's clock is two days before ours, or after it. */
TEST(role__lasts_as_long_as_the_service_says_by_its_own_clock)
{
    static const long skews[] = { -2 * 24 * 3600, 2 * 24 * 3600 };
    for (size_t i = 0; i < 2; i++) {
        web_server s;
        rille_backend b;
        start(&s, true);
        atomic_store(&s.shared->orders[SKEW_S], skews[i]);
        REQUIRE_RC(open_role(&s, &b), RILLE_OK);
        CHECK_RC(read_once(&b), RILLE_OK);
        CHECK_RC(read_once(&b), RILLE_OK);
        CHECK_EQ_INT(count(&s, KEYS), 1);
        web_close(&b);
        web_stop(&s);
    }
}

/* No slot waits for the service. */
TEST(role__holds_up_no_step)
{
    web_server s;
    rille_backend b;
    rille_head head = { 0 };
    rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB } };
    start(&s, false);
    atomic_store(&s.shared->orders[HOLD], 1);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(b.ops->head_read(b.self, "main", NULL, &head, &test_err), RILLE_NEED);
        CHECK_EQ_INT(b.ops->get_many(b.self, &get, 1, &test_err), RILLE_NEED);
        b.ops->wait(b.self, 5);
    }
    CHECK_EQ_INT(count(&s, TOKENS), 1); /* for both */
    const rille_want want = { .op = RILLE_WANT_GET, .gets = &get, .count = 1 };
    b.ops->cancel(b.self, &want);
    atomic_store(&s.shared->orders[HOLD], 0);
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_EQ_INT(count(&s, READS), 1);
    web_close(&b);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK); /* and it is closed in the middle */
    CHECK_EQ_INT(b.ops->head_read(b.self, "main", NULL, &head, &test_err), RILLE_NEED);
    web_close(&b);
    web_stop(&s);
}

TEST(role__says_why_there_are_no_keys)
{
    static const struct {
        enum mode mode;
        const char *says;
        bool container;
    } cases[] = { { NO_TOKEN, "status 403", false },
                  { NO_ROLE, "has no role", false },
                  { ODD_ROLE, "not the name of a role", false },
                  { NO_KEYS, "has no AccessKeyId", true },
                  { NOT_JSON, "not JSON", true },
                  { FAILED, "no keys for its role", false },
                  { OVER, "have expired", true },
                  { BUSY, "status 503", true },
                  { BUSY, "status 503", false },
                  { NO_SESSION, "or Token", false },
                  { ODD_TOKEN, "not one line", false },
                  { ODD_KEY, "control characters", false },
                  { MOVED, "status 302", true },
                  { HANGS, "timed out", false },
                  { HANGS, "timed out", true } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        web_server s;
        rille_backend b;
        uint64_t begin = ri_clock_us();
        start(&s, cases[i].container);
        atomic_store(&s.shared->orders[MODE], cases[i].mode);
        REQUIRE_RC(open_role(&s, &b), RILLE_OK);
        CHECK_RC(read_once(&b), RILLE_PERMISSION);
        const char *text = test_err.message;
        CHECK(strstr(text, cases[i].says) != NULL && strstr(text, "s3://bucket: ") == text);
        CHECK(strstr(text, "options, environment and profile") != NULL && strstr(text, s.url) != NULL);
        CHECK(strstr(text, cases[i].container ? "AWS_CONTAINER_" : "AWS_ACCESS_KEY_ID") != NULL);
        CHECK(strstr(text, "/id") == NULL && strstr(text, "SECRET+") == NULL && strstr(text, "pass)") == NULL &&
              strstr(text, "a-token") == NULL);
        CHECK_EQ_INT(count(&s, READS), 0);
        CHECK(ri_clock_us() - begin < 15000000); /* 3 s, and a busy machine's */
        atomic_store(&s.shared->orders[MODE], GOOD);
        CHECK_RC(read_once(&b), RILLE_OK); /* it is not over with one failure */
        web_close(&b);
        web_stop(&s);
    }
}

TEST(role__is_not_asked_for_where_there_are_keys)
{
    static const rille_setting own[] = { { "access_key", "a" }, { "secret_key", "s" } };
    char path[] = "/tmp/rille-profile-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "[default]\naws_access_key_id=file\naws_secret_access_key=s\n";
    REQUIRE(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)(sizeof text - 1));
    (void)close(fd);
    for (int i = 0; i < 3; i++) {
        web_server s;
        rille_backend b;
        start(&s, i == 1);
        if (i == 1) {
            (void)setenv("AWS_ACCESS_KEY_ID", "env", 1);
            (void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
        } else if (i == 2) {
            (void)setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
        }
        REQUIRE_RC(web_open("s3", &s, "20000", i == 0 ? own : &no_setting, i == 0 ? 2 : 1, &b), RILLE_OK);
        CHECK_RC(read_once(&b), RILLE_OK);
        CHECK_EQ_INT(atomic_load(&s.shared->requests), 1);
        web_close(&b);
        web_stop(&s);
    }
    (void)unlink(path);
}

/* A proxy for the bucket would get the keys. */
TEST(role__is_not_asked_for_through_a_proxy)
{
    web_server s;
    web_server proxy;
    rille_backend b;
    start(&s, true);
    web_start(&proxy, handle);
    (void)unsetenv("no_proxy");
    (void)setenv("http_proxy", proxy.url, 1);
    REQUIRE_RC(open_role(&s, &b), RILLE_OK);
    CHECK_RC(read_once(&b), RILLE_OK);
    CHECK_EQ_INT(count(&s, CONTAINERS), 1);
    CHECK_EQ_INT(atomic_load(&proxy.shared->requests), 1);
    CHECK_EQ_INT(count(&proxy, READS), 1);
    web_close(&b);
    web_stop(&proxy);
    web_stop(&s);
    forget_environment();
}

TEST(role__comes_from_near_hosts_only)
{
    static const struct {
        const char *full;
        int rc;
    } cases[] = {
        { "http://127.0.0.1/x", RILLE_OK },
        { "http://127.1.2.3:80/x", RILLE_OK },
        { "http://localhost:5/x", RILLE_OK },
        { "http://[::1]:5/x", RILLE_OK },
        { "http://169.254.170.23/v1", RILLE_OK },
        { "http://[fd00:ec2::23]/v1", RILLE_OK },
        { "https://any.example/x", RILLE_OK },
        { "http://any.example/x", RILLE_PERMISSION },
        { "http://169.254.169.254/x", RILLE_PERMISSION },
        { "http://127.0.0.1.example/x", RILLE_PERMISSION },
        { "http://127.0.0.1@any.example/x", RILLE_PERMISSION },
        { "http://any.example\\@127.0.0.1/x", RILLE_PERMISSION },
        { "http://127.0.0.1:80@any.example/x", RILLE_PERMISSION },
        { "http://127.0.0.1#@any.example/x", RILLE_OK }, /* to curl, too, the host ends there */
        { "http://localhost.any.example/x", RILLE_PERMISSION },
        { "http://[::1]any.example/x", RILLE_PERMISSION },
        { "http://[::1/x", RILLE_PERMISSION },
        { "http://127.0.0.1 /x", RILLE_PERMISSION },
        { "http://127.0.0.1\r\n/x", RILLE_PERMISSION },
        { "http://", RILLE_PERMISSION },
        { "127.0.0.1/x", RILLE_PERMISSION },
        { "file:///etc/passwd", RILLE_PERMISSION },
        { "https://user:SECRET+@any.example/x", RILLE_PERMISSION },
    };
    web_server s = { .url = "http://127.0.0.1:1" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rille_backend b;
        forget_environment();
        (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", cases[i].full, 1);
        CHECK_RC(open_role(&s, &b), cases[i].rc);
        if (b.ops != NULL) {
            web_close(&b);
        } else {
            CHECK(strstr(test_err.message, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL);
            CHECK(strstr(test_err.message, "SECRET+") == NULL);
        }
    }
    forget_environment();
}

TEST(role__is_refused_by_name_where_it_is_turned_off_or_another_one)
{
    web_server s = { .url = "http://127.0.0.1:1" };
    rille_backend b;
    forget_environment();
    (void)setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    CHECK_RC(open_role(&s, &b), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "AWS_EC2_METADATA_DISABLED") != NULL);
    CHECK(strstr(test_err.message, "AWS_ACCESS_KEY_ID") != NULL);
    (void)setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "x", 1);
    CHECK_RC(open_role(&s, &b), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "RELATIVE_URI") != NULL);
    (void)setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1);
    CHECK_RC(open_role(&s, &b), RILLE_UNSUPPORTED);
    CHECK(strstr(test_err.message, "AWS_WEB_IDENTITY_TOKEN_FILE") != NULL);
    (void)setenv("AWS_ACCESS_KEY_ID", "env", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    CHECK_RC(open_role(&s, &b), RILLE_OK);
    web_close(&b);
    forget_environment();
}

static int fault(const web_server *s)
{
    rille_backend b;
    int rc = open_role(s, &b);
    if (rc == RILLE_OK) {
        rc = read_once(&b);
        web_close(&b);
    }
    return rc;
}

TEST(role__gives_keys_or_says_that_memory_is_out)
{
    for (int container = 0; container < 2; container++) {
        web_server s;
        start(&s, container != 0);
        TEST_FAULT_SWEEP(fault(&s));
        CHECK_EQ_INT(count(&s, WRONG), 0);
        web_stop(&s);
    }
    forget_environment();
}

/* ---- the time ---- */

static const char *read_grant(const char *json, size_t len, const char *date, ri_s3_now now, ri_s3_grant *out)
{
    ri_buf buf = { 0 };
    ri_buf_put(&buf, json, len); /* exactly as long: a sanitizer sees what reads on */
    const char *wrong = ri_s3_grant_read(&buf, date, now, out);
    ri_buf_deinit(&buf);
    return wrong;
}

static const char hour[] = "{\"AccessKeyId\": \"K\", \"SecretAccessKey\": \"S\\\"\\u0041\", \"Token\": \"T\", "
                           "\"Expiration\": \"2026-11-30T15:00:00.123Z\"}";
#define NOON_S 1796040000 /* 2026-11-30 12:00 */
#define NOON "Mon, 30 Nov 2026 14:00:00 GMT"

TEST(grant__lasts_by_both_clocks)
{
    const ri_s3_now now = { (int64_t)5000000, 7000000 };
    const int64_t minute_ms = 60000;
    ri_s3_grant g;
    REQUIRE(read_grant(hour, sizeof hour - 1, NOON, now, &g) == NULL);
    CHECK_EQ_STR(g.keys.secret_key, "S\"A");
    static const struct {
        int64_t day_minutes;
        int64_t steady_minutes;
        bool good;
        bool old;
    } cases[] = {
        { 0, 0, true, false },    { 54, 54, true, false },    { 56, 56, true, true },
        { 60, 60, false, true },  { 61, 0, false, true }, /* set on, or the machine slept */
        { -600, 1, true, false }, { -600, 56, true, true },   { -600, 60, false, true }, /* set back */
        { 61, 61, false, true },  { 100000, 0, false, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_s3_now then = { now.day_ms + cases[i].day_minutes * minute_ms,
                           now.steady_us + (uint64_t)(cases[i].steady_minutes * minute_ms * 1000) };
        CHECK(ri_s3_grant_is_good(&g, then) == cases[i].good);
        CHECK(ri_s3_grant_is_old(&g, then) == cases[i].old);
    }
    ri_s3_grant_deinit(&g);
    CHECK(!ri_s3_grant_is_good(&g, now));
}

TEST(grant__is_read_whole_or_not_at_all)
{
    const ri_s3_now now = { (int64_t)NOON_S * 1000, 1 };
    ri_s3_grant g;
    for (size_t len = 0; len < sizeof hour - 1; len++) {
        CHECK(read_grant(hour, len, NOON, now, &g) != NULL && g.keys.access_key == NULL);
    }
    char bad[sizeof hour];
    for (size_t at = 0; at < sizeof hour - 1; at++) {
        static const char bytes[] = "\0\"\\{}u\n\xff";
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            memcpy(bad, hour, sizeof hour);
            bad[at] = bytes[b];
            if (read_grant(bad, sizeof hour - 1, NOON, now, &g) == NULL) {
                CHECK(g.keys.access_key[0] != '\0' && strpbrk(g.keys.session_token, "\r\n") == NULL);
            }
            ri_s3_grant_deinit(&g);
        }
    }
    static const char *const times[] = { "2026-11-30T13:59:59Z", "2026-11-30T14:00:00Z", "tomorrow", "",
                                         "2026-13-30T15:00:00Z", "2026-11-30 15:00:00" };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[200];
        int len = snprintf(text, sizeof text,
                           "{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
                           "\"Expiration\":\"%s\"}",
                           times[i]);
        CHECK(read_grant(text, (size_t)len, NOON, now, &g) != NULL && g.keys.access_key == NULL);
    }
    static const char no_end[] = "{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"}";
    CHECK(read_grant(no_end, sizeof no_end - 1, "", now, &g) == NULL && g.lifetime_ms == 900000);
    ri_s3_grant_deinit(&g);
}

TEST_MAIN(role__of_an_instance_is_asked_for_once_and_used, role__of_a_container_is_asked_for_with_its_token,
          role__is_renewed_before_its_keys_expire, role__is_asked_for_again_where_a_server_calls_it_expired,
          role__lasts_as_long_as_the_service_says_by_its_own_clock, role__holds_up_no_step,
          role__says_why_there_are_no_keys, role__is_not_asked_for_where_there_are_keys,
          role__is_not_asked_for_through_a_proxy, role__comes_from_near_hosts_only,
          role__is_refused_by_name_where_it_is_turned_off_or_another_one, role__gives_keys_or_says_that_memory_is_out,
          grant__lasts_by_both_clocks, grant__is_read_whole_or_not_at_all)
#else
TEST(roles__need_curl)
{
    CHECK(true);
}

TEST_MAIN(roles__need_curl)
#endif
