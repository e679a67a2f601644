/* SPDX-License-Identifier: MIT */
#include "head.h"

#include "../store/task.h"
#include "segment.h"

#include <string.h>

/* ---- values ---- */

static void move_basis(rille_db *db, const ri_block *block)
{
    db->t = block->t;
    db->instant = block->instant;
    memcpy(db->commit, block->commit, RI_HASH_SIZE);
}

int ri_db_fork(const rille_db *db, rille_db **out, rille_err *err)
{
    *out = NULL;
    rille_db *copy = ri_alloc_zero(sizeof *copy);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    ri_refs_init(&copy->refs);
    copy->store = ri_store_retain(db->store);
    copy->base = ri_base_retain(db->base);
    copy->schema = ri_schema_retain(db->schema);
    ri_novelty_copy(&db->novelty, &copy->novelty);
    copy->t = db->t;
    copy->instant = db->instant;
    memcpy(copy->commit, db->commit, RI_HASH_SIZE);
    copy->next_e = db->next_e;
    copy->next_attr = db->next_attr;
    copy->speculative = db->speculative;
    memcpy(copy->branch, db->branch, sizeof copy->branch);
    *out = copy;
    return 0;
}

int ri_db_push(const rille_db *db, ri_block *block, ri_schema *schema, uint64_t next_e, uint64_t next_attr,
               rille_db **out, rille_err *err)
{
    rille_db *next;
    *out = NULL;
    RI_TRY(ri_db_fork(db, &next, err));
    ri_schema_release(next->schema);
    next->schema = ri_schema_retain(schema);
    ri_novelty_add(&next->novelty, block, schema);
    move_basis(next, block);
    next->next_e = next_e;
    next->next_attr = next_attr;
    *out = next;
    return 0;
}

/* A block's values are of their attributes' types, so that VAET holds refs only, and so on. */
static int check_types(const ri_block *block, const ri_schema *schema, rille_err *err)
{
    const ri_attr *attr = NULL;
    uint32_t known = 0;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (d->a != known) {
            known = d->a;
            attr = ri_schema_attr_by_id(schema, d->a);
        }
        if (attr != NULL && !ri_attr_fits(attr, d->v.type)) {
            return ri_fail(err, RILLE_CORRUPT, "transaction %llu has attribute :%s, a %s, with a value of type %s",
                           (unsigned long long)block->t, attr->ident, ri_type_name(attr->type),
                           ri_type_name(d->v.type));
        }
    }
    return 0;
}

/* Counts on from an id that is used. */
static void count_id(rille_db *db, uint64_t e)
{
    if (e >= RI_EID_USER && e < RI_TX_BASE) {
        db->next_e = e >= db->next_e ? e + 1 : db->next_e;
    } else if (e >= RI_EID_ATTR && e < RI_EID_USER && e >= db->next_attr) {
        db->next_attr = e + 1;
    }
}

/* One look at all datoms: their ids are counted. *fit: all values are of the types that the schema before gives. */
static int replay_datoms(rille_db *db, const ri_block *block, bool *has_schema, bool *fit, rille_err *err)
{
    const ri_attr *attr = NULL;
    uint32_t a = 0;
    uint64_t e = 0;
    *has_schema = false;
    *fit = true;
    for (const ri_datom *d = block->datoms, *end = d + block->count; d < end; d++) {
        if (d->e != e) {
            e = d->e;
            count_id(db, e);
        }
        if (d->a != a) {
            a = d->a;
            attr = ri_schema_attr_by_id(db->schema, a);
            *has_schema = *has_schema || ri_is_schema_attr(a);
        }
        if (attr != NULL && d->v.type != attr->type && !ri_attr_fits(attr, d->v.type)) {
            *fit = false;
        }
        if (d->v.type == RI_REF && d->v.as.u >= db->next_e && d->v.as.u < RI_TX_BASE) {
            db->next_e = d->v.as.u + 1; /* an id that a user chose and only referred to so far: tx.c counts it, too */
        }
    }
    return e <= block->t /* the last one is the greatest */
               ? 0
               : ri_fail(err, RILLE_CORRUPT, "transaction %llu has a fact about transaction %llu, which is later",
                         (unsigned long long)block->t, (unsigned long long)e);
}

int ri_db_replay(rille_db *db, ri_block *block, rille_err *err)
{
    if (block->t <= db->t) {
        return ri_fail(err, RILLE_CORRUPT, "transaction %llu comes after transaction %llu",
                       (unsigned long long)block->t, (unsigned long long)db->t);
    }
    if (db->t != 0 && block->t != db->t + 1) { /* ids of transactions are counted one by one, and not left out */
        return ri_fail(err, RILLE_CORRUPT, "transaction %llu comes right after transaction %llu",
                       (unsigned long long)block->t, (unsigned long long)db->t);
    }
    bool has_schema;
    bool fit;
    RI_TRY(replay_datoms(db, block, &has_schema, &fit, err));
    if (has_schema && block->t != RI_TX_BASE) {
        ri_schema *schema;
        RI_TRY(ri_schema_apply(db->schema, block->datoms, block->count, &schema, NULL, err));
        ri_schema_release(db->schema);
        db->schema = schema;
    }
    RI_TRY(has_schema || !fit ? check_types(block, db->schema, err) : 0);
    ri_novelty_add(&db->novelty, block, db->schema);
    move_basis(db, block);
    return 0;
}

/* ---- values of other bases ---- */

/* The block of transaction t in the novelty, or NULL. */
static ri_block *find_block(const rille_db *db, uint64_t t)
{
    ri_block *block = db->novelty.last;
    while (block != NULL && block->t > t) {
        block = block->prev;
    }
    return block != NULL && block->t == t ? block : NULL;
}

/* Replays what follows `after` in db's novelty. */
static int replay_blocks(rille_db *out, const rille_db *db, uint64_t after, rille_err *err)
{
    size_t count;
    ri_block **blocks = ri_block_list(db->novelty.last, after, 0, &count);
    if (blocks == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        ri_block *view = ri_block_view(blocks[i]);
        rc = view == NULL ? ri_fail_nomem(err) : ri_db_replay(out, view, err);
        ri_block_release(view);
    }
    ri_free(blocks);
    return rc;
}

int ri_db_follow(const rille_db *older, const rille_db *newer, ri_base *base, rille_db **out, rille_err *err)
{
    *out = NULL;
    rille_db *next = NULL;
    RI_TRY(ri_db_fork(older, &next, err));
    ri_base_release(next->base);
    next->base = ri_base_retain(base);
    int rc = replay_blocks(next, newer, older->t, err);
    if (rc != 0) {
        ri_db_release(next);
        return rc;
    }
    *out = next;
    return 0;
}

int ri_db_on_base(const rille_db *db, ri_base *base, const ri_schema *schema, rille_db **out, rille_err *err)
{
    *out = NULL;
    if (base->t == db->base->t) {
        return ri_db_follow(db, db, base, out, err);
    }
    rille_db *first = NULL;
    RI_TRY(ri_db_of_base(db->store, db->branch, base, schema, &first, err));
    int rc = ri_db_follow(first, db, base, out, err);
    ri_db_release(first);
    return rc;
}

bool ri_db_has_commit(const rille_db *db, uint64_t t, const uint8_t commit[RI_HASH_SIZE])
{
    const ri_block *block = find_block(db, t);
    const uint8_t *own = block != NULL ? block->commit : t == db->base->t ? db->base->commit : NULL;
    return own != NULL && memcmp(own, commit, RI_HASH_SIZE) == 0;
}

/* ---- replaying a head ---- */

/* What comes first may be there already: from before a flush that others committed beside, or in a value that is brought
 * up to date. */
typedef struct replay {
    rille_db *db;
    bool begun; /* something was replayed: from here on every transaction must be new */
    bool met;   /* the head is known to go on from the very transaction that db began with */
} replay;

/* RILLE_CONFLICT: the head has another transaction of this t than the value. */
static int passes_over(replay *r, uint64_t t, const uint8_t commit[RI_HASH_SIZE], bool *out)
{
    *out = !r->begun && r->db->t != 0 && t <= r->db->t;
    if (*out && t == r->db->t) {
        r->met = memcmp(commit, r->db->commit, RI_HASH_SIZE) == 0;
        return r->met ? 0 : RILLE_CONFLICT;
    }
    return 0;
}

static int replay_frame(replay *r, ri_frame_kind kind, const uint8_t *body, size_t len, rille_err *err)
{
    uint64_t t;
    const uint8_t *commit;
    bool over = false;
    if (ri_block_peek(kind, body, len, &t, &commit)) {
        int rc = passes_over(r, t, commit, &over);
        if (rc != 0 || over) {
            return rc;
        }
    }
    ri_block *block;
    RI_TRY(ri_block_read(kind, body, len, r->db->t == 0 ? NULL : r->db->commit, &block, err));
    int rc = ri_db_replay(r->db, block, err);
    ri_block_release(block);
    r->begun = r->met = true; /* the commit id covers the one before */
    return rc;
}

static int replay_frames(replay *r, bool only_1, const uint8_t *bytes, size_t len, size_t *pos, rille_err *err)
{
    ri_frame_kind kind;
    const uint8_t *body;
    size_t body_len;
    int rc;
    while ((rc = ri_frame_next(bytes, len, pos, &kind, &body, &body_len, err)) == 0) {
        if (kind == RI_FRAME_BASE) {
            return ri_fail(err, RILLE_CORRUPT, "the branch head has a second base record at byte %zu", *pos);
        }
        if (only_1 && kind != RI_FRAME_TX1) {
            return ri_fail(err, RILLE_CORRUPT, "the branch head has a transaction of a newer format at byte %zu", *pos);
        }
        rc = replay_frame(r, kind, body, body_len, err);
        if (rc != 0) {
            return rc;
        }
    }
    return rc == RILLE_DONE ? 0 : rc;
}

int ri_head_replay(rille_db *db, const uint8_t *bytes, size_t len, size_t *pos, rille_err *err)
{
    replay r = { db, true, true };
    return replay_frames(&r, db->base->format == 1, bytes, len, pos, err);
}

static int replay_packed_block(replay *r, ri_block *block, rille_err *err)
{
    bool over;
    int rc = passes_over(r, block->t, block->commit, &over);
    if (rc != 0 || over) {
        return rc;
    }
    if (!r->met && ri_block_commit_rule(block, r->db->t == 0 ? NULL : r->db->commit) == 0) {
        return RILLE_CONFLICT;
    }
    r->begun = r->met = true;
    return ri_db_replay(r->db, block, err);
}

/* A head that is being opened, or brought up to date. */
typedef struct opening {
    replay r;                  /* its db is a reference */
    uint32_t segment;          /* the next one */
    ri_segment_reader *reader; /* of it; NULL: not begun, or it is read */
    ri_block **blocks;         /* then */
    size_t block_count;
    size_t block; /* the next one */
    size_t valid_len;
    bool done;
} opening;

static void opening_release(void *state)
{
    opening *o = state;
    ri_segment_reader_release(o->reader);
    ri_blocks_release(o->blocks, o->block_count);
    ri_db_release(o->r.db);
    ri_free(o);
}

#define DATOM_WORK 16U /* of one that is read, and of one that is replayed */

static int truncated(const struct ri_segment *segment, rille_err *err)
{
    return ri_fail(err, RILLE_CORRUPT, "the segment of the branch head up to transaction %llu is truncated",
                   (unsigned long long)segment->t_last);
}

static int read_packed(opening *o, rille_err *err)
{
    int rc;
    while ((rc = ri_segment_read_step(o->reader, &o->blocks, &o->block_count, err)) == RILLE_AGAIN) {
        if (ri_task_pause((size_t)RI_BLOCK_ROWS * DATOM_WORK)) {
            return RILLE_NEED;
        }
    }
    ri_segment_reader_release(o->reader);
    o->reader = NULL;
    o->block = 0;
    return rc;
}

static int replay_segment_blocks(opening *o, rille_err *err)
{
    while (o->block < o->block_count) {
        const ri_block *block = o->blocks[o->block];
        size_t work = block->count * DATOM_WORK;
        RI_TRY(replay_packed_block(&o->r, o->blocks[o->block], err));
        o->block++;
        if (ri_task_pause(work < RI_TASK_WORK ? work : RI_TASK_WORK)) {
            return RILLE_NEED;
        }
    }
    ri_blocks_release(o->blocks, o->block_count);
    o->blocks = NULL;
    o->block_count = 0;
    return 0;
}

/* Reads it first, if that has not begun. */
static int replay_segment(opening *o, const struct ri_segment *segment, ri_io *io, rille_err *err)
{
    replay *r = &o->r;
    int rc = 0;
    if (o->reader == NULL && o->blocks == NULL) {
        ri_blob *blob = NULL;
        size_t pos = 0;
        RI_FETCHING(rc, io, ri_store_get_blob(r->db->store, segment->addr, io, &blob, err), err)
        RI_TRY(rc);
        rc = segment->packed ? ri_segment_reader_new(blob, r->begun ? 0 : r->db->t, &o->reader, err)
                             : replay_frames(r, true, blob->bytes, blob->len, &pos, err);
        bool is_cut = !segment->packed && pos != blob->len;
        ri_object_release(&blob->object);
        RI_TRY(rc);
        if (is_cut) {
            return truncated(segment, err);
        }
    }
    RI_TRY(o->reader != NULL ? read_packed(o, err) : 0);
    RI_TRY(replay_segment_blocks(o, err));
    return r->db->t == segment->t_last ? 0 : truncated(segment, err);
}

/* The segments from o->segment on, asked for at once, then replayed in order. RILLE_NEED: what was replayed is kept. */
static int replay_segments(opening *o, rille_err *err)
{
    const rille_db *db = o->r.db;
    const ri_base *base = db->base;
    ri_io io = { 0 };
    int rc = 0;
    for (uint32_t i = o->segment; i < base->segment_count; i++) {
        ri_noderef ref = { 0 };
        memcpy(ref.addr, base->segments[i].addr, RI_HASH_SIZE);
        (void)ri_store_prefetch(db->store, &ref, NULL, &io);
    }
    while (rc == 0 && o->segment < base->segment_count) {
        rc = replay_segment(o, &base->segments[o->segment], &io, err);
        o->segment += rc == 0 ? 1 : 0;
        if (rc == 0 && ri_task_pause(1)) {
            rc = RILLE_NEED;
        }
    }
    ri_io_deinit(&io);
    return rc;
}

static int read_base(const char *branch, const uint8_t *cell, size_t len, ri_base **out, size_t *pos, rille_err *err)
{
    ri_frame_kind kind;
    const uint8_t *body;
    size_t body_len;
    *pos = 0;
    int rc = ri_frame_next(cell, len, pos, &kind, &body, &body_len, err);
    if (rc < 0) {
        return rc;
    }
    if (rc != 0 || kind != RI_FRAME_BASE) {
        return ri_fail(err, RILLE_CORRUPT, "the head of branch %s (%zu bytes) does not begin with a base record",
                       branch, len);
    }
    return ri_base_read(body, body_len, out, err);
}

/* One that an earlier run of the task has begun, or a new one without a value yet. NULL: no memory. */
static opening *take_opening(uint64_t key)
{
    opening *o = ri_task_take(opening_release, key);
    return o != NULL ? o : ri_alloc_zero(sizeof *o);
}

/* After rc: gives the value, or lets the next run go on. In a task, what is done stays for later runs of the piece. */
static int give_opening(opening *o, uint64_t key, int rc, rille_db **out, size_t *valid_len, rille_err *err)
{
    if (rc == RILLE_NEED) {
        return ri_task_put(o, opening_release, key, err);
    }
    if (rc != 0) {
        opening_release(o);
        return rc;
    }
    o->done = true;
    *out = ri_db_retain(o->r.db);
    *valid_len = o->valid_len;
    (void)ri_task_put(o, opening_release, key, err);
    return 0;
}

static int begin_opening(opening *o, ri_store *store, const char *branch, const uint8_t *cell, size_t len,
                         rille_err *err)
{
    ri_base *base;
    RI_TRY(read_base(branch, cell, len, &base, &o->valid_len, err));
    int rc = ri_db_of_base(store, branch, base, NULL, &o->r.db, err);
    o->r.met = true;
    ri_base_release(base);
    return rc;
}

/* The segments, and the frames of the cell. */
static int replay_head(opening *o, const uint8_t *cell, size_t len, rille_err *err)
{
    RI_TRY(replay_segments(o, err));
    return replay_frames(&o->r, o->r.db->base->format == 1, cell, len, &o->valid_len, err);
}

static int open_head(opening *o, ri_store *store, const char *branch, const uint8_t *cell, size_t len, rille_err *err)
{
    RI_TRY(o->r.db == NULL ? begin_opening(o, store, branch, cell, len, err) : 0);
    int rc = replay_head(o, cell, len, err);
    if (rc == RILLE_CONFLICT) {
        return ri_fail(err, RILLE_CORRUPT, "the head of branch %s has a transaction that is not the base's", branch);
    }
    if (rc == 0 && o->r.db->t == 0) {
        rc = ri_fail(err, RILLE_CORRUPT, "the head of branch %s (%zu bytes) does not contain a transaction", branch,
                     len);
    }
    return rc;
}

int ri_head_open(ri_store *store, const char *branch, const uint8_t *cell, size_t len, rille_db **out,
                 size_t *valid_len, rille_err *err)
{
    uint64_t key = ri_hash64(cell, len, 0);
    opening *o = take_opening(key);
    *out = NULL;
    if (o == NULL) {
        return ri_fail_nomem(err);
    }
    return give_opening(o, key, o->done ? 0 : open_head(o, store, branch, cell, len, err), out, valid_len, err);
}

/* Does base come from what is known, and not lie before its base? */
static bool follows(const rille_db *known, const ri_base *base)
{
    return memcmp(known->base->db_id, base->db_id, sizeof base->db_id) == 0 && base->t >= known->base->t &&
           base->t <= known->t && ri_db_has_commit(known, base->t, base->commit);
}

/* The first segment with news for a value. One that the value's own base has up to the same transaction says that they
 * go on from there. */
static uint32_t first_news(replay *r, const ri_base *known)
{
    const ri_base *base = r->db->base;
    uint32_t i = 0;
    while (i < base->segment_count && base->segments[i].t_last < r->db->t) {
        i++;
    }
    for (uint32_t k = 0; i < base->segment_count && base->segments[i].t_last == r->db->t && k < known->segment_count;
         k++) {
        if (memcmp(known->segments[k].addr, base->segments[i].addr, RI_HASH_SIZE) == 0) {
            r->met = true;
            return i + 1;
        }
    }
    return i;
}

/* Begins with what is known, on the head's base. */
static int begin_advance(opening *o, const rille_db *known, const uint8_t *cell, size_t len, rille_err *err)
{
    ri_base *base;
    RI_TRY(read_base(known->branch, cell, len, &base, &o->valid_len, err));
    int rc = follows(known, base) ? ri_db_on_base(known, base, NULL, &o->r.db, err) : RILLE_CONFLICT;
    if (rc == 0) {
        o->r.met = o->r.db->t == o->r.db->base->t;
        o->segment = first_news(&o->r, known->base);
    }
    ri_base_release(base);
    return rc;
}

static int advance(opening *o, const rille_db *known, const uint8_t *cell, size_t len, rille_err *err)
{
    RI_TRY(o->r.db == NULL ? begin_advance(o, known, cell, len, err) : 0);
    int rc = replay_head(o, cell, len, err);
    rc = rc == 0 && !o->r.met ? RILLE_CONFLICT : rc;
    return rc == RILLE_CORRUPT ? RILLE_CONFLICT : rc; /* of another history, or corrupt: opening it anew will say */
}

int ri_head_advance(const rille_db *known, const uint8_t *cell, size_t len, rille_db **out, size_t *valid_len,
                    rille_err *err)
{
    uint64_t key = ri_hash64(known->commit, RI_HASH_SIZE, ri_hash64(cell, len, known->base->t));
    opening *o = take_opening(key);
    *out = NULL;
    if (o == NULL) {
        return ri_fail_nomem(err);
    }
    return give_opening(o, key, o->done ? 0 : advance(o, known, cell, len, err), out, valid_len, err);
}
