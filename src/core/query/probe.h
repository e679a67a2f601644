/* SPDX-License-Identifier: MIT
 *
 * The probe, private: its state, shared by the making of keys (probe_keys.c) and the merging (op_probe.c).
 */
#ifndef RI_PROBE_H
#define RI_PROBE_H

#include "exec.h"

typedef struct ri_bytes_key {
    ri_value v;
    uint32_t row;
} ri_bytes_key;

typedef struct ri_probe_stage {
    ri_stage stage;
    ri_emit emit;
    ri_run run;
    ri_bound first;
    ri_bound last;
    ri_bound skip;
    ri_batch *in;
    ri_arena arena;       /* fitted values of the batch at hand */
    uint64_t *keys;       /* sorted */
    uint32_t *key_rows;   /* the input row of each */
    uint64_t *keys_other; /* for sorting */
    uint32_t *rows_other;
    ri_bytes_key *bytes; /* RI_ACCESS_V_BYTES */
    uint32_t *pair_rows;
    uint32_t *pair_in;
    uint32_t pair_count;
    uint32_t key_count;
    uint32_t key; /* first of the group of equal keys at hand */
    uint32_t key_end;
    uint32_t key_at;    /* emitting: which of the group */
    uint32_t low, high; /* emitting: the matches in the run */
    uint32_t match;     /* emitting: next match for key_at */
    uint32_t match_end;
    uint32_t pos;
    uint8_t access; /* ri_access */
    bool single;    /* a key has at most one match */
    bool stride;    /* the key of a row is its number plus stride_base, and a key has at most one match */
    uint64_t stride_base;
    bool dense;        /* many keys fall into the run: `values` holds its key column */
    uint64_t *values;  /* by row of the leaf, from pos at the time on */
    uint64_t run_last; /* of the key column of the run, where it is one of numbers, and from its first to that */
    uint64_t run_span;
    bool walks; /* the next key was near when the last run was left: leaf after leaf has keys */
    bool has_run;
    bool goes_on; /* (P3) */
    bool emitting;
    bool far;          /* the database's store answers later */
    bool close;        /* of what it lacked last, there were several keys to a leaf */
    bool wide;         /* `last` is the end of the attribute */
    ri_bound ahead_to; /* how far the scan may ask for leaves */
    ri_scan scan;      /* at the end: RI_ZEROED_WITH_SCAN */
} ri_probe_stage;

/* Keys of the input's batch, sorted. */
int ri_probe_keys(ri_probe_stage *self, rille_err *err);
/* The cut before or after a key. */
ri_bound ri_probe_bound(const ri_probe_stage *self, uint32_t key, bool after);
/* Sets key and key_end: the group of keys equal to this one. */
void ri_probe_begin_key(ri_probe_stage *self, uint32_t key);
#define RI_CLOSE_KEYS 2U /* with so many to a leaf, the next leaf has mostly one, too */
/* The scan lacks a leaf: what the keys after this one will lack is asked for as well, to be fetched in the same round.
 * RILLE_NEED. */
int ri_probe_ask(ri_probe_stage *self, rille_err *err);
/* Before the scan moves: what it may ask for beyond the leaf that it lacks. */
void ri_probe_expect(ri_probe_stage *self);
/* The input lacks something: where the branches that keys will need are few, they come in the same round. */
int ri_probe_ahead(ri_stage *stage);
/* The variable the keys come from. */
ri_var ri_probe_var(const ri_probe_stage *self);

#endif
