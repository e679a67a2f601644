/* SPDX-License-Identifier: MIT
 *
 * For each tree: collect the changes (novelty items and the extra block's datoms, merged; on equal keys the block is
 * newer), then ri_tree_merge. LOG takes all blocks in order, RET the retired datoms with the transaction that had added
 * them, META the look-ups.
 */
#include "flush.h"

#include "segment.h"
#include "sort.h"

#include <string.h>

typedef struct flush {
    const rille_db *db;
    ri_block *extra;
    const ri_schema *schema;
    ri_writer *writer;
    ri_base *base;
    ri_block **blocks; /* oldest first, the extra one last */
    size_t block_count;
    size_t datom_count; /* of all blocks */
    ri_arena arena;
} flush;

/* ---- applying changes ---- */

static int merge_tree(flush *f, ri_order order, const ri_change *changes, size_t count, rille_err *err)
{
    const ri_tree *old = &f->db->base->tree[order];
    if (count == 0) {
        f->base->tree[order] = *old;
        return 0;
    }
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_tree_merge(f->db->store, old, changes, count, f->writer, &io, &f->base->tree[order], err),
                err)
    ri_io_deinit(&io);
    return rc;
}

/* ---- current trees ---- */

static ri_change change_of(const ri_datom *d)
{
    ri_change change = { d, d->added };
    return change;
}

/* Two sorted sources into one; the block's datom wins over an equal item. */
static size_t merge_sources(ri_order order, ri_set_cursor *items, const ri_sorted *block, ri_change *out)
{
    size_t count = 0;
    size_t at = 0;
    while (at < block->count || !ri_set_at_end(items)) {
        const ri_datom *item = ri_set_at_end(items) ? NULL : ri_item_datom(ri_set_item(items));
        int c = item == NULL ? 1 : at == block->count ? -1 : ri_datom_cmp(order, item, block->d[at]);
        out[count++] = change_of(c < 0 ? item : block->d[at]);
        at += c >= 0 ? 1 : 0;
        if (c <= 0) {
            ri_set_next(items);
        }
    }
    return count;
}

static int flush_current(flush *f, ri_order order, rille_err *err)
{
    ri_sorted block = { NULL, 0 };
    if (f->extra != NULL) {
        RI_TRY(ri_block_sorted(f->extra, f->schema, order, &block, err));
    }
    ri_bound start = ri_bound_all(false);
    ri_set_cut cut = ri_set_cut_of(order, &start);
    const ri_set_node *set;
    int rc = ri_novelty_set(&f->db->novelty, order, &set, err);
    ri_change *changes = ri_alloc_array(block.count + (size_t)f->db->novelty.datom_count, sizeof *changes);
    if (rc == 0 && changes == NULL) {
        rc = ri_fail_nomem(err);
    }
    if (rc == 0) {
        ri_set_cursor items;
        ri_set_seek(&items, set, &cut);
        size_t count = merge_sources(order, &items, &block, changes);
        rc = merge_tree(f, order, changes, count, err);
    }
    ri_free(changes);
    ri_free(block.d);
    return rc;
}

/* ---- LOG ---- */

/* What the log has of a transaction besides its datoms: the other parents of a merge. */
static size_t merged_count(const flush *f)
{
    size_t count = 0;
    for (size_t b = 0; b < f->block_count; b++) {
        count += f->blocks[b]->merged_count;
    }
    return count;
}

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

/* A block's datoms with its parents among them, in LOG's order. */
static size_t put_log_rows(const ri_block *block, const ri_datom *parents, ri_change *changes)
{
    size_t count = 0;
    size_t parent = 0;
    for (size_t i = 0; i < block->count; i++) {
        for (; parent < block->merged_count && ri_datom_cmp(RI_LOG, &parents[parent], &block->datoms[i]) < 0;
             parent++) {
            changes[count++] = (ri_change){ &parents[parent], true };
        }
        changes[count++] = (ri_change){ &block->datoms[i], true };
    }
    for (; parent < block->merged_count; parent++) {
        changes[count++] = (ri_change){ &parents[parent], true };
    }
    return count;
}

static int flush_log(flush *f, rille_err *err)
{
    size_t parent_count = merged_count(f);
    ri_change *changes = ri_alloc_array(f->datom_count + parent_count, sizeof *changes);
    ri_datom *parents = ri_alloc_array(parent_count + 1, sizeof *parents);
    int rc = changes == NULL || parents == NULL ? ri_fail_nomem(err) : 0;
    size_t count = 0;
    size_t parent = 0;
    for (size_t b = 0; b < f->block_count && rc == 0; b++) {
        put_parents(f->blocks[b], parents + parent);
        count += put_log_rows(f->blocks[b], parents + parent, changes + count);
        parent += f->blocks[b]->merged_count;
    }
    if (rc == 0) {
        rc = merge_tree(f, RI_LOG, changes, count, err);
    }
    ri_free(parents);
    ri_free(changes);
    return rc;
}

/* ---- RET ---- */

static bool same_fact(const ri_datom *a, const ri_datom *b)
{
    return a->e == b->e && a->a == b->a && ri_value_eq(&a->v, &b->v);
}

/* Equal for the same fact. */
static uint64_t fact_hash(const ri_datom *d)
{
    return ri_mix64(d->e ^ ri_mix64(d->a ^ ri_value_hash(&d->v)));
}

/* When the fact that d retracts was asserted, in the base. */
static int find_assertion(flush *f, const ri_datom *d, uint64_t *t, rille_err *err)
{
    ri_io io = { 0 };
    ri_datom found;
    ri_node *leaf = NULL;
    bool is_there = false;
    int rc;
    RI_FETCHING(rc, &io, ri_tree_get(f->db->store, &f->db->base->tree[RI_EAVT], d, &io, &is_there, &found, &leaf, err),
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

/* Merge sort by the whole key of an order. */
static void sort_changes(ri_order order, ri_change *changes, ri_change *other, size_t count)
{
    if (count < 2) {
        return;
    }
    size_t half = count / 2;
    sort_changes(order, changes, other, half);
    sort_changes(order, changes + half, other, count - half);
    memcpy(other, changes, half * sizeof *changes);
    size_t left = 0;
    size_t right = half;
    for (size_t at = 0; left < half; at++) {
        bool take_left = right == count || ri_datom_cmp(order, other[left].d, changes[right].d) <= 0;
        changes[at] = take_left ? other[left++] : changes[right++];
    }
}

static int merge_sorted(flush *f, ri_order order, ri_datom *datoms, size_t count, rille_err *err)
{
    ri_change *changes = ri_alloc_array(2 * count, sizeof *changes);
    if (changes == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        changes[i] = (ri_change){ &datoms[i], true };
    }
    sort_changes(order, changes, changes + count, count);
    int rc = merge_tree(f, order, changes, count, err);
    ri_free(changes);
    return rc;
}

/* What the blocks say of facts that they retract: all retractions, and assertions of perhaps some more facts, since these
 * are chosen by a hash. */
typedef struct events {
    ri_change *at;
    size_t count;
    size_t cap;
    size_t retractions;
} events;

static int note_retractions(const flush *f, ri_map64 *retracted, size_t *count, rille_err *err)
{
    bool added;
    for (size_t b = 0; b < f->block_count; b++) {
        for (size_t i = 0; i < f->blocks[b]->count; i++) {
            const ri_datom *d = &f->blocks[b]->datoms[i];
            if (d->added) {
                continue;
            }
            if (ri_map64_put(retracted, fact_hash(d), &added) == NULL) {
                return ri_fail_nomem(err);
            }
            *count += 1;
        }
    }
    return 0;
}

static int collect_events(const flush *f, events *out, rille_err *err)
{
    ri_map64 retracted = { 0 };
    int rc = note_retractions(f, &retracted, &out->retractions, err);
    for (size_t b = 0; b < f->block_count && rc == 0 && out->retractions > 0; b++) {
        for (size_t i = 0; i < f->blocks[b]->count && rc == 0; i++) {
            const ri_datom *d = &f->blocks[b]->datoms[i];
            if (d->added && ri_map64_get(&retracted, fact_hash(d)) == NULL) {
                continue;
            }
            if (RI_GROW(&out->at, &out->cap, out->count + 1)) {
                out->at[out->count++] = (ri_change){ d, true };
            } else {
                rc = ri_fail_nomem(err);
            }
        }
    }
    ri_map64_deinit(&retracted);
    return rc;
}

/* Events in the order of (e a v t): before a retraction stands the assertion that it ends, or it lies in the base. So the
 * retired datoms come in RET's order. */
static int make_retired(flush *f, const events *all, ri_datom *retired, rille_err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const ri_datom *d = all->at[i].d;
        const ri_datom *before = i > 0 ? all->at[i - 1].d : NULL;
        if (d->added) {
            continue;
        }
        ri_datom *out = &retired[count++];
        *out = *d;
        out->x = d->t;
        out->added = true;
        if (before != NULL && before->added && same_fact(before, d)) {
            out->t = before->t;
        } else {
            RI_TRY(find_assertion(f, d, &out->t, err));
        }
    }
    return 0;
}

static int flush_retired(flush *f, rille_err *err)
{
    events all = { 0 };
    ri_datom *retired = NULL;
    ri_change *other = NULL;
    int rc = collect_events(f, &all, err);
    if (rc == 0 && all.retractions == 0) {
        rc = merge_tree(f, RI_RET, NULL, 0, err);
    } else if (rc == 0) {
        retired = ri_alloc_array(all.retractions, sizeof *retired);
        other = ri_alloc_array(all.count, sizeof *other);
        rc = retired == NULL || other == NULL ? ri_fail_nomem(err) : 0;
    }
    if (rc == 0 && all.retractions > 0) {
        sort_changes(RI_RET, all.at, other, all.count);
        rc = make_retired(f, &all, retired, err);
    }
    for (size_t i = 0; rc == 0 && i < all.retractions; i++) {
        other[i] = (ri_change){ &retired[i], true };
    }
    if (rc == 0 && all.retractions > 0) {
        rc = merge_tree(f, RI_RET, other, all.retractions, err);
    }
    ri_free(other);
    ri_free(retired);
    ri_free(all.at);
    return rc;
}

/* ---- META ---- */

static int meta_datom(flush *f, uint32_t a, const uint8_t *v, size_t len, uint64_t e, ri_datom *out, rille_err *err)
{
    const void *copy = ri_arena_copy(&f->arena, v, len);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    *out = (ri_datom){ .e = e, .a = a, .t = e, .v = ri_bytes_value(RI_BYTES, copy, len), .added = true };
    return 0;
}

/* The record of the base that is left behind becomes a blob that META finds by t. */
static int retain_old_base(flush *f, ri_datom *out, rille_err *err)
{
    ri_buf body = { 0 };
    uint8_t key[RI_META_KEY_SIZE];
    ri_store_be64(key, f->db->base->t);
    ri_base_write(f->db->base, true, &body);
    int rc = body.failed ? ri_fail_nomem(err) : ri_writer_put_blob(f->writer, body.p, body.len, key + 8, err);
    ri_buf_deinit(&body);
    RI_TRY(rc);
    return meta_datom(f, RI_A_META_BASE, key, sizeof key, f->db->base->t, out, err);
}

static int transaction_row(flush *f, const ri_block *block, ri_datom *out, rille_err *err)
{
    uint8_t key[RI_META_KEY_SIZE + RI_MERGED_MAX * RI_HASH_SIZE];
    size_t merged = (size_t)block->merged_count * RI_HASH_SIZE;
    ri_store_be64(key, block->t);
    memcpy(key + 8, block->commit, RI_HASH_SIZE);
    if (merged > 0) {
        memcpy(key + RI_META_KEY_SIZE, block->merged, merged);
    }
    return meta_datom(f, RI_A_META_TX, key, RI_META_KEY_SIZE + merged, block->t, out, err);
}

static int collect_meta(flush *f, ri_datom *datoms, size_t *count, rille_err *err)
{
    for (size_t b = 0; b < f->block_count; b++) {
        const ri_block *block = f->blocks[b];
        RI_TRY(transaction_row(f, block, &datoms[*count], err));
        RI_TRY(
            meta_datom(f, RI_A_META_COMMIT, block->commit, RI_META_COMMIT_PREFIX, block->t, &datoms[*count + 1], err));
        *count += 2;
    }
    if (f->db->base->keep_history && f->db->base->t > 0) {
        RI_TRY(retain_old_base(f, &datoms[*count], err));
        *count += 1;
    }
    return 0;
}

static int flush_meta(flush *f, rille_err *err)
{
    ri_datom *datoms = ri_alloc_array(2 * f->block_count + 1, sizeof *datoms);
    size_t count = 0;
    int rc = datoms == NULL ? ri_fail_nomem(err) : collect_meta(f, datoms, &count, err);
    if (rc == 0) {
        rc = merge_sorted(f, RI_META, datoms, count, err);
    }
    ri_free(datoms);
    return rc;
}

/* ---- the base ---- */

static int list_blocks(flush *f, rille_err *err)
{
    f->blocks = ri_block_list(f->db->novelty.last, 0, 1, &f->block_count);
    if (f->blocks == NULL) {
        return ri_fail_nomem(err);
    }
    if (f->extra != NULL) {
        f->blocks[f->block_count++] = f->extra;
    }
    for (size_t i = 0; i < f->block_count; i++) {
        f->datom_count += f->blocks[i]->count;
    }
    return 0;
}

static int write_schema(flush *f, rille_err *err)
{
    ri_buf bytes = { 0 };
    ri_schema_write(f->schema, &bytes);
    int rc = bytes.failed ? ri_fail_nomem(err) : 0;
    if (rc == 0 && bytes.len > RI_SCHEMA_INLINE_MAX) {
        rc = ri_writer_put_blob(f->writer, bytes.p, bytes.len, f->base->schema_addr, err);
    } else if (rc == 0) {
        f->base->schema_bytes = ri_buf_take(&bytes, &f->base->schema_len);
        rc = f->base->schema_bytes == NULL ? ri_fail_nomem(err) : 0;
    }
    ri_buf_deinit(&bytes);
    return rc;
}

static int write_attempts(flush *f, rille_err *err)
{
    ri_blob *old = NULL;
    ri_io io = { 0 };
    ri_buf bytes = { 0 };
    int rc = 0;
    if (!ri_addr_is_zero(f->db->base->attempts_addr)) {
        RI_FETCHING(rc, &io, ri_store_get_blob(f->db->store, f->db->base->attempts_addr, &io, &old, err), err)
    }
    if (rc == 0) {
        rc = ri_attempts_write(old == NULL ? NULL : old->bytes, old == NULL ? 0 : old->len, f->blocks, f->block_count,
                               &bytes, err);
    }
    if (rc == 0 && bytes.len > 1) { /* more than their number, which is 0 */
        rc = bytes.failed ? ri_fail_nomem(err)
                          : ri_writer_put_blob(f->writer, bytes.p, bytes.len, f->base->attempts_addr, err);
    }
    ri_buf_deinit(&bytes);
    ri_object_release(old == NULL ? NULL : &old->object);
    ri_io_deinit(&io);
    return rc;
}

/* ---- branches in one place ---- */

#define BRANCH_BYTES_A_LEAF 48U /* stored: an address, a separator, a locator */
#define REGION_BYTES_FREE (128U * 1024U)

/* More than the branches of all trees: one has RI_BRANCH_MIN children, but for a tree's right edge. */
static uint64_t branches_max(const flush *f)
{
    uint64_t sum = (uint64_t)RI_ORDER_COUNT * RI_TREE_HEIGHT_MAX;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        sum += f->base->tree[o].count / (RI_BRANCH_MIN / 2);
    }
    return sum;
}

/* Worth it when it adds little to what this flush writes anyway: the branches of all trees then come with one read. */
static bool worth_gathering(const flush *f)
{
    uint64_t bytes = 0;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        bytes += f->base->tree[o].count / 1024 * BRANCH_BYTES_A_LEAF;
    }
    bool packs = (ri_store_capabilities(f->db->store) & RILLE_BACKEND_ROWS) == 0;
    return packs && bytes < RI_REGION_BYTES_MAX &&
           (bytes < REGION_BYTES_FREE || bytes < ri_writer_bytes(f->writer) / 2);
}

static int gather_branch(flush *f, const ri_noderef *ref, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_tree_gather(f->db->store, ref, branches_max(f), f->writer, &io, err), err)
    ri_io_deinit(&io);
    return rc;
}

/* Branches that new ones keep, and whole trees that nothing changed. */
static int gather_branches(flush *f, rille_err *err)
{
    ri_kept_cursor at = { 0 };
    ri_noderef ref;
    while (ri_writer_next_kept(f->writer, &at, &ref)) {
        RI_TRY(gather_branch(f, &ref, err));
    }
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        const ri_tree *tree = &f->base->tree[o];
        bool same = memcmp(tree->root.addr, f->db->base->tree[o].root.addr, RI_HASH_SIZE) == 0;
        if (tree->height > 1 && same) {
            RI_TRY(gather_branch(f, &tree->root, err));
        }
    }
    return 0;
}

/* This flush's branches, and where the last flush that gathered put all the others. */
static void set_regions(flush *f, bool gathered)
{
    ri_base *base = f->base;
    const ri_base *old = f->db->base;
    struct ri_region *here = &base->regions[0];
    ri_writer_branch_region(f->writer, here->pack, &here->offset, &here->len);
    base->region_count = here->len > 0 ? 1 : 0;
    if (!gathered && old->region_count > 0) {
        base->regions[base->region_count++] = old->regions[old->region_count - 1];
    }
}

static int build(flush *f, rille_err *err)
{
    RI_TRY(list_blocks(f, err));
    RI_TRY(flush_current(f, RI_EAVT, err));
    RI_TRY(flush_current(f, RI_AEVT, err));
    RI_TRY(flush_current(f, RI_AVET, err));
    RI_TRY(flush_current(f, RI_VAET, err));
    if (f->base->keep_history) {
        RI_TRY(flush_log(f, err));
        RI_TRY(flush_retired(f, err));
        RI_TRY(flush_meta(f, err));
    }
    bool gathered = worth_gathering(f);
    if (gathered) {
        RI_TRY(gather_branches(f, err));
    }
    RI_TRY(write_schema(f, err));
    RI_TRY(write_attempts(f, err));
    RI_TRY(ri_writer_seal(f->writer, err));
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        if (f->base->tree[o].height > 0) {
            ri_writer_resolve(f->writer, &f->base->tree[o].root);
        }
    }
    set_regions(f, gathered);
    return 0;
}

int ri_flush_build(const rille_db *db, const ri_flush_extra *extra, ri_writer *writer, ri_base **out, rille_err *err)
{
    *out = NULL;
    flush f = { .db = db,
                .extra = extra != NULL ? extra->block : NULL,
                .schema = extra != NULL ? extra->schema : db->schema,
                .writer = writer };
    int rc = ri_base_new_empty(db->base->db_id, db->base->keep_history, db->base->read_flexible, &f.base, err);
    if (rc == 0) {
        ri_free(f.base->schema_bytes);
        f.base->schema_bytes = NULL;
        f.base->epoch = db->base->epoch;
        f.base->t = f.extra != NULL ? f.extra->t : db->t;
        f.base->instant = f.extra != NULL ? f.extra->instant : db->instant;
        memcpy(f.base->commit, f.extra != NULL ? f.extra->commit : db->commit, RI_HASH_SIZE);
        f.base->next_e = extra != NULL ? extra->next_e : db->next_e;
        f.base->next_attr = extra != NULL ? extra->next_attr : db->next_attr;
        rc = build(&f, err);
    }
    ri_free(f.blocks);
    ri_arena_deinit(&f.arena);
    if (rc != 0) {
        ri_base_release(f.base);
        return rc;
    }
    *out = f.base;
    return 0;
}
