/* SPDX-License-Identifier: MIT
 *
 * Folding novelty into the trees: a new base.
 */
#ifndef RI_FLUSH_H
#define RI_FLUSH_H

#include "head.h"

/* Builds the base that holds everything of db and, on top of it, `extra` (may be NULL; its schema and counters then
 * come with it). Nodes and blobs go to the writer, which is sealed; nothing is visible until the head names the base.
 * Blocks. */
typedef struct ri_flush_extra {
    ri_block *block;
    const ri_schema *schema;
    uint64_t next_e;
    uint64_t next_attr;
} ri_flush_extra;
typedef struct ri_flush ri_flush;
int ri_flush_build(const rille_db *db, const ri_flush_extra *extra, ri_writer *writer, ri_base **out, rille_err *err);

/* The same in steps, each of a portion of datoms or about a leaf. RILLE_AGAIN: there is more to do; 0: take the base.
 * The writer and what `extra` names outlive it. One thread at a time. */
int ri_flush_new(const rille_db *db, const ri_flush_extra *extra, ri_writer *writer, ri_flush **out, rille_err *err);
int ri_flush_step(ri_flush *flush, rille_err *err);
ri_base *ri_flush_take_base(ri_flush *flush);
void ri_flush_release(ri_flush *flush);

/* Where the branches of all trees take no more than this, flushes keep them together, and an opener reads them in one go;
 * otherwise it reads the upper levels. */
static inline uint64_t ri_branches_gathered_max(const ri_store *store)
{
    uint64_t share = ri_store_cache_bytes_max(store) / 256;
    return share < 256U * 1024U ? share : 256U * 1024U;
}

/* META keys. A commit: the first 8 bytes of its id, e = t. A transaction: be64(t), the commit id
 * and those of the other parents, e = t. A base:
 * be64(t) and the address of its record, e = t. */
#define RI_META_COMMIT_PREFIX 8U
#define RI_META_KEY_SIZE (8U + RI_HASH_SIZE)

#endif
