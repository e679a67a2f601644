/* SPDX-License-Identifier: MIT
 *
 * Private to parse_*.c: what is shared by the parsers of queries, clauses, terms and rules.
 *
 * Numbers of variables: one array of names for a whole query (or rule branch). A FRAME is what the text sees of it: the
 * body of a -join form has a frame of its own, in which only the join variables are those of the outside, so one name
 * may stand for several numbers.
 */
#ifndef RI_PARSE_H
#define RI_PARSE_H

#include "ast.h"

#include "../data/suggest.h"

#define RI_SHOW_SIZE 96

typedef struct ri_frame {
    uint16_t count;
    ri_var vars[RI_QUERY_VARS_MAX]; /* those that can be seen here */
} ri_frame;

typedef struct ri_parser {
    ri_arena *arena;
    ri_origin origin;       /* origin.rule NULL: the query itself is parsed */
    uint16_t clause;        /* the number of the one of :where, or of the rule, that is parsed; 0: none */
    const char *section;    /* ":find": for messages about queries that are not text; NULL: none */
    const char **var_names; /* RI_QUERY_VARS_MAX of them */
    uint16_t var_count;
    const char **source_names;
    uint16_t source_count;
    ri_frame *frame;
    uint16_t clause_count;
    bool has_rules; /* rules may be called */
    rille_err *err;
} ri_parser;

/* Some items of a form. */
typedef struct ri_items {
    const ri_form *p;
    uint32_t count;
} ri_items;

static inline bool ri_form_is_seq(const ri_form *form)
{
    return form->kind == RI_FORM_LIST || form->kind == RI_FORM_VECTOR;
}
static inline ri_items ri_form_items(const ri_form *form)
{
    return (ri_items){ form->u.seq.items, form->u.seq.count };
}
static inline ri_items ri_items_rest(ri_items items, uint32_t skip)
{
    return (ri_items){ items.p + skip, items.count - skip };
}

/* Fails with the position of `at` (NULL: none), or the rule, in front. */
int ri_parse_fail(const ri_parser *parser, int code, const ri_form *at, const char *format, ...) RI_PRINTF(4, 5);
/* A form for a message: its EDN, shortened. */
const char *ri_form_show(char out[RI_SHOW_SIZE], const ri_form *form);

/* ---- terms and names (parse_term.c) ---- */

bool ri_form_is_var(const ri_form *form);    /* ?x */
bool ri_form_is_blank(const ri_form *form);  /* _ */
bool ri_form_is_source(const ri_form *form); /* $ or $x */
/* A symbol's or keyword's or string's text, 0-terminated, in the arena. */
int ri_parse_name(const ri_parser *parser, const ri_form *form, const char **out);
/* The number of a variable in the current frame; made when it is new. */
int ri_parse_var(ri_parser *parser, const ri_form *form, ri_var *out);
/* The same where _ is allowed: RI_NO_VAR. */
int ri_parse_var_or_blank(ri_parser *parser, const ri_form *form, ri_var *out);
int ri_parse_vars(ri_parser *parser, ri_items items, const char *what, ri_var **out, uint16_t *count);
/* The index of a source's name; an error where there is none. */
int ri_parse_source(const ri_parser *parser, const ri_form *form, uint16_t *out);
/* ?x, [?x ...], [?x _], [[?x _]]; no variable twice. */
int ri_parse_binding(ri_parser *parser, const ri_form *form, ri_binding *out);
int ri_parse_const(const ri_parser *parser, const ri_form *form, ri_value *out);
/* A term of a pattern (position 0 is e, and so on), or an argument of a function (position -1) or rule (-2). */
int ri_parse_term(ri_parser *parser, const ri_form *form, int position, ri_term *out);

/* ---- clauses (parse_clause.c) ---- */

/* A body: at least one clause. `source`: the default, or RI_SOURCE_DEFAULT. */
int ri_parse_body(ri_parser *parser, ri_items items, uint16_t source, unsigned depth, ri_clause **out, uint16_t *count);

#endif
