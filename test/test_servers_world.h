/* SPDX-License-Identifier: MIT
 *
 * A proxy that makes faults, a small server behind it, and a client before it. Both are processes, which end with the test.
 */
#ifndef RILLE_TEST_SERVERS_WORLD_H
#define RILLE_TEST_SERVERS_WORLD_H

#include "harness.h"
#include "servers/proxy_counts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY_LEN 4000
#define ANSWER_MAX 20000
#define TRIES_MAX 1000000

/* ---- the server ---- */

static char object[BODY_LEN + 1];

static void make_object(void)
{
    for (int i = 0; i < BODY_LEN; i++) {
        object[i] = (char)('a' + i % 23);
    }
}

static void serve_one(stream *in, unsigned long *seen)
{
    message m;
    request_line line;
    char text[ANSWER_MAX] = "";
    size_t len;
    if (!request_read(in, &m, &line)) {
        return;
    }
    bool head = strcmp(line.method, "HEAD") == 0;
    if (strcmp(line.path, "/seen") == 0) {
        (void)snprintf(text, sizeof text, "%lu", *seen);
        (void)write_answer(in->fd, "200 OK", "text/plain", "", text, head);
        return;
    }
    *seen += 1;
    if (strcmp(line.path, "/echo") == 0) { /* the condition, or the body */
        const char *etag = header_find(in->bytes, m.head_len, "If-Match", &len);
        (void)snprintf(text, sizeof text, "%.*s", (int)(etag != NULL ? len : m.body_len),
                       etag != NULL ? etag : in->bytes + m.head_len);
        (void)write_answer(in->fd, "200 OK", "text/plain", "", text, head);
    } else if (strcmp(line.path, "/500") == 0) {
        (void)write_answer(in->fd, "500 Internal Server Error", "text/plain", "", "UnknownError", head);
    } else if (strcmp(line.path, "/chunked") == 0) {
        int n =
            snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
                     BODY_LEN, object);
        (void)write_all(in->fd, text, (size_t)n);
    } else if (strcmp(line.path, "/endless") == 0) {
        int n = snprintf(text, sizeof text, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n%s", object);
        (void)write_all(in->fd, text, (size_t)n);
    } else if (strcmp(line.method, "DELETE") == 0) {
        static const char none[] = "HTTP/1.1 204 No Content\r\n\r\n";
        (void)write_all(in->fd, none, sizeof none - 1);
    } else {
        (void)write_answer(in->fd, "200 OK", "text/plain", "ETag: \"0123abcd\"\r\n", object, head);
    }
}

/* One connection after the other, until `alive` ends. */
static void serve(int listener, int alive)
{
    unsigned long seen = 0;
    struct pollfd wait[] = { { .fd = listener, .events = POLLIN }, { .fd = alive, .events = POLLIN } };
    while (poll(wait, 2, -1) >= 0 && wait[1].revents == 0) {
        stream in = { .fd = accept(listener, NULL, NULL) };
        serve_one(&in, &seen);
        (void)close(in.fd);
        stream_free(&in);
    }
    _exit(0);
}

/* ---- the processes ---- */

typedef struct world {
    pid_t server;
    pid_t proxy;
    int alive[2];
    int input; /* of the proxy: both end with their pipes */
    unsigned short port;
} world;

static void start_proxy(world *w, unsigned short upstream, const char *words)
{
    int input[2];
    int output[2];
    char port[16];
    char line[16] = "";
    (void)snprintf(port, sizeof port, "%u", (unsigned)upstream);
    REQUIRE(pipe(input) == 0 && pipe(output) == 0);
    w->proxy = fork();
    if (w->proxy == 0) {
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)close(input[1]);
        (void)close(w->alive[1]);
        (void)execl(FAULT_PROXY, FAULT_PROXY, "0", port, words, (char *)NULL);
        _exit(127);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    w->input = input[1];
    REQUIRE(w->proxy > 0 && read(output[0], line, sizeof line - 1) > 0);
    (void)close(output[0]);
    w->port = (unsigned short)strtoul(line, NULL, 10);
    REQUIRE(w->port > 0);
}

static void start(world *w, const char *words)
{
    unsigned short port;
    make_object();
    int listener = listen_on_loopback(0, &port);
    REQUIRE(listener >= 0 && pipe(w->alive) == 0);
    w->server = fork();
    REQUIRE(w->server >= 0);
    if (w->server == 0) {
        (void)close(w->alive[1]);
        serve(listener, w->alive[0]);
    }
    (void)close(listener);
    (void)close(w->alive[0]);
    start_proxy(w, port, words);
}

static void stop(world *w)
{
    int status;
    (void)close(w->input);
    CHECK(waitpid(w->proxy, &status, 0) == w->proxy && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(w->alive[1]);
    CHECK(waitpid(w->server, &status, 0) == w->server && WIFEXITED(status));
}

/* ---- the client ---- */

typedef struct client {
    stream in;
    message m;
    bool whole; /* an answer, and it was read */
    bool was_reset;
    int status;
    char body[ANSWER_MAX]; /* what there is of it */
} client;

static void connect_client(client *c, const world *w)
{
    memset(c, 0, sizeof *c);
    c->in.fd = connect_to_loopback(w->port);
    REQUIRE(c->in.fd >= 0);
}

static void send_request(client *c, const char *method, const char *path, const char *headers, const char *body)
{
    char text[ANSWER_MAX];
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s", method, path,
                     strlen(body), headers, body);
    CHECK(write_all(c->in.fd, text, (size_t)n));
}

static void read_answer(client *c, const char *method)
{
    stream_consume(&c->in, c->in.len);
    errno = 0;
    c->whole = answer_read(&c->in, &c->m, method);
    c->was_reset = !c->whole && errno == ECONNRESET;
    c->status = c->m.head_len > 0 ? answer_status(&c->in) : 0;
    size_t len = c->in.len - c->m.head_len;
    memcpy(c->body, c->in.bytes + (c->in.len - len), len);
    c->body[len] = '\0';
}

static void ask(client *c, const char *method, const char *path, const char *headers, const char *body)
{
    send_request(c, method, path, headers, body);
    read_answer(c, method);
}

static void leave(client *c)
{
    (void)close(c->in.fd);
    stream_free(&c->in);
}

/* A request over a connection of its own. */
static void ask_once(const world *w, client *c, const char *method, const char *path, const char *headers)
{
    connect_client(c, w);
    ask(c, method, path, headers, "");
    leave(c);
}

static void set_faults(const world *w, const char *words)
{
    client c;
    connect_client(&c, w);
    ask(&c, "PUT", "/__faults", "", words);
    CHECK_EQ_INT(c.status, 200);
    ask(&c, "POST", "/__reset", "", "");
    CHECK_EQ_INT(c.status, 200);
    leave(&c);
}

/* The number behind a name of the counts; 0 if it is not there. */
static unsigned long counted(const world *w, const char *name)
{
    client c;
    char line[64];
    (void)snprintf(line, sizeof line, "\n%s ", name);
    ask_once(w, &c, "GET", "/__counts", "");
    const char *at = strstr(c.body, line);
    return at != NULL ? strtoul(at + strlen(line), NULL, 10) : 0;
}

/* Requests that reached the server. */
static unsigned long seen(const world *w)
{
    client c;
    ask_once(w, &c, "GET", "/seen", "");
    return strtoul(c.body, NULL, 10);
}

static bool comes_to_be_seen(const world *w, unsigned long count)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        if (seen(w) == count) {
            return true;
        }
    }
    return false;
}

/* The header of the answer that was read last. */
static const char *header(client *c, const char *name)
{
    static char text[256];
    size_t len;
    const char *value = header_find(c->in.bytes, c->m.head_len, name, &len);
    (void)snprintf(text, sizeof text, "%.*s", value != NULL ? (int)len : 0, value != NULL ? value : "");
    return text;
}

#endif
