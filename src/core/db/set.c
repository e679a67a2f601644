/* SPDX-License-Identifier: MIT
 *
 * Reading sets: prefixes, cuts, cursors.
 */
#include "set.h"

#define A_BITS 11U
#define A_MAX ((1U << A_BITS) - 1) /* all attributes from here on have one prefix */
#define E_BITS 53U
#define E_MAX RI_EID_MAX
#define KIND_SHIFT (RI_VALUE_PREFIX_BITS - RI_VALUE_CLASS_BITS) /* of a prefix of AVET: attribute and class */
#define REF_CLASS ri_type_class(RI_REF)

void ri_set_release(ri_set_node *node)
{
    if (node == NULL || !ri_refs_drop(&node->refs)) {
        return;
    }
    if (node->level == 0) {
        ri_node_release(atomic_load_explicit(&node->view, memory_order_relaxed));
        ri_overlays_free(atomic_load_explicit(&node->overlays, memory_order_relaxed));
    } else {
        const ri_set_child *children = ri_set_children(node);
        for (uint32_t i = 0; i < node->count; i++) {
            ri_set_release(children[i].node);
        }
    }
    ri_free(node);
}

/* ---- prefixes ---- */

static inline uint64_t short_a(uint32_t a)
{
    return a < A_MAX ? a : A_MAX;
}

/* An attribute, and what comes after it in the order: nothing where attributes share a prefix. */
static inline uint64_t a_first(uint32_t a, uint64_t rest)
{
    return a < A_MAX ? (uint64_t)a << E_BITS | rest : (uint64_t)A_MAX << E_BITS;
}

static inline uint64_t a_last(uint64_t id, uint32_t a)
{
    return (id < E_MAX ? id : E_MAX) << A_BITS | short_a(a);
}

uint64_t ri_set_prefix(ri_order order, const ri_datom *d)
{
    switch (order) {
    case RI_EAVT:
        return a_last(d->e, d->a);
    case RI_AEVT:
        return a_first(d->a, d->e < E_MAX ? d->e : E_MAX);
    case RI_AVET:
        return a_first(d->a, ri_value_prefix(&d->v));
    case RI_VAET:
        return d->v.type == RI_REF ? a_last(d->v.as.u, d->a) : ri_type_class(d->v.type) < REF_CLASS ? 0 : UINT64_MAX;
    case RI_LOG:
    case RI_RET:
    case RI_META:
    case RI_ORDER_COUNT:
        break;
    }
    return 0;
}

void ri_set_begin(ri_set_node *leaf, ri_order order, const ri_datom *first, const ri_datom *last)
{
    leaf->prefix = ri_set_prefix(order, first);
    if (order == RI_AVET && first->a == last->a && first->a < A_MAX) {
        leaf->common = first->v.as.p;
        leaf->common_len = ri_value_shared(&first->v, &last->v);
    }
}

uint64_t ri_set_leaf_prefix(const ri_set_node *leaf, uint64_t prefix, const ri_datom *d)
{
    if (leaf->common_len == 0) {
        return prefix;
    }
    uint64_t kind = prefix >> KIND_SHIFT;
    uint64_t own = leaf->prefix >> KIND_SHIFT;
    return kind < own ? 0 : kind > own ? UINT64_MAX : ri_value_prefix_behind(&d->v, leaf->common, leaf->common_len);
}

/* Of one component (e or a ref) at the front. */
static void cut_id(ri_set_cut *cut, uint64_t id)
{
    cut->low = a_last(id, 0);
    cut->high = cut->low | A_MAX;
    cut->exact = id > 0 && id < E_MAX; /* what is no ref has the prefix of 0 or of the greatest one */
}

static void cut_a(ri_set_cut *cut, uint32_t a)
{
    cut->low = a_first(a, 0);
    cut->high = a < A_MAX ? cut->low | ((UINT64_C(1) << E_BITS) - 1) : cut->low;
    cut->exact = a < A_MAX;
}

ri_set_cut ri_set_cut_of(ri_order order, const ri_bound *bound)
{
    const ri_datom *d = &bound->d;
    ri_set_cut cut = { .bound = bound, .low = 0, .high = UINT64_MAX, .order = (uint8_t)order };
    if (bound->parts == 0) {
        cut.exact = true;
    } else if (order == RI_VAET && d->v.type != RI_REF) {
        cut.exact = false;
    } else if (bound->parts > 1) {
        cut.low = cut.high = ri_set_prefix(order, d);
        bool two_ids = bound->parts == 2 && order != RI_AVET && d->a < A_MAX;
        cut.exact = two_ids && (order == RI_VAET ? d->v.as.u : d->e) < E_MAX;
    } else if (order == RI_EAVT) {
        cut_id(&cut, d->e);
    } else if (order == RI_VAET) {
        cut_id(&cut, d->v.as.u);
    } else {
        cut_a(&cut, d->a);
    }
    return cut;
}

/* The cut, ready for comparing with the prefixes of a leaf. */
static ri_set_cut cut_in(const ri_set_node *leaf, const ri_set_cut *cut)
{
    ri_set_cut own = *cut;
    if (leaf->common_len > 0) {
        own.low = ri_set_leaf_prefix(leaf, cut->low, &cut->bound->d);
        own.high = cut->low == cut->high ? own.low : ri_set_leaf_prefix(leaf, cut->high, &cut->bound->d);
        own.exact = own.low < own.high ? cut->exact : cut->bound->parts == 2 && ri_prefix_is_whole(own.low);
    }
    return own;
}

/* < 0: before the cut. */
static inline int cut_cmp(const ri_set_cut *cut, uint64_t prefix, const ri_datom *d)
{
    if (prefix < cut->low) {
        return -1;
    }
    if (prefix > cut->high) {
        return 1;
    }
    if (cut->exact) {
        return cut->bound->after ? -1 : 1;
    }
    return ri_datom_cmp_bound((ri_order)cut->order, d, cut->bound);
}

bool ri_set_between(const ri_set_cut *from, const ri_set_cut *to, const ri_datom *d)
{
    uint64_t prefix = ri_set_prefix((ri_order)from->order, d);
    return cut_cmp(from, prefix, d) > 0 && cut_cmp(to, prefix, d) < 0;
}

/* ---- searching ---- */

/* First item in [low, high) after the cut. */
static uint32_t search_between(const ri_set_node *leaf, uint32_t low, uint32_t high, const ri_set_cut *cut)
{
    const uint64_t *prefixes = ri_set_prefixes(leaf);
    const ri_item *items = ri_set_items(leaf);
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (cut_cmp(cut, prefixes[mid], ri_item_datom(items[mid])) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t ri_set_search(const ri_set_node *leaf, uint32_t from, const ri_set_cut *cut)
{
    ri_set_cut own = cut_in(leaf, cut);
    return search_between(leaf, from, leaf->count, &own);
}

uint32_t ri_set_gallop(const ri_set_node *leaf, uint32_t from, const ri_set_cut *cut)
{
    const uint64_t *prefixes = ri_set_prefixes(leaf);
    const ri_item *items = ri_set_items(leaf);
    ri_set_cut own = cut_in(leaf, cut);
    uint32_t low = from;
    uint32_t high = from;
    for (uint32_t step = 1; high < leaf->count && cut_cmp(&own, prefixes[high], ri_item_datom(items[high])) < 0;
         step *= 2) {
        low = high + 1;
        high += step;
    }
    return search_between(leaf, low, high < leaf->count ? high : leaf->count, &own);
}

/* The last child whose first item lies before the cut, or child 0. */
static uint32_t search_inner(const ri_set_node *node, const ri_set_cut *cut)
{
    const uint64_t *prefixes = ri_set_prefixes(node);
    const ri_set_child *children = ri_set_children(node);
    uint32_t low = 1;
    uint32_t high = node->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (cut_cmp(cut, prefixes[mid], children[mid].first) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low - 1;
}

/* ---- cursors ---- */

/* Climbs to the next leaf; past the end: depth = -1. */
static void climb(ri_set_cursor *cursor)
{
    int at = cursor->depth - 1;
    while (at >= 0 && cursor->slot[at] + 1 >= cursor->path[at]->count) {
        at--;
    }
    if (at < 0) {
        cursor->depth = -1;
        return;
    }
    cursor->slot[at]++;
    const ri_set_node *node = ri_set_children(cursor->path[at])[cursor->slot[at]].node;
    for (at++; node->level > 0; at++) {
        cursor->path[at] = node;
        cursor->slot[at] = 0;
        node = ri_set_children(node)[0].node;
    }
    cursor->path[at] = node;
    cursor->slot[at] = 0;
    cursor->depth = at;
}

void ri_set_move(ri_set_cursor *cursor, uint32_t slot)
{
    cursor->slot[cursor->depth] = slot;
    if (slot >= ri_set_leaf(cursor)->count) {
        climb(cursor);
    }
}

void ri_set_seek(ri_set_cursor *cursor, const ri_set_node *set, const ri_set_cut *cut)
{
    cursor->depth = -1;
    if (set == NULL) {
        return;
    }
    int at = 0;
    for (; set->level > 0; at++) {
        uint32_t child = search_inner(set, cut);
        cursor->path[at] = set;
        cursor->slot[at] = child;
        set = ri_set_children(set)[child].node;
    }
    cursor->path[at] = set;
    cursor->depth = at;
    ri_set_move(cursor, ri_set_search(set, 0, cut));
}

int64_t ri_set_rank(const ri_set_node *set, const ri_set_cut *cut)
{
    int64_t rank = 0;
    if (set == NULL) {
        return 0;
    }
    while (set->level > 0) {
        const ri_set_child *child = &ri_set_children(set)[search_inner(set, cut)];
        rank += child->before;
        set = child->node;
    }
    uint32_t end = ri_set_search(set, 0, cut);
    if (set->delta == (int64_t)set->count) {
        return rank + end; /* +1 each */
    }
    const ri_item *items = ri_set_items(set);
    for (uint32_t i = 0; i < end; i++) {
        rank += ri_item_delta(items[i]);
    }
    return rank;
}

const ri_datom *ri_set_at(const ri_set_node *set, int64_t rank)
{
    if (set == NULL) {
        return NULL;
    }
    while (set->level > 0) {
        const ri_set_child *children = ri_set_children(set);
        uint32_t at = set->count - 1;
        while (at > 0 && children[at].before > rank) {
            at--;
        }
        rank -= children[at].before;
        set = children[at].node;
    }
    const ri_item *items = ri_set_items(set);
    uint32_t at = 0;
    for (; at + 1 < set->count; at++) {
        rank -= ri_item_delta(items[at]);
        if (rank < 0) {
            break;
        }
    }
    return ri_item_datom(items[at]);
}

bool ri_set_find(const ri_set_node *set, ri_order order, const ri_datom *d, ri_item *out)
{
    ri_bound bound = { *d, 3, false };
    ri_set_cut cut = ri_set_cut_of(order, &bound);
    ri_set_cursor cursor;
    ri_set_seek(&cursor, set, &cut);
    if (ri_set_at_end(&cursor)) {
        return false;
    }
    const ri_set_node *leaf = ri_set_leaf(&cursor);
    *out = ri_set_item(&cursor);
    return ri_set_prefixes(leaf)[ri_set_slot(&cursor)] == ri_set_leaf_prefix(leaf, cut.low, d) &&
           ri_datom_cmp(order, ri_item_datom(*out), d) == 0;
}
