/* SPDX-License-Identifier: MIT
 *
 * Every result code of rille, in one list. Negative codes are errors: a rille_err says what and where.
 * Positive codes are documented outcomes, not errors. The names are what Lua sees as the third result.
 */
#ifndef RILLE_CODES_H
#define RILLE_CODES_H

/* X(name, value, meaning) */
#define RILLE_CODES(X)                                                                                       \
    X(NOMEM, -1, "an allocation failed, or the host's allocation hook rejected it")                          \
    X(MISUSE, -2, "the call itself is wrong: a closed handle, an argument of the wrong kind")                \
    X(NOTFOUND, -3, "there is no such database, branch, object or point in time")                            \
    X(EXISTS, -4, "the database already exists")                                                             \
    X(IO, -5, "the operating system or the storage server reported a failure")                               \
    X(PERMISSION, -6, "the storage denied access")                                                           \
    X(FULL, -7, "the disk, the quota or the map is full; nothing was committed")                             \
    X(CORRUPT, -8, "stored bytes are corrupt, truncated or do not match their address")                      \
    X(FORMAT, -9, "stored bytes have a newer format version than this version of rille supports")            \
    X(FOREIGN, -10, "the location does not contain a rille database")                                        \
    X(READONLY, -11, "this store or value is read-only")                                                     \
    X(SYNTAX, -12, "EDN, query, CSV or URL text is not valid; the message has the position")                 \
    X(QUERY, -13, "the query is not valid: unbound variable, unknown function, wrong number of arguments")   \
    X(INPUT, -14, "the inputs of a query do not match its :in")                                              \
    X(ATTRIBUTE, -15, "an attribute is not in the schema, or not in the index")                              \
    X(TYPE, -16, "a value does not have the type that its attribute or function expects")                    \
    X(TX_SYNTAX, -17, "transaction data does not have a known form")                                         \
    X(TX_UNIQUE, -18, "another entity already has this value of a unique attribute")                         \
    X(TX_UPSERT, -19, "identity attributes of one entity belong to different existing entities")             \
    X(TX_CONFLICT, -20, "one transaction asserts conflicting values of an entity and attribute")             \
    X(TX_CAS, -21, "compare-and-swap found a different value from the expected one")                         \
    X(ENTITY_MISSING, -22, "a lookup ref, an ident or an entity id does not exist")                          \
    X(SCHEMA, -23, "a schema definition is not possible")                                                    \
    X(LIMIT, -24, "a documented limit was exceeded: nesting, size, memory budget")                           \
    X(TIMEOUT, -25, "the time limit ran out")                                                                \
    X(CANCELLED, -26, "the operation was cancelled")                                                         \
    X(BUSY, -27,                                                                                             \
      "gave up after many attempts, because other writers committed first each time; nothing was committed") \
    X(UNSUPPORTED, -28, "this build or backend does not support it")                                         \
    X(FUNCTION, -29, "a function of a query failed; the message says why")                                   \
    X(INTERNAL, -30, "an invariant of rille itself is broken: please report it")

enum rille_code {
    RILLE_OK = 0,
#define X(name, value, meaning) RILLE_##name = (value),
    RILLE_CODES(X)
#undef X
    /* outcomes */
    RILLE_DONE = 1,     /* nothing (more) to deliver */
    RILLE_NEED = 2,     /* storage must be read first: fetch it, then call again */
    RILLE_AGAIN = 3,    /* the budget is exhausted: call again */
    RILLE_ROWS = 4,     /* a batch of rows is ready */
    RILLE_CALL = 5,     /* a host function must be called on a batch of rows, then call again */
    RILLE_CONFLICT = 6, /* the branch head is no longer the expected one */
    RILLE_UNKNOWN = 7   /* of a backend: whether the head was swapped is not known */
};

#endif
