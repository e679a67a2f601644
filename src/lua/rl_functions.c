/* SPDX-License-Identifier: MIT
 *
 * The names of Lua functions that query text may call. They are kept in C, because the engine asks for them while no Lua
 * runs; the functions themselves are in a table of Lua.
 */
#include "rl_op.h"

#include <string.h>

bool rl_has_function(void *context, const char *name)
{
    const rl_functions *functions = ((const rl_state *)context)->functions;
    return functions != NULL && ri_bytemap_get(&functions->names, name, strlen(name)) != NULL;
}

/* At the end of the Lua state, where finalizers of objects older than this module still may run queries. */
static void release_functions(void *handle)
{
    rl_functions *functions = handle;
    functions->state->functions = NULL;
    ri_bytemap_deinit(&functions->names);
    ri_arena_deinit(&functions->arena);
    ri_free(functions);
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };
const rl_class rl_class_functions = { "set of functions", release_functions, no_methods, NULL };

/* add_function(name): query text may call it from now on */
static int core_add_function(lua_State *L)
{
    rl_state *state = rl_state_of(L);
    size_t len;
    const char *name = rl_check_text(L, 1, "rille.fn: a name", &len);
    if (!ri_name_valid(RI_SYMBOL, (const uint8_t *)name, len)) {
        return rl_error(L, "\"%s\" is not a valid function name: it must be valid as a symbol", name);
    }
    if (ri_builtin_find(name) != NULL || ri_agg_find(name) != NULL) {
        return rl_error(L, "\"%s\" is a built-in function: use a different name", name);
    }
    if (state->functions == NULL) {
        return rl_error(L, "function %s cannot be registered: the Lua state is being closed", name);
    }
    if (rl_has_function(state, name)) {
        return 0; /* its name is kept already */
    }
    bool added;
    char *copy = ri_arena_text(&state->functions->arena, name, len);
    if (copy == NULL || ri_bytemap_put(&state->functions->names, copy, len, &added) == NULL) {
        return rl_error(L, "out of memory");
    }
    return 0;
}

void rl_op_functions(lua_State *L)
{
    static const char functions_key = 0;
    rl_box *box = rl_box_push(L, &rl_class_functions);
    rl_functions *functions = ri_alloc_zero(sizeof *functions);
    if (functions == NULL) {
        (void)rl_error(L, "out of memory");
    }
    functions->state = rl_state_of(L);
    functions->state->functions = functions;
    box->handle = functions;
    rl_rawsetp(L, LUA_REGISTRYINDEX, &functions_key); /* lives as long as the state */
    lua_pushcfunction(L, core_add_function);
    lua_setfield(L, -2, "add_function");
}
