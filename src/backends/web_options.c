/* SPDX-License-Identifier: MIT
 *
 * Settings of http: and s3:, from URLs and from the host.
 */
#include "web_options.h"

#include "../core/base/buf.h"
#include "../core/base/mem.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS_DEFAULT 30000
#define TIMEOUT_MS_MAX ((uint64_t)24 * 3600 * 1000)

typedef struct row {
    const char *key;
    size_t place; /* in ri_web_options */
    unsigned uses;
    bool is_secret;
} row;

#define ROW(key, field, uses, is_secret)                      \
    {                                                         \
        key, offsetof(ri_web_options, field), uses, is_secret \
    }
static const row rows[] = {
    ROW("timeout_ms", timeout, RI_WEB_FOR_HTTP | RI_WEB_FOR_S3, false),
    ROW("ca_file", ca_file, RI_WEB_FOR_HTTP | RI_WEB_FOR_S3, false),
    ROW("user", user, RI_WEB_FOR_HTTP, true),
    ROW("password", password, RI_WEB_FOR_HTTP, true),
    ROW("bearer", bearer, RI_WEB_FOR_HTTP, true),
    ROW("netrc", netrc, RI_WEB_FOR_HTTP, false),
    ROW("region", region, RI_WEB_FOR_S3, false),
    ROW("endpoint", endpoint, RI_WEB_FOR_S3, false),
    ROW("style", style, RI_WEB_FOR_S3, false),
    ROW("fencing", fencing, RI_WEB_FOR_S3, false),
    ROW("profile", profile, RI_WEB_FOR_S3, false),
    ROW("access_key", access_key, RI_WEB_FOR_S3, true),
    ROW("secret_key", secret_key, RI_WEB_FOR_S3, true),
    ROW("session_token", session_token, RI_WEB_FOR_S3, true),
};
#define ROW_COUNT (sizeof rows / sizeof *rows)

char *ri_web_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = ri_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void ri_web_forget_text(char *text)
{
    if (text != NULL) {
        sodium_memzero(text, strlen(text));
        ri_free(text);
    }
}

static char **field_of(ri_web_options *options, const row *r)
{
    return (char **)(void *)((char *)options + r->place);
}

static const row *find_row(const char *key, unsigned use)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((rows[i].uses & use) != 0 && strcmp(rows[i].key, key) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* "timeout_ms, ca_file ..." */
static const char *list_keys(unsigned use, bool secrets, char out[160])
{
    size_t len = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((rows[i].uses & use) != 0 && (secrets || !rows[i].is_secret)) {
            len += (size_t)snprintf(out + len, 160 - len, "%s%s", len > 0 ? ", " : "", rows[i].key);
        }
    }
    return out;
}

static int set(ri_web_options *options, const row *r, const char *value, const char *shown, rille_err *err)
{
    if (strpbrk(value, "\r\n") != NULL) {
        return ri_fail(err, RILLE_MISUSE, "%s: %s contains a line break", shown, r->key);
    }
    ri_web_forget_text(*field_of(options, r));
    *field_of(options, r) = ri_web_copy_text(value);
    return *field_of(options, r) == NULL ? ri_fail_nomem(err) : RILLE_OK;
}

static int read_params(const ri_remote *url, unsigned use, ri_web_options *out, rille_err *err)
{
    for (size_t i = 0; i < url->param_count; i++) {
        const rille_setting *param = &url->params[i];
        const row *r = find_row(param->key, use);
        char known[160];
        if (r == NULL) {
            return ri_fail(err, RILLE_SYNTAX, "%s: unknown parameter \"%.40s\" in the URL; use one of: %s", url->shown,
                           param->key, list_keys(use, false, known));
        }
        if (r->is_secret) {
            return ri_fail(err, RILLE_SYNTAX,
                           "%s: %s must not be in the URL, which programs print and log: pass it as an option",
                           url->shown, r->key);
        }
        if (*field_of(out, r) != NULL) {
            return ri_fail(err, RILLE_SYNTAX, "%s: the URL has the parameter %s twice: leave one of them out",
                           url->shown, r->key);
        }
        RI_TRY(set(out, r, param->value, url->shown, err));
    }
    return RILLE_OK;
}

static int read_settings(const ri_remote *url, unsigned use, ri_web_options *out, rille_err *err)
{
    for (size_t i = 0; i < url->setting_count; i++) {
        const rille_setting *setting = &url->settings[i];
        const row *r = find_row(setting->key, use);
        char known[160];
        if (r == NULL) {
            return ri_fail(err, RILLE_MISUSE, "%s: %s: has no option \"%.40s\"; use one of: %s", url->shown,
                           url->scheme, setting->key, list_keys(use, true, known));
        }
        RI_TRY(set(out, r, setting->value, url->shown, err));
    }
    return RILLE_OK;
}

static int read_timeout(ri_web_options *options, const char *shown, rille_err *err)
{
    options->timeout_ms = TIMEOUT_MS_DEFAULT;
    if (options->timeout == NULL) {
        return RILLE_OK;
    }
    char *end;
    errno = 0;
    unsigned long long ms = strtoull(options->timeout, &end, 10);
    if (errno != 0 || *end != '\0' || options->timeout[0] < '0' || options->timeout[0] > '9' || ms == 0 ||
        ms > TIMEOUT_MS_MAX) {
        return ri_fail(err, RILLE_MISUSE, "%s: timeout_ms must be an integer from 1 to %llu, got \"%.20s\"", shown,
                       (unsigned long long)TIMEOUT_MS_MAX, options->timeout);
    }
    options->timeout_ms = ms;
    return RILLE_OK;
}

int ri_web_options_read(const ri_remote *url, unsigned use, ri_web_options *out, rille_err *err)
{
    *out = (ri_web_options){ 0 };
    if (url->has_user) {
        return ri_fail(err, RILLE_SYNTAX,
                       "%s: a user or password must not be in the URL, which programs print and log: pass it as an "
                       "option",
                       url->shown);
    }
    RI_TRY(read_params(url, use, out, err));
    RI_TRY(read_settings(url, use, out, err));
    return read_timeout(out, url->shown, err);
}

void ri_web_options_deinit(ri_web_options *options)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        ri_web_forget_text(*field_of(options, &rows[i]));
    }
    *options = (ri_web_options){ 0 };
}

static int put_basic(const ri_web_options *options, ri_buf *line, rille_err *err)
{
    ri_buf pair = { 0 };
    ri_buf_put_text(&pair, options->user);
    ri_buf_put_text(&pair, ":");
    ri_buf_put_text(&pair, options->password != NULL ? options->password : "");
    size_t size = sodium_base64_ENCODED_LEN(pair.len, sodium_base64_VARIANT_ORIGINAL);
    uint8_t *room = pair.failed ? NULL : ri_buf_reserve(line, size);
    if (room != NULL) {
        (void)sodium_bin2base64((char *)room, size, pair.p, pair.len, sodium_base64_VARIANT_ORIGINAL);
        line->len += size - 1;
        sodium_memzero(pair.p, pair.len);
    }
    ri_buf_deinit(&pair);
    return room != NULL ? RILLE_OK : ri_fail_nomem(err);
}

int ri_web_options_proof(const ri_web_options *options, const char *shown, char **out, rille_err *err)
{
    ri_buf line = { 0 };
    size_t len;
    int rc = RILLE_OK;
    *out = NULL;
    if (options->user != NULL && options->bearer != NULL) {
        return ri_fail(err, RILLE_MISUSE, "%s: pass either user and password or bearer, not both", shown);
    }
    if (options->user == NULL && options->password != NULL) {
        return ri_fail(err, RILLE_MISUSE, "%s: password needs user", shown);
    }
    if (options->user == NULL && options->bearer == NULL) {
        return RILLE_OK;
    }
    ri_buf_put_text(&line, "Authorization: ");
    if (options->bearer != NULL) {
        ri_buf_put_text(&line, "Bearer ");
        ri_buf_put_text(&line, options->bearer);
    } else {
        ri_buf_put_text(&line, "Basic ");
        rc = put_basic(options, &line, err);
    }
    ri_buf_put_u8(&line, 0);
    *out = rc == RILLE_OK ? (char *)ri_buf_take(&line, &len) : NULL;
    ri_buf_deinit(&line);
    return rc != RILLE_OK ? rc : *out != NULL ? RILLE_OK : ri_fail_nomem(err);
}
