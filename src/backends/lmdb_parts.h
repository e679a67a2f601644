/* SPDX-License-Identifier: MIT
 *
 * What the parts of the LMDB backend share. Rows of the unnamed database:
 *
 *     "format"                      u32, 1
 *     "generation"                  u64, the last one that was given to a head; begins anywhere below 2^63
 *     'n' id | 'b' id | 'p' id      an object
 *     "h/" branch                   generation u64, count of rows u32, 0 u32, length u64
 *     "h/" branch 0 u32 big-endian  bytes of one append
 */
#ifndef RI_LMDB_PARTS_H
#define RI_LMDB_PARTS_H

#include "../core/base/bytes.h"
#include "lmdb_env.h"

/* Internally locked. */
typedef struct lmdb_db {
    ri_mutex lock; /* of env: replaced in a child after a fork */
    ri_lmdb_env *env;
    char path[];
} lmdb_db;

static inline MDB_val lmdb_val(const void *bytes, size_t len)
{
    union {
        const void *from;
        void *to; /* LMDB takes keys and values that it only reads without const */
    } pointer = { .from = bytes };
    return (MDB_val){ len, pointer.to };
}

/* The environment of this process: after a fork the parent's must not be touched. */
int ri_lmdb_reach_env(lmdb_db *db, ri_lmdb_env **out, rille_err *err);
/* MDB_NOTFOUND when the database was dropped: nothing may be written to it any more. */
int ri_lmdb_check_format_row(const ri_lmdb_txn *txn);
int ri_lmdb_put_objects(const ri_lmdb_txn *txn, const rille_put *puts, size_t count);
/* The code of a write as one of ours. */
int ri_lmdb_fail_write(const lmdb_db *db, const char *doing, int code, rille_err *err);

int ri_lmdb_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err);
int ri_lmdb_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err);
int ri_lmdb_head_delete(void *self, const char *branch, rille_err *err);
int ri_lmdb_head_list(void *self, char **names, size_t *count, rille_err *err);

#endif
