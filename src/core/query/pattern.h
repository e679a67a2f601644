/* SPDX-License-Identifier: MIT
 *
 * The executor, private: scopes, sources, and patterns with their constants resolved.
 */
#ifndef RI_PATTERN_H
#define RI_PATTERN_H

#include "bind.h"
#include "query.h"

/* ---- sets of variables ---- */

static inline bool ri_varset_meets(const ri_varset *a, const ri_varset *b)
{
    uint64_t common = 0;
    for (unsigned i = 0; i < RI_QUERY_VARS_MAX / 64; i++) {
        common |= a->words[i] & b->words[i];
    }
    return common != 0;
}

/* ---- scopes ---- */

typedef struct ri_scope {
    struct ri_scope *next;      /* of all rules' scopes of the operation */
    struct ri_scope *uncounted; /* of those whose patterns are not all counted */
    const void *owner;          /* the rule branch it was made for */
    const char **var_names;
    const ri_value *fixed; /* by variable; used where is_fixed says so; NULL: none is */
    ri_varset is_fixed;
    ri_varset named; /* variables whose keywords and lookup refs name entities (op_names.c) */
    uint64_t names;  /* of a rule: which of its arguments are such */
    uint16_t var_count;
    uint16_t source; /* inside rules: what the default source stands for */
    uint16_t source_default;
} ri_scope;

static inline uint16_t ri_scope_source(const ri_scope *scope, uint16_t source)
{
    return source == scope->source_default ? scope->source : source;
}
/* The scope of a rule branch on a source, where the arguments in `names` may be names. NULL: no memory. */
const ri_scope *ri_scope_rule(rille_op *op, const ri_rule_branch *branch, uint16_t source, uint64_t names);
/* Which arguments of a call may be names: constants and variables that are. */
uint64_t ri_call_names(const ri_scope *scope, const ri_clause *call);
/* The constant that a term is, or NULL. */
const ri_value *ri_term_const(const ri_scope *scope, const ri_term *term);
/* The variable that a term is, when it is no constant; else RI_NO_VAR. */
ri_var ri_term_var(const ri_scope *scope, const ri_term *term);

/* ---- sources ---- */

typedef struct ri_source {
    rille_db *db;          /* NULL: a relation */
    const ri_table *table; /* NULL: a database */
    ri_schema *schema;     /* retained while the operation rests: that of its last run, and what counts were of: */
    uint64_t t;
    uint8_t commit[RI_HASH_SIZE];
    bool committed; /* the commit says what is in it */
    bool same;      /* this run asks the same value as the last one */
} ri_source;

/* The source that a pattern asks, as an index. RILLE_QUERY: it has none (the default of a rule, where the query has no
 * $). */
int ri_pattern_source(const rille_op *op, const ri_scope *scope, const ri_clause *clause, uint16_t *out,
                      rille_err *err);

/* ---- patterns ---- */

typedef struct ri_range ri_range;

enum { RI_POS_E, RI_POS_A, RI_POS_V, RI_POS_T, RI_POS_ADDED, RI_POS_COUNT };

/* Counts that the order of clauses goes by. */
typedef struct ri_counts {
    uint64_t attr;
    uint64_t constants;
    uint64_t range;
} ri_counts;

/* A pattern clause on a database, its constants resolved. */
typedef struct ri_pattern {
    const ri_term *terms; /* of the clause: what a pattern is known by */
    uint16_t term_count;
    const ri_scope *scope;
    rille_db *db;
    uint16_t source;
    ri_var var[RI_POS_COUNT]; /* RI_NO_VAR: blank or constant */
    bool has[RI_POS_COUNT];   /* constant */
    const ri_attr *attr;      /* when has[A] */
    uint64_t e;
    uint64_t t;
    ri_value v;
    uint64_t v_entity; /* attribute unknown: what v names, when the stored value is a ref; 0: nothing */
    bool v_is_ref;     /* v is surely a ref (ident or lookup ref) */
    bool nothing;      /* matches no datom at all */
    bool counted;
    bool assumed;            /* the counts need not be looked up, whatever they are */
    bool moved;              /* this run's inputs gave it other constants than the last run's */
    double share;            /* of the attribute that has the value, where no index tells: sampled; 0: not known */
    ri_counts planned;       /* what the plan was made for */
    uint64_t attr_count;     /* datoms of the attribute (of the database when it is unknown) */
    uint64_t const_count;    /* datoms that match the constants: exact, or a guess where no index tells */
    struct ri_range *range;  /* that predicates cut out; NULL: none (range.h) */
    struct ri_pattern *next; /* of all patterns of the operation */
} ri_pattern;

/* Do names of entities count at a position other than A? At e and t, and at v where the attribute is a ref or not
 * known. */
static inline bool ri_pattern_names(const ri_pattern *p, unsigned pos)
{
    return pos == RI_POS_V ? p->attr == NULL || p->attr->type == RI_REF : pos == RI_POS_E || pos == RI_POS_T;
}
/* Can a value at v be a name and itself? Where the text does not say the attribute: a variable may stand for any, also
 * where an input gives it one value. */
static inline bool ri_pattern_either(const ri_pattern *p)
{
    return p->term_count <= RI_POS_A || p->terms[RI_POS_A].kind != RI_TERM_CONST;
}
/* RILLE_QUERY: it has no source, or more terms than a datom has parts. */
int ri_pattern_resolve(rille_op *op, const ri_scope *scope, const ri_clause *clause, ri_pattern **out, rille_err *err);
/* Resolves the constants again, where inputs have other values or the database is another one. False: a plan for the old
 * ones is no plan for the new ones, or they cannot be resolved without reading. */
bool ri_pattern_renew(rille_op *op, ri_pattern *pattern);
/* The entity whose id a value is; 0: none. */
uint64_t ri_entity_of(const ri_value *v);
/* The same where names count: idents, and lookup refs given as tuples (which may have to read: RILLE_NEED). 0: it names
 * none. only: nothing but an entity can be meant, so a string is an ident, too, and a lookup ref by an attribute that
 * is unknown or not unique is an error. Otherwise it names none. */
int ri_name_entity(rille_op *op, const rille_db *db, const ri_value *v, bool only, uint64_t *e, rille_err *err);
/* May the value be a name where names count? By its type alone: keywords, strings, and tuples (lookup refs). */
static inline bool ri_may_name(const ri_value *v)
{
    return v->type == RI_KEYWORD || v->type == RI_STRING || v->type == RI_TUPLE;
}
/* The attribute that a keyword, a string (a colon before it may stay) or an id names; NULL: none, which is an error
 * (RILLE_ATTRIBUTE) for a name when strict, unless the database is read flexibly. */
int ri_name_attr(const rille_op *op, const rille_db *db, const ri_value *v, bool strict, const ri_attr **out,
                 rille_err *err);
/* RILLE_ATTRIBUTE, with the name of the source where the query has several. */
int ri_unknown_attr(const rille_op *op, const rille_db *db, const char *name, size_t len, rille_err *err);
/* The value as one of the attribute, so that equal ones are equal; !*fits: none of its values can equal. Bytes go to
 * the arena. */
int ri_attr_fit(const ri_attr *attr, const ri_value *in, ri_arena *arena, ri_value *out, bool *fits, rille_err *err);

#endif
