/* SPDX-License-Identifier: MIT
 *
 * What the encoder and the decoder of nodes share. docs/format-nodes.md says it in full:
 *
 *   magic u8 | order u8 | level u8 | varint rows | varint groups
 *   columns of the order, in this sequence: E T G [V: VAET] [X: RET] [OP: LOG]
 *   group directory: per group varint (a - a of the group before), type u8, varint rows
 *   per group with values: values column; types of bytes then the dictionary: varint entries, ends column, bytes
 *   branches: counts column, addresses (32 bytes a child)
 */
#ifndef RI_NODE_FORMAT_H
#define RI_NODE_FORMAT_H

#include "node.h"

#define RI_NODE_MAGIC 0xb1U /* the low nibble is the version of the format */

/* Does a node of the order have the column? */
static inline bool ri_order_has_column(unsigned order, unsigned column)
{
    return column <= RI_COLUMN_G || (column == RI_COLUMN_V && order == RI_VAET) ||
           (column == RI_COLUMN_X && order == RI_RET) || (column == RI_COLUMN_OP && order == RI_LOG);
}

/* Do groups of this order and type have values of their own? */
static inline bool ri_group_has_values(unsigned order, unsigned type)
{
    return order != RI_VAET && type != RI_NIL;
}

/* Types whose values sort as their bytes do. */
static inline bool ri_type_is_bytewise(unsigned type)
{
    return type == RI_UUID || (type >= RI_KEYWORD && type <= RI_STRING) || type == RI_BYTES || type == RI_FLOATS;
}

/* The first 8 of `len` bytes as a number that sorts as they do. At least 8 bytes can be read. */
static inline uint64_t ri_head_of(const uint8_t *bytes, uint32_t len)
{
    uint64_t head = ri_load_be64(bytes);
    return len >= 8 ? head : len == 0 ? 0 : head & ~(UINT64_MAX >> (8 * len));
}

/* An entry without what all of them begin with. */
static inline const uint8_t *ri_dict_rest(const ri_dict *dict, uint32_t code, uint32_t *len)
{
    uint64_t start = (code == 0 ? 0 : ri_col_get(&dict->ends, code - 1)) + dict->shared;
    *len = (uint32_t)(ri_col_get(&dict->ends, code) - start);
    return dict->bytes + start;
}

/* Are the keys of branches of values? Then, of which groups? */
static inline bool ri_order_keys_values(unsigned order)
{
    return order == RI_AVET || order == RI_META;
}
static inline bool ri_group_has_keys(const ri_group *group)
{
    return group->type != RI_NIL && (ri_type_is_word(group->type) || ri_type_is_bytewise(group->type));
}
/* Makes the keys of a branch that was checked, at node->keys (node_keys.c). */
void ri_node_make_keys(ri_node *node);

/* ri_node_decode. placed false: without ranks and the starts of groups, and with rows whose groups (N3) and order (N6)
 * are not checked. */
int ri_node_open(const ri_decode_input *input, bool placed, ri_node **out, rille_err *err);

/* N6, and sorted dictionaries; what a dictionary says is relied on by the rows (node_order.c). */
bool ri_node_dicts_sorted(const ri_node *node);
bool ri_node_rows_sorted(const ri_node *node);

#endif
