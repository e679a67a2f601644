/* SPDX-License-Identifier: MIT
 *
 * Tiers: what they answer, what they do with damage, and that they stay as small as they were told to.
 */
#include "../src/core/store/backends.h"
#include "../src/core/store/backends_shelf.h"
#include "../src/core/store/kept.h"
#include "../src/core/store/tier.h"
#include "test_store_support.h"
#include "test_threads.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define LEAVES 8
#define PAYLOAD 40
#define TIER_BYTES ((uint64_t)1 << 20)
#define FILE_SETS_AT 4096U
#define SET_BYTES (256U * 1024U)
#define SLOTS_BYTES 8192U

typedef struct fixture {
    test_dir dir;
    test_text url;
    test_text tier;      /* file:DIR/cache */
    test_text tier_file; /* DIR/cache/cache.rille */
    ri_noderef root;
    uint64_t region_offset;
    uint64_t region_len;
} fixture;

static fixture new_fixture(void)
{
    fixture f = { .dir = test_dir_fast() };
    f.url = test_join("file:", f.dir.path, "/db");
    f.tier = test_join("file:", f.dir.path, "/cache");
    f.tier_file = test_join(f.dir.path, "/cache/cache.rille", "");
    ri_store *store;
    ri_store_options options = { .create = true };
    REQUIRE_RC(ri_store_open(f.url.text, &options, &store, &test_err), RILLE_OK);
    REQUIRE_RC(test_write_tree(store, 1, LEAVES, PAYLOAD, &f.root, &f.region_offset, &f.region_len, &test_err),
               RILLE_OK);
    ri_store_release(store);
    return f;
}

static void end_fixture(const fixture *f)
{
    test_dir_remove(f->dir.path);
}

static size_t cache_bytes = 1; /* so that nothing is answered from memory */

static int try_open(const char *url, const char *tier, ri_store **out, rille_err *err)
{
    ri_store_options options = { .cache_bytes = cache_bytes, .tier = tier, .tier_bytes_max = TIER_BYTES };
    return ri_store_open(url, &options, out, err);
}

static ri_store *open_tiered(const char *url, const char *tier)
{
    ri_store *store;
    REQUIRE_RC(try_open(url, tier, &store, &test_err), RILLE_OK);
    return store;
}

static int check_tree(ri_store *store, const ri_noderef *root)
{
    return test_check_tree(store, root, 1, LEAVES, PAYLOAD, &test_err);
}

static ri_store_stats stats_of(ri_store *store)
{
    ri_store_stats stats;
    ri_store_read_stats(store, &stats);
    return stats;
}

/* ---- hits ---- */

/* Opened and read twice: the second time nothing is asked of the storage. */
static void check_warm(const fixture *f, const char *url, const char *tier)
{
    ri_store *cold = open_tiered(url, tier);
    CHECK_RC(check_tree(cold, &f->root), RILLE_OK);
    CHECK_EQ_INT(stats_of(cold).get_ranges, LEAVES + 1);
    CHECK_EQ_INT(stats_of(cold).storage.tier_hits, 0);
    ri_store *warm = open_tiered(url, tier);
    CHECK_RC(check_tree(warm, &f->root), RILLE_OK);
    ri_store_stats stats = stats_of(warm);
    CHECK_EQ_INT(stats.get_ranges, 0);
    CHECK_EQ_INT(stats.storage.tier_misses, 0);
    CHECK(stats.storage.tier_hits >= LEAVES + 1);
    CHECK(stats.storage.tier_bytes > 0 && stats.storage.tier_bytes <= TIER_BYTES);
    ri_store_release(cold);
    ri_store_release(warm);
}

TEST(tier__answers_what_another_store_has_read)
{
    fixture f = new_fixture();
    check_warm(&f, f.url.text, f.tier.text);
    check_warm(&f, test_join("deferred:", f.url.text, "").text, "mem:shared");
    check_warm(&f, f.url.text, "mem:shared"); /* which went with its last user */
    test_dir_remove(test_join(f.dir.path, "/cache", "").text);
    check_warm(&f, test_join("deferred:", f.url.text, "").text, f.tier.text);
    end_fixture(&f);
}

TEST(tier__without_a_name_belongs_to_one_store)
{
    fixture f = new_fixture();
    ri_store *first = open_tiered(f.url.text, "mem:");
    CHECK_RC(check_tree(first, &f.root), RILLE_OK);
    ri_store *second = open_tiered(f.url.text, "mem:");
    CHECK_RC(check_tree(second, &f.root), RILLE_OK);
    CHECK_EQ_INT(stats_of(second).get_ranges, LEAVES + 1);
    CHECK_RC(check_tree(second, &f.root), RILLE_OK);
    CHECK_EQ_INT(stats_of(second).get_ranges, LEAVES + 1);
    ri_store_release(first);
    ri_store_release(second);
    end_fixture(&f);
}

/* A region comes from there in one piece, and leads to the nodes that were in it. */
TEST(tier__has_regions_and_long_blobs)
{
    enum { LEN = 200000 };
    fixture f = new_fixture();
    uint8_t *bytes = malloc(LEN);
    uint8_t addr[RI_HASH_SIZE];
    REQUIRE(bytes != NULL);
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (uint8_t)test_random(&rng);
    }
    ri_store *store = open_tiered(f.url.text, "mem:regions");
    ri_writer *writer;
    REQUIRE_RC(ri_writer_new(store, &writer, &test_err), RILLE_OK);
    REQUIRE_RC(ri_writer_put_blob(writer, bytes, LEN, addr, &test_err), RILLE_OK);
    REQUIRE_RC(test_set_head(store, "b", "x", 1, writer, &test_err), RILLE_OK);
    ri_writer_release(writer);
    cache_bytes = 0;
    for (int i = 0; i < 2; i++) {
        ri_store *reader = open_tiered(f.url.text, "mem:regions");
        ri_io io = { 0 };
        ri_blob *blob;
        CHECK_RC(ri_store_warm(reader, f.root.pack, f.region_offset, f.region_len, test_node_decode, &io), RILLE_OK);
        REQUIRE_RC(ri_store_get_blob(reader, addr, &io, &blob, &test_err), RILLE_OK);
        CHECK_EQ_MEM(blob->bytes, blob->len, bytes, LEN);
        CHECK_EQ_INT(stats_of(reader).get_ranges, i == 0 ? 2 : 0);
        ri_object_release(&blob->object);
        ri_io_deinit(&io);
        ri_store_release(reader);
    }
    cache_bytes = 1;
    ri_store_release(store);
    free(bytes);
    end_fixture(&f);
}

TEST(tier__is_passed_by_a_check_of_the_storage)
{
    fixture f = new_fixture();
    ri_store *store = open_tiered(f.url.text, f.tier.text);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    ri_store_pass_tier(store, 1);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    CHECK_EQ_INT(stats_of(store).get_ranges, 2 * (LEAVES + 1));
    ri_store_pass_tier(store, -1);
    CHECK_RC(check_tree(store, &f.root), RILLE_OK);
    CHECK_EQ_INT(stats_of(store).get_ranges, 2 * (LEAVES + 1));
    ri_store_release(store);
    end_fixture(&f);
}

/* ---- damage ---- */

/* Right answers, whatever the file of the tier is; true if all came from the tier. */
static bool check_damaged(const fixture *f)
{
    ri_io io = { 0 };
    ri_store *store = open_tiered(f->url.text, f->tier.text);
    CHECK_RC(check_tree(store, &f->root), RILLE_OK);
    uint64_t ranges = stats_of(store).get_ranges;
    ri_store_release(store);
    cache_bytes = 100000;
    store = open_tiered(f->url.text, f->tier.text);
    CHECK_RC(ri_store_warm(store, f->root.pack, f->region_offset, f->region_len, test_node_decode, &io), RILLE_OK);
    CHECK_RC(check_tree(store, &f->root), RILLE_OK);
    ranges += stats_of(store).get_ranges;
    ri_io_deinit(&io);
    ri_store_release(store);
    cache_bytes = 1;
    return ranges == 0;
}

static uint8_t *fill_and_read(const fixture *f, size_t *len)
{
    (void)check_damaged(f);
    CHECK(check_damaged(f));
    uint8_t *bytes = test_file_read(f->tier_file.text, len);
    REQUIRE(bytes != NULL && *len <= TIER_BYTES);
    return bytes;
}

/* Where the file may matter: its header, what is not zero, and some of the empty slots. */
static bool matters(const uint8_t *bytes, size_t i)
{
    size_t in_set = i < FILE_SETS_AT ? 0 : (i - FILE_SETS_AT) % SET_BYTES;
    return i < 24 || bytes[i] != 0 || (i >= FILE_SETS_AT && in_set < SLOTS_BYTES && in_set % 61 == 0);
}

TEST(tier__with_a_flipped_bit_at_each_position_misses_and_never_fails)
{
    fixture f = new_fixture();
    size_t len;
    size_t tried = 0;
    size_t missed = 0;
    uint8_t *bytes = fill_and_read(&f, &len);
    for (size_t i = 0; i < len; i++) {
        if (matters(bytes, i)) {
            uint8_t bit = (uint8_t)(1U << i % 8);
            bytes[i] ^= bit;
            REQUIRE(test_file_write(f.tier_file.text, bytes, len));
            missed += !check_damaged(&f);
            CHECK(check_damaged(&f)); /* and it is repaired */
            bytes[i] ^= bit;
            tried++;
        }
    }
    CHECK(tried > 1000);
    CHECK(missed > tried / 2 && missed < tried);
    free(bytes);
    end_fixture(&f);
}

TEST(tier__that_is_cut_off_anywhere_misses_and_never_fails)
{
    fixture f = new_fixture();
    size_t len;
    uint8_t *bytes = fill_and_read(&f, &len);
    for (size_t i = 0; i < len; i += i < 64 ? 1 : 4001) {
        REQUIRE(test_file_write(f.tier_file.text, bytes, i));
        (void)check_damaged(&f);
        CHECK(check_damaged(&f));
    }
    free(bytes);
    end_fixture(&f);
}

/* Somebody who knows the form of a cache puts other bytes there. */
TEST(tier__with_forged_bytes_is_not_believed)
{
    fixture f = new_fixture();
    ri_store *store = open_tiered(f.url.text, "mem:forged");
    ri_tier *tier;
    REQUIRE_RC(ri_tier_open("mem:forged", TIER_BYTES, NULL, NULL, 0, &tier, &test_err), RILLE_OK);
    rille_get range = { .object = { .kind = RILLE_OBJECT_PACK }, .offset = f.root.offset, .len = f.root.len };
    memcpy(range.object.id, f.root.pack, RI_HASH_SIZE);
    uint8_t *bytes;
    size_t len;
    for (int way = 0; way < 3; way++) {
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        REQUIRE(ri_tier_get(tier, &range, &bytes, &len));
        CHECK_EQ_INT(len, f.root.len);
        bytes[way == 0 ? 0 : way == 1 ? len / 2 : 9] ^= 1; /* no entry, another node, a locator maybe */
        ri_tier_put(tier, &range, bytes, len);
        ri_free(bytes);
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        REQUIRE(ri_tier_get(tier, &range, &bytes, &len));
        ri_free(bytes);
        ri_store *other = open_tiered(f.url.text, "mem:forged");
        CHECK_RC(check_tree(other, &f.root), RILLE_OK);
        CHECK_EQ_INT(stats_of(other).get_ranges, 0);
        ri_store_release(other);
    }
    ri_tier_close(tier);
    ri_store_release(store);
    end_fixture(&f);
}

/* Its bytes are hostile even before a store whose own are not. */
TEST(tier__before_memory_is_not_trusted_as_memory_is)
{
    ri_store *store;
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    ri_store_options options = { .create = true, .cache_bytes = 1, .tier = "mem:rows", .tier_bytes_max = TIER_BYTES };
    REQUIRE_RC(ri_store_open("mem:trusted", &options, &store, &test_err), RILLE_OK);
    REQUIRE_RC(test_write_tree(store, 1, LEAVES, PAYLOAD, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK_RC(check_tree(store, &root), RILLE_OK);
    ri_tier *tier;
    REQUIRE_RC(ri_tier_open("mem:rows", TIER_BYTES, NULL, NULL, 0, &tier, &test_err), RILLE_OK);
    rille_get range = { .object = { .kind = RILLE_OBJECT_NODE } };
    memcpy(range.object.id, root.addr, RI_HASH_SIZE);
    uint8_t *bytes;
    size_t bytes_len;
    REQUIRE(ri_tier_get(tier, &range, &bytes, &bytes_len));
    bytes[bytes_len - 1] ^= 1;
    ri_tier_put(tier, &range, bytes, bytes_len);
    ri_free(bytes);
    CHECK_RC(check_tree(store, &root), RILLE_OK);
    ri_tier_close(tier);
    ri_store_release(store);
    REQUIRE_RC(ri_store_open("mem:trusted", NULL, &store, &test_err), RILLE_OK);
    REQUIRE_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
}

/* ---- bounds ---- */

static rille_get range_of(uint64_t number)
{
    rille_get range = { .object = { .kind = RILLE_OBJECT_BLOB } };
    ri_store_u64(range.object.id, number);
    return range;
}

static uint64_t bytes_on_disk(const fixture *f)
{
    struct stat info;
    REQUIRE(stat(f->tier_file.text, &info) == 0);
    CHECK(info.st_size <= (off_t)TIER_BYTES);
    return (uint64_t)info.st_blocks * 512;
}

/* Far more than fits, of all sizes; what is used all the time stays. */
static void check_bound(const fixture *f, const char *url)
{
    enum { PUTS = 3000, LEN_MAX = 60000 };
    static uint8_t bytes[LEN_MAX];
    ri_tier *tier;
    test_rng rng = test_rng_new();
    rille_counters counters = { 0 };
    uint8_t *found;
    size_t len;
    size_t kept = 0;
    REQUIRE_RC(ri_tier_open(url, TIER_BYTES, NULL, NULL, 0, &tier, &test_err), RILLE_OK);
    rille_get used = range_of(UINT64_MAX);
    ri_tier_put(tier, &used, bytes, 1000);
    for (uint64_t i = 0; i < PUTS; i++) {
        rille_get range = range_of(i);
        len = (size_t)test_random_below(&rng, i % 7 == 0 ? LEN_MAX : 3000) + 1;
        bytes[0] = (uint8_t)i;
        ri_tier_put(tier, &range, bytes, len);
        ri_tier_count(tier, &counters);
        CHECK(counters.tier_bytes <= TIER_BYTES);
        CHECK(f == NULL || bytes_on_disk(f) <= TIER_BYTES);
        size_t found_len;
        if (ri_tier_get(tier, &range, &found, &found_len)) {
            CHECK(found_len == len && found[0] == (uint8_t)i);
            ri_free(found);
            kept++;
        }
        if (ri_tier_get(tier, &used, &found, &found_len)) {
            ri_free(found);
        } else {
            CHECK(false); /* what is used most is still there */
            ri_tier_put(tier, &used, bytes, 1000);
        }
    }
    CHECK(kept > PUTS - PUTS / 50); /* but those whose pieces drove each other out */
    CHECK(counters.tier_evictions > PUTS / 2);
    ri_tier_close(tier);
}

TEST(tier__stays_within_its_bytes_at_each_insertion_and_keeps_what_is_used)
{
    fixture f = new_fixture();
    check_bound(&f, f.tier.text);
    check_bound(NULL, "mem:bound");
    end_fixture(&f);
}

TEST(tier__takes_the_size_that_was_asked_for_last)
{
    fixture f = new_fixture();
    for (uint64_t bytes_max = TIER_BYTES; bytes_max <= 4 * TIER_BYTES; bytes_max *= 2) {
        ri_tier *tier;
        struct stat info;
        REQUIRE_RC(ri_tier_open(f.tier.text, bytes_max, NULL, NULL, 0, &tier, &test_err), RILLE_OK);
        REQUIRE(stat(f.tier_file.text, &info) == 0);
        CHECK(info.st_size <= (off_t)bytes_max && info.st_size > (off_t)(bytes_max / 2));
        ri_tier_close(tier);
    }
    end_fixture(&f);
}

/* ---- removal ---- */

TEST(tier__can_be_removed_while_it_is_used)
{
    fixture f = new_fixture();
    test_text cache = test_join(f.dir.path, "/cache", "");
    ri_store *store = open_tiered(f.url.text, f.tier.text);
    ri_store *other = open_tiered(f.url.text, f.tier.text);
    for (int i = 0; i < 30; i++) {
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        test_dir_remove(cache.text);
        CHECK_RC(check_tree(other, &f.root), RILLE_OK);
        ri_store_pass_tier(store, 1); /* so that it puts */
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        ri_store_pass_tier(store, -1);
    }
    /* After some puts it is there again, for all. */
    ri_store_pass_tier(other, 1);
    for (int i = 0; i < 20; i++) {
        CHECK_RC(check_tree(other, &f.root), RILLE_OK);
    }
    ri_store *fresh = open_tiered(f.url.text, f.tier.text);
    CHECK_RC(check_tree(fresh, &f.root), RILLE_OK);
    CHECK_EQ_INT(stats_of(fresh).get_ranges, 0);
    ri_store_release(fresh);
    ri_store_release(store);
    ri_store_release(other);
    end_fixture(&f);
}

/* ---- processes ---- */

/* Reads and puts, until it is killed: small things, large ones, and the tree. */
static void work(const fixture *f, uint64_t seed)
{
    static uint8_t bytes[70000];
    ri_tier *tier;
    ri_store *store;
    test_rng rng = { seed };
    if (ri_tier_open(f->tier.text, TIER_BYTES, NULL, NULL, 0, &tier, NULL) != RILLE_OK ||
        try_open(f->url.text, f->tier.text, &store, NULL) != RILLE_OK) {
        _exit(3);
    }
    for (;;) {
        uint64_t number = test_random_below(&rng, 300);
        rille_get range = range_of(number);
        size_t len = (size_t)(number * 211 + 1);
        uint8_t *found;
        size_t found_len;
        memset(bytes, (int)number, len);
        if (ri_tier_get(tier, &range, &found, &found_len)) {
            if (found_len != len || memcmp(found, bytes, len) != 0) {
                _exit(4); /* a wrong answer */
            }
            ri_free(found);
        } else {
            ri_tier_put(tier, &range, bytes, len);
        }
        if (number == 0 && test_check_tree(store, &f->root, 1, LEAVES, PAYLOAD, NULL) != RILLE_OK) {
            _exit(5);
        }
    }
}

TEST(tier__is_shared_by_processes_that_are_killed_at_any_time)
{
    enum { ROUNDS = 40, CHILDREN = 3 };
    fixture f = new_fixture();
    test_rng rng = test_rng_new();
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[CHILDREN];
        for (int i = 0; i < CHILDREN; i++) {
            children[i] = fork();
            REQUIRE(children[i] >= 0);
            if (children[i] == 0) {
                work(&f, (uint64_t)round * CHILDREN + (uint64_t)i);
            }
        }
        (void)poll(NULL, 0, (int)test_random_below(&rng, 20));
        for (int i = 0; i < CHILDREN; i++) {
            int status;
            CHECK(kill(children[i], SIGKILL) == 0);
            CHECK(waitpid(children[i], &status, 0) == children[i]);
            CHECK(WIFSIGNALED(status));
        }
        (void)check_damaged(&f);
        CHECK(bytes_on_disk(&f) <= TIER_BYTES);
    }
    end_fixture(&f);
}

#define THREADS 4

typedef struct reader {
    const fixture *f;
    ri_store *store;
    int wrong;
} reader;

static void *read_often(void *argument)
{
    reader *r = argument;
    for (int i = 0; i < 100; i++) {
        rille_err err;
        r->wrong += test_check_tree(r->store, &r->f->root, 1, LEAVES, PAYLOAD, &err) != RILLE_OK;
    }
    return NULL;
}

TEST(tier__serves_threads)
{
    fixture f = new_fixture();
    const char *tiers[] = { f.tier.text, "mem:threads" };
    for (size_t k = 0; k < 2; k++) {
        ri_store *store = open_tiered(f.url.text, tiers[k]);
        reader readers[THREADS];
        test_thread threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            readers[i] = (reader){ &f, store, 0 };
            REQUIRE(test_thread_start(&threads[i], read_often, &readers[i]));
        }
        for (int i = 0; i < THREADS; i++) {
            test_thread_join(&threads[i]);
            CHECK_EQ_INT(readers[i].wrong, 0);
        }
        ri_store_release(store);
    }
    end_fixture(&f);
}

/* ---- storage that answers later ---- */

/* With any part of the tree in the tier, cancelled after any number of rounds: the rest is asked for, and right. */
TEST(tier__before_a_deferred_store_may_have_any_part_of_it)
{
    fixture f = new_fixture();
    test_text far = test_join("deferred:", f.url.text, "");
    for (unsigned part = 0; part < 1U << 6; part++) {
        ri_store *filler = open_tiered(f.url.text, "mem:part");
        ri_io io = { 0 };
        test_node *root;
        REQUIRE_RC(test_get(filler, &f.root, &io, &root, &test_err), RILLE_OK);
        for (size_t i = 0; i < 6; i++) {
            if ((part >> i & 1) != 0) {
                test_node *leaf;
                REQUIRE_RC(test_get(filler, &root->children[i], &io, &leaf, &test_err), RILLE_OK);
                test_node_release(leaf);
            }
        }
        ri_store *store = open_tiered(far.text, "mem:part");
        for (size_t i = 0; i < LEAVES; i++) { /* and left alone in the middle */
            ri_object *leaf = NULL;
            int rc = ri_store_get(store, &root->children[i], test_node_decode, &io, &leaf, &test_err);
            CHECK_EQ_INT(rc, i < 6 && (part >> i & 1) != 0 ? RILLE_OK : RILLE_NEED);
            CHECK(rc == RILLE_OK || part % 3 != 0 || ri_io_poll(&io, &test_err) == RILLE_NEED);
            ri_object_release(leaf);
            if (part % 5 == i % 5) {
                ri_io_clear(&io);
            }
        }
        ri_io_clear(&io);
        CHECK_RC(check_tree(store, &f.root), RILLE_OK);
        ri_io_deinit(&io);
        test_node_release(root);
        ri_store_release(store);
        ri_store_release(filler);
    }
    end_fixture(&f);
}

/* ---- memory ---- */

static int read_through(const fixture *f, const char *tier)
{
    ri_store *store;
    int rc = try_open(f->url.text, tier, &store, NULL);
    if (rc == RILLE_OK) {
        rc = test_check_tree(store, &f->root, 1, LEAVES, PAYLOAD, NULL);
        ri_store_release(store);
    }
    return rc;
}

TEST(tier__copes_with_no_memory)
{
    fixture f = new_fixture();
    TEST_FAULT_SWEEP(read_through(&f, "mem:"));
    TEST_FAULT_SWEEP(read_through(&f, f.tier.text));
    CHECK(check_damaged(&f) || check_damaged(&f));
    TEST_FAULT_SWEEP(read_through(&f, f.tier.text)); /* now it is there */
    end_fixture(&f);
}

/* ---- heads ---- */

static void check_head(ri_tier *tier, const char *branch, const char *expected, int64_t read_ms)
{
    uint8_t *bytes;
    size_t len;
    int64_t found_ms;
    bool found = ri_tier_get_head(tier, branch, &bytes, &len, &found_ms);
    CHECK(found == (expected != NULL));
    if (found && expected != NULL) {
        CHECK_EQ_MEM(bytes, len, expected, strlen(expected));
        CHECK_EQ_INT(found_ms, read_ms);
    }
    ri_free(bytes);
}

static ri_tier *tier_of(const char *store, const rille_setting *settings, size_t count)
{
    ri_tier *tier;
    REQUIRE_RC(ri_tier_open("mem:heads", TIER_BYTES, store, settings, count, &tier, &test_err), RILLE_OK);
    return tier;
}

TEST(tier__keeps_heads_of_different_stores_apart)
{
    const rille_setting other[] = { { "endpoint", "http://b" }, { "secret_key", "s" } };
    const rille_setting secret[] = { { "secret_key", "t" } };
    ri_tier *a = tier_of("s3://bucket/place?endpoint=http://a", NULL, 0);
    ri_tier *same = tier_of("s3://bucket/place?endpoint=http://a&region=r", secret, 1);
    ri_tier *deferred = tier_of("faulty:io/put/3;deferred:s3://bucket/place?endpoint=http://a", NULL, 0);
    ri_tier *b = tier_of("s3://bucket/place", other, 2);
    ri_tier *memory = tier_of("mem:place", NULL, 0);
    ri_tier *none = tier_of(NULL, NULL, 0);
    ri_tier_put_head(a, "main", (const uint8_t *)"head", 4, 77);
    check_head(a, "main", "head", 77);
    check_head(a, "mai", NULL, 0);
    check_head(same, "main", "head", 77);
    check_head(deferred, "main", "head", 77);
    check_head(b, "main", NULL, 0);
    ri_tier_put_head(memory, "main", (const uint8_t *)"head", 4, 77); /* another process means another database */
    check_head(memory, "main", NULL, 0);
    check_head(none, "main", NULL, 0);
    ri_tier_drop_head(same, "main");
    check_head(a, "main", NULL, 0);
    ri_tier *all[] = { a, same, deferred, b, memory, none };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ri_tier_close(all[i]);
    }
}

TEST(tier__knows_a_directory_by_whatever_path)
{
    fixture f = new_fixture();
    char here[1000];
    REQUIRE(getcwd(here, sizeof here) != NULL && chdir(f.dir.path) == 0);
    ri_tier *a = tier_of(f.url.text, NULL, 0);
    ri_tier *b = tier_of("file:./db/", NULL, 0);
    ri_tier *c = tier_of("file:other", NULL, 0);
    ri_tier_put_head(a, "main", (const uint8_t *)"x", 1, 5);
    check_head(b, "main", "x", 5);
    check_head(c, "main", NULL, 0);
    CHECK(chdir(here) == 0);
    ri_tier_close(a);
    ri_tier_close(b);
    ri_tier_close(c);
    end_fixture(&f);
}

/* ---- places ---- */

static int try_tier(const char *url, uint64_t bytes_max)
{
    ri_tier *tier;
    test_err.message[0] = '\0';
    int rc = ri_tier_open(url, bytes_max, NULL, NULL, 0, &tier, &test_err);
    ri_tier_close(tier);
    return rc;
}

TEST(tier__refuses_places_where_it_must_not_be)
{
    fixture f = new_fixture();
    CHECK_EQ_INT(try_tier(f.url.text, 0), RILLE_FOREIGN);
    CHECK(strstr(test_err.message, "choose a separate directory") != NULL);
    CHECK_EQ_INT(try_tier(test_join(f.url.text, "/cache", "").text, 0), RILLE_FOREIGN);
    CHECK_EQ_INT(try_tier(test_join(f.url.text, "/packs", "").text, 0), RILLE_FOREIGN);
    CHECK_EQ_INT(try_tier(test_join(f.url.text, "/lock", "").text, 0), RILLE_FOREIGN); /* a file */
    CHECK_EQ_INT(try_tier(test_join("file:", f.dir.path, "/no/such").text, 0), RILLE_NOTFOUND);
    CHECK_EQ_INT(try_tier("s3://bucket/place", 0), RILLE_UNSUPPORTED);
    CHECK_EQ_INT(try_tier("fil:x", 0), RILLE_SYNTAX);
    CHECK(strncmp(test_err.message, "cache: ", 7) == 0);
    CHECK_EQ_INT(try_tier("mem:x", 1000), RILLE_MISUSE);
    test_text open_to_all = test_join(f.dir.path, "/all", "");
    REQUIRE(mkdir(open_to_all.text, 0777) == 0 && chmod(open_to_all.text, 0777) == 0);
    CHECK_EQ_INT(try_tier(test_join("file:", open_to_all.text, "").text, 0), RILLE_PERMISSION);
    CHECK(strstr(test_err.message, "chmod o-w") != NULL);
    struct stat info;
    CHECK_EQ_INT(try_tier(f.tier.text, TIER_BYTES), RILLE_OK);
    CHECK(stat(f.tier_file.text, &info) == 0 && (info.st_mode & 0777) == 0600);
    CHECK(stat(test_join(f.dir.path, "/cache", "").text, &info) == 0 && (info.st_mode & 0777) == 0700);
    end_fixture(&f);
}

TEST_MAIN(tier__answers_what_another_store_has_read, tier__without_a_name_belongs_to_one_store,
          tier__has_regions_and_long_blobs, tier__is_passed_by_a_check_of_the_storage,
          tier__with_a_flipped_bit_at_each_position_misses_and_never_fails,
          tier__that_is_cut_off_anywhere_misses_and_never_fails, tier__with_forged_bytes_is_not_believed,
          tier__before_memory_is_not_trusted_as_memory_is,
          tier__stays_within_its_bytes_at_each_insertion_and_keeps_what_is_used,
          tier__takes_the_size_that_was_asked_for_last, tier__can_be_removed_while_it_is_used,
          tier__is_shared_by_processes_that_are_killed_at_any_time, tier__serves_threads,
          tier__before_a_deferred_store_may_have_any_part_of_it, tier__copes_with_no_memory,
          tier__keeps_heads_of_different_stores_apart, tier__knows_a_directory_by_whatever_path,
          tier__refuses_places_where_it_must_not_be)
