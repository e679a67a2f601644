/* SPDX-License-Identifier: MIT */
#include "shelf_sets.h"

#include "../core/base/bytes.h"
#include "../core/base/mem.h"

#include <string.h>

#define SLOTS ((size_t)256)
#define SLOT_SIZE ((size_t)32)
#define TAG_SIZE ((size_t)16)
#define DATA_AT (SLOTS * SLOT_SIZE)
#define DATA_MAX (RI_SET_BYTES - DATA_AT)
#define HITS_AT ((size_t)24) /* in a slot */
#define HITS_MAX 15U
#define KEPT_MAX (DATA_MAX / 4 * 3)
#define KEPT_SLOTS_MAX (SLOTS / 4 * 3)

_Static_assert(DATA_MAX - KEPT_MAX > RI_SHELF_PIECE_MAX, "a set that was cleared has room for a piece");

typedef struct slot {
    uint8_t tag[TAG_SIZE];
    uint32_t offset; /* in the set */
    uint32_t len;
    uint8_t hits;
} slot;

/* A set's slots as they are stored. */
typedef struct slots {
    uint8_t bytes[DATA_AT];
} slots;

static uint64_t set_at(const ri_sets *sets, const uint8_t *key)
{
    return ri_load_u64(key) % sets->count * RI_SET_BYTES;
}

static const uint8_t *tag_of(const uint8_t *key)
{
    return key + 8;
}

/* False: free, or no slot that was ever written. */
static bool read_slot(const slots *all, size_t i, slot *out)
{
    const uint8_t *p = all->bytes + i * SLOT_SIZE;
    memcpy(out->tag, p, TAG_SIZE);
    out->offset = ri_load_u32(p + 16);
    out->len = ri_load_u32(p + 20);
    out->hits = p[HITS_AT];
    return out->len > 0 && out->offset >= DATA_AT && out->offset < RI_SET_BYTES &&
           out->len <= RI_SET_BYTES - out->offset;
}

static void write_slot(slots *all, size_t i, const slot *in)
{
    uint8_t *p = all->bytes + i * SLOT_SIZE;
    memset(p, 0, SLOT_SIZE);
    memcpy(p, in->tag, TAG_SIZE);
    ri_store_u32(p + 16, in->offset);
    ri_store_u32(p + 20, in->len);
    p[HITS_AT] = in->hits;
}

/* The number of the key's slot, or SLOTS. */
static size_t find(const slots *all, const uint8_t *key, slot *out)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (memcmp(all->bytes + i * SLOT_SIZE, tag_of(key), TAG_SIZE) == 0 && read_slot(all, i, out)) {
            return i;
        }
    }
    return SLOTS;
}

bool ri_sets_get(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE], uint8_t **bytes, size_t *len)
{
    slots all;
    slot found;
    uint64_t at = set_at(sets, key);
    *bytes = NULL;
    *len = 0;
    if (!sets->read(sets->self, at, all.bytes, sizeof all.bytes)) {
        return false;
    }
    size_t i = find(&all, key, &found);
    uint8_t *copy = i < SLOTS ? ri_alloc(found.len) : NULL;
    if (copy == NULL || !sets->read(sets->self, at + found.offset, copy, found.len)) {
        ri_free(copy);
        return false;
    }
    if (found.hits < HITS_MAX) {
        const uint8_t hits = (uint8_t)(found.hits + 1);
        (void)sets->write(sets->self, at + i * SLOT_SIZE + HITS_AT, &hits, 1);
    }
    *bytes = copy;
    *len = found.len;
    return true;
}

bool ri_sets_has(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    slots all;
    slot found;
    return sets->read(sets->self, set_at(sets, key), all.bytes, sizeof all.bytes) && find(&all, key, &found) < SLOTS;
}

static bool write_one(const ri_sets *sets, uint64_t at, const slots *all, size_t i)
{
    return sets->write(sets->self, at + i * SLOT_SIZE, all->bytes + i * SLOT_SIZE, SLOT_SIZE);
}

void ri_sets_drop(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    slots all;
    slot found;
    uint64_t at = set_at(sets, key);
    if (sets->read(sets->self, at, all.bytes, sizeof all.bytes)) {
        size_t i = find(&all, key, &found);
        if (i < SLOTS) {
            write_slot(&all, i, &(slot){ 0 });
            (void)write_one(sets, at, &all, i);
        }
    }
}

/* ---- room ---- */

static bool is_better(const slot *b, const slot *a)
{
    return b->hits != a->hits ? b->hits > a->hits : b->offset > a->offset;
}

/* Those that stay, the best ones first. */
static size_t choose(const slots *all, slot kept[SLOTS], size_t *gone)
{
    size_t count = 0;
    size_t sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        slot one;
        if (read_slot(all, i, &one)) {
            size_t place = count++;
            for (; place > 0 && is_better(&one, &kept[place - 1]); place--) {
                kept[place] = kept[place - 1];
            }
            kept[place] = one;
        }
    }
    while (n < count && n < KEPT_SLOTS_MAX && kept[n].len <= KEPT_MAX - sum) {
        sum += kept[n++].len;
    }
    *gone = count - n;
    return n;
}

/* Rewrites the set with what stays: the best ones last, so that they count as the newest. False: as it was, or empty. */
static bool make_room(const ri_sets *sets, uint64_t at, slots *all, size_t *gone)
{
    slot kept[SLOTS];
    uint8_t *set = ri_alloc(RI_SET_BYTES);
    uint8_t *from = ri_alloc(RI_SET_BYTES);
    bool good = set != NULL && from != NULL && sets->read(sets->self, at, from, RI_SET_BYTES);
    if (good) {
        size_t count = choose(all, kept, gone);
        size_t end = DATA_AT;
        memset(all, 0, sizeof *all);
        for (size_t i = 0; i < count; i++) {
            slot *one = &kept[count - 1 - i];
            memcpy(set + end, from + one->offset, one->len);
            one->offset = (uint32_t)end;
            one->hits /= 2;
            write_slot(all, i, one);
            end += one->len;
        }
        memcpy(set, all->bytes, sizeof all->bytes);
        good = sets->write(sets->self, at, set, end);
    }
    ri_free(set);
    ri_free(from);
    return good;
}

/* A free slot, and where the last piece ends. */
static size_t find_free(const slots *all, size_t *end)
{
    size_t free_slot = SLOTS;
    *end = DATA_AT;
    for (size_t i = SLOTS; i-- > 0;) {
        slot one;
        if (!read_slot(all, i, &one)) {
            free_slot = i;
        } else if (one.offset + one.len > *end) {
            *end = one.offset + one.len;
        }
    }
    return free_slot;
}

size_t ri_sets_put(const ri_sets *sets, const uint8_t key[RI_SHELF_KEY_SIZE], const uint8_t *bytes, size_t len)
{
    slots all;
    slot old;
    size_t gone = 0;
    size_t end;
    uint64_t at = set_at(sets, key);
    if (len == 0 || len > RI_SHELF_PIECE_MAX || !sets->read(sets->self, at, all.bytes, sizeof all.bytes)) {
        return 0;
    }
    size_t i = find(&all, key, &old);
    if (i < SLOTS) {
        write_slot(&all, i, &(slot){ 0 });
        if (!write_one(sets, at, &all, i)) {
            return 0;
        }
    }
    i = find_free(&all, &end);
    if (i == SLOTS || len > RI_SET_BYTES - end) {
        if (!make_room(sets, at, &all, &gone)) {
            return 0;
        }
        i = find_free(&all, &end);
    }
    slot fresh = { .offset = (uint32_t)end, .len = (uint32_t)len };
    memcpy(fresh.tag, tag_of(key), TAG_SIZE);
    write_slot(&all, i, &fresh);
    if (sets->write(sets->self, at + end, bytes, len)) {
        (void)write_one(sets, at, &all, i);
    }
    return gone;
}
