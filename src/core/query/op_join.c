/* SPDX-License-Identifier: MIT
 *
 * The hash join: each batch of the input against a table with an index over the join columns. The table is a relation
 * of the inputs, the answers of a rule, or what a chain of its own gives (a scan of the other side, collected once and
 * kept).
 *
 * Without keys it is the cross product. Each stage has an index of its own, brought up to date between batches only:
 * the table may grow while a batch is being joined (rules), and the chains that are being followed must not move.
 */
#include "exec.h"

#define CANDIDATES_MAX 4096U /* of a unit */
#define CELL_UNITS 8U        /* of work for a value of a pair */

typedef struct join_stage {
    ri_stage stage;
    ri_join_spec spec;
    const ri_table *table;
    ri_table *made; /* spec.build */
    ri_table_index index;
    ri_batch *in;
    bool indexed;        /* the index has what the table had when the batch came */
    uint32_t probed;     /* rows of the batch that were looked up */
    const ri_vec **keys; /* columns of the batch, by key */
    ri_vec *key_bufs;    /* constants */
    uint32_t *firsts;    /* first match of each input row */
    uint32_t *sel_in;
    uint32_t *sel_table;
    uint32_t row;
    uint32_t match;  /* next match of the row, UINT32_MAX: none */
    ri_batch *other; /* of the build's side */
    uint32_t taken;  /* rows of it that are in the table */
    bool collected;  /* all of that side are in the table */
    bool built;
} join_stage;

/* ---- the table ---- */

/* Takes in a batch of the other side, or a portion of it. */
static int collect_other(join_stage *self, rille_err *err)
{
    const ri_join_spec *spec = &self->spec;
    ri_vec parts[RI_QUERY_VARS_MAX];
    const ri_vec *cols[RI_QUERY_VARS_MAX];
    if (self->other == NULL) {
        int rc = ri_stage_next(spec->build, &self->other, err);
        self->collected = rc == RILLE_DONE;
        RI_TRY(rc == RILLE_DONE ? 0 : rc);
        self->taken = 0;
    }
    while (!self->collected && self->taken < self->other->count && !ri_unit_is_full(self->stage.op)) {
        size_t units = 0;
        for (uint16_t i = 0; i < spec->build_count; i++) {
            parts[i] = ri_vec_from(&self->other->cols[spec->build_vars[i]], self->taken);
            cols[i] = &parts[i];
        }
        uint32_t rows = ri_rows_portion(cols, spec->build_count, 0, self->other->count - self->taken, &units);
        RI_TRY(ri_table_add(self->made, cols, rows, NULL, err));
        self->taken += rows;
    }
    self->other = self->collected || self->taken == self->other->count ? NULL : self->other;
    return 0;
}

static int make_index(join_stage *self, rille_err *err)
{
    const ri_join_spec *spec = &self->spec; /* constants may be many: no array on the stack */
    uint16_t *cols = ri_alloc_array(spec->key_count + 2U * spec->same_count + 1U, sizeof *cols);
    if (cols == NULL) {
        return ri_fail_nomem(err);
    }
    uint16_t *same = cols + spec->key_count;
    for (uint16_t i = 0; i < spec->key_count; i++) {
        cols[i] = spec->keys[i].col;
    }
    for (uint16_t i = 0; i < spec->same_count; i++) {
        same[2 * i] = spec->same[i].col;
        same[2 * i + 1] = spec->same[i].var;
    }
    int rc = ri_table_index_init(&self->index, self->table, self->stage.op->meter, cols, spec->key_count, same,
                                 spec->same_count, err);
    ri_free(cols);
    return rc;
}

static int build(join_stage *self, rille_err *err)
{
    if (self->spec.build != NULL && self->made == NULL) {
        RI_TRY(ri_op_table(self->stage.op, self->spec.build_count, false, &self->made, err));
        self->table = self->made;
    }
    if (self->spec.build != NULL && !self->collected) {
        return collect_other(self, err);
    }
    RI_TRY(make_index(self, err));
    self->built = true;
    return 0;
}

/* ---- probing ---- */

static int begin_batch(join_stage *self, rille_err *err)
{
    uint32_t count = self->in->count;
    for (uint16_t i = 0; i < self->spec.key_count; i++) {
        const ri_join_key *key = &self->spec.keys[i];
        if (key->var != RI_NO_VAR) {
            self->keys[i] = &self->in->cols[key->var];
            continue;
        }
        ri_vec *buf = &self->key_bufs[i];
        if (buf->words == NULL && !ri_vec_init(buf, &self->stage.op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        ri_vec_fill(buf, count, &key->value);
        self->keys[i] = buf;
    }
    self->indexed = false;
    self->probed = 0;
    return 0;
}

/* Brings the index up to date (the table may have grown), then looks the keys of the batch up: a portion at least. */
static int look_up(join_stage *self, rille_err *err)
{
    rille_op *op = self->stage.op;
    uint32_t count = self->in->count;
    while (!self->indexed) {
        RI_TRY(ri_table_index_update(&self->index, err));
        self->indexed = ri_table_index_is_complete(&self->index);
        if (ri_unit_is_full(op)) {
            return 0;
        }
    }
    while (self->probed < count) {
        uint32_t n =
            ri_table_index_find_rows(&self->index, self->keys, self->probed, count - self->probed, self->firsts);
        if (n == 0) {
            return ri_meter_error(op->meter, err);
        }
        self->probed += n;
        if (ri_unit_is_full(op)) {
            break;
        }
    }
    self->row = 0;
    self->match = self->firsts[0];
    return 0;
}

/* Pairs of rows, as many as fit into a batch, of CANDIDATES_MAX at most. */
static uint32_t collect(join_stage *self)
{
    uint32_t n = 0;
    uint32_t limit = self->spec.row_limit != NULL ? *self->spec.row_limit : UINT32_MAX;
    for (uint32_t i = 0; i < CANDIDATES_MAX && self->row < self->in->count && n < RI_BATCH_ROWS; i++) {
        if (self->match == UINT32_MAX) {
            self->row++;
            self->match = self->row < self->in->count ? self->firsts[self->row] : UINT32_MAX;
            continue;
        }
        self->sel_in[n] = self->row;
        self->sel_table[n] = self->match;
        n += self->match < limit;
        self->match = ri_table_index_next(&self->index, self->match);
    }
    return n;
}

/* The pairs as a batch. */
static int give(join_stage *self, uint32_t n, ri_batch **out, rille_err *err)
{
    ri_stage *stage = &self->stage;
    RI_TRY(ri_work(stage->op->meter, (size_t)n * (self->spec.out_count + 1U) * CELL_UNITS, err));
    RI_TRY(ri_stage_carry(stage, self->in, self->sel_in, n, err));
    for (uint16_t i = 0; i < self->spec.out_count; i++) {
        ri_var var = self->spec.outs[i].var;
        ri_vec *buf = ri_stage_buf(stage, var);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_column_gather(&self->table->cols[self->spec.outs[i].col], self->sel_table, n, buf);
        stage->out.cols[var] = *buf;
    }
    *out = &stage->out;
    return 0;
}

/* Unit: some rows of the table's side, of the index, of a batch's keys; or as many pairs as fit into a batch. */
static int join_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    join_stage *self = (join_stage *)stage;
    if (!self->built) {
        return build(self, err);
    }
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        RI_TRY(begin_batch(self, err));
    }
    if (self->probed < self->in->count) {
        RI_TRY(look_up(self, err));
        if (self->probed < self->in->count || ri_unit_is_full(stage->op)) {
            return 0;
        }
    }
    uint32_t n = collect(self);
    int rc = n > 0 ? give(self, n, out, err) : 0;
    self->in = self->row == self->in->count ? NULL : self->in;
    return rc;
}

static void join_reset(ri_stage *stage)
{
    ((join_stage *)stage)->in = NULL;
}

static void join_rest(ri_stage *stage)
{
    join_stage *self = (join_stage *)stage;
    ri_table_index_deinit(&self->index);
    self->made = NULL; /* the operation frees it */
    self->other = NULL;
    self->collected = false;
    self->built = false;
}

static void join_destroy(ri_stage *stage)
{
    ri_table_index_deinit(&((join_stage *)stage)->index);
}

int ri_join_terms(rille_op *op, const ri_scope *scope, const ri_clause *clause, const ri_table *table,
                  const ri_varset *bound, const ri_varset *live, ri_join_spec *spec, rille_err *err)
{
    ri_arena *arena = &op->plan_arena;
    ri_join_key *keys = ri_arena_array(arena, clause->term_count + 1U, sizeof *keys);
    ri_join_out *outs = ri_arena_array(arena, clause->term_count + 1U, sizeof *outs);
    ri_join_out *same = ri_arena_array(arena, clause->term_count + 1U, sizeof *same);
    if (keys == NULL || outs == NULL || same == NULL) {
        return ri_fail_nomem(err);
    }
    *spec = (ri_join_spec){ .table = table, .keys = keys, .outs = outs, .same = same };
    for (uint16_t i = 0; i < clause->term_count; i++) {
        const ri_value *value = ri_term_const(scope, &clause->terms[i]);
        ri_var var = ri_term_var(scope, &clause->terms[i]);
        if (value != NULL) {
            keys[spec->key_count++] = (ri_join_key){ i, RI_NO_VAR, *value };
            continue;
        }
        if (var == RI_NO_VAR) {
            continue;
        }
        if (ri_varset_has(bound, var)) {
            keys[spec->key_count++] = (ri_join_key){ i, var, ri_nil() };
            continue;
        }
        uint16_t first = 0;
        while (first < i && ri_term_var(scope, &clause->terms[first]) != var) {
            first++;
        }
        if (first < i) {
            same[spec->same_count++] = (ri_join_out){ i, first };
        } else if (ri_varset_has(live, var)) {
            outs[spec->out_count++] = (ri_join_out){ i, var };
        }
    }
    return 0;
}

ri_stage *ri_join_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_join_spec *spec,
                            const char *label)
{
    ri_arena *arena = &op->plan_arena;
    uint32_t *rows = ri_arena_array(arena, 3U * RI_BATCH_ROWS, sizeof *rows);
    const ri_vec **keys = ri_arena_array(arena, spec->key_count + 1U, sizeof *keys);
    ri_vec *bufs = ri_arena_array(arena, spec->key_count + 1U, sizeof *bufs);
    if (rows == NULL || keys == NULL || bufs == NULL) {
        return NULL;
    }
    join_stage *self = ri_stage_new(op, scope, sizeof *self, input, label);
    if (self == NULL) {
        return NULL;
    }
    memset(bufs, 0, (spec->key_count + 1U) * sizeof *bufs);
    self->spec = *spec;
    self->table = spec->table;
    self->keys = keys;
    self->key_bufs = bufs;
    self->firsts = rows;
    self->sel_in = rows + RI_BATCH_ROWS;
    self->sel_table = rows + 2U * RI_BATCH_ROWS;
    self->stage.work = join_work;
    self->stage.reset = join_reset;
    self->stage.rest = join_rest;
    self->stage.renew = spec->build != NULL ? ri_stage_renew : NULL; /* a table may have constants for keys */
    self->stage.destroy = join_destroy;
    return &self->stage;
}
