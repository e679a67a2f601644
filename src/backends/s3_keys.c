/* SPDX-License-Identifier: MIT
 *
 * Credentials of s3:.
 */
#include "s3_keys.h"

#include "../core/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

void ri_s3_keys_deinit(ri_s3_keys *keys)
{
    ri_web_forget_text(keys->access_key);
    ri_web_forget_text(keys->secret_key);
    ri_web_forget_text(keys->session_token);
    *keys = (ri_s3_keys){ 0 };
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Copies a text, unless it is NULL. False: no memory. */
static bool set(char **place, const char *text)
{
    *place = text != NULL ? ri_web_copy_text(text) : NULL;
    return text == NULL || *place != NULL;
}

/* ---- profile files ---- */

static size_t trim(const char **text, size_t len)
{
    while (len > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        len--;
    }
    while (len > 0 && strchr(" \t\r", (*text)[len - 1]) != NULL) {
        len--;
    }
    return len;
}

static bool same_text(const char *text, size_t len, const char *other)
{
    return strlen(other) == len && memcmp(text, other, len) == 0;
}

/* [NAME], or in the config file [profile NAME]; [default] in both. */
static bool is_section(const char *line, size_t len, const char *profile, bool config)
{
    if (len < 2 || line[len - 1] != ']') {
        return false;
    }
    const char *name = line + 1;
    size_t name_len = trim(&name, len - 2);
    if (config && name_len > 8 && memcmp(name, "profile ", 8) == 0) {
        name += 8;
        name_len = trim(&name, name_len - 8);
    } else if (config && strcmp(profile, "default") != 0) {
        return false;
    }
    return same_text(name, name_len, profile);
}

char *ri_s3_profile_value(const char *text, const char *profile, bool config, const char *key)
{
    bool inside = false;
    while (*text != '\0') {
        size_t line_len = strcspn(text, "\n");
        const char *line = text;
        size_t len = trim(&line, line_len);
        const char *equals = memchr(line, '=', len);
        if (len > 0 && line[0] == '[') {
            inside = is_section(line, len, profile, config);
        } else if (inside && equals != NULL && line[0] != '#' && line[0] != ';') {
            size_t key_len = trim(&line, (size_t)(equals - line));
            const char *value = equals + 1;
            if (same_text(line, key_len, key)) {
                size_t value_len = trim(&value, line_len - (size_t)(value - text));
                char *copy = ri_alloc(value_len + 1);
                if (copy != NULL) {
                    memcpy(copy, value, value_len);
                    copy[value_len] = '\0';
                }
                return copy;
            }
        }
        text += line_len;
        text += *text == '\n';
    }
    return NULL;
}

/* Its bytes and a 0; NULL: there is no such file. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = file != NULL ? ri_alloc(FILE_BYTES_MAX + 1) : NULL;
    if (text != NULL) {
        size_t len = fread(text, 1, FILE_BYTES_MAX, file);
        text[len] = '\0';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

/* What the variable names, or ~/.aws/NAME. */
static char *read_aws_file(const char *variable, const char *name)
{
    const char *path = environment(variable);
    const char *home = environment("HOME");
    char own[4096];
    if (path == NULL && home != NULL && snprintf(own, sizeof own, "%s/.aws/%s", home, name) < (int)sizeof own) {
        path = own;
    }
    return path != NULL ? read_file(path) : NULL;
}

typedef struct profile_files {
    const char *profile;
    char *credentials;
    char *config;
} profile_files;

static char *profile_value(const profile_files *files, const char *key)
{
    char *value =
        files->credentials != NULL ? ri_s3_profile_value(files->credentials, files->profile, false, key) : NULL;
    return value == NULL && files->config != NULL ? ri_s3_profile_value(files->config, files->profile, true, key)
                                                  : value;
}

static int fail_process(const profile_files *files, const char *shown, rille_err *err)
{
    static const char *const unsupported[] = { "credential_process",      "sso_session",  "sso_start_url", "role_arn",
                                               "web_identity_token_file", "login_session" };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        char *value = profile_value(files, unsupported[i]);
        if (value != NULL) {
            ri_web_forget_text(value);
            return ri_fail(err, RILLE_UNSUPPORTED,
                           "%s: the profile \"%s\" gets its credentials by %s, which rille does not support: run "
                           "aws configure export-credentials, and pass what it prints as options or in the environment",
                           shown, files->profile, unsupported[i]);
        }
    }
    return RILLE_OK;
}

static int find_in_files(const ri_web_options *options, const char *shown, ri_s3_keys *keys, char **region,
                         rille_err *err)
{
    const char *profile = options->profile != NULL ? options->profile : environment("AWS_PROFILE");
    profile_files files = { .profile = profile != NULL ? profile : "default",
                            .credentials = read_aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                            .config = read_aws_file("AWS_CONFIG_FILE", "config") };
    int rc = RILLE_OK;
    if (keys->access_key == NULL) {
        keys->access_key = profile_value(&files, "aws_access_key_id");
        if (keys->access_key != NULL) {
            keys->secret_key = profile_value(&files, "aws_secret_access_key");
            keys->session_token = profile_value(&files, "aws_session_token");
        }
        rc = keys->access_key == NULL ? fail_process(&files, shown, err) : RILLE_OK;
    }
    if (*region == NULL) {
        *region = profile_value(&files, "region");
    }
    if (rc == RILLE_OK && keys->access_key == NULL && profile != NULL) {
        rc = ri_fail(err, RILLE_PERMISSION,
                     "%s: there is no profile \"%s\" with aws_access_key_id in ~/.aws/credentials or ~/.aws/config",
                     shown, profile);
    }
    ri_web_forget_text(files.credentials);
    ri_web_forget_text(files.config);
    return rc;
}

/* ---- in order ---- */

static bool has_own_keys(const ri_web_options *options)
{
    return options->access_key != NULL || options->secret_key != NULL || options->session_token != NULL;
}

static const char *nonempty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool find_given(const ri_web_options *options, ri_s3_keys *keys, char **region)
{
    bool own = has_own_keys(options);
    bool by_profile = !own && options->profile != NULL; /* it was asked for by name: before the environment */
    const char *found = options->region != NULL ? options->region : environment("AWS_REGION");
    found = found != NULL ? found : environment("AWS_DEFAULT_REGION");
    if (!set(region, found)) {
        return false;
    }
    if (own) {
        return set(&keys->access_key, nonempty(options->access_key)) &&
               set(&keys->secret_key, nonempty(options->secret_key)) &&
               set(&keys->session_token, nonempty(options->session_token));
    }
    return by_profile || environment("AWS_ACCESS_KEY_ID") == NULL || /* the others belong to it */
           (set(&keys->access_key, environment("AWS_ACCESS_KEY_ID")) &&
            set(&keys->secret_key, environment("AWS_SECRET_ACCESS_KEY")) &&
            set(&keys->session_token, environment("AWS_SESSION_TOKEN")));
}

/* Where AWS's own programs would use it, other keys would be somebody else's. */
static int fail_web_identity(const ri_web_options *options, const char *shown, rille_err *err)
{
    return options->profile != NULL || environment("AWS_WEB_IDENTITY_TOKEN_FILE") == NULL
               ? RILLE_OK
               : ri_fail(err, RILLE_UNSUPPORTED,
                         "%s: AWS_WEB_IDENTITY_TOKEN_FILE is set, but rille does not support web identities: run aws "
                         "configure export-credentials, and pass what it prints as options or in the environment",
                         shown);
}

int ri_s3_keys_find(const ri_web_options *options, const char *shown, ri_s3_keys *keys, ri_s3_role *role, char **region,
                    rille_err *err)
{
    *keys = (ri_s3_keys){ 0 };
    *role = (ri_s3_role){ .service = RI_S3_NO_SERVICE };
    *region = NULL;
    if (!find_given(options, keys, region)) {
        return ri_fail_nomem(err);
    }
    if (has_own_keys(options) && (keys->access_key == NULL || keys->secret_key == NULL)) { /* never with other halves */
        return ri_fail(err, RILLE_PERMISSION, "%s: the options have no %s: set both access_key and secret_key", shown,
                       keys->access_key == NULL ? "access_key" : "secret_key");
    }
    if (keys->access_key == NULL) {
        RI_TRY(fail_web_identity(options, shown, err));
    }
    if (keys->access_key == NULL || *region == NULL) {
        RI_TRY(find_in_files(options, shown, keys, region, err));
    }
    if (keys->access_key == NULL) {
        return ri_s3_role_find(shown, role, err);
    }
    if (keys->secret_key == NULL) {
        return ri_fail(err, RILLE_PERMISSION,
                       "%s: the credentials have no secret key: set both keys in the same place (options, environment "
                       "or profile)",
                       shown);
    }
    return RILLE_OK;
}
