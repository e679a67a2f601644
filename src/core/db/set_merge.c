/* SPDX-License-Identifier: MIT
 *
 * Merging sorted keys into a set. Nodes on the way to a key are made anew, all others are shared.
 *
 * The new nodes of a level wait on a stack until the node above them is made: a node that keys fall into becomes one or
 * more pieces. Leaves are never emptied, since an item stays when its datom is retracted.
 *
 *   stack  | pieces of the root's children so far | pieces of this child's children
 *
 * Where a leaf is full, it is cut in front of new items that all go to one place in its upper half, as those of growing
 * data do: what is in front of them will not grow any more. Else it is cut into equal parts.
 */
#include "set.h"

#include <string.h>

typedef struct merger {
    ri_set_node **stack;
    size_t count;
    size_t cap;
    ri_order order;
    bool distinct; /* keys */
} merger;

static ri_set_node *node_new(uint32_t room, uint32_t level)
{
    size_t entry = sizeof(uint64_t) + (level == 0 ? sizeof(ri_item) : sizeof(ri_set_child));
    ri_set_node *node = ri_alloc(sizeof *node + room * entry);
    if (node != NULL) {
        *node = (ri_set_node){ .room = room, .level = level };
        ri_refs_init(&node->refs);
        atomic_init(&node->view, NULL);
        atomic_init(&node->overlays, NULL);
        atomic_init(&node->offered, 0);
    }
    return node;
}

/* Takes the node, also on failure. */
static bool push(merger *m, ri_set_node *node)
{
    if (node == NULL || !RI_GROW(&m->stack, &m->cap, m->count + 1)) {
        ri_set_release(node);
        return false;
    }
    m->stack[m->count++] = node;
    return true;
}

/* ---- leaves ---- */

static void add_sums(ri_set_node *leaf, ri_item item)
{
    leaf->delta += ri_item_delta(item);
    leaf->shown += ri_item_shown(item);
}

static void sum_up(ri_set_node *leaf)
{
    const ri_item *items = ri_set_items(leaf);
    for (uint32_t i = 0; i < leaf->count; i++) {
        add_sums(leaf, items[i]);
    }
}

/* Of one leaf's values all or some are the other's, so beginnings of the same length are the same. */
static void copy_items(ri_order order, const ri_set_node *from, uint32_t at, uint32_t count, ri_set_node *to)
{
    uint64_t *prefixes = ri_set_prefixes(to) + to->count;
    const ri_item *items = ri_set_items(from) + at;
    memcpy(ri_set_items(to) + to->count, items, count * sizeof *items);
    to->count += count;
    if (from->common_len == to->common_len) {
        memcpy(prefixes, ri_set_prefixes(from) + at, count * sizeof *prefixes);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const ri_datom *d = ri_item_datom(items[i]);
        prefixes[i] = ri_set_leaf_prefix(to, ri_set_prefix(order, d), d);
    }
}

static inline int cmp_key(ri_order order, uint64_t prefix, const ri_datom *d, const ri_set_key *key)
{
    if (prefix != key->prefix) {
        return prefix < key->prefix ? -1 : 1;
    }
    return ri_datom_cmp(order, d, ri_item_datom(key->item));
}

static ri_set_key key_in(const ri_set_node *leaf, const ri_set_key *key)
{
    return (ri_set_key){ ri_set_leaf_prefix(leaf, key->prefix, ri_item_datom(key->item)), key->item };
}

/* First item of the leaf, from `from` on, that is not below the key (of the leaf's kind). */
static uint32_t lower_item(const ri_set_node *leaf, uint32_t from, ri_order order, const ri_set_key *key, bool *equal)
{
    const uint64_t *prefixes = ri_set_prefixes(leaf);
    const ri_item *items = ri_set_items(leaf);
    uint32_t low = from;
    uint32_t high = from;
    *equal = false;
    for (uint32_t step = 1; high < leaf->count && cmp_key(order, prefixes[high], ri_item_datom(items[high]), key) < 0;
         step *= 2) {
        low = high + 1;
        high += step;
    }
    high = high < leaf->count ? high : leaf->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (cmp_key(order, prefixes[mid], ri_item_datom(items[mid]), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *equal = low < leaf->count && cmp_key(order, prefixes[low], ri_item_datom(items[low]), key) == 0;
    return low;
}

/* A datom upon the item that is there. Only inconsistent blocks say the same thing twice: the first one counts. */
static ri_item fold(ri_item old, const ri_datom *d)
{
    return ri_item_shown(old) == d->added ? old : ri_item_of(d, ri_item_delta(old) + (d->added ? 1 : -1));
}

/* An empty leaf for both. */
static ri_set_node *leaf_for(const merger *m, const ri_set_node *leaf, const ri_set_key *keys, size_t count)
{
    ri_set_node *out = node_new((leaf == NULL ? 0 : leaf->count) + (uint32_t)count, 0);
    if (out == NULL || count == 0) {
        return out;
    }
    const ri_datom *first = ri_item_datom(keys[0].item);
    const ri_datom *last = ri_item_datom(keys[count - 1].item);
    if (leaf != NULL) {
        const ri_item *items = ri_set_items(leaf);
        const ri_datom *old_first = ri_item_datom(items[0]);
        const ri_datom *old_last = ri_item_datom(items[leaf->count - 1]);
        ri_set_key key = key_in(leaf, &keys[count - 1]);
        first = cmp_key(m->order, leaf->prefix, old_first, &keys[0]) < 0 ? old_first : first;
        last = cmp_key(m->order, ri_set_prefixes(leaf)[leaf->count - 1], old_last, &key) > 0 ? old_last : last;
    }
    ri_set_begin(out, m->order, first, last);
    return out;
}

/* A datom upon an item of the leaf. */
static void fold_into(ri_set_node *leaf, ri_item *item, const ri_datom *d)
{
    ri_item old = *item;
    *item = fold(old, d);
    leaf->delta += ri_item_delta(*item) - ri_item_delta(old);
    leaf->shown = leaf->shown + ri_item_shown(*item) - ri_item_shown(old);
}

/* Both into `out`, which has room, with their sums. *first and *last: where the first and last new item are in it. */
static void merge_items(const merger *m, const ri_set_node *leaf, const ri_set_key *keys, size_t count,
                        ri_set_node *out, uint32_t *first, uint32_t *last)
{
    uint64_t *prefixes = ri_set_prefixes(out);
    ri_item *items = ri_set_items(out);
    uint32_t pos = 0;
    if (leaf != NULL) {
        out->delta = leaf->delta;
        out->shown = leaf->shown;
    }
    *first = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        const ri_datom *d = ri_item_datom(keys[i].item);
        bool equal = false;
        if (leaf != NULL) {
            ri_set_key key = key_in(leaf, &keys[i]);
            uint32_t at = lower_item(leaf, pos, m->order, &key, &equal);
            copy_items(m->order, leaf, pos, at + equal - pos, out);
            pos = at + equal;
        }
        uint32_t top = out->count - 1; /* wraps when it is empty */
        uint64_t prefix = key_in(out, &keys[i]).prefix;
        equal = equal || (!m->distinct && out->count > 0 && prefixes[top] == prefix &&
                          ri_datom_cmp(m->order, ri_item_datom(items[top]), d) == 0);
        if (equal) {
            fold_into(out, &items[top], d);
            continue;
        }
        prefixes[out->count] = prefix;
        items[out->count] = keys[i].item;
        add_sums(out, keys[i].item);
        *first = *first == UINT32_MAX ? out->count : *first;
        *last = out->count++;
    }
    if (leaf != NULL) {
        copy_items(m->order, leaf, pos, leaf->count - pos, out);
    }
}

int ri_set_part(const ri_set_node *set, const ri_set_cut *from, const ri_set_cut *to, uint32_t max, ri_set_node **out,
                rille_err *err)
{
    ri_set_cursor cursor;
    ri_set_node *part = NULL;
    int rc = 0;
    *out = NULL;
    for (ri_set_seek(&cursor, set, from); rc == 0 && !ri_set_at_end(&cursor); ri_set_next(&cursor)) {
        if (!ri_set_between(from, to, ri_item_datom(ri_set_item(&cursor)))) {
            break;
        }
        if (part == NULL && (part = node_new(max, 0)) == NULL) {
            return ri_fail_nomem(err);
        }
        if (part->count < max) {
            copy_items((ri_order)from->order, ri_set_leaf(&cursor), ri_set_slot(&cursor), 1, part);
        } else {
            rc = RILLE_DONE;
        }
    }
    if (rc != 0) {
        ri_set_release(part);
        return rc;
    }
    if (part != NULL) {
        part->prefix = ri_set_prefixes(part)[0];
        sum_up(part);
    }
    *out = part;
    return 0;
}

static bool push_part(merger *m, const ri_set_node *from, uint32_t at, uint32_t count)
{
    const ri_item *items = ri_set_items(from) + at;
    ri_set_node *leaf = node_new(count, 0);
    if (leaf != NULL) {
        ri_set_begin(leaf, m->order, ri_item_datom(items[0]), ri_item_datom(items[count - 1]));
        copy_items(m->order, from, at, count, leaf);
        sum_up(leaf);
    }
    return push(m, leaf);
}

static bool push_equal_parts(merger *m, const ri_set_node *from, uint32_t at)
{
    uint32_t parts = (from->count - at + RI_SET_LEAF - 1) / RI_SET_LEAF;
    bool ok = true;
    for (; ok && parts > 0; parts--) {
        uint32_t count = (from->count - at + parts - 1) / parts;
        ok = push_part(m, from, at, count);
        at += count;
    }
    return ok;
}

/* Where a leaf too large is cut first; 0: into equal parts. */
static uint32_t cut_of(const ri_set_node *leaf, uint32_t first, uint32_t last, uint32_t added)
{
    if (added == 0 || last - first + 1 != added || first < leaf->count / 2 || first > RI_SET_LEAF) {
        return 0;
    }
    uint32_t least = RI_SET_LEAF / 8; /* of what is left on the right */
    bool at_end = last + 1 == leaf->count;
    return at_end || leaf->count - first >= least ? first : leaf->count - least;
}

static bool split_leaf(merger *m, const ri_set_node *leaf, const ri_set_key *keys, size_t count)
{
    uint32_t old_count = leaf == NULL ? 0 : leaf->count;
    ri_set_node *all = leaf_for(m, leaf, keys, count);
    uint32_t first = 0;
    uint32_t last = 0;
    if (all == NULL) {
        return false;
    }
    merge_items(m, leaf, keys, count, all, &first, &last);
    uint32_t cut = all->count <= RI_SET_LEAF ? 0 : cut_of(all, first, last, all->count - old_count);
    bool ok = (cut == 0 || push_part(m, all, 0, cut)) && push_equal_parts(m, all, cut);
    ri_set_release(all);
    return ok;
}

/* Distinct keys alone: filled leaves. */
static bool push_keys(merger *m, const ri_set_key *keys, size_t count)
{
    bool ok = true;
    for (size_t at = 0; ok && at < count;) {
        uint32_t here = count - at < RI_SET_LEAF ? (uint32_t)(count - at) : RI_SET_LEAF;
        ri_set_node *leaf = leaf_for(m, NULL, keys + at, here);
        for (uint32_t i = 0; leaf != NULL && i < here; i++, at++) {
            ri_set_prefixes(leaf)[i] = key_in(leaf, &keys[at]).prefix;
            ri_set_items(leaf)[i] = keys[at].item;
        }
        if (leaf != NULL) {
            leaf->count = here;
            sum_up(leaf);
        }
        ok = push(m, leaf);
    }
    return ok;
}

static bool merge_leaf(merger *m, const ri_set_node *leaf, const ri_set_key *keys, size_t count)
{
    uint32_t old_count = leaf == NULL ? 0 : leaf->count;
    if (old_count == 0 && count > 0 && m->distinct) {
        return push_keys(m, keys, count);
    }
    if (count > RI_SET_LEAF - old_count) {
        return split_leaf(m, leaf, keys, count);
    }
    ri_set_node *copy = leaf_for(m, leaf, keys, count);
    uint32_t first;
    uint32_t last;
    if (copy != NULL) {
        merge_items(m, leaf, keys, count, copy, &first, &last);
    }
    return push(m, copy);
}

/* ---- inner nodes ---- */

static void add_child(ri_set_node *node, uint64_t prefix, ri_set_child child)
{
    ri_set_prefixes(node)[node->count] = prefix;
    child.before = node->delta;
    ri_set_children(node)[node->count++] = child;
    node->delta += child.node->delta;
}

static ri_set_child child_of(ri_set_node *node, uint64_t *prefix)
{
    *prefix = node->level == 0 ? node->prefix : ri_set_prefixes(node)[0];
    const ri_datom *first = node->level == 0 ? ri_item_datom(ri_set_items(node)[0]) : ri_set_children(node)[0].first;
    return (ri_set_child){ node, first, 0 };
}

/* The pieces from `base` on become as few nodes of the level above as can be, of equal size. */
static bool lift(merger *m, size_t base, uint32_t level)
{
    size_t count = m->count - base;
    size_t parts = (count + RI_SET_INNER - 1) / RI_SET_INNER;
    size_t at = base; /* pieces before it have moved into a node */
    size_t made = base;
    for (; parts > 0; parts--) {
        uint32_t room = (uint32_t)((m->count - at + parts - 1) / parts);
        ri_set_node *node = node_new(room, level);
        if (node == NULL) {
            break;
        }
        for (uint32_t i = 0; i < room; i++) {
            uint64_t prefix;
            ri_set_child child = child_of(m->stack[at++], &prefix);
            add_child(node, prefix, child);
        }
        m->stack[made++] = node;
    }
    memmove(m->stack + made, m->stack + at, (m->count - at) * sizeof(ri_set_node *)); /* none, or after a failure */
    m->count = made + (m->count - at);
    return parts == 0;
}

static bool share(merger *m, const ri_set_child *children, uint32_t from, uint32_t to)
{
    bool ok = true;
    for (uint32_t i = from; ok && i < to; i++) {
        ok = push(m, ri_set_retain(children[i].node));
    }
    return ok;
}

/* The child that a key falls into, `from` or a later one. */
static uint32_t child_for(const ri_set_node *node, uint32_t from, ri_order order, const ri_set_key *key)
{
    const uint64_t *prefixes = ri_set_prefixes(node);
    const ri_set_child *children = ri_set_children(node);
    uint32_t low = from + 1;
    uint32_t high = node->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (cmp_key(order, prefixes[mid], children[mid].first, key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low - 1;
}

/* Keys below the first item of a child. */
static size_t keys_below(const ri_set_node *node, uint32_t child, ri_order order, const ri_set_key *keys, size_t count)
{
    uint64_t prefix = ri_set_prefixes(node)[child];
    const ri_datom *first = ri_set_children(node)[child].first;
    size_t low = 0;
    size_t high = 0;
    for (size_t step = 1; high < count && cmp_key(order, prefix, first, &keys[high]) > 0; step *= 2) {
        low = high + 1;
        high += step;
    }
    high = high < count ? high : count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cmp_key(order, prefix, first, &keys[mid]) > 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Pushes the pieces that the node becomes. As deep as the set is high. */
static bool merge_node(merger *m, const ri_set_node *node, const ri_set_key *keys, size_t count)
{
    if (node == NULL || node->level == 0) {
        return merge_leaf(m, node, keys, count);
    }
    const ri_set_child *children = ri_set_children(node);
    size_t base = m->count;
    uint32_t next = 0;
    bool ok = true;
    while (ok && count > 0) {
        uint32_t child = child_for(node, next, m->order, keys);
        size_t here = child + 1 == node->count ? count : keys_below(node, child + 1, m->order, keys, count);
        ok = share(m, children, next, child) && merge_node(m, children[child].node, keys, here);
        keys += here;
        count -= here;
        next = child + 1;
    }
    return ok && share(m, children, next, node->count) && lift(m, base, node->level);
}

ri_set_node *ri_set_merge(const ri_set_node *set, ri_order order, const ri_set_key *keys, size_t count, bool distinct)
{
    merger m = { .order = order, .distinct = distinct };
    if (set != NULL && count == 0) {
        return ri_set_retain((ri_set_node *)(uintptr_t)set); /* only its count changes */
    }
    bool ok = merge_node(&m, set, keys, count);
    while (ok && m.count > 1) {
        ok = lift(&m, 0, m.stack[0]->level + 1);
    }
    ri_set_node *root = ok ? m.stack[0] : NULL;
    for (size_t i = 0; !ok && i < m.count; i++) {
        ri_set_release(m.stack[i]);
    }
    ri_free(m.stack);
    return root;
}
