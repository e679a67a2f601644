/* SPDX-License-Identifier: MIT
 *
 * Datoms of a range by number. A sample of a range is its datoms at even distances.
 *
 *   number   0 ........ base_count - 1 | base_count ........ count - 1
 *            base, by rank               novelty, by its sum of deltas
 *
 * Cost: two descents and two searches for a range, one descent or one search for a datom.
 */
#include "db.h"

int ri_picker_init(ri_picker *picker, const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to,
                   ri_io *io, rille_err *err)
{
    uint64_t base;
    *picker = (ri_picker){ .db = db, .order = order };
    RI_TRY(ri_tree_range(db->store, &db->base->tree[order], &db->base->root[order], from, to, io, &picker->base_first,
                         &base, err));
    ri_set_cut before = ri_set_cut_of(order, from);
    ri_set_cut after = ri_set_cut_of(order, to);
    RI_TRY(ri_novelty_between(&db->novelty, &before, &after, &picker->set, &picker->hold, err));
    picker->set_first = ri_set_rank(picker->set, &before);
    int64_t added = ri_set_rank(picker->set, &after) - picker->set_first;
    int64_t count = (int64_t)base + added;
    picker->count = count > 0 ? (uint64_t)count : 0;
    picker->base_count = base < picker->count ? base : picker->count;
    return 0;
}

void ri_picker_deinit(ri_picker *picker)
{
    ri_set_release(picker->hold);
    picker->hold = NULL;
}

int ri_picker_get(const ri_picker *picker, uint64_t number, ri_io *io, ri_datom *out, ri_object **hold, rille_err *err)
{
    const rille_db *db = picker->db;
    *hold = NULL;
    if (number >= picker->base_count) {
        const ri_datom *d = ri_set_at(picker->set, picker->set_first + (int64_t)(number - picker->base_count));
        if (d == NULL) {
            return RILLE_DONE;
        }
        *out = *d;
        return 0;
    }
    ri_node *leaf;
    uint32_t row;
    RI_TRY(ri_tree_at(db->store, &db->base->tree[picker->order], &db->base->root[picker->order],
                      picker->base_first + number, io, &leaf, &row, err));
    ri_node_datom(leaf, row, out);
    *hold = &leaf->object;
    return 0;
}
