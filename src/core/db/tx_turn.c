/* SPDX-License-Identifier: MIT
 *
 * Datoms in the place of their items: for transactions that only add to new entities, nothing twice that there is once,
 * and in the order of entities, as bulk loads do.
 *
 *   items     0 1 2 3                   32 bytes each
 *   datoms    .. 0 .. 1 .. 2 .. 3 .. 4  48 bytes each; the last one is the instant
 *
 * The memory of the items is made larger, and they are turned from the last to the first, entity by entity. An entity
 * has at most as many datoms as items, so that
 * (U1) where datoms begin, at or above `put`, lies above the end of the items that are left.
 * Where there were fewer, the datoms move down at the end.
 *
 * Once unique values were looked at, nothing can be wrong with the items, or be missing in storage: so they need not stay
 * as they were.
 *
 * Cost: as of items in order, without a second array.
 */
#include "tx_resolver.h"

#include "../store/task.h"

#define TURNED_MIN 256U /* fewer are not worth it */

bool ri_tx_turns(const tx_resolver *r)
{
    return !r->survey.unsorted && r->survey.plain && r->tx->item_count >= TURNED_MIN && ri_task_running() == NULL;
}

/* Where the bytes of a value lay, and their copy: a text that occurs again is one in Lua, and is copied once. */
typedef struct copied {
    const uint8_t *from;
    const uint8_t *to;
    uint32_t len;
} copied;

#define COPIED_BITS 8U

/* Attributes of one entity, in the order of their items and of their datoms: the next entity mostly has the same. */
#define SHAPE_MAX 64U
typedef struct shape {
    size_t count;
    uint32_t codes[SHAPE_MAX];  /* of the operations by their slots ... */
    uint32_t attrs[SHAPE_MAX];  /* ... their attributes' ids ... */
    uint16_t places[SHAPE_MAX]; /* ... and their places among the items */
} shape;

typedef struct turn {
    tx_resolver *r;
    uint8_t *memory; /* the transaction's items */
    size_t put;      /* datoms lie here and above */
    shape shape;
    copied copies[1U << COPIED_BITS];
} turn;

static uint64_t entity_at(const turn *t, size_t i)
{
    uint64_t e;
    memcpy(&e, t->memory + i * sizeof(tx_op) + offsetof(tx_op, e), sizeof e);
    return ri_tx_entity_id(t->r, e);
}

/* Items [from, to), which are of one entity, to r->ops, and the instant where it goes with them. */
static int take(turn *t, uint64_t e, size_t from, size_t to)
{
    tx_resolver *r = t->r;
    r->op_count = to - from;
    if (!RI_GROW(&r->ops, &r->op_cap, r->op_count + 1)) {
        return ri_fail_nomem(r->err);
    }
    memcpy(r->ops, t->memory + from * sizeof *r->ops, r->op_count * sizeof *r->ops);
    for (size_t i = 0; i < r->op_count; i++) {
        tx_op *op = &r->ops[i];
        op->e = e;
        op->v.as.u = op->v.type == RI_REF ? ri_tx_entity_id(r, op->v.as.u) : op->v.as.u;
    }
    if (e == r->t) {
        r->ops[r->op_count++] = tx_instant_op(r);
        r->instant_made = true;
    }
    return RILLE_OK;
}

static bool copy_value(turn *t, const ri_value *v, ri_value *out)
{
    ri_arena *arena = &t->r->block->memory->arena;
    *out = *v;
    if (ri_type_is_word(v->type)) {
        return true;
    }
    uint32_t place = (uint32_t)((uintptr_t)v->as.p >> 3) * UINT32_C(0x9e3779b9) >> (32 - COPIED_BITS);
    copied *known = &t->copies[place];
    if (known->from != v->as.p || known->len != v->len || v->len == 0) {
        if (!ri_value_copy(arena, v, out)) {
            return false;
        }
        *known = (copied){ v->as.p, out->as.p, v->len };
        return true;
    }
    out->as.p = known->to;
    return true;
}

/* ---- entities of one shape ---- */

static bool has_shape(const shape *s, const tx_op *ops, size_t count)
{
    bool same = s->count == count;
    for (size_t i = 0; i < count && same; i++) {
        same = ops[s->places[i]].code == s->codes[i];
    }
    return same;
}

/* One value of each attribute, and no long ones: nothing to decide. False: it has none. */
static bool learn_shape(shape *s, const ri_tx *tx, const tx_op *ops, size_t count)
{
    s->count = 0;
    if (count > SHAPE_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = i;
        for (; k > 0 && s->codes[k - 1] > ops[i].code; k--) {
            s->codes[k] = s->codes[k - 1];
            s->places[k] = s->places[k - 1];
        }
        s->codes[k] = ops[i].code;
        s->places[k] = (uint16_t)i;
    }
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && s->codes[i - 1] >> TX_SLOT_SHIFT == s->codes[i] >> TX_SLOT_SHIFT;
        if (again || (s->codes[i] & TX_WITH_BLOB) != 0) {
            return false;
        }
        s->attrs[i] = tx_attr(tx, s->codes[i] >> TX_SLOT_SHIFT)->id;
    }
    s->count = count;
    return true;
}

static int turn_shape(turn *t)
{
    tx_resolver *r = t->r;
    const shape *s = &t->shape;
    ri_datom *to = (ri_datom *)(void *)t->memory + t->put;
    for (size_t i = s->count; i-- > 0;) {
        const tx_op *op = &r->ops[s->places[i]];
        *--to = (ri_datom){ .e = op->e, .t = r->t, .a = s->attrs[i], .added = true };
        if (!copy_value(t, &op->v, &to->v)) {
            return ri_fail_nomem(r->err);
        }
    }
    t->put -= s->count;
    return RILLE_OK;
}

/* ---- the others ---- */

static void put_datoms(turn *t, const ri_datom *datoms, size_t count)
{
    t->put -= count;
    memcpy(t->memory + t->put * sizeof *datoms, datoms, count * sizeof *datoms);
}

static int turn_entity(turn *t)
{
    tx_resolver *r = t->r;
    ri_block *block = r->block;
    if (has_shape(&t->shape, r->ops, r->op_count) || learn_shape(&t->shape, r->tx, r->ops, r->op_count)) {
        return turn_shape(t);
    }
    if (r->op_count > r->other_count) {
        r->other = NULL;
        r->other_count = r->op_cap;
    }
    RI_TRY(ri_tx_sort_entity(r, r->ops, r->op_count));
    block->count = 0;
    RI_TRY(ri_tx_make_entity(r, r->ops, r->op_count));
    put_datoms(t, block->datoms, block->count);
    return RILLE_OK;
}

static int turn_items(turn *t)
{
    tx_resolver *r = t->r;
    size_t to = r->tx->item_count;
    if (entity_at(t, to - 1) != r->t) {
        ri_datom d = { .e = r->t, .t = r->t, .v = tx_instant_op(r).v, .a = RI_A_TX_INSTANT, .added = true };
        put_datoms(t, &d, 1);
        r->instant_made = true;
    }
    while (to > 0) {
        uint64_t e = entity_at(t, to - 1);
        size_t from = to - 1;
        while (from > 0 && entity_at(t, from - 1) == e) {
            from--;
        }
        RI_TRY(take(t, e, from, to));
        RI_TRY(turn_entity(t));
        to = from;
        RI_ASSERT(t->put * sizeof(ri_datom) >= to * sizeof(tx_op)); /* U1 */
    }
    return RILLE_OK;
}

/* The block gets what was the items' memory. */
static void give_memory(turn *t, size_t count)
{
    ri_tx *tx = t->r->tx;
    ri_block *block = t->r->block;
    if (t->put > 0) {
        memmove(t->memory, t->memory + t->put * sizeof(ri_datom), (count - t->put) * sizeof(ri_datom));
    }
    ri_free(block->datoms);
    block->datoms = (ri_datom *)(void *)t->memory;
    block->memory->heap_cap = count;
    block->count = count - t->put;
    tx->items = NULL;
    tx->item_count = tx->item_cap = 0;
}

int ri_tx_turn_into_datoms(tx_resolver *r)
{
    ri_tx *tx = r->tx;
    size_t count = tx->item_count + 1;
    size_t size;
    RI_TRY(ri_tx_check_unique(r));
    ri_tx_forget_keys(r);
    r->block = ri_block_new();
    ri_free(tx->item_growth.next);
    tx->item_growth = (ri_growth){ 0 };
    void *memory = r->block != NULL && ri_mul_size(count, sizeof(ri_datom), &size) ? ri_realloc(tx->items, size) : NULL;
    if (memory == NULL) {
        return ri_fail_nomem(r->err);
    }
    tx->items = memory;
    r->block->t = r->t;
    r->block->only_adds = true;
    turn t = { .r = r, .memory = memory, .put = count };
    tx->spent = true;
    RI_TRY(turn_items(&t));
    give_memory(&t, count);
    return RILLE_OK;
}
