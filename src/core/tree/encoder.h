/* SPDX-License-Identifier: MIT
 *
 * Parts of the node encoder: a hash table that is cleared in O(1), and the dictionary of a group.
 */
#ifndef RI_ENCODER_H
#define RI_ENCODER_H

#include "../base/hash.h"
#include "node_format.h"

#define RI_SLOT_COUNT (2 * RI_NODE_ROWS_MAX) /* a power of two */
#define RI_SLOT_FREE UINT32_MAX

/* Open addressing by the low bits of a hash, at most half full. A slot is (generation, number): those of older
 * generations are free. */
typedef struct ri_slots {
    uint32_t slots[RI_SLOT_COUNT];
    uint16_t generation; /* 0 is that of memory never used */
} ri_slots;

static inline void ri_slots_clear(ri_slots *slots)
{
    if (++slots->generation == 0) {
        memset(slots->slots, 0, sizeof slots->slots);
        slots->generation = 1;
    }
}

static inline uint32_t ri_slots_get(const ri_slots *slots, uint32_t hash)
{
    uint32_t slot = slots->slots[hash % RI_SLOT_COUNT];
    return slot >> 16 == slots->generation ? slot & 0xffffU : RI_SLOT_FREE;
}

static inline void ri_slots_set(ri_slots *slots, uint32_t hash, uint16_t number)
{
    slots->slots[hash % RI_SLOT_COUNT] = (uint32_t)slots->generation << 16 | number;
}

/* memcpy without a call where it is short. */
static inline void ri_copy_short(uint8_t *to, const uint8_t *p, size_t len)
{
    if (len > 16) {
        memcpy(to, p, len);
    } else if (len >= 8) {
        uint64_t last = ri_load_u64(p + len - 8);
        ri_store_u64(to, ri_load_u64(p));
        ri_store_u64(to + len - 8, last);
    } else if (len >= 4) {
        uint32_t last = ri_load_u32(p + len - 4);
        ri_store_u32(to, ri_load_u32(p));
        ri_store_u32(to + len - 4, last);
    } else if (len > 0) {
        to[0] = p[0];
        to[len / 2] = p[len / 2];
        to[len - 1] = p[len - 1];
    }
}

/* One distinct value. */
typedef struct ri_dict_entry {
    uint64_t prefix; /* ri_load_prefix */
    const uint8_t *p;
    uint32_t len;
    uint16_t code; /* as it was found */
} ri_dict_entry;

/* A text by its place in memory: the same bytes are the same text. */
#define RI_DICT_PLACES 64U /* a power of two */
typedef struct ri_dict_place {
    const uint8_t *p; /* NULL: none */
    uint32_t len;
    uint16_t code;
} ri_dict_place;

typedef struct ri_dict_encoder {
    ri_dict_place places[RI_DICT_PLACES];
    ri_slots slots;
    ri_dict_entry entries[RI_NODE_ROWS_MAX];
    ri_dict_entry sorted[RI_NODE_ROWS_MAX];
    uint16_t code_of[RI_NODE_ROWS_MAX]; /* found code -> sorted code */
    uint32_t count;
    uint8_t type;
} ri_dict_encoder;

/* Writes the values rows[index[0..n)], all of one type of bytes: the column of codes, then the dictionary.
 * sorted: the values are nondecreasing by their bytes. numbers: scratch for n. RILLE_LIMIT. */
int ri_dict_encode(ri_dict_encoder *dict, const ri_datom *rows, const uint16_t *index, uint32_t n, bool sorted,
                   uint64_t *numbers, ri_buf *out, rille_err *err);

/* A leaf of one row, or two, whose values are words (node_few.c). False: it is not one. */
bool ri_node_encode_few(ri_order order, const ri_datom *rows, uint32_t n, ri_buf *out);

#endif
