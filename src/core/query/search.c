/* SPDX-License-Identifier: MIT */
#include "search.h"

#include <string.h>

#define SHORT_MAX 16U  /* bytes of a needle that is compared as a whole at each place */
#define PORTION 65536U /* steps between two words with the meter */

/* The start of the largest suffix, by the order of bytes or its reverse, and its period: figure 17 of the paper. */
static bool largest_suffix(const uint8_t *p, size_t len, bool reverse, size_t *start, size_t *period, ri_meter *meter)
{
    size_t best = SIZE_MAX; /* one before the suffix */
    size_t at = 0;
    size_t offset = 1;
    *period = 1;
    for (size_t steps = 0; at + offset < len; steps++) {
        if (steps % PORTION == 0 && !ri_meter_work(meter, len < PORTION ? len : PORTION)) {
            return false;
        }
        uint8_t a = p[at + offset];
        uint8_t b = p[best + offset]; /* SIZE_MAX + offset is offset - 1 */
        if (a == b) {
            at += offset == *period ? *period : 0;
            offset = offset == *period ? 1 : offset + 1;
        } else if (reverse ? a > b : a < b) {
            at += offset;
            offset = 1;
            *period = at - best;
        } else {
            best = at++;
            offset = 1;
            *period = 1;
        }
    }
    *start = best + 1;
    return true;
}

bool ri_needle_init(ri_needle *needle, const uint8_t *p, size_t len, ri_meter *meter)
{
    *needle = (ri_needle){ .p = p, .len = len };
    if (len <= SHORT_MAX) {
        return true;
    }
    size_t start[2];
    size_t period[2];
    if (!largest_suffix(p, len, false, &start[0], &period[0], meter) ||
        !largest_suffix(p, len, true, &start[1], &period[1], meter)) {
        return false;
    }
    unsigned later = start[1] > start[0] ? 1 : 0;
    size_t cut = start[later];
    needle->cut = cut;
    needle->period = period[later];
    needle->is_periodic = cut <= len - needle->period && memcmp(p, p + needle->period, cut) == 0;
    if (!needle->is_periodic) {
        needle->period = (cut > len - cut ? cut : len - cut) + 1;
    }
    return true;
}

static const uint8_t *find_short(const ri_needle *needle, const uint8_t *p, const uint8_t *end, ri_meter *meter)
{
    while ((size_t)(end - p) >= needle->len) {
        size_t places = (size_t)(end - p) - needle->len + 1;
        places = places < PORTION ? places : PORTION;
        if (!ri_meter_work(meter, places)) {
            return NULL;
        }
        const uint8_t *stop = p + places;
        while (p < stop && (p = memchr(p, needle->p[0], (size_t)(stop - p))) != NULL) {
            if (memcmp(p, needle->p, needle->len) == 0) {
                return p;
            }
            p++;
        }
        p = stop;
    }
    return NULL;
}

/* One place of the text: how far to move on from there; 0: the needle is there. *known: how much of the needle's start
 * is known to match. */
static size_t try_place(const ri_needle *needle, const uint8_t *p, size_t *known)
{
    size_t cut = needle->cut;
    size_t i = cut > *known ? cut : *known;
    while (i < needle->len && needle->p[i] == p[i]) {
        i++;
    }
    if (i < needle->len) {
        *known = 0;
        return i - cut + 1;
    }
    i = cut;
    while (i > *known && needle->p[i - 1] == p[i - 1]) {
        i--;
    }
    if (i <= *known) {
        return 0;
    }
    *known = needle->is_periodic ? needle->len - needle->period : 0;
    return needle->period;
}

static const uint8_t *find_long(const ri_needle *needle, const uint8_t *p, const uint8_t *end, ri_meter *meter)
{
    size_t known = 0;
    uint8_t first = needle->p[needle->cut];
    while ((size_t)(end - p) >= needle->len) {
        size_t left = (size_t)(end - p) - needle->len;
        if (known == 0) { /* the next place where the byte at the cut is right */
            size_t ahead = left < PORTION ? left : PORTION;
            const uint8_t *at = memchr(p + needle->cut, first, ahead + 1);
            size_t skipped = at == NULL ? ahead + 1 : (size_t)(at - p) - needle->cut;
            if (!ri_meter_work(meter, skipped + 1)) {
                return NULL;
            }
            p += skipped;
            if (at == NULL) {
                continue;
            }
        }
        size_t move = try_place(needle, p, &known);
        if (move == 0) {
            return p;
        }
        if (!ri_meter_work(meter, move)) {
            return NULL;
        }
        p = move <= (size_t)(end - p) ? p + move : end;
    }
    return NULL;
}

const uint8_t *ri_needle_find(const ri_needle *needle, const uint8_t *p, const uint8_t *end, ri_meter *meter)
{
    if (needle->len == 0) {
        return p;
    }
    if (needle->len > SHORT_MAX && needle->period == 0) {
        return NULL; /* the meter stopped ri_needle_init */
    }
    return needle->len <= SHORT_MAX ? find_short(needle, p, end, meter) : find_long(needle, p, end, meter);
}
