/* SPDX-License-Identifier: MIT
 *
 * Answers that no good server gives, to http: and s3:. The server is a process that says the same to whatever it is asked.
 */
#include "../src/core/store/backends.h"
#include "test_store_support.h"

#if RILLE_WITH_CURL
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the server says: a head, and so many bytes x after it, or so many copies of `line` in it. */
typedef struct said {
    const char *head;
    const char *line;
    size_t lines;
    size_t fill;
} said;

typedef struct server {
    pid_t process;
    char place[32];
    rille_backend backend;
} server;

static bool say(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void serve_one(int fd, const said *what)
{
    static char fill[1 << 16];
    char request[8192];
    size_t len = 0;
    memset(fill, 'x', sizeof fill);
    do {
        ssize_t n = len < sizeof request - 1 ? recv(fd, request + len, sizeof request - 1 - len, 0) : 0;
        if (n <= 0) {
            return;
        }
        len += (size_t)n;
        request[len] = '\0';
    } while (strstr(request, "\r\n\r\n") == NULL);
    const char *end = strstr(what->head, "\r\n\r\n");
    bool ok = say(fd, what->head, (size_t)(end + 2 - what->head));
    for (size_t i = 0; ok && i < what->lines; i++) {
        ok = say(fd, what->line, strlen(what->line));
    }
    ok = ok && say(fd, end + 2, strlen(end + 2));
    for (size_t left = what->fill; ok && left > 0;) {
        size_t n = left < sizeof fill ? left : sizeof fill;
        ok = say(fd, fill, n);
        left -= n;
    }
}

/* Ends with its parent, or when it is told to. */
static void serve(int listener, int alive, const said *what)
{
    struct pollfd wait[] = { { .fd = listener, .events = POLLIN }, { .fd = alive, .events = POLLIN } };
    while (poll(wait, 2, -1) >= 0 && wait[1].revents == 0) {
        int fd = accept(listener, NULL, NULL);
        serve_one(fd, what);
        (void)close(fd);
    }
    _exit(0);
}

static int alive_end = -1;

static void start(server *s, const char *scheme, const said *what)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int alive[2];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 64) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &size) == 0 && pipe(alive) == 0);
    s->process = fork();
    REQUIRE(s->process >= 0);
    if (s->process == 0) {
        (void)close(alive[1]);
        serve(listener, alive[0], what);
    }
    (void)close(listener);
    (void)close(alive[0]);
    alive_end = alive[1];
    (void)setenv("no_proxy", "*", 1);

    char endpoint[64];
    (void)snprintf(s->place, sizeof s->place, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    (void)snprintf(endpoint, sizeof endpoint, "http://%s", s->place);
    bool s3 = strcmp(scheme, "s3") == 0;
    const rille_setting params[] = { { "timeout_ms", "20000" }, { "endpoint", endpoint } };
    const rille_setting settings[] = { { "access_key", "a" }, { "secret_key", "the-secret" } };
    ri_remote url = { .shown = s3 ? "s3://bucket" : "http://server",
                      .scheme = scheme,
                      .place = s3 ? "bucket" : s->place,
                      .params = params,
                      .param_count = s3 ? 2 : 1,
                      .settings = settings,
                      .setting_count = s3 ? 2 : 0 };
    CHECK_RC(s3 ? ri_backend_s3_open(&url, &s->backend, &test_err) : ri_backend_http_open(&url, &s->backend, &test_err),
             RILLE_OK);
}

static void stop(server *s)
{
    int status;
    s->backend.ops->close(s->backend.self);
    (void)close(alive_end);
    CHECK(waitpid(s->process, &status, 0) == s->process && WIFEXITED(status));
}

static int read_head(const server *s, rille_head *out)
{
    int rc;
    test_err = (rille_err){ 0 };
    while ((rc = s->backend.ops->head_read(s->backend.self, "main", NULL, out, &test_err)) == RILLE_NEED) {
        s->backend.ops->wait(s->backend.self, 1000);
    }
    return rc;
}

static int get(const server *s, rille_get *get)
{
    int rc;
    test_err = (rille_err){ 0 };
    while ((rc = s->backend.ops->get_many(s->backend.self, get, 1, &test_err)) == RILLE_NEED) {
        s->backend.ops->wait(s->backend.self, 1000);
    }
    return rc;
}

#define TEXT "HTTP/1.1 "
#define CLOSE "Connection: close\r\n\r\n"

TEST(head__is_none_where_the_answer_is_no_file)
{
    static const struct {
        said what;
        int rc;
        const char *says;
    } cases[] = {
        { { TEXT "304 Not Modified\r\nETag: \"a\"\r\n" CLOSE, "", 0, 0 }, RILLE_IO, "304" },
        { { TEXT "410 Gone\r\nETag: \"a\"\r\n" CLOSE "gone", "", 0, 0 }, RILLE_NOTFOUND, "no branch" },
        { { TEXT "404 Not Found\r\n" CLOSE, "", 0, (size_t)2 << 20 }, RILLE_NOTFOUND, "no branch" },
        { { TEXT "200 OK\r\nContent-Length: 2\r\n" CLOSE "ab", "X: 0123456789012345678901234567890123456789\r\n", 8000,
            0 },
          RILLE_CORRUPT,
          "longer" },
        { { TEXT "503 Later\r\nRetry-After: 18446744073709551615\r\n" CLOSE, "", 0, 0 }, RILLE_IO, "503" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server s;
        rille_head head = { 0 };
        start(&s, "http", &cases[i].what);
        CHECK_EQ_INT(read_head(&s, &head), cases[i].rc);
        CHECK(strstr(test_err.message, cases[i].says) != NULL && head.bytes == NULL);
        CHECK(strstr(test_err.message, "http://server") != NULL);
        rille_free(head.bytes);
        stop(&s);
    }
}

TEST(head__of_s3_is_no_explanation_of_a_status)
{
    static const said what = { TEXT "412 Precondition Failed\r\nETag: \"a\"\r\n" CLOSE "<Error/>", "", 0, 0 };
    server s;
    rille_head head = { 0 };
    start(&s, "s3", &what);
    CHECK_EQ_INT(read_head(&s, &head), RILLE_IO);
    CHECK(strstr(test_err.message, "412") != NULL && strstr(test_err.message, "the-secret") == NULL);
    rille_free(head.bytes);
    stop(&s);
}

TEST(get__takes_what_was_asked_for_and_nothing_else)
{
    static const struct {
        said what;
        int rc; /* of the call */
        int each;
    } cases[] = {
        { { TEXT "206 Partial\r\nContent-Range: bytes 10-13/20\r\n" CLOSE "abcd", "", 0, 0 }, RILLE_OK, RILLE_OK },
        { { TEXT "206 Partial\r\nContent-Range: bytes 9-13/20\r\n" CLOSE "xabcd", "", 0, 0 }, RILLE_OK, RILLE_OK },
        { { TEXT "206 Partial\r\nContent-Range: bytes 11-14/20\r\n" CLOSE "bcde", "", 0, 0 }, RILLE_OK, RILLE_CORRUPT },
        { { TEXT "206 Partial\r\nContent-Range: bytes 10-12/20\r\n" CLOSE "abc", "", 0, 0 }, RILLE_OK, RILLE_CORRUPT },
        { { TEXT "206 Partial\r\nContent-Range: bytes -1-12/20\r\n" CLOSE "abc", "", 0, 0 }, RILLE_OK, RILLE_CORRUPT },
        { { TEXT "206 Partial\r\nContent-Range: bytes 99999999999999999999999-1/*\r\n" CLOSE "abcd", "", 0, 0 },
          RILLE_OK,
          RILLE_CORRUPT },
        { { TEXT "206 Partial\r\n" CLOSE "abcd", "", 0, 0 }, RILLE_OK, RILLE_CORRUPT },
        { { TEXT "304 Not Modified\r\n" CLOSE, "", 0, 0 }, RILLE_OK, RILLE_CORRUPT },
        { { TEXT "410 Gone\r\n" CLOSE "a text that explains", "", 0, 0 }, RILLE_OK, RILLE_NOTFOUND },
        { { TEXT "206 Partial\r\nContent-Range: bytes 10-13/20\r\n" CLOSE, "", 0, (size_t)3 << 20 },
          RILLE_CORRUPT,
          RILLE_OK },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server s;
        rille_get one = { .object = { .kind = RILLE_OBJECT_PACK }, .offset = 10, .len = 4 };
        start(&s, "http", &cases[i].what);
        CHECK_EQ_INT(get(&s, &one), cases[i].rc);
        if (cases[i].rc == RILLE_OK) {
            CHECK_EQ_INT(one.rc, cases[i].each);
            CHECK(one.rc != RILLE_OK || (one.bytes_len == 4 && memcmp(one.bytes, "abcd", 4) == 0));
            rille_free(one.bytes);
        }
        stop(&s);
    }
}

TEST(list__of_s3_ends)
{
    static const struct {
        said what;
        int rc;
        size_t count;
    } cases[] = {
        { { TEXT "200 OK\r\n" CLOSE "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
                 "<Key>heads/a</Key>",
            "", 0, 0 },
          RILLE_IO,
          0 },
        { { TEXT "200 OK\r\n" CLOSE "<IsTruncated>true</IsTruncated>", "", 0, 0 }, RILLE_IO, 0 },
        { { TEXT "200 OK\r\n" CLOSE "<Key>heads/%3CIsTruncated%3Etrue%3C</Key><Key>heads/%3CKey%3Ea%3C</Key>"
                 "<Key>../..</Key><Key>heads/b%00c</Key><Key>heads/</Key><Key></Key><Key>heads/main</Key><Key>heads/x",
            "", 0, 0 },
          RILLE_OK,
          1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server s;
        char *names = NULL;
        size_t count = 0;
        int rc;
        start(&s, "s3", &cases[i].what);
        while ((rc = s.backend.ops->head_list(s.backend.self, &names, &count, &test_err)) == RILLE_NEED) {
            s.backend.ops->wait(s.backend.self, 1000);
        }
        CHECK_EQ_INT(rc, cases[i].rc);
        CHECK_EQ_INT(count, cases[i].count);
        CHECK(count == 0 || strcmp(names, "main") == 0);
        rille_free(names);
        stop(&s);
    }
}

TEST_MAIN(head__is_none_where_the_answer_is_no_file, head__of_s3_is_no_explanation_of_a_status,
          get__takes_what_was_asked_for_and_nothing_else, list__of_s3_ends)
#else
TEST(answers__need_curl)
{
    CHECK(true);
}

TEST_MAIN(answers__need_curl)
#endif
