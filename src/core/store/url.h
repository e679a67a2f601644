/* SPDX-License-Identifier: MIT
 *
 * Store URLs: scheme:place for what is local (the place is a path or name, taken as it is), scheme://place?key=value
 * for what is not (percent-encoded).
 */
#ifndef RI_URL_H
#define RI_URL_H

#include "../base/buf.h"
#include "../base/err.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum ri_scheme {
    RI_SCHEME_MEM,
    RI_SCHEME_FILE,
    RI_SCHEME_LMDB,
    RI_SCHEME_S3,
    RI_SCHEME_HTTP,
    RI_SCHEME_HTTPS,
    RI_SCHEME_SQLITE,
    RI_SCHEME_POSTGRESQL,
    RI_SCHEME_IDB,
    RI_SCHEME_DEFERRED, /* place is a URL */
    RI_SCHEME_FAULTY    /* place is a URL, or PLAN;URL */
} ri_scheme;

#define RI_URL_PARAMS_MAX 16

typedef struct ri_url {
    ri_scheme scheme;
    bool is_local;
    bool has_user; /* or a password, which is nowhere else */
    char *place;   /* of what is not local: decoded host and path, without user and password */
    struct ri_url_param {
        char *key;
        char *value;
    } params[RI_URL_PARAMS_MAX];
    size_t param_count;
    char *shown; /* for messages: never a password, never parameters */
} ri_url;

/* RILLE_SYNTAX names what is wrong, and what this build supports when the scheme is unknown. The URL itself is never in a message.
 */
int ri_url_parse(const char *text, ri_url *out, rille_err *err);
void ri_url_deinit(ri_url *url);
/* What this build can open: "mem:NAME, file:DIR, lmdb:DIR". */
const char *ri_url_supported(void);
/* Appends a URL, valid or not, without what may be a secret: user, password and parameters of what is not local. Every
 * message, tostring and url() shows URLs by this. */
void ri_url_show(ri_buf *out, const char *text);
const char *ri_scheme_name(ri_scheme scheme);
/* NULL: not given. */
const char *ri_url_param(const ri_url *url, const char *key);

#endif
