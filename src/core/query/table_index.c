/* SPDX-License-Identifier: MIT
 *
 * Hash indexes over some columns of a table.
 *
 * Invariant: (N4) An index knows the rows [0, count) of its table, but those that fail its `same`.
 */
#include "table.h"

#define HASHED_KEYS_MAX 16U /* the hash is of the first keys alone, when there are more than anybody joins on */
#define PORTION_ROWS 256U
#define HASH_UNITS 64U /* of work for a row that is looked for: the memory is slow there */

int ri_table_index_init(ri_table_index *index, const ri_table *table, ri_meter *meter, const uint16_t *key_cols,
                        uint16_t key_count, const uint16_t *same, uint16_t same_count, rille_err *err)
{
    *index = (ri_table_index){ 0 };
    uint16_t *copy = ri_alloc_array(key_count + 2U * same_count + 1U, sizeof *copy);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    if (key_count > 0) {
        memcpy(copy, key_cols, key_count * sizeof *copy);
    }
    if (same_count > 0) {
        memcpy(copy + key_count, same, 2U * same_count * sizeof *copy);
    }
    index->table = table;
    index->meter = meter;
    index->key_cols = copy;
    index->key_count = key_count;
    index->same = copy + key_count;
    index->same_count = same_count;
    return 0;
}

void ri_table_index_deinit(ri_table_index *index)
{
    ri_meter_give(index->meter, ri_table_index_bytes(index) - ri_slots_bytes(&index->slots));
    for (size_t at = 0; at < index->row_cap; at += RI_COLUMN_BLOCK) {
        ri_free(index->older[at / RI_COLUMN_BLOCK]);
    }
    ri_free(index->older);
    ri_slots_deinit(&index->slots, index->meter);
    ri_free(index->key_cols);
    *index = (ri_table_index){ 0 };
}

size_t ri_table_index_bytes(const ri_table_index *index)
{
    return ri_slots_bytes(&index->slots) + index->row_cap * sizeof **index->older +
           index->block_cap * sizeof *index->older;
}

/* Room for the older rows of the rows below `rows`: the first block grows, the others are whole. */
static bool reserve_rows(ri_table_index *index, uint32_t rows)
{
    while (index->row_cap < rows) {
        size_t block = index->row_cap / RI_COLUMN_BLOCK;
        size_t cap = block == 0 ? index->row_cap : 0;
        size_t need = block > 0 || rows > RI_COLUMN_BLOCK ? RI_COLUMN_BLOCK : rows;
        if (cap == 0) {
            if (!RI_GROW_COUNTED(index->meter, &index->older, &index->block_cap, block + 1)) {
                return false;
            }
            index->older[block] = NULL;
        }
        if (!RI_GROW_COUNTED(index->meter, &index->older[block], &cap, need)) {
            return false;
        }
        index->row_cap = block * RI_COLUMN_BLOCK + cap;
    }
    return true;
}

static uint16_t hashed_keys(const ri_table_index *index)
{
    return index->key_count < HASHED_KEYS_MAX ? index->key_count : (uint16_t)HASHED_KEYS_MAX;
}

/* Hashes of keys, a portion of the rows [from, from + count). Returns how many; 0: the meter refuses the work. */
static uint32_t hash_portion(const ri_table_index *index, const ri_vec *const *keys, uint32_t from, uint32_t count,
                             uint64_t *out)
{
    size_t units = 0;
    uint32_t n = ri_rows_portion(keys, hashed_keys(index), from, count, &units);
    if (!ri_meter_work(index->meter, units + (size_t)n * HASH_UNITS)) {
        return 0;
    }
    ri_vec_hash_rows(keys, hashed_keys(index), from, n, out);
    return n;
}

static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32); /* the upper half is the better one */
}

/* ---- adding ---- */

static bool belongs(const ri_table_index *index, uint32_t row)
{
    const ri_column *cols = index->table->cols;
    for (uint16_t i = 0; i < index->same_count; i++) {
        if (!ri_column_eq(&cols[index->same[2 * i]], row, &cols[index->same[2 * i + 1]], row)) {
            return false;
        }
    }
    return true;
}

static bool same_keys(const ri_table_index *index, uint32_t row, uint32_t other)
{
    for (uint16_t k = 0; k < index->key_count; k++) {
        const ri_column *col = &index->table->cols[index->key_cols[k]];
        if (!ri_column_eq(col, row, col, other)) {
            return false;
        }
    }
    return true;
}

static void add_row(ri_table_index *index, uint32_t row, uint32_t tag)
{
    ri_slots *slots = &index->slots;
    size_t at = ri_slots_first(slots->cap, tag);
    ri_slot slot = slots->slots[at];
    while (slot.row != 0 && !(slot.tag == tag && same_keys(index, row, slot.row - 1))) {
        at = ri_slots_after(slots->cap, at);
        slot = slots->slots[at];
    }
    index->older[row / RI_COLUMN_BLOCK][row % RI_COLUMN_BLOCK] = slot.row;
    if (slot.row == 0) {
        ri_slots_add(slots, at, tag, row);
    } else {
        ri_slots_replace(slots, at, row);
    }
}

int ri_table_index_update(ri_table_index *index, rille_err *err)
{
    uint64_t hashes[PORTION_ROWS];
    ri_vec parts[HASHED_KEYS_MAX];
    const ri_vec *keys[HASHED_KEYS_MAX];
    uint32_t from = index->count;
    uint32_t count = index->table->count - from;
    if (count == 0) {
        return 0;
    }
    for (uint16_t k = 0; k < hashed_keys(index); k++) {
        count = ri_column_part(&index->table->cols[index->key_cols[k]], from, count, &parts[k]);
        keys[k] = &parts[k];
    }
    count = hash_portion(index, keys, 0, count, hashes);
    if (count == 0) {
        return ri_meter_error(index->meter, err);
    }
    if (!reserve_rows(index, from + count) || !ri_slots_reserve(&index->slots, index->meter, count)) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (index->same_count == 0 || belongs(index, from + i)) {
            add_row(index, from + i, tag_of(hashes[i]));
        }
    }
    index->count += count;
    return 0;
}

int ri_table_index_complete(ri_table_index *index, rille_err *err)
{
    while (!ri_table_index_is_complete(index)) {
        RI_TRY(ri_table_index_update(index, err));
    }
    return 0;
}

/* ---- finding ---- */

static bool keys_equal(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t row)
{
    for (uint16_t k = 0; k < index->key_count; k++) {
        const ri_column *col = &index->table->cols[index->key_cols[k]];
        if (!ri_vec_eq(ri_column_block(col, row), ri_block_row(row), keys[k], key_row)) {
            return false;
        }
    }
    return true;
}

/* The row of the key, sought from a slot on; UINT32_MAX: it is not there. */
static uint32_t seek(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t tag)
{
    const ri_slots *slots = &index->slots;
    size_t at = ri_slots_first(slots->cap, tag);
    ri_slot slot = slots->slots[at];
    while (slot.row != 0 && !(slot.tag == tag && keys_equal(index, keys, key_row, slot.row - 1))) {
        at = ri_slots_after(slots->cap, at);
        slot = slots->slots[at];
    }
    return slot.row - 1; /* 0 becomes UINT32_MAX */
}

uint32_t ri_table_index_find(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row)
{
    uint64_t hash;
    if (index->count == 0) {
        return UINT32_MAX;
    }
    ri_vec_hash_rows(keys, hashed_keys(index), key_row, 1, &hash);
    return seek(index, keys, key_row, tag_of(hash));
}

uint32_t ri_table_index_find_rows(const ri_table_index *index, const ri_vec *const *keys, uint32_t from, uint32_t count,
                                  uint32_t *out)
{
    uint64_t hashes[PORTION_ROWS];
    uint32_t n = hash_portion(index, keys, from, count, hashes);
    const ri_slots *slots = &index->slots;
    if (index->count == 0) {
        memset(out + from, 0xff, n * sizeof *out);
        return n;
    }
    for (uint32_t i = 0; i < n; i++) { /* all slots at once, before any row is looked at */
        out[from + i] = slots->slots[ri_slots_first(slots->cap, tag_of(hashes[i]))].row;
    }
    for (uint32_t i = 0; i < n; i++) {
        out[from + i] = out[from + i] == 0 ? UINT32_MAX : seek(index, keys, from + i, tag_of(hashes[i]));
    }
    return n;
}
