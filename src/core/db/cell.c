/* SPDX-License-Identifier: MIT */
#include "conn_own.h"

#include <string.h>

static ri_cell *new_cell(size_t cap)
{
    ri_cell *cell = ri_alloc(sizeof *cell + cap);
    if (cell != NULL) {
        ri_refs_init(&cell->refs);
        cell->cap = cap;
    }
    return cell;
}

ri_cell *ri_cell_new(const uint8_t *bytes, size_t len)
{
    ri_cell *cell = new_cell(len + len / 2 + 1024);
    if (cell != NULL) {
        memcpy(cell->bytes, bytes, len);
    }
    return cell;
}

void ri_cell_release(ri_cell *cell)
{
    if (cell != NULL && ri_refs_drop(&cell->refs)) {
        ri_free(cell);
    }
}

bool ri_cell_append(ri_cell **cell, size_t *len, const uint8_t *bytes, size_t count)
{
    if (count > (*cell)->cap - *len) {
        ri_cell *grown = count <= SIZE_MAX / 4 - *len ? new_cell(2 * (*len + count)) : NULL;
        if (grown == NULL) {
            return false;
        }
        memcpy(grown->bytes, (*cell)->bytes, *len);
        ri_cell_release(*cell);
        *cell = grown;
    }
    memcpy((*cell)->bytes + *len, bytes, count);
    *len += count;
    return true;
}
