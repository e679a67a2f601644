/* SPDX-License-Identifier: MIT
 *
 * What the files of the transfers share and nobody else sees.
 */
#ifndef RI_WEB_OWN_H
#define RI_WEB_OWN_H

#include "web.h"
#include "web_curl.h"

#define WEB_IDLE_MAX 64 /* curl handles that are kept for further requests */

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
};

/* Puts a request into a curl handle: RILLE_NOMEM, or what `sign` failed with. */
int ri_web_send(ri_web *web, ri_web_request *request, uint64_t now_us, rille_err *err);
/* The handle is done with. result: curl's. True: the request has ended (rc and err); false: it is sent again. */
bool ri_web_receive(ri_web *web, ri_web_request *request, CURLcode result, uint64_t now_us, rille_err *err);
/* Takes the request out of its handle, if it is in one. */
void ri_web_withdraw(ri_web *web, ri_web_request *request);

#endif
