/* SPDX-License-Identifier: MIT */
#include "../src/core/store/backends.h"
#include "../src/core/store/check_packs.h"
#include "../src/core/store/pack.h"
#include "../src/core/store/task.h"
#include "../src/core/store/writer_own.h"
#include "test_store_support.h"

static ri_store *open_store(const char *url, size_t cache_bytes)
{
    ri_store *store;
    ri_store_options options = { .create = true, .cache_bytes = cache_bytes };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    return store;
}

static ri_writer *new_writer(ri_store *store)
{
    ri_writer *writer;
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    return writer;
}

TEST(writer__round_trips_a_tree_through_rows)
{
    ri_store *store = open_store("mem:", 0);
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(test_write_tree(store, 7, 300, 100, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK_EQ_INT(len, 0);
    CHECK(ri_addr_is_zero(root.pack));
    CHECK_RC(test_check_tree(store, &root, 7, 300, 100, &test_err), RILLE_OK);
    ri_store_release(store);
}

TEST(writer__round_trips_a_tree_through_a_pack)
{
    test_dir dir = test_dir_fast();
    ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 0);
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(test_write_tree(store, 7, 300, 100, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK(!ri_addr_is_zero(root.pack));
    CHECK_EQ_INT(root.offset, offset);
    CHECK_EQ_INT(root.len, len);
    CHECK_RC(test_check_tree(store, &root, 7, 300, 100, &test_err), RILLE_OK);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.get_ranges, 301);
    CHECK_EQ_INT(stats.puts, 1);
    CHECK_EQ_INT(stats.put_bytes + 4, ri_store_size_bytes(store));
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(writer__gives_the_same_pack_for_the_same_nodes)
{
    uint8_t packs[2][RI_HASH_SIZE];
    for (size_t i = 0; i < 2; i++) {
        test_dir dir = test_dir_fast();
        ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 0);
        ri_noderef root;
        uint64_t offset;
        uint64_t len;
        REQUIRE_RC(test_write_tree(store, 7, 30, 100, &root, &offset, &len, &test_err), RILLE_OK);
        memcpy(packs[i], root.pack, RI_HASH_SIZE);
        ri_store_release(store);
        test_dir_remove(dir.path);
    }
    CHECK_EQ_MEM(packs[0], RI_HASH_SIZE, packs[1], RI_HASH_SIZE);
}

TEST(writer__stores_equal_nodes_once)
{
    test_dir dir = test_dir_fast();
    static const char *const urls[] = { "mem:%.0s", "file:%s" };
    for (size_t i = 0; i < 2; i++) {
        char url[300];
        (void)snprintf(url, sizeof url, urls[i], dir.path);
        ri_store *store = open_store(url, 0);
        ri_writer *writer = new_writer(store);
        ri_noderef a;
        ri_noderef b;
        ri_noderef root_a;
        ri_noderef root_b;
        CHECK_RC(test_put_leaf(writer, 2, 1000, &a, &test_err), RILLE_OK);
        uint64_t bytes = ri_writer_bytes(writer);
        CHECK_RC(test_put_leaf(writer, 2, 1000, &b, &test_err), RILLE_OK);
        CHECK_EQ_MEM(a.addr, RI_HASH_SIZE, b.addr, RI_HASH_SIZE);
        CHECK_EQ_INT(ri_writer_bytes(writer), bytes);
        CHECK_RC(test_put_branch(writer, 1, &a, 1, &root_a, &test_err), RILLE_OK);
        CHECK_RC(test_put_branch(writer, 1, &b, 1, &root_b, &test_err), RILLE_OK);
        CHECK_EQ_MEM(root_a.addr, RI_HASH_SIZE, root_b.addr, RI_HASH_SIZE);
        CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
        CHECK(ri_writer_bytes(writer) > bytes);
        ri_writer_release(writer);
        ri_store_release(store);
    }
    test_dir_remove(dir.path);
}

/* Runs a put in a task until it is done; returns how often it had to wait. */
static int put_full(ri_writer *writer, ri_task *task)
{
    int waits = 0;
    int rc = RILLE_AGAIN;
    while (rc == RILLE_AGAIN || rc == RILLE_NEED) {
        ri_task *outer = ri_task_enter(task);
        rc = ri_task_leave(task, outer, ri_writer_put_full(writer, &test_err), &test_err);
        if (rc == RILLE_NEED) {
            waits++;
            REQUIRE_RC(ri_task_fetch(task, &test_err), RILLE_OK);
        } else {
            ri_task_forget(task);
        }
    }
    CHECK_RC(rc, RILLE_OK);
    return waits;
}

/* What is full in a task is put between two steps of work: none of them ends with RILLE_NEED. `asks`: is it put there? */
static void write_much(const char *url, size_t count, bool asks, int waits_min)
{
    enum { PAYLOAD = 4000, FULL = 65536 };
    ri_store *store = open_store(url, 0);
    ri_writer *writer = new_writer(store);
    ri_noderef leaves[60];
    ri_noderef root;
    ri_task task = { 0 };
    int waits = 0;
    REQUIRE(count <= 60);
    writer->pack_bytes_max = writer->pending_bytes_max = FULL;
    for (size_t i = 0; i < count; i++) {
        ri_task *outer = ri_task_enter(&task);
        CHECK_RC(test_put_leaf(writer, 2 * i + 1, PAYLOAD, &leaves[i], &test_err), RILLE_OK);
        CHECK_RC(ri_task_leave(&task, outer, 0, &test_err), RILLE_OK);
        waits += asks ? put_full(writer, &task) : 0;
    }
    CHECK_RC(test_put_branch(writer, 1, leaves, count, &root, &test_err), RILLE_OK);
    CHECK(waits >= waits_min);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.put_bytes, ri_writer_bytes(writer));
    ri_io io = { 0 };
    for (size_t i = 0; i < count; i += count - 1) {
        test_node *leaf;
        ri_writer_resolve(writer, &leaves[i]);
        CHECK_RC(test_get(store, &leaves[i], &io, &leaf, &test_err), RILLE_OK);
        ri_object_release(leaf == NULL ? NULL : &leaf->object);
    }
    ri_io_deinit(&io);
    ri_pack_check *check = NULL;
    CHECK_RC(ri_store_check_packs(store, &check, &test_err), RILLE_OK);
    ri_pack_check_release(check);
    ri_task_deinit(&task);
    ri_writer_release(writer);
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
}

TEST(writer__waits_only_between_steps)
{
    test_dir dir = test_dir_fast();
    test_text file = test_join("deferred:file:", dir.path, "/db");
    write_much(file.text, 60, true, 3); /* so many packs are full */
    write_much(file.text, 60, false, 0);
    write_much("deferred:mem:full", 60, true, 3);
    write_much("deferred:mem:full", 60, false, 0);
    test_dir_remove(dir.path);
}

/* Two leaves below two branches below a root, with that root and its second branch put first; another root of level 1. */
TEST(writer__puts_the_upper_levels_last)
{
    test_dir dir = test_dir_fast();
    ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 0);
    ri_writer *writer = new_writer(store);
    ri_noderef leaves[3];
    ri_noderef below[2];
    ri_noderef upper[2];
    uint8_t pack[RI_HASH_SIZE];
    uint64_t offset;
    uint64_t len;
    uint64_t upper_len;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_RC(test_put_leaf(writer, i, 100, &leaves[i], &test_err), RILLE_OK);
    }
    CHECK_RC(test_put_branch(writer, 1, &leaves[2], 1, &upper[0], &test_err), RILLE_OK);
    CHECK_RC(test_put_branch(writer, 1, &leaves[0], 1, &below[0], &test_err), RILLE_OK);
    ri_buf second = test_node_bytes(1, &leaves[1], 1, 0, 0);
    ri_blake2b(below[1].addr, second.p, second.len);
    CHECK_RC(test_put_branch(writer, 2, below, 2, &upper[1], &test_err), RILLE_OK);
    CHECK_RC(test_put_branch(writer, 1, &leaves[1], 1, &below[1], &test_err), RILLE_OK);
    CHECK_RC(ri_writer_seal(writer, &test_err), RILLE_OK);
    ri_writer_branch_region(writer, pack, &offset, &len, &upper_len);
    for (unsigned i = 0; i < 2; i++) {
        ri_writer_resolve(writer, &below[i]);
        ri_writer_resolve(writer, &upper[i]);
        CHECK(below[i].offset + below[i].len <= offset + len - upper_len);
    }
    CHECK_EQ_INT(below[0].offset, offset);
    CHECK_EQ_INT(upper[0].offset, offset + len - upper_len);
    CHECK_EQ_INT(upper[1].offset, upper[0].offset + upper[0].len);
    CHECK_EQ_INT(upper[0].len + upper[1].len, upper_len);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    ri_io io = { 0 };
    test_node *root;
    CHECK_RC(test_get(store, &upper[1], &io, &root, &test_err), RILLE_OK);
    CHECK_EQ_INT(root->children[1].offset, below[1].offset); /* placed before it */
    ri_object_release(&root->object);
    ri_io_deinit(&io);
    ri_buf_deinit(&second);
    ri_writer_release(writer);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(writer__without_nodes_writes_the_head_alone)
{
    test_dir dir = test_dir_fast();
    ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 0);
    ri_writer *writer = new_writer(store);
    uint8_t pack[RI_HASH_SIZE];
    uint64_t offset;
    uint64_t len;
    uint64_t upper_len;
    CHECK_RC(ri_writer_seal(writer, &test_err), RILLE_OK);
    CHECK_RC(ri_writer_seal(writer, &test_err), RILLE_OK);
    ri_writer_branch_region(writer, pack, &offset, &len, &upper_len);
    CHECK_EQ_INT(len, 0);
    CHECK_EQ_INT(upper_len, 0);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.puts, 0);
    ri_writer_release(writer);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(writer__takes_blobs_after_the_seal_but_no_nodes)
{
    ri_store *store = open_store("mem:", 0);
    ri_writer *writer = new_writer(store);
    ri_noderef leaf;
    uint8_t addr[RI_HASH_SIZE];
    ri_blob *blob;
    CHECK_RC(ri_writer_seal(writer, &test_err), RILLE_OK);
    CHECK_RC(test_put_leaf(writer, 1, 10, &leaf, &test_err), RILLE_MISUSE);
    CHECK_RC(ri_writer_put_blob(writer, (const uint8_t *)"late", 4, addr, &test_err), RILLE_OK);
    CHECK_RC(ri_store_get_blob(store, addr, NULL, &blob, &test_err), RILLE_NOTFOUND);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    REQUIRE_RC(ri_store_get_blob(store, addr, NULL, &blob, &test_err), RILLE_OK);
    CHECK_EQ_MEM(blob->bytes, blob->len, "late", 4);
    ri_object_release(&blob->object);
    ri_writer_release(writer);
    ri_store_release(store);
}

TEST(writer__keeps_everything_when_the_race_is_lost)
{
    test_dir dir = test_dir_fast();
    ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 0);
    CHECK_RC(test_set_head(store, "main", "x", 1, NULL, &test_err), RILLE_OK);
    ri_writer *writer = new_writer(store);
    ri_noderef leaf;
    ri_noderef root;
    rille_revision revision;
    CHECK_RC(test_put_leaf(writer, 1, 200, &leaf, &test_err), RILLE_OK);
    CHECK_RC(test_put_branch(writer, 1, &leaf, 1, &root, &test_err), RILLE_OK);
    rille_head_swap swap = { .branch = "main", .cell = (const uint8_t *)"y", .cell_len = 1, .durable = true };
    CHECK_RC(ri_store_head_swap(store, &swap, writer, &revision, &test_err), RILLE_CONFLICT);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(ri_store_size_bytes(store), 1); /* lost before anything was written */
    CHECK_RC(test_set_head(store, "main", "z", 1, writer, &test_err), RILLE_OK);
    ri_writer_resolve(writer, &root);
    ri_writer_release(writer);
    CHECK_RC(test_check_tree(store, &root, 1, 1, 200, &test_err), RILLE_OK);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* Leaves of more than a pack, in two levels, and a second commit that refers to packs of the first. */
TEST(writer__fills_several_packs)
{
    enum { LEAVES = 1400, LEAF_LEN = 100001 }; /* odd seeds: noise */
    test_dir dir = test_dir_new();
    ri_store *store = open_store(test_join("file:", dir.path, "/db").text, 1 << 20);
    ri_writer *writer = new_writer(store);
    static ri_noderef leaves[LEAVES];
    ri_noderef branches[2];
    ri_noderef root;
    for (size_t i = 0; i < LEAVES; i++) {
        CHECK_RC(test_put_leaf(writer, 2 * i + 1, LEAF_LEN, &leaves[i], &test_err), RILLE_OK);
    }
    CHECK_RC(test_put_branch(writer, 1, leaves, LEAVES / 2, &branches[0], &test_err), RILLE_OK);
    CHECK_RC(test_put_branch(writer, 1, leaves + LEAVES / 2, LEAVES / 2, &branches[1], &test_err), RILLE_OK);
    CHECK_RC(test_put_branch(writer, 2, branches, 2, &root, &test_err), RILLE_OK);
    CHECK(ri_addr_is_zero(root.pack)); /* not before the seal */
    CHECK(!ri_addr_is_zero(leaves[0].pack) || leaves[0].len == 0);
    CHECK_RC(ri_writer_seal(writer, &test_err), RILLE_OK);
    ri_writer_resolve(writer, &root);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    CHECK(ri_writer_bytes(writer) > 2 * RI_PACK_BYTES_TARGET);
    ri_writer_release(writer);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.puts, 3);
    uint64_t reads = stats.get_ranges;

    /* the second commit shares both branches */
    test_node *top;
    ri_noderef again;
    CHECK_RC(test_get(store, &root, NULL, &top, &test_err), RILLE_OK);
    writer = new_writer(store);
    CHECK_RC(test_put_branch(writer, 3, top->children, 2, &again, &test_err), RILLE_OK);
    CHECK_RC(test_set_head(store, "main", "y", 1, writer, &test_err), RILLE_OK);
    ri_writer_resolve(writer, &again);
    ri_writer_release(writer);
    test_node_release(top);
    CHECK_RC(test_get(store, &again, NULL, &top, &test_err), RILLE_OK);
    for (size_t i = 0; i < 2; i++) {
        test_node *branch;
        CHECK_RC(test_get(store, &top->children[i], NULL, &branch, &test_err), RILLE_OK);
        for (size_t j = 0; j < LEAVES / 2; j += 100) {
            test_node *leaf;
            CHECK_RC(test_get(store, &branch->children[j], NULL, &leaf, &test_err), RILLE_OK);
            CHECK(leaf->len > LEAF_LEN && ri_load_u64(leaf->bytes + 3) == 2 * (i * LEAVES / 2 + j) + 1);
            test_node_release(leaf);
        }
        test_node_release(branch);
    }
    test_node_release(top);
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.get_ranges - reads, 1 + 1 + 2 + 14); /* every locator led straight there */
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(writer__puts_many_blobs_in_batches)
{
    enum { BLOBS = 30, BLOB_LEN = 1000001 };
    ri_store *store = open_store("mem:", 1);
    ri_writer *writer = new_writer(store);
    static uint8_t bytes[BLOB_LEN];
    static uint8_t addrs[BLOBS][RI_HASH_SIZE];
    for (size_t i = 0; i < BLOBS; i++) {
        memset(bytes, (int)i, sizeof bytes);
        CHECK_RC(ri_writer_put_blob(writer, bytes, sizeof bytes - i, addrs[i], &test_err), RILLE_OK);
    }
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.puts, BLOBS);
    for (size_t i = 0; i < BLOBS; i++) {
        ri_blob *blob;
        memset(bytes, (int)i, sizeof bytes);
        REQUIRE_RC(ri_store_get_blob(store, addrs[i], NULL, &blob, &test_err), RILLE_OK);
        CHECK_EQ_MEM(blob->bytes, blob->len, bytes, sizeof bytes - i);
        ri_object_release(&blob->object);
    }
    ri_writer_release(writer);
    ri_store_release(store);
}

TEST(writer__refuses_what_is_too_long)
{
    ri_store *store = open_store("mem:", 0);
    ri_writer *writer = new_writer(store);
    uint8_t *bytes = calloc(1, RI_BLOB_BYTES_MAX + 1);
    ri_noderef ref;
    uint8_t addr[RI_HASH_SIZE];
    REQUIRE(bytes != NULL);
    CHECK_RC(ri_writer_put_node(writer, 0, bytes, RI_NODE_BYTES_MAX + 1, NULL, 0, &ref, &test_err), RILLE_LIMIT);
    CHECK_RC(ri_writer_put_blob(writer, bytes, RI_BLOB_BYTES_MAX + 1, addr, &test_err), RILLE_LIMIT);
    CHECK_RC(ri_writer_put_blob(writer, bytes, RI_BLOB_BYTES_MAX, addr, &test_err), RILLE_OK); /* goes on */
    free(bytes);
    ri_writer_release(writer);
    ri_store_release(store);
}

/* A call that failed leaves a writer that only fails, and a store that still has its old head. */
TEST(writer__stops_after_a_failure)
{
    for (uint64_t at = 0; at < 3; at++) {
        ri_fault_plan plan = { .fault = RI_FAULT_FULL, .slots = RI_SLOT_PUT | RI_SLOT_HEAD_SWAP, .at = at };
        rille_backend inner;
        rille_backend outer;
        ri_store *store;
        REQUIRE_RC(ri_backend_memory_open("", true, &inner, &test_err), RILLE_OK);
        REQUIRE_RC(ri_backend_faulty_wrap(&inner, &plan, &outer, &test_err), RILLE_OK);
        REQUIRE_RC(ri_store_open_backend(&outer, "faulty:mem:", 0, &store, &test_err), RILLE_OK);
        ri_writer *writer = new_writer(store);
        static uint8_t bytes[9 << 20];
        uint8_t addr[RI_HASH_SIZE];
        int rc = RILLE_OK;
        for (size_t i = 0; i < 2 && rc == RILLE_OK; i++) {
            bytes[0] = (uint8_t)i;
            rc = ri_writer_put_blob(writer, bytes, sizeof bytes, addr, &test_err);
        }
        CHECK_RC(rc, at < 2 ? RILLE_FULL : RILLE_OK);
        CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_FULL);
        if (at < 2) {
            CHECK_RC(ri_writer_put_blob(writer, bytes, 1, addr, &test_err), RILLE_FULL);
        } else { /* the head alone failed: it can be tried again */
            CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
        }
        ri_writer_release(writer);
        ri_store_release(store);
    }
}

static const char *sweep_url;

static int write_tree_and_drop(void)
{
    ri_store *store;
    ri_store_options options = { .create = true };
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    int rc = ri_store_open(sweep_url, &options, &store, NULL);
    if (rc == RILLE_OK) {
        rc = test_write_tree(store, 1, 20, 100, &root, &offset, &len, NULL);
        rc = rc == RILLE_OK ? test_check_tree(store, &root, 1, 20, 100, NULL) : rc;
        ri_store_release(store);
    }
    return rc;
}

TEST(writer__copes_without_memory)
{
    test_dir dir = test_dir_fast();
    test_text file = test_join("file:", dir.path, "/db");
    sweep_url = "mem:";
    TEST_FAULT_SWEEP(write_tree_and_drop());
    sweep_url = file.text;
    TEST_FAULT_SWEEP(write_tree_and_drop());
    test_dir_remove(dir.path);
}

/* In slices, as often as its bytes need them; however long it is, it is read as it was put. */
TEST(writer__puts_a_blob_in_slices)
{
    enum { SLICE = 128 * 1024, LEN_MAX = 5 * SLICE + 1 };
    static const size_t lens[] = { 0, 1, 4711, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, LEN_MAX };
    uint8_t *bytes = ri_alloc(LEN_MAX);
    REQUIRE(bytes != NULL);
    test_dir dir = test_dir_fast();
    for (int packs = 0; packs < 2; packs++) {
        ri_store *store = open_store(packs != 0 ? test_join("file:", dir.path, "/db").text : "mem:", 0);
        ri_writer *writer = new_writer(store);
        for (size_t i = 0; i < LEN_MAX; i++) {
            bytes[i] = (uint8_t)(packs != 0 ? i % 7 : ri_mix64(i));
        }
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            uint8_t addr[RI_HASH_SIZE];
            uint8_t expected[RI_HASH_SIZE];
            unsigned steps = 1;
            int rc;
            while ((rc = ri_writer_put_blob_step(writer, bytes, lens[i], addr, &test_err)) == RILLE_AGAIN) {
                steps++;
            }
            REQUIRE_RC(rc, RILLE_OK);
            ri_blake2b(expected, bytes, lens[i]);
            CHECK(memcmp(addr, expected, RI_HASH_SIZE) == 0);
            CHECK(lens[i] <= SLICE ? steps == 1
                                   : steps > (packs != 0 ? 2 : 1) * ((lens[i] - 1) / SLICE)); /* hashed; packed */
        }
        CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            uint8_t addr[RI_HASH_SIZE];
            ri_blob *blob = NULL;
            ri_io io = { 0 };
            ri_blake2b(addr, bytes, lens[i]);
            REQUIRE_RC(ri_store_get_blob(store, addr, &io, &blob, &test_err), RILLE_OK);
            CHECK(blob->len == lens[i] && memcmp(blob->bytes, bytes, lens[i]) == 0);
            ri_object_release(&blob->object);
            ri_io_deinit(&io);
        }
        ri_writer_release(writer);
        ri_store_release(store);
    }
    ri_free(bytes);
    test_dir_remove(dir.path);
}

TEST_MAIN(writer__puts_a_blob_in_slices, writer__waits_only_between_steps, writer__round_trips_a_tree_through_rows,
          writer__round_trips_a_tree_through_a_pack, writer__gives_the_same_pack_for_the_same_nodes,
          writer__stores_equal_nodes_once, writer__puts_the_upper_levels_last,
          writer__without_nodes_writes_the_head_alone, writer__takes_blobs_after_the_seal_but_no_nodes,
          writer__keeps_everything_when_the_race_is_lost, writer__fills_several_packs,
          writer__puts_many_blobs_in_batches, writer__refuses_what_is_too_long, writer__stops_after_a_failure,
          writer__copes_without_memory)
