/* SPDX-License-Identifier: MIT
 *
 * Predicates and functions, a batch at a time: built-ins, functions of the host (RILLE_CALL), and the look-ups
 * get-else, get-some and missing?, which read a database by entity.
 *
 * Long values come as stubs; functions see them whole (RILLE_NEED until the blobs are at hand).
 *
 * A batch is worked off in SLICES of rows whose arguments have about SLICE_BYTES together, one row at least: so however
 * long the values are, no more of them is fetched, copied and computed at a time than that, or than one row needs.
 */
#include "exec.h"

#define SLICE_BYTES ((size_t)1024 * 1024)
#define LOOK_UP_UNITS 1024U /* of work for an entity */

typedef enum call_kind { CALL_BUILTIN, CALL_HOST, CALL_GET_ELSE, CALL_GET_SOME, CALL_MISSING } call_kind;
typedef enum call_phase {
    PHASE_BATCH,
    PHASE_SLICE,
    PHASE_ARGS,
    PHASE_EVALUATE,
    PHASE_CALLED,
    PHASE_RESULTS
} call_phase;

typedef struct call_stage {
    ri_stage stage;
    call_kind kind;
    call_phase phase;
    const ri_builtin *builtin;
    const rille_db *db;    /* look-ups */
    uint16_t source;       /* of db */
    bool named;            /* the entity may be given by a name */
    bool input_names;      /* an input names an attribute */
    const ri_attr **attrs; /* look-ups; NULL entries: unknown */
    uint16_t attr_count;
    ri_arg *args;
    const ri_term **arg_terms;
    ri_var *arg_vars; /* RI_NO_VAR: constant */
    ri_vec *arg_copies;
    unsigned arg_count;
    unsigned arg;   /* unstubbed so far */
    ri_arena arena; /* of the slice at hand */
    ri_vec result;
    ri_results results;
    ri_batch *batch;    /* of the input */
    uint32_t from;      /* the slice's first row in it */
    uint32_t next;      /* the row after the slice */
    const ri_batch *in; /* the slice: the batch itself, or `part` */
    ri_batch part;
    uint32_t row; /* look-ups: done so far */
    uint8_t *keep;
    uint32_t *sel;
} call_stage;

/* ---- slices ---- */

/* The slice is the rows [from, from + count) of the batch. */
static int use_rows(call_stage *self, uint32_t from, uint32_t count, rille_err *err)
{
    const ri_batch *batch = self->batch;
    uint32_t cols = self->stage.scope->var_count + 1U + RI_POS_COUNT;
    self->from = from;
    self->next = from + count;
    self->in = batch;
    if (count == batch->count) {
        return 0;
    }
    if (self->part.cols == NULL) {
        self->part.cols = ri_arena_array(&self->stage.op->plan_arena, cols, sizeof *self->part.cols);
    }
    if (self->part.cols == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < cols; i++) {
        self->part.cols[i] = batch->cols[i].words != NULL ? ri_vec_from(&batch->cols[i], from) : batch->cols[i];
    }
    self->part.count = count;
    self->part.var_count = batch->var_count;
    self->in = &self->part;
    return 0;
}

/* How many rows the next slice has. */
static uint32_t slice_rows(const call_stage *self)
{
    uint64_t of_row = 0; /* constants are read again for each */
    bool bytes = false;
    for (unsigned i = 0; i < self->arg_count; i++) {
        bool is_var = self->arg_vars[i] != RI_NO_VAR;
        of_row += is_var ? 0 : self->args[i].value.len;
        bytes = bytes || (is_var && !ri_type_is_word(self->batch->cols[self->arg_vars[i]].type));
    }
    uint32_t left = self->batch->count - self->next;
    if (!bytes) {
        return of_row * left <= SLICE_BYTES ? left : of_row < SLICE_BYTES ? (uint32_t)(SLICE_BYTES / of_row) : 1;
    }
    uint64_t sum = 0;
    for (uint32_t n = 0; n < left; n++) {
        sum += of_row;
        for (unsigned i = 0; i < self->arg_count && sum <= SLICE_BYTES; i++) {
            if (self->arg_vars[i] != RI_NO_VAR) {
                ri_value v = ri_vec_get(&self->batch->cols[self->arg_vars[i]], self->next + n);
                sum += ri_type_is_stub(v.type) ? ri_stub_len(&v) : v.len;
            }
        }
        if (sum > SLICE_BYTES) {
            return n > 0 ? n : 1;
        }
    }
    return left;
}

/* ---- evaluation ---- */

static int prepare_args(call_stage *self, rille_err *err)
{
    for (; self->arg < self->arg_count; self->arg++) {
        unsigned i = self->arg;
        if (self->arg_vars[i] == RI_NO_VAR) {
            continue;
        }
        const ri_vec *vec = &self->in->cols[self->arg_vars[i]];
        RI_TRY(ri_unstub(self->stage.op, vec, self->in->count, &self->arena, &self->stage.op->plan_arena,
                         &self->arg_copies[i], &self->args[i].vec, err));
    }
    return 0;
}

static int make_result(call_stage *self, rille_err *err)
{
    if (self->result.words == NULL && !ri_vec_init(&self->result, &self->stage.op->plan_arena, RI_BATCH_ROWS)) {
        return ri_fail_nomem(err);
    }
    return 0;
}

/* A predicate keeps the rows for which the result is neither nil nor false. Where the result is bound, false is a value
 * like others: only nil is no result (op_bind.c). */
static void keep_true(call_stage *self)
{
    for (uint32_t i = 0; i < self->in->count; i++) {
        ri_value v = ri_vec_get(&self->result, i);
        self->keep[i] = v.type != RI_NIL && !(v.type == RI_BOOL && v.as.u == 0);
    }
}

static int call_builtin(call_stage *self, rille_err *err)
{
    const ri_builtin *f = self->builtin;
    uint32_t rows = self->in->count;
    const ri_fn_call frame = { self->args, self->arg_count, rows, &self->arena };
    bool wants_rows = self->stage.clause->kind == RI_CLAUSE_PRED;
    if (f->filter != NULL && (wants_rows || f->map == NULL)) {
        RI_TRY(f->filter(&frame, self->keep, err));
        if (!wants_rows) {
            self->result.type = RI_BOOL;
            for (uint32_t i = 0; i < rows; i++) {
                self->result.words[i] = self->keep[i] != 0;
            }
        }
        return 0;
    }
    RI_TRY(f->map(&frame, &self->result, err));
    if (wants_rows) {
        keep_true(self);
    }
    return 0;
}

/* Hands the slice to the host; the answer is there when we are called again. Rows without one are nil, not what an
 * earlier batch left there. */
static int call_host(call_stage *self)
{
    rille_op *op = self->stage.op;
    const ri_value nil = ri_nil();
    ri_vec_fill(&self->result, self->in->count, &nil);
    memset(self->result.types, nil.type, self->in->count);
    op->call = (ri_call){ self->stage.clause->name, self->args,    self->arg_count,
                          self->in->count,          &self->result, &self->arena };
    op->call_pending = true;
    self->phase = PHASE_CALLED;
    return RILLE_CALL;
}

/* The first value of an attribute of an entity, in the arena; nil: none. */
static int first_value(call_stage *self, uint64_t e, const ri_attr *attr, ri_value *out, rille_err *err)
{
    *out = ri_nil();
    if (e == 0 || attr == NULL) {
        return 0;
    }
    ri_bound from = ri_bound_ea(e, attr->id, false);
    ri_bound to = ri_bound_ea(e, attr->id, true);
    ri_datom d;
    ri_object *hold = NULL;
    int rc = ri_db_first(self->db, RI_AEVT, &from, &to, &self->stage.op->io, &d, &hold, err);
    if (rc == 0 && !ri_value_copy(&self->arena, &d.v, out)) {
        rc = ri_fail_nomem(err);
    }
    ri_object_release(hold);
    return rc == RILLE_DONE ? 0 : rc;
}

static int get_some(call_stage *self, uint64_t e, ri_value *out, rille_err *err)
{
    *out = ri_nil();
    for (uint16_t i = 0; i < self->attr_count; i++) {
        ri_value v;
        RI_TRY(first_value(self, e, self->attrs[i], &v, err));
        if (v.type == RI_NIL) {
            continue;
        }
        if (ri_type_is_stub(v.type)) { /* a tuple holds whole values, and entities as numbers */
            RI_TRY(ri_whole(self->stage.op, self->db, &v, &self->arena, err));
        }
        v = ri_plain(v);
        ri_buf buf = { 0 };
        ri_value id = ri_long(self->attrs[i]->id);
        ri_value_write(&buf, &id);
        ri_value_write(&buf, &v);
        ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        bool ok = !buf.failed && ri_value_copy(&self->arena, &tuple, out);
        ri_buf_deinit(&buf);
        return ok ? 0 : ri_fail_nomem(err);
    }
    return 0;
}

static int entity_of(const call_stage *self, const ri_value *given, uint64_t *e, rille_err *err)
{
    *e = self->named ? 0 : ri_entity_of(given);
    return self->named ? ri_name_entity(self->stage.op, self->db, given, true, e, err) : 0;
}

/* A row lacks a node: what the rows after it will lack is asked for as well, to be fetched in the same round; of long
 * values no more than a slice has. */
static void ask_ahead(call_stage *self)
{
    const ri_vec *vec = self->args[0].vec;
    ri_io *io = &self->stage.op->io;
    uint64_t sum = 0;
    for (uint32_t row = self->row + 1;
         vec != NULL && row < self->in->count && io->want_count < RI_IO_WANTS_MAX && sum <= SLICE_BYTES; row++) {
        ri_value given = ri_vec_get(vec, row);
        ri_value v;
        uint64_t e = 0;
        int rc = entity_of(self, &given, &e, NULL);
        rc = rc == 0 ? first_value(self, e, self->attrs[0], &v, NULL) : rc;
        if (rc == 0 && self->kind == CALL_GET_SOME && ri_type_is_stub(v.type)) {
            ri_blob *blob = NULL;
            (void)ri_db_blob(self->db, &v, io, &blob, NULL);
            ri_object_release(blob != NULL ? &blob->object : NULL);
            sum += ri_stub_len(&v);
        }
    }
}

static int nil_default(int code, rille_err *err)
{
    return ri_fail(err, code,
                   "function get-else needs a default that is not nil: use missing? to find entities without a value");
}

static int look_up_row(call_stage *self, rille_err *err)
{
    const ri_arg *entity = &self->args[0];
    ri_value given = entity->vec != NULL ? ri_vec_get(entity->vec, self->row) : entity->value;
    uint64_t e = 0;
    ri_value v;
    RI_TRY(entity_of(self, &given, &e, err));
    if (self->kind == CALL_GET_SOME) {
        RI_TRY(get_some(self, e, &v, err));
    } else {
        RI_TRY(first_value(self, e, self->attrs[0], &v, err));
    }
    self->keep[self->row] = (v.type == RI_NIL) == (self->kind == CALL_MISSING);
    if (self->kind == CALL_MISSING) {
        v = ri_word(RI_BOOL, self->keep[self->row]);
    } else if (v.type == RI_NIL && self->kind == CALL_GET_ELSE) {
        const ri_arg *otherwise = &self->args[1];
        v = otherwise->vec != NULL ? ri_vec_get(otherwise->vec, self->row) : otherwise->value;
        if (v.type == RI_NIL) {
            return nil_default(RILLE_TYPE, err);
        }
    }
    ri_vec_set(&self->result, self->row, &v);
    return ri_note_stubs(self->stage.op, self->source, &self->result, self->row, self->row + 1, err);
}

static int look_up(call_stage *self, rille_err *err)
{
    for (; self->row < self->in->count; self->row++) {
        if (self->arena.total_bytes > SLICE_BYTES && self->row > 0) {
            return use_rows(self, self->from, self->row, err); /* the slice ends here */
        }
        if (ri_unit_is_full(self->stage.op)) {
            return RILLE_DONE; /* for this unit */
        }
        RI_TRY(ri_work(self->arena.meter, LOOK_UP_UNITS, err));
        int rc = look_up_row(self, err);
        if (rc == RILLE_NEED) {
            ask_ahead(self);
        }
        RI_TRY(rc);
    }
    return 0;
}

/* ---- the stage ---- */

static int evaluate(call_stage *self, rille_err *err)
{
    RI_TRY(make_result(self, err));
    switch (self->kind) {
    case CALL_BUILTIN:
        return call_builtin(self, err);
    case CALL_HOST:
        return call_host(self);
    case CALL_GET_ELSE:
    case CALL_GET_SOME:
    case CALL_MISSING:
        return look_up(self, err);
    }
    return 0;
}

static int keep_rows(call_stage *self, rille_err *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < self->in->count; i++) {
        self->sel[n] = i;
        n += self->keep[i] != 0;
    }
    return ri_stage_carry(&self->stage, self->in, n == self->in->count ? NULL : self->sel, n, err);
}

/* The next slice; what came of the last one is used up (X1). */
static int begin_slice(call_stage *self, rille_err *err)
{
    ri_arena_reset(&self->arena);
    RI_TRY(use_rows(self, self->next, slice_rows(self), err));
    self->arg = 0;
    self->row = 0;
    return 0;
}

/* Errors of the call itself name its position; those of storage and of the query's limits do not. */
static int in_clause(const call_stage *self, int rc, rille_err *err)
{
    bool overflows = rc == RILLE_LIMIT && ri_meter_error(self->arena.meter, NULL) == 0;
    bool of_call = rc == RILLE_TYPE || rc == RILLE_FUNCTION || overflows;
    return of_call ? ri_fail_in(self->stage.op, self->stage.scope, self->stage.clause, rc, err) : rc;
}

/* Unit: a slice of a batch of the input, or what is left of its results. */
static int call_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    call_stage *self = (call_stage *)stage;
    for (;;) {
        switch (self->phase) {
        case PHASE_BATCH:
            RI_TRY(ri_stage_pull(&self->stage, &self->batch, err));
            self->next = 0;
            self->phase = PHASE_SLICE;
            break;
        case PHASE_SLICE:
            RI_TRY(begin_slice(self, err));
            self->phase = PHASE_ARGS;
            break;
        case PHASE_ARGS:
            RI_TRY(prepare_args(self, err));
            self->phase = PHASE_EVALUATE;
            break;
        case PHASE_EVALUATE: {
            int rc = in_clause(self, evaluate(self, err), err);
            if (rc != 0) {
                return rc == RILLE_DONE ? 0 : rc;
            }
            ri_results_start(&self->results);
            self->phase = PHASE_RESULTS;
            break;
        }
        case PHASE_CALLED:
            if (stage->clause->kind == RI_CLAUSE_PRED) {
                keep_true(self);
            }
            ri_results_start(&self->results);
            self->phase = PHASE_RESULTS;
            break;
        case PHASE_RESULTS: {
            bool more = false;
            if (stage->clause->kind == RI_CLAUSE_PRED) {
                RI_TRY(keep_rows(self, err));
            } else {
                int rc = ri_results_next(&self->results, stage, self->in, &self->result, &more, err);
                RI_TRY(in_clause(self, rc, err));
            }
            self->phase = more ? PHASE_RESULTS : self->next < self->batch->count ? PHASE_SLICE : PHASE_BATCH;
            *out = stage->out.count > 0 ? &stage->out : NULL;
            return 0;
        }
        }
    }
}

static void call_reset(ri_stage *stage)
{
    call_stage *self = (call_stage *)stage;
    self->phase = PHASE_BATCH;
    self->batch = NULL;
    self->in = NULL;
}

static void call_rest(ri_stage *stage)
{
    call_stage *self = (call_stage *)stage;
    ri_arena_reset(&self->arena);
}

/* Constants that are inputs have other values, look-ups another database. */
static void call_renew(ri_stage *stage)
{
    call_stage *self = (call_stage *)stage;
    const ri_scope *scope = stage->scope;
    for (unsigned i = 0; i < self->arg_count; i++) {
        const ri_value *value = ri_term_const(scope, self->arg_terms[i]);
        self->args[i] = (ri_arg){ NULL, value != NULL ? *value : ri_nil() };
    }
    if (self->db != NULL) {
        self->db = stage->op->sources[self->source].db;
    }
    ri_results_renew(&self->results, scope);
}

static void call_destroy(ri_stage *stage)
{
    ri_arena_deinit(&((call_stage *)stage)->arena);
}

/* ---- making one ---- */

/* Arguments from `first` on; terms that name a source are left out. */
static int set_args(call_stage *self, const ri_scope *scope, uint16_t first, uint16_t last, rille_err *err)
{
    ri_arena *arena = &self->stage.op->plan_arena;
    const ri_clause *clause = self->stage.clause;
    self->args = ri_arena_array(arena, clause->term_count + 1U, sizeof *self->args);
    self->arg_terms = ri_arena_array(arena, clause->term_count + 1U, sizeof *self->arg_terms);
    self->arg_vars = ri_arena_array(arena, clause->term_count + 1U, sizeof *self->arg_vars);
    self->arg_copies = ri_arena_array(arena, clause->term_count + 1U, sizeof *self->arg_copies);
    self->keep = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->keep);
    self->sel = ri_arena_array(arena, RI_BATCH_ROWS, sizeof *self->sel);
    if (self->args == NULL || self->arg_terms == NULL || self->arg_vars == NULL || self->arg_copies == NULL ||
        self->keep == NULL || self->sel == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = first; i < last; i++) {
        const ri_term *term = &clause->terms[i];
        if (term->kind == RI_TERM_SOURCE) {
            continue;
        }
        const ri_value *value = ri_term_const(scope, term);
        unsigned at = self->arg_count++;
        self->arg_terms[at] = term;
        self->arg_vars[at] = ri_term_var(scope, term);
        self->args[at] = (ri_arg){ NULL, value != NULL ? *value : ri_nil() };
        self->arg_copies[at] = (ri_vec){ 0 };
    }
    return 0;
}

static int find_attrs(call_stage *self, const ri_scope *scope, uint16_t from, uint16_t to, rille_err *err)
{
    const ri_clause *clause = self->stage.clause;
    self->attrs = ri_arena_array(&self->stage.op->plan_arena, clause->term_count + 1U, sizeof *self->attrs);
    if (self->attrs == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = from; i < to; i++) {
        const ri_value *name = ri_term_const(scope, &clause->terms[i]);
        const ri_attr *attr = NULL;
        if (name == NULL || (name->type != RI_KEYWORD && name->type != RI_STRING)) {
            return ri_fail(err, RILLE_QUERY, "function %s expects an attribute name as argument %u", clause->name,
                           i + 1U);
        }
        RI_TRY(ri_name_attr(self->stage.op, self->db, name, true, &attr, err));
        self->input_names = self->input_names || clause->terms[i].kind == RI_TERM_VAR;
        self->attrs[self->attr_count++] = attr;
    }
    return 0;
}

/* [source] entity attribute [default] */
static int set_look_up(call_stage *self, const ri_scope *scope, rille_err *err)
{
    const ri_clause *clause = self->stage.clause;
    rille_op *op = self->stage.op;
    bool named = clause->term_count > 0 && clause->terms[0].kind == RI_TERM_SOURCE;
    uint16_t source = ri_scope_source(scope, named ? clause->terms[0].source : scope->source_default);
    uint16_t first = named ? 1 : 0;
    uint16_t want = self->kind == CALL_GET_ELSE ? 3 : 2;
    uint16_t have = (uint16_t)(clause->term_count - first);
    if (have < want || (have > want && self->kind != CALL_GET_SOME)) {
        return ri_fail(err, RILLE_QUERY, "function %s has %u arguments after its source; it expects %s", clause->name,
                       have,
                       self->kind == CALL_GET_ELSE  ? "an entity, an attribute and a default"
                       : self->kind == CALL_MISSING ? "an entity and an attribute"
                                                    : "an entity and attributes");
    }
    if (source >= op->source_count || op->sources[source].db == NULL) {
        return ri_fail(err, RILLE_QUERY, "function %s needs a database as its source", clause->name);
    }
    self->db = op->sources[source].db;
    self->source = source;
    uint16_t attrs_end = self->kind == CALL_GET_SOME ? clause->term_count : (uint16_t)(first + 2);
    RI_TRY(find_attrs(self, scope, (uint16_t)(first + 1), attrs_end, err));
    RI_TRY(set_args(self, scope, first, (uint16_t)(first + 1), err));
    self->named = self->arg_vars[0] == RI_NO_VAR || ri_varset_has(&scope->named, self->arg_vars[0]);
    if (self->kind == CALL_GET_ELSE) {
        const ri_term *otherwise = &clause->terms[first + 2];
        const ri_value *value = ri_term_const(scope, otherwise);
        if (value != NULL && value->type == RI_NIL) {
            return nil_default(RILLE_QUERY, err);
        }
        self->arg_terms[1] = otherwise;
        self->arg_vars[1] = ri_term_var(scope, otherwise);
        self->args[1] = (ri_arg){ NULL, value != NULL ? *value : ri_nil() };
        self->arg_copies[1] = (ri_vec){ 0 };
        self->arg_count = 2;
    }
    return 0;
}

static int find_function(call_stage *self, rille_err *err)
{
    static const struct {
        const char *name;
        call_kind kind;
    } look_ups[] = { { "get-else", CALL_GET_ELSE }, { "get-some", CALL_GET_SOME }, { "missing?", CALL_MISSING } };
    const char *name = self->stage.clause->name;
    const ri_op_options *options = &self->stage.op->options;
    for (unsigned i = 0; i < sizeof look_ups / sizeof *look_ups; i++) {
        if (strcmp(name, look_ups[i].name) == 0) {
            self->kind = look_ups[i].kind;
            return 0;
        }
    }
    self->builtin = ri_builtin_find(name);
    if (self->builtin != NULL) {
        self->kind = CALL_BUILTIN;
        return 0;
    }
    if (options->has_function == NULL || !options->has_function(options->context, name)) {
        char hint[RI_SUGGESTION_SIZE];
        ri_suggest suggest = ri_suggest_for(name, strlen(name));
        ri_builtin_suggest(&suggest);
        return ri_fail(err, RILLE_QUERY,
                       "unknown function %s%s: it is not built in, and no Lua function of that name is registered "
                       "with rille.fn",
                       name, ri_suggest_show(&suggest, "", hint));
    }
    self->kind = CALL_HOST;
    return 0;
}

int ri_call_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_clause *clause,
                      const ri_varset *bound, const ri_varset *live, ri_stage **out, rille_err *err)
{
    *out = NULL;
    call_stage *self = ri_stage_new(op, scope, sizeof *self, input, clause->kind == RI_CLAUSE_PRED ? "filter" : "call");
    if (self == NULL) {
        return ri_fail_nomem(err);
    }
    self->stage.clause = clause;
    self->arena.meter = op->meter;
    self->stage.work = call_work;
    self->stage.reset = call_reset;
    self->stage.destroy = call_destroy;
    RI_TRY(find_function(self, err));
    if (self->kind == CALL_BUILTIN || self->kind == CALL_HOST) {
        RI_TRY(set_args(self, scope, 0, clause->term_count, err));
    } else {
        RI_TRY(set_look_up(self, scope, err));
    }
    if (clause->kind == RI_CLAUSE_FUNC) {
        RI_TRY(ri_results_init(&self->results, op, scope, clause, bound, live, err));
    }
    self->stage.rest = call_rest;
    self->stage.renew = self->input_names ? NULL : call_renew;
    *out = &self->stage;
    return 0;
}
