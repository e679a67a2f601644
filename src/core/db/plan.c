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
 *
 * It is planned in stages, which may pause.
 */
#include "commit_own.h"

#include <string.h>

#define RI_TAIL_BYTES_MAX (32U * 1024U)
#define SEGMENT_BYTES_MAX (8U * 1024U * 1024U)

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

static int need_writer(ri_plan *p, ri_store *store, rille_err *err)
{
    return p->writer != NULL ? 0 : ri_writer_new(store, &p->writer, err);
}

#define LEAF_WORK ((size_t)RI_BLOCK_ROWS * 48) /* of encoding one */
#define FLUSH_STEP_WORK RI_TASK_WORK
#define BLOB_SLICE (RI_TASK_WORK / 4)

/* ---- stages of a plan ---- */

/* RILLE_NEED: it is put in part, and no other one comes before it. */
static int put_blob(ri_commit *c, const uint8_t *bytes, size_t len, uint8_t addr[RI_HASH_SIZE], rille_err *err)
{
    int rc;
    while ((rc = ri_writer_put_blob_step(c->plan.writer, bytes, len, addr, err)) == RILLE_AGAIN) {
        if (ri_task_pause(RI_TASK_WORK)) {
            return RILLE_NEED;
        }
    }
    return rc;
}

static int put_long_values(rille_conn *conn, ri_commit *c, rille_err *err)
{
    const ri_tx_result *result = &c->report.tx;
    RI_TRY(ri_conn_refuse_tag(c->from.db, err));
    while (c->blobs_put < result->blob_count) {
        uint8_t addr[RI_HASH_SIZE];
        const struct ri_long_value *blob = &result->blobs[c->blobs_put];
        RI_TRY(need_writer(&c->plan, conn->store, err));
        RI_TRY(put_blob(c, blob->bytes, blob->len, addr, err));
        c->blobs_put++;
        if (ri_task_pause(4 * (blob->len < BLOB_SLICE ? blob->len : BLOB_SLICE))) {
            return RILLE_NEED;
        }
    }
    return 0;
}

/* A transaction that is large goes straight to the trees. So does what finds no place, when flushes beside commits were
 * too slow or failed, or were not wanted. */
static bool is_full(const rille_conn *conn, const rille_db *db, size_t datoms)
{
    return datoms >= ri_conn_novelty_limit(conn, db) ||
           db->novelty.datom_count + datoms > ri_conn_novelty_max(conn, db) ||
           db->base->segment_count >= RI_SEGMENTS_MAX - 1;
}

/* RILLE_CONFLICT: others committed. What this process has under way is not looked at. */
static int look_at_head(rille_conn *conn, const ri_commit *c, rille_err *err)
{
    rille_db *tip = ri_bundle_db(conn);
    ri_db_release(tip);
    RI_TRY(tip == NULL ? ri_conn_refresh(conn, err) : 0);
    rille_db *now = ri_conn_seen_db(conn);
    bool moved = tip == NULL && now->t != c->from.db->t;
    ri_db_release(now);
    return moved ? RILLE_CONFLICT : 0;
}

static int choose(rille_conn *conn, ri_commit *c, rille_err *err)
{
    ri_block *block = c->report.tx.block;
    c->plan.flushes = is_full(conn, c->from.db, block->count);
    if (c->plan.flushes && c->is_guess) { /* much work for a race that may be lost already */
        RI_TRY(look_at_head(conn, c, err));
    }
    block->claims_flush = !c->plan.flushes && ri_conn_flush_due(conn, c->from.db, block->count);
    return 0;
}

/* Most frames are small: their memory serves the next one. */
static void give_frame_back(rille_conn *conn, ri_commit *c)
{
    enum { FRAME_KEPT_MAX = 4096 };
    if (conn->frame.p == NULL && c->frame.cap <= FRAME_KEPT_MAX) {
        ri_buf_clear(&c->frame);
        conn->frame = c->frame;
        c->frame = (ri_buf){ 0 };
    }
}

static int write_frame(rille_conn *conn, ri_commit *c, rille_err *err)
{
    if (c->frame.p == NULL) {
        c->frame = conn->frame;
        conn->frame = (ri_buf){ 0 };
    }
    int rc = c->plan.flushes ? 0 : RILLE_AGAIN;
    while (rc == RILLE_AGAIN) {
        rc = ri_block_write_step(&c->frame_writer, c->report.tx.block, &conn->encoder, &c->frame, err);
        if (rc == RILLE_AGAIN && ri_task_pause(LEAF_WORK)) {
            return RILLE_NEED;
        }
    }
    return rc;
}

static size_t tail_len(const ri_commit *c)
{
    return c->from.cell_len - c->from.tail_at + c->frame.len;
}

static bool spills(const ri_commit *c)
{
    return !c->plan.flushes && tail_len(c) > RI_TAIL_BYTES_MAX;
}

/* The transactions in the tail, and the one that is committed. */
static int list_blocks(ri_commit *c, rille_err *err)
{
    const ri_base *base = c->from.db->base;
    uint64_t before = base->segment_count > 0 ? base->segments[base->segment_count - 1].t_last : base->t;
    c->blocks = ri_block_list(c->from.db->novelty.last, before, 1, &c->block_count);
    if (c->blocks == NULL) {
        return ri_fail_nomem(err);
    }
    c->blocks[c->block_count++] = c->report.tx.block;
    return 0;
}

static int write_segment(rille_conn *conn, ri_commit *c, rille_err *err)
{
    c->plan.flushes = c->plan.flushes || tail_len(c) > SEGMENT_BYTES_MAX;
    int rc = spills(c) ? RILLE_AGAIN : 0;
    if (rc == RILLE_AGAIN && c->blocks == NULL) {
        RI_TRY(list_blocks(c, err));
    }
    while (rc == RILLE_AGAIN) {
        rc = ri_segment_write_step(&c->segment_writer, c->blocks, c->block_count, &conn->encoder, &c->segment, err);
        if (rc == RILLE_AGAIN && ri_task_pause(LEAF_WORK)) {
            return RILLE_NEED;
        }
    }
    return rc;
}

static int put_segment(rille_conn *conn, ri_commit *c, rille_err *err)
{
    if (!spills(c)) {
        return 0;
    }
    RI_TRY(need_writer(&c->plan, conn->store, err));
    return put_blob(c, c->segment.p, c->segment.len, c->segment_addr, err);
}

static int build_base(rille_conn *conn, ri_commit *c, rille_err *err)
{
    const ri_tx_result *result = &c->report.tx;
    if (!c->plan.flushes) {
        return 0;
    }
    if (c->flush == NULL) {
        ri_flush_extra extra = { result->block, result->schema, result->next_e, result->next_attr };
        RI_TRY(need_writer(&c->plan, conn->store, err));
        RI_TRY(ri_flush_new(c->from.db, &extra, c->plan.writer, &c->flush, err));
    }
    int rc;
    while ((rc = ri_flush_step(c->flush, err)) == RILLE_AGAIN) {
        ri_task_part();
        if (ri_task_pause(FLUSH_STEP_WORK)) {
            return RILLE_NEED;
        }
    }
    return rc;
}

/* The value after the commit, on another base than before. */
static int push_on(ri_plan *p, const ri_seen *seen, const ri_tx_result *result, ri_base *base, rille_err *err)
{
    RI_TRY(ri_db_push(seen->db, result->block, result->schema, result->next_e, result->next_attr, &p->after, err));
    ri_base_release(p->after->base);
    p->after->base = ri_base_retain(base);
    return 0;
}

static int plan_spill(ri_plan *p, const ri_seen *seen, const ri_tx_result *result, const uint8_t addr[RI_HASH_SIZE],
                      rille_err *err)
{
    ri_base *base = NULL;
    struct ri_segment segment = { .t_last = result->block->t, .packed = true };
    memcpy(segment.addr, addr, RI_HASH_SIZE);
    int rc = ri_base_copy(seen->db->base, &segment, 1, &base, err);
    if (rc == 0) {
        rc = ri_plan_base(p, base, err);
    }
    if (rc == 0) {
        rc = push_on(p, seen, result, base, err);
    }
    ri_base_release(base);
    return rc;
}

static int plan_flush(ri_plan *p, const rille_db *db, const ri_schema *schema, ri_flush *flush, rille_err *err)
{
    ri_base *base = ri_flush_take_base(flush);
    int rc = ri_plan_base(p, base, err);
    if (rc == 0) {
        rc = ri_db_of_base(db->store, db->branch, base, schema, &p->after, err);
    }
    ri_base_release(base);
    return rc;
}

/* A head of format 1 gets a base of this format before the same transactions. Programs that know format 1 alone then
 * say so. */
static int plan_convert(ri_plan *p, const ri_seen *seen, const ri_tx_result *result, const ri_buf *frame,
                        rille_err *err)
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

static int plan_append(ri_plan *p, ri_seen *seen, const ri_tx_result *result, const ri_buf *frame, rille_err *err)
{
    p->cell = seen->cell;
    p->cell_len = p->kept_len = seen->cell_len;
    p->tail_at = seen->tail_at;
    seen->cell = NULL;
    return ri_cell_append(&p->cell, &p->cell_len, frame->p, frame->len)
               ? ri_db_push(seen->db, result->block, result->schema, result->next_e, result->next_attr, &p->after, err)
               : ri_fail_nomem(err);
}

int ri_conn_refuse_tag(const rille_db *db, rille_err *err)
{
    return !db->base->is_tag
               ? 0
               : ri_fail(err, RILLE_MISUSE, "%s is a tag and cannot change: commit to a branch", db->branch);
}

/* What the head is to become, from what the stages before made. */
static int place(rille_conn *conn, ri_commit *c, rille_err *err)
{
    const ri_tx_result *result = &c->report.tx;
    const rille_db *db = c->from.db;
    ri_plan *p = &c->plan;
    RI_TRY(p->flushes                              ? plan_flush(p, db, result->schema, c->flush, err)
           : spills(c)                             ? plan_spill(p, &c->from, result, c->segment_addr, err)
           : db->base->format != RI_FORMAT_VERSION ? plan_convert(p, &c->from, result, &c->frame, err)
                                                   : plan_append(p, &c->from, result, &c->frame, err));
    give_frame_back(conn, c);
    return !p->flushes && p->writer != NULL ? ri_writer_seal(p->writer, err) : 0;
}

static int (*const stages[])(rille_conn *conn, ri_commit *c,
                             rille_err *err) = { put_long_values, choose,     write_frame, write_segment,
                                                 put_segment,     build_base, place };
enum { STAGES = sizeof stages / sizeof *stages };

void ri_commit_free_plan(ri_commit *c)
{
    ri_flush_release(c->flush);
    ri_free(c->blocks);
    ri_buf_deinit(&c->segment);
    ri_buf_deinit(&c->frame);
    ri_plan_deinit(&c->plan);
    ri_seen_deinit(&c->from);
}

/* The next plan may be made on the same transactions as other blocks, as two threads that read the same head make them,
 * or behind another base. */
void ri_commit_drop_plan(ri_commit *c)
{
    ri_commit_free_plan(c);
    if (c->report.tx.block != NULL) {
        ri_block_unlink(c->report.tx.block);
    }
    *c = (ri_commit){ .report = c->report, .resolved = c->resolved };
}

int ri_commit_plan(rille_conn *conn, ri_commit *c, rille_err *err)
{
    while (c->stage < STAGES) {
        RI_TRY(stages[c->stage](conn, c, err));
        c->stage++;
    }
    return 0;
}
