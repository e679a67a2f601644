/* SPDX-License-Identifier: MIT */
#include "meter.h"

#include "sync.h"

void ri_meter_init(ri_meter *meter, size_t bytes_max, uint64_t timeout_ms)
{
    meter->bytes = 0;
    meter->bytes_peak = 0;
    meter->bytes_max = bytes_max;
    meter->bytes_spare = 0;
    meter->timeout_at_us = timeout_ms != 0 ? ri_clock_us() + timeout_ms * 1000U : 0;
    meter->timeout_ms = timeout_ms;
    meter->units_left = RI_METER_UNITS;
    meter->done = 0;
    meter->looks = 0;
    atomic_init(&meter->cancelled, false);
    meter->failed = 0;
}

void ri_meter_again(ri_meter *meter, size_t bytes_max, uint64_t timeout_ms)
{
    size_t bytes = meter->bytes;
    ri_meter_init(meter, bytes_max, timeout_ms);
    meter->bytes = bytes;
    meter->bytes_peak = bytes;
}

static void look(ri_meter *meter)
{
    meter->looks++;
    if (meter->failed != 0) {
        return;
    }
    if (atomic_load_explicit(&meter->cancelled, memory_order_relaxed)) {
        meter->failed = RILLE_CANCELLED;
    } else if (meter->timeout_at_us != 0 && ri_clock_us() > meter->timeout_at_us) {
        meter->failed = RILLE_TIMEOUT;
    }
    meter->units_left = meter->failed != 0 ? 0 : RI_METER_UNITS; /* 0: every unit of work is refused */
}

int ri_meter_error(const ri_meter *meter, rille_err *err)
{
    switch (meter == NULL ? 0 : meter->failed) {
    case 0:
        return 0;
    case RILLE_CANCELLED:
        return ri_fail(err, RILLE_CANCELLED, "the query was cancelled");
    case RILLE_TIMEOUT:
        return ri_fail(
            err, RILLE_TIMEOUT,
            "the query ran longer than its time limit of %llu ms: allow more time, or make the query more selective",
            (unsigned long long)meter->timeout_ms);
    default:
        return ri_fail(err, RILLE_LIMIT,
                       "the query needs more memory than its limit of %zu bytes: allow more memory, or make the query "
                       "more selective",
                       meter->bytes_max);
    }
}

int ri_meter_check(ri_meter *meter, rille_err *err)
{
    look(meter);
    return ri_meter_error(meter, err);
}

bool ri_meter_take(ri_meter *meter, size_t bytes)
{
    if (meter == NULL) {
        return true;
    }
    size_t max = meter->bytes_max + meter->bytes_spare;
    if (meter->failed == 0 && meter->bytes_max != 0 && (meter->bytes > max || bytes > max - meter->bytes)) {
        meter->failed = RILLE_LIMIT;
        meter->units_left = 0;
    }
    if (meter->failed != 0) {
        return false;
    }
    meter->bytes += bytes;
    meter->bytes_peak = meter->bytes > meter->bytes_peak ? meter->bytes : meter->bytes_peak;
    return true;
}

bool ri_meter_work_slow(ri_meter *meter, size_t units)
{
    (void)units;
    look(meter);
    return meter->failed == 0;
}

bool ri_meter_grow(ri_meter *meter, void *items_place, size_t *cap, size_t need, size_t item_size)
{
    size_t old = *cap;
    size_t grown = ri_grow_cap(old, need);
    size_t bytes;
    if (need <= old) {
        return true;
    }
    if (!ri_mul_size(grown, item_size, &bytes) || !ri_meter_take(meter, bytes)) {
        return false;
    }
    bool ok = ri_grow(items_place, cap, need, item_size);
    ri_meter_give(meter, ok ? old * item_size : bytes);
    return ok;
}
