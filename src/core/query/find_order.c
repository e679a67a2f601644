/* SPDX-License-Identifier: MIT
 *
 * The rows of :find in order; and one form for numbers that are equal in a column.
 */
#include "find.h"
#include "types.h"

static uint32_t shorter(const ri_vec *col, uint32_t a, uint32_t b)
{
    uint32_t len_a = ri_vec_get(col, a).len;
    uint32_t len_b = ri_vec_get(col, b).len;
    return len_a < len_b ? len_a : len_b;
}

static int cmp_rows(const void *context, uint32_t a, uint32_t b)
{
    const ri_find *find = context;
    const rille_query *query = find->op->query;
    if (find->sorted_col != NULL) { /* equal values, the simplest form first */
        const ri_vec *col = find->sorted_col;
        int c = ri_vec_cmp(col, a, col, b);
        (void)ri_meter_work(find->op->meter, ri_type_is_word(col->type) ? 0 : shorter(col, a, b));
        return c != 0 ? c : ri_vec_cmp_form(col, a, col, b);
    }
    for (uint16_t i = 0; i < query->order_count; i++) {
        const ri_vec *col = &find->result->cols[query->order_by[i].elem];
        int c = ri_vec_cmp(col, a, col, b);
        (void)ri_meter_work(find->op->meter, ri_type_is_word(col->type) ? 0 : shorter(col, a, b));
        if (c != 0) {
            return query->order_by[i].desc ? -c : c;
        }
    }
    return 0;
}

int ri_find_sort(ri_find *find, uint32_t n, rille_err *err)
{
    size_t bytes = ((size_t)n + 1) * sizeof *find->order;
    if (!ri_meter_take(find->op->meter, 2 * bytes)) {
        return ri_meter_error(find->op->meter, err);
    }
    find->order_bytes = 2 * bytes;
    find->order = ri_alloc(bytes);
    uint32_t *other = ri_alloc(bytes);
    if (find->order == NULL || other == NULL) {
        ri_free(other);
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        find->order[i] = i;
    }
    bool sorts = find->sorted_col != NULL || find->op->query->order_count > 0;
    int rc = sorts ? ri_sort_rows(find->op->meter, &find->order, &other, n, cmp_rows, find, err) : 0;
    ri_free(other);
    ri_meter_give(find->op->meter, bytes);
    find->order_bytes = bytes;
    return rc;
}

/* May values of a column be equal but in form? When it has numbers of several types, or tuples. */
static bool has_forms(const ri_vec *col, uint32_t rows)
{
    uint8_t number = RI_NIL;
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t type = col->type == RI_MIXED ? col->types[i] : col->type;
        type = type == RI_REF ? (uint8_t)RI_LONG : type;
        if (type == RI_TUPLE || (ri_type_is_number(type) && number != RI_NIL && number != type)) {
            return true;
        }
        if (col->type != RI_MIXED) {
            return false;
        }
        number = ri_type_is_number(type) ? type : number;
    }
    return false;
}

/* For each row of a column, the row that has its value in the simplest form. */
static int find_simplest(ri_find *find, const ri_vec *col, uint32_t *simplest, rille_err *err)
{
    uint32_t n = find->set->count;
    find->sorted_col = col;
    RI_TRY(ri_find_sort(find, n, err));
    find->sorted_col = NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = find->order[i];
        bool same = i > 0 && ri_vec_eq(col, find->order[i - 1], col, row);
        simplest[row] = same ? simplest[find->order[i - 1]] : row;
    }
    ri_free(find->order);
    ri_meter_give(find->op->meter, find->order_bytes);
    find->order = NULL;
    find->order_bytes = 0;
    return 0;
}

/* Rows from `from` on, each value in the form that was found for it, into another set. */
static int add_simplest(ri_find *find, uint32_t *const *simplest, uint32_t from, ri_table *set, rille_err *err)
{
    uint32_t left = find->set->count - from;
    uint32_t n = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
    for (uint16_t i = 0; i < find->col_count; i++) {
        ri_vec *vec = &find->wholes[i];
        if (vec->words == NULL && !ri_vec_init(vec, &find->op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        find->slices[i] = ri_vec_from(&find->set->cols[i], from);
        find->cols[i] = &find->slices[i];
        if (simplest[i] != NULL) {
            ri_vec_gather(&find->set->cols[i], simplest[i] + from, n, vec);
            find->cols[i] = vec;
        }
    }
    return ri_table_add(set, find->cols, n, NULL, err);
}

/* All rows are in, and some may be equal but in form: equal numbers of a column get one form, the simplest of them. */
int ri_find_collapse(ri_find *find, rille_err *err)
{
    rille_op *op = find->op;
    uint32_t **simplest = ri_arena_array(&op->plan_arena, find->col_count + 1U, sizeof *simplest);
    if (simplest == NULL) {
        return ri_fail_nomem(err);
    }
    bool differ = false;
    for (uint16_t i = 0; i < find->col_count; i++) {
        const ri_vec *col = &find->set->cols[i];
        simplest[i] = NULL;
        if (ri_var_loose(op, &op->scope, find->vars[i]) && has_forms(col, find->set->count)) {
            differ = true;
            simplest[i] = ri_arena_array(&op->plan_arena, find->set->count + 1U, sizeof *simplest[i]);
            RI_TRY(simplest[i] == NULL ? ri_fail_nomem(err) : find_simplest(find, col, simplest[i], err));
        }
    }
    ri_table *set = find->set;
    if (differ) {
        RI_TRY(ri_op_table(op, find->col_count, true, &set, err));
    }
    for (uint32_t from = 0; differ && from < find->set->count; from += RI_BATCH_ROWS) {
        RI_TRY(add_simplest(find, simplest, from, set, err));
    }
    find->set = set;
    find->result = find->aggregates ? find->result : set;
    for (uint32_t from = 0; find->aggregates && from < set->count; from += RI_BATCH_ROWS) {
        uint32_t left = set->count - from;
        find->count = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
        for (uint16_t i = 0; i < find->col_count; i++) {
            find->slices[i] = ri_vec_from(&set->cols[i], from);
        }
        RI_TRY(ri_find_aggregate(find, err));
    }
    return 0;
}
