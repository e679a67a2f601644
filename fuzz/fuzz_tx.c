/* SPDX-License-Identifier: MIT
 *
 * layer: db
 *
 * Each form of the input is transaction data, pushed on a small database in memory. What must hold of every good
 * transaction: datoms strictly sorted, no more new ids than counters say, nothing asserted that is current, a schema
 * that survives its bytes.
 */
#include "../src/core/db/head.h"
#include "../src/core/db/tx.h"

#define TRANSACTIONS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char schema[] =
    "[{:db/ident :n :db/valueType :db.type/string} {:db/ident :i :db/valueType :db.type/long}"
    " {:db/ident :k :db/valueType :db.type/string :db/unique :db.unique/identity}"
    " {:db/ident :u :db/valueType :db.type/long :db/unique :db.unique/value}"
    " {:db/ident :m :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}"
    " {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :o :db/valueType :db.type/ref :db/unique :db.unique/identity}"
    " {:db/ident :c :db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}"
    " {:db/ident :t :db/valueType :db.type/tuple} {:db/ident :f :db/valueType :db.type/floats}"
    " {:db/ident :x/inst :db/valueType :db.type/instant} {:db/ident :d :db/valueType :db.type/double}"
    " {:db/ident :b :db/valueType :db.type/bigint} {:db/ident :y :db/valueType :db.type/bytes}]";

static rille_db *open_db(ri_store **store, bool read_flexible)
{
    static const uint8_t id[16] = { 7 };
    ri_store_options options = { .create = true };
    ri_base *base = NULL;
    rille_db *db = NULL;
    RI_ASSERT(ri_store_open("mem:", &options, store, NULL) == 0);
    RI_ASSERT(ri_base_new_empty(id, true, read_flexible, &base, NULL) == 0);
    RI_ASSERT(ri_db_of_base(*store, "main", base, NULL, &db, NULL) == 0);
    ri_base_release(base);
    return db;
}

static void check_schema(const ri_schema *before)
{
    ri_buf bytes = { 0 };
    ri_buf again = { 0 };
    ri_schema *after = NULL;
    ri_schema_write(before, &bytes);
    RI_ASSERT(!bytes.failed && ri_schema_read(bytes.p, bytes.len, &after, NULL) == 0);
    ri_schema_write(after, &again);
    RI_ASSERT(again.len == bytes.len && memcmp(again.p, bytes.p, bytes.len) == 0);
    ri_schema_release(after);
    ri_buf_deinit(&bytes);
    ri_buf_deinit(&again);
}

static void check_block(const rille_db *db, const ri_tx_result *result, ri_io *io)
{
    for (size_t i = 0; i < result->block->count; i++) {
        const ri_datom *d = &result->block->datoms[i];
        bool found = false;
        uint64_t t;
        RI_ASSERT(i == 0 || ri_datom_cmp(RI_LOG, d - 1, d) < 0);
        RI_ASSERT(d->e < result->next_e || d->e >= RI_TX_BASE);
        RI_ASSERT(d->v.type != RI_REF || d->v.as.u < result->next_e || d->v.as.u >= RI_TX_BASE);
        RI_ASSERT(ri_value_valid(&d->v));
        RI_ASSERT(ri_db_has(db, d->e, d->a, &d->v, io, &found, &t, NULL) == 0 && found != d->added);
    }
    if (result->schema != db->schema) {
        check_schema(result->schema);
    }
}

/* The value after the form; the same value when it was refused. */
static rille_db *transact(rille_db *db, const ri_form *form)
{
    rille_err err = { 0 };
    ri_tx *tx;
    ri_tx_result result = { 0 };
    ri_io io = { 0 };
    rille_db *next = db;
    RI_ASSERT(ri_tx_new(db, &tx, NULL) == 0);
    int rc = ri_tx_fill_edn(tx, form, &err);
    if (rc == 0) {
        rc = ri_tx_resolve(tx, 1, &io, &result, &err);
    }
    RI_ASSERT(rc == 0 || (rc < 0 && rc == err.code && err.message[0] != '\0' && rc != RILLE_INTERNAL));
    if (rc == 0) {
        check_block(db, &result, &io);
        RI_ASSERT(ri_db_push(db, result.block, result.schema, result.next_e, result.next_attr, &next, NULL) == 0);
        ri_db_release(db);
    }
    ri_io_deinit(&io);
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ri_store *store;
    ri_arena arena = { 0 };
    ri_form form;
    ri_edn_reader reader;
    rille_db *db = open_db(&store, len % 2 == 1);
    RI_ASSERT(ri_edn_read(&arena, schema, sizeof schema - 1, &form, NULL) == 0);
    db = transact(db, &form);
    ri_edn_init(&reader, &arena, (const char *)bytes, len, true);
    for (int i = 0; i < TRANSACTIONS_MAX && ri_edn_next(&reader, &form, NULL) == 0; i++) {
        db = transact(db, &form);
    }
    ri_edn_deinit(&reader);
    ri_db_release(db);
    ri_store_release(store);
    ri_arena_deinit(&arena);
    return 0;
}
