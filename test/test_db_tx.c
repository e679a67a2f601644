/* SPDX-License-Identifier: MIT
 *
 * Resolving against a naive model: random transactions over a random history, item by item through the C interface. The
 * model is a list of facts, and loops over loops; it must agree on what fails, on every datom, and on the whole value
 * after it.
 */
#include "test_db_world.h"

#define ATTR_COUNT 11
#define ITEM_COUNT_MAX 8
#define TEMP_COUNT 4
#define FACT_COUNT_MAX 4000
#define WORD_COUNT 5

/* ---- the schema ---- */

enum { KIND_LONG, KIND_TEXT, KIND_REF };

typedef struct model_attr {
    const char *ident;
    int kind;
    bool many;
    int unique; /* ri_unique */
    bool component;
} model_attr;

static const model_attr attrs[ATTR_COUNT] = {
    { "m/one", KIND_LONG, false, 0, false },  { "m/many", KIND_LONG, true, 0, false },
    { "m/text", KIND_TEXT, false, 0, false }, { "m/texts", KIND_TEXT, true, 0, false },
    { "m/key", KIND_TEXT, false, 2, false },  { "m/no", KIND_LONG, false, 1, false },
    { "m/ref", KIND_REF, false, 0, false },   { "m/refs", KIND_REF, true, 0, false },
    { "m/parts", KIND_REF, true, 0, true },   { "m/home", KIND_REF, false, 2, false },
    { "m/codes", KIND_LONG, true, 2, false },
};

static const char schema_text[] =
    "[{:db/ident :m/one :db/valueType :db.type/long}"
    " {:db/ident :m/many :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
    " {:db/ident :m/text :db/valueType :db.type/string}"
    " {:db/ident :m/texts :db/valueType :db.type/string :db/cardinality :db.cardinality/many}"
    " {:db/ident :m/key :db/valueType :db.type/string :db/unique :db.unique/identity}"
    " {:db/ident :m/no :db/valueType :db.type/long :db/unique :db.unique/value}"
    " {:db/ident :m/ref :db/valueType :db.type/ref}"
    " {:db/ident :m/refs :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :m/parts :db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}"
    " {:db/ident :m/home :db/valueType :db.type/ref :db/unique :db.unique/identity}"
    " {:db/ident :m/codes :db/valueType :db.type/long :db/unique :db.unique/identity :db/cardinality "
    ":db.cardinality/many}]";

/* Texts in the order of values; the last two are long. */
static char words[WORD_COUNT][1500];

static void make_words(void)
{
    memcpy(words[0], "", 1);
    memcpy(words[1], "a", 2);
    memcpy(words[2], "ab", 3);
    memset(words[3], 'c', 1100);
    memset(words[4], 'd', 1400);
}

/* ---- items ---- */

enum { ENT_ID, ENT_TEMP, ENT_LOOKUP, ENT_SELF };

/* An entity, or a value when it is no ref: then only n counts. */
typedef struct name {
    int kind;
    int64_t n; /* id, tempid, value of the lookup */
    int attr;  /* of the lookup */
} name;

enum { DO_ADD, DO_RETRACT, DO_RETRACT_ALL, DO_RETRACT_ENTITY, DO_CAS };

typedef struct item {
    int what;
    name e;
    int attr;
    name v;
    bool none; /* cas: expects no value */
    int64_t old_v;
} item;

typedef struct fact {
    int64_t e;
    int attr;
    int64_t v;
} fact;

typedef struct model {
    fact facts[FACT_COUNT_MAX];
    size_t fact_count;
    int64_t next_e;
    int64_t t;
    /* one transaction */
    item items[ITEM_COUNT_MAX];
    size_t item_count;
    size_t temp_seen[TEMP_COUNT]; /* order of appearance, from 1; 0: not used */
    size_t temp_seen_count;
    int label[TEMP_COUNT];     /* tempids with one label are one entity */
    int64_t bound[TEMP_COUNT]; /* by label */
    fact removed[FACT_COUNT_MAX];
    size_t removed_count;
    fact wanted[ITEM_COUNT_MAX];
    size_t wanted_count;
} model;

static bool same_fact(const fact *a, const fact *b)
{
    return a->e == b->e && a->attr == b->attr && a->v == b->v;
}

static bool list_has(const fact *list, size_t count, fact f)
{
    for (size_t i = 0; i < count; i++) {
        if (same_fact(&list[i], &f)) {
            return true;
        }
    }
    return false;
}

static int64_t holder_of(const model *m, int attr, int64_t v)
{
    for (size_t i = 0; i < m->fact_count; i++) {
        if (m->facts[i].attr == attr && m->facts[i].v == v) {
            return m->facts[i].e;
        }
    }
    return 0;
}

/* ---- the model's entities ---- */

#define UNKNOWN INT64_MIN

/* -1 - label for a tempid that is not bound; UNKNOWN for a lookup ref that is not there (yet). */
static int64_t model_entity_at(const model *m, name e, int depth)
{
    switch (e.kind) {
    case ENT_ID:
        return e.n;
    case ENT_SELF:
        return m->t;
    case ENT_TEMP:
        return m->bound[m->label[e.n]] != 0 ? m->bound[m->label[e.n]] : -1 - m->label[e.n];
    default:
        break;
    }
    int64_t found = holder_of(m, e.attr, e.n);
    if (found != 0) {
        return found;
    }
    found = UNKNOWN;
    for (size_t i = 0; i < m->item_count && found == UNKNOWN && depth < ITEM_COUNT_MAX; i++) {
        const item *it = &m->items[i];
        bool adds = it->what == DO_ADD || it->what == DO_CAS;
        if (adds && it->attr == e.attr && it->v.n == e.n) {
            found = model_entity_at(m, it->e, depth + 1);
        }
    }
    return found;
}

static int64_t model_entity(const model *m, name e)
{
    return model_entity_at(m, e, 0);
}

static int64_t model_value(const model *m, int attr, name v)
{
    return attrs[attr].kind == KIND_REF ? model_entity(m, v) : v.n;
}

/* a is the entity of a tempid; b is what it turns out to be. 0 nothing new, 1 joined, -1 conflict. */
static int join(model *m, int64_t a, int64_t b)
{
    if (a == b || a == UNKNOWN || b == UNKNOWN || (a >= 0 && b >= 0)) {
        return 0;
    }
    if (a >= 0 || b >= 0) {
        m->bound[-1 - (a < 0 ? a : b)] = a < 0 ? b : a;
        return 1;
    }
    int from = (int)(-1 - a);
    int to = (int)(-1 - b);
    for (int i = 0; i < TEMP_COUNT; i++) {
        m->label[i] = m->label[i] == from ? to : m->label[i];
    }
    return 1;
}

/* One round over all pairs of identity values. */
static int join_round(model *m)
{
    for (size_t i = 0; i < m->item_count; i++) {
        const item *x = &m->items[i];
        bool adds = x->what == DO_ADD || x->what == DO_CAS;
        if (!adds || attrs[x->attr].unique != 2) {
            continue;
        }
        int64_t v = model_value(m, x->attr, x->v);
        int64_t holder = v < 0 ? 0 : holder_of(m, x->attr, v);
        int64_t e = model_entity(m, x->e);
        if (holder != 0 && e != UNKNOWN && e < 0) {
            return join(m, e, holder);
        }
        if (holder != 0 && e != holder && x->e.kind == ENT_TEMP) {
            return -1;
        }
        for (size_t j = 0; holder == 0 && j < m->item_count; j++) {
            const item *y = &m->items[j];
            bool adds_too = y->what == DO_ADD || y->what == DO_CAS;
            if (!adds_too || y->attr != x->attr || v == UNKNOWN || model_value(m, y->attr, y->v) != v) {
                continue;
            }
            int64_t other = model_entity(m, y->e);
            bool temps = x->e.kind == ENT_TEMP || y->e.kind == ENT_TEMP;
            if (temps && e >= 0 && other >= 0 && e != other) {
                return -1;
            }
            int joined = join(m, e, other);
            if (joined != 0) {
                return joined;
            }
        }
    }
    return 0;
}

static bool subject_of_label(const model *m, int label)
{
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        bool adds = it->what == DO_ADD || it->what == DO_CAS;
        if (adds && it->e.kind == ENT_TEMP && m->label[it->e.n] == label) {
            return true;
        }
    }
    return false;
}

static bool value_of_label(const model *m, int label)
{
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        if (it->what == DO_ADD && attrs[it->attr].kind == KIND_REF && it->v.kind == ENT_TEMP &&
            m->label[it->v.n] == label) {
            return true;
        }
    }
    return false;
}

/* Ids that the items give by their numbers. */
static void see_ids(model *m)
{
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        if (it->what != DO_ADD && it->what != DO_CAS) {
            continue;
        }
        if (it->e.kind == ENT_ID && it->e.n >= m->next_e) {
            m->next_e = it->e.n + 1;
        }
        if (attrs[it->attr].kind == KIND_REF && it->v.kind == ENT_ID && it->v.n >= m->next_e) {
            m->next_e = it->v.n + 1;
        }
    }
}

/* False: the transaction fails. */
static bool model_number(model *m)
{
    see_ids(m);
    for (size_t order = 1; order <= m->temp_seen_count; order++) {
        for (int k = 0; k < TEMP_COUNT; k++) {
            int label = m->label[k];
            if (m->temp_seen[k] != order || m->bound[label] != 0) {
                continue;
            }
            if (subject_of_label(m, label)) {
                m->bound[label] = m->next_e++;
            } else if (value_of_label(m, label)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- the model's facts ---- */

static void remove_fact(model *m, fact f)
{
    if (list_has(m->facts, m->fact_count, f) && !list_has(m->removed, m->removed_count, f)) {
        m->removed[m->removed_count++] = f;
    }
}

static void remove_entity(model *m, int64_t e, int depth)
{
    if (e >= (int64_t)RI_TX_BASE) {
        return; /* a component that is a transaction stays */
    }
    for (size_t i = 0; i < m->fact_count; i++) {
        fact f = m->facts[i];
        bool is_ref = attrs[f.attr].kind == KIND_REF;
        if ((f.e == e || (is_ref && f.v == e)) && !list_has(m->removed, m->removed_count, f)) {
            m->removed[m->removed_count++] = f;
            if (f.e == e && attrs[f.attr].component && depth < 100) {
                remove_entity(m, f.v, depth + 1);
            }
        } else if (f.e == e && attrs[f.attr].component && depth < 20) {
            remove_entity(m, f.v, depth + 1);
        }
    }
}

static bool check_cas(const model *m, const item *it, int64_t e)
{
    bool any = false;
    for (size_t i = 0; i < m->fact_count; i++) {
        any = any || (m->facts[i].e == e && m->facts[i].attr == it->attr);
    }
    return it->none ? !any : list_has(m->facts, m->fact_count, (fact){ e, it->attr, it->old_v });
}

/* Every item's own part. Explicit retractions of what is not there conflict with adds, too. */
static bool model_items(model *m, fact *explicit_removed, size_t *explicit_count)
{
    m->removed_count = 0;
    m->wanted_count = 0;
    *explicit_count = 0;
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        int64_t e = model_entity(m, it->e);
        if (e == UNKNOWN || e < 0) {
            return false;
        }
        if (it->what == DO_RETRACT_ENTITY) {
            if (e >= (int64_t)RI_TX_BASE) {
                return false;
            }
            remove_entity(m, e, 0);
            continue;
        }
        int64_t v = it->what == DO_RETRACT_ALL ? 0 : model_value(m, it->attr, it->v);
        if (v == UNKNOWN || (attrs[it->attr].kind == KIND_REF && v < 0)) {
            return false;
        }
        fact f = { e, it->attr, v };
        if (it->what == DO_RETRACT_ALL) {
            for (size_t k = 0; k < m->fact_count; k++) {
                if (m->facts[k].e == e && m->facts[k].attr == it->attr) {
                    remove_fact(m, m->facts[k]);
                }
            }
        } else if (it->what == DO_RETRACT) {
            explicit_removed[(*explicit_count)++] = f;
            remove_fact(m, f);
        } else {
            if (it->what == DO_CAS && !check_cas(m, it, e)) {
                return false;
            }
            if (!list_has(m->wanted, m->wanted_count, f)) {
                m->wanted[m->wanted_count++] = f;
            }
        }
    }
    return true;
}

static bool model_conflicts(model *m, const fact *explicit_removed, size_t explicit_count)
{
    for (size_t i = 0; i < m->wanted_count; i++) {
        fact f = m->wanted[i];
        if (list_has(m->removed, m->removed_count, f) || list_has(explicit_removed, explicit_count, f)) {
            return true;
        }
        for (size_t j = 0; j < m->wanted_count; j++) {
            fact g = m->wanted[j];
            if (!attrs[f.attr].many && f.e == g.e && f.attr == g.attr && f.v != g.v) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < m->wanted_count; i++) { /* what cardinality one replaces */
        for (size_t k = 0; !attrs[m->wanted[i].attr].many && k < m->fact_count; k++) {
            fact f = m->facts[k];
            if (f.e == m->wanted[i].e && f.attr == m->wanted[i].attr && f.v != m->wanted[i].v) {
                remove_fact(m, f);
            }
        }
    }
    for (size_t i = 0; i < m->wanted_count; i++) {
        fact f = m->wanted[i];
        if (attrs[f.attr].unique == 0) {
            continue;
        }
        for (size_t j = 0; j < m->wanted_count; j++) {
            if (m->wanted[j].attr == f.attr && m->wanted[j].v == f.v && m->wanted[j].e != f.e) {
                return true;
            }
        }
        int64_t holder = holder_of(m, f.attr, f.v);
        if (holder != 0 && holder != f.e && !list_has(m->removed, m->removed_count, (fact){ holder, f.attr, f.v })) {
            return true;
        }
    }
    return false;
}

/* What the transaction means; false: it fails. m->removed and m->wanted (only what is new) are the outcome. */
static bool model_resolve(model *m)
{
    for (int k = 0; k < TEMP_COUNT; k++) {
        m->label[k] = k;
        m->bound[k] = 0;
    }
    int joined;
    while ((joined = join_round(m)) > 0) {
    }
    if (joined < 0 || !model_number(m)) {
        return false;
    }
    fact explicit_removed[ITEM_COUNT_MAX];
    size_t explicit_count;
    if (!model_items(m, explicit_removed, &explicit_count) || model_conflicts(m, explicit_removed, explicit_count)) {
        return false;
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->wanted_count; i++) {
        if (!list_has(m->facts, m->fact_count, m->wanted[i])) {
            m->wanted[kept++] = m->wanted[i];
        }
    }
    m->wanted_count = kept;
    return true;
}

static void model_commit(model *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->fact_count; i++) {
        if (!list_has(m->removed, m->removed_count, m->facts[i])) {
            m->facts[kept++] = m->facts[i];
        }
    }
    m->fact_count = kept;
    for (size_t i = 0; i < m->wanted_count; i++) {
        REQUIRE(m->fact_count < FACT_COUNT_MAX);
        m->facts[m->fact_count++] = m->wanted[i];
    }
}

/* ---- random transactions ---- */

static name random_entity(const model *m, test_rng *rng)
{
    uint64_t dice = test_random_below(rng, 20);
    if (dice < 8) {
        return (name){ ENT_TEMP, (int64_t)test_random_below(rng, TEMP_COUNT), 0 };
    }
    if (dice < 17) {
        uint64_t count = (uint64_t)m->next_e - RI_EID_USER;
        uint64_t back = test_random_below(rng, 12);
        if (test_random_below(rng, 50) == 0) { /* one of the user's choice */
            return (name){ ENT_ID, m->next_e + (int64_t)back, 0 };
        }
        return (name){ ENT_ID, (int64_t)(RI_EID_USER + (count > back ? count - 1 - back : 0)), 0 };
    }
    if (dice < 19) {
        int lookup_attrs[3] = { 4, 5, 10 };
        return (name){ ENT_LOOKUP, (int64_t)test_random_below(rng, 4), lookup_attrs[test_random_below(rng, 3)] };
    }
    return (name){ ENT_SELF, 0, 0 };
}

static name random_value(const model *m, test_rng *rng, int attr)
{
    if (attrs[attr].kind == KIND_REF) {
        return random_entity(m, rng);
    }
    return (name){ ENT_ID, (int64_t)test_random_below(rng, attrs[attr].kind == KIND_TEXT ? WORD_COUNT : 6), 0 };
}

static item random_item(const model *m, test_rng *rng)
{
    static const int kinds[12] = {
        DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_ADD, DO_RETRACT, DO_RETRACT_ALL, DO_RETRACT_ENTITY,
        DO_CAS
    };
    item it = { .what = kinds[test_random_below(rng, 12)], .e = random_entity(m, rng) };
    it.attr = (int)test_random_below(rng, ATTR_COUNT);
    if (it.what == DO_CAS) {
        static const int cas_attrs[4] = { 0, 1, 2, 5 };
        it.attr = cas_attrs[test_random_below(rng, 4)];
        it.none = test_random_below(rng, 2) == 0;
        it.old_v = random_value(m, rng, it.attr).n;
    }
    it.v = random_value(m, rng, it.attr);
    if ((it.what == DO_RETRACT || it.what == DO_RETRACT_ALL) && m->fact_count > 0 && test_random_below(rng, 4) != 0) {
        fact f = m->facts[test_random_below(rng, m->fact_count)];
        it.e = (name){ ENT_ID, f.e, 0 };
        it.attr = f.attr;
        it.v = (name){ ENT_ID, f.v, 0 };
    }
    return it;
}

static void see_temp(model *m, name e)
{
    if (e.kind == ENT_TEMP && m->temp_seen[e.n] == 0) {
        m->temp_seen[e.n] = ++m->temp_seen_count;
    }
}

static void see_temps(model *m)
{
    memset(m->temp_seen, 0, sizeof m->temp_seen);
    m->temp_seen_count = 0;
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        see_temp(m, it->e);
        if ((it->what == DO_ADD || it->what == DO_RETRACT) && attrs[it->attr].kind == KIND_REF) {
            see_temp(m, it->v);
        }
    }
}

/* ---- the engine ---- */

static ri_value engine_value(int attr, int64_t v)
{
    if (attrs[attr].kind == KIND_TEXT) {
        return ri_bytes_value(RI_STRING, words[v], strlen(words[v]));
    }
    return attrs[attr].kind == KIND_REF ? ri_ref((uint64_t)v) : ri_long(v);
}

static const ri_attr *engine_attr(const world *w, int attr)
{
    return ri_schema_attr(w->db->schema, attrs[attr].ident, strlen(attrs[attr].ident));
}

static int engine_entity(world *w, ri_tx *tx, name e, ri_ent *out)
{
    switch (e.kind) {
    case ENT_ID:
        *out = (ri_ent){ RI_ENT_ID, { .id = (uint64_t)e.n } };
        return 0;
    case ENT_SELF:
        *out = (ri_ent){ RI_ENT_TX, { 0 } };
        return 0;
    case ENT_TEMP:
        return ri_tx_temp_number(tx, -1 - e.n, out, &test_err);
    default:
        break;
    }
    ri_value v = engine_value(e.attr, e.n);
    return ri_tx_lookup(tx, engine_attr(w, e.attr), &v, out, &test_err);
}

static int engine_item(world *w, ri_tx *tx, const item *it)
{
    ri_ent e;
    RI_TRY(engine_entity(w, tx, it->e, &e));
    const ri_attr *attr = engine_attr(w, it->attr);
    if (it->what == DO_RETRACT_ENTITY) {
        return ri_tx_retract_entity(tx, e, &test_err);
    }
    if (it->what == DO_RETRACT_ALL) {
        return ri_tx_retract(tx, e, attr, NULL, &test_err);
    }
    ri_value v = engine_value(it->attr, it->v.n);
    if (it->what == DO_CAS) {
        ri_value old_v = engine_value(it->attr, it->old_v);
        return ri_tx_cas(tx, e, attr, it->none ? NULL : &old_v, &v, &test_err);
    }
    if (attrs[it->attr].kind == KIND_REF) {
        ri_ent target;
        RI_TRY(engine_entity(w, tx, it->v, &target));
        return it->what == DO_ADD ? ri_tx_add_ref(tx, e, attr, target, &test_err)
                                  : ri_tx_retract_ref(tx, e, attr, target, &test_err);
    }
    return it->what == DO_ADD ? ri_tx_add(tx, e, attr, &v, it->e.n % 2 == 0, &test_err)
                              : ri_tx_retract(tx, e, attr, &v, &test_err);
}

static int engine_resolve(world *w, const model *m, ri_tx **tx, ri_tx_result *result)
{
    *result = (ri_tx_result){ 0 };
    REQUIRE_RC(ri_tx_new(w->db, tx, &test_err), 0);
    for (size_t i = 0; i < m->item_count; i++) {
        RI_TRY(engine_item(w, *tx, &m->items[i]));
    }
    return world_resolve(w, *tx, result, &test_err);
}

/* A datom as a fact; false: the instant. */
static bool fact_of(const world *w, const ri_datom *d, fact *out)
{
    const ri_attr *attr = ri_schema_attr_by_id(w->db->schema, d->a);
    if (attr == NULL || d->a < RI_EID_ATTR || d->e < RI_EID_USER) {
        return false;
    }
    *out = (fact){ (int64_t)d->e, (int)(d->a - RI_EID_ATTR), 0 };
    if (d->v.type == RI_REF || d->v.type == RI_LONG) {
        out->v = d->v.as.i;
        return true;
    }
    for (int64_t i = 0; i < WORD_COUNT; i++) {
        bool whole =
            d->v.type == RI_STRING && d->v.len == strlen(words[i]) && memcmp(d->v.as.p, words[i], d->v.len) == 0;
        if (whole || (d->v.type == RI_STRING_BLOB && ri_stub_len(&d->v) == strlen(words[i]))) {
            out->v = i;
            return true;
        }
    }
    return false;
}

/* ---- agreeing ---- */

static void check_block(const world *w, const model *m, const ri_tx_result *result)
{
    size_t facts = 0;
    for (size_t i = 0; i < result->block->count; i++) {
        const ri_datom *d = &result->block->datoms[i];
        CHECK(d->t == result->block->t);
        CHECK(i == 0 || ri_datom_cmp(RI_LOG, d - 1, d) < 0);
        fact f;
        if (fact_of(w, d, &f)) {
            facts++;
            CHECK(d->added ? list_has(m->wanted, m->wanted_count, f) : list_has(m->removed, m->removed_count, f));
        }
    }
    CHECK_EQ_INT(facts, m->wanted_count + m->removed_count);
}

static void check_whole(const world *w, const model *m)
{
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    ri_io io = { 0 };
    ri_scan scan;
    ri_run run;
    size_t facts = 0;
    ri_scan_init(&scan, w->db, RI_EAVT);
    ri_scan_set(&scan, &from, &to);
    while (ri_scan_next(&scan, &run, &io, &test_err) == 0) {
        for (uint32_t i = 0; i < ri_run_count(&run); i++) {
            ri_datom d;
            fact f;
            if (run.leaf != NULL) {
                ri_node_datom(run.leaf, run.from + i, &d);
            } else {
                d = *run.rows[i];
            }
            if (fact_of(w, &d, &f)) {
                facts++;
                CHECK(list_has(m->facts, m->fact_count, f));
            }
        }
    }
    CHECK_EQ_INT(facts, m->fact_count);
    ri_scan_deinit(&scan);
    ri_io_deinit(&io);
}

/* The same items in another order: the same number of datoms, or another failure. */
static void check_shuffled(world *w, model *m, test_rng *rng, bool good, size_t datom_count)
{
    item kept[ITEM_COUNT_MAX];
    memcpy(kept, m->items, sizeof kept);
    for (size_t i = m->item_count; i > 1; i--) {
        size_t j = (size_t)test_random_below(rng, i);
        item swap = m->items[i - 1];
        m->items[i - 1] = m->items[j];
        m->items[j] = swap;
    }
    ri_tx *tx = NULL;
    ri_tx_result result;
    int rc = engine_resolve(w, m, &tx, &result);
    CHECK_EQ_INT(rc == 0, good);
    if (rc == 0 && good) {
        CHECK_EQ_INT(result.block->count, datom_count);
    }
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    memcpy(m->items, kept, sizeof kept);
}

static void show_items(const model *m)
{
    static const char *const kinds[] = { "id", "temp", "lookup", "tx" };
    static const char *const verbs[] = { "add", "retract", "retract-all", "retract-entity", "cas" };
    for (size_t i = 0; i < m->item_count; i++) {
        const item *it = &m->items[i];
        (void)fprintf(stderr, "    %s %s %lld(%s) :%s %s %lld(%s) old %lld%s\n", verbs[it->what], kinds[it->e.kind],
                      (long long)it->e.n, attrs[it->e.attr].ident, attrs[it->attr].ident, kinds[it->v.kind],
                      (long long)it->v.n, attrs[it->v.attr].ident, (long long)it->old_v, it->none ? " none" : "");
    }
}

static bool one_step(world *w, model *m, test_rng *rng)
{
    m->item_count = 1 + (size_t)test_random_below(rng, ITEM_COUNT_MAX);
    for (size_t i = 0; i < m->item_count; i++) {
        m->items[i] = random_item(m, rng);
    }
    see_temps(m);
    m->t = (int64_t)(w->db->t < RI_TX_BASE ? RI_TX_BASE : w->db->t) + 1;
    int64_t next_e = m->next_e;
    bool expected = model_resolve(m);
    ri_tx *tx = NULL;
    ri_tx_result result;
    int rc = engine_resolve(w, m, &tx, &result);
    if (!test_check(expected == (rc == 0), __FILE__, __LINE__, expected ? test_err.message : "the model refuses it")) {
        show_items(m);
    }
    if (expected && rc == 0) {
        check_block(w, m, &result);
        check_shuffled(w, m, rng, true, result.block->count);
        CHECK_EQ_INT(result.next_e, m->next_e);
        REQUIRE_RC(world_push(w, &result, &test_err), 0);
        model_commit(m);
    } else {
        check_shuffled(w, m, rng, false, 0);
        m->next_e = next_e;
    }
    ri_tx_result_deinit(&result);
    ri_tx_release(tx);
    return expected;
}

TEST(tx__agrees_with_a_list_of_facts)
{
    test_rng rng = test_rng_new();
    make_words();
    size_t good = 0;
    for (int round = 0; round < 20; round++) {
        world w = world_open(false);
        REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
        static model m;
        m = (model){ .next_e = (int64_t)RI_EID_USER };
        for (int step = 0; step < 500; step++) {
            good += one_step(&w, &m, &rng) ? 1 : 0;
            if (step % 50 == 0) {
                check_whole(&w, &m);
            }
        }
        check_whole(&w, &m);
        world_close(&w);
    }
    CHECK(good > 2000); /* neither all fail nor all succeed */
    CHECK(good < 9000);
}

/* ---- bulk ---- */

/* Items of entities in an order that jumps about. */
TEST(tx__sorts_what_comes_in_any_order)
{
    world w = world_open(false);
    make_words();
    REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
    test_rng rng = test_rng_new();
    size_t counts[5] = { 3, 40, 300, 5000, 40000 };
    for (size_t c = 0; c < 5; c++) {
        ri_tx *tx;
        ri_tx_result result;
        REQUIRE_RC(ri_tx_new(w.db, &tx, &test_err), 0);
        for (size_t i = 0; i < counts[c]; i++) {
            ri_ent e;
            ri_value v = ri_long((int64_t)(test_random_below(&rng, 100)));
            CHECK_RC(ri_tx_temp_number(tx, -1 - (int64_t)test_random_below(&rng, counts[c] / 3), &e, &test_err), 0);
            CHECK_RC(ri_tx_add(tx, e, engine_attr(&w, 1), &v, false, &test_err), 0);
        }
        REQUIRE_RC(world_resolve(&w, tx, &result, &test_err), 0);
        for (size_t i = 1; i < result.block->count; i++) {
            CHECK(ri_datom_cmp(RI_LOG, &result.block->datoms[i - 1], &result.block->datoms[i]) < 0);
        }
        CHECK_EQ_INT(result.next_e - w.db->next_e, result.tempid_count);
        ri_tx_result_deinit(&result);
        ri_tx_release(tx);
    }
    world_close(&w);
}

/* A result can be had again from the same transaction. */
TEST(tx__resolves_again_to_the_same)
{
    world w = world_open(false);
    REQUIRE_RC(world_try(&w, schema_text, NULL, &test_err), 0);
    ri_tx *tx;
    ri_ent e;
    ri_ent f;
    ri_value v = ri_bytes_value(RI_STRING, "k", 1);
    REQUIRE_RC(ri_tx_new(w.db, &tx, &test_err), 0);
    CHECK_RC(ri_tx_temp_named(tx, "e", 1, &e, &test_err), 0);
    CHECK_RC(ri_tx_temp_named(tx, "f", 1, &f, &test_err), 0);
    CHECK_RC(ri_tx_add(tx, e, engine_attr(&w, 4), &v, true, &test_err), 0);
    CHECK_RC(ri_tx_add(tx, f, engine_attr(&w, 4), &v, true, &test_err), 0);
    CHECK_RC(ri_tx_add_ref(tx, f, engine_attr(&w, 6), e, &test_err), 0);
    ri_tx_result first;
    ri_tx_result second;
    w.clock = 5000;
    REQUIRE_RC(world_resolve(&w, tx, &first, &test_err), 0);
    w.clock = 5000;
    REQUIRE_RC(world_resolve(&w, tx, &second, &test_err), 0);
    CHECK_EQ_MEM(first.block->commit, RI_HASH_SIZE, second.block->commit, RI_HASH_SIZE);
    CHECK_EQ_INT(second.tempid_count, 2);
    CHECK_EQ_INT(second.tempids[0].e, second.tempids[1].e);
    CHECK_EQ_INT(second.block->instant, 5001);
    ri_tx_result_deinit(&first);
    ri_tx_result_deinit(&second);
    ri_tx_release(tx);
    world_close(&w);
}

TEST_MAIN(tx__agrees_with_a_list_of_facts, tx__sorts_what_comes_in_any_order, tx__resolves_again_to_the_same)
