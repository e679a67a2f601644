/* SPDX-License-Identifier: MIT
 *
 * A probe of a database whose storage answers later: what is asked for together.
 *
 *   while its input waits    the branches above the leaves of its attribute, if they are few
 *   at the first leaf that   the leaves of all later keys of the batch
 *   is missing
 *   in the next batches      if keys go through leaf after leaf: a window of leaves, as a scan has it
 *
 * Cost: a descent by nodes at hand for each key, once for each round trip.
 */
#include "probe.h"

int ri_probe_ask(ri_probe_stage *self, rille_err *err)
{
    const rille_db *db = self->emit.m.pattern->db;
    const ri_tree *tree = &db->base->tree[self->scan.order];
    ri_io *io = &self->stage.op->io;
    uint32_t leaves_max = ri_window_max(db->store, ri_cursor_leaf(&self->scan.cursor));
    uint32_t leaves = 1;
    uint32_t key = self->key_end;
    ri_noderef last = { 0 };
    for (; key < self->key_count && leaves <= leaves_max && !ri_io_is_full(io); key++) {
        ri_noderef leaf;
        ri_bound from = ri_probe_bound(self, key, false);
        if (self->access != RI_ACCESS_V_BYTES && self->keys[key] == self->keys[key - 1]) {
            continue;
        }
        if (ri_tree_ask(db->store, tree, &from, io, &leaf) != 0) {
            return ri_fail_nomem(err);
        }
        leaves += memcmp(leaf.addr, last.addr, RI_HASH_SIZE) != 0;
        last = leaf;
    }
    self->close = key - self->key >= RI_CLOSE_KEYS * leaves;
    return RILLE_NEED;
}

void ri_probe_expect(ri_probe_stage *self)
{
    self->ahead_to = self->wide ? self->last : ri_probe_bound(self, self->key, true);
    ri_scan_expect(&self->scan, self->wide ? RI_AHEAD_SEEKS : RI_AHEAD_MOVES, &self->ahead_to);
}

int ri_probe_ahead(ri_stage *stage)
{
    const ri_probe_stage *self = (const ri_probe_stage *)stage;
    const ri_pattern *p = self->emit.m.pattern;
    uint32_t a = p->attr != NULL ? p->attr->id : 0;
    bool by_attr = a != 0 && self->scan.order != RI_VAET;
    ri_bound from = by_attr ? ri_bound_a(a, false) : ri_bound_all(false);
    ri_bound to = by_attr ? ri_bound_a(a, true) : ri_bound_all(true);
    return ri_tree_ask_branches(p->db->store, &p->db->base->tree[self->scan.order], &from, &to, &stage->op->io);
}
