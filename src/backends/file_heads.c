/* SPDX-License-Identifier: MIT
 *
 * Heads of the file backend.
 *
 * (H1) A head file only grows while its name leads to it; every other change puts a new file in its place. So (inode,
 *      size) names its contents, and an inode that is held open is not used again. A revision is (serial of the inode
 *      that this handle holds, size).
 * (H2) Heads change under DIR/lock only. Readers take no lock: they open, and read as much as there is.
 * (H3) An append that failed may have left a part behind, or all of it. The old contents then get a new file, so that
 *      no later append stands behind it. If that fails (there may be no room for it), zeros take the place of what was
 *      appended, which needs no room: whoever reads them sees a torn end and asks for a replacement (kept_len less than
 *      the length). If even that fails, nobody knows whether the commit will be seen, and the message says so.
 * (H4) Nothing durable is built on bytes or a name that a power failure can still take: what another handle put there is
 *      synced first. So at most one append is not durable, and a torn frame is the last one. Objects too are put there
 *      after the names of the heads that were seen: without any head they are a database that has lost it.
 *
 * Cost of an append: DIR/lock opened, locked and closed, two stats, one pwrite, one fdatasync. The first one to a file
 * that this handle did not put there syncs "heads" before; one behind bytes of another handle, or of a commit without
 * durability, has a second fdatasync.
 */
#include "file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_PUTS_BYTES ((size_t)256 << 10) /* a few ms under the lock */

/* ---- open head files ---- */

static void release_open(file_head_fd *open)
{
    if (open != NULL && ri_refs_drop(&open->refs)) {
        ri_disk_close(open->fd);
        ri_free(open);
    }
}

void ri_file_close_heads(file_db *db)
{
    while (db->heads != NULL) {
        file_head *head = db->heads;
        db->heads = head->next;
        release_open(head->open);
        ri_free(head);
    }
}

static file_head *find_head(const file_db *db, const char *branch)
{
    file_head *head = db->heads;
    while (head != NULL && strcmp(head->branch, branch) != 0) {
        head = head->next;
    }
    return head;
}

static file_head *reach_head(file_db *db, const char *branch)
{
    file_head *head = find_head(db, branch);
    size_t len = strlen(branch);
    if (head == NULL && (head = ri_alloc_zero(sizeof *head + len + 1)) != NULL) {
        memcpy(head->branch, branch, len + 1);
        head->next = db->heads;
        db->heads = head;
    }
    return head;
}

/* Opens what the name leads to now. */
static int open_newest(file_db *db, const char *path, file_head_fd **out)
{
    int errnum = EACCES;
    struct stat info;
    bool own = ri_disk_is_own(db->dir, path);
    bool writable = own;
    int fd = own ? ri_disk_open_file(db->dir, path, O_RDWR, &errnum) : -1;
    if (fd < 0 && (errnum == EACCES || errnum == EPERM || errnum == EROFS)) {
        writable = false;
        fd = ri_disk_open_file(db->dir, path, O_RDONLY, &errnum);
    }
    if (fd < 0) {
        return errnum;
    }
    file_head_fd *open = fstat(fd, &info) == 0 ? ri_alloc(sizeof *open) : NULL;
    if (open == NULL) {
        errnum = ENOMEM;
        ri_disk_close(fd);
        return errnum;
    }
    *open = (file_head_fd){ .fd = fd, .own = own, .writable = writable, .dev = info.st_dev, .ino = info.st_ino };
    ri_refs_init(&open->refs);
    *out = open;
    return 0;
}

/* The file that the name leads to, as a reference of the caller's: the one that is held if it still is the same. */
static int reach_open(file_db *db, const char *branch, const char *path, file_head_fd **out)
{
    int errnum = 0;
    struct stat info;
    *out = NULL;
    ri_mutex_lock(&db->heads_lock);
    bool found = fstatat(db->dir, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
    errnum = found ? 0 : errno;
    file_head *head = found ? reach_head(db, branch) : NULL;
    if (found && head == NULL) {
        errnum = ENOMEM;
    } else if (found && (head->open == NULL || head->open->ino != info.st_ino || head->open->dev != info.st_dev)) {
        file_head_fd *newest = NULL;
        errnum = open_newest(db, path, &newest);
        if (errnum == 0) {
            newest->serial = ++db->last_serial;
            release_open(head->open);
            head->open = newest;
        }
    }
    if (errnum == 0) {
        *out = head->open;
        ri_refs_take(&head->open->refs);
    }
    ri_mutex_unlock(&db->heads_lock);
    return errnum;
}

static rille_revision revision_of(const file_head_fd *open, uint64_t size)
{
    rille_revision revision = { { 0 } };
    ri_store_u64(revision.bytes, open->serial);
    ri_store_u64(revision.bytes + 8, size);
    return revision;
}

/* ---- reading ---- */

static int read_open(const file_db *db, const file_head_fd *open, const char *path, const rille_revision *known,
                     rille_head *out, rille_err *err)
{
    struct stat info;
    if (fstat(open->fd, &info) != 0) {
        return ri_file_fail(db, "read", path, errno, err);
    }
    if ((uint64_t)info.st_size > FILE_HEAD_BYTES_MAX) {
        return ri_fail(err, RILLE_CORRUPT, "file:%s: %s is %llu bytes long, which is too long for a branch head",
                       db->path, path, (unsigned long long)info.st_size);
    }
    size_t len = (size_t)info.st_size;
    rille_revision revision = revision_of(open, len);
    if (known != NULL && memcmp(known, &revision, sizeof revision) == 0) {
        return RILLE_DONE;
    }
    uint8_t *bytes = ri_alloc(len);
    if (bytes == NULL) {
        return ri_fail_nomem(err);
    }
    int errnum = ri_disk_read(open->fd, bytes, len, 0);
    if (errnum != 0) {
        ri_free(bytes);
        return ri_file_fail(db, "read", path, errnum, err);
    }
    *out = (rille_head){ bytes, len, revision };
    return RILLE_OK;
}

int ri_file_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    file_db *db = self;
    ri_layout_name path;
    file_head_fd *open;
    *out = (rille_head){ 0 };
    RI_TRY(ri_layout_head(branch, "file:", db->path, &path, err));
    int errnum = db->dropped ? ENOENT : reach_open(db, branch, path.text, &open);
    if (errnum == ENOENT && ri_file_is_dropped(db)) {
        return ri_file_fail_dropped(db, err);
    }
    if (errnum == ENOENT) {
        return ri_fail(err, RILLE_NOTFOUND, "file:%s: there is no branch \"%s\"", db->path, branch);
    }
    if (errnum != 0) {
        return ri_file_fail(db, "open", path.text, errnum, err);
    }
    int rc = read_open(db, open, path.text, known, out, err);
    release_open(open);
    return rc;
}

/* ---- writing ---- */

/* A new file with these bytes takes the name. */
static int replace_head(const file_db *db, const char *path, const uint8_t *bytes, size_t len)
{
    int errnum = ri_disk_replace(db->dir, path, bytes, len);
    if (errnum == ENOENT) {
        errnum = ri_disk_mkdir(db->dir, "heads");
        errnum = errnum == 0 ? ri_disk_sync_dir(db->dir, ".") : errnum;
        errnum = errnum == 0 ? ri_disk_replace(db->dir, path, bytes, len) : errnum;
    }
    return errnum;
}

/* Nobody knows whether it is there, or will be after a power failure: so it is never RILLE_FULL, which says that
 * nothing was committed. */
static int fail_unknown(const file_db *db, const char *path, int errnum, rille_err *err)
{
    (void)ri_fail_errno(err, errnum, "file:%s: it is unknown whether %s contains the commit: read it again to find out",
                        db->path, path);
    if (err != NULL) {
        err->code = RILLE_IO;
    }
    return RILLE_IO;
}

/* Zeros over all that was appended. From the end on by sectors, so that a reader who comes meanwhile sees a torn end
 * too. Who saw all of it must not take what is there now for that, by (H1): then it gets a byte longer before. */
static int erase_append(const file_head_fd *open, uint64_t old_len, uint64_t new_len)
{
    static const uint8_t zeros[RI_DISK_SECTOR];
    struct stat info;
    int errnum = fstat(open->fd, &info) == 0 ? 0 : errno;
    uint64_t end = errnum == 0 ? (uint64_t)info.st_size : 0;
    if (errnum == 0 && end == new_len) {
        errnum = ri_disk_write(open->fd, zeros, 1, end);
    }
    while (errnum == 0 && end > old_len) {
        uint64_t from = (end - 1) / RI_DISK_SECTOR * RI_DISK_SECTOR;
        from = from > old_len ? from : old_len;
        errnum = ri_disk_write(open->fd, zeros, (size_t)(end - from), from);
        end = from;
    }
    return errnum == 0 ? ri_disk_sync(open->fd) : errnum;
}

/* (H3). False: it may be there still. */
static bool undo_append(const file_db *db, const file_head_fd *open, const char *path, size_t old_len, size_t new_len)
{
    uint8_t *old = ri_alloc(old_len);
    int errnum = old == NULL ? ENOMEM : ri_disk_read(open->fd, old, old_len, 0);
    errnum = errnum == 0 ? replace_head(db, path, old, old_len) : errnum;
    errnum = errnum == 0 ? ri_disk_sync_dir(db->dir, "heads") : errnum;
    ri_free(old);
    return errnum == 0 || erase_append(open, old_len, new_len) == 0;
}

/* Under swap_lock. A head that was seen has a name from before; who changes it in another process has DIR/lock. */
static int sync_names(file_db *db)
{
    ri_mutex_lock(&db->heads_lock);
    uint64_t last = db->last_serial;
    ri_mutex_unlock(&db->heads_lock);
    int errnum = db->named_serial >= last ? 0 : ri_disk_sync_dir(db->dir, "heads");
    db->named_serial = errnum == 0 && last > db->named_serial ? last : db->named_serial;
    return errnum;
}

int ri_file_sync_heads(file_db *db)
{
    ri_mutex_lock(&db->swap_lock);
    int errnum = sync_names(db);
    ri_mutex_unlock(&db->swap_lock);
    return errnum;
}

/* (H4) */
static int make_durable(file_db *db, file_head_fd *open, uint64_t len)
{
    int errnum = open->serial > db->named_serial ? sync_names(db) : 0;
    if (errnum == 0 && open->synced_len < len) {
        errnum = ri_disk_sync(open->fd);
        open->synced_len = errnum == 0 ? len : open->synced_len;
    }
    return errnum;
}

static int append_head(file_db *db, file_head_fd *open, const char *path, const rille_head_swap *swap, rille_err *err)
{
    if (!open->writable) {
        return ri_file_fail(db, "write", path, open->own ? EACCES : ENOTDIR, err);
    }
    size_t old_len = swap->kept_len;
    int errnum = swap->durable ? make_durable(db, open, old_len) : 0;
    if (errnum != 0) {
        return ri_file_fail(db, "sync", path, errnum, err);
    }
    errnum = ri_disk_write(open->fd, swap->cell + old_len, swap->cell_len - old_len, old_len);
    if (errnum == 0 && swap->durable) {
        errnum = ri_disk_sync(open->fd);
    }
    if (errnum == 0) {
        open->synced_len = swap->durable ? swap->cell_len : open->synced_len;
        return RILLE_OK;
    }
    return undo_append(db, open, path, old_len, swap->cell_len) ? ri_file_fail(db, "append to", path, errnum, err)
                                                                : fail_unknown(db, path, errnum, err);
}

static int sweep_shard(void *context, int dir, const char *name)
{
    (void)context;
    if (ri_layout_is_shard(name)) {
        ri_disk_sweep(dir, name);
    }
    return 0;
}

static void sweep_all(const file_db *db)
{
    static const char *const dirs[] = { ".", "heads", "packs", "blobs" };
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        ri_disk_sweep(db->dir, dirs[i]);
    }
    (void)ri_disk_walk_own(db->dir, "blobs", sweep_shard, NULL);
}

static int write_new_head(file_db *db, const char *path, const rille_head_swap *swap, rille_err *err)
{
    int errnum = replace_head(db, path, swap->cell, swap->cell_len);
    if (errnum != 0) {
        return ri_file_fail(db, "write", path, errnum, err);
    }
    if (swap->durable && (errnum = ri_disk_sync_dir(db->dir, "heads")) != 0) {
        return fail_unknown(db, path, errnum, err);
    }
    if (!db->swept) { /* seldom enough, and nobody writes a head meanwhile */
        db->swept = true;
        sweep_all(db);
    }
    return RILLE_OK;
}

/* RILLE_CONFLICT unless the name still leads to the expected contents; *open is a reference of the caller's, or NULL
 * when there is no head and none is expected. */
static int check_expected(file_db *db, const rille_head_swap *swap, const char *path, file_head_fd **open,
                          rille_err *err)
{
    struct stat info;
    *open = NULL;
    int errnum = db->dropped ? ENOENT : reach_open(db, swap->branch, path, open);
    if (errnum == ENOENT) {
        static const rille_revision none;
        if (ri_file_is_dropped(db)) {
            return ri_file_fail_dropped(db, err);
        }
        return memcmp(&swap->expected, &none, sizeof none) == 0 ? RILLE_OK : RILLE_CONFLICT;
    }
    if (errnum != 0) {
        return ri_file_fail(db, "open", path, errnum, err);
    }
    int rc = RILLE_OK;
    if (fstat((*open)->fd, &info) != 0) {
        rc = ri_file_fail(db, "open", path, errno, err);
    } else {
        rille_revision found = revision_of(*open, (uint64_t)info.st_size);
        rc = memcmp(&swap->expected, &found, sizeof found) == 0 ? RILLE_OK : RILLE_CONFLICT;
    }
    if (rc == RILLE_OK && swap->kept_len > (uint64_t)info.st_size) {
        rc = ri_fail(err, RILLE_MISUSE, "file:%s: cannot keep %zu bytes of a branch head of %lld bytes", db->path,
                     swap->kept_len, (long long)info.st_size);
    }
    if (rc != RILLE_OK) {
        release_open(*open);
        *open = NULL;
    }
    return rc;
}

/* Puts a new file in the head's place, which from there on is no failure any more: where it cannot be opened, the
 * revision is one that no head ever has, and the next swap conflicts and reads again. */
static int begin_head(file_db *db, const rille_head_swap *swap, const char *path, rille_revision *revision,
                      rille_err *err)
{
    file_head_fd *open;
    RI_TRY(write_new_head(db, path, swap, err));
    if (reach_open(db, swap->branch, path, &open) == 0) {
        db->named_serial = swap->durable ? open->serial : db->named_serial;
        open->synced_len = swap->cell_len;
        *revision = revision_of(open, swap->cell_len);
        release_open(open);
    } else {
        memset(revision, 0xff, sizeof *revision);
    }
    return RILLE_OK;
}

/* Under the lock. */
/* Objects of a small commit are written under the lock, when it is known that it wins: losers leave nothing behind.
 * Others would hold the lock for too long. */
static bool has_small_puts(const rille_head_swap *swap)
{
    size_t bytes = 0;
    for (size_t i = 0; i < swap->put_count; i++) {
        bytes += swap->puts[i].len;
    }
    return bytes <= SMALL_PUTS_BYTES;
}

static int put_small(file_db *db, const rille_head_swap *swap, rille_err *err)
{
    if (swap->put_count == 0) {
        return RILLE_OK;
    }
    int errnum = sync_names(db);
    return errnum != 0 ? ri_file_fail(db, "sync", "heads", errnum, err)
                       : ri_file_put_objects(db, swap->puts, swap->put_count, err);
}

static int change_head(file_db *db, const rille_head_swap *swap, const char *path, rille_revision *revision,
                       rille_err *err)
{
    file_head_fd *open;
    RI_TRY(check_expected(db, swap, path, &open, err));
    int rc = has_small_puts(swap) ? put_small(db, swap, err) : RILLE_OK;
    if (rc != RILLE_OK) {
        release_open(open);
        return rc;
    }
    uint64_t old_len = open == NULL ? 0 : ri_load_u64(swap->expected.bytes + 8);
    if (open == NULL || swap->kept_len == 0 || swap->kept_len != old_len || swap->cell_len < old_len) {
        release_open(open);
        return begin_head(db, swap, path, revision, err);
    }
    bool same = swap->cell_len == old_len && !swap->durable;
    rc = same ? RILLE_OK : append_head(db, open, path, swap, err);
    if (rc == RILLE_OK) {
        *revision = revision_of(open, swap->cell_len);
    }
    release_open(open);
    return rc;
}

int ri_file_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    file_db *db = self;
    ri_layout_name path;
    *revision = (rille_revision){ { 0 } };
    RI_TRY(ri_layout_head(swap->branch, "file:", db->path, &path, err));
    if (!has_small_puts(swap)) {
        file_head_fd *open; /* a race that is lost already need not write anything */
        RI_TRY(check_expected(db, swap, path.text, &open, err));
        release_open(open);
        RI_TRY(ri_file_put_many(db, swap->puts, swap->put_count, err));
    }
    if (swap->durable || swap->put_count > 0) {
        RI_TRY(ri_file_sync_place(db, err));
    }
    RI_TRY(ri_file_lock(db, err));
    int rc = change_head(db, swap, path.text, revision, err);
    ri_file_unlock(db);
    return rc;
}

int ri_file_head_delete(void *self, const char *branch, rille_err *err)
{
    file_db *db = self;
    ri_layout_name path;
    RI_TRY(ri_layout_head(branch, "file:", db->path, &path, err));
    RI_TRY(ri_file_lock(db, err));
    int errnum = db->dropped ? ENOENT : ri_disk_remove(db->dir, path.text);
    int rc = RILLE_OK;
    if (errnum == ENOENT) {
        rc = ri_fail(err, RILLE_NOTFOUND, "file:%s: there is no branch \"%s\"", db->path, branch);
    } else if (errnum != 0 || (errnum = ri_disk_sync_dir(db->dir, "heads")) != 0) {
        rc = ri_file_fail(db, "remove", path.text, errnum, err);
    }
    ri_file_unlock(db);
    return rc;
}

typedef struct name_list {
    char *names;
    size_t len;
    size_t cap;
    size_t count;
} name_list;

static int list_name(void *context, int dir, const char *name)
{
    name_list *list = context;
    char branch[RI_LAYOUT_BRANCH_LEN_MAX + 1];
    (void)dir;
    if (!ri_layout_branch(name, branch)) {
        return 0;
    }
    size_t size = strlen(branch) + 1;
    if (!RI_GROW(&list->names, &list->cap, list->len + size)) {
        return ENOMEM;
    }
    memcpy(list->names + list->len, branch, size);
    list->len += size;
    list->count++;
    return 0;
}

int ri_file_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    const file_db *db = self;
    name_list list = { 0 };
    *names = NULL;
    *count = 0;
    if (db->dropped) {
        return ri_file_fail_dropped(db, err);
    }
    int errnum = ri_disk_walk(db->dir, "heads", list_name, &list);
    if (errnum == 0 && !RI_GROW(&list.names, &list.cap, 1)) {
        errnum = ENOMEM;
    }
    if (errnum != 0) {
        ri_free(list.names);
        return ri_file_fail(db, "list", "heads", errnum, err);
    }
    *names = list.names;
    *count = list.count;
    return RILLE_OK;
}
