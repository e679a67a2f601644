/* SPDX-License-Identifier: MIT
 *
 * Several processes on one database: no increment is lost, what was acknowledged survives a kill, an LMDB environment
 * survives a fork.
 */
#include "../src/core/store/backends.h"
#include "test_store_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define INCREMENTS 300
#define KILL_ROUNDS_DEFAULT 30

static const char *const schemes[] = {
    "file:",
#if RILLE_WITH_LMDB
    "lmdb:",
#endif
};
#define SCHEME_COUNT (sizeof schemes / sizeof *schemes)

static ri_store *open_store(const char *url, bool create)
{
    ri_store *store;
    ri_store_options options = { .create = create, .cache_bytes = 1 << 20 };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    return store;
}

/* Adds one to the number in the head; odd numbers append a digit mark, so that both ways of writing are met. */
static int increment(ri_store *store)
{
    for (;;) {
        rille_head head;
        rille_revision revision;
        char cell[4096] = "";
        int rc = ri_store_head_read(store, "main", &head, NULL);
        if (rc != RILLE_OK) {
            return rc;
        }
        /* the number is the count of marks behind the base, plus the base */
        unsigned base = 0;
        (void)sscanf((const char *)head.bytes, "%u", &base);
        memcpy(cell, head.bytes, head.len);
        size_t marks = head.len - strcspn(cell, "+");
        rille_head_swap swap = {
            .branch = "main", .expected = head.revision, .cell = (const uint8_t *)cell, .durable = true
        };
        if (marks < 7) {
            cell[head.len] = '+';
            swap.cell_len = head.len + 1;
            swap.kept_len = head.len;
        } else {
            (void)snprintf(cell, sizeof cell, "%u", base + (unsigned)marks + 1);
            swap.cell_len = strlen(cell);
        }
        rc = ri_store_head_swap(store, &swap, NULL, &revision, NULL);
        rille_free(head.bytes);
        if (rc != RILLE_CONFLICT) {
            return rc;
        }
    }
}

static unsigned read_number(ri_store *store)
{
    rille_head head;
    char cell[4096] = "";
    unsigned base = 0;
    REQUIRE_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    memcpy(cell, head.bytes, head.len);
    rille_free(head.bytes);
    (void)sscanf(cell, "%u", &base);
    return base + (unsigned)(strlen(cell) - strcspn(cell, "+"));
}

static int increment_many(const char *url)
{
    ri_store *store;
    int rc = ri_store_open(url, NULL, &store, NULL);
    for (int i = 0; i < INCREMENTS && rc == RILLE_OK; i++) {
        rc = increment(store);
    }
    ri_store_release(store);
    return rc;
}

static void check_child(pid_t child)
{
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(processes__lose_no_increment)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        test_dir dir = test_dir_fast();
        test_text url = test_join(schemes[i], dir.path, "/db");
        ri_store *store = open_store(url.text, true);
        CHECK_RC(test_set_head(store, "main", "0", 1, NULL, &test_err), RILLE_OK);
        pid_t children[2];
        for (size_t j = 0; j < 2; j++) {
            children[j] = fork();
            if (children[j] == 0) {
                _exit(increment_many(url.text) == RILLE_OK ? 0 : 1);
            }
        }
        check_child(children[0]);
        check_child(children[1]);
        CHECK_EQ_INT(read_number(store), 2 * INCREMENTS);
        ri_store_release(store);
        test_dir_remove(dir.path);
    }
}

/* The handle from before the fork is used on both sides of it. */
TEST(processes__share_a_handle_over_a_fork)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        test_dir dir = test_dir_fast();
        ri_store *store = open_store(test_join(schemes[i], dir.path, "/db").text, true);
        CHECK_RC(test_set_head(store, "main", "0", 1, NULL, &test_err), RILLE_OK);
        CHECK_EQ_INT(read_number(store), 0);
        pid_t children[3];
        for (size_t j = 0; j < 3; j++) {
            children[j] = fork();
            if (children[j] == 0) {
                int rc = RILLE_OK;
                for (int k = 0; k < 100 && rc == RILLE_OK; k++) {
                    rc = increment(store);
                }
                ri_store_release(store);
                _exit(rc == RILLE_OK ? 0 : 1);
            }
        }
        for (int k = 0; k < 100; k++) {
            CHECK_RC(increment(store), RILLE_OK);
        }
        for (size_t j = 0; j < 3; j++) {
            check_child(children[j]);
        }
        CHECK_EQ_INT(read_number(store), 400);
        ri_store_release(store);
        test_dir_remove(dir.path);
    }
}

/* ---- kill -9 ---- */

/* Commits a tree a time, tells its number when the commit is acknowledged, until it is killed. */
static void commit_until_killed(const char *url, int pipe_fd, unsigned number)
{
    ri_store *store;
    if (ri_store_open(url, NULL, &store, NULL) != RILLE_OK) {
        _exit(1);
    }
    for (;; number++) {
        ri_writer *writer = NULL;
        ri_noderef leaf;
        ri_noderef root;
        rille_head head;
        rille_revision revision;
        uint8_t blob[RI_HASH_SIZE];
        char text[32];
        (void)snprintf(text, sizeof text, "value %u", number);
        if (ri_store_head_read(store, "main", &head, NULL) != RILLE_OK ||
            ri_writer_new(store, &writer, NULL) != RILLE_OK ||
            test_put_leaf(writer, number, 3000, &leaf, NULL) != RILLE_OK ||
            test_put_branch(writer, 1, &leaf, 1, &root, NULL) != RILLE_OK ||
            ri_writer_put_blob(writer, (const uint8_t *)text, strlen(text), blob, NULL) != RILLE_OK ||
            ri_writer_seal(writer, NULL) != RILLE_OK) {
            _exit(2);
        }
        /* a record of the head: number, root; 100 bytes so that a torn end is seen */
        ri_writer_resolve(writer, &root);
        uint8_t record[100] = { 0 };
        ri_store_u32(record, number);
        memcpy(record + 4, root.addr, 32);
        memcpy(record + 36, root.pack, 32);
        ri_store_u64(record + 68, root.offset);
        ri_store_u32(record + 76, root.len);
        size_t whole = head.len - head.len % sizeof record;
        uint8_t *cell = malloc(whole + sizeof record);
        if (cell == NULL) {
            _exit(2);
        }
        memcpy(cell, head.bytes, whole);
        memcpy(cell + whole, record, sizeof record);
        bool fresh = number % 50 == 0; /* now and then a new base */
        rille_head_swap swap = { .branch = "main",
                                 .expected = head.revision,
                                 .cell = fresh ? record : cell,
                                 .cell_len = fresh ? sizeof record : whole + sizeof record,
                                 .kept_len = fresh ? 0 : whole,
                                 .durable = true };
        if (ri_store_head_swap(store, &swap, writer, &revision, NULL) != RILLE_OK ||
            write(pipe_fd, &number, sizeof number) != (ssize_t)sizeof number) {
            _exit(3);
        }
        free(cell);
        rille_free(head.bytes);
        ri_writer_release(writer);
    }
}

/* The newest commit in the head, read through with all it names. */
static unsigned check_newest(const char *url)
{
    ri_store *store = open_store(url, false);
    rille_head head;
    REQUIRE_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    size_t count = head.len / 100;
    REQUIRE(count > 0);
    unsigned newest = 0;
    ri_io io = { 0 };
    for (size_t i = 0; i < count; i++) {
        const uint8_t *record = head.bytes + 100 * i;
        ri_noderef root = { .offset = ri_load_u64(record + 68), .len = ri_load_u32(record + 76) };
        memcpy(root.addr, record + 4, 32);
        memcpy(root.pack, record + 36, 32);
        newest = ri_load_u32(record);
        if (newest != 0) {
            CHECK_RC(test_check_tree(store, &root, newest, 1, 3000, &test_err), RILLE_OK);
            char text[32];
            uint8_t addr[RI_HASH_SIZE];
            ri_blob *blob;
            (void)snprintf(text, sizeof text, "value %u", newest);
            ri_blake2b(addr, text, strlen(text));
            CHECK_RC(ri_store_get_blob(store, addr, &io, &blob, &test_err), RILLE_OK);
            ri_object_release(blob != NULL ? &blob->object : NULL);
        }
    }
    ri_io_deinit(&io);
    rille_free(head.bytes);
    ri_store_release(store);
    return newest;
}

/* Starts a child, kills it after `acks` commits (and a moment that only chance knows); the last acknowledged number. */
static unsigned kill_one(const char *url, unsigned number, uint64_t acks, test_rng *rng)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        commit_until_killed(url, ends[1], number);
    }
    (void)close(ends[1]);
    unsigned last = number - 1;
    unsigned got;
    for (uint64_t i = 0; i < acks && read(ends[0], &got, sizeof got) == (ssize_t)sizeof got; i++) {
        last = got;
    }
    for (volatile uint64_t spin = test_random_below(rng, 300000); spin > 0; spin--) {
    }
    CHECK(kill(child, SIGKILL) == 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &got, sizeof got) == (ssize_t)sizeof got) {
        last = got;
    }
    (void)close(ends[0]);
    return last;
}

TEST(processes__keep_what_was_acknowledged_when_killed)
{
    const char *text = getenv("RILLE_KILL_ROUNDS");
    long rounds = text != NULL ? strtol(text, NULL, 10) : KILL_ROUNDS_DEFAULT;
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        test_dir dir = test_dir_fast();
        test_text url = test_join(schemes[i], dir.path, "/db");
        ri_store *store = open_store(url.text, true);
        uint8_t zero[100] = { 0 };
        CHECK_RC(test_set_head(store, "main", zero, sizeof zero, NULL, &test_err), RILLE_OK);
        ri_store_release(store);
        unsigned number = 1;
        for (long round = 0; round < rounds; round++) {
            unsigned acknowledged = kill_one(url.text, number, test_random_below(&rng, 6), &rng);
            unsigned newest = check_newest(url.text);
            CHECK(newest >= acknowledged && newest <= acknowledged + 1);
            number = newest + 1;
        }
        CHECK(number > (unsigned)rounds / 2);
        test_dir_remove(dir.path);
    }
}

TEST_MAIN(processes__lose_no_increment, processes__share_a_handle_over_a_fork,
          processes__keep_what_was_acknowledged_when_killed)
