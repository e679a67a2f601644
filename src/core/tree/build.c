/* SPDX-License-Identifier: MIT
 *
 * Building a tree from sorted datoms: the chunker, and a check that they are sorted.
 *
 * Cost: O(1) a datom besides encoding (node_encode.c); memory for one leaf and one branch a level.
 */
#include "chunk.h"

struct ri_builder {
    ri_chunker chunker;
};

int ri_builder_new_limits(ri_order order, const ri_limits *limits, ri_writer *writer, ri_builder **out, rille_err *err)
{
    *out = NULL;
    ri_builder *builder = ri_alloc(sizeof *builder);
    if (builder == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = ri_chunker_init(&builder->chunker, order, limits, writer, err);
    if (rc != RILLE_OK) {
        ri_free(builder);
        return rc;
    }
    *out = builder;
    return RILLE_OK;
}

int ri_builder_new(ri_order order, ri_writer *writer, ri_builder **out, rille_err *err)
{
    return ri_builder_new_limits(order, &ri_limits_standard, writer, out, err);
}

void ri_builder_release(ri_builder *builder)
{
    if (builder != NULL) {
        ri_chunker_deinit(&builder->chunker);
        ri_free(builder);
    }
}

int ri_builder_add(ri_builder *builder, const ri_datom *d, rille_err *err)
{
    ri_chunker *chunker = &builder->chunker;
    if (chunker->n > 0 && ri_datom_cmp(chunker->order, &chunker->rows[chunker->n - 1], d) >= 0) {
        return ri_fail(err, RILLE_INTERNAL, "datoms for the tree %s are out of order: e %llu, a %u after e %llu, a %u",
                       ri_order_name(chunker->order), (unsigned long long)d->e, (unsigned)d->a,
                       (unsigned long long)chunker->rows[chunker->n - 1].e, (unsigned)chunker->rows[chunker->n - 1].a);
    }
    return ri_chunker_add(chunker, d, NULL, err);
}

int ri_builder_finish(ri_builder *builder, ri_tree *out, rille_err *err)
{
    bool root_is_old;
    int rc = ri_chunker_finish(&builder->chunker, out, &root_is_old, err);
    if (rc != RILLE_OK) {
        *out = (ri_tree){ 0 };
    }
    return rc;
}
