/* SPDX-License-Identifier: MIT
 *
 * DIR/lock, the lock of the writers of a file: database.
 *
 * DIR/lock is open while it is locked, and no longer. The lock belongs to the open file, which children inherit:
 * an idle child of a writer that was killed would keep it. What is left is a thread that forks while another one
 * commits (docs/c-api.md).
 */
#include "file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 100

/* True when DIR/lock is still the file that is locked: a drop may have removed it meanwhile. */
static bool lock_is_current(const file_db *db)
{
    struct stat mine;
    struct stat there;
    return fstat(db->lock_fd, &mine) == 0 && fstatat(db->dir, FILE_LOCK_NAME, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static void close_lock(file_db *db)
{
    ri_disk_close(db->lock_fd);
    db->lock_fd = -1;
}

static int try_lock(file_db *db)
{
    int errnum = 0;
    for (int i = 0; i < LOCK_TRIES; i++) {
        db->lock_fd = ri_disk_open_file(db->dir, FILE_LOCK_NAME, O_RDWR | O_CREAT, &errnum);
        if (db->lock_fd < 0) {
            return errnum;
        }
        errnum = ri_disk_lock(db->lock_fd);
        if (errnum == 0 && lock_is_current(db)) {
            return 0;
        }
        close_lock(db);
        if (errnum != 0) {
            return errnum;
        }
    }
    return EAGAIN;
}

int ri_file_lock(file_db *db, rille_err *err)
{
    ri_mutex_lock(&db->swap_lock);
    int errnum = try_lock(db);
    if (errnum != 0) {
        ri_mutex_unlock(&db->swap_lock);
        if (errnum == RI_DISK_NO_FILE || errnum == ELOOP) {
            return ri_fail(err, RILLE_CORRUPT, "file:%s: its \"" FILE_LOCK_NAME "\" is not a regular file: remove it",
                           db->path);
        }
        if (errnum == ENOENT && ri_file_is_dropped(db)) { /* the directory too */
            return ri_file_fail_dropped(db, err);
        }
        return ri_fail_errno(err, errnum, "file:%s: cannot open \"" FILE_LOCK_NAME "\" in it to write%s", db->path,
                             ri_file_remedy(errnum));
    }
    return RILLE_OK;
}

void ri_file_unlock(file_db *db)
{
    ri_disk_unlock(db->lock_fd); /* a child that was forked meanwhile may have it open still */
    close_lock(db);
    ri_mutex_unlock(&db->swap_lock);
}
