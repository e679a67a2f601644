/* SPDX-License-Identifier: MIT
 *
 * A value as a front end has it -> a value of the attribute's type.
 *
 * EDN says what it means, so only numbers widen (strict). In Lua one number and one string stand for much: there text
 * becomes a keyword, symbol, uuid, instant, bigint, bigdec or bytes, and numbers become what they equal exactly.
 * Nothing is ever rounded.
 *
 * Cost: O(1) for numbers; a check of UTF-8 for strings; bytes that have to be made anew lie in the arena.
 */
#include "db.h"

#include <stdio.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: beyond, a double may stand for another integer */

static int refuse(const ri_attr *attr, const ri_value *in, const char *why, rille_err *err)
{
    char shown[100];
    return ri_fail(err, RILLE_TYPE, "attribute :%s: %s is %s %s, expected %s %s%s%s", attr->ident,
                   ri_value_show(shown, sizeof shown, in), ri_type_article(in->type), ri_type_name(in->type),
                   ri_type_article(attr->type), attr->type == RI_NIL ? "value" : ri_type_name(attr->type),
                   why == NULL ? "" : ": ", why == NULL ? "" : why);
}

static int check_text(const ri_attr *attr, const ri_value *in, rille_err *err)
{
    size_t valid = ri_utf8_span(in->as.p, in->len);
    if (valid == in->len) {
        return RILLE_OK;
    }
    return ri_fail(err, RILLE_TYPE,
                   "attribute :%s: the string of %lu byte%s is not valid UTF-8 at byte %lu: store arbitrary bytes as "
                   ":db.type/bytes",
                   attr->ident, (unsigned long)in->len, in->len == 1 ? "" : "s", (unsigned long)valid);
}

/* The checks of a value that has the type already. */
static int check_same(const ri_attr *attr, const ri_value *in, rille_err *err)
{
    if (in->len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "attribute :%s: the value is too long: %lu bytes (the maximum is %u)",
                       attr->ident, (unsigned long)in->len, RI_VALUE_BYTES_MAX);
    }
    if (in->type == RI_STRING) {
        return check_text(attr, in, err);
    }
    if (in->type == RI_DOUBLE && in->as.d != in->as.d) {
        return ri_fail(err, RILLE_TYPE, "attribute :%s: NaN is not a value", attr->ident);
    }
    return ri_value_valid(in) ? RILLE_OK : refuse(attr, in, "it is malformed", err);
}

/* A double that stands for exactly one integer. */
static bool double_to_long(double d, int64_t *out)
{
    if (!(d >= -EXACT_MAX && d <= EXACT_MAX) || d != (double)(int64_t)d) {
        return false;
    }
    *out = (int64_t)d;
    return true;
}

static bool long_to_double(int64_t i, double *out)
{
    *out = (double)i;
    return *out >= -9223372036854775808.0 && *out < 9223372036854775808.0 && (int64_t)*out == i;
}

static bool integer_of(const ri_value *in, bool strict, int64_t *out)
{
    if (in->type == RI_LONG) {
        *out = in->as.i;
        return true;
    }
    return !strict && in->type == RI_DOUBLE && double_to_long(in->as.d, out);
}

static int to_word(const ri_attr *attr, const ri_value *in, bool strict, ri_value *out, rille_err *err)
{
    int64_t i = 0;
    double d;
    bool integer = integer_of(in, strict, &i);
    switch ((ri_type)attr->type) {
    case RI_LONG:
        if (!integer) {
            break;
        }
        *out = ri_long(i);
        return RILLE_OK;
    case RI_DOUBLE:
        if (in->type != RI_LONG) {
            break;
        }
        if (!long_to_double(in->as.i, &d)) {
            return refuse(attr, in, "no double is exactly equal to it", err);
        }
        *out = ri_double(d);
        return RILLE_OK;
    case RI_REF:
        if (!integer) {
            break;
        }
        if (i <= 0 || (uint64_t)i > RI_EID_MAX) {
            return refuse(attr, in, "entity ids are between 1 and 2^53 - 1", err);
        }
        *out = ri_ref((uint64_t)i);
        return RILLE_OK;
    case RI_INSTANT:
        if (strict) {
            return refuse(attr, in, "EDN writes one as #inst \"2026-11-22T10:00:00Z\"", err);
        }
        if (integer) {
            *out = ri_word(RI_INSTANT, (uint64_t)i);
            return RILLE_OK;
        }
        if (in->type == RI_STRING && ri_instant_parse((const char *)in->as.p, in->len, &i)) {
            *out = ri_word(RI_INSTANT, (uint64_t)i);
            return RILLE_OK;
        }
        return refuse(attr, in, "use integer milliseconds since 1970 or text such as 2026-11-22T10:00:00Z", err);
    case RI_NIL:
    case RI_BOOL:
    case RI_BIGINT:
    case RI_BIGDEC:
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
    case RI_STRING_BLOB:
    case RI_BYTES:
    case RI_BYTES_BLOB:
    case RI_TUPLE:
    case RI_FLOATS:
    case RI_TYPE_COUNT:
        break;
    }
    return refuse(attr, in, NULL, err);
}

static int to_name(const ri_attr *attr, const ri_value *in, ri_value *out, rille_err *err)
{
    ri_value name = ri_bytes_value((ri_type)attr->type, in->as.p, in->len);
    if (attr->type == RI_KEYWORD && name.len > 0 && name.as.p[0] == ':') {
        name.as.p++;
        name.len--;
    }
    if (!ri_name_valid((ri_type)attr->type, name.as.p, name.len)) {
        return refuse(attr, in, "EDN cannot write it as one", err);
    }
    *out = name;
    return RILLE_OK;
}

static int to_bigint(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, rille_err *err)
{
    const char *text = (const char *)in->as.p;
    size_t digits = in->len > 0 && text[0] == '-' ? 1 : 0;
    for (size_t i = digits; i < in->len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return refuse(attr, in, "it is not an integer", err);
        }
    }
    return digits == in->len ? refuse(attr, in, "it is not an integer", err)
                             : ri_integer_parse(arena, text, in->len, out, err);
}

static int to_bigdec(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, rille_err *err)
{
    char text[32];
    const char *from = (const char *)in->as.p;
    size_t len = in->len;
    if (in->type == RI_LONG) {
        from = text;
        len = (size_t)snprintf(text, sizeof text, "%lld", (long long)in->as.i);
    } else if (in->type == RI_DOUBLE) {
        from = text;
        len = ri_double_format(text, in->as.d);
    }
    rille_err ignored;
    if (ri_decimal_parse(arena, from, len, out, &ignored) == RILLE_OK) {
        return RILLE_OK;
    }
    return ignored.code == RILLE_NOMEM ? ri_fail_nomem(err) : refuse(attr, in, "it is not a decimal number", err);
}

/* Types whose values are bytes. */
static int to_bytes(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, rille_err *err)
{
    bool text = in->type == RI_STRING;
    int64_t i;
    switch ((ri_type)attr->type) {
    case RI_KEYWORD:
    case RI_SYMBOL:
        return text ? to_name(attr, in, out, err) : refuse(attr, in, NULL, err);
    case RI_UUID: {
        uint8_t uuid[16];
        if (!text || !ri_uuid_parse((const char *)in->as.p, in->len, uuid)) {
            return refuse(attr, in, "use text such as 123e4567-e89b-12d3-a456-426614174000", err);
        }
        *out = ri_bytes_value(RI_UUID, ri_arena_copy(arena, uuid, sizeof uuid), sizeof uuid);
        return out->as.p == NULL ? ri_fail_nomem(err) : RILLE_OK;
    }
    case RI_BIGINT:
        if (integer_of(in, false, &i)) {
            *out = ri_long(i);
            return RILLE_OK;
        }
        return text ? to_bigint(attr, in, arena, out, err) : refuse(attr, in, NULL, err);
    case RI_BIGDEC:
        return text || in->type == RI_LONG || in->type == RI_DOUBLE ? to_bigdec(attr, in, arena, out, err)
                                                                    : refuse(attr, in, NULL, err);
    case RI_BYTES:
        if (!text) {
            return refuse(attr, in, NULL, err);
        }
        *out = ri_bytes_value(RI_BYTES, in->as.p, in->len);
        return check_same(attr, out, err);
    case RI_NIL:
    case RI_BOOL:
    case RI_LONG:
    case RI_DOUBLE:
    case RI_INSTANT:
    case RI_STRING:
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
    case RI_REF:
    case RI_TUPLE:
    case RI_FLOATS:
    case RI_TYPE_COUNT:
        break;
    }
    return refuse(attr, in, NULL, err);
}

/* The stub of a long value stands for it. */
static bool same_type(const ri_attr *attr, const ri_value *in)
{
    return in->type == attr->type || (attr->type == RI_STRING && in->type == RI_STRING_BLOB) ||
           (attr->type == RI_BYTES && in->type == RI_BYTES_BLOB);
}

int ri_attr_convert(const ri_attr *attr, const ri_value *in, bool strict, ri_arena *arena, ri_value *out,
                    rille_err *err)
{
    *out = *in;
    int rc;
    if (in->type == RI_NIL) {
        rc = refuse(attr, in, NULL, err);
    } else if (same_type(attr, in) || (attr->type == RI_NIL && in->type != RI_NIL && in->type != RI_REF)) {
        if (in->type == RI_LONG || in->type == RI_INSTANT || in->type == RI_BOOL) {
            return RILLE_OK;
        }
        if (in->type == RI_DOUBLE && in->as.d == 0) {
            *out = ri_double(0); /* of -0, too */
        }
        rc = check_same(attr, out, err);
    } else if (ri_type_is_word(attr->type)) {
        rc = to_word(attr, in, strict, out, err);
    } else if (strict && !(attr->type == RI_BIGINT && in->type == RI_LONG)) {
        rc = refuse(attr, in, NULL, err);
    } else {
        rc = to_bytes(attr, in, arena, out, err);
    }
    if (rc != RILLE_OK) {
        *out = ri_nil();
    }
    return rc;
}
