/* SPDX-License-Identifier: MIT
 *
 * db:datoms, db:seek_datoms, db:index_range and db:count: ranges of one index, given by leading components.
 *
 * The iterator is a closure over a scan (a box of its own, closed at the end of the range) and gives e, attribute, v,
 * tx, added. Datoms come in runs: the piece at hand is a span of rows of a packed leaf, or an array of datoms.
 */
#include "rl_task.h"

#include <stddef.h>
#include <string.h>

typedef struct scan {
    rille_db *db; /* retained */
    ri_io io;
    ri_arena arena; /* values of the bounds */
    ri_run run;
    uint32_t next;  /* row of the run */
    uint32_t count; /* rows of the run */
    bool declared_only;
    bool batched;      /* the closure gives the batch at hand alone */
    uint32_t end;      /* of the batch: rows of the run before it have their long values in `blobs` */
    ri_blob **blobs;   /* by row of the run; NULL: it is no long value */
    size_t read_bytes; /* by which the cache of nodes has grown */
    uint32_t attr_id;  /* whose name is upvalue 2 */
    ri_scan scan;      /* at the end: its array of rows is not zeroed */
} scan;

static void drop_blobs(scan *s)
{
    for (uint32_t i = 0; s->blobs != NULL && i < s->count; i++) {
        ri_object_release(s->blobs[i] == NULL ? NULL : &s->blobs[i]->object);
    }
    ri_free(s->blobs);
    s->blobs = NULL;
}

static void release_scan(void *handle)
{
    scan *s = handle;
    drop_blobs(s);
    ri_scan_deinit(&s->scan);
    ri_io_deinit(&s->io);
    ri_arena_deinit(&s->arena);
    ri_db_release(s->db);
    ri_free(s);
}

static const luaL_Reg methods[] = { { NULL, NULL } };
const rl_class rl_class_scan = { "datoms iterator", release_scan, methods, NULL };

/* One component at `index` into the key. */
static int read_part(lua_State *L, const rl_state *state, int index, char part, const rille_db *db, ri_arena *arena,
                     ri_datom *key, const ri_attr **attr, rille_err *err)
{
    uint64_t id;
    if (part == 'e') {
        return rl_read_entity(L, state, index, db, arena, &key->e, err);
    }
    if (part == 'a') {
        RI_TRY(rl_read_attr(L, state, index, db, attr, err));
        key->a = (*attr)->id;
        return 0;
    }
    if (*attr == NULL || (*attr)->type == RI_REF) { /* the v of VAET, or of a ref */
        RI_TRY(rl_read_entity(L, state, index, db, arena, &id, err));
        key->v = ri_ref(id);
        return 0;
    }
    RI_TRY(rl_read_typed(L, state, index, *attr, arena, &key->v, err));
    return ri_value_shorten(arena, &key->v, err);
}

/* Arguments 3.. are components from the left, without gaps. A nil in front of others is a look-up that failed
 * (db:datoms("eavt", db:entid(e)) gets nil, message, code), which must not become a scan of everything. */
static void check_components(lua_State *L, ri_order order)
{
    const char *parts = ri_order_name(order);
    int last = lua_gettop(L);
    while (last > 2 && lua_isnil(L, last)) {
        last--;
    }
    for (int i = 3; i <= last && i < 6; i++) {
        if (lua_isnil(L, i)) {
            (void)rl_error(L, "component %d (%c) of the %s index is nil, but later components are not%s", i - 2,
                           parts[i - 3], parts, parts[i - 3] == 'e' ? " (did db:entid return nil?)" : "");
        }
    }
    if (last > 5) {
        (void)rl_error(L, "too many components: %d (only the first three of the %s index are supported)", last - 2,
                       parts);
    }
}

int rl_read_parts(lua_State *L, const rl_state *state, const rille_db *db, ri_order order, ri_arena *arena,
                  ri_bound *from, const ri_attr **attr, rille_err *err)
{
    const char *parts = ri_order_name(order);
    *from = ri_bound_all(false);
    *attr = NULL;
    for (int i = 0; i < 3 && !lua_isnoneornil(L, i + 3); i++) {
        RI_TRY(read_part(L, state, i + 3, parts[i], db, arena, &from->d, attr, err));
        from->parts = (uint8_t)(i + 1);
    }
    return ri_db_check_index(order, *attr, err);
}

/* ---- iterating ---- */

/* The next datom, borrowed; RILLE_DONE. */
static int next_datom(scan *s, ri_datom *out, rille_err *err)
{
    ri_io_relieve(&s->io);
    for (;;) {
        uint32_t end = s->batched ? s->end : s->count;
        while (s->next < end) {
            ri_run_datom(&s->run, s->next++, out);
            if (!s->declared_only || ri_db_is_indexed(s->db, out->a)) {
                return 0;
            }
        }
        if (s->batched) {
            return RILLE_DONE;
        }
        int rc = ri_scan_next(&s->scan, &s->run, &s->io, err);
        if (rc == RILLE_NEED) {
            RI_TRY(rl_fetch(s->db, &s->io, &s->read_bytes, err));
            continue;
        }
        RI_TRY(rc);
        s->next = 0;
        s->count = ri_run_count(&s->run);
    }
}

static void push_attr_name(lua_State *L, scan *s, uint32_t a)
{
    if (s->attr_id != a) {
        const ri_attr *attr = ri_schema_attr_by_id(s->db->schema, a);
        if (attr != NULL) {
            lua_pushlstring(L, attr->ident, attr->ident_len);
        } else {
            lua_pushfstring(L, "%d", (int)a);
        }
        s->attr_id = a;
        lua_replace(L, lua_upvalueindex(2));
    }
    lua_pushvalue(L, lua_upvalueindex(2));
}

/* Upvalues: the box of the scan, the name of the attribute seen last. */
static int scan_step(lua_State *L)
{
    rl_box *box = lua_touserdata(L, lua_upvalueindex(1));
    scan *s = box->handle;
    rille_err err;
    ri_datom d;
    if (s == NULL) {
        return 0;
    }
    if (box->holds > 0) {
        return rl_error(L, "the scan is already in use and cannot be used from a finalizer");
    }
    int rc = next_datom(s, &d, &err);
    if (rc != 0 && s->batched) {
        return 0;
    }
    if (rc != 0) {
        size_t read_bytes = s->read_bytes;
        box->handle = NULL;
        release_scan(s);
        rl_note_bytes(L, read_bytes);
        return rc < 0 ? rl_error(L, "%s", err.message) : 0;
    }
    box->holds++;
    rl_push_id(L, d.e);
    push_attr_name(L, s, d.a);
    const ri_blob *blob = s->batched && s->blobs != NULL ? s->blobs[s->next - 1] : NULL;
    if (blob != NULL) {
        d.v = ri_stub_whole(&d.v, blob->bytes, blob->len);
    }
    rl_push_long_value(L, box, s->db, &d.v);
    rl_push_id(L, d.t);
    lua_pushboolean(L, 1);
    rl_let_go(box);
    return 5;
}

#define BATCH_BLOB_BYTES ((size_t)4 * 1024 * 1024) /* of long values in one batch, but for one */

/* Ends the batch before the row whose long values are too much. RILLE_NEED: all that are missing were asked for. */
static int take_blobs(scan *s, rille_err *err)
{
    size_t sum = 0;
    bool need = false;
    for (s->end = s->next; s->end < s->count && sum < BATCH_BLOB_BYTES; s->end++) {
        ri_datom d;
        ri_run_datom(&s->run, s->end, &d);
        if (!ri_type_is_stub(d.v.type)) {
            continue;
        }
        if (s->blobs == NULL && (s->blobs = ri_alloc_zero(s->count * sizeof(ri_blob *))) == NULL) {
            return ri_fail_nomem(err);
        }
        sum += (size_t)ri_stub_len(&d.v);
        int rc = s->blobs[s->end] != NULL ? 0 : ri_db_blob(s->db, &d.v, &s->io, &s->blobs[s->end], err);
        need = need || rc == RILLE_NEED;
        if (rc < 0) {
            return rc;
        }
    }
    return need ? RILLE_NEED : 0;
}

/* Makes rows from s->next on a batch. RILLE_DONE. */
static int next_batch(scan *s, rille_err *err)
{
    if (s->end == s->count) {
        drop_blobs(s);
        s->count = s->next = s->end = 0;
        ri_io_relieve(&s->io);
        RI_TRY(ri_scan_next(&s->scan, &s->run, &s->io, err));
        RI_TRY(ri_io_keep(&s->io, err)); /* what was read ahead, for the next batches */
        s->count = ri_run_count(&s->run);
    }
    s->next = s->end;
    int rc = take_blobs(s, err);
    s->end = rc == 0 ? s->end : s->next;
    return rc;
}

/* scan_batch(scan) --> true: the closure gives a batch of rows; false at the end of the range */
static int core_scan_batch(lua_State *L)
{
    rl_task *task = rl_take_task(rl_state_of(L));
    scan *s = rl_check_free(L, 1, &rl_class_scan);
    rille_err err;
    ri_task *outer;
    s->batched = true;
    rl_task_enter(task, &outer);
    int rc = next_batch(s, &err);
    rc = rl_task_leave(task, outer, rc, &err);
    if (rc != 0 && rc != RILLE_DONE) {
        return rl_fail(L, &err);
    }
    if (rc == 0 && task != NULL) {
        ri_task_forget(&task->task); /* what it needs, it holds */
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

ri_order rl_check_order(lua_State *L)
{
    ri_order order = RI_EAVT;
    if (lua_type(L, 2) != LUA_TSTRING) {
        (void)rl_error(L, "expected an index (eavt, aevt, avet or vaet), got %s%s", RL_GOT(L, 2));
    }
    const char *name = lua_tostring(L, 2);
    if (!ri_order_find(name, &order)) {
        (void)rl_error(L, "unknown index \"%s\"; use one of: eavt, aevt, avet, vaet", name);
    }
    return order;
}

/* The scan of a box on top, of the database at 1; its bounds are not set. */
static scan *make_scan(lua_State *L, rl_box *box, ri_order order)
{
    rille_db *db = rl_check(L, 1, &rl_class_db);
    scan *s = ri_alloc(sizeof *s);
    if (s == NULL) {
        (void)rl_error(L, "out of memory");
    }
    memset(s, 0, offsetof(scan, scan.rows));
    s->db = ri_db_retain(db);
    ri_scan_init(&s->scan, s->db, order);
    ri_scan_expect(&s->scan, RI_AHEAD_SEEKS, NULL);
    box->handle = s;
    return s;
}

/* The box of a scan is on top: pushes closure, nil, nil, box. */
static int push_scan(lua_State *L)
{
    int box = lua_gettop(L);
    lua_pushvalue(L, box);
    lua_pushnil(L);
    lua_pushcclosure(L, scan_step, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, box);
    return 4;
}

/* From the components on: as far as they reach, or to the end of the index. */
static int scan_from(lua_State *L, bool to_end)
{
    rl_state *state = rl_own_state(L);
    rl_task *task = rl_take_task(state);
    (void)rl_check(L, 1, &rl_class_db);
    ri_order order = rl_check_order(L);
    const ri_attr *attr;
    ri_bound from;
    rille_err err;
    check_components(L, order);
    lua_settop(L, 5);
    int results = task == NULL && !to_end ? rl_push_point(L, state, order) : 0;
    if (results > 0) {
        return results;
    }
    scan *s = make_scan(L, rl_box_push(L, &rl_class_scan), order);
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = rl_read_parts(L, state, s->db, order, &s->arena, &from, &attr, &err);
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    ri_bound to = to_end ? ri_bound_all(true) : from;
    to.after = true;
    ri_scan_set(&s->scan, &from, &to);
    s->declared_only = order == RI_AVET && (attr == NULL || to_end);
    return push_scan(L);
}

/* _datoms(order, c1, c2, c3) --> closure, nil, nil, box; or closure (rl_point.c); or nil, message, code */
int rl_db_datoms(lua_State *L)
{
    return scan_from(L, false);
}

/* datoms(order, c1, c2, c3) --> the same, but raises */
int rl_db_datoms_or_raise(lua_State *L)
{
    int results = scan_from(L, false);
    return lua_isnil(L, -results) ? rl_error(L, "%s", lua_tostring(L, 1 - results)) : results;
}

/* _seek(order, c1, c2, c3): the same, on to the end of the index */
int rl_db_seek(lua_State *L)
{
    return scan_from(L, true);
}

/* One end of a range of values of an attribute, at `index`; nil: all of them. */
static int read_end(lua_State *L, scan *s, int index, const ri_attr *attr, bool after_all, ri_bound *out,
                    rille_err *err)
{
    const rl_state *state = rl_own_state(L);
    ri_datom key;
    *out = ri_bound_a(attr->id, after_all);
    if (lua_isnil(L, index)) {
        return 0;
    }
    RI_TRY(read_part(L, state, index, 'v', s->db, &s->arena, &key, &attr, err));
    *out = ri_bound_av(attr->id, &key.v, false);
    return 0;
}

/* _range(attr, from, to): values from `from` on, up to but without `to`; nil is an open end */
int rl_db_range(lua_State *L)
{
    const ri_attr *attr;
    ri_bound from, to;
    rille_err err;
    ri_task *outer;
    rl_task *task = rl_take_task(rl_own_state(L));
    lua_settop(L, 4);
    scan *s = make_scan(L, rl_box_push(L, &rl_class_scan), RI_AVET);
    rl_task_enter(task, &outer);
    int rc = rl_read_attr(L, rl_own_state(L), 2, s->db, &attr, &err);
    rc = rc == 0 ? ri_db_check_index(RI_AVET, attr, &err) : rc;
    if (rc == 0) {
        rc = read_end(L, s, 3, attr, false, &from, &err);
    }
    if (rc == 0) {
        rc = read_end(L, s, 4, attr, true, &to, &err);
    }
    if (rl_task_leave(task, outer, rc, &err) != 0) {
        return rl_fail(L, &err);
    }
    ri_scan_set(&s->scan, &from, &to);
    return push_scan(L);
}

static int count_range(const rille_db *db, ri_order order, const ri_bound *from, uint64_t *out, rille_err *err)
{
    ri_bound to = *from;
    ri_io io = { 0 };
    int rc;
    to.after = true;
    RI_FETCHING(rc, &io, ri_db_count(db, order, from, &to, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

/* All of avet that users know of. */
static int count_declared(const rille_db *db, uint64_t *out, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_db_count_indexed(db, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

/* _count(order, c1, c2, c3) --> number */
int rl_db_count(lua_State *L)
{
    rl_task *task = rl_take_task(rl_own_state(L));
    (void)rl_check(L, 1, &rl_class_db);
    ri_order order = rl_check_order(L);
    const ri_attr *attr;
    ri_bound from;
    rille_err err;
    uint64_t count = 0;
    check_components(L, order);
    lua_settop(L, 5);
    luaL_checkstack(L, 40, "not enough memory"); /* so that nothing below raises: the arena needs no box */
    rl_box *box = rl_hold(L, 1, &rl_class_db);
    const rille_db *db = box->handle;
    ri_arena arena = { 0 };
    ri_task *outer;
    rl_task_enter(task, &outer);
    int rc = rl_read_parts(L, rl_own_state(L), db, order, &arena, &from, &attr, &err);
    if (rc == 0) {
        bool declared_only = order == RI_AVET && attr == NULL;
        rc = declared_only ? count_declared(db, &count, &err) : count_range(db, order, &from, &count, &err);
    }
    rc = rl_task_leave(task, outer, rc, &err);
    ri_arena_deinit(&arena);
    rl_let_go(box);
    if (rc != 0) {
        return rl_fail(L, &err);
    }
    rl_push_id(L, count);
    return 1;
}

void rl_scan_functions(lua_State *L)
{
    lua_pushcfunction(L, core_scan_batch);
    lua_setfield(L, -2, "scan_batch");
}
