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

/* Which of them the keys of a branch are of. */
static const uint8_t key_part_of[RI_ORDER_COUNT] = {
    [RI_EAVT] = 0, [RI_AEVT] = 1, [RI_AVET] = 1, [RI_VAET] = 0, [RI_LOG] = 0, [RI_RET] = 0, [RI_META] = 1
};

#define FEW_ROWS 16U

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

/* ---- keys of branches (node_keys.c) ---- */

static inline uint32_t keys_lower(const uint64_t *keys, uint32_t from, uint32_t to, uint64_t key)
{
    uint32_t n = to - from;
    while (n > 1) {
        uint32_t half = n / 2;
        from += keys[from + half - 1] < key ? half : 0;
        n -= half;
    }
    return n == 1 && keys[from] < key ? from + 1 : from;
}

static void narrow_keys(const uint64_t *keys, span *s, uint64_t key)
{
    s->from = keys_lower(keys, s->from, s->to, key);
    if (s->from == s->to || keys[s->from] != key) {
        s->to = s->from;
    } else if (s->from + 1 < s->to && keys[s->from + 1] != key) {
        s->to = s->from + 1;
    } else if (key != UINT64_MAX) {
        s->to = keys_lower(keys, s->from + 1, s->to, key + 1);
    }
}

static inline void narrow_number(const ri_node *node, bool by_keys, unsigned column, span *s, uint64_t number)
{
    if (by_keys) {
        narrow_keys(node->keys, s, number);
    } else {
        narrow_col(&node->col[column], s, number);
    }
}

/* ---- attributes ---- */

/* First group whose attribute is >= a. */
static uint32_t group_lower(const ri_node *node, uint32_t a)
{
    const uint32_t *attrs = node->attrs;
    uint32_t from = 0;
    uint32_t n = node->group_count;
    while (n > 1) {
        uint32_t half = n / 2;
        from += attrs[from + half - 1] < a ? half : 0;
        n -= half;
    }
    return attrs[from] < a ? from + 1 : from;
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

/* The same as two searches for first_of_group. */
static void narrow_few(const ri_col *groups, span *s)
{
    uint32_t below = 0;
    uint32_t upto = 0;
    for (uint32_t row = s->from; row < s->to; row++) {
        uint64_t g = ri_col_get(groups, row);
        below += g < s->group;
        upto += g < s->group_end;
    }
    s->to = s->from + upto;
    s->from += below;
}

static void narrow_a(const ri_node *node, span *s, uint32_t a)
{
    if (node->ranks != NULL) {
        RI_PREFETCH(&node->ranks[s->from]); /* read next, mostly */
    }
    s->group = group_lower(node, a);
    s->group_end = s->group;
    while (s->group_end < node->group_count && node->attrs[s->group_end] == a) {
        s->group_end++;
    }
    if (node->ranks != NULL && s->to - s->from <= FEW_ROWS && node->col[RI_COLUMN_G].mode == RI_COL_FOR) {
        narrow_few(&node->col[RI_COLUMN_G], s);
        return;
    }
    s->from = first_of_group(node, s, s->group);
    s->to = s->group == s->group_end ? s->from : first_of_group(node, s, s->group_end);
}

/* ---- values ---- */

static inline int cmp_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t shared = a_len < b_len ? a_len : b_len;
    int order = shared == 0 ? 0 : memcmp(a, b, shared);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Where a value lies among those that begin with what a dictionary has in common: -1 before all, 1 after all, or 0. */
static inline int cmp_shared(const ri_dict *dict, const ri_value *v)
{
    if (dict->shared <= 8) { /* without a look at the bytes, which may be far away */
        uint64_t mask = dict->shared == 0 ? 0 : UINT64_MAX << (64 - 8 * dict->shared);
        uint64_t lead = ri_load_prefix(v->as.p, v->len) & mask;
        return lead != dict->lead ? (lead < dict->lead ? -1 : 1) : v->len < dict->shared ? -1 : 0;
    }
    uint32_t same = v->len < dict->shared ? v->len : dict->shared;
    int order = same == 0 ? 0 : memcmp(v->as.p, dict->bytes, same);
    return order != 0 ? order : v->len < dict->shared ? -1 : 0;
}

typedef struct rest {
    const uint8_t *p;
    uint32_t len;
} rest;

/* What follows that in a value that has it. */
static inline rest rest_of(const ri_dict *dict, const ri_value *v)
{
    uint32_t len = v->len - dict->shared;
    return (rest){ len == 0 ? dict->bytes : v->as.p + dict->shared, len };
}

/* An entry behind what all of them begin with. `packed` (the ends are) is known where this is inlined. */
static inline rest rest_at(const ri_dict *dict, bool packed, uint32_t code)
{
    const ri_col *ends = &dict->ends;
    uint64_t before = code == 0 ? 0 : packed ? ri_col_packed(ends, code - 1) : ends->base + (code - 1) * ends->step;
    uint64_t end = packed ? ri_col_packed(ends, code) : ends->base + code * ends->step;
    uint64_t start = before + dict->shared;
    return (rest){ dict->bytes + start, (uint32_t)(end - start) };
}

static inline uint64_t head_at(const ri_dict *dict, bool packed, uint32_t code)
{
    rest entry = rest_at(dict, packed, code);
    return ri_head_of(entry.p, entry.len);
}

/* The first entry in [from, count) that is not below `v`. */
static uint32_t whole_lower(const ri_dict *dict, bool packed, uint32_t from, rest v, bool *found)
{
    uint32_t to = dict->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        rest entry = rest_at(dict, packed, middle);
        int order = cmp_bytes(entry.p, entry.len, v.p, v.len);
        *found = *found || order == 0;
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    return from;
}

#define LOOK_AHEAD_BYTES 512U

/* The n entries that are looked at next. */
static inline void look_ahead(const ri_dict *dict, bool packed, uint32_t at, uint32_t n)
{
    if (n > 0) {
        const uint8_t *from = rest_at(dict, packed, at).p;
        size_t len = (size_t)(rest_at(dict, packed, at + n - 1).p - from);
        for (size_t offset = 0; offset <= len && offset < LOOK_AHEAD_BYTES; offset += 64) {
            RI_PREFETCH(from + offset);
        }
    }
}

/* The 8 bytes behind what all entries begin with tell most of them apart. Three are read at a time, since each is a cache
 * miss, and no jump depends on them, since half of those would be mispredicted. */
static inline uint32_t rest_lower(const ri_dict *dict, bool packed, rest v, bool *found)
{
    uint64_t head = ri_load_prefix(v.p, v.len);
    uint32_t at = 0;
    uint32_t n = dict->count;
    if (dict->samples != NULL) {
        uint32_t samples = n / RI_DICT_SAMPLE;
        uint32_t below = keys_lower(dict->samples, 0, samples, head);
        at = below * RI_DICT_SAMPLE;
        n = below < samples ? RI_DICT_SAMPLE - 1 : n - at;
        look_ahead(dict, packed, at, n);
    }
    while (n >= 4) {
        uint32_t quarter = n / 4;
        uint32_t probe = at + quarter - 1;
        uint64_t x1 = head_at(dict, packed, probe);
        uint64_t x2 = head_at(dict, packed, probe + quarter);
        uint64_t x3 = head_at(dict, packed, probe + 2 * quarter);
        at += (uint32_t)((x1 < head) + (x2 < head) + (x3 < head)) * quarter;
        n -= 3 * quarter;
    }
    for (; n > 0; n--) {
        at += head_at(dict, packed, at) < head;
    }
    if (at == dict->count || head_at(dict, packed, at) != head) {
        return at;
    }
    rest entry = rest_at(dict, packed, at);
    int order = cmp_bytes(entry.p, entry.len, v.p, v.len);
    *found = order == 0;
    return order < 0 ? whole_lower(dict, packed, at + 1, v, found) : at;
}

static uint32_t dict_lower_bytes(const ri_group *group, const ri_value *v, bool *found)
{
    const ri_dict *dict = &group->dict;
    int order = cmp_shared(dict, v);
    *found = false;
    if (order != 0) {
        return order > 0 ? dict->count : 0;
    }
    rest of_v = rest_of(dict, v);
    return dict->ends.mode == RI_COL_FOR ? rest_lower(dict, true, of_v, found) : rest_lower(dict, false, of_v, found);
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

/* To the rows whose keys agree with the value's; the group has keys. */
static void narrow_value_keys(const ri_node *node, const ri_group *group, span *s, const ri_value *v)
{
    if (ri_type_is_word(group->type)) {
        narrow_keys(node->keys, s, ri_word_to_key(v->type, v->as.u));
        return;
    }
    int order = cmp_shared(&group->dict, v);
    if (order != 0) {
        s->from = order > 0 ? s->to : s->from;
        s->to = s->from;
        return;
    }
    rest of_v = rest_of(&group->dict, v);
    narrow_keys(node->keys, s, ri_load_prefix(of_v.p, of_v.len));
    if (s->from < s->to) {
        narrow_rows(node, s, v);
    }
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
    if (node->keys != NULL && ri_order_keys_values(node->order) && group->type == v->type && ri_group_has_keys(group)) {
        narrow_value_keys(node, group, s, v);
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
            narrow_number(node, node->keys != NULL, RI_COLUMN_V, s, v->as.u);
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
        bool by_keys = node->keys != NULL && i == key_part_of[node->order];
        switch ((part)parts_of[node->order][i]) {
        case PART_E:
            narrow_number(node, by_keys, RI_COLUMN_E, &s, d->e);
            break;
        case PART_A:
            narrow_a(node, &s, d->a);
            break;
        case PART_V:
            narrow_v(node, &s, &d->v);
            break;
        case PART_T:
            narrow_number(node, by_keys, RI_COLUMN_T, &s, d->t);
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

/* What the keys of orders that begin with a number are compared with. */
static inline uint64_t first_number(const ri_node *node, const ri_datom *d)
{
    return node->order == RI_LOG ? d->t : d->e;
}

uint32_t ri_node_child(const ri_node *node, const ri_bound *bound)
{
    bool by_number = node->order == RI_EAVT || node->order == RI_RET || node->order == RI_LOG;
    if (by_number && node->keys != NULL && bound->parts > 0) { /* mostly one number decides */
        uint64_t number = first_number(node, &bound->d);
        uint32_t row = keys_lower(node->keys, 0, node->count, number);
        if (row == node->count || node->keys[row] != number) {
            return row == 0 ? 0 : row - 1;
        }
    }
    uint32_t row = cut_of(search(node, 0, bound, false), bound);
    return row == 0 ? 0 : row - 1;
}
