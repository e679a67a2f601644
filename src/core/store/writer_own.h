/* SPDX-License-Identifier: MIT
 *
 * Inside a writer; for writer.c and writer_branches.c.
 */
#ifndef RI_WRITER_OWN_H
#define RI_WRITER_OWN_H

#include "../base/map.h"
#include "inside.h"

typedef struct ri_written_node {
    uint8_t addr[RI_HASH_SIZE];
    uint64_t offset; /* in its pack; of a branch that waits, its number */
    uint32_t len;    /* 0: a branch that waits */
    uint32_t pack;
    uint64_t next; /* number + 1 of the next node with the same first 8 bytes */
} ri_written_node;

typedef struct ri_waiting_branch {
    size_t node;
    size_t bytes; /* offset of the stored bytes in branch_bytes */
    size_t stored_len;
    size_t raw_len;
    size_t children; /* first in branch_children */
    size_t child_count;
    unsigned level;
    uint8_t codec;
    bool is_child; /* of another one that waits */
} ri_waiting_branch;

typedef struct ri_pending_object {
    rille_object_id object;
    size_t offset; /* in pending_bytes */
    size_t len;
} ri_pending_object;

/* One thread at a time. */
struct ri_writer {
    ri_refs refs;
    ri_store *store;
    ri_packer packer;
    int failed_rc;
    bool rows;
    bool sealed;
    size_t pack_bytes_max; /* with more than one node; tests make both smaller */
    size_t pending_bytes_max;

    ri_written_node *nodes;
    size_t node_count;
    size_t node_cap;
    ri_map64 by_addr; /* first 8 bytes -> number of the newest node with them */

    ri_buf pack;            /* the open pack; after the seal the last one, if any */
    size_t pack_first_node; /* rows of the open pack are among the nodes from here on */
    size_t pack_node_count;
    struct ri_pack_id {
        uint8_t id[RI_HASH_SIZE];
    } * packs;
    size_t pack_count;
    size_t pack_cap;
    bool pack_pending; /* the last pack is to go with the head */
    struct ri_full_pack {
        uint8_t id[RI_HASH_SIZE];
        ri_buf bytes;
    } * full; /* closed in a task, still to be put */
    size_t full_count;
    size_t full_cap;
    uint64_t branch_offset;
    uint64_t branch_len;
    uint64_t upper_len;

    ri_waiting_branch *branches;
    size_t branch_count;
    size_t branch_cap;
    ri_noderef *branch_children;
    size_t branch_child_count;
    size_t branch_child_cap;
    ri_buf branch_bytes;

    ri_pending_object *pending;
    size_t pending_count;
    size_t pending_cap;
    ri_buf pending_bytes;
    struct ri_blob_put {
        ri_hasher hasher;
        size_t hashed;
        size_t packed;
    } blob;          /* that is being put, in slices */
    rille_put *puts; /* list_puts */
    size_t put_cap;
    uint64_t put_bytes;
};

/* The node of that address, if this writer wrote it. */
ri_written_node *ri_writer_find(const ri_writer *writer, const uint8_t addr[RI_HASH_SIZE]);
/* Appends the branches that wait to the open pack. */
int ri_writer_place_branches(ri_writer *writer, rille_err *err);

#endif
