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
    ri_sorted by_attr;     /* the extra block's datoms in the order of AEVT, for AVET; or nothing */
    ri_block **blocks;     /* oldest first, the extra one last ... */
    ri_block **block_room; /* ... at the end of this */
    ri_block *unlisted;    /* the newest one that is not among them yet */
    size_t block_count;
    size_t datom_count;  /* of all blocks, as is the next */
    size_t parent_count; /* of merges, besides the first ones */
    ri_arena arena;
    ri_io io;
    uint64_t steps;
    unsigned job;
    /* of the job, and what one leaves to the next */
    size_t at;  /* block, or event */
    size_t row; /* of the block */
    size_t parent;
    ri_change *changes;
    size_t change_count;
    size_t changes_cap;
    ri_datom *made; /* datoms that no block has */
    size_t made_count;
    void *meta_rows; /* likewise */
    ri_map64 retracted;
    size_t retractions;
    unsigned read_orders; /* ri_novelty_read_orders */
    bool joins_extra;     /* the extra block's datoms are sorted apart from the others */
    bool has_refs;        /* the others may have some */
    bool by_set;          /* the novelty's items come from its set ... */
    bool has_items;       /* they are being taken */
    ri_set_cursor items;
    ri_set_runs sort; /* ... or are sorted here; its arrays have room for sort.cap each, or are NULL */
    uint8_t *run_of;  /* likewise */
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
/* Rows of one block. */
typedef struct ri_flush_rows {
    ri_block *block;
    size_t from;
    size_t to;
} ri_flush_rows;
/* The next rows, of one of the first `block_count` blocks, *left at most, which it lowers. False: there are none, or *left
 * is 0. */
bool ri_flush_next_rows(ri_flush *f, size_t block_count, size_t *left, ri_flush_rows *out);
/* Blocks from f->at on with about a portion of datoms, at least one: the index behind them. */
size_t ri_flush_portion(const ri_flush *f);
/* Forgets what a job left to the next. The arrays of changes and keys serve the next orders. */
void ri_flush_clear(ri_flush *f);
/* Room for so many changes; for so many keys, none of which is there yet. False: no memory. */
bool ri_flush_reserve(ri_flush *f, size_t change_count);
bool ri_flush_begin_sort(ri_flush *f, size_t key_count);
/* A datom to be sorted. */
ri_set_key ri_flush_key(ri_order order, const ri_datom *d);
void ri_flush_end_sort(ri_flush *f);
/* Of keys and changes. */
void ri_flush_free_arrays(ri_flush *f);
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
