/* SPDX-License-Identifier: MIT
 *
 * Words that are nearly the same.
 *
 * Cost: RI_EDIT_LEN_MAX squared steps a known name at most; only errors pay it.
 */
#include "suggest.h"

#include <stdio.h>
#include <string.h>

/* Of three neighbours in the table, and what the step to here costs. */
static unsigned step(unsigned diagonal, unsigned above, unsigned left, bool same)
{
    unsigned best = diagonal + (same ? 0 : 1);
    best = best < above + 1 ? best : above + 1;
    return best < left + 1 ? best : left + 1;
}

/* Wagner and Fischer, a row at a time; with the row before the last one for swapped neighbours (the "optimal string
 * alignment" of Damerau's distance). */
unsigned ri_edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t difference = a_len > b_len ? a_len - b_len : b_len - a_len;
    if (difference > RI_EDIT_DISTANCE_MAX || a_len > RI_EDIT_LEN_MAX || b_len > RI_EDIT_LEN_MAX) {
        return RI_EDIT_DISTANCE_MAX + 1;
    }
    unsigned rows[3][RI_EDIT_LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3];
        const unsigned *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = step(last[j - 1], last[j], row[j - 1], a[i - 1] == b[j - 1]);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
    }
    return rows[a_len % 3][b_len];
}

ri_suggest ri_suggest_for(const char *name, size_t len)
{
    return (ri_suggest){ name, len, NULL, 0, RI_EDIT_DISTANCE_MAX + 1 };
}

void ri_suggest_offer_as(ri_suggest *suggest, const char *known, size_t len, unsigned distance)
{
    bool better = distance < suggest->distance;
    if (distance == suggest->distance && suggest->best != NULL) {
        size_t shared = len < suggest->best_len ? len : suggest->best_len;
        int order = memcmp(known, suggest->best, shared);
        better = order < 0 || (order == 0 && len < suggest->best_len);
    }
    if (better && distance <= RI_EDIT_DISTANCE_MAX && len <= RI_EDIT_LEN_MAX) {
        suggest->best = known;
        suggest->best_len = len;
        suggest->distance = distance;
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_but_capitals(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* "lower" of "lower-case" */
static bool is_first_part(const ri_suggest *suggest, const char *known, size_t len)
{
    return suggest->len >= 3 && len > suggest->len && memcmp(known, suggest->name, suggest->len) == 0 &&
           memchr("-/_?", known[suggest->len], 4) != NULL;
}

void ri_suggest_offer(ri_suggest *suggest, const char *known, size_t len)
{
    unsigned distance = ri_edit_distance(suggest->name, suggest->len, known, len);
    unsigned allowed = suggest->len < 2 ? 0 : suggest->len < 5 ? 1 : RI_EDIT_DISTANCE_MAX;
    if (distance <= allowed) {
        ri_suggest_offer_as(suggest, known, len, distance);
    } else if (suggest->len == len && same_but_capitals(suggest->name, known, len)) {
        ri_suggest_offer_as(suggest, known, len, 1);
    } else if (is_first_part(suggest, known, len)) {
        ri_suggest_offer_as(suggest, known, len, RI_EDIT_DISTANCE_MAX);
    }
}

const char *ri_suggest_show(const ri_suggest *suggest, const char *prefix, char out[RI_SUGGESTION_SIZE])
{
    out[0] = '\0';
    if (suggest->best != NULL) {
        (void)snprintf(out, RI_SUGGESTION_SIZE, " (did you mean %.8s%.*s?)", prefix, (int)suggest->best_len,
                       suggest->best);
    }
    return out;
}
