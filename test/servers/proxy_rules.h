/* SPDX-License-Identifier: MIT
 *
 * What the proxy is told to do: words, separated by white space, which are settings or rules.
 *
 *   delay=MS     before each request is forwarded     jitter=MS   up to that much more, at random
 *   gather=MS    answers wait until no request has come for that long (see proxy_counts.h)
 *   hold=N       answers wait until N requests were counted: who does not send N of them at once hangs
 *   quirks=1     Ceph behaves as AWS: it takes If-Match with quotes (if that is not signed), and who loses a race gets 409
 *   seed=N       of what is random
 *   FAULT[,m=METHOD][,path=PART][,skip=N][,first=N][,every=N][,p=PROBABILITY][,arg=TEXT]
 *
 * The first rule that applies to a request is used. It applies to the method, and to paths (with their queries) that
 * contain PART; of these requests to those behind the first `skip`, then to the `first` ones, then to each `every`th.
 *
 * Not forwarded:
 *   slowdown   503 SlowDown                      error      500 InternalError
 *   conflict   409 ConditionalRequestConflict    busy       429, Retry-After: arg, or 1
 *   reset      the connection is reset           hang       no answer, ever
 *   html       200 and a page to log in          redirect   307 to arg and the path, or to the same path
 * Forwarded:
 *   lost       the connection is reset instead of the answer
 *   late       the connection is reset, and the request forwarded arg ms after that, or when the rules are replaced
 *   repeat     forwarded twice; the second answer counts
 *   truncate   half of the body, then the end    stall      half of the body, then nothing
 *   flip       one bit of the body is wrong      etag       the ETag is wrong
 *   trickle    a byte each arg ms (1)            close      the connection ends after the answer
 */
#ifndef RILLE_TEST_PROXY_RULES_H
#define RILLE_TEST_PROXY_RULES_H

#include "proxy_http.h"

#include <stdint.h>

#define PROXY_RULES_MAX 32
#define PROXY_ARG_MAX 256

typedef enum fault {
    FAULT_NONE,
    FAULT_SLOWDOWN,
    FAULT_ERROR,
    FAULT_CONFLICT,
    FAULT_BUSY,
    FAULT_RESET,
    FAULT_HANG,
    FAULT_HTML,
    FAULT_REDIRECT,
    FAULT_LOST,
    FAULT_LATE,
    FAULT_REPEAT,
    FAULT_TRUNCATE,
    FAULT_STALL,
    FAULT_FLIP,
    FAULT_ETAG,
    FAULT_TRICKLE,
    FAULT_CLOSE,
    FAULT_COUNT
} fault;

typedef struct rule {
    fault fault;
    char method[PROXY_METHOD_MAX]; /* "": any */
    char path[PROXY_ARG_MAX];
    char arg[PROXY_ARG_MAX];
    unsigned long skip;
    unsigned long first; /* 0: all */
    unsigned long every;
    double probability;
    unsigned long seen; /* requests of its method and path */
} rule;

typedef struct rules {
    unsigned long delay_ms;
    unsigned long jitter_ms;
    unsigned long gather_ms;
    unsigned long hold;
    unsigned long quirks;
    uint64_t random;
    int count;
    rule rule[PROXY_RULES_MAX];
} rules;

/* Replaces all. Returns NULL, or the word that is wrong, in `text`, which is cut up. */
const char *rules_parse(rules *r, char *text);

/* The rule for a request, and the time to delay it. A rule of FAULT_NONE: none applies. */
rule rules_choose(rules *r, const request_line *line, unsigned long *delay_ms);

const char *fault_name(fault f);

#endif
