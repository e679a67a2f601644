/* SPDX-License-Identifier: MIT
 *
 * Persistent B+trees of items. A node is changed in place only when exactly one holder sees it; otherwise it is copied
 * first, which makes one insert O(log n) copies of small nodes the first time and in-place work from then on until the
 * value is shared again.
 */
#include "novelty.h"

#include <string.h>

#define FANOUT 48U

struct ri_set_node {
    ri_refs refs;
    uint16_t count;
    bool leaf;
    int64_t delta; /* sum over all items below */
    union {
        ri_item items[FANOUT];
        struct {
            ri_set_node *child[FANOUT];
            const ri_datom *first[FANOUT]; /* a datom not above child i's items, above those of child i-1 */
        } inner;
    } u;
};

static const ri_order orders[RI_NOVELTY_ORDERS] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };

static ri_set_node *node_new(bool leaf)
{
    ri_set_node *node = ri_alloc(sizeof *node);
    if (node != NULL) {
        ri_refs_init(&node->refs);
        node->count = 0;
        node->leaf = leaf;
        node->delta = 0;
    }
    return node;
}

static void node_release(ri_set_node *node)
{
    if (node == NULL || !ri_refs_drop(&node->refs)) {
        return;
    }
    if (!node->leaf) {
        for (unsigned i = 0; i < node->count; i++) {
            node_release(node->u.inner.child[i]);
        }
    }
    ri_free(node);
}

/* Makes *place a node that only this holder sees. False: no memory, nothing changed. */
static bool node_own(ri_set_node **place)
{
    ri_set_node *node = *place;
    if (ri_refs_unshared(&node->refs)) {
        return true;
    }
    ri_set_node *copy = node_new(node->leaf);
    if (copy == NULL) {
        return false;
    }
    copy->count = node->count;
    copy->delta = node->delta;
    copy->u = node->u;
    if (!copy->leaf) {
        for (unsigned i = 0; i < copy->count; i++) {
            ri_refs_take(&copy->u.inner.child[i]->refs);
        }
    }
    node_release(node);
    *place = copy;
    return true;
}

static ri_item item_of(const ri_datom *d, int delta)
{
    ri_item item = { (uint64_t)(uintptr_t)d | (uint64_t)(delta + 1) };
    return item;
}

/* First item not below d. */
static unsigned leaf_lower(const ri_set_node *node, ri_order order, const ri_datom *d, bool *equal)
{
    unsigned low = 0;
    unsigned high = node->count;
    *equal = false;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int c = ri_datom_cmp(order, ri_item_datom(node->u.items[mid]), d);
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
            *equal = *equal || c == 0;
        }
    }
    return low;
}

static unsigned inner_child(const ri_set_node *node, ri_order order, const ri_datom *d)
{
    unsigned low = 1;
    unsigned high = node->count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (ri_datom_cmp(order, node->u.inner.first[mid], d) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low - 1;
}

/* Moves the upper half into a new right sibling. NULL: no memory. */
static ri_set_node *node_split(ri_set_node *node)
{
    ri_set_node *right = node_new(node->leaf);
    if (right == NULL) {
        return NULL;
    }
    unsigned keep = node->count / 2U;
    unsigned moved = node->count - keep;
    if (node->leaf) {
        memcpy(right->u.items, node->u.items + keep, moved * sizeof *right->u.items);
        for (unsigned i = 0; i < moved; i++) {
            right->delta += ri_item_delta(right->u.items[i]);
        }
    } else {
        memcpy(right->u.inner.child, node->u.inner.child + keep, moved * sizeof(ri_set_node *));
        memcpy(right->u.inner.first, node->u.inner.first + keep, moved * sizeof(ri_datom *));
        for (unsigned i = 0; i < moved; i++) {
            right->delta += right->u.inner.child[i]->delta;
        }
    }
    right->count = (uint16_t)moved;
    node->count = (uint16_t)keep;
    node->delta -= right->delta;
    return right;
}

static const ri_datom *node_first(const ri_set_node *node)
{
    return node->leaf ? ri_item_datom(node->u.items[0]) : node->u.inner.first[0];
}

/* What an insert did: the change of the sum, whether the set grew. */
typedef struct outcome {
    int64_t delta;
    bool grew;
} outcome;

static void leaf_put(ri_set_node *node, ri_order order, const ri_datom *d, outcome *out)
{
    bool equal;
    unsigned at = leaf_lower(node, order, d, &equal);
    int change = d->added ? 1 : -1;
    if (equal) {
        ri_item old = node->u.items[at];
        if (ri_item_datom(old)->added == d->added) {
            return; /* only inconsistent blocks say the same thing twice: the first one counts */
        }
        node->u.items[at] = item_of(d, ri_item_delta(old) + change);
    } else {
        memmove(node->u.items + at + 1, node->u.items + at, (node->count - at) * sizeof *node->u.items);
        node->u.items[at] = item_of(d, change);
        node->count++;
        out->grew = true;
    }
    out->delta = change;
    node->delta += change;
}

/* *split: the new right sibling when the node was full. */
static bool node_put(ri_set_node **place, ri_order order, const ri_datom *d, outcome *out, ri_set_node **split)
{
    *split = NULL;
    if (!node_own(place)) {
        return false;
    }
    ri_set_node *node = *place;
    if (node->count == FANOUT) {
        *split = node_split(node);
        if (*split == NULL) {
            return false;
        }
        if (ri_datom_cmp(order, node_first(*split), d) <= 0) {
            node = *split;
        }
    }
    if (node->leaf) {
        leaf_put(node, order, d, out);
        return true;
    }
    unsigned at = inner_child(node, order, d);
    ri_set_node *right;
    if (!node_put(&node->u.inner.child[at], order, d, out, &right)) {
        node_release(right); /* the set is incomplete now: it can only be released */
        return false;
    }
    node->delta += out->delta;
    if (right != NULL) {
        unsigned tail = node->count - at - 1U;
        memmove(node->u.inner.child + at + 2, node->u.inner.child + at + 1, tail * sizeof(ri_set_node *));
        memmove(node->u.inner.first + at + 2, node->u.inner.first + at + 1, tail * sizeof(ri_datom *));
        node->u.inner.child[at + 1] = right;
        node->u.inner.first[at + 1] = node_first(right);
        node->count++;
    }
    return true;
}

static bool set_put(ri_set_node **root, ri_order order, const ri_datom *d, bool *grew)
{
    outcome out = { 0, false };
    if (*root == NULL && (*root = node_new(true)) == NULL) {
        return false;
    }
    ri_set_node *right;
    bool ok = node_put(root, order, d, &out, &right);
    *grew = out.grew;
    if (right == NULL) {
        return ok;
    }
    ri_set_node *top = ok ? node_new(false) : NULL;
    if (top == NULL) {
        node_release(right);
        return false;
    }
    top->count = 2;
    top->delta = (*root)->delta + right->delta;
    top->u.inner.child[0] = *root;
    top->u.inner.child[1] = right;
    top->u.inner.first[0] = node_first(*root);
    top->u.inner.first[1] = node_first(right);
    *root = top;
    return true;
}

void ri_novelty_copy(const ri_novelty *from, ri_novelty *to)
{
    *to = *from;
    for (int i = 0; i < RI_NOVELTY_ORDERS; i++) {
        if (to->root[i] != NULL) {
            ri_refs_take(&to->root[i]->refs);
        }
    }
    (void)ri_block_retain(to->last);
}

void ri_novelty_deinit(ri_novelty *novelty)
{
    for (int i = 0; i < RI_NOVELTY_ORDERS; i++) {
        node_release(novelty->root[i]);
    }
    ri_block_release(novelty->last);
    *novelty = (ri_novelty){ 0 };
}

int ri_novelty_add(ri_novelty *novelty, ri_block *block, const ri_schema *schema, rille_err *err)
{
    if (novelty->last == NULL) {
        RI_ASSERT(block->prev == NULL); /* and not written: others may read the first block since the base */
    } else if (block->prev == NULL) {
        block->prev = novelty->last; /* the novelty's reference moves into the block */
    } else {
        RI_ASSERT(block->prev == novelty->last); /* a block that is linked already: views of the past */
        ri_block_release(novelty->last);
    }
    novelty->last = ri_block_retain(block);
    novelty->datom_count += block->count;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        const ri_attr *attr = ri_schema_attr_by_id(schema, d->a);
        for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
            bool grew;
            if (o > 1 && (attr == NULL || !ri_attr_in_order(attr, orders[o]))) {
                continue;
            }
            if (!set_put(&novelty->root[o], orders[o], d, &grew)) {
                return ri_fail_nomem(err);
            }
            novelty->count += o == 0 && grew ? 1 : 0;
        }
    }
    return 0;
}

/* ---- reading ---- */

/* First item after the cut. */
static unsigned leaf_search(const ri_set_node *node, ri_order order, const ri_bound *bound)
{
    unsigned low = 0;
    unsigned high = node->count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (ri_datom_cmp_bound(order, ri_item_datom(node->u.items[mid]), bound) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The last child whose first datom lies before the cut, or child 0. */
static unsigned inner_search(const ri_set_node *node, ri_order order, const ri_bound *bound)
{
    unsigned low = 1;
    unsigned high = node->count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (ri_datom_cmp_bound(order, node->u.inner.first[mid], bound) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low - 1;
}

/* Climbs to the next leaf; past the end: depth = -1. */
static void climb(ri_set_cursor *cursor)
{
    int at = cursor->depth - 1;
    while (at >= 0 && cursor->slot[at] + 1U >= cursor->path[at]->count) {
        at--;
    }
    if (at < 0) {
        cursor->depth = -1;
        return;
    }
    cursor->slot[at]++;
    const ri_set_node *node = cursor->path[at]->u.inner.child[cursor->slot[at]];
    for (at++;; at++) {
        cursor->path[at] = node;
        cursor->slot[at] = 0;
        if (node->leaf) {
            cursor->depth = (int8_t)at;
            return;
        }
        node = node->u.inner.child[0];
    }
}

void ri_set_seek(ri_set_cursor *cursor, const ri_novelty *novelty, ri_order order, const ri_bound *bound)
{
    const ri_set_node *node = novelty->root[order];
    cursor->order = (uint8_t)order;
    cursor->depth = -1;
    if (node == NULL) {
        return;
    }
    int at = 0;
    for (; !node->leaf; at++) {
        unsigned child = inner_search(node, order, bound);
        cursor->path[at] = node;
        cursor->slot[at] = (uint16_t)child;
        node = node->u.inner.child[child];
    }
    cursor->path[at] = node;
    cursor->slot[at] = (uint16_t)leaf_search(node, order, bound);
    cursor->depth = (int8_t)at;
    if (cursor->slot[at] >= node->count) {
        climb(cursor);
    }
}

ri_item ri_set_item(const ri_set_cursor *cursor)
{
    return cursor->path[cursor->depth]->u.items[cursor->slot[cursor->depth]];
}

void ri_set_next(ri_set_cursor *cursor)
{
    if (++cursor->slot[cursor->depth] >= cursor->path[cursor->depth]->count) {
        climb(cursor);
    }
}

int64_t ri_set_rank(const ri_novelty *novelty, ri_order order, const ri_bound *bound)
{
    const ri_set_node *node = novelty->root[order];
    int64_t rank = 0;
    if (node == NULL) {
        return 0;
    }
    while (!node->leaf) {
        unsigned child = inner_search(node, order, bound);
        for (unsigned i = 0; i < child; i++) {
            rank += node->u.inner.child[i]->delta;
        }
        node = node->u.inner.child[child];
    }
    unsigned end = leaf_search(node, order, bound);
    for (unsigned i = 0; i < end; i++) {
        rank += ri_item_delta(node->u.items[i]);
    }
    return rank;
}

bool ri_set_find(const ri_novelty *novelty, const ri_datom *d, ri_item *out)
{
    const ri_set_node *node = novelty->root[RI_EAVT];
    if (node == NULL) {
        return false;
    }
    while (!node->leaf) {
        node = node->u.inner.child[inner_child(node, RI_EAVT, d)];
    }
    bool equal;
    unsigned at = leaf_lower(node, RI_EAVT, d, &equal);
    if (equal) {
        *out = node->u.items[at];
    }
    return equal;
}
