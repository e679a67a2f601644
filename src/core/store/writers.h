/* SPDX-License-Identifier: MIT
 *
 * Several writers whose things go with one swap of the head.
 */
#ifndef RI_WRITERS_H
#define RI_WRITERS_H

#include "store.h"

ri_writer *ri_writer_retain(ri_writer *writer); /* it is used by one thread at a time */
/* As ri_store_head_swap, which has one of them. The swap itself has no objects. */
int ri_store_head_swap_all(ri_store *store, const rille_head_swap *swap, ri_writer *const *writers, size_t count,
                           rille_revision *revision, rille_err *err);

#endif
