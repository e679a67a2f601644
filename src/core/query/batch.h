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
    bool last; /* no other batch follows; false: not known */
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

#endif
