/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include "../store/kept.h"
#include "../store/task.h"
#include "../store/url.h"
#include "bundle.h"
#include "flush.h"

#include <string.h>

/* ---- what was last seen ---- */

void ri_seen_deinit(ri_seen *seen)
{
    ri_db_release(seen->db);
    ri_cell_release(seen->cell);
    *seen = (ri_seen){ 0 };
}

void ri_conn_see(rille_conn *conn, ri_seen *fresh)
{
    ri_mutex_lock(&conn->state);
    const rille_db *known = conn->seen.db;
    bool newer =
        known == NULL || known->t < fresh->db->t ||
        (known->t == fresh->db->t && known->base->t <= fresh->db->base->t); /* a flush changes the base alone */
    ri_seen old = conn->seen;
    if (newer) {
        conn->seen = *fresh;
    }
    ri_mutex_unlock(&conn->state);
    ri_seen_deinit(newer ? &old : fresh);
}

/* The first frame's end: where transactions begin. */
static size_t tail_start(const uint8_t *cell, size_t len)
{
    size_t pos = 0;
    ri_frame_kind kind;
    const uint8_t *body;
    size_t body_len;
    (void)ri_frame_next(cell, len, &pos, &kind, &body, &body_len, NULL);
    return pos;
}

#define REGION_BYTES_MAX ((uint64_t)4 << 20) /* where the upper levels are not known: all of it, or nothing */

/* RILLE_NEED, or 0: without what it reads it works, too. */
static int warm_region(const rille_db *db, const struct ri_region *region, uint64_t len)
{
    ri_io io = { 0 };
    int rc = 0;
    if (len > 0 && len <= region->len && len <= REGION_BYTES_MAX) {
        uint64_t offset = region->offset + region->len - len;
        RI_FETCHING(rc, &io, ri_store_warm(db->store, region->pack, offset, len, ri_node_decode, &io), NULL)
    }
    ri_io_deinit(&io);
    return rc == RILLE_NEED ? rc : 0;
}

/* Branches lie together. Where they are few, a read or two bring them all, and a point query then needs its leaves only.
 * Where they are many, one read brings the upper levels, and it needs a branch and a leaf for each tree. */
static int warm_all(const rille_db *db)
{
    const ri_base *base = db->base;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < base->region_count; i++) {
        sum += base->regions[i].len;
    }
    if (base->upper_len > 0 && sum > ri_branches_gathered_max(db->store)) {
        return warm_region(db, &base->regions[0], base->upper_len);
    }
    int need = 0;
    for (uint32_t i = 0; i < base->region_count; i++) {
        int rc = warm_region(db, &base->regions[i], base->regions[i].len);
        need = rc == 0 ? need : rc;
    }
    return need;
}

/* Of what another process flushed, the upper levels; most of what is below them is as it was. */
static int warm_new(const rille_db *known, const rille_db *db)
{
    const struct ri_region *upper = &db->base->regions[0];
    bool is_new = memcmp(upper->pack, known->base->regions[0].pack, RI_HASH_SIZE) != 0;
    return is_new ? warm_region(db, upper, db->base->upper_len) : 0;
}

static int keep_cell(ri_seen *out, const rille_head *head, size_t len, rille_err *err)
{
    out->cell = ri_cell_new(head->bytes, len);
    out->cell_len = len;
    return out->cell == NULL ? ri_fail_nomem(err) : 0;
}

/* Opens a cell from nothing. */
static int see_all(rille_conn *conn, const rille_head *head, ri_seen *out, rille_err *err)
{
    size_t valid_len = 0;
    RI_TRY(ri_head_open(conn->store, conn->branch, head->bytes, head->len, &out->db, &valid_len, err));
    RI_TRY(warm_all(out->db));
    out->tail_at = tail_start(head->bytes, valid_len);
    return keep_cell(out, head, valid_len, err);
}

/* Most of the time a head only grew: replay what is new on a copy of the value that is known. */
static int see_more(const rille_db *known, size_t known_len, size_t tail_at, const rille_head *head, ri_seen *out,
                    rille_err *err)
{
    size_t pos = known_len;
    RI_TRY(ri_db_fork(known, &out->db, err));
    RI_TRY(ri_head_replay(out->db, head->bytes, head->len, &pos, err));
    if (pos == known_len) { /* a torn end, nothing new: the same value, which a transaction may have begun on */
        ri_db_release(out->db);
        out->db = ri_db_retain((rille_db *)known);
    }
    out->tail_at = tail_at;
    return keep_cell(out, head, pos, err);
}

/* A spill or a flush put another base in the place of the one that is known: what is known stays where it is in both. */
static int see_base(rille_conn *conn, const rille_db *known, const rille_head *head, ri_seen *out, rille_err *err)
{
    size_t valid_len;
    int rc = known == NULL ? RILLE_CONFLICT : ri_head_advance(known, head->bytes, head->len, &out->db, &valid_len, err);
    if (rc == RILLE_CONFLICT) {
        return see_all(conn, head, out, err);
    }
    RI_TRY(rc);
    RI_TRY(warm_new(known, out->db));
    out->tail_at = tail_start(head->bytes, valid_len);
    return keep_cell(out, head, valid_len, err);
}

int ri_conn_see_head(rille_conn *conn, const rille_head *head, ri_seen *fresh, rille_err *err)
{
    ri_mutex_lock(&conn->state);
    const ri_seen *seen = &conn->seen;
    bool grew =
        seen->db != NULL && head->len >= seen->cell_len && memcmp(head->bytes, seen->cell->bytes, seen->cell_len) == 0;
    rille_db *known = ri_db_retain(seen->db);
    size_t known_len = seen->cell_len;
    size_t tail_at = seen->tail_at;
    ri_mutex_unlock(&conn->state);
    *fresh = (ri_seen){ .raw_len = head->len, .revision = head->revision };
    int rc = grew ? see_more(known, known_len, tail_at, head, fresh, err) : see_base(conn, known, head, fresh, err);
    ri_db_release(known);
    return rc;
}

/* The head must be of the same database and not older than what was known when it was read, of transaction t: time does
 * not go back. */
static int check_progress(const rille_db *before, uint64_t t, const rille_db *after, rille_err *err)
{
    if (before != NULL && memcmp(before->base->db_id, after->base->db_id, sizeof after->base->db_id) != 0) {
        return ri_fail(err, RILLE_NOTFOUND, "the database was dropped and recreated: reconnect");
    }
    if (after->t < t) {
        return ri_fail(err, RILLE_IO,
                       "the branch head went back from transaction %llu to %llu: a commit failed before it was synced "
                       "(is the disk full?), or the head was replaced by an older copy: reconnect, and restore it from "
                       "a backup if transactions are missing",
                       (unsigned long long)t, (unsigned long long)after->t);
    }
    return 0;
}

/* A torn end is believed when two reads agree on it, so that no short read ever looks like one. */
static bool is_torn(const ri_seen *fresh)
{
    return fresh->raw_len != fresh->cell_len;
}

/* What was seen: the revision, if nothing of it was torn, and its t. */
static bool seen_revision(rille_conn *conn, rille_revision *out, uint64_t *t)
{
    ri_mutex_lock(&conn->state);
    bool whole = conn->seen.db != NULL && !conn->seen.is_kept && !is_torn(&conn->seen);
    *t = conn->seen.db != NULL ? conn->seen.db->t : 0;
    *out = conn->seen.revision;
    ri_mutex_unlock(&conn->state);
    return whole;
}

/* RILLE_DONE: the head is what was seen before. *t: of what was known when it was read first. */
static int read_and_see(rille_conn *conn, ri_seen *fresh, uint64_t *t, rille_err *err)
{
    enum { READS_MAX = 4 };
    size_t torn_len = 0;
    for (int reads = 0; reads < READS_MAX; reads++) {
        rille_head head = { 0 };
        rille_revision known;
        uint64_t known_t;
        const rille_revision *expected = seen_revision(conn, &known, &known_t) ? &known : NULL;
        *t = reads == 0 ? ri_task_first(known_t) : *t;
        int rc = ri_store_head_poll(conn->store, conn->branch, expected, &head, err);
        if (rc != 0) {
            return rc;
        }
        rc = ri_conn_see_head(conn, &head, fresh, err);
        rille_free(head.bytes);
        if (rc != 0 || !is_torn(fresh) || fresh->raw_len == torn_len) {
            return rc;
        }
        torn_len = fresh->raw_len;
        ri_seen_deinit(fresh);
    }
    return ri_fail(err, RILLE_IO, "the branch head keeps changing while it is read: try again");
}

int ri_conn_refresh(rille_conn *conn, rille_err *err)
{
    ri_seen fresh = { 0 };
    int64_t began_ms = ri_clock_ms();
    uint64_t t = 0;
    bool was_stale = atomic_load(&conn->stale) && atomic_exchange(&conn->stale, false);
    int rc = read_and_see(conn, &fresh, &t, err);
    if (rc == 0) {
        rille_db *before = ri_conn_seen_db(conn);
        rc = check_progress(before, t, fresh.db, err);
        ri_db_release(before);
    }
    if (rc == 0) {
        fresh.read_ms = began_ms;
        ri_conn_see(conn, &fresh); /* something newer may have been seen meanwhile: it never goes back */
    } else {
        ri_seen_deinit(&fresh);
    }
    if (rc == RILLE_DONE) {
        ri_conn_see_again(conn, began_ms);
    }
    if (rc == RILLE_NOTFOUND) {
        ri_store_keep_head(conn->store, conn->branch, NULL, 0, 0);
    } else if (rc >= 0 && rc != RILLE_NEED) {
        ri_conn_keep(conn);
    }
    if (rc != 0 && rc != RILLE_DONE && was_stale) {
        atomic_store(&conn->stale, true);
    }
    return rc == RILLE_DONE ? 0 : rc;
}

int ri_conn_newest(rille_conn *conn, rille_err *err)
{
    int rc = ri_conn_refresh(conn, err);
    if (rc != 0) {
        ri_err_prefix(err, "%s", ri_conn_url(conn));
    }
    return rc;
}

rille_db *ri_conn_seen_db(rille_conn *conn)
{
    ri_mutex_lock(&conn->state);
    rille_db *db = ri_db_retain(conn->seen.db);
    ri_mutex_unlock(&conn->state);
    return db;
}

/* ---- creating ---- */

#define CREATE_TRIES_MAX 8

/* The bootstrap transaction: the engine's own schema as datoms. */
static int bootstrap_block(ri_block **out, rille_err *err)
{
    ri_block *block = ri_block_new();
    *out = NULL;
    if (block == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = ri_schema_bootstrap_datoms(&block->memory->arena, &block->datoms, &block->count, err);
    if (rc != 0) {
        ri_block_release(block);
        return rc;
    }
    block->t = RI_TX_BASE;
    ri_block_chain(block, NULL);
    *out = block;
    return 0;
}

static int first_cell(const ri_conn_options *options, ri_buf *cell, rille_err *err)
{
    uint8_t id[16];
    ri_task_random(id, sizeof id);
    ri_base *base = NULL;
    ri_block *block = NULL;
    ri_buf body = { 0 };
    int rc = ri_base_new_empty(id, !options->no_history, options->read_flexible, &base, err);
    if (rc == 0) {
        ri_base_write(base, false, &body);
        ri_frame_write(cell, RI_FRAME_BASE, body.p, body.len);
        rc = bootstrap_block(&block, err);
    }
    if (rc == 0) {
        rc = ri_block_write(block, cell, err);
    }
    if (rc == 0 && (body.failed || cell->failed)) {
        rc = ri_fail_nomem(err);
    }
    ri_buf_deinit(&body);
    ri_block_release(block);
    ri_base_release(base);
    return rc;
}

/* Is the head that was read the one that was to be made? */
static bool is_own_head(rille_conn *conn, const ri_buf *cell)
{
    ri_mutex_lock(&conn->state);
    const ri_seen *seen = &conn->seen;
    bool own = seen->cell != NULL && seen->cell_len >= cell->len && memcmp(seen->cell->bytes, cell->p, cell->len) == 0;
    ri_mutex_unlock(&conn->state);
    return own;
}

/* 0, or RILLE_CONFLICT when somebody else made it first. */
static int create_head(rille_conn *conn, const ri_conn_options *options, rille_err *err)
{
    ri_buf cell = { 0 };
    int rc = first_cell(options, &cell, err);
    rille_head_swap swap = {
        .branch = conn->branch, .cell = cell.p, .cell_len = cell.len, .durable = conn->durability != RI_DURABLE_NONE
    };
    rille_revision revision;
    for (int tries = 0; rc == 0 && tries < CREATE_TRIES_MAX; tries++) {
        rc = ri_store_head_swap(conn->store, &swap, NULL, &revision, err);
        if (rc != RILLE_UNKNOWN) {
            break;
        }
        rc = tries + 1 < CREATE_TRIES_MAX
                 ? 0
                 : ri_fail(err, RILLE_IO, "the storage does not say whether the database was created: connect to it");
    }
    if (rc == RILLE_CONFLICT) {
        rc = ri_conn_refresh(conn, err);
        rc = rc == 0 && !is_own_head(conn, &cell) ? RILLE_CONFLICT : rc;
    }
    ri_buf_deinit(&cell);
    return rc;
}

/* ---- opening ---- */

/* A path alone is the likeliest mistake: it gets a hint of its own. */
static int open_store(const char *url, const ri_store_options *options, ri_store **out, rille_err *err)
{
    *out = NULL;
    if (url != NULL && strchr(url, ':') == NULL) {
        return ri_fail(err, RILLE_SYNTAX, "\"%.60s\" is not a URL: did you mean file:%.60s? (this build supports %s)",
                       url, url[0] == '\0' ? "DIR" : url, ri_url_supported());
    }
    return ri_store_open(url, options, out, err);
}

static int find_or_create(rille_conn *conn, const ri_conn_options *options, rille_err *err)
{
    bool creates = options->create || options->must_create; /* then the storage itself says whether there is one */
    int rc = creates ? RILLE_NOTFOUND : ri_conn_take_recent(conn, conn->max_staleness_ms);
    rc = rc == RILLE_NOTFOUND ? ri_conn_refresh(conn, err) : rc;
    if (rc == 0 && options->must_create) {
        return ri_fail(err, RILLE_EXISTS, "the database already exists: connect to it, or drop it first");
    }
    if (rc != RILLE_NOTFOUND) {
        return rc;
    }
    RI_TRY(ri_store_check_heads(conn->store, err));
    if (!options->create && !options->must_create) {
        return ri_fail(err, RILLE_NOTFOUND, "there is no database on branch %s", conn->branch);
    }
    rc = create_head(conn, options, err);
    if (rc == RILLE_CONFLICT && options->must_create) {
        return ri_fail(err, RILLE_EXISTS, "the database already exists: another process has just created it");
    }
    return rc == 0 || rc == RILLE_CONFLICT ? ri_conn_refresh(conn, err) : rc;
}

/* All but its store. */
static int conn_init(rille_conn *conn, const ri_conn_options *options, rille_err *err)
{
    const char *branch = options->branch != NULL ? options->branch : "main";
    ri_refs_init(&conn->refs);
    atomic_init(&conn->idle, NULL);
    ri_mutex_init(&conn->writer);
    ri_mutex_init(&conn->state);
    ri_cond_init(&conn->changed);
    atomic_init(&conn->bundles, 0);
    atomic_init(&conn->stale, false);
    ri_flusher_init(&conn->flusher);
    conn->durability = options->durability;
    conn->flush = options->flush;
    conn->novelty_min = options->novelty_min;
    conn->max_staleness_ms = options->max_staleness_ms;
    if (strlen(branch) == 0 || strlen(branch) >= sizeof conn->branch) {
        return ri_fail(err, RILLE_MISUSE, "branch name is %zu bytes long; it must be 1 to %zu bytes", strlen(branch),
                       sizeof conn->branch - 1);
    }
    memcpy(conn->branch, branch, strlen(branch));
    return 0;
}

static int conn_new(const ri_conn_options *options, rille_conn **out, rille_err *err)
{
    rille_conn *conn = ri_alloc_zero(sizeof *conn);
    *out = NULL;
    if (conn == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = conn_init(conn, options, err);
    if (rc != 0) {
        ri_conn_release(conn);
        return rc;
    }
    *out = conn;
    return 0;
}

/* Finds the database in its store, if rc says that this was opened. Takes conn. */
static int conn_begin(rille_conn *conn, int rc, const ri_conn_options *options, rille_conn **out, rille_err *err)
{
    if (rc == 0) {
        uint32_t capabilities = ri_store_capabilities(conn->store);
        conn->is_far = (capabilities & RILLE_BACKEND_DEFERRED) != 0;
        conn->is_free = (capabilities & RILLE_BACKEND_TRUSTED) != 0 && !conn->is_far;
        rc = find_or_create(conn, options, err);
        if (rc < 0) {
            ri_err_prefix(err, "%s", ri_store_url(conn->store));
        }
    }
    if (rc != 0) {
        ri_conn_release(conn);
        return rc;
    }
    *out = conn;
    return 0;
}

int ri_conn_open(const char *url, const ri_conn_options *options, rille_conn **out, rille_err *err)
{
    rille_conn *conn;
    ri_store_options store_options = { .cache_bytes = options->cache_bytes,
                                       .create = options->create || options->must_create,
                                       .settings = options->settings,
                                       .setting_count = options->setting_count,
                                       .tier = options->tier,
                                       .tier_bytes_max = options->tier_bytes_max };
    *out = NULL;
    RI_TRY(conn_new(options, &conn, err));
    return conn_begin(conn, open_store(url, &store_options, &conn->store, err), options, out, err);
}

/* Of a backend of a host, whose heads are not kept. */
static int add_tier(ri_store *store, const ri_conn_options *options, rille_err *err)
{
    ri_store_options tier = { .tier = options->tier, .tier_bytes_max = options->tier_bytes_max };
    return options->tier == NULL || ri_store_has_tier(store) ? 0 : ri_store_add_tier(store, &tier, NULL, err);
}

int ri_conn_open_backend(const rille_backend *backend, const char *name, const ri_conn_options *options,
                         rille_conn **out, rille_err *err)
{
    rille_conn *conn;
    *out = NULL;
    int rc = conn_new(options, &conn, err);
    if (rc != 0) {
        if (rc != RILLE_MISUSE) {
            backend->ops->close(backend->self);
        }
        return rc;
    }
    rc = ri_store_open_backend(backend, name, options->cache_bytes, &conn->store, err);
    rc = rc == 0 ? add_tier(conn->store, options, err) : rc;
    return conn_begin(conn, rc, options, out, err);
}

int ri_conn_open_store(ri_store *store, const ri_conn_options *options, rille_conn **out, rille_err *err)
{
    rille_conn *conn;
    *out = NULL;
    RI_TRY(conn_new(options, &conn, err));
    conn->store = ri_store_retain(store);
    return conn_begin(conn, add_tier(store, options, err), options, out, err);
}

rille_conn *ri_conn_retain(rille_conn *conn)
{
    if (conn != NULL) {
        ri_refs_take(&conn->refs);
    }
    return conn;
}

void ri_conn_release(rille_conn *conn)
{
    if (conn != NULL && ri_refs_drop(&conn->refs)) {
        ri_flusher_deinit(conn);
        ri_seen_deinit(&conn->seen);
        ri_encoder_free(conn->encoder);
        ri_buf_deinit(&conn->frame);
        ri_tx_release(atomic_load_explicit(&conn->idle, memory_order_acquire));
        ri_store_release(conn->store);
        ri_mutex_deinit(&conn->writer);
        ri_cond_deinit(&conn->changed);
        ri_mutex_deinit(&conn->state);
        ri_free(conn);
    }
}

const char *ri_conn_url(const rille_conn *conn)
{
    return ri_store_url(conn->store);
}

const char *ri_conn_branch(const rille_conn *conn)
{
    return conn->branch;
}

ri_store *ri_conn_store(rille_conn *conn)
{
    return conn->store;
}

/* Where branches cannot be listed: is there a main one? */
static int has_heads(ri_store *store, bool *out, rille_err *err)
{
    char *names = NULL;
    size_t count = 0;
    int rc = ri_store_head_list(store, &names, &count, err);
    if (rc == RILLE_UNSUPPORTED) {
        rille_head head = { 0 };
        rc = ri_store_head_read(store, "main", &head, err);
        rille_free(head.bytes);
        count = 1;
    }
    rille_free(names);
    *out = rc == 0 && count > 0;
    return rc;
}

int ri_store_has_database(ri_store *store, bool *out, rille_err *err)
{
    *out = false;
    int rc = has_heads(store, out, err);
    return rc == RILLE_NOTFOUND || rc == RILLE_FOREIGN ? 0 : rc;
}

int ri_database_exists(const char *url, const rille_setting *settings, size_t count, bool *out, rille_err *err)
{
    *out = false;
    ri_store *store;
    ri_store_options options = { .settings = settings, .setting_count = count };
    int rc = open_store(url, &options, &store, err);
    if (rc == 0) {
        rc = ri_store_has_database(store, out, err);
        ri_store_release(store);
    }
    return rc == RILLE_NOTFOUND || rc == RILLE_FOREIGN ? 0 : rc;
}

int ri_database_drop_with(const char *url, const rille_setting *settings, size_t count, rille_err *err)
{
    ri_store *store;
    ri_store_options options = { .settings = settings, .setting_count = count };
    RI_TRY(open_store(url, &options, &store, err));
    int rc = ri_store_drop(store, err);
    ri_store_release(store);
    return rc;
}
