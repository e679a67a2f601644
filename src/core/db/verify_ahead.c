/* SPDX-License-Identifier: MIT */
#include "verify_ahead.h"

#include "../base/map.h"
#include "flush.h"

#include <string.h>

typedef struct crawl {
    ri_store *store;
    ri_io io;
    ri_bytemap seen; /* nodes and blobs, by address */
    ri_arena keys;
    bool need;
    rille_err *err;
} crawl;

static int note(crawl *c, const uint8_t addr[RI_HASH_SIZE], bool *added)
{
    ri_bytemap_slot *slot = ri_bytemap_put(&c->seen, addr, RI_HASH_SIZE, added);
    const void *copy = slot != NULL && *added ? ri_arena_copy(&c->keys, addr, RI_HASH_SIZE) : NULL;
    if (slot == NULL || (*added && copy == NULL)) {
        return ri_fail_nomem(c->err);
    }
    if (*added) {
        slot->key = copy;
    }
    return 0;
}

/* 0 and a blob, or NULL: not there yet, or never. */
static int get_blob(crawl *c, const uint8_t addr[RI_HASH_SIZE], ri_blob **out)
{
    bool added;
    *out = NULL;
    RI_TRY(note(c, addr, &added));
    int rc = added ? ri_store_get_blob(c->store, addr, &c->io, out, c->err) : 0;
    c->need = c->need || rc == RILLE_NEED;
    return rc == RILLE_NOMEM ? rc : 0;
}

static int crawl_node(crawl *c, ri_order order, const ri_noderef *ref, unsigned level);

static int crawl_base(crawl *c, const ri_base *base)
{
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        const ri_tree *tree = &base->tree[order];
        if (tree->height > 0 && tree->height <= RI_TREE_HEIGHT_MAX) {
            RI_TRY(crawl_node(c, (ri_order)order, &tree->root, tree->height - 1U));
        }
    }
    return 0;
}

static int crawl_retained(crawl *c, const ri_datom *row)
{
    ri_blob *blob;
    ri_base *base = NULL;
    if (row->a != RI_A_META_BASE || row->v.len != RI_META_KEY_SIZE) {
        return 0;
    }
    RI_TRY(get_blob(c, row->v.as.p + 8, &blob));
    if (blob == NULL) {
        return 0;
    }
    int rc = ri_base_read(blob->bytes, blob->len, &base, c->err);
    rc = rc == 0 ? crawl_base(c, base) : rc == RILLE_NOMEM ? rc : 0;
    ri_base_release(base);
    ri_object_release(&blob->object);
    return rc;
}

static int crawl_leaf(crawl *c, ri_order order, const ri_node *leaf)
{
    for (uint32_t row = 0; row < leaf->count; row++) {
        ri_datom d;
        ri_node_datom(leaf, row, &d);
        if (order == RI_META) {
            RI_TRY(crawl_retained(c, &d));
        } else if (ri_type_is_stub(d.v.type)) {
            ri_blob *blob;
            RI_TRY(get_blob(c, ri_stub_addr(&d.v), &blob));
            ri_object_release(blob == NULL ? NULL : &blob->object);
        }
    }
    return 0;
}

static int crawl_node(crawl *c, ri_order order, const ri_noderef *ref, unsigned level)
{
    bool added;
    ri_object *object;
    RI_TRY(note(c, ref->addr, &added));
    if (!added) {
        return 0;
    }
    int rc = ri_store_get(c->store, ref, ri_node_decode, &c->io, &object, c->err);
    if (rc != 0) {
        c->need = c->need || rc == RILLE_NEED;
        return rc == RILLE_NOMEM ? rc : 0;
    }
    const ri_node *node = (const ri_node *)(const void *)object;
    if (node->level == level && node->order == order) {
        rc = level == 0 && (order == RI_EAVT || order == RI_META) ? crawl_leaf(c, order, node) : 0;
        for (uint32_t i = 0; level > 0 && rc == 0 && i < node->count; i++) {
            rc = crawl_node(c, order, &node->children[i], level - 1U);
        }
    }
    ri_object_release(object);
    return rc;
}

/* Long values that are in no tree yet. */
static int crawl_novelty(crawl *c, const rille_db *db)
{
    for (const ri_block *b = db->novelty.last; b != NULL; b = b->prev) {
        for (size_t i = 0; i < b->count; i++) {
            if (ri_type_is_stub(b->datoms[i].v.type)) {
                ri_blob *blob;
                RI_TRY(get_blob(c, ri_stub_addr(&b->datoms[i].v), &blob));
                ri_object_release(blob == NULL ? NULL : &blob->object);
            }
        }
    }
    return 0;
}

int ri_verify_ahead(const rille_db *db, rille_err *err)
{
    crawl c = { .store = db->store, .err = err };
    int rc = crawl_base(&c, db->base);
    rc = rc == 0 ? crawl_novelty(&c, db) : rc;
    ri_io_deinit(&c.io);
    ri_bytemap_deinit(&c.seen);
    ri_arena_deinit(&c.keys);
    return rc == 0 && c.need ? RILLE_NEED : rc;
}

/* ---- pieces ---- */

/* All branches; only the connection's own where the backend cannot list them. */
static int list_branches(rille_conn *conn, char **names, size_t *count, rille_err *err)
{
    int rc = ri_store_head_list(ri_conn_store(conn), names, count, err);
    if (rc != RILLE_UNSUPPORTED) {
        return rc;
    }
    size_t size = strlen(ri_conn_branch(conn)) + 1;
    *names = ri_alloc(size);
    if (*names == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(*names, ri_conn_branch(conn), size);
    *count = 1;
    return 0;
}

/* The next branch, or all of them where nothing waits. */
static int verify_branches(rille_conn *conn, ri_verify_state *state, rille_err *err)
{
    char *names = NULL;
    size_t count = 0;
    int rc = list_branches(conn, &names, &count, err);
    const char *name = names;
    for (size_t i = 0; i < count && rc == 0; i++, name += strlen(name) + 1) {
        if (i < state->next_branch) {
            continue;
        }
        ri_verify_report report = state->report;
        rc = ri_verify_branch(ri_conn_store(conn), name, &report, err);
        if (rc == 0) {
            state->report = report;
            state->next_branch++;
            rc = ri_task_running() != NULL ? RILLE_AGAIN : 0;
        }
    }
    rille_free(names);
    state->has_branches = rc == 0;
    return rc;
}

int ri_conn_verify_step(rille_conn *conn, ri_verify_state *state, rille_err *err)
{
    ri_store *store = ri_conn_store(conn);
    int rc = state->has_branches ? 0 : verify_branches(conn, state, err);
    rc = rc == 0 ? ri_store_check_packs(store, &state->next_pack, err) : rc;
    if (rc < 0) {
        ri_err_prefix(err, "%s", ri_conn_url(conn));
    }
    return rc;
}

int ri_conn_verify(rille_conn *conn, ri_verify_report *out, rille_err *err)
{
    ri_verify_state state = { .next_branch = 0 };
    int rc = ri_conn_verify_step(conn, &state, err);
    *out = state.report;
    return rc;
}
