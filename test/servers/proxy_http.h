/* SPDX-License-Identifier: MIT
 *
 * Messages of HTTP/1.1 as the proxy sees them: read as a whole, changed in place, written.
 */
#ifndef RILLE_TEST_PROXY_HTTP_H
#define RILLE_TEST_PROXY_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define PROXY_METHOD_MAX 16
#define PROXY_PATH_MAX 1024

/* A socket, and what was read from it and not consumed yet. */
typedef struct stream {
    int fd;
    char *bytes;
    size_t len;
    size_t capacity;
} stream;

/* A message lies at the beginning of its stream: the head with its empty line, then the body as it was framed. */
typedef struct message {
    size_t head_len;
    size_t body_len;
    bool until_close; /* the body ends with the connection */
} message;

typedef struct request_line {
    char method[PROXY_METHOD_MAX];
    char path[PROXY_PATH_MAX]; /* with the query */
} request_line;

/* The next request of a connection: it answers "Expect: 100-continue" itself. False: there is none. */
bool request_read(stream *in, message *request, request_line *line);

/* The answer to such a request; interim answers are skipped. False: the connection ended. */
bool answer_read(stream *in, message *answer, const char *method);
int answer_status(const stream *in);

/* The value of a header, in place; NULL: it is not in the head. */
char *header_find(char *head, size_t head_len, const char *name, size_t *value_len);

void stream_consume(stream *in, size_t len);
void stream_free(stream *in);

bool write_all(int fd, const char *bytes, size_t len);

/* A whole answer. head_only: as for HEAD. `more` are header lines, each with its line end, or "". */
bool write_answer(int fd, const char *status, const char *type, const char *more, const char *body, bool head_only);

int listen_on_loopback(unsigned short port, unsigned short *bound); /* -1: errno says why */
int connect_to_loopback(unsigned short port);

/* Closes it with a reset instead of an end. */
void reset(int fd);

#endif
