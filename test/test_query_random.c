/* SPDX-License-Identifier: MIT
 *
 * Random conjunctive queries, with not, or and comparisons, against nested loops over a list of all datoms. Small databases for odd
 * shapes, larger ones so that ranges cross leaves; in all modes, at once and in small steps.
 */
#include "test_query_world.h"

#define DATOMS_MAX 40000
#define VARS 6 /* ?e0 ?e1 ?x0 ?x1 ?a0 ?t0 */
#define CLAUSES_MAX 7
#define WORK_MAX 10000000ULL

static const char *const var_names[VARS] = { "?e0", "?e1", "?x0", "?x1", "?a0", "?t0" };
enum { E0, E1, X0, X1, A0, T0 };

static const char schema[] =
    "[{:db/ident :u :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}"
    " {:db/ident :d :db/valueType :db.type/double :db/cardinality :db.cardinality/one}"
    " {:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/one}"
    " {:db/ident :si :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}"
    " {:db/ident :k :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}"
    " {:db/ident :m :db/valueType :db.type/string :db/cardinality :db.cardinality/many}"
    " {:db/ident :i :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
    " {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :o :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]";
static const char *const attr_names[] = { "u", "n", "d", "s", "si", "k", "m", "i", "r", "o" };
#define ATTRS (sizeof attr_names / sizeof *attr_names)

typedef struct model {
    const rille_db *db;
    ri_datom datoms[DATOMS_MAX];
    size_t count;
    ri_arena arena;
    uint32_t attr_ids[ATTRS];
} model;

static model the_model;

/* ---- data ---- */

static size_t put_entity(test_rng *rng, char *out, size_t size, unsigned i, unsigned entities, unsigned domain)
{
    size_t len = (size_t)snprintf(out, size, "{:db/id \"e%u\" :u \"u%u\"", i, i);
#define MAYBE(percent, ...)                                          \
    if (test_random_below(rng, 100) < (percent)) {                   \
        len += (size_t)snprintf(out + len, size - len, __VA_ARGS__); \
    }
    MAYBE(80, " :n %u", (unsigned)test_random_below(rng, domain))
    MAYBE(60, " :d %u.%u", (unsigned)test_random_below(rng, domain), (unsigned)test_random_below(rng, 2) * 5)
    MAYBE(70, " :s \"s%u\"", (unsigned)test_random_below(rng, domain))
    MAYBE(70, " :si \"s%u\"", (unsigned)test_random_below(rng, domain))
    MAYBE(50, " :k :k%u", (unsigned)test_random_below(rng, 5))
    MAYBE(40, " :m [\"s%u\" \"m%u\"]", (unsigned)test_random_below(rng, domain),
          (unsigned)test_random_below(rng, domain))
    MAYBE(40, " :i [%u %u]", (unsigned)test_random_below(rng, domain), 100 + (unsigned)test_random_below(rng, domain))
    MAYBE(40, " :r [[:u \"u%u\"]]", (unsigned)test_random_below(rng, i / 2 + 1))
    MAYBE(30, " :o [:u \"u%u\"]", (unsigned)test_random_below(rng, i / 2 + 1))
#undef MAYBE
    (void)entities;
    return len + (size_t)snprintf(out + len, size - len, "}");
}

/* Entities in four transactions; the lookup refs of one go to those before. */
static void make_data(test_rng *rng, world *w, world_mode mode, unsigned entities, unsigned domain)
{
    enum { PARTS = 4, SIZE = 1 << 20 };
    char *texts[PARTS + 2];
    texts[0] = strdup(schema);
    texts[1] = strdup("[{:u \"u0\" :n 1}]");
    for (unsigned part = 0; part < PARTS; part++) {
        char *text = calloc(SIZE, 1);
        size_t len = (size_t)snprintf(text, SIZE, "[");
        unsigned low = part == 0 ? 1 : entities >> (PARTS - part);
        unsigned high = entities >> (PARTS - 1 - part);
        for (unsigned i = low > 0 ? low : 1; i < high; i++) {
            len += put_entity(rng, text + len, SIZE - len, i, entities, domain);
        }
        for (unsigned i = 0; part == PARTS - 1 && i < 10; i++) {
            len += (size_t)snprintf(text + len, SIZE - len, "[:db/add [:u \"u%u\"] :s \"s%u\"]", i % (entities / 2),
                                    (unsigned)test_random_below(rng, domain));
        }
        (void)snprintf(text + len, SIZE - len, "]");
        texts[part + 2] = text;
    }
    world_make(w, 0, mode, (const char *const *)texts, PARTS + 2);
    for (unsigned i = 0; i < PARTS + 2; i++) {
        free(texts[i]);
    }
}

static void add_datom(model *m, const ri_datom *d)
{
    if (m->count == DATOMS_MAX) {
        return;
    }
    m->datoms[m->count] = *d;
    REQUIRE(ri_value_copy(&m->arena, &d->v, &m->datoms[m->count].v));
    m->count++;
}

static void read_all(model *m, const rille_db *db)
{
    ri_scan scan;
    ri_run run;
    ri_io io = { 0 };
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    ri_arena_deinit(&m->arena);
    m->count = 0;
    m->db = db;
    ri_scan_init(&scan, db, RI_EAVT);
    ri_scan_set(&scan, &from, &to);
    int rc;
    while ((rc = ri_scan_next(&scan, &run, &io, &test_err)) == 0 || rc == RILLE_NEED) {
        if (rc == RILLE_NEED) {
            REQUIRE_RC(ri_io_fetch(&io, &test_err), 0);
            continue;
        }
        for (uint32_t i = 0; i < ri_run_count(&run); i++) {
            ri_datom d;
            if (run.leaf != NULL) {
                ri_node_datom(run.leaf, run.from + i, &d);
            } else {
                d = *run.rows[i];
            }
            add_datom(m, &d);
        }
    }
    REQUIRE(rc == RILLE_DONE);
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
    for (size_t i = 0; i < ATTRS; i++) {
        m->attr_ids[i] = ri_schema_attr(db->schema, attr_names[i], strlen(attr_names[i]))->id;
    }
}

/* ---- queries ---- */

typedef struct term {
    int var; /* -1: none */
    bool is_const;
    ri_value v;
} term;

typedef struct clause {
    term pos[4]; /* e a v t */
    char kind;   /* 'p' pattern, 'n' not, 'o' or: this one or the next, '=' pos[0] equals pos[2], '!' differs;
                    '<' '>' 'l' 'g' (<= >=) 'e' (=): pos[0] and the constant or variable in pos[2] */
    bool has_t;
} clause;

typedef struct random_query {
    clause clauses[CLAUSES_MAX + 1];
    unsigned count;
    bool bound[VARS]; /* by a pattern */
    int find[VARS];
    unsigned find_count;
} random_query;

static term var_term(int var)
{
    return (term){ .var = var };
}

static term random_value(test_rng *rng, const model *m, uint32_t attr)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        const ri_datom *d = &m->datoms[test_random_below(rng, m->count)];
        if (attr == 0 || d->a == attr) {
            return (term){ -1, true, d->v };
        }
    }
    return (term){ -1, true, ri_long(7) };
}

static clause random_pattern(test_rng *rng, const model *m)
{
    clause c = { .kind = 'p' };
    size_t attr = test_random_below(rng, ATTRS);
    uint32_t id = m->attr_ids[attr];
    bool any_attr = test_random_below(rng, 12) == 0;
    bool is_ref = attr >= 8;
    uint64_t dice = test_random_below(rng, 20);
    c.pos[0] = dice < 12 ? var_term(E0) : dice < 17 ? var_term(E1) : var_term(-1);
    if (dice == 19) {
        c.pos[0] = (term){ -1, true, ri_ref(m->datoms[test_random_below(rng, m->count)].e) };
    }
    c.pos[1] = any_attr ? var_term(A0) : (term){ -1, true, ri_ref(id) };
    dice = test_random_below(rng, 20);
    if (dice < 6) {
        c.pos[2] = random_value(rng, m, any_attr ? 0 : id);
    } else if (is_ref && dice < 14) {
        c.pos[2] = var_term(dice < 8 ? E0 : E1);
    } else {
        c.pos[2] = dice < 12 ? var_term(X0) : dice < 18 ? var_term(X1) : var_term(-1);
    }
    c.has_t = test_random_below(rng, 8) == 0;
    c.pos[3] = var_term(c.has_t ? T0 : -1);
    return c;
}

static void note_bound(random_query *q, const clause *c)
{
    for (int i = 0; i < 4; i++) {
        if (c->pos[i].var >= 0) {
            q->bound[c->pos[i].var] = true;
        }
    }
}

/* Its variables must all be bound elsewhere: others become blanks. */
static clause closed_pattern(test_rng *rng, const model *m, const random_query *q)
{
    clause c = random_pattern(rng, m);
    for (int i = 0; i < 4; i++) {
        if (c.pos[i].var >= 0 && !q->bound[c.pos[i].var]) {
            c.pos[i] = var_term(-1);
        }
    }
    if (c.pos[1].var < 0 && !c.pos[1].is_const) {
        c.pos[1] = (term){ -1, true, ri_ref(m->attr_ids[0]) };
    }
    return c;
}

static bool same_vars(const clause *a, const clause *b)
{
    unsigned sa = 0;
    unsigned sb = 0;
    for (int i = 0; i < 4; i++) {
        sa |= a->pos[i].var >= 0 ? 1U << a->pos[i].var : 0;
        sb |= b->pos[i].var >= 0 ? 1U << b->pos[i].var : 0;
    }
    return sa == sb && sa != 0;
}

/* The attribute that alone binds a variable as a value, or NULL. */
static const ri_attr *attr_of_var(const model *m, const random_query *q, int var)
{
    const ri_attr *found = NULL;
    for (unsigned i = 0; i < q->count; i++) {
        const clause *c = &q->clauses[i];
        bool binds = c->kind == 'p' && c->pos[2].var == var;
        const ri_attr *attr =
            binds && c->pos[1].is_const ? ri_schema_attr_by_id(m->db->schema, c->pos[1].v.as.u) : NULL;
        if (binds && (attr == NULL || (found != NULL && found->type != attr->type))) {
            return NULL;
        }
        found = binds ? attr : found;
    }
    return found;
}

static void put_comparison(test_rng *rng, random_query *q, int var, term other)
{
    static const char kinds[] = "<>lge";
    q->clauses[q->count++] = (clause){ .kind = kinds[test_random_below(rng, 5)],
                                       .pos = { var_term(var), var_term(-1), other, var_term(-1) } };
}

/* One or two comparisons of a value with values of the same attribute, or of two values of one type. */
static void add_comparison(test_rng *rng, const model *m, random_query *q)
{
    int var = test_random_below(rng, 2) == 0 ? X0 : X1;
    const ri_attr *attr = attr_of_var(m, q, var);
    const ri_attr *other = attr_of_var(m, q, X0 + X1 - var);
    if (attr == NULL || attr->type == RI_REF) {
        return;
    }
    if (other != NULL && other->type == attr->type && test_random_below(rng, 3) == 0) {
        put_comparison(rng, q, var, var_term(X0 + X1 - var));
        return;
    }
    unsigned count = 1 + (unsigned)test_random_below(rng, 2);
    for (unsigned i = 0; i < count && q->count < CLAUSES_MAX; i++) {
        put_comparison(rng, q, var, random_value(rng, m, attr->id));
    }
}

static random_query make_query(test_rng *rng, const model *m, unsigned patterns_max)
{
    random_query q = { .count = 0 };
    unsigned patterns = 1 + (unsigned)test_random_below(rng, patterns_max);
    for (unsigned i = 0; i < patterns; i++) {
        q.clauses[q.count] = random_pattern(rng, m);
        note_bound(&q, &q.clauses[q.count++]);
    }
    uint64_t dice = test_random_below(rng, 6);
    bool any = false;
    for (int v = 0; v < VARS; v++) {
        any = any || q.bound[v];
    }
    if (!any) {
        q.clauses[0].pos[0] = var_term(E0);
        q.bound[E0] = true;
    }
    if (dice == 0) {
        clause c = closed_pattern(rng, m, &q);
        c.kind = 'n';
        if (same_vars(&c, &c)) {
            q.clauses[q.count++] = c;
        }
    } else if (dice == 1) {
        clause a = closed_pattern(rng, m, &q);
        clause b = closed_pattern(rng, m, &q);
        if (same_vars(&a, &b)) {
            a.kind = 'o';
            q.clauses[q.count++] = a;
            q.clauses[q.count++] = b;
        }
    } else if (dice == 2 && q.bound[X0] && q.bound[X1]) {
        q.clauses[q.count++] = (clause){ .kind = test_random_below(rng, 2) ? '=' : '!',
                                         .pos = { var_term(X0), var_term(-1), var_term(X1), var_term(-1) } };
    }
    if (test_random_below(rng, 2) == 0) {
        add_comparison(rng, m, &q);
    }
    while (q.find_count == 0) {
        for (int v = 0; v < VARS; v++) {
            if (q.bound[v] && test_random_below(rng, 2) == 0) {
                q.find[q.find_count++] = v;
            }
        }
    }
    return q;
}

static void put_term(const model *m, const term *t, bool is_attr, ri_buf *out)
{
    if (t->var >= 0) {
        ri_buf_put_text(out, var_names[t->var]);
    } else if (!t->is_const) {
        ri_buf_put_text(out, "_");
    } else if (is_attr) {
        ri_buf_put_text(out, ":");
        ri_buf_put_text(out, ri_schema_attr_by_id(m->db->schema, t->v.as.u)->ident);
    } else {
        ri_edn_write_value(out, &t->v);
    }
}

static void put_pattern(const model *m, const clause *c, ri_buf *out)
{
    ri_buf_put_text(out, "[");
    for (int i = 0; i < (c->has_t ? 4 : 3); i++) {
        ri_buf_put_text(out, i == 0 ? "" : " ");
        put_term(m, &c->pos[i], i == 1, out);
    }
    ri_buf_put_text(out, "]");
}

static void put_query(const model *m, const random_query *q, ri_buf *out)
{
    ri_buf_put_text(out, "[:find");
    for (unsigned i = 0; i < q->find_count; i++) {
        ri_buf_put_text(out, " ");
        ri_buf_put_text(out, var_names[q->find[i]]);
    }
    ri_buf_put_text(out, " :where");
    for (unsigned i = 0; i < q->count; i++) {
        const clause *c = &q->clauses[i];
        ri_buf_put_text(out, " ");
        if (strchr("<>lge", c->kind) != NULL) {
            static const char *const names[] = { "<", ">", "<=", ">=", "=" };
            ri_buf_put_text(out, "[(");
            ri_buf_put_text(out, names[strchr("<>lge", c->kind) - "<>lge"]);
            ri_buf_put_text(out, " ");
            put_term(m, &c->pos[0], false, out);
            ri_buf_put_text(out, " ");
            put_term(m, &c->pos[2], false, out);
            ri_buf_put_text(out, ")]");
        } else if (c->kind == '=' || c->kind == '!') {
            ri_buf_put_text(out, c->kind == '=' ? "[(= ?x0 ?x1)]" : "[(not= ?x0 ?x1)]");
        } else if (c->kind == 'n') {
            ri_buf_put_text(out, "(not ");
            put_pattern(m, c, out);
            ri_buf_put_text(out, ")");
        } else if (c->kind == 'o') {
            ri_buf_put_text(out, "(or ");
            put_pattern(m, c, out);
            ri_buf_put_text(out, " ");
            put_pattern(m, &q->clauses[++i], out);
            ri_buf_put_text(out, ")");
        } else {
            put_pattern(m, c, out);
        }
    }
    ri_buf_put_text(out, "]");
    ri_buf_put_u8(out, 0);
}

/* ---- nested loops ---- */

typedef struct eval {
    const model *m;
    const random_query *q;
    ri_value values[VARS];
    bool bound[VARS];
    ri_table out; /* a set */
    unsigned long long work;
} eval;

static bool equal(const ri_value *a, const ri_value *b)
{
    ri_value x = ri_plain(*a);
    ri_value y = ri_plain(*b);
    return ri_value_eq(&x, &y);
}

/* A constant keyword is the entity of that ident, too. */
static bool names(const model *m, const ri_value *v, const ri_value *part)
{
    return v->type == RI_KEYWORD && part->type == RI_REF &&
           ri_schema_ident(m->db->schema, (const char *)v->as.p, v->len) == part->as.u;
}

/* Binds what is free; *bound_now tells which were. */
static bool match(eval *ev, const clause *c, const ri_datom *d, bool bound_now[VARS])
{
    ri_value parts[4] = { ri_ref(d->e), ri_ref(d->a), d->v, ri_ref(d->t) };
    for (int i = 0; i < 4; i++) {
        const term *t = &c->pos[i];
        if (t->is_const && !equal(&t->v, &parts[i]) && !names(ev->m, &t->v, &parts[i])) {
            return false;
        }
        if (t->var >= 0 && ev->bound[t->var] && !equal(&ev->values[t->var], &parts[i])) {
            return false;
        }
        if (t->var >= 0 && !ev->bound[t->var]) {
            ev->values[t->var] = parts[i];
            ev->bound[t->var] = true;
            bound_now[t->var] = true;
        }
    }
    return true;
}

static void unbind(eval *ev, const bool bound_now[VARS])
{
    for (int v = 0; v < VARS; v++) {
        ev->bound[v] = ev->bound[v] && !bound_now[v];
    }
}

static bool exists(eval *ev, const clause *c)
{
    for (size_t i = 0; i < ev->m->count; i++) {
        bool now[VARS] = { false };
        bool ok = match(ev, c, &ev->m->datoms[i], now);
        unbind(ev, now);
        if (ok) {
            return true;
        }
    }
    return false;
}

static bool compares(const eval *ev, const clause *c)
{
    ri_value a = ev->values[c->pos[0].var];
    ri_value b = c->pos[2].is_const ? c->pos[2].v : ev->values[c->pos[2].var];
    int order = ri_value_cmp(&a, &b);
    switch (c->kind) {
    case '<':
        return order < 0;
    case '>':
        return order > 0;
    case 'l':
        return order <= 0;
    case 'g':
        return order >= 0;
    default:
        return order == 0;
    }
}

static bool checks_hold(eval *ev)
{
    for (unsigned i = 0; i < ev->q->count; i++) {
        const clause *c = &ev->q->clauses[i];
        bool ok = true;
        if (c->kind == 'n') {
            ok = !exists(ev, c);
        } else if (c->kind == 'o') {
            ok = exists(ev, c) || exists(ev, c + 1);
            i++;
        } else if (strchr("<>lge", c->kind) != NULL) {
            ok = compares(ev, c);
        } else if (c->kind != 'p') {
            ok = equal(&ev->values[X0], &ev->values[X1]) == (c->kind == '=');
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void nested_loops(eval *ev, unsigned at)
{
    if (ev->work > WORK_MAX) {
        return;
    }
    if (at == ev->q->count || ev->q->clauses[at].kind != 'p') {
        ri_value row[VARS];
        for (unsigned i = 0; i < ev->q->find_count; i++) {
            row[i] = ev->values[ev->q->find[i]];
        }
        ev->work += ev->m->count;
        if (checks_hold(ev)) {
            REQUIRE_RC(ri_table_add_row(&ev->out, row, NULL, &test_err), 0);
        }
        return;
    }
    ev->work += ev->m->count;
    for (size_t i = 0; i < ev->m->count; i++) {
        bool now[VARS] = { false };
        if (match(ev, &ev->q->clauses[at], &ev->m->datoms[i], now)) {
            nested_loops(ev, at + 1);
        }
        unbind(ev, now);
    }
}

/* Are the rows of `got` those of the set, each once? 1 and 1.0 are one value. */
static bool same_rows(const ri_table *got, ri_table *set)
{
    uint32_t count = set->count;
    if (got->count != count) {
        return false;
    }
    for (uint32_t r = 0; r < count; r++) {
        ri_value row[VARS];
        bool added = false;
        for (uint16_t c = 0; c < got->col_count; c++) {
            row[c] = ri_column_get(&got->cols[c], r);
        }
        REQUIRE_RC(ri_table_add_row(set, row, &added, &test_err), 0);
        if (added) {
            return false;
        }
    }
    return true;
}

typedef struct comparison {
    eval *ev;
    const char *query;
} comparison;

static bool compare_rows(void *context, int rc, const ri_table *got, rille_err *err)
{
    const comparison *c = context;
    test_err = *err;
    REQUIRE_RC(rc, 0);
    bool same = same_rows(got, &c->ev->out);
    if (!same) {
        char *expected = world_text(&c->ev->out, true);
        char *shown = world_text(got, true);
        CHECK_EQ_STR(c->query, "");
        CHECK_EQ_STR(shown, expected);
        free(shown);
        free(expected);
    }
    return same;
}

static void compare(world *w, const model *m, eval *ev)
{
    ri_buf text = { 0 };
    ri_table got;
    put_query(m, ev->q, &text);
    comparison c = { ev, (const char *)text.p };
    w->budget_us = ev->work % 2;
    rille_err err = { 0 };
    int rc = world_run(w, c.query, &got, &err);
    if (compare_rows(&c, rc, &got, &err)) {
        world_paused(w, c.query, compare_rows, &c);
    }
    ri_table_deinit(&got);
    ri_buf_deinit(&text);
}

/* 1: compared, 0: too much work. */
static unsigned check_query(world *w, const model *m, const random_query *q)
{
    static eval ev;
    memset(&ev, 0, sizeof ev);
    ev.m = m;
    ev.q = q;
    REQUIRE_RC(ri_table_init(&ev.out, (uint16_t)q->find_count, true, &test_err), 0);
    nested_loops(&ev, 0);
    bool small = ev.work <= WORK_MAX && ev.out.count < 20000;
    if (small) {
        compare(w, m, &ev);
    }
    ri_table_deinit(&ev.out);
    return small;
}

static void random_round(test_rng *rng, world_mode mode, unsigned entities, unsigned domain, unsigned queries,
                         unsigned patterns_max)
{
    world w;
    world_init(&w);
    make_data(rng, &w, mode, entities, domain);
    read_all(&the_model, w.db[0]);
    world_add_db(&w, 0);
    unsigned compared = 0;
    for (unsigned i = 0; i < queries; i++) {
        random_query q = make_query(rng, &the_model, patterns_max);
        compared += check_query(&w, &the_model, &q);
    }
    CHECK(compared * 3 > queries);
    ri_arena_deinit(&the_model.arena);
    world_deinit(&w);
}

TEST(random__small_databases)
{
    test_rng rng = test_rng_new();
    for (unsigned mode = 0; mode < WORLD_MODES; mode++) {
        random_round(&rng, (world_mode)mode, 20, 5, 150, 3);
        random_round(&rng, (world_mode)mode, 60, 12, 60, 3);
    }
}

TEST(random__databases_of_many_leaves)
{
    test_rng rng = test_rng_new();
    for (unsigned mode = 0; mode < WORLD_MODES; mode++) {
        random_round(&rng, (world_mode)mode, 1200, 400, 40, 2);
    }
}

TEST_MAIN(random__small_databases, random__databases_of_many_leaves)
