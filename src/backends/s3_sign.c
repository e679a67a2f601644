/* SPDX-License-Identifier: MIT
 *
 * Requests to S3, signed.
 */
#include "s3_sign.h"

#include "../core/base/hash.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SERVICE "s3"

ri_s3_hash ri_s3_hash_of(const void *bytes, size_t len)
{
    ri_s3_hash hash;
    uint8_t raw[RI_SHA256_SIZE];
    ri_sha256(raw, bytes, len);
    ri_hex(hash.hex, raw, sizeof raw);
    return hash;
}

typedef struct stamps {
    char day[16];
    char time[32];
} stamps;

static stamps stamps_of(int64_t now_s)
{
    stamps out = { .day = "", .time = "" };
    struct tm parts;
    time_t seconds = (time_t)now_s;
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(out.day, sizeof out.day, "%Y%m%d", &parts);
        (void)strftime(out.time, sizeof out.time, "%Y%m%dT%H%M%SZ", &parts);
    }
    return out;
}

/* scheme://HOST/PATH?QUERY */
typedef struct url_parts {
    const char *host;
    size_t host_len;
    const char *path;
    size_t path_len;
    const char *query;
} url_parts;

static url_parts split(const char *url)
{
    const char *scheme_end = strstr(url, "://");
    url_parts parts = { .host = scheme_end != NULL ? scheme_end + 3 : url };
    parts.host_len = strcspn(parts.host, "/?");
    parts.path = parts.host + parts.host_len;
    parts.path_len = strcspn(parts.path, "?");
    parts.query = parts.path + parts.path_len;
    parts.query += *parts.query == '?';
    return parts;
}

static void put_line(ri_buf *out, const char *name, const char *value)
{
    ri_buf_put_text(out, name);
    ri_buf_put_text(out, value);
    ri_buf_put_u8(out, '\n');
}

static const char *signed_headers(const ri_s3_keys *keys)
{
    return keys->session_token != NULL ? "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
                                       : "host;x-amz-content-sha256;x-amz-date";
}

static void put_canonical(const ri_s3_keys *keys, const char *method, const url_parts *url, const ri_s3_hash *payload,
                          const stamps *now, ri_buf *out)
{
    put_line(out, method, "");
    ri_buf_put(out, url->path_len > 0 ? url->path : "/", url->path_len > 0 ? url->path_len : 1);
    put_line(out, "\n", url->query);
    ri_buf_put_text(out, "host:");
    ri_buf_put(out, url->host, url->host_len);
    put_line(out, "\nx-amz-content-sha256:", payload->hex);
    put_line(out, "x-amz-date:", now->time);
    if (keys->session_token != NULL) {
        put_line(out, "x-amz-security-token:", keys->session_token);
    }
    put_line(out, "\n", signed_headers(keys));
    ri_buf_put_text(out, payload->hex);
}

/* The key of a day, a region and a service: one hash over the other. False: no memory. */
static bool make_key(const ri_s3_keys *keys, const char *day, const char *region, uint8_t key[RI_SHA256_SIZE])
{
    ri_buf first = { 0 };
    ri_buf_put_text(&first, "AWS4");
    ri_buf_put_text(&first, keys->secret_key);
    ri_hmac_sha256(key, first.p, first.len, day, strlen(day));
    bool ok = !first.failed;
    if (first.p != NULL) {
        ri_wipe(first.p, first.len);
    }
    ri_buf_deinit(&first);
    ri_hmac_sha256(key, key, RI_SHA256_SIZE, region, strlen(region));
    ri_hmac_sha256(key, key, RI_SHA256_SIZE, SERVICE, strlen(SERVICE));
    ri_hmac_sha256(key, key, RI_SHA256_SIZE, "aws4_request", strlen("aws4_request"));
    return ok;
}

static void put_header(ri_buf *out, const char *name, const char *value)
{
    ri_buf_put_text(out, name);
    ri_buf_put_text(out, value);
    ri_buf_put_u8(out, 0);
}

void ri_s3_sign(const ri_s3_keys *keys, const char *region, const char *method, const char *url,
                const ri_s3_hash *payload, int64_t now_s, ri_buf *headers)
{
    url_parts parts = split(url);
    stamps now = stamps_of(now_s);
    ri_buf text = { 0 };
    put_canonical(keys, method, &parts, payload, &now, &text);
    ri_s3_hash canonical = ri_s3_hash_of(text.p, text.len);
    headers->failed = headers->failed || text.failed;
    ri_buf_clear(&text);
    put_line(&text, "AWS4-HMAC-SHA256\n", now.time);
    size_t scope = text.len;
    ri_buf_put_text(&text, now.day);
    ri_buf_put_text(&text, "/");
    ri_buf_put_text(&text, region);
    ri_buf_put_text(&text, "/" SERVICE "/aws4_request");
    size_t scope_len = text.len - scope;
    ri_buf_put_text(&text, "\n");
    ri_buf_put_text(&text, canonical.hex);
    uint8_t key[RI_SHA256_SIZE];
    char signature[2 * RI_SHA256_SIZE + 1];
    bool ok = make_key(keys, now.day, region, key);
    ri_hmac_sha256(key, key, sizeof key, text.p, text.len);
    ri_hex(signature, key, sizeof key);
    ri_wipe(key, sizeof key);
    ri_buf_put_text(headers, "Authorization: AWS4-HMAC-SHA256 Credential=");
    ri_buf_put_text(headers, keys->access_key);
    ri_buf_put_text(headers, "/");
    ri_buf_put(headers, text.failed ? "" : (const char *)text.p + scope, text.failed ? 0 : scope_len);
    ri_buf_put_text(headers, ", SignedHeaders=");
    ri_buf_put_text(headers, signed_headers(keys));
    put_header(headers, ", Signature=", signature);
    put_header(headers, "x-amz-date: ", now.time);
    put_header(headers, "x-amz-content-sha256: ", payload->hex);
    if (keys->session_token != NULL) {
        put_header(headers, "x-amz-security-token: ", keys->session_token);
    }
    headers->failed = headers->failed || text.failed || !ok;
    ri_buf_deinit(&text);
}
