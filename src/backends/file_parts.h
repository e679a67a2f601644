/* SPDX-License-Identifier: MIT
 *
 * What the parts of the file backend share. The directory has the marker, heads, packs and blobs (layout.h), and:
 *
 *     lock                      empty; flock'ed by who changes a head
 *     .tmp-<hex>                beside any of these: being written, or left behind by a crash
 */
#ifndef RI_FILE_PARTS_H
#define RI_FILE_PARTS_H

#include "../core/base/bytes.h"
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "../core/store/backends.h"
#include "disk.h"
#include "layout.h"

#define FILE_MARKER_NAME RI_LAYOUT_MARKER
#define FILE_LOCK_NAME "lock"
#define FILE_FDS_MAX 64
#define FILE_HEAD_BYTES_MAX ((uint64_t)256 << 20)
#define FILE_READ_BYTES_MAX ((uint64_t)256 << 20) /* of an object at once: more than any blob or footer has */

/* An open head file. Its inode cannot be given to another file while it is open, and only ever grows: so (serial, size)
 * names its contents. */
typedef struct file_head_fd {
    ri_refs refs;
    int fd;
    bool own;            /* its directory is no link to another one */
    bool writable;       /* and own */
    uint64_t synced_len; /* under swap_lock: so many of its bytes a power failure cannot take any more */
    dev_t dev;
    ino_t ino;
    uint64_t serial; /* of this handle; never 0, never repeated */
} file_head_fd;

typedef struct file_head {
    struct file_head *next;
    file_head_fd *open; /* the newest that was seen */
    char branch[];
} file_head;

typedef struct file_pack_fd {
    uint8_t id[RILLE_ID_SIZE];
    int fd; /* -1: free */
    unsigned users;
    uint64_t size;
    uint64_t last_use;
} file_pack_fd;

/* Internally locked. */
typedef struct file_db {
    int dir;
    ri_mutex swap_lock; /* writers of heads; held over syncs */
    int lock_fd;        /* under swap_lock; -1 when not locked */
    bool swept;
    bool made;           /* by this handle */
    bool dropped;        /* when this handle was opened, a drop had begun: it can only end it */
    ri_mutex heads_lock; /* the list of heads; never held over a sync */
    file_head *heads;
    uint64_t last_serial;
    uint64_t named_serial; /* under swap_lock: nor the names of heads up to this one */
    ri_mutex dirs_lock;    /* held over syncs of directories */
    bool placed;           /* the names of DIR and of what lies in it are durable */
    bool shards[256];      /* so is blobs/xx */
    ri_mutex fds_lock;
    file_pack_fd fds[FILE_FDS_MAX];
    uint64_t fd_clock;
    char path[]; /* as the user wrote it, for messages */
} file_db;

/* Before the first write that has to be durable: another process may have made the directory and not lived to sync it.
 */
int ri_file_sync_place(file_db *db, rille_err *err);

/* the marker, and what else is in the directory */
typedef struct file_contents {
    size_t strange; /* names that are not of a database without a head */
    bool lmdb;
} file_contents;

int ri_file_look_around(const file_db *db, file_contents *contents); /* 0 or an errno */
/* RILLE_NOTFOUND where a database may be made. *dropping: a drop has begun. */
int ri_file_check_marker(const file_db *db, bool *dropping, rille_err *err);
int ri_file_write_marker(const file_db *db); /* 0 or an errno */
void ri_file_mark_dropping(const file_db *db);
/* Also while a drop is under way, or after one that was stopped. */
bool ri_file_is_dropped(const file_db *db);
int ri_file_fail_dropped(const file_db *db, rille_err *err);

/* Under the lock: removes heads, packs and blobs. begun: by somebody who may not have lived to sync it. *removed: how much
 * there was. 0 or an errno. */
int ri_file_drop_parts(const file_db *db, bool begun, size_t *removed);
int ri_file_drop(void *self, rille_err *err);

/* Behind a message of an errno about the directory: what to do, in brackets, or nothing. */
const char *ri_file_remedy(int errnum);
/* "cannot read heads/main": says why and what to do. */
int ri_file_fail(const file_db *db, const char *doing, const char *path, int errnum, rille_err *err);

/* objects */
int ri_file_get_many(void *self, rille_get *gets, size_t count, rille_err *err);
/* When the place and the names of the heads that were seen are durable. */
int ri_file_put_objects(file_db *db, const rille_put *puts, size_t count, rille_err *err);
int ri_file_put_many(void *self, const rille_put *puts, size_t count, rille_err *err);
int ri_file_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err);
int ri_file_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err);
int ri_file_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err);
void ri_file_close_fds(file_db *db);

/* heads */
int ri_file_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err);
int ri_file_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err);
int ri_file_head_delete(void *self, const char *branch, rille_err *err);
int ri_file_head_list(void *self, char **names, size_t *count, rille_err *err);
void ri_file_close_heads(file_db *db);
int ri_file_sync_heads(file_db *db); /* 0 or an errno: the names of all that were seen are durable */
/* swap_lock and DIR/lock, between processes too. */
int ri_file_lock(file_db *db, rille_err *err);
void ri_file_unlock(file_db *db);

#endif
