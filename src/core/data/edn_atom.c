/* SPDX-License-Identifier: MIT
 *
 * The EDN reader: strings, characters, names, numbers, and the tags that stand for values.
 *
 * Cost: strings are scanned eight bytes at a time, and copied only when they are not borrowed or have escapes; names
 * and integers are read in one loop over their bytes. UTF-8 is checked only where a byte is not ASCII.
 */
#include "../base/bytes.h"
#include "edn_private.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)
#define DIGITS_INLINE 18 /* that fit in a long whatever they are */
#define SHOWN_LEN 40

/* Marks (0x80) bytes that are c; the lowest mark is exact, those above it may be wrong. */
static inline uint64_t marks_of(uint64_t word, uint8_t c)
{
    uint64_t x = word ^ ONES * c;
    return (x - ONES) & ~x & HIGHS;
}

static inline size_t first_mark(uint64_t marks)
{
#if defined(__GNUC__)
    return (size_t)__builtin_ctzll(marks) / 8;
#else
    size_t i = 0;
    for (; (marks & 0x80) == 0; marks >>= 8) {
        i++;
    }
    return i;
#endif
}

static bool set_bytes(ri_edn_state *s, ri_form *out, ri_type type, const uint8_t *p, size_t len)
{
    const uint8_t *bytes = s->reader->borrow ? p : ri_arena_copy(s->reader->arena, p, len);
    if (bytes == NULL) {
        (void)ri_edn_fail_nomem(s);
        return false;
    }
    out->u.v = ri_bytes_value(type, bytes, len);
    return true;
}

static int shown_len(size_t len)
{
    return (int)(len < SHOWN_LEN ? len : SHOWN_LEN);
}

static size_t token_len(const ri_edn_state *s, const uint8_t *p)
{
    const uint8_t *q = p;
    while (q < s->end && (ri_char_class[*q] & RI_CHAR_NAME) != 0) {
        q++;
    }
    return (size_t)(q - p);
}

/* ---- strings ---- */

/* Exactly four hexadecimal digits; UINT32_MAX when they are not there. */
static uint32_t hex4(const uint8_t *p, const uint8_t *end)
{
    uint32_t x = 0;
    for (int i = 0; i < 4; i++) {
        int digit = p + i < end ? ri_hex_digit((char)p[i]) : -1;
        if (digit < 0) {
            return UINT32_MAX;
        }
        x = x << 4 | (uint32_t)digit;
    }
    return x;
}

/* p is behind "\u". A pair of surrogates is one character. */
static const uint8_t *read_unicode(ri_edn_state *s, const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    uint32_t c = hex4(p, end);
    if (c == UINT32_MAX) {
        return ri_edn_fail(s, p - 2, RILLE_SYNTAX, "\\u is not followed by four hexadecimal digits");
    }
    p += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *out = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            return p + 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000) {
        return ri_edn_fail(s, p - 6, RILLE_SYNTAX, "\\u%04x is half of a surrogate pair, expected both halves",
                           (unsigned)c);
    }
    *out = c;
    return p;
}

/* p is behind the backslash. */
static const uint8_t *read_escape(ri_edn_state *s, const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    static const char letters[] = "ntr\\\"bf";
    static const char meanings[] = "\n\t\r\\\"\b\f";
    if (*p == 'u') {
        return read_unicode(s, p + 1, end, out);
    }
    const char *letter = memchr(letters, *p, sizeof letters - 1);
    if (letter == NULL) {
        return ri_edn_fail(s, p - 1, RILLE_SYNTAX,
                           "unknown escape in a string, expected one of \\n \\t \\r \\b \\f \\\\ \\\" \\uXXXX");
    }
    *out = (uint8_t)meanings[letter - letters];
    return p + 1;
}

/* The text between the quotes, its escapes replaced: never longer than it was. */
static bool unescape(ri_edn_state *s, const uint8_t *p, const uint8_t *end, ri_form *out)
{
    uint8_t *bytes = ri_arena_alloc(s->reader->arena, (size_t)(end - p));
    if (bytes == NULL) {
        (void)ri_edn_fail_nomem(s);
        return false;
    }
    size_t len = 0;
    while (p < end) {
        const uint8_t *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape == NULL ? end : escape) - p);
        memcpy(bytes + len, p, plain);
        len += plain;
        p += plain;
        if (escape != NULL) {
            uint32_t c = 0;
            p = read_escape(s, p + 1, end, &c);
            if (p == NULL) {
                return false;
            }
            len += ri_utf8_put(bytes + len, c);
        }
    }
    out->u.v = ri_bytes_value(RI_STRING, bytes, len);
    return true;
}

/* The closing quote, or NULL. *seen collects the bits of all bytes on the way, and of a few behind. */
static inline const uint8_t *find_quote(const uint8_t *p, const uint8_t *end, bool *escapes, uint64_t *seen)
{
    uint64_t bits = 0;
    while (end - p >= 8) {
        uint64_t word = ri_load_u64(p);
        uint64_t marks = marks_of(word, '"') | marks_of(word, '\\');
        bits |= word;
        if (marks == 0) {
            p += 8;
            continue;
        }
        p += first_mark(marks);
        if (*p == '"') {
            *seen = bits;
            return p;
        }
        *escapes = true;
        if (end - p < 2) {
            return NULL;
        }
        bits |= (uint64_t)p[1];
        p += 2;
    }
    for (; p < end && *p != '"'; p++) {
        bits |= *p;
        if (*p == '\\') {
            *escapes = true;
            p++;
            if (p == end) {
                return NULL;
            }
            bits |= *p;
        }
    }
    *seen = bits;
    return p < end ? p : NULL;
}

const uint8_t *ri_edn_string(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    const uint8_t *text = p + 1;
    bool escapes = false;
    uint64_t seen = 0;
    const uint8_t *quote = find_quote(text, s->end, &escapes, &seen);
    if (quote == NULL) {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "unterminated string: expected \" before the end of the text");
    }
    size_t len = (size_t)(quote - text);
    if (len > RI_VALUE_BYTES_MAX) {
        return ri_edn_fail(s, p, RILLE_LIMIT, "string is too long: %zu bytes (the maximum is %u)", len,
                           RI_VALUE_BYTES_MAX);
    }
    if ((seen & HIGHS) != 0) {
        size_t valid = ri_utf8_span(text, len);
        if (valid != len) {
            return ri_edn_fail(s, text + valid, RILLE_SYNTAX, "byte 0x%02x in a string is not valid UTF-8",
                               text[valid]);
        }
    }
    bool read = escapes ? unescape(s, text, quote, out) : set_bytes(s, out, RI_STRING, text, len);
    return read ? quote + 1 : NULL;
}

/* ---- characters ---- */

static bool is_text(const uint8_t *p, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(p, text, len) == 0;
}

static uint32_t decode_utf8(const uint8_t *p, size_t len)
{
    if (len == 1) {
        return p[0];
    }
    uint32_t c = p[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (p[i] & 0x3fU);
    }
    return c;
}

static bool named_char(const uint8_t *p, size_t len, uint32_t *out)
{
    static const struct {
        const char *name;
        uint32_t c;
    } names[] = { { "newline", '\n' }, { "space", ' ' },     { "tab", '\t' },
                  { "return", '\r' },  { "formfeed", '\f' }, { "backspace", '\b' } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_text(p, len, names[i].name)) {
            *out = names[i].c;
            return true;
        }
    }
    return false;
}

const uint8_t *ri_edn_char(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    const uint8_t *text = p + 1;
    if (text == s->end || *text <= ' ') {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "expected a character after \\, such as \\a, \\newline or \\u0041");
    }
    size_t len = token_len(s, text);
    if (len == 0) {
        len = 1; /* a bracket, a quote ... */
        if (token_len(s, text + 1) > 0) {
            return ri_edn_fail(s, p, RILLE_SYNTAX,
                               "\\%c is followed by other characters, expected white space after it", *text);
        }
    }
    size_t first = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
    if (!ri_utf8_valid(text, len)) {
        return ri_edn_fail(s, text + ri_utf8_span(text, len), RILLE_SYNTAX, "a character is not valid UTF-8");
    }
    uint32_t c = 0;
    if (len == first) {
        c = decode_utf8(text, len);
    } else if (len == 5 && *text == 'u' && hex4(text + 1, s->end) != UINT32_MAX) {
        c = hex4(text + 1, s->end);
        if (c >= 0xd800 && c < 0xe000) {
            return ri_edn_fail(s, p, RILLE_SYNTAX, "\\u%04x is half of a surrogate pair, not a character", (unsigned)c);
        }
    } else if (!named_char(text, len, &c)) {
        return ri_edn_fail(s, p, RILLE_SYNTAX,
                           "unknown character \\%.*s, expected one such as \\a, \\newline or \\u0041", shown_len(len),
                           (const char *)text);
    }
    out->kind = RI_FORM_CHAR;
    out->u.v = (ri_value){ { .u = c }, 0, RI_LONG };
    return text + len;
}

/* ---- names ---- */

static const uint8_t *fail_name(ri_edn_state *s, const uint8_t *at, ri_type type, const uint8_t *p, size_t len)
{
    const char *what = ri_type_name((uint8_t)type);
    const char *colon = type == RI_KEYWORD ? ":" : "";
    size_t valid = ri_utf8_span(p, len);
    if (valid != len) {
        return ri_edn_fail(s, p + valid, RILLE_SYNTAX, "byte 0x%02x in a %s is not valid UTF-8", p[valid], what);
    }
    if (len == 0) {
        return ri_edn_fail(s, at, RILLE_SYNTAX, "missing name after the colon, expected a keyword such as :a or :a/b");
    }
    if (len > RI_VALUE_INLINE_MAX) {
        return ri_edn_fail(s, at, RILLE_LIMIT, "%s is too long: %zu bytes (the maximum is %u)", what, len,
                           RI_VALUE_INLINE_MAX);
    }
    if (type == RI_SYMBOL && p[0] == '\'') {
        return ri_edn_fail(s, at, RILLE_SYNTAX, "%.*s is not a valid symbol: a string needs double quotes, as in \"a\"",
                           shown_len(len), (const char *)p);
    }
    return ri_edn_fail(s, at, RILLE_SYNTAX, "%s%.*s is not a valid %s, expected one such as %sa or %sa/b", colon,
                       shown_len(len), (const char *)p, what, colon, colon);
}

/* The bytes of a name; *plain says that its inner bytes are beyond doubt: ASCII, no colon, at most one slash and that
 * not at an end. */
static inline size_t name_len(const ri_edn_state *s, const uint8_t *p, bool *plain)
{
    const uint8_t *q = p;
    unsigned seen = 0;
    unsigned slashes = 0;
    for (; q < s->end; q++) {
        unsigned class = ri_char_class[*q];
        if ((class & RI_CHAR_NAME) == 0) {
            break;
        }
        seen |= class;
        slashes += class & RI_CHAR_SLASH;
    }
    size_t len = (size_t)(q - p);
    *plain = len - 1 < RI_VALUE_INLINE_MAX && (seen & (RI_CHAR_HIGH | RI_CHAR_COLON)) == 0 &&
             (slashes == 0 || (slashes == RI_CHAR_SLASH && *p != '/' && q[-1] != '/'));
    return len;
}

const uint8_t *ri_edn_keyword(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    bool plain;
    size_t len = name_len(s, p + 1, &plain);
    if (!plain && !ri_name_valid(RI_KEYWORD, p + 1, len)) {
        return fail_name(s, p, RI_KEYWORD, p + 1, len);
    }
    return set_bytes(s, out, RI_KEYWORD, p + 1, len) ? p + 1 + len : NULL;
}

const uint8_t *ri_edn_symbol(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    bool plain;
    size_t len = name_len(s, p, &plain);
    out->offset = (uint32_t)(p - s->start);
    out->kind = RI_FORM_VALUE;
    if (len == 3 && memcmp(p, "nil", 3) == 0) {
        out->u.v = ri_nil();
        return p + 3;
    }
    if ((len == 4 && memcmp(p, "true", 4) == 0) || (len == 5 && memcmp(p, "false", 5) == 0)) {
        out->u.v = ri_word(RI_BOOL, len == 4);
        return p + len;
    }
    bool letter = (uint8_t)((*p | 0x20) - 'a') < 26 || *p == '?' || *p == '$';
    if (!(plain && letter) && !ri_name_valid(RI_SYMBOL, p, len)) {
        return fail_name(s, p, RI_SYMBOL, p, len);
    }
    return set_bytes(s, out, RI_SYMBOL, p, len) ? p + len : NULL;
}

const uint8_t *ri_edn_symbolic(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    size_t len = token_len(s, p);
    uint64_t bits;
    if (is_text(p, len, "##Inf")) {
        bits = UINT64_C(0x7ff) << 52;
    } else if (is_text(p, len, "##-Inf")) {
        bits = UINT64_C(0xfff) << 52;
    } else if (is_text(p, len, "##NaN")) {
        bits = UINT64_C(0x7ff8) << 48;
    } else {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "unknown %.*s, expected ##Inf, ##-Inf or ##NaN", shown_len(len),
                           (const char *)p);
    }
    out->kind = RI_FORM_DOUBLE;
    out->u.v = ri_word(RI_DOUBLE, bits);
    return p + len;
}

/* ---- numbers ---- */

static const uint8_t *fail_number(ri_edn_state *s, const uint8_t *p, size_t len)
{
    return ri_edn_fail(s, p, RILLE_SYNTAX, "%.*s is not a number, expected one such as 12, -1.5, 1e10, 12N or 1.5M",
                       shown_len(len), (const char *)p);
}

/* A failure of the parsers of value.h, with its place. */
static const uint8_t *fail_parsed(ri_edn_state *s, const uint8_t *p, int rc, const rille_err *err)
{
    if (rc == RILLE_NOMEM) {
        return ri_edn_fail_nomem(s);
    }
    return ri_edn_fail(s, p, rc == RILLE_LIMIT ? rc : RILLE_SYNTAX, "%s", err->message);
}

static bool is_float(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '.' || (p[i] | 0x20) == 'e') {
            return true;
        }
    }
    return false;
}

/* What is not a short integer. */
static const uint8_t *read_long_number(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    size_t len = token_len(s, p);
    size_t sign_len = *p == '-' || *p == '+' ? 1 : 0;
    const uint8_t *digits = p + sign_len;
    const char *text = (const char *)(*p == '+' ? digits : p);
    size_t text_len = len - (*p == '+' ? 1 : 0);
    rille_err err = { 0 };
    uint8_t suffix = p[len - 1];
    bool floating = suffix != 'M' && suffix != 'N' && is_float(p, len);
    int rc;
    if (digits[0] == '0' && len > sign_len + 1 && (ri_char_class[digits[1]] & RI_CHAR_DIGIT) != 0) {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "number %.*s has a leading zero: leave it out", shown_len(len),
                           (const char *)p);
    }
    if (floating) {
        double d;
        rc = ri_double_parse(text, text_len, &d, &err);
        out->u.v = ri_double(d);
    } else if (suffix == 'M') {
        rc = ri_decimal_parse(s->reader->arena, text, text_len - 1, &out->u.v, &err);
    } else {
        rc = ri_integer_parse(s->reader->arena, text, text_len - (suffix == 'N' ? 1 : 0), &out->u.v, &err);
    }
    if (rc == RILLE_TYPE && !floating) {
        return fail_number(s, p, len);
    }
    return rc == 0 ? p + len : fail_parsed(s, p, rc, &err);
}

const uint8_t *ri_edn_number(ri_edn_state *s, const uint8_t *p, ri_form *out)
{
    const uint8_t *q = *p == '-' || *p == '+' ? p + 1 : p;
    const uint8_t *digits = q;
    const uint8_t *limit = s->end - q < DIGITS_INLINE ? s->end : q + DIGITS_INLINE;
    int64_t x = 0;
    for (; q < limit; q++) {
        unsigned digit = (unsigned)*q - '0';
        if (digit > 9) {
            break;
        }
        x = x * 10 + (int64_t)digit;
    }
    if ((q < s->end && (ri_char_class[*q] & RI_CHAR_NAME) != 0) || (*digits == '0' && q - digits > 1)) {
        return read_long_number(s, p, out);
    }
    out->u.v = ri_long(*p == '-' ? -x : x);
    return q;
}

/* ---- tags that stand for values ---- */

static int fail_tag(ri_edn_state *s, const uint8_t *at, const char *tag, const ri_form *form, const char *expected)
{
    if (ri_form_is(form, RI_STRING)) {
        (void)ri_edn_fail(s, at, RILLE_SYNTAX, "\"%.*s\" is not valid after the tag #%s, expected %s",
                          shown_len(form->u.v.len), (const char *)form->u.v.as.p, tag, expected);
    } else {
        (void)ri_edn_fail(s, at, RILLE_SYNTAX, "the tag #%s is not followed by a string, expected %s", tag, expected);
    }
    return s->rc;
}

static int read_bytes_tag(ri_edn_state *s, const uint8_t *at, ri_form *form)
{
    ri_value text = form->u.v;
    uint8_t *bytes = ri_arena_alloc(s->reader->arena, text.len / 4U * 3U);
    if (bytes == NULL) {
        (void)ri_edn_fail_nomem(s);
        return s->rc;
    }
    size_t len = ri_base64_decode(bytes, text.as.p, text.len);
    if (len == SIZE_MAX) {
        return fail_tag(s, at, "bytes", form, "base64 text with padding, such as #bytes \"AQID\"");
    }
    form->u.v = ri_bytes_value(RI_BYTES, bytes, len);
    return 0;
}

int ri_edn_builtin_tag(ri_edn_state *s, const ri_value *tag, const uint8_t *at, ri_form *form)
{
    bool string = ri_form_is(form, RI_STRING);
    const char *text = string ? (const char *)form->u.v.as.p : "";
    size_t len = string ? form->u.v.len : 0;
    if (is_text(tag->as.p, tag->len, "inst")) {
        int64_t ms;
        if (!ri_instant_parse(text, len, &ms)) {
            return fail_tag(s, at, "inst", form, "a time such as \"2026-11-22T10:00:00Z\" (UTC)");
        }
        form->u.v = ri_word(RI_INSTANT, (uint64_t)ms);
        return 0;
    }
    if (is_text(tag->as.p, tag->len, "uuid")) {
        uint8_t uuid[16];
        if (!ri_uuid_parse(text, len, uuid)) {
            return fail_tag(s, at, "uuid", form, "one such as \"123e4567-e89b-12d3-a456-426614174000\"");
        }
        const uint8_t *copy = ri_arena_copy(s->reader->arena, uuid, sizeof uuid);
        if (copy == NULL) {
            (void)ri_edn_fail_nomem(s);
            return s->rc;
        }
        form->u.v = ri_bytes_value(RI_UUID, copy, sizeof uuid);
        return 0;
    }
    if (is_text(tag->as.p, tag->len, "bytes")) {
        return string ? read_bytes_tag(s, at, form) : fail_tag(s, at, "bytes", form, "base64 text");
    }
    return RILLE_DONE;
}
