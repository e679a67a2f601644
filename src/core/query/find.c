/* SPDX-License-Identifier: MIT
 *
 * The end of the chain: what :find asks for, distinct, aggregated, ordered, cut to offset and limit.
 *
 *   batches -> project -> [set] ---------------------------> give            streaming
 *                               -> groups, aggregates -> [table -> sort] -> give
 *                               -> [table -> sort] ---------------------> give
 *
 * The set is left out where the planner proves that rows are distinct. Where the query has an order and a limit, the
 * table never holds more than about twice the rows that are asked for. All that may take long is done in units, each of
 * which takes up where the last one stopped.
 */
#include "find.h"
#include "types.h"

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
    return find->taken_rows;
}

/* ---- making one ---- */

static bool find_arrays(ri_find *find, ri_arena *arena)
{
    uint16_t n = find->col_count;
    find->vars = ri_arena_array(arena, n + 1U, sizeof *find->vars);
    find->cols = ri_arena_array(arena, n + 1U, sizeof *find->cols);
    find->group_cols = ri_arena_array(arena, n + 1U, sizeof *find->group_cols);
    ri_vec *vecs = ri_arena_array(arena, 8U * (n + 1U), sizeof *vecs);
    find->plain = ri_arena_array(arena, n + 1U, sizeof *find->plain);
    find->aggs = ri_arena_array(arena, n + 1U, sizeof(ri_agg *));
    if (find->vars == NULL || find->cols == NULL || find->group_cols == NULL || vecs == NULL || find->aggs == NULL ||
        find->plain == NULL) {
        return false;
    }
    memset(vecs, 0, 8U * (n + 1U) * sizeof *vecs);
    for (uint16_t i = 0; i <= n; i++) {
        find->aggs[i] = NULL;
    }
    find->slices = vecs;
    find->consts = vecs + n + 1;
    find->copies = vecs + 2 * (n + 1);
    find->given = vecs + 3 * (n + 1);
    find->wholes = vecs + 4 * (n + 1);
    find->plains = vecs + 5 * (n + 1);
    find->parts = vecs + 6 * (n + 1);
    find->kept = vecs + 7 * (n + 1);
    return true;
}

static int64_t option_or(int64_t option, int64_t otherwise)
{
    return option >= 0 ? option : otherwise;
}

static int64_t limit_of(const rille_op *op)
{
    return option_or(op->options.limit, op->query->limit);
}

bool ri_op_takes_all(const rille_op *op)
{
    return limit_of(op) < 0 || op->query->order_count > 0 || (op->find != NULL && op->find->aggregates);
}

void ri_find_renew(ri_find *find)
{
    const rille_op *op = find->op;
    find->limit_left = limit_of(op);
    find->offset_left = option_or(op->options.offset, op->query->offset);
    find->phase = FIND_PULL;
}

int ri_find_new(rille_op *op, ri_find **out, rille_err *err)
{
    const rille_query *query = op->query;
    *out = NULL;
    ri_find *find = ri_arena_alloc(&op->find_arena, sizeof *find);
    if (find == NULL) {
        return ri_fail_nomem(err);
    }
    memset(find, 0, sizeof *find);
    find->op = op;
    find->arena.meter = op->meter;
    find->whole_arena.meter = op->meter;
    find->elem_count = query->find_count;
    find->col_count = (uint16_t)(query->find_count + query->with_count);
    if (!find_arrays(find, &op->find_arena)) {
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
    RI_TRY(ri_find_new_aggregates(find, err));
    bool ordered = query->order_count > 0;
    ri_find_renew(find);
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
    ri_find_choose_best(find);
    *out = find;
    return 0;
}

bool ri_find_rest(ri_find *find)
{
    const ri_scope *scope = &find->op->scope;
    bool simple = !find->aggregates && find->set == NULL && find->result == NULL;
    for (uint16_t i = 0; simple && i < find->col_count; i++) {
        simple = !ri_varset_has(&scope->is_fixed, find->vars[i]);
    }
    if (simple) {
        ri_arena_deinit(&find->whole_arena);
        find->incoming = find->taken = find->count = find->part = 0;
        find->taken_rows = 0;
        find->last = find->begun = false;
    }
    return simple;
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
    ri_sorter_deinit(&find->sorter);
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
        types = ri_arena_alloc(&find->op->find_arena, RI_BATCH_ROWS);
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
            if (!ri_vec_init(vec, &find->op->find_arena, RI_BATCH_ROWS)) {
                return ri_fail_nomem(err);
            }
            ri_vec_fill(vec, RI_BATCH_ROWS, &scope->fixed[var]);
        }
        find->cols[i] = vec;
    }
    return 0;
}

ri_vec *ri_find_buf(ri_find *find, ri_vec *bufs, uint16_t col)
{
    ri_vec *buf = &bufs[col];
    return buf->words != NULL || ri_vec_init(buf, &find->op->find_arena, RI_BATCH_ROWS) ? buf : NULL;
}

int ri_find_slice(ri_find *find, const ri_table *table, uint32_t from, uint32_t n, rille_err *err)
{
    for (uint16_t i = 0; i < table->col_count; i++) {
        ri_vec *buf = ri_find_buf(find, find->copies, i);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_column_copy(&table->cols[i], from, n, buf);
        find->slices[i] = *buf;
    }
    find->count = n;
    return ri_work(find->op->meter, (size_t)n * (table->col_count + 1U) * RI_FIND_CELL_UNITS, err);
}

/* A portion of the batch. */
static int take_portion(ri_find *find, rille_err *err)
{
    size_t units = 0;
    const ri_vec *cols[RI_QUERY_VARS_MAX];
    for (uint16_t i = 0; i < find->col_count && i < RI_QUERY_VARS_MAX; i++) {
        find->parts[i] = ri_vec_from(find->cols[i], find->taken);
        cols[i] = &find->parts[i];
    }
    uint32_t rows = ri_rows_portion(cols, find->col_count, 0, find->incoming - find->taken, &units);
    find->taken += rows;
    if (find->set != NULL) {
        uint32_t before = find->set->count;
        RI_TRY(ri_table_add(find->set, cols, rows, NULL, err));
        find->taken_rows += find->set->count - before;
        if (find->mixed || !find->aggregates) {
            return 0;
        }
        RI_TRY(ri_find_slice(find, find->set, before, find->set->count - before, err));
        return ri_find_aggregate(find, err);
    }
    find->taken_rows += rows;
    if (find->aggregates) {
        memcpy(find->slices, find->parts, find->col_count * sizeof *find->slices);
        find->count = rows;
        return ri_find_aggregate(find, err);
    }
    return ri_table_add(find->result, cols, rows, NULL, err);
}

/* Takes in what is left of the batch, or as much of it as makes a unit. */
static int take(ri_find *find, rille_err *err)
{
    uint32_t before = find->set != NULL ? find->set->count : 0;
    bool streams = find->result == NULL && !find->aggregates;
    if (streams && find->set == NULL) {
        for (uint16_t i = 0; i < find->col_count; i++) {
            find->slices[i] = *find->cols[i];
        }
        find->count = find->incoming;
        find->taken = find->incoming;
        find->taken_rows += find->incoming;
    }
    while (find->taken < find->incoming) {
        if (ri_find_must_cut(find)) {
            find->phase = FIND_CUT;
            find->after_cut = FIND_TAKE;
            return 0;
        }
        RI_TRY(take_portion(find, err));
        if (ri_unit_is_full(find->op)) {
            break;
        }
    }
    find->phase = find->taken < find->incoming ? FIND_TAKE : FIND_PULL;
    if (streams && find->set != NULL) {
        RI_TRY(ri_find_slice(find, find->set, before, find->set->count - before, err));
    }
    return 0;
}

/* ---- results ---- */

static bool is_collected(const ri_find *find)
{
    return find->aggregates || find->result != NULL;
}

/* Groups become rows of the result, as many as make a unit. */
static int add_groups(ri_find *find, rille_err *err)
{
    if (ri_find_must_cut(find)) {
        find->phase = FIND_CUT;
        find->after_cut = FIND_GROUPS;
        return 0;
    }
    if (find->at == find->group_count) {
        find->phase = FIND_SORT;
        return 0;
    }
    int rc = ri_find_group_results(find, err);
    if (rc != RILLE_DONE) {
        return rc;
    }
    find->at += find->count;
    find->incoming = find->count;
    for (uint16_t i = 0; i < find->elem_count; i++) {
        find->cols[i] = &find->slices[i];
    }
    RI_TRY(ri_find_drop_worse(find, err));
    return ri_table_add(find->result, find->cols, find->incoming, NULL, err);
}

/* The next rows of the finished result into find->slices. */
static int next_results(ri_find *find, rille_err *err)
{
    if (find->result == NULL) {
        int rc = ri_find_group_results(find, err);
        if (rc == RILLE_DONE) {
            find->at += find->count;
            find->phase = FIND_GIVE;
        }
        return rc == RILLE_DONE ? 0 : rc;
    }
    uint32_t left = find->result_count - find->at;
    uint32_t n = left < RI_BATCH_ROWS ? left : RI_BATCH_ROWS;
    const uint32_t *order = ri_sorter_rows(&find->sorter);
    if (order == NULL) {
        RI_TRY(ri_find_slice(find, find->result, find->at, n, err));
    }
    for (uint16_t i = 0; i < find->elem_count && order != NULL; i++) {
        ri_vec *buf = ri_find_buf(find, find->copies, i);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_column_gather(&find->result->cols[i], order + find->at, n, buf);
        find->slices[i] = *buf;
    }
    find->count = n;
    find->at += n;
    find->phase = FIND_GIVE;
    return ri_work(find->op->meter, (size_t)n * find->elem_count * RI_FIND_CELL_UNITS, err);
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

/* How many of the rows to give at once: no more of them beside the first than have RI_FIND_PART_BYTES when they are whole. */
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
        if (sum > RI_FIND_PART_BYTES && row > 0) {
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
        RI_TRY(ri_unstub(find->op, &find->slices[i], find->part, &find->whole_arena, &find->op->find_arena,
                         &find->wholes[i], &vec, err));
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
    int rc = find->last ? RILLE_DONE : ri_stage_next(find->op->last, &batch, err);
    if (rc == RILLE_DONE) {
        find->phase = find->mixed ? FIND_FORMS : is_collected(find) ? FIND_GROUPS : FIND_DONE;
        return 0;
    }
    RI_TRY(rc);
    RI_TRY(project(find, batch, err));
    find->incoming = batch->count;
    find->taken = 0;
    find->last = batch->last;
    find->phase = FIND_TAKE;
    return ri_find_drop_worse(find, err);
}

/* The rest of the way, when all rows are in: each phase where it applies. */
static int finish(ri_find *find, rille_err *err)
{
    int rc = 0;
    switch (find->phase) {
    case FIND_FORMS:
        rc = ri_find_unite_forms(find, err);
        find->phase = rc == RILLE_DONE ? FIND_GROUPS : FIND_FORMS;
        break;
    case FIND_GROUPS:
        if (find->aggregates && find->result != NULL) {
            return add_groups(find, err);
        }
        find->phase = FIND_SORT;
        return 0;
    case FIND_CUT:
        rc = ri_find_cut(find, err);
        find->phase = rc == RILLE_DONE ? find->after_cut : FIND_CUT;
        break;
    case FIND_SORT:
        rc = find->result != NULL ? ri_find_sort(find, err) : RILLE_DONE;
        if (rc == RILLE_DONE) {
            ri_sorter_trim(&find->sorter);
            find->phase = FIND_NEXT;
            find->at = 0;
            find->result_count = find->result != NULL ? find->result->count : find->group_count;
        }
        break;
    case FIND_PULL:
    case FIND_TAKE:
    case FIND_NEXT:
    case FIND_GIVE:
    case FIND_DONE:
        break;
    }
    return rc == RILLE_DONE ? 0 : rc;
}

static int take_batch(ri_find *find, rille_err *err)
{
    RI_TRY(take(find, err));
    if (!is_collected(find)) {
        cut(find);
        find->phase = FIND_GIVE;
    }
    return 0;
}

/* Unit: a batch or a part of it, in or out; a slice of what is between. 0: go on. */
static int work(ri_find *find, rille_err *err)
{
    if (find->phase == FIND_PULL || find->phase == FIND_NEXT) {
        bool ends = find->limit_left == 0 || (find->phase == FIND_NEXT && find->at == find->result_count);
        find->phase = ends ? FIND_DONE : find->phase;
    }
    switch (find->phase) {
    case FIND_PULL:
        RI_TRY(pull(find, err));
        return find->phase == FIND_TAKE && !ri_unit_is_full(find->op) ? take_batch(find, err) : 0;
    case FIND_TAKE:
        return take_batch(find, err);
    case FIND_FORMS:
    case FIND_GROUPS:
    case FIND_CUT:
    case FIND_SORT:
        return finish(find, err);
    case FIND_NEXT:
        RI_TRY(next_results(find, err));
        if (find->phase == FIND_GIVE) {
            cut(find);
        }
        return 0;
    case FIND_GIVE: {
        int rc = find->count > 0 ? give(find, err) : 0;
        if (find->count == 0 && (rc == 0 || rc == RILLE_ROWS)) {
            find->phase = is_collected(find) ? FIND_NEXT : find->taken < find->incoming ? FIND_TAKE : FIND_PULL;
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
