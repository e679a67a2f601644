/* SPDX-License-Identifier: MIT
 *
 * Folding a novelty into the trees, in steps. For each tree: collect the changes (novelty items and the extra block's
 * datoms, merged; on equal keys the block is newer), then merge them (tree.h). LOG takes all blocks in order, RET the
 * retired datoms with the transaction that had added them, META the look-ups (flush_history.c).
 *
 * A flush is a list of jobs, each of which a step takes further by a portion: PORTION datoms, or a leaf written. In a task
 * (task.h), a step that lacks a node ends with RILLE_NEED and leaves the flush as it was, but for a merge, which begins
 * anew: it asks for nearly all that it reads before it writes anything.
 */
#include "flush.h"

#include "flush_own.h"
#include "segment.h"

#include "../store/task.h"

#include <string.h>

typedef ri_flush flush;

bool ri_flush_next_rows(ri_flush *f, size_t block_count, size_t *left, ri_flush_rows *out)
{
    if (*left == 0 || f->at == block_count) {
        return false;
    }
    ri_block *block = f->blocks[f->at];
    if (f->row == 0) {
        ri_flush_prefetch(f, f->at);
    }
    size_t count = block->count - f->row < *left ? block->count - f->row : *left;
    *out = (ri_flush_rows){ block, f->row, f->row + count };
    *left -= count;
    f->row += count;
    if (f->row == block->count) {
        f->at++;
        f->row = 0;
    }
    return true;
}

size_t ri_flush_portion(const ri_flush *f)
{
    size_t end = f->at;
    for (size_t datoms = 0; end < f->block_count && datoms < RI_FLUSH_PORTION; end++) {
        datoms += f->blocks[end]->count;
    }
    return end;
}

void ri_flush_clear(ri_flush *f)
{
    ri_merge_release(f->merge);
    f->merge = NULL;
    ri_free_sized(f->made, f->made_count * sizeof *f->made);
    ri_free(f->meta_rows);
    f->made = NULL;
    f->meta_rows = NULL;
    f->change_count = f->made_count = 0;
    ri_flush_end_sort(f);
    if (f->extra != NULL) { /* a large one: that memory is dear */
        ri_flush_free_arrays(f);
    }
}

bool ri_flush_reserve(ri_flush *f, size_t change_count)
{
    if (f->changes == NULL || f->changes_cap < change_count) {
        ri_free(f->changes);
        f->changes = ri_alloc_array(change_count, sizeof *f->changes);
        f->changes_cap = f->changes == NULL ? 0 : change_count;
    }
    return f->changes != NULL;
}

/* ---- applying changes ---- */

static int merge_step(flush *f, ri_order order, rille_err *err)
{
    const ri_tree *old = &f->db->base->tree[order];
    if (f->change_count == 0) {
        f->base->tree[order] = *old;
        return 0;
    }
    if (f->merge == NULL) {
        RI_TRY(ri_merge_new(f->db->store, old, f->changes, f->change_count, NULL, f->writer, &f->merge, err));
    }
    int rc;
    RI_FETCHING(rc, &f->io, ri_merge_step(f->merge, &f->io, &f->base->tree[order], err), err)
    if (rc == RILLE_AGAIN) {
        RI_TRY(ri_io_keep(&f->io, err)); /* for the next ones */
    }
    return rc;
}

/* Where there is nothing but the extra block, AVET comes from AEVT. */
static void keep_by_attr(flush *f)
{
    const ri_attr_counts *counts = &f->extra_counts;
    if (f->change_count > 0 && f->db->novelty.datom_count == 0 && counts->known && counts->bits < RI_ATTR_COUNTS) {
        f->by_attr = (ri_sorted){ f->changes, f->change_count };
        f->changes = NULL;
        f->changes_cap = 0;
    }
}

/* The job after which nothing of it is left. */
static int merge(flush *f, ri_order order, rille_err *err)
{
    int rc = merge_step(f, order, err);
    if (rc == 0 && order == RI_AEVT) {
        keep_by_attr(f);
    }
    if (rc == 0) {
        ri_flush_clear(f);
        ri_io_clear(&f->io);
    }
    return rc;
}

/* ---- current trees ---- */

/* The novelty's set, made a portion at a time. */
static int make_set(flush *f, ri_order order, size_t own, rille_err *err)
{
    if (f->at == 0) {
        for (f->at = own; f->at > 0 && !ri_block_has_set(f->blocks[f->at - 1], order);) {
            f->at--;
        }
    }
    size_t end = ri_flush_portion(f);
    end = end < own ? end : own;
    if (f->at < end) {
        RI_TRY(ri_block_make_set(f->blocks[end - 1], order, err));
        f->at = end;
        return end < own ? RILLE_AGAIN : 0;
    }
    return 0;
}

/* The datoms to be sorted, of the first `block_count` blocks. */
static int gather(flush *f, ri_order order, size_t block_count, rille_err *err)
{
    ri_set_runs *sort = &f->sort;
    ri_flush_rows rows;
    size_t max = f->datom_count - (f->joins_extra ? f->extra->count : 0);
    if (sort->count == 0 && !ri_flush_begin_sort(f, max)) {
        return ri_fail_nomem(err);
    }
    if (order == RI_EAVT && f->at == 0 && f->row == 0) {
        f->has_refs = false;
    }
    for (size_t left = RI_FLUSH_PORTION; ri_flush_next_rows(f, block_count, &left, &rows);) {
        const ri_schema *schema = rows.block == f->extra ? f->schema : rows.block->schema;
        const ri_datom *end = rows.block->datoms + rows.to;
        for (const ri_datom *d = rows.block->datoms + rows.from; d < end; d++) {
            f->has_refs = f->has_refs || d->v.type == RI_REF;
            if (order <= RI_AEVT || ri_schema_in_order(schema, d->a, order)) {
                sort->from[sort->count++] = ri_flush_key(order, d);
            }
        }
    }
    return f->at < block_count ? RILLE_AGAIN : 0;
}

/* Where the order was read, most of a set is there: all of it is made. Otherwise sorting takes less. The extra block is
 * large: it is sorted by itself, which takes least, unless that must be done in portions. */
static int prepare(flush *f, ri_order order, rille_err *err)
{
    if (f->at == 0 && f->row == 0 && f->sort.count == 0) {
        f->joins_extra = f->extra != NULL && !ri_task_may_pause();
        f->by_set = (f->read_orders >> order & 1) != 0 && (f->extra == NULL || f->joins_extra);
    }
    size_t block_count = f->block_count - (f->joins_extra ? 1 : 0);
    if (f->by_set) {
        return make_set(f, order, block_count, err);
    }
    return order == RI_VAET && !f->has_refs ? 0 : gather(f, order, block_count, err);
}

static int begin_items(flush *f, ri_order order, rille_err *err)
{
    ri_bound start = ri_bound_all(false);
    ri_set_cut cut = ri_set_cut_of(order, &start);
    const ri_set_node *set;
    RI_TRY(ri_novelty_set(&f->db->novelty, order, &set, err));
    ri_set_seek(&f->items, set, &cut);
    f->has_items = true;
    return ri_flush_reserve(f, (size_t)f->db->novelty.datom_count) ? 0 : ri_fail_nomem(err);
}

static int sort_extra(flush *f, ri_order order, size_t more, ri_sorted *out, rille_err *err)
{
    if (order != RI_AVET || f->by_attr.changes == NULL) {
        return ri_block_sorted(f->extra, f->schema, order, more, &f->extra_counts, out, err);
    }
    *out = f->by_attr;
    f->by_attr = (ri_sorted){ NULL, 0 };
    return ri_sorted_by_value(f->schema, &f->extra_counts, out, err);
}

/* The extra block's datoms among the items; they win over equal ones. Mostly one of both are few. */
static int join_extra(flush *f, ri_order order, rille_err *err)
{
    ri_sorted block;
    ri_change *items = f->changes;
    size_t item_count = f->change_count;
    RI_TRY(sort_extra(f, order, item_count, &block, err));
    ri_change *to = block.changes;
    ri_change *from = to + item_count;
    size_t left = block.count;
    if (item_count > 0 && left > 0) {
        memmove(from, to, left * sizeof *to);
    }
    for (size_t i = 0; i < item_count; i++) {
        const ri_datom *item = ri_change_datom(items[i]);
        size_t below = ri_changes_below(order, from, left, item);
        memmove(to, from, below * sizeof *to);
        to += below;
        from += below;
        left -= below;
        if (left == 0 || ri_datom_cmp(order, item, ri_change_datom(*from)) != 0) {
            *to++ = items[i];
        }
    }
    if (to != from) {
        memmove(to, from, left * sizeof *to);
    }
    ri_free(items);
    f->changes = block.changes;
    f->changes_cap = item_count + block.count;
    f->change_count = (size_t)(to - block.changes) + left;
    return 0;
}

static int take_items(flush *f, ri_order order, rille_err *err)
{
    if (!f->has_items) {
        RI_TRY(begin_items(f, order, err));
    }
    for (size_t end = f->change_count + RI_FLUSH_PORTION; !ri_set_at_end(&f->items); ri_set_next(&f->items)) {
        if (f->change_count == end) {
            return RILLE_AGAIN;
        }
        const ri_datom *d = ri_item_datom(ri_set_item(&f->items));
        f->changes[f->change_count++] = ri_change_of(d, d->added);
    }
    f->has_items = false;
    return 0;
}

static int collect_items(flush *f, ri_order order, rille_err *err)
{
    RI_TRY(f->by_set ? take_items(f, order, err) : ri_flush_take_sorted(f, order, err));
    return f->joins_extra ? join_extra(f, order, err) : 0;
}

/* ---- the base ---- */

static void list_block(flush *f, ri_block *block)
{
    *--f->blocks = block;
    f->block_count++;
    f->datom_count += block->count;
    f->parent_count += block->merged_count;
    f->read_orders |= ri_block_set_orders(block);
}

/* From the newest one on. A walk along the chain waits for memory at each. */
static int list_blocks(flush *f, ri_order order, rille_err *err)
{
    enum { LISTED_MAX = 2048 };
    (void)order;
    if (f->blocks == NULL) {
        size_t max = (size_t)f->db->novelty.datom_count + 1; /* a block has a datom at least */
        f->block_room = ri_alloc_array(max, sizeof *f->block_room);
        if (f->block_room == NULL) {
            return ri_fail_nomem(err);
        }
        f->blocks = f->block_room + max;
        f->unlisted = f->db->novelty.last;
        f->read_orders = ri_novelty_set_orders(&f->db->novelty);
        if (f->extra != NULL) {
            list_block(f, f->extra);
        }
    }
    for (size_t left = LISTED_MAX; left > 0 && f->unlisted != NULL; left--) {
        list_block(f, f->unlisted);
        f->unlisted = f->unlisted->prev;
    }
    return f->unlisted != NULL ? RILLE_AGAIN : 0;
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

static int read_attempts(flush *f, ri_order order, rille_err *err)
{
    (void)order;
    ri_io io = { 0 };
    int rc = 0;
    if (!ri_addr_is_zero(f->db->base->attempts_addr)) {
        RI_FETCHING(rc, &io, ri_store_get_blob(f->db->store, f->db->base->attempts_addr, &io, &f->attempts, err), err)
    }
    ri_io_deinit(&io);
    return rc;
}

static int write_attempts(flush *f, rille_err *err)
{
    const ri_blob *old = f->attempts;
    ri_buf bytes = { 0 };
    int rc = ri_attempts_write(old == NULL ? NULL : old->bytes, old == NULL ? 0 : old->len, f->blocks, f->block_count,
                               &bytes, err);
    if (rc == 0 && bytes.len > 1) { /* more than their number, which is 0 */
        rc = bytes.failed ? ri_fail_nomem(err)
                          : ri_writer_put_blob(f->writer, bytes.p, bytes.len, f->base->attempts_addr, err);
    }
    ri_buf_deinit(&bytes);
    return rc;
}

/* ---- branches in one place ----
 *
 * The upper levels of all trees are in the newest pack always: those that this flush did not write are few, and stored
 * once more. All other branches are so where that costs little. */

#define BRANCH_BYTES_A_LEAF 48U /* stored: an address, a separator, a locator */

/* More than the branches of all trees: one has RI_BRANCH_MIN children, but for a tree's right edge. */
static uint64_t branches_max(const flush *f)
{
    uint64_t sum = (uint64_t)RI_ORDER_COUNT * RI_TREE_HEIGHT_MAX;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        sum += f->base->tree[o].count / (RI_BRANCH_MIN / 2);
    }
    return sum;
}

/* Worth it when they are few and it adds little to what this flush writes anyway: they then come with one read. */
static bool worth_gathering(const flush *f)
{
    uint64_t bytes = 0;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        bytes += f->base->tree[o].count / 1024 * BRANCH_BYTES_A_LEAF;
    }
    uint64_t max = ri_branches_gathered_max(f->db->store);
    return bytes < max && (bytes < max / 2 || bytes < ri_writer_bytes(f->writer) / 2);
}

static int gather_branch(flush *f, const ri_noderef *ref, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    unsigned level_min = f->gathers ? 1 : 2;
    RI_FETCHING(rc, &io, ri_tree_gather(f->db->store, ref, level_min, branches_max(f), f->writer, &io, err), err)
    ri_io_deinit(&io);
    return rc;
}

/* Branches that new ones keep, and whole trees that nothing changed. */
static int gather_branches(flush *f, ri_order order, rille_err *err)
{
    (void)order;
    ri_noderef ref;
    if ((ri_store_capabilities(f->db->store) & RILLE_BACKEND_ROWS) != 0) {
        return 0;
    }
    f->gathers = f->at++ == 0 ? worth_gathering(f) : f->gathers;
    ri_kept_cursor next = f->kept;
    if (ri_writer_next_kept(f->writer, f->gathers ? 1 : 2, &next, &ref)) {
        RI_TRY(gather_branch(f, &ref, err));
        f->kept = next;
        return RILLE_AGAIN;
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
    ri_writer_branch_region(f->writer, here->pack, &here->offset, &here->len, &base->upper_len);
    base->region_count = here->len > 0 ? 1 : 0;
    if (!gathered && old->region_count > 0) {
        base->regions[base->region_count++] = old->regions[old->region_count - 1];
    }
}

/* What was written becomes the base. */
static int finish(flush *f, ri_order order, rille_err *err)
{
    (void)order;
    RI_TRY(write_schema(f, err));
    RI_TRY(write_attempts(f, err));
    RI_TRY(ri_writer_seal(f->writer, err));
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        if (f->base->tree[o].height > 0) {
            ri_writer_resolve(f->writer, &f->base->tree[o].root);
        }
    }
    set_regions(f, f->gathers);
    return 0;
}

/* ---- the whole ---- */

static const struct {
    int (*run)(ri_flush *f, ri_order order, rille_err *err);
    ri_order order;
    bool of_history;
} jobs[] = {
    { list_blocks, RI_EAVT, false },
    { prepare, RI_EAVT, false },
    { ri_flush_sort, RI_EAVT, false },
    { collect_items, RI_EAVT, false },
    { merge, RI_EAVT, false },
    { prepare, RI_AEVT, false },
    { ri_flush_sort, RI_AEVT, false },
    { collect_items, RI_AEVT, false },
    { merge, RI_AEVT, false },
    { prepare, RI_AVET, false },
    { ri_flush_sort, RI_AVET, false },
    { collect_items, RI_AVET, false },
    { merge, RI_AVET, false },
    { prepare, RI_VAET, false },
    { ri_flush_sort, RI_VAET, false },
    { collect_items, RI_VAET, false },
    { merge, RI_VAET, false },
    { ri_flush_log, RI_LOG, true },
    { merge, RI_LOG, true },
    { ri_flush_collect_events, RI_RET, true },
    { ri_flush_sort, RI_RET, true },
    { ri_flush_take_sorted, RI_RET, true },
    { ri_flush_make_retired, RI_RET, true },
    { merge, RI_RET, true },
    { ri_flush_meta, RI_META, true },
    { ri_flush_sort, RI_META, true },
    { ri_flush_take_sorted, RI_META, true },
    { merge, RI_META, true },
    { gather_branches, RI_EAVT, false },
    { read_attempts, RI_EAVT, false },
    { finish, RI_EAVT, false },
};
enum { JOBS = sizeof jobs / sizeof *jobs };

static int begin(flush *f, const rille_db *db, const ri_flush_extra *extra, rille_err *err)
{
    RI_TRY(ri_base_new_empty(db->base->db_id, db->base->keep_history, db->base->read_flexible, &f->base, err));
    ri_free(f->base->schema_bytes);
    f->base->schema_bytes = NULL;
    f->base->epoch = db->base->epoch;
    f->base->t = f->extra != NULL ? f->extra->t : db->t;
    f->base->instant = f->extra != NULL ? f->extra->instant : db->instant;
    memcpy(f->base->commit, f->extra != NULL ? f->extra->commit : db->commit, RI_HASH_SIZE);
    f->base->next_e = extra != NULL ? extra->next_e : db->next_e;
    f->base->next_attr = extra != NULL ? extra->next_attr : db->next_attr;
    return 0;
}

int ri_flush_new(const rille_db *db, const ri_flush_extra *extra, ri_writer *writer, ri_flush **out, rille_err *err)
{
    *out = NULL;
    flush *f = ri_alloc_zero(sizeof *f);
    if (f == NULL) {
        return ri_fail_nomem(err);
    }
    f->db = ri_db_retain((rille_db *)(uintptr_t)db);
    f->extra = extra != NULL ? extra->block : NULL;
    f->schema = extra != NULL ? extra->schema : db->schema;
    f->writer = writer;
    f->has_refs = true;
    int rc = begin(f, db, extra, err);
    if (rc != 0) {
        ri_flush_release(f);
        return rc;
    }
    *out = f;
    return 0;
}

void ri_flush_release(ri_flush *f)
{
    if (f != NULL) {
        ri_flush_clear(f);
        ri_flush_free_arrays(f);
        ri_free(f->by_attr.changes);
        ri_map64_deinit(&f->retracted);
        ri_io_deinit(&f->io);
        ri_object_release(f->attempts == NULL ? NULL : &f->attempts->object);
        ri_free_sized(f->block_room, f->block_count * sizeof *f->blocks);
        ri_arena_deinit(&f->arena);
        ri_base_release(f->base);
        ri_db_release(f->db);
        ri_free(f);
    }
}

int ri_flush_step(ri_flush *f, rille_err *err)
{
    f->steps++;
    RI_TRY(ri_writer_put_full(f->writer, err));
    int rc = jobs[f->job].run(f, jobs[f->job].order, err);
    if (rc != 0) {
        return rc;
    }
    f->at = f->row = 0;
    do {
        f->job++;
    } while (f->job < JOBS && jobs[f->job].of_history && !f->base->keep_history);
    return f->job < JOBS ? RILLE_AGAIN : 0;
}

ri_base *ri_flush_take_base(ri_flush *f)
{
    ri_base *base = f->base;
    f->base = NULL;
    return base;
}

int ri_flush_build(const rille_db *db, const ri_flush_extra *extra, ri_writer *writer, ri_base **out, rille_err *err)
{
    *out = NULL;
    ri_flush *f;
    RI_TRY(ri_flush_new(db, extra, writer, &f, err));
    int rc;
    do {
        rc = ri_flush_step(f, err);
    } while (rc == RILLE_AGAIN);
    *out = rc == 0 ? ri_flush_take_base(f) : NULL;
    ri_flush_release(f);
    return rc;
}
