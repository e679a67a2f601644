/* SPDX-License-Identifier: MIT */
#include "../src/core/store/backends.h"
#include "test_store_support.h"
#include "test_threads.h"

#if RILLE_WITH_LMDB
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int open_lmdb(const char *path, bool create, ri_store **out)
{
    ri_store_options options = { .create = create, .cache_bytes = 1 << 20 };
    return ri_store_open(test_join("lmdb:", path, "").text, &options, out, &test_err);
}

/* Puts one row into the environment, as anybody could. */
static void put_row(const char *path, const char *key, const void *bytes, size_t len)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi = 0;
    char name[40];
    char value[40];
    (void)snprintf(name, sizeof name, "%s", key);
    memcpy(value, bytes, len);
    MDB_val row[2] = { { strlen(key), name }, { len, value } };
    REQUIRE(mdb_env_create(&env) == 0 && mdb_env_open(env, path, 0, 0644) == 0);
    REQUIRE(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
    REQUIRE(mdb_put(txn, dbi, &row[0], &row[1], 0) == 0 && mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

TEST(lmdb__says_what_is_wrong_with_a_place)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    CHECK_RC(open_lmdb(test_join(dir.path, "/none", "").text, false, &store), RILLE_NOTFOUND);
    CHECK_RC(open_lmdb(dir.path, false, &store), RILLE_NOTFOUND);
    CHECK(test_file_write(test_join(dir.path, "/letter", "").text, "dear", 4));
    CHECK_RC(open_lmdb(dir.path, true, &store), RILLE_FOREIGN);
    CHECK_RC(open_lmdb(test_join(dir.path, "/letter", "").text, true, &store), RILLE_FOREIGN);
    CHECK(unlink(test_join(dir.path, "/letter", "").text) == 0);

    put_row(dir.path, "somebody", "else", 4);
    CHECK_RC(open_lmdb(dir.path, true, &store), RILLE_FOREIGN);
    put_row(dir.path, "format", "\2\0\0\0", 4);
    CHECK_RC(open_lmdb(dir.path, false, &store), RILLE_FORMAT);
    put_row(dir.path, "format", "\1\0\0\0", 4);
    CHECK_RC(open_lmdb(dir.path, false, &store), RILLE_OK);
    ri_store_release(store);

    uint8_t noise[4096];
    memset(noise, 0x5a, sizeof noise);
    CHECK(test_file_write(test_join(dir.path, "/data.mdb", "").text, noise, sizeof noise));
    CHECK_RC(open_lmdb(dir.path, false, &store), RILLE_FOREIGN);
    CHECK(store == NULL);
    test_dir_remove(dir.path);
}

TEST(lmdb__refuses_damaged_rows_of_a_head)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_head head;
    rille_revision revision;
    REQUIRE_RC(open_lmdb(dir.path, true, &store), RILLE_OK);
    ri_store_release(store);
    put_row(dir.path, "h/main", "short", 5);
    put_row(dir.path, "h/side", "\1\0\0\0\0\0\0\0\377\377\0\0\0\0\0\0\1\0\0\0\0\0\0\0",
            24); /* rows that are not there */
    REQUIRE_RC(open_lmdb(dir.path, false, &store), RILLE_OK);
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_CORRUPT);
    CHECK_RC(ri_store_head_read(store, "side", &head, &test_err), RILLE_CORRUPT);
    rille_head_swap swap = { .branch = "main", .cell = (const uint8_t *)"x", .cell_len = 1 };
    CHECK_RC(ri_store_head_swap(store, &swap, NULL, &revision, &test_err), RILLE_CORRUPT);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* The map begins at 16 MiB. */
TEST(lmdb__grows_its_map_and_follows_the_growth_of_others)
{
    enum { TREES = 6, LEAVES = 100, PAYLOAD = 60001 };
    test_dir dir = test_dir_new();
    ri_store *store;
    ri_store *parent_store;
    test_text path = test_join(dir.path, "/db", "");
    ri_noderef roots[TREES];
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(open_lmdb(path.text, true, &parent_store), RILLE_OK);
    CHECK_RC(test_set_head(parent_store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    pid_t child = fork();
    if (child == 0) {
        int rc = open_lmdb(path.text, false, &store);
        for (uint64_t i = 0; i < TREES && rc == RILLE_OK; i++) {
            rc = test_write_tree(store, i * 1000, LEAVES, PAYLOAD, &roots[i], &offset, &len, NULL);
        }
        _exit(rc == RILLE_OK ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    /* what the child wrote lies beyond this process's map */
    for (uint64_t i = 0; i < TREES; i++) {
        ri_noderef root = { 0 };
        ri_noderef leaves[LEAVES];
        for (uint64_t j = 0; j < LEAVES; j++) {
            ri_buf leaf = test_node_bytes(0, NULL, 0, i * 1000 + j, PAYLOAD);
            ri_blake2b(leaves[j].addr, leaf.p, leaf.len);
            ri_buf_deinit(&leaf);
        }
        ri_buf branch = test_node_bytes(1, leaves, LEAVES, 0, 0);
        ri_blake2b(root.addr, branch.p, branch.len);
        ri_buf_deinit(&branch);
        CHECK_RC(test_check_tree(parent_store, &root, i * 1000, LEAVES, PAYLOAD, &test_err), RILLE_OK);
    }
    CHECK_RC(test_write_tree(parent_store, 90000, LEAVES, PAYLOAD, &roots[0], &offset, &len, &test_err), RILLE_OK);
    CHECK_RC(test_check_tree(parent_store, &roots[0], 90000, LEAVES, PAYLOAD, &test_err), RILLE_OK);
    ri_store_release(parent_store);
    test_dir_remove(dir.path);
}

TEST(lmdb__shares_one_environment_between_handles)
{
    test_dir dir = test_dir_fast();
    ri_store *one;
    ri_store *two;
    REQUIRE_RC(open_lmdb(test_join(dir.path, "/db", "").text, true, &one), RILLE_OK);
    REQUIRE_RC(open_lmdb(test_join(dir.path, "/./db/", "").text, false, &two), RILLE_OK);
    CHECK_RC(test_set_head(one, "main", "one", 3, NULL, &test_err), RILLE_OK);
    ri_store_release(one); /* must not take the locks of the other with it */
    CHECK_RC(test_set_head(two, "main", "two", 3, NULL, &test_err), RILLE_OK);
    pid_t child = fork();
    if (child == 0) {
        int rc = open_lmdb(test_join(dir.path, "/db", "").text, false, &one);
        rc = rc == RILLE_OK ? test_set_head(one, "main", "three", 5, NULL, NULL) : rc;
        _exit(rc == RILLE_OK ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    rille_head head;
    REQUIRE_RC(ri_store_head_read(two, "main", &head, &test_err), RILLE_OK);
    CHECK_EQ_MEM(head.bytes, head.len, "three", 5);
    rille_free(head.bytes);
    ri_store_release(two);
    test_dir_remove(dir.path);
}

TEST(lmdb__knows_that_its_files_were_removed)
{
    test_dir dir = test_dir_fast();
    ri_store *old;
    ri_store *fresh;
    rille_head head;
    test_text path = test_join(dir.path, "/db", "");
    REQUIRE_RC(open_lmdb(path.text, true, &old), RILLE_OK);
    CHECK_RC(test_set_head(old, "main", "old", 3, NULL, &test_err), RILLE_OK);
    test_dir_remove(path.text);
    CHECK_RC(test_set_head(old, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
    CHECK_RC(ri_store_head_read(old, "main", &head, &test_err), RILLE_NOTFOUND);
    CHECK_RC(open_lmdb(path.text, false, &fresh), RILLE_NOTFOUND);
    REQUIRE_RC(open_lmdb(path.text, true, &fresh), RILLE_OK);
    CHECK_RC(test_set_head(fresh, "main", "fresh", 5, NULL, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(old, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
    ri_store_release(old); /* not what is there now */
    REQUIRE_RC(ri_store_head_read(fresh, "main", &head, &test_err), RILLE_OK);
    CHECK_EQ_MEM(head.bytes, head.len, "fresh", 5);
    rille_free(head.bytes);
    ri_store_release(fresh);
    test_dir_remove(dir.path);
}

TEST(lmdb__refuses_pipes_and_directories_in_place_of_its_files)
{
    static const char *const names[] = { "data.mdb", "lock.mdb" };
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    for (size_t i = 0; i < 8; i++) {
        const char *name = names[i & 1];
        test_text file = test_join(path.text, "/", name);
        ri_store *store;
        bool has_other = i >= 4; /* the other file is there */
        CHECK(mkdir(path.text, 0755) == 0);
        if (has_other) {
            REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
            ri_store_release(store);
            CHECK(unlink(file.text) == 0);
        }
        CHECK(((i & 2) != 0 ? mkdir(file.text, 0755) : mkfifo(file.text, 0644)) == 0);
        for (int create = 0; create < 2; create++) {
            CHECK_RC(open_lmdb(path.text, create == 1, &store), RILLE_FOREIGN);
            CHECK(strstr(test_err.message, name) != NULL);
        }
        test_dir_remove(path.text);
    }
    test_dir_remove(dir.path);
}

/* LMDB would write to what it leads to, also when it only reads the database. */
TEST(lmdb__follows_no_link)
{
    static const char *const names[] = { "data.mdb", "lock.mdb" };
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text target = test_join(dir.path, "/target", "");
    for (size_t i = 0; i < 8; i++) {
        test_text file = test_join(path.text, "/", names[i & 1]);
        ri_store *store;
        size_t len;
        CHECK(mkdir(path.text, 0755) == 0);
        if ((i & 2) != 0) { /* the other file is there */
            REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
            ri_store_release(store);
            CHECK(unlink(file.text) == 0);
        }
        CHECK((i & 4) != 0 || test_file_write(target.text, "x", 1)); /* there is a target */
        CHECK(symlink(target.text, file.text) == 0);
        for (int create = 0; create < 2; create++) {
            CHECK_RC(open_lmdb(path.text, create == 1, &store), RILLE_FOREIGN);
            CHECK(strstr(test_err.message, names[i & 1]) != NULL);
        }
        uint8_t *bytes = test_file_read(target.text, &len);
        CHECK((i & 4) != 0 ? bytes == NULL : len == 1 && bytes[0] == 'x');
        free(bytes);
        (void)unlink(target.text);
        test_dir_remove(path.text);
    }
    test_dir_remove(dir.path);
}

/* Two environments of a process on one lock.mdb lose its locks when one is closed. */
TEST(lmdb__refuses_files_that_were_replaced_while_it_has_them)
{
    static const char *const names[] = { "/data.mdb", "/lock.mdb" };
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text other_path = test_join(dir.path, "/other", "");
    for (size_t i = 0; i < 2; i++) {
        ri_store *old;
        ri_store *store;
        REQUIRE_RC(open_lmdb(path.text, true, &old), RILLE_OK);
        CHECK_RC(test_set_head(old, "main", "old", 3, NULL, &test_err), RILLE_OK);
        REQUIRE_RC(open_lmdb(other_path.text, true, &store), RILLE_OK);
        ri_store_release(store);
        CHECK(rename(test_join(other_path.text, names[i], "").text, test_join(path.text, names[i], "").text) == 0);
        CHECK_RC(open_lmdb(path.text, false, &store), RILLE_BUSY);
        CHECK(strstr(test_err.message, "close all connections") != NULL);
        CHECK_RC(test_set_head(old, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
        ri_store_release(old);
        REQUIRE_RC(open_lmdb(path.text, false, &store), RILLE_OK);
        ri_store_release(store);
        test_dir_remove(path.text);
        test_dir_remove(other_path.text);
    }
    test_dir_remove(dir.path);
}

TEST(lmdb__does_not_write_when_the_lock_was_removed)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    ri_store *store;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    CHECK(unlink(test_join(path.text, "/lock.mdb", "").text) == 0);
    CHECK_RC(test_set_head(store, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
    ri_store_release(store);
    REQUIRE_RC(open_lmdb(path.text, false, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "more", 4, NULL, &test_err), RILLE_OK);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(lmdb__gives_no_revision_of_a_dropped_database_again)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    ri_store *store;
    rille_revision revision[2];
    rille_head_swap swap = { .branch = "main", .cell = (const uint8_t *)"x", .cell_len = 1 };
    for (size_t i = 0; i < 2; i++) {
        REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
        CHECK_RC(ri_store_head_swap(store, &swap, NULL, &revision[i], &test_err), RILLE_OK);
        CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
        ri_store_release(store);
    }
    CHECK(memcmp(&revision[0], &revision[1], sizeof revision[0]) != 0);
    test_dir_remove(dir.path);
}

/* Without care LMDB dies of SIGBUS. */
TEST(lmdb__opens_or_refuses_a_file_that_was_cut_short)
{
    enum { LEAVES = 60, PAYLOAD = 3001, CUTS = 40 };
    static uint8_t bytes[1 << 20];
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text cut_path = test_join(dir.path, "/cut", "");
    ri_store *store;
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    CHECK_RC(test_write_tree(store, 1, LEAVES, PAYLOAD, &root, &offset, &len, &test_err), RILLE_OK);
    ri_store_release(store);
    FILE *in = fopen(test_join(path.text, "/data.mdb", "").text, "rb");
    REQUIRE(in != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, in);
    CHECK(fclose(in) == 0 && size > 100000 && size < sizeof bytes);
    int damaged = 0;
    for (size_t i = 0; i < CUTS; i++) {
        CHECK(mkdir(cut_path.text, 0755) == 0);
        CHECK(test_file_write(test_join(cut_path.text, "/data.mdb", "").text, bytes, size * i / CUTS));
        int rc = open_lmdb(cut_path.text, false, &store);
        if (rc == RILLE_OK) {
            rille_head head = { 0 };
            rc = ri_store_head_read(store, "main", &head, &test_err);
            rille_free(head.bytes);
            int tree_rc = test_check_tree(store, &root, 1, LEAVES, PAYLOAD, &test_err);
            rc = rc == RILLE_OK ? tree_rc : rc;
            ri_store_release(store);
        }
        damaged += rc < 0;
        test_dir_remove(cut_path.text);
    }
    CHECK(damaged > CUTS * 3 / 4);
    test_dir_remove(dir.path);
}

TEST(lmdb__tells_a_file_without_bytes_from_a_creation_that_died)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text data = test_join(path.text, "/data.mdb", "");
    ri_store *store;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    ri_store_release(store);
    CHECK(truncate(data.text, 0) == 0);
    for (int create = 0; create < 2; create++) {
        CHECK_RC(open_lmdb(path.text, create == 1, &store), RILLE_CORRUPT);
        CHECK(strstr(test_err.message, "restore it from a backup") != NULL);
    }
    CHECK(unlink(test_join(path.text, "/lock.mdb", "").text) == 0);
    CHECK_RC(open_lmdb(path.text, false, &store), RILLE_NOTFOUND);
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static int with_file_size_limit(const char *path)
{
    ri_store *store;
    ri_noderef root;
    ri_noderef first;
    uint64_t offset;
    uint64_t len;
    rille_err err;
    struct rlimit size = { 2 << 20, 2 << 20 };
    (void)signal(SIGXFSZ, SIG_IGN);
    if (open_lmdb(path, false, &store) != RILLE_OK || setrlimit(RLIMIT_FSIZE, &size) != 0 ||
        test_write_tree(store, 1, 10, 1001, &first, &offset, &len, &err) != RILLE_OK) {
        return 1;
    }
    if (test_write_tree(store, 1001, 100, 60001, &root, &offset, &len, &err) != RILLE_FULL) {
        return 2;
    }
    if (test_check_tree(store, &first, 1, 10, 1001, &err) != RILLE_OK) {
        return 3;
    }
    return 0;
}

TEST(lmdb__says_that_there_is_no_room)
{
    test_dir dir = test_dir_new();
    ri_store *store;
    rille_head head;
    test_text path = test_join(dir.path, "/db", "");
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    ri_store_release(store);
    pid_t child = fork();
    if (child == 0) {
        _exit(with_file_size_limit(path.text));
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ_INT(WIFEXITED(status) ? WEXITSTATUS(status) : 255, 0);
    REQUIRE_RC(open_lmdb(path.text, false, &store), RILLE_OK);
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    rille_free(head.bytes);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* ---- threads: reads go on while the map grows ---- */

typedef struct reader_args {
    ri_store *store;
    const ri_noderef *root;
    atomic_bool *stop;
    int rc;
    unsigned rounds;
} reader_args;

static void *read_on(void *argument)
{
    reader_args *args = argument;
    while (!atomic_load(args->stop) && args->rc == RILLE_OK) {
        args->rc = test_check_tree(args->store, args->root, 1, 20, 2001, NULL);
        args->rounds++;
    }
    return NULL;
}

TEST(lmdb__reads_while_the_map_grows)
{
    enum { READERS = 3 };
    test_dir dir = test_dir_new();
    ri_store *store;
    ri_noderef root;
    ri_noderef other;
    uint64_t offset;
    uint64_t len;
    atomic_bool stop;
    test_thread threads[READERS];
    reader_args args[READERS];
    ri_store_options options = { .create = true, .cache_bytes = 1 };
    REQUIRE_RC(ri_store_open(test_join("lmdb:", dir.path, "/db").text, &options, &store, &test_err), RILLE_OK);
    REQUIRE_RC(test_write_tree(store, 1, 20, 2001, &root, &offset, &len, &test_err), RILLE_OK);
    atomic_init(&stop, TEST_HAS_THREADS == 0);
    for (size_t i = 0; i < READERS; i++) {
        args[i] = (reader_args){ .store = store, .root = &root, .stop = &stop };
        REQUIRE(test_thread_start(&threads[i], read_on, &args[i]));
    }
    for (uint64_t i = 0; i < 6; i++) {
        CHECK_RC(test_write_tree(store, 1001 + 1000 * i, 100, 60001, &other, &offset, &len, &test_err), RILLE_OK);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < READERS; i++) {
        test_thread_join(&threads[i]);
        CHECK_RC(args[i].rc, RILLE_OK);
    }
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST_MAIN(lmdb__says_what_is_wrong_with_a_place, lmdb__refuses_damaged_rows_of_a_head,
          lmdb__grows_its_map_and_follows_the_growth_of_others, lmdb__shares_one_environment_between_handles,
          lmdb__knows_that_its_files_were_removed, lmdb__follows_no_link,
          lmdb__refuses_pipes_and_directories_in_place_of_its_files,
          lmdb__refuses_files_that_were_replaced_while_it_has_them, lmdb__does_not_write_when_the_lock_was_removed,
          lmdb__gives_no_revision_of_a_dropped_database_again, lmdb__opens_or_refuses_a_file_that_was_cut_short,
          lmdb__tells_a_file_without_bytes_from_a_creation_that_died, lmdb__says_that_there_is_no_room,
          lmdb__reads_while_the_map_grows)
#else
TEST(lmdb__is_said_to_be_missing)
{
    ri_store *store;
    CHECK_RC(ri_store_open("lmdb:x", NULL, &store, &test_err), RILLE_UNSUPPORTED);
}

TEST_MAIN(lmdb__is_said_to_be_missing)
#endif
