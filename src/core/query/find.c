/* SPDX-License-Identifier: MIT
 *
 * The end of the chain: what :find asks for, distinct, aggregated, ordered, cut to offset and limit.
 *
 *   batches -> project -> [set] ---------------------------> give            streaming
 *                               -> groups, aggregates -> [table -> sort] -> give
 *                               -> [table -> sort] ---------------------> give
 *
 * The set is left out where the planner proves that rows are distinct. Rows are given as slices of the set's or the
 * batch's columns; nothing is copied but stubs, in whose place the whole values come.
 */
#include "find.h"
#include "types.h"

#define PART_BYTES ((size_t)1024 * 1024) /* of rows that are made whole and given at once */
#define GROUP_UNITS 64U                  /* of work for the results of a group, beside what they count themselves */

void ri_find_live(const rille_op *op, ri_varset *live)
{
    for (uint16_t i = 0; i < op->query->find_count; i++) {
        ri_varset_add(live, op->query->find[i].var);
    }
    for (uint16_t i = 0; i < op->query->with_count; i++) {
        ri_varset_add(live, op->query->with[i]);
    }
}

uint64_t ri_find_taken(const ri_find *find)
{
    return find->taken;
}

/* ---- making one ---- */

static bool find_arrays(ri_find *find, ri_arena *arena)
{
    uint16_t n = find->col_count;
    find->vars = ri_arena_array(arena, n + 1U, sizeof *find->vars);
    find->cols = ri_arena_array(arena, n + 1U, sizeof *find->cols);
    find->group_cols = ri_arena_array(arena, n + 1U, sizeof *find->group_cols);
    ri_vec *vecs = ri_arena_array(arena, 6U * (n + 1U), sizeof *vecs);
    find->plain = ri_arena_array(arena, n + 1U, sizeof *find->plain);
    find->aggs = ri_arena_array(arena, n + 1U, sizeof(ri_agg *));
    if (find->vars == NULL || find->cols == NULL || find->group_cols == NULL || vecs == NULL || find->aggs == NULL ||
        find->plain == NULL) {
        return false;
    }
    memset(vecs, 0, 6U * (n + 1U) * sizeof *vecs);
    for (uint16_t i = 0; i <= n; i++) {
        find->aggs[i] = NULL;
    }
    find->slices = vecs;
    find->consts = vecs + n + 1;
    find->copies = vecs + 2 * (n + 1);
    find->given = vecs + 3 * (n + 1);
    find->wholes = vecs + 4 * (n + 1);
    find->plains = vecs + 5 * (n + 1);
    return true;
}

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

static int find_aggregates(ri_find *find, rille_err *err)
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
    find->group_of = ri_arena_array(&find->op->plan_arena, RI_BATCH_ROWS, sizeof *find->group_of);
    if (find->group_of == NULL) {
        return ri_fail_nomem(err);
    }
    return ri_table_index_init(&find->group_index, find->groups, key_cols, n, err);
}

static int64_t option_or(int64_t option, int64_t otherwise)
{
    return option >= 0 ? option : otherwise;
}

int ri_find_new(rille_op *op, ri_find **out, rille_err *err)
{
    const rille_query *query = op->query;
    *out = NULL;
    ri_find *find = ri_arena_alloc(&op->plan_arena, sizeof *find);
    if (find == NULL) {
        return ri_fail_nomem(err);
    }
    memset(find, 0, sizeof *find);
    find->op = op;
    find->arena.meter = op->meter;
    find->whole_arena.meter = op->meter;
    find->elem_count = query->find_count;
    find->col_count = (uint16_t)(query->find_count + query->with_count);
    if (!find_arrays(find, &op->plan_arena)) {
        return ri_fail_nomem(err);
    }
    op->find = find; /* released with the plan from here on */
    ri_varset vars = { { 0 } };
    for (uint16_t i = 0; i < find->col_count; i++) {
        find->vars[i] = i < query->find_count ? query->find[i].var : query->with[i - query->find_count];
        ri_varset_add(&vars, find->vars[i]);
        ri_types types = ri_var_types(op, &op->scope, find->vars[i]);
        find->plain[i] = (types & RI_TYPES_NUMBER & ~RI_TYPES_ONE(RI_REF)) != 0;
    }
    RI_TRY(find_aggregates(find, err));
    bool ordered = query->order_count > 0;
    find->limit_left = option_or(op->options.limit, query->limit);
    find->offset_left = option_or(op->options.offset, query->offset);
    if (!ri_plan_distinct(op, &vars)) {
        RI_TRY(ri_op_table(op, find->col_count, true, &find->set, err));
        bool all = find->aggregates || ordered || find->limit_left < 0; /* else any rows will do */
        for (uint16_t i = 0; all && i < find->col_count; i++) {
            find->mixed = find->mixed || ri_var_loose(op, &op->scope, find->vars[i]);
        }
        find->set->exact = find->mixed;
    }
    if (ordered && (find->aggregates || find->set == NULL)) {
        RI_TRY(ri_op_table(op, find->aggregates ? find->elem_count : find->col_count, false, &find->result, err));
    } else if (ordered || (find->mixed && !find->aggregates)) {
        find->result = find->set;
    }
    find->phase = FIND_PULL;
    *out = find;
    return 0;
}

void ri_find_release(ri_find *find)
{
    if (find == NULL) {
        return;
    }
    for (uint16_t i = 0; i < find->elem_count; i++) {
        ri_agg_free(find->aggs[i]);
    }
    ri_table_index_deinit(&find->group_index);
    ri_meter_give(find->op->meter, find->order_bytes);
    ri_free(find->order);
    ri_arena_deinit(&find->arena);
    ri_arena_deinit(&find->whole_arena);
}

/* ---- taking a batch in ---- */

/* A column with entity ids as numbers. */
static int project_plain(ri_find *find, uint16_t i, const ri_vec *vec, uint32_t count, rille_err *err)
{
    ri_vec *plain = &find->plains[i];
    uint8_t *types = plain->types;
    if (types == NULL) {
        types = ri_arena_alloc(&find->op->plan_arena, RI_BATCH_ROWS);
    }
    if (types == NULL) {
        return ri_fail_nomem(err);
    }
    *plain = *vec;
    plain->types = types;
    plain->type = vec->type == RI_REF ? (uint8_t)RI_LONG : vec->type;
    for (uint32_t row = 0; vec->type == RI_MIXED && row < count; row++) {
        types[row] = vec->types[row] == RI_REF ? (uint8_t)RI_LONG : vec->types[row];
    }
    find->cols[i] = plain;
    return 0;
}

static int project(ri_find *find, const ri_batch *batch, rille_err *err)
{
    const ri_scope *scope = &find->op->scope;
    for (uint16_t i = 0; i < find->col_count; i++) {
        ri_var var = find->vars[i];
        if (!ri_varset_has(&scope->is_fixed, var)) {
            const ri_vec *vec = &batch->cols[var];
            find->cols[i] = vec;
            if (find->plain[i] && (vec->type == RI_REF || vec->type == RI_MIXED)) {
                RI_TRY(project_plain(find, i, vec, batch->count, err));
            }
            continue;
        }
        ri_vec *vec = &find->consts[i];
        if (vec->words == NULL) {
            if (!ri_vec_init(vec, &find->op->plan_arena, RI_BATCH_ROWS)) {
                return ri_fail_nomem(err);
            }
            ri_vec_fill(vec, RI_BATCH_ROWS, &scope->fixed[var]);
        }
        find->cols[i] = vec;
    }
    return 0;
}

/* The batch's new rows into find->slices. */
static int take_batch(ri_find *find, const ri_batch *batch, rille_err *err)
{
    RI_TRY(project(find, batch, err));
    uint32_t from = 0;
    find->count = batch->count;
    if (find->set != NULL) {
        from = find->set->count;
        RI_TRY(ri_table_add(find->set, find->cols, batch->count, &find->count, err));
    }
    find->taken += find->count;
    for (uint16_t i = 0; i < find->col_count; i++) {
        find->slices[i] = find->set != NULL ? ri_vec_from(&find->set->cols[i], from) : *find->cols[i];
    }
    return 0;
}

/* ---- aggregates ---- */

static int new_group(ri_find *find, uint32_t row, uint32_t *group, rille_err *err)
{
    ri_value values[RI_QUERY_VARS_MAX];
    for (uint16_t i = 0; i < find->group_col_count && i < RI_QUERY_VARS_MAX; i++) {
        values[i] = ri_vec_get(find->group_cols[i], row);
    }
    *group = find->groups->count;
    RI_TRY(ri_table_add_row(find->groups, values, NULL, err));
    return ri_table_index_update(&find->group_index, err);
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
    ri_table_index_find_rows(&find->group_index, find->group_cols, find->count, find->group_of);
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

static int group_result(ri_find *find, uint32_t group, uint32_t row, rille_err *err)
{
    for (uint16_t i = 0; i < find->elem_count; i++) {
        if (find->aggs[i] != NULL) {
            ri_value v;
            RI_TRY(in_elem(find, i, ri_agg_result(find->aggs[i], group, &find->arena, &v, err), err));
            ri_vec_set(&find->copies[i], row, &v);
        }
    }
    return 0;
}

/* Columns of the groups from `from` on into find->slices: *n of them at most, and beside the first no more than have
 * PART_BYTES. *n becomes how many. */
static int group_results(ri_find *find, uint32_t from, uint32_t *n, rille_err *err)
{
    for (uint16_t i = 0; i < find->elem_count; i++) {
        ri_vec *vec = &find->copies[i];
        if (find->aggs[i] != NULL && vec->words == NULL && !ri_vec_init(vec, &find->op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
    }
    uint32_t done = 0;
    while (done < *n && (done == 0 || find->arena.total_bytes <= PART_BYTES)) {
        RI_TRY(ri_work(find->op->meter, GROUP_UNITS, err));
        RI_TRY(group_result(find, from + done, done, err));
        done++;
    }
    *n = done;
    uint16_t col = 0;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        find->slices[i] = find->aggs[i] == NULL ? ri_vec_from(&find->groups->cols[col++], from) : find->copies[i];
    }
    return 0;
}

/* ---- results ---- */

/* All is in: prepares what is given. */
static int end_of_input(ri_find *find, rille_err *err)
{
    if (find->mixed) {
        RI_TRY(ri_find_collapse(find, err));
    }
    find->at = 0;
    find->result_count = find->aggregates ? find->group_count : 0;
    if (find->result != NULL && find->aggregates) {
        uint32_t n = 0;
        for (uint32_t from = 0; from < find->group_count; from += n) {
            uint32_t left = find->group_count - from;
            n = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
            RI_TRY(group_results(find, from, &n, err));
            for (uint16_t i = 0; i < find->elem_count; i++) {
                find->cols[i] = &find->slices[i];
            }
            RI_TRY(ri_table_add(find->result, find->cols, n, NULL, err));
            ri_arena_reset(&find->arena);
        }
    }
    if (find->result != NULL) {
        find->result_count = find->result->count;
        RI_TRY(ri_find_sort(find, find->result->count, err));
    }
    find->phase = FIND_NEXT_RESULTS;
    return 0;
}

/* The next rows of the finished result into find->slices. */
static int next_results(ri_find *find, rille_err *err)
{
    uint32_t left = find->result_count - find->at;
    uint32_t n = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
    ri_arena_reset(&find->arena);
    if (find->result == NULL) {
        RI_TRY(group_results(find, find->at, &n, err));
    }
    find->count = n;
    for (uint16_t i = 0; i < find->elem_count && find->result != NULL; i++) {
        ri_vec *vec = &find->consts[i]; /* free by now */
        if (vec->words == NULL && !ri_vec_init(vec, &find->op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        ri_vec_gather(&find->result->cols[i], find->order + find->at, n, vec);
        find->slices[i] = *vec;
    }
    find->at += n;
    return 0;
}

/* ---- giving ---- */

static void cut(ri_find *find)
{
    uint32_t skip = find->offset_left < (int64_t)find->count ? (uint32_t)find->offset_left : find->count;
    find->offset_left -= skip;
    find->count -= skip;
    for (uint16_t i = 0; i < find->elem_count && skip > 0; i++) {
        find->slices[i] = ri_vec_from(&find->slices[i], skip);
    }
    if (find->limit_left >= 0) {
        find->count = (int64_t)find->count < find->limit_left ? find->count : (uint32_t)find->limit_left;
        find->limit_left -= find->count;
    }
}

/* How many of the rows to give at once: no more of them beside the first than have PART_BYTES when they are whole. */
static uint32_t part_rows(ri_find *find)
{
    uint64_t sum = 0;
    bool bytes = false;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        bytes = bytes || !ri_type_is_word(find->slices[i].type);
    }
    for (uint32_t row = 0; bytes && row < find->count; row++) {
        for (uint16_t i = 0; i < find->elem_count; i++) {
            ri_value v = ri_vec_get(&find->slices[i], row);
            sum += ri_whole_len(find->op, &v);
        }
        if (sum > PART_BYTES && row > 0) {
            return row;
        }
    }
    return find->count;
}

/* The next rows of the slices, with whole values in place of stubs; what is asked for is asked for once. */
static int give(ri_find *find, rille_err *err)
{
    if (find->part == 0) {
        ri_arena_reset(&find->whole_arena);
        find->part = part_rows(find);
        find->unstubbed = 0;
    }
    for (; find->unstubbed < find->elem_count; find->unstubbed++) {
        uint16_t i = find->unstubbed;
        const ri_vec *vec = NULL;
        RI_TRY(ri_unstub(find->op, &find->slices[i], find->part, &find->whole_arena, &find->wholes[i], &vec, err));
        find->given[i] = *vec;
    }
    for (uint16_t i = 0; i < find->elem_count; i++) {
        find->slices[i] = ri_vec_from(&find->slices[i], find->part);
    }
    find->op->rows = find->given;
    find->op->row_count = find->part;
    find->count -= find->part;
    find->part = 0;
    return RILLE_ROWS;
}

static int pull(ri_find *find, rille_err *err)
{
    ri_batch *batch = NULL;
    int rc = ri_stage_next(find->op->last, &batch, err);
    if (rc == RILLE_DONE) {
        bool collected = find->aggregates || find->result != NULL;
        find->phase = FIND_DONE;
        return collected ? end_of_input(find, err) : 0;
    }
    RI_TRY(rc);
    RI_TRY(take_batch(find, batch, err));
    if (find->mixed) {
        return 0;
    }
    if (find->aggregates) {
        return ri_find_aggregate(find, err);
    }
    if (find->result != NULL) {
        return find->set != NULL ? 0 : ri_table_add(find->result, find->cols, find->count, NULL, err);
    }
    ri_arena_reset(&find->arena);
    cut(find);
    find->phase = FIND_GIVE;
    return 0;
}

/* Unit: one batch, in or out. 0: go on. */
static int work(ri_find *find, rille_err *err)
{
    bool collects = find->aggregates || find->result != NULL;
    if (find->phase == FIND_PULL || find->phase == FIND_NEXT_RESULTS) {
        bool ends = find->limit_left == 0 || (find->phase == FIND_NEXT_RESULTS && find->at == find->result_count);
        find->phase = ends ? FIND_DONE : find->phase;
    }
    switch (find->phase) {
    case FIND_PULL:
        return pull(find, err);
    case FIND_NEXT_RESULTS:
        RI_TRY(next_results(find, err));
        cut(find);
        find->phase = FIND_GIVE;
        return 0;
    case FIND_GIVE: {
        int rc = find->count > 0 ? give(find, err) : 0;
        if (find->count == 0 && (rc == 0 || rc == RILLE_ROWS)) {
            find->phase = collects ? FIND_NEXT_RESULTS : FIND_PULL;
        }
        return rc;
    }
    case FIND_DONE:
        break;
    }
    return RILLE_DONE;
}

int ri_find_next(ri_find *find, rille_err *err)
{
    int rc = 0;
    while (rc == 0) {
        RI_TRY(ri_begin_unit(find->op, &find->begun, err));
        rc = work(find, err);
        find->begun = ri_is_pause(rc);
    }
    return rc;
}
