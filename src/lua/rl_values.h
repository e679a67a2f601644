/* SPDX-License-Identifier: MIT
 *
 * Values and numbers between Lua and the engine (rl_value.c, rl_value_lib.c, rl_number.c). Included by rl.h, which has
 * the state and boxes.
 */
#ifndef RL_VALUES_H
#define RL_VALUES_H

void rl_value_register(lua_State *L, rl_state *state);
/* Puts the metamethods of values into the table on top. */
void rl_value_metamethods(lua_State *L);
/* Puts kw, sym, uuid ... into the table on top. */
void rl_value_functions(lua_State *L);

/* Pushes any value but a stub. May raise: memory, or a long that this Lua has no number for. */
void rl_push_value(lua_State *L, const ri_value *v);
void rl_push_id(lua_State *L, uint64_t id);
/* The interned userdata of an instant. */
void rl_push_instant(lua_State *L, const rl_state *state, int64_t ms);
/* The same of a value of any type that Lua has no own type for. */
void rl_push_boxed(lua_State *L, const ri_value *v, uint8_t form_kind);
/* A value userdata, or NULL. */
typedef struct rl_value {
    void *guard;
    ri_value v;        /* bytes lie behind the struct */
    uint8_t form_kind; /* RI_FORM_VALUE, RI_FORM_CHAR or RI_FORM_DOUBLE */
} rl_value;
const rl_value *rl_value_test(lua_State *L, const rl_state *state, int index);

/* A value from Lua without knowing an attribute: nothing is copied but tuples (arrays), which go to the arena.
 * RILLE_TYPE names what it was. Raw access only; never raises. */
int rl_read_value(lua_State *L, const rl_state *state, int index, ri_arena *arena, ri_value *out, rille_err *err);

void rl_number_register(lua_State *L, rl_state *state);
/* Pushes an integer: exact, or an error. */
void rl_push_int64(lua_State *L, int64_t i);
bool rl_int64_fits(const rl_state *state, int64_t i);
/* Raises what pushing the value would: it has a long that this Lua has no number for. The handle in `held` (NULL: none)
 * is let go first. Nothing on Luas that have a number for each. */
void rl_check_fits(lua_State *L, rl_box *held, const ri_value *v);
/* Numbers of Lua as values: LONG for integers (integral floats within 2^53 where Lua has one kind of number), DOUBLE
 * else; int64_t and uint64_t cdata. NaN: RILLE_TYPE. The value must be a number or cdata. */
int rl_read_number(lua_State *L, const rl_state *state, int index, ri_value *out, rille_err *err);
/* An integer, integral float within 2^53, or cdata. */
bool rl_read_int64(lua_State *L, const rl_state *state, int index, int64_t *out);
#define RL_TYPE_CDATA 10
#define RL_EXACT_MAX INT64_C(9007199254740992)

#endif
