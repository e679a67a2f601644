/* SPDX-License-Identifier: MIT
 *
 * Verification as an operation: all branches, then all packs.
 */
#include "verify_own.h"

#include "../store/check_packs.h"
#include "../store/kept.h"

#include <string.h>

struct ri_verify_run {
    ri_store *store; /* retained */
    ri_verify_report report;
    char *names; /* of branches; NULL: not listed yet */
    size_t count;
    size_t next; /* the branch at hand */
    const char *name;
    ri_verify *branch;
    ri_pack_check *packs;
};

/* All branches; only the connection's own where the backend cannot list them. */
static int list_branches(rille_conn *conn, char **names, size_t *count, rille_err *err)
{
    int rc = ri_store_head_list(ri_conn_store(conn), names, count, err);
    if (rc != RILLE_UNSUPPORTED) {
        return rc;
    }
    size_t size = strlen(ri_conn_branch(conn)) + 1;
    *names = ri_alloc(size);
    if (*names == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(*names, ri_conn_branch(conn), size);
    *count = 1;
    return 0;
}

static int verify_branches(ri_verify_run *run, rille_err *err)
{
    while (run->next < run->count) {
        if (run->branch == NULL) {
            RI_TRY(ri_verify_new(run->store, run->name, &run->report, &run->branch, err));
        }
        RI_TRY(ri_verify_run_branch(run->branch, err));
        ri_verify_release(run->branch);
        run->branch = NULL;
        run->report.branches++;
        run->next++;
        run->name += strlen(run->name) + 1;
    }
    return 0;
}

static int begin(rille_conn *conn, ri_verify_run **out, rille_err *err)
{
    char *names = NULL;
    size_t count = 0;
    RI_TRY(list_branches(conn, &names, &count, err));
    ri_verify_run *run = ri_alloc_zero(sizeof *run);
    if (run == NULL) {
        rille_free(names);
        return ri_fail_nomem(err);
    }
    run->store = ri_store_retain(ri_conn_store(conn));
    ri_store_pass_tier(run->store, 1);
    run->names = names;
    run->name = names;
    run->count = count;
    *out = run;
    ri_task_part();
    return 0;
}

int ri_conn_verify_step(rille_conn *conn, ri_verify_run **run, rille_err *err)
{
    int rc = *run == NULL ? begin(conn, run, err) : 0;
    rc = rc == 0 ? verify_branches(*run, err) : rc;
    rc = rc == 0 ? ri_store_check_packs((*run)->store, &(*run)->packs, err) : rc;
    if (rc < 0) {
        ri_err_prefix(err, "%s", ri_conn_url(conn));
    }
    return rc;
}

const ri_verify_report *ri_verify_run_report(const ri_verify_run *run)
{
    return &run->report;
}

void ri_verify_run_release(ri_verify_run *run)
{
    if (run != NULL) {
        ri_verify_release(run->branch);
        ri_pack_check_release(run->packs);
        rille_free(run->names);
        ri_store_pass_tier(run->store, -1);
        ri_store_release(run->store);
        ri_free(run);
    }
}

int ri_conn_verify(rille_conn *conn, ri_verify_report *out, rille_err *err)
{
    ri_verify_run *run = NULL;
    int rc = ri_conn_verify_step(conn, &run, err);
    *out = run != NULL ? run->report : (ri_verify_report){ 0 };
    ri_verify_run_release(run);
    return rc;
}
