/* SPDX-License-Identifier: MIT
 *
 * POSIX for the file backend (disk.h).
 */
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
    int fd = ri_disk_open(dir, path, flags | O_NONBLOCK | O_NOCTTY, errnum);
    if (fd < 0) {
        *errnum = *errnum == EISDIR ? RI_DISK_NO_FILE : *errnum;
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

int ri_disk_sync(int fd)
{
    int rc;
    do {
#if defined(__APPLE__) && defined(F_FULLFSYNC)
        rc = fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
#elif defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
        rc = fdatasync(fd);
#else
        rc = fsync(fd);
#endif
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

int ri_disk_sync_dir(int dir, const char *path)
{
    int errnum;
    int fd = ri_disk_open(dir, path, O_RDONLY | O_DIRECTORY, &errnum);
    if (fd < 0) {
        return errnum;
    }
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    errnum = rc == 0 ? 0 : errno;
    ri_disk_close(fd);
    return errnum == EINVAL || errnum == ENOTSUP ? 0 : errnum; /* file systems that cannot sync a directory */
}

int ri_disk_mkdir(int dir, const char *path)
{
    return mkdirat(dir, path, DIR_MODE) == 0 || errno == EEXIST ? 0 : errno;
}

int ri_disk_remove(int dir, const char *path)
{
    return unlinkat(dir, path, 0) == 0 ? 0 : errno;
}

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

/* DIR/.tmp-<hex>, beside the path. */
static int temp_name(char *out, size_t size, const char *path)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    const char *slash = strrchr(path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - path) + 1;
    ri_random_bytes(random, sizeof random);
    ri_hex(hex, random, sizeof random);
    int len = snprintf(out, size, "%.*s" RI_DISK_TEMP_PREFIX "%s", dir_len, path, hex);
    return len > 0 && (size_t)len < size ? 0 : ENAMETOOLONG;
}

/* Contents are synced before the name can lead to them. */
static int write_temp(int dir, const char *temp, const char *path, const uint8_t *bytes, size_t len)
{
    int errnum;
    int fd = ri_disk_open(dir, temp, O_WRONLY | O_CREAT | O_EXCL, &errnum);
    if (fd < 0) {
        return errnum;
    }
    (void)flock(fd, LOCK_EX | LOCK_NB); /* tells the sweep of others that somebody is writing */
    errnum = ri_disk_write(fd, bytes, len, 0);
    errnum = errnum == 0 ? ri_disk_sync(fd) : errnum;
    if (errnum == 0 && renameat(dir, temp, dir, path) != 0) {
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
    int errnum = 0;
    for (int i = 0; i < TEMP_TRIES; i++) {
        char temp[RI_DISK_PATH_MAX];
        errnum = temp_name(temp, sizeof temp, path);
        errnum = errnum == 0 ? write_temp(dir, temp, path, bytes, len) : errnum;
        struct stat info;
        /* The name is taken, or a sweep met the file before it was locked; without a directory ENOENT stays. */
        bool again = errnum == EEXIST || (errnum == ENOENT && i == 0 && fstat(dir, &info) == 0);
        if (!again) {
            break;
        }
    }
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
