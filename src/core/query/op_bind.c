/* SPDX-License-Identifier: MIT
 *
 * Binding the results of functions: ?x, [?x ...], [?x _ ?y], [[?x ?y]]. A variable that is bound already makes the
 * result a condition. A nil result gives no row.
 */
#include "exec.h"

static void dest_init(ri_results *results, const ri_scope *scope, const ri_varset *bound, const ri_varset *live,
                      uint16_t at)
{
    const ri_binding *binding = &results->clause->binding;
    ri_dest *dest = &results->dests[at];
    ri_var var = binding->vars[at];
    *dest = (ri_dest){ .kind = RI_DEST_NONE, .var = var };
    if (var == RI_NO_VAR) {
        return;
    }
    if (scope->fixed != NULL && ri_varset_has(&scope->is_fixed, var)) {
        dest->kind = RI_DEST_CONST;
        dest->value = scope->fixed[var];
        return;
    }
    if (ri_varset_has(bound, var)) {
        dest->kind = RI_DEST_EQUAL;
        return;
    }
    dest->kind = ri_varset_has(live, var) ? RI_DEST_NEW : RI_DEST_NONE;
}

int ri_results_init(ri_results *results, rille_op *op, const ri_scope *scope, const ri_clause *clause,
                    const ri_varset *bound, const ri_varset *live, rille_err *err)
{
    uint16_t count = clause->binding.var_count;
    *results = (ri_results){ .clause = clause };
    results->dests = ri_arena_array(&op->plan_arena, count + 1U, sizeof *results->dests);
    results->values = ri_arena_array(&op->plan_arena, count + 1U, sizeof *results->values);
    results->sel = ri_arena_array(&op->plan_arena, RI_BATCH_ROWS, sizeof *results->sel);
    if (results->dests == NULL || results->values == NULL || results->sel == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = 0; i < count; i++) {
        dest_init(results, scope, bound, live, i);
    }
    return 0;
}

void ri_results_renew(ri_results *results, const ri_scope *scope)
{
    for (uint16_t i = 0; results->dests != NULL && i < results->clause->binding.var_count; i++) {
        if (results->dests[i].kind == RI_DEST_CONST) {
            results->dests[i].value = scope->fixed[results->dests[i].var];
        }
    }
}

void ri_results_start(ri_results *results)
{
    results->row = 0;
    results->in_row = false;
}

static int no_tuple(const ri_results *results, const ri_value *v, rille_err *err)
{
    char shown[96];
    return ri_fail(err, RILLE_TYPE, "function %s returned %s, but its binding expects a collection",
                   results->clause->name, ri_value_show(shown, sizeof shown, v));
}

/* Takes a tuple apart into results->values. As with inputs, a tuple binding expects as many elements as it has places,
 * and a relation binding that many or more. */
static int take_apart(ri_results *results, const ri_value *v, bool exact, rille_err *err)
{
    if (v->type != RI_TUPLE) {
        return no_tuple(results, v, err);
    }
    uint16_t count = results->clause->binding.var_count;
    ri_reader reader = ri_reader_of(v->as.p, v->len);
    uint16_t n = 0;
    while (n < count && ri_reader_left(&reader) > 0 && !reader.bad) {
        results->values[n++] = ri_value_read(&reader);
    }
    if (n < count || (exact && ri_reader_left(&reader) > 0)) {
        char shown[96];
        return ri_fail(err, RILLE_TYPE, "function %s returned %s, but its binding expects %u elements%s",
                       results->clause->name, ri_value_show(shown, sizeof shown, v), (unsigned)count,
                       exact ? "" : " or more");
    }
    return 0;
}

/* The values of the next tuple of the row; RILLE_DONE: no more. */
static int next_tuple(ri_results *results, const ri_vec *result, rille_err *err)
{
    ri_value v = ri_vec_get(result, results->row);
    ri_binding_kind kind = (ri_binding_kind)results->clause->binding.kind;
    if (v.type == RI_NIL) {
        return RILLE_DONE;
    }
    if (kind == RI_BIND_SCALAR || kind == RI_BIND_TUPLE) {
        if (results->in_row) {
            return RILLE_DONE;
        }
        results->in_row = true;
        results->values[0] = v;
        return kind == RI_BIND_TUPLE ? take_apart(results, &v, true, err) : 0;
    }
    if (!results->in_row) {
        if (v.type != RI_TUPLE) {
            return no_tuple(results, &v, err);
        }
        results->reader = ri_reader_of(v.as.p, v.len);
        results->in_row = true;
    }
    if (ri_reader_left(&results->reader) == 0 || results->reader.bad) {
        return RILLE_DONE;
    }
    results->values[0] = ri_value_read(&results->reader);
    if (kind == RI_BIND_RELATION) {
        ri_value row = results->values[0];
        return take_apart(results, &row, false, err);
    }
    return 0;
}

static bool tuple_holds(const ri_results *results, const ri_batch *in)
{
    for (uint16_t i = 0; i < results->clause->binding.var_count; i++) {
        const ri_dest *dest = &results->dests[i];
        const ri_value *v = &results->values[i];
        bool holds = v->type != RI_NIL || dest->kind == RI_DEST_NONE;
        if (dest->kind == RI_DEST_EQUAL) {
            ri_value other = ri_vec_get(&in->cols[dest->var], results->row);
            holds = ri_same_value(v, &other);
        } else if (dest->kind == RI_DEST_CONST) {
            holds = ri_same_value(v, &dest->value);
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}

#define VALUE_UNITS 8U /* of work for a value, beside its bytes */

static size_t tuple_units(const ri_results *results)
{
    size_t units = 0;
    for (uint16_t i = 0; i < results->clause->binding.var_count; i++) {
        units += VALUE_UNITS + results->values[i].len;
    }
    return units;
}

int ri_results_next(ri_results *results, ri_stage *stage, const ri_batch *in, const ri_vec *result, bool *more,
                    rille_err *err)
{
    uint32_t n = 0;
    uint16_t count = results->clause->binding.var_count;
    while (results->row < in->count && n < RI_BATCH_ROWS) {
        int rc = next_tuple(results, result, err);
        if (rc == RILLE_DONE) {
            results->row++;
            results->in_row = false;
            continue;
        }
        RI_TRY(rc);
        RI_TRY(ri_work(stage->op->meter, tuple_units(results), err));
        if (!tuple_holds(results, in)) {
            continue;
        }
        for (uint16_t i = 0; i < count; i++) {
            if (results->dests[i].kind == RI_DEST_NEW) {
                ri_vec *buf = ri_stage_buf(stage, results->dests[i].var);
                if (buf == NULL) {
                    return ri_fail_nomem(err);
                }
                ri_vec_set(buf, n, &results->values[i]);
            }
        }
        results->sel[n++] = results->row;
    }
    *more = results->row < in->count;
    stage->out.count = 0;
    if (n == 0) {
        return 0;
    }
    RI_TRY(ri_stage_carry(stage, in, results->sel, n, err));
    for (uint16_t i = 0; i < count; i++) {
        if (results->dests[i].kind == RI_DEST_NEW) {
            stage->out.cols[results->dests[i].var] = stage->bufs[results->dests[i].var];
        }
    }
    return 0;
}
