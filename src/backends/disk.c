/* SPDX-License-Identifier: MIT
 *
 * POSIX for the file backend (disk.h).
 */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE /* F_FULLFSYNC, which _POSIX_C_SOURCE alone hides */
#endif
#include "disk.h"

#include "../core/base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0666
#define DIR_MODE 0777
#define WRITE_AT_ONCE_MAX ((size_t)1 << 30)
#define TEMP_TRIES 8

int ri_disk_open(int dir, const char *path, int flags, int *errnum)
{
    int fd;
    do {
        fd = openat(dir, path, flags | O_CLOEXEC, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    *errnum = fd < 0 ? errno : 0;
    return fd;
}

int ri_disk_open_file(int dir, const char *path, int flags, int *errnum)
{
    struct stat info;
    int fd = ri_disk_open(dir, path, flags | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, errnum);
    if (fd < 0) {
        *errnum = *errnum == EISDIR ? RI_DISK_NO_FILE : *errnum == EMLINK ? ELOOP : *errnum; /* EMLINK: FreeBSD */
    } else if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        *errnum = RI_DISK_NO_FILE;
        ri_disk_close(fd);
        fd = -1;
    }
    if (fd < 0) {
        errno = *errnum;
    }
    return fd;
}

void ri_disk_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

int ri_disk_read(int fd, uint8_t *bytes, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pread(fd, bytes, len < WRITE_AT_ONCE_MAX ? len : WRITE_AT_ONCE_MAX, (off_t)offset);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            return EIO;
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

int ri_disk_write(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len < WRITE_AT_ONCE_MAX ? len : WRITE_AT_ONCE_MAX, (off_t)offset);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            return ENOSPC;
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

/* data_only: without times and the like, where the system can. On macOS fsync leaves it to the drive when it writes. */
static int sync_fd(int fd, bool data_only)
{
    int rc;
    do {
#if defined(F_FULLFSYNC)
        (void)data_only;
        rc = fcntl(fd, F_FULLFSYNC) == -1 ? fsync(fd) : 0;
#elif defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
        rc = data_only ? fdatasync(fd) : fsync(fd);
#else
        (void)data_only;
        rc = fsync(fd);
#endif
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

int ri_disk_sync(int fd)
{
    return sync_fd(fd, true);
}

int ri_disk_sync_dir(int dir, const char *path)
{
    int errnum;
    int fd = ri_disk_open(dir, path, O_RDONLY | O_DIRECTORY, &errnum);
    if (fd < 0) {
        return errnum;
    }
    errnum = sync_fd(fd, false);
    ri_disk_close(fd);
    return errnum == EINVAL || errnum == ENOTSUP ? 0 : errnum; /* file systems that cannot sync a directory */
}

/* ---- directories that are no links ---- */

/* Opens the directory that the path's file is in, part by part; *name: the file in it. */
static int open_parent(int dir, const char *path, const char **name, int *out)
{
    int errnum = 0;
    int parent = -1;
    const char *slash;
    *name = path;
    *out = dir;
    while (errnum == 0 && (slash = strchr(*name, '/')) != NULL) {
        char part[RI_DISK_PATH_MAX];
        int len = snprintf(part, sizeof part, "%.*s", (int)(slash - *name), *name);
        errnum = len < 0 || (size_t)len >= sizeof part ? ENAMETOOLONG : 0;
        int next = errnum == 0 ? ri_disk_open(*out, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &errnum) : -1;
        ri_disk_close(parent);
        parent = next;
        *out = next;
        *name = slash + 1;
    }
    return errnum == ELOOP || errnum == EMLINK ? ENOTDIR : errnum; /* some systems' words for a link */
}

static void close_parent(int dir, int parent)
{
    if (parent != dir) {
        ri_disk_close(parent);
    }
}

bool ri_disk_is_own(int dir, const char *path)
{
    const char *name;
    int parent;
    int errnum = open_parent(dir, path, &name, &parent);
    close_parent(dir, parent);
    return errnum == 0;
}

int ri_disk_mkdir(int dir, const char *path)
{
    const char *name;
    int parent;
    int errnum = open_parent(dir, path, &name, &parent);
    if (errnum == 0) {
        errnum = mkdirat(parent, name, DIR_MODE) == 0 || errno == EEXIST ? 0 : errno;
    }
    close_parent(dir, parent);
    return errnum;
}

int ri_disk_remove(int dir, const char *path)
{
    const char *name;
    int parent;
    int errnum = open_parent(dir, path, &name, &parent);
    if (errnum == 0) {
        errnum = unlinkat(parent, name, 0) == 0 ? 0 : errno;
    }
    close_parent(dir, parent);
    return errnum;
}

int ri_disk_time(int dir, const char *path, int64_t *written_ms)
{
    const char *name;
    int parent;
    struct stat info;
    int errnum = open_parent(dir, path, &name, &parent);
    if (errnum == 0) {
        errnum = fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
    }
    close_parent(dir, parent);
    *written_ms = errnum == 0 ? (int64_t)info.st_mtime * 1000 + 999 : 0;
    return errnum;
}

int ri_disk_rename(int dir, const char *from, const char *to)
{
    return renameat(dir, from, dir, to) == 0 ? 0 : errno;
}

bool ri_disk_leads_to(const char *path, int dir)
{
    struct stat named;
    struct stat opened;
    return stat(path, &named) == 0 && fstat(dir, &opened) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
}

/* The path may lead elsewhere by now: after a chdir, or because the directory has another name. */
int ri_disk_remove_dir(int dir, const char *path)
{
    int errnum;
    int parent = ri_disk_open(dir, "..", O_RDONLY | O_DIRECTORY, &errnum);
    bool removed = ri_disk_leads_to(path, dir) && rmdir(path) == 0;
    /* A parent that may not be read cannot be synced either. */
    errnum = removed && parent >= 0 ? ri_disk_sync_dir(parent, ".") : 0;
    ri_disk_close(parent);
    return errnum;
}

/* ---- locks ---- */

int ri_disk_lock(int fd)
{
    int rc;
    do {
        rc = flock(fd, LOCK_EX);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

void ri_disk_unlock(int fd)
{
    (void)flock(fd, LOCK_UN);
}

/* ---- files that appear at once ---- */

void ri_disk_temp_name(char out[RI_DISK_TEMP_SIZE])
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    ri_random_bytes(random, sizeof random);
    ri_hex(hex, random, sizeof random);
    (void)snprintf(out, RI_DISK_TEMP_SIZE, RI_DISK_TEMP_PREFIX "%s", hex);
}

/* Contents are synced before the name can lead to them. */
static int write_temp(int dir, const char *temp, const char *name, const uint8_t *bytes, size_t len)
{
    int errnum;
    int fd = ri_disk_open(dir, temp, O_WRONLY | O_CREAT | O_EXCL, &errnum);
    if (fd < 0) {
        return errnum;
    }
    (void)flock(fd, LOCK_EX | LOCK_NB); /* tells the sweep of others that somebody is writing */
    errnum = ri_disk_write(fd, bytes, len, 0);
    errnum = errnum == 0 ? ri_disk_sync(fd) : errnum;
    if (errnum == 0 && renameat(dir, temp, dir, name) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        (void)unlinkat(dir, temp, 0);
    }
    ri_disk_close(fd);
    return errnum;
}

int ri_disk_replace(int dir, const char *path, const uint8_t *bytes, size_t len)
{
    const char *name;
    int parent;
    int errnum = open_parent(dir, path, &name, &parent);
    bool again = errnum == 0;
    for (int i = 0; again && i < TEMP_TRIES; i++) {
        char temp[RI_DISK_TEMP_SIZE];
        struct stat info;
        ri_disk_temp_name(temp);
        errnum = write_temp(parent, temp, name, bytes, len);
        /* The name is taken, or a sweep met the file before it was locked; without a directory ENOENT stays. */
        again = errnum == EEXIST || (errnum == ENOENT && i == 0 && fstat(dir, &info) == 0);
    }
    close_parent(dir, parent);
    return errnum;
}

/* ---- directories ---- */

static int walk(int dir, const char *path, int flags, ri_disk_visit visit, void *context)
{
    int errnum;
    int fd = ri_disk_open(dir, path, O_RDONLY | O_DIRECTORY | flags, &errnum);
    if (fd < 0 && errnum == ELOOP && (flags & O_NOFOLLOW) != 0) {
        return ENOTDIR; /* some systems' word for a link */
    }
    if (fd < 0) {
        return errnum == ENOENT ? 0 : errnum;
    }
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        errnum = errno;
        ri_disk_close(fd);
        return errnum;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL) {
            rc = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            rc = visit(context, dirfd(entries), entry->d_name);
        }
    }
    (void)closedir(entries);
    return rc;
}

int ri_disk_walk(int dir, const char *path, ri_disk_visit visit, void *context)
{
    return walk(dir, path, 0, visit, context);
}

int ri_disk_walk_own(int dir, const char *path, ri_disk_visit visit, void *context)
{
    return walk(dir, path, O_NOFOLLOW, visit, context);
}

bool ri_disk_is_temp(const char *name)
{
    return strncmp(name, RI_DISK_TEMP_PREFIX, sizeof RI_DISK_TEMP_PREFIX - 1) == 0;
}

static int sweep_one(void *context, int dir, const char *name)
{
    (void)context;
    if (!ri_disk_is_temp(name)) {
        return 0;
    }
    int errnum;
    int fd = ri_disk_open_file(dir, name, O_RDONLY | O_NOFOLLOW, &errnum);
    if (fd >= 0) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            (void)unlinkat(dir, name, 0);
        }
        ri_disk_close(fd);
    }
    return 0;
}

void ri_disk_sweep(int dir, const char *path)
{
    (void)ri_disk_walk_own(dir, path, sweep_one, NULL);
}
