/* SPDX-License-Identifier: MIT
 *
 * Long values: whole ones in place of their stubs, where somebody looks inside.
 *
 * All blobs of a column are asked for before RILLE_NEED is returned, so that they are fetched together. A stub does not
 * say which database holds its blob: where that makes a difference, patterns note it when they meet one.
 */
#include "exec.h"

#define VALUE_UNITS 8U /* of work for a value, beside its bytes */

int ri_note_stubs(rille_op *op, uint16_t source, const ri_vec *vec, uint32_t from, uint32_t to, rille_err *err)
{
    if (op->blob_db != NULL || (vec->type != RI_MIXED && !ri_type_is_stub(vec->type))) {
        return 0;
    }
    for (uint32_t i = from; i < to; i++) {
        ri_value v = ri_vec_get(vec, i);
        if (!ri_type_is_stub(v.type)) {
            continue;
        }
        bool added = false;
        ri_bytemap_slot *slot = ri_bytemap_put(&op->stub_sources, ri_stub_addr(&v), RI_HASH_SIZE, &added);
        if (slot == NULL) {
            return ri_fail_nomem(err);
        }
        if (added) {
            slot->value = source;
            void *copy = ri_arena_copy(&op->values, slot->key, RI_HASH_SIZE);
            if (copy == NULL) { /* the slot must not keep what it borrowed */
                ri_bytemap_deinit(&op->stub_sources);
                return ri_fail_nomem(err);
            }
            slot->key = copy;
        }
    }
    return 0;
}

static const rille_db *db_of(const rille_op *op, const ri_value *stub)
{
    if (op->blob_db != NULL) {
        return op->blob_db;
    }
    const uint64_t *source = ri_bytemap_get(&op->stub_sources, ri_stub_addr(stub), RI_HASH_SIZE);
    return source != NULL ? op->sources[*source].db : NULL;
}

int ri_whole(rille_op *op, const rille_db *db, ri_value *v, ri_arena *arena, rille_err *err)
{
    ri_blob *blob = NULL;
    RI_TRY(ri_db_blob(db, v, &op->io, &blob, err));
    void *copy = ri_meter_work(op->meter, blob->len) ? ri_arena_copy(arena, blob->bytes, blob->len) : NULL;
    *v = ri_stub_whole(v, copy, blob->len);
    ri_object_release(&blob->object);
    return copy != NULL ? 0 : ri_fail_nomem(err);
}

/* A stub of unknown origin stays one. */
static int make_whole(rille_op *op, ri_value *v, ri_arena *arena, rille_err *err)
{
    const rille_db *db = ri_type_is_stub(v->type) ? db_of(op, v) : NULL;
    return db != NULL ? ri_whole(op, db, v, arena, err) : 0;
}

/* The tuples that aggregates make have stubs in them. */
static bool has_stubs_inside(rille_op *op, const ri_value *v)
{
    ri_reader reader = ri_reader_of(v->as.p, v->type == RI_TUPLE ? v->len : 0);
    while (v->type == RI_TUPLE && ri_reader_left(&reader) > 0 && !reader.bad) {
        ri_value element = ri_value_read(&reader);
        if (ri_type_is_stub(element.type)) {
            return true;
        }
        if (!ri_meter_work(op->meter, VALUE_UNITS + element.len)) {
            return false;
        }
    }
    return false;
}

uint64_t ri_whole_len(rille_op *op, const ri_value *v)
{
    if (v->type != RI_TUPLE || !op->stubs_inside) {
        return ri_type_is_stub(v->type) ? ri_stub_len(v) : v->len;
    }
    uint64_t sum = v->len;
    ri_reader reader = ri_reader_of(v->as.p, v->len);
    while (ri_reader_left(&reader) > 0 && !reader.bad && ri_meter_work(op->meter, VALUE_UNITS)) {
        ri_value element = ri_value_read(&reader);
        sum += ri_type_is_stub(element.type) ? ri_stub_len(&element) : 0;
    }
    return sum;
}

static int make_tuple_whole(rille_op *op, ri_value *v, ri_arena *arena, rille_err *err)
{
    ri_arena parts = { .meter = op->meter };
    ri_buf buf = { .meter = op->meter };
    ri_reader reader = ri_reader_of(v->as.p, v->len);
    int rc = 0;
    while (rc == 0 && ri_reader_left(&reader) > 0 && !reader.bad && buf.len <= RI_VALUE_BYTES_MAX && !buf.failed) {
        ri_value element = ri_value_read(&reader);
        rc = make_whole(op, &element, &parts, err);
        if (rc == 0) {
            ri_value_write(&buf, &element);
            ri_arena_reset(&parts);
        }
    }
    if (rc == 0 && buf.len > RI_VALUE_BYTES_MAX) {
        rc = ri_fail(err, RILLE_LIMIT,
                     "a tuple of long values is longer than the maximum of %u bytes: use fewer of them",
                     RI_VALUE_BYTES_MAX);
    } else if (rc == 0) {
        ri_value tuple = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        rc = !buf.failed && ri_value_copy(arena, &tuple, v) ? 0 : ri_fail_nomem(err);
    }
    ri_buf_deinit(&buf);
    ri_arena_deinit(&parts);
    return rc;
}

static bool lacks(rille_op *op, const ri_vec *vec, uint32_t rows)
{
    bool tuples = op->stubs_inside && (vec->type == RI_TUPLE || vec->type == RI_MIXED);
    for (uint32_t i = 0; tuples && i < rows; i++) {
        ri_value v = ri_vec_get(vec, i);
        if (has_stubs_inside(op, &v)) {
            return true;
        }
    }
    return ri_vec_has_stubs(vec, rows);
}

static int ask(rille_op *op, const ri_value *v, bool *need, rille_err *err)
{
    const rille_db *db = ri_type_is_stub(v->type) ? db_of(op, v) : NULL;
    ri_blob *blob = NULL;
    int rc = db != NULL ? ri_db_blob(db, v, &op->io, &blob, err) : 0;
    ri_object_release(blob != NULL ? &blob->object : NULL);
    *need = *need || rc == RILLE_NEED;
    return rc == RILLE_NEED ? 0 : rc;
}

/* Asks for all blobs: 0 when all are at hand. */
static int ask_all(rille_op *op, const ri_vec *in, uint32_t rows, rille_err *err)
{
    bool need = false;
    for (uint32_t i = 0; i < rows; i++) {
        ri_value v = ri_vec_get(in, i);
        ri_reader reader = ri_reader_of(v.as.p, v.type == RI_TUPLE ? v.len : 0);
        RI_TRY(ask(op, &v, &need, err));
        while (v.type == RI_TUPLE && ri_reader_left(&reader) > 0 && !reader.bad) {
            ri_value element = ri_value_read(&reader);
            RI_TRY(ri_work(op->meter, VALUE_UNITS, err));
            RI_TRY(ask(op, &element, &need, err));
        }
    }
    return need ? RILLE_NEED : 0;
}

int ri_unstub(rille_op *op, const ri_vec *in, uint32_t rows, ri_arena *arena, ri_arena *lasting, ri_vec *copy,
              const ri_vec **out, rille_err *err)
{
    *out = in;
    if (!lacks(op, in, rows)) {
        return 0;
    }
    RI_TRY(ask_all(op, in, rows, err));
    if (copy->words == NULL && !ri_vec_init(copy, lasting, RI_BATCH_ROWS)) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < rows; i++) {
        ri_value v = ri_vec_get(in, i);
        RI_TRY(has_stubs_inside(op, &v) ? make_tuple_whole(op, &v, arena, err) : make_whole(op, &v, arena, err));
        ri_vec_set(copy, i, &v);
    }
    *out = copy;
    return 0;
}
