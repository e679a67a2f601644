/* SPDX-License-Identifier: MIT
 *
 * What Lua can do with the userdata of values: make them (rille.kw, rille.uuid ...), look into them (v.type, v.text,
 * v.ms, v.name, v.namespace), print and compare them. Text that does not fit is an error raised: a nil
 * would silently vanish from the table it was meant for.
 */
#include "rl.h"

#include <string.h>

static const char *digits_of(char out[24], int64_t i)
{
    char *p = out + 23;
    uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    *p = '\0';
    do {
        *--p = (char)('0' + (char)(rest % 10));
        rest /= 10;
    } while (rest != 0);
    if (i < 0) {
        *--p = '-';
    }
    return p;
}

static size_t utf8_of(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

/* Is the text one character? */
static bool utf8_one(const uint8_t *p, size_t len, uint32_t *code)
{
    static const uint8_t lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    if (len == 0 || len > 4 || !ri_utf8_valid(p, len) || (len == 1) != (p[0] < 0x80)) {
        return false;
    }
    *code = p[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return false;
        }
        *code = *code << 6 | (p[i] & 0x3f);
    }
    return len == 1 || p[0] >= (len == 2 ? 0xc0 : len == 3 ? 0xe0 : 0xf0);
}

/* What `tostring` and v.text give; `colon` puts one before a keyword. */
static void push_text(lua_State *L, const rl_value *value, bool colon)
{
    const ri_value *v = &value->v;
    char text[64];
    switch ((ri_type)v->type) {
    case RI_INSTANT:
        lua_pushlstring(L, text, ri_instant_format(text, v->as.i));
        return;
    case RI_UUID:
        ri_uuid_format(text, v->as.p);
        lua_pushstring(L, text);
        return;
    case RI_KEYWORD:
        lua_pushlstring(L, (const char *)v->as.p, v->len);
        if (colon) {
            lua_pushliteral(L, ":");
            lua_insert(L, -2);
            lua_concat(L, 2);
        }
        return;
    case RI_LONG: /* a character's code point, or a bigint that fits */
        if (value->form_kind == RI_FORM_CHAR) {
            lua_pushlstring(L, text, utf8_of(text, (uint32_t)v->as.u));
        } else {
            lua_pushstring(L, digits_of(text, v->as.i));
        }
        return;
    case RI_DOUBLE:
        lua_pushlstring(L, text, ri_double_format(text, v->as.d));
        return;
    case RI_SYMBOL:
    case RI_BIGINT:
    case RI_BIGDEC:
    case RI_BYTES:
        lua_pushlstring(L, (const char *)v->as.p, v->len);
        return;
    case RI_STRING_BLOB:
    case RI_BYTES_BLOB:
    case RI_NIL:
    case RI_BOOL:
    case RI_STRING:
    case RI_REF:
    case RI_TUPLE:
    case RI_FLOATS:
    case RI_TYPE_COUNT:
        lua_pushliteral(L, "(not available)");
        return;
    }
}

static const rl_value *check_value(lua_State *L, int arg)
{
    const rl_value *value = rl_value_test(L, rl_state_of(L), arg);
    if (value == NULL) {
        (void)rl_error(L, "expected a rille value, got %s%s", RL_GOT(L, arg));
    }
    return value;
}

static int value_tostring(lua_State *L)
{
    push_text(L, check_value(L, 1), true);
    return 1;
}

static void push_type(lua_State *L, const rl_value *value)
{
    if (value->form_kind == RI_FORM_CHAR) {
        lua_pushliteral(L, "char");
    } else if (value->v.type == RI_LONG) {
        lua_pushliteral(L, "bigint");
    } else {
        lua_pushstring(L, ri_type_name(value->v.type));
    }
}

/* "a.b/c" -> the part before (or behind) the slash; "/" alone is a name. */
static int push_name_part(lua_State *L, const ri_value *v, bool want_namespace)
{
    const char *text = (const char *)v->as.p;
    const char *slash = v->len > 1 ? memchr(text, '/', v->len) : NULL;
    if (want_namespace) {
        if (slash == NULL) {
            lua_pushnil(L);
        } else {
            lua_pushlstring(L, text, (size_t)(slash - text));
        }
        return 1;
    }
    const char *name = slash == NULL ? text : slash + 1;
    lua_pushlstring(L, name, (size_t)(text + v->len - name));
    return 1;
}

static int value_index(lua_State *L)
{
    const rl_value *value = check_value(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    bool is_name = value->v.type == RI_KEYWORD || value->v.type == RI_SYMBOL;
    if (strcmp(key, "type") == 0) {
        push_type(L, value);
    } else if (strcmp(key, "text") == 0) {
        push_text(L, value, false);
    } else if (strcmp(key, "ms") == 0 && value->v.type == RI_INSTANT) {
        rl_push_int64(L, value->v.as.i);
    } else if (is_name && (strcmp(key, "name") == 0 || strcmp(key, "namespace") == 0)) {
        return push_name_part(L, &value->v, key[4] != '\0');
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* Numbers among themselves, and values of one type. */
static int compare(lua_State *L)
{
    const rl_state *state = rl_state_of(L);
    ri_value v[2];
    rille_err err;
    for (int i = 0; i < 2; i++) {
        if (lua_istable(L, i + 1)) {
            return rl_error(L, "cannot compare a value with a table");
        }
        if (rl_read_value(L, state, i + 1, NULL, &v[i], &err) != 0) {
            return rl_error(L, "cannot compare: %s", err.message);
        }
    }
    bool numbers = ri_type_is_number(v[0].type) && ri_type_is_number(v[1].type);
    if (!numbers && v[0].type != v[1].type) {
        return rl_error(L, "cannot compare %s %s with %s %s", ri_type_article(v[0].type), ri_type_name(v[0].type),
                        ri_type_article(v[1].type), ri_type_name(v[1].type));
    }
    return ri_value_cmp(&v[0], &v[1]);
}

static int value_lt(lua_State *L)
{
    lua_pushboolean(L, compare(L) < 0);
    return 1;
}

static int value_le(lua_State *L)
{
    lua_pushboolean(L, compare(L) <= 0);
    return 1;
}

static int value_concat(lua_State *L)
{
    const rl_state *state = rl_state_of(L);
    for (int i = 1; i <= 2; i++) {
        const rl_value *value = rl_value_test(L, state, i);
        if (value != NULL) {
            push_text(L, value, true);
        } else {
            (void)rl_check_text(L, i, "text after ..", NULL);
            lua_pushvalue(L, i);
        }
    }
    lua_concat(L, 2);
    return 1;
}

void rl_value_metamethods(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "__tostring", value_tostring },
        { "__index", value_index },
        { "__lt", value_lt },
        { "__le", value_le },
        { "__concat", value_concat },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
    lua_pushliteral(L, "rille.value");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

/* ---- making values ---- */

/* Returns true and leaves the argument when it is a value of that type already. */
static bool is_already(lua_State *L, ri_type type)
{
    const rl_value *value = rl_value_test(L, rl_state_of(L), 1);
    if (value == NULL || value->v.type != type || value->form_kind != RI_FORM_VALUE) {
        return false;
    }
    lua_settop(L, 1);
    return true;
}

static int make_name(lua_State *L, ri_type type, const char *what)
{
    if (is_already(L, type)) {
        return 1;
    }
    size_t len;
    const char *text = rl_check_text(L, 1, what, &len);
    if (type == RI_KEYWORD && len > 0 && text[0] == ':') {
        text++;
        len--;
    }
    if (!ri_name_valid(type, (const uint8_t *)text, len)) {
        return rl_error(L, "\"%s\" is not a valid %s", text, ri_type_name((uint8_t)type));
    }
    ri_value v = ri_bytes_value(type, text, len);
    rl_push_boxed(L, &v, RI_FORM_VALUE);
    return 1;
}

static int make_kw(lua_State *L)
{
    return make_name(L, RI_KEYWORD, "rille.kw: a string");
}

static int make_sym(lua_State *L)
{
    return make_name(L, RI_SYMBOL, "rille.sym: a string");
}

static int make_uuid(lua_State *L)
{
    uint8_t uuid[16];
    if (lua_isnoneornil(L, 1)) {
        ri_random_bytes(uuid, sizeof uuid);
        uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
        uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    } else if (is_already(L, RI_UUID)) {
        return 1;
    } else {
        size_t len;
        const char *text = rl_check_text(L, 1, "rille.uuid: text", &len);
        if (!ri_uuid_parse(text, len, uuid)) {
            return rl_error(L, "\"%s\" is not a UUID, expected one such as \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
                            text);
        }
    }
    ri_value v = ri_bytes_value(RI_UUID, uuid, sizeof uuid);
    rl_push_boxed(L, &v, RI_FORM_VALUE);
    return 1;
}

static int make_instant(lua_State *L)
{
    int64_t ms;
    if (lua_isnoneornil(L, 1)) {
        ms = ri_clock_ms();
    } else if (is_already(L, RI_INSTANT)) {
        return 1;
    } else if (!rl_read_int64(L, rl_state_of(L), 1, &ms)) {
        size_t len;
        const char *text = rl_check_text(L, 1, "rille.instant: milliseconds or text", &len);
        if (lua_type(L, 1) != LUA_TSTRING || !ri_instant_parse(text, len, &ms)) {
            return rl_error(L,
                            "\"%s\" is not an instant: expected integer milliseconds since 1970, or text such as "
                            "\"2026-11-22T10:00:00Z\" (UTC)",
                            text);
        }
    }
    ri_value v = ri_word(RI_INSTANT, (uint64_t)ms);
    rl_push_boxed(L, &v, RI_FORM_VALUE);
    return 1;
}

static int make_bytes(lua_State *L)
{
    if (is_already(L, RI_BYTES)) {
        return 1;
    }
    size_t len;
    const char *bytes = rl_check_text(L, 1, "rille.bytes: a string", &len);
    if (len > RI_VALUE_BYTES_MAX) {
        return rl_error(L, "bytes are too long (the maximum is %d)", (int)RI_VALUE_BYTES_MAX);
    }
    ri_value v = ri_bytes_value(RI_BYTES, bytes, len);
    rl_push_boxed(L, &v, RI_FORM_VALUE);
    return 1;
}

typedef int (*parse_fn)(ri_arena *arena, const char *text, size_t len, ri_value *out, rille_err *err);

static int make_number(lua_State *L, parse_fn parse, const char *what)
{
    int64_t i;
    rille_err err;
    ri_value v;
    lua_settop(L, 1);
    rl_temp *temp = rl_temp_push(L);
    if (lua_type(L, 1) != LUA_TSTRING && rl_read_int64(L, rl_state_of(L), 1, &i)) {
        v = ri_long(i);
        lua_pushstring(L, digits_of((char[24]){ 0 }, i));
        lua_replace(L, 1);
    }
    size_t len;
    const char *text = rl_check_text(L, 1, what, &len);
    if (parse(&temp->arena, text, len, &v, &err) != 0) {
        return rl_error(L, "%s", err.message);
    }
    rl_push_boxed(L, &v, RI_FORM_VALUE);
    rl_temp_clear(temp);
    return 1;
}

static int make_bigint(lua_State *L)
{
    return is_already(L, RI_BIGINT) || is_already(L, RI_LONG)
               ? 1
               : make_number(L, ri_integer_parse, "rille.bigint: an integer or its text");
}

static int make_bigdec(lua_State *L)
{
    return is_already(L, RI_BIGDEC) ? 1 : make_number(L, ri_decimal_parse, "rille.bigdec: a number or its text");
}

static int make_char(lua_State *L)
{
    size_t len;
    const char *text = rl_check_text(L, 1, "rille.edn.char: a character", &len);
    uint32_t code;
    if (!utf8_one((const uint8_t *)text, len, &code)) {
        return rl_error(L, "\"%s\" is not one character in UTF-8", text);
    }
    ri_value v = ri_long((int64_t)code);
    rl_push_boxed(L, &v, RI_FORM_CHAR);
    return 1;
}

/* type of a value userdata, or nil */
static int value_type(lua_State *L)
{
    const rl_value *value = rl_value_test(L, rl_state_of(L), 1);
    if (value == NULL) {
        lua_pushnil(L);
    } else {
        push_type(L, value);
    }
    return 1;
}

void rl_value_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "kw", make_kw },
        { "sym", make_sym },
        { "uuid", make_uuid },
        { "instant", make_instant },
        { "bytes", make_bytes },
        { "bigint", make_bigint },
        { "bigdec", make_bigdec },
        { "char", make_char },
        { "value_type", value_type },
        { NULL, NULL },
    };
    rl_setfuncs(L, functions);
}
