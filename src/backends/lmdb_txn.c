/* SPDX-License-Identifier: MIT
 *
 * Transactions of LMDB environments, and their map (lmdb_env.h).
 *
 * (E1) The map's size changes only while no transaction of this process runs, and nothing else looks into it:
 *      transactions hold `map_lock` shared, a change holds it alone.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "disk.h"
#include "lmdb_env_own.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_BYTES_MIN ((uint64_t)1 << 20)
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Codes of our own, beside those of LMDB and RI_LMDB_STOP. */
enum { NO_ADDRESS_SPACE = RI_LMDB_STOP + 1, ENV_IS_DEAD };

int ri_lmdb_fail(const char *path, const char *doing, int code, rille_err *err)
{
    switch (code) {
    case ENOMEM:
        return ri_fail_nomem(err);
    case MDB_MAP_FULL:
    case ENOSPC:
        return ri_fail(err, RILLE_FULL, "lmdb:%s: cannot %s: the disk or the map is full", path, doing);
    case ENOENT:
        return ri_fail(
            err, RILLE_NOTFOUND,
            "lmdb:%s: cannot %s: its files were removed or replaced: close all connections to it and reconnect", path,
            doing);
    case MDB_NOTFOUND:
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: cannot %s: not found", path, doing);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return ri_fail(err, RILLE_CORRUPT, "lmdb:%s: cannot %s: the database is corrupt: restore it from a backup",
                       path, doing);
    case MDB_INVALID:
        return ri_fail(err, RILLE_FOREIGN, "lmdb:%s: data.mdb is not an LMDB file", path);
    case MDB_VERSION_MISMATCH:
        return ri_fail(err, RILLE_FOREIGN, "lmdb:%s: data.mdb was written by a different version of LMDB", path);
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
        return ri_fail(err, RILLE_FOREIGN, "lmdb:%s: this LMDB environment was not created by rille", path);
    case MDB_READERS_FULL:
        return ri_fail(err, RILLE_BUSY, "lmdb:%s: too many readers: the limit is %d", path, RI_LMDB_READERS_MAX);
    case NO_ADDRESS_SPACE:
        return ri_fail(err, RILLE_FULL,
                       "lmdb:%s: cannot %s: this process has no address space for a larger map (raise its limit: "
                       "ulimit -v)",
                       path, doing);
    case ENV_IS_DEAD:
        return ri_fail(
            err, RILLE_IO,
            "lmdb:%s: cannot %s: the map could not grow: close all connections to it in this process and reconnect",
            path, doing);
    case MDB_PANIC:
        return ri_fail(err, RILLE_IO, "lmdb:%s: an earlier write failed: close all connections to it and reconnect",
                       path);
    default:
        return code > 0 ? ri_fail_errno(err, code, "lmdb:%s: cannot %s", path, doing)
                        : ri_fail(err, RILLE_IO, "lmdb:%s: cannot %s: %s", path, doing, mdb_strerror(code));
    }
}

bool ri_lmdb_env_is_mine(const ri_lmdb_env *env)
{
    return env->pid == getpid();
}

static bool is_there(const ri_lmdb_env *env, const char *name, const ri_lmdb_file *file)
{
    ri_lmdb_file found;
    return ri_lmdb_file_find(env->dir, name, &found) == 0 && ri_lmdb_file_is(&found, file);
}

bool ri_lmdb_env_is_gone(const ri_lmdb_env *env)
{
    return !is_there(env, RI_LMDB_DATA_NAME, &env->data) ||
           (env->lock.there && !is_there(env, RI_LMDB_LOCK_NAME, &env->lock));
}

/* ---- read transactions ---- */

void ri_lmdb_abort_idle(ri_lmdb_env *env)
{
    ri_mutex_lock(&env->idle_lock);
    while (env->idle_count > 0) {
        mdb_txn_abort(env->idle[--env->idle_count]);
    }
    ri_mutex_unlock(&env->idle_lock);
}

static void enter_map(ri_lmdb_env *env)
{
    ri_mutex_lock(&env->map_gate);
    (void)pthread_rwlock_rdlock(&env->map_lock);
    ri_mutex_unlock(&env->map_gate);
}

static void leave_map(ri_lmdb_env *env)
{
    (void)pthread_rwlock_unlock(&env->map_lock);
}

/* LMDB gives its map back before it asks for a larger one, and crashes at the next access when it gets none. So ask for
 * what is missing first. */
static bool has_address_space(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return false;
    }
    (void)munmap(map, bytes);
    return true;
}

/* Under map_lock, alone. */
static int set_map_size(ri_lmdb_env *env, bool grow)
{
    MDB_envinfo info;
    MDB_stat stat;
    int code = env->dead ? ENV_IS_DEAD : mdb_env_info(env->env, &info);
    code = code == 0 ? mdb_env_stat(env->env, &stat) : code;
    if (code != 0) {
        return code;
    }
    size_t bytes = grow ? info.me_mapsize * 2 : info.me_mapsize;
    while (bytes / stat.ms_psize <= info.me_last_pgno && bytes <= SIZE_MAX / 2) {
        bytes *= 2;
    }
    if (bytes <= info.me_mapsize) {
        return grow ? MDB_MAP_FULL : 0; /* another thread was here first */
    }
    if (!has_address_space(bytes - info.me_mapsize)) {
        return NO_ADDRESS_SPACE;
    }
    ri_lmdb_abort_idle(env);
    env->dead = mdb_env_set_mapsize(env->env, bytes) != 0;
    return env->dead ? ENV_IS_DEAD : 0;
}

/* grow: doubles the map; else it becomes as large as the pages need that another process wrote. Waits for the
 * transactions of this process. */
static int change_map(ri_lmdb_env *env, bool grow)
{
    ri_mutex_lock(&env->map_gate);
    (void)pthread_rwlock_wrlock(&env->map_lock);
    ri_mutex_unlock(&env->map_gate);
    int code = set_map_size(env, grow);
    leave_map(env);
    return code;
}

/* Readers that died keep their place in the table until somebody looks. */
static int begin_new_read(ri_lmdb_env *env, MDB_txn **out)
{
    int dead_count = 0;
    int code = mdb_txn_begin(env->env, NULL, MDB_RDONLY, out);
    if (code == MDB_READERS_FULL && mdb_reader_check(env->env, &dead_count) == 0 && dead_count > 0) {
        code = mdb_txn_begin(env->env, NULL, MDB_RDONLY, out);
    }
    return code;
}

static int begin_read(ri_lmdb_env *env, MDB_txn **out)
{
    MDB_txn *txn = NULL;
    if (env->dead) {
        return ENV_IS_DEAD;
    }
    ri_mutex_lock(&env->idle_lock);
    if (env->idle_count > 0) {
        txn = env->idle[--env->idle_count];
    }
    ri_mutex_unlock(&env->idle_lock);
    if (txn == NULL) {
        return begin_new_read(env, out);
    }
    int code = mdb_txn_renew(txn);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    *out = txn;
    return 0;
}

int ri_lmdb_read_begin(ri_lmdb_env *env, ri_lmdb_txn *txn, rille_err *err)
{
    int code;
    txn->dbi = env->dbi;
    do {
        enter_map(env);
        code = begin_read(env, &txn->txn);
        if (code != 0) {
            leave_map(env);
        }
    } while (code == MDB_MAP_RESIZED && (code = change_map(env, false)) == 0);
    return code == 0 ? RILLE_OK : ri_lmdb_fail(env->path, "read", code, err);
}

void ri_lmdb_read_end(ri_lmdb_env *env, ri_lmdb_txn *txn)
{
    MDB_txn *idle = txn->txn;
    mdb_txn_reset(idle);
    ri_mutex_lock(&env->idle_lock);
    if (env->idle_count < RI_LMDB_IDLE_TXNS_MAX) {
        env->idle[env->idle_count++] = idle;
        idle = NULL;
    }
    ri_mutex_unlock(&env->idle_lock);
    if (idle != NULL) {
        mdb_txn_abort(idle);
    }
    leave_map(env);
}

/* ---- write transactions ---- */

static int write_once(ri_lmdb_env *env, ri_lmdb_step step, void *context, bool durable)
{
    ri_lmdb_txn txn = { NULL, env->dbi };
    int code = env->dead ? ENV_IS_DEAD : mdb_txn_begin(env->env, NULL, 0, &txn.txn);
    if (code != 0) {
        return code;
    }
    code = ri_lmdb_env_is_gone(env) ? ENOENT : step(&txn, context);
    if (code != 0) {
        mdb_txn_abort(txn.txn);
        return code;
    }
    if (!durable) {
        (void)mdb_env_set_flags(env->env, MDB_NOMETASYNC, 1);
    }
    code = mdb_txn_commit(txn.txn);
    if (!durable) {
        (void)mdb_env_set_flags(env->env, MDB_NOMETASYNC, 0);
    }
    return code;
}

/* LMDB says EIO of a write that was cut short, which mostly means that there was no room for the rest. */
static bool is_out_of_room(const ri_lmdb_env *env)
{
    char name[RI_LMDB_PATH_SIZE];
    struct stat info;
    struct statvfs disk;
    struct rlimit limit;
    int len = snprintf(name, sizeof name, "%s/data.mdb", env->path);
    if (len < 0 || (size_t)len >= sizeof name || stat(name, &info) != 0) {
        return false;
    }
    return (statvfs(name, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < ROOM_BYTES_MIN) ||
           (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
            (uint64_t)info.st_size + ROOM_BYTES_MIN > (uint64_t)limit.rlim_cur);
}

/* Before the first write that has to be durable: whoever made the files may not have lived to sync their directory. */
static int sync_place(ri_lmdb_env *env)
{
    char parent[RI_LMDB_PATH_SIZE];
    int len = snprintf(parent, sizeof parent, "%s/..", env->path);
    int code = ri_disk_sync_dir(AT_FDCWD, env->path);
    if (code == 0 && len > 0 && (size_t)len < sizeof parent) {
        code = ri_disk_sync_dir(AT_FDCWD, parent);
        code = code == EACCES ? 0 : code; /* a parent that may not be read cannot be synced either */
    }
    code = code == ENOENT ? 0 : code; /* it has another name now, or is gone, which the write will see */
    env->placed = code == 0;
    return code;
}

int ri_lmdb_write(ri_lmdb_env *env, ri_lmdb_step step, void *context, bool durable)
{
    bool again;
    ri_mutex_lock(&env->write_lock);
    int code = durable && !env->placed ? sync_place(env) : 0;
    if (code != 0) {
        ri_mutex_unlock(&env->write_lock);
        return code;
    }
    do {
        enter_map(env);
        code = write_once(env, step, context, durable);
        leave_map(env);
        again = code == MDB_MAP_FULL || code == MDB_MAP_RESIZED;
        if (again) {
            code = change_map(env, code == MDB_MAP_FULL);
            again = code == 0;
        }
    } while (again);
    ri_mutex_unlock(&env->write_lock);
    return code == EIO && is_out_of_room(env) ? ENOSPC : code;
}

uint64_t ri_lmdb_env_size(ri_lmdb_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    enter_map(env);
    bool known = !env->dead && mdb_env_info(env->env, &info) == 0 && mdb_env_stat(env->env, &stat) == 0;
    leave_map(env);
    return known ? ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize : 0;
}
