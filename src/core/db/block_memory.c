/* SPDX-License-Identifier: MIT
 *
 * Blocks as memory: what they hold, how they share it, how long it lives.
 */
#include "block.h"

#include "schema.h"
#include "set.h"

#include <string.h>

#define ROOM_MAX 16U /* datoms of a small transaction */

_Static_assert(sizeof(ri_block) <= 192, "tens of thousands of transactions have one each");

ri_block *ri_block_retain(ri_block *block)
{
    if (block != NULL) {
        ri_refs_take(&block->refs);
    }
    return block;
}

/* Of the block that has the memory of all. */
static void free_memory(ri_block *block)
{
    ri_block_memory *memory = block->memory;
    if (memory->heap_cap > 0) {
        ri_free_sized(block->datoms, memory->heap_cap * sizeof *block->datoms);
    }
    for (size_t i = 0; i < memory->blob_count; i++) {
        ri_object_release(&memory->blobs[i].blob->object);
    }
    ri_object_release(memory->bytes == NULL ? NULL : &memory->bytes->object);
    ri_arena_deinit(&memory->arena);
    ri_mutex_deinit(&memory->lock);
}

void ri_block_release(ri_block *block)
{
    while (block != NULL && ri_refs_drop(&block->refs)) {
        ri_block *prev = block->prev;
        ri_block *owner = block->owner;
        for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
            ri_set_release(atomic_load_explicit(&block->set[o], memory_order_relaxed));
        }
        ri_schema_release(block->schema);
        if (owner == NULL && !block->inside) {
            free_memory(block);
        }
        if (!block->inside) {
            ri_free(block);
        }
        ri_block_release(owner); /* nearly always another block still reaches it by prev */
        block = prev;
    }
}

/* `count` blocks side by side, and behind them their memory, and room for datoms. */
static ri_block *new_blocks(size_t count, size_t room)
{
    size_t bytes;
    size_t more = sizeof(ri_block_memory) + room * sizeof(ri_datom);
    ri_block *first =
        ri_mul_size(count, sizeof *first, &bytes) && bytes <= SIZE_MAX - more ? ri_alloc(bytes + more) : NULL;
    if (first == NULL) {
        return NULL;
    }
    memset(first, 0, bytes + sizeof(ri_block_memory));
    ri_block_memory *memory = (ri_block_memory *)(void *)(first + count);
    ri_mutex_init(&memory->lock);
    memory->room = room;
    for (size_t i = 0; i < count; i++) {
        ri_refs_init(&first[i].refs);
        first[i].inside = i > 0;
        first[i].memory = memory;
    }
    return first;
}

ri_block *ri_block_new(void)
{
    return new_blocks(1, 0);
}

ri_block *ri_block_new_for(size_t count)
{
    ri_block *block = new_blocks(1, count <= ROOM_MAX ? count : 0);
    if (block != NULL && !ri_block_reserve(block, count)) {
        ri_block_release(block);
        return NULL;
    }
    return block;
}

bool ri_block_reserve(ri_block *block, size_t count)
{
    ri_block_memory *memory = block->memory;
    if (memory->heap_cap > 0 || memory->room == 0) {
        return RI_GROW(&block->datoms, &memory->heap_cap, count);
    }
    if (count <= memory->room) {
        block->datoms = (ri_datom *)(void *)(memory + 1);
        return true;
    }
    ri_datom *grown = NULL;
    if (!RI_GROW(&grown, &memory->heap_cap, count)) {
        return false;
    }
    memcpy(grown, block->datoms, block->count * sizeof *grown);
    block->datoms = grown;
    return true;
}

ri_block **ri_blocks_new(size_t count)
{
    ri_block **blocks = ri_alloc_array(count, sizeof(ri_block *));
    ri_block *first = blocks != NULL ? new_blocks(count, 0) : NULL;
    if (first == NULL) {
        ri_free(blocks);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        blocks[i] = first + i;
    }
    return blocks;
}

ri_block **ri_block_list(ri_block *last, uint64_t t, size_t more, size_t *count)
{
    *count = 0;
    for (const ri_block *b = last; b != NULL && b->t > t; b = b->prev) {
        *count += 1;
    }
    ri_block **blocks = ri_alloc_array(*count + more, sizeof(ri_block *));
    size_t at = blocks == NULL ? 0 : *count;
    for (ri_block *b = last; at > 0; b = b->prev) {
        blocks[--at] = b;
    }
    return blocks;
}

ri_block *ri_block_view(ri_block *block)
{
    ri_block *view = ri_alloc_zero(sizeof *view);
    if (view != NULL) {
        ri_refs_init(&view->refs);
        view->owner = ri_block_retain(block);
        view->memory = block->memory;
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
        block->owner = i > 0 ? ri_block_retain(blocks[0]) : NULL;
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
