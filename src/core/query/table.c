/* SPDX-License-Identifier: MIT
 *
 * Growing columns that own their bytes; sets of rows; hash indexes over some columns.
 *
 * The idea: rows come in batches, so everything goes in pieces of up to PIECE rows: hash a piece column by column,
 * pick the rows that are new, then append them column by column.
 *
 *     slots (sets)    row + 1, or 0: linear probing, at most half full; tags[row] are bits 63..32 of the row's hash
 *     heads, next     slot -> newest row + 1 -> next older row + 1 with the same slot -> 0
 *
 * Invariants:
 * (N1) A set holds no two rows whose columns are pairwise ri_vec_eq (an exact set: ri_vec_same_form).
 * (N2) slot_cap is 0 or a power of two, and at least twice the rows of a set (of an index: at least the rows).
 * (N3) cols[c].lens exists once a row with bytes, or of mixed type, is in the column; types once it is RI_MIXED.
 * (N4) An index knows the rows [0, count) of its table, in chains from the newest to the oldest (but those that fail
 *      its `same`).
 *
 * Cost: amortised O(columns) a row; one cache miss a row for the slot of a set; growth doubles.
 */
#include "batch.h"

#include "../base/hash.h"

#define PIECE 256U
#define PIECE_BYTES (256U * 1024U)
#define ROW_UNITS 8U /* of work for one value of a row, beside its bytes */
#define ROWS_MAX INT32_MAX
#define ROWS_FIRST 64U
#define SLOTS_FIRST 128U

int ri_table_init(ri_table *table, uint16_t col_count, bool is_set, rille_err *err)
{
    *table = (ri_table){ 0 };
    ri_vec *cols = ri_alloc_zero((col_count + 1U) * sizeof *cols);
    uint32_t *slots = is_set ? ri_alloc_zero(SLOTS_FIRST * sizeof *slots) : NULL;
    if (cols == NULL || (is_set && slots == NULL)) {
        ri_free(cols);
        ri_free(slots);
        return ri_fail_nomem(err);
    }
    table->cols = cols;
    table->col_count = col_count;
    table->slots = slots;
    table->slot_cap = is_set ? SLOTS_FIRST : 0;
    return 0;
}

void ri_table_set_meter(ri_table *table, ri_meter *meter)
{
    size_t bytes = ri_table_bytes(table);
    ri_meter_give(table->arena.meter, bytes);
    table->arena.meter = meter;
    if (meter != NULL && !ri_meter_take(meter, bytes)) {
        meter->bytes += bytes; /* refused, but there already */
    }
}

void ri_table_deinit(ri_table *table)
{
    ri_meter_give(table->arena.meter, ri_table_bytes(table) - table->arena.total_bytes);
    for (uint16_t c = 0; table->cols != NULL && c < table->col_count; c++) {
        ri_free(table->cols[c].words);
        ri_free(table->cols[c].lens);
        ri_free(table->cols[c].types);
    }
    ri_free(table->cols);
    ri_free(table->slots);
    ri_free(table->tags);
    ri_arena_deinit(&table->arena);
    *table = (ri_table){ 0 };
}

void ri_table_clear(ri_table *table)
{
    table->count = 0;
    for (uint16_t c = 0; c < table->col_count; c++) {
        table->cols[c].type = RI_NIL;
    }
    if (table->slots != NULL) {
        memset(table->slots, 0, table->slot_cap * sizeof *table->slots);
    }
    ri_arena_reset(&table->arena);
}

size_t ri_table_bytes(const ri_table *table)
{
    size_t bytes = table->arena.total_bytes + table->slot_cap * sizeof *table->slots;
    bytes += table->tags != NULL ? table->cap * sizeof *table->tags : 0;
    for (uint16_t c = 0; c < table->col_count; c++) {
        const ri_vec *col = &table->cols[c];
        size_t row_bytes = (col->words != NULL ? sizeof *col->words : 0) + (col->lens != NULL ? sizeof *col->lens : 0) +
                           (col->types != NULL ? sizeof *col->types : 0);
        bytes += row_bytes * table->cap;
    }
    return bytes;
}

/* ---- portions of work ---- */

/* How many of the rows [from, from + count) to take at once: up to PIECE, and beside the first no more than have
 * PIECE_BYTES, so that long values cannot make one piece of work large. *units: the work that they are. */
static uint32_t piece_rows(const ri_vec *const *cols, uint16_t col_count, uint32_t from, uint32_t count, size_t *units)
{
    uint32_t rows = count < PIECE ? count : PIECE;
    bool bytes = false;
    for (uint16_t c = 0; c < col_count; c++) {
        bytes = bytes || !ri_type_is_word(cols[c]->type);
    }
    *units = (size_t)rows * col_count * ROW_UNITS;
    for (uint32_t i = 0; bytes && i < rows; i++) {
        size_t sum = 0;
        for (uint16_t c = 0; c < col_count; c++) {
            sum += ri_vec_get(cols[c], from + i).len;
        }
        if (i > 0 && *units + sum > PIECE_BYTES) {
            return i;
        }
        *units += sum;
    }
    return rows;
}

/* ---- room ---- */

/* One array of a table, from the old capacity (0: it is made) to the new one. False: no memory, the old one is valid.
 * Both may be there for a moment. */
static bool resize(ri_meter *meter, void *array_place, size_t item_size, uint32_t old_cap, uint32_t cap)
{
    void *array;
    memcpy(&array, array_place, sizeof array);
    size_t old_bytes = array != NULL ? old_cap * item_size : 0;
    if (!ri_meter_take(meter, cap * item_size)) {
        return false;
    }
    array = ri_realloc(array, cap * item_size);
    ri_meter_give(meter, array != NULL ? old_bytes : cap * item_size);
    if (array == NULL) {
        return false;
    }
    memcpy(array_place, &array, sizeof array);
    return true;
}

/* When one array cannot grow, those before it are larger than the table's cap says. The operation is over then, and
 * its meter has counted too much, never too little. */
static bool resize_column(ri_meter *meter, ri_vec *col, uint32_t old_cap, uint32_t cap)
{
    return resize(meter, &col->words, sizeof *col->words, old_cap, cap) &&
           (col->lens == NULL || resize(meter, &col->lens, sizeof *col->lens, old_cap, cap)) &&
           (col->types == NULL || resize(meter, &col->types, sizeof *col->types, old_cap, cap));
}

static int reserve_rows(ri_table *table, uint32_t more, rille_err *err)
{
    uint32_t need = table->count + more;
    if (need > ROWS_MAX) {
        return ri_fail(err, RILLE_LIMIT, "an intermediate result has more than %d rows: make the query more selective",
                       ROWS_MAX);
    }
    if (need <= table->cap) {
        return 0;
    }
    uint32_t cap = table->cap < ROWS_FIRST ? ROWS_FIRST : table->cap;
    while (cap < need) {
        cap *= 2;
    }
    ri_meter *meter = table->arena.meter;
    if (table->slots != NULL && !resize(meter, &table->tags, sizeof *table->tags, table->cap, cap)) {
        return ri_fail_nomem(err);
    }
    for (uint16_t c = 0; c < table->col_count; c++) {
        if (!resize_column(meter, &table->cols[c], table->cap, cap)) {
            return ri_fail_nomem(err);
        }
    }
    table->cap = cap;
    return 0;
}

/* (N3) for rows of type `type` (RI_MIXED: any) that are about to be appended. */
static int reserve_kinds(ri_table *table, ri_vec *col, uint8_t type, rille_err *err)
{
    bool mixes = type == RI_MIXED || (table->count > 0 && col->type != type);
    bool has_lens = mixes || !ri_type_is_word(type);
    ri_meter *meter = table->arena.meter;
    if ((has_lens && col->lens == NULL && !resize(meter, &col->lens, sizeof *col->lens, 0, table->cap)) ||
        (mixes && col->types == NULL && !resize(meter, &col->types, sizeof *col->types, 0, table->cap))) {
        return ri_fail_nomem(err);
    }
    return 0;
}

static int grow_slots(ri_table *table, uint32_t more, rille_err *err)
{
    size_t need = ((size_t)table->count + more) * 2;
    if (need <= table->slot_cap) {
        return 0;
    }
    size_t cap = table->slot_cap;
    while (cap < need) {
        cap *= 2;
    }
    ri_meter *meter = table->arena.meter;
    if (!ri_meter_take(meter, cap * sizeof *table->slots)) {
        return ri_fail_nomem(err);
    }
    uint32_t *slots = ri_alloc_array(cap, sizeof *slots);
    ri_meter_give(meter, (slots != NULL ? table->slot_cap : cap) * sizeof *slots);
    if (slots == NULL) {
        return ri_fail_nomem(err);
    }
    memset(slots, 0, cap * sizeof *slots);
    for (uint32_t row = 0; row < table->count; row++) {
        size_t at = table->tags[row] & (cap - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (cap - 1);
        }
        slots[at] = row + 1;
    }
    ri_free(table->slots);
    table->slots = slots;
    table->slot_cap = cap;
    return 0;
}

/* ---- adding ---- */

/* The columns to add, seen from row `from` on, and which of their rows were picked so far. */
typedef struct piece {
    const ri_vec *const *cols;
    uint32_t count;
    uint32_t picked;
    uint32_t rows[PIECE]; /* numbers in cols */
} piece;

/* Row `row` of the table, or, beyond its end, a row that was picked and is not appended yet. */
static bool row_equals(const ri_table *table, const piece *p, uint32_t row, uint32_t candidate)
{
    bool stored = row < table->count;
    uint32_t other = stored ? row : p->rows[row - table->count];
    for (uint16_t c = 0; c < table->col_count; c++) {
        const ri_vec *col = stored ? &table->cols[c] : p->cols[c];
        const ri_vec *new_col = p->cols[c];
        bool forms = table->exact && (col->type != new_col->type || col->type == RI_MIXED || col->type == RI_TUPLE);
        if (!ri_vec_eq(col, other, new_col, candidate) ||
            (forms && ri_vec_cmp_form(col, other, new_col, candidate) != 0)) {
            return false;
        }
    }
    return true;
}

static void pick_new(ri_table *table, piece *p, uint32_t from)
{
    uint64_t hashes[PIECE];
    ri_vec_hash_rows(p->cols, table->col_count, from, p->count, hashes);
    size_t mask = table->slot_cap - 1;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t tag = (uint32_t)(hashes[i] >> 32);
        size_t at = tag & mask;
        uint32_t slot;
        while ((slot = table->slots[at]) != 0) {
            if (table->tags[slot - 1] == tag && row_equals(table, p, slot - 1, from + i)) {
                break;
            }
            at = (at + 1) & mask;
        }
        if (slot == 0) {
            uint32_t row = table->count + p->picked;
            table->slots[at] = row + 1;
            table->tags[row] = tag;
            p->rows[p->picked++] = from + i;
        }
    }
}

/* The bytes of rows [at, at + count) of a column, borrowed so far, move into one block of the table. */
static int own_bytes(ri_table *table, ri_vec *col, uint32_t at, uint32_t count, rille_err *err)
{
    size_t total = 0;
    bool is_mixed = col->type == RI_MIXED;
    for (uint32_t i = at; i < at + count; i++) {
        total += is_mixed && ri_type_is_word(col->types[i]) ? 0 : col->lens[i];
    }
    uint8_t *block = ri_arena_alloc(&table->arena, total);
    if (block == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = at; i < at + count; i++) {
        if (is_mixed && ri_type_is_word(col->types[i])) {
            continue;
        }
        ri_value v = { { .u = col->words[i] }, 0, 0 };
        uint32_t len = col->lens[i];
        if (len > 0) {
            memcpy(block, v.as.p, len);
        }
        v.as.u = 0;
        v.as.p = block;
        col->words[i] = v.as.u;
        block += len;
    }
    return 0;
}

static int append_piece(ri_table *table, const piece *p, rille_err *err)
{
    for (uint16_t c = 0; c < table->col_count; c++) {
        ri_vec *col = &table->cols[c];
        RI_TRY(reserve_kinds(table, col, p->cols[c]->type, err));
        ri_vec_append(p->cols[c], p->rows, p->picked, col, table->count);
        if (!ri_type_is_word(p->cols[c]->type)) {
            RI_TRY(own_bytes(table, col, table->count, p->picked, err));
        }
    }
    table->count += p->picked;
    return 0;
}

int ri_table_add(ri_table *table, const ri_vec *const *cols, uint32_t count, uint32_t *added, rille_err *err)
{
    uint32_t before = table->count;
    piece p = { .cols = cols };
    if (added != NULL) {
        *added = 0;
    }
    for (uint32_t from = 0; from < count; from += p.count) {
        size_t units = 0;
        p.count = piece_rows(cols, table->col_count, from, count - from, &units);
        p.picked = 0;
        RI_TRY(ri_work(table->arena.meter, units, err));
        RI_TRY(reserve_rows(table, p.count, err));
        if (table->slots != NULL) {
            RI_TRY(grow_slots(table, p.count, err));
            pick_new(table, &p, from);
        } else {
            for (uint32_t i = 0; i < p.count; i++) {
                p.rows[i] = from + i;
            }
            p.picked = p.count;
        }
        if (p.picked > 0) {
            RI_TRY(append_piece(table, &p, err));
        }
    }
    if (added != NULL) {
        *added = table->count - before;
    }
    return 0;
}

#define CELLS_ON_STACK 16U

/* A row as columns of one row each. */
typedef struct cell {
    ri_vec vec;
    uint64_t word;
    uint32_t len;
    uint8_t type;
} cell;

int ri_table_add_row(ri_table *table, const ri_value *row, bool *added, rille_err *err)
{
    cell cells_on_stack[CELLS_ON_STACK];
    const ri_vec *cols_on_stack[CELLS_ON_STACK];
    cell *cells = cells_on_stack;
    const ri_vec **cols = cols_on_stack;
    int rc = 0;
    uint32_t count = 0;
    if (added != NULL) {
        *added = false;
    }
    if (table->col_count > CELLS_ON_STACK) {
        cells = ri_alloc_array(table->col_count, sizeof *cells);
        cols = ri_alloc_array(table->col_count, sizeof *cols);
        if (cells == NULL || cols == NULL) {
            rc = ri_fail_nomem(err);
            goto done;
        }
    }
    for (uint16_t c = 0; c < table->col_count; c++) {
        cells[c].vec = (ri_vec){ &cells[c].word, &cells[c].len, &cells[c].type, RI_NIL };
        ri_vec_set(&cells[c].vec, 0, &row[c]);
        cols[c] = &cells[c].vec;
    }
    rc = ri_table_add(table, cols, 1, &count, err);
    if (added != NULL) {
        *added = count > 0;
    }
done:
    if (cells != cells_on_stack) {
        ri_free(cells);
        ri_free(cols);
    }
    return rc;
}

/* ---- indexes ---- */

int ri_table_index_init(ri_table_index *index, const ri_table *table, const uint16_t *key_cols, uint16_t key_count,
                        rille_err *err)
{
    return ri_table_index_init_same(index, table, key_cols, key_count, NULL, 0, err);
}

int ri_table_index_init_same(ri_table_index *index, const ri_table *table, const uint16_t *key_cols, uint16_t key_count,
                             const uint16_t *same, uint16_t same_count, rille_err *err)
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
    index->meter = table->arena.meter;
    index->key_cols = copy;
    index->key_count = key_count;
    index->same = copy + key_count;
    index->same_count = same_count;
    int rc = ri_table_index_update(index, err);
    if (rc != 0) {
        ri_table_index_deinit(index);
    }
    return rc;
}

void ri_table_index_deinit(ri_table_index *index)
{
    ri_meter_give(index->meter, ri_table_index_bytes(index));
    ri_free(index->key_cols);
    ri_free(index->heads);
    ri_free(index->next);
    *index = (ri_table_index){ 0 };
}

size_t ri_table_index_bytes(const ri_table_index *index)
{
    return index->slot_cap * sizeof *index->heads + index->next_cap * sizeof *index->next;
}

/* The slot is decided by the first keys alone, when there are more than anybody joins on. */
static uint16_t hashed_keys(const ri_table_index *index)
{
    return index->key_count < CELLS_ON_STACK ? index->key_count : (uint16_t)CELLS_ON_STACK;
}

/* Hashes of keys, a piece of the rows [from, from + count). Returns how many; 0: the meter refuses the work. */
static uint32_t hash_piece(const ri_table_index *index, const ri_vec *const *keys, uint32_t from, uint32_t count,
                           uint64_t *out)
{
    size_t units = 0;
    uint32_t n = piece_rows(keys, hashed_keys(index), from, count, &units);
    if (!ri_meter_work(index->meter, units)) {
        return 0;
    }
    ri_vec_hash_rows(keys, hashed_keys(index), from, n, out);
    return n;
}

static inline size_t slot_of(const ri_table_index *index, uint64_t hash)
{
    return (size_t)(hash >> 32) & (index->slot_cap - 1); /* the upper half is the better one */
}

static int reserve_index(ri_table_index *index, uint32_t rows, rille_err *err)
{
    if (!RI_GROW_COUNTED(index->meter, &index->next, &index->next_cap, rows)) {
        return ri_fail_nomem(err);
    }
    if (index->slot_cap > rows) {
        return 0;
    }
    size_t cap = index->slot_cap < SLOTS_FIRST ? SLOTS_FIRST : index->slot_cap;
    while (cap <= rows) {
        cap *= 2;
    }
    if (!ri_meter_take(index->meter, cap * sizeof *index->heads)) {
        return ri_fail_nomem(err);
    }
    uint32_t *heads = ri_alloc_array(cap, sizeof *heads);
    ri_meter_give(index->meter, (heads != NULL ? index->slot_cap : cap) * sizeof *heads);
    if (heads == NULL) {
        return ri_fail_nomem(err);
    }
    memset(heads, 0, cap * sizeof *heads);
    ri_free(index->heads);
    index->heads = heads;
    index->slot_cap = cap;
    index->count = 0; /* the chains are made anew */
    return 0;
}

static bool belongs(const ri_table_index *index, uint32_t row)
{
    const ri_vec *cols = index->table->cols;
    for (uint16_t i = 0; i < index->same_count; i++) {
        if (!ri_vec_eq(&cols[index->same[2 * i]], row, &cols[index->same[2 * i + 1]], row)) {
            return false;
        }
    }
    return true;
}

int ri_table_index_update(ri_table_index *index, rille_err *err)
{
    uint32_t rows = index->table->count;
    if (index->heads != NULL && index->count == rows) {
        return 0;
    }
    RI_TRY(reserve_index(index, rows, err));
    uint64_t hashes[PIECE];
    const ri_vec *cols[CELLS_ON_STACK];
    for (uint16_t k = 0; k < hashed_keys(index); k++) {
        cols[k] = &index->table->cols[index->key_cols[k]];
    }
    uint32_t count = 0;
    for (uint32_t from = index->count; from < rows; from += count) {
        count = hash_piece(index, cols, from, rows - from, hashes);
        if (count == 0) {
            return ri_meter_error(index->meter, err);
        }
        for (uint32_t i = 0; i < count; i++) {
            uint32_t *head = &index->heads[slot_of(index, hashes[i])];
            if (index->same_count > 0 && !belongs(index, from + i)) {
                continue; /* in no chain */
            }
            index->next[from + i] = *head;
            *head = from + i + 1;
        }
    }
    index->count = rows;
    return 0;
}

static bool keys_equal(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t row)
{
    for (uint16_t k = 0; k < index->key_count; k++) {
        if (!ri_vec_eq(&index->table->cols[index->key_cols[k]], row, keys[k], key_row)) {
            return false;
        }
    }
    return true;
}

/* The first match in the chain that begins with `link` (row + 1). */
static uint32_t follow(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t link)
{
    while (link != 0 && !keys_equal(index, keys, key_row, link - 1)) {
        link = index->next[link - 1];
    }
    return link - 1; /* 0 becomes UINT32_MAX */
}

uint32_t ri_table_index_find(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row)
{
    uint64_t hash;
    ri_vec_hash_rows(keys, hashed_keys(index), key_row, 1, &hash);
    return follow(index, keys, key_row, index->heads[slot_of(index, hash)]);
}

uint32_t ri_table_index_next(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t row)
{
    return follow(index, keys, key_row, index->next[row]);
}

void ri_table_index_find_rows(const ri_table_index *index, const ri_vec *const *keys, uint32_t count, uint32_t *out)
{
    uint64_t hashes[PIECE];
    uint32_t n = 0;
    for (uint32_t from = 0; from < count; from += n) {
        n = hash_piece(index, keys, from, count - from, hashes);
        if (n == 0) { /* refused: nobody looks at what comes out */
            memset(out + from, 0xff, (count - from) * sizeof *out);
            return;
        }
        for (uint32_t i = 0; i < n; i++) { /* all loads of heads at once, before any chain is followed */
            out[from + i] = index->heads[slot_of(index, hashes[i])];
        }
        for (uint32_t i = from; i < from + n; i++) {
            out[i] = follow(index, keys, i, out[i]);
        }
    }
}
