/* SPDX-License-Identifier: MIT
 *
 * Rows of META, one attribute at a time, in the order of their transactions. Their values begin with be64(t).
 */
#ifndef RI_META_H
#define RI_META_H

#include "db.h"

typedef struct ri_meta_walk {
    ri_cursor cursor;
    ri_io io;
    uint32_t a;
    bool at_end;
} ri_meta_walk;

/* To the first row of a transaction from `t` on. Blocks, as next does. */
int ri_meta_walk_start(ri_meta_walk *walk, const rille_db *db, uint32_t a, uint64_t t, rille_err *err);
void ri_meta_walk_deinit(ri_meta_walk *walk);
/* The row; false at the end. Borrowed until next. */
bool ri_meta_walk_row(const ri_meta_walk *walk, ri_datom *out);
int ri_meta_walk_next(ri_meta_walk *walk, rille_err *err);
/* Sets the block's commit id and other parents from a row of RI_A_META_TX, which must be its transaction's, and goes on.
 */
int ri_meta_take_commit(ri_meta_walk *walk, ri_block *block, rille_err *err);

#endif
