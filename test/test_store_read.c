/* SPDX-License-Identifier: MIT
 *
 * Reading through damage, deferred backends and hosts that fetch themselves.
 */
#include "../src/core/store/backends.h"
#include "../src/core/store/pack.h"
#include "../src/core/store/packs.h"
#include "test_store_support.h"
#include "test_threads.h"

#define LEAVES 20
#define PAYLOAD 200

typedef struct fixture {
    test_dir dir;
    test_text url;
    test_text pack_path;
    ri_noderef root;
    uint64_t region_offset;
    uint64_t region_len;
} fixture;

static ri_store *open_store(const char *url, bool create, size_t cache_bytes)
{
    ri_store *store;
    ri_store_options options = { .create = create, .cache_bytes = cache_bytes };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    return store;
}

/* A file: database with one tree in one pack. */
static fixture new_fixture(void)
{
    fixture f = { .dir = test_dir_fast() };
    f.url = test_join("file:", f.dir.path, "/db");
    ri_store *store = open_store(f.url.text, true, 0);
    REQUIRE_RC(test_write_tree(store, 1, LEAVES, PAYLOAD, &f.root, &f.region_offset, &f.region_len, &test_err),
               RILLE_OK);
    ri_store_release(store);
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, f.root.pack, RI_HASH_SIZE);
    f.pack_path = test_join(f.dir.path, "/db/packs/", hex);
    strcat(f.pack_path.text, ".pack");
    return f;
}

static void end_fixture(const fixture *f)
{
    test_dir_remove(f->dir.path);
}

static int check_tree(ri_store *store, const ri_noderef *root)
{
    return test_check_tree(store, root, 1, LEAVES, PAYLOAD, &test_err);
}

/* ---- locators ---- */

TEST(read__needs_one_read_a_node_and_none_again)
{
    fixture f = new_fixture();
    ri_store *store = open_store(f.url.text, false, 0);
    ri_store_stats stats;
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.get_ranges, LEAVES + 1);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.get_ranges, LEAVES + 1);
    CHECK_EQ_INT(stats.cache_hits, LEAVES + 1);
    ri_store_release(store);
    end_fixture(&f);
}

TEST(read__finds_nodes_by_footers_when_locators_lead_nowhere)
{
    fixture f = new_fixture();
    for (unsigned way = 0; way < 5; way++) {
        ri_store *store = open_store(f.url.text, false, 1);
        ri_noderef root = f.root;
        switch (way) {
        case 0: /* never had one */
            memset(root.pack, 0, sizeof root.pack);
            root.offset = root.len = 0;
            break;
        case 1: /* another pack, which is not there */
            root.pack[3] ^= 1;
            break;
        case 2:
            root.offset -= 1;
            break;
        case 3:
            root.len = UINT32_MAX;
            break;
        default:
            root.offset = UINT64_MAX;
            break;
        }
        CHECK_RC(check_tree(store, &root), RILLE_OK);
        root.addr[0] ^= 1;
        CHECK_RC(check_tree(store, &root), way == 1 ? RILLE_NOTFOUND : way == 0 ? RILLE_NOTFOUND : RILLE_CORRUPT);
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, root.addr, RI_HASH_SIZE);
        CHECK(strstr(test_err.message, hex) != NULL && strstr(test_err.message, f.url.text) != NULL);
        ri_store_release(store);
    }
    end_fixture(&f);
}

/* The pack was written anew under another name: what rewriting packs will do. */
TEST(read__follows_nodes_into_packs_that_came_later)
{
    fixture f = new_fixture();
    ri_store *reader = open_store(f.url.text, false, 1);
    ri_noderef nowhere = f.root;
    nowhere.addr[0] ^= 1;
    CHECK_RC(check_tree(reader, &nowhere), RILLE_CORRUPT); /* footers are known now */
    ri_store *writer = open_store(f.url.text, false, 1);
    ri_noderef other;
    uint64_t offset;
    uint64_t len;
    /* the same leaves and five more: another pack that has the old leaves too */
    CHECK_RC(test_write_tree(writer, 1, LEAVES + 5, PAYLOAD, &other, &offset, &len, &test_err), RILLE_OK);
    CHECK(unlink(f.pack_path.text) == 0);
    ri_noderef lost = other;
    memset(lost.pack, 0, sizeof lost.pack);
    CHECK_RC(test_check_tree(reader, &lost, 1, LEAVES + 5, PAYLOAD, &test_err), RILLE_OK);
    ri_store_release(reader);
    ri_store_release(writer);
    reader = open_store(f.url.text, false, 1);
    CHECK_RC(check_tree(reader, &f.root), RILLE_NOTFOUND); /* the old root is in no pack */
    ri_store_release(reader);
    end_fixture(&f);
}

/* ---- damage: every byte ---- */

/* Reads all with the pack's bytes as they are. Right bytes or an error, never anything else. */
static void check_damaged(const fixture *f, uint64_t *good)
{
    ri_store *store = open_store(f->url.text, false, 1);
    int rc = check_tree(store, &f->root);
    *good += rc == RILLE_OK;
    if (rc != RILLE_OK) {
        CHECK(rc == RILLE_CORRUPT || rc == RILLE_NOTFOUND);
        CHECK(test_err.message[0] != '\0');
    }
    ri_io io = { 0 };
    CHECK_RC(ri_store_warm(store, f->root.pack, f->region_offset, f->region_len, test_node_decode, &io), RILLE_OK);
    CHECK_RC(ri_store_warm(store, f->root.pack, 0, 5000, test_node_decode, &io), RILLE_OK);
    ri_io_deinit(&io);
    ri_store_release(store);
}

TEST(read__of_a_pack_with_a_flipped_bit_is_right_or_fails)
{
    fixture f = new_fixture();
    size_t len;
    uint64_t good = 0;
    uint8_t *bytes = test_file_read(f.pack_path.text, &len);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        uint8_t bit = (uint8_t)(1U << i % 8);
        bytes[i] ^= bit;
        REQUIRE(test_file_write(f.pack_path.text, bytes, len));
        check_damaged(&f, &good);
        bytes[i] ^= bit;
    }
    /* header, footer and locators are not needed to read right bytes */
    CHECK(good >= LEAVES * RI_PACK_ROW_SIZE);
    CHECK(good < len);
    free(bytes);
    end_fixture(&f);
}

TEST(read__of_a_truncated_pack_is_right_or_fails)
{
    fixture f = new_fixture();
    size_t len;
    uint64_t good = 0;
    uint8_t *bytes = test_file_read(f.pack_path.text, &len);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        REQUIRE(test_file_write(f.pack_path.text, bytes, i));
        check_damaged(&f, &good);
    }
    CHECK_EQ_INT(good, len - (f.region_offset + f.region_len)); /* only the footer is missing */
    free(bytes);
    end_fixture(&f);
}

/* ---- faults ---- */

static ri_store *open_faulty(const char *path, ri_fault_plan *plan)
{
    rille_backend inner;
    rille_backend outer;
    ri_store *store;
    REQUIRE_RC(ri_backend_file_open(path, false, &inner, &test_err), RILLE_OK);
    REQUIRE_RC(ri_backend_faulty_wrap(&inner, plan, &outer, &test_err), RILLE_OK);
    REQUIRE_RC(ri_store_open_backend(&outer, "faulty", 1, &store, &test_err), RILLE_OK);
    return store;
}

TEST(read__copes_with_every_fault_at_every_call)
{
    fixture f = new_fixture();
    test_text path = test_join(f.dir.path, "/db", "");
    for (ri_fault fault = RI_FAULT_IO; fault <= RI_FAULT_DELAY; fault = (ri_fault)(fault + 1)) {
        for (uint64_t at = 0; at <= LEAVES; at++) {
            ri_fault_plan plan = { .fault = fault, .slots = RI_SLOT_GET, .at = at, .bit = at * 37 + 40 };
            ri_store *store = open_faulty(path.text, &plan);
            int rc = check_tree(store, &f.root);
            /* a slow backend is asked for many at once, so there are fewer calls */
            bool may_pass = fault == RI_FAULT_DELAY;
            CHECK(plan.hits > 0 || may_pass);
            CHECK(may_pass ? rc == RILLE_OK : rc < 0);
            plan.fault = RI_FAULT_NONE;
            CHECK_RC(check_tree(store, &f.root), RILLE_OK); /* and it passes */
            ri_store_release(store);
        }
    }
    end_fixture(&f);
}

TEST(read__takes_a_plan_of_faults_from_the_url)
{
    fixture f = new_fixture();
    ri_store *store = open_store(test_join("faulty:io/get/1;", f.url.text, "").text, false, 1);
    CHECK(strncmp(ri_store_url(store), "faulty:file:", 12) == 0);
    CHECK_RC(check_tree(store, &f.root), RILLE_IO);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    ri_store_release(store);
    CHECK_RC(ri_store_open("faulty:fire/get/1;mem:x", NULL, &store, &test_err), RILLE_NOTFOUND);
    ri_store_options options = { .create = true };
    CHECK_RC(ri_store_open("faulty:fire/get/1;mem:", &options, &store, &test_err), RILLE_SYNTAX);
    end_fixture(&f);
}

/* ---- deferred ---- */

TEST(read__over_a_deferred_store_takes_one_round_a_level)
{
    fixture f = new_fixture();
    ri_store *store = open_store(test_join("deferred:", f.url.text, "").text, false, 0);
    CHECK((ri_store_capabilities(store) & RILLE_BACKEND_DEFERRED) != 0);
    ri_io io = { 0 };
    ri_object *object;
    CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    CHECK(object == NULL);
    CHECK_EQ_INT(io.want_count, 1);
    CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK);
    CHECK_EQ_INT(io.want_count, 0);
    REQUIRE_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_OK);
    test_node *branch = (test_node *)object;
    for (size_t i = 0; i < LEAVES; i++) {
        CHECK_RC(ri_store_prefetch(store, &branch->children[i], test_node_decode, &io), RILLE_OK);
        CHECK_RC(ri_store_prefetch(store, &branch->children[i], test_node_decode, &io), RILLE_OK);
    }
    CHECK_EQ_INT(io.want_count, LEAVES);
    CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK);
    CHECK_EQ_INT(io.fetch_count, 2);
    for (size_t i = 0; i < LEAVES; i++) {
        ri_object *leaf;
        CHECK_RC(ri_store_get(store, &branch->children[i], test_node_decode, &io, &leaf, &test_err), RILLE_OK);
        ri_object_release(leaf);
    }
    ri_object_release(object);
    ri_io_deinit(&io);
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    CHECK_EQ_INT(stats.gets, 2);
    CHECK_EQ_INT(stats.get_ranges, LEAVES + 1);
    ri_store_release(store);
    end_fixture(&f);
}

/* By steps; *rounds counts what was waited for. */
static int read_polled(ri_store *store, const ri_noderef *ref, unsigned *rounds)
{
    ri_io io = { 0 };
    ri_object *object = NULL;
    int rc;
    while ((rc = ri_store_get(store, ref, test_node_decode, &io, &object, &test_err)) == RILLE_NEED) {
        while ((rc = ri_io_poll(&io, &test_err)) == RILLE_NEED) {
        }
        (*rounds)++;
        if (rc != RILLE_OK) {
            break;
        }
    }
    ri_object_release(object);
    ri_io_deinit(&io);
    return rc;
}

static uint64_t calls_of(ri_store *store)
{
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    return stats.gets;
}

/* What was damaged on its way is not damaged storage: of a server, it is read once more before that is said. */
TEST(read__of_a_server_is_done_twice_before_it_is_corrupt)
{
    fixture f = new_fixture();
    static const char *const faults[] = { "none/get/0;", "flip/get/0;", "trunc/get/0;", "flip/get/1;", "trunc/get/1;" };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        test_text url = test_join(test_join("deferred:faulty:", faults[i], "").text, f.url.text, "");
        ri_store *store = open_store(url.text, false, 1);
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        CHECK_EQ_INT(calls_of(store), i == 0 ? 2 : 3);
        ri_store_release(store);
        store = open_store(url.text, false, 1);
        unsigned rounds = 0;
        CHECK_RC(read_polled(store, &f.root, &rounds), RILLE_OK);
        CHECK_EQ_INT(rounds, i == 1 || i == 2 ? 2 : 1);
        CHECK_EQ_INT(calls_of(store), rounds);
        ri_store_release(store);
    }
    ri_store *store = open_store(test_join("faulty:flip/get/0;", f.url.text, "").text, false, 1);
    CHECK_RC(check_tree(store, &f.root), RILLE_CORRUPT); /* a disk, on the other hand, is believed */
    ri_store_release(store);
    uint8_t byte = 0;
    FILE *file = fopen(f.pack_path.text, "r+b");
    REQUIRE(file != NULL && fseek(file, (long)f.root.offset + 12, SEEK_SET) == 0 && fread(&byte, 1, 1, file) == 1);
    byte ^= 4;
    REQUIRE(fseek(file, (long)f.root.offset + 12, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1);
    (void)fclose(file);
    store = open_store(test_join("deferred:", f.url.text, "").text, false, 1);
    unsigned rounds = 0;
    CHECK_RC(read_polled(store, &f.root, &rounds), RILLE_CORRUPT);
    CHECK_EQ_INT(rounds, 2);
    CHECK_RC(check_tree(store, &f.root), RILLE_CORRUPT);
    ri_store_release(store);
    end_fixture(&f);
}

/* The cache holds next to nothing: without pins a re-run would never end. */
TEST(read__keeps_what_was_fetched_until_the_io_is_cleared)
{
    fixture f = new_fixture();
    ri_store *store = open_store(test_join("deferred:", f.url.text, "").text, false, 1);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    ri_noderef root = f.root;
    root.pack[0] ^= 1; /* footers over a deferred backend */
    CHECK_RC(check_tree(store, &root), RILLE_OK);
    root.addr[0] ^= 1;
    CHECK_RC(check_tree(store, &root), RILLE_NOTFOUND);
    ri_io io = { 0 };
    test_node *node;
    CHECK_RC(test_get(store, &f.root, &io, &node, &test_err), RILLE_OK);
    test_node_release(node);
    CHECK_EQ_INT(io.pin_count, 1);
    ri_io_clear(&io);
    ri_object *object;
    CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    ri_io_deinit(&io);
    ri_store_release(store);
    end_fixture(&f);
}

TEST(read__fetches_more_wants_than_one_round_takes)
{
    enum { MANY = 2500 };
    test_dir dir = test_dir_fast();
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    ri_store *store = open_store(test_join("deferred:file:", dir.path, "/db").text, true, 1);
    REQUIRE_RC(test_write_tree(store, 1, MANY, 10, &root, &offset, &len, &test_err), RILLE_OK);
    ri_store_stats before;
    ri_store_stats after;
    ri_store_read_stats(store, &before);
    CHECK_RC(test_check_tree(store, &root, 1, MANY, 10, &test_err), RILLE_OK);
    ri_store_read_stats(store, &after);
    CHECK_EQ_INT(after.gets - before.gets, 1 + (MANY + RI_IO_WANTS_MAX - 1) / RI_IO_WANTS_MAX);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

/* Two stores in one io, as a query over two databases has it. */
TEST(read__keeps_the_stores_of_one_io_apart)
{
    fixture f = new_fixture();
    ri_store *rows = open_store("deferred:mem:", true, 1);
    ri_store *packs = open_store(test_join("deferred:", f.url.text, "").text, false, 1);
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(test_write_tree(rows, 1, LEAVES, PAYLOAD, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK_EQ_MEM(root.addr, RI_HASH_SIZE, f.root.addr, RI_HASH_SIZE);
    ri_io io = { 0 };
    ri_object *object;
    CHECK_RC(ri_store_get(rows, &root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    CHECK_RC(ri_store_get(packs, &f.root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    CHECK_EQ_INT(io.want_count, 2);
    CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK);
    CHECK_EQ_INT(io.fetch_count, 2);
    CHECK_RC(ri_store_get(rows, &root, test_node_decode, &io, &object, &test_err), RILLE_OK);
    CHECK(ri_addr_is_zero(((test_node *)object)->children[0].pack));
    ri_object_release(object);
    CHECK_RC(ri_store_get(packs, &f.root, test_node_decode, &io, &object, &test_err), RILLE_OK);
    CHECK(!ri_addr_is_zero(((test_node *)object)->children[0].pack));
    ri_object_release(object);
    ri_io_deinit(&io);
    ri_store_release(rows);
    ri_store_release(packs);
    end_fixture(&f);
}

/* A host that has its own way to fetch, such as cosockets. */
TEST(read__takes_bytes_from_the_host)
{
    fixture f = new_fixture();
    ri_store *store = open_store(test_join("deferred:", f.url.text, "").text, false, 1);
    size_t len;
    uint8_t *pack = test_file_read(f.pack_path.text, &len);
    ri_io io = { 0 };
    ri_object *object;
    CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_NEED);
    rille_get request = ri_io_request(&io, 0);
    CHECK_EQ_INT(request.object.kind, RILLE_OBJECT_PACK);
    CHECK_EQ_MEM(request.object.id, RI_HASH_SIZE, f.root.pack, RI_HASH_SIZE);
    CHECK(request.offset == f.root.offset && request.len == f.root.len);
    CHECK_RC(ri_io_supply(&io, 1, pack, 1, &test_err), RILLE_MISUSE);
    CHECK_RC(ri_io_supply(&io, 0, pack, 100, &test_err), RILLE_CORRUPT);
    CHECK(strstr(test_err.message, "were supplied") != NULL && strstr(test_err.message, "backup") == NULL);
    CHECK_RC(ri_io_supply(&io, 0, pack, 0, &test_err), RILLE_CORRUPT);
    CHECK_RC(ri_io_supply(&io, 0, pack + request.offset, (size_t)request.len, &test_err), RILLE_OK);
    CHECK_RC(ri_io_supply(&io, 0, pack + request.offset, (size_t)request.len, &test_err), RILLE_MISUSE);
    CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_OK);
    test_node *branch = (test_node *)object;
    for (size_t i = 0; i < 3; i++) {
        CHECK_RC(ri_store_prefetch(store, &branch->children[i], test_node_decode, &io), RILLE_OK);
    }
    CHECK_EQ_INT(io.want_count, 3);
    request = ri_io_request(&io, 1);
    CHECK_RC(ri_io_supply(&io, 1, pack + request.offset, (size_t)request.len, &test_err), RILLE_OK);
    ri_object *leaf;
    CHECK_RC(ri_store_get(store, &branch->children[1], test_node_decode, &io, &leaf, &test_err), RILLE_OK);
    ri_object_release(leaf);
    CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK); /* the two that are left */
    CHECK_EQ_INT(io.pin_count, 4);
    ri_object_release(object);
    ri_io_deinit(&io);
    free(pack);
    ri_store_release(store);
    end_fixture(&f);
}

TEST(read__warms_all_branches_in_one_read)
{
    fixture f = new_fixture();
    for (unsigned deferred = 0; deferred < 2; deferred++) {
        ri_store *store = open_store(test_join(deferred ? "deferred:" : "", f.url.text, "").text, false, 0);
        ri_io io = { 0 };
        ri_object *object;
        ri_store_stats stats;
        int rc = ri_store_warm(store, f.root.pack, f.region_offset, f.region_len, test_node_decode, &io);
        CHECK_RC(rc, deferred ? RILLE_NEED : RILLE_OK);
        CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK);
        CHECK_RC(ri_store_warm(store, f.root.pack, f.region_offset, f.region_len, test_node_decode, &io), RILLE_OK);
        CHECK_RC(ri_store_get(store, &f.root, test_node_decode, &io, &object, &test_err), RILLE_OK);
        CHECK_EQ_INT(((test_node *)object)->child_count, LEAVES);
        CHECK(((test_node *)object)->children[7].len > 0);
        ri_object_release(object);
        ri_store_read_stats(store, &stats);
        CHECK(stats.get_ranges <= 2);
        ri_io_clear(&io);
        uint8_t no_pack[RI_HASH_SIZE] = { 1 }; /* a hint that leads nowhere does no harm */
        rc = ri_store_warm(store, no_pack, 5, 500, test_node_decode, &io);
        CHECK_RC(rc, deferred ? RILLE_NEED : RILLE_OK);
        CHECK_RC(ri_io_fetch(&io, &test_err), RILLE_OK);
        CHECK_RC(ri_store_warm(store, no_pack, 5, UINT64_MAX, test_node_decode, &io), RILLE_OK);
        ri_io_deinit(&io);
        ri_store_release(store);
    }
    end_fixture(&f);
}

/* ---- blobs ---- */

TEST(read__tells_blobs_from_nodes_of_the_same_bytes)
{
    ri_store *store = open_store("mem:", true, 0);
    ri_writer *writer;
    ri_noderef leaf;
    uint8_t addr[RI_HASH_SIZE];
    ri_buf bytes = test_node_bytes(0, NULL, 0, 1, 50);
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    CHECK_RC(ri_writer_put_node(writer, 0, bytes.p, bytes.len, NULL, 0, &leaf, &test_err), RILLE_OK);
    CHECK_RC(ri_writer_put_blob(writer, bytes.p, bytes.len, addr, &test_err), RILLE_OK);
    CHECK_EQ_MEM(addr, RI_HASH_SIZE, leaf.addr, RI_HASH_SIZE);
    CHECK_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    for (int round = 0; round < 2; round++) {
        ri_object *object;
        ri_blob *blob;
        CHECK_RC(ri_store_get(store, &leaf, test_node_decode, NULL, &object, &test_err), RILLE_OK);
        CHECK_EQ_MEM(((test_node *)object)->bytes, ((test_node *)object)->len, bytes.p, bytes.len);
        CHECK_RC(ri_store_get_blob(store, addr, NULL, &blob, &test_err), RILLE_OK);
        CHECK_EQ_MEM(blob->bytes, blob->len, bytes.p, bytes.len);
        ri_object_release(object);
        ri_object_release(&blob->object);
    }
    ri_noderef zero = { 0 };
    ri_object *object;
    CHECK_RC(ri_store_get(store, &zero, test_node_decode, NULL, &object, &test_err), RILLE_CORRUPT);
    CHECK_RC(ri_store_get_blob(store, zero.addr, NULL, &(ri_blob *){ NULL }, &test_err), RILLE_CORRUPT);
    ri_buf_deinit(&bytes);
    ri_writer_release(writer);
    ri_store_release(store);
}

/* ---- memory ---- */

static const fixture *sweep_fixture;

static int read_all(const char *prefix)
{
    ri_store *store;
    ri_store_options options = { .cache_bytes = 1 };
    RI_TRY(ri_store_open(test_join(prefix, sweep_fixture->url.text, "").text, &options, &store, NULL));
    ri_noderef root = sweep_fixture->root;
    int rc = test_check_tree(store, &root, 1, LEAVES, PAYLOAD, NULL);
    root.pack[0] ^= 1;
    rc = rc == RILLE_OK ? test_check_tree(store, &root, 1, LEAVES, PAYLOAD, NULL) : rc;
    ri_store_release(store);
    return rc;
}

TEST(read__copes_without_memory)
{
    fixture f = new_fixture();
    sweep_fixture = &f;
    TEST_FAULT_SWEEP(read_all(""));
    TEST_FAULT_SWEEP(read_all("deferred:"));
    end_fixture(&f);
}

/* ---- threads ---- */

typedef struct reader_args {
    ri_store *store;
    const fixture *fixture;
    int rc;
} reader_args;

static void *read_in_thread(void *argument)
{
    reader_args *args = argument;
    for (int i = 0; i < 30 && args->rc == RILLE_OK; i++) {
        args->rc = test_check_tree(args->store, &args->fixture->root, 1, LEAVES, PAYLOAD, NULL);
    }
    return NULL;
}

static void read_by_threads(const fixture *f, const char *prefix, size_t cache_bytes)
{
    enum { THREADS = 4 };
    test_thread threads[THREADS];
    reader_args args[THREADS];
    ri_store *store = open_store(test_join(prefix, f->url.text, "").text, false, cache_bytes);
    for (size_t i = 0; i < THREADS; i++) {
        args[i] = (reader_args){ store, f, RILLE_OK };
        REQUIRE(test_thread_start(&threads[i], read_in_thread, &args[i]));
    }
    for (size_t i = 0; i < THREADS; i++) {
        test_thread_join(&threads[i]);
        CHECK_RC(args[i].rc, RILLE_OK);
    }
    ri_store_release(store);
}

TEST(read__by_many_threads)
{
    fixture f = new_fixture();
    read_by_threads(&f, "", 1);
    read_by_threads(&f, "", 10000);
    read_by_threads(&f, "deferred:", 10000);
    read_by_threads(&f, "faulty:", 10000); /* one thread at a time in the backend */
    end_fixture(&f);
}

/* Known packs stay known when the footer of a new one cannot be read. */
TEST(packs__loses_none_by_a_refresh_that_fails)
{
    test_dir dir = test_dir_fast();
    ri_packs packs;
    ri_store *store;
    ri_noderef root;
    ri_noderef other;
    ri_noderef place;
    uint64_t offset;
    uint64_t len;
    ri_store_options options = { .create = true };
    REQUIRE_RC(ri_store_open(test_join("file:", dir.path, "").text, &options, &store, &test_err), RILLE_OK);
    REQUIRE_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
    ri_packs_init(&packs);
    CHECK_RC(ri_packs_refresh(&packs, store, &test_err), RILLE_OK);
    REQUIRE_RC(test_write_tree(store, 10, 3, 100, &other, &offset, &len, &test_err), RILLE_OK);
    int rc = RILLE_NOMEM;
    for (long long n = 0; rc != RILLE_OK && n < 1000; n++) {
        size_t from = 0;
        atomic_store(&test_state.fail_from, atomic_load(&test_state.allocations) + n);
        atomic_store(&test_state.fail_to, INT64_MAX);
        rc = ri_packs_refresh(&packs, store, &test_err);
        atomic_store(&test_state.fail_from, -1);
        CHECK(rc == RILLE_OK || rc == RILLE_NOMEM);
        CHECK(ri_packs_find(&packs, root.addr, &from, &place));
    }
    size_t from = 0;
    CHECK_RC(rc, RILLE_OK);
    CHECK(ri_packs_find(&packs, other.addr, &from, &place));
    ri_packs_deinit(&packs);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST_MAIN(read__needs_one_read_a_node_and_none_again, read__finds_nodes_by_footers_when_locators_lead_nowhere,
          read__follows_nodes_into_packs_that_came_later, read__of_a_pack_with_a_flipped_bit_is_right_or_fails,
          read__of_a_truncated_pack_is_right_or_fails, read__copes_with_every_fault_at_every_call,
          read__takes_a_plan_of_faults_from_the_url, read__of_a_server_is_done_twice_before_it_is_corrupt,
          read__over_a_deferred_store_takes_one_round_a_level, read__keeps_what_was_fetched_until_the_io_is_cleared,
          read__fetches_more_wants_than_one_round_takes, read__keeps_the_stores_of_one_io_apart,
          read__takes_bytes_from_the_host, read__warms_all_branches_in_one_read,
          read__tells_blobs_from_nodes_of_the_same_bytes, read__copes_without_memory, read__by_many_threads,
          packs__loses_none_by_a_refresh_that_fails)
