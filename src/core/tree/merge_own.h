/* SPDX-License-Identifier: MIT
 *
 * Inside a merge; for merge.c, which walks and feeds, and merge_take.c, which takes over old nodes.
 */
#ifndef RI_MERGE_OWN_H
#define RI_MERGE_OWN_H

#include "chunk.h"

typedef enum merge_state { STARTED, PENDING, OPEN } merge_state;

/* What is known of a leaf while it is fed. */
typedef struct feed {
    ri_node *leaf; /* NULL: none is fed */
    ri_datom separator;
    const ri_change *changes;
    size_t count;
    size_t change; /* the next one ... */
    uint32_t row;  /* ... and the next old row */
    uint32_t fed;
    uint64_t old_bytes; /* key bytes of the old rows passed */
    bool begins;        /* the open leaf began with the first row fed */
    bool last_old;      /* the last row fed is the old leaf's last */
} feed;

/* A branch of the old tree whose children are walked. */
typedef struct walked {
    ri_node *node;
    uint32_t slot;      /* of the next child */
    size_t changes_end; /* of the changes that fall into the branch */
    ri_datom separator; /* of the next child */
    ri_datom next;      /* where the branch ends ... */
    bool has_next;      /* ... or it is the last */
} walked;

typedef enum merge_stage { CHECKING, ASKING, WALKING, ENDING } merge_stage;

struct ri_merge {
    ri_store *store;
    ri_tree tree;
    ri_order order;
    ri_limits limits;
    ri_writer *writer;
    const ri_change *changes;
    size_t change_count;
    size_t change; /* the first one that was not walked over (CHECKING: checked) */
    merge_stage stage;
    ri_io *io; /* of the step, as is the next */
    rille_err *err;
    ri_chunker chunker;
    merge_state state;
    bool separator_is_old; /* STARTED: the separator is the one that the next old node has */
    bool edge_is_old;      /* OPEN: the open leaf closes before the next old leaf, whose separator stays */
    bool wrote;            /* a leaf was closed in this step */
    struct {
        ri_noderef ref;
        ri_datom separator;
        uint64_t count;
        unsigned level;
        ri_arena bytes; /* of the separator */
    } pending;
    walked path[RI_TREE_HEIGHT_MAX + 1];
    unsigned depth;
    feed feed;
    ri_node **held; /* leaves whose bytes rows of the open leaf borrow */
    size_t held_count;
    size_t held_cap;
    ri_datom *rows; /* of the leaf that is fed */
};
/* A node that begins at its separator, and ends before the next one (NULL: it is the last, or is checked elsewhere). */
int ri_merge_node(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t datoms, const ri_datom *separator,
                  const ri_datom *next, ri_node **out);
/* The first row of a leaf comes behind those of the open one. */
int ri_merge_check_follows(const ri_merge *m, const ri_datom *d);
/* Keeps a leaf whose bytes rows of the open leaf borrow. */
int ri_merge_hold(ri_merge *m, ri_node *node);
void ri_merge_drop_held(ri_merge *m);
/* The pending node stays; the next chunk begins with its old separator. */
int ri_merge_accept(ri_merge *m, const ri_datom *next_separator);
/* The pending node becomes open chunks again. */
int ri_merge_open(ri_merge *m);
/* Takes over an old node without changes, if the chunker would make it again. */
int ri_merge_take(ri_merge *m, const ri_noderef *ref, unsigned level, uint64_t count, const ri_datom *separator,
                  bool *taken);

#endif
