/* SPDX-License-Identifier: MIT
 *
 * lmdb:DIR - a database in an LMDB environment (Chu: MDB, 2011). This part keeps objects, opens and drops;
 * lmdb_heads.c keeps heads, lmdb_env.c environments and transactions. Rows: lmdb_parts.h.
 */
#include "lmdb_parts.h"

#include "../core/base/hash.h"

#include <string.h>

#define FORMAT 1U

typedef struct object_key {
    uint8_t bytes[1 + RILLE_ID_SIZE];
} object_key;

static object_key key_of_object(const rille_object_id *id)
{
    object_key key;
    key.bytes[0] = id->kind;
    memcpy(key.bytes + 1, id->id, RILLE_ID_SIZE);
    return key;
}

int ri_lmdb_reach_env(lmdb_db *db, ri_lmdb_env **out, rille_err *err)
{
    int rc = RILLE_OK;
    ri_mutex_lock(&db->lock);
    if (!ri_lmdb_env_is_mine(db->env)) {
        ri_lmdb_env *env = NULL;
        ri_lmdb_place place;
        rc = ri_lmdb_place_lock(ri_lmdb_env_path(db->env), false, &place, err);
        rc = rc == RILLE_OK ? ri_lmdb_env_open(&place, &env, err) : rc;
        ri_lmdb_place_unlock(&place);
        if (rc == RILLE_OK) {
            db->env = env; /* the parent's is left where it is */
        }
    }
    *out = rc == RILLE_OK ? db->env : NULL;
    ri_mutex_unlock(&db->lock);
    return rc;
}

/* ---- objects ---- */

int ri_lmdb_put_objects(const ri_lmdb_txn *txn, const rille_put *puts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object_key key = key_of_object(&puts[i].object);
        MDB_val name = lmdb_val(key.bytes, sizeof key.bytes);
        MDB_val value = lmdb_val(puts[i].bytes, puts[i].len);
        int code = mdb_put(txn->txn, txn->dbi, &name, &value, MDB_NOOVERWRITE);
        if (code != 0 && code != MDB_KEYEXIST) {
            return code;
        }
    }
    return 0;
}

int ri_lmdb_check_format_row(const ri_lmdb_txn *txn)
{
    MDB_val name = lmdb_val("format", 6);
    MDB_val value;
    return mdb_get(txn->txn, txn->dbi, &name, &value);
}

int ri_lmdb_fail_write(const lmdb_db *db, const char *doing, int code, rille_err *err)
{
    if (code == MDB_NOTFOUND) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: the database was dropped", db->path);
    }
    return ri_lmdb_fail(db->path, doing, code, err);
}

static int get_range(const ri_lmdb_txn *txn, rille_get *get)
{
    object_key key = key_of_object(&get->object);
    MDB_val name = lmdb_val(key.bytes, sizeof key.bytes);
    MDB_val value;
    int code = mdb_get(txn->txn, txn->dbi, &name, &value);
    if (code != 0) {
        return code == MDB_NOTFOUND ? RILLE_NOTFOUND : ri_lmdb_fail("", "", code, NULL);
    }
    if (get->offset > value.mv_size || value.mv_size - get->offset < get->len) {
        return RILLE_CORRUPT;
    }
    size_t len = get->len == 0 ? value.mv_size - (size_t)get->offset : (size_t)get->len;
    get->bytes = ri_alloc(len);
    if (get->bytes == NULL) {
        return RILLE_NOMEM;
    }
    if (len > 0) {
        memcpy(get->bytes, (const uint8_t *)value.mv_data + get->offset, len);
    }
    get->bytes_len = len;
    return RILLE_OK;
}

static int lmdb_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    for (size_t i = 0; i < count; i++) {
        gets[i].bytes = NULL;
        gets[i].bytes_len = 0;
        gets[i].rc = RILLE_IO;
    }
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    for (size_t i = 0; i < count; i++) {
        gets[i].rc = get_range(&txn, &gets[i]);
    }
    ri_lmdb_read_end(env, &txn);
    return RILLE_OK;
}

typedef struct put_args {
    const rille_put *puts;
    size_t count;
} put_args;

static int put_step(const ri_lmdb_txn *txn, void *context)
{
    const put_args *args = context;
    int code = ri_lmdb_check_format_row(txn);
    return code != 0 ? code : ri_lmdb_put_objects(txn, args->puts, args->count);
}

static int lmdb_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    put_args args = { puts, count };
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    int code = ri_lmdb_write(env, put_step, &args, true);
    return code == 0 ? RILLE_OK : ri_lmdb_fail_write(db, "write objects", code, err);
}

static int list_objects(MDB_cursor *cursor, rille_object_kind kind, rille_object_id **ids, size_t *count)
{
    size_t cap = 0;
    uint8_t first = (uint8_t)kind;
    MDB_val name = lmdb_val(&first, 1);
    MDB_val value;
    int code = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (; code == 0; code = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) {
        const uint8_t *bytes = name.mv_data;
        if (name.mv_size != 1 + RILLE_ID_SIZE || bytes[0] != first) {
            break;
        }
        if (!RI_GROW(ids, &cap, *count + 1)) {
            return ENOMEM;
        }
        rille_object_id *id = &(*ids)[(*count)++];
        id->kind = first;
        memcpy(id->id, bytes + 1, RILLE_ID_SIZE);
    }
    if (code != 0 && code != MDB_NOTFOUND) {
        return code;
    }
    return RI_GROW(ids, &cap, 1) ? 0 : ENOMEM;
}

static int lmdb_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    MDB_cursor *cursor;
    *ids = NULL;
    *count = 0;
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    int code = mdb_cursor_open(txn.txn, txn.dbi, &cursor);
    if (code == 0) {
        code = list_objects(cursor, kind, ids, count);
        mdb_cursor_close(cursor);
    }
    ri_lmdb_read_end(env, &txn);
    if (code != 0) {
        ri_free(*ids);
        *ids = NULL;
        *count = 0;
        return ri_lmdb_fail(db->path, "list objects", code, err);
    }
    return RILLE_OK;
}

typedef struct delete_args {
    const rille_object_id *ids;
    size_t count;
} delete_args;

static int delete_step(const ri_lmdb_txn *txn, void *context)
{
    const delete_args *args = context;
    for (size_t i = 0; i < args->count; i++) {
        object_key key = key_of_object(&args->ids[i]);
        MDB_val name = lmdb_val(key.bytes, sizeof key.bytes);
        int code = mdb_del(txn->txn, txn->dbi, &name, NULL);
        if (code != 0 && code != MDB_NOTFOUND) {
            return code;
        }
    }
    return 0;
}

static int lmdb_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    delete_args args = { ids, count };
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    int code = ri_lmdb_write(env, delete_step, &args, true);
    return code == 0 ? RILLE_OK : ri_lmdb_fail(db->path, "remove objects", code, err);
}

/* ---- the whole ---- */

static int put_new(const ri_lmdb_txn *txn, const char *key, const void *bytes, size_t len)
{
    MDB_val name = lmdb_val(key, strlen(key));
    MDB_val value = lmdb_val(bytes, len);
    int code = mdb_put(txn->txn, txn->dbi, &name, &value, MDB_NOOVERWRITE);
    return code == MDB_KEYEXIST ? 0 : code;
}

/* Generations begin anywhere in the lower half, so that none of an earlier database here comes again (L1), and none
 * ever comes to the end. */
static int format_step(const ri_lmdb_txn *txn, void *context)
{
    uint8_t format[4];
    uint8_t generation[8];
    (void)context;
    ri_store_u32(format, FORMAT);
    ri_random_bytes(generation, sizeof generation);
    ri_store_u64(generation, ri_load_u64(generation) >> 1);
    int code = put_new(txn, "format", format, sizeof format);
    return code == 0 ? put_new(txn, "generation", generation, sizeof generation) : code;
}

/* What lies in the environment: 0 ours, RILLE_NOTFOUND nothing, RILLE_FOREIGN, RILLE_FORMAT. */
static int check_format(const lmdb_db *db, rille_err *err)
{
    ri_lmdb_txn txn;
    MDB_val name = lmdb_val("format", 6);
    MDB_val value;
    MDB_stat stat = { 0 };
    uint32_t format = 0;
    RI_TRY(ri_lmdb_read_begin(db->env, &txn, err));
    int code = mdb_get(txn.txn, txn.dbi, &name, &value);
    bool ours = code == 0 && value.mv_size == 4;
    if (ours) {
        format = ri_load_u32(value.mv_data);
    } else if (code == 0 || code == MDB_NOTFOUND) {
        code = mdb_stat(txn.txn, txn.dbi, &stat);
    }
    ri_lmdb_read_end(db->env, &txn);
    if (code != 0) {
        return ri_lmdb_fail(db->path, "read the format", code, err);
    }
    if (ours) {
        return format == FORMAT ? RILLE_OK
                                : ri_fail(err, RILLE_FORMAT,
                                          "lmdb:%s: the database uses storage format %u, but this version of rille "
                                          "supports format %u: use a newer version of rille",
                                          db->path, (unsigned)format, FORMAT);
    }
    return stat.ms_entries == 0
               ? ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no database in the directory", db->path)
               : ri_fail(err, RILLE_FOREIGN,
                         "lmdb:%s: this LMDB environment was not created by rille (use a new or empty directory)",
                         db->path);
}

static int lmdb_drop(void *self, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    return ri_lmdb_env_drop(env, err);
}

static void lmdb_close(void *self)
{
    lmdb_db *db = self;
    ri_lmdb_env_release(db->env);
    ri_mutex_deinit(&db->lock);
    ri_free(db);
}

static uint64_t lmdb_size_bytes(void *self)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    return ri_lmdb_reach_env(db, &env, NULL) == RILLE_OK ? ri_lmdb_env_size(env) : 0;
}

static const rille_backend_ops lmdb_ops = {
    .get_many = lmdb_get_many,
    .put_many = lmdb_put_many,
    .head_read = ri_lmdb_head_read,
    .head_swap = ri_lmdb_head_swap,
    .head_delete = ri_lmdb_head_delete,
    .head_list = ri_lmdb_head_list,
    .list = lmdb_list,
    .delete_many = lmdb_delete_many,
    .drop = lmdb_drop,
    .close = lmdb_close,
    .size_bytes = lmdb_size_bytes,
};

/* Under the lock of the place, so that a drop sees all of a database or nothing. */
static int open_at(lmdb_db *db, const ri_lmdb_place *place, bool create, rille_err *err)
{
    rille_err own = { 0 };
    int rc = ri_lmdb_env_open(place, &db->env, &own);
    rc = rc == RILLE_OK ? check_format(db, &own) : rc;
    if (rc == RILLE_NOTFOUND && create && db->env != NULL) {
        int code = ri_lmdb_write(db->env, format_step, NULL, true);
        rc = code == 0 ? RILLE_OK : ri_lmdb_fail(db->path, "create the database", code, &own);
    }
    if (rc != RILLE_OK && err != NULL) {
        *err = own;
    }
    return rc;
}

int ri_backend_lmdb_open(const char *path, bool create, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    size_t len = strlen(path);
    ri_lmdb_place place;
    lmdb_db *db = ri_alloc_zero(sizeof *db + len + 1);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(db->path, path, len + 1);
    ri_mutex_init(&db->lock);
    int rc = ri_lmdb_place_lock(path, create, &place, err);
    rc = rc == RILLE_OK ? open_at(db, &place, create, err) : rc;
    ri_lmdb_place_unlock(&place);
    if (rc != RILLE_OK) {
        lmdb_close(db);
        return rc;
    }
    *out = (rille_backend){ &lmdb_ops, db, RILLE_BACKEND_ROWS | RILLE_BACKEND_THREADS };
    return RILLE_OK;
}
