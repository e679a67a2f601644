/* SPDX-License-Identifier: MIT
 *
 * A proxy on loopback between a client under test and a real HTTP server: it delays, counts, and makes faults.
 *
 *     fault_proxy LISTEN UPSTREAM [SETTING | RULE]...
 *
 * LISTEN is a port; 0: one that is free. UPSTREAM is a port, or a URL such as http://127.0.0.1:8080. It prints its port
 * and a line end once it listens. If its standard input is a pipe, it ends when that does.
 * proxy_rules.h has the settings and rules.
 *
 * Paths of its own, which are neither forwarded nor counted:
 *     GET  /__counts   what it has counted (proxy_counts.h)
 *     GET  /__log      the newest requests, as they ended
 *     POST /__reset    begins to count from 0
 *     PUT  /__faults   the settings and rules in the body replace all others
 *
 * Each connection has a thread. It reads a request and its answer as a whole, so that any part of them can be wrong. Each
 * request goes to the upstream server over a connection of its own. So a server that closes an idle connection loses no
 * request, and the proxy never sends one twice on its own account.
 */
#include "proxy_counts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 8192
#define WAIT_MS 5 /* between two looks at something that will happen */
#define TRICKLE_MS_DEFAULT 1
#define THREAD_STACK_BYTES (256u << 10)

typedef struct proxy {
    unsigned short upstream; /* a port; fixed */
    pthread_mutex_t lock;    /* for what follows */
    rules rules;
    unsigned long replaced; /* how often the rules were */
    counts counts;
    char text[PROXY_TEXT_MAX];
} proxy;

typedef struct connection {
    proxy *proxy;
    stream in;
} connection;

/* One request on its way. */
typedef struct exchange {
    proxy *proxy;
    stream *in;
    message request;
    request_line line;
    rule rule;
    ticket ticket;
    unsigned long delay_ms;
    unsigned long gather_ms;
    unsigned long hold;
    bool has_ended; /* for the counts */
    bool quirks;
    bool conditional;
    int status;
    size_t body_len; /* of the answer, as sent */
} exchange;

/* What becomes of the client's connection. */
typedef enum outcome { GO_ON, CLOSE, RESET } outcome;

static void sleep_ms(unsigned long ms)
{
    struct timespec left = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static unsigned long argument(const rule *r, unsigned long otherwise)
{
    return r->arg[0] != '\0' ? strtoul(r->arg, NULL, 10) : otherwise;
}

static bool is_head(const exchange *x)
{
    return strcmp(x->line.method, "HEAD") == 0;
}

/* ---- counting ---- */

static void begin(exchange *x)
{
    proxy *p = x->proxy;
    (void)pthread_mutex_lock(&p->lock);
    x->rule = rules_choose(&p->rules, &x->line, &x->delay_ms);
    x->gather_ms = p->rules.gather_ms;
    x->hold = p->rules.hold;
    x->quirks = p->rules.quirks != 0;
    x->ticket = counts_begin(&p->counts, &x->line, x->request.body_len);
    (void)pthread_mutex_unlock(&p->lock);
}

/* Before the client can know of it, or when there will be no answer. */
static void end(exchange *x)
{
    char range[PROXY_METHOD_MAX * 2] = "";
    size_t len;
    const char *value = header_find(x->in->bytes, x->request.head_len, "Range", &len);
    if (x->has_ended) {
        return;
    }
    if (value != NULL) {
        (void)snprintf(range, sizeof range, "%.*s", (int)len, value);
    }
    request_end what = {
        .line = &x->line, .range = range, .fault = x->rule.fault, .status = x->status, .body_len = x->body_len
    };
    (void)pthread_mutex_lock(&x->proxy->lock);
    counts_end(&x->proxy->counts, x->ticket, &what);
    (void)pthread_mutex_unlock(&x->proxy->lock);
    x->has_ended = true;
}

/* A number that other threads change. */
static unsigned long current(proxy *p, const unsigned long *number)
{
    (void)pthread_mutex_lock(&p->lock);
    unsigned long n = *number;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

/* The time before the request is forwarded. */
static void wait_for_others(exchange *x)
{
    const unsigned long *arrivals = &x->proxy->counts.arrivals;
    unsigned long before;
    sleep_ms(x->delay_ms);
    while (current(x->proxy, &x->proxy->counts.requests) < x->hold) {
        sleep_ms(WAIT_MS);
    }
    do {
        before = current(x->proxy, arrivals);
        sleep_ms(x->gather_ms);
    } while (x->gather_ms > 0 && current(x->proxy, arrivals) != before);
}

/* ---- answers of the proxy itself ---- */

static outcome answer(exchange *x, const char *status, const char *type, const char *more, const char *body)
{
    x->status = atoi(status);
    x->body_len = is_head(x) ? 0 : strlen(body);
    end(x);
    return write_answer(x->in->fd, status, type, more, body, is_head(x)) ? GO_ON : CLOSE;
}

static outcome answer_error(exchange *x, const char *status, const char *more, const char *code)
{
    char body[PROXY_ARG_MAX];
    (void)snprintf(
        body, sizeof body,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>made by the proxy</Message></Error>",
        code);
    return answer(x, status, "application/xml", more, body);
}

static outcome answer_redirect(exchange *x)
{
    char more[PROXY_ARG_MAX + PROXY_PATH_MAX + 32];
    (void)snprintf(more, sizeof more, "Location: %s%s\r\n", x->rule.arg, x->line.path);
    return answer(x, "307 Temporary Redirect", "text/plain", more, "");
}

static outcome answer_busy(exchange *x)
{
    char more[64];
    (void)snprintf(more, sizeof more, "Retry-After: %lu\r\n", argument(&x->rule, 1));
    return answer_error(x, "429 Too Many Requests", more, "TooManyRequests");
}

/* Until the client gives up. */
static outcome hang(exchange *x)
{
    char byte;
    end(x);
    while (recv(x->in->fd, &byte, 1, 0) > 0) {
    }
    return CLOSE;
}

/* ---- forwarding ---- */

/* AWS ignores the quotes of an ETag that Ceph compares: they become white space at its end. */
static void adapt_request(exchange *x)
{
    size_t len;
    char *etag = header_find(x->in->bytes, x->request.head_len, "If-Match", &len);
    x->conditional = etag != NULL;
    if (x->quirks && etag != NULL && len > 1 && etag[0] == '"' && etag[len - 1] == '"') {
        memmove(etag, etag + 1, len - 2);
        memset(etag + len - 2, ' ', 2);
    }
}

/* The request once, and its answer. */
static bool forward_once(exchange *x, stream *upstream, message *reply)
{
    upstream->len = 0;
    upstream->fd = connect_to_loopback(x->proxy->upstream);
    if (upstream->fd < 0) {
        return false;
    }
    bool ok = write_all(upstream->fd, x->in->bytes, x->request.head_len + x->request.body_len) &&
              answer_read(upstream, reply, x->line.method);
    reset(upstream->fd); /* without a trace in the table of ports; all has been read */
    return ok;
}

static outcome send_slowly(exchange *x, const char *bytes, size_t len, unsigned long ms)
{
    for (size_t i = 0; i < len; i++) {
        sleep_ms(ms);
        if (!write_all(x->in->fd, bytes + i, 1)) {
            return CLOSE;
        }
    }
    return GO_ON;
}

static void damage(const exchange *x, stream *upstream, const message *reply)
{
    size_t len;
    if (x->rule.fault == FAULT_FLIP && reply->body_len > 0) {
        upstream->bytes[reply->head_len + reply->body_len / 2] ^= 1;
    }
    char *etag = x->rule.fault == FAULT_ETAG ? header_find(upstream->bytes, reply->head_len, "ETag", &len) : NULL;
    for (size_t i = 1; etag != NULL && i + 1 < len; i++) {
        etag[i] = '0';
    }
}

static outcome send_reply(exchange *x, stream *upstream, const message *reply)
{
    fault what = x->rule.fault;
    size_t head_len = reply->head_len;
    damage(x, upstream, reply);
    x->status = answer_status(upstream);
    x->body_len = reply->body_len;
    if (what == FAULT_TRUNCATE || what == FAULT_STALL) {
        x->body_len /= 2;
        head_len /= reply->body_len > 0 ? 1 : 2;
    }
    end(x);
    if (what == FAULT_TRICKLE) {
        return send_slowly(x, upstream->bytes, head_len + x->body_len, argument(&x->rule, TRICKLE_MS_DEFAULT));
    }
    bool sent = write_all(x->in->fd, upstream->bytes, head_len + x->body_len);
    if (what == FAULT_STALL) {
        return hang(x);
    }
    return sent && what != FAULT_TRUNCATE && what != FAULT_CLOSE && !reply->until_close ? GO_ON : CLOSE;
}

static outcome forward(exchange *x)
{
    stream upstream = { .fd = -1 };
    message reply;
    adapt_request(x);
    bool ok = forward_once(x, &upstream, &reply);
    if (ok && x->rule.fault == FAULT_REPEAT) {
        ok = forward_once(x, &upstream, &reply);
    }
    outcome what;
    if (!ok) {
        what = answer_error(x, "502 Bad Gateway", "", "BadGateway");
    } else if (x->rule.fault == FAULT_LOST) {
        what = RESET;
    } else if (x->quirks && x->conditional && answer_status(&upstream) == 500) {
        what = answer_error(x, "409 Conflict", "", "ConditionalRequestConflict");
    } else {
        what = send_reply(x, &upstream, &reply);
    }
    stream_free(&upstream);
    return what;
}

static outcome forward_late(exchange *x)
{
    unsigned long before = current(x->proxy, &x->proxy->replaced);
    stream upstream = { .fd = -1 };
    message reply;
    end(x);
    reset(x->in->fd);
    x->in->fd = -1;
    sleep_ms(argument(&x->rule, 0));
    while (x->rule.arg[0] == '\0' && current(x->proxy, &x->proxy->replaced) == before) {
        sleep_ms(WAIT_MS);
    }
    adapt_request(x);
    (void)forward_once(x, &upstream, &reply);
    stream_free(&upstream);
    return CLOSE;
}

/* ---- connections ---- */

static outcome treat(exchange *x)
{
    switch (x->rule.fault) {
    case FAULT_SLOWDOWN:
        return answer_error(x, "503 Slow Down", "", "SlowDown");
    case FAULT_ERROR:
        return answer_error(x, "500 Internal Server Error", "", "InternalError");
    case FAULT_CONFLICT:
        return answer_error(x, "409 Conflict", "", "ConditionalRequestConflict");
    case FAULT_BUSY:
        return answer_busy(x);
    case FAULT_RESET:
        return RESET;
    case FAULT_HANG:
        return hang(x);
    case FAULT_HTML:
        return answer(x, "200 OK", "text/html", "",
                      "<!DOCTYPE html><title>Welcome</title><p>Please log in to use this network.\n");
    case FAULT_REDIRECT:
        return answer_redirect(x);
    case FAULT_LATE:
        return forward_late(x);
    case FAULT_NONE:
    case FAULT_LOST:
    case FAULT_REPEAT:
    case FAULT_TRUNCATE:
    case FAULT_STALL:
    case FAULT_FLIP:
    case FAULT_ETAG:
    case FAULT_TRICKLE:
    case FAULT_CLOSE:
    case FAULT_COUNT:
        break;
    }
    return forward(x);
}

/* One of the proxy's own paths. */
static outcome control(exchange *x)
{
    proxy *p = x->proxy;
    char words[WORDS_MAX];
    const char *status = "200 OK";
    (void)pthread_mutex_lock(&p->lock);
    p->text[0] = '\0';
    if (strcmp(x->line.path, "/__counts") == 0) {
        counts_print(&p->counts, p->text);
    } else if (strcmp(x->line.path, "/__log") == 0) {
        counts_print_log(&p->counts, p->text);
    } else if (strcmp(x->line.path, "/__reset") == 0) {
        counts_reset(&p->counts);
    } else if (strcmp(x->line.path, "/__faults") == 0 && x->request.body_len < sizeof words) {
        rules wanted;
        memcpy(words, x->in->bytes + x->request.head_len, x->request.body_len);
        words[x->request.body_len] = '\0';
        const char *wrong = rules_parse(&wanted, words);
        if (wrong == NULL) {
            p->rules = wanted;
            p->replaced += 1;
        } else {
            status = "400 Bad Request";
            (void)snprintf(p->text, sizeof p->text, "unknown setting or rule: %s\n", wrong);
        }
    } else {
        status = "404 Not Found";
    }
    bool sent = write_answer(x->in->fd, status, "text/plain", "", p->text, is_head(x));
    (void)pthread_mutex_unlock(&p->lock);
    return sent ? GO_ON : CLOSE;
}

static outcome serve_request(exchange *x)
{
    if (strncmp(x->line.path, "/__", 3) == 0) {
        return control(x);
    }
    begin(x);
    wait_for_others(x);
    outcome what = treat(x);
    end(x);
    return what;
}

static void *serve(void *argument_of_thread)
{
    connection *c = argument_of_thread;
    outcome what = GO_ON;
    while (what == GO_ON) {
        exchange x = { .proxy = c->proxy, .in = &c->in };
        if (!request_read(&c->in, &x.request, &x.line)) {
            what = CLOSE;
            break;
        }
        what = serve_request(&x);
        stream_consume(&c->in, x.request.head_len + x.request.body_len);
    }
    if (what == RESET) {
        reset(c->in.fd);
    } else if (c->in.fd >= 0) {
        (void)close(c->in.fd);
    }
    stream_free(&c->in);
    free(c);
    return NULL;
}

static void accept_one(proxy *p, int listener)
{
    int one = 1;
    pthread_t thread;
    int fd = accept(listener, NULL, NULL);
    connection *c = fd >= 0 ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        sleep_ms(WAIT_MS);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->proxy = p;
    c->in.fd = fd;
    (void)pthread_mutex_lock(&p->lock);
    p->counts.connections += 1;
    (void)pthread_mutex_unlock(&p->lock);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (pthread_create(&thread, &attributes, serve, c) != 0) {
        reset(fd);
        free(c);
    }
    (void)pthread_attr_destroy(&attributes);
}

/* The process ends with its standard input, and thereby with who started it. */
static void *watch(void *unused)
{
    char byte;
    (void)unused;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    _exit(0);
}

/* A port, or a URL that ends with one; 0: it is neither. */
static unsigned short port_of(const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon != NULL ? colon + 1 : text;
    char *rest;
    unsigned long port = strtoul(digits, &rest, 10);
    bool ok = rest != digits && rest[strspn(rest, "/")] == '\0' && port <= USHRT_MAX;
    return ok ? (unsigned short)port : 0;
}

/* The arguments as one text of words. */
static const char *configure(proxy *p, int argc, char **argv)
{
    static char words[WORDS_MAX];
    size_t len = 0;
    for (int i = 3; i < argc && len < sizeof words; i++) {
        len += (size_t)snprintf(words + len, sizeof words - len, "%s ", argv[i]);
    }
    return len < sizeof words ? rules_parse(&p->rules, words) : "too many words";
}

int main(int argc, char **argv)
{
    static proxy p = { .lock = PTHREAD_MUTEX_INITIALIZER };
    unsigned short port;
    pthread_t thread;
    p.upstream = argc < 3 ? 0 : port_of(argv[2]);
    if (p.upstream == 0) {
        (void)fprintf(stderr, "usage: fault_proxy LISTEN UPSTREAM [SETTING | RULE]..., where UPSTREAM has a port\n");
        return 2;
    }
    const char *wrong = configure(&p, argc, argv);
    if (wrong != NULL) {
        (void)fprintf(stderr, "fault_proxy: unknown setting or rule: %s\n", wrong);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int listener = listen_on_loopback(port_of(argv[1]), &port);
    struct stat input;
    if (listener < 0) {
        (void)fprintf(stderr, "fault_proxy: cannot listen: %s\n", strerror(errno));
        return 1;
    }
    if (fstat(STDIN_FILENO, &input) == 0 && S_ISFIFO(input.st_mode)) {
        (void)pthread_create(&thread, NULL, watch, NULL);
    }
    (void)printf("%u\n", (unsigned)port);
    (void)fflush(stdout);
    for (;;) {
        accept_one(&p, listener);
    }
}
