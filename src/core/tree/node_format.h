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

/* ri_node_decode. placed false: without ranks and the starts of groups, and with rows whose groups (N3) and order (N6)
 * are not checked. */
int ri_node_open(const ri_decode_input *input, bool placed, ri_node **out, rille_err *err);

/* N6, and sorted dictionaries; what a dictionary says is relied on by the rows (node_order.c). */
bool ri_node_dicts_sorted(const ri_node *node);
bool ri_node_rows_sorted(const ri_node *node);

#endif
