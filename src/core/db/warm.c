/* SPDX-License-Identifier: MIT */
#include "warm.h"

#include "../base/mem.h"
#include "../tree/node.h"

#define ROUND_NODES_MAX 256U /* each is compared with the others */

typedef struct range {
    ri_order order;
    ri_bound from;
    ri_bound to;
} range;

typedef struct place {
    ri_noderef ref;
    uint32_t range;
    bool known; /* in the cache before, or counted */
} place;

typedef struct places {
    place *at;
    size_t count, cap;
} places;

struct ri_warm {
    rille_db *db;
    range *ranges;
    size_t range_count, range_cap;
    places level; /* nodes of this one are read from `next` on, ... */
    size_t next;
    places below; /* ... and these are their children */
    bool begun;
    bool looked; /* the nodes of this round were looked for in the cache */
    size_t round_end;
    uint64_t nodes_max;
    uint64_t bytes_max;
    uint64_t memory_bytes; /* that the nodes take in the cache */
    uint64_t memory_max;
    ri_io io;
    ri_warm_report report;
};

int ri_warm_new(rille_db *db, uint64_t nodes_max, uint64_t bytes_max, ri_warm **out, rille_err *err)
{
    *out = ri_alloc_zero(sizeof **out);
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    (*out)->db = ri_db_retain(db);
    (*out)->nodes_max = nodes_max != 0 ? nodes_max : UINT64_MAX;
    (*out)->bytes_max = bytes_max != 0 ? bytes_max : UINT64_MAX;
    (*out)->memory_max = (uint64_t)ri_store_cache_bytes_max(db->store) / 4 * 3;
    (*out)->report.complete = true;
    return 0;
}

void ri_warm_release(ri_warm *warm)
{
    if (warm != NULL) {
        ri_io_deinit(&warm->io);
        ri_free(warm->ranges);
        ri_free(warm->level.at);
        ri_free(warm->below.at);
        ri_db_release(warm->db);
        ri_free(warm);
    }
}

const ri_warm_report *ri_warm_report_of(const ri_warm *warm)
{
    return &warm->report;
}

int ri_warm_add(ri_warm *warm, ri_order order, const ri_bound *from, const ri_bound *to, rille_err *err)
{
    if (!RI_GROW(&warm->ranges, &warm->range_cap, warm->range_count + 1)) {
        return ri_fail_nomem(err);
    }
    warm->ranges[warm->range_count++] = (range){ order, *from, *to };
    return 0;
}

/* More places than nodes may be read still are not kept. */
static int add_place(ri_warm *warm, const ri_noderef *ref, uint32_t number, rille_err *err)
{
    uint64_t left = warm->nodes_max - warm->report.nodes;
    if (warm->below.count >= left && warm->below.count >= ROUND_NODES_MAX) {
        warm->report.complete = false;
        return 0;
    }
    if (!RI_GROW(&warm->below.at, &warm->below.cap, warm->below.count + 1)) {
        return ri_fail_nomem(err);
    }
    warm->below.at[warm->below.count++] = (place){ *ref, number, false };
    return 0;
}

static int begin(ri_warm *warm, rille_err *err)
{
    warm->begun = true;
    for (uint32_t i = 0; i < warm->range_count; i++) {
        const ri_tree *tree = &warm->db->base->tree[warm->ranges[i].order];
        if (tree->count > 0) {
            RI_TRY(add_place(warm, &tree->root, i, err));
        }
    }
    return 0;
}

/* The children of a branch that may have datoms of the range. */
static int add_children(ri_warm *warm, const ri_node *node, uint32_t number, rille_err *err)
{
    const range *r = &warm->ranges[number];
    uint32_t last = ri_node_child(node, &r->to);
    for (uint32_t i = ri_node_child(node, &r->from); i <= last && i < node->count; i++) {
        RI_TRY(add_place(warm, &node->children[i], number, err));
    }
    return 0;
}

/* Two ranges of a tree may share nodes: a node that this round reads for one is there for the other. */
static bool is_in_round(const ri_warm *warm, size_t end)
{
    for (size_t i = warm->next; i < end; i++) {
        if (memcmp(warm->level.at[i].ref.addr, warm->level.at[end].ref.addr, RI_HASH_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* About what a node that is not read yet will take in the cache. */
static uint64_t memory_expected(const ri_warm *warm, const place *p)
{
    uint64_t taken = warm->report.nodes + warm->report.cached_nodes;
    uint64_t mean = taken > 0 ? warm->memory_bytes / taken : 0;
    return mean > p->ref.len ? mean : p->ref.len;
}

/* Which nodes this round reads: those in the cache, and as many others as the budget has room for. */
static void choose_round(ri_warm *warm)
{
    uint64_t nodes = warm->report.nodes;
    uint64_t bytes = warm->report.bytes;
    uint64_t memory = warm->memory_bytes;
    size_t i = warm->next;
    for (; i < warm->level.count && i - warm->next < ROUND_NODES_MAX; i++) {
        place *p = &warm->level.at[i];
        p->known = ri_store_has_cached(warm->db->store, &p->ref, ri_node_decode) || is_in_round(warm, i);
        bool fits = nodes < warm->nodes_max && bytes + p->ref.len <= warm->bytes_max && memory < warm->memory_max;
        if (!p->known && !fits) {
            break;
        }
        nodes += p->known ? 0 : 1;
        bytes += p->known ? 0 : p->ref.len;
        memory += memory_expected(warm, p);
    }
    warm->round_end = i;
    warm->looked = true;
}

static int take_node(ri_warm *warm, place *p, rille_err *err)
{
    ri_object *object;
    RI_TRY(ri_store_get(warm->db->store, &p->ref, ri_node_decode, &warm->io, &object, err));
    warm->report.nodes += p->known ? 0 : 1;
    warm->report.bytes += p->known ? 0 : p->ref.len != 0 ? p->ref.len : object->mem_bytes;
    warm->report.cached_nodes += p->known ? 1 : 0;
    warm->memory_bytes += object->mem_bytes;
    const ri_node *node = (const ri_node *)object;
    int rc = node->level > 0 ? add_children(warm, node, p->range, err) : 0;
    ri_object_release(object);
    return rc;
}

/* Asks for all nodes of the round at once. Nothing is taken before all are there. */
static int read_round(ri_warm *warm, rille_err *err)
{
    bool lacks = false;
    for (size_t i = warm->next; i < warm->round_end; i++) {
        ri_object *object;
        int rc = ri_store_get(warm->db->store, &warm->level.at[i].ref, ri_node_decode, &warm->io, &object, err);
        if (rc == 0) {
            ri_object_release(object);
        }
        lacks = lacks || rc == RILLE_NEED;
        if (rc < 0) {
            return rc;
        }
    }
    return lacks ? RILLE_NEED : 0;
}

static void next_level(ri_warm *warm)
{
    places done = warm->level;
    warm->level = warm->below;
    warm->below = (places){ done.at, 0, done.cap };
    warm->next = 0;
}

int ri_warm_step(ri_warm *warm, rille_err *err)
{
    if (!warm->begun) {
        RI_TRY(begin(warm, err));
        next_level(warm);
    }
    if (warm->next == warm->level.count) {
        next_level(warm);
    }
    if (warm->level.count == 0) {
        return 0;
    }
    if (!warm->looked) {
        choose_round(warm);
    }
    if (warm->round_end == warm->next) { /* nothing more fits */
        warm->report.complete = false;
        return 0;
    }
    RI_TRY(read_round(warm, err));
    for (; warm->next < warm->round_end; warm->next++) {
        RI_TRY(take_node(warm, &warm->level.at[warm->next], err));
    }
    if (warm->memory_bytes > ri_store_cache_bytes_max(warm->db->store)) { /* more than was expected */
        warm->report.complete = false;
    }
    warm->looked = false;
    ri_io_clear(&warm->io);
    return RILLE_AGAIN;
}

int ri_warm_fetch(ri_warm *warm, rille_err *err)
{
    return ri_io_fetch(&warm->io, err);
}
