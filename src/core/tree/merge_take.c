/* SPDX-License-Identifier: MIT
 *
 * Taking over old nodes in a merge, and opening them again. merge.c has the idea and the states.
 */
#include "merge_own.h"

int ri_merge_node(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *separator,
                  const ri_datom *next, ri_node **out)
{
    RI_TRY(ri_tree_node(m->store, m->order, ref, level, datoms, m->io, out, m->err));
    int rc = ri_tree_check_place(*out, separator, next, m->err);
    if (rc != RILLE_OK) {
        ri_node_release(*out);
        *out = NULL;
    }
    return rc;
}

int ri_merge_check_follows(const ri_merge *m, const ri_datom *d)
{
    const ri_chunker *chunker = &m->chunker;
    if (chunker->n == 0 || ri_datom_cmp(m->order, &chunker->rows[chunker->n - 1], d) < 0) {
        return RILLE_OK;
    }
    return ri_fail(m->err, RILLE_CORRUPT, "leaves of the tree %s are out of order: restore the database from a backup",
                   ri_order_name(m->order));
}

/* ---- leaves whose bytes are borrowed ---- */

int ri_merge_hold(ri_merge *m, ri_node *node)
{
    if (m->held_count > 0 && m->held[m->held_count - 1] == node) {
        return RILLE_OK;
    }
    if (!RI_GROW(&m->held, &m->held_cap, m->held_count + 1)) {
        return ri_fail_nomem(m->err);
    }
    ri_object_take(&node->object);
    m->held[m->held_count++] = node;
    return RILLE_OK;
}

void ri_merge_drop_held(ri_merge *m)
{
    while (m->held_count > 0) {
        ri_node_release(m->held[--m->held_count]);
    }
}

/* ---- pending nodes ---- */

static int set_pending(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t count, const ri_datom *separator)
{
    ri_arena old = m->pending.bytes; /* the separator may lie in it */
    ri_arena fresh = { 0 };
    m->pending.separator = *separator;
    bool copied = ri_value_copy(&fresh, &separator->v, &m->pending.separator.v);
    ri_arena_deinit(&old);
    m->pending.bytes = fresh;
    m->pending.ref = *ref;
    m->pending.level = level;
    m->pending.count = count;
    m->state = PENDING;
    return copied ? RILLE_OK : ri_fail_nomem(m->err);
}

int ri_merge_accept(ri_merge *m, const ri_datom *next_separator)
{
    RI_TRY(ri_chunker_put(&m->chunker, m->pending.level + 1, &m->pending.separator, &m->pending.ref, m->pending.count,
                          true, m->err));
    RI_TRY(ri_chunker_begin(&m->chunker, next_separator, m->err));
    m->state = STARTED;
    m->separator_is_old = true;
    return RILLE_OK;
}

/* Children of a pending branch but the last become items; *last, *datoms and *separator are the last. */
static int open_branch(ri_merge *m, unsigned level, ri_noderef *last, uint64_t *datoms, ri_datom *separator)
{
    ri_node *node;
    RI_TRY(ri_merge_node(m, last, level, *datoms, separator, NULL, &node));
    ri_level *items = &m->chunker.levels[level];
    uint32_t n = node->count - 1;
    int rc = RILLE_OK;
    for (uint32_t i = 0; i < n && rc == RILLE_OK; i++) {
        ri_datom s;
        ri_node_datom(node, i, &s);
        rc = ri_chunker_put(&m->chunker, level, i == 0 ? separator : &s, &node->children[i],
                            node->counts[i + 1] - node->counts[i], true, m->err);
    }
    if (rc == RILLE_OK) {
        items->origin = (ri_origin){ .ref = *last, .count = node->count };
        memcpy(items->origin.last, node->children[n].addr, RI_HASH_SIZE);
        *last = node->children[n];
        *datoms = node->counts[n + 1] - node->counts[n];
        if (n > 0) {
            ri_datom s;
            ri_node_datom(node, n, &s);
            *separator = s;
            rc = ri_value_copy(&m->pending.bytes, &s.v, &separator->v) ? RILLE_OK : ri_fail_nomem(m->err);
        }
    }
    ri_node_release(node);
    return rc;
}

int ri_merge_open(ri_merge *m)
{
    ri_noderef ref = m->pending.ref;
    uint64_t datoms = m->pending.count;
    ri_datom separator = m->pending.separator;
    for (unsigned level = m->pending.level; level > 0; level--) {
        RI_TRY(open_branch(m, level, &ref, &datoms, &separator));
    }
    ri_node *leaf;
    RI_TRY(ri_merge_node(m, &ref, 0, datoms, &separator, NULL, &leaf));
    int rc = leaf->count <= m->chunker.limits.leaf_max
                 ? ri_merge_hold(m, leaf)
                 : ri_fail(m->err, RILLE_CORRUPT, "a leaf has %u rows, but the maximum is %u", (unsigned)leaf->count,
                           (unsigned)m->chunker.limits.leaf_max);
    if (rc == RILLE_OK) {
        rc = ri_chunker_begin(&m->chunker, &separator, m->err); /* closes nothing: all above is as it was (K1) */
    }
    if (rc == RILLE_OK) {
        ri_node_datoms(leaf, 0, leaf->count, m->chunker.rows);
        for (uint32_t i = 0; i < leaf->count; i++) {
            m->chunker.key_bytes += ri_row_key_bytes(&m->chunker.rows[i]);
        }
        m->chunker.n = leaf->count;
        m->chunker.origin = (ri_origin){ .ref = ref, .count = leaf->count };
        m->state = OPEN;
        m->edge_is_old = false;
    }
    ri_node_release(leaf);
    return rc;
}

/* ---- taking over ---- */

/* The open leaf closes before the first datom of an old node, or not: *closed. That datom's leaf is read. */
static int close_before(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t datoms,
                        const ri_datom *old_separator, bool *closed)
{
    ri_noderef at = *ref;
    ri_node *node;
    for (; level > 0; level--) {
        RI_TRY(ri_merge_node(m, &at, level, datoms, old_separator, NULL, &node));
        at = node->children[0];
        datoms = node->counts[1];
        ri_node_release(node);
    }
    RI_TRY(ri_merge_node(m, &at, 0, datoms, old_separator, NULL, &node));
    ri_chunker *chunker = &m->chunker;
    ri_datom first;
    ri_node_datom(node, 0, &first);
    int rc = ri_merge_check_follows(m, &first);
    *closed = rc == RILLE_OK && ri_leaf_closes(&chunker->limits, m->order, chunker->n, chunker->key_bytes, &first);
    if (*closed) {
        ri_datom separator = ri_separator(m->order, &chunker->rows[chunker->n - 1], &first);
        m->separator_is_old = ri_separator_same(&separator, old_separator);
        m->state = STARTED;
        m->wrote = true;
        rc = ri_chunker_close_leaf(chunker, &separator, m->err);
        ri_merge_drop_held(m);
    }
    ri_node_release(node);
    return rc;
}

int ri_merge_take(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t count, const ri_datom *separator,
                  bool *taken)
{
    *taken = false;
    if (m->state == PENDING) {
        RI_TRY(ri_merge_accept(m, separator));
    } else if (m->state == OPEN && m->edge_is_old) {
        RI_TRY(ri_chunker_close_leaf(&m->chunker, separator, m->err));
        ri_merge_drop_held(m);
        m->state = STARTED;
        m->separator_is_old = m->wrote = true;
    } else if (m->state == OPEN) {
        bool closed;
        RI_TRY(close_before(m, ref, level, count, separator, &closed));
        if (!closed) {
            return RILLE_OK;
        }
    }
    if (level > 0 && !m->separator_is_old) {
        return RILLE_OK; /* the branch begins with its separator: it will be another one */
    }
    for (unsigned i = 1; i <= level; i++) {
        if (m->chunker.levels[i].n > 0) {
            return RILLE_OK; /* no branch begins here on that level */
        }
    }
    *taken = true;
    return set_pending(m, ref, level, count, &m->chunker.separator);
}
