/* SPDX-License-Identifier: MIT
 *
 * Cursors: a pinned path from the root to a leaf.
 *
 * A move makes the new path aside, sharing with the present one all nodes from the top down to where they part, and
 * puts it in place when it is complete: so RILLE_NEED and failures leave the cursor as it was. Nodes shared are neither
 * asked for again nor counted again.
 *
 *   path[2] (root)  [ . . S . . ]        S = slot[2]; path[1] is its child
 *   path[1]         [ . S . . . . ]      a move to the next leaf keeps path[2], path[1] and takes slot[1] + 1
 *   path[0] (leaf)  [ d d d R d d ]      R = slot[0], the row
 *
 * Invariants: (U0) rows of leaves follow each other in the order, whatever the bytes say: each node is in order (N6), and
 * lies between the separators of its branch, and the last of a branch before the next branch.
 * (U1) path[i - 1] is the child in slot[i] of path[i], for all i < height, once path[height - 1] is there.
 *
 * Cost: a seek is one search a level, a cache probe for each node that is not in the present path; next in a leaf O(1).
 */
#include "chunk.h"

void ri_cursor_init(ri_cursor *cursor, ri_store *store, const ri_tree *tree)
{
    *cursor = (ri_cursor){ .store = store, .tree = *tree };
}

void ri_cursor_deinit(ri_cursor *cursor)
{
    for (unsigned i = 0; i < cursor->tree.height && i < RI_TREE_HEIGHT_MAX + 1; i++) {
        ri_node_release(cursor->path[i]);
        cursor->path[i] = NULL;
    }
    cursor->valid = false;
}

/* ---- moves ---- */

/* A path in the making. Nodes at levels >= shared are the cursor's own, those below are references of the move. */
typedef struct move {
    ri_cursor *cursor;
    ri_io *io;
    rille_err *err;
    ri_node *path[RI_TREE_HEIGHT_MAX + 1];
    uint32_t slot[RI_TREE_HEIGHT_MAX + 1];
    unsigned height;
    unsigned shared;
    uint32_t equal_end;
} move;

/* Begins at the cursor's present path, which must be there. */
static void begin_here(move *m, ri_cursor *cursor, ri_io *io, rille_err *err)
{
    m->cursor = cursor;
    m->io = io;
    m->err = err;
    m->height = cursor->tree.height;
    m->shared = 0;
    for (unsigned i = 0; i < m->height; i++) {
        m->path[i] = cursor->path[i];
        m->slot[i] = cursor->slot[i];
    }
}

/* Begins at the root. RILLE_DONE: the tree is empty. */
static int begin_at_root(move *m, ri_cursor *cursor, ri_io *io, rille_err *err)
{
    unsigned height = cursor->tree.height;
    m->cursor = cursor;
    m->io = io;
    m->err = err;
    m->height = 0; /* nothing to release yet */
    m->shared = 0;
    if (cursor->tree.count == 0) {
        return RILLE_DONE;
    }
    RI_TRY(ri_tree_check_height(&cursor->tree, err));
    ri_node *root = cursor->path[height - 1];
    m->shared = height - 1;
    if (root == NULL) {
        RI_TRY(ri_tree_root(cursor->store, &cursor->tree, io, &root, err));
        m->shared = height;
    }
    m->height = height;
    for (unsigned i = 0; i + 1 < height; i++) {
        m->path[i] = NULL;
    }
    m->path[height - 1] = root;
    return RILLE_OK;
}

/* Puts the new path in place, or drops it. */
static int end_move(move *m, int rc)
{
    ri_cursor *cursor = m->cursor;
    if (rc != RILLE_OK) {
        for (unsigned i = 0; i < m->shared && i < m->height; i++) {
            ri_node_release(m->path[i]);
        }
        cursor->valid = cursor->valid && rc != RILLE_DONE;
        return rc;
    }
    for (unsigned i = 0; i < m->shared; i++) {
        ri_node_release(cursor->path[i]);
        cursor->path[i] = m->path[i];
    }
    for (unsigned i = 0; i < m->height; i++) {
        cursor->slot[i] = m->slot[i];
    }
    cursor->valid = true;
    cursor->moved = true;
    return RILLE_OK;
}

/* Forgets the path below a level. */
static void drop_below(move *m, unsigned level)
{
    for (unsigned i = 0; i < level; i++) {
        if (i < m->shared) {
            ri_node_release(m->path[i]);
        }
        m->path[i] = NULL;
    }
    m->shared = m->shared < level ? level : m->shared;
}

/* path[level - 1] = the child in `slot` of path[level]; nothing is there yet. */
static int take_child(move *m, unsigned level, uint32_t slot)
{
    ri_cursor *cursor = m->cursor;
    m->slot[level] = slot;
    if (m->shared == level && cursor->slot[level] == slot && cursor->path[level - 1] != NULL) {
        m->path[level - 1] = cursor->path[level - 1];
        m->shared = level - 1;
        return RILLE_OK;
    }
    RI_TRY(ri_tree_child(cursor->store, m->path[level], slot, m->io, &m->path[level - 1], m->err));
    return ri_tree_check_last(m->path, m->slot, m->height, level, m->path[level - 1], m->err);
}

/* To the leaf in which the first datom after the cut would be; slot[0] may be its count. */
static int descend(move *m, unsigned level, const ri_bound *bound)
{
    for (; level > 0; level--) {
        RI_TRY(take_child(m, level, ri_node_child(m->path[level], bound)));
    }
    uint32_t first;
    ri_node_equal(m->path[0], bound, &first, &m->equal_end);
    m->slot[0] = bound->after ? m->equal_end : first;
    return RILLE_OK;
}

static int next_leaf(move *m)
{
    unsigned level = 1;
    while (level < m->height && m->slot[level] + 1 >= m->path[level]->count) {
        level++;
    }
    if (level >= m->height) {
        return RILLE_DONE;
    }
    drop_below(m, level);
    RI_TRY(take_child(m, level, m->slot[level] + 1));
    while (--level > 0) {
        RI_TRY(take_child(m, level, 0));
    }
    m->slot[0] = 0;
    return RILLE_OK;
}

static int prev_leaf(move *m)
{
    unsigned level = 1;
    while (level < m->height && m->slot[level] == 0) {
        level++;
    }
    if (level >= m->height) {
        return RILLE_DONE;
    }
    drop_below(m, level);
    RI_TRY(take_child(m, level, m->slot[level] - 1));
    while (--level > 0) {
        RI_TRY(take_child(m, level, m->path[level]->count - 1));
    }
    m->slot[0] = m->path[0]->count - 1;
    return RILLE_OK;
}

/* A node was not at hand: RILLE_NEED, and what follows is asked for, too. */
static int ask_window(const move *m, const ri_bound *until, bool forward)
{
    int rc = ri_window_ask(m->cursor, m->path, m->slot, until, forward, m->io);
    return rc < 0 ? ri_fail_nomem(m->err) : rc;
}

/* ---- seeking ---- */

int ri_cursor_seek_until(ri_cursor *cursor, const ri_bound *bound, const ri_bound *until, ri_io *io, rille_err *err)
{
    move m;
    int rc = begin_at_root(&m, cursor, io, err);
    if (rc == RILLE_OK) {
        rc = descend(&m, m.height - 1, bound);
    }
    if (rc == RILLE_OK && m.slot[0] == m.path[0]->count) {
        rc = next_leaf(&m);
        if (rc == RILLE_OK) {
            ri_node_equal(m.path[0], bound, &m.slot[0], &m.equal_end);
            m.slot[0] = 0;
        }
    }
    if (rc == RILLE_NEED && cursor->ahead != RI_AHEAD_MOVES && m.height > 0) {
        rc = ask_window(&m, until, true);
    }
    rc = end_move(&m, rc);
    cursor->equal_end = rc == RILLE_OK ? m.equal_end : 0;
    return rc;
}

int ri_cursor_seek(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err)
{
    return ri_cursor_seek_until(cursor, bound, NULL, io, err);
}

int ri_cursor_seek_forward(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err)
{
    if (!cursor->valid) {
        return ri_cursor_seek(cursor, bound, io, err);
    }
    uint32_t row = ri_node_gallop(cursor->path[0], cursor->slot[0], bound);
    if (row < cursor->path[0]->count) {
        cursor->slot[0] = row;
        return RILLE_OK;
    }
    move m;
    begin_here(&m, cursor, io, err);
    unsigned level = 0;
    uint32_t slot = 0;
    while (++level < m.height) { /* up to where a later separator lies after the cut */
        const ri_node *node = m.path[level];
        slot = ri_node_gallop(node, m.slot[level] + 1, bound) - 1;
        if (slot + 1 < node->count) {
            break;
        }
    }
    int rc = RILLE_OK;
    if (m.height > 1) {
        level = level < m.height ? level : m.height - 1;
        drop_below(&m, level);
        rc = take_child(&m, level, slot);
    }
    if (rc == RILLE_OK) {
        rc = descend(&m, m.height > 1 ? level - 1 : 0, bound);
    }
    if (rc == RILLE_OK && m.slot[0] == m.path[0]->count) {
        rc = next_leaf(&m);
    }
    return end_move(&m, rc);
}

int ri_cursor_seek_back(ri_cursor *cursor, const ri_bound *bound, ri_io *io, rille_err *err)
{
    move m;
    int rc = begin_at_root(&m, cursor, io, err);
    if (rc == RILLE_OK) {
        rc = descend(&m, m.height - 1, bound);
    }
    if (rc == RILLE_OK && m.slot[0] == 0) {
        rc = prev_leaf(&m);
    } else if (rc == RILLE_OK) {
        m.slot[0]--;
    }
    return end_move(&m, rc);
}

/* ---- stepping ---- */

int ri_cursor_next_leaf(ri_cursor *cursor, const ri_bound *until, ri_io *io, rille_err *err)
{
    if (!cursor->valid) {
        return RILLE_DONE;
    }
    move m;
    begin_here(&m, cursor, io, err);
    int rc = next_leaf(&m);
    if (rc == RILLE_NEED) {
        rc = ask_window(&m, until, true);
    }
    return end_move(&m, rc);
}

int ri_cursor_prev_leaf(ri_cursor *cursor, const ri_bound *until, ri_io *io, rille_err *err)
{
    if (!cursor->valid) {
        return RILLE_DONE;
    }
    move m;
    begin_here(&m, cursor, io, err);
    int rc = prev_leaf(&m);
    if (rc == RILLE_NEED) {
        rc = ask_window(&m, until, false);
    }
    return end_move(&m, rc);
}

int ri_cursor_next(ri_cursor *cursor, ri_io *io, rille_err *err)
{
    if (cursor->valid && cursor->slot[0] + 1 < cursor->path[0]->count) {
        cursor->slot[0]++;
        return RILLE_OK;
    }
    return ri_cursor_next_leaf(cursor, NULL, io, err);
}

int ri_cursor_prev(ri_cursor *cursor, ri_io *io, rille_err *err)
{
    if (cursor->valid && cursor->slot[0] > 0) {
        cursor->slot[0]--;
        return RILLE_OK;
    }
    return ri_cursor_prev_leaf(cursor, NULL, io, err);
}
