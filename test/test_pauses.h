/* SPDX-License-Identifier: MIT
 *
 * Where a task or a query pauses: behind each unit of work, or behind one of them.
 */
#ifndef RILLE_TEST_PAUSES_H
#define RILLE_TEST_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

#define EACH UINT32_MAX

typedef struct pauses {
    unsigned at; /* the only unit behind which it pauses; EACH */
    unsigned seen;
    unsigned count;
} pauses;

/* What asks it: the `interrupt` of a task. */
static inline bool pauses_interrupt(void *context)
{
    pauses *p = context;
    unsigned here = p->seen++;
    bool pause = p->at == EACH || here == p->at;
    p->count += pause;
    return pause;
}

#endif
