/* SPDX-License-Identifier: MIT
 *
 * Many segments that are read at once: their blocks lie in pools of memory. What is read is what was written, and the
 * memory lives as long as any of the blocks, whichever goes first.
 */
#include "test_db_forge.h"

#include <stdio.h>

#define URL "mem:pool"

enum { SEGMENTS = 20, ENTITIES = 30, TEXT = 600, LARGE = 5000 };

static const char schema_text[] = "[{:db/ident :n :db/valueType :db.type/long}"
                                  " {:db/ident :s :db/valueType :db.type/string}]";

/* As much as is spilled with the one before it. Texts that do not repeat: they are not packed. */
static void commit_texts(rille_conn *conn, test_rng *rng)
{
    ri_buf text = { 0 };
    ri_buf_put(&text, "[", 1);
    for (int i = 0; i < ENTITIES; i++) {
        ri_buf_put(&text, "{:s \"", 5);
        for (int k = 0; k < TEXT; k++) {
            ri_buf_put_u8(&text, (uint8_t)('a' + test_random_below(rng, 26)));
        }
        ri_buf_put(&text, "\"}", 2);
    }
    ri_buf_put(&text, "]", 2);
    transact(conn, (const char *)text.p);
    ri_buf_deinit(&text);
}

/* More datoms than room is made for at once. */
static void commit_large(rille_conn *conn)
{
    ri_buf text = { 0 };
    ri_buf_put(&text, "[", 1);
    for (int i = 0; i < LARGE; i++) {
        char item[30];
        ri_buf_put(&text, item, (size_t)snprintf(item, sizeof item, "{:n %d}", i));
    }
    ri_buf_put(&text, "]", 2);
    transact(conn, (const char *)text.p);
    ri_buf_deinit(&text);
}

static rille_conn *make_segments(void)
{
    test_rng rng = test_rng_new();
    rille_conn *conn = open_new(URL);
    transact(conn, schema_text);
    for (uint32_t i = 0; i < SEGMENTS;) {
        if (i == SEGMENTS / 2) {
            commit_large(conn);
        }
        commit_texts(conn, &rng);
        rille_db *db = newest(conn);
        i = db->base->segment_count;
        ri_db_release(db);
    }
    return conn;
}

static int open_it(rille_conn **out)
{
    ri_conn_options options = { .flush = RI_FLUSH_MANUAL };
    return ri_conn_open(URL, &options, out, &test_err);
}

static void check_same(const rille_db *a, const rille_db *b)
{
    const ri_block *x = a->novelty.last;
    const ri_block *y = b->novelty.last;
    for (; x != NULL && y != NULL; x = x->prev, y = y->prev) {
        CHECK(x->t == y->t && x->count == y->count && memcmp(x->commit, y->commit, RI_HASH_SIZE) == 0);
        for (size_t i = 0; i < x->count && i < y->count; i++) {
            CHECK_EQ_INT(ri_datom_cmp(RI_LOG, &x->datoms[i], &y->datoms[i]), 0);
        }
    }
    CHECK(x == NULL && y == NULL);
}

TEST(pool__has_the_blocks_of_many_segments)
{
    rille_conn *writer = make_segments();
    rille_conn *reader;
    REQUIRE_RC(open_it(&reader), 0);
    rille_db *written = newest(writer);
    rille_db *read = newest(reader);
    check_same(written, read);
    uint32_t in_pool = 0;
    uint32_t datoms_in_pool = 0;
    for (ri_block *b = read->novelty.last; b != NULL; b = b->prev) {
        bool first = b->owner == NULL && b->memory->pool != NULL;
        in_pool += first;
        datoms_in_pool += first && b->memory->datoms_in_pool;
    }
    CHECK_EQ_INT(in_pool, read->base->segment_count);
    CHECK_EQ_INT(datoms_in_pool, read->base->segment_count - 1); /* all but the large one */
    ri_db_release(written);
    REQUIRE_RC(ri_conn_flush(writer, &test_err), 0);
    written = newest(writer);
    ri_conn_release(reader);
    check_same(read, read); /* it lives on by itself */
    ri_db_release(read);
    ri_db_release(written);
    ri_conn_release(writer);
    CHECK_RC(ri_database_drop(URL, &test_err), 0);
}

static int open_and_close(void)
{
    rille_conn *conn = NULL;
    int rc = open_it(&conn);
    ri_conn_release(conn);
    return rc;
}

TEST(pool__is_done_without_where_memory_is_out)
{
    rille_conn *writer = make_segments();
    TEST_FAULT_SWEEP(open_and_close());
    ri_conn_release(writer);
    CHECK_RC(ri_database_drop(URL, &test_err), 0);
}

/* Blocks of random sizes, taken until long after the pool is full, and released in any order. */
TEST(pool__lives_as_long_as_its_blocks)
{
    enum { LISTS = 400, COUNT_MAX = 200 };
    static struct {
        ri_block **blocks;
        size_t count;
    } lists[LISTS];
    test_rng rng = test_rng_new();
    ri_block_pool *pool = ri_block_pool_new(0);
    REQUIRE(pool != NULL);
    unsigned outside = 0;
    unsigned own_datoms = 0;
    for (unsigned i = 0; i < LISTS; i++) {
        lists[i].count = 1 + (size_t)test_random_below(&rng, COUNT_MAX);
        lists[i].blocks = ri_blocks_new(lists[i].count, pool);
        REQUIRE(lists[i].blocks != NULL);
        ri_block *first = lists[i].blocks[0];
        size_t count = lists[i].count * 2;
        first->datoms = ri_block_pool_datoms(first->memory, count);
        own_datoms += first->datoms == NULL;
        REQUIRE(RI_GROW(&first->datoms, &first->memory->heap_cap, count));
        memset(first->datoms, 0, count * sizeof *first->datoms);
        outside += first->memory->pool == NULL;
        CHECK((uintptr_t)first % _Alignof(ri_block) == 0 && (uintptr_t)first->datoms % _Alignof(ri_datom) == 0);
        for (size_t k = 1; k < lists[i].count; k++) {
            lists[i].blocks[k]->owner = ri_block_retain(first);
        }
    }
    CHECK(outside > 10 && outside < LISTS - 10 && own_datoms >= outside && own_datoms < LISTS - 10);
    ri_block_pool_release(pool);
    for (unsigned left = LISTS; left > 0; left--) {
        size_t at = (size_t)test_random_below(&rng, left);
        ri_blocks_release(lists[at].blocks, lists[at].count);
        lists[at] = lists[left - 1];
    }
}

TEST_MAIN(pool__has_the_blocks_of_many_segments, pool__is_done_without_where_memory_is_out,
          pool__lives_as_long_as_its_blocks)
