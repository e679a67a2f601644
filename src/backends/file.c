/* SPDX-License-Identifier: MIT
 *
 * file:DIR - a database in a directory (layout: file_parts.h), for any file system; it can be copied while it is
 * written, and served by any web server. This part opens and creates; file_marker.c says what a directory is,
 * file_drop.c drops, file_objects.c keeps packs and blobs, file_heads.c heads.
 *
 * Everything is reached from one open directory, so that a relative path still works after a chdir.
 */
#include "file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 8 /* against creations and drops at the same time */

const char *ri_file_remedy(int errnum)
{
    bool forbidden = errnum == EACCES || errnum == EPERM || errnum == EROFS;
    return forbidden ? " (check the permissions, or use another directory)" : "";
}

int ri_file_fail(const file_db *db, const char *doing, const char *path, int errnum, rille_err *err)
{
    if (errnum == ENOMEM) {
        return ri_fail_nomem(err);
    }
    if (errnum == RI_DISK_NO_FILE) {
        return ri_fail(err, RILLE_CORRUPT, "file:%s: %s is not a regular file: restore it from a backup", db->path,
                       path);
    }
    if (errnum == ENOTDIR) {
        return ri_fail(err, RILLE_FOREIGN,
                       "file:%s: cannot %s %s: rille does not write through a symbolic link (replace it with a "
                       "directory)",
                       db->path, doing, path);
    }
    return ri_fail_errno(err, errnum, "file:%s: cannot %s %s", db->path, doing, path);
}

/* ---- names ---- */

static int sync_names(const file_db *db)
{
    int errnum = ri_disk_sync_dir(db->dir, ".");
    if (errnum != 0) {
        return errnum;
    }
    errnum = ri_disk_sync_dir(db->dir, "..");
    return errnum == EACCES ? 0 : errnum; /* a parent that may not be read cannot be synced either */
}

int ri_file_sync_place(file_db *db, rille_err *err)
{
    ri_mutex_lock(&db->dirs_lock);
    int errnum = db->placed ? 0 : sync_names(db);
    db->placed = db->placed || errnum == 0;
    ri_mutex_unlock(&db->dirs_lock);
    return errnum == 0 ? RILLE_OK : ri_fail_errno(err, errnum, "file:%s: cannot sync the directory", db->path);
}

/* ---- size ---- */

static int add_size(void *context, int dir, const char *name)
{
    uint64_t *sum = context;
    struct stat info;
    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    if (S_ISDIR(info.st_mode)) {
        return ri_disk_walk(dir, name, add_size, context);
    }
    *sum += S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    return 0;
}

static uint64_t file_size_bytes(void *self)
{
    const file_db *db = self;
    static const char *const dirs[] = { "heads", "packs", "blobs" };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        (void)ri_disk_walk(db->dir, dirs[i], add_size, &sum);
    }
    return sum;
}

/* ---- creating and opening ---- */

static int make_layout(const file_db *db, bool dropping)
{
    static const char *const dirs[] = { "heads", "packs", "blobs" };
    size_t removed = 0;
    if (dropping) {
        ri_file_mark_dropping(db); /* who wrote it may not have lived to sync it */
    }
    int errnum =
        ri_file_drop_parts(db, dropping, &removed); /* what a drop left that did not live, or that a writer raced */
    errnum = errnum == 0 ? ri_file_write_marker(db) : errnum;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs && errnum == 0; i++) {
        errnum = ri_disk_mkdir(db->dir, dirs[i]);
    }
    return errnum;
}

/* Under the lock: who else creates it must not take it for a rest, nor write beside a drop. */
static int create_locked(file_db *db, rille_err *err)
{
    bool dropping;
    rille_err missing = { 0 };
    int rc = ri_file_check_marker(db, &dropping, &missing);
    if (rc == RILLE_OK && !dropping) {
        return RILLE_OK; /* somebody was first */
    }
    if (rc != RILLE_OK && rc != RILLE_NOTFOUND) {
        *err = missing;
        return rc;
    }
    int errnum = make_layout(db, dropping);
    if (errnum != 0) {
        return ri_fail_errno(err, errnum, "file:%s: cannot create the database in the directory%s", db->path,
                             ri_file_remedy(errnum));
    }
    db->made = true;
    return RILLE_OK;
}

static int create(file_db *db, rille_err *err)
{
    RI_TRY(ri_file_lock(db, err));
    int rc = create_locked(db, err);
    ri_file_unlock(db);
    return rc == RILLE_OK ? ri_file_sync_place(db, err) : rc;
}

static void file_close(void *self)
{
    file_db *db = self;
    ri_file_close_fds(db);
    ri_file_close_heads(db);
    ri_disk_close(db->dir);
    ri_mutex_deinit(&db->swap_lock);
    ri_mutex_deinit(&db->heads_lock);
    ri_mutex_deinit(&db->dirs_lock);
    ri_mutex_deinit(&db->fds_lock);
    ri_free(db);
}

static const rille_backend_ops file_ops = {
    .get_many = ri_file_get_many,
    .put_many = ri_file_put_many,
    .head_read = ri_file_head_read,
    .head_swap = ri_file_head_swap,
    .head_delete = ri_file_head_delete,
    .head_list = ri_file_head_list,
    .list = ri_file_list,
    .ages = ri_file_ages,
    .delete_many = ri_file_delete_many,
    .drop = ri_file_drop,
    .close = file_close,
    .size_bytes = file_size_bytes,
};

static file_db *new_db(const char *path)
{
    size_t len = strlen(path);
    file_db *db = ri_alloc_zero(sizeof *db + len + 1);
    if (db == NULL) {
        return NULL;
    }
    memcpy(db->path, path, len + 1);
    db->dir = -1;
    db->lock_fd = -1;
    for (size_t i = 0; i < FILE_FDS_MAX; i++) {
        db->fds[i].fd = -1;
    }
    ri_mutex_init(&db->swap_lock);
    ri_mutex_init(&db->heads_lock);
    ri_mutex_init(&db->dirs_lock);
    ri_mutex_init(&db->fds_lock);
    return db;
}

static int open_dir(file_db *db, bool create, rille_err *err)
{
    int errnum;
    if (create && mkdir(db->path, 0777) != 0 && errno != EEXIST) {
        errnum = errno;
        return ri_fail_errno(err, errnum, "file:%s: cannot create the directory%s", db->path,
                             errnum == ENOENT ? " (create its parent directory first)" : "");
    }
    db->dir = ri_disk_open(AT_FDCWD, db->path, O_RDONLY | O_DIRECTORY, &errnum);
    if (db->dir >= 0) {
        return RILLE_OK;
    }
    if (errnum == ENOENT) {
        return ri_fail(err, RILLE_NOTFOUND, "file:%s: there is no such directory", db->path);
    }
    if (errnum == ENOTDIR) {
        return ri_fail(err, RILLE_FOREIGN, "file:%s is not a directory", db->path);
    }
    return ri_fail_errno(err, errnum, "file:%s: cannot open the directory", db->path);
}

static int find_or_create(file_db *db, bool may_create, rille_err *err)
{
    bool dropping = false;
    RI_TRY(open_dir(db, may_create, err));
    int rc = ri_file_check_marker(db, &dropping, err);
    db->dropped = rc == RILLE_OK && dropping && !may_create;
    return may_create && (rc == RILLE_NOTFOUND || (rc == RILLE_OK && dropping)) ? create(db, err) : rc;
}

/* True when a drop removed the directory that was made or opened. */
static bool dir_is_gone(const file_db *db)
{
    struct stat info;
    return db->dir < 0 || (fstat(db->dir, &info) == 0 && info.st_nlink == 0);
}

int ri_backend_file_open(const char *place, bool may_create, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    file_db *db = new_db(place);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    rille_err missing = { 0 };
    int rc = find_or_create(db, may_create, &missing);
    for (int i = 1; i < OPEN_TRIES && may_create && rc == RILLE_NOTFOUND && dir_is_gone(db); i++) {
        ri_disk_close(db->dir);
        db->dir = -1;
        rc = find_or_create(db, may_create, &missing);
    }
    if (rc != RILLE_OK) {
        if (err != NULL) {
            *err = missing;
        }
        file_close(db);
        return rc;
    }
    uint32_t made = db->made ? RI_BACKEND_MADE : 0;
    *out = (rille_backend){ &file_ops, db, RILLE_BACKEND_THREADS | made };
    return RILLE_OK;
}
