/* SPDX-License-Identifier: MIT
 *
 * Keys of branches: one number a row, in an array of their own, by which a search finds the row in a line or two of
 * memory. The numbers are not stored but made when a node is opened, after all its checks:
 *
 *   EAVT, RET, AEVT   E             VAET   V             LOG   T
 *   AVET, META        of the value: its word key, or the 8 bytes behind what all values of its group begin with
 *
 * They do not decrease among rows of one attribute (AEVT), of one group (AVET, META), or at all. Groups of other types,
 * such as tuples, have no keys of their own, and a branch of AVET or META whose groups interleave has none.
 *
 * Cost: 2-5 ns a child.
 */
#include "node_format.h"

static void make_group_keys(const ri_node *node, const ri_group *group)
{
    uint64_t *keys = node->keys + group->start;
    if (!ri_group_has_keys(group)) {
        return;
    }
    ri_col_unpack(&group->values, 0, group->count, keys);
    for (uint32_t i = 0; !ri_type_is_word(group->type) && i < group->count; i++) {
        uint32_t len;
        const uint8_t *rest = ri_dict_rest(&group->dict, (uint32_t)keys[i], &len);
        keys[i] = ri_head_of(rest, len);
    }
}

void ri_node_make_keys(ri_node *node)
{
    switch ((ri_order)node->order) {
    case RI_EAVT:
    case RI_AEVT:
    case RI_RET:
        ri_col_unpack(&node->col[RI_COLUMN_E], 0, node->count, node->keys);
        break;
    case RI_VAET:
        ri_col_unpack(&node->col[RI_COLUMN_V], 0, node->count, node->keys);
        break;
    case RI_LOG:
        ri_col_unpack(&node->col[RI_COLUMN_T], 0, node->count, node->keys);
        break;
    case RI_AVET:
    case RI_META:
        for (uint32_t i = 0; node->ranks == NULL && i < node->group_count; i++) {
            make_group_keys(node, &node->groups[i]);
        }
        node->keys = node->ranks == NULL ? node->keys : NULL;
        break;
    case RI_ORDER_COUNT:
        break;
    }
}
