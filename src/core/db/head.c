/* SPDX-License-Identifier: MIT */
#include "head.h"

#include "segment.h"

#include <string.h>

/* ---- values ---- */

/* A blob, waiting for it if need be. */
static int fetch_blob(ri_store *store, const uint8_t addr[RI_HASH_SIZE], ri_blob **out, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_store_get_blob(store, addr, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

static int base_schema(ri_store *store, const ri_base *base, ri_schema **out, rille_err *err)
{
    if (ri_addr_is_zero(base->schema_addr)) {
        return ri_schema_read(base->schema_bytes, base->schema_len, out, err);
    }
    ri_blob *blob;
    RI_TRY(fetch_blob(store, base->schema_addr, &blob, err));
    int rc = ri_schema_read(blob->bytes, blob->len, out, err);
    ri_object_release(&blob->object);
    return rc;
}

/* New ids are counted from here on: none may be taken. */
static int check_counters(const ri_base *base, const ri_schema *schema, rille_err *err)
{
    uint64_t last = schema->attrs[schema->attr_count - 1].id;
    bool attrs_good = base->next_attr >= RI_EID_ATTR && base->next_attr > last;
    bool entities_good = base->next_e >= RI_EID_USER && base->next_e <= RI_TX_BASE;
    if (attrs_good && entities_good && (base->t == 0 || base->t >= RI_TX_BASE)) {
        return 0;
    }
    return ri_fail(err, RILLE_CORRUPT,
                   "the base record of the branch head has impossible counters (transaction %llu, entity %llu, "
                   "attribute %llu): restore the head from a backup",
                   (unsigned long long)base->t, (unsigned long long)base->next_e, (unsigned long long)base->next_attr);
}

int ri_db_of_base(ri_store *store, const char *branch, ri_base *base, const ri_schema *known_schema, rille_db **out,
                  rille_err *err)
{
    *out = NULL;
    ri_schema *schema = ri_schema_retain((ri_schema *)known_schema);
    if (schema == NULL) {
        RI_TRY(base_schema(store, base, &schema, err));
    }
    int rc = check_counters(base, schema, err);
    rille_db *db = rc == 0 ? ri_alloc_zero(sizeof *db) : NULL;
    if (db == NULL) {
        ri_schema_release(schema);
        return rc != 0 ? rc : ri_fail_nomem(err);
    }
    ri_refs_init(&db->refs);
    db->store = ri_store_retain(store);
    db->base = ri_base_retain(base);
    db->schema = schema;
    db->t = base->t;
    db->instant = base->instant;
    memcpy(db->commit, base->commit, RI_HASH_SIZE);
    db->next_e = base->next_e;
    db->next_attr = base->next_attr;
    memcpy(db->branch, branch, strlen(branch) < sizeof db->branch ? strlen(branch) : sizeof db->branch - 1);
    *out = db;
    return 0;
}

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
    bool has_schema = false;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (d->e > block->t) {
            return ri_fail(err, RILLE_CORRUPT, "transaction %llu has a fact about transaction %llu, which is later",
                           (unsigned long long)block->t, (unsigned long long)d->e);
        }
        has_schema = has_schema || ri_is_schema_attr(d->a);
        if (d->v.type == RI_REF && d->v.as.u >= db->next_e && d->v.as.u < RI_TX_BASE) {
            db->next_e = d->v.as.u + 1; /* an id that a user chose and only referred to so far: tx.c counts it, too */
        }
        if (d->e >= RI_EID_USER && d->e < RI_TX_BASE) {
            db->next_e = d->e >= db->next_e ? d->e + 1 : db->next_e;
        } else if (d->e >= RI_EID_ATTR && d->e < RI_EID_USER && d->e >= db->next_attr) {
            db->next_attr = d->e + 1;
        }
    }
    if (has_schema && block->t != RI_TX_BASE) {
        ri_schema *schema;
        RI_TRY(ri_schema_apply(db->schema, block->datoms, block->count, &schema, NULL, err));
        ri_schema_release(db->schema);
        db->schema = schema;
    }
    RI_TRY(check_types(block, db->schema, err));
    ri_novelty_add(&db->novelty, block, db->schema);
    move_basis(db, block);
    return 0;
}

/* A transaction before the base's, from before a flush that others committed beside. */
static bool is_in_base(const rille_db *db, uint64_t t)
{
    return db->novelty.last == NULL && t <= db->base->t && db->base->t != 0;
}

/* What is replayed on a value, and what that began as, if it holds transactions already: `known` is passed over up to
 * its last transaction, which must be the same. */
typedef struct replay {
    rille_db *db;
    const rille_db *known; /* NULL: nothing */
    bool met;              /* its last transaction was there */
} replay;

static bool is_passed(const replay *r, uint64_t t)
{
    return is_in_base(r->db, t) || (r->known != NULL && t < r->known->t);
}

static bool is_last_known(const replay *r, uint64_t t)
{
    return r->known != NULL && t == r->known->t;
}

/* RILLE_CONFLICT: another transaction has its place. */
static int meet(replay *r, const ri_block *block)
{
    r->met = memcmp(block->commit, r->known->commit, RI_HASH_SIZE) == 0;
    return r->met ? 0 : RILLE_CONFLICT;
}

static int replay_frame(replay *r, ri_frame_kind kind, const uint8_t *body, size_t len, rille_err *err)
{
    const rille_db *db = r->db;
    uint64_t t = ri_block_peek_t(body, len);
    if (is_passed(r, t)) {
        return 0;
    }
    bool last_known = is_last_known(r, t);
    const ri_block *before = last_known ? db->novelty.last : NULL;
    const uint8_t *parent = db->t == 0 ? NULL : db->commit;
    if (before != NULL) {
        parent = before->has_parent ? before->parent : NULL;
    }
    ri_block *block;
    RI_TRY(ri_block_read(kind, body, len, parent, &block, err));
    int rc = last_known ? meet(r, block) : ri_db_replay(r->db, block, err);
    ri_block_release(block);
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
        RI_TRY(replay_frame(r, kind, body, body_len, err));
    }
    return rc == RILLE_DONE ? 0 : rc;
}

int ri_head_replay(rille_db *db, const uint8_t *bytes, size_t len, size_t *pos, rille_err *err)
{
    replay r = { db, NULL, false };
    return replay_frames(&r, db->base->format == 1, bytes, len, pos, err);
}

static int replay_packed(replay *r, const ri_blob *blob, rille_err *err)
{
    ri_block **blocks;
    size_t count;
    RI_TRY(ri_segment_read(blob->bytes, blob->len, r->known == NULL ? 0 : r->known->t, &blocks, &count, err));
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        ri_block *block = blocks[i];
        if (is_passed(r, block->t)) {
            continue;
        }
        if (is_last_known(r, block->t)) {
            rc = meet(r, block);
            continue;
        }
        block->has_parent = r->db->t != 0;
        memcpy(block->parent, r->db->commit, RI_HASH_SIZE);
        rc = ri_db_replay(r->db, block, err);
    }
    ri_blocks_release(blocks, count);
    return rc;
}

static int replay_segment(replay *r, const struct ri_segment *segment, const ri_blob *blob, rille_err *err)
{
    size_t pos = blob->len;
    if (segment->packed) {
        RI_TRY(replay_packed(r, blob, err));
    } else {
        pos = 0;
        RI_TRY(replay_frames(r, true, blob->bytes, blob->len, &pos, err));
    }
    if (pos != blob->len || r->db->t != segment->t_last) {
        return ri_fail(err, RILLE_CORRUPT, "the segment of the branch head up to transaction %llu is truncated",
                       (unsigned long long)segment->t_last);
    }
    return 0;
}

/* Segments of which nothing is new. */
static uint32_t known_segments(replay *r)
{
    const ri_base *base = r->db->base;
    const ri_base *before = r->known == NULL ? NULL : r->known->base;
    uint32_t count = 0;
    while (before != NULL && count < base->segment_count && base->segments[count].t_last <= r->known->t) {
        const struct ri_segment *segment = &base->segments[count];
        bool same =
            count < before->segment_count && memcmp(segment->addr, before->segments[count].addr, RI_HASH_SIZE) == 0;
        if (segment->t_last == r->known->t) {
            r->met = same;
            return same ? count + 1 : count;
        }
        count++;
    }
    return count;
}

/* All segments, asked for at once, then replayed in order. */
static int replay_segments(replay *r, rille_err *err)
{
    rille_db *db = r->db;
    const ri_base *base = db->base;
    uint32_t first = known_segments(r);
    ri_io io = { 0 };
    int rc = 0;
    for (uint32_t i = first; i < base->segment_count; i++) {
        ri_noderef ref = { 0 };
        memcpy(ref.addr, base->segments[i].addr, RI_HASH_SIZE);
        (void)ri_store_prefetch(db->store, &ref, NULL, &io);
    }
    for (uint32_t i = first; rc == 0 && i < base->segment_count; i++) {
        ri_blob *blob = NULL;
        RI_FETCHING(rc, &io, ri_store_get_blob(db->store, base->segments[i].addr, &io, &blob, err), err)
        if (rc == 0) {
            rc = replay_segment(r, &base->segments[i], blob, err);
            ri_object_release(&blob->object);
        }
    }
    ri_io_deinit(&io);
    return rc;
}

/* Do two base records differ in what was spilled alone? */
static bool same_trees(const ri_base *a, const ri_base *b)
{
    bool same = memcmp(a->db_id, b->db_id, sizeof a->db_id) == 0 && a->t == b->t &&
                memcmp(a->commit, b->commit, RI_HASH_SIZE) == 0 && a->keep_history == b->keep_history &&
                a->read_flexible == b->read_flexible;
    for (unsigned o = 0; same && o < RI_ORDER_COUNT; o++) {
        same = a->tree[o].count == b->tree[o].count &&
               memcmp(a->tree[o].root.addr, b->tree[o].root.addr, RI_HASH_SIZE) == 0;
    }
    return same;
}

/* What `known` lacks of a head whose base record has the same trees. RILLE_CONFLICT: the head does not go on where the
 * value ends. */
static int follow(const rille_db *known, ri_base *base, const uint8_t *cell, size_t len, size_t *pos, rille_db **out,
                  rille_err *err)
{
    rille_db *db;
    RI_TRY(ri_db_fork(known, &db, err));
    ri_base_release(db->base);
    db->base = ri_base_retain(base);
    replay r = { db, known->novelty.last == NULL ? NULL : known, false };
    int rc = replay_segments(&r, err);
    if (rc == 0) {
        rc = replay_frames(&r, base->format == 1, cell, len, pos, err);
    }
    if (rc == 0 && r.known != NULL && !r.met) {
        rc = RILLE_CONFLICT;
    }
    if (rc != 0) {
        ri_db_release(db);
        return rc;
    }
    *out = db;
    return 0;
}

static int open_all(ri_store *store, const char *branch, ri_base *base, const uint8_t *cell, size_t len, size_t *pos,
                    rille_db **out, rille_err *err)
{
    rille_db *db;
    RI_TRY(ri_db_of_base(store, branch, base, NULL, &db, err));
    replay r = { db, NULL, false };
    int rc = replay_segments(&r, err);
    if (rc == 0) {
        rc = ri_head_replay(db, cell, len, pos, err);
    }
    if (rc == 0 && db->t == 0) {
        rc = ri_fail(err, RILLE_CORRUPT, "the head of branch %s (%zu bytes) does not contain a transaction", branch,
                     len);
    }
    if (rc != 0) {
        ri_db_release(db);
        return rc;
    }
    *out = db;
    return 0;
}

int ri_head_open(ri_store *store, const char *branch, const rille_db *known, const uint8_t *cell, size_t len,
                 rille_db **out, size_t *valid_len, rille_err *err)
{
    *out = NULL;
    size_t pos = 0;
    ri_frame_kind kind;
    const uint8_t *body;
    size_t body_len;
    int first = ri_frame_next(cell, len, &pos, &kind, &body, &body_len, err);
    if (first < 0) {
        return first;
    }
    if (first != 0 || kind != RI_FRAME_BASE) {
        return ri_fail(err, RILLE_CORRUPT, "the head of branch %s (%zu bytes) does not begin with a base record",
                       branch, len);
    }
    ri_base *base;
    RI_TRY(ri_base_read(body, body_len, &base, err));
    size_t tail_at = pos;
    int rc = known != NULL && same_trees(known->base, base) ? follow(known, base, cell, len, &pos, out, err)
                                                            : RILLE_CONFLICT;
    if (rc == RILLE_CONFLICT) {
        pos = tail_at;
        rc = open_all(store, branch, base, cell, len, &pos, out, err);
    }
    ri_base_release(base);
    RI_TRY(rc);
    *valid_len = pos;
    return 0;
}
