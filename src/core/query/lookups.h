/* SPDX-License-Identifier: MIT
 *
 * Point queries: runs without counts and stages.
 */
#ifndef RI_LOOKUPS_H
#define RI_LOOKUPS_H

#include "exec.h"

typedef struct ri_lookups ri_lookups;
/* Of a query that has a plan; NULL: its patterns are not all lookups. */
int ri_lookups_new(rille_op *op, ri_lookups **out, rille_err *err);
/* RILLE_ROWS: op->rows, op->row_count, and there are no others. RILLE_DONE: there are none. RILLE_AGAIN: the plan has to
 * be used. */
int ri_lookups_next(rille_op *op, rille_err *err);
/* Gives back what belongs to the run. NULL allowed. */
void ri_lookups_drop(ri_lookups *lookups);

#endif
