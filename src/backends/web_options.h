/* SPDX-License-Identifier: MIT
 *
 * What a database behind HTTP is opened with: parameters of its URL, and settings. Secrets are settings only.
 */
#ifndef RI_WEB_OPTIONS_H
#define RI_WEB_OPTIONS_H

#include "../core/base/err.h"
#include "../core/store/backends.h"

#define RI_WEB_FOR_HTTP 1U
#define RI_WEB_FOR_S3 2U

/* Texts are NULL where nothing was given. */
typedef struct ri_web_options {
    uint64_t timeout_ms;
    char *timeout;
    char *ca_file;
    char *user;
    char *password;
    char *bearer;
    char *netrc;
    char *region;
    char *endpoint;
    char *style;
    char *fencing;
    char *profile;
    char *access_key;
    char *secret_key;
    char *session_token;
} ri_web_options;

/* RILLE_SYNTAX: a parameter of the URL; RILLE_MISUSE: a setting. `use`: whose they are. On failure, too, the options are to
 * be released. */
int ri_web_options_read(const ri_remote *url, unsigned use, ri_web_options *out, rille_err *err);
void ri_web_options_deinit(ri_web_options *options);
/* "Authorization: ..." for user and password, or for bearer; NULL: none of them. The caller forgets it. */
int ri_web_options_proof(const ri_web_options *options, const char *shown, char **out, rille_err *err);

char *ri_web_copy_text(const char *text); /* NULL: no memory */
/* Overwrites a secret before it is freed. NULL allowed. */
void ri_web_forget_text(char *text);

#endif
