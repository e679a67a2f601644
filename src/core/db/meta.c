/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include "flush.h"

#include <string.h>

int ri_meta_walk_start(ri_meta_walk *walk, const rille_db *db, uint32_t a, uint64_t t, rille_err *err)
{
    uint8_t key[8];
    ri_store_be64(key, t);
    ri_value v = ri_bytes_value(RI_BYTES, key, sizeof key);
    ri_bound cut = ri_bound_av(a, &v, false);
    int rc;
    *walk = (ri_meta_walk){ .a = a };
    ri_cursor_init(&walk->cursor, db->store, &db->base->tree[RI_META]);
    RI_FETCHING(rc, &walk->io, ri_cursor_seek(&walk->cursor, &cut, &walk->io, err), err)
    walk->at_end = rc != 0;
    return rc == RILLE_DONE ? 0 : rc;
}

void ri_meta_walk_deinit(ri_meta_walk *walk)
{
    ri_cursor_deinit(&walk->cursor);
    ri_io_deinit(&walk->io);
}

bool ri_meta_walk_row(const ri_meta_walk *walk, ri_datom *out)
{
    if (walk->at_end) {
        return false;
    }
    ri_node_datom(ri_cursor_leaf(&walk->cursor), ri_cursor_row(&walk->cursor), out);
    return out->a == walk->a;
}

int ri_meta_walk_next(ri_meta_walk *walk, rille_err *err)
{
    int rc;
    ri_io_relieve(&walk->io);
    RI_FETCHING(rc, &walk->io, ri_cursor_next(&walk->cursor, &walk->io, err), err)
    walk->at_end = rc != 0 && rc != RILLE_NEED; /* then it is where it was */
    return rc == RILLE_DONE ? 0 : rc;
}

int ri_meta_take_commit(ri_meta_walk *walk, ri_block *block, rille_err *err)
{
    ri_datom row;
    if (!ri_meta_walk_row(walk, &row) || row.e != block->t || row.v.len < RI_META_KEY_SIZE ||
        row.v.len % RI_HASH_SIZE != RI_META_KEY_SIZE % RI_HASH_SIZE) {
        return ri_fail(err, RILLE_CORRUPT, "the commit id of transaction %llu is missing",
                       (unsigned long long)block->t);
    }
    memcpy(block->commit, row.v.as.p + 8, RI_HASH_SIZE);
    ri_reader in = ri_reader_of(row.v.as.p + RI_META_KEY_SIZE, row.v.len - RI_META_KEY_SIZE);
    RI_TRY(ri_block_read_merged(block, &in, (unsigned)((row.v.len - RI_META_KEY_SIZE) / RI_HASH_SIZE), err));
    return ri_meta_walk_next(walk, err);
}
