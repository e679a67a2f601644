/* SPDX-License-Identifier: MIT
 *
 * DIR/rille, the marker of the file backend: says that a directory is a database, and that a drop has begun.
 */
#include "file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER_TEXT RI_LAYOUT_MARKER_TEXT
#define MARKER_DROPPING MARKER_TEXT "dropping\n" /* a drop has begun: what is missing was not lost */
#define MARKER_BEGIN "rille database\nformat "
#define MARKER_BYTES_MAX 64U
#define LOOKS_MAX 8 /* against creations at the same time */

/* Without a marker: RILLE_NOTFOUND where one may be made. */
static int judge_unmarked(const file_db *db, rille_err *err)
{
    file_contents contents = { 0 };
    int errnum = ri_file_look_around(db, &contents);
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

/* A part of it does too, and as many zeros, which a power failure may leave: the drop that wrote it goes on without. */
static bool says_dropping(const marker_text *text)
{
    static const char whole[] = MARKER_DROPPING;
    static const char zeros[sizeof whole];
    size_t from = sizeof MARKER_TEXT - 1;
    if (text->len <= from || text->len >= sizeof whole || memcmp(text->bytes, whole, from) != 0) {
        return false;
    }
    size_t more = text->len - from;
    bool lost = text->len == sizeof whole - 1 && memcmp(text->bytes + from, zeros, more) == 0;
    return lost || memcmp(text->bytes + from, whole + from, more) == 0;
}

bool ri_file_is_dropped(const file_db *db)
{
    marker_text text;
    if (db->dropped) {
        return true;
    }
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
int ri_file_check_marker(const file_db *db, bool *dropping, rille_err *err)
{
    marker_text text;
    int errnum = ENOENT;
    int rc = RILLE_OK;
    *dropping = false;
    for (int i = 0; i < LOOKS_MAX && errnum == ENOENT; i++) {
        struct stat info;
        errnum = read_marker(db, &text);
        rc = errnum == ENOENT ? judge_unmarked(db, err) : RILLE_OK;
        if (rc != RILLE_OK &&
            (rc != RILLE_FOREIGN || fstatat(db->dir, FILE_MARKER_NAME, &info, AT_SYMLINK_NOFOLLOW) != 0)) {
            return rc;
        }
    }
    *dropping = errnum == 0 && says_dropping(&text);
    if (errnum == ENOENT) {
        return rc;
    }
    if (errnum != 0 && errnum != RI_DISK_NO_FILE && errnum != ELOOP) {
        return ri_fail_errno(err, errnum, "file:%s: cannot read " FILE_MARKER_NAME, db->path);
    }
    return *dropping ? RILLE_OK : judge_marker(db, &text, err);
}

/* ---- writing ---- */

/* In place, because there may be no room for a new file, and without a word where even that fails: then a drop that is
 * killed leaves what looks like a database that has lost its heads, and can be dropped again all the same. */
void ri_file_mark_dropping(const file_db *db)
{
    static const char mark[] = MARKER_DROPPING;
    size_t from = sizeof MARKER_TEXT - 1;
    int errnum;
    int fd = ri_disk_open_file(db->dir, FILE_MARKER_NAME, O_WRONLY, &errnum);
    if (fd >= 0) {
        (void)ri_disk_write(fd, (const uint8_t *)mark + from, sizeof mark - 1 - from, from);
        (void)ri_disk_sync(fd);
        ri_disk_close(fd);
    }
}

int ri_file_write_marker(const file_db *db)
{
    return ri_disk_replace(db->dir, FILE_MARKER_NAME, (const uint8_t *)MARKER_TEXT, sizeof MARKER_TEXT - 1);
}
