/* SPDX-License-Identifier: MIT
 *
 * Functions on values of any type and on tuples: identity ground untuple tuple, count empty? contains? get nth, nil?
 * some? true? false? not, keyword name namespace.
 */
#include "function.h"

/* ---- as it is ---- */

static int map_identity(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    (void)err;
    if (in->args[0].vec == NULL) {
        ri_vec_fill(out, in->rows, &in->args[0].value);
    } else {
        ri_vec_append(in->args[0].vec, NULL, in->rows, out, 0);
    }
    return 0;
}

typedef enum property { IS_NIL, IS_SOME, IS_TRUE, IS_FALSE, IS_NOT } property;

static void keep_with(property which, const ri_fn_call *in, uint8_t *keep)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        bool is_false = v.type == RI_BOOL && v.as.u == 0;
        switch (which) {
        case IS_NIL:
            keep[i] = v.type == RI_NIL;
            break;
        case IS_SOME:
            keep[i] = v.type != RI_NIL;
            break;
        case IS_TRUE:
            keep[i] = v.type == RI_BOOL && !is_false;
            break;
        case IS_FALSE:
            keep[i] = is_false;
            break;
        case IS_NOT:
            keep[i] = is_false || v.type == RI_NIL;
            break;
        }
    }
}

#define PROPERTY(FUNCTION, WHICH)                                            \
    static int FUNCTION(const ri_fn_call *in, uint8_t *keep, rille_err *err) \
    {                                                                        \
        (void)err;                                                           \
        keep_with(WHICH, in, keep);                                          \
        return 0;                                                            \
    }
PROPERTY(filter_nil, IS_NIL)
PROPERTY(filter_some, IS_SOME)
PROPERTY(filter_true, IS_TRUE)
PROPERTY(filter_false, IS_FALSE)
PROPERTY(filter_not, IS_NOT)

/* ---- tuples ---- */

static int map_tuple(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_buf buf = { .meter = in->arena->meter };
    int rc = 0;
    for (uint32_t i = 0; i < in->rows && rc == 0; i++) {
        bool nested = false;
        ri_buf_clear(&buf);
        for (unsigned a = 0; a < in->count && buf.len <= RI_VALUE_BYTES_MAX && !buf.failed; a++) {
            ri_value v = ri_plain(ri_arg_get(&in->args[a], i)); /* in a tuple an entity id is a number */
            nested = nested || v.type == RI_TUPLE;
            ri_value_write(&buf, &v);
        }
        ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        if (buf.len > RI_VALUE_BYTES_MAX) {
            rc = ri_fail(err, RILLE_LIMIT, "the result of function tuple is longer than the maximum of %u bytes",
                         RI_VALUE_BYTES_MAX);
        } else if (buf.failed || !ri_value_copy(in->arena, &tuple, &tuple)) {
            rc = ri_fail_nomem(err);
        } else if (nested && !ri_value_valid(&tuple)) {
            rc = ri_fail(err, RILLE_LIMIT, "function tuple: tuples are nested too deeply (the maximum depth is %d)",
                         RI_TUPLE_DEPTH_MAX);
        } else {
            ri_vec_set(out, i, &tuple);
        }
    }
    ri_buf_deinit(&buf);
    return rc;
}

/* Characters are counted by their first bytes. */
static int64_t char_count(const ri_value *v, ri_meter *meter)
{
    int64_t count = 0;
    uint32_t to = 0;
    for (uint32_t from = 0; from < v->len; from = to) {
        to = v->len - from < RI_TEXT_PORTION ? v->len : from + RI_TEXT_PORTION;
        if (!ri_meter_work(meter, to - from)) {
            break;
        }
        for (uint32_t i = from; i < to; i++) {
            count += (v->as.p[i] & 0xc0) != 0x80;
        }
    }
    return count;
}

/* Elements of a tuple, characters of a string, bytes; nil has none. -1: not countable. */
static int64_t count_of(const ri_value *v, ri_meter *meter)
{
    if (v->type == RI_STRING) {
        return char_count(v, meter);
    }
    if (v->type == RI_BYTES) {
        return v->len;
    }
    if (v->type == RI_FLOATS) {
        return v->len / 4;
    }
    int64_t count = v->type == RI_TUPLE || v->type == RI_NIL ? 0 : -1;
    ri_reader r = ri_reader_of(v->as.p, v->type == RI_TUPLE ? v->len : 0);
    while (v->type == RI_TUPLE && ri_reader_left(&r) > 0 && !r.bad) {
        ri_value element = ri_value_read(&r);
        if (!ri_meter_work(meter, RI_ROW_UNITS + element.len)) {
            break;
        }
        count++;
    }
    return count;
}

static int map_count(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        int64_t n = count_of(&v, in->arena->meter);
        if (n < 0) {
            return ri_fail_arg(err, "in->count", "a string, bytes or a tuple", &v);
        }
        v = ri_long(n);
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static int filter_empty(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        if (v.type != RI_STRING && v.type != RI_BYTES && v.type != RI_FLOATS && v.type != RI_TUPLE &&
            v.type != RI_NIL) {
            return ri_fail_arg(err, "empty?", "a string, bytes or a tuple", &v);
        }
        keep[i] = v.len == 0;
    }
    return 0;
}

static bool tuple_has(const ri_value *tuple, const ri_value *wanted, ri_meter *meter)
{
    ri_reader r = ri_reader_of(tuple->as.p, tuple->len);
    ri_value plain = ri_plain(*wanted);
    while (ri_reader_left(&r) > 0 && !r.bad) {
        ri_value v = ri_plain(ri_value_read(&r));
        if (!ri_meter_work(meter, RI_ROW_UNITS + v.len)) {
            return false;
        }
        if (!r.bad && ri_value_eq(&v, &plain)) {
            return true;
        }
    }
    return false;
}

static int filter_contains(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value tuple = ri_arg_get(&in->args[0], i);
        ri_value v = ri_arg_get(&in->args[1], i);
        if (tuple.type != RI_TUPLE) {
            return ri_fail_arg(err, "contains?", "a set or a tuple as its first argument", &tuple);
        }
        keep[i] = tuple_has(&tuple, &v, in->arena->meter);
    }
    return 0;
}

/* (nth tuple i), (get tuple i default): nil, or the default, where there is none. */
static int map_get(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value tuple = ri_arg_get(&in->args[0], i);
        ri_value index = ri_plain(ri_arg_get(&in->args[1], i));
        if (tuple.type != RI_TUPLE) {
            return ri_fail_arg(err, "get", "a tuple as its first argument", &tuple);
        }
        if (index.type != RI_LONG) {
            return ri_fail_arg(err, "get", "a long as the position, starting at 0", &index);
        }
        ri_value found = in->count > 2 ? ri_arg_get(&in->args[2], i) : ri_nil();
        ri_reader r = ri_reader_of(tuple.as.p, tuple.len);
        for (int64_t at = 0; at <= index.as.i && ri_reader_left(&r) > 0; at++) {
            ri_value v = ri_value_read(&r);
            if (r.bad) {
                break;
            }
            RI_TRY(ri_fn_work(in, RI_ROW_UNITS + v.len, err));
            found = at == index.as.i ? v : found;
        }
        ri_vec_set(out, i, &found);
    }
    return 0;
}

/* ---- names ---- */

/* Where the name begins: after the first slash, but "/" is a name itself. */
static uint32_t name_start(const ri_value *v)
{
    const uint8_t *slash = v->len < 2 ? NULL : memchr(v->as.p, '/', v->len);
    return slash == NULL ? 0 : (uint32_t)(slash - v->as.p) + 1;
}

static bool is_name(const ri_value *v)
{
    return v->type == RI_KEYWORD || v->type == RI_SYMBOL;
}

static int map_name(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        if (!is_name(&v) && v.type != RI_STRING) {
            return ri_fail_arg(err, "name", "a keyword, symbol or string", &v);
        }
        uint32_t start = is_name(&v) ? name_start(&v) : 0;
        v = ri_bytes_value(RI_STRING, v.as.p + start, v.len - start);
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static int map_namespace(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        if (!is_name(&v)) {
            return ri_fail_arg(err, "namespace", "a keyword or symbol", &v);
        }
        uint32_t start = name_start(&v);
        v = start == 0 ? ri_nil() : ri_bytes_value(RI_STRING, v.as.p, start - 1);
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static int make_keyword(const ri_value *space, const ri_value *name, ri_arena *arena, ri_value *out, rille_err *err)
{
    uint32_t space_len = space == NULL ? 0 : space->len + 1;
    uint64_t len = (uint64_t)space_len + name->len;
    if (len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "the result of function keyword is too long: %llu bytes",
                       (unsigned long long)len);
    }
    RI_TRY(ri_work(arena->meter, (size_t)len, err));
    uint8_t *p = ri_arena_alloc(arena, (size_t)len);
    if (p == NULL) {
        return ri_fail_nomem(err);
    }
    if (space != NULL) {
        memcpy(p, space->as.p, space->len);
        p[space->len] = '/';
    }
    memcpy(p + space_len, name->as.p, name->len);
    if (!ri_name_valid(RI_KEYWORD, p, (size_t)len)) {
        ri_value text = ri_bytes_value(RI_STRING, p, (size_t)len);
        return ri_fail_arg(err, "keyword", "text that can be a keyword", &text);
    }
    *out = ri_bytes_value(RI_KEYWORD, p, (size_t)len);
    return 0;
}

static int map_keyword(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value space = ri_arg_get(&in->args[0], i);
        ri_value name = ri_arg_get(&in->args[in->count - 1], i);
        ri_value v = name;
        if (name.type != RI_STRING && (in->count > 1 || !is_name(&name))) {
            return ri_fail_arg(err, "keyword", "a string", &name);
        }
        if (in->count > 1 && space.type != RI_STRING) {
            return ri_fail_arg(err, "keyword", "a string", &space);
        }
        if (v.type != RI_KEYWORD) {
            RI_TRY(make_keyword(in->count > 1 ? &space : NULL, &name, in->arena, &v, err));
        }
        ri_vec_set(out, i, &v);
    }
    return 0;
}

const ri_builtin ri_value_functions[] = {
    { "identity", 1, 1, false, NULL, map_identity },
    { "ground", 1, 1, false, NULL, map_identity },
    { "untuple", 1, 1, false, NULL, map_identity },
    { "tuple", 1, -1, false, NULL, map_tuple },
    { "count", 1, 1, false, NULL, map_count },
    { "empty?", 1, 1, true, filter_empty, NULL },
    { "contains?", 2, 2, true, filter_contains, NULL },
    { "get", 2, 3, false, NULL, map_get },
    { "nth", 2, 3, false, NULL, map_get },
    { "nil?", 1, 1, true, filter_nil, NULL },
    { "some?", 1, 1, true, filter_some, NULL },
    { "true?", 1, 1, true, filter_true, NULL },
    { "false?", 1, 1, true, filter_false, NULL },
    { "not", 1, 1, true, filter_not, NULL },
    { "keyword", 1, 2, false, NULL, map_keyword },
    { "name", 1, 1, false, NULL, map_name },
    { "namespace", 1, 1, false, NULL, map_namespace },
    { NULL, 0, 0, false, NULL, NULL },
};
