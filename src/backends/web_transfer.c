/* SPDX-License-Identifier: MIT
 *
 * One request: into a curl handle, out of it, and the decision whether it is sent again.
 *
 * REPETITION. A failed connection, a lost reply, and the statuses by which servers say "later" are tried again: first after
 * 50 ms at most, then twice as long each time, up to 3 s, with full jitter (Brooker: Exponential Backoff And Jitter, AWS
 * Architecture Blog, 2015), not earlier than Retry-After says, until the deadline. libcurl itself repeats a request, without a word, where a
 * kept connection turns out to be dead.
 */
#include "../core/base/bytes.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "../core/base/sha256.h"
#include "web_own.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_MS 10000
#define BACK_OFF_MS 50
#define BACK_OFF_MS_MAX 3000
#define UNREACHABLE_TRIES_MAX 4 /* a name or a port that is not there: somebody may be waiting */
#define REDIRECTS_MAX 5
#define MORE_BYTES_MAX ((size_t)1 << 20) /* than a range has: a server may send a longer one (RFC 9110, 14.2) */
#define EXPLANATION_BYTES_MAX ((size_t)64 << 10)
#define HEADER_BYTES_MAX ((size_t)128 << 10) /* of one try, with redirects and interim answers */
#define RETRY_AFTER_S_MAX ((uint64_t)24 * 3600)
#define TRIES_PER_DEADLINE 3 /* a try that hangs leaves time for others */
#define LOCAL_MS 1000 /* a try at a service of the machine, which may not be there, without an answer to say so */
#define LOCAL_TRIES_MAX 3
#define MEGABYTE_MS 10000
#define SLOW_BYTES_PER_S 1000

/* ---- what curl calls ---- */

static size_t limit_of(const ri_web_request *request)
{
    size_t most = request->answer_most + MORE_BYTES_MAX;
    return request->status == 206 && request->answer_most > 0 && most < request->answer_max ? most
                                                                                            : request->answer_max;
}

/* Of what explains a failure, the beginning is enough. */
static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    ri_web_request *request = context;
    size_t len = size * count;
    ri_web_hedge_heard(request);
    request->received_bytes += len;
    request->web->counters.received_bytes += request->is_local ? 0 : len;
    uint64_t more_us = (uint64_t)(request->answer.len >> 20) * MEGABYTE_MS * 1000;
    if (request->slow_us != 0 && ri_clock_us() > request->slow_us + more_us) {
        request->is_slow = true;
        return 0;
    }
    if (request->status >= 300 && request->answer.len + len > EXPLANATION_BYTES_MAX) {
        return len;
    }
    if (limit_of(request) - request->answer.len < len) {
        request->is_long = true;
        return 0;
    }
    ri_buf_put(&request->answer, bytes, len);
    return request->answer.failed ? 0 : len;
}

static size_t give_body(char *bytes, size_t size, size_t count, void *context)
{
    ri_web_request *request = context;
    size_t len = request->body_len - request->sent;
    len = len < size * count ? len : size * count;
    if (len > 0) {
        memcpy(bytes, request->body + request->sent, len);
    }
    request->sent += len;
    request->web->counters.sent_bytes += len;
    return len;
}

static int rewind_body(void *context, curl_off_t offset, int origin)
{
    ri_web_request *request = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->body_len) {
        return CURL_SEEKFUNC_FAIL;
    }
    request->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void forget_answer(ri_web_request *request)
{
    ri_buf_clear(&request->answer);
    request->is_long = false;
    request->status = 0;
    request->retry_after_ms = 0;
    request->etag[0] = request->range[0] = request->type[0] = request->encoding[0] = '\0';
    request->region[0] = request->modified[0] = request->date[0] = '\0';
}

/* Is this line the header, and its value short enough? */
static bool keep_header(const char *line, size_t len, const char *name, char out[RI_WEB_HEADER_MAX])
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0) {
        return false;
    }
    const char *value = line + name_len + 1;
    len -= name_len + 1;
    while (len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    while (len > 0 && (value[len - 1] == '\r' || value[len - 1] == '\n' || value[len - 1] == ' ')) {
        len--;
    }
    if (len < RI_WEB_HEADER_MAX) {
        memcpy(out, value, len);
        out[len] = '\0';
    }
    return true;
}

/* "HTTP/1.1 206 ..."; 0: it is none. */
static int status_of(const char *line, size_t len)
{
    int status = 0;
    const char *space = memchr(line, ' ', len);
    const char *at = space != NULL ? space + 1 : line + len;
    for (; at < line + len && *at >= '0' && *at <= '9' && status < 1000; at++) {
        status = status * 10 + (*at - '0');
    }
    return status;
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    ri_web_request *request = context;
    size_t len = size * count;
    char text[RI_WEB_HEADER_MAX] = { 0 };
    request->header_len += len;
    ri_web_hedge_heard(request);
    if (request->header_len > HEADER_BYTES_MAX) {
        request->is_long = true;
        return 0;
    }
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* another answer: what came before was a redirect */
        forget_answer(request);
        request->status = status_of(line, len);
        request->awaits = false;
    } else if (keep_header(line, len, "ETag", request->etag) ||
               keep_header(line, len, "Content-Range", request->range) ||
               keep_header(line, len, "Content-Type", request->type) ||
               keep_header(line, len, "Content-Encoding", request->encoding) ||
               keep_header(line, len, "Last-Modified", request->modified) ||
               keep_header(line, len, "Date", request->date) ||
               keep_header(line, len, "x-amz-bucket-region", request->region)) {
        return len;
    } else if (keep_header(line, len, "Retry-After", text) && text[0] >= '0' && text[0] <= '9') {
        uint64_t s = strtoull(text, NULL, 10);
        request->retry_after_ms = (s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX) * 1000;
    }
    return len;
}

/* Told of each request that leaves to the storage, also of those that libcurl repeats without a word. One that leaves in pieces has its
 * method in the first of them only; CONNECT is for a proxy. */
static int count_sent(CURL *easy, curl_infotype type, char *bytes, size_t len, void *context)
{
    ri_web_request *request = context;
    size_t method_len = strlen(request->method);
    (void)easy;
    if (type == CURLINFO_HEADER_OUT && !request->is_local && len > method_len && bytes[method_len] == ' ' &&
        memcmp(bytes, request->method, method_len) == 0) {
        request->times_sent++;
        request->web->counters.requests++;
        request->web->counters.retries += request->awaits ? 1 : 0;
        request->awaits = true;
    }
    return 0;
}

/* ---- sending ---- */

static bool add_line(const ri_web *web, struct curl_slist **lines, const char *line)
{
    struct curl_slist *more = web->curl.slist_append(*lines, line);
    *lines = more != NULL ? more : *lines;
    return more != NULL;
}

static bool add_lines(const ri_web *web, struct curl_slist **lines, const ri_buf *headers)
{
    bool ok = !headers->failed;
    for (size_t at = 0; ok && at < headers->len;) {
        const char *line = (const char *)headers->p + at;
        ok = add_line(web, lines, line);
        at += strlen(line) + 1;
    }
    return ok;
}

/* Accept-Encoding: offsets count the bytes as they are stored. Expect: no round trip before a body. */
static int make_lines(ri_web *web, ri_web_request *request, rille_err *err)
{
    struct curl_slist *lines = NULL;
    ri_buf proof = { 0 };
    bool is_signed = web->client.sign != NULL && !request->is_local;
    int rc = is_signed ? web->client.sign(web->client.context, request, &proof, err) : 0;
    if (rc == 0 && !(add_line(web, &lines, "Accept-Encoding: identity") && add_line(web, &lines, "Expect:") &&
                     add_lines(web, &lines, &request->headers) && add_lines(web, &lines, &proof))) {
        rc = ri_fail_nomem(err);
    }
    if (proof.p != NULL) {
        ri_wipe(proof.p, proof.len);
    }
    ri_buf_deinit(&proof);
    request->lines = lines;
    if (rc != 0) {
        web->curl.slist_free_all(lines);
        request->lines = NULL;
    }
    return rc;
}

static void set_method(const ri_web *web, CURL *easy, ri_web_request *request)
{
    if (strcmp(request->method, "PUT") == 0) {
        (void)web->curl.easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        (void)web->curl.easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        (void)web->curl.easy_setopt(easy, CURLOPT_READDATA, request);
        (void)web->curl.easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
        (void)web->curl.easy_setopt(easy, CURLOPT_SEEKDATA, request);
        (void)web->curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_len);
    } else if (strcmp(request->method, "HEAD") == 0) {
        (void)web->curl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "GET") != 0) {
        (void)web->curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

/* What has nothing to do with the server of the database. */
static void set_local(const ri_web *web, CURL *easy)
{
    (void)web->curl.easy_setopt(easy, CURLOPT_PROXY, "");
    (void)web->curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
}

static void set_client(const ri_web *web, CURL *easy)
{
    const ri_web_client *client = &web->client;
    const char *protocols = strncmp(client->shown, "https:", 6) == 0 ? "https" : "http,https";
    (void)web->curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)web->curl.easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    (void)web->curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)web->curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    (void)web->curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, client->follows_redirects ? 1L : 0L);
    (void)web->curl.easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)web->curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    (void)web->curl.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* it is signed so */
    (void)web->curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (client->ca_file != NULL) {
        (void)web->curl.easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    }
    if (client->netrc_file != NULL) {
        (void)web->curl.easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
        (void)web->curl.easy_setopt(easy, CURLOPT_NETRC_FILE, client->netrc_file);
    }
}

/* How long one try may take. */
static void set_timeouts(const ri_web *web, CURL *easy, ri_web_request *request, uint64_t now_us)
{
    uint64_t left_ms = request->deadline_us > now_us ? (request->deadline_us - now_us) / 1000 + 1 : 1;
    uint64_t try_ms = request->is_local ? LOCAL_MS : web->client.timeout_ms / TRIES_PER_DEADLINE + 1;
    try_ms = try_ms < left_ms ? try_ms : left_ms;
    uint64_t bytes_ms = (uint64_t)((request->body_len + request->answer_most) >> 20) * MEGABYTE_MS;
    (void)web->curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(try_ms < CONNECT_MS ? try_ms : CONNECT_MS));
    request->slow_us = 0;
    request->is_slow = false;
    if (request->answer_most > 0 || request->body_len > 0) {
        (void)web->curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(try_ms + bytes_ms));
    } else {
        request->slow_us = now_us + try_ms * 1000;
        (void)web->curl.easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
        (void)web->curl.easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((try_ms + 999) / 1000));
    }
}

static void set_request(const ri_web *web, CURL *easy, ri_web_request *request, uint64_t now_us)
{
    (void)web->curl.easy_setopt(easy, CURLOPT_URL, request->url);
    (void)web->curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, request->why);
    (void)web->curl.easy_setopt(easy, CURLOPT_PRIVATE, (void *)request);
    (void)web->curl.easy_setopt(easy, CURLOPT_HTTPHEADER, (struct curl_slist *)request->lines);
    (void)web->curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)web->curl.easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)web->curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)web->curl.easy_setopt(easy, CURLOPT_HEADERDATA, request);
    (void)web->curl.easy_setopt(easy, CURLOPT_DEBUGFUNCTION, count_sent);
    (void)web->curl.easy_setopt(easy, CURLOPT_DEBUGDATA, request);
    (void)web->curl.easy_setopt(easy, CURLOPT_VERBOSE, 1L); /* nothing is printed: count_sent gets it */
    /* For a connection that may have room for others. Without TLS there is none, which libcurl learns from an answer only. */
    bool may_share = strncmp(request->url, "https:", 6) == 0;
    (void)web->curl.easy_setopt(easy, CURLOPT_PIPEWAIT, may_share ? 1L : 0L);
    set_timeouts(web, easy, request, now_us);
}

static CURL *take_handle(ri_web *web)
{
    if (web->multi == NULL) {
        web->multi = web->curl.multi_init();
        if (web->multi == NULL) {
            return NULL;
        }
        (void)web->curl.multi_setopt(web->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    }
    return web->idle_count > 0 ? web->idle[--web->idle_count] : web->curl.easy_init();
}

static void give_handle(ri_web *web, CURL *easy)
{
    if (web->idle_count < WEB_IDLE_MAX) {
        web->curl.easy_reset(easy);
        web->idle[web->idle_count++] = easy;
    } else {
        web->curl.easy_cleanup(easy);
    }
}

int ri_web_send(ri_web *web, ri_web_request *request, uint64_t now_us, rille_err *err)
{
    forget_answer(request);
    request->sent = 0;
    request->why[0] = '\0';
    request->header_len = 0;
    RI_TRY(make_lines(web, request, err));
    CURL *easy = take_handle(web);
    if (easy != NULL) {
        set_client(web, easy);
        set_method(web, easy, request);
        set_request(web, easy, request, now_us);
        if (request->is_local) {
            set_local(web, easy);
        }
        (void)web->curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->twin_of != NULL ? 1L : 0L);
    }
    if (easy == NULL || web->curl.multi_add_handle(web->multi, easy) != CURLM_OK) {
        if (easy != NULL) {
            web->curl.easy_cleanup(easy);
        }
        web->curl.slist_free_all(request->lines);
        request->lines = NULL;
        return ri_fail_nomem(err);
    }
    request->easy = easy;
    request->awaits = false;
    ri_web_hedge_sent(web, request, now_us);
    web->counters.retries += request->tries > 0 && !request->is_local ? 1 : 0;
    request->tries++;
    web->under_way++;
    return 0;
}

void ri_web_withdraw(ri_web *web, ri_web_request *request)
{
    if (request->easy != NULL) {
        (void)web->curl.multi_remove_handle(web->multi, request->easy);
        give_handle(web, request->easy);
        web->under_way--;
        request->easy = NULL;
    }
    web->curl.slist_free_all(request->lines);
    request->lines = NULL;
}

/* ---- receiving ---- */

static bool says_later(const ri_web_request *request)
{
    switch (request->status) {
    case 409: /* a conditional write met another one */
        return strcmp(request->method, "PUT") == 0;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

/* May the same request have another outcome? */
static bool is_passing(const ri_web_request *request, CURLcode result)
{
    switch ((int)result) {
    case CURLE_OK:
        return says_later(request);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return request->tries < UNREACHABLE_TRIES_MAX;
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    default:
        return false;
    }
}

/* False: there is no time left for another try. */
static bool put_off(ri_web *web, ri_web_request *request, uint64_t now_us)
{
    unsigned doublings = request->tries < 8 ? request->tries - 1 : 7;
    uint64_t most_ms = (uint64_t)BACK_OFF_MS << doublings;
    most_ms = most_ms < BACK_OFF_MS_MAX ? most_ms : BACK_OFF_MS_MAX;
    web->jitter = ri_mix64(web->jitter + now_us + 1);
    uint64_t wait_ms = web->jitter % (most_ms + 1);
    wait_ms = wait_ms > request->retry_after_ms ? wait_ms : request->retry_after_ms;
    request->due_us = now_us + wait_ms * 1000;
    return request->due_us < request->deadline_us;
}

/* The variable that names a proxy for this URL, as libcurl looks for it; or NULL. */
static const char *proxy_variable(const char *url)
{
    static const char *const variables[2][4] = { { "http_proxy", "all_proxy", "ALL_PROXY" },
                                                 { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } };
    const char *const *names = variables[strncmp(url, "https:", 6) == 0];
    for (size_t i = 0; i < 4 && names[i] != NULL; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0') {
            return names[i];
        }
    }
    return NULL;
}

static int fail_curl(const ri_web *web, const ri_web_request *request, CURLcode result, rille_err *err)
{
    const char *url = web->client.shown;
    const char *why = request->why[0] != '\0' ? request->why : web->curl.easy_strerror(result);
    const char *proxy = proxy_variable(request->url);
    switch ((int)result) {
    case CURLE_OUT_OF_MEMORY:
        return ri_fail_nomem(err);
    case CURLE_WRITE_ERROR:
        return request->is_long ? ri_fail(err, RILLE_CORRUPT,
                                          "%s: the answer is longer than %zu bytes, so it is not from a rille database",
                                          url, limit_of(request))
                                : ri_fail_nomem(err);
    case CURLE_URL_MALFORMAT:
        return ri_fail(err, RILLE_SYNTAX, "%s: the host or the port is not valid (%s): check the %s", url, why,
                       strncmp(url, "s3:", 3) == 0 ? "bucket and the endpoint" : "URL");
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
        return ri_fail(err, RILLE_IO, "%s: unknown host (%s): check its spelling, and the network", url, why);
    case CURLE_COULDNT_CONNECT:
        return ri_fail(err, RILLE_IO, "%s: no connection (%s): is the server running, and the port right?%s%s%s", url,
                       why, proxy != NULL ? " Check the proxy, too: " : "", proxy != NULL ? proxy : "",
                       proxy != NULL ? " is set" : "");
    case CURLE_OPERATION_TIMEDOUT:
        return ri_fail(err, RILLE_TIMEOUT,
                       "%s: no answer within %llu ms (attempts: %u): check the network, or raise timeout_ms", url,
                       (unsigned long long)web->client.timeout_ms, request->tries);
    case CURLE_SSL_CONNECT_ERROR:
        return ri_fail(err, RILLE_IO,
                       "%s: no TLS connection (%s; attempts: %u): does the server use https on this port?", url, why,
                       request->tries);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return ri_fail(
            err, RILLE_PERMISSION,
            "%s: the server's certificate is not trusted (%s): check that it is for this host and has not expired, or "
            "pass its authority as ca_file",
            url, why);
    case CURLE_SSL_CACERT_BADFILE:
        return ri_fail(err, RILLE_IO, "%s: cannot read certificates (%s): check ca_file", url, why);
    case CURLE_TOO_MANY_REDIRECTS:
        return ri_fail(err, RILLE_IO, "%s: more than %d redirects: use the URL that they lead to", url, REDIRECTS_MAX);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ri_fail(err, RILLE_PERMISSION, "%s: a redirect leaves HTTP%s: use the URL that it leads to", url,
                       strncmp(url, "https:", 6) == 0 ? "S" : "");
    default:
        return ri_fail(err, RILLE_IO, "%s: the transfer failed (%s; attempts: %u)", url, why, request->tries);
    }
}

bool ri_web_receive(ri_web *web, ri_web_request *request, CURLcode result, uint64_t now_us, rille_err *err)
{
    long status = 0;
    (void)web->curl.easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    ri_web_withdraw(web, request);
    request->status = (int)status;
    result = request->is_slow ? CURLE_OPERATION_TIMEDOUT : result;
    bool has_tries = !request->is_local || request->tries < LOCAL_TRIES_MAX;
    if (is_passing(request, result) && (request->twin_of != NULL || (has_tries && put_off(web, request, now_us)))) {
        return false;
    }
    if (result != CURLE_OK) {
        request->rc = fail_curl(web, request, result, err);
        return true;
    }
    request->rc = request->is_local ? 0 : web->client.judge(web->client.context, request, err);
    return request->rc != RILLE_NEED;
}
