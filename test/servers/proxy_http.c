/* SPDX-License-Identifier: MIT */
#include "proxy_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES_MAX (256u << 10)
#define BODY_BYTES_MAX (512u << 20)
#define READ_BYTES (64u << 10)
#define BACKLOG 1024
#define NOT_FOUND ((size_t)-1)

/* ---- bytes ---- */

static size_t find(const char *bytes, size_t len, size_t from, const char *part)
{
    size_t part_len = strlen(part);
    for (size_t i = from; i + part_len <= len; i++) {
        if (memcmp(bytes + i, part, part_len) == 0) {
            return i;
        }
    }
    return NOT_FOUND;
}

static bool read_more(stream *in)
{
    if (in->capacity - in->len < READ_BYTES) {
        size_t capacity = in->capacity * 2 + READ_BYTES;
        char *bytes = realloc(in->bytes, capacity);
        if (bytes == NULL) {
            return false;
        }
        in->bytes = bytes;
        in->capacity = capacity;
    }
    ssize_t n = recv(in->fd, in->bytes + in->len, in->capacity - in->len, 0);
    in->len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool read_until_len(stream *in, size_t len)
{
    while (in->len < len) {
        if (!read_more(in)) {
            return false;
        }
    }
    return true;
}

/* The position behind the next `part` at `from` or later. */
static bool read_past(stream *in, size_t from, const char *part, size_t *end)
{
    size_t at;
    while ((at = find(in->bytes, in->len, from, part)) == NOT_FOUND) {
        if (in->len - from > HEAD_BYTES_MAX || !read_more(in)) {
            return false;
        }
    }
    *end = at + strlen(part);
    return true;
}

void stream_consume(stream *in, size_t len)
{
    if (len > 0) {
        memmove(in->bytes, in->bytes + len, in->len - len);
        in->len -= len;
    }
}

void stream_free(stream *in)
{
    free(in->bytes);
    in->bytes = NULL;
    in->len = in->capacity = 0;
}

bool write_all(int fd, const char *bytes, size_t len)
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

/* ---- messages ---- */

char *header_find(char *head, size_t head_len, const char *name, size_t *value_len)
{
    size_t name_len = strlen(name);
    size_t line = find(head, head_len, 0, "\r\n");
    while (line != NOT_FOUND && line + 2 + name_len < head_len) {
        char *at = head + line + 2;
        line = find(head, head_len, line + 2, "\r\n");
        if (line != NOT_FOUND && strncasecmp(at, name, name_len) == 0 && at[name_len] == ':') {
            char *value = at + name_len + 1;
            value += strspn(value, " ");
            *value_len = (size_t)(head + line - value);
            return value;
        }
    }
    return NULL;
}

static bool read_chunks(stream *in, size_t head_len, size_t *body_len)
{
    size_t end = head_len;
    size_t chunk_len;
    do {
        size_t line = end;
        if (!read_past(in, line, "\r\n", &end)) {
            return false;
        }
        chunk_len = strtoul(in->bytes + line, NULL, 16);
        if (chunk_len > BODY_BYTES_MAX || !read_until_len(in, end + chunk_len + 2)) {
            return false;
        }
        end += chunk_len + 2;
    } while (chunk_len > 0);
    *body_len = end - head_len;
    return true;
}

static bool read_body(stream *in, message *m, bool is_answer)
{
    size_t len;
    char *value = header_find(in->bytes, m->head_len, "Content-Length", &len);
    if (value != NULL) {
        m->body_len = strtoul(value, NULL, 10);
        return m->body_len <= BODY_BYTES_MAX && read_until_len(in, m->head_len + m->body_len);
    }
    value = header_find(in->bytes, m->head_len, "Transfer-Encoding", &len);
    if (value != NULL && strncasecmp(value, "chunked", 7) == 0) {
        return read_chunks(in, m->head_len, &m->body_len);
    }
    if (is_answer) {
        m->until_close = true;
        while (in->len < BODY_BYTES_MAX && read_more(in)) {
        }
        m->body_len = in->len - m->head_len;
    }
    return true;
}

bool request_read(stream *in, message *request, request_line *line)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    memset(request, 0, sizeof *request);
    if (!read_past(in, 0, "\r\n\r\n", &request->head_len)) {
        return false;
    }
    size_t len;
    char *expect = header_find(in->bytes, request->head_len, "Expect", &len);
    if (expect != NULL) {
        memset(expect, ' ', len); /* the body comes with the head from here on */
        if (!write_all(in->fd, go_on, sizeof go_on - 1)) {
            return false;
        }
    }
    in->bytes[request->head_len - 1] = '\0';
    int words = sscanf(in->bytes, "%15s %1023s", line->method, line->path);
    in->bytes[request->head_len - 1] = '\n';
    return words == 2 && read_body(in, request, false);
}

int answer_status(const stream *in)
{
    return in->len > 12 ? atoi(in->bytes + sizeof "HTTP/1.1") : 0;
}

bool answer_read(stream *in, message *answer, const char *method)
{
    memset(answer, 0, sizeof *answer);
    for (;;) {
        if (!read_past(in, 0, "\r\n\r\n", &answer->head_len)) {
            return false;
        }
        int status = answer_status(in);
        if (status / 100 == 1) {
            stream_consume(in, answer->head_len);
        } else if (strcmp(method, "HEAD") == 0 || status == 204 || status == 304) {
            return true;
        } else {
            return read_body(in, answer, true);
        }
    }
}

bool write_answer(int fd, const char *status, const char *type, const char *more, const char *body, bool head_only)
{
    char head[PROXY_PATH_MAX + 512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                     type, strlen(body), more);
    return n > 0 && (size_t)n < sizeof head && write_all(fd, head, (size_t)n) &&
           (head_only || write_all(fd, body, strlen(body)));
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(unsigned short port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int listen_on_loopback(unsigned short port, unsigned short *bound)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(port);
    socklen_t len = sizeof address;
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *bound = ntohs(address.sin_port);
    return fd;
}

int connect_to_loopback(unsigned short port)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(port);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void reset(int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd);
}
