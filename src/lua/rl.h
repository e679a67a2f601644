/* SPDX-License-Identifier: MIT
 *
 * The Lua binding: what its files share.
 *
 * BOXES. Every handle that Lua holds is a userdata: a guard that is always NULL (some hosts, such as LOVE's channels,
 * follow the first word of a foreign userdata), its class, and the handle, NULL once it is closed. The box is made first, then the
 * call into the engine writes the handle: whatever Lua raises in between, nothing leaks. For the same reason tables of
 * the caller are only read raw (no metamethods), and the engine never calls back into Lua.
 *
 * FINALIZERS. Lua runs finalizers of the program wherever it allocates, and these may close any handle. So a function
 * takes the handle out of its box (rl_check) after its last allocation, or holds it (rl_hold ... rl_let_go): what is
 * closed while it is held is released by the collector.
 *
 * VALUES that a plain Lua value cannot say (keywords, symbols, instants ...) are small userdata, interned in
 * weak tables: equal values are the same object, so `==` and table keys work.
 *
 * ERRORS. rl_fail gives nil, message, "CODE"; RILLE_MISUSE and wrong arguments are raised.
 */
#ifndef RL_H
#define RL_H

#include "rl_compat.h"

#include "../core/base/map.h"
#include "../core/data/edn.h"
#include "../core/db/conn.h"
#include "../core/query/query.h"

#include <stdarg.h>
#include <stdbool.h>

/* A blocking run lets Lua go on after so long, so that its hooks run: by one of them an interpreter ends a program at
 * Ctrl-C. */
#define RL_SLICE_US 50000

/* Where queries pause, for tests (rl_pause.c). */
typedef enum rl_pause { RL_PAUSE_NEVER, RL_PAUSE_EACH, RL_PAUSE_RANDOM } rl_pause;
typedef struct rl_pauses {
    uint64_t seed;
    uint64_t unit_count; /* interrupted so far */
    uint64_t read_count; /* that had to wait */
    uint64_t query_count;
    uint8_t units; /* rl_pause */
    uint8_t reads;
} rl_pauses;

#define RL_ATTR_GUESSES 32U

/* What is known of a Lua state: found under a key of the registry; lives as long as the state. */
typedef struct rl_state {
    const void *value_meta; /* lua_topointer of the metatable of values */
    const void *list_meta;  /* of EDN lists, sets, maps and tagged forms */
    const void *set_meta;
    const void *map_meta;
    const void *tagged_meta;
    struct rl_functions *functions; /* of Lua, that query text may call; NULL once the state is being closed */
    int64_t noted_bytes;            /* rl_note_bytes */
    rl_pauses pauses;
    uint32_t *attr_guesses; /* RL_ATTR_GUESSES places of attributes in schemas (rl_read_attr) */
    struct rl_task *task;   /* for the function that is called next (rl_task.h) */
    bool has_ffi;           /* LuaJIT: int64_t cdata */
    /* What each transaction needs of the registry, by luaL_ref: such a look-up takes a third of one by an address. */
    int ref_db;       /* metatables of values of the database, ... */
    int ref_report;   /* ... of reports ... */
    int ref_value;    /* ... and of values */
    int ref_instants; /* those that are interned */
    int ref_commit;   /* box of a commit, which may be busy; or false */
} rl_state;

typedef struct rl_functions {
    rl_state *state; /* points back */
    ri_bytemap names;
    ri_arena arena;
} rl_functions;
rl_state *rl_state_of(lua_State *L);
/* The same in a method of a class, whose first upvalue it is. */
#define rl_own_state(L) ((rl_state *)lua_touserdata((L), lua_upvalueindex(1)))

/* ---- boxes (rl_box.c) ---- */

typedef struct rl_class {
    const char *name; /* "connection" */
    void (*release)(void *handle);
    const luaL_Reg *methods; /* upvalue 1: the rl_state */
    const luaL_Reg *meta;    /* metamethods; __index in it replaces the table of methods, which it gets as upvalue 1 */
} rl_class;

typedef struct rl_box {
    void *guard;
    const rl_class *class;
    void *handle;
    void *retired;   /* was closed while it was held */
    ri_block *block; /* of a report's db_after: its transaction, until tx_data is made */
    size_t noted_bytes;
    unsigned holds;
} rl_box;

/* Makes the metatable of a class; leaves its table of methods on the stack. */
void rl_class_register(lua_State *L, rl_state *state, const rl_class *class);
rl_box *rl_box_push(lua_State *L, const rl_class *class);
/* The same with a luaL_ref of the class's metatable. */
rl_box *rl_box_push_ref(lua_State *L, const rl_class *class, int ref);
/* The box at `arg`, or an error that names the class. */
rl_box *rl_box_check(lua_State *L, int arg, const rl_class *class);
/* The box at `index` if it is one of this class, else NULL. */
rl_box *rl_box_test(lua_State *L, int index, const rl_class *class);
/* Its handle; an error when it is closed. */
void *rl_check(lua_State *L, int arg, const rl_class *class);
/* Its handle; an error when it is closed or held: for functions that change what others may be reading. */
void *rl_check_free(lua_State *L, int arg, const rl_class *class);
/* The box at `arg`, its handle held; an error when it is closed. Should Lua raise before rl_let_go, the hold stays, and
 * so the collector releases the handle, not close. */
rl_box *rl_hold(lua_State *L, int arg, const rl_class *class);
void rl_let_go(rl_box *box);

/* Memory of one call that Lua errors must not leak. */
typedef struct rl_temp {
    void *guard;
    ri_arena arena;
    ri_buf buf;
    ri_edn_reader reader;
    bool reading;
} rl_temp;
rl_temp *rl_temp_push(lua_State *L);
void rl_temp_clear(rl_temp *temp);

#define RL_KEY_SHOWN 80

/* Pushes table[name] of the table at an absolute index, raw. */
void rl_raw_field(lua_State *L, int index, const char *name);
/* Is the table at an absolute index exactly the array 1..n (and `also`, a string key, or NULL)? Else an error of this
 * code that names what is too much or missing: nothing that was given may vanish. An element within may be nil
 * still, which the reader refuses. 10 ns an element; two free places of the stack. */
int rl_array(lua_State *L, int index, const char *also, size_t *count, int code, rille_err *err);
/* Has it a key that is no whole number from 1 to `max`? Then `shown` says which. */
bool rl_stray_key(lua_State *L, int index, size_t max, const char *also, char shown[RL_KEY_SHOWN]);
/* What the value is, for messages: "string", "connection". */
const char *rl_typename(lua_State *L, int index);
/* "a " before that name; "" before nil and "no value". RL_GOT: two arguments for "got %s%s". */
const char *rl_article(lua_State *L, int index);
#define RL_GOT(L, index) rl_article((L), (index)), rl_typename((L), (index))
/* Raises an error at the line of the program that called rille. Formats of lua_pushfstring. The int is for return. */
_Noreturn int rl_error(lua_State *L, const char *format, ...);
/* Text (numbers are, too) at `arg`; else an error that names what was wanted: "rille.kw: a string". */
const char *rl_check_text(lua_State *L, int arg, const char *what, size_t *len);
/* Puts raise and own into the table on top. */
void rl_error_functions(lua_State *L);
/* Pushes nil, message, code name; raises RILLE_MISUSE. Returns 3. */
int rl_fail(lua_State *L, const rille_err *err);
/* Tells the collector of memory that it cannot see: from 64 KiB on in sum it takes a step of that size. Finalizers may
 * run, so this comes last, with nothing in hand. */
void rl_note_bytes(lua_State *L, size_t bytes);
void rl_note_bytes_in(lua_State *L, rl_state *state, size_t bytes);
/* The handle in the box holds so many bytes now. What is closed by the program is taken off the sum again, so that
 * programs which close what they open pay nothing. */
void rl_note_box(lua_State *L, rl_box *box, size_t bytes);
/* The handle was taken out and released. */
void rl_note_released(lua_State *L, rl_box *box);
/* Bytes of the cache of nodes behind a database. Locks each of its shards. */
size_t rl_cache_bytes(const rille_db *db);
/* ri_io_fetch. Adds what the cache grows by. */
int rl_fetch(const rille_db *db, ri_io *io, size_t *read_bytes, rille_err *err);

#include "rl_values.h"

/* ---- EDN (rl_edn.c, rl_form.c) ---- */

/* Makes the metatables of EDN sequences; puts them as form_meta into the table on top. */
void rl_form_register(lua_State *L, rl_state *state);
void rl_edn_functions(lua_State *L);
void rl_push_form(lua_State *L, const ri_form *form);
/* Lua data as a form; bytes are borrowed from Lua, sequences go to the arena. Raw access only. */
int rl_read_form(lua_State *L, const rl_state *state, int index, ri_arena *arena, ri_form *out, rille_err *err);

/* ---- databases ---- */

extern const rl_class rl_class_conn;
extern const rl_class rl_class_db;
extern const rl_class rl_class_scan;
extern const rl_class rl_class_names;
void rl_conn_functions(lua_State *L);
/* Pushes a box and hands it the reference. */
void rl_db_push(lua_State *L, rille_db **db);
/* Attribute by the name at `index` (leading colon accepted, keyword too). */
int rl_read_attr(lua_State *L, const rl_state *state, int index, const rille_db *db, const ri_attr **out,
                 rille_err *err);
/* Entity by id, ident or lookup ref; ids are not looked up. Blocks. RILLE_ENTITY_MISSING. */
int rl_read_entity(lua_State *L, const rl_state *state, int index, const rille_db *db, ri_arena *arena, uint64_t *out,
                   rille_err *err);
/* A Lua value as a value of the attribute's type. Not for refs. */
int rl_read_typed(lua_State *L, const rl_state *state, int index, const ri_attr *attr, ri_arena *arena, ri_value *out,
                  rille_err *err);
/* The whole value of a stub; bytes are in the blob (a reference of the caller's). Blocks. */
int rl_read_stub(const rille_db *db, const ri_value *stub, ri_io *io, ri_blob **blob, ri_value *out, rille_err *err);
/* Pushes any value of a database, long ones whole. Raises what fails, having let go of the handle in `held`. */
void rl_push_long_value(lua_State *L, rl_box *held, const rille_db *db, const ri_value *v);

/* ---- transactions (rl_tx.c, rl_fill.c) ---- */

extern const rl_class rl_class_commit;
extern const rl_class rl_class_long_values;
void rl_tx_register(lua_State *L, rl_state *state);

int rl_conn_transact(lua_State *L);
int rl_db_with(lua_State *L);

/* ---- queries ---- */

extern const rl_class rl_class_query;
extern const rl_class rl_class_op;
extern const rl_class rl_class_result;
extern const rl_class rl_class_functions;
void rl_query_functions(lua_State *L);
void rl_op_functions(lua_State *L);
void rl_pause_functions(lua_State *L);

/* A finished result: columns, shared by its box and by operations that read it as a source. */
typedef struct rl_result {
    ri_refs refs;
    ri_table table;
    rille_query *query;
} rl_result;
void rl_result_release(void *handle);

#endif
