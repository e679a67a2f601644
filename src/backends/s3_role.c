/* SPDX-License-Identifier: MIT
 *
 * Keys of a role: asked for when the first request needs them, and again before they expire. While the old ones are good,
 * nothing waits for the new ones.
 */
#include "s3_role.h"

#include "../core/base/bytes.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "web_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_HOST_IPV6 "http://[fd00:ec2::254]"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_LIFE "X-aws-ec2-metadata-token-ttl-seconds: 300"
#define TOKEN_BYTES_MAX ((size_t)16 << 10) /* of a file; and of what a service answers */
#define ANSWER_BYTES_MAX ((size_t)64 << 10)
#define JOB_US ((uint64_t)10 * 1000 * 1000)       /* longer than its requests with all their tries take */
#define AGAIN_US_MAX ((uint64_t)10 * 1000 * 1000) /* of a shorter life, its sixteenth */
#define KEY_SEED 0x726f6c65U

static const char no_keys[] = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or pass access_key and "
                              "secret_key";

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- where the service is ---- */

/* 127.x.x.x, and nothing that only begins so: a name of another host may. */
static bool is_loopback(const char *host, size_t len)
{
    unsigned dots = 0;
    for (size_t i = 0; i < len; i++) {
        dots += host[i] == '.';
        if (host[i] != '.' && (host[i] < '0' || host[i] > '9')) {
            return false;
        }
    }
    return dots == 3 && len > 4 && memcmp(host, "127.", 4) == 0;
}

/* Hosts that get a token without TLS: this machine, and the fixed addresses of ECS and EKS. */
static bool is_near(const char *host, size_t len)
{
    static const char *const near[] = { "localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]" };
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        if (strlen(near[i]) == len && strncasecmp(near[i], host, len) == 0) {
            return true;
        }
    }
    return is_loopback(host, len);
}

/* The host of scheme://HOST:PORT/PATH, with nothing in it that two readers could understand in two ways. */
static bool split_url(const char *url, const char **host, size_t *host_len, size_t *shown_len)
{
    size_t scheme_len = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    *host = url + scheme_len;
    size_t len = strcspn(*host, "/?#");
    *shown_len = scheme_len + len;
    *host_len = (*host)[0] == '[' ? strcspn(*host, "]") + 1 : strcspn(*host, ":/?#");
    if (scheme_len == 0 || len == 0 || *host_len > len) {
        return false;
    }
    for (const char *c = url; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '\\' || (c < *host + len && *c == '@')) {
            return false;
        }
    }
    const char *port = *host + *host_len;
    return port == *host + len || (*port == ':' && strspn(port + 1, "0123456789") == (size_t)(*host + len - port - 1));
}

static bool copy(char **out, const char *a, size_t a_len, const char *b)
{
    *out = ri_alloc(a_len + strlen(b) + 1);
    if (*out != NULL) {
        memcpy(*out, a, a_len);
        memcpy(*out + a_len, b, strlen(b) + 1);
    }
    return *out != NULL;
}

static int set_url(ri_s3_role *role, const char *variable, const char *host, const char *path, rille_err *err)
{
    const char *name;
    size_t name_len;
    size_t shown_len;
    if (!copy(&role->url, host, strlen(host), path)) {
        return ri_fail_nomem(err);
    }
    if (!split_url(role->url, &name, &name_len, &shown_len)) {
        return ri_fail(err, RILLE_PERMISSION,
                       "%s: %s is not a URL of the form http://HOST:PORT/PATH: correct or unset it", role->shown,
                       variable);
    }
    bool is_tls = strncmp(role->url, "https:", 6) == 0;
    if (role->service == RI_S3_CONTAINER && !is_tls && !is_near(name, name_len)) {
        return ri_fail(err, RILLE_PERMISSION,
                       "%s: %s asks a host without TLS that is not this machine or one of ECS and EKS: use https, or a "
                       "loopback address",
                       role->shown, variable);
    }
    return copy(&role->host, role->url, shown_len, "") ? RILLE_OK : ri_fail_nomem(err);
}

static int set_instance(ri_s3_role *role, rille_err *err)
{
    const char *endpoint = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    bool is_ipv6 = mode != NULL && strcasecmp(mode, "ipv6") == 0;
    role->service = RI_S3_INSTANCE;
    endpoint = endpoint != NULL ? endpoint : is_ipv6 ? INSTANCE_HOST_IPV6 : INSTANCE_HOST;
    RI_TRY(set_url(role, "AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint, "", err));
    for (size_t len = strlen(role->url); len > 0 && role->url[len - 1] == '/'; len--) {
        role->url[len - 1] = '\0';
    }
    return RILLE_OK;
}

int ri_s3_role_find(const char *shown, ri_s3_role *role, rille_err *err)
{
    const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *disabled = environment("AWS_EC2_METADATA_DISABLED");
    *role = (ri_s3_role){ .shown = shown };
    if (relative != NULL || full != NULL) {
        role->service = RI_S3_CONTAINER;
        return relative != NULL && relative[0] == '/'
                   ? set_url(role, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", CONTAINER_HOST, relative, err)
               : relative != NULL ? ri_fail(err, RILLE_PERMISSION,
                                            "%s: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with /", shown)
                                  : set_url(role, "AWS_CONTAINER_CREDENTIALS_FULL_URI", full, "", err);
    }
    if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
        return ri_fail(
            err, RILLE_PERMISSION,
            "%s: no credentials in options, environment and profile, and AWS_EC2_METADATA_DISABLED is set: %s", shown,
            no_keys);
    }
    return set_instance(role, err);
}

void ri_s3_role_deinit(ri_s3_role *role)
{
    ri_s3_grant_deinit(&role->grant);
    ri_web_forget_text(role->url);
    ri_free(role->host);
    *role = (ri_s3_role){ .service = RI_S3_NO_SERVICE };
}

/* ---- asking ---- */

typedef enum phase { ASK_TOKEN, ASK_ROLE, ASK_KEYS } phase;

typedef struct role_job {
    ri_web_job job;
    ri_s3_role *role;
    char *token_header; /* of an instance's service */
    ri_s3_grant grant;
    char reason[200]; /* why there is none */
} role_job;

static void deinit_role_job(ri_web_job *job)
{
    role_job *own = (role_job *)job;
    ri_web_forget_text(own->token_header);
    ri_s3_grant_deinit(&own->grant);
    if (own->role->job == job) {
        own->role->job = NULL;
    }
}

static int fail_reason(role_job *own, const char *reason, rille_err *err)
{
    (void)snprintf(own->reason, sizeof own->reason, "%s", reason);
    return ri_fail(err, RILLE_PERMISSION, "%s", reason);
}

/* header: or NULL. */
static int ask(ri_web *web, role_job *own, phase next, const char *path, const char *header, rille_err *err)
{
    ri_buf url = { 0 };
    ri_buf_put_text(&url, own->role->url);
    ri_buf_put_text(&url, path);
    ri_web_request *request = ri_web_add(web, &own->job, next == ASK_TOKEN ? "PUT" : "GET", &url, NULL, 0);
    if (request == NULL) {
        return ri_fail_nomem(err);
    }
    request->is_local = true;
    request->answer_max = ANSWER_BYTES_MAX;
    request->answer_most = 1; /* its time is curl's, to the millisecond */
    if (header != NULL) {
        ri_buf_put(&request->headers, header, strlen(header) + 1);
    }
    own->job.phase = next;
    return RILLE_OK;
}

/* "NAME: TEXT" of a text that may be a header's: one line of printable ASCII. */
static int make_header(role_job *own, const char *name, const char *text, size_t len, const char *wrong, char **out,
                       rille_err *err)
{
    *out = NULL;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    size_t plain = 0;
    while (plain < len && text[plain] >= ' ' && text[plain] <= '~') {
        plain++;
    }
    if (len == 0 || plain < len) {
        return fail_reason(own, wrong, err);
    }
    size_t name_len = strlen(name);
    *out = ri_alloc(name_len + len + 1);
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(*out, name, name_len);
    memcpy(*out + name_len, text, len);
    (*out)[name_len + len] = '\0';
    return RILLE_OK;
}

static size_t read_line_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t len = file != NULL ? fread(text, 1, size, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    return len;
}

/* The file is read each time: what is in it is renewed, too. */
static int ask_container(ri_web *web, role_job *own, rille_err *err)
{
    static const char name[] = "Authorization: ";
    const char *path = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    char *header = NULL;
    int rc = RILLE_OK;
    if (path != NULL) {
        char text[TOKEN_BYTES_MAX];
        size_t len = read_line_file(path, text, sizeof text);
        rc = make_header(own, name, text, len, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not a file with one line",
                         &header, err);
        ri_wipe(text, len);
    } else if (token != NULL) {
        rc = make_header(own, name, token, strlen(token), "AWS_CONTAINER_AUTHORIZATION_TOKEN is not one line", &header,
                         err);
    }
    rc = rc == RILLE_OK ? ask(web, own, ASK_KEYS, "", header, err) : rc;
    ri_web_forget_text(header);
    return rc;
}

static int take_token(ri_web *web, role_job *own, const ri_web_request *answer, rille_err *err)
{
    RI_TRY(make_header(own, "X-aws-ec2-metadata-token: ", (const char *)answer->answer.p, answer->answer.len,
                       "its token is not one line", &own->token_header, err));
    return ask(web, own, ASK_ROLE, ROLE_PATH, own->token_header, err);
}

/* Its name is the first line of a list. */
static int take_role(ri_web *web, role_job *own, const ri_web_request *answer, rille_err *err)
{
    char path[sizeof ROLE_PATH + 128] = ROLE_PATH;
    size_t at = sizeof ROLE_PATH - 1;
    size_t len = 0;
    while (len < answer->answer.len && at + 1 < sizeof path && answer->answer.p[len] > ' ' &&
           answer->answer.p[len] <= '~' && strchr("/?#%\\", answer->answer.p[len]) == NULL) {
        path[at++] = (char)answer->answer.p[len++];
    }
    path[at] = '\0';
    bool ends = len == answer->answer.len || answer->answer.p[len] == '\n' || answer->answer.p[len] == '\r';
    return len > 0 && ends ? ask(web, own, ASK_KEYS, path, own->token_header, err)
                           : fail_reason(own, "its answer is not the name of a role", err);
}

static int take_keys(role_job *own, const ri_web_request *answer, rille_err *err)
{
    const char *wrong = ri_s3_grant_read(&answer->answer, answer->date, ri_s3_now_get(), &own->grant);
    if (wrong != NULL && strcmp(wrong, RI_S3_GRANT_NO_MEMORY) == 0) {
        return ri_fail_nomem(err);
    }
    return wrong != NULL ? fail_reason(own, wrong, err) : RILLE_OK;
}

static int advance_role(ri_web *web, ri_web_job *job, const ri_web_request *answer, rille_err *err)
{
    role_job *own = (role_job *)job;
    if (answer->status != 200) {
        char text[80];
        bool no_role = job->phase == ASK_ROLE && answer->status == 404;
        (void)snprintf(text, sizeof text, "it answered with status %d%s", answer->status,
                       no_role ? ": the instance has no role" : "");
        return fail_reason(own, text, err);
    }
    switch ((phase)job->phase) {
    case ASK_TOKEN:
        return take_token(web, own, answer, err);
    case ASK_ROLE:
        return take_role(web, own, answer, err);
    case ASK_KEYS:
        break;
    }
    return take_keys(own, answer, err);
}

static int fail_role(const ri_s3_role *role, const char *reason, rille_err *err)
{
    bool is_instance = role->service == RI_S3_INSTANCE;
    return ri_fail(err, RILLE_PERMISSION,
                   "%s: no credentials in options, environment and profile, nor from the %s service %.60s (%.100s): %s",
                   role->shown, is_instance ? "instance" : "container", role->host, reason,
                   is_instance ? no_keys : "check the AWS_CONTAINER_ variables and the role");
}

static void role_done(ri_web *web, ri_web_job *job)
{
    role_job *own = (role_job *)job;
    ri_s3_role *role = own->role;
    rille_err err = { 0 };
    int rc = job->rc;
    role->job = NULL;
    if (rc == RILLE_OK) {
        ri_s3_grant_deinit(&role->grant);
        role->grant = own->grant;
        own->grant = (ri_s3_grant){ 0 };
        role->number++;
    } else if (rc != RILLE_NOMEM) {
        const char *why = job->requests != NULL && job->requests->why[0] != '\0' ? job->requests->why : "no answer";
        rc = fail_role(role, own->reason[0] != '\0' ? own->reason : why, &err);
    } else {
        (void)ri_fail_nomem(&err);
    }
    uint64_t again_us = role->grant.lifetime_ms * 1000 / 16;
    role->again_us = ri_clock_us() + (again_us < AGAIN_US_MAX ? again_us : AGAIN_US_MAX);
    ri_web_go_on(web, rc, &err);
}

static int begin(ri_s3_role *role, ri_web *web, uint64_t now_us, rille_err *err)
{
    ri_web_job *job = ri_web_begin(web, ri_mix64(KEY_SEED), sizeof(role_job));
    if (job == NULL) {
        return ri_fail_nomem(err);
    }
    role_job *own = (role_job *)job;
    own->role = role;
    job->deinit = deinit_role_job;
    job->advance = advance_role;
    int rc = role->service == RI_S3_INSTANCE ? ask(web, own, ASK_TOKEN, "/latest/api/token", TOKEN_LIFE, err)
                                             : ask_container(web, own, err);
    if (rc != RILLE_OK) {
        rc = rc == RILLE_NOMEM ? rc : fail_role(role, own->reason, err);
        ri_web_end(web, job);
        return rc;
    }
    job->done = role_done;
    role->job = job;
    role->job_end_us = now_us + JOB_US;
    return RILLE_OK;
}

int ri_s3_role_keys(ri_s3_role *role, ri_web *web, const ri_s3_keys **keys, rille_err *err)
{
    ri_s3_now now = ri_s3_now_get();
    bool is_good = ri_s3_grant_is_good(&role->grant, now);
    bool is_due = !is_good || (ri_s3_grant_is_old(&role->grant, now) && now.steady_us >= role->again_us);
    if (role->job != NULL && now.steady_us > role->job_end_us) { /* nobody drove it: its answers came too late */
        ri_web_end(web, role->job);
    }
    if (role->job == NULL && is_due) {
        rille_err why = { 0 };
        int rc = begin(role, web, now.steady_us, &why);
        if (rc != RILLE_OK && !is_good) {
            *err = why;
            return rc;
        }
    }
    *keys = &role->grant.keys;
    return is_good ? RILLE_OK : RILLE_NEED;
}

void ri_s3_role_forget(ri_s3_role *role, uint64_t number)
{
    if (role->number == number) {
        ri_s3_grant_deinit(&role->grant);
    }
}
