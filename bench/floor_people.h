/* SPDX-License-Identifier: MIT
 *
 * A floor for the DataScript queries: the same people in plain C arrays, the answers written to columns by loops made
 * for each question. Entities of a name lie in a list of their own; all else is read by position. What an engine adds to
 * this - a plan, types, an index that is searched, time, storage - is the difference.
 */
#ifndef RILLE_BENCH_FLOOR_PEOPLE_H
#define RILLE_BENCH_FLOOR_PEOPLE_H

#include "bench.h"

typedef struct floor_people {
    uint32_t *ivans; /* positions of the people called Ivan, increasing */
    uint32_t ivan_count;
    uint64_t *age;
    uint8_t *male;
    const char **last_name;
    uint64_t *out[3]; /* answers: columns */
} floor_people;

static inline void *floor_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL) {
        exit(1);
    }
    return p;
}

static inline floor_people floor_make(unsigned people)
{
    floor_people f = { .ivans = floor_alloc(people, sizeof *f.ivans),
                       .age = floor_alloc(people, sizeof *f.age),
                       .male = floor_alloc(people, sizeof *f.male),
                       .last_name = floor_alloc(people, sizeof *f.last_name) };
    for (int c = 0; c < 3; c++) {
        f.out[c] = floor_alloc(people, sizeof *f.out[c]);
    }
    for (unsigned i = 0; i < people; i++) {
        if (bench_random(i, 0) % 8 == 0) {
            f.ivans[f.ivan_count++] = i;
        }
        f.last_name[i] = bench_last_names[bench_random(i, 1) % 6];
        f.male[i] = bench_random(i, 2) % 2 == 0;
        f.age[i] = bench_random(i, 3) % 100;
    }
    return f;
}

static inline void floor_free(floor_people *f)
{
    free(f->ivans);
    free(f->age);
    free(f->male);
    free(f->last_name);
    for (int c = 0; c < 3; c++) {
        free(f->out[c]);
    }
}

/* q1 to q4; gives the number of rows. */
static inline uint32_t floor_query(floor_people *f, int q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->ivan_count; i++) {
        uint32_t e = f->ivans[i];
        if (q >= 3 && !f->male[e]) {
            continue;
        }
        f->out[0][n] = e;
        if (q >= 2) {
            f->out[1][n] = f->age[e];
        }
        if (q == 4) {
            f->out[2][n] = (uint64_t)(uintptr_t)f->last_name[e];
        }
        n++;
    }
    return n;
}

#endif
