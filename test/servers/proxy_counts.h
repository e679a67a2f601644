/* SPDX-License-Identifier: MIT
 *
 * What the proxy counts. The number of rounds is that of requests which certainly waited for each other: the longest
 * chain in which each request begins after the end of the one before. It is one more than the rounds that were over when
 * a request came:
 *
 *     time ->   A:  |------|   round 1             B overlaps A and C, yet C may have waited for A: 2 rounds, not 1
 *               B:     |-------|   round 1
 *               C:            |-----|   round 2
 *
 * So requests that are sent at once count as one round only if the last of them comes before the first answer goes. The
 * setting gather=MS sees to that on a busy machine, too: no answer goes before no request has come for that time.
 */
#ifndef RILLE_TEST_PROXY_COUNTS_H
#define RILLE_TEST_PROXY_COUNTS_H

#include "proxy_rules.h"

#define PROXY_METHODS_MAX 16
#define PROXY_STATUS_MAX 600
#define PROXY_LOG_MAX 4096 /* the newest requests */
#define PROXY_LOG_LINE_MAX 200
#define PROXY_TEXT_MAX (PROXY_LOG_MAX * PROXY_LOG_LINE_MAX) /* enough for what is printed */

typedef struct counts {
    unsigned long arrivals;   /* of all time */
    unsigned long generation; /* since the last counts_reset */
    unsigned long requests;
    unsigned long connections;
    unsigned long rounds; /* that are over */
    unsigned long in_flight;
    unsigned long in_flight_max;
    unsigned long long bytes_up; /* of bodies, from the clients */
    unsigned long long bytes_down;
    unsigned long methods;
    struct {
        char name[PROXY_METHOD_MAX];
        unsigned long requests;
    } method[PROXY_METHODS_MAX];
    unsigned long fault[FAULT_COUNT];
    unsigned long status[PROXY_STATUS_MAX]; /* of answers, whole or not */
    unsigned long logged;
    char log[PROXY_LOG_MAX][PROXY_LOG_LINE_MAX]; /* by number modulo its length */
} counts;

/* A request between its arrival and its end. */
typedef struct ticket {
    unsigned long round;
    unsigned long generation;
} ticket;

ticket counts_begin(counts *c, const request_line *line, size_t body_len);

/* What became of a request. status: 0 if there was no answer; range: "" if it has none. */
typedef struct request_end {
    const request_line *line;
    const char *range;
    fault fault;
    int status;
    size_t body_len;
} request_end;

/* To be told before the client can know of the end. */
void counts_end(counts *c, ticket t, const request_end *end);

/* All but what is in flight. */
void counts_reset(counts *c);

/* A line "name value" per count, in `text` of PROXY_TEXT_MAX; only names of what was counted, but for the first ones. */
void counts_print(const counts *c, char *text);

/* A line per request, in the order of their ends: round, method, path, status, bytes, range, fault. */
void counts_print_log(const counts *c, char *text);

#endif
