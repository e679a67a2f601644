/* SPDX-License-Identifier: MIT
 *
 * Transfers over HTTP, by libcurl's multi interface: many requests side by side on connections that are kept.
 *
 * A JOB is what one call of a slot needs: requests that are sent at once and, when all have an answer, perhaps others
 * (`advance`). A slot begins a job, answers RILLE_NEED until it has ended, and then takes what it gave. A request that may succeed
 * when it is sent again is: with back-off and jitter, until its deadline. So every request must do no harm when it
 * takes effect twice; of a conditional write, only one copy does.
 *
 * (W1) No curl handle is used while a thread waits in curl_multi_poll: who comes meanwhile wakes it first.
 * (W2) A request is in a curl handle, waits for its time or for a proof, or has ended; a job has ended, or some request of
 *      it has not.
 *
 * Threads: internally locked. A forked child leaves its parent's connections alone, and makes its own.
 */
#ifndef RI_WEB_H
#define RI_WEB_H

#include "../core/base/buf.h"
#include "../core/base/err.h"
#include "../core/base/sync.h"
#include "rille/backend.h"

typedef struct ri_web ri_web;
typedef struct ri_web_job ri_web_job;

#define RI_WEB_HEADER_MAX 128 /* of a value that is kept; a longer one counts as absent */

typedef struct ri_web_request {
    struct ri_web_request *next;
    ri_web_job *job;
    const char *method; /* static: GET, HEAD, PUT, DELETE */
    char *url;
    ri_buf headers; /* of the caller's: "Name: value", each with a 0 */
    uint8_t *body;  /* a copy */
    size_t body_len;
    size_t answer_max;  /* a longer answer is an error */
    size_t answer_most; /* as far as the caller knows; 0: not at all */
    uint64_t tag;       /* the caller's */
    bool is_local;      /* to a service of the machine: neither signed nor judged, and short times */
    /* the answer */
    int rc; /* 0: there is a status that means something to the job */
    int status;
    ri_buf answer;
    char etag[RI_WEB_HEADER_MAX];
    char range[RI_WEB_HEADER_MAX]; /* Content-Range */
    char type[RI_WEB_HEADER_MAX];
    char encoding[RI_WEB_HEADER_MAX];
    char region[RI_WEB_HEADER_MAX];   /* of the bucket */
    char modified[RI_WEB_HEADER_MAX]; /* Last-Modified */
    char date[RI_WEB_HEADER_MAX];
    uint64_t retry_after_ms;
    /* of who signs */
    uint64_t proof;   /* which one was used */
    bool is_repaired; /* what the server did not accept has been changed, once */
    /* inside */
    void *easy;  /* its curl handle while it is under way */
    void *lines; /* the curl_slist of its headers */
    size_t sent; /* of the body */
    size_t header_len;
    uint64_t slow_us; /* the try ends then, or 10 s later for each megabyte that has come; 0: curl counts its time */
    bool is_slow;     /* it did */
    bool is_long;     /* the answer exceeds its limit, or its headers theirs */
    bool waits;       /* until ri_web_go_on */
    bool has_ended;
    unsigned tries;
    char why[256]; /* what libcurl says of a failure: CURL_ERROR_SIZE */
    uint64_t due_us;
    uint64_t deadline_us;
    ri_web *web;                    /* for what curl calls */
    bool awaits;                    /* sent, and no answer has begun */
    uint32_t times_sent;            /* of all tries, and of its hedge */
    uint64_t received_bytes;        /* likewise */
    struct ri_web_request *twin;    /* its hedge (web_hedge.c), while that is under way */
    struct ri_web_request *twin_of; /* of a hedge: the request */
    bool is_hedged;
    bool is_heard;     /* an answer to this try has begun */
    uint64_t sent_us;  /* this try */
    uint64_t heard_us; /* when something came, or it was sent */
} ri_web_request;

struct ri_web_job {
    ri_web_job *next;
    uint64_t key; /* call_key.h */
    ri_web_request *requests;
    size_t left; /* of them have not ended */
    bool waits;  /* for them: the job is part of a round (rille_counters) */
    /* All requests have ended, and none has failed. Takes what they gave (`answers`), and adds others, which then are the
     * job's instead; or leaves it at that: the job has ended. 0, or what it fails with. NULL: it ends. */
    int (*advance)(ri_web *web, ri_web_job *job, const ri_web_request *answers, rille_err *err);
    /* A job that nobody asks for has this: called when it has ended, and before the job goes. Otherwise NULL. */
    void (*done)(ri_web *web, ri_web_job *job);
    void (*deinit)(ri_web_job *job); /* of what is behind this struct; may be NULL */
    unsigned phase;                  /* for `advance` */
    bool has_ended;
    int rc;
    rille_err err;
};

/* What the transfers of one database have in common. What it points to outlives the ri_web. */
typedef struct ri_web_client {
    void *context;
    const char *shown; /* the URL in messages */
    /* Adds the headers that prove who asks, for each try anew. RILLE_NEED: there is no proof yet; ri_web_go_on follows,
     * from another job. NULL: no headers. */
    int (*sign)(void *context, ri_web_request *request, ri_buf *headers, rille_err *err);
    /* Is this status a result? 0, or the failure with its message. RILLE_NEED: no, but `sign` does it better now. */
    int (*judge)(void *context, ri_web_request *request, rille_err *err);
    const char *ca_file;    /* NULL: the system's */
    const char *netrc_file; /* NULL: none */
    bool follows_redirects;
    uint64_t timeout_ms; /* of a request with all its tries, and 10 s for each megabyte that it sends or gets */
} ri_web_client;

int ri_web_new(const ri_web_client *client, ri_web **out, rille_err *err);
/* Everything that is under way is dropped. */
void ri_web_release(ri_web *web);

/* Around what a slot does with jobs. */
void ri_web_enter(ri_web *web);
void ri_web_leave(ri_web *web);

/* The job of a call that was begun, or NULL. */
ri_web_job *ri_web_find(ri_web *web, uint64_t key);
/* Of a call whose answer depends on when it was asked for: heads and lists. Each caller has its own. */
uint64_t ri_web_own_key(uint64_t key);
/* A job of `size` bytes, all zero behind the ri_web_job; NULL: no memory. */
ri_web_job *ri_web_begin(ri_web *web, uint64_t key, size_t size);
/* Another request of it; takes the URL's bytes, also on failure. NULL: no memory. `body` is copied. */
ri_web_request *ri_web_add(ri_web *web, ri_web_job *job, const char *method, ri_buf *url, const uint8_t *body,
                           size_t body_len);
/* Sends what is due and takes what came. RILLE_NEED while the job goes on. Otherwise its result: the caller takes what
 * it gave, and ends it. */
int ri_web_run(ri_web *web, ri_web_job *job, rille_err *err);
void ri_web_end(ri_web *web, ri_web_job *job);
/* Drops the job of a call that is not asked for again, if there is one. */
void ri_web_cancel(ri_web *web, const rille_want *call);
/* Requests that wait for a proof are sent, or end with this failure. */
void ri_web_go_on(ri_web *web, int rc, const rille_err *err);
/* Until something has come, or timeout_ms. */
void ri_web_wait(ri_web *web, uint64_t timeout_ms);
/* The slot of backend.h: what was sent and received since the ri_web was made. 0. */
int ri_web_counters(ri_web *web, rille_counters *out);

/* Seconds since 1970 of a date in a header (RFC 9110, IMF-fixdate); -1: it is none. */
int64_t ri_web_date_s(const char *text);
/* Seconds since 1970 when that day begins; month from 1 to 12. */
int64_t ri_web_day_s(int year, int month, int day);
/* Adds text, percent-encoded but for A-Z a-z 0-9 - . _ ~ and, if keeps_slashes, /. */
void ri_web_put_encoded(ri_buf *out, const char *text, bool keeps_slashes);

#endif
