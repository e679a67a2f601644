/* SPDX-License-Identifier: MIT
 *
 * Encoding of nodes: rows to columns, one pass a column; values to groups, words to keys, bytes to dictionaries
 * (dict_encode.c). node_format.h and docs/format-nodes.md have the layout.
 *
 * Rows with one attribute and type form a group. Groups are found by guessing (the row after one of group g is of the
 * group that followed g the last time: right for entities with like attributes, and for runs), else by hashing.
 *
 * Cost: 20-80 ns a row; no allocation but growth of the output. All scratch is one block, the encoder.
 */
#include "encoder.h"

typedef struct group_scratch {
    uint64_t key;   /* a, type: sorts as groups do */
    uint32_t count; /* rows */
    uint16_t next;  /* the group that followed it the last time */
    uint16_t rank;  /* its number when sorted */
} group_scratch;

struct ri_encoder {
    uint64_t numbers[RI_NODE_ROWS_MAX];
    group_scratch groups[RI_NODE_ROWS_MAX]; /* as they were found */
    uint16_t sorted[RI_NODE_ROWS_MAX];      /* found groups by key */
    uint16_t row_group[RI_NODE_ROWS_MAX];   /* found group of each row */
    uint16_t rows[RI_NODE_ROWS_MAX];        /* rows, group by group in sorted order */
    uint32_t starts[RI_NODE_ROWS_MAX];      /* where sorted groups begin in rows */
    ri_slots slots;
    uint32_t group_count;
    ri_dict_encoder dict;
};

ri_encoder *ri_encoder_new(void)
{
    ri_encoder *encoder = ri_alloc(sizeof *encoder);
    if (encoder != NULL) { /* half a megabyte of which small nodes touch little: only what must be zero is set */
        memset(&encoder->slots, 0, sizeof encoder->slots);
        memset(&encoder->dict.slots, 0, sizeof encoder->dict.slots);
    }
    return encoder;
}

void ri_encoder_free(ri_encoder *encoder)
{
    ri_free(encoder);
}

/* ---- groups ---- */

static inline uint64_t group_key(ri_order order, const ri_datom *d)
{
    return (uint64_t)d->a << 8 | (order == RI_VAET ? (unsigned)RI_REF : d->v.type);
}

static uint16_t find_group(ri_encoder *enc, uint64_t key)
{
    uint32_t slot = (uint32_t)ri_keyed_word(key);
    for (;; slot++) {
        uint32_t found = ri_slots_get(&enc->slots, slot);
        if (found == RI_SLOT_FREE) {
            break;
        }
        if (enc->groups[found].key == key) {
            return (uint16_t)found;
        }
    }
    uint16_t number = (uint16_t)enc->group_count++;
    ri_slots_set(&enc->slots, slot, number);
    enc->groups[number] = (group_scratch){ key, 0, number, 0 };
    return number;
}

static int cmp_keys(const group_scratch *groups, uint16_t a, uint16_t b)
{
    return (groups[a].key > groups[b].key) - (groups[a].key < groups[b].key);
}

/* Heap sort; mostly groups are found in order. */
static void sift_down(ri_encoder *enc, uint32_t root, uint32_t n)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= n) {
            return;
        }
        if (child + 1 < n && cmp_keys(enc->groups, enc->sorted[child], enc->sorted[child + 1]) < 0) {
            child++;
        }
        if (cmp_keys(enc->groups, enc->sorted[root], enc->sorted[child]) >= 0) {
            return;
        }
        uint16_t swap = enc->sorted[root];
        enc->sorted[root] = enc->sorted[child];
        enc->sorted[child] = swap;
        root = child;
    }
}

static void sort_groups(ri_encoder *enc)
{
    uint32_t n = enc->group_count;
    bool sorted = true;
    for (uint32_t i = 0; i < n; i++) {
        enc->sorted[i] = (uint16_t)i;
        sorted = sorted && (i == 0 || enc->groups[i - 1].key < enc->groups[i].key);
    }
    if (sorted) {
        return;
    }
    for (uint32_t i = n / 2; i-- > 0;) {
        sift_down(enc, i, n);
    }
    for (uint32_t i = n; i-- > 1;) {
        uint16_t swap = enc->sorted[0];
        enc->sorted[0] = enc->sorted[i];
        enc->sorted[i] = swap;
        sift_down(enc, 0, i);
    }
}

static bool is_one_group(ri_order order, const ri_datom *rows, uint32_t n)
{
    uint64_t key = group_key(order, &rows[0]);
    uint32_t i = n;
    while (i > 0 && group_key(order, &rows[i - 1]) == key) {
        i--;
    }
    return i == 0;
}

static void find_groups(ri_encoder *enc, ri_order order, const ri_datom *rows, uint32_t n)
{
    if (is_one_group(order, rows, n)) { /* most leaves by attribute */
        enc->group_count = 1;
        enc->groups[0] = (group_scratch){ group_key(order, &rows[0]), n, 0, 0 };
        enc->sorted[0] = 0;
        return;
    }
    enc->group_count = 0;
    ri_slots_clear(&enc->slots);
    uint16_t current = find_group(enc, group_key(order, &rows[0]));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = group_key(order, &rows[i]);
        uint16_t guess = enc->groups[current].next;
        if (enc->groups[guess].key != key) {
            guess = enc->groups[current].key == key ? current : find_group(enc, key);
            enc->groups[current].next = guess;
        }
        current = guess;
        enc->groups[current].count++;
        enc->row_group[i] = current;
    }
    sort_groups(enc);
}

/* Fills starts and rows: the rows of each group, in row order; and numbers: the sorted number of each row's group. */
static void spread_rows(ri_encoder *enc, uint32_t n)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < enc->group_count; i++) {
        group_scratch *group = &enc->groups[enc->sorted[i]];
        group->rank = (uint16_t)i;
        enc->starts[i] = start;
        start += group->count;
    }
    for (uint32_t i = 0; i < n; i++) {
        enc->numbers[i] = enc->groups[enc->row_group[i]].rank;
        enc->rows[enc->starts[enc->numbers[i]]++] = (uint16_t)i;
    }
    for (uint32_t i = 0; i < enc->group_count; i++) {
        enc->starts[i] -= enc->groups[enc->sorted[i]].count;
    }
}

/* ---- columns ---- */

static void put_e(ri_encoder *enc, const ri_datom *rows, uint32_t n, ri_buf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        enc->numbers[i] = rows[i].e;
    }
    ri_col_write(out, enc->numbers, n);
}

/* Columns that are mostly one number throughout. */
static void put_often_same(ri_encoder *enc, uint32_t n, uint64_t differing, ri_buf *out)
{
    if (differing == 0) {
        ri_col_write_same(out, enc->numbers[0]);
    } else {
        ri_col_write(out, enc->numbers, n);
    }
}

static void put_t(ri_encoder *enc, const ri_datom *rows, uint32_t n, ri_buf *out)
{
    uint64_t differing = 0;
    for (uint32_t i = 0; i < n; i++) {
        enc->numbers[i] = rows[i].t;
        differing |= rows[i].t ^ rows[0].t;
    }
    put_often_same(enc, n, differing, out);
}

static void put_groups(ri_encoder *enc, uint32_t n, ri_buf *out)
{
    if (enc->group_count == 1) {
        enc->starts[0] = 0;
        for (uint32_t i = 0; i < n; i++) {
            enc->rows[i] = (uint16_t)i;
        }
        ri_col_write_same(out, 0);
    } else {
        spread_rows(enc, n);
        ri_col_write(out, enc->numbers, n);
    }
}

static void put_rare(ri_encoder *enc, unsigned column, const ri_datom *rows, uint32_t n, ri_buf *out)
{
    uint64_t differing = 0;
    for (uint32_t i = 0; i < n; i++) {
        enc->numbers[i] = column == RI_COLUMN_V ? rows[i].v.as.u : column == RI_COLUMN_X ? rows[i].x : rows[i].added;
        differing |= enc->numbers[i] ^ enc->numbers[0];
    }
    put_often_same(enc, n, differing, out);
}

static void put_columns(ri_encoder *enc, ri_order order, const ri_datom *rows, uint32_t n, ri_buf *out)
{
    put_e(enc, rows, n, out);
    put_t(enc, rows, n, out);
    put_groups(enc, n, out);
    for (unsigned column = RI_COLUMN_V; column < RI_COLUMN_COUNT; column++) {
        if (ri_order_has_column(order, column)) {
            put_rare(enc, column, rows, n, out);
        }
    }
}

static void put_directory(ri_encoder *enc, ri_buf *out)
{
    uint64_t a = 0;
    for (uint32_t i = 0; i < enc->group_count; i++) {
        const group_scratch *group = &enc->groups[enc->sorted[i]];
        ri_buf_put_varint(out, (group->key >> 8) - a);
        ri_buf_put_u8(out, (uint8_t)group->key);
        ri_buf_put_varint(out, group->count);
        a = group->key >> 8;
    }
}

static void put_words(ri_encoder *enc, uint8_t type, const ri_datom *rows, const uint16_t *index, uint32_t n,
                      ri_buf *out)
{
    if (type == RI_DOUBLE) {
        for (uint32_t i = 0; i < n; i++) {
            enc->numbers[i] = ri_word_to_key(RI_DOUBLE, rows[index[i]].v.as.u);
        }
    } else { /* the others differ from the key in the sign bit at most */
        uint64_t flip = ri_word_to_key(type, 0);
        for (uint32_t i = 0; i < n; i++) {
            enc->numbers[i] = rows[index[i]].v.as.u ^ flip;
        }
    }
    ri_col_write(out, enc->numbers, n);
}

static int put_values(ri_encoder *enc, ri_order order, const ri_datom *rows, ri_buf *out, rille_err *err)
{
    for (uint32_t i = 0; i < enc->group_count; i++) {
        const group_scratch *group = &enc->groups[enc->sorted[i]];
        const uint16_t *index = enc->rows + enc->starts[i];
        uint8_t type = (uint8_t)group->key;
        if (!ri_group_has_values(order, type)) {
            continue;
        }
        if (ri_type_is_word(type)) {
            put_words(enc, type, rows, index, group->count, out);
            continue;
        }
        bool sorted = (order == RI_AVET || order == RI_META) && type != RI_TUPLE;
        RI_TRY(ri_dict_encode(&enc->dict, rows, index, group->count, sorted, enc->numbers, out, err));
    }
    return RILLE_OK;
}

int ri_node_encode(ri_encoder *encoder, ri_order order, unsigned level, const ri_datom *rows, uint32_t n,
                   const uint64_t *child_counts, const uint8_t *addrs, ri_buf *out, rille_err *err)
{
    RI_ASSERT(n > 0 && n <= RI_NODE_ROWS_MAX && level <= RI_TREE_HEIGHT_MAX);
    RI_ASSERT((level > 0) == (child_counts != NULL));
    size_t start = out->len;
    if (level == 0 && ri_node_encode_few(order, rows, n, out)) {
        return out->failed ? ri_fail_nomem(err) : RILLE_OK;
    }
    find_groups(encoder, order, rows, n);
    uint8_t head[3] = { RI_NODE_MAGIC, (uint8_t)order, (uint8_t)level };
    ri_buf_put(out, head, sizeof head);
    ri_buf_put_varint(out, n);
    ri_buf_put_varint(out, encoder->group_count);
    put_columns(encoder, order, rows, n, out);
    put_directory(encoder, out);
    RI_TRY(put_values(encoder, order, rows, out, err));
    if (level > 0) {
        ri_col_write(out, child_counts, n);
        ri_buf_put(out, addrs, (size_t)n * RI_HASH_SIZE);
    }
    if (out->failed) {
        return ri_fail_nomem(err);
    }
    if (out->len - start > RI_NODE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "a node of %u rows needs %zu bytes (the maximum is %zu): use smaller values",
                       (unsigned)n, out->len - start, (size_t)RI_NODE_BYTES_MAX);
    }
    return RILLE_OK;
}
