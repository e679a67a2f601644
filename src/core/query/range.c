/* SPDX-License-Identifier: MIT
 *
 * Cuts in the order of values, from relations.
 *
 * Texts are the only values whose order in an index is not that of the predicates: a long one is kept as a stub, which
 * sorts by its first bytes and after all short texts that share them (value.h). Where the two orders may differ, a cut
 * is put where both are satisfied: after all texts with the same first bytes.
 */
#include "range.h"

/* Cuts in order: by value, then before and after. */
static int cmp_cuts(const ri_cut *a, const ri_cut *b)
{
    int c = ri_value_cmp(&a->v, &b->v);
    return c != 0 ? c : (int)a->after - (int)b->after;
}

static void raise_low(ri_cuts *cuts, const ri_value *v, bool after)
{
    ri_cut cut = { *v, after, true };
    if (!cuts->low.set || cmp_cuts(&cut, &cuts->low) > 0) {
        cuts->low = cut;
    }
}

static void lower_high(ri_cuts *cuts, const ri_value *v, bool after)
{
    ri_cut cut = { *v, after, true };
    if (!cuts->high.set || cmp_cuts(&cut, &cuts->high) < 0) {
        cuts->high = cut;
    }
}

void ri_cuts_meet(ri_cuts *cuts, const ri_cut *cut, bool low)
{
    if (cut->set) {
        (low ? raise_low : lower_high)(cuts, &cut->v, cut->after);
    }
    cuts->empty = cuts->empty || (cuts->low.set && cuts->high.set && cmp_cuts(&cuts->low, &cuts->high) >= 0);
}

/* Before the first text that is greater than all that begin with these bytes. */
static int lower_to_prefix(ri_cuts *cuts, ri_type type, const uint8_t *p, size_t len, ri_arena *arena, rille_err *err)
{
    while (len > 0 && p[len - 1] == UINT8_MAX) {
        len--;
    }
    if (len == 0) {
        return 0; /* there is none */
    }
    uint8_t *next = ri_arena_copy(arena, p, len);
    if (next == NULL) {
        return ri_fail_nomem(err);
    }
    next[len - 1]++;
    ri_value v = ri_bytes_value(type, next, len);
    lower_high(cuts, &v, false);
    return 0;
}

/* A text, which may be a stub. */
static int narrow_text(ri_cuts *cuts, ri_relation relation, const ri_value *v, ri_arena *arena, rille_err *err)
{
    bool stub = ri_type_is_stub(v->type);
    ri_type type = v->type == RI_STRING || v->type == RI_STRING_BLOB ? RI_STRING : RI_BYTES;
    uint32_t start = v->len < RI_STUB_PREFIX ? v->len : RI_STUB_PREFIX;
    ri_value first = stub ? ri_bytes_value(type, v->as.p, start) : *v;
    bool low = relation == RI_REL_GT || relation == RI_REL_GE || relation == RI_REL_PREFIX;
    if (low) {
        raise_low(cuts, &first, relation == RI_REL_GT && !stub);
        return relation == RI_REL_PREFIX ? lower_to_prefix(cuts, type, v->as.p, start, arena, err) : 0;
    }
    if (start == RI_STUB_PREFIX) {
        return lower_to_prefix(cuts, type, v->as.p, start, arena, err);
    }
    lower_high(cuts, &first, relation == RI_REL_LE);
    return 0;
}

static bool is_text(uint8_t type)
{
    return type >= RI_STRING && type <= RI_BYTES_BLOB;
}

/* Are values of the attribute and of this type ordered by the predicates as the index orders them? */
static bool ordered_alike(const ri_attr *attr, uint8_t type)
{
    if (ri_type_is_number(attr->type) && ri_type_is_number(type)) {
        return true;
    }
    return attr->type == type && type != RI_NIL && type != RI_REF;
}

static int narrow_equal(ri_cuts *cuts, const ri_attr *attr, const ri_value *v, ri_arena *arena, rille_err *err)
{
    ri_value fitted;
    bool fits = false;
    if (attr->type == RI_REF) {
        fitted = ri_ref(ri_entity_of(v));
        fits = fitted.as.u != 0;
    } else {
        RI_TRY(ri_attr_fit(attr, v, arena, &fitted, &fits, err));
    }
    if (!fits) {
        cuts->empty = true;
        return 0;
    }
    raise_low(cuts, &fitted, false);
    lower_high(cuts, &fitted, true);
    return 0;
}

static int narrow(ri_cuts *cuts, const ri_attr *attr, ri_relation relation, const ri_value *v, ri_arena *arena,
                  rille_err *err)
{
    switch (relation) {
    case RI_REL_EQ:
        return narrow_equal(cuts, attr, v, arena, err);
    case RI_REL_PREFIX:
        return attr->type == RI_STRING && is_text(v->type) ? narrow_text(cuts, relation, v, arena, err) : 0;
    case RI_REL_LT:
    case RI_REL_LE:
    case RI_REL_GT:
    case RI_REL_GE:
        break;
    }
    bool texts = (attr->type == RI_STRING && (v->type == RI_STRING || v->type == RI_STRING_BLOB)) ||
                 (attr->type == RI_BYTES && (v->type == RI_BYTES || v->type == RI_BYTES_BLOB));
    if (texts) {
        return narrow_text(cuts, relation, v, arena, err);
    }
    if (!ordered_alike(attr, v->type)) {
        return 0;
    }
    if (relation == RI_REL_GT || relation == RI_REL_GE) {
        raise_low(cuts, v, relation == RI_REL_GT);
    } else {
        lower_high(cuts, v, relation == RI_REL_LE);
    }
    return 0;
}

int ri_cuts_narrow(ri_cuts *cuts, const ri_attr *attr, ri_relation relation, const ri_value *v, ri_arena *arena,
                   rille_err *err)
{
    ri_value plain = ri_plain(*v);
    RI_TRY(narrow(cuts, attr, relation, &plain, arena, err));
    cuts->empty = cuts->empty || (cuts->low.set && cuts->high.set && cmp_cuts(&cuts->low, &cuts->high) >= 0);
    return 0;
}

void ri_cuts_bounds(const ri_cuts *cuts, const ri_attr *attr, ri_order *order, ri_bound *from, ri_bound *to)
{
    const ri_cut *low = &cuts->low;
    const ri_cut *high = &cuts->high;
    if (attr->type == RI_REF) { /* equal to one */
        *order = RI_VAET;
        *from = ri_bound_va(low->v.as.u, attr->id, low->after);
        *to = ri_bound_va(high->v.as.u, attr->id, high->after);
        return;
    }
    *order = RI_AVET;
    *from = low->set ? ri_bound_av(attr->id, &low->v, low->after) : ri_bound_a(attr->id, false);
    *to = high->set ? ri_bound_av(attr->id, &high->v, high->after) : ri_bound_a(attr->id, true);
}

unsigned ri_range_bound_ends(const ri_range *range, const ri_varset *bound)
{
    unsigned ends = 0;
    for (unsigned i = 0; range != NULL && i < range->end_count; i++) {
        ends |= (unsigned)ri_varset_has(bound, range->ends[i].var) << i;
    }
    return ends;
}
