/* SPDX-License-Identifier: MIT
 *
 * A prepared query that runs again: what its plan was made for, and whether that still holds (again.c).
 */
#ifndef RI_AGAIN_H
#define RI_AGAIN_H

#include "query.h"

/* Remembers what the plan is made for. */
void ri_plan_note(rille_op *op);
/* What the plan and what belongs to it hold. */
size_t ri_plan_bytes(const rille_op *op);
/* Are the counts near enough to these? */
bool ri_plan_fits(const rille_op *op);
/* Makes the stages ready for another run. */
void ri_plan_renew(rille_op *op);
void ri_op_drop_tables(rille_op *op);

#endif
