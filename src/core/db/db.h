/* SPDX-License-Identifier: MIT
 *
 * A database value: base trees + novelty + schema at one point in time. Immutable, shareable by threads,
 * reference-counted. Reading a value: ri_scan (ranges, as runs that stay columnar), ri_db_first (one datom),
 * ri_db_count (exact).
 */
#ifndef RI_DB_H
#define RI_DB_H

#include "base.h"
#include "novelty.h"

typedef struct rille_db {
    ri_refs refs;
    ri_store *store;   /* retained */
    ri_base *base;     /* retained */
    ri_schema *schema; /* retained */
    ri_novelty novelty;
    uint64_t t; /* basis */
    int64_t instant;
    uint8_t commit[RI_HASH_SIZE];
    uint64_t next_e;
    uint64_t next_attr;
    bool speculative; /* made by with(): blocks may hold the contents of long values, which no store has */
    bool past;        /* an as-of: newer transactions were there when it was made */
    char branch[64];
} rille_db;

rille_db *ri_db_retain(rille_db *db);
void ri_db_release(rille_db *db);
/* RILLE_ATTRIBUTE: see ri_schema_unknown; says so when the value is an as-of, whose schema may be from before. */
int ri_db_unknown_attr(const rille_db *db, const char *source, const char *ident, size_t len, rille_err *err);

/* ---- scans ---- */

/* A piece of a scan's answer: rows [from, to) of a leaf (of the base, or a view of the novelty), or, where there are few
 * together, an array of datoms. Borrowed until the next call; a leaf may be retained. */
typedef struct ri_run {
    const ri_node *leaf; /* NULL: rows */
    uint32_t from;
    uint32_t to;
    const ri_datom *const *rows; /* when leaf == NULL */
    uint32_t row_count;
} ri_run;
static inline uint32_t ri_run_count(const ri_run *run)
{
    return run->leaf != NULL ? run->to - run->from : run->row_count;
}
/* Row i of a run, borrowed. */
static inline void ri_run_datom(const ri_run *run, uint32_t i, ri_datom *out)
{
    if (run->leaf != NULL) {
        ri_node_datom(run->leaf, run->from + i, out);
    } else {
        *out = *run->rows[i];
    }
}

#define RI_SCAN_ROWS 256U

/* May a scan give items of the novelty as views? (set.h) Always and never are for tests, and never for single rows. */
typedef enum ri_scan_views { RI_VIEWS_WORTHWHILE = 0, RI_VIEWS_NEVER, RI_VIEWS_ALWAYS } ri_scan_views;

/* All datoms of one order between two cuts, in order. EAVT, AEVT, AVET, VAET. One thread at a time; holds the db's
 * store, not the db: the db must outlive the scan. Stays where it is in memory. On RILLE_NEED nothing changed: fetch
 * and call again. */
typedef struct ri_scan {
    const rille_db *db;
    ri_cursor cursor;
    ri_set_cursor novelty;
    ri_set_cut end;            /* `to` */
    const ri_set_node *set;    /* what the novelty has in the range; borrowed */
    ri_set_node *hold;         /* a reference to it, when it was made for the range */
    const ri_set_node *paired; /* the novelty's leaf that `overlay` is of, on the cursor's leaf; NULL: not looked up */
    ri_overlay *overlay;       /* NULL: none */
    ri_bound from;
    ri_bound to;
    uint32_t row;   /* next row of the base leaf ... */
    uint32_t limit; /* ... and the first one past `to` */
    uint32_t stop;  /* first item of the novelty's leaf past `to` */
    uint32_t rows_max;
    uint8_t order;
    uint8_t state;            /* scan.c */
    uint8_t views;            /* ri_scan_views */
    bool set_known;           /* since the range was set */
    bool leaf_after;          /* rows of later leaves may lie before `to` */
    bool is_prefix;           /* `from` and `to` are the cuts before and after one prefix */
    const ri_bound *ahead_to; /* leaves up to here may be asked for ahead; borrowed; NULL: up to `to` */
    const ri_datom *rows[RI_SCAN_ROWS];
} ri_scan;

static inline bool ri_db_is_far(const rille_db *db) /* does its store answer later? */
{
    return (ri_store_capabilities(db->store) & RILLE_BACKEND_DEFERRED) != 0;
}
void ri_scan_init(ri_scan *scan, const rille_db *db, ri_order order);
void ri_scan_deinit(ri_scan *scan);
/* What it asks for ahead on a store that answers later; RI_AHEAD_MOVES at first. */
static inline void ri_scan_expect(ri_scan *scan, ri_ahead ahead, const ri_bound *to)
{
    scan->cursor.ahead = (uint8_t)ahead;
    scan->ahead_to = to;
}
/* Sets the range; any range, also again (a range not before the current position is cheap). The bounds' values are
 * borrowed until the next set/deinit. */
void ri_scan_set(ri_scan *scan, const ri_bound *from, const ri_bound *to);
/* 0 and a run of at least one row; RILLE_DONE; RILLE_NEED. */
int ri_scan_next(ri_scan *scan, ri_run *run, ri_io *io, rille_err *err);
/* Will the next call say RILLE_DONE? False: not known. */
bool ri_scan_at_end(const ri_scan *scan);
/* Everything before the cut is skipped; the cut must not lie before what was delivered. */
void ri_scan_skip(ri_scan *scan, const ri_bound *from);

/* ---- single answers ---- */

/* The first datom between two cuts: 0, or RILLE_DONE. *out borrows from *hold (a reference, release it; may be NULL
 * when it lies in the novelty). */
int ri_db_first(const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to, ri_io *io, ri_datom *out,
                ri_object **hold, rille_err *err);
/* The datom with a prefix (a cut before it; its values are borrowed for the call), where there is exactly one: 0, as
 * above. RILLE_DONE: there is none. RILLE_AGAIN: there are more, or it takes a scan to tell. RILLE_NEED. */
int ri_db_only(const rille_db *db, ri_order order, const ri_bound *prefix, ri_io *io, ri_datom *out, ri_object **hold,
               rille_err *err);
/* Is (e, a, v) current? *t: since when. */
int ri_db_has(const rille_db *db, uint64_t e, uint32_t a, const ri_value *v, ri_io *io, bool *found, uint64_t *t,
              rille_err *err);
/* Exact number of datoms between two cuts. */
int ri_db_count(const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to, ri_io *io, uint64_t *out,
                rille_err *err);
/* Is the attribute declared as indexed or unique? AVET has others, too, for queries. */
bool ri_db_is_indexed(const rille_db *db, uint64_t a);
/* May users read an attribute (NULL: all) in this index? RILLE_ATTRIBUTE. */
int ri_db_check_index(ri_order order, const ri_attr *attr, rille_err *err);
/* Number of datoms in AVET of such attributes. RILLE_NEED. */
int ri_db_count_indexed(const rille_db *db, ri_io *io, uint64_t *out, rille_err *err);

/* Single datoms of a range by their number, for samples. The numbers go through the base first and then through the
 * novelty; where the novelty retracts or replaces what the base has, a datom may not be current. Holds what it gives out
 * borrowed, not the database. */
typedef struct ri_picker {
    const rille_db *db;
    ri_order order;
    uint64_t base_first;
    uint64_t base_count;
    int64_t set_first;
    const ri_set_node *set;
    ri_set_node *hold;
    uint64_t count; /* of the range: exact */
} ri_picker;
/* RILLE_NEED. To be released in any case. */
int ri_picker_init(ri_picker *picker, const rille_db *db, ri_order order, const ri_bound *from, const ri_bound *to,
                   ri_io *io, rille_err *err);
void ri_picker_deinit(ri_picker *picker);
/* number < count. *out borrows from *hold (a reference, may be NULL), or from the database. RILLE_NEED, RILLE_DONE: there
 * is none. */
int ri_picker_get(const ri_picker *picker, uint64_t number, ri_io *io, ri_datom *out, ri_object **hold, rille_err *err);

/* Entity by a unique attribute's value; *e == 0: none. */
int ri_db_lookup(const rille_db *db, const ri_attr *attr, const ri_value *v, ri_io *io, uint64_t *e, rille_err *err);

/* The transaction that an attempt to commit became: among the last RI_ATTEMPTS_MAX ones in the trees and all since. *t
 * == 0: none of them. RILLE_NEED. */
int ri_db_attempt(const rille_db *db, uint64_t attempt, ri_io *io, uint64_t *t, rille_err *err);

/* The content of a long value of this database. RILLE_NEED. */
int ri_db_blob(const rille_db *db, const ri_value *stub, ri_io *io, ri_blob **out, rille_err *err);

/* Bounds of a prefix: before / after all datoms with these leading components (in the order's own component order). */
ri_bound ri_bound_e(uint64_t e, bool after);                     /* EAVT: e */
ri_bound ri_bound_ea(uint64_t e, uint32_t a, bool after);        /* EAVT: e a / AEVT: a e */
ri_bound ri_bound_a(uint32_t a, bool after);                     /* AEVT, AVET: a */
ri_bound ri_bound_av(uint32_t a, const ri_value *v, bool after); /* AVET: a v */
ri_bound ri_bound_eav(uint64_t e, uint32_t a, const ri_value *v,
                      bool after);                          /* EAVT, AEVT: all; AVET: a v e; VAET: v a e */
ri_bound ri_bound_v(uint64_t ref, bool after);              /* VAET: v */
ri_bound ri_bound_va(uint64_t ref, uint32_t a, bool after); /* VAET: v a */
ri_bound ri_bound_all(bool after);                          /* everything */

/* Value conversion by an attribute's type. strict: EDN (only long -> double and integer -> ref/bigint widen); else
 * plain Lua values: text -> keyword, symbol, uuid, instant (ISO), bigint, bytes; integral double -> long; number ->
 * instant (ms). Long values are turned into stubs by the transaction, not here. RILLE_TYPE names attribute, value and
 * the type wanted. */
int ri_attr_convert(const ri_attr *attr, const ri_value *in, bool strict, ri_arena *arena, ri_value *out,
                    rille_err *err);

#endif
