/* SPDX-License-Identifier: MIT
 *
 * Transaction data of Lua as forms, which the engine's one reader of transaction data takes (core/db/tx_form.c).
 *
 * Lua has one kind of table; what it is follows from where it is and from its keys:
 *
 *   an item of the list   an operation if it has an element 1, else an entity map
 *   any other table       a vector if it has an element 1 or is empty, else a map
 *
 * and the marks of rille.edn (edn.map, edn.list, edn.set, edn.tagged) say it outright. A nil within an operation is nil.
 *
 * One item at a time becomes forms, in memory that is used again for the next. Everything is read raw, and bytes are
 * borrowed from Lua, whose tables stay on the stack until the commit is over. Strings are not checked here: what they
 * must be depends on the attribute. Cost: a lua_next and 48 bytes of form an attribute, some 20 ns.
 */
#include "rl_tx.h"

#include <math.h>
#include <string.h>

#define FILL_DEPTH_MAX 64U
#define FILL_SPACE 12 /* places of Lua's stack that a level of nesting needs at most */

typedef struct fill {
    lua_State *L;
    const rl_state *state;
    rille_err *err;
    ri_arena *arena; /* forms of one item */
} fill;

static int read_node(fill *f, int index, unsigned depth, ri_form *out);

static int too_deep(fill *f)
{
    return ri_fail(f->err, RILLE_LIMIT,
                   "transaction data is nested too deeply (the maximum depth is %u), or contains itself",
                   FILL_DEPTH_MAX);
}

static ri_form *take_forms(fill *f, size_t count)
{
    return ri_arena_array(f->arena, count, sizeof(ri_form));
}

/* ---- scalars ---- */

static int read_string(fill *f, int index, ri_form *out)
{
    size_t len;
    const char *text = lua_tolstring(f->L, index, &len);
    if (len > UINT32_MAX) {
        return ri_fail(f->err, RILLE_LIMIT, "string is too long: %zu bytes (the maximum is %u)", len,
                       RI_VALUE_BYTES_MAX);
    }
    out->u.v = ri_bytes_value(RI_STRING, text, len);
    return 0;
}

static int read_number(fill *f, int index, ri_form *out)
{
    lua_State *L = f->L;
    if (lua_type(L, index) == LUA_TNUMBER) {
        double d = (double)lua_tonumber(L, index);
        if (isnan(d) || isinf(d)) {
            out->kind = RI_FORM_DOUBLE;
            out->u.v = ri_word(RI_DOUBLE, 0);
            out->u.v.as.d = d;
            return 0;
        }
    }
    return rl_read_number(L, f->state, index, &out->u.v, f->err);
}

static int read_userdata(fill *f, int index, ri_form *out)
{
    const rl_value *value = rl_value_test(f->L, f->state, index);
    if (value == NULL) {
        return ri_fail(f->err, RILLE_TYPE, "%s%s is not a value", RL_GOT(f->L, index));
    }
    bool finite = value->form_kind == RI_FORM_DOUBLE && isfinite(value->v.as.d);
    out->kind = finite ? RI_FORM_VALUE : value->form_kind;
    out->u.v = value->v;
    return 0;
}

/* ---- tables ---- */

static const void *mark_of(fill *f, int index)
{
    const void *mark = NULL;
    if (lua_getmetatable(f->L, index)) {
        mark = lua_topointer(f->L, -1);
        lua_pop(f->L, 1);
    }
    return mark;
}

/* Text of the string or keyword at `index`, for messages; NULL: it is neither. */
static const char *text_at(fill *f, int index, size_t *len)
{
    if (lua_type(f->L, index) == LUA_TSTRING) {
        const char *text = lua_tolstring(f->L, index, len);
        bool colon = *len > 0 && text[0] == ':';
        *len -= colon;
        return text + colon;
    }
    const rl_value *value = rl_value_test(f->L, f->state, index);
    if (value == NULL || value->v.type != RI_KEYWORD || value->form_kind != RI_FORM_VALUE) {
        return NULL;
    }
    *len = value->v.len;
    return (const char *)value->v.as.p;
}

/* The value of the attribute, or the entity, named at `name` could not be read. */
static int at_name(fill *f, int name, int rc)
{
    size_t len = 0;
    const char *text = text_at(f, name, &len);
    if (text != NULL && rc != RILLE_NOMEM) {
        ri_err_prefix(f->err, "attribute :%.*s", (int)(len < 80 ? len : 80), text);
    }
    return rc;
}

static int read_items(fill *f, int index, unsigned depth, ri_form_kind kind, ri_form *out)
{
    lua_State *L = f->L;
    size_t count;
    RI_TRY(rl_array(L, index, NULL, &count, RILLE_TYPE, f->err));
    ri_form *items = count < UINT32_MAX / 2 ? take_forms(f, count) : NULL;
    if (items == NULL) {
        return ri_fail_nomem(f->err);
    }
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        int rc = lua_isnil(L, -1) ? ri_fail(f->err, RILLE_TYPE, "element %zu of an array is nil", i + 1)
                                  : read_node(f, lua_gettop(L), depth, &items[i]);
        lua_pop(L, 1);
        RI_TRY(rc);
    }
    out->kind = (uint8_t)kind;
    out->u.seq.items = items;
    out->u.seq.count = (uint32_t)count;
    return 0;
}

/* {"person/name", "Ann", c = 1} as an entity: nothing that was given may vanish. */
static int check_lookup(fill *f, int index)
{
    char shown[RL_KEY_SHOWN];
    if (lua_istable(f->L, index) && rl_rawlen(f->L, index) == 2 && rl_stray_key(f->L, index, 2, NULL, shown)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "a lookup ref {attribute, value} must not have the key %s", shown);
    }
    return 0;
}

static int read_value_of(fill *f, int key, int value, unsigned depth, ri_form *out)
{
    size_t len = 0;
    const char *text = lua_istable(f->L, value) ? text_at(f, key, &len) : NULL;
    if (text != NULL && len == 5 && memcmp(text, "db/id", 5) == 0) {
        RI_TRY(check_lookup(f, value));
    }
    int rc = read_node(f, value, depth, out);
    return rc == 0 ? 0 : at_name(f, key, rc);
}

/* What most entries are: a string or, where Lua tells them apart, an integer. `type` is that of the value. */
static inline bool read_plain(fill *f, int index, int type, ri_form *out)
{
    if (type == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(f->L, index, &len);
        *out = (ri_form){ { .v = ri_bytes_value(RI_STRING, text, len) }, UINT32_MAX, RI_FORM_VALUE };
        return len <= UINT32_MAX;
    }
#if LUA_VERSION_NUM >= 503
    if (type == LUA_TNUMBER && lua_isinteger(f->L, index)) {
        *out = (ri_form){ { .v = ri_long((int64_t)lua_tointeger(f->L, index)) }, UINT32_MAX, RI_FORM_VALUE };
        return true;
    }
#endif
    return false;
}

/* Room for another entry behind `count` forms; memory doubles. */
static ri_form *more_room(fill *f, ri_form *items, size_t count, size_t *cap)
{
    size_t more = *cap == 0 ? 16 : *cap * 2;
    ri_form *grown = more < UINT32_MAX / 2 ? take_forms(f, more) : NULL;
    if (grown != NULL && count > 0) {
        memcpy(grown, items, count * sizeof *items);
    }
    *cap = grown == NULL ? count : more;
    return grown != NULL ? grown : items;
}

/* A key, at `key`, and its value, as they are seldom. */
static int read_entry(fill *f, int key, unsigned depth, bool marked, ri_form *out)
{
    lua_State *L = f->L;
    int type = lua_type(L, key);
    if (!marked && type != LUA_TSTRING && type != LUA_TUSERDATA) {
        return ri_fail(f->err, RILLE_TX_SYNTAX,
                       "a %s is not a key of an entity map: attributes are strings such as \"person/name\"",
                       rl_typename(L, key));
    }
    RI_TRY(read_node(f, key, depth, &out[0]));
    return read_value_of(f, key, key + 1, depth, &out[1]);
}

/* Entries as they come. Tables without a mark have no keys but names. */
static int read_map(fill *f, int index, unsigned depth, bool marked, ri_form *out)
{
    lua_State *L = f->L;
    size_t count = 0;
    size_t cap = 0;
    ri_form *items = NULL;
    lua_pushnil(L);
    int key = lua_gettop(L);
    while (lua_next(L, index) != 0) {
        if (count == cap) {
            items = more_room(f, items, count, &cap);
        }
        ri_form *entry = items + count;
        int rc = count == cap ? ri_fail_nomem(f->err) : 0;
        bool plain = rc == 0 && lua_type(L, key) == LUA_TSTRING && read_plain(f, key, LUA_TSTRING, &entry[0]) &&
                     read_plain(f, key + 1, lua_type(L, key + 1), &entry[1]);
        if (rc == 0 && !plain) {
            rc = read_entry(f, key, depth, marked, entry);
        }
        lua_settop(L, rc == 0 ? key : key - 1);
        RI_TRY(rc);
        count += 2;
    }
    out->kind = RI_FORM_MAP;
    out->u.seq.items = items;
    out->u.seq.count = (uint32_t)count;
    return 0;
}

static int read_tagged(fill *f, int index, unsigned depth, ri_form *out)
{
    lua_State *L = f->L;
    ri_form *items = take_forms(f, 2);
    if (items == NULL) {
        return ri_fail_nomem(f->err);
    }
    size_t len = 0;
    rl_raw_field(L, index, "tag");
    const char *tag = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
    items[0] = (ri_form){ .offset = UINT32_MAX };
    items[0].u.v = ri_bytes_value(RI_SYMBOL, tag, len < RI_VALUE_INLINE_MAX ? len : 0);
    lua_pop(L, 1); /* the table keeps it */
    rl_raw_field(L, index, "value");
    int rc = read_node(f, lua_gettop(L), depth, &items[1]);
    lua_pop(L, 1);
    RI_TRY(rc);
    out->kind = RI_FORM_TAGGED;
    out->u.seq.items = items;
    out->u.seq.count = 2;
    return 0;
}

static bool has_first(fill *f, int index)
{
    lua_rawgeti(f->L, index, 1);
    bool has = !lua_isnil(f->L, -1);
    lua_pop(f->L, 1);
    return has;
}

static bool is_empty(fill *f, int index)
{
    lua_pushnil(f->L);
    bool empty = lua_next(f->L, index) == 0;
    lua_pop(f->L, empty ? 0 : 2);
    return empty;
}

static int read_table(fill *f, int index, unsigned depth, ri_form *out)
{
    const rl_state *state = f->state;
    if (depth >= FILL_DEPTH_MAX || !lua_checkstack(f->L, FILL_SPACE)) {
        return too_deep(f);
    }
    const void *mark = mark_of(f, index);
    if (mark != NULL && mark == state->tagged_meta) {
        return read_tagged(f, index, depth + 1, out);
    }
    if (mark != NULL && mark == state->map_meta) {
        return read_map(f, index, depth + 1, true, out);
    }
    if (mark != NULL && mark == state->list_meta) {
        return read_items(f, index, depth + 1, RI_FORM_LIST, out);
    }
    if (mark != NULL && mark == state->set_meta) {
        return read_items(f, index, depth + 1, RI_FORM_SET, out);
    }
    return has_first(f, index) || is_empty(f, index) ? read_items(f, index, depth + 1, RI_FORM_VECTOR, out)
                                                     : read_map(f, index, depth + 1, false, out);
}

/* index is absolute */
static int read_node(fill *f, int index, unsigned depth, ri_form *out)
{
    lua_State *L = f->L;
    *out = (ri_form){ .offset = UINT32_MAX };
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        return read_string(f, index, out);
    case LUA_TNUMBER:
    case RL_TYPE_CDATA:
        return read_number(f, index, out);
    case LUA_TBOOLEAN:
        out->u.v = ri_word(RI_BOOL, lua_toboolean(L, index) != 0);
        return 0;
    case LUA_TTABLE:
        return read_table(f, index, depth, out);
    case LUA_TUSERDATA:
        return read_userdata(f, index, out);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            out->u.v = ri_nil();
            return 0;
        }
        break;
    }
    return ri_fail(f->err, RILLE_TYPE, "%s%s is not a value", RL_GOT(L, index));
}

/* ---- items ---- */

/* {"db/cas", e, a, nil, new}: elements up to the last one that is there. */
static int read_operation(fill *f, int index, ri_form *out)
{
    lua_State *L = f->L;
    size_t len = 0;
    char shown[RL_KEY_SHOWN];
    lua_rawgeti(L, index, 1);
    int top = lua_gettop(L);
    const char *name = text_at(f, top, &len);
    unsigned args = name == NULL ? 0 : ri_tx_op_args(name, len);
    if (args == 0) {
        lua_settop(L, top - 1);
        return read_items(f, index, 1, RI_FORM_VECTOR, out);
    }
    if (rl_stray_key(L, index, args + 1, NULL, shown)) {
        lua_settop(L, top - 1);
        return ri_fail(f->err, RILLE_TX_SYNTAX, "%.*s takes at most %u arguments, but the operation has the key %s",
                       (int)len, name, args, shown);
    }
    ri_form *items = take_forms(f, args + 1U);
    uint32_t count = 0;
    int rc = items == NULL ? ri_fail_nomem(f->err) : 0;
    lua_settop(L, top - 1);
    for (unsigned i = 0; i <= args && rc == 0; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        if (lua_isnil(L, -1)) {
            items[i] = (ri_form){ .offset = UINT32_MAX };
            items[i].u.v = ri_nil();
            continue;
        }
        rc = i == 1 ? check_lookup(f, top + 1) : 0;
        rc = rc == 0 ? read_node(f, top + (int)i, 1, &items[i]) : rc;
        rc = rc != 0 && i > 2 ? at_name(f, top + 2, rc) : rc;
        count = i + 1;
    }
    lua_settop(L, top - 1);
    RI_TRY(rc);
    out->kind = RI_FORM_VECTOR;
    out->u.seq.items = items;
    out->u.seq.count = count;
    return 0;
}

static int read_item(fill *f, int index, ri_form *out)
{
    *out = (ri_form){ .offset = UINT32_MAX };
    if (!lua_istable(f->L, index)) {
        return read_node(f, index, 0, out);
    }
    if (mark_of(f, index) != NULL) {
        return read_table(f, index, 0, out);
    }
    return has_first(f, index) ? read_operation(f, index, out) : read_map(f, index, 1, false, out);
}

static int check_list(fill *f, int index, size_t *count)
{
    if (rl_array(f->L, index, NULL, count, RILLE_TX_SYNTAX, f->err) == 0) {
        return 0;
    }
    if (*count == 0) {
        return ri_fail(f->err, RILLE_TX_SYNTAX,
                       "transaction data must be a list of entity maps and operations: wrap a single map in a list");
    }
    ri_err_prefix(f->err, "transaction data");
    return RILLE_TX_SYNTAX;
}

/* The table of a later item is read soon, and its first entries, which lie behind it where it was made in one go. */
static void prefetch_item(lua_State *L, int index, size_t i)
{
    enum { LINE = 64, LINES = 4 };
    lua_rawgeti(L, index, (int)i);
    uintptr_t table = (uintptr_t)lua_topointer(L, -1);
    for (uintptr_t line = 0; line < LINES; line++) {
        RI_PREFETCH((const void *)(table + line * LINE));
    }
    lua_pop(L, 1);
}

/* RILLE_NEED: paused behind item `done->items`. */
static int fill_list(fill *f, ri_tx_filler *to, int index, rl_filled *done)
{
    enum { AHEAD = 4 };
    lua_State *L = f->L;
    int item = lua_gettop(L) + 1;
    if (!done->has_count) {
        RI_TRY(check_list(f, index, &done->count));
        done->has_count = true;
    }
    while (done->items < done->count) {
        size_t i = ++done->items;
        ri_form form;
        if (done->count - i >= AHEAD) {
            prefetch_item(L, index, i + AHEAD);
        }
        lua_rawgeti(L, index, (int)i);
        ri_arena_reset(f->arena);
        int rc = lua_isnil(L, item) ? ri_fail(f->err, RILLE_TX_SYNTAX, "it is nil") : read_item(f, item, &form);
        rc = rc == 0 ? ri_tx_fill_item(to, &form) : rc;
        lua_pop(L, 1);
        if (rc != 0) {
            ri_err_prefix(f->err, "transaction data, item %zu", i);
            return rc;
        }
        if (done->task != NULL && ri_task_spend(done->task, ri_tx_fill_work(to->tx))) {
            return RILLE_NEED;
        }
    }
    return 0;
}

static int fill_meta(fill *f, ri_tx_filler *to, int index)
{
    ri_form form;
    ri_arena_reset(f->arena);
    int rc = read_map(f, index, 1, mark_of(f, index) != NULL, &form);
    rc = rc == 0 ? ri_tx_fill_meta(to, &form) : rc;
    if (rc != 0) {
        ri_err_prefix(f->err, "meta");
    }
    return rc;
}

int rl_tx_fill(lua_State *L, const rl_state *state, int index, int meta_index, ri_arena *scratch, ri_tx *tx,
               rl_filled *done, rille_err *err)
{
    fill f = { .L = L, .state = state, .err = err, .arena = scratch };
    ri_tx_filler to;
    ri_tx_filler_init(&to, tx, true, err);
    to.copies = done->task != NULL;
    int top = lua_gettop(L);
    luaL_checkstack(L, 20, "not enough memory for transaction data");
    int rc = index == 0 ? 0 : fill_list(&f, &to, index, done);
    rc = rc == 0 && meta_index != 0 ? fill_meta(&f, &to, meta_index) : rc;
    lua_settop(L, top);
    return rc;
}
