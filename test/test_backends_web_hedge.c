/* SPDX-License-Identifier: MIT
 *
 * Hedges: reads that are slow are asked for twice, seldom enough, and nothing else is.
 */
#include "harness.h"

#if RILLE_WITH_CURL
#include "../src/core/base/sync.h"
#include "test_web_server.h"

#define SLOW_MS 1500
#define BODY_LEN 2000
#define WARM 20 /* GETs, after which one hedge may be sent */

enum counts { GETS, PUTS, OTHERS, HANGING };
enum orders { MODE, EVERY };
enum mode {
    FAST,
    SLOW,        /* each EVERYth GET */
    FIRST_SLOW,  /* the first of two that ask the same */
    FIRST_LATE,  /* a little */
    FIRST_STOPS, /* in the middle of its body */
    SECOND_FAILS,
    SECOND_RESETS,
    SECOND_HANGS,
    BOTH_HANG,
    ALL_SLOW,
    ANY
};

/* The same byte all over: of two answers, none is mixed. */
static void answer(int fd, long number, size_t now, long pause_ms)
{
    char body[BODY_LEN + 1];
    char head[200];
    memset(body, 'a' + (int)(number % 26), BODY_LEN);
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BODY_LEN);
    (void)(web_say(fd, head) && web_write(fd, body, now));
    web_sleep_ms(pause_ms);
    (void)web_write(fd, body + now, BODY_LEN - now);
}

static void answer_get(int fd, long number, long mode, long every)
{
    bool is_second = number % 2 == 0;
    switch ((enum mode)mode) {
    case FAST:
        break;
    case SLOW:
        web_sleep_ms(number % every == 0 ? SLOW_MS : 0);
        break;
    case FIRST_SLOW:
        web_sleep_ms(is_second ? 0 : SLOW_MS);
        break;
    case FIRST_LATE:
        web_sleep_ms(is_second ? 0 : 250);
        break;
    case FIRST_STOPS:
        answer(fd, number, BODY_LEN / 2, is_second ? 0 : SLOW_MS);
        return;
    case SECOND_FAILS:
        if (is_second) {
            web_answer(fd, "500 Internal Server Error", "", "");
            return;
        }
        web_sleep_ms(400);
        break;
    case SECOND_RESETS:
        if (is_second) {
            return;
        }
        web_sleep_ms(400);
        break;
    case SECOND_HANGS:
        if (is_second) {
            web_hang(fd);
            return;
        }
        web_sleep_ms(400);
        break;
    case BOTH_HANG:
        web_hang(fd);
        return;
    case ALL_SLOW:
        web_sleep_ms(200);
        break;
    case ANY:
        switch ((number * 7919) % 11) {
        case 0:
            web_answer(fd, "503 Slow Down", "", "");
            return;
        case 1:
            answer(fd, number, (size_t)(number * 31 % BODY_LEN), 150);
            return;
        case 2:
            web_sleep_ms(number % 7 * 40);
            break;
        case 3:
            return; /* the connection ends without an answer */
        default:
            break;
        }
        break;
    }
    answer(fd, number, BODY_LEN, 0);
}

static void handle(int fd, const char *request, web_shared *shared)
{
    if (web_is(request, "GET ")) {
        long number = atomic_fetch_add(&shared->counts[GETS], 1) + 1;
        answer_get(fd, number, atomic_load(&shared->orders[MODE]), atomic_load(&shared->orders[EVERY]));
        return;
    }
    atomic_fetch_add(&shared->counts[web_is(request, "PUT ") ? PUTS : OTHERS], 1);
    web_sleep_ms(300);
    web_answer(fd, "200 OK", "ETag: \"a\"\r\nLast-Modified: Mon, 30 Nov 2026 14:52:08 GMT\r\n", "");
}

typedef struct world {
    web_server server;
    rille_backend backend;
    long asked; /* GETs */
} world;

static void start(world *w, const char *timeout_ms)
{
    *w = (world){ 0 };
    web_start(&w->server, handle);
    REQUIRE_RC(web_open("s3", &w->server, timeout_ms, NULL, 0, &w->backend), RILLE_OK);
}

static void stop(world *w)
{
    web_close(&w->backend);
    web_stop(&w->server);
}

static void set_mode(world *w, enum mode mode)
{
    atomic_store(&w->server.shared->counts[GETS], 0);
    atomic_store(&w->server.shared->orders[MODE], mode);
}

static rille_counters counters(const world *w)
{
    rille_counters out = { 0 };
    CHECK_EQ_INT(w->backend.ops->counters(w->backend.self, &out), 0);
    return out;
}

/* One GET; its answer is of one piece. At each point, few were hedged. */
static int read_one(world *w)
{
    rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB, .id = { (uint8_t)w->asked } } };
    w->asked++;
    int rc = web_get(&w->backend, &get, 1);
    if (rc == RILLE_OK) {
        CHECK_EQ_INT(get.rc, RILLE_OK);
        CHECK_EQ_INT(get.bytes_len, BODY_LEN);
        for (size_t i = 1; i < get.bytes_len; i++) {
            if (get.bytes[i] != get.bytes[0]) {
                CHECK(get.bytes[i] == get.bytes[0]);
                break;
            }
        }
        rille_free(get.bytes);
    }
    CHECK(counters(w).hedges * 20 <= (uint64_t)w->asked);
    return rc;
}

static void warm_up(world *w)
{
    set_mode(w, FAST);
    for (int i = 0; i < WARM; i++) {
        CHECK_RC(read_one(w), RILLE_OK);
    }
    CHECK_EQ_INT(counters(w).hedges, 0);
}

/* ---- */

TEST(hedge__makes_the_slowest_reads_fast)
{
    world w;
    enum { READS = 400 };
    int late = 0;
    start(&w, "30000");
    atomic_store(&w.server.shared->orders[EVERY], 20);
    set_mode(&w, SLOW);
    for (int i = 0; i < READS; i++) {
        uint64_t begin = ri_clock_us();
        CHECK_RC(read_one(&w), RILLE_OK);
        late += ri_clock_us() - begin >= (uint64_t)SLOW_MS * 1000;
        CHECK(atomic_load(&w.server.shared->counts[GETS]) * 20 <= w.asked * 21);
    }
    printf("late: %d of %d, hedges: %d\n", late, READS, (int)counters(&w).hedges);
    CHECK(late * 100 <= READS); /* without hedges: 20 of 400 */
    CHECK_EQ_INT((long)counters(&w).requests, atomic_load(&w.server.shared->counts[GETS]));
    CHECK_EQ_INT(counters(&w).retries, 0);
    stop(&w);
}

TEST(hedge__takes_the_first_whole_answer)
{
    static const struct {
        enum mode mode;
        long ms_max; /* of the read, on a machine that is busy */
        long gets;
    } cases[] = {
        { FIRST_SLOW, SLOW_MS, 2 },    { FIRST_STOPS, SLOW_MS, 2 },  { SECOND_FAILS, SLOW_MS, 2 },
        { SECOND_RESETS, SLOW_MS, 2 }, { SECOND_HANGS, SLOW_MS, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        start(&w, "30000");
        warm_up(&w);
        set_mode(&w, cases[i].mode);
        uint64_t begin = ri_clock_us();
        CHECK_RC(read_one(&w), RILLE_OK);
        CHECK(ri_clock_us() - begin < (uint64_t)cases[i].ms_max * 1000);
        CHECK_EQ_INT(atomic_load(&w.server.shared->counts[GETS]), cases[i].gets);
        CHECK_EQ_INT(counters(&w).hedges, 1);
        CHECK_EQ_INT(counters(&w).retries, 0);
        set_mode(&w, FAST);
        CHECK_RC(read_one(&w), RILLE_OK);
        stop(&w);
    }
}

TEST(hedge__is_sent_once_for_a_request)
{
    world w;
    start(&w, "600");
    warm_up(&w);
    warm_up(&w); /* there is enough for two */
    set_mode(&w, BOTH_HANG);
    CHECK_RC(read_one(&w), RILLE_TIMEOUT);
    CHECK_EQ_INT(counters(&w).hedges, 1);
    stop(&w);
}

TEST(hedge__is_for_reads_only)
{
    world w;
    const uint8_t byte = 1;
    rille_put put = { .object = { .kind = RILLE_OBJECT_BLOB }, .bytes = &byte, .len = 1 };
    rille_object_id id = { .kind = RILLE_OBJECT_BLOB };
    int64_t age;
    int rc;
    start(&w, "30000");
    warm_up(&w);
    WEB_CALL(rc, &w.backend, w.backend.ops->put_many(w.backend.self, &put, 1, &test_err));
    CHECK_RC(rc, RILLE_OK);
    WEB_CALL(rc, &w.backend, w.backend.ops->delete_many(w.backend.self, &id, 1, &test_err));
    CHECK_RC(rc, RILLE_OK);
    WEB_CALL(rc, &w.backend, w.backend.ops->ages(w.backend.self, &id, 1, &age, &test_err));
    CHECK_RC(rc, RILLE_OK);
    CHECK_EQ_INT(atomic_load(&w.server.shared->counts[PUTS]), 1);
    CHECK_EQ_INT(atomic_load(&w.server.shared->counts[OTHERS]), 2);
    CHECK_EQ_INT(counters(&w).hedges, 0);
    stop(&w);
}

/* Before it is known what is slow, and where all are. */
TEST(hedge__is_rare_where_all_reads_are_slow)
{
    world w;
    start(&w, "30000");
    set_mode(&w, ALL_SLOW);
    for (int i = 0; i < 30; i++) {
        CHECK_RC(read_one(&w), RILLE_OK);
    }
    CHECK_EQ_INT(counters(&w).hedges, 0); /* twice as long as most is 400 ms */
    stop(&w);
}

TEST(hedge__keeps_its_bound_whatever_comes)
{
    world w;
    start(&w, "30000");
    set_mode(&w, ANY);
    for (int i = 0; i < 300; i++) {
        CHECK_RC(read_one(&w), RILLE_OK);
    }
    rille_counters c = counters(&w);
    CHECK(c.hedges > 0);
    CHECK_EQ_INT((long)c.requests, atomic_load(&w.server.shared->counts[GETS]));
    CHECK_EQ_INT((long)c.requests, w.asked + (long)c.hedges + (long)c.retries);
    stop(&w);
}

/* Dropped in each state: before its hedge, with it, after it. */
TEST(hedge__ends_with_the_call)
{
    world w;
    start(&w, "30000");
    for (int steps = 0; steps < 12; steps++) {
        rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB } };
        const rille_want want = { .op = RILLE_WANT_GET, .gets = &get, .count = 1 };
        warm_up(&w);
        set_mode(&w, BOTH_HANG);
        w.asked++;
        for (int i = 0; i <= steps; i++) {
            CHECK_EQ_INT(w.backend.ops->get_many(w.backend.self, &get, 1, &test_err), RILLE_NEED);
            w.backend.ops->wait(w.backend.self, 10);
        }
        w.backend.ops->cancel(w.backend.self, &want);
        set_mode(&w, FAST);
        CHECK_RC(read_one(&w), RILLE_OK);
        web_close(&w.backend);
        REQUIRE_RC(web_open("s3", &w.server, "30000", NULL, 0, &w.backend), RILLE_OK);
        w.asked = 0;
    }
    stop(&w);
}

static int fault(world *w)
{
    rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB } };
    set_mode(w, FIRST_LATE);
    int rc = web_get(&w->backend, &get, 1);
    rille_free(get.bytes);
    return rc == RILLE_OK ? get.rc : rc;
}

/* Each sweep of a hedged read; what earns its hedge is no part of it. */
TEST(hedge__copes_when_memory_is_out)
{
    world w;
    start(&w, "30000");
    for (int once = 1; once >= 0; once--) {
        long long n = 0;
        long long live;
        int rc;
        uint64_t last_us = UINT64_MAX;
        do {
            atomic_store(&w.server.shared->orders[MODE], FAST);
            for (int i = 0; i < WARM && last_us > 45000; i++) { /* it was hedged, or should be */
                CHECK_RC(read_one(&w), RILLE_OK);
            }
            last_us = ri_clock_us();
            live = atomic_load(&test_state.live_blocks);
            n = test_fault_next(n);
            (void)test_fault_begin(n - 1, once != 0);
            rc = fault(&w);
            last_us = ri_clock_us() - last_us;
        } while (test_fault_end(n - 1, rc, live, __FILE__, __LINE__, "fault"));
        CHECK(n > 10);
    }
    CHECK(counters(&w).hedges >= 2); /* those without a failure */
    stop(&w);
}

TEST_MAIN(hedge__makes_the_slowest_reads_fast, hedge__takes_the_first_whole_answer, hedge__is_sent_once_for_a_request,
          hedge__is_for_reads_only, hedge__is_rare_where_all_reads_are_slow, hedge__keeps_its_bound_whatever_comes,
          hedge__ends_with_the_call, hedge__copes_when_memory_is_out)
#else
TEST(hedges__need_curl)
{
    CHECK(true);
}

TEST_MAIN(hedges__need_curl)
#endif
