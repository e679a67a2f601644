/* SPDX-License-Identifier: MIT
 *
 * s3://BUCKET/PREFIX?region=&endpoint=&style= - a bucket of AWS or of a compatible store. The keys are those of layout.h.
 *
 * This file: opening, what statuses mean, and the slots that read.
 */
#include "s3_own.h"

#include <stdio.h>

/* ---- requests ---- */

void ri_s3_put_url(const void *context, const char *name, ri_buf *out)
{
    const s3_db *db = context;
    ri_buf_put_text(out, db->bucket_url);
    ri_web_put_encoded(out, db->prefix, true);
    ri_web_put_encoded(out, name, true);
}

ri_web_request *ri_s3_add(s3_db *db, ri_web_job *job, const char *method, const char *name, const uint8_t *body,
                          size_t body_len)
{
    ri_buf url = { 0 };
    ri_s3_put_url(db, name, &url);
    ri_web_request *request = ri_web_add(db->web, job, method, &url, body, body_len);
    if (request != NULL) {
        request->answer_max = (size_t)1 << 20; /* of what is no object: XML */
    }
    return request;
}

void ri_s3_put_header(ri_web_request *request, const char *line)
{
    ri_buf_put(&request->headers, line, strlen(line) + 1);
}

static int sign(void *context, ri_web_request *request, ri_buf *headers, rille_err *err)
{
    s3_db *db = context;
    const ri_s3_keys *keys = &db->keys;
    if (db->role.service != RI_S3_NO_SERVICE) {
        int rc = ri_s3_role_keys(&db->role, db->web, &keys, err);
        if (rc != RILLE_OK) {
            return rc;
        }
        request->proof = db->role.number;
    }
    ri_s3_hash payload = ri_s3_hash_of(request->body, request->body_len);
    int64_t now_s = ri_clock_ms() / 1000 + db->clock_late_s;
    ri_s3_sign(keys, db->region, request->method, request->url, &payload, now_s, headers);
    return RILLE_OK;
}

/* ---- what a status means ---- */

bool ri_s3_element(const ri_buf *answer, const char *name, char *out, size_t size)
{
    char open[64];
    size_t open_len = (size_t)snprintf(open, sizeof open, "<%s>", name);
    out[0] = '\0';
    for (size_t at = 0; at + open_len <= answer->len; at++) {
        if (memcmp(answer->p + at, open, open_len) == 0) {
            const uint8_t *text = answer->p + at + open_len;
            const uint8_t *end = memchr(text, '<', answer->len - at - open_len);
            size_t len = end != NULL ? (size_t)(end - text) : size;
            if (len >= size) {
                return false;
            }
            memcpy(out, text, len);
            out[len] = '\0';
            return true;
        }
    }
    return false;
}

/* What stores say, and what to do about it. */
static const struct reason {
    const char *code; /* in the answer's XML */
    int rc;
    const char *text;
} reasons[] = {
    { "SignatureDoesNotMatch", RILLE_PERMISSION, "the secret key is wrong: check AWS_SECRET_ACCESS_KEY or secret_key" },
    { "InvalidAccessKeyId", RILLE_PERMISSION, "unknown access key: check AWS_ACCESS_KEY_ID or access_key" },
    { "ExpiredToken", RILLE_PERMISSION, "the session token has expired: get new credentials" },
    { "InvalidToken", RILLE_PERMISSION, "the session token is not valid: check AWS_SESSION_TOKEN or session_token" },
    { "RequestTimeTooSkewed", RILLE_PERMISSION,
      "this machine's clock differs too much from the server's: set it right" },
    { "AccessDenied", RILLE_PERMISSION, /* of Ceph also for a wrong key */
      "access denied: check access_key, secret_key and session_token, and what the bucket's policy allows" },
    { "AllAccessDisabled", RILLE_PERMISSION, "access to the bucket is disabled" },
    { "NoSuchBucket", RILLE_IO, "there is no such bucket: create it, or check its name and the endpoint" },
    { "InvalidBucketName", RILLE_SYNTAX, "the bucket's name is not valid" },
    { "QuotaExceeded", RILLE_FULL, "the quota of the bucket or its owner is exhausted" },
};

static int fail_redirect(const s3_db *db, const ri_web_request *request, rille_err *err)
{
    if (request->region[0] == '\0') {
        return ri_fail(err, RILLE_IO, "%s: the bucket is not in region %s: set region to the right one", db->shown,
                       db->region);
    }
    return ri_fail(err, RILLE_IO, "%s: the bucket is in region %s, not %s: set region=%s", db->shown, request->region,
                   db->region, request->region);
}

static int fail_status(const s3_db *db, const ri_web_request *request, rille_err *err)
{
    char code[64];
    bool has_code = ri_s3_element(&request->answer, "Code", code, sizeof code);
    for (size_t i = 0; has_code && i < sizeof reasons / sizeof *reasons; i++) {
        if (strcmp(reasons[i].code, code) == 0) {
            return ri_fail(err, reasons[i].rc, "%s: %s", db->shown, reasons[i].text);
        }
    }
    if (request->status == 301 || request->status == 307 ||
        (request->status == 400 && request->region[0] != '\0' && strcmp(request->region, db->region) != 0)) {
        return fail_redirect(db, request, err);
    }
    int rc = request->status == 401 || request->status == 403 ? RILLE_PERMISSION
             : request->status == 507                         ? RILLE_FULL
                                                              : RILLE_IO;
    return ri_fail(err, rc, "%s: the server answered with status %d%s%s (attempts: %u)", db->shown, request->status,
                   has_code ? ", " : "", code, request->tries);
}

/* What a server does not accept, but may when it is signed anew: once for each request. */
static bool repair(s3_db *db, ri_web_request *request)
{
    char code[64];
    if (request->is_repaired || !ri_s3_element(&request->answer, "Code", code, sizeof code)) {
        return false;
    }
    int64_t date_s = ri_web_date_s(request->date);
    if (strcmp(code, "RequestTimeTooSkewed") == 0 && date_s != -1) {
        db->clock_late_s = date_s - ri_clock_ms() / 1000;
        request->is_repaired = true;
    } else if (db->role.service != RI_S3_NO_SERVICE &&
               (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "TokenRefreshRequired") == 0)) {
        ri_s3_role_forget(&db->role, request->proof);
        request->is_repaired = true;
    }
    return request->is_repaired;
}

static int judge(void *context, ri_web_request *request, rille_err *err)
{
    s3_db *db = context;
    char code[64];
    switch (request->status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 304:
    case 412:
    case 416:
        return RILLE_OK;
    case 404:
        if (!ri_s3_element(&request->answer, "Code", code, sizeof code) || strcmp(code, "NoSuchBucket") != 0) {
            return RILLE_OK;
        }
        return fail_status(db, request, err);
    default:
        return repair(db, request) ? RILLE_NEED : fail_status(db, request, err);
    }
}

/* ---- slots that read ---- */

static int s3_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    s3_db *db = self;
    return ri_web_get_many(db->web, &db->place, gets, count, err);
}

static int s3_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    s3_db *db = self;
    char etag[40];
    int rc = ri_web_head_read(db->web, &db->place, branch, known, out, err);
    if (rc == RILLE_OK && !ri_web_revision_etag(&out->revision, etag)) {
        rille_free(out->bytes);
        *out = (rille_head){ 0 };
        rc = ri_fail(err, RILLE_UNSUPPORTED,
                     "%s: the store gives objects no ETag of at most 32 characters, which rille needs to know the "
                     "state of a branch",
                     db->shown);
    }
    return rc;
}

static void s3_wait(void *self, uint64_t timeout_ms)
{
    const s3_db *db = self;
    ri_web_wait(db->web, timeout_ms);
}

static void s3_cancel(void *self, const rille_want *call)
{
    const s3_db *db = self;
    ri_web_cancel(db->web, call);
}

static int s3_counters(void *self, rille_counters *out)
{
    const s3_db *db = self;
    return ri_web_counters(db->web, out);
}

static void s3_close(void *self)
{
    s3_db *db = self;
    ri_web_release(db->web);
    ri_web_place_deinit(&db->place);
    ri_web_options_deinit(&db->options);
    ri_s3_keys_deinit(&db->keys);
    ri_s3_role_deinit(&db->role);
    ri_free(db->region);
    ri_free(db->bucket_url);
    ri_free(db->prefix);
    ri_free(db->bucket);
    ri_free(db->shown);
    ri_free(db);
}

static const rille_backend_ops s3_ops = {
    .get_many = s3_get_many,
    .put_many = ri_s3_put_many,
    .head_read = s3_head_read,
    .head_swap = ri_s3_head_swap,
    .head_delete = ri_s3_head_delete,
    .head_list = ri_s3_head_list,
    .list = ri_s3_list,
    .delete_many = ri_s3_delete_many,
    .drop = ri_s3_drop,
    .close = s3_close,
    .ages = ri_s3_ages,
    .wait = s3_wait,
    .cancel = s3_cancel,
    .counters = s3_counters,
};

/* ---- opening ---- */

static bool put_text(char **place, ri_buf *text)
{
    size_t len;
    ri_buf_put_u8(text, 0);
    *place = (char *)ri_buf_take(text, &len);
    ri_buf_deinit(text);
    return *place != NULL;
}

/* Names that are also names of hosts, so that a certificate covers them. */
static bool is_host_name(const char *bucket)
{
    return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(bucket);
}

static int split_place(s3_db *db, const ri_remote *url, rille_err *err)
{
    ri_buf bucket = { 0 };
    ri_buf prefix = { 0 };
    size_t bucket_len = strcspn(url->place, "/");
    const char *rest = url->place + bucket_len;
    rest += strspn(rest, "/");
    size_t len = strlen(rest);
    while (len > 0 && rest[len - 1] == '/') {
        len--;
    }
    ri_buf_put(&bucket, url->place, bucket_len);
    ri_buf_put(&prefix, rest, len);
    if (len > 0) {
        ri_buf_put_u8(&prefix, '/');
    }
    bool has_bucket = put_text(&db->bucket, &bucket);
    bool has_prefix = put_text(&db->prefix, &prefix);
    db->shown = ri_web_copy_text(url->shown);
    if (db->shown == NULL || !has_bucket || !has_prefix) {
        return ri_fail_nomem(err);
    }
    return bucket_len > 0
               ? RILLE_OK
               : ri_fail(err, RILLE_SYNTAX, "%s: the URL has no bucket: write s3://BUCKET/PREFIX", db->shown);
}

static int check_choice(const s3_db *db, const char *name, const char *value, const char *a, const char *b,
                        rille_err *err)
{
    return value == NULL || strcmp(value, a) == 0 || strcmp(value, b) == 0
               ? RILLE_OK
               : ri_fail(err, RILLE_MISUSE, "%s: %s must be \"%s\" or \"%s\", got \"%.20s\"", db->shown, name, a, b,
                         value);
}

static int make_bucket_url(s3_db *db, rille_err *err)
{
    const char *endpoint = db->options.endpoint;
    const char *style = db->options.style;
    ri_buf url = { 0 };
    ri_buf host = { 0 };
    bool virtual = style != NULL ? strcmp(style, "virtual") == 0 : endpoint == NULL && is_host_name(db->bucket);
    if (endpoint != NULL) {
        if (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0) {
            return ri_fail(err, RILLE_SYNTAX, "%s: the endpoint \"%.80s\" must begin with http:// or https://",
                           db->shown, endpoint);
        }
        size_t scheme_len = (size_t)(strchr(endpoint, ':') - endpoint) + 3;
        size_t len = strlen(endpoint);
        while (len > scheme_len && endpoint[len - 1] == '/') {
            len--;
        }
        ri_buf_put(&url, endpoint, scheme_len);
        ri_buf_put(&host, endpoint + scheme_len, len - scheme_len);
    } else {
        ri_buf_put_text(&url, "https://");
        ri_buf_put_text(&host, "s3.");
        ri_buf_put_text(&host, db->region);
        ri_buf_put_text(&host, strncmp(db->region, "cn-", 3) == 0 ? ".amazonaws.com.cn" : ".amazonaws.com");
    }
    if (virtual) {
        ri_buf_put_text(&url, db->bucket);
        ri_buf_put_u8(&url, '.');
    }
    ri_buf_put(&url, host.p, host.len);
    ri_buf_put_u8(&url, '/');
    if (!virtual) {
        ri_web_put_encoded(&url, db->bucket, false);
        ri_buf_put_u8(&url, '/');
    }
    bool failed = host.failed || host.len == 0;
    ri_buf_deinit(&host);
    return put_text(&db->bucket_url, &url) && !failed ? RILLE_OK : ri_fail_nomem(err);
}

static int fill(s3_db *db, const ri_remote *url, rille_err *err)
{
    RI_TRY(split_place(db, url, err));
    RI_TRY(ri_web_options_read(url, RI_WEB_FOR_S3, &db->options, err));
    RI_TRY(check_choice(db, "style", db->options.style, "path", "virtual", err));
    RI_TRY(check_choice(db, "fencing", db->options.fencing, "auto", "none", err));
    RI_TRY(ri_s3_keys_find(&db->options, db->shown, &db->keys, &db->role, &db->region, err));
    if (db->region == NULL && db->options.endpoint == NULL) {
        return ri_fail(err, RILLE_SYNTAX, "%s: unknown region: add ?region=REGION to the URL, or set AWS_REGION",
                       db->shown);
    }
    if (db->region == NULL && (db->region = ri_web_copy_text("us-east-1")) == NULL) { /* what most others go by */
        return ri_fail_nomem(err);
    }
    return make_bucket_url(db, err);
}

static int start(s3_db *db, rille_err *err)
{
    db->place =
        (ri_web_place){ .put_url = ri_s3_put_url, .context = db, .shown = db->shown, .etags_are_of_content = true };
    db->fencing = db->options.endpoint == NULL ? S3_FENCING_QUOTED : S3_FENCING_UNKNOWN; /* AWS is documented */
    ri_web_client client = { .context = db,
                             .shown = db->shown,
                             .sign = sign,
                             .judge = judge,
                             .ca_file = db->options.ca_file,
                             .timeout_ms = db->options.timeout_ms };
    return ri_web_new(&client, &db->web, err);
}

int ri_backend_s3_open(const ri_remote *url, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    s3_db *db = ri_alloc_zero(sizeof *db);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = fill(db, url, err);
    rc = rc == RILLE_OK ? start(db, err) : rc;
    if (rc != RILLE_OK) {
        s3_close(db);
        return rc;
    }
    *out = (rille_backend){ &s3_ops, db, RILLE_BACKEND_DEFERRED | RILLE_BACKEND_THREADS };
    return RILLE_OK;
}
