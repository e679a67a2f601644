/* SPDX-License-Identifier: MIT
 *
 * A number for a call of a slot, the same for the same arguments: by it a backend that answers later knows a call that
 * comes again. Objects count by their ids; of a swap, the whole cell does.
 */
#ifndef RI_CALL_KEY_H
#define RI_CALL_KEY_H

#include "rille/backend.h"

uint64_t ri_key_gets(const rille_get *gets, size_t count);
uint64_t ri_key_puts(const rille_put *puts, size_t count);
uint64_t ri_key_head_read(const char *branch, const rille_revision *known);
uint64_t ri_key_head_swap(const rille_head_swap *swap);
uint64_t ri_key_head_delete(const char *branch);
uint64_t ri_key_list(rille_object_kind kind);
uint64_t ri_key_delete(const rille_object_id *ids, size_t count);
uint64_t ri_key_ages(const rille_object_id *ids, size_t count);
/* Those without arguments: RILLE_WANT_HEAD_LIST, RILLE_WANT_DROP. */
uint64_t ri_key_bare(rille_want_op op);
/* The same, of what a slot was called with. */
uint64_t ri_key_want(const rille_want *call);

#endif
