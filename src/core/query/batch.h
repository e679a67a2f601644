/* SPDX-License-Identifier: MIT
 *
 * Batches: what operators pass. Up to RI_BATCH_ROWS rows in typed columns, one column a variable.
 *
 * A column is three arrays (structure of arrays of ri_value): words (the word, or the pointer to the bytes), lens
 * (types of bytes only) and types (only when the column is RI_MIXED). Bytes are borrowed: from the arena of the
 * operator that made them, which resets it when it is asked for its next batch; whoever keeps a row longer copies it
 * (ri_table does).
 */
#ifndef RI_BATCH_H
#define RI_BATCH_H

#include "../data/value.h"

#define RI_BATCH_ROWS 1024U
#define RI_MIXED 255U /* column type: see types[] */

typedef struct ri_vec {
    uint64_t *words;
    uint32_t *lens; /* valid when type is one of bytes or RI_MIXED */
    uint8_t *types; /* valid when type == RI_MIXED */
    uint8_t type;   /* ri_type or RI_MIXED */
} ri_vec;

/* The columns present are exactly the variables bound so far: cols[var].words == NULL means "not bound". */
typedef struct ri_batch {
    ri_vec *cols;   /* one a variable of the scope */
    uint32_t count; /* rows */
    uint16_t var_count;
} ri_batch;

static inline ri_value ri_vec_get(const ri_vec *vec, uint32_t row)
{
    uint8_t type = vec->type == RI_MIXED ? vec->types[row] : vec->type;
    ri_value v = { { .u = vec->words[row] }, ri_type_is_word(type) ? 0 : vec->lens[row], type };
    return v;
}

/* The rows from `from` on. */
static inline ri_vec ri_vec_from(const ri_vec *vec, uint32_t from)
{
    ri_vec rest = *vec;
    rest.words += from;
    rest.lens = rest.lens == NULL ? NULL : rest.lens + from;
    rest.types = rest.types == NULL ? NULL : rest.types + from;
    return rest;
}

/* Entity ids are plain integers inside a query: here a REF equals, and hashes as, the LONG of its number. */
static inline ri_value ri_plain(ri_value v)
{
    v.type = v.type == RI_REF ? (uint8_t)RI_LONG : v.type;
    return v;
}

/* Room for `rows` rows in all three arrays, from the arena; the type is RI_NIL until row 0 is set. False: no memory. */
bool ri_vec_init(ri_vec *vec, ri_arena *arena, uint32_t rows);
/* Are there long values, of which only stubs are at hand? */
bool ri_vec_has_stubs(const ri_vec *vec, uint32_t rows);
/* Writes a value; the column becomes RI_MIXED when types differ. `row` must be the number of rows written so far (row 0
 * starts anew). */
void ri_vec_set(ri_vec *vec, uint32_t row, const ri_value *v);
/* out[i] = in[rows[i]]; out has all three arrays and is not `in`. */
void ri_vec_gather(const ri_vec *in, const uint32_t *rows, uint32_t count, ri_vec *out);
/* As ri_vec_set, for the rows [at, at + count): out[at + i] = in[rows[i]], or in[i] when rows is NULL. */
void ri_vec_append(const ri_vec *in, const uint32_t *rows, uint32_t count, ri_vec *out, uint32_t at);
/* Every row the same value. */
void ri_vec_fill(ri_vec *vec, uint32_t count, const ri_value *v);
uint64_t ri_vec_hash(const ri_vec *vec, uint32_t row);
/* Hash of several columns for the rows [from, from + count): out[i] for row from + i. The upper 32 bits are the better
 * ones. */
void ri_vec_hash_rows(const ri_vec *const *cols, uint16_t col_count, uint32_t from, uint32_t count, uint64_t *out);
/* What is equal in a query: also a REF and a LONG of the same number, 1 and 1.0, a long text and its stub. Numbers and
 * short values cost as ri_value_cmp does; text against a stub that it may be hashes the text. */
bool ri_same_value(const ri_value *a, const ri_value *b);
/* An order in which exactly what is the same value is equal: that of ri_value_cmp, but a long text is where its stub
 * is. */
int ri_query_cmp(const ri_value *a, const ri_value *b);
/* ri_same_value for rows. */
bool ri_vec_eq(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row);
/* The same in form, too: 1 is not 1.0. An entity id and its number are, and a text and its stub. */
bool ri_vec_same_form(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row);
int ri_vec_cmp(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row);
/* Orders what is equal by its form: the simplest type first. */
int ri_vec_cmp_form(const ri_vec *a, uint32_t a_row, const ri_vec *b, uint32_t b_row);

/* ---- tables (table.c): growing columns that own what they hold; results, hash relations of rules, inputs ---- */

typedef struct ri_table {
    ri_arena arena; /* bytes of values; its meter counts the table's arrays and work, too */
    ri_vec *cols;
    uint16_t col_count;
    uint32_t count;
    uint32_t cap;
    uint32_t *slots; /* sets: hash index over all columns, row + 1 or 0. Else NULL */
    uint32_t *tags;  /* sets: 32 bits of hash a row, cap of them */
    size_t slot_cap;
    bool exact; /* set by the owner of a set: rows that are equal but in form (1 and 1.0) are two */
} ri_table;

int ri_table_init(ri_table *table, uint16_t col_count, bool is_set, rille_err *err);
/* Who counts from now on the memory that the table has and will have; NULL: nobody. */
void ri_table_set_meter(ri_table *table, ri_meter *meter);
void ri_table_deinit(ri_table *table);
/* Appends rows of the given columns (cols[i] for table column i), copying bytes; a set skips rows it has, and keeps the
 * first of equal rows. *added (may be NULL) counts. RILLE_LIMIT over 2^31 rows. After a failure the table can only be
 * cleared or deinitialised. Arrays of the table move: a ri_vec of it is read through table->cols again. A table of 0
 * columns counts rows (a set: at most one). */
int ri_table_add(ri_table *table, const ri_vec *const *cols, uint32_t count, uint32_t *added, rille_err *err);
int ri_table_add_row(ri_table *table, const ri_value *row, bool *added, rille_err *err);
/* Empties the table; keeps the memory of rows. */
void ri_table_clear(ri_table *table);
size_t ri_table_bytes(const ri_table *table);

/* A hash index over some columns of a table: chains of rows with equal keys. Rows appended later are added by update.
 * With `same`, pairs of columns, only rows in which these are equal are in it. */
typedef struct ri_table_index {
    const ri_table *table;
    ri_meter *meter; /* of the table when the index was made */
    uint16_t *key_cols;
    uint16_t key_count;
    uint16_t same_count; /* pairs */
    uint16_t *same;      /* shares the memory of key_cols */
    uint32_t *heads;     /* hash slot -> row + 1 */
    uint32_t *next;      /* row -> next row + 1 with the same slot */
    size_t slot_cap;
    size_t next_cap;
    uint32_t count; /* rows indexed */
} ri_table_index;
int ri_table_index_init(ri_table_index *index, const ri_table *table, const uint16_t *key_cols, uint16_t key_count,
                        rille_err *err);
int ri_table_index_init_same(ri_table_index *index, const ri_table *table, const uint16_t *key_cols, uint16_t key_count,
                             const uint16_t *same, uint16_t same_count, rille_err *err);
void ri_table_index_deinit(ri_table_index *index);
int ri_table_index_update(ri_table_index *index, rille_err *err);
/* First row with those key values (keys[i] at key_row), or UINT32_MAX; then the next ones. Newest first. */
uint32_t ri_table_index_find(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row);
uint32_t ri_table_index_next(const ri_table_index *index, const ri_vec *const *keys, uint32_t key_row, uint32_t row);
/* The same for a whole batch, which hides the memory's latency: out[i] = find(keys, i) for i < count. */
void ri_table_index_find_rows(const ri_table_index *index, const ri_vec *const *keys, uint32_t count, uint32_t *out);
size_t ri_table_index_bytes(const ri_table_index *index);

#endif
