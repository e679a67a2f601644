/* SPDX-License-Identifier: MIT
 *
 * The types of variables, by classes: union and find over the variables of the query and of all branches of rules.
 *
 * Cost: one walk over each body that can be reached, once for each source that it is called with; a look at each row of
 * a column of mixed types.
 */
#include "types.h"

bool ri_types_mixed(ri_types types)
{
    bool integer = (types & (RI_TYPES_INTEGER | RI_TYPES_ONE(RI_BIGINT))) != 0; /* a bigint equals no long */
    bool is_double = (types & RI_TYPES_ONE(RI_DOUBLE)) != 0;
    bool decimal = (types & RI_TYPES_ONE(RI_BIGDEC)) != 0;
    return (types & RI_TYPES_ONE(RI_TUPLE)) != 0 || integer + is_double + decimal > 1;
}

/* ---- classes ---- */

static uint32_t root_of(const ri_var_info *vars, uint32_t at)
{
    while (vars[at].parent != at) {
        at = vars[at].parent;
    }
    return at;
}

/* The same, and halves the way. */
static uint32_t find_root(ri_var_info *vars, uint32_t at)
{
    while (vars[at].parent != at) {
        vars[at].parent = vars[vars[at].parent].parent;
        at = vars[at].parent;
    }
    return at;
}

static void unite(ri_var_info *vars, uint32_t a, uint32_t b)
{
    a = find_root(vars, a);
    b = find_root(vars, b);
    vars[a < b ? b : a].parent = a < b ? a : b;
}

static uint32_t branch_index(const rille_op *op, const ri_rule_branch *branch)
{
    return (uint32_t)(branch - op->rules.branches);
}

/* Where the variables of a scope begin. */
static uint32_t first_var(const rille_op *op, const ri_scope *scope)
{
    return scope->owner == NULL ? 0 : op->branch_vars[branch_index(op, scope->owner)];
}

static const ri_var_info *info_of(const rille_op *op, const ri_scope *scope, ri_var var)
{
    return &op->var_info[root_of(op->var_info, first_var(op, scope) + var)];
}

ri_types ri_var_types(const rille_op *op, const ri_scope *scope, ri_var var)
{
    return info_of(op, scope, var)->types;
}

bool ri_var_one_form(const rille_op *op, const ri_scope *scope, ri_var var)
{
    return info_of(op, scope, var)->one_form;
}

bool ri_param_one_form(const rille_op *op, const ri_clause *call, uint16_t param)
{
    const ri_rule_branch *branch = ri_rules_find(&op->rules, call->name);
    uint32_t at = op->branch_vars[branch_index(op, branch)] + branch->params[param];
    return op->var_info[root_of(op->var_info, at)].one_form;
}

bool ri_var_loose(const rille_op *op, const ri_scope *scope, ri_var var)
{
    const ri_var_info *info = info_of(op, scope, var);
    return !info->joined && ri_types_mixed(info->types);
}

/* ---- the walk over bodies ---- */

typedef struct walk {
    rille_op *op;
    const ri_scope *scope;
    uint32_t base; /* of the scope's variables */
    bool counts;   /* the first walk over this body: places count */
} walk;

static void add_place(const walk *w, ri_var var, ri_types types)
{
    if (var == RI_NO_VAR) {
        return;
    }
    ri_var_info *info = &w->op->var_info[w->base + var];
    info->types |= types;
    info->places = (uint8_t)(info->places + (w->counts && info->places < 2));
}

static ri_types types_of_attr(const ri_attr *attr)
{
    switch ((ri_type)attr->type) {
    case RI_NIL:
        return RI_TYPES_ALL;
    case RI_STRING:
        return RI_TYPES_STRING;
    case RI_BYTES:
        return RI_TYPES_ONE(RI_BYTES) | RI_TYPES_ONE(RI_BYTES_BLOB);
    case RI_BIGINT:
        return RI_TYPES_ONE(RI_LONG) | RI_TYPES_ONE(RI_BIGINT);
    case RI_BOOL:
    case RI_LONG:
    case RI_DOUBLE:
    case RI_BIGDEC:
    case RI_INSTANT:
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
    case RI_REF:
    case RI_TUPLE:
    case RI_FLOATS:
    case RI_TYPE_COUNT:
        break;
    }
    return RI_TYPES_ONE(attr->type);
}

/* What a position of a pattern holds, in the database that it asks. */
static ri_types types_of_position(const ri_pattern *p, unsigned pos)
{
    switch (pos) {
    case RI_POS_A: /* an id, or a name that something else gives */
        return RI_TYPES_ALL;
    case RI_POS_V:
        return p->attr != NULL ? types_of_attr(p->attr) : RI_TYPES_ALL;
    case RI_POS_ADDED:
        return RI_TYPES_ONE(RI_BOOL);
    default:
        return RI_TYPES_ONE(RI_REF);
    }
}

ri_types ri_column_types(const ri_table *table, uint16_t col)
{
    if (table->count == 0 || col >= table->col_count) {
        return 0;
    }
    ri_types types = 0;
    for (uint32_t row = 0; row < table->count;) {
        ri_vec part;
        uint32_t n = ri_column_part(&table->cols[col], row, table->count - row, &part);
        types |= part.type == RI_MIXED ? 0 : RI_TYPES_ONE(part.type);
        for (uint32_t i = 0; part.type == RI_MIXED && i < n; i++) {
            types |= RI_TYPES_ONE(part.types[i]);
        }
        row += n;
    }
    return types;
}

static int walk_pattern(const walk *w, const ri_clause *clause, rille_err *err)
{
    uint16_t source;
    ri_pattern *p = NULL;
    RI_TRY(ri_pattern_source(w->op, w->scope, clause, &source, err));
    const ri_table *table = w->op->sources[source].table;
    if (table == NULL) {
        RI_TRY(ri_pattern_resolve(w->op, w->scope, clause, &p, err));
    }
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (clause->terms[i].kind == RI_TERM_VAR) {
            add_place(w, clause->terms[i].var, p != NULL ? types_of_position(p, i) : ri_column_types(table, i));
        }
    }
    return 0;
}

/* Arguments and parameters are one class; a constant is a place of the parameter. */
static void walk_call(const walk *w, const ri_clause *clause)
{
    ri_var_info *vars = w->op->var_info;
    const ri_rules *rules = &w->op->rules;
    for (size_t b = 0; b < rules->branch_count; b++) {
        const ri_rule_branch *branch = &rules->branches[b];
        if (strcmp(branch->name, clause->name) != 0) {
            continue;
        }
        for (uint16_t i = 0; i < clause->term_count; i++) {
            uint32_t param = w->op->branch_vars[b] + branch->params[i];
            if (clause->terms[i].kind == RI_TERM_VAR) {
                unite(vars, w->base + clause->terms[i].var, param);
            } else if (clause->terms[i].kind == RI_TERM_CONST) {
                vars[param].types |= RI_TYPES_ONE(clause->terms[i].v.type);
                vars[param].joined = true;
            }
        }
    }
    for (uint16_t i = 0; i < clause->term_count; i++) {
        if (clause->terms[i].kind == RI_TERM_VAR) {
            add_place(w, clause->terms[i].var, 0);
        }
    }
}

static int walk_body(const walk *w, const ri_clause *body, uint16_t count, rille_err *err)
{
    for (uint16_t i = 0; i < count; i++) {
        const ri_clause *clause = &body[i];
        if (clause->kind == RI_CLAUSE_PATTERN) {
            RI_TRY(walk_pattern(w, clause, err));
        } else if (clause->kind == RI_CLAUSE_RULE) {
            walk_call(w, clause);
        }
        if (clause->implicit) { /* two names of one parameter */
            unite(w->op->var_info, w->base + clause->terms[0].var, w->base + clause->binding.vars[0]);
            w->op->var_info[w->base + clause->terms[0].var].joined = true;
            continue;
        }
        for (uint16_t v = 0; v < clause->binding.var_count; v++) {
            add_place(w, clause->binding.vars[v], ri_call_types(clause));
        }
        RI_TRY(walk_body(w, clause->body, clause->body_count, err));
    }
    return 0;
}

static void walk_inputs(const walk *w)
{
    rille_op *op = w->op;
    for (uint16_t i = 0; i < op->in_col_count; i++) {
        op->in_cols[i].types = ri_column_types(op->in_cols[i].table, op->in_cols[i].col);
        add_place(w, op->in_cols[i].var, op->in_cols[i].types);
    }
    for (ri_var var = 0; var < op->scope.var_count; var++) {
        if (ri_varset_has(&op->scope.is_fixed, var)) {
            add_place(w, var, RI_TYPES_ONE(op->scope.fixed[var].type));
        }
    }
}

/* ---- all of it ---- */

static int make_vars(rille_op *op, uint32_t *count, rille_err *err)
{
    size_t total = op->query->var_count;
    op->branch_vars = ri_arena_array(&op->arena, op->rules.branch_count + 1U, sizeof *op->branch_vars);
    if (op->branch_vars == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t b = 0; b < op->rules.branch_count; b++) {
        op->branch_vars[b] = (uint32_t)total;
        total += op->rules.branches[b].var_count;
    }
    op->var_info = ri_arena_array(&op->arena, total + 1U, sizeof *op->var_info);
    if (op->var_info == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < total; i++) {
        op->var_info[i] = (ri_var_info){ .parent = (uint32_t)i };
    }
    *count = (uint32_t)total;
    return 0;
}

/* What is known of a class goes to the one that it is known by. */
static void close_classes(ri_var_info *vars, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        vars[i].parent = find_root(vars, i);
        ri_var_info *root = &vars[vars[i].parent];
        root->types |= vars[i].types;
        root->joined = root->joined || vars[i].joined || vars[i].places > 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        ri_var_info *info = &vars[i];
        info->one_form = info->parent == i && info->joined && ri_types_mixed(info->types);
        bool changes = info->one_form && (info->types & (RI_TYPES_NUMBER & ~RI_TYPES_INTEGER)) != 0;
        info->types |= changes ? RI_TYPES_ONE(RI_LONG) | RI_TYPES_ONE(RI_DOUBLE) | RI_TYPES_ONE(RI_BIGINT) : 0;
    }
}

int ri_plan_form_fixed(rille_op *op, rille_err *err)
{
    for (ri_var var = 0; var < op->scope.var_count; var++) {
        if (ri_varset_has(&op->scope.is_fixed, var) && ri_var_one_form(op, &op->scope, var) &&
            !ri_simplest(&op->fixed[var], &op->values)) {
            return ri_fail_nomem(err);
        }
    }
    return 0;
}

int ri_plan_types(rille_op *op, rille_err *err)
{
    uint32_t count = 0;
    RI_TRY(make_vars(op, &count, err));
    bool *walked = ri_arena_array(&op->plan_arena, op->rules.branch_count + 1U, sizeof *walked);
    if (walked == NULL) {
        return ri_fail_nomem(err);
    }
    memset(walked, 0, (op->rules.branch_count + 1U) * sizeof *walked);
    walk w = { op, &op->scope, 0, true };
    walk_inputs(&w);
    RI_TRY(walk_body(&w, op->query->where, op->query->where_count, err));
    for (const ri_scope *scope = op->scopes; scope != NULL; scope = scope->next) {
        const ri_rule_branch *branch = scope->owner;
        uint32_t b = branch_index(op, branch);
        w = (walk){ op, scope, op->branch_vars[b], !walked[b] };
        walked[b] = true;
        RI_TRY(ri_check(op, err));
        RI_TRY(walk_body(&w, branch->body, branch->body_count, err));
    }
    close_classes(op->var_info, count);
    RI_TRY(ri_plan_form_fixed(op, err));
    return ri_plan_failures(op, err);
}
