/* SPDX-License-Identifier: MIT
 *
 * Inside a commit; for commit.c and plan.c.
 */
#ifndef RI_COMMIT_OWN_H
#define RI_COMMIT_OWN_H

#include "bundle.h"

#include "../store/task.h"
#include "flush.h"
#include "segment.h"

struct ri_commit {
    ri_plan plan;
    ri_seen from;
    ri_report report;
    bool resolved;
    ri_bundle *bundle; /* that it has joined, then ... */
    rille_conn *conn;  /* ... of this, a reference */
    bool is_guess;     /* what it was resolved on */
    /* while the plan is made */
    bool has_from;
    unsigned stage;
    size_t blobs_put;
    ri_buf frame;
    ri_block_writer frame_writer;
    ri_block **blocks; /* of the segment */
    size_t block_count;
    ri_buf segment;
    ri_segment_writer segment_writer;
    uint8_t segment_addr[RI_HASH_SIZE];
    ri_flush *flush;
};

/* Makes c->plan, of c->from and c->report.tx. RILLE_NEED: call again, unless the head has changed. The writer's lock is
 * held. */
int ri_commit_plan(rille_conn *conn, ri_commit *c, rille_err *err);
/* Drops what was made of a plan. */
void ri_commit_drop_plan(ri_commit *c);
void ri_commit_free_plan(ri_commit *c); /* the same of one that goes */

#endif
