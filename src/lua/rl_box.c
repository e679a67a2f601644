/* SPDX-License-Identifier: MIT
 *
 * Boxes: handles of the engine as userdata (rl.h), their classes, and what every file needs around them: temporary
 * memory, arrays, and the collector's knowledge of foreign bytes.
 *
 * A box says of which class it is. The metatable of a class is found in the registry under the address of the class.
 */
#include "rl.h"

#include <stdio.h>
#include <string.h>

#define NOTE_STEP_BYTES 65536
#define NOTE_CREDIT_BYTES 1048576 /* what was closed counts against later notes only so far */
#define NOTE_KIB_MAX 65536

static const char temp_key = 0;

/* No other userdata of this size has the address of a class in this place. */
rl_box *rl_box_test(lua_State *L, int index, const rl_class *class)
{
    rl_box *box = lua_touserdata(L, index);
    return box != NULL && rl_rawlen(L, index) == sizeof *box && box->class == class ? box : NULL;
}

rl_box *rl_box_check(lua_State *L, int arg, const rl_class *class)
{
    rl_box *box = rl_box_test(L, arg, class);
    if (box == NULL) {
        (void)rl_error(
            L, arg == 1 ? "bad self: expected a %s, got %s%s (call it as obj:method())" : "expected a %s, got %s%s",
            class->name, RL_GOT(L, arg));
    }
    return box;
}

static rl_box *check_open(lua_State *L, int arg, const rl_class *class)
{
    rl_box *box = rl_box_check(L, arg, class);
    if (box->handle == NULL) {
        (void)rl_error(L, "the %s is closed", class->name);
    }
    return box;
}

void *rl_check(lua_State *L, int arg, const rl_class *class)
{
    return check_open(L, arg, class)->handle;
}

void *rl_check_free(lua_State *L, int arg, const rl_class *class)
{
    const rl_box *box = check_open(L, arg, class);
    if (box->holds > 0) {
        (void)rl_error(L, "the %s is already in use and cannot be used from a finalizer", class->name);
    }
    return box->handle;
}

rl_box *rl_hold(lua_State *L, int arg, const rl_class *class)
{
    rl_box *box = check_open(L, arg, class);
    box->holds++;
    return box;
}

void rl_let_go(rl_box *box)
{
    box->holds--;
}

static rl_box *push_box(lua_State *L, const rl_class *class)
{
    rl_box *box = rl_newuserdata(L, sizeof *box);
    memset(box, 0, sizeof *box);
    box->class = class;
    return box;
}

rl_box *rl_box_push(lua_State *L, const rl_class *class)
{
    rl_box *box = push_box(L, class);
    rl_rawgetp(L, LUA_REGISTRYINDEX, class);
    (void)lua_setmetatable(L, -2);
    return box;
}

rl_box *rl_box_push_ref(lua_State *L, const rl_class *class, int ref)
{
    rl_box *box = push_box(L, class);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    (void)lua_setmetatable(L, -2);
    return box;
}

static void release(void **place, const rl_class *class)
{
    void *handle = *place;
    *place = NULL;
    if (handle != NULL) {
        class->release(handle);
    }
}

/* Upvalue 1: the class. Serves close and __close. */
static int box_close(lua_State *L)
{
    const rl_class *class = lua_touserdata(L, lua_upvalueindex(1));
    rl_box *box = rl_box_check(L, 1, class);
    if (box->holds > 0 && box->handle != NULL) {
        box->retired = box->handle;
        box->handle = NULL;
        return 0;
    }
    release(&box->handle, class);
    rl_note_released(L, box);
    return 0;
}

/* Upvalue 1: the class. Serves __gc. */
static int box_gc(lua_State *L)
{
    const rl_class *class = lua_touserdata(L, lua_upvalueindex(1));
    rl_box *box = rl_box_check(L, 1, class);
    release(&box->handle, class);
    release(&box->retired, class);
    ri_block_release(box->block);
    box->block = NULL;
    return 0;
}

static int box_tostring(lua_State *L)
{
    const rl_class *class = lua_touserdata(L, lua_upvalueindex(1));
    rl_box *box = rl_box_check(L, 1, class);
    if (box->handle == NULL) {
        lua_pushfstring(L, "rille %s (closed)", class->name);
    } else {
        lua_pushfstring(L, "rille %s: %p", class->name, box->handle);
    }
    return 1;
}

static void push_with(lua_State *L, lua_CFunction f, const void *upvalue)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)upvalue);
    lua_pushcclosure(L, f, 1);
}

void rl_class_register(lua_State *L, rl_state *state, const rl_class *class)
{
    lua_newtable(L); /* methods */
    for (const luaL_Reg *f = class->methods; f->name != NULL; f++) {
        push_with(L, f->func, state);
        lua_setfield(L, -2, f->name);
    }
    push_with(L, box_close, class);
    lua_setfield(L, -2, "close");
    lua_newtable(L); /* metatable */
    push_with(L, box_close, class);
    lua_setfield(L, -2, "__close");
    push_with(L, box_gc, class);
    lua_setfield(L, -2, "__gc");
    push_with(L, box_tostring, class);
    lua_setfield(L, -2, "__tostring");
    lua_pushfstring(L, "rille.%s", class->name);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    for (const luaL_Reg *f = class->meta; f != NULL && f->name != NULL; f++) {
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, f->func, 1);
        lua_setfield(L, -2, f->name);
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    rl_rawsetp(L, LUA_REGISTRYINDEX, class);
}

/* ---- temporary memory ---- */

void rl_temp_clear(rl_temp *temp)
{
    if (temp->reading) {
        ri_edn_deinit(&temp->reader);
        temp->reading = false;
    }
    ri_buf_deinit(&temp->buf);
    ri_arena_deinit(&temp->arena);
    memset(&temp->buf, 0, sizeof temp->buf);
    memset(&temp->arena, 0, sizeof temp->arena);
}

static int temp_gc(lua_State *L)
{
    rl_temp_clear(lua_touserdata(L, 1)); /* its metatable is never handed out */
    return 0;
}

rl_temp *rl_temp_push(lua_State *L)
{
    rl_temp *temp = rl_newuserdata(L, sizeof *temp);
    memset(temp, 0, sizeof *temp);
    rl_rawgetp(L, LUA_REGISTRYINDEX, &temp_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushcfunction(L, temp_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushvalue(L, -1);
        rl_rawsetp(L, LUA_REGISTRYINDEX, &temp_key);
    }
    (void)lua_setmetatable(L, -2);
    return temp;
}

/* ---- errors, memory ---- */

void rl_raw_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, index);
}

/* Also says whether the key is a whole number: of an element behind a gap. */
static bool show_key(lua_State *L, int index, char shown[RL_KEY_SHOWN])
{
    if (lua_type(L, index) == LUA_TSTRING) {
        (void)snprintf(shown, RL_KEY_SHOWN, "\"%.60s\"", lua_tostring(L, index));
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        lua_Number key = lua_tonumber(L, index);
        (void)snprintf(shown, RL_KEY_SHOWN, "%.17g", (double)key);
        return key >= 1 && key < (lua_Number)RL_EXACT_MAX && key == (lua_Number)(int64_t)key;
    } else {
        (void)snprintf(shown, RL_KEY_SHOWN, "(a %s)", rl_typename(L, index));
    }
    return false;
}

typedef enum stray { STRAY_NONE, STRAY_KEY, STRAY_ELEMENT } stray;

/* Counts keys in 1..max, up to the first other one. */
static stray count_keys(lua_State *L, int index, size_t max, const char *also, size_t *count, char shown[RL_KEY_SHOWN])
{
    *count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TNUMBER) {
            lua_Number key = lua_tonumber(L, -2);
            if (key >= 1 && key <= (lua_Number)max && key == (lua_Number)(size_t)key) {
                ++*count;
                continue;
            }
        } else if (also != NULL && lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), also) == 0) {
            continue;
        }
        bool is_element = show_key(L, -2, shown);
        lua_pop(L, 2);
        return is_element ? STRAY_ELEMENT : STRAY_KEY;
    }
    return STRAY_NONE;
}

/* The first place up to len + 1 that has no element. */
static size_t find_gap(lua_State *L, int index, size_t len)
{
    size_t gap = 0;
    bool is_nil = false;
    while (!is_nil && gap <= len) {
        lua_rawgeti(L, index, (int)++gap);
        is_nil = lua_isnil(L, -1);
        lua_pop(L, 1);
    }
    return gap;
}

bool rl_stray_key(lua_State *L, int index, size_t max, const char *also, char shown[RL_KEY_SHOWN])
{
    size_t count;
    return count_keys(L, index, max, also, &count, shown) != STRAY_NONE;
}

int rl_array(lua_State *L, int index, const char *also, size_t *count, int code, rille_err *err)
{
    char shown[RL_KEY_SHOWN];
    size_t len = rl_rawlen(L, index);
    size_t keys = 0;
    *count = len;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        keys++;
    }
    if (keys == len) { /* a hole and another key in its place: whoever reads the elements meets the nil */
        return 0;
    }
    stray found = count_keys(L, index, len, also, &keys, shown);
    if (found == STRAY_KEY) {
        return len == 0
                   ? ri_fail(err, code, "expected an array, but the table has the key %s", shown)
                   : ri_fail(err, code, "the array has the key %s in addition to its elements 1 to %zu", shown, len);
    }
    if (found == STRAY_NONE && keys == len) {
        return 0;
    }
    return ri_fail(err, code, "array has a hole: element %zu is nil", find_gap(L, index, len));
}

void rl_note_bytes(lua_State *L, size_t bytes)
{
    rl_note_bytes_in(L, rl_state_of(L), bytes);
}

void rl_note_bytes_in(lua_State *L, rl_state *state, size_t bytes)
{
    state->noted_bytes += (int64_t)(bytes < INT64_MAX / 4 ? bytes : INT64_MAX / 4);
    if (state->noted_bytes < NOTE_STEP_BYTES) {
        return;
    }
    int64_t kib = state->noted_bytes / 1024;
    state->noted_bytes = 0;
    if (rl_gc_running(L)) { /* a step would start a collector that the program stopped */
        (void)lua_gc(L, LUA_GCSTEP, (int)(kib < NOTE_KIB_MAX ? kib : NOTE_KIB_MAX));
    }
}

void rl_note_box(lua_State *L, rl_box *box, size_t bytes)
{
    if (bytes > box->noted_bytes) {
        size_t more = bytes - box->noted_bytes;
        box->noted_bytes = bytes;
        rl_note_bytes(L, more);
    }
}

void rl_note_released(lua_State *L, rl_box *box)
{
    rl_state *state = rl_state_of(L);
    if (box->noted_bytes == 0) {
        return;
    }
    int64_t rest = state->noted_bytes - (int64_t)box->noted_bytes;
    state->noted_bytes = rest > -NOTE_CREDIT_BYTES ? rest : -NOTE_CREDIT_BYTES;
    box->noted_bytes = 0;
}

size_t rl_cache_bytes(const rille_db *db)
{
    ri_store_stats stats;
    ri_store_read_stats(db->store, &stats);
    return (size_t)stats.cache_bytes;
}

int rl_fetch(const rille_db *db, ri_io *io, size_t *read_bytes, rille_err *err)
{
    size_t before = rl_cache_bytes(db);
    RI_TRY(ri_io_fetch(io, err));
    size_t after = rl_cache_bytes(db);
    *read_bytes += after > before ? after - before : 0;
    return 0;
}
