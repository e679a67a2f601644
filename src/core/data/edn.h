/* SPDX-License-Identifier: MIT
 *
 * EDN: text to a tree of forms in an arena, and back. Complete: every form survives a round trip.
 * The reader's speed is that of a good JSON parser (>= 150 MB/s of typical EDN, bench/bench_edn.c).
 */
#ifndef RI_EDN_H
#define RI_EDN_H

#include "value.h"

typedef enum ri_form_kind {
    RI_FORM_VALUE = 0, /* any scalar: v. NIL, BOOL, LONG, DOUBLE, BIGINT, BIGDEC, INSTANT (#inst), UUID (#uuid),
                          KEYWORD (text without colon), SYMBOL, STRING, BYTES (#bytes "base64") */
    RI_FORM_CHAR,      /* \c : v.as.u is the code point */
    RI_FORM_DOUBLE,    /* ##Inf ##-Inf ##NaN, which are no values: v.as.d */
    RI_FORM_LIST,
    RI_FORM_VECTOR,
    RI_FORM_SET, /* duplicates are an error */
    RI_FORM_MAP, /* items: key, value, key, value ...; count is the number of items (even); duplicate keys are an error
                  */
    RI_FORM_TAGGED /* items[0] = the tag as a SYMBOL value, items[1] = the form */
} ri_form_kind;

/* 24 bytes. Strings without escapes borrow the text when `borrow` was asked for. */
typedef struct ri_form {
    union {
        ri_value v;
        struct {
            const struct ri_form *items;
            uint32_t count;
            uint32_t hash; /* the reader's own */
        } seq;
    } u;
    uint32_t offset; /* of the first byte in the text, for line:column of later errors; UINT32_MAX: made by code */
    uint8_t kind;    /* ri_form_kind */
} ri_form;

#define RI_EDN_DEPTH_MAX 512
#define RI_EDN_TEXT_MAX UINT32_MAX

typedef struct ri_edn_reader {
    const char *text;
    size_t len;
    size_t pos;
    ri_arena *arena;
    bool borrow;   /* the text outlives the forms */
    ri_form *room; /* the caller's, for a short stack; or NULL */
    size_t room_count;
    size_t portion; /* of the text that is read at once, in bytes; 0: all of it */
    /* private */
    bool has_one; /* ri_edn_read_on has it */
    uint32_t frame;
    uint32_t depth;
    ri_form *stack;
    size_t stack_count;
    size_t stack_cap;
    ri_growth growth;
    ri_form *copy; /* of the items of the collection that is being closed, NULL: none is; so many are there */
    size_t copied;
    uint32_t *slots; /* for duplicates in large maps and sets */
    size_t slot_cap;
} ri_edn_reader;

void ri_edn_init(ri_edn_reader *reader, ri_arena *arena, const char *text, size_t len, bool borrow);
void ri_edn_deinit(ri_edn_reader *reader);
/* The next form, or RILLE_DONE at the end of the text; RILLE_AGAIN after a portion of it. Comments, #_ and commas are
 * skipped. RILLE_SYNTAX names line:column; RILLE_LIMIT for nesting over RI_EDN_DEPTH_MAX. */
int ri_edn_next(ri_edn_reader *reader, ri_form *out, rille_err *err);
/* Exactly one form of all the text; *out is the same in each call. RILLE_AGAIN after each portion. */
int ri_edn_read_on(ri_edn_reader *reader, ri_form *out, rille_err *err);
/* The same at once. */
int ri_edn_read(ri_arena *arena, const char *text, size_t len, ri_form *out, rille_err *err);

/* line and column (from 1, in bytes) of an offset */
void ri_edn_position(const char *text, size_t len, size_t offset, unsigned *line, unsigned *column);

/* Appends the EDN text of a form / of a value (out->failed when memory is out, or a form made by code nests deeper than
 * RI_EDN_DEPTH_MAX). A ref is written as its number, a
 * tuple as a vector, a stub as #rille/blob {:bytes n :hash "..."}, floats as #rille/floats [..]. */
void ri_edn_write(ri_buf *out, const ri_form *form);
void ri_edn_write_value(ri_buf *out, const ri_value *v);

static inline bool ri_form_is(const ri_form *form, ri_type type)
{
    return form->kind == RI_FORM_VALUE && form->u.v.type == type;
}
/* Is the form the symbol / keyword of that (0-terminated) name? */
bool ri_form_is_symbol(const ri_form *form, const char *name);
bool ri_form_is_keyword(const ri_form *form, const char *name);

#endif
