/* SPDX-License-Identifier: MIT
 *
 * Packs and blobs of the file backend. A file under its final name is whole, because it was renamed there after its
 * sync; so one that is there with the right size is not written again. Open packs are kept for reading.
 */
#include "file_parts.h"

#include "../core/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- open packs ---- */

void ri_file_close_fds(file_db *db)
{
    for (size_t i = 0; i < FILE_FDS_MAX; i++) {
        ri_disk_close(db->fds[i].fd);
        db->fds[i].fd = -1;
    }
}

static file_pack_fd *find_fd(file_db *db, const uint8_t *id)
{
    for (size_t i = 0; i < FILE_FDS_MAX; i++) {
        if (db->fds[i].fd >= 0 && memcmp(db->fds[i].id, id, RILLE_ID_SIZE) == 0) {
            return &db->fds[i];
        }
    }
    return NULL;
}

/* A free place, or the one that nobody used for longest, or NULL when all are in use. */
static file_pack_fd *idle_fd(file_db *db)
{
    file_pack_fd *oldest = NULL;
    for (size_t i = 0; i < FILE_FDS_MAX; i++) {
        file_pack_fd *fd = &db->fds[i];
        if (fd->fd < 0) {
            return fd;
        }
        if (fd->users == 0 && (oldest == NULL || fd->last_use < oldest->last_use)) {
            oldest = fd;
        }
    }
    return oldest;
}

static int open_sized(const file_db *db, const char *path, uint64_t *size, int *errnum)
{
    struct stat info;
    int fd = ri_disk_open_file(db->dir, path, O_RDONLY, errnum);
    if (fd >= 0 && fstat(fd, &info) != 0) {
        *errnum = errno;
        ri_disk_close(fd);
        fd = -1;
    }
    *size = fd < 0 ? 0 : (uint64_t)info.st_size;
    return fd;
}

/* An object that is open for reading: from the kept ones, or `own`, opened for this once. */
typedef struct open_object {
    file_pack_fd *kept;
    int fd;
    uint64_t size;
} open_object;

static void keep_fd(file_db *db, const uint8_t *id, open_object *object)
{
    file_pack_fd *place = idle_fd(db);
    if (place == NULL) {
        return;
    }
    ri_disk_close(place->fd);
    *place = (file_pack_fd){ .fd = object->fd, .users = 1, .size = object->size, .last_use = ++db->fd_clock };
    memcpy(place->id, id, RILLE_ID_SIZE);
    object->kept = place;
}

static int open_object_of(file_db *db, const rille_object_id *id, open_object *out)
{
    ri_layout_name path;
    int errnum = 0;
    *out = (open_object){ .fd = -1 };
    if (!ri_layout_object(id, &path)) {
        return ENOENT;
    }
    if (id->kind != RILLE_OBJECT_PACK) {
        out->fd = open_sized(db, path.text, &out->size, &errnum);
        return errnum;
    }
    ri_mutex_lock(&db->fds_lock);
    file_pack_fd *kept = find_fd(db, id->id);
    if (kept != NULL) {
        kept->users++;
        kept->last_use = ++db->fd_clock;
        *out = (open_object){ kept, kept->fd, kept->size };
    } else {
        out->fd = open_sized(db, path.text, &out->size, &errnum);
        file_pack_fd *idle = errnum == EMFILE || errnum == ENFILE ? idle_fd(db) : NULL;
        if (idle != NULL && idle->fd >= 0) { /* give one back and try again */
            ri_disk_close(idle->fd);
            idle->fd = -1;
            out->fd = open_sized(db, path.text, &out->size, &errnum);
        }
        if (out->fd >= 0) {
            keep_fd(db, id->id, out);
        }
    }
    ri_mutex_unlock(&db->fds_lock);
    return errnum;
}

static void close_object(file_db *db, const open_object *object)
{
    if (object->kept == NULL) {
        ri_disk_close(object->fd);
        return;
    }
    ri_mutex_lock(&db->fds_lock);
    object->kept->users--;
    ri_mutex_unlock(&db->fds_lock);
}

static int rc_of_errno(int errnum)
{
    if (errnum == RI_DISK_NO_FILE) {
        return RILLE_CORRUPT;
    }
    return errnum == 0 ? RILLE_OK : ri_fail_errno(NULL, errnum, "%s", "");
}

static int read_range(const open_object *object, rille_get *get)
{
    if (get->offset > object->size || object->size - get->offset < get->len) {
        return RILLE_CORRUPT;
    }
    uint64_t len = get->len == 0 ? object->size - get->offset : get->len;
    if (len > FILE_READ_BYTES_MAX) {
        return RILLE_CORRUPT;
    }
    if ((get->bytes = ri_alloc((size_t)len)) == NULL) {
        return RILLE_NOMEM;
    }
    int rc = rc_of_errno(ri_disk_read(object->fd, get->bytes, (size_t)len, get->offset));
    if (rc != RILLE_OK) {
        ri_free(get->bytes);
        get->bytes = NULL;
        return rc;
    }
    get->bytes_len = (size_t)len;
    return RILLE_OK;
}

int ri_file_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    file_db *db = self;
    bool missing = false;
    for (size_t i = 0; i < count; i++) {
        open_object object;
        gets[i].bytes = NULL;
        gets[i].bytes_len = 0;
        gets[i].rc = rc_of_errno(open_object_of(db, &gets[i].object, &object));
        if (gets[i].rc == RILLE_OK) {
            gets[i].rc = read_range(&object, &gets[i]);
            close_object(db, &object);
        }
        missing = missing || gets[i].rc == RILLE_NOTFOUND;
    }
    if (!missing || !ri_file_is_dropped(db)) {
        return RILLE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        ri_free(gets[i].bytes);
        gets[i].bytes = NULL;
    }
    return ri_file_fail_dropped(db, err);
}

/* ---- writing ---- */

/* packs and blobs may be missing: some tools do not copy empty directories. */
static int make_dirs(const file_db *db, const char *path)
{
    const char *slash = strchr(path, '/');
    const char *second = strchr(slash + 1, '/');
    char dir[16];
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    int errnum = ri_disk_mkdir(db->dir, dir);
    errnum = errnum == 0 ? ri_disk_sync_dir(db->dir, ".") : errnum;
    if (errnum != 0 || second == NULL) {
        return errnum;
    }
    char inner[16];
    (void)snprintf(inner, sizeof inner, "%.*s", (int)(second - path), path);
    return ri_disk_mkdir(db->dir, inner); /* sync_shards */
}

static int write_object(const file_db *db, const rille_put *put, const char *path)
{
    struct stat info;
    if (fstatat(db->dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
        (uint64_t)info.st_size == put->len && ri_disk_is_own(db->dir, path)) {
        return 0;
    }
    int errnum = ri_disk_replace(db->dir, path, put->bytes, put->len);
    if (errnum == ENOENT) {
        errnum = make_dirs(db, path);
        errnum = errnum == 0 ? ri_disk_replace(db->dir, path, put->bytes, put->len) : errnum;
    }
    return errnum;
}

/* Directories that got files: packs is bit 256, blobs/xx bit xx. */
typedef struct touched_dirs {
    bool at[257];
} touched_dirs;

/* A directory blobs/xx that was there may have been made by a process that did not live to sync its name. */
static int sync_shards(file_db *db, const touched_dirs *touched)
{
    int errnum = 0;
    bool fresh = false;
    ri_mutex_lock(&db->dirs_lock);
    for (unsigned i = 0; i < 256; i++) {
        fresh = fresh || (touched->at[i] && !db->shards[i]);
    }
    if (fresh && (errnum = ri_disk_sync_dir(db->dir, "blobs")) == 0) {
        for (unsigned i = 0; i < 256; i++) {
            db->shards[i] = db->shards[i] || touched->at[i];
        }
    }
    ri_mutex_unlock(&db->dirs_lock);
    return errnum;
}

static int sync_touched(file_db *db, const touched_dirs *touched)
{
    int errnum = touched->at[256] ? ri_disk_sync_dir(db->dir, "packs") : 0;
    errnum = errnum == 0 ? sync_shards(db, touched) : errnum;
    for (unsigned i = 0; i < 256 && errnum == 0; i++) {
        if (touched->at[i]) {
            char dir[16];
            (void)snprintf(dir, sizeof dir, "blobs/%02x", i);
            errnum = ri_disk_sync_dir(db->dir, dir);
        }
    }
    return errnum;
}

int ri_file_put_objects(file_db *db, const rille_put *puts, size_t count, rille_err *err)
{
    touched_dirs touched = { { false } };
    int errnum;
    for (size_t i = 0; i < count; i++) {
        ri_layout_name path;
        if (!ri_layout_object(&puts[i].object, &path)) {
            return ri_fail(err, RILLE_MISUSE, "file:%s: nodes are stored in packs, not as single objects", db->path);
        }
        errnum = write_object(db, &puts[i], path.text);
        if (errnum != 0) {
            return ri_file_fail(db, "write", path.text, errnum, err);
        }
        touched.at[puts[i].object.kind == RILLE_OBJECT_PACK ? 256 : puts[i].object.id[0]] = true;
    }
    errnum = sync_touched(db, &touched);
    return errnum == 0 ? RILLE_OK : ri_fail_errno(err, errnum, "file:%s: cannot sync a directory", db->path);
}

int ri_file_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    file_db *db = self;
    RI_TRY(ri_file_sync_place(db, err));
    int errnum = ri_file_sync_heads(db);
    return errnum != 0 ? ri_file_fail(db, "sync", "heads", errnum, err) : ri_file_put_objects(db, puts, count, err);
}

/* ---- listing and deleting ---- */

typedef struct id_list {
    rille_object_id *ids;
    size_t count;
    size_t cap;
    uint8_t kind;
    const char *suffix;
} id_list;

static int list_id(void *context, int dir, const char *name)
{
    id_list *list = context;
    rille_object_id id = { .kind = list->kind };
    (void)dir;
    if (!ri_layout_id(name, list->suffix, id.id)) {
        return 0;
    }
    if (!RI_GROW(&list->ids, &list->cap, list->count + 1)) {
        return ENOMEM;
    }
    list->ids[list->count++] = id;
    return 0;
}

static int list_blob_dir(void *context, int dir, const char *name)
{
    return ri_layout_is_shard(name) ? ri_disk_walk(dir, name, list_id, context) : 0;
}

int ri_file_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    const file_db *db = self;
    id_list list = { .kind = (uint8_t)kind, .suffix = kind == RILLE_OBJECT_PACK ? ".pack" : "" };
    int errnum = 0;
    *ids = NULL;
    *count = 0;
    if (ri_file_is_dropped(db)) {
        return ri_file_fail_dropped(db, err);
    }
    switch (kind) {
    case RILLE_OBJECT_PACK:
        errnum = ri_disk_walk(db->dir, "packs", list_id, &list);
        break;
    case RILLE_OBJECT_BLOB:
        errnum = ri_disk_walk(db->dir, "blobs", list_blob_dir, &list);
        break;
    case RILLE_OBJECT_NODE:
        break;
    }
    if (errnum == 0 && !RI_GROW(&list.ids, &list.cap, 1)) {
        errnum = ENOMEM;
    }
    if (errnum != 0) {
        ri_free(list.ids);
        return errnum == ENOMEM ? ri_fail_nomem(err)
                                : ri_fail_errno(err, errnum, "file:%s: cannot list objects", db->path);
    }
    *ids = list.ids;
    *count = list.count;
    return RILLE_OK;
}

/* By the times of the files, and so by this machine's clock. */
int ri_file_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err)
{
    const file_db *db = self;
    int64_t now_ms = ri_clock_ms();
    (void)err;
    for (size_t i = 0; i < count; i++) {
        ri_layout_name path;
        int64_t written_ms;
        bool known = ri_layout_object(&ids[i], &path) && ri_disk_time(db->dir, path.text, &written_ms) == 0;
        ages_ms[i] = !known ? -1 : written_ms < now_ms ? now_ms - written_ms : 0;
    }
    return RILLE_OK;
}

static void forget_fd(file_db *db, const rille_object_id *id)
{
    ri_mutex_lock(&db->fds_lock);
    file_pack_fd *kept = id->kind == RILLE_OBJECT_PACK ? find_fd(db, id->id) : NULL;
    if (kept != NULL && kept->users == 0) {
        ri_disk_close(kept->fd);
        kept->fd = -1;
    }
    ri_mutex_unlock(&db->fds_lock);
}

int ri_file_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    file_db *db = self;
    for (size_t i = 0; i < count; i++) {
        ri_layout_name path;
        if (!ri_layout_object(&ids[i], &path)) {
            continue;
        }
        forget_fd(db, &ids[i]);
        int errnum = ri_disk_remove(db->dir, path.text);
        if (errnum != 0 && errnum != ENOENT) {
            return ri_file_fail(db, "remove", path.text, errnum, err);
        }
    }
    return RILLE_OK;
}
