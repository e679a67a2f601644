/* SPDX-License-Identifier: MIT
 *
 * From clauses in their order (plan_order.c) to a chain of stages: an access path for each clause.
 *
 * LIVENESS. A stage makes and passes on only columns that a later stage or :find needs.
 */
#include "types.h"

#include "../base/hash.h"

#define FEW_ROWS 8.0
#define RANGE_SHARE 8U /* a range of one in so many datoms is read by value, also where entities should be in order */

/* ---- small stages ---- */

static int none_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    (void)stage;
    (void)out;
    (void)err;
    return RILLE_DONE;
}

ri_stage *ri_none_stage_new(rille_op *op, const ri_scope *scope, ri_stage *input)
{
    ri_stage *stage = ri_stage_new(op, scope, sizeof *stage, input, "nothing matches");
    if (stage != NULL) {
        stage->work = none_work;
        stage->renew = ri_stage_renew;
    }
    return stage;
}

typedef struct unit_stage {
    ri_stage stage;
    bool given;
} unit_stage;

static int unit_work(ri_stage *stage, ri_batch **out, rille_err *err)
{
    unit_stage *self = (unit_stage *)stage;
    (void)err;
    if (self->given) {
        return RILLE_DONE;
    }
    self->given = true;
    stage->out.count = 1;
    *out = &stage->out;
    return 0;
}

static void unit_reset(ri_stage *stage)
{
    ((unit_stage *)stage)->given = false;
}

ri_stage *ri_unit_stage_new(rille_op *op, const ri_scope *scope)
{
    unit_stage *self = ri_stage_new(op, scope, sizeof *self, NULL, "once");
    if (self == NULL) {
        return NULL;
    }
    self->stage.work = unit_work;
    self->stage.reset = unit_reset;
    self->stage.renew = ri_stage_renew;
    return &self->stage;
}

/* ---- patterns on databases ---- */

typedef struct build {
    rille_op *op;
    const ri_plan_input *in;
    const ri_clause *clause;
    ri_varset bound; /* before the clause */
    ri_varset live;  /* after it */
    ri_varset later; /* mentioned by the clauses after it */
    double rows;     /* before it */
    bool one_row;
} build;

/* Is reading the range alone cheaper than reading the attribute by entity? Not when entities then come out of order for
 * a later clause, and there are many of them. */
static bool range_pays(const build *b, const ri_pattern *p, unsigned ends)
{
    bool joins = p->var[RI_POS_E] != RI_NO_VAR && ri_varset_has(&b->later, p->var[RI_POS_E]);
    if (b->op->options.order_seed != 0) { /* in tests: by chance */
        return ri_mix64(b->op->options.order_seed + p->const_count) % 4 != 0;
    }
    return ends != 0 || !joins || p->range->count * RANGE_SHARE <= p->attr_count;
}

static void set_range(const build *b, const ri_pattern *p, ri_matcher *m)
{
    bool from_end = b->in->ends != NULL && b->clause == b->in->first;
    if (p->range == NULL || m->bound[RI_POS_E] != RI_NO_VAR || m->bound[RI_POS_V] != RI_NO_VAR) {
        return;
    }
    unsigned ends = ri_range_bound_ends(p->range, &b->bound);
    if ((ends != 0 || p->range->clause_count > 0) && (from_end || range_pays(b, p, ends))) {
        m->range = p->range;
        m->range_ends = ends;
    }
}

static void set_matcher(const build *b, const ri_pattern *p, ri_matcher *m)
{
    *m = (ri_matcher){ .pattern = p };
    m->slow = p->has[RI_POS_T];
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        ri_var var = p->var[pos];
        m->out[pos] = RI_NO_VAR;
        m->bound[pos] = RI_NO_VAR;
        if (var == RI_NO_VAR) {
            continue;
        }
        bool twice = false;
        for (unsigned other = 0; other < pos; other++) {
            twice = twice || p->var[other] == var;
        }
        m->slow = m->slow || twice;
        if (ri_varset_has(&b->bound, var)) {
            m->bound[pos] = var;
        } else if (!twice && ri_varset_has(&b->live, var)) {
            m->out[pos] = var;
        }
    }
    set_range(b, p, m);
}

/* Does the variable come from an input of several rows? */
static bool is_input(const build *b, ri_var var)
{
    bool found = false;
    for (uint16_t i = 0; b->in->scope == &b->op->scope && i < b->op->in_col_count; i++) {
        found = found || b->op->in_cols[i].var == var;
    }
    return found;
}

/* What names in a bound variable at a position are to be replaced by; false: nothing. */
static bool name_kind(const build *b, const ri_pattern *p, unsigned pos, ri_var var, uint8_t *kind)
{
    bool named = ri_varset_has(&b->in->scope->named, var);
    *kind = RI_NAME_ENTITY;
    if (pos == RI_POS_A) {
        *kind = named || is_input(b, var) ? RI_NAME_GIVEN_ATTR : RI_NAME_ATTR;
        return true;
    }
    if (pos == RI_POS_V && ri_pattern_either(p)) {
        *kind = RI_NAME_EITHER;
    }
    return named && ri_pattern_names(p, pos);
}

/* A stage for names, where bound variables may have some; then the matcher compares with what that gives. */
static int names_stage(const build *b, const ri_pattern *p, ri_matcher *m, ri_stage **last, rille_err *err)
{
    ri_name_spec specs[RI_POS_COUNT];
    uint16_t count = 0;
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        ri_var var = m->bound[pos];
        uint8_t kind;
        if (var != RI_NO_VAR && name_kind(b, p, pos, var, &kind)) {
            m->bound[pos] = ri_hidden_var(b->in->scope, pos);
            specs[count++] = (ri_name_spec){ var, m->bound[pos], kind };
        }
    }
    if (count == 0 || p->nothing) {
        return 0;
    }
    ri_stage *stage = ri_names_stage_new(b->op, b->in->scope, *last, p, specs, count);
    if (stage == NULL) {
        return ri_fail_nomem(err);
    }
    ri_stage_set_carry(stage, &b->bound, &b->bound, b->in->origin);
    stage->clause = b->clause;
    stage->depth = b->in->depth;
    stage->est_rows = b->rows;
    *last = stage;
    return 0;
}

/* Is some bound variable at several positions? Each of them is compared on its own: not by a join's keys. */
static bool bound_twice(const ri_pattern *p, const ri_matcher *m)
{
    bool twice = false;
    for (unsigned i = 0; i < RI_POS_COUNT; i++) {
        for (unsigned j = 0; j < i && m->bound[i] != RI_NO_VAR; j++) {
            twice = twice || p->var[i] == p->var[j];
        }
    }
    return twice;
}

/* With the attribute in a column and nothing else to go by, each row reads its attribute. Where the value is in a column,
 * too, one look at all datoms is better than many rows that read whole attributes. */
static bool reads_by_attr(const build *b, const ri_pattern *p, const ri_matcher *m)
{
    return m->bound[RI_POS_A] != RI_NO_VAR && m->bound[RI_POS_E] == RI_NO_VAR && !p->nothing && p->attr == NULL &&
           !p->has[RI_POS_E] && !p->v_is_ref && (m->bound[RI_POS_V] == RI_NO_VAR || b->rows <= FEW_ROWS);
}

static ri_access choose_access(const build *b, const ri_pattern *p, const ri_matcher *m)
{
    bool e = m->bound[RI_POS_E] != RI_NO_VAR;
    bool v = m->bound[RI_POS_V] != RI_NO_VAR;
    if (p->nothing || (m->range != NULL && m->range->cuts.empty)) {
        return RI_ACCESS_NONE;
    }
    bool may_join = !b->one_row && !m->by_attr && m->range_ends == 0 && !bound_twice(p, m);
    if (may_join && (e || v) && ri_far_scan_pays(p, b->rows)) {
        return RI_ACCESS_HASH;
    }
    if (e && p->attr != NULL) {
        return v ? RI_ACCESS_EV : RI_ACCESS_E;
    }
    if (e) {
        return RI_ACCESS_E_ANY;
    }
    bool by_v = v && p->attr != NULL && !p->has[RI_POS_E];
    if (by_v && p->attr->type == RI_REF) {
        return RI_ACCESS_V_REF;
    }
    if (by_v && p->attr->avet && p->attr->type != RI_NIL) {
        return ri_type_is_word(p->attr->type) ? RI_ACCESS_V_WORD : RI_ACCESS_V_BYTES;
    }
    return may_join ? RI_ACCESS_HASH : RI_ACCESS_SCAN;
}

/* Checks that the access path does not make by itself. */
static void set_checks(const ri_pattern *p, ri_access access, ri_matcher *m)
{
    bool by_e = access == RI_ACCESS_E || access == RI_ACCESS_EV || access == RI_ACCESS_E_ANY;
    bool by_v = access == RI_ACCESS_EV || access == RI_ACCESS_V_REF || access == RI_ACCESS_V_WORD ||
                access == RI_ACCESS_V_BYTES;
    m->filter_v = by_e && p->has[RI_POS_V];
    m->slow = m->slow || (m->bound[RI_POS_E] != RI_NO_VAR && !by_e) || (m->bound[RI_POS_V] != RI_NO_VAR && !by_v) ||
              m->bound[RI_POS_A] != RI_NO_VAR || m->bound[RI_POS_T] != RI_NO_VAR || m->bound[RI_POS_ADDED] != RI_NO_VAR;
}

/* A scan of the pattern on its own, into a table, joined by all bound variables (or what stands for them in m). */
static ri_stage *hash_stage(const build *b, const ri_pattern *p, const ri_matcher *m, ri_stage *input)
{
    rille_op *op = b->op;
    ri_arena *arena = &op->plan_arena;
    ri_matcher alone;
    build inner = *b;
    inner.bound = (ri_varset){ { 0 } };
    ri_varset_union(&inner.live, &b->bound);
    set_matcher(&inner, p, &alone);
    ri_join_key *keys = ri_arena_array(arena, RI_POS_COUNT, sizeof *keys);
    ri_join_out *outs = ri_arena_array(arena, RI_POS_COUNT, sizeof *outs);
    ri_var *vars = ri_arena_array(arena, RI_POS_COUNT, sizeof *vars);
    if (keys == NULL || outs == NULL || vars == NULL) {
        return NULL;
    }
    ri_join_spec spec = { .keys = keys, .outs = outs, .build_vars = vars };
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        ri_var var = alone.out[pos];
        if (var == RI_NO_VAR) {
            continue;
        }
        if (ri_varset_has(&b->bound, var)) {
            keys[spec.key_count++] = (ri_join_key){ spec.build_count, m->bound[pos], ri_nil() };
        } else {
            outs[spec.out_count++] = (ri_join_out){ spec.build_count, var };
        }
        vars[spec.build_count++] = var;
    }
    ri_stage *unit = ri_unit_stage_new(op, b->in->scope);
    if (unit == NULL) {
        return NULL;
    }
    unit->depth = b->in->depth + 1;
    spec.build = ri_scan_stage_new(op, b->in->scope, unit, &alone);
    if (spec.build == NULL) {
        return NULL;
    }
    ri_varset none = { { 0 } };
    ri_stage_set_carry(spec.build, &none, &none, false);
    spec.build->clause = b->clause;
    return ri_join_stage_new(op, b->in->scope, input, &spec, spec.key_count > 0 ? "hash join" : "cross product");
}

static int pattern_stage(const build *b, ri_stage **last, rille_err *err)
{
    ri_pattern *p = NULL;
    RI_TRY(ri_pattern_resolve(b->op, b->in->scope, b->clause, &p, err));
    ri_matcher m;
    set_matcher(b, p, &m);
    RI_TRY(names_stage(b, p, &m, last, err));
    m.by_attr = reads_by_attr(b, p, &m);
    ri_access access = choose_access(b, p, &m);
    set_checks(p, access, &m);
    ri_stage *stage = NULL;
    switch (access) {
    case RI_ACCESS_NONE:
        stage = ri_none_stage_new(b->op, b->in->scope, *last);
        break;
    case RI_ACCESS_SCAN:
        stage = b->in->ends != NULL && b->clause == b->in->first
                    ? ri_ends_stage_new(b->op, b->in->scope, *last, &m, b->in->ends)
                    : ri_scan_stage_new(b->op, b->in->scope, *last, &m);
        break;
    case RI_ACCESS_HASH:
        stage = hash_stage(b, p, &m, *last);
        break;
    case RI_ACCESS_E:
    case RI_ACCESS_EV:
    case RI_ACCESS_V_REF:
    case RI_ACCESS_V_WORD:
    case RI_ACCESS_V_BYTES:
    case RI_ACCESS_E_ANY:
        stage = ri_probe_stage_new(b->op, b->in->scope, *last, &m, access);
        break;
    }
    if (stage != NULL && access == RI_ACCESS_NONE && !p->nothing) {
        stage->range = m.range; /* which is empty */
    }
    *last = stage;
    return stage == NULL ? ri_fail_nomem(err) : 0;
}

/* ---- patterns on relations ---- */

static int relation_stage(const build *b, const ri_table *table, ri_stage **last, rille_err *err)
{
    const ri_clause *clause = b->clause;
    const ri_scope *scope = b->in->scope;
    uint16_t count = clause->term_count;
    ri_join_spec spec;
    if (table->count > 0 && count > table->col_count) {
        return ri_fail(err, RILLE_QUERY, "a pattern on source %s has %u terms, but its rows have only %u value%s",
                       b->op->query->source_names[ri_scope_source(scope, clause->source)], count, table->col_count,
                       table->col_count == 1 ? "" : "s");
    }
    RI_TRY(ri_join_terms(b->op, scope, clause, table, &b->bound, &b->live, &spec, err));
    *last = table->count == 0 ? ri_none_stage_new(b->op, scope, *last)
                              : ri_join_stage_new(b->op, scope, *last, &spec, "join rows");
    return *last == NULL ? ri_fail_nomem(err) : 0;
}

/* ---- not, or ---- */

static int sub_chain(const build *b, const ri_clause *clauses, uint16_t count, const ri_varset *live, ri_feed **feed,
                     ri_stage **body, rille_err *err)
{
    ri_varset joined = { { 0 } };
    for (uint16_t i = 0; i < b->clause->join_count; i++) {
        if (ri_varset_has(&b->bound, b->clause->join_vars[i])) {
            ri_varset_add(&joined, b->clause->join_vars[i]);
        }
    }
    ri_varset given = { { 0 } }; /* a not has all of them bound, an or what it needs */
    RI_TRY(ri_clause_required(b->clause, &b->op->rules, &given) != 0 ? ri_fail_nomem(err) : 0);
    ri_varset_intersect(&given, &joined);
    *feed = ri_feed_new(b->op, b->in->scope, &joined);
    if (*feed == NULL) {
        return ri_fail_nomem(err);
    }
    (*feed)->stage.depth = b->in->depth + 1;
    (*feed)->stage.clause = b->clause;
    ri_plan_input in = { .scope = b->in->scope,
                         .clauses = clauses,
                         .count = count,
                         .bound = joined,
                         .live = *live,
                         .given = given,
                         .rows = b->rows < RI_BATCH_ROWS ? b->rows : RI_BATCH_ROWS,
                         .one_row = b->one_row,
                         .origin = true,
                         .depth = b->in->depth + 1 };
    *body = &(*feed)->stage;
    return ri_plan_body(b->op, &in, body, err);
}

static int not_stage(const build *b, ri_stage **last, rille_err *err)
{
    ri_feed *feed = NULL;
    ri_stage *body = NULL;
    ri_varset none = { { 0 } };
    RI_TRY(sub_chain(b, b->clause->body, b->clause->body_count, &none, &feed, &body, err));
    *last = ri_not_stage_new(b->op, b->in->scope, *last, feed, body);
    return *last == NULL ? ri_fail_nomem(err) : 0;
}

static int or_stage(const build *b, ri_stage **last, rille_err *err)
{
    const ri_clause *clause = b->clause;
    ri_or_branch *branches = ri_arena_array(&b->op->plan_arena, clause->body_count + 1U, sizeof *branches);
    if (branches == NULL) {
        return ri_fail_nomem(err);
    }
    ri_varset made = { { 0 } };
    ri_varset known = ri_known_vars(b->in->scope, &b->bound);
    for (uint16_t i = 0; i < clause->join_count; i++) {
        ri_var var = clause->join_vars[i];
        if (!ri_varset_has(&known, var) && ri_varset_has(&b->live, var)) {
            ri_varset_add(&made, var);
        }
    }
    for (uint16_t i = 0; i < clause->body_count; i++) {
        const ri_clause *branch = &clause->body[i];
        bool is_and = branch->kind == RI_CLAUSE_AND;
        RI_TRY(sub_chain(b, is_and ? branch->body : branch, is_and ? branch->body_count : 1, &made, &branches[i].feed,
                         &branches[i].body, err));
    }
    *last = ri_or_stage_new(b->op, b->in->scope, *last, branches, clause->body_count, &made);
    return *last == NULL ? ri_fail_nomem(err) : 0;
}

/* (missing? $ ?e :attr) is (not [$ ?e :attr]): the not, or NULL when it is not of this form. */
static const ri_clause *missing_as_not(const build *b)
{
    const ri_clause *call = b->clause;
    bool named = call->term_count > 0 && call->terms[0].kind == RI_TERM_SOURCE;
    const ri_term *terms = call->terms + named;
    if (strcmp(call->name, "missing?") != 0 || call->term_count - named != 2 || terms[1].kind != RI_TERM_CONST ||
        (terms[1].v.type != RI_KEYWORD && terms[1].v.type != RI_STRING) ||
        ri_term_var(b->in->scope, &terms[0]) == RI_NO_VAR) {
        return NULL;
    }
    uint16_t source = named ? call->terms[0].source : b->in->scope->source_default;
    uint16_t at = ri_scope_source(b->in->scope, source);
    ri_clause *clauses = ri_arena_array(&b->op->plan_arena, 2, sizeof *clauses);
    ri_var *joined = ri_arena_array(&b->op->plan_arena, 1, sizeof *joined);
    if (clauses == NULL || joined == NULL || at >= b->op->source_count || b->op->sources[at].db == NULL) {
        return NULL;
    }
    *joined = terms[0].var;
    clauses[1] = (ri_clause){ .kind = RI_CLAUSE_PATTERN,
                              .source = source,
                              .offset = call->offset,
                              .terms = call->terms + named,
                              .term_count = 2,
                              .number = call->number };
    clauses[0] = (ri_clause){ .kind = RI_CLAUSE_NOT,
                              .source = source,
                              .offset = call->offset,
                              .join_vars = joined,
                              .join_count = 1,
                              .body = &clauses[1],
                              .body_count = 1,
                              .number = call->number };
    return clauses;
}

static int call_stage(const build *b, ri_stage **last, rille_err *err)
{
    build as_not = *b;
    as_not.clause = b->clause->kind == RI_CLAUSE_PRED ? missing_as_not(b) : NULL;
    if (as_not.clause != NULL) {
        return not_stage(&as_not, last, err);
    }
    ri_stage *input = *last;
    return ri_call_stage_new(b->op, b->in->scope, input, b->clause, &b->bound, &b->live, last, err);
}

/* ---- stages ---- */

static int clause_stage(const build *b, ri_stage **last, rille_err *err)
{
    switch ((ri_clause_kind)b->clause->kind) {
    case RI_CLAUSE_PATTERN: {
        uint16_t at;
        RI_TRY(ri_pattern_source(b->op, b->in->scope, b->clause, &at, err));
        const ri_source *source = &b->op->sources[at];
        return source->db != NULL ? pattern_stage(b, last, err) : relation_stage(b, source->table, last, err);
    }
    case RI_CLAUSE_PRED:
    case RI_CLAUSE_FUNC:
        return call_stage(b, last, err);
    case RI_CLAUSE_NOT:
        return not_stage(b, last, err);
    case RI_CLAUSE_OR:
        return or_stage(b, last, err);
    case RI_CLAUSE_RULE: {
        ri_stage *input = *last;
        return ri_rule_stages(b->op, b->in->scope, input, b->clause, &b->bound, &b->live, b->in->origin, last, err);
    }
    case RI_CLAUSE_AND:
        break; /* taken apart by or */
    }
    return ri_fail(err, RILLE_INTERNAL, "a clause of kind %u outside or", b->clause->kind);
}

/* Does the clause give the variables of a joined class in one form already? */
static bool gives_one_form(const build *b)
{
    ri_pattern *p = NULL;
    uint16_t at;
    switch ((ri_clause_kind)b->clause->kind) {
    case RI_CLAUSE_PATTERN:
        if (ri_pattern_source(b->op, b->in->scope, b->clause, &at, NULL) != 0 || b->op->sources[at].db == NULL ||
            ri_pattern_resolve(b->op, b->in->scope, b->clause, &p, NULL) != 0 || p->attr == NULL) {
            return false;
        }
        return p->attr->type != RI_NIL && p->attr->type != RI_TUPLE &&
               ri_types_within(RI_TYPES_ONE(p->attr->type) & RI_TYPES_NUMBER, RI_TYPES_INTEGER);
    case RI_CLAUSE_RULE:
    case RI_CLAUSE_OR:
    case RI_CLAUSE_AND:
    case RI_CLAUSE_NOT:
    case RI_CLAUSE_PRED:
        return true; /* by their bodies */
    case RI_CLAUSE_FUNC:
        break;
    }
    return false;
}

int ri_plan_forms(rille_op *op, const ri_plan_input *in, const ri_varset *before, const ri_varset *after,
                  ri_stage **last, rille_err *err)
{
    ri_varset vars = { { 0 } };
    for (ri_var var = 0; var < in->scope->var_count; var++) {
        if (ri_varset_has(after, var) && !ri_varset_has(before, var) && ri_var_one_form(op, in->scope, var)) {
            ri_varset_add(&vars, var);
        }
    }
    if (ri_varset_empty(&vars)) {
        return 0;
    }
    ri_stage *input = *last;
    *last = ri_form_stage_new(op, in->scope, input, &vars, after, in->origin);
    if (*last == NULL) {
        return ri_fail_nomem(err);
    }
    (*last)->depth = in->depth;
    (*last)->est_rows = input->est_rows;
    return 0;
}

int ri_plan_stages(rille_op *op, const ri_plan_input *in, const uint16_t *order, const double *est, uint16_t from,
                   uint16_t to, ri_varset *bound, ri_stage **last, rille_err *err)
{
    bool one_row = in->one_row;
    for (uint16_t at = 0; at < from; at++) {
        one_row = one_row && ri_clause_filters(&in->clauses[order[at]]);
    }
    for (uint16_t at = from; at < to; at++) {
        const ri_clause *clause = &in->clauses[order[at]];
        build b = { op, in, clause, *bound, in->live, { { 0 } }, at > 0 ? est[at - 1] : in->rows, one_row };
        for (uint16_t later = (uint16_t)(at + 1); later < in->count; later++) {
            ri_outer_vars(&in->clauses[order[later]], &b.later);
        }
        ri_varset_union(&b.live, &b.later);
        ri_stage *input = *last;
        RI_TRY(ri_fail_in(op, in->scope, clause, clause_stage(&b, last, err), err));
        ri_stage *stage = *last;
        stage->clause = clause;
        stage->est_rows = est[at];
        stage->depth = in->depth;
        if (stage->carry == NULL && stage != input) {
            ri_stage_set_carry(stage, bound, &b.live, in->origin);
        }
        ri_varset after = *bound;
        ri_clause_provides(clause, &after);
        ri_varset_subtract(&after, &in->scope->is_fixed);
        ri_varset_intersect(&after, &b.live);
        if (!gives_one_form(&b)) {
            RI_TRY(ri_plan_forms(op, in, bound, &after, last, err));
        }
        *bound = after;
        one_row = one_row && ri_clause_filters(clause);
    }
    return 0;
}

int ri_plan_body(rille_op *op, const ri_plan_input *given, ri_stage **last, rille_err *err)
{
    ri_plan_input planned = *given;
    ri_plan_input *in = &planned;
    uint16_t *order = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *order);
    double *est = ri_arena_array(&op->plan_arena, in->count + 1U, sizeof *est);
    if (order == NULL || est == NULL) {
        return ri_fail_nomem(err);
    }
    RI_TRY(in->whole ? ri_plan_query_order(op, in, order, est, err) : ri_plan_order(op, in, order, est, err));
    ri_varset bound = in->bound;
    return ri_plan_stages(op, in, order, est, 0, in->count, &bound, last, err);
}
