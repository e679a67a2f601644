/* SPDX-License-Identifier: MIT
 *
 * Hedges: a second copy of a read that is slow, on another connection. The first answer counts, and the other copy is
 * dropped. (Dean, Barroso: The Tail at Scale, CACM 2013.)
 *
 * A GET is slow when nothing came for twice as long as 9 of 10 of the last 64 GETs waited for their first byte, and for at least
 * 50 ms; before 16 GETs, nothing is. So the size of an answer does not matter, and an answer that stops in the middle is slow, too.
 *
 * (H1) At most one hedge for each 20 GETs so far, and at most 10 in a row; so a server that is slow altogether is hardly
 *      burdened. None for a request that had one.
 * (H2) A hedge is no request of a job: it decides nothing but to be the answer. It is not repeated, and its failure is none.
 */
#include "../core/base/mem.h"
#include "web_own.h"

#include <stdlib.h>
#include <string.h>

#define SLOW_FACTOR 2
#define SLOW_US_MIN 50000
#define SAMPLES_MIN 16
#define COST 20 /* GETs */
#define CREDIT_MAX ((unsigned)10 * COST)

/* ---- what is slow ---- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void add_sample(ri_web_hedging *h, uint64_t us)
{
    uint32_t sorted[RI_WEB_SAMPLES];
    h->samples[h->count++ % RI_WEB_SAMPLES] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    size_t n = h->count < RI_WEB_SAMPLES ? (size_t)h->count : RI_WEB_SAMPLES;
    if (n < SAMPLES_MIN) {
        return;
    }
    memcpy(sorted, h->samples, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    uint64_t slow_us = (uint64_t)sorted[n * 9 / 10] * SLOW_FACTOR;
    h->slow_us = slow_us > SLOW_US_MIN ? slow_us : SLOW_US_MIN;
}

static bool is_read(const ri_web_request *request)
{
    return !request->is_local && strcmp(request->method, "GET") == 0;
}

void ri_web_hedge_sent(ri_web *web, ri_web_request *request, uint64_t now_us)
{
    ri_web_hedging *h = &web->hedging;
    request->sent_us = now_us;
    request->heard_us = now_us;
    request->is_heard = false;
    if (is_read(request) && request->twin_of == NULL && request->tries == 0 && h->credit < CREDIT_MAX) {
        h->credit++;
    }
}

void ri_web_hedge_heard(ri_web_request *request)
{
    request->heard_us = ri_clock_us();
    if (!request->is_heard && is_read(request)) {
        add_sample(&request->web->hedging, request->heard_us - request->sent_us);
    }
    request->is_heard = true;
}

uint64_t ri_web_hedge_due_us(const ri_web *web, const ri_web_request *request)
{
    const ri_web_hedging *h = &web->hedging;
    bool may = request->easy != NULL && !request->is_hedged && h->slow_us != 0 && h->credit >= COST && is_read(request);
    return may ? request->heard_us + h->slow_us : UINT64_MAX;
}

/* ---- copies ---- */

void ri_web_hedge_drop(ri_web *web, ri_web_request *request)
{
    ri_web_request *twin = request->twin;
    if (twin != NULL) {
        ri_web_withdraw(web, twin);
        request->times_sent += twin->times_sent;
        request->received_bytes += twin->received_bytes;
        ri_buf_deinit(&twin->answer);
        ri_free(twin);
        request->twin = NULL;
    }
}

/* URL and headers are those of the request, which outlives it. */
bool ri_web_hedge_send(ri_web *web, ri_web_request *request, uint64_t now_us)
{
    rille_err unused = { 0 };
    ri_web_request *twin = ri_alloc_zero(sizeof *twin);
    request->is_hedged = true; /* also where there is no memory for it */
    if (twin == NULL) {
        return false;
    }
    *twin = (ri_web_request){ .job = request->job,
                              .web = web,
                              .twin_of = request,
                              .method = request->method,
                              .url = request->url,
                              .headers = request->headers,
                              .answer_max = request->answer_max,
                              .answer_most = request->answer_most,
                              .deadline_us = request->deadline_us };
    request->twin = twin;
    if (ri_web_send(web, twin, now_us, &unused) != 0) {
        ri_web_hedge_drop(web, request);
        return false;
    }
    web->hedging.credit -= COST;
    web->counters.hedges++;
    return true;
}

static void take_answer(ri_web_request *request, ri_web_request *twin)
{
    ri_buf answer = request->answer;
    request->answer = twin->answer;
    twin->answer = answer;
    request->status = twin->status;
    request->retry_after_ms = twin->retry_after_ms;
    memcpy(request->etag, twin->etag, sizeof request->etag);
    memcpy(request->range, twin->range, sizeof request->range);
    memcpy(request->type, twin->type, sizeof request->type);
    memcpy(request->encoding, twin->encoding, sizeof request->encoding);
    memcpy(request->region, twin->region, sizeof request->region);
    memcpy(request->modified, twin->modified, sizeof request->modified);
    memcpy(request->date, twin->date, sizeof request->date);
}

ri_web_request *ri_web_hedge_receive(ri_web *web, ri_web_request *twin, bool is_result)
{
    ri_web_request *request = twin->twin_of;
    if (is_result) {
        ri_web_withdraw(web, request);
        take_answer(request, twin);
        request->rc = 0;
    }
    ri_web_hedge_drop(web, request);
    return is_result ? request : NULL;
}
