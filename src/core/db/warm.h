/* SPDX-License-Identifier: MIT
 *
 * Warming: reads the nodes of ranges of a database into the cache, level by level, many at once, within a budget.
 *
 * The nodes of a level are known when those above them were read, so a range takes as many rounds as its trees have
 * levels, and one more for each RI_IO_WANTS_MAX nodes. What is known of a node before it is read is the length that it
 * has in storage: one that does not fit into what is left of the budget is not read, and the run is not complete. A row
 * backend does not say the length; there the budget may be passed by the nodes of one round.
 */
#ifndef RI_WARM_H
#define RI_WARM_H

#include "db.h"

typedef struct ri_warm_report {
    uint64_t nodes;        /* that were read: those in the cache before are not among them */
    uint64_t bytes;        /* of these, in storage */
    uint64_t cached_nodes; /* that were there already */
    bool complete;         /* all of the ranges is in the cache */
} ri_warm_report;

typedef struct ri_warm ri_warm;
/* Limits 0: none but the cache's own: three quarters of it. */
int ri_warm_new(rille_db *db, uint64_t nodes_max, uint64_t bytes_max, ri_warm **out, rille_err *err);
void ri_warm_release(ri_warm *warm);
/* One more range, before the first step. Bytes of values are borrowed until the release. */
int ri_warm_add(ri_warm *warm, ri_order order, const ri_bound *from, const ri_bound *to, rille_err *err);
/* RILLE_AGAIN after each round; RILLE_NEED; 0: done. */
int ri_warm_step(ri_warm *warm, rille_err *err);
/* Reads what a step needed, where no task does: blocks. */
int ri_warm_fetch(ri_warm *warm, rille_err *err);
const ri_warm_report *ri_warm_report_of(const ri_warm *warm);

#endif
