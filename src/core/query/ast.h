/* SPDX-License-Identifier: MIT
 *
 * The one AST: EDN text, Lua tables and the Lua builder all come as forms (edn.h) and become this. Immutable after
 * parsing; all memory in the query's arena. Variables, sources and rules are numbers from here on.
 */
#ifndef RI_AST_H
#define RI_AST_H

#include "../base/sync.h"
#include "../data/edn.h"

#define RI_QUERY_VARS_MAX 256
#define RI_QUERY_CLAUSES_MAX 1024
#define RI_QUERY_DEPTH_MAX 32
#define RI_NO_VAR UINT16_MAX
/* The source of a clause in a rule that names none or $: the source that the rule was called with. A call in the query
 * itself has it where the query has no $: then a pattern that ends up with it is an error (RILLE_QUERY). Patterns of
 * the query itself always have a real source. */
#define RI_SOURCE_DEFAULT UINT16_MAX

/* EDN text that something was read from. p NULL: it was made by code. */
typedef struct ri_text {
    const char *p;
    size_t len;
} ri_text;

typedef uint16_t ri_var; /* index into the names of its scope (query or rule) */

typedef enum ri_term_kind { RI_TERM_BLANK, RI_TERM_VAR, RI_TERM_CONST, RI_TERM_SOURCE } ri_term_kind;
typedef struct ri_term {
    ri_value v; /* CONST: what is written. A vector or set is a TUPLE: (ground [1 2]), (contains? #{1 2} ?x). Whether
                        it is a name (an attribute, an ident, a lookup ref [attr value]) is said by its position and the
                        type of the attribute, so by the database: it is resolved when the query runs (pattern.c) */
    ri_var var; /* VAR */
    uint16_t source; /* SOURCE: index (function arguments such as get-else's $) */
    uint8_t kind;    /* ri_term_kind */
    uint32_t offset; /* in the text, for messages; UINT32_MAX none */
} ri_term;

typedef enum ri_clause_kind {
    RI_CLAUSE_PATTERN, /* [$src? e a v tx added] ; on a relation source: one term a column */
    RI_CLAUSE_PRED,    /* [(f args...)] */
    RI_CLAUSE_FUNC,    /* [(f args...) binding] */
    RI_CLAUSE_NOT,     /* not, not-join */
    RI_CLAUSE_OR,      /* or, or-join */
    RI_CLAUSE_AND,     /* only inside or */
    RI_CLAUSE_RULE     /* ($src? name args...) */
} ri_clause_kind;

typedef enum ri_binding_kind { RI_BIND_SCALAR, RI_BIND_COLL, RI_BIND_TUPLE, RI_BIND_RELATION } ri_binding_kind;
typedef struct ri_binding { /* ?x | [?x ...] | [?x _ ?y] | [[?x ?y]] */
    ri_var *vars;           /* RI_NO_VAR for _ */
    uint16_t var_count;
    uint8_t kind;
} ri_binding;

typedef struct ri_clause {
    uint8_t kind;       /* ri_clause_kind */
    bool explicit_join; /* NOT/OR: -join form */
    bool implicit;      /* FUNC: not written: makes two parameters of a rule equal */
    uint16_t source;    /* PATTERN, RULE: which source; NOT/OR carry their default down while parsing */
    uint32_t offset;
    ri_term *terms; /* PATTERN: up to 5 (or columns); PRED/FUNC/RULE: arguments */
    uint16_t term_count;
    const char *name;   /* PRED/FUNC/RULE: 0-terminated */
    ri_binding binding; /* FUNC */
    ri_var *join_vars;  /* NOT/OR: vars shared with the outside: listed, or for plain not/or found by the binder. NOT:
                           all of them must be  bound before. In -join forms all other variables of the body have numbers
                           of their own, whatever their names. */
    uint16_t join_count;
    uint16_t required_count; /* or-join [[?must] ?x]: the first so many join_vars must be bound; what else must be:
                                ri_clause_required */
    struct ri_clause *body;  /* NOT, OR, AND */
    uint16_t body_count;
    uint16_t number; /* of the clause of :where, or of the rule, that it is or is part of: from 1 */
} ri_clause;

typedef struct ri_rule_branch { /* one (rule) definition: all branches of a name have equal arity */
    const char *name;
    uint32_t offset;
    ri_var *params;
    uint16_t param_count;
    uint16_t required_count; /* [(r [?a] ?b) ...]: the first so many must be bound */
    ri_clause *body;
    uint16_t body_count;
    const char **var_names;
    uint16_t var_count;
    bool *attrs; /* a parameter each: does it stand in attribute position, here or in a rule that it is passed to? The
                    same for all branches of a name */
    uint16_t *same; /* a parameter each: the first that is written as the same variable. From the second on, each has a
                       variable of its own and two implicit clauses, which bind each to the other */
    uint16_t *either; /* the same where all branches of the name agree: one of them bound is as good as all */
    bool *needs;      /* a parameter each: must it be bound? The required ones, and those that the bodies of this rule
                    only use (predicates, not), found by the binder. The same for all branches of a name */
} ri_rule_branch;

typedef struct ri_rules { /* of the % input */
    ri_rule_branch *branches;
    size_t branch_count;
    uint32_t *by_name; /* indexes of branches, sorted by name, then as written */
    ri_text text;      /* for positions in messages */
} ri_rules;

typedef enum ri_in_kind { RI_IN_SOURCE, RI_IN_RULES, RI_IN_BINDING } ri_in_kind;
typedef struct ri_in {
    ri_binding binding;
    uint16_t source;
    uint8_t kind;
} ri_in;

typedef enum ri_find_kind { RI_FIND_REL, RI_FIND_COLL, RI_FIND_TUPLE, RI_FIND_SCALAR } ri_find_kind;
typedef struct ri_find_elem {
    const char *agg; /* NULL: the variable itself; else "count", "sum", "min", "max", "avg", "count-distinct" ... */
    ri_var var;
    ri_value arg;    /* (min n ?x): n; NIL none */
    ri_var arg_var;  /* (min ?n ?x): ?n, an input of one value; RI_NO_VAR none */
    uint32_t offset; /* in the text; UINT32_MAX none */
} ri_find_elem;

typedef struct ri_order_by {
    uint16_t elem;
    bool desc;
} ri_order_by; /* index into find elements */

/* What a host keeps with a query for its next run: an operation that rests, and what belongs to it. The first member of
 * the host's own struct. */
typedef struct ri_kept {
    void (*release)(struct ri_kept *kept);
} ri_kept;

struct rille_query {
    ri_refs refs;
    _Atomic(ri_kept *) kept; /* the only part that changes; NULL: none */
    ri_arena arena;
    const char *text; /* for positions in messages; may be NULL */
    size_t text_len;
    const char **var_names; /* "?x" */
    uint16_t var_count;
    const char **source_names; /* "$", "$cat" */
    uint16_t source_count;
    ri_find_elem *find;
    uint16_t find_count;
    uint8_t find_kind;
    const char **keys; /* :keys/:strs/:syms, find_count of them, or NULL */
    ri_var *with;
    uint16_t with_count;
    ri_in *in; /* without :in: one source $ */
    uint16_t in_count;
    ri_clause *where;
    uint16_t where_count;
    ri_order_by *order_by;
    uint16_t order_count;
    int64_t limit; /* -1: none */
    int64_t offset;
};

/* ---- parse.c ---- */
typedef struct rille_query rille_query;
/* RILLE_SYNTAX, RILLE_QUERY with line:column. Also the map form {:find [...] :where [...]}. Checks what needs no data:
 * known shapes, arity of built-ins, find/with/order variables occur in :where or :in, or/not rules, unbound variables
 * (bind.c) named with their clause. */
int ri_query_parse(const char *text, size_t len, rille_query **out, rille_err *err);
/* The same from a form made by code; text positions are unknown then. The form's memory is copied. */
int ri_query_from_form(const ri_form *form, rille_query **out, rille_err *err);
rille_query *ri_query_retain(rille_query *query);
void ri_query_release(rille_query *query);
/* Takes what is kept, if it is of this kind; NULL: nothing is. Two runs at the same time never get the same. */
ri_kept *ri_query_take_kept(rille_query *query, void (*kind)(ri_kept *kept));
/* Keeps it, or releases it where something is kept already. */
void ri_query_keep(rille_query *query, ri_kept *kept);

/* What a message points into. */
typedef struct ri_origin {
    ri_text text;
    const char *rule; /* inside a rule of this name; or NULL */
    bool of_rules;
} ri_origin;
ri_origin ri_origin_of_query(const rille_query *query);
ri_origin ri_origin_of_rule(const ri_rules *rules, const char *name);
/* Puts before a message where it belongs: "3:5" and "rules 2:1: rule below" in text, ":where, clause 3" and "rule below,
 * clause 2" in data. offset UINT32_MAX, clause 0: not known. */
void ri_err_at(rille_err *err, const ri_origin *origin, uint32_t offset, uint16_t clause);

/* Rules: a vector of [(name ?a ?b) clause...], read from `text`, which outlives them. Clauses refer to the query's sources by name through `query` (NULL: only
 * "$"). Memory in `arena`. */
int ri_rules_parse_form(const ri_form *form, ri_text text, const rille_query *query, ri_arena *arena, ri_rules *out,
                        rille_err *err);
/* The first branch of that name, or NULL. O(log n). */
const ri_rule_branch *ri_rules_find(const ri_rules *rules, const char *name);
/* All of them, in the order as written: from a number on, until NULL. */
size_t ri_rules_from(const ri_rules *rules, const char *name);
const ri_rule_branch *ri_rules_at(const ri_rules *rules, const char *name, size_t at);

/* The query as EDN text again (a printed query parses to the same AST). */
int ri_query_print(const rille_query *query, ri_buf *out);
/* The inputs as :in has them, "$ ?min", cut to `size`. */
void ri_query_show_inputs(const rille_query *query, char *out, size_t size);
/* RILLE_INPUT: as many inputs are not what :in asks for. (inputs.c) */
int ri_inputs_check_count(const rille_query *query, size_t count, rille_err *err);
int ri_rules_print(const ri_rules *rules, const rille_query *query, ri_buf *out);
/* One clause, e.g. for messages and explain; out->failed when memory is out. */
void ri_print_clause(ri_buf *out, const ri_clause *clause, const char *const *var_names,
                     const char *const *source_names);

#endif
