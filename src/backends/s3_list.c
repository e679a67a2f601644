/* SPDX-License-Identifier: MIT
 *
 * Objects and heads of s3: listed and deleted.
 *
 * Names come by ListObjectsV2, in pages of up to 1,000, one after the other. A drop deletes the heads, then the objects, then the
 * marker: stopped in the middle, it leaves objects without heads, which are refused as a damaged database and can be dropped again.
 */
#include "s3_own.h"

#include <stdio.h>

#define NAMES_BYTES_MAX ((size_t)1 << 30) /* some 15 million objects */

/* ---- pages ---- */

typedef struct list_job {
    ri_web_job job;
    s3_db *db;
    const char *folder; /* "packs/", "blobs/", "heads/" */
    char token[2048];   /* of the page that was asked for last, or "" */
    ri_buf names;       /* what follows the last / of each key, each with a 0 */
    size_t count;
} list_job;

static void deinit_list(ri_web_job *job)
{
    ri_buf_deinit(&((list_job *)job)->names);
}

/* Parameters in the order of their names, as signing wants them. */
static int request_page(list_job *l, const char *token, rille_err *err)
{
    s3_db *db = l->db;
    (void)snprintf(l->token, sizeof l->token, "%s", token);
    ri_buf url = { 0 };
    ri_buf prefix = { 0 };
    ri_buf_put_text(&url, db->bucket_url);
    ri_buf_put_text(&url, "?");
    if (token[0] != '\0') {
        ri_buf_put_text(&url, "continuation-token=");
        ri_web_put_encoded(&url, token, false);
        ri_buf_put_text(&url, "&");
    }
    ri_buf_put_text(&url, "encoding-type=url&list-type=2&prefix=");
    ri_buf_put_text(&prefix, db->prefix);
    ri_buf_put_text(&prefix, l->folder);
    ri_buf_put_u8(&prefix, 0);
    if (!prefix.failed) {
        ri_web_put_encoded(&url, (const char *)prefix.p, false);
    }
    bool failed = prefix.failed;
    ri_buf_deinit(&prefix);
    ri_web_request *request = ri_web_add(db->web, &l->job, "GET", &url, NULL, 0);
    if (failed || request == NULL) {
        return ri_fail_nomem(err);
    }
    request->answer_max = (size_t)16 << 20;
    return RILLE_OK;
}

/* Takes %XX apart, in place. */
static size_t plain_text(char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? ri_hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? ri_hex_digit(text[i + 2]) : -1;
        if (low >= 0) {
            text[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[n++] = text[i];
        }
    }
    return n;
}

static void take_key(list_job *l, char *key, size_t len)
{
    len = plain_text(key, len);
    size_t from = len;
    while (from > 0 && key[from - 1] != '/') {
        from--;
    }
    if (from < len && memchr(key + from, 0, len - from) == NULL) {
        ri_buf_put(&l->names, key + from, len - from);
        ri_buf_put_u8(&l->names, 0);
        l->count++;
    }
}

static void take_keys(list_job *l, const ri_buf *answer)
{
    static const char open[] = "<Key>";
    for (size_t at = 0; at + sizeof open - 1 <= answer->len; at++) {
        if (memcmp(answer->p + at, open, sizeof open - 1) == 0) {
            char *key = (char *)answer->p + at + sizeof open - 1;
            const char *end = memchr(key, '<', answer->len - at - (sizeof open - 1));
            if (end == NULL) {
                return;
            }
            at = (size_t)((const uint8_t *)end - answer->p) - 1; /* what a key has in it is not XML */
            take_key(l, key, (size_t)(end - key));
        }
    }
}

static int advance_list(ri_web *web, ri_web_job *job, const ri_web_request *answer, rille_err *err)
{
    list_job *l = (list_job *)job;
    char truncated[16];
    char token[2048];
    (void)web;
    if (answer->status != 200) {
        return ri_fail(err, RILLE_IO, "%s: the server did not list the bucket (status %d)", l->db->shown,
                       answer->status);
    }
    bool is_part =
        ri_s3_element(&answer->answer, "IsTruncated", truncated, sizeof truncated) && strcmp(truncated, "true") == 0;
    bool has_token = ri_s3_element(&answer->answer, "NextContinuationToken", token, sizeof token) && token[0] != '\0';
    take_keys(l, &answer->answer); /* decodes keys in place: after the rest */
    if (l->names.failed) {
        return ri_fail_nomem(err);
    }
    if (!is_part) {
        return RILLE_OK;
    }
    if (!has_token) {
        return ri_fail(err, RILLE_IO, "%s: the server gave a part of a list without its continuation", l->db->shown);
    }
    if (strcmp(token, l->token) == 0 || l->names.len > NAMES_BYTES_MAX) {
        return ri_fail(err, RILLE_IO, "%s: the server's list does not end: check the store", l->db->shown);
    }
    return request_page(l, token, err);
}

/* RILLE_NEED until the names are there; then *out is the job, which the caller ends. Behind the lock. */
static int list_folder(s3_db *db, uint64_t key, const char *folder, list_job **out, rille_err *err)
{
    ri_web_job *job = ri_web_find(db->web, key);
    int rc = RILLE_OK;
    *out = NULL;
    if (job == NULL) {
        job = ri_web_begin(db->web, key, sizeof(list_job));
        if (job == NULL) {
            return ri_fail_nomem(err);
        }
        list_job *l = (list_job *)job;
        l->db = db;
        l->folder = folder;
        job->advance = advance_list;
        job->deinit = deinit_list;
        rc = request_page(l, "", err);
    }
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    if (rc == RILLE_OK) {
        *out = (list_job *)job;
    } else if (rc != RILLE_NEED) {
        ri_web_end(db->web, job);
    }
    return rc;
}

/* ---- slots ---- */

static const char *name_at(const list_job *l, size_t *at)
{
    const char *name = (const char *)l->names.p + *at;
    *at += strlen(name) + 1;
    return name;
}

static int take_heads(const list_job *l, char **names, size_t *count, rille_err *err)
{
    ri_buf found = { 0 };
    size_t len;
    size_t at = 0;
    for (size_t i = 0; i < l->count; i++) {
        char branch[RI_LAYOUT_BRANCH_LEN_MAX + 1];
        if (ri_layout_branch(name_at(l, &at), branch)) {
            ri_buf_put(&found, branch, strlen(branch) + 1);
            (*count)++;
        }
    }
    *names = (char *)ri_buf_take(&found, &len);
    ri_buf_deinit(&found);
    if (*names == NULL) {
        *count = 0;
        return ri_fail_nomem(err);
    }
    return RILLE_OK;
}

int ri_s3_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    s3_db *db = self;
    list_job *l;
    *names = NULL;
    *count = 0;
    ri_web_enter(db->web);
    int rc = list_folder(db, ri_web_own_key(ri_key_bare(RILLE_WANT_HEAD_LIST)), "heads/", &l, err);
    if (rc == RILLE_OK) {
        rc = take_heads(l, names, count, err);
        ri_web_end(db->web, &l->job);
    }
    ri_web_leave(db->web);
    return rc;
}

static int take_ids(const list_job *l, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    const char *suffix = kind == RILLE_OBJECT_PACK ? ".pack" : "";
    size_t at = 0;
    *ids = ri_alloc_array(l->count + 1, sizeof **ids);
    if (*ids == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < l->count; i++) {
        rille_object_id *id = &(*ids)[*count];
        id->kind = (uint8_t)kind;
        const char *name = name_at(l, &at);
        if (strlen(name) >= (size_t)2 * RILLE_ID_SIZE && ri_layout_id(name, suffix, id->id)) {
            (*count)++;
        }
    }
    return RILLE_OK;
}

int ri_s3_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    s3_db *db = self;
    list_job *l;
    *ids = NULL;
    *count = 0;
    ri_web_enter(db->web);
    int rc =
        list_folder(db, ri_web_own_key(ri_key_list(kind)), kind == RILLE_OBJECT_PACK ? "packs/" : "blobs/", &l, err);
    if (rc == RILLE_OK) {
        rc = take_ids(l, kind, ids, count, err);
        ri_web_end(db->web, &l->job);
    }
    ri_web_leave(db->web);
    return rc;
}

/* ---- deleting ---- */

/* Ends a job whose requests each delete something. */
static int run_to_end(s3_db *db, ri_web_job *job, int rc, rille_err *err)
{
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    if (rc != RILLE_NEED && job != NULL) {
        ri_web_end(db->web, job);
    }
    return rc;
}

static int add_deletes(s3_db *db, ri_web_job *job, const rille_object_id *ids, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        ri_layout_name name;
        if (ri_layout_object(&ids[i], &name) && ri_s3_add(db, job, "DELETE", name.text, NULL, 0) == NULL) {
            return ri_fail_nomem(err);
        }
    }
    return RILLE_OK;
}

int ri_s3_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_delete(ids, count);
    int rc = RILLE_OK;
    ri_web_enter(db->web);
    ri_web_job *job = ri_web_find(db->web, key);
    if (job == NULL) {
        job = ri_web_begin(db->web, key, sizeof *job);
        rc = job != NULL ? add_deletes(db, job, ids, count, err) : ri_fail_nomem(err);
    }
    rc = run_to_end(db, job, rc, err);
    ri_web_leave(db->web);
    return rc;
}

static int add_delete(s3_db *db, ri_web_job *job, const char *name, rille_err *err)
{
    return ri_s3_add(db, job, "DELETE", name, NULL, 0) != NULL ? RILLE_OK : ri_fail_nomem(err);
}

/* Deleting what is not there succeeds: so it is looked at first. */
typedef struct delete_job {
    ri_web_job job;
    s3_db *db;
    ri_layout_name name;
} delete_job;

static int advance_delete(ri_web *web, ri_web_job *job, const ri_web_request *answer, rille_err *err)
{
    delete_job *d = (delete_job *)job;
    (void)web;
    if (job->phase++ > 0) {
        return RILLE_OK;
    }
    return answer->status == 404 ? ri_fail(err, RILLE_NOTFOUND, "%s: there is no such branch", d->db->shown)
                                 : add_delete(d->db, job, d->name.text, err);
}

static int begin_delete(s3_db *db, uint64_t key, const char *branch, ri_web_job **out, rille_err *err)
{
    *out = ri_web_begin(db->web, key, sizeof(delete_job));
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    delete_job *d = (delete_job *)*out;
    d->db = db;
    d->job.advance = advance_delete;
    RI_TRY(ri_layout_head(branch, "", db->shown, &d->name, err));
    return ri_s3_add(db, *out, "HEAD", d->name.text, NULL, 0) != NULL ? RILLE_OK : ri_fail_nomem(err);
}

int ri_s3_head_delete(void *self, const char *branch, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_head_delete(branch);
    int rc = RILLE_OK;
    ri_web_enter(db->web);
    ri_web_job *job = ri_web_find(db->web, key);
    if (job == NULL) {
        rc = begin_delete(db, key, branch, &job, err);
    }
    rc = run_to_end(db, job, rc, err);
    ri_web_leave(db->web);
    return rc;
}

/* ---- drop ---- */

static const char *const folders[] = { "heads/", "packs/", "blobs/" };
#define FOLDER_COUNT (sizeof folders / sizeof *folders)

typedef struct drop_job {
    list_job list; /* of the folder whose turn it is */
    size_t folder;
    size_t removed;
    bool deletes; /* it has been listed */
} drop_job;

static int delete_listed(drop_job *d, rille_err *err)
{
    list_job *l = &d->list;
    size_t at = 0;
    for (size_t i = 0; i < l->count; i++) {
        const char *name = name_at(l, &at);
        ri_buf path = { 0 };
        ri_buf_put_text(&path, folders[d->folder]);
        if (strcmp(folders[d->folder], "blobs/") == 0) {
            ri_buf_put(&path, name, strlen(name) < 2 ? strlen(name) : 2);
            ri_buf_put_u8(&path, '/');
        }
        ri_buf_put_text(&path, name);
        ri_buf_put_u8(&path, 0);
        int rc = path.failed ? ri_fail_nomem(err) : add_delete(l->db, &l->job, (const char *)path.p, err);
        ri_buf_deinit(&path);
        RI_TRY(rc);
    }
    d->removed += l->count;
    d->deletes = true;
    return RILLE_OK;
}

static int next_folder(drop_job *d, rille_err *err)
{
    d->deletes = false;
    d->folder++;
    ri_buf_clear(&d->list.names);
    d->list.count = 0;
    if (d->folder < FOLDER_COUNT) {
        d->list.folder = folders[d->folder];
        return request_page(&d->list, "", err);
    }
    return d->folder == FOLDER_COUNT ? add_delete(d->list.db, &d->list.job, RI_LAYOUT_MARKER, err) : RILLE_OK;
}

static int advance_drop(ri_web *web, ri_web_job *job, const ri_web_request *answers, rille_err *err)
{
    drop_job *d = (drop_job *)job;
    if (d->folder >= FOLDER_COUNT) {
        return RILLE_OK;
    }
    if (!d->deletes) {
        RI_TRY(advance_list(web, job, answers, err));
        if (job->left > 0) { /* another page */
            return RILLE_OK;
        }
        RI_TRY(delete_listed(d, err));
        if (job->left > 0) {
            return RILLE_OK;
        }
    }
    return next_folder(d, err);
}

int ri_s3_drop(void *self, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_bare(RILLE_WANT_DROP);
    int rc = RILLE_OK;
    ri_web_enter(db->web);
    ri_web_job *job = ri_web_find(db->web, key);
    if (job == NULL) {
        job = ri_web_begin(db->web, key, sizeof(drop_job));
        rc = job != NULL ? RILLE_OK : ri_fail_nomem(err);
        if (rc == RILLE_OK) {
            drop_job *d = (drop_job *)job;
            d->list.db = db;
            d->list.folder = folders[0];
            job->advance = advance_drop;
            job->deinit = deinit_list;
            rc = request_page(&d->list, "", err);
        }
    }
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    if (rc == RILLE_OK && ((drop_job *)job)->removed == 0) {
        rc = ri_fail(err, RILLE_NOTFOUND, "%s: there is no database at this URL", db->shown);
    }
    if (rc != RILLE_NEED && job != NULL) {
        ri_web_end(db->web, job);
    }
    ri_web_leave(db->web);
    return rc;
}

/* ---- ages ---- */

static int64_t age_of(const ri_web_request *answer)
{
    int64_t written = ri_web_date_s(answer->modified);
    int64_t now = ri_web_date_s(answer->date);
    bool known = answer->status == 200 && written != -1 && now != -1;
    return !known ? -1 : written < now ? (now - written) * 1000 : 0;
}

int ri_s3_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err)
{
    s3_db *db = self;
    uint64_t key = ri_key_ages(ids, count);
    int rc = RILLE_OK;
    ri_web_enter(db->web);
    ri_web_job *job = ri_web_find(db->web, key);
    if (job == NULL) {
        job = ri_web_begin(db->web, key, sizeof *job);
        rc = job != NULL ? RILLE_OK : ri_fail_nomem(err);
        for (size_t i = 0; rc == RILLE_OK && i < count; i++) {
            ri_layout_name name;
            ri_web_request *request =
                ri_layout_object(&ids[i], &name) ? ri_s3_add(db, job, "HEAD", name.text, NULL, 0) : NULL;
            rc = request != NULL ? RILLE_OK : ri_fail_nomem(err);
            if (request != NULL) {
                request->tag = i;
            }
        }
    }
    rc = rc == RILLE_OK ? ri_web_run(db->web, job, err) : rc;
    for (const ri_web_request *answer = job != NULL && rc == RILLE_OK ? job->requests : NULL; answer != NULL;
         answer = answer->next) {
        ages_ms[answer->tag] = age_of(answer);
    }
    if (rc != RILLE_NEED && job != NULL) {
        ri_web_end(db->web, job);
    }
    ri_web_leave(db->web);
    return rc;
}
