/* SPDX-License-Identifier: MIT
 *
 * wanted() and supply(): what an operation needs of storage, for hosts that get it themselves.
 */
#include "rl_task.h"

#include <string.h>

static const char *kind_name(uint8_t kind)
{
    return kind == RILLE_OBJECT_PACK ? "pack" : kind == RILLE_OBJECT_NODE ? "node" : "blob";
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, const void *bytes, size_t len)
{
    lua_pushlstring(L, bytes, len);
    lua_setfield(L, -2, name);
}

static void set_object(lua_State *L, const rille_object_id *object)
{
    char hex[2 * RILLE_ID_SIZE + 1];
    ri_hex(hex, object->id, RILLE_ID_SIZE);
    set_text(L, "kind", kind_name(object->kind));
    set_text(L, "id", hex);
}

void rl_push_range(lua_State *L, const rille_get *get)
{
    lua_createtable(L, 0, 6);
    set_object(L, &get->object);
    rl_push_id(L, get->offset);
    lua_setfield(L, -2, "offset");
    rl_push_id(L, get->len);
    lua_setfield(L, -2, "length");
}

/* {op = "get", store =, kind =, id =, offset =, length =}; length 0: to the end */
static void push_get(lua_State *L, const ri_store *store, const rille_get *get)
{
    rl_push_range(L, get);
    set_text(L, "op", "get");
    set_text(L, "store", store == NULL ? "" : ri_store_url(store));
}

static void set_puts(lua_State *L, const char *name, const rille_put *puts, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 3);
        set_object(L, &puts[i].object);
        set_bytes(L, "bytes", puts[i].bytes, puts[i].len);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, name);
}

static bool is_zero(const rille_revision *revision)
{
    static const rille_revision zero = { { 0 } };
    return memcmp(revision, &zero, sizeof zero) == 0;
}

static void set_swap(lua_State *L, const rille_head_swap *swap)
{
    if (!is_zero(&swap->expected)) {
        set_bytes(L, "expected", swap->expected.bytes, sizeof swap->expected.bytes);
    }
    set_bytes(L, "bytes", swap->cell, swap->cell_len);
    rl_push_id(L, swap->kept_len);
    lua_setfield(L, -2, "kept");
    set_puts(L, "objects", swap->puts, swap->put_count);
    lua_pushboolean(L, swap->durable);
    lua_setfield(L, -2, "durable");
}

static void set_ids(lua_State *L, const rille_object_id *ids, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 2);
        set_object(L, &ids[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "objects");
}

void rl_push_call(lua_State *L, const ri_slot_call *call)
{
    static const char *const ops[] = { [RI_CALL_GET] = "get",
                                       [RI_CALL_PUT] = "put",
                                       [RI_CALL_HEAD_READ] = "head_read",
                                       [RI_CALL_HEAD_SWAP] = "head_swap",
                                       [RI_CALL_HEAD_DELETE] = "delete",
                                       [RI_CALL_HEAD_LIST] = "list",
                                       [RI_CALL_LIST] = "list",
                                       [RI_CALL_DELETE] = "delete",
                                       [RI_CALL_DROP] = "drop" };
    if (call->slot == RI_CALL_GET) {
        push_get(L, call->store, &call->gets[0]);
        return;
    }
    lua_createtable(L, 0, 6);
    set_text(L, "op", ops[call->slot]);
    set_text(L, "store", ri_store_url(call->store));
    if (call->slot == RI_CALL_HEAD_SWAP) {
        set_text(L, "branch", call->swap->branch);
        set_swap(L, call->swap);
    } else if (call->branch != NULL) {
        set_text(L, "branch", call->branch);
    }
    if (call->known != NULL) {
        set_bytes(L, "known", call->known->bytes, sizeof call->known->bytes);
    }
    if (call->slot == RI_CALL_PUT) {
        set_puts(L, "objects", call->puts, call->count);
    } else if (call->slot == RI_CALL_DELETE) {
        set_ids(L, call->ids, call->count);
    } else if (call->slot == RI_CALL_LIST || call->slot == RI_CALL_HEAD_LIST) {
        set_text(L, "kind", call->slot == RI_CALL_LIST ? kind_name((uint8_t)call->kind) : "head");
    }
}

void rl_push_wants(lua_State *L, const ri_io *io, const ri_slot_call *call)
{
    lua_createtable(L, (int)io->want_count, 0);
    for (size_t i = 0; i < io->want_count; i++) {
        rille_get get = ri_io_request(io, i);
        push_get(L, io->wants[i].store, &get);
        lua_rawseti(L, -2, (int)i + 1);
    }
    if (call != NULL) {
        rl_push_call(L, call);
        lua_rawseti(L, -2, (int)io->want_count + 1);
    }
}

/* ---- outcomes ---- */

/* Where fields of the outcome are on the stack. */
enum { REVISION = 6, BYTES = 7 };

void rl_supply_prepare(lua_State *L)
{
    lua_settop(L, 5);
    if (lua_type(L, 3) == LUA_TNUMBER) {
        (void)lua_tolstring(L, 3, NULL);
    }
    if (lua_istable(L, 3)) {
        rl_raw_field(L, 3, "revision");
        rl_raw_field(L, 3, "bytes");
    }
    lua_settop(L, BYTES);
    luaL_checkstack(L, LUA_MINSTACK, "not enough memory");
}

static bool take_bytes(lua_State *L, int index, uint8_t **out, size_t *len)
{
    const char *bytes = lua_tolstring(L, index, len);
    *out = bytes == NULL ? NULL : ri_alloc(*len + 1);
    if (*out != NULL) {
        memcpy(*out, bytes, *len);
    }
    return *out != NULL;
}

/* A revision of the host's own: any string of at most 32 bytes but the empty one. */
static void read_revision(lua_State *L, int index, rille_revision *out)
{
    size_t len = 0;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
    if (len == 0 || len > sizeof out->bytes) {
        (void)rl_error(L, "supply: a revision must be a string of 1 to 32 bytes");
    }
    memset(out, 0, sizeof *out);
    memcpy(out->bytes, text, len);
}

static int wrong(lua_State *L, const char *expected)
{
    return rl_error(L, "supply: expected %s, got %s%s", expected, RL_GOT(L, 3));
}

static void read_head(lua_State *L, const ri_slot_call *call, ri_answer *out)
{
    if (lua_isnil(L, 3)) {
        out->rc = ri_fail(&out->err, RILLE_NOTFOUND, "the branch has no head");
        return;
    }
    bool may_be_unchanged = call->known != NULL;
    if (may_be_unchanged && lua_type(L, 3) == LUA_TSTRING && strcmp(lua_tostring(L, 3), "unchanged") == 0) {
        out->rc = RILLE_DONE;
        return;
    }
    if (!lua_istable(L, 3)) {
        (void)wrong(L, may_be_unchanged ? "{bytes =, revision =}, \"unchanged\" or nil"
                                        : "{bytes =, revision =} or nil (no revision is known)");
    }
    read_revision(L, REVISION, &out->head.revision);
    if (lua_type(L, BYTES) != LUA_TSTRING || !take_bytes(L, BYTES, &out->head.bytes, &out->head.len)) {
        (void)rl_error(L, "supply: the head has no bytes");
    }
}

static void read_swap(lua_State *L, ri_answer *out)
{
    const char *text = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : "";
    if (strcmp(text, "conflict") == 0) {
        out->rc = RILLE_CONFLICT;
        return;
    }
    if (strcmp(text, "unknown") == 0) {
        out->rc = RILLE_UNKNOWN;
        return;
    }
    if (!lua_istable(L, 3)) {
        (void)wrong(L, "{revision =}, \"conflict\" or \"unknown\"");
    }
    read_revision(L, REVISION, &out->head.revision);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_id(const char *hex, size_t len, uint8_t out[RILLE_ID_SIZE])
{
    bool good = len == 2 * (size_t)RILLE_ID_SIZE;
    for (size_t i = 0; good && i < RILLE_ID_SIZE; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = hex_digit(hex[2 * i + 1]);
        good = high >= 0 && low >= 0;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return good;
}

/* An array of ids in hex, or of names of branches. */
static void read_list(lua_State *L, const ri_slot_call *call, ri_answer *out)
{
    if (!lua_istable(L, 3)) {
        (void)wrong(L, "an array of ids or names");
    }
    size_t count = rl_rawlen(L, 3);
    bool ids = call->slot == RI_CALL_LIST;
    ri_buf names = { 0 };
    out->ids = ids ? ri_alloc_array(count + 1, sizeof *out->ids) : NULL;
    out->count = count;
    bool good = !ids || out->ids != NULL;
    for (size_t i = 0; good && i < count; i++) {
        size_t len = 0;
        lua_rawgeti(L, 3, (int)i + 1);
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (ids) {
            out->ids[i].kind = (uint8_t)call->kind;
            good = text != NULL && read_id(text, len, out->ids[i].id);
        } else if ((good = text != NULL) != false) {
            ri_buf_put(&names, text, len);
            ri_buf_put_u8(&names, 0);
        }
        lua_pop(L, 1);
    }
    size_t len;
    out->names = ids ? NULL : (char *)ri_buf_take(&names, &len);
    ri_buf_deinit(&names); /* of which nothing is left but after a failure */
    if (out->ids == NULL && out->names == NULL) {
        out->rc = ri_fail_nomem(&out->err);
    } else if (!good) {
        ri_answer_deinit(out);
        (void)wrong(L, "an array of ids or names");
    }
}

/* Everything that may raise comes before what is allocated. */
static void read_outcome(lua_State *L, const ri_slot_call *call, ri_answer *out)
{
    size_t len;
    switch (call->slot) {
    case RI_CALL_HEAD_READ:
        read_head(L, call, out);
        return;
    case RI_CALL_HEAD_SWAP:
        read_swap(L, out);
        return;
    case RI_CALL_LIST:
    case RI_CALL_HEAD_LIST:
        read_list(L, call, out);
        return;
    case RI_CALL_GET:
        (void)rl_check_text(L, 3, "supply: a string of bytes", &len);
        out->gets = ri_alloc_zero(sizeof *out->gets);
        if (out->gets != NULL) {
            out->gets[0] = call->gets[0];
            out->count = 1;
            out->gets[0].rc = take_bytes(L, 3, &out->gets[0].bytes, &out->gets[0].bytes_len) ? 0 : RILLE_NOMEM;
        } else {
            out->rc = ri_fail_nomem(&out->err);
        }
        return;
    case RI_CALL_PUT:
    case RI_CALL_HEAD_DELETE:
    case RI_CALL_DELETE:
    case RI_CALL_DROP:
        if (!lua_toboolean(L, 3)) {
            (void)wrong(L, "true");
        }
        return;
    }
}

/* The code at 5; none is IO. */
static int check_code(lua_State *L)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
#define X(name, value, meaning) { #name, value },
        RILLE_CODES(X)
#undef X
    };
#define X(name, value, meaning) ", " #name
    static const char all[] = RILLE_CODES(X);
#undef X
    if (lua_isnil(L, 5)) {
        return RILLE_IO;
    }
    if (lua_type(L, 5) != LUA_TSTRING) {
        (void)rl_error(L, "supply: expected the code of the failure as a string, got %s%s", RL_GOT(L, 5));
    }
    const char *name = lua_tostring(L, 5);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(codes[i].name, name) == 0) {
            return codes[i].code;
        }
    }
    return rl_error(L, "supply: unknown code \"%s\"; use one of: %s", name, all + 2);
}

/* nil, message, code: the host failed to get it. A nil alone is an outcome of some calls. */
static bool read_failure(lua_State *L, rille_err *out)
{
    if (!lua_isnil(L, 3) || lua_isnil(L, 4)) {
        return false;
    }
    if (lua_type(L, 4) != LUA_TSTRING) {
        (void)rl_error(L, "supply: after nil, expected the message of the failure, got %s%s", RL_GOT(L, 4));
    }
    (void)ri_fail(out, check_code(L), "%s", lua_tostring(L, 4));
    return true;
}

static int supply_call(lua_State *L, ri_task *task)
{
    ri_answer answer = { 0 };
    rille_err err;
    if (read_failure(L, &answer.err)) {
        answer.rc = answer.err.code;
    } else {
        read_outcome(L, &task->call, &answer);
    }
    if (ri_task_supply(task, &answer, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int wrong_index(lua_State *L, size_t wants)
{
    return wants == 0
               ? rl_error(L, "supply: this operation wants nothing now: step it, and supply each entry of wanted() "
                             "once")
               : rl_error(L, "supply: expected an index into wanted(), 1 to %d", (int)wants);
}

int rl_answer_call(lua_State *L, ri_task *task)
{
    ri_answer answer = { 0 };
    rille_err err;
    const ri_slot_call *call = ri_task_hosted(task);
    if (call == NULL) {
        return rl_error(L, "the operation does not want this any more: one coroutine at a time may drive it");
    }
    if (read_failure(L, &answer.err)) {
        answer.rc = answer.err.code;
    } else {
        read_outcome(L, call, &answer);
    }
    if (ri_task_answer(task, &answer, &err) != 0) {
        return rl_fail(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

int rl_supply(lua_State *L, ri_io *io, ri_task *task, rille_err *failure)
{
    int64_t i = 0;
    size_t len;
    rille_err err;
    bool is_number = rl_read_int64(L, rl_state_of(L), 2, &i);
    size_t wants = task != NULL ? ri_task_wants(task) : io->want_count;
    if (!is_number || i < 1 || (uint64_t)i > wants) {
        return wrong_index(L, wants);
    }
    if ((uint64_t)i > io->want_count) {
        return supply_call(L, task);
    }
    if (!read_failure(L, failure)) {
        const char *bytes = rl_check_text(L, 3, "supply: a string of bytes", &len);
        if (ri_io_supply(io, (size_t)i - 1, (const uint8_t *)bytes, len, &err) != 0) {
            return rl_fail(L, &err);
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}
