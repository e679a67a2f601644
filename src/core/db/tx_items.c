/* SPDX-License-Identifier: MIT
 *
 * Which items of the transaction data an error is about. What resolving finds out is about entities, attributes and
 * values; the user wrote a list of items. Only when something failed the operations are looked through for those that say
 * it, so items cost no more than a number each.
 */
#include "tx_inside.h"

#include <stdio.h>

#define SHOWN_MAX 3U /* items named in a message */

void ri_tx_blame(tx_resolver *r, unsigned kinds, uint64_t word, uint32_t slot, const ri_value *v)
{
    r->blame = (tx_blame){ .kinds = kinds, .word = word, .slot = slot, .has_value = v != NULL };
    if (v != NULL) {
        r->blame.v = *v;
    }
}

int ri_tx_begin_item(ri_tx *tx, bool meta, rille_err *err)
{
    if (!RI_GROW(&tx->starts, &tx->start_cap, tx->start_count + 1)) {
        return ri_fail_nomem(err);
    }
    tx->starts[tx->start_count++] = (uint32_t)tx->item_count;
    tx->has_meta = meta;
    return RILLE_OK;
}

static bool same_word(const tx_resolver *r, uint64_t a, uint64_t b)
{
    return a == b || ri_tx_known_word(r, a) == ri_tx_known_word(r, b);
}

static bool is_blamed(const tx_resolver *r, const tx_op *op)
{
    const tx_blame *blame = &r->blame;
    tx_kind kind = tx_op_kind(op);
    if (blame->item != NULL) {
        return op == blame->item;
    }
    if ((blame->kinds & 1U << kind) == 0) {
        return false;
    }
    if (blame->kinds == TX_BLAME_ANY) { /* whatever names the entity */
        ri_value v = kind == TX_CHECK ? ((const tx_cas *)(const void *)op->v.as.p)->old_v : op->v;
        return same_word(r, op->e, blame->word) || (v.type == RI_REF && same_word(r, v.as.u, blame->word));
    }
    if (kind != TX_RETRACT_ENTITY && tx_op_slot(op) != blame->slot) {
        return false;
    }
    if (blame->has_value && kind == TX_ADD) {
        ri_value v = op->v.type == RI_REF ? ri_ref(ri_tx_entity_id(r, op->v.as.u)) : op->v;
        return ri_value_eq(&v, &blame->v) || ri_value_eq(&op->v, &blame->v);
    }
    return same_word(r, op->e, blame->word);
}

/* The number of the item, from 1; 0: it is of the options' meta. */
static uint32_t item_of(const ri_tx *tx, size_t op)
{
    size_t low = 0;
    size_t high = tx->start_count;
    while (low < high) { /* the last one that starts at the operation or before */
        size_t mid = low + (high - low) / 2;
        if (tx->starts[mid] <= op) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return tx->has_meta && low == tx->start_count ? 0 : (uint32_t)low;
}

typedef struct items {
    uint32_t shown[SHOWN_MAX]; /* numbers; 0: the options' meta */
    unsigned count;
    bool more;
} items;

static items find_items(const tx_resolver *r)
{
    const ri_tx *tx = r->tx;
    items out = { .count = 0 };
    for (size_t i = 0; i < tx->item_count && !out.more; i++) {
        uint32_t number = is_blamed(r, &tx->items[i]) ? item_of(tx, i) : UINT32_MAX;
        if (number == UINT32_MAX || (out.count > 0 && out.shown[out.count - 1] == number)) {
            continue;
        }
        out.more = out.count == SHOWN_MAX;
        if (!out.more) {
            out.shown[out.count++] = number;
        }
    }
    return out;
}

/* A lookup ref in the value of another one is said by the items that say that one. */
static void blame_outer_lookup(tx_resolver *r)
{
    const ri_tx *tx = r->tx;
    for (size_t i = 0; i < tx->lookup_count; i++) { /* inner ones come first */
        const tx_lookup *lookup = &tx->lookups[i];
        if (lookup->v.type == RI_REF && same_word(r, lookup->v.as.u, r->blame.word)) {
            r->blame.word = TX_TEMP | lookup->temp;
        }
    }
}

void ri_tx_name_items(tx_resolver *r)
{
    if ((r->blame.kinds == 0 && r->blame.item == NULL) || r->tx->start_count == 0) {
        return;
    }
    items found = find_items(r);
    if (found.count == 0 && r->blame.kinds == TX_BLAME_ANY) {
        blame_outer_lookup(r);
        found = find_items(r);
    }
    char text[SHOWN_MAX * 20 + 10] = "";
    size_t len = 0;
    for (unsigned i = 0; i < found.count; i++) {
        const char *gap = i == 0 ? "" : i + 1 < found.count || found.more ? ", " : " and ";
        int n = found.shown[i] == 0
                    ? snprintf(text + len, sizeof text - len, "%smeta", gap)
                    : snprintf(text + len, sizeof text - len, "%s%lu", gap, (unsigned long)found.shown[i]);
        len += (size_t)n;
    }
    if (found.count == 1 && found.shown[0] == 0) {
        ri_err_prefix(r->err, "meta");
    } else if (found.count > 0) {
        bool several = found.count > 1 && found.shown[1] != 0;
        ri_err_prefix(r->err, "transaction data, item%s %s%s", several ? "s" : "", text, found.more ? ", ..." : "");
    }
}
