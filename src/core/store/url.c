/* SPDX-License-Identifier: MIT
 *
 * Takes store URLs apart.
 */
#include "url.h"

#include "../base/buf.h"
#include "../base/bytes.h"
#include "../base/mem.h"
#include "../data/suggest.h"
#include "../data/value.h"

#include <stdio.h>
#include <string.h>

static const struct scheme_row {
    const char *name;
    ri_scheme scheme;
    bool local;
} schemes[] = {
    { "mem", RI_SCHEME_MEM, true },       { "file", RI_SCHEME_FILE, true },
    { "lmdb", RI_SCHEME_LMDB, true },     { "s3", RI_SCHEME_S3, false },
    { "http", RI_SCHEME_HTTP, false },    { "https", RI_SCHEME_HTTPS, false },
    { "sqlite", RI_SCHEME_SQLITE, true }, { "postgresql", RI_SCHEME_POSTGRESQL, false },
    { "idb", RI_SCHEME_IDB, true },       { "deferred", RI_SCHEME_DEFERRED, true },
    { "faulty", RI_SCHEME_FAULTY, true },
};
#define SCHEME_COUNT (sizeof schemes / sizeof *schemes)

/* What this build can open. */
#if RILLE_WITH_LMDB
#define LMDB_TEXT ", lmdb:DIR"
#else
#define LMDB_TEXT ""
#endif
#if RILLE_WITH_CURL
#define WEB_TEXT ", s3://BUCKET/PREFIX, https://HOST/PATH"
#else
#define WEB_TEXT ""
#endif
#define SUPPORTED_TEXT "mem:NAME, file:DIR" LMDB_TEXT WEB_TEXT
static const char *const supported[] = {
    "mem",  "file",
#if RILLE_WITH_LMDB
    "lmdb",
#endif
#if RILLE_WITH_CURL
    "s3",   "http", "https",
#endif
};
#define SUPPORTED_COUNT (sizeof supported / sizeof *supported)

const char *ri_url_supported(void)
{
    return SUPPORTED_TEXT;
}

const char *ri_scheme_name(ri_scheme scheme)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].scheme == scheme) {
            return schemes[i].name;
        }
    }
    return "";
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = ri_alloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* Takes %XX apart. */
static int decode(const char *text, size_t len, char **out, rille_err *err)
{
    *out = NULL;
    char *copy = ri_alloc(len + 1);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        copy[n] = text[i];
        if (text[i] == '%') {
            int high = len - i > 2 ? ri_hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? ri_hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                ri_free(copy);
                return ri_fail(err, RILLE_SYNTAX,
                               "store URL: %% at character %zu of a part is not followed by two hexadecimal digits "
                               "(write %%25 for a percent sign)",
                               i + 1);
            }
            copy[n] = (char)(high * 16 + low);
            i += 2;
        }
        n++;
    }
    copy[n] = '\0';
    *out = copy;
    return RILLE_OK;
}

static int parse_params(const char *text, ri_url *out, rille_err *err)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "&");
        const char *equals = memchr(text, '=', len);
        if (equals == NULL || equals == text) {
            return ri_fail(err, RILLE_SYNTAX, "store URL: a parameter after ? must have the form key=value");
        }
        if (out->param_count == RI_URL_PARAMS_MAX) {
            return ri_fail(err, RILLE_SYNTAX, "store URL: more than %d parameters", RI_URL_PARAMS_MAX);
        }
        struct ri_url_param *param = &out->params[out->param_count++];
        RI_TRY(decode(text, (size_t)(equals - text), &param->key, err));
        RI_TRY(decode(equals + 1, len - (size_t)(equals + 1 - text), &param->value, err));
        text += len;
        text += *text == '&';
    }
    return RILLE_OK;
}

static int parse_remote(const char *rest, ri_url *out, rille_err *err)
{
    if (strncmp(rest, "//", 2) != 0) {
        return ri_fail(err, RILLE_SYNTAX, "store URL: %s: must be followed by //", ri_scheme_name(out->scheme));
    }
    rest += 2;
    size_t len = strcspn(rest, "?");
    size_t host_len = strcspn(rest, "/?");
    for (size_t i = host_len; i > 0; i--) {
        if (rest[i - 1] == '@') { /* user and password */
            out->has_user = true;
            rest += i;
            len -= i;
            break;
        }
    }
    RI_TRY(decode(rest, len, &out->place, err));
    if (rest[len] == '?') {
        RI_TRY(parse_params(rest + len + 1, out, err));
    }
    return RILLE_OK;
}

/* file:///path is usual elsewhere: taken as file:/path. A host cannot be meant. */
static int parse_path(const char *rest, ri_url *out, rille_err *err)
{
    if (strncmp(rest, "//", 2) == 0) {
        if (rest[2] != '/') {
            return ri_fail(err, RILLE_SYNTAX, "store URL: %s:// is followed by a host: write %s:DIR or %s:///DIR",
                           ri_scheme_name(out->scheme), ri_scheme_name(out->scheme), ri_scheme_name(out->scheme));
        }
        rest += 2;
    }
    if (*rest == '\0') {
        return ri_fail(err, RILLE_SYNTAX, "store URL: %s: is not followed by a path", ri_scheme_name(out->scheme));
    }
    out->place = copy_text(rest, strlen(rest));
    return out->place == NULL ? ri_fail_nomem(err) : RILLE_OK;
}

static int parse_rest(const struct scheme_row *row, const char *rest, ri_url *out, rille_err *err)
{
    if (!row->local) {
        return parse_remote(rest, out, err);
    }
    if (row->scheme == RI_SCHEME_FILE || row->scheme == RI_SCHEME_LMDB || row->scheme == RI_SCHEME_SQLITE) {
        return parse_path(rest, out, err);
    }
    out->place = copy_text(rest, strlen(rest));
    return out->place == NULL ? ri_fail_nomem(err) : RILLE_OK;
}

/* The row of the scheme of a URL, or NULL; *len is the length of what comes before the first colon. */
static const struct scheme_row *scheme_of(const char *text, size_t *len)
{
    *len = strcspn(text, ":");
    for (size_t i = 0; i < SCHEME_COUNT && text[*len] == ':'; i++) {
        if (strlen(schemes[i].name) == *len && strncmp(schemes[i].name, text, *len) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

void ri_url_show(ri_buf *out, const char *text)
{
    size_t len;
    const struct scheme_row *row = scheme_of(text, &len);
    while (row != NULL && (row->scheme == RI_SCHEME_DEFERRED || row->scheme == RI_SCHEME_FAULTY)) {
        ri_buf_put(out, text, len + 1);
        text += len + 1;
        row = scheme_of(text, &len);
    }
    if (row != NULL && row->local) {
        ri_buf_put_text(out, text);
        return;
    }
    size_t authority = text[len] == ':' ? len + 1 : 0;
    authority += strspn(text + authority, "/");
    size_t place = authority;
    size_t host_end = authority + strcspn(text + authority, "/?#");
    for (size_t i = authority; i < host_end; i++) {
        if (text[i] == '@') { /* the last one: a password may have one */
            place = i + 1;
        }
    }
    ri_buf_put(out, text, authority);
    ri_buf_put(out, text + place, strcspn(text + place, "?#"));
}

static int show(const struct scheme_row *row, const char *text, ri_url *out, rille_err *err)
{
    ri_buf shown = { 0 };
    size_t len;
    if (row->scheme == RI_SCHEME_DEFERRED || row->scheme == RI_SCHEME_FAULTY) {
        ri_buf_put_text(&shown, row->name);
        ri_buf_put_text(&shown, ":..."); /* the opener puts the inner store's name there */
    } else if (row->local) {
        ri_buf_put_text(&shown, row->name);
        ri_buf_put_text(&shown, ":");
        ri_buf_put_text(&shown, out->place);
    } else {
        ri_url_show(&shown, text);
    }
    ri_buf_put_u8(&shown, 0);
    out->shown = (char *)ri_buf_take(&shown, &len);
    ri_buf_deinit(&shown);
    return out->shown == NULL ? ri_fail_nomem(err) : RILLE_OK;
}

/* " (did you mean file:?)" */
static const char *hint(const char *text, size_t len, char out[40])
{
    out[0] = '\0';
    for (size_t i = 0; i < SUPPORTED_COUNT; i++) {
        char lower[8] = { 0 };
        for (size_t c = 0; c < len && len < sizeof lower; c++) {
            lower[c] = (char)(text[c] >= 'A' && text[c] <= 'Z' ? text[c] - 'A' + 'a' : text[c]);
        }
        if (lower[0] != '\0' && ri_edit_distance(lower, len, supported[i], strlen(supported[i])) <= 1) {
            (void)snprintf(out, 40, " (did you mean %s:?)", supported[i]);
        }
    }
    return out;
}

int ri_url_parse(const char *text, ri_url *out, rille_err *err)
{
    *out = (ri_url){ 0 };
    if (text == NULL) {
        return ri_fail(err, RILLE_MISUSE, "the store URL is NULL");
    }
    size_t len;
    const struct scheme_row *row = scheme_of(text, &len);
    if (row != NULL) {
        out->scheme = row->scheme;
        out->is_local = row->local;
        int rc = parse_rest(row, text + len + 1, out, err);
        rc = rc == RILLE_OK ? show(row, text, out, err) : rc;
        if (rc != RILLE_OK) {
            ri_url_deinit(out);
        }
        return rc;
    }
    if (text[len] != ':') {
        return ri_fail(err, RILLE_SYNTAX, "store URL: missing scheme; this build supports " SUPPORTED_TEXT);
    }
    char guess[40];
    return ri_fail(err, RILLE_SYNTAX, "store URL: unknown scheme \"%.*s:\"%s; this build supports " SUPPORTED_TEXT,
                   (int)(len < 20 ? len : 20), text, hint(text, len, guess));
}

void ri_url_deinit(ri_url *url)
{
    for (size_t i = 0; i < url->param_count; i++) {
        ri_free(url->params[i].key);
        ri_free(url->params[i].value);
    }
    ri_free(url->place);
    ri_free(url->shown);
    *url = (ri_url){ 0 };
}

const char *ri_url_param(const ri_url *url, const char *key)
{
    for (size_t i = 0; i < url->param_count; i++) {
        if (strcmp(url->params[i].key, key) == 0) {
            return url->params[i].value;
        }
    }
    return NULL;
}
