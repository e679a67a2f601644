/* SPDX-License-Identifier: MIT
 *
 * Making the set of a chain of blocks: the keys of its newest blocks are gathered, sorted, and merged into the set of the
 * newest block before them that has one.
 *
 * Where a run may pause (task.h), many are made into a set in portions. What is made so far is a BUILD. Each task that
 * waits for it holds a reference; the block's memory knows of it, so that operations that read the same value go on with
 * one build, whichever of them runs, and the last of them to be cancelled or closed frees it. A build that another thread
 * is at is left to that thread, and a second one is made.
 *
 *   find the blocks, gather a portion of keys ... sort a portion, merge runs ... merge a portion of keys into the set ...
 *
 * Cost: 100 to 200 instructions a datom, in portions a third more. A build holds 32 bytes a datom.
 */
#include "novelty.h"

#include "../store/task.h"

#define PORTION 1024U  /* keys that are merged into the set at once, and blocks that are gone through */
#define KEY_WORK 16U   /* of a key that is moved */
#define MERGE_WORK 64U /* ... that comes into the set */
#define BLOCK_WORK 64U /* of a block, without its datoms */
#define GATHER_WORK (RI_TASK_WORK - BLOCK_WORK)
_Static_assert(GATHER_WORK % KEY_WORK == 0 && BLOCK_WORK % KEY_WORK == 0, "there is room for a key, or for none");

/* Internally locked, by the memory of `last`: up to is_done. The others belong to the thread that runs it. */
typedef struct ri_set_build {
    struct ri_set_build *next; /* of the same memory */
    size_t users;
    bool is_run;
    bool is_done;
    ri_order order;
    ri_block *last;     /* retained */
    ri_block *from;     /* the block before, NULL: none; it lives as long as `last` */
    ri_set_node *set;   /* of the chain up to `from`, and of the keys that are merged */
    const ri_block *at; /* to be gathered next, newest first ... */
    size_t left;        /* ... and so many of its datoms */
    ri_set_key *keys;   /* gathered from the end of the first half; the other is for sorting */
    size_t cap;         /* of a half */
    size_t first;
    ri_set_runs runs;
} build;

/* ---- sets of blocks ---- */

unsigned ri_block_set_orders(const ri_block *block)
{
    return atomic_load_explicit(&((ri_block *)(uintptr_t)block)->set_orders, memory_order_relaxed);
}

bool ri_block_has_set(const ri_block *block, ri_order order)
{
    return (ri_block_set_orders(block) >> order & 1U) != 0;
}

ri_set_node *ri_block_set(ri_block *block, ri_order order)
{
    if (!ri_block_has_set(block, order)) {
        return NULL; /* most blocks */
    }
    ri_mutex_lock(&block->memory->lock);
    ri_set_node *set = block->sets == NULL ? NULL : ri_set_retain(block->sets[order]);
    ri_mutex_unlock(&block->memory->lock);
    return set;
}

/* The place of a set, which becomes another one. Gives the old one. */
static ri_set_node *exchange(ri_block *block, ri_order order, ri_set_node *set)
{
    ri_set_node *old = block->sets[order];
    unsigned others = ri_block_set_orders(block) & ~(1U << order);
    block->sets[order] = set;
    atomic_store_explicit(&block->set_orders, (unsigned char)(others | (set != NULL ? 1U << order : 0U)),
                          memory_order_relaxed);
    return old;
}

void ri_block_set_put(ri_block *block, ri_order order, ri_set_node *set)
{
    ri_set_node *old = NULL;
    ri_set_node **room = NULL;
    if (set != NULL && ri_block_set_orders(block) == 0) {
        room = ri_alloc_zero(RI_NOVELTY_ORDERS * sizeof *room);
    }
    ri_mutex_lock(&block->memory->lock);
    if (block->sets == NULL) {
        block->sets = room;
        room = NULL;
    }
    if (block->sets != NULL && (set == NULL || block->sets[order] == NULL)) {
        old = exchange(block, order, ri_set_retain(set));
    }
    if (block->sets != NULL && ri_block_set_orders(block) == 0) {
        room = block->sets;
        block->sets = NULL;
    }
    ri_mutex_unlock(&block->memory->lock);
    ri_free(room);
    ri_set_release(old);
}

/* The set moves on to the later block. */
static void keep_set(ri_block *from, ri_block *last, ri_order order, ri_set_node *set)
{
    ri_block_set_put(last, order, set);
    if (from != NULL && from->chain_count / RI_NOVELTY_STRIDE == last->chain_count / RI_NOVELTY_STRIDE) {
        ri_block_set_put(from, order, NULL);
    }
}

/* ---- at once ---- */

/* The datoms of the blocks behind `from` up to `last`, oldest first, at the end of keys[0..cap). Gives where they
 * begin. */
static size_t gather(const ri_block *from, const ri_block *last, ri_order order, ri_set_key *keys, size_t cap)
{
    size_t at = cap;
    for (const ri_block *b = last; b != from; b = b->prev) {
        for (size_t i = b->count; i > 0; i--) {
            const ri_datom *d = &b->datoms[i - 1];
            if (ri_schema_in_order(b->schema, d->a, order)) {
                keys[--at] = (ri_set_key){ ri_set_prefix(order, d), ri_item_new(d) };
            }
        }
    }
    return at;
}

/* `base` is the set of the chain up to `from`; NULL and NULL: nothing. */
static ri_set_node *extend(const ri_set_node *base, const ri_block *from, const ri_block *last, ri_order order)
{
    size_t cap = (size_t)(last->chain_count - (from == NULL ? 0 : from->chain_count));
    ri_set_key *keys = ri_alloc_array(cap, 2 * sizeof *keys);
    if (keys == NULL) {
        return NULL;
    }
    size_t at = gather(from, last, order, keys, cap);
    bool distinct = ri_set_sort(order, keys + at, keys + cap, cap - at);
    ri_set_node *set = ri_set_merge(base, order, keys + at, cap - at, distinct);
    ri_free(keys);
    return set;
}

static int make_at_once(ri_block *from, ri_set_node *base, ri_block *last, ri_order order, ri_set_node **out,
                        rille_err *err)
{
    *out = extend(base, from, last, order);
    if (*out == NULL) {
        return ri_fail_nomem(err);
    }
    keep_set(from, last, order, *out);
    return 0;
}

/* ---- builds ---- */

static void free_keys(build *b)
{
    ri_free(b->keys);
    b->keys = NULL;
}

/* Gives a reference back. */
static void build_release(void *state)
{
    build *b = state;
    ri_block *last = b->last;
    ri_mutex_lock(&last->memory->lock);
    bool is_last = --b->users == 0;
    for (build **place = &last->memory->builds; is_last && *place != NULL; place = &(*place)->next) {
        if (*place == b) {
            *place = b->next;
            break;
        }
    }
    ri_mutex_unlock(&last->memory->lock);
    if (is_last) {
        ri_set_release(b->set);
        free_keys(b);
        ri_free(b);
        ri_block_release(last);
    }
}

/* Another operation's, which nobody runs now: a reference, to be run; or NULL. */
static build *build_join(ri_block *last, ri_order order)
{
    ri_mutex_lock(&last->memory->lock);
    build *b = last->memory->builds;
    while (b != NULL && (b->last != last || b->order != order || b->is_run || b->is_done)) {
        b = b->next;
    }
    if (b != NULL) {
        b->users++;
        b->is_run = true;
    }
    ri_mutex_unlock(&last->memory->lock);
    return b;
}

/* Begins to run the build that this task has a reference to. False: another thread is at it. */
static bool build_enter(build *b)
{
    ri_mutex_lock(&b->last->memory->lock);
    bool is_free = !b->is_run && !b->is_done;
    b->is_run = b->is_run || is_free;
    ri_mutex_unlock(&b->last->memory->lock);
    return is_free;
}

static void build_leave(build *b, bool is_done)
{
    ri_mutex_lock(&b->last->memory->lock);
    b->is_run = false;
    b->is_done = is_done;
    ri_mutex_unlock(&b->last->memory->lock);
}

/* `base`: as for extend. To be run; NULL: no memory. */
static build *build_new(ri_block *from, ri_set_node *base, ri_block *last, ri_order order)
{
    size_t cap = (size_t)(last->chain_count - (from == NULL ? 0 : from->chain_count));
    build *b = ri_alloc_zero(sizeof *b);
    ri_set_key *keys = b == NULL ? NULL : ri_alloc_array(cap, 2 * sizeof *keys);
    if (keys == NULL) {
        ri_free(b);
        return NULL;
    }
    *b = (build){ .users = 1, .is_run = true, .order = order, .from = from, .at = last, .keys = keys, .cap = cap };
    b->left = last->count;
    b->first = cap;
    b->last = ri_block_retain(last);
    b->set = ri_set_retain(base);
    ri_mutex_lock(&last->memory->lock);
    b->next = last->memory->builds;
    last->memory->builds = b;
    ri_mutex_unlock(&last->memory->lock);
    return b;
}

/* Gives its work. */
static size_t gather_some(build *b)
{
    size_t work = 0;
    while (work < GATHER_WORK && b->at != b->from) {
        size_t most = (GATHER_WORK - work) / KEY_WORK;
        size_t end = b->left > most ? b->left - most : 0;
        work += (b->left - end) * KEY_WORK;
        for (; b->left > end; b->left--) {
            const ri_datom *d = &b->at->datoms[b->left - 1];
            if (ri_schema_in_order(b->at->schema, d->a, b->order)) {
                b->keys[--b->first] = (ri_set_key){ ri_set_prefix(b->order, d), ri_item_new(d) };
            }
        }
        if (b->left == 0) {
            b->at = b->at->prev;
            b->left = b->at != b->from ? b->at->count : 0;
            work += BLOCK_WORK;
        }
    }
    if (b->at == b->from) {
        b->runs = (ri_set_runs){ .from = b->keys + b->first, .to = b->keys + b->cap, .count = b->cap - b->first };
    }
    return work;
}

/* False: no memory. */
static bool merge_some(build *b)
{
    size_t left = b->runs.count - b->runs.taken;
    size_t some = left < PORTION ? left : PORTION;
    ri_set_node *set = ri_set_merge(b->set, b->order, b->runs.from + b->runs.taken, some, false);
    if (set == NULL) {
        return false;
    }
    ri_set_release(b->set);
    b->set = set;
    b->runs.taken += some;
    return true;
}

/* RILLE_AGAIN until it is done. */
static int build_step(build *b, size_t *work, rille_err *err)
{
    const ri_set_runs *runs = &b->runs;
    if (b->at != b->from) {
        *work = gather_some(b);
        return RILLE_AGAIN;
    }
    if (runs->sorted < runs->count || runs->width < runs->count) {
        *work = RI_TASK_WORK;
        (void)ri_set_runs_sort(&b->runs, b->order, RI_TASK_WORK / KEY_WORK);
        return RILLE_AGAIN;
    }
    *work = PORTION * MERGE_WORK;
    if (!merge_some(b)) {
        return ri_fail_nomem(err);
    }
    return runs->taken < runs->count ? RILLE_AGAIN : 0;
}

/* What a task knows it by. */
static uint64_t task_key(const ri_block *last, ri_order order)
{
    return (uint64_t)(uintptr_t)last + (uint64_t)order;
}

/* Takes the reference, and gives one to its set. */
static int build_run(build *b, ri_set_node **out, rille_err *err)
{
    int rc;
    size_t work = 0;
    do {
        rc = build_step(b, &work, err);
    } while (rc == RILLE_AGAIN && !ri_task_pause(work));
    if (rc == 0) {
        free_keys(b);
        keep_set(b->from, b->last, b->order, b->set);
        *out = ri_set_retain(b->set);
    }
    build_leave(b, rc == 0);
    if (rc == RILLE_AGAIN) {
        return ri_task_put(b, build_release, task_key(b->last, b->order), err);
    }
    build_release(b);
    return rc;
}

/* ---- either way ---- */

/* The build that this task or another has begun. */
static build *find_build(ri_block *last, ri_order order)
{
    build *b = ri_task_take(build_release, task_key(last, order));
    if (b != NULL && build_enter(b)) {
        return b;
    }
    if (b != NULL) {
        build_release(b);
    }
    return build_join(last, order);
}

int ri_chain_set(ri_block *last, ri_order order, ri_set_node **out, rille_err *err)
{
    bool pauses = ri_task_may_pause();
    *out = ri_block_set(last, order);
    if (*out != NULL) {
        return 0;
    }
    if (pauses && ri_task_lacks()) {
        return RILLE_NEED;
    }
    build *b = pauses ? find_build(last, order) : NULL;
    if (b != NULL) {
        return build_run(b, out, err);
    }
    ri_set_node *base = NULL;
    ri_block *from = last->prev;
    while (from != NULL && (base = ri_block_set(from, order)) == NULL) {
        from = from->prev;
    }
    int rc;
    if (pauses && last->chain_count - (from == NULL ? 0 : from->chain_count) > RI_SET_RUN) {
        b = build_new(from, base, last, order);
        rc = b == NULL ? ri_fail_nomem(err) : build_run(b, out, err);
    } else {
        rc = make_at_once(from, base, last, order, out, err);
    }
    ri_set_release(base);
    return rc;
}
