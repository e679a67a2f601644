/* SPDX-License-Identifier: MIT
 *
 * One form for numbers that may come in several (types.h): the simplest type that holds exactly this number, in the
 * order long, double, bigint, bigdec. Numbers inside of tuples, too.
 *
 * Cost: columns that have only longs, or nothing of numbers, are passed on as they are; of others a copy is made.
 */
#include "types.h"

#include <math.h>
#include <stdlib.h>

#define LONG_DIGITS_MAX 20U /* with the sign */

static void simplest_double(ri_value *v)
{
    double d = v->as.d;
    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == floor(d)) {
        *v = ri_long((int64_t)d);
    }
}

/* A bigint or bigdec: text. */
static void simplest_big(ri_value *v)
{
    char text[LONG_DIGITS_MAX + 1];
    ri_value made;
    double d = 0;
    bool integer = memchr(v->as.p, '.', v->len) == NULL;
    if (integer && v->len <= LONG_DIGITS_MAX) {
        memcpy(text, v->as.p, v->len);
        text[v->len] = '\0';
        made = ri_long(strtoll(text, NULL, 10)); /* out of range: the nearest, which is not equal */
        if (ri_value_eq(v, &made)) {
            *v = made;
            return;
        }
    }
    if (ri_double_parse((const char *)v->as.p, v->len, &d, NULL) == 0) {
        made = ri_double(d);
        if (ri_value_eq(v, &made)) {
            *v = made;
            return;
        }
    }
    v->type = integer ? (uint8_t)RI_BIGINT : v->type;
}

/* The elements of a tuple, one after the other, into buf. */
static void simplest_elements(const ri_value *tuple, ri_buf *buf, unsigned depth)
{
    ri_reader reader = ri_reader_of(tuple->as.p, tuple->len);
    while (ri_reader_left(&reader) > 0 && !reader.bad) {
        ri_value v = ri_value_read(&reader);
        ri_buf inner = { .meter = buf->meter };
        if (v.type == RI_TUPLE && depth < RI_TUPLE_DEPTH_MAX) {
            simplest_elements(&v, &inner, depth + 1);
            buf->failed = buf->failed || inner.failed;
            v = ri_bytes_value(RI_TUPLE, inner.p, inner.len);
        } else if (v.type != RI_TUPLE) {
            (void)ri_simplest(&v, NULL); /* no tuple: needs no memory */
        }
        ri_value_write(buf, &v);
        ri_buf_deinit(&inner);
    }
}

bool ri_simplest(ri_value *v, ri_arena *arena)
{
    if (v->type == RI_DOUBLE) {
        simplest_double(v);
    } else if (v->type == RI_BIGINT || v->type == RI_BIGDEC) {
        simplest_big(v);
    } else if (v->type == RI_TUPLE) {
        ri_buf buf = { .meter = arena->meter };
        simplest_elements(v, &buf, 0);
        ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        bool ok = !buf.failed && ri_value_copy(arena, &tuple, v);
        ri_buf_deinit(&buf);
        return ok;
    }
    return true;
}

/* ---- the stage ---- */

typedef struct form_stage {
    ri_stage stage;
    ri_var *vars;
    uint16_t var_count;
    ri_arena arena; /* of the batch at hand */
} form_stage;

static bool has_one_form(const ri_vec *vec)
{
    return vec->type != RI_MIXED && vec->type != RI_DOUBLE && vec->type != RI_BIGINT && vec->type != RI_BIGDEC &&
           vec->type != RI_TUPLE;
}

static int form_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    form_stage *self = (form_stage *)stage;
    ri_batch *in = NULL;
    RI_TRY(ri_stage_pull(stage, &in, err));
    ri_arena_reset(&self->arena);
    RI_TRY(ri_stage_carry(stage, in, NULL, in->count, err));
    for (uint16_t i = 0; i < self->var_count; i++) {
        const ri_vec *vec = &in->cols[self->vars[i]];
        if (has_one_form(vec)) {
            continue;
        }
        ri_vec *buf = ri_stage_buf(stage, self->vars[i]);
        if (buf == NULL) {
            return ri_fail_nomem(err);
        }
        for (uint32_t row = 0; row < in->count; row++) {
            ri_value v = ri_vec_get(vec, row);
            if (!ri_simplest(&v, &self->arena)) {
                return ri_fail_nomem(err);
            }
            ri_vec_set(buf, row, &v);
        }
        stage->out.cols[self->vars[i]] = *buf;
    }
    *out = &stage->out;
    return 0;
}

static void form_rest(ri_stage *stage)
{
    ri_arena_reset(&((form_stage *)stage)->arena);
}

static void form_destroy(ri_stage *stage)
{
    ri_arena_deinit(&((form_stage *)stage)->arena);
}

ri_stage *ri_form_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input, const ri_varset *vars,
                            const ri_varset *carried, bool origin)
{
    ri_var *list = ri_arena_array(&op->plan_arena, scope->var_count + 1U, sizeof *list);
    form_stage *self = list != NULL ? ri_stage_new(op, scope, sizeof *self, input, "one form") : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->vars = list;
    for (ri_var var = 0; var < scope->var_count; var++) {
        if (ri_varset_has(vars, var)) {
            list[self->var_count++] = var;
        }
    }
    self->stage.work = form_work;
    self->stage.rest = form_rest;
    self->stage.renew = ri_stage_renew;
    self->stage.destroy = form_destroy;
    self->arena.meter = op->meter;
    ri_stage_set_carry(&self->stage, carried, carried, origin);
    return &self->stage;
}
