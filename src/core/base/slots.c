/* SPDX-License-Identifier: MIT */
#include "slots.h"

#include <string.h>

#define CAP_FIRST 128U
#define CAP_SLICED 4096U  /* smaller tables grow at once */
#define SLICE_A_KEY 16U   /* slots cleared or moved for each key that there is to be room for: 12 would do */
#define SLOT_UNITS 2U     /* of work for one of them */
#define SLOTS_A_PART 512U /* cleared at once */

void ri_slots_deinit(ri_slots *slots, ri_meter *meter)
{
    ri_meter_give(meter, ri_slots_bytes(slots));
    ri_free_sized(slots->slots, slots->cap * sizeof *slots->slots);
    ri_free_sized(slots->next, 2 * slots->cap * sizeof *slots->next);
    *slots = (ri_slots){ 0 };
}

void ri_slots_clear(ri_slots *slots, ri_meter *meter)
{
    if (slots->cap > CAP_SLICED) {
        ri_slots_deinit(slots, meter); /* cheaper than to clear it */
    } else if (slots->cap > 0) {
        memset(slots->slots, 0, slots->cap * sizeof *slots->slots);
        slots->count = 0;
    }
}

size_t ri_slots_bytes(const ri_slots *slots)
{
    return (slots->cap + (slots->next != NULL ? 2 * slots->cap : 0)) * sizeof *slots->slots;
}

static void put(ri_slot *slots, size_t cap, ri_slot slot)
{
    size_t at = ri_slots_first(cap, slot.tag);
    while (slots[at].row != 0) {
        at = ri_slots_after(cap, at);
    }
    slots[at] = slot;
}

/* ---- growing ---- */

static ri_slot *make(ri_meter *meter, size_t cap)
{
    ri_slot *made = ri_meter_take(meter, cap * sizeof *made) ? ri_alloc_array(cap, sizeof *made) : NULL;
    if (made == NULL && ri_meter_error(meter, NULL) == 0) {
        ri_meter_give(meter, cap * sizeof *made);
    }
    return made;
}

/* Clears and fills some of `next`; it takes the place of the old one when it has all. */
static void grow_some(ri_slots *slots, ri_meter *meter, size_t some)
{
    size_t cap = 2 * slots->cap;
    (void)ri_meter_work(meter, some < 3 * slots->cap ? some * SLOT_UNITS : 3 * slots->cap * SLOT_UNITS);
    for (; slots->cleared < cap && some > 0;) {
        size_t n = cap - slots->cleared < SLOTS_A_PART ? cap - slots->cleared : SLOTS_A_PART;
        n = n < some ? n : some;
        memset(slots->next + slots->cleared, 0, n * sizeof *slots->next);
        slots->cleared += n;
        some -= n;
    }
    for (; slots->cleared == cap && slots->moved < slots->cap && some > 0; some--) {
        ri_slot slot = slots->slots[slots->moved++];
        if (slot.row != 0) {
            put(slots->next, cap, slot);
        }
    }
    if (slots->cleared == cap && slots->moved == slots->cap) {
        ri_free_sized(slots->slots, slots->cap * sizeof *slots->slots);
        ri_meter_give(meter, slots->cap * sizeof *slots->slots);
        slots->slots = slots->next;
        slots->cap = cap;
        slots->next = NULL;
    }
}

bool ri_slots_reserve(ri_slots *slots, ri_meter *meter, uint32_t more)
{
    if (slots->cap == 0) {
        slots->slots = make(meter, CAP_FIRST);
        if (slots->slots == NULL) {
            return false;
        }
        memset(slots->slots, 0, CAP_FIRST * sizeof *slots->slots);
        slots->cap = CAP_FIRST;
    }
    while (slots->count + more > slots->cap / 2) {
        if (slots->next == NULL) {
            slots->next = make(meter, 2 * slots->cap);
            if (slots->next == NULL) {
                return false;
            }
            slots->cleared = 0;
            slots->moved = 0;
        }
        bool at_once = slots->cap < CAP_SLICED || slots->count + more > slots->cap / 4 * 3;
        grow_some(slots, meter, at_once ? SIZE_MAX : (size_t)more * SLICE_A_KEY);
        if (slots->next != NULL) {
            break;
        }
    }
    return true;
}

/* ---- places ---- */

void ri_slots_add(ri_slots *slots, size_t at, uint32_t tag, uint32_t row)
{
    slots->slots[at] = (ri_slot){ tag, row + 1 };
    slots->count++;
    if (slots->next != NULL && at < slots->moved) { /* (H2) */
        put(slots->next, 2 * slots->cap, slots->slots[at]);
    }
}

void ri_slots_replace(ri_slots *slots, size_t at, uint32_t row)
{
    ri_slot old = slots->slots[at];
    slots->slots[at].row = row + 1;
    if (slots->next != NULL && at < slots->moved) {
        size_t there = ri_slots_first(2 * slots->cap, old.tag);
        while (slots->next[there].row != old.row) {
            there = ri_slots_after(2 * slots->cap, there);
        }
        slots->next[there].row = row + 1;
    }
}
