/* SPDX-License-Identifier: MIT
 *
 * How a transaction gets into a head. Three ways, by size:
 *
 *   append   the block's frame goes behind the others in the cell: one small write
 *   spill    the cell's tail would pass RI_TAIL_BYTES_MAX: all its frames, the new one included, become a segment,
 *            a blob that the base record lists; the cell starts over
 *   flush    the transaction is large, or flushes beside commits did not keep up (flusher.c), or the tail would pass
 *            SEGMENT_BYTES_MAX: the novelty is folded into the trees together with the block; the cell is a new base
 *            record
 *
 * Each ends in one compare-and-swap of the head. What was written before it and lost the race is garbage for gc, never
 * visible.
 */
#include "conn_own.h"

#include "../store/task.h"
#include "flush.h"
#include "segment.h"

#include <string.h>

#define RI_TAIL_BYTES_MAX (32U * 1024U)
#define SEGMENT_BYTES_MAX (8U * 1024U * 1024U)

typedef ri_plan plan;

void ri_plan_deinit(ri_plan *p)
{
    ri_cell_release(p->cell);
    ri_db_release(p->after);
    ri_writer_release(p->writer);
}

int ri_plan_base(ri_plan *p, const ri_base *base, rille_err *err)
{
    ri_buf body = { 0 };
    ri_buf cell = { 0 };
    ri_base_write(base, false, &body);
    ri_frame_write(&cell, RI_FRAME_BASE, body.p, body.len);
    p->cell = body.failed || cell.failed ? NULL : ri_cell_new(cell.p, cell.len);
    p->cell_len = p->tail_at = cell.len;
    p->kept_len = 0;
    ri_buf_deinit(&body);
    ri_buf_deinit(&cell);
    return p->cell == NULL ? ri_fail_nomem(err) : 0;
}

static int need_writer(plan *p, ri_store *store, rille_err *err)
{
    return p->writer != NULL ? 0 : ri_writer_new(store, &p->writer, err);
}

static int plan_flush(plan *p, const rille_db *db, const ri_flush_extra *extra, rille_err *err)
{
    ri_base *base;
    RI_TRY(need_writer(p, db->store, err));
    RI_TRY(ri_flush_build(db, extra, p->writer, &base, err));
    int rc = ri_plan_base(p, base, err);
    if (rc == 0) {
        rc = ri_db_of_base(db->store, db->branch, base, extra != NULL ? extra->schema : db->schema, &p->after, err);
    }
    ri_base_release(base);
    return rc;
}

/* The transactions in the tail, and the one that is committed. */
static int spill_blocks(const ri_seen *seen, ri_block *newest, ri_buf *segment, rille_err *err)
{
    const ri_base *base = seen->db->base;
    uint64_t before = base->segment_count > 0 ? base->segments[base->segment_count - 1].t_last : base->t;
    size_t count;
    ri_block **blocks = ri_block_list(seen->db->novelty.last, before, 1, &count);
    if (blocks == NULL) {
        return ri_fail_nomem(err);
    }
    blocks[count++] = newest;
    int rc = ri_segment_write(blocks, count, segment, err);
    ri_free(blocks);
    return rc;
}

/* The value after the commit, on another base than before. */
static int push_on(plan *p, const ri_seen *seen, const ri_tx_result *result, ri_base *base, rille_err *err)
{
    RI_TRY(ri_db_push(seen->db, result->block, result->schema, result->next_e, result->next_attr, &p->after, err));
    ri_base_release(p->after->base);
    p->after->base = ri_base_retain(base);
    return 0;
}

static int plan_spill(plan *p, const ri_seen *seen, const ri_tx_result *result, rille_err *err)
{
    ri_buf bytes = { 0 };
    ri_base *base = NULL;
    struct ri_segment segment = { .t_last = result->block->t, .packed = true };
    int rc = spill_blocks(seen, result->block, &bytes, err);
    if (rc == 0) {
        rc = need_writer(p, seen->db->store, err);
    }
    if (rc == 0) {
        rc = ri_writer_put_blob(p->writer, bytes.p, bytes.len, segment.addr, err);
    }
    if (rc == 0) {
        rc = ri_base_copy(seen->db->base, &segment, 1, &base, err);
    }
    if (rc == 0) {
        rc = ri_plan_base(p, base, err);
    }
    if (rc == 0) {
        rc = push_on(p, seen, result, base, err);
    }
    ri_base_release(base);
    ri_buf_deinit(&bytes);
    return rc;
}

/* A head of format 1 gets a base of this format before the same transactions. Programs that know format 1 alone then
 * say so. */
static int plan_convert(plan *p, const ri_seen *seen, const ri_tx_result *result, const ri_buf *frame, rille_err *err)
{
    ri_base *base;
    RI_TRY(ri_base_copy(seen->db->base, NULL, 0, &base, err));
    int rc = ri_plan_base(p, base, err);
    if (rc == 0) {
        bool good =
            ri_cell_append(&p->cell, &p->cell_len, seen->cell->bytes + seen->tail_at, seen->cell_len - seen->tail_at) &&
            ri_cell_append(&p->cell, &p->cell_len, frame->p, frame->len);
        rc = good ? push_on(p, seen, result, base, err) : ri_fail_nomem(err);
    }
    ri_base_release(base);
    return rc;
}

static int plan_append(plan *p, ri_seen *seen, const ri_tx_result *result, const ri_buf *frame, rille_err *err)
{
    p->cell = seen->cell;
    p->cell_len = p->kept_len = seen->cell_len;
    p->tail_at = seen->tail_at;
    seen->cell = NULL;
    return ri_cell_append(&p->cell, &p->cell_len, frame->p, frame->len)
               ? ri_db_push(seen->db, result->block, result->schema, result->next_e, result->next_attr, &p->after, err)
               : ri_fail_nomem(err);
}

static int put_long_values(plan *p, ri_store *store, const ri_tx_result *result, rille_err *err)
{
    for (size_t i = 0; i < result->blob_count; i++) {
        uint8_t addr[RI_HASH_SIZE];
        RI_TRY(need_writer(p, store, err));
        RI_TRY(ri_writer_put_blob(p->writer, result->blobs[i].bytes, result->blobs[i].len, addr, err));
    }
    return 0;
}

int ri_conn_refuse_tag(const rille_db *db, rille_err *err)
{
    return !db->base->is_tag
               ? 0
               : ri_fail(err, RILLE_MISUSE, "%s is a tag and cannot change: commit to a branch", db->branch);
}

/* A transaction that is large goes straight to the trees. So does what finds no place, when flushes beside commits were
 * too slow or failed, or were not wanted. */
static bool is_full(const rille_conn *conn, const rille_db *db, size_t datoms)
{
    return datoms >= ri_conn_novelty_limit(conn, db) ||
           db->novelty.datom_count + datoms > ri_conn_novelty_max(conn, db) ||
           db->base->segment_count >= RI_SEGMENTS_MAX - 1;
}

static int make_plan(rille_conn *conn, plan *p, ri_seen *seen, const ri_tx_result *result, rille_err *err)
{
    const rille_db *db = seen->db;
    ri_block *block = result->block;
    RI_TRY(ri_conn_refuse_tag(db, err));
    RI_TRY(put_long_values(p, db->store, result, err));
    p->flushes = is_full(conn, db, block->count);
    block->claims_flush = !p->flushes && ri_conn_flush_due(conn, db, block->count);
    ri_buf frame = { 0 };
    int rc = p->flushes ? 0 : ri_block_write(block, &conn->encoder, &frame, err);
    size_t tail = seen->cell_len - seen->tail_at + frame.len;
    p->flushes = p->flushes || tail > SEGMENT_BYTES_MAX;
    if (rc == 0 && p->flushes) {
        ri_flush_extra extra = { block, result->schema, result->next_e, result->next_attr };
        rc = plan_flush(p, db, &extra, err);
    } else if (rc == 0) {
        rc = tail > RI_TAIL_BYTES_MAX                ? plan_spill(p, seen, result, err)
             : db->base->format != RI_FORMAT_VERSION ? plan_convert(p, seen, result, &frame, err)
                                                     : plan_append(p, seen, result, &frame, err);
    }
    if (rc == 0 && !p->flushes && p->writer != NULL) {
        rc = ri_writer_seal(p->writer, err);
    }
    ri_buf_deinit(&frame);
    return rc;
}

void ri_conn_snapshot(rille_conn *conn, ri_seen *out)
{
    ri_mutex_lock(&conn->state);
    *out = conn->seen;
    ri_refs_take(&out->cell->refs);
    (void)ri_db_retain(out->db);
    ri_mutex_unlock(&conn->state);
}

int ri_conn_swap(rille_conn *conn, const ri_seen *from, ri_plan *p, rille_err *err)
{
    rille_head_swap swap = { .branch = conn->branch,
                             .expected = from->revision,
                             .cell = p->cell->bytes,
                             .cell_len = p->cell_len,
                             .kept_len = p->kept_len,
                             .durable = conn->durability != RI_DURABLE_NONE };
    rille_revision revision = { { 0 } };
    RI_TRY(ri_store_head_swap(conn->store, &swap, p->writer, &revision, err));
    ri_seen fresh = { ri_db_retain(p->after), p->cell, p->cell_len, p->cell_len, p->tail_at, revision };
    p->cell = NULL;
    ri_conn_see(conn, &fresh);
    return 0;
}

void ri_report_deinit(ri_report *report)
{
    ri_db_release(report->before);
    ri_db_release(report->after);
    ri_tx_result_deinit(&report->tx);
    *report = (ri_report){ 0 };
}

int ri_conn_begin(rille_conn *conn, ri_tx **out, rille_err *err)
{
    rille_db *db;
    *out = NULL;
    RI_TRY(ri_conn_db(conn, &db, err));
    int rc = ri_tx_new(db, out, err);
    ri_db_release(db);
    return rc;
}

static int resolve(ri_tx *tx, ri_tx_result *out, rille_err *err)
{
    ri_io io = { 0 };
    int64_t now = ri_clock_ms();
    int rc;
    RI_FETCHING(rc, &io, ri_tx_resolve(tx, now, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

static uint64_t new_attempt(rille_conn *conn)
{
    uint64_t id = ri_random_word(&conn->random);
    return id != 0 ? id : 1;
}

/* The same value, perhaps on another base: a flush does not make a transaction begin again. */
static bool same_value(const rille_db *a, const rille_db *b)
{
    return a == b || (a->t == b->t && memcmp(a->commit, b->commit, RI_HASH_SIZE) == 0 &&
                      memcmp(a->base->db_id, b->base->db_id, sizeof a->base->db_id) == 0);
}

struct ri_commit {
    plan plan;
    ri_seen from;
    ri_report report;
    bool planned;
    bool is_unsure; /* a swap had an unknown outcome */
};

#define SWAP_TRIES_MAX 8

static void commit_deinit(ri_commit *c)
{
    ri_report_deinit(&c->report);
    ri_plan_deinit(&c->plan);
    ri_seen_deinit(&c->from);
}

void ri_commit_release(ri_commit *c)
{
    if (c != NULL) {
        commit_deinit(c);
        ri_free(c);
    }
}

/* The head is not what was expected: because of an earlier try of the same swap? Then it is done. */
static int find_attempt(rille_conn *conn, const ri_block *block, rille_err *err)
{
    uint64_t t = 0;
    int rc;
    ri_io io = { 0 };
    RI_TRY(ri_conn_refresh(conn, err));
    rille_db *db = ri_conn_seen_db(conn);
    RI_FETCHING(rc, &io, ri_db_attempt(db, block->attempt, &io, &t, err), err)
    ri_io_deinit(&io);
    ri_db_release(db);
    return rc != 0 ? rc : t == block->t ? 0 : RILLE_CONFLICT;
}

/* A reply that was lost is no commit that was lost: the same swap is sent again, until the head says who was first. */
static int swap_surely(rille_conn *conn, ri_commit *c, rille_err *err)
{
    int rc = ri_conn_swap(conn, &c->from, &c->plan, err);
    for (int tries = 1; rc == RILLE_UNKNOWN && tries < SWAP_TRIES_MAX; tries++) {
        c->is_unsure = true;
        rc = ri_conn_swap(conn, &c->from, &c->plan, err);
    }
    if (rc == RILLE_CONFLICT && c->is_unsure) {
        rc = find_attempt(conn, c->report.tx.block, err);
    }
    return rc != RILLE_UNKNOWN ? rc
                               : ri_fail(err, RILLE_IO,
                                         "the storage does not say whether the transaction was committed: read the "
                                         "database before you repeat it");
}

/* The writer's lock is held. */
static int plan_and_swap(rille_conn *conn, ri_tx *tx, ri_commit *c, rille_err *err)
{
    if (!c->planned) {
        ri_conn_snapshot(conn, &c->from);
        c->report.tx.block->attempt = new_attempt(conn);
        if (!same_value(c->from.db, ri_tx_db(tx))) {
            return RILLE_CONFLICT;
        }
        RI_TRY(make_plan(conn, &c->plan, &c->from, &c->report.tx, err));
        c->planned = true;
    }
    return swap_surely(conn, c, err);
}

/* The swap is under way. The lock is let go, and so others may write behind what the cell shares with them. */
static int keep_commit(ri_commit *c, ri_commit **kept, rille_err *err)
{
    ri_cell *own = ri_cell_new(c->plan.cell->bytes, c->plan.cell_len);
    ri_commit *copy = own == NULL ? NULL : ri_alloc(sizeof *copy);
    if (copy == NULL) {
        ri_cell_release(own);
        ri_task_withdraw(ri_task_running()); /* or it would be swapped, and then committed again */
        return ri_fail_nomem(err);
    }
    ri_cell_release(c->plan.cell);
    c->plan.cell = own;
    *copy = *c;
    *c = (ri_commit){ 0 };
    *kept = copy;
    ri_task_keep(ri_task_running());
    return RILLE_NEED;
}

static void give_report(rille_conn *conn, const ri_tx *tx, ri_commit *c, ri_report *out)
{
    if (c->report.tx.block->claims_flush && !c->plan.flushes) {
        ri_conn_begin_flush(conn, c->plan.after);
    }
    ri_conn_pay(conn, c->report.tx.block->count);
    *out = c->report;
    c->report = (ri_report){ 0 };
    out->before = ri_db_retain((rille_db *)ri_tx_db(tx));
    out->after = c->plan.after;
    c->plan.after = NULL;
}

int ri_conn_commit_step(rille_conn *conn, ri_tx *tx, ri_commit **kept, ri_report *out, rille_err *err)
{
    ri_commit fresh = { 0 };
    ri_commit *c = kept != NULL && *kept != NULL ? *kept : &fresh;
    *out = (ri_report){ 0 };
    if (!c->planned) {
        RI_TRY(resolve(tx, &c->report.tx, err));
        ri_conn_pace(conn, ri_tx_db(tx), c->report.tx.block->count);
    }
    ri_mutex_lock(&conn->writer);
    int rc = plan_and_swap(conn, tx, c, err);
    if (rc == RILLE_NEED && kept != NULL && c == &fresh && c->planned) {
        rc = keep_commit(c, kept, err);
    }
    ri_mutex_unlock(&conn->writer);
    if (rc == 0) {
        give_report(conn, tx, c, out);
    }
    if (c == &fresh) {
        commit_deinit(c);
    } else if (rc != RILLE_NEED) {
        ri_commit_release(c);
        *kept = NULL;
    }
    if (rc < 0) {
        ri_err_prefix(err, "%s", ri_conn_url(conn));
    }
    return rc;
}

int ri_conn_commit(rille_conn *conn, ri_tx *tx, ri_report *out, rille_err *err)
{
    return ri_conn_commit_step(conn, tx, NULL, out, err);
}

int ri_conn_busy(const rille_conn *conn, rille_err *err)
{
    return ri_fail(err, RILLE_BUSY, "%s: gave up after %d attempts because other writers kept committing first",
                   ri_conn_url(conn), RI_COMMIT_TRIES_MAX);
}

static int transact_form(rille_conn *conn, const ri_form *form, ri_report *out, rille_err *err)
{
    for (int tries = 0; tries < RI_COMMIT_TRIES_MAX; tries++) {
        ri_tx *tx;
        RI_TRY(ri_conn_begin(conn, &tx, err));
        int rc = ri_tx_fill_edn(tx, form, err);
        if (rc == 0) {
            rc = ri_conn_commit(conn, tx, out, err);
        }
        ri_tx_release(tx);
        if (rc != RILLE_CONFLICT) {
            return rc;
        }
    }
    return ri_conn_busy(conn, err);
}

int ri_conn_transact_edn(rille_conn *conn, const char *text, size_t len, ri_report *out, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_form form;
    *out = (ri_report){ 0 };
    int rc = ri_edn_read(&arena, text, len, &form, err);
    if (rc == 0) {
        rc = transact_form(conn, &form, out, err);
    }
    ri_arena_deinit(&arena);
    out->tx.tempids = NULL; /* they went with the transaction */
    out->tx.tempid_count = 0;
    return rc;
}

/* The contents of long values go with the block: no store has them. */
static int keep_long_values(ri_block *block, const ri_tx_result *result, rille_err *err)
{
    block->blobs = ri_arena_array(&block->arena, result->blob_count, sizeof *block->blobs);
    if (block->blobs == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < result->blob_count; i++) {
        const struct ri_long_value *content = &result->blobs[i];
        ri_blob *blob = ri_blob_new(content->len);
        if (blob == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(blob->bytes, content->bytes, content->len);
        memcpy(block->blobs[i].addr, content->addr, RI_HASH_SIZE);
        block->blobs[block->blob_count++].blob = blob;
    }
    return 0;
}

int ri_db_with(ri_tx *tx, ri_report *out, rille_err *err)
{
    const rille_db *db = ri_tx_db(tx);
    *out = (ri_report){ 0 };
    RI_TRY(resolve(tx, &out->tx, err));
    int rc = keep_long_values(out->tx.block, &out->tx, err);
    if (rc == 0) {
        rc = ri_db_push(db, out->tx.block, out->tx.schema, out->tx.next_e, out->tx.next_attr, &out->after, err);
    }
    if (rc != 0) {
        ri_report_deinit(out);
        return rc;
    }
    out->after->speculative = true;
    out->before = ri_db_retain((rille_db *)db);
    return 0;
}
