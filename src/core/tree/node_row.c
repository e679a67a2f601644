/* SPDX-License-Identifier: MIT
 *
 * Reading rows of a decoded node: one, runs of one group, and any. Nothing here can fail: the decoder checked all.
 *
 * Cost: one value 3-10 ns; in runs 1-3 ns; ri_node_datoms about 10 ns a row.
 */
#include "node_format.h"

#define SIGN_BIT (UINT64_C(1) << 63)
#define TABLE_MAX 256U

static inline ri_value dict_value(const ri_group *group, uint32_t code)
{
    uint64_t start = code == 0 ? 0 : ri_col_get(&group->dict.ends, code - 1);
    uint64_t end = ri_col_get(&group->dict.ends, code);
    return (ri_value){ { .p = group->dict.bytes + start }, (uint32_t)(end - start), group->type };
}

ri_value ri_dict_get(const ri_group *group, uint32_t code)
{
    return dict_value(group, code);
}

/* ri_key_to_word, inline. */
static inline uint64_t word_of(uint8_t type, uint64_t key)
{
    if (type == RI_LONG || type == RI_INSTANT) {
        return key ^ SIGN_BIT;
    }
    return type == RI_DOUBLE ? key ^ (((key >> 63) - 1) | SIGN_BIT) : key;
}

ri_value ri_group_value(const ri_group *group, uint32_t index)
{
    if (group->type == RI_NIL) {
        return ri_nil();
    }
    uint64_t number = ri_col_get(&group->values, index);
    if (ri_type_is_word(group->type)) {
        return (ri_value){ { .u = word_of(group->type, number) }, 0, group->type };
    }
    return dict_value(group, (uint32_t)number);
}

ri_value ri_node_value(const ri_node *node, uint32_t row)
{
    if (node->order == RI_VAET) {
        return ri_ref(ri_col_get(&node->col[RI_COLUMN_V], row));
    }
    const ri_group *group = ri_node_group(node, row);
    return ri_group_value(group, ri_node_rank(node, group, row));
}

void ri_node_datom(const ri_node *node, uint32_t row, ri_datom *out)
{
    const ri_group *group = ri_node_group(node, row);
    out->e = ri_node_e(node, row);
    out->t = ri_node_t(node, row);
    out->x = node->order == RI_RET ? ri_col_get(&node->col[RI_COLUMN_X], row) : 0;
    out->v = node->order == RI_VAET ? ri_ref(ri_col_get(&node->col[RI_COLUMN_V], row))
                                    : ri_group_value(group, ri_node_rank(node, group, row));
    out->a = group->a;
    out->added = node->order != RI_LOG || ri_col_get(&node->col[RI_COLUMN_OP], row) != 0;
}

uint32_t ri_node_run(const ri_node *node, uint32_t row, uint32_t to)
{
    const ri_group *group = ri_node_group(node, row);
    if (node->ranks == NULL) {
        uint32_t end = group->start + group->count;
        return end < to ? end : to;
    }
    uint64_t g = (uint64_t)(group - node->groups);
    while (++row < to && ri_col_get(&node->col[RI_COLUMN_G], row) == g) {
    }
    return row;
}

/* Codes in words[] become pointers and lengths. */
static void words_from_codes(const ri_group *group, uint32_t n, uint64_t *words, uint32_t *lens)
{
    const ri_dict *dict = &group->dict;
    if (dict->count > TABLE_MAX || dict->count > n) {
        for (uint32_t i = 0; i < n; i++) {
            ri_value v = dict_value(group, (uint32_t)words[i]);
            words[i] = (uint64_t)(uintptr_t)v.as.p;
            lens[i] = v.len;
        }
        return;
    }
    uint64_t starts[TABLE_MAX + 1]; /* few entries, many rows: take the ends apart once */
    starts[0] = 0;
    ri_col_unpack(&dict->ends, 0, dict->count, starts + 1);
    uint64_t base = (uint64_t)(uintptr_t)dict->bytes;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t code = words[i];
        words[i] = base + starts[code];
        lens[i] = (uint32_t)(starts[code + 1] - starts[code]);
    }
}

static void words_from_keys(uint8_t type, uint32_t n, uint64_t *words)
{
    if (type == RI_LONG || type == RI_INSTANT) {
        for (uint32_t i = 0; i < n; i++) {
            words[i] ^= SIGN_BIT;
        }
    } else if (type == RI_DOUBLE) {
        for (uint32_t i = 0; i < n; i++) {
            words[i] = word_of(RI_DOUBLE, words[i]);
        }
    }
}

void ri_node_values(const ri_node *node, const ri_group *group, uint32_t from, uint32_t to, uint64_t *words,
                    uint32_t *lens)
{
    if (from >= to) {
        return;
    }
    uint32_t n = to - from;
    if (node->order == RI_VAET) {
        ri_col_unpack(&node->col[RI_COLUMN_V], from, to, words);
    } else if (group->type == RI_NIL) {
        memset(words, 0, n * sizeof *words);
    } else {
        uint32_t index = ri_node_rank(node, group, from);
        ri_col_unpack(&group->values, index, index + n, words);
        if (ri_type_is_word(group->type)) {
            words_from_keys(group->type, n, words);
        } else {
            words_from_codes(group, n, words, lens);
        }
    }
}

static void values_of_runs(const ri_node *node, uint32_t from, uint32_t to, uint8_t *types, uint64_t *words,
                           uint32_t *lens)
{
    for (uint32_t row = from; row < to;) {
        const ri_group *group = ri_node_group(node, row);
        uint32_t end = ri_node_run(node, row, to);
        if (ri_type_is_word(group->type)) {
            memset(lens + (row - from), 0, (end - row) * sizeof *lens);
        }
        ri_node_values(node, group, row, end, words + (row - from), lens + (row - from));
        memset(types + (row - from), group->type, end - row);
        row = end;
    }
}

void ri_node_values_mixed(const ri_node *node, uint32_t from, uint32_t to, uint8_t *types, uint64_t *words,
                          uint32_t *lens)
{
    if (node->ranks == NULL || node->order == RI_VAET) {
        values_of_runs(node, from, to, types, words, lens);
        return;
    }
    uint64_t block[RI_COL_CHUNK];
    for (uint32_t start = from; start < to; start += RI_COL_CHUNK) {
        uint32_t n = to - start < RI_COL_CHUNK ? to - start : RI_COL_CHUNK;
        ri_col_unpack(&node->col[RI_COLUMN_G], start, start + n, block);
        for (uint32_t i = 0; i < n; i++) {
            ri_value v = ri_group_value(&node->groups[block[i]], node->ranks[start + i]);
            *types++ = v.type;
            *words++ = ri_type_is_word(v.type) ? v.as.u : (uint64_t)(uintptr_t)v.as.p;
            *lens++ = v.len;
        }
    }
}

/* words and lens of ri_node_values. */
static inline ri_value value_of(uint8_t type, uint64_t word, uint32_t len)
{
    ri_value v = { { .u = word }, len, type };
    if (!ri_type_is_word(type)) {
        v.as.p = (const uint8_t *)(uintptr_t)word;
    }
    return v;
}

static void block_of_datoms(const ri_node *node, uint32_t from, uint32_t to, ri_datom *out)
{
    uint64_t e[RI_COL_CHUNK];
    uint64_t t[RI_COL_CHUNK];
    uint64_t g[RI_COL_CHUNK];
    uint64_t words[RI_COL_CHUNK];
    uint32_t lens[RI_COL_CHUNK];
    uint8_t types[RI_COL_CHUNK];
    ri_col_unpack(&node->col[RI_COLUMN_E], from, to, e);
    ri_col_unpack(&node->col[RI_COLUMN_T], from, to, t);
    ri_col_unpack(&node->col[RI_COLUMN_G], from, to, g);
    ri_node_values_mixed(node, from, to, types, words, lens);
    for (uint32_t i = 0; i < to - from; i++) {
        ri_value v = value_of(types[i], words[i], lens[i]);
        out[i] = (ri_datom){ .e = e[i], .t = t[i], .v = v, .a = node->groups[g[i]].a, .added = true };
    }
    if (node->order == RI_RET || node->order == RI_LOG) {
        ri_col_unpack(&node->col[node->order == RI_RET ? RI_COLUMN_X : RI_COLUMN_OP], from, to, words);
        for (uint32_t i = 0; i < to - from; i++) {
            if (node->order == RI_RET) {
                out[i].x = words[i];
            } else {
                out[i].added = words[i] != 0;
            }
        }
    }
}

void ri_node_datoms(const ri_node *node, uint32_t from, uint32_t to, ri_datom *out)
{
    for (uint32_t start = from; start < to; start += RI_COL_CHUNK) {
        uint32_t end = to - start < RI_COL_CHUNK ? to : start + RI_COL_CHUNK;
        block_of_datoms(node, start, end, out + (start - from));
    }
}

/* ---- all rows at once ---- */

/* The values of a group, in the order of its rows. */
static void group_values(const ri_group *group, ri_value *out)
{
    uint64_t words[RI_COL_CHUNK];
    uint32_t lens[RI_COL_CHUNK] = { 0 };
    if (group->type == RI_NIL) {
        memset(words, 0, sizeof words);
    }
    for (uint32_t from = 0; from < group->count; from += RI_COL_CHUNK) {
        uint32_t n = group->count - from < RI_COL_CHUNK ? group->count - from : RI_COL_CHUNK;
        if (group->type != RI_NIL) {
            ri_col_unpack(&group->values, from, from + n, words);
        }
        if (ri_type_is_word(group->type)) {
            words_from_keys(group->type, n, words);
        } else if (group->type != RI_NIL) {
            words_from_codes(group, n, words, lens);
        }
        for (uint32_t i = 0; i < n; i++) {
            *out++ = value_of(group->type, words[i], lens[i]);
        }
    }
}

static inline bool log_sorted(const ri_datom *a, const ri_datom *b)
{
    if (a->t == b->t && a->e == b->e) {
        return a->a != b->a ? a->a < b->a : ri_datom_cmp(RI_LOG, a, b) < 0;
    }
    return a->t != b->t ? a->t < b->t : a->e < b->e;
}

/* Rows [from, to) as out[0..). values: of all groups, one behind the other; a group's start is where its next row has
 * its value. False: the groups have other rows than the directory says. */
static bool log_rows(ri_node *leaf, const ri_value *values, uint32_t from, uint32_t to, ri_datom *out)
{
    uint64_t e[RI_COL_CHUNK];
    uint64_t t[RI_COL_CHUNK];
    uint64_t g[RI_COL_CHUNK];
    uint64_t added[RI_COL_CHUNK];
    ri_col_unpack(&leaf->col[RI_COLUMN_E], from, to, e);
    ri_col_unpack(&leaf->col[RI_COLUMN_T], from, to, t);
    ri_col_unpack(&leaf->col[RI_COLUMN_G], from, to, g);
    ri_col_unpack(&leaf->col[RI_COLUMN_OP], from, to, added);
    for (uint32_t i = 0; i < to - from; i++) {
        ri_group *group = g[i] < leaf->group_count ? &leaf->groups[g[i]] : NULL;
        if (group == NULL || group->count == 0) {
            return false;
        }
        group->count--;
        out[i] = (ri_datom){ .e = e[i], .t = t[i], .v = values[group->start++], .a = group->a, .added = added[i] != 0 };
    }
    return true;
}

/* N3 and N6 with the rows. */
static bool log_leaf(ri_node *leaf, ri_value *values, ri_datom *out)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < leaf->group_count; i++) {
        leaf->groups[i].start = start;
        group_values(&leaf->groups[i], values + start);
        start += leaf->groups[i].count;
    }
    for (uint32_t from = 0; from < leaf->count; from += RI_COL_CHUNK) {
        uint32_t to = leaf->count - from < RI_COL_CHUNK ? leaf->count : from + RI_COL_CHUNK;
        if (!log_rows(leaf, values, from, to, out + from)) {
            return false;
        }
    }
    bool sorted = true;
    for (uint32_t i = 1; i < leaf->count && sorted; i++) {
        sorted = log_sorted(&out[i - 1], &out[i]);
    }
    return sorted;
}

int ri_leaf_read(const ri_decode_input *input, uint64_t rows_max, ri_datom **datoms, size_t *cap, size_t *count,
                 rille_err *err)
{
    ri_node *leaf;
    RI_TRY(ri_node_open(input, false, &leaf, err));
    int rc = 0;
    ri_value *values = NULL;
    if (leaf->order != RI_LOG || leaf->level != 0 || leaf->count > rows_max) {
        rc = ri_fail(err, RILLE_CORRUPT, "a node is not the leaf of a log that is expected here");
    } else if (!RI_GROW(datoms, cap, *count + leaf->count) ||
               (values = ri_arena_array(&leaf->arena, leaf->count, sizeof *values)) == NULL) {
        rc = ri_fail_nomem(err);
    } else if (!log_leaf(leaf, values, *datoms + *count)) {
        rc = ri_fail(err, RILLE_CORRUPT, "a leaf of the log is corrupt: its rows or groups are out of order");
    } else {
        *count += leaf->count;
    }
    ri_node_release(leaf);
    return rc;
}
