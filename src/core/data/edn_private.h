/* SPDX-License-Identifier: MIT
 *
 * What the files of the EDN reader share: edn_read.c (collections, tags), edn_atom.c (everything else), edn_form.c
 * (equality, positions).
 *
 * Functions that read take the place where the form begins and give the place behind it, or NULL after
 * ri_edn_fail() filled s->rc and s->err.
 */
#ifndef RI_EDN_PRIVATE_H
#define RI_EDN_PRIVATE_H

#include "chars.h"
#include "edn.h"

typedef struct ri_edn_state {
    ri_edn_reader *reader;
    const uint8_t *start; /* of the text */
    const uint8_t *end;
    const uint8_t *stop; /* of the portion at hand */
    rille_err *err;
    int rc;
    uint32_t frame; /* the innermost open collection: its place on the stack */
    uint32_t depth;
} ri_edn_state;

/* "line:column: message", always NULL. */
const uint8_t *ri_edn_fail(ri_edn_state *s, const uint8_t *at, int code, const char *format, ...) RI_PRINTF(4, 5);
const uint8_t *ri_edn_fail_nomem(ri_edn_state *s);

/* p is at the quote, the backslash, the colon, the first byte. */
const uint8_t *ri_edn_string(ri_edn_state *s, const uint8_t *p, ri_form *out);
const uint8_t *ri_edn_char(ri_edn_state *s, const uint8_t *p, ri_form *out);
const uint8_t *ri_edn_keyword(ri_edn_state *s, const uint8_t *p, ri_form *out);
const uint8_t *ri_edn_number(ri_edn_state *s, const uint8_t *p, ri_form *out);
/* A symbol, nil, true or false. */
const uint8_t *ri_edn_symbol(ri_edn_state *s, const uint8_t *p, ri_form *out);
/* ##Inf and its kin; p is at the first #. */
const uint8_t *ri_edn_symbolic(ri_edn_state *s, const uint8_t *p, ri_form *out);
/* Replaces the string in *form by what #inst, #uuid or #bytes says it is. RILLE_DONE: not one of these tags. */
int ri_edn_builtin_tag(ri_edn_state *s, const ri_value *tag, const uint8_t *at, ri_form *form);

/* Of a collection that lies in a set or in a key of a map: to be kept in form->u.seq.hash when it closes. */
uint32_t ri_edn_hash(const ri_edn_reader *reader, const ri_form *form);
/* Every step-th of the items must be different; the index of the second of two equal ones, count when there are none,
 * or SIZE_MAX when memory is out. */
size_t ri_edn_find_duplicate(ri_edn_reader *reader, const ri_form *items, size_t count, size_t step);

/* The bytes of base64 text, into out (3/4 of len); SIZE_MAX when it is not canonical base64 with padding. */
size_t ri_base64_decode(uint8_t *out, const uint8_t *text, size_t len);
void ri_base64_write(ri_buf *out, const uint8_t *bytes, size_t len);

#endif
