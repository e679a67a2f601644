/* SPDX-License-Identifier: MIT
 *
 * Ranges and heads over HTTP.
 *
 * A round trip to a far server takes as long as some hundred kilobytes: ranges of one object with a small gap between
 * them are one request, in which gaps are not more than what was asked for. Answers are cut up again by the caller's ranges.
 */
#include "web_objects.h"

#include "../core/base/bytes.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "call_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GAP_BYTES_MAX ((uint64_t)32 << 10)
#define PART_BYTES_MAX ((uint64_t)512 << 10) /* of neighbours: parts come side by side */
#define SAFE_AGE_S 2                         /* of a file whose time counts seconds */

void ri_web_place_deinit(ri_web_place *place)
{
    ri_buf_deinit(&place->whole_bytes);
}

/* ---- ranges ---- */

/* A request: a part of an object, or all of it (len 0). */
typedef struct part {
    rille_object_id object;
    uint64_t offset;
    uint64_t len;
    uint64_t gap_bytes; /* in it */
} part;

typedef struct gets_job {
    ri_web_job job;
    size_t part_count;
    size_t *part_of; /* of each get; SIZE_MAX: it is answered already */
    part *parts;
    rille_get *early; /* the answers to those */
    size_t count;
} gets_job;

static void gets_deinit(ri_web_job *job)
{
    gets_job *gets = (gets_job *)job;
    for (size_t i = 0; i < gets->count; i++) {
        ri_free(gets->early[i].bytes);
    }
    ri_free(gets->early);
    ri_free(gets->part_of);
    ri_free(gets->parts);
}

static bool same_object(const rille_object_id *a, const rille_object_id *b)
{
    return a->kind == b->kind && memcmp(a->id, b->id, RILLE_ID_SIZE) == 0;
}

static int compare_gets(const rille_get *a, const rille_get *b)
{
    int order = a->object.kind - b->object.kind;
    order = order != 0 ? order : memcmp(a->object.id, b->object.id, RILLE_ID_SIZE);
    return order != 0 ? order : a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Insertion: there are few, and they mostly come in order. */
static void sort_gets(const rille_get *gets, size_t count, size_t *order)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        while (at > 0 && compare_gets(&gets[order[at - 1]], &gets[i]) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

/* Bytes that nobody asked for between a part and what follows. */
static uint64_t gap_before(const part *last, const rille_get *get)
{
    uint64_t end = last->offset + last->len;
    return get->offset > end ? get->offset - end : 0;
}

static bool joins(const part *last, const rille_get *get, bool whole)
{
    if (!same_object(&last->object, &get->object)) {
        return false;
    }
    if (whole || last->len == 0) {
        return whole || last->offset == 0;
    }
    if (get->len == 0 || get->len > PART_BYTES_MAX || last->len > PART_BYTES_MAX || get->offset > UINT64_MAX / 2) {
        return false;
    }
    uint64_t gap = gap_before(last, get);
    return gap <= GAP_BYTES_MAX && last->gap_bytes + gap <= last->len - last->gap_bytes + get->len &&
           get->offset + get->len - last->offset <= PART_BYTES_MAX;
}

static void add_get(gets_job *job, const rille_get *get, bool whole)
{
    part *last = job->part_count > 0 ? &job->parts[job->part_count - 1] : NULL;
    if (last != NULL && joins(last, get, whole)) {
        uint64_t end = get->offset + get->len;
        if (last->len != 0 && end > last->offset + last->len) {
            last->gap_bytes += gap_before(last, get);
            last->len = end - last->offset;
        }
        return;
    }
    job->parts[job->part_count++] = (part){ get->object, whole ? 0 : get->offset, whole ? 0 : get->len, 0 };
}

/* To the end, from one byte before: there is one, also where nothing follows, and so an answer. */
static int request_part(ri_web *web, const ri_web_place *place, ri_web_job *job, const part *p, size_t tag,
                        rille_err *err)
{
    ri_layout_name name;
    ri_buf url = { 0 };
    if (!ri_layout_object(&p->object, &name)) {
        return ri_fail(err, RILLE_MISUSE, "%s: nodes are stored in packs, not as single objects", place->shown);
    }
    place->put_url(place->context, name.text, &url);
    ri_web_request *request = ri_web_add(web, job, "GET", &url, NULL, 0);
    if (request == NULL) {
        return ri_fail_nomem(err);
    }
    request->answer_max = RI_WEB_OBJECT_BYTES_MAX;
    request->answer_most = p->len < RI_WEB_OBJECT_BYTES_MAX ? (size_t)p->len : 0;
    request->tag = tag;
    if (p->offset > 0 || p->len > 0) {
        char line[80];
        if (p->len > 0) {
            (void)snprintf(line, sizeof line, "Range: bytes=%" PRIu64 "-%" PRIu64, p->offset, p->offset + p->len - 1);
        } else {
            (void)snprintf(line, sizeof line, "Range: bytes=%" PRIu64 "-", p->offset - 1);
        }
        ri_buf_put(&request->headers, line, strlen(line) + 1);
    }
    return RILLE_OK;
}

static bool is_kept(const ri_web_place *place, const rille_object_id *object)
{
    return place->whole_bytes.len > 0 && same_object(&place->whole, object);
}

static int cut(const uint8_t *bytes, size_t len, uint64_t begin, rille_get *get)
{
    if (get->offset < begin || get->offset - begin > len || len - (get->offset - begin) < get->len) {
        return RILLE_CORRUPT;
    }
    const uint8_t *from = bytes + (get->offset - begin);
    size_t wanted = get->len != 0 ? (size_t)get->len : len - (size_t)(get->offset - begin);
    get->bytes = ri_alloc(wanted);
    if (get->bytes == NULL) {
        return RILLE_NOMEM;
    }
    memcpy(get->bytes, from, wanted);
    get->bytes_len = wanted;
    return RILLE_OK;
}

static bool make_room(gets_job *job, size_t count)
{
    job->part_of = ri_alloc_array(count + 1, sizeof *job->part_of);
    job->parts = ri_alloc_array(count + 1, sizeof *job->parts);
    job->early = ri_alloc_zero((count + 1) * sizeof *job->early);
    job->count = job->early != NULL ? count : 0;
    return job->part_of != NULL && job->parts != NULL && job->early != NULL;
}

static int fill_gets(ri_web *web, const ri_web_place *place, gets_job *job, const rille_get *gets, size_t count,
                     rille_err *err)
{
    size_t *order = ri_alloc_array(count + 1, sizeof *order);
    if (order == NULL || !make_room(job, count)) {
        ri_free(order);
        return ri_fail_nomem(err);
    }
    sort_gets(gets, count, order);
    for (size_t i = 0; i < count; i++) {
        size_t at = order[i];
        if (is_kept(place, &gets[at].object)) {
            job->part_of[at] = SIZE_MAX;
            job->early[at] = gets[at];
            job->early[at].bytes = NULL;
            job->early[at].rc = cut(place->whole_bytes.p, place->whole_bytes.len, 0, &job->early[at]);
        } else {
            add_get(job, &gets[at], place->lacks_ranges);
            job->part_of[at] = job->part_count - 1;
        }
    }
    ri_free(order);
    for (size_t i = 0; i < job->part_count; i++) {
        RI_TRY(request_part(web, place, &job->job, &job->parts[i], i, err));
    }
    return RILLE_OK;
}

static int begin_gets(ri_web *web, const ri_web_place *place, uint64_t key, const rille_get *gets, size_t count,
                      ri_web_job **out, rille_err *err)
{
    *out = ri_web_begin(web, key, sizeof(gets_job));
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    (*out)->deinit = gets_deinit;
    int rc = fill_gets(web, place, (gets_job *)*out, gets, count, err);
    if (rc != RILLE_OK) {
        ri_web_end(web, *out);
        *out = NULL;
    }
    return rc;
}

/* ---- answers ---- */

/* Bytes of something else under the right name. */
static int check_kind(const ri_web_place *place, const ri_web_request *answer, rille_err *err)
{
    if (answer->encoding[0] != '\0' && strcasecmp(answer->encoding, "identity") != 0) {
        return ri_fail(err, RILLE_IO,
                       "%s: the server compresses what it sends (%s), although it was asked not to: turn that off for "
                       "the database's files",
                       place->shown, answer->encoding);
    }
    if (answer->status < 300 && strncasecmp(answer->type, "text/html", 9) == 0) {
        return ri_fail(
            err, RILLE_FOREIGN,
            "%s: expected a file of the database, got a web page (HTML): is there a proxy or a login page in "
            "between?",
            place->shown);
    }
    return RILLE_OK;
}

/* Where the bytes of the answer begin in the object. */
static bool answer_begins(const ri_web_request *answer, uint64_t *offset)
{
    if (answer->status != 206) {
        *offset = 0;
        return true;
    }
    return sscanf(answer->range, "bytes %" SCNu64 "-", offset) == 1;
}

static bool is_missing(const ri_web_request *answer)
{
    return answer->status == 404 || answer->status == 410;
}

/* And not a text that explains another status. */
static bool has_bytes(const ri_web_request *answer)
{
    return answer->status == 200 || answer->status == 206;
}

static int cut_answer(const ri_web_request *answer, rille_get *get)
{
    uint64_t begin;
    if (is_missing(answer)) {
        return RILLE_NOTFOUND;
    }
    if (!has_bytes(answer) || !answer_begins(answer, &begin)) {
        return RILLE_CORRUPT;
    }
    return cut(answer->answer.p, answer->answer.len, begin, get);
}

/* The whole of a large object is not fetched again for each of its nodes. */
static void keep_whole(ri_web_place *place, const gets_job *job, ri_web_request *answer)
{
    if (place->lacks_ranges && answer->status == 200) {
        ri_buf_deinit(&place->whole_bytes);
        place->whole_bytes = answer->answer;
        place->whole = job->parts[answer->tag].object;
        answer->answer = (ri_buf){ 0 };
    }
}

static const ri_web_request *answer_of(const ri_web_job *job, size_t tag)
{
    const ri_web_request *answer = job->requests;
    while (answer->tag != tag) {
        answer = answer->next;
    }
    return answer;
}

/* What a request took is counted at the first of the ranges that share it. */
static void count_gets(const ri_web_job *job, rille_get *gets, size_t count)
{
    const gets_job *own = (const gets_job *)job;
    for (const ri_web_request *answer = job->requests; answer != NULL; answer = answer->next) {
        size_t i = 0;
        while (i < count && own->part_of[i] != answer->tag) {
            i++;
        }
        if (i < count) {
            gets[i].requests = answer->times_sent;
            gets[i].received_bytes = answer->received_bytes;
        }
    }
}

static int take_gets(ri_web_place *place, const ri_web_job *job, rille_get *gets, size_t count, rille_err *err)
{
    const gets_job *own = (const gets_job *)job;
    for (const ri_web_request *answer = job->requests; answer != NULL; answer = answer->next) {
        RI_TRY(check_kind(place, answer, err));
    }
    for (size_t i = 0; i < count; i++) {
        gets[i].bytes = NULL;
        gets[i].bytes_len = 0;
        if (own->part_of[i] == SIZE_MAX) {
            gets[i] = own->early[i];
            own->early[i].bytes = NULL;
        } else {
            gets[i].rc = cut_answer(answer_of(job, own->part_of[i]), &gets[i]);
        }
    }
    for (ri_web_request *answer = job->requests; answer != NULL; answer = answer->next) {
        const part *p = &own->parts[answer->tag];
        place->lacks_ranges = place->lacks_ranges || (answer->status == 200 && (p->len > 0 || p->offset > 0));
        keep_whole(place, own, answer);
    }
    return RILLE_OK;
}

int ri_web_get_many(ri_web *web, ri_web_place *place, rille_get *gets, size_t count, rille_err *err)
{
    uint64_t key = ri_key_gets(gets, count);
    int rc = RILLE_OK;
    ri_web_enter(web);
    ri_web_job *job = ri_web_find(web, key);
    if (job == NULL) {
        rc = begin_gets(web, place, key, gets, count, &job, err);
    }
    if (rc == RILLE_OK && (rc = ri_web_run(web, job, err)) != RILLE_NEED) {
        rc = rc == RILLE_OK ? take_gets(place, job, gets, count, err) : rc;
        count_gets(job, gets, count);
        ri_web_end(web, job);
    }
    ri_web_leave(web);
    return rc;
}

/* ---- heads ---- */

bool ri_web_revision_etag(const rille_revision *revision, char out[40])
{
    size_t len = 0;
    while (len < sizeof revision->bytes && revision->bytes[len] != 0) {
        uint8_t c = revision->bytes[len];
        if (c <= ' ' || c > '~' || c == '"') {
            return false;
        }
        len++;
    }
    bool weak = len >= 2 && memcmp(revision->bytes, "W/", 2) == 0;
    size_t from = weak ? 2 : 0;
    (void)snprintf(out, 40, "%s\"%.*s\"", weak ? "W/" : "", (int)(len - from), (const char *)revision->bytes + from);
    return len > from;
}

bool ri_web_etag_revision(const char *etag, rille_revision *out)
{
    char again[40];
    size_t n = 0;
    *out = (rille_revision){ { 0 } };
    for (const char *c = etag; *c != '\0'; c++) {
        if (*c != '"') {
            if (n == sizeof out->bytes) {
                return false;
            }
            out->bytes[n++] = (uint8_t)*c;
        }
    }
    return ri_web_revision_etag(out, again);
}

static int begin_head(ri_web *web, const ri_web_place *place, uint64_t key, const char *branch,
                      const rille_revision *known, ri_web_job **out, rille_err *err)
{
    ri_layout_name name;
    ri_buf url = { 0 };
    char etag[40];
    *out = NULL;
    RI_TRY(ri_layout_head(branch, "", place->shown, &name, err));
    place->put_url(place->context, name.text, &url);
    ri_web_job *job = ri_web_begin(web, key, sizeof *job);
    ri_web_request *request = job != NULL ? ri_web_add(web, job, "GET", &url, NULL, 0) : NULL;
    if (request == NULL) {
        ri_buf_deinit(&url);
        if (job != NULL) {
            ri_web_end(web, job);
        }
        return ri_fail_nomem(err);
    }
    static const char whole[] = "Range: bytes=0-"; /* the answer says whether there are ranges */
    ri_buf_put(&request->headers, whole, sizeof whole);
    if (known != NULL && ri_web_revision_etag(known, etag)) {
        char line[64];
        (void)snprintf(line, sizeof line, "If-None-Match: %s", etag);
        ri_buf_put(&request->headers, line, strlen(line) + 1);
    }
    request->answer_max = RI_WEB_HEAD_BYTES_MAX;
    *out = job;
    return RILLE_OK;
}

/* A file server makes an ETag of a time in seconds: it may name two states of a file that was just written (RFC 9110, 8.8.2.2).
 */
static bool is_settled(const ri_web_request *answer)
{
    int64_t modified = ri_web_date_s(answer->modified);
    int64_t now = ri_web_date_s(answer->date);
    return modified == -1 || now == -1 || now - modified >= SAFE_AGE_S;
}

static int take_head(ri_web_place *place, ri_web_job *job, const char *branch, const rille_revision *known,
                     rille_head *out, rille_err *err)
{
    ri_web_request *answer = job->requests;
    rille_revision revision;
    RI_TRY(check_kind(place, answer, err));
    if (answer->status == 304 && known != NULL) {
        return RILLE_DONE;
    }
    if (is_missing(answer)) {
        return ri_fail(err, RILLE_NOTFOUND, "%s: there is no branch \"%s\" of a database at this URL", place->shown,
                       branch);
    }
    if (answer->status == 416) { /* there is no first byte */
        ri_buf_clear(&answer->answer);
    } else if (!has_bytes(answer)) { /* 304 without a condition, too */
        return ri_fail(err, RILLE_IO, "%s: the server answered with status %d, which is none for what was asked",
                       place->shown, answer->status);
    }
    place->lacks_ranges = place->lacks_ranges || answer->status == 200;
    if ((!place->etags_are_of_content && !is_settled(answer)) || !ri_web_etag_revision(answer->etag, &revision)) {
        ri_blake2b(revision.bytes, answer->answer.p, answer->answer.len);
    }
    if (known != NULL && memcmp(known, &revision, sizeof revision) == 0) {
        return RILLE_DONE;
    }
    size_t len;
    uint8_t *bytes = ri_buf_take(&answer->answer, &len);
    if (bytes == NULL) {
        return ri_fail_nomem(err);
    }
    *out = (rille_head){ bytes, len, revision };
    return RILLE_OK;
}

int ri_web_head_read(ri_web *web, ri_web_place *place, const char *branch, const rille_revision *known, rille_head *out,
                     rille_err *err)
{
    uint64_t key = ri_web_own_key(ri_key_head_read(branch, known));
    int rc = RILLE_OK;
    *out = (rille_head){ 0 };
    ri_web_enter(web);
    ri_web_job *job = ri_web_find(web, key);
    if (job == NULL) {
        rc = begin_head(web, place, key, branch, known, &job, err);
    }
    if (rc == RILLE_OK && (rc = ri_web_run(web, job, err)) != RILLE_NEED) {
        rc = rc == RILLE_OK ? take_head(place, job, branch, known, out, err) : rc;
        ri_web_end(web, job);
    }
    ri_web_leave(web);
    return rc;
}
