/* SPDX-License-Identifier: MIT
 *
 * AWS Signature Version 4, for S3 (AWS documentation: "Authenticating Requests: Using the Authorization Header").
 */
#ifndef RI_S3_SIGN_H
#define RI_S3_SIGN_H

#include "../core/base/buf.h"
#include "../core/base/sha256.h"

#include <stdint.h>

/* Texts of the owner's; NULL where there is none. */
typedef struct ri_s3_keys {
    char *access_key;
    char *secret_key;
    char *session_token;
} ri_s3_keys;

typedef struct ri_s3_hash {
    char hex[2 * RI_SHA256_SIZE + 1];
} ri_s3_hash;

ri_s3_hash ri_s3_hash_of(const void *bytes, size_t len);

/* Adds Authorization, x-amz-date, x-amz-content-sha256 and x-amz-security-token, each with a 0 behind it. The URL's path and
 * query are percent-encoded, and the query's parameters are sorted, each with its =. Only host and x-amz-* are signed: proxies may
 * rewrite the others. Memory that is out shows in headers->failed. */
void ri_s3_sign(const ri_s3_keys *keys, const char *region, const char *method, const char *url,
                const ri_s3_hash *payload, int64_t now_s, ri_buf *headers);

#endif
