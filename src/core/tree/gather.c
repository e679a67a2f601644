/* SPDX-License-Identifier: MIT
 *
 * Gathering a tree's branches, or its upper levels, in the pack that is being written, so that one read brings them all
 * (DESIGN 6: one round trip a level, and the levels above the leaves in one). Addresses do not change: the branches are
 * merely stored once more, beside each other.
 *
 * Cost: a read of every branch that is not in the cache, and their bytes again; the caller decides when that is cheap
 * enough.
 */
#include "tree.h"

typedef struct gatherer {
    ri_store *store;
    ri_writer *writer;
    ri_io *io;
    rille_err *err;
    unsigned level_min;
    uint64_t left; /* how many branches may still follow: hostile bytes can name one node very often */
} gatherer;

/* Children first, so that the writer knows where they lie. level_max bounds the recursion whatever the bytes say. */
static int gather(gatherer *g, const ri_noderef *ref, unsigned level_max)
{
    ri_object *object;
    if (g->left-- == 0) {
        g->left = 0;
        return ri_fail(g->err, RILLE_CORRUPT, "the tree has more branches than its datoms can need");
    }
    RI_TRY(ri_store_get(g->store, ref, ri_node_decode, g->io, &object, g->err));
    const ri_node *node = (const ri_node *)(const void *)object;
    bool level_good = node->level >= 1 && node->level <= level_max;
    int rc = level_good ? 0 : ri_fail(g->err, RILLE_CORRUPT, "a branch is on the wrong level");
    bool needs = false;
    for (uint32_t i = 0; rc >= 0 && node->level > g->level_min && i < node->count; i++) {
        rc = gather(g, &node->children[i], node->level - 1U);
        needs = needs || rc == RILLE_NEED; /* go on: all that is missing is asked for at once */
    }
    ri_noderef stored;
    if (rc >= 0) {
        rc = needs ? RILLE_NEED
                   : ri_writer_put_node(g->writer, node->level, node->bytes, node->len, node->children, node->count,
                                        &stored, g->err);
    }
    ri_object_release(object);
    return rc;
}

int ri_tree_gather(ri_store *store, const ri_noderef *ref, unsigned level_min, uint64_t branches_max, ri_writer *writer,
                   ri_io *io, rille_err *err)
{
    gatherer g = { store, writer, io, err, level_min, branches_max };
    return gather(&g, ref, RI_TREE_HEIGHT_MAX);
}
