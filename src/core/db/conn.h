/* SPDX-License-Identifier: MIT
 *
 * Connections: databases on a branch of a store; commits. The one place where heads are read and swapped.
 */
#ifndef RI_CONN_H
#define RI_CONN_H

#include "tx.h"

typedef enum ri_durability { RI_DURABLE_COMMIT = 0, RI_DURABLE_GROUP, RI_DURABLE_NONE } ri_durability;

/* Sliced: automatic, but never on a thread; for tests. */
typedef enum ri_flush_mode { RI_FLUSH_AUTO = 0, RI_FLUSH_MANUAL, RI_FLUSH_SLICED } ri_flush_mode;

typedef struct ri_conn_options {
    const char *branch;            /* NULL: "main" */
    size_t cache_bytes;            /* 0: default */
    bool create;                   /* make the database if there is none */
    bool must_create;              /* ... and fail with RILLE_EXISTS when there is one */
    bool no_history;               /* of create */
    bool read_flexible;            /* of create */
    const rille_setting *settings; /* of the storage; borrowed for the call */
    size_t setting_count;
    ri_durability durability;
    ri_flush_mode flush;
    const char *tier;        /* as of ri_store_options */
    uint64_t tier_bytes_max; /* as of ri_store_options */
    /* A value that was the newest one less than so many milliseconds ago is taken for it, without asking the storage. 0: always
     * ask. RI_STALENESS_ANY: whatever the tier has. */
    uint64_t max_staleness_ms;
    uint32_t novelty_min; /* for tests: flush from so many datoms on; 0: NOVELTY_MIN */
} ri_conn_options;

#define RI_STALENESS_ANY UINT64_MAX

typedef struct rille_conn rille_conn; /* internally locked */

int ri_conn_open(const char *url, const ri_conn_options *options, rille_conn **out, rille_err *err);
/* The last one waits for the flush that the connection has begun. */
/* Over a backend handle made elsewhere, which it closes, also when it fails. `name` is for messages. */
int ri_conn_open_backend(const rille_backend *backend, const char *name, const ri_conn_options *options,
                         rille_conn **out, rille_err *err);
/* Over a store, which is retained. */
int ri_conn_open_store(ri_store *store, const ri_conn_options *options, rille_conn **out, rille_err *err);
rille_conn *ri_conn_retain(rille_conn *conn); /* may be NULL */
void ri_conn_release(rille_conn *conn);
/* Without what may be a secret (ri_url_show). */
const char *ri_conn_url(const rille_conn *conn);
const char *ri_conn_branch(const rille_conn *conn);
ri_store *ri_conn_store(rille_conn *conn);
/* The newest value, as far as the connection's max_staleness_ms allows: one read of the head, or none. */
int ri_conn_db(rille_conn *conn, rille_db **out, rille_err *err);
/* How long ago what was seen was the newest value, in milliseconds; -1 if the clock went back since. */
int64_t ri_conn_age_ms(rille_conn *conn);
/* Was what was seen read from a tier, and not from the storage? */
bool ri_conn_is_kept(rille_conn *conn);
/* The newest value that this connection has seen, without reading: right after opening, the newest one. */
rille_db *ri_conn_seen_db(rille_conn *conn);

/* The result of a commit: db values retained. */
typedef struct ri_report {
    rille_db *before;
    rille_db *after;
    ri_tx_result tx; /* block and schema retained; tempids live as long as the ri_tx */
} ri_report;
void ri_report_deinit(ri_report *report);

/* Begins a transaction on the newest value. RILLE_NEED: the running task lacks something, maybe of that value. */
int ri_conn_begin(rille_conn *conn, ri_tx **out, rille_err *err);
/* On which value: what is known, without asking storage where that is a request; or one that is read when what this
 * process has under way has ended, in two steps. */
typedef enum ri_begin { RI_BEGIN_KNOWN = 0, RI_BEGIN_SETTLED, RI_BEGIN_READ } ri_begin;
/* The same in the memory of *tx, which was recycled, or is NULL. *begin: what ri_conn_begin_next gave after the last
 * try, and what is left of it after RILLE_NEED. */
int ri_conn_begin_again(rille_conn *conn, ri_tx **tx, ri_begin *begin, rille_err *err);
/* What filling a transaction gave, before it is committed: a failure is RILLE_CONFLICT where it may be due to the value
 * that was guessed. */
int ri_conn_doubt(ri_tx *tx, int rc);
static inline ri_begin ri_conn_begin_next(const ri_tx *tx)
{
    return ri_tx_is_doubted(tx) ? RI_BEGIN_SETTLED : RI_BEGIN_KNOWN;
}
/* Resolves and commits. RILLE_CONFLICT: another writer was first; release tx, begin again, fill again
 * (RI_COMMIT_TRIES_MAX times, then RILLE_BUSY). */
#define RI_COMMIT_TRIES_MAX 1000
/* How many looks at its budget a run of a transaction that conflicted so often does without pausing (ri_task_insist):
 * twice as many after each conflict, so that others who commit more often do not keep it from ever being done. */
static inline uint64_t ri_commit_looks(unsigned tries)
{
    return tries == 0 ? 0 : tries < 32 ? UINT64_C(1) << tries : UINT64_MAX;
}
int ri_conn_commit(rille_conn *conn, ri_tx *tx, ri_report *out, rille_err *err);
/* The same in a task. *kept, NULL at first, has the commit when it paused, or the swap of the head is under way:
 * RILLE_NEED; then only this is called again. It is NULL again after anything else. kept NULL: not in a task. After RILLE_CONFLICT the task's piece has ended (ri_task_forget). */
typedef struct ri_commit ri_commit;
int ri_conn_commit_step(rille_conn *conn, ri_tx *tx, ri_commit **kept, ri_report *out, rille_err *err);
/* Whether it was committed stays unknown to who asked for it. */
void ri_commit_release(ri_commit *commit);
/* RILLE_BUSY: what to say after RI_COMMIT_TRIES_MAX conflicts. */
int ri_conn_busy(const rille_conn *conn, rille_err *err);
/* All of it for EDN text. */
int ri_conn_transact_edn(rille_conn *conn, const char *text, size_t len, ri_report *out, rille_err *err);
/* The value that committing would give; nothing is stored. */
int ri_db_with(ri_tx *tx, ri_report *out, rille_err *err);
/* Folds the tail into the trees now. Waits for a flush of this connection that is under way. Not in a task. */
int ri_conn_flush(rille_conn *conn, rille_err *err);
/* The same in a task: RILLE_AGAIN after each part, and while another flush of this connection is under way. It flushes
 * the value that it began with, whatever is committed meanwhile. *run: NULL at first. */
typedef struct ri_flush_run ri_flush_run;
int ri_conn_flush_step(rille_conn *conn, ri_flush_run **run, rille_err *err);
void ri_flush_run_release(ri_flush_run *run);

/* The value as of t (a transaction id), or the newest one not after an instant; or of a commit. RILLE_NOTFOUND when it
 * lies before the first. */
int ri_db_as_of_t(rille_db *db, uint64_t t, rille_db **out, rille_err *err);
int ri_db_as_of_instant(rille_db *db, int64_t instant, rille_db **out, rille_err *err);
int ri_db_as_of_commit(rille_db *db, const uint8_t commit[RI_HASH_SIZE], rille_db **out, rille_err *err);

/* exists / drop, by URL. */
int ri_database_exists(const char *url, const rille_setting *settings, size_t count, bool *out, rille_err *err);
int ri_store_has_database(ri_store *store, bool *out, rille_err *err); /* of exists: any branch */
int ri_database_drop_with(const char *url, const rille_setting *settings, size_t count, rille_err *err);
static inline int ri_database_drop(const char *url, rille_err *err)
{
    return ri_database_drop_with(url, NULL, 0, err);
}

/* Walks everything reachable from every branch's head: hashes, order, counts, boundaries, that the four current trees
 * hold the same datoms, that the log replays to them and its commit ids chain. Blocks. RILLE_CORRUPT names what and
 * where. */
typedef struct ri_verify_report {
    uint64_t branches, nodes, datoms, transactions, blobs, bytes;
} ri_verify_report;
int ri_conn_verify(rille_conn *conn, ri_verify_report *out, rille_err *err);
/* The same in a task: it keeps its place where it lacks something (RILLE_NEED). *run: NULL at first. */
typedef struct ri_verify_run ri_verify_run;
int ri_conn_verify_step(rille_conn *conn, ri_verify_run **run, rille_err *err);
const ri_verify_report *ri_verify_run_report(const ri_verify_run *run);
void ri_verify_run_release(ri_verify_run *run);

#endif
