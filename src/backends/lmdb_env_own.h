/* SPDX-License-Identifier: MIT
 *
 * An environment, for lmdb_env.c (opening) and lmdb_txn.c (transactions and the map).
 */
#ifndef RI_LMDB_ENV_OWN_H
#define RI_LMDB_ENV_OWN_H

#include "lmdb_env.h"

#include <pthread.h>
#include <sys/types.h>

#define RI_LMDB_READERS_MAX 510
#define RI_LMDB_IDLE_TXNS_MAX 16
#define RI_LMDB_PATH_SIZE 4096

struct ri_lmdb_env {
    ri_lmdb_env *next; /* in the registry */
    size_t refs;       /* under the registry's lock */
    int dir;           /* its directory, without a lock, wherever it is moved to */
    ri_lmdb_file data;
    ri_lmdb_file lock; /* not there: on a read-only file system LMDB does without */
    pid_t pid;
    MDB_env *env;
    MDB_dbi dbi;
    pthread_rwlock_t map_lock;
    bool dead;           /* under map_lock: LMDB lost its map, any access would crash */
    ri_mutex map_gate;   /* passed before map_lock, so that a change of the map is not starved by readers */
    bool placed;         /* under write_lock: the names of the directory and its files are durable */
    ri_mutex write_lock; /* LMDB's own would do between threads, but MDB_NOMETASYNC is a flag of all of it */
    ri_mutex idle_lock;
    MDB_txn *idle[RI_LMDB_IDLE_TXNS_MAX]; /* reset read transactions */
    size_t idle_count;
    char path[];
};

/* Ends the read transactions that are kept for later ones. */
void ri_lmdb_abort_idle(ri_lmdb_env *env);

/* When the file ends before the last page that LMDB knows of: lengthens it, or without the right to (can_write) answers
 * MDB_CORRUPTED when a page in use lies behind the end. Before the first transaction. */
int ri_lmdb_check_end(ri_lmdb_env *env, bool can_write);

#endif
