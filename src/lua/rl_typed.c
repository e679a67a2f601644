/* SPDX-License-Identifier: MIT
 *
 * Lua values where a schema says what they mean: attributes by name, values of an attribute's type, entities by id,
 * ident or lookup ref. The common types are converted here, the rest goes through ri_attr_convert.
 */
#include "rl.h"

#include <string.h>

#define LOOKUP_DEPTH_MAX 4U

/* Text of a string or keyword at `index`, without a leading colon. NULL: it is neither. */
static const char *name_at(lua_State *L, const rl_state *state, int index, size_t *len)
{
    const char *name = NULL;
    if (lua_type(L, index) == LUA_TSTRING) {
        name = lua_tolstring(L, index, len);
        if (*len > 0 && name[0] == ':') {
            name++;
            --*len;
        }
        return name;
    }
    const rl_value *value = rl_value_test(L, state, index);
    if (value != NULL && value->v.type == RI_KEYWORD) {
        name = (const char *)value->v.as.p;
        *len = value->v.len;
    }
    return name;
}

/* Programs name few attributes again and again, mostly by the same strings of Lua: where the attribute of such a string
 * was is looked at first. It is an attribute of that name, or another guess is made. */
static const ri_attr *find_attr(const rl_state *state, const ri_schema *schema, const char *name, size_t len)
{
    uint32_t *guess = &state->attr_guesses[((uintptr_t)name >> 4) % RL_ATTR_GUESSES];
    const ri_attr *attr = *guess < schema->attr_count ? &schema->attrs[*guess] : NULL;
    if (attr == NULL || attr->ident_len != len || memcmp(attr->ident, name, len) != 0) {
        attr = ri_schema_attr(schema, name, len);
        *guess = attr == NULL ? 0 : (uint32_t)(attr - schema->attrs);
    }
    return attr;
}

int rl_read_attr(lua_State *L, const rl_state *state, int index, const rille_db *db, const ri_attr **out,
                 rille_err *err)
{
    size_t len;
    const char *name = name_at(L, state, index, &len);
    *out = NULL;
    if (name == NULL) {
        int64_t id;
        if (rl_read_int64(L, state, index, &id) && id > 0) {
            *out = ri_schema_attr_by_id(db->schema, (uint64_t)id);
        }
        return *out != NULL ? 0
                            : ri_fail(err, RILLE_ATTRIBUTE,
                                      "expected an attribute name such as \"person/name\", got %s%s", RL_GOT(L, index));
    }
    *out = find_attr(state, db->schema, name, len);
    return *out != NULL ? 0 : ri_db_unknown_attr(db, NULL, name, len, err);
}

static int wrong_type(lua_State *L, int index, const ri_attr *attr, rille_err *err)
{
    if (lua_type(L, index) == LUA_TNUMBER && attr->type == RI_LONG) {
        char shown[40];
        (void)ri_double_format(shown, (double)lua_tonumber(L, index));
        return ri_fail(err, RILLE_TYPE,
                       "attribute :%s: %.17g is not an exact integer, expected a long (beyond 2^53, use an integer or "
                       "rille.bigint)",
                       attr->ident, (double)lua_tonumber(L, index));
    }
    return ri_fail(err, RILLE_TYPE, "attribute :%s: expected %s %s, got %s%s", attr->ident, ri_type_article(attr->type),
                   ri_type_name(attr->type), RL_GOT(L, index));
}

/* Numbers as a FLOATS value in the arena. */
static int read_floats(lua_State *L, int index, const ri_attr *attr, ri_arena *arena, ri_value *out, rille_err *err)
{
    size_t count;
    if (rl_array(L, index, NULL, &count, RILLE_TYPE, err) != 0) {
        ri_err_prefix(err, "attribute :%s", attr->ident);
        return RILLE_TYPE;
    }
    uint8_t *bytes = ri_arena_array(arena, count + 1, 4);
    if (bytes == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        bool is_number = lua_type(L, -1) == LUA_TNUMBER;
        float f = is_number ? (float)lua_tonumber(L, -1) : 0;
        lua_pop(L, 1);
        if (!is_number || f != f) {
            return ri_fail(err, RILLE_TYPE, "attribute :%s: element %zu is not a number", attr->ident, i + 1);
        }
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        ri_store_u32(bytes + i * 4, bits);
    }
    *out = ri_bytes_value(RI_FLOATS, bytes, count * 4);
    return 0;
}

static int read_text(lua_State *L, const rl_state *state, int index, const ri_attr *attr, ri_arena *arena,
                     ri_value *out, rille_err *err)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    if (attr->type == RI_BYTES && len <= RI_VALUE_BYTES_MAX) {
        *out = ri_bytes_value(RI_BYTES, text, len);
        return 0;
    }
    ri_value in;
    int rc = rl_read_value(L, state, index, arena, &in, err);
    if (rc != 0) {
        ri_err_prefix(err, "attribute :%s", attr->ident);
        return rc;
    }
    if (attr->type == RI_STRING) {
        *out = in;
        return 0;
    }
    if (attr->type == RI_KEYWORD && len > 0 && text[0] == ':') {
        in = ri_bytes_value(RI_STRING, text + 1, len - 1);
    }
    return ri_attr_convert(attr, &in, false, arena, out, err);
}

static int read_whole(lua_State *L, const rl_state *state, int index, const ri_attr *attr, ri_value *out,
                      rille_err *err)
{
    int64_t i;
    if (!rl_read_int64(L, state, index, &i)) {
        return wrong_type(L, index, attr, err);
    }
    *out = attr->type == RI_INSTANT ? ri_word(RI_INSTANT, (uint64_t)i) : ri_long(i);
    return 0;
}

int rl_read_typed(lua_State *L, const rl_state *state, int index, const ri_attr *attr, ri_arena *arena, ri_value *out,
                  rille_err *err)
{
    int type = lua_type(L, index);
    if (type == LUA_TSTRING) {
        return read_text(L, state, index, attr, arena, out, err);
    }
    if (type == LUA_TNUMBER && (attr->type == RI_LONG || attr->type == RI_INSTANT)) {
        return read_whole(L, state, index, attr, out, err);
    }
    if (type == LUA_TTABLE && attr->type == RI_FLOATS) {
        return read_floats(L, rl_absindex(L, index), attr, arena, out, err);
    }
    ri_value in;
    int rc = rl_read_value(L, state, index, arena, &in, err);
    if (rc != 0) {
        ri_err_prefix(err, "attribute :%s", attr->ident);
        return rc;
    }
    if (in.type != RI_NIL && (in.type == attr->type || attr->type == RI_NIL)) {
        *out = in;
        return 0;
    }
    if (in.type == RI_NIL) {
        return ri_fail(err, RILLE_TYPE, "attribute :%s: nil is not a value, expected %s %s", attr->ident,
                       ri_type_article(attr->type), attr->type == RI_NIL ? "value" : ri_type_name(attr->type));
    }
    return ri_attr_convert(attr, &in, false, arena, out, err);
}
/* ---- entities ---- */

static int missing(const ri_attr *attr, const ri_value *v, rille_err *err)
{
    char shown[100];
    return ri_fail(err, RILLE_ENTITY_MISSING, "no entity matches the lookup ref [:%s %s]", attr->ident,
                   ri_value_show(shown, sizeof shown, v));
}

static int look_up(const rille_db *db, const ri_attr *attr, const ri_value *v, uint64_t *out, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_db_lookup(db, attr, v, &io, out, err), err)
    ri_io_deinit(&io);
    return rc != 0 ? rc : *out == 0 ? missing(attr, v, err) : 0;
}

static int read_entity(lua_State *L, const rl_state *state, int index, const rille_db *db, unsigned depth,
                       ri_arena *arena, uint64_t *out, rille_err *err);

/* Has the table two keys? Its elements 1 and 2 are on top. */
static bool is_pair(lua_State *L, int index)
{
    if (lua_isnil(L, -1) || lua_isnil(L, -2)) {
        return false;
    }
    lua_pushnil(L);
    for (int keys = 0; keys < 2; keys++) {
        (void)lua_next(L, index);
        lua_pop(L, 1);
    }
    if (lua_next(L, index) == 0) {
        return true;
    }
    lua_pop(L, 2);
    return false;
}

/* {"person/email", "a@b.c"} */
static int read_lookup(lua_State *L, const rl_state *state, int index, const rille_db *db, unsigned depth,
                       ri_arena *arena, uint64_t *out, rille_err *err)
{
    const ri_attr *attr;
    ri_value v;
    if (depth >= LOOKUP_DEPTH_MAX) {
        return ri_fail(err, RILLE_LIMIT, "lookup refs are nested too deeply (the maximum depth is %u)",
                       LOOKUP_DEPTH_MAX);
    }
    char shown[RL_KEY_SHOWN];
    if (!lua_checkstack(L, 6)) {
        return ri_fail_nomem(err);
    }
    lua_rawgeti(L, index, 1);
    lua_rawgeti(L, index, 2);
    if (!is_pair(L, index) && rl_stray_key(L, index, 2, NULL, shown)) {
        lua_pop(L, 2);
        return ri_fail(err, RILLE_TX_SYNTAX, "a lookup ref {attribute, value} must not have the key %s", shown);
    }
    int rc = rl_read_attr(L, state, -2, db, &attr, err);
    if (rc == 0 && attr->unique == RI_UNIQUE_NO) {
        rc = ri_fail(err, RILLE_TX_SYNTAX, "a lookup ref needs a unique attribute, and :%s is not unique", attr->ident);
    }
    if (rc == 0 && attr->type == RI_REF) {
        uint64_t e;
        rc = read_entity(L, state, -1, db, depth + 1, arena, &e, err);
        v = ri_ref(rc == 0 ? e : 0);
    } else if (rc == 0) {
        rc = rl_read_typed(L, state, -1, attr, arena, &v, err);
    }
    if (rc == 0) {
        rc = ri_value_shorten(arena, &v, err);
    }
    if (rc == 0) {
        rc = look_up(db, attr, &v, out, err);
    }
    lua_pop(L, 2);
    return rc;
}

static int read_entity(lua_State *L, const rl_state *state, int index, const rille_db *db, unsigned depth,
                       ri_arena *arena, uint64_t *out, rille_err *err)
{
    int64_t id;
    size_t len;
    *out = 0;
    if (lua_istable(L, index)) {
        return read_lookup(L, state, rl_absindex(L, index), db, depth, arena, out, err);
    }
    if (rl_read_int64(L, state, index, &id)) {
        if (id <= 0 || (uint64_t)id > RI_EID_MAX) {
            return ri_fail(err, RILLE_ENTITY_MISSING, "%lld is not a valid entity id", (long long)id);
        }
        *out = (uint64_t)id;
        return 0;
    }
    const char *name = name_at(L, state, index, &len);
    if (name == NULL) {
        return ri_fail(err, RILLE_TYPE, "expected an entity id, an ident or a lookup ref {attribute, value}, got %s%s",
                       RL_GOT(L, index));
    }
    *out = ri_schema_ident(db->schema, name, len);
    return *out != 0 ? 0
                     : ri_fail(err, RILLE_ENTITY_MISSING, "no entity has the ident :%.*s", (int)(len < 100 ? len : 100),
                               name);
}

int rl_read_entity(lua_State *L, const rl_state *state, int index, const rille_db *db, ri_arena *arena, uint64_t *out,
                   rille_err *err)
{
    return read_entity(L, state, index, db, 0, arena, out, err);
}

int rl_read_stub(const rille_db *db, const ri_value *stub, ri_io *io, ri_blob **blob, ri_value *out, rille_err *err)
{
    int rc;
    RI_FETCHING(rc, io, ri_db_blob(db, stub, io, blob, err), err)
    if (rc == 0) {
        *out = ri_stub_whole(stub, (*blob)->bytes, (*blob)->len);
    }
    return rc;
}

void rl_push_long_value(lua_State *L, rl_box *held, const rille_db *db, const ri_value *v)
{
    if (!ri_type_is_stub(v->type)) {
        rl_check_fits(L, held, v);
        rl_push_value(L, v);
        return;
    }
    rille_err err;
    ri_blob *blob;
    ri_value whole;
    ri_io io = { 0 };
    rl_temp *temp = rl_temp_push(L);
    int rc = rl_read_stub(db, v, &io, &blob, &whole, &err);
    if (rc == 0) {
        ri_buf_put(&temp->buf, whole.as.p, whole.len); /* nothing may be held when Lua runs out of memory */
        ri_object_release(&blob->object);
        whole.as.p = temp->buf.p;
        rc = temp->buf.failed ? ri_fail_nomem(&err) : 0;
    }
    ri_io_deinit(&io);
    if (rc != 0) {
        rl_let_go(held);
        (void)rl_error(L, "%s", err.message);
    }
    rl_push_value(L, &whole);
    rl_temp_clear(temp);
    lua_remove(L, -2);
}
