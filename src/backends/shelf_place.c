/* SPDX-License-Identifier: MIT */
#if !defined(_XOPEN_SOURCE)
#define _XOPEN_SOURCE 700 /* realpath */
#endif
#include "shelf_place.h"

#include "../core/base/buf.h"
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_HERE 4096 /* as realpath(3) wants */
#define PARENTS_MAX 256

int ri_shelf_place(const char *dir, char **out, rille_err *err)
{
    char here[PATH_MAX_HERE] = "";
    ri_buf path = { 0 };
    size_t len;
    *out = NULL;
    if (realpath(dir, here) != NULL) {
        ri_buf_put_text(&path, here);
    } else if (dir[0] == '/' || getcwd(here, sizeof here) != NULL) {
        ri_buf_put_text(&path, dir[0] == '/' ? "" : here);
        ri_buf_put_text(&path, dir[0] == '/' ? "" : "/");
        ri_buf_put_text(&path, dir);
    } else {
        return ri_fail_errno(err, errno, "cannot find the working directory");
    }
    while (path.len > 1 && path.p[path.len - 1] == '/') {
        path.len--;
    }
    ri_buf_put_u8(&path, 0);
    *out = path.failed ? NULL : (char *)ri_buf_take(&path, &len);
    ri_buf_deinit(&path);
    return *out == NULL ? ri_fail_nomem(err) : RILLE_OK;
}

int ri_shelf_make(const char *place)
{
    return mkdir(place, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/* Is there a database of file: or lmdb: in the directory? */
static bool is_database(int dir)
{
    static const char mark[] = "rille database";
    char text[sizeof mark - 1];
    struct stat info;
    int errnum;
    int fd = ri_disk_open_file(dir, "rille", O_RDONLY, &errnum);
    bool marked =
        fd >= 0 && ri_disk_read(fd, (uint8_t *)text, sizeof text, 0) == 0 && memcmp(text, mark, sizeof text) == 0;
    ri_disk_close(fd);
    return marked || fstatat(dir, "data.mdb", &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The directory, and those that it is in, up to the root. */
static bool is_in_database(const char *place)
{
    bool found = false;
    int errnum;
    int dir = ri_disk_open(AT_FDCWD, place, O_RDONLY | O_DIRECTORY, &errnum);
    for (int i = 0; dir >= 0 && !found && i < PARENTS_MAX; i++) {
        struct stat own;
        struct stat above;
        found = is_database(dir);
        int parent = ri_disk_open(dir, "..", O_RDONLY | O_DIRECTORY, &errnum);
        bool root = parent < 0 || fstat(dir, &own) != 0 || fstat(parent, &above) != 0 ||
                    (own.st_dev == above.st_dev && own.st_ino == above.st_ino);
        ri_disk_close(dir);
        dir = parent;
        if (root) {
            break;
        }
    }
    ri_disk_close(dir);
    return found;
}

int ri_shelf_check(const char *scheme, const char *place, rille_err *err)
{
    struct stat info;
    if (stat(place, &info) != 0) {
        return ri_fail_errno(err, errno, "cache %s:%s", scheme, place);
    }
    if (!S_ISDIR(info.st_mode)) {
        return ri_fail(err, RILLE_FOREIGN, "cache %s:%s: this is not a directory: name one that can be created", scheme,
                       place);
    }
    if (is_in_database(place)) {
        return ri_fail(err, RILLE_FOREIGN,
                       "cache %s:%s: this directory is part of a database: choose a separate directory for the cache",
                       scheme, place);
    }
    if ((info.st_mode & S_IWOTH) != 0) {
        return ri_fail(err, RILLE_PERMISSION,
                       "cache %s:%s: every user can write to this directory, and so could change what is read: choose "
                       "another one, or run chmod o-w on it",
                       scheme, place);
    }
    return RILLE_OK;
}
