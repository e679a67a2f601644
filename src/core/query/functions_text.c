/* SPDX-License-Identifier: MIT
 *
 * Functions on strings: str subs upper-case lower-case trim split join, starts-with? ends-with? includes? blank?
 *
 * Positions in strings are counted in characters (code points). Cases are mapped one character to one, for Latin (with
 * Latin-1 and Extended-A), Greek and Cyrillic letters; all other characters stay as they are.
 *
 * Results lie in the arena, or borrow from the argument where they are a part of it.
 */
#include "../data/edn.h"
#include "function.h"
#include "search.h"

static int want_string(rille_err *err, const char *function, const ri_value *v)
{
    return v->type == RI_STRING ? 0 : ri_fail_arg(err, function, "a string", v);
}

static int too_long(rille_err *err)
{
    return ri_fail(err, RILLE_LIMIT, "the result of a function is longer than the maximum of %u bytes",
                   RI_VALUE_BYTES_MAX);
}

/* What the buffer holds, as a string in the arena. */
static int take_string(ri_buf *buf, ri_arena *arena, ri_value *out, rille_err *err)
{
    ri_value v = ri_bytes_value(RI_STRING, buf->p, buf->len);
    if (buf->len > RI_VALUE_BYTES_MAX) {
        return too_long(err);
    }
    return !buf->failed && ri_value_copy(arena, &v, out) ? 0 : ri_fail_nomem(err);
}

/* ---- characters ---- */

/* One character of valid UTF-8. */
static uint32_t take_char(const uint8_t **p)
{
    const uint8_t *s = *p;
    if (s[0] < 0x80) {
        *p = s + 1;
        return s[0];
    }
    if (s[0] < 0xe0) {
        *p = s + 2;
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    }
    if (s[0] < 0xf0) {
        *p = s + 3;
        return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    }
    *p = s + 4;
    return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
}

/* Ranges of letters whose other case lies `shift` above; step 2: upper and lower case take turns (shift 1). */
typedef struct case_range {
    uint32_t first; /* upper case */
    uint32_t last;
    uint32_t shift;
    uint32_t step;
} case_range;

static const case_range case_ranges[] = {
    { 'A', 'Z', 32, 1 },     { 0xc0, 0xd6, 32, 1 },   { 0xd8, 0xde, 32, 1 },   { 0x100, 0x12e, 1, 2 },
    { 0x132, 0x136, 1, 2 },  { 0x139, 0x147, 1, 2 },  { 0x14a, 0x176, 1, 2 },  { 0x179, 0x17d, 1, 2 },
    { 0x391, 0x3a1, 32, 1 }, { 0x3a3, 0x3ab, 32, 1 }, { 0x400, 0x40f, 80, 1 }, { 0x410, 0x42f, 32, 1 },
    { 0x460, 0x480, 1, 2 },
};

static uint32_t other_case(uint32_t c, bool upper)
{
    for (size_t i = 0; i < sizeof case_ranges / sizeof *case_ranges; i++) {
        const case_range *r = &case_ranges[i];
        uint32_t shift = upper ? r->shift : 0;
        if (c >= r->first + shift && c <= r->last + shift && (c - r->first - shift) % r->step == 0) {
            return upper ? c - r->shift : c + r->shift;
        }
    }
    return c;
}

/* The end of a portion of text that begins at p, between two characters. */
static const uint8_t *portion_end(const uint8_t *p, const uint8_t *end)
{
    if ((size_t)(end - p) <= RI_TEXT_PORTION) {
        return end;
    }
    const uint8_t *stop = p + RI_TEXT_PORTION;
    while ((*stop & 0xc0) == 0x80) {
        stop--;
    }
    return stop;
}

static int change_case(const char *name, bool upper, const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        RI_TRY(want_string(err, name, &v));
        uint8_t *text = ri_arena_alloc(in->arena, v.len); /* all mappings keep the length in UTF-8 */
        if (text == NULL) {
            return ri_fail_nomem(err);
        }
        size_t len = 0;
        const uint8_t *end = v.as.p + v.len;
        for (const uint8_t *p = v.as.p; p < end;) {
            const uint8_t *stop = portion_end(p, end);
            RI_TRY(ri_fn_work(in, (size_t)(stop - p), err));
            while (p < stop) {
                if (*p < 0x80) {
                    text[len++] = (uint8_t)other_case(*p++, upper);
                } else {
                    len += ri_utf8_put(text + len, other_case(take_char(&p), upper));
                }
            }
        }
        v = ri_bytes_value(RI_STRING, text, len);
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static int map_upper(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    return change_case("upper-case", true, in, out, err);
}

static int map_lower(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    return change_case("lower-case", false, in, out, err);
}

/* ---- making strings ---- */

static void put_shown(ri_buf *buf, const ri_value *v)
{
    if (v->type == RI_STRING) {
        ri_buf_put(buf, v->as.p, v->len);
    } else if (v->type != RI_NIL) {
        ri_edn_write_value(buf, v);
    }
}

/* Strings alone go to the arena at once. False: there is something else among them. */
static bool all_strings(const ri_fn_call *in, uint32_t row, uint64_t *len)
{
    *len = 0;
    for (unsigned a = 0; a < in->count; a++) {
        ri_value v = ri_arg_get(&in->args[a], row);
        if (v.type != RI_STRING) {
            return false;
        }
        *len += v.len;
    }
    return true;
}

static int str_strings(const ri_fn_call *in, uint32_t row, uint64_t len, ri_value *out, rille_err *err)
{
    if (len > RI_VALUE_BYTES_MAX) {
        return too_long(err);
    }
    uint8_t *text = ri_arena_alloc(in->arena, (size_t)len);
    if (text == NULL) {
        return ri_fail_nomem(err);
    }
    *out = ri_bytes_value(RI_STRING, text, (size_t)len);
    for (unsigned a = 0; a < in->count; a++) {
        ri_value v = ri_arg_get(&in->args[a], row);
        RI_TRY(ri_fn_work(in, v.len, err));
        if (v.len > 0) {
            memcpy(text, v.as.p, v.len);
        }
        text += v.len;
    }
    return 0;
}

static int map_str(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_buf buf = { .meter = in->arena->meter };
    int rc = 0;
    for (uint32_t i = 0; i < in->rows && rc == 0; i++) {
        ri_value text;
        uint64_t len;
        rc = ri_fn_work(in, in->count, err);
        if (rc == 0 && all_strings(in, i, &len)) {
            rc = str_strings(in, i, len, &text, err);
        } else if (rc == 0) {
            ri_buf_clear(&buf);
            for (unsigned a = 0; a < in->count && buf.len <= RI_VALUE_BYTES_MAX && !buf.failed; a++) {
                ri_value v = ri_arg_get(&in->args[a], i);
                put_shown(&buf, &v);
            }
            rc = take_string(&buf, in->arena, &text, err);
        }
        if (rc == 0) {
            ri_vec_set(out, i, &text);
        }
    }
    ri_buf_deinit(&buf);
    return rc;
}

/* (join tuple), (join separator tuple) */
static int map_join(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_buf buf = { .meter = in->arena->meter };
    int rc = 0;
    for (uint32_t i = 0; i < in->rows && rc == 0; i++) {
        ri_value separator = in->count > 1 ? ri_arg_get(&in->args[0], i) : ri_bytes_value(RI_STRING, "", 0);
        ri_value tuple = ri_arg_get(&in->args[in->count - 1], i);
        rc = want_string(err, "join", &separator);
        if (rc == 0 && tuple.type != RI_TUPLE) {
            rc = ri_fail_arg(err, "join", "a tuple last", &tuple);
        }
        if (rc != 0) {
            break;
        }
        ri_buf_clear(&buf);
        ri_reader r = ri_reader_of(tuple.as.p, tuple.len);
        for (bool first = true; ri_reader_left(&r) > 0 && buf.len <= RI_VALUE_BYTES_MAX && !buf.failed; first = false) {
            ri_value v = ri_value_read(&r);
            if (r.bad) {
                break;
            }
            ri_buf_put(&buf, separator.as.p, first ? 0 : separator.len);
            put_shown(&buf, &v);
        }
        ri_value text;
        rc = take_string(&buf, in->arena, &text, err);
        if (rc == 0) {
            ri_vec_set(out, i, &text);
        }
    }
    ri_buf_deinit(&buf);
    return rc;
}

/* ---- parts of strings ---- */

/* The byte where character `place` begins, or -1: it is beyond the end. */
static int64_t byte_of(const ri_value *v, int64_t place, ri_meter *meter)
{
    const uint8_t *p = v->as.p;
    const uint8_t *end = p + v->len;
    while (place > 0 && p < end) {
        const uint8_t *stop = portion_end(p, end);
        if (!ri_meter_work(meter, (size_t)(stop - p))) {
            return -1;
        }
        while (place > 0 && p < stop) {
            p++;
            while (p < stop && (*p & 0xc0) == 0x80) {
                p++;
            }
            place--;
        }
    }
    return place == 0 ? (int64_t)(p - v->as.p) : -1;
}

/* (subs s start), (subs s start end) */
static int map_subs(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        ri_value start = ri_plain(ri_arg_get(&in->args[1], i));
        ri_value end = in->count > 2 ? ri_plain(ri_arg_get(&in->args[2], i)) : start;
        RI_TRY(want_string(err, "subs", &v));
        if (start.type != RI_LONG || end.type != RI_LONG) {
            return ri_fail_arg(err, "subs", "longs as positions", start.type != RI_LONG ? &start : &end);
        }
        int64_t from = byte_of(&v, start.as.i, in->arena->meter);
        int64_t to = in->count > 2 ? byte_of(&v, end.as.i, in->arena->meter) : (int64_t)v.len;
        if (from < 0 || to < from) {
            char show[96];
            return ri_fail(err, RILLE_FUNCTION, "function subs: positions %lld to %lld are not within the string %s",
                           (long long)start.as.i, (long long)end.as.i, ri_value_show(show, sizeof show, &v));
        }
        v = ri_bytes_value(RI_STRING, v.as.p + from, (size_t)(to - from));
        ri_vec_set(out, i, &v);
    }
    return 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int map_trim(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        RI_TRY(want_string(err, "trim", &v));
        RI_TRY(ri_fn_work(in, v.len, err));
        while (v.len > 0 && is_space(v.as.p[v.len - 1])) {
            v.len--;
        }
        while (v.len > 0 && is_space(v.as.p[0])) {
            v.as.p++;
            v.len--;
        }
        ri_vec_set(out, i, &v);
    }
    return 0;
}

/* The needle in argument `at`, prepared once for all rows when it is a constant. */
static int needle_of(const ri_fn_call *in, unsigned at, uint32_t row, ri_needle *needle, rille_err *err)
{
    ri_meter *meter = in->arena->meter;
    if (in->args[at].vec == NULL && row > 0) {
        return 0;
    }
    ri_value v = ri_arg_get(&in->args[at], row);
    return ri_needle_init(needle, v.as.p, v.len, meter) ? 0 : ri_meter_error(meter, err);
}

/* (split s separator) -> a tuple of strings; the separator is taken as it is. */
static void split_one(const ri_value *text, const ri_needle *separator, ri_buf *buf)
{
    const uint8_t *p = text->as.p;
    const uint8_t *end = p + text->len;
    while (buf->len <= RI_VALUE_BYTES_MAX && !buf->failed) {
        const uint8_t *at = ri_needle_find(separator, p, end, buf->meter);
        const uint8_t *stop = at == NULL ? end : at;
        ri_value part = ri_bytes_value(RI_STRING, p, (size_t)(stop - p));
        ri_value_write(buf, &part);
        if (at == NULL) {
            return;
        }
        p = at + separator->len;
    }
}

static int map_split(const ri_fn_call *in, ri_vec *out, rille_err *err)
{
    ri_buf buf = { .meter = in->arena->meter };
    ri_needle needle;
    int rc = 0;
    for (uint32_t i = 0; i < in->rows && rc == 0; i++) {
        ri_value text = ri_arg_get(&in->args[0], i);
        ri_value separator = ri_arg_get(&in->args[1], i);
        if (text.type != RI_STRING || separator.type != RI_STRING || separator.len == 0) {
            rc = ri_fail_arg(err, "split", "a string and a separator that is not empty",
                             text.type != RI_STRING ? &text : &separator);
            break;
        }
        ri_buf_clear(&buf);
        rc = needle_of(in, 1, i, &needle, err);
        if (rc == 0) {
            split_one(&text, &needle, &buf);
            rc = take_string(&buf, in->arena, &text, err);
        }
        if (rc == 0) {
            text.type = RI_TUPLE;
            ri_vec_set(out, i, &text);
        }
    }
    ri_buf_deinit(&buf);
    return rc;
}

/* ---- predicates ---- */

typedef enum text_test { STARTS_WITH, ENDS_WITH, INCLUDES } text_test;

static int test_rows(text_test test, const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    static const char *const names[] = { "starts-with?", "ends-with?", "includes?" };
    ri_needle needle;
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        ri_value part = ri_arg_get(&in->args[1], i);
        RI_TRY(want_string(err, names[test], &v));
        RI_TRY(want_string(err, names[test], &part));
        RI_TRY(ri_fn_work(in, RI_ROW_UNITS + (test == INCLUDES ? 0 : part.len), err));
        const uint8_t *end = v.as.p + v.len;
        switch (test) {
        case STARTS_WITH:
            keep[i] = part.len <= v.len && (part.len == 0 || memcmp(v.as.p, part.as.p, part.len) == 0);
            break;
        case ENDS_WITH:
            keep[i] = part.len <= v.len && (part.len == 0 || memcmp(end - part.len, part.as.p, part.len) == 0);
            break;
        case INCLUDES:
            RI_TRY(needle_of(in, 1, i, &needle, err));
            keep[i] = part.len <= v.len && ri_needle_find(&needle, v.as.p, end, in->arena->meter) != NULL;
            break;
        }
    }
    return ri_fn_work(in, 0, err); /* a search that was stopped found nothing */
}

static int filter_starts(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return test_rows(STARTS_WITH, in, keep, err);
}

static int filter_ends(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return test_rows(ENDS_WITH, in, keep, err);
}

static int filter_includes(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    return test_rows(INCLUDES, in, keep, err);
}

/* nil is blank, too. */
static int filter_blank(const ri_fn_call *in, uint8_t *keep, rille_err *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        ri_value v = ri_arg_get(&in->args[0], i);
        if (v.type != RI_NIL) {
            RI_TRY(want_string(err, "blank?", &v));
        }
        RI_TRY(ri_fn_work(in, v.len, err));
        uint32_t at = 0;
        while (at < v.len && is_space(v.as.p[at])) {
            at++;
        }
        keep[i] = at == v.len;
    }
    return 0;
}

const ri_builtin ri_text_functions[] = {
    { "str", 0, -1, false, NULL, map_str },          { "subs", 2, 3, false, NULL, map_subs },
    { "upper-case", 1, 1, false, NULL, map_upper },  { "lower-case", 1, 1, false, NULL, map_lower },
    { "trim", 1, 1, false, NULL, map_trim },         { "split", 2, 2, false, NULL, map_split },
    { "join", 1, 2, false, NULL, map_join },         { "starts-with?", 2, 2, true, filter_starts, NULL },
    { "ends-with?", 2, 2, true, filter_ends, NULL }, { "includes?", 2, 2, true, filter_includes, NULL },
    { "blank?", 1, 1, true, filter_blank, NULL },    { NULL, 0, 0, false, NULL, NULL },
};
