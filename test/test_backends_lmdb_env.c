/* SPDX-License-Identifier: MIT
 *
 * What LMDB asks of the system, refused or counted. This program has its own mmap, which the linker prefers to that of
 * libc.
 */
#include "../src/core/base/bytes.h"
#include "../src/core/store/backends.h"
#include "test_store_support.h"
#include "test_threads.h"

#if RILLE_WITH_LMDB && defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MMAP 0 /* the sanitizer's own must see each map */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MMAP 0
#endif
#endif
#ifndef OWN_MMAP
#define OWN_MMAP 1
#endif

extern long syscall(long number, ...);

static int open_lmdb(const char *path, bool create, ri_store **out)
{
    ri_store_options options = { .create = create, .cache_bytes = 1 << 20 };
    return ri_store_open(test_join("lmdb:", path, "").text, &options, out, &test_err);
}

/* A head that is there and reads as `text`. */
static void check_head(ri_store *store, const char *text)
{
    rille_head head;
    REQUIRE_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    CHECK_EQ_MEM(head.bytes, head.len, text, strlen(text));
    rille_free(head.bytes);
}

/* A blob of noise that is larger than a new map. */
static int put_much(ri_writer *writer, uint64_t seed)
{
    enum { LEN = 20 << 20 };
    static uint8_t noise[LEN];
    uint8_t addr[RI_HASH_SIZE];
    test_rng rng = { seed };
    for (size_t i = 0; i < LEN; i += 8) {
        ri_store_u64(noise + i, test_random(&rng));
    }
    return ri_writer_put_blob(writer, noise, LEN, addr, &test_err);
}

static int write_much(ri_store *store, uint64_t seed)
{
    ri_writer *writer = NULL;
    int rc = ri_writer_new(store, &writer, &test_err);
    rc = rc == RILLE_OK ? put_much(writer, seed) : rc;
    rc = rc == RILLE_OK ? test_set_head(store, "much", "head", 4, writer, &test_err) : rc;
    ri_writer_release(writer);
    return rc;
}

#if OWN_MMAP
#define BIG ((size_t)8 << 20)

/* Seen by shared libraries too. */
__attribute__((visibility("default"))) void *mmap(void *address, size_t len, int protection, int flags, int fd,
                                                  off_t offset);

static struct {
    unsigned big_maps; /* so far */
    unsigned fail_from;
    bool slow;
} maps = { 0, UINT32_MAX, false };

static void dawdle(void)
{
    for (int i = 0; i < 2000; i++) {
        (void)sched_yield();
    }
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (len >= BIG && maps.big_maps++ >= maps.fail_from) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (len >= BIG && maps.slow) {
        dawdle();
    }
    long result = syscall(SYS_mmap, address, len, protection, flags, fd, offset);
    return (void *)result; /* NOLINT(performance-no-int-to-ptr) */
}

static void slow_down(bool slow)
{
    maps.slow = slow;
}

static void refuse_big_maps(unsigned after)
{
    maps.big_maps = 0;
    maps.fail_from = after;
}

TEST(lmdb_env__goes_on_with_a_map_that_cannot_grow)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    REQUIRE_RC(open_lmdb(test_join(dir.path, "/db", "").text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    refuse_big_maps(0);
    CHECK_RC(write_much(store, 1), RILLE_FULL);
    CHECK(strstr(test_err.message, "ulimit -v") != NULL);
    check_head(store, "head");
    CHECK_RC(test_set_head(store, "side", "small", 5, NULL, &test_err), RILLE_OK);
    refuse_big_maps(UINT32_MAX);
    CHECK_RC(write_much(store, 1), RILLE_OK);
    check_head(store, "head");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(lmdb_env__says_that_a_lost_map_needs_a_reopening)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    rille_head head;
    test_text path = test_join(dir.path, "/db", "");
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    refuse_big_maps(1); /* asked for, and taken by somebody else meanwhile */
    CHECK_RC(write_much(store, 1), RILLE_IO);
    refuse_big_maps(UINT32_MAX);
    CHECK(strstr(test_err.message, "reconnect") != NULL);
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_IO);
    CHECK_RC(test_set_head(store, "side", "small", 5, NULL, &test_err), RILLE_IO);
    CHECK(strstr(test_err.message, "reconnect") != NULL);
    CHECK_EQ_INT(ri_store_size_bytes(store), 0);
    ri_store_release(store);
    REQUIRE_RC(open_lmdb(path.text, false, &store), RILLE_OK);
    check_head(store, "head");
    CHECK_RC(write_much(store, 1), RILLE_OK);
    ri_store_release(store);
    test_dir_remove(dir.path);
}
#else
static void slow_down(bool slow)
{
    (void)slow;
}

TEST(lmdb_env__goes_on_with_a_map_that_cannot_grow)
{
}

TEST(lmdb_env__says_that_a_lost_map_needs_a_reopening)
{
}
#endif

/* ---- readers that died ---- */

/* In a child: takes every place that is left in the table of readers. */
static int take_all_places(const char *path)
{
    MDB_env *env;
    MDB_txn *txn;
    int code = 0;
    if (mdb_env_create(&env) != 0 || mdb_env_open(env, path, MDB_NOTLS, 0644) != 0) {
        return 1;
    }
    while (code == 0) {
        code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    }
    return code == MDB_READERS_FULL ? 0 : 2;
}

TEST(lmdb_env__finds_the_places_of_readers_that_died)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    ri_store *store;
    ri_writer *writer;
    int status = 1;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    CHECK_RC(put_much(writer, 1), RILLE_OK); /* the map grows: this process has no place any more */
    pid_t child = fork();
    if (child == 0) {
        _exit(take_all_places(path.text));
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_head(store, "head");
    ri_writer_release(writer);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* ---- dropping ---- */

static struct {
    const char *place; /* its directory, when it is looked at */
    char names[2][20];
    unsigned count;
    unsigned unlocked; /* removals and syncs while nobody held the lock of the directory */
    bool die;          /* after the first */
} removed;

static bool is_locked(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool locked = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0; /* one that is gone needs none */
    (void)close(fd);
    return locked;
}

int unlinkat(int dir, const char *path, int flags);

int unlinkat(int dir, const char *path, int flags)
{
    removed.unlocked += removed.place != NULL && !is_locked(removed.place);
    if (removed.count < 2) {
        (void)snprintf(removed.names[removed.count++], sizeof removed.names[0], "%s", path);
    }
    int rc = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (removed.die) {
        _exit(0);
    }
    return rc;
}

TEST(lmdb_env__makes_and_drops_under_the_lock_of_the_directory)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    ri_store *store;
    removed.count = 0;
    removed.unlocked = 0;
    removed.place = path.text;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK(!is_locked(path.text));
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    removed.place = NULL;
    CHECK_EQ_INT(removed.unlocked, 0);
    CHECK_EQ_INT(removed.count, 2);
    CHECK(strcmp(removed.names[0], "data.mdb") == 0 && strcmp(removed.names[1], "lock.mdb") == 0);
    CHECK(access(path.text, F_OK) != 0);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static ino_t inode_of(const char *path)
{
    struct stat info = { 0 };
    return stat(path, &info) == 0 ? info.st_ino : 0;
}

static int drop_and_die(const char *path)
{
    ri_store *store;
    if (open_lmdb(path, false, &store) != RILLE_OK) {
        return 1;
    }
    removed.die = true;
    (void)ri_store_drop(store, &test_err);
    return 2;
}

TEST(lmdb_env__begins_anew_after_a_drop_that_died)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text lock = test_join(path.text, "/lock.mdb", "");
    ri_store *old;
    ri_store *store;
    int status = 1;
    REQUIRE_RC(open_lmdb(path.text, true, &old), RILLE_OK);
    CHECK_RC(test_set_head(old, "main", "old", 3, NULL, &test_err), RILLE_OK);
    ino_t lock_inode = inode_of(lock.text);
    pid_t child = fork();
    if (child == 0) {
        _exit(drop_and_die(path.text));
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_RC(test_set_head(old, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
    CHECK_RC(open_lmdb(path.text, false, &store), RILLE_NOTFOUND);
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK(lock_inode != 0 && inode_of(lock.text) != lock_inode);
    CHECK_RC(test_set_head(store, "main", "new", 3, NULL, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(old, "main", "late", 4, NULL, &test_err), RILLE_NOTFOUND);
    CHECK_RC(ri_store_drop(old, &test_err), RILLE_NOTFOUND);
    ri_store_release(old);
    check_head(store, "new");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* ---- making ---- */

static bool dies_at_write; /* of the process, at the first write of data.mdb */

/* Seen by shared libraries too. */
__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset);

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (dies_at_write) {
        _exit(0);
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, offset);
}

TEST(lmdb_env__begins_anew_after_a_creation_that_died)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    ri_store *store;
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        dies_at_write = true;
        (void)open_lmdb(path.text, true, &store);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(access(test_join(path.text, "/data.mdb", "").text, F_OK) != 0);
    CHECK(rmdir(path.text) != 0); /* a temporary file is left */
    CHECK_RC(open_lmdb(path.text, false, &store), RILLE_NOTFOUND);
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    check_head(store, "head");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* ---- users ---- */

/* What a user without any rights is told when it opens the database. */
static int open_as_stranger(const char *path, bool create, const char *remedy)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        ri_store *store;
        test_err.message[0] = '\0';
        int rc = setgid(65534) != 0 || setuid(65534) != 0 ? RILLE_MISUSE : open_lmdb(path, create, &store);
        bool told = strstr(test_err.message, remedy) != NULL;
        rille_head head = { 0 };
        rc = rc == RILLE_OK ? ri_store_head_read(store, "main", &head, &test_err) : rc;
        _exit(told ? -rc : 99);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

TEST(lmdb_env__says_what_a_user_may_not_do)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text data = test_join(path.text, "/data.mdb", "");
    test_text lock = test_join(path.text, "/lock.mdb", "");
    ri_store *store;
    if (getuid() != 0) {
        test_dir_remove(dir.path);
        return; /* only root can become somebody else */
    }
    CHECK(chmod(dir.path, 0755) == 0 && mkdir(path.text, 0755) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, true, "check the permissions of the directory"), RILLE_PERMISSION);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "there is no database in the directory"), RILLE_NOTFOUND);
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    ri_store_release(store);
    CHECK(chmod(path.text, 0) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "check the read and search permissions"), RILLE_PERMISSION);
    CHECK(chmod(path.text, 0444) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, true, "check the read and search permissions"), RILLE_PERMISSION);
    CHECK(chmod(path.text, 0755) == 0 && chmod(data.text, 0644) == 0 && chmod(lock.text, 0644) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "check its permissions"), RILLE_PERMISSION);
    CHECK(chmod(data.text, 0666) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "check its permissions"), RILLE_PERMISSION);
    CHECK(chmod(data.text, 0600) == 0 && chmod(lock.text, 0666) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "check its permissions"), RILLE_PERMISSION);
    CHECK(chmod(data.text, 0444) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, ""), RILLE_OK);
    CHECK(unlink(lock.text) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, "check the permissions of the directory"), RILLE_PERMISSION);
    test_dir_remove(dir.path);
}

/* A transaction that takes pages and gives them back: they are free, and were never written. */
static int take_and_give_back(MDB_env *env)
{
    static uint8_t bytes[1 << 20];
    char name[] = "much";
    MDB_val key = { 4, name };
    MDB_val small = { 3000, bytes };
    MDB_val large = { sizeof bytes, bytes };
    MDB_txn *txn;
    MDB_dbi dbi;
    int code = mdb_txn_begin(env, NULL, 0, &txn);
    code = code == 0 ? mdb_dbi_open(txn, NULL, 0, &dbi) : code;
    code = code == 0 ? mdb_put(txn, dbi, &key, &small, 0) : code;
    code = code == 0 ? mdb_put(txn, dbi, &key, &large, 0) : code;
    code = code == 0 ? mdb_del(txn, dbi, &key, NULL) : code;
    return code == 0 ? mdb_txn_commit(txn) : code;
}

/* True when the file ends before its last page. */
static bool make_short(const char *path)
{
    MDB_env *env;
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file = { 0 };
    int fd;
    bool is_short = false;
    if (mdb_env_create(&env) != 0 || mdb_env_open(env, path, 0, 0644) != 0) {
        return false;
    }
    for (int i = 0; i < 20 && !is_short && take_and_give_back(env) == 0; i++) {
        is_short = mdb_env_info(env, &info) == 0 && mdb_env_stat(env, &stat) == 0 && mdb_env_get_fd(env, &fd) == 0 &&
                   fstat(fd, &file) == 0 && (uint64_t)file.st_size < ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    }
    mdb_env_close(env);
    return is_short;
}

TEST(lmdb_env__lets_readers_open_a_file_that_ends_before_free_pages)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text data = test_join(path.text, "/data.mdb", "");
    test_text lock = test_join(path.text, "/lock.mdb", "");
    ri_store *store;
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    if (getuid() != 0) {
        test_dir_remove(dir.path);
        return; /* only root can become somebody else */
    }
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    CHECK_RC(test_write_tree(store, 1, 60, 3001, &root, &offset, &len, &test_err), RILLE_OK);
    ri_store_release(store);
    REQUIRE(make_short(path.text));
    CHECK(chmod(dir.path, 0755) == 0 && chmod(path.text, 0755) == 0);
    CHECK(chmod(data.text, 0444) == 0 && chmod(lock.text, 0666) == 0);
    CHECK_EQ_INT(open_as_stranger(path.text, false, ""), RILLE_OK);
    CHECK(truncate(data.text, 3L * 4096) == 0); /* no page of the tree is there any more */
    CHECK_EQ_INT(open_as_stranger(path.text, false, "restore it from a backup"), RILLE_CORRUPT);
    test_dir_remove(dir.path);
}

/* ---- syncs of directories ---- */

static unsigned dir_syncs;

int fsync(int fd);

int fsync(int fd)
{
    struct stat info;
    dir_syncs += fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    removed.unlocked += removed.place != NULL && !is_locked(removed.place);
    return (int)syscall(SYS_fsync, fd);
}

TEST(lmdb_env__makes_the_names_of_its_files_durable_once)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    test_text path = test_join(dir.path, "/db", "");
    dir_syncs = 0;
    REQUIRE_RC(open_lmdb(path.text, true, &store), RILLE_OK);
    CHECK_EQ_INT(dir_syncs, 3); /* data.mdb before lock.mdb; both; the directory itself */
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    CHECK_EQ_INT(dir_syncs, 3);
    ri_store_release(store);
    REQUIRE_RC(open_lmdb(path.text, false, &store), RILLE_OK); /* whoever made it may have died */
    CHECK_EQ_INT(dir_syncs, 3);
    CHECK_RC(test_set_head(store, "main", "more", 4, NULL, &test_err), RILLE_OK);
    CHECK_EQ_INT(dir_syncs, 5);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* ---- threads ---- */

typedef struct size_args {
    ri_store *store;
    atomic_bool stop;
    bool shrank;
} size_args;

static void *ask_for_the_size(void *argument)
{
    size_args *args = argument;
    uint64_t last = 0;
    while (!atomic_load(&args->stop)) {
        uint64_t now = ri_store_size_bytes(args->store);
        args->shrank = args->shrank || now < last;
        last = now;
    }
    return NULL;
}

TEST(lmdb_env__tells_its_size_while_the_map_grows)
{
    test_dir dir = test_dir_fast();
    test_thread thread;
    size_args args = { .shrank = false };
    REQUIRE_RC(open_lmdb(test_join(dir.path, "/db", "").text, true, &args.store), RILLE_OK);
    atomic_init(&args.stop, TEST_HAS_THREADS == 0);
    REQUIRE(test_thread_start(&thread, ask_for_the_size, &args));
    slow_down(true);
    for (uint64_t i = 0; i < 4; i++) {
        CHECK_RC(write_much(args.store, i), RILLE_OK);
    }
    slow_down(false);
    atomic_store(&args.stop, true);
    test_thread_join(&thread);
    CHECK(!args.shrank);
    ri_store_release(args.store);
    test_dir_remove(dir.path);
}

TEST_MAIN(lmdb_env__goes_on_with_a_map_that_cannot_grow, lmdb_env__says_that_a_lost_map_needs_a_reopening,
          lmdb_env__finds_the_places_of_readers_that_died, lmdb_env__makes_and_drops_under_the_lock_of_the_directory,
          lmdb_env__begins_anew_after_a_drop_that_died, lmdb_env__begins_anew_after_a_creation_that_died,
          lmdb_env__says_what_a_user_may_not_do, lmdb_env__lets_readers_open_a_file_that_ends_before_free_pages,
          lmdb_env__makes_the_names_of_its_files_durable_once, lmdb_env__tells_its_size_while_the_map_grows)
#else
TEST(lmdb_env__is_tested_on_linux)
{
}

TEST_MAIN(lmdb_env__is_tested_on_linux)
#endif
