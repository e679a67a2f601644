/* SPDX-License-Identifier: MIT
 *
 * Inside a connection; for conn.c and commit.c.
 *
 * LOCKS. `writer` serialises what plans the next head, and is held while a plan reads or puts objects. `state` guards what
 * was last seen of the head, and the bundles (bundle.h); it is held for pointer work only: a reader never waits for a
 * writer (DESIGN I1). Of both, `writer` is taken first.
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
    int64_t read_ms; /* when it was known to be the newest (ri_clock_ms) */
    bool is_kept;    /* from a tier: the revision is not known */
} ri_seen;

/* Flushes of this connection: one at a time. */
typedef struct ri_flusher {
    ri_mutex lock; /* of all below */
    ri_cond ended;
    atomic_bool busy; /* one is under way: also asked without the lock ... */
    bool has_thread;  /* ... or ended, in a thread that is to be joined; both only ... */
    int64_t process;  /* ... in this process */
    ri_thread thread;
    struct ri_flush_run *run; /* what is under way */
    bool stepping;            /* a commit takes it further */
    uint64_t rate;            /* without a thread: what each datom of a commit owes (0: not known yet), ... */
    uint64_t owed;            /* ... what is not paid yet, in parts of a step, ... */
    uint64_t steps;           /* ... and how many steps commits made, ... */
    uint64_t run_start;       /* ... before this flush */
} ri_flusher;

struct rille_conn {
    ri_refs refs;
    ri_store *store;
    char branch[64];
    bool is_far;  /* each call of the store is a request */
    bool is_free; /* a swap of the head costs nothing that could be shared */
    ri_durability durability;
    ri_flush_mode flush;
    uint32_t novelty_min;
    uint64_t max_staleness_ms;
    rille_revision kept; /* what a tier was last told, and when; under `state` */
    int64_t kept_ms;
    ri_mutex writer;
    ri_mutex state;
    ri_flusher flusher; /* its flush is held over I/O, and begun before `writer` is taken */
    ri_seen seen;
    ri_cond changed;        /* the next three: a bundle ended, or can be swapped */
    struct ri_bundle *sent; /* its swap is under way */
    struct ri_bundle *open; /* what is planned on top of that, or of what was seen */
    atomic_uint bundles;    /* how many of these there are */
    atomic_bool stale;      /* the head is known not to be what was seen, or may not be */
    ri_encoder *encoder;    /* of the writer, as are the next */
    ri_random_words random;
    ri_buf frame;          /* memory for one */
    _Atomic(ri_tx *) idle; /* memory for a small transaction; NULL: it is in use */
};

void ri_seen_deinit(ri_seen *seen);
/* Makes `fresh` (taken) what is known, unless something newer is known already. */
void ri_conn_see(rille_conn *conn, ri_seen *fresh);
/* Reads the head and brings `seen` up to date. */
int ri_conn_refresh(rille_conn *conn, rille_err *err);
/* The head was what is seen still at read_ms. */
void ri_conn_see_again(rille_conn *conn, int64_t read_ms);
/* Opens what a head holds, on top of what is known. */
int ri_conn_see_head(rille_conn *conn, const rille_head *head, ri_seen *fresh, rille_err *err);
/* RILLE_NOTFOUND, without a message: nothing is known that was the newest value less than age_ms_max ago, neither here
 * nor in the tier. 0: it is what is seen. (recent.c) */
int ri_conn_take_recent(rille_conn *conn, uint64_t age_ms_max);
/* ri_conn_refresh with the URL in the message. */
int ri_conn_newest(rille_conn *conn, rille_err *err);
/* Tells the tier what the head is, if there is one and it matters. */
void ri_conn_keep(rille_conn *conn);

/* ---- changing the head (bundle.h, commit.c, plan.c) ---- */

/* What the head is to become. */
typedef struct ri_plan {
    ri_cell *cell;
    size_t cell_len;
    size_t kept_len;
    size_t tail_at;
    rille_db *after;
    ri_writer *writer; /* NULL: nothing but the cell */
    bool flushes;
} ri_plan;

void ri_plan_deinit(ri_plan *plan);
/* What is known of the head, which readers may bring up to date meanwhile. */
void ri_conn_snapshot(rille_conn *conn, ri_seen *out);
/* The cell becomes a base record alone. */
int ri_plan_base(ri_plan *plan, const ri_base *base, rille_err *err);
/* RILLE_MISUSE: a tag. */
int ri_conn_refuse_tag(const rille_db *db, rille_err *err);

/* ---- flushing beside commits (install.c, flusher.c) ---- */

/* Makes a base that ri_flush_build made of an earlier value of the branch that of the head, behind which what was
 * committed since stays. Nothing happens when another flush came as far. *bundle: NULL at first; in a task it has the
 * swap that is under way (RILLE_NEED). */
int ri_conn_install(rille_conn *conn, const ri_base *flushed, const ri_schema *schema, ri_writer *writer,
                    struct ri_bundle **bundle, rille_err *err);

void ri_flusher_init(ri_flusher *flusher);
/* Ends the flush that is under way. */
void ri_flusher_deinit(rille_conn *conn);
/* From how many datoms on a flush is due, and when the commit itself flushes. */
uint64_t ri_conn_novelty_limit(const rille_conn *conn, const rille_db *db);
uint64_t ri_conn_novelty_max(const rille_conn *conn, const rille_db *db);
/* Is a commit of so many datoms on top of db to begin a flush? */
bool ri_conn_flush_due(rille_conn *conn, const rille_db *db, size_t datoms);
/* Begins the flush of a value, which a commit has claimed. */
void ri_conn_begin_flush(rille_conn *conn, rille_db *db);
/* After a commit of so many datoms: without a thread, it takes the flush a little further. */
void ri_conn_pay(rille_conn *conn, size_t datoms);
/* Before a commit of so many datoms on top of db: waits when commits outrun the flushes. */
void ri_conn_pace(rille_conn *conn, const rille_db *db, size_t datoms);

#endif
