/* SPDX-License-Identifier: MIT
 *
 * How many rows of a relation match: those in memory, of a source. A sample of them is looked at: which have the
 * constants of the clause, and how many different values the columns have that are bound.
 */
#include "links.h"

#define SAMPLED 1024U
#define SLOTS 4096U
#define ALL_DIFFERENT 0.9 /* of a sample: then of all rows */
#define COUNTS_MAX 64U

bool ri_row_matches(const ri_scope *scope, const ri_clause *clause, const ri_table *table, uint32_t row)
{
    bool matches = true;
    for (uint16_t i = 0; matches && i < clause->term_count && i < table->col_count; i++) {
        const ri_value *constant = ri_term_const(scope, &clause->terms[i]);
        ri_value v = constant != NULL ? ri_column_get(&table->cols[i], row) : ri_nil();
        matches = constant == NULL || ri_same_value(constant, &v);
    }
    return matches;
}

static uint64_t hash_of(const ri_table *table, uint32_t row, uint64_t mask)
{
    uint64_t hash = 0;
    for (uint16_t i = 0; i < table->col_count && i < 64; i++) {
        if ((mask >> i & 1) != 0) {
            ri_value v = ri_column_get(&table->cols[i], row);
            hash = hash * 31 + ri_value_hash(&v);
        }
    }
    return hash;
}

static double rows_for_each(const ri_scope *scope, const ri_clause *clause, const ri_table *table, uint64_t mask)
{
    uint64_t slots[SLOTS] = { 0 };
    uint32_t n = table->count < SAMPLED ? table->count : SAMPLED;
    double matches = 0;
    double values = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * table->count / n);
        if (!ri_row_matches(scope, clause, table, row)) {
            continue;
        }
        uint64_t hash = hash_of(table, row, mask);
        uint32_t slot = (uint32_t)(hash % SLOTS);
        while (slots[slot] != 0 && slots[slot] != hash + 1) {
            slot = (slot + 1) % SLOTS;
        }
        values += slots[slot] == 0;
        slots[slot] = hash + 1;
        matches++;
    }
    double rows = n > 0 ? matches * table->count / n : 0;
    bool different = n < table->count && values >= ALL_DIFFERENT * matches;
    if (mask == 0 || values == 0) {
        return rows;
    }
    return different ? 1 : rows / values;
}

double ri_rows_fanout(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_varset *bound)
{
    const ri_table *table = op->sources[ri_scope_source(scope, clause->source)].table;
    uint64_t mask = 0;
    for (uint16_t i = 0; i < clause->term_count && i < 64; i++) {
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        mask |= (uint64_t)(var != RI_NO_VAR && ri_varset_has(bound, var)) << i;
    }
    for (uint32_t i = 0; i < op->rows_count_count; i++) {
        const ri_rows_count *known = &op->rows_counts[i];
        if (known->clause == clause && known->table == table && known->mask == mask) {
            return known->rows;
        }
    }
    double rows = rows_for_each(scope, clause, table, mask);
    if (op->rows_counts == NULL) {
        op->rows_counts = ri_arena_array(&op->arena, COUNTS_MAX, sizeof *op->rows_counts); /* or count again */
    }
    if (op->rows_counts != NULL && op->rows_count_count < COUNTS_MAX) {
        op->rows_counts[op->rows_count_count++] = (ri_rows_count){ clause, table, mask, rows };
    }
    return rows;
}
