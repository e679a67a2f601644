/* SPDX-License-Identifier: MIT
 *
 * Verification in a task that pauses.
 */
#ifndef RILLE_TEST_VERIFY_STEPS_H
#define RILLE_TEST_VERIFY_STEPS_H

#include "harness.h"

#include "../src/core/db/conn.h"
#include "../src/core/store/task.h"

typedef struct verify_steps {
    uint32_t at; /* the only unit behind which it pauses; UINT32_MAX: each */
    uint32_t units;
    uint32_t pauses;
    uint32_t fetches;
    uint64_t work_max;
    bool leaves;    /* at its first pause */
    uint32_t waits; /* the only read that has to wait, from 1 on; 0: none */
    uint32_t reads;
    ri_verify_report report;
} verify_steps;

static inline bool verify_interrupt(void *context)
{
    verify_steps *s = context;
    bool pause = s->at == UINT32_MAX || s->units == s->at;
    s->units++;
    s->pauses += pause;
    return pause;
}

static inline bool verify_wait(void *context)
{
    verify_steps *s = context;
    return ++s->reads == s->waits;
}

/* Its outcome; RILLE_AGAIN when it was left. */
static inline int verify_in_steps(rille_conn *conn, verify_steps *s)
{
    ri_task task = { .interrupt = verify_interrupt, .interrupt_context = s };
    ri_verify_run *run = NULL;
    int rc = RILLE_AGAIN;
    task.io.defer = s->waits > 0 ? verify_wait : NULL;
    task.io.defer_context = s;
    while ((rc == RILLE_AGAIN && !(s->leaves && s->pauses > 0)) || rc == RILLE_NEED) {
        if (rc == RILLE_NEED) {
            s->fetches++;
            rc = ri_task_fetch(&task, &test_err);
            if (rc != 0) {
                break;
            }
        }
        ri_task *outer = ri_task_enter(&task);
        rc = ri_conn_verify_step(conn, &run, &test_err);
        rc = ri_task_leave(&task, outer, rc, &test_err);
    }
    s->work_max = task.work_max;
    s->report = run != NULL ? *ri_verify_run_report(run) : (ri_verify_report){ 0 };
    ri_verify_run_release(run);
    ri_task_deinit(&task);
    return rc;
}

#endif
