/* SPDX-License-Identifier: MIT
 *
 * Objects and heads of s3: written.
 *
 * A SWAP is one conditional PUT: If-Match with the ETag of the expected head, or If-None-Match: * for the first one. Objects go
 * before it. Every head has a random attempt in it, so an ETag never comes back, and of any number of copies of the same
 * swap at most one takes effect: sending it again, after a lost reply or a refusal for now, does no harm. Status 412 means that the head
 * is not the expected one, perhaps by an earlier copy of this very swap: who asked finds out from the head.
 *
 * PROBE. Stores differ in what they compare, and some ignore conditions. Before the first swap, where the store is not AWS, requests
 * on a key of their own find out: a creation that succeeds, one that must not, a swap with the ETag in quotes, or else without them, and one
 * with a wrong ETag, which must not succeed.
 */
#include "s3_own.h"

#include <stdio.h>

static const char all_bare[] = "If-None-Match: *";
/* For caches before a bucket that is published. */
static const char keep_forever[] = "Cache-Control: max-age=31536000, immutable";
static const char ask_each_time[] = "Cache-Control: no-cache";

static bool is_done(const ri_web_request *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

/* ---- objects ---- */

static int add_puts(s3_db *db, ri_web_job *job, const rille_put *puts, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        ri_layout_name name;
        if (!ri_layout_object(&puts[i].object, &name)) {
            return ri_fail(err, RILLE_MISUSE, "%s: nodes are stored in packs, not as single objects", db->shown);
        }
        ri_web_request *request = ri_s3_add(db, job, "PUT", name.text, puts[i].bytes, puts[i].len);
        if (request == NULL) {
            return ri_fail_nomem(err);
        }
        ri_s3_put_header(request, keep_forever);
    }
    return RILLE_OK;
}

static int check_puts(const s3_db *db, const ri_web_request *answers, rille_err *err)
{
    for (const ri_web_request *answer = answers; answer != NULL; answer = answer->next) {
        if (!is_done(answer) && answer->status != 412) { /* 412: of the marker, which is there already */
            return ri_fail(err, RILLE_IO, "%s: the server refused to store an object (status %d)", db->shown,
                           answer->status);
        }
    }
    return RILLE_OK;
}

int ri_s3_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_puts(puts, count);
    int rc = RILLE_OK;
    ri_web_enter(db->web);
    ri_web_job *job = ri_web_find(db->web, key);
    if (job == NULL) {
        job = ri_web_begin(db->web, key, sizeof *job);
        rc = job != NULL ? add_puts(db, job, puts, count, err) : ri_fail_nomem(err);
    }
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    rc = rc == RILLE_OK ? check_puts(db, job->requests, err) : rc;
    if (rc != RILLE_NEED && job != NULL) {
        ri_web_end(db->web, job);
    }
    ri_web_leave(db->web);
    return rc;
}

/* ---- the probe ---- */

enum probe_phase { PROBE_CREATE, PROBE_CREATE_AGAIN, PROBE_QUOTED, PROBE_UNQUOTED, PROBE_WRONG, PROBE_END };

typedef struct probe_job {
    ri_web_job job;
    s3_db *db;
    char name[32];
    char etag[RI_WEB_HEADER_MAX]; /* of what the key has now */
    bool looks; /* at what the key has: a write that was refused may have been a copy of one that was not */
    s3_fencing found;
} probe_job;

/* Different ones, so that their ETags differ. */
static const char *const probe_bodies[] = { "create", "again", "quoted", "unquoted", "wrong", "" };

static void put_condition(ri_web_request *request, const char *etag, bool quoted)
{
    char line[RI_WEB_HEADER_MAX + 32];
    size_t len = strlen(etag);
    bool has_quotes = len >= 2 && etag[0] == '"' && etag[len - 1] == '"';
    const char *bare = has_quotes ? etag + 1 : etag;
    size_t bare_len = has_quotes ? len - 2 : len;
    (void)snprintf(line, sizeof line, quoted ? "If-Match: \"%.*s\"" : "If-Match: %.*s", (int)bare_len, bare);
    ri_s3_put_header(request, line);
}

static int probe(probe_job *p, enum probe_phase phase, rille_err *err)
{
    const char *body = probe_bodies[phase];
    const char *method = phase == PROBE_END ? "DELETE" : "PUT";
    ri_web_request *request = ri_s3_add(p->db, &p->job, method, p->name, (const uint8_t *)body, strlen(body));
    if (request == NULL) {
        return ri_fail_nomem(err);
    }
    switch (phase) {
    case PROBE_CREATE:
    case PROBE_CREATE_AGAIN:
        ri_s3_put_header(request, all_bare);
        break;
    case PROBE_QUOTED:
        put_condition(request, p->etag, true);
        break;
    case PROBE_UNQUOTED:
        put_condition(request, p->etag, false);
        break;
    case PROBE_WRONG:
        put_condition(request, "\"00000000000000000000000000000000\"", p->found == S3_FENCING_QUOTED);
        break;
    case PROBE_END:
        break;
    }
    p->job.phase = (unsigned)phase;
    return RILLE_OK;
}

/* Nothing to rely on. */
static int give_up(probe_job *p, rille_err *err)
{
    p->found = S3_FENCING_NONE;
    return probe(p, PROBE_END, err);
}

static int look(probe_job *p, rille_err *err)
{
    p->looks = true;
    return ri_s3_add(p->db, &p->job, "GET", p->name, NULL, 0) != NULL ? RILLE_OK : ri_fail_nomem(err);
}

static bool has_body(const ri_web_request *answer, const char *body)
{
    return answer->answer.len == strlen(body) && memcmp(answer->answer.p, body, answer->answer.len) == 0;
}

static int advance_probe(ri_web *web, ri_web_job *job, const ri_web_request *answer, rille_err *err)
{
    probe_job *p = (probe_job *)job;
    bool done = is_done(answer) && (!p->looks || has_body(answer, probe_bodies[job->phase]));
    bool is_wanted = job->phase == PROBE_CREATE || job->phase == PROBE_QUOTED || job->phase == PROBE_UNQUOTED;
    (void)web;
    if (!done && is_wanted && !p->looks) {
        return look(p, err);
    }
    p->looks = false;
    if (done && job->phase < PROBE_WRONG) {
        (void)snprintf(p->etag, sizeof p->etag, "%s", answer->etag);
    }
    switch ((enum probe_phase)job->phase) {
    case PROBE_CREATE:
        return done ? probe(p, PROBE_CREATE_AGAIN, err) : give_up(p, err);
    case PROBE_CREATE_AGAIN:
        return done || p->etag[0] == '\0' ? give_up(p, err) : probe(p, PROBE_QUOTED, err);
    case PROBE_QUOTED:
        p->found = done ? S3_FENCING_QUOTED : S3_FENCING_UNKNOWN;
        return probe(p, done ? PROBE_WRONG : PROBE_UNQUOTED, err);
    case PROBE_UNQUOTED:
        p->found = S3_FENCING_UNQUOTED;
        return done ? probe(p, PROBE_WRONG, err) : give_up(p, err);
    case PROBE_WRONG:
        return done ? give_up(p, err) : probe(p, PROBE_END, err);
    case PROBE_END:
        break;
    }
    return RILLE_OK;
}

static int begin_probe(s3_db *db, uint64_t key, ri_web_job **out, rille_err *err)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    *out = ri_web_begin(db->web, key, sizeof(probe_job));
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    probe_job *p = (probe_job *)*out;
    ri_random_bytes(random, sizeof random);
    ri_hex(hex, random, sizeof random);
    (void)snprintf(p->name, sizeof p->name, ".tmp-%s", hex);
    p->db = db;
    p->job.advance = advance_probe;
    return probe(p, PROBE_CREATE, err);
}

/* RILLE_NEED until it is known how to swap. Behind the lock. */
static int find_fencing(s3_db *db, rille_err *err)
{
    static const rille_want_op own = RILLE_WANT_DROP;
    uint64_t key = ri_mix64(ri_key_bare(own) + 1);
    int rc = RILLE_OK;
    if (db->fencing == S3_FENCING_UNKNOWN) {
        ri_web_job *job = ri_web_find(db->web, key);
        rc = job == NULL ? begin_probe(db, key, &job, err) : RILLE_OK;
        rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
        if (rc == RILLE_OK) {
            db->fencing = ((probe_job *)job)->found;
        }
        if (rc != RILLE_NEED && job != NULL) {
            ri_web_end(db->web, job);
        }
    }
    bool allowed = db->options.fencing != NULL && strcmp(db->options.fencing, "none") == 0;
    if (rc == RILLE_OK && db->fencing == S3_FENCING_NONE && !allowed) {
        return ri_fail(
            err, RILLE_UNSUPPORTED,
            "%s: the store ignores conditions (If-Match, If-None-Match), so two writers at once would lose "
            "commits: use another store, or, where there is never more than one writer, pass fencing = \"none\"",
            db->shown);
    }
    return rc;
}

/* ---- heads ---- */

enum swap_phase { SWAP_OBJECTS, SWAP_HEAD };

typedef struct swap_job {
    ri_web_job job;
    s3_db *db;
    ri_layout_name name;
    rille_revision expected;
    uint8_t *cell;
    size_t cell_len;
} swap_job;

static void deinit_swap(ri_web_job *job)
{
    ri_free(((swap_job *)job)->cell);
}

static int send_head(swap_job *s, rille_err *err)
{
    static const rille_revision none;
    char etag[40];
    s->job.phase = SWAP_HEAD;
    ri_web_request *request = ri_s3_add(s->db, &s->job, "PUT", s->name.text, s->cell, s->cell_len);
    if (request == NULL) {
        return ri_fail_nomem(err);
    }
    ri_s3_put_header(request, ask_each_time);
    if (s->db->fencing == S3_FENCING_NONE) {
        return RILLE_OK;
    }
    if (memcmp(&s->expected, &none, sizeof none) == 0) {
        ri_s3_put_header(request, all_bare);
    } else if (ri_web_revision_etag(&s->expected, etag)) {
        put_condition(request, etag, s->db->fencing == S3_FENCING_QUOTED);
    } else {
        return ri_fail(err, RILLE_INTERNAL, "%s: a revision of the branch is not an ETag", s->db->shown);
    }
    return RILLE_OK;
}

static int advance_swap(ri_web *web, ri_web_job *job, const ri_web_request *answers, rille_err *err)
{
    swap_job *s = (swap_job *)job;
    (void)web;
    if (job->phase == SWAP_HEAD) {
        return RILLE_OK;
    }
    RI_TRY(check_puts(s->db, answers, err));
    return send_head(s, err);
}

/* A new database gets its marker, as file: needs it. */
static int add_marker(s3_db *db, ri_web_job *job, rille_err *err)
{
    static const char text[] = RI_LAYOUT_MARKER_TEXT;
    ri_web_request *request = ri_s3_add(db, job, "PUT", RI_LAYOUT_MARKER, (const uint8_t *)text, sizeof text - 1);
    return request != NULL ? RILLE_OK : ri_fail_nomem(err);
}

static int begin_swap(s3_db *db, uint64_t key, const rille_head_swap *swap, ri_web_job **out, rille_err *err)
{
    static const rille_revision none;
    *out = ri_web_begin(db->web, key, sizeof(swap_job));
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    swap_job *s = (swap_job *)*out;
    s->job.advance = advance_swap;
    s->job.deinit = deinit_swap;
    s->db = db;
    s->expected = swap->expected;
    s->cell = ri_alloc(swap->cell_len + 1);
    if (s->cell == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(s->cell, swap->cell, swap->cell_len);
    s->cell_len = swap->cell_len;
    RI_TRY(ri_layout_head(swap->branch, "", db->shown, &s->name, err));
    bool creates = memcmp(&swap->expected, &none, sizeof none) == 0;
    if (!creates && swap->put_count == 0) {
        return send_head(s, err);
    }
    s->job.phase = SWAP_OBJECTS;
    RI_TRY(creates ? add_marker(db, *out, err) : RILLE_OK);
    return add_puts(db, *out, swap->puts, swap->put_count, err);
}

/* The head was sent, perhaps more than once, and nobody said what came of it. */
static int fail_open(const ri_web_job *job, int rc, rille_err *err)
{
    const ri_web_request *head = job->requests;
    bool is_open =
        job->phase == SWAP_HEAD && head != NULL && (head->tries > 1 || head->status == 0 || head->status >= 500);
    if (!is_open || rc >= 0) {
        return rc;
    }
    ri_err_append(err, "; it is unknown whether the transaction was committed: commit something else, then look");
    return rc;
}

static int take_swap(const s3_db *db, const ri_web_job *job, rille_revision *revision, rille_err *err)
{
    const ri_web_request *head = job->requests;
    if (head->status == 412 || head->status == 404) {
        return RILLE_CONFLICT;
    }
    if (!is_done(head)) {
        return ri_fail(err, RILLE_IO, "%s: the server refused to store the head (status %d)", db->shown, head->status);
    }
    if (!ri_web_etag_revision(head->etag, revision)) { /* whoever comes next reads it */
        *revision = (rille_revision){ { 'u', 'n', 'k', 'n', 'o', 'w', 'n' } };
    }
    return RILLE_OK;
}

int ri_s3_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_head_swap(swap);
    ri_web_enter(db->web);
    int rc = find_fencing(db, err);
    ri_web_job *job = rc == RILLE_OK ? ri_web_find(db->web, key) : NULL;
    if (rc == RILLE_OK && job == NULL) {
        rc = begin_swap(db, key, swap, &job, err);
    }
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    if (rc != RILLE_NEED && job != NULL) {
        rc = rc == RILLE_OK ? take_swap(db, job, revision, err) : fail_open(job, rc, err);
        ri_web_end(db->web, job);
    }
    ri_web_leave(db->web);
    return rc;
}
