/* SPDX-License-Identifier: MIT
 *
 * Keys that were chosen so that a hash without a secret is the same for all of them: tables take as many steps for them
 * as for any others. Steps are counted, not time: places looked at in a table with open addressing.
 *
 * RILLE_FLOOD_KEYS: how many keys (4000).
 */
#include "harness.h"

#include "../src/core/base/bytes.h"
#include "../src/core/base/hash.h"
#include "../src/core/base/map.h"
#include "../src/core/db/conn.h"
#include "../src/core/query/table.h"
#include "rille/rille.h"

enum { KEYS_DEFAULT = 4000, KEYS_MAX = 40000, TEXT_LEN = 16, STEPS_A_KEY_MAX = 6 };

/* As the hash of numbers was once: mix(word + this), of texts: ri_hash64 with the seed type * that. */
#define OLD_HASH_LONG UINT64_C(0x2545f4914f6cdd1d)
#define OLD_CLASS_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define WORD_FACTOR UINT64_C(0x9e3779b97f4a7c15)

static size_t key_count;
static uint64_t longs[KEYS_MAX];
static uint8_t text_values[KEYS_MAX][TEXT_LEN]; /* for hashes of strings */
static uint8_t text_names[KEYS_MAX][TEXT_LEN];  /* for maps of bytes: without a seed */

/* 1 / x modulo 2^64, x odd. */
static uint64_t inverse(uint64_t x)
{
    uint64_t y = x;
    for (int i = 0; i < 6; i++) {
        y *= 2 - x * y;
    }
    return y;
}

static uint64_t unshift(uint64_t y, unsigned bits)
{
    uint64_t x = y;
    for (unsigned known = bits; known < 64; known += bits) {
        x = y ^ x >> bits;
    }
    return x;
}

static uint64_t unmix(uint64_t x)
{
    x = unshift(x, 31) * inverse(UINT64_C(0x94d049bb133111eb));
    x = unshift(x, 27) * inverse(UINT64_C(0xbf58476d1ce4e5b9));
    return unshift(x, 30);
}

/* Two words of letters and the like: the first at random, the second such that the state of the hash is the same. */
static void make_texts(uint8_t (*out)[TEXT_LEN], uint64_t seed)
{
    test_rng rng = test_rng_new();
    uint64_t start = ri_mix64(seed ^ (uint64_t)TEXT_LEN * WORD_FACTOR);
    uint64_t state = UINT64_C(0x1234567812345678);
    for (size_t n = 0; n < key_count;) {
        uint64_t first = (test_random(&rng) & UINT64_C(0x1f1f1f1f1f1f1f1f)) | UINT64_C(0x4040404040404040);
        uint64_t h = (start ^ first) * WORD_FACTOR;
        h ^= h >> 32;
        uint64_t second = h ^ state;
        if ((second & UINT64_C(0x8080808080808080)) == 0) {
            ri_store_u64(out[n], first);
            ri_store_u64(out[n] + 8, second);
            n++;
        }
    }
}

static void make_keys(void)
{
    const char *env = getenv("RILLE_FLOOD_KEYS");
    key_count = env != NULL ? strtoul(env, NULL, 10) : KEYS_DEFAULT;
    REQUIRE(key_count > 100 && key_count <= KEYS_MAX);
    for (uint64_t i = 0; i < key_count; i++) {
        longs[i] = unmix(UINT64_C(0x5eed5eed00000000) | i << 16) - OLD_HASH_LONG; /* all bits but 16 agree */
    }
    make_texts(text_values, RI_STRING * OLD_CLASS_FACTOR);
    make_texts(text_names, 0);
}

static ri_value text_of(size_t i)
{
    return ri_bytes_value(RI_STRING, text_values[i], TEXT_LEN);
}

static ri_value long_of(size_t i)
{
    return ri_long((int64_t)longs[i]);
}

/* Steps to put all of them into a table of twice their count. */
static uint64_t count_steps(const uint64_t *hashes)
{
    size_t cap = 16;
    while (cap < 2 * key_count) {
        cap *= 2;
    }
    uint8_t *used = calloc(cap, 1);
    uint64_t steps = 0;
    REQUIRE(used != NULL);
    for (size_t i = 0; i < key_count; i++) {
        size_t at = (size_t)hashes[i] & (cap - 1);
        for (steps++; used[at] != 0; steps++) {
            at = (at + 1) & (cap - 1);
        }
        used[at] = 1;
    }
    free(used);
    return steps;
}

TEST(flood__the_keys_collide_without_a_secret)
{
    static uint64_t hashes[KEYS_MAX];
    make_keys();
    for (size_t i = 0; i < key_count; i++) {
        hashes[i] = ri_mix64(longs[i] + OLD_HASH_LONG) & 0xffff;
        CHECK(ri_hash64(text_values[i], TEXT_LEN, RI_STRING * OLD_CLASS_FACTOR) ==
              ri_hash64(text_values[0], TEXT_LEN, RI_STRING * OLD_CLASS_FACTOR));
        CHECK(ri_hash64(text_names[i], TEXT_LEN, 0) == ri_hash64(text_names[0], TEXT_LEN, 0));
    }
    CHECK(count_steps(hashes) > (uint64_t)key_count * key_count / 4);
}

TEST(flood__values_spread_over_a_table)
{
    static uint64_t hashes[KEYS_MAX];
    make_keys();
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < key_count; i++) {
            ri_value v = kind % 2 == 0 ? long_of(i) : text_of(i);
            hashes[i] = ri_value_hash(&v) >> (kind < 2 ? 0 : 32); /* either half is used somewhere */
        }
        CHECK(count_steps(hashes) < STEPS_A_KEY_MAX * key_count);
    }
}

/* As tuples were hashed once: nothing but the shape counts where all elements are [] or [[]]. */
static uint64_t old_tuple_hash(uint32_t shape, unsigned count)
{
    uint64_t seed = RI_TUPLE * OLD_CLASS_FACTOR;
    uint64_t h = seed;
    for (unsigned i = 0; i < count; i++) {
        h = ri_mix64(h * 31 + ((shape >> i & 1) == 0 ? seed : ri_mix64(seed * 31 + seed)));
    }
    return h;
}

TEST(flood__tuples_of_empty_tuples_spread_over_a_table)
{
    enum { ELEMENTS = 21, COUNT = 300, LOW_BITS = 0xfff };
    static uint64_t hashes[KEYS_MAX];
    ri_buf inner = { 0 };
    ri_buf tuple = { 0 };
    ri_value empty = ri_bytes_value(RI_TUPLE, NULL, 0);
    ri_value_write(&inner, &empty);
    ri_value nested = ri_bytes_value(RI_TUPLE, inner.p, inner.len);
    key_count = 0;
    for (uint32_t shape = 0; key_count < COUNT; shape++) {
        REQUIRE(shape < 1U << ELEMENTS);
        if ((old_tuple_hash(shape, ELEMENTS) & LOW_BITS) != 0) {
            continue;
        }
        tuple.len = 0;
        for (unsigned i = 0; i < ELEMENTS; i++) {
            ri_value_write(&tuple, (shape >> i & 1) == 0 ? &empty : &nested);
        }
        ri_value v = ri_bytes_value(RI_TUPLE, tuple.p, tuple.len);
        REQUIRE(ri_value_valid(&v));
        hashes[key_count++] = ri_value_hash(&v);
    }
    CHECK(count_steps(hashes) < STEPS_A_KEY_MAX * key_count);
    ri_buf_deinit(&inner);
    ri_buf_deinit(&tuple);
}

TEST(flood__maps_take_few_steps)
{
    ri_map64 numbers = { 0 };
    ri_bytemap names = { 0 };
    bool added;
    make_keys();
    for (size_t i = 0; i < key_count; i++) {
        /* once: the low bits of mix(key + 1) */
        REQUIRE(ri_map64_put(&numbers, unmix((uint64_t)i << 32 | 5) - 1, &added) != NULL && added);
        REQUIRE(ri_bytemap_put(&names, text_names[i], TEXT_LEN, &added) != NULL && added);
    }
    uint64_t steps = 0;
    for (size_t at = 0; at < names.cap; at++) {
        steps += names.slots[at].key == NULL ? 0 : ((at - names.slots[at].hash) & (names.cap - 1)) + 1;
    }
    CHECK(steps < STEPS_A_KEY_MAX * key_count);
    steps = 0;
    for (size_t at = 0; at < numbers.cap; at++) { /* a key lies at most so far from its place as its run is long */
        size_t run = 0;
        while (run < numbers.cap && numbers.used[(at - run) & (numbers.cap - 1)]) {
            run++;
        }
        steps += run;
    }
    CHECK(steps < 20 * key_count); /* of a map that is up to 3/4 full */
    ri_map64_deinit(&numbers);
    ri_bytemap_deinit(&names);
}

static void fill_table(ri_table *table, bool text)
{
    for (size_t i = 0; i < key_count; i++) {
        ri_value row[2] = { text ? text_of(i) : long_of(i), ri_long((int64_t)(i % 3)) };
        bool added;
        REQUIRE_RC(ri_table_add_row(table, row, &added, &test_err), 0);
        CHECK(added);
    }
}

/* To find each key. */
static uint64_t slot_steps(const ri_slots *slots)
{
    uint64_t steps = 0;
    for (size_t at = 0; at < slots->cap; at++) {
        size_t first = ri_slots_first(slots->cap, slots->slots[at].tag);
        steps += slots->slots[at].row == 0 ? 0 : ((at - first) & (slots->cap - 1)) + 1;
    }
    return steps;
}

TEST(flood__sets_and_indexes_of_rows_take_few_steps)
{
    static const uint16_t key_cols[2] = { 0, 1 };
    make_keys();
    for (int kind = 0; kind < 4; kind++) {
        ri_table table;
        ri_table_index index;
        REQUIRE_RC(ri_table_init(&table, 2, true, &test_err), 0);
        fill_table(&table, kind % 2 == 1);
        CHECK(slot_steps(&table.slots) < STEPS_A_KEY_MAX * key_count);
        REQUIRE_RC(ri_table_index_init(&index, &table, NULL, key_cols, kind < 2 ? 1 : 2, NULL, 0, &test_err), 0);
        REQUIRE_RC(ri_table_index_complete(&index, &test_err), 0);
        CHECK(slot_steps(&index.slots) < STEPS_A_KEY_MAX * key_count);
        ri_table_index_deinit(&index);
        ri_table_deinit(&table);
    }
}

/* ---- the whole ---- */

static void put(ri_buf *out, const char *text)
{
    ri_buf_put(out, text, strlen(text));
}

static void put_text(ri_buf *out, const uint8_t *text)
{
    put(out, "\"");
    for (size_t i = 0; i < TEXT_LEN; i++) {
        char c[8];
        (void)snprintf(c, sizeof c,
                       text[i] == '"' || text[i] == '\\' ? "\\%c"
                       : text[i] < ' '                   ? "\\u%04x"
                                                         : "%c",
                       text[i]);
        put(out, c);
    }
    put(out, "\"");
}

/* In one transaction, with keys that other entities refer to by; and as keys of an EDN set. */
TEST(flood__transactions_and_joins_are_right)
{
    static const char schema[] = "[{:db/ident :n/long :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                 " {:db/ident :n/text :db/valueType :db.type/string :db/unique :db.unique/identity}"
                                 " {:db/ident :m/long :db/valueType :db.type/long}"
                                 " {:db/ident :m/text :db/valueType :db.type/string}]";
    static const char query[] = "[:find (count ?b) . :where [?b :m/long ?l] [?b :m/text ?t] [?a :n/long ?l]"
                                " [?a :n/text ?t]]";
    ri_conn_options options = { .create = true };
    rille_conn *conn;
    rille_query *prepared;
    rille_result *result;
    ri_report report;
    ri_buf text = { 0 };
    char number[64];
    make_keys();
    REQUIRE_RC(ri_conn_open("mem:query_flood", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, strlen(schema), &report, &test_err), 0);
    ri_report_deinit(&report);
    put(&text, "[");
    for (size_t i = 0; i < key_count; i++) {
        for (int kind = 0; kind < 2; kind++) {
            (void)snprintf(number, sizeof number, "{:%s/long %lld :%s/text ", kind == 0 ? "n" : "m",
                           (long long)longs[i], kind == 0 ? "n" : "m");
            put(&text, number);
            put_text(&text, text_values[i]);
            put(&text, "}\n");
        }
    }
    put(&text, "]");
    REQUIRE(!text.failed);
    REQUIRE_RC(ri_conn_transact_edn(conn, (const char *)text.p, text.len, &report, &test_err), 0);
    rille_input input = { .db = report.after };
    REQUIRE_RC(rille_prepare(query, strlen(query), &prepared, &test_err), 0);
    REQUIRE_RC(rille_run(prepared, &input, 1, &result, &test_err), 0);
    CHECK_EQ_INT(rille_result_get(result, 0, 0).u.i, key_count);
    rille_result_close(result);
    rille_query_close(prepared);
    ri_report_deinit(&report);
    ri_buf_deinit(&text);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:query_flood", &test_err), 0);
}

TEST_MAIN(flood__the_keys_collide_without_a_secret, flood__values_spread_over_a_table,
          flood__tuples_of_empty_tuples_spread_over_a_table, flood__maps_take_few_steps,
          flood__sets_and_indexes_of_rows_take_few_steps, flood__transactions_and_joins_are_right)
