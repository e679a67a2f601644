/* SPDX-License-Identifier: MIT
 *
 * What the drivers in C share: sizes, people, processor time, and the loop that answers `run` (README.md: protocol).
 * driver.lua is the same in Lua.
 */
#ifndef RILLE_COMPARE_DRIVER_H
#define RILLE_COMPARE_DRIVER_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOKUPS 10000
#define RANGE_ROWS 999
#define UID_SIZE 24

typedef struct answer {
    double us; /* processor time per operation */
    long rows;
    int64_t sum;
} answer;

typedef struct person {
    char uid[UID_SIZE];
    const char *name;
    const char *last;
    const char *sex;
    int64_t age;
    int64_t salary;
} person;

static inline void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* The value of key=value among the arguments. */
static inline const char *setting(int argc, char **argv, const char *key)
{
    size_t len = strlen(key);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=') {
            return argv[i] + len + 1;
        }
    }
    die(key, "missing on the command line");
    return NULL;
}

static inline int64_t number(int argc, char **argv, const char *key)
{
    return strtoll(setting(argc, argv, key), NULL, 10);
}

static inline double processor_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static inline int64_t draw(int64_t row, int64_t column, int64_t n)
{
    int64_t x = (row * 8 + column + 1) * 48271 % 2147483647;
    x = (x % 65536 + 1) * (x / 65536 + 1);
    return x * 16807 % 2147483647 % n;
}

static inline void uid_of(int64_t i, char out[UID_SIZE])
{
    (void)snprintf(out, UID_SIZE, "u%08" PRId64, i);
}

static inline person person_of(int64_t i)
{
    static const char *const names[8] = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" };
    static const char *const last_names[6] = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" };
    static const char *const sexes[2] = { "male", "female" };
    person p = { .name = names[draw(i, 0, 8)], .last = last_names[draw(i, 1, 6)], .sex = sexes[draw(i, 2, 2)] };
    p.age = draw(i, 3, 100);
    p.salary = draw(i, 4, 100000);
    uid_of(i, p.uid);
    return p;
}

static inline void sought_of(int64_t i, int64_t count, char out[UID_SIZE])
{
    uid_of(draw(i, 5, count) + 1, out);
}

static inline void shuffled(int64_t i, char out[UID_SIZE])
{
    (void)snprintf(out, UID_SIZE, "%" PRId64, i * 7919 % 1000003);
}

/* Runs f for sample_us, after one call that warms up. */
static inline answer cost(answer (*f)(void *context), void *context, double sample_us)
{
    answer a = f(context);
    double begun = processor_us();
    double us;
    int calls = 0;
    do {
        (void)f(context);
        calls++;
        us = processor_us() - begun;
    } while (us < sample_us);
    a.us = us / calls;
    return a;
}

/* Answers each line of words with what f(words) says; `us` below 0: this driver does not know the operation. */
static inline void serve(answer (*f)(const char *operation, const char *argument))
{
    char line[256];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *operation = strtok(line, " \n");
        const char *argument = strtok(NULL, " \n");
        answer a = f(operation != NULL ? operation : "", argument != NULL ? argument : "");
        if (a.us < 0) {
            (void)puts("none");
        } else {
            (void)printf("%.6f %ld %" PRId64 "\n", a.us, a.rows, a.sum);
        }
        (void)fflush(stdout);
    }
}

#endif
