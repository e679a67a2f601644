/* SPDX-License-Identifier: MIT
 *
 * From operations to datoms, against the database before.
 *
 * Operations come sorted by (e, slot, v), so each attribute of each entity is one group, and the datoms of groups
 * follow each other in the block's order. In a group
 *
 *   cardinality one    at most one value is added; what is current (one probe) is retracted if it is another, or if
 *                      that is asked for
 *   cardinality many   each value is probed; retracting all scans the values
 *
 * and what is true already, or not true anyway, makes no datom. Adding and retracting one value is a conflict, whatever
 * the order. An entity that is new is never probed.
 *
 * Probes move one scan over EAVT forwards. When one needs storage (RILLE_NEED), the rest is still looked through, to
 * ask for all there is to ask for; what was made so far is thrown away.
 *
 * Cost: a new entity's datom is a compare and a copy of its bytes; else one probe a group or value.
 */
#include "tx_resolver.h"

typedef enum probe_state { PROBE_NONE, PROBE_FOUND, PROBE_PENDING } probe_state;

/* One attribute of one entity. */
typedef struct group {
    const tx_op *ops;
    size_t count;
    const ri_attr *attr;
    uint64_t e;
    bool fresh;
} group;

/* ---- reading ---- */

static void open_scan(tx_resolver *r)
{
    if (!r->scan_open) {
        ri_scan_init(&r->scan, r->db, RI_EAVT);
        r->scan_open = true;
    }
}

/* The first datom between two cuts; it is borrowed until the next probe. */
static int probe(tx_resolver *r, const ri_bound *from, const ri_bound *to, ri_datom *out, probe_state *state)
{
    open_scan(r);
    ri_scan_expect(&r->scan, RI_AHEAD_MOVES, NULL);
    ri_scan_set(&r->scan, from, to);
    ri_run run;
    int rc = ri_scan_next(&r->scan, &run, r->io, r->err);
    if (rc < 0 || ri_tx_lacks_time(r, rc)) {
        return rc;
    }
    *state = rc == RILLE_NEED ? PROBE_PENDING : rc == RILLE_DONE ? PROBE_NONE : PROBE_FOUND;
    if (rc == RILLE_OK) {
        ri_run_datom(&run, 0, out);
    }
    r->need = r->need || rc == RILLE_NEED;
    return RILLE_OK;
}

static int probe_attr(tx_resolver *r, const group *g, ri_datom *out, probe_state *state)
{
    *state = PROBE_NONE;
    if (g->fresh) {
        return RILLE_OK;
    }
    ri_bound from = ri_bound_ea(g->e, g->attr->id, false);
    ri_bound to = ri_bound_ea(g->e, g->attr->id, true);
    return probe(r, &from, &to, out, state);
}

/* The datom that is found has an equal value, which may have other bytes: 1 and 1.0 are equal. */
static int probe_value(tx_resolver *r, const group *g, const ri_value *v, ri_datom *out, probe_state *state)
{
    *state = PROBE_NONE;
    if (g->fresh) {
        return RILLE_OK;
    }
    ri_bound from = ri_bound_eav(g->e, g->attr->id, v, false);
    ri_bound to = ri_bound_eav(g->e, g->attr->id, v, true);
    return probe(r, &from, &to, out, state);
}

/* ---- writing ---- */

static int emit(tx_resolver *r, const group *g, const ri_value *v, bool added)
{
    ri_block *block = r->block;
    if (g->attr->id == RI_A_TX_INSTANT && (g->e != r->t || !added)) { /* to say again what it is changes nothing */
        ri_tx_blame(r, 1U << TX_ADD | 1U << TX_RETRACT | 1U << TX_RETRACT_ALL, g->e, TX_INSTANT_SLOT, NULL);
        return ri_tx_fixed_instant(r->err);
    }
    if (!ri_block_reserve(block, block->count + 1)) {
        return ri_fail_nomem(r->err);
    }
    ri_datom *d = &block->datoms[block->count];
    *d = (ri_datom){ .e = g->e, .t = r->t, .v = *v, .a = g->attr->id, .added = added };
    if (!ri_type_is_word(v->type) && !ri_value_copy(&block->memory->arena, v, &d->v)) {
        return ri_fail_nomem(r->err);
    }
    block->count++;
    return RILLE_OK;
}

static int emit_add(tx_resolver *r, const group *g, const tx_op *op)
{
    if ((op->code & TX_WITH_BLOB) != 0) {
        const tx_long *content = (const tx_long *)(const void *)op->v.as.p;
        r->blobs[r->blob_count++] = (struct ri_long_value){ ri_stub_addr(&op->v), content->bytes, content->len };
    }
    return emit(r, g, &op->v, true);
}

/* ---- messages ---- */

static int two_values(tx_resolver *r, const group *g, const ri_value *a, const ri_value *b)
{
    char entity[TX_SHOW_SIZE];
    char first[100];
    char second[100];
    ri_tx_blame(r, 1U << TX_ADD, g->e, tx_slot(r->tx, g->attr), NULL);
    return ri_fail(r->err, RILLE_TX_CONFLICT,
                   "attribute :%s of %s would have two values, %s and %s, but it has cardinality one", g->attr->ident,
                   ri_tx_show_entity(r, g->e, entity, sizeof entity), ri_value_show(first, sizeof first, a),
                   ri_value_show(second, sizeof second, b));
}

static int both_ways(tx_resolver *r, const group *g, const ri_value *v)
{
    char entity[TX_SHOW_SIZE];
    char value[100];
    ri_tx_blame(r, TX_BLAME_BOTH_WAYS, g->e, tx_slot(r->tx, g->attr), NULL);
    return ri_fail(r->err, RILLE_TX_CONFLICT, "attribute :%s of %s: the value %s is both added and retracted",
                   g->attr->ident, ri_tx_show_entity(r, g->e, entity, sizeof entity),
                   ri_value_show(value, sizeof value, v));
}

static int cas_failed(tx_resolver *r, const group *g, const ri_value *old_v, const ri_value *found)
{
    char entity[TX_SHOW_SIZE];
    char expected[100];
    char value[100];
    ri_tx_blame(r, 1U << TX_CHECK, g->e, tx_slot(r->tx, g->attr), NULL);
    return ri_fail(r->err, RILLE_TX_CAS, "attribute :%s of %s is %s, expected %s", g->attr->ident,
                   ri_tx_show_entity(r, g->e, entity, sizeof entity),
                   found == NULL           ? "a different value"
                   : found->type == RI_NIL ? "absent"
                                           : ri_value_show(value, sizeof value, found),
                   old_v->type == RI_NIL ? "none" : ri_value_show(expected, sizeof expected, old_v));
}

static ri_value cas_old(const tx_resolver *r, const tx_op *op)
{
    ri_value v = ((const tx_cas *)(const void *)op->v.as.p)->old_v;
    return v.type == RI_REF ? ri_ref(ri_tx_entity_id(r, v.as.u)) : v;
}

/* ---- cardinality one ---- */

typedef struct wish {
    const tx_op *add;
    bool all; /* retract whatever there is */
} wish;

static int read_wish(tx_resolver *r, const group *g, wish *out)
{
    *out = (wish){ NULL, false };
    for (size_t i = 0; i < g->count; i++) {
        const tx_op *op = &g->ops[i];
        tx_kind kind = tx_op_kind(op);
        if (kind == TX_RETRACT_ALL) {
            out->all = true;
        } else if (kind == TX_ADD) {
            if (out->add != NULL && !ri_value_eq(&out->add->v, &op->v)) {
                return two_values(r, g, &out->add->v, &op->v);
            }
            out->add = op;
        }
    }
    for (size_t i = 0; i < g->count && out->add != NULL; i++) {
        tx_kind kind = tx_op_kind(&g->ops[i]);
        if ((kind == TX_RETRACT || kind == TX_RETRACT_KNOWN) && ri_value_eq(&out->add->v, &g->ops[i].v)) {
            return both_ways(r, g, &out->add->v);
        }
    }
    return RILLE_OK;
}

/* current: NULL if there is none. */
static int check_one(tx_resolver *r, const group *g, const ri_value *current, bool *retracted)
{
    ri_value none = ri_nil();
    *retracted = false;
    for (size_t i = 0; i < g->count; i++) {
        const tx_op *op = &g->ops[i];
        tx_kind kind = tx_op_kind(op);
        if (kind == TX_CHECK) {
            ri_value old_v = cas_old(r, op);
            if (!ri_value_eq(&old_v, current == NULL ? &none : current)) {
                return cas_failed(r, g, &old_v, current == NULL ? &none : current);
            }
        } else if (kind == TX_RETRACT || kind == TX_RETRACT_KNOWN) {
            *retracted = *retracted || (current != NULL && ri_value_eq(current, &op->v));
        }
    }
    return RILLE_OK;
}

static int make_one(tx_resolver *r, const group *g)
{
    wish w;
    RI_TRY(read_wish(r, g, &w));
    ri_datom current;
    probe_state state;
    RI_TRY(probe_attr(r, g, &current, &state));
    if (state == PROBE_PENDING) {
        return RILLE_OK;
    }
    bool found = state == PROBE_FOUND;
    bool retracted;
    RI_TRY(check_one(r, g, found ? &current.v : NULL, &retracted));
    retracted = found && (retracted || w.all);
    if (w.add == NULL) {
        return retracted ? emit(r, g, &current.v, false) : RILLE_OK;
    }
    if (!found) {
        return emit_add(r, g, w.add);
    }
    int order = ri_value_cmp(&current.v, &w.add->v);
    if (order == 0) {
        return retracted ? both_ways(r, g, &current.v) : RILLE_OK;
    }
    if (order < 0) {
        RI_TRY(emit(r, g, &current.v, false));
        return emit_add(r, g, w.add);
    }
    RI_TRY(emit_add(r, g, w.add));
    return emit(r, g, &current.v, false);
}

/* ---- cardinality many ---- */

static int check_many(tx_resolver *r, const group *g)
{
    for (size_t i = 0; i < g->count && tx_op_kind(&g->ops[i]) < TX_ADD; i++) {
        if (tx_op_kind(&g->ops[i]) != TX_CHECK) {
            continue;
        }
        ri_value old_v = cas_old(r, &g->ops[i]);
        ri_datom first;
        probe_state state;
        if (old_v.type == RI_NIL) {
            RI_TRY(probe_attr(r, g, &first, &state));
            if (state == PROBE_FOUND) {
                return cas_failed(r, g, &old_v, &first.v);
            }
        } else {
            RI_TRY(probe_value(r, g, &old_v, &first, &state));
            if (state == PROBE_NONE) {
                return cas_failed(r, g, &old_v, NULL);
            }
        }
    }
    return RILLE_OK;
}

/* One value: ops[0..count) are all there is to it. */
static int make_value(tx_resolver *r, const group *g, const tx_op *ops, size_t count)
{
    const tx_op *add = NULL;
    bool retract = false;
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        tx_kind kind = tx_op_kind(&ops[i]);
        add = kind == TX_ADD ? &ops[i] : add;
        retract = retract || kind == TX_RETRACT || kind == TX_RETRACT_KNOWN;
        known = known || kind == TX_RETRACT_KNOWN;
    }
    if (add != NULL && retract) {
        return both_ways(r, g, &add->v);
    }
    probe_state state = PROBE_FOUND;
    ri_datom current = { .v = ops[0].v };
    if (!known) {
        RI_TRY(probe_value(r, g, &ops[0].v, &current, &state));
    }
    if (add != NULL) {
        return state == PROBE_NONE ? emit_add(r, g, add) : RILLE_OK;
    }
    return state == PROBE_FOUND ? emit(r, g, &current.v, false) : RILLE_OK;
}

/* The operations on the value of ops[from], which are adjacent. */
static size_t value_end(const group *g, size_t from)
{
    size_t end = from + 1;
    while (end < g->count && ri_value_eq(&g->ops[end].v, &g->ops[from].v)) {
        end++;
    }
    return end;
}

/* Adds whose value lies below v (NULL: all of the rest); one that equals it is a conflict. */
static int adds_below(tx_resolver *r, const group *g, size_t *next, const ri_value *v)
{
    while (*next < g->count) {
        const tx_op *op = &g->ops[*next];
        int order = v == NULL ? -1 : ri_value_cmp(&op->v, v);
        if (order > 0) {
            break;
        }
        size_t end = value_end(g, *next);
        const tx_op *add = NULL;
        bool retract = false;
        for (; *next < end; (*next)++) {
            add = tx_op_kind(&g->ops[*next]) == TX_ADD ? &g->ops[*next] : add;
            retract = retract || tx_op_kind(&g->ops[*next]) != TX_ADD;
        }
        if (add != NULL && (retract || order == 0)) {
            return both_ways(r, g, &add->v);
        }
        if (add != NULL) {
            RI_TRY(emit_add(r, g, add));
        }
    }
    return RILLE_OK;
}

/* Everything there is goes; ops[next..] are single values. */
static int make_all(tx_resolver *r, const group *g, size_t next)
{
    ri_bound from = ri_bound_ea(g->e, g->attr->id, false);
    ri_bound to = ri_bound_ea(g->e, g->attr->id, true);
    open_scan(r);
    ri_scan_expect(&r->scan, RI_AHEAD_ALL, NULL);
    ri_scan_set(&r->scan, &from, &to);
    while (!g->fresh) {
        ri_run run;
        int rc = ri_scan_next(&r->scan, &run, r->io, r->err);
        if (ri_tx_lacks_time(r, rc)) {
            return rc;
        }
        if (rc == RILLE_NEED) {
            r->need = true;
            return RILLE_OK;
        }
        if (rc == RILLE_DONE) {
            break;
        }
        RI_TRY(rc);
        for (uint32_t i = 0; i < ri_run_count(&run); i++) {
            ri_datom d;
            ri_run_datom(&run, i, &d);
            RI_TRY(adds_below(r, g, &next, &d.v));
            RI_TRY(emit(r, g, &d.v, false));
        }
    }
    return adds_below(r, g, &next, NULL);
}

static int make_many(tx_resolver *r, const group *g)
{
    RI_TRY(check_many(r, g));
    size_t i = 0;
    bool all = false;
    for (; i < g->count && tx_op_kind(&g->ops[i]) < TX_ADD; i++) {
        all = all || tx_op_kind(&g->ops[i]) == TX_RETRACT_ALL;
    }
    if (all) {
        return make_all(r, g, i);
    }
    while (i < g->count) {
        size_t end = value_end(g, i);
        RI_TRY(make_value(r, g, g->ops + i, end - i));
        i = end;
    }
    return RILLE_OK;
}

/* ---- all of them ---- */

/* ops[0..count) are all of one entity, sorted. */
int ri_tx_make_entity(tx_resolver *r, const tx_op *ops, size_t count)
{
    group g = { .e = ops->e, .fresh = tx_is_fresh(r, ops->e) };
    for (size_t i = 0; i < count; i += g.count) {
        uint32_t slot = tx_op_slot(&ops[i]);
        g.ops = &ops[i];
        g.attr = tx_attr(r->tx, slot);
        g.count = 1;
        while (i + g.count < count && tx_op_slot(&ops[i + g.count]) == slot) {
            g.count++;
        }
        if (g.fresh && g.count == 1 && tx_op_kind(g.ops) == TX_ADD) {
            RI_TRY(emit_add(r, &g, g.ops));
        } else {
            RI_TRY(g.attr->many ? make_many(r, &g) : make_one(r, &g));
        }
    }
    return RILLE_OK;
}

/* The same, or nothing: RILLE_NEED. */
static int make_entity(tx_resolver *r, const tx_op *ops, size_t count)
{
    size_t datoms = r->block->count;
    size_t blobs = r->blob_count;
    int rc = ri_tx_make_entity(r, ops, count);
    if (rc == RILLE_NEED) {
        r->block->count = datoms;
        r->blob_count = blobs;
    }
    return rc;
}

static int begin_block(tx_resolver *r, size_t expected_count)
{
    if (r->block != NULL) {
        return RILLE_OK;
    }
    bool has_blobs = r->survey.blob_count > 0; /* which a block of with() keeps in memory of its own */
    r->block = ri_block_new_for(expected_count, has_blobs ? NULL : &r->tx->blocks);
    if (r->block == NULL) {
        return ri_fail_nomem(r->err);
    }
    r->block->t = r->t;
    return RILLE_OK;
}

int ri_tx_make_datoms(tx_resolver *r)
{
    tx_op *ops = r->ops;
    RI_TRY(begin_block(r, r->op_count));
    while (r->at < r->op_count) {
        size_t end = r->at + 1;
        while (end < r->op_count && ops[end].e == ops[r->at].e) {
            end++;
        }
        RI_TRY(ri_tx_sort_entity(r, ops + r->at, end - r->at));
        RI_TRY(make_entity(r, ops + r->at, end - r->at));
        size_t count = end - r->at;
        r->at = end;
        if (ri_tx_pause(r, count * TX_DATOM_WORK)) {
            return RILLE_NEED;
        }
    }
    return RILLE_OK;
}

/* The items of the next entity into r->ops. */
static int take_entity(tx_resolver *r, size_t *next)
{
    const ri_tx *tx = r->tx;
    r->op_count = 0;
    do {
        tx_op op = tx_known_op(r, &tx->items[*next]);
        if (r->op_count > 0 && op.e != r->ops[0].e) {
            break;
        }
        if (r->op_count + 1 >= r->op_cap &&
            !RI_GROW(&r->ops, &r->op_cap, r->op_count + 2)) { /* and room for the instant */
            return ri_fail_nomem(r->err);
        }
        r->ops[r->op_count++] = op;
    } while (++*next < tx->item_count);
    return RILLE_OK;
}

int ri_tx_make_datoms_in_order(tx_resolver *r)
{
    RI_TRY(begin_block(r, r->tx->item_count + 1));
    while (r->at < r->tx->item_count) {
        size_t next = r->at;
        RI_TRY(take_entity(r, &next));
        bool is_own = r->ops[0].e == r->t && !r->instant_made; /* the largest of all */
        if (is_own) {
            r->ops[r->op_count++] = tx_instant_op(r);
        }
        if (r->op_count > r->other_count) {
            r->other = NULL;
            r->other_count = r->op_cap;
        }
        RI_TRY(ri_tx_sort_entity(r, r->ops, r->op_count));
        RI_TRY(make_entity(r, r->ops, r->op_count));
        r->instant_made = r->instant_made || is_own;
        r->at = next;
        if (ri_tx_pause(r, r->op_count * TX_DATOM_WORK)) {
            return RILLE_NEED;
        }
    }
    if (r->instant_made) {
        return RILLE_OK;
    }
    tx_op instant = tx_instant_op(r);
    r->instant_made = true;
    return ri_tx_make_entity(r, &instant, 1);
}
