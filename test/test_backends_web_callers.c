/* SPDX-License-Identifier: MIT
 *
 * Two callers ask for the same head or list, the second one after it has changed: neither gets the answer to the other's
 * request, whether the first one's has come, is on its way, or is cancelled.
 */
#include "harness.h"

#if RILLE_WITH_CURL
#include "../src/core/store/inside.h"
#include "test_web_server.h"

enum counts { ASKED, ANSWERED };
enum orders { STATE, HOLD };
enum { CALLS = 4 };

/* All that is asked for is of the state at that time. */
static void handle(int fd, const char *request, web_shared *shared)
{
    long state = atomic_load(&shared->orders[STATE]);
    char etag[40];
    char body[400];
    atomic_fetch_add(&shared->counts[ASKED], 1);
    (void)snprintf(etag, sizeof etag, "ETag: \"%ld\"\r\n", state);
    if (strstr(request, "list-type=2") == NULL) {
        (void)snprintf(body, sizeof body, "head %ld", state);
    } else if (strstr(request, "heads") != NULL) {
        (void)snprintf(body, sizeof body, "<R><IsTruncated>false</IsTruncated><Key>heads/%ld</Key></R>", state);
    } else {
        (void)snprintf(body, sizeof body, "<R><IsTruncated>false</IsTruncated><Key>packs/%064ld.pack</Key></R>", state);
    }
    while (state == atomic_load(&shared->orders[HOLD])) {
        web_sleep_ms(2);
    }
    web_answer(fd, "200 OK", etag, body);
    atomic_fetch_add(&shared->counts[ANSWERED], 1);
}

static ri_slot_call call_number(unsigned number, ri_store *store, const void *caller)
{
    static const rille_revision known = { "1" };
    static const ri_slot_call calls[CALLS] = { { .slot = RI_CALL_HEAD_READ, .branch = "main" },
                                               { .slot = RI_CALL_HEAD_READ, .branch = "main", .known = &known },
                                               { .slot = RI_CALL_HEAD_LIST },
                                               { .slot = RI_CALL_LIST, .kind = RILLE_OBJECT_PACK } };
    ri_slot_call call = calls[number];
    call.store = store;
    call.caller = caller;
    return call;
}

/* The state that the answer is of; 0: that which was known. */
static long state_of(const ri_slot_call *call, ri_answer *answer)
{
    long state = 0;
    CHECK_RC(answer->rc == RILLE_DONE ? 0 : answer->rc, 0);
    if (answer->rc != 0) {
        return 0;
    }
    if (call->slot == RI_CALL_HEAD_READ) {
        REQUIRE(answer->head.len == strlen("head 1"));
        state = answer->head.bytes[answer->head.len - 1] - '0';
        rille_free(answer->head.bytes);
    } else {
        REQUIRE(answer->count == 1);
        state = call->slot == RI_CALL_LIST ? answer->ids[0].id[RILLE_ID_SIZE - 1] : answer->names[0] - '0';
        rille_free(answer->ids);
        rille_free(answer->names);
    }
    return state;
}

static void await(web_server *s, enum counts what, long number)
{
    while (atomic_load(&s->shared->counts[what]) < number) {
        web_sleep_ms(2);
    }
}

static long ask_waiting(const ri_slot_call *call)
{
    ri_answer answer;
    (void)ri_store_call_now(call, true, &answer);
    return state_of(call, &answer);
}

typedef enum first_one { HAS_COME, ON_ITS_WAY, CANCELLED } first_one;

/* waits: the second caller is one that blocks, without a number of its own. */
static void check(web_server *s, ri_store *store, unsigned number, first_one how, bool waits)
{
    int first = 0;
    int second = 0;
    ri_answer answer;
    ri_slot_call a = call_number(number, store, &first);
    ri_slot_call b = call_number(number, store, waits ? NULL : (const void *)&second);
    long asked = atomic_load(&s->shared->counts[ASKED]);
    long answered = atomic_load(&s->shared->counts[ANSWERED]);
    atomic_store(&s->shared->orders[STATE], 2);
    atomic_store(&s->shared->orders[HOLD], how == HAS_COME ? 0 : 2);
    while (atomic_load(&s->shared->counts[ASKED]) == asked) {
        REQUIRE(ri_store_call_now(&a, false, &answer) == RILLE_NEED);
        ri_store_wait(store, 2);
    }
    if (how == HAS_COME) {
        await(s, ANSWERED, answered + 1);
    }
    atomic_store(&s->shared->orders[STATE], 3);
    if (how == CANCELLED) {
        ri_store_cancel(&a);
    }
    CHECK_EQ_INT(ask_waiting(&b), 3);
    atomic_store(&s->shared->orders[HOLD], 0);
    if (how != CANCELLED) {
        CHECK_EQ_INT(ask_waiting(&a), 2);
    }
    CHECK_EQ_INT(atomic_load(&s->shared->counts[ASKED]), asked + 2);
}

TEST(callers__get_the_answers_to_their_own_requests)
{
    static const rille_setting keys[] = { { "access_key", "a" }, { "secret_key", "the-secret" } };
    web_server s;
    ri_store *store;
    char url[128];
    web_start(&s, handle);
    (void)snprintf(url, sizeof url, "s3://bucket?endpoint=%s&timeout_ms=20000", s.url);
    ri_store_options options = { .settings = keys, .setting_count = 2 };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), 0);
    for (unsigned number = 0; number < CALLS; number++) {
        for (first_one how = HAS_COME; how <= CANCELLED; how++) {
            check(&s, store, number, how, false);
            check(&s, store, number, how, true);
        }
    }
    ri_store_release(store);
    web_stop(&s);
}

TEST_MAIN(callers__get_the_answers_to_their_own_requests)
#else
TEST(callers__need_curl)
{
    CHECK(true);
}

TEST_MAIN(callers__need_curl)
#endif
