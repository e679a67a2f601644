/* SPDX-License-Identifier: MIT
 *
 * The order of a node's rows (N6) and of its dictionaries, on bytes that anybody may have written. The decoder asks
 * once: searches, scans, probes, merges and comparisons of trees rely on it, and some would never end without it.
 *
 * Two neighbours are mostly told apart by the two leading components of the order, which are numbers; where an entity
 * has several values of an attribute, by the codes of these, as dictionaries are in order. Only what is left is compared
 * as datoms.
 *
 * Cost: about 1 ns a row, 5-10 ns an entry of a dictionary.
 */
#include "node_format.h"

/* Of two rows, the lower one first: do they follow each other? */
static bool datoms_sorted(const ri_node *node, uint32_t row)
{
    ri_datom a;
    ri_datom b;
    ri_node_datom(node, row - 1, &a);
    ri_node_datom(node, row, &b);
    return ri_datom_cmp((ri_order)node->order, &a, &b) < 0;
}

/* Rows of one entity and one attribute: the value decides in all orders that ask, unless it is the same. */
static bool values_sorted(const ri_node *node, uint32_t row)
{
    const ri_group *group = ri_node_group(node, row);
    if (group == ri_node_group(node, row - 1) && ri_group_has_values(node->order, group->type) &&
        group->type != RI_TUPLE) {
        uint64_t a = ri_col_get(&group->values, ri_node_rank(node, group, row - 1));
        uint64_t b = ri_col_get(&group->values, ri_node_rank(node, group, row));
        if (a != b) {
            return a < b;
        }
    }
    return datoms_sorted(node, row);
}

/* Two numbers of each row, and of the row before the first: those of that one are at index 0. */
typedef struct pairs {
    uint64_t first[RI_COL_CHUNK + 1];
    uint64_t second[RI_COL_CHUNK + 1];
} pairs;

/* Are all pairs above the one before? Without a branch, so that it costs next to nothing. */
static bool all_above(const pairs *p, uint32_t from, uint32_t n)
{
    bool good = true;
    for (uint32_t i = from; i <= n; i++) {
        good &=
            (p->first[i] > p->first[i - 1]) | ((p->first[i] == p->first[i - 1]) & (p->second[i] > p->second[i - 1]));
    }
    return good;
}

static bool attributes_differ(const ri_node *node)
{
    bool differ = true;
    for (uint32_t i = 1; i < node->group_count; i++) {
        differ = differ && node->groups[i].a > node->groups[i - 1].a;
    }
    return differ;
}

/* Numbers of groups become attributes. */
static void name_groups(const ri_node *node, uint64_t *groups, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        groups[i] = node->groups[groups[i]].a;
    }
}

/* The attributes of n rows from row `start` on, as a[1 .. n]; a[0] is that of the row before, if there is one. */
static void unpack_attributes(const ri_node *node, uint32_t start, uint32_t n, uint64_t *a)
{
    uint32_t before = start > 0 ? 1 : 0;
    a[0] = 0;
    ri_col_unpack(&node->col[RI_COLUMN_G], start - before, start + n, a + 1 - before);
    name_groups(node, a + 1 - before, n + before);
}

/* Rows from row `start` on, whose pairs are p[1 .. n]; p[0] is that of the row before. */
static bool chunk_sorted(const ri_node *node, const pairs *p, uint32_t start, uint32_t n)
{
    bool by_datoms = node->order == RI_LOG || node->order == RI_VAET;
    uint64_t a[RI_COL_CHUNK + 1];
    if (node->order == RI_LOG) { /* most of its entities have several rows, and the attribute is next */
        unpack_attributes(node, start, n, a);
    }
    for (uint32_t i = start == 0 ? 2 : 1; i <= n; i++) {
        if (all_above(p, i, i)) {
            continue;
        }
        bool same = p->first[i] == p->first[i - 1] && p->second[i] == p->second[i - 1];
        if (same && node->order == RI_LOG && a[i] > a[i - 1]) {
            continue;
        }
        uint32_t row = start + i - 1;
        if (!same || !(by_datoms ? datoms_sorted(node, row) : values_sorted(node, row))) {
            return false;
        }
    }
    return true;
}

/* Orders that begin with an entity, a transaction or a reference, and AEVT: by their two leading components, where the
 * attribute counts for the group. */
static bool rows_sorted_by_numbers(const ri_node *node)
{
    static const uint8_t columns[RI_ORDER_COUNT][2] = {
        [RI_EAVT] = { RI_COLUMN_E, RI_COLUMN_G }, [RI_AEVT] = { RI_COLUMN_G, RI_COLUMN_E },
        [RI_VAET] = { RI_COLUMN_V, RI_COLUMN_G }, [RI_LOG] = { RI_COLUMN_T, RI_COLUMN_E },
        [RI_RET] = { RI_COLUMN_E, RI_COLUMN_G },
    };
    const uint8_t *column = columns[node->order];
    bool as_they_are = attributes_differ(node); /* then groups sort as their attributes */
    pairs p;
    for (uint32_t from = 0; from < node->count; from += RI_COL_CHUNK) {
        uint32_t n = node->count - from < RI_COL_CHUNK ? node->count - from : RI_COL_CHUNK;
        p.first[0] = from == 0 ? 0 : p.first[RI_COL_CHUNK];
        p.second[0] = from == 0 ? 0 : p.second[RI_COL_CHUNK];
        ri_col_unpack(&node->col[column[0]], from, from + n, p.first + 1);
        ri_col_unpack(&node->col[column[1]], from, from + n, p.second + 1);
        if (!as_they_are && node->order != RI_LOG) {
            name_groups(node, column[0] == RI_COLUMN_G ? p.first + 1 : p.second + 1, n);
        }
        if (!all_above(&p, from == 0 ? 2 : 1, n) && !chunk_sorted(node, &p, from, n)) {
            return false;
        }
    }
    return true;
}

/* Rows [from, to) of one group in order of value and entity; that of `from` has its row before checked. */
static bool run_sorted(const ri_node *node, const ri_group *group, uint32_t from, uint32_t to)
{
    pairs p;
    for (uint32_t at = from; at < to; at += RI_COL_CHUNK) {
        uint32_t n = to - at < RI_COL_CHUNK ? to - at : RI_COL_CHUNK;
        uint32_t rank = ri_node_rank(node, group, at);
        p.first[0] = at == from ? 0 : p.first[RI_COL_CHUNK];
        p.second[0] = at == from ? 0 : p.second[RI_COL_CHUNK];
        ri_col_unpack(&group->values, rank, rank + n, p.first + 1);
        ri_col_unpack(&node->col[RI_COLUMN_E], at, at + n, p.second + 1);
        if (!all_above(&p, at == from ? 2 : 1, n)) {
            return false;
        }
    }
    return true;
}

/* AVET and META. Tuples that are equal may have several codes. */
static bool rows_sorted_by_value(const ri_node *node)
{
    for (uint32_t row = 0; row < node->count;) {
        const ri_group *group = ri_node_group(node, row);
        uint32_t end = node->ranks == NULL ? ri_node_run(node, row, node->count) : row + 1;
        if (row > 0 && !datoms_sorted(node, row)) {
            return false;
        }
        if (!ri_group_has_values(node->order, group->type) || group->type == RI_TUPLE) {
            end = row + 1;
        } else if (!run_sorted(node, group, row, end)) {
            return false;
        }
        row = end;
    }
    return true;
}

/* A column that grows by a step needs no look at its numbers. */
static bool grows_by_steps(const ri_node *node)
{
    const ri_col *e = &node->col[RI_COLUMN_E];
    uint64_t last = node->count - 1U;
    return node->order == RI_AEVT && node->group_count == 1 && e->mode == RI_COL_STRIDE && e->step > 0 &&
           e->step <= RI_EID_MAX && e->base <= RI_EID_MAX && e->base + last * e->step <= RI_EID_MAX;
}

static bool dict_sorted(const ri_group *group)
{
    if (group->dict.count == 0) {
        return true;
    }
    ri_value last = ri_dict_get(group, 0);
    bool bytewise = ri_type_is_bytewise(group->type);
    for (uint32_t i = 1; i < group->dict.count; i++) {
        ri_value v = ri_dict_get(group, i);
        int order;
        if (bytewise) {
            uint32_t shared = last.len < v.len ? last.len : v.len;
            order = shared == 0 ? 0 : memcmp(last.as.p, v.as.p, shared);
            order = order == 0 ? (last.len < v.len ? -1 : last.len > v.len) : order;
        } else {
            order = ri_value_cmp(&last, &v);
        }
        if (order > 0 || (order == 0 && group->type != RI_TUPLE)) {
            return false;
        }
        last = v;
    }
    return true;
}

bool ri_node_dicts_sorted(const ri_node *node)
{
    for (uint32_t i = 0; i < node->group_count; i++) {
        if (!dict_sorted(&node->groups[i])) {
            return false;
        }
    }
    return true;
}

bool ri_node_rows_sorted(const ri_node *node)
{
    if (node->order == RI_AVET || node->order == RI_META) {
        return rows_sorted_by_value(node);
    }
    return grows_by_steps(node) || rows_sorted_by_numbers(node);
}

/* Row by row, as the order has it. */
int ri_node_check(const ri_node *node, rille_err *err)
{
    for (uint32_t row = 1; row < node->count; row++) {
        if (!datoms_sorted(node, row)) {
            return ri_fail(err, RILLE_CORRUPT, "row %u of %u is not greater than the previous row", (unsigned)row,
                           (unsigned)node->count);
        }
    }
    for (uint32_t i = 0; i < node->group_count; i++) {
        if (!dict_sorted(&node->groups[i])) {
            return ri_fail(err, RILLE_CORRUPT, "the dictionary of attribute %u, type %s, is not sorted",
                           (unsigned)node->groups[i].a, ri_type_name(node->groups[i].type));
        }
    }
    return RILLE_OK;
}
