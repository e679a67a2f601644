/* SPDX-License-Identifier: MIT */
#include "db.h"

#include <stdio.h>

#include "head.h"
#include "segment.h"

#include <string.h>

rille_db *ri_db_retain(rille_db *db)
{
    if (db != NULL) {
        ri_refs_take(&db->refs);
    }
    return db;
}

void ri_db_release(rille_db *db)
{
    if (db != NULL && ri_refs_drop(&db->refs)) {
        ri_novelty_deinit(&db->novelty);
        ri_schema_release(db->schema);
        ri_base_release(db->base);
        ri_store_release(db->store);
        ri_free(db);
    }
}

int ri_db_blob(const rille_db *db, const ri_value *stub, ri_io *io, ri_blob **out, rille_err *err)
{
    const uint8_t *addr = ri_stub_addr(stub);
    for (const ri_block *b = db->speculative ? db->novelty.last : NULL; b != NULL; b = b->prev) {
        const ri_block_memory *memory = b->memory;
        for (size_t i = 0; i < memory->blob_count; i++) {
            if (memcmp(memory->blobs[i].addr, addr, RI_HASH_SIZE) == 0) {
                *out = memory->blobs[i].blob;
                ri_object_take(&(*out)->object);
                return 0;
            }
        }
    }
    return ri_store_get_blob(db->store, addr, io, out, err);
}

int ri_db_attempt(const rille_db *db, uint64_t attempt, ri_io *io, uint64_t *t, rille_err *err)
{
    for (const ri_block *b = db->novelty.last; b != NULL; b = b->prev) {
        if (b->attempt == attempt) {
            *t = b->t;
            return 0;
        }
    }
    *t = 0;
    if (ri_addr_is_zero(db->base->attempts_addr)) {
        return 0;
    }
    ri_blob *blob;
    RI_TRY(ri_store_get_blob(db->store, db->base->attempts_addr, io, &blob, err));
    uint64_t t_last;
    int rc = ri_attempts_find(blob->bytes, blob->len, attempt, t, &t_last, err);
    ri_object_release(&blob->object);
    return rc;
}

/* ---- bounds ---- */

static ri_bound bound_of(uint8_t parts, bool after)
{
    ri_bound bound = { { 0 }, parts, after };
    return bound;
}

ri_bound ri_bound_all(bool after)
{
    return bound_of(0, after);
}

ri_bound ri_bound_e(uint64_t e, bool after)
{
    ri_bound bound = bound_of(1, after);
    bound.d.e = e;
    return bound;
}

ri_bound ri_bound_ea(uint64_t e, uint32_t a, bool after)
{
    ri_bound bound = bound_of(2, after);
    bound.d.e = e;
    bound.d.a = a;
    return bound;
}

ri_bound ri_bound_a(uint32_t a, bool after)
{
    ri_bound bound = bound_of(1, after);
    bound.d.a = a;
    return bound;
}

ri_bound ri_bound_av(uint32_t a, const ri_value *v, bool after)
{
    ri_bound bound = bound_of(2, after);
    bound.d.a = a;
    bound.d.v = *v;
    return bound;
}

ri_bound ri_bound_eav(uint64_t e, uint32_t a, const ri_value *v, bool after)
{
    ri_bound bound = bound_of(3, after);
    bound.d.e = e;
    bound.d.a = a;
    bound.d.v = *v;
    return bound;
}

ri_bound ri_bound_v(uint64_t ref, bool after)
{
    ri_bound bound = bound_of(1, after);
    bound.d.v = ri_ref(ref);
    return bound;
}

ri_bound ri_bound_va(uint64_t ref, uint32_t a, bool after)
{
    ri_bound bound = bound_of(2, after);
    bound.d.v = ri_ref(ref);
    bound.d.a = a;
    return bound;
}

/* ---- messages ---- */

int ri_db_unknown_attr(const rille_db *db, const char *source, const char *ident, size_t len, rille_err *err)
{
    (void)ri_schema_unknown(db->schema, source, ident, len, err);
    if (db->past) {
        char note[120];
        char instant[40];
        instant[ri_instant_format(instant, db->instant)] = '\0';
        (void)snprintf(note, sizeof note, "; the database value is as of %s (transaction %llu)", instant,
                       (unsigned long long)db->t);
        ri_err_append(err, note);
    }
    return RILLE_ATTRIBUTE;
}

/* ---- single answers ---- */

int ri_db_first(const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to, ri_io *io, ri_datom *out,
                ri_object **hold, rille_err *err)
{
    *hold = NULL;
    ri_scan scan;
    ri_run run;
    ri_scan_init(&scan, db, order);
    scan.views = RI_VIEWS_NEVER;
    scan.rows_max = 1;
    ri_scan_set(&scan, from, to);
    int rc = ri_scan_next(&scan, &run, io, err);
    if (rc == 0 && run.leaf != NULL) {
        ri_node *leaf = (ri_node *)(uintptr_t)run.leaf; /* only its count changes */
        ri_object_take(&leaf->object);
        *hold = &leaf->object;
        ri_node_datom(leaf, run.from, out);
    } else if (rc == 0) {
        *out = *run.rows[0];
    }
    ri_scan_deinit(&scan);
    return rc;
}

#define ITEMS_MAX 4U

/* What the novelty has of a prefix. */
typedef struct items {
    const ri_datom *d[ITEMS_MAX];
    unsigned count;
} items;

/* False: there are more. */
static bool take_items(const ri_set_node *set, const ri_set_cut *from, const ri_set_cut *to, items *out)
{
    ri_set_cursor cursor;
    ri_set_seek(&cursor, set, from);
    while (!ri_set_at_end(&cursor)) {
        const ri_set_node *leaf = ri_set_leaf(&cursor);
        uint32_t slot = ri_set_slot(&cursor);
        uint32_t end = ri_set_gallop(leaf, slot, to);
        if (end - slot > ITEMS_MAX - out->count) {
            return false;
        }
        for (; slot < end; slot++) {
            out->d[out->count++] = ri_item_datom(ri_set_items(leaf)[slot]);
        }
        if (end < leaf->count) {
            break;
        }
        ri_set_move(&cursor, end);
    }
    return true;
}

static int find_items(const rille_db *db, ri_order order, const ri_bound *prefix, items *out, rille_err *err)
{
    out->count = 0;
    if (db->novelty.last == NULL) {
        return 0;
    }
    ri_bound after = *prefix;
    after.after = true;
    ri_set_cut from = ri_set_cut_of(order, prefix);
    ri_set_cut to = ri_set_cut_of(order, &after);
    const ri_set_node *set;
    ri_set_node *hold;
    RI_TRY(ri_novelty_between(&db->novelty, &from, &to, &set, &hold, err));
    bool all = take_items(set, &from, &to, out);
    ri_set_release(hold); /* the datoms are the blocks' */
    return all ? 0 : RILLE_AGAIN;
}

/* A row of the base (of `leaf`, a reference), or a datom of the novelty. */
typedef struct only {
    ri_node *leaf; /* NULL: item */
    uint32_t row;
    const ri_datom *item;
} only;

/* The row, if there is exactly one, and no item hides it. */
static int find_row(const rille_db *db, ri_order order, const ri_bound *prefix, const items *hiding, ri_io *io,
                    only *out, rille_err *err)
{
    uint32_t end;
    bool more;
    RI_TRY(ri_tree_equal(db->store, &db->base->tree[order], &db->base->root[order], prefix, io, &out->leaf, &out->row,
                         &end, &more, err));
    int rc = more || end - out->row > 1 ? RILLE_AGAIN : out->row == end ? RILLE_DONE : 0;
    for (unsigned i = 0; rc == 0 && i < hiding->count; i++) {
        ri_datom d;
        ri_node_datom(out->leaf, out->row, &d);
        rc = ri_datom_cmp(order, hiding->d[i], &d) == 0 ? RILLE_DONE : 0;
    }
    return rc;
}

static int find_only(const rille_db *db, ri_order order, const ri_bound *prefix, ri_io *io, only *out, rille_err *err)
{
    items new;
    *out = (only){ 0 };
    RI_TRY(find_items(db, order, prefix, &new, err));
    int rc = find_row(db, order, prefix, &new, io, out, err);
    for (unsigned i = 0; i < new.count && (rc == 0 || rc == RILLE_DONE); i++) {
        if (new.d[i]->added) {
            out->item = new.d[i];
            rc = rc == 0 ? RILLE_AGAIN : 0;
        }
    }
    if (rc != 0 || out->item != NULL) {
        ri_node_release(out->leaf);
        out->leaf = NULL;
    }
    return rc;
}

int ri_db_only(const rille_db *db, ri_order order, const ri_bound *prefix, ri_io *io, ri_datom *out, ri_object **hold,
               rille_err *err)
{
    only found;
    *hold = NULL;
    RI_TRY(find_only(db, order, prefix, io, &found, err));
    if (found.leaf != NULL) {
        ri_node_datom(found.leaf, found.row, out);
        *hold = &found.leaf->object;
    } else {
        *out = *found.item;
    }
    return 0;
}

int ri_db_has(const rille_db *db, uint64_t e, uint32_t a, const ri_value *v, ri_io *io, bool *found, uint64_t *t,
              rille_err *err)
{
    ri_datom key = { .e = e, .a = a, .v = *v };
    ri_bound bounds[2] = { { key, 3, false }, { key, 3, true } };
    ri_set_cut from = ri_set_cut_of(RI_EAVT, &bounds[0]);
    ri_set_cut to = ri_set_cut_of(RI_EAVT, &bounds[1]);
    ri_item item;
    const ri_set_node *set;
    ri_set_node *hold;
    *found = false;
    RI_TRY(ri_novelty_between(&db->novelty, &from, &to, &set, &hold, err));
    bool known = ri_set_find(set, RI_EAVT, &key, &item);
    if (known) {
        *found = ri_item_datom(item)->added;
        *t = ri_item_datom(item)->t;
    }
    ri_set_release(hold);
    if (known) {
        return 0;
    }
    ri_datom d;
    ri_node *leaf;
    RI_TRY(ri_tree_get(db->store, &db->base->tree[RI_EAVT], &db->base->root[RI_EAVT], &key, io, found, &d, &leaf, err));
    if (*found) {
        *t = d.t;
    }
    ri_node_release(leaf);
    return 0;
}

static bool is_range(ri_order order, const ri_bound *from, const ri_bound *to)
{
    return from->parts < to->parts ? ri_datom_cmp_bound(order, &to->d, from) > 0
                                   : ri_datom_cmp_bound(order, &from->d, to) < 0;
}

int ri_db_count(const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to, ri_io *io, uint64_t *out,
                rille_err *err)
{
    uint64_t base = 0;
    const ri_set_node *set;
    ri_set_node *hold;
    *out = 0;
    if (!is_range(order, from, to)) {
        return 0; /* what the novelty retracts after `to` and before `from` is no difference to 0 */
    }
    RI_TRY(ri_tree_count(db->store, &db->base->tree[order], &db->base->root[order], from, to, io, &base, err));
    ri_set_cut after = ri_set_cut_of(order, to);
    ri_set_cut before = ri_set_cut_of(order, from);
    RI_TRY(ri_novelty_between(&db->novelty, &before, &after, &set, &hold, err));
    int64_t novelty = ri_set_rank(set, &after) - ri_set_rank(set, &before);
    ri_set_release(hold);
    int64_t count = (int64_t)base + novelty;
    *out = count < 0 ? 0 : (uint64_t)count;
    return 0;
}

bool ri_db_is_indexed(const rille_db *db, uint64_t a)
{
    const ri_attr *attr = ri_schema_attr_by_id(db->schema, a);
    return attr != NULL && ri_attr_is_indexed(attr);
}

int ri_db_check_index(ri_order order, const ri_attr *attr, rille_err *err)
{
    if (order == RI_AVET && attr != NULL && !ri_attr_is_indexed(attr)) {
        return ri_fail(err, RILLE_ATTRIBUTE,
                       "attribute :%s is not in the avet index: define it with :db/index true or :db/unique",
                       attr->ident);
    }
    if (order == RI_VAET && attr != NULL && attr->type != RI_REF) {
        return ri_fail(err, RILLE_ATTRIBUTE, "attribute :%s is not in the vaet index: it is not a ref", attr->ident);
    }
    return 0;
}

int ri_db_count_indexed(const rille_db *db, ri_io *io, uint64_t *out, rille_err *err)
{
    uint64_t sum = 0;
    bool need = false;
    *out = 0;
    for (size_t i = 0; i < db->schema->attr_count; i++) {
        const ri_attr *attr = &db->schema->attrs[i];
        if (ri_attr_is_indexed(attr)) {
            ri_bound from = ri_bound_a(attr->id, false);
            ri_bound to = ri_bound_a(attr->id, true);
            uint64_t count;
            int rc = ri_db_count(db, RI_AVET, &from, &to, io, &count, err);
            need = need || rc == RILLE_NEED;
            RI_TRY(rc == RILLE_NEED ? 0 : rc); /* all of them come together */
            sum += count;
        }
    }
    *out = need ? 0 : sum;
    return need ? RILLE_NEED : 0;
}

int ri_db_lookup(const rille_db *db, const ri_attr *attr, const ri_value *v, ri_io *io, uint64_t *e, rille_err *err)
{
    *e = 0;
    only found;
    ri_bound from = ri_bound_av(attr->id, v, false);
    int rc = find_only(db, RI_AVET, &from, io, &found, err);
    if (rc == 0) {
        *e = found.leaf != NULL ? ri_node_e(found.leaf, found.row) : found.item->e;
        ri_node_release(found.leaf);
    } else if (rc == RILLE_AGAIN) {
        ri_bound to = ri_bound_av(attr->id, v, true);
        ri_datom d;
        ri_object *hold;
        rc = ri_db_first(db, RI_AVET, &from, &to, io, &d, &hold, err);
        *e = rc == 0 ? d.e : 0;
        ri_object_release(hold);
    }
    return rc == RILLE_DONE ? 0 : rc;
}
