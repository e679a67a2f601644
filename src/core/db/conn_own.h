/* SPDX-License-Identifier: MIT
 *
 * Inside a connection; for conn.c and commit.c.
 *
 * LOCKS. `writer` serialises the commits of this connection and is held over I/O. `state` guards the four fields of
 * what was last seen of the head, and is held for pointer work only: a reader never waits for a writer (DESIGN I1).
 */
#ifndef RI_CONN_OWN_H
#define RI_CONN_OWN_H

#include "conn.h"
#include "head.h"

/* Bytes of a head, which only grow. Who holds a cell knows how many of its bytes are his; only the holder of the newest
 * ones, under the writer's lock, puts more behind them. */
typedef struct ri_cell {
    ri_refs refs;
    size_t cap;
    uint8_t bytes[];
} ri_cell;

ri_cell *ri_cell_new(const uint8_t *bytes, size_t len); /* with room for more; NULL: no memory */
void ri_cell_release(ri_cell *cell);
/* Puts bytes behind *len, in place or in a new cell. False: no memory, nothing changed. */
bool ri_cell_append(ri_cell **cell, size_t *len, const uint8_t *bytes, size_t count);

typedef struct ri_seen {
    rille_db *db; /* the newest value this connection knows */
    ri_cell *cell;
    size_t cell_len; /* without a torn frame */
    size_t raw_len;  /* of the cell in storage: more than cell_len when a frame was torn */
    size_t tail_at;  /* where the first TX frame starts */
    rille_revision revision;
} ri_seen;

struct rille_conn {
    ri_refs refs;
    ri_store *store;
    char branch[64];
    ri_durability durability;
    ri_mutex writer;
    ri_mutex state;
    ri_mutex flusher; /* one flush at a time; held over I/O, taken before `writer` */
    ri_seen seen;
    ri_encoder *encoder; /* of the writer, as is the next */
    ri_random_words random;
};

void ri_seen_deinit(ri_seen *seen);
/* Makes `fresh` (taken) what is known, unless something newer is known already. */
void ri_conn_see(rille_conn *conn, ri_seen *fresh);
/* Makes a base that ri_flush_build made of an earlier value of the branch that of the head, behind which what was
 * committed since stays. Nothing happens when another flush came as far. */
int ri_conn_install(rille_conn *conn, const ri_base *flushed, const ri_schema *schema, ri_writer *writer,
                    rille_err *err);
/* Reads the head and brings `seen` up to date. */
int ri_conn_refresh(rille_conn *conn, rille_err *err);

#endif
