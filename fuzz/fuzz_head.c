/* SPDX-License-Identifier: MIT
 *
 * layer: db
 *
 * Any bytes as the cell of a head. Opening must end in a value or an error; a value can be read and written on. To get
 * past the checksums, the input is also wrapped into good frames: as a BASE body, and as TX bodies behind a good base.
 */
#include "../src/core/db/conn.h"
#include "../src/core/db/head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Reads the first datoms of every order; whatever comes must be memory-safe. */
static void read_some(rille_db *db)
{
    for (int order = RI_EAVT; order <= RI_VAET; order++) {
        ri_scan scan;
        ri_run run;
        ri_io io = { 0 };
        ri_bound from = ri_bound_all(false);
        ri_bound to = ri_bound_all(true);
        uint64_t count;
        ri_scan_init(&scan, db, (ri_order)order);
        ri_scan_set(&scan, &from, &to);
        for (int i = 0; i < 8 && ri_scan_next(&scan, &run, &io, NULL) == 0; i++) {
            if (ri_run_count(&run) == 0) {
                abort();
            }
        }
        (void)ri_db_count(db, (ri_order)order, &from, &to, &io, &count, NULL);
        ri_scan_deinit(&scan);
        ri_io_deinit(&io);
    }
    rille_db *past;
    if (ri_db_as_of_t(db, db->t > RI_TX_BASE ? db->t - 1 : RI_TX_BASE, &past, NULL) == 0) {
        ri_db_release(past);
    }
}

static void open_cell(ri_store *store, const uint8_t *cell, size_t len)
{
    rille_db *db = NULL;
    size_t valid_len = 0;
    rille_err err;
    int rc = ri_head_open(store, "main", cell, len, &db, &valid_len, &err);
    if (rc > 0 || (rc == 0) != (db != NULL) || valid_len > len) {
        abort();
    }
    if (db != NULL) {
        read_some(db);
        ri_db_release(db);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t id[16] = { 1 };
    ri_store *store;
    if (len > 65536 || ri_store_open("mem:", &(ri_store_options){ .create = true }, &store, NULL) != 0) {
        return 0;
    }
    open_cell(store, bytes, len);
    ri_buf cell = { 0 };
    ri_frame_write(&cell, RI_FRAME_BASE, bytes, len);
    open_cell(store, cell.p, cell.len);
    ri_base *base;
    ri_buf body = { 0 };
    if (ri_base_new_empty(id, true, true, &base, NULL) == 0) {
        ri_base_write(base, false, &body);
        ri_buf_clear(&cell);
        ri_frame_write(&cell, RI_FRAME_BASE, body.p, body.len);
        ri_frame_write(&cell, RI_FRAME_TX, bytes, len);
        open_cell(store, cell.p, cell.len);
        ri_base_release(base);
    }
    ri_buf_deinit(&body);
    ri_buf_deinit(&cell);
    ri_store_release(store);
    return 0;
}
