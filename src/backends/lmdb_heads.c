/* SPDX-License-Identifier: MIT
 *
 * Heads of the LMDB backend: a row that says what there is, and a row for each append (lmdb_parts.h).
 *
 * (L1) A revision is the generation of its head. Generations never repeat, not even after a delete.
 * (L2) Everything that one swap writes, objects too, is one transaction.
 *
 * durable == false commits without waiting for the page that makes it current (MDB_NOMETASYNC): a power failure may
 * lose such commits, but data pages are still written before it, so that nothing is torn or out of order. MDB_NOSYNC
 * would give that up.
 */
#include "lmdb_parts.h"

#include <string.h>

#define BRANCH_LEN_MAX 200
#define ROWS_MAX 1000000U /* of a head: then it is written as one again */
#define META_SIZE 24U

typedef struct head_key {
    uint8_t bytes[2 + BRANCH_LEN_MAX + 1 + 4];
    size_t len; /* without the number of a row */
} head_key;

static int key_of_head(const lmdb_db *db, const char *branch, head_key *out, rille_err *err)
{
    size_t len = strlen(branch);
    if (len == 0 || len > BRANCH_LEN_MAX) {
        return ri_fail(err, RILLE_LIMIT, "lmdb:%s: branch name is %zu bytes long; it must be 1 to %d bytes", db->path,
                       len, BRANCH_LEN_MAX);
    }
    memcpy(out->bytes, "h/", 2);
    memcpy(out->bytes + 2, branch, len + 1);
    out->len = 2 + len;
    return RILLE_OK;
}

static MDB_val meta_key(const head_key *key)
{
    return lmdb_val(key->bytes, key->len);
}

static MDB_val row_key(head_key *key, uint32_t row)
{
    uint8_t *p = key->bytes + key->len + 1;
    p[0] = (uint8_t)(row >> 24);
    p[1] = (uint8_t)(row >> 16);
    p[2] = (uint8_t)(row >> 8);
    p[3] = (uint8_t)row;
    return lmdb_val(key->bytes, key->len + 5);
}

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

int ri_lmdb_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    head_key key;
    head_meta meta;
    ri_buf cell = { 0 };
    *out = (rille_head){ 0 };
    RI_TRY(key_of_head(db, branch, &key, err));
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    RI_TRY(ri_lmdb_read_begin(env, &txn, err));
    int code = read_meta(&txn, &key, &meta);
    rille_revision revision = revision_of(meta.generation);
    bool same = code == 0 && meta.generation > 0 && known != NULL && memcmp(known, &revision, sizeof revision) == 0;
    code = code == 0 && !same ? read_rows(&txn, &key, &meta, &cell) : code;
    code = code == 0 && meta.generation > 0 && ri_lmdb_env_is_gone(env) ? ENOENT : code;
    ri_lmdb_read_end(env, &txn);
    if (code == 0 && meta.generation == 0) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no branch \"%s\"", db->path, branch);
    }
    if (code == 0 && same) {
        return RILLE_DONE;
    }
    out->bytes = code == 0 ? ri_buf_take(&cell, &out->len) : NULL;
    if (out->bytes == NULL) {
        ri_buf_deinit(&cell);
        return code == 0 ? ri_fail_nomem(err) : ri_lmdb_fail(db->path, "read a head", code, err);
    }
    out->revision = revision;
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
    MDB_val name = lmdb_val("generation", 10);
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
    value = lmdb_val(bytes, sizeof bytes);
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
    MDB_val value = lmdb_val(swap->cell + from, swap->cell_len - from);
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
    int code = ri_lmdb_check_format_row(txn);
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
    code = ri_lmdb_put_objects(txn, swap->puts, swap->put_count);
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
    MDB_val value = lmdb_val(bytes, sizeof bytes);
    args->generation = new.generation;
    return mdb_put(txn->txn, txn->dbi, &name, &value, 0);
}

int ri_lmdb_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    head_key key;
    *revision = (rille_revision){ { 0 } };
    RI_TRY(key_of_head(db, swap->branch, &key, err));
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    swap_args args = { .swap = swap, .key = &key };
    int code = ri_lmdb_write(env, swap_step, &args, swap->durable);
    if (code == RI_LMDB_STOP) {
        return args.rc == RILLE_CONFLICT
                   ? RILLE_CONFLICT
                   : ri_fail(err, args.rc, "lmdb:%s: cannot keep more bytes than the branch head has", db->path);
    }
    if (code != 0) {
        return ri_lmdb_fail_write(db, "write a head", code, err);
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

int ri_lmdb_head_delete(void *self, const char *branch, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    head_key key;
    RI_TRY(key_of_head(db, branch, &key, err));
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
    swap_args args = { .key = &key };
    int code = ri_lmdb_write(env, delete_head_step, &args, true);
    if (code == RI_LMDB_STOP) {
        return ri_fail(err, RILLE_NOTFOUND, "lmdb:%s: there is no branch \"%s\"", db->path, branch);
    }
    return code == 0 ? RILLE_OK : ri_lmdb_fail(db->path, "remove a head", code, err);
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

int ri_lmdb_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    lmdb_db *db = self;
    ri_lmdb_env *env;
    ri_lmdb_txn txn;
    MDB_cursor *cursor;
    ri_buf all = { 0 };
    size_t len;
    *names = NULL;
    *count = 0;
    RI_TRY(ri_lmdb_reach_env(db, &env, err));
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
        return code == 0 ? ri_fail_nomem(err) : ri_lmdb_fail(db->path, "list heads", code, err);
    }
    return RILLE_OK;
}
