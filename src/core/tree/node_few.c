/* SPDX-License-Identifier: MIT
 *
 * Encoding of leaves of one row, or two: the frame of a small transaction is one. The bytes are those that node_encode.c
 * would write, but there is nothing to find out: each column is CONST or STRIDE, and a group has one row or both.
 */
#include "encoder.h"

#define ROWS_MAX 2U
#define HEADER_BYTES_MAX (3U + 2U)
#define GROUP_BYTES_MAX (10U + 1U + 1U + RI_COL_FEW_BYTES) /* in the directory, and its values */
#define BYTES_MAX (HEADER_BYTES_MAX + RI_COLUMN_COUNT * RI_COL_FEW_BYTES + ROWS_MAX * GROUP_BYTES_MAX)

static uint8_t type_of(ri_order order, const ri_datom *d)
{
    return order == RI_VAET ? (uint8_t)RI_REF : d->v.type;
}

static uint8_t *put_group(uint8_t *p, uint64_t a, uint8_t type, uint32_t n)
{
    p += ri_put_varint(p, a);
    *p++ = type;
    *p++ = (uint8_t)n;
    return p;
}

static uint8_t *put_words(uint8_t *p, ri_order order, const ri_datom *first, const ri_datom *last)
{
    if (!ri_group_has_values(order, type_of(order, first))) {
        return p;
    }
    return ri_col_put_few(p, ri_word_to_key(first->v.type, first->v.as.u), ri_word_to_key(last->v.type, last->v.as.u));
}

/* The columns of all orders, and the one more that three of them have. `group`: of the two rows. */
static uint8_t *put_columns(uint8_t *p, ri_order order, const ri_datom *first, const ri_datom *last,
                            const uint8_t group[2])
{
    p = ri_col_put_few(p, first->e, last->e);
    p = ri_col_put_few(p, first->t, last->t);
    p = ri_col_put_few(p, group[0], group[1]);
    switch (order) {
    case RI_LOG:
        return ri_col_put_few(p, first->added, last->added);
    case RI_RET:
        return ri_col_put_few(p, first->x, last->x);
    case RI_VAET:
        return ri_col_put_few(p, first->v.as.u, last->v.as.u);
    case RI_EAVT:
    case RI_AEVT:
    case RI_AVET:
    case RI_META:
    case RI_ORDER_COUNT:
        break;
    }
    return p;
}

bool ri_node_encode_few(ri_order order, const ri_datom *rows, uint32_t n, ri_buf *out)
{
    const ri_datom *first = &rows[0];
    const ri_datom *last = &rows[n - 1];
    if (n > ROWS_MAX || !ri_type_is_word(first->v.type) || !ri_type_is_word(last->v.type)) {
        return false;
    }
    uint8_t *p = ri_buf_reserve(out, BYTES_MAX);
    if (p == NULL) {
        return true;
    }
    uint8_t *begin = p;
    uint64_t keys[2] = { (uint64_t)first->a << 8 | type_of(order, first),
                         (uint64_t)last->a << 8 | type_of(order, last) };
    uint8_t group[2] = { keys[0] > keys[1], keys[0] < keys[1] };
    bool is_one = keys[0] == keys[1];
    *p++ = RI_NODE_MAGIC;
    *p++ = (uint8_t)order;
    *p++ = 0; /* level */
    *p++ = (uint8_t)n;
    *p++ = is_one ? 1 : 2;
    p = put_columns(p, order, first, last, group);
    if (is_one) {
        p = put_group(p, first->a, type_of(order, first), n);
        p = put_words(p, order, first, last);
    } else {
        const ri_datom *low = group[0] == 0 ? first : last;
        const ri_datom *high = group[0] == 0 ? last : first;
        p = put_group(p, low->a, type_of(order, low), 1);
        p = put_group(p, high->a - low->a, type_of(order, high), 1);
        p = put_words(p, order, low, low);
        p = put_words(p, order, high, high);
    }
    out->len += (size_t)(p - begin);
    return true;
}
