/* SPDX-License-Identifier: MIT
 *
 * Stores for the tests of the tree: trees that are built and committed, merges, and small limits.
 */
#ifndef RILLE_TEST_TREE_STORE_H
#define RILLE_TEST_TREE_STORE_H

#include "../src/core/tree/chunk.h"

#include "test_tree_data.h"

/* High trees of few datoms. */
static const ri_limits data_limits_small = { 4, 40, UINT32_MAX / 20, 3000, 2, 12, UINT32_MAX / 6 };
static const ri_limits data_limits_tiny = { 1, 6, UINT32_MAX / 5, 200, 2, 4, UINT32_MAX / 3 };

static inline ri_store *data_store(const char *url)
{
    ri_store *store = NULL;
    ri_store_options options = { .create = true, .cache_bytes = 0 };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    return store;
}

/* Memory stores live on under their name until they are dropped. */
static inline void data_store_drop(ri_store *store)
{
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
}

/* What the writer holds becomes readable; the root gets its locator. */
static inline int data_commit(ri_store *store, ri_writer *writer, ri_tree *tree, rille_err *err)
{
    static uint64_t number;
    char branch[32];
    (void)snprintf(branch, sizeof branch, "t%llu", (unsigned long long)number++);
    RI_TRY(ri_writer_seal(writer, err));
    ri_writer_resolve(writer, &tree->root);
    rille_head_swap swap = { .branch = branch, .cell = (const uint8_t *)"x", .cell_len = 1, .durable = true };
    rille_revision revision;
    return ri_store_head_swap(store, &swap, writer, &revision, err);
}

/* Builds into the store, or (store NULL) computes the root alone. */
static inline int data_build(ri_store *store, ri_order order, const ri_limits *limits, const ri_datom *rows, uint32_t n,
                             ri_tree *out, rille_err *err)
{
    ri_writer *writer = NULL;
    ri_builder *builder = NULL;
    int rc = store == NULL ? RILLE_OK : ri_writer_new(store, &writer, err);
    if (rc == RILLE_OK) {
        rc = ri_builder_new_limits(order, limits, writer, &builder, err);
    }
    for (uint32_t i = 0; i < n && rc == RILLE_OK; i++) {
        rc = ri_builder_add(builder, &rows[i], err);
    }
    if (rc == RILLE_OK) {
        rc = ri_builder_finish(builder, out, err);
    }
    if (rc == RILLE_OK && writer != NULL) {
        rc = data_commit(store, writer, out, err);
    }
    ri_builder_release(builder);
    ri_writer_release(writer);
    return rc;
}

/* Calls again after each RILLE_NEED. */
#define DATA_DRIVE(io, rc, call)                                \
    do {                                                        \
        while (((rc) = (call)) == RILLE_NEED) {                 \
            REQUIRE_RC(ri_io_fetch((io), &test_err), RILLE_OK); \
        }                                                       \
    } while (0)

#endif
