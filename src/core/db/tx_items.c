/* SPDX-License-Identifier: MIT
 *
 * Messages of transactions: what they call entities, and which items of the transaction data they are about. What is
 * found out in resolving is about entities, attributes and values; the user wrote a list of items. Only after a failure
 * the operations are looked through for those that it is about, so an item costs no more than a number.
 */
#include "tx_items.h"

#include "tx_resolver.h"

#include <stdio.h>

#define SHOWN_MAX 3U /* items named in a message */

/* ---- entities ---- */

const char *ri_tx_show_entity(const tx_resolver *r, uint64_t e, char *out, size_t size)
{
    const ri_tx *tx = r->tx;
    for (size_t i = 0; i < tx->name_count; i++) {
        const tx_name *name = &tx->names[i];
        if (ri_tx_entity_id(r, TX_TEMP | name->temp) != e || e == 0) {
            continue;
        }
        if (name->name != NULL) {
            (void)snprintf(out, size, "entity %llu (tempid \"%.*s\")", (unsigned long long)e,
                           (int)(name->len < 60 ? name->len : 60), name->name);
        } else {
            (void)snprintf(out, size, "entity %llu (tempid %lld)", (unsigned long long)e, (long long)name->number);
        }
        return out;
    }
    const char *ident = ri_schema_ident_of(tx->schema, e);
    if (ident != NULL) {
        (void)snprintf(out, size, "entity %llu (:%.80s)", (unsigned long long)e, ident);
    } else if (e == r->t) {
        (void)snprintf(out, size, "the transaction (entity %llu)", (unsigned long long)e);
    } else if (e != 0 && tx_is_fresh(r, e)) {
        (void)snprintf(out, size, "a new entity");
    } else {
        (void)snprintf(out, size, "entity %llu", (unsigned long long)e);
    }
    return out;
}

const char *ri_tx_show_temp(const ri_tx *tx, uint32_t root, char *out, size_t size)
{
    for (size_t i = 0; i < tx->name_count; i++) {
        const tx_name *name = &tx->names[i];
        if (ri_tx_temp_root((ri_tx *)tx, name->temp) != root) {
            continue;
        }
        if (name->name != NULL) {
            (void)snprintf(out, size, "tempid \"%.*s\"", (int)(name->len < 60 ? name->len : 60), name->name);
        } else {
            (void)snprintf(out, size, "tempid %lld", (long long)name->number);
        }
        return out;
    }
    (void)snprintf(out, size, "an entity map without :db/id");
    return out;
}

/* ---- items ---- */

void ri_tx_blame(tx_resolver *r, unsigned kinds, uint64_t word, uint32_t slot, const ri_value *v)
{
    r->blame = (tx_blame){ .kinds = kinds, .word = word, .slot = slot, .has_value = v != NULL };
    if (v != NULL) {
        r->blame.v = *v;
    }
}

int ri_tx_begin_item(ri_tx *tx, bool meta, rille_err *err)
{
    tx_starts *starts = &tx->starts;
    if (!RI_GROW(&starts->at, &starts->cap, starts->count + 1)) {
        return ri_fail_nomem(err);
    }
    starts->at[starts->count++] = (uint32_t)tx->item_count;
    starts->has_meta = meta;
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
static uint32_t item_of(const tx_starts *starts, size_t op)
{
    size_t low = 0;
    size_t high = starts->count;
    while (low < high) { /* the last one that starts at the operation or before */
        size_t mid = low + (high - low) / 2;
        if (starts->at[mid] <= op) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return starts->has_meta && low == starts->count ? 0 : (uint32_t)low;
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
        uint32_t number = is_blamed(r, &tx->items[i]) ? item_of(&tx->starts, i) : UINT32_MAX;
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
    if ((r->blame.kinds == 0 && r->blame.item == NULL) || r->tx->starts.count == 0) {
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
