/* SPDX-License-Identifier: MIT
 *
 * Growing columns that own their bytes; sets of rows.
 *
 * The idea: rows come in batches, so everything goes in portions: hash a portion column by column, pick the rows that
 * are new, then append them column by column.
 *
 * Invariants:
 * (N1) A set holds no two rows whose columns are pairwise ri_vec_eq (an exact set: ri_vec_same_form).
 * (N2) A block has lens once a row with bytes, or of mixed type, is in it; types once it is RI_MIXED.
 * (N3) The first block grows until it has RI_COLUMN_BLOCK rows; every other one is made with so many.
 *
 * Cost: O(columns) a row; one or two cache misses a row for a set.
 */
#include "table.h"

#include "../base/hash.h"

#define PORTION_ROWS 256U
#define PORTION_BYTES (256U * 1024U)
#define ROW_UNITS 8U   /* of work for one value of a row, beside its bytes */
#define HASH_UNITS 64U /* for a row that is looked for: the memory is slow there */
#define ROWS_MAX INT32_MAX
#define ROWS_FIRST 64U

int ri_table_init(ri_table *table, uint16_t col_count, bool is_set, rille_err *err)
{
    *table = (ri_table){ 0 };
    ri_column *cols = ri_alloc_zero((col_count + 1U) * sizeof *cols);
    if (cols == NULL) {
        return ri_fail_nomem(err);
    }
    table->cols = cols;
    table->col_count = col_count;
    table->is_set = is_set;
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
    ri_meter *meter = table->arena.meter;
    for (uint16_t c = 0; table->cols != NULL && c < table->col_count; c++) {
        const ri_column *col = &table->cols[c];
        for (size_t b = 0; col->blocks != NULL && b < table->block_cap; b++) {
            ri_free(col->blocks[b].words);
            ri_free(col->blocks[b].lens);
            ri_free(col->blocks[b].types);
        }
        ri_free(col->blocks);
    }
    ri_free(table->cols);
    ri_meter_give(meter, table->array_bytes);
    ri_slots_deinit(&table->slots, meter);
    ri_arena_deinit(&table->arena);
    *table = (ri_table){ 0 };
}

void ri_table_clear(ri_table *table)
{
    table->count = 0;
    for (uint16_t c = 0; c < table->col_count; c++) {
        table->cols[c].type = RI_NIL;
    }
    ri_slots_clear(&table->slots, table->arena.meter);
    ri_arena_reset(&table->arena);
}

size_t ri_table_bytes(const ri_table *table)
{
    return table->arena.total_bytes + table->array_bytes + ri_slots_bytes(&table->slots);
}

/* ---- portions of work ---- */

uint32_t ri_rows_portion(const ri_vec *const *cols, uint16_t col_count, uint32_t from, uint32_t count, size_t *units)
{
    uint32_t rows = count < PORTION_ROWS ? count : PORTION_ROWS;
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
        if (i > 0 && *units + sum > PORTION_BYTES) {
            return i;
        }
        *units += sum;
    }
    return rows;
}

/* ---- columns ---- */

void ri_column_gather(const ri_column *col, const uint32_t *rows, uint32_t count, ri_vec *out)
{
    out->type = col->type;
    if (col->type == RI_MIXED) {
        for (uint32_t i = 0; i < count; i++) {
            ri_value v = ri_column_get(col, rows[i]);
            ri_vec_set(out, i, &v);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        out->words[i] = ri_column_block(col, rows[i])->words[ri_block_row(rows[i])];
    }
    for (uint32_t i = 0; !ri_type_is_word(col->type) && i < count; i++) {
        out->lens[i] = ri_column_block(col, rows[i])->lens[ri_block_row(rows[i])];
    }
}

uint32_t ri_column_part(const ri_column *col, uint32_t from, uint32_t count, ri_vec *out)
{
    uint32_t left = RI_COLUMN_BLOCK - ri_block_row(from);
    *out = ri_vec_from(ri_column_block(col, from), ri_block_row(from));
    return count < left ? count : left;
}

void ri_column_copy(const ri_column *col, uint32_t from, uint32_t count, ri_vec *out)
{
    out->type = col->type;
    for (uint32_t at = 0; at < count;) {
        ri_vec part;
        uint32_t n = ri_column_part(col, from + at, count - at, &part);
        ri_vec_append(&part, NULL, n, out, at);
        at += n;
    }
}

/* ---- room ---- */

/* One array of a block, from the old capacity (0: it is made) to the new one. False: no memory, the old one is valid.
 * Both may be there for a moment. */
static bool resize(ri_table *table, void *array_place, size_t item_size, uint32_t old_cap, uint32_t cap)
{
    void *array;
    ri_meter *meter = table->arena.meter;
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
    table->array_bytes += cap * item_size - old_bytes;
    memcpy(array_place, &array, sizeof array);
    return true;
}

/* When one array cannot grow, those before it are larger than the table's cap says. The operation is over then. */
static bool resize_block(ri_table *table, ri_vec *block, uint32_t old_cap, uint32_t cap)
{
    return resize(table, &block->words, sizeof *block->words, old_cap, cap) &&
           (block->lens == NULL || resize(table, &block->lens, sizeof *block->lens, old_cap, cap)) &&
           (block->types == NULL || resize(table, &block->types, sizeof *block->types, old_cap, cap));
}

/* The places of blocks of all columns. */
static bool reserve_blocks(ri_table *table, size_t need)
{
    size_t cap = ri_grow_cap(table->block_cap, need);
    if (need <= table->block_cap) {
        return true;
    }
    for (uint16_t c = 0; c < table->col_count; c++) {
        ri_column *col = &table->cols[c];
        if (!resize(table, &col->blocks, sizeof *col->blocks, (uint32_t)table->block_cap, (uint32_t)cap)) {
            return false;
        }
        memset(col->blocks + table->block_cap, 0, (cap - table->block_cap) * sizeof *col->blocks);
    }
    table->block_cap = cap;
    return true;
}

/* Makes the table's cap larger (N3): never by more than a block. */
static bool grow_rows(ri_table *table, uint32_t need)
{
    uint32_t old_cap = table->cap < RI_COLUMN_BLOCK ? table->cap : 0;
    uint32_t cap = table->cap < ROWS_FIRST ? ROWS_FIRST : table->cap;
    while (cap < need && cap < RI_COLUMN_BLOCK) {
        cap *= 2;
    }
    uint32_t at = table->cap / RI_COLUMN_BLOCK;
    if (!reserve_blocks(table, at + 1U)) {
        return false;
    }
    for (uint16_t c = 0; c < table->col_count; c++) {
        if (!resize_block(table, &table->cols[c].blocks[at], old_cap, at == 0 ? cap : RI_COLUMN_BLOCK)) {
            return false;
        }
    }
    table->cap = at == 0 ? cap : (at + 1) * RI_COLUMN_BLOCK;
    return true;
}

static int reserve_rows(ri_table *table, uint32_t more, rille_err *err)
{
    uint32_t need = table->count + more;
    if (need > ROWS_MAX) {
        return ri_fail(err, RILLE_LIMIT, "an intermediate result has more than %d rows: make the query more selective",
                       ROWS_MAX);
    }
    while (need > table->cap) {
        if (!grow_rows(table, need)) {
            return ri_fail_nomem(err);
        }
    }
    if (table->is_set && !ri_slots_reserve(&table->slots, table->arena.meter, more)) {
        return ri_fail_nomem(err);
    }
    return 0;
}

/* (N2) for rows of type `type` (RI_MIXED: any) that are about to be put at row `at` of a block. */
static bool reserve_kinds(ri_table *table, ri_vec *block, uint32_t at, uint8_t type)
{
    bool mixes = type == RI_MIXED || (at > 0 && block->type != type);
    bool has_lens = mixes || !ri_type_is_word(type);
    uint32_t cap = table->cap < RI_COLUMN_BLOCK ? table->cap : RI_COLUMN_BLOCK;
    return (!has_lens || block->lens != NULL || resize(table, &block->lens, sizeof *block->lens, 0, cap)) &&
           (!mixes || block->types != NULL || resize(table, &block->types, sizeof *block->types, 0, cap));
}

/* ---- adding ---- */

/* The columns to add, seen from row `from` on, and which of their rows were picked so far. */
typedef struct portion {
    const ri_vec *const *cols;
    uint32_t count;
    uint32_t picked;
    uint32_t rows[PORTION_ROWS]; /* numbers in cols */
} portion;

/* Row `row` of the table, or, beyond its end, a row that was picked and is not appended yet. */
static bool row_equals(const ri_table *table, const portion *p, uint32_t row, uint32_t candidate)
{
    bool stored = row < table->count;
    uint32_t other = stored ? ri_block_row(row) : p->rows[row - table->count];
    for (uint16_t c = 0; c < table->col_count; c++) {
        const ri_vec *col = stored ? ri_column_block(&table->cols[c], row) : p->cols[c];
        const ri_vec *new_col = p->cols[c];
        bool forms = table->exact && (col->type != new_col->type || col->type == RI_MIXED || col->type == RI_TUPLE);
        if (!ri_vec_eq(col, other, new_col, candidate) ||
            (forms && ri_vec_cmp_form(col, other, new_col, candidate) != 0)) {
            return false;
        }
    }
    return true;
}

static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32); /* the upper half is the better one */
}

static void pick_new(ri_table *table, portion *p, uint32_t from)
{
    uint64_t hashes[PORTION_ROWS];
    ri_vec_hash_rows(p->cols, table->col_count, from, p->count, hashes);
    const ri_slots *slots = &table->slots;
    ri_slot seen[PORTION_ROWS];
    for (uint32_t i = 0; i < p->count; i++) { /* all slots at once, which hides the memory's latency */
        seen[i] = slots->slots[ri_slots_first(slots->cap, tag_of(hashes[i]))];
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t tag = tag_of(hashes[i]);
        size_t at = ri_slots_first(slots->cap, tag);
        ri_slot slot = seen[i].row != 0 ? seen[i] : slots->slots[at]; /* what stands in a set stays there */
        while (slot.row != 0 && !(slot.tag == tag && row_equals(table, p, slot.row - 1, from + i))) {
            at = ri_slots_after(slots->cap, at);
            slot = slots->slots[at];
        }
        if (slot.row == 0) {
            ri_slots_add(&table->slots, at, tag, table->count + p->picked);
            p->rows[p->picked++] = from + i;
        }
    }
}

/* The bytes of rows [at, at + count) of a block, borrowed so far, move into one piece of the table's memory. */
static bool own_bytes(ri_table *table, ri_vec *block, uint32_t at, uint32_t count)
{
    size_t total = 0;
    bool is_mixed = block->type == RI_MIXED;
    for (uint32_t i = at; i < at + count; i++) {
        total += is_mixed && ri_type_is_word(block->types[i]) ? 0 : block->lens[i];
    }
    uint8_t *bytes = ri_arena_alloc(&table->arena, total);
    if (bytes == NULL) {
        return false;
    }
    for (uint32_t i = at; i < at + count; i++) {
        if (is_mixed && ri_type_is_word(block->types[i])) {
            continue;
        }
        ri_value v = { { .u = block->words[i] }, 0, 0 };
        uint32_t len = block->lens[i];
        if (len > 0) {
            memcpy(bytes, v.as.p, len);
        }
        v.as.u = 0;
        v.as.p = bytes;
        block->words[i] = v.as.u;
        bytes += len;
    }
    return true;
}

/* Rows that were picked, as many as the block at the table's end has room for. */
static bool append_to_block(ri_table *table, const portion *p, uint32_t first, uint32_t count)
{
    uint32_t at = ri_block_row(table->count);
    for (uint16_t c = 0; c < table->col_count; c++) {
        const ri_vec *from = p->cols[c];
        ri_column *col = &table->cols[c];
        ri_vec *block = &col->blocks[table->count / RI_COLUMN_BLOCK];
        if (!reserve_kinds(table, block, at, from->type)) {
            return false;
        }
        ri_vec_append(from, p->rows + first, count, block, at);
        if (!ri_type_is_word(from->type) && !own_bytes(table, block, at, count)) {
            return false;
        }
        col->type = table->count == 0 || col->type == block->type ? block->type : (uint8_t)RI_MIXED;
    }
    table->count += count;
    return true;
}

static int append(ri_table *table, const portion *p, rille_err *err)
{
    for (uint32_t done = 0; done < p->picked;) {
        uint32_t room = RI_COLUMN_BLOCK - ri_block_row(table->count);
        uint32_t count = p->picked - done < room ? p->picked - done : room;
        if (!append_to_block(table, p, done, count)) {
            return ri_fail_nomem(err);
        }
        done += count;
    }
    return 0;
}

int ri_table_add(ri_table *table, const ri_vec *const *cols, uint32_t count, uint32_t *added, rille_err *err)
{
    uint32_t before = table->count;
    portion p = { .cols = cols };
    if (added != NULL) {
        *added = 0;
    }
    for (uint32_t from = 0; from < count; from += p.count) {
        size_t units = 0;
        p.count = ri_rows_portion(cols, table->col_count, from, count - from, &units);
        p.picked = 0;
        units += table->is_set ? (size_t)p.count * HASH_UNITS : 0;
        RI_TRY(ri_work(table->arena.meter, units, err));
        RI_TRY(reserve_rows(table, p.count, err));
        if (table->is_set) {
            pick_new(table, &p, from);
        } else {
            for (uint32_t i = 0; i < p.count; i++) {
                p.rows[i] = from + i;
            }
            p.picked = p.count;
        }
        RI_TRY(append(table, &p, err));
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
