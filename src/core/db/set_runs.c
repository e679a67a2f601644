/* SPDX-License-Identifier: MIT
 *
 * Sorting keys a portion at a time: portions by set_sort.c, then these as runs, two and two. A key has the first bits of
 * its datom's place, so few datoms are looked at. Runs that follow each other are copied.
 *
 * Keys of many small transactions are a few rising sequences, each through the others. Where there is room to note which
 * one a key belongs to, all are dealt to such runs first, of any length; if there are too many, they are sorted in portions.
 *
 * Cost: 100 to 200 instructions a datom, 40 where they are a few runs. A step does about a portion.
 */
#include "set.h"

#include <string.h>

#define RUN RI_SET_RUN
#define FEW 16U /* keys of one run in a row are moved at once, then twice as many each time */

static size_t run_end(const ri_set_runs *sort, size_t start)
{
    if (sort->run_count > 0) {
        unsigned run = 0;
        while (run < sort->run_count && sort->ends[run] <= start) {
            run++;
        }
        return run < sort->run_count ? sort->ends[run] : sort->count;
    }
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
    for (unsigned run = 1; run < sort->run_count; run += 2) {
        sort->ends[run / 2] = sort->ends[run];
    }
    if (sort->run_count > 0) {
        sort->run_count = (sort->run_count + 1) / 2;
        sort->ends[sort->run_count - 1] = sort->count;
    }
    begin_pair(sort, 0);
}

static bool is_merged(const ri_set_runs *sort)
{
    return sort->run_count > 0 ? sort->run_count == 1 : sort->width >= sort->count;
}

static void merge_runs(ri_set_runs *sort, ri_order order, size_t moves)
{
    while (moves > 0 && !is_merged(sort)) {
        moves -= merge_pair(sort, order, moves);
        if (sort->left + sort->right == run_end(sort, sort->start) + run_end(sort, run_end(sort, sort->start))) {
            end_pair(sort);
        }
    }
}

/* ---- dealing ---- */

/* A key goes to the first run whose last key is not above it: of equal keys none comes to an earlier run than the one
 * before it. False: there are too many runs. */
static bool deal(ri_set_runs *sort, ri_order order, const ri_set_key *key)
{
    unsigned run = 0;
    while (run < sort->run_count && is_before(order, key, &sort->last[run])) {
        run++;
    }
    if (run == RI_SET_DEALT) {
        return false;
    }
    if (run == sort->run_count) {
        sort->ends[sort->run_count++] = 0; /* its length, as yet */
    }
    sort->ends[run]++;
    sort->last[run] = *key;
    sort->run_of[sort->dealt++] = (uint8_t)run;
    return true;
}

/* The places of the runs, one behind the other; spreading moves them to their ends. */
static void place_runs(ri_set_runs *sort)
{
    size_t at = 0;
    for (unsigned run = 0; run < sort->run_count; run++) {
        size_t len = sort->ends[run];
        sort->ends[run] = at;
        at += len;
    }
}

static void deal_some(ri_set_runs *sort, ri_order order)
{
    size_t end = sort->count - sort->dealt < RUN ? sort->count : sort->dealt + RUN;
    while (sort->dealt < end) {
        if (!deal(sort, order, &sort->from[sort->dealt])) {
            sort->run_of = NULL;
            sort->run_count = 0;
            return;
        }
    }
    if (end < sort->count) {
        return;
    }
    if (sort->run_count == 1) {
        sort->spread = sort->sorted = sort->count;
    } else {
        place_runs(sort);
    }
}

static void spread_some(ri_set_runs *sort)
{
    size_t end = sort->count - sort->spread < RUN ? sort->count : sort->spread + RUN;
    for (; sort->spread < end; sort->spread++) {
        sort->to[sort->ends[sort->run_of[sort->spread]]++] = sort->from[sort->spread];
    }
    if (end == sort->count) {
        ri_set_key *to = sort->to;
        sort->to = sort->from;
        sort->from = to;
        sort->sorted = sort->count;
        begin_pair(sort, 0);
    }
}

bool ri_set_runs_sort(ri_set_runs *sort, ri_order order, size_t moves)
{
    if (sort->count <= RUN) {
        sort->run_of = NULL; /* a portion is dealt to runs as such */
    }
    if (sort->run_of != NULL && sort->dealt < sort->count) {
        deal_some(sort, order);
    } else if (sort->run_of != NULL && sort->spread < sort->count) {
        spread_some(sort);
    } else if (sort->sorted < sort->count) {
        size_t count = sort->count - sort->sorted < RUN ? sort->count - sort->sorted : RUN;
        (void)ri_set_sort(order, sort->from + sort->sorted, sort->to, count);
        sort->sorted += count;
        sort->width = RUN;
        begin_pair(sort, 0);
    } else {
        merge_runs(sort, order, moves);
    }
    return sort->sorted < sort->count || !is_merged(sort);
}
