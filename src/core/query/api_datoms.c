/* SPDX-License-Identifier: MIT
 *
 * The public operations that read an index directly: datoms, counts, and entities by a unique value.
 */
#include "api_own.h"

#include <string.h>

#define BATCH_BLOB_BYTES ((size_t)4 * 1024 * 1024) /* of long values in one batch, but for one */
#define COMPONENTS_MAX 3U

/* A range of an index, and the batch of it that the caller sees. */
struct ri_api_range {
    ri_order order;
    ri_bound from; /* values are in the operation's arena */
    ri_bound to;
    bool declared_only; /* of AVET, whose other attributes are the engine's own */
    uint64_t count;
    ri_io io; /* has what was read ahead, between two steps, too */
    ri_run run;
    uint32_t next; /* row of the run after the batch */
    uint32_t end;  /* of the run */
    uint32_t row_count;
    uint32_t rows[RI_NODE_ROWS_MAX];  /* of the run: the batch */
    ri_blob *blobs[RI_NODE_ROWS_MAX]; /* of the batch's long values, else NULL */
    ri_scan scan;
};

void ri_api_range_drop(ri_api_range *range)
{
    while (range != NULL && range->row_count > 0) {
        ri_blob *blob = range->blobs[--range->row_count];
        ri_object_release(blob == NULL ? NULL : &blob->object);
    }
}

void ri_api_range_free(ri_api_range *range)
{
    if (range != NULL) {
        ri_api_range_drop(range);
        ri_scan_deinit(&range->scan);
        ri_io_deinit(&range->io);
        ri_free(range);
    }
}

/* ---- what is run ---- */

/* Rows from range->next on, with their long values. RILLE_NEED: all that are missing were asked for. */
static int take_rows(rille_steps *s, rille_err *err)
{
    ri_api_range *range = s->range;
    uint32_t row = range->next;
    size_t sum = 0;
    bool needs = false;
    for (; row < range->end && sum < BATCH_BLOB_BYTES; row++) {
        ri_datom d;
        ri_io io = { 0 };
        ri_run_datom(&range->run, row, &d);
        if (range->declared_only && !ri_db_is_indexed(s->db, d.a)) {
            continue;
        }
        ri_blob **blob = &range->blobs[range->row_count];
        range->rows[range->row_count++] = row;
        *blob = NULL;
        if (ri_type_is_stub(d.v.type)) {
            sum += (size_t)ri_stub_len(&d.v);
            int rc = ri_db_blob(s->db, &d.v, &io, blob, err);
            ri_io_deinit(&io);
            needs = needs || rc == RILLE_NEED;
            RI_TRY(rc < 0 ? rc : 0);
        }
    }
    if (needs) {
        return RILLE_NEED;
    }
    range->next = row;
    return range->row_count > 0 ? RILLE_ROWS : RILLE_AGAIN;
}

static int run_datoms(rille_steps *s, rille_err *err)
{
    ri_api_range *range = s->range;
    if (range->next == range->end) {
        int rc;
        ri_io_relieve(&range->io);
        RI_FETCHING(rc, &range->io, ri_scan_next(&range->scan, &range->run, &range->io, err), err)
        if (rc != 0) {
            return rc;
        }
        RI_TRY(ri_io_keep(&range->io, err));
        range->next = 0;
        range->end = ri_run_count(&range->run);
    }
    return take_rows(s, err);
}

static int run_count(rille_steps *s, rille_err *err)
{
    const ri_api_range *range = s->range;
    ri_io io = { 0 };
    int rc;
    if (range->declared_only) {
        RI_FETCHING(rc, &io, ri_db_count_indexed(s->db, &io, &s->out_number, err), err)
    } else {
        RI_FETCHING(rc, &io, ri_db_count(s->db, range->order, &range->from, &range->to, &io, &s->out_number, err), err)
    }
    ri_io_deinit(&io);
    return rc;
}

static int run_entid(rille_steps *s, rille_err *err)
{
    const ri_bound *from = &s->range->from;
    const ri_attr *attr = ri_schema_attr_by_id(s->db->schema, from->d.a);
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_db_lookup(s->db, attr, &from->d.v, &io, &s->out_number, err), err)
    ri_io_deinit(&io);
    return rc;
}

/* ---- components ---- */

static int find_attr(const rille_db *db, const char *ident, size_t len, const ri_attr **out, rille_err *err)
{
    *out = ri_schema_attr(db->schema, ident, len);
    return *out != NULL ? 0 : ri_db_unknown_attr(db, NULL, ident, len, err);
}

static int read_entity(const rille_value *value, uint64_t *out, rille_err *err)
{
    bool is_id = value->type == RILLE_TYPE_LONG || value->type == RILLE_TYPE_REF;
    if (!is_id || value->u.i < 0 || (uint64_t)value->u.i > RI_EID_MAX) {
        return ri_fail(err, RILLE_TYPE, "expected an entity id as a long or a ref");
    }
    *out = (uint64_t)value->u.i;
    return 0;
}

static int read_component(rille_steps *s, char part, const rille_value *value, const ri_attr **attr, rille_err *err)
{
    ri_datom *key = &s->range->from.d;
    if (part == 'e') {
        return read_entity(value, &key->e, err);
    }
    if (part == 'a') {
        if (value->type != RILLE_TYPE_KEYWORD || value->u.bytes == NULL) {
            return ri_fail(err, RILLE_TYPE, "expected an attribute as a keyword");
        }
        RI_TRY(find_attr(s->db, value->u.bytes, value->len, attr, err));
        key->a = (*attr)->id;
        return 0;
    }
    if (*attr == NULL) { /* the v of VAET */
        uint64_t id = 0;
        RI_TRY(read_entity(value, &id, err));
        key->v = ri_ref(id);
        return 0;
    }
    return ri_api_key(*attr, value, &s->arena, &key->v, err);
}

static int read_range(rille_steps *s, const char *index, const rille_value *components, size_t count, bool to_end,
                      rille_err *err)
{
    ri_api_range *range = s->range;
    const ri_attr *attr = NULL;
    if (count > COMPONENTS_MAX) {
        return ri_fail(err, RILLE_MISUSE, "too many components: %zu (only the first three of an index are supported)",
                       count);
    }
    if (!ri_order_find(index, &range->order)) {
        return ri_fail(err, RILLE_MISUSE, "unknown index \"%s\"; use one of: eavt, aevt, avet, vaet", index);
    }
    range->from = ri_bound_all(false);
    for (size_t i = 0; i < count; i++) {
        int rc = read_component(s, ri_order_name(range->order)[i], &components[i], &attr, err);
        if (rc != 0) {
            ri_err_prefix(err, "component %zu of the %s index", i + 1, index);
            return rc;
        }
        range->from.parts = (uint8_t)(i + 1);
    }
    RI_TRY(ri_db_check_index(range->order, attr, err));
    range->to = to_end ? ri_bound_all(true) : range->from;
    range->to.after = true;
    range->declared_only = range->order == RI_AVET && (attr == NULL || to_end);
    return 0;
}

/* ---- beginning ---- */

static int start_range(rille_db *db, int (*run)(rille_steps *, rille_err *), rille_steps **out, rille_err *err)
{
    RI_TRY(ri_api_start(NULL, db, run, out, err));
    (*out)->range = ri_alloc_zero(sizeof *(*out)->range);
    if ((*out)->range == NULL) {
        rille_steps_close(*out);
        *out = NULL;
        return ri_fail_nomem(err);
    }
    return 0;
}

/* Of a range that was read; rc: whether it was. */
static int begin_scan(rille_steps *s, int rc, rille_steps **out)
{
    if (rc != 0) {
        rille_steps_close(s);
        return rc;
    }
    ri_scan_init(&s->range->scan, s->db, s->range->order);
    ri_scan_expect(&s->range->scan, RI_AHEAD_SEEKS, NULL);
    ri_scan_set(&s->range->scan, &s->range->from, &s->range->to);
    *out = s;
    return 0;
}

/* Of arguments that are not NULL where they must not be. */
static int start_index(rille_db *db, int (*run)(rille_steps *, rille_err *), const char *index,
                       const rille_value *components, size_t count, bool to_end, rille_steps **out, rille_err *err)
{
    rille_steps *s;
    RI_TRY(start_range(db, run, &s, err));
    return begin_scan(s, read_range(s, index, components, count, to_end, err), out);
}

#define NEED_INDEX()                                        \
    do {                                                    \
        NEED_GIVEN(out, "out");                             \
        *out = NULL;                                        \
        NEED_GIVEN(db, "the database");                     \
        NEED_GIVEN(index, "the index");                     \
        if (count > 0) {                                    \
            NEED_GIVEN(components, "the components array"); \
        }                                                   \
    } while (0)

int rille_start_datoms(rille_db *db, const char *index, const rille_value *components, size_t count, rille_steps **out,
                       rille_err *err)
{
    NEED_INDEX();
    return start_index(db, run_datoms, index, components, count, false, out, err);
}

int rille_start_seek_datoms(rille_db *db, const char *index, const rille_value *components, size_t count,
                            rille_steps **out, rille_err *err)
{
    NEED_INDEX();
    return start_index(db, run_datoms, index, components, count, true, out, err);
}

int rille_start_count(rille_db *db, const char *index, const rille_value *components, size_t count, rille_steps **out,
                      rille_err *err)
{
    NEED_INDEX();
    return start_index(db, run_count, index, components, count, false, out, err);
}

/* The cut before the values of the attribute from this one on; NULL: before or after all of them. */
static int read_end(rille_steps *s, const ri_attr *attr, const rille_value *value, bool after_all, ri_bound *out,
                    rille_err *err)
{
    ri_value v;
    *out = ri_bound_a(attr->id, after_all);
    if (value == NULL) {
        return 0;
    }
    int rc = ri_api_key(attr, value, &s->arena, &v, err);
    if (rc != 0) {
        ri_err_prefix(err, "the %s of the range", after_all ? "end" : "start");
        return rc;
    }
    *out = ri_bound_av(attr->id, &v, false);
    return 0;
}

static int read_ends(rille_steps *s, const char *attribute, const rille_value *from, const rille_value *to,
                     rille_err *err)
{
    const ri_attr *attr;
    ri_api_range *range = s->range;
    range->order = RI_AVET;
    RI_TRY(find_attr(s->db, attribute, strlen(attribute), &attr, err));
    RI_TRY(ri_db_check_index(RI_AVET, attr, err));
    RI_TRY(read_end(s, attr, from, false, &range->from, err));
    return read_end(s, attr, to, true, &range->to, err);
}

int rille_start_index_range(rille_db *db, const char *attribute, const rille_value *from, const rille_value *to,
                            rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    NEED_GIVEN(attribute, "the attribute");
    rille_steps *s;
    RI_TRY(start_range(db, run_datoms, &s, err));
    return begin_scan(s, read_ends(s, attribute, from, to, err), out);
}

/* The unique attribute and the value of a lookup. */
int ri_api_unique(const rille_db *db, const char *function, const char *attribute, const rille_value *value,
                  ri_arena *arena, const ri_attr **attr, ri_value *out, rille_err *err)
{
    RI_TRY(find_attr(db, attribute, strlen(attribute), attr, err));
    if ((*attr)->unique == RI_UNIQUE_NO) {
        return ri_fail(err, RILLE_MISUSE,
                       "attribute :%s is not unique: %s needs a unique attribute; use a query instead", attribute,
                       function);
    }
    return ri_api_key(*attr, value, arena, out, err);
}

int rille_start_entid(rille_db *db, const char *attribute, const rille_value *value, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    NEED_GIVEN(attribute, "the attribute");
    NEED_GIVEN(value, "the value");
    const ri_attr *attr;
    rille_steps *s;
    RI_TRY(start_range(db, run_entid, &s, err));
    int rc = ri_api_unique(db, __func__, attribute, value, &s->arena, &attr, &s->range->from.d.v, err);
    if (rc != 0) {
        rille_steps_close(s);
        return rc;
    }
    s->range->from.d.a = attr->id;
    *out = s;
    return 0;
}

/* ---- what the caller sees ---- */

uint64_t rille_steps_number(const rille_steps *steps)
{
    return steps != NULL && steps->has_ended && steps->rc == RILLE_DONE ? steps->out_number : 0;
}

size_t ri_api_range_rows(const ri_api_range *range)
{
    return range->row_count;
}

static rille_value attribute_out(const rille_db *db, uint32_t a)
{
    const ri_attr *attr = ri_schema_attr_by_id(db->schema, a);
    return attr == NULL ? rille_long(a)
                        : (rille_value){ .u.bytes = attr->ident, .len = attr->ident_len, .type = RILLE_TYPE_KEYWORD };
}

static rille_value value_at(const ri_api_range *range, size_t row, const ri_value *v)
{
    const ri_blob *blob = range->blobs[row];
    ri_value whole = blob == NULL ? *v : ri_stub_whole(v, blob->bytes, blob->len);
    return ri_api_value_out(&whole);
}

rille_value ri_api_range_get(const rille_steps *s, size_t row, size_t column)
{
    const ri_api_range *range = s->range;
    ri_datom d;
    if (row >= range->row_count) {
        return (rille_value){ .type = RILLE_TYPE_NIL };
    }
    ri_run_datom(&range->run, range->rows[row], &d);
    switch (column) {
    case 0:
        return (rille_value){ .u.i = (int64_t)d.e, .type = RILLE_TYPE_REF };
    case 1:
        return attribute_out(s->db, d.a);
    case 2:
        return value_at(range, row, &d.v);
    case 3:
        return (rille_value){ .u.i = (int64_t)d.t, .type = RILLE_TYPE_REF };
    case 4:
        return (rille_value){ .u.i = 1, .type = RILLE_TYPE_BOOLEAN };
    default:
        return (rille_value){ .type = RILLE_TYPE_NIL };
    }
}
