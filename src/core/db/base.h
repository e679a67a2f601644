/* SPDX-License-Identifier: MIT
 *
 * Base records: what a head begins with. The roots and counters of the newest flush, and the segments since.
 *
 * BASE BODY (varints unless a width is given)
 *   u8 format version (2), u8 flags (1 keep history, 2 read-flexible schema, 4 tag: nothing is committed here), database
 *   id (16 bytes), t, instant (zigzag), commit id (32 bytes), next entity id, next attribute id,
 *   epoch: a garbage collection counts it up, and so does not collide unseen with a commit under way,
 *   number of packs, their ids (32 bytes each),
 *   for each of the 7 trees in the order of ri_order: height; if not 0: count, address (32 bytes), pack index + 1
 *     (0: no locator), offset, length,
 *   number of branch regions (0 to 2); each: pack index + 1, offset, length,
 *   number of segments; each: address (32 bytes), last t, kind (0 TX1 frames, 1 segment.h),
 *   schema: u8 0 and a block of bytes (at most RI_SCHEMA_INLINE_MAX), or u8 1 and the address of a blob (32 bytes),
 *   attempts: u8 0, or u8 1 and the address of a blob (32 bytes; segment.h),
 *   number of hints; each: key, a block of bytes. 1: how much of the first branch region, at its end, holds the upper
 *     levels of all trees (roots, and branches above branches). Readers pass over hints that they do not know.
 * Format 1 has neither epoch nor attempts nor hints, and no other kind of segments than 0.
 */
#ifndef RI_BASE_H
#define RI_BASE_H

#include "../tree/tree.h"

#define RI_FORMAT_VERSION 2
#define RI_SCHEMA_INLINE_MAX 4096U
#define RI_SEGMENTS_MAX 4096U

/* Decoded. Immutable, but for `root`. */
typedef struct ri_base {
    ri_refs refs;
    uint8_t db_id[16];
    ri_tree tree[RI_ORDER_COUNT];
    ri_weak root[RI_ORDER_COUNT]; /* of the trees, once they were read */
    uint64_t t;                   /* newest transaction in the trees */
    int64_t instant;
    uint8_t commit[RI_HASH_SIZE];
    uint64_t next_e; /* counters after t */
    uint64_t next_attr;
    uint64_t epoch;
    uint8_t format; /* that it was read as; it is written as RI_FORMAT_VERSION */
    bool is_tag;
    bool keep_history;
    bool read_flexible;
    struct ri_region { /* where branches lie together (hints): of the newest flush, and of the newest one that gathered
                          all */
        uint8_t pack[RI_HASH_SIZE];
        uint64_t offset;
        uint64_t len;
    } regions[2];
    uint32_t region_count;
    uint64_t upper_len; /* of regions[0], at its end: the upper levels of all trees; 0: not known to be there */
    struct ri_segment { /* spilled transaction blocks since t, oldest first */
        uint8_t addr[RI_HASH_SIZE];
        uint64_t t_last;
        bool packed; /* as in segment.h; else TX1 frames */
    } * segments;
    uint32_t segment_count;
    uint8_t *schema_bytes; /* ri_schema_write of the schema at t, inline or from its blob */
    size_t schema_len;
    uint8_t schema_addr[RI_HASH_SIZE];   /* zero: inline */
    uint8_t attempts_addr[RI_HASH_SIZE]; /* zero: none */
} ri_base;

void ri_base_release(ri_base *base);
ri_base *ri_base_retain(ri_base *base);
/* The base of a database before its first transaction. */
int ri_base_new_empty(const uint8_t db_id[16], bool keep_history, bool read_flexible, ri_base **out, rille_err *err);
/* Appends the body of a head's base; or of a base that META retains: without segments and attempts. */
void ri_base_write(const ri_base *base, bool retained, ri_buf *out);
/* A copy with `count` more segments, which follow it. */
int ri_base_copy(const ri_base *base, const struct ri_segment *segments, uint32_t count, ri_base **out, rille_err *err);
/* Hostile bytes. RILLE_FORMAT for a newer version. A schema that lies in a blob is not fetched: schema_bytes is NULL
 * then. */
int ri_base_read(const uint8_t *body, size_t len, ri_base **out, rille_err *err);

#endif
