/* SPDX-License-Identifier: MIT
 *
 * = == not= != < > <= >= of one or more arguments, and compare.
 *
 * = and its negation work on everything; the others compare values of one class (numbers with numbers, strings with
 * strings ...) and refuse the rest, nil too: an order between a string and a number is nearly always a mistake.
 * Numbers compare by their mathematical value; an entity id is a number.
 *
 * The idea: each pair of neighbouring arguments clears what it refuses in `keep`. Columns of whole numbers and of
 * doubles go through loops without branches or calls; everything else is compared row by row.
 */
#include "function.h"

typedef enum relation { REL_EQ, REL_NE, REL_LT, REL_GT, REL_LE, REL_GE } relation;

static const char *const relation_names[] = { "=", "!=", "<", ">", "<=", ">=" };

/* a REL b is b MIRROR a */
static relation mirror(relation rel)
{
    static const relation mirrored[] = { REL_EQ, REL_NE, REL_GT, REL_LT, REL_GE, REL_LE };
    return mirrored[rel];
}

/* One loop for each relation: keep[i] stays where X REL Y. */
#define KEEP_WHERE(X, OP, Y)                  \
    do {                                      \
        for (uint32_t i = 0; i < rows; i++) { \
            keep[i] &= (uint8_t)((X)OP(Y));   \
        }                                     \
    } while (0)
#define KEEP_BY_RELATION(X, Y)    \
    do {                          \
        switch (rel) {            \
        case REL_EQ:              \
            KEEP_WHERE(X, ==, Y); \
            break;                \
        case REL_NE:              \
            KEEP_WHERE(X, !=, Y); \
            break;                \
        case REL_LT:              \
            KEEP_WHERE(X, <, Y);  \
            break;                \
        case REL_GT:              \
            KEEP_WHERE(X, >, Y);  \
            break;                \
        case REL_LE:              \
            KEEP_WHERE(X, <=, Y); \
            break;                \
        case REL_GE:              \
            KEEP_WHERE(X, >=, Y); \
            break;                \
        }                         \
    } while (0)

static inline int64_t as_long(uint64_t word)
{
    ri_value v = ri_word(RI_LONG, word);
    return v.as.i;
}

static inline double as_double(uint64_t word)
{
    ri_value v = ri_word(RI_DOUBLE, word);
    return v.as.d;
}

static void longs_with_const(relation rel, const uint64_t *x, int64_t y, uint32_t rows, uint8_t *keep)
{
    KEEP_BY_RELATION(as_long(x[i]), y);
}

static void longs_with_longs(relation rel, const uint64_t *x, const uint64_t *y, uint32_t rows, uint8_t *keep)
{
    KEEP_BY_RELATION(as_long(x[i]), as_long(y[i]));
}

static void doubles_with_const(relation rel, const uint64_t *x, double y, uint32_t rows, uint8_t *keep)
{
    KEEP_BY_RELATION(as_double(x[i]), y);
}

static void doubles_with_doubles(relation rel, const uint64_t *x, const uint64_t *y, uint32_t rows, uint8_t *keep)
{
    KEEP_BY_RELATION(as_double(x[i]), as_double(y[i]));
}

static bool holds(relation rel, int order)
{
    switch (rel) {
    case REL_EQ:
        return order == 0;
    case REL_NE:
        return order != 0;
    case REL_LT:
        return order < 0;
    case REL_GT:
        return order > 0;
    case REL_LE:
        return order <= 0;
    case REL_GE:
        return order >= 0;
    }
    return false;
}

static bool comparable(const ri_value *a, const ri_value *b)
{
    return a->type != RI_NIL && (a->type == b->type || (ri_type_is_number(a->type) && ri_type_is_number(b->type)));
}

/* What to do about two values that have no order. */
static const char *order_remedy(const ri_value *a, const ri_value *b)
{
    const ri_value *other = a->type == RI_STRING ? b : a;
    bool text = a->type == RI_STRING || b->type == RI_STRING;
    return !text                            ? "use = or !="
           : other->type == RI_INSTANT      ? "write #inst before the text, or convert it with parse-instant"
           : ri_type_is_number(other->type) ? "convert the text with parse-long or parse-double"
                                            : "use = or !=";
}

static bool same_text(const ri_value *a, const ri_value *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->as.p, b->as.p, a->len) == 0);
}

static bool is_text(uint8_t type)
{
    return type == RI_STRING || type == RI_KEYWORD || type == RI_SYMBOL;
}

/* What comparing two values costs. */
static size_t units_of(const ri_value *a, const ri_value *b)
{
    return RI_ROW_UNITS + (a->len < b->len ? a->len : b->len);
}

static int any_rows(relation rel, const ri_fn_call *in, unsigned at, uint8_t *keep, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value va = ri_plain(ri_arg_get(&in->args[at], i));
        ri_value vb = ri_plain(ri_arg_get(&in->args[at + 1], i));
        RI_TRY(ri_fn_work(in, units_of(&va, &vb), err));
        if (rel == REL_EQ || rel == REL_NE) {
            bool equal = va.type == vb.type && is_text(va.type) ? same_text(&va, &vb) : ri_value_eq(&va, &vb);
            keep[i] &= (uint8_t)(equal == (rel == REL_EQ));
            continue;
        }
        if (!comparable(&va, &vb)) {
            char show_a[96];
            char show_b[96];
            return ri_fail(err, RILLE_TYPE, "%s cannot order %s and %s (%s %s and %s %s): %s", relation_names[rel],
                           ri_value_show(show_a, sizeof show_a, &va), ri_value_show(show_b, sizeof show_b, &vb),
                           ri_type_article(va.type), ri_type_name(va.type), ri_type_article(vb.type),
                           ri_type_name(vb.type), order_remedy(&va, &vb));
        }
        keep[i] &= (uint8_t)holds(rel, ri_value_cmp(&va, &vb));
    }
    return 0;
}

/* A column with a column or constant; false: other types. */
static bool compare_words(relation rel, const ri_vec *a, const ri_arg *b, uint32_t rows, uint8_t *keep)
{
    uint8_t type_b = ri_arg_type(b);
    bool longs = ri_is_integer(a->type) && ri_is_integer(type_b);
    if (longs && b->vec == NULL) {
        longs_with_const(rel, a->words, b->value.as.i, rows, keep);
    } else if (longs) {
        longs_with_longs(rel, a->words, b->vec->words, rows, keep);
    } else if (a->type == RI_DOUBLE && type_b == RI_DOUBLE && b->vec == NULL) {
        doubles_with_const(rel, a->words, b->value.as.d, rows, keep);
    } else if (a->type == RI_DOUBLE && type_b == RI_DOUBLE) {
        doubles_with_doubles(rel, a->words, b->vec->words, rows, keep);
    } else {
        return false;
    }
    return true;
}

/* Argument `at` with the next one. */
static int compare_pair(relation rel, const ri_fn_call *in, unsigned at, uint8_t *keep, rille_err *err)
{
    const ri_arg *a = &in->args[at];
    const ri_arg *b = &in->args[at + 1];
    if (a->vec != NULL ? compare_words(rel, a->vec, b, in->rows, keep)
                       : b->vec != NULL && compare_words(mirror(rel), b->vec, a, in->rows, keep)) {
        return ri_fn_work(in, in->rows, err);
    }
    return any_rows(rel, in, at, keep, err);
}

/* a < b < c: every neighbouring pair. */
static int chain(relation rel, const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    memset(keep, 1, in->rows);
    for (unsigned i = 0; i + 1 < in->count; i++) {
        RI_TRY(compare_pair(rel, in, i, keep, err));
    }
    return 0;
}

static int filter_eq(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return chain(REL_EQ, in, keep, err);
}

/* Not all equal. */
static int filter_ne(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    if (in->count == 2) {
        return chain(REL_NE, in, keep, err);
    }
    RI_TRY(chain(REL_EQ, in, keep, err));
    for (uint32_t i = 0; i < in->rows; i++) {
        keep[i] ^= 1;
    }
    return 0;
}

static int filter_lt(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return chain(REL_LT, in, keep, err);
}

static int filter_gt(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return chain(REL_GT, in, keep, err);
}

static int filter_le(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return chain(REL_LE, in, keep, err);
}

static int filter_ge(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return chain(REL_GE, in, keep, err);
}

/* -1, 0 or 1 by the one order of all values. */
static int map_compare(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value a = ri_plain(ri_arg_get(&in->args[0], i));
        ri_value b = ri_plain(ri_arg_get(&in->args[1], i));
        RI_TRY(ri_fn_work(in, units_of(&a, &b), err));
        int order = ri_value_cmp(&a, &b);
        ri_value v = ri_long((order > 0) - (order < 0));
        ri_vec_set(out, i, &v);
    }
    return 0;
}

const ri_builtin ri_compare_functions[] = {
    { "=", 1, -1, true, filter_eq, NULL },         { "==", 1, -1, true, filter_eq, NULL },
    { "not=", 1, -1, true, filter_ne, NULL },      { "!=", 1, -1, true, filter_ne, NULL },
    { "<", 1, -1, true, filter_lt, NULL },         { ">", 1, -1, true, filter_gt, NULL },
    { "<=", 1, -1, true, filter_le, NULL },        { ">=", 1, -1, true, filter_ge, NULL },
    { "compare", 2, 2, false, NULL, map_compare }, { NULL, 0, 0, false, NULL, NULL },
};
