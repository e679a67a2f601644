/* SPDX-License-Identifier: MIT
 *
 * Merged reading of base and novelty. The base is delivered leaf by leaf as row ranges; the novelty is asked once a
 * leaf where its next item falls. Only where it falls inside the range is the range cut, and the items come as an array
 * between the two parts.
 *
 *   base leaf    r r r r | r r r r r r        runs: rows 0-3, items i1 i2, rows 5-9
 *   novelty            i1 i2                   (i2 equals row 4, which it hides)
 *
 * Invariants: (S1) in state MERGE rows [row, limit) of the cursor's leaf are not delivered yet and lie before `to`;
 * (S2) the novelty cursor stands on the first item not delivered that lies before `to`, or at the end; (S3) a call that
 * returns RILLE_NEED has changed nothing that a second call would see.
 */
#include "db.h"

enum { STATE_SEEK, STATE_MERGE, STATE_NEXT_LEAF, STATE_DONE };

void ri_scan_init(ri_scan *scan, const rille_db *db, ri_order order)
{
    scan->db = db;
    scan->order = (uint8_t)order;
    scan->state = STATE_DONE;
    scan->novelty.depth = -1;
    ri_cursor_init(&scan->cursor, db->store, &db->base->tree[order]);
}

void ri_scan_deinit(ri_scan *scan)
{
    ri_cursor_deinit(&scan->cursor);
}

void ri_scan_set(ri_scan *scan, const ri_bound *from, const ri_bound *to)
{
    scan->from = *from;
    scan->to = *to;
    scan->state = STATE_SEEK;
}

void ri_scan_skip(ri_scan *scan, const ri_bound *from)
{
    if (scan->state != STATE_DONE || scan->novelty.depth >= 0) {
        scan->from = *from;
        scan->state = STATE_SEEK;
    }
}

/* The rest of the leaf up to `to`. */
static void set_limit(ri_scan *scan)
{
    const ri_node *leaf = ri_cursor_leaf(&scan->cursor);
    scan->row = ri_cursor_row(&scan->cursor);
    ri_datom last;
    ri_node_datom(leaf, leaf->count - 1, &last);
    bool all = ri_datom_cmp_bound((ri_order)scan->order, &last, &scan->to) < 0;
    scan->limit = all ? leaf->count : ri_node_search(leaf, scan->row, &scan->to);
    scan->leaf_after = all;
}

static void novelty_stop_at_end(ri_scan *scan)
{
    if (scan->novelty.depth >= 0 &&
        ri_datom_cmp_bound((ri_order)scan->order, ri_item_datom(ri_set_item(&scan->novelty)), &scan->to) > 0) {
        scan->novelty.depth = -1;
    }
}

static int seek(ri_scan *scan, ri_io *io, rille_err *err)
{
    int rc = ri_cursor_seek(&scan->cursor, &scan->from, io, err);
    if (rc != 0 && rc != RILLE_DONE) {
        return rc;
    }
    ri_set_seek(&scan->novelty, &scan->db->novelty, (ri_order)scan->order, &scan->from);
    novelty_stop_at_end(scan);
    if (rc == RILLE_DONE) {
        scan->row = scan->limit = 0;
        scan->leaf_after = false;
    } else {
        set_limit(scan);
    }
    scan->state = STATE_MERGE;
    return 0;
}

static int next_leaf(ri_scan *scan, ri_io *io, rille_err *err)
{
    int rc = ri_cursor_next_leaf(&scan->cursor, &scan->to, io, err);
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
    while (!ri_set_at_end(&scan->novelty) && count < RI_SCAN_ROWS) {
        const ri_datom *d = ri_item_datom(ri_set_item(&scan->novelty));
        int c = leaf != NULL ? ri_datom_cmp(order, d, &head) : -1;
        if (c > 0) {
            break;
        }
        if (d->added) {
            scan->rows[count++] = d;
        }
        ri_set_next(&scan->novelty);
        novelty_stop_at_end(scan);
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
    uint32_t end = leaf_spent ? scan->row : rows_before_item(scan);
    if (end > scan->row) {
        *run = (ri_run){ ri_cursor_leaf(&scan->cursor), scan->row, end, NULL, 0 };
        scan->row = end;
        *have = true;
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
