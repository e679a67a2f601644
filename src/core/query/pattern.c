/* SPDX-License-Identifier: MIT
 *
 * Patterns on databases: what their constants stand for in the database at hand, and the range that they cut.
 *
 * A constant is what is written until its position and the attribute's type say more: where an entity belongs (e, t,
 * the value of a ref), a keyword or a string is an ident, and a pair [attr value] a lookup ref, which is looked up
 * (that may have to read: RILLE_NEED). Elsewhere a keyword is a keyword, a pair a tuple. Where the attribute is not
 * known, a keyword or a pair may be either (v_entity); a string is text then. What else is a name: op_names.c. A value
 * that no datom of the attribute can have makes the pattern match nothing: that is no error, since a query may ask
 * several databases.
 */
#include "pattern.h"

#include "exec.h"

#include <math.h>
#include <stdlib.h>

#define DIGITS_FIT_MAX 1400U /* of a double, written out: 309 before the point, 1074 behind it */

const ri_value *ri_term_const(const ri_scope *scope, const ri_term *term)
{
    if (term->kind == RI_TERM_CONST) {
        return &term->v;
    }
    if (term->kind == RI_TERM_VAR && scope->fixed != NULL && ri_varset_has(&scope->is_fixed, term->var)) {
        return &scope->fixed[term->var];
    }
    return NULL;
}

ri_var ri_term_var(const ri_scope *scope, const ri_term *term)
{
    return term->kind == RI_TERM_VAR && ri_term_const(scope, term) == NULL ? term->var : RI_NO_VAR;
}

static bool integral(double d, int64_t *out)
{
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != floor(d)) {
        return false;
    }
    *out = (int64_t)d;
    return true;
}

uint64_t ri_entity_of(const ri_value *v)
{
    int64_t number = 0;
    switch (v->type) {
    case RI_REF:
    case RI_LONG:
        number = v->as.i;
        break;
    case RI_DOUBLE:
        if (!integral(v->as.d, &number)) {
            return 0;
        }
        break;
    default: /* a uint8_t, not an enum */
        return 0;
    }
    return number > 0 && (uint64_t)number <= RI_EID_MAX ? (uint64_t)number : 0;
}

/* Long text as the stub that stands for it. */
static int fit_bytes(const ri_value *in, ri_arena *arena, ri_value *out, rille_err *err)
{
    *out = *in;
    return ri_value_shorten(arena, out, err);
}

static bool same_class(uint8_t type, uint8_t other)
{
    return type == other || (type == RI_STRING && other == RI_STRING_BLOB) ||
           (type == RI_BYTES && other == RI_BYTES_BLOB);
}

/* A number written out in digits as the word type that an attribute has, when that is exactly the same. */
static bool fit_digits(const ri_value *in, uint8_t type, ri_value *out)
{
    char text[DIGITS_FIT_MAX + 1];
    double d = 0;
    if (in->len > DIGITS_FIT_MAX) {
        return false;
    }
    memcpy(text, in->as.p, in->len);
    text[in->len] = '\0';
    if (type == RI_LONG) {
        *out = ri_long(strtoll(text, NULL, 10)); /* out of range: the nearest, which is not equal */
    } else if (ri_double_parse(text, in->len, &d, NULL) == 0) {
        *out = ri_double(d);
    } else {
        return false;
    }
    return ri_value_eq(in, out);
}

static bool fit_number(const ri_attr *attr, const ri_value *in, ri_value *out)
{
    int64_t number = 0;
    if (attr->type == RI_LONG && in->type == RI_DOUBLE) {
        bool fits = integral(in->as.d, &number);
        *out = ri_long(number);
        return fits;
    }
    if (attr->type == RI_LONG && in->type == RI_REF) {
        *out = ri_long(in->as.i);
        return true;
    }
    if (attr->type == RI_DOUBLE && (in->type == RI_LONG || in->type == RI_REF)) {
        *out = ri_double((double)in->as.i);
        ri_value exact = ri_long(in->as.i);
        return ri_value_eq(out, &exact);
    }
    bool digits = in->type == RI_BIGINT || in->type == RI_BIGDEC;
    if (digits && (attr->type == RI_LONG || attr->type == RI_DOUBLE)) {
        return fit_digits(in, attr->type, out);
    }
    return ri_type_is_number(attr->type) && ri_type_is_number(in->type);
}

int ri_attr_fit(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, bool *fits, rille_err *err)
{
    *out = *in;
    *fits = true;
    if (attr->type == RI_NIL || same_class(attr->type, in->type)) {
        return fit_bytes(in, arena, out, err);
    }
    *fits = fit_number(attr, in, out);
    return 0;
}

/* ---- constants ---- */

int ri_unknown_attr(const rille_op *op, const rille_db *db, const char *name, size_t len, rille_err *err)
{
    const char *source = NULL;
    for (uint16_t i = 0; op->source_count > 1 && source == NULL && i < op->source_count; i++) {
        source = op->sources[i].db == db ? op->query->source_names[i] : NULL;
    }
    return ri_db_unknown_attr(db, source, name, len, err);
}

/* The text of a keyword or string that is a name, without the colon that a string may begin with. */
static const char *name_of(const ri_value *v, size_t *len)
{
    const char *name = (const char *)v->as.p;
    bool has_colon = v->type == RI_STRING && v->len > 0 && name[0] == ':';
    *len = has_colon ? v->len - 1U : v->len;
    return has_colon ? name + 1 : name;
}

/* As values of transactions are: text as a keyword, a uuid and so on, numbers by value. !*fits: no entity can have it. */
static int lookup_value(rille_op *op, const ri_attr *attr, const ri_value *given, ri_value *out, bool *fits,
                        rille_err *err)
{
    rille_err ignored;
    RI_TRY(ri_attr_fit(attr, given, &op->values, out, fits, err));
    if (*fits || given->type != RI_STRING) {
        return 0;
    }
    ri_value text = *given;
    if (attr->type == RI_KEYWORD) {
        size_t len;
        const char *name = name_of(given, &len);
        text = ri_bytes_value(RI_STRING, name, len);
    }
    int rc = ri_attr_convert(attr, &text, false, &op->values, out, &ignored);
    *fits = rc == 0;
    return rc == RILLE_NOMEM ? ri_fail_nomem(err) : 0;
}

static int lookup(rille_op *op, const rille_db *db, const ri_value *attr_name, const ri_value *value, bool only,
                  uint64_t *e, rille_err *err)
{
    size_t len;
    const char *name = name_of(attr_name, &len);
    const ri_attr *attr = ri_schema_attr(db->schema, name, len);
    if (attr == NULL) {
        return !only || db->schema->read_flexible ? 0 : ri_unknown_attr(op, db, name, len, err);
    }
    if (attr->unique == RI_UNIQUE_NO) {
        return !only ? 0
                     : ri_fail(err, RILLE_QUERY, "a lookup ref needs a unique attribute, and :%s is not unique",
                               attr->ident);
    }
    ri_value v;
    bool fits = true;
    if (attr->type == RI_REF) {
        uint64_t referred = 0;
        RI_TRY(ri_name_entity(op, db, value, only, &referred, err));
        v = ri_ref(referred);
        fits = referred != 0;
    } else {
        RI_TRY(lookup_value(op, attr, value, &v, &fits, err));
    }
    return !fits ? 0 : ri_db_lookup(db, attr, &v, &op->io, e, err);
}

int ri_name_entity(rille_op *op, const rille_db *db, const ri_value *v, bool only, uint64_t *e, rille_err *err)
{
    *e = 0;
    if (v->type == RI_KEYWORD || (v->type == RI_STRING && only)) {
        size_t len;
        const char *name = name_of(v, &len);
        *e = ri_schema_ident(db->schema, name, len);
        return 0;
    }
    if (v->type != RI_TUPLE) {
        *e = ri_entity_of(v);
        return 0;
    }
    ri_reader reader = ri_reader_of(v->as.p, v->len);
    ri_value attr = ri_value_read(&reader);
    ri_value value = ri_value_read(&reader);
    bool is_pair = !reader.bad && ri_reader_left(&reader) == 0;
    bool is_lookup = is_pair && (attr.type == RI_KEYWORD || attr.type == RI_STRING);
    return is_lookup ? lookup(op, db, &attr, &value, only, e, err) : 0;
}

int ri_name_attr(const rille_op *op, const rille_db *db, const ri_value *v, bool strict, const ri_attr **out,
                 rille_err *err)
{
    const ri_schema *schema = db->schema;
    if (v->type == RI_KEYWORD || v->type == RI_STRING) {
        size_t len;
        const char *name = name_of(v, &len);
        *out = ri_schema_attr(schema, name, len);
        bool fails = *out == NULL && strict && !schema->read_flexible;
        return fails ? ri_unknown_attr(op, db, name, len, err) : 0;
    }
    uint64_t id = ri_entity_of(v);
    *out = id != 0 ? ri_schema_attr_by_id(schema, id) : NULL;
    return 0;
}

uint64_t ri_call_names(const ri_scope *scope, const ri_clause *call)
{
    uint64_t names = 0;
    for (uint16_t i = 0; i < call->term_count && i < 64; i++) {
        const ri_value *value = ri_term_const(scope, &call->terms[i]);
        ri_var var = ri_term_var(scope, &call->terms[i]);
        bool named = value != NULL ? ri_may_name(value) : var != RI_NO_VAR && ri_varset_has(&scope->named, var);
        names |= (uint64_t)named << i;
    }
    return names;
}

static int resolve_attr(const rille_op *op, ri_pattern *p, const ri_value *value, rille_err *err)
{
    p->has[RI_POS_A] = true;
    RI_TRY(ri_name_attr(op, p->db, value, true, &p->attr, err));
    p->nothing = p->nothing || p->attr == NULL;
    return 0;
}

static int resolve_value(rille_op *op, ri_pattern *p, const ri_value *value, rille_err *err)
{
    p->has[RI_POS_V] = true;
    if (p->attr != NULL && p->attr->type == RI_REF) {
        uint64_t e = 0;
        RI_TRY(ri_name_entity(op, p->db, value, !ri_pattern_either(p), &e, err));
        p->v = ri_ref(e);
        p->v_is_ref = true;
        p->nothing = p->nothing || e == 0;
        return 0;
    }
    if (p->attr != NULL) {
        bool fits = false;
        RI_TRY(ri_attr_fit(p->attr, value, &op->values, &p->v, &fits, err));
        p->nothing = p->nothing || !fits;
        return 0;
    }
    RI_TRY(fit_bytes(value, &op->values, &p->v, err));
    return ri_may_name(value) ? ri_name_entity(op, p->db, value, false, &p->v_entity, err) : 0;
}

static int resolve_position(rille_op *op, ri_pattern *p, const ri_scope *scope, unsigned pos, rille_err *err)
{
    const ri_term *term = &p->terms[pos];
    const ri_value *value = ri_term_const(scope, term);
    p->var[pos] = ri_term_var(scope, term);
    if (value == NULL) {
        return 0;
    }
    switch (pos) {
    case RI_POS_E:
        p->has[pos] = true;
        RI_TRY(ri_name_entity(op, p->db, value, true, &p->e, err));
        p->nothing = p->nothing || p->e == 0;
        return 0;
    case RI_POS_V:
        return resolve_value(op, p, value, err);
    case RI_POS_T:
        p->has[pos] = true;
        RI_TRY(ri_name_entity(op, p->db, value, true, &p->t, err));
        p->nothing = p->nothing || p->t == 0;
        return 0;
    default: /* added: current datoms are */
        p->nothing = p->nothing || value->type != RI_BOOL || value->as.u == 0;
        return 0;
    }
}

static int resolve(rille_op *op, ri_pattern *p, const ri_scope *scope, rille_err *err)
{
    uint16_t count = p->term_count;
    if (count > RI_POS_A) { /* first: what v means depends on it */
        const ri_value *value = ri_term_const(scope, &p->terms[RI_POS_A]);
        p->var[RI_POS_A] = ri_term_var(scope, &p->terms[RI_POS_A]);
        if (value != NULL && !p->has[RI_POS_A]) {
            RI_TRY(resolve_attr(op, p, value, err));
        }
    }
    for (unsigned pos = 0; pos < RI_POS_COUNT && pos < count; pos++) {
        if (pos != RI_POS_A) {
            RI_TRY(resolve_position(op, p, scope, pos, err));
        }
    }
    return 0;
}

int ri_pattern_source(const rille_op *op, const ri_scope *scope, const ri_clause *clause, uint16_t *out, rille_err *err)
{
    *out = ri_scope_source(scope, clause->source);
    return *out < op->source_count ? 0
                                   : ri_fail(err, RILLE_QUERY,
                                             "a pattern in a rule has no source, because :in has no $: call the rule "
                                             "with a source of :in, such as ($src rule ?x)");
}

static int resolve_new(rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_pattern **out, rille_err *err)
{
    uint16_t source;
    *out = NULL;
    RI_TRY(ri_pattern_source(op, scope, clause, &source, err));
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        if (p->terms == clause->terms && p->source == source && p->scope == scope) {
            *out = p;
            return 0;
        }
    }
    if (clause->term_count > RI_POS_COUNT) {
        return ri_fail(err, RILLE_QUERY,
                       "a pattern on a database has at most five terms (e a v tx added), but this one has %u",
                       clause->term_count);
    }
    ri_pattern *p = ri_arena_alloc(&op->arena, sizeof *p);
    if (p == NULL) {
        return ri_fail_nomem(err);
    }
    memset(p, 0, sizeof *p);
    p->terms = clause->terms;
    p->term_count = clause->term_count;
    p->scope = scope;
    p->source = source;
    p->db = op->sources[source].db;
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        p->var[pos] = RI_NO_VAR;
    }
    RI_TRY(resolve(op, p, scope, err));
    p->next = op->patterns;
    op->patterns = p;
    *out = p;
    return 0;
}

/* Does some input say what a constant of the pattern is? */
static bool has_input(const ri_pattern *p)
{
    bool has = false;
    for (uint16_t i = 0; i < p->term_count; i++) {
        has = has || (p->terms[i].kind == RI_TERM_VAR && ri_term_const(p->scope, &p->terms[i]) != NULL);
    }
    return has;
}

/* Does some input, or the value of the database, say what a constant of the pattern is? The stub of a long text goes with
 * the run, too. */
static bool may_change(const rille_op *op, const ri_pattern *p)
{
    return !op->sources[p->source].same || (p->has[RI_POS_V] && ri_type_is_stub(p->v.type)) || has_input(p);
}

/* Bytes of inputs are gone when the next run begins, so only words can be compared. */
static bool same_constants(const ri_pattern *a, const ri_pattern *b)
{
    return a->e == b->e && a->t == b->t && a->v_entity == b->v_entity &&
           (!a->has[RI_POS_V] || (ri_type_is_word(a->v.type) && a->v.type == b->v.type && a->v.as.u == b->v.as.u));
}

bool ri_pattern_renew(rille_op *op, ri_pattern *p)
{
    p->db = op->sources[p->source].db;
    p->moved = false;
    if (!may_change(op, p)) {
        return true;
    }
    ri_pattern fresh = {
        .terms = p->terms, .term_count = p->term_count, .scope = p->scope, .db = p->db, .source = p->source
    };
    for (unsigned pos = 0; pos < RI_POS_COUNT; pos++) {
        fresh.var[pos] = RI_NO_VAR;
    }
    if (p->has[RI_POS_A] && p->terms[RI_POS_A].kind == RI_TERM_CONST) { /* the schema is the same (A1) */
        fresh.has[RI_POS_A] = true;
        fresh.attr = p->attr;
        fresh.nothing = p->attr == NULL;
    }
    if (resolve(op, &fresh, p->scope, NULL) != 0 || fresh.attr != p->attr || fresh.nothing != p->nothing ||
        fresh.v_is_ref != p->v_is_ref || memcmp(fresh.has, p->has, sizeof p->has) != 0 ||
        memcmp(fresh.var, p->var, sizeof p->var) != 0) {
        return false;
    }
    bool same = same_constants(p, &fresh);
    p->moved = !same && has_input(p);
    p->share = p->moved ? 0 : p->share;
    p->counted = p->counted && (p->assumed || (op->sources[p->source].same && same));
    p->e = fresh.e;
    p->t = fresh.t;
    p->v = fresh.v;
    p->v_entity = fresh.v_entity;
    return true;
}

int ri_pattern_resolve(rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_pattern **out, rille_err *err)
{
    return ri_fail_in(op, scope, clause, resolve_new(op, scope, clause, out, err), err);
}

/* ---- ranges ---- */

void ri_pattern_range(const ri_pattern *p, ri_order *order, ri_bound *from, ri_bound *to, bool *filter_v)
{
    uint32_t a = p->attr != NULL ? p->attr->id : 0;
    bool has_a = p->has[RI_POS_A];
    bool has_v = p->has[RI_POS_V];
    *filter_v = false;
    if (p->has[RI_POS_E]) {
        *order = RI_EAVT;
        bool whole = has_a && has_v;
        *filter_v = has_v && !whole;
        *from = whole   ? ri_bound_eav(p->e, a, &p->v, false)
                : has_a ? ri_bound_ea(p->e, a, false)
                        : ri_bound_e(p->e, false);
        *to = whole ? ri_bound_eav(p->e, a, &p->v, true) : has_a ? ri_bound_ea(p->e, a, true) : ri_bound_e(p->e, true);
    } else if (has_v && p->v_is_ref) {
        *order = RI_VAET;
        *from = has_a ? ri_bound_va(p->v.as.u, a, false) : ri_bound_v(p->v.as.u, false);
        *to = has_a ? ri_bound_va(p->v.as.u, a, true) : ri_bound_v(p->v.as.u, true);
    } else if (has_a && has_v && p->attr != NULL && p->attr->avet) {
        *order = RI_AVET;
        *from = ri_bound_av(a, &p->v, false);
        *to = ri_bound_av(a, &p->v, true);
    } else if (has_a) {
        *order = RI_AEVT;
        *filter_v = has_v;
        *from = ri_bound_a(a, false);
        *to = ri_bound_a(a, true);
    } else {
        *order = RI_EAVT;
        *filter_v = has_v;
        *from = ri_bound_all(false);
        *to = ri_bound_all(true);
    }
}
