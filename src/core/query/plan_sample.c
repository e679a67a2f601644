/* SPDX-License-Identifier: MIT
 *
 * Sampling of links (links.h).
 *
 * Where no index counts the matches of a value, the values of two larger samples are compared with each other.
 */
#include "links.h"

#include <math.h>

#define LINKS_MAX 64U
#define SAMPLE 32U          /* rows whose matches are counted */
#define SAMPLE_COMPARED 64U /* rows that are compared with rows */
#define CLUSTER 8U          /* of these, so many lie together */
#define RUNS_MAX 16U        /* on changed values, before a link is sampled again */
#define FEW_DATOMS 16U
#define CHANGED_SHARE 8U
#define NONE_FOUND 0.5 /* matches, when a sample has none */
#define MOST 0.5       /* of a sum */

bool ri_place_is_key(ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (p == NULL || p->attr == NULL) {
        return false;
    }
    return place.at == RI_POS_E ? !p->attr->many : place.at == RI_POS_V && p->attr->unique != RI_UNIQUE_NO;
}

double ri_place_rows(rille_op *op, ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (place.clause != NULL) {
        const ri_varset none = { { 0 } };
        return place.clause->kind == RI_CLAUSE_RULE ? 1 : ri_rows_fanout(op, place.scope, place.clause, &none);
    }
    if (p == NULL) {
        return op->in_cols[place.at].table->count;
    }
    return p->range != NULL ? (double)p->range->count : (double)p->const_count;
}

bool ri_place_is_special(ri_place place)
{
    const ri_pattern *p = place.pattern;
    bool indexed = p == NULL || p->v_is_ref || (p->attr != NULL && p->attr->avet);
    return p == NULL || p->has[RI_POS_E] || (p->has[RI_POS_V] && indexed) ||
           (p->range != NULL && p->range->clause_count > 0);
}

bool ri_place_can_count(ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (p == NULL) {
        return false;
    }
    bool indexed = p->attr != NULL && (p->attr->type == RI_REF || (p->attr->avet && p->attr->type != RI_NIL));
    return place.at == RI_POS_E || (place.at == RI_POS_V && indexed && !p->has[RI_POS_E]);
}

/* ---- links ---- */

static bool same_route(const ri_route *a, const ri_route *b)
{
    bool same = a->count == b->count;
    for (unsigned i = 0; same && i < a->count; i++) {
        same = ri_place_eq(a->places[i], b->places[i]);
    }
    return same;
}

static bool is_link(const ri_link *link, const ri_route *from, ri_place to)
{
    const ri_route *known = &link->from;
    bool turned = known->count == 1 && from->count == 1 && ri_place_eq(known->places[0], to) &&
                  ri_place_eq(link->to, from->places[0]);
    return turned || (ri_place_eq(link->to, to) && same_route(known, from));
}

const ri_link *ri_link_find(rille_op *op, const ri_route *from, ri_place to)
{
    for (uint32_t i = 0; i < op->link_count; i++) {
        const ri_link *link = &op->links[i];
        if (is_link(link, from, to)) {
            return link->known ? link : NULL;
        }
    }
    if (op->links == NULL) {
        op->links = ri_arena_array(&op->arena, LINKS_MAX, sizeof *op->links); /* or no links */
    }
    if (op->links_noted && op->links != NULL && op->link_count < LINKS_MAX) {
        op->links[op->link_count++] = (ri_link){ .from = *from, .to = to };
    }
    return NULL;
}

void ri_links_renew(rille_op *op)
{
    for (uint32_t i = 0; i < op->link_count; i++) {
        ri_link *link = &op->links[i];
        bool moved = link->to.pattern->moved;
        for (unsigned at = 0; at < link->from.count; at++) {
            const ri_pattern *p = link->from.places[at].pattern;
            moved = moved || p == NULL || p->moved;
        }
        link->known = link->known && !moved;
        link->begun = link->begun && !moved;
    }
}

/* Patterns of a link: of the route, and that of the other place. */
static const ri_pattern *pattern_of(const ri_link *link, unsigned i)
{
    return i < link->from.count ? link->from.places[i].pattern : link->to.pattern;
}

static uint64_t datoms_of(const ri_link *link)
{
    uint64_t datoms = 0;
    for (unsigned i = 0; i <= link->from.count; i++) {
        const ri_pattern *p = pattern_of(link, i);
        datoms += p != NULL ? p->attr_count : 0;
    }
    return datoms;
}

void ri_links_age(rille_op *op)
{
    for (uint32_t i = 0; i < op->link_count; i++) {
        ri_link *link = &op->links[i];
        bool changed = false;
        for (unsigned at = 0; at <= link->from.count; at++) {
            const ri_pattern *p = pattern_of(link, at);
            changed = changed || (p != NULL && !op->sources[p->source].same);
        }
        if (!changed) {
            continue;
        }
        uint64_t now = datoms_of(link);
        uint64_t differ = now > link->datoms ? now - link->datoms : link->datoms - now;
        link->runs++;
        if (link->runs >= RUNS_MAX || differ > FEW_DATOMS + link->datoms / CHANGED_SHARE) {
            link->known = false;
            link->begun = false;
        }
    }
}

/* ---- rows ---- */

typedef struct sample {
    ri_value values[SAMPLE_COMPARED];
    ri_object *holds[SAMPLE_COMPARED];
    uint32_t count;
    bool all; /* it has all rows */
} sample;

static void drop_sample(sample *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        ri_object_release(s->holds[i]);
    }
    s->count = 0;
}

/* The range of a pattern's datoms: by value where an index has the attribute so, which spreads the sample over the
 * values. */
static void range_of(const ri_pattern *p, unsigned pos, ri_order *order, ri_bound *from, ri_bound *to)
{
    bool filter_v;
    ri_pattern_range(p, order, from, to, &filter_v);
    if (p->range != NULL && p->range->clause_count > 0 && !p->range->cuts.empty) {
        ri_cuts_bounds(&p->range->cuts, p->attr, order, from, to);
    } else if (*order == RI_AEVT && pos == RI_POS_V && p->attr != NULL && p->attr->avet) {
        *order = RI_AVET;
    }
}

/* Number i of n, of `count` at even distances. */
static uint64_t number_of(uint32_t i, uint32_t n, uint32_t cluster, uint64_t count)
{
    uint32_t clusters = n / cluster;
    uint64_t first = (uint64_t)(((double)(i / cluster) + 0.5) * (double)count / clusters);
    uint64_t number = first + i % cluster;
    return number < count ? number : count - 1;
}

static int sample_pattern(rille_op *op, const ri_pattern *p, unsigned pos, uint32_t n, uint32_t cluster, sample *s,
                          rille_err *err)
{
    ri_order order;
    ri_bound from;
    ri_bound to;
    ri_picker picker;
    bool need = false;
    range_of(p, pos, &order, &from, &to);
    int rc = ri_picker_init(&picker, p->db, order, &from, &to, &op->io, err);
    s->all = picker.count <= n;
    for (uint32_t i = 0; rc == 0 && i < (s->all ? picker.count : n); i++) {
        ri_datom d;
        rc = ri_picker_get(&picker, s->all ? i : number_of(i, n, cluster, picker.count), &op->io, &d,
                           &s->holds[s->count], err);
        if (rc == 0) {
            s->values[s->count++] = pos == RI_POS_E ? ri_ref(d.e) : d.v;
        }
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED || rc == RILLE_DONE ? 0 : rc; /* the others are asked for, too */
    }
    ri_picker_deinit(&picker);
    return rc == 0 && need ? RILLE_NEED : rc;
}

static int take_sample(rille_op *op, ri_place place, uint32_t n, uint32_t cluster, sample *s, rille_err *err)
{
    s->count = 0;
    if (place.pattern != NULL) {
        return sample_pattern(op, place.pattern, place.at, n, cluster, s, err);
    }
    if (place.clause != NULL && place.clause->kind == RI_CLAUSE_RULE) {
        s->values[0] = *ri_term_const(place.scope, &place.clause->terms[place.at]);
        s->holds[0] = NULL;
        s->count = 1;
        s->all = true;
        return 0;
    }
    bool input = place.clause == NULL;
    uint16_t source = input ? 0 : ri_scope_source(place.scope, place.clause->source);
    const ri_table *table = input ? op->in_cols[place.at].table : op->sources[source].table;
    uint16_t col = input ? op->in_cols[place.at].col : place.at;
    s->all = table->count <= n;
    for (uint32_t i = 0; col < table->col_count && i < (s->all ? table->count : n); i++) {
        uint64_t row = s->all ? i : number_of(i, n, 1, table->count);
        if (input || ri_row_matches(place.scope, place.clause, table, (uint32_t)row)) {
            s->holds[s->count] = NULL;
            s->values[s->count++] = ri_column_get(&table->cols[col], (uint32_t)row);
        }
    }
    return 0;
}

/* ---- ranges of values ---- */

/* The datoms of a pattern that have a value at a place. !*fits: it cannot have it. */
static int range_at(rille_op *op, ri_place place, const ri_value *v, ri_order *order, ri_bound *from, ri_bound *to,
                    bool *fits, rille_err *err)
{
    const ri_pattern *p = place.pattern;
    uint32_t a = p->attr != NULL ? p->attr->id : 0;
    uint64_t e = ri_entity_of(v);
    ri_value fitted;
    *fits = e != 0;
    if (place.at == RI_POS_E) {
        bool whole = p->has[RI_POS_V];
        *order = a != 0 ? RI_AEVT : RI_EAVT;
        *from = a == 0 ? ri_bound_e(e, false) : whole ? ri_bound_eav(e, a, &p->v, false) : ri_bound_ea(e, a, false);
        *to = a == 0 ? ri_bound_e(e, true) : whole ? ri_bound_eav(e, a, &p->v, true) : ri_bound_ea(e, a, true);
    } else if (p->attr->type == RI_REF) {
        *order = RI_VAET;
        *from = ri_bound_va(e, a, false);
        *to = ri_bound_va(e, a, true);
    } else {
        RI_TRY(ri_attr_fit(p->attr, v, &op->values, &fitted, fits, err));
        *order = RI_AVET;
        *from = ri_bound_av(a, &fitted, false);
        *to = ri_bound_av(a, &fitted, true);
    }
    return 0;
}

static int count_at(rille_op *op, ri_place place, const ri_value *v, uint64_t *out, rille_err *err)
{
    ri_order order;
    ri_bound from;
    ri_bound to;
    bool fits;
    *out = 0;
    RI_TRY(range_at(op, place, v, &order, &from, &to, &fits, err));
    return fits ? ri_db_count(place.pattern->db, order, &from, &to, &op->io, out, err) : 0;
}

/* ---- routes ---- */

/* Adds rows number first, first + step ... of those that a pattern gives for a value, up to `count` of all. */
typedef struct pick {
    uint64_t begin; /* of all matches, those of this value */
    uint64_t end;
    uint64_t count;
    uint32_t picks; /* to be taken of all */
} pick;

static int pick_matches(rille_op *op, ri_place in, const ri_value *v, const pick *which, uint32_t *next, sample *out,
                        rille_err *err)
{
    ri_order order;
    ri_bound from;
    ri_bound to;
    ri_picker picker;
    bool fits;
    bool need = false;
    RI_TRY(range_at(op, in, v, &order, &from, &to, &fits, err));
    int rc = ri_picker_init(&picker, in.pattern->db, order, &from, &to, &op->io, err);
    for (; rc == 0 && *next < which->picks; (*next)++) {
        uint64_t number = number_of(*next, which->picks, 1, which->count);
        ri_datom d;
        if (number >= which->end) {
            break;
        }
        rc = number - which->begin < picker.count
                 ? ri_picker_get(&picker, number - which->begin, &op->io, &d, &out->holds[out->count], err)
                 : RILLE_DONE;
        if (rc == 0) {
            out->values[out->count++] = in.at == RI_POS_V ? ri_ref(d.e) : d.v;
        }
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED || rc == RILLE_DONE ? 0 : rc;
    }
    ri_picker_deinit(&picker);
    return rc == 0 && need ? RILLE_NEED : rc;
}

/* From values at one position of a pattern to those that it gives at the other one. */
static int go_through(rille_op *op, ri_place place, sample *s, double *rows, rille_err *err)
{
    ri_place in = { .pattern = place.pattern, .at = place.at == RI_POS_E ? RI_POS_V : RI_POS_E };
    uint64_t counts[SAMPLE_COMPARED];
    pick which = { .count = 0 };
    sample out = { .count = 0 };
    uint32_t next = 0;
    bool need = false;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->count; i++) {
        rc = count_at(op, in, &s->values[i], &counts[i], err);
        need = need || rc == RILLE_NEED;
        rc = rc == RILLE_NEED ? 0 : rc;
        which.count += counts[i];
    }
    *rows = s->count > 0 ? *rows * (double)which.count / s->count : 0;
    which.picks = which.count < SAMPLE ? (uint32_t)which.count : SAMPLE;
    out.all = s->all && which.count <= SAMPLE;
    for (uint32_t i = 0; rc == 0 && !need && i < s->count; i++) {
        which.begin = which.end;
        which.end += counts[i];
        if (counts[i] > 0) {
            rc = pick_matches(op, in, &s->values[i], &which, &next, &out, err);
        }
        need = rc == RILLE_NEED || (need && rc == 0);
    }
    drop_sample(s);
    *s = out;
    return rc < 0 ? rc : need ? RILLE_NEED : 0;
}

/* Values at the end of a route, and how many there are. */
static int take_route(rille_op *op, const ri_route *route, uint32_t n, uint32_t cluster, sample *s, double *rows,
                      rille_err *err)
{
    *rows = ri_place_rows(op, route->places[0]);
    int rc = take_sample(op, route->places[0], n, cluster, s, err);
    for (unsigned i = 1; rc == 0 && i < route->count; i++) {
        rc = go_through(op, route->places[i], s, rows, err);
    }
    return rc;
}

/* ---- matches ---- */

typedef struct matches {
    double sum;
    double top;     /* of one row */
    double inverse; /* sum of 1 / matches */
    uint32_t rows;
    bool exact; /* of all rows */
} matches;

static void add_matches(matches *m, double count)
{
    m->sum += count;
    m->top = count > m->top ? count : m->top;
    m->inverse += count > 0 ? 1 / count : 1;
    m->rows++;
}

/* The matches at `to` of a sample of `from`, which has so many rows. */
static int count_matches(rille_op *op, const ri_route *from, ri_place to, matches *m, double *rows, rille_err *err)
{
    sample s;
    bool need = false;
    *m = (matches){ .rows = 0 };
    int rc = take_route(op, from, SAMPLE, 1, &s, rows, err);
    need = rc == RILLE_NEED;
    m->exact = s.all;
    for (uint32_t i = 0; (rc == 0 || rc == RILLE_NEED) && i < s.count; i++) {
        uint64_t count;
        rc = count_at(op, to, &s.values[i], &count, err);
        need = need || rc == RILLE_NEED;
        if (rc == 0) {
            add_matches(m, (double)count);
        }
    }
    drop_sample(&s);
    return rc < 0 ? rc : need ? RILLE_NEED : 0;
}

/* The matches of a sample of a route in a sample of a place. */
static int compare_samples(rille_op *op, const ri_route *a, ri_place b, matches *m, double *rows, rille_err *err)
{
    sample first;
    sample second = { .count = 0 };
    *m = (matches){ .rows = 0 };
    int rc = take_route(op, a, SAMPLE_COMPARED, CLUSTER, &first, rows, err);
    int rc_b = rc < 0 ? 0 : take_sample(op, b, SAMPLE_COMPARED, CLUSTER, &second, err);
    rc = rc_b < 0 || rc == 0 ? rc_b : rc;
    unsigned self = a->count == 1 && ri_place_eq(a->places[0], b); /* a row does not stand for others equal to it */
    double scale = second.count > self ? ri_place_rows(op, b) / (second.count - self) : 0;
    m->exact = first.all && second.all;
    for (uint32_t i = 0; rc == 0 && i < first.count; i++) {
        unsigned count = 0;
        for (uint32_t j = 0; j < second.count; j++) {
            count += ri_same_value(&first.values[i], &second.values[j]);
        }
        add_matches(m, self + (count - self) * scale);
    }
    drop_sample(&first);
    drop_sample(&second);
    return rc;
}

static int find_matches(rille_op *op, const ri_route *from, ri_place to, matches *m, double *rows, rille_err *err)
{
    return ri_place_can_count(to) ? count_matches(op, from, to, m, rows, err)
                                  : compare_samples(op, from, to, m, rows, err);
}

/* ---- sizes ---- */

/* Of a sample of n rows, its matches scaled to all rows. */
static double size_of(const matches *m, double rows)
{
    double sum = m->sum > 0 || m->exact ? m->sum : NONE_FOUND;
    return m->rows > 0 ? rows * sum / m->rows : sum;
}

static ri_route only(ri_place place)
{
    return (ri_route){ { place }, 1 };
}

static int sample_own(rille_op *op, ri_link *link, rille_err *err)
{
    matches m;
    RI_TRY(find_matches(op, &link->from, link->to, &m, &link->rows, err));
    link->size = m.rows > 0 ? link->rows * m.inverse / m.rows : 0;
    return 0;
}

static int sample_both(rille_op *op, ri_link *link, rille_err *err)
{
    matches ab;
    matches ba;
    double rows_b;
    ri_route back = only(link->to);
    int rc = count_matches(op, &link->from, link->to, &ab, &link->rows, err);
    int rc_b = rc < 0 ? 0 : count_matches(op, &back, link->from.places[0], &ba, &rows_b, err);
    RI_TRY(rc_b < 0 || rc == 0 ? rc_b : rc);
    double by_a = size_of(&ab, link->rows);
    double by_b = size_of(&ba, rows_b);
    bool sure_a = ab.exact || ab.top <= MOST * ab.sum;
    bool sure_b = ba.exact || ba.top <= MOST * ba.sum;
    double greater = by_a > by_b ? by_a : by_b;
    link->size = ab.exact ? by_a : ba.exact ? by_b : sure_a == sure_b ? greater : sure_a ? by_a : by_b;
    return 0;
}

/* Is it better to sample the rows of `from` than those of `to`? A place with few rows is known by all of them; what a key
 * gives for a row is 0 or 1, so samples tell it well. */
static bool sampled_better(rille_op *op, ri_place from, ri_place to)
{
    double rows_from = ri_place_rows(op, from);
    double rows_to = ri_place_rows(op, to);
    bool few = rows_from <= SAMPLE || rows_to <= SAMPLE;
    return few ? rows_from < rows_to : ri_place_is_key(to) && !ri_place_is_key(from);
}

/* Of two places. */
static int sample_link(rille_op *op, ri_link *link, rille_err *err)
{
    matches m;
    double rows;
    ri_place from = link->from.places[0];
    ri_place to = link->to;
    bool both = ri_place_can_count(from) && ri_place_can_count(to);
    if (both && !sampled_better(op, from, to) && !sampled_better(op, to, from)) {
        return sample_both(op, link, err);
    }
    if (both ? sampled_better(op, to, from) : ri_place_can_count(from)) {
        to = from;
        from = link->to;
    }
    ri_route route = only(from);
    RI_TRY(find_matches(op, &route, to, &m, &rows, err));
    link->size = size_of(&m, rows);
    link->rows = ri_place_rows(op, link->from.places[0]);
    return 0;
}

static int sample_route(rille_op *op, ri_link *link, rille_err *err)
{
    matches m;
    RI_TRY(find_matches(op, &link->from, link->to, &m, &link->rows, err));
    link->size = size_of(&m, link->rows);
    return 0;
}

/* The share of an attribute that has the pattern's value, which no index tells. */
static int sample_share(rille_op *op, ri_link *link, rille_err *err)
{
    ri_pattern *p = link->to.pattern;
    sample s;
    double count = 0;
    int rc = take_sample(op, link->to, SAMPLE_COMPARED, CLUSTER, &s, err);
    for (uint32_t i = 0; rc == 0 && i < s.count; i++) {
        count += ri_same_value(&s.values[i], &p->v);
    }
    if (rc == 0 && s.count > 0) {
        p->share = (count > 0 || s.all ? count : NONE_FOUND) / s.count;
        p->const_count = (uint64_t)ceil(p->share * (double)p->attr_count);
        link->size = (double)p->const_count;
    }
    drop_sample(&s);
    return rc;
}

static int sample_any(rille_op *op, ri_link *link, rille_err *err)
{
    ri_place to = link->to;
    if (link->from.count > 1) {
        return sample_route(op, link, err);
    }
    if (!ri_place_eq(link->from.places[0], to)) {
        return sample_link(op, link, err);
    }
    return to.at == RI_POS_V && to.pattern->has[RI_POS_V] ? sample_share(op, link, err) : sample_own(op, link, err);
}

int ri_links_sample(rille_op *op, rille_err *err)
{
    bool need = false;
    for (uint32_t i = 0; i < op->link_count; i++) {
        ri_link *link = &op->links[i];
        if (link->known) {
            continue;
        }
        int rc = ri_begin_unit(op, &link->begun, err);
        rc = rc == 0 ? sample_any(op, link, err) : rc;
        if (rc < 0 || rc == RILLE_AGAIN) {
            return rc == RILLE_AGAIN && need ? RILLE_NEED : rc;
        }
        link->known = rc == 0;
        link->datoms = datoms_of(link);
        link->runs = 0;
        need = need || rc == RILLE_NEED;
    }
    return need ? RILLE_NEED : 0;
}
