/* SPDX-License-Identifier: MIT
 *
 * Jobs, and the loop that drives them.
 */
#include "web.h"

#include "../core/base/bytes.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "../core/base/sha256.h"
#include "../core/store/backends.h"
#include "call_key.h"
#include "web_own.h"

#include <stdio.h>
#include <string.h>

#define PARALLEL_MAX 64 /* requests under way at once */
#define WAIT_MS_MAX 1000
#define OTHERS_MS 5

/* ---- opening ---- */

int ri_web_new(const ri_web_client *client, ri_web **out, rille_err *err)
{
    *out = NULL;
    ri_curl curl;
    RI_TRY(ri_curl_load(client->shown, &curl, err));
    ri_web *web = ri_alloc_zero(sizeof *web);
    if (web == NULL || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ri_free(web);
        return ri_fail_nomem(err);
    }
    web->curl = curl;
    web->client = *client;
    web->process = ri_process();
    ri_random_bytes(&web->jitter, sizeof web->jitter);
    ri_mutex_init(&web->lock);
    ri_cond_init(&web->moved);
    *out = web;
    return RILLE_OK;
}

static void wipe(const ri_buf *buf)
{
    if (buf->p != NULL) {
        ri_wipe(buf->p, buf->len);
    }
}

static void drop_request(ri_web *web, ri_web_request *request)
{
    ri_web_hedge_drop(web, request);
    ri_web_withdraw(web, request);
    if (request->is_local) { /* it asked for secrets, and got them */
        wipe(&request->headers);
        wipe(&request->answer);
        ri_wipe(request->url, strlen(request->url));
    }
    ri_buf_deinit(&request->headers);
    ri_buf_deinit(&request->answer);
    ri_free(request->url);
    ri_free(request->body);
    ri_free(request);
}

static void drop_requests(ri_web *web, ri_web_request *requests)
{
    while (requests != NULL) {
        ri_web_request *next = requests->next;
        drop_request(web, requests);
        requests = next;
    }
}

/* ---- rounds ---- */

static void begin_waiting(ri_web *web, ri_web_job *job)
{
    if (!job->waits && web->waiting++ == 0) {
        web->counters.rounds++;
        web->round_us = ri_clock_us();
    }
    job->waits = true;
}

static void stop_waiting(ri_web *web, ri_web_job *job)
{
    if (job->waits && --web->waiting == 0) {
        web->counters.wait_us += ri_clock_us() - web->round_us;
    }
    job->waits = false;
}

int ri_web_counters(ri_web *web, rille_counters *out)
{
    ri_mutex_lock(&web->lock);
    *out = web->counters;
    out->wait_us += web->waiting > 0 ? ri_clock_us() - web->round_us : 0;
    ri_mutex_unlock(&web->lock);
    return RILLE_OK;
}

void ri_web_end(ri_web *web, ri_web_job *job)
{
    stop_waiting(web, job);
    ri_web_job **at = &web->jobs;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    drop_requests(web, job->requests);
    if (job->deinit != NULL) {
        job->deinit(job);
    }
    ri_free(job);
}

/* Nobody takes the answer to what another one has asked: it may be of a time before he began, and before a commit that
 * he knows of. */
uint64_t ri_web_own_key(uint64_t key)
{
    return ri_mix64(key + ri_store_caller());
}

static uint64_t key_of(const rille_want *call)
{
    uint64_t key = ri_key_want(call);
    bool is_own = call->op == RILLE_WANT_HEAD_READ || call->op == RILLE_WANT_HEAD_LIST || call->op == RILLE_WANT_LIST;
    return is_own ? ri_web_own_key(key) : key;
}

void ri_web_cancel(ri_web *web, const rille_want *call)
{
    ri_web_enter(web);
    ri_web_job *job = ri_web_find(web, key_of(call));
    if (job != NULL) {
        ri_web_end(web, job);
    }
    ri_web_leave(web);
}

static void close_handles(ri_web *web)
{
    while (web->idle_count > 0) {
        web->curl.easy_cleanup(web->idle[--web->idle_count]);
    }
    if (web->multi != NULL) {
        (void)web->curl.multi_cleanup(web->multi);
    }
    web->multi = NULL;
}

void ri_web_release(ri_web *web)
{
    if (web == NULL) {
        return;
    }
    ri_web_enter(web);
    while (web->jobs != NULL) {
        ri_web_end(web, web->jobs);
    }
    close_handles(web);
    ri_web_leave(web);
    ri_mutex_deinit(&web->lock);
    ri_cond_deinit(&web->moved);
    web->curl.global_cleanup();
    ri_free(web);
}

/* ---- who is in ---- */

static void forget_handle(ri_web_request *request)
{
    if (request != NULL) {
        request->easy = NULL;
        request->lines = NULL;
    }
}

/* A child must not say goodbye on its parent's connections: what it was given is left lying. Nor does it send what its parent
 * has sent: who asks for that in the child begins it there. */
static void leave_to_parent(ri_web *web)
{
    web->multi = NULL;
    web->idle_count = 0;
    web->polls = false;
    web->process = ri_process();
    while (web->jobs != NULL) {
        for (ri_web_request *request = web->jobs->requests; request != NULL; request = request->next) {
            forget_handle(request);
            forget_handle(request->twin);
        }
        ri_web_end(web, web->jobs);
    }
    web->under_way = 0;
}

void ri_web_enter(ri_web *web)
{
    ri_mutex_lock(&web->lock);
    if (web->process != ri_process()) {
        leave_to_parent(web);
    }
    while (web->polls) {
        (void)web->curl.multi_wakeup(web->multi);
        ri_cond_wait(&web->moved, &web->lock, 10000);
    }
}

void ri_web_leave(ri_web *web)
{
    ri_mutex_unlock(&web->lock);
}

/* ---- jobs ---- */

ri_web_job *ri_web_find(ri_web *web, uint64_t key)
{
    ri_web_job *job = web->jobs;
    while (job != NULL && job->key != key) {
        job = job->next;
    }
    return job;
}

ri_web_job *ri_web_begin(ri_web *web, uint64_t key, size_t size)
{
    ri_web_job *job = ri_alloc_zero(size);
    if (job != NULL) {
        job->key = key;
        job->next = web->jobs;
        web->jobs = job;
    }
    return job;
}

static uint64_t deadline_of(const ri_web *web, size_t body_len)
{
    uint64_t extra_ms = (uint64_t)(body_len >> 20) * 10000;
    return ri_clock_us() + (web->client.timeout_ms + extra_ms) * 1000;
}

ri_web_request *ri_web_add(ri_web *web, ri_web_job *job, const char *method, ri_buf *url, const uint8_t *body,
                           size_t body_len)
{
    size_t url_len;
    ri_buf_put_u8(url, 0);
    char *text = (char *)ri_buf_take(url, &url_len);
    ri_buf_deinit(url);
    ri_web_request *request = text != NULL ? ri_alloc_zero(sizeof *request) : NULL;
    uint8_t *copy = request != NULL && body_len > 0 ? ri_alloc(body_len) : NULL;
    if (request == NULL || (body_len > 0 && copy == NULL)) {
        ri_free(text);
        ri_free(request);
        return NULL;
    }
    if (body_len > 0) {
        memcpy(copy, body, body_len);
    }
    *request = (ri_web_request){ .next = job->requests,
                                 .job = job,
                                 .web = web,
                                 .method = method,
                                 .url = text,
                                 .body = copy,
                                 .body_len = body_len,
                                 .deadline_us = deadline_of(web, body_len) };
    job->requests = request;
    job->left++;
    begin_waiting(web, job);
    return request;
}

static void end_job(ri_web *web, ri_web_job *job, int rc)
{
    job->has_ended = true;
    job->rc = rc;
    stop_waiting(web, job);
    for (ri_web_request *request = job->requests; rc != 0 && request != NULL; request = request->next) {
        ri_web_hedge_drop(web, request); /* nobody waits for it any more */
        ri_web_withdraw(web, request);
    }
}

/* All its requests have ended. */
static void advance(ri_web *web, ri_web_job *job)
{
    ri_web_request *answers = job->requests;
    for (const ri_web_request *request = answers; request != NULL; request = request->next) {
        if (request->rc != 0) {
            end_job(web, job, request->rc);
            return;
        }
    }
    if (job->advance == NULL) {
        end_job(web, job, 0);
        return;
    }
    job->requests = NULL;
    int rc = job->advance(web, job, answers, &job->err);
    if (rc == 0 && job->left > 0) {
        drop_requests(web, answers);
        return;
    }
    drop_requests(web, job->requests);
    job->requests = answers;
    job->left = 0;
    end_job(web, job, rc);
}

/* ---- the loop ---- */

static void end_request(ri_web *web, ri_web_request *request, int rc)
{
    ri_web_job *job = request->job;
    ri_web_hedge_drop(web, request);
    request->has_ended = true;
    request->rc = rc;
    job->left--;
    if (job->left == 0) {
        stop_waiting(web, job);
    }
    if (rc != 0 && !job->has_ended) {
        end_job(web, job, rc);
    }
}

static bool is_pending(const ri_web_request *request)
{
    return request->easy == NULL && !request->has_ended && !request->waits;
}

/* True: some began to wait, for a job that may be new. */
static bool send_due(ri_web *web, uint64_t now_us)
{
    bool any = false;
    for (ri_web_job *job = web->jobs; job != NULL; job = job->next) {
        for (ri_web_request *r = job->requests; r != NULL && !job->has_ended; r = r->next) {
            if (is_pending(r) && r->due_us <= now_us && web->under_way < PARALLEL_MAX) {
                int rc = ri_web_send(web, r, now_us, &job->err);
                r->waits = rc == RILLE_NEED;
                any = any || r->waits;
                if (rc != 0 && !r->waits) {
                    end_request(web, r, rc);
                }
            }
        }
    }
    return any;
}

void ri_web_go_on(ri_web *web, int rc, const rille_err *err)
{
    for (ri_web_job *job = web->jobs; job != NULL; job = job->next) {
        for (ri_web_request *r = job->requests; r != NULL && !job->has_ended; r = r->next) {
            if (r->waits) {
                r->waits = false;
                if (rc != 0) {
                    job->err = *err;
                    end_request(web, r, rc);
                }
            }
        }
    }
}

static bool take_answers(ri_web *web, uint64_t now_us)
{
    CURLMsg *message;
    int more;
    bool any = false;
    while (web->multi != NULL && (message = web->curl.multi_info_read(web->multi, &more)) != NULL) {
        ri_web_request *request = NULL;
        (void)web->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        if (message->msg == CURLMSG_DONE && request != NULL) {
            rille_err err = { 0 };
            any = true;
            bool has_ended = ri_web_receive(web, request, message->data.result, now_us, &err);
            if (request->twin_of != NULL) {
                request = ri_web_hedge_receive(web, request, has_ended && request->rc == 0);
                has_ended = request != NULL;
            }
            if (has_ended) {
                if (request->rc != 0 && !request->job->has_ended) {
                    request->job->err = err;
                }
                end_request(web, request, request->rc);
            }
        }
    }
    return any;
}

/* After what came was taken: a host that looks seldom does not make its server slow. */
static bool send_hedges(ri_web *web, uint64_t now_us)
{
    bool any = false;
    for (ri_web_job *job = web->jobs; job != NULL; job = job->next) {
        for (ri_web_request *r = job->requests; r != NULL && !job->has_ended; r = r->next) {
            if (web->under_way < PARALLEL_MAX && ri_web_hedge_due_us(web, r) <= now_us) {
                any = ri_web_hedge_send(web, r, now_us) || any;
            }
        }
    }
    return any;
}

static bool advance_all(ri_web *web)
{
    bool any = false;
    for (ri_web_job *job = web->jobs; job != NULL; job = job->next) {
        if (!job->has_ended && job->left == 0) {
            advance(web, job);
            any = true;
        }
    }
    return any;
}

/* Those that nobody asks for. */
static bool end_own(ri_web *web)
{
    ri_web_job *job = web->jobs;
    while (job != NULL && !(job->has_ended && job->done != NULL)) {
        job = job->next;
    }
    if (job == NULL) {
        return false;
    }
    job->done(web, job);
    ri_web_end(web, job);
    return true;
}

static void drive(ri_web *web)
{
    bool moves = true;
    while (moves) {
        uint64_t now_us = ri_clock_us();
        int running = 0;
        moves = send_due(web, now_us);
        if (web->multi != NULL) {
            (void)web->curl.multi_perform(web->multi, &running);
        }
        moves = take_answers(web, now_us) || moves;
        moves = send_hedges(web, now_us) || moves;
        moves = advance_all(web) || moves;
        moves = end_own(web) || moves;
    }
}

int ri_web_run(ri_web *web, ri_web_job *job, rille_err *err)
{
    drive(web);
    if (!job->has_ended) {
        return RILLE_NEED;
    }
    if (job->rc < 0 && err != NULL) {
        *err = job->err;
    }
    return job->rc;
}

/* How long nothing is due; false: nothing is under way at all. */
static bool time_to_wait(const ri_web *web, uint64_t *timeout_ms)
{
    bool any = web->under_way > 0;
    uint64_t now_us = ri_clock_us();
    for (const ri_web_job *job = web->jobs; job != NULL; job = job->next) {
        for (const ri_web_request *r = job->requests; r != NULL && !job->has_ended; r = r->next) {
            uint64_t due_us = is_pending(r) ? r->due_us : ri_web_hedge_due_us(web, r);
            uint64_t ms = due_us <= now_us ? 0 : (due_us - now_us) / 1000 + 1;
            *timeout_ms = web->under_way < PARALLEL_MAX && ms < *timeout_ms ? ms : *timeout_ms;
            any = any || is_pending(r);
        }
    }
    return any;
}

/* The caller's may have ended since it asked, or it is another thread's that does not take it yet. */
static bool has_ended_job(const ri_web *web)
{
    const ri_web_job *job = web->jobs;
    while (job != NULL && !job->has_ended) {
        job = job->next;
    }
    return job != NULL;
}

void ri_web_wait(ri_web *web, uint64_t timeout_ms)
{
    ri_mutex_lock(&web->lock);
    if (web->polls && web->process == ri_process()) { /* another thread does it */
        ri_cond_wait(&web->moved, &web->lock, timeout_ms * 1000);
        ri_mutex_unlock(&web->lock);
        return;
    }
    ri_mutex_unlock(&web->lock);
    ri_web_enter(web);
    drive(web);
    timeout_ms = timeout_ms > WAIT_MS_MAX ? WAIT_MS_MAX : timeout_ms;
    timeout_ms = has_ended_job(web) && timeout_ms > OTHERS_MS ? OTHERS_MS : timeout_ms;
    if (time_to_wait(web, &timeout_ms) && web->multi != NULL) {
        web->polls = true;
        ri_mutex_unlock(&web->lock);
        (void)web->curl.multi_poll(web->multi, NULL, 0, (int)timeout_ms, NULL);
        ri_mutex_lock(&web->lock);
        web->polls = false;
        drive(web);
        ri_cond_broadcast(&web->moved);
    }
    ri_web_leave(web);
}

/* ---- texts ---- */

/* Hinnant, "chrono-compatible low-level date algorithms". */
int64_t ri_web_day_s(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t days = y / 400 * 146097 + y % 400 * 365 + y % 400 / 4 - y % 400 / 100 + day_of_year - 719468;
    return days * 24 * 3600;
}

int64_t ri_web_date_s(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4];
    int day;
    int year;
    int hour;
    int minute;
    int second;
    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute, &second) != 6) {
        return -1;
    }
    const char *at = strstr(months, month);
    if (at == NULL || (at - months) % 3 != 0 || strlen(month) != 3 || year < 1970) {
        return -1;
    }
    return ri_web_day_s(year, (int)(at - months) / 3 + 1, day) + (hour * 60 + minute) * 60 + second;
}

void ri_web_put_encoded(ri_buf *out, const char *text, bool keeps_slashes)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        uint8_t c = (uint8_t)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~' || (c == '/' && keeps_slashes);
        if (plain) {
            ri_buf_put_u8(out, c);
        } else {
            ri_buf_put_u8(out, '%');
            ri_buf_put_u8(out, (uint8_t)digits[c >> 4]);
            ri_buf_put_u8(out, (uint8_t)digits[c & 15]);
        }
    }
}
