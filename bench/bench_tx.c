/* SPDX-License-Identifier: MIT
 *
 * Transactions from C without storing them: what filling and resolving cost a datom, by the shape of the data.
 *
 *   bench_tx [ENTITIES]      100,000 by default, 5 attributes each
 */
#include "bench.h"

#include "../src/core/db/conn.h"

#define RUNS 7
#define SMALL_RUNS 2000

static void die(const char *what, const rille_err *err)
{
    (void)fprintf(stderr, "bench_tx: %s: %s\n", what, err->message);
    exit(1);
}

#define TRY(call)             \
    do {                      \
        if ((call) != 0) {    \
            die(#call, &err); \
        }                     \
    } while (0)

static const char schema[] = "[{:db/ident :uid :db/valueType :db.type/long :db/unique :db.unique/identity}"
                             " {:db/ident :name :db/valueType :db.type/string}"
                             " {:db/ident :last-name :db/valueType :db.type/string}"
                             " {:db/ident :sex :db/valueType :db.type/keyword}"
                             " {:db/ident :age :db/valueType :db.type/long}"
                             " {:db/ident :salary :db/valueType :db.type/long}]";

typedef enum shape { IN_ORDER, JUMPING, WITH_UID, EXISTING } shape;

static const ri_attr *attr_of(ri_tx *tx, const char *ident)
{
    rille_err err;
    const ri_attr *attr;
    TRY(ri_tx_attr(tx, ident, strlen(ident), &attr, &err));
    return attr;
}

static ri_value text(ri_type type, const char *s)
{
    return ri_bytes_value(type, s, strlen(s));
}

static ri_ent entity(ri_tx *tx, shape how, uint64_t i, uint64_t count)
{
    rille_err err;
    ri_ent e = { RI_ENT_ID, { .id = RI_EID_USER + i } };
    if (how == JUMPING) {
        TRY(ri_tx_temp_number(tx, -1 - (int64_t)(i * 7919 % count), &e, &err));
    } else if (how != EXISTING) {
        TRY(ri_tx_temp_fresh(tx, &e, &err));
    }
    return e;
}

static size_t fill(ri_tx *tx, shape how, uint64_t from, uint64_t count, int64_t change)
{
    rille_err err;
    const ri_attr *a[6] = { attr_of(tx, "name"), attr_of(tx, "last-name"), attr_of(tx, "sex"),
                            attr_of(tx, "age"),  attr_of(tx, "salary"),    attr_of(tx, "uid") };
    for (uint64_t i = from; i < from + count; i++) {
        ri_value v[6] = { text(RI_STRING, bench_names[bench_random(i, 0) % 8]),
                          text(RI_STRING, bench_last_names[bench_random(i, 1) % 6]),
                          text(RI_KEYWORD, bench_sexes[bench_random(i, 2) % 2]),
                          ri_long((int64_t)(bench_random(i, 3) % 100) + change),
                          ri_long((int64_t)(bench_random(i, 4) % 100000) + change),
                          ri_long((int64_t)(i * 7919)) };
        ri_ent e = entity(tx, how, i, count);
        for (int k = 0; k < (how == WITH_UID ? 6 : 5); k++) {
            TRY(ri_tx_add(tx, e, a[k], &v[k], false, &err));
        }
    }
    return (size_t)count * (how == WITH_UID ? 6 : 5);
}

static void resolve(ri_tx *tx, ri_tx_result *result)
{
    rille_err err;
    ri_io io = { 0 };
    TRY(ri_tx_resolve(tx, 1, &io, result, &err));
    ri_io_deinit(&io);
}

static void bulk(rille_db *db, const char *name, shape how, uint64_t count, int64_t change)
{
    bench_series filling = { .count = 0 };
    bench_series resolving = { .count = 0 };
    bench_series hashing = { .count = 0 };
    size_t datoms = 0;
    size_t items = 0;
    for (int run = 0; run < RUNS; run++) {
        rille_err err;
        ri_tx *tx;
        ri_tx_result result;
        double start = bench_now();
        TRY(ri_tx_new(db, &tx, &err));
        items = fill(tx, how, 0, count, change);
        double filled = bench_now();
        resolve(tx, &result);
        double resolved = bench_now();
        ri_block_chain(result.block, db->commit);
        double hashed = bench_now();
        datoms = result.block->count;
        bench_add(&filling, (filled - start) * 1e9 / (double)items);
        bench_add(&resolving, (resolved - filled) * 1e9 / (double)items);
        bench_add(&hashing, (hashed - resolved) * 1e9 / (double)items);
        ri_tx_result_deinit(&result);
        ri_tx_release(tx);
    }
    (void)printf("%-34s %9zu items %9zu datoms   fill %6.1f   resolve %6.1f ns/item (of it the commit id %5.1f)\n",
                 name, items, datoms, bench_quantile(&filling, 0.5), bench_quantile(&resolving, 0.5),
                 bench_quantile(&hashing, 0.5));
}

static void small(rille_db *db, const char *name, shape how, uint64_t count)
{
    bench_series all = { .count = 0 };
    for (uint64_t run = 0; run < SMALL_RUNS; run++) {
        rille_err err;
        ri_tx *tx;
        ri_tx_result result;
        double start = bench_now();
        TRY(ri_tx_new(db, &tx, &err));
        (void)fill(tx, how, bench_random(run, 9) % count, 1, 1);
        resolve(tx, &result);
        ri_tx_result_deinit(&result);
        ri_tx_release(tx);
        bench_add(&all, (bench_now() - start) * 1e6);
    }
    double p99 = bench_quantile(&all, 0.99);
    (void)printf("%-34s %6.2f us median, %6.2f us p99\n", name, bench_quantile(&all, 0.5), p99);
}

static void load(rille_conn *conn, uint64_t count)
{
    rille_err err;
    ri_tx *tx;
    ri_report report;
    TRY(ri_conn_begin(conn, &tx, &err));
    (void)fill(tx, WITH_UID, 0, count, 0);
    TRY(ri_conn_commit(conn, tx, &report, &err));
    ri_report_deinit(&report);
    ri_tx_release(tx);
    TRY(ri_conn_flush(conn, &err));
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    rille_err err;
    rille_conn *conn;
    rille_db *db;
    ri_report report;
    ri_conn_options options = { .create = true };
    bench_machine("bench_tx: filling and resolving, nothing stored");
    TRY(ri_conn_open("mem:", &options, &conn, &err));
    TRY(ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, &err));
    ri_report_deinit(&report);
    TRY(ri_conn_db(conn, &db, &err));
    bulk(db, "new entities in order", IN_ORDER, count, 0);
    bulk(db, "new entities, jumping about", JUMPING, count, 0);
    bulk(db, "new entities with a unique key", WITH_UID, count, 0);
    small(db, "one new entity", IN_ORDER, 1);
    ri_db_release(db);
    load(conn, count);
    TRY(ri_conn_db(conn, &db, &err));
    bulk(db, "the same again, by id", EXISTING, count, 0);
    bulk(db, "two changes an entity, by id", EXISTING, count, 1);
    bulk(db, "the same again, by unique key", WITH_UID, count, 0);
    small(db, "one new entity, large database", IN_ORDER, count);
    small(db, "two changes of one entity, by id", EXISTING, count);
    small(db, "two changes of one, by unique key", WITH_UID, count);
    ri_db_release(db);
    ri_conn_release(conn);
    return 0;
}
