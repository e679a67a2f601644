/* SPDX-License-Identifier: MIT
 *
 * For tests of the file backend: a store in a directory, and a head that is a text.
 */
#ifndef RILLE_TEST_BACKENDS_FILE_H
#define RILLE_TEST_BACKENDS_FILE_H

#include "../src/core/store/backends.h"
#include "test_store_support.h"

static inline int open_file(const char *path, bool create, ri_store **out)
{
    ri_store_options options = { .create = create };
    return ri_store_open(test_join("file:", path, "").text, &options, out, &test_err);
}

static inline rille_head read_head(ri_store *store)
{
    rille_head head;
    REQUIRE_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    return head;
}

static inline void check_head(ri_store *store, const char *text)
{
    rille_head head = read_head(store);
    CHECK_EQ_MEM(head.bytes, head.len, text, strlen(text));
    rille_free(head.bytes);
}

static inline int swap_text(ri_store *store, rille_revision *revision, const char *cell, size_t kept_len)
{
    rille_head_swap swap = { .branch = "main",
                             .expected = *revision,
                             .cell = (const uint8_t *)cell,
                             .cell_len = strlen(cell),
                             .kept_len = kept_len,
                             .durable = true };
    return ri_store_head_swap(store, &swap, NULL, revision, &test_err);
}

#endif
