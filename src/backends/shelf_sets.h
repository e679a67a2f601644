/* SPDX-License-Identifier: MIT
 *
 * The inside of a shelf whose bytes are in one block, in memory or in a file: sets of 256 KiB. A key belongs to one
 * set, so the block never grows, and whatever a writer leaves half done harms a few pieces of one set.
 *
 * | offset in the set | what                                                                                    |
 * |-------------------|-----------------------------------------------------------------------------------------|
 * | 0                 | 256 slots: 16 bytes of the key, u32 offset, u32 length (0: free), u8 hits, 7 zero bytes   |
 * | 8192              | pieces, those that came later behind those that came before                             |
 *
 * A piece goes behind the last one. When there is no room, three quarters of the set stay: those that were hit most, of
 * equal ones the newest. Hits are counted up to 15, and halved then, so that what was useful long ago makes room, too.
 *
 * NO LOCK between processes, and no order of writes, is needed for the answers to be right: a slot that leads to
 * other bytes, or to half of them, is found out by the one who checks what a shelf gives, and counts as a miss.
 *
 * COST. A hit reads the slots and the piece, and the first ones write a byte. A put reads the slots and writes the piece
 * and a slot; about every tenth rewrites the set.
 */
#ifndef RI_SHELF_SETS_H
#define RI_SHELF_SETS_H

#include "../core/store/backends_shelf.h"

#define RI_SET_BYTES ((size_t)256 * 1024)

/* Who has the block. Both functions are whole or fail; offsets are those in the block. */
typedef struct ri_sets {
    void *self;
    bool (*read)(void *self, uint64_t offset, uint8_t *bytes, size_t len);
    bool (*write)(void *self, uint64_t offset, const uint8_t *bytes, size_t len);
    uint64_t count; /* > 0 */
} ri_sets;

bool ri_sets_get(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE], uint8_t **bytes, size_t *len);
bool ri_sets_has(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE]);
/* How many pieces made room. One writer at a time, as far as that can be had. */
size_t ri_sets_put(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE], const uint8_t *bytes, size_t len);
void ri_sets_drop(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE]);

#endif
