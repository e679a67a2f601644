/* SPDX-License-Identifier: MIT
 *
 * What the benchmarks share: clocks, medians, the machine's line, and the people of the DataScript benchmark.
 */
#ifndef RILLE_BENCH_H
#define RILLE_BENCH_H

#include "rille/rille_err.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_RUNS_MAX 4096

static inline double bench_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Processor time of this thread alone, so that what others do on the machine does not count. */
static inline double bench_thread_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Steps of one operation. */
typedef struct bench_tally {
    double longest;
    double total;
    uint64_t steps;
    uint64_t over; /* of them, longer than the budget and a millisecond */
} bench_tally;

static inline void bench_tally_add(bench_tally *t, double took, uint64_t budget_us)
{
    t->longest = took > t->longest ? took : t->longest;
    t->total += took;
    t->over += took * 1e6 > (double)budget_us + 1000;
    t->steps++;
}

static inline void bench_must(int rc, const rille_err *err)
{
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", rille_code_name(rc), err->message);
        exit(1);
    }
}

typedef struct bench_series {
    double values[BENCH_RUNS_MAX];
    size_t count;
} bench_series;

static inline void bench_add(bench_series *series, double value)
{
    if (series->count < BENCH_RUNS_MAX) {
        series->values[series->count++] = value;
    }
}

static inline int bench_cmp(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* q = 0.5: the median. Sorts the series. */
static inline double bench_quantile(bench_series *series, double q)
{
    if (series->count == 0) {
        return 0;
    }
    qsort(series->values, series->count, sizeof(double), bench_cmp);
    return series->values[(size_t)(q * (double)(series->count - 1))];
}

/* A line of the system's own description, "?" where there is none. */
static inline void bench_proc_line(const char *file, const char *key, char *out, size_t size)
{
    char line[256];
    FILE *in = fopen(file, "r");
    (void)snprintf(out, size, "?");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        char *value = strncmp(line, key, strlen(key)) == 0 ? strchr(line, ':') : NULL;
        if (value != NULL) {
            value += strspn(value, ": \t");
            value[strcspn(value, "\n")] = '\0';
            (void)snprintf(out, size, "%s", value);
            break;
        }
    }
    if (in != NULL) {
        (void)fclose(in);
    }
}

static inline void bench_machine(const char *what)
{
    char cpu[128];
    char day[32];
    double load[1] = { 0 };
    time_t now = time(NULL);
    FILE *in = fopen("/proc/loadavg", "r");
    if (in != NULL) {
        if (fscanf(in, "%lf", load) != 1) {
            load[0] = -1;
        }
        (void)fclose(in);
    }
    bench_proc_line("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    (void)strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now));
    printf("# %s; %s; load %.2f; %s\n", what, cpu, load[0], day);
}

/* The most memory that was ever resident, in KiB. */
static inline long bench_peak_kib(void)
{
    char text[64];
    bench_proc_line("/proc/self/status", "VmHWM", text, sizeof text);
    return strtol(text, NULL, 10);
}

/* splitmix64 of (row, column): the same people in every run. */
static inline uint64_t bench_random(uint64_t row, uint64_t column)
{
    uint64_t x = (row * 8 + column + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static const char *const bench_names[8] = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" };
static const char *const bench_last_names[6] = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" };
static const char *const bench_sexes[2] = { "male", "female" };

#endif
