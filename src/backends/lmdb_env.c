/* SPDX-License-Identifier: MIT
 *
 * LMDB environments of this process (lmdb_env.h): opening, the registry, dropping.
 *
 * (E2) The registry has an environment once per process and data.mdb, and once per lock.mdb. Both are open, so that
 *      their inodes name nothing else. Two on one lock.mdb would lose the locks of both when either is closed.
 */
#include "lmdb_env.h"

#include "disk.h"
#include "lmdb_env_own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_BYTES_MIN ((size_t)16 << 20)
#define FILE_MODE 0666

static struct {
    ri_mutex lock;
    ri_lmdb_env *first;
} registry = { RI_MUTEX_INIT, NULL };

/* ---- opening ---- */

static int open_dbi(ri_lmdb_env *env)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) {
        return code;
    }
    code = mdb_dbi_open(txn, NULL, 0, &env->dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

const char *ri_lmdb_env_path(const ri_lmdb_env *env)
{
    return env->path;
}

/* Which files it has. That of the lock LMDB does not tell, but under the lock of the place it is the one there. */
static int identify(ri_lmdb_env *env)
{
    int fd;
    struct stat info;
    int code = mdb_env_get_fd(env->env, &fd);
    if (code == 0 && fstat(fd, &info) != 0) {
        code = errno;
    }
    if (code == 0) {
        ri_lmdb_file before = env->lock;
        env->data = (ri_lmdb_file){ true, true, info.st_dev, info.st_ino, info.st_size };
        code = ri_lmdb_file_find(env->dir, RI_LMDB_LOCK_NAME, &env->lock);
        code = code == 0 && before.there && !ri_lmdb_file_is(&before, &env->lock) ? ENOENT : code; /* (P3) */
    }
    return code == 0 && ri_lmdb_env_is_gone(env) ? ENOENT : code;
}

static int make_empty(const char *path)
{
    MDB_env *mdb;
    int code = mdb_env_create(&mdb);
    if (code == 0) {
        code = mdb_env_set_mapsize(mdb, MAP_BYTES_MIN);
        code = code == 0 ? mdb_env_open(mdb, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NORDAHEAD, FILE_MODE) : code;
        code = code == 0 ? mdb_env_sync(mdb, 1) : code;
        mdb_env_close(mdb);
    }
    return code;
}

/* An empty data.mdb, durable, and no lock.mdb yet: (P2) */
static int make_data_file(const ri_lmdb_env *env)
{
    char temp[RI_DISK_TEMP_SIZE];
    char path[RI_LMDB_PATH_SIZE];
    ri_disk_temp_name(temp);
    int len = snprintf(path, sizeof path, "%s/%s", env->path, temp);
    if (len < 0 || (size_t)len >= sizeof path) {
        return ENAMETOOLONG;
    }
    int code = make_empty(path);
    code = code == 0 ? ri_disk_rename(env->dir, temp, RI_LMDB_DATA_NAME) : code;
    if (code != 0) {
        (void)ri_disk_remove(env->dir, temp);
        return code;
    }
    return ri_disk_sync_dir(env->dir, ".");
}

/* (P3) Where it cannot be made, LMDB says so, or does without. */
static int make_lock_file(ri_lmdb_env *env)
{
    int code;
    int fd = ri_disk_open_file(env->dir, RI_LMDB_LOCK_NAME, O_RDWR | O_CREAT, &code);
    ri_disk_close(fd);
    code = code == EACCES || code == EROFS || code == EPERM ? 0 : code;
    return code == 0 ? ri_lmdb_file_find(env->dir, RI_LMDB_LOCK_NAME, &env->lock) : code;
}

/* flags: MDB_RDONLY or 0 */
static int open_mdb_as(ri_lmdb_env *env, unsigned flags)
{
    int dead;
    int code = mdb_env_create(&env->env);
    if (code != 0) {
        env->env = NULL;
        return code;
    }
    code = mdb_env_set_maxreaders(env->env, RI_LMDB_READERS_MAX);
    code = code == 0 ? make_lock_file(env) : code;
    code = code == 0 ? mdb_env_open(env->env, env->path, MDB_NOTLS | MDB_NORDAHEAD | flags, FILE_MODE) : code;
    code = code == 0 ? identify(env) : code;
    code = code == 0 ? ri_lmdb_check_end(env, flags == 0) : code;
    code = code == 0 ? open_dbi(env) : code;
    if (code != 0) {
        mdb_env_close(env->env); /* also after a failed open, else later calls crash */
        env->env = NULL;
        return code;
    }
    (void)mdb_reader_check(env->env, &dead);
    return 0;
}

/* Who may not write the data may still read it, as long as LMDB can note its readers in lock.mdb, or nobody can. */
static int open_mdb(ri_lmdb_env *env, bool fresh)
{
    int code = fresh ? make_data_file(env) : 0;
    code = code == 0 ? open_mdb_as(env, 0) : code;
    if (fresh || (code != EACCES && code != EROFS)) {
        return code;
    }
    int read_code = open_mdb_as(env, MDB_RDONLY);
    return read_code == ENOENT ? code : read_code; /* there is no lock.mdb, and none can be made */
}

static void free_env(ri_lmdb_env *env)
{
    if (env->env != NULL) {
        ri_lmdb_abort_idle(env);
        mdb_env_close(env->env);
    }
    ri_disk_close(env->dir);
    (void)pthread_rwlock_destroy(&env->map_lock);
    ri_mutex_deinit(&env->map_gate);
    ri_mutex_deinit(&env->write_lock);
    ri_mutex_deinit(&env->idle_lock);
    ri_free(env);
}

static ri_lmdb_env *new_env(const char *path)
{
    char here[RI_LMDB_PATH_SIZE] = ""; /* the path must lead there after a chdir too */
    if (*path != '/' && getcwd(here, sizeof here) == NULL) {
        here[0] = '\0';
    }
    size_t size = strlen(here) + 1 + strlen(path) + 1;
    ri_lmdb_env *env = ri_alloc_zero(sizeof *env + size);
    if (env == NULL) {
        return NULL;
    }
    (void)snprintf(env->path, size, "%s%s%s", here, here[0] == '\0' ? "" : "/", path);
    env->refs = 1;
    env->pid = getpid();
    env->dir = -1;
    (void)pthread_rwlock_init(&env->map_lock, NULL);
    ri_mutex_init(&env->map_gate);
    ri_mutex_init(&env->write_lock);
    ri_mutex_init(&env->idle_lock);
    return env;
}

/* Under the registry's lock. *out: the environment of this place, when this process has it. (E2) */
static int find_env(const ri_lmdb_place *place, ri_lmdb_env **out, rille_err *err)
{
    for (ri_lmdb_env *env = registry.first; env != NULL; env = env->next) {
        bool same_data = ri_lmdb_file_is(&env->data, &place->data);
        bool same_lock = ri_lmdb_file_is(&env->lock, &place->lock);
        if ((!same_data && !same_lock) || !ri_lmdb_env_is_mine(env)) {
            continue;
        }
        if (!same_data || (!same_lock && env->lock.there)) {
            return ri_fail(err, RILLE_BUSY,
                           "lmdb:%s: data.mdb or lock.mdb was replaced while this process had it open: close all "
                           "connections to it here first",
                           place->path);
        }
        *out = env;
        return RILLE_OK;
    }
    return RILLE_OK;
}

static int fail_open(const ri_lmdb_place *place, int code, rille_err *err)
{
    return code == EACCES || code == EPERM || code == EROFS
               ? ri_lmdb_place_fail_forbidden(place, code, err)
               : ri_lmdb_fail(place->path, "open the environment", code, err);
}

/* Under the registry's lock. */
static int reach_env(const ri_lmdb_place *place, ri_lmdb_env **out, rille_err *err)
{
    RI_TRY(find_env(place, out, err));
    if (*out != NULL) {
        (*out)->refs++;
        return RILLE_OK;
    }
    ri_lmdb_env *env = new_env(place->path);
    if (env == NULL) {
        return ri_fail_nomem(err);
    }
    int code;
    env->dir = ri_disk_open(place->dir, ".", O_RDONLY | O_DIRECTORY, &code);
    code = code == 0 ? open_mdb(env, !place->data.there) : code;
    if (code != 0) {
        free_env(env);
        return fail_open(place, code, err);
    }
    env->next = registry.first;
    registry.first = env;
    *out = env;
    return RILLE_OK;
}

int ri_lmdb_env_open(const ri_lmdb_place *place, ri_lmdb_env **out, rille_err *err)
{
    *out = NULL;
    ri_mutex_lock(&registry.lock);
    int rc = reach_env(place, out, err);
    ri_mutex_unlock(&registry.lock);
    return rc;
}

/* Under the registry's lock. */
static void unregister(const ri_lmdb_env *env)
{
    for (ri_lmdb_env **link = &registry.first; *link != NULL; link = &(*link)->next) {
        if (*link == env) {
            *link = env->next;
            return;
        }
    }
}

void ri_lmdb_env_release(ri_lmdb_env *env)
{
    if (env == NULL || !ri_lmdb_env_is_mine(env)) {
        return;
    }
    ri_mutex_lock(&registry.lock);
    if (--env->refs == 0) {
        unregister(env);
        free_env(env);
    }
    ri_mutex_unlock(&registry.lock);
}

/* ---- the whole ---- */

static int empty_step(const ri_lmdb_txn *txn, void *context)
{
    (void)context;
    return mdb_drop(txn->txn, txn->dbi, 0);
}

/* Under the lock of the place. */
static int drop_at(ri_lmdb_env *env, const ri_lmdb_place *place, rille_err *err)
{
    int code = ri_lmdb_write(env, empty_step, NULL, true);
    if (code != 0) {
        return ri_lmdb_fail(env->path, "empty the database", code, err);
    }
    code = ri_lmdb_place_remove(place, RI_LMDB_DATA_NAME, &env->data); /* first: (P1) */
    code = code == 0 ? ri_lmdb_place_remove(place, RI_LMDB_LOCK_NAME, &env->lock) : code;
    if (code != 0) {
        return ri_fail_errno(err, code, "lmdb:%s: cannot remove its files", env->path);
    }
    code = ri_lmdb_place_remove_dir(place);
    return code == 0 ? RILLE_OK : ri_fail_errno(err, code, "lmdb:%s: cannot sync the directory", env->path);
}

int ri_lmdb_env_drop(ri_lmdb_env *env, rille_err *err)
{
    ri_lmdb_place place;
    RI_TRY(ri_lmdb_place_lock_dir(env->path, env->dir, &place, err));
    int rc = drop_at(env, &place, err);
    ri_lmdb_place_unlock(&place);
    return rc;
}
