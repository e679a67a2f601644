/* SPDX-License-Identifier: MIT
 *
 * What will be read soon, asked for now: on a store that answers later, a round trip costs as much as some hundred leaves.
 *
 *   path[2]                 [ . S S S . ]
 *   path[1]   [ . . M L L ]  [ L L ... ]  [ L L ... ]       M = the leaf that is missing, L = the rest of its window
 *
 * A cursor that goes on to a leaf that is not at hand asks for a window of leaves, in this branch and in the next ones;
 * of branches that are not at hand, for the branches. The window grows fourfold each time the cursor has used it up, so
 * that one that stops early has read a few times what it used, at most; and to the most at once where all will be read.
 *
 * Nothing here is a read: nodes that are asked for ahead and cannot be read are no failure.
 *
 * Cost: on a store that answers at once, nothing. Otherwise a look into the cache for each leaf of a window.
 */
#include "chunk.h"

#define WINDOW_FIRST 16U
#define WINDOW_GROWTH 4U
#define WINDOW_MIN 64U /* whatever the cache and the leaves are like */
#define LEAF_BYTES_ASSUMED 8192U
#define BRANCH_LEAVES 256U /* about as many are below a branch */
#define BRANCHES_AHEAD_MAX 8U

uint32_t ri_window_max(const ri_store *store, const ri_node *leaf)
{
    size_t cache_bytes = ri_store_cache_bytes_max(store) / 2;
    size_t bytes = cache_bytes < RI_IO_PIN_BYTES / 2 ? cache_bytes : RI_IO_PIN_BYTES / 2;
    size_t count = bytes / (leaf != NULL ? leaf->object.mem_bytes : LEAF_BYTES_ASSUMED);
    count = count > WINDOW_MIN ? count : WINDOW_MIN;
    return count < RI_IO_WANTS_MAX ? (uint32_t)count : RI_IO_WANTS_MAX;
}

/* Leaves to be asked for, the missing one included. Asked again before the cursor has moved: as many as before. */
static uint32_t next_window(ri_cursor *cursor)
{
    uint32_t max = ri_window_max(cursor->store, cursor->path[0]);
    if (cursor->ahead == RI_AHEAD_ALL) {
        return max;
    }
    if (cursor->window == 0) {
        cursor->window = WINDOW_FIRST;
    } else if (cursor->moved) {
        cursor->window = cursor->window < max / WINDOW_GROWTH ? cursor->window * WINDOW_GROWTH : max;
    }
    cursor->moved = false;
    return cursor->window;
}

typedef struct window {
    ri_store *store;
    const ri_bound *until;
    ri_io *io;
    bool forward;
    uint32_t left; /* leaves */
} window;

/* Is all that is below the child beyond `until`? Before (after) it is a separator, but for the first one (last one). */
static bool is_beyond(const window *w, const ri_node *parent, uint32_t slot)
{
    uint32_t edge = w->forward ? slot : slot + 1;
    if (w->until == NULL || edge >= parent->count || (w->forward && slot == 0)) {
        return false;
    }
    ri_datom separator;
    ri_node_datom(parent, edge, &separator);
    int side = ri_datom_cmp_bound((ri_order)parent->order, &separator, w->until);
    return w->forward ? side > 0 : side < 0;
}

static void use_up(window *w, uint32_t leaves)
{
    w->left -= leaves < w->left ? leaves : w->left;
}

/* Children from `slot` on in the window's direction, and what is below them. RILLE_DONE: the window ends. */
static int ask_from(window *w, const ri_node *parent, uint32_t slot)
{
    for (; slot < parent->count; slot += w->forward ? 1U : UINT32_MAX) { /* -1 + 1 wraps around */
        ri_node *child = NULL;
        if (w->left == 0 || is_beyond(w, parent, slot)) {
            return RILLE_DONE;
        }
        RI_TRY(ri_tree_child_ahead(w->store, parent, slot, w->io, &child));
        int rc = RILLE_OK;
        if (child == NULL || child->level == 0) {
            use_up(w, parent->level > 1 ? BRANCH_LEAVES : 1);
        } else {
            rc = ask_from(w, child, w->forward ? 0 : child->count - 1);
        }
        ri_node_release(child);
        RI_TRY(rc);
    }
    return RILLE_OK;
}

int ri_window_ask(ri_cursor *cursor, ri_node *const *path, const uint32_t *slot, const ri_bound *until, bool forward,
                  ri_io *io)
{
    unsigned level = 1;
    while (level < cursor->tree.height && path[level] == NULL) {
        level++;
    }
    window w = { cursor->store, until, io, forward, next_window(cursor) };
    use_up(&w, level > 1 ? BRANCH_LEAVES : 1); /* what is missing */
    int rc = RILLE_OK;
    for (; level < cursor->tree.height && rc == RILLE_OK; level++) {
        rc = ask_from(&w, path[level], forward ? slot[level] + 1 : slot[level] - 1);
    }
    return rc < 0 ? rc : RILLE_NEED;
}

/* ---- on the way to a cut ---- */

/* The root, if it is at hand. */
static int root_ahead(ri_store *store, const ri_tree *tree, ri_io *io, ri_node **out)
{
    ri_object *object = NULL;
    *out = NULL;
    RI_TRY(tree->count > 0 ? ri_store_ahead(store, &tree->root, ri_node_decode, io, &object) : RILLE_OK);
    ri_node *node = (ri_node *)(void *)object;
    if (node != NULL && (node->order != tree->order || node->level + 1U != tree->height)) {
        ri_node_release(node);
        node = NULL;
    }
    *out = node;
    return RILLE_OK;
}

int ri_tree_ask(ri_store *store, const ri_tree *tree, const ri_bound *bound, ri_io *io, ri_noderef *leaf)
{
    ri_node *node;
    *leaf = (ri_noderef){ 0 };
    int rc = root_ahead(store, tree, io, &node);
    while (node != NULL && node->level > 0) {
        ri_node *child;
        uint32_t slot = ri_node_child(node, bound);
        if (node->level == 1) {
            *leaf = node->children[slot];
        }
        rc = ri_tree_child_ahead(store, node, slot, io, &child);
        ri_node_release(node);
        node = child;
    }
    ri_node_release(node);
    return rc;
}

static int ask_branches(ri_store *store, const ri_node *node, const ri_bound *from, const ri_bound *to, ri_io *io)
{
    if (node->level < 2) {
        return RILLE_OK;
    }
    uint32_t first = ri_node_child(node, from);
    uint32_t last = ri_node_child(node, to);
    for (uint32_t slot = first; slot <= last && last - first < BRANCHES_AHEAD_MAX; slot++) {
        ri_node *child;
        RI_TRY(ri_tree_child_ahead(store, node, slot, io, &child));
        int rc = child != NULL ? ask_branches(store, child, from, to, io) : RILLE_OK;
        ri_node_release(child);
        RI_TRY(rc);
    }
    return RILLE_OK;
}

int ri_tree_ask_branches(ri_store *store, const ri_tree *tree, const ri_bound *from, const ri_bound *to, ri_io *io)
{
    ri_node *root;
    RI_TRY(root_ahead(store, tree, io, &root));
    int rc = root != NULL ? ask_branches(store, root, from, to, io) : RILLE_OK;
    ri_node_release(root);
    return rc;
}
