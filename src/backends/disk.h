/* SPDX-License-Identifier: MIT
 *
 * What the file backend needs of POSIX: whole reads and writes, files that appear at once, locks. Functions give 0 or
 * an errno; interrupted calls are repeated. Paths are relative to an open directory.
 */
#ifndef RI_DISK_H
#define RI_DISK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RI_DISK_PATH_MAX 400 /* of a path inside a database, with its 0 */
#define RI_DISK_TEMP_PREFIX ".tmp-"
#define RI_DISK_TEMP_SIZE 32  /* of the name of a temporary file, with its 0 */
#define RI_DISK_NO_FILE ENXIO /* a FIFO, a socket, a directory ...; as open(2) has it for some of them */
#define RI_DISK_SECTOR 512U   /* the least that any storage writes at once */

/* The descriptor, or -1 and *errnum. Close-on-exec. */
int ri_disk_open(int dir, const char *path, int flags, int *errnum);
/* The same for a regular file. *errnum is RI_DISK_NO_FILE for anything else, and nothing waits for its other end. A
 * symbolic link is not followed, whatever it leads to: ELOOP. */
int ri_disk_open_file(int dir, const char *path, int flags, int *errnum);
void ri_disk_close(int fd);
/* EIO when the file ends before. */
int ri_disk_read(int fd, uint8_t *bytes, size_t len, uint64_t offset);
int ri_disk_write(int fd, const uint8_t *bytes, size_t len, uint64_t offset);
int ri_disk_sync(int fd); /* contents and what is needed to read them */
int ri_disk_sync_dir(int dir, const char *path);

/* Functions that change what a directory holds find it without following a symbolic link, as a hostile database would
 * have them write elsewhere: then, and where a part of the path is no directory, they give ENOTDIR. */
bool ri_disk_is_own(int dir, const char *path); /* whether they reach the directory that the path's file is in */
int ri_disk_mkdir(int dir, const char *path);   /* 0 also when it is there */
int ri_disk_remove(int dir, const char *path);
int ri_disk_time(int dir, const char *path, int64_t *written_ms); /* since 1970, UTC */
int ri_disk_rename(int dir, const char *from, const char *to);    /* names in the directory itself */
/* Removes the open directory durably, when it is empty and the path still leads to it. */
int ri_disk_remove_dir(int dir, const char *path);
/* Whether the path leads to the directory that is open. */
bool ri_disk_leads_to(const char *path, int dir);
/* Waits. The lock belongs to the open file: other opens, in this process too, wait. */
int ri_disk_lock(int fd);
void ri_disk_unlock(int fd);

/* Writes a file under a temporary name beside `path`, syncs it, renames it to `path`. The directory is not synced. */
int ri_disk_replace(int dir, const char *path, const uint8_t *bytes, size_t len);

/* Calls visit for every name in the directory but . and ..; a missing directory has none. A result of visit that is
 * not 0 ends the walk and is returned. */
typedef int (*ri_disk_visit)(void *context, int dir, const char *name);
int ri_disk_walk(int dir, const char *path, ri_disk_visit visit, void *context);
/* The same for who removes files: ENOTDIR also where the path ends in a symbolic link, which leads to what may belong
 * to somebody else. */
int ri_disk_walk_own(int dir, const char *path, ri_disk_visit visit, void *context);

void ri_disk_temp_name(char out[RI_DISK_TEMP_SIZE]);
bool ri_disk_is_temp(const char *name);
/* Removes temporary files that no process is writing any more. */
void ri_disk_sweep(int dir, const char *path);

#endif
