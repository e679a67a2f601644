/* SPDX-License-Identifier: MIT
 *
 * What format 2 added: segments, attempts, the other parents of a merge, marks of purges, tags, and transactions that
 * lie both in the trees and behind them.
 */
#include "test_db_forge.h"

#include "../src/core/db/flush.h"
#include "../src/core/db/meta.h"
#include "../src/core/db/segment.h"

static const char schema_text[] = "[{:db/ident :n :db/valueType :db.type/string}"
                                  " {:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}]";

/* ---- segments ---- */

enum { BLOCKS = 9 };

/* Blocks of 1 to 1,500 datoms, some with other parents. */
static ri_block *make_block(unsigned n)
{
    static const size_t counts[BLOCKS] = { 1, 3, 1, 1500, 1, 1023, 2, 700, 1 };
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL && n < BLOCKS);
    block->t = RI_TX_BASE + 5 + n;
    block->attempt = UINT64_C(0x1122334455667788) * n;
    block->claims_flush = n % 4 == 1;
    if (n % 3 == 2) {
        uint8_t(*merged)[RI_HASH_SIZE] = ri_block_merged(block, (uint8_t)(n % 2 + 1));
        REQUIRE(merged != NULL);
        for (unsigned i = 0; i < block->merged_count; i++) {
            memset(merged[i], (int)(n + i), RI_HASH_SIZE);
        }
    }
    block->datoms = ri_arena_array(&block->memory->arena, counts[n], sizeof *block->datoms);
    REQUIRE(block->datoms != NULL);
    for (size_t i = 0; i < counts[n]; i++) {
        char text[40];
        int len = snprintf(text, sizeof text, "value %zu of %u", i, n);
        ri_value v = ri_bytes_value(RI_STRING, text, (size_t)len);
        REQUIRE(ri_value_copy(&block->memory->arena, &v, &v));
        block->datoms[i] = (ri_datom){ .e = RI_EID_USER + i, .a = 200, .t = block->t, .v = v, .added = i % 5 != 4 };
    }
    block->count = counts[n];
    ri_block_chain(block, n == 0 ? NULL : (const uint8_t *)"0123456789abcdef0123456789abcdef");
    return block;
}

static int write_segment(ri_block *const *blocks, size_t count, ri_buf *out, rille_err *err)
{
    ri_segment_writer writer = { 0 };
    ri_encoder *encoder = NULL;
    int rc;
    do {
        rc = ri_segment_write_step(&writer, blocks, count, &encoder, out, err);
    } while (rc == RILLE_AGAIN);
    ri_encoder_free(encoder);
    return rc;
}

static void make_segment(ri_block *blocks[BLOCKS], ri_buf *out)
{
    for (unsigned n = 0; n < BLOCKS; n++) {
        blocks[n] = make_block(n);
    }
    REQUIRE_RC(write_segment(blocks, BLOCKS, out, &test_err), 0);
}

static void release_blocks(ri_block *blocks[BLOCKS])
{
    for (unsigned n = 0; n < BLOCKS; n++) {
        ri_block_release(blocks[n]);
    }
}

static void check_same(const ri_block *a, const ri_block *b)
{
    CHECK_EQ_INT(a->t, b->t);
    CHECK(a->attempt == b->attempt && a->claims_flush == b->claims_flush);
    CHECK(memcmp(a->commit, b->commit, RI_HASH_SIZE) == 0);
    REQUIRE(a->merged_count == b->merged_count && a->count == b->count);
    CHECK(a->merged_count == 0 || memcmp(a->merged, b->merged, (size_t)a->merged_count * RI_HASH_SIZE) == 0);
    for (size_t i = 0; i < a->count; i++) {
        CHECK(ri_datom_cmp(RI_LOG, &a->datoms[i], &b->datoms[i]) == 0);
    }
}

static int segment_read(const uint8_t *bytes, size_t len, uint64_t after, ri_block ***read, size_t *count)
{
    ri_blob *blob = ri_blob_new(len);
    if (blob == NULL) {
        return ri_fail_nomem(&test_err);
    }
    memcpy(blob->bytes, bytes, len);
    int rc = ri_segment_read(blob, after, read, count, &test_err);
    ri_object_release(&blob->object);
    return rc;
}

TEST(segment__gives_back_what_it_got)
{
    ri_block *blocks[BLOCKS];
    ri_block **read;
    ri_buf bytes = { 0 };
    size_t count;
    make_segment(blocks, &bytes);
    REQUIRE_RC(segment_read(bytes.p, bytes.len, 0, &read, &count), 0);
    REQUIRE(count == BLOCKS);
    for (unsigned n = 0; n < BLOCKS; n++) {
        check_same(blocks[n], read[n]);
    }
    ri_blocks_release(read, count);
    ri_buf_deinit(&bytes);
    release_blocks(blocks);
}

/* Of known transactions there are no datoms; the others are as ever. */
TEST(segment__leaves_out_what_is_known)
{
    ri_block *blocks[BLOCKS];
    ri_buf bytes = { 0 };
    make_segment(blocks, &bytes);
    for (unsigned known = 0; known < BLOCKS; known++) {
        ri_block **read;
        size_t count;
        REQUIRE_RC(segment_read(bytes.p, bytes.len, blocks[known]->t, &read, &count), 0);
        REQUIRE(count == BLOCKS);
        for (unsigned n = 0; n <= known; n++) {
            CHECK_EQ_INT(read[n]->count, 0);
            CHECK(memcmp(blocks[n]->commit, read[n]->commit, RI_HASH_SIZE) == 0);
        }
        ri_block *last = ri_block_retain(read[BLOCKS - 1]);
        for (unsigned n = known + 1; n < BLOCKS; n++) {
            check_same(blocks[n], read[n]);
        }
        ri_blocks_release(read, count);
        ri_block_release(last);
    }
    ri_buf_deinit(&bytes);
    release_blocks(blocks);
}

/* Any of its blocks may outlive the others: those of the base are passed over. */
TEST(segment__keeps_the_memory_of_each_block)
{
    ri_block *blocks[BLOCKS];
    ri_buf bytes = { 0 };
    make_segment(blocks, &bytes);
    for (unsigned kept = 0; kept < BLOCKS; kept++) {
        ri_block **read;
        size_t count;
        REQUIRE_RC(segment_read(bytes.p, bytes.len, 0, &read, &count), 0);
        ri_block *last = ri_block_retain(read[kept]);
        ri_blocks_release(read, count);
        check_same(blocks[kept], last);
        ri_block_release(last);
    }
    ri_buf_deinit(&bytes);
    release_blocks(blocks);
}

/* Cut anywhere it is corrupt; with any byte changed it is corrupt or another segment. */
TEST(segment__stands_hostile_bytes)
{
    ri_block *blocks[BLOCKS];
    ri_block **read;
    ri_buf bytes = { 0 };
    size_t count;
    make_segment(blocks, &bytes);
    for (size_t len = 0; len < bytes.len; len += len < 600 || bytes.len - len < 600 ? 1 : 97) {
        uint8_t *copy = malloc(len + 1);
        REQUIRE(copy != NULL);
        memcpy(copy, bytes.p, len);
        CHECK_RC(segment_read(copy, len, 0, &read, &count), RILLE_CORRUPT);
        free(copy);
    }
    for (size_t at = 0; at < bytes.len; at += at < 900 ? 1 : 61) {
        for (unsigned flip = 1; flip < 256; flip = flip * 3 + 1) {
            bytes.p[at] ^= (uint8_t)flip;
            int rc = segment_read(bytes.p, bytes.len, 0, &read, &count);
            CHECK(rc == 0 || rc == RILLE_CORRUPT || rc == RILLE_FORMAT);
            if (rc == 0) {
                ri_blocks_release(read, count);
            }
            bytes.p[at] ^= (uint8_t)flip;
        }
    }
    ri_buf_deinit(&bytes);
    release_blocks(blocks);
}

static void read_segment(const ri_buf *bytes)
{
    ri_block **read;
    size_t count;
    if (segment_read(bytes->p, bytes->len, 0, &read, &count) == 0) {
        ri_blocks_release(read, count);
    }
}

TEST(segment__copes_without_memory)
{
    ri_block *blocks[BLOCKS];
    ri_buf bytes = { 0 };
    make_segment(blocks, &bytes);
    release_blocks(blocks);
    for (long long n = 0;; n++) {
        atomic_store(&test_state.fail_from, atomic_load(&test_state.allocations) + n);
        atomic_store(&test_state.fail_to, atomic_load(&test_state.fail_from));
        long long faults = atomic_load(&test_state.faults);
        read_segment(&bytes);
        atomic_store(&test_state.fail_from, -1);
        if (atomic_load(&test_state.faults) == faults) {
            break;
        }
    }
    ri_buf_deinit(&bytes);
}

/* ---- attempts ---- */

static void add_attempts(ri_buf *bytes, uint64_t from, size_t count)
{
    ri_block **blocks = calloc(count, sizeof *blocks);
    ri_buf next = { 0 };
    REQUIRE(blocks != NULL);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = ri_block_new();
        REQUIRE(blocks[i] != NULL);
        blocks[i]->t = RI_TX_BASE + from + i;
        blocks[i]->attempt = (from + i) % 10 == 0 ? 0 : ri_mix64(from + i);
    }
    REQUIRE_RC(ri_attempts_write(bytes->p, bytes->len, blocks, count, &next, &test_err), 0);
    for (size_t i = 0; i < count; i++) {
        ri_block_release(blocks[i]);
    }
    free(blocks);
    ri_buf_deinit(bytes);
    *bytes = next;
}

TEST(attempts__keep_the_last_ones)
{
    ri_buf bytes = { 0 };
    uint64_t end = 1;
    static const size_t counts[] = { 0, 1, 300, 4000, 1, 500, 4096, 9000, 0, 2 };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        add_attempts(&bytes, end, counts[i]);
        end += counts[i];
        size_t known = 0;
        for (uint64_t n = end; n-- > 1;) {
            uint64_t t = 1;
            uint64_t last;
            if (n % 10 == 0 || (known > RI_ATTEMPTS_MAX + 20 && n % 997 != 0)) {
                continue;
            }
            CHECK_RC(ri_attempts_find(bytes.p, bytes.len, ri_mix64(n), &t, &last, &test_err), 0);
            CHECK(t == (known < RI_ATTEMPTS_MAX ? RI_TX_BASE + n : 0));
            known++;
        }
    }
    for (size_t len = 1; len < bytes.len; len += 13) {
        uint64_t t;
        uint64_t last;
        CHECK_RC(ri_attempts_find(bytes.p, len, 1, &t, &last, &test_err), RILLE_CORRUPT);
    }
    ri_buf_deinit(&bytes);
}

static uint64_t find_attempt(const rille_db *db, uint64_t attempt)
{
    ri_io io = { 0 };
    uint64_t t = 1;
    int rc;
    RI_FETCHING(rc, &io, ri_db_attempt(db, attempt, &io, &t, &test_err), &test_err)
    CHECK_RC(rc, 0);
    ri_io_deinit(&io);
    return t;
}

/* Whoever committed finds its attempt: in the cell, in segments, in the trees of another writer's flush, without history,
 * from another process' view of the storage. */
static void remember(const char *url, bool history)
{
    enum { COMMITS = 700 };
    uint64_t attempts[COMMITS];
    uint64_t ts[COMMITS];
    ri_conn_options options = { .must_create = true, .no_history = !history };
    rille_conn *conn = NULL;
    rille_conn *other = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    options.must_create = false;
    REQUIRE_RC(ri_conn_open(url, &options, &other, &test_err), 0);
    transact(conn, schema_text);
    for (int i = 0; i < COMMITS; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "[{:k %d :n \"name %d\"}]", i % 50, i);
        transact(conn, text);
        rille_db *db = ri_conn_seen_db(conn);
        attempts[i] = db->novelty.last->attempt;
        ts[i] = db->t;
        CHECK(attempts[i] != 0 && (i == 0 || attempts[i] != attempts[i - 1]));
        ri_db_release(db);
        if (i == 150 || i == 600) {
            CHECK_RC(ri_conn_flush(other, &test_err), 0);
        }
    }
    rille_db *db = newest(other);
    CHECK(db->novelty.last != NULL && db->base->t > RI_TX_BASE);
    for (int i = 0; i < COMMITS; i++) {
        CHECK(find_attempt(db, attempts[i]) == ts[i]);
        CHECK(find_attempt(db, attempts[i] + 1) == 0);
    }
    ri_db_release(db);
    ri_conn_release(conn);
    ri_conn_release(other);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
}

TEST(attempts__are_found_wherever_they_lie)
{
    remember("mem:attempts", true);
    remember("mem:attempts", false);
    remember("deferred:mem:attempts", true);
}

/* A base that names a blob of attempts which is not one. */
static void check_bad_attempts(const uint8_t *bytes, size_t len, const char *part)
{
    rille_conn *conn = open_new("mem:attempts");
    ri_writer *writer = NULL;
    ri_base *base;
    transact(conn, schema_text);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    rille_db *db = newest(conn);
    REQUIRE_RC(ri_base_copy(db->base, NULL, 0, &base, &test_err), 0);
    REQUIRE_RC(ri_writer_new(db->store, &writer, &test_err), 0);
    REQUIRE_RC(ri_writer_put_blob(writer, bytes, len, base->attempts_addr, &test_err), 0);
    REQUIRE_RC(ri_writer_seal(writer, &test_err), 0);
    swap_base(conn, base, NULL, writer);
    expect_damage(conn, part);
    ri_writer_release(writer);
    ri_base_release(base);
    ri_db_release(db);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:attempts", &test_err), 0);
}

TEST(attempts__are_verified)
{
    static const uint8_t truncated[] = { 2, 1, 9, 9, 9, 9, 9, 9, 9, 9 };
    static const uint8_t trailing[] = { 1, 1, 9, 9, 9, 9, 9, 9, 9, 9, 0 };
    static const uint8_t twice[] = { 2, 1, 9, 9, 9, 9, 9, 9, 9, 9, 0, 8, 8, 8, 8, 8, 8, 8, 8 };
    static const uint8_t later[] = { 1, 99, 9, 9, 9, 9, 9, 9, 9, 9 };
    check_bad_attempts(truncated, sizeof truncated, "attempts of the branch head is corrupt");
    check_bad_attempts(trailing, sizeof trailing, "attempts of the branch head is corrupt");
    check_bad_attempts(twice, sizeof twice, "attempts of the branch head is corrupt");
    check_bad_attempts(later, sizeof later, "which is not in the trees");
}

/* ---- merges and purges ---- */

static rille_conn *with_names(const char *url)
{
    rille_conn *conn = open_new(url);
    transact(conn, schema_text);
    transact(conn, "[{:db/id 1048576 :n \"kept\"} {:db/id 1048577 :n \"secret\"}]");
    transact(conn, "[[:db/retract 1048577 :n \"secret\"]]");
    return conn;
}

static void check_good(rille_conn *conn)
{
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
}

static void close_and_drop(rille_conn *conn, const char *url)
{
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop(url, &test_err), 0);
}

/* Appends a transaction with other parents, as a merge will. */
static void append_merge(rille_conn *conn, unsigned merged_count)
{
    rille_db *db = newest(conn);
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    ri_datom datoms[2] = { { .e = RI_EID_USER, .a = ri_schema_attr(db->schema, "n", 1)->id, .added = true },
                           { .a = RI_A_TX_INSTANT, .added = true } };
    block->t = db->t + 1;
    datoms[0].v = ri_bytes_value(RI_STRING, "merged", 6);
    datoms[1].v = ri_word(RI_INSTANT, (uint64_t)(db->instant + 1));
    datoms[1].e = datoms[0].t = datoms[1].t = block->t;
    block->datoms = datoms;
    block->count = 2;
    REQUIRE(ri_block_merged(block, (uint8_t)merged_count) != NULL);
    for (unsigned i = 0; i < merged_count; i++) {
        memset(block->merged[i], (int)(7 * i + 1), RI_HASH_SIZE);
    }
    ri_block_chain(block, db->commit);
    ri_buf tail = { 0 };
    ri_buf_put(&tail, conn->seen.cell->bytes + conn->seen.tail_at, conn->seen.cell_len - conn->seen.tail_at);
    REQUIRE_RC(ri_block_write(block, &tail, &test_err), 0);
    swap_base(conn, db->base, &tail, NULL);
    ri_buf_deinit(&tail);
    ri_block_release(block);
    ri_db_release(db);
}

static void check_meta_parents(const rille_db *db, uint64_t t, unsigned merged_count)
{
    ri_meta_walk walk;
    ri_block *block = ri_block_new();
    REQUIRE(block != NULL);
    block->t = t;
    REQUIRE_RC(ri_meta_walk_start(&walk, db, RI_A_META_TX, t, &test_err), 0);
    REQUIRE_RC(ri_meta_take_commit(&walk, block, &test_err), 0);
    REQUIRE(block->merged_count == merged_count);
    for (unsigned i = 0; i < merged_count; i++) {
        CHECK_EQ_INT(block->merged[i][31], 7 * i + 1);
    }
    ri_meta_walk_deinit(&walk);
    ri_block_release(block);
}

TEST(merge__keeps_all_parents)
{
    for (unsigned parents = 0; parents <= RI_MERGED_MAX; parents += parents < 3 ? 1 : 6) {
        rille_conn *conn = with_names("mem:merge");
        append_merge(conn, parents);
        rille_db *merge = newest(conn);
        CHECK_EQ_INT(merge->novelty.last->merged_count, parents);
        check_good(conn);
        transact(conn, "[{:k 1 :n \"after\"}]");
        check_good(conn);
        CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        check_good(conn);
        rille_db *db = newest(conn);
        check_meta_parents(db, merge->t, parents);
        rille_db *past = NULL;
        CHECK_RC(ri_db_as_of_commit(db, merge->commit, &past, &test_err), 0);
        CHECK(past != NULL && past->t == merge->t && memcmp(past->commit, merge->commit, RI_HASH_SIZE) == 0);
        ri_db_release(past);
        ri_db_release(db);
        ri_db_release(merge);
        close_and_drop(conn, "mem:merge");
    }
}

TEST(merge__is_corrupt_when_the_log_lacks_a_parent)
{
    rille_conn *conn = with_names("mem:merge");
    append_merge(conn, 2);
    rille_db *merge = newest(conn);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    ri_datom row = { .e = merge->t, .a = RI_A_LOG_PARENT, .t = merge->t, .added = true };
    row.v = ri_bytes_value(RI_BYTES, merge->novelty.last->merged[1], RI_HASH_SIZE);
    ri_change gone = ri_change_of(&row, false);
    forge(conn, &(forgery){ RI_LOG, &gone, 1 }, 1);
    expect_damage(conn, "does not match its commit id");
    ri_db_release(merge);
    close_and_drop(conn, "mem:merge");
}

static ri_datom purged_row(const ri_block *block, uint8_t key[RI_META_KEY_SIZE])
{
    ri_store_be64(key, block->t);
    ri_block_digest(block, key + 8);
    return (ri_datom){ .e = block->t,
                       .a = RI_A_META_PURGED,
                       .t = block->t,
                       .v = ri_bytes_value(RI_BYTES, key, RI_META_KEY_SIZE),
                       .added = true };
}

/* A fact that is gone from the log, with or without the marks of its two transactions. */
static rille_conn *purge(bool marked)
{
    rille_conn *conn = with_names("mem:purge");
    rille_db *db = newest(conn);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    uint8_t keys[2][RI_META_KEY_SIZE];
    ri_datom marks[2] = { purged_row(db->novelty.last->prev, keys[0]), purged_row(db->novelty.last, keys[1]) };
    ri_datom fact = {
        .e = RI_EID_USER + 1, .a = ri_schema_attr(db->schema, "n", 1)->id, .t = db->t - 1, .added = true
    };
    fact.v = ri_bytes_value(RI_STRING, "secret", 6);
    ri_datom retraction = fact;
    ri_datom retired = fact;
    retraction.t = retired.x = db->t;
    retraction.added = false;
    ri_change log[] = { ri_change_of(&fact, false), ri_change_of(&retraction, false) };
    ri_change ret[] = { ri_change_of(&retired, false) };
    ri_change meta[] = { ri_change_of(&marks[0], true), ri_change_of(&marks[1], true) };
    forge(conn, (forgery[]){ { RI_LOG, log, 2 }, { RI_RET, ret, 1 }, { RI_META, meta, 2 } }, marked ? 3 : 2);
    ri_db_release(db);
    return conn;
}

TEST(purge__leaves_a_log_that_verifies)
{
    rille_conn *conn = purge(true);
    check_good(conn);
    ri_conn_release(conn);
    conn = open_new("mem:purge");
    transact(conn, "[{:k 1 :n \"after\"}]");
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    check_good(conn);
    close_and_drop(conn, "mem:purge");
}

TEST(purge__without_its_marks_is_corrupt)
{
    rille_conn *conn = purge(false);
    expect_damage(conn, "does not match its commit id");
    close_and_drop(conn, "mem:purge");
}

/* ---- tags, and transactions that are in the base already ---- */

TEST(tag__takes_no_commit)
{
    rille_conn *conn = with_names("mem:tag");
    rille_db *db = newest(conn);
    ri_report report;
    ri_buf tail = { 0 };
    ri_buf_put(&tail, conn->seen.cell->bytes + conn->seen.tail_at, conn->seen.cell_len - conn->seen.tail_at);
    db->base->is_tag = true;
    swap_base(conn, db->base, &tail, NULL);
    ri_buf_deinit(&tail);
    ri_conn_release(conn);
    conn = open_new("mem:tag");
    CHECK_RC(ri_conn_transact_edn(conn, "[{:k 1}]", 8, &report, &test_err), RILLE_MISUSE);
    CHECK(strstr(test_err.message, "is a tag") != NULL);
    CHECK_RC(ri_conn_flush(conn, &test_err), RILLE_MISUSE);
    rille_db *again = newest(conn);
    CHECK(again->t == db->t && again->base->is_tag);
    ri_db_release(again);
    ri_db_release(db);
    close_and_drop(conn, "mem:tag");
}

/* A flush that others committed beside leaves frames, and a segment, that begin before the new base's t. */
TEST(head__passes_over_what_the_base_holds)
{
    rille_conn *conn = with_names("mem:beside");
    rille_db *old = newest(conn);
    ri_buf tail = { 0 };
    ri_buf_put(&tail, conn->seen.cell->bytes + conn->seen.tail_at, conn->seen.cell_len - conn->seen.tail_at);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
    transact(conn, "[{:k 1 :n \"after\"}]");
    rille_db *db = newest(conn);
    ri_buf_put(&tail, conn->seen.cell->bytes + conn->seen.tail_at, conn->seen.cell_len - conn->seen.tail_at);
    swap_base(conn, db->base, &tail, NULL);
    rille_db *again = newest(conn);
    CHECK(again->t == db->t && memcmp(again->commit, db->commit, RI_HASH_SIZE) == 0);
    CHECK_EQ_INT(again->novelty.datom_count, db->novelty.datom_count);
    check_good(conn);
    ri_db_release(again);

    ri_block *blocks[] = { old->novelty.last->prev, old->novelty.last, db->novelty.last };
    ri_buf bytes = { 0 };
    ri_base *base;
    ri_writer *writer = NULL;
    REQUIRE_RC(write_segment(blocks, 3, &bytes, &test_err), 0);
    struct ri_segment segment = { .t_last = db->t, .packed = true };
    REQUIRE_RC(ri_writer_new(db->store, &writer, &test_err), 0);
    REQUIRE_RC(ri_writer_put_blob(writer, bytes.p, bytes.len, segment.addr, &test_err), 0);
    REQUIRE_RC(ri_base_copy(db->base, &segment, 1, &base, &test_err), 0);
    REQUIRE_RC(ri_writer_seal(writer, &test_err), 0);
    swap_base(conn, base, NULL, writer);
    again = newest(conn);
    CHECK(again->t == db->t && memcmp(again->commit, db->commit, RI_HASH_SIZE) == 0);
    CHECK_EQ_INT(again->novelty.datom_count, db->novelty.datom_count);
    check_good(conn);
    ri_db_release(again);
    ri_writer_release(writer);
    ri_base_release(base);
    ri_buf_deinit(&bytes);
    ri_buf_deinit(&tail);
    ri_db_release(db);
    ri_db_release(old);
    close_and_drop(conn, "mem:beside");
}

/* ---- hints ---- */

static int read_hints(const char *hints, size_t len, ri_base **out)
{
    static const uint8_t id[16] = { 1 };
    ri_base *base;
    ri_buf body = { 0 };
    REQUIRE_RC(ri_base_new_empty(id, true, false, &base, &test_err), 0);
    base->region_count = 1;
    base->regions[0].len = 200;
    ri_base_write(base, false, &body);
    body.len--; /* "no hints" */
    ri_buf_put(&body, hints, len);
    int rc = ri_base_read(body.p, body.len, out, NULL);
    ri_buf_deinit(&body);
    ri_base_release(base);
    return rc;
}

TEST(hints__unknown_ones_are_passed_over)
{
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
        uint64_t upper_len;
    } cases[] = {
        { "\0", 1, 0, 0 },
        { "\1\1\1\x7f", 4, 0, 127 },
        { "\3\0\3abc\1\2\xc8\1\x7\0", 12, 0, 200 },
        { "\1\2\1\x7f", 4, 0, 0 },
        { "\1\1\1\0", 4, RILLE_CORRUPT, 0 },
        { "\1\1\0", 3, RILLE_CORRUPT, 0 },
        { "\1\1\2\1\0", 5, RILLE_CORRUPT, 0 },
        { "\1\1\2\xc9\1", 5, RILLE_CORRUPT, 0 }, /* more than the region */
        { "\1\1\2\xff", 4, RILLE_CORRUPT, 0 },
        { "\2\1\1\x7f", 4, RILLE_CORRUPT, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_base *base = NULL;
        CHECK_RC(read_hints(cases[i].bytes, cases[i].len, &base), cases[i].rc);
        CHECK_EQ_INT(base == NULL ? 0 : base->upper_len, cases[i].upper_len);
        ri_base *copy = NULL;
        if (base != NULL) {
            CHECK_RC(ri_base_copy(base, NULL, 0, &copy, &test_err), 0);
            CHECK_EQ_INT(copy->upper_len, base->upper_len);
        }
        ri_base_release(copy);
        ri_base_release(base);
    }
}

TEST_MAIN(hints__unknown_ones_are_passed_over, segment__gives_back_what_it_got, segment__leaves_out_what_is_known,
          segment__keeps_the_memory_of_each_block, segment__stands_hostile_bytes, segment__copes_without_memory,
          attempts__keep_the_last_ones, attempts__are_found_wherever_they_lie, attempts__are_verified,
          merge__keeps_all_parents, merge__is_corrupt_when_the_log_lacks_a_parent, purge__leaves_a_log_that_verifies,
          purge__without_its_marks_is_corrupt, tag__takes_no_commit, head__passes_over_what_the_base_holds)
