/* SPDX-License-Identifier: MIT
 *
 * Every result code of rille, in one list. Negative codes are errors: a rille_err says what and where.
 * Positive codes are documented outcomes, not errors. The names are what Lua sees as the third result.
 */
#ifndef RILLE_CODES_H
#define RILLE_CODES_H

/* X(name, value, meaning) */
#define RILLE_CODES(X)                                                                                    \
    X(NOMEM, -1, "an allocation failed, or the host's allocation hook refused it")                        \
    X(MISUSE, -2, "the call itself is wrong: a closed handle, a wrong argument")                          \
    X(NOTFOUND, -3, "there is no such database, branch, object or point in time")                         \
    X(EXISTS, -4, "there is one already")                                                                 \
    X(IO, -5, "the operating system or the storage server reported a failure")                            \
    X(PERMISSION, -6, "the storage refuses this user")                                                    \
    X(FULL, -7, "the disk, the quota or the map is full; nothing was committed")                          \
    X(CORRUPT, -8, "stored bytes are damaged, truncated or do not match their address")                   \
    X(FORMAT, -9, "stored bytes have a newer format version than this build reads")                       \
    X(FOREIGN, -10, "what is stored there is not a rille database")                                       \
    X(READONLY, -11, "this store or value cannot be written")                                             \
    X(SYNTAX, -12, "EDN, query or URL text does not parse; the message has line:column")                  \
    X(QUERY, -13, "the query parses but makes no sense: unbound variable, unknown function, wrong arity") \
    X(INPUT, -14, "the inputs of a query do not fit its :in")                                             \
    X(ATTRIBUTE, -15, "an attribute is not in the schema")                                                \
    X(TYPE, -16, "a value does not have the type that its attribute or function wants")                   \
    X(TX_SYNTAX, -17, "transaction data is not of a known form")                                          \
    X(TX_UNIQUE, -18, "a unique value is already held by another entity")                                 \
    X(TX_UPSERT, -19, "identity attributes of one entity point at different existing entities")           \
    X(TX_CONFLICT, -20, "one transaction says two different things of one entity and attribute")          \
    X(TX_CAS, -21, "compare-and-swap found another value than the expected one")                          \
    X(ENTITY_MISSING, -22, "a lookup ref, ident or entity id names nothing")                              \
    X(SCHEMA, -23, "a schema definition is not possible")                                                 \
    X(LIMIT, -24, "a documented limit was crossed: nesting, size, memory budget")                         \
    X(TIMEOUT, -25, "the time limit ran out")                                                             \
    X(CANCELLED, -26, "the operation was cancelled")                                                      \
    X(BUSY, -27, "other writers won every one of many attempts; nothing was committed")                   \
    X(UNSUPPORTED, -28, "this build or backend cannot do that")                                           \
    X(FUNCTION, -29, "a user function failed; the message is its own")                                    \
    X(INTERNAL, -30, "an invariant of rille itself is broken: please report it")

enum rille_code {
    RILLE_OK = 0,
#define X(name, value, meaning) RILLE_##name = (value),
    RILLE_CODES(X)
#undef X
    /* outcomes */
    RILLE_DONE = 1,    /* nothing (more) to deliver */
    RILLE_NEED = 2,    /* storage must be read first: fetch what is wanted, then call again */
    RILLE_AGAIN = 3,   /* the budget is used up: call again */
    RILLE_ROWS = 4,    /* a batch of rows is ready */
    RILLE_CALL = 5,    /* a host function must be called on a batch of rows, then call again */
    RILLE_CONFLICT = 6 /* the head is not the expected one any more */
};

#endif
