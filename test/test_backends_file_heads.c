/* SPDX-License-Identifier: MIT
 *
 * Heads and objects of the file backend.
 */
#include "test_backends_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- heads ---- */

TEST(file__appends_in_place_and_replaces_by_a_new_file)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    struct stat before;
    struct stat after;
    rille_revision revision = { { 0 } };
    test_text path = test_join(dir.path, "/heads/main", "");
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(swap_text(store, &revision, "base", 0), RILLE_OK);
    CHECK(stat(path.text, &before) == 0);
    CHECK_RC(swap_text(store, &revision, "base+1", 4), RILLE_OK);
    CHECK(stat(path.text, &after) == 0 && before.st_ino == after.st_ino && after.st_size == 6);
    int held = open(path.text, O_RDONLY); /* keeps the inode's number from being used again */
    CHECK_RC(swap_text(store, &revision, "base+2", 4), RILLE_OK);
    CHECK(stat(path.text, &after) == 0 && before.st_ino != after.st_ino);
    (void)close(held);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(file__replaces_a_head_with_a_torn_end)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_revision revision = { { 0 } };
    test_text path = test_join(dir.path, "/heads/main", "");
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(swap_text(store, &revision, "base", 0), RILLE_OK);
    FILE *file = fopen(path.text, "ab"); /* half a block of a writer that died */
    REQUIRE(file != NULL && fwrite("+to", 1, 3, file) == 3 && fclose(file) == 0);
    CHECK_RC(swap_text(store, &revision, "base+1", 4), RILLE_CONFLICT);
    rille_head head = read_head(store);
    CHECK_EQ_MEM(head.bytes, head.len, "base+to", 7);
    CHECK_RC(swap_text(store, &head.revision, "base+1", 4), RILLE_OK);
    rille_free(head.bytes);
    check_head(store, "base+1");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* Stands in for a full disk: no file may grow beyond `limit` bytes. In a child, since it cannot be taken back. */
static int with_file_size_limit(const char *path, rlim_t limit)
{
    ri_store *store;
    rille_err err;
    struct rlimit size = { limit, limit };
    char cell[400];
    memset(cell, 'x', sizeof cell);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (open_file(path, false, &store) != RILLE_OK || setrlimit(RLIMIT_FSIZE, &size) != 0) {
        return 1;
    }
    rille_head head = read_head(store);
    memcpy(cell, head.bytes, head.len);
    rille_head_swap swap = { .branch = "main",
                             .expected = head.revision,
                             .cell = (const uint8_t *)cell,
                             .cell_len = sizeof cell,
                             .kept_len = head.len,
                             .durable = true };
    rille_revision revision;
    int rc = ri_store_head_swap(store, &swap, NULL, &revision, &err);
    if (rc != RILLE_FULL || strstr(err.message, path) == NULL) {
        return 2;
    }
    rille_head now = read_head(store);
    if (now.len != head.len || memcmp(now.bytes, head.bytes, head.len) != 0) {
        return 3; /* what was left behind is in the way of the next append */
    }
    swap.expected = now.revision;
    swap.cell_len = 250;
    if (ri_store_head_swap(store, &swap, NULL, &revision, &err) != RILLE_OK) {
        return 4; /* a smaller one fits */
    }
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    if (test_write_tree(store, 1, 10, 1000, &root, &offset, &len, &err) != RILLE_FULL) {
        return 5;
    }
    rille_free(head.bytes);
    rille_free(now.bytes);
    ri_store_release(store);
    return 0;
}

static int in_child(int (*body)(const char *path, rlim_t limit), const char *path, rlim_t limit)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(body(path, limit));
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST(file__undoes_an_append_that_found_no_room)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_revision revision = { { 0 } };
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(swap_text(store, &revision, "base", 0), RILLE_OK);
    CHECK_EQ_INT(in_child(with_file_size_limit, dir.path, 300), 0);
    rille_head head = read_head(store);
    CHECK_EQ_INT(head.len, 250);
    rille_free(head.bytes);
    DIR *packs = opendir(test_join(dir.path, "/packs", "").text); /* no half-written file is left */
    for (struct dirent *entry; packs != NULL && (entry = readdir(packs)) != NULL;) {
        CHECK(entry->d_name[0] == '.' && strncmp(entry->d_name, ".tmp", 4) != 0);
    }
    (void)closedir(packs);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static int as_stranger(const char *path, rlim_t unused)
{
    ri_store *store;
    rille_err err;
    rille_revision revision;
    (void)unused;
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        return 77;
    }
    if (open_file(path, false, &store) != RILLE_OK) {
        return 1;
    }
    rille_head head = read_head(store); /* readable by all */
    rille_head_swap swap = { .branch = "main",
                             .expected = head.revision,
                             .cell = (const uint8_t *)"base+1",
                             .cell_len = 6,
                             .kept_len = 4,
                             .durable = true };
    if (head.len != 4 || ri_store_head_swap(store, &swap, NULL, &revision, &err) != RILLE_PERMISSION) {
        return 2;
    }
    if (strstr(err.message, path) == NULL) {
        return 3;
    }
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    if (test_write_tree(store, 1, 2, 10, &root, &offset, &len, &err) != RILLE_PERMISSION) {
        return 4;
    }
    rille_free(head.bytes);
    ri_store_release(store);
    ri_store_options options = { .create = true };
    return ri_store_open(test_join("file:", path, "/deeper").text, &options, &store, &err) == RILLE_PERMISSION ? 0 : 5;
}

TEST(file__says_that_a_user_may_not_write)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_revision revision = { { 0 } };
    if (getuid() != 0) {
        test_dir_remove(dir.path);
        return; /* only root can become somebody else */
    }
    CHECK(chmod(dir.path, 0755) == 0);
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(swap_text(store, &revision, "base", 0), RILLE_OK);
    CHECK_EQ_INT(in_child(as_stranger, dir.path, 0), 0);
    check_head(store, "base");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static ri_noderef secret;

static int reads_what_it_may_not(const char *path, rlim_t unused)
{
    ri_store *store;
    char hex[2 * RI_HASH_SIZE + 1];
    (void)unused;
    ri_hex(hex, secret.pack, RI_HASH_SIZE);
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        return 77;
    }
    if (open_file(path, false, &store) != RILLE_OK) {
        return 1;
    }
    if (test_check_tree(store, &secret, 1, 3, 100, &test_err) != RILLE_PERMISSION) {
        return 2;
    }
    bool says_all = strstr(test_err.message, hex) != NULL &&
                    strstr(test_err.message, "check its permissions") != NULL &&
                    strstr(test_err.message, strerror(EACCES)) != NULL;
    ri_noderef stray = secret; /* is looked for in all footers */
    memset(stray.pack, 1, sizeof stray.pack);
    if (!says_all || test_check_tree(store, &stray, 1, 3, 100, &test_err) != RILLE_PERMISSION) {
        return 3;
    }
    says_all = strstr(test_err.message, hex) != NULL && strstr(test_err.message, "check its permissions") != NULL &&
               strstr(test_err.message, strerror(EACCES)) != NULL;
    ri_store_release(store);
    return says_all ? 0 : 4;
}

/* Which file it is, why, and what to do. */
TEST(file__says_why_an_object_cannot_be_read)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    uint64_t offset;
    uint64_t len;
    char hex[2 * RI_HASH_SIZE + 1];
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(test_write_tree(store, 1, 3, 100, &secret, &offset, &len, &test_err), RILLE_OK);
    ri_store_release(store);
    ri_hex(hex, secret.pack, RI_HASH_SIZE);
    test_text pack = test_join(dir.path, "/packs/", test_join(hex, ".pack", "").text);
    if (getuid() == 0) {
        CHECK(chmod(dir.path, 0755) == 0 && chmod(pack.text, 0) == 0);
        CHECK_EQ_INT(in_child(reads_what_it_may_not, dir.path, 0), 0);
    }
    CHECK(unlink(pack.text) == 0 && symlink(pack.text, pack.text) == 0);
    REQUIRE_RC(open_file(dir.path, false, &store), RILLE_OK);
    CHECK_RC(test_check_tree(store, &secret, 1, 3, 100, &test_err), RILLE_IO);
    CHECK(strstr(test_err.message, hex) != NULL && strstr(test_err.message, strerror(ELOOP)) != NULL);
    CHECK(strstr(test_err.message, "restore it from a backup") != NULL);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static int creates_where_it_may_not_write(const char *path, rlim_t unused)
{
    ri_store *store;
    (void)unused;
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        return 77;
    }
    if (open_file(path, true, &store) != RILLE_PERMISSION) {
        return 1;
    }
    return strstr(test_err.message, path) != NULL && strstr(test_err.message, "check the permissions") != NULL ? 0 : 2;
}

TEST(file__refuses_to_create_where_it_may_not_write)
{
    test_dir dir = test_dir_fast();
    if (getuid() == 0) {
        CHECK(chmod(dir.path, 0755) == 0);
        CHECK_EQ_INT(in_child(creates_where_it_may_not_write, dir.path, 0), 0);
    }
    test_dir_remove(dir.path);
}

TEST(file__sweeps_what_dead_writers_left)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_revision revision = { { 0 } };
    test_text dead = test_join(dir.path, "/packs/.tmp-dead", "");
    test_text live = test_join(dir.path, "/packs/.tmp-live", "");
    static const char *const more[] = { "/.tmp-dead", "/heads/.tmp-dead", "/blobs/.tmp-dead", "/blobs/0f/.tmp-dead" };
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK(mkdir(test_join(dir.path, "/blobs/0f", "").text, 0755) == 0);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        CHECK(test_file_write(test_join(dir.path, more[i], "").text, "x", 1));
    }
    CHECK(test_file_write(dead.text, "x", 1) && test_file_write(live.text, "x", 1));
    pid_t child = -1;
    int ends[2];
    REQUIRE(pipe(ends) == 0 && (child = fork()) >= 0);
    if (child == 0) { /* a lock belongs to an open file: any open will do */
        int fd = open(live.text, O_RDWR);
        _exit(flock(fd, LOCK_EX) == 0 && write(ends[1], "x", 1) == 1 && pause() == 0);
    }
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK_RC(swap_text(store, &revision, "base", 0), RILLE_OK);
    struct stat info;
    CHECK(stat(dead.text, &info) != 0 && stat(live.text, &info) == 0);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        CHECK(stat(test_join(dir.path, more[i], "").text, &info) != 0);
    }
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    (void)close(ends[0]);
    (void)close(ends[1]);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static void make_fifo(const char *dir, const char *name)
{
    test_text path = test_join(dir, name, "");
    (void)unlink(path.text);
    REQUIRE(mkfifo(path.text, 0644) == 0);
}

/* The opening of a FIFO waits for its other end. */
TEST(file__waits_for_no_fifo)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    ri_store *fresh;
    ri_noderef root;
    rille_head head;
    rille_revision revision = { { 0 } };
    uint64_t offset;
    uint64_t len;
    char hex[2 * RI_HASH_SIZE + 1];
    (void)alarm(600);
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    make_fifo(dir.path, "/.tmp-0123456789abcdef"); /* for the sweep */
    make_fifo(dir.path, "/packs/.tmp-0123456789abcdef");
    CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
    ri_hex(hex, root.pack, RI_HASH_SIZE);
    make_fifo(dir.path, test_join("/packs/", hex, ".pack").text);
    REQUIRE_RC(open_file(dir.path, false, &fresh), RILLE_OK);
    CHECK_RC(test_check_tree(fresh, &root, 1, 3, 100, &test_err), RILLE_CORRUPT);
    CHECK(strstr(test_err.message, hex) != NULL && strstr(test_err.message, "is not a regular file") != NULL);
    make_fifo(dir.path, "/heads/main");
    CHECK_RC(ri_store_head_read(fresh, "main", &head, &test_err), RILLE_CORRUPT);
    CHECK(strstr(test_err.message, "heads/main is not a regular file") != NULL);
    make_fifo(dir.path, "/lock");
    CHECK_RC(swap_text(fresh, &revision, "base+1", 4), RILLE_CORRUPT);
    CHECK(strstr(test_err.message, "\"lock\" is not a regular file") != NULL);
    ri_store_release(fresh);
    make_fifo(dir.path, "/rille");
    CHECK_RC(open_file(dir.path, false, &fresh), RILLE_FOREIGN);
    ri_store_release(store);
    (void)alarm(0);
    test_dir_remove(dir.path);
}

/* A file can be made as long as one likes, for nothing. */
TEST(file__refuses_to_read_more_than_an_object_can_have)
{
    test_dir dir = test_dir_fast();
    rille_backend backend;
    rille_get get = { .object = { .kind = RILLE_OBJECT_BLOB, .id = { 0xab } } };
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, get.object.id, RI_HASH_SIZE);
    test_text path = test_join(dir.path, "/blobs/ab/", hex);
    REQUIRE_RC(ri_backend_file_open(dir.path, true, &backend, &test_err), RILLE_OK);
    CHECK(mkdir(test_join(dir.path, "/blobs/ab", "").text, 0755) == 0);
    CHECK(test_file_write(path.text, "x", 1));
    CHECK(truncate(path.text, (off_t)300 << 20) == 0);
    CHECK_RC(backend.ops->get_many(backend.self, &get, 1, &test_err), RILLE_OK);
    CHECK_EQ_INT(get.rc, RILLE_CORRUPT);
    CHECK(get.bytes == NULL);
    backend.ops->close(backend.self);
    test_dir_remove(dir.path);
}

TEST(file__keeps_nothing_of_branches_that_are_not_there)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_head head;
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK_RC(ri_store_head_read(store, "none", &head, &test_err), RILLE_NOTFOUND);
    long long before = atomic_load(&test_state.live_blocks);
    for (int i = 0; i < 100; i++) {
        char branch[20];
        (void)snprintf(branch, sizeof branch, "none%d", i);
        CHECK_RC(ri_store_head_read(store, branch, &head, &test_err), RILLE_NOTFOUND);
    }
    CHECK_EQ_INT(atomic_load(&test_state.live_blocks), before);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(file__reads_more_packs_than_it_keeps_open)
{
    enum { PACKS = 150 };
    test_dir dir = test_dir_fast();
    static ri_noderef roots[PACKS];
    ri_store *store;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    for (size_t i = 0; i < PACKS; i++) {
        CHECK_RC(test_write_tree(store, i * 10, 2, 50, &roots[i], &offset, &len, &test_err), RILLE_OK);
    }
    ri_store_release(store);
    ri_store_options options = { .cache_bytes = 1 };
    REQUIRE_RC(ri_store_open(test_join("file:", dir.path, "").text, &options, &store, &test_err), RILLE_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < PACKS; i++) {
            CHECK_RC(test_check_tree(store, &roots[i], i * 10, 2, 50, &test_err), RILLE_OK);
        }
    }
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST_MAIN(file__appends_in_place_and_replaces_by_a_new_file, file__replaces_a_head_with_a_torn_end,
          file__undoes_an_append_that_found_no_room, file__says_that_a_user_may_not_write,
          file__says_why_an_object_cannot_be_read, file__refuses_to_create_where_it_may_not_write,
          file__sweeps_what_dead_writers_left, file__waits_for_no_fifo,
          file__refuses_to_read_more_than_an_object_can_have, file__keeps_nothing_of_branches_that_are_not_there,
          file__reads_more_packs_than_it_keeps_open)
