/* SPDX-License-Identifier: MIT
 *
 * Names: what a value stands for where a database wants an entity or an attribute.
 *
 * In attribute position a keyword or a string is the name of an attribute, wherever it came from. In entity position,
 * and as the value of a ref attribute, a keyword or a string is an ident and [attr value] a lookup ref, but only where
 * the query itself says so: as a constant, in an input of :in, or as an argument of a rule that is one of those
 * (scope->named). What comes out of data or functions is what it is.
 *
 * Constants are resolved with their pattern (pattern.c). For columns this stage stands before the pattern: it gives a
 * hidden column for each position, in which names are replaced by ids (nil: it names nothing), and the pattern joins by
 * that. So probes, hash joins and checks know only numbers, and all agree. Where the attribute is not known, a keyword
 * or a pair may be meant as itself, too: the batch is given twice then, as it is and with the entities. A string is
 * only text there.
 *
 * Cost: columns of ids are passed on as they are; else an ident a row, or a look-up (two descents) a lookup ref.
 */
#include "exec.h"

#define NAME_UNITS 1024U /* of work for a name */
#define ROW_UNITS 8U
#define ASK_MAX 256U /* names that are looked up beyond the one that lacks a node */

typedef struct names_stage {
    ri_stage stage;
    const ri_pattern *pattern; /* that follows: its database is asked */
    ri_name_spec specs[RI_POS_COUNT];
    uint16_t spec_count;
    ri_batch *in;
    uint16_t spec; /* whose column is being made, from this row on */
    uint32_t row;
    ri_vec *bufs; /* by spec */
    uint32_t *sel;
    bool again; /* the batch is to be given with the entities, too */
} names_stage;

static bool names_stage_is_attr(const ri_name_spec *spec)
{
    return spec->kind == RI_NAME_ATTR || spec->kind == RI_NAME_GIVEN_ATTR;
}

static int resolve_name(const names_stage *self, const ri_name_spec *spec, ri_value *v, rille_err *err)
{
    rille_op *op = self->stage.op;
    uint64_t e = 0;
    if (names_stage_is_attr(spec)) {
        const ri_attr *attr = NULL;
        RI_TRY(ri_name_attr(op, self->pattern->db, v, spec->kind == RI_NAME_GIVEN_ATTR, &attr, err));
        e = attr != NULL ? attr->id : 0;
    } else {
        RI_TRY(ri_name_entity(op, self->pattern->db, v, spec->kind == RI_NAME_ENTITY, &e, err));
    }
    *v = e != 0 ? ri_ref(e) : ri_nil();
    return 0;
}

/* What the rows after this one will lack is asked for as well, to be fetched in the same round. */
static int ask_ahead(names_stage *self, const ri_name_spec *spec, rille_err *err)
{
    const ri_vec *vec = &self->in->cols[spec->var];
    uint32_t asked = 0;
    for (uint32_t i = self->row + 1; i < self->in->count && asked < ASK_MAX; i++) {
        ri_value v = ri_vec_get(vec, i);
        if (ri_may_name(&v)) {
            int rc = resolve_name(self, spec, &v, err);
            if (rc != 0 && rc != RILLE_NEED) {
                return rc;
            }
            asked++;
        }
    }
    return RILLE_NEED;
}

/* Makes the columns, row by row, until the unit is full. RILLE_DONE: they are complete. */
static int resolve_columns(names_stage *self, rille_err *err)
{
    for (; self->spec < self->spec_count; self->spec++, self->row = 0) {
        const ri_name_spec *spec = &self->specs[self->spec];
        const ri_vec *vec = &self->in->cols[spec->var];
        ri_vec *buf = &self->bufs[self->spec];
        if (ri_type_is_word(vec->type)) {
            self->stage.out.cols[spec->to] = *vec;
            continue;
        }
        if (buf->words == NULL && !ri_vec_init(buf, &self->stage.op->plan_arena, RI_BATCH_ROWS)) {
            return ri_fail_nomem(err);
        }
        for (; self->row < self->in->count; self->row++) {
            ri_value v = ri_vec_get(vec, self->row);
            bool named = ri_may_name(&v) && (spec->kind != RI_NAME_EITHER || self->again);
            if (ri_unit_is_full(self->stage.op)) {
                return 0;
            }
            RI_TRY(ri_work(self->stage.op->meter, named ? NAME_UNITS : ROW_UNITS, err));
            int rc = named ? resolve_name(self, spec, &v, err) : 0;
            RI_TRY(rc == RILLE_NEED ? ask_ahead(self, spec, err) : rc);
            ri_vec_set(buf, self->row, &v);
        }
        self->stage.out.cols[spec->to] = *buf;
    }
    return RILLE_DONE;
}

/* The second time: rows whose value is a name of something. */
static uint32_t named_rows(const names_stage *self)
{
    uint32_t n = 0;
    for (uint16_t s = 0; s < self->spec_count; s++) {
        const ri_name_spec *spec = &self->specs[s];
        const ri_vec *given = &self->in->cols[spec->var];
        const ri_vec *made = &self->stage.out.cols[spec->to];
        for (uint32_t i = 0; spec->kind == RI_NAME_EITHER && i < self->in->count; i++) {
            ri_value v = ri_vec_get(given, i);
            self->sel[n] = i;
            n += ri_may_name(&v) && ri_vec_get(made, i).type != RI_NIL;
        }
    }
    return n;
}

/* Columns of fewer rows. */
static int cut_columns(names_stage *self, uint32_t n, rille_err *err)
{
    for (uint16_t s = 0; s < self->spec_count; s++) {
        ri_vec *col = &self->stage.out.cols[self->specs[s].to];
        ri_vec *buf = ri_stage_buf(&self->stage, self->specs[s].to);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        ri_vec_gather(col, self->sel, n, buf);
        *col = *buf;
    }
    return ri_stage_carry(&self->stage, self->in, self->sel, n, err);
}

static bool has_either(const names_stage *self)
{
    for (uint16_t s = 0; s < self->spec_count; s++) {
        if (self->specs[s].kind == RI_NAME_EITHER) {
            return !ri_type_is_word(self->in->cols[self->specs[s].var].type);
        }
    }
    return false;
}

/* Unit: a batch, or so many of its rows as take their time. */
static int names_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    names_stage *self = (names_stage *)stage;
    if (self->in == NULL) {
        RI_TRY(ri_stage_pull(stage, &self->in, err));
        self->again = false;
        self->spec = 0;
        self->row = 0;
    }
    int rc = resolve_columns(self, err);
    if (rc != RILLE_DONE) {
        return rc;
    }
    self->spec = 0;
    uint32_t n = self->in->count;
    if (!self->again) {
        RI_TRY(ri_stage_carry(stage, self->in, NULL, n, err));
        self->again = has_either(self);
        self->in = self->again ? self->in : NULL;
    } else {
        n = named_rows(self);
        RI_TRY(cut_columns(self, n, err));
        self->in = NULL;
    }
    *out = n > 0 ? &stage->out : NULL;
    return 0;
}

static void names_reset(ri_stage *stage)
{
    ((names_stage *)stage)->in = NULL;
}

ri_stage *ri_names_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_pattern *pattern,
                             const ri_name_spec *specs, uint16_t spec_count)
{
    names_stage *self = ri_stage_new(op, scope, sizeof *self, input, "names");
    ri_vec *bufs = ri_arena_array(&op->plan_arena, RI_POS_COUNT, sizeof *bufs);
    uint32_t *sel = ri_arena_array(&op->plan_arena, RI_BATCH_ROWS, sizeof *sel);
    if (self == NULL || bufs == NULL || sel == NULL) {
        return NULL;
    }
    memset(bufs, 0, RI_POS_COUNT * sizeof *bufs);
    memcpy(self->specs, specs, spec_count * sizeof *specs);
    self->spec_count = spec_count;
    self->pattern = pattern;
    self->bufs = bufs;
    self->sel = sel;
    self->stage.work = names_work;
    self->stage.reset = names_reset;
    self->stage.renew = ri_stage_renew;
    return &self->stage;
}
