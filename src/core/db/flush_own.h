/* SPDX-License-Identifier: MIT
 *
 * Inside a flush; for flush.c and flush_history.c.
 */
#ifndef RI_FLUSH_OWN_H
#define RI_FLUSH_OWN_H

#include "flush.h"
#include "sort.h"

#define RI_FLUSH_PORTION RI_SET_RUN /* datoms of a step */

struct ri_flush {
    rille_db *db;    /* retained */
    ri_block *extra; /* borrowed, as is the next */
    const ri_schema *schema;
    ri_writer *writer;
    ri_base *base;
    ri_attr_counts extra_counts;
    ri_block **blocks; /* oldest first, the extra one last */
    size_t block_count;
    size_t datom_count; /* of all blocks */
    ri_arena arena;
    ri_io io;
    uint64_t steps;
    unsigned job;
    /* of the job, and what one leaves to the next */
    size_t at; /* block, or event */
    ri_change *changes;
    size_t change_count;
    ri_datom *made; /* datoms that no block has */
    size_t made_count;
    ri_map64 retracted;
    size_t retractions;
    unsigned read_orders; /* ri_novelty_read_orders */
    bool by_set;          /* the novelty's items come from its set ... */
    ri_set_cursor items;
    ri_set_runs sort; /* ... or are sorted here */
    ri_merge *merge;
    ri_kept_cursor kept;
    bool gathers;
    ri_blob *attempts; /* of the old base */
};

/* The blocks, and their datoms, lie anywhere in memory: those that follow the one at `at` are asked for ahead. */
static inline void ri_flush_prefetch(const ri_flush *f, size_t at)
{
    enum { AHEAD = 8 };
    if (at + 2 * AHEAD < f->block_count) {
        RI_PREFETCH(f->blocks[at + 2 * AHEAD]);
        RI_PREFETCH(&f->blocks[at + 2 * AHEAD]->count);
        RI_PREFETCH(f->blocks[at + AHEAD]->datoms);
    }
}
/* Blocks from f->at on with about a portion of datoms, at least one: the index behind them. */
size_t ri_flush_portion(const ri_flush *f);
/* Frees what a job left to the next. */
void ri_flush_clear(ri_flush *f);
/* A datom to be sorted. */
ri_set_key ri_flush_key(ri_order order, const ri_datom *d);
void ri_flush_end_sort(ri_flush *f);
/* Jobs: RILLE_AGAIN until they are done. */
/* Sorts f->sort.from; equal keys stay as they lie. */
int ri_flush_sort(ri_flush *f, ri_order order, rille_err *err);
/* Sorted keys become changes: of several that are equal but for their time, one. */
int ri_flush_take_sorted(ri_flush *f, ri_order order, rille_err *err);
int ri_flush_log(ri_flush *f, ri_order order, rille_err *err);
int ri_flush_collect_events(ri_flush *f, ri_order order, rille_err *err);
int ri_flush_make_retired(ri_flush *f, ri_order order, rille_err *err);
int ri_flush_meta(ri_flush *f, ri_order order, rille_err *err);

#endif
