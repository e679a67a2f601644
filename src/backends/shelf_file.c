/* SPDX-License-Identifier: MIT
 *
 * A shelf in one file of fixed size, cache.rille, in a directory of its own (shelf_sets.h). The file is sparse, so what
 * was never written takes no room. Nothing is synced: what a crash of the machine leaves is found out when it is read.
 *
 * | offset | size   | what                                                     |
 * |--------|--------|----------------------------------------------------------|
 * | 0      | 8      | RILLSHLF                                                 |
 * | 8      | 4      | version, 1                                               |
 * | 12     | 4      | bytes of a set                                           |
 * | 16     | 8      | count of sets                                            |
 * | 4096   |        | the sets                                                 |
 *
 * The file appears whole, by a rename. A process that wants another size puts another file in its place; so does one
 * that empties it. Who still has the old one finds that out when he puts (every CHECK_EVERY calls), and takes the one
 * that is there then, or makes one: also when somebody removed the directory. Where that cannot be done, as on a full
 * disk, everything is a miss, until it can.
 */
#include "../core/base/bytes.h"
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "disk.h"
#include "shelf_place.h"
#include "shelf_sets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "cache.rille"
#define HEADER_SIZE ((size_t)24)
#define SETS_AT ((uint64_t)4096)
#define VERSION 1U
#define CHECK_EVERY 64U
#define BLOCK_BYTES 512U /* of st_blocks */

static const uint8_t magic[8] = { 'R', 'I', 'L', 'L', 'S', 'H', 'L', 'F' };

typedef struct file_shelf {
    ri_mutex lock; /* of all below but `place` */
    char *place;
    int fd;              /* -1: there is no file */
    uint64_t sets_asked; /* that its user wants */
    ri_sets sets;
    uint64_t evictions;
    unsigned calls;
} file_shelf;

static bool file_read(void *self, uint64_t offset, uint8_t *bytes, size_t len)
{
    file_shelf *shelf = self;
    return ri_disk_read(shelf->fd, bytes, len, SETS_AT + offset) == 0;
}

static bool file_write(void *self, uint64_t offset, const uint8_t *bytes, size_t len)
{
    file_shelf *shelf = self;
    return ri_disk_write(shelf->fd, bytes, len, SETS_AT + offset) == 0;
}

/* ---- the file ---- */

static void close_file(file_shelf *shelf)
{
    ri_disk_close(shelf->fd);
    shelf->fd = -1;
}

/* 0: the header's count of sets is in *count, or 0 if this is no shelf. */
static int read_header(int fd, uint64_t *count)
{
    uint8_t header[HEADER_SIZE];
    struct stat info;
    *count = 0;
    int errnum = fstat(fd, &info) != 0 ? errno : 0;
    if (errnum != 0 || info.st_size < (off_t)SETS_AT) {
        return errnum;
    }
    errnum = ri_disk_read(fd, header, sizeof header, 0);
    uint64_t room = ((uint64_t)info.st_size - SETS_AT) / RI_SET_BYTES;
    if (errnum == 0 && memcmp(header, magic, sizeof magic) == 0 && ri_load_u32(header + 8) == VERSION &&
        ri_load_u32(header + 12) == RI_SET_BYTES && ri_load_u64(header + 16) == room) {
        *count = room;
    }
    return errnum;
}

/* Opens what is there. False: nothing that is of use; `exact`: or of another size. */
static bool open_file(file_shelf *shelf, int dir, bool exact)
{
    uint64_t count;
    int errnum;
    int fd = ri_disk_open_file(dir, FILE_NAME, O_RDWR, &errnum);
    if (fd < 0 || read_header(fd, &count) != 0 || count == 0 || (exact && count != shelf->sets_asked)) {
        ri_disk_close(fd);
        return false;
    }
    shelf->fd = fd;
    shelf->sets.count = count;
    return true;
}

static int fill_file(int fd, uint64_t count)
{
    uint8_t header[HEADER_SIZE];
    memcpy(header, magic, sizeof magic);
    ri_store_u32(header + 8, VERSION);
    ri_store_u32(header + 12, (uint32_t)RI_SET_BYTES);
    ri_store_u64(header + 16, count);
    (void)flock(fd, LOCK_EX | LOCK_NB); /* tells the sweep of others that somebody is writing */
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)(SETS_AT + count * RI_SET_BYTES)) != 0) {
        return errno;
    }
    return ri_disk_write(fd, header, sizeof header, 0);
}

/* Puts an empty file in the place of any other. */
static int make_file(file_shelf *shelf, int dir)
{
    char temp[RI_DISK_TEMP_SIZE];
    int errnum;
    ri_disk_sweep(dir, ".");
    ri_disk_temp_name(temp);
    int fd = ri_disk_open(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, &errnum);
    if (fd < 0) {
        return errnum;
    }
    errnum = fill_file(fd, shelf->sets_asked);
    errnum = errnum == 0 ? ri_disk_rename(dir, temp, FILE_NAME) : errnum;
    if (errnum != 0) {
        (void)unlinkat(dir, temp, 0);
        ri_disk_close(fd);
        return errnum;
    }
    ri_disk_unlock(fd);
    shelf->fd = fd;
    shelf->sets.count = shelf->sets_asked;
    return 0;
}

/* 0 or an errno; then there is no file. */
static int reach_file(file_shelf *shelf, bool exact, bool fresh)
{
    int errnum = ri_shelf_make(shelf->place);
    close_file(shelf);
    int dir = errnum == 0 ? ri_disk_open(AT_FDCWD, shelf->place, O_RDONLY | O_DIRECTORY, &errnum) : -1;
    if (dir >= 0 && (fresh || !open_file(shelf, dir, exact))) {
        errnum = make_file(shelf, dir);
    }
    ri_disk_close(dir);
    return errnum;
}

/* Before a put: is the file still the one that others use? */
static void check_file(file_shelf *shelf)
{
    struct stat info;
    if (shelf->calls++ % CHECK_EVERY != 0) {
        return;
    }
    if (shelf->fd < 0 || fstat(shelf->fd, &info) != 0 || info.st_nlink == 0) {
        (void)reach_file(shelf, false, false);
    }
}

/* ---- the slots ---- */

static bool file_get(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], uint8_t **bytes, size_t *len)
{
    file_shelf *shelf = self;
    *bytes = NULL;
    *len = 0;
    ri_mutex_lock(&shelf->lock);
    bool found = shelf->fd >= 0 && ri_sets_get(&shelf->sets, key, bytes, len);
    ri_mutex_unlock(&shelf->lock);
    return found;
}

static bool file_has(void *self, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    file_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    bool found = shelf->fd >= 0 && ri_sets_has(&shelf->sets, key);
    ri_mutex_unlock(&shelf->lock);
    return found;
}

static void file_put(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], const uint8_t *bytes, size_t len)
{
    file_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    check_file(shelf);
    if (shelf->fd >= 0) {
        shelf->evictions += ri_sets_put(&shelf->sets, key, bytes, len);
    }
    ri_mutex_unlock(&shelf->lock);
}

static void file_drop(void *self, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    file_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    if (shelf->fd >= 0) {
        ri_sets_drop(&shelf->sets, key);
    }
    ri_mutex_unlock(&shelf->lock);
}

static void file_empty(void *self)
{
    file_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    (void)reach_file(shelf, false, true);
    ri_mutex_unlock(&shelf->lock);
}

static void file_count(void *self, uint64_t *evictions, uint64_t *bytes)
{
    file_shelf *shelf = self;
    struct stat info;
    ri_mutex_lock(&shelf->lock);
    *evictions = shelf->evictions;
    *bytes = shelf->fd >= 0 && fstat(shelf->fd, &info) == 0 ? (uint64_t)info.st_blocks * BLOCK_BYTES : 0;
    ri_mutex_unlock(&shelf->lock);
}

static void file_close(void *self)
{
    file_shelf *shelf = self;
    close_file(shelf);
    ri_mutex_deinit(&shelf->lock);
    ri_free(shelf->place);
    ri_free(shelf);
}

static const ri_shelf_ops file_ops = {
    .get = file_get,
    .has = file_has,
    .put = file_put,
    .drop = file_drop,
    .empty = file_empty,
    .count = file_count,
    .close = file_close,
};

/* A full disk is no reason to fail: there is no cache, then. */
static int open_first(file_shelf *shelf, rille_err *err)
{
    int errnum = ri_shelf_make(shelf->place);
    if (errnum != 0 && errnum != ENOSPC && errnum != EDQUOT) {
        return ri_fail_errno(err, errnum, "cache file:%s: cannot create the directory (does its parent exist?)",
                             shelf->place);
    }
    if (errnum == 0) {
        RI_TRY(ri_shelf_check("file", shelf->place, err));
        errnum = reach_file(shelf, true, false);
    }
    return errnum == 0 || errnum == ENOSPC || errnum == EDQUOT
               ? RILLE_OK
               : ri_fail_errno(err, errnum, "cache file:%s: cannot create %s in it", shelf->place, FILE_NAME);
}

int ri_shelf_file_open(const char *dir, uint64_t bytes_max, ri_shelf *out, rille_err *err)
{
    *out = (ri_shelf){ 0 };
    file_shelf *shelf = ri_alloc_zero(sizeof *shelf);
    if (shelf == NULL) {
        return ri_fail_nomem(err);
    }
    shelf->fd = -1;
    shelf->sets = (ri_sets){ shelf, file_read, file_write, 1 };
    shelf->sets_asked = (bytes_max - SETS_AT) / RI_SET_BYTES;
    ri_mutex_init(&shelf->lock);
    int rc = ri_shelf_place(dir, &shelf->place, err);
    rc = rc == RILLE_OK ? open_first(shelf, err) : rc;
    if (rc != RILLE_OK) {
        file_close(shelf);
        return rc;
    }
    *out = (ri_shelf){ &file_ops, shelf };
    return RILLE_OK;
}
