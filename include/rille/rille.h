/* SPDX-License-Identifier: MIT
 *
 * rille for C programs: databases as values, transactions in EDN, queries in Datalog. No Lua needed.
 *
 * CAVEATS
 *  - Functions return 0 (RILLE_OK), a positive outcome (RILLE_DONE ...) or a negative error code. After an error, *err
 * (if you passed one) has the message. On failure every output is NULL or 0.
 *  - A wrong argument never ends the program: NULL for a pointer that must be given is RILLE_MISUSE. Functions that
 * return no code return 0, NULL or a value of RILLE_TYPE_NIL instead.
 *  - You must close or release every object that has a _close or _release function; they accept NULL. A result stays
 * valid after you release its query and databases.
 *  - Several threads can use a connection or a database value at once. Only one thread at a time can use a query, a
 * result or an operation.
 *  - rille_db values are immutable snapshots, and hold no lock that a writer waits for.
 *  - Blocking calls read from storage automatically. Hosts with an event loop run a query in steps (rille_start).
 */
#ifndef RILLE_H
#define RILLE_H

#include "alloc.h"
#include "api.h"
#include "backend.h"
#include "codes.h"
#include "rille_err.h"
#include "warm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rille_conn rille_conn;
typedef struct rille_db rille_db;
typedef struct rille_query rille_query;
typedef struct rille_steps rille_steps;
typedef struct rille_result rille_result;

/* "0.1.0" */
RILLE_API const char *rille_version(void);

/* ---- values ---- */

typedef enum rille_type {
    RILLE_TYPE_NIL = 0,
    RILLE_TYPE_BOOLEAN = 1, /* u.i is 0 or 1 */
    RILLE_TYPE_LONG = 2,    /* u.i */
    RILLE_TYPE_DOUBLE = 3,  /* u.d */
    RILLE_TYPE_BIGINT = 4,  /* bytes: decimal text */
    RILLE_TYPE_BIGDEC = 5,  /* bytes: decimal text */
    RILLE_TYPE_INSTANT = 6, /* u.i: milliseconds since 1970 UTC */
    RILLE_TYPE_UUID = 7,    /* 16 bytes */
    RILLE_TYPE_KEYWORD = 8, /* bytes: UTF-8 without the colon */
    RILLE_TYPE_SYMBOL = 9,  /* bytes */
    RILLE_TYPE_STRING = 10, /* bytes: UTF-8 */
    RILLE_TYPE_BYTES = 12,  /* bytes */
    RILLE_TYPE_REF = 14,    /* u.i: an entity id */
    RILLE_TYPE_TUPLE = 15,  /* bytes: its elements, each as a written value (docs/format.md) */
    RILLE_TYPE_FLOATS = 16  /* bytes: IEEE 754 binary32, little-endian */
} rille_type;

typedef struct rille_value {
    union {
        int64_t i;
        double d;
        const void *bytes; /* not 0-terminated */
    } u;
    size_t len; /* of bytes */
    rille_type type;
} rille_value;

RILLE_API rille_value rille_long(int64_t i);
RILLE_API rille_value rille_double(double d);
/* Both borrow the text; NULL returns a RILLE_TYPE_NIL, which is not accepted as an input. */
RILLE_API rille_value rille_string(const char *text);
RILLE_API rille_value rille_keyword(const char *text_without_colon);

/* ---- connections ---- */

typedef struct rille_options {
    const char *branch; /* NULL: "main" */
    size_t cache_bytes; /* 0: 64 MiB */
    bool create;        /* create the database if it does not exist */
    bool must_create;   /* create it; RILLE_EXISTS if it already exists */
    bool no_history;    /* of a new database */
    bool read_flexible; /* of a new database: unknown attributes are created on first use */
    bool not_durable;   /* a killed process loses nothing; a power failure may lose commits, or leave a file: database
                         * that must be restored from a backup */
    const rille_setting *settings; /* of the storage (docs/lua-api.md lists them): "region", "timeout_ms" ... */
    size_t setting_count;
    bool manual_flush; /* flush when rille_flush is called; false: automatically, beside the commits */
    const char *cache; /* "file:DIR" or "mem:NAME": what is read from the storage is kept there, for other connections
                        * and processes, too (docs/storage.md). NULL: nowhere */
    uint64_t cache_max_bytes;  /* of it; 0: 256 MiB */
    uint64_t max_staleness_ms; /* rille_conn_db returns a value that was the newest one less than so long ago without
                                * asking the storage; 0: always ask. A transaction always asks */
} rille_options;

/* As max_staleness_ms: whatever the cache has, however old; the storage is asked if it has nothing. */
#define RILLE_STALENESS_ANY UINT64_MAX

/* Opens "mem:NAME", "file:DIR", "lmdb:DIR", "s3://BUCKET/PREFIX", "https://HOST/PATH" (read-only). options NULL: all zero.
 * RILLE_NOTFOUND, RILLE_EXISTS, RILLE_SYNTAX (the URL), RILLE_PERMISSION, RILLE_FOREIGN, RILLE_FORMAT, RILLE_CORRUPT,
 * RILLE_IO. */
RILLE_API int rille_connect(const char *url, const rille_options *options, rille_conn **out, rille_err *err);
/* The same over a backend of the program's own (backend.h). It is closed with the last connection and database value, or
 * at once if this fails with a code other than RILLE_MISUSE. `name` stands for the URL in messages; it must not have
 * secrets. */
RILLE_API int rille_connect_backend(const rille_backend *backend, const char *name, const rille_options *options,
                                    rille_conn **out, rille_err *err);
/* Waits for a flush that this connection has begun. */
RILLE_API void rille_close(rille_conn *conn);
/* Drops a whole database. RILLE_NOTFOUND. */
RILLE_API int rille_drop(const char *url, rille_err *err);
/* The same with settings of the storage. */
RILLE_API int rille_drop_with(const char *url, const rille_setting *settings, size_t count, rille_err *err);

/* ---- transactions ---- */

typedef struct rille_commit {
    uint64_t tx; /* the transaction's entity id: its t */
    int64_t instant_ms;
    uint64_t datom_count;
    uint8_t id[32]; /* the commit id */
} rille_commit;

/* Commits EDN transaction data: a vector of entity maps and operations (docs/lua-api.md lists the forms). Retries
 * automatically if another writer commits first. out may be NULL. If it returns 0, the commit is durable. After an error
 * nothing was committed: RILLE_SYNTAX, RILLE_TX_*, RILLE_ATTRIBUTE, RILLE_TYPE, RILLE_SCHEMA, RILLE_ENTITY_MISSING,
 * RILLE_FULL, RILLE_IO ... */
RILLE_API int rille_transact(rille_conn *conn, const char *edn, size_t len, rille_commit *out, rille_err *err);

/* Merges the transactions that are not in the trees yet into them. Others may commit while it runs. RILLE_FULL, RILLE_IO ...
 */
RILLE_API int rille_flush(rille_conn *conn, rille_err *err);

/* Counters since the connection opened its storage. Reads nothing. */
RILLE_API int rille_conn_stats(rille_conn *conn, rille_stats *out, rille_err *err);

/* ---- database values ---- */

/* The newest database value: one read of the branch head. Release it with rille_db_release. */
RILLE_API int rille_conn_db(rille_conn *conn, rille_db **out, rille_err *err);
RILLE_API rille_db *rille_db_retain(rille_db *db);
RILLE_API void rille_db_release(rille_db *db);
/* The database value as of a transaction (by its id), or as of an instant. RILLE_NOTFOUND if that is before the first
 * transaction. */
RILLE_API int rille_db_as_of(rille_db *db, uint64_t tx, rille_db **out, rille_err *err);
RILLE_API int rille_db_as_of_instant(rille_db *db, int64_t instant_ms, rille_db **out, rille_err *err);
/* The database value that committing the EDN would produce; nothing is stored. */
RILLE_API int rille_db_with(rille_db *db, const char *edn, size_t len, rille_db **out, rille_err *err);
RILLE_API uint64_t rille_db_tx(const rille_db *db);
RILLE_API int64_t rille_db_instant(const rille_db *db);
/* The entity with this value of a unique attribute ("person/email"); *e is 0 if there is none. RILLE_ATTRIBUTE. */
RILLE_API int rille_db_lookup(rille_db *db, const char *attribute, const rille_value *value, uint64_t *e,
                              rille_err *err);

/* ---- queries ---- */

/* Parses query text; the query can run any number of times. RILLE_SYNTAX, RILLE_QUERY. */
RILLE_API int rille_prepare(const char *text, size_t len, rille_query **out, rille_err *err);
RILLE_API void rille_query_close(rille_query *query);

/* One input of :in, in the order of :in. Set one of db, values and rules, and leave the others 0. Pass values row by
 * row: value_count is 1 for ?x, the number of elements for [?x ...] (0: an empty list), the number of variables for
 * [?x ?y], and a multiple of it for [[?x ?y]]. */
typedef struct rille_input {
    rille_db *db; /* $ */
    const rille_value *values;
    size_t value_count;
    const char *rules; /* %: EDN text of rules */
    size_t rules_len;
} rille_input;

/* Runs the query to its end. RILLE_INPUT if the inputs do not match :in, RILLE_TYPE if a value is not valid, RILLE_QUERY
 * if the query calls a function that is not built in. */
RILLE_API int rille_run(rille_query *query, const rille_input *inputs, size_t input_count, rille_result **out,
                        rille_err *err);
RILLE_API size_t rille_result_rows(const rille_result *result);
RILLE_API size_t rille_result_columns(const rille_result *result);
/* Rows and columns start at 0; out of range the value is a RILLE_TYPE_NIL. Bytes are borrowed from the result. */
RILLE_API rille_value rille_result_get(const rille_result *result, size_t row, size_t column);
RILLE_API void rille_result_close(rille_result *result);

/* ---- stepping ---- */

/* Begins a query that is run in steps. The databases and the query are retained; values and rules are copied. */
RILLE_API int rille_start(rille_query *query, const rille_input *inputs, size_t input_count, rille_steps **out,
                          rille_err *err);
/* One step of at most about budget_us microseconds (0: no limit): RILLE_ROWS (a batch of rows is ready), RILLE_NEED
 * (storage is needed: rille_fetch), RILLE_AGAIN (the budget is exhausted, or a transaction begins again), RILLE_DONE,
 * or an error. */
RILLE_API int rille_step(rille_steps *steps, uint64_t budget_us, rille_err *err);
/* Reads everything that the last step needed, in one round; blocks. Does nothing if nothing is needed. */
RILLE_API int rille_fetch(rille_steps *steps, rille_err *err);
/* The same without waiting: begins to read, or takes what has come. 0: step it; RILLE_NEED: it is under way. */
RILLE_API int rille_poll(rille_steps *steps, rille_err *err);
/* Waits until one of several operations that need something can be stepped (0), or RILLE_AGAIN after timeout_ms. */
RILLE_API int rille_wait(rille_steps *const *steps, size_t count, uint64_t timeout_ms, rille_err *err);
/* From any thread: the next step returns RILLE_CANCELLED. A transaction whose swap of the head is under way may be committed
 * all the same. */
RILLE_API void rille_steps_cancel(rille_steps *steps);
/* The batch of the last RILLE_ROWS; valid until the next step. Without a batch there are 0 rows. */
RILLE_API size_t rille_steps_rows(const rille_steps *steps);
RILLE_API rille_value rille_steps_get(const rille_steps *steps, size_t row, size_t column);
RILLE_API void rille_steps_close(rille_steps *steps);

/* The other operations: each is stepped until RILLE_DONE, and then has the result of the function that blocks. Strings are
 * copied. A transaction begins again when another writer was first (RILLE_AGAIN). No lock is held between two steps. */
RILLE_API int rille_start_connect(const char *url, const rille_options *options, rille_steps **out, rille_err *err);
RILLE_API int rille_start_connect_backend(const rille_backend *backend, const char *name, const rille_options *options,
                                          rille_steps **out, rille_err *err);
RILLE_API int rille_start_db(rille_conn *conn, rille_steps **out, rille_err *err);
RILLE_API int rille_start_transact(rille_conn *conn, const char *edn, size_t len, rille_steps **out, rille_err *err);
RILLE_API int rille_start_flush(rille_conn *conn, rille_steps **out, rille_err *err);
RILLE_API int rille_start_verify(rille_conn *conn, rille_steps **out, rille_err *err);
RILLE_API int rille_start_as_of(rille_db *db, uint64_t tx, rille_steps **out, rille_err *err);
RILLE_API int rille_start_as_of_instant(rille_db *db, int64_t instant_ms, rille_steps **out, rille_err *err);
RILLE_API int rille_start_with(rille_db *db, const char *edn, size_t len, rille_steps **out, rille_err *err);
/* Datoms of an index, "eavt", "aevt", "avet" or "vaet", that begin with these components, from the left: an entity as its
 * id, an attribute as a keyword, a value as the attribute's type. Without components: all of them. Each RILLE_ROWS is a
 * batch with the columns e, a, v, tx, added. seek_datoms goes on to the end of the index. RILLE_ATTRIBUTE, RILLE_TYPE. */
RILLE_API int rille_start_datoms(rille_db *db, const char *index, const rille_value *components, size_t count,
                                 rille_steps **out, rille_err *err);
RILLE_API int rille_start_seek_datoms(rille_db *db, const char *index, const rille_value *components, size_t count,
                                      rille_steps **out, rille_err *err);
/* Datoms of an indexed or unique attribute with values starting at `from`, up to but not including `to`, in the order of the
 * values; NULL means no bound. RILLE_ATTRIBUTE, RILLE_TYPE. */
RILLE_API int rille_start_index_range(rille_db *db, const char *attribute, const rille_value *from,
                                      const rille_value *to, rille_steps **out, rille_err *err);
/* How many datoms begin with such components: rille_steps_number. */
RILLE_API int rille_start_count(rille_db *db, const char *index, const rille_value *components, size_t count,
                                rille_steps **out, rille_err *err);
/* rille_db_lookup in steps: rille_steps_number is the entity, or 0. */
RILLE_API int rille_start_entid(rille_db *db, const char *attribute, const rille_value *value, rille_steps **out,
                                rille_err *err);
/* Reads a part of the database into the cache: rille_steps_warmed. RILLE_ATTRIBUTE, RILLE_TYPE. */
RILLE_API int rille_start_warm(rille_db *db, const rille_warm *what, rille_steps **out, rille_err *err);
/* Results, NULL or 0 before RILLE_DONE. Each call returns a separate reference: close or release every one. The database
 * of a transaction is the value after it. */
RILLE_API rille_conn *rille_steps_conn(rille_steps *steps);
RILLE_API rille_db *rille_steps_db(rille_steps *steps);
RILLE_API rille_commit rille_steps_commit(const rille_steps *steps);
RILLE_API uint64_t rille_steps_number(const rille_steps *steps);
RILLE_API rille_warmed rille_steps_warmed(const rille_steps *steps);

/* Everything that the last step needed (RILLE_NEED), for hosts that do it themselves instead of calling rille_fetch. Pointers are
 * valid until the next step. */
RILLE_API size_t rille_steps_wants(const rille_steps *steps);
RILLE_API int rille_steps_want(const rille_steps *steps, size_t index, rille_want *out, rille_err *err);
/* The outcome of a want; what it points to is copied. rc: what the slot of a backend would return (backend.h); after a
 * failure `message` says why, and the next step fails with it. */
typedef struct rille_outcome {
    int rc;
    const char *message;
    const void *bytes;
    size_t len;
    rille_revision revision;
    const char *names; /* each with a zero after it */
    const rille_object_id *ids;
    size_t count; /* of names or ids */
} rille_outcome;
RILLE_API int rille_supply(rille_steps *steps, size_t index, const rille_outcome *outcome, rille_err *err);

#ifdef __cplusplus
}
#endif

#endif
