/* SPDX-License-Identifier: MIT
 *
 * Large blobs and nodes are unpacked and checked in slices: interrupted after each slice and at each one in turn, from
 * storage that answers at once, that is fetched, polled and supplied by the host; with wrong bytes; cancelled; and without
 * memory. What is read is the same as at once, and no slice does much.
 */
#include "../src/core/store/inside.h"
#include "test_pauses.h"
#include "test_store_support.h"

enum { SLICE = 64 * 1024, BLOBS = 8, STEPS_MAX = 5000, NODE_PAYLOAD = 700000, LEAVES = 2 };

static const size_t lens[BLOBS] = { 1000,          2 * SLICE,       2 * SLICE + 1, 3 * SLICE,
                                    7 * SLICE - 1, 10 * SLICE + 77, 1 << 20,       4 << 20 };

typedef enum way { NEAR, FETCHED, POLLED, SUPPLIED, WAYS } way;

typedef struct fixture {
    test_dir dir;
    test_text near;
    test_text far;
    uint8_t *bytes;
    uint8_t addrs[2 * BLOBS][RI_HASH_SIZE]; /* even, then uneven bytes */
    ri_noderef root;
    ri_noderef leaf;
    ri_noderef other;
} fixture;

static ri_store *open_store(const char *url)
{
    ri_store *store;
    ri_store_options options = { .create = true, .cache_bytes = 1 };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), RILLE_OK);
    return store;
}

static void fill(fixture *f, size_t len, bool even)
{
    for (size_t i = 0; i < len; i += 8) {
        ri_store_u64(f->bytes + i, even ? ri_mix64(i) : i / 64 % 1000);
    }
}

static fixture new_fixture(void)
{
    fixture f = { .dir = test_dir_fast() };
    f.near = test_join("file:", f.dir.path, "/db");
    f.far = test_join("deferred:file:", f.dir.path, "/db");
    f.bytes = ri_alloc(lens[BLOBS - 1] + 8);
    REQUIRE(f.bytes != NULL);
    ri_store *store = open_store(f.near.text);
    ri_writer *writer = NULL;
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    for (unsigned i = 0; i < 2 * BLOBS; i++) {
        fill(&f, lens[i % BLOBS], i < BLOBS);
        REQUIRE_RC(ri_writer_put_blob(writer, f.bytes, lens[i % BLOBS], f.addrs[i], &test_err), RILLE_OK);
    }
    REQUIRE_RC(test_set_head(store, "main", "x", 1, writer, &test_err), RILLE_OK);
    ri_writer_release(writer);
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(test_write_tree(store, 1, LEAVES, NODE_PAYLOAD, &f.root, &offset, &len, &test_err), RILLE_OK);
    ri_object *root = NULL;
    REQUIRE_RC(ri_store_get(store, &f.root, test_node_decode, NULL, &root, &test_err), RILLE_OK);
    f.leaf = ((const test_node *)root)->children[1];
    f.other = ((const test_node *)root)->children[0];
    ri_object_release(root);
    ri_store_release(store);
    return f;
}

static void end_fixture(fixture *f)
{
    ri_free(f->bytes);
    test_dir_remove(f->dir.path);
}

/* ---- a read in a task ---- */

typedef struct reading {
    const fixture *f;
    ri_store *store;
    ri_store *host; /* where the host has its bytes from */
    way how;
    unsigned object; /* of blobs; 2 * BLOBS: the node */
    unsigned wrong;  /* so often the host supplies wrong bytes */
    pauses pauses;
    ri_task task;
} reading;

static reading begin(const fixture *f, way how, unsigned object, unsigned at)
{
    reading r = { .f = f, .how = how, .object = object, .pauses = { .at = at } };
    r.host = open_store(f->near.text);
    r.store = open_store(how == NEAR ? f->near.text : f->far.text);
    return r;
}

static void end(reading *r)
{
    ri_task_deinit(&r->task);
    ri_store_release(r->store);
    ri_store_release(r->host);
}

static size_t len_of(const reading *r)
{
    return r->object < 2 * BLOBS ? lens[r->object % BLOBS] : NODE_PAYLOAD;
}

/* Twice, as code does that runs again: the second time it is at hand. */
static int get(const reading *r, rille_err *err)
{
    ri_io io = { 0 };
    ri_object *object = NULL;
    ri_noderef ref = r->f->leaf;
    if (r->object < 2 * BLOBS) {
        ref = (ri_noderef){ 0 };
        memcpy(ref.addr, r->f->addrs[r->object], RI_HASH_SIZE);
    }
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        rc = ri_store_get(r->store, &ref, r->object < 2 * BLOBS ? NULL : test_node_decode, &io, &object, err);
        if (rc == 0) {
            uint8_t hash[RI_HASH_SIZE];
            const ri_blob *blob = (const ri_blob *)object;
            const test_node *node = (const test_node *)object;
            ri_blake2b(hash, r->object < 2 * BLOBS ? blob->bytes : node->bytes,
                       r->object < 2 * BLOBS ? blob->len : node->len);
            CHECK(memcmp(hash, ref.addr, RI_HASH_SIZE) == 0);
            ri_object_release(object);
        }
    }
    ri_io_deinit(&io);
    return rc;
}

static int step(reading *r)
{
    r->task.interrupt = pauses_interrupt;
    r->task.interrupt_context = &r->pauses;
    ri_task *outer = ri_task_enter(&r->task);
    int rc = get(r, &test_err);
    return ri_task_leave(&r->task, outer, rc, &test_err);
}

static int supply(reading *r)
{
    rille_get wanted = ri_io_request(&r->task.io, 0);
    RI_TRY(ri_store_get_now(r->host, &wanted, 1, true, &test_err));
    RI_TRY(wanted.rc);
    if (r->wrong > 0) {
        r->wrong--;
        wanted.bytes[wanted.bytes_len / 2] ^= 1;
    }
    int rc = ri_io_supply(&r->task.io, 0, wanted.bytes, wanted.bytes_len, &test_err);
    ri_free(wanted.bytes);
    return rc;
}

static int serve(reading *r)
{
    int rc = RILLE_NEED;
    switch (r->how) {
    case NEAR:
    case WAYS:
        return RILLE_MISUSE;
    case FETCHED:
        return ri_task_fetch(&r->task, &test_err);
    case POLLED:
        for (unsigned i = 0; i < STEPS_MAX && rc == RILLE_NEED; i++) {
            rc = ri_task_poll(&r->task, &test_err);
        }
        return rc;
    case SUPPLIED:
        return supply(r);
    }
    return rc;
}

static int run(reading *r)
{
    int rc = RILLE_AGAIN;
    for (unsigned i = 0; i < STEPS_MAX && rc == RILLE_AGAIN; i++) {
        rc = step(r);
        if (rc == RILLE_NEED) {
            rc = serve(r);
            rc = rc == 0 ? RILLE_AGAIN : rc;
        }
    }
    CHECK(r->task.work_max <= RI_TASK_WORK);
    return rc;
}

/* ---- tests ---- */

TEST(arrival__is_checked_in_slices)
{
    fixture f = new_fixture();
    for (way how = NEAR; how < WAYS; how++) {
        for (unsigned object = 0; object <= 2 * BLOBS; object++) {
            reading r = begin(&f, how, object, EACH);
            CHECK_RC(run(&r), RILLE_OK);
            size_t len = len_of(&r);
            CHECK_EQ_INT(r.pauses.count, len <= 2 * SLICE ? 0 : (len - 1) / SLICE);
            unsigned units = r.pauses.count;
            end(&r);
            for (unsigned at = 0; at < units; at += units / 6 + 1) {
                r = begin(&f, how, object, at);
                CHECK_RC(run(&r), RILLE_OK);
                CHECK_EQ_INT(r.pauses.count, 1);
                end(&r);
            }
        }
    }
    end_fixture(&f);
}

/* Cancelled at a slice, or left there. */
TEST(arrival__leaves_nothing_behind)
{
    fixture f = new_fixture();
    for (way how = NEAR; how < WAYS; how++) {
        for (unsigned at = 0; at < 6; at++) {
            reading r = begin(&f, how, BLOBS + 4 + at % 2, at);
            int rc = step(&r);
            if (rc == RILLE_NEED) {
                CHECK_RC(serve(&r), RILLE_OK);
                rc = step(&r);
            }
            CHECK_RC(rc, RILLE_AGAIN);
            if (at % 2 == 0) {
                ri_task_cancel(&r.task);
                CHECK_RC(step(&r), RILLE_CANCELLED);
            }
            end(&r);
        }
    }
    end_fixture(&f);
}

/* The host learns of it when it supplies them again. */
TEST(arrival__refuses_wrong_bytes_of_the_host)
{
    fixture f = new_fixture();
    static const unsigned objects[] = { 0, 6, BLOBS + 6, 2 * BLOBS };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        reading r = begin(&f, SUPPLIED, objects[i], EACH);
        r.wrong = 2;
        CHECK_RC(run(&r), RILLE_CORRUPT);
        CHECK(strstr(test_err.message, "the bytes that were supplied for") != NULL);
        r.wrong = 0;
        CHECK_RC(supply(&r), RILLE_OK);
        CHECK_RC(run(&r), RILLE_OK);
        end(&r);
        r = begin(&f, SUPPLIED, objects[i], EACH);
        r.wrong = 1;
        CHECK_RC(run(&r), len_of(&r) <= 2 * SLICE ? RILLE_CORRUPT : RILLE_OK);
        end(&r);
    }
    end_fixture(&f);
}

static test_text blob_path(const fixture *f, unsigned i)
{
    char hex[2 * RI_HASH_SIZE + 1];
    char shard[5] = "";
    ri_hex(hex, f->addrs[i], RI_HASH_SIZE);
    (void)snprintf(shard, sizeof shard, "%.2s/", hex);
    test_text dir = test_join(f->dir.path, "/db/blobs/", shard);
    return test_join(dir.text, hex, "");
}

/* Damage is found, and told as where all is read at once; a node is found by the footers. */
TEST(arrival__finds_damage)
{
    fixture f = new_fixture();
    test_text from = blob_path(&f, 6);
    f.addrs[6][3] ^= 1; /* the same blob is there under another name */
    test_text to = blob_path(&f, 6);
    size_t len;
    uint8_t *stored = test_file_read(from.text, &len);
    REQUIRE(stored != NULL && test_file_write(to.text, stored, len));
    free(stored);
    f.leaf.offset = f.other.offset; /* another node is there */
    f.leaf.len = f.other.len;
    for (way how = NEAR; how < WAYS; how++) {
        rille_err at_once = { 0 };
        reading r = begin(&f, how, 6, EACH);
        reading plain = begin(&f, NEAR, 6, EACH);
        CHECK_RC(get(&plain, &at_once), RILLE_CORRUPT);
        CHECK_RC(run(&r), RILLE_CORRUPT);
        CHECK(how == SUPPLIED || strstr(test_err.message, "is corrupt (its bytes do not match its address)") != NULL);
        CHECK(how != NEAR || strcmp(test_err.message, at_once.message) == 0);
        end(&plain);
        end(&r);
        if (how != SUPPLIED) {
            r = begin(&f, how, 2 * BLOBS, EACH);
            CHECK_RC(run(&r), RILLE_OK);
            end(&r);
        }
    }
    end_fixture(&f);
}

static const fixture *swept;
static way sweeps;

static int read_without_memory(void)
{
    reading r = { .f = swept, .how = sweeps, .object = 2 * BLOBS - 4, .pauses = { .at = EACH } };
    ri_store_options options = { .cache_bytes = 1 };
    int rc = ri_store_open(swept->near.text, &options, &r.host, &test_err);
    rc = rc == 0 ? ri_store_open(sweeps == NEAR ? swept->near.text : swept->far.text, &options, &r.store, &test_err)
                 : rc;
    rc = rc == 0 ? run(&r) : rc;
    ri_task_deinit(&r.task);
    if (r.store != NULL) {
        ri_store_release(r.store);
    }
    if (r.host != NULL) {
        ri_store_release(r.host);
    }
    return rc;
}

TEST(arrival__copes_without_memory)
{
    fixture f = new_fixture();
    swept = &f;
    for (sweeps = NEAR; sweeps < WAYS; sweeps++) {
        TEST_FAULT_SWEEP(read_without_memory());
    }
    end_fixture(&f);
}

TEST_MAIN(arrival__is_checked_in_slices, arrival__leaves_nothing_behind, arrival__refuses_wrong_bytes_of_the_host,
          arrival__finds_damage, arrival__copes_without_memory)
