/* SPDX-License-Identifier: MIT
 *
 * A small web server for tests of http: and s3:. It is a process that ends with the test, and each of its connections is one
 * more, so an answer that takes long holds up no other. A handler says what a request gets, and counts in memory that
 * the test sees.
 */
#ifndef RILLE_TEST_WEB_SERVER_H
#define RILLE_TEST_WEB_SERVER_H

#include "../src/core/store/backends.h"
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WEB_REQUEST_MAX 16384
#define WEB_COUNTS 16

/* Shared by the processes. */
typedef struct web_shared {
    atomic_long requests;
    atomic_long counts[WEB_COUNTS]; /* the handler's */
    atomic_long orders[WEB_COUNTS]; /* the test's, to the handler */
} web_shared;

/* The request with its headers and a 0; the handler answers on fd. The connection ends after it. */
typedef void web_handler(int fd, const char *request, web_shared *shared);

typedef struct web_server {
    pid_t process;
    int alive;
    char place[32]; /* HOST:PORT */
    char url[64];
    web_shared *shared;
} web_server;

static inline bool web_write(int fd, const char *bytes, size_t len)
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

static inline bool web_say(int fd, const char *text)
{
    return web_write(fd, text, strlen(text));
}

/* A whole answer; `more`: header lines. */
static inline void web_answer(int fd, const char *status, const char *more, const char *body)
{
    char head[2048];
    (void)snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status, more,
                   strlen(body));
    (void)(web_say(fd, head) && web_say(fd, body));
}

static inline void web_sleep_ms(long ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) != 0) {
    }
}

/* No answer, until the client gives up. */
static inline void web_hang(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

/* Is this the beginning of the request, e.g. "GET /path "? */
static inline bool web_is(const char *request, const char *beginning)
{
    return strncmp(request, beginning, strlen(beginning)) == 0;
}

/* Its headers, and its body as far as Content-Length says. */
static inline bool web_read(int fd, char request[WEB_REQUEST_MAX])
{
    size_t len = 0;
    size_t all = WEB_REQUEST_MAX;
    while (len < all) {
        ssize_t n = len < WEB_REQUEST_MAX - 1 ? recv(fd, request + len, WEB_REQUEST_MAX - 1 - len, 0) : 0;
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        request[len] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length: ");
        if (end != NULL) {
            all = (size_t)(end + 4 - request) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
        }
    }
    return true;
}

static inline void web_serve(int listener, int alive, web_handler *handle, web_shared *shared)
{
    struct pollfd wait[] = { { .fd = listener, .events = POLLIN }, { .fd = alive, .events = POLLIN } };
    (void)signal(SIGCHLD, SIG_IGN);
    while (poll(wait, 2, -1) >= 0 && wait[1].revents == 0) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0) {
            char request[WEB_REQUEST_MAX];
            if (web_read(fd, request)) {
                atomic_fetch_add(&shared->requests, 1);
                handle(fd, request, shared);
            }
            (void)shutdown(fd, SHUT_WR);
            _exit(0);
        }
        (void)close(fd);
    }
    _exit(0);
}

static inline void web_start(web_server *s, web_handler *handle)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int alive[2];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 64) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &size) == 0 && pipe(alive) == 0);
    FILE *file = tmpfile(); /* empty: all counts are 0 */
    REQUIRE(file != NULL && ftruncate(fileno(file), sizeof *s->shared) == 0);
    s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    REQUIRE(s->shared != MAP_FAILED);
    (void)fclose(file);
    s->process = fork();
    REQUIRE(s->process >= 0);
    if (s->process == 0) {
        (void)close(alive[1]);
        web_serve(listener, alive[0], handle, s->shared);
    }
    (void)close(listener);
    (void)close(alive[0]);
    s->alive = alive[1];
    (void)setenv("no_proxy", "*", 1);
    (void)snprintf(s->place, sizeof s->place, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    (void)snprintf(s->url, sizeof s->url, "http://%s", s->place);
}

static inline void web_stop(web_server *s)
{
    int status;
    (void)close(s->alive);
    CHECK(waitpid(s->process, &status, 0) == s->process && WIFEXITED(status));
    (void)munmap(s->shared, sizeof *s->shared);
}

/* ---- what asks it ---- */

/* settings: NULL for keys that are given. */
static inline int web_open(const char *scheme, const web_server *s, const char *timeout_ms,
                           const rille_setting *settings, size_t count, rille_backend *out)
{
    static const rille_setting keys[] = { { "access_key", "a" }, { "secret_key", "the-secret" } };
    bool s3 = strcmp(scheme, "s3") == 0;
    const rille_setting params[] = { { "timeout_ms", timeout_ms }, { "endpoint", s->url } };
    ri_remote url = { .shown = s3 ? "s3://bucket" : "http://server",
                      .scheme = scheme,
                      .place = s3 ? "bucket" : s->place,
                      .params = params,
                      .param_count = s3 ? 2 : 1,
                      .settings = settings != NULL || !s3 ? settings : keys,
                      .setting_count = settings != NULL || !s3 ? count : 2 };
    test_err = (rille_err){ 0 };
    return s3 ? ri_backend_s3_open(&url, out, &test_err) : ri_backend_http_open(&url, out, &test_err);
}

static inline void web_close(rille_backend *b)
{
    b->ops->close(b->self);
}

/* Calls a slot until it does not answer RILLE_NEED. */
#define WEB_CALL(rc, b, call)                   \
    do {                                        \
        test_err = (rille_err){ 0 };            \
        while (((rc) = (call)) == RILLE_NEED) { \
            (b)->ops->wait((b)->self, 1000);    \
        }                                       \
    } while (0)

static inline int web_read_head(const rille_backend *b, rille_head *out)
{
    int rc;
    WEB_CALL(rc, b, b->ops->head_read(b->self, "main", NULL, out, &test_err));
    return rc;
}

static inline int web_get(const rille_backend *b, rille_get *gets, size_t count)
{
    int rc;
    WEB_CALL(rc, b, b->ops->get_many(b->self, gets, count, &test_err));
    return rc;
}

#endif
