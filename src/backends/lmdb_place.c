/* SPDX-License-Identifier: MIT
 *
 * Directories of LMDB environments (lmdb_place.h).
 */
#include "lmdb_place.h"

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MODE 0777
#define LOCK_TRIES_MAX 1000 /* each fails only when somebody else removed the directory meanwhile */

int ri_lmdb_file_find(int dir, const char *name, ri_lmdb_file *out)
{
    struct stat info;
    *out = (ri_lmdb_file){ 0 };
    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    *out = (ri_lmdb_file){ true, S_ISREG(info.st_mode), info.st_dev, info.st_ino, info.st_size };
    return 0;
}

bool ri_lmdb_file_is(const ri_lmdb_file *one, const ri_lmdb_file *other)
{
    return one->there && other->there && one->dev == other->dev && one->ino == other->ino;
}

int ri_lmdb_place_remove(const ri_lmdb_place *place, const char *name, const ri_lmdb_file *file)
{
    ri_lmdb_file found;
    int code = ri_lmdb_file_find(place->dir, name, &found);
    if (code != 0 || !ri_lmdb_file_is(&found, file)) {
        return code;
    }
    code = ri_disk_remove(place->dir, name);
    return code == ENOENT ? 0 : code;
}

/* ---- the lock ---- */

int ri_lmdb_place_remove_dir(const ri_lmdb_place *place)
{
    int code = ri_disk_sync_dir(place->dir, ".");
    return code == 0 ? ri_disk_remove_dir(place->dir, place->path) : code;
}

static int fail_dir(const char *path, const char *doing, int errnum, rille_err *err)
{
    return ri_fail_errno(err, errnum, "lmdb:%s: cannot %s the directory%s", path, doing,
                         errnum == EACCES ? " (check the read and search permissions)" : "");
}

static int open_dir(const char *path, bool create, int *out, rille_err *err)
{
    int errnum;
    struct stat info;
    if (create && mkdir(path, DIR_MODE) != 0 && errno != EEXIST) {
        return ri_fail_errno(err, errno, "lmdb:%s: cannot create the directory", path);
    }
    *out = ri_disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &errnum);
    if (*out >= 0) {
        return RILLE_OK;
    }
    if (errnum == ENOENT) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no such directory", path);
    }
    if (errnum == ENOTDIR && stat(path, &info) == 0) {
        return ri_fail(err, RILLE_FOREIGN, "lmdb:%s is not a directory", path);
    }
    return fail_dir(path, "open", errnum, err);
}

void ri_lmdb_place_unlock(ri_lmdb_place *place)
{
    if (place->dir >= 0) {
        ri_disk_unlock(place->dir); /* closing would not do when another thread has forked meanwhile */
        ri_disk_close(place->dir);
    }
    place->dir = -1;
}

static int lock_dir(ri_lmdb_place *place, rille_err *err)
{
    int code = ri_disk_lock(place->dir);
    return code == 0 ? RILLE_OK : ri_fail_errno(err, code, "lmdb:%s: cannot lock the directory", place->path);
}

/* gone: the path does not lead to the locked directory any more; then nothing is locked. */
static int try_lock(ri_lmdb_place *place, bool create, bool *gone, rille_err *err)
{
    *gone = false;
    RI_TRY(open_dir(place->path, create, &place->dir, err));
    int rc = lock_dir(place, err);
    *gone = rc == RILLE_OK && !ri_disk_leads_to(place->path, place->dir);
    if (rc != RILLE_OK || *gone) {
        ri_lmdb_place_unlock(place);
    }
    return rc;
}

/* ---- what is there ---- */

static int find_other_file(void *context, int dir, const char *name)
{
    bool *found = context;
    (void)dir;
    *found = *found ||
             (!ri_disk_is_temp(name) && strcmp(name, RI_LMDB_DATA_NAME) != 0 && strcmp(name, RI_LMDB_LOCK_NAME) != 0);
    return 0;
}

static int remove_temp(void *context, int dir, const char *name)
{
    (void)context;
    int code = ri_disk_is_temp(name) ? ri_disk_remove(dir, name) : 0;
    return code == ENOENT ? 0 : code;
}

/* (P1) (P2) */
static int prepare(ri_lmdb_place *place, rille_err *err)
{
    bool has_others = false;
    int code = ri_disk_walk(place->dir, ".", find_other_file, &has_others);
    if (code == 0 && has_others) {
        return ri_fail(
            err, RILLE_FOREIGN,
            "lmdb:%s: the directory contains other files and no data.mdb, so it is not a rille database: use a new or "
            "empty directory",
            place->path);
    }
    code = code == 0 ? ri_disk_walk(place->dir, ".", remove_temp, NULL) : code;
    code = code == 0 ? ri_lmdb_place_remove(place, RI_LMDB_LOCK_NAME, &place->lock) : code;
    place->lock.there = false;
    return code == 0 ? RILLE_OK : ri_fail_errno(err, code, "lmdb:%s: cannot clear the directory", place->path);
}

static int check_kind(const ri_lmdb_place *place, const char *name, const ri_lmdb_file *file, rille_err *err)
{
    return !file->there || file->is_file
               ? RILLE_OK
               : ri_fail(
                     err, RILLE_FOREIGN,
                     "lmdb:%s: %s is not a regular file but, for example, a directory or a symbolic link (use a new "
                     "or an empty directory)",
                     place->path, name);
}

static int look_into(ri_lmdb_place *place, bool create, rille_err *err)
{
    int code = ri_lmdb_file_find(place->dir, RI_LMDB_DATA_NAME, &place->data);
    code = code == 0 ? ri_lmdb_file_find(place->dir, RI_LMDB_LOCK_NAME, &place->lock) : code;
    if (code != 0) {
        return fail_dir(place->path, "read", code, err);
    }
    RI_TRY(check_kind(place, RI_LMDB_DATA_NAME, &place->data, err));
    RI_TRY(check_kind(place, RI_LMDB_LOCK_NAME, &place->lock, err));
    if (place->data.there && place->data.len == 0 && place->lock.there) {
        return ri_fail(err, RILLE_CORRUPT,
                       "lmdb:%s: data.mdb is empty: it was truncated (restore it from a backup, or remove it and "
                       "lock.mdb to start again)",
                       place->path);
    }
    place->data.there = place->data.there && place->data.len > 0; /* (P2) */
    if (place->data.there) {
        return RILLE_OK;
    }
    return create ? prepare(place, err)
                  : ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no database in the directory (no data.mdb)",
                            place->path);
}

int ri_lmdb_place_fail_forbidden(const ri_lmdb_place *place, int errnum, rille_err *err)
{
    const char *path = place->path;
    if (!place->data.there) {
        return ri_fail_errno(err, errnum,
                             "lmdb:%s: cannot create data.mdb and lock.mdb (check the permissions of the directory, or "
                             "use another directory)",
                             path);
    }
    if (faccessat(place->dir, RI_LMDB_DATA_NAME, R_OK, AT_EACCESS) != 0) {
        return ri_fail_errno(err, errnum, "lmdb:%s: cannot read data.mdb (check its permissions)", path);
    }
    if (!place->lock.there) {
        return ri_fail_errno(
            err, errnum,
            "lmdb:%s: cannot create lock.mdb, which readers need too (check the permissions of the directory)", path);
    }
    return ri_fail_errno(err, errnum,
                         "lmdb:%s: cannot write to lock.mdb, which readers need too (check its permissions)", path);
}

int ri_lmdb_place_lock(const char *path, bool create, ri_lmdb_place *out, rille_err *err)
{
    bool gone = true;
    *out = (ri_lmdb_place){ .path = path, .dir = -1 };
    for (int tries = 0; gone && tries < LOCK_TRIES_MAX; tries++) {
        RI_TRY(try_lock(out, create, &gone, err));
    }
    if (gone) {
        return ri_fail(err, RILLE_BUSY,
                       "lmdb:%s: other processes keep removing and recreating the directory: try again", path);
    }
    int rc = look_into(out, create, err);
    if (rc != RILLE_OK) {
        ri_lmdb_place_unlock(out);
    }
    return rc;
}

int ri_lmdb_place_lock_dir(const char *path, int dir, ri_lmdb_place *out, rille_err *err)
{
    int errnum;
    *out = (ri_lmdb_place){ .path = path, .dir = ri_disk_open(dir, ".", O_RDONLY | O_DIRECTORY, &errnum) };
    if (out->dir < 0) {
        return ri_fail_errno(err, errnum, "lmdb:%s: cannot open the directory", path);
    }
    int rc = lock_dir(out, err);
    if (rc != RILLE_OK) {
        ri_lmdb_place_unlock(out);
    }
    return rc;
}
