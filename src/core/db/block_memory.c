/* SPDX-License-Identifier: MIT
 *
 * Blocks as memory: what they hold, how they share it, how long it lives.
 *
 *   one transaction       memory | block            its datoms: a heap block
 *   a segment             memory | block block ...  their datoms: a heap block
 *   small transactions    memory | block datoms values block datoms values ...
 *
 * The memory lives as long as any of its blocks. Those of small transactions lie in pieces of PIECE_MAX bytes at most, so a
 * block that is held holds few others; and a piece is at most twice as large as the one before, so that who commits
 * once takes no more than that needs.
 */
#include "block.h"

#include "schema.h"
#include "set.h"

#include <string.h>

#define FEW_DATOMS 16U /* of a small transaction */
#define PIECE_MAX 4096U

_Static_assert(sizeof(void *) > 8 || sizeof(ri_block) <= 128, "tens of thousands of transactions have one each");
_Static_assert(sizeof(ri_block_memory) % _Alignof(ri_block) == 0, "blocks follow it");

/* ---- lifetimes ---- */

ri_block *ri_block_retain(ri_block *block)
{
    if (block != NULL) {
        ri_refs_take(&block->refs);
    }
    return block;
}

static ri_block *first_block(ri_block_memory *memory)
{
    return (ri_block *)(void *)(memory + 1);
}

static void drop_memory(ri_block_memory *memory)
{
    if (memory->heap_cap > 0) {
        ri_free_sized(first_block(memory)->datoms, memory->heap_cap * sizeof(ri_datom));
    }
    for (size_t i = 0; i < memory->blob_count; i++) {
        ri_object_release(&memory->blobs[i].blob->object);
    }
    ri_object_release(memory->bytes == NULL ? NULL : &memory->bytes->object);
    ri_arena_deinit(&memory->arena);
    ri_mutex_deinit(&memory->lock);
    ri_free(memory);
}

void ri_block_memory_release(ri_block_memory *memory)
{
    if (memory != NULL && ri_refs_drop(&memory->refs)) {
        drop_memory(memory);
    }
}

static void release_sets(ri_block *block)
{
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        ri_set_release(block->sets[o]);
    }
    ri_free(block->sets);
}

void ri_block_release(ri_block *block)
{
    while (block != NULL && ri_refs_drop(&block->refs)) {
        ri_block *prev = block->prev;
        ri_block_memory *memory = block->memory;
        if (block->sets != NULL) {
            release_sets(block);
        }
        ri_schema_release(block->schema);
        if (block->is_view) {
            ri_free(block);
        }
        ri_block_memory_release(memory);
        block = prev;
    }
}

void ri_block_unlink(ri_block *block)
{
    RI_ASSERT(ri_refs_unshared(&block->refs));
    if (block->sets != NULL) {
        release_sets(block);
    }
    block->sets = NULL;
    atomic_store(&block->set_orders, 0);
    ri_schema_release(block->schema);
    ri_block_release(block->prev);
    block->schema = NULL;
    block->prev = NULL;
    block->chain_count = 0;
}

/* ---- blocks with memory of their own ---- */

/* With `behind` bytes behind it. NULL: no memory. */
static ri_block_memory *new_memory(size_t behind)
{
    ri_block_memory *memory = behind <= SIZE_MAX - sizeof *memory ? ri_alloc(sizeof *memory + behind) : NULL;
    if (memory != NULL) {
        memset(memory, 0, sizeof *memory);
        ri_refs_init(&memory->refs);
        ri_mutex_init(&memory->lock);
    }
    return memory;
}

/* Takes a reference to the memory. */
static void init_block(ri_block *block, ri_block_memory *memory)
{
    memset(block, 0, sizeof *block);
    ri_refs_init(&block->refs);
    block->memory = memory;
}

/* `count` blocks side by side. */
static ri_block *new_blocks(size_t count)
{
    size_t bytes;
    ri_block_memory *memory = ri_mul_size(count, sizeof(ri_block), &bytes) ? new_memory(bytes) : NULL;
    if (memory == NULL) {
        return NULL;
    }
    ri_block *first = first_block(memory);
    for (size_t i = 0; i < count; i++) {
        init_block(&first[i], memory);
        if (i > 0) {
            ri_refs_take(&memory->refs);
        }
    }
    return first;
}

ri_block *ri_block_new(void)
{
    return new_blocks(1);
}

/* As many as are expected, and no more: what is too much stays with the block. */
static ri_block *new_large(size_t count)
{
    ri_block *block = new_blocks(1);
    if (block == NULL) {
        return NULL;
    }
    block->datoms = ri_alloc_array(count, sizeof *block->datoms);
    if (block->datoms == NULL) {
        ri_block_release(block);
        return NULL;
    }
    block->memory->heap_cap = count;
    return block;
}

ri_block **ri_blocks_new(size_t count)
{
    ri_block **blocks = ri_alloc_array(count, sizeof(ri_block *));
    ri_block *first = blocks != NULL ? new_blocks(count) : NULL;
    if (first == NULL) {
        ri_free(blocks);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        blocks[i] = first + i;
    }
    return blocks;
}

/* ---- small blocks ---- */

static size_t room_left(const ri_arena *arena)
{
    return arena->next == NULL ? 0 : (size_t)(arena->end - arena->next);
}

/* The next piece, with room for `size` bytes at least. */
static ri_block_memory *next_piece(const ri_block_memory *before, size_t size)
{
    size_t room = before == NULL ? size : before->room < PIECE_MAX / 2 ? 2 * before->room : PIECE_MAX;
    room = room < size ? size : room;
    ri_block_memory *memory = new_memory(room);
    if (memory != NULL) {
        memory->is_shared = true;
        memory->room = room;
        memory->arena.next = (uint8_t *)(memory + 1);
        memory->arena.end = memory->arena.next + room;
    }
    return memory;
}

/* What has begun a chunk is full: values were larger than what was left. */
static bool make_room(ri_block_memory **shared, size_t size)
{
    if (*shared != NULL && (*shared)->arena.chunks == NULL && room_left(&(*shared)->arena) >= size) {
        return true;
    }
    ri_block_memory *next = next_piece(*shared, size);
    if (next == NULL) {
        return false;
    }
    ri_block_memory_release(*shared);
    *shared = next;
    return true;
}

static ri_block *new_small(size_t count, ri_block_memory **shared)
{
    if (!make_room(shared, sizeof(ri_block) + count * sizeof(ri_datom))) {
        return NULL;
    }
    ri_block_memory *memory = *shared;
    ri_block *block = ri_arena_alloc(&memory->arena, sizeof *block);
    ri_datom *datoms = block == NULL ? NULL : ri_arena_alloc(&memory->arena, count * sizeof *datoms);
    if (datoms == NULL) {
        return NULL;
    }
    ri_refs_take(&memory->refs);
    init_block(block, memory);
    block->datoms = datoms;
    memory->newest_cap = count;
    return block;
}

ri_block *ri_block_new_for(size_t count, ri_block_memory **shared)
{
    if (count > FEW_DATOMS) {
        return new_large(count);
    }
    ri_block_memory *own = NULL;
    ri_block *block = new_small(count > 0 ? count : 1, shared != NULL ? shared : &own);
    ri_block_memory_release(own);
    return block;
}

/* ---- datoms ---- */

/* More room for the newest block: where it is, or elsewhere. */
static bool grow_small(ri_block *block, size_t count)
{
    ri_block_memory *memory = block->memory;
    size_t cap = memory->newest_cap + memory->newest_cap / 2 + 1;
    cap = cap < count ? count : cap;
    ri_datom *grown = ri_arena_array(&memory->arena, cap, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown, block->datoms, block->count * sizeof *grown);
    block->datoms = grown;
    memory->newest_cap = cap;
    return true;
}

bool ri_block_reserve(ri_block *block, size_t count)
{
    ri_block_memory *memory = block->memory;
    if (memory->is_shared) {
        return count <= memory->newest_cap || grow_small(block, count);
    }
    return RI_GROW(&block->datoms, &memory->heap_cap, count);
}

/* ---- chains ---- */

ri_block **ri_block_list(ri_block *last, uint64_t t, size_t more, size_t *count)
{
    ri_block **blocks = NULL;
    size_t cap = 0;
    size_t n = 0;
    *count = 0;
    for (ri_block *b = last; b != NULL && b->t > t; b = b->prev) {
        if (n + more >= cap && !RI_GROW(&blocks, &cap, n + more + 1)) {
            ri_free(blocks);
            return NULL;
        }
        blocks[n++] = b;
    }
    if (blocks == NULL) {
        return ri_alloc_array(more, sizeof(ri_block *));
    }
    for (size_t i = 0; i < n / 2; i++) { /* they came newest first */
        ri_block *swap = blocks[i];
        blocks[i] = blocks[n - 1 - i];
        blocks[n - 1 - i] = swap;
    }
    *count = n;
    return blocks;
}

ri_block *ri_block_view(ri_block *block)
{
    ri_block *view = ri_alloc(sizeof *view);
    if (view != NULL) {
        ri_refs_take(&block->memory->refs);
        init_block(view, block->memory);
        view->is_view = true;
        view->datoms = block->datoms;
        view->count = block->count;
        view->t = block->t;
        view->instant = block->instant;
        view->attempt = block->attempt;
        memcpy(view->commit, block->commit, RI_HASH_SIZE);
        view->claims_flush = block->claims_flush;
        view->merged = block->merged;
        view->merged_count = block->merged_count;
    }
    return view;
}

bool ri_blocks_share(ri_block *const *blocks, size_t count, uint64_t after, uint64_t skipped)
{
    ri_datom *all = blocks[0]->datoms;
    uint64_t at = 0; /* of all, also of those skipped */
    for (size_t i = 0; i < count; i++) {
        ri_block *block = blocks[i];
        uint64_t start = at;
        at += block->count;
        if (block->t <= after) {
            block->count = 0; /* block 0 keeps the memory */
            continue;
        }
        block->datoms = all + (start - skipped);
        /* They are sorted by t, so the ends of the part tell of all of it. */
        if (block->datoms[0].t != block->t || all[at - skipped - 1].t != block->t) {
            return false;
        }
        block->instant = ri_block_find_instant(block, 0);
    }
    return true;
}

void ri_blocks_release(ri_block **blocks, size_t count)
{
    while (count > 0) {
        ri_block_release(blocks[--count]);
    }
    ri_free(blocks);
}
