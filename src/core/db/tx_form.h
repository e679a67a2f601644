/* SPDX-License-Identifier: MIT
 *
 * What the two files of the reader of transaction data share: tx_form.c (maps, entities, values), tx_form_op.c
 * (operations). The grammar is in tx_form.c.
 */
#ifndef RI_TX_FORM_H
#define RI_TX_FORM_H

#include "tx.h"

#include <string.h>

typedef ri_tx_filler filler;

#define FORM_SHOWN_BYTES 80U
#define FORM_SHOWN_SIZE (FORM_SHOWN_BYTES + 4U)

/* The form for a message, in the notation of the data, cut. Cost: O(FORM_SHOWN_BYTES). (tx_form_op.c) */
const char *ri_tx_form_show(const filler *f, const ri_form *form, char out[FORM_SHOWN_SIZE]);
/* "FORM in transaction data: expected ..." RILLE_TX_SYNTAX. */
int ri_tx_form_syntax(const filler *f, const ri_form *form, const char *expected);

static inline bool ri_tx_form_is_sequence(const ri_form *form)
{
    return form->kind == RI_FORM_VECTOR || form->kind == RI_FORM_LIST;
}
static inline bool ri_tx_form_is_name(const ri_form *form)
{
    return ri_form_is(form, RI_KEYWORD) || ri_form_is(form, RI_STRING);
}
/* Text of a keyword or string, without a leading colon. The form must be one. */
static inline const char *ri_tx_form_name(const ri_form *form, size_t *len)
{
    const ri_value *v = &form->u.v;
    size_t colon = v->type == RI_STRING && v->len > 0 && v->as.p[0] == ':' ? 1 : 0;
    *len = v->len - colon;
    return (const char *)v->as.p + colon;
}

/* Where the attribute of a key is remembered, by the address of its text; addresses that agree share a set. */
static inline struct ri_tx_key *ri_tx_form_key_set(filler *f, const uint8_t *text)
{
    uintptr_t bits = (uintptr_t)text;
    return f->keys[(bits >> 4 ^ bits >> 8 ^ bits >> 12) & (RI_TX_KEY_SETS - 1U)];
}

/* The attribute of a key that was met before; NULL: look closer. It is no reverse one. */
static inline const ri_attr *ri_tx_form_known_attr(filler *f, const ri_form *key)
{
    const ri_value *v = &key->u.v;
    if (!ri_tx_form_is_name(key)) {
        return NULL;
    }
    const struct ri_tx_key *set = ri_tx_form_key_set(f, v->as.p);
    for (unsigned way = 0; way < RI_TX_KEY_WAYS && set[way].attr != NULL; way++) {
        const ri_attr *attr = set[way].attr;
        if (set[way].text == v->as.p && attr->ident_len == v->len &&
            ri_same_bytes((const uint8_t *)attr->ident, v->as.p, v->len)) { /* the address may have another text now */
            return attr;
        }
    }
    return NULL;
}

/* The oldest one of the set is forgotten. */
static inline void ri_tx_form_know_attr(filler *f, const ri_form *key, const ri_attr *attr)
{
    struct ri_tx_key *set = ri_tx_form_key_set(f, key->u.v.as.p);
    memmove(set + 1, set, (RI_TX_KEY_WAYS - 1U) * sizeof *set);
    set[0] = (struct ri_tx_key){ key->u.v.as.p, attr };
}

int ri_tx_form_attr(filler *f, const ri_form *form, const ri_attr **out);
int ri_tx_form_entity(filler *f, const ri_form *form, ri_ent *out);
/* The entity that a value of a ref attribute names, which may be a map. */
int ri_tx_form_target(filler *f, const ri_attr *attr, const ri_form *form, ri_ent *out);
/* One value of an attribute that is no ref. *copy: it borrows from the form, which does not live long enough. */
int ri_tx_form_value(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out, bool *copy);
/* Asserts exactly one value. */
int ri_tx_form_add(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form);
/* [:db/add e a v] and its kin. */
int ri_tx_form_operation(filler *f, const ri_form *form);

#endif
