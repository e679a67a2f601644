/* SPDX-License-Identifier: MIT
 *
 * Keys for a time.
 */
#include "s3_grant.h"

#include "../core/base/bytes.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "web.h"
#include "web_options.h"

#include <stdio.h>
#include <string.h>

#define OLD_MS_MAX ((uint64_t)5 * 60 * 1000)
#define SENDING_MS_MAX 5000
#define LIFETIME_MS_DEFAULT ((uint64_t)15 * 60 * 1000) /* where the service does not say it */
#define LIFETIME_MS_MAX ((uint64_t)7 * 24 * 3600 * 1000)

ri_s3_now ri_s3_now_get(void)
{
    return (ri_s3_now){ ri_clock_ms(), ri_clock_us() };
}

void ri_s3_grant_deinit(ri_s3_grant *grant)
{
    ri_web_forget_text(grant->keys.access_key);
    ri_web_forget_text(grant->keys.secret_key);
    ri_web_forget_text(grant->keys.session_token);
    *grant = (ri_s3_grant){ 0 };
}

/* ---- JSON ---- */

typedef struct reader {
    const ri_buf *json;
    bool no_memory;
    bool is_odd; /* a text that was asked for */
} reader;

static size_t skip_space(const ri_buf *json, size_t at)
{
    while (at < json->len && strchr(" \t\r\n", json->p[at]) != NULL && json->p[at] != 0) {
        at++;
    }
    return at;
}

/* Behind the quote that ends the text; 0: it has no end. */
static size_t skip_text(const ri_buf *json, size_t at)
{
    while (at < json->len && json->p[at] != '"') {
        at += json->p[at] == '\\' ? 2 : 1;
    }
    return at < json->len ? at + 1 : 0;
}

/* \uXXXX; -1: it is not one. */
static int unicode_at(const uint8_t *p, size_t len)
{
    int code = 0;
    for (size_t i = 1; i < 5; i++) {
        int digit = len > i ? ri_hex_digit((char)p[i]) : -1;
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

/* A text of printable ASCII, which is all that keys have and a header may have. NULL: it is another one, or no memory. */
static char *copy_text(reader *r, const uint8_t *p, size_t len)
{
    char *copy = ri_alloc(len + 1);
    size_t n = 0;
    r->no_memory = r->no_memory || copy == NULL;
    for (size_t i = 0; copy != NULL && i < len; i++) {
        int c = p[i];
        if (c == '\\' && i + 1 < len) {
            i++;
            c = p[i] == 'u' ? unicode_at(p + i, len - i) : strchr("\"\\/", p[i]) != NULL ? p[i] : -1;
            i += p[i] == 'u' && c >= 0 ? 4 : 0;
        }
        if (c <= ' ' || c > '~') {
            copy[n] = '\0';
            ri_web_forget_text(copy);
            r->is_odd = true;
            return NULL;
        }
        copy[n++] = (char)c;
    }
    if (copy != NULL) {
        copy[n] = '\0';
    }
    return copy;
}

/* Is it an object with an end? Not whether it is well formed otherwise. */
static bool is_whole(const ri_buf *json)
{
    size_t depth = 0;
    size_t at = skip_space(json, 0);
    if (at == json->len || json->p[at] != '{') {
        return false;
    }
    while (at < json->len) {
        uint8_t c = json->p[at];
        at = c == '"' ? skip_text(json, at + 1) : at + 1;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (at == 0 || depth == 0) {
            break;
        }
    }
    return at > 0 && depth == 0 && skip_space(json, at) == json->len;
}

/* The text that the outermost object, which is_whole, has under that name; NULL: none. */
static char *member(reader *r, const char *name)
{
    const ri_buf *json = r->json;
    size_t depth = 0;
    for (size_t at = 0; at < json->len; at++) {
        uint8_t c = json->p[at];
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c != '"') {
            continue;
        }
        size_t begin = at + 1;
        size_t end = skip_text(json, begin);
        size_t colon = skip_space(json, end);
        if (end == 0) {
            return NULL;
        }
        at = end - 1;
        if (depth != 1 || colon >= json->len || json->p[colon] != ':') {
            continue;
        }
        size_t value = skip_space(json, colon + 1);
        bool is_it = end - 1 - begin == strlen(name) && memcmp(json->p + begin, name, strlen(name)) == 0;
        if (is_it && value < json->len && json->p[value] == '"') {
            size_t value_end = skip_text(json, value + 1);
            return value_end != 0 ? copy_text(r, json->p + value + 1, value_end - value - 2) : NULL;
        }
    }
    return NULL;
}

/* ---- times ---- */

/* "2026-11-30T18:00:00Z", also with a fraction; -1: it is none. */
static int64_t instant_s(const char *text)
{
    int part[6];
    int len = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5], &len) !=
            6 ||
        part[0] < 1970 || part[1] < 1 || part[1] > 12) {
        return -1;
    }
    const char *rest = text + len;
    rest += *rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0;
    return strcmp(rest, "Z") == 0 || strcmp(rest, "+00:00") == 0
               ? ri_web_day_s(part[0], part[1], part[2]) + (part[3] * 60 + part[4]) * 60 + part[5]
               : -1;
}

static uint64_t left_ms(const ri_s3_grant *grant, ri_s3_now now)
{
    uint64_t steady = grant->end_steady_us > now.steady_us ? (grant->end_steady_us - now.steady_us) / 1000 : 0;
    uint64_t day = grant->end_day_ms > now.day_ms ? (uint64_t)(grant->end_day_ms - now.day_ms) : 0;
    return steady < day ? steady : day;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool ri_s3_grant_is_good(const ri_s3_grant *grant, ri_s3_now now)
{
    return grant->keys.access_key != NULL && left_ms(grant, now) > least(SENDING_MS_MAX, grant->lifetime_ms / 8);
}

bool ri_s3_grant_is_old(const ri_s3_grant *grant, ri_s3_now now)
{
    return left_ms(grant, now) <= least(OLD_MS_MAX, grant->lifetime_ms / 4);
}

/* ---- the answer ---- */

static const char *take_lifetime(const char *expiration, const char *date, ri_s3_now now, ri_s3_grant *out)
{
    int64_t date_s = ri_web_date_s(date);
    int64_t begin_s = date_s != -1 ? date_s : now.day_ms / 1000;
    int64_t end_s = expiration != NULL ? instant_s(expiration) : begin_s + (int64_t)(LIFETIME_MS_DEFAULT / 1000);
    if (end_s == -1) {
        return "its answer has an unreadable Expiration";
    }
    if (end_s <= begin_s) {
        return "its keys have expired";
    }
    out->lifetime_ms = least((uint64_t)(end_s - begin_s) * 1000, LIFETIME_MS_MAX);
    out->end_day_ms = now.day_ms + (int64_t)out->lifetime_ms;
    out->end_steady_us = now.steady_us + out->lifetime_ms * 1000;
    return NULL;
}

static const char *take_keys(reader *r, ri_s3_keys *keys)
{
    keys->access_key = member(r, "AccessKeyId");
    keys->secret_key = member(r, "SecretAccessKey");
    keys->session_token = member(r, "Token");
    return keys->access_key == NULL || keys->secret_key == NULL || keys->session_token == NULL
               ? "its answer has no AccessKeyId, SecretAccessKey or Token"
               : NULL;
}

const char *ri_s3_grant_read(const ri_buf *json, const char *date, ri_s3_now now, ri_s3_grant *out)
{
    reader r = { .json = json };
    *out = (ri_s3_grant){ 0 };
    if (!is_whole(json)) {
        return "its answer is not JSON";
    }
    char *code = member(&r, "Code"); /* of an instance's service only */
    char *expiration = member(&r, "Expiration");
    const char *wrong = code != NULL && strcmp(code, "Success") != 0 ? "it has no keys for its role" : NULL;
    wrong = wrong == NULL ? take_keys(&r, &out->keys) : wrong;
    wrong = wrong == NULL ? take_lifetime(expiration, date, now, out) : wrong;
    wrong = r.is_odd ? "its answer has a text with spaces or control characters" : wrong;
    wrong = r.no_memory ? RI_S3_GRANT_NO_MEMORY : wrong;
    ri_web_forget_text(code);
    ri_web_forget_text(expiration);
    if (wrong != NULL) {
        ri_s3_grant_deinit(out);
    }
    return wrong;
}
