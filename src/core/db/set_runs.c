/* SPDX-License-Identifier: MIT
 *
 * Sorting keys a portion at a time: portions by set_sort.c, then these as runs, two and two. A key has the first bits of
 * its datom's place, so few datoms are looked at. Runs that follow each other are copied.
 *
 * Cost: 100 to 200 instructions a datom. A step does about a portion.
 */
#include "set.h"

#include <string.h>

#define RUN RI_SET_RUN
#define FEW 16U /* keys of one run in a row are moved at once, then twice as many each time */

static size_t run_end(const ri_set_runs *sort, size_t start)
{
    return sort->count - start < sort->width ? sort->count : start + sort->width;
}

/* The two runs from `start` on. */
static void begin_pair(ri_set_runs *sort, size_t start)
{
    sort->start = sort->left = start;
    sort->right = run_end(sort, start);
}

static bool is_before(ri_order order, const ri_set_key *a, const ri_set_key *b)
{
    return a->prefix != b->prefix ? a->prefix < b->prefix
                                  : ri_datom_cmp(order, ri_item_datom(a->item), ri_item_datom(b->item)) < 0;
}

/* Moves keys of the two runs at hand, `moves` at most: the smaller first one, of equal ones the left one. Gives how many
 * it moved. */
static size_t merge_pair(ri_set_runs *sort, ri_order order, size_t moves)
{
    const ri_set_key *from = sort->from;
    size_t middle = run_end(sort, sort->start);
    size_t end = run_end(sort, middle);
    size_t left = sort->left;
    size_t right = sort->right;
    size_t at = left + right - middle;
    size_t stop = end - at < moves ? end : at + moves;
    size_t begun = at;
    bool apart = left < middle && right < end && !is_before(order, &from[right], &from[middle - 1]);
    size_t many = FEW;
    while (!apart && at < stop && left < middle && right < end) {
        size_t few = stop - at < many ? stop - at : many;
        many = 2 * few;
        if (middle - left >= few && !is_before(order, &from[right], &from[left + few - 1])) {
            memcpy(sort->to + at, from + left, few * sizeof *from);
            at += few;
            left += few;
        } else if (end - right >= few && is_before(order, &from[right + few - 1], &from[left])) {
            memcpy(sort->to + at, from + right, few * sizeof *from);
            at += few;
            right += few;
        } else {
            many = FEW;
            for (size_t i = 0; i < FEW && at < stop && left < middle && right < end; i++) {
                sort->to[at++] = is_before(order, &from[right], &from[left]) ? from[right++] : from[left++];
            }
        }
    }
    if (left < middle && (apart || right == end)) { /* what is left of a run follows as it is */
        size_t count = middle - left < stop - at ? middle - left : stop - at;
        memcpy(sort->to + at, from + left, count * sizeof *from);
        left += count;
        at += count;
    }
    if (left == middle && right < end) {
        size_t count = end - right < stop - at ? end - right : stop - at;
        memcpy(sort->to + at, from + right, count * sizeof *from);
        right += count;
        at += count;
    }
    sort->left = left;
    sort->right = right;
    return at - begun;
}

/* To the next two runs, or to runs of twice the width. */
static void end_pair(ri_set_runs *sort)
{
    size_t end = run_end(sort, run_end(sort, sort->start));
    if (end < sort->count) {
        begin_pair(sort, end);
        return;
    }
    ri_set_key *to = sort->to;
    sort->to = sort->from;
    sort->from = to;
    sort->width *= 2;
    begin_pair(sort, 0);
}

static void merge_runs(ri_set_runs *sort, ri_order order, size_t moves)
{
    while (moves > 0 && sort->width < sort->count) {
        moves -= merge_pair(sort, order, moves);
        if (sort->left + sort->right == run_end(sort, sort->start) + run_end(sort, run_end(sort, sort->start))) {
            end_pair(sort);
        }
    }
}

bool ri_set_runs_sort(ri_set_runs *sort, ri_order order, size_t moves)
{
    if (sort->sorted < sort->count) {
        size_t count = sort->count - sort->sorted < RUN ? sort->count - sort->sorted : RUN;
        (void)ri_set_sort(order, sort->from + sort->sorted, sort->to, count);
        sort->sorted += count;
        sort->width = RUN;
        begin_pair(sort, 0);
    } else {
        merge_runs(sort, order, moves);
    }
    return sort->sorted < sort->count || sort->width < sort->count;
}
