/* SPDX-License-Identifier: MIT
 *
 * What a merge will read, asked for at once: on a store that answers later, a merge would else stop at one node after
 * the other, and begin anew each time. The branches above changes are asked for level by level, then all leaves with
 * changes, then the neighbours of those whose edges changed. What is left (a leaf that splits just so) is rare.
 *
 * Cost: on a store that answers at once, nothing.
 */
#include "chunk.h"

typedef struct ask {
    ri_store *store;
    ri_order order;
    ri_io *io;
    rille_err *err;
    bool need;
} ask;

/* The result of getting a node. */
static int wants(ask *a, int rc)
{
    if (rc == RILLE_NEED) {
        a->need = true;
        return RILLE_OK; /* go on: all of a level are asked for together */
    }
    return rc;
}

static int prefetch(ask *a, const ri_node *parent, uint32_t slot)
{
    int rc = ri_store_prefetch(a->store, &parent->children[slot], ri_node_decode, a->io);
    a->need = a->need || a->io->want_count > 0;
    return rc < 0 ? rc : RILLE_OK;
}

/* Rows at the edges of a leaf that changes touch, and whether it shrinks, decide if its neighbours will be read. */
static int ask_neighbours(ask *a, const ri_node *parent, uint32_t slot, const ri_node *leaf, const ri_change *changes,
                          size_t count)
{
    int64_t grown = 0;
    bool first = false;
    bool last = false;
    for (size_t i = 0; i < count; i++) {
        ri_bound bound = { .d = *ri_change_datom(changes[i]), .parts = (uint8_t)ri_order_parts(a->order) };
        uint32_t row = ri_node_search(leaf, 0, &bound);
        bound.after = true;
        bool found = ri_node_search(leaf, row, &bound) > row;
        grown += ri_change_puts(changes[i]) && !found ? 1 : !ri_change_puts(changes[i]) && found ? -1 : 0;
        first = first || row == 0;
        last = last || row >= leaf->count - (found ? 1U : 0U);
    }
    if (first && slot > 0) {
        RI_TRY(prefetch(a, parent, slot - 1));
    }
    return (grown < 0 || last) && slot + 1 < parent->count ? prefetch(a, parent, slot + 1) : RILLE_OK;
}

static int ask_children(ask *a, const ri_node *node, const ri_change *changes, size_t count)
{
    for (size_t i = 0; i < count;) {
        ri_bound bound = { .d = *ri_change_datom(changes[i]),
                           .parts = (uint8_t)ri_order_parts(a->order),
                           .after = true };
        uint32_t slot = ri_node_child(node, &bound);
        size_t n = 1;
        if (slot + 1 == node->count) {
            n = count - i;
        } else {
            ri_datom next;
            ri_node_datom(node, slot + 1, &next);
            while (i + n < count && ri_datom_cmp(a->order, ri_change_datom(changes[i + n]), &next) < 0) {
                n++;
            }
        }
        ri_node *child;
        RI_TRY(wants(a, ri_tree_child(a->store, node, slot, a->io, &child, a->err)));
        if (child != NULL) {
            int rc = child->level > 0 ? ask_children(a, child, changes + i, n)
                                      : ask_neighbours(a, node, slot, child, changes + i, n);
            ri_node_release(child);
            RI_TRY(rc);
        }
        i += n;
    }
    return RILLE_OK;
}

int ri_merge_ask_ahead(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, ri_io *io,
                       rille_err *err)
{
    if (tree->count == 0 || (ri_store_capabilities(store) & RILLE_BACKEND_DEFERRED) == 0) {
        return RILLE_OK;
    }
    ask a = { store, (ri_order)tree->order, io, err, false };
    ri_node *root;
    RI_TRY(wants(&a, ri_tree_root(store, tree, io, &root, err)));
    int rc = RILLE_OK;
    if (root != NULL && root->level > 0) {
        rc = ask_children(&a, root, changes, count);
    }
    ri_node_release(root);
    return rc == RILLE_OK && a.need ? RILLE_NEED : rc;
}
