/* SPDX-License-Identifier: MIT
 *
 * "Did you mean": of the names that are known, the one that was probably meant. All messages ask here, so that all of
 * them guess alike.
 *
 * A known name is near when few letters differ (none of one letter, one of up to four, else two; swapped
 * neighbours count once), when only capitals differ, or when the given name is a part of it up to a '-', '/', '_' or
 * '?': "lower" is near to "lower-case".
 */
#ifndef RI_SUGGEST_H
#define RI_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#define RI_EDIT_DISTANCE_MAX 2U
#define RI_EDIT_LEN_MAX 80U
#define RI_SUGGESTION_SIZE (RI_EDIT_LEN_MAX + 32U)

/* The fewest letters to change, add, leave out or swap with their neighbour; or more than RI_EDIT_DISTANCE_MAX. */
unsigned ri_edit_distance(const char *a, size_t a_len, const char *b, size_t b_len);

typedef struct ri_suggest {
    const char *name; /* that is not known */
    size_t len;
    const char *best; /* NULL: none is near; borrowed from who offered it */
    size_t best_len;
    unsigned distance;
} ri_suggest;

ri_suggest ri_suggest_for(const char *name, size_t len);
/* Takes a known name when it is nearer than the best so far; of equally near ones the first by alphabet. */
void ri_suggest_offer(ri_suggest *suggest, const char *known, size_t len);
/* The same for a name that is near for another reason: as one with that many different letters. */
void ri_suggest_offer_as(ri_suggest *suggest, const char *known, size_t len, unsigned distance);
/* " (did you mean :person/name?)" with the prefix ":", or "". Returns out. */
const char *ri_suggest_show(const ri_suggest *suggest, const char *prefix, char out[RI_SUGGESTION_SIZE]);

#endif
