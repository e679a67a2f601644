/* SPDX-License-Identifier: MIT
 *
 * What a transaction means, the slow and plain way: facts in a list, loops over loops. Values are numbers: a long, a
 * text's place in `words`, or an entity's id.
 */
#ifndef RILLE_TEST_DB_MODEL_H
#define RILLE_TEST_DB_MODEL_H

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

#endif
