/* SPDX-License-Identifier: MIT
 *
 * The EDN writer: forms and values to text that reads back as the same.
 *
 * What has no form of its own in EDN is written as: a ref as its number, a tuple as a vector, a stub as
 * #rille/blob {:bytes n, :hash "..."}, floats as #rille/floats [...]. Those four do not read back as the value they
 * were.
 *
 * Cost: O(bytes); runs of plain characters are copied whole.
 */
#include "edn_private.h"

#include "../base/hash.h"

static inline void put(ri_buf *out, char c)
{
    if (out->len < out->cap && !out->failed) {
        out->p[out->len++] = (uint8_t)c;
    } else {
        ri_buf_put_u8(out, (uint8_t)c);
    }
}

static void put_unsigned(ri_buf *out, uint64_t x)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x != 0);
    ri_buf_put(out, digits + at, sizeof digits - at);
}

static void put_long(ri_buf *out, int64_t i)
{
    if (i < 0) {
        put(out, '-');
    }
    put_unsigned(out, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
}

static void put_double(ri_buf *out, double d)
{
    char text[32];
    ri_buf_put(out, text, ri_double_format(text, d));
}

static void put_hex4(ri_buf *out, uint32_t c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', digits[c >> 12 & 15], digits[c >> 8 & 15], digits[c >> 4 & 15], digits[c & 15] };
    ri_buf_put(out, text, sizeof text);
}

static void put_escape(ri_buf *out, uint8_t c)
{
    static const char letters[] = "nrtbf\"\\";
    static const char meanings[] = "\n\r\t\b\f\"\\";
    const char *meaning = memchr(meanings, c, sizeof meanings - 1);
    if (meaning == NULL) {
        put_hex4(out, c);
        return;
    }
    put(out, '\\');
    put(out, letters[meaning - meanings]);
}

static void put_string(ri_buf *out, const uint8_t *p, size_t len)
{
    put(out, '"');
    for (size_t i = 0; i < len;) {
        size_t start = i;
        while (i < len && (ri_char_class[p[i]] & (RI_CHAR_PLAIN | RI_CHAR_HIGH)) != 0) {
            i++;
        }
        ri_buf_put(out, p + start, i - start);
        if (i < len) {
            put_escape(out, p[i++]);
        }
    }
    put(out, '"');
}

static void put_char(ri_buf *out, uint32_t c)
{
    static const char *const names[] = { ['\n'] = "newline", [' '] = "space",     ['\t'] = "tab",
                                         ['\r'] = "return",  ['\f'] = "formfeed", ['\b'] = "backspace" };
    if (c < ' ' ? names[c] == NULL : c == 0x7f) {
        put_hex4(out, c);
        return;
    }
    put(out, '\\');
    if (c <= ' ') {
        ri_buf_put_text(out, names[c]);
    } else if (c < 0x80) {
        put(out, (char)c);
    } else {
        uint8_t bytes[4];
        ri_buf_put(out, bytes, ri_utf8_put(bytes, c));
    }
}

static void put_instant(ri_buf *out, int64_t ms)
{
    char text[40];
    size_t len = ri_instant_format(text, ms);
    ri_buf_put_text(out, "#inst \"");
    ri_buf_put(out, text, len);
    put(out, '"');
}

static void put_uuid(ri_buf *out, const uint8_t *uuid)
{
    char text[37];
    ri_uuid_format(text, uuid);
    ri_buf_put_text(out, "#uuid \"");
    ri_buf_put(out, text, 36);
    put(out, '"');
}

static void put_stub(ri_buf *out, const ri_value *v)
{
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, ri_stub_addr(v), RI_HASH_SIZE);
    ri_buf_put_text(out, "#rille/blob {:bytes ");
    put_unsigned(out, ri_stub_len(v));
    ri_buf_put_text(out, ", :hash \"");
    ri_buf_put_text(out, hex);
    ri_buf_put_text(out, "\"}");
}

static void put_floats(ri_buf *out, const ri_value *v)
{
    ri_buf_put_text(out, "#rille/floats [");
    for (uint32_t i = 0; i + 4 <= v->len; i += 4) {
        uint32_t bits = ri_load_u32(v->as.p + i);
        float f;
        memcpy(&f, &bits, sizeof f);
        if (i > 0) {
            put(out, ' ');
        }
        put_double(out, (double)f);
    }
    put(out, ']');
}

static void put_tuple(ri_buf *out, const ri_value *v)
{
    ri_reader r = ri_reader_of(v->as.p, v->len);
    put(out, '[');
    for (bool first = true; !r.bad && r.p != r.end; first = false) {
        ri_value element = ri_value_read(&r); /* bounds the nesting of tuples */
        if (!first) {
            put(out, ' ');
        }
        ri_edn_write_value(out, &element);
    }
    put(out, ']');
}

static void put_tagged_bytes(ri_buf *out, const ri_value *v)
{
    ri_buf_put_text(out, "#bytes \"");
    ri_base64_write(out, v->as.p, v->len);
    put(out, '"');
}

void ri_edn_write_value(ri_buf *out, const ri_value *v)
{
    switch ((ri_type)v->type) {
    case RI_NIL:
    case RI_TYPE_COUNT:
        ri_buf_put(out, "nil", 3);
        return;
    case RI_BOOL:
        ri_buf_put_text(out, v->as.u != 0 ? "true" : "false");
        return;
    case RI_LONG:
        put_long(out, v->as.i);
        return;
    case RI_REF:
        put_unsigned(out, v->as.u);
        return;
    case RI_DOUBLE:
        put_double(out, v->as.d);
        return;
    case RI_KEYWORD:
        put(out, ':');
        ri_buf_put(out, v->as.p, v->len);
        return;
    case RI_SYMBOL:
        ri_buf_put(out, v->as.p, v->len);
        return;
    case RI_STRING:
        put_string(out, v->as.p, v->len);
        return;
    case RI_BIGINT:
        ri_buf_put(out, v->as.p, v->len);
        put(out, 'N');
        return;
    case RI_BIGDEC:
        ri_buf_put(out, v->as.p, v->len);
        put(out, 'M');
        return;
    case RI_INSTANT:
        put_instant(out, v->as.i);
        return;
    case RI_UUID:
        put_uuid(out, v->as.p);
        return;
    case RI_BYTES:
        put_tagged_bytes(out, v);
        return;
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
        put_stub(out, v);
        return;
    case RI_TUPLE:
        put_tuple(out, v);
        return;
    case RI_FLOATS:
        put_floats(out, v);
        return;
    }
}

static void write_form(ri_buf *out, const ri_form *form, unsigned depth);

static void write_items(ri_buf *out, const ri_form *form, const char *brackets, unsigned depth)
{
    const ri_form *items = form->u.seq.items;
    uint32_t count = form->u.seq.count;
    bool map = form->kind == RI_FORM_MAP;
    put(out, brackets[0]);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            if (map && i % 2 == 0) {
                put(out, ',');
            }
            put(out, ' ');
        }
        write_form(out, &items[i], depth + 1);
    }
    put(out, brackets[1]);
}

static void write_form(ri_buf *out, const ri_form *form, unsigned depth)
{
    if (depth > RI_EDN_DEPTH_MAX) {
        out->failed = true;
        return;
    }
    switch ((ri_form_kind)form->kind) {
    case RI_FORM_VALUE:
        ri_edn_write_value(out, &form->u.v);
        return;
    case RI_FORM_CHAR:
        put_char(out, (uint32_t)form->u.v.as.u);
        return;
    case RI_FORM_DOUBLE:
        put_double(out, form->u.v.as.d);
        return;
    case RI_FORM_LIST:
        write_items(out, form, "()", depth);
        return;
    case RI_FORM_VECTOR:
        write_items(out, form, "[]", depth);
        return;
    case RI_FORM_SET:
        put(out, '#');
        write_items(out, form, "{}", depth);
        return;
    case RI_FORM_MAP:
        write_items(out, form, "{}", depth);
        return;
    case RI_FORM_TAGGED:
        put(out, '#');
        write_form(out, &form->u.seq.items[0], depth + 1);
        put(out, ' ');
        write_form(out, &form->u.seq.items[1], depth + 1);
        return;
    }
}

void ri_edn_write(ri_buf *out, const ri_form *form)
{
    write_form(out, form, 0);
}
