/* SPDX-License-Identifier: MIT
 *
 * Trees whose hashes are right and whose order or rows are not, on branches of their own.
 */
#ifndef RILLE_TEST_QUERY_DAMAGE_H
#define RILLE_TEST_QUERY_DAMAGE_H

#include "harness.h"

#include "../src/core/db/conn.h"
#include "../src/core/db/head.h"
#include "../src/core/tree/chunk.h"

enum { ROWS_MAX = 3000, LEAF = 7, FANOUT = 3, NODES_MAX = 1000, LEVELS_MAX = 12 };

typedef enum damage {
    NO_DAMAGE,
    SWAP_ROWS,   /* within a leaf */
    SWAP_NODES,  /* two of a level: what refers to them */
    REPEAT_NODE, /* one in place of another */
    SEPARATOR,   /* another one's */
    COUNT,       /* of datoms */
    ATTRIBUTE,   /* of a row, or of a leaf */
    TYPE,        /* of a value */
    TRANSACTION, /* of a row */
    LEADS_BACK,  /* two nodes in a row are the one before */
    POINTS_AHEAD /* a separator is that of a later node */
} damage;

/* ---- a tree, to be written as it is not allowed ---- */

typedef struct tree_level {
    uint32_t count;
    ri_datom separators[NODES_MAX];
    uint64_t datoms[NODES_MAX];
    ri_noderef refs[NODES_MAX];
} tree_level;

typedef struct maker {
    ri_order order;
    ri_datom rows[ROWS_MAX];
    uint32_t row_count;
    ri_arena bytes;
    ri_writer *writer;
    ri_encoder *encoder;
    test_rng *rng;
    unsigned level; /* LEADS_BACK, POINTS_AHEAD: of leaves 1, and which of them, from 0 on */
    uint32_t at;
    uint32_t at_count; /* out: how many there are */
} maker;

static inline uint32_t below(maker *m, uint32_t n)
{
    return (uint32_t)test_random_below(m->rng, n);
}

static inline void read_rows(maker *m, const rille_db *db)
{
    ri_cursor cursor;
    ri_io io = { 0 };
    ri_bound start = ri_bound_all(false);
    ri_cursor_init(&cursor, db->store, &db->base->tree[m->order]);
    m->row_count = 0;
    int rc = ri_cursor_seek(&cursor, &start, &io, &test_err);
    for (; rc == 0; rc = ri_cursor_next(&cursor, &io, &test_err)) {
        REQUIRE(m->row_count < ROWS_MAX);
        ri_datom *d = &m->rows[m->row_count++];
        ri_node_datom(ri_cursor_leaf(&cursor), ri_cursor_row(&cursor), d);
        REQUIRE(ri_value_copy(&m->bytes, &d->v, &d->v));
    }
    CHECK_RC(rc, RILLE_DONE);
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
}

static inline void damage_leaf(maker *m, damage kind, ri_datom *rows, uint32_t n)
{
    uint32_t i = below(m, n);
    if (kind == SWAP_ROWS && n > 1) {
        uint32_t j = (i + 1 + below(m, n - 1)) % n;
        ri_datom other = rows[i];
        rows[i] = rows[j];
        rows[j] = other;
    }
    if (kind == ATTRIBUTE) {
        bool all = below(m, 2) == 0;
        uint32_t a = below(m, 3) == 0 ? 999U : RI_EID_ATTR + below(m, 6);
        for (uint32_t row = 0; row < n; row++) {
            rows[row].a = all || row == i ? a : rows[row].a;
        }
    }
    if (kind == TYPE && m->order != RI_VAET) {
        static const char text[] = "zz";
        bool all = below(m, 2) == 0;
        ri_value v = below(m, 2) == 0 ? ri_long(5) : ri_bytes_value(RI_STRING, text, 2);
        for (uint32_t row = 0; row < n; row++) {
            rows[row].v = all || row == i ? v : rows[row].v;
        }
    }
    if (kind == TRANSACTION) {
        bool all = below(m, 2) == 0;
        for (uint32_t row = 0; row < n; row++) {
            rows[row].t = all || row == i ? RI_TX_BASE + below(m, 1000) : rows[row].t;
        }
    }
}

/* Who seeks a key that is not in the node where it belongs, and finds earlier ones in the next node too, is to seek it
 * again, and comes to the same node: a probe that trusts the order does that for ever. */
static inline void lead_astray(maker *m, damage kind, tree_level *level)
{
    uint32_t at = m->at + 1;
    uint32_t ahead = at + 1 + m->at % 4;
    m->at_count = level->count - 1;
    for (uint32_t i = at; kind == LEADS_BACK && i < at + 2 && i < level->count; i++) {
        level->refs[i] = level->refs[at - 1];
        level->datoms[i] = level->datoms[at - 1];
    }
    if (kind == POINTS_AHEAD && at < level->count) {
        level->separators[at] = level->separators[ahead < level->count ? ahead : level->count - 1];
    }
}

static inline void damage_level(maker *m, damage kind, tree_level *level)
{
    if (kind == LEADS_BACK || kind == POINTS_AHEAD) {
        lead_astray(m, kind, level);
        return;
    }
    uint32_t i = below(m, level->count);
    uint32_t j = level->count > 1 ? (i + 1 + below(m, level->count - 1)) % level->count : i;
    ri_noderef ref = level->refs[i];
    uint64_t datoms = level->datoms[i];
    if (kind == SWAP_NODES || kind == REPEAT_NODE) {
        level->refs[i] = level->refs[j];
        level->datoms[i] = level->datoms[j];
        level->refs[j] = kind == SWAP_NODES ? ref : level->refs[j];
        level->datoms[j] = kind == SWAP_NODES ? datoms : level->datoms[j];
    }
    if (kind == SEPARATOR) {
        level->separators[i] = below(m, 2) == 0 ? level->separators[j] : m->rows[below(m, m->row_count)];
    }
    if (kind == COUNT) {
        level->datoms[i] += below(m, 2) == 0 ? 1 : UINT64_MAX;
    }
}

/* Are the rows that a node is made of such as the encoder takes? */
static inline void put_node(maker *m, unsigned level, const ri_datom *rows, uint32_t n, const uint64_t *datoms,
                            const ri_noderef *refs, ri_noderef *out)
{
    ri_buf bytes = { 0 };
    uint8_t addrs[FANOUT * RI_HASH_SIZE];
    for (uint32_t i = 0; level > 0 && i < n; i++) {
        memcpy(addrs + (size_t)i * RI_HASH_SIZE, refs[i].addr, RI_HASH_SIZE);
    }
    REQUIRE_RC(ri_node_encode(m->encoder, m->order, level, rows, n, level > 0 ? datoms : NULL, level > 0 ? addrs : NULL,
                              &bytes, &test_err),
               0);
    REQUIRE_RC(ri_writer_put_node(m->writer, level, bytes.p, bytes.len, refs, level > 0 ? n : 0, out, &test_err), 0);
    ri_buf_deinit(&bytes);
}

static inline void make_leaves(maker *m, damage kind, tree_level *level)
{
    uint32_t count = (m->row_count + LEAF - 1) / LEAF;
    uint32_t bad = below(m, count);
    REQUIRE(count <= NODES_MAX);
    level->count = count;
    for (uint32_t i = 0; i < count; i++) {
        ri_datom rows[LEAF];
        uint32_t n = i + 1 < count ? LEAF : m->row_count - i * LEAF;
        memcpy(rows, m->rows + i * LEAF, n * sizeof *rows);
        level->separators[i] =
            i == 0 ? ri_separator_zero(m->order) : ri_separator(m->order, &m->rows[i * LEAF - 1], &rows[0]);
        level->datoms[i] = n;
        if (i == bad) {
            damage_leaf(m, kind, rows, n);
        }
        put_node(m, 0, rows, n, NULL, NULL, &level->refs[i]);
    }
}

static inline void make_branches(maker *m, unsigned number, const tree_level *from, tree_level *to)
{
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i += FANOUT) {
        uint32_t n = from->count - i < FANOUT ? from->count - i : FANOUT;
        uint32_t at = to->count++;
        to->separators[at] = from->separators[i];
        to->datoms[at] = 0;
        for (uint32_t k = 0; k < n; k++) {
            to->datoms[at] += from->datoms[i + k];
        }
        put_node(m, number, from->separators + i, n, from->datoms + i, from->refs + i, &to->refs[at]);
    }
}

static inline ri_tree make_tree(maker *m, damage kind)
{
    static tree_level levels[2];
    unsigned height = 1;
    unsigned bad = m->level != 0 ? m->level : 1 + below(m, 4); /* the branches of which level are damaged */
    tree_level *level = &levels[0];
    make_leaves(m, kind, level);
    while (level->count > 1) {
        tree_level *next = level == &levels[0] ? &levels[1] : &levels[0];
        if (height == bad || (level->count <= FANOUT && height < bad)) {
            damage_level(m, kind, level);
            bad = 0; /* no other */
        }
        make_branches(m, height, level, next);
        level = next;
        height++;
    }
    ri_tree tree = { .root = level->refs[0], .count = level->datoms[0], .order = (uint8_t)m->order };
    tree.height = (uint8_t)height;
    return tree;
}

/* Branch `name`: the database's head with another tree in it. */
static inline void make_branch(maker *m, rille_conn *conn, rille_db *db, damage kind, const char *name)
{
    ri_store *store = ri_conn_store(conn);
    ri_buf body = { 0 };
    ri_buf cell = { 0 };
    rille_head old;
    rille_revision revision;
    rille_err none = { 0 };
    REQUIRE_RC(ri_writer_new(store, &m->writer, &test_err), 0);
    read_rows(m, db);
    ri_tree before = db->base->tree[m->order];
    db->base->tree[m->order] = make_tree(m, kind);
    REQUIRE_RC(ri_writer_seal(m->writer, &test_err), 0);
    ri_base_write(db->base, false, &body);
    ri_frame_write(&cell, RI_FRAME_BASE, body.p, body.len);
    db->base->tree[m->order] = before;
    (void)ri_store_head_read(store, name, &old, &none);
    rille_head_swap swap = { .branch = name, .expected = old.revision, .cell = cell.p, .cell_len = cell.len };
    REQUIRE_RC(ri_store_head_swap(store, &swap, m->writer, &revision, &test_err), 0);
    rille_free(old.bytes);
    ri_writer_release(m->writer);
    ri_buf_deinit(&body);
    ri_buf_deinit(&cell);
}

#endif
