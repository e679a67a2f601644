/* SPDX-License-Identifier: MIT
 *
 * Transaction data of Lua into a transaction: maps, nested maps, lists, reverse attributes, lookup refs, tempids.
 *
 * Everything is read raw and nothing is copied that need not be: strings are borrowed from Lua, whose tables stay on
 * the stack until the commit is over. A datom of a plain map costs a lua_next, a look into the cache of keys and the
 * conversion of its value: some 60 ns.
 */
#include "rl_fill.h"

#include <string.h>

static int too_deep(fill *f)
{
    return ri_fail(f->err, RILLE_LIMIT,
                   "transaction data is nested too deeply (the maximum depth is %u), or contains itself",
                   FILL_DEPTH_MAX);
}

/* ---- names ---- */

/* Text of a string or keyword; colons are kept. */
static const char *text_at(fill *f, int index, size_t *len, bool *is_keyword)
{
    *is_keyword = false;
    if (lua_type(f->L, index) == LUA_TSTRING) {
        return lua_tolstring(f->L, index, len);
    }
    const rl_value *value = rl_value_test(f->L, f->state, index);
    if (value == NULL || value->v.type != RI_KEYWORD) {
        return NULL;
    }
    *is_keyword = true;
    *len = value->v.len;
    return (const char *)value->v.as.p;
}

int fill_attr(fill *f, int index, const ri_attr **out)
{
    size_t len;
    bool is_keyword;
    const char *name = text_at(f, index, &len, &is_keyword);
    *out = NULL;
    if (name == NULL) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "expected the name of an attribute, got %s%s", RL_GOT(f->L, index));
    }
    return ri_tx_attr(f->tx, name, len, out, f->err);
}

static bool text_is(const char *text, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(text, name, len) == 0;
}

/* "person/_friend" is the way back along "person/friend". */
static int resolve_reverse(fill *f, const char *name, size_t len, const char *slash, fill_slot *out)
{
    char forward[256];
    size_t before = (size_t)(slash + 1 - name);
    if (len >= sizeof forward) {
        return ri_fail(f->err, RILLE_ATTRIBUTE, "attribute name \"%.60s...\" is too long", name);
    }
    memcpy(forward, name, before);
    memcpy(forward + before, slash + 2, len - before - 1);
    out->kind = FILL_REVERSE;
    return ri_tx_attr(f->tx, forward, len - 1, &out->attr, f->err);
}

static int resolve_key(fill *f, int index, fill_slot *out)
{
    size_t len;
    bool is_keyword;
    const char *name = text_at(f, index, &len, &is_keyword);
    if (name == NULL) {
        return ri_fail(
            f->err, RILLE_TX_SYNTAX,
            "a %s is not a key of an entity map: expected the name of an attribute, a string such as \"person/name\"",
            rl_typename(f->L, index));
    }
    if (len > 0 && name[0] == ':') {
        name++;
        len--;
    }
    if (text_is(name, len, "db/id")) {
        out->kind = FILL_ID;
        return 0;
    }
    const char *slash = memchr(name, '/', len);
    if (slash != NULL && slash + 2 < name + len && slash[1] == '_' &&
        ri_schema_attr(ri_tx_db(f->tx)->schema, name, len) == NULL) {
        return resolve_reverse(f, name, len, slash, out);
    }
    out->kind = FILL_ATTR;
    return ri_tx_attr(f->tx, name, len, &out->attr, f->err);
}

/* The key at `index`, mostly from the cache. */
static int find_key(fill *f, int index, const fill_slot **out)
{
    const void *address =
        lua_type(f->L, index) == LUA_TSTRING ? (const void *)lua_tostring(f->L, index) : lua_touserdata(f->L, index);
    uintptr_t bits = (uintptr_t)address;
    fill_slot *slot = &f->slots[(bits >> 4 ^ bits >> 10) & (FILL_SLOTS - 1)];
    *out = slot;
    if (slot->address == address && address != NULL) {
        return 0;
    }
    slot->address = NULL;
    RI_TRY(resolve_key(f, index, slot));
    slot->address = address;
    return 0;
}

/* ---- entities ---- */

static int lookup_ref(fill *f, int index, ri_ent *out)
{
    lua_State *L = f->L;
    const ri_attr *attr;
    ri_value v;
    char shown[RL_KEY_SHOWN];
    if (!lua_checkstack(L, 8)) {
        return ri_fail_nomem(f->err);
    }
    if (rl_stray_key(L, index, 2, NULL, shown)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "a lookup ref {attribute, value} must not have the key %s", shown);
    }
    lua_rawgeti(L, index, 1);
    lua_rawgeti(L, index, 2);
    int rc = fill_attr(f, lua_gettop(L) - 1, &attr);
    if (rc == 0 && attr->type == RI_REF) {
        int64_t id;
        bool is_id = rl_read_int64(L, f->state, -1, &id) && id > 0;
        v = ri_ref(is_id ? (uint64_t)id : 0);
        rc = is_id ? 0
                   : ri_fail(f->err, RILLE_TX_SYNTAX,
                             "a lookup ref by :%s, which is a ref, needs an entity id as its value", attr->ident);
    } else if (rc == 0) {
        rc = rl_read_typed(L, f->state, -1, attr, ri_tx_arena(f->tx), &v, f->err);
    }
    if (rc == 0) {
        rc = ri_tx_lookup(f->tx, attr, &v, out, f->err);
    }
    lua_pop(L, 2);
    return rc;
}

static int entity_by_name(fill *f, const char *name, size_t len, bool is_ident, ri_ent *out)
{
    bool has_colon = len > 0 && name[0] == ':';
    const char *bare = has_colon ? name + 1 : name;
    size_t bare_len = has_colon ? len - 1 : len;
    if (text_is(bare, bare_len, "db/current-tx") || text_is(bare, bare_len, "datomic.tx")) {
        *out = (ri_ent){ RI_ENT_TX, { 0 } };
        return 0;
    }
    if (is_ident || has_colon) {
        return ri_tx_ident(f->tx, bare, bare_len, out, f->err);
    }
    if (!ri_utf8_valid((const uint8_t *)name, len)) {
        return ri_fail(f->err, RILLE_TYPE, "a tempid is not valid UTF-8");
    }
    return ri_tx_temp_named(f->tx, name, len, out, f->err);
}

int fill_entity(fill *f, int index, bool string_is_ident, ri_ent *out)
{
    int64_t id;
    size_t len;
    bool is_keyword;
    *out = (ri_ent){ RI_ENT_ID, { 0 } };
    if (rl_read_int64(f->L, f->state, index, &id)) {
        if (id < 0) {
            return ri_tx_temp_number(f->tx, id, out, f->err);
        }
        if (id == 0 || (uint64_t)id > RI_EID_MAX) {
            return ri_fail(f->err, RILLE_TX_SYNTAX, "%lld is not a valid entity id", (long long)id);
        }
        out->u.id = (uint64_t)id;
        return 0;
    }
    const char *name = text_at(f, index, &len, &is_keyword);
    if (name != NULL) {
        return entity_by_name(f, name, len, is_keyword || string_is_ident, out);
    }
    if (lua_istable(f->L, index)) {
        return lookup_ref(f, index, out);
    }
    if (lua_type(f->L, index) == LUA_TNUMBER) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "%.17g is not a valid entity id", (double)lua_tonumber(f->L, index));
    }
    return ri_fail(f->err, RILLE_TX_SYNTAX,
                   "a %s cannot name an entity: expected an id, a tempid (a negative number or a string), an ident or "
                   "a lookup ref {attribute, value}",
                   rl_typename(f->L, index));
}

/* ---- values ---- */

typedef enum table_kind { TABLE_MAP, TABLE_LOOKUP, TABLE_LIST } table_kind;

static bool names_unique(fill *f, int index)
{
    size_t len;
    bool is_keyword;
    const char *name = text_at(f, index, &len, &is_keyword);
    if (name != NULL && len > 0 && name[0] == ':') {
        name++;
        len--;
    }
    const ri_attr *attr = name == NULL ? NULL : ri_schema_attr(ri_tx_db(f->tx)->schema, name, len);
    return attr != NULL && attr->unique != RI_UNIQUE_NO;
}

/* A value of a ref attribute that is a table: {unique attribute, value} is a lookup ref, other arrays are lists. */
static table_kind kind_of_table(fill *f, int index)
{
    lua_State *L = f->L;
    size_t count = rl_rawlen(L, index);
    if (count == 0) {
        lua_pushnil(L);
        if (lua_next(L, index) == 0) {
            return TABLE_LIST;
        }
        lua_pop(L, 2);
        return TABLE_MAP;
    }
    if (count != 2) {
        return TABLE_LIST;
    }
    lua_rawgeti(L, index, 1);
    bool is_lookup = names_unique(f, lua_gettop(L));
    lua_pop(L, 1);
    return is_lookup ? TABLE_LOOKUP : TABLE_LIST;
}

static int fill_map(fill *f, int index, const ri_ent *given, unsigned depth, ri_ent *out);

int fill_ref(fill *f, const ri_attr *attr, int index, unsigned depth, ri_ent *out)
{
    if (lua_istable(f->L, index)) {
        if (depth >= FILL_DEPTH_MAX || !lua_checkstack(f->L, 12)) {
            return too_deep(f);
        }
        if (kind_of_table(f, index) == TABLE_MAP) {
            return fill_map(f, index, NULL, depth + 1, out);
        }
    }
    /* The engine's own refs (:db/valueType ...) name idents: a tempid would never be meant. */
    int rc = fill_entity(f, index, attr->id < RI_EID_ATTR, out);
    if (rc != 0) {
        ri_err_prefix(f->err, "attribute :%s", attr->ident);
    }
    return rc;
}

/* Is the value a list of values of the attribute? */
static bool is_list(fill *f, const ri_attr *attr, int index)
{
    if (!lua_istable(f->L, index)) {
        return false;
    }
    if (attr->type == RI_REF) {
        return kind_of_table(f, index) == TABLE_LIST;
    }
    return attr->many || (attr->type != RI_TUPLE && attr->type != RI_FLOATS && attr->type != RI_NIL);
}

static int add_one(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth)
{
    if (attr->type == RI_REF) {
        ri_ent ref;
        RI_TRY(fill_ref(f, attr, index, depth, &ref));
        return ri_tx_add_ref(f->tx, e, attr, ref, f->err);
    }
    ri_value v;
    RI_TRY(rl_read_typed(f->L, f->state, index, attr, ri_tx_arena(f->tx), &v, f->err));
    return ri_tx_add(f->tx, e, attr, &v, false, f->err);
}

static int add_reverse(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth)
{
    ri_ent from;
    RI_TRY(fill_ref(f, attr, index, depth, &from));
    return ri_tx_add_ref(f->tx, from, attr, e, f->err);
}

typedef int (*add_fn)(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth);

static int add_list(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth, add_fn add)
{
    lua_State *L = f->L;
    size_t count;
    if (depth >= FILL_DEPTH_MAX || !lua_checkstack(L, 12)) {
        return too_deep(f);
    }
    if (rl_array(L, index, NULL, &count, RILLE_TYPE, f->err) != 0) {
        ri_err_prefix(f->err, "attribute :%s", attr->ident);
        return count != 0 ? RILLE_TYPE
                          : ri_fail(f->err, RILLE_TYPE, "attribute :%s: expected %s %s, got a map", attr->ident,
                                    ri_type_article(attr->type), ri_type_name(attr->type));
    }
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (int)i);
        int rc = add(f, e, attr, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
        RI_TRY(rc);
    }
    return 0;
}

int fill_add(fill *f, ri_ent e, const ri_attr *attr, int index, unsigned depth)
{
    if (!is_list(f, attr, index)) {
        return add_one(f, e, attr, index, depth);
    }
    if (!attr->many) {
        return ri_fail(f->err, RILLE_TYPE,
                       "attribute :%s: expected one value, got a list: the attribute has cardinality one", attr->ident);
    }
    return add_list(f, e, attr, index, depth, add_one);
}

/* ---- maps ---- */

/* The value of db/id in any spelling, or nil, on the stack. */
static void push_id(fill *f, int index)
{
    for (int i = 0; i < 3; i++) {
        lua_pushvalue(f->L, f->id_keys + i);
        lua_rawget(f->L, index);
        if (!lua_isnil(f->L, -1) || i == 2) {
            return;
        }
        lua_pop(f->L, 1);
    }
}

static int map_entity(fill *f, int index, const ri_ent *given, ri_ent *out)
{
    lua_State *L = f->L;
    if (given != NULL) {
        *out = *given;
        return 0;
    }
    push_id(f, index);
    int rc = lua_isnil(L, -1) ? ri_tx_temp_fresh(f->tx, out, f->err) : fill_entity(f, lua_gettop(L), false, out);
    lua_pop(L, 1);
    return rc;
}

/* depth < FILL_DEPTH_MAX and stack space are the caller's care. */
static int fill_map(fill *f, int index, const ri_ent *given, unsigned depth, ri_ent *out)
{
    lua_State *L = f->L;
    ri_ent e;
    bool empty = true;
    RI_TRY(map_entity(f, index, given, &e));
    *out = e;
    lua_pushnil(L);
    int value = lua_gettop(L) + 1;
    while (lua_next(L, index) != 0) {
        const fill_slot *key;
        int rc = find_key(f, value - 1, &key);
        if (rc == 0 && key->kind == FILL_ATTR) {
            empty = false;
            rc = fill_add(f, e, key->attr, value, depth);
        } else if (rc == 0 && key->kind == FILL_REVERSE) {
            const ri_attr *attr = key->attr;
            empty = false;
            rc = is_list(f, attr, value) ? add_list(f, e, attr, value, depth, add_reverse)
                                         : add_reverse(f, e, attr, value, depth);
        }
        if (rc != 0) {
            lua_pop(L, 2);
            return rc;
        }
        lua_pop(L, 1);
    }
    return empty && given == NULL
               ? ri_fail(f->err, RILLE_TX_SYNTAX, "the entity map has no attributes: assert at least one")
               : 0;
}

static int fill_item(fill *f, int index)
{
    lua_State *L = f->L;
    ri_ent e;
    if (!lua_istable(L, index)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX,
                       "expected an entity map {[\"person/name\"] = ...} or an operation {\"db/add\", ...}, got %s%s",
                       RL_GOT(L, index));
    }
    lua_rawgeti(L, index, 1);
    bool is_operation = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return is_operation ? fill_operation(f, index) : fill_map(f, index, NULL, 0, &e);
}

static int fill_list(fill *f, int index)
{
    lua_State *L = f->L;
    size_t count;
    if (rl_array(L, index, NULL, &count, RILLE_TX_SYNTAX, f->err) != 0) {
        if (count == 0) {
            return ri_fail(
                f->err, RILLE_TX_SYNTAX,
                "transaction data must be a list of entity maps and operations: wrap a single map in a list");
        }
        ri_err_prefix(f->err, "transaction data");
        return RILLE_TX_SYNTAX;
    }
    lua_settop(L, index > f->id_keys ? index : f->id_keys + 2);
    int item = lua_gettop(L) + 1;
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (int)i);
        int rc = fill_item(f, item);
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(f->err, "transaction data, item %zu", i);
            return rc;
        }
    }
    return 0;
}

int rl_tx_fill(lua_State *L, const rl_state *state, int index, int meta_index, ri_tx *tx, rille_err *err)
{
    fill f = { .L = L, .state = state, .tx = tx, .err = err };
    int top = lua_gettop(L);
    luaL_checkstack(L, 20, "not enough memory for transaction data");
    ri_value id = ri_bytes_value(RI_KEYWORD, "db/id", 5);
    lua_pushliteral(L, "db/id");
    lua_pushliteral(L, ":db/id");
    rl_push_boxed(L, &id, RI_FORM_VALUE);
    f.id_keys = top + 1;
    int rc = index == 0 ? 0 : fill_list(&f, index);
    if (rc == 0 && meta_index != 0) {
        const ri_ent tx_entity = { RI_ENT_TX, { 0 } };
        ri_ent e;
        rc = fill_map(&f, meta_index, &tx_entity, 0, &e);
        if (rc != 0) {
            ri_err_prefix(err, "meta");
        }
    }
    lua_settop(L, top);
    return rc;
}
