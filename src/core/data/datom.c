/* SPDX-License-Identifier: MIT
 *
 * The orders of datoms, cuts in them, and the boundary hash.
 *
 * Boundary hash (part of the stored format, docs/format.md). mix = ri_mix64, all arithmetic modulo 2^64:
 *
 *   w = for word types   mix(ri_word_to_key(type, word))
 *       for the others   ri_hash64(bytes, length, 0)
 *   h = mix(e + 0x9e3779b97f4a7c15)
 *   h = mix(h ^ (a * 256 + type))
 *   h = mix(h ^ w)
 *   h = mix(h ^ t)          only in LOG and RET
 *
 * So a datom has the same hash in EAVT, AEVT, AVET, VAET and META; neither t nor x nor added moves a boundary there.
 *
 * Cost: a comparison is a few branches, and one call only for values of bytes; a hash is three mixes for word types.
 */
#include "datom.h"

#define PARTS_MAX 5

typedef enum component { PART_E, PART_A, PART_V, PART_T, PART_X, PART_ADDED } component;

typedef struct order_info {
    const char *name;
    uint8_t part_count;
    uint8_t parts[PARTS_MAX]; /* component */
} order_info;

static const order_info orders[RI_ORDER_COUNT] = {
    [RI_EAVT] = { "eavt", 3, { PART_E, PART_A, PART_V } },
    [RI_AEVT] = { "aevt", 3, { PART_A, PART_E, PART_V } },
    [RI_AVET] = { "avet", 3, { PART_A, PART_V, PART_E } },
    [RI_VAET] = { "vaet", 3, { PART_V, PART_A, PART_E } },
    [RI_LOG] = { "log", 5, { PART_T, PART_E, PART_A, PART_V, PART_ADDED } },
    [RI_RET] = { "ret", 5, { PART_E, PART_A, PART_V, PART_T, PART_X } },
    [RI_META] = { "meta", 3, { PART_A, PART_V, PART_E } },
};

static inline int cmp_v(const ri_value *a, const ri_value *b)
{
    if (a->type == b->type) {
        if (a->type == RI_LONG || a->type == RI_INSTANT) {
            return (a->as.i > b->as.i) - (a->as.i < b->as.i);
        }
        if (a->type == RI_REF || a->type == RI_BOOL) {
            return ri_cmp_u64(a->as.u, b->as.u);
        }
    }
    return ri_value_cmp(a, b);
}

static inline int cmp_eav(const ri_datom *a, const ri_datom *b)
{
    if (a->e != b->e) {
        return a->e < b->e ? -1 : 1;
    }
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    return cmp_v(&a->v, &b->v);
}

static inline int cmp_ave(const ri_datom *a, const ri_datom *b)
{
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    int order = cmp_v(&a->v, &b->v);
    return order != 0 ? order : ri_cmp_u64(a->e, b->e);
}

static int cmp_aev(const ri_datom *a, const ri_datom *b)
{
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    if (a->e != b->e) {
        return a->e < b->e ? -1 : 1;
    }
    return cmp_v(&a->v, &b->v);
}

static int cmp_vae(const ri_datom *a, const ri_datom *b)
{
    int order = cmp_v(&a->v, &b->v);
    if (order != 0) {
        return order;
    }
    return a->a != b->a ? ri_cmp_u64(a->a, b->a) : ri_cmp_u64(a->e, b->e);
}

static int cmp_log(const ri_datom *a, const ri_datom *b)
{
    if (a->t != b->t) {
        return a->t < b->t ? -1 : 1;
    }
    int order = cmp_eav(a, b);
    return order != 0 ? order : (int)a->added - (int)b->added;
}

static int cmp_ret(const ri_datom *a, const ri_datom *b)
{
    int order = cmp_eav(a, b);
    if (order != 0) {
        return order;
    }
    return a->t != b->t ? ri_cmp_u64(a->t, b->t) : ri_cmp_u64(a->x, b->x);
}

int ri_datom_cmp(ri_order order, const ri_datom *a, const ri_datom *b)
{
    switch (order) {
    case RI_EAVT:
        return cmp_eav(a, b);
    case RI_AEVT:
        return cmp_aev(a, b);
    case RI_AVET:
    case RI_META:
        return cmp_ave(a, b);
    case RI_VAET:
        return cmp_vae(a, b);
    case RI_LOG:
        return cmp_log(a, b);
    case RI_RET:
        return cmp_ret(a, b);
    case RI_ORDER_COUNT:
        break;
    }
    return 0;
}

static int cmp_part(component part, const ri_datom *a, const ri_datom *b)
{
    switch (part) {
    case PART_E:
        return ri_cmp_u64(a->e, b->e);
    case PART_A:
        return ri_cmp_u64(a->a, b->a);
    case PART_V:
        return cmp_v(&a->v, &b->v);
    case PART_T:
        return ri_cmp_u64(a->t, b->t);
    case PART_X:
        return ri_cmp_u64(a->x, b->x);
    case PART_ADDED:
        return (int)a->added - (int)b->added;
    }
    return 0;
}

int ri_datom_cmp_bound(ri_order order, const ri_datom *d, const ri_bound *bound)
{
    const order_info *info = &orders[order];
    RI_ASSERT(bound->parts <= info->part_count);
    for (unsigned i = 0; i < bound->parts; i++) {
        int result = cmp_part((component)info->parts[i], d, &bound->d);
        if (result != 0) {
            return result;
        }
    }
    return bound->after ? -1 : 1;
}

unsigned ri_order_parts(ri_order order)
{
    return orders[order].part_count;
}

const char *ri_order_name(ri_order order)
{
    return orders[order].name;
}

bool ri_order_find(const char *name, ri_order *out)
{
    static const ri_order users[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        if (strcmp(name, ri_order_name(users[i])) == 0) {
            *out = users[i];
            return true;
        }
    }
    return false;
}

uint64_t ri_datom_hash(ri_order order, const ri_datom *d)
{
    return ri_hash_of_parts(order, d, ri_hash_of_e(d->e), ri_hash_of_v(&d->v));
}
