/* SPDX-License-Identifier: MIT
 *
 * file:DIR - a database in a directory (layout: file_parts.h), for any file system; it can be copied while it is
 * written, and served by any web server. This part opens, creates and drops; file_objects.c keeps packs and blobs,
 * file_heads.c heads.
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

#define MARKER_TEXT "rille database\nformat 1\n"
#define MARKER_DROPPING MARKER_TEXT "dropping\n" /* a drop has begun: what is missing was not lost */
#define MARKER_BEGIN "rille database\nformat "
#define MARKER_BYTES_MAX 64U
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
    return ri_fail_errno(err, errnum, "file:%s: cannot %s %s", db->path, doing, path);
}

/* ---- what is ours ---- */

typedef struct parts_walk {
    bool (*is_ours)(const char *name);
    bool drop;
    size_t strange; /* names that are not ours */
} parts_walk;

static bool is_head(const char *name)
{
    char branch[FILE_BRANCH_LEN_MAX + 1];
    return ri_file_branch_of_name(name, branch);
}

static bool is_pack(const char *name)
{
    uint8_t id[RILLE_ID_SIZE];
    return ri_file_id_of_name(name, ".pack", id);
}

static bool is_blob(const char *name)
{
    uint8_t id[RILLE_ID_SIZE];
    return ri_file_id_of_name(name, "", id);
}

static bool is_nothing(const char *name)
{
    (void)name;
    return false;
}

static int remove_at(int dir, const char *name)
{
    int errnum = ri_disk_remove(dir, name);
    return errnum == ENOENT ? 0 : errnum;
}

static int visit_name(void *context, int dir, const char *name)
{
    parts_walk *walk = context;
    if (!ri_disk_is_temp(name) && !walk->is_ours(name)) {
        walk->strange++;
        return 0;
    }
    return walk->drop ? remove_at(dir, name) : 0;
}

/* A part of the database. A drop leaves one alone that is no directory, or a link to one: what is in it may belong to
 * another database. */
static int walk_part(parts_walk *walk, int dir, const char *name, ri_disk_visit visit)
{
    if (!walk->drop) {
        return ri_disk_walk(dir, name, visit, walk);
    }
    int errnum = ri_disk_walk_own(dir, name, visit, walk);
    walk->strange += errnum == ENOTDIR;
    return errnum == ENOTDIR ? 0 : errnum;
}

static int visit_blobs(void *context, int dir, const char *name)
{
    parts_walk *walk = context;
    if (!ri_file_is_shard(name)) {
        walk->is_ours = is_nothing;
        return visit_name(walk, dir, name);
    }
    walk->is_ours = is_blob;
    int errnum = walk_part(walk, dir, name, visit_name);
    if (walk->drop) {
        (void)unlinkat(dir, name, AT_REMOVEDIR);
    }
    return errnum;
}

/* ---- the marker ---- */

typedef struct dir_contents {
    size_t strange;
    bool lmdb;
} dir_contents;

static int look_at_name(void *context, int dir, const char *name)
{
    static const char *const known[] = { "heads", "packs", "blobs", FILE_LOCK_NAME };
    dir_contents *contents = context;
    bool strange = !ri_disk_is_temp(name);
    (void)dir;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        strange = strange && strcmp(name, known[i]) != 0;
    }
    contents->strange += strange;
    contents->lmdb = contents->lmdb || strcmp(name, "data.mdb") == 0;
    return 0;
}

/* What an unfinished creation leaves, or a drop that a writer raced: objects, but no head. */
static int look_around(const file_db *db, dir_contents *contents)
{
    parts_walk heads = { .is_ours = is_nothing };
    parts_walk packs = { .is_ours = is_pack };
    parts_walk blobs = { .is_ours = is_nothing };
    int errnum = ri_disk_walk(db->dir, ".", look_at_name, contents);
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "heads", visit_name, &heads) : errnum;
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "packs", visit_name, &packs) : errnum;
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "blobs", visit_blobs, &blobs) : errnum;
    contents->strange += heads.strange + packs.strange + blobs.strange + (errnum == ENOTDIR);
    return errnum == ENOTDIR ? 0 : errnum;
}

/* Without a marker: RILLE_NOTFOUND where one may be made. */
static int judge_unmarked(const file_db *db, rille_err *err)
{
    dir_contents contents = { 0 };
    int errnum = look_around(db, &contents);
    if (errnum != 0) {
        return ri_fail_errno(err, errnum, "file:%s: cannot read the directory", db->path);
    }
    if (contents.strange == 0) {
        return ri_fail(err, RILLE_NOTFOUND, "file:%s: there is no database in the directory", db->path);
    }
    if (contents.lmdb) {
        return ri_fail(err, RILLE_FOREIGN, "file:%s: the directory contains an LMDB database; did you mean lmdb:%s?",
                       db->path, db->path);
    }
    return ri_fail(err, RILLE_FOREIGN,
                   "file:%s: the directory has files but no \"" FILE_MARKER_NAME
                   "\", so it is not a rille database (use a new or empty directory)",
                   db->path);
}

/* The first MARKER_BYTES_MAX bytes and a 0. */
typedef struct marker_text {
    char bytes[MARKER_BYTES_MAX + 1];
    size_t len;
} marker_text;

static int read_marker(const file_db *db, marker_text *out)
{
    int errnum;
    struct stat info;
    *out = (marker_text){ .len = 0 };
    int fd = ri_disk_open_file(db->dir, FILE_MARKER_NAME, O_RDONLY, &errnum);
    if (fd < 0) {
        return errnum;
    }
    errnum = fstat(fd, &info) == 0 ? 0 : errno;
    if (errnum == 0) {
        out->len = info.st_size < (off_t)MARKER_BYTES_MAX ? (size_t)info.st_size : MARKER_BYTES_MAX;
        errnum = ri_disk_read(fd, (uint8_t *)out->bytes, out->len, 0);
    }
    ri_disk_close(fd);
    return errnum;
}

/* A part of it does too: the drop that wrote it goes on without. */
static bool says_dropping(const marker_text *text)
{
    return text->len >= sizeof MARKER_TEXT && text->len < sizeof MARKER_DROPPING &&
           memcmp(text->bytes, MARKER_DROPPING, text->len) == 0;
}

bool ri_file_is_dropped(const file_db *db)
{
    marker_text text;
    int errnum = read_marker(db, &text);
    return errnum == ENOENT || (errnum == 0 && says_dropping(&text));
}

int ri_file_fail_dropped(const file_db *db, rille_err *err)
{
    return ri_fail(err, RILLE_NOTFOUND, "file:%s: the database was dropped", db->path);
}

/* The number of another format, which ends its line; NULL: it is none. */
static const char *other_format(const marker_text *text)
{
    const char *number = text->bytes + sizeof MARKER_BEGIN - 1;
    size_t digits = strspn(number, "0123456789");
    bool known = digits == 1 && *number == '1';
    return digits > 0 && number[digits] == '\n' && !known ? number : NULL;
}

/* Printable, on one line. */
static void show_marker(char *out, size_t size, const marker_text *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len && size - n > sizeof "\\xff"; i++) {
        uint8_t byte = (uint8_t)text->bytes[i];
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        int len = byte == '\n' ? snprintf(out + n, size - n, "\\n")
                               : snprintf(out + n, size - n, plain ? "%c" : "\\x%02x", byte);
        n += (size_t)len;
    }
    out[n] = '\0';
}

static int judge_marker(const file_db *db, const marker_text *text, rille_err *err)
{
    if (strncmp(text->bytes, MARKER_BEGIN, sizeof MARKER_BEGIN - 1) != 0) {
        return ri_fail(err, RILLE_FOREIGN,
                       "file:%s: its file \"" FILE_MARKER_NAME
                       "\" was not written by rille (use a new or empty directory)",
                       db->path);
    }
    if (text->len == sizeof MARKER_TEXT - 1 && memcmp(text->bytes, MARKER_TEXT, text->len) == 0) {
        return RILLE_OK;
    }
    const char *other = other_format(text);
    if (other != NULL) {
        int len = (int)strcspn(other, "\n");
        return ri_fail(err, RILLE_FORMAT,
                       "file:%s: the database uses storage format %.*s, but this version of rille supports format 1: "
                       "use a newer version of rille",
                       db->path, len < 20 ? len : 20, other);
    }
    char shown[MARKER_BYTES_MAX + 1];
    show_marker(shown, sizeof shown, text);
    return ri_fail(err, RILLE_CORRUPT,
                   "file:%s: its file \"" FILE_MARKER_NAME
                   "\" is corrupt: expected \"rille database\\nformat 1\\n\", got \"%s\": restore it from a backup",
                   db->path, shown);
}

/* *dropping: a drop has begun. What looked strange may be the work of a creation that goes on: then the marker, which it
 * makes first, is there now. */
static int check_marker(const file_db *db, bool *dropping, rille_err *err)
{
    marker_text text;
    int errnum = ENOENT;
    int rc = RILLE_OK;
    *dropping = false;
    for (int i = 0; i < OPEN_TRIES && errnum == ENOENT; i++) {
        struct stat info;
        errnum = read_marker(db, &text);
        rc = errnum == ENOENT ? judge_unmarked(db, err) : RILLE_OK;
        if (rc != RILLE_OK && (rc != RILLE_FOREIGN || fstatat(db->dir, FILE_MARKER_NAME, &info, 0) != 0)) {
            return rc;
        }
    }
    *dropping = errnum == 0 && says_dropping(&text);
    if (errnum == ENOENT) {
        return rc;
    }
    if (errnum != 0 && errnum != RI_DISK_NO_FILE) {
        return ri_fail_errno(err, errnum, "file:%s: cannot read " FILE_MARKER_NAME, db->path);
    }
    return *dropping ? RILLE_OK : judge_marker(db, &text, err);
}

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

/* ---- dropping ---- */

/* Packs and blobs of a commit that is under way may come behind the walk. */
#define DROP_PASSES_MAX 4

static int drop_parts(const file_db *db)
{
    static const struct {
        const char *dir;
        ri_disk_visit visit;
        bool (*is_ours)(const char *name);
    } parts[] = {
        /* Heads first: without them nothing leads to the rest. */
        { "heads", visit_name, is_head },
        { "packs", visit_name, is_pack },
        { "blobs", visit_blobs, is_blob },
    };
    bool left = true;
    for (int pass = 0; left && pass < DROP_PASSES_MAX; pass++) {
        left = false;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            parts_walk walk = { .is_ours = parts[i].is_ours, .drop = true };
            int errnum = walk_part(&walk, db->dir, parts[i].dir, parts[i].visit);
            if (errnum != 0) {
                return errnum;
            }
            left = (unlinkat(db->dir, parts[i].dir, AT_REMOVEDIR) != 0 && errno != ENOENT && walk.strange == 0) || left;
        }
    }
    return 0;
}

/* The marker last: what a killed drop leaves can be dropped again, or made anew. What rille did not make stays, and its
 * directory with it. */
static int drop_all(const file_db *db)
{
    parts_walk temps = { .is_ours = is_nothing, .drop = true };
    int errnum = drop_parts(db);
    errnum = errnum == 0 ? walk_part(&temps, db->dir, ".", visit_name) : errnum;
    errnum = errnum == 0 ? remove_at(db->dir, FILE_MARKER_NAME) : errnum;
    return errnum == 0 ? remove_at(db->dir, FILE_LOCK_NAME) : errnum;
}

/* The path may lead elsewhere by now: after a chdir, or because DIR has another name. */
static void remove_dir(const file_db *db)
{
    struct stat mine;
    struct stat there;
    if (fstat(db->dir, &mine) == 0 && stat(db->path, &there) == 0 && mine.st_ino == there.st_ino &&
        mine.st_dev == there.st_dev) {
        (void)rmdir(db->path);
    }
}

/* In place, because there may be no room for a new file, and without a word where even that fails: then a drop that is
 * killed leaves what looks like a database that has lost its heads, and can be dropped again all the same. */
static void mark_dropping(const file_db *db)
{
    static const char mark[] = MARKER_DROPPING;
    size_t from = sizeof MARKER_TEXT - 1;
    int errnum;
    int fd = ri_disk_open_file(db->dir, FILE_MARKER_NAME, O_WRONLY, &errnum);
    if (fd >= 0) {
        (void)ri_disk_write(fd, (const uint8_t *)mark + from, sizeof mark - 1 - from, from);
        ri_disk_close(fd);
    }
}

static int file_drop(void *self, rille_err *err)
{
    file_db *db = self;
    RI_TRY(ri_file_lock(db, err));
    mark_dropping(db);
    int errnum = drop_all(db);
    ri_file_unlock(db);
    if (errnum != 0) {
        return ri_fail_errno(err, errnum, "file:%s: cannot remove the database completely", db->path);
    }
    remove_dir(db);
    return RILLE_OK;
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

static int make_layout(const file_db *db)
{
    static const char *const dirs[] = { "heads", "packs", "blobs" };
    int errnum = drop_parts(db); /* what a drop left that did not live to its end, or that a writer raced */
    if (errnum == 0) {
        errnum = ri_disk_replace(db->dir, FILE_MARKER_NAME, (const uint8_t *)MARKER_TEXT, sizeof MARKER_TEXT - 1);
    }
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
    int rc = check_marker(db, &dropping, &missing);
    if (rc == RILLE_OK && !dropping) {
        return RILLE_OK; /* somebody was first */
    }
    if (rc != RILLE_OK && rc != RILLE_NOTFOUND) {
        *err = missing;
        return rc;
    }
    int errnum = make_layout(db);
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
    .delete_many = ri_file_delete_many,
    .drop = file_drop,
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
                             errnum == ENOENT ? " (its parent directory does not exist)" : "");
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
    int rc = check_marker(db, &dropping, err);
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
