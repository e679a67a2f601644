/* SPDX-License-Identifier: MIT
 *
 * What one operation has used of the memory and time it may use.
 *
 * Arenas, buffers and tables that belong to an operation have a pointer to its meter. They count every block in it
 * before they allocate the block, and refuse the block when the limit would be crossed: so the limit binds at each
 * allocation, not at the next look. Work is counted in units of about one byte read or written; after each METER_UNITS
 * of them the meter looks at the clock and at the cancellation.
 *
 * A crossed limit is sticky: from then on every allocation and every unit of work is refused. Code that has no way to
 * report an error may therefore just stop early and return anything: whoever runs the operation asks ri_meter_error at
 * its end, and throws the result away.
 *
 * Threads: one at a time, but `cancelled` may be set from any thread.
 * Cost: a few instructions for each call; a look is two loads and one read of the clock.
 */
#ifndef RI_METER_H
#define RI_METER_H

#include "err.h"
#include "mem.h"

#include <stdatomic.h>

#define RI_METER_UNITS (256U * 1024U) /* work between two looks: well below a millisecond of it */

typedef struct ri_meter {
    size_t bytes; /* held now */
    size_t bytes_peak;
    size_t bytes_max;       /* 0: no limit */
    size_t bytes_spare;     /* held for later, and not counted for the limit */
    uint64_t timeout_at_us; /* 0: none */
    uint64_t timeout_ms;
    size_t units_left; /* until the next look */
    uint64_t done;     /* work so far */
    uint64_t looks;
    atomic_bool cancelled;
    int failed; /* RILLE_LIMIT, RILLE_TIMEOUT, RILLE_CANCELLED; 0: within the limits */
} ri_meter;

/* 0: no limit. The time runs from here on. */
void ri_meter_init(ri_meter *meter, size_t bytes_max, uint64_t timeout_ms);
/* The same, where what was counted is still held. */
void ri_meter_again(ri_meter *meter, size_t bytes_max, uint64_t timeout_ms);

/* Looks now: 0 or the failure. */
int ri_meter_check(ri_meter *meter, rille_err *err);
/* The failure of an earlier look or refusal, with its message; 0: none. The meter may be NULL, here and below. */
int ri_meter_error(const ri_meter *meter, rille_err *err);

/* Counts a block that is about to be allocated. False: it must not be. */
bool ri_meter_take(ri_meter *meter, size_t bytes);
/* Counts a block that is gone. */
static inline void ri_meter_give(ri_meter *meter, size_t bytes)
{
    if (meter != NULL) {
        meter->bytes -= bytes;
    }
}

/* RI_GROW (mem.h), counted: the old items and the new ones are there together for a moment. */
bool ri_meter_grow(ri_meter *meter, void *items_place, size_t *cap, size_t need, size_t item_size);
#define RI_GROW_COUNTED(meter, items, cap, need) ri_meter_grow((meter), (items), (cap), (need), sizeof **(items))

/* Work so far. */
static inline uint64_t ri_meter_done(const ri_meter *meter)
{
    return meter != NULL ? meter->done : 0;
}

bool ri_meter_work_slow(ri_meter *meter, size_t units);
/* Counts work that is about to be done, best in portions below RI_METER_UNITS. False: stop. */
static inline bool ri_meter_work(ri_meter *meter, size_t units)
{
    if (meter == NULL) {
        return true;
    }
    meter->done += units;
    if (units < meter->units_left) {
        meter->units_left -= units;
        return true;
    }
    return ri_meter_work_slow(meter, units);
}
/* The same as a result: 0 or the failure. */
static inline int ri_work(ri_meter *meter, size_t units, rille_err *err)
{
    return ri_meter_work(meter, units) ? 0 : ri_meter_error(meter, err);
}

#endif
