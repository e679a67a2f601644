/* SPDX-License-Identifier: MIT
 *
 * Searching a node without decoding it. A cut is found component by component: a span of rows that agree with the
 * bound so far is narrowed by one column after the other, until it is empty or the parts of the bound are used up.
 *
 * E, T, X, OP, V (of VAET): the column is sorted within the span: two searches. The attribute: groups are sorted by it,
 * so group numbers are monotone within the span as far as attributes go ("g >= first group of a" is). The value: the
 * rows of a span of one attribute are mostly of one group, hence consecutive numbers of its sorted values; only where
 * an attribute has values of several types in one node (flexible schema), rows are compared one by one.
 *
 * Cost: 10-30 ns a component.
 */
#include "node_format.h"

typedef enum part { PART_END, PART_E, PART_A, PART_V, PART_T, PART_X, PART_OP } part;

static const uint8_t parts_of[RI_ORDER_COUNT][5] = {
    [RI_EAVT] = { PART_E, PART_A, PART_V },
    [RI_AEVT] = { PART_A, PART_E, PART_V },
    [RI_AVET] = { PART_A, PART_V, PART_E },
    [RI_VAET] = { PART_V, PART_A, PART_E },
    [RI_LOG] = { PART_T, PART_E, PART_A, PART_V, PART_OP },
    [RI_RET] = { PART_E, PART_A, PART_V, PART_T, PART_X },
    [RI_META] = { PART_A, PART_V, PART_E },
};

/* Rows [from, to) agree with the bound in all components so far; an empty span is where the cut is. */
typedef struct span {
    uint32_t from;
    uint32_t to;
    uint32_t group; /* of the bound's attribute: [group, group_end) */
    uint32_t group_end;
    bool gallop;
} span;

static inline uint32_t col_lower(const ri_col *col, const span *s, uint64_t key)
{
    return s->gallop ? ri_col_gallop(col, s->from, s->to, key) : ri_col_lower(col, s->from, s->to, key);
}

/* To the numbers equal to key. */
static inline void narrow_col(const ri_col *col, span *s, uint64_t key)
{
    ri_col_equal(col, s->from, s->to, key, s->gallop, &s->from, &s->to);
}

/* First group whose attribute is >= a. */
static uint32_t group_lower(const ri_node *node, uint32_t a)
{
    uint32_t from = 0;
    uint32_t n = node->group_count;
    while (n > 0) {
        uint32_t half = n / 2;
        bool below = node->groups[from + half].a < a;
        from = below ? from + half + 1 : from;
        n = below ? n - half - 1 : half;
    }
    return from;
}

/* First row of the span whose group is not below g. */
static uint32_t first_of_group(const ri_node *node, const span *s, uint32_t g)
{
    if (g == 0 || g >= node->group_count) {
        return g == 0 ? s->from : s->to;
    }
    if (node->ranks == NULL) {
        uint32_t start = node->groups[g].start;
        return start <= s->from ? s->from : start >= s->to ? s->to : start;
    }
    return col_lower(&node->col[RI_COLUMN_G], s, g);
}

static void narrow_a(const ri_node *node, span *s, uint32_t a)
{
    s->group = group_lower(node, a);
    s->group_end = s->group;
    while (s->group_end < node->group_count && node->groups[s->group_end].a == a) {
        s->group_end++;
    }
    s->from = first_of_group(node, s, s->group);
    s->to = s->group == s->group_end ? s->from : first_of_group(node, s, s->group_end);
}

/* ---- values ---- */

/* The first 8 of `len` bytes as a number that sorts as they do. At least 8 bytes can be read. */
static inline uint64_t head_of(const uint8_t *bytes, uint32_t len)
{
    uint64_t head = ri_load_be64(bytes);
    return len >= 8 ? head : len == 0 ? 0 : head & ~(UINT64_MAX >> (8 * len));
}

static inline int cmp_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t shared = a_len < b_len ? a_len : b_len;
    int order = shared == 0 ? 0 : memcmp(a, b, shared);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* The 8 bytes behind what all entries begin with tell most of them apart. */
static uint32_t dict_lower_bytes(const ri_group *group, const ri_value *v, bool *found)
{
    const ri_dict *dict = &group->dict;
    uint32_t shared = dict->shared;
    uint32_t same = v->len < shared ? v->len : shared;
    int order = same == 0 ? 0 : memcmp(v->as.p, dict->bytes, same);
    *found = false;
    if (order != 0 || v->len < shared) {
        return order > 0 ? dict->count : 0;
    }
    uint32_t v_len = v->len - shared;
    const uint8_t *v_rest = v_len == 0 ? dict->bytes : v->as.p + shared;
    uint64_t v_head = ri_load_prefix(v_rest, v_len);
    uint32_t from = 0;
    uint32_t to = dict->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        uint64_t start = (middle == 0 ? 0 : ri_col_get(&dict->ends, middle - 1)) + shared;
        uint32_t len = (uint32_t)(ri_col_get(&dict->ends, middle) - start);
        const uint8_t *rest = dict->bytes + start;
        uint64_t head = head_of(rest, len);
        order = head < v_head ? -1 : head > v_head ? 1 : cmp_bytes(rest, len, v_rest, v_len);
        *found = *found || order == 0;
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    return from;
}

uint32_t ri_dict_lower(const ri_group *group, const ri_value *v, bool *found)
{
    if (group->type == v->type && ri_type_is_bytewise(v->type)) {
        return dict_lower_bytes(group, v, found);
    }
    uint32_t from = 0;
    uint32_t to = group->dict.count;
    *found = false;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        ri_value entry = ri_dict_get(group, middle);
        int order = ri_value_cmp(&entry, v);
        if (order < 0) {
            from = middle + 1;
        } else {
            *found = *found || order == 0;
            to = middle;
        }
    }
    return from;
}

/* First of the span's rows whose value is >= v (or > v, when above). */
static uint32_t rows_lower(const ri_node *node, const span *s, const ri_value *v, bool above)
{
    uint32_t from = s->from;
    uint32_t to = s->to;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        ri_value value = ri_node_value(node, middle);
        int order = ri_value_cmp(&value, v);
        if (order < 0 || (order == 0 && above)) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static void narrow_rows(const ri_node *node, span *s, const ri_value *v)
{
    if (s->to - s->from == 1) {
        ri_value value = ri_node_value(node, s->from);
        int order = ri_value_cmp(&value, v);
        s->from += order < 0;
        s->to -= order > 0;
        return;
    }
    s->from = rows_lower(node, s, v, false);
    s->to = rows_lower(node, s, v, true);
}

/* The span's rows are of one group, which is not of nil. */
static void narrow_group(const ri_node *node, const ri_group *group, span *s, const ri_value *v)
{
    bool word = ri_type_is_word(group->type);
    /* tuples of unlike bytes may be equal: their codes are not sorted within equal ones */
    if (s->to - s->from == 1 || group->type == RI_TUPLE || (word && group->type != v->type)) {
        narrow_rows(node, s, v);
        return;
    }
    uint32_t shift = s->from - ri_node_rank(node, group, s->from);
    span values = { s->from - shift, s->to - shift, 0, 0, s->gallop };
    if (values.to > group->count) { /* only in a damaged node whose rows are not sorted: stay inside the column */
        narrow_rows(node, s, v);
        return;
    }
    if (word) {
        narrow_col(&group->values, &values, ri_word_to_key(v->type, v->as.u));
    } else {
        bool found;
        uint32_t code = ri_dict_lower(group, v, &found);
        if (found) {
            narrow_col(&group->values, &values, code);
        } else {
            values.from = values.to = col_lower(&group->values, &values, code);
        }
    }
    s->from = values.from + shift;
    s->to = values.to + shift;
}

static void narrow_v(const ri_node *node, span *s, const ri_value *v)
{
    if (node->order == RI_VAET) {
        ri_value ref = ri_ref(0);
        if (v->type == RI_REF) {
            narrow_col(&node->col[RI_COLUMN_V], s, v->as.u);
        } else if (ri_value_cmp(&ref, v) < 0) {
            s->from = s->to;
        } else {
            s->to = s->from;
        }
        return;
    }
    uint32_t group = s->group;
    if (node->groups[group].type == RI_NIL) { /* nil lies before all values */
        uint32_t end = first_of_group(node, s, group + 1);
        if (v->type == RI_NIL) {
            s->to = end;
            return;
        }
        s->from = end;
        group++;
    }
    if (v->type == RI_NIL) {
        s->to = s->from;
    } else if (s->from < s->to && s->group_end - group == 1) {
        narrow_group(node, &node->groups[group], s, v);
    } else {
        narrow_rows(node, s, v);
    }
}

/* ---- cuts ---- */

static span search(const ri_node *node, uint32_t from, const ri_bound *bound, bool gallop)
{
    span s = { from, node->count, 0, 0, gallop };
    const ri_datom *d = &bound->d;
    for (unsigned i = 0; i < bound->parts && s.from < s.to; i++) {
        switch ((part)parts_of[node->order][i]) {
        case PART_E:
            narrow_col(&node->col[RI_COLUMN_E], &s, d->e);
            break;
        case PART_A:
            narrow_a(node, &s, d->a);
            break;
        case PART_V:
            narrow_v(node, &s, &d->v);
            break;
        case PART_T:
            narrow_col(&node->col[RI_COLUMN_T], &s, d->t);
            break;
        case PART_X:
            narrow_col(&node->col[RI_COLUMN_X], &s, d->x);
            break;
        case PART_OP:
            narrow_col(&node->col[RI_COLUMN_OP], &s, d->added);
            break;
        case PART_END:
            break;
        }
    }
    return s;
}

static inline uint32_t cut_of(span s, const ri_bound *bound)
{
    return bound->after ? s.to : s.from;
}

uint32_t ri_node_search(const ri_node *node, uint32_t from, const ri_bound *bound)
{
    return cut_of(search(node, from, bound, false), bound);
}

uint32_t ri_node_gallop(const ri_node *node, uint32_t from, const ri_bound *bound)
{
    return cut_of(search(node, from, bound, true), bound);
}

void ri_node_equal(const ri_node *node, const ri_bound *bound, uint32_t *first, uint32_t *end)
{
    span s = search(node, 0, bound, false);
    *first = s.from;
    *end = s.to;
}

uint32_t ri_node_child(const ri_node *node, const ri_bound *bound)
{
    uint32_t row = cut_of(search(node, 0, bound, false), bound);
    return row == 0 ? 0 : row - 1;
}
