/* SPDX-License-Identifier: MIT
 *
 * Who is who in a transaction.
 *
 * Everything goes by KEYS: a value of a unique attribute that is asserted, or looked up by a lookup ref. Keys with one
 * attribute and one value meet in a hash table; the first of them is their head. Then
 *
 *   an entity holds the value already   tempids that get it by an identity attribute, and lookup refs, are that entity
 *   else                                whatever gets it here by an identity attribute is one entity; lookup refs are
 *                                       that, too
 *
 * Tempids are joined in a union-find forest; a root may be bound to an id. A key whose value is itself a tempid
 * (a unique ref), or is said of what a lookup ref names, can only be judged when that is known: then passes are made
 * until nothing changes, forwards and backwards in turn, so that chains in either order settle at once.
 *
 * All look-ups of a pass are asked for before it gives up for RILLE_NEED. The outcome does not depend on the order of
 * the items but for the numbers of new ids, which are given in the order of appearance.
 *
 * Cost: a hash probe a key, and a look-up a key where the attribute has any datoms. Keys of one attribute that has none,
 * with values that rise, as of most bulk loads, are one comparison each: every one is asserted once, and nobody has it.
 */
#include "tx_resolver.h"

#define FEW_KEYS 16U /* up to so many keys are looked up without asking whether their attribute has datoms at all */

/* ---- tempids ---- */

uint32_t ri_tx_temp_root(ri_tx *tx, uint32_t temp)
{
    tx_temp *temps = tx->temps;
    while (temps[temp].parent != temp) {
        temps[temp].parent = temps[temps[temp].parent].parent;
        temp = temps[temp].parent;
    }
    return temp;
}

uint64_t ri_tx_known_word(const tx_resolver *r, uint64_t word)
{
    if ((word & TX_TEMP) != 0) {
        uint32_t root = ri_tx_temp_root(r->tx, (uint32_t)(word & TX_INDEX_MASK));
        uint64_t e = r->tx->temps[root].e;
        return e != 0 ? e : TX_TEMP | root;
    }
    return word == TX_SELF ? r->t : word;
}

static int upsert_conflict(tx_resolver *r, const tx_key *key, uint32_t root, uint64_t e)
{
    char value[100];
    char temp[TX_SHOW_SIZE];
    const ri_attr *attr = tx_attr(r->tx, key->slot);
    ri_tx_blame(r, TX_BLAME_ANY, TX_TEMP | root, 0, NULL);
    return ri_fail(r->err, RILLE_TX_UPSERT,
                   "%s is entity %llu because of another identity attribute, but :%s %s belongs to entity %llu",
                   ri_tx_show_temp(r->tx, root, temp, sizeof temp), (unsigned long long)r->tx->temps[root].e,
                   attr->ident, ri_value_show(value, sizeof value, &key->v), (unsigned long long)e);
}

/* The tempid is e. */
static int bind(tx_resolver *r, const tx_key *key, uint64_t word, uint64_t e, bool *changed)
{
    uint32_t root = ri_tx_temp_root(r->tx, (uint32_t)(word & TX_INDEX_MASK));
    tx_temp *temp = &r->tx->temps[root];
    if (temp->e == e) {
        return RILLE_OK;
    }
    if (temp->e != 0) {
        return upsert_conflict(r, key, root, e);
    }
    temp->e = e;
    *changed = true;
    return RILLE_OK;
}

/* Two words name one entity. Two ids that differ are left to ri_tx_check_unique. */
static int unify(tx_resolver *r, const tx_key *key, uint64_t a, uint64_t b, bool *changed)
{
    if ((a & TX_TEMP) == 0 || (b & TX_TEMP) == 0) {
        if ((a & TX_TEMP) != 0) {
            return bind(r, key, a, ri_tx_entity_id(r, b), changed);
        }
        return (b & TX_TEMP) != 0 ? bind(r, key, b, ri_tx_entity_id(r, a), changed) : RILLE_OK;
    }
    uint32_t root_a = ri_tx_temp_root(r->tx, (uint32_t)(a & TX_INDEX_MASK));
    uint32_t root_b = ri_tx_temp_root(r->tx, (uint32_t)(b & TX_INDEX_MASK));
    if (root_a == root_b) {
        return RILLE_OK;
    }
    uint32_t low = root_a < root_b ? root_a : root_b; /* the first to appear stays the root */
    uint32_t high = root_a < root_b ? root_b : root_a;
    tx_temp *temps = r->tx->temps;
    if (temps[low].e != 0 && temps[high].e != 0 && temps[low].e != temps[high].e) {
        return upsert_conflict(r, key, low, temps[high].e);
    }
    if (temps[low].e == 0) {
        temps[low].e = temps[high].e;
    }
    temps[low].flags |= temps[high].flags;
    temps[high].parent = low;
    *changed = true;
    return RILLE_OK;
}

/* ---- holders ---- */

/* Does the attribute have datoms in the database before? RILLE_NEED, and r->need or r->paused: not known. */
static int has_none(tx_resolver *r, uint32_t a, bool *none)
{
    ri_bound from = ri_bound_a(a, false);
    ri_bound to = ri_bound_a(a, true);
    uint64_t count = 0;
    int rc = ri_db_count(r->db, RI_AVET, &from, &to, r->io, &count, r->err);
    *none = rc == RILLE_OK && count == 0;
    if (!ri_tx_lacks_time(r, rc)) {
        r->need = r->need || rc == RILLE_NEED;
    }
    return rc;
}

/* The same, asked once an attribute, and only where there are many keys. */
static int attr_is_empty(tx_resolver *r, uint32_t slot, bool *empty)
{
    enum { UNKNOWN, SOME, NONE, PENDING };
    *empty = false;
    if (r->slot_empty == NULL || r->slot_empty[slot] == SOME) {
        return RILLE_OK;
    }
    if (r->slot_empty[slot] == UNKNOWN) {
        bool none;
        int rc = has_none(r, tx_attr(r->tx, slot)->id, &none);
        if (rc < 0 || r->paused) {
            return rc;
        }
        r->slot_empty[slot] = rc == RILLE_NEED ? PENDING : none ? NONE : SOME;
    }
    *empty = r->slot_empty[slot] != SOME; /* pending: no use asking for values yet */
    return RILLE_OK;
}

static int ask_holder(tx_resolver *r, tx_key *head)
{
    const ri_attr *attr = tx_attr(r->tx, head->slot);
    if (head->asked || (head->v.type == RI_REF && ((head->v.as.u & TX_TEMP) != 0 || tx_is_fresh(r, head->v.as.u)))) {
        return RILLE_OK;
    }
    if (attr->id == RI_A_IDENT) {
        head->holder = ri_schema_ident(r->tx->schema, (const char *)head->v.as.p, head->v.len);
        head->asked = true;
        return RILLE_OK;
    }
    bool empty = attr->id >= r->db->next_attr;
    if (!empty) {
        RI_TRY(attr_is_empty(r, head->slot, &empty));
    }
    if (!empty) {
        int rc = ri_db_lookup(r->db, attr, &head->v, r->io, &head->holder, r->err);
        if (rc < 0 || ri_tx_lacks_time(r, rc)) {
            return rc;
        }
        if (rc == RILLE_NEED) {
            r->need = true;
            return RILLE_OK;
        }
    }
    head->asked = true;
    return RILLE_OK;
}

/* ---- keys ---- */

/* Memory of many is freed when they are looked at no more. */
static void *key_array(tx_resolver *r, size_t count, size_t size)
{
    enum { MANY_KEYS = 1024 };
    r->keys_are_heap = r->key_count >= MANY_KEYS;
    return r->keys_are_heap ? ri_alloc_array(count, size) : ri_arena_array(&r->tx->scratch, count, size);
}

static int gather_keys(tx_resolver *r, size_t from, size_t to)
{
    const ri_tx *tx = r->tx;
    for (size_t i = from; i < to; i++) {
        if (i < tx->lookup_count) {
            const tx_lookup *lookup = &tx->lookups[i];
            r->keys[i] =
                (tx_key){ .entity = TX_TEMP | lookup->temp, .v = lookup->v, .slot = lookup->slot, .lookup = true };
        } else {
            const tx_op *op = &tx->items[tx->unique[i - tx->lookup_count]];
            r->keys[i] = (tx_key){ .entity = op->e, .v = op->v, .slot = tx_op_slot(op) };
        }
    }
    return RILLE_OK;
}

static int make_keys(tx_resolver *r)
{
    ri_tx *tx = r->tx;
    r->key_count = tx->unique_count + tx->lookup_count;
    r->keys = key_array(r, r->key_count + 1, sizeof *r->keys);
    if (r->keys == NULL) {
        return ri_fail_nomem(r->err);
    }
    if (r->key_count > FEW_KEYS) {
        size_t slots = tx->schema->attr_count + tx->made_count;
        r->slot_empty = ri_arena_alloc(&tx->scratch, slots);
        if (r->slot_empty == NULL) {
            return ri_fail_nomem(r->err);
        }
        memset(r->slot_empty, 0, slots);
    }
    return RILLE_OK;
}

static int table_init(tx_resolver *r)
{
    size_t cap = 16;
    while (cap < r->key_count * 2) {
        cap *= 2;
    }
    r->places = key_array(r, cap, sizeof *r->places);
    r->place_mask = cap - 1;
    return r->places == NULL ? ri_fail_nomem(r->err) : RILLE_OK;
}

/* The head of keys[index]'s group; itself when it is the first. */
static uint32_t find_head(tx_resolver *r, uint32_t index)
{
    const tx_key *key = &r->keys[index];
    uint64_t hash = ri_mix64(ri_value_hash(&key->v) + key->slot);
    for (size_t i = (size_t)hash & r->place_mask;; i = (i + 1) & r->place_mask) {
        if (r->places[i] == 0) {
            r->places[i] = index + 1;
            return index;
        }
        const tx_key *other = &r->keys[r->places[i] - 1];
        if (other->slot == key->slot && ri_value_eq(&other->v, &key->v)) {
            return r->places[i] - 1;
        }
    }
}

/* The entity that a key is asserted of; 0: a lookup ref that is not known (yet) to name something. A known one is no
 * tempid any more: it does not become another entity by what is said of it. */
static uint64_t key_subject(const tx_resolver *r, const tx_key *key)
{
    const ri_tx *tx = r->tx;
    if ((key->entity & TX_TEMP) == 0 || (tx->temps[key->entity & TX_INDEX_MASK].given & TEMP_REAL) != 0) {
        return key->entity;
    }
    uint64_t word = ri_tx_known_word(r, key->entity);
    bool known = (word & TX_TEMP) == 0 || (tx->temps[word & TX_INDEX_MASK].flags & TEMP_REAL) != 0;
    return known ? word : 0;
}

static int judge_key(tx_resolver *r, uint32_t index)
{
    tx_key *key = &r->keys[index];
    if (key->v.type == RI_REF) {
        key->v.as.u = ri_tx_known_word(r, key->v.as.u);
    }
    key->head = find_head(r, index);
    tx_key *head = &r->keys[key->head];
    if (head == key) {
        key->subject = 0;
        RI_TRY(ask_holder(r, key));
    }
    if (key->lookup) {
        return head->holder != 0 ? bind(r, head, key->entity, head->holder, &r->changed) : RILLE_OK;
    }
    uint64_t subject = key_subject(r, key);
    uint64_t first = head->subject;
    if (first == 0) {
        head->subject = subject;
    }
    if (subject == 0 || tx_attr(r->tx, key->slot)->unique != RI_UNIQUE_IDENTITY) {
        return RILLE_OK;
    }
    if (head->holder != 0) {
        return (subject & TX_TEMP) != 0 ? bind(r, head, subject, head->holder, &r->changed) : RILLE_OK;
    }
    return first != 0 ? unify(r, head, first, subject, &r->changed) : RILLE_OK;
}

/* A lookup ref of what is made here. */
static int judge_lookup(tx_resolver *r, uint32_t index)
{
    const tx_key *key = &r->keys[index];
    const tx_key *head = &r->keys[key->head];
    const tx_temp *root = &r->tx->temps[ri_tx_temp_root(r->tx, (uint32_t)(key->entity & TX_INDEX_MASK))];
    bool open = root->e == 0 && (root->flags & TEMP_REAL) == 0; /* once known, it stays what it is */
    return open && head->holder == 0 && head->subject != 0 ? unify(r, key, head->subject, key->entity, &r->changed)
                                                           : RILLE_OK;
}

/* One pass: lookup refs first, since what is said of their entities may count for others; the other keys; and lookup
 * refs once more. */
static int judge(tx_resolver *r, size_t from, size_t to)
{
    size_t lookups = r->tx->lookup_count;
    size_t count = r->key_count;
    for (size_t i = from; i < to; i++) {
        bool backwards = r->backwards && i >= lookups;
        RI_TRY(i >= count ? judge_lookup(r, (uint32_t)(i - count))
                          : judge_key(r, (uint32_t)(backwards ? count - 1 - (i - lookups) : i)));
    }
    return RILLE_OK;
}

static int clear_places(tx_resolver *r, size_t from, size_t to)
{
    memset(r->places + from, 0, (to - from) * sizeof *r->places);
    return RILLE_OK;
}

static int make_pass(tx_resolver *r)
{
    if (!r->passes) {
        RI_TRY(ri_tx_slices(r, r->place_mask + 1, sizeof *r->places, clear_places));
        r->passes = true;
        r->changed = false;
    }
    RI_TRY(ri_tx_slices(r, r->key_count + r->tx->lookup_count, TX_KEY_WORK, judge));
    r->passes = false;
    return RILLE_OK;
}

static int begin_temps(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        tx_temp *temp = &r->tx->temps[i];
        temp->e = 0;
        temp->parent = (uint32_t)i;
        temp->flags = temp->given;
    }
    return RILLE_OK;
}

int ri_tx_begin_temps(tx_resolver *r)
{
    return ri_tx_slices(r, r->tx->temp_count, TX_ITEM_WORK, begin_temps);
}

int ri_tx_look_at_keys(tx_resolver *r)
{
    const ri_tx *tx = r->tx;
    if (tx->lookup_count > 0 || tx->unique_count <= FEW_KEYS || !tx->unique_rise) {
        return RILLE_OK;
    }
    const ri_attr *attr = tx_attr(tx, tx_op_slot(&tx->items[tx->unique[0]]));
    if (attr->type == RI_REF || attr->id == RI_A_IDENT) {
        return RILLE_OK;
    }
    int rc = has_none(r, attr->id, &r->keys_are_new);
    return rc < 0 || r->paused ? rc : RILLE_OK;
}

int ri_tx_bind_entities(tx_resolver *r)
{
    const ri_tx *tx = r->tx;
    if (tx->unique_count + tx->lookup_count == 0 || r->keys_are_new) {
        return RILLE_OK;
    }
    if (r->keys == NULL) {
        RI_TRY(make_keys(r));
    }
    if (!r->keys_are_there) {
        RI_TRY(ri_tx_slices(r, r->key_count, TX_ITEM_WORK, gather_keys));
        RI_TRY(table_init(r));
        r->keys_are_there = true;
    }
    for (;;) {
        RI_TRY(make_pass(r));
        if (!r->changed || !tx->chained || r->need) {
            return RILLE_OK;
        }
        r->backwards = !r->backwards;
    }
}

/* ---- new ids ---- */

static int missing_lookup(tx_resolver *r, const tx_lookup *lookup)
{
    char value[100];
    const char *ident = tx_attr(r->tx, lookup->slot)->ident;
    uint64_t e = lookup->v.type == RI_REF ? ri_tx_entity_id(r, lookup->v.as.u) : 1;
    ri_value v = lookup->v.type == RI_REF ? ri_ref(e) : lookup->v;
    ri_tx_blame(r, TX_BLAME_ANY, TX_TEMP | lookup->temp, 0, NULL);
    return e == 0 ? ri_fail(r->err, RILLE_ENTITY_MISSING,
                            "no entity matches the lookup ref by :%s: its value does not resolve to an existing entity",
                            ident)
                  : ri_fail(r->err, RILLE_ENTITY_MISSING, "no entity matches the lookup ref [:%s %s]", ident,
                            ri_value_show(value, sizeof value, &v));
}

static int number_root(tx_resolver *r, uint32_t root)
{
    tx_temp *temp = &r->tx->temps[root];
    bool named = (temp->flags & TEMP_NAMED) != 0 && r->next_attr < RI_EID_NAMED_END;
    if (named || (temp->flags & TEMP_ATTRIBUTE) != 0) {
        if (r->next_attr >= RI_EID_USER) {
            return ri_fail(r->err, RILLE_LIMIT, "too many attributes: a database can have at most %llu",
                           (unsigned long long)(RI_EID_USER - RI_EID_ATTR));
        }
        temp->e = r->next_attr++;
    } else if ((temp->flags & TEMP_SUBJECT) != 0) {
        if (r->next_e >= RI_TX_BASE) {
            return ri_fail(r->err, RILLE_LIMIT, "the database has no more entity ids: the next one would be %llu",
                           (unsigned long long)r->next_e);
        }
        temp->e = r->next_e++;
    } else if ((temp->flags & TEMP_VALUE) != 0) {
        char shown[TX_SHOW_SIZE];
        ri_tx_blame(r, TX_BLAME_ANY, TX_TEMP | root, 0, NULL);
        return ri_fail(
            r->err, RILLE_TX_SYNTAX,
            "%s is only used as a value: assert at least one attribute of it, or refer to an existing entity by a "
            "lookup ref, [:unique/attribute value], or by its ident, written with a colon",
            ri_tx_show_temp(r->tx, root, shown, sizeof shown));
    }
    return RILLE_OK;
}

/* First the lookup refs, then the tempids. */
static int number(tx_resolver *r, size_t from, size_t to)
{
    ri_tx *tx = r->tx;
    for (size_t i = from; i < to; i++) {
        if (i < tx->lookup_count) {
            const tx_temp *root = &tx->temps[ri_tx_temp_root(tx, tx->lookups[i].temp)];
            if (root->e == 0 && (root->flags & TEMP_REAL) == 0) {
                return missing_lookup(r, &tx->lookups[i]);
            }
            continue;
        }
        uint32_t temp = (uint32_t)(i - tx->lookup_count);
        uint32_t root = ri_tx_temp_root(tx, temp);
        if ((tx->temps[temp].given & TEMP_REAL) != 0 && tx->temps[root].e == 0) {
            RI_TRY(number_root(r, root));
        }
    }
    return RILLE_OK;
}

int ri_tx_number_entities(tx_resolver *r)
{
    const ri_tx *tx = r->tx;
    if (r->next_e == 0) {
        r->next_e = r->db->next_e > tx->e_max ? r->db->next_e : tx->e_max + 1;
        r->next_attr = r->db->next_attr + tx->made_count;
    }
    return ri_tx_slices(r, tx->lookup_count + tx->temp_count, TX_ITEM_WORK, number);
}

/* ---- unique values ---- */

/* block NULL: of additions alone. */
static bool is_retracted(const ri_block *block, uint64_t e, uint32_t a, const ri_value *v)
{
    if (block == NULL) {
        return false;
    }
    ri_datom wanted = { .e = e, .t = block->t, .v = *v, .a = a, .added = false };
    size_t low = 0;
    size_t high = block->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ri_datom_cmp(RI_LOG, &block->datoms[mid], &wanted) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < block->count && ri_datom_cmp(RI_LOG, &block->datoms[low], &wanted) == 0;
}

static int held(tx_resolver *r, const tx_key *key, uint64_t e, uint64_t other)
{
    char value[100];
    char first[TX_SHOW_SIZE];
    char second[TX_SHOW_SIZE];
    const tx_key *head = &r->keys[key->head];
    ri_tx_blame(r, 1U << TX_ADD, 0, key->slot, &key->v);
    return ri_fail(r->err, RILLE_TX_UNIQUE, "attribute :%s is unique: %s is %s %s, so %s cannot have it too",
                   tx_attr(r->tx, key->slot)->ident, ri_value_show(value, sizeof value, &key->v),
                   other == head->holder ? "already the value of" : "also asserted of",
                   ri_tx_show_entity(r, other, first, sizeof first), ri_tx_show_entity(r, e, second, sizeof second));
}

static int check_unique(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from + r->tx->lookup_count; i < to + r->tx->lookup_count; i++) {
        tx_key *key = &r->keys[i];
        const tx_key *head = &r->keys[key->head];
        uint64_t e = ri_tx_entity_id(r, key->entity);
        uint64_t first = ri_tx_entity_id(r, head->subject);
        if (key->v.type == RI_REF) {
            key->v.as.u = ri_tx_entity_id(r, key->v.as.u);
        }
        if (first != e) {
            return held(r, key, e, first);
        }
        if (head->holder != 0 && head->holder != e &&
            !is_retracted(r->block, head->holder, tx_attr(r->tx, key->slot)->id, &key->v)) {
            return held(r, key, e, head->holder);
        }
    }
    return RILLE_OK;
}

int ri_tx_check_unique(tx_resolver *r)
{
    return r->key_count == 0 ? RILLE_OK
                             : ri_tx_slices(r, r->key_count - r->tx->lookup_count, TX_ITEM_WORK, check_unique);
}

void ri_tx_forget_keys(tx_resolver *r)
{
    if (r->keys_are_heap) {
        ri_free_sized(r->keys, r->key_count * sizeof *r->keys);
        ri_free_sized(r->places, r->places == NULL ? 0 : (r->place_mask + 1) * sizeof *r->places);
    }
    r->keys = NULL;
    r->keys_are_there = false;
    r->places = NULL;
    r->key_count = 0;
}
