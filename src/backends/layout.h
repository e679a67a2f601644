/* SPDX-License-Identifier: MIT
 *
 * The names of objects and heads below the place of a database: one layout for file:, s3: and http:, so that a copy is a
 * database wherever it lies.
 *
 *     rille                    the marker
 *     heads/<branch>           bytes other than A-Z a-z 0-9 _ - . and a leading . as %XX
 *     packs/<64 hex>.pack
 *     blobs/<2 hex>/<64 hex>
 */
#ifndef RI_LAYOUT_H
#define RI_LAYOUT_H

#include "rille/backend.h"

#define RI_LAYOUT_MARKER "rille"
#define RI_LAYOUT_MARKER_TEXT "rille database\nformat 1\n"
#define RI_LAYOUT_BRANCH_LEN_MAX 80 /* so that its name fits into a file name when every byte is encoded */

typedef struct ri_layout_name {
    char text[16 + 3 * RI_LAYOUT_BRANCH_LEN_MAX];
} ri_layout_name;

/* False: there is no such object, since nodes come in packs. */
bool ri_layout_object(const rille_object_id *id, ri_layout_name *out);
/* `scheme` and `place` are for the message. RILLE_LIMIT: the branch's name is empty or too long. */
int ri_layout_head(const char *branch, const char *scheme, const char *place, ri_layout_name *out, rille_err *err);

/* The id in a name of 64 hexadecimal digits and `suffix`; false for any other name. An object has one name. */
bool ri_layout_id(const char *name, const char *suffix, uint8_t id[RILLE_ID_SIZE]);
bool ri_layout_is_shard(const char *name); /* the xx of blobs/xx */
/* The branch in the last part of a head's name; false when it is none. */
bool ri_layout_branch(const char *name, char branch[RI_LAYOUT_BRANCH_LEN_MAX + 1]);

#endif
