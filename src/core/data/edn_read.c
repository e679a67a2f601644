/* SPDX-License-Identifier: MIT
 *
 * The EDN reader: collections, tags and what is skipped. One pass over the text, by the class of each first byte.
 *
 * The idea: one explicit stack of forms. An open collection is a marker on it, followed by the items read so far; when
 * it closes, the items are copied to the arena in one piece and the marker becomes the collection.
 *
 *   stack:  [marker {] :a [marker [] 1 2        after "{:a [1 2"
 *            ^ offset: where it began, kind: what it is, count: the place of the marker outside
 *   tags:   [marker #] tag                      the next form completes it
 *   #_      [marker _]                          the next form goes with it
 *
 * Invariants:
 * (N1) s->frame is the innermost marker's place, or NO_FRAME; s->depth counts the markers, at most RI_EDN_DEPTH_MAX.
 * (N2) The C stack does not grow with the nesting of the text.
 * (N3) Between two calls the stack is empty, except after a portion: then the reader has s->frame and s->depth.
 *
 * Cost: O(bytes); an allocation from the arena for each collection, and for each text that is not borrowed.
 */
#include "edn_private.h"

#include <stdarg.h>
#include <stdio.h>

#define NO_FRAME UINT32_MAX
#define KIND_DISCARD 100 /* in markers only, next to ri_form_kind */

void ri_edn_init(ri_edn_reader *reader, ri_arena *arena, const char *text, size_t len, bool borrow)
{
    *reader = (ri_edn_reader){ .text = text, .len = len, .arena = arena, .borrow = borrow, .frame = NO_FRAME };
}

void ri_edn_deinit(ri_edn_reader *reader)
{
    if (reader->stack != reader->room) {
        ri_free_sized(reader->stack, reader->stack_cap * sizeof *reader->stack);
    }
    ri_free(reader->growth.next);
    ri_free(reader->slots);
    *reader = (ri_edn_reader){ 0 };
}

const uint8_t *ri_edn_fail(ri_edn_state *s, const uint8_t *at, int code, const char *format, ...)
{
    s->rc = code;
    if (s->err != NULL) {
        char message[RILLE_ERR_MESSAGE_SIZE];
        unsigned line;
        unsigned column;
        va_list args;
        va_start(args, format);
        if (vsnprintf(message, sizeof message, format, args) < 0) {
            message[0] = '\0';
        }
        va_end(args);
        ri_edn_position((const char *)s->start, (size_t)(s->end - s->start), (size_t)(at - s->start), &line, &column);
        (void)ri_fail(s->err, code, "%u:%u: %.360s", line, column, message);
    }
    return NULL;
}

const uint8_t *ri_edn_fail_nomem(ri_edn_state *s)
{
    s->rc = ri_fail_nomem(s->err);
    return NULL;
}

/* ---- what an error says of the collection around it ---- */

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = { "value", "character", "number", "list", "vector", "set", "map", "tag" };
    return kind < sizeof names / sizeof *names ? names[kind] : "#_";
}

static char closer_of(uint8_t kind)
{
    return kind == RI_FORM_LIST ? ')' : kind == RI_FORM_VECTOR ? ']' : '}';
}

static void describe_item(const ri_form *form, char *out, size_t size)
{
    if (form->kind == RI_FORM_VALUE) {
        (void)ri_value_show(out, size, &form->u.v);
    } else {
        (void)snprintf(out, size, "(a %s)", kind_name(form->kind));
    }
}

/* "expected a value for key :a", "expected ] of the vector that begins at 1:5" */
static void describe_expected(const ri_edn_state *s, char *out, size_t size)
{
    if (s->frame == NO_FRAME) {
        (void)snprintf(out, size, "expected a value");
        return;
    }
    const ri_edn_reader *reader = s->reader;
    const ri_form *marker = &reader->stack[s->frame];
    size_t item_count = reader->stack_count - s->frame - 1;
    char item[100];
    if (marker->kind == KIND_DISCARD) {
        (void)snprintf(out, size, "expected a value to discard after #_");
    } else if (marker->kind == RI_FORM_TAGGED) {
        const ri_value *tag = &marker[1].u.v;
        (void)snprintf(out, size, "expected a value after the tag #%.*s", (int)tag->len, (const char *)tag->as.p);
    } else if (marker->kind == RI_FORM_MAP && item_count % 2 != 0) {
        describe_item(&reader->stack[reader->stack_count - 1], item, sizeof item);
        (void)snprintf(out, size, "expected a value for key %s", item);
    } else {
        unsigned line;
        unsigned column;
        ri_edn_position(reader->text, reader->len, marker->offset, &line, &column);
        (void)snprintf(out, size, "expected %c to close the %s that begins at %u:%u", closer_of(marker->kind),
                       kind_name(marker->kind), line, column);
    }
}

static const uint8_t *fail_unexpected(ri_edn_state *s, const uint8_t *at)
{
    char expected[200];
    describe_expected(s, expected, sizeof expected);
    if (at == s->end) {
        return ri_edn_fail(s, at, RILLE_SYNTAX, "unexpected end of the text, %s", expected);
    }
    if (*at <= ' ' || *at >= 0x7f) {
        return ri_edn_fail(s, at, RILLE_SYNTAX, "unexpected byte 0x%02x, %s", *at, expected);
    }
    if (*at == '^') {
        return ri_edn_fail(s, at, RILLE_SYNTAX, "unexpected ^ (metadata is not part of EDN), %s", expected);
    }
    return ri_edn_fail(s, at, RILLE_SYNTAX, "unexpected %c, %s", *at, expected);
}

/* ---- the stack ---- */

static bool grow_stack(ri_edn_reader *reader)
{
    if (reader->stack == NULL && reader->room != NULL) {
        reader->stack = reader->room;
        reader->stack_cap = reader->room_count;
        return true;
    }
    if (reader->stack_count < reader->stack_cap && reader->stack == reader->room) {
        return true;
    }
    if (reader->stack == NULL || reader->stack != reader->room) {
        return RI_GROW_BY_ONE(&reader->growth, &reader->stack, &reader->stack_cap, reader->stack_count);
    }
    ri_form *grown = NULL;
    size_t cap = 0;
    if (!RI_GROW(&grown, &cap, reader->stack_count + 1)) {
        return false;
    }
    memcpy(grown, reader->room, reader->stack_count * sizeof *grown);
    reader->stack = grown;
    reader->stack_cap = cap;
    return true;
}

/* Forms from here on change. */
static void cut_growth(ri_edn_reader *reader, size_t at)
{
    reader->growth.copied = reader->growth.copied < at ? reader->growth.copied : at;
}

/* Room for one more form; NULL when memory is out. */
static inline ri_form *next_slot(ri_edn_state *s)
{
    ri_edn_reader *reader = s->reader;
    if (reader->stack_count >= reader->stack_cap - reader->stack_cap / 4 && !grow_stack(reader)) {
        (void)ri_edn_fail_nomem(s);
        return NULL;
    }
    return &reader->stack[reader->stack_count];
}

/* What u.seq.hash of a marker says of the place where it was opened. */
enum {
    PLACE_COMPARED = 1, /* within an element of a set or a key of a map */
    PLACE_DISCARDED = 2 /* within what #_ discards */
};

static uint32_t place_of_next(const ri_edn_state *s)
{
    if (s->frame == NO_FRAME) {
        return 0;
    }
    const ri_form *around = &s->reader->stack[s->frame];
    bool is_key = around->kind == RI_FORM_MAP && (s->reader->stack_count - s->frame) % 2 != 0;
    return around->u.seq.hash | (around->kind == RI_FORM_SET || is_key ? PLACE_COMPARED : 0) |
           (around->kind == KIND_DISCARD ? PLACE_DISCARDED : 0);
}

static bool open_frame(ri_edn_state *s, const uint8_t *at, uint8_t kind)
{
    if (s->depth == RI_EDN_DEPTH_MAX) {
        (void)ri_edn_fail(s, at, RILLE_LIMIT, "the text is nested too deeply (the maximum depth is %d)",
                          RI_EDN_DEPTH_MAX);
        return false;
    }
    ri_form *marker = next_slot(s);
    if (marker == NULL) {
        return false;
    }
    marker->u.seq.items = NULL;
    marker->u.seq.count = s->frame;
    marker->u.seq.hash = place_of_next(s);
    marker->offset = (uint32_t)(at - s->start);
    marker->kind = kind;
    s->frame = (uint32_t)s->reader->stack_count++;
    s->depth++;
    return true;
}

/* The marker becomes the free slot again. */
static ri_form *close_frame(ri_edn_state *s)
{
    ri_form *marker = &s->reader->stack[s->frame];
    s->reader->stack_count = s->frame;
    cut_growth(s->reader, s->frame);
    s->frame = marker->u.seq.count;
    s->depth--;
    return marker;
}

/* The marker becomes the free slot again, for a collection with these items. */
static void fill_slot(ri_edn_state *s, uint8_t kind, const ri_form *items, size_t count)
{
    ri_form *slot = close_frame(s);
    bool compared = (slot->u.seq.hash & PLACE_COMPARED) != 0;
    slot->kind = kind;
    slot->u.seq.items = items;
    slot->u.seq.count = (uint32_t)count;
    slot->u.seq.hash = compared ? ri_edn_hash(s->reader, slot) : 0;
}

static const uint8_t *fail_duplicate(ri_edn_state *s, uint8_t kind, const ri_form *items, size_t index)
{
    char item[100];
    describe_item(&items[index], item, sizeof item);
    return ri_edn_fail(s, s->start + items[index].offset, RILLE_SYNTAX, "duplicate %s %s in the %s",
                       kind == RI_FORM_MAP ? "key" : "element", item, kind_name(kind));
}

/* The items in the arena, or NULL. A portion at a time, where the text is read so: then s->rc is RILLE_AGAIN. */
static ri_form *copy_items(ri_edn_state *s, const ri_form *items, size_t count)
{
    ri_edn_reader *reader = s->reader;
    if (reader->copy == NULL) {
        reader->copied = 0;
        reader->copy = ri_arena_array(reader->arena, count, sizeof *items);
        if (reader->copy == NULL) {
            (void)ri_edn_fail_nomem(s);
            return NULL;
        }
    }
    size_t some = reader->portion > 0 ? reader->portion / 8 : count; /* 32 bytes each: four times what is read */
    some = count - reader->copied < some ? count - reader->copied : some;
    memcpy(reader->copy + reader->copied, items + reader->copied, some * sizeof *items);
    reader->copied += some;
    if (reader->copied < count) {
        s->rc = RILLE_AGAIN;
        return NULL;
    }
    ri_form *copy = reader->copy;
    reader->copy = NULL;
    return copy;
}

/* Turns the innermost collection into a form in its marker's slot. False: failed, or only a part is done. */
static bool finish_collection(ri_edn_state *s, const uint8_t *at)
{
    ri_edn_reader *reader = s->reader;
    ri_form *marker = &reader->stack[s->frame];
    const ri_form *items = marker + 1;
    size_t count = reader->stack_count - s->frame - 1;
    uint8_t kind = marker->kind;
    if (closer_of(kind) != (char)*at || kind >= RI_FORM_TAGGED || (kind == RI_FORM_MAP && count % 2 != 0)) {
        (void)fail_unexpected(s, at);
        return false;
    }
    if (kind >= RI_FORM_SET && count > 1 && reader->copy == NULL) {
        size_t index = ri_edn_find_duplicate(reader, items, count, kind == RI_FORM_MAP ? 2 : 1);
        if (index != count) {
            (void)(index == SIZE_MAX ? ri_edn_fail_nomem(s) : fail_duplicate(s, kind, items, index));
            return false;
        }
    }
    ri_form *copy = NULL;
    if (count > 0) {
        copy = copy_items(s, items, count);
        if (copy == NULL) {
            return false;
        }
    }
    fill_slot(s, kind, copy, count);
    return true;
}

/* The innermost frame is a tag, and `form` (right behind the tag on the stack) is what it tags. */
static bool finish_tag(ri_edn_state *s, ri_form *form)
{
    const ri_form *marker = &s->reader->stack[s->frame];
    bool discarded = (marker->u.seq.hash & PLACE_DISCARDED) != 0;
    int rc = discarded ? RILLE_DONE : ri_edn_builtin_tag(s, &marker[1].u.v, s->start + form->offset, form);
    if (rc < 0) {
        return false;
    }
    if (rc != RILLE_DONE) {
        form->offset = marker->offset;
        *close_frame(s) = *form;
        return true;
    }
    ri_form *pair = ri_arena_alloc(s->reader->arena, 2 * sizeof *pair);
    if (pair == NULL) {
        (void)ri_edn_fail_nomem(s);
        return false;
    }
    pair[0] = marker[1];
    pair[1] = *form;
    fill_slot(s, RI_FORM_TAGGED, pair, 2);
    return true;
}

/* ---- the loop ---- */

static const uint8_t *skip_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        if ((ri_char_class[*p] & RI_CHAR_SPACE) != 0) {
            p++;
        } else if (*p == ';') {
            const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
            p = newline == NULL ? end : newline + 1;
        } else {
            break;
        }
    }
    return p;
}

/* A # that opens something: a set, a tag, #_. Gives the place behind what opened. */
static const uint8_t *open_dispatch(ri_edn_state *s, const uint8_t *p)
{
    uint8_t next = s->end - p > 1 ? p[1] : 0;
    if (next == '{') {
        return open_frame(s, p, RI_FORM_SET) ? p + 2 : NULL;
    }
    if (next == '_') {
        return open_frame(s, p, KIND_DISCARD) ? p + 2 : NULL;
    }
    bool letter = (uint8_t)((next | 0x20) - 'a') < 26 || next >= 0x80;
    if (!letter) {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "unexpected text after #, expected {, _, # or a tag name");
    }
    if (!open_frame(s, p, RI_FORM_TAGGED)) {
        return NULL;
    }
    ri_form *tag = next_slot(s);
    if (tag == NULL) {
        return NULL;
    }
    const uint8_t *behind = ri_edn_symbol(s, p + 1, tag);
    if (behind != NULL && tag->u.v.type != RI_SYMBOL) {
        return ri_edn_fail(s, p, RILLE_SYNTAX, "a tag cannot be named nil, true or false");
    }
    s->reader->stack_count++;
    return behind;
}

/* Everything that is complete by itself, into the slot at the top of the stack. */
static inline const uint8_t *read_atom(ri_edn_state *s, const uint8_t *p)
{
    ri_form *out = next_slot(s);
    if (out == NULL) {
        return NULL;
    }
    uint8_t c = *p;
    out->offset = (uint32_t)(p - s->start);
    out->kind = RI_FORM_VALUE;
    if (c == ':') {
        return ri_edn_keyword(s, p, out);
    }
    if (c == '"') {
        return ri_edn_string(s, p, out);
    }
    if ((ri_char_class[c] & RI_CHAR_DIGIT) != 0) {
        return ri_edn_number(s, p, out);
    }
    if ((c == '-' || c == '+') && s->end - p > 1 && (ri_char_class[p[1]] & RI_CHAR_DIGIT) != 0) {
        return ri_edn_number(s, p, out);
    }
    if (c == '\\') {
        return ri_edn_char(s, p, out);
    }
    if (c == '#') {
        return ri_edn_symbolic(s, p, out);
    }
    if ((ri_char_class[c] & RI_CHAR_NAME) == 0) {
        return fail_unexpected(s, p);
    }
    return ri_edn_symbol(s, p, out);
}

/* A form stands in the slot at the top of the stack: it completes tags, goes with a #_, or is an item of what is
 * open. Sets *whole when it is neither. */
static bool deliver(ri_edn_state *s, bool *whole)
{
    *whole = false;
    for (;;) {
        if (s->frame == NO_FRAME) {
            *whole = true;
            return true;
        }
        uint8_t kind = s->reader->stack[s->frame].kind;
        if (kind < RI_FORM_TAGGED) {
            s->reader->stack_count++;
            return true;
        }
        if (kind == KIND_DISCARD) {
            (void)close_frame(s);
            return true;
        }
        if (!finish_tag(s, &s->reader->stack[s->reader->stack_count])) {
            return false;
        }
    }
}

/* The next form, into the bottom of the stack; *done at the end of the text. s->rc RILLE_AGAIN: only a part of it. */
static const uint8_t *read_form(ri_edn_state *s, const uint8_t *p, bool *done)
{
    for (bool whole = false; !whole;) {
        if (p > s->stop) {
            s->rc = RILLE_AGAIN;
            return p;
        }
        p = skip_blank(p, s->end);
        if (p == s->end) {
            *done = s->frame == NO_FRAME;
            return *done ? p : fail_unexpected(s, p);
        }
        uint8_t c = *p;
        bool opened = true;
        if (c == '[' || c == '(' || c == '{') {
            uint8_t kind = c == '[' ? RI_FORM_VECTOR : c == '(' ? RI_FORM_LIST : RI_FORM_MAP;
            p = open_frame(s, p, kind) ? p + 1 : NULL;
        } else if (c == '#' && (s->end - p < 2 || p[1] != '#')) {
            p = open_dispatch(s, p);
        } else if (c == ']' || c == ')' || c == '}') {
            opened = false;
            if (s->frame == NO_FRAME) {
                return fail_unexpected(s, p);
            }
            if (!finish_collection(s, p)) {
                return s->rc == RILLE_AGAIN ? p : NULL;
            }
            p++;
        } else {
            opened = false;
            p = read_atom(s, p);
        }
        if (p == NULL || (!opened && !deliver(s, &whole))) {
            return NULL;
        }
    }
    return p;
}

int ri_edn_next(ri_edn_reader *reader, ri_form *out, rille_err *err)
{
    *out = (ri_form){ .u.v = ri_nil() };
    if (reader->len >= RI_EDN_TEXT_MAX) {
        return ri_fail(err, RILLE_LIMIT, "the EDN text is too long: %zu bytes (it must be less than %u)", reader->len,
                       RI_EDN_TEXT_MAX);
    }
    const uint8_t *start = (const uint8_t *)(reader->text == NULL ? "" : reader->text);
    const uint8_t *end = start + reader->len;
    const uint8_t *p = start + reader->pos;
    const uint8_t *stop =
        reader->portion > 0 && reader->portion < reader->len - reader->pos ? p + reader->portion : end;
    ri_edn_state s = { reader, start, end, stop, err, 0, reader->frame, reader->depth };
    if (reader->pos == 0 && reader->len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
    }
    bool done = false;
    p = read_form(&s, p, &done);
    if (p != NULL && s.rc == RILLE_AGAIN) {
        reader->pos = (size_t)(p - start);
        reader->frame = s.frame;
        reader->depth = s.depth;
        return RILLE_AGAIN;
    }
    reader->stack_count = 0;
    cut_growth(reader, 0);
    reader->frame = NO_FRAME;
    reader->depth = 0;
    if (p == NULL) {
        return s.rc;
    }
    reader->pos = (size_t)(p - start);
    if (done) {
        return RILLE_DONE;
    }
    *out = reader->stack[0];
    return 0;
}

int ri_edn_read_on(ri_edn_reader *reader, ri_form *out, rille_err *err)
{
    if (!reader->has_one) {
        int rc = ri_edn_next(reader, out, err);
        if (rc == RILLE_DONE) {
            return ri_fail(err, RILLE_SYNTAX, "1:1: the text is empty, expected a value");
        }
        RI_TRY(rc);
        reader->has_one = true;
    }
    ri_form more;
    int rc = ri_edn_next(reader, &more, err);
    if (rc == 0) {
        unsigned line;
        unsigned column;
        ri_edn_position(reader->text, reader->len, more.offset, &line, &column);
        rc = ri_fail(err, RILLE_SYNTAX, "%u:%u: unexpected second value, expected the end of the text", line, column);
    }
    return rc == RILLE_DONE ? 0 : rc;
}

int ri_edn_read(ri_arena *arena, const char *text, size_t len, ri_form *out, rille_err *err)
{
    ri_edn_reader reader;
    ri_edn_init(&reader, arena, text, len, false);
    int rc = ri_edn_read_on(&reader, out, err);
    if (rc != 0) {
        *out = (ri_form){ .u.v = ri_nil() };
    }
    ri_edn_deinit(&reader);
    return rc;
}
