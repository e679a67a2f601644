/* SPDX-License-Identifier: MIT
 *
 * Tables: growing columns that own what they hold. Results, hash relations of rules, inputs; and indexes of them.
 *
 * A column is in blocks of RI_COLUMN_BLOCK rows, each with arrays and a type of its own. Blocks do not move when the table
 * grows, so adding a row never costs more than the row. Whoever needs rows as a ri_vec gathers or copies them, or takes
 * what is left of a block.
 */
#ifndef RI_TABLE_H
#define RI_TABLE_H

#include "../base/slots.h"
#include "batch.h"

#define RI_COLUMN_BLOCK 4096U

typedef struct ri_column {
    ri_vec *blocks;
    uint8_t type; /* of all rows, or RI_MIXED */
} ri_column;

/* The block of a row, in which it has the number ri_block_row(row). */
static inline const ri_vec *ri_column_block(const ri_column *col, uint32_t row)
{
    return &col->blocks[row / RI_COLUMN_BLOCK];
}
static inline uint32_t ri_block_row(uint32_t row)
{
    return row % RI_COLUMN_BLOCK;
}
static inline ri_value ri_column_get(const ri_column *col, uint32_t row)
{
    return ri_vec_get(ri_column_block(col, row), ri_block_row(row));
}
/* out[i] = col[rows[i]]; out has all three arrays. */
void ri_column_gather(const ri_column *col, const uint32_t *rows, uint32_t count, ri_vec *out);
/* The rows [from, from + count). */
void ri_column_copy(const ri_column *col, uint32_t from, uint32_t count, ri_vec *out);
/* The rows from `from` on that lie together, of `count`: *out borrows them. Returns how many. */
uint32_t ri_column_part(const ri_column *col, uint32_t from, uint32_t count, ri_vec *out);
/* As ri_vec_eq, for two columns of tables. */
static inline bool ri_column_eq(const ri_column *a, uint32_t a_row, const ri_column *b, uint32_t b_row)
{
    return ri_vec_eq(ri_column_block(a, a_row), ri_block_row(a_row), ri_column_block(b, b_row), ri_block_row(b_row));
}
static inline int ri_column_cmp(const ri_column *a, uint32_t a_row, const ri_column *b, uint32_t b_row)
{
    return ri_vec_cmp(ri_column_block(a, a_row), ri_block_row(a_row), ri_column_block(b, b_row), ri_block_row(b_row));
}

typedef struct ri_table {
    ri_arena arena; /* bytes of values; its meter counts the table's arrays and work, too */
    ri_column *cols;
    uint16_t col_count;
    uint32_t count;
    uint32_t cap;       /* rows that the blocks have room for */
    size_t block_cap;   /* of the arrays of blocks */
    size_t array_bytes; /* of rows, counted by the meter */
    bool is_set;
    bool exact;     /* set by the owner of a set: rows that are equal but in form (1 and 1.0) are two */
    ri_slots slots; /* sets: by all columns */
} ri_table;

int ri_table_init(ri_table *table, uint16_t col_count, bool is_set, rille_err *err);
/* Who counts from now on the memory that the table has and will have; NULL: nobody. */
void ri_table_set_meter(ri_table *table, ri_meter *meter);
void ri_table_deinit(ri_table *table);
/* Appends rows of the given columns (cols[i] for table column i), copying bytes; a set skips rows it has, and keeps the
 * first of equal rows. *added (may be NULL) counts. RILLE_LIMIT over 2^31 rows. After a failure the table can only be
 * cleared or deinitialised. A table of 0 columns counts rows (a set: at most one). */
int ri_table_add(ri_table *table, const ri_vec *const *cols, uint32_t count, uint32_t *added, rille_err *err);
int ri_table_add_row(ri_table *table, const ri_value *row, bool *added, rille_err *err);
/* How many of the rows [from, from + count) make one portion of work: 256 at most, and beside the first no more than
 * have 256 KiB. *units: the work that they are. */
uint32_t ri_rows_portion(const ri_vec *const *cols, uint16_t col_count, uint32_t from, uint32_t count, size_t *units);
/* Empties the table; keeps the memory of rows. */
void ri_table_clear(ri_table *table);
size_t ri_table_bytes(const ri_table *table);

/* ---- indexes (table_index.c) ---- */

/* A hash index over some columns of a table, to which rows of the table are added by update. With `same`, pairs of
 * columns, only rows in which these are equal are in it. */
typedef struct ri_table_index {
    const ri_table *table;
    ri_meter *meter; /* of whoever made the index */
    uint16_t *key_cols;
    uint16_t key_count;
    uint16_t same_count; /* pairs */
    uint16_t *same;      /* shares the memory of key_cols */
    ri_slots slots;      /* the newest row of each key */
    uint32_t **older;    /* blocks of RI_COLUMN_BLOCK rows: row -> next older row of the same key + 1, or 0 */
    size_t block_cap;
    size_t row_cap;
    uint32_t count; /* rows indexed */
} ri_table_index;
/* An index of no rows yet. The meter, which may be NULL, counts its memory and its work. */
int ri_table_index_init(ri_table_index *index, const ri_table *table, ri_meter *meter, const uint16_t *key_cols,
                        uint16_t key_count, const uint16_t *same, uint16_t same_count, rille_err *err);
void ri_table_index_deinit(ri_table_index *index);
/* Adds a portion of the rows that are not in it yet. */
int ri_table_index_update(ri_table_index *index, rille_err *err);
static inline bool ri_table_index_is_complete(const ri_table_index *index)
{
    return index->count == index->table->count;
}
/* All of them. */
int ri_table_index_complete(ri_table_index *index, rille_err *err);
/* First row with those key values (keys[i] at key_row), or UINT32_MAX; then the next ones. Newest first. */
uint32_t ri_table_index_find(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row);
static inline uint32_t ri_table_index_next(const ri_table_index *index, uint32_t row)
{
    return index->older[row / RI_COLUMN_BLOCK][row % RI_COLUMN_BLOCK] - 1; /* 0 becomes UINT32_MAX */
}
/* The same for a portion of a batch, which hides the memory's latency: out[i] = find(keys, i) for from <= i < from +
 * the returned number, which is 0 only when the meter refuses the work. */
uint32_t ri_table_index_find_rows(const ri_table_index *index, const ri_vec *const *keys, uint32_t from, uint32_t count,
                                  uint32_t *out);
size_t ri_table_index_bytes(const ri_table_index *index);

#endif
