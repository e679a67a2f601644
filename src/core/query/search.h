/* SPDX-License-Identifier: MIT
 *
 * Finding a text within a text, in linear time whatever the two are.
 *
 * Short needles are looked for by their first byte and compared; as they are short, that is linear too. The others by
 * the two-way algorithm (M. Crochemore, D. Perrin, Two-way string-matching, Journal of the ACM 38(3), 1991, 651-675):
 * the needle is cut at a critical position, so that a mismatch right of it allows to move on by as much as matched, and
 * one left of it by the period.
 *
 *     needle   l l l l | r r r r r r         right part first, from the cut on; then the left part
 *                      cut
 *
 * Cost: at most 2 n comparisons for a text of n bytes, and about 5 m for a needle of m bytes; no memory.
 */
#ifndef RI_SEARCH_H
#define RI_SEARCH_H

#include "../base/meter.h"

typedef struct ri_needle {
    const uint8_t *p;
    size_t len;
    size_t cut;       /* the critical position; only for long needles */
    size_t period;    /* how far a mismatch left of the cut moves */
    bool is_periodic; /* the period is that of the whole needle: what was matched of it is remembered */
} ri_needle;

/* The bytes are borrowed. False: the meter, which may be NULL, refuses the work; then the needle finds nothing. */
bool ri_needle_init(ri_needle *needle, const uint8_t *p, size_t len, ri_meter *meter);
/* Where the needle begins first in [p, end), or NULL: it is not there, or the meter refuses the work. An empty needle
 * is everywhere. */
const uint8_t *ri_needle_find(const ri_needle *needle, const uint8_t *p, const uint8_t *end, ri_meter *meter);

#endif
