/* SPDX-License-Identifier: MIT
 *
 * Merged reading of base and novelty. The base is delivered leaf by leaf as row ranges; the novelty is asked once a
 * leaf where its next item falls. Only where it falls inside the range is the range cut. Items between two rows are
 * rows of the view of their leaf, or, where they are few, an array of datoms.
 *
 *   base leaf    r r r r | r r r r r r        runs: rows 0-3, items i1 i2, rows 5-9
 *   novelty            i1 i2                   (i2 equals row 4, which it hides)
 *
 * Invariants: (S1) in state MERGE rows [row, limit) of the cursor's leaf are not delivered yet and lie before `to`;
 * (S2) the novelty cursor stands on the first item not delivered, and it and those up to `stop` lie before `to`, or it
 * is at the end; (S3) a call that returns RILLE_NEED has changed nothing that a second call would see.
 */
#include "db.h"

#define VIEW_ITEMS_MIN 16U   /* fewer go faster one by one */
#define OVERLAY_ROWS_MIN 64U /* so many rows and items left make it worth looking for an overlay */

enum { STATE_SEEK, STATE_MERGE, STATE_NEXT_LEAF, STATE_DONE };

void ri_scan_init(ri_scan *scan, const rille_db *db, ri_order order)
{
    scan->db = db;
    scan->order = (uint8_t)order;
    scan->state = STATE_DONE;
    scan->views = RI_VIEWS_WORTHWHILE;
    scan->rows_max = RI_SCAN_ROWS;
    scan->novelty.depth = -1;
    scan->paired = NULL;
    scan->hold = NULL;
    scan->set_known = false;
    scan->ahead_to = NULL;
    ri_cursor_init(&scan->cursor, db->store, &db->base->tree[order]);
}

void ri_scan_deinit(ri_scan *scan)
{
    ri_cursor_deinit(&scan->cursor);
    ri_set_release(scan->hold);
    scan->hold = NULL;
}

/* The same value is the same bytes in memory, too: ranges of one prefix are made of one value. */
static bool is_same_prefix(const ri_bound *from, const ri_bound *to)
{
    const ri_datom *a = &from->d;
    const ri_datom *b = &to->d;
    return from->parts == to->parts && !from->after && to->after && a->e == b->e && a->a == b->a &&
           a->v.type == b->v.type && a->v.len == b->v.len && a->v.as.u == b->v.as.u;
}

void ri_scan_set(ri_scan *scan, const ri_bound *from, const ri_bound *to)
{
    scan->from = *from;
    scan->to = *to;
    scan->end = ri_set_cut_of((ri_order)scan->order, &scan->to);
    scan->state = STATE_SEEK;
    scan->set_known = false;
    scan->is_prefix = is_same_prefix(from, to);
}

void ri_scan_skip(ri_scan *scan, const ri_bound *from)
{
    if (scan->state != STATE_DONE || scan->novelty.depth >= 0) {
        scan->from = *from;
        scan->state = STATE_SEEK;
        scan->is_prefix = false;
    }
}

/* Is the row before `to`? */
static bool is_inside(const ri_scan *scan, const ri_node *leaf, uint32_t row)
{
    ri_datom d;
    ri_node_datom(leaf, row, &d);
    return ri_datom_cmp_bound((ri_order)scan->order, &d, &scan->to) < 0;
}

/* The rest of the leaf up to `to`. Most ranges that are looked up have a row or none. */
static void set_limit(ri_scan *scan)
{
    const ri_node *leaf = ri_cursor_leaf(&scan->cursor);
    uint32_t row = ri_cursor_row(&scan->cursor);
    scan->row = row;
    scan->leaf_after = false;
    if (!is_inside(scan, leaf, row)) {
        scan->limit = row;
    } else if (row + 1 < leaf->count && !is_inside(scan, leaf, row + 1)) {
        scan->limit = row + 1;
    } else {
        scan->leaf_after = is_inside(scan, leaf, leaf->count - 1);
        scan->limit = scan->leaf_after ? leaf->count : ri_node_search(leaf, row, &scan->to);
    }
}

/* The cursor came to another leaf. */
static void enter_items(ri_scan *scan)
{
    if (!ri_set_at_end(&scan->novelty)) {
        scan->stop = ri_set_gallop(ri_set_leaf(&scan->novelty), ri_set_slot(&scan->novelty), &scan->end);
        if (scan->stop <= ri_set_slot(&scan->novelty)) {
            scan->novelty.depth = -1;
        }
    }
}

/* Items before `slot` of the leaf are delivered. */
static void leave_items(ri_scan *scan, uint32_t slot)
{
    bool all = slot == ri_set_leaf(&scan->novelty)->count;
    if (slot < scan->stop || all) {
        ri_set_move(&scan->novelty, slot);
    } else {
        scan->novelty.depth = -1;
    }
    if (all) {
        enter_items(scan);
    }
}

/* The range's items; when it was cut at its front, those of all of it do. */
static int find_set(ri_scan *scan, const ri_set_cut *from, rille_err *err)
{
    if (scan->hold != NULL && !scan->set_known) {
        ri_set_release(scan->hold);
        scan->hold = NULL;
        scan->paired = NULL; /* may be a leaf of it */
    }
    if (!scan->set_known) {
        RI_TRY(ri_novelty_between(&scan->db->novelty, from, &scan->end, &scan->set, &scan->hold, err));
        scan->set_known = true;
    }
    return 0;
}

static const ri_bound *ahead_to(const ri_scan *scan)
{
    return scan->ahead_to != NULL ? scan->ahead_to : &scan->to;
}

static int seek(ri_scan *scan, ri_io *io, rille_err *err)
{
    ri_set_cut start = ri_set_cut_of((ri_order)scan->order, &scan->from);
    RI_TRY(find_set(scan, &start, err));
    const ri_node *before = ri_cursor_leaf(&scan->cursor);
    int rc = ri_cursor_seek_until(&scan->cursor, &scan->from, ahead_to(scan), io, err);
    if (ri_cursor_leaf(&scan->cursor) != before) {
        scan->paired = NULL;
    }
    if (rc != 0 && rc != RILLE_DONE) {
        return rc;
    }
    ri_set_seek(&scan->novelty, scan->set, &start);
    enter_items(scan);
    if (rc == RILLE_DONE) {
        scan->row = scan->limit = 0;
        scan->leaf_after = false;
    } else if (scan->is_prefix) {
        scan->row = ri_cursor_row(&scan->cursor);
        scan->limit = scan->cursor.equal_end;
        scan->leaf_after = scan->limit == ri_cursor_leaf(&scan->cursor)->count;
    } else {
        set_limit(scan);
    }
    scan->state = STATE_MERGE;
    return 0;
}

static int next_leaf(ri_scan *scan, ri_io *io, rille_err *err)
{
    int rc = ri_cursor_next_leaf(&scan->cursor, ahead_to(scan), io, err);
    scan->paired = NULL;
    if (rc != 0 && rc != RILLE_DONE) {
        return rc;
    }
    if (rc == RILLE_DONE) {
        scan->row = scan->limit = 0;
        scan->leaf_after = false;
    } else {
        set_limit(scan);
    }
    scan->state = STATE_MERGE;
    return 0;
}

/* Items of the leaf that come before the base's next row as rows of their view. */
static bool view_items(ri_scan *scan, ri_run *run)
{
    const ri_set_node *leaf = ri_set_leaf(&scan->novelty);
    uint32_t slot = ri_set_slot(&scan->novelty);
    uint32_t end = scan->stop;
    bool always = scan->views == RI_VIEWS_ALWAYS;
    if (scan->views == RI_VIEWS_NEVER || (!always && end - slot < VIEW_ITEMS_MIN)) {
        return false;
    }
    if (scan->row < scan->limit) {
        ri_bound bound = { .parts = 3, .after = false };
        ri_node_datom(ri_cursor_leaf(&scan->cursor), scan->row, &bound.d);
        ri_set_cut cut = ri_set_cut_of((ri_order)scan->order, &bound);
        uint32_t before = ri_set_gallop(leaf, slot, &cut);
        end = before < end ? before : end;
    }
    if (end - slot < (always ? 1 : VIEW_ITEMS_MIN)) {
        return false;
    }
    const ri_node *view = ri_set_view(leaf, (ri_order)scan->order, always ? leaf->count : end - slot);
    if (view == NULL) {
        return false;
    }
    *run = (ri_run){ view, ri_set_row(leaf, slot), ri_set_row(leaf, end), NULL, 0 };
    leave_items(scan, end);
    return true;
}

/* Items that come before the base's next row (or equal it: then the row is hidden), as far as the leaf can tell. */
static uint32_t collect_items(ri_scan *scan)
{
    ri_order order = (ri_order)scan->order;
    const ri_node *leaf = scan->row < scan->limit ? ri_cursor_leaf(&scan->cursor) : NULL;
    ri_datom head;
    if (leaf != NULL) {
        ri_node_datom(leaf, scan->row, &head);
    }
    uint32_t count = 0;
    while (!ri_set_at_end(&scan->novelty) && count < scan->rows_max) {
        const ri_datom *d = ri_item_datom(ri_set_item(&scan->novelty));
        int c = leaf != NULL ? ri_datom_cmp(order, d, &head) : -1;
        if (c > 0) {
            break;
        }
        if (d->added) {
            scan->rows[count++] = d;
        }
        leave_items(scan, ri_set_slot(&scan->novelty) + 1);
        if (c == 0) {
            scan->row++;
            if (scan->row == scan->limit) {
                break; /* what the next item is up against lies in the next leaf */
            }
            ri_node_datom(leaf, scan->row, &head);
        }
    }
    return count;
}

/* Rows of the leaf before the next item. */
static uint32_t rows_before_item(ri_scan *scan)
{
    if (ri_set_at_end(&scan->novelty)) {
        return scan->limit;
    }
    ri_bound cut = { *ri_item_datom(ri_set_item(&scan->novelty)), 3, false };
    uint32_t split = ri_node_gallop(ri_cursor_leaf(&scan->cursor), scan->row, &cut);
    return split < scan->limit ? split : scan->limit;
}

static const uint8_t *leaf_addr(const ri_cursor *cursor)
{
    return cursor->tree.height == 1 ? cursor->tree.root.addr : cursor->path[1]->children[cursor->slot[1]].addr;
}

/* The overlay of the two leaves at hand, when both positions are in it and it is worth it. */
static const ri_node *find_overlay(ri_scan *scan)
{
    const ri_set_node *leaf = ri_set_leaf(&scan->novelty);
    const ri_node *base = ri_cursor_leaf(&scan->cursor);
    ri_order order = (ri_order)scan->order;
    uint32_t slot = ri_set_slot(&scan->novelty);
    bool always = scan->views == RI_VIEWS_ALWAYS;
    if (scan->views == RI_VIEWS_NEVER || (!always && scan->limit - scan->row + scan->stop - slot < OVERLAY_ROWS_MIN)) {
        return NULL;
    }
    if (scan->paired != leaf) {
        scan->paired = leaf;
        scan->overlay = ri_overlay_of(leaf, slot, base, leaf_addr(&scan->cursor), order, always);
    }
    const ri_overlay *overlay = scan->overlay;
    if (overlay == NULL || scan->row < overlay->row || scan->row >= overlay->row_end || slot < overlay->slot ||
        slot >= overlay->slot_end) {
        return NULL;
    }
    return ri_overlay_node(scan->overlay, leaf, base, order, always);
}

/* From the row or item that comes first, to the overlay's end or `to`. */
static void overlay_run(ri_scan *scan, const ri_node *node, ri_run *run)
{
    const ri_overlay *overlay = scan->overlay;
    uint32_t from = 0;
    uint32_t to = node->count;
    uint32_t slot = ri_set_slot(&scan->novelty);
    if (scan->row > overlay->row || slot > overlay->slot) {
        ri_bound start = { .parts = 3, .after = false };
        const ri_datom *d = ri_item_datom(ri_set_item(&scan->novelty));
        ri_node_datom(ri_cursor_leaf(&scan->cursor), scan->row, &start.d);
        if (ri_datom_cmp((ri_order)scan->order, d, &start.d) < 0) {
            start.d = *d;
        }
        from = ri_node_search(node, 0, &start);
    }
    if (scan->limit < overlay->row_end || scan->stop < overlay->slot_end) {
        to = ri_node_search(node, from, &scan->to);
    }
    *run = (ri_run){ node, from, to, NULL, 0 };
    scan->row = scan->limit < overlay->row_end ? scan->limit : overlay->row_end;
    leave_items(scan, scan->stop < overlay->slot_end ? scan->stop : overlay->slot_end);
}

static int step(ri_scan *scan, ri_run *run, bool *have)
{
    bool leaf_spent = scan->row >= scan->limit;
    *have = false;
    if (leaf_spent && scan->leaf_after) {
        scan->state = STATE_NEXT_LEAF;
        return 0;
    }
    if (leaf_spent && ri_set_at_end(&scan->novelty)) {
        scan->state = STATE_DONE;
        return RILLE_DONE;
    }
    if (!leaf_spent && !ri_set_at_end(&scan->novelty)) {
        const ri_node *node = find_overlay(scan);
        if (node != NULL) {
            overlay_run(scan, node, run);
            *have = run->from < run->to;
            return 0;
        }
    }
    uint32_t end = leaf_spent ? scan->row : rows_before_item(scan);
    if (end > scan->row) {
        *run = (ri_run){ ri_cursor_leaf(&scan->cursor), scan->row, end, NULL, 0 };
        scan->row = end;
        *have = true;
        return 0;
    }
    if (view_items(scan, run)) {
        *have = run->from < run->to;
        return 0;
    }
    uint32_t count = collect_items(scan);
    if (count > 0) {
        *run = (ri_run){ NULL, 0, 0, scan->rows, count };
        *have = true;
    }
    return 0;
}

int ri_scan_next(ri_scan *scan, ri_run *run, ri_io *io, rille_err *err)
{
    for (;;) {
        bool have = false;
        switch (scan->state) {
        case STATE_SEEK:
            RI_TRY(seek(scan, io, err));
            break;
        case STATE_NEXT_LEAF:
            RI_TRY(next_leaf(scan, io, err));
            break;
        case STATE_MERGE:
            RI_TRY(step(scan, run, &have));
            break;
        default:
            return RILLE_DONE;
        }
        if (have) {
            return 0;
        }
    }
}

bool ri_scan_at_end(const ri_scan *scan)
{
    bool spent = scan->state == STATE_MERGE && scan->row >= scan->limit && !scan->leaf_after;
    return scan->state == STATE_DONE || (spent && ri_set_at_end(&scan->novelty));
}
