/* SPDX-License-Identifier: MIT
 *
 * Aggregates of :find: which group a row belongs to, and the results of groups.
 */
#include "find.h"

#define GROUP_UNITS 64U /* of work for the results of a group, beside what they count themselves */

/* The n of (min n ?x), NIL: none. */
static int aggregate_count(const rille_op *op, const ri_find_elem *elem, ri_value *n, rille_err *err)
{
    *n = elem->arg_var == RI_NO_VAR ? elem->arg : op->scope.fixed[elem->arg_var];
    if (elem->arg_var != RI_NO_VAR && (n->type != RI_LONG || n->as.i < 1 || n->as.i > INT32_MAX)) {
        char shown[96];
        return ri_fail(err, RILLE_INPUT, "input %s is %s, but aggregate %s expects an integer of 1 or more",
                       op->query->var_names[elem->arg_var], ri_value_show(shown, sizeof shown, n), elem->agg);
    }
    return 0;
}

int ri_find_new_aggregates(ri_find *find, rille_err *err)
{
    const rille_query *query = find->op->query;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        const ri_find_elem *elem = &query->find[i];
        if (elem->agg == NULL) {
            find->group_col_count++;
            continue;
        }
        const ri_agg_def *def = ri_agg_find(elem->agg);
        if (def == NULL) {
            return ri_fail(err, RILLE_QUERY, "unknown aggregate %s", elem->agg);
        }
        ri_value n;
        RI_TRY(aggregate_count(find->op, elem, &n, err));
        find->aggregates = true;
        RI_TRY(ri_agg_new(def, n.type == RI_NIL ? NULL : &n, find->op->meter, &find->aggs[i], err));
    }
    if (!find->aggregates) {
        return 0;
    }
    uint16_t key_cols[RI_QUERY_VARS_MAX];
    uint16_t n = find->group_col_count < RI_QUERY_VARS_MAX ? find->group_col_count : RI_QUERY_VARS_MAX;
    for (uint16_t i = 0; i < n; i++) {
        key_cols[i] = i;
    }
    RI_TRY(ri_op_table(find->op, n, false, &find->groups, err));
    find->group_of = ri_arena_array(&find->op->find_arena, RI_BATCH_ROWS, sizeof *find->group_of);
    if (find->group_of == NULL) {
        return ri_fail_nomem(err);
    }
    return ri_table_index_init(&find->group_index, find->groups, find->op->meter, key_cols, n, NULL, 0, err);
}

static int new_group(ri_find *find, uint32_t row, uint32_t *group, rille_err *err)
{
    ri_value values[RI_QUERY_VARS_MAX];
    for (uint16_t i = 0; i < find->group_col_count && i < RI_QUERY_VARS_MAX; i++) {
        values[i] = ri_vec_get(find->group_cols[i], row);
    }
    *group = find->groups->count;
    RI_TRY(ri_table_add_row(find->groups, values, NULL, err));
    return ri_table_index_complete(&find->group_index, err);
}

static int find_groups(ri_find *find, rille_err *err)
{
    uint16_t n = 0;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        if (find->aggs[i] == NULL) {
            find->group_cols[n++] = &find->slices[i];
        }
    }
    if (n == 0) {
        memset(find->group_of, 0, find->count * sizeof *find->group_of);
        find->group_count = 1;
        return 0;
    }
    for (uint32_t from = 0; from < find->count;) {
        uint32_t found =
            ri_table_index_find_rows(&find->group_index, find->group_cols, from, find->count - from, find->group_of);
        if (found == 0) {
            return ri_meter_error(find->op->meter, err);
        }
        from += found;
    }
    for (uint32_t row = 0; row < find->count; row++) {
        if (find->group_of[row] == UINT32_MAX) {
            find->group_of[row] = ri_table_index_find(&find->group_index, find->group_cols, row);
        }
        if (find->group_of[row] == UINT32_MAX) {
            RI_TRY(new_group(find, row, &find->group_of[row], err));
        }
    }
    find->group_count = find->groups->count;
    return 0;
}

/* Errors of an aggregate itself name its position in :find. */
static int in_elem(const ri_find *find, uint16_t at, int rc, rille_err *err)
{
    const rille_query *query = find->op->query;
    if (rc == RILLE_TYPE || rc == RILLE_LIMIT) {
        ri_origin origin = ri_origin_of_query(query);
        ri_err_at(err, &origin, query->find[at].offset, 0);
    }
    return rc;
}

int ri_find_aggregate(ri_find *find, rille_err *err)
{
    if (find->count == 0) {
        return 0;
    }
    RI_TRY(find_groups(find, err));
    for (uint16_t i = 0; i < find->elem_count; i++) {
        if (find->aggs[i] != NULL) {
            RI_TRY(in_elem(
                find, i,
                ri_agg_add(find->aggs[i], &find->slices[i], find->group_of, find->count, find->group_count, err), err));
        }
    }
    return 0;
}

/* What is left of the results of one group. False in *done: a unit is done. */
static int group_result(ri_find *find, uint32_t group, uint32_t row, bool *done, rille_err *err)
{
    for (; find->group_elem < find->elem_count; find->group_elem++) {
        uint16_t i = find->group_elem;
        ri_value v = ri_nil();
        *done = find->aggs[i] == NULL;
        while (!*done) {
            RI_TRY(in_elem(find, i, ri_agg_result(find->aggs[i], group, &find->arena, &v, done, err), err));
            if (!*done && ri_unit_is_full(find->op)) {
                return 0;
            }
        }
        if (find->aggs[i] != NULL) {
            ri_vec_set(&find->copies[i], row, &v);
            find->op->stubs_inside = find->op->stubs_inside || ri_agg_has_stubs(find->aggs[i]);
        }
    }
    *done = true;
    find->group_elem = 0;
    return 0;
}

/* The columns are ready: the variables of the groups, and the results. */
static int set_slices(ri_find *find, rille_err *err)
{
    uint16_t col = 0;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        if (find->aggs[i] == NULL) {
            ri_column_copy(&find->groups->cols[col++], find->at, find->group_row, &find->copies[i]);
        }
        find->slices[i] = find->copies[i];
    }
    find->count = find->group_row;
    find->group_row = 0;
    find->grouping = false;
    return ri_work(find->op->meter, (size_t)find->count * find->elem_count * RI_FIND_CELL_UNITS, err);
}

int ri_find_group_results(ri_find *find, rille_err *err)
{
    uint32_t left = find->group_count - find->at;
    uint32_t max = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
    if (!find->grouping) {
        for (uint16_t i = 0; i < find->elem_count; i++) {
            if (ri_find_buf(find, find->copies, i) == NULL) {
                return ri_fail_nomem(err);
            }
        }
        ri_arena_reset(&find->arena);
        find->grouping = true;
    }
    while (find->group_row < max && (find->group_row == 0 || find->arena.total_bytes <= RI_FIND_PART_BYTES)) {
        bool done = false;
        if (ri_unit_is_full(find->op)) {
            return 0;
        }
        RI_TRY(ri_work(find->op->meter, GROUP_UNITS, err));
        RI_TRY(group_result(find, find->at + find->group_row, find->group_row, &done, err));
        if (!done) {
            return 0;
        }
        find->group_row++;
    }
    RI_TRY(set_slices(find, err));
    return RILLE_DONE;
}
