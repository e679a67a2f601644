/* SPDX-License-Identifier: MIT
 *
 * layer: tree
 *
 * Any bytes as a node. What decodes can be read and searched anywhere without harm; all ways of reading agree and
 * values are valid. If its rows are sorted, cuts are found where a naive search finds them, and the rows have one
 * encoding, from which they come back.
 */
#include "../src/core/tree/node.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static ri_node *decode(const uint8_t *bytes, size_t len)
{
    static const ri_noderef self = { { 1 }, { 2 }, 3, 4 };
    uint8_t *copy = ri_alloc(len + RI_NODE_PADDING);
    if (copy == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    memset(copy + len, 0, RI_NODE_PADDING);
    ri_decode_input input = { copy, len, NULL, 0, &self, false };
    ri_object *object;
    return ri_node_decode(&input, &object, NULL) == RILLE_OK ? (ri_node *)(void *)object : NULL;
}

static bool same(const ri_datom *a, const ri_datom *b)
{
    if (a->e != b->e || a->a != b->a || a->t != b->t || a->x != b->x || a->added != b->added ||
        a->v.type != b->v.type) {
        return false;
    }
    if (ri_type_is_word(a->v.type)) {
        return a->v.as.u == b->v.as.u;
    }
    return a->v.len == b->v.len && (a->v.len == 0 || memcmp(a->v.as.p, b->v.as.p, a->v.len) == 0);
}

static void check_rows(const ri_node *node, const ri_datom *rows)
{
    for (uint32_t i = 0; i < node->count; i++) {
        ri_datom d;
        ri_node_datom(node, i, &d);
        ri_value v = ri_node_value(node, i);
        require(same(&d, &rows[i]) && ri_value_valid(&d.v));
        d.v = v;
        require(same(&d, &rows[i]));
        require(d.e <= RI_EID_MAX && d.t <= RI_EID_MAX);
        uint32_t end = ri_node_run(node, i, node->count);
        require(end > i && end <= node->count);
    }
    for (uint32_t g = 0; g < node->group_count; g++) {
        const ri_group *group = &node->groups[g];
        for (uint32_t code = 0; code < group->dict.count; code++) {
            ri_value v = ri_dict_get(group, code);
            bool found;
            require(ri_dict_lower(group, &v, &found) <= group->dict.count);
        }
    }
}

/* Cuts at some rows, of all parts. */
static void check_searches(const ri_node *node, const ri_datom *rows, bool sorted)
{
    ri_order order = (ri_order)node->order;
    uint32_t step = node->count / 16 + 1;
    for (uint32_t i = 0; i < node->count; i += step) {
        for (unsigned k = 0; k < 2 * (ri_order_parts(order) + 1); k++) {
            ri_bound bound = { .d = rows[i], .parts = (uint8_t)(k / 2), .after = k % 2 != 0 };
            uint32_t row = ri_node_search(node, 0, &bound);
            require(row <= node->count && ri_node_gallop(node, i, &bound) <= node->count);
            require(ri_node_child(node, &bound) < node->count);
            if (sorted) {
                require(row == 0 || ri_datom_cmp_bound(order, &rows[row - 1], &bound) < 0);
                require(row == node->count || ri_datom_cmp_bound(order, &rows[row], &bound) > 0);
                require(ri_node_gallop(node, 0, &bound) == row);
            }
        }
    }
}

static void check_encoding(const ri_node *node, const ri_datom *rows)
{
    ri_encoder *encoder = ri_encoder_new();
    ri_buf buf = { 0 };
    uint64_t *counts = NULL;
    uint8_t *addrs = NULL;
    if (node->level > 0) {
        counts = malloc(node->count * sizeof *counts);
        addrs = malloc((size_t)node->count * RI_HASH_SIZE);
        require(counts != NULL && addrs != NULL);
        for (uint32_t i = 0; i < node->count; i++) {
            counts[i] = node->counts[i + 1] - node->counts[i];
            memcpy(addrs + (size_t)i * RI_HASH_SIZE, node->children[i].addr, RI_HASH_SIZE);
        }
    }
    require(encoder != NULL);
    require(ri_node_encode(encoder, (ri_order)node->order, node->level, rows, node->count, counts, addrs, &buf, NULL) ==
            RILLE_OK);
    ri_node *again = decode(buf.p, buf.len);
    require(again != NULL && again->count == node->count);
    ri_datom *copy = malloc(again->count * sizeof *copy);
    require(copy != NULL);
    ri_node_datoms(again, 0, again->count, copy);
    for (uint32_t i = 0; i < again->count; i++) {
        require(same(&copy[i], &rows[i]));
    }
    size_t len = buf.len;
    require(ri_node_encode(encoder, (ri_order)node->order, node->level, copy, node->count, counts, addrs, &buf, NULL) ==
            RILLE_OK);
    require(buf.len == 2 * len && memcmp(buf.p, buf.p + len, len) == 0);
    free(copy);
    ri_node_release(again);
    free(counts);
    free(addrs);
    ri_buf_deinit(&buf);
    ri_encoder_free(encoder);
}

/* Read as datoms, a leaf of LOG has the same rows, and whatever is refused as a node is refused. */
static void check_as_leaf(const uint8_t *bytes, size_t len, const ri_node *node)
{
    static const ri_noderef self = { { 1 }, { 2 }, 3, 4 };
    uint8_t *copy = ri_alloc_zero(len + RI_NODE_PADDING);
    require(copy != NULL);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    ri_decode_input input = { copy, len, NULL, 0, &self, true };
    ri_datom *datoms = NULL;
    size_t cap = 0;
    size_t count = 0;
    int rc = ri_leaf_read(&input, RI_NODE_ROWS_MAX, &datoms, &cap, &count, NULL);
    require((rc == RILLE_OK) == (node != NULL && node->order == RI_LOG && node->level == 0));
    for (uint32_t i = 0; i < count; i++) {
        ri_datom d;
        ri_node_datom(node, i, &d);
        require(same(&d, &datoms[i]));
    }
    ri_free(datoms);
    ri_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ri_node *node = decode(bytes, len);
    check_as_leaf(bytes, len, node);
    if (node == NULL) {
        return 0;
    }
    ri_datom *rows = malloc(node->count * sizeof *rows);
    require(rows != NULL);
    ri_node_datoms(node, 0, node->count, rows);
    bool sorted = ri_node_check(node, NULL) == RILLE_OK;
    check_rows(node, rows);
    check_searches(node, rows, sorted);
    if (sorted) {
        check_encoding(node, rows);
    }
    free(rows);
    ri_node_release(node);
    return 0;
}
