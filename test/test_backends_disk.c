/* SPDX-License-Identifier: MIT
 *
 * The n-th write, sync, rename or open of a file: database fails, for each n. This program has its own pwrite,
 * fdatasync, fsync, renameat and openat, which the linker prefers to those of libc.
 */
#include "../src/core/store/backends.h"
#include "test_store_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) && defined(SYS_openat) && defined(SYS_renameat)
extern long syscall(long number, ...);
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset);
int fdatasync(int fd);
int fsync(int fd);
int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name);
int openat(int dir, const char *path, int flags, ...);

static struct {
    long calls;
    long fail_from; /* -1: none */
    long fail_to;
    int errnum;
    bool no_new_files;
    void (*fail_sync)(void); /* the next sync of a file calls it and fails */
    void (*no_marker)(void); /* the next open that finds no marker calls it */
    bool disk_full;          /* no file can grow, what is there can be written over */
    long pwrites;            /* since they were set to 0 */
    long file_syncs;
    char dir_syncs[400]; /* their names, each before a space */
} faults = { .fail_from = -1, .fail_to = -1 };

static bool is_hit(void)
{
    long call = faults.calls++;
    bool hit = faults.fail_from >= 0 && call >= faults.fail_from && call <= faults.fail_to;
    if (hit) {
        errno = faults.errnum;
    }
    return hit;
}

/* A write that fails has written half of what makes the file grow, and nothing over what is there. */
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    struct stat info;
    bool grows = fstat(fd, &info) == 0 && offset + (off_t)len > info.st_size;
    bool hit = is_hit();
    int errnum = hit ? faults.errnum : ENOSPC;
    hit = hit || (faults.disk_full && grows);
    faults.pwrites++;
    size_t fitting = !hit ? len : grows ? len / 2 : 0;
    long n = syscall(SYS_pwrite64, fd, bytes, fitting, offset);
    errno = hit ? errnum : errno;
    return hit ? -1 : (ssize_t)n;
}

int fdatasync(int fd)
{
    faults.file_syncs++;
    if (faults.fail_sync != NULL) {
        void (*call)(void) = faults.fail_sync;
        faults.fail_sync = NULL;
        call();
        errno = ENOSPC;
        return -1;
    }
    return is_hit() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    char link[40];
    char path[200];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t path_len = readlink(link, path, sizeof path - 1);
    path[path_len > 0 ? path_len : 0] = '\0';
    const char *slash = strrchr(path, '/');
    size_t len = strlen(faults.dir_syncs);
    (void)snprintf(faults.dir_syncs + len, sizeof faults.dir_syncs - len, "%s ", slash == NULL ? path : slash + 1);
    return is_hit() ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
    return faults.errnum != EINTR && is_hit() ? -1 /* is never interrupted */
                                              : (int)syscall(SYS_renameat, old_dir, old_name, new_dir, new_name);
}

int openat(int dir, const char *path, int flags, ...)
{
    bool hit = is_hit() && (flags & (O_RDWR | O_WRONLY)) != 0;
    if (faults.no_new_files && (flags & O_EXCL) != 0) {
        errno = ENOSPC;
        return -1;
    }
    int fd = hit ? -1 : (int)syscall(SYS_openat, dir, path, flags, 0666);
    if (fd < 0 && faults.no_marker != NULL && strcmp(path, "rille") == 0) {
        void (*call)(void) = faults.no_marker;
        faults.no_marker = NULL;
        call();
        errno = ENOENT;
    }
    return fd;
}

/* ---- a history of commits ---- */

enum { COMMITS = 8, RECORD = 16 };

static rille_err commit_err; /* of the last commit that failed */

/* Commit `number`: appends a record to the head, or (every third) begins it anew, with a leaf in a pack. */
static int commit(ri_store *store, unsigned number)
{
    rille_head head;
    rille_revision revision;
    ri_writer *writer = NULL;
    ri_noderef leaf;
    uint8_t cell[COMMITS * RECORD + RECORD] = { 0 };
    int rc = ri_store_head_read(store, "main", &head, &commit_err);
    if (rc != RILLE_OK && rc != RILLE_NOTFOUND) {
        return rc;
    }
    size_t whole = head.len - head.len % RECORD;
    while (whole > 0 && head.bytes[whole - 1] == 0) { /* an append that was erased */
        whole -= RECORD;
    }
    bool fresh = number % 3 == 0 || whole > COMMITS * RECORD;
    size_t kept = fresh ? 0 : whole;
    if (kept > 0) {
        memcpy(cell, head.bytes, kept);
    }
    memset(cell + kept, (int)number + 1, RECORD);
    rille_head_swap swap = {
        .branch = "main", .expected = head.revision, .cell = cell, .cell_len = kept + RECORD, .durable = true
    };
    swap.kept_len = kept;
    rc = fresh ? ri_writer_new(store, &writer, &commit_err) : RILLE_OK;
    rc = rc == RILLE_OK && fresh ? test_put_leaf(writer, number, 100, &leaf, &commit_err) : rc;
    rc = rc == RILLE_OK ? ri_store_head_swap(store, &swap, writer, &revision, &commit_err) : rc;
    ri_writer_release(writer);
    rille_free(head.bytes);
    return rc;
}

/* The number of the newest whole record; 0: none. Records before it must be whole. */
static unsigned newest(const char *url)
{
    ri_store *store;
    rille_head head;
    rille_err err = { 0 };
    if (ri_store_open(url, NULL, &store, &err) != RILLE_OK) {
        return 0;
    }
    unsigned number = 0;
    int rc = ri_store_head_read(store, "main", &head, &err);
    CHECK(rc == RILLE_OK || rc == RILLE_NOTFOUND);
    for (size_t i = 0; rc == RILLE_OK && i < head.len / RECORD; i++) {
        const uint8_t *record = head.bytes + i * RECORD;
        if (record[0] == 0) {
            CHECK((i + 1) * RECORD >= head.len - head.len % RECORD); /* an append that was erased, at the end only */
            break;
        }
        for (size_t j = 1; j < RECORD; j++) {
            CHECK(record[j] == record[0]);
        }
        CHECK(i == 0 || record[0] == number + 1);
        number = record[0];
    }
    rille_free(head.bytes);
    for (unsigned i = number < 3 ? 0 : (number - 1) / 3 * 3; number > 0 && i < number; i += 3) {
        ri_noderef ref = { 0 };
        ri_buf leaf = test_node_bytes(0, NULL, 0, i, 100);
        test_node *node;
        ri_blake2b(ref.addr, leaf.p, leaf.len);
        CHECK_RC(test_get(store, &ref, NULL, &node, &test_err), RILLE_OK);
        test_node_release(node);
        ri_buf_deinit(&leaf);
    }
    ri_store_release(store);
    return number;
}

/* All commits with calls from `from` to `to` failing; true when one failed. */
static bool run(const char *url, long from, long to, int errnum)
{
    ri_store *store;
    ri_store_options options = { .create = true };
    unsigned acknowledged = 0;
    rille_err err = { 0 };
    faults.calls = 0;
    faults.fail_from = from;
    faults.fail_to = to;
    faults.errnum = errnum;
    int rc = ri_store_open(url, &options, &store, &err);
    unsigned attempted = 0;
    for (unsigned i = 0; i < COMMITS && rc == RILLE_OK; i++) {
        rc = commit(store, i);
        attempted = i + 1;
        acknowledged = rc == RILLE_OK ? i + 1 : acknowledged;
    }
    bool hit = faults.calls > from;
    faults.fail_from = -1;
    CHECK(rc == RILLE_OK || rc == RILLE_IO || rc == RILLE_FULL || rc == RILLE_NOTFOUND);
    CHECK(errnum != EINTR || acknowledged == COMMITS);
    unsigned there = newest(url);
    CHECK(there >= acknowledged && there <= attempted);
    CHECK(there == acknowledged || strstr(commit_err.message, "unknown") != NULL);
    CHECK(there == acknowledged || rc != RILLE_FULL);
    if (store != NULL) { /* the same handle goes on where it is */
        for (unsigned i = there; i < COMMITS; i++) {
            CHECK_RC(commit(store, i), RILLE_OK);
        }
        CHECK_EQ_INT(newest(url), COMMITS);
        CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
        ri_store_release(store);
    } else {
        REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
        CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
        ri_store_release(store);
    }
    return hit;
}

static void sweep(bool once, int errnum)
{
    test_dir dir = test_dir_fast();
    test_text url = test_join("file:", dir.path, "/db");
    long n = 0;
    while (run(url.text, n, once ? n : INT32_MAX, errnum) && n < 10000) {
        n++;
    }
    CHECK(n > 40);
    test_dir_remove(dir.path);
}

TEST(disk__loses_nothing_when_one_call_fails)
{
    sweep(true, EIO);
    sweep(true, ENOSPC);
}

/* The undoing of a failed append fails too. */
TEST(disk__loses_nothing_when_all_calls_fail_from_one_on)
{
    sweep(false, EIO);
    sweep(false, ENOSPC);
}

/* Opens a database with two commits, the second of them an append. */
static ri_store *open_with_two(const char *url)
{
    ri_store *store;
    ri_store_options options = { .create = true };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    CHECK_RC(commit(store, 0), RILLE_OK);
    CHECK_RC(commit(store, 1), RILLE_OK);
    return store;
}

TEST(disk__erases_an_append_where_there_is_no_room_for_a_new_head)
{
    test_dir dir = test_dir_fast();
    test_text url = test_join("file:", dir.path, "/db");
    ri_store *store = open_with_two(url.text);
    rille_head head;
    faults.disk_full = true;
    CHECK_RC(commit(store, 2), RILLE_FULL);
    faults.disk_full = false;
    CHECK(strstr(commit_err.message, "unknown") == NULL);
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    CHECK_EQ_INT(head.len, 2 * RECORD + RECORD / 2);
    for (size_t i = 2 * RECORD; i < head.len; i++) {
        CHECK_EQ_INT(head.bytes[i], 0);
    }
    rille_free(head.bytes);
    CHECK_RC(commit(store, 2), RILLE_OK);
    CHECK_EQ_INT(newest(url.text), 3);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(disk__says_when_the_outcome_is_unknown)
{
    test_dir dir = test_dir_fast();
    unsigned unknown = 0;
    for (long n = 0; n < 30; n++) {
        test_text url = test_join("file:", dir.path, "/db");
        ri_store *store = open_with_two(url.text);
        faults.calls = 0;
        faults.fail_from = n;
        faults.fail_to = INT32_MAX;
        faults.errnum = ENOSPC;
        int rc = commit(store, 2);
        faults.fail_from = -1;
        bool says_so = rc != RILLE_OK && strstr(commit_err.message, "unknown") != NULL;
        unknown += says_so;
        CHECK(rc == (says_so ? RILLE_IO : RILLE_FULL) || n > 0);
        CHECK(rc != RILLE_FULL || newest(url.text) == 2);
        CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
        ri_store_release(store);
    }
    CHECK(unknown > 0);
    test_dir_remove(dir.path);
}

/* ---- what is synced ---- */

static void forget_calls(void)
{
    faults.pwrites = 0;
    faults.file_syncs = 0;
    faults.dir_syncs[0] = '\0';
}

TEST(disk__a_small_commit_is_one_append_and_one_sync)
{
    test_dir dir = test_dir_fast();
    ri_store *store = open_with_two(test_join("file:", dir.path, "/db").text);
    forget_calls();
    CHECK_RC(commit(store, 2), RILLE_OK);
    CHECK_EQ_INT(faults.pwrites, 1);
    CHECK_EQ_INT(faults.file_syncs, 1);
    CHECK(strcmp(faults.dir_syncs, "") == 0);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

static int swap_head(const rille_backend *backend, rille_revision *revision, const char *cell, size_t kept_len,
                     bool durable)
{
    rille_head_swap swap = {
        .branch = "main", .expected = *revision, .cell = (const uint8_t *)cell, .cell_len = strlen(cell)
    };
    swap.kept_len = kept_len;
    swap.durable = durable;
    return backend->ops->head_swap(backend->self, &swap, revision, &test_err);
}

static int put_blob(const rille_backend *backend, uint8_t first, uint8_t last)
{
    rille_put put = { .object = { .kind = RILLE_OBJECT_BLOB }, .bytes = (const uint8_t *)"x", .len = 1 };
    put.object.id[0] = first;
    put.object.id[RILLE_ID_SIZE - 1] = last;
    return backend->ops->put_many(backend->self, &put, 1, &test_err);
}

/* Another process made it, and did not live to sync it. */
TEST(disk__makes_names_durable_that_it_only_found)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    const char *parent = strrchr(dir.path, '/') + 1;
    rille_backend other;
    rille_backend mine;
    rille_head head;
    rille_revision revision = { { 0 } };
    REQUIRE_RC(ri_backend_file_open(path.text, true, &other, &test_err), RILLE_OK);
    CHECK_RC(swap_head(&other, &revision, "base", 0, false), RILLE_OK);
    CHECK_RC(put_blob(&other, 0xab, 1), RILLE_OK);
    REQUIRE_RC(ri_backend_file_open(path.text, false, &mine, &test_err), RILLE_OK);
    CHECK_RC(mine.ops->head_read(mine.self, "main", NULL, &head, &test_err), RILLE_OK);
    rille_free(head.bytes);
    forget_calls();
    CHECK_RC(swap_head(&mine, &head.revision, "base+1", 4, true), RILLE_OK);
    CHECK(strcmp(faults.dir_syncs, test_join("db ", parent, " heads ").text) == 0);
    CHECK_EQ_INT(faults.file_syncs, 2); /* what was there, and what came behind it */
    forget_calls();
    CHECK_RC(swap_head(&mine, &head.revision, "base+1+2", 6, true), RILLE_OK);
    CHECK(strcmp(faults.dir_syncs, "") == 0);
    CHECK_EQ_INT(faults.file_syncs, 1);
    rille_revision seen = head.revision;
    CHECK_RC(swap_head(&mine, &seen, "base+1+2+3", 8, false), RILLE_OK);
    forget_calls();
    CHECK_RC(swap_head(&mine, &seen, "base+1+2+3+4", 10, true), RILLE_OK);
    CHECK_EQ_INT(faults.file_syncs, 2);

    CHECK_RC(put_blob(&mine, 0xab, 2), RILLE_OK);
    CHECK(strcmp(faults.dir_syncs, "blobs ab ") == 0);
    forget_calls();
    CHECK_RC(put_blob(&mine, 0xab, 3), RILLE_OK);
    CHECK(strcmp(faults.dir_syncs, "ab ") == 0);
    forget_calls();
    CHECK_RC(put_blob(&mine, 0xcd, 1), RILLE_OK); /* this one it makes itself */
    CHECK(strcmp(faults.dir_syncs, "db blobs cd ") == 0);
    mine.ops->close(mine.self);
    other.ops->close(other.self);
    test_dir_remove(dir.path);
}

static rille_backend witness;
static rille_head witnessed;

static void read_as_witness(void)
{
    CHECK_RC(witness.ops->head_read(witness.self, "main", NULL, &witnessed, &test_err), RILLE_OK);
}

/* Who read a commit before its sync failed must not build on it. */
TEST(disk__an_erased_append_is_no_state_that_anybody_saw)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    rille_backend mine;
    rille_head head;
    rille_revision revision = { { 0 } };
    REQUIRE_RC(ri_backend_file_open(path.text, true, &mine, &test_err), RILLE_OK);
    REQUIRE_RC(ri_backend_file_open(path.text, false, &witness, &test_err), RILLE_OK);
    CHECK_RC(swap_head(&mine, &revision, "base", 0, true), RILLE_OK);
    faults.fail_sync = read_as_witness;
    faults.no_new_files = true;
    CHECK_RC(swap_head(&mine, &revision, "base+1", 4, true), RILLE_FULL);
    faults.no_new_files = false;
    CHECK_EQ_MEM(witnessed.bytes, witnessed.len, "base+1", 6);
    CHECK_RC(witness.ops->head_read(witness.self, "main", NULL, &head, &test_err), RILLE_OK);
    CHECK_EQ_MEM(head.bytes, head.len, "base\0\0\0", 7);
    CHECK_RC(swap_head(&witness, &witnessed.revision, "base+1+2", 6, true), RILLE_CONFLICT);
    CHECK_RC(swap_head(&witness, &head.revision, "base+2", 4, true), RILLE_OK);
    rille_free(head.bytes);
    rille_free(witnessed.bytes);
    mine.ops->close(mine.self);
    witness.ops->close(witness.self);
    test_dir_remove(dir.path);
}

TEST(disk__goes_on_after_an_interrupted_call)
{
    test_dir dir = test_dir_fast();
    test_text url = test_join("file:", dir.path, "/db");
    for (long n = 0; run(url.text, n, n, EINTR); n++) {
    }
    test_dir_remove(dir.path);
}

/* ---- who creates at the same time ---- */

static const char *made_path;

static void make_meanwhile(void)
{
    rille_backend other;
    rille_revision revision = { { 0 } };
    REQUIRE_RC(ri_backend_file_open(made_path, true, &other, &test_err), RILLE_OK);
    CHECK_RC(swap_head(&other, &revision, "base", 0, true), RILLE_OK);
    CHECK_RC(put_blob(&other, 0xab, 1), RILLE_OK);
    other.ops->close(other.self);
}

/* A marker and a head that come when the marker was looked for are no strangers, and no rest of a drop. */
TEST(disk__meets_a_creation_under_way)
{
    for (int create = 0; create < 2; create++) {
        test_dir dir = test_dir_fast();
        rille_backend mine;
        rille_head head;
        rille_object_id *ids;
        size_t count;
        made_path = dir.path;
        faults.no_marker = make_meanwhile;
        REQUIRE_RC(ri_backend_file_open(dir.path, create == 1, &mine, &test_err), RILLE_OK);
        CHECK(faults.no_marker == NULL);
        CHECK_RC(mine.ops->head_read(mine.self, "main", NULL, &head, &test_err), RILLE_OK);
        CHECK_EQ_MEM(head.bytes, head.len, "base", 4);
        CHECK_RC(mine.ops->list(mine.self, RILLE_OBJECT_BLOB, &ids, &count, &test_err), RILLE_OK);
        CHECK_EQ_INT(count, 1);
        rille_free(ids);
        rille_free(head.bytes);
        mine.ops->close(mine.self);
        test_dir_remove(dir.path);
    }
}

static void drop_meanwhile(void)
{
    CHECK(rmdir(made_path) == 0);
}

TEST(disk__creates_where_a_drop_took_the_directory_away)
{
    test_dir dir = test_dir_fast();
    rille_backend mine;
    made_path = dir.path;
    faults.no_marker = drop_meanwhile;
    CHECK_RC(ri_backend_file_open(dir.path, true, &mine, &test_err), RILLE_OK);
    rille_revision revision = { { 0 } };
    CHECK_RC(swap_head(&mine, &revision, "base", 0, true), RILLE_OK);
    mine.ops->close(mine.self);
    test_dir_remove(dir.path);
}

/* ---- who dies while it has the lock ---- */

static void die(void)
{
    (void)raise(SIGKILL);
}

/* Commits, forks a child that does nothing, tells its id and is killed in the next commit. */
static int commit_fork_and_die(const char *url, int tell)
{
    ri_store *store = open_with_two(url);
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    faults.fail_sync = die;
    return write(tell, &child, sizeof child) == (ssize_t)sizeof child ? commit(store, 2) : 1;
}

TEST(disk__an_idle_child_of_a_killed_writer_keeps_no_lock)
{
    test_dir dir = test_dir_fast();
    test_text url = test_join("file:", dir.path, "/db");
    int ends[2];
    int status = 0;
    pid_t child = -1;
    REQUIRE(pipe(ends) == 0);
    pid_t writer = fork();
    if (writer == 0) {
        _exit(commit_fork_and_die(url.text, ends[1]));
    }
    REQUIRE(read(ends[0], &child, sizeof child) == (ssize_t)sizeof child && child > 0);
    CHECK(waitpid(writer, &status, 0) == writer && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int fd = open(test_join(dir.path, "/db/lock", "").text, O_RDWR);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    CHECK(kill(child, SIGKILL) == 0);
    (void)close(fd);
    (void)close(ends[0]);
    (void)close(ends[1]);
    test_dir_remove(dir.path);
}

TEST_MAIN(disk__loses_nothing_when_one_call_fails, disk__loses_nothing_when_all_calls_fail_from_one_on,
          disk__erases_an_append_where_there_is_no_room_for_a_new_head, disk__says_when_the_outcome_is_unknown,
          disk__a_small_commit_is_one_append_and_one_sync, disk__makes_names_durable_that_it_only_found,
          disk__an_erased_append_is_no_state_that_anybody_saw, disk__goes_on_after_an_interrupted_call,
          disk__meets_a_creation_under_way, disk__creates_where_a_drop_took_the_directory_away,
          disk__an_idle_child_of_a_killed_writer_keeps_no_lock)
#else
TEST(disk__has_no_faults_here)
{
}

TEST_MAIN(disk__has_no_faults_here)
#endif
