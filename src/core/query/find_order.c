/* SPDX-License-Identifier: MIT
 *
 * The rows of :find in order; and, with a limit, the best of them alone.
 *
 * The best k rows (limit and offset) are kept in a table of up to 2 k: whenever that is full, it is sorted and cut to
 * the first k. From then on a row that is not before the last of these cannot become one of them, nor can any row that
 * is equal to it, so a set needs to know no other rows. Rows come out as if all had been sorted: the sort is stable,
 * and what was kept stands before what came later.
 */
#include "find.h"

#define BEST_MAX (UINT32_C(1) << 29)
#define SLICE_ROWS 2048U
#define COPY_ROWS 256U
#define KEY_UNITS 32U /* of work for a key of a row */

static int cmp_columns(const ri_find *find, const ri_column *a, uint32_t a_row, const ri_vec *b, uint32_t b_row)
{
    const ri_vec *block = ri_column_block(a, a_row);
    if (!ri_type_is_word(b->type)) {
        uint32_t len = ri_vec_get(b, b_row).len;
        (void)ri_meter_work(find->op->meter, len);
    }
    return ri_vec_cmp(block, ri_block_row(a_row), b, b_row);
}

static int cmp_rows(const void *context, uint32_t a, uint32_t b)
{
    const ri_find *find = context;
    const rille_query *query = find->op->query;
    for (uint16_t i = 0; i < query->order_count; i++) {
        const ri_column *col = &find->result->cols[query->order_by[i].elem];
        int c = cmp_columns(find, col, a, ri_column_block(col, b), ri_block_row(b));
        if (c != 0) {
            return query->order_by[i].desc ? -c : c;
        }
    }
    return 0;
}

/* ---- sorting ---- */

/* Are all columns of the order such that keys decide? Then rows are sorted by one column after the other, the last one
 * first, which keeps what is equal in order; else once, by a comparison of all of them. */
static bool by_columns(const ri_find *find)
{
    const rille_query *query = find->op->query;
    for (uint16_t i = 0; i < query->order_count; i++) {
        if (ri_sort_key_kind(find->result->cols[query->order_by[i].elem].type) != RI_KEY_EXACT) {
            return false;
        }
    }
    return true;
}

static int begin_sort(ri_find *find, rille_err *err)
{
    bool keyed = by_columns(find);
    RI_TRY(ri_sorter_init(&find->sorter, find->op->meter, find->result->count, keyed ? NULL : cmp_rows, find, err));
    find->sorting = true;
    find->order_at = (uint16_t)(keyed ? find->op->query->order_count - 1 : 0);
    find->keyed = 0;
    return 0;
}

/* Gives some rows their keys, in the order in which they are now; at first, that of the table. */
static int set_keys(ri_find *find, rille_err *err)
{
    const ri_order_by *by = &find->op->query->order_by[find->order_at];
    const ri_column *col = &find->result->cols[by->elem];
    ri_sorter *sorter = &find->sorter;
    bool has_key = ri_sort_key_kind(col->type) != RI_KEY_NONE;
    uint32_t left = sorter->cap - find->keyed;
    uint32_t n = left < SLICE_ROWS ? left : SLICE_ROWS;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = find->keyed++;
        uint32_t row = sorter->count == sorter->cap ? ri_sorter_rows(sorter)[at] : at;
        ri_value v = ri_column_get(col, row);
        uint64_t key = has_key ? ri_sort_key(&v) : 0;
        key = by->desc ? ~key : key;
        if (sorter->count == sorter->cap) {
            sorter->keys[sorter->side][at] = key;
        } else {
            ri_sorter_push(sorter, key, row);
        }
    }
    return ri_work(find->op->meter, (size_t)n * KEY_UNITS, err);
}

int ri_find_sort(ri_find *find, rille_err *err)
{
    if (find->op->query->order_count == 0) {
        return RILLE_DONE;
    }
    if (!find->sorting) {
        RI_TRY(begin_sort(find, err));
    }
    if (find->keyed < find->sorter.cap) {
        return set_keys(find, err);
    }
    int rc = ri_sorter_work(&find->sorter, err);
    if (rc == RILLE_DONE && find->order_at > 0) {
        find->order_at--;
        find->keyed = 0;
        ri_sorter_again(&find->sorter);
        return 0;
    }
    return rc;
}

/* ---- the best rows ---- */

void ri_find_choose_best(ri_find *find)
{
    bool fits = find->limit_left >= 0 && find->limit_left < BEST_MAX && find->offset_left < BEST_MAX;
    if (fits && find->op->query->order_count > 0 && !find->mixed && find->limit_left > 0) {
        find->best = (uint32_t)(find->limit_left + find->offset_left);
    }
}

/* Is row `row` of the batch before the last of the best? */
static bool is_better(const ri_find *find, uint32_t row)
{
    const rille_query *query = find->op->query;
    for (uint16_t i = 0; i < query->order_count; i++) {
        uint16_t elem = query->order_by[i].elem;
        int c = cmp_columns(find, &find->result->cols[elem], find->best - 1, find->cols[elem], row);
        if (c != 0) {
            return query->order_by[i].desc ? c < 0 : c > 0;
        }
    }
    return false;
}

int ri_find_drop_worse(ri_find *find, rille_err *err)
{
    uint32_t *rows = find->op->scratch_rows;
    uint32_t n = 0;
    if (!find->full) {
        return 0;
    }
    for (uint32_t row = 0; row < find->incoming; row++) {
        rows[n] = row;
        n += is_better(find, row);
    }
    for (uint16_t i = 0; n > 0 && n < find->incoming && i < find->result->col_count; i++) {
        ri_vec *buf = ri_find_buf(find, find->kept, i);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_vec_gather(find->cols[i], rows, n, buf);
        find->cols[i] = buf;
    }
    uint32_t before = find->incoming;
    find->incoming = n;
    return ri_work(find->op->meter, (size_t)before * RI_FIND_CELL_UNITS, err);
}

bool ri_find_must_cut(const ri_find *find)
{
    uint32_t more = find->best > RI_BATCH_ROWS ? find->best : RI_BATCH_ROWS;
    return find->best > 0 && find->result->count >= find->best + more;
}

/* The best rows into the other table, some of them: it is the result then. */
static int copy_best(ri_find *find, rille_err *err)
{
    const ri_vec *cols[RI_QUERY_VARS_MAX];
    ri_table *result = find->result;
    uint32_t left = find->best - find->other->count;
    uint32_t n = left < COPY_ROWS ? left : COPY_ROWS;
    for (uint16_t i = 0; i < result->col_count && i < RI_QUERY_VARS_MAX; i++) {
        ri_vec *buf = ri_find_buf(find, find->copies, i);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_column_gather(&result->cols[i], ri_sorter_rows(&find->sorter) + find->other->count, n, buf);
        cols[i] = buf;
    }
    RI_TRY(ri_table_add(find->other, cols, n, NULL, err));
    if (find->other->count < find->best) {
        return 0;
    }
    ri_sorter_deinit(&find->sorter);
    find->sorting = false;
    find->set = find->set == result ? find->other : find->set;
    find->result = find->other;
    find->other = result;
    ri_table_clear(result);
    find->full = true;
    return RILLE_DONE;
}

int ri_find_cut(ri_find *find, rille_err *err)
{
    if (find->other == NULL) {
        RI_TRY(ri_op_table(find->op, find->result->col_count, find->result->is_set, &find->other, err));
    }
    int rc = ri_find_sort(find, err);
    if (rc != RILLE_DONE) {
        return rc;
    }
    do {
        rc = copy_best(find, err);
    } while (rc == 0 && !ri_unit_is_full(find->op));
    return rc;
}
