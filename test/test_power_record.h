/* SPDX-License-Identifier: MIT
 *
 * Records everything that this program changes below one directory: it has its own openat, pwrite, fsync, renameat ...,
 * which the linker prefers to those of libc, for shared libraries too. For test_power.h.
 */
#ifndef RILLE_TEST_POWER_RECORD_H
#define RILLE_TEST_POWER_RECORD_H

#include "../src/core/base/hash.h"
#include "test_store_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { POWER_OPS_MAX = 20000, POWER_INODES_MAX = 4000, POWER_NAME_MAX = 90, POWER_SECTOR = 512 };

typedef enum power_kind {
    POWER_CREATE, /* name in dir leads to inode, a directory when len is 1 */
    POWER_REMOVE,
    POWER_RENAME, /* name in dir becomes other in dir */
    POWER_WRITE,  /* within one sector */
    POWER_RESIZE,
    POWER_SYNC,
    POWER_MARK /* of the test */
} power_kind;

typedef struct power_op {
    power_kind kind;
    int dir;
    int inode;
    char name[POWER_NAME_MAX];
    char other[POWER_NAME_MAX];
    uint64_t offset; /* RESIZE: the length; MARK: the number */
    size_t len;
    uint8_t bytes[POWER_SECTOR];
} power_op;

static struct {
    bool recording;
    bool full; /* the next sync of a file fails, and from there on no file can be made */
    bool no_files;
    atomic_ulong passes;      /* before and after each call that changes something or opens a file */
    unsigned long killed;     /* at which of them this process dies; 0: at none */
    int failure;              /* errno of calls that need room, the first one from ... */
    unsigned long fails_from; /* ... this one on, and the last one ... */
    unsigned long fails_to;   /* ... this one; 0: none fails */
    atomic_ulong needing_room;
    size_t count;
    int inode_count;
    bool is_dir[POWER_INODES_MAX];
    dev_t dev[POWER_INODES_MAX]; /* of the real one */
    ino_t ino[POWER_INODES_MAX];
    power_op *ops;
} power;

/* ---- dying ---- */

static inline void power_pass(void)
{
    if (atomic_fetch_add(&power.passes, 1) + 1 == power.killed) {
        (void)raise(SIGKILL);
    }
}

/* A call that needs room: does it fail? */
static inline bool power_fails(void)
{
    unsigned long number = atomic_fetch_add(&power.needing_room, 1) + 1;
    bool fails = number >= power.fails_from && number <= power.fails_to;
    errno = fails ? power.failure : errno;
    return fails;
}

/* ---- recording ---- */

static inline power_op *power_add(power_kind kind)
{
    if (power.ops == NULL) {
        power.ops = calloc(POWER_OPS_MAX, sizeof *power.ops);
    }
    if (power.ops == NULL || power.count == POWER_OPS_MAX) {
        (void)fprintf(stderr, "the record of the test is full\n");
        abort();
    }
    power_op *op = &power.ops[power.count++];
    memset(op, 0, offsetof(power_op, bytes));
    op->kind = kind;
    return op;
}

static inline int power_find(const struct stat *info)
{
    for (int i = power.inode_count; i-- > 0;) {
        if (power.ino[i] == info->st_ino && power.dev[i] == info->st_dev) {
            return i;
        }
    }
    return -1;
}

static inline int power_new_inode(const struct stat *info)
{
    if (power.inode_count == POWER_INODES_MAX) {
        abort();
    }
    int inode = power.inode_count++;
    power.dev[inode] = info->st_dev;
    power.ino[inode] = info->st_ino;
    power.is_dir[inode] = S_ISDIR(info->st_mode);
    return inode;
}

static inline int power_of_fd(int fd)
{
    struct stat info;
    return power.recording && fstat(fd, &info) == 0 ? power_find(&info) : -1;
}

/* The directory that the path's last name is in, and that name; -1 when it is not of ours. */
static inline int power_parent(int dir, const char *path, char name[POWER_NAME_MAX])
{
    char parent[600];
    struct stat info;
    const char *slash = strrchr(path, '/');
    if (!power.recording || strlen(path) >= sizeof parent) {
        return -1;
    }
    (void)snprintf(parent, sizeof parent, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
                   slash == NULL ? "." : path);
    (void)snprintf(name, POWER_NAME_MAX, "%.*s", POWER_NAME_MAX - 1, slash == NULL ? path : slash + 1);
    return fstatat(dir, parent, &info, 0) == 0 ? power_find(&info) : -1;
}

static inline bool power_is_there(int dir, const char *path)
{
    struct stat info;
    return fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void power_note_create(int dir, const char *path)
{
    char name[POWER_NAME_MAX];
    struct stat info;
    int parent = power_parent(dir, path, name);
    if (parent >= 0 && fstatat(dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        power_op *op = power_add(POWER_CREATE);
        op->dir = parent;
        op->inode = power_new_inode(&info);
        op->len = S_ISDIR(info.st_mode) ? 1 : 0;
        memcpy(op->name, name, sizeof name);
    }
}

static inline void power_note_write(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
    int inode = power_of_fd(fd);
    while (inode >= 0 && len > 0) {
        size_t piece = POWER_SECTOR - (size_t)(offset % POWER_SECTOR);
        piece = piece < len ? piece : len;
        power_op *op = power_add(POWER_WRITE);
        op->inode = inode;
        op->offset = offset;
        op->len = piece;
        memcpy(op->bytes, bytes, piece);
        bytes += piece;
        len -= piece;
        offset += piece;
    }
    if (inode >= 0 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0) {
        power_add(POWER_SYNC)->inode = inode;
    }
}

static inline void power_note_sync(int fd)
{
    int inode = power_of_fd(fd);
    if (inode >= 0) {
        power_add(POWER_SYNC)->inode = inode;
    }
}

#define POWER_SEEN __attribute__((visibility("default")))
extern long syscall(long number, ...);
POWER_SEEN int openat(int dir, const char *path, int flags, ...);
POWER_SEEN int open(const char *path, int flags, ...);
POWER_SEEN ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset);
POWER_SEEN ssize_t writev(int fd, const struct iovec *parts, int count);
POWER_SEEN int ftruncate(int fd, off_t len);
POWER_SEEN int fdatasync(int fd);
POWER_SEEN int fsync(int fd);
POWER_SEEN int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name);
POWER_SEEN int unlinkat(int dir, const char *path, int flags);
POWER_SEEN int rmdir(const char *path);
POWER_SEEN int mkdirat(int dir, const char *path, mode_t mode);
POWER_SEEN int mkdir(const char *path, mode_t mode);

static inline int power_open(int dir, const char *path, int flags, unsigned mode)
{
    bool fresh = power.recording && (flags & O_CREAT) != 0 && !power_is_there(dir, path);
    if (power.no_files && (flags & O_EXCL) != 0) {
        errno = ENOSPC;
        return -1;
    }
    if ((flags & O_CREAT) != 0 && !power_is_there(dir, path) && power_fails()) {
        return -1;
    }
    power_pass();
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    power_pass();
    if (fd >= 0 && fresh) {
        power_note_create(dir, path);
    }
    if (fd >= 0 && power.recording && (flags & O_TRUNC) != 0) {
        int inode = power_of_fd(fd);
        if (inode >= 0) {
            power_add(POWER_RESIZE)->inode = inode;
        }
    }
    return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
    va_end(more);
    return power_open(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
    va_end(more);
    return power_open(AT_FDCWD, path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (power_fails()) {
        return -1;
    }
    power_pass();
    ssize_t n = (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, offset);
    power_pass();
    if (n > 0) {
        power_note_write(fd, bytes, (size_t)n, (uint64_t)offset);
    }
    return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (power_fails()) {
        return -1;
    }
    off_t at = lseek(fd, 0, SEEK_CUR);
    power_pass();
    ssize_t n = (ssize_t)syscall(SYS_writev, fd, parts, count);
    power_pass();
    size_t left = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < count && left > 0; i++) {
        size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;
        power_note_write(fd, parts[i].iov_base, len, (uint64_t)at);
        at += (off_t)len;
        left -= len;
    }
    return n;
}

int ftruncate(int fd, off_t len)
{
    if (power_fails()) {
        return -1;
    }
    power_pass();
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    power_pass();
    int inode = rc == 0 ? power_of_fd(fd) : -1;
    if (inode >= 0) {
        power_op *op = power_add(POWER_RESIZE);
        op->inode = inode;
        op->offset = (uint64_t)len;
    }
    return rc;
}

int fdatasync(int fd)
{
    if (power.full) {
        power.full = false;
        power.no_files = true;
        errno = ENOSPC;
        return -1;
    }
    if (power_fails()) {
        return -1;
    }
    power_pass();
    power_note_sync(fd);
    return 0; /* the real one has nothing to do with the record */
}

int fsync(int fd)
{
    if (power_fails()) {
        return -1;
    }
    power_pass();
    power_note_sync(fd);
    return 0;
}

int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
    char name[POWER_NAME_MAX];
    char other[POWER_NAME_MAX];
    struct stat info;
    int from = power_parent(old_dir, old_name, name);
    int to = power_parent(new_dir, new_name, other);
    if (power_fails()) {
        return -1;
    }
    bool found = fstatat(old_dir, old_name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    power_pass();
    int rc = (int)syscall(SYS_renameat, old_dir, old_name, new_dir, new_name);
    power_pass();
    if (rc == 0 && power.recording && found && to >= 0) {
        if (from != to) {
            abort(); /* renames stay in their directory */
        }
        power_op *op = power_add(POWER_RENAME);
        op->dir = to;
        op->inode = power_find(&info);
        memcpy(op->name, name, sizeof name);
        memcpy(op->other, other, sizeof other);
    }
    return rc;
}

int unlinkat(int dir, const char *path, int flags)
{
    char name[POWER_NAME_MAX];
    int parent = power_parent(dir, path, name);
    power_pass();
    int rc = (int)syscall(SYS_unlinkat, dir, path, flags);
    power_pass();
    if (rc == 0 && parent >= 0) {
        power_op *op = power_add(POWER_REMOVE);
        op->dir = parent;
        memcpy(op->name, name, sizeof name);
    }
    return rc;
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    if (power_fails()) {
        return -1;
    }
    power_pass();
    int rc = (int)syscall(SYS_mkdirat, dir, path, mode);
    power_pass();
    if (rc == 0 && power.recording) {
        power_note_create(dir, path);
    }
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* Records from now on what happens below the directory, which is empty and durable. */
static inline void test_power_begin(const char *root)
{
    struct stat info;
    REQUIRE(stat(root, &info) == 0);
    power.count = 0;
    power.inode_count = 0;
    (void)power_new_inode(&info);
    power.recording = true;
}

static inline void test_power_stop(void)
{
    power.recording = false;
}

/* The test's own: how much was acknowledged up to here. */
static inline void test_power_mark(uint64_t number)
{
    if (power.recording) {
        power_add(POWER_MARK)->offset = number;
    }
}

/* The last mark before a point; `fallback` without any. */
static inline uint64_t test_power_marked(size_t point, uint64_t fallback)
{
    for (size_t i = point; i-- > 0;) {
        if (power.ops[i].kind == POWER_MARK) {
            return power.ops[i].offset;
        }
    }
    return fallback;
}

#endif
