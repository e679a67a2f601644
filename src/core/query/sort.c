/* SPDX-License-Identifier: MIT */
#include "sort.h"

#define SLICE_ROWS 2048U
#define SLICE_WORK (64U * 1024U)
#define SORT_UNITS 16U /* of work for a row that is merged, beside the bytes compared */
#define CMP_UNITS 256U /* for a comparison that keys do not decide: the memory is slow there */

static void *make_array(ri_sorter *sorter, size_t item_size)
{
    size_t bytes = sorter->cap * item_size;
    void *array = ri_meter_take(sorter->meter, bytes) ? ri_alloc(bytes) : NULL;
    if (array == NULL && ri_meter_error(sorter->meter, NULL) == 0) {
        ri_meter_give(sorter->meter, bytes);
    }
    return array;
}

int ri_sorter_init(ri_sorter *sorter, ri_meter *meter, uint32_t cap, ri_cmp_rows *cmp, const void *context,
                   rille_err *err)
{
    *sorter = (ri_sorter){ .meter = meter, .cmp = cmp, .context = context, .width = 1 };
    sorter->cap = cap;
    for (unsigned side = 0; side < 2; side++) {
        sorter->keys[side] = make_array(sorter, sizeof *sorter->keys[side]);
        sorter->rows[side] = make_array(sorter, sizeof *sorter->rows[side]);
    }
    if (sorter->keys[0] == NULL || sorter->keys[1] == NULL || sorter->rows[0] == NULL || sorter->rows[1] == NULL) {
        ri_sorter_deinit(sorter);
        return ri_fail_nomem(err);
    }
    return 0;
}

static void free_array(ri_sorter *sorter, void *array, size_t item_size)
{
    if (array != NULL) {
        ri_meter_give(sorter->meter, sorter->cap * item_size);
        ri_free(array);
    }
}

void ri_sorter_trim(ri_sorter *sorter)
{
    for (unsigned side = 0; side < 2; side++) {
        free_array(sorter, sorter->keys[side], sizeof *sorter->keys[side]);
        sorter->keys[side] = NULL;
    }
    free_array(sorter, sorter->rows[1 - sorter->side], sizeof *sorter->rows[0]);
    sorter->rows[1 - sorter->side] = NULL;
}

void ri_sorter_deinit(ri_sorter *sorter)
{
    ri_sorter_trim(sorter);
    free_array(sorter, sorter->rows[sorter->side], sizeof *sorter->rows[0]);
    *sorter = (ri_sorter){ 0 };
}

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Merges two runs until they or the slice end. *rows_left: of the slice. */
static void merge(ri_sorter *sorter, uint32_t *rows_left, uint64_t stop_at)
{
    const uint64_t *keys = sorter->keys[sorter->side];
    const uint32_t *rows = sorter->rows[sorter->side];
    uint64_t *keys_out = sorter->keys[1 - sorter->side];
    uint32_t *rows_out = sorter->rows[1 - sorter->side];
    uint64_t mid = smaller(sorter->low + sorter->width, sorter->count);
    uint64_t high = smaller(mid + sorter->width, sorter->count);
    uint64_t i = sorter->left;
    uint64_t j = sorter->right;
    uint64_t to = i + j - mid;
    uint32_t n = *rows_left;
    for (; n > 0 && to < high && ri_meter_done(sorter->meter) < stop_at; n--) {
        bool left = i < mid;
        if (left && j < high && keys[i] == keys[j] && sorter->cmp != NULL) {
            (void)ri_meter_work(sorter->meter, CMP_UNITS);
            left = sorter->cmp(sorter->context, rows[i], rows[j]) <= 0;
        } else if (left && j < high) {
            left = keys[i] <= keys[j];
        }
        uint64_t from = left ? i++ : j++;
        keys_out[to] = keys[from];
        rows_out[to++] = rows[from];
    }
    *rows_left = n;
    sorter->left = i;
    sorter->right = j;
}

int ri_sorter_work(ri_sorter *sorter, rille_err *err)
{
    uint32_t rows_left = SLICE_ROWS;
    uint64_t stop_at = ri_meter_done(sorter->meter) + SLICE_WORK; /* long values are compared */
    if (sorter->low == 0 && sorter->left == 0 && sorter->right == 0) {
        sorter->right = smaller(sorter->width, sorter->count);
    }
    while (sorter->width < sorter->count && rows_left > 0 && ri_meter_done(sorter->meter) < stop_at) {
        merge(sorter, &rows_left, stop_at);
        uint64_t next = sorter->low + 2 * sorter->width;
        if (sorter->left + sorter->right <
            smaller(next - sorter->width, sorter->count) + smaller(next, sorter->count)) {
            break;
        }
        if (next >= sorter->count) {
            sorter->side = 1 - sorter->side;
            sorter->width *= 2;
            next = 0;
        }
        sorter->low = next;
        sorter->left = next;
        sorter->right = smaller(next + sorter->width, sorter->count);
    }
    RI_TRY(ri_work(sorter->meter, (size_t)(SLICE_ROWS - rows_left) * SORT_UNITS, err));
    return sorter->width < sorter->count ? 0 : RILLE_DONE;
}

void ri_sorter_again(ri_sorter *sorter)
{
    sorter->width = 1;
    sorter->low = 0;
    sorter->left = 0;
    sorter->right = 0;
}

ri_key_kind ri_sort_key_kind(uint8_t type)
{
    if (type == RI_STRING || type == RI_BYTES) {
        return RI_KEY_PREFIX;
    }
    return type != RI_MIXED && ri_type_is_word(type) ? RI_KEY_EXACT : RI_KEY_NONE;
}

uint64_t ri_sort_key(const ri_value *v)
{
    if (ri_type_is_word(v->type)) {
        return ri_word_to_key(v->type, v->as.u);
    }
    uint64_t key = 0;
    for (uint32_t i = 0; i < 8 && ri_sort_key_kind(v->type) == RI_KEY_PREFIX; i++) {
        key = key << 8 | (i < v->len ? v->as.p[i] : 0);
    }
    return key;
}
