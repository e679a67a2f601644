/* SPDX-License-Identifier: MIT
 *
 * Entities that are retracted as a whole: everything that is said of them or refers to them, and their components with
 * them.
 *
 * Cost: two scans an entity. It pauses between entities.
 */
#include "tx_resolver.h"

static int expand_later(tx_resolver *r, uint64_t e)
{
    tx_expansion *x = &r->expansion;
    bool added;
    if (ri_map64_put(&x->seen, e, &added) == NULL) {
        return ri_fail_nomem(r->err);
    }
    if (added) {
        if (!RI_GROW(&x->todo, &x->todo_cap, x->todo_count + 1)) {
            return ri_fail_nomem(r->err);
        }
        x->todo[x->todo_count++] = e;
    }
    return RILLE_OK;
}

static int retract_datom(tx_resolver *r, const ri_datom *d, bool outgoing)
{
    const ri_attr *attr = ri_schema_attr_by_id(r->tx->schema, d->a);
    if (attr == NULL) {
        return ri_fail(r->err, RILLE_CORRUPT, "entity %llu has a value of attribute %lu, which is not in the schema",
                       (unsigned long long)d->e, (unsigned long)d->a);
    }
    if (!RI_GROW(&r->ops, &r->op_cap, r->op_count + 1)) {
        return ri_fail_nomem(r->err);
    }
    tx_op *op = &r->ops[r->op_count];
    *op = (tx_op){ .e = d->e, .code = tx_slot(r->tx, attr) << TX_SLOT_SHIFT | TX_RETRACT_KNOWN };
    if (!ri_value_copy(&r->tx->scratch, &d->v, &op->v)) {
        return ri_fail_nomem(r->err);
    }
    r->op_count++;
    return outgoing && attr->component && d->v.type == RI_REF ? expand_later(r, d->v.as.u) : RILLE_OK;
}

/* Calls visit for each datom between the cuts. */
static int visit_range(tx_resolver *r, ri_order order, ri_bound from, ri_bound to,
                       int (*visit)(tx_resolver *r, const ri_datom *d, bool outgoing))
{
    ri_scan scan;
    ri_scan_init(&scan, r->db, order);
    ri_scan_expect(&scan, RI_AHEAD_ALL, NULL);
    ri_scan_set(&scan, &from, &to);
    ri_run run;
    int rc;
    while ((rc = ri_scan_next(&scan, &run, r->io, r->err)) == RILLE_OK) {
        for (uint32_t i = 0; rc == RILLE_OK && i < ri_run_count(&run); i++) {
            ri_datom d;
            ri_run_datom(&run, i, &d);
            rc = visit(r, &d, order == RI_EAVT);
        }
        if (rc != RILLE_OK) {
            break;
        }
    }
    ri_scan_deinit(&scan);
    return rc == RILLE_DONE ? RILLE_OK : rc;
}

static bool can_go(uint64_t e)
{
    return e >= RI_EID_ATTR && e < RI_TX_BASE;
}

static int expand_entity(tx_resolver *r, uint64_t e)
{
    if (!can_go(e) || tx_is_fresh(r, e)) { /* what is no component by nature loses the reference only */
        return RILLE_OK;
    }
    int rc = visit_range(r, RI_EAVT, ri_bound_e(e, false), ri_bound_e(e, true), retract_datom);
    if (rc < 0 || ri_tx_lacks_time(r, rc)) {
        return rc;
    }
    RI_TRY(visit_range(r, RI_VAET, ri_bound_v(e, false), ri_bound_v(e, true), retract_datom));
    return rc;
}

static int take_part(tx_resolver *r, const ri_datom *d, bool outgoing)
{
    return outgoing && d->v.type == RI_REF ? expand_later(r, d->v.as.u) : RILLE_OK;
}

static int expand_op(tx_resolver *r, const tx_op *op)
{
    char shown[TX_SHOW_SIZE];
    if (tx_op_kind(op) == TX_RETRACT_PARTS) {
        uint32_t a = tx_attr(r->tx, tx_op_slot(op))->id;
        return tx_is_fresh(r, op->e)
                   ? RILLE_OK
                   : visit_range(r, RI_EAVT, ri_bound_ea(op->e, a, false), ri_bound_ea(op->e, a, true), take_part);
    }
    if (can_go(op->e)) {
        return expand_later(r, op->e);
    }
    ri_tx_blame(r, 1U << TX_RETRACT_ENTITY, op->e, 0, NULL);
    return ri_fail(r->err, RILLE_SCHEMA, "cannot retract %s: it %s", ri_tx_show_entity(r, op->e, shown, sizeof shown),
                   op->e < RI_EID_ATTR ? "is built in" : "is a transaction");
}

static bool push(uint64_t **list, size_t *count, size_t *cap, uint64_t e)
{
    if (!RI_GROW(list, cap, *count + 1)) {
        return false;
    }
    (*list)[(*count)++] = e;
    return true;
}

/* Those that lack a node wait for the next run, the others go on and find what they lack. Without time, it is next again.
 * The entities that were found stay found. */
static int expand_op_next(tx_resolver *r)
{
    tx_expansion *x = &r->expansion;
    int rc = expand_op(r, &r->expanded[r->at]);
    if (rc < 0 || ri_tx_lacks_time(r, rc)) {
        return rc;
    }
    if (rc == RILLE_NEED) {
        r->expanded[x->op_count++] = r->expanded[r->at];
    }
    r->at++;
    return RILLE_OK;
}

static int expand_entity_next(tx_resolver *r)
{
    tx_expansion *x = &r->expansion;
    uint64_t e = x->todo[--x->todo_count];
    size_t before = r->op_count;
    int rc = expand_entity(r, e);
    if (rc != RILLE_NEED) {
        return rc;
    }
    r->op_count = before;
    bool next = ri_tx_lacks_time(r, rc);
    bool good =
        next ? push(&x->todo, &x->todo_count, &x->todo_cap, e) : push(&x->later, &x->later_count, &x->later_cap, e);
    return !good ? ri_fail_nomem(r->err) : next ? rc : RILLE_OK;
}

/* What waited is what there is to do in the next run. */
static int wait_for_nodes(tx_resolver *r)
{
    tx_expansion *x = &r->expansion;
    for (; x->later_count > 0; x->later_count--) {
        if (!push(&x->todo, &x->todo_count, &x->todo_cap, x->later[x->later_count - 1])) {
            return ri_fail_nomem(r->err);
        }
    }
    r->expanded_count = x->op_count;
    x->op_count = 0;
    r->at = 0;
    r->paused = true;
    return RILLE_NEED;
}

int ri_tx_expand(tx_resolver *r)
{
    const tx_expansion *x = &r->expansion;
    while (r->at < r->expanded_count || x->todo_count > 0) {
        size_t before = r->op_count;
        RI_TRY(r->at < r->expanded_count ? expand_op_next(r) : expand_entity_next(r));
        if (ri_tx_pause(r, TX_KEY_WORK + (r->op_count - before) * TX_DATOM_WORK)) {
            return RILLE_NEED;
        }
    }
    return x->later_count + x->op_count > 0 ? wait_for_nodes(r) : RILLE_OK;
}
