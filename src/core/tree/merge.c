/* SPDX-License-Identifier: MIT
 *
 * Applying sorted changes to a tree. The result is, bit for bit, the tree that a builder makes of the changed datoms
 * (DESIGN I5): the old tree is walked in order, leaves with changes are fed to the chunker row by row, and whole old
 * nodes are taken over where the chunker would make them again.
 *
 * A node made from the same first row to the same last row is the same node, if the chunker begins a chunk where it
 * began, and closes where it ended. What follows the node decides the latter. So the walk is in one of three states:
 *
 *   STARTED   a chunk begins here; its separator is known. The next old node without changes can be taken over, on the
 *             highest level on which a chunk begins here.
 *   PENDING   an old node was taken over, and nothing came after it. When the next datom is the old one, its end and
 *             the next separator are what they were. When it is not, the node is OPENED: it becomes open chunks again,
 *             along its right edge.
 *   OPEN      there are rows in the open leaf. Before an old node without changes, the first datom of that node
 *             decides if the leaf closes - which needs that datom's leaf, but for the common case that the open leaf
 *             is an old one with rows added or replaced before its last row: more rows close a chunk sooner, never
 *             later.
 *
 * Cost: changed leaves and the branches above them; a leaf more where rows at its edges changed. Opened nodes that turn
 * out to be as they were are not written again (ri_origin).
 */
#include "merge_own.h"

/* ---- feeding ---- */

/* A row that is the first to be fed of its leaf. unmoved: it is the old leaf's first. *begins: a chunk begins with it.
 */
static int feed_first(ri_merge *m, const ri_datom *d, bool unmoved, const ri_datom *separator, bool *begins)
{
    if (m->state == PENDING && unmoved) {
        RI_TRY(ri_merge_accept(m, separator));
    } else if (m->state == PENDING) {
        RI_TRY(ri_merge_open(m));
    }
    bool closed = true;
    RI_TRY(ri_merge_check_follows(m, d));
    if (m->state == STARTED) {
        ri_chunker_push(&m->chunker, d);
    } else {
        RI_TRY(ri_chunker_add(&m->chunker, d, &closed, m->err));
    }
    if (closed) {
        ri_merge_drop_held(m);
    }
    *begins = closed;
    m->state = OPEN;
    return RILLE_OK;
}

/* old_row: d is as the old leaf's row of that number (but for its t); else UINT32_MAX. */
static int feed_row(ri_merge *m, feed *f, const ri_datom *d, uint32_t old_row)
{
    if (f->fed++ == 0) {
        RI_TRY(feed_first(m, d, old_row == 0, &f->separator, &f->begins));
        m->wrote = m->wrote || f->begins;
    } else {
        bool closed;
        RI_TRY(ri_chunker_add(&m->chunker, d, &closed, m->err));
        if (closed) {
            ri_merge_drop_held(m);
            f->begins = false;
            m->wrote = true;
        }
    }
    f->last_old = old_row == f->leaf->count - 1;
    return ri_merge_hold(m, f->leaf);
}

/* Old rows up to `to`. Where the open leaf has no more in it than the old one had before the same row, it does not
 * close there, as the old one did not: no hash is asked for. */
static int feed_old(ri_merge *m, feed *f, uint32_t to)
{
    ri_chunker *chunker = &m->chunker;
    while (f->row < to && !m->wrote) {
        uint32_t row = f->row;
        const ri_datom *d = &m->rows[row];
        if (f->fed > 0 && f->begins && chunker->n <= row && row < chunker->limits.leaf_max &&
            chunker->key_bytes <= f->old_bytes) {
            ri_chunker_push(chunker, d);
            f->last_old = row == f->leaf->count - 1;
        } else {
            RI_TRY(feed_row(m, f, d, row));
        }
        f->old_bytes += ri_row_key_bytes(d);
        f->row++;
    }
    return RILLE_OK;
}

/* Does the open leaf, an old one with more rows, close where the old one did? */
static bool edge_holds(const ri_merge *m, const feed *f)
{
    uint32_t max = m->chunker.limits.leaf_bytes_max;
    return f->begins && f->last_old && m->chunker.n >= f->leaf->count &&
           (f->old_bytes <= max || m->chunker.key_bytes > max);
}

static bool same_bytes(const ri_value *a, const ri_value *b)
{
    if (a->type != b->type || ri_type_is_word(a->type)) {
        return a->type == b->type && a->as.u == b->as.u;
    }
    return a->len == b->len && (a->len == 0 || memcmp(a->as.p, b->as.p, a->len) == 0);
}

static ri_bound before(ri_order order, const ri_datom *d)
{
    return (ri_bound){ .d = *d, .parts = (uint8_t)ri_order_parts(order) };
}

/* The next change of a leaf, whose place is the next row. */
static int feed_change(ri_merge *m, feed *f)
{
    const ri_datom *d = ri_change_datom(f->changes[f->change]);
    bool put = ri_change_puts(f->changes[f->change++]);
    const ri_datom *row = &m->rows[f->row];
    uint32_t old_row = UINT32_MAX;
    if (f->row < f->leaf->count && ri_datom_cmp(m->order, row, d) == 0) {
        old_row = same_bytes(&row->v, &d->v) ? f->row : UINT32_MAX;
        f->old_bytes += ri_row_key_bytes(row);
        f->row++;
    }
    return put ? feed_row(m, f, d, old_row) : RILLE_OK;
}

/* Changes that all lie before the next row, which are many where new datoms come behind those there are. */
static int feed_between(ri_merge *m, feed *f)
{
    enum { AHEAD = 8 };
    size_t left = f->count - f->change;
    size_t end =
        f->change +
        (f->row < f->leaf->count ? ri_changes_below(m->order, f->changes + f->change, left, &m->rows[f->row]) : left);
    while (f->change < end && !m->wrote) {
        if (f->change + AHEAD < f->count) {
            ri_prefetch_datom(ri_change_datom(f->changes[f->change + AHEAD]));
        }
        const ri_change *change = &f->changes[f->change++];
        RI_TRY(ri_change_puts(*change) ? feed_row(m, f, ri_change_datom(*change), UINT32_MAX) : RILLE_OK);
    }
    return RILLE_OK;
}

/* The first row from the next one on that is not before d. It is mostly near, and rows are unpacked; else columns are
 * searched. */
static uint32_t row_of(const ri_merge *m, const feed *f, const ri_datom *d)
{
    enum { NEAR = 4 };
    uint32_t count = f->leaf->count;
    uint32_t near = count - f->row < NEAR ? count : f->row + NEAR;
    for (uint32_t row = f->row; row < near; row++) {
        if (ri_datom_cmp(m->order, &m->rows[row], d) >= 0) {
            return row;
        }
    }
    ri_bound bound = before(m->order, d);
    return near == count ? count : ri_node_gallop(f->leaf, near, &bound);
}

/* Feeds rows and changes merged, until a leaf is written. RILLE_AGAIN: there are more. */
static int feed_rows(ri_merge *m, feed *f)
{
    while (!m->wrote) {
        uint32_t stop = f->leaf->count;
        if (f->change < f->count && f->row < stop) {
            stop = row_of(m, f, ri_change_datom(f->changes[f->change]));
        }
        RI_TRY(feed_old(m, f, stop));
        if (f->row == stop && f->change == f->count) {
            return RILLE_OK;
        }
        if (f->row == stop && !m->wrote) {
            RI_TRY(feed_change(m, f));
        }
        if (f->row == stop && f->change < f->count && !m->wrote) { /* it lay before the row: so may others */
            RI_TRY(feed_between(m, f));
        }
    }
    return RILLE_AGAIN;
}

static void end_feed(ri_merge *m)
{
    ri_node_release(m->feed.leaf);
    m->feed.leaf = NULL;
}

/* RILLE_AGAIN: the leaf is not all fed. */
static int feed_leaf(ri_merge *m)
{
    feed *f = &m->feed;
    RI_TRY(feed_rows(m, f));
    bool any = f->fed > 0;
    m->edge_is_old = any && edge_holds(m, f);
    end_feed(m);
    if (any) {
        return RILLE_OK;
    }
    m->separator_is_old = false; /* all its rows are gone: what follows is new to what lies before */
    return m->state == PENDING ? ri_merge_open(m) : RILLE_OK;
}

/* ---- the walk ---- */

/* An old subtree, from its separator to the next one (NULL: to the end of the tree), and the changes that fall there. */
typedef struct subtree {
    const ri_noderef *ref;
    unsigned level;
    uint64_t datoms;
    const ri_datom *separator;
    const ri_datom *next;
    const ri_change *changes;
    size_t count;
} subtree;

size_t ri_changes_below(ri_order order, const ri_change *changes, size_t count, const ri_datom *d)
{
    size_t from = 0;
    size_t step = 1;
    while (from + step <= count && ri_datom_cmp(order, ri_change_datom(changes[from + step - 1]), d) < 0) {
        from += step;
        step *= 2;
    }
    size_t to = from + step <= count ? from + step - 1 : count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (ri_datom_cmp(order, ri_change_datom(changes[middle]), d) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Do changes of a leaf change anything? */
static bool any_effect(const ri_merge *m, const ri_node *leaf, const ri_change *changes, size_t count)
{
    uint32_t row = 0;
    for (size_t c = 0; c < count; c++) {
        const ri_datom *d = ri_change_datom(changes[c]);
        ri_bound bound = before(m->order, d);
        row = ri_node_gallop(leaf, row, &bound);
        ri_datom old = { 0 };
        bool found = false;
        if (row < leaf->count) {
            ri_node_datom(leaf, row, &old);
            found = ri_datom_cmp(m->order, &old, d) == 0;
        }
        bool same = found && old.t == d->t && same_bytes(&old.v, &d->v);
        if (ri_change_puts(changes[c]) ? !same : found) {
            return true;
        }
    }
    return false;
}

/* Begins to walk a branch; its node goes to the path. */
static void push_branch(ri_merge *m, ri_node *node, const subtree *at)
{
    RI_ASSERT(m->depth <= RI_TREE_HEIGHT_MAX);
    walked *w = &m->path[m->depth++];
    *w = (walked){ .node = node, .changes_end = m->change + at->count, .separator = *at->separator };
    w->has_next = at->next != NULL;
    if (w->has_next) {
        w->next = *at->next;
    }
}

/* Takes over a subtree, or begins to walk or feed it. */
static int enter(ri_merge *m, const subtree *at)
{
    bool taken = false;
    if (at->count == 0) {
        RI_TRY(ri_merge_take(m, at->ref, at->level, at->datoms, at->separator, &taken));
        if (taken) {
            return RILLE_OK;
        }
    }
    ri_node *node;
    RI_TRY(ri_merge_node(m, at->ref, at->level, at->datoms, at->separator, at->next, &node));
    if (at->level > 0) {
        push_branch(m, node, at);
        return RILLE_OK;
    }
    size_t count = at->count;
    int rc = RILLE_OK;
    if (count > 0 && !any_effect(m, node, at->changes, count)) {
        count = 0;
        rc = ri_merge_take(m, at->ref, 0, at->datoms, at->separator, &taken);
    }
    m->change += at->count;
    if (rc != RILLE_OK || taken) {
        ri_node_release(node);
        return rc;
    }
    m->feed = (feed){ .leaf = node, .separator = *at->separator, .changes = at->changes, .count = count };
    ri_node_datoms(node, 0, node->count, m->rows);
    return feed_leaf(m);
}

/* The next child of the branch at the end of the path, which is left after its last one. */
static int walk_child(ri_merge *m)
{
    walked *w = &m->path[m->depth - 1];
    if (w->slot == w->node->count) {
        ri_node_release(w->node);
        m->depth--;
        return RILLE_OK;
    }
    const ri_node *node = w->node;
    uint32_t i = w->slot++;
    bool last = w->slot == node->count;
    ri_datom own = w->separator;
    size_t count = w->changes_end - m->change;
    if (!last) {
        ri_node_datom(node, w->slot, &w->separator);
        count = ri_changes_below(m->order, m->changes + m->change, count, &w->separator);
    }
    subtree child = { &node->children[i],
                      node->level - 1U,
                      node->counts[i + 1] - node->counts[i],
                      &own,
                      !last         ? &w->separator
                      : w->has_next ? &w->next
                                    : NULL,
                      m->changes + m->change,
                      count };
    return enter(m, &child);
}

/* ---- the whole ---- */

/* A root that was taken over may have one child: then that is the root. */
static int settle_root(ri_merge *m, ri_tree *tree)
{
    while (tree->height > 1) {
        ri_node *node;
        RI_TRY(ri_tree_root(m->store, tree, m->io, &node, m->err));
        bool single = node->count == 1;
        if (single) {
            tree->root = node->children[0];
            tree->height--;
        }
        ri_node_release(node);
        if (!single) {
            break;
        }
    }
    return RILLE_OK;
}

/* Walks until a leaf is written. */
static int walk(ri_merge *m)
{
    int rc = m->feed.leaf != NULL ? feed_leaf(m) : RILLE_OK;
    while (rc == RILLE_OK && !m->wrote && m->depth > 0) {
        rc = walk_child(m);
    }
    if (rc == RILLE_OK && m->depth == 0 && m->feed.leaf == NULL) {
        m->stage = ENDING;
    }
    return rc == RILLE_OK ? RILLE_AGAIN : rc;
}

/* There is no old tree: the changes alone. */
static int put_all(ri_merge *m)
{
    size_t added;
    RI_TRY(ri_chunker_add_changes(&m->chunker, m->changes + m->change, m->change_count - m->change, &added, &m->wrote,
                                  m->err));
    m->change += added;
    m->stage = m->change < m->change_count ? WALKING : ENDING;
    return RILLE_AGAIN;
}

/* Those that will be put as they are are looked at then. */
static int check_order(ri_merge *m)
{
    enum { CHECKED_MAX = 8192, AHEAD = 8 };
    if (m->tree.count == 0) {
        m->stage = ASKING;
        return RILLE_AGAIN;
    }
    size_t end = m->change_count - m->change > CHECKED_MAX ? m->change + CHECKED_MAX : m->change_count;
    for (; m->change < end; m->change++) {
        if (m->change + AHEAD < m->change_count) {
            ri_prefetch_datom(ri_change_datom(m->changes[m->change + AHEAD]));
        }
        if (m->change > 0 && !ri_datom_is_above(m->order, ri_change_datom(m->changes[m->change - 1]),
                                                ri_change_datom(m->changes[m->change]))) {
            return ri_changes_out_of_order(m->order, m->err);
        }
    }
    if (end == m->change_count) {
        m->stage = ASKING;
    }
    return RILLE_AGAIN;
}

/* Begins with nothing. */
static int begin_walk(ri_merge *m)
{
    RI_TRY(ri_merge_ask_ahead(m->store, &m->tree, m->changes, m->change_count, m->io, m->err));
    RI_TRY(ri_chunker_init(&m->chunker, m->order, &m->limits, m->writer, m->err));
    m->change = 0;
    m->state = STARTED;
    m->separator_is_old = m->tree.count > 0;
    m->edge_is_old = false;
    m->stage = WALKING;
    if (m->tree.count == 0) {
        return RILLE_AGAIN;
    }
    ri_datom zero = ri_separator_zero(m->order);
    subtree all = { &m->tree.root, m->tree.height - 1U, m->tree.count, &zero, NULL, m->changes, m->change_count };
    int rc = enter(m, &all);
    if (rc == RILLE_OK && m->depth == 0) {
        m->stage = ENDING;
    }
    return rc == RILLE_OK ? RILLE_AGAIN : rc;
}

static int end_walk(ri_merge *m, ri_tree *out)
{
    if (m->state == PENDING) {
        RI_TRY(ri_chunker_put(&m->chunker, m->pending.level + 1, &m->pending.separator, &m->pending.ref,
                              m->pending.count, true, m->err));
    }
    bool root_is_old;
    RI_TRY(ri_chunker_finish(&m->chunker, out, &root_is_old, m->err));
    return root_is_old ? settle_root(m, out) : RILLE_OK;
}

/* What was walked so far is forgotten. */
static void drop_walk(ri_merge *m)
{
    while (m->depth > 0) {
        ri_node_release(m->path[--m->depth].node);
    }
    end_feed(m);
    ri_merge_drop_held(m);
    ri_arena_deinit(&m->pending.bytes);
    m->pending.bytes = (ri_arena){ 0 };
    ri_chunker_deinit(&m->chunker);
}

int ri_merge_new(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, const ri_limits *limits,
                 ri_writer *writer, ri_merge **out, rille_err *err)
{
    *out = NULL;
    if (tree->count > 0) {
        RI_TRY(ri_tree_check_height(tree, err));
    }
    ri_merge *m = ri_alloc_zero(sizeof *m);
    if (m == NULL) {
        return ri_fail_nomem(err);
    }
    m->store = store;
    m->tree = *tree;
    m->order = (ri_order)tree->order;
    m->limits = limits != NULL ? *limits : ri_limits_standard;
    m->writer = writer;
    m->changes = changes;
    m->change_count = count;
    m->rows = ri_alloc_array(RI_NODE_ROWS_MAX, sizeof *m->rows);
    if (m->rows == NULL) {
        ri_free(m);
        return ri_fail_nomem(err);
    }
    *out = m;
    return RILLE_OK;
}

void ri_merge_release(ri_merge *m)
{
    if (m != NULL) {
        drop_walk(m);
        ri_free(m->held);
        ri_free(m->rows);
        ri_free(m);
    }
}

static int step(ri_merge *m, ri_tree *out)
{
    switch (m->stage) {
    case CHECKING:
        return check_order(m);
    case ASKING:
        return begin_walk(m);
    case WALKING:
        return m->tree.count > 0 ? walk(m) : put_all(m);
    case ENDING:
        return end_walk(m, out);
    }
    return RILLE_OK;
}

int ri_merge_step(ri_merge *m, ri_io *io, ri_tree *out, rille_err *err)
{
    *out = (ri_tree){ .order = (uint8_t)m->order };
    m->io = io;
    m->err = err;
    m->wrote = false;
    int rc = step(m, out);
    if (rc != RILLE_AGAIN && rc != RILLE_OK) { /* what is fetched stays in the io, so it comes further the next time */
        drop_walk(m);
        m->stage = ASKING;
        *out = (ri_tree){ .order = (uint8_t)m->order };
    }
    return rc;
}

int ri_tree_merge_limits(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count,
                         const ri_limits *limits, ri_writer *writer, ri_io *io, ri_tree *out, rille_err *err)
{
    ri_merge *m;
    *out = (ri_tree){ .order = tree->order };
    RI_TRY(ri_merge_new(store, tree, changes, count, limits, writer, &m, err));
    int rc;
    do {
        rc = ri_merge_step(m, io, out, err);
    } while (rc == RILLE_AGAIN);
    ri_merge_release(m);
    return rc;
}

int ri_tree_merge(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, ri_writer *writer,
                  ri_io *io, ri_tree *out, rille_err *err)
{
    return ri_tree_merge_limits(store, tree, changes, count, &ri_limits_standard, writer, io, out, err);
}
