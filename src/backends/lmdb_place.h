/* SPDX-License-Identifier: MIT
 *
 * The directory of an LMDB environment while its files appear or go. Who opens, makes or drops one holds the flock of
 * the directory, which a process that dies gives back, so that nobody meets files that somebody else is half done with.
 *
 * (P1) A data.mdb has one lock.mdb as long as anybody uses it. A drop removes data.mdb first: who dies then leaves a
 *      lock.mdb alone, which the next creation removes, as whoever has it open writes to a file that is gone.
 * (P2) A new data.mdb is made under a temporary name, and is durable under its own before its lock.mdb is made: no power
 *      failure leaves a part of it. Once it was not so: one without bytes is a creation that died when no lock.mdb lies
 *      beside it, and counts as not there; else it was cut short.
 * (P3) Neither file is a symbolic link, which LMDB would follow: both are looked at before and after it opens them, and
 *      lock.mdb is made for it. What is left is somebody with the right to write to the directory who puts a link there
 *      between the two looks.
 */
#ifndef RI_LMDB_PLACE_H
#define RI_LMDB_PLACE_H

#include "../core/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define RI_LMDB_DATA_NAME "data.mdb"
#define RI_LMDB_LOCK_NAME "lock.mdb"

/* Which file it is; as long as somebody has it open, no other file is given the same. */
typedef struct ri_lmdb_file {
    bool there;
    bool is_file; /* no directory, no link, and no pipe, which an open would wait for */
    dev_t dev;
    ino_t ino;
    off_t len; /* when it was looked for */
} ri_lmdb_file;

typedef struct ri_lmdb_place {
    const char *path; /* the caller's */
    int dir;          /* open and locked, or -1 */
    ri_lmdb_file data;
    ri_lmdb_file lock;
} ri_lmdb_place;

/* Waits for the lock. create: makes the directory, and takes away what a drop left that died. Else NOTFOUND when there
 * is no data.mdb. Not to be held over a fork that goes on. */
int ri_lmdb_place_lock(const char *path, bool create, ri_lmdb_place *out, rille_err *err);
/* Of a directory that is open already, whatever it is called now. Looks for nothing in it. */
int ri_lmdb_place_lock_dir(const char *path, int dir, ri_lmdb_place *out, rille_err *err);
void ri_lmdb_place_unlock(ri_lmdb_place *place); /* also one that could not be locked */

/* Says which file of a locked place this user may not use, and what to do. */
int ri_lmdb_place_fail_forbidden(const ri_lmdb_place *place, int errnum, rille_err *err);

/* 0 or an errno; a file that is not there is no error. */
int ri_lmdb_file_find(int dir, const char *name, ri_lmdb_file *out);
bool ri_lmdb_file_is(const ri_lmdb_file *one, const ri_lmdb_file *other); /* both there, and the same */
/* Removes the name when it is that file's. */
int ri_lmdb_place_remove(const ri_lmdb_place *place, const char *name, const ri_lmdb_file *file);
/* What was removed is gone for good, and the directory with it when it is empty and still called so. */
int ri_lmdb_place_remove_dir(const ri_lmdb_place *place);

#endif
