/* SPDX-License-Identifier: MIT
 *
 * The head cell of a branch: a BASE frame (base.h), then a TX frame for every transaction since (block.h). Segments and
 * cell may begin with transactions that the base holds already: readers pass over them.
 */
#ifndef RI_HEAD_H
#define RI_HEAD_H

#include "db.h"

/* A database value made of a base and the blocks of a cell. Blocks (fetches segments and the schema blob when they are
 * not at hand). `cell` starts with its BASE frame. *valid_len: the cell without a torn last frame. */
int ri_head_open(ri_store *store, const char *branch, const uint8_t *cell, size_t len, rille_db **out,
                 size_t *valid_len, rille_err *err);
/* The same on top of a value that is known of the branch: reads what is new, and keeps the novelty where the base is the
 * same or lies within it. RILLE_CONFLICT: the head does not follow from that value, or it is damaged; open it anew. */
int ri_head_advance(const rille_db *known, const uint8_t *cell, size_t len, rille_db **out, size_t *valid_len,
                    rille_err *err);
/* db with another base of the same history, not before its own nor after its t. schema: as below. */
int ri_db_on_base(const rille_db *db, ri_base *base, const ri_schema *schema, rille_db **out, rille_err *err);
/* The value that `newer` is, made from `older`, one of the same history before it, and on a base that says the same as
 * that of `older`. */
int ri_db_follow(const rille_db *older, const rille_db *newer, ri_base *base, rille_db **out, rille_err *err);
/* Is that the commit of t in the novelty, or of the base? */
bool ri_db_has_commit(const rille_db *db, uint64_t t, const uint8_t commit[RI_HASH_SIZE]);
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
