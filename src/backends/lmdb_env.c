/* SPDX-License-Identifier: MIT
 *
 * LMDB environments of this process (lmdb_env.h): opening, the registry, dropping.
 *
 * (E2) The registry has an environment once per process and (device, inode) of its data.mdb, which is open, so that the
 *      inode names nothing else. Opening one twice in a process would lose the locks of both when either is closed.
 */
#include "lmdb_env.h"

#include "lmdb_env_own.h"

#include <dirent.h>
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

/* True when there is anything but LMDB's own files. */
static bool has_other_files(const char *path)
{
    DIR *dir = opendir(path);
    bool other = false;
    for (const struct dirent *entry; dir != NULL && !other && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        other = strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "data.mdb") != 0 &&
                strcmp(name, "lock.mdb") != 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return other;
}

static bool find_data_file(const char *path, struct stat *info)
{
    char name[RI_LMDB_PATH_SIZE];
    int len = snprintf(name, sizeof name, "%s/data.mdb", path);
    return len > 0 && (size_t)len < sizeof name && stat(name, info) == 0;
}

static int identify(ri_lmdb_env *env)
{
    int fd;
    struct stat info;
    int code = mdb_env_get_fd(env->env, &fd);
    if (code == 0 && fstat(fd, &info) != 0) {
        code = errno;
    }
    if (code == 0) {
        env->dev = info.st_dev;
        env->ino = info.st_ino;
    }
    return code;
}

/* The size that the pages LMDB knows of need, and that of the file. */
static int file_sizes(const ri_lmdb_env *env, int *fd, uint64_t *needed, uint64_t *found)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int code = mdb_env_info(env->env, &info);
    code = code == 0 ? mdb_env_stat(env->env, &stat) : code;
    code = code == 0 ? mdb_env_get_fd(env->env, fd) : code;
    if (code == 0 && fstat(*fd, &file) != 0) {
        code = errno;
    }
    if (code == 0) {
        *needed = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
        *found = (uint64_t)file.st_size;
    }
    return code;
}

/* LMDB reads its file through a map, where a page behind the end of the file is a SIGBUS. Free pages may lie there; and
 * when the file was cut short, others. As zeros they do no harm, or are refused as damage. */
static int lengthen(ri_lmdb_env *env)
{
    int fd;
    uint64_t needed;
    uint64_t found;
    int code = file_sizes(env, &fd, &needed, &found);
    if (code != 0 || found >= needed) {
        return code;
    }
    MDB_txn *txn; /* so that nobody writes meanwhile */
    code = mdb_txn_begin(env->env, NULL, 0, &txn);
    if (code != 0) {
        return code;
    }
    code = file_sizes(env, &fd, &needed, &found);
    if (code == 0 && found < needed && ftruncate(fd, (off_t)needed) != 0) {
        code = errno;
    }
    mdb_txn_abort(txn);
    return code;
}

/* flags: MDB_RDONLY or 0 */
static int open_mdb_as(ri_lmdb_env *env, bool fresh, unsigned flags)
{
    int dead;
    int code = mdb_env_create(&env->env);
    if (code != 0) {
        env->env = NULL;
        return code;
    }
    code = mdb_env_set_maxreaders(env->env, RI_LMDB_READERS_MAX);
    if (code == 0 && fresh) {
        code = mdb_env_set_mapsize(env->env, MAP_BYTES_MIN);
    }
    code = code == 0 ? mdb_env_open(env->env, env->path, MDB_NOTLS | MDB_NORDAHEAD | flags, FILE_MODE) : code;
    code = code == 0 ? identify(env) : code;
    code = code == 0 ? lengthen(env) : code;
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
    int code = open_mdb_as(env, fresh, 0);
    return code == EACCES || code == EROFS ? open_mdb_as(env, fresh, MDB_RDONLY) : code;
}

static void free_env(ri_lmdb_env *env)
{
    if (env->env != NULL) {
        ri_lmdb_abort_idle(env);
        mdb_env_close(env->env);
    }
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
    (void)pthread_rwlock_init(&env->map_lock, NULL);
    ri_mutex_init(&env->map_gate);
    ri_mutex_init(&env->write_lock);
    ri_mutex_init(&env->idle_lock);
    return env;
}

/* has_data: there is a data.mdb, of which `data` tells. */
static int check_place(const char *path, bool create, bool *has_data, struct stat *data, rille_err *err)
{
    struct stat info;
    if (create && mkdir(path, 0777) != 0 && errno != EEXIST) {
        return ri_fail_errno(err, errno, "lmdb:%s: cannot make the directory", path);
    }
    if (stat(path, &info) != 0) {
        return errno == ENOENT ? ri_fail(err, RILLE_NOTFOUND,
                                         "lmdb:%s: there is no such directory (create the database first)", path)
                               : ri_fail_errno(err, errno, "lmdb:%s: cannot open the directory", path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return ri_fail(err, RILLE_FOREIGN, "lmdb:%s is not a directory", path);
    }
    *has_data = find_data_file(path, data);
    if (!create && !*has_data) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no data.mdb (create the database first)", path);
    }
    if (create && !*has_data && has_other_files(path)) {
        return ri_fail(err, RILLE_FOREIGN,
                       "lmdb:%s: the directory has files but no data.mdb: name a new or an empty directory", path);
    }
    return RILLE_OK;
}

/* Under the registry's lock. */
static int reach_env(const char *path, bool create, ri_lmdb_env **out, rille_err *err)
{
    struct stat data;
    bool has_data = false;
    RI_TRY(check_place(path, create, &has_data, &data, err));
    for (ri_lmdb_env *env = registry.first; has_data && env != NULL; env = env->next) {
        if (env->dev == data.st_dev && env->ino == data.st_ino && ri_lmdb_env_is_mine(env)) {
            env->refs++;
            *out = env;
            return RILLE_OK;
        }
    }
    ri_lmdb_env *env = new_env(path);
    if (env == NULL) {
        return ri_fail_nomem(err);
    }
    int code = open_mdb(env, !has_data);
    if (code != 0) {
        free_env(env);
        return ri_lmdb_fail(path, "open the environment", code, err);
    }
    env->next = registry.first;
    registry.first = env;
    *out = env;
    return RILLE_OK;
}

int ri_lmdb_env_open(const char *path, bool create, ri_lmdb_env **out, rille_err *err)
{
    *out = NULL;
    ri_mutex_lock(&registry.lock);
    int rc = reach_env(path, create, out, err);
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

int ri_lmdb_env_drop(ri_lmdb_env *env, rille_err *err)
{
    /* The lock goes first: who opens meanwhile has the old data, which is gone soon and refuses writes. The other way
     * round it would make new data under the old lock, and who comes after it would lock another file. */
    static const char *const files[] = { "lock.mdb", "data.mdb" };
    int code = ri_lmdb_write(env, empty_step, NULL, true);
    if (code != 0) {
        return ri_lmdb_fail(env->path, "empty the database", code, err);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[RI_LMDB_PATH_SIZE];
        int len = snprintf(name, sizeof name, "%s/%s", env->path, files[i]);
        if (len > 0 && (size_t)len < sizeof name && unlink(name) != 0 && errno != ENOENT) {
            return ri_fail_errno(err, errno, "lmdb:%s: cannot remove %s", env->path, files[i]);
        }
    }
    (void)rmdir(env->path);
    return RILLE_OK;
}
