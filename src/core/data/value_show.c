/* SPDX-License-Identifier: MIT
 *
 * A value in a message: its EDN text, cut short.
 *
 * Cost: O(1). What may be long is shortened before it is written, so that a message never costs what the value does.
 */
#include "edn.h"

#define SHOWN_BYTES_MAX 60
#define STRING_BYTES_MAX 48U
#define BYTES_SHOWN_MAX 24U
#define FLOATS_SHOWN_MAX 16U

/* The last whole character at or before `len`. */
static uint32_t cut_utf8(const uint8_t *p, uint32_t len)
{
    while (len > 0 && (p[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* At most a few elements; each is short itself, for a tuple of long strings. */
static void show_tuple(ri_buf *out, const ri_value *v)
{
    ri_reader r = ri_reader_of(v->as.p, v->len);
    ri_buf_put_text(out, "[");
    while (!r.bad && r.p != r.end && out->len <= SHOWN_BYTES_MAX) {
        char element[80];
        ri_value item = ri_value_read(&r);
        if (out->len > 1) {
            ri_buf_put_text(out, " ");
        }
        ri_buf_put_text(out, ri_value_show(element, sizeof element, &item));
    }
    ri_buf_put_text(out, "]");
}

char *ri_value_show(char *out, size_t size, const ri_value *v)
{
    ri_buf text = { 0 };
    ri_value head = *v;
    uint32_t len_max = UINT32_MAX;
    if (v->type == RI_STRING || v->type == RI_KEYWORD || v->type == RI_SYMBOL || v->type == RI_BIGINT ||
        v->type == RI_BIGDEC) {
        len_max = STRING_BYTES_MAX;
    } else if (v->type == RI_BYTES) {
        len_max = BYTES_SHOWN_MAX;
    } else if (v->type == RI_FLOATS) {
        len_max = FLOATS_SHOWN_MAX;
    }
    if (!ri_type_is_word(v->type) && v->len > len_max) {
        head.len = v->type == RI_FLOATS ? len_max : cut_utf8(v->as.p, len_max);
    }
    if (v->type == RI_TUPLE) {
        show_tuple(&text, v);
    } else {
        ri_edn_write_value(&text, &head);
    }
    uint32_t keep = text.failed ? 0 : (uint32_t)text.len;
    bool cut = text.failed || (!ri_type_is_word(v->type) && head.len < v->len);
    if (keep > SHOWN_BYTES_MAX - 3) {
        keep = SHOWN_BYTES_MAX - 3;
        keep = cut_utf8(text.p, keep);
        cut = true;
    }
    if (size > keep + 4U) {
        if (keep > 0) {
            memcpy(out, text.p, keep);
        }
        memcpy(out + keep, cut ? "..." : "", cut ? 4 : 1);
    } else if (size > 0) {
        out[0] = '\0';
    }
    ri_buf_deinit(&text);
    return out;
}
