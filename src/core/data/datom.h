/* SPDX-License-Identifier: MIT
 *
 * The datom, the orders that trees keep it in, and bounds of ranges.
 */
#ifndef RI_DATOM_H
#define RI_DATOM_H

#include "../base/hash.h"
#include "value.h"

typedef struct ri_datom {
    uint64_t e;
    uint64_t t; /* the transaction that added it (RET: too) */
    uint64_t x; /* RET: the transaction that retired it; otherwise 0 */
    ri_value v;
    uint32_t a;
    bool added; /* false only in LOG and in novelty */
} ri_datom;

/* Each tree is a sorted set of datoms in one order. A key never contains t but where it is listed. */
typedef enum ri_order {
    RI_EAVT = 0, /* e a v    : all current datoms */
    RI_AEVT = 1, /* a e v    : all current datoms */
    RI_AVET = 2, /* a v e    : indexed, unique and fixed-width attributes */
    RI_VAET = 3, /* v a e    : refs only; v is the referred entity id */
    RI_LOG = 4,  /* t e a v added : every transaction's datoms (retraction before assertion of the same e a v) */
    RI_RET = 5,  /* e a v t x : retired datoms (only with history) */
    RI_META = 6, /* a v e    : the engine's own look-ups: commit ids, retained bases; never shown to users */
    RI_ORDER_COUNT = 7
} ri_order;

/* The whole key. Set semantics: two datoms that compare 0 are one element of the tree. */
int ri_datom_cmp(ri_order order, const ri_datom *a, const ri_datom *b);

/* A cut in an order: before (or after) all datoms whose first `parts` key components equal d's.
 * parts == 0: before = the very start, after = the very end. parts is at most the number of components above. */
typedef struct ri_bound {
    ri_datom d;
    uint8_t parts;
    bool after;
} ri_bound;

/* < 0 when the datom lies before the cut, > 0 when it lies after. Never 0. */
int ri_datom_cmp_bound(ri_order order, const ri_datom *d, const ri_bound *bound);
/* How many components of the order's key are compared in front of equality: 3 for EAVT, 5 for LOG and RET ... */
unsigned ri_order_parts(ri_order order);
const char *ri_order_name(ri_order order);           /* "eavt" */
bool ri_order_find(const char *name, ri_order *out); /* of the four that users read; false: none is called so */

/* The boundary hash of a datom (docs/format.md): over e, a, v (LOG: t, e, a, v; RET: e, a, v, t), never more. In parts,
 * since one e, and one text, mostly come several times in a row. */
static inline uint64_t ri_hash_of_e(uint64_t e)
{
    return ri_mix64(e + UINT64_C(0x9e3779b97f4a7c15));
}
static inline uint64_t ri_hash_of_v(const ri_value *v)
{
    return ri_type_is_word(v->type) ? ri_mix64(ri_word_to_key(v->type, v->as.u)) : ri_hash64(v->as.p, v->len, 0);
}
static inline uint64_t ri_hash_of_parts(ri_order order, const ri_datom *d, uint64_t e_hash, uint64_t v_hash)
{
    uint64_t h = ri_mix64(ri_mix64(e_hash ^ ((uint64_t)d->a << 8 | d->v.type)) ^ v_hash);
    return order == RI_LOG || order == RI_RET ? ri_mix64(h ^ d->t) : h;
}
uint64_t ri_datom_hash(ri_order order, const ri_datom *d);

#endif
