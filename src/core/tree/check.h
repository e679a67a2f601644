/* SPDX-License-Identifier: MIT
 *
 * Verifying a whole tree, in steps (check.c).
 */
#ifndef RI_CHECK_H
#define RI_CHECK_H

#include "chunk.h"

/* Shows rows [*next, count) in order, borrowed as long as the check is at their leaf, and moves *next behind those that
 * are done; after RILLE_NEED the others are shown again. */
typedef int ri_check_visit(void *context, const ri_datom *rows, uint32_t count, uint32_t *next, rille_err *err);

/* What else a check does. All zero: nothing. What it points to outlives the check. */
typedef struct ri_check_options {
    const ri_limits *limits; /* NULL: the standard ones */
    ri_node_set *seen;       /* the nodes that were checked are noted there */
    bool only_unseen; /* of an older state of such a tree: what is not in `seen`, without its place and encoding */
    ri_check_visit *visit;
    void *context;
} ri_check_options;

/* Adds to the report, which outlives it. One thread at a time. */
typedef struct ri_check ri_check;
int ri_check_new(ri_store *store, const ri_tree *tree, const ri_check_options *options, ri_check_report *report,
                 ri_check **out, rille_err *err);
void ri_check_release(ri_check *check);
/* Goes on to the end: 0. In a task it may lack something (RILLE_NEED): call again, it keeps its place. */
int ri_check_run(ri_check *check, ri_io *io, rille_err *err);

#endif
