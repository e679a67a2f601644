/* SPDX-License-Identifier: MIT
 *
 * Point queries: where each pattern has at most one match, which one descent finds, a run needs neither counts nor stages.
 *
 *   [?e :p/uid ?uid]     the value of a unique attribute is known: it gives the entity
 *   [?e :p/salary ?s]    the entity is known, the attribute has one value: it gives the value
 *   [?e :p/sex "f"]      the whole datom is known: it is there, or not
 *
 * When a plan is made, the patterns are put in an order in which each is of one of these kinds, if there is one. Other runs
 * of the query (again.c) resolve their constants as ever, and look the patterns up one after the other. What does not come
 * out as one plain value (several datoms, long values, tuples) is left to the plan.
 *
 * A variable is known as an entity where an earlier pattern gives it, as its entity or as the value of a ref. No other
 * variable may be given twice, so numbers need no common form (types.h).
 *
 * Cost: a descent for each pattern. The leaves are held until the operation rests.
 */
#include "lookups.h"

typedef struct lookup {
    const ri_pattern *pattern;
    uint8_t order; /* AVET: value to entity; EAVT */
    uint8_t parts;
    ri_var e; /* known: part of the key; RI_NO_VAR: the pattern's constant */
    ri_var v;
    ri_var gives; /* RI_NO_VAR: nothing */
} lookup;

struct ri_lookups {
    uint16_t count;
    uint16_t elem_count;
    lookup *lookups;
    ri_object **held; /* leaves, one a lookup; NULL: none */
    ri_value *values; /* by variable */
    ri_vec *rows;     /* what op->rows points to: a row of one value a column */
    uint64_t *words;
    uint32_t *lens;
};

/* ---- recognising one ---- */

typedef struct known_vars {
    ri_varset entities;
    ri_varset all;
} known_vars;

static bool is_known(const ri_varset *vars, ri_var var)
{
    return var != RI_NO_VAR && ri_varset_has(vars, var);
}

/* Of a pattern whose entity is known. */
static bool finds_value(const ri_pattern *p, const known_vars *known, lookup *out)
{
    ri_var v = p->var[RI_POS_V];
    bool v_known = is_known(&known->entities, v) && p->attr->type == RI_REF;
    out->order = RI_EAVT;
    out->e = p->var[RI_POS_E];
    out->v = v_known ? v : RI_NO_VAR;
    out->gives = v_known ? RI_NO_VAR : v;
    out->parts = p->has[RI_POS_V] || v_known ? 3 : 2;
    return out->parts == 3 || (!p->attr->many && !is_known(&known->all, v));
}

/* Of one whose entity is not known. */
static bool finds_entity(const ri_pattern *p, const known_vars *known, lookup *out)
{
    ri_var v = p->var[RI_POS_V];
    bool v_known = is_known(&known->entities, v) && p->attr->type == RI_REF;
    out->order = RI_AVET;
    out->e = RI_NO_VAR;
    out->v = v_known ? v : RI_NO_VAR;
    out->gives = p->var[RI_POS_E];
    out->parts = 2;
    return p->attr->unique != RI_UNIQUE_NO && (p->has[RI_POS_V] || v_known);
}

static bool is_lookup(const ri_pattern *p, const known_vars *known, lookup *out)
{
    if (p->attr == NULL || p->attr->type == RI_NIL || p->nothing || p->has[RI_POS_T] || p->var[RI_POS_T] != RI_NO_VAR ||
        p->var[RI_POS_ADDED] != RI_NO_VAR) {
        return false;
    }
    bool e_known = p->has[RI_POS_E] || is_known(&known->entities, p->var[RI_POS_E]);
    out->pattern = p;
    return e_known ? finds_value(p, known, out) : finds_entity(p, known, out);
}

static void note_given(const lookup *l, known_vars *known)
{
    if (l->gives != RI_NO_VAR) {
        ri_varset_add(&known->all, l->gives);
        if (l->order == RI_AVET || l->pattern->attr->type == RI_REF) {
            ri_varset_add(&known->entities, l->gives);
        }
    }
}

static const ri_pattern *pattern_of(const rille_op *op, const ri_clause *clause)
{
    const ri_pattern *p = clause->kind == RI_CLAUSE_PATTERN ? op->patterns : NULL;
    while (p != NULL && (p->terms != clause->terms || p->scope != &op->scope)) {
        p = p->next;
    }
    return p;
}

#define LOOKUPS_MAX 16U

/* Finds an order. False: there is none. */
static bool find_lookups(const rille_op *op, lookup *out, known_vars *known)
{
    const rille_query *query = op->query;
    bool done[LOOKUPS_MAX] = { false };
    uint16_t count = 0;
    for (bool found = true; found && count < query->where_count;) {
        found = false;
        for (uint16_t i = 0; i < query->where_count; i++) {
            const ri_pattern *p = done[i] ? NULL : pattern_of(op, &query->where[i]);
            if (p != NULL && is_lookup(p, known, &out[count])) {
                note_given(&out[count], known);
                count++;
                done[i] = found = true;
            }
        }
    }
    return count == query->where_count;
}

static bool finds_variables(const rille_op *op, const known_vars *known)
{
    const rille_query *query = op->query;
    const ri_op_options *options = &op->options;
    bool plain = query->order_count == 0 && query->limit < 0 && query->offset <= 0 && options->limit < 0 &&
                 options->offset <= 0 && op->in_col_count == 0 && !op->empty;
    for (uint16_t i = 0; plain && i < query->find_count; i++) {
        plain = query->find[i].agg == NULL && ri_varset_has(&known->all, query->find[i].var);
    }
    return plain;
}

int ri_lookups_new(rille_op *op, ri_lookups **out, rille_err *err)
{
    const rille_query *query = op->query;
    lookup found[LOOKUPS_MAX];
    known_vars known = { { { 0 } }, { { 0 } } };
    *out = NULL;
    if (query->where_count == 0 || query->where_count > LOOKUPS_MAX || !find_lookups(op, found, &known) ||
        !finds_variables(op, &known)) {
        return 0;
    }
    ri_arena *arena = &op->plan_arena;
    ri_lookups *l = ri_arena_alloc(arena, sizeof *l);
    if (l == NULL) {
        return ri_fail_nomem(err);
    }
    l->count = query->where_count;
    l->elem_count = query->find_count;
    l->lookups = ri_arena_copy(arena, found, l->count * sizeof *found);
    l->held = ri_arena_array(arena, l->count, sizeof(ri_object *));
    l->values = ri_arena_array(arena, query->var_count, sizeof *l->values);
    l->rows = ri_arena_array(arena, l->elem_count, sizeof *l->rows);
    l->words = ri_arena_array(arena, l->elem_count, sizeof *l->words);
    l->lens = ri_arena_array(arena, l->elem_count, sizeof *l->lens);
    if (l->lookups == NULL || l->held == NULL || l->values == NULL || l->rows == NULL || l->words == NULL ||
        l->lens == NULL) {
        return ri_fail_nomem(err);
    }
    for (uint16_t i = 0; i < l->count; i++) {
        l->held[i] = NULL;
    }
    for (uint16_t i = 0; i < l->elem_count; i++) {
        l->rows[i] = (ri_vec){ .words = &l->words[i], .lens = &l->lens[i] };
    }
    *out = l;
    return 0;
}

/* ---- running it ---- */

void ri_lookups_drop(ri_lookups *l)
{
    for (uint16_t i = 0; l != NULL && i < l->count; i++) {
        ri_object_release(l->held[i]);
        l->held[i] = NULL;
    }
}

static bool is_plain(const ri_value *v)
{
    return !ri_type_is_stub(v->type) && v->type != RI_TUPLE;
}

/* RILLE_DONE: there is no match. RILLE_AGAIN: it is not for us. */
static int look_up(ri_lookups *l, uint16_t at, ri_io *io, rille_err *err)
{
    const lookup *own = &l->lookups[at];
    const ri_pattern *p = own->pattern;
    ri_bound key = { .parts = own->parts };
    ri_datom d;
    key.d.a = p->attr->id;
    key.d.e = own->e != RI_NO_VAR ? l->values[own->e].as.u : p->e;
    if (own->v != RI_NO_VAR) {
        key.d.v = l->values[own->v];
    } else if (p->has[RI_POS_V]) {
        key.d.v = p->v;
    }
    if (!is_plain(&key.d.v)) {
        return RILLE_AGAIN;
    }
    RI_TRY(ri_db_only(p->db, (ri_order)own->order, &key, io, &d, &l->held[at], err));
    if (own->gives != RI_NO_VAR) {
        ri_value v = own->order == RI_AVET ? ri_ref(d.e) : d.v;
        l->values[own->gives] = v;
        return is_plain(&v) && (v.type == RI_REF) == (own->order == RI_AVET || p->attr->type == RI_REF) ? 0
                                                                                                        : RILLE_AGAIN;
    }
    return 0;
}

int ri_lookups_next(rille_op *op, rille_err *err)
{
    ri_lookups *l = op->lookups;
    for (uint16_t i = 0; i < l->count; i++) {
        int rc = look_up(l, i, &op->io, err);
        if (rc != 0) {
            ri_lookups_drop(l);
            return rc;
        }
    }
    for (uint16_t i = 0; i < l->elem_count; i++) {
        ri_vec_set(&l->rows[i], 0, &l->values[op->query->find[i].var]);
    }
    op->rows = l->rows;
    op->row_count = 1;
    return RILLE_ROWS;
}
