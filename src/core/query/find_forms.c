/* SPDX-License-Identifier: MIT
 *
 * One form for numbers that are equal in a column. All rows are in a set that tells 1 and 1.0 apart. Column by column,
 * its values are sorted, and each row learns which row has its value in the simplest form; then the rows go into another
 * set with these values.
 */
#include "find.h"
#include "types.h"

#define SLICE_ROWS 2048U
#define COPY_ROWS 256U

static const ri_column *column(const ri_find *find)
{
    return &find->set->cols[find->forms.col];
}

/* Equal values, the simplest form first. */
static int cmp_rows(const void *context, uint32_t a, uint32_t b)
{
    const ri_find *find = context;
    const ri_column *col = column(find);
    const ri_vec *block = ri_column_block(col, a);
    if (!ri_type_is_word(col->type)) {
        (void)ri_meter_work(find->op->meter, ri_column_get(col, b).len);
    }
    int c = ri_column_cmp(col, a, col, b);
    return c != 0 ? c : ri_vec_cmp_form(block, ri_block_row(a), ri_column_block(col, b), ri_block_row(b));
}

static void next_column(find_forms *forms)
{
    forms->col++;
    forms->at = 0;
    forms->number = RI_NIL;
    forms->step = FORMS_LOOK;
}

/* Looks at some rows: may values of the column be equal but in form? When it has numbers of several types, or tuples. */
static bool has_forms(const ri_find *find, find_forms *forms)
{
    const ri_column *col = column(find);
    if (col->type != RI_MIXED) {
        forms->at = find->set->count;
        return col->type == RI_TUPLE;
    }
    for (uint32_t n = 0; n < SLICE_ROWS && forms->at < find->set->count; n++) {
        uint8_t type = ri_column_get(col, forms->at++).type;
        type = type == RI_REF ? (uint8_t)RI_LONG : type;
        bool number = ri_type_is_number(type);
        if (type == RI_TUPLE || (number && forms->number != RI_NIL && forms->number != type)) {
            return true;
        }
        forms->number = number ? type : forms->number;
    }
    return false;
}

static int look(ri_find *find, find_forms *forms, rille_err *err)
{
    rille_op *op = find->op;
    uint32_t rows = find->set->count;
    if (forms->simplest == NULL) {
        forms->simplest = ri_arena_array(&op->find_arena, find->col_count + 1U, sizeof *forms->simplest);
        if (forms->simplest == NULL) {
            return ri_fail_nomem(err);
        }
        memset(forms->simplest, 0, (find->col_count + 1U) * sizeof *forms->simplest);
    }
    if (forms->col == find->col_count) {
        forms->at = 0;
        forms->step = forms->differ ? FORMS_ADD : FORMS_GROUP;
        return forms->differ ? ri_op_table(op, find->col_count, true, &forms->made, err) : 0;
    }
    if (!ri_var_loose(op, &op->scope, find->vars[forms->col])) {
        next_column(forms);
        return 0;
    }
    bool found = has_forms(find, forms);
    if (found) {
        forms->differ = true;
        forms->step = FORMS_PUSH;
        forms->simplest[forms->col] = ri_arena_array(&op->find_arena, rows + 1U, sizeof **forms->simplest);
        RI_TRY(forms->simplest[forms->col] == NULL ? ri_fail_nomem(err) : 0);
        return ri_sorter_init(&find->sorter, op->meter, rows, cmp_rows, find, err);
    }
    if (forms->at == rows) {
        next_column(forms);
    }
    return ri_work(op->meter, SLICE_ROWS, err);
}

/* All rows to the sorter, some of them. */
static int push(ri_find *find, find_forms *forms, rille_err *err)
{
    ri_sorter *sorter = &find->sorter;
    for (uint32_t n = 0; n < SLICE_ROWS && sorter->count < sorter->cap; n++) {
        ri_sorter_push(sorter, 0, sorter->count);
    }
    if (sorter->count == sorter->cap) {
        forms->step = FORMS_SORT;
    }
    return ri_work(find->op->meter, SLICE_ROWS, err);
}

/* For some of the sorted rows, the row that has the value in the simplest form. */
static int mark(ri_find *find, find_forms *forms, rille_err *err)
{
    const ri_column *col = column(find);
    const uint32_t *order = ri_sorter_rows(&find->sorter);
    uint32_t *simplest = forms->simplest[forms->col];
    while (forms->at < find->set->count && !ri_unit_is_full(find->op)) {
        uint32_t i = forms->at++;
        bool same = i > 0 && ri_column_eq(col, order[i - 1], col, order[i]);
        simplest[order[i]] = same ? simplest[order[i - 1]] : order[i];
        RI_TRY(ri_work(find->op->meter, RI_FIND_CELL_UNITS + ri_column_get(col, order[i]).len, err));
    }
    if (forms->at == find->set->count) {
        ri_sorter_deinit(&find->sorter);
        next_column(forms);
    }
    return 0;
}

/* Some rows, each value in the form that was found for it, into the other set. */
static int add(ri_find *find, find_forms *forms, rille_err *err)
{
    const ri_vec *cols[RI_QUERY_VARS_MAX];
    uint32_t left = find->set->count - forms->at;
    uint32_t n = left < COPY_ROWS ? left : COPY_ROWS;
    for (uint16_t i = 0; i < find->col_count && i < RI_QUERY_VARS_MAX; i++) {
        ri_vec *buf = ri_find_buf(find, find->copies, i);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        if (forms->simplest[i] != NULL) {
            ri_column_gather(&find->set->cols[i], forms->simplest[i] + forms->at, n, buf);
        } else {
            ri_column_copy(&find->set->cols[i], forms->at, n, buf);
        }
        cols[i] = buf;
    }
    RI_TRY(ri_table_add(forms->made, cols, n, NULL, err));
    forms->at += n;
    if (forms->at == find->set->count) {
        find->set = forms->made;
        forms->at = 0;
        forms->step = FORMS_GROUP;
    }
    return 0;
}

/* The rows of the set, some of them, to the aggregates. */
static int group(ri_find *find, find_forms *forms, rille_err *err)
{
    uint32_t left = find->set->count - forms->at;
    if (!find->aggregates) {
        find->result = find->set;
        return RILLE_DONE;
    }
    if (left == 0) {
        return RILLE_DONE;
    }
    RI_TRY(ri_find_slice(find, find->set, forms->at, left < COPY_ROWS ? left : COPY_ROWS, err));
    forms->at += find->count;
    return ri_find_aggregate(find, err);
}

int ri_find_unite_forms(ri_find *find, rille_err *err)
{
    find_forms *forms = &find->forms;
    int rc = 0;
    switch (forms->step) {
    case FORMS_LOOK:
        return look(find, forms, err);
    case FORMS_PUSH:
        return push(find, forms, err);
    case FORMS_SORT:
        rc = ri_sorter_work(&find->sorter, err);
        if (rc == RILLE_DONE) {
            forms->at = 0;
            forms->step = FORMS_MARK;
            rc = 0;
        }
        return rc;
    case FORMS_MARK:
        return mark(find, forms, err);
    case FORMS_ADD:
        return add(find, forms, err);
    case FORMS_GROUP:
        return group(find, forms, err);
    }
    return 0;
}
