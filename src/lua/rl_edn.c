/* SPDX-License-Identifier: MIT
 *
 * EDN text for Lua: decode, decode_all, encode. Forms become Lua data in rl_form.c.
 */
#include "rl.h"

/* Is there a long that this Lua has no number for? Asked before anything is made of it. */
static bool has_unfit(const rl_state *state, const ri_form *form)
{
    if (form->kind == RI_FORM_VALUE) {
        return form->u.v.type == RI_LONG && !rl_int64_fits(state, form->u.v.as.i);
    }
    if (form->kind >= RI_FORM_LIST) {
        for (uint32_t i = 0; i < form->u.seq.count; i++) {
            if (has_unfit(state, &form->u.seq.items[i])) {
                return true;
            }
        }
    }
    return false;
}

static int check_fit(const rl_state *state, const ri_form *form, rille_err *err)
{
    if (rl_int64_fits(state, INT64_MAX) || !has_unfit(state, form)) {
        return 0;
    }
    return ri_fail(
        err, RILLE_UNSUPPORTED,
        "the text has an integer beyond 2^53, which this Lua cannot represent exactly: use LuaJIT or Lua 5.4");
}

/* decode(text) --> the one form */
static int edn_decode(lua_State *L)
{
    size_t len;
    const char *text = rl_check_text(L, 1, "rille.edn.decode: text", &len);
    rl_temp *temp = rl_temp_push(L);
    rille_err err;
    ri_form form;
    int rc = ri_edn_read(&temp->arena, text, len, &form, &err);
    if (rc == 0) {
        rc = check_fit(rl_state_of(L), &form, &err);
    }
    if (rc == 0) {
        rl_push_form(L, &form);
    }
    rl_temp_clear(temp);
    return rc != 0 ? rl_fail(L, &err) : 1;
}

/* decode_all(text) --> array of all forms */
static int edn_decode_all(lua_State *L)
{
    size_t len;
    const char *text = rl_check_text(L, 1, "rille.edn.decode_all: text", &len);
    const rl_state *state = rl_state_of(L);
    rl_temp *temp = rl_temp_push(L);
    rille_err err;
    ri_edn_init(&temp->reader, &temp->arena, text, len, true);
    temp->reading = true;
    lua_newtable(L);
    int rc;
    for (int i = 1;; i++) {
        ri_form form;
        rc = ri_edn_next(&temp->reader, &form, &err);
        if (rc == 0) {
            rc = check_fit(state, &form, &err);
        }
        if (rc != 0) {
            break;
        }
        rl_push_form(L, &form);
        lua_rawseti(L, -2, i);
    }
    rl_temp_clear(temp);
    return rc == RILLE_DONE ? 1 : rl_fail(L, &err);
}

/* split(text) --> array of the texts of all top-level forms, without reading them into Lua */
static int edn_split(lua_State *L)
{
    size_t len;
    const char *text = rl_check_text(L, 1, "rille.edn.split: text", &len);
    rl_temp *temp = rl_temp_push(L);
    rille_err err;
    ri_edn_init(&temp->reader, &temp->arena, text, len, true);
    temp->reading = true;
    lua_newtable(L);
    int rc;
    for (int i = 1;; i++) {
        ri_form form;
        rc = ri_edn_next(&temp->reader, &form, &err);
        if (rc != 0) {
            break;
        }
        lua_pushlstring(L, text + form.offset, temp->reader.pos - form.offset);
        lua_rawseti(L, -2, i);
    }
    rl_temp_clear(temp);
    return rc == RILLE_DONE ? 1 : rl_fail(L, &err);
}

/* encode(value) --> text */
static int edn_encode(lua_State *L)
{
    if (lua_isnone(L, 1)) {
        return rl_error(L, "rille.edn.encode: expected a value (use rille.null for nil)");
    }
    rl_temp *temp = rl_temp_push(L);
    rille_err err;
    ri_form form;
    int rc = rl_read_form(L, rl_state_of(L), 1, &temp->arena, &form, &err);
    if (rc == 0) {
        ri_edn_write(&temp->buf, &form);
        rc = temp->buf.failed ? ri_fail_nomem(&err) : 0;
    }
    if (rc == 0) {
        lua_pushlstring(L, (const char *)temp->buf.p, temp->buf.len);
    }
    rl_temp_clear(temp);
    return rc != 0 ? rl_fail(L, &err) : 1;
}

void rl_edn_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "decode", edn_decode }, { "decode_all", edn_decode_all }, { "split", edn_split }, { "encode", edn_encode },
        { NULL, NULL },
    };
    lua_newtable(L);
    rl_setfuncs(L, functions);
    lua_setfield(L, -2, "edn");
}
