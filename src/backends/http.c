/* SPDX-License-Identifier: MIT
 *
 * http: and https: - a directory of file: behind any web server, or a public bucket; read-only. The head has an ETag,
 * everything else never changes.
 */
#include "../core/base/mem.h"
#include "../core/store/backends.h"
#include "web_objects.h"
#include "web_options.h"

#include <string.h>

/* Internally locked by its ri_web. */
typedef struct http_db {
    ri_web *web;
    ri_web_place place;
    char *base;  /* scheme, host and path, encoded, with a / at its end */
    char *shown; /* the URL in messages */
    ri_web_options options;
    char *proof; /* the header that says who asks, or NULL */
} http_db;

static void put_url(const void *context, const char *name, ri_buf *out)
{
    const http_db *db = context;
    ri_buf_put_text(out, db->base);
    ri_web_put_encoded(out, name, true);
}

static int sign(void *context, ri_web_request *request, ri_buf *headers, rille_err *err)
{
    const http_db *db = context;
    (void)request;
    (void)err;
    if (db->proof != NULL) {
        ri_buf_put(headers, db->proof, strlen(db->proof) + 1);
    }
    return RILLE_OK;
}

static int judge(void *context, ri_web_request *request, rille_err *err)
{
    const http_db *db = context;
    switch (request->status) {
    case 200:
    case 206:
    case 304:
    case 404:
    case 410:
    case 416:
        return RILLE_OK;
    case 401:
        return db->proof == NULL && db->options.netrc == NULL
                   ? ri_fail(err, RILLE_PERMISSION,
                             "%s: the server asks who you are (status 401): pass user and password, bearer, or netrc",
                             db->shown)
                   : ri_fail(err, RILLE_PERMISSION,
                             "%s: the server does not accept the credentials (status 401): check user and password, "
                             "bearer, or the netrc file",
                             db->shown);
    case 407:
        return ri_fail(err, RILLE_PERMISSION,
                       "%s: the proxy asks who you are (status 407): put user and password into the proxy's URL",
                       db->shown);
    case 403:
        return ri_fail(err, RILLE_PERMISSION, "%s: the server denies access (status 403): check the permissions there",
                       db->shown);
    default:
        return ri_fail(err, RILLE_IO, "%s: the server answered with status %d (attempts: %u)", db->shown,
                       request->status, request->tries);
    }
}

/* ---- slots ---- */

static int http_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    http_db *db = self;
    return ri_web_get_many(db->web, &db->place, gets, count, err);
}

static int http_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    http_db *db = self;
    return ri_web_head_read(db->web, &db->place, branch, known, out, err);
}

static int fail_readonly(const http_db *db, rille_err *err)
{
    return ri_fail(err, RILLE_READONLY,
                   "%s: a database behind a web server can only be read: write to its directory or bucket", db->shown);
}

static int http_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    (void)puts;
    (void)count;
    return fail_readonly(self, err);
}

static int http_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    (void)swap;
    (void)revision;
    return fail_readonly(self, err);
}

static int http_head_delete(void *self, const char *branch, rille_err *err)
{
    (void)branch;
    return fail_readonly(self, err);
}

static int http_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    (void)ids;
    (void)count;
    return fail_readonly(self, err);
}

static int http_drop(void *self, rille_err *err)
{
    return fail_readonly(self, err);
}

static void http_wait(void *self, uint64_t timeout_ms)
{
    const http_db *db = self;
    ri_web_wait(db->web, timeout_ms);
}

static void http_cancel(void *self, const rille_want *call)
{
    const http_db *db = self;
    ri_web_cancel(db->web, call);
}

static int http_counters(void *self, rille_counters *out)
{
    const http_db *db = self;
    return ri_web_counters(db->web, out);
}

static void http_close(void *self)
{
    http_db *db = self;
    ri_web_release(db->web);
    ri_web_place_deinit(&db->place);
    ri_web_options_deinit(&db->options);
    ri_web_forget_text(db->proof);
    ri_free(db->base);
    ri_free(db->shown);
    ri_free(db);
}

static const rille_backend_ops http_ops = {
    .get_many = http_get_many,
    .put_many = http_put_many,
    .head_read = http_head_read,
    .head_swap = http_head_swap,
    .head_delete = http_head_delete,
    .delete_many = http_delete_many,
    .drop = http_drop,
    .close = http_close,
    .wait = http_wait,
    .cancel = http_cancel,
    .counters = http_counters,
};

/* ---- opening ---- */

static char *text_of(ri_buf *buf)
{
    size_t len;
    ri_buf_put_u8(buf, 0);
    char *text = (char *)ri_buf_take(buf, &len);
    ri_buf_deinit(buf);
    return text;
}

static int fill(http_db *db, const ri_remote *url, rille_err *err)
{
    ri_buf base = { 0 };
    ri_buf_put_text(&base, url->scheme);
    ri_buf_put_text(&base, "://");
    size_t host_len = strcspn(url->place, "/");
    ri_buf_put(&base, url->place, host_len);
    ri_web_put_encoded(&base, url->place + host_len, true);
    if (base.len > 0 && base.p[base.len - 1] != '/') {
        ri_buf_put_u8(&base, '/');
    }
    db->base = text_of(&base);
    db->shown = ri_web_copy_text(url->shown);
    if (db->base == NULL || db->shown == NULL) {
        return ri_fail_nomem(err);
    }
    if (host_len == 0) {
        return ri_fail(err, RILLE_SYNTAX, "%s: the URL has no host: write %s://HOST/PATH", db->shown, url->scheme);
    }
    return ri_web_options_proof(&db->options, db->shown, &db->proof, err);
}

static int start(http_db *db, rille_err *err)
{
    db->place = (ri_web_place){ .put_url = put_url, .context = db, .shown = db->shown };
    ri_web_client client = { .context = db,
                             .shown = db->shown,
                             .sign = sign,
                             .judge = judge,
                             .ca_file = db->options.ca_file,
                             .netrc_file = db->options.netrc,
                             .follows_redirects = true,
                             .timeout_ms = db->options.timeout_ms };
    return ri_web_new(&client, &db->web, err);
}

int ri_backend_http_open(const ri_remote *url, rille_backend *out, rille_err *err)
{
    *out = (rille_backend){ 0 };
    http_db *db = ri_alloc_zero(sizeof *db);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    int rc = ri_web_options_read(url, RI_WEB_FOR_HTTP, &db->options, err);
    rc = rc == RILLE_OK ? fill(db, url, err) : rc;
    rc = rc == RILLE_OK ? start(db, err) : rc;
    if (rc != RILLE_OK) {
        http_close(db);
        return rc;
    }
    *out = (rille_backend){ &http_ops, db, RILLE_BACKEND_DEFERRED | RILLE_BACKEND_READONLY | RILLE_BACKEND_THREADS };
    return RILLE_OK;
}
