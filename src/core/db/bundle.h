/* SPDX-License-Identifier: MIT
 *
 * Bundles: transactions of one process that share a swap of the head.
 *
 *      seen  <---  sent: T1          its swap is under way
 *                    <---  open: T2 T3 T4      resolved one after the other on the value after T1
 *
 * A commit is planned on the TIP, the value that the open bundle, else the sent one, else the head will have, and joins the
 * open bundle. When no swap is under way, whoever waits sends the open bundle. So a lone writer waits for nothing, and
 * what queued while a swap was under way is the next one.
 *
 * (B1) A bundle is all or nothing: one swap. Its members are told after it.
 * (B2) What is sent does not change. The open bundle goes on from the sent one; if that fails, it fails with
 *      RILLE_CONFLICT before it was sent, and its members begin again.
 * (B3) Whoever waits may send the sent bundle: it is the same swap. Of threads one does (`busy`). Tasks all want the call,
 *      and what one of them gets is the answer of all (ri_task_share). So one that is left alone is in nobody's way.
 * (B4) Who is refused looks for its own attempt in the head that was read after that.
 * (B5) An operation that is closed leaves its bundle. The open one then fails, as in (B2), since others were resolved on
 *      top of what is taken out. The sent one is given up when the last one left: what comes of it is not known.
 */
#ifndef RI_BUNDLE_H
#define RI_BUNDLE_H

#include "conn_own.h"

typedef struct ri_bundle ri_bundle;

/* What the next plan goes on from. The writer lock is held, here and in the next three. */
void ri_conn_tip(rille_conn *conn, ri_seen *out);
bool ri_same_tip(const ri_seen *from, const ri_seen *now);
/* Puts a plan that was made on `from` behind the open bundle, with a reference to it. Its cell and its writer are taken.
 * RILLE_CONFLICT: the tip is another one by now. */
int ri_bundle_join(rille_conn *conn, const ri_seen *from, ri_plan *plan, ri_bundle **out, rille_err *err);
/* Swaps it alone, at once: where a swap costs nothing that could be shared. attempt: as below. */
bool ri_bundle_is_free(const rille_conn *conn, const ri_seen *from);
int ri_bundle_alone(rille_conn *conn, const ri_seen *from, ri_plan *plan, const ri_block *block, rille_err *err);

/* Until the bundle is over. RILLE_NEED: the task waits. */
int ri_bundle_end(rille_conn *conn, ri_bundle *bundle);
/* What came of it, for the member that the block is of; NULL: of none. 0, RILLE_CONFLICT, or a failure. */
int ri_bundle_outcome(const ri_bundle *bundle, const ri_block *block, rille_err *err);
/* Drops the reference, whether it is over or not. NULL allowed. */
void ri_bundle_leave(rille_conn *conn, ri_bundle *bundle);
/* Until all that is planned now is over, whatever came of it. */
int ri_bundle_drain(rille_conn *conn);
/* The value at the tip, if that is not the head's; else NULL. */
rille_db *ri_bundle_db(rille_conn *conn);

#endif
