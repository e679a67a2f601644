/* SPDX-License-Identifier: MIT
 *
 * Gathering a tree's branches in the pack that is being written, so that one read brings them all (DESIGN 6: one round
 * trip a level, and the levels above the leaves in one). Addresses do not change: the branches are merely stored once
 * more, beside each other.
 *
 * Cost: a read of every branch that is not in the cache, and their bytes again; the caller decides when that is cheap
 * enough.
 */
#include "tree.h"

/* Children first, so that the writer knows where they lie. level_max bounds the recursion whatever the bytes say. */
int ri_tree_gather(ri_store *store, const ri_noderef *ref, unsigned level_max, ri_writer *writer, ri_io *io,
                   rille_err *err)
{
    ri_object *object;
    RI_TRY(ri_store_get(store, ref, ri_node_decode, io, &object, err));
    const ri_node *node = (const ri_node *)(const void *)object;
    bool level_good = node->level >= 1 && node->level <= level_max;
    int rc = level_good ? 0 : ri_fail(err, RILLE_CORRUPT, "a branch lies on the wrong level");
    bool needs = false;
    for (uint32_t i = 0; rc >= 0 && node->level > 1 && i < node->count; i++) {
        rc = ri_tree_gather(store, &node->children[i], node->level - 1U, writer, io, err);
        needs = needs || rc == RILLE_NEED; /* go on: all that is missing is asked for at once */
    }
    ri_noderef stored;
    if (rc >= 0) {
        rc = needs ? RILLE_NEED
                   : ri_writer_put_node(writer, node->level, node->bytes, node->len, node->children, node->count,
                                        &stored, err);
    }
    ri_object_release(object);
    return rc;
}
