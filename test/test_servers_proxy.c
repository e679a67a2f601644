/* SPDX-License-Identifier: MIT
 *
 * The proxy that makes faults (test/servers), with a small server behind it: what each fault does to a request, whether
 * the request reached the server, and what is counted.
 */
#include "test_servers_world.h"

TEST(proxy__passes_on_what_it_should_not_change)
{
    world w;
    client c;
    start(&w, NULL);
    connect_client(&c, &w);
    ask(&c, "GET", "/object", "", "");
    CHECK_EQ_INT(c.status, 200);
    CHECK_EQ_STR(c.body, object);
    CHECK_EQ_STR(header(&c, "etag"), "\"0123abcd\"");
    ask(&c, "HEAD", "/object", "", "");
    CHECK_EQ_INT(c.status, 200);
    CHECK_EQ_STR(c.body, "");
    ask(&c, "PUT", "/echo", "", "what was put");
    CHECK_EQ_STR(c.body, "what was put");
    ask(&c, "DELETE", "/object", "", "");
    CHECK_EQ_INT(c.status, 204);
    ask(&c, "GET", "/chunked", "", "");
    CHECK(c.whole && strstr(c.body, object) != NULL);
    ask(&c, "PUT", "/echo", "If-Match: \"quoted\"\r\n", "");
    CHECK_EQ_STR(c.body, "\"quoted\"");
    ask(&c, "GET", "/endless", "", "");
    CHECK(c.whole);
    CHECK_EQ_STR(c.body, object);
    leave(&c);
    CHECK_EQ_INT(seen(&w), 7);
    stop(&w);
}

/* The proxy tells a client to go on, and the server nothing of it. */
TEST(proxy__takes_a_body_that_waits_for_permission)
{
    world w;
    client c;
    static const char head[] = "PUT /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char text[sizeof go_on] = "";
    start(&w, NULL);
    connect_client(&c, &w);
    CHECK(write_all(c.in.fd, head, sizeof head - 1));
    CHECK_EQ_INT(recv(c.in.fd, text, sizeof go_on - 1, MSG_WAITALL), sizeof go_on - 1);
    CHECK_EQ_STR(text, go_on);
    CHECK(write_all(c.in.fd, "body", 4));
    read_answer(&c, "PUT");
    CHECK_EQ_STR(c.body, "body");
    leave(&c);
    stop(&w);
}

TEST(proxy__answers_faults_of_a_server_by_itself)
{
    static const struct {
        const char *rule;
        int status;
        const char *part;
        const char *header;
        const char *value;
    } cases[] = {
        { "slowdown", 503, "<Code>SlowDown</Code>", "content-type", "application/xml" },
        { "error", 500, "<Code>InternalError</Code>", "content-type", "application/xml" },
        { "conflict", 409, "<Code>ConditionalRequestConflict</Code>", "content-type", "application/xml" },
        { "busy", 429, "<Code>TooManyRequests</Code>", "retry-after", "1" },
        { "busy,arg=7", 429, "<Code>TooManyRequests</Code>", "retry-after", "7" },
        { "html", 200, "Please log in", "content-type", "text/html" },
        { "redirect", 307, "", "location", "/object?x=1" },
        { "redirect,arg=http://127.0.0.1:1", 307, "", "location", "http://127.0.0.1:1/object?x=1" },
    };
    world w;
    client c;
    start(&w, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_faults(&w, cases[i].rule);
        connect_client(&c, &w);
        ask(&c, "PUT", "/object?x=1", "", "text");
        CHECK_EQ_INT(c.status, cases[i].status);
        CHECK(strstr(c.body, cases[i].part) != NULL);
        CHECK_EQ_STR(header(&c, cases[i].header), cases[i].value);
        ask(&c, "HEAD", "/object?x=1", "", "");
        CHECK_EQ_INT(c.status, cases[i].status);
        CHECK_EQ_STR(c.body, "");
        leave(&c);
        char status[8];
        char name[16];
        (void)snprintf(status, sizeof status, "%d", cases[i].status);
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(cases[i].rule, ","), cases[i].rule);
        CHECK_EQ_INT(counted(&w, status), 2);
        CHECK_EQ_INT(counted(&w, name), 2);
        set_faults(&w, "");
    }
    CHECK_EQ_INT(seen(&w), 0);
    stop(&w);
}

TEST(proxy__breaks_connections_before_and_after_the_server)
{
    world w;
    client c;
    start(&w, NULL);
    set_faults(&w, "reset");
    ask_once(&w, &c, "GET", "/object", "");
    CHECK(c.was_reset && c.status == 0);
    set_faults(&w, "lost,path=/object");
    CHECK_EQ_INT(seen(&w), 0);
    ask_once(&w, &c, "GET", "/object", "");
    CHECK(c.was_reset && c.status == 0);
    CHECK_EQ_INT(seen(&w), 1);
    CHECK_EQ_INT(counted(&w, "lost"), 1);
    set_faults(&w, "repeat,path=/object");
    ask_once(&w, &c, "GET", "/object", "");
    CHECK_EQ_INT(c.status, 200);
    CHECK_EQ_STR(c.body, object);
    CHECK_EQ_INT(seen(&w), 3);
    set_faults(&w, "late,path=/object,arg=1");
    ask_once(&w, &c, "GET", "/object", "");
    CHECK(c.was_reset && c.status == 0);
    CHECK(comes_to_be_seen(&w, 4));
    set_faults(&w, "late,path=/object");
    ask_once(&w, &c, "GET", "/object", "");
    CHECK(c.was_reset && seen(&w) == 4);
    set_faults(&w, "");
    CHECK(comes_to_be_seen(&w, 5));
    set_faults(&w, "close");
    connect_client(&c, &w);
    ask(&c, "GET", "/object", "", "");
    CHECK_EQ_STR(c.body, object);
    char byte;
    CHECK_EQ_INT(recv(c.in.fd, &byte, 1, 0), 0);
    leave(&c);
    stop(&w);
}

TEST(proxy__damages_answers)
{
    world w;
    client c;
    start(&w, NULL);
    set_faults(&w, "flip");
    ask_once(&w, &c, "GET", "/object", "");
    int wrong_bits = 0;
    for (int i = 0; i < BODY_LEN; i++) {
        for (int x = c.body[i] ^ object[i]; x != 0; x &= x - 1) {
            wrong_bits++;
        }
    }
    CHECK(c.whole && c.m.body_len == BODY_LEN);
    CHECK_EQ_INT(wrong_bits, 1);
    set_faults(&w, "etag");
    connect_client(&c, &w);
    ask(&c, "GET", "/object", "", "");
    CHECK_EQ_STR(header(&c, "etag"), "\"00000000\"");
    CHECK_EQ_STR(c.body, object);
    leave(&c);
    set_faults(&w, "truncate");
    ask_once(&w, &c, "GET", "/object", "");
    CHECK(!c.whole && !c.was_reset && c.status == 200);
    CHECK_EQ_MEM(c.body, strlen(c.body), object, BODY_LEN / 2);
    CHECK_EQ_INT(counted(&w, "bytes_down"), BODY_LEN / 2);
    ask_once(&w, &c, "DELETE", "/object", ""); /* no body: half of the head */
    CHECK(!c.whole && c.status == 0);
    set_faults(&w, "trickle");
    ask_once(&w, &c, "PUT", "/echo", "If-Match: slow\r\n");
    CHECK_EQ_STR(c.body, "slow");
    stop(&w);
}

TEST(proxy__keeps_clients_waiting)
{
    static const char *const rules_of[] = { "hang", "stall" };
    static const size_t len_of[] = { 0, BODY_LEN / 2 };
    world w;
    client c;
    start(&w, NULL);
    for (int i = 0; i < 2; i++) {
        set_faults(&w, rules_of[i]);
        connect_client(&c, &w);
        send_request(&c, "GET", "/object", "", "");
        size_t len = 0;
        const char *body = NULL;
        while (len < len_of[i]) {
            ssize_t n = recv(c.in.fd, c.body + len, sizeof c.body - 1 - len, 0);
            REQUIRE(n > 0);
            c.body[len + (size_t)n] = '\0';
            body = strstr(c.body, "\r\n\r\n");
            len = body != NULL ? strlen(body + 4) : 0;
        }
        for (int tries = 0; counted(&w, rules_of[i]) == 0 && tries < TRIES_MAX; tries++) {
        }
        CHECK_EQ_INT(counted(&w, rules_of[i]), 1);
        char byte;
        CHECK(recv(c.in.fd, &byte, 1, MSG_DONTWAIT) == -1 && (errno == EAGAIN || errno == EWOULDBLOCK));
        CHECK_EQ_INT(len, len_of[i]);
        leave(&c);
    }
    stop(&w);
}

TEST(proxy__makes_ceph_behave_as_aws)
{
    world w;
    client c;
    start(&w, "quirks=1");
    connect_client(&c, &w);
    ask(&c, "PUT", "/echo", "If-Match: \"quoted\"\r\n", "");
    CHECK_EQ_STR(c.body, "quoted  ");
    ask(&c, "PUT", "/echo", "If-Match: plain\r\n", "");
    CHECK_EQ_STR(c.body, "plain");
    ask(&c, "PUT", "/500", "If-Match: \"quoted\"\r\n", "");
    CHECK_EQ_INT(c.status, 409);
    CHECK(strstr(c.body, "ConditionalRequestConflict") != NULL);
    ask(&c, "PUT", "/500", "", "");
    CHECK_EQ_INT(c.status, 500);
    leave(&c);
    stop(&w);
}

/* "x" for each request of ten that meets the rule, "." for the others. */
static const char *met(const world *w, const char *words, const char *method, const char *path)
{
    static char text[11];
    client c;
    set_faults(w, words);
    connect_client(&c, w);
    for (int i = 0; i < 10; i++) {
        ask(&c, method, path, "", "");
        text[i] = c.status == 503 ? 'x' : '.';
    }
    leave(&c);
    return text;
}

TEST(proxy__applies_rules_to_some_requests)
{
    world w;
    char first[11];
    start(&w, NULL);
    CHECK_EQ_STR(met(&w, "slowdown", "GET", "/object"), "xxxxxxxxxx");
    CHECK_EQ_STR(met(&w, "slowdown,m=PUT", "GET", "/object"), "..........");
    CHECK_EQ_STR(met(&w, "slowdown,m=PUT,path=ject", "PUT", "/object"), "xxxxxxxxxx");
    CHECK_EQ_STR(met(&w, "slowdown,path=other", "GET", "/object"), "..........");
    CHECK_EQ_STR(met(&w, "slowdown,first=3", "GET", "/object"), "xxx.......");
    CHECK_EQ_STR(met(&w, "slowdown,skip=2,first=3", "GET", "/object"), "..xxx.....");
    CHECK_EQ_STR(met(&w, "slowdown,every=4", "GET", "/object"), "...x...x..");
    CHECK_EQ_STR(met(&w, "slowdown,skip=1,first=6,every=3", "GET", "/object"), "...x..x...");
    CHECK_EQ_STR(met(&w, "error,first=2 slowdown,first=3", "GET", "/object"), "..xxx.....");
    (void)snprintf(first, sizeof first, "%s", met(&w, "seed=7 slowdown,p=0.5", "GET", "/object"));
    CHECK(strchr(first, 'x') != NULL && strchr(first, '.') != NULL);
    CHECK_EQ_STR(met(&w, "seed=7 slowdown,p=0.5", "GET", "/object"), first);
    stop(&w);
}

TEST(proxy__refuses_what_it_does_not_know)
{
    static const char *const wrong[] = { "slow", "slowdown,when=now", "delay=x", "slowdown,p=0", "slowdown,first=" };
    world w;
    client c;
    start(&w, "slowdown");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        connect_client(&c, &w);
        ask(&c, "PUT", "/__faults", "", wrong[i]);
        CHECK_EQ_INT(c.status, 400);
        CHECK(strstr(c.body, "unknown setting or rule: ") == c.body);
        leave(&c);
    }
    ask_once(&w, &c, "GET", "/object", ""); /* what was set before holds */
    CHECK_EQ_INT(c.status, 503);
    ask_once(&w, &c, "GET", "/__none", "");
    CHECK_EQ_INT(c.status, 404);
    stop(&w);
}

TEST(proxy__does_not_start_without_a_server)
{
    static const char *const upstream[] = { "", "quirks=1", "http://localhost", "127.0.0.1:80x", "70000" };
    for (size_t i = 0; i < sizeof upstream / sizeof *upstream; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            (void)close(STDERR_FILENO);
            (void)execl(FAULT_PROXY, FAULT_PROXY, "0", upstream[i], (char *)NULL);
            _exit(127);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 2);
    }
}

TEST(proxy__counts_requests_and_bytes)
{
    world w;
    client c;
    start(&w, "delay=1 jitter=1");
    connect_client(&c, &w);
    ask(&c, "GET", "/object", "Range: bytes=0-9\r\n", "");
    ask(&c, "HEAD", "/object", "", "");
    ask(&c, "PUT", "/echo", "", "1234567");
    leave(&c);
    ask_once(&w, &c, "GET", "/__counts", "");
    CHECK_EQ_STR(c.body,
                 "requests 3\nconnections 2\nrounds 3\nin_flight 0\nin_flight_max 1\nbytes_up 7\nbytes_down 4007\n"
                 "GET 1\nHEAD 1\nPUT 1\n200 3\n");
    ask_once(&w, &c, "GET", "/__log", "");
    CHECK_EQ_STR(c.body,
                 "1 GET /object 200 4000 bytes=0-9 none\n2 HEAD /object 200 0 - none\n3 PUT /echo 200 7 - none\n");
    set_faults(&w, "");
    ask_once(&w, &c, "GET", "/__counts", "");
    CHECK(strstr(c.body, "requests 0\n") == c.body);
    stop(&w);
}

TEST(proxy__counts_requests_at_once_as_one_round)
{
    enum { COUNT = 8 };
    world w;
    client c[COUNT];
    start(&w, "gather=1");
    set_faults(&w, "gather=1 hold=8");
    for (int i = 0; i < COUNT; i++) {
        connect_client(&c[i], &w);
        send_request(&c[i], "GET", "/object", "", "");
    }
    for (int i = 0; i < COUNT; i++) {
        read_answer(&c[i], "GET");
        CHECK_EQ_INT(c[i].status, 200);
        leave(&c[i]);
    }
    CHECK_EQ_INT(counted(&w, "in_flight_max"), COUNT);
    CHECK_EQ_INT(counted(&w, "rounds"), 1);
    CHECK_EQ_INT(counted(&w, "in_flight"), 0);
    stop(&w);
}

TEST(counts__rounds_are_the_longest_chain_of_waits)
{
    static counts c;
    request_line line = { .method = "GET", .path = "/" };
    request_end what = { .line = &line, .range = "" };
    counts_reset(&c);
    ticket a = counts_begin(&c, &line, 0);
    ticket b = counts_begin(&c, &line, 0);
    counts_end(&c, a, &what);
    ticket behind_a = counts_begin(&c, &line, 0);
    CHECK_EQ_INT(behind_a.round, 2);
    counts_end(&c, behind_a, &what);
    CHECK_EQ_INT(c.rounds, 2);
    counts_end(&c, b, &what); /* long, but of the first round */
    CHECK_EQ_INT(c.rounds, 2);
    CHECK_EQ_INT(counts_begin(&c, &line, 0).round, 3);
    CHECK_EQ_INT(c.in_flight, 1);
    CHECK_EQ_INT(c.in_flight_max, 2);
    counts_reset(&c);
    CHECK_EQ_INT(c.in_flight, 1);
    counts_end(&c, behind_a, &what); /* of the time before */
    CHECK_EQ_INT(c.rounds, 0);
    CHECK_EQ_INT(c.in_flight, 0);
    for (int i = 0; i < PROXY_LOG_MAX + 10; i++) {
        counts_end(&c, counts_begin(&c, &line, 1), &what);
    }
    CHECK_EQ_INT(c.rounds, PROXY_LOG_MAX + 10);
    static char text[PROXY_TEXT_MAX];
    counts_print_log(&c, text);
    CHECK(strncmp(text, "11 GET / 0 0 - none\n", 20) == 0);
}

TEST_MAIN(proxy__passes_on_what_it_should_not_change, proxy__takes_a_body_that_waits_for_permission,
          proxy__answers_faults_of_a_server_by_itself, proxy__breaks_connections_before_and_after_the_server,
          proxy__damages_answers, proxy__keeps_clients_waiting, proxy__makes_ceph_behave_as_aws,
          proxy__applies_rules_to_some_requests, proxy__refuses_what_it_does_not_know,
          proxy__does_not_start_without_a_server, proxy__counts_requests_and_bytes,
          proxy__counts_requests_at_once_as_one_round, counts__rounds_are_the_longest_chain_of_waits)
