/* SPDX-License-Identifier: MIT
 *
 * lmdb:DIR - a database in an LMDB environment (Chu: MDB, 2011). This part turns slots into transactions;
 * lmdb_env.c keeps environments. Rows of the unnamed database:
 *
 *     "format"                      u32, 1
 *     "generation"                  u64, the last one that was given to a head
 *     'n' id | 'b' id | 'p' id      an object
 *     "h/" branch                   generation u64, count of rows u32, 0 u32, length u64
 *     "h/" branch 0 u32 big-endian  bytes of one append
 *
 * (L1) A revision is the generation of its head. Generations never repeat, not even after a delete.
 * (L2) Everything that one swap writes is one transaction.
 *
 * durable == false commits without waiting for the page that makes it current (MDB_NOMETASYNC): a power failure may
 * lose such commits, but data pages are still written before it, so that nothing is torn or out of order. MDB_NOSYNC
 * would give that up.
 */
#include "lmdb_env.h"

#include "../core/base/bytes.h"

#include <stdio.h>
#include <string.h>

#define BRANCH_LEN_MAX 200
#define ROWS_MAX 1000000U /* of a head: then it is written as one again */
#define META_SIZE 24U
#define FORMAT 1U

typedef struct lmdb_db {
    ri_mutex lock; /* of env: replaced in a child after a fork */
    ri_lmdb_env *env;
    char path[];
} lmdb_db;

static MDB_val val_of(const void *bytes, size_t len)
{
    union {
        const void *from;
        void *to; /* LMDB takes keys and values it only reads without const */
    } pointer = { .from = bytes };
    return (MDB_val){ len, pointer.to };
}

/* ---- keys ---- */

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

typedef struct head_key {
    uint8_t bytes[2 + BRANCH_LEN_MAX + 1 + 4];
    size_t len; /* without the number of a row */
} head_key;

static int key_of_head(const lmdb_db *db, const char *branch, head_key *out, rille_err *err)
{
    size_t len = strlen(branch);
    if (len == 0 || len > BRANCH_LEN_MAX) {
        return ri_fail(err, RILLE_LIMIT, "lmdb:%s: the name of a branch has %zu bytes, 1 to %d are possible", db->path,
                       len, BRANCH_LEN_MAX);
    }
    memcpy(out->bytes, "h/", 2);
    memcpy(out->bytes + 2, branch, len + 1);
    out->len = 2 + len;
    return RILLE_OK;
}

static MDB_val meta_key(const head_key *key)
{
    return val_of(key->bytes, key->len);
}

static MDB_val row_key(head_key *key, uint32_t row)
{
    uint8_t *p = key->bytes + key->len + 1;
    p[0] = (uint8_t)(row >> 24);
    p[1] = (uint8_t)(row >> 16);
    p[2] = (uint8_t)(row >> 8);
    p[3] = (uint8_t)row;
    return val_of(key->bytes, key->len + 5);
}

/* ---- environments ---- */

/* The environment of this process: after a fork the parent's must not be touched. */
static int reach_env(lmdb_db *db, ri_lmdb_env **out, rille_err *err)
{
    int rc = RILLE_OK;
    ri_mutex_lock(&db->lock);
    if (!ri_lmdb_env_is_mine(db->env)) {
        ri_lmdb_env *env;
        rc = ri_lmdb_env_open(ri_lmdb_env_path(db->env), false, &env, err);
        if (rc == RILLE_OK) {
            db->env = env; /* the parent's is left where it is */
        }
    }
    *out = rc == RILLE_OK ? db->env : NULL;
    ri_mutex_unlock(&db->lock);
    return rc;
}

static int fail_lmdb(const lmdb_db *db, const char *doing, int code, rille_err *err)
{
    return ri_lmdb_fail(db->path, doing, code, err);
}

/* ---- objects ---- */

static int get_range(const ri_lmdb_txn *txn, rille_get *get)
{
    object_key key = key_of_object(&get->object);
    MDB_val name = val_of(key.bytes, sizeof key.bytes);
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
    RI_TRY(reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    for (size_t i = 0; i < count; i++) {
        gets[i].rc = get_range(&txn, &gets[i]);
    }
    ri_lmdb_read_end(env, &txn);
    return RILLE_OK;
}

static int put_objects(const ri_lmdb_txn *txn, const rille_put *puts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object_key key = key_of_object(&puts[i].object);
        MDB_val name = val_of(key.bytes, sizeof key.bytes);
        MDB_val value = val_of(puts[i].bytes, puts[i].len);
        int code = mdb_put(txn->txn, txn->dbi, &name, &value, MDB_NOOVERWRITE);
        if (code != 0 && code != MDB_KEYEXIST) {
            return code;
        }
    }
    return 0;
}

/* A dropped environment is empty; nothing may be written to it any more. */
static int check_format_row(const ri_lmdb_txn *txn)
{
    MDB_val name = val_of("format", 6);
    MDB_val value;
    return mdb_get(txn->txn, txn->dbi, &name, &value);
}

typedef struct put_args {
    const rille_put *puts;
    size_t count;
} put_args;

static int put_step(const ri_lmdb_txn *txn, void *context)
{
    const put_args *args = context;
    int code = check_format_row(txn);
    return code != 0 ? code : put_objects(txn, args->puts, args->count);
}

static int fail_write(const lmdb_db *db, const char *doing, int code, rille_err *err)
{
    if (code == MDB_NOTFOUND) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s was dropped", db->path);
    }
    return fail_lmdb(db, doing, code, err);
}

static int lmdb_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    put_args args = { puts, count };
    RI_TRY(reach_env(db, &env, err));
    int code = ri_lmdb_write(env, put_step, &args, true);
    return code == 0 ? RILLE_OK : fail_write(db, "write objects", code, err);
}

static int list_objects(MDB_cursor *cursor, rille_object_kind kind, rille_object_id **ids, size_t *count)
{
    size_t cap = 0;
    uint8_t first = (uint8_t)kind;
    MDB_val name = val_of(&first, 1);
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
    RI_TRY(reach_env(db, &env, err));
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
        return fail_lmdb(db, "list objects", code, err);
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
        MDB_val name = val_of(key.bytes, sizeof key.bytes);
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
    RI_TRY(reach_env(db, &env, err));
    int code = ri_lmdb_write(env, delete_step, &args, true);
    return code == 0 ? RILLE_OK : fail_lmdb(db, "remove objects", code, err);
}

/* ---- heads ---- */

typedef struct head_meta {
    uint64_t generation; /* 0: there is no head */
    uint32_t row_count;
    uint64_t len;
} head_meta;

static rille_revision revision_of(uint64_t generation)
{
    rille_revision revision = { { 0 } };
    ri_store_u64(revision.bytes, generation);
    return revision;
}

/* 0 also when there is no head. */
static int read_meta(const ri_lmdb_txn *txn, const head_key *key, head_meta *out)
{
    MDB_val name = meta_key(key);
    MDB_val value;
    *out = (head_meta){ 0 };
    int code = mdb_get(txn->txn, txn->dbi, &name, &value);
    if (code != 0) {
        return code == MDB_NOTFOUND ? 0 : code;
    }
    if (value.mv_size != META_SIZE) {
        return MDB_CORRUPTED;
    }
    const uint8_t *p = value.mv_data;
    *out = (head_meta){ ri_load_u64(p), ri_load_u32(p + 8), ri_load_u64(p + 16) };
    return out->generation == 0 || out->row_count > ROWS_MAX ? MDB_CORRUPTED : 0;
}

static int read_rows(const ri_lmdb_txn *txn, head_key *key, const head_meta *meta, ri_buf *out)
{
    for (uint32_t row = 0; row < meta->row_count; row++) {
        MDB_val name = row_key(key, row);
        MDB_val value;
        int code = mdb_get(txn->txn, txn->dbi, &name, &value);
        if (code != 0) {
            return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
        }
        ri_buf_put(out, value.mv_data, value.mv_size);
    }
    if (out->failed) {
        return ENOMEM;
    }
    return out->len == meta->len ? 0 : MDB_CORRUPTED;
}

static int lmdb_head_read(void *self, const char *branch, rille_head *out, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    head_key key;
    head_meta meta;
    ri_buf cell = { 0 };
    *out = (rille_head){ 0 };
    RI_TRY(key_of_head(db, branch, &key, err));
    RI_TRY(reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    int code = read_meta(&txn, &key, &meta);
    code = code == 0 ? read_rows(&txn, &key, &meta, &cell) : code;
    ri_lmdb_read_end(env, &txn);
    if (code == 0 && meta.generation == 0) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s has no branch \"%s\"", db->path, branch);
    }
    out->bytes = code == 0 ? ri_buf_take(&cell, &out->len) : NULL;
    if (out->bytes == NULL) {
        ri_buf_deinit(&cell);
        return code == 0 ? ri_fail_nomem(err) : fail_lmdb(db, "read a head", code, err);
    }
    out->revision = revision_of(meta.generation);
    return RILLE_OK;
}

static int delete_rows(const ri_lmdb_txn *txn, head_key *key, uint32_t row_count)
{
    int code = 0;
    for (uint32_t row = 0; row < row_count && code == 0; row++) {
        MDB_val name = row_key(key, row);
        code = mdb_del(txn->txn, txn->dbi, &name, NULL);
    }
    return code;
}

static int next_generation(const ri_lmdb_txn *txn, uint64_t *out)
{
    uint8_t bytes[8];
    MDB_val name = val_of("generation", 10);
    MDB_val value;
    int code = mdb_get(txn->txn, txn->dbi, &name, &value);
    if (code != 0 && code != MDB_NOTFOUND) {
        return code;
    }
    if (code == 0 && value.mv_size != sizeof bytes) {
        return MDB_CORRUPTED;
    }
    *out = (code == 0 ? ri_load_u64(value.mv_data) : 0) + 1;
    ri_store_u64(bytes, *out);
    value = val_of(bytes, sizeof bytes);
    return mdb_put(txn->txn, txn->dbi, &name, &value, 0);
}

typedef struct swap_args {
    const rille_head_swap *swap;
    head_key *key;
    uint64_t generation; /* of the new state */
    int rc;              /* RILLE_CONFLICT, RILLE_MISUSE: with code RI_LMDB_STOP */
} swap_args;

static int write_rows(const ri_lmdb_txn *txn, const swap_args *args, const head_meta *old, head_meta *new)
{
    const rille_head_swap *swap = args->swap;
    bool append = swap->kept_len > 0 && swap->kept_len == old->len && old->row_count < ROWS_MAX;
    size_t from = append ? swap->kept_len : 0;
    uint32_t row = append ? old->row_count : 0;
    int code = append ? 0 : delete_rows(txn, args->key, old->row_count);
    MDB_val name = row_key(args->key, row);
    MDB_val value = val_of(swap->cell + from, swap->cell_len - from);
    code = code == 0 && value.mv_size > 0 ? mdb_put(txn->txn, txn->dbi, &name, &value, 0) : code;
    new->row_count = row + (value.mv_size > 0);
    new->len = swap->cell_len;
    return code;
}

static int swap_step(const ri_lmdb_txn *txn, void *context)
{
    swap_args *args = context;
    const rille_head_swap *swap = args->swap;
    head_meta old;
    head_meta new = { 0 };
    int code = check_format_row(txn);
    code = code == 0 ? read_meta(txn, args->key, &old) : code;
    if (code != 0) {
        return code;
    }
    rille_revision found = revision_of(old.generation);
    if (memcmp(&found, &swap->expected, sizeof found) != 0) {
        args->rc = RILLE_CONFLICT;
        return RI_LMDB_STOP;
    }
    if (swap->kept_len > old.len || swap->kept_len > swap->cell_len) {
        args->rc = RILLE_MISUSE;
        return RI_LMDB_STOP;
    }
    code = put_objects(txn, swap->puts, swap->put_count);
    code = code == 0 ? write_rows(txn, args, &old, &new) : code;
    code = code == 0 ? next_generation(txn, &new.generation) : code;
    if (code != 0) {
        return code;
    }
    uint8_t bytes[META_SIZE] = { 0 };
    ri_store_u64(bytes, new.generation);
    ri_store_u32(bytes + 8, new.row_count);
    ri_store_u64(bytes + 16, new.len);
    MDB_val name = meta_key(args->key);
    MDB_val value = val_of(bytes, sizeof bytes);
    args->generation = new.generation;
    return mdb_put(txn->txn, txn->dbi, &name, &value, 0);
}

static int lmdb_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    head_key key;
    *revision = (rille_revision){ { 0 } };
    RI_TRY(key_of_head(db, swap->branch, &key, err));
    RI_TRY(reach_env(db, &env, err));
    swap_args args = { .swap = swap, .key = &key };
    int code = ri_lmdb_write(env, swap_step, &args, swap->durable);
    if (code == RI_LMDB_STOP) {
        return args.rc == RILLE_CONFLICT ? RILLE_CONFLICT
                                         : ri_fail(err, args.rc, "lmdb:%s: more bytes kept than a head has", db->path);
    }
    if (code != 0) {
        return fail_write(db, "write a head", code, err);
    }
    *revision = revision_of(args.generation);
    return RILLE_OK;
}

static int delete_head_step(const ri_lmdb_txn *txn, void *context)
{
    swap_args *args = context;
    head_meta meta;
    MDB_val name = meta_key(args->key);
    int code = read_meta(txn, args->key, &meta);
    if (code == 0 && meta.generation == 0) {
        args->rc = RILLE_NOTFOUND;
        return RI_LMDB_STOP;
    }
    code = code == 0 ? delete_rows(txn, args->key, meta.row_count) : code;
    return code == 0 ? mdb_del(txn->txn, txn->dbi, &name, NULL) : code;
}

static int lmdb_head_delete(void *self, const char *branch, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    head_key key;
    RI_TRY(key_of_head(db, branch, &key, err));
    RI_TRY(reach_env(db, &env, err));
    swap_args args = { .key = &key };
    int code = ri_lmdb_write(env, delete_head_step, &args, true);
    if (code == RI_LMDB_STOP) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s has no branch \"%s\"", db->path, branch);
    }
    return code == 0 ? RILLE_OK : fail_lmdb(db, "remove a head", code, err);
}

/* From one meta row to the next, over the rows of appends. */
static int list_names(MDB_cursor *cursor, ri_buf *names, size_t *count)
{
    head_key key = { .bytes = { 'h', '/' }, .len = 2 };
    MDB_val name = meta_key(&key);
    MDB_val value;
    for (;;) {
        int code = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
        const uint8_t *bytes = name.mv_data;
        if (code != 0 || name.mv_size < 2 || memcmp(bytes, "h/", 2) != 0) {
            return code == MDB_NOTFOUND ? 0 : code;
        }
        if (name.mv_size == 2 || name.mv_size > 2 + BRANCH_LEN_MAX || memchr(bytes + 2, 0, name.mv_size - 2) != NULL) {
            return MDB_CORRUPTED;
        }
        ri_buf_put(names, bytes + 2, name.mv_size - 2);
        ri_buf_put_u8(names, 0);
        (*count)++;
        key.len = name.mv_size;
        memcpy(key.bytes, bytes, key.len);
        key.bytes[key.len] = 0;
        name = row_key(&key, UINT32_MAX);
    }
}

static int lmdb_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    MDB_cursor *cursor;
    ri_buf all = { 0 };
    size_t len;
    *names = NULL;
    *count = 0;
    RI_TRY(reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    int code = mdb_cursor_open(txn.txn, txn.dbi, &cursor);
    if (code == 0) {
        code = list_names(cursor, &all, count);
        mdb_cursor_close(cursor);
    }
    ri_lmdb_read_end(env, &txn);
    *names = code == 0 ? (char *)ri_buf_take(&all, &len) : NULL;
    if (*names == NULL) {
        ri_buf_deinit(&all);
        *count = 0;
        return code == 0 ? ri_fail_nomem(err) : fail_lmdb(db, "list heads", code, err);
    }
    return RILLE_OK;
}

/* ---- the whole ---- */

static int format_step(const ri_lmdb_txn *txn, void *context)
{
    uint8_t bytes[4];
    MDB_val name = val_of("format", 6);
    MDB_val value = val_of(bytes, sizeof bytes);
    (void)context;
    ri_store_u32(bytes, FORMAT);
    int code = mdb_put(txn->txn, txn->dbi, &name, &value, MDB_NOOVERWRITE);
    return code == MDB_KEYEXIST ? 0 : code;
}

/* What lies in the environment: 0 ours, RILLE_NOTFOUND nothing, RILLE_FOREIGN, RILLE_FORMAT. */
static int check_format(const lmdb_db *db, rille_err *err)
{
    ri_lmdb_txn txn;
    MDB_val name = val_of("format", 6);
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
        return fail_lmdb(db, "read the format", code, err);
    }
    if (ours) {
        return format == FORMAT
                   ? RILLE_OK
                   : ri_fail(err, RILLE_FORMAT, "lmdb:%s has format %u, this rille reads format %u (use a newer rille)",
                             db->path, (unsigned)format, FORMAT);
    }
    return stat.ms_entries == 0
               ? ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: the environment is empty (create the database first)", db->path)
               : ri_fail(err, RILLE_FOREIGN,
                         "lmdb:%s holds somebody else's LMDB database (name a new or an empty directory)", db->path);
}

static int lmdb_drop(void *self, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    RI_TRY(reach_env(db, &env, err));
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
    return reach_env(db, &env, NULL) == RILLE_OK ? ri_lmdb_env_size(env) : 0;
}

static const rille_backend_ops lmdb_ops = {
    .get_many = lmdb_get_many,
    .put_many = lmdb_put_many,
    .head_read = lmdb_head_read,
    .head_swap = lmdb_head_swap,
    .head_delete = lmdb_head_delete,
    .head_list = lmdb_head_list,
    .list = lmdb_list,
    .delete_many = lmdb_delete_many,
    .drop = lmdb_drop,
    .close = lmdb_close,
    .size_bytes = lmdb_size_bytes,
};

int ri_backend_lmdb_open(const char *place, bool create, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    size_t len = strlen(place);
    lmdb_db *db = ri_alloc_zero(sizeof *db + len + 1);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(db->path, place, len + 1);
    ri_mutex_init(&db->lock);
    rille_err own = { 0 };
    int rc = ri_lmdb_env_open(place, create, &db->env, &own);
    rc = rc == RILLE_OK ? check_format(db, &own) : rc;
    if (rc == RILLE_NOTFOUND && create && db->env != NULL) {
        int code = ri_lmdb_write(db->env, format_step, NULL, true);
        rc = code == 0 ? RILLE_OK : fail_lmdb(db, "create the database", code, &own);
    }
    if (rc != RILLE_OK) {
        if (err != NULL) {
            *err = own;
        }
        lmdb_close(db);
        return rc;
    }
    *out = (rille_backend){ &lmdb_ops, db, RILLE_BACKEND_ROWS | RILLE_BACKEND_THREADS };
    return RILLE_OK;
}
