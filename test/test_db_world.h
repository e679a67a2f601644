/* SPDX-License-Identifier: MIT
 *
 * A database value in memory for tests of transactions: no connection, no head, each transaction pushed on the last.
 * Datoms are shown as text: "[e0 :a/b 7 +]", where e0 is the first user's entity, a0 the first user's attribute, tx the
 * transaction.
 */
#ifndef RILLE_TEST_DB_WORLD_H
#define RILLE_TEST_DB_WORLD_H

#include "harness.h"

#include "../src/core/db/head.h"
#include "../src/core/db/tx.h"

#define WORLD_TEXT_SIZE 4096

typedef struct world {
    ri_store *store;
    rille_db *db;
    int64_t clock;
} world;

static inline int world_try_open(world *w, bool read_flexible)
{
    static const uint8_t id[16] = { 1 };
    *w = (world){ .clock = 1000 };
    ri_store_options options = { .create = true };
    ri_base *base = NULL;
    int rc = ri_store_open("mem:", &options, &w->store, &test_err);
    if (rc == 0) {
        rc = ri_base_new_empty(id, true, read_flexible, &base, &test_err);
    }
    if (rc == 0) {
        rc = ri_db_of_base(w->store, "main", base, NULL, &w->db, &test_err);
    }
    ri_base_release(base);
    return rc;
}

static inline void world_close(world *w)
{
    ri_db_release(w->db);
    ri_store_release(w->store);
    *w = (world){ 0 };
}

static inline world world_open(bool read_flexible)
{
    world w;
    REQUIRE_RC(world_try_open(&w, read_flexible), 0);
    return w;
}

static inline int world_resolve(world *w, ri_tx *tx, ri_tx_result *out, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    while ((rc = ri_tx_resolve(tx, ++w->clock, &io, out, err)) == RILLE_NEED) {
        rc = ri_io_fetch(&io, err);
        if (rc != 0) {
            break;
        }
    }
    ri_io_deinit(&io);
    return rc;
}

static inline int world_push(world *w, const ri_tx_result *result, rille_err *err)
{
    rille_db *next;
    int rc = ri_db_push(w->db, result->block, result->schema, result->next_e, result->next_attr, &next, err);
    if (rc == 0) {
        ri_db_release(w->db);
        w->db = next;
    }
    return rc;
}

static inline void world_show_entity(const world *w, uint64_t e, char *out, size_t size)
{
    if (e > RI_TX_BASE) {
        (void)snprintf(out, size, e == w->db->t ? "tx" : "tx-%llu", (unsigned long long)(w->db->t - e));
    } else if (e >= RI_EID_USER) {
        (void)snprintf(out, size, "e%llu", (unsigned long long)(e - RI_EID_USER));
    } else if (e >= RI_EID_ATTR) {
        (void)snprintf(out, size, "a%llu", (unsigned long long)(e - RI_EID_ATTR));
    } else {
        const char *ident = ri_schema_ident_of(w->db->schema, e);
        (void)snprintf(out, size, ":%s", ident == NULL ? "?" : ident);
    }
}

/* The datoms of a block that was pushed last; the transaction's instant is left out unless `all`. */
static inline void world_show(const world *w, const ri_block *block, bool all, char *out)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        char e[64];
        char v[100];
        if (d->a == RI_A_TX_INSTANT && !all) {
            continue;
        }
        world_show_entity(w, d->e, e, sizeof e);
        if (d->v.type == RI_REF) {
            world_show_entity(w, d->v.as.u, v, sizeof v);
        } else {
            (void)ri_value_show(v, sizeof v, &d->v);
        }
        const ri_attr *attr = ri_schema_attr_by_id(w->db->schema, d->a);
        used += (size_t)snprintf(out + used, WORLD_TEXT_SIZE - used, "%s[%s :%s %s %c]", used == 0 ? "" : " ", e,
                                 attr == NULL ? "?" : attr->ident, v, d->added ? '+' : '-');
        REQUIRE(used < WORLD_TEXT_SIZE);
    }
}

/* A transaction of EDN text; `shown` (WORLD_TEXT_SIZE, or NULL) gets its datoms. */
static inline int world_try(world *w, const char *text, char *shown, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx = NULL;
    ri_tx_result result = { 0 };
    int rc = ri_edn_read(&arena, text, strlen(text), &form, err);
    if (rc == 0) {
        rc = ri_tx_new(w->db, &tx, err);
    }
    if (rc == 0) {
        rc = ri_tx_fill_edn(tx, &form, err);
    }
    if (rc == 0) {
        rc = world_resolve(w, tx, &result, err);
    }
    if (rc == 0) {
        rc = world_push(w, &result, err);
    }
    if (rc == 0 && shown != NULL) {
        world_show(w, result.block, false, shown);
    }
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    ri_arena_deinit(&arena);
    return rc;
}

static inline void world_expect(world *w, const char *text, const char *datoms, const char *file, int line)
{
    char shown[WORLD_TEXT_SIZE] = "";
    test_err = (rille_err){ 0 };
    int rc = world_try(w, text, shown, &test_err);
    (void)test_check_rc(rc, 0, file, line, text);
    if (datoms != NULL && rc == 0) {
        (void)test_check_str(shown, datoms, file, line, text);
    }
}

/* The transaction fails, its message has `part`, and the value stays as it was. */
static inline void world_refuse(world *w, const char *text, int code, const char *part, const char *file, int line)
{
    test_err = (rille_err){ 0 };
    int rc = world_try(w, text, NULL, &test_err);
    if (test_check_rc(rc, code, file, line, text) && strstr(test_err.message, part) == NULL) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s: the message has no \"%s\":\n    %s\n", text, part, test_err.message);
    }
}

#define GIVES(text, datoms) world_expect(&w, (text), (datoms), __FILE__, __LINE__)
#define REFUSES(text, code, part) world_refuse(&w, (text), (code), (part), __FILE__, __LINE__)

#endif
