/* SPDX-License-Identifier: MIT
 *
 * Heads without asking: what a connection knows, or the store's tier has, of a head that was read a short time ago.
 *
 * A head of the tier is believed like one of the storage, but never against what is known: it must not be read before
 * what this connection has seen, be of another database, or be older. Then, and when anything about it fails, the
 * storage is asked. Its revision is not known, so a commit never builds on it without reading the head.
 */
#include "../store/kept.h"
#include "conn_own.h"

#include <string.h>

#define KEEP_AGAIN_MS 250 /* a head that did not change is kept anew, with its new time, after so long */

/* Clocks of the machine may be set back: what was read later than now is no recent head. */
static bool is_recent(int64_t read_ms, int64_t now_ms, uint64_t age_ms_max)
{
    return age_ms_max > 0 && read_ms <= now_ms && (uint64_t)now_ms - (uint64_t)read_ms < age_ms_max;
}

static bool fits(const rille_db *known, const rille_db *db)
{
    return known == NULL ||
           (memcmp(known->base->db_id, db->base->db_id, sizeof db->base->db_id) == 0 && known->t <= db->t);
}

void ri_conn_see_again(rille_conn *conn, int64_t read_ms)
{
    ri_mutex_lock(&conn->state);
    conn->seen.read_ms = read_ms > conn->seen.read_ms ? read_ms : conn->seen.read_ms;
    ri_mutex_unlock(&conn->state);
}

static int take_kept(rille_conn *conn, const rille_db *known, int64_t known_ms, uint64_t age_ms_max)
{
    rille_head head;
    int64_t read_ms;
    ri_seen fresh = { 0 };
    int rc = ri_store_head_kept(conn->store, conn->branch, &head, &read_ms);
    if (rc != 0) {
        return rc == RILLE_NEED ? rc : RILLE_NOTFOUND;
    }
    rc = RILLE_NOTFOUND;
    if (is_recent(read_ms, ri_clock_ms(), age_ms_max) && (known == NULL || read_ms > known_ms)) {
        rc = ri_conn_see_head(conn, &head, &fresh, NULL);
    }
    rille_free(head.bytes);
    bool good = rc == 0 && fresh.raw_len == fresh.cell_len && fits(known, fresh.db);
    if (!good) {
        ri_seen_deinit(&fresh);
        return rc == RILLE_NEED ? rc : RILLE_NOTFOUND;
    }
    if (fresh.db == known) { /* whose revision is known */
        ri_seen_deinit(&fresh);
        ri_conn_see_again(conn, read_ms);
        return 0;
    }
    fresh.read_ms = read_ms;
    fresh.is_kept = true;
    ri_conn_see(conn, &fresh);
    return 0;
}

int ri_conn_take_recent(rille_conn *conn, uint64_t age_ms_max)
{
    if (age_ms_max == 0) {
        return RILLE_NOTFOUND;
    }
    ri_mutex_lock(&conn->state);
    rille_db *known = ri_db_retain(conn->seen.db);
    int64_t known_ms = conn->seen.read_ms;
    ri_mutex_unlock(&conn->state);
    int rc = known != NULL && is_recent(known_ms, ri_clock_ms(), age_ms_max) ? 0 : RILLE_NOTFOUND;
    if (rc != 0 && ri_store_has_tier(conn->store)) {
        rc = take_kept(conn, known, known_ms, age_ms_max);
    }
    ri_db_release(known);
    return rc;
}

int ri_conn_db(rille_conn *conn, rille_db **out, rille_err *err)
{
    *out = NULL;
    int rc = ri_conn_take_recent(conn, conn->max_staleness_ms);
    if (rc == RILLE_NOTFOUND) {
        rc = ri_conn_newest(conn, err);
    }
    if (rc == 0) {
        *out = ri_conn_seen_db(conn);
    }
    return rc;
}

void ri_conn_keep(rille_conn *conn)
{
    if (!ri_store_has_tier(conn->store)) {
        return;
    }
    ri_seen seen;
    ri_conn_snapshot(conn, &seen);
    ri_mutex_lock(&conn->state);
    bool is_new = memcmp(&conn->kept, &seen.revision, sizeof seen.revision) != 0;
    bool due = is_new || seen.read_ms - conn->kept_ms >= KEEP_AGAIN_MS;
    due = due && seen.db != NULL && !seen.is_kept && seen.raw_len == seen.cell_len;
    if (due) {
        conn->kept = seen.revision;
        conn->kept_ms = seen.read_ms;
    }
    ri_mutex_unlock(&conn->state);
    if (due) {
        ri_store_keep_head(conn->store, conn->branch, seen.cell->bytes, seen.cell_len, seen.read_ms);
    }
    ri_seen_deinit(&seen);
}

int64_t ri_conn_age_ms(rille_conn *conn)
{
    ri_mutex_lock(&conn->state);
    int64_t age = ri_clock_ms() - conn->seen.read_ms;
    ri_mutex_unlock(&conn->state);
    return age < 0 ? -1 : age;
}

bool ri_conn_is_kept(rille_conn *conn)
{
    ri_mutex_lock(&conn->state);
    bool kept = conn->seen.is_kept;
    ri_mutex_unlock(&conn->state);
    return kept;
}
