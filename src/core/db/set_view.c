/* SPDX-License-Identifier: MIT
 *
 * Views: leaves of a set as packed nodes. Two threads may make the same one; the first to publish it wins.
 */
#include "set.h"

#include <string.h>

uint32_t ri_set_row(const ri_set_node *leaf, uint32_t slot)
{
    if (leaf->shown == leaf->count) {
        return slot;
    }
    const ri_item *items = ri_set_items(leaf);
    uint32_t row = 0;
    for (uint32_t i = 0; i < slot; i++) {
        row += ri_item_shown(items[i]);
    }
    return row;
}

ri_node *ri_set_pack(ri_order order, const ri_datom *rows, uint32_t count)
{
    ri_encoder *encoder = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_object *object = NULL;
    if (encoder != NULL && ri_node_encode(encoder, order, 0, rows, count, NULL, NULL, &buf, NULL) == 0) {
        uint8_t *bytes = ri_alloc_zero(buf.len + RI_NODE_PADDING);
        if (bytes != NULL) {
            memcpy(bytes, buf.p, buf.len);
            ri_decode_input input = { bytes, buf.len, NULL, 0, NULL, false };
            (void)ri_node_decode(&input, &object, NULL);
        }
    }
    ri_buf_deinit(&buf);
    ri_encoder_free(encoder);
    return (ri_node *)(void *)object;
}

static ri_node *make(const ri_set_node *leaf, ri_order order)
{
    ri_datom *rows = ri_alloc_array(leaf->shown, sizeof *rows);
    if (rows == NULL) {
        return NULL;
    }
    const ri_item *items = ri_set_items(leaf);
    uint32_t count = 0;
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (ri_item_shown(items[i])) {
            rows[count++] = *ri_item_datom(items[i]);
        }
    }
    ri_node *node = ri_set_pack(order, rows, count);
    ri_free(rows);
    return node;
}

const ri_node *ri_set_view(const ri_set_node *leaf, ri_order order, uint32_t items)
{
    ri_set_node *shared = (ri_set_node *)(uintptr_t)leaf; /* only its atomic parts change */
    ri_node *view = atomic_load_explicit(&shared->view, memory_order_acquire);
    if (view != NULL) {
        return view;
    }
    uint32_t offered = atomic_fetch_add_explicit(&shared->offered, items, memory_order_relaxed) + items;
    if (offered < leaf->count || leaf->shown == 0) {
        return NULL;
    }
    ri_node *made = make(leaf, order);
    if (made == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong_explicit(&shared->view, &view, made, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        ri_node_release(made);
        return view;
    }
    return made;
}
