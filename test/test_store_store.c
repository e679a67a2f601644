/* SPDX-License-Identifier: MIT */
#include "../src/core/store/backends.h"
#include "test_store_support.h"
#include "test_threads.h"

TEST(store__opens_by_url)
{
    ri_store *store;
    ri_store_options options = { .create = true };
    CHECK_RC(ri_store_open("mem:store-opens", NULL, &store, &test_err), RILLE_NOTFOUND);
    CHECK(store == NULL && strstr(test_err.message, "mem:store-opens") != NULL);
    REQUIRE_RC(ri_store_open("mem:store-opens", &options, &store, &test_err), RILLE_OK);
    CHECK_EQ_STR(ri_store_url(store), "mem:store-opens");
    CHECK((ri_store_capabilities(store) & RILLE_BACKEND_ROWS) != 0);
    CHECK(ri_store_retain(store) == store);
    ri_store_release(store);
    ri_store_release(store);
    REQUIRE_RC(ri_store_open("mem:store-opens", NULL, &store, &test_err), RILLE_OK); /* lives on */
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
    CHECK_RC(ri_store_open("mem:store-opens", NULL, &store, &test_err), RILLE_NOTFOUND);
    ri_store_release(NULL);
}

TEST(store__without_a_name_is_its_own)
{
    ri_store *one;
    ri_store *two;
    rille_head head;
    REQUIRE_RC(ri_store_open("mem:", NULL, &one, &test_err), RILLE_OK);
    REQUIRE_RC(ri_store_open("mem:", NULL, &two, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(one, "main", "x", 1, NULL, &test_err), RILLE_OK);
    CHECK_RC(ri_store_head_read(two, "main", &head, &test_err), RILLE_NOTFOUND);
    ri_store_release(one);
    ri_store_release(two);
}

TEST(store__says_which_urls_it_cannot_open)
{
    static const char *const unsupported[] = {
        "sqlite:x",
        "postgresql://u:secret@h/db",
        "idb:x",
#if !RILLE_WITH_CURL
        "s3://user:secret@bucket/x",
        "https://user:secret@host/x",
#endif
        "deferred:sqlite:x"
    };
    ri_store *store;
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        CHECK_RC(ri_store_open(unsupported[i], NULL, &store, &test_err), RILLE_UNSUPPORTED);
        CHECK(strstr(test_err.message, "file:") != NULL && strstr(test_err.message, "secret") == NULL);
        CHECK(store == NULL);
    }
    CHECK_RC(ri_store_open("nonsense:x", NULL, &store, &test_err), RILLE_SYNTAX);
    CHECK_RC(ri_store_open("deferred:nonsense", NULL, &store, &test_err), RILLE_SYNTAX);
    CHECK_RC(ri_store_open("deferred:deferred:deferred:deferred:deferred:deferred:deferred:deferred:deferred:mem:",
                           NULL, &store, &test_err),
             RILLE_SYNTAX);
    REQUIRE_RC(ri_store_open("deferred:faulty:mem:", NULL, &store, &test_err), RILLE_OK);
    CHECK_EQ_STR(ri_store_url(store), "deferred:faulty:mem:");
    ri_store_release(store);
}

TEST(store__counts_what_it_does)
{
    ri_store *store;
    ri_store_stats stats;
    rille_head head;
    REQUIRE_RC(ri_store_open("mem:", NULL, &store, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    rille_free(head.bytes);
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.head_reads, 2);
    CHECK_EQ_INT(stats.head_swaps, 1);
    CHECK_EQ_INT(stats.gets + stats.puts + stats.cache_hits + stats.cache_misses + stats.cache_bytes, 0);
    CHECK_EQ_INT(stats.cache_bytes_max, RI_CACHE_BYTES_DEFAULT);
    CHECK_EQ_INT(ri_store_size_bytes(store), 4);
    ri_store_release(store);
}

TEST(store__lists_and_deletes_heads)
{
    ri_store *store;
    char *names;
    size_t count;
    REQUIRE_RC(ri_store_open("deferred:mem:", NULL, &store, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "x", 1, NULL, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(store, "side", "x", 1, NULL, &test_err), RILLE_OK);
    CHECK_RC(ri_store_head_list(store, &names, &count, &test_err), RILLE_OK);
    CHECK_EQ_INT(count, 2);
    rille_free(names);
    CHECK_RC(ri_store_head_delete(store, "side", &test_err), RILLE_OK);
    CHECK_RC(ri_store_head_delete(store, "side", &test_err), RILLE_NOTFOUND);
    CHECK_RC(ri_store_head_list(store, &names, &count, &test_err), RILLE_OK);
    CHECK_EQ_STR(names, "main");
    rille_free(names);
    ri_store_release(store);
}

TEST(store__that_is_read_only_takes_no_writes)
{
    rille_backend backend;
    ri_store *store;
    ri_writer *writer;
    rille_revision revision;
    REQUIRE_RC(ri_backend_memory_open("", true, &backend, &test_err), RILLE_OK);
    backend.capabilities |= RILLE_BACKEND_READONLY;
    REQUIRE_RC(ri_store_open_backend(&backend, "test:", 0, &store, &test_err), RILLE_OK);
    CHECK_RC(ri_writer_new(store, &writer, &test_err), RILLE_READONLY);
    rille_head_swap swap = { .branch = "main", .cell = (const uint8_t *)"x", .cell_len = 1 };
    CHECK_RC(ri_store_head_swap(store, &swap, NULL, &revision, &test_err), RILLE_READONLY);
    CHECK(strstr(test_err.message, "test:") != NULL);
    ri_store_release(store);
}

static int open_and_close(void)
{
    ri_store *store;
    ri_store_options options = { .create = true };
    int rc = ri_store_open("deferred:faulty:mem:store-sweep", &options, &store, NULL);
    if (rc == RILLE_OK) {
        rc = ri_store_drop(store, NULL);
        ri_store_release(store);
    }
    ri_store *left; /* a named database outlives a handle that could not be made */
    if (ri_store_open("mem:store-sweep", NULL, &left, NULL) == RILLE_OK) {
        (void)ri_store_drop(left, NULL);
        ri_store_release(left);
    }
    return rc;
}

TEST(store__copes_without_memory)
{
    for (long long n = 0;; n++) { /* by hand: clearing up needs memory too */
        long long live = atomic_load(&test_state.live_blocks);
        (void)test_fault_begin(n, true);
        int rc = open_and_close();
        atomic_store(&test_state.fail_from, -1);
        CHECK(rc == RILLE_OK || rc == RILLE_NOMEM);
        CHECK_EQ_INT(atomic_load(&test_state.live_blocks), live);
        if (atomic_load(&test_state.faults) == 0) {
            break;
        }
    }
}

/* ---- threads: optimistic writers and readers on one store ---- */

typedef struct writer_args {
    ri_store *store;
    unsigned conflicts;
    int rc;
} writer_args;

enum { THREADS = 4, COMMITS = 50 };

static void *commit_in_thread(void *argument)
{
    writer_args *args = argument;
    for (int i = 0; i < COMMITS && args->rc == RILLE_OK; i++) {
        rille_head head;
        rille_revision revision;
        uint8_t cell[8];
        args->rc = ri_store_head_read(args->store, "main", &head, NULL);
        if (args->rc == RILLE_OK) {
            ri_store_u64(cell, ri_load_u64(head.bytes) + 1);
            rille_head_swap swap = { .branch = "main", .expected = head.revision, .cell = cell, .cell_len = 8 };
            args->rc = ri_store_head_swap(args->store, &swap, NULL, &revision, NULL);
            rille_free(head.bytes);
        }
        if (args->rc == RILLE_CONFLICT) {
            args->rc = RILLE_OK;
            args->conflicts++;
            i--;
        }
    }
    return NULL;
}

static void commit_by_threads(const char *url)
{
    test_thread threads[THREADS];
    writer_args args[THREADS];
    ri_store *store;
    rille_head head;
    uint8_t zero[8] = { 0 };
    ri_store_options options = { .create = true };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", zero, 8, NULL, &test_err), RILLE_OK);
    for (size_t i = 0; i < THREADS; i++) {
        args[i] = (writer_args){ .store = store };
        REQUIRE(test_thread_start(&threads[i], commit_in_thread, &args[i]));
    }
    for (size_t i = 0; i < THREADS; i++) {
        test_thread_join(&threads[i]);
        CHECK_RC(args[i].rc, RILLE_OK);
    }
    REQUIRE_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_OK);
    CHECK_EQ_INT(ri_load_u64(head.bytes), THREADS * COMMITS);
    rille_free(head.bytes);
    ri_store_release(store);
}

TEST(store__loses_no_commit_of_a_thread)
{
    test_dir dir = test_dir_fast();
    commit_by_threads("mem:");
    commit_by_threads("faulty:mem:");
    commit_by_threads(test_join("file:", dir.path, "/file").text);
#if RILLE_WITH_LMDB
    commit_by_threads(test_join("lmdb:", dir.path, "/lmdb").text);
#endif
    test_dir_remove(dir.path);
}

TEST_MAIN(store__opens_by_url, store__without_a_name_is_its_own, store__says_which_urls_it_cannot_open,
          store__counts_what_it_does, store__lists_and_deletes_heads, store__that_is_read_only_takes_no_writes,
          store__copes_without_memory, store__loses_no_commit_of_a_thread)
