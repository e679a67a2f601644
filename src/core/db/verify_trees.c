/* SPDX-License-Identifier: MIT
 *
 * Verification of the trees: each by itself, then that EAVT, AEVT, AVET and VAET hold the same facts.
 */
#include "flush.h"
#include "verify_own.h"

#include "../base/hash.h"

#include <string.h>

#define BLOB_WORK 4U       /* for each byte */
#define LOOK_UP_WORK 2048U /* of a row that is looked up */
#define AHEAD_MAX 64U      /* long values that are asked for together */
#define AHEAD_BYTES_MAX (RI_IO_PIN_BYTES / 4)

uint64_t ri_verify_hash(const ri_datom *d, uint64_t t)
{
    bool word = ri_type_is_word(d->v.type);
    uint64_t value = word ? d->v.as.u : ri_keyed_bytes(d->v.as.p, d->v.len, 0);
    const uint64_t parts[] = { d->e, (uint64_t)d->a << 8 | d->v.type, value, t };
    return ri_keyed_bytes(parts, sizeof parts, 1);
}

/* ---- rows one by one ---- */

static int open_cursor(ri_verify *v, ri_order order, rille_err *err)
{
    ri_bound start = ri_bound_all(false);
    int rc;
    ri_cursor_init(&v->cursor, v->db->store, &v->db->base->tree[order]);
    v->cursor.ahead = RI_AHEAD_ALL;
    RI_FETCHING(rc, &v->io, ri_cursor_seek(&v->cursor, &start, &v->io, err), err)
    v->walks = rc == 0;
    v->row = 0;
    return rc;
}

static int next_leaf(ri_verify *v, rille_err *err)
{
    int rc;
    ri_io_relieve(&v->io);
    RI_FETCHING(rc, &v->io, ri_cursor_next_leaf(&v->cursor, NULL, &v->io, err), err)
    v->row = rc == 0 ? 0 : v->row;
    ri_task_part();
    return rc;
}

int ri_verify_walk(ri_verify *v, ri_order order, ri_verify_visit *visit, rille_err *err)
{
    int rc = v->walks ? 0 : open_cursor(v, order, err);
    while (rc == 0) {
        const ri_node *leaf = ri_cursor_leaf(&v->cursor);
        ri_datom d;
        if (v->row == leaf->count) {
            rc = next_leaf(v, err);
            continue;
        }
        ri_node_datom(leaf, v->row, &d);
        rc = visit(v, &d, err);
        v->row += rc == 0 ? 1 : 0;
        if (rc == 0 && ri_task_pause(LOOK_UP_WORK)) {
            return RILLE_NEED;
        }
    }
    if (rc == RILLE_DONE) {
        ri_cursor_deinit(&v->cursor);
        v->walks = false;
    }
    return rc == RILLE_DONE ? 0 : rc;
}

static int missing(const ri_datom *d, const char *where, rille_err *err)
{
    return ri_fail(err, RILLE_CORRUPT, "datom of entity %llu, attribute %u, transaction %llu is not in %s",
                   (unsigned long long)d->e, d->a, (unsigned long long)d->t, where);
}

int ri_verify_expect(ri_verify *v, ri_order order, const ri_datom *d, rille_err *err)
{
    bool found = false;
    ri_datom there = { 0 };
    ri_node *leaf = NULL;
    int rc;
    RI_FETCHING(rc, &v->io,
                ri_tree_get(v->db->store, &v->db->base->tree[order], &v->db->base->root[order], d, &v->io, &found,
                            &there, &leaf, err),
                err)
    bool same = rc == 0 && found && there.t == d->t;
    ri_node_release(leaf);
    return rc != 0 || same ? rc : missing(d, ri_order_name(order), err);
}

/* ---- facts ---- */

static void ask_ahead(ri_verify *v, const ri_datom *rows, size_t count)
{
    uint64_t bytes = 0;
    size_t asked = 0;
    for (size_t i = 0; i < count && asked < AHEAD_MAX; i++) {
        if (ri_type_is_stub(rows[i].v.type)) {
            ri_noderef ref = { 0 };
            bytes += ri_stub_len(&rows[i].v);
            if (bytes > AHEAD_BYTES_MAX) {
                return;
            }
            memcpy(ref.addr, ri_stub_addr(&rows[i].v), RI_HASH_SIZE);
            (void)ri_store_prefetch(v->db->store, &ref, NULL, &v->io);
            asked++;
        }
    }
}

int ri_verify_long_value(ri_verify *v, const ri_datom *rows, size_t count, rille_err *err)
{
    const ri_datom *d = rows;
    if (!ri_type_is_stub(d->v.type)) {
        return 0;
    }
    ri_blob *blob = NULL;
    int rc;
    while ((rc = ri_store_get_blob(v->db->store, ri_stub_addr(&d->v), &v->io, &blob, err)) == RILLE_NEED) {
        ri_io_unpin(&v->io);
        ask_ahead(v, rows + 1, count - 1);
        RI_TRY(ri_io_fetch(&v->io, err));
    }
    RI_TRY(rc);
    if (blob->len != ri_stub_len(&d->v)) {
        rc = ri_fail(err, RILLE_CORRUPT, "long value of entity %llu is %zu bytes long, expected %llu",
                     (unsigned long long)d->e, blob->len, (unsigned long long)ri_stub_len(&d->v));
    }
    v->report->blobs++;
    ri_object_release(&blob->object);
    ri_task_part();
    return rc;
}

bool ri_verify_keep(ri_block *block, const ri_datom *d)
{
    ri_value copy;
    if (!RI_GROW(&block->datoms, &block->memory->heap_cap, block->count + 1) ||
        !ri_value_copy(&block->memory->arena, &d->v, &copy)) {
        return false;
    }
    block->datoms[block->count] = *d;
    block->datoms[block->count++].v = copy;
    return true;
}

static void note_id(ri_verify_facts *facts, uint64_t id)
{
    uint64_t *max = id < RI_EID_USER ? &facts->attr_max : &facts->e_max;
    if (id < RI_TX_BASE && id > *max) {
        *max = id;
    }
}

static int note_fact(ri_verify *v, const ri_datom *d, rille_err *err)
{
    ri_verify_facts *facts = &v->facts;
    uint64_t hash = ri_verify_hash(d, d->t);
    if (d->e >= RI_EID_ATTR && ri_is_schema_attr(d->a) && !ri_verify_keep(facts->schema, d)) {
        return ri_fail_nomem(err);
    }
    facts->hash_sum += ri_datom_hash(RI_EAVT, d);
    note_id(facts, d->e);
    if (d->v.type == RI_REF) {
        note_id(facts, d->v.as.u);
    }
    for (int order = RI_EAVT; order <= RI_VAET; order++) {
        if (ri_schema_in_order(v->db->schema, d->a, (ri_order)order)) {
            facts->count[order]++;
            facts->sum[order] += hash;
        }
    }
    return 0;
}

static int visit_current(void *context, const ri_datom *rows, uint32_t count, uint32_t *next, rille_err *err)
{
    ri_verify *v = context;
    while (*next < count) {
        const ri_datom *d = &rows[*next];
        RI_TRY(ri_verify_long_value(v, d, count - *next, err));
        RI_TRY(note_fact(v, d, err));
        ++*next;
        if (ri_type_is_stub(d->v.type) && ri_task_pause((size_t)ri_stub_len(&d->v) * BLOB_WORK)) {
            return RILLE_NEED;
        }
    }
    return 0;
}

static int visit_other(void *context, const ri_datom *rows, uint32_t count, uint32_t *next, rille_err *err)
{
    ri_verify *v = context;
    (void)err;
    for (; *next < count; ++*next) {
        v->facts.found[v->order] += ri_verify_hash(&rows[*next], rows[*next].t);
    }
    return 0;
}

/* ---- all trees ---- */

static int begin_tree(ri_verify *v, rille_err *err)
{
    static ri_check_visit *const visits[RI_ORDER_COUNT] = {
        [RI_EAVT] = visit_current, [RI_AEVT] = visit_other,        [RI_AVET] = visit_other,
        [RI_VAET] = visit_other,   [RI_LOG] = ri_verify_visit_log, [RI_RET] = ri_verify_visit_retired
    };
    bool is_log = v->order == RI_LOG || v->order == RI_RET;
    bool visits_log = v->db->base->keep_history;
    ri_check_options options = { .seen = &v->nodes,
                                 .visit = is_log && !visits_log ? NULL : visits[v->order],
                                 .context = v };
    RI_TRY(v->order == RI_LOG && visits_log ? ri_verify_log_begin(v, err) : 0);
    v->tree = (ri_check_report){ 0 };
    return ri_check_new(v->db->store, &v->db->base->tree[v->order], &options, &v->tree, &v->check, err);
}

static int check_tree(ri_verify *v, rille_err *err)
{
    int rc = v->check == NULL ? begin_tree(v, err) : 0;
    rc = rc == 0 ? ri_check_run(v->check, &v->io, err) : rc;
    RI_TRY(rc == 0 && v->order == RI_LOG ? ri_verify_log_end(v, err) : 0);
    if (rc < 0) {
        ri_err_prefix(err, "%s", ri_order_name(v->order));
    }
    RI_TRY(rc);
    v->report->nodes += v->tree.nodes;
    v->report->datoms += v->tree.datoms;
    v->report->bytes += v->tree.bytes;
    ri_check_release(v->check);
    v->check = NULL;
    return 0;
}

/* META comes before the log, which reads it. */
int ri_verify_trees(ri_verify *v, rille_err *err)
{
    static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET, RI_META, RI_LOG, RI_RET };
    for (; v->at < sizeof orders / sizeof *orders; v->at++) {
        v->order = orders[v->at];
        RI_TRY(check_tree(v, err));
    }
    return 0;
}

/* ---- the same facts ---- */

/* Looks up where a datom of EAVT should be: in the orders whose sums differ. */
static int look_up_fact(ri_verify *v, const ri_datom *d, rille_err *err)
{
    const ri_verify_facts *facts = &v->facts;
    for (int order = RI_AEVT; order <= RI_VAET; order++) {
        if (facts->sum[order] != facts->found[order] && ri_schema_in_order(v->db->schema, d->a, (ri_order)order)) {
            RI_TRY(ri_verify_expect(v, (ri_order)order, d, err));
        }
    }
    return 0;
}

/* The orders agree with EAVT, or which datom they lack. */
int ri_verify_sums(ri_verify *v, rille_err *err)
{
    for (int order = RI_AEVT; order <= RI_VAET; order++) {
        if (v->facts.sum[order] != v->facts.found[order]) {
            return ri_verify_walk(v, RI_EAVT, look_up_fact, err);
        }
    }
    return 0;
}

/* The base's schema is made anew of its facts. */
static int check_schema(ri_verify *v, rille_err *err)
{
    ri_schema *own = NULL;
    ri_schema *made = NULL;
    rille_db *base = NULL;
    ri_buf expected_bytes = { 0 };
    ri_buf found_bytes = { 0 };
    const ri_block *facts = v->facts.schema;
    int rc = ri_db_of_base(v->db->store, v->db->branch, v->db->base, NULL, &base, err);
    rc = rc == 0 ? ri_schema_bootstrap(v->db->base->read_flexible, &own, err) : rc;
    rc = rc == 0 ? ri_schema_apply(own, facts->datoms, facts->count, &made, NULL, err) : rc;
    if (rc == 0) {
        ri_schema_write(made, &expected_bytes);
        ri_schema_write(base->schema, &found_bytes);
        if (expected_bytes.failed || found_bytes.failed) {
            rc = ri_fail_nomem(err);
        } else if (expected_bytes.len != found_bytes.len ||
                   memcmp(expected_bytes.p, found_bytes.p, found_bytes.len) != 0) {
            rc = ri_fail(err, RILLE_CORRUPT, "the schema of the base does not match its facts");
        }
    }
    ri_buf_deinit(&expected_bytes);
    ri_buf_deinit(&found_bytes);
    ri_schema_release(made);
    ri_schema_release(own);
    ri_db_release(base);
    return rc;
}

int ri_verify_counts(ri_verify *v, rille_err *err)
{
    const ri_base *base = v->db->base;
    const ri_verify_facts *facts = &v->facts;
    for (int order = RI_EAVT; order <= RI_VAET; order++) {
        uint64_t count = base->tree[order].count;
        if (count != facts->count[order]) {
            return ri_fail(err, RILLE_CORRUPT, "%s contains %llu datoms, expected %llu", ri_order_name((ri_order)order),
                           (unsigned long long)count, (unsigned long long)facts->count[order]);
        }
        if (order != RI_EAVT && facts->sum[order] != facts->found[order]) {
            return ri_fail(err, RILLE_CORRUPT, "the datoms in %s are not those in eavt",
                           ri_order_name((ri_order)order));
        }
    }
    if (facts->e_max >= base->next_e || facts->attr_max >= base->next_attr) {
        return ri_fail(err, RILLE_CORRUPT,
                       "the base's next entity is %llu and its next attribute %llu, but %llu and %llu are already used",
                       (unsigned long long)base->next_e, (unsigned long long)base->next_attr,
                       (unsigned long long)facts->e_max, (unsigned long long)facts->attr_max);
    }
    return base->t > 0 ? check_schema(v, err) : 0;
}
