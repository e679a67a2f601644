/* SPDX-License-Identifier: MIT
 *
 * The sections of a query: each a keyword and what follows it, in any order.
 */
#ifndef RI_PARSE_SECTIONS_H
#define RI_PARSE_SECTIONS_H

#include "parse.h"

typedef enum ri_section {
    RI_SECTION_FIND,
    RI_SECTION_KEYS,
    RI_SECTION_STRS,
    RI_SECTION_SYMS,
    RI_SECTION_WITH,
    RI_SECTION_IN,
    RI_SECTION_WHERE,
    RI_SECTION_ORDER,
    RI_SECTION_LIMIT,
    RI_SECTION_OFFSET,
    RI_SECTION_COUNT
} ri_section;

typedef struct ri_sections {
    const ri_form *at[RI_SECTION_COUNT]; /* the keyword; NULL: not there */
    ri_items items[RI_SECTION_COUNT];
} ri_sections;

/* Cuts the form of a query, a vector, list or map, into its sections; :find is there. RILLE_SYNTAX */
int ri_cut_sections(const ri_parser *parser, const ri_form *form, ri_sections *out);
/* Is the form the name of a section without its colon? Then that is the error: RILLE_SYNTAX */
int ri_check_colon(const ri_parser *parser, const ri_form *form);
/* "X is not a query": RILLE_SYNTAX */
int ri_fail_not_query(const ri_parser *parser, const ri_form *form);

#endif
