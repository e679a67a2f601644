/* SPDX-License-Identifier: MIT
 *
 * The past, at the speed of now: the newest retained base at or before t, and over it, as its novelty, the log's
 * transactions up to t. META finds the base and the commit ids, AVET finds instants; each is one descent.
 */
#include "../store/task.h"
#include "conn.h"
#include "flush.h"
#include "meta.h"

#include <string.h>

/* The last datom before the cut (back) or the first after it. Its value is copied to the arena. RILLE_DONE: none. */
static int find_datom(const rille_db *db, ri_order order, const ri_bound *cut, bool back, ri_arena *arena,
                      ri_datom *out, rille_err *err)
{
    ri_io io = { 0 };
    ri_cursor cursor;
    ri_cursor_init(&cursor, db->store, &db->base->tree[order]);
    int rc;
    RI_FETCHING(rc, &io, back ? ri_cursor_seek_back(&cursor, cut, &io, err) : ri_cursor_seek(&cursor, cut, &io, err),
                err)
    if (rc == 0) {
        ri_node_datom(ri_cursor_leaf(&cursor), ri_cursor_row(&cursor), out);
        rc = ri_value_copy(arena, &out->v, &out->v) ? 0 : ri_fail_nomem(err);
    }
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
    return rc;
}

static ri_bound meta_cut(uint32_t a, const uint8_t *v, size_t len, bool after)
{
    ri_value value = ri_bytes_value(RI_BYTES, v, len);
    return ri_bound_av(a, &value, after);
}

/* The commit id of a transaction in the trees. */
static int commit_of(const rille_db *db, uint64_t t, uint8_t out[RI_HASH_SIZE], rille_err *err)
{
    uint8_t key[8];
    ri_store_be64(key, t);
    ri_bound cut = meta_cut(RI_A_META_TX, key, sizeof key, false);
    ri_arena arena = { 0 };
    ri_datom d;
    int rc = find_datom(db, RI_META, &cut, false, &arena, &d, err);
    if (rc == 0 && (d.a != RI_A_META_TX || d.e != t || d.v.len < RI_META_KEY_SIZE)) {
        rc = RILLE_DONE;
    }
    if (rc == 0) {
        memcpy(out, d.v.as.p + 8, RI_HASH_SIZE);
    }
    ri_arena_deinit(&arena);
    return rc;
}

/* The newest retained base at or before t; the empty one when there is none. */
static int base_at(const rille_db *db, uint64_t t, ri_base **out, rille_err *err)
{
    uint8_t key[RI_META_KEY_SIZE];
    ri_store_be64(key, t);
    memset(key + 8, 0xff, RI_HASH_SIZE);
    ri_bound cut = meta_cut(RI_A_META_BASE, key, sizeof key, true);
    ri_arena arena = { 0 };
    ri_datom d = { 0 };
    ri_blob *blob = NULL;
    ri_io io = { 0 };
    *out = NULL;
    int rc = find_datom(db, RI_META, &cut, true, &arena, &d, err);
    if (rc == RILLE_DONE || (rc == 0 && d.a != RI_A_META_BASE)) {
        rc = ri_base_new_empty(db->base->db_id, db->base->keep_history, db->base->read_flexible, out, err);
    } else if (rc == 0 && d.v.len != RI_META_KEY_SIZE) {
        rc = ri_fail(err, RILLE_CORRUPT, "the entry of base %llu is %u bytes long, expected %u",
                     (unsigned long long)d.e, d.v.len, RI_META_KEY_SIZE);
    } else if (rc == 0) {
        RI_FETCHING(rc, &io, ri_store_get_blob(db->store, d.v.as.p + 8, &io, &blob, err), err)
        if (rc == 0) {
            rc = ri_base_read(blob->bytes, blob->len, out, err);
            ri_object_release(&blob->object);
        }
    }
    ri_io_deinit(&io);
    ri_arena_deinit(&arena);
    return rc;
}

/* ---- the log as novelty ---- */

#define CHUNK_DATOMS 1024U /* that are replayed together, with the rest of their last transaction */
#define SLICE_ROWS 512U    /* that are read before it looks whether to pause */
#define DATOM_WORK 64U     /* of one that is read and replayed, in a transaction of its own ... */
#define BLOCK_WORK 128U    /* ... and of a transaction that is only replayed, ... */
#define SHARED_WORK 8U     /* ... and each of its datoms, ... */
#define LISTED_WORK 64U    /* ... and of one that is listed */

/* Transactions of the log: their datoms, one after the other. */
typedef struct replay {
    ri_datom *datoms;
    size_t count, cap;
    size_t tx_count;
    ri_arena arena; /* of the values */
} replay;

/* A value of the past that is being made, kept while a run pauses. */
typedef struct travel {
    rille_db *past;
    replay r; /* what is read and not replayed yet */
    ri_cursor cursor;
    ri_io io;     /* of the cursor, outside of tasks */
    uint32_t row; /* the next one of its leaf */
    ri_meta_walk commits;
    bool reads;        /* the cursor is at a leaf */
    bool walks;        /* so is commits */
    ri_block *listed;  /* or: of the newest base's novelty, whose blocks are borrowed, the next one to be listed, ... */
    ri_block **blocks; /* ... and those to be replayed, the newest one first */
    size_t block_count;
    size_t block_cap;
} travel;

static void travel_release(void *state)
{
    travel *v = state;
    ri_db_release(v->past);
    ri_free(v->r.datoms);
    ri_arena_deinit(&v->r.arena);
    ri_io_deinit(&v->io);
    if (v->reads) {
        ri_cursor_deinit(&v->cursor);
    }
    if (v->walks) {
        ri_meta_walk_deinit(&v->commits);
    }
    ri_free(v->blocks);
    ri_free(v);
}

static int replay_datom(replay *r, const ri_datom *d, rille_err *err)
{
    if (d->a == RI_A_LOG_PARENT) {
        return 0;
    }
    if (!RI_GROW(&r->datoms, &r->cap, r->count + 1)) {
        return ri_fail_nomem(err);
    }
    ri_datom *copy = &r->datoms[r->count];
    *copy = *d;
    if (!ri_value_copy(&r->arena, &d->v, &copy->v)) {
        return ri_fail_nomem(err);
    }
    r->tx_count += r->count == 0 || copy[-1].t != d->t ? 1 : 0;
    r->count++;
    return 0;
}

/* Blocks of the transactions, r->tx_count of them, with what r has. NULL: no memory. */
static ri_block **replay_blocks(replay *r)
{
    ri_block **blocks = ri_blocks_new(r->tx_count);
    if (blocks == NULL) {
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < r->count; i++) {
        at += i > 0 && r->datoms[i - 1].t != r->datoms[i].t ? 1 : 0;
        blocks[at]->t = r->datoms[i].t;
        blocks[at]->count++;
    }
    blocks[0]->datoms = r->datoms;
    blocks[0]->memory->heap_cap = r->cap;
    blocks[0]->memory->arena = r->arena;
    *r = (replay){ .tx_count = r->tx_count };
    return blocks;
}

/* Puts the transactions that were read onto the value, with their commit ids, which source knows. */
static int replay_chunk(travel *v, const rille_db *source, rille_err *err)
{
    uint64_t after = v->past->t;
    if (v->r.count == 0) {
        return 0;
    }
    if (!v->walks) {
        int rc = ri_meta_walk_start(&v->commits, source, RI_A_META_TX, after + 1, err);
        v->walks = true;
        RI_TRY(rc);
    }
    ri_block **blocks = replay_blocks(&v->r);
    if (blocks == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = 0;
    if (!ri_blocks_share(blocks, v->r.tx_count, after, 0)) {
        rc = ri_fail(err, RILLE_CORRUPT, "the log is out of order after transaction %llu", (unsigned long long)after);
    }
    for (size_t i = 0; i < v->r.tx_count && rc == 0; i++) {
        rc = ri_meta_take_commit(&v->commits, blocks[i], err);
        rc = rc == 0 ? ri_db_replay(v->past, blocks[i], err) : rc;
    }
    ri_blocks_release(blocks, v->r.tx_count);
    v->r = (replay){ 0 };
    return rc;
}

static int replay_rows(travel *v, const rille_db *source, const ri_node *leaf, uint32_t from, uint32_t to,
                       rille_err *err)
{
    for (uint32_t row = from; row < to; row++) {
        ri_datom d;
        ri_node_datom(leaf, row, &d);
        if (v->r.count >= CHUNK_DATOMS && v->r.datoms[v->r.count - 1].t != d.t) {
            RI_TRY(replay_chunk(v, source, err));
        }
        RI_TRY(replay_datom(&v->r, &d, err));
    }
    return 0;
}

/* Some rows of the leaf at the cursor, up to `to`; behind the last one, the next leaf. RILLE_DONE: there is none. */
static int replay_some(travel *v, const rille_db *source, const ri_bound *to, rille_err *err)
{
    const ri_node *leaf = ri_cursor_leaf(&v->cursor);
    uint32_t end = ri_node_search(leaf, v->row, to);
    uint32_t some = end - v->row < SLICE_ROWS ? end - v->row : SLICE_ROWS;
    RI_TRY(replay_rows(v, source, leaf, v->row, v->row + some, err));
    v->row += some;
    if (v->row < end) {
        return 0;
    }
    if (end < leaf->count) {
        return RILLE_DONE;
    }
    int rc;
    ri_io_relieve(&v->io);
    RI_FETCHING(rc, &v->io, ri_cursor_next_leaf(&v->cursor, to, &v->io, err), err)
    v->row = rc == 0 ? ri_cursor_row(&v->cursor) : v->row;
    return rc;
}

static int begin_reading(travel *v, const rille_db *source, const ri_bound *to, rille_err *err)
{
    ri_bound from = { { .t = v->past->t }, 1, true };
    int rc;
    ri_cursor_init(&v->cursor, source->store, &source->base->tree[RI_LOG]);
    v->cursor.ahead = RI_AHEAD_ALL;
    v->reads = true;
    RI_FETCHING(rc, &v->io, ri_cursor_seek_until(&v->cursor, &from, to, &v->io, err), err)
    v->row = rc == 0 ? ri_cursor_row(&v->cursor) : 0;
    return rc;
}

/* Transactions of source's log up to `until` onto the value. RILLE_AGAIN: paused. */
static int replay_log(travel *v, const rille_db *source, uint64_t until, rille_err *err)
{
    ri_bound to = { { .t = until }, 1, true };
    int rc = v->reads ? 0 : begin_reading(v, source, &to, err);
    while (rc == 0) {
        rc = replay_some(v, source, &to, err);
        if (rc == 0 && ri_task_pause(SLICE_ROWS * DATOM_WORK)) {
            return RILLE_AGAIN;
        }
    }
    return rc == RILLE_DONE ? replay_chunk(v, source, err) : rc;
}

/* What an earlier run of the task has begun, or a new one without a value. NULL: no memory. */
static travel *take_travel(uint64_t key)
{
    travel *v = ri_task_take(travel_release, key);
    return v != NULL ? v : ri_alloc_zero(sizeof *v);
}

/* After rc: gives the value, or, when it paused, lets the next run go on. */
static int give_travel(travel *v, uint64_t key, int rc, rille_db **out, rille_err *err)
{
    if (rc == RILLE_AGAIN) {
        return ri_task_put(v, travel_release, key, err);
    }
    if (rc == 0) {
        v->past->past = true;
        *out = ri_db_retain(v->past);
    }
    travel_release(v);
    return rc;
}

static uint64_t travel_key(const rille_db *db, uint64_t t)
{
    return ri_hash64(db->commit, RI_HASH_SIZE, ri_mix64(db->base->t) + t);
}

static int begin_old_base(travel *v, const rille_db *db, uint64_t t, rille_err *err)
{
    ri_base *base;
    RI_TRY(base_at(db, t, &base, err));
    int rc = ri_db_of_base(db->store, db->branch, base, NULL, &v->past, err);
    ri_base_release(base);
    return rc;
}

static int as_of_old_base(rille_db *db, uint64_t t, rille_db **out, rille_err *err)
{
    if (!db->base->keep_history) {
        return ri_fail(err, RILLE_NOTFOUND,
                       "transaction %llu is no longer available: the database does not keep history",
                       (unsigned long long)t);
    }
    uint64_t key = travel_key(db, t);
    travel *v = take_travel(key);
    if (v == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = v->past == NULL ? begin_old_base(v, db, t, err) : 0;
    rc = rc == 0 ? replay_log(v, db, t, err) : rc;
    return give_travel(v, key, rc, out, err);
}

static int begin_tail(travel *v, const rille_db *db, rille_err *err)
{
    v->listed = db->novelty.last;
    RI_TRY(ri_db_of_base(db->store, db->branch, db->base, NULL, &v->past, err));
    v->past->speculative = db->speculative;
    return 0;
}

static int list_tail(travel *v, uint64_t t, rille_err *err)
{
    while (v->listed != NULL) {
        if (v->listed->t <= t) {
            if (!RI_GROW(&v->blocks, &v->block_cap, v->block_count + 1)) {
                return ri_fail_nomem(err);
            }
            v->blocks[v->block_count++] = v->listed;
        }
        v->listed = v->listed->prev;
        if (ri_task_pause(LISTED_WORK)) {
            return RILLE_AGAIN;
        }
    }
    return 0;
}

/* The past since the newest base: a prefix of the same blocks. */
static int as_of_tail(rille_db *db, uint64_t t, rille_db **out, rille_err *err)
{
    uint64_t key = travel_key(db, t);
    travel *v = take_travel(key);
    if (v == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = v->past == NULL ? begin_tail(v, db, err) : 0;
    rc = rc == 0 ? list_tail(v, t, err) : rc;
    while (rc == 0 && v->block_count > 0) {
        ri_block *block = v->blocks[--v->block_count];
        rc = ri_db_replay(v->past, block, err);
        if (rc == 0 && ri_task_pause(BLOCK_WORK + block->count * SHARED_WORK)) {
            rc = RILLE_AGAIN;
        }
    }
    return give_travel(v, key, rc, out, err);
}

int ri_db_as_of_t(rille_db *db, uint64_t t, rille_db **out, rille_err *err)
{
    *out = NULL;
    if (t < RI_TX_BASE) {
        return ri_fail(err, RILLE_NOTFOUND, "%llu is not a transaction id: the first one is %llu",
                       (unsigned long long)t, (unsigned long long)RI_TX_BASE);
    }
    if (t >= db->t) {
        *out = ri_db_retain(db);
        return 0;
    }
    return t >= db->base->t ? as_of_tail(db, t, out, err) : as_of_old_base(db, t, out, err);
}

int ri_db_as_of_instant(rille_db *db, int64_t instant, rille_db **out, rille_err *err)
{
    *out = NULL;
    for (const ri_block *b = db->novelty.last; b != NULL; b = b->prev) {
        if (b->instant <= instant) {
            return ri_db_as_of_t(db, b->t, out, err);
        }
    }
    ri_value v = ri_word(RI_INSTANT, (uint64_t)instant);
    ri_bound cut = ri_bound_av(RI_A_TX_INSTANT, &v, true);
    ri_arena arena = { 0 };
    ri_datom d;
    int rc = find_datom(db, RI_AVET, &cut, true, &arena, &d, err);
    ri_arena_deinit(&arena);
    if (rc == RILLE_DONE || (rc == 0 && d.a != RI_A_TX_INSTANT)) {
        return ri_fail(err, RILLE_NOTFOUND, "the instant is before the first transaction");
    }
    return rc != 0 ? rc : ri_db_as_of_t(db, d.e, out, err);
}

/* The transaction of a commit id that lies in the trees; RILLE_DONE: none. */
static int find_commit(const rille_db *db, const uint8_t commit[RI_HASH_SIZE], uint64_t *t, rille_err *err)
{
    ri_bound cut = meta_cut(RI_A_META_COMMIT, commit, RI_META_COMMIT_PREFIX, false);
    ri_arena arena = { 0 };
    int rc;
    for (;;) {
        ri_datom d;
        uint8_t found[RI_HASH_SIZE];
        rc = find_datom(db, RI_META, &cut, false, &arena, &d, err);
        if (rc != 0) {
            break;
        }
        if (d.a != RI_A_META_COMMIT || d.v.len != RI_META_COMMIT_PREFIX ||
            memcmp(d.v.as.p, commit, RI_META_COMMIT_PREFIX) != 0) {
            rc = RILLE_DONE;
            break;
        }
        rc = commit_of(db, d.e, found, err);
        if (rc != 0 || memcmp(found, commit, RI_HASH_SIZE) == 0) {
            *t = d.e;
            break;
        }
        cut = ri_bound_eav(d.e, d.a, &d.v, true); /* another commit with the same first bytes */
    }
    ri_arena_deinit(&arena);
    return rc;
}

int ri_db_as_of_commit(rille_db *db, const uint8_t commit[RI_HASH_SIZE], rille_db **out, rille_err *err)
{
    *out = NULL;
    for (const ri_block *b = db->novelty.last; b != NULL; b = b->prev) {
        if (memcmp(b->commit, commit, RI_HASH_SIZE) == 0) {
            return ri_db_as_of_t(db, b->t, out, err);
        }
    }
    uint64_t t = db->base->t;
    int rc = memcmp(db->base->commit, commit, RI_HASH_SIZE) == 0 ? 0 : find_commit(db, commit, &t, err);
    if (rc == RILLE_DONE) {
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, commit, RI_HASH_SIZE);
        return ri_fail(err, RILLE_NOTFOUND, "commit %s is not in the history of this database value", hex);
    }
    return rc != 0 ? rc : ri_db_as_of_t(db, t, out, err);
}
