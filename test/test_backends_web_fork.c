/* SPDX-License-Identifier: MIT
 *
 * A process that is forked while requests are under way: they stay its parent's.
 */
#include "harness.h"

#if RILLE_WITH_CURL
#include "test_web_server.h"

enum counts { BLOBS, PUTS, HEADS };
enum orders { HOLD };

static void handle(int fd, const char *request, web_shared *shared)
{
    bool is_put = web_is(request, "PUT ");
    bool is_blob = strstr(request, "/blobs/") != NULL;
    atomic_fetch_add(&shared->counts[is_put ? PUTS : is_blob ? BLOBS : HEADS], 1);
    while (is_blob && atomic_load(&shared->orders[HOLD]) != 0) {
        web_sleep_ms(2);
    }
    web_answer(fd, "200 OK", "ETag: \"a\"\r\n", "bytes");
}

/* In the child: something else, then the same as the parent asks. 0: all is well. */
static int act_as_child(const rille_backend *b, web_shared *shared, rille_get *get)
{
    rille_head head = { 0 };
    if (web_read_head(b, &head) != RILLE_OK || atomic_load(&shared->counts[BLOBS]) != 1 ||
        atomic_load(&shared->counts[PUTS]) != 1) {
        return 1;
    }
    atomic_store(&shared->orders[HOLD], 0);
    if (web_get(b, get, 1) != RILLE_OK || atomic_load(&shared->counts[BLOBS]) != 2) {
        return 2;
    }
    return get->bytes_len == 5 && memcmp(get->bytes, "bytes", 5) == 0 ? 0 : 3;
}

TEST(fork__leaves_requests_to_the_parent)
{
    web_server s;
    rille_backend b;
    const uint8_t byte = 1;
    rille_put put = { .object = { .kind = RILLE_OBJECT_BLOB }, .bytes = &byte, .len = 1 };
    rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB, .id = { 1 } } };
    int status;
    int rc;
    web_start(&s, handle);
    atomic_store(&s.shared->orders[HOLD], 1);
    REQUIRE_RC(web_open("s3", &s, "20000", NULL, 0, &b), RILLE_OK);
    while (atomic_load(&s.shared->counts[BLOBS]) < 1 || atomic_load(&s.shared->counts[PUTS]) < 1) {
        CHECK_EQ_INT(b.ops->get_many(b.self, &get, 1, &test_err), RILLE_NEED);
        CHECK_EQ_INT(b.ops->put_many(b.self, &put, 1, &test_err), RILLE_NEED);
        b.ops->wait(b.self, 5);
    }
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        _exit(act_as_child(&b, s.shared, &get));
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_EQ_INT(WEXITSTATUS(status), 0);
    CHECK_RC(web_get(&b, &get, 1), RILLE_OK);
    CHECK(get.bytes_len == 5);
    rille_free(get.bytes);
    WEB_CALL(rc, &b, b.ops->put_many(b.self, &put, 1, &test_err));
    CHECK_RC(rc, RILLE_OK);
    CHECK_EQ_INT(atomic_load(&s.shared->counts[BLOBS]), 2); /* the parent's, and the child's own */
    CHECK_EQ_INT(atomic_load(&s.shared->counts[PUTS]), 1);
    web_close(&b);
    web_stop(&s);
}

TEST_MAIN(fork__leaves_requests_to_the_parent)
#else
TEST(forks__need_curl)
{
    CHECK(true);
}

TEST_MAIN(forks__need_curl)
#endif
