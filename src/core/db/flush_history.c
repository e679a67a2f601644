/* SPDX-License-Identifier: MIT
 *
 * What a flush puts into LOG, RET and META. Jobs of flush.c.
 */
#include "flush_own.h"

#include <string.h>

/* ---- what was retracted ---- */

/* Equal for the same fact. */
static uint64_t fact_hash(const ri_datom *d)
{
    return ri_mix64(d->e ^ ri_mix64(d->a ^ ri_value_hash(&d->v)));
}

static int note_retractions(ri_flush *f, const ri_flush_rows *rows, rille_err *err)
{
    bool added;
    for (size_t i = rows->from; i < rows->to && !rows->block->only_adds; i++) {
        const ri_datom *d = &rows->block->datoms[i];
        if (!d->added) {
            f->retractions++;
            RI_TRY(ri_map64_put(&f->retracted, fact_hash(d), &added) == NULL ? ri_fail_nomem(err) : 0);
        }
    }
    return 0;
}

/* ---- LOG ---- */

/* What the log has of a transaction besides its datoms: the other parents of a merge. */
static void put_parents(const ri_block *block, ri_datom *parents)
{
    for (unsigned i = 0; i < block->merged_count; i++) {
        parents[i] = (ri_datom){ .e = block->t,
                                 .a = RI_A_LOG_PARENT,
                                 .t = block->t,
                                 .v = ri_bytes_value(RI_BYTES, block->merged[i], RI_HASH_SIZE),
                                 .added = true };
    }
}

/* The rows with the block's parents among them, in LOG's order. */
static void put_log_rows(ri_flush *f, const ri_flush_rows *rows)
{
    const ri_block *block = rows->block;
    const ri_datom *parents = f->made + f->made_count;
    for (size_t i = rows->from; i < rows->to; i++) {
        for (; f->parent < block->merged_count && ri_datom_cmp(RI_LOG, &parents[f->parent], &block->datoms[i]) < 0;
             f->parent++) {
            f->changes[f->change_count++] = ri_change_of(&parents[f->parent], true);
        }
        f->changes[f->change_count++] = ri_change_of(&block->datoms[i], true);
    }
    if (rows->to == block->count) {
        for (; f->parent < block->merged_count; f->parent++) {
            f->changes[f->change_count++] = ri_change_of(&parents[f->parent], true);
        }
        f->made_count += block->merged_count;
        f->parent = 0;
    }
}

/* Also notes what RET will need, as each datom is looked at once. */
int ri_flush_log(ri_flush *f, ri_order order, rille_err *err)
{
    (void)order;
    if (f->made == NULL) {
        f->made = ri_alloc_array(f->parent_count + 1, sizeof *f->made);
        if (f->made == NULL || !ri_flush_reserve(f, f->datom_count + f->parent_count)) {
            return ri_fail_nomem(err);
        }
    }
    ri_flush_rows rows;
    for (size_t left = RI_FLUSH_PORTION; ri_flush_next_rows(f, f->block_count, &left, &rows);) {
        RI_TRY(note_retractions(f, &rows, err));
        if (rows.from == 0) {
            put_parents(rows.block, f->made + f->made_count);
        }
        put_log_rows(f, &rows);
    }
    return f->at < f->block_count ? RILLE_AGAIN : 0;
}

/* ---- RET ---- */

static bool same_fact(const ri_datom *a, const ri_datom *b)
{
    return a->e == b->e && a->a == b->a && ri_value_eq(&a->v, &b->v);
}

/* When the fact that d retracts was asserted, in the base. */
static int find_assertion(ri_flush *f, const ri_datom *d, uint64_t *t, rille_err *err)
{
    ri_io io = { 0 };
    ri_datom found;
    ri_node *leaf = NULL;
    bool is_there = false;
    int rc;
    RI_FETCHING(rc, &io,
                ri_tree_get(f->db->store, &f->db->base->tree[RI_EAVT], &f->db->base->root[RI_EAVT], d, &io, &is_there,
                            &found, &leaf, err),
                err)
    *t = found.t;
    ri_node_release(leaf);
    ri_io_deinit(&io);
    if (rc == 0 && is_there && found.t >= d->t) {
        return ri_fail(err, RILLE_CORRUPT,
                       "entity %llu, attribute %u has a fact of transaction %llu that transaction %llu retracts: "
                       "restore the database from a backup",
                       (unsigned long long)d->e, d->a, (unsigned long long)found.t, (unsigned long long)d->t);
    }
    if (rc == 0 && !is_there) {
        return ri_fail(err, RILLE_CORRUPT,
                       "transaction %llu retracts a fact of entity %llu, attribute %u, that was never asserted",
                       (unsigned long long)d->t, (unsigned long long)d->e, d->a);
    }
    return rc;
}

/* What the blocks say of facts that they retract: all retractions, and assertions of perhaps some more facts, since these
 * are chosen by a hash. */
static int collect_event(ri_flush *f, const ri_datom *d, rille_err *err)
{
    if (d->added && ri_map64_get(&f->retracted, fact_hash(d)) == NULL) {
        return 0;
    }
    ri_set_runs *sort = &f->sort;
    if (sort->count == sort->cap) { /* the other arrays have as much room */
        ri_free(sort->to);
        ri_free(f->run_of);
        sort->to = NULL;
        f->run_of = NULL;
    }
    if (!RI_GROW(&sort->from, &sort->cap, sort->count + 1)) {
        return ri_fail_nomem(err);
    }
    sort->from[sort->count++] = ri_flush_key(RI_RET, d);
    return 0;
}

int ri_flush_collect_events(ri_flush *f, ri_order order, rille_err *err)
{
    (void)order;
    if (f->retractions == 0) {
        return 0;
    }
    ri_flush_rows rows;
    for (size_t left = RI_FLUSH_PORTION; ri_flush_next_rows(f, f->block_count, &left, &rows);) {
        for (size_t i = rows.from; i < rows.to; i++) {
            RI_TRY(collect_event(f, &rows.block->datoms[i], err));
        }
    }
    return f->at < f->block_count ? RILLE_AGAIN : 0;
}

static int retire(ri_flush *f, const ri_datom *d, const ri_datom *before, ri_datom *out, rille_err *err)
{
    *out = *d;
    out->x = d->t;
    out->added = true;
    if (before != NULL && before->added && same_fact(before, d)) {
        out->t = before->t;
        return 0;
    }
    return find_assertion(f, d, &out->t, err);
}

/* Events in the order of (e a v t): before a retraction stands the assertion that it ends, or it lies in the base. So the
 * retired datoms come in RET's order. */
int ri_flush_make_retired(ri_flush *f, ri_order order, rille_err *err)
{
    enum { LOOKUPS_MAX = 64 };
    (void)order;
    if (f->made == NULL) {
        f->made = ri_alloc_array(f->retractions + 1, sizeof *f->made);
        if (f->made == NULL) {
            return ri_fail_nomem(err);
        }
    }
    size_t at = f->at;
    size_t count = f->made_count;
    bool needs = false;
    for (size_t end = count + LOOKUPS_MAX; at < f->change_count && count < end; at++) {
        const ri_datom *d = ri_change_datom(f->changes[at]);
        if (!d->added) {
            int rc = retire(f, d, at > 0 ? ri_change_datom(f->changes[at - 1]) : NULL, &f->made[count++], err);
            needs = needs || rc == RILLE_NEED; /* go on: all that is missing is asked for at once */
            RI_TRY(rc == RILLE_NEED ? 0 : rc);
        }
    }
    if (needs) {
        return RILLE_NEED;
    }
    f->at = at;
    f->made_count = count;
    if (f->at < f->change_count) {
        return RILLE_AGAIN;
    }
    for (size_t i = 0; i < f->made_count; i++) {
        f->changes[i] = ri_change_of(&f->made[i], true);
    }
    f->change_count = f->made_count;
    return 0;
}

/* ---- META ----
 *
 * The rows of commit ids come in no order, so a row lies beside its value. */

typedef struct commit_row {
    ri_datom d;
    uint8_t key[RI_META_COMMIT_PREFIX];
} commit_row;

typedef struct tx_row {
    ri_datom d;
    uint8_t key[RI_META_KEY_SIZE];
} tx_row;

static ri_datom meta_datom(uint32_t a, const uint8_t *v, size_t len, uint64_t e)
{
    return (ri_datom){ .e = e, .a = a, .t = e, .v = ri_bytes_value(RI_BYTES, v, len), .added = true };
}

/* The record of the base that is left behind becomes a blob that META finds by t. */
static int retain_old_base(ri_flush *f, tx_row *out, rille_err *err)
{
    ri_buf body = { 0 };
    ri_store_be64(out->key, f->db->base->t);
    ri_base_write(f->db->base, true, &body);
    int rc = body.failed ? ri_fail_nomem(err) : ri_writer_put_blob(f->writer, body.p, body.len, out->key + 8, err);
    ri_buf_deinit(&body);
    out->d = meta_datom(RI_A_META_BASE, out->key, sizeof out->key, f->db->base->t);
    return rc;
}

static void make_commit_row(const ri_block *block, commit_row *out)
{
    memcpy(out->key, block->commit, sizeof out->key);
    out->d = meta_datom(RI_A_META_COMMIT, out->key, sizeof out->key, block->t);
}

/* False: no memory. */
static bool make_tx_row(ri_flush *f, const ri_block *block, tx_row *out)
{
    size_t merged = (size_t)block->merged_count * RI_HASH_SIZE;
    ri_store_be64(out->key, block->t);
    memcpy(out->key + 8, block->commit, RI_HASH_SIZE);
    out->d = meta_datom(RI_A_META_TX, out->key, sizeof out->key, block->t);
    if (merged > 0) {
        uint8_t *key = ri_arena_alloc(&f->arena, sizeof out->key + merged);
        if (key == NULL) {
            return false;
        }
        memcpy(key, out->key, sizeof out->key);
        memcpy(key + sizeof out->key, block->merged, merged);
        out->d.v = ri_bytes_value(RI_BYTES, key, sizeof out->key + merged);
    }
    return true;
}

/* Room for two rows of each transaction, and one of the base. */
static bool begin_meta(ri_flush *f)
{
    f->meta_rows = ri_alloc_array(f->block_count + 1, sizeof(tx_row) + sizeof(commit_row));
    return f->meta_rows != NULL && ri_flush_begin_sort(f, 2 * f->block_count + 1);
}

int ri_flush_meta(ri_flush *f, ri_order order, rille_err *err)
{
    if (f->at == 0 && !begin_meta(f)) {
        return ri_fail_nomem(err);
    }
    tx_row *transactions = f->meta_rows; /* which are in order */
    commit_row *commits = (commit_row *)(void *)(transactions + f->block_count + 1);
    for (size_t end = ri_flush_portion(f); f->at < end; f->at++) {
        const ri_block *block = f->blocks[f->at];
        ri_flush_prefetch(f, f->at);
        make_commit_row(block, &commits[f->at]);
        if (!make_tx_row(f, block, &transactions[f->at])) {
            return ri_fail_nomem(err);
        }
        f->sort.from[f->at] = ri_flush_key(order, &commits[f->at].d);
        f->sort.from[f->block_count + f->at] = ri_flush_key(order, &transactions[f->at].d);
    }
    f->sort.count = 2 * f->block_count;
    if (f->at < f->block_count) {
        return RILLE_AGAIN;
    }
    if (f->db->base->t > 0) {
        tx_row *base = &transactions[f->block_count];
        RI_TRY(retain_old_base(f, base, err));
        f->sort.from[f->sort.count++] = ri_flush_key(order, &base->d);
    }
    return 0;
}
