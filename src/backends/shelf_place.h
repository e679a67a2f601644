/* SPDX-License-Identifier: MIT
 *
 * The directory of a shelf on disk.
 */
#ifndef RI_SHELF_PLACE_H
#define RI_SHELF_PLACE_H

#include "../core/store/backends_shelf.h"

/* Makes it, for this user alone, if it is missing. 0 or an errno. */
int ri_shelf_make(const char *place);
/* Fails, naming the scheme and the remedy, where a cache must not be: in a directory that is, or is inside of, a
 * database, or that every user can write to. */
int ri_shelf_check(const char *scheme, const char *place, rille_err *err);

#endif
