/* SPDX-License-Identifier: MIT
 *
 * The engine's own attributes and idents as tables, for the files of the schema.
 */
#ifndef RI_SCHEMA_OWN_H
#define RI_SCHEMA_OWN_H

#include "schema.h"

#define X(name, id, ident) +1U
enum { RI_OWN_IDENT_COUNT = 0U RI_IDENTS(X) };
#undef X
#define RI_OWN_ATTR_COUNT 9U

typedef struct ri_own_ident_row {
    uint32_t id;
    const char *text;
} ri_own_ident_row;

typedef struct ri_own_attr {
    uint32_t id;
    uint8_t type;
    uint8_t unique;
    bool index;
    const char *doc;
} ri_own_attr;

extern const ri_own_ident_row ri_own_idents[RI_OWN_IDENT_COUNT]; /* by id */
extern const ri_own_attr ri_own_attrs[RI_OWN_ATTR_COUNT];        /* by id, which is the index + 1; all have one value */

/* NULL: not one of the engine's own. */
const char *ri_own_ident(uint64_t id);
/* The ri_type that a :db.type/... entity stands for, or -1; and back: 0. */
int ri_own_type(uint64_t e);
uint32_t ri_own_type_ident(uint8_t type);
#define RI_TYPE_PREFIX "db.type/"
#define RI_TYPE_LIST_SIZE 160
/* "boolean, long, double ...": the names of all types, without the prefix. */
void ri_own_type_list(char out[RI_TYPE_LIST_SIZE]);
/* RILLE_ENTITY_MISSING: no entity has the ident; with the one of the engine's that may have been meant. */
int ri_own_unknown(const char *ident, size_t len, rille_err *err);

/* Index of the first attribute whose id is not below `id`. (schema.c) */
size_t ri_schema_attr_lower(const ri_schema *schema, uint64_t id);

/* Derives what follows from schema->attrs: by_ident, avet. False: out of memory. (schema.c) */
bool ri_schema_derive(ri_schema *schema);

#endif
