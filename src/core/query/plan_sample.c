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
#define NONE_FOUND 0.5      /* matches, when a sample has none */
#define MOST 0.5            /* of a sum */

bool ri_place_is_key(ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (p == NULL || p->attr == NULL) {
        return false;
    }
    return place.at == RI_POS_E ? !p->attr->many : place.at == RI_POS_V && p->attr->unique != RI_UNIQUE_NO;
}

double ri_place_rows(const rille_op *op, ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (p == NULL) {
        return op->in_cols[place.at].table->count;
    }
    return p->range != NULL ? (double)p->range->count : (double)p->const_count;
}

/* ---- links ---- */

const ri_link *ri_link_find(rille_op *op, ri_place a, ri_place b)
{
    for (uint32_t i = 0; i < op->link_count; i++) {
        const ri_link *link = &op->links[i];
        if ((ri_place_eq(link->a, a) && ri_place_eq(link->b, b)) ||
            (ri_place_eq(link->a, b) && ri_place_eq(link->b, a))) {
            return link->known ? link : NULL;
        }
    }
    if (op->links == NULL) {
        op->links = ri_arena_array(&op->arena, LINKS_MAX, sizeof *op->links); /* or no links */
    }
    if (op->links_noted && op->links != NULL && op->link_count < LINKS_MAX) {
        op->links[op->link_count++] = (ri_link){ .a = b.pattern != NULL ? a : b, .b = b.pattern != NULL ? b : a };
    }
    return NULL;
}

void ri_links_renew(rille_op *op)
{
    for (uint32_t i = 0; i < op->link_count; i++) {
        ri_link *link = &op->links[i];
        if (link->a.pattern == NULL || link->a.pattern->moved || link->b.pattern->moved) {
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
    const ri_in_column *col = &op->in_cols[place.at];
    uint32_t rows = col->table->count;
    s->all = rows <= n;
    for (uint32_t i = 0; i < (s->all ? rows : n); i++) {
        uint64_t row = s->all ? i : number_of(i, n, 1, rows);
        s->holds[i] = NULL;
        s->values[i] = ri_column_get(&col->table->cols[col->col], (uint32_t)row);
        s->count++;
    }
    return 0;
}

/* ---- matches ---- */

static bool can_count(ri_place place)
{
    const ri_pattern *p = place.pattern;
    if (p == NULL) {
        return false;
    }
    bool indexed = p->attr != NULL && (p->attr->type == RI_REF || (p->attr->avet && p->attr->type != RI_NIL));
    return place.at == RI_POS_E || (place.at == RI_POS_V && indexed && !p->has[RI_POS_E]);
}

/* Datoms of a pattern that have a value at a place. */
static int count_at(rille_op *op, ri_place place, const ri_value *v, double *out, rille_err *err)
{
    const ri_pattern *p = place.pattern;
    uint32_t a = p->attr != NULL ? p->attr->id : 0;
    uint64_t e = ri_entity_of(v);
    ri_order order = RI_EAVT;
    ri_bound from = ri_bound_e(e, false);
    ri_bound to = ri_bound_e(e, true);
    ri_value fitted = ri_ref(e);
    bool fits = e != 0;
    *out = 0;
    if (place.at == RI_POS_E && a != 0) {
        bool whole = p->has[RI_POS_V];
        order = RI_AEVT;
        from = whole ? ri_bound_eav(e, a, &p->v, false) : ri_bound_ea(e, a, false);
        to = whole ? ri_bound_eav(e, a, &p->v, true) : ri_bound_ea(e, a, true);
    } else if (place.at == RI_POS_V && p->attr->type == RI_REF) {
        order = RI_VAET;
        from = ri_bound_va(e, a, false);
        to = ri_bound_va(e, a, true);
    } else if (place.at == RI_POS_V) {
        RI_TRY(ri_attr_fit(p->attr, v, &op->values, &fitted, &fits, err));
        order = RI_AVET;
        from = ri_bound_av(a, &fitted, false);
        to = ri_bound_av(a, &fitted, true);
    }
    uint64_t count = 0;
    RI_TRY(fits ? ri_db_count(p->db, order, &from, &to, &op->io, &count, err) : 0);
    *out = (double)count;
    return 0;
}

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

/* The matches at `to` of a sample of `from`. */
static int count_matches(rille_op *op, ri_place from, ri_place to, matches *m, rille_err *err)
{
    sample s;
    bool need = false;
    *m = (matches){ .rows = 0 };
    int rc = take_sample(op, from, SAMPLE, 1, &s, err);
    need = rc == RILLE_NEED;
    m->exact = s.all;
    for (uint32_t i = 0; (rc == 0 || rc == RILLE_NEED) && i < s.count; i++) {
        double count;
        rc = count_at(op, to, &s.values[i], &count, err);
        need = need || rc == RILLE_NEED;
        if (rc == 0) {
            add_matches(m, count);
        }
    }
    drop_sample(&s);
    return rc < 0 ? rc : need ? RILLE_NEED : 0;
}

/* The matches of a sample of one place in a sample of the other. */
static int compare_samples(rille_op *op, ri_place a, ri_place b, matches *m, rille_err *err)
{
    sample first;
    sample second = { .count = 0 };
    *m = (matches){ .rows = 0 };
    int rc = take_sample(op, a, SAMPLE_COMPARED, CLUSTER, &first, err);
    int rc_b = rc < 0 ? 0 : take_sample(op, b, SAMPLE_COMPARED, CLUSTER, &second, err);
    rc = rc_b < 0 || rc == 0 ? rc_b : rc;
    unsigned self = ri_place_eq(a, b); /* a row does not stand for others that are equal to it */
    double scale = second.count > self ? ri_place_rows(op, b) / (second.count - self) : 0;
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

/* ---- sizes ---- */

/* Of a sample of n rows, its matches scaled to all rows. */
static double size_of(const matches *m, double rows)
{
    double sum = m->sum > 0 || m->exact ? m->sum : NONE_FOUND;
    return m->rows > 0 ? rows * sum / m->rows : 0;
}

static int sample_own(rille_op *op, ri_link *link, rille_err *err)
{
    matches m;
    RI_TRY(can_count(link->b) ? count_matches(op, link->b, link->b, &m, err)
                              : compare_samples(op, link->b, link->b, &m, err));
    double rows = ri_place_rows(op, link->b);
    link->size = m.rows > 0 ? rows * m.inverse / m.rows : 0;
    return 0;
}

static int sample_both(rille_op *op, ri_link *link, rille_err *err)
{
    matches ab;
    matches ba;
    double rows_a = ri_place_rows(op, link->a);
    double rows_b = ri_place_rows(op, link->b);
    int rc = count_matches(op, link->a, link->b, &ab, err);
    int rc_b = rc < 0 ? 0 : count_matches(op, link->b, link->a, &ba, err);
    RI_TRY(rc_b < 0 || rc == 0 ? rc_b : rc);
    double by_a = size_of(&ab, rows_a);
    double by_b = size_of(&ba, rows_b);
    bool sure_a = ab.exact || ab.top <= MOST * ab.sum;
    bool sure_b = ba.exact || ba.top <= MOST * ba.sum;
    double greater = by_a > by_b ? by_a : by_b;
    link->size = ab.exact ? by_a : ba.exact ? by_b : sure_a == sure_b ? greater : sure_a ? by_a : by_b;
    return 0;
}

/* Is it better to sample the rows of `from` than those of `to`? A place with few rows is known by all of them; what a key
 * gives for a row is 0 or 1, so samples tell it well. */
static bool sampled_better(const rille_op *op, ri_place from, ri_place to)
{
    double rows_from = ri_place_rows(op, from);
    double rows_to = ri_place_rows(op, to);
    bool few = rows_from <= SAMPLE || rows_to <= SAMPLE;
    return few ? rows_from < rows_to : ri_place_is_key(to) && !ri_place_is_key(from);
}

static int sample_link(rille_op *op, ri_link *link, rille_err *err)
{
    matches m;
    ri_place from = link->a;
    ri_place to = link->b;
    bool both = can_count(from) && can_count(to);
    if (both && !sampled_better(op, from, to) && !sampled_better(op, to, from)) {
        return sample_both(op, link, err);
    }
    if (both ? sampled_better(op, to, from) : can_count(from)) {
        from = link->b;
        to = link->a;
    }
    RI_TRY(can_count(to) ? count_matches(op, from, to, &m, err) : compare_samples(op, from, to, &m, err));
    link->size = size_of(&m, ri_place_rows(op, from));
    return 0;
}

/* The share of an attribute that has the pattern's value, which no index tells. */
static int sample_share(rille_op *op, ri_link *link, rille_err *err)
{
    ri_pattern *p = link->b.pattern;
    sample s;
    double count = 0;
    int rc = take_sample(op, link->b, SAMPLE_COMPARED, CLUSTER, &s, err);
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
    if (!ri_place_eq(link->a, link->b)) {
        return sample_link(op, link, err);
    }
    return link->b.at == RI_POS_V && link->b.pattern->has[RI_POS_V] ? sample_share(op, link, err)
                                                                    : sample_own(op, link, err);
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
        need = need || rc == RILLE_NEED;
    }
    return need ? RILLE_NEED : 0;
}
