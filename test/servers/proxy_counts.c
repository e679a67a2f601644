/* SPDX-License-Identifier: MIT */
#include "proxy_counts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ticket counts_begin(counts *c, const request_line *line, size_t body_len)
{
    unsigned long i = 0;
    while (i < c->methods && strcmp(c->method[i].name, line->method) != 0) {
        i++;
    }
    if (i == c->methods && i < PROXY_METHODS_MAX) {
        memcpy(c->method[i].name, line->method, sizeof line->method);
        c->methods += 1;
    }
    if (i < c->methods) {
        c->method[i].requests += 1;
    }
    c->requests += 1;
    c->arrivals += 1;
    c->bytes_up += body_len;
    c->in_flight += 1;
    c->in_flight_max = c->in_flight > c->in_flight_max ? c->in_flight : c->in_flight_max;
    return (ticket){ .round = c->rounds + 1, .generation = c->generation };
}

void counts_end(counts *c, ticket t, const request_end *end)
{
    c->in_flight -= 1;
    if (t.generation != c->generation) {
        return;
    }
    c->rounds = t.round > c->rounds ? t.round : c->rounds;
    c->bytes_down += end->body_len;
    c->fault[end->fault] += 1;
    if (end->status > 0 && end->status < PROXY_STATUS_MAX) {
        c->status[end->status] += 1;
    }
    (void)snprintf(c->log[c->logged % PROXY_LOG_MAX], PROXY_LOG_LINE_MAX, "%lu %s %.120s %d %zu %.30s %s", t.round,
                   end->line->method, end->line->path, end->status, end->body_len,
                   *end->range == '\0' ? "-" : end->range, fault_name(end->fault));
    c->logged += 1;
}

void counts_reset(counts *c)
{
    unsigned long arrivals = c->arrivals;
    unsigned long generation = c->generation + 1;
    unsigned long in_flight = c->in_flight;
    memset(c, 0, sizeof *c);
    c->arrivals = arrivals;
    c->generation = generation;
    c->in_flight = c->in_flight_max = in_flight;
}

static void print(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(char **text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *text += vsnprintf(*text, PROXY_LOG_LINE_MAX, format, args);
    va_end(args);
}

void counts_print(const counts *c, char *text)
{
    print(&text, "requests %lu\nconnections %lu\nrounds %lu\n", c->requests, c->connections, c->rounds);
    print(&text, "in_flight %lu\nin_flight_max %lu\n", c->in_flight, c->in_flight_max);
    print(&text, "bytes_up %llu\nbytes_down %llu\n", c->bytes_up, c->bytes_down);
    for (unsigned long i = 0; i < c->methods; i++) {
        print(&text, "%s %lu\n", c->method[i].name, c->method[i].requests);
    }
    for (int i = 0; i < PROXY_STATUS_MAX; i++) {
        if (c->status[i] > 0) {
            print(&text, "%d %lu\n", i, c->status[i]);
        }
    }
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (c->fault[i] > 0) {
            print(&text, "%s %lu\n", fault_name((fault)i), c->fault[i]);
        }
    }
}

void counts_print_log(const counts *c, char *text)
{
    unsigned long begin = c->logged > PROXY_LOG_MAX ? c->logged - PROXY_LOG_MAX : 0;
    *text = '\0';
    for (unsigned long i = begin; i < c->logged; i++) {
        print(&text, "%s\n", c->log[i % PROXY_LOG_MAX]);
    }
}
