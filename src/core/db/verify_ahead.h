/* SPDX-License-Identifier: MIT
 *
 * Verification as an operation: what it reads, before it begins, and its pieces, a branch or a pack each.
 */
#ifndef RI_VERIFY_AHEAD_H
#define RI_VERIFY_AHEAD_H

#include "conn.h"

#include "../store/task.h"

/* For a task, in which a verification would run again from its beginning after each read. RILLE_NEED until the nodes and
 * blobs that the value reaches are there, a level at a time. What is damaged is passed over: the verification says so. */
int ri_verify_ahead(const rille_db *db, rille_err *err);

/* A branch as a whole. (verify.c) */
int ri_verify_branch(ri_store *store, const char *branch, ri_verify_report *report, rille_err *err);

#endif
