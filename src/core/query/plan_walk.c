/* SPDX-License-Identifier: MIT
 *
 * Walks along orders of clauses (walk.h).
 *
 * A row of a walk has the values of those variables that a later clause of the order needs. Only positions E and V of
 * patterns are counted; each row is looked up as the probe of its clause would do it.
 */
#include "walk.h"

#define ROWS 64U      /* taken along */
#define FILTERED 128U /* looked at where no index has the constant of the first clause; */
#define CLUSTER 8U    /* so many of them lie together */
#define COLS_MAX 8U
#define BYTES_MAX 256U /* of a value */
#define WALKS_MAX 4U
#define MEASURES_MAX (WALKS_MAX * RI_WALK_CLAUSES_MAX)
#define NONE_FOUND 0.5 /* of a sample */

typedef struct rows {
    ri_var vars[COLS_MAX];
    ri_value values[COLS_MAX][ROWS];
    unsigned col_count;
    uint32_t count;
    bool all; /* there are no others */
} rows;

typedef struct measure {
    uint64_t set;
    double rows;
} measure;

struct ri_walk {
    measure measures[MEASURES_MAX];
    unsigned measure_count;
    uint16_t orders[WALKS_MAX][RI_WALK_CLAUSES_MAX];
    unsigned order_count;
    /* the one that is being made */
    ri_plan_input in;
    const uint16_t *order; /* NULL: none */
    uint16_t turned[RI_WALK_CLAUSES_MAX];
    bool turns; /* its first two clauses are to change places */
    uint16_t at;
    uint64_t set;
    ri_varset bound; /* by the clauses before */
    double estimate; /* of rows */
    rows kept[2];    /* the current ones, and those that are being made of them */
    unsigned current;
    bool begun; /* the unit */
};

void ri_walks_forget(rille_op *op)
{
    if (op->walk != NULL) {
        op->walk->measure_count = 0;
        op->walk->order_count = 0;
        op->walk->order = NULL;
    }
}

double ri_walk_rows(const rille_op *op, uint64_t set)
{
    for (unsigned i = 0; op->walk != NULL && i < op->walk->measure_count; i++) {
        if (op->walk->measures[i].set == set) {
            return op->walk->measures[i].rows;
        }
    }
    return -1;
}

const uint16_t *ri_walk_order(const rille_op *op, unsigned i)
{
    return op->walk != NULL && i < op->walk->order_count ? op->walk->orders[i] : NULL;
}

/* ---- what a pattern is looked up by ---- */

/* A position of a pattern: unknown, or the same for all rows, or in a column of them. */
typedef struct part {
    bool constant;
    int col; /* -1: none */
} part;

typedef struct lookup {
    const ri_pattern *p;
    part e;
    part v;
    bool filter; /* no index has the constant value */
} lookup;

static int find_col(const rows *r, ri_var var)
{
    for (unsigned i = 0; i < r->col_count; i++) {
        if (r->vars[i] == var) {
            return (int)i;
        }
    }
    return -1;
}

/* False: it is bound, but its values are not known. */
static bool find_part(const ri_walk *w, const ri_pattern *p, unsigned pos, part *out)
{
    ri_var var = p->var[pos];
    *out = (part){ p->has[pos], var != RI_NO_VAR ? find_col(&w->kept[w->current], var) : -1 };
    bool bound = var != RI_NO_VAR && ri_varset_has(&w->bound, var);
    return (!bound || out->col >= 0) && (var == RI_NO_VAR || !ri_varset_has(&w->in.scope->named, var));
}

/* False: rows of such a pattern are not counted. */
static bool find_lookup(const ri_walk *w, const ri_pattern *p, lookup *out)
{
    *out = (lookup){ .p = p };
    bool twice = p->var[RI_POS_E] != RI_NO_VAR && p->var[RI_POS_E] == p->var[RI_POS_V];
    bool more = p->has[RI_POS_T] || p->has[RI_POS_ADDED];
    for (unsigned pos = RI_POS_T; pos <= RI_POS_ADDED; pos++) {
        more = more || (p->var[pos] != RI_NO_VAR && ri_varset_has(&w->bound, p->var[pos]));
    }
    if (twice || more || p->attr == NULL || !find_part(w, p, RI_POS_E, &out->e) ||
        !find_part(w, p, RI_POS_V, &out->v)) {
        return false;
    }
    bool e = out->e.constant || out->e.col >= 0;
    bool indexed = p->attr->type == RI_REF || (p->attr->avet && p->attr->type != RI_NIL);
    out->filter = !e && out->v.constant && !indexed;
    return (e || out->v.col < 0 || indexed) && (!out->filter || w->kept[w->current].count == 1);
}

/* The datoms of a pattern for a row. !*fits: there can be none. */
static int find_range(rille_op *op, const lookup *l, const rows *r, uint32_t row, ri_order *order, ri_bound *from,
                      ri_bound *to, bool *fits, rille_err *err)
{
    const ri_pattern *p = l->p;
    uint32_t a = p->attr->id;
    uint64_t e = l->e.col >= 0 ? ri_entity_of(&r->values[l->e.col][row]) : p->e;
    bool filter;
    ri_value v = p->v;
    *fits = l->e.col < 0 || e != 0;
    if (l->v.col >= 0) {
        v = r->values[l->v.col][row];
        RI_TRY(*fits ? ri_attr_fit(p->attr, &v, &op->values, &v, fits, err) : 0);
    }
    if (!*fits) {
        return 0;
    }
    bool has_e = l->e.constant || l->e.col >= 0;
    bool has_v = l->v.constant || l->v.col >= 0;
    if (has_e) {
        *order = RI_AEVT;
        *from = has_v ? ri_bound_eav(e, a, &v, false) : ri_bound_ea(e, a, false);
        *to = has_v ? ri_bound_eav(e, a, &v, true) : ri_bound_ea(e, a, true);
    } else if (l->v.col >= 0 && p->attr->type == RI_REF) {
        *order = RI_VAET;
        *from = ri_bound_va(v.as.u, a, false);
        *to = ri_bound_va(v.as.u, a, true);
    } else if (l->v.col >= 0) {
        *order = RI_AVET;
        *from = ri_bound_av(a, &v, false);
        *to = ri_bound_av(a, &v, true);
    } else {
        ri_pattern_range(p, order, from, to, &filter);
        if (p->range != NULL && p->range->clause_count > 0 && !p->range->cuts.empty) {
            ri_cuts_bounds(&p->range->cuts, p->attr, order, from, to);
        }
    }
    return 0;
}

/* ---- a step ---- */

/* Is a variable needed by clauses after the current one? */
static bool is_needed(const ri_walk *w, ri_var var)
{
    bool needed = false;
    for (uint16_t at = (uint16_t)(w->at + 1); at < w->in.count && !needed; at++) {
        ri_varset vars = { { 0 } };
        ri_clause_vars(&w->in.clauses[w->order[at]], &vars);
        needed = ri_varset_has(&vars, var);
    }
    return needed;
}

/* Columns of the next rows: those that stay, and new ones; *e and *v get theirs, or -1. */
static void begin_rows(ri_walk *w, const lookup *l, int *e, int *v)
{
    const rows *now = &w->kept[w->current];
    rows *next = &w->kept[1 - w->current];
    next->count = 0;
    next->col_count = 0;
    for (unsigned i = 0; i < now->col_count; i++) {
        if (is_needed(w, now->vars[i])) {
            next->vars[next->col_count++] = now->vars[i];
        }
    }
    int *cols[2] = { e, v };
    const part *parts[2] = { &l->e, &l->v };
    for (unsigned i = 0; i < 2; i++) {
        ri_var var = l->p->var[i == 0 ? RI_POS_E : RI_POS_V];
        bool makes = var != RI_NO_VAR && !parts[i]->constant && parts[i]->col < 0 && is_needed(w, var);
        *cols[i] = makes && next->col_count < COLS_MAX ? (int)next->col_count : -1;
        if (*cols[i] >= 0) {
            next->vars[next->col_count++] = var;
        }
    }
}

/* A value that outlives its leaf; nil where it is too long, which no lookup finds. */
static int keep_value(rille_op *op, const ri_value *v, ri_value *out, rille_err *err)
{
    *out = *v;
    if (ri_type_is_word(v->type)) {
        return 0;
    }
    if (ri_type_is_stub(v->type) || v->len > BYTES_MAX) {
        *out = ri_nil();
        return 0;
    }
    return ri_value_copy(&op->values, v, out) ? 0 : ri_fail_nomem(err);
}

static int add_row(rille_op *op, ri_walk *w, uint32_t row, const ri_datom *d, int e, int v, rille_err *err)
{
    const rows *now = &w->kept[w->current];
    rows *next = &w->kept[1 - w->current];
    for (unsigned i = 0; i < next->col_count; i++) {
        if ((int)i == e) {
            next->values[i][next->count] = ri_ref(d->e);
        } else if ((int)i == v) {
            RI_TRY(keep_value(op, &d->v, &next->values[i][next->count], err));
        } else {
            next->values[i][next->count] = now->values[find_col(now, next->vars[i])][row];
        }
    }
    next->count++;
    return 0;
}

/* Number i of n, of `count` at even distances. */
static uint64_t number_of(uint32_t i, uint32_t n, uint32_t cluster, uint64_t count)
{
    uint32_t clusters = n / cluster;
    uint64_t number = (uint64_t)(((double)(i / cluster) + 0.5) * (double)count / clusters) + i % cluster;
    return number < count ? number : count - 1;
}

/* Which of all matches are taken. */
typedef struct picks {
    uint64_t counts[ROWS]; /* by row */
    uint64_t sum;
    uint32_t count;
    uint32_t cluster;
    uint32_t found; /* that pass the filter */
    int e;          /* columns of the next rows */
    int v;
} picks;

static int pick_one(rille_op *op, ri_walk *w, const lookup *l, picks *k, uint32_t row, const ri_picker *picker,
                    uint64_t number, rille_err *err)
{
    ri_datom d;
    ri_object *hold = NULL;
    int rc = ri_picker_get(picker, number, &op->io, &d, &hold, err);
    bool found = rc == 0 && (!l->filter || ri_same_value(&d.v, &l->p->v));
    k->found += found;
    if (found && w->kept[1 - w->current].count < ROWS) {
        rc = add_row(op, w, row, &d, k->e, k->v, err);
    }
    ri_object_release(hold);
    return rc == RILLE_DONE ? 0 : rc;
}

/* Those of one row: from *next on. */
static int pick_row(rille_op *op, ri_walk *w, const lookup *l, picks *k, uint32_t row, uint64_t before, uint32_t *next,
                    rille_err *err)
{
    ri_order order;
    ri_bound from;
    ri_bound to;
    ri_picker picker;
    bool fits;
    bool need = false;
    bool reads = k->e >= 0 || k->v >= 0 || l->filter;
    int rc = find_range(op, l, &w->kept[w->current], row, &order, &from, &to, &fits, err);
    if (rc != 0) {
        return rc;
    }
    rc = reads ? ri_picker_init(&picker, l->p->db, order, &from, &to, &op->io, err) : 0;
    for (; rc == 0 && *next < k->count; (*next)++) {
        uint64_t number = number_of(*next, k->count, k->cluster, k->sum);
        if (number >= before + k->counts[row]) {
            break;
        }
        if (!reads) {
            rc = add_row(op, w, row, NULL, -1, -1, err);
        } else if (number - before < picker.count) {
            rc = pick_one(op, w, l, k, row, &picker, number - before, err);
        }
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED ? 0 : rc; /* the others are asked for, too */
    }
    if (reads) {
        ri_picker_deinit(&picker);
    }
    return rc == 0 && need ? RILLE_NEED : rc;
}

static int pick_rows(rille_op *op, ri_walk *w, const lookup *l, picks *k, rille_err *err)
{
    const rows *now = &w->kept[w->current];
    uint32_t most = l->filter ? FILTERED : ROWS;
    uint32_t next = 0;
    uint64_t before = 0;
    bool need = false;
    int rc = 0;
    k->count = k->sum < most ? (uint32_t)k->sum : most;
    k->cluster = l->filter && k->sum > FILTERED ? CLUSTER : 1;
    begin_rows(w, l, &k->e, &k->v);
    for (uint32_t row = 0; rc == 0 && row < now->count; row++) {
        rc = k->counts[row] > 0 ? pick_row(op, w, l, k, row, before, &next, err) : 0;
        before += k->counts[row];
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED ? 0 : rc;
    }
    return rc == 0 && need ? RILLE_NEED : rc;
}

static int count_rows(rille_op *op, const ri_walk *w, const lookup *l, picks *k, rille_err *err)
{
    const rows *now = &w->kept[w->current];
    bool need = false;
    int rc = 0;
    for (uint32_t row = 0; rc == 0 && row < now->count; row++) {
        ri_order order;
        ri_bound from;
        ri_bound to;
        bool fits;
        k->counts[row] = 0;
        rc = find_range(op, l, now, row, &order, &from, &to, &fits, err);
        rc = rc == 0 && fits ? ri_db_count(l->p->db, order, &from, &to, &op->io, &k->counts[row], err) : rc;
        k->sum += k->counts[row];
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED ? 0 : rc;
    }
    return rc == 0 && need ? RILLE_NEED : rc;
}

/* Rows after a pattern. */
static int step_lookup(rille_op *op, ri_walk *w, const lookup *l, rille_err *err)
{
    picks k = { .sum = 0 };
    const rows *now = &w->kept[w->current];
    rows *next = &w->kept[1 - w->current];
    RI_TRY(count_rows(op, w, l, &k, err));
    RI_TRY(pick_rows(op, w, l, &k, err));
    double sum = (double)k.sum;
    next->all = now->all && k.sum <= ROWS;
    if (l->filter) {
        sum =
            k.found > 0 || k.sum <= FILTERED ? sum * k.found / (k.count > 0 ? k.count : 1) : (double)l->p->const_count;
        next->all = now->all && k.sum <= FILTERED && k.found <= ROWS;
    } else if (k.sum == 0 && !now->all) {
        sum = NONE_FOUND;
    }
    w->estimate *= sum / now->count;
    w->current = 1 - w->current;
    return 0;
}

/* ---- a walk ---- */

/* Of two walks, the one that found more holds: a sample that misses what is rare and heavy is too small. */
static void add_measure(ri_walk *w)
{
    unsigned i = 0;
    while (i < w->measure_count && w->measures[i].set != w->set) {
        i++;
    }
    if (i < w->measure_count) {
        w->measures[i].rows = w->estimate > w->measures[i].rows ? w->estimate : w->measures[i].rows;
    } else if (i < MEASURES_MAX) {
        w->measures[w->measure_count++] = (measure){ w->set, w->estimate };
    }
}

/* *ends: the rows after the clause are not known. */
static int step_clause(rille_op *op, ri_walk *w, const ri_clause *clause, bool *ends, rille_err *err)
{
    ri_pattern *p = NULL;
    lookup l;
    *ends = true;
    if (ri_clause_filters(clause)) {
        w->estimate *= ri_plan_fanout(op, &w->in, clause, &w->bound, NULL).rows;
        w->kept[w->current].all = w->kept[w->current].all && clause->kind == RI_CLAUSE_FUNC;
        *ends = false;
        return 0;
    }
    uint16_t source = clause->kind == RI_CLAUSE_PATTERN ? ri_scope_source(w->in.scope, clause->source) : 0;
    if (clause->kind != RI_CLAUSE_PATTERN || op->sources[source].db == NULL) {
        return 0;
    }
    RI_TRY(ri_pattern_resolve(op, w->in.scope, clause, &p, err));
    if (p->nothing || !find_lookup(w, p, &l)) {
        return 0;
    }
    *ends = false;
    return step_lookup(op, w, &l, err);
}

/* The row of an input's table in row number `number` of all inputs, which are multiplied: the first varies fastest. */
static uint32_t input_row(const rille_op *op, unsigned col, uint64_t number)
{
    const ri_table *own = op->in_cols[col].table;
    const ri_table *before = NULL;
    for (unsigned i = 0; i < col && op->in_cols[i].table != own; i++) {
        const ri_table *table = op->in_cols[i].table;
        number = table != before ? number / table->count : number;
        before = table;
    }
    return (uint32_t)(number % own->count);
}

/* Rows of the inputs that have several. */
static void first_rows(rille_op *op, ri_walk *w)
{
    rows *first = &w->kept[0];
    uint64_t all = (uint64_t)op->in_rows;
    first->count = op->in_col_count == 0 ? 1 : all < ROWS ? (uint32_t)all : ROWS;
    first->all = all <= ROWS;
    first->col_count = op->in_col_count < COLS_MAX ? op->in_col_count : COLS_MAX;
    for (unsigned i = 0; i < first->col_count; i++) {
        const ri_in_column *col = &op->in_cols[i];
        first->vars[i] = col->var;
        for (uint32_t n = 0; n < first->count; n++) {
            uint64_t number = first->all ? n : number_of(n, first->count, 1, all);
            first->values[i][n] = ri_column_get(&col->table->cols[col->col], input_row(op, i, number));
        }
    }
}

static void start_walk(rille_op *op, ri_walk *w)
{
    w->at = 0;
    w->set = 0;
    w->bound = w->in.bound;
    w->estimate = w->in.rows;
    w->current = 0;
    w->begun = false;
    first_rows(op, w);
}

/* A walk that began with a sample of its first clause is made once more from the second one, so that what is rare there
 * but has most of the rows here is met. */
static void next_walk(rille_op *op, ri_walk *w)
{
    const uint16_t *order = w->order;
    w->order = NULL;
    if (w->turns) {
        w->turns = false;
        memcpy(w->turned, order, w->in.count * sizeof *order);
        w->turned[0] = order[1];
        w->turned[1] = order[0];
        w->order = w->turned;
        start_walk(op, w);
    }
}

int ri_walk_go(rille_op *op, rille_err *err)
{
    ri_walk *w = op->walk;
    while (w != NULL && w->order != NULL) {
        const ri_clause *clause = &w->in.clauses[w->order[w->at]];
        bool ends;
        RI_TRY(ri_begin_unit(op, &w->begun, err));
        RI_TRY(step_clause(op, w, clause, &ends, err));
        w->begun = false;
        w->set |= UINT64_C(1) << w->order[w->at];
        if (!ends) {
            add_measure(w);
        }
        ri_clause_provides(clause, &w->bound);
        w->at++;
        w->turns = w->turns && (w->at > 1 || !w->kept[w->current].all);
        if (ends || w->at == w->in.count || w->kept[w->current].count == 0) {
            next_walk(op, w);
        }
    }
    return 0;
}

static bool was_walked(const ri_walk *w, const uint16_t *order, uint16_t count)
{
    bool was = false;
    for (unsigned i = 0; i < w->order_count && !was; i++) {
        was = memcmp(w->orders[i], order, count * sizeof *order) == 0;
    }
    return was;
}

bool ri_walk_begin(rille_op *op, const ri_plan_input *in, const uint16_t *order)
{
    if (op->walk == NULL) {
        op->walk = ri_arena_alloc(&op->arena, sizeof *op->walk); /* or no walk */
        if (op->walk == NULL) {
            return false;
        }
        memset(op->walk, 0, sizeof *op->walk);
    }
    ri_walk *w = op->walk;
    if (w->order_count == WALKS_MAX || in->count > RI_WALK_CLAUSES_MAX || was_walked(w, order, in->count)) {
        return false;
    }
    memcpy(w->orders[w->order_count], order, in->count * sizeof *order);
    w->order = w->orders[w->order_count++];
    w->in = *in;
    w->turns = in->clauses[order[0]].kind == RI_CLAUSE_PATTERN && in->clauses[order[1]].kind == RI_CLAUSE_PATTERN;
    start_walk(op, w);
    return true;
}
