/* SPDX-License-Identifier: MIT
 *
 * Bases that no engine wrote: sound trees with changed contents.
 */
#ifndef RILLE_TEST_DB_FORGE_H
#define RILLE_TEST_DB_FORGE_H

#include "harness.h"
#include "test_verify_steps.h"

#include "../src/core/db/conn_own.h"

static inline rille_conn *open_new(const char *url)
{
    ri_conn_options options = { .create = true };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

static inline void transact(rille_conn *conn, const char *text)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err), 0);
    ri_report_deinit(&report);
}

static inline rille_db *newest(rille_conn *conn)
{
    rille_db *db = NULL;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    return db;
}

/* Changes of one tree. */
typedef struct forgery {
    ri_order order;
    const ri_change *changes;
    size_t count;
} forgery;

/* A tree with changes, as a flush would make it. */
static inline void change_tree(ri_base *base, ri_store *store, const forgery *f, ri_writer *writer)
{
    ri_io io = { 0 };
    ri_tree out;
    int rc;
    RI_FETCHING(rc, &io,
                ri_tree_merge(store, &base->tree[f->order], f->changes, f->count, writer, &io, &out, &test_err),
                &test_err)
    REQUIRE_RC(rc, 0);
    base->tree[f->order] = out;
    ri_io_deinit(&io);
}

/* Makes a base, and bytes behind it, the head. */
static inline void swap_base(rille_conn *conn, const ri_base *base, const ri_buf *tail, ri_writer *writer)
{
    ri_buf body = { 0 };
    ri_buf cell = { 0 };
    ri_base_write(base, false, &body);
    ri_frame_write(&cell, RI_FRAME_BASE, body.p, body.len);
    if (tail != NULL) {
        ri_buf_put(&cell, tail->p, tail->len);
    }
    rille_head_swap swap = { .branch = "main", .expected = conn->seen.revision, .cell = cell.p, .cell_len = cell.len };
    rille_revision revision;
    REQUIRE_RC(ri_store_head_swap(conn->store, &swap, writer, &revision, &test_err), 0);
    ri_buf_deinit(&body);
    ri_buf_deinit(&cell);
}

/* The newest base with changes in some trees becomes the head. */
static inline void forge(rille_conn *conn, const forgery *forgeries, size_t count)
{
    ri_writer *writer = NULL;
    rille_db *db = newest(conn);
    ri_base *base = db->base;
    REQUIRE_RC(ri_writer_new(db->store, &writer, &test_err), 0);
    for (size_t i = 0; i < count; i++) {
        change_tree(base, db->store, &forgeries[i], writer);
    }
    REQUIRE_RC(ri_writer_seal(writer, &test_err), 0);
    for (size_t i = 0; i < count; i++) {
        ri_writer_resolve(writer, &base->tree[forgeries[i].order].root);
    }
    swap_base(conn, base, NULL, writer);
    ri_writer_release(writer);
    ri_db_release(db);
}

static inline void expect_damage(rille_conn *conn, const char *part)
{
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), RILLE_CORRUPT);
    if (strstr(test_err.message, part) == NULL) {
        CHECK_EQ_STR(test_err.message, part);
    }
    rille_err whole = test_err;
    verify_steps each = { .at = UINT32_MAX };
    CHECK_RC(verify_in_steps(conn, &each), RILLE_CORRUPT);
    CHECK_EQ_STR(test_err.message, whole.message);
}

#endif
