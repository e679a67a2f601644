/* SPDX-License-Identifier: MIT
 *
 * Arithmetic: + - * / quot rem mod inc dec abs min max long double, even? odd? pos? neg? zero?
 *
 * Longs are exact: what leaves int64 is an error (RILLE_LIMIT), never a rounded or wrapped number. A long with a double
 * gives a double. / of longs gives a long when it is exact, else a double. Doubles that become
 * infinite are an error too, unless one of them was.
 */
#include "function.h"

#include <math.h>

#define TWO_63 9223372036854775808.0

typedef enum operation { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_QUOT, OP_REM, OP_MOD, OP_MIN, OP_MAX } operation;

static const char *const operation_names[] = { "+", "-", "*", "/", "quot", "rem", "mod", "min", "max" };

/* ---- two longs ---- */

/* False: it overflows. Unsigned arithmetic wraps; the signs tell. */
static inline bool add_long(int64_t a, int64_t b, int64_t *out)
{
    ri_value r = ri_word(RI_LONG, (uint64_t)a + (uint64_t)b);
    *out = r.as.i;
    return ((a ^ r.as.i) & (b ^ r.as.i)) >= 0;
}

static inline bool sub_long(int64_t a, int64_t b, int64_t *out)
{
    ri_value r = ri_word(RI_LONG, (uint64_t)a - (uint64_t)b);
    *out = r.as.i;
    return ((a ^ b) & (a ^ r.as.i)) >= 0;
}

static inline bool mul_long(int64_t a, int64_t b, int64_t *out)
{
#if defined(__GNUC__)
    return !__builtin_mul_overflow(a, b, out);
#else
    uint64_t ua = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    uint64_t ub = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    uint64_t limit = (uint64_t)INT64_MAX + ((a < 0) != (b < 0) ? 1 : 0);
    if (ua != 0 && ub > limit / ua) {
        return false;
    }
    uint64_t product = (a < 0) != (b < 0) ? 0 - ua * ub : ua * ub;
    ri_value r = ri_word(RI_LONG, product);
    *out = r.as.i;
    return true;
#endif
}

static int fail_overflow(rille_err *err, operation op, const ri_value *a, const ri_value *b)
{
    char show_a[96];
    char show_b[96];
    return ri_fail(err, RILLE_LIMIT, "(%s %s %s) overflows: use doubles or smaller numbers", operation_names[op],
                   ri_value_show(show_a, sizeof show_a, a), ri_value_show(show_b, sizeof show_b, b));
}

static int fail_zero(rille_err *err, operation op, const ri_value *a)
{
    char show[96];
    return ri_fail(err, RILLE_FUNCTION, "(%s %s 0) divides by zero: exclude zeros with [(not= ?x 0)]",
                   operation_names[op], ri_value_show(show, sizeof show, a));
}

static int divide_longs(operation op, int64_t a, int64_t b, ri_value *out)
{
    if (b == -1) { /* INT64_MIN / -1 */
        int64_t negated;
        bool fits = sub_long(0, a, &negated);
        *out = ri_long(op == OP_DIV || op == OP_QUOT ? negated : 0);
        return fits || op == OP_REM || op == OP_MOD ? 0 : RILLE_LIMIT;
    }
    int64_t rest = a % b;
    if (op == OP_DIV && rest != 0) {
        *out = ri_double((double)a / (double)b);
    } else if (op == OP_DIV || op == OP_QUOT) {
        *out = ri_long(a / b);
    } else {
        *out = ri_long(op == OP_MOD && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    return 0;
}

static int long_pair(operation op, const ri_value *a, const ri_value *b, ri_value *out, rille_err *err)
{
    int64_t r = 0;
    bool fits = true;
    switch (op) {
    case OP_ADD:
        fits = add_long(a->as.i, b->as.i, &r);
        break;
    case OP_SUB:
        fits = sub_long(a->as.i, b->as.i, &r);
        break;
    case OP_MUL:
        fits = mul_long(a->as.i, b->as.i, &r);
        break;
    case OP_MIN:
        r = a->as.i < b->as.i ? a->as.i : b->as.i;
        break;
    case OP_MAX:
        r = a->as.i > b->as.i ? a->as.i : b->as.i;
        break;
    case OP_DIV:
    case OP_QUOT:
    case OP_REM:
    case OP_MOD:
        if (b->as.i == 0) {
            return fail_zero(err, op, a);
        }
        return divide_longs(op, a->as.i, b->as.i, out) == 0 ? 0 : fail_overflow(err, op, a, b);
    }
    *out = ri_long(r);
    return fits ? 0 : fail_overflow(err, op, a, b);
}

/* ---- doubles ---- */

static double double_of(const ri_value *v)
{
    return v->type == RI_DOUBLE ? v->as.d : (double)v->as.i;
}

static int double_pair(operation op, const ri_value *va, const ri_value *vb, ri_value *out, rille_err *err)
{
    double a = double_of(va);
    double b = double_of(vb);
    double r = 0;
    if (b == 0 && op >= OP_DIV && op <= OP_MOD) {
        return fail_zero(err, op, va);
    }
    switch (op) {
    case OP_ADD:
        r = a + b;
        break;
    case OP_SUB:
        r = a - b;
        break;
    case OP_MUL:
        r = a * b;
        break;
    case OP_DIV:
        r = a / b;
        break;
    case OP_QUOT:
        r = trunc(a / b);
        break;
    case OP_REM:
    case OP_MOD:
        r = fmod(a, b);
        r = op == OP_MOD && r != 0 && (r < 0) != (b < 0) ? r + b : r;
        break;
    case OP_MIN: /* the long itself, where it is the smaller */
        *out = ri_number_cmp(va, vb) <= 0 ? *va : *vb;
        return 0;
    case OP_MAX:
        *out = ri_number_cmp(va, vb) >= 0 ? *va : *vb;
        return 0;
    }
    if (isnan(r) || (isinf(r) && isfinite(a) && isfinite(b))) {
        return fail_overflow(err, op, va, vb);
    }
    *out = ri_double(r);
    return 0;
}

/* ---- columns ---- */

static bool is_plain_number(uint8_t type)
{
    return type == RI_LONG || type == RI_DOUBLE;
}

static int any_pair(operation op, const ri_value *a, const ri_value *b, ri_value *out, rille_err *err)
{
    if (!is_plain_number(a->type) || !is_plain_number(b->type)) {
        const ri_value *wrong = is_plain_number(a->type) ? b : a;
        return ri_fail_arg(
            err, operation_names[op],
            ri_type_is_number(wrong->type) ? "longs or doubles, such as the result of (double ?x)" : "numbers", wrong);
    }
    if (a->type == RI_LONG && b->type == RI_LONG) {
        return long_pair(op, a, b, out, err);
    }
    return double_pair(op, a, b, out, err);
}

/* Columns of longs by + - *: false when a row overflows; then the slow way finds and names it. */
static bool fast_longs(operation op, const ri_arg *a, const ri_arg *b, uint32_t rows, ri_vec *out)
{
    bool good = true;
    uint64_t const_b = b->value.as.u;
    for (uint32_t i = 0; i < rows; i++) {
        ri_value x = ri_word(RI_LONG, a->vec->words[i]);
        ri_value y = ri_word(RI_LONG, b->vec != NULL ? b->vec->words[i] : const_b);
        int64_t r = 0;
        bool fits = op == OP_ADD   ? add_long(x.as.i, y.as.i, &r)
                    : op == OP_SUB ? sub_long(x.as.i, y.as.i, &r)
                                   : mul_long(x.as.i, y.as.i, &r);
        good = good && fits;
        out->words[i] = (uint64_t)r;
    }
    out->type = RI_LONG;
    return good;
}

static int binary(operation op, const ri_arg *a, const ri_arg *b, uint32_t rows, ri_vec *out, rille_err *err)
{
    if (op <= OP_MUL && a->vec != NULL && a->vec != out && ri_is_integer(a->vec->type) &&
        ri_is_integer(ri_arg_type(b)) && fast_longs(op, a, b, rows, out)) {
        return 0;
    }
    for (uint32_t i = 0; i < rows; i++) {
        ri_value va = ri_plain(ri_arg_get(a, i));
        ri_value vb = ri_plain(ri_arg_get(b, i));
        ri_value v;
        RI_TRY(any_pair(op, &va, &vb, &v, err));
        ri_vec_set(out, i, &v);
    }
    return 0;
}

/* ((a OP b) OP c) ..., with `unit` OP a for a single one. */
static int fold(operation op, int64_t unit, const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    const ri_arg *args = in->args;
    if (in->count == 1) {
        ri_arg first = { NULL, ri_long(unit) };
        return op == OP_MIN || op == OP_MAX ? binary(op, &args[0], &args[0], in->rows, out, err)
                                            : binary(op, &first, &args[0], in->rows, out, err);
    }
    ri_vec steps[2] = { { 0 }, { 0 } }; /* results so far: read from one, written to the other */
    ri_arg so_far = args[0];
    for (unsigned i = 1; i < in->count; i++) {
        ri_vec *to = i + 1 == in->count ? out : &steps[i % 2];
        if (to->words == NULL && !ri_vec_init(to, in->arena, in->rows)) {
            return ri_fail_nomem(err);
        }
        RI_TRY(ri_fn_work(in, in->rows * RI_ROW_UNITS, err));
        RI_TRY(binary(op, &so_far, &args[i], in->rows, to, err));
        so_far = (ri_arg){ to, ri_nil() };
    }
    return 0;
}

#define FOLD(NAME, OP, UNIT)                                           \
    static int NAME(const ri_fn_call *in, ri_vec *out, rille_err *err) \
    {                                                                  \
        return fold(OP, UNIT, in, out, err);                           \
    }
FOLD(map_add, OP_ADD, 0)
FOLD(map_sub, OP_SUB, 0)
FOLD(map_mul, OP_MUL, 1)
FOLD(map_div, OP_DIV, 1)
FOLD(map_quot, OP_QUOT, 0)
FOLD(map_rem, OP_REM, 0)
FOLD(map_mod, OP_MOD, 0)
FOLD(map_min, OP_MIN, 0)
FOLD(map_max, OP_MAX, 0)

static int map_inc(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_arg one = { NULL, ri_long(1) };
    return binary(OP_ADD, &in->args[0], &one, in->rows, out, err);
}

static int map_dec(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_arg one = { NULL, ri_long(1) };
    return binary(OP_SUB, &in->args[0], &one, in->rows, out, err);
}

static int map_abs(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_value zero = ri_long(0);
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_plain(ri_arg_get(&in->args[0], i));
        if (!is_plain_number(v.type)) {
            return ri_fail_arg(err, "abs", "a long or double", &v);
        }
        if (ri_number_cmp(&v, &zero) < 0) {
            RI_TRY(any_pair(OP_SUB, &zero, &v, &v, err));
        }
        ri_vec_set(out, i, &v);
    }
    return 0;
}

/* Any number; the text of big ones is rounded. */
static int to_double(const ri_value *v, double *out, rille_err *err)
{
    if (v->type == RI_BIGINT || v->type == RI_BIGDEC) {
        return ri_double_parse((const char *)v->as.p, v->len, out, err);
    }
    if (!is_plain_number(v->type)) {
        return ri_fail_arg(err, "double", "a number", v);
    }
    *out = double_of(v);
    return 0;
}

static int map_double(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_plain(ri_arg_get(&in->args[0], i));
        double d;
        RI_TRY(ri_fn_work(in, v.len, err));
        RI_TRY(to_double(&v, &d, err));
        v = ri_double(d);
        ri_vec_set(out, i, &v);
    }
    return 0;
}

/* Cuts the fraction off. */
static int map_long(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_plain(ri_arg_get(&in->args[0], i));
        if (v.type == RI_INSTANT) { /* milliseconds since 1970 */
            v = ri_long(v.as.i);
        }
        if (!is_plain_number(v.type) || (v.type == RI_DOUBLE && !(v.as.d >= -TWO_63 && v.as.d < TWO_63))) {
            return ri_fail_arg(err, "long", "a long, an instant, or a double in the range of longs", &v);
        }
        v = v.type == RI_DOUBLE ? ri_long((int64_t)v.as.d) : v;
        ri_vec_set(out, i, &v);
    }
    return 0;
}

/* ---- predicates ---- */

static int sign_rows(const char *name, int low, int high, const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    ri_value zero = ri_long(0);
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_plain(ri_arg_get(&in->args[0], i));
        if (!ri_type_is_number(v.type)) {
            return ri_fail_arg(err, name, "a number", &v);
        }
        RI_TRY(ri_fn_work(in, v.len, err));
        int order = ri_number_cmp(&v, &zero);
        int sign = (order > 0) - (order < 0);
        keep[i] = sign >= low && sign <= high;
    }
    return 0;
}

static int parity_rows(const char *name, unsigned rest, const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_plain(ri_arg_get(&in->args[0], i));
        if (v.type != RI_LONG) {
            return ri_fail_arg(err, name, "a long", &v);
        }
        keep[i] = (v.as.u & 1) == rest;
    }
    return 0;
}

#define PREDICATE(FUNCTION, CALL)                                            \
    static int FUNCTION(const ri_fn_call *in, uint8_t *keep, rille_err *err) \
    {                                                                        \
        return CALL;                                                         \
    }
PREDICATE(filter_pos, sign_rows("pos?", 1, 1, in, keep, err))
PREDICATE(filter_neg, sign_rows("neg?", -1, -1, in, keep, err))
PREDICATE(filter_zero, sign_rows("zero?", 0, 0, in, keep, err))
PREDICATE(filter_even, parity_rows("even?", 0, in, keep, err))
PREDICATE(filter_odd, parity_rows("odd?", 1, in, keep, err))

const ri_builtin ri_number_functions[] = {
    { "+", 1, -1, false, NULL, map_add },       { "-", 1, -1, false, NULL, map_sub },
    { "*", 1, -1, false, NULL, map_mul },       { "/", 1, -1, false, NULL, map_div },
    { "quot", 2, 2, false, NULL, map_quot },    { "rem", 2, 2, false, NULL, map_rem },
    { "mod", 2, 2, false, NULL, map_mod },      { "inc", 1, 1, false, NULL, map_inc },
    { "dec", 1, 1, false, NULL, map_dec },      { "abs", 1, 1, false, NULL, map_abs },
    { "min", 1, -1, false, NULL, map_min },     { "max", 1, -1, false, NULL, map_max },
    { "long", 1, 1, false, NULL, map_long },    { "double", 1, 1, false, NULL, map_double },
    { "pos?", 1, 1, true, filter_pos, NULL },   { "neg?", 1, 1, true, filter_neg, NULL },
    { "zero?", 1, 1, true, filter_zero, NULL }, { "even?", 1, 1, true, filter_even, NULL },
    { "odd?", 1, 1, true, filter_odd, NULL },   { NULL, 0, 0, false, NULL, NULL },
};
