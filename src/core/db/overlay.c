/* SPDX-License-Identifier: MIT
 *
 * Overlays: a leaf of a set laid over a leaf of the base, for stretches in which their datoms alternate. One is known by
 * the address of the base's leaf, so it serves all values that share the set's leaf and the base.
 *
 *   base leaf        a b c . e . g h i j          row = 2, row_end = 7 (c e g h i), the others lie outside
 *   set leaf             c'd . f . . i' k l       slot = 0, slot_end = 4
 *   overlay              c'd e f g h i'           i' of a retraction: without i
 *
 * Memory: a stretch has at most DENSITY rows an item, so an overlay takes at most about 8 * DENSITY bytes an item.
 */
#include "set.h"

#include <string.h>

#define DENSITY 64U      /* rows an item at most */
#define PIECES_WORTH 10U /* rows that can be packed in the time that one more piece costs a scan */

void ri_overlays_free(ri_overlay *first)
{
    while (first != NULL) {
        ri_overlay *next = first->next;
        ri_node_release(atomic_load_explicit(&first->node, memory_order_relaxed));
        ri_free(first);
        first = next;
    }
}

static ri_bound bound_of_row(const ri_node *node, uint32_t row, bool after)
{
    ri_bound bound = { .parts = 3, .after = after };
    ri_node_datom(node, row, &bound.d);
    return bound;
}

static ri_bound bound_of_item(const ri_set_node *leaf, uint32_t slot, bool after)
{
    ri_bound bound = { *ri_item_datom(ri_set_items(leaf)[slot]), 3, after };
    return bound;
}

static ri_overlay *find(const ri_set_node *leaf, const uint8_t *addr)
{
    ri_overlay *overlay = atomic_load_explicit(&((ri_set_node *)(uintptr_t)leaf)->overlays, memory_order_acquire);
    while (overlay != NULL && memcmp(overlay->addr, addr, RI_HASH_SIZE) != 0) {
        overlay = overlay->next;
    }
    return overlay;
}

/* Where they meet. */
static void measure(ri_overlay *overlay, const ri_set_node *leaf, const ri_node *base, ri_order order)
{
    ri_bound first = bound_of_item(leaf, 0, false);
    ri_bound last = bound_of_item(leaf, leaf->count - 1, true);
    overlay->row = ri_node_search(base, 0, &first);
    overlay->row_end = ri_node_search(base, overlay->row, &last);
    first = bound_of_row(base, 0, false);
    last = bound_of_row(base, base->count - 1, true);
    ri_set_cut cut = ri_set_cut_of(order, &first);
    overlay->slot = ri_set_search(leaf, 0, &cut);
    cut = ri_set_cut_of(order, &last);
    overlay->slot_end = ri_set_search(leaf, overlay->slot, &cut);
}

static bool is_dense(const ri_overlay *overlay, bool always)
{
    uint32_t rows = overlay->row_end - overlay->row;
    uint32_t items = overlay->slot_end - overlay->slot;
    return rows > 0 && items > 0 && rows + items <= RI_NODE_ROWS_MAX && (always || items * DENSITY >= rows);
}

ri_overlay *ri_overlay_of(const ri_set_node *leaf, uint32_t slot, const ri_node *base, const uint8_t *addr,
                          ri_order order, bool always)
{
    ri_bound last = bound_of_row(base, base->count - 1, true);
    ri_set_cut cut = ri_set_cut_of(order, &last);
    if (!always && (ri_set_gallop(leaf, slot, &cut) - slot) * DENSITY < base->count / 2) {
        return NULL; /* as cheap as can be: most leaves of a large base */
    }
    ri_overlay *overlay = find(leaf, addr);
    if (overlay != NULL) {
        return overlay;
    }
    ri_overlay measured;
    measure(&measured, leaf, base, order);
    overlay = is_dense(&measured, always) ? ri_alloc_zero(sizeof *overlay) : NULL;
    if (overlay == NULL) {
        return NULL;
    }
    overlay->row = measured.row;
    overlay->row_end = measured.row_end;
    overlay->slot = measured.slot;
    overlay->slot_end = measured.slot_end;
    memcpy(overlay->addr, addr, RI_HASH_SIZE);
    _Atomic(ri_overlay *) *list = &((ri_set_node *)(uintptr_t)leaf)->overlays; /* only its atomic parts change */
    ri_overlay *head = atomic_load_explicit(list, memory_order_acquire);
    do { /* two threads may put in the same one: the second is never found, and does no harm */
        overlay->next = head;
    } while (!atomic_compare_exchange_weak_explicit(list, &head, overlay, memory_order_acq_rel, memory_order_acquire));
    return overlay;
}

static uint32_t merge(const ri_overlay *overlay, const ri_set_node *leaf, const ri_node *base, ri_order order,
                      ri_datom *rows, ri_datom *out)
{
    const ri_item *items = ri_set_items(leaf);
    uint32_t row_count = overlay->row_end - overlay->row;
    uint32_t row = 0;
    uint32_t count = 0;
    ri_node_datoms(base, overlay->row, overlay->row_end, rows);
    for (uint32_t slot = overlay->slot; slot < overlay->slot_end; slot++) {
        const ri_datom *d = ri_item_datom(items[slot]);
        int c = 1;
        while (row < row_count && (c = ri_datom_cmp(order, &rows[row], d)) < 0) {
            out[count++] = rows[row++];
        }
        row += row < row_count && c == 0;
        if (ri_item_shown(items[slot])) {
            out[count++] = *d;
        }
    }
    while (row < row_count) {
        out[count++] = rows[row++];
    }
    return count;
}

static ri_node *make(const ri_overlay *overlay, const ri_set_node *leaf, const ri_node *base, ri_order order)
{
    uint32_t row_count = overlay->row_end - overlay->row;
    uint32_t item_count = overlay->slot_end - overlay->slot;
    ri_datom *rows = ri_alloc_array(2 * (size_t)row_count + item_count, sizeof *rows);
    if (rows == NULL) {
        return NULL;
    }
    ri_datom *out = rows + row_count;
    uint32_t count = merge(overlay, leaf, base, order, rows, out);
    ri_node *node = count == 0 ? NULL : ri_set_pack(order, out, count);
    ri_free(rows);
    return node;
}

const ri_node *ri_overlay_node(ri_overlay *overlay, const ri_set_node *leaf, const ri_node *base, ri_order order,
                               bool always)
{
    ri_node *node = atomic_load_explicit(&overlay->node, memory_order_acquire);
    if (node != NULL) {
        return node;
    }
    uint32_t size = overlay->row_end - overlay->row + overlay->slot_end - overlay->slot;
    uint32_t pieces = atomic_fetch_add_explicit(&overlay->pieces, 1, memory_order_relaxed) + 1;
    if (!always && pieces < size / PIECES_WORTH) {
        return NULL;
    }
    ri_node *made = make(overlay, leaf, base, order);
    if (made == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong_explicit(&overlay->node, &node, made, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        ri_node_release(made); /* another thread was first */
        return node;
    }
    return made;
}
