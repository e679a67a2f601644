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
#include "chunk.h"

typedef enum merge_state { STARTED, PENDING, OPEN } merge_state;

typedef struct merge {
    ri_store *store;
    ri_order order;
    ri_io *io;
    rille_err *err;
    ri_chunker chunker;
    merge_state state;
    bool separator_is_old; /* STARTED: the separator is the one that the next old node has */
    bool edge_is_old;      /* OPEN: the open leaf closes before the next old leaf, whose separator stays */
    struct {
        ri_noderef ref;
        ri_datom separator;
        uint64_t count;
        unsigned level;
        ri_arena bytes; /* of the separator */
    } pending;
    ri_node **held; /* leaves whose bytes rows of the open leaf borrow */
    size_t held_count;
    size_t held_cap;
    ri_datom *rows; /* of the leaf that is fed */
} merge;

/* A node that begins at its separator, and ends before the next one (NULL: it is the last, or is checked elsewhere). */
static int get_node(merge *m, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *separator,
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

/* The first row of a leaf comes behind those of the open one. */
static int check_follows(const merge *m, const ri_datom *d)
{
    const ri_chunker *chunker = &m->chunker;
    if (chunker->n == 0 || ri_datom_cmp(m->order, &chunker->rows[chunker->n - 1], d) < 0) {
        return RILLE_OK;
    }
    return ri_fail(m->err, RILLE_CORRUPT, "leaves of the tree %s are out of order: restore the database from a backup",
                   ri_order_name(m->order));
}

/* ---- leaves whose bytes are borrowed ---- */

static int hold(merge *m, ri_node *node)
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

static void release_held(merge *m)
{
    while (m->held_count > 0) {
        ri_node_release(m->held[--m->held_count]);
    }
}

/* ---- pending nodes ---- */

static int set_pending(merge *m, const ri_noderef *ref, unsigned level, uint64_t count, const ri_datom *separator)
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

/* The pending node stays; the next chunk begins with its old separator. */
static int accept_pending(merge *m, const ri_datom *next_separator)
{
    RI_TRY(ri_chunker_put(&m->chunker, m->pending.level + 1, &m->pending.separator, &m->pending.ref, m->pending.count,
                          true, m->err));
    RI_TRY(ri_chunker_begin(&m->chunker, next_separator, m->err));
    m->state = STARTED;
    m->separator_is_old = true;
    return RILLE_OK;
}

/* Children of a pending branch but the last become items; *last, *datoms and *separator are the last. */
static int open_branch(merge *m, unsigned level, ri_noderef *last, uint64_t *datoms, ri_datom *separator)
{
    ri_node *node;
    RI_TRY(get_node(m, last, level, *datoms, separator, NULL, &node));
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

/* The pending node becomes open chunks again. */
static int open_pending(merge *m)
{
    ri_noderef ref = m->pending.ref;
    uint64_t datoms = m->pending.count;
    ri_datom separator = m->pending.separator;
    for (unsigned level = m->pending.level; level > 0; level--) {
        RI_TRY(open_branch(m, level, &ref, &datoms, &separator));
    }
    ri_node *leaf;
    RI_TRY(get_node(m, &ref, 0, datoms, &separator, NULL, &leaf));
    int rc = leaf->count <= m->chunker.limits.leaf_max
                 ? hold(m, leaf)
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
static int close_before(merge *m, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *old_separator,
                        bool *closed)
{
    ri_noderef at = *ref;
    ri_node *node;
    for (; level > 0; level--) {
        RI_TRY(get_node(m, &at, level, datoms, old_separator, NULL, &node));
        at = node->children[0];
        datoms = node->counts[1];
        ri_node_release(node);
    }
    RI_TRY(get_node(m, &at, 0, datoms, old_separator, NULL, &node));
    ri_chunker *chunker = &m->chunker;
    ri_datom first;
    ri_node_datom(node, 0, &first);
    int rc = check_follows(m, &first);
    *closed = rc == RILLE_OK && ri_leaf_closes(&chunker->limits, m->order, chunker->n, chunker->key_bytes, &first);
    if (*closed) {
        ri_datom separator = ri_separator(m->order, &chunker->rows[chunker->n - 1], &first);
        m->separator_is_old = ri_separator_same(&separator, old_separator);
        m->state = STARTED;
        rc = ri_chunker_close_leaf(chunker, &separator, m->err);
        release_held(m);
    }
    ri_node_release(node);
    return rc;
}

/* Takes over an old node without changes, if the chunker would make it again. */
static int try_take(merge *m, const ri_noderef *ref, unsigned level, uint64_t count, const ri_datom *separator,
                    bool *taken)
{
    *taken = false;
    if (m->state == PENDING) {
        RI_TRY(accept_pending(m, separator));
    } else if (m->state == OPEN && m->edge_is_old) {
        RI_TRY(ri_chunker_close_leaf(&m->chunker, separator, m->err));
        release_held(m);
        m->state = STARTED;
        m->separator_is_old = true;
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

/* ---- feeding ---- */

/* A row that is the first to be fed of its leaf. unmoved: it is the old leaf's first. *begins: a chunk begins with it.
 */
static int feed_first(merge *m, const ri_datom *d, bool unmoved, const ri_datom *separator, bool *begins)
{
    if (m->state == PENDING && unmoved) {
        RI_TRY(accept_pending(m, separator));
    } else if (m->state == PENDING) {
        RI_TRY(open_pending(m));
    }
    bool closed = true;
    RI_TRY(check_follows(m, d));
    if (m->state == STARTED) {
        ri_chunker_push(&m->chunker, d);
    } else {
        RI_TRY(ri_chunker_add(&m->chunker, d, &closed, m->err));
    }
    if (closed) {
        release_held(m);
    }
    *begins = closed;
    m->state = OPEN;
    return RILLE_OK;
}

/* What is known of a leaf while it is fed. */
typedef struct feed {
    ri_node *leaf;
    const ri_datom *separator;
    uint32_t fed;
    uint64_t old_bytes; /* key bytes of the old rows passed */
    bool begins;        /* the open leaf began with the first row fed */
    bool last_old;      /* the last row fed is the old leaf's last */
} feed;

/* old_row: d is as the old leaf's row of that number (but for its t); else UINT32_MAX. */
static int feed_row(merge *m, feed *f, const ri_datom *d, uint32_t old_row)
{
    if (f->fed++ == 0) {
        RI_TRY(feed_first(m, d, old_row == 0, f->separator, &f->begins));
    } else {
        bool closed;
        RI_TRY(ri_chunker_add(&m->chunker, d, &closed, m->err));
        if (closed) {
            release_held(m);
            f->begins = false;
        }
    }
    f->last_old = old_row == f->leaf->count - 1;
    return hold(m, f->leaf);
}

/* Old rows [from, to). Where the open leaf has no more in it than the old one had before the same row, it does not
 * close there, as the old one did not: no hash is asked for. */
static int feed_old(merge *m, feed *f, uint32_t from, uint32_t to)
{
    ri_chunker *chunker = &m->chunker;
    for (uint32_t row = from; row < to; row++) {
        const ri_datom *d = &m->rows[row];
        if (f->fed > 0 && f->begins && chunker->n <= row && row < chunker->limits.leaf_max &&
            chunker->key_bytes <= f->old_bytes) {
            ri_chunker_push(chunker, d);
            f->last_old = row == f->leaf->count - 1;
        } else {
            RI_TRY(feed_row(m, f, d, row));
        }
        f->old_bytes += ri_row_key_bytes(d);
    }
    return RILLE_OK;
}

/* Does the open leaf, an old one with more rows, close where the old one did? */
static bool edge_holds(const merge *m, const feed *f)
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

/* Feeds rows and changes merged. */
static int feed_rows(merge *m, feed *f, const ri_change *changes, size_t count)
{
    const ri_node *leaf = f->leaf;
    const ri_datom *rows = m->rows;
    uint32_t row = 0;
    for (size_t c = 0; c <= count; c++) {
        uint32_t stop = leaf->count;
        if (c < count) {
            ri_bound bound = before(m->order, changes[c].d);
            stop = ri_node_gallop(leaf, row, &bound);
        }
        RI_TRY(feed_old(m, f, row, stop));
        row = stop;
        if (c == count) {
            break;
        }
        uint32_t old_row = UINT32_MAX;
        if (row < leaf->count && ri_datom_cmp(m->order, &rows[row], changes[c].d) == 0) {
            old_row = same_bytes(&rows[row].v, &changes[c].d->v) ? row : UINT32_MAX;
            f->old_bytes += ri_row_key_bytes(&rows[row]);
            row++;
        }
        if (changes[c].put) {
            RI_TRY(feed_row(m, f, changes[c].d, old_row));
        }
    }
    return RILLE_OK;
}

static int feed_leaf(merge *m, ri_node *leaf, const ri_datom *separator, const ri_change *changes, size_t count)
{
    feed f = { .leaf = leaf, .separator = separator };
    ri_node_datoms(leaf, 0, leaf->count, m->rows);
    RI_TRY(feed_rows(m, &f, changes, count));
    if (f.fed > 0) {
        m->edge_is_old = edge_holds(m, &f);
        return RILLE_OK;
    }
    m->separator_is_old = false; /* all its rows are gone: what follows is new to what lies before */
    m->edge_is_old = false;
    return m->state == PENDING ? open_pending(m) : RILLE_OK;
}

/* ---- the walk ---- */

/* An old subtree, from its separator to the next one (NULL: to the end of the tree), and the changes that fall there. */
typedef struct subtree {
    const ri_noderef *ref;
    unsigned level;
    uint64_t datoms;
    const ri_datom *separator;
    const ri_datom *next;
} subtree;

static int walk(merge *m, const subtree *at, const ri_change *changes, size_t count);

/* Changes in front of the first that is not below the separator. */
static size_t changes_below(const merge *m, const ri_change *changes, size_t count, const ri_datom *separator)
{
    size_t from = 0;
    size_t step = 1;
    while (from + step <= count && ri_datom_cmp(m->order, changes[from + step - 1].d, separator) < 0) {
        from += step;
        step *= 2;
    }
    size_t to = from + step <= count ? from + step - 1 : count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (ri_datom_cmp(m->order, changes[middle].d, separator) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static int walk_children(merge *m, const ri_node *node, const subtree *at, const ri_change *changes, size_t count)
{
    ri_datom next = *at->separator;
    for (uint32_t i = 0; i < node->count; i++) {
        ri_datom own = next;
        size_t n = count;
        if (i + 1 < node->count) {
            ri_node_datom(node, i + 1, &next);
            n = changes_below(m, changes, count, &next);
        }
        subtree child = { &node->children[i], node->level - 1U, node->counts[i + 1] - node->counts[i], &own,
                          i + 1 < node->count ? &next : at->next };
        RI_TRY(walk(m, &child, changes, n));
        changes += n;
        count -= n;
    }
    return RILLE_OK;
}

/* Do changes of a leaf change anything? */
static bool any_effect(const merge *m, const ri_node *leaf, const ri_change *changes, size_t count)
{
    uint32_t row = 0;
    for (size_t c = 0; c < count; c++) {
        ri_bound bound = before(m->order, changes[c].d);
        row = ri_node_gallop(leaf, row, &bound);
        ri_datom old = { 0 };
        bool found = false;
        if (row < leaf->count) {
            ri_node_datom(leaf, row, &old);
            found = ri_datom_cmp(m->order, &old, changes[c].d) == 0;
        }
        bool same = found && old.t == changes[c].d->t && same_bytes(&old.v, &changes[c].d->v);
        if (changes[c].put ? !same : found) {
            return true;
        }
    }
    return false;
}

static int walk(merge *m, const subtree *at, const ri_change *changes, size_t count)
{
    bool taken = false;
    if (count == 0) {
        RI_TRY(try_take(m, at->ref, at->level, at->datoms, at->separator, &taken));
        if (taken) {
            return RILLE_OK;
        }
    }
    ri_node *node;
    RI_TRY(get_node(m, at->ref, at->level, at->datoms, at->separator, at->next, &node));
    int rc = RILLE_OK;
    if (at->level > 0) {
        rc = walk_children(m, node, at, changes, count);
    } else {
        if (count > 0 && !any_effect(m, node, changes, count)) {
            count = 0;
            rc = try_take(m, at->ref, 0, at->datoms, at->separator, &taken);
        }
        if (rc == RILLE_OK && !taken) {
            rc = feed_leaf(m, node, at->separator, changes, count);
        }
    }
    ri_node_release(node);
    return rc;
}

/* ---- the whole ---- */

/* A root that was taken over may have one child: then that is the root. */
static int settle_root(merge *m, ri_tree *tree)
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

static int run(merge *m, const ri_tree *tree, const ri_change *changes, size_t count, ri_tree *out)
{
    if (tree->count > 0) {
        ri_datom zero = ri_separator_zero(m->order);
        m->separator_is_old = true;
        subtree all = { &tree->root, tree->height - 1U, tree->count, &zero, NULL };
        RI_TRY(walk(m, &all, changes, count));
    } else {
        for (size_t i = 0; i < count; i++) {
            if (changes[i].put) {
                RI_TRY(ri_chunker_add(&m->chunker, changes[i].d, NULL, m->err));
            }
        }
    }
    if (m->state == PENDING) {
        RI_TRY(ri_chunker_put(&m->chunker, m->pending.level + 1, &m->pending.separator, &m->pending.ref,
                              m->pending.count, true, m->err));
    }
    bool root_is_old;
    RI_TRY(ri_chunker_finish(&m->chunker, out, &root_is_old, m->err));
    return root_is_old ? settle_root(m, out) : RILLE_OK;
}

int ri_tree_merge_limits(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count,
                         const ri_limits *limits, ri_writer *writer, ri_io *io, ri_tree *out, rille_err *err)
{
    *out = (ri_tree){ .order = tree->order };
    if (tree->count > 0) {
        RI_TRY(ri_tree_check_height(tree, err));
    }
    for (size_t i = 1; i < count; i++) {
        if (ri_datom_cmp((ri_order)tree->order, changes[i - 1].d, changes[i].d) >= 0) {
            return ri_fail(err, RILLE_INTERNAL, "changes of the tree %s are out of order",
                           ri_order_name((ri_order)tree->order));
        }
    }
    RI_TRY(ri_merge_ask_ahead(store, tree, changes, count, io, err));
    merge m = { .store = store, .order = (ri_order)tree->order, .io = io, .err = err };
    RI_TRY(ri_chunker_init(&m.chunker, m.order, limits, writer, err));
    m.rows = ri_alloc_array(RI_NODE_ROWS_MAX, sizeof *m.rows);
    int rc = m.rows == NULL ? ri_fail_nomem(err) : run(&m, tree, changes, count, out);
    if (rc != RILLE_OK) {
        *out = (ri_tree){ .order = tree->order };
    }
    release_held(&m);
    ri_free(m.held);
    ri_free(m.rows);
    ri_arena_deinit(&m.pending.bytes);
    ri_chunker_deinit(&m.chunker);
    return rc;
}

int ri_tree_merge(ri_store *store, const ri_tree *tree, const ri_change *changes, size_t count, ri_writer *writer,
                  ri_io *io, ri_tree *out, rille_err *err)
{
    return ri_tree_merge_limits(store, tree, changes, count, &ri_limits_standard, writer, io, out, err);
}
