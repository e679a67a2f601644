/* SPDX-License-Identifier: MIT
 *
 * The head cell of a branch: a BASE frame (base.h), then a TX frame for every transaction since (block.h). Segments and
 * cell may begin with transactions that the base holds already: readers pass over them.
 */
#ifndef RI_HEAD_H
#define RI_HEAD_H

#include "db.h"

/* A database value made of a base and the blocks of a cell. Blocks (fetches segments and the schema blob when they are
 * not at hand). `cell` starts with its BASE frame. *valid_len: the cell without a torn last frame. known (may be NULL):
 * an earlier value of the branch. When only segments were spilled since, what is new is replayed on a copy of it. */
int ri_head_open(ri_store *store, const char *branch, const rille_db *known, const uint8_t *cell, size_t len,
                 rille_db **out, size_t *valid_len, rille_err *err);
/* The value before any transaction after the base: no novelty. schema NULL: read it from the base (may fetch its blob).
 */
int ri_db_of_base(ri_store *store, const char *branch, ri_base *base, const ri_schema *known_schema, rille_db **out,
                  rille_err *err);
/* A copy that can be replayed on. */
int ri_db_fork(const rille_db *db, rille_db **out, rille_err *err);
/* Replays all TX frames from *pos on; *pos ends behind the last whole one. For a value nobody else sees. */
int ri_head_replay(rille_db *db, const uint8_t *bytes, size_t len, size_t *pos, rille_err *err);
/* A new value: db with one more block (the block's reference stays the caller's). */
int ri_db_push(const rille_db *db, ri_block *block, ri_schema *schema, uint64_t next_e, uint64_t next_attr,
               rille_db **out, rille_err *err);
/* The same in place, for a value nobody else sees: schema and counters are taken from the block itself. */
int ri_db_replay(rille_db *db, ri_block *block, rille_err *err);

#endif
