/* SPDX-License-Identifier: MIT
 *
 * The head cell of a branch: a BASE frame, then a TX frame for every transaction since (block.h has the frames).
 *
 * BASE BODY (varints unless a width is given)
 *   u8 format version (1), u8 flags (1 keep history, 2 read-flexible schema), database id (16 bytes), t,
 *   instant (zigzag), commit id (32 bytes), next entity id, next attribute id,
 *   number of packs, their ids (32 bytes each),
 *   for each of the 7 trees in the order of ri_order: height; if not 0: count, address (32 bytes), pack index + 1
 *     (0: no locator), offset, length,
 *   number of branch regions (0 to 2); each: pack index + 1, offset, length,
 *   number of segments; each: address (32 bytes), last t, 0,
 *   schema: u8 0 and a block of bytes (at most RI_SCHEMA_INLINE_MAX), or u8 1 and the address of a blob (32 bytes)
 */
#ifndef RI_HEAD_H
#define RI_HEAD_H

#include "db.h"

#define RI_FORMAT_VERSION 1
#define RI_SCHEMA_INLINE_MAX 4096U
#define RI_SEGMENTS_MAX 4096U

void ri_base_release(ri_base *base);
ri_base *ri_base_retain(ri_base *base);
/* The base of a database before its first transaction. */
int ri_base_new_empty(const uint8_t db_id[16], bool keep_history, bool read_flexible, ri_base **out, rille_err *err);
/* Appends the body. With segments or without (as a retained base is kept). */
void ri_base_write(const ri_base *base, bool with_segments, ri_buf *out);
/* Hostile bytes. RILLE_FORMAT for a newer version. A schema that lies in a blob is not fetched: schema_bytes is NULL
 * then. */
int ri_base_read(const uint8_t *body, size_t len, ri_base **out, rille_err *err);

/* A database value made of a base and the blocks of a cell. Blocks (fetches segments and the schema blob when they are
 * not at hand). `cell` starts with its BASE frame. *valid_len: the cell without a torn last frame. */
int ri_head_open(ri_store *store, const char *branch, const uint8_t *cell, size_t len, rille_db **out,
                 size_t *valid_len, rille_err *err);
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
