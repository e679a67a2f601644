/* SPDX-License-Identifier: MIT
 *
 * What the files of the transfers share and nobody else sees.
 */
#ifndef RI_WEB_OWN_H
#define RI_WEB_OWN_H

#include "web.h"
#include "web_curl.h"

#define WEB_IDLE_MAX 64 /* curl handles that are kept for further requests */

#define RI_WEB_SAMPLES 64

/* What is known about the time that reads take, and what may be spent. */
typedef struct ri_web_hedging {
    uint32_t samples[RI_WEB_SAMPLES]; /* microseconds to the first byte, of the last GETs */
    uint64_t count;                   /* of all */
    uint64_t slow_us;                 /* 0: not known yet */
    unsigned credit;                  /* a hedge costs 20 */
} ri_web_hedging;

/* Behind `lock`, but for the client. */
struct ri_web {
    ri_web_client client; /* never changes; nor does the next */
    ri_curl curl;
    ri_mutex lock;
    ri_cond moved;   /* `polls` became false, or something came */
    bool polls;      /* (W1) */
    int64_t process; /* whose connections these are */
    CURLM *multi;
    CURL *idle[WEB_IDLE_MAX];
    size_t idle_count;
    size_t under_way; /* requests in a curl handle */
    ri_web_job *jobs;
    uint64_t jitter;
    rille_counters counters;
    size_t waiting;    /* jobs that wait for something; while there are any, it is one round */
    uint64_t round_us; /* when it began */
    ri_web_hedging hedging;
};

/* Puts a request into a curl handle: RILLE_NOMEM, or what `sign` failed with. */
int ri_web_send(ri_web *web, ri_web_request *request, uint64_t now_us, rille_err *err);
/* The handle is done with. result: curl's. True: the request has ended (rc and err); false: it is sent again, which a hedge
 * is not. */
bool ri_web_receive(ri_web *web, ri_web_request *request, CURLcode result, uint64_t now_us, rille_err *err);
/* Takes the request out of its handle, if it is in one. */
void ri_web_withdraw(ri_web *web, ri_web_request *request);

/* A try is sent; something of its answer came. */
void ri_web_hedge_sent(ri_web *web, ri_web_request *request, uint64_t now_us);
void ri_web_hedge_heard(ri_web_request *request);
/* When the request is slow, if it stays as it is; UINT64_MAX: it gets no hedge. */
uint64_t ri_web_hedge_due_us(const ri_web *web, const ri_web_request *request);
bool ri_web_hedge_send(ri_web *web, ri_web_request *request, uint64_t now_us);
/* The hedge has ended, with a result or without. The request that thereby has ended (rc 0), or NULL. */
ri_web_request *ri_web_hedge_receive(ri_web *web, ri_web_request *twin, bool is_result);
/* Ends the hedge of a request, if it has one. */
void ri_web_hedge_drop(ri_web *web, ri_web_request *request);

#endif
