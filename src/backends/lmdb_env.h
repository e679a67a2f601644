/* SPDX-License-Identifier: MIT
 *
 * LMDB environments: one a process and directory (LMDB's rule), shared by the handles on it; transactions; growth of
 * the map. An environment that was opened before a fork is not this process's: it is never touched, and leaks.
 */
#ifndef RI_LMDB_ENV_H
#define RI_LMDB_ENV_H

#include "../core/base/buf.h"
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "../core/store/backends.h"
#include "lmdb_place.h"

#include <errno.h>
#include <lmdb.h>

typedef struct ri_lmdb_env ri_lmdb_env;

typedef struct ri_lmdb_txn {
    MDB_txn *txn;
    MDB_dbi dbi;
} ri_lmdb_txn;

/* A reference. The place is locked; when it has no data.mdb, the environment is made. */
int ri_lmdb_env_open(const ri_lmdb_place *place, ri_lmdb_env **out, rille_err *err);
void ri_lmdb_env_release(ri_lmdb_env *env); /* NULL allowed; does nothing with one from before a fork */
bool ri_lmdb_env_is_mine(const ri_lmdb_env *env);
/* data.mdb or lock.mdb was removed or replaced: what is written, nobody will find, or it meets the writes of others. */
bool ri_lmdb_env_is_gone(const ri_lmdb_env *env);
const char *ri_lmdb_env_path(const ri_lmdb_env *env); /* absolute */

/* A short read transaction: copy out, then end it. Not more than one at a time in a thread. */
int ri_lmdb_read_begin(ri_lmdb_env *env, ri_lmdb_txn *txn, rille_err *err);
void ri_lmdb_read_end(ri_lmdb_env *env, ri_lmdb_txn *txn);

/* Runs `step` in a write transaction and commits; a full map is grown and the step run again, so it may run several
 * times. Its result, when not 0, undoes everything and is returned. 0, RI_LMDB_STOP (step's own word), an LMDB code or
 * an errno. */
#define RI_LMDB_STOP 1000000
typedef int (*ri_lmdb_step)(const ri_lmdb_txn *txn, void *context);
int ri_lmdb_write(ri_lmdb_env *env, ri_lmdb_step step, void *context, bool durable);

/* Empties it, so that other handles and processes find nothing, then removes its files. Locks the place. */
int ri_lmdb_env_drop(ri_lmdb_env *env, rille_err *err);
uint64_t ri_lmdb_env_size(ri_lmdb_env *env);

/* The code as one of ours, with a message. */
int ri_lmdb_fail(const char *path, const char *doing, int code, rille_err *err);

#endif
